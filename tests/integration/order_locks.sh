#!/bin/sh
# order_locks.sh - the owners of queues outlive the broker's process: kill -9 and a clean stop change none of them, and a table that cannot
# be read makes nobody an owner.
. "$(dirname "$0")/lib.inc"

want() { # client queue ...
    client=$1; shift
    set=
    for q; do set="$set${set:+,}{\"brokerName\":\"b\",\"queueId\":$q,\"topic\":\"T\"}"; done
    printf '{"clientId":"%s","consumerGroup":"g","mqSet":[%s]}' "$client" "$set"
}
ask() { raw "$addr" call 41 -b "$(want "$@")"; }
given() { ask "$@" | grep -o '"queueId":[0-9]*' | tr -dc '0-9\n' | tr '\n' ' '; }
is() { [ "$1" = "$2" ]; }

broker b
check "who asks first is the owner" is "$(given one 0 1 2)" "0 1 2 "
check "nobody else is" is "$(given two 0 3)" "3 "
kill -KILL $pid; wait $pid 2>/dev/null
broker b
check "after kill -9 another one still gets nothing" is "$(given two 0 1 2)" ""
check "and the owners go on at once" is "$(given one 0 1 2 3)" "0 1 2 "
check "both of them" is "$(given two 3)" "3 "
raw "$addr" call 42 -b "$(want one 0)" > "$work/said"
check "what was given back is another's" is "$(given two 0)" "0 "
stop $pid
broker b
check "after a clean stop, too, the owners are those of before" is "$(given one 0 1 2 3)" "1 2 "
stop $pid

echo '{"lockTable":[{' > "$work/b/config/queueLocks.json"
cp "$work/b/config/queueLocks.json" "$work/b/config/queueLocks.json.bak"
broker b
check "with a table that cannot be read nobody becomes an owner yet" is "$(given three 0 1 2 3 4)" ""
check "and the log says so" grep -q 'WARN broker who held queue locks is not known' "$work/b.log"
finish
