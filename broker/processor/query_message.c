/* query_message.c - messages by key (12) and by place (33).
 *
 * A place whose bytes are not in memory is read by a reader thread: the ticket is kept, and the read is tried again when they have
 * come. After COLD_TRIES the core thread waits for the disk itself, because what was read may be gone again before its turn. */
#include "broker/metadata/topics.h"
#include "broker/processor/admin.h"
#include "broker/store/message_store.h"
#include "common/base/mem.h"
#include "common/protocol/codes.h"

enum { COLD_TRIES = 4, BODY_MAX = FRAME_MAX - 65536 };

/* ---- by key ---- */
/* Whole records from the front, as many as fit a frame. */
static void cut_to_frame(struct buf *body)
{
    size_t at = 0;
    struct message m;
    while (at < body->n && message_decode(slice_from(buf_view(body), at), false, &m) == MQ_OK && at + m.size <= BODY_MAX)
        at += m.size;
    body->n = at;
}

static enum handled by_key(void *ctx, const struct request *rq, struct reply *out)
{
    struct broker_context *c = ctx;
    struct fields f = fields_of(rq->cmd);
    struct slice topic = field_str(&f, "topic"), key = field_str(&f, "key");
    int32_t max = field_i32(&f, "maxNum");
    int64_t begin = field_i64(&f, "beginTimestamp"), end = field_i64(&f, "endTimestamp");
    bool unique = field_bool_or(&f, "_UNIQUE_KEY_QUERY", false);
    struct query_result found = {0};
    if (f.bad[0])
        return admin_bad_field(&f, out);
    if (unique)
        max = c->config->default_query_max;
    if (max > c->config->max_msgs_batch)
        max = c->config->max_msgs_batch;
    enum mq_err err = max > 0 ? message_store_query(c->store, topic, key, (uint32_t)max, begin, end, &out->body, &found) : MQ_ENOTFOUND;
    if (err != MQ_OK && err != MQ_ENOTFOUND && found.n_msgs == 0) /* else what was found, as Apache does; the store's log has the rest */
        return reply_refuse(out, RES_SYSTEM_ERROR, "query by key: %s", mq_err_words(err));
    cut_to_frame(&out->body);
    if (out->body.n == 0)
        reply_refuse(out, RES_QUERY_NOT_FOUND, "can not find message, maybe time range not correct");
    reply_int(out, "indexLastUpdateTimestamp", found.index_last_ms);
    reply_int(out, "indexLastUpdatePhyoffset", found.index_last_phys_off);
    return HANDLED_NOW;
}

/* ---- by place ---- */
struct view { /* a request that waits for a reader thread */
    struct broker_context *c;
    struct ticket to;
    int64_t phys_off;
    unsigned tries;
    struct cold_range cold;
};
static void on_warm(void *arg);

/* MQ_EAGAIN: v->cold says what is wanted. */
static enum mq_err look(struct view *v, bool may_block, struct reply *out)
{
    enum mq_err err = v->phys_off < 0 ? MQ_ENOTFOUND : message_store_at(v->c->store, v->phys_off, may_block, &out->body, &v->cold);
    if (err == MQ_OK || err == MQ_EAGAIN)
        return err;
    if (err == MQ_ENOTFOUND)
        reply_refuse(out, RES_SYSTEM_ERROR, "can not find message by the offset, %lld", (long long)v->phys_off);
    else
        reply_refuse(out, RES_SYSTEM_ERROR, "the message at the offset %lld cannot be read: %s", (long long)v->phys_off, mq_err_words(err));
    return err;
}

static void on_warm(void *arg)
{
    struct view *v = arg;
    struct reply *out = &v->c->scratch;
    reply_clear(out);
    if (look(v, v->tries >= COLD_TRIES || v->c->stopping, out) == MQ_EAGAIN) {
        v->tries++;
        if (message_store_warm(v->c->store, &v->cold, on_warm, v))
            return;
        look(v, true, out);
    }
    v->c->outbox->finish(v->c->outbox->ctx, &v->to, out);
    mem_free(v);
}

static enum handled by_place(void *ctx, const struct request *rq, struct reply *out)
{
    struct fields f = fields_of(rq->cmd);
    struct view now = {.c = ctx, .to = rq->ticket, .phys_off = field_i64(&f, "offset")};
    if (f.bad[0])
        return admin_bad_field(&f, out);
    if (look(&now, false, out) != MQ_EAGAIN)
        return HANDLED_NOW;
    struct view *v = mem_dup(&now, sizeof now);
    if (v && message_store_warm(now.c->store, &v->cold, on_warm, v))
        return HANDLED_LATER;
    mem_free(v);
    look(&now, true, out);
    return HANDLED_NOW;
}

void query_message_routes(struct route_sink *sink, struct broker_context *c)
{
    routes_add(sink, REQ_QUERY_MESSAGE, by_key, c);
    routes_add(sink, REQ_VIEW_MESSAGE_BY_ID, by_place, c);
}
