#!/bin/sh
# clock_jumps.sh - somebody sets the wall clock of running servers, by hours and days, forwards and back: deadlines, syncs, offsets and
# registrations keep their pace, clients stay, nothing is lost. By libfaketime, which leaves the monotonic clock alone.
. "$(dirname "$0")/lib.inc"
fake=$(find /usr/lib /usr/local/lib -name libfaketimeMT.so.1 2>/dev/null | head -1)
case $OUT in *asan*|*tsan*) fake= ;; esac # a sanitizer wants to be loaded first
if [ -z "$fake" ]; then
    skip "a clock that is set: needs libfaketime (Debian: faketime) and a build without sanitizers"
    echo "$passed passed, $failed failed, $skipped skipped"
    exit 0
fi
set_clock() { echo "$1" > "$work/clock.new" && mv "$work/clock.new" "$work/clock"; }
with_fake() { # broker or namesrv, and their arguments: what they start runs with the fake clock
    export LD_PRELOAD="$fake" FAKETIME_TIMESTAMP_FILE="$work/clock" FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1
    "$@"
    unset LD_PRELOAD
}
set_clock +0

with_fake namesrv
with_fake broker b "namesrvAddr=$ns" flushConsumerOffsetInterval=1000
raw "$addr" call 17 topic=t readQueueNums=4 writeQueueNums=4 perm=6 defaultTopic=TBW102 topicFilterType=SINGLE_TAG order=false >/dev/null
raw "$addr" send quiet 4 one > "$work/sent" 2>&1
routed() { raw "$ns" call 105 topic=t > "$work/route" 2>&1; }
check "before: the name server knows the topic" within 5 routed
"$OUT/tests/mqraw" "$addr" hold 3 > "$work/held" 2>&1 & # they stay for all of it
holder=$!
pids="$pids $holder"
sockets() { find /proc/$pid/fd -lname 'socket:*' 2>/dev/null | wc -l; }
within 5 grep -q held "$work/held"
had=$(sockets)
: > "$work/all"

said_at() { # the date of the log's newest line, by the broker's clock
    raw "$addr" call 25 -b "logLevel=info" >/dev/null 2>&1
    tail -1 "$work/b.log" | cut -c1-13
}
synced() { raw "$addr" call 28 | grep -q '"remainHowManyDataToFlush":"0 B"'; }
offset_saved() { grep -q "\"0\" *: *$1\\b\\|0:$1\\b" "$work/b/config/consumerOffset.json" 2>/dev/null; }
n=0
for jump in -7d +3d -5h +5h +40d +0; do
    n=$((n + 1))
    # a pull is parked for three seconds; the clock is set while it waits
    t0=$(date +%s)
    raw "$addr" call 11 consumerGroup=w topic=quiet queueId=3 queueOffset=1 maxMsgNums=1 sysFlag=6 commitOffset=0 suspendTimeoutMillis=3000 \
        'subscription=*' subVersion=0 > "$work/parked" 2>&1 &
    parked=$!
    raw "$addr" send t 20 "early$n" 4 > "$work/sent" 2>&1
    set_clock $jump
    raw "$addr" send t 20 "late$n" 4 >> "$work/sent" 2>&1
    cat "$work/sent" >> "$work/all"
    check "set to now$jump: sends are taken on both sides of it" [ "$(grep -c '^ok' "$work/sent")" = 40 ]
    want=$(with_fake date -u +%Y-%m-%dT%H) is=$(said_at)
    check "set to now$jump: the broker's log shows it ($is)" [ "$is" = "$want" ]
    raw "$addr" call 15 consumerGroup=g topic=t queueId=0 "commitOffset=$n" >/dev/null
    check "set to now$jump: the log is synced within five seconds" within 5 synced
    check "set to now$jump: a consumer's offset is in its file within five seconds" within 5 offset_saved $n
    wait $parked
    took=$(($(date +%s) - t0))
    check "set to now$jump: the parked pull is answered at its time ($took s)" [ $took -ge 2 -a $took -le 20 ]
done
sleep 11 # the chores of broker and name server come every ten seconds: silent clients, brokers that were not heard of
check "idle clients are still there" [ "$(sockets)" -ge "$had" ]
check "the name server still knows the broker" routed
check "and the broker has been up for less than an hour" sh -c "'$OUT/tests/mqraw' $addr call 28 | grep -q 'runtime\":\"\[ 0 days, 0 hours'"

lost() { sed -n 's/^ok //p' "$work/all" | sort > "$work/acked"; raw "$addr" read t 4 | sort > "$work/found"; comm -23 "$work/acked" "$work/found" | wc -l; }
check "nothing is lost" [ "$(lost)" = 0 ]
for jump in -9d +9d; do
    set_clock $jump
    raw "$addr" send t 20 "killed$jump" 4 >> "$work/all" 2>&1
    kill -KILL $pid; wait $pid 2>/dev/null
    with_fake broker b
    check "kill -9 at now$jump: nothing is lost" [ "$(lost)" = 0 ]
done
kill $holder 2>/dev/null; wait $holder 2>/dev/null
stop $pid; status=$?
check "the broker stops as usual ($status)" [ $status = 0 ]
stop $nspid
finish
