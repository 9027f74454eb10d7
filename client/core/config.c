/* config.c - the table of keys. Names, defaults and units are Apache's where Apache has the key. */
#include "client/core/config.h"

#include <stdio.h>

#include "client/core/error.h"
#include "common/base/mem.h"
#include "common/protocol/command.h"

#define AT(field) offsetof(struct cmq_config, field)
static const char *const from_names[] = {"CONSUME_FROM_LAST_OFFSET", "CONSUME_FROM_FIRST_OFFSET", "CONSUME_FROM_TIMESTAMP", NULL};
static const char *const model_names[] = {"CLUSTERING", "BROADCASTING", NULL};
static const char *const allocate_names[] = {"AVG", "AVG_BY_CIRCLE", "CONSISTENT_HASH", NULL};
static const char *const serialize_names[] = {"JSON", "ROCKETMQ", NULL}; /* in the order of enum serialize */

static const struct conf_key keys[] = {
    {"namesrvAddr", CONF_STR, AT(namesrv_addr), "", 0, 4000, AT_START, "name servers, host:port, ; between them", NULL},
    {"clientIP", CONF_STR, AT(client_ip), "", 0, 64, AT_START, "address in the client id; empty: this host's", NULL},
    {"instanceName", CONF_STR, AT(instance_name), "DEFAULT", 1, 128, AT_START, "part of the client id; DEFAULT: process id and time", NULL},
    {"unitName", CONF_STR, AT(unit_name), "", 0, 128, AT_START, "end of the client id", NULL},
    {"mqClientApiTimeout", CONF_INT, AT(api_timeout_ms), "3000", 1, 600000, AT_START, "ms for an answer of one server", NULL},
    {"heartbeatBrokerInterval", CONF_INT, AT(heartbeat_ms), "30000", 100, 110000, AT_START, "ms between heartbeats", NULL},
    {"pollNameServerInterval", CONF_INT, AT(poll_names_ms), "30000", 100, 3600000, AT_START, "ms between looks for changed routes", NULL},
    {"serializeType", CONF_ENUM, AT(serialize), "ROCKETMQ", 0, 0, AT_START, "form of request headers; ROCKETMQ is binary", serialize_names},
    {"enableTrace", CONF_BOOL, AT(enable_trace), "false", 0, 0, AT_START, "records of what was sent and consumed go to the trace topic; not of polls", NULL},
    {"traceTopic", CONF_STR, AT(trace_topic), "RMQ_SYS_TRACE_TOPIC", 1, 127, AT_START, "the trace topic's name; brokers make it with traceTopicEnable",
     NULL},
    {"producerGroup", CONF_STR, AT(producer_group), "CMQ_PRODUCER", 1, 255, AT_START, "name of the group of producers", NULL},
    {"sendMsgTimeout", CONF_INT, AT(send_timeout_ms), "3000", 1, 3600000, AT_START, "ms for a send with all its retries", NULL},
    {"retryTimesWhenSendFailed", CONF_INT, AT(retry_times), "2", 0, 100, AT_START, "further tries of a send, on other brokers if there are", NULL},
    {"retryTimesWhenSendAsyncFailed", CONF_INT, AT(retry_times_async), "2", 0, 100, AT_START, "the same for asynchronous sends", NULL},
    {"compressMsgBodyOverHowmuch", CONF_INT, AT(compress_over), "4096", 0, 2147483647, AT_START, "bodies of so many bytes and more are compressed",
     NULL},
    {"maxMessageSize", CONF_INT, AT(max_message_size), "4194304", 1, 16000000, AT_START, "bytes of a body, or of a batch", NULL},
    {"defaultTopicQueueNums", CONF_INT, AT(default_queues), "4", 1, 65535, AT_START, "queues of a topic that a send creates", NULL},
    {"createTopicKey", CONF_STR, AT(create_topic_key), "TBW102", 1, 127, AT_START, "topic whose route unknown topics start with", NULL},
    {"asyncMaxMessages", CONF_I64, AT(async_max_messages), "16384", 1, 16777216, AT_START, "asynchronous sends that wait for their answers", NULL},
    {"asyncMaxBytes", CONF_I64, AT(async_max_bytes), "33554432", 1, 1073741824, AT_START, "bytes of their bodies", NULL},
    {"consumerGroup", CONF_STR, AT(consumer_group), "", 0, 255, AT_START, "name of the group of consumers", NULL},
    {"messageModel", CONF_ENUM, AT(model), "CLUSTERING", 0, 0, AT_START, "share the messages, or each member gets all", model_names},
    {"consumeFromWhere", CONF_ENUM, AT(from_where), "CONSUME_FROM_LAST_OFFSET", 0, 0, AT_START, "where a group without an offset begins", from_names},
    {"consumeTimestamp", CONF_STR, AT(consume_timestamp), "", 0, 14, AT_START, "yyyymmddHHMMSS for CONSUME_FROM_TIMESTAMP; empty: 30 minutes ago", NULL},
    {"allocateMessageQueueStrategy", CONF_ENUM, AT(allocate), "AVG", 0, 0, AT_START, "how members share queues; the same for all of a group",
     allocate_names},
    {"consumeThreads", CONF_INT, AT(threads), "20", 1, 1000, AT_START, "threads that run the callback, started when needed", NULL},
    {"pullBatchSize", CONF_INT, AT(pull_batch), "32", 1, 1024, AT_START, "messages asked for in one pull", NULL},
    {"consumeMessageBatchMaxSize", CONF_INT, AT(consume_batch), "1", 1, 1024, AT_START, "messages given to one callback", NULL},
    {"pullThresholdForQueue", CONF_INT, AT(threshold_messages), "1000", 1, 65535, AT_START, "messages of a queue that wait here", NULL},
    {"pullThresholdSizeForQueue", CONF_INT, AT(threshold_mib), "100", 1, 1024, AT_START, "the same in MiB of bodies", NULL},
    {"maxReconsumeTimes", CONF_INT, AT(max_reconsume), "-1", -1, 2147483647, AT_START,
     "redeliveries before the dead letters; -1: what the group's brokers say (16), in order: no end", NULL},
    {"suspendCurrentQueueTimeMillis", CONF_INT, AT(suspend_ms), "1000", 10, 30000, AT_START, "in order: ms until a message that was put back comes again",
     NULL},
    {"persistConsumerOffsetInterval", CONF_INT, AT(persist_ms), "5000", 100, 3600000, AT_START, "ms between reports of how far consuming has come",
     NULL},
    {"localOffsetStoreDir", CONF_STR, AT(offset_dir), "", 0, 3800, AT_START, "folder for a broadcasting member's offsets; empty: in memory", NULL},
};
static const struct conf_table table = {keys, sizeof keys / sizeof *keys};

const struct conf_table *client_config_table(void) { return &table; }

struct cmq_config *cmq_config_new(void)
{
    struct cmq_config *c = mem_zalloc(sizeof *c);
    if (c != NULL && conf_defaults(&table, c, NULL) != MQ_OK) {
        cmq_config_free(c);
        return NULL;
    }
    return c;
}

void client_config_fini(struct cmq_config *c) { conf_free(&table, c); }

void cmq_config_free(struct cmq_config *c)
{
    if (c == NULL)
        return;
    client_config_fini(c);
    mem_free(c);
}

enum cmq_code cmq_config_set(struct cmq_config *c, const char *key, const char *value, struct cmq_error *err)
{
    struct fault why = {0};
    if (key == NULL || value == NULL)
        return error_set(err, CMQ_ERR_CONFIG, "configuration: key and value may not be NULL");
    enum mq_err failed = conf_set(&table, c, slice_str(key), slice_str(value), &why);
    if (failed == MQ_OK)
        return error_ok(err);
    if (failed == MQ_ENOMEM)
        return error_of_fault(err, &why);
    return error_set(err, CMQ_ERR_CONFIG, "%s", why.what);
}

struct unknown {
    char words[200];
};
static void on_unknown(void *arg, const char *file, unsigned line, struct slice key)
{
    struct unknown *u = arg;
    if (u->words[0] == '\0')
        snprintf(u->words, sizeof u->words, "%s:%u: there is no key %.*s", file, line, (int)(key.n < 80 ? key.n : 80), (const char *)key.p);
}

enum cmq_code cmq_config_load(struct cmq_config *c, const char *file, struct cmq_error *err)
{
    struct fault why = {0};
    struct unknown unknown = {""};
    enum mq_err failed = conf_load_file(&table, c, file, on_unknown, &unknown, &why);
    if (failed == MQ_EIO || failed == MQ_ENOMEM)
        return error_of_fault(err, &why);
    if (failed != MQ_OK || unknown.words[0])
        return error_set(err, CMQ_ERR_CONFIG, "%s", failed != MQ_OK ? why.what : unknown.words);
    return error_ok(err);
}

char *cmq_config_dump(const struct cmq_config *c)
{
    struct buf out = {0};
    conf_print(&table, c, &out);
    buf_u8(&out, 0);
    if (!out.failed)
        return (char *)out.p;
    buf_free(&out);
    return NULL;
}

void cmq_free(void *p) { mem_free(p); }

enum cmq_code client_config_copy(const struct cmq_config *cfg, struct cmq_config *out, struct cmq_error *err)
{
    struct buf value = {0};
    struct fault why = {0};
    enum mq_err failed = conf_defaults(&table, out, &why);
    for (size_t i = 0; cfg != NULL && i < table.n && failed == MQ_OK; i++) {
        buf_clear(&value);
        conf_value(&keys[i], cfg, &value);
        failed = value.failed ? fault_set(&why, MQ_ENOMEM, 0, "configuration") : conf_set(&table, out, slice_str(keys[i].name), buf_view(&value), &why);
    }
    buf_free(&value);
    if (failed == MQ_OK)
        return CMQ_OK;
    client_config_fini(out);
    return error_of_fault(err, &why);
}
