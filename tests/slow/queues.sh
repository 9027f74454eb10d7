#!/bin/sh
# queues.sh - 12,500 topics of 8 queues: made, each with a message, found again by a start after a clean stop.
. "$(dirname "$0")/../integration/lib.inc"
value() { tr ' ' '\n' < "$1" | sed -n "s/^$2=\([0-9]*\).*/\1/p"; }
broker many namesrvAddr= flushIntervalConsumeQueue=60000
"$OUT/tests/loadgen" topics -j json -a many -n 12500 -q 8 -p "$port" -P "$pid" > "$work/made" 2>&1; status=$?
cat "$work/made"
check "100,000 queues are made, each with a message ($status)" [ $status = 0 ]
rate=$(value "$work/made" topics_per_s)
[ -n "$slow" ] || check "at least 2,000 topics a second ($rate)" [ "${rate:-0}" -ge 2000 ]
stop $pid; status=$?
check "the broker stops as usual ($status)" [ $status = 0 ]
broker many
took=$(sed -n 's/.*broker ready.*took_us=\([0-9]*\).*/\1/p' "$work/many.log" | tail -1)
[ -n "$slow" ] || check "a start with them takes at most five seconds ($took us)" [ "$took" -le 5000000 ]
rss=$(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$pid/status")
[ -n "$slow" ] || check "and at most 200 bytes a queue beside 12 MB ($rss kB)" [ "$rss" -le $((12288 + 100000 * 200 / 1024)) ]
for t in 0 6000 12499; do
    check "topic $t has its eight messages" [ "$(raw "$addr" read "many_$t" 8 | wc -l)" = 8 ]
done
stop $pid
finish
