/* client_manage.c - clients come, stay, go, and are looked at: 34 35 38 46 203 204 328. What follows from a change of members (40)
 * is the sessions' listener's business. */
#include "broker/filter/expressions.h"
#include "broker/processor/admin.h"
#include "broker/session/queue_locks.h"
#include "common/protocol/codes.h"

static enum handled heartbeat(void *ctx, const struct request *rq, struct reply *out)
{
    struct broker_context *c = ctx;
    struct fault why = {0};
    char words[400];
    if (sessions_heartbeat(c->sessions, rq->cmd->body, rq->cmd, rq->peer, rq->now_ms, &why) != MQ_OK)
        return reply_refuse(out, RES_SYSTEM_ERROR, "heartbeat: %s", fault_text(&why, words, sizeof words));
    bool changed;
    if (sessions_fingerprinted(c->sessions, rq->peer->conn_id, &changed)) {
        reply_bool(out, "IS_SUPPORT_HEART_BEAT_V2", true);
        reply_bool(out, "IS_SUB_CHANGE", changed);
    }
    return HANDLED_NOW;
}

static enum handled unregister(void *ctx, const struct request *rq, struct reply *out)
{
    struct broker_context *c = ctx;
    struct fields f = fields_of(rq->cmd);
    struct slice client_id = field_str(&f, "clientID");
    struct slice producer = field_str_or_none(&f, "producerGroup"), consumer = field_str_or_none(&f, "consumerGroup");
    if (f.bad[0])
        return admin_bad_field(&f, out);
    sessions_unregister(c->sessions, rq->peer->conn_id, producer, consumer);
    const struct lock_owner who = {.group = consumer, .client_id = client_id};
    if (consumer.n && consumer.n <= SESSION_GROUP_MAX && client_id.n <= SESSION_CLIENT_ID_MAX)
        queue_locks_leave(c->locks, &who); /* it has stopped consuming before it says this */
    return HANDLED_NOW;
}

static enum handled consumer_list(void *ctx, const struct request *rq, struct reply *out)
{
    struct broker_context *c = ctx;
    struct fields f = fields_of(rq->cmd);
    struct slice group = field_str(&f, "consumerGroup");
    if (f.bad[0])
        return admin_bad_field(&f, out);
    const struct consumer_group *g = sessions_consumers(c->sessions, group);
    if (g == NULL)
        return reply_refuse(out, RES_SYSTEM_ERROR, "no consumer for this group, %.*s", SLICE_ARG(slice_head(group, SESSION_GROUP_MAX)));
    struct jw w = jw_over(&out->body, false);
    jw_object(&w);
    jw_key(&w, "consumerIdList");
    jw_array(&w);
    LIST_EACH (it, &g->clients)
        jw_str(&w, slice_str(CONTAINER_OF(it, struct client, node)->client_id));
    jw_end_array(&w);
    jw_end_object(&w);
    return HANDLED_NOW;
}

static enum handled check_expression(const struct broker_context *c, struct slice type, struct slice expression, struct reply *out)
{
    struct fault why = {0};
    if (!c->config->enable_property_filter)
        return reply_refuse(out, RES_SYSTEM_ERROR, "The broker does not support consumer to filter message by %.*s", SLICE_ARG(slice_head(type, 64)));
    if (!slice_is(type, "SQL92"))
        return reply_refuse(out, RES_SUBSCRIPTION_PARSE_FAILED, "expressionType is neither TAG nor SQL92");
    if (expressions_get(c->expressions, expression, &why) == NULL)
        return reply_refuse(out, RES_SUBSCRIPTION_PARSE_FAILED, "%s", why.what);
    return HANDLED_NOW;
}

/* Consumers ask at their start whether the broker understands their expression; tags are never asked about. */
static enum handled check_client(void *ctx, const struct request *rq, struct reply *out)
{
    struct fault why = {0};
    json_t *root = json_parse(rq->cmd->body, &why);
    if (root == NULL)
        return reply_refuse(out, RES_SYSTEM_ERROR, "body: %s", why.what);
    const json_t *subscription = json_object_get(root, "subscriptionData");
    struct slice type = json_str(subscription, "expressionType");
    if (type.n && !slice_is(type, "TAG"))
        check_expression(ctx, type, json_str(subscription, "subString"), out);
    json_decref(root);
    return HANDLED_NOW;
}

/* ---- looking at who is here ---- */
static void write_connections(struct jw *w, const struct list *clients)
{
    jw_key(w, "connectionSet");
    jw_array(w);
    LIST_EACH (it, clients) {
        const struct client *m = CONTAINER_OF(it, struct client, node);
        jw_object(w);
        jw_kv_str(w, "clientAddr", slice_str(m->addr));
        jw_kv_str(w, "clientId", slice_str(m->client_id));
        jw_kv_str(w, "language", slice_str(admin_language(m->language)));
        jw_kv_i64(w, "version", m->version);
        jw_end_object(w);
    }
    jw_end_array(w);
}

static enum handled consumer_connections(void *ctx, const struct request *rq, struct reply *out)
{
    struct broker_context *c = ctx;
    struct fields f = fields_of(rq->cmd);
    struct slice group = field_str(&f, "consumerGroup");
    if (f.bad[0])
        return admin_bad_field(&f, out);
    const struct consumer_group *g = sessions_consumers(c->sessions, group);
    if (g == NULL)
        return reply_refuse(out, RES_CONSUMER_NOT_ONLINE, "the consumer group[%.*s] not online", SLICE_ARG(slice_head(group, SESSION_GROUP_MAX)));
    struct jw w = jw_over(&out->body, false);
    jw_object(&w);
    write_connections(&w, &g->clients);
    jw_kv_str(&w, "consumeFromWhere", slice_str(consume_from_names[g->from]));
    jw_kv_str(&w, "consumeType", slice_str(consume_type_names[g->type]));
    jw_kv_str(&w, "messageModel", slice_str(message_model_names[g->model]));
    jw_key(&w, "subscriptionTable");
    jw_object(&w);
    for (struct hash_node *n = hashmap_first(&g->subscriptions); n; n = hashmap_next(&g->subscriptions, n)) {
        jw_key_slice(&w, n->key);
        subscription_write(&w, CONTAINER_OF(n, struct subscription, node));
    }
    jw_end_object(&w);
    const struct group_mismatch *x = sessions_mismatch(g);
    if (x) { /* ours: Apache's tools pass over it */
        jw_key(&w, "subscriptionMismatch");
        jw_object(&w);
        jw_kv_str(&w, "clientId", slice_str(x->client_a));
        jw_kv_str(&w, "otherClientId", slice_str(x->client_b));
        jw_kv_str(&w, "topic", slice_str(x->topic));
        jw_end_object(&w);
    }
    jw_end_object(&w);
    return HANDLED_NOW;
}

static enum handled producer_connections(void *ctx, const struct request *rq, struct reply *out)
{
    struct broker_context *c = ctx;
    struct fields f = fields_of(rq->cmd);
    struct slice group = field_str(&f, "producerGroup");
    if (f.bad[0])
        return admin_bad_field(&f, out);
    const struct producer_group *g = sessions_producers(c->sessions, group);
    if (g == NULL)
        return reply_refuse(out, RES_SYSTEM_ERROR, "the producer group[%.*s] not exist", SLICE_ARG(slice_head(group, SESSION_GROUP_MAX)));
    struct jw w = jw_over(&out->body, false);
    jw_object(&w);
    write_connections(&w, &g->clients);
    jw_end_object(&w);
    return HANDLED_NOW;
}

static enum handled all_producers(void *ctx, const struct request *rq, struct reply *out)
{
    struct broker_context *c = ctx;
    struct jw w = jw_over(&out->body, false);
    char addr[80] = "/"; /* as Java prints a socket address */
    (void)rq;
    jw_object(&w);
    jw_key(&w, "data");
    jw_object(&w);
    for (const struct producer_group *g = sessions_next_producers(c->sessions, NULL); g; g = sessions_next_producers(c->sessions, g)) {
        jw_key_slice(&w, g->node.key);
        jw_array(&w);
        LIST_EACH (it, &g->clients) {
            const struct client *m = CONTAINER_OF(it, struct client, node);
            slice_copy(slice_str(m->addr), addr + 1, sizeof addr - 1);
            jw_object(&w);
            jw_kv_str(&w, "clientId", slice_str(m->client_id));
            jw_kv_str(&w, "language", slice_str(admin_language(m->language)));
            jw_kv_i64(&w, "lastUpdateTimestamp", m->seen_ms);
            jw_kv_str(&w, "remoteIP", slice_str(addr));
            jw_kv_i64(&w, "version", m->version);
            jw_end_object(&w);
        }
        jw_end_array(&w);
    }
    jw_end_object(&w);
    jw_end_object(&w);
    return HANDLED_NOW;
}

void client_manage_routes(struct route_sink *sink, struct broker_context *c)
{
    routes_add(sink, REQ_HEART_BEAT, heartbeat, c);
    routes_add(sink, REQ_UNREGISTER_CLIENT, unregister, c);
    routes_add(sink, REQ_GET_CONSUMER_LIST_BY_GROUP, consumer_list, c);
    routes_add(sink, REQ_CHECK_CLIENT_CONFIG, check_client, c);
    routes_add(sink, REQ_GET_CONSUMER_CONNECTION_LIST, consumer_connections, c);
    routes_add(sink, REQ_GET_PRODUCER_CONNECTION_LIST, producer_connections, c);
    routes_add(sink, REQ_GET_ALL_PRODUCER_INFO, all_producers, c);
}
