/* topics.c - topics: their queues on each broker, and the encoded answer that is kept for the next who asks.
 *
 *   I1  A topic is known as long as one broker has queues of it; a broker's list of topics and the topics' lists of brokers
 *       say the same. (test: the_last_address_takes_the_topics_along)
 *   I2  An answer is kept until a queue, an address, a filter server or the order configuration in it changes, and is then
 *       dropped, not rebuilt: who asks next pays. (test: an_answer_is_built_once_until_the_route_changes)
 *   I3  Answers kept stay below ROUTES_CACHE_MAX together; the least recently asked goes first, all but one when memory is short. A topic on 2,000 brokers has
 *       an answer of 400 KB, 10,000 such topics would fill 4 GB. (test: kept_answers_are_bounded)
 * Removing a broker costs its topics times log(brokers of a topic), not all topics. */
#include "common/base/mem.h"
#include "namesrv/route/routes_internal.h"

static struct route_topic *topic_named(const struct routes *r, struct slice name)
{
    struct hash_node *n = hashmap_get(&r->topics, name);
    return n ? CONTAINER_OF(n, struct route_topic, node) : NULL;
}

/* Where the broker's queues are, or belong. Brokers that share topics share many: where it was in the last one is looked at first. */
static uint32_t queue_place(const struct route_topic *t, struct route_broker *b)
{
    uint32_t low = 0, high = t->n;
    if (b->last_place < t->n && t->queues[b->last_place].broker == b)
        return b->last_place;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        const struct route_broker *at = t->queues[mid].broker;
        if (at == b)
            return b->last_place = mid;
        if (slice_cmp(at->node.key, b->node.key) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

void route_topics_stale(struct routes *r, struct route_topic *t)
{
    if (t->answer == NULL)
        return;
    mem_free(t->answer);
    r->cached--;
    r->cached_bytes -= t->answer_n;
    t->answer = NULL;
    t->answer_n = 0;
    list_remove(&t->lru);
}

void route_topics_of_stale(struct routes *r, struct route_broker *b)
{
    buf_free(&b->texts);
    for (uint32_t i = 0; i < b->topics.n; i++)
        route_topics_stale(r, b->topics.p[i]);
}

static void topic_drop(struct routes *r, struct route_topic *t)
{
    route_topics_stale(r, t);
    hashmap_remove(&r->topics, &t->node);
    r->n_queues -= t->n;
    mem_free(t->queues);
    mem_free(t);
}

/* Takes the broker's queues out of the topic; the topic goes with its last queues. */
static void topic_leave(struct routes *r, struct route_topic *t, struct route_broker *b)
{
    uint32_t at = queue_place(t, b);
    route_topics_stale(r, t);
    t->n--;
    r->n_queues--;
    memmove(t->queues + at, t->queues + at + 1, (t->n - at) * sizeof *t->queues);
    if (t->n == 0)
        topic_drop(r, t);
}

static void broker_forget(struct route_broker *b, const struct route_topic *t)
{
    for (uint32_t i = 0; i < b->topics.n; i++)
        if (b->topics.p[i] == t) {
            b->topics.p[i] = b->topics.p[--b->topics.n];
            return;
        }
}

void route_topics_drop_broker(struct routes *r, struct route_broker *b)
{
    for (uint32_t i = 0; i < b->topics.n; i++)
        topic_leave(r, b->topics.p[i], b);
    b->topics.n = 0;
}

static struct route_topic *topic_new(struct routes *r, struct slice name)
{
    struct route_topic *t = mem_zalloc(sizeof *t + name.n + 1);
    if (t == NULL)
        return NULL;
    memcpy(t->name, name.p, name.n);
    list_init(&t->lru);
    if (!hashmap_add(&r->topics, &t->node, slice_make(t->name, name.n))) {
        mem_free(t);
        return NULL;
    }
    return t;
}

static bool queue_insert(struct routes *r, struct route_topic *t, uint32_t at, struct route_broker *b, const struct topic_queues *q)
{
    if (t->n == t->cap) {
        uint32_t cap = t->cap ? t->cap * 2 : 2;
        struct route_queue *p = mem_realloc(t->queues, cap * sizeof *p);
        if (p == NULL)
            return false;
        t->queues = p;
        t->cap = cap;
    }
    if (!ptrs_insert(&b->topics, b->topics.n, t))
        return false;
    memmove(t->queues + at + 1, t->queues + at, (t->n - at) * sizeof *t->queues);
    t->queues[at] = (struct route_queue){.broker = b, .q = *q};
    t->n++;
    r->n_queues++;
    return true;
}

enum mq_err route_topics_put(struct routes *r, struct route_broker *b, struct slice name, const struct topic_queues *q,
                       struct registration_result *out, struct fault *why)
{
    struct route_topic *t = topic_named(r, name);
    uint32_t at = t ? queue_place(t, b) : 0;

    if (t && at < t->n && t->queues[at].broker == b) {
        struct topic_queues *old = &t->queues[at].q;
        if (old->read == q->read && old->write == q->write && old->perm == q->perm && old->sys_flag == q->sys_flag)
            return MQ_OK;
        *old = *q;
        route_topics_stale(r, t);
        out->topics_changed++;
        return MQ_OK;
    }
    if (r->n_queues >= ROUTES_QUEUES_MAX || (t == NULL && r->topics.n >= ROUTES_TOPICS_MAX))
        return fault_set(why, MQ_ELIMIT, 0, "more than %d topics, or %d of topic and broker", ROUTES_TOPICS_MAX, ROUTES_QUEUES_MAX);
    if (route_may_grow(r, why) != MQ_OK)
        return MQ_ELIMIT;
    if (t == NULL)
        t = topic_new(r, name);
    if (t == NULL)
        return fault_set(why, MQ_ENOMEM, 0, "topic %.*s", SLICE_ARG(name));
    if (!queue_insert(r, t, at, b, q)) {
        if (t->n == 0)
            topic_drop(r, t);
        return fault_set(why, MQ_ENOMEM, 0, "topic %.*s", SLICE_ARG(name));
    }
    route_topics_stale(r, t);
    out->topics_new++;
    return MQ_OK;
}

/* ---- answers ---- */
static bool topic_encode(struct routes *r, struct route_topic *t)
{
    struct buf b = {0};
    route_json_topic(r, t, &b);
    if (!b.failed)
        t->answer = mem_dup(b.p, b.n); /* to the byte: a buf grows in steps */
    if (t->answer) {
        t->answer_n = b.n;
        r->encoded++;
        r->cached++;
        r->cached_bytes += b.n;
    }
    buf_free(&b);
    return t->answer != NULL;
}

bool routes_answer(struct routes *r, struct slice topic, struct slice *out)
{
    struct route_topic *t = topic_named(r, topic);
    *out = slice_make(NULL, 0);
    if (t == NULL || (t->answer == NULL && !topic_encode(r, t)))
        return false;
    list_remove(&t->lru);
    list_push_front(&r->lru, &t->lru);
    while ((r->cached_bytes > ROUTES_CACHE_MAX || budget_level(r->cfg.budget) >= BUDGET_GIVE_BACK) && r->lru.prev != &t->lru)
        route_topics_stale(r, CONTAINER_OF(r->lru.prev, struct route_topic, lru));
    *out = slice_make(t->answer, t->answer_n);
    return true;
}

void routes_touch(struct routes *r, struct slice topic)
{
    struct route_topic *t = topic_named(r, topic);
    if (t)
        route_topics_stale(r, t);
}

void routes_touch_all(struct routes *r)
{
    LIST_EACH(it, &r->lru)
        route_topics_stale(r, CONTAINER_OF(it, struct route_topic, lru));
}

/* ---- orders from administrators ---- */
void routes_delete_topic(struct routes *r, struct slice topic)
{
    struct route_topic *t = topic_named(r, topic);
    if (t == NULL)
        return;
    for (uint32_t i = 0; i < t->n; i++)
        broker_forget(t->queues[i].broker, t);
    topic_drop(r, t);
}

void routes_delete_topic_of(struct routes *r, struct slice topic, struct slice cluster)
{
    struct route_topic *t = topic_named(r, topic);
    for (uint32_t i = t ? t->n : 0; i-- > 0;) { /* downwards: what is removed is behind what is left to see */
        struct route_broker *b = t->queues[i].broker;
        if (slice_eq(b->cluster->node.key, cluster)) {
            broker_forget(b, t);
            topic_leave(r, t, b); /* frees t only with its last queues, at i == 0 */
        }
    }
}

static size_t change_perm(struct routes *r, struct slice broker, int32_t keep, int32_t add)
{
    struct hash_node *n = hashmap_get(&r->brokers, broker);
    if (n == NULL)
        return 0;
    struct route_broker *b = CONTAINER_OF(n, struct route_broker, node);
    for (uint32_t i = 0; i < b->topics.n; i++) {
        struct route_topic *t = b->topics.p[i];
        struct topic_queues *q = &t->queues[queue_place(t, b)].q;
        int32_t perm = (q->perm & keep) | add;
        if (perm != q->perm) {
            q->perm = perm;
            route_topics_stale(r, t);
        }
    }
    return b->topics.n;
}

enum { WRITE = 2, READ_WRITE = 6 };
size_t routes_wipe_write(struct routes *r, struct slice broker) { return change_perm(r, broker, ~WRITE, 0); }
size_t routes_add_write(struct routes *r, struct slice broker) { return change_perm(r, broker, 0, READ_WRITE); }

void route_topics_free(struct routes *r)
{
    for (struct hash_node *it = hashmap_first(&r->topics), *next; it; it = next) {
        next = hashmap_next(&r->topics, it);
        topic_drop(r, CONTAINER_OF(it, struct route_topic, node));
    }
    for (struct hash_node *it = hashmap_first(&r->brokers); it; it = hashmap_next(&r->brokers, it))
        CONTAINER_OF(it, struct route_broker, node)->topics.n = 0;
}

void routes_stats(const struct routes *r, struct routes_stats *out)
{
    *out = (struct routes_stats){.clusters = r->clusters.n, .brokers = r->brokers.n, .addresses = r->lives.n, .topics = r->topics.n,
                                 .queues = r->n_queues, .cached = r->cached, .cached_bytes = r->cached_bytes, .encoded = r->encoded};
}
