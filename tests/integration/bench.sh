#!/bin/sh
# cmq bench against real servers: its row parses, its counts add up with what the topic holds, nothing is lost, exit codes.
# Needs a build: OUT. The last line is "N passed, N failed".
set -u
cd "$(dirname "$0")/../.." || exit 2
out=$(cd "${OUT:-build/release}" && pwd) || exit 2
cmq=$out/cmq
tmp=$(mktemp -d) || exit 2
export TMPDIR="$tmp" NO_COLOR=1
unset NAMESRV_ADDR
passed=0 failed=0 up=
trap 'rc=$?; [ -z "$up" ] || { kill -TERM $up; wait $up; } 2>/dev/null; rm -rf "$tmp"; exit $rc' EXIT
trap 'exit 130' INT TERM HUP

ok() { passed=$((passed + 1)); echo "ok: $1"; }
bad() { failed=$((failed + 1)); echo "FAILED: $1"; [ -z "${2:-}" ] || printf '%s\n' "$2" | sed 's/^/    /'; }
same() { if [ "$2" = "$3" ]; then ok "$1"; else bad "$1" "expected: $2
got: $3
stderr: $stderr"; fi; }
has() { case $3 in *"$2"*) ok "$1" ;; *) bad "$1" "expected to contain: $2
got: $3" ;; esac; }
least() { if [ "$3" -ge "$2" ]; then ok "$1"; else bad "$1" "expected at least $2, got $3"; fi; }
run() { # words...: sets rc, stdout, stderr
    "$cmq" bench "$@" >"$tmp/stdout" 2>"$tmp/stderr" </dev/null
    rc=$?
    stdout=$(cat "$tmp/stdout") stderr=$(cat "$tmp/stderr")
}
cell() { # name: of the row in CSV
    printf '%s\n' "$stdout" | awk -F, -v name="$1" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) at = i } NR == 2 { print $at }'
}
holds() { # topic: messages in it
    "$cmq" topic status "$1" -o csv | tail -n +2 | awk -F, '{ n += $5 } END { print n + 0 }'
}

echo "--- usage"
stderr=
run; same "bench alone" 2 $rc; has "shows its kinds" "cmq bench e2e" "$stderr"
run send --rate 0; same "a rate of 0" 2 $rc; has "names the bounds" "from 1 to 10000000" "$stderr"
run send --sync --inflight 4; same "contradictions" 2 $rc
run send --sync --batch 4; same "one more" 2 $rc
run e2e --size 8; same "a body that cannot carry its number" 2 $rc
run e2e --rate 10000000 --duration 86400; same "more messages than can be counted" 2 $rc

echo "--- nobody there"
for kind in send consume e2e; do
    run $kind -n 127.0.0.1:1 --timeout 500 --duration 1; same "$kind without servers" 3 $rc; same "prints no row" "" "$stdout"
done

echo "--- with servers"
"$cmq" up --groups 2 -o csv >"$tmp/up.csv" 2>"$tmp/up.err" &
up=$!
n=600
until grep -qs Ready "$tmp/up.err"; do n=$((n - 1)); [ $n -gt 0 ] || { cat "$tmp/up.err"; echo "$passed passed, $((failed + 1)) failed"; exit 1; }; sleep 0.05; done
NAMESRV_ADDR=$(sed -n "s/.*export NAMESRV_ADDR='\(.*\)'/\1/p" "$tmp/up.err"); export NAMESRV_ADDR

run consume --topic Absent; same "consume makes no topic" 1 $rc; has "says how to" "cmq topic create Absent" "$stderr"
run send --topic A --count 5000 -o csv; same "send, closed loop" 0 $rc; has "makes its topic and says so" "Made the topic A" "$stderr"
same "sends --count messages" 5000 "$(cell messages)"; same "none fails" 0 "$(cell failed)"
same "and the topic holds them" 5000 "$(holds A)"
least "the median is known" 1 "$(cell p50Micros)"
least "p99 is not less" "$(cell p50Micros)" "$(cell p99Micros)"
least "and the largest not less than that" "$(cell p99Micros)" "$(cell maxMicros)"
run send --topic A --count 1003 --inflight 7 --threads 3 -o csv; same "three producers share --count" 1003 "$(cell messages)"
run send --topic A --count 101 --batch 32 -o csv; same "batches, the last one shorter" 101 "$(cell messages)"
run send --topic A --count 50 --sync -o csv; same "one after the other" 50 "$(cell messages)"
run send --topic A --count 90 --batch 20 --rate 2000 -o csv; same "batches at a rate" 90 "$(cell messages)"
run send --topic A --count 300 --rate 1000 -o csv; same "open loop" 300 "$(cell messages)"
least "takes the time that the rate says" 295 "$(cell elapsedMillis)"
same "the topic holds all of it" 6544 "$(holds A)"
run consume --topic A --count 6544 -o csv; same "consume" 0 $rc; same "gets all" 6544 "$(cell messages)"
same "their bytes are counted" 0 "$((6544 * 128 * 1000 / ($(cell elapsedMillis) + 1) > $(cell bytesPerSecond) * 11 / 10))"
run consume --topic A --count 1 --idle 1500; same "a second run finds nothing more" 1 $rc; same "and prints no row" "" "$stdout"
run send --topic A --count 10 --sync
run consume --topic A --count 20 --idle 2500 --poll -o csv; same "fewer than --count" 4 $rc; same "are told" 10 "$(cell messages)"

run send --topic A --duration 1 --warmup 1 --rate 500 -o csv; same "a second of warm-up is left out" 500 "$(cell messages)"
same "but was sent" $((6554 + 1000)) "$(holds A)"

run e2e --topic B --rate 1000 --duration 1 --warmup 1 -o json; same "e2e" 0 $rc
has "every message arrives" '"messages":1000,' "$stdout"; has "none is lost" '"lost":0,' "$stdout"; has "none comes twice" '"duplicates":0,' "$stdout"
if command -v python3 >/dev/null 2>&1; then
    if python3 -c 'import json, sys; r = json.load(open(sys.argv[1])); assert len(r) == 1 and r[0]["test"] == "e2e" and r[0]["p50Micros"] <= r[0]["maxMicros"]' "$tmp/stdout"
    then ok "its JSON parses"; else bad "its JSON parses" "$stdout"; fi
fi
run e2e --topic B --count 500 --rate 5000 --poll --threads 2 -o csv; same "e2e with poll: what was there before does not count" "500 0" "$(cell messages) $(cell lost)"
run e2e --topic B --count 20 --rate 100 --delete; same "--delete" 0 $rc
"$cmq" topic route B >/dev/null 2>&1; same "deletes the topic" 1 $?
"$cmq" bench send --topic A --duration 60 -o csv >"$tmp/stdout" 2>"$tmp/stderr" &
pid=$!
sleep 2; kill -INT $pid; wait $pid; same "an interrupt ends the measurement" 0 $?
stdout=$(cat "$tmp/stdout"); least "which is shown" 1 "$(cell messages)"

echo "--- servers that go away"
"$cmq" bench send --topic A --duration 4 --timeout 500 -o csv >"$tmp/stdout" 2>"$tmp/stderr" &
pid=$!
sleep 2.5; kill -TERM $up; wait $up; up=
wait $pid; same "are a measurement with failures" 4 $?
stdout=$(cat "$tmp/stdout"); least "which are counted" 1 "$(cell failed)"; has "and named" "CMQ_ERR_" "$(cell errors)"

echo "$passed passed, $failed failed"
[ $failed = 0 ]
