#!/bin/sh
# Every header compiles alone, and the public one also as C++.
cd "$(dirname "$0")/../.." || exit 2
flags="-std=c11 -D_GNU_SOURCE -I. -fsyntax-only $(pkg-config --cflags jansson libevent)"
bad=0 n=0
for h in $(find common namesrv broker filtersrv client tests/lib -name '*.h' | sort); do
    n=$((n + 1))
    # shellcheck disable=SC2086
    ${CC:-gcc} $flags -x c "$h" || { echo "$h does not compile alone"; bad=$((bad + 1)); }
done
if command -v g++ >/dev/null 2>&1; then
    for h in client/include/*.h; do
        [ -f "$h" ] || continue
        n=$((n + 1))
        g++ -std=c++17 -fsyntax-only -x c++ "$h" || { echo "$h is not C++"; bad=$((bad + 1)); }
    done
fi
echo "$((n - bad)) passed, $bad failed"
[ $bad = 0 ]
