/* end_transaction.c - 37: the end of a transaction, by its producer or as its answer to a check; 323: an operator has one checked anew.
 * Clients send 37 oneway, so nobody hears of a failure; the check-back repairs what went wrong.
 *
 * The half message is read by the place in the log that the request names, and must be what the request says it is (inventory g.7). A record that
 * is not in memory is read by a reader thread first, and the request goes on afterwards.  (test: unit/processor/transactions)
 * "I do not know" (0) has no answer, as in Apache. Another end of the same transaction is refused; Apache would deliver the message twice. */
#include "broker/ack/ack_queue.h"
#include "broker/processor/admin.h"
#include "broker/processor/send_message.h"
#include "broker/stats/stats.h"
#include "broker/transaction/transactions.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/protocol/codes.h"

enum { COLD_MAX = 1000 }; /* ends that wait for the disk; the others are left to the check-back */

struct end { /* what a request says; group borrowed */
    struct ticket to;
    struct slice group;
    int64_t half_off, phys_off;
    bool commit;
};
struct cold_end { /* one that waits for the disk */
    struct broker_context *c;
    struct end end;
    char group[];
};

static bool record_is_meant(const struct end *e, const struct half *h, const struct message *record, struct reply *out)
{
    const char *words = !slice_eq(h->group, e->group)        ? "The producer group wrong"
                        : record->queue_off != e->half_off   ? "The transaction state table offset wrong"
                        : record->phys_off != e->phys_off    ? "The commit log offset wrong"
                                                             : NULL;
    if (words != NULL)
        reply_refuse(out, RES_SYSTEM_ERROR, "%s", words);
    return words == NULL;
}

static enum handled answer_when_written(struct broker_context *c, const struct end *e, uint64_t end_off, struct reply *out)
{
    if (e->to.oneway)
        return HANDLED_NONE;
    struct ack *a = ack_queue_add(c->acks, ACK_WRITTEN, end_off);
    if (a == NULL)
        return reply_refuse(out, RES_SYSTEM_ERROR, "out of memory");
    a->to = e->to;
    a->ok_code = a->late_code = RES_SUCCESS;
    a->bare = true;
    return HANDLED_LATER;
}

static enum handled end_record(struct broker_context *c, const struct end *e, struct slice bytes, int64_t now_ms, struct reply *out)
{
    struct message record;
    struct half h;
    uint64_t end_off;
    enum put_status put;
    if (message_decode(bytes, false, &record) != MQ_OK || !half_read(&record, &h))
        return reply_refuse(out, RES_SYSTEM_ERROR, "Find prepared transaction message failed");
    if (!record_is_meant(e, &h, &record, out))
        return HANDLED_NOW;
    switch (transactions_end(c->transactions, &record, &h, e->commit, now_ms, &end_off, &put)) {
    case END_DONE:
        stats_count(c->stats, RATE_PUT, e->commit ? 2 : 1); /* what 28 tells, as Apache's store counts: the op message, too */
        return answer_when_written(c, e, end_off, out);
    case END_ENDED_BEFORE:
        return reply_refuse(out, RES_SYSTEM_ERROR, "The transaction has ended before");
    case END_NOT_PUT:
        break;
    }
    return context_refuse_put(c, put, out);
}

/* ---- records that are not in memory ---- */
static void on_warm(void *arg)
{
    struct cold_end *w = arg;
    struct broker_context *c = w->c;
    struct reply *out = &c->scratch;
    struct buf bytes = {0};
    struct cold_range cold;
    c->cold_ends--;
    reply_clear(out);
    enum handled how = HANDLED_NOW;
    if (message_store_at(c->store, w->end.phys_off, true, &bytes, &cold) == MQ_OK)
        how = end_record(c, &w->end, buf_view(&bytes), c->now_ms(c->broker), out);
    else
        reply_refuse(out, RES_SYSTEM_ERROR, "Find prepared transaction message failed");
    if (how == HANDLED_WAIT)
        how = reply_refuse(out, RES_SYSTEM_BUSY, "[TIMEOUT_CLEAN_QUEUE]broker busy, start flow control for a while: the disk does not keep up");
    if (how == HANDLED_NOW)
        c->outbox->finish(c->outbox->ctx, &w->end.to, out);
    buf_free(&bytes);
    mem_free(w);
}

static enum handled wait_warm(struct broker_context *c, const struct end *e, const struct cold_range *cold, struct reply *out)
{
    struct cold_end *w = c->cold_ends < COLD_MAX ? mem_alloc(sizeof *w + e->group.n + 1) : NULL;
    if (w == NULL)
        return reply_refuse(out, RES_SYSTEM_BUSY, "too many ends of transactions wait for the disk");
    *w = (struct cold_end){.c = c, .end = *e};
    slice_copy(e->group, w->group, e->group.n + 1);
    w->end.group = slice_make(w->group, e->group.n);
    if (message_store_warm(c->store, cold, on_warm, w)) {
        c->cold_ends++;
        return HANDLED_LATER;
    }
    mem_free(w);
    return reply_refuse(out, RES_SYSTEM_ERROR, "out of memory");
}

/* ---- the request ---- */
static enum handled try_end(struct broker_context *c, const struct request *rq, const struct end *e, struct reply *out)
{
    struct cold_range cold;
    struct buf bytes = {0};
    enum handled how;
    enum mq_err err = message_store_at(c->store, e->phys_off, false, &bytes, &cold);
    if (err == MQ_EAGAIN)
        how = wait_warm(c, e, &cold, out);
    else if (err == MQ_OK)
        how = end_record(c, e, buf_view(&bytes), rq->now_ms, out);
    else
        how = reply_refuse(out, RES_SYSTEM_ERROR, "Find prepared transaction message failed");
    buf_free(&bytes);
    return how;
}

static enum handled on_end(void *ctx, const struct request *rq, struct reply *out)
{
    struct broker_context *c = ctx;
    struct fields f = fields_of(rq->cmd);
    struct end e = {.to = rq->ticket, .group = field_str(&f, "producerGroup"), .half_off = field_i64(&f, "tranStateTableOffset"),
                    .phys_off = field_i64(&f, "commitLogOffset")};
    int32_t decision = field_i32(&f, "commitOrRollback");
    if (f.bad[0])
        return admin_bad_field(&f, out);
    if (decision != SYS_TRAN_COMMIT && decision != SYS_TRAN_ROLLBACK)
        return HANDLED_NONE;
    e.commit = decision == SYS_TRAN_COMMIT;
    enum handled how = c->pressure == PRESSURE_NONE ? try_end(c, rq, &e, out) : HANDLED_WAIT;
    if (how == HANDLED_NOW && rq->ticket.oneway)
        log_debug("transaction", "an end was refused producer=%s group=%.*s half_offset=%lld: %.*s", rq->peer->addr,
                  SLICE_ARG(slice_head(e.group, SESSION_GROUP_MAX)), (long long)e.half_off, SLICE_ARG(buf_view(&out->remark)));
    return how == HANDLED_WAIT ? send_message_must_wait(c, rq, out) : how;
}

/* ---- an operator's: reads on this thread ---- */
static enum handled resume_record(struct broker_context *c, const struct request *rq, struct slice bytes, struct reply *out)
{
    struct message record;
    uint64_t end_off;
    enum put_status put;
    const struct end e = {.to = rq->ticket};
    if (message_decode(bytes, false, &record) != MQ_OK)
        return reply_refuse(out, RES_SYSTEM_ERROR, "the message does not decode");
    switch (transactions_resume(c->transactions, &record, rq->now_ms, &end_off, &put)) {
    case END_DONE:
        return answer_when_written(c, &e, end_off, out);
    case END_ENDED_BEFORE:
        return reply_refuse(out, RES_SYSTEM_ERROR, "Put message back to " HALF_TOPIC " failed: it is no half message, or its transaction has ended");
    case END_NOT_PUT:
        break;
    }
    return context_refuse_put(c, put, out);
}

static enum handled on_resume(void *ctx, const struct request *rq, struct reply *out)
{
    struct broker_context *c = ctx;
    struct fields f = fields_of(rq->cmd);
    struct slice id = field_str(&f, "msgId");
    struct buf bytes = {0};
    if (f.bad[0])
        return admin_bad_field(&f, out);
    enum handled how = admin_record(c, id, &bytes, out) ? resume_record(c, rq, buf_view(&bytes), out) : HANDLED_NOW;
    buf_free(&bytes);
    return how == HANDLED_WAIT ? send_message_must_wait(c, rq, out) : how;
}

void end_transaction_routes(struct route_sink *sink, struct broker_context *ctx)
{
    routes_add(sink, REQ_END_TRANSACTION, on_end, ctx);
    routes_add(sink, REQ_RESUME_CHECK_HALF_MESSAGE, on_resume, ctx);
}
