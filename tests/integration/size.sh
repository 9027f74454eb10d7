#!/bin/sh
# size.sh - what a start costs must not grow with what was ever stored: a log of 1 TiB, made of sparse files with a record each, and
# the 1 GiB file of a small store, most of which nobody wrote.
. "$(dirname "$0")/lib.inc"

took() { sed -n 's/.*broker ready.*took_us=\([0-9]*\).*/\1/p' "$work/$1.log" | tail -1; }
best=999999999
keep_best() { t=$(took "$1"); [ "$t" -ge $best ] || best=$t; } # the figure is about the broker, not about what else the machine does

# ---- a small store in a full-size file, killed ----
broker small "namesrvAddr=" mappedFileSizeCommitLog=1073741824
raw "$addr" send kept 1 before > "$work/sent" 2>&1
check "a message is taken" grep -q '^ok' "$work/sent"
stop $pid
cp "$work/small/commitlog/00000000000000000000" "$work/first" 2>/dev/null # cp keeps holes
broker small
raw "$addr" send kept 200 more > "$work/sent" 2>&1
for i in 1 2 3; do
    kill -KILL $pid; wait $pid 2>/dev/null
    broker small
    keep_best small
done
[ -n "$slow" ] || check "a small store is ready within 100 ms after kill -9 ($best us)" [ $best -le 100000 ]
raw "$addr" read kept 1 > "$work/read" 2>&1
check "and has its messages" [ "$(sort -u "$work/read" | grep -c '^before-\|^more-')" -ge 50 ]
stop $pid

# ---- 1 TiB: file i holds the record of unit i and, but for the last, a BLANK over the rest ----
size=$(od -An -tu4 --endian=big -N4 "$work/first" | tr -d ' ')
octal() { od -An -v -to1 -w1 -j"$1" -N"$2" "$work/first" | sed 's/ */\\/' | tr -d '\n'; }
head=$(octal 0 20) mid=$(octal 36 20) now=$(octal 56 8) old=$(octal 40 8) rest=$(octal 64 $((size - 64)))
left=$((1073741824 - size))
blank=$(printf '\\%03o\\%03o\\%03o\\%03o' $((left >> 24)) $((left >> 16 & 255)) $((left >> 8 & 255)) $((left & 255)))'\313\324\061\224'
broker tera "namesrvAddr=" mappedFileSizeCommitLog=1073741824
stop $pid
rm -f "$work"/tera/commitlog/* "$work/tera/checkpoint"
i=0
while [ $i -lt 1024 ]; do
    where=$(printf '\\000\\000\\000\\%03o\\%03o\\000\\000\\000' $((i / 4)) $((i % 4 * 64)))
    nth=$(printf '\\000\\000\\000\\000\\000\\000\\%03o\\%03o' $((i / 256)) $((i % 256)))
    file=$work/tera/commitlog/$(printf %020d $((i * 1073741824)))
    if [ $i -lt 1023 ]; then printf "$head$nth$where$mid$old$rest$blank" > "$file"; else printf "$head$nth$where$mid$now$rest" > "$file"; fi
    i=$((i + 1))
done
truncate -s 1073741824 "$work"/tera/commitlog/*
broker tera # tells the queue of all of it
check "1,024 records in 1,024 files are found" [ "$(raw "$addr" call 30 topic=kept queueId=0 2>/dev/null | grep -c '^offset=1024')" = 1 ]
stop $pid
best=999999999
for i in 1 2 3; do broker tera; keep_best tera; stop $pid; done
[ -n "$slow" ] || check "a log of 1 TiB is ready within 250 ms after a clean stop ($best us)" [ $best -le 250000 ]
broker tera
best=999999999
for i in 1 2 3; do kill -KILL $pid; wait $pid 2>/dev/null; broker tera; keep_best tera; done
[ -n "$slow" ] || check "and within 250 ms after kill -9 ($best us)" [ $best -le 250000 ]
check "which keeps all" [ "$(raw "$addr" call 30 topic=kept queueId=0 2>/dev/null | grep -c '^offset=1024')" = 1 ]
check "and takes more" sh -c "'$OUT/tests/mqraw' $addr send kept 4 after | grep -q '^ok'"
stop $pid
finish
