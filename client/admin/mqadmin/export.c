/* export.c - exportConfigs, exportMetadata, exportMetrics: what a cluster is, as one JSON file.
 *
 * The files have the members that Apache's have; a result is put together as a JSON value, and words_json() writes it. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/admin/mqadmin/lookup.h"
#include "client/admin/mqadmin/properties.h"
#include "client/admin/mqadmin/stats.h"
#include "client/admin/mqadmin/words.h"
#include "client/admin/servers.h"
#include "common/base/clock.h"
#include "common/protocol/json.h"
#include "common/protocol/message.h"

#define FOLDER "/tmp/rocketmq/export"
enum { LONG_MS = 10000 };

/* Writes FOLDER/name and says so. */
static bool save(struct mqadmin *m, const json_t *value, const char *name, const char *end)
{
    const char *folder = opt_or(m, 'f', FOLDER);
    char path[1024];
    struct buf text = {0};
    int n = snprintf(path, sizeof path, "%s/%s", folder, name);
    words_json(&text, value, true);
    FILE *f = n < (int)sizeof path && folder_make(folder) && !text.failed ? fopen(path, "we") : NULL;
    bool good = f != NULL && fwrite(text.p, 1, text.n, f) == text.n;
    if (f != NULL && fclose(f) != 0)
        good = false;
    buf_free(&text);
    if (!good)
        return fail(m, -1, "%s: %s", path, strerror(errno));
    print("export %s success%s", path, end);
    return true;
}

/* NULL: it failed. Yours. */
static json_t *config_of(struct mqadmin *m, const char *addr)
{
    struct ask q = ask_of(REQ_GET_BROKER_CONFIG);
    struct answer answer;
    if (!ask_ok(m, addr, &q, &answer))
        return NULL;
    json_t *config = properties_read(answer.cmd.body);
    answer_free(&answer);
    return config;
}

/* ---- exportConfigs ---- */

static json_t *chosen_settings(const json_t *config)
{
    static const char *const names[] = {"brokerClusterName", "brokerId", "brokerName", "brokerRole", "fileReservedTime", "filterServerNums", "flushDiskType",
                                        "maxMessageSize", "messageDelayLevel", "msgTraceTopicName", "slaveReadEnable", "traceOn", "traceTopicEnable", "useTLS",
                                        "autoCreateTopicEnable", "autoCreateSubscriptionGroup"};
    json_t *out = json_object();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        json_object_set(out, names[i], json_object_get(config, names[i])); /* what a broker does not have is left out */
    return out;
}

bool export_configs(struct mqadmin *m)
{
    struct addrs all;
    if (!addrs_get(m, opt_text(m, 'c'), true, &all))
        return false;
    json_t *result = json_object(), *configs = json_object(), *scale = json_object();
    size_t masters = 0;
    bool good = true;
    for (size_t i = 0; good && i < all.n; i++) {
        if (all.at[i]->id != 0)
            continue;
        json_t *config = config_of(m, all.at[i]->addr);
        good = config != NULL;
        if (good)
            json_object_set_new(configs, all.at[i]->broker, chosen_settings(config));
        json_decref(config);
        masters++;
    }
    json_object_set_new(scale, "namesrvSize", json_integer((json_int_t)client_n_names(m->client)));
    json_object_set_new(scale, "masterBrokerSize", json_integer((json_int_t)masters));
    json_object_set_new(scale, "slaveBrokerSize", json_integer((json_int_t)(all.n - masters)));
    json_object_set_new(result, "brokerConfigs", configs);
    json_object_set_new(result, "clusterScale", scale);
    good = good && save(m, result, "configs.json", "");
    json_decref(result);
    addrs_free(&all);
    return good;
}

/* ---- the topics and groups that are users' ---- */

static bool is_in(const json_t *array, const char *text)
{
    json_t *one;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)array, i, one)
        if (strcmp(json_string_value(one) ? json_string_value(one) : "", text) == 0)
            return true;
    return false;
}

/* A broker's answer to 21, without its own topics, and without those of groups unless they are wanted. Yours; NULL: it failed. */
static json_t *user_topics(struct mqadmin *m, const char *addr, bool of_groups)
{
    struct ask all = ask_of(REQ_GET_ALL_TOPIC_CONFIG), own = ask_of(REQ_GET_SYSTEM_TOPIC_LIST_FROM_BROKER);
    const char *topic;
    json_t *one;
    void *next;
    all.timeout_ms = own.timeout_ms = LONG_MS;
    json_t *root = ask_json(m, addr, &all), *system = root != NULL ? ask_json(m, addr, &own) : NULL;
    json_t *table = json_object_get(root, "topicConfigTable"), *list = json_object_get(system, "topicList");
    json_object_foreach_safe(table, next, topic, one) {
        bool is_groups = strncmp(topic, RETRY_PREFIX, strlen(RETRY_PREFIX)) == 0 || strncmp(topic, DLQ_PREFIX, strlen(DLQ_PREFIX)) == 0;
        if (is_in(list, topic) || (is_groups && !of_groups))
            json_object_del(table, topic);
    }
    if (system == NULL) {
        json_decref(root);
        return NULL;
    }
    json_decref(system);
    return root;
}

static bool is_system_group(const char *group)
{
    static const char *const names[] = {"DEFAULT_CONSUMER", "DEFAULT_PRODUCER", "TOOLS_CONSUMER", "FILTERSRV_CONSUMER", "__MONITOR_CONSUMER",
                                        "CLIENT_INNER_PRODUCER", "SELF_TEST_P_GROUP", "SELF_TEST_C_GROUP", "CID_ONS-HTTP-PROXY", "CID_ONSAPI_PERMISSION",
                                        "CID_ONSAPI_OWNER", "CID_ONSAPI_PULL"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(group, names[i]) == 0)
            return true;
    return strncmp(group, "CID_RMQ_SYS_", 12) == 0;
}

/* A broker's answer to 201, without its own groups. Yours; NULL: it failed. */
static json_t *user_groups(struct mqadmin *m, const char *addr)
{
    struct ask q = ask_of(REQ_GET_ALL_SUBSCRIPTIONGROUP_CONFIG);
    const char *group;
    json_t *one;
    void *next;
    q.timeout_ms = LONG_MS;
    json_t *root = ask_json(m, addr, &q), *table = json_object_get(root, "subscriptionGroupTable");
    json_object_foreach_safe(table, next, group, one)
        if (is_system_group(group))
            json_object_del(table, group);
    return root;
}

/* ---- exportMetadata ---- */

static void add_number(json_t *to, const json_t *from, const char *key)
{
    if (from != NULL)
        json_object_set_new(to, key, json_integer(json_i64(to, key, 0) + json_i64(from, key, 0)));
}

/* Puts the entries of one broker's table to those of others: queues of the same topic or group are added up. */
static void merge(json_t *sum, json_t *table, const char *queues, const char *more_queues)
{
    const char *name;
    json_t *one;
    json_object_foreach(table, name, one) {
        const json_t *there = json_object_get(sum, name);
        add_number(one, there, queues);
        if (more_queues != NULL)
            add_number(one, there, more_queues);
        json_object_set(sum, name, one);
    }
}

static bool metadata_of_broker(struct mqadmin *m)
{
    bool topics = opt_is(m, 't');
    if (!topics && !opt_is(m, 'g'))
        return true;
    json_t *root = topics ? user_topics(m, opt_text(m, 'b'), opt_is(m, 's')) : user_groups(m, opt_text(m, 'b'));
    bool good = root != NULL && save(m, root, topics ? "topic.json" : "subscriptionGroup.json", "");
    json_decref(root);
    return good;
}

bool export_metadata(struct mqadmin *m)
{
    bool only_topics = opt_is(m, 't'), only_groups = !only_topics && opt_is(m, 'g');
    struct addrs masters;
    if (opt_is(m, 'b'))
        return metadata_of_broker(m);
    if (!opt_is(m, 'c'))
        return help_print(m->command);
    if (!addrs_get(m, opt_text(m, 'c'), false, &masters))
        return false;
    json_t *result = json_object(), *topics = json_object(), *groups = json_object();
    bool good = true;
    for (size_t i = 0; good && i < masters.n; i++) {
        json_t *t = user_topics(m, masters.at[i]->addr, opt_is(m, 's')), *g = t != NULL ? user_groups(m, masters.at[i]->addr) : NULL;
        good = g != NULL;
        merge(topics, json_object_get(t, "topicConfigTable"), "writeQueueNums", "readQueueNums");
        merge(groups, json_object_get(g, "subscriptionGroupTable"), "retryQueueNums", NULL);
        json_decref(t);
        json_decref(g);
    }
    if (!only_groups)
        json_object_set(result, "topicConfigTable", topics);
    if (!only_topics)
        json_object_set(result, "subscriptionGroupTable", groups);
    json_object_set_new(result, "exportTime", json_integer(clock_wall_ms()));
    good = good && save(m, result, only_topics ? "topic.json" : only_groups ? "subscriptionGroup.json" : "metadata.json", "\n");
    json_decref(topics);
    json_decref(groups);
    json_decref(result);
    addrs_free(&masters);
    return good;
}

/* ---- exportMetrics ---- */

struct totals {
    double in_tps, out_tps;
    int64_t in_day, out_day;
    struct flow transactions, delayed;
};

static json_t *versions_of(struct mqadmin *m, const json_t *groups)
{
    json_t *out = json_object(), *clients = json_array(), *one;
    char version[WORDS_MAX];
    const char *group;
    json_object_foreach(json_object_get(groups, "subscriptionGroupTable"), group, one) {
        json_t *consumers = lookup_consumers(m, group, NULL), *connection;
        size_t i;
        json_array_foreach(json_object_get(consumers, "connectionSet"), i, connection) {
            char client[100];
            snprintf(client, sizeof client, "%s%%%s", words_member(connection, "language"), words_version(json_i64(connection, "version", 0), version));
            if (!is_in(clients, client))
                json_array_append_new(clients, json_string(client));
        }
        json_decref(consumers);
    }
    fail_forget(m); /* groups that are not online have no clients */
    json_object_set_new(out, "rocketmqVersion", json_string(words_version(MQ_VERSION_OURS, version)));
    json_object_set_new(out, "clientInfo", clients);
    return out;
}

static void set_rates(json_t *out, const char *const names[4], const struct totals *t)
{
    const double values[] = {t->in_tps, t->out_tps, t->transactions.tps, t->delayed.tps};
    for (size_t i = 0; i < 4; i++)
        json_object_set_new(out, names[i], json_real(values[i]));
}

static void set_counts(json_t *out, const struct totals *t)
{
    json_object_set_new(out, "normalOneDayInNum", json_integer(t->in_day));
    json_object_set_new(out, "normalOneDayOutNum", json_integer(t->out_day));
    json_object_set_new(out, "transOneDayInNum", json_integer(t->transactions.day));
    json_object_set_new(out, "scheduleOneDayInNum", json_integer(t->delayed.day));
}

static struct totals totals_of(struct mqadmin *m, const char *addr, const json_t *figures)
{
    struct totals t = {.in_tps = strtod(words_member(figures, "putTps"), NULL), .out_tps = strtod(words_member(figures, "getTransferedTps"), NULL)};
    t.in_day = json_i64(figures, "msgPutTotalTodayMorning", 0) - json_i64(figures, "msgPutTotalYesterdayMorning", 0);
    t.out_day = json_i64(figures, "msgGetTotalTodayMorning", 0) - json_i64(figures, "msgGetTotalYesterdayMorning", 0);
    stats_add(m, addr, "TOPIC_PUT_NUMS", "RMQ_SYS_TRANS_HALF_TOPIC", &t.transactions);
    stats_add(m, addr, "TOPIC_PUT_NUMS", "SCHEDULE_TOPIC_XXXX", &t.delayed);
    fail_forget(m); /* a topic that nobody used has no figure */
    return t;
}

static void copy_member(json_t *to, const char *name, const json_t *from, const char *key)
{
    json_t *value = json_object_get(from, key);
    if (value != NULL)
        json_object_set(to, name, value);
}

static json_t *quota_of(const json_t *figures, const json_t *topics, const json_t *groups, const struct totals *t)
{
    static const char *const names[] = {"normalInTps", "normalOutTps", "transInTps", "scheduleInTps"};
    json_t *out = json_object(), *ratio = json_object(), *tps = json_object(), *day = json_object();
    copy_member(ratio, "commitLogDiskRatio", figures, "commitLogDiskRatio");
    copy_member(ratio, "consumeQueueDiskRatio", figures, "consumeQueueDiskRatio");
    set_rates(tps, names, t);
    set_counts(day, t);
    json_object_set_new(out, "diskRatio", ratio);
    json_object_set_new(out, "tps", tps);
    json_object_set_new(out, "oneDayNum", day);
    copy_member(out, "messageAverageSize", figures, "putMessageAverageSize");
    json_object_set_new(out, "topicSize", json_integer((json_int_t)json_object_size(json_object_get(topics, "topicConfigTable"))));
    json_object_set_new(out, "groupSize", json_integer((json_int_t)json_object_size(json_object_get(groups, "subscriptionGroupTable"))));
    return out;
}

/* One broker's part of the report; what it has is added to the sum. NULL: it failed. */
static json_t *report_of(struct mqadmin *m, const char *addr, struct totals *sum)
{
    struct ask q = ask_of(REQ_GET_BROKER_RUNTIME_INFO);
    json_t *runtime = ask_json(m, addr, &q), *config = runtime != NULL ? config_of(m, addr) : NULL;
    json_t *groups = config != NULL ? user_groups(m, addr) : NULL, *topics = groups != NULL ? user_topics(m, addr, false) : NULL, *out = NULL;
    if (topics != NULL) {
        const json_t *figures = json_object_get(runtime, "table");
        struct totals t = totals_of(m, addr, figures);
        json_t *env = json_object();
        copy_member(env, "cpuNum", config, "clientCallbackExecutorThreads"); /* a default of that setting is the number of processors */
        copy_member(env, "totalMemKBytes", figures, "totalMemKBytes");
        out = json_object();
        json_object_set_new(out, "runtimeEnv", env);
        json_object_set_new(out, "runtimeQuota", quota_of(figures, topics, groups, &t));
        json_object_set_new(out, "runtimeVersion", versions_of(m, groups));
        sum->in_tps += t.in_tps;
        sum->out_tps += t.out_tps;
        sum->in_day += t.in_day;
        sum->out_day += t.out_day;
        sum->transactions.tps += t.transactions.tps;
        sum->transactions.day += t.transactions.day;
        sum->delayed.tps += t.delayed.tps;
        sum->delayed.day += t.delayed.day;
    }
    json_decref(runtime);
    json_decref(config);
    json_decref(groups);
    json_decref(topics);
    return out;
}

bool export_metrics(struct mqadmin *m)
{
    static const char *const names[] = {"totalNormalInTps", "totalNormalOutTps", "totalTransInTps", "totalScheduleInTps"};
    struct addrs masters;
    struct totals sum = {0};
    bool good = true;
    if (!addrs_get(m, opt_text(m, 'c'), false, &masters))
        return false;
    json_t *result = json_object(), *reports = json_object(), *total = json_object(), *tps = json_object(), *day = json_object();
    for (size_t i = 0; good && i < masters.n; i++) {
        json_t *report = report_of(m, masters.at[i]->addr, &sum);
        good = report != NULL;
        if (good)
            json_object_set_new(reports, masters.at[i]->broker, report);
    }
    set_rates(tps, names, &sum);
    set_counts(day, &sum);
    json_object_set_new(total, "totalTps", tps);
    json_object_set_new(total, "totalOneDayNum", day);
    json_object_set_new(result, "evaluateReport", reports);
    json_object_set_new(result, "totalData", total);
    good = good && save(m, result, "metrics.json", "");
    json_decref(result);
    addrs_free(&masters);
    return good;
}
