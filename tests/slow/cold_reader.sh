#!/bin/sh
# cold_reader.sh - a reader far behind, whose messages are no longer in memory, must not slow a producer down: the 99th percentile of a
# producer's latency (open loop, RATE=1000 a second) beside such a reader against the same without it, in PAIRS=5 pairs, by the medians.
# The old files of the log are thrown out of the page cache again and again (dd's nocache), so that each round of the reader finds them cold.
. "$(dirname "$0")/../integration/lib.inc"
RATE=${RATE:-1000} PAIRS=${PAIRS:-5}
load() { "$OUT/tests/loadgen" "$@" -j json -p "$port" -P "$pid"; }
value() { tr ' ' '\n' < "$1" | sed -n "s/^$2=\([0-9]*\).*/\1/p"; }
median() { sort -n | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }
disk_reads() { sed -n 's/^read_bytes: //p' "/proc/$pid/io"; }
chill() { for f in $old; do dd if="$f" iflag=nocache count=0 2>/dev/null; done; }

broker far mappedFileSizeCommitLog=33554432 fileReservedTime=72
load send -a cold -c 4 -w 8 -q 4 -N 120000 -W 0 -d 60 > "$work/filled" 2>&1
sleep 2 # until the last of it is on the disk: what is dirty can't be thrown out
old=$(ls "$work"/far/commitlog/* | head -n -2) # the newest is being written, and one behind it
check "the reader is at least two files behind ($(echo "$old" | wc -l))" [ "$(echo "$old" | wc -l)" -ge 2 ]
producer() { load send -a hot -c 1 -w 1 -q 4 -r "$RATE" -W 1 -d 4 > "$work/$1" 2>&1; value "$work/$1" p99_us >> "$work/$1.p99"; }
i=0
while [ $i -lt "$PAIRS" ]; do
    i=$((i + 1))
    producer alone
    chill
    before=$(disk_reads)
    load pull -a cold -c 1 -w 1 -q 4 -W 0 -d 6 > "$work/pulled" 2>&1 &
    reader=$!
    (while kill -0 $reader 2>/dev/null; do chill; sleep 0.2; done) &
    chiller=$!
    producer beside
    wait $reader $chiller
    mb=$((($(disk_reads) - before) >> 20))
    echo "      pair $i: alone $(tail -1 "$work/alone.p99") us, beside the reader $(tail -1 "$work/beside.p99") us; it read $mb MiB from the disk"
    echo $mb >> "$work/mb"
done
a=$(median < "$work/alone.p99") b=$(median < "$work/beside.p99")
check "the reader was cold ($(median < "$work/mb") MiB from the disk each time)" [ "$(median < "$work/mb")" -ge 32 ]
check "a producer's 99th percentile is at most twice what it is alone ($a us, $b us)" [ "$b" -le $((a * 2 + 200)) ]
stop $pid
finish
