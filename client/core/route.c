/* route.c - the JSON of a route to queues.
 *
 *   {"brokerDatas":[{"brokerAddrs":{"0":"ip:port"},"brokerName":"a","cluster":"c"}],"queueDatas":[{"brokerName":"a","perm":6,
 *    "readQueueNums":4,"writeQueueNums":4,"topicSysFlag":0}],"orderTopicConf":"a:4;b:4"}
 * Old name servers write brokerAddrs with bare numbers as keys; json_parse() forgives that. orderTopicConf, when there is one, says
 * which queues may be written to, as in Apache's clients. Bounds: ROUTE_*_MAX; a route beyond them is refused as a whole. */
#include "client/core/route.h"

#include <stdlib.h>
#include <string.h>

#include "common/protocol/codes.h"
#include "common/protocol/json.h"

int queue_cmp(const struct cmq_queue *a, const struct cmq_queue *b)
{
    int c = strcmp(a->topic, b->topic);
    if (c == 0)
        c = strcmp(a->broker_name, b->broker_name);
    return c ? c : (a->queue_id > b->queue_id) - (a->queue_id < b->queue_id);
}

static const char *keep(struct route *r, struct slice s)
{
    char *p = arena_alloc(&r->arena, s.n + 1);
    if (p != NULL) {
        memcpy(p, s.p ? (const char *)s.p : "", s.n);
        p[s.n] = '\0';
    }
    return p;
}

static int by_name(const void *a, const void *b) { return strcmp(((const struct route_broker *)a)->name, ((const struct route_broker *)b)->name); }
static int by_id(const void *a, const void *b)
{
    const struct route_addr *x = a, *y = b;
    return (x->broker_id > y->broker_id) - (x->broker_id < y->broker_id);
}

static enum mq_err read_addrs(struct route *r, struct route_broker *b, const json_t *addrs)
{
    const char *id;
    json_t *addr;
    size_t n = json_object_size(addrs);
    if (n > ROUTE_ADDRS_MAX)
        return MQ_ELIMIT;
    b->addrs = arena_alloc(&r->arena, (n + 1) * sizeof *b->addrs);
    if (b->addrs == NULL)
        return MQ_ENOMEM;
    json_object_foreach((json_t *)(uintptr_t)addrs, id, addr) {
        struct route_addr *a = &b->addrs[b->n_addrs];
        const char *text = json_string_value(addr);
        if (text == NULL || !slice_i64(slice_str(id), &a->broker_id))
            continue;
        a->addr = keep(r, slice_str(text));
        if (a->addr == NULL)
            return MQ_ENOMEM;
        b->n_addrs++;
    }
    qsort(b->addrs, b->n_addrs, sizeof *b->addrs, by_id);
    return MQ_OK;
}

static enum mq_err read_brokers(struct route *r, const json_t *datas)
{
    size_t n = json_array_size(datas);
    if (n > ROUTE_BROKERS_MAX)
        return MQ_ELIMIT;
    r->brokers = arena_alloc(&r->arena, (n + 1) * sizeof *r->brokers);
    if (r->brokers == NULL)
        return MQ_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        const json_t *d = json_array_get(datas, i);
        struct slice name = json_str(d, "brokerName");
        struct route_broker *b = &r->brokers[r->n_brokers];
        if (name.n == 0)
            continue;
        *b = (struct route_broker){.name = keep(r, name), .cluster = keep(r, json_str(d, "cluster"))};
        if (b->name == NULL || b->cluster == NULL)
            return MQ_ENOMEM;
        r->n_brokers++;
        enum mq_err err = read_addrs(r, b, json_object_get(d, "brokerAddrs"));
        if (err != MQ_OK)
            return err;
    }
    qsort(r->brokers, r->n_brokers, sizeof *r->brokers, by_name);
    return MQ_OK;
}

static int32_t bounded(int64_t v) { return v < 0 ? 0 : v > ROUTE_QUEUES_MAX ? ROUTE_QUEUES_MAX : (int32_t)v; }

static void read_queue_counts(struct route *r, const json_t *datas, int32_t default_queues)
{
    for (size_t i = 0; i < json_array_size(datas); i++) {
        const json_t *d = json_array_get(datas, i);
        char name[256];
        struct route_broker *b = (struct route_broker *)(uintptr_t)route_broker(r, slice_copy(json_str(d, "brokerName"), name, sizeof name));
        if (b == NULL)
            continue; /* queues of a broker without an address are out of reach */
        b->read_queues = bounded(json_i64(d, "readQueueNums", 0));
        b->write_queues = bounded(json_i64(d, "writeQueueNums", 0));
        if (default_queues > 0)
            b->read_queues = b->write_queues = b->read_queues < default_queues ? b->read_queues : default_queues;
        b->perm = (int32_t)json_i64(d, "perm", PERM_READ | PERM_WRITE);
        b->topic_sys_flag = (int32_t)json_i64(d, "topicSysFlag", json_i64(d, "topicSynFlag", 0));
    }
}

static bool add_queues(struct route *r, struct cmq_queue *to, size_t *n, const char *broker_name, int32_t count)
{
    if ((size_t)count > ROUTE_QUEUES_MAX - *n)
        return false;
    for (int32_t id = 0; id < count; id++)
        to[(*n)++] = (struct cmq_queue){.topic = r->topic, .broker_name = broker_name, .queue_id = id};
    return true;
}

/* "a:4;b:4": the queues that may be written to, in an ordered topic. */
static bool ordered_write_queues(struct route *r, struct slice conf)
{
    struct slice rest = conf, item, name;
    while (slice_cut(&rest, ';', &item)) {
        int32_t count;
        char text[256];
        if (!slice_cut(&item, ':', &name) || !slice_i32(item, &count) || count < 0)
            continue;
        const struct route_broker *b = route_broker(r, slice_copy(name, text, sizeof text));
        if (b != NULL && route_master(b) != NULL && !add_queues(r, r->write, &r->n_write, b->name, bounded(count)))
            return false;
    }
    return true;
}

static enum mq_err make_queues(struct route *r, struct slice order_conf)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n_brokers; i++)
        n += (size_t)(r->brokers[i].read_queues > r->brokers[i].write_queues ? r->brokers[i].read_queues : r->brokers[i].write_queues);
    if (order_conf.n > 0)
        n = ROUTE_QUEUES_MAX;
    if (n > ROUTE_QUEUES_MAX)
        return MQ_ELIMIT;
    r->write = arena_alloc(&r->arena, (n + 1) * sizeof *r->write);
    r->read = arena_alloc(&r->arena, (n + 1) * sizeof *r->read);
    if (r->write == NULL || r->read == NULL)
        return MQ_ENOMEM;
    bool fits = true;
    for (size_t i = 0; i < r->n_brokers && fits; i++) {
        const struct route_broker *b = &r->brokers[i];
        if (order_conf.n == 0 && (b->perm & PERM_WRITE) && route_master(b) != NULL)
            fits = add_queues(r, r->write, &r->n_write, b->name, b->write_queues);
        if (fits && (b->perm & PERM_READ) && b->n_addrs > 0)
            fits = add_queues(r, r->read, &r->n_read, b->name, b->read_queues);
    }
    if (fits && order_conf.n > 0)
        fits = ordered_write_queues(r, order_conf);
    return fits ? MQ_OK : MQ_ELIMIT;
}

enum mq_err route_parse(const char *topic, struct slice json, int32_t default_queues, struct route **out, struct fault *why)
{
    struct fault inner = {0};
    json_t *root = json_parse(json, &inner);
    if (root == NULL)
        return fault_set(why, MQ_EMALFORMED, 0, "route of %s: %s", topic, inner.what);
    enum mq_err err = json_is_object(root) ? MQ_OK : MQ_EMALFORMED;
    struct route *r = mem_zalloc(sizeof *r);
    if (r == NULL)
        err = MQ_ENOMEM;
    else
        atomic_init(&r->refs, 1);
    if (err == MQ_OK) {
        r->provisional = default_queues > 0;
        r->topic = keep(r, slice_str(topic));
        r->json = slice_make(arena_dup(&r->arena, json.p, json.n), json.n);
        err = r->topic != NULL && r->json.p != NULL ? read_brokers(r, json_object_get(root, "brokerDatas")) : MQ_ENOMEM;
    }
    if (err == MQ_OK) {
        read_queue_counts(r, json_object_get(root, "queueDatas"), default_queues);
        err = make_queues(r, default_queues > 0 ? slice_make(NULL, 0) : json_str(root, "orderTopicConf"));
    }
    json_decref(root);
    if (err == MQ_OK) {
        *out = r;
        return MQ_OK;
    }
    route_unref(r);
    return fault_set(why, err, 0, "route of %s", topic);
}

struct route *route_ref(struct route *r)
{
    atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
    return r;
}

void route_unref(struct route *r)
{
    if (r == NULL || atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) != 1)
        return;
    arena_fini(&r->arena);
    mem_free(r);
}

const struct route_broker *route_broker(const struct route *r, const char *name)
{
    struct route_broker key = {.name = name};
    return r->n_brokers ? bsearch(&key, r->brokers, r->n_brokers, sizeof key, by_name) : NULL;
}

const char *route_master(const struct route_broker *b) { return b->n_addrs > 0 && b->addrs[0].broker_id == 0 ? b->addrs[0].addr : NULL; }
