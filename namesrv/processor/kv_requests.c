/* kv_requests.c - pairs in namespaces: put, get, delete, list.
 *
 * 217 has two meanings in the world. Clients from before Apache (Node's ali-ons, old C++) ask for the keys that have a value,
 * with the fields namespace and key; brokers of 5.x with enableSingleTopicRegister register a topic, with the field topic.
 * The first is answered as those name servers did, the second refused as a code that 4.9 does not know. */
#include "common/base/log.h"
#include "common/protocol/codes.h"
#include "namesrv/processor/processors.h"

/* The order configuration of a topic is part of its route. */
static void touch_route(struct namesrv *ns, struct slice space, struct slice key)
{
    if (slice_is(space, KV_ORDER_TOPIC))
        routes_touch(ns->routes, key);
}

static struct slice shown(struct slice name) { return slice_head(name, 128); } /* in logs and remarks */

static enum handled put(void *ctx, const struct request *rq, struct reply *out)
{
    struct namesrv *ns = ctx;
    struct fields f = fields_of(rq->cmd);
    struct slice space = field_str_or_none(&f, "namespace"), key = field_str_or_none(&f, "key"), value = field_str_or_none(&f, "value");
    struct fault why = {0};

    if (space.n == 0 || key.n == 0)
        return reply_refuse(out, RES_SYSTEM_ERROR, "namespace or key is null");
    if (value.p == NULL)
        return reply_refuse(out, RES_SYSTEM_ERROR, "field value is missing");
    if (kv_config_put(ns->kv, space, key, value, &why) != MQ_OK) {
        log_error("namesrv", "KV configuration not saved namespace=%.*s key=%.*s why=%s", SLICE_ARG(shown(space)), SLICE_ARG(shown(key)), why.what);
        return refuse_fault(out, &why);
    }
    touch_route(ns, space, key);
    log_info("namesrv", "KV configuration put namespace=%.*s key=%.*s peer=%s", SLICE_ARG(shown(space)), SLICE_ARG(shown(key)), rq->peer->addr);
    return HANDLED_NOW;
}

static enum handled get(void *ctx, const struct request *rq, struct reply *out)
{
    const struct namesrv *ns = ctx;
    struct fields f = fields_of(rq->cmd);
    struct slice space = field_str(&f, "namespace"), key = field_str(&f, "key"), value;

    if (refuse_fields(out, &f))
        return HANDLED_NOW;
    if (!kv_config_get(ns->kv, space, key, &value))
        return reply_refuse(out, RES_QUERY_NOT_FOUND, "No config item, Namespace: %.*s Key: %.*s", SLICE_ARG(shown(space)), SLICE_ARG(shown(key)));
    reply_str(out, "value", value);
    return HANDLED_NOW;
}

static enum handled get_by_value(void *ctx, const struct request *rq, struct reply *out)
{
    const struct namesrv *ns = ctx;
    struct fields f = fields_of(rq->cmd);
    struct slice space = field_str_or_none(&f, "namespace"), wanted = field_str_or_none(&f, "key");
    struct buf keys = {0};

    if (space.n == 0 || wanted.n == 0)
        return reply_refuse(out, RES_REQUEST_CODE_NOT_SUPPORTED, "request code 217 is known as \"keys by value\" only: fields namespace and key");
    bool found = kv_config_keys_of(ns->kv, space, wanted, &keys);
    if (found)
        reply_str(out, "value", buf_view(&keys));
    buf_free(&keys);
    if (!found)
        return reply_refuse(out, RES_QUERY_NOT_FOUND, "No config item, Namespace: %.*s Value: %.*s", SLICE_ARG(shown(space)), SLICE_ARG(shown(wanted)));
    return HANDLED_NOW;
}

static enum handled delete(void *ctx, const struct request *rq, struct reply *out)
{
    struct namesrv *ns = ctx;
    struct fields f = fields_of(rq->cmd);
    struct slice space = field_str(&f, "namespace"), key = field_str(&f, "key");
    struct fault why = {0};

    if (refuse_fields(out, &f))
        return HANDLED_NOW;
    if (kv_config_delete(ns->kv, space, key, &why) != MQ_OK) {
        log_error("namesrv", "KV configuration not saved namespace=%.*s key=%.*s why=%s", SLICE_ARG(shown(space)), SLICE_ARG(shown(key)), why.what);
        return refuse_fault(out, &why);
    }
    touch_route(ns, space, key);
    log_info("namesrv", "KV configuration deleted namespace=%.*s key=%.*s peer=%s", SLICE_ARG(shown(space)), SLICE_ARG(shown(key)), rq->peer->addr);
    return HANDLED_NOW;
}

static enum handled list(void *ctx, const struct request *rq, struct reply *out)
{
    const struct namesrv *ns = ctx;
    struct fields f = fields_of(rq->cmd);
    struct slice space = field_str(&f, "namespace");

    if (refuse_fields(out, &f))
        return HANDLED_NOW;
    if (!kv_config_list(ns->kv, space, &out->body))
        return reply_refuse(out, RES_QUERY_NOT_FOUND, "No config item, Namespace: %.*s", SLICE_ARG(shown(space)));
    return finish_body(out);
}

void kv_requests(struct namesrv *ns, struct request_table *t)
{
    requests_add(t, ns, REQ_PUT_KV_CONFIG, put);
    requests_add(t, ns, REQ_GET_KV_CONFIG, get);
    requests_add(t, ns, REQ_DELETE_KV_CONFIG, delete);
    requests_add(t, ns, REQ_GET_KVLIST_BY_NAMESPACE, list);
    requests_add(t, ns, REQ_REGISTER_TOPIC_IN_NAMESRV, get_by_value);
}
