#!/bin/sh
# refusals.sh - what a broker does not do, it refuses in words: a directory in use, a port in use, settings that mean nothing.
. "$(dirname "$0")/lib.inc"
said() { grep -q -- "$1" "$work/said"; }
run() { timeout 10 "$OUT/mqbroker" "$@" > "$work/said" 2>&1; status=$?; }

broker a x=1
check "an unknown key is a warning that names it" grep -q 'WARN config unknown key.*key=x ' "$work/a.log"

free_port
sed "s/^listenPort=.*/listenPort=$port/" "$work/a.conf" > "$work/second.conf"
run -c "$work/second.conf"
check "a second broker on the same directory ends with status 1 ($status)" [ $status = 1 ]
check "and says that another one has it" said 'in use by another process'
check "the first one goes on" raw "$addr" call 28

mkdir "$work/other"
sed "s|^storePathRootDir=.*|storePathRootDir=$work/other|" "$work/a.conf" > "$work/port.conf"
run -c "$work/port.conf"
check "a port in use ends it with status 1 ($status)" [ $status = 1 ]
check "and the address is named" said "127.0.0.1:"
stop $pid

bad() { # line what-is-allowed
    printf 'brokerName=b\n%s\n' "$1" > "$work/bad.conf"
    run -c "$work/bad.conf"
    check "$1: status 1" [ $status = 1 ]
    check "$1: file and line are named" said 'bad.conf:2'
    check "$1: it says what is allowed" said "$2"
}
bad listenPort=x 'from 3 to 65534'
bad listenPort=70000 'from 3 to 65534'
bad flushDiskType=SOMETIMES 'ASYNC_FLUSH'
bad maxMessageSize=-5 'expected'
run -c "$work/absent.conf"
check "a missing file: status 1, and its name" said 'absent.conf'
printf 'storePathRootDir=%s\ndeleteWhen=25\n' "$work/x" > "$work/hours.conf"
run -c "$work/hours.conf"
check "hours that do not exist are refused" said 'deleteWhen=25'
printf 'storePathRootDir=/proc/nothing/here\n' > "$work/root.conf"
run -c "$work/root.conf"
check "a directory that cannot be made: status 1" [ $status = 1 ]
check "and it is named" said '/proc/nothing'

run -z
check "an unknown option: status 2" [ $status = 2 ]
run -h
check "help: status 0" [ $status = 0 ]
run -p -n 'h1:1;h2:2'
check "-p prints all settings" said '^mappedFileSizeCommitLog=1073741824$'
check "-n counts" said '^namesrvAddr=h1:1;h2:2$'
run -m
check "-m prints the important ones" said '^brokerName='
check "and only these" sh -c "! grep -q mappedFileSizeCommitLog '$work/said'"

mkdir -p "$work/b/config"
echo '{"topicConfigTable":{"t":17}}' > "$work/b/config/topics.json"
sed "s|^storePathRootDir=.*|storePathRootDir=$work/b|" "$work/a.conf" > "$work/b.conf"
run -c "$work/b.conf"
check "a damaged topics.json without a backup stops the start ($status)" [ $status = 1 ]
check "and is named" said 'config/topics.json'
finish
