/* reply_message.c - the second half of request and reply: 324 and 325 carry an answer, 326 pushes it to the producer that asked.
 *
 * A request is a plain message whose properties name the asker's client (REPLY_TO_CLIENT). Who answers sends a message that has this
 * property, too, to the broker that had the request: there the asker is known by its heartbeat. The answer to 324 says how the push went,
 * at most 10 s later. The reply is also kept in <cluster>_REPLY_TOPIC when storeReplyMessageEnable says so; whether that
 * succeeds changes nothing but the ids in the answer, as with Apache: what counts for both sides is the push.
 * (test: unit/processor/reply_message; compat, semantics/request-reply) */
#include "broker/metadata/topics.h"
#include "broker/processor/admin.h"
#include "broker/processor/send_header.h"
#include "broker/stats/stats.h"
#include "broker/store/message_store.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/protocol/codes.h"

enum { PUSH_WITHIN_MS = 10000, CLIENT_WORDS_MAX = 255 };
#define PROP_REPLY_TO "REPLY_TO_CLIENT"
#define PROP_PUSH_TIME "PUSH_REPLY_TIME"

struct pushed { /* a reply on its way to who asked */
    struct broker_context *c;
    struct ticket to;
    int32_t queue_id;
    int64_t queue_off;
    char msg_id[MESSAGE_ID_MAX]; /* "0": not stored */
    char client_id[CLIENT_WORDS_MAX + 1]; /* for words */
};

/* What every answer to a send has. */
static void add_switches(const struct broker_context *c, struct reply *out)
{
    reply_str(out, "MSG_REGION", slice_str(c->config->region_id));
    reply_bool(out, "TRACE_ON", c->config->trace_on);
}

/* A reply that did not arrive may be stored all the same; then its ids are in the refusal, too. */
static void fill_answer(const struct pushed *p, bool arrived, struct reply *out)
{
    if (!arrived)
        reply_refuse(out, RES_SYSTEM_ERROR, "push reply message to %s fail.", p->client_id);
    if (arrived || p->msg_id[0] != '0' || p->msg_id[1] != 0) {
        reply_str(out, "msgId", slice_str(p->msg_id));
        reply_int(out, "queueId", p->queue_id);
        reply_int(out, "queueOffset", p->queue_off);
    }
}

static void on_pushed(void *arg, const struct command *answer)
{
    struct pushed *p = arg;
    struct reply *out = &p->c->scratch;
    bool arrived = answer && answer->code == RES_SUCCESS;
    if (!arrived)
        log_info("reply", "the asker did not take the reply client=%s code=%d", p->client_id, answer ? answer->code : -1);
    reply_clear(out);
    fill_answer(p, arrived, out);
    add_switches(p->c, out);
    p->c->outbox->finish(p->c->outbox->ctx, &p->to, out);
    mem_free(p);
}

/* ---- pushing ---- */
struct push_header { /* decimal texts, and what points to them */
    struct ext_field ext[16];
    uint32_t n;
    uint8_t text[10][I64_TEXT_MAX];
    uint32_t n_text;
};

static void add_text(struct push_header *h, const char *key, struct slice value)
{
    h->ext[h->n++] = (struct ext_field){slice_str(key), value};
}

static void add_number(struct push_header *h, const char *key, int64_t value)
{
    uint8_t *at = h->text[h->n_text++];
    add_text(h, key, slice_make(at, (size_t)(i64_text(at, value) - at)));
}

static bool push(struct broker_context *c, const struct request *rq, const struct send_header *h, const struct client *asker, struct slice properties,
                 struct pushed *p)
{
    struct push_header to = {0};
    add_text(&to, "bornHost", slice_str(rq->peer->addr));
    add_text(&to, "storeHost", slice_str(c->addr));
    add_number(&to, "storeTimestamp", rq->now_ms);
    add_text(&to, "producerGroup", h->group);
    add_text(&to, "topic", h->topic);
    add_text(&to, "defaultTopic", h->default_topic.n ? h->default_topic : SLICE_LIT("TBW102"));
    add_number(&to, "defaultTopicQueueNums", h->default_queues);
    add_number(&to, "queueId", h->queue_id);
    add_number(&to, "sysFlag", h->sys_flag);
    add_number(&to, "bornTimestamp", h->born_ms);
    add_number(&to, "flag", h->flag);
    add_number(&to, "reconsumeTimes", h->reconsume_times);
    add_text(&to, "properties", properties);
    add_text(&to, "unitMode", h->unit_mode ? SLICE_LIT("true") : SLICE_LIT("false"));
    struct command call = command_to_client(REQ_PUSH_REPLY_MESSAGE_TO_CLIENT, to.ext, to.n);
    call.body = rq->cmd->body;
    return c->outbox->call(c->outbox->ctx, asker->conn_id, &call, PUSH_WITHIN_MS, on_pushed, p);
}

/* ---- keeping ---- */
static void keep(struct broker_context *c, const struct request *rq, const struct send_header *h, struct pushed *p)
{
    struct message m = {.topic = h->topic, .queue_id = p->queue_id, .flag = h->flag, .born_ms = h->born_ms, .reconsume_times = h->reconsume_times,
                        .store = c->store_host, .born = context_born_host(rq->peer), .body = rq->cmd->body, .properties = h->properties};
    struct put_result put;
    if (message_store_put(c->store, &m, 1, rq->now_ms, &put) != PUT_OK) {
        log_debug("reply", "reply not stored topic=%.*s", SLICE_ARG(h->topic));
        return;
    }
    stats_put(c->stats, h->topic, 1, put.size);
    p->queue_off = put.queue_off;
    message_id(&c->store_host, put.phys_off, p->msg_id);
}

/* ---- the request ---- */
/* False: out is the answer. */
static bool check(struct broker_context *c, const struct request *rq, const struct send_header *h, int32_t *queue_id, struct reply *out)
{
    const struct topic_config *t = topics_find(c->topics, h->topic);
    if (rq->now_ms < c->config->start_accept_send_ms)
        reply_refuse(out, RES_SYSTEM_ERROR, "broker unable to service, until %lld", (long long)c->config->start_accept_send_ms);
    else if (topics_is_reserved(h->topic))
        reply_refuse(out, RES_NO_PERMISSION, "Sending message to topic[%.*s] is forbidden.", SLICE_ARG(slice_head(h->topic, MESSAGE_TOPIC_MAX)));
    else if (t == NULL)
        reply_refuse(out, RES_TOPIC_NOT_EXIST, "topic[%.*s] not exist, apply first please!", SLICE_ARG(slice_head(h->topic, MESSAGE_TOPIC_MAX)));
    else if ((*queue_id = context_pick_queue(c, t, h->queue_id)) < 0)
        reply_refuse(out, RES_SYSTEM_ERROR, "request queueId[%d] is illegal, topic %s has %d write and %d read queues", h->queue_id, t->name,
                     t->write_queues, t->read_queues);
    else
        return true;
    return false;
}

static bool too_large(const struct broker_context *c, const struct request *rq, struct slice properties)
{
    return rq->cmd->body.n > (size_t)c->config->max_message_size || properties.n > MESSAGE_PROPERTIES_MAX;
}

static enum handled deliver(struct broker_context *c, const struct request *rq, const struct send_header *h, struct slice properties, int32_t queue_id,
                            struct reply *out)
{
    struct slice asker_id = {0};
    const struct client *asker = prop_get(h->properties, PROP_REPLY_TO, &asker_id) ? sessions_producer_client(c->sessions, asker_id) : NULL;
    struct pushed *p = mem_zalloc(sizeof *p);
    if (p == NULL)
        return reply_refuse(out, RES_SYSTEM_ERROR, "out of memory");
    *p = (struct pushed){.c = c, .to = rq->ticket, .queue_id = queue_id, .msg_id = "0"};
    slice_copy(slice_head(asker_id, CLIENT_WORDS_MAX), p->client_id, sizeof p->client_id);
    if (c->config->store_reply)
        keep(c, rq, h, p);
    if (asker && push(c, rq, h, asker, properties, p))
        return HANDLED_LATER; /* on_pushed() answers */
    fill_answer(p, false, out);
    buf_clear(&out->remark);
    if (asker_id.n)
        buf_printf(&out->remark, "push reply message fail, channel of <%s> not found.", p->client_id);
    else
        buf_str(&out->remark, "reply message properties[" PROP_REPLY_TO "] is null");
    mem_free(p);
    return HANDLED_NOW;
}

static enum handled try_reply(struct broker_context *c, const struct request *rq, struct reply *out)
{
    struct send_header h;
    struct buf properties = {0};
    int32_t queue_id;
    char bad[160];
    uint8_t now[I64_TEXT_MAX];
    if (!send_header_read(rq->cmd, &h, bad))
        return reply_refuse(out, RES_SYSTEM_ERROR, "%s", bad);
    if (too_large(c, rq, h.properties))
        return reply_refuse(out, RES_MESSAGE_ILLEGAL, "the reply's body or properties are too large");
    if (context_short_of_memory(c, BUDGET_NO_WORK, "a reply is", out) || !check(c, rq, &h, &queue_id, out))
        return HANDLED_NOW;
    prop_copy_without(&properties, h.properties, PROP_PUSH_TIME);
    prop_add(&properties, PROP_PUSH_TIME, slice_make(now, (size_t)(i64_text(now, rq->now_ms) - now)));
    enum handled how = HANDLED_NOW;
    if (properties.failed)
        reply_refuse(out, RES_SYSTEM_ERROR, "out of memory");
    else
        how = deliver(c, rq, &h, buf_view(&properties), queue_id, out);
    buf_free(&properties);
    return how;
}

static enum handled on_reply(void *ctx, const struct request *rq, struct reply *out)
{
    enum handled how = try_reply(ctx, rq, out);
    if (how == HANDLED_NOW)
        add_switches(ctx, out);
    return how;
}

void reply_message_routes(struct route_sink *sink, struct broker_context *c)
{
    routes_add(sink, REQ_SEND_REPLY_MESSAGE, on_reply, c);
    routes_add(sink, REQ_SEND_REPLY_MESSAGE_V2, on_reply, c);
}
