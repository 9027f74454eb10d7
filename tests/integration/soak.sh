#!/bin/sh
# soak.sh - the same load again and again, and nothing grows: memory, descriptors and (in a long run) the latencies' 99th percentile.
# SOAK_SECONDS (default 24) are twelve spells at SOAK_RATE (default 2000) messages a second, producer to long-polling consumers: one pair
# that stays for all of it and one that is new in each spell, with garbage and idle connections between, and log files that come and go.
# The first spell warms up; then the median of the last four is held against the median of the first four, so that one bad spell says nothing.
. "$(dirname "$0")/lib.inc"
SOAK_SECONDS=${SOAK_SECONDS:-24} SOAK_RATE=${SOAK_RATE:-2000}
[ -z "$slow" ] || SOAK_RATE=$((SOAK_RATE / 4))
spell=$((SOAK_SECONDS / 12))
[ $spell -ge 1 ] || spell=1
load() { "$OUT/tests/loadgen" "$@" -j json -s 256 -q 4 -p "$port"; }
value() { tr ' ' '\n' < "$1" | sed -n "s/^$2=//p"; }
# what the generator did not send in time on a busy machine is no fault of the broker
all_came() { [ "$(value "$1" lost) $(value "$1" dup)" = "0 0" ] && [ "$(value "$1" acked)" -gt 0 ] && ! tr ' ' '\n' < "$1" | grep '^code[1-9]'; }
rss() { sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$pid/status"; }
fds() { find "/proc/$pid/fd" -mindepth 1 2>/dev/null | wc -l; }
median() { sort -n | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }
early() { sed -n 2,5p "$work/$1" | median; } # file with a line a spell
late() { sed -n 9,12p "$work/$1" | median; }

broker soak mappedFileSizeCommitLog=4194304 mappedFileSizeConsumeQueue=60000 fileReservedTime=0
load e2e -a stays -r $((SOAK_RATE / 10 + 1)) -W 0 -d $((spell * 13 + 5)) > "$work/stays" 2>&1 &
stays=$!
pids="$pids $stays"
faults=0
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
    again=
    [ $i = 1 ] || again=-x
    load e2e $again -a goes -r "$SOAK_RATE" -W 0 -d $spell > "$work/goes" 2>&1
    all_came "$work/goes" || { faults=$((faults + 1)); cat "$work/goes"; }
    "$OUT/tests/badpeer" "$addr" garbage 20 >/dev/null 2>&1
    raw "$addr" call 329 >/dev/null 2>&1 # files of the log that are full may go
    rss >> "$work/rss"; fds >> "$work/fds"; value "$work/goes" p99_us | cut -d. -f1 >> "$work/p99"
    echo "      spell $i: rss=$(tail -1 "$work/rss") kB fds=$(tail -1 "$work/fds") p99=$(tail -1 "$work/p99") us acked=$(value "$work/goes" acked)" \
        "log files=$(ls "$work/soak/commitlog" | wc -l)"
done
check "in each of twelve spells all messages came, once ($faults with faults)" [ $faults = 0 ]
wait $stays
cat "$work/stays"
check "and so they did for the pair that stayed" all_came "$work/stays"
a=$(early rss) b=$(late rss)
[ -n "$slow" ] || check "memory does not grow ($a kB, later $b kB)" [ "$b" -le $((a + a / 10 + 1024)) ]
a=$(early fds) b=$(late fds)
check "descriptors do not grow ($a, later $b)" [ "$b" -le $((a + 6)) ]
a=$(early p99) b=$(late p99)
[ "$SOAK_SECONDS" -lt 300 ] || check "the 99th percentile of latency does not grow ($a us, later $b us)" [ "$b" -le $((a * 2 + 2000)) ]
stop $pid; status=$?
check "it stops as usual ($status)" [ $status = 0 ]
finish
