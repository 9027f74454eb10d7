/* send_back.c - a consumer gives a message back (36): it comes again after a while through the group's retry topic, or, after too many times, it
 * goes to the dead letters. Map 9, inventory g.4.
 *
 *   the record at `offset` --copied--> %RETRY%group, by way of the delay levels: level 3 + how often it came already
 *                            `-------> %DLQ%group, at once
 * The consumer counts the message as consumed when it hears SUCCESS, so with SYNC_FLUSH the answer waits for the medium, as a send's does;
 * Apache's does not.
 *   I1  no SUCCESS before the copy is written (SYNC_FLUSH: flushed).                     (test: unit/processor/send_back)
 *   I2  what is not for consumers yet, half messages and delayed ones, does not come out this way.     (test: the same)
 * A record that is not in memory is read by a reader thread; the request is kept meanwhile, and runs again. */
#include <stdio.h>
#include <string.h>

#include "broker/ack/ack_queue.h"
#include "broker/processor/admin.h"
#include "broker/processor/retry.h"
#include "broker/processor/send_message.h"
#include "broker/schedule/delay.h"
#include "broker/stats/stats.h"
#include "broker/store/message_store.h"
#include "broker/transaction/half.h"
#include "common/protocol/codes.h"

#define PROP_ORIGIN_ID "ORIGIN_MESSAGE_ID"
enum { COLD_TRIES = 3, DELAY_FIRST = 3, WAITING_MAX = 256 << 20 /* bytes, together with pulls */ };

struct back { /* a request */
    struct broker_context *c;
    struct ticket to;
    struct slice group;
    int64_t phys_off, now_ms;
    int32_t delay, limit_asked, client_version;
    bool unit_mode;
    unsigned cold_tries;
};
struct kept { /* one that waits for a reader */
    struct back b;
    char group[];
};
enum outcome { BACK_ANSWERED, BACK_WAITS, BACK_BUSY, BACK_COLD };

/* ---- the copy ---- */
static bool changed_here(struct slice name) { return slice_is(name, PROP_WAIT) || slice_is(name, PROP_DELAY) || slice_is(name, PROP_ORIGIN_ID); }

/* `origin`: the topic in which the group first got it. */
static void properties_make(const struct message *old, int32_t delay, struct buf *out, struct slice *origin)
{
    struct slice rest = old->properties, name, value, id = {0};
    char text[MESSAGE_ID_MAX], level[16];
    while (prop_next(&rest, &name, &value)) {
        if (changed_here(name))
            continue;
        if (out->n > 0)
            buf_u8(out, PROP_SEP_PAIR);
        buf_put(out, name.p, name.n + 1 + value.n); /* they lie side by side */
    }
    *origin = old->topic;
    if (!prop_get(old->properties, PROP_RETRY_TOPIC, origin))
        prop_add(out, PROP_RETRY_TOPIC, *origin);
    if (!prop_get(old->properties, PROP_ORIGIN_ID, &id) || slice_trim(id).n == 0)
        id = slice_make(text, message_id(&old->store, old->phys_off, text));
    prop_add(out, PROP_ORIGIN_ID, id);
    prop_add(out, PROP_WAIT, SLICE_LIT("false"));
    snprintf(level, sizeof level, "%d", (int)delay);
    prop_add(out, PROP_DELAY, slice_str(level));
}

static int32_t level_for(const struct back *b, const struct message *old)
{
    if (b->delay != 0)
        return b->delay;
    return old->reconsume_times > STORE_DELAY_LEVELS_MAX ? STORE_DELAY_LEVELS_MAX : DELAY_FIRST + (old->reconsume_times > 0 ? old->reconsume_times : 0);
}

static void count(const struct back *b, const struct message *m, struct slice origin, uint32_t size)
{
    struct stats *s = b->c->stats;
    stats_add(s, STAT_SNDBCK_PUT_NUMS, origin, b->group, 1, 1);
    stats_count(s, RATE_PUT, 1);
    if (!slice_is(m->topic, SCHEDULE_TOPIC))
        return;
    stats_add(s, STAT_TOPIC_PUT_NUMS, m->topic, (struct slice){0}, 1, 1);
    stats_add(s, STAT_TOPIC_PUT_SIZE, m->topic, (struct slice){0}, size, 1);
}

static enum outcome leave_waiter(const struct back *b, const struct put_result *put, struct reply *out)
{
    struct broker_context *c = b->c;
    bool sync = c->config->flush_disk == FLUSH_DISK_SYNC;
    if (b->to.oneway)
        return BACK_WAITS;
    struct ack *a = ack_queue_add(c->acks, sync ? ACK_FLUSHED : ACK_WRITTEN, (uint64_t)put->phys_off + put->size);
    if (a == NULL) { /* the copy is there: the consumer's own makes a duplicate, which is allowed */
        reply_refuse(out, RES_SYSTEM_ERROR, "out of memory");
        return BACK_ANSWERED;
    }
    a->to = b->to;
    a->bare = true;
    a->deadline_ms = sync ? c->mono_ms(c->broker) + c->config->sync_flush_timeout_ms : INT64_MAX;
    a->late_code = RES_SYSTEM_ERROR;
    return BACK_WAITS;
}

static enum outcome put_copy(const struct back *b, const struct message *m, struct slice origin, struct reply *out)
{
    struct put_result put;
    switch (message_store_put(b->c->store, m, 1, b->now_ms, &put)) {
    case PUT_OK:
        count(b, m, origin, put.size);
        return leave_waiter(b, &put, out);
    case PUT_BUSY:
        return BACK_BUSY;
    case PUT_TOO_LARGE:
        reply_refuse(out, RES_SYSTEM_ERROR, "MESSAGE_ILLEGAL");
        break;
    case PUT_NO_ROOM:
    case PUT_FAILED:
        reply_refuse(out, RES_SYSTEM_ERROR, "SERVICE_NOT_AVAILABLE %s", message_store_refusal(b->c->store));
        break;
    }
    return BACK_ANSWERED;
}

/* The copy goes where the group's limit and the consumer's wish say. */
static enum outcome copy(const struct back *b, const struct group_config *g, const struct topic_config *retry, const struct message *old, struct reply *out)
{
    struct broker_context *c = b->c;
    bool dead = b->delay < 0 || old->reconsume_times >= retry_limit(g, b->client_version, b->limit_asked);
    const struct topic_config *t = dead ? retry_dead_topic(c, b->group, b->now_ms, out) : retry;
    if (t == NULL)
        return BACK_ANSWERED;
    int32_t delay = dead ? 0 : level_for(b, old);
    struct message m = *old;
    struct buf props = {0};
    struct arena arena = {0};
    struct slice origin;
    properties_make(old, delay, &props, &origin);
    m.topic = slice_str(t->name);
    m.queue_id = dead ? 0 : (int32_t)(context_random(c) % (uint32_t)g->retry_queues);
    m.properties = buf_view(&props);
    m.known = NULL;
    m.prepared_off = 0;
    m.reconsume_times += m.reconsume_times < INT32_MAX;
    enum outcome o = BACK_ANSWERED;
    if (props.failed || (delay > 0 && !delay_divert(&m, delay, c->config->n_delay_levels, &arena)))
        reply_refuse(out, RES_SYSTEM_ERROR, "out of memory");
    else
        o = put_copy(b, &m, origin, out);
    arena_fini(&arena);
    buf_free(&props);
    return o;
}

/* ---- the request ---- */
static bool for_consumers(const struct message *m)
{
    int32_t kind = m->sys_flag & SYS_TRAN_MASK;
    return kind != SYS_TRAN_PREPARED && kind != SYS_TRAN_ROLLBACK && !slice_is(m->topic, SCHEDULE_TOPIC) && !slice_is(m->topic, HALF_TOPIC) &&
           !slice_is(m->topic, OP_TOPIC);
}

static enum outcome give_back(const struct back *b, struct cold_range *cold, struct reply *out)
{
    struct broker_context *c = b->c;
    const struct group_config *g = retry_group(c, b->group, b->now_ms, out);
    if (g == NULL)
        return BACK_ANSWERED;
    if (!(c->config->broker_permission & PERM_WRITE)) {
        reply_refuse(out, RES_NO_PERMISSION, "the broker[%s] sending message is forbidden", c->config->broker_ip1);
        return BACK_ANSWERED;
    }
    if (g->retry_queues <= 0) /* a group that wants nothing again: dropped, and well */
        return BACK_ANSWERED;
    const struct topic_config *t = retry_topic(c, g, b->unit_mode, b->now_ms, out);
    if (t == NULL)
        return BACK_ANSWERED;
    if (!(t->perm & PERM_WRITE)) {
        reply_refuse(out, RES_NO_PERMISSION, "the topic[%s] sending message is forbidden", t->name);
        return BACK_ANSWERED;
    }
    struct buf record = {0};
    struct message old;
    enum mq_err err = message_store_at(c->store, b->phys_off, b->cold_tries >= COLD_TRIES, &record, cold);
    enum outcome o = BACK_ANSWERED;
    if (err == MQ_EAGAIN)
        o = BACK_COLD;
    else if (err != MQ_OK || message_decode(buf_view(&record), false, &old) != MQ_OK || !for_consumers(&old))
        reply_refuse(out, RES_SYSTEM_ERROR, "look message by offset failed, %lld", (long long)b->phys_off);
    else
        o = copy(b, g, t, &old, out);
    buf_free(&record);
    return o;
}

static bool wait_warm(const struct back *b, const struct cold_range *cold);

/* True: out is the answer. For a request that cannot be told HANDLED_WAIT any more. */
static bool run_late(struct back *b, struct reply *out)
{
    struct cold_range cold;
    if (b->c->stopping) {
        reply_refuse(out, RES_SERVICE_NOT_AVAILABLE, "service not available now. the broker stops");
        return true;
    }
    switch (give_back(b, &cold, out)) {
    case BACK_ANSWERED:
        return true;
    case BACK_WAITS:
        return false;
    case BACK_BUSY:
        reply_refuse(out, RES_SYSTEM_BUSY, "broker busy: the disk does not keep up");
        return true;
    case BACK_COLD:
        break;
    }
    if (wait_warm(b, &cold))
        return false;
    b->cold_tries = COLD_TRIES;
    return run_late(b, out); /* reads on this thread: once */
}

static void on_warm(void *arg)
{
    struct kept *k = arg;
    struct broker_context *c = k->b.c;
    reply_clear(&c->scratch);
    k->b.now_ms = c->now_ms(c->broker);
    k->b.cold_tries++;
    if (run_late(&k->b, &c->scratch))
        c->outbox->finish(c->outbox->ctx, &k->b.to, &c->scratch);
    c->waiting_bytes -= sizeof *k + k->b.group.n;
    mem_free(k);
}

static bool wait_warm(const struct back *b, const struct cold_range *cold)
{
    struct kept *k = b->c->waiting_bytes < WAITING_MAX ? mem_alloc(sizeof *k + b->group.n) : NULL;
    if (k == NULL)
        return false;
    k->b = *b;
    if (b->group.n > 0)
        memcpy(k->group, b->group.p, b->group.n);
    k->b.group = slice_make(k->group, b->group.n);
    if (!message_store_warm(b->c->store, cold, on_warm, k)) {
        mem_free(k);
        return false;
    }
    b->c->waiting_bytes += sizeof *k + b->group.n;
    return true;
}

static enum handled on_back(void *ctx, const struct request *rq, struct reply *out)
{
    struct broker_context *c = ctx;
    struct cold_range cold;
    if (c->pressure != PRESSURE_NONE)
        return send_message_must_wait(c, rq, out);
    struct fields f = fields_of(rq->cmd);
    struct back b = {.c = c, .to = rq->ticket, .now_ms = rq->now_ms, .client_version = rq->cmd->version};
    b.group = field_str(&f, "group");
    b.phys_off = field_i64(&f, "offset");
    b.delay = field_i32(&f, "delayLevel");
    b.limit_asked = field_i32_or(&f, "maxReconsumeTimes", -1);
    b.unit_mode = field_bool_or(&f, "unitMode", false);
    if (f.bad[0])
        return admin_bad_field(&f, out);
    if (context_short_of_memory(c, BUDGET_NO_WORK, "a message given back is", out))
        return HANDLED_NOW;
    switch (give_back(&b, &cold, out)) {
    case BACK_ANSWERED:
        return HANDLED_NOW;
    case BACK_WAITS:
        return b.to.oneway ? HANDLED_NONE : HANDLED_LATER;
    case BACK_BUSY:
        return send_message_must_wait(c, rq, out);
    case BACK_COLD:
        break;
    }
    if (wait_warm(&b, &cold))
        return HANDLED_LATER;
    b.cold_tries = COLD_TRIES;
    return run_late(&b, out) ? HANDLED_NOW : HANDLED_LATER;
}

void send_back_routes(struct route_sink *sink, struct broker_context *c) { routes_add(sink, REQ_CONSUMER_SEND_MSG_BACK, on_back, c); }
