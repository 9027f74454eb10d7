#!/bin/sh
# durability.sh - nothing that was acknowledged is lost: not by kill -9 in the middle of sends (KILLS=3 times, each at another moment), not
# when the disk's sync fails.
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

# ---- a sync that fails ----
if strace -V >/dev/null 2>&1 && strace -qq -o /dev/null true 2>/dev/null; then
    broker failing flushDiskType=SYNC_FLUSH
    raw "$addr" send t 100 good > "$work/sent" 2>&1
    check "before: 100 sends are acknowledged" [ "$(grep -c '^ok' "$work/sent")" = 100 ]
    strace -f -qq -o "$work/strace" -e trace=fdatasync,fsync,sync_file_range -e inject=fdatasync:error=EIO -p $pid 2>/dev/null &
    tracer=$!
    pids="$pids $tracer"
    within 10 sh -c "grep -q 'TracerPid:[^0-9]*$tracer' /proc/$pid/status" || echo "strace did not attach"
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
