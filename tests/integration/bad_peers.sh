#!/bin/sh
# bad_peers.sh - peers that read nothing, send nearly nothing, or anything: what they cost is bounded, they are closed, and who was
# there before is served all the while. Broker and name server alike. IDLE=N: connections that say nothing (default 2000).
. "$(dirname "$0")/lib.inc"
IDLE=${IDLE:-2000}
bad() { "$OUT/tests/badpeer" "$@"; }
rss() { sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$1/status"; }
sockets() { find "/proc/$1/fd" -lname 'socket:*' 2>/dev/null | wc -l; }
at_most() { [ "$(sockets "$1")" -le "$2" ]; }
grown() { echo $(($(rss "$1") - $2)); } # pid kB
says() { grep -q "$2" "$1"; }
sends() { # name: 400 sends, eight on their way at once
    raw "$addr" send t 400 "$1" 8 > "$work/sent.$1" 2>&1
    [ "$(grep -c '^ok' "$work/sent.$1")" = 400 ]
}
start_bad() { # word args...: a peer in the background that says word when it is at it -> $peer
    word=$1; shift
    "$OUT/tests/badpeer" "$@" > "$work/peer" 2>&1 &
    peer=$!
    pids="$pids $peer"
    within 15 says "$work/peer" "$word"
}
end_bad() { kill $peer 2>/dev/null; wait $peer 2>/dev/null; }

# the time of silence is short here, so that the test need not wait for its end for two minutes
broker b serverChannelMaxIdleTimeSeconds=4
raw "$addr" call 17 topic=t readQueueNums=4 writeQueueNums=4 perm=6 defaultTopic=TBW102 topicFilterType=SINGLE_TAG order=false >/dev/null
fat=$(printf '%0390d' 0)
raw "$addr" send t 400 "$fat" 32 > "$work/sent.first" 2>&1 # each queue: 100 messages; 32 of them are an answer of about 20 kB
check "the messages are there" [ "$(grep -c '^ok' "$work/sent.first")" = 400 ]
check "an unhurried client is served before" sends before
before=$(sockets $pid)
base=$(rss $pid)

# ---- slow readers: ten, each asks for 80 MB ----
start_bad asking "$addr" slow t 10 4000
check "ten slow readers: others are served meanwhile" sends slow
more=$(grown $pid $base)
[ -n "$slow" ] || check "they get bounded output, not the 800 MB they asked for (+$more kB)" [ "$more" -le 163840 ]
check "and are closed after the time of silence" within 15 at_most $pid "$before"
end_bad

# ---- slow loris: 500 connections with a frame of 16 MiB that never becomes whole ----
base=$(rss $pid)
start_bad dripping "$addr" drip 500
check "500 frames that never become whole: others are served meanwhile" sends drip
more=$(grown $pid $base)
[ -n "$slow" ] || check "memory is taken for what came, not for what was announced (+$more kB)" [ "$more" -le 65536 ]
check "who drips is closed as well as who is silent" within 15 at_most $pid "$before"
end_bad

# ---- garbage ----
base=$(rss $pid)
lines=$(wc -l < "$work/b.log")
raw "$addr" send t 20000 old 4 > "$work/sent.old" 2>&1 &
old=$!
n=3000
[ -z "$slow" ] || n=500
t0=$(date +%s)
check "$n connections with garbage: each is closed" bad "$addr" garbage $n
took=$(($(date +%s) - t0 + 1))
wait $old
check "a client that was there goes on" [ "$(grep -c '^ok' "$work/sent.old")" = 20000 ]
said=$(($(wc -l < "$work/b.log") - lines))
check "the log has at most ten lines a second of it ($said in $took s)" [ $said -le $((took * 10 + 10)) ]
more=$(grown $pid $base)
[ -n "$slow" ] || check "memory stays as it was (+$more kB)" [ "$more" -le 16384 ]
stop $pid; status=$?
check "the broker stops as usual ($status)" [ $status = 0 ]

# ---- many who say nothing ----
limit=$(ulimit -n)
case $limit in unlimited) limit=1000000 ;; esac
if [ "$limit" -lt $((IDLE + 1200)) ]; then
    skip "$IDLE idle connections: only $limit descriptors here"
    IDLE=$((limit > 2400 ? limit - 1400 : 800))
fi
broker many
base=$(rss $pid)
"$OUT/tests/mqraw" "$addr" hold "$IDLE" > "$work/held" 2>&1 &
peer=$!
pids="$pids $peer"
check "$IDLE idle connections are accepted" within 30 says "$work/held" held
check "others are served meanwhile" sends idle
more=$(grown $pid $base)
[ -n "$slow" ] || check "each costs at most 4 KiB ($((more * 1024 / IDLE)) B)" [ "$more" -le $((IDLE * 4 + 2048)) ]
end_bad
check "and all are given back" within 10 at_most $pid 20

# ---- and many who just say that they are there ----
"$OUT/tests/loadgen" conns -j json -n "$IDLE" -p "$port" -P $pid > "$work/beats" 2>&1; status=$?
cat "$work/beats"
each=$(tr ' ' '\n' < "$work/beats" | sed -n 's/^rss_kib_per_conn=\([0-9]*\).*/\1/p')
check "$IDLE connections with heartbeats: each is answered ($status)" [ $status = 0 ]
[ -n "$slow" ] || check "each costs less than 4 KiB ($each KiB and a part)" [ "${each:-9}" -lt 4 ]
check "and all are given back, too" within 10 at_most $pid 20
stop $pid

# ---- the name server ----
namesrv serverChannelMaxIdleTimeSeconds=4
broker known "namesrvAddr=$ns"
raw "$addr" call 17 topic=known readQueueNums=4 writeQueueNums=4 perm=6 defaultTopic=TBW102 topicFilterType=SINGLE_TAG order=false >/dev/null
routed() { raw "$ns" call 105 topic=known > "$work/route" 2>&1; }
check "the name server knows the topic" within 5 routed
base=$(rss $nspid)
check "$n connections with garbage: each is closed" bad "$ns" garbage $n
start_bad dripping "$ns" drip 1000
check "1000 silent and dripping connections: routes are answered" routed
more=$(grown $nspid $base)
[ -n "$slow" ] || check "memory is bounded (+$more kB)" [ "$more" -le 98304 ]
check "and they are closed" within 15 at_most $nspid 20
end_bad
check "the name server goes on" accepts "${ns#*:}" # the broker, silent for four seconds too, was closed with them
stop $pid
stop $nspid; status=$?
check "it stops as usual ($status)" [ $status = 0 ]
finish
