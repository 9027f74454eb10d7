#!/bin/sh
# Apache's mqadmin in our command line, against a real name server and broker: rows and words as Apache's 4.9.8 prints them. (compat/mqadmin runs
# both programs and compares; it needs Java, this does not.) Needs a build: OUT. The last line is "N passed, N failed".
. tests/integration/lib.inc
namesrv
broker broker-a namesrvAddr="$ns" brokerClusterName=DefaultCluster
b=$addr
mqadmin() { (cd "$work" && exec "$cmq" mqadmin "$@" -n "$ns"); } # consumerStatus writes below the working folder
case $OUT in /*) cmq=$OUT/cmq ;; *) cmq=$PWD/$OUT/cmq ;; esac
export TZ=UTC
prints() { # text words...: this and nothing else on standard output
    expected=$1; shift
    mqadmin "$@" >"$work/stdout" 2>"$work/stderr"
    printf "$expected" >"$work/expected"
    diff "$work/expected" "$work/stdout" || { cat "$work/stderr"; return 1; }
}
shows() { # pattern words...: a line of standard output
    pattern=$1; shift
    mqadmin "$@" >"$work/stdout" 2>"$work/stderr"
    grep -q -- "$pattern" "$work/stdout" || { cat "$work/stdout" "$work/stderr"; return 1; }
}
says() { # pattern words...: on standard error, nothing on standard output, and it ends with 0
    pattern=$1; shift
    mqadmin "$@" >"$work/stdout" 2>"$work/stderr" && [ ! -s "$work/stdout" ] && grep -q -- "$pattern" "$work/stderr" || { cat "$work/stdout" "$work/stderr"; return 1; }
}
within 20 shows "DefaultCluster .*$b  *V" clusterList >/dev/null

check "clusterList has Apache's columns" shows '^#Cluster Name     #Broker Name            #BID  #Addr                  #Version                #InTPS(LOAD)' clusterList
check "and a row for each broker" shows "^DefaultCluster    broker-a                0     $b  *V4_9_8 " clusterList
check "clusterList -m counts by day" shows '^DefaultCluster    broker-a  *0  *0  *0  *0$' clusterList -m
check "updateTopic makes a topic on a broker" prints "create topic to $b success.\nTopicConfig [topicName=T, readQueueNums=3, writeQueueNums=2, perm=RW-, topicFilterType=SINGLE_TAG, topicSysFlag=0, order=false]" \
    updateTopic -b "$b" -t T -r 3 -w 2
check "or in a cluster" shows "topicSysFlag=3, order=false" updateTopic -c DefaultCluster -t U -u true -s true
check "with an order configuration" shows 'set broker orderConf. isOrder=true, orderConf=\[broker-a:8\]create topic to' updateTopic -b "$b" -t V -o true
check "which the name server has" prints "get orderConf success. topic=[V], orderConf=[broker-a:8] " updateOrderConf -t V -m get
check "a cluster that is not there is said on standard output" shows '^\[error\] Make sure the specified clusterName exists' updateTopic -c Nope -t X
check "topicList names the topic" shows '^T$' topicList
check "with its cluster" shows "^DefaultCluster        T  *$" topicList -c
check "topicRoute is JSON with bare broker ids" shows "\"brokerAddrs\":{0:\"$b\"\$" topicRoute -t T
check "or a table" shows "^Total:  *1  *3          2 " topicRoute -t T -l
check "topicStatus has a row for each queue" shows '^broker-a                          1     0                     0                       $' topicStatus -t T
check "topicClusterList names the cluster" prints "DefaultCluster\n" topicClusterList -t T
check "updateTopicPerm tells both permissions" shows "^update topic perm from 6 to 4 in $b success.\$" updateTopicPerm -b "$b" -t T -p 4
check "and refuses the same again" prints "new perm equals to the old one!\n" updateTopicPerm -b "$b" -t T -p 4
check "back again, in the cluster" prints "update topic perm from 4 to 6 in $b success.\n" updateTopicPerm -c DefaultCluster -t T -p 6
check "allocateMQ gives the first member one more" prints '{"result":{"a":[{"brokerName":"broker-a","queueId":0,"topic":"T"},{"brokerName":"broker-a","queueId":1,"topic":"T"}],"b":[{"brokerName":"broker-a","queueId":2,"topic":"T"}]}}\n' \
    allocateMQ -t T -i a,b
check "what is not there is a failure with Apache's code" says "CODE: 17  DESC: No topic route info" topicRoute -t Nope

id=$(mqadmin sendMessage -t T -p 'the body' -k 'k1 k2' -c tagged -b broker-a -i 0 | awk 'NR == 2 && $3 == "SEND_OK" { print $4 }')
check "sendMessage tells the id" test ${#id} = 32
check "and wants a broker for a queue" prints "Broker name must be set if the queue is chosen!" sendMessage -t T -p x -i 0
within 20 shows " 0 *0\$" queryMsgByKey -t T -k k2 >/dev/null
check "queryMsgByKey finds it by each key" shows "^$id  *0  *0\$" queryMsgByKey -t T -k k1
check "queryMsgByUniqueKey shows it" shows '^Tags:                \[tagged\]$' queryMsgByUniqueKey -t T -i "$id"
check "and that nobody consumes it" shows '^WARN: No Consumer$' queryMsgByUniqueKey -t T -i "$id"
check "queryMsgByOffset" shows '^OffsetID: ' queryMsgByOffset -t T -b broker-a -i 0 -o 0
offset_id=$(sed -n 's/^OffsetID: *//p' "$work/stdout")
check "queryMsgById" shows "^Store Host:          $b\$" queryMsgById -i "$offset_id"
body=$(sed -n 's/^Message Body Path: *//p' "$work/stdout")
check "the body is in the file that it names" test "$(cat "$body")" = "the body"
rm -f "$body"
check "printMsg prints it as Java does" shows "^MSGID: $id MessageExt \[brokerName=broker-a, queueId=0, .*, body=\[116, 104, 101, 32, .*, transactionId='null'}\] BODY: the body\$" printMsg -t T
check "printMsg -s leaves other tags out" shows '^MessageQueue \[topic=T, brokerName=broker-a, queueId=0\] no matched msg. status=NO_MATCHED_MSG, offset=1$' printMsg -t T -s other
check "printMsgByQueue counts tags" prints "Tag: tagged                         Count: 1\n" printMsgByQueue -t T -a broker-a -i 0 -f true
check "consumeMessage" shows 'BODY: the body$' consumeMessage -t T -b broker-a -i 0 -c 1
check "consumeMessage ends at the queue's end" shows '^MessageQueue \[topic=T, brokerName=broker-a, queueId=0\] print msg finished. status=NO_NEW_MSG, offset=1$' consumeMessage -t T -b broker-a -i 0
check "queryCq shows the unit" shows "^ConsumeQueueData{physicOffset=0, physicSize=[0-9]*, tagsCode=-881233556, extendDataJson='null'" queryCq -t T -q 0 -i 0 -b "$b"
check "checkMsgSendRT measures" shows '^Avg RT: [0-9.]*$' checkMsgSendRT -t T -a 3
check "sendMsgStatus prints results" shows '^rt=[0-9]*ms, SendResult=SendResult \[sendStatus=SEND_OK, msgId=[0-9A-F]*, offsetMsgId=[0-9A-F]*, messageQueue=MessageQueue \[topic=broker-a, ' sendMsgStatus -b broker-a -c 1
check "a key that nobody has" says "CODE: 208  DESC: query message by key finished, but no message." queryMsgByKey -t T -k nobody

check "updateSubGroup makes a group" prints "create subscription group to $b success.\nSubscriptionGroupConfig [groupName=G, consumeEnable=true, consumeFromMinEnable=false, consumeBroadcastEnable=false, retryQueueNums=1, retryMaxTimes=5, brokerId=0, whichBrokerWhenConsumeSlowly=1, notifyConsumerIdsChangedEnable=true]" \
    updateSubGroup -b "$b" -g G -r 5
check "getConsumerConfig shows it" shows '^retryMaxTimes                           =  5$' getConsumerConfig -g G
"$OUT/cmq" tail T --group G --from first -n "$ns" >"$work/tail" 2>&1 &
tail_pid=$!
pids="$pids $tail_pid"
within 20 grep -q 'the body' "$work/tail"
within 20 shows '^Diff Total: 0$' consumerProgress -g G >/dev/null
check "consumerProgress has a row for each queue" shows '^T  *broker-a                          0     [0-9]*  *[0-9]*  *0                     20' consumerProgress -g G
check "and a line for each group" shows '^G  *1       V4_9_8                   PUSH   CLUSTERING      [0-9]*  *0$' consumerProgress
check "consumerConnection" shows '^MessageModel: CLUSTERING$' consumerConnection -g G
check "consumerStatus asks the members (libcmq's do not tell)" shows '^#Index     #ClientId ' consumerStatus -g G
check "brokerConsumeStats" shows '^T  *G  *broker-a' brokerConsumeStats -b "$b"
check "statsAll" shows '^T  *G  *0 ' statsAll -t T
check "a message's groups are told with it" shows 'MessageTrack \[consumerGroup=G, trackType=CONSUMED, exceptionDesc=null\]' queryMsgByUniqueKey -t T -i "$id"
rm -f "$body"
kill "$tail_pid"
within 20 says 'CODE: 206' consumerConnection -g G >/dev/null
check "cloneGroupOffset" prints "clone group offset success. srcGroup[G], destGroup=[H], topic[T]" cloneGroupOffset -s G -d H -t T
check "resetOffsetByTime without members sets the offsets itself" shows '^broker-a              0                     [0-9]*  *[0-9]*  *0                     0 ' resetOffsetByTime -g G -t T -s 0
check "so it is to consume again" shows '^Diff Total: [1-9]' consumerProgress -g G
check "skipAccumulatedMessage goes to the ends" shows '^#brokerName           #queueId              #brokerOffset' skipAccumulatedMessage -g G -t T
check "and nothing is left" shows '^Diff Total: 0$' consumerProgress -g G
check "deleteSubGroup" prints "delete subscription group [G] from broker [$b] success.\n" deleteSubGroup -b "$b" -g G

check "brokerStatus is sorted and padded" shows '^brokerVersionDesc               : V4_9_8$' brokerStatus -b "$b"
check "of a cluster it names the broker" shows "^$b .*brokerVersionDesc               : V4_9_8\$" brokerStatus -c DefaultCluster
check "getBrokerConfig" shows '^brokerName                                        =  broker-a$' getBrokerConfig -b "$b"
check "of a cluster it names master and slave" shows "^============Master: $b============\$" getBrokerConfig -c DefaultCluster
check "updateBrokerConfig" prints "update broker config success, $b\n" updateBrokerConfig -b "$b" -k maxTransferCountOnMessageInMemory -v 33
check "which the broker has" shows '^maxTransferCountOnMessageInMemory                 =  33$' getBrokerConfig -b "$b"
check "getNamesrvConfig" shows "^============$ns============\$" getNamesrvConfig
check "updateKvConfig" prints "create or update kv config to namespace success.\n" updateKvConfig -s space -k k -v v
check "deleteKvConfig" prints "delete kv config from namespace success.\n" deleteKvConfig -s space -k k
check "wipeWritePerm" shows "^wipe write perm of broker\[broker-a\] in name server\[$ns\] OK, [1-9]" wipeWritePerm -b broker-a
check "addWritePerm" shows "^add write perm of broker\[broker-a\] in name server\[$ns\] OK, [1-9]" addWritePerm -b broker-a
check "cleanExpiredCQ" prints success cleanExpiredCQ -b "$b"
check "cleanUnusedTopic" prints success cleanUnusedTopic -c DefaultCluster
check "deleteExpiredCommitLog" prints success deleteExpiredCommitLog
check "exportMetadata" prints "export $work/export/metadata.json success\n" exportMetadata -c DefaultCluster -f "$work/export"
check "the file has the topic" grep -q '"topicName":"T"' "$work/export/metadata.json"
check "exportConfigs" prints "export $work/export/configs.json success" exportConfigs -c DefaultCluster -f "$work/export"
check "exportMetrics" prints "export $work/export/metrics.json success" exportMetrics -c DefaultCluster -f "$work/export"
check "deleteTopic" prints "delete topic [U] from cluster [DefaultCluster] success.\ndelete topic [U] from NameServer success.\n" deleteTopic -c DefaultCluster -t U
check "a number that is none" says 'For input string: "x"' updateTopic -b "$b" -t Y -r x
finish
