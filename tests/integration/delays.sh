#!/bin/sh
# delays.sh - delayed messages: none is lost by kill -9 in the middle of 2,000 deliveries, none comes twice after a clean stop, a broker with
# many that wait rests, and a message that is given back again and again is buried.
. "$(dirname "$0")/lib.inc"
levels="messageDelayLevel=2s 1h"

# every acked body (column 2 of "ok BODY QUEUE OFFSET") must be among what was read ("BODY QUEUE OFFSET")
lost() { awk '/^ok/ {print $2}' "$1" | sort -u > "$work/acked"; cut -d' ' -f1 "$2" | sort -u > "$work/found"; comm -23 "$work/acked" "$work/found" | wc -l; }
read_all() { raw "$addr" read t 4 > "$work/read"; }
arrived() { read_all && [ "$(wc -l < "$work/read")" -ge "$1" ]; }
all_here() { read_all && [ "$(lost "$work/sent" "$work/read")" = 0 ]; }

# ---- kill -9 between the first delivery and the last: they are due over a second and more ----
for kind in ASYNC_FLUSH SYNC_FLUSH; do
    broker "$kind" "flushDiskType=$kind" "$levels" flushDelayOffsetInterval=100
    : > "$work/sent"
    for i in $(seq 40); do
        raw "$addr" send t 50 "m$i" 50 1 >> "$work/sent" 2>&1
        sleep 0.03
    done
    check "$kind: 2,000 delayed messages are acknowledged" [ "$(grep -c '^ok' "$work/sent")" = 2000 ]
    within 20 arrived 200
    kill -KILL $pid; wait $pid 2>/dev/null
    before=$(wc -l < "$work/read")
    broker "$kind"
    check "$kind: after kill -9 among deliveries ($before were seen) each message arrives" within 20 all_here
    sleep 1
    read_all
    times=$(wc -l < "$work/read")
    stop $pid
    broker "$kind"
    sleep 1
    read_all
    check "$kind: after a clean stop none comes again ($((times - 2000)) did after the kill)" [ "$(wc -l < "$work/read")" = "$times" ]
    check "$kind: delayOffset.json says how far it is" grep -q '1:2000' "$work/$kind/config/delayOffset.json"
    stop $pid
done

# ---- many that wait ----
broker many "$levels"
raw "$addr" send t 20000 w 64 2 > "$work/sent" 2>&1
check "20,000 messages wait" sh -c "'$OUT/tests/mqraw' $addr call 28 | grep -q '\"scheduleMessageOffset_2\":\"0,20000\"'"
switches() { awk '/^voluntary/ {print $2}' /proc/$pid/status; }
sleep 2
before=$(switches); sleep 3; n=$(($(switches) - before))
check "and the broker rests meanwhile ($n wake-ups in 3 s)" [ $n -le 15 ]
kill -KILL $pid; wait $pid 2>/dev/null
broker many
raw "$addr" send t 1 late 1 1 > "$work/sent" 2>&1
check "they are there after kill -9, and those of other levels do not wait for them" within 10 all_here
check "(20,000 wait)" sh -c "'$OUT/tests/mqraw' $addr call 28 | grep -q '\"scheduleMessageOffset_2\":\"0,20000\"'"
stop $pid

# ---- a message that nobody can consume ----
broker dead "messageDelayLevel=1s 1s 1s 1s 1s"
raw "$addr" send t 1 poison > "$work/sent" 2>&1
place() { raw "$addr" call 11 consumerGroup=g topic="$1" queueId=0 queueOffset="$2" maxMsgNums=1 sysFlag=4 commitOffset=0 suspendTimeoutMillis=0 \
    subscription='*' subVersion=0 > "$work/pull" 2>&1; } # succeeds when there is a message
back() { raw "$addr" call 36 group=g offset="$1" delayLevel=0 maxReconsumeTimes=2 > "$work/out" 2>&1; }
first=$(sed -n 's/.*"physicOffset":\([0-9]*\).*/\1/p' <<X
$(raw "$addr" call 321 topic=t queueId=0 index=0 count=1)
X
)
check "a message is given back" back "$first"
check "and comes again" within 5 place %RETRY%g 0
again=$(raw "$addr" call 321 topic=%RETRY%g queueId=0 index=0 count=1 | sed -n 's/.*"physicOffset":\([0-9]*\).*/\1/p')
check "and again" back "$again"
within 5 place %RETRY%g 1
third=$(raw "$addr" call 321 topic=%RETRY%g queueId=0 index=1 count=1 | sed -n 's/.*"physicOffset":\([0-9]*\).*/\1/p')
check "the third time" back "$third"
check "it is buried" place %DLQ%g 0
sleep 2
check "and comes no more" sh -c "! '$OUT/tests/mqraw' $addr call 321 topic=%RETRY%g queueId=0 index=2 count=1 | grep -q physicOffset"
stop $pid
finish
