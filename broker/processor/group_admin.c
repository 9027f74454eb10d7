/* group_admin.c - subscription groups and how far they are: 200 201 207 208 303 308 314 317 343 345 352. */
#include "broker/metadata/groups.h"
#include "broker/metadata/offsets.h"
#include "broker/metadata/topics.h"
#include "broker/processor/admin.h"
#include "broker/stats/stats.h"
#include "broker/store/message_store.h"
#include "common/protocol/codes.h"

/* ---- making and deleting ---- */
static enum handled put(void *ctx, const struct request *rq, struct reply *out)
{
    struct broker_context *c = ctx;
    struct fault why = {0};
    struct group_config want;
    struct slice name;
    char words[160];
    bool made = false;
    if (!admin_master_only(c, out))
        return HANDLED_NOW;
    json_t *root = json_parse(rq->cmd->body, &why);
    if (root == NULL)
        return reply_refuse(out, RES_SYSTEM_ERROR, "body: %s", why.what);
    if (!groups_from_json(root, &name, &want, words))
        reply_refuse(out, RES_SYSTEM_ERROR, "body: %s", words);
    else if (admin_group_name(name, out) && !context_no_room_for_group(c, name, out) && !(made = groups_put(c->groups, &want, name, rq->now_ms, &why) != NULL))
        context_not_changed(&why, out);
    json_decref(root);
    return made ? c->answer_when_kept(c->broker, &rq->ticket, KEPT_GROUP, out) : HANDLED_NOW;
}

static enum handled delete(void *ctx, const struct request *rq, struct reply *out)
{
    struct broker_context *c = ctx;
    struct fields f = fields_of(rq->cmd);
    struct slice group = field_str(&f, "groupName");
    bool with_offsets = field_bool_or(&f, "removeOffset", false) || field_bool_or(&f, "cleanOffset", false); /* 4.9, 5.x */
    if (f.bad[0])
        return admin_bad_field(&f, out);
    if (!admin_master_only(c, out))
        return HANDLED_NOW;
    struct fault why = {0};
    enum mq_err err = groups_remove(c->groups, group, rq->now_ms, &why);
    if (err != MQ_OK && err != MQ_ENOTFOUND)
        return context_not_changed(&why, out);
    if (with_offsets)
        offsets_remove_group(c->offsets, group);
    stats_remove_group(c->stats, group);
    return c->answer_when_kept(c->broker, &rq->ticket, KEPT_GROUP, out);
}

/* ---- topics of a group ---- */
/* A group that is here and does not subscribe to the topic has left it: its old offsets are nobody's business. */
static bool has_left(const struct broker_context *c, struct slice group, struct slice topic)
{
    const struct consumer_group *g = sessions_consumers(c->sessions, group);
    return g && g->subscriptions.n > 0 && hashmap_get(&g->subscriptions, topic) == NULL;
}

static void topics_of(const struct broker_context *c, struct slice group, struct slice topic, struct name_set *out)
{
    if (slice_trim(topic).n)
        name_set_add(out, topic);
    else
        offsets_topics_of(c->offsets, group, name_set_add, out);
}

struct bounds {
    int64_t broker_off, consumer_off;
};
static struct bounds bounds_of(const struct broker_context *c, struct slice group, struct slice topic, int32_t queue_id)
{
    int64_t off = offsets_query(c->offsets, group, topic, queue_id);
    return (struct bounds){message_store_max_offset(c->store, topic, queue_id), off > 0 ? off : 0};
}

static void write_queue(struct jw *w, const struct broker_context *c, struct slice topic, int32_t queue_id, struct bounds b)
{
    int64_t time_ms = b.consumer_off > 0 ? message_store_time_of(c->store, topic, queue_id, b.consumer_off - 1) : 0;
    admin_queue_key(w, c, topic, queue_id);
    jw_object(w);
    jw_kv_i64(w, "brokerOffset", b.broker_off);
    jw_kv_i64(w, "consumerOffset", b.consumer_off);
    jw_kv_i64(w, "lastTimestamp", time_ms > 0 ? time_ms : 0);
    jw_end_object(w);
}

static double tps(const struct broker_context *c, struct slice group, struct slice topic)
{
    return stats_tps_of_minute(c->stats, STAT_GROUP_GET_NUMS, topic, group);
}

static enum handled consume_stats(void *ctx, const struct request *rq, struct reply *out)
{
    struct broker_context *c = ctx;
    struct fields f = fields_of(rq->cmd);
    struct slice group = field_str(&f, "consumerGroup"), topic = field_str_or_none(&f, "topic");
    struct name_set topics = {.arena = rq->arena};
    double sum = 0;
    if (f.bad[0])
        return admin_bad_field(&f, out);
    topics_of(c, group, topic, &topics);
    for (struct hash_node *n = hashmap_first(&topics.map); n; n = hashmap_next(&topics.map, n))
        if (topics_find(c->topics, n->key) && !has_left(c, group, n->key))
            sum += tps(c, group, n->key);
    struct jw w = jw_over(&out->body, false);
    jw_object(&w);
    jw_key(&w, "consumeTps");
    jw_double(&w, sum);
    jw_key(&w, "offsetTable");
    jw_object(&w);
    for (struct hash_node *n = hashmap_first(&topics.map); n; n = hashmap_next(&topics.map, n)) {
        const struct topic_config *t = topics_find(c->topics, n->key);
        for (int32_t i = 0; t && !has_left(c, group, n->key) && i < t->read_queues; i++)
            write_queue(&w, c, n->key, i, bounds_of(c, group, n->key, i));
    }
    jw_end_object(&w);
    jw_end_object(&w);
    name_set_fini(&topics);
    return topics.failed ? reply_refuse(out, RES_SYSTEM_ERROR, "out of memory") : HANDLED_NOW;
}

/* ---- all groups at once ---- */
static int64_t write_topic_stats(struct jw *w, const struct broker_context *c, struct slice group, const struct topic_config *t)
{
    int64_t behind = 0;
    struct slice topic = t->node.key;
    jw_object(w);
    jw_key(w, "consumeTps");
    jw_double(w, tps(c, group, topic));
    jw_key(w, "offsetTable");
    jw_object(w);
    for (int32_t i = 0; i < t->write_queues; i++) {
        struct bounds b = bounds_of(c, group, topic, i);
        behind += b.broker_off - b.consumer_off;
        write_queue(w, c, topic, i, b);
    }
    jw_end_object(w);
    jw_end_object(w);
    return behind;
}

static enum handled all_consume_stats(void *ctx, const struct request *rq, struct reply *out)
{
    struct broker_context *c = ctx;
    struct fields f = fields_of(rq->cmd);
    bool order_only = field_bool_or(&f, "isOrder", false), failed = false;
    int64_t behind = 0;
    if (f.bad[0])
        return admin_bad_field(&f, out);
    struct jw w = jw_over(&out->body, false);
    jw_object(&w);
    jw_kv_str(&w, "brokerAddr", slice_str(c->addr));
    jw_key(&w, "consumeStatsList");
    jw_array(&w);
    for (const struct group_config *g = groups_next(c->groups, NULL); g; g = groups_next(c->groups, g)) {
        struct name_set topics = {.arena = rq->arena};
        topics_of(c, g->node.key, (struct slice){0}, &topics);
        jw_object(&w);
        jw_key_slice(&w, g->node.key);
        jw_array(&w);
        for (struct hash_node *n = hashmap_first(&topics.map); n; n = hashmap_next(&topics.map, n)) {
            const struct topic_config *t = topics_find(c->topics, n->key);
            if (t && (!order_only || t->order) && !has_left(c, g->node.key, n->key))
                behind += write_topic_stats(&w, c, g->node.key, t);
        }
        jw_end_array(&w);
        jw_end_object(&w);
        failed = failed || topics.failed;
        name_set_fini(&topics);
    }
    jw_end_array(&w);
    jw_kv_i64(&w, "totalDiff", behind);
    jw_end_object(&w);
    return failed ? reply_refuse(out, RES_SYSTEM_ERROR, "out of memory") : HANDLED_NOW;
}

/* ---- times ---- */
static void write_span(struct jw *w, const struct broker_context *c, struct slice group, struct slice topic, int32_t i, int64_t now_ms)
{
    int64_t min = message_store_min_offset(c->store, topic, i), max = message_store_max_offset(c->store, topic, i);
    int64_t off = offsets_query(c->offsets, group, topic, i), first_ms = message_store_time_of(c->store, topic, i, min);
    jw_object(w);
    jw_kv_i64(w, "consumeTimeStamp", off > 0 ? message_store_time_of(c->store, topic, i, off - 1) : first_ms);
    jw_kv_i64(w, "delayTime", off < max ? now_ms - message_store_time_of(c->store, topic, i, off < 0 ? min : off) : 0);
    jw_kv_i64(w, "maxTimeStamp", max > 0 ? message_store_time_of(c->store, topic, i, max - 1) : -1);
    jw_key(w, "messageQueue");
    admin_queue(w, c, topic, i);
    jw_kv_i64(w, "minTimeStamp", first_ms);
    jw_end_object(w);
}

static enum handled time_span(void *ctx, const struct request *rq, struct reply *out)
{
    struct broker_context *c = ctx;
    struct fields f = fields_of(rq->cmd);
    struct slice topic = field_str(&f, "topic"), group = field_str(&f, "group");
    if (f.bad[0])
        return admin_bad_field(&f, out);
    const struct topic_config *t = topics_find(c->topics, topic);
    if (t == NULL)
        return reply_refuse(out, RES_TOPIC_NOT_EXIST, "topic[%.*s] not exist", SLICE_ARG(slice_head(topic, 255)));
    struct jw w = jw_over(&out->body, false);
    jw_object(&w);
    jw_key(&w, "consumeTimeSpanSet");
    jw_array(&w);
    for (int32_t i = 0; i < t->write_queues; i++)
        write_span(&w, c, group, topic, i, rq->now_ms);
    jw_end_array(&w);
    jw_end_object(&w);
    return HANDLED_NOW;
}

/* ---- the rest ---- */
static enum handled clone_offsets(void *ctx, const struct request *rq, struct reply *out)
{
    struct broker_context *c = ctx;
    struct fields f = fields_of(rq->cmd);
    struct slice from = field_str(&f, "srcGroup"), to = field_str(&f, "destGroup"), topic = field_str_or_none(&f, "topic");
    bool offline = field_bool_or(&f, "offline", false);
    struct name_set topics = {.arena = rq->arena};
    if (f.bad[0])
        return admin_bad_field(&f, out);
    if (!admin_group_name(to, out))
        return HANDLED_NOW;
    topics_of(c, from, topic, &topics);
    for (struct hash_node *n = hashmap_first(&topics.map); n; n = hashmap_next(&topics.map, n))
        if (topics_find(c->topics, n->key) && (offline || !has_left(c, from, n->key)))
            offsets_clone(c->offsets, from, to, n->key);
    name_set_fini(&topics);
    return topics.failed ? reply_refuse(out, RES_SYSTEM_ERROR, "out of memory") : HANDLED_NOW;
}

static bool is_named(struct slice list, struct slice name) /* in a,b,c */
{
    struct slice one;
    while (slice_cut(&list, ',', &one))
        if (slice_eq(one, name))
            return true;
    return false;
}

/* The least offset of a queue that a group has, leaving out those named and those behind the queue's first message; -1: none. */
static int64_t least_offset(const struct broker_context *c, const struct name_set *groups, struct slice without, struct slice topic, int32_t queue_id)
{
    int64_t min = message_store_min_offset(c->store, topic, queue_id), least = -1;
    for (struct hash_node *n = hashmap_first(&groups->map); n; n = hashmap_next(&groups->map, n)) {
        int64_t off = is_named(without, n->key) ? -1 : offsets_query(c->offsets, n->key, topic, queue_id);
        if (off >= 0 && off >= min && (least < 0 || off < least))
            least = off;
    }
    return least;
}

/* 308: where the slowest group is in each queue; "never" where the group to compare with is slower still. (Apache's broker forgets the offsets
 * of the groups that are to be left out; ours does not.) */
static enum handled corrections(void *ctx, const struct request *rq, struct reply *out)
{
    struct broker_context *c = ctx;
    struct fields f = fields_of(rq->cmd);
    struct slice topic = field_str(&f, "topic"), compare = field_str(&f, "compareGroup"), without = field_str_or_none(&f, "filterGroups");
    struct name_set groups = {.arena = rq->arena};
    if (f.bad[0])
        return admin_bad_field(&f, out);
    const struct topic_config *t = topics_find(c->topics, topic);
    int32_t queues = t ? topic_queues(t) : 0;
    struct jw w = jw_over(&out->body, false);
    offsets_groups_of(c->offsets, topic, name_set_add, &groups);
    jw_object(&w);
    jw_key(&w, "correctionOffsets");
    jw_object(&w);
    for (int32_t i = 0; i < queues; i++) {
        int64_t least = least_offset(c, &groups, without, topic, i), theirs = offsets_query(c->offsets, compare, topic, i);
        uint8_t key[I64_TEXT_MAX];
        if (least < 0)
            continue;
        jw_key_raw(&w, slice_make(key, (size_t)(i64_text(key, i) - key)));
        jw_i64(&w, theirs >= 0 && least > theirs ? INT64_MAX : least);
    }
    jw_end_object(&w);
    jw_end_object(&w);
    name_set_fini(&groups);
    return groups.failed ? reply_refuse(out, RES_SYSTEM_ERROR, "out of memory") : HANDLED_NOW;
}

static enum handled topics_by_group(void *ctx, const struct request *rq, struct reply *out) /* 343, of 5.x */
{
    struct broker_context *c = ctx;
    struct fields f = fields_of(rq->cmd);
    struct slice group = field_str(&f, "group");
    struct name_set topics = {.arena = rq->arena};
    if (f.bad[0])
        return admin_bad_field(&f, out);
    offsets_topics_of(c->offsets, group, name_set_add, &topics);
    struct jw w = jw_over(&out->body, false);
    jw_object(&w);
    jw_kv_str(&w, "brokerAddr", slice_str(c->addr));
    jw_key(&w, "topicList");
    jw_array(&w);
    for (struct hash_node *n = hashmap_first(&topics.map); n; n = hashmap_next(&topics.map, n))
        jw_str(&w, n->key);
    jw_end_array(&w);
    jw_end_object(&w);
    name_set_fini(&topics);
    return topics.failed ? reply_refuse(out, RES_SYSTEM_ERROR, "out of memory") : HANDLED_NOW;
}

static enum handled subscription_of(void *ctx, const struct request *rq, struct reply *out) /* 345, of 5.x */
{
    struct broker_context *c = ctx;
    struct fields f = fields_of(rq->cmd);
    struct slice group = field_str(&f, "group"), topic = field_str_or_none(&f, "topic");
    if (f.bad[0])
        return admin_bad_field(&f, out);
    const struct consumer_group *g = sessions_consumers(c->sessions, group);
    struct hash_node *n = g ? hashmap_get(&g->subscriptions, topic) : NULL;
    struct jw w = jw_over(&out->body, false);
    jw_object(&w);
    jw_kv_str(&w, "group", group);
    if (n) {
        jw_key(&w, "subscriptionData");
        subscription_write(&w, CONTAINER_OF(n, struct subscription, node));
    }
    if (topic.p)
        jw_kv_str(&w, "topic", topic);
    jw_end_object(&w);
    return HANDLED_NOW;
}

static enum handled all(void *ctx, const struct request *rq, struct reply *out)
{
    (void)rq;
    groups_encode(((struct broker_context *)ctx)->groups, false, &out->body);
    return HANDLED_NOW;
}

static enum handled one(void *ctx, const struct request *rq, struct reply *out)
{
    struct broker_context *c = ctx;
    struct fields f = fields_of(rq->cmd);
    struct slice group = field_str(&f, "group");
    if (f.bad[0])
        return admin_bad_field(&f, out);
    if (context_no_room_for_group(c, group, out))
        return HANDLED_NOW;
    const struct group_config *g = groups_find_or_create(c->groups, group, rq->now_ms);
    if (g == NULL)
        return reply_refuse(out, RES_SUBSCRIPTION_GROUP_NOT_EXIST, "No group in this broker. group: %.*s", SLICE_ARG(slice_head(group, 255)));
    struct jw w = jw_over(&out->body, false);
    group_config_write(&w, g);
    return HANDLED_NOW;
}

void group_admin_routes(struct route_sink *sink, struct broker_context *c)
{
    routes_add(sink, REQ_UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, put, c);
    routes_add(sink, REQ_DELETE_SUBSCRIPTIONGROUP, delete, c);
    routes_add(sink, REQ_GET_ALL_SUBSCRIPTIONGROUP_CONFIG, all, c);
    routes_add(sink, REQ_GET_SUBSCRIPTIONGROUP_CONFIG, one, c);
    routes_add(sink, REQ_GET_CONSUME_STATS, consume_stats, c);
    routes_add(sink, REQ_GET_BROKER_CONSUME_STATS, all_consume_stats, c);
    routes_add(sink, REQ_QUERY_CONSUME_TIME_SPAN, time_span, c);
    routes_add(sink, REQ_CLONE_GROUP_OFFSET, clone_offsets, c);
    routes_add(sink, REQ_QUERY_CORRECTION_OFFSET, corrections, c);
    routes_add(sink, REQ_QUERY_TOPICS_BY_CONSUMER, topics_by_group, c);
    routes_add(sink, REQ_QUERY_SUBSCRIPTION_BY_CONSUMER, subscription_of, c);
}
