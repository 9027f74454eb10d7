#!/bin/sh
# durability.sh - nothing that was acknowledged is lost: not by kill -9 in the middle of sends (KILLS=3 times, each at another moment), not
# when the disk's sync fails. The same of topics and groups.
. "$(dirname "$0")/lib.inc"
KILLS=${KILLS:-3}

# every acked body (column 2 of lines "ok BODY QUEUE OFFSET") must be among what was read ("BODY QUEUE OFFSET"), at its place
lost() { sed -n 's/^ok //p' "$1" | sort > "$work/acked"; sort "$2" > "$work/found"; comm -23 "$work/acked" "$work/found" | wc -l; }
gaps() { sort -k2,2n -k3,3n "$1" | awk '$2 != q {q = $2; want = 0} $3 != want {n++} {want = $3 + 1} END {print n + 0}'; }

for kind in ASYNC_FLUSH SYNC_FLUSH; do
    broker "$kind" "flushDiskType=$kind"
    : > "$work/all"
    round=0
    while [ $round -lt "$KILLS" ]; do
        round=$((round + 1))
        raw "$addr" send t 1000000 "r$round" 64 > "$work/sent" 2>/dev/null &
        sender=$!
        sleep "0.$((round * 3 % 10))$((round * 7 % 10))"
        kill -KILL $pid
        wait $sender $pid 2>/dev/null
        cat "$work/sent" >> "$work/all"
        check "$kind, kill $round: sends were acknowledged before ($(grep -c '^ok' "$work/sent"))" grep -q '^ok' "$work/sent"
        check "$kind, kill $round: it leaves an abort file" [ -e "$work/$kind/abort" ]
        broker "$kind"
        raw "$addr" read t 4 > "$work/read"
        check "$kind, kill $round: nothing acknowledged is lost ($(lost "$work/all" "$work/read"))" [ "$(lost "$work/all" "$work/read")" = 0 ]
        check "$kind, kill $round: offsets have no gap" [ "$(gaps "$work/read")" = 0 ]
    done
    stop $pid
done

# ---- tables: killed right after an answer; ROUNDS topics made, changed, deleted, and groups ----
ROUNDS=${ROUNDS:-10}
ask() { raw "$addr" call "$@" > "$work/asked" 2>&1; } # fails when refused
make_topic() { ask 17 "topic=$1" readQueueNums=3 "writeQueueNums=$2" "perm=${3:-6}" topicFilterType=SINGLE_TAG; }
has_topic() { raw "$addr" call 351 "topic=$1" 2>&1 | grep -q "\"perm\":${3:-6},.*\"writeQueueNums\":$2[,}]"; }
for kind in ASYNC_FLUSH SYNC_FLUSH; do
    broker "tables-$kind" "flushDiskType=$kind" namesrvAddr=
    round=0 kept=0
    while [ $round -lt "$ROUNDS" ]; do
        round=$((round + 1)) before=$((round - 1))
        make_topic "made$round" 7 && make_topic "made$round" $round 4 && ask 200 -b "{\"groupName\":\"group$round\",\"retryMaxTimes\":$round}" &&
            { [ $round = 1 ] || { ask 215 "topic=made$before" && ask 207 "groupName=group$before"; }; } &&
            raw "$addr" send "sent$round" 1 x > "$work/sent" 2>&1 && make_topic "last$round" $round && answered=yes || answered=no
        kill -KILL $pid
        wait $pid 2>/dev/null
        broker "tables-$kind"
        raw "$addr" call 201 > "$work/groups" 2>&1
        [ $answered = yes ] && has_topic "made$round" $round 4 && has_topic "last$round" $round && has_topic "sent$round" '[0-9]*' &&
            grep -q "\"groupName\":\"group$round\"[^}]*\"retryMaxTimes\":$round[,}]" "$work/groups" && ! grep -q "\"group$before\"" "$work/groups" &&
            ! has_topic "made$before" '[0-9]*' '[0-9]*' && kept=$((kept + 1))
    done
    check "$kind: topics and groups that were made, changed and deleted are so after kill -9, $ROUNDS times ($kept)" [ $kept = "$ROUNDS" ]
    stop $pid
    check "$kind: after a clean stop the tables' files have all of it" sh -c "grep -q 'last$ROUNDS\"' '$work/tables-$kind/config/topics.json' &&
        grep -q 'group$ROUNDS\"' '$work/tables-$kind/config/subscriptionGroup.json' && ! ls '$work/tables-$kind/config' | grep -q changes"
done

# ---- a change that cannot be written: a folder is in its way ----
broker blocked namesrvAddr=
mkdir -p "$work/blocked/config/topics.json.changes1"
make_topic stuck 1
check "a topic that the disk does not take is refused in words" grep -q '^code 1 .*nothing was changed.*topics.json.changes1' "$work/asked"
check "and is not there" sh -c "! '$OUT/tests/mqraw' '$addr' call 351 topic=stuck | grep -q topicName"
rmdir "$work/blocked/config/topics.json.changes1"
check "afterwards it is made as usual" make_topic stuck 1
stop $pid

# ---- a sync that fails ----
if strace -V >/dev/null 2>&1 && strace -qq -o /dev/null true 2>/dev/null; then
    broker failing flushDiskType=SYNC_FLUSH
    raw "$addr" send t 100 good > "$work/sent" 2>&1
    check "before: 100 sends are acknowledged" [ "$(grep -c '^ok' "$work/sent")" = 100 ]
    strace -f -qq -o "$work/strace" -e trace=fdatasync,fsync,sync_file_range -e inject=fdatasync:error=EIO -p $pid 2>/dev/null &
    tracer=$!
    pids="$pids $tracer"
    within 10 sh -c "grep -q 'TracerPid:[^0-9]*$tracer' /proc/$pid/status" || echo "strace did not attach"
    make_topic unsynced 1
    check "a failed sync: a topic's creation is told so in words" grep -q '^code 1 .*not safe on the disk: sync config/topics.json.changes' "$work/asked"
    raw "$addr" send t 20 bad 4 > "$work/bad" 2>&1
    wait $pid; status=$?
    kill -TERM $tracer 2>/dev/null; wait $tracer 2>/dev/null
    check "a failed sync: no send is acknowledged with SUCCESS" sh -c "! grep -q '^ok' '$work/bad'"
    check "senders are told in words" grep -q '^no [0-9]* ' "$work/bad"
    check "the broker ends with a status that is not 0 ($status)" [ $status != 0 ]
    check "and its log says what failed" grep -q 'ERROR store the store failed' "$work/failing.log"
    broker failing
    raw "$addr" read t 4 > "$work/read"
    check "a restart serves all that was acknowledged" [ "$(lost "$work/sent" "$work/read")" = 0 ]
    raw "$addr" send t 4 again > "$work/sent2" 2>&1
    check "and takes sends again" [ "$(grep -c '^ok' "$work/sent2")" = 4 ]
    stop $pid
else
    skip "a failed sync: strace is not there, or may not trace"
fi
finish
