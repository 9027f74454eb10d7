/* admin.c - what operators ask: each function a few blocking calls, one after the other, on the caller's thread.
 *
 * A client without heartbeats: brokers do not count it as a member of anything. Lists are given to the callback before the function
 * returns; nothing is kept between calls. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/core/admin_internal.h"
#include "client/core/error.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/protocol/codes.h"
#include "common/protocol/message.h"

enum { VISIBLE_MS = 10000, VISIBLE_EVERY_MS = 20, DEFAULT_QUEUES = 8 };

enum cmq_code cmq_admin_new(const struct cmq_config *cfg, struct cmq_admin **out, struct cmq_error *err)
{
    struct cmq_admin *a = mem_zalloc(sizeof *a);
    if (a == NULL)
        return error_set(err, CMQ_ERR_NO_MEMORY, "admin: out of memory");
    struct client_role role = {.ctx = a};
    enum cmq_code code = client_new(cfg, &role, &a->client, err);
    if (code != CMQ_OK)
        goto undo_alloc;
    a->timeout_ms = client_cfg(a->client)->api_timeout_ms;
    code = client_start(a->client, err);
    if (code != CMQ_OK)
        goto undo_client;
    *out = a;
    return error_ok(err);

undo_client:
    client_free(a->client, NULL, NULL);
undo_alloc:
    mem_free(a);
    return code;
}

void cmq_admin_free(struct cmq_admin *a)
{
    if (a == NULL)
        return;
    client_free(a->client, NULL, NULL);
    mem_free(a);
}

/* ---- questions with a JSON answer ---- */

enum cmq_code admin_ask_json(struct cmq_admin *a, const char *addr, const struct command *cmd, const char *doing, json_t **out, struct cmq_error *err)
{
    struct answer answer;
    struct fault why = {0};
    enum cmq_code code = client_call_wait(a->client, addr, cmd, a->timeout_ms, doing, &answer, err);
    if (code != CMQ_OK)
        return code;
    *out = json_parse(answer.cmd.body, &why);
    answer_free(&answer);
    return *out != NULL ? CMQ_OK : error_set(err, CMQ_ERR_PROTOCOL, "%s: the answer is not JSON: %.100s", doing, why.what);
}

enum cmq_code admin_ask_cluster(struct cmq_admin *a, json_t **out, struct cmq_error *err)
{
    struct command cmd = client_command(a->client, REQ_GET_BROKER_CLUSTER_INFO, NULL, 0);
    return admin_ask_json(a, NULL, &cmd, "list the brokers", out, err);
}

static int by_text(const void *x, const void *y) { return strcmp(*(const char *const *)x, *(const char *const *)y); }
static int by_broker(const void *x, const void *y)
{
    const struct cmq_broker *a = x, *b = y;
    int c = strcmp(a->cluster, b->cluster);
    if (c == 0)
        c = strcmp(a->broker_name, b->broker_name);
    return c ? c : (a->broker_id > b->broker_id) - (a->broker_id < b->broker_id);
}

struct cmq_broker *admin_brokers_of(const json_t *info, size_t *n)
{
    json_t *table = json_object_get(info, "brokerAddrTable"), *data, *addr;
    const char *name, *id;
    size_t cap = 1;
    *n = 0;
    json_object_foreach(table, name, data)
        cap += json_object_size(json_object_get(data, "brokerAddrs"));
    struct cmq_broker *all = mem_alloc(cap * sizeof *all);
    if (all == NULL)
        return NULL;
    json_object_foreach(table, name, data) {
        const char *cluster = json_string_value(json_object_get(data, "cluster"));
        json_object_foreach(json_object_get(data, "brokerAddrs"), id, addr) {
            struct cmq_broker b = {.cluster = cluster ? cluster : "", .broker_name = name, .addr = json_string_value(addr)};
            if (b.addr != NULL && slice_i64(slice_str(id), &b.broker_id))
                all[(*n)++] = b;
        }
    }
    qsort(all, *n, sizeof *all, by_broker);
    return all;
}

enum cmq_code cmq_admin_list_brokers(struct cmq_admin *a, void (*fn)(void *arg, const struct cmq_broker *b), void *arg, struct cmq_error *err)
{
    json_t *info;
    size_t n;
    enum cmq_code code = admin_ask_cluster(a, &info, err);
    if (code != CMQ_OK)
        return code;
    struct cmq_broker *all = admin_brokers_of(info, &n);
    for (size_t i = 0; all != NULL && i < n; i++)
        fn(arg, &all[i]);
    code = all != NULL ? error_ok(err) : error_set(err, CMQ_ERR_NO_MEMORY, "list the brokers: out of memory");
    mem_free(all);
    json_decref(info);
    return code;
}

enum cmq_code cmq_admin_list_topics(struct cmq_admin *a, void (*fn)(void *arg, const char *topic), void *arg, struct cmq_error *err)
{
    struct command cmd = client_command(a->client, REQ_GET_ALL_TOPIC_LIST_FROM_NAMESERVER, NULL, 0);
    json_t *root, *one;
    size_t i, n = 0;
    enum cmq_code code = admin_ask_json(a, NULL, &cmd, "list the topics", &root, err);
    if (code != CMQ_OK)
        return code;
    json_t *list = json_object_get(root, "topicList");
    const char **topics = mem_alloc((json_array_size(list) + 1) * sizeof *topics);
    json_array_foreach(list, i, one)
        if (topics != NULL && json_is_string(one))
            topics[n++] = json_string_value(one);
    if (topics != NULL)
        qsort(topics, n, sizeof *topics, by_text);
    for (i = 0; i < n; i++)
        fn(arg, topics[i]);
    code = topics != NULL ? error_ok(err) : error_set(err, CMQ_ERR_NO_MEMORY, "list the topics: out of memory");
    mem_free(topics);
    json_decref(root);
    return code;
}

/* ---- routes ---- */

enum cmq_code admin_fresh_route(struct cmq_admin *a, const char *addr, const char *topic, struct route **out, struct cmq_error *err)
{
    const struct ext_field ext[] = {{SLICE_LIT("topic"), slice_str(topic)}, {SLICE_LIT("acceptStandardJsonOnly"), SLICE_LIT("true")}};
    struct command cmd = client_command(a->client, REQ_GET_ROUTEINFO_BY_TOPIC, ext, 2);
    struct answer answer;
    struct fault why = {0};
    struct cmq_error inner;
    char doing[200];
    snprintf(doing, sizeof doing, "route of topic %.127s", topic);
    enum cmq_code code = client_call_wait(a->client, addr, &cmd, a->timeout_ms, doing, &answer, &inner);
    if (code == CMQ_ERR_NOT_FOUND) {
        code = error_set(err, CMQ_ERR_NOT_FOUND, "topic %.127s: no name server knows it", topic);
        if (err != NULL) {
            err->server_code = inner.server_code;
            memcpy(err->remark, inner.remark, sizeof err->remark);
        }
        return code;
    }
    if (code != CMQ_OK) {
        if (err != NULL)
            *err = inner;
        return code;
    }
    if (route_parse(topic, answer.cmd.body, 0, out, &why) != MQ_OK)
        code = error_of_fault(err, &why);
    answer_free(&answer);
    return code;
}

enum cmq_code cmq_admin_topic_route(struct cmq_admin *a, const char *topic, void (*fn)(void *arg, const struct cmq_route *r), void *arg,
                                    struct cmq_error *err)
{
    struct route *r;
    enum cmq_code code = admin_fresh_route(a, NULL, topic, &r, err);
    if (code != CMQ_OK)
        return code;
    for (size_t i = 0; i < r->n_brokers; i++) {
        const struct route_broker *b = &r->brokers[i];
        const char *master = route_master(b);
        struct cmq_route one = {.cluster = b->cluster,
                                .broker_name = b->name,
                                .master_addr = master ? master : "",
                                .read_queues = b->read_queues,
                                .write_queues = b->write_queues,
                                .perm = b->perm,
                                .topic_sys_flag = b->topic_sys_flag,
                                .n_slaves = (int32_t)(b->n_addrs - (master != NULL))};
        fn(arg, &one);
    }
    route_unref(r);
    return error_ok(err);
}

/* The master of a queue's broker; out[ADDR_MAX]. */
static enum cmq_code master_of(struct cmq_admin *a, const struct cmq_queue *q, char *out, struct cmq_error *err)
{
    if (q == NULL || q->topic == NULL || q->broker_name == NULL)
        return error_set(err, CMQ_ERR_ARGUMENT, "queue: topic and broker name are needed");
    struct route *r;
    enum cmq_code code = admin_fresh_route(a, NULL, q->topic, &r, err);
    if (code != CMQ_OK)
        return code;
    const struct route_broker *b = route_broker(r, q->broker_name);
    const char *master = b != NULL ? route_master(b) : NULL;
    if (b == NULL)
        code = error_set(err, CMQ_ERR_NOT_FOUND, "topic %.80s has no queue on a broker %.80s", q->topic, q->broker_name);
    else if (master == NULL)
        code = error_set(err, CMQ_ERR_UNREACHABLE, "broker %.80s has no master", q->broker_name);
    else
        snprintf(out, ADDR_MAX, "%s", master);
    route_unref(r);
    return code;
}

/* ---- topics ---- */

static bool in_cluster(const struct cmq_broker *b, const char *cluster) { return cluster == NULL || strcmp(b->cluster, cluster) == 0; }

/* Sends cmd to the brokers of a cluster: all masters, or every broker. *told counts them. */
static enum cmq_code tell_brokers(struct cmq_admin *a, const struct cmq_broker *all, size_t n, const char *cluster, bool slaves, const struct command *cmd,
                                  const char *doing, size_t *told, struct cmq_error *err)
{
    *told = 0;
    for (size_t i = 0; i < n; i++) {
        struct answer answer;
        if (!in_cluster(&all[i], cluster) || (all[i].broker_id != 0 && !slaves))
            continue;
        enum cmq_code code = client_call_wait(a->client, all[i].addr, cmd, a->timeout_ms, doing, &answer, err);
        if (code != CMQ_OK)
            return code;
        answer_free(&answer);
        ++*told;
    }
    return CMQ_OK;
}

static bool route_has(const struct route *r, const struct cmq_broker *all, size_t n, const char *cluster)
{
    for (size_t i = 0; i < n; i++) {
        const struct route_broker *b = route_broker(r, all[i].broker_name);
        if (in_cluster(&all[i], cluster) && all[i].broker_id == 0 && (b == NULL || b->read_queues + b->write_queues == 0))
            return false;
    }
    return true;
}

/* Until every name server that answers has the topic on every master of the cluster. */
static enum cmq_code wait_visible(struct cmq_admin *a, const char *topic, const struct cmq_broker *all, size_t n, const char *cluster, struct cmq_error *err)
{
    int64_t due = clock_mono_ms() + VISIBLE_MS;
    for (size_t i = 0; i < client_n_names(a->client); i++) {
        for (;;) {
            struct route *r = NULL;
            enum cmq_code code = admin_fresh_route(a, client_name(a->client, i), topic, &r, NULL);
            bool there = code == CMQ_OK && route_has(r, all, n, cluster);
            route_unref(r);
            if (there || code == CMQ_ERR_UNREACHABLE)
                break;
            if (clock_mono_ms() > due)
                return error_set(err, CMQ_ERR_TIMEOUT, "topic %.127s: made, but name server %.80s does not know it after %d s", topic,
                                 client_name(a->client, i), VISIBLE_MS / 1000);
            struct timespec nap = {.tv_nsec = VISIBLE_EVERY_MS * 1000000L};
            nanosleep(&nap, NULL);
        }
    }
    return CMQ_OK;
}

enum cmq_code cmq_admin_create_topic(struct cmq_admin *a, const char *cluster, const char *topic, const struct cmq_topic_config *config,
                                     struct cmq_error *err)
{
    if (topic == NULL || !name_valid(slice_str(topic), MESSAGE_TOPIC_MAX))
        return error_set(err, CMQ_ERR_ARGUMENT, "topic %.80s: expected letters, digits, _ - %% |, 1 to %d of them", topic ? topic : "", MESSAGE_TOPIC_MAX);
    struct cmq_topic_config c = config ? *config : (struct cmq_topic_config){0};
    int32_t r_queues = c.read_queues > 0 ? c.read_queues : DEFAULT_QUEUES, w_queues = c.write_queues > 0 ? c.write_queues : DEFAULT_QUEUES;
    char rq[16], wq[16], perm[16], doing[200];
    snprintf(rq, sizeof rq, "%d", (int)r_queues);
    snprintf(wq, sizeof wq, "%d", (int)w_queues);
    snprintf(perm, sizeof perm, "%d", (int)(c.perm ? c.perm : CMQ_PERM_READ | CMQ_PERM_WRITE));
    snprintf(doing, sizeof doing, "create topic %.127s", topic);
    const struct ext_field ext[] = {{SLICE_LIT("topic"), slice_str(topic)},
                                    {SLICE_LIT("defaultTopic"), slice_str(client_cfg(a->client)->create_topic_key)},
                                    {SLICE_LIT("readQueueNums"), slice_str(rq)},
                                    {SLICE_LIT("writeQueueNums"), slice_str(wq)},
                                    {SLICE_LIT("perm"), slice_str(perm)},
                                    {SLICE_LIT("topicFilterType"), SLICE_LIT("SINGLE_TAG")},
                                    {SLICE_LIT("topicSysFlag"), SLICE_LIT("0")},
                                    {SLICE_LIT("order"), c.ordered ? SLICE_LIT("true") : SLICE_LIT("false")}};
    struct command cmd = client_command(a->client, REQ_UPDATE_AND_CREATE_TOPIC, ext, 8);
    json_t *info;
    size_t n, told;
    enum cmq_code code = admin_ask_cluster(a, &info, err);
    if (code != CMQ_OK)
        return code;
    struct cmq_broker *all = admin_brokers_of(info, &n);
    code = all != NULL ? tell_brokers(a, all, n, cluster, false, &cmd, doing, &told, err) : error_set(err, CMQ_ERR_NO_MEMORY, "%s: out of memory", doing);
    if (code == CMQ_OK && told == 0)
        code = error_set(err, CMQ_ERR_NOT_FOUND, "%s: no master in %s%.80s", doing, cluster ? "cluster " : "any cluster", cluster ? cluster : "");
    if (code == CMQ_OK)
        code = wait_visible(a, topic, all, n, cluster, err);
    mem_free(all);
    json_decref(info);
    return code == CMQ_OK ? error_ok(err) : code;
}

enum cmq_code cmq_admin_delete_topic(struct cmq_admin *a, const char *cluster, const char *topic, struct cmq_error *err)
{
    if (topic == NULL || topic[0] == '\0')
        return error_set(err, CMQ_ERR_ARGUMENT, "delete a topic: which?");
    const struct ext_field ext[] = {{SLICE_LIT("topic"), slice_str(topic)}};
    struct command cmd = client_command(a->client, REQ_DELETE_TOPIC_IN_BROKER, ext, 1);
    char doing[200];
    json_t *info;
    size_t n, told = 0;
    snprintf(doing, sizeof doing, "delete topic %.127s", topic);
    enum cmq_code code = admin_ask_cluster(a, &info, err);
    if (code != CMQ_OK)
        return code;
    struct cmq_broker *all = admin_brokers_of(info, &n);
    code = all != NULL ? tell_brokers(a, all, n, cluster, true, &cmd, doing, &told, err) : error_set(err, CMQ_ERR_NO_MEMORY, "%s: out of memory", doing);
    if (code == CMQ_OK && told == 0)
        code = error_set(err, CMQ_ERR_NOT_FOUND, "%s: no broker in %s%.80s", doing, cluster ? "cluster " : "any cluster", cluster ? cluster : "");
    mem_free(all);
    json_decref(info);
    const struct ext_field in_names[] = {{SLICE_LIT("topic"), slice_str(topic)}, {SLICE_LIT("clusterName"), slice_str(cluster ? cluster : "")}};
    cmd = client_command(a->client, REQ_DELETE_TOPIC_IN_NAMESRV, in_names, cluster != NULL ? 2 : 1);
    for (size_t i = 0; i < client_n_names(a->client) && code == CMQ_OK; i++) {
        struct answer answer;
        code = client_call_wait(a->client, client_name(a->client, i), &cmd, a->timeout_ms, doing, &answer, err);
        if (code == CMQ_OK)
            answer_free(&answer);
    }
    return code == CMQ_OK ? error_ok(err) : code;
}

/* ---- offsets ---- */

static enum cmq_code ask_number(struct cmq_admin *a, const struct cmq_queue *q, int32_t request, int64_t time_ms, const char *doing, int64_t *out,
                                struct cmq_error *err)
{
    char addr[ADDR_MAX], id[16], time[24];
    enum cmq_code code = master_of(a, q, addr, err);
    if (code != CMQ_OK)
        return code;
    snprintf(id, sizeof id, "%d", (int)q->queue_id);
    snprintf(time, sizeof time, "%lld", (long long)time_ms);
    const struct ext_field ext[] = {{SLICE_LIT("topic"), slice_str(q->topic)},
                                    {SLICE_LIT("queueId"), slice_str(id)},
                                    {SLICE_LIT("timestamp"), slice_str(time)}};
    struct command cmd = client_command(a->client, request, ext, request == REQ_SEARCH_OFFSET_BY_TIMESTAMP ? 3 : 2);
    struct answer answer;
    code = client_call_wait(a->client, addr, &cmd, a->timeout_ms, doing, &answer, err);
    if (code != CMQ_OK)
        return code;
    struct fields f = fields_of(&answer.cmd);
    int64_t offset = field_i64(&f, "offset");
    answer_free(&answer);
    if (f.bad[0])
        return error_set(err, CMQ_ERR_PROTOCOL, "%s: %s", doing, f.bad);
    *out = offset;
    return error_ok(err);
}

enum cmq_code cmq_admin_min_offset(struct cmq_admin *a, const struct cmq_queue *queue, int64_t *out, struct cmq_error *err)
{
    return ask_number(a, queue, REQ_GET_MIN_OFFSET, 0, "least offset of a queue", out, err);
}

enum cmq_code cmq_admin_max_offset(struct cmq_admin *a, const struct cmq_queue *queue, int64_t *out, struct cmq_error *err)
{
    return ask_number(a, queue, REQ_GET_MAX_OFFSET, 0, "greatest offset of a queue", out, err);
}

enum cmq_code cmq_admin_offset_by_time(struct cmq_admin *a, const struct cmq_queue *queue, int64_t time_ms, int64_t *out, struct cmq_error *err)
{
    return ask_number(a, queue, REQ_SEARCH_OFFSET_BY_TIMESTAMP, time_ms, "offset of a queue by time", out, err);
}

static int by_queue(const void *x, const void *y)
{
    return queue_cmp(&((const struct cmq_queue_status *)x)->queue, &((const struct cmq_queue_status *)y)->queue);
}

static bool read_status(struct arena *arena, json_t *table, struct cmq_queue_status *all, size_t *n)
{
    const char *key;
    json_t *value;
    json_object_foreach(table, key, value) { /* keys are queues, as JSON */
        json_t *q = json_parse(slice_str(key), NULL);
        struct slice topic = json_str(q, "topic"), broker = json_str(q, "brokerName");
        struct cmq_queue_status *s = &all[*n];
        char *t = arena_alloc(arena, topic.n + 1), *b = arena_alloc(arena, broker.n + 1);
        if (t == NULL || b == NULL) {
            json_decref(q);
            return false;
        }
        *s = (struct cmq_queue_status){.queue = {slice_copy(topic, t, topic.n + 1), slice_copy(broker, b, broker.n + 1), (int32_t)json_i64(q, "queueId", -1)},
                                       .min_offset = json_i64(value, "minOffset", 0),
                                       .max_offset = json_i64(value, "maxOffset", 0),
                                       .last_update_ms = json_i64(value, "lastUpdateTimestamp", 0)};
        *n += q != NULL && s->queue.queue_id >= 0;
        json_decref(q);
    }
    return true;
}

enum cmq_code cmq_admin_topic_status(struct cmq_admin *a, const char *topic, void (*fn)(void *arg, const struct cmq_queue_status *s), void *arg,
                                     struct cmq_error *err)
{
    struct route *r;
    enum cmq_code code = admin_fresh_route(a, NULL, topic, &r, err);
    if (code != CMQ_OK)
        return code;
    const struct ext_field ext[] = {{SLICE_LIT("topic"), slice_str(topic)}};
    struct command cmd = client_command(a->client, REQ_GET_TOPIC_STATS_INFO, ext, 1);
    struct arena arena = {0};
    struct cmq_queue_status *all = NULL;
    size_t n = 0;
    char doing[200];
    snprintf(doing, sizeof doing, "status of topic %.127s", topic);
    for (size_t i = 0; i < r->n_brokers && code == CMQ_OK; i++) {
        const char *master = route_master(&r->brokers[i]);
        json_t *root;
        if (master == NULL)
            continue;
        code = admin_ask_json(a, master, &cmd, doing, &root, err);
        if (code != CMQ_OK)
            break;
        json_t *table = json_object_get(root, "offsetTable");
        struct cmq_queue_status *more = mem_realloc(all, (n + json_object_size(table) + 1) * sizeof *all);
        if (more != NULL)
            all = more;
        if (more == NULL || !read_status(&arena, table, all, &n))
            code = error_set(err, CMQ_ERR_NO_MEMORY, "%s: out of memory", doing);
        json_decref(root);
    }
    if (code == CMQ_OK && n > 0)
        qsort(all, n, sizeof *all, by_queue);
    for (size_t i = 0; code == CMQ_OK && i < n; i++)
        fn(arg, &all[i]);
    mem_free(all);
    arena_fini(&arena);
    route_unref(r);
    return code == CMQ_OK ? error_ok(err) : code;
}
