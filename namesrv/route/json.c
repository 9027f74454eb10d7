/* json.c - the tables as Apache's name server spells them: compact, members in alphabetical order.
 *
 * Two things differ from 4.9.8, both on purpose. Broker ids are always quoted: Apache quotes them only for clients that
 * announce version 4.9.4 or later, but every client reads quoted ones (Java's JSON library since 4.0, Go, C++, Node, Erlang),
 * and one spelling is one cached answer. And topicSynFlag, the name of topicSysFlag up to 4.8, is sent beside it, because
 * the Go client and old Java clients know no other. Lists are sorted, where Apache's order is that of a hash table. */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "common/protocol/json.h"
#include "namesrv/route/routes_internal.h"

static void broker_data(struct jw *w, const struct route_broker *b)
{
    char id[24];
    jw_object(w);
    jw_key(w, "brokerAddrs");
    jw_object(w);
    for (uint32_t i = 0; i < b->lives.n; i++) {
        const struct route_live *v = b->lives.p[i];
        snprintf(id, sizeof id, "%lld", (long long)v->id);
        jw_kv_str(w, id, v->node.key);
    }
    jw_end_object(w);
    jw_kv_str(w, "brokerName", b->node.key);
    jw_kv_str(w, "cluster", b->cluster->node.key);
    jw_end_object(w);
}

/* The two texts that stand for a broker in each route that names it: its member of brokerDatas, and its name, quoted. They are kept
 * until the broker changes, since a route through 200 brokers is made of little else. False: out of memory. */
static bool broker_texts(struct route_broker *b, struct slice *data, struct slice *name)
{
    if (b->texts.n == 0) {
        struct jw w = jw_over(&b->texts, false);
        broker_data(&w, b);
        b->data_n = b->texts.n;
        json_quote(&b->texts, b->node.key);
    }
    if (b->texts.failed) {
        buf_free(&b->texts);
        return false;
    }
    *data = slice_make(b->texts.p, b->data_n);
    *name = slice_make(b->texts.p + b->data_n, b->texts.n - b->data_n);
    return true;
}

static void queue_data(struct slice name, const struct topic_queues *q, struct buf *out)
{
    buf_str(out, "{\"brokerName\":");
    buf_slice(out, name);
    buf_str(out, ",\"perm\":");
    buf_i64_text(out, q->perm);
    buf_str(out, ",\"readQueueNums\":");
    buf_i64_text(out, q->read);
    buf_str(out, ",\"topicSynFlag\":");
    buf_i64_text(out, q->sys_flag);
    buf_str(out, ",\"topicSysFlag\":");
    buf_i64_text(out, q->sys_flag);
    buf_str(out, ",\"writeQueueNums\":");
    buf_i64_text(out, q->write);
    buf_u8(out, '}');
}

static void filter_servers(struct jw *w, const struct route_broker *b)
{
    for (uint32_t i = 0; i < b->lives.n; i++) {
        const struct route_live *v = b->lives.p[i];
        if (v->filters.n > 0) {
            jw_key_slice(w, v->node.key);
            jw_raw(w, buf_view(&v->filters));
        }
    }
}

void route_json_topic(const struct routes *r, const struct route_topic *t, struct buf *out)
{
    struct jw w = jw_over(out, false);
    struct slice order, data, name;

    jw_object(&w);
    jw_key(&w, "brokerDatas");
    jw_array(&w);
    for (uint32_t i = 0; i < t->n; i++)
        if (broker_texts(t->queues[i].broker, &data, &name))
            jw_raw(&w, data);
        else
            out->failed = true;
    jw_end_array(&w);
    jw_key(&w, "filterServerTable");
    jw_object(&w);
    for (uint32_t i = 0; i < t->n; i++)
        filter_servers(&w, t->queues[i].broker);
    jw_end_object(&w);
    if (r->cfg.order_conf && r->cfg.order_conf(r->cfg.ctx, t->node.key, &order))
        jw_kv_str(&w, "orderTopicConf", order);
    jw_key(&w, "queueDatas");
    jw_array(&w);
    for (uint32_t i = 0; i < t->n; i++)
        if (broker_texts(t->queues[i].broker, &data, &name)) {
            if (i > 0)
                buf_u8(out, ',');
            queue_data(name, &t->queues[i].q, out);
        } else {
            out->failed = true;
        }
    jw_end_array(&w);
    jw_end_object(&w);
}

/* ---- sorted lists ---- */
struct names {
    const struct hash_node **p;
    size_t n, cap;
    bool failed;
};

static void names_add(struct names *a, const struct hash_node *node)
{
    if (a->n == a->cap && !a->failed) {
        size_t cap = a->cap ? a->cap * 2 : 64;
        const struct hash_node **p = mem_realloc(a->p, cap * sizeof *p);
        if (p == NULL) {
            a->failed = true;
            return;
        }
        a->p = p;
        a->cap = cap;
    }
    if (!a->failed)
        a->p[a->n++] = node;
}

static int by_name(const void *a, const void *b)
{
    const struct hash_node *const *x = a, *const *y = b;
    return slice_cmp((*x)->key, (*y)->key);
}

static void names_sort(struct names *a)
{
    if (a->n > 1)
        qsort(a->p, a->n, sizeof *a->p, by_name);
}

static void names_of_map(struct names *a, const struct hashmap *m)
{
    for (const struct hash_node *it = hashmap_first(m); it; it = hashmap_next(m, it))
        names_add(a, it);
    names_sort(a);
}

/* TopicList, without an address when addr.p == NULL. Ends `a`. */
static void topic_list(struct names *a, struct slice addr, struct buf *out)
{
    struct jw w = jw_over(out, false);
    jw_object(&w);
    if (addr.p)
        jw_kv_str(&w, "brokerAddr", addr);
    jw_key(&w, "topicList");
    jw_array(&w);
    for (size_t i = 0; i < a->n; i++)
        jw_str(&w, a->p[i]->key);
    jw_end_array(&w);
    jw_end_object(&w);
    out->failed = out->failed || a->failed;
    mem_free(a->p);
}

void routes_json_topics(const struct routes *r, struct buf *out)
{
    struct names a = {0};
    names_of_map(&a, &r->topics);
    topic_list(&a, slice_make(NULL, 0), out);
}

void routes_json_topics_of(const struct routes *r, struct slice cluster, struct buf *out)
{
    struct names a = {0};
    for (const struct hash_node *it = hashmap_first(&r->topics); it; it = hashmap_next(&r->topics, it)) {
        const struct route_topic *t = CONTAINER_OF(it, struct route_topic, node);
        uint32_t i = 0;
        while (i < t->n && !slice_eq(t->queues[i].broker->cluster->node.key, cluster))
            i++;
        if (i < t->n)
            names_add(&a, it);
    }
    names_sort(&a);
    topic_list(&a, slice_make(NULL, 0), out);
}

void routes_json_topics_flagged(const struct routes *r, int32_t mask, int32_t want, struct buf *out)
{
    struct names a = {0};
    for (const struct hash_node *it = hashmap_first(&r->topics); it; it = hashmap_next(&r->topics, it)) {
        const struct route_topic *t = CONTAINER_OF(it, struct route_topic, node);
        if ((t->queues[0].q.sys_flag & mask) == want) /* one broker speaks for all, as with Apache */
            names_add(&a, it);
    }
    names_sort(&a);
    topic_list(&a, slice_make(NULL, 0), out);
}

void routes_json_system(const struct routes *r, struct buf *out)
{
    struct names clusters = {0}, brokers = {0};
    struct slice addr = slice_make(NULL, 0);

    names_of_map(&clusters, &r->clusters);
    names_of_map(&brokers, &r->brokers);
    if (brokers.n > 0) {
        const struct route_broker *b = CONTAINER_OF(brokers.p[0], const struct route_broker, node);
        addr = ((const struct route_live *)b->lives.p[0])->node.key;
    }
    for (size_t i = 0; i < brokers.n; i++)
        names_add(&clusters, brokers.p[i]);
    clusters.failed = clusters.failed || brokers.failed;
    mem_free(brokers.p);
    topic_list(&clusters, addr, out);
}

void routes_json_clusters(const struct routes *r, struct buf *out)
{
    struct names clusters = {0}, brokers = {0};
    struct jw w = jw_over(out, false);

    names_of_map(&clusters, &r->clusters);
    names_of_map(&brokers, &r->brokers);
    jw_object(&w);
    jw_key(&w, "brokerAddrTable");
    jw_object(&w);
    for (size_t i = 0; i < brokers.n; i++) {
        jw_key_slice(&w, brokers.p[i]->key);
        broker_data(&w, CONTAINER_OF(brokers.p[i], const struct route_broker, node));
    }
    jw_end_object(&w);
    jw_key(&w, "clusterAddrTable");
    jw_object(&w);
    for (size_t i = 0; i < clusters.n; i++) {
        const struct route_cluster *c = CONTAINER_OF(clusters.p[i], const struct route_cluster, node);
        jw_key_slice(&w, clusters.p[i]->key);
        jw_array(&w);
        for (uint32_t k = 0; k < c->brokers.n; k++)
            jw_str(&w, ((const struct route_broker *)c->brokers.p[k])->node.key);
        jw_end_array(&w);
    }
    jw_end_object(&w);
    jw_end_object(&w);
    out->failed = out->failed || clusters.failed || brokers.failed;
    mem_free(clusters.p);
    mem_free(brokers.p);
}
