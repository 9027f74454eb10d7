/* broker_requests.c - brokers tell that they live, and with what: 103 registers, 104 unregisters, 322 asks whether a
 * registration would be news.
 *
 * The answer to 103 tells a slave its master, and every broker the order configuration of topics. A registration whose
 * check sum, compression or JSON is wrong changes nothing. */
#include "common/base/log.h"
#include "common/protocol/codes.h"
#include "common/protocol/message.h"
#include "namesrv/processor/processors.h"
#include "namesrv/route/register_body.h"

enum { VERSION_3_0_11 = 39 }; /* brokers before it send no filter servers, and another body */

/* Registrations come from brokers all the time: what is wrong with one is said once in 10 s. */
static void log_refused(const struct request *rq, struct slice addr, const char *words)
{
    static int64_t last; /* a rate limit of the process's log, not state of the server */
    if (log_ok_now(&last, 10000))
        log_warn("namesrv", "registration refused broker=%.*s peer=%s why=%s", SLICE_ARG(addr), rq->peer->addr, words);
}

/* What a registration's body says, into *reg. A broker that says every 30 s what it said before costs no walk through its topics. */
static enum mq_err read_body(const struct namesrv *ns, const struct request *rq, struct registration *reg, struct register_body *body,
                             struct register_topics *walk, struct fault *why)
{
    struct slice bytes = rq->cmd->body;
    *body = (struct register_body){0};
    if (register_body_version(bytes, (enum register_form)reg->mark.form, &reg->version) && routes_knows(ns->routes, reg))
        return MQ_OK;
    enum mq_err err = register_body_decode(bytes, (enum register_form)reg->mark.form, rq->arena, body, why);
    reg->version = body->version;
    reg->topics = register_topics_over(walk, body);
    reg->filters_given = body->filters_given;
    reg->filters = body->filters;
    reg->n_filters = body->n_filters;
    return err;
}

static enum handled register_broker(void *ctx, const struct request *rq, struct reply *out)
{
    struct namesrv *ns = ctx;
    struct fields f = fields_of(rq->cmd);
    struct registration reg = {
        .cluster = field_str(&f, "clusterName"),
        .name = field_str(&f, "brokerName"),
        .addr = field_str(&f, "brokerAddr"),
        .ha_addr = field_str_or_none(&f, "haServerAddr"),
        .id = field_i64(&f, "brokerId"),
        .conn_id = rq->peer->conn_id,
    };
    bool compressed = field_bool_or(&f, "compressed", false);
    int32_t crc = field_i32_or(&f, "bodyCrc32", 0);
    struct registration_result result;
    struct register_topics walk;
    struct register_body body;
    struct fault why = {0};

    if (refuse_fields(out, &f)) {
        log_refused(rq, reg.addr, f.bad);
        return HANDLED_NOW;
    }
    reg.mark = (struct body_mark){.n = rq->cmd->body.n, .crc = crc32_of(rq->cmd->body)};
    reg.mark.form = rq->cmd->version < VERSION_3_0_11 ? REGISTER_ANCIENT : compressed ? REGISTER_COMPRESSED : REGISTER_PLAIN;
    if (crc != 0 && crc != (int32_t)(reg.mark.crc & 0x7fffffff)) { /* 0: the broker sends none */
        log_refused(rq, reg.addr, "check sum of the body");
        return reply_refuse(out, RES_SYSTEM_ERROR, "crc32 not match");
    }
    enum mq_err err = read_body(ns, rq, &reg, &body, &walk, &why);
    if (err == MQ_OK)
        err = routes_register(ns->routes, &reg, ns->shell.mono_ms(ns->shell.ctx), &result, &why);
    register_body_end(&body);
    if (err != MQ_OK) {
        log_refused(rq, reg.addr, why.what);
        return refuse_fault(out, &why);
    }
    if (result.topics_new || result.topics_changed)
        log_info("namesrv", "topics registered broker=%.*s addr=%.*s new=%zu changed=%zu", SLICE_ARG(reg.name), SLICE_ARG(reg.addr),
                 result.topics_new, result.topics_changed);

    if (result.ha_addr.n > 0)
        reply_str(out, "haServerAddr", result.ha_addr);
    if (result.master_addr.n > 0)
        reply_str(out, "masterAddr", result.master_addr);
    kv_config_list(ns->kv, SLICE_LIT(KV_ORDER_TOPIC), &out->body);
    return finish_body(out);
}

static enum handled unregister_broker(void *ctx, const struct request *rq, struct reply *out)
{
    struct namesrv *ns = ctx;
    struct fields f = fields_of(rq->cmd);
    struct slice name = field_str(&f, "brokerName"), addr = field_str(&f, "brokerAddr");

    if (!refuse_fields(out, &f))
        routes_unregister(ns->routes, name, addr);
    return HANDLED_NOW;
}

static enum handled query_data_version(void *ctx, const struct request *rq, struct reply *out)
{
    struct namesrv *ns = ctx;
    struct fields f = fields_of(rq->cmd);
    struct slice addr = field_str(&f, "brokerAddr");
    struct data_version asked, known;
    struct fault why = {0};

    if (refuse_fields(out, &f))
        return HANDLED_NOW;
    if (rq->cmd->body.n == 0)
        return reply_refuse(out, RES_SYSTEM_ERROR, "body is missing: the broker's data version");
    if (data_version_decode(rq->cmd->body, &asked, &why) != MQ_OK)
        return refuse_fault(out, &why);

    bool there = routes_version(ns->routes, addr, &known);
    bool changed = !there || asked.timestamp != known.timestamp || asked.counter != known.counter;
    if (!changed)
        routes_heard(ns->routes, addr, ns->shell.mono_ms(ns->shell.ctx));
    reply_bool(out, "changed", changed);
    if (there)
        data_version_encode(&known, &out->body);
    return finish_body(out);
}

void broker_requests(struct namesrv *ns, struct request_table *t)
{
    requests_add(t, ns, REQ_REGISTER_BROKER, register_broker);
    requests_add(t, ns, REQ_UNREGISTER_BROKER, unregister_broker);
    requests_add(t, ns, REQ_QUERY_DATA_VERSION, query_data_version);
}
