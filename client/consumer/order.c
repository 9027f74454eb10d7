/* order.c - consuming a queue in order: one message after the other, by one thread of one member of the group.
 *
 *   held --41--> locked --> first offset, pulls (pull.c) --> one batch out at a time --success--> the next
 *     ^            | 41 again each 20 s                            `--later--> back to its place, the queue rests --> the same again
 *     `--refused---'                                               `--too often--> sent to the dead letters; the queue waits for that
 *
 *   I1  a batch is given out only while the broker's lock is ours: for 30 s after the request that it granted was sent, by our monotonic
 *       clock. The broker frees a lock later than that, so no two members have one queue.             (test: compat/libcmq, order)
 *   I2  one batch of a queue is out at a time; what is put back stands before all others.            (test: the same)
 *   I3  whoever gets a lock asks the broker for the group's offset then, not before: the owner before us may have moved it. That holds
 *       for us, too, when the lock was lost in between: what is here by then is thrown away.
 *   I4  a queue that goes to another member is given up when its callback has ended: its progress is told, then the lock goes.
 * Broadcasting members and queues assigned by hand share with nobody: they need no locks, and the rest holds. */
#include <stdio.h>
#include <string.h>

#include "client/consumer/consumer_internal.h"
#include "client/core/error.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/protocol/codes.h"
#include "common/protocol/queue_json.h"

enum { LOCK_EVERY_MS = 20000, LOCK_SOON_MS = 1000, LOCK_WITHIN_MS = 1000 };

bool order_needs_locks(const struct cmq_consumer *c) { return c->orderly && !c->broadcasting && !c->by_hand; }

static bool lock_is_ours(const struct held_queue *q) { return q->locked && clock_mono_ms() < q->believed_ms; }

bool order_may_deliver(const struct held_queue *q)
{
    const struct cmq_consumer *c = q->consumer;
    if (!c->orderly)
        return true;
    return q->out == 0 && !q->suspended && !q->leaving && (!order_needs_locks(c) || lock_is_ours(q));
}

/* ---- locks: network thread ---- */

struct lock_call {
    struct cmq_consumer *consumer;
    int64_t sent_ms;
    size_t n;
    struct held_queue *q[];
};

static void write_request(struct buf *body, const struct cmq_consumer *c, struct held_queue *const *q, size_t n)
{
    struct jw w = jw_over(body, false);
    jw_object(&w);
    jw_kv_str(&w, "clientId", slice_str(client_id(c->client)));
    jw_kv_str(&w, "consumerGroup", slice_str(c->cfg->consumer_group));
    jw_key(&w, "mqSet");
    jw_array(&w);
    for (size_t i = 0; i < n; i++)
        queue_json(&w, slice_str(q[i]->queue.broker_name), slice_str(q[i]->queue.topic), q[i]->queue.queue_id);
    jw_end_array(&w);
    jw_end_object(&w);
}

static bool was_granted(const json_t *set, const struct held_queue *q)
{
    size_t i;
    json_t *one;
    json_array_foreach(set, i, one)
        if (slice_is(json_str(one, "brokerName"), q->queue.broker_name) && slice_is(json_str(one, "topic"), q->queue.topic) &&
            json_i64(one, "queueId", -1) == q->queue.queue_id)
            return true;
    return false;
}

static void granted(struct held_queue *q, int64_t sent_ms)
{
    struct cmq_consumer *c = q->consumer;
    pthread_mutex_lock(&c->lock);
    bool goes_on = lock_is_ours(q);
    q->locked = true;
    q->believed_ms = sent_ms + LOCK_BELIEVED_MS;
    if (goes_on)
        deliver_ready(c, q);
    pthread_mutex_unlock(&c->lock);
    if (goes_on) {
        deliver_wake(c);
        return;
    }
    log_info("consumer", "queue is locked for us topic=%s broker=%s queue=%d", q->queue.topic, q->queue.broker_name, (int)q->queue.queue_id);
    if (q->was_locked)
        queue_restart(q); /* somebody else may have had it */
    q->was_locked = true;
    queue_begin(q);
}

static void ask_soon(struct cmq_consumer *c)
{
    if (!c->ended && !atomic_load(&c->stopping) && !heap_has(&c->lock_soon_timer.node))
        loop_timer_start(&c->lock_soon_timer, LOCK_SOON_MS, 0);
}

static void refused(struct held_queue *q)
{
    struct cmq_consumer *c = q->consumer;
    pthread_mutex_lock(&c->lock);
    bool had = q->locked;
    q->locked = false;
    pthread_mutex_unlock(&c->lock);
    if (had) {
        log_warn("consumer", "queue's lock is lost topic=%s broker=%s queue=%d", q->queue.topic, q->queue.broker_name, (int)q->queue.queue_id);
        queue_restart(q);
    }
    ask_soon(c);
}

static void on_locks(void *arg, enum mq_err failed, const struct command *answer, const struct fault *why)
{
    struct lock_call *call = arg;
    struct cmq_consumer *c = call->consumer;
    bool heard = failed == MQ_OK && answer->code == RES_SUCCESS;
    char text[240];
    json_t *root = heard ? json_parse(answer->body, NULL) : NULL;
    const json_t *set = json_object_get(root, "lockOKMQSet");
    if (!heard)
        log_info("consumer", "locks not answered queues=%zu code=%d: %s", call->n, failed == MQ_OK ? (int)answer->code : -1,
                 failed == MQ_OK ? "" : fault_text(why, text, sizeof text));
    for (size_t i = 0; i < call->n; i++) {
        struct held_queue *q = call->q[i];
        if (!q->dropped && !c->ended && !atomic_load(&c->stopping)) {
            if (heard && was_granted(set, q))
                granted(q, call->sent_ms);
            else if (heard || !lock_is_ours(q))
                refused(q); /* no answer is no loss: we believe as long as we may */
            else
                ask_soon(c);
        }
        queue_unref(q);
    }
    json_decref(root);
    mem_free(call);
}

/* All queues of first's broker that this round has not asked for yet. */
static void lock_broker(struct held_queue *first, bool only_new)
{
    struct cmq_consumer *c = first->consumer;
    struct lock_call *call = mem_alloc(sizeof *call + c->n_queues * sizeof *call->q);
    char addr[ADDR_MAX];
    struct buf body = {0};
    if (call == NULL)
        return;
    *call = (struct lock_call){.consumer = c, .sent_ms = clock_mono_ms()};
    LIST_EACH(it, &c->queues)
    {
        struct held_queue *q = CONTAINER_OF(it, struct held_queue, node);
        if (strcmp(q->queue.broker_name, first->queue.broker_name) != 0 || (only_new && q->locked) || q->lock_round == c->lock_round)
            continue;
        q->lock_round = c->lock_round;
        queue_ref(q);
        call->q[call->n++] = q;
    }
    write_request(&body, c, call->q, call->n);
    struct command cmd = client_command(c->client, REQ_LOCK_BATCH_MQ, NULL, 0);
    cmd.body = buf_view(&body);
    enum mq_err failed = MQ_EIO;
    if (!body.failed && client_broker_addr(c->client, first->queue.broker_name, 0, true, addr))
        failed = caller_call(client_caller(c->client), addr, &cmd, LOCK_WITHIN_MS, on_locks, call);
    buf_free(&body);
    if (failed != MQ_OK)
        on_locks(call, failed, NULL, NULL);
}

static void lock_round(struct cmq_consumer *c, bool only_new)
{
    if (!order_needs_locks(c) || c->ended || atomic_load(&c->stopping))
        return;
    c->lock_round++;
    LIST_EACH(it, &c->queues)
    {
        struct held_queue *q = CONTAINER_OF(it, struct held_queue, node);
        if (q->lock_round != c->lock_round && !(only_new && q->locked))
            lock_broker(q, only_new);
    }
}

static void on_lock_timer(void *arg) { lock_round(arg, false); }
void order_lock_new(struct cmq_consumer *c) { lock_round(c, true); }

static void unlock(struct cmq_consumer *c, struct held_queue *q)
{
    char addr[ADDR_MAX];
    struct buf body = {0};
    write_request(&body, c, &q, 1);
    struct command cmd = client_command(c->client, REQ_UNLOCK_BATCH_MQ, NULL, 0);
    cmd.flag = COMMAND_ONEWAY;
    cmd.body = buf_view(&body);
    if (!body.failed && !c->ended && client_broker_addr(c->client, q->queue.broker_name, 0, true, addr))
        caller_oneway(client_caller(c->client), addr, &cmd); /* if it is lost, the lock ends by itself */
    buf_free(&body);
}

/* ---- giving queues up: network thread ---- */

static void on_told(void *arg, const struct cmq_error *err)
{
    struct held_queue *q = arg;
    (void)err;
    unlock(q->consumer, q);
    queue_unref(q);
}

static void give_up_now(struct held_queue *q)
{
    struct cmq_consumer *c = q->consumer;
    if (order_needs_locks(c) && q->locked) {
        queue_ref(q);
        offsets_report(c, q, on_told, q);
        queue_drop(q, false);
    } else {
        queue_drop(q, true);
    }
}

void order_give_up(struct held_queue *q)
{
    struct cmq_consumer *c = q->consumer;
    if (!c->orderly) {
        queue_drop(q, true);
        return;
    }
    q->epoch++;
    q->pulling = false;
    q->sub = NULL;
    pthread_mutex_lock(&c->lock);
    q->leaving = true;
    deliver_forget(c, q);
    bool busy = q->out > 0;
    pthread_mutex_unlock(&c->lock);
    if (!busy)
        give_up_now(q);
}

void order_unlock_all(struct cmq_consumer *c)
{
    if (!order_needs_locks(c))
        return;
    LIST_EACH(it, &c->queues)
    {
        struct held_queue *q = CONTAINER_OF(it, struct held_queue, node);
        pthread_mutex_lock(&c->lock);
        bool idle = q->locked && q->out == 0;
        pthread_mutex_unlock(&c->lock);
        if (idle)
            unlock(c, q);
    }
}

/* ---- what callbacks said: any thread ---- */

static void ask_network(struct cmq_consumer *c)
{
    if (!atomic_exchange(&c->order_posted, true))
        loop_post(client_loop(c->client), &c->order_msg);
}

/* One less is out. */
static void returned(struct held_queue *q)
{
    struct cmq_consumer *c = q->consumer;
    if (q->out == 0 || --q->out > 0)
        return;
    if (q->leaving || q->suspend_asked)
        ask_network(c);
    else
        deliver_ready(c, q);
}

void order_came_back(struct held_queue *q)
{
    if (!q->consumer->orderly)
        return;
    returned(q);
    pthread_cond_signal(&q->consumer->more);
}

static void rest(struct held_queue *q)
{
    q->suspended = q->suspend_asked = true;
}

void order_again(struct cmq_consumer *c, struct batch *b)
{
    int32_t max = c->cfg->max_reconsume;
    size_t kept = 0;
    for (size_t i = b->n; i > 0; i--) { /* from the last: each goes before the ones behind it */
        struct cmq_message *m = b->m[i - 1];
        if ((max >= 0 && m->reconsume_times >= max) || order_is_lost(m)) /* it is to die; or it is another member's by now */
            continue;
        m->reconsume_times++;
        c->stats.failed++;
        rest(b->q);
        window_put_back(&b->q->window, m);
        b->m[i - 1] = NULL;
        returned(b->q);
    }
    for (size_t i = 0; i < b->n; i++)
        if (b->m[i] != NULL)
            b->m[kept++] = b->m[i];
    b->n = kept;
}

void order_return(struct cmq_consumer *c, struct cmq_message *m)
{
    struct held_queue *q = m->window.queue;
    pthread_mutex_lock(&c->lock);
    bool lost = order_is_lost(m);
    if (!lost) {
        rest(q);
        window_put_back(&q->window, m);
        returned(q);
    }
    pthread_mutex_unlock(&c->lock);
    if (lost)
        deliver_done(c, m);
}

/* ---- their consequences: network thread ---- */

static void on_rested(void *arg)
{
    struct held_queue *q = arg;
    struct cmq_consumer *c = q->consumer;
    pthread_mutex_lock(&c->lock);
    q->suspended = false;
    deliver_ready(c, q);
    pthread_mutex_unlock(&c->lock);
    deliver_wake(c);
}

void order_run(struct loop_msg *msg)
{
    struct cmq_consumer *c = CONTAINER_OF(msg, struct cmq_consumer, order_msg);
    bool gone = false;
    atomic_store(&c->order_posted, false);
    LIST_EACH(it, &c->queues)
    {
        struct held_queue *q = CONTAINER_OF(it, struct held_queue, node);
        pthread_mutex_lock(&c->lock);
        bool leaves = q->leaving && q->out == 0, rests = q->suspend_asked;
        q->suspend_asked = false;
        pthread_mutex_unlock(&c->lock);
        if (leaves) {
            give_up_now(q);
            gone = true;
        } else if (rests && !c->ended) {
            loop_timer_start(&q->suspend_timer, c->cfg->suspend_ms, 0);
        }
    }
    if (gone)
        rebalance_soon(c, 0); /* it may have become ours again meanwhile */
}

/* ---- timers ---- */

void order_init_queue(struct held_queue *q) { loop_timer_init(&q->suspend_timer, client_loop(q->consumer->client), on_rested, q); }

void order_begin(struct cmq_consumer *c)
{
    loop_timer_init(&c->lock_timer, client_loop(c->client), on_lock_timer, c);
    loop_timer_init(&c->lock_soon_timer, client_loop(c->client), on_lock_timer, c);
}

void order_start(struct cmq_consumer *c)
{
    if (order_needs_locks(c))
        loop_timer_start(&c->lock_timer, LOCK_EVERY_MS, LOCK_EVERY_MS);
}

void order_end(struct cmq_consumer *c)
{
    loop_timer_stop(&c->lock_timer);
    loop_timer_stop(&c->lock_soon_timer);
}
