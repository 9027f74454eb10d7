#!/bin/sh
# disk_full.sh - a full disk: sends are refused with path and figure, reads go on, sends resume when there is room.
. "$(dirname "$0")/lib.inc"
mkdir "$work/disk"
if ! mount -t tmpfs -o size=48m tmpfs "$work/disk" 2>/dev/null; then
    skip "a full disk: no small file system may be mounted here"
    echo "$passed passed, $failed failed, $skipped skipped"
    exit 0
fi
mounted=$work/disk
broker full "storePathRootDir=$work/disk/store" mappedFileSizeCommitLog=1048576 mappedFileSizeConsumeQueue=20000 messageIndexEnable=false \
    cleanFileForciblyEnable=false
raw "$addr" send t 1000 first 16 > "$work/sent" 2>&1
check "there is room: all is taken" [ "$(grep -c '^ok' "$work/sent")" = 1000 ]
dd if=/dev/zero of="$work/disk/ballast" bs=1M count=64 2>/dev/null # until nothing is left
refused() { raw "$addr" send t 4000 "more$1" 16 > "$work/more" 2>&1; grep '^ok' "$work/more" >> "$work/sent"; grep -q '^no 14 ' "$work/more"; }
n=0
full() { n=$((n + 1)); refused $n; }
check "a full disk: sends are refused with SERVICE_NOT_AVAILABLE" within 20 full
check "the words name the path" sh -c "grep '^no 14 ' '$work/more' | tail -1 | grep -qE 'commitlog|consumequeue'"
check "and how full it is" sh -c "grep '^no 14 ' '$work/more' | tail -1 | grep -q '[0-9]'"
check "the broker lives" kill -0 $pid
lost() { sed -n 's/^ok //p' "$work/sent" | sort > "$work/acked"; raw "$addr" read t 4 | sort > "$work/found"; comm -23 "$work/acked" "$work/found" | wc -l; }
check "reads go on, and all that was taken is there" [ "$(lost)" = 0 ]
rm "$work/disk/ballast"
taken() { raw "$addr" send t 4 room > "$work/room" 2>&1; [ "$(grep -c '^ok' "$work/room")" = 4 ]; }
check "sends resume when there is room" within 30 taken
stop $pid; status=$?
check "and it stops as usual ($status)" [ $status = 0 ]
finish
