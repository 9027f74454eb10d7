/* send_message.c - a message, or a batch of them, into the store: 10, 310, 320.
 *
 * The order of the checks is Apache's (inventory g.3), because a client acts on the first code it sees. An answer of SUCCESS
 * leaves only when the record is in the log's file, or on its medium: the processor leaves a waiter in the ack queue and is done.
 *   I1  no SEND_OK before the turn's write succeeded.                  (test: unit/processor/send)
 *   I2  a send that must wait is taken before any later one of its connection.   (test: unit/processor/send, unit/remoting/wait)
 * Nothing is allocated per message: properties are rebuilt in the request's arena, the waiter is a place in a ring. */
#include <stdio.h>
#include <string.h>
#include "broker/ack/ack_queue.h"
#include "broker/metadata/groups.h"
#include "broker/metadata/topics.h"
#include "broker/processor/context.h"
#include "broker/processor/retry.h"
#include "broker/processor/send_header.h"
#include "broker/processor/send_message.h"
#include "broker/schedule/delay.h"
#include "broker/stats/stats.h"
#include "broker/store/message_store.h"
#include "broker/transaction/transactions.h"
#include "common/base/log.h"
#include "common/protocol/codes.h"

enum { PATIENCE_LEAST_MS = 2000 }; /* below the 3 s after which clients give up */

/* What the processor learns from a message's properties while it copies them. */
struct properties {
    struct slice text;     /* without WAIT, with CLUSTER */
    struct slice without_id; /* of a batch: the same without UNIQ_KEY */
    struct slice uniq_key;      /* as it came */
    struct known_props known, known_without_id; /* of text, of without_id */
    struct slice wait_text;       /* WAIT as it came; n == 0: it did not */
    int32_t delay;                /* level; <= 0: none */
    bool wait, transaction, bad_delay;
};
struct sending { /* one request on its way */
    struct broker_context *c;
    const struct request *rq;
    struct send_header h;
    struct slice topic;    /* where it goes: the header's, or a dead-letter topic */
    int32_t queue_id, sys_flag;
    struct properties props;
    bool dead;             /* buried: it does not wait any more */
    bool half;             /* of a transaction: it goes where only its producer's decision gets it out */
};

/* ---- properties ---- */
/* Pairs that lie side by side, with one separator between them, are copied as one run. */
static uint8_t *put_run(uint8_t *at, const uint8_t *start, struct slice run)
{
    if (run.n == 0)
        return at;
    if (at > start)
        *at++ = PROP_SEP_PAIR;
    memcpy(at, run.p, run.n);
    return at + run.n;
}

/* Pairs that Java would ignore are left out, so that the stored text means the same to every reader. keep_wait: a batch's. */
static bool properties_rebuild(struct sending *s, bool keep_wait)
{
    struct slice cluster = slice_str(s->c->config->cluster_name), rest = s->h.properties, name, value;
    struct properties *p = &s->props;
    struct slice run = {0};
    uint8_t *start = arena_alloc(s->rq->arena, rest.n + cluster.n + sizeof PROP_CLUSTER + 2), *at = start;
    if (start == NULL)
        return false;
    *p = (struct properties){.wait = true};
    while (prop_next(&rest, &name, &value)) {
        struct slice *known = NULL;
        switch (name.n) {
        case sizeof PROP_WAIT - 1: /* and KEYS and TAGS, which are as long */
            if (slice_is(name, PROP_TAGS)) {
                known = &p->known.tags;
            } else if (slice_is(name, PROP_KEYS)) {
                known = &p->known.keys;
            } else if (slice_is(name, PROP_WAIT)) {
                p->wait = slice_bool(value);
                p->wait_text = value;
                if (!keep_wait)
                    continue;
            }
            break;
        case sizeof PROP_DELAY - 1:
            if (slice_is(name, PROP_DELAY))
                p->bad_delay = !slice_i32(value, &p->delay);
            break;
        case sizeof PROP_CLUSTER - 1:
            if (slice_is(name, PROP_CLUSTER))
                continue;
            break;
        case sizeof PROP_UNIQ_KEY - 1: /* and TRAN_MSG, which is as long */
            if (slice_is(name, PROP_UNIQ_KEY)) {
                p->uniq_key = value;
                known = &p->known.uniq_key;
            } else if (slice_is(name, PROP_TRAN_MSG)) {
                p->transaction = slice_bool(value);
            }
            break;
        default:
            break;
        }
        size_t pair_n = name.n + 1 + value.n;
        if (run.n && name.p == run.p + run.n + 1) {
            run.n += 1 + pair_n;
        } else {
            at = put_run(at, start, run);
            run = slice_make(name.p, pair_n);
        }
        if (known != NULL) /* where it will be when its run is put */
            *known = slice_make(at + (at > start) + (value.p - run.p), value.n);
    }
    at = put_run(at, start, run);
    at = put_run(at, start, SLICE_LIT(PROP_CLUSTER "\1"));
    if (cluster.n)
        memcpy(at, cluster.p, cluster.n);
    at += cluster.n;
    p->text = slice_make(start, (size_t)(at - start));
    return true;
}
_Static_assert(sizeof PROP_UNIQ_KEY == sizeof PROP_TRAN_MSG, "one case for both");
_Static_assert(sizeof PROP_WAIT == sizeof PROP_TAGS && sizeof PROP_WAIT == sizeof PROP_KEYS, "one case for all three");
_Static_assert(PROP_SEP_NAME == 1, "CLUSTER's is written as text");

/* ---- checks ---- */
static bool topic_name_good(struct slice name, struct reply *out)
{
    if (slice_trim(name).n == 0)
        reply_refuse(out, RES_SYSTEM_ERROR, "The specified topic is blank.");
    else if (name.n > MESSAGE_TOPIC_MAX)
        reply_refuse(out, RES_SYSTEM_ERROR, "The specified topic is longer than topic max length.");
    else if (!name_valid(name, MESSAGE_TOPIC_MAX))
        reply_refuse(out, RES_SYSTEM_ERROR, "The specified topic contains illegal characters, allowing only ^[%%|a-zA-Z0-9_-]+$");
    else
        return true;
    return false;
}

static struct topic_config *topic_create(struct sending *s, struct reply *out)
{
    struct broker_context *c = s->c;
    const struct send_header *h = &s->h;
    bool retry = slice_starts(h->topic, RETRY_PREFIX);
    struct fault why = {0};
    if (context_short_of_memory(c, BUDGET_NO_GROWTH, "a new topic is", out))
        return NULL;
    int32_t wanted = h->default_queues > 0 ? h->default_queues : c->config->default_topic_queue_nums;
    struct topic_config *t = topics_auto_create(c->topics, h->topic, h->default_topic, wanted, h->unit_mode, s->rq->now_ms, &why);
    if (t == NULL && retry && why.err == MQ_EREFUSED)
        t = topics_put(c->topics, h->topic, 1, 1, PERM_READ | PERM_WRITE, h->unit_mode ? TOPIC_UNIT_SUB : 0, false, s->rq->now_ms, &why);
    if (t == NULL && why.err != MQ_EREFUSED)
        context_not_changed(&why, out);
    else if (t == NULL)
        reply_refuse(out, RES_TOPIC_NOT_EXIST, "topic[%.*s] not exist, apply first please! %s", SLICE_ARG(h->topic), why.what);
    else
        log_info("send", "topic created topic=%s queues=%d producer=%s", t->name, t->write_queues, s->rq->peer->addr);
    return t;
}

/* NULL: refused, out says why. */
static struct topic_config *topic_check(struct sending *s, struct reply *out)
{
    struct broker_context *c = s->c;
    const struct send_header *h = &s->h;
    struct topic_config *t = topics_find(c->topics, h->topic);
    if (!(c->config->broker_permission & PERM_WRITE) && t && t->order) {
        reply_refuse(out, RES_NO_PERMISSION, "the broker[%s] sending message is forbidden", c->config->broker_ip1);
        return NULL;
    }
    if (t == NULL && !topic_name_good(h->topic, out))
        return NULL;
    if (topics_is_reserved(h->topic)) {
        reply_refuse(out, RES_NO_PERMISSION, "Sending message to topic[%.*s] is forbidden.", SLICE_ARG(h->topic));
        return NULL;
    }
    if (t == NULL && (t = topic_create(s, out)) == NULL)
        return NULL;
    s->queue_id = context_pick_queue(c, t, h->queue_id);
    if (s->queue_id < 0) {
        reply_refuse(out, RES_SYSTEM_ERROR, "request queueId[%d] is illegal, topic %s has %d write and %d read queues, Producer: %s", h->queue_id,
                     t->name, t->write_queues, t->read_queues, s->rq->peer->addr);
        return NULL;
    }
    s->topic = slice_str(t->name);
    s->sys_flag = (h->sys_flag & ~(SYS_BORN_HOST_V6 | SYS_STORE_HOST_V6)) | (t->multi_tags ? SYS_MULTI_TAGS : 0);
    return t;
}

/* A consumer that could not give a message back sends it to its retry topic itself; too often tried, it goes to the dead letters, at once. */
static bool retry_or_dead(struct sending *s, struct reply *out)
{
    if (!slice_starts(s->h.topic, RETRY_PREFIX))
        return true;
    struct slice group = slice_from(s->h.topic, sizeof RETRY_PREFIX - 1);
    const struct group_config *g = retry_group(s->c, group, s->rq->now_ms, out);
    if (g == NULL)
        return false;
    if (s->h.reconsume_times < retry_limit(g, s->rq->cmd->version, s->h.max_reconsume_times))
        return true;
    const struct topic_config *t = retry_dead_topic(s->c, group, s->rq->now_ms, out);
    if (t == NULL)
        return false;
    s->topic = slice_str(t->name);
    s->queue_id = 0;
    s->dead = true;
    return true;
}

/* ---- putting ---- */
static void message_begin(const struct sending *s, struct message *m)
{
    *m = (struct message){.topic = s->topic, .queue_id = s->queue_id, .sys_flag = s->sys_flag, .flag = s->h.flag, .born_ms = s->h.born_ms,
                          .reconsume_times = s->h.reconsume_times, .store = s->c->store_host, .born = context_born_host(s->rq->peer)};
}

static char *batch_ids(const struct sending *s, const struct put_result *put, size_t n)
{
    char host[MESSAGE_ID_MAX], *ids = mem_alloc(n * MESSAGE_ID_MAX), *at = ids;
    size_t host_n = message_id_host(&s->c->store_host, host);
    for (size_t i = 0; ids && i < n; i++) {
        memcpy(at, host, host_n);
        at = message_id_place(put[i].phys_off, at + host_n);
        *at++ = i + 1 < n ? ',' : 0;
    }
    return ids;
}

static int leave_waiter(struct sending *s, const struct put_result *put, size_t n, struct reply *out)
{
    const struct broker_config *cfg = s->c->config;
    bool sync = cfg->flush_disk == FLUSH_DISK_SYNC && s->props.wait;
    bool lonely = cfg->broker_role == ROLE_SYNC_MASTER && s->props.wait; /* no slave can be there yet */
    struct slice id = s->props.uniq_key;
    char *ids = n > 1 ? batch_ids(s, put, n) : NULL;
    char *long_id = id.n > ACK_ID_MAX ? slice_dup(id) : NULL;
    struct ack *a = (n > 1 && ids == NULL) || (id.n > ACK_ID_MAX && long_id == NULL)
                        ? NULL
                        : ack_queue_add(s->c->acks, sync ? ACK_FLUSHED : ACK_WRITTEN, (uint64_t)put[n - 1].phys_off + put[n - 1].size);
    if (a == NULL) { /* it is in the log all the same: a retry makes a duplicate, which is allowed */
        mem_free(ids);
        mem_free(long_id);
        return reply_refuse(out, RES_SYSTEM_ERROR, "out of memory");
    }
    a->to = s->rq->ticket;
    a->deadline_ms = sync ? s->c->mono_ms(s->c->broker) + cfg->sync_flush_timeout_ms : INT64_MAX;
    a->queue_id = s->queue_id;
    a->ok_code = lonely ? RES_SLAVE_NOT_AVAILABLE : RES_SUCCESS;
    a->late_code = lonely ? RES_SLAVE_NOT_AVAILABLE : RES_FLUSH_DISK_TIMEOUT;
    a->queue_off = put[0].queue_off;
    a->phys_off = put[0].phys_off;
    a->ids = ids;
    a->long_id = long_id;
    if (long_id == NULL && id.n) {
        a->n_id = (uint8_t)id.n;
        memcpy(a->id, id.p, id.n);
    }
    return HANDLED_LATER;
}

static int put_all(struct sending *s, const struct message *m, size_t n, struct put_result *put, struct reply *out)
{
    enum put_status status = s->half ? transactions_begin(s->c->transactions, m, s->h.group, s->rq->now_ms, put)
                                     : message_store_put(s->c->store, m, n, s->rq->now_ms, put);
    if (status != PUT_OK)
        return context_refuse_put(s->c, status, out);
    int64_t bytes = 0;
    for (size_t i = 0; i < n; i++)
        bytes += put[i].size;
    stats_put(s->c->stats, s->topic, (int64_t)n, bytes);
    return s->rq->ticket.oneway ? HANDLED_NONE : leave_waiter(s, put, n, out);
}

/* The answer tells the queue that the sender meant; Apache stores what came as WAIT with a delayed message only. */
static bool delayed(struct sending *s, struct message *m)
{
    struct slice wait = s->props.wait_text;
    if (wait.n > 0) {
        uint8_t *p = arena_alloc(s->rq->arena, m->properties.n + sizeof PROP_WAIT + 1 + wait.n);
        if (p == NULL)
            return false;
        memcpy(p, m->properties.p, m->properties.n); /* there is CLUSTER at least */
        memcpy(p + m->properties.n, "\2" PROP_WAIT "\1", sizeof PROP_WAIT + 1);
        memcpy(p + m->properties.n + sizeof PROP_WAIT + 1, wait.p, wait.n);
        m->properties = slice_make(p, m->properties.n + sizeof PROP_WAIT + 1 + wait.n);
    }
    if (!delay_divert(m, s->props.delay, s->c->config->n_delay_levels, s->rq->arena))
        return false;
    s->topic = m->topic;
    return true;
}

static int send_one(struct sending *s, struct reply *out)
{
    struct message m;
    struct put_result put;
    bool again = s->h.reconsume_times > 0 && s->props.delay > 0; /* an old consumer's own retry: what it copied is no half message */
    s->half = (s->props.transaction && !again) || (s->sys_flag & SYS_TRAN_MASK) == SYS_TRAN_PREPARED;
    if ((s->half && s->c->config->reject_transaction) || (s->sys_flag & SYS_TRAN_MASK) == SYS_TRAN_ROLLBACK)
        return reply_refuse(out, RES_NO_PERMISSION, "the broker[%s] sending transaction message is forbidden", s->c->config->broker_ip1);
    if (s->props.bad_delay)
        return reply_refuse(out, RES_MESSAGE_ILLEGAL, "the message is illegal, its DELAY is no number");
    message_begin(s, &m);
    m.body = s->rq->cmd->body;
    m.properties = s->props.text;
    m.known = &s->props.known;
    if (s->half)
        s->topic = SLICE_LIT(HALF_TOPIC); /* where it counts, as in Apache */
    if (s->props.delay > 0 && !s->half && !s->dead && !delayed(s, &m))
        return reply_refuse(out, RES_SYSTEM_ERROR, "out of memory");
    return put_all(s, &m, 1, &put, out);
}

/* ---- batches ---- */
static bool drop_id(struct sending *s)
{
    struct buf text = {0};
    prop_copy_without(&text, s->props.text, PROP_UNIQ_KEY);
    uint8_t *kept = text.failed ? NULL : arena_alloc(s->rq->arena, text.n + 1);
    if (kept && text.n)
        memcpy(kept, text.p, text.n);
    s->props.without_id = slice_make(kept, text.n);
    prop_known(s->props.without_id, &s->props.known_without_id);
    buf_free(&text);
    return kept != NULL;
}

/* Where the value that counts is now: a slice of `text`, whose bytes are at `at`. */
static struct slice moved(struct slice value, struct slice text, const uint8_t *at)
{
    return value.n > 0 ? slice_make(at + (value.p - text.p), value.n) : value;
}

/* The batch's own properties go behind each message's: of equal names the last one counts. But a message keeps its own unique key: a
 * client of 5.x gives the batch one, too, and told its user the messages' own. */
static bool batch_properties(const struct sending *s, struct slice own, struct message *m, struct known_props *known)
{
    prop_known(own, known);
    bool has_id = known->uniq_key.n > 0;
    struct slice of_batch = has_id ? s->props.without_id : s->props.text;
    const struct known_props *also = has_id ? &s->props.known_without_id : &s->props.known;
    uint8_t *p = arena_alloc(s->rq->arena, own.n + 1 + of_batch.n);
    if (p == NULL)
        return false;
    size_t n = own.n;
    if (n)
        memcpy(p, own.p, n);
    if (n && p[n - 1] != PROP_SEP_PAIR)
        p[n++] = PROP_SEP_PAIR;
    memcpy(p + n, of_batch.p, of_batch.n);
    m->properties = slice_make(p, n + of_batch.n);
    m->known = known;
    known->tags = also->tags.n > 0 ? moved(also->tags, of_batch, p + n) : moved(known->tags, own, p);
    known->keys = also->keys.n > 0 ? moved(also->keys, of_batch, p + n) : moved(known->keys, own, p);
    known->uniq_key = also->uniq_key.n > 0 ? moved(also->uniq_key, of_batch, p + n) : moved(known->uniq_key, own, p);
    return true;
}

static int send_batch(struct sending *s, struct reply *out)
{
    struct slice rest = s->rq->cmd->body;
    struct batch_item item;
    struct message each;
    size_t n = batch_count(rest), i = 0;
    if (rest.n > (size_t)s->c->config->max_message_size)
        return context_refuse_put(s->c, PUT_TOO_LARGE, out);
    if (s->props.delay > 0 || s->props.bad_delay || (s->sys_flag & SYS_TRAN_MASK))
        return reply_refuse(out, RES_MESSAGE_ILLEGAL, "a batch can neither be delayed nor be part of a transaction");
    struct message *m = arena_alloc(s->rq->arena, n * sizeof *m);
    struct put_result *put = arena_alloc(s->rq->arena, n * sizeof *put);
    struct known_props *known = arena_alloc(s->rq->arena, n * sizeof *known);
    if (m == NULL || put == NULL || known == NULL || !drop_id(s))
        return reply_refuse(out, RES_MESSAGE_ILLEGAL, "a batch of %zu messages is too large", n);
    message_begin(s, &each);
    for (; i < n && batch_next(&rest, &item) == MQ_OK; i++) {
        m[i] = each;
        m[i].flag = item.flag;
        m[i].body = item.body;
        if (!batch_properties(s, item.properties, &m[i], &known[i]))
            return reply_refuse(out, RES_MESSAGE_ILLEGAL, "a batch of %zu messages is too large", n);
    }
    if (n == 0 || rest.n > 0)
        return reply_refuse(out, RES_MESSAGE_ILLEGAL, "the body is not a batch: message %zu does not decode", i);
    return put_all(s, m, n, put, out);
}

/* ---- the request ---- */
static int try_send(struct broker_context *c, const struct request *rq, struct reply *out)
{
    struct sending s = {.c = c, .rq = rq};
    char bad[160];
    if (!send_header_read(rq->cmd, &s.h, bad))
        return reply_refuse(out, RES_SYSTEM_ERROR, "%s", bad);
    if (context_short_of_memory(c, BUDGET_NO_WORK, "a send is", out))
        return HANDLED_NOW;
    if (rq->now_ms < c->config->start_accept_send_ms)
        return reply_refuse(out, RES_SYSTEM_ERROR, "broker unable to service, until %lld", (long long)c->config->start_accept_send_ms);
    if (topic_check(&s, out) == NULL)
        return HANDLED_NOW;
    if (!properties_rebuild(&s, s.h.batch))
        return reply_refuse(out, RES_MESSAGE_ILLEGAL, "the properties are too large");
    if (s.h.batch)
        return send_batch(&s, out);
    if (!retry_or_dead(&s, out))
        return HANDLED_NOW;
    return send_one(&s, out);
}

/* Every answer to a send carries these two; the ack queue gives them to those that went well. */
static enum handled refused(const struct broker_context *c, struct reply *out)
{
    reply_str(out, "MSG_REGION", slice_str(c->config->region_id));
    reply_bool(out, "TRACE_ON", c->config->trace_on);
    return HANDLED_NOW;
}

/* ---- waiting ---- */
int64_t send_message_patience(const struct broker_context *c)
{
    return c->config->wait_in_send_queue_ms > PATIENCE_LEAST_MS ? c->config->wait_in_send_queue_ms : PATIENCE_LEAST_MS;
}

void send_message_press(struct broker_context *c)
{
    const struct store_load load = message_store_load(c->store);
    const struct pressure_figures f = {.syncs = ack_queue_syncs(c->acks), .syncs_max = (size_t)c->config->send_queue_capacity,
                                       .unflushed = load.unflushed, .unflushed_max = c->unflushed_max, .store_busy = load.busy};
    c->pressure = pressure_of(c->pressure, &f);
}

static int64_t first_sync_since(const struct broker_context *c) /* all waits for a sync are as long as the first's */
{
    return ack_queue_first_deadline(c->acks) - c->config->sync_flush_timeout_ms;
}

void send_message_flushed(struct broker_context *c, uint64_t flushed_off)
{
    int64_t since = first_sync_since(c), now = c->mono_ms(c->broker);
    if (ack_queue_reached(c->acks, ACK_FLUSHED, flushed_off))
        waits_note(&c->waits, now, now - since);
}

int64_t send_message_deadlines(struct broker_context *c, int64_t mono_ms)
{
    if (ack_queue_first_deadline(c->acks) <= mono_ms)
        waits_note(&c->waits, mono_ms, mono_ms - first_sync_since(c));
    return ack_queue_deadlines(c->acks, mono_ms);
}

/* A client of 4.x does not try again elsewhere when it hears SYSTEM_BUSY, so that is the last word, after waiting. */
enum handled send_message_must_wait(struct broker_context *c, const struct request *rq, struct reply *out)
{
    if (c->pressure == PRESSURE_NONE)
        c->pressure = PRESSURE_STORE; /* it said so itself: until the end of the turn nobody else need ask */
    if (c->stopping)
        reply_refuse(out, RES_SERVICE_NOT_AVAILABLE, "service not available now. the broker stops");
    else if (rq->waited_ms >= send_message_patience(c))
        reply_refuse(out, RES_SYSTEM_BUSY, "[TIMEOUT_CLEAN_QUEUE]broker busy, start flow control for a while: the disk does not keep up");
    else
        return HANDLED_WAIT;
    return HANDLED_NOW;
}

static enum handled on_send(void *ctx, const struct request *rq, struct reply *out)
{
    struct broker_context *c = ctx;
    int handled = c->pressure == PRESSURE_NONE ? try_send(c, rq, out) : HANDLED_WAIT;
    if (handled == HANDLED_WAIT)
        handled = send_message_must_wait(c, rq, out);
    return handled == HANDLED_NOW ? refused(c, out) : (enum handled)handled;
}

void send_message_routes(struct route_sink *sink, struct broker_context *ctx)
{
    routes_add(sink, REQ_SEND_MESSAGE, on_send, ctx);
    routes_add(sink, REQ_SEND_MESSAGE_V2, on_send, ctx);
    routes_add(sink, REQ_SEND_BATCH_MESSAGE, on_send, ctx);
}
