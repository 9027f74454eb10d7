/* lookup.c - see lookup.h. Words of failures are Apache's where scripts may look for them. */
#include "client/admin/mqadmin/lookup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/protocol/json.h"
#include "common/protocol/message.h"

/* ---- brokers ---- */

static int by_place(const void *x, const void *y)
{
    const struct place *a = x, *b = y;
    int c = strcmp(a->cluster, b->cluster);
    if (c == 0)
        c = strcmp(a->broker, b->broker);
    return c ? c : (a->id > b->id) - (a->id < b->id);
}

bool places_get(struct mqadmin *m, struct places *out)
{
    struct ask q = ask_of(REQ_GET_BROKER_CLUSTER_INFO);
    json_t *data, *addr;
    const char *broker, *id;
    size_t room = 1;
    *out = (struct places){.info = ask_json(m, NULL, &q)};
    if (out->info == NULL)
        return false;
    json_t *table = json_object_get(out->info, "brokerAddrTable");
    json_object_foreach(table, broker, data)
        room += json_object_size(json_object_get(data, "brokerAddrs"));
    out->at = mem_zalloc(room * sizeof *out->at);
    if (out->at == NULL) {
        places_free(out);
        return fail(m, -1, "out of memory");
    }
    json_object_foreach(table, broker, data) {
        const char *cluster = json_string_value(json_object_get(data, "cluster"));
        json_object_foreach(json_object_get(data, "brokerAddrs"), id, addr) {
            struct place p = {.cluster = cluster ? cluster : "", .broker = broker, .addr = json_string_value(addr)};
            if (p.addr != NULL && slice_i64(slice_str(id), &p.id))
                out->at[out->n++] = p;
        }
    }
    qsort(out->at, out->n, sizeof *out->at, by_place);
    return true;
}

void places_free(struct places *p)
{
    mem_free(p->at);
    json_decref(p->info);
    *p = (struct places){0};
}

bool places_have(const struct places *p, const char *cluster) { return json_object_get(json_object_get(p->info, "clusterAddrTable"), cluster) != NULL; }

const char *places_cluster_of(const struct places *p, const char *broker)
{
    for (size_t i = 0; i < p->n; i++)
        if (strcmp(p->at[i].broker, broker) == 0)
            return p->at[i].cluster;
    return NULL;
}

bool addrs_get(struct mqadmin *m, const char *cluster, bool slaves, struct addrs *out)
{
    *out = (struct addrs){0};
    if (!places_get(m, &out->places))
        return false;
    if (!places_have(&out->places, cluster)) {
        print("[error] Make sure the specified clusterName exists or the name server connected to is correct.");
        return true;
    }
    out->at = mem_alloc((out->places.n + 1) * sizeof *out->at);
    if (out->at == NULL) {
        addrs_free(out);
        return fail(m, -1, "out of memory");
    }
    for (size_t i = 0; i < out->places.n; i++)
        if (strcmp(out->places.at[i].cluster, cluster) == 0 && (slaves || out->places.at[i].id == 0))
            out->at[out->n++] = &out->places.at[i];
    return true;
}

void addrs_free(struct addrs *a)
{
    mem_free(a->at);
    places_free(&a->places);
    *a = (struct addrs){0};
}

/* ---- routes ---- */

struct route *lookup_route(struct mqadmin *m, const char *topic)
{
    struct ask q = ask_of(REQ_GET_ROUTEINFO_BY_TOPIC);
    struct answer answer;
    struct fault why = {0};
    struct route *r = NULL;
    ask_str(&q, "topic", topic);
    ask_str(&q, "acceptStandardJsonOnly", "true");
    if (!ask_ok(m, NULL, &q, &answer))
        return NULL;
    if (route_parse(topic, answer.cmd.body, 0, &r, &why) != MQ_OK)
        fail(m, -1, "route of topic %s: %s", topic, why.what);
    answer_free(&answer);
    return r;
}

const char *lookup_addr(const struct route_broker *b)
{
    const char *master = route_master(b);
    return master != NULL ? master : b->n_addrs > 0 ? b->addrs[0].addr : NULL;
}

/* ---- names ---- */

static int by_text(const void *x, const void *y) { return strcmp(*(const char *const *)x, *(const char *const *)y); }

bool names_of(struct mqadmin *m, const json_t *array, struct names *out)
{
    json_t *one;
    size_t i;
    *out = (struct names){.at = mem_alloc((json_array_size(array) + 1) * sizeof *out->at)};
    if (out->at == NULL)
        return fail(m, -1, "out of memory");
    json_array_foreach(array, i, one)
        if (json_is_string(one))
            out->at[out->n++] = json_string_value(one);
    qsort(out->at, out->n, sizeof *out->at, by_text);
    return true;
}

void names_free(struct names *n)
{
    mem_free(n->at);
    *n = (struct names){0};
}

/* The list in an answer; root is taken when there is none. */
static json_t *names_in(struct mqadmin *m, json_t *root, const char *member, struct names *out)
{
    *out = (struct names){0};
    if (root == NULL || names_of(m, json_object_get(root, member), out))
        return root;
    json_decref(root);
    return NULL;
}

json_t *lookup_topics(struct mqadmin *m, struct names *out)
{
    struct ask q = ask_of(REQ_GET_ALL_TOPIC_LIST_FROM_NAMESERVER);
    return names_in(m, ask_json(m, NULL, &q), "topicList", out);
}

json_t *lookup_groups(struct mqadmin *m, const char *topic, struct names *out)
{
    struct ask q = ask_of(REQ_QUERY_TOPIC_CONSUME_BY_WHO);
    struct route *r = lookup_route(m, topic);
    *out = (struct names){0};
    if (r == NULL)
        return NULL;
    const char *addr = r->n_brokers > 0 ? lookup_addr(&r->brokers[0]) : NULL;
    ask_str(&q, "topic", topic);
    json_t *root = NULL;
    if (addr == NULL)
        fail(m, -1, "topic %s is on no broker", topic);
    else
        root = names_in(m, ask_json(m, addr, &q), "groupList", out);
    route_unref(r);
    return root;
}

/* ---- tables whose keys are queues ---- */

bool queue_rows_add(struct mqadmin *m, struct queue_rows *rows, json_t *root, const json_t *table)
{
    size_t room = rows->n + json_object_size(table) + 1;
    const char *key;
    json_t *value;
    struct queue_row *more = mem_realloc(rows->at, room * sizeof *more);
    if (rows->keep == NULL)
        rows->keep = json_array();
    if (more != NULL)
        rows->at = more;
    if (more == NULL || rows->keep == NULL || json_array_append_new(rows->keep, root) != 0)
        return fail(m, -1, "out of memory");
    json_object_foreach((json_t *)(uintptr_t)table, key, value) { /* the key is a queue as JSON */
        json_t *q = json_parse(slice_str(key), NULL);
        struct slice topic = json_str(q, "topic"), broker = json_str(q, "brokerName");
        char *t = arena_alloc(&rows->names, topic.n + 1), *b = arena_alloc(&rows->names, broker.n + 1);
        if (q == NULL || t == NULL || b == NULL) {
            json_decref(q);
            return fail(m, -1, q == NULL ? "a queue in the answer is none" : "out of memory");
        }
        struct cmq_queue queue = {slice_copy(topic, t, topic.n + 1), slice_copy(broker, b, broker.n + 1), (int32_t)json_i64(q, "queueId", 0)};
        json_decref(q);
        rows->at[rows->n++] = (struct queue_row){queue, value};
    }
    return true;
}

static int by_queue(const void *x, const void *y) { return queue_cmp(&((const struct queue_row *)x)->queue, &((const struct queue_row *)y)->queue); }

void queue_rows_sort(struct queue_rows *rows)
{
    if (rows->n > 0)
        qsort(rows->at, rows->n, sizeof *rows->at, by_queue);
}

void queue_rows_free(struct queue_rows *rows)
{
    mem_free(rows->at);
    arena_fini(&rows->names);
    json_decref(rows->keep);
    *rows = (struct queue_rows){0};
}

bool lookup_progress(struct mqadmin *m, const char *group, const char *topic, struct queue_rows *out, double *tps)
{
    char retry[300];
    bool good = true;
    *out = (struct queue_rows){0};
    *tps = 0;
    snprintf(retry, sizeof retry, "%s%s", RETRY_PREFIX, group);
    struct route *r = lookup_route(m, retry);
    if (r == NULL)
        return false;
    for (size_t i = 0; i < r->n_brokers && good; i++) {
        struct ask q = ask_of(REQ_GET_CONSUME_STATS);
        const char *addr = lookup_addr(&r->brokers[i]);
        if (addr == NULL)
            continue;
        ask_str(&q, "consumerGroup", group);
        ask_str(&q, "topic", topic);
        q.timeout_ms = ASK_MS * 3;
        json_t *stats = ask_json(m, addr, &q);
        if (stats != NULL)
            *tps += json_number_value(json_object_get(stats, "consumeTps"));
        good = stats != NULL && queue_rows_add(m, out, stats, json_object_get(stats, "offsetTable"));
    }
    route_unref(r);
    if (good && out->n == 0)
        good = fail(m, RES_CONSUMER_NOT_ONLINE,
                    "Not found the consumer group consume stats, because return offset table is empty, maybe the consumer not consume any message");
    if (!good)
        queue_rows_free(out);
    queue_rows_sort(out);
    return good;
}

int64_t progress_diff(const json_t *value) { return json_i64(value, "brokerOffset", 0) - json_i64(value, "consumerOffset", 0); }

int64_t progress_total(const struct queue_rows *rows)
{
    int64_t sum = 0;
    for (size_t i = 0; i < rows->n; i++)
        sum += progress_diff(rows->at[i].value);
    return sum;
}

/* ---- clients ---- */

json_t *lookup_consumers(struct mqadmin *m, const char *group, const char *addr)
{
    struct ask q = ask_of(REQ_GET_CONSUMER_CONNECTION_LIST);
    struct route *r = NULL;
    char retry[300];
    if (addr == NULL) {
        snprintf(retry, sizeof retry, "%s%s", RETRY_PREFIX, group);
        r = lookup_route(m, retry);
        if (r == NULL)
            return NULL;
        addr = r->n_brokers > 0 ? lookup_addr(&r->brokers[0]) : NULL;
    }
    ask_str(&q, "consumerGroup", group);
    json_t *found = addr != NULL ? ask_json(m, addr, &q) : NULL;
    if (addr == NULL || (found != NULL && json_array_size(json_object_get(found, "connectionSet")) == 0)) {
        fail(m, RES_CONSUMER_NOT_ONLINE, "Not found the consumer group connection");
        json_decref(found);
        found = NULL;
    }
    route_unref(r);
    return found;
}
