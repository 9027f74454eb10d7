/* consumer_offset.c - how far a group is: 14 asks, 15 tells.
 *
 * 14 has two answers, an offset or "none" (22): 4.x clients take every error for "none" and start where consumeFromWhere says, so a
 * passing trouble must never become an answer.                                              (test: unit/processor/offsets)
 * A group that never was here starts at 0 while the queue's first message is "in memory", which Apache guesses by its distance from
 * the log's end; only otherwise the client decides. */
#include "broker/metadata/offsets.h"
#include "broker/processor/admin.h"
#include "broker/store/message_store.h"
#include "common/protocol/codes.h"

static bool first_is_in_memory(const struct broker_context *c, struct slice topic, int32_t queue_id)
{
    int32_t percent = c->config->in_memory_percent;
    uint64_t share = c->memory_bytes / 100 * (uint64_t)(percent > 0 ? percent : 0);
    if (c->log_end <= share)
        return true;
    int64_t at = message_store_phys_of(c->store, topic, queue_id, 0);
    return at < 0 || c->log_end <= (uint64_t)at || c->log_end - (uint64_t)at <= share;
}

static enum handled query(void *ctx, const struct request *rq, struct reply *out)
{
    struct broker_context *c = ctx;
    struct fields f = fields_of(rq->cmd);
    struct slice group = field_str(&f, "consumerGroup"), topic = field_str(&f, "topic");
    int32_t queue_id = field_i32(&f, "queueId");
    bool zero = field_bool_or(&f, "setZeroIfNotFound", true); /* 5.x */
    if (f.bad[0])
        return admin_bad_field(&f, out);
    int64_t off = offsets_query(c->offsets, group, topic, queue_id);
    if (off < 0 && zero && message_store_min_offset(c->store, topic, queue_id) <= 0 && first_is_in_memory(c, topic, queue_id))
        off = 0;
    if (off < 0)
        return reply_refuse(out, RES_QUERY_NOT_FOUND, "Not found, maybe this group consumer boot first");
    reply_int(out, "offset", off);
    return HANDLED_NOW;
}

static enum handled commit(void *ctx, const struct request *rq, struct reply *out)
{
    struct broker_context *c = ctx;
    struct fields f = fields_of(rq->cmd);
    struct slice group = field_str(&f, "consumerGroup"), topic = field_str(&f, "topic");
    int32_t queue_id = field_i32(&f, "queueId");
    int64_t off = field_i64(&f, "commitOffset"); /* ali-ons says -1 for "nothing yet" */
    if (f.bad[0])
        return admin_bad_field(&f, out);
    if (!name_valid(topic, OFFSETS_KEY_MAX) || !name_valid(group, OFFSETS_KEY_MAX) || topic.n + group.n + 1 > OFFSETS_KEY_MAX)
        return reply_refuse(out, RES_SYSTEM_ERROR, "field %s is no valid name", name_valid(topic, OFFSETS_KEY_MAX) ? "consumerGroup" : "topic");
    offsets_commit(c->offsets, group, topic, queue_id, off);
    return HANDLED_NOW;
}

void consumer_offset_routes(struct route_sink *sink, struct broker_context *c)
{
    routes_add(sink, REQ_QUERY_CONSUMER_OFFSET, query, c);
    routes_add(sink, REQ_UPDATE_CONSUMER_OFFSET, commit, c);
}
