#!/bin/sh
# Fails when docs/config.md or a manual page is not what `make docs` makes of the tables. Needs a build: OUT.
cd "$(dirname "$0")/../.." || exit 2
out=${OUT:-build/release}
[ -x "$out/cmq" ] || { echo "$out/cmq is missing: run make first"; exit 1; }
tmp=$(mktemp -d) || exit 2
trap 'rm -rf "$tmp"' EXIT
make -s OUT="$out" MODE="$(basename "$out")" DOCS_TO="$tmp" docs || exit 1
bad=0 n=0
for f in config.md man/cmq.1 man/mqadmin.1 man/cmq.5 man/mqnamesrv.8 man/mqbroker.8; do
    n=$((n + 1))
    cmp -s "$tmp/$f" "docs/$f" && continue
    echo "docs/$f is stale: run make docs"
    diff "docs/$f" "$tmp/$f" 2>&1 | head -10
    bad=$((bad + 1))
done
echo "$((n - bad)) passed, $bad failed"
[ $bad = 0 ]
