#!/bin/sh
# What a reader would stumble on: marks of unfinished work, tabs in C, lines that are far too long, essays that are missing.
cd "$(dirname "$0")/../.." || exit 2
bad=0
say() { echo "$1"; bad=$((bad + 1)); }
marks=$(grep -rnIE '\b(TODO|FIXME|XXX|HACK)\b' --include='*.c' --include='*.h' --include='*.sh' --include=Makefile common namesrv broker filtersrv client tests deploy Makefile 2>/dev/null | grep -v '^tests/checks/' | grep -v 'SCHEDULE_TOPIC_XXXX')
[ -z "$marks" ] || say "unfinished: $marks"
for f in $(find common namesrv broker filtersrv client -name '*.c' -o -name '*.h' | sort); do
    case $(head -c 3 "$f") in '/* '*) ;; *) say "$f does not open with its essay or contract" ;; esac
    grep -qP '\t' "$f" && say "$f has tabs"
    awk -v f="$f" 'length($0) > 160 { printf "%s:%d: %d characters\n", f, NR, length($0); n++ } END { exit n > 0 }' "$f" || bad=$((bad + 1))
    lines=$(wc -l < "$f"); [ "$lines" -le 900 ] || say "$f has $lines lines: does it tell one story?"
done
[ $bad = 0 ]
