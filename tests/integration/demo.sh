#!/bin/sh
# The demo keeps its promises: it succeeds, and leaves neither a process nor a store behind. Needs a build: OUT.
cd "$(dirname "$0")/../.." || exit 2
out=${OUT:-build/release}
passed=0 failed=0
is() { if [ "$2" = "$3" ]; then passed=$((passed + 1)); echo "ok: $1"; else failed=$((failed + 1)); echo "FAILED: $1 (expected $2, got $3)"; fi; }
sh deploy/demo "$out"
is "the demo succeeds" 0 $?
left=0
for p in /proc/[0-9]*/cmdline; do tr '\0' ' ' <"$p" 2>/dev/null | grep -q -- "-c $(pwd)/$out/demo/" && left=$((left + 1)); done
is "nothing is left running" 0 $left
is "no store is left" 0 "$(ls -d "$out"/demo/store-* 2>/dev/null | wc -l)"
is "the logs are where it said" 4 "$(ls "$out"/demo/broker-?.log "$out"/demo/namesrv-?.log 2>/dev/null | wc -l)"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
