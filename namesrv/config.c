/* config.c - the table of keys, and the few rules beyond it.
 *
 * A change while running is tried on a copy, so that of several keys all or none change, and so that what is saved is what
 * will be (test: requests, a_change_of_configuration_is_all_or_nothing).
 * rocketmqHome is accepted and shown, but nothing needs it: Apache refuses to start without. */
#include "namesrv/config.h"

#include <stdlib.h>

#include "common/base/mem.h"

#define AT(field) offsetof(struct namesrv_config, field)
#define UNUSED(i) offsetof(struct namesrv_config, unused[i])
static const char *const levels[] = {"debug", "info", "warn", "error", "off", NULL}; /* in the order of enum log_level */

static const struct conf_key keys[] = {
    {"listenPort", CONF_INT, AT(listen_port), "9876", 0, 65535, AT_START,
     "TCP port for brokers and clients; 0: any free one", NULL},
    {"bindAddress", CONF_STR, AT(bind_address), "0.0.0.0", 1, 255, AT_START, "address to listen on", NULL},
    {"serverSocketBacklog", CONF_INT, AT(backlog), "1024", 1, 65535, AT_START, "connections that wait to be accepted", NULL},
    {"serverChannelMaxIdleTimeSeconds", CONF_INT, AT(idle_seconds), "120", 1, 86400, AT_START,
     "seconds after which a silent connection is closed", NULL},
    {"maxConnections", CONF_INT, AT(max_connections), "60000", 16, 1000000, AT_START, "connections at a time; more wait", NULL},
    {"orderMessageEnable", CONF_BOOL, AT(order_message_enable), "false", 0, 0, LIVE,
     "routes carry orderTopicConf from the KV namespace ORDER_TOPIC_CONFIG", NULL},
    {"memoryLimit", CONF_BYTES, AT(memory_limit), "0", 0, INT64_MAX, LIVE,
     "bytes (512m, 4g) of tables, answers and buffers; at least 16m; 0: half of what this process may use", NULL},
    {"logLevel", CONF_ENUM, AT(log_level), "info", 0, 0, LIVE, "least important lines that are logged", levels},
    {"kvConfigPath", CONF_STR, AT(kv_config_path), "", 0, 4000, AT_START,
     "file of the KV configuration; empty: $HOME/namesrv/kvConfig.json", NULL},
    {"configStorePath", CONF_STR, AT(config_store_path), "", 0, 4000, AT_START,
     "where changes made while running are kept; -c FILE replaces it; empty: $HOME/namesrv/namesrv.properties", NULL},
    {"configBlackList", CONF_STR, AT(config_black_list), "configBlackList;configStorePath;kvConfigPath", 0, 4000, AT_START,
     "keys that cannot be changed while running, ; between them", NULL},
    {"rocketmqHome", CONF_STR, AT(rocketmq_home), "", 0, 4000, AT_START,
     "shown only; default: the environment's ROCKETMQ_HOME", NULL},
    {"clusterTest", CONF_BOOL, AT(cluster_test), "false", 0, 0, NO_EFFECT,
     "asking another cluster for unknown topics is not supported", NULL},
    {"productEnvName", CONF_STR, UNUSED(0), "center", 0, 255, NO_EFFECT, "name of that other cluster", NULL},
    {"serverWorkerThreads", CONF_STR, UNUSED(1), "8", 0, 255, NO_EFFECT, "", NULL},
    {"serverCallbackExecutorThreads", CONF_STR, UNUSED(2), "0", 0, 255, NO_EFFECT, "", NULL},
    {"serverSelectorThreads", CONF_STR, UNUSED(3), "3", 0, 255, NO_EFFECT, "", NULL},
    {"serverOnewaySemaphoreValue", CONF_STR, UNUSED(4), "256", 0, 255, NO_EFFECT, "", NULL},
    {"serverAsyncSemaphoreValue", CONF_STR, UNUSED(5), "64", 0, 255, NO_EFFECT, "", NULL},
    {"serverSocketSndBufSize", CONF_STR, UNUSED(6), "0", 0, 255, NO_EFFECT, "", NULL},
    {"serverSocketRcvBufSize", CONF_STR, UNUSED(7), "0", 0, 255, NO_EFFECT, "", NULL},
    {"writeBufferHighWaterMark", CONF_STR, UNUSED(8), "0", 0, 255, NO_EFFECT, "", NULL},
    {"writeBufferLowWaterMark", CONF_STR, UNUSED(9), "0", 0, 255, NO_EFFECT, "", NULL},
    {"serverPooledByteBufAllocatorEnable", CONF_STR, UNUSED(10), "true", 0, 255, NO_EFFECT, "", NULL},
    {"useEpollNativeSelector", CONF_STR, UNUSED(11), "false", 0, 255, NO_EFFECT, "", NULL},
};
static const struct conf_table table = {keys, sizeof keys / sizeof *keys};

const struct conf_table *namesrv_config_table(void) { return &table; }

/* What an empty path means. */
static enum mq_err default_path(char **path, const char *dir, const char *below, struct fault *why)
{
    struct buf b = {0};
    if ((*path)[0])
        return MQ_OK;
    buf_str(&b, dir ? dir : "");
    buf_str(&b, below);
    char *text = b.failed ? NULL : slice_dup(buf_view(&b));
    buf_free(&b);
    if (text == NULL)
        return fault_set(why, MQ_ENOMEM, 0, "configuration");
    mem_free(*path);
    *path = text;
    return MQ_OK;
}

enum mq_err namesrv_config_load(struct namesrv_config *c, const char *file, conf_unknown_fn *unknown, void *arg, struct fault *why)
{
    const char *home = getenv("HOME");
    *c = (struct namesrv_config){0};
    enum mq_err err = conf_defaults(&table, c, why);
    if (err == MQ_OK && file)
        err = conf_load_file(&table, c, file, unknown, arg, why);
    if (err == MQ_OK && file)
        err = conf_set(&table, c, SLICE_LIT("configStorePath"), slice_str(file), why);
    if (err == MQ_OK)
        err = default_path(&c->kv_config_path, home ? home : ".", "/namesrv/kvConfig.json", why);
    if (err == MQ_OK)
        err = default_path(&c->config_store_path, home ? home : ".", "/namesrv/namesrv.properties", why);
    if (err == MQ_OK)
        err = default_path(&c->rocketmq_home, getenv("ROCKETMQ_HOME"), "", why);
    if (err != MQ_OK)
        namesrv_config_free(c);
    return err;
}

void namesrv_config_free(struct namesrv_config *c) { conf_free(&table, c); }

static bool black_listed(const struct namesrv_config *c, struct slice key)
{
    static const char *const always[] = {"configBlackList", "configStorePath", "kvConfigPath", "rocketmqHome"};
    struct slice rest = slice_str(c->config_black_list), name;
    for (size_t i = 0; i < sizeof always / sizeof *always; i++)
        if (slice_is(key, always[i]))
            return true;
    while (slice_cut(&rest, ';', &name))
        if (slice_eq(key, name))
            return true;
    return false;
}

static enum mq_err copy(const struct namesrv_config *c, struct namesrv_config *out, struct fault *why)
{
    struct buf value = {0};
    enum mq_err err = MQ_OK;
    *out = (struct namesrv_config){0};
    for (size_t i = 0; i < table.n && err == MQ_OK; i++) {
        buf_clear(&value);
        conf_value(&keys[i], c, &value);
        err = value.failed ? fault_set(why, MQ_ENOMEM, 0, "configuration") : conf_set(&table, out, slice_str(keys[i].name), buf_view(&value), why);
    }
    buf_free(&value);
    return err;
}

enum mq_err namesrv_config_changed(const struct namesrv_config *c, struct slice properties, struct namesrv_config *out, struct fault *why)
{
    struct slice rest = properties, key, value;
    struct buf scratch = {0};
    unsigned line = 0;
    enum mq_err err = copy(c, out, why);

    while (err == MQ_OK && properties_next(&rest, &line, &scratch, &key, &value)) {
        if (black_listed(c, key))
            err = fault_set(why, MQ_EREFUSED, 0, "Can not update config in black list.");
        else if (conf_find(&table, key))
            err = conf_set_live(&table, out, key, value, why);
    }
    if (err == MQ_OK && scratch.failed)
        err = fault_set(why, MQ_ENOMEM, 0, "configuration");
    buf_free(&scratch);
    if (err != MQ_OK)
        namesrv_config_free(out);
    return err;
}

void namesrv_config_text(const struct namesrv_config *c, struct buf *out) { conf_print(&table, c, out); }

void namesrv_config_file(const struct namesrv_config *c, struct buf *out)
{
    struct buf value = {0};
    for (size_t i = 0; i < table.n; i++) {
        buf_str(out, keys[i].name);
        buf_u8(out, '=');
        buf_clear(&value);
        conf_value(&keys[i], c, &value);
        for (size_t k = 0; k < value.n; k++) {
            static const char odd[] = "\n\r\t\f", letter[] = "nrtf";
            const char *at = value.p[k] ? strchr(odd, value.p[k]) : NULL;
            if (at || value.p[k] == '\\' || (value.p[k] == ' ' && (k == 0 || k + 1 == value.n)))
                buf_u8(out, '\\');
            buf_u8(out, at ? (uint8_t)letter[at - odd] : value.p[k]);
        }
        buf_u8(out, '\n');
    }
    out->failed = out->failed || value.failed;
    buf_free(&value);
}
