/* pull.c - a held queue: its first offset, then one pull after the other, each waiting at the broker until there is something.
 *
 *   hold --> broker's address --> first offset --> pull --answer--> window --> pull ...
 *                ^ again in 1 s       ^ 1 s           `--window full--> paused --> room again --> pull
 *   I1  at most one pull of the present epoch is under way per queue; a seek begins a new epoch.
 *   I2  what is in a window is in order of offsets, without doubles.                   (test: integration/client) */
#include <stdio.h>
#include <string.h>

#include "client/consumer/consumer_internal.h"
#include "client/core/error.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/protocol/codes.h"

enum { SUSPEND_MS = 15000, PULL_MS = 30000, RETRY_MS = 1000, ERROR_MS = 3000, BODY_INFLATED_MAX = 64 << 20 };

struct pull {
    struct held_queue *q;
    uint32_t epoch;
    int64_t from;
};

void queue_ref(struct held_queue *q) { atomic_fetch_add_explicit(&q->refs, 1, memory_order_relaxed); }

void queue_unref(struct held_queue *q)
{
    if (atomic_fetch_sub_explicit(&q->refs, 1, memory_order_acq_rel) == 1)
        mem_free(q);
}

static void on_timer(void *arg) { queue_begin(arg); }
static void on_route(struct route_want *w, struct route *r, const struct cmq_error *err);

struct held_queue *queue_find(struct cmq_consumer *c, const struct cmq_queue *q)
{
    LIST_EACH(it, &c->queues)
        if (queue_eq(&CONTAINER_OF(it, struct held_queue, node)->queue, q))
            return CONTAINER_OF(it, struct held_queue, node);
    return NULL;
}

static bool take_seek(struct cmq_consumer *c, const struct cmq_queue *q, int64_t *queue_off)
{
    LIST_EACH(it, &c->seeks)
    {
        struct seek *s = CONTAINER_OF(it, struct seek, node);
        if (!queue_eq(&s->queue, q))
            continue;
        *queue_off = s->queue_off;
        list_remove(it);
        c->n_seeks--;
        mem_free(s);
        return true;
    }
    return false;
}

struct held_queue *queue_hold(struct cmq_consumer *c, const struct cmq_queue *queue, const struct topic_filter *sub)
{
    size_t topic_n = strlen(queue->topic) + 1, broker_n = strlen(queue->broker_name) + 1;
    struct held_queue *q = mem_zalloc(sizeof *q + topic_n + broker_n);
    if (q == NULL)
        return NULL;
    atomic_init(&q->refs, 1);
    q->consumer = c;
    q->queue = (struct cmq_queue){memcpy(q->text, queue->topic, topic_n), memcpy(q->text + topic_n, queue->broker_name, broker_n), queue->queue_id};
    q->committed = -1;
    q->sub = sub;
    q->want.fn = on_route;
    list_init(&q->ready);
    loop_timer_init(&q->timer, client_loop(c->client), on_timer, q);
    order_init_queue(q);
    window_init(&q->window, (size_t)c->cfg->threshold_messages, (size_t)c->cfg->threshold_mib << 20);
    int64_t sought;
    if (take_seek(c, queue, &sought)) {
        q->started = true;
        q->next_off = sought;
        q->window.end = sought;
    }
    pthread_mutex_lock(&c->lock);
    list_push_back(&c->queues, &q->node);
    c->n_queues++;
    pthread_mutex_unlock(&c->lock);
    queue_begin(q);
    return q;
}

void messages_free(struct list *nodes)
{
    LIST_EACH(it, nodes)
    {
        struct cmq_message *m = CONTAINER_OF(it, struct cmq_message, window.node);
        list_remove(it);
        if (m->window.queue != NULL)
            queue_unref(m->window.queue);
        cmq_message_free(m);
    }
}

/* Throws away what waits here and forgets what was taken. */
static void forget(struct held_queue *q, int64_t end, bool dropped)
{
    struct cmq_consumer *c = q->consumer;
    struct list gone;
    list_init(&gone);
    pthread_mutex_lock(&c->lock);
    c->stats.waiting_messages -= q->window.n;
    c->stats.waiting_bytes -= q->window.bytes;
    window_reset(&q->window, end, &gone);
    deliver_forget(c, q);
    q->paused = false;
    q->dropped = dropped;
    pthread_mutex_unlock(&c->lock);
    messages_free(&gone);
}

void queue_drop(struct held_queue *q, bool report)
{
    struct cmq_consumer *c = q->consumer;
    if (report)
        offsets_report(c, q, NULL, NULL);
    q->epoch++;
    q->sub = NULL;
    loop_timer_stop(&q->timer);
    loop_timer_stop(&q->suspend_timer);
    client_route_drop(&q->want);
    pthread_mutex_lock(&c->lock);
    list_remove(&q->node);
    c->n_queues--;
    pthread_mutex_unlock(&c->lock);
    forget(q, -1, true);
    queue_unref(q);
}

void queue_restart(struct held_queue *q)
{
    q->epoch++;
    q->started = q->pulling = false;
    q->committed = -1;
    loop_timer_stop(&q->timer);
    client_route_drop(&q->want);
    forget(q, -1, false);
}

void queue_seek(struct held_queue *q, int64_t queue_off)
{
    q->epoch++;
    q->started = true;
    q->pulling = false;
    q->next_off = queue_off;
    q->committed = -1; /* it may go back */
    forget(q, queue_off, false);
    queue_begin(q);
}

static void later(struct held_queue *q, int64_t ms)
{
    if (!q->dropped && !q->consumer->ended)
        loop_timer_start(&q->timer, ms, 0);
}

static void on_offset(struct held_queue *q, uint32_t epoch, int64_t queue_off)
{
    if (epoch != q->epoch || q->dropped || atomic_load(&q->consumer->stopping))
        return;
    q->pulling = false;
    if (queue_off < 0) {
        client_route_refresh(q->consumer->client, q->queue.topic);
        later(q, RETRY_MS);
        return;
    }
    q->started = true;
    q->next_off = queue_off;
    pthread_mutex_lock(&q->consumer->lock);
    q->window.end = queue_off;
    pthread_mutex_unlock(&q->consumer->lock);
    pull_next(q);
}

static void on_route(struct route_want *w, struct route *r, const struct cmq_error *err)
{
    struct held_queue *q = CONTAINER_OF(w, struct held_queue, want);
    char addr[ADDR_MAX];
    (void)r;
    if (err != NULL || !client_broker_addr(q->consumer->client, q->queue.broker_name, -1, false, addr)) {
        if (err == NULL)
            client_route_refresh(q->consumer->client, q->queue.topic);
        later(q, RETRY_MS);
        return;
    }
    if (q->started) {
        pull_next(q);
        return;
    }
    q->pulling = true;
    offsets_find(q, on_offset);
}

void queue_begin(struct held_queue *q)
{
    struct cmq_consumer *c = q->consumer;
    if (q->dropped || q->pulling || q->want.pending || atomic_load(&c->stopping) || !atomic_load(&c->started) || q->leaving)
        return;
    if (order_needs_locks(c) && !q->locked)
        return; /* who had it until now may still move the group's offset */
    client_route_want(c->client, &q->want, q->queue.topic, false, c->cfg->api_timeout_ms); /* its broker's address may be unknown yet */
}

/* ---- pulling ---- */

static void on_pulled(void *arg, enum mq_err failed, const struct command *answer, const struct fault *why);

#define NUMBER(name, value) (snprintf(name, sizeof name, "%lld", (long long)(value)), slice_str(name))
void pull_next(struct held_queue *q)
{
    struct cmq_consumer *c = q->consumer;
    char addr[ADDR_MAX], id[16], from[24], max[16], flag[16], commit[24], version[24], suspend[16];
    if (q->dropped || q->pulling || !q->started || c->ended || atomic_load(&c->stopping))
        return;
    pthread_mutex_lock(&c->lock);
    q->paused = window_full(&q->window);
    bool paused = q->paused;
    int64_t progress = window_progress(&q->window);
    pthread_mutex_unlock(&c->lock);
    if (paused)
        return;
    if (!client_broker_addr(c->client, q->queue.broker_name, q->broker_id, false, addr)) {
        later(q, RETRY_MS);
        return;
    }
    struct pull *p = mem_alloc(sizeof *p);
    if (p == NULL) {
        later(q, RETRY_MS);
        return;
    }
    *p = (struct pull){.q = q, .epoch = q->epoch, .from = q->next_off};
    bool reports = !c->broadcasting && progress > 0 && q->broker_id == 0;
    const struct ext_field ext[] = {
        {SLICE_LIT("consumerGroup"), slice_str(c->cfg->consumer_group)},
        {SLICE_LIT("topic"), slice_str(q->queue.topic)},
        {SLICE_LIT("queueId"), NUMBER(id, q->queue.queue_id)},
        {SLICE_LIT("queueOffset"), NUMBER(from, q->next_off)},
        {SLICE_LIT("maxMsgNums"), NUMBER(max, c->cfg->pull_batch)},
        {SLICE_LIT("sysFlag"), NUMBER(flag, PULL_SUSPEND | PULL_SUBSCRIPTION | (reports ? PULL_COMMIT_OFFSET : 0))},
        {SLICE_LIT("commitOffset"), NUMBER(commit, reports ? progress : 0)},
        {SLICE_LIT("suspendTimeoutMillis"), NUMBER(suspend, SUSPEND_MS)},
        {SLICE_LIT("subscription"), slice_str(q->sub ? q->sub->expression : "*")},
        {SLICE_LIT("subVersion"), NUMBER(version, q->sub ? q->sub->version : 0)},
        {SLICE_LIT("expressionType"), slice_str(q->sub ? topic_filter_type(q->sub) : "TAG")},
    };
    struct command cmd = client_command(c->client, REQ_PULL_MESSAGE, ext, sizeof ext / sizeof *ext);
    q->pulling = true;
    queue_ref(q);
    enum mq_err failed = caller_call(client_caller(c->client), addr, &cmd, PULL_MS, on_pulled, p);
    if (failed != MQ_OK)
        on_pulled(p, failed, NULL, NULL);
}
#undef NUMBER

/* A message of a retry topic goes to the callback under the topic it came from. */
static bool name_again(struct cmq_message *m)
{
    const char *origin = cmq_message_property(m, PROP_RETRY_TOPIC);
    if (origin == NULL)
        return true;
    m->topic_again = mem_strdup(origin);
    if (m->topic_again != NULL)
        m->topic = m->topic_again;
    return m->topic_again != NULL;
}

/* Decodes a pull's body into `to`. False: out of memory or malformed; what was decoded is in `to`. */
static bool decode(const struct held_queue *q, struct slice body, int64_t from, struct list *to)
{
    bool retry = strcmp(q->queue.topic, q->consumer->retry_topic) == 0;
    while (body.n > 0) {
        struct message record;
        bool bad;
        if (message_decode(body, true, &record) != MQ_OK || record.size == 0 || record.size > body.n)
            return false;
        body = slice_from(body, record.size);
        if (record.queue_off < from)
            continue; /* a double */
        struct cmq_message *m = message_received(&record, q->queue.broker_name, BODY_INFLATED_MAX, &bad);
        if (bad) {
            log_warn("consumer", "message passed over: its body does not inflate topic=%s queue=%d offset=%lld", q->queue.topic,
                     (int)q->queue.queue_id, (long long)record.queue_off);
            continue;
        }
        if (m == NULL)
            return false;
        if (q->sub != NULL && !topic_filter_wants(q->sub, cmq_message_tag(m))) {
            cmq_message_free(m); /* another tag with the same hash */
            continue;
        }
        list_push_back(to, &m->window.node);
        from = record.queue_off + 1;
        if (retry && !name_again(m))
            return false;
    }
    return true;
}

static void take_in(struct held_queue *q, struct list *messages, int64_t next_off)
{
    struct cmq_consumer *c = q->consumer;
    pthread_mutex_lock(&c->lock);
    bool any = !list_empty(messages);
    LIST_EACH(it, messages)
    {
        struct cmq_message *m = CONTAINER_OF(it, struct cmq_message, window.node);
        list_remove(it);
        window_add(&q->window, m);
        m->window.queue = q;
        queue_ref(q);
        c->stats.received++;
        c->stats.bytes += m->body_n;
        c->stats.waiting_messages++;
        c->stats.waiting_bytes += m->body_n;
    }
    if (next_off > q->window.end)
        q->window.end = next_off;
    q->next_off = q->window.end;
    if (any) {
        q->pulled_ms = clock_wall_ms();
        deliver_ready(c, q);
    }
    pthread_mutex_unlock(&c->lock);
    if (any)
        deliver_wake(c);
}

static void offset_moved(struct held_queue *q, int64_t from, int64_t to)
{
    log_warn("consumer", "offset is outside of the queue topic=%s broker=%s queue=%d offset=%lld next=%lld", q->queue.topic, q->queue.broker_name,
             (int)q->queue.queue_id, (long long)from, (long long)to);
    q->next_off = to;
    q->epoch++;
    forget(q, to, false);
    if (to == from)
        later(q, ERROR_MS);
    else
        pull_next(q);
}

static void on_answer(struct held_queue *q, const struct pull *p, const struct command *a)
{
    struct fields f = fields_of(a);
    int64_t next = field_i64_or(&f, "nextBeginOffset", -1), broker_id = field_i64_or(&f, "suggestWhichBrokerId", 0);
    struct list messages;
    list_init(&messages);
    switch (a->code) {
    case RES_SUCCESS:
    case RES_PULL_NOT_FOUND:
    case RES_PULL_RETRY_IMMEDIATELY:
        q->broker_id = broker_id;
        if (f.bad[0] || next < 0 || (a->code == RES_SUCCESS && !decode(q, a->body, p->from, &messages))) {
            log_warn("consumer", "answer to a pull does not decode topic=%s broker=%s queue=%d %s", q->queue.topic, q->queue.broker_name,
                     (int)q->queue.queue_id, f.bad);
            messages_free(&messages);
            later(q, ERROR_MS);
            return;
        }
        take_in(q, &messages, next);
        pull_next(q);
        return;
    case RES_PULL_OFFSET_MOVED:
        if (next >= 0) {
            offset_moved(q, p->from, next);
            return;
        }
        break;
    default: break;
    }
    q->broker_id = 0;
    log_info("consumer", "pull refused topic=%s broker=%s queue=%d code=%d remark=%.*s", q->queue.topic, q->queue.broker_name, (int)q->queue.queue_id,
             (int)a->code, SLICE_ARG(a->remark));
    later(q, a->code == RES_FLOW_CONTROL || a->code == RES_SYSTEM_BUSY ? 20 : ERROR_MS);
}

static void on_pulled(void *arg, enum mq_err failed, const struct command *answer, const struct fault *why)
{
    struct pull *p = arg;
    struct held_queue *q = p->q;
    char text[240];
    if (p->epoch == q->epoch && !q->dropped && !atomic_load(&q->consumer->stopping)) {
        q->pulling = false;
        if (failed == MQ_OK) {
            on_answer(q, p, answer);
        } else if (!q->consumer->ended) {
            log_info("consumer", "pull failed topic=%s broker=%s queue=%d: %s", q->queue.topic, q->queue.broker_name, (int)q->queue.queue_id,
                     fault_text(why, text, sizeof text));
            q->broker_id = 0;
            client_route_refresh(q->consumer->client, q->queue.topic);
            later(q, RETRY_MS);
        }
    }
    mem_free(p);
    queue_unref(q);
}

void pull_resume(struct loop_msg *msg)
{
    struct cmq_consumer *c = CONTAINER_OF(msg, struct cmq_consumer, resume_msg);
    atomic_store(&c->resume_posted, false);
    LIST_EACH(it, &c->queues)
    {
        struct held_queue *q = CONTAINER_OF(it, struct held_queue, node);
        if (q->paused) /* written by this thread and under lock; pull_next() looks again */
            pull_next(q);
    }
}
