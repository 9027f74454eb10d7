#!/bin/sh
# slow_disk.sh - producers faster than the disk: they are slowed down by their own connections, nobody is refused, others are served
# meanwhile, and runtime information tells of it. The disk is made slow by strace: each fdatasync takes a while longer.
. "$(dirname "$0")/lib.inc"

if ! strace -V >/dev/null 2>&1 || ! strace -qq -o /dev/null true 2>/dev/null ||
    ! strace -qq -o /dev/null -e inject=fdatasync:delay_exit=1 true 2>/dev/null; then
    skip "slow disks: strace is not there, or may not trace"
    finish; exit
fi

slow_down() { # pid ms -> $tracer
    strace -f -qq -o "$work/strace" -e trace=fdatasync -e "inject=fdatasync:delay_exit=$(($2 * 1000))" -p "$1" 2>/dev/null &
    tracer=$!
    pids="$pids $tracer"
    within 10 sh -c "grep -q 'TracerPid:[^0-9]*$tracer' /proc/$1/status" || echo "strace did not attach"
}
let_go() { kill -TERM $tracer 2>/dev/null; wait $tracer 2>/dev/null; }
info() { raw "$addr" call 28 | grep -o "\"$1\":\"[^\"]*\"" | sed 's/.*:"//; s/"$//'; }
at_least() { v=$(info "$1"); [ "${v:-0}" -ge "$2" ]; }
peak_mb() { echo $(($(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$pid/status") / 1024)); }
count() { cat "$work"/sent.? | grep -c "$1"; }

# Patience is long here, so that a busy machine is no refusal; what ends it is tested at the end.
for kind in SYNC_FLUSH ASYNC_FLUSH; do
    broker "$kind" "flushDiskType=$kind" waitTimeMillsInSendQueue=60000 syncFlushTimeout=60000 sendThreadPoolQueueCapacity=100 flushDiskFallbehindMax=65536
    raw "$addr" send first 8 f > "$work/first"
    slow_down $pid 100
    n=1000 senders=
    for s in a b c d e f; do
        raw "$addr" send t $n $s 256 > "$work/sent.$s" 2>&1 &
        senders="$senders $!"
    done
    check "$kind: connections wait, and 28 says so" within 20 at_least sendWaitConnections 2
    check "$kind: it says for how long the first has waited" within 20 at_least sendThreadPoolQueueHeadWaitTimeMills 20
    raw "$addr" read first 4 > "$work/read.first" # while the disk is behind
    check "$kind: a consumer gets what is there meanwhile" [ "$(wc -l < "$work/read.first")" = 8 ]
    for s in $senders; do wait "$s"; done
    check "$kind: each of $((6 * n)) sends is SEND_OK ($(count '^ok'), others $(count '^no'))" [ "$(count '^ok')" = $((6 * n)) ]
    check "$kind: nobody waits any more" within 20 sh -c "[ \"\$('$OUT/tests/mqraw' '$addr' call 28 | grep -o '\"sendWaitConnections\":\"0\"')\" ]"
    check "$kind: how often and how long stays to be seen ($(info sendWaitTimes) times, at most $(info sendWaitMillsLongest) ms)" \
        sh -c "[ '$(info sendWaitTimes)' -ge 6 ] && [ '$(info sendWaitMillsLongest)' -ge 20 ] && [ '$(info sendWaitMillsLastMinute)' -ge 20 ]"
    [ -n "$slow" ] || check "$kind: memory stays small ($(peak_mb) MB)" [ "$(peak_mb)" -lt 64 ]
    let_go
    raw "$addr" read t 4 | sort > "$work/read"
    check "$kind: all is there, once" [ "$(uniq "$work/read" | wc -l)" = $((6 * n)) ]
    swapped=$(sort -k2,2n -k3,3n "$work/read" | awk '{split($1, p, "-"); k = p[1] " " $2; n += k in last && p[2] + 0 < last[k]; last[k] = p[2] + 0}
        END {print n + 0}')
    check "$kind: in each queue, each sender's messages are in the order of sending ($swapped are not)" [ "$swapped" = 0 ]
    stop $pid; status=$?
    check "$kind: it stops as usual ($status)" [ $status = 0 ]
done

# ---- slower than anybody waits: refused in words ----
broker late flushDiskType=SYNC_FLUSH sendThreadPoolQueueCapacity=1 syncFlushTimeout=4000
raw "$addr" send t 4 f > "$work/first"
slow_down $pid 6000
raw "$addr" send t 8 x 8 > "$work/sent.x" 2>&1 &
sender=$!
within 10 at_least sendThreadPoolQueueSize 1
raw "$addr" send t 8 y 8 > "$work/sent.y" 2>&1 &
senders="$sender $!"
for s in $senders; do wait "$s"; done
check "what was taken and is not on the disk in time: FLUSH_DISK_TIMEOUT" grep -q '^no 10 ' "$work/sent.x"
check "what was not taken within 2 s: SYSTEM_BUSY, in words" grep -q '^no 2 .TIMEOUT_CLEAN_QUEUE.broker busy' "$work/sent.y"
raw "$addr" call 17 topic=slow readQueueNums=1 writeQueueNums=1 perm=6 > "$work/slow" 2>&1
check "a topic that is not synced within 3 s: an error in words" grep -q '^code 1 .*not safe on the disk yet' "$work/slow"
let_go
check "afterwards all is well" sh -c "'$OUT/tests/mqraw' '$addr' send t 4 z | grep -c '^ok' | grep -qx 4"

# ---- a stop while connections wait ----
slow_down $pid 1000
raw "$addr" send t 1000 s 256 > "$work/sent.s" 2>&1 &
sender=$!
within 10 at_least sendWaitConnections 1
kill -TERM $pid
wait $sender
check "who waits while it stops hears so at once" grep -q '^no 14 service not available now. the broker stops' "$work/sent.s"
let_go
wait $pid; status=$?
check "and it stops as usual ($status)" [ $status = 0 ]
finish
