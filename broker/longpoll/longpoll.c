/* longpoll.c - parked pulls, and who wakes them.
 *
 *   queue (topic, id) -> pulls in the order of parking        an arrival looks here, and nowhere else
 *   connection id     -> its pulls                            a closed connection drops them
 *   deadline heap     -> all pulls                            the earliest is at hand
 *   ready list        -> those that an arrival interests      woken by longpoll_run_arrivals(), in order of readiness
 *
 *   I1  a parked pull is in its queue's list or in the ready list, in its connection's list and in the heap.
 *   I2  a pull is told exactly once: woken or dropped; then it is no longer here.  (test: unit/longpoll)
 *   I3  an arrival on a queue where nobody waits costs one look at a counter when nobody waits at all, else one look-up.
 * Waking runs other code, which may park again, close connections or free: each loop takes its pull off before it calls. */
#include "broker/longpoll/longpoll.h"
#include <string.h>
#include "common/base/hashmap.h"
#include "common/base/heap.h"
#include "common/base/list.h"
#include "common/base/mem.h"
#include "common/protocol/message.h"

enum { KEY_MAX = MESSAGE_TOPIC_MAX + 4 };

struct wait_queue {
    struct hash_node node; /* key = topic, then the queue id's four bytes */
    struct list parked;
    uint8_t key[];
};
struct wait_conn {
    struct hash_node node; /* key = id */
    struct list parked;
    uint64_t id;
};
struct parked {
    struct list in_queue; /* or in the ready list */
    struct list in_conn;
    struct heap_node deadline;
    struct wait_queue *queue;
    struct wait_conn *conn;
    int64_t from_off;
    void *pull;
};
struct longpoll {
    struct longpoll_config cfg;
    struct hashmap queues, conns;
    struct heap deadlines;
    struct list ready;
    struct list spare; /* parked nodes to use again: parking is as frequent as pulling */
    size_t n, n_spare;
};
enum { SPARE_MAX = 1024 };

static struct slice key_of(struct slice topic, int32_t queue_id, uint8_t out[KEY_MAX])
{
    size_t n = topic.n < MESSAGE_TOPIC_MAX ? topic.n : MESSAGE_TOPIC_MAX;
    if (n)
        memcpy(out, topic.p, n);
    memcpy(out + n, &queue_id, 4);
    return slice_make(out, n + 4);
}

static struct wait_queue *queue_find(const struct longpoll *lp, struct slice topic, int32_t queue_id)
{
    uint8_t key[KEY_MAX];
    struct hash_node *n = hashmap_get(&lp->queues, key_of(topic, queue_id, key));
    return n ? CONTAINER_OF(n, struct wait_queue, node) : NULL;
}

static struct wait_queue *queue_of(struct longpoll *lp, struct slice topic, int32_t queue_id)
{
    uint8_t key[KEY_MAX];
    struct slice k = key_of(topic, queue_id, key);
    struct hash_node *n = hashmap_get(&lp->queues, k);
    if (n)
        return CONTAINER_OF(n, struct wait_queue, node);
    struct wait_queue *q = mem_zalloc(sizeof *q + k.n);
    if (q == NULL)
        return NULL;
    memcpy(q->key, k.p, k.n);
    list_init(&q->parked);
    if (!hashmap_add(&lp->queues, &q->node, slice_make(q->key, k.n))) {
        mem_free(q);
        return NULL;
    }
    return q;
}

static struct wait_conn *conn_find(const struct longpoll *lp, uint64_t id)
{
    struct hash_node *n = hashmap_get(&lp->conns, slice_make(&id, sizeof id));
    return n ? CONTAINER_OF(n, struct wait_conn, node) : NULL;
}

static struct wait_conn *conn_of(struct longpoll *lp, uint64_t id)
{
    struct wait_conn *c = conn_find(lp, id);
    if (c)
        return c;
    c = mem_zalloc(sizeof *c);
    if (c == NULL)
        return NULL;
    c->id = id;
    list_init(&c->parked);
    if (!hashmap_add(&lp->conns, &c->node, slice_make(&c->id, sizeof c->id))) {
        mem_free(c);
        return NULL;
    }
    return c;
}

/* Queues and connections where nobody waits any more are forgotten: topics come and go. */
static void forget_if_empty(struct longpoll *lp, struct wait_queue *q, struct wait_conn *c)
{
    if (q && list_empty(&q->parked)) {
        hashmap_remove(&lp->queues, &q->node);
        mem_free(q);
    }
    if (c && list_empty(&c->parked)) {
        hashmap_remove(&lp->conns, &c->node);
        mem_free(c);
    }
}

enum mq_err longpoll_new(const struct longpoll_config *cfg, struct longpoll **out)
{
    struct longpoll *lp = mem_zalloc(sizeof *lp);
    if (lp == NULL)
        return MQ_ENOMEM;
    lp->cfg = *cfg;
    list_init(&lp->ready);
    list_init(&lp->spare);
    *out = lp;
    return MQ_OK;
}

static struct parked *node_new(struct longpoll *lp)
{
    if (list_empty(&lp->spare))
        return mem_zalloc(sizeof(struct parked));
    struct parked *p = CONTAINER_OF(lp->spare.next, struct parked, in_queue);
    list_remove(&p->in_queue);
    lp->n_spare--;
    *p = (struct parked){0};
    return p;
}

static void node_free(struct longpoll *lp, struct parked *p)
{
    if (lp->n_spare >= SPARE_MAX) {
        mem_free(p);
        return;
    }
    list_push_back(&lp->spare, &p->in_queue);
    lp->n_spare++;
}

/* Takes p out of everything; gives its pull back. A ready one left its queue (queue == NULL) when it became ready. */
static void *unpark(struct longpoll *lp, struct parked *p)
{
    void *pull = p->pull;
    list_remove(&p->in_queue);
    list_remove(&p->in_conn);
    heap_remove(&lp->deadlines, &p->deadline);
    forget_if_empty(lp, p->queue, p->conn);
    node_free(lp, p);
    lp->n--;
    return pull;
}

void longpoll_free(struct longpoll *lp)
{
    if (lp == NULL)
        return;
    while (heap_first(&lp->deadlines))
        lp->cfg.drop(lp->cfg.ctx, unpark(lp, CONTAINER_OF(heap_first(&lp->deadlines), struct parked, deadline)));
    LIST_EACH (it, &lp->spare)
        mem_free(CONTAINER_OF(it, struct parked, in_queue));
    hashmap_fini(&lp->queues);
    hashmap_fini(&lp->conns);
    heap_fini(&lp->deadlines);
    mem_free(lp);
}

enum mq_err longpoll_park(struct longpoll *lp, struct slice topic, int32_t queue_id, int64_t from_off, uint64_t conn_id, int64_t deadline_ms, void *pull)
{
    struct wait_queue *q = queue_of(lp, topic, queue_id);
    struct wait_conn *c = conn_of(lp, conn_id);
    struct parked *p = q && c ? node_new(lp) : NULL;
    if (p == NULL || !heap_add(&lp->deadlines, &p->deadline, deadline_ms)) {
        if (p)
            node_free(lp, p);
        forget_if_empty(lp, q, c);
        return MQ_ENOMEM;
    }
    p->queue = q;
    p->conn = c;
    p->from_off = from_off;
    p->pull = pull;
    list_push_back(&q->parked, &p->in_queue);
    list_push_back(&c->parked, &p->in_conn);
    lp->n++;
    return MQ_OK;
}

static void make_ready(struct longpoll *lp, struct parked *p)
{
    list_remove(&p->in_queue);
    list_push_back(&lp->ready, &p->in_queue);
    p->queue = NULL;
}

void longpoll_arrived(struct longpoll *lp, struct slice topic, int32_t queue_id, int64_t queue_off, int64_t tags_code, struct slice properties)
{
    if (lp->n == 0)
        return;
    struct wait_queue *q = queue_find(lp, topic, queue_id);
    if (q == NULL)
        return;
    LIST_EACH (it, &q->parked) {
        struct parked *p = CONTAINER_OF(it, struct parked, in_queue);
        if (queue_off >= p->from_off && lp->cfg.match(lp->cfg.ctx, p->pull, tags_code, properties))
            make_ready(lp, p);
    }
    forget_if_empty(lp, q, NULL);
}

void longpoll_run_arrivals(struct longpoll *lp)
{
    struct list now; /* what becomes ready meanwhile waits for the next turn */
    list_init(&now);
    list_splice(&now, &lp->ready);
    while (!list_empty(&now)) {
        void *pull = unpark(lp, CONTAINER_OF(now.next, struct parked, in_queue));
        lp->cfg.wake(lp->cfg.ctx, pull, LONGPOLL_ARRIVAL);
    }
}

int64_t longpoll_run_deadlines(struct longpoll *lp, int64_t mono_ms)
{
    struct heap_node *first;
    while ((first = heap_first(&lp->deadlines)) != NULL && first->due <= mono_ms) {
        void *pull = unpark(lp, CONTAINER_OF(first, struct parked, deadline));
        lp->cfg.wake(lp->cfg.ctx, pull, LONGPOLL_DEADLINE);
    }
    return first ? first->due : INT64_MAX;
}

void longpoll_conn_closed(struct longpoll *lp, uint64_t conn_id)
{
    struct wait_conn *c;
    while ((c = conn_find(lp, conn_id)) != NULL)
        lp->cfg.drop(lp->cfg.ctx, unpark(lp, CONTAINER_OF(c->parked.next, struct parked, in_conn)));
}

void longpoll_group_changed(struct longpoll *lp, struct slice topic)
{
    struct hash_node *next;
    for (struct hash_node *n = hashmap_first(&lp->queues); n; n = next) {
        next = hashmap_next(&lp->queues, n);
        struct wait_queue *q = CONTAINER_OF(n, struct wait_queue, node);
        if (!slice_eq(slice_head(n->key, n->key.n - 4), topic))
            continue;
        LIST_EACH (it, &q->parked)
            make_ready(lp, CONTAINER_OF(it, struct parked, in_queue));
        forget_if_empty(lp, q, NULL);
    }
}

size_t longpoll_count(const struct longpoll *lp) { return lp->n; }
