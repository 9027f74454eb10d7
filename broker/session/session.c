/* session.c - who is here.
 *
 *   connection 1 ---- member ---- consumer group "g"      A member is one connection in one group. A connection knows its members,
 *        |        `-- member ---- producer group "p"      a group its clients: leaving costs as much as the connection is in, and
 *   connection 2 ---- member ---- consumer group "g"      nothing is searched. Connections are listed by their last heartbeat.
 *
 *   I1  a group without members does not exist; a connection without members is not listed.          (test: unit/session/session)
 *   I2  after a heartbeat, the group's topics are exactly those of this heartbeat: the last writer wins, per topic the newest
 *       version. Two members that disagree overwrite each other, as with Apache; their users are told.  (test: the same)
 *   I3  an unchanged heartbeat costs a hash of its body and no parsing: 10,000 connections send one each 30 s. It counts as unchanged only while
 *       nobody else changed the subscriptions of its groups since: two disagreeing members go on overwriting each other.
 *       (test: the same)
 *   I4  the listener is told after the change, and what it is told of exists during the call. */
#include <string.h>

#include "broker/session/heartbeat.h"
#include "broker/session/session.h"
#include "common/base/log.h"
#include "common/base/mem.h"

enum { MISMATCH_EVERY_MS = 60000 };

struct member {
    struct client client; /* client.node is in the group's list */
    struct list conn_node;
    struct session_conn *conn;
    struct consumer_group *consumers; /* one of these two */
    struct producer_group *producers;
    struct hash_node by_id; /* in sessions.producer_ids, when it is the one found there */
    bool unit_mode, is_found;
};
struct session_conn {
    struct hash_node node; /* key = the bytes of id */
    struct list seen_node; /* in sessions.by_seen */
    struct list members;
    uint64_t id;
    int64_t seen_ms;
    uint64_t body_hash; /* of the last heartbeat that was taken over whole; body_n == 0: none */
    size_t body_n;
    uint64_t generations; /* sum over its consumer groups then */
    bool fingerprinted, changed; /* the last heartbeat: see sessions_fingerprinted() */
};
struct sessions {
    struct hashmap conns, consumers, producers;
    struct hashmap producer_ids; /* of struct member, by client id: the last producer that came with it; replies look for it */
    struct list by_seen; /* of struct session_conn, the longest silent first */
    struct session_listener listener;
};

static struct consumer_group *consumers_of(struct hash_node *n) { return n ? CONTAINER_OF(n, struct consumer_group, node) : NULL; }
static struct producer_group *producers_of(struct hash_node *n) { return n ? CONTAINER_OF(n, struct producer_group, node) : NULL; }
static struct subscription *subscription_of(struct hash_node *n) { return n ? CONTAINER_OF(n, struct subscription, node) : NULL; }
static struct slice bytes_of(const uint64_t *id) { return slice_make(id, sizeof *id); }

/* ---- connections ---- */
static struct session_conn *conn_find(const struct sessions *s, uint64_t id)
{
    struct hash_node *n = hashmap_get(&s->conns, bytes_of(&id));
    return n ? CONTAINER_OF(n, struct session_conn, node) : NULL;
}

static struct session_conn *conn_find_or_make(struct sessions *s, uint64_t id)
{
    struct session_conn *c = conn_find(s, id);
    if (c || (c = mem_zalloc(sizeof *c)) == NULL)
        return c;
    c->id = id;
    list_init(&c->members);
    if (!hashmap_add(&s->conns, &c->node, bytes_of(&c->id))) {
        mem_free(c);
        return NULL;
    }
    list_push_back(&s->by_seen, &c->seen_node);
    return c;
}

static void conn_free(struct sessions *s, struct session_conn *c)
{
    hashmap_remove(&s->conns, &c->node);
    list_remove(&c->seen_node);
    mem_free(c);
}

static uint64_t generations(const struct session_conn *c)
{
    uint64_t sum = 0;
    LIST_EACH (it, &c->members) {
        const struct member *m = CONTAINER_OF(it, struct member, conn_node);
        sum += m->consumers ? m->consumers->generation : 0;
    }
    return sum;
}

/* ---- groups ---- */
static struct consumer_group *consumers_find_or_make(struct sessions *s, struct slice name)
{
    struct consumer_group *g = sessions_consumers(s, name);
    if (g || (g = mem_zalloc(sizeof *g + name.n + 1)) == NULL)
        return g;
    memcpy(g->name, name.p, name.n);
    list_init(&g->clients);
    if (!hashmap_add(&s->consumers, &g->node, slice_make(g->name, name.n))) {
        mem_free(g);
        return NULL;
    }
    return g;
}

static struct producer_group *producers_find_or_make(struct sessions *s, struct slice name)
{
    struct producer_group *g = sessions_producers(s, name);
    if (g || (g = mem_zalloc(sizeof *g + name.n + 1)) == NULL)
        return g;
    memcpy(g->name, name.p, name.n);
    list_init(&g->clients);
    if (!hashmap_add(&s->producers, &g->node, slice_make(g->name, name.n))) {
        mem_free(g);
        return NULL;
    }
    return g;
}

static void forget_subscription(struct consumer_group *g, struct subscription *sub)
{
    hashmap_remove(&g->subscriptions, &sub->node);
    subscription_free(sub);
}

static void free_if_empty(struct sessions *s, struct consumer_group *g, struct producer_group *p)
{
    if (g && g->n_clients == 0) {
        if (s->listener.group_gone)
            s->listener.group_gone(s->listener.ctx, g);
        struct hash_node *next;
        for (struct hash_node *n = hashmap_first(&g->subscriptions); n; n = next) {
            next = hashmap_next(&g->subscriptions, n);
            subscription_free(subscription_of(n));
        }
        hashmap_fini(&g->subscriptions);
        hashmap_remove(&s->consumers, &g->node);
        mem_free(g->mismatch);
        mem_free(g);
    }
    if (p && p->n_clients == 0) {
        hashmap_remove(&s->producers, &p->node);
        mem_free(p);
    }
}

/* ---- members ---- */
static struct member *member_find(const struct session_conn *c, const struct consumer_group *g, const struct producer_group *p)
{
    LIST_EACH (it, &c->members) {
        struct member *m = CONTAINER_OF(it, struct member, conn_node);
        if ((g && m->consumers == g) || (p && m->producers == p))
            return m;
    }
    return NULL;
}

static struct member *member_make(struct session_conn *c, struct consumer_group *g, struct producer_group *p, struct slice client_id,
                                  const struct peer *peer)
{
    struct member *m = mem_zalloc(sizeof *m);
    char *id = slice_dup(client_id);
    if (m == NULL || id == NULL) {
        mem_free(m);
        mem_free(id);
        return NULL;
    }
    m->conn = c;
    m->consumers = g;
    m->producers = p;
    m->client.conn_id = c->id;
    m->client.client_id = id;
    memcpy(m->client.addr, peer->addr, sizeof m->client.addr);
    list_push_back(&c->members, &m->conn_node);
    list_push_back(g ? &g->clients : &p->clients, &m->client.node);
    g ? g->n_clients++ : p->n_clients++;
    return m;
}

/* A client id may come from several groups or connections: one of them is found. Others are found by looking at all. */
static void unfind(struct sessions *s, struct member *m)
{
    if (m->is_found)
        hashmap_remove(&s->producer_ids, &m->by_id);
    m->is_found = false;
}

static void find_by_id(struct sessions *s, struct member *m)
{
    struct slice id = slice_str(m->client.client_id);
    struct hash_node *n = hashmap_get(&s->producer_ids, id);
    if (m->is_found)
        return;
    if (n)
        unfind(s, CONTAINER_OF(n, struct member, by_id));
    m->is_found = hashmap_add(&s->producer_ids, &m->by_id, id);
}

/* Out of its group and its connection; the group may be empty afterwards. */
static void member_free(struct sessions *s, struct member *m)
{
    unfind(s, m);
    m->consumers ? m->consumers->n_clients-- : m->producers->n_clients--;
    list_remove(&m->client.node);
    list_remove(&m->conn_node);
    mem_free(m->client.client_id);
    mem_free(m);
}

static void told_changed(struct sessions *s, struct consumer_group *g)
{
    if (g->n_clients && s->listener.members_changed)
        s->listener.members_changed(s->listener.ctx, g);
}

static void leave(struct sessions *s, struct member *m, const char *why)
{
    struct consumer_group *g = m->consumers;
    struct producer_group *p = m->producers;
    if (why)
        log_info("session", "%s left group=%s client=%s addr=%s why=%s", g ? "consumer" : "producer", g ? g->name : p->name, m->client.client_id,
                 m->client.addr, why);
    member_free(s, m);
    if (g)
        told_changed(s, g);
    free_if_empty(s, g, p);
}

static bool refresh(struct sessions *s, struct member *m, struct slice client_id, const struct command *cmd, int64_t now_ms)
{
    if (!slice_is(client_id, m->client.client_id)) { /* one process, two clients in one group on one connection: the last one counts */
        char *id = slice_dup(client_id);
        if (id == NULL)
            return false;
        unfind(s, m); /* by its old id */
        mem_free(m->client.client_id);
        m->client.client_id = id;
    }
    m->client.language = cmd->language;
    m->client.version = cmd->version;
    m->client.seen_ms = now_ms;
    return true;
}

/* ---- subscriptions ---- */
static bool same_wish(const struct subscription *a, const struct subscription *b)
{
    return strcmp(a->sub_string, b->sub_string) == 0 && strcmp(a->expression_type, b->expression_type) == 0;
}

/* The clock of intervals. */
static int64_t steady(const struct sessions *s, int64_t now_ms) { return s->listener.mono_ms ? s->listener.mono_ms(s->listener.ctx) : now_ms; }

static const struct client *client_of(const struct consumer_group *g, uint64_t conn_id) /* NULL: it is no member */
{
    LIST_EACH (it, &g->clients) {
        const struct client *c = CONTAINER_OF(it, struct client, node);
        if (c->conn_id == conn_id)
            return c;
    }
    return NULL;
}

static bool is_of(const struct group_mismatch *x, uint64_t conn_a, uint64_t conn_b, const char *topic)
{
    return x && ((x->conn_a == conn_a && x->conn_b == conn_b) || (x->conn_a == conn_b && x->conn_b == conn_a)) && strcmp(x->topic, topic) == 0;
}

static void forget_mismatch(struct consumer_group *g)
{
    mem_free(g->mismatch);
    g->mismatch = NULL;
}

/* Without memory the older one stays: it is for looking only. */
static void keep_mismatch(struct consumer_group *g, const struct client *a, const struct client *b, const char *topic)
{
    size_t topic_n = strlen(topic) + 1, a_n = strlen(a->client_id) + 1, b_n = strlen(b->client_id) + 1;
    struct group_mismatch *x = is_of(g->mismatch, a->conn_id, b->conn_id, topic) ? NULL : mem_alloc(sizeof *x + topic_n + a_n + b_n);
    if (x == NULL)
        return;
    *x = (struct group_mismatch){.conn_a = a->conn_id, .conn_b = b->conn_id, .topic = x->text, .client_a = x->text + topic_n,
                                 .client_b = x->text + topic_n + a_n};
    memcpy(x->text, topic, topic_n);
    memcpy(x->text + topic_n, a->client_id, a_n);
    memcpy(x->text + topic_n + a_n, b->client_id, b_n);
    forget_mismatch(g);
    g->mismatch = x;
}

/* Member m overwrites, removes, or would like to overwrite what another connection, still in the group, had asked for. */
static void mismatch(struct sessions *s, struct consumer_group *g, const struct subscription *old, const struct member *m, int64_t now_ms)
{
    const struct client *other = old->conn_id == m->client.conn_id ? NULL : client_of(g, old->conn_id);
    if (other == NULL)
        return;
    keep_mismatch(g, other, &m->client, old->topic);
    now_ms = steady(s, now_ms);
    if (g->mismatch_ms && now_ms - g->mismatch_ms < MISMATCH_EVERY_MS)
        return;
    g->mismatch_ms = now_ms;
    if (s->listener.subscription_mismatch)
        s->listener.subscription_mismatch(s->listener.ctx, g, other->client_id, m->client.client_id, old->topic);
}

/* Member m wants the same as the other connection, from which `old` is. */
static void match(struct consumer_group *g, const struct subscription *old, const struct member *m)
{
    if (is_of(g->mismatch, old->conn_id, m->client.conn_id, old->topic))
        forget_mismatch(g);
}

const struct group_mismatch *sessions_mismatch(const struct consumer_group *g)
{
    const struct group_mismatch *x = g->mismatch;
    return x && client_of(g, x->conn_a) && client_of(g, x->conn_b) ? x : NULL;
}

static bool subscription_add(struct consumer_group *g, struct subscription **slot)
{
    struct subscription *sub = *slot;
    if (!hashmap_add(&g->subscriptions, &sub->node, slice_str(sub->topic)))
        return false;
    *slot = NULL; /* taken */
    return true;
}

/* 1: topics came or went; 0: not; -1: out of memory. */
static int update_subscriptions(struct sessions *s, struct consumer_group *g, const struct member *m, struct heartbeat_consumer *want, int64_t now_ms)
{
    bool updated = false, replaced = false;
    for (struct hash_node *next, *n = hashmap_first(&g->subscriptions); n; n = next) { /* marks: kept ones are named below */
        next = hashmap_next(&g->subscriptions, n);
        subscription_of(n)->updated_ms = -1;
    }
    for (size_t i = 0; i < want->n_subscriptions; i++) {
        struct subscription *sub = want->subscriptions[i];
        struct subscription *old = subscription_of(hashmap_get(&g->subscriptions, slice_str(sub->topic)));
        sub->updated_ms = now_ms;
        sub->conn_id = m->client.conn_id;
        if (old && same_wish(old, sub))
            match(g, old, m);
        else if (old)
            mismatch(s, g, old, m, now_ms);
        if (old && sub->version <= old->version) {
            old->updated_ms = now_ms;
            continue;
        }
        if (old) {
            forget_subscription(g, old);
            replaced = true;
        } else {
            updated = true;
        }
        if (!subscription_add(g, &want->subscriptions[i]))
            return -1;
    }
    for (struct hash_node *next, *n = hashmap_first(&g->subscriptions); n; n = next) {
        struct subscription *old = subscription_of(n);
        next = hashmap_next(&g->subscriptions, n);
        if (old->updated_ms != -1)
            continue;
        mismatch(s, g, old, m, now_ms);
        log_info("session", "topic left the group's subscriptions group=%s topic=%s client=%s", g->name, old->topic, m->client.client_id);
        forget_subscription(g, old);
        updated = true;
    }
    if (updated || replaced)
        g->generation++;
    return updated;
}

/* ---- heartbeats ---- */
static bool take_consumer(struct sessions *s, struct session_conn *c, const struct heartbeat *h, struct heartbeat_consumer *want,
                          const struct command *cmd, const struct peer *peer, int64_t now_ms)
{
    struct consumer_group *g = consumers_find_or_make(s, want->group);
    struct member *m = g ? member_find(c, g, NULL) : NULL;
    bool came = m == NULL;
    if (g && came)
        m = member_make(c, g, NULL, h->client_id, peer);
    if (m == NULL || !refresh(s, m, h->client_id, cmd, now_ms)) {
        free_if_empty(s, g, NULL);
        return false;
    }
    m->unit_mode = want->unit_mode;
    if (g->type != want->type || g->model != want->model || g->from != want->from)
        g->generation++;
    g->type = want->type;
    g->model = want->model;
    g->from = want->from;
    int updated = h->without_subscriptions ? 0 : update_subscriptions(s, g, m, want, now_ms);
    if (came)
        log_info("session", "consumer came group=%s client=%s addr=%s type=%s model=%s", g->name, m->client.client_id, m->client.addr,
                 consume_type_names[g->type], message_model_names[g->model]);
    if (s->listener.group_seen)
        s->listener.group_seen(s->listener.ctx, g->node.key, want->unit_mode);
    if (s->listener.heard && !h->without_subscriptions)
        s->listener.heard(s->listener.ctx, g);
    c->changed = c->changed || came || updated == 1;
    if (came || updated == 1)
        told_changed(s, g);
    return updated >= 0;
}

static bool take_producer(struct sessions *s, struct session_conn *c, struct slice client_id, struct slice name, const struct command *cmd,
                          const struct peer *peer, int64_t now_ms)
{
    struct producer_group *p = producers_find_or_make(s, name);
    struct member *m = p ? member_find(c, NULL, p) : NULL;
    bool came = m == NULL;
    if (p && came)
        m = member_make(c, NULL, p, client_id, peer);
    if (m == NULL || !refresh(s, m, client_id, cmd, now_ms)) {
        free_if_empty(s, NULL, p);
        return false;
    }
    find_by_id(s, m);
    if (came)
        log_info("session", "producer came group=%s client=%s addr=%s", p->name, m->client.client_id, m->client.addr);
    return true;
}

/* The same words as last time, and nobody changed these groups since: everybody stays. */
static void stay(struct sessions *s, struct session_conn *c, int64_t now_ms)
{
    LIST_EACH (it, &c->members) {
        struct member *m = CONTAINER_OF(it, struct member, conn_node);
        m->client.seen_ms = now_ms;
        if (m->consumers && s->listener.group_seen) /* its config or retry topic may have been deleted meanwhile */
            s->listener.group_seen(s->listener.ctx, m->consumers->node.key, m->unit_mode);
    }
}

static void seen(struct sessions *s, struct session_conn *c, int64_t now_ms)
{
    c->seen_ms = steady(s, now_ms);
    list_remove(&c->seen_node);
    list_push_back(&s->by_seen, &c->seen_node);
}

enum mq_err sessions_heartbeat(struct sessions *s, struct slice body, const struct command *cmd, const struct peer *peer, int64_t now_ms, struct fault *why)
{
    uint64_t hash = slice_hash(body);
    struct session_conn *c = conn_find(s, peer->conn_id);
    if (c && c->body_n == body.n && c->body_hash == hash && c->generations == generations(c)) {
        seen(s, c, now_ms);
        stay(s, c, now_ms);
        c->changed = false;
        return MQ_OK;
    }
    struct heartbeat h;
    enum mq_err err = heartbeat_decode(body, &h, why);
    if (err != MQ_OK)
        return err;
    bool good = (c = conn_find_or_make(s, peer->conn_id)) != NULL;
    if (good) {
        seen(s, c, now_ms);
        c->fingerprinted = h.fingerprinted;
        c->changed = false;
    }
    for (size_t i = 0; good && i < h.n_consumers; i++)
        good = take_consumer(s, c, &h, &h.consumers[i], cmd, peer, now_ms);
    for (size_t i = 0; good && i < h.n_producers; i++)
        good = take_producer(s, c, h.client_id, h.producers[i], cmd, peer, now_ms);
    heartbeat_fini(&h);
    if (c) {
        c->body_n = good ? body.n : 0;
        c->body_hash = hash;
        c->generations = generations(c);
        if (list_empty(&c->members))
            conn_free(s, c);
    }
    return good ? MQ_OK : fault_set(why, MQ_ENOMEM, 0, "heartbeat");
}

bool sessions_fingerprinted(const struct sessions *s, uint64_t conn_id, bool *changed)
{
    const struct session_conn *c = conn_find(s, conn_id);
    *changed = c == NULL || c->changed;
    return c && c->fingerprinted;
}

/* ---- leaving ---- */
void sessions_unregister(struct sessions *s, uint64_t conn_id, struct slice producer_group, struct slice consumer_group)
{
    struct session_conn *c = conn_find(s, conn_id);
    if (c == NULL)
        return;
    struct producer_group *p = producer_group.n ? sessions_producers(s, producer_group) : NULL;
    struct consumer_group *g = consumer_group.n ? sessions_consumers(s, consumer_group) : NULL;
    struct member *producer = p ? member_find(c, NULL, p) : NULL, *consumer = g ? member_find(c, g, NULL) : NULL;
    c->body_n = 0; /* the same words would mean something new now */
    if (producer)
        leave(s, producer, "unregistered");
    if (consumer)
        leave(s, consumer, "unregistered");
    if (list_empty(&c->members))
        conn_free(s, c);
}

static void drop(struct sessions *s, struct session_conn *c, const char *why)
{
    while (!list_empty(&c->members))
        leave(s, CONTAINER_OF(c->members.next, struct member, conn_node), why);
    conn_free(s, c);
}

void sessions_conn_closed(struct sessions *s, uint64_t conn_id)
{
    struct session_conn *c = conn_find(s, conn_id);
    if (c)
        drop(s, c, "closed");
}

void sessions_conn_heard(struct sessions *s, uint64_t conn_id, int64_t now_ms)
{
    struct session_conn *c = conn_find(s, conn_id);
    if (c)
        seen(s, c, now_ms);
}

void sessions_expire(struct sessions *s, int64_t now_ms, int64_t expire_ms, void (*fn)(void *arg, uint64_t conn_id), void *arg)
{
    while (!list_empty(&s->by_seen)) {
        struct session_conn *c = CONTAINER_OF(s->by_seen.next, struct session_conn, seen_node);
        if (now_ms - c->seen_ms <= expire_ms)
            break;
        uint64_t id = c->id;
        drop(s, c, "silent");
        fn(arg, id);
    }
}

/* ---- life and looking ---- */
enum mq_err sessions_new(const struct session_listener *l, struct sessions **out)
{
    struct sessions *s = mem_zalloc(sizeof *s);
    if (s == NULL)
        return MQ_ENOMEM;
    s->listener = l ? *l : (struct session_listener){0};
    list_init(&s->by_seen);
    *out = s;
    return MQ_OK;
}

void sessions_free(struct sessions *s)
{
    if (s == NULL)
        return;
    s->listener = (struct session_listener){0};
    while (!list_empty(&s->by_seen))
        drop(s, CONTAINER_OF(s->by_seen.next, struct session_conn, seen_node), NULL);
    hashmap_fini(&s->conns);
    hashmap_fini(&s->consumers);
    hashmap_fini(&s->producers);
    hashmap_fini(&s->producer_ids);
    mem_free(s);
}

struct consumer_group *sessions_consumers(const struct sessions *s, struct slice group) { return consumers_of(hashmap_get(&s->consumers, group)); }
struct producer_group *sessions_producers(const struct sessions *s, struct slice group) { return producers_of(hashmap_get(&s->producers, group)); }

struct consumer_group *sessions_next_consumers(const struct sessions *s, const struct consumer_group *after)
{
    return consumers_of(after ? hashmap_next(&s->consumers, &after->node) : hashmap_first(&s->consumers));
}

struct producer_group *sessions_next_producers(const struct sessions *s, const struct producer_group *after)
{
    return producers_of(after ? hashmap_next(&s->producers, &after->node) : hashmap_first(&s->producers));
}

struct client *sessions_consumer_client(const struct sessions *s, struct slice group, struct slice client_id)
{
    struct consumer_group *g = sessions_consumers(s, group);
    if (g == NULL)
        return NULL;
    LIST_EACH (it, &g->clients)
        if (slice_is(client_id, CONTAINER_OF(it, struct client, node)->client_id))
            return CONTAINER_OF(it, struct client, node);
    return NULL;
}

struct client *sessions_producer_client(const struct sessions *s, struct slice client_id)
{
    struct hash_node *found = hashmap_get(&s->producer_ids, client_id);
    if (found)
        return &CONTAINER_OF(found, struct member, by_id)->client;
    for (struct producer_group *p = sessions_next_producers(s, NULL); p; p = sessions_next_producers(s, p))
        LIST_EACH (it, &p->clients)
            if (slice_is(client_id, CONTAINER_OF(it, struct client, node)->client_id))
                return CONTAINER_OF(it, struct client, node);
    return NULL;
}
