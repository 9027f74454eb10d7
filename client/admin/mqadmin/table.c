/* table.c - mqadmin's commands, in the order in which Apache lists them: names, letters and long names are Apache's, the sentences are ours.
 *
 * Not here: the families of ACL, of the controller and of static topics, and startMonitoring. Long names that end with a blank at
 * Apache's, and so can't be typed, have none here. The letters of which one has to be there: EITHER. */
#include "client/admin/mqadmin/mqadmin.h"

#define FLAG(letter, name, help) {letter, name, 0, help}
#define ARG(letter, name, help) {letter, name, OPTION_ARG, help}
#define MUST(letter, name, help) {letter, name, OPTION_ARG | OPTION_MUST, help}
#define EITHER(letter, name, help) {letter, name, OPTION_ARG | OPTION_ONE_OF, help}
#define END {0, NULL, 0, NULL}
#define ROWS static const struct mqadmin_option

const struct mqadmin_option mqadmin_common[] = {
    FLAG('h', "help", "this help"),
    ARG('n', "namesrvAddr", "name servers, host:port;host:port (default: $NAMESRV_ADDR, else 127.0.0.1:9876)"),
    END,
};

#define BROKER ARG('b', "brokerAddr", "the broker, host:port")
#define CLUSTER ARG('c', "clusterName", "all masters of this cluster")
#define TOPIC MUST('t', "topic", "the topic")
#define BEGIN_TIME "milliseconds since 1970, or yyyy-MM-dd#HH:mm:ss:SSS in local time"

/* topics */
ROWS update_topic[] = {EITHER('b', "brokerAddr", "on this broker, host:port"),
                       EITHER('c', "clusterName", "on all masters of this cluster"),
                       TOPIC,
                       ARG('r', "readQueueNums", "queues that are read (default: 8)"),
                       ARG('w', "writeQueueNums", "queues that are written (default: 8)"),
                       ARG('p', "perm", "2: may be written, 4: may be read, 6: both (default: 6)"),
                       ARG('o', "order", "true: keeps an order configuration at the name servers"),
                       ARG('u', "unit", "true: marks it as a unit's topic"),
                       ARG('s', "hasUnitSub", "true: marks it as subscribed to by units"),
                       END};
ROWS delete_topic[] = {TOPIC, MUST('c', "clusterName", "the cluster that loses it"), END};
ROWS update_topic_perm[] = {BROKER, CLUSTER, TOPIC, MUST('p', "perm", "2: may be written, 4: may be read, 6: both"), END};
ROWS topic_only[] = {TOPIC, END};
ROWS topic_route_options[] = {TOPIC, FLAG('l', "list", "as a table, not as JSON"), END};
ROWS topic_list_options[] = {FLAG('c', "clusterModel", "with each topic's cluster and consumer groups"), END};
ROWS order_conf[] = {TOPIC, ARG('v', "orderConf", "broker:queues;broker:queues"), MUST('m', "method", "put, get or delete"), END};
ROWS allocate[] = {TOPIC, MUST('i', "ipList", "the members, a comma between them"), END};

/* groups */
ROWS update_group[] = {BROKER,
                       CLUSTER,
                       MUST('g', "groupName", "the consumer group"),
                       ARG('s', "consumeEnable", "false: nobody may consume (default: true)"),
                       ARG('m', "consumeFromMinEnable", "true: begins at the least offset (default: false)"),
                       ARG('d', "consumeBroadcastEnable", "true: members may broadcast (default: false)"),
                       ARG('q', "retryQueueNums", "queues of its retry topic (default: 1)"),
                       ARG('r', "retryMaxTimes", "redeliveries before the dead letters (default: 16)"),
                       ARG('i', "brokerId", "id of the broker that it consumes from (default: 0, the master)"),
                       ARG('w', "whichBrokerWhenConsumeSlowly", "id of the broker that serves it when it is far behind (default: 1)"),
                       ARG('a', "notifyConsumerIdsChanged", "false: members are not told of each other (default: true)"),
                       END};
ROWS delete_group[] = {BROKER, ARG('c', "clusterName", "all masters of this cluster; its retry and dead-letter topics go, too"),
                       MUST('g', "groupName", "the consumer group"), ARG('r', "removeOffset", "true: its offsets go, too (default: false)"), END};
ROWS group_only[] = {MUST('g', "groupName", "the consumer group"), END};
ROWS progress[] = {ARG('g', "groupName", "one group, queue by queue (default: a line for each group)"),
                   ARG('s', "showClientIP", "true: with the member that has the queue"), END};
ROWS status[] = {MUST('g', "consumerGroup", "the consumer group"), ARG('i', "clientId", "prints what this member tells (default: of all, into files)"),
                 ARG('b', "brokerAddr", "the broker that is asked who the members are, host:port"), FLAG('s', "jstack", "with their threads' stacks"), END};
ROWS consumers[] = {MUST('g', "consumerGroup", "the consumer group"), ARG('b', "brokerAddr", "the broker that is asked, host:port"), END};
ROWS producers[] = {MUST('g', "producerGroup", "the producer group"), TOPIC, END};
ROWS producers_of_broker[] = {MUST('b', "broker", "the broker, host:port"), END};

/* brokers */
ROWS update_broker[] = {BROKER, CLUSTER, MUST('k', "key", "the setting"), MUST('v', "value", "its new value"), END};
ROWS broker_or_cluster[] = {BROKER, ARG('c', "clusterName", "all brokers of this cluster"), END};
ROWS clean_options[] = {BROKER, ARG('c', "cluster", "all brokers of this cluster (default: of all clusters)"), END};
ROWS consume_stats[] = {MUST('b', "brokerAddr", "the broker, host:port"), ARG('t', "timeoutMillis", "how long to wait, in ms (default: 50000)"),
                        ARG('l', "level", "only queues with so many messages to come (default: 0)"), ARG('o', "order", "true: only ordered topics"), END};
ROWS send_status_options[] = {MUST('b', "brokerName", "the broker's name"), ARG('s', "messageSize", "bytes of a message (default: 128)"),
                              ARG('c', "count", "messages (default: 50)"), END};
ROWS cluster_options[] = {FLAG('m', "moreStats", "messages of yesterday and today"), ARG('i', "interval", "again and again, after so many seconds"), END};
ROWS cluster_rt[] = {ARG('a', "amount", "messages to each broker in a round (default: 100)"), ARG('s', "size", "bytes of a message (default: 128)"),
                     ARG('c', "cluster", "only this cluster"), ARG('p', "print log", "true: lines for a log"),
                     ARG('m', "machine room", "a word in these lines (default: noname)"), ARG('i', "interval", "seconds between rounds (default: 10)"), END};

/* messages */
ROWS by_id[] = {MUST('i', "msgId", "offset ids, a comma between them"), ARG('g', "consumerGroup", "with -d: a member of this group consumes it now"),
                ARG('d', "clientId", "that member's client id"), ARG('s', "sendMessage", "true: sends it once more"),
                ARG('u', "unitName", "with -s: the producer's unit"), END};
ROWS by_key[] = {TOPIC, MUST('k', "msgKey", "the key"), END};
ROWS by_unique_key[] = {MUST('i', "msgId", "the id that the producer gave it"), ARG('g', "consumerGroup", "with -d: a member of this group consumes it now"),
                        ARG('d', "clientId", "that member's client id"), TOPIC, FLAG('a', "showAll", "all that have this id"), END};
ROWS by_offset[] = {TOPIC, MUST('b', "brokerName", "the broker's name"), MUST('i', "queueId", "the queue"), MUST('o', "offset", "its offset there"), END};
ROWS trace[] = {MUST('i', "msgId", "the id that the producer gave it"), ARG('t', "traceTopic", "where traces are (default: RMQ_SYS_TRACE_TOPIC)"), END};
#define CHARSET ARG('c', "charsetName", "bodies are printed as they are, whatever it says")
#define EXPRESSION ARG('s', "subExpression", "only these tags: \"a || b\" (default: all)")
ROWS print_options[] = {TOPIC,
                        CHARSET,
                        EXPRESSION,
                        ARG('b', "beginTimestamp", "from here on: " BEGIN_TIME),
                        ARG('e', "endTimestamp", "up to there, in the same form"),
                        ARG('d', "printBody", "false: without bodies (default: true)"),
                        END};
ROWS print_queue_options[] = {TOPIC,
                              MUST('a', "brokerName", "the broker's name"),
                              MUST('i', "queueId", "the queue"),
                              CHARSET,
                              EXPRESSION,
                              ARG('b', "beginTimestamp", "from here on: " BEGIN_TIME),
                              ARG('e', "endTimestamp", "up to there, in the same form"),
                              ARG('p', "print msg", "true: prints the messages"),
                              ARG('d', "printBody", "true: with their bodies"),
                              ARG('f', "calculate", "true: counts them by tag"),
                              END};
ROWS consume_options[] = {TOPIC,
                          ARG('b', "brokerName", "the broker's name"),
                          ARG('i', "queueId", "with -b: only this queue"),
                          ARG('o', "offset", "with -i: from this offset on"),
                          ARG('g', "consumerGroup", "in whose name (default: TOOLS_CONSUMER)"),
                          ARG('s', "beginTimestamp", "from here on: " BEGIN_TIME),
                          ARG('e', "endTimestamp", "up to there, in the same form"),
                          ARG('c', "MessageNumber", "messages (default: 128)"),
                          END};
ROWS send_options[] = {TOPIC,
                       MUST('p', "body", "the body, as text"),
                       ARG('k', "key", "its keys"),
                       ARG('c', "tags", "its tag"),
                       ARG('b', "broker", "the broker's name"),
                       ARG('i', "qid", "with -b: the queue"),
                       ARG('m', "msgTraceEnable", "true: asks for a trace, which is not written yet"),
                       END};
ROWS check_rt[] = {TOPIC, ARG('a', "amount", "messages (default: 100)"), ARG('s', "size", "bytes of a message (default: 128)"), END};
ROWS query_cq[] = {TOPIC, MUST('q', "queue", "the queue"), MUST('i', "index", "the first offset"), ARG('c', "count", "how many (default: 10)"),
                   ARG('b', "broker", "the broker, host:port"), ARG('g', "consumer", "with what this group's filter says to each"), END};

/* offsets */
#define FORCE ARG('f', "force", "false: never forward (default: true)")
ROWS reset[] = {MUST('g', "group", "the consumer group"), TOPIC, MUST('s', "timestamp", "now, or " BEGIN_TIME), FORCE,
                FLAG('c', "cplus", "its members are C++ clients"), END};
ROWS skip[] = {MUST('g', "group", "the consumer group"), TOPIC, FORCE, END};
ROWS clone_options[] = {MUST('s', "srcGroup", "the group whose offsets are taken"), MUST('d', "destGroup", "the group that gets them"), TOPIC,
                ARG('o', "offline", "has no effect, as at Apache's"), END};

/* name servers */
ROWS none[] = {END};
ROWS put_kv[] = {MUST('s', "namespace", "the namespace"), MUST('k', "key", "the key"), MUST('v', "value", "its new value"), END};
ROWS delete_kv[] = {MUST('s', "namespace", "the namespace"), MUST('k', "key", "the key"), END};
ROWS perm[] = {MUST('b', "brokerName", "the broker's name"), END};
ROWS update_names[] = {MUST('k', "key", "the setting"), MUST('v', "value", "its new value"), END};
#define FOLDER ARG('f', "filePath", "the folder of the file (default: /tmp/rocketmq/export)")
ROWS export_options[] = {MUST('c', "clusterName", "the cluster"), FOLDER, END};
ROWS export_metadata_options[] = {CLUSTER,
                                  ARG('b', "brokerAddr", "one broker, host:port: with -t or -g"),
                                  FOLDER,
                                  FLAG('t', "topic", "only topics"),
                                  FLAG('g', "subscriptionGroup", "only groups"),
                                  FLAG('s', "specialTopic", "also retry and dead-letter topics"),
                                  END};
ROWS stats[] = {FLAG('a', "activeTopic", "only topics with messages"), ARG('t', "topic", "only this topic"), END};

const struct mqadmin_command mqadmin_commands[] = {
    {"updateTopic", NULL, "makes a topic, or changes it", update_topic, topic_update},
    {"deleteTopic", NULL, "deletes a topic from brokers and name servers", delete_topic, topic_delete},
    {"updateSubGroup", NULL, "makes a consumer group, or changes it", update_group, group_update},
    {"deleteSubGroup", NULL, "deletes a consumer group from brokers", delete_group, group_delete},
    {"updateBrokerConfig", NULL, "changes a setting of brokers", update_broker, broker_update_config},
    {"updateTopicPerm", NULL, "changes whether a topic may be read and written", update_topic_perm, topic_update_perm},
    {"topicRoute", NULL, "where a topic is", topic_route_options, topic_route},
    {"topicStatus", NULL, "the offsets of a topic's queues", topic_only, topic_status},
    {"topicClusterList", NULL, "the clusters that have a topic", topic_only, topic_cluster_list},
    {"brokerStatus", NULL, "the figures of brokers", broker_or_cluster, broker_status},
    {"queryMsgById", NULL, "a message by its offset id", by_id, query_by_id},
    {"queryMsgByKey", NULL, "messages by a key", by_key, query_by_key},
    {"queryMsgByUniqueKey", NULL, "a message by the id that its producer gave it", by_unique_key, query_by_unique_key},
    {"queryMsgByOffset", NULL, "a message by queue and offset", by_offset, query_by_offset},
    {"queryMsgTraceById", "QueryMsgTraceById", "who sent and who consumed a message, by its trace", trace, query_trace},
    {"printMsg", NULL, "the messages of a topic", print_options, print_topic},
    {"printMsgByQueue", NULL, "the messages of a queue, or how many have which tag", print_queue_options, print_queue},
    {"sendMsgStatus", NULL, "sends to a broker, and how long it takes", send_status_options, send_status},
    {"brokerConsumeStats", NULL, "how far all groups of a broker are", consume_stats, broker_consume_stats},
    {"producerConnection", NULL, "the producers of a group", producers, producer_connection},
    {"consumerConnection", NULL, "the members of a consumer group, and what they subscribe to", consumers, consumer_connection},
    {"consumerProgress", NULL, "how far consumer groups are", progress, consumer_progress},
    {"consumerStatus", NULL, "what the members of a consumer group tell of their insides", status, consumer_status},
    {"cloneGroupOffset", NULL, "gives a group another one's offsets", clone_options, offset_clone},
    {"producer", NULL, "all producers of a broker", producers_of_broker, producer_all},
    {"clusterList", NULL, "the brokers of all clusters", cluster_options, cluster_list},
    {"topicList", NULL, "the topics", topic_list_options, topic_list},
    {"updateKvConfig", NULL, "sets a pair at the name servers", put_kv, namesrv_put_kv},
    {"deleteKvConfig", NULL, "deletes a pair from the name servers", delete_kv, namesrv_delete_kv},
    {"wipeWritePerm", NULL, "has producers leave a broker out", perm, namesrv_wipe_perm},
    {"addWritePerm", NULL, "has producers come back to a broker", perm, namesrv_add_perm},
    {"resetOffsetByTime", NULL, "sets a group back, or forward, to a time", reset, offset_reset},
    {"skipAccumulatedMessage", NULL, "sets a group to the ends of a topic's queues", skip, offset_skip},
    {"updateOrderConf", NULL, "reads or changes a topic's order configuration", order_conf, topic_order_conf},
    {"cleanExpiredCQ", NULL, "has brokers clean consume queues", clean_options, broker_clean_queues},
    {"deleteExpiredCommitLog", NULL, "has brokers delete expired files of their logs", clean_options, broker_delete_log},
    {"cleanUnusedTopic", NULL, "has brokers clean queues of topics that are gone", clean_options, broker_clean_topics},
    {"statsAll", NULL, "what came in and went out, by topic and group", stats, stats_all},
    {"allocateMQ", NULL, "how members would share a topic's queues", allocate, topic_allocate},
    {"checkMsgSendRT", NULL, "how long sends to a topic take", check_rt, send_check_rt},
    {"clusterRT", NULL, "how long sends to all brokers take", cluster_rt, cluster_send_rt},
    {"getNamesrvConfig", NULL, "the settings of name servers", none, namesrv_get_config},
    {"updateNamesrvConfig", NULL, "changes a setting of name servers", update_names, namesrv_update_config},
    {"getBrokerConfig", NULL, "the settings of brokers", broker_or_cluster, broker_get_config},
    {"getConsumerConfig", NULL, "a consumer group as brokers have it", group_only, group_get_config},
    {"queryCq", NULL, "the units of a consume queue", query_cq, queue_query},
    {"sendMessage", NULL, "sends a message", send_options, send_message},
    {"consumeMessage", NULL, "prints messages, from the oldest on", consume_options, print_consume},
    {"exportMetadata", NULL, "writes topics and groups into a file", export_metadata_options, export_metadata},
    {"exportConfigs", NULL, "writes the brokers' settings into a file", export_options, export_configs},
    {"exportMetrics", NULL, "writes the brokers' figures into a file", export_options, export_metrics},
    {NULL, NULL, NULL, NULL, NULL},
};
