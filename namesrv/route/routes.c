/* routes.c - brokers: who is there, at which addresses, and how they come and go.
 *
 *   I1  An address belongs to one broker name and one id. Registering it anywhere else moves it. Apache keeps the address
 *       under its old name as well, so that clients are sent to a broker that is no longer what they take it for.
 *       (test: an_address_has_one_place)
 *   I2  A broker name is known as long as it has an address; with the last address go the name, its cluster when it was the
 *       last there, and its queues in all topics. (test: the_last_address_takes_the_topics_along)
 *   I3  Only the connection that registered an address last takes it along when it closes: a broker that reconnected
 *       is not forgotten when its old connection ends. (test: only_the_last_connection_counts)
 *   I4  What a registration costs is what changed: with the version that is known already no topic is read, a topic whose
 *       queues are the same keeps its encoded answer. (test: an_unchanged_version_reads_no_topic)
 *       A body that is byte for byte the last one is not even walked. Versions are compared as such; that the bytes behind
 *       them are those that were checked, length and check sum say. (test: the_last_body_is_known_again)
 *
 * As with Apache, a topic that a later registration leaves out stays: brokers send single topics when these change.
 * A broker name follows its master's cluster; slaves do not move it. */
#include "namesrv/route/routes.h"

#include <assert.h>

#include "common/base/mem.h"
#include "common/protocol/json.h"
#include "namesrv/route/routes_internal.h"

bool ptrs_insert(struct ptrs *a, uint32_t at, void *item)
{
    if (a->n == a->cap) {
        uint32_t cap = a->cap ? a->cap * 2 : 4;
        void **p = mem_realloc(a->p, cap * sizeof *p);
        if (p == NULL)
            return false;
        a->p = p;
        a->cap = cap;
    }
    memmove(a->p + at + 1, a->p + at, (a->n - at) * sizeof *a->p);
    a->p[at] = item;
    a->n++;
    return true;
}

void ptrs_remove(struct ptrs *a, uint32_t at)
{
    a->n--;
    memmove(a->p + at, a->p + at + 1, (a->n - at) * sizeof *a->p);
    if (a->n == 0) {
        mem_free(a->p);
        *a = (struct ptrs){0};
    }
}

struct routes *routes_new(const struct routes_config *cfg)
{
    struct routes *r = mem_zalloc(sizeof *r);
    if (r == NULL)
        return NULL;
    r->cfg = *cfg;
    list_init(&r->lru);
    return r;
}

static struct slice conn_key(const uint64_t *id) { return slice_make(id, sizeof *id); }

static struct route_live *live_at(const struct routes *r, struct slice addr)
{
    struct hash_node *n = hashmap_get(&r->lives, addr);
    return n ? CONTAINER_OF(n, struct route_live, node) : NULL;
}

static struct route_broker *broker_named(const struct routes *r, struct slice name)
{
    struct hash_node *n = hashmap_get(&r->brokers, name);
    return n ? CONTAINER_OF(n, struct route_broker, node) : NULL;
}

/* Where a live with this id is, or belongs. */
static uint32_t id_place(const struct route_broker *b, int64_t id)
{
    uint32_t at = 0;
    while (at < b->lives.n && ((const struct route_live *)b->lives.p[at])->id < id)
        at++;
    return at;
}

static struct route_live *live_with_id(const struct route_broker *b, int64_t id)
{
    uint32_t at = id_place(b, id);
    struct route_live *v = at < b->lives.n ? b->lives.p[at] : NULL;
    return v && v->id == id ? v : NULL;
}

/* ---- clusters ---- */
static uint32_t broker_place(const struct route_cluster *c, struct slice name)
{
    uint32_t low = 0, high = c->brokers.n;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        if (slice_cmp(((const struct route_broker *)c->brokers.p[mid])->node.key, name) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static void cluster_leave(struct routes *r, struct route_broker *b)
{
    struct route_cluster *c = b->cluster;
    if (c == NULL)
        return;
    ptrs_remove(&c->brokers, broker_place(c, b->node.key));
    b->cluster = NULL;
    if (c->brokers.n == 0) {
        hashmap_remove(&r->clusters, &c->node);
        mem_free(c);
    }
}

static enum mq_err cluster_join(struct routes *r, struct route_broker *b, struct slice name, struct fault *why)
{
    if (b->cluster && slice_eq(b->cluster->node.key, name))
        return MQ_OK;
    struct hash_node *found = hashmap_get(&r->clusters, name);
    struct route_cluster *c = found ? CONTAINER_OF(found, struct route_cluster, node) : NULL;
    if (c == NULL) {
        c = mem_zalloc(sizeof *c + name.n + 1);
        if (c == NULL)
            goto no_memory;
        memcpy(c->name, name.p, name.n);
        if (!hashmap_add(&r->clusters, &c->node, slice_make(c->name, name.n))) {
            mem_free(c);
            goto no_memory;
        }
    }
    if (!ptrs_insert(&c->brokers, broker_place(c, b->node.key), b)) {
        if (c->brokers.n == 0) {
            hashmap_remove(&r->clusters, &c->node);
            mem_free(c);
        }
        goto no_memory;
    }
    cluster_leave(r, b);
    b->cluster = c;
    route_topics_of_stale(r, b);
    return MQ_OK;

no_memory:
    return fault_set(why, MQ_ENOMEM, 0, "cluster %.*s", SLICE_ARG(name));
}

/* ---- brokers ---- */
static void broker_drop(struct routes *r, struct route_broker *b)
{
    route_topics_drop_broker(r, b);
    cluster_leave(r, b);
    hashmap_remove(&r->brokers, &b->node);
    mem_free(b->lives.p);
    mem_free(b->topics.p);
    buf_free(&b->texts);
    mem_free(b);
}

static struct route_broker *broker_new(struct routes *r, struct slice name)
{
    struct route_broker *b = mem_zalloc(sizeof *b + name.n + 1);
    if (b == NULL)
        return NULL;
    memcpy(b->name, name.p, name.n);
    if (!hashmap_add(&r->brokers, &b->node, slice_make(b->name, name.n))) {
        mem_free(b);
        return NULL;
    }
    return b;
}

/* ---- lives ---- */
static void conn_leave(struct routes *r, struct route_live *v)
{
    struct route_conn *c = v->conn;
    if (c == NULL)
        return;
    list_remove(&v->of_conn);
    v->conn = NULL;
    if (list_empty(&c->lives)) {
        hashmap_remove(&r->conns, &c->node);
        mem_free(c);
    }
}

static bool conn_join(struct routes *r, struct route_live *v, uint64_t id)
{
    if (v->conn && v->conn->id == id)
        return true;
    struct hash_node *found = hashmap_get(&r->conns, conn_key(&id));
    struct route_conn *c = found ? CONTAINER_OF(found, struct route_conn, node) : NULL;
    if (c == NULL) {
        c = mem_zalloc(sizeof *c);
        if (c == NULL)
            return false;
        c->id = id;
        list_init(&c->lives);
        if (!hashmap_add(&r->conns, &c->node, conn_key(&c->id))) {
            mem_free(c);
            return false;
        }
    }
    conn_leave(r, v);
    v->conn = c;
    list_push_back(&c->lives, &v->of_conn);
    return true;
}

static void live_free(struct route_live *v)
{
    buf_free(&v->ha_addr);
    buf_free(&v->filters);
    mem_free(v);
}

/* Takes the address out of its broker; the broker goes when it was the last, unless it is `keep`. */
static void live_detach(struct routes *r, struct route_live *v, const struct route_broker *keep)
{
    struct route_broker *b = v->broker;
    if (b == NULL)
        return;
    v->broker = NULL;
    ptrs_remove(&b->lives, id_place(b, v->id));
    if (b->lives.n == 0 && b != keep)
        broker_drop(r, b);
    else
        route_topics_of_stale(r, b);
}

static void live_drop(struct routes *r, struct route_live *v, enum broker_event why, const struct route_broker *keep)
{
    if (r->cfg.event && v->broker)
        r->cfg.event(r->cfg.ctx, why, v->broker->node.key, v->node.key, v->id, v->conn ? v->conn->id : 0);
    live_detach(r, v, keep);
    conn_leave(r, v);
    hashmap_remove(&r->lives, &v->node);
    live_free(v);
}

static struct route_live *live_new(struct routes *r, struct slice addr)
{
    struct route_live *v = mem_zalloc(sizeof *v + addr.n + 1);
    if (v == NULL)
        return NULL;
    memcpy(v->addr, addr.p, addr.n);
    list_init(&v->of_conn);
    if (!hashmap_add(&r->lives, &v->node, slice_make(v->addr, addr.n))) {
        mem_free(v);
        return NULL;
    }
    return v;
}

/* ---- registration ---- */
static enum mq_err check_name(const char *what, struct slice s, struct fault *why)
{
    if (s.n == 0)
        return fault_set(why, MQ_EINVAL, 0, "%s is empty", what);
    if (s.n > ROUTES_NAME_MAX)
        return fault_set(why, MQ_EINVAL, 0, "%s has %zu bytes, %d are allowed", what, s.n, ROUTES_NAME_MAX);
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < 0x20 || s.p[i] == 0x7f)
            return fault_set(why, MQ_EINVAL, 0, "%s has a control character", what);
    return MQ_OK;
}

/* Replaces *text; false (and nothing changed) when out of memory. */
static bool text_set(struct buf *text, struct slice s, bool *changed)
{
    if (slice_eq(buf_view(text), s))
        return true;
    struct buf b = {0};
    buf_slice(&b, s);
    if (b.failed) {
        buf_free(&b);
        return false;
    }
    buf_free(text);
    *text = b;
    *changed = true;
    return true;
}

static bool filters_set(struct routes *r, struct route_live *v, const struct registration *reg)
{
    struct buf json = {0};
    bool changed = false;
    if (reg->n_filters > 0) {
        struct jw w = jw_over(&json, false);
        jw_array(&w);
        for (size_t i = 0; i < reg->n_filters; i++)
            jw_str(&w, reg->filters[i]);
        jw_end_array(&w);
    }
    bool ok = !json.failed && text_set(&v->filters, buf_view(&json), &changed);
    buf_free(&json);
    if (changed)
        route_topics_of_stale(r, v->broker);
    return ok;
}

/* The topics of a master's registration. */
static enum mq_err topics_register(struct routes *r, struct route_live *v, const struct registration *reg,
                                   struct registration_result *out, struct fault *why)
{
    struct slice name;
    struct topic_queues q;

    v->version_known = false; /* until all are in */
    while (reg->topics.next && reg->topics.next(reg->topics.ctx, &name, &q)) {
        enum mq_err err = check_name("topic", name, why);
        if (err == MQ_OK)
            err = route_topics_put(r, v->broker, name, &q, out, why);
        if (err != MQ_OK)
            return err;
    }
    return MQ_OK;
}

enum mq_err route_may_grow(const struct routes *r, struct fault *why)
{
    char words[BUDGET_WORDS];
    if (budget_level(r->cfg.budget) < BUDGET_NO_GROWTH)
        return MQ_OK;
    return fault_set(why, MQ_ELIMIT, 0, "%s", budget_words(r->cfg.budget, words));
}

/* The address at its place: broker, id, connection. *first: there was no address with this id. */
static enum mq_err place(struct routes *r, const struct registration *reg, struct route_live **out, bool *first,
                         struct fault *why)
{
    struct route_broker *b = broker_named(r, reg->name);
    if ((b == NULL || live_at(r, reg->addr) == NULL) && route_may_grow(r, why) != MQ_OK)
        return MQ_ELIMIT;
    if (b == NULL) {
        if (r->brokers.n >= ROUTES_BROKERS_MAX)
            return fault_set(why, MQ_ELIMIT, 0, "more than %d broker names", ROUTES_BROKERS_MAX);
        b = broker_new(r, reg->name);
        if (b == NULL)
            return fault_set(why, MQ_ENOMEM, 0, "broker %.*s", SLICE_ARG(reg->name));
    }
    struct route_live *v = live_at(r, reg->addr), *other = live_with_id(b, reg->id);
    enum mq_err err = MQ_OK;
    bool came = false;

    if (b->cluster == NULL || reg->id == ROUTES_MASTER_ID)
        err = cluster_join(r, b, reg->cluster, why);
    if (err == MQ_OK && v == NULL)
        v = live_new(r, reg->addr);
    if (err == MQ_OK && (v == NULL || !conn_join(r, v, reg->conn_id)))
        err = fault_set(why, MQ_ENOMEM, 0, "address %.*s", SLICE_ARG(reg->addr));
    if (err != MQ_OK || v == NULL)
        goto undo;

    if (v->broker != b || v->id != reg->id) { /* I1: it leaves where it was, and whoever is at its new place goes */
        *first = other == NULL;
        if (other)
            live_drop(r, other, BROKER_REPLACED, b);
        live_detach(r, v, b);
        v->id = reg->id;
        if (b->lives.n >= ROUTES_ADDRS_MAX)
            err = fault_set(why, MQ_ELIMIT, 0, "broker %.*s has more than %d addresses", SLICE_ARG(reg->name), ROUTES_ADDRS_MAX);
        else if (!ptrs_insert(&b->lives, id_place(b, v->id), v))
            err = fault_set(why, MQ_ENOMEM, 0, "address %.*s", SLICE_ARG(reg->addr));
        if (err != MQ_OK)
            goto undo;
        v->broker = b;
        route_topics_of_stale(r, b);
        came = true;
    }
    if (came && r->cfg.event)
        r->cfg.event(r->cfg.ctx, BROKER_UP, reg->name, reg->addr, reg->id, reg->conn_id);
    *out = v;
    return MQ_OK;

undo:
    if (v && v->broker == NULL)
        live_drop(r, v, BROKER_REPLACED, NULL);
    if (b->lives.n == 0)
        broker_drop(r, b);
    return err;
}

static bool version_is(const struct route_live *v, const struct data_version *version)
{
    return v->version_known && v->version.timestamp == version->timestamp && v->version.counter == version->counter;
}

bool routes_knows(const struct routes *r, const struct registration *reg)
{
    const struct route_live *v = live_at(r, reg->addr);
    return v && reg->mark.n > 0 && v->mark.n == reg->mark.n && v->mark.crc == reg->mark.crc && v->mark.form == reg->mark.form &&
           version_is(v, &reg->version) && v->id == reg->id && slice_eq(v->broker->node.key, reg->name);
}

enum mq_err routes_register(struct routes *r, const struct registration *reg, int64_t now_ms, struct registration_result *out,
                            struct fault *why)
{
    struct route_live *v = NULL;
    bool first = false, ignored = false;
    enum mq_err err;

    *out = (struct registration_result){0};
    if ((err = check_name("clusterName", reg->cluster, why)) != MQ_OK || (err = check_name("brokerName", reg->name, why)) != MQ_OK ||
        (err = check_name("brokerAddr", reg->addr, why)) != MQ_OK)
        return err;
    if (reg->ha_addr.n > ROUTES_NAME_MAX)
        return fault_set(why, MQ_EINVAL, 0, "haServerAddr has %zu bytes, %d are allowed", reg->ha_addr.n, ROUTES_NAME_MAX);
    if (reg->n_filters > ROUTES_FILTERS_MAX)
        return fault_set(why, MQ_ELIMIT, 0, "more than %d filter servers", ROUTES_FILTERS_MAX);

    if ((err = place(r, reg, &v, &first, why)) != MQ_OK)
        return err;
    v->heard_ms = now_ms;
    if (!text_set(&v->ha_addr, reg->ha_addr, &ignored) || (reg->filters_given && !filters_set(r, v, reg)))
        return fault_set(why, MQ_ENOMEM, 0, "address %.*s", SLICE_ARG(reg->addr));

    bool same = version_is(v, &reg->version);
    if (reg->id == ROUTES_MASTER_ID && (first || !same) && (err = topics_register(r, v, reg, out, why)) != MQ_OK)
        return err;
    v->version = reg->version;
    v->version_known = true;
    v->mark = reg->mark;

    if (reg->id != ROUTES_MASTER_ID) {
        const struct route_live *master = live_with_id(v->broker, ROUTES_MASTER_ID);
        if (master) {
            out->master_addr = master->node.key;
            out->ha_addr = buf_view(&master->ha_addr);
        }
    }
    return MQ_OK;
}

bool routes_unregister(struct routes *r, struct slice name, struct slice addr)
{
    struct route_live *v = live_at(r, addr);
    if (v == NULL || !slice_eq(v->broker->node.key, name))
        return false;
    live_drop(r, v, BROKER_UNREGISTERED, NULL);
    return true;
}

size_t routes_conn_closed(struct routes *r, uint64_t conn_id)
{
    struct hash_node *found = hashmap_get(&r->conns, conn_key(&conn_id));
    size_t n = 0;
    if (found == NULL)
        return 0;
    struct route_conn *c = CONTAINER_OF(found, struct route_conn, node);
    for (bool last = false; !last; n++) { /* the last one frees the conn */
        struct route_live *v = CONTAINER_OF(c->lives.next, struct route_live, of_conn);
        last = v->of_conn.next == &c->lives;
        live_drop(r, v, BROKER_CLOSED, NULL);
    }
    return n;
}

size_t routes_sweep(struct routes *r, int64_t now_ms)
{
    size_t n = 0;
    for (struct hash_node *it = hashmap_first(&r->lives), *next; it; it = next) {
        struct route_live *v = CONTAINER_OF(it, struct route_live, node);
        next = hashmap_next(&r->lives, it);
        if (v->heard_ms + ROUTES_EXPIRE_MS < now_ms) {
            live_drop(r, v, BROKER_EXPIRED, NULL);
            n++;
        }
    }
    return n;
}

bool routes_version(const struct routes *r, struct slice addr, struct data_version *out)
{
    const struct route_live *v = live_at(r, addr);
    if (v == NULL || !v->version_known)
        return false;
    *out = v->version;
    return true;
}

void routes_heard(struct routes *r, struct slice addr, int64_t now_ms)
{
    struct route_live *v = live_at(r, addr);
    if (v)
        v->heard_ms = now_ms;
}

void routes_free(struct routes *r)
{
    if (r == NULL)
        return;
    r->cfg = (struct routes_config){0};
    route_topics_free(r);
    for (struct hash_node *it = hashmap_first(&r->lives), *next; it; it = next) {
        next = hashmap_next(&r->lives, it);
        live_drop(r, CONTAINER_OF(it, struct route_live, node), BROKER_CLOSED, NULL);
    }
    assert(r->brokers.n == 0 && r->clusters.n == 0 && r->conns.n == 0);
    hashmap_fini(&r->clusters);
    hashmap_fini(&r->brokers);
    hashmap_fini(&r->lives);
    hashmap_fini(&r->topics);
    hashmap_fini(&r->conns);
    mem_free(r);
}
