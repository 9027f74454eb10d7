/* heartbeat.c - telling the brokers that we are there (34), and that we go (35). A broker that a route names anew hears of us at once. */
#include <stdio.h>
#include <string.h>

#include "client/core/client_internal.h"
#include "client/core/error.h"
#include "common/base/log.h"
#include "common/protocol/codes.h"

enum { LEAVE_MS = 1000 };

struct round { /* one request to each broker */
    struct client *client;
    const struct command *cmd;
    bool slaves_too;
    int64_t timeout_ms;
    size_t waiting;
    void (*then)(void *arg);
    void *arg;
};

static void round_done(struct round *r)
{
    if (--r->waiting > 0)
        return;
    if (r->then != NULL)
        r->then(r->arg);
    mem_free(r);
}

static void on_answer(void *arg, enum mq_err failed, const struct command *answer, const struct fault *why)
{
    struct round *r = arg;
    char text[240];
    if (failed != MQ_OK)
        log_info("client", "broker does not answer to a heartbeat or goodbye: %s", fault_text(why, text, sizeof text));
    else if (answer->code != RES_SUCCESS)
        log_warn("client", "heartbeat or goodbye refused code=%d remark=%.*s", (int)answer->code, SLICE_ARG(answer->remark));
    round_done(r);
}

static void to_broker(void *arg, struct broker_entry *b)
{
    struct round *r = arg;
    for (size_t i = 0; i < b->n_addrs; i++) {
        if (b->addrs[i].broker_id != 0 && !r->slaves_too)
            continue;
        if (caller_call(r->client->caller, b->addrs[i].addr, r->cmd, r->timeout_ms, on_answer, r) == MQ_OK)
            r->waiting++;
    }
}

static void to_all(struct client *c, const struct command *cmd, int64_t timeout_ms, void (*then)(void *arg), void *arg)
{
    struct round *r = c->ended ? NULL : mem_zalloc(sizeof *r);
    if (r == NULL) {
        if (then != NULL)
            then(arg);
        return;
    }
    *r = (struct round){.client = c, .cmd = cmd, .slaves_too = c->role.slaves_too, .timeout_ms = timeout_ms, .waiting = 1, .then = then, .arg = arg};
    route_cache_each_broker(c, to_broker, r);
    round_done(r);
}

void client_heartbeat(struct client *c, void (*then)(void *arg), void *arg)
{
    struct buf body = {0};
    if (c->leaving || c->role.heartbeat == NULL || !c->role.heartbeat(c->role.ctx, &body) || body.failed) {
        buf_free(&body);
        if (then != NULL)
            then(arg);
        return;
    }
    struct command cmd = client_command(c, REQ_HEART_BEAT, NULL, 0);
    cmd.body = buf_view(&body);
    to_all(c, &cmd, c->cfg.api_timeout_ms, then, arg);
    buf_free(&body);
}

void client_leave(struct client *c, void (*then)(void *arg), void *arg)
{
    struct ext_field ext[3] = {{SLICE_LIT("clientID"), slice_str(c->id)}};
    uint32_t n = 1;
    if (c->role.produces)
        ext[n++] = (struct ext_field){SLICE_LIT("producerGroup"), slice_str(c->cfg.producer_group)};
    if (c->role.consumes)
        ext[n++] = (struct ext_field){SLICE_LIT("consumerGroup"), slice_str(c->cfg.consumer_group)};
    struct command cmd = client_command(c, REQ_UNREGISTER_CLIENT, ext, n);
    c->leaving = true;
    to_all(c, &cmd, LEAVE_MS, then, arg);
}

static void on_beat(void *arg) { client_heartbeat(arg, NULL, NULL); }

void heartbeat_soon(struct client *c)
{
    if (c->role.heartbeat != NULL && !c->leaving)
        loop_timer_start(&c->soon_timer, 0, 0);
}

void heartbeat_init(struct client *c)
{
    loop_timer_init(&c->beat_timer, c->loop, on_beat, c);
    loop_timer_init(&c->soon_timer, c->loop, on_beat, c);
    if (c->role.heartbeat != NULL)
        loop_timer_start(&c->beat_timer, c->cfg.heartbeat_ms, c->cfg.heartbeat_ms);
}
