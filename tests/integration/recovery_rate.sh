#!/bin/sh
# recovery_rate.sh - `make bench-recovery` works: it makes a log, reads it as fast as it can, boots over all of it, and its figures are figures.
# How large they are is not looked at: that is the benchmark's, on a quiet machine.
. "$(dirname "$0")/lib.inc"

TMPDIR=$work MIB=64 ROUNDS=2 sh "$(dirname "$0")/../bench/recovery" "$OUT" > "$work/table.log" 2>&1
check "the benchmark of recovery ends well" [ $? = 0 ]
check "a row for each round, and the medians" [ "$(grep -c '^[12] \|^median ' "$work/table.log")" = 3 ]
check "all of the log is read" awk '$1 == 1 && $2 >= 50 && $2 <= 100 { good = 1 } END { exit !good }' "$work/table.log"
check "rates, ratio and CPU time are positive" \
    awk '$1 ~ /^[12]$/ { rows += $3 > 0 && $4 > 0 && $5 > 0 && $6 > 0 } END { exit rows != 2 }' "$work/table.log"
check "it leaves nothing" [ -z "$(ls -d "$work"/mq-recovery.* 2>/dev/null)" ]
rm -rf "$work/none"; mkdir "$work/none"
check "without a broker it fails" sh -c "! TMPDIR='$work' MIB=1 sh '$(dirname "$0")/../bench/recovery' '$work/none' > '$work/none.log' 2>&1"
rm -f "$work/none.log"
finish
