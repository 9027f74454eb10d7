/* route_requests.c - clients ask where topics are (105), administrators for lists, and for changes that are no broker's own. */
#include "common/base/log.h"
#include "common/protocol/codes.h"
#include "namesrv/processor/processors.h"

static enum handled route_of_topic(void *ctx, const struct request *rq, struct reply *out)
{
    struct namesrv *ns = ctx;
    struct fields f = fields_of(rq->cmd);
    struct slice topic = field_str(&f, "topic"), answer;

    if (refuse_fields(out, &f))
        return HANDLED_NOW;
    if (routes_answer(ns->routes, topic, &answer)) {
        buf_slice(&out->body, answer);
        return finish_body(out);
    }
    return reply_refuse(out, RES_TOPIC_NOT_EXIST,
                        "No topic route info in name server for the topic: %.*s\n"
                        "See http://rocketmq.apache.org/docs/faq/ for further details.",
                        SLICE_ARG(slice_head(topic, ROUTES_NAME_MAX)));
}

static enum handled cluster_info(void *ctx, const struct request *rq, struct reply *out)
{
    const struct namesrv *ns = ctx;
    (void)rq;
    routes_json_clusters(ns->routes, &out->body);
    return finish_body(out);
}

static enum handled all_topics(void *ctx, const struct request *rq, struct reply *out)
{
    const struct namesrv *ns = ctx;
    (void)rq;
    routes_json_topics(ns->routes, &out->body);
    return finish_body(out);
}

static enum handled system_topics(void *ctx, const struct request *rq, struct reply *out)
{
    const struct namesrv *ns = ctx;
    (void)rq;
    routes_json_system(ns->routes, &out->body);
    return finish_body(out);
}

static enum handled cluster_topics(void *ctx, const struct request *rq, struct reply *out)
{
    const struct namesrv *ns = ctx;
    struct fields f = fields_of(rq->cmd);
    struct slice cluster = field_str(&f, "cluster");

    if (refuse_fields(out, &f))
        return HANDLED_NOW;
    routes_json_topics_of(ns->routes, cluster, &out->body);
    return finish_body(out);
}

static enum handled unit_topics(void *ctx, const struct request *rq, struct reply *out)
{
    const struct namesrv *ns = ctx;
    (void)rq;
    routes_json_topics_flagged(ns->routes, TOPIC_UNIT, TOPIC_UNIT, &out->body);
    return finish_body(out);
}

static enum handled unit_sub_topics(void *ctx, const struct request *rq, struct reply *out)
{
    const struct namesrv *ns = ctx;
    (void)rq;
    routes_json_topics_flagged(ns->routes, TOPIC_UNIT_SUB, TOPIC_UNIT_SUB, &out->body);
    return finish_body(out);
}

static enum handled unit_sub_ununit_topics(void *ctx, const struct request *rq, struct reply *out)
{
    const struct namesrv *ns = ctx;
    (void)rq;
    routes_json_topics_flagged(ns->routes, TOPIC_UNIT | TOPIC_UNIT_SUB, TOPIC_UNIT_SUB, &out->body);
    return finish_body(out);
}

static enum handled delete_topic(void *ctx, const struct request *rq, struct reply *out)
{
    struct namesrv *ns = ctx;
    struct fields f = fields_of(rq->cmd);
    struct slice topic = field_str(&f, "topic"), cluster = field_str_or_none(&f, "clusterName");

    if (refuse_fields(out, &f))
        return HANDLED_NOW;
    if (cluster.n > 0)
        routes_delete_topic_of(ns->routes, topic, cluster);
    else
        routes_delete_topic(ns->routes, topic);
    log_info("namesrv", "topic deleted topic=%.*s peer=%s", SLICE_ARG(slice_head(topic, ROUTES_NAME_MAX)), rq->peer->addr);
    return HANDLED_NOW;
}

static enum handled wipe_write(void *ctx, const struct request *rq, struct reply *out)
{
    struct namesrv *ns = ctx;
    struct fields f = fields_of(rq->cmd);
    struct slice broker = field_str(&f, "brokerName");

    if (refuse_fields(out, &f))
        return HANDLED_NOW;
    size_t n = routes_wipe_write(ns->routes, broker);
    reply_int(out, "wipeTopicCount", (int64_t)n);
    log_info("namesrv", "write permission wiped broker=%.*s topics=%zu peer=%s", SLICE_ARG(slice_head(broker, ROUTES_NAME_MAX)), n, rq->peer->addr);
    return HANDLED_NOW;
}

static enum handled add_write(void *ctx, const struct request *rq, struct reply *out)
{
    struct namesrv *ns = ctx;
    struct fields f = fields_of(rq->cmd);
    struct slice broker = field_str(&f, "brokerName");

    if (refuse_fields(out, &f))
        return HANDLED_NOW;
    size_t n = routes_add_write(ns->routes, broker);
    reply_int(out, "addTopicCount", (int64_t)n);
    log_info("namesrv", "write permission added broker=%.*s topics=%zu peer=%s", SLICE_ARG(slice_head(broker, ROUTES_NAME_MAX)), n, rq->peer->addr);
    return HANDLED_NOW;
}

void route_requests(struct namesrv *ns, struct request_table *t)
{
    requests_add(t, ns, REQ_GET_ROUTEINFO_BY_TOPIC, route_of_topic);
    requests_add(t, ns, REQ_GET_BROKER_CLUSTER_INFO, cluster_info);
    requests_add(t, ns, REQ_WIPE_WRITE_PERM_OF_BROKER, wipe_write);
    requests_add(t, ns, REQ_ADD_WRITE_PERM_OF_BROKER, add_write);
    requests_add(t, ns, REQ_GET_ALL_TOPIC_LIST_FROM_NAMESERVER, all_topics);
    requests_add(t, ns, REQ_DELETE_TOPIC_IN_NAMESRV, delete_topic);
    requests_add(t, ns, REQ_GET_TOPICS_BY_CLUSTER, cluster_topics);
    requests_add(t, ns, REQ_GET_SYSTEM_TOPIC_LIST_FROM_NS, system_topics);
    requests_add(t, ns, REQ_GET_UNIT_TOPIC_LIST, unit_topics);
    requests_add(t, ns, REQ_GET_HAS_UNIT_SUB_TOPIC_LIST, unit_sub_topics);
    requests_add(t, ns, REQ_GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST, unit_sub_ununit_topics);
}
