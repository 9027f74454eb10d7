#!/bin/sh
# `make install` into an empty root: what is there, and whether a stranger's program compiles, links and works against it.
# Needs a build: OUT. The last line is "N passed, N failed".
set -u
cd "$(dirname "$0")/../.." || exit 2
out=${OUT:-build/release}
mode=$(basename "$out")
tmp=$(mktemp -d) || exit 2
root=$tmp/root usr=$tmp/root/usr
passed=0 failed=0 up=
trap 'rc=$?; [ -z "$up" ] || { kill -TERM $up; wait $up; } 2>/dev/null; rm -rf "$tmp"; exit $rc' EXIT
trap 'exit 130' INT TERM HUP

ok() { passed=$((passed + 1)); echo "ok: $1"; }
bad() { failed=$((failed + 1)); echo "FAILED: $1"; [ -z "${2:-}" ] || printf '%s\n' "$2" | sed 's/^/    /'; }
works() { # name command...
    name=$1; shift
    if "$@" >"$tmp/said" 2>&1; then ok "$name"; else bad "$name" "$(tail -n 20 "$tmp/said")"; fi
}

works "make install DESTDIR=... PREFIX=/usr" make -s OUT="$out" MODE="$mode" DESTDIR="$root" PREFIX=/usr install
for f in bin/mqnamesrv bin/mqbroker bin/cmq bin/mqadmin lib/libcmq.a lib/libcmq.so lib/libcmq.so.1 lib/pkgconfig/libcmq.pc include/cmq.h \
    lib/systemd/system/mqnamesrv.service lib/systemd/system/mqbroker@.service lib/sysusers.d/cometmq.conf \
    share/man/man1/cmq.1 share/man/man1/mqadmin.1 share/man/man3/cmq.3 share/man/man5/cmq.5 share/man/man8/mqnamesrv.8 share/man/man8/mqbroker.8 \
    share/bash-completion/completions/cmq share/zsh/site-functions/_cmq share/fish/vendor_completions.d/cmq.fish share/cometmq/conf/namesrv.properties share/cometmq/conf/2m-noslave/broker-a.properties share/cometmq/conf/2m-2s-async/broker-b-s.properties \
    share/cometmq/conf/2m-2s-sync/broker-a.properties; do
    if [ -s "$usr/$f" ]; then ok "$f"; else bad "$f is missing or empty"; fi
done
left=$(grep -rIl '@[A-Z]*@' "$root" | grep -v '/cmq.h$')
if [ -z "$left" ]; then ok "no placeholder is left"; else bad "no placeholder is left" "$left"; fi
grep -q '^ExecStart=/usr/bin/mqbroker -c' "$usr/lib/systemd/system/mqbroker@.service" && ok "the unit starts what was installed" || bad "the unit starts what was installed"
for f in "$usr"/share/cometmq/conf/*/*.properties "$usr"/share/cometmq/conf/*.properties; do
    case $f in *namesrv.properties) p=mqnamesrv ;; *-s.properties) continue ;; *) p=mqbroker ;; esac # slaves: not in this version
    works "$p accepts $(basename "$(dirname "$f")")/$(basename "$f")" "$usr/bin/$p" -c "$f" -p
    if grep -q unknown "$tmp/said"; then bad "$f has only keys that exist" "$(grep unknown "$tmp/said")"; fi
done

# ---- a stranger's program ----
export PKG_CONFIG_PATH="$usr/lib/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$root" PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 PKG_CONFIG_ALLOW_SYSTEM_LIBS=1
works "pkg-config finds libcmq" pkg-config --exists --print-errors libcmq
[ "$(pkg-config --modversion libcmq)" = "$(cat VERSION)" ] && ok "in this version" || bad "in this version"
flags=$(pkg-config --cflags --libs libcmq)
case $mode in asan) flags="$flags -fsanitize=address,undefined" ;; tsan) flags="$flags -fsanitize=thread" ;; esac
export LD_LIBRARY_PATH="$usr/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
for f in client/examples/*.c; do
    n=$(basename "$f" .c)
    # shellcheck disable=SC2086
    works "$n.c compiles and links" ${CC:-gcc} -std=c11 -Wall -Wextra -Werror "$f" $flags -o "$tmp/$n"
done
cp client/examples/producer.c "$tmp/static.c"
printf 'void buf_free(void);\nvoid buf_free(void) {}\nint log_lowest = 1;\n' >>"$tmp/static.c" # names that are ours inside
static=$(PKG_CONFIG_SYSROOT_DIR='' pkg-config --static --libs libcmq | sed 's/-L[^ ]* //g; s/-lcmq//')
# shellcheck disable=SC2086
works "and with the static library" ${CC:-gcc} -std=c11 $(pkg-config --cflags libcmq) "$tmp/static.c" "$usr/lib/libcmq.a" $static ${flags##*-lcmq} -o "$tmp/static"
printf '#include <cmq.h>\nint main() { cmq_error err; (void)err; return cmq_version()[0] == 0; }\n' >"$tmp/plus.cc"
# shellcheck disable=SC2086
if command -v g++ >/dev/null 2>&1; then works "the header is C++" g++ -std=c++11 -Wall -Wextra -Wpedantic -Werror "$tmp/plus.cc" $flags -o "$tmp/plus"; fi
printf '#include <cmq.h>\nint main(void) { return cmq_version()[0] == 0; }\n' >"$tmp/plain.c"
# shellcheck disable=SC2086
works "and plain C99" ${CC:-gcc} -std=c99 -Wall -Wextra -Wpedantic -Werror "$tmp/plain.c" $flags -o "$tmp/plain"
nm -D --defined-only "$usr/lib/libcmq.so.1" | awk '$2 == "T" { sub(/@.*/, "", $3); print $3 }' | sort -u >"$tmp/exported"
${CC:-gcc} -E -P client/include/cmq.h | tr '\n' ' ' | tr ';' '\n' | grep 'visibility("default")' | grep -o 'cmq_[a-z0-9_]* *(' | grep -v '_fn *(' | tr -d ' (' | sort -u >"$tmp/declared"
if [ "$(wc -l <"$tmp/declared")" -lt 60 ]; then bad "the header's functions were found" "$(cat "$tmp/declared")"; fi
absent=$(comm -13 "$tmp/exported" "$tmp/declared")
if [ -z "$absent" ]; then ok "the shared library has all functions of the header"; else bad "the shared library lacks" "$absent"; fi
strange=$(grep -v '^cmq_' "$tmp/exported")
if [ -z "$strange" ]; then ok "and exports nothing else"; else bad "the shared library also exports" "$strange"; fi
nm -g --defined-only "$usr/lib/libcmq.a" | awk 'NF == 3 { print $3 }' | sort -u >"$tmp/exported"
absent=$(comm -13 "$tmp/exported" "$tmp/declared")
if [ -z "$absent" ]; then ok "so has the static library"; else bad "the static library lacks" "$absent"; fi
strange=$(grep -v -e '^cmq_' -e '^__[at]san_' -e '^__odr_asan' "$tmp/exported")
if [ -z "$strange" ]; then ok "and its own names are its own"; else bad "the static library also exports" "$strange"; fi

# ---- it works from there ----
mkdir "$tmp/tmp"
TMPDIR=$tmp/tmp "$usr/bin/cmq" up -o csv >"$tmp/up.csv" 2>"$tmp/up.err" &
up=$!
n=600
until grep -qs Ready "$tmp/up.err"; do n=$((n - 1)); [ $n -gt 0 ] || break; sleep 0.05; done
addr=$(sed -n "s/.*export NAMESRV_ADDR='\(.*\)'/\1/p" "$tmp/up.err")
if [ -n "$addr" ]; then ok "the installed cmq up finds the installed servers"; else bad "the installed cmq up finds the installed servers" "$(cat "$tmp/up.err")"; fi
works "the example sends" "$tmp/producer" "$addr" Orders 10
works "also when linked statically" "$tmp/static" "$addr" Orders 10
"$usr/bin/cmq" tail Orders -n "$addr" --from first --idle 1000 -o csv >"$tmp/got" 2>/dev/null
got=$(($(wc -l <"$tmp/got") - 1))
if [ $got -ge 20 ]; then ok "and its messages arrive"; else bad "and its messages arrive" "$got lines"; fi
kill -TERM $up; wait $up; rc=$?; up=
[ $rc = 0 ] && ok "it stops" || bad "it stops" "exit $rc"

echo "$passed passed, $failed failed"
[ $failed = 0 ]
