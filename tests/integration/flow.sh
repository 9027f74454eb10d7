#!/bin/sh
# flow.sh - more sends than the disk takes at once, and settings that change meanwhile: nobody is refused, order survives, the name
# servers hear what changed.
. "$(dirname "$0")/lib.inc"

# ---- files of the log so small that a next one is needed hundreds of times a second ----
broker small mappedFileSizeCommitLog=262144 mappedFileSizeConsumeQueue=20000
n=20000
[ -z "$slow" ] || n=4000
senders=
for s in a b c; do
    raw "$addr" send t $n $s 256 > "$work/sent.$s" 2>&1 &
    senders="$senders $!"
done
for s in $senders; do wait "$s"; done
check "three senders with 256 sends on their way each: all is taken" [ "$(cat "$work"/sent.? | grep -c '^ok')" = $((3 * n)) ]
raw "$addr" read t 4 > "$work/read"
check "all is read back, once" [ "$(sort -u "$work/read" | wc -l)" = $((3 * n)) ]
# lines "SENDER-NUMBER QUEUE OFFSET" come in the order of offsets within a queue
swapped() { awk '{split($1, p, "-"); k = p[1] " " $2; if (k in last && p[2] + 0 < last[k]) n++; last[k] = p[2] + 0} END {print n + 0}' "$1"; }
check "in each queue, each sender's messages are in the order of sending ($(swapped "$work/read") are not)" [ "$(swapped "$work/read")" = 0 ]
files=$(ls "$work/small/commitlog" | wc -l)
check "the log has many files ($files)" [ "$files" -gt 3 ]
stop $pid; status=$?
check "it stops as usual ($status)" [ $status = 0 ]

# ---- more connections than descriptors ----
run_limited() { (ulimit -n "$1" && exec timeout 10 "$OUT/mqbroker" -c "$work/small.conf" > "$work/said" 2>&1); }
run_limited 1000
check "too few descriptors for the store: refused in words" grep -q 'at least 1024 are needed' "$work/said"
free_port
sed "s|^listenPort=.*|listenPort=$port|; s|/small\$|/few|" "$work/small.conf" > "$work/few.conf"
(ulimit -n 1024 && exec "$OUT/mqbroker" -c "$work/few.conf") >>"$work/few.log" 2>&1 &
pid=$!
pids="$pids $pid"
addr=127.0.0.1:$port
within 10 accepts "$port"
raw "$addr" send busy $n x 16 > "$work/sent.x" 2>&1 &
sender=$!
within 10 grep -q '^ok' "$work/sent.x" # it is connected
"$OUT/tests/mqraw" "$addr" hold 800 > "$work/held" 2>&1 &
holder=$!
pids="$pids $holder"
within 10 grep -q held "$work/held"
check "the log says so" within 10 grep -q 'WARN server accepting pauses' "$work/few.log"
wait $sender
check "who was there is served while accepting pauses" [ "$(grep -c '^ok' "$work/sent.x")" = "$n" ]
kill $holder; wait $holder 2>/dev/null
check "and who comes later, when others have gone" within 5 raw "$addr" call 28
stop $pid; status=$?
check "the store did not notice ($status)" [ $status = 0 ]

# ---- settings that change while it runs ----
namesrv
broker live "namesrvAddr=$ns" configBlackList=regionId
raw "$addr" call 17 topic=t readQueueNums=4 writeQueueNums=4 perm=6 defaultTopic=TBW102 topicFilterType=SINGLE_TAG order=false >/dev/null
set_to() { raw "$addr" call 25 -b "$1" > "$work/set" 2>&1; }
shown() { raw "$addr" call 26 > "$work/config" 2>&1; grep -q "^$1\$" "$work/config"; }
route_says() { raw "$ns" call 105 topic=t > "$work/route" 2>&1; grep -q "$1" "$work/route"; }
check "a live key is taken" set_to maxMsgsNumBatch=17
check "and shown" shown maxMsgsNumBatch=17
check "a bad value is refused" sh -c "! '$OUT/tests/mqraw' '$addr' call 25 -b maxMsgsNumBatch=x"
check "and changes nothing" shown maxMsgsNumBatch=17
set_to listenPort=1
check "a key that is read at the start only is refused with 16" grep -q '^code 16' "$work/set"
set_to regionId=x
check "a key on the black list, too" grep -q '^code 16' "$work/set"
set_to brokerPermission=4
check "a broker that may no longer be written to tells the name servers" within 5 route_says '"perm":4'
set_to logLevel=error
raw "$addr" call 200 -b '{"groupName":"unheard"}' >/dev/null
check "logLevel=error silences the rest" sh -c "! grep -q 'created group=unheard' '$work/live.log'"
finish
