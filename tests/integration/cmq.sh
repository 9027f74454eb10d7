#!/bin/sh
# The command line against a real cluster: what it prints where, its exit codes, and that `cmq up` leaves nothing behind.
# Needs a build: OUT. Each line of the story is one assertion; the last line is "N passed, N failed".
set -u
cd "$(dirname "$0")/../.." || exit 2
out=$(cd "${OUT:-build/release}" && pwd) || exit 2
cmq=$out/cmq
tmp=$(mktemp -d) || exit 2
mkdir "$tmp/tmp"
export TMPDIR="$tmp/tmp" NO_COLOR=1
unset NAMESRV_ADDR
passed=0 failed=0 skipped=0 up= up_rc= pids= left=
trap 'rc=$?; [ -z "$up" ] || { kill -TERM $up; wait $up; } 2>/dev/null; rm -rf "$tmp"; exit $rc' EXIT
trap 'exit 130' INT TERM HUP

ok() { passed=$((passed + 1)); echo "ok: $1"; }
bad() { failed=$((failed + 1)); echo "FAILED: $1"; [ -z "${2:-}" ] || printf '%s\n' "$2" | sed 's/^/    /'; }
same() { if [ "$2" = "$3" ]; then ok "$1"; else bad "$1" "expected: $2
got: $3"; fi; }
has() { case $3 in *"$2"*) ok "$1" ;; *) bad "$1" "expected to contain: $2
got: $3" ;; esac; }
hasnt() { case $3 in *"$2"*) bad "$1" "must not contain: $2
got: $3" ;; *) ok "$1" ;; esac; }
run() { # words...: sets rc, stdout, stderr
    "$cmq" "$@" >"$tmp/stdout" 2>"$tmp/stderr" </dev/null
    rc=$?
    stdout=$(cat "$tmp/stdout") stderr=$(cat "$tmp/stderr")
}
gone() { # pid...: none of them runs, within 5 s
    n=100
    while :; do
        left=
        for p in "$@"; do [ -d "/proc/$p" ] && ! grep -q '^State:.Z' "/proc/$p/status" 2>/dev/null && left="$left $p"; done
        [ -n "$left" ] && [ $n -gt 0 ] || break
        n=$((n - 1))
        sleep 0.05
    done
    [ -z "$left" ]
}
until_true() { # seconds command...
    n=$(($1 * 20)); shift
    until "$@"; do n=$((n - 1)); [ $n -gt 0 ] || return 1; sleep 0.05; done
}
start_up() { # options: a cluster in the background; sets up, addrs, pids
    rm -f "$tmp/up.csv" "$tmp/up.err" # the last one's words would count as this one's
    "$cmq" up -o csv "$@" >"$tmp/up.csv" 2>"$tmp/up.err" &
    up=$!
    until_true 30 grep -qs "Ready" "$tmp/up.err" || { bad "up $* becomes ready" "$(cat "$tmp/up.err")"; return 1; }
    addrs=$(sed -n "s/.*export NAMESRV_ADDR='\(.*\)'/\1/p" "$tmp/up.err")
    pids=$(tail -n +2 "$tmp/up.csv" | cut -d, -f3 | tr '\n' ' ')
}
stop_up() { kill -"${1:-TERM}" $up; wait $up; up_rc=$?; up=; }

echo "--- usage"
run; same "no command is a usage error" 2 $rc; has "and the list goes to standard error" "topic create TOPIC" "$stderr"
same "and nothing to standard output" "" "$stdout"
run help; same "help succeeds" 0 $rc; has "on standard output" "tail TOPIC" "$stdout"
run topci list; same "an unknown command" 2 $rc; has "is met with a guess" "Did you mean topic?" "$stderr"
run topic; same "half a command" 2 $rc; has "shows the other half" "cmq topic status TOPIC" "$stderr"
run send Orders; same "a missing word" 2 $rc; has "shows the usage" "Usage: cmq send TOPIC TEXT" "$stderr"
run send Orders a b; same "a word too many" 2 $rc
run topic list --nope; same "an unknown option" 2 $rc; has "is named" "--nope" "$stderr"
run topic list -o xml; same "an unknown format" 2 $rc; has "names those there are" "table json csv" "$stderr"
run topic create T --queues 0; same "a number out of bounds" 2 $rc; has "names the bounds" "from 1 to 65536" "$stderr"
run tail T --sql 'a >'; same "an expression that does not compile" 2 $rc; has "is told where" "at the end: a value expected" "$stderr"
run tail T --sql 'a > 5' --filter x; same "tags and an expression" 2 $rc
run send T x --transaction maybe; same "a decision that is none" 2 $rc; has "is named" "maybe" "$stderr"
run send T x --transaction commit --delay-level 3; same "a transaction is not delayed" 2 $rc
run tail T --from yesterday; same "a strange time" 2 $rc
run topic list -n "a b"; same "an address that is none" 2 $rc
run topic list --set noSuchKey=1; same "an unknown setting" 2 $rc; has "is named" "noSuchKey" "$stderr"
run mqadmin; same "mqadmin alone" 0 $rc; has "lists its commands" "   clusterList  " "$stdout"
run mqadmin noSuch; same "one that there is not" "0 The sub command noSuch not exist." "$rc $stdout"
run mqadmin topicRoute; same "a missing option" 1 $rc; has "prints Apache's usage" "usage: mqadmin topicRoute [-h] [-l] [-n <arg>] -t <arg>" "$stdout"
run mqadmin updateTopic -t T -b a:1 -c b; same "two options of which one may be there" 1 $rc
run mqadmin help UPDATETOPIC; same "help of a command, in any case" 0 $rc
has "names what has to be there" "usage: mqadmin updateTopic -b <arg> | -c <arg>" "$stdout"
run mqadmin topicList -n 127.0.0.1:1; same "what fails, ends as Apache's does" "0 " "$rc $stdout"; has "and is said" "mqadmin topicList: command failed" "$stderr"
run mqadmin topicList -n nowhere; same "so does an address that is none" "0 " "$rc $stdout"; has "which is named" "nowhere" "$stderr"
ln -s "$cmq" "$tmp/mqadmin"; same "it has a name of its own" "The sub command noSuch not exist." "$("$tmp/mqadmin" noSuch)"
run man mqadmin; same "its manual page" 0 $rc; has "has all commands" ".SS skipAccumulatedMessage" "$stdout"
run man nothing; same "no other page" 2 $rc
for c in $("$cmq" help | sed -n 's/^  \([a-z][a-z]*\) .*/\1/p' | sort -u); do
    run help "$c"; same "help $c" 0 $rc
done
run version; same "version" "cmq $(cat VERSION)" "$stdout"
for s in bash zsh fish; do run completion $s; same "completion for $s" 0 $rc; has "knows topic status" "status" "$stdout"; done
if command -v bash >/dev/null 2>&1; then
    "$cmq" completion bash >"$tmp/completion"
    words=$(bash -c '. "$1"; COMP_WORDS=(cmq topic cr); COMP_CWORD=2; _cmq; echo "${COMPREPLY[*]}"' bash "$tmp/completion")
    same "bash completes a command's second word" create "$words"
    words=$(bash -c '. "$1"; COMP_WORDS=(cmq topic list -o j); COMP_CWORD=4; _cmq; echo "${COMPREPLY[*]}"' bash "$tmp/completion")
    same "and an option's value" json "$words"
    words=$(bash -c '. "$1"; COMP_WORDS=(cmq mqadmin skip); COMP_CWORD=2; _cmq; echo "${COMPREPLY[*]}"' bash "$tmp/completion")
    same "and Apache's commands" skipAccumulatedMessage "$words"
fi

if script -qec true /dev/null >/dev/null 2>&1 </dev/null; then
    esc=$(printf '\033')
    has "a terminal gets colours" "$esc" "$(env -u NO_COLOR TERM=xterm script -qec "$cmq help" /dev/null </dev/null)"
    hasnt "unless NO_COLOR says no" "$esc" "$(TERM=xterm script -qec "$cmq help" /dev/null </dev/null)"
    hasnt "and a pipe none" "$esc" "$(env -u NO_COLOR TERM=xterm "$cmq" help)"
else
    skipped=$((skipped + 1))
    echo "skip: colours on a terminal: this place makes no pseudo-terminal"
fi

echo "--- nobody there"
began=$(date +%s)
run topic list -n 127.0.0.1:1; same "no name server" 3 $rc; has "says what to do" "cmq up" "$stderr"; same "and prints no rows" "" "$stdout"
run send T x -n 127.0.0.1:1 --timeout 1000; same "a send without a name server" 3 $rc
run tail T -n 127.0.0.1:1 --timeout 1000; same "a tail without a name server" 3 $rc
took=$(($(date +%s) - began))
if [ $took -le 10 ]; then ok "within the time-outs"; else bad "within the time-outs" "took $took s"; fi

echo "--- up"
best=999999
for _ in 1 2 3 4 5; do
    start_up || break
    ms=$(sed -n 's/.*Ready after \([0-9]*\)\..*/\1/p' "$tmp/up.err")
    [ "$ms" -ge "$best" ] || best=$ms
    stop_up
    [ "$best" -gt 200 ] || break
done
case $out in */release) if [ "$best" -le 200 ]; then ok "ready after $best ms"; else bad "ready within 200 ms" "$best ms"; fi ;; esac
same "SIGTERM ends it with 0" 0 "$up_rc"
if gone $pids; then ok "and all servers"; else bad "and all servers" "still running: $left"; fi
same "and removes its folder" "" "$(ls "$TMPDIR")"

start_up --groups 2 --namesrvs 2
same "two name servers and two brokers have addresses" 4 "$(tail -n +2 "$tmp/up.csv" | grep -c ',127.0.0.1:')"
same "and resident memory" 4 "$(tail -n +2 "$tmp/up.csv" | cut -d, -f4 | grep -c '^[1-9][0-9]*$')"
broker=$(sed -n 's/^broker-b,[^,]*,\([0-9]*\),.*/\1/p' "$tmp/up.csv")
kill -KILL "$broker"
wait $up; rc=$?; up=
same "a server that dies ends it with 1" 1 $rc
has "says who" "broker-b was ended by signal 9" "$(cat "$tmp/up.err")"
has "and shows the end of its log" "broker ready" "$(cat "$tmp/up.err")"
if gone $pids; then ok "stops the rest"; else bad "stops the rest" "still running: $left"; fi
same "and removes its folder then, too" "" "$(ls "$TMPDIR")"

start_up
kill -KILL $up; wait $up 2>/dev/null; up=
if gone $pids; then ok "when up itself is killed, the servers end"; else bad "when up itself is killed, the servers end" "still running: $left"; fi
rm -rf "${TMPDIR:?}"/cmq-up-*

"$cmq" up --set noEqualsSign >/dev/null 2>&1; same "a setting without =" 2 $?
"$cmq" up --set flushDiskType=SOMETIMES >/dev/null 2>"$tmp/stderr"; same "a setting that the broker refuses" 1 $?
has "is shown in its words" "expected one of ASYNC_FLUSH SYNC_FLUSH" "$(cat "$tmp/stderr")"
same "and leaves nothing" "" "$(ls "$TMPDIR")"

echo "--- topics"
start_up --dir "$tmp/data" --set enablePropertyFilter=true || { echo "$passed passed, $((failed + 1)) failed"; exit 1; }
export NAMESRV_ADDR="$addrs"
run up --dir "$tmp/data"; same "a second cluster in the same folder" 1 $rc; has "is refused" "another cmq up runs in" "$stderr"
taken=$(sed -n 's/^broker-a,127.0.0.1:\([0-9]*\),.*/\1/p' "$tmp/up.csv")
run up --port $((taken - 12)); same "a second cluster on the same ports" 1 $rc; has "is refused, too" "ddress already in use" "$stderr"
same "and leaves no folder" "" "$(ls "$TMPDIR")"
run topic list; same "a fresh cluster has no topics" "TOPIC  KIND" "$stdout"
run topic list --all -o csv; has "but system topics" "TBW102,system" "$stdout"
run topic create Orders --queues 2; same "create" 0 $rc; same "prints no data" "" "$stdout"; has "but says so" "2 queues" "$stderr"
run topic list -o json; same "JSON is an array of objects" '[{"topic":"Orders","kind":"user"}]' "$stdout"
run topic list -o csv; same "CSV has a header" "topic,kind
Orders,user" "$stdout"
run -o csv topic list; same "options may stand in front" 0 $rc; has "with the same effect" "Orders,user" "$stdout"
run topic route Orders -o csv; has "route" "DefaultCluster,broker-a,127.0.0.1:" "$stdout"; has "with queues and permission" ",0,2,2,rw" "$stdout"
run topic route Nope; same "the route of a topic that is not there" 1 $rc; has "says how to make it" "cmq topic create Nope" "$stderr"
same "and prints no rows" "" "$stdout"
run topic status Nope -o json; same "its status" 1 $rc; same "neither" "" "$stdout"
run topic create 'bad topic!'; hasnt "a bad name is refused" 0 "$rc"
run topic create Elsewhere --cluster NoSuchCluster; same "a cluster that is not there" 1 $rc

echo "--- send"
run send Orders hello --tag new --keys 'k1 k2' -p colour=red -o csv; same "send" 0 $rc
has "tells the broker" ",SEND_OK,broker-a," "$stdout"
printf 'one\ntwo\nthree\n' | "$cmq" send Orders - -o csv >"$tmp/sent.csv"; same "lines of standard input" 0 $?
same "are a message each" 3 "$(tail -n +2 "$tmp/sent.csv" | grep -c ',SEND_OK,')"
printf 'four\n\nfive\n' | "$cmq" send Orders - -o csv >"$tmp/sent2.csv" 2>"$tmp/stderr"; same "some sent, some not" 4 $?
has "names the line" "line 2 was not sent" "$(cat "$tmp/stderr")"
same "and goes on" 2 "$(tail -n +2 "$tmp/sent2.csv" | grep -c ',SEND_OK,')"
run send Orders ''; hasnt "an empty message is refused" 0 $rc
run send Orders x -p 'TAGS=y'; hasnt "so is a property of RocketMQ's own" 0 $rc
sum=0
run topic status Orders -o csv
for m in $(tail -n +2 "$tmp/stdout" | cut -d, -f5); do sum=$((sum + m)); done
same "status counts them" 6 $sum
run topic status Orders -o json; has "JSON has times as numbers" '"lastUpdateTimestamp":1' "$stdout"
for _ in 1 2 3; do "$cmq" send Orders same --queue-by customer-7 -o csv; done | grep -v msgId | cut -d, -f3,4 | sort -u >"$tmp/queues"
same "the same text gets the same queue" 1 "$(wc -l <"$tmp/queues")"

echo "--- tail"
run tail Orders --from first --count 9 -o csv; same "tail from the first message" 0 $rc
same "shows all" "five four hello one same same same three two" "$(tail -n +2 "$tmp/stdout" | awk -F, '{ print $10 }' | sort | tr '\n' ' ' | sed 's/ $//')"
run tail Orders --from first --idle 700 --filter 'old || new'; same "tail with a filter" 0 $rc
same "shows only these tags" 1 "$(grep -c . "$tmp/stdout")"
has "a line has place, tag, keys, body" "[new] (k1 k2) hello" "$stdout"
printf 'a\033[31mb' >"$tmp/esc"; run send Orders "$(cat "$tmp/esc")" --tag esc
run tail Orders --from first --idle 700 --filter esc; has "bytes that a terminal would obey are shown" 'a\x1b[31mb' "$stdout"
run tail Orders --from first --idle 700 --filter esc -o json; has "JSON has them escaped" '"body":"a\u001B[31mb"' "$(printf '%s' "$stdout" | sed 's/u001b/u001B/')"
run send Paid paid --transaction commit; same "a transaction that is committed" 0 $rc
run send Paid withdrawn --transaction rollback; same "one that is rolled back" 0 $rc
run tail Paid --from first --idle 700; has "only the first is seen" paid "$stdout"; hasnt "the other is not" withdrawn "$stdout"
"$cmq" tail Orders --count 1 -o csv >"$tmp/last.csv" 2>"$tmp/last.err" &
tail_pid=$!
until_true 10 grep -q Following "$tmp/last.err" || bad "tail begins" "$(cat "$tmp/last.err")"
run send Orders late
until_true 10 grep -q late "$tmp/last.csv" || bad "tail from now on shows a new message" "$(cat "$tmp/last.csv")"
kill $tail_pid 2>/dev/null; wait $tail_pid; same "tail ends after --count" 0 $?
same "and has shown nothing older" 1 "$(tail -n +2 "$tmp/last.csv" | grep -c .)"
run tail Orders --group g1 --from first --idle 2500 -o csv; same "a member of a group gets all once" 11 "$(tail -n +2 "$tmp/stdout" | grep -c .)"
run send Orders more
run tail Orders --group g1 --from first --count 1 -o csv; has "and goes on where it was" ",more" "$stdout"
run topic list; hasnt "tail leaves no topics behind" "TOOLS" "$stdout"
"$cmq" tail Orders >"$tmp/int" 2>"$tmp/int.err" &
tail_pid=$!
until_true 10 grep -q Following "$tmp/int.err"
kill -TERM $tail_pid; wait $tail_pid; same "a signal ends tail with 0" 0 $?
run tail Nope; same "a topic that is not there" 1 $rc
run send Priced cheap -p price=1.5; run send Priced dear -p price=20; run send Priced free
run tail Priced --from first --idle 700 --sql 'price > 9.5' -o csv
same "tail with an expression shows what it matches" "dear" "$(tail -n +2 "$tmp/stdout" | cut -d, -f10)"
run tail Priced --from first --idle 2500 --group g-sql --sql 'price > 9.5 OR price IS NULL' -o csv
same "and brokers judge for a group" "dear free" "$(tail -n +2 "$tmp/stdout" | cut -d, -f10 | sort | xargs)"

echo "--- group"
run group show g1 -o csv; same "a group's progress" 0 $rc
same "it has consumed all" 0 "$(tail -n +2 "$tmp/stdout" | awk -F, '$1 == "Orders" { n += $6 } END { print n + 0 }')"
has "nobody is in it" "0 connections of members" "$stderr"
run group show nobody; same "a group that is not there" 1 $rc; has "is named" "group nobody" "$stderr"
"$cmq" tail Orders --group g2 --filter a >/dev/null 2>&1 &
one=$!
"$cmq" tail Orders --group g2 --filter b >/dev/null 2>&1 &
two=$!
if until_true 20 sh -c "'$cmq' group show g2 2>&1 >/dev/null | grep -q 'want different things of topic Orders'"; then ok "members that disagree are named"
else bad "members that disagree are named" "$("$cmq" group show g2 2>&1)"; fi
run group members g2 -o csv; same "its members are shown" 2 "$(tail -n +2 "$tmp/stdout" | grep -c ',CPP,')"
broker=$("$cmq" topic route Orders -o csv | sed -n '2s/^[^,]*,[^,]*,\([^,]*\).*/\1/p') client=$(sed -n '2s/,.*//p' "$tmp/stdout")
info=$("$out/tests/mqraw" "$broker" call 307 consumerGroup=g2 "clientId=$client" 2>&1)
has "a member tells what it is doing" '"PROP_CONSUME_TYPE":"CONSUME_PASSIVELY"' "$info"; has "and to what it subscribed" '"topic":"Orders"' "$info"
info=$("$out/tests/mqraw" "$broker" call 223 group=g2 topic=Orders 2>&1); has "and where it is" "\"$client\":{{\"brokerName\"" "$info"
kill $one $two; wait $one $two
run group show; same "which group is needed" 2 $rc
run group reset g1 Orders; same "moving a group needs to know where" 2 $rc
run group reset g1 Orders --from first --dry-run -o csv; same "a dry run" 0 $rc; has "says where" "Orders,broker-a,0,0" "$stdout"
run tail Orders --group g1 --from first --idle 1500 -o csv; same "moves nothing" 0 "$(tail -n +2 "$tmp/stdout" | grep -c .)"
run group reset g1 Orders --from first -o csv; same "moving a group without members" 0 $rc
run tail Orders --group g1 --from first --idle 2500 -o csv; same "makes all come again" 12 "$(tail -n +2 "$tmp/stdout" | grep -c .)"
run group reset g1 Nowhere --from last; same "in a topic that is not there" 1 $rc

echo "--- delete"
run topic delete Orders --dry-run; same "a dry run" 0 $rc; has "says what would go" "12 messages on 1 brokers" "$(printf '%s' "$stderr" | sed 's/1[0-9] messages/12 messages/')"
run topic list; has "and deletes nothing" "Orders" "$stdout"
run topic delete Orders; same "delete" 0 $rc
run topic list; hasnt "deletes" "Orders" "$stdout"
run topic delete Orders; same "what is not there cannot be deleted" 1 $rc
"$cmq" topic list >/dev/full 2>"$tmp/stderr"; same "a full disk under standard output" 1 $?
has "is told" "cannot write to standard output" "$(cat "$tmp/stderr")"

echo "--- the folder stays"
run send Kept 'still here'
stop_up INT
same "an interrupt ends it with 0" 0 $up_rc
start_up --dir "$tmp/data"
export NAMESRV_ADDR="$addrs"
run tail Kept --from first --count 1; has "the next cluster in the folder has the messages" "still here" "$stdout"
stop_up
if gone $pids; then ok "nothing is left running"; else bad "nothing is left running" "$left"; fi

if [ $skipped -gt 0 ]; then echo "$passed passed, $failed failed, $skipped skipped"; else echo "$passed passed, $failed failed"; fi
[ $failed = 0 ]
