/* reset_offset.c - an operator moves a running group: 222; and looks where its members think that they are: 223.
 *
 * The broker keeps a group's offsets, but while its members run, they know better and would overwrite them. So 222 only computes where
 * each queue shall go on, and tells every member (220, nothing comes back): it stops, writes the new offset itself (15), and starts
 * there. A group without members is told by 206, and the tool writes the offsets instead.
 *   target   by time, or the end for timestamp -1; never beyond where the group is, unless isForce says so
 * Members are told in their own way: librocketmq reads a list, the others Java's map with objects as keys. (Apache decides this by
 * the tool's language, so its Java tools cannot move a C++ group.)
 * 223 asks every member of the group, or one, by 221, all at once; what did not answer within 5 s is left out.
 * (test: unit/processor/reset_offset; compat, semantics/reset-offset-while-running) */
#include "broker/metadata/offsets.h"
#include "broker/metadata/topics.h"
#include "broker/processor/admin.h"
#include "broker/store/message_store.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/protocol/codes.h"

enum { VERSION_3_0_7_SNAPSHOT = 28, STATUS_WITHIN_MS = 5000, STATUS_BYTES_MAX = 8 << 20 };

/* ---- 222 ---- */
struct reset {
    struct slice topic, group;
    int64_t timestamp, offset; /* offset: of one queue, from tools of 5.x; -1: none */
    int32_t queue_id;          /* -1: all */
    bool force;
};
struct target {
    int32_t queue_id;
    int64_t off;
};

/* Where a queue that is at `now` shall go on. */
static int64_t target_of(const struct broker_context *c, const struct reset *r, int32_t queue_id, int64_t now)
{
    int64_t max = message_store_max_offset(c->store, r->topic, queue_id);
    int64_t off = r->offset >= 0 ? r->offset : r->timestamp == -1 ? max : message_store_offset_by_time(c->store, r->topic, queue_id, r->timestamp);
    if (off < 0)
        off = 0;
    return r->force || off < now ? off : now;
}

/* One target a queue. False: out is the answer. */
static bool find_targets(const struct broker_context *c, const struct reset *r, const struct topic_config *t, struct target *to, int32_t *n,
                         struct reply *out)
{
    *n = 0;
    for (int32_t i = 0; i < t->write_queues; i++) {
        if (r->queue_id >= 0 && i != r->queue_id)
            continue;
        int64_t now = offsets_query(c->offsets, r->group, r->topic, i);
        if (now < 0) {
            reply_refuse(out, RES_SYSTEM_ERROR, "THe consumer group <%.*s> not exist", SLICE_ARG(slice_head(r->group, SESSION_GROUP_MAX)));
            return false;
        }
        int64_t max = message_store_max_offset(c->store, r->topic, i);
        if (r->offset > max) {
            reply_refuse(out, RES_SYSTEM_ERROR, "offset %lld is beyond the end of queue %d, %lld", (long long)r->offset, i, (long long)max);
            return false;
        }
        to[(*n)++] = (struct target){i, target_of(c, r, i, now)};
    }
    if (*n == 0)
        reply_refuse(out, RES_SYSTEM_ERROR, "queueId %d is beyond the topic's %d write queues", r->queue_id, t->write_queues);
    return *n > 0;
}

static void write_map(struct buf *to, const struct broker_context *c, struct slice topic, const struct target *targets, int32_t n)
{
    struct jw w = jw_over(to, false);
    jw_object(&w);
    jw_key(&w, "offsetTable");
    jw_object(&w);
    for (int32_t i = 0; i < n; i++) {
        admin_queue_key(&w, c, topic, targets[i].queue_id);
        jw_i64(&w, targets[i].off);
    }
    jw_end_object(&w);
    jw_end_object(&w);
}

static void write_list(struct buf *to, const struct broker_context *c, struct slice topic, const struct target *targets, int32_t n)
{
    struct jw w = jw_over(to, false);
    jw_object(&w);
    jw_key(&w, "offsetTable");
    jw_array(&w);
    for (int32_t i = 0; i < n; i++) {
        jw_object(&w);
        jw_kv_str(&w, "brokerName", slice_str(c->config->broker_name));
        jw_kv_i64(&w, "offset", targets[i].off);
        jw_kv_i64(&w, "queueId", targets[i].queue_id);
        jw_kv_str(&w, "topic", topic);
        jw_end_object(&w);
    }
    jw_end_array(&w);
    jw_end_object(&w);
}

/* False: one of them cannot be told, and nobody was; out is the answer. */
static bool members_can(const struct consumer_group *g, struct reply *out)
{
    LIST_EACH (it, &g->clients) {
        const struct client *m = CONTAINER_OF(it, struct client, node);
        if (m->version >= VERSION_3_0_7_SNAPSHOT)
            continue;
        reply_refuse(out, RES_SYSTEM_ERROR, "the client does not support this feature. version=%d", m->version);
        return false;
    }
    return true;
}

static void tell_members(const struct broker_context *c, const struct reset *r, const struct consumer_group *g, struct slice map, struct slice list)
{
    uint8_t time_text[I64_TEXT_MAX];
    struct slice time = slice_make(time_text, (size_t)(i64_text(time_text, r->timestamp) - time_text));
    const struct ext_field ext[] = {{SLICE_LIT("topic"), r->topic}, {SLICE_LIT("group"), r->group}, {SLICE_LIT("timestamp"), time},
                                    {SLICE_LIT("isForce"), r->force ? SLICE_LIT("true") : SLICE_LIT("false")}};
    struct command notice = command_to_client(REQ_RESET_CONSUMER_CLIENT_OFFSET, ext, sizeof ext / sizeof *ext);
    notice.flag = COMMAND_ONEWAY;
    LIST_EACH (it, &g->clients) {
        const struct client *m = CONTAINER_OF(it, struct client, node);
        notice.body = m->language == LANGUAGE_CPP ? list : map;
        bool told = c->outbox->oneway(c->outbox->ctx, m->conn_id, &notice);
        log_info("reset", "%s group=%s topic=%.*s timestamp=%lld force=%d client=%s addr=%s",
                 told ? "member told its new offsets" : "member is leaving, not told", g->name, SLICE_ARG(r->topic), (long long)r->timestamp,
                 r->force, m->client_id, m->addr);
    }
}

static enum handled reset_offset(void *ctx, const struct request *rq, struct reply *out)
{
    struct broker_context *c = ctx;
    struct fields f = fields_of(rq->cmd);
    struct reset r = {.topic = field_str(&f, "topic"), .group = field_str(&f, "group"), .timestamp = field_i64(&f, "timestamp"),
                      .force = field_bool_or(&f, "isForce", false), .queue_id = field_i32_or(&f, "queueId", -1), .offset = field_i64_or(&f, "offset", -1)};
    int32_t n;
    if (f.bad[0])
        return admin_bad_field(&f, out);
    if (r.queue_id < 0)
        r.offset = -1; /* one for all queues makes no sense */
    const struct topic_config *t = topics_find(c->topics, r.topic);
    if (t == NULL)
        return reply_refuse(out, RES_SYSTEM_ERROR, "[reset-offset] reset offset failed, no topic in this broker. topic=%.*s",
                            SLICE_ARG(slice_head(r.topic, SESSION_TOPIC_MAX)));
    struct target *targets = arena_alloc(rq->arena, (size_t)(t->write_queues + 1) * sizeof *targets);
    if (targets == NULL)
        return reply_refuse(out, RES_SYSTEM_ERROR, "out of memory");
    if (!find_targets(c, &r, t, targets, &n, out))
        return HANDLED_NOW;
    const struct consumer_group *g = sessions_consumers(c->sessions, r.group);
    if (g == NULL)
        return reply_refuse(out, RES_CONSUMER_NOT_ONLINE, "Consumer not online, so can not reset offset, Group: %.*s Topic: %s Timestamp: %lld",
                            SLICE_ARG(slice_head(r.group, SESSION_GROUP_MAX)), t->name, (long long)r.timestamp);
    if (!members_can(g, out))
        return HANDLED_NOW;
    struct buf list = {0};
    write_map(&out->body, c, r.topic, targets, n);
    write_list(&list, c, r.topic, targets, n);
    if (out->body.failed || list.failed)
        reply_refuse(out, RES_SYSTEM_ERROR, "out of memory");
    else
        tell_members(c, &r, g, buf_view(&out->body), buf_view(&list));
    buf_free(&list);
    return HANDLED_NOW;
}

/* ---- 223 ---- */
struct survey { /* of a group: one question to many, one answer */
    struct broker_context *c;
    struct ticket to;
    size_t open;    /* questions without an answer, and one for the asking itself */
    struct buf answer; /* {"consumerTable":{... as far as it came */
    struct jw w;
};
struct question {
    struct survey *survey;
    char client_id[]; /* NUL-terminated */
};

static void survey_end(struct survey *s)
{
    if (--s->open > 0)
        return;
    struct reply *out = &s->c->scratch;
    jw_end_object(&s->w);
    jw_key(&s->w, "messageQueueTable");
    jw_object(&s->w);
    jw_end_object(&s->w);
    jw_end_object(&s->w);
    reply_clear(out);
    if (s->answer.failed)
        reply_refuse(out, RES_SYSTEM_ERROR, "out of memory");
    else
        buf_slice(&out->body, buf_view(&s->answer));
    s->c->outbox->finish(s->c->outbox->ctx, &s->to, out);
    buf_free(&s->answer);
    mem_free(s);
}

static void take_status(struct survey *s, const char *client_id, struct slice body)
{
    struct fault why = {0};
    json_t *root = json_parse(body, &why);
    json_t *table = root ? json_object_get(root, "messageQueueTable") : NULL, *off;
    const char *queue;
    if (json_is_object(table) && s->answer.n + body.n <= STATUS_BYTES_MAX) {
        jw_key(&s->w, client_id);
        jw_object(&s->w);
        json_object_foreach(table, queue, off) {
            if (queue[0] == '{') { /* the queue as an object: as it came */
                jw_key_raw(&s->w, slice_str(queue));
                jw_i64(&s->w, json_i64(table, queue, 0));
            }
        }
        jw_end_object(&s->w);
    }
    json_decref(root);
}

static void on_status(void *arg, const struct command *answer)
{
    struct question *q = arg;
    if (answer && answer->code == RES_SUCCESS && answer->body.n)
        take_status(q->survey, q->client_id, answer->body);
    else
        log_info("reset", "a member did not tell its status client=%s code=%d", q->client_id, answer ? answer->code : -1);
    survey_end(q->survey);
    mem_free(q);
}

static void ask(struct survey *s, const struct client *m, const struct command *call)
{
    struct slice id = slice_str(m->client_id);
    struct question *q = mem_alloc(sizeof *q + id.n + 1);
    if (q == NULL)
        return;
    q->survey = s;
    slice_copy(id, q->client_id, id.n + 1);
    s->open++;
    if (s->c->outbox->call(s->c->outbox->ctx, m->conn_id, call, STATUS_WITHIN_MS, on_status, q))
        return;
    s->open--;
    mem_free(q);
}

static enum handled consumer_status(void *ctx, const struct request *rq, struct reply *out)
{
    struct broker_context *c = ctx;
    struct fields f = fields_of(rq->cmd);
    struct slice topic = field_str(&f, "topic"), group = field_str(&f, "group"), only = slice_trim(field_str_or_none(&f, "clientAddr"));
    if (f.bad[0])
        return admin_bad_field(&f, out);
    const struct consumer_group *g = sessions_consumers(c->sessions, group);
    if (g == NULL)
        return reply_refuse(out, RES_SYSTEM_ERROR, "No Any Consumer online in the consumer group: [%.*s]",
                            SLICE_ARG(slice_head(group, SESSION_GROUP_MAX)));
    if (!members_can(g, out))
        return HANDLED_NOW;
    struct survey *s = mem_zalloc(sizeof *s);
    if (s == NULL)
        return reply_refuse(out, RES_SYSTEM_ERROR, "out of memory");
    *s = (struct survey){.c = c, .to = rq->ticket, .open = 1};
    s->w = jw_over(&s->answer, false);
    jw_object(&s->w);
    jw_key(&s->w, "consumerTable");
    jw_object(&s->w);
    const struct ext_field ext[] = {{SLICE_LIT("topic"), topic}, {SLICE_LIT("group"), group}};
    const struct command call = command_to_client(REQ_GET_CONSUMER_STATUS_FROM_CLIENT, ext, sizeof ext / sizeof *ext);
    LIST_EACH (it, &g->clients) {
        const struct client *m = CONTAINER_OF(it, struct client, node);
        if (only.n == 0 || slice_is(only, m->client_id))
            ask(s, m, &call);
    }
    survey_end(s); /* answers now when nobody could be asked */
    return HANDLED_LATER;
}

void reset_offset_routes(struct route_sink *sink, struct broker_context *c)
{
    routes_add(sink, REQ_INVOKE_BROKER_TO_RESET_OFFSET, reset_offset, c);
    routes_add(sink, REQ_INVOKE_BROKER_TO_GET_CONSUMER_STATUS, consumer_status, c);
}
