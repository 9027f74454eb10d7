/* topic_admin.c - topics are made, changed, deleted and looked at: 17 21 202 215 300 305 316 351. */
#include "broker/metadata/offsets.h"
#include "broker/metadata/topics.h"
#include "broker/processor/admin.h"
#include "broker/stats/stats.h"
#include "broker/store/message_store.h"
#include "common/base/log.h"
#include "common/protocol/codes.h"

enum { QUEUES_MAX = 65536, PERM_MAX = PERM_READ | PERM_WRITE | PERM_INHERIT };

/* ---- making and deleting ---- */
static bool may_change(struct broker_context *c, struct slice topic, struct reply *out)
{
    if (!admin_master_only(c, out) || !admin_topic_name(topic, out))
        return false;
    if (!topics_is_system(c->topics, topic))
        return true;
    reply_refuse(out, RES_SYSTEM_ERROR, "The topic[%.*s] is conflict with system topic.", SLICE_ARG(topic));
    return false;
}

static enum handled create(void *ctx, const struct request *rq, struct reply *out)
{
    struct broker_context *c = ctx;
    struct fields f = fields_of(rq->cmd);
    struct slice topic = {0}, filter = field_str_or_none(&f, "topicFilterType");
    command_ext(rq->cmd, "topic", &topic);
    struct topic_config want = {.read_queues = field_i32(&f, "readQueueNums"), .write_queues = field_i32(&f, "writeQueueNums"),
                                .perm = field_i32(&f, "perm"), .sys_flag = field_i32_or(&f, "topicSysFlag", 0),
                                .multi_tags = slice_is(filter, "MULTI_TAG")};
    if (!may_change(c, topic, out))
        return HANDLED_NOW;
    if (f.bad[0])
        return admin_bad_field(&f, out);
    if (want.read_queues < 0 || want.read_queues > QUEUES_MAX || want.write_queues < 0 || want.write_queues > QUEUES_MAX)
        return reply_refuse(out, RES_SYSTEM_ERROR, "field %s is out of range: allowed are 0 to %d",
                            want.read_queues < 0 || want.read_queues > QUEUES_MAX ? "readQueueNums" : "writeQueueNums", QUEUES_MAX);
    if (want.perm < 0 || want.perm > PERM_MAX)
        return reply_refuse(out, RES_SYSTEM_ERROR, "field perm is out of range: allowed are 2 (write), 4 (read) and 6 (both)");
    if (filter.n && !want.multi_tags && !slice_is(filter, "SINGLE_TAG"))
        return reply_refuse(out, RES_SYSTEM_ERROR, "field topicFilterType is unknown: %.*s", SLICE_ARG(slice_head(filter, 64)));
    const struct topic_config *old = topics_find(c->topics, topic);
    if (old == NULL && context_short_of_memory(c, BUDGET_NO_GROWTH, "a new topic is", out))
        return HANDLED_NOW;
    want.order = old && old->order; /* the name servers' KV configuration decides it */
    struct fault why = {0};
    if (topics_put_all(c->topics, topic, &want, rq->now_ms, &why) == NULL)
        return context_not_changed(&why, out);
    return c->answer_when_kept(c->broker, &rq->ticket, KEPT_TOPIC_MADE, out);
}

static enum handled delete(void *ctx, const struct request *rq, struct reply *out)
{
    struct broker_context *c = ctx;
    struct slice topic = {0};
    command_ext(rq->cmd, "topic", &topic);
    if (!may_change(c, topic, out))
        return HANDLED_NOW;
    struct fault why = {0};
    enum mq_err err = topics_remove(c->topics, topic, rq->now_ms, &why);
    if (err != MQ_OK && err != MQ_ENOTFOUND)
        return context_not_changed(&why, out);
    message_store_delete_topic(c->store, topic);
    offsets_remove_topic(c->offsets, topic);
    stats_remove_topic(c->stats, topic);
    return c->answer_when_kept(c->broker, &rq->ticket, KEPT_TOPIC_DELETED, out);
}

/* Queues of topics that nobody knows any more: left behind by a deletion while this broker was down. */
struct unused {
    struct broker_context *c;
    struct name_set names;
};
static void note_unused(void *arg, struct slice topic, int32_t queue_id, int64_t min_off, int64_t max_off)
{
    struct unused *u = arg;
    (void)queue_id, (void)min_off, (void)max_off;
    if (topics_find(u->c->topics, topic) == NULL && !topics_is_system(u->c->topics, topic))
        name_set_add(&u->names, topic);
}

static enum handled clean_unused(void *ctx, const struct request *rq, struct reply *out)
{
    struct unused u = {.c = ctx, .names = {.arena = rq->arena}};
    message_store_each_queue(u.c->store, note_unused, &u);
    for (struct hash_node *n = hashmap_first(&u.names.map); n; n = hashmap_next(&u.names.map, n)) {
        log_info("admin", "queues of an unknown topic removed topic=%.*s", SLICE_ARG(n->key));
        message_store_delete_topic(u.c->store, n->key);
    }
    name_set_fini(&u.names);
    return u.names.failed ? reply_refuse(out, RES_SYSTEM_ERROR, "out of memory") : HANDLED_NOW;
}

/* ---- looking ---- */
static enum handled all(void *ctx, const struct request *rq, struct reply *out)
{
    (void)rq;
    topics_encode(((struct broker_context *)ctx)->topics, false, &out->body);
    return HANDLED_NOW;
}

static enum handled one(void *ctx, const struct request *rq, struct reply *out)
{
    struct broker_context *c = ctx;
    struct fields f = fields_of(rq->cmd);
    struct slice topic = field_str(&f, "topic");
    if (f.bad[0])
        return admin_bad_field(&f, out);
    const struct topic_config *t = topics_find(c->topics, topic);
    if (t == NULL)
        return reply_refuse(out, RES_TOPIC_NOT_EXIST, "No topic in this broker. topic: %.*s", SLICE_ARG(slice_head(topic, 255)));
    struct jw w = jw_over(&out->body, false);
    topic_config_write(&w, t);
    return HANDLED_NOW;
}

static enum handled stats(void *ctx, const struct request *rq, struct reply *out)
{
    struct broker_context *c = ctx;
    struct fields f = fields_of(rq->cmd);
    struct slice topic = field_str(&f, "topic");
    if (f.bad[0])
        return admin_bad_field(&f, out);
    const struct topic_config *t = topics_find(c->topics, topic);
    if (t == NULL)
        return reply_refuse(out, RES_TOPIC_NOT_EXIST, "topic[%.*s] not exist", SLICE_ARG(slice_head(topic, 255)));
    struct jw w = jw_over(&out->body, false);
    jw_object(&w);
    jw_key(&w, "offsetTable");
    jw_object(&w);
    for (int32_t i = 0; i < t->write_queues; i++) {
        int64_t min = message_store_min_offset(c->store, topic, i), max = message_store_max_offset(c->store, topic, i);
        admin_queue_key(&w, c, topic, i);
        jw_object(&w);
        jw_kv_i64(&w, "lastUpdateTimestamp", max > 0 ? message_store_time_of(c->store, topic, i, max - 1) : 0);
        jw_kv_i64(&w, "maxOffset", max);
        jw_kv_i64(&w, "minOffset", min);
        jw_end_object(&w);
    }
    jw_end_object(&w);
    jw_end_object(&w);
    return HANDLED_NOW;
}

static enum handled write_names(struct name_set *set, const char *key, struct reply *out)
{
    struct jw w = jw_over(&out->body, false);
    jw_object(&w);
    jw_key(&w, key);
    jw_array(&w);
    for (struct hash_node *n = hashmap_first(&set->map); n; n = hashmap_next(&set->map, n))
        jw_str(&w, n->key);
    jw_end_array(&w);
    jw_end_object(&w);
    name_set_fini(set);
    return set->failed ? reply_refuse(out, RES_SYSTEM_ERROR, "out of memory") : HANDLED_NOW;
}

static enum handled consumed_by(void *ctx, const struct request *rq, struct reply *out)
{
    struct broker_context *c = ctx;
    struct fields f = fields_of(rq->cmd);
    struct slice topic = field_str(&f, "topic");
    struct name_set groups = {.arena = rq->arena};
    if (f.bad[0])
        return admin_bad_field(&f, out);
    for (const struct consumer_group *g = sessions_next_consumers(c->sessions, NULL); g; g = sessions_next_consumers(c->sessions, g))
        if (hashmap_get(&g->subscriptions, topic))
            name_set_add(&groups, g->node.key);
    offsets_groups_of(c->offsets, topic, name_set_add, &groups);
    return write_names(&groups, "groupList", out);
}

static enum handled system_topics(void *ctx, const struct request *rq, struct reply *out)
{
    struct broker_context *c = ctx;
    struct name_set names = {.arena = rq->arena};
    topics_each_system(c->topics, name_set_add, &names);
    return write_names(&names, "topicList", out);
}

void topic_admin_routes(struct route_sink *sink, struct broker_context *c)
{
    routes_add(sink, REQ_UPDATE_AND_CREATE_TOPIC, create, c);
    routes_add(sink, REQ_DELETE_TOPIC_IN_BROKER, delete, c);
    routes_add(sink, REQ_CLEAN_UNUSED_TOPIC, clean_unused, c);
    routes_add(sink, REQ_GET_ALL_TOPIC_CONFIG, all, c);
    routes_add(sink, REQ_GET_TOPIC_CONFIG, one, c);
    routes_add(sink, REQ_GET_TOPIC_STATS_INFO, stats, c);
    routes_add(sink, REQ_QUERY_TOPIC_CONSUME_BY_WHO, consumed_by, c);
    routes_add(sink, REQ_GET_SYSTEM_TOPIC_LIST_FROM_BROKER, system_topics, c);
}
