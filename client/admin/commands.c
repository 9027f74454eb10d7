/* commands.c - the table of cmq's commands.
 *
 * A command is one row: its words, what it takes, what it says about itself, and its function. Dispatch, help, usage errors, completion
 * and the manual page are made of these rows, so none of them can lag behind. Rows are listed in the order in which a newcomer
 * needs them. (test: integration/cmq.sh; checks/generated.sh compares docs/man/cmq.1) */
#include "client/admin/command.h"

const struct opt_row common_options[] = {
    {OPT_HELP, 'h', "help", NULL, NULL, "what the command does and takes"},
    {OPT_NONE, 0, NULL, NULL, NULL, NULL},
};
const struct opt_row talk_options[] = {
    {OPT_NAMESRV, 'n', "namesrv", "ADDR", NULL, "name servers, host:port;host:port (default: $NAMESRV_ADDR, else 127.0.0.1:9876)"},
    {OPT_TIMEOUT, 0, "timeout", "MS", NULL, "how long to wait for one answer, in milliseconds (default: 3000)"},
    {OPT_SET, 's', "set", "KEY=VALUE", NULL, "a setting of the client, see cmq(5); may be repeated"},
    {OPT_NONE, 0, NULL, NULL, NULL, NULL},
};
const struct opt_row list_options[] = {
    {OPT_OUTPUT, 'o', "output", "FORMAT", "table json csv", "how rows are printed (default: table)"},
    {OPT_NONE, 0, NULL, NULL, NULL, NULL},
};

static const struct opt_row up_options[] = {
    {OPT_DIR, 'd', "dir", "DIR", NULL, "keeps stores and logs in DIR (default: a temporary folder, removed at the end)"},
    {OPT_GROUPS, 'g', "groups", "N", NULL, "brokers, 1 to 8, each its own group (default: 1)"},
    {OPT_NAMESRVS, 0, "namesrvs", "N", NULL, "name servers, 1 to 4 (default: 1)"},
    {OPT_PORT, 'p', "port", "PORT", NULL, "name servers at PORT, PORT+1 ...; brokers at PORT+12, PORT+22 ... (default: 9876 and 10911, or the next free ones)"},
    {OPT_SET, 's', "set", "KEY=VALUE", NULL, "a setting of the brokers; may be repeated"},
    {OPT_NONE, 0, NULL, NULL, NULL, NULL},
};
static const struct opt_row send_options[] = {
    {OPT_TAG, 't', "tag", "TAG", NULL, "the messages' tag"},
    {OPT_KEYS, 'k', "keys", "KEYS", NULL, "the messages' keys, separated by blanks"},
    {OPT_PROPERTY, 'p', "property", "NAME=VALUE", NULL, "a property; may be repeated"},
    {OPT_DELAY_LEVEL, 0, "delay-level", "N", NULL, "delivers later: a level of the broker's messageDelayLevel, from 1"},
    {OPT_QUEUE_BY, 0, "queue-by", "TEXT", NULL, "the same text always gets the same queue"},
    {OPT_TRANSACTION, 0, "transaction", "HOW", "commit rollback", "sends as a half message, and then commits it or rolls it back"},
    {OPT_NONE, 0, NULL, NULL, NULL, NULL},
};
static const struct opt_row tail_options[] = {
    {OPT_FROM, 'f', "from", "WHERE", "first last", "first, last, or a time: 2026-03-01T12:00:00, or ms since 1970 (default: last)"},
    {OPT_COUNT, 'c', "count", "N", NULL, "ends after N messages"},
    {OPT_FILTER, 0, "filter", "TAGS", NULL, "only these tags: \"a || b\" (default: all)"},
    {OPT_SQL, 0, "sql", "EXPR", NULL, "only what this SQL92 expression over properties matches: \"a > 5 AND colour = 'red'\""},
    {OPT_GROUP, 'g', "group", "GROUP", NULL, "consumes as a member of this consumer group, which then has consumed what was shown"},
    {OPT_IDLE, 0, "idle", "MS", NULL, "ends when no message came for so long (default: never)"},
    {OPT_NONE, 0, NULL, NULL, NULL, NULL},
};
static const struct opt_row group_reset_options[] = {
    {OPT_FROM, 'f', "from", "WHERE", "first last", "where it goes on; needed: first, last (past its backlog), or a time: 2026-03-01T12:00:00, ms since 1970"},
    {OPT_DRY_RUN, 0, "dry-run", NULL, NULL, "says where it would go on, and moves nothing"},
    {OPT_NONE, 0, NULL, NULL, NULL, NULL},
};
static const struct opt_row topic_list_options[] = {
    {OPT_ALL, 'a', "all", NULL, NULL, "also retry, dead-letter and system topics"},
    {OPT_NONE, 0, NULL, NULL, NULL, NULL},
};
static const struct opt_row topic_create_options[] = {
    {OPT_QUEUES, 'q', "queues", "N", NULL, "queues per broker, 1 to 65536 (default: 8)"},
    {OPT_CLUSTER, 'c', "cluster", "NAME", NULL, "only in this cluster (default: in all)"},
    {OPT_PERM, 0, "perm", "PERM", "rw r w", "readable, writable, or both (default: rw)"},
    {OPT_ORDERED, 0, "ordered", NULL, NULL, "marks the topic as ordered"},
    {OPT_NONE, 0, NULL, NULL, NULL, NULL},
};
static const struct opt_row topic_delete_options[] = {
    {OPT_CLUSTER, 'c', "cluster", "NAME", NULL, "only in this cluster (default: in all)"},
    {OPT_DRY_RUN, 0, "dry-run", NULL, NULL, "says what would go, and deletes nothing"},
    {OPT_NONE, 0, NULL, NULL, NULL, NULL},
};
/* what the three kinds of bench have in common */
#define BENCH_TOPIC {OPT_TOPIC, 't', "topic", "TOPIC", NULL, "the topic (default: CMQ_BENCH)"}
#define BENCH_END                                                                                                                                             \
    {OPT_DURATION, 'd', "duration", "S", NULL, "measures for so many seconds (default: 10; with --count: as long as it takes)"},                               \
        {OPT_COUNT, 'c', "count", "N", NULL, "ends after N measured messages"}
#define BENCH_MAKE                                                                                                                                            \
    {OPT_QUEUES, 'q', "queues", "N", NULL, "queues per broker of a topic that has to be made (default: 8)"},                                                  \
        {OPT_DELETE, 0, "delete", NULL, NULL, "deletes the topic at the end, whoever made it"}
static const struct opt_row bench_send_options[] = {
    BENCH_TOPIC,
    {OPT_SIZE, 0, "size", "BYTES", NULL, "bytes of a body (default: 128)"},
    {OPT_RATE, 'r', "rate", "N", NULL, "open loop: N messages a second, however long answers take (default: closed loop, as fast as answers come)"},
    {OPT_THREADS, 0, "threads", "N", NULL, "producers, each with its own connections and threads, 1 to 256 (default: 1)"},
    {OPT_INFLIGHT, 0, "inflight", "N", NULL, "closed loop: sends of each producer that wait for their answers, 1 to 16384 (default: 256)"},
    {OPT_BATCH, 0, "batch", "N", NULL, "messages of one request, 1 to 1024; each producer waits for the answer (default: 1)"},
    {OPT_SYNC, 0, "sync", NULL, NULL, "each producer waits for the answer before it sends the next"},
    BENCH_END,
    {OPT_WARMUP, 'w', "warmup", "S", NULL, "seconds before, which do not count (default: 1; with --count: 0)"},
    BENCH_MAKE,
    {OPT_NONE, 0, NULL, NULL, NULL, NULL},
};
static const struct opt_row bench_consume_options[] = {
    BENCH_TOPIC,
    {OPT_GROUP, 'g', "group", "GROUP", NULL, "the consumer group, which then has consumed what was measured (default: CMQ_BENCH)"},
    {OPT_POLL, 0, "poll", NULL, NULL, "one thread polls (default: callbacks on consumeThreads threads)"},
    {OPT_BATCH, 0, "batch", "N", NULL, "messages of one callback at most, 1 to 1024 (default: 32)"},
    BENCH_END,
    {OPT_IDLE, 0, "idle", "MS", NULL, "ends when no message came for so long (default: 5000)"},
    {OPT_WARMUP, 'w', "warmup", "S", NULL, "seconds after the first message that do not count (default: 0)"},
    {OPT_DELETE, 0, "delete", NULL, NULL, "deletes the topic at the end"},
    {OPT_NONE, 0, NULL, NULL, NULL, NULL},
};
static const struct opt_row bench_e2e_options[] = {
    BENCH_TOPIC,
    {OPT_SIZE, 0, "size", "BYTES", NULL, "bytes of a body, at least 16 (default: 128)"},
    {OPT_RATE, 'r', "rate", "N", NULL, "messages a second (default: 1000)"},
    {OPT_THREADS, 0, "threads", "N", NULL, "producers, each with its own connections and threads, 1 to 256 (default: 1)"},
    {OPT_SYNC, 0, "sync", NULL, NULL, "each producer waits for the answer before it sends the next"},
    {OPT_POLL, 0, "poll", NULL, NULL, "one thread polls (default: callbacks on consumeThreads threads)"},
    BENCH_END,
    {OPT_WARMUP, 'w', "warmup", "S", NULL, "seconds before, which do not count (default: 1; with --count: 0)"},
    BENCH_MAKE,
    {OPT_NONE, 0, NULL, NULL, NULL, NULL},
};
static const struct opt_row none[] = {{OPT_NONE, 0, NULL, NULL, NULL, NULL}};

const struct command commands[] = {
    {"up", "", "a cluster for development, in the foreground",
     "Starts name servers and brokers as processes of their own, bound to 127.0.0.1, prints where they are, and waits. Ctrl-C or SIGTERM stops the "
     "brokers, then the name servers, and leaves nothing behind, except what --dir keeps.\n\n"
     "A server that ends by itself is reported with the end of its log; the rest is stopped then, and the exit code is 1.",
     "cmq up\ncmq up --dir ./data --groups 2 --namesrvs 2\ncmq up --set flushDiskType=SYNC_FLUSH", up_options, false, true, 0, 0, cmd_up},
    {"send", "TOPIC TEXT", "sends a message, or one per line of standard input",
     "Sends TEXT and prints where the message went. With - as TEXT each line of standard input is a message; after a failure it goes on with the next line, "
     "and the exit code is 4 when some were sent and some not.",
     "cmq send Orders 'hello' --tag new --keys 4711\nprintf 'a\\nb\\n' | cmq send Orders - -o csv", send_options, true, true, 2, 2, cmd_send},
    {"tail", "TOPIC", "prints messages as they arrive",
     "Prints a line per message until Ctrl-C, --count or --idle ends it: when it was stored, broker:queue:offset, tag, keys, body. "
     "Without --group nobody's offsets are touched. Bytes that a terminal would obey are printed as \\xNN. "
     "With --group and --sql the brokers judge, and need enablePropertyFilter=true.",
     "cmq tail Orders --from first --count 10\ncmq tail Orders --filter 'new || paid' -o json\n"
     "cmq tail Orders --sql \"price > 9.5 AND colour IN ('red', 'blue')\"", tail_options, true, true, 1, 1, cmd_tail},
    {"topic list", "", "the topics", "Lists topics by name. Retry, dead-letter and system topics are shown with --all.", NULL, topic_list_options, true, true,
     0, 0, cmd_topic_list},
    {"topic create", "TOPIC", "makes a topic, or changes its queues",
     "Makes the topic on every master of the cluster and waits until each name server knows it.", "cmq topic create Orders --queues 4",
     topic_create_options, true, false, 1, 1, cmd_topic_create},
    {"topic delete", "TOPIC", "deletes a topic and its messages",
     "Deletes the topic on every broker and name server. Its messages are gone.", "cmq topic delete Orders --dry-run", topic_delete_options, true, false, 1,
     1, cmd_topic_delete},
    {"topic route", "TOPIC", "the brokers that have a topic", "Shows the route that clients get from the name server.", NULL, none, true, true, 1, 1,
     cmd_topic_route},
    {"topic status", "TOPIC", "each queue's offsets",
     "Shows, queue by queue, the lowest offset, the next offset, how many messages lie between them, and when the last was stored.", NULL, none, true, true,
     1, 1, cmd_topic_status},
    {"group show", "GROUP", "how far a consumer group is",
     "Shows, queue by queue, what the group has consumed, and how far it is behind. When two members want different things of a topic (other tags, or one of "
     "them not at all), some of its messages reach nobody: a line says which two.",
     "cmq group show billing\ncmq group show billing -o json", none, true, true, 1, 1, cmd_group_show},
    {"group members", "GROUP", "who is in a consumer group", "Shows each member's connections, one a broker.", NULL, none, true, true, 1, 1,
     cmd_group_members},
    {"group reset", "GROUP TOPIC", "moves a consumer group to another place of a topic",
     "Shows, queue by queue, where the group goes on. Members that run are told by their brokers: they stop, and go on there some seconds later. Without "
     "members the offsets are written.",
     "cmq group reset billing Orders --from first --dry-run\ncmq group reset billing Orders --from 2026-03-01T12:00:00", group_reset_options, true, true, 2, 2,
     cmd_group_reset},
    {"bench send", "", "how fast messages can be sent",
     "Sends messages to any RocketMQ, CometMQ or Apache's, and prints one row: how many were answered and how many failed, for how long, how many a second, "
     "and how long answers took, in microseconds: half of them at most p50, 999 of 1000 at most p999. CPU is the processor's time of this client for each "
     "message, in nanoseconds.\n\n"
     "Without --rate a message is sent when the answer of an earlier one came (closed loop). With --rate each is due at its moment, and its time counts from "
     "then, also when it could not be sent yet (open loop).\n\n"
     "A topic that is not there is made, and stays. A line a second shows the progress on a terminal. The exit code is 4 when some messages failed.",
     "cmq bench send --inflight 64\ncmq bench send --batch 32 --threads 2 -o json\ncmq bench send --rate 5000 --duration 30 -n mq1:9876", bench_send_options,
     true, true, 0, 0, cmd_bench_send},
    {"bench consume", "", "how fast messages can be consumed",
     "Consumes as a member of a group, from where the group is, at first from the beginning, and prints a row as bench send does. The measurement begins with "
     "the first message. The times are the messages' ages when they arrived, by the clocks of their producers and of this host, to the millisecond.\n\n"
     "The exit code is 4 when fewer than --count came.",
     "cmq bench send --count 1000000 && cmq bench consume --count 1000000", bench_consume_options, true, true, 0, 0, cmd_bench_consume},
    {"bench e2e", "", "how long messages take from producer to consumer",
     "Sends at a steady rate and receives in the same process, and prints a row as bench send does. A message's time counts from the moment it was due until "
     "the consumer had it. What was acknowledged and never arrived is lost; what arrived again is a duplicate. The consumer reads all queues of the topic "
     "from their ends and leaves no group behind.\n\n"
     "The exit code is 4 when messages failed or were lost.",
     "cmq bench e2e --rate 5000 --duration 30\ncmq bench e2e --rate 100 --poll -o json --delete", bench_e2e_options, true, true, 0, 0, cmd_bench_e2e},
    {"mqadmin", "", "Apache's mqadmin: its commands, options and columns",
     "What follows is read as Apache's mqadmin 4.9.8 reads it. Without more: the list of its commands. Called by the name of mqadmin, the program is this "
     "command. See mqadmin(1).",
     "cmq mqadmin clusterList -n 127.0.0.1:9876\ncmq mqadmin help topicRoute\nln -s cmq mqadmin && ./mqadmin topicList", none, false, false, 0, 0, cmd_mqadmin},
    {"help", "[COMMAND]", "this list, or what a command takes", "Without COMMAND: the list of commands.", NULL, none, false, false, 0, 2, cmd_help},
    {"completion", "SHELL", "completion for bash, zsh or fish", "Prints a script for the shell.",
     "cmq completion bash > ~/.local/share/bash-completion/completions/cmq\n"
     "cmq completion zsh > ~/.zfunc/_cmq\ncmq completion fish > ~/.config/fish/completions/cmq.fish",
     none, false, false, 1, 1, cmd_completion},
    {"man", "[PAGE]", "the manual page, as roff", "Prints cmq(1), or mqadmin(1) when PAGE is mqadmin.", "cmq man | man -l -\ncmq man mqadmin | man -l -", none,
     false, false, 0, 1, cmd_man},
    {"version", "", "the version", "Prints the version of cmq and libcmq.", NULL, none, false, false, 0, 0, cmd_version},
    {NULL, NULL, NULL, NULL, NULL, NULL, false, false, 0, 0, NULL},
};
