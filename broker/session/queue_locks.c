/* queue_locks.c - who may consume a queue in order.
 *
 *   lock "group, topic, queue" --> owner "group, client id" --> all his locks          A client asks anew each 20 s; that is a renewal.
 *
 * A lock protects only while its owner cannot believe in it any longer than we do. Apache's clients believe for 30 s after the last
 * answer that named the queue, by their own clock, asking or not; they know better earlier only if they are told "no", say 42, or leave
 * the group by 35. So a lock ends
 *   - when its owner gives it up: by 42, or by 35, which a client says after it stopped consuming (Apache forgets 35; a client whose
 *     42 is lost then blocks its queues for a minute);
 *   - 60 s after its last renewal (Apache's figure) while its owner is here: one message may take its time;
 *   - 35 s after its last renewal when its owner is gone: died, or left its connection. A closed connection alone frees nothing. The process
 *     behind it may live and believe: clients close connections when a request takes too long, and connect again with the next one.
 *
 *   I1  a queue has one owner of a group; another one gets it only after one of the three.                  (test: unit/session/queue_locks)
 *   I2  a restart changes no owner: who was given a lock is in the file before he hears of it, and whom the file names keeps it
 *       until he could not believe any more, counted from the start. Apache's table begins empty, and whoever asks first wins.
 *       (test: unit/session/queue_locks; integration/order_locks)
 *   I3  memory is bounded: locks, answers that wait, bytes of names.                                         (test: the same)
 * Only a change of owner is written, never a renewal. Many changes go out with one write (metadata/config_file.h), and an answer waits
 * for the write that has its own: a rebalance of 20 queues costs 20 syncs at most. When the file cannot be written, nobody
 * gets a new lock, and those that are on the disk are renewed as ever.
 * The broker's name in a queue is not looked at: all queues here are this broker's. */
#include "broker/session/queue_locks.h"

#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/protocol/codes.h"

enum { GROUP_KEY_MAX = 2 + SESSION_GROUP_MAX, LOCK_KEY_MAX = GROUP_KEY_MAX + 4 + SESSION_TOPIC_MAX, OWNER_KEY_MAX = GROUP_KEY_MAX + SESSION_CLIENT_ID_MAX };

struct owner {
    struct hash_node node; /* key = bytes */
    struct list locks;
    struct lock_owner who; /* slices of bytes */
    uint8_t bytes[];
};
struct lock {
    struct hash_node node;  /* key = bytes */
    struct list owner_node; /* in owner.locks */
    struct owner *owner;
    int64_t renewed_ms;
    uint64_t change;        /* that gave it to this owner */
    struct lock_queue queue; /* the topic is a slice of bytes */
    uint8_t bytes[];
};
struct waiter { /* an answer that is complete but for the disk */
    struct list node;
    struct ticket to;
    uint64_t change;
    size_t n;
    uint8_t body[];
};
struct queue_locks {
    struct queue_locks_setup setup;
    struct hashmap locks, owners;
    struct list waiting; /* by change */
    size_t n_waiting;
    uint64_t change, writing, saved; /* numbers of changes: the last one; in the text that was asked for last; on the disk */
    int64_t doubt_until_ms; /* before it nobody gets a lock that is not his */
    int64_t full_logged_ms;
    struct reply reply;
};

/* ---- requests ---- */
static bool holds_nul(struct slice s) { return s.n > 0 && memchr(s.p, '\0', s.n) != NULL; }

static bool text_field(const json_t *o, const char *key, size_t max, struct slice *out, char why[160])
{
    *out = json_str(o, key);
    if (out->n > 0 && out->n <= max && !holds_nul(*out))
        return true;
    snprintf(why, 160, "field %s is %s", key, out->n == 0 ? "missing" : out->n > max ? "too long" : "no text");
    return false;
}

struct lock_queue lock_queue_of(const json_t *queue)
{
    return (struct lock_queue){.topic = json_str(queue, "topic"), .queue_id = (int32_t)json_i64(queue, "queueId", -1)};
}

static bool queue_good(const json_t *o, char why[160])
{
    struct slice topic;
    int64_t id = json_i64(o, "queueId", -1);
    if (!text_field(o, "topic", SESSION_TOPIC_MAX, &topic, why))
        return false;
    if (id >= 0 && id <= INT32_MAX)
        return true;
    snprintf(why, 160, "field queueId of a queue is missing or no number of one");
    return false;
}

bool lock_request_read(const json_t *o, struct lock_owner *who, const json_t **queues, char why[160])
{
    size_t i;
    const json_t *q;
    if (!text_field(o, "consumerGroup", SESSION_GROUP_MAX, &who->group, why) || !text_field(o, "clientId", SESSION_CLIENT_ID_MAX, &who->client_id, why))
        return false;
    *queues = json_object_get(o, "mqSet");
    if (*queues && !json_is_array(*queues)) {
        snprintf(why, 160, "field mqSet is no list");
        return false;
    }
    json_array_foreach(*queues, i, q)
        if (!queue_good(q, why))
            return false;
    return true;
}

/* ---- the two tables ---- */
static size_t put_group(struct slice group, uint8_t *to)
{
    to[0] = (uint8_t)(group.n >> 8);
    to[1] = (uint8_t)group.n;
    memcpy(to + 2, group.p, group.n);
    return 2 + group.n;
}

static size_t owner_key(const struct lock_owner *who, uint8_t to[OWNER_KEY_MAX])
{
    size_t n = put_group(who->group, to);
    memcpy(to + n, who->client_id.p, who->client_id.n);
    return n + who->client_id.n;
}

static size_t lock_key(struct slice group, const struct lock_queue *q, uint8_t to[LOCK_KEY_MAX])
{
    size_t n = put_group(group, to);
    memcpy(to + n, &q->queue_id, 4);
    memcpy(to + n + 4, q->topic.p, q->topic.n);
    return n + 4 + q->topic.n;
}

static struct owner *owner_find(const struct queue_locks *l, const struct lock_owner *who)
{
    uint8_t key[OWNER_KEY_MAX];
    struct hash_node *n = hashmap_get(&l->owners, slice_make(key, owner_key(who, key)));
    return n ? CONTAINER_OF(n, struct owner, node) : NULL;
}

static struct owner *owner_find_or_make(struct queue_locks *l, const struct lock_owner *who)
{
    struct owner *o = owner_find(l, who);
    size_t group_n = who->group.n, id_n = who->client_id.n;
    if (o || (o = mem_alloc(sizeof *o + 2 + group_n + id_n)) == NULL)
        return o;
    owner_key(who, o->bytes);
    o->who = (struct lock_owner){slice_make(o->bytes + 2, group_n), slice_make(o->bytes + 2 + group_n, id_n)};
    list_init(&o->locks);
    if (!hashmap_add(&l->owners, &o->node, slice_make(o->bytes, 2 + group_n + id_n))) {
        mem_free(o);
        return NULL;
    }
    return o;
}

static void owner_free_if_idle(struct queue_locks *l, struct owner *o)
{
    if (!list_empty(&o->locks))
        return;
    hashmap_remove(&l->owners, &o->node);
    mem_free(o);
}

static struct lock *lock_find(const struct queue_locks *l, struct slice group, const struct lock_queue *q)
{
    uint8_t key[LOCK_KEY_MAX];
    struct hash_node *n = hashmap_get(&l->locks, slice_make(key, lock_key(group, q, key)));
    return n ? CONTAINER_OF(n, struct lock, node) : NULL;
}

/* Nobody's yet. */
static struct lock *lock_make(struct queue_locks *l, struct slice group, const struct lock_queue *q)
{
    size_t n = 2 + group.n + 4 + q->topic.n;
    struct lock *k = mem_alloc(sizeof *k + n);
    if (k == NULL)
        return NULL;
    *k = (struct lock){.queue = {.topic = slice_make(k->bytes + n - q->topic.n, q->topic.n), .queue_id = q->queue_id}};
    lock_key(group, q, k->bytes);
    list_init(&k->owner_node);
    if (!hashmap_add(&l->locks, &k->node, slice_make(k->bytes, n))) {
        mem_free(k);
        return NULL;
    }
    return k;
}

static void give(struct queue_locks *l, struct lock *k, struct owner *to)
{
    struct owner *from = k->owner;
    list_remove(&k->owner_node);
    list_push_back(&to->locks, &k->owner_node);
    k->owner = to;
    if (from)
        owner_free_if_idle(l, from);
}

static void lock_free(struct queue_locks *l, struct lock *k) /* its owner may be idle afterwards */
{
    hashmap_remove(&l->locks, &k->node);
    list_remove(&k->owner_node);
    mem_free(k);
}

static void changed(struct queue_locks *l)
{
    l->change++;
    if (l->setup.changed)
        l->setup.changed(l->setup.ctx);
}

/* ---- time ---- */
static bool ended(const struct queue_locks *l, const struct lock *k, int64_t mono_ms)
{
    int64_t idle_ms = mono_ms - k->renewed_ms;
    if (idle_ms > l->setup.live_ms)
        return true;
    return idle_ms > LOCK_GONE_MS && l->setup.here && !l->setup.here(l->setup.ctx, &k->owner->who);
}

/* ---- asking and giving up ---- */
static bool may_make(struct queue_locks *l, const struct lock_owner *who, bool may_grow)
{
    if (may_grow && l->locks.n < QUEUE_LOCKS_MAX)
        return true;
    if (log_ok_now(&l->full_logged_ms, 60000))
        log_warn("session", "no more queue locks: %s locks=%zu group=%.*s", may_grow ? "too many" : "memory is short", l->locks.n, SLICE_ARG(who->group));
    return false;
}

static void tell_of(const struct lock *k, const struct lock_owner *to, int64_t mono_ms)
{
    log_info("session", "queue lock taken over group=%.*s topic=%.*s queue=%d from=%.*s idle_ms=%lld to=%.*s", SLICE_ARG(to->group),
             SLICE_ARG(k->queue.topic), k->queue.queue_id, SLICE_ARG(k->owner->who.client_id), (long long)(mono_ms - k->renewed_ms),
             SLICE_ARG(to->client_id));
}

bool queue_locks_lock(struct queue_locks *l, const struct lock_owner *who, const struct lock_queue *q, int64_t mono_ms, bool may_grow, uint64_t *change)
{
    struct lock *k = lock_find(l, who->group, q);
    bool his = k && slice_eq(k->owner->who.client_id, who->client_id);
    if (!his && (mono_ms < l->doubt_until_ms || (k && !ended(l, k, mono_ms))))
        return false;
    if (!his) {
        struct owner *o = k || may_make(l, who, may_grow) ? owner_find_or_make(l, who) : NULL;
        if (o && k == NULL && (k = lock_make(l, who->group, q)) == NULL)
            owner_free_if_idle(l, o);
        if (o == NULL || k == NULL)
            return false;
        if (k->owner)
            tell_of(k, who, mono_ms);
        give(l, k, o);
        k->change = l->change + 1;
        changed(l);
    }
    k->renewed_ms = mono_ms;
    if (k->change > *change)
        *change = k->change;
    return true;
}

void queue_locks_unlock(struct queue_locks *l, const struct lock_owner *who, const struct lock_queue *q)
{
    struct lock *k = lock_find(l, who->group, q);
    if (k == NULL || !slice_eq(k->owner->who.client_id, who->client_id))
        return;
    struct owner *o = k->owner;
    lock_free(l, k);
    owner_free_if_idle(l, o);
    changed(l);
}

void queue_locks_leave(struct queue_locks *l, const struct lock_owner *who)
{
    struct owner *o = owner_find(l, who);
    if (o == NULL)
        return;
    while (!list_empty(&o->locks))
        lock_free(l, CONTAINER_OF(o->locks.next, struct lock, owner_node));
    owner_free_if_idle(l, o);
    changed(l);
}

void queue_locks_expire(struct queue_locks *l, int64_t mono_ms)
{
    size_t before = l->locks.n;
    for (struct hash_node *next, *n = hashmap_first(&l->locks); n; n = next) {
        struct lock *k = CONTAINER_OF(n, struct lock, node);
        struct owner *o = k->owner;
        next = hashmap_next(&l->locks, n);
        if (!ended(l, k, mono_ms))
            continue;
        lock_free(l, k);
        owner_free_if_idle(l, o);
    }
    if (l->locks.n != before)
        changed(l);
}

size_t queue_locks_count(const struct queue_locks *l) { return l->locks.n; }

/* ---- answers ---- */
enum handled queue_locks_answer(struct queue_locks *l, uint64_t change, const struct ticket *to, struct reply *out)
{
    if (change <= l->saved)
        return HANDLED_NOW;
    struct waiter *w = l->n_waiting < QUEUE_LOCKS_WAITING_MAX ? mem_alloc(sizeof *w + out->body.n) : NULL;
    if (w == NULL)
        return reply_refuse(out, RES_SYSTEM_BUSY, "too many lock requests wait for the disk");
    *w = (struct waiter){.to = *to, .change = change, .n = out->body.n};
    if (out->body.n > 0)
        memcpy(w->body, out->body.p, out->body.n);
    struct list *before = l->waiting.prev; /* nearly always the last place: changes only grow, renewals of new locks are rare */
    while (before != &l->waiting && CONTAINER_OF(before, struct waiter, node)->change > change)
        before = before->prev;
    list_insert(before, &w->node);
    l->n_waiting++;
    if (l->writing < change && l->setup.changed) /* a write that failed is tried again by whoever asks next */
        l->setup.changed(l->setup.ctx);
    return HANDLED_LATER;
}

static void drop(struct queue_locks *l, struct waiter *w)
{
    list_remove(&w->node);
    l->n_waiting--;
    mem_free(w);
}

void queue_locks_saved(struct queue_locks *l, bool good)
{
    if (good)
        l->saved = l->writing;
    while (!list_empty(&l->waiting)) {
        struct waiter *w = CONTAINER_OF(l->waiting.next, struct waiter, node);
        if (w->change > l->writing)
            break;
        reply_clear(&l->reply);
        if (good)
            buf_put(&l->reply.body, w->body, w->n);
        else
            reply_refuse(&l->reply, RES_SYSTEM_ERROR, "the lock cannot be written to the disk");
        struct ticket to = w->to;
        drop(l, w);
        l->setup.outbox->finish(l->setup.outbox->ctx, &to, &l->reply);
    }
    if (!good)
        l->writing = l->saved;
}

/* ---- the file ---- */
void queue_locks_encode(struct queue_locks *l, struct buf *out)
{
    struct jw w = jw_over(out, true);
    l->writing = l->change;
    jw_object(&w);
    jw_key(&w, "lockTable");
    jw_array(&w);
    for (struct hash_node *n = hashmap_first(&l->owners); n; n = hashmap_next(&l->owners, n)) {
        const struct owner *o = CONTAINER_OF(n, struct owner, node);
        jw_object(&w);
        jw_kv_str(&w, "clientId", o->who.client_id);
        jw_kv_str(&w, "consumerGroup", o->who.group);
        jw_key(&w, "mqSet");
        jw_array(&w);
        LIST_EACH (it, &o->locks) {
            const struct lock *k = CONTAINER_OF(it, struct lock, owner_node);
            jw_object(&w);
            jw_kv_i64(&w, "queueId", k->queue.queue_id);
            jw_kv_str(&w, "topic", k->queue.topic);
            jw_end_object(&w);
        }
        jw_end_array(&w);
        jw_end_object(&w);
    }
    jw_end_array(&w);
    jw_end_object(&w);
}

static void forget_all(struct queue_locks *l)
{
    for (struct hash_node *next, *n = hashmap_first(&l->locks); n; n = next) {
        next = hashmap_next(&l->locks, n);
        struct lock *k = CONTAINER_OF(n, struct lock, node);
        struct owner *o = k->owner;
        lock_free(l, k);
        owner_free_if_idle(l, o);
    }
}

static enum mq_err take_owner(struct queue_locks *l, const json_t *o, int64_t mono_ms, struct fault *why)
{
    struct lock_owner who;
    const json_t *queues, *q;
    char words[160];
    size_t i;
    uint64_t change = 0;
    if (!lock_request_read(o, &who, &queues, words))
        return fault_set(why, MQ_EMALFORMED, 0, "lockTable: %.140s", words);
    json_array_foreach(queues, i, q) {
        const struct lock_queue queue = lock_queue_of(q);
        if (lock_find(l, who.group, &queue))
            return fault_set(why, MQ_EMALFORMED, 0, "lockTable: a queue has two owners in group %.*s", SLICE_ARG(slice_head(who.group, 100)));
        if (!queue_locks_lock(l, &who, &queue, mono_ms, true, &change))
            return fault_set(why, MQ_ENOMEM, 0, "queue locks");
    }
    return MQ_OK;
}

enum mq_err queue_locks_take(struct queue_locks *l, struct slice text, int64_t mono_ms, struct fault *why)
{
    json_t *root = json_parse(text, why);
    if (root == NULL)
        return MQ_EMALFORMED;
    void (*tell)(void *ctx) = l->setup.changed;
    const json_t *table = json_object_get(root, "lockTable"), *o;
    size_t i;
    enum mq_err err = json_is_array(table) ? MQ_OK : fault_set(why, MQ_EMALFORMED, 0, "lockTable is missing or no list");
    l->setup.changed = NULL;
    json_array_foreach(table, i, o)
        if (err == MQ_OK)
            err = take_owner(l, o, mono_ms, why);
    if (err != MQ_OK)
        forget_all(l);
    l->setup.changed = tell;
    l->writing = l->saved = l->change; /* it is what the file says */
    json_decref(root);
    return err;
}

void queue_locks_doubt(struct queue_locks *l, int64_t mono_ms) { l->doubt_until_ms = mono_ms + LOCK_GONE_MS; }

/* ---- life ---- */
enum mq_err queue_locks_new(const struct queue_locks_setup *setup, struct queue_locks **out)
{
    struct queue_locks *l = mem_zalloc(sizeof *l);
    if (l == NULL)
        return MQ_ENOMEM;
    l->setup = *setup;
    list_init(&l->waiting);
    *out = l;
    return MQ_OK;
}

void queue_locks_free(struct queue_locks *l)
{
    if (l == NULL)
        return;
    while (!list_empty(&l->waiting))
        drop(l, CONTAINER_OF(l->waiting.next, struct waiter, node));
    forget_all(l);
    hashmap_fini(&l->locks);
    hashmap_fini(&l->owners);
    reply_free(&l->reply);
    mem_free(l);
}
