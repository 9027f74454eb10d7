#!/bin/sh
# lifecycle.sh - a broker comes, stays, rests and goes: what a restart keeps, what an idle one costs, what a stop tells whom.
. "$(dirname "$0")/lib.inc"

# ---- with a name server ----
namesrv

# The best of five: the figure is about the broker, not about what else the machine does just now.
took=999999999
for i in 1 2 3 4 5; do
    broker "empty$i" "namesrvAddr="
    t=$(sed -n 's/.*broker ready.*took_us=\([0-9]*\).*/\1/p' "$work/empty$i.log")
    [ "$t" -ge $took ] || took=$t
    stop $pid
    [ $took -gt 50000 ] || break
done
[ -n "$slow" ] || check "an empty store is ready within 50 ms ($took us)" [ $took -le 50000 ]

broker a "namesrvAddr=$ns"
routed() { raw "$ns" call 105 topic=kept >/dev/null 2>&1; }
check "a topic is made" raw "$addr" call 17 topic=kept readQueueNums=4 writeQueueNums=4 perm=6 defaultTopic=TBW102 topicFilterType=SINGLE_TAG order=false
check "the name server knows it when the answer is there" routed
check "a group is made" raw "$addr" call 200 -b '{"groupName":"kept_group","retryMaxTimes":7,"retryQueueNums":2,"consumeEnable":true,"brokerId":0}'
check "an offset is kept" raw "$addr" call 15 consumerGroup=kept_group topic=kept queueId=1 commitOffset=5
raw "$addr" send kept 40 before > "$work/sent" 2>&1
check "40 messages are taken" [ "$(grep -c '^ok' "$work/sent")" = 40 ]
check "the port below answers as well" raw "127.0.0.1:$((port - 2))" call 28

# ---- rest ----
switches() { cat /proc/"$pid"/task/*/status 2>/dev/null | sed -n 's/^voluntary_ctxt_switches:[^0-9]*//p' | awk '{n += $1} END {print n + 0}'; }
sleep 3 # the last flush intervals
s1=$(switches); sleep 4; s2=$(switches)
[ -n "$slow" ] || check "an idle broker wakes at most 5 times a second ($(((s2 - s1) / 4)))" [ $((s2 - s1)) -le 20 ]
threads=$(sed -n 's/^Threads:[^0-9]*//p' /proc/$pid/status)
[ -n "$slow" ] || check "it has at most 6 threads ($threads)" [ "$threads" -le 6 ]
rss=$(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' /proc/$pid/status)
[ -n "$slow" ] || check "and at most 12 MB in memory ($rss kB)" [ "$rss" -le 12288 ]

# ---- stop ----
raw "$addr" call 11 consumerGroup=w topic=kept queueId=0 queueOffset=10 maxMsgNums=1 sysFlag=6 commitOffset=0 suspendTimeoutMillis=20000 'subscription=*' subVersion=0 \
    > "$work/parked" 2>&1 &
parked=$!
sleep 0.3
t0=$(date +%s)
stop $pid; status=$?
check "SIGTERM ends it with status 0 ($status)" [ $status = 0 ]
check "within 3 seconds" [ $(($(date +%s) - t0)) -le 3 ]
wait $parked
check "a parked pull is answered, not cut off" grep -q '^code 19' "$work/parked"
gone() { raw "$ns" call 105 topic=kept > "$work/route" 2>&1; grep -q '^code 17' "$work/route"; }
check "the name server is told" gone
check "a clean stop leaves no abort file" [ ! -e "$work/a/abort" ]

# ---- again ----
broker a
raw "$addr" call 351 topic=kept > "$work/topic" 2>&1
check "a restart keeps the topic" grep -q '"writeQueueNums":4' "$work/topic"
raw "$addr" call 201 > "$work/groups" 2>&1
check "and the group" grep -q '"groupName":"kept_group"[^}]*"retryMaxTimes":7' "$work/groups"
raw "$addr" call 14 consumerGroup=kept_group topic=kept queueId=1 > "$work/off" 2>&1
check "and the offset" grep -q '^offset=5' "$work/off"
raw "$addr" read kept 4 > "$work/read" 2>&1
check "and all 40 messages" [ "$(sort "$work/read" | uniq | grep -c '^before-')" = 40 ]
check "the name server is told again" within 3 routed
raw "$addr" send kept 4 after > "$work/sent2" 2>&1
check "queues go on where they were" grep -q '^ok after-0 0 10$' "$work/sent2"

# ---- a second stop and the files of Apache ----
stop $pid
for f in commitlog/00000000000000000000 consumequeue/kept/0/00000000000000000000 checkpoint lock config/topics.json config/subscriptionGroup.json \
    config/consumerOffset.json; do
    check "there is $f" [ -e "$work/a/$f" ]
done
finish
