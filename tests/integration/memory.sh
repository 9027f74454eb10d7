#!/bin/sh
# memory.sh - a broker and a name server with a tiny memoryLimit under floods that would each need many times of it: the processes stay near the
# limit, what they cannot take is refused in words, nothing dies, and afterwards they serve as before. A sanitizer build keeps what is
# freed, so its size says nothing.
. "$(dirname "$0")/lib.inc"
LIMIT=24 # MiB
rss() { sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$1/status"; } # the most it ever was; kB
says() { grep -q "$2" "$1"; }
create() { raw "$addr" call 17 topic="$1" readQueueNums=4 writeQueueNums=4 perm=6 defaultTopic=TBW102 topicFilterType=SINGLE_TAG order=false; }
sends() { # name n: that many messages, eight on their way at once
    raw "$addr" send t "$2" "$1" 8 > "$work/sent.$1" 2>&1
    [ "$(grep -c '^ok' "$work/sent.$1")" = "$2" ]
}
figure() { raw "$addr" call 28 | sed -n "s/.*\"$1\":\"\([0-9]*\)\".*/\1/p"; }
start() { # word args...: badpeer in the background
    word=$1; shift
    "$OUT/tests/badpeer" "$@" > "$work/peer" 2>&1 &
    peer=$!
    pids="$pids $peer"
    within 60 says "$work/peer" "$word"
}
end() { kill $peer 2>/dev/null; wait $peer 2>/dev/null; }
bounded() { # pid MiB beyond the limit: the program, its threads' stacks, mapped files, what the allocator keeps
    most=$(rss "$1")
    [ -n "$slow" ] || check "$3 (at most $((most / 1024)) MiB)" [ "$most" -le $(((LIMIT + $2) * 1024)) ]
}

broker m memoryLimit=${LIMIT}m serverChannelMaxIdleTimeSeconds=4
check "the limit is in the log and in the runtime information" says "$work/m.log" "memory limit bytes=$((LIMIT << 20)) from=memoryLimit"
check "and in figures" [ "$(figure memoryLimit)" = $((LIMIT << 20)) ]
create t >/dev/null
fat=$(printf '%0390d' 0)
raw "$addr" send t 400 "$fat" 32 > "$work/sent.fat" 2>&1
check "messages are taken" [ "$(grep -c '^ok' "$work/sent.fat")" = 400 ]
check "and settled" sends first 100

# ---- who reads nothing: 60 connections ask for 1000 times 130 kB each ----
start asking "$addr" slow t 60 1000
check "60 slow readers: others send meanwhile" within 20 sends slow 100
end
bounded $pid 24 "60 slow readers"

# ---- halves of large frames: 60 connections send 3 MiB each of a frame of 4 MiB ----
start halves "$addr" half 60 3145728
check "60 halves of frames of 4 MiB: others send meanwhile" within 20 sends half 100
end
bounded $pid 24 "60 halves of large frames"

# ---- pipelined sends of many at once ----
senders=
for i in 1 2 3 4 5 6 7 8; do
    raw "$addr" send t 3000 "$fat" 512 > "$work/flood.$i" 2>&1 &
    senders="$senders $!"
done
# shellcheck disable=SC2086
wait $senders
check "a flood of sends: some are taken" grep -q '^ok' "$work/flood.1"
bounded $pid 24 "a flood of sends"

# ---- tables that grow ----
topics="$work/topics"
"$OUT/tests/badpeer" "$addr" topics 40000 > "$topics" 2>&1
check "40,000 topics: the first ones are made" says "$topics" '^made [1-9][0-9][0-9]'
check "the others are refused in words" says "$topics" 'SYSTEM_BUSY\|a new topic is refused, memoryLimit reached: '
bounded $pid 24 "40,000 topics"
check "the log says so" says "$work/m.log" 'a new topic is refused reason="memoryLimit reached: '
check "what is there goes on: messages are taken" sends last 100
raw "$addr" read t 4 > "$work/read" 2>/dev/null
check "and read" [ "$(grep -c '^last-' "$work/read")" = 100 ]
stop $pid; status=$?
check "the broker stops as usual ($status)" [ $status = 0 ]
sed -i '/^memoryLimit/d' "$work/m.conf"
broker m
check "with the default limit it makes topics again" sh -c "[ $(figure memoryLimit) -gt $((LIMIT << 20)) ]"
check "and a message sent is taken" sends again 100
stop $pid

# ---- the name server ----
namesrv memoryLimit=16m
LIMIT=16 addr=$ns
"$OUT/tests/badpeer" "$addr" brokers 2000 200 > "$work/brokers" 2>&1
check "2,000 brokers with 200 topics each: the first ones are registered" says "$work/brokers" '^made [1-9]'
check "the others are refused in words" says "$work/brokers" 'memoryLimit reached: '
check "the log says so" says "$work/ns.log" 'registration refused .*memoryLimit reached: '
start halves "$addr" half 60 3145728
check "60 halves of frames of 4 MiB: others are answered" within 20 raw "$addr" call 106
end
bounded $nspid 24 "the name server"
stop $nspid; status=$?
check "it stops as usual ($status)" [ $status = 0 ]
finish
