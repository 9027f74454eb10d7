#!/bin/sh
# nsload.sh - the load program for name servers against ours, small: every answer is the expected one, in both forms of a registration.
. "$(dirname "$0")/lib.inc"

"${CC:-cc}" -O1 -Wall -Wextra -Werror -o "$work/nsload" "$(dirname "$0")/../bench/nsload.c" -lz || exit 1
namesrv || exit 1
pid=$nspid

few="-p $port -P $pid -R 2 -c 3 -w 4 -d 0.2 -r 500 -g 50 -C 5"
# shellcheck disable=SC2086
{
check "plain registrations of 6 brokers, each topic on 3" "$work/nsload" $few -B 6 -T 200 -k 3
cp "$work/out" "$work/plain"
check "compressed ones of 5 brokers, all topics on all" "$work/nsload" $few -B 5 -T 100 -k 0 -z -q 4
}
field() { sed -n "s/^$1 .* $2=\([0-9.]*\).*/\1/p" "$work/plain"; }
check "each phase tells its line" [ "$(grep -c cpu_us= "$work/plain")" = 8 ]
check "six brokers register once at first" [ "$(sed -n 's/^first .*n=\([0-9]*\) .*/\1/p' "$work/plain")" = 6 ]
check "then twice with what is known" [ "$(sed -n 's/^same .*n=\([0-9]*\) .*/\1/p' "$work/plain")" = 12 ]
check "routes have a body" [ "$(field routes body)" -gt 300 ]
check "memory is read" [ "$(field routes rss_mb | cut -d. -f1)" -gt 0 ]
check "an unknown option is refused" sh -c "! '$work/nsload' -p $port -x"
stop $pid; status=$?
check "the name server stops as usual ($status)" [ $status = 0 ]
finish
