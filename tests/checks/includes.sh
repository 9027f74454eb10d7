#!/bin/sh
# Fails on an #include against the arrows of docs/ARCHITECTURE.md, and on an include that is not written from the root.
# One row per folder: what it may include besides itself. Prefixes; the longest matching folder counts.
cd "$(dirname "$0")/../.." || exit 2
B=common/base/ P=common/protocol/
ALL="$B $P common/conf/ common/filter/ common/security/ common/loop/ common/remoting/"
PARTS="broker/store/ broker/metadata/ broker/session/ broker/longpoll/ broker/ack/ broker/stats/ broker/schedule/ broker/transaction/ broker/filter/"
rules="
common/base/:
common/protocol/:$B
common/conf/:$B $P
common/filter/:$B $P common/conf/
common/security/:$B $P common/conf/ common/filter/
common/loop/:$B $P common/conf/
common/remoting/:$B $P common/conf/ common/loop/
namesrv/:$ALL
namesrv/route/:$B $P
namesrv/kvconfig/:$B $P
namesrv/processor/:$B $P common/conf/ namesrv/
broker/:$ALL
broker/store/:$B $P
broker/dispatch/:$B $P broker/store/
broker/ha/:$B $P broker/store/
broker/metadata/:$B $P broker/store/
broker/session/:$B $P
broker/longpoll/:$B $P
broker/ack/:$B $P
broker/stats/:$B $P
broker/schedule/:$B $P broker/store/ broker/metadata/
broker/transaction/:$B $P broker/store/ broker/metadata/ broker/session/
broker/filter/:$B $P common/filter/ broker/metadata/ broker/session/
broker/processor/:$B $P common/conf/ common/filter/ $PARTS broker/config.h
broker/outward/:$ALL $PARTS broker/config.h
filtersrv/:$ALL client/include/
client/:$ALL
"
printf '%s\n' "$rules" > "${TMPDIR:-/tmp}/rules.$$"
trap 'rm -f "${TMPDIR:-/tmp}/rules.$$"' EXIT
find common namesrv broker filtersrv client \( -name '*.c' -o -name '*.h' \) -not -path '*/examples/*' | sort | xargs grep -nH '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' |
awk -v rules="${TMPDIR:-/tmp}/rules.$$" '
BEGIN { while ((getline line < rules) > 0) if (line != "") { i = index(line, ":"); allow[substr(line, 1, i - 1)] = substr(line, i + 1) } }
{
    split($0, part, ":"); file = part[1]; line_no = part[2]
    match($0, /"[^"]*"/); inc = substr($0, RSTART + 1, RLENGTH - 2)
    folder = ""
    for (f in allow) if (index(file, f) == 1 && length(f) > length(folder)) folder = f
    if (folder == "") next
    own = file; sub(/[^\/]*$/, "", own)
    ok = index(inc, folder) == 1 || index(inc, own) == 1
    n = split(allow[folder], may, " ")
    for (i = 1; i <= n; i++) if (index(inc, may[i]) == 1) ok = 1
    if (inc !~ /\//) { ok = system("test -f " own inc) == 0 && 0 }
    if (folder == "broker/" && index(inc, "broker/") == 1) ok = 1
    n_checked++
    if (!ok) { printf "%s:%s: may not include \"%s\"\n", file, line_no, inc; bad++ }
}
END { if (n_checked == 0) { print "nothing was checked"; exit 1 } printf "%d includes, %d against the arrows\n", n_checked, bad; exit bad > 0 }'
