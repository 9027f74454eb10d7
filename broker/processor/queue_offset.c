/* queue_offset.c - the bounds of a queue and its offsets by time: 29 30 31 32. A queue that nobody wrote to has 0 and 0. What these
 * answer includes every message that was acknowledged. */
#include "broker/processor/admin.h"
#include "broker/store/message_store.h"
#include "common/protocol/codes.h"

struct queue {
    struct slice topic;
    int32_t id;
};
static struct queue queue_of(struct fields *f) { return (struct queue){field_str(f, "topic"), field_i32(f, "queueId")}; }

static enum handled by_time(void *ctx, const struct request *rq, struct reply *out)
{
    struct broker_context *c = ctx;
    struct fields f = fields_of(rq->cmd);
    struct queue q = queue_of(&f);
    int64_t time_ms = field_i64(&f, "timestamp");
    if (f.bad[0])
        return admin_bad_field(&f, out);
    reply_int(out, "offset", q.id < 0 ? 0 : message_store_offset_by_time(c->store, q.topic, q.id, time_ms));
    return HANDLED_NOW;
}

static enum handled max_offset(void *ctx, const struct request *rq, struct reply *out)
{
    struct broker_context *c = ctx;
    struct fields f = fields_of(rq->cmd);
    struct queue q = queue_of(&f);
    if (f.bad[0])
        return admin_bad_field(&f, out);
    reply_int(out, "offset", q.id < 0 ? 0 : message_store_max_offset(c->store, q.topic, q.id));
    return HANDLED_NOW;
}

static enum handled min_offset(void *ctx, const struct request *rq, struct reply *out)
{
    struct broker_context *c = ctx;
    struct fields f = fields_of(rq->cmd);
    struct queue q = queue_of(&f);
    if (f.bad[0])
        return admin_bad_field(&f, out);
    reply_int(out, "offset", q.id < 0 ? 0 : message_store_min_offset(c->store, q.topic, q.id));
    return HANDLED_NOW;
}

static enum handled earliest_time(void *ctx, const struct request *rq, struct reply *out)
{
    struct broker_context *c = ctx;
    struct fields f = fields_of(rq->cmd);
    struct queue q = queue_of(&f);
    if (f.bad[0])
        return admin_bad_field(&f, out);
    reply_int(out, "timestamp", q.id < 0 ? -1 : message_store_time_of(c->store, q.topic, q.id, message_store_min_offset(c->store, q.topic, q.id)));
    return HANDLED_NOW;
}

void queue_offset_routes(struct route_sink *sink, struct broker_context *c)
{
    routes_add(sink, REQ_SEARCH_OFFSET_BY_TIMESTAMP, by_time, c);
    routes_add(sink, REQ_GET_MAX_OFFSET, max_offset, c);
    routes_add(sink, REQ_GET_MIN_OFFSET, min_offset, c);
    routes_add(sink, REQ_GET_EARLIEST_MSG_STORETIME, earliest_time, c);
}
