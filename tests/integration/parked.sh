#!/bin/sh
# parked.sh - PARKED (default 2000) pulls wait, each at its own queue: what one costs in memory, that each message wakes the pull of its own
# queue, (with 10000 and more) that a message costs what it costs with sixteen of them, and that a broker that stops finds them all.
. "$(dirname "$0")/lib.inc"
PARKED=${PARKED:-2000}
[ -z "$slow" ] || PARKED=500
value() { tr ' ' '\n' < "$1" | sed -n "s/^$2=//p"; }
rss() { sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$pid/status"; }
sockets() { find "/proc/$pid/fd" -lname 'socket:*' 2>/dev/null | wc -l; }
load() { "$OUT/tests/loadgen" "$@" -j json -s 256 -p "$port" -P "$pid"; }
start_load() { # name words...: in the background, when its pulls have come -> $loader
    name=$1; shift
    had=$(sockets)
    load "$@" > "$work/$name" 2>&1 &
    loader=$!
    pids="$pids $loader"
    within 20 came
    sleep 2
}
came() { [ "$(sockets)" -ge $((had + 17)) ]; } # sixteen with pulls, one that sends
whole() { [ "$(value "$1" lost) $(value "$1" dup)" = "0 0" ] && [ "$(value "$1" acked)" -gt 0 ]; }

broker parked
load topics -a few -n 1 -q 16 > "$work/made" 2>&1
load topics -a many -n 1 -q "$PARKED" > "$work/made" 2>&1; status=$?
check "$PARKED queues are made, each with a message that can be read ($status)" [ $status = 0 ]
start_load few longpoll -a few_0 -x -r 500 -q 16 -W 2 -d 3
wait $loader
base=$(rss)
start_load many longpoll -a many_0 -x -r 500 -q "$PARKED" -W 2 -d 3
more=$(($(rss) - base))
wait $loader
cat "$work/few" "$work/many"
check "each message reaches the pull of its queue, once" whole "$work/many"
[ -n "$slow" ] || check "a parked pull costs at most 1 KiB ($((more * 1024 / PARKED)) B)" [ "$more" -le $((PARKED + 512)) ]
few=$(value "$work/few" cpu_us | cut -d. -f1) many=$(value "$work/many" cpu_us | cut -d. -f1)
# with many only, where a walk over all that wait would be seen: twice the time and 100 us more is noise, caches and larger turns
[ "$PARKED" -lt 10000 ] || check "a message costs no more for those that wait elsewhere ($few us with 16, $many us with $PARKED)" [ "$many" -le $((few * 2 + 100)) ]

start_load last longpoll -a many_0 -x -r 20 -q "$PARKED" -W 2 -d 60
kill -TERM $pid
wait $pid; status=$?
n=$(sed -n 's/.*broker stops.*parked_pulls=\([0-9]*\).*/\1/p' "$work/parked.log" | tail -1)
check "a broker that stops finds them waiting ($n)" [ "${n:-0}" -ge $((PARKED * 95 / 100)) ]
check "and stops as usual ($status)" [ $status = 0 ]
kill $loader 2>/dev/null; wait $loader 2>/dev/null
finish
