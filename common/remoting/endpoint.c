/* endpoint.c - frames to processors and answers, calls by opaque, the end of a turn.
 *   I1  a call ends exactly once: with its answer, at its deadline, or when its connection closes.   (test: unit/remoting)
 *   I2  a one-way request is never answered.
 * Calls are found by opaque in one table per endpoint: opaques are ours and unique within it. */
#include "common/remoting/endpoint.h"

#include <event2/event.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/protocol/codes.h"
#include "common/remoting/endpoint_internal.h"

enum { SHED_LEAST = 64 << 10, RELIEVE_AGAIN_MS = 100 };

static void end_of_turn(void *arg);
static void on_call_timer(void *arg);
static void on_idle_timer(void *arg);
static void on_later(evutil_socket_t fd, short what, void *arg);
static void out_finish(void *ctx, const struct ticket *to, struct reply *reply);
static void out_write(void *ctx, const struct ticket *to, frame_fn *fn, const void *arg);
static bool out_oneway(void *ctx, uint64_t conn_id, const struct command *cmd);
static bool out_call(void *ctx, uint64_t conn_id, const struct command *cmd, int32_t timeout_ms, answer_fn *fn, void *arg);
static void out_close(void *ctx, uint64_t conn_id);

enum mq_err endpoint_init(struct endpoint *ep, struct loop *l, const char *area)
{
    *ep = (struct endpoint){.loop = l, .area = area, .frame_max = FRAME_MAX, .out_max = (size_t)64 << 20, .idle_ms = 120000, .frames_per_turn = 512};
    ep->scratch = mem_alloc(READ_MAX);
    ep->later_event = event_new(loop_base(l), -1, 0, on_later, ep);
    if (ep->scratch == NULL || ep->later_event == NULL) {
        if (ep->later_event != NULL)
            event_free(ep->later_event);
        mem_free(ep->scratch);
        ep->scratch = NULL;
        return MQ_ENOMEM;
    }
    list_init(&ep->conns);
    list_init(&ep->dirty);
    list_init(&ep->later);
    list_init(&ep->waiting);
    list_init(&ep->dead);
    ep->outbox = (struct outbox){.ctx = ep, .finish = out_finish, .write = out_write, .oneway = out_oneway, .call = out_call, .close = out_close};
    loop_timer_init(&ep->call_timer, l, on_call_timer, ep);
    loop_timer_init(&ep->idle_timer, l, on_idle_timer, ep);
    ep->hook = (struct loop_hook){.fn = end_of_turn, .arg = ep};
    loop_hook_add(l, TURN_REPLY, &ep->hook);
    return MQ_OK;
}

static void free_dead(struct endpoint *ep)
{
    LIST_EACH(it, &ep->dead)
    {
        list_remove(it);
        conn_free_dead(CONTAINER_OF(it, struct conn, node));
    }
}

void endpoint_fini(struct endpoint *ep)
{
    if (ep->scratch == NULL)
        return;
    LIST_EACH(it, &ep->conns)
        conn_flush(CONTAINER_OF(it, struct conn, node));
    while (!list_empty(&ep->conns))
        conn_close(CONTAINER_OF(ep->conns.next, struct conn, node), MQ_ECLOSED, NULL);
    free_dead(ep);
    loop_timer_stop(&ep->call_timer);
    loop_timer_stop(&ep->idle_timer);
    event_free(ep->later_event);
    loop_hook_remove(&ep->hook);
    while (ep->n_spare > 0)
        buf_free(&ep->spare[--ep->n_spare]);
    hashmap_fini(&ep->by_id);
    hashmap_fini(&ep->by_opaque);
    heap_fini(&ep->calls);
    arena_fini(&ep->arena);
    reply_free(&ep->reply);
    mem_free(ep->routes);
    mem_free(ep->scratch);
    ep->scratch = NULL;
}

/* ---- routes ---- */

static int by_code(const void *a, const void *b)
{
    const struct request_route *x = a, *y = b;
    return (x->code > y->code) - (x->code < y->code);
}

static struct request_route *route_of(const struct endpoint *ep, int32_t code)
{
    struct request_route key = {.code = code};
    return ep->n_routes ? bsearch(&key, ep->routes, ep->n_routes, sizeof key, by_code) : NULL;
}

enum mq_err endpoint_route(struct endpoint *ep, const struct request_route *routes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct request_route *there = route_of(ep, routes[i].code);
        if (there != NULL) {
            *there = routes[i];
            continue;
        }
        struct request_route *more = mem_realloc(ep->routes, (ep->n_routes + 1) * sizeof *more);
        if (more == NULL)
            return MQ_ENOMEM;
        ep->routes = more;
        ep->routes[ep->n_routes++] = routes[i];
        qsort(ep->routes, ep->n_routes, sizeof *ep->routes, by_code);
    }
    return MQ_OK;
}

/* ---- frames ---- */

void endpoint_malformed(struct conn *c, const char *why)
{
    c->ep->stats.malformed++;
    conn_close(c, MQ_EMALFORMED, log_ok_now(&c->ep->malformed_logged_ms, 100) ? why : NULL);
}

static void end_call(struct endpoint *ep, struct call *call, enum mq_err err, const struct command *answer, const struct fault *why)
{
    hashmap_remove(&ep->by_opaque, &call->by_opaque);
    heap_remove(&ep->calls, &call->due);
    list_remove(&call->node);
    if (call->fn != NULL)
        call->fn(call->arg, err, answer, why);
    else if (call->plain_fn != NULL)
        call->plain_fn(call->arg, answer);
    mem_free(call);
}

static void answered(struct conn *c, const struct command *cmd)
{
    struct hash_node *it = hashmap_get(&c->ep->by_opaque, slice_make(&cmd->opaque, sizeof cmd->opaque));
    if (it == NULL) /* late, or never asked */
        return;
    end_call(c->ep, CONTAINER_OF(it, struct call, by_opaque), MQ_OK, cmd, NULL);
}

static void send_frame(struct conn *c, const struct ticket *to, frame_fn *fn, const void *arg)
{
    struct buf *out = to->oneway ? NULL : conn_out(c);
    if (out == NULL)
        return;
    fn(arg, to, out);
    conn_sent(c);
}

static void encode_reply(const void *reply, const struct ticket *to, struct buf *out) { reply_encode(reply, to, out); }

/* False: it must wait. */
static bool requested(struct conn *c, const struct command *cmd)
{
    struct endpoint *ep = c->ep;
    struct request rq = {.cmd = cmd, .peer = &c->peer, .arena = &ep->arena, .now_ms = loop_now_ms(ep->loop),
                         .waited_ms = c->waited_ms, .ticket = {c->peer.conn_id, cmd->opaque, cmd->serialize, (cmd->flag & COMMAND_ONEWAY) != 0}};
    struct request_route *route = route_of(ep, cmd->code);
    reply_clear(&ep->reply);
    enum handled how = HANDLED_NOW;
    if (route == NULL)
        reply_refuse(&ep->reply, RES_REQUEST_CODE_NOT_SUPPORTED, " request type %d not supported", cmd->code);
    else
        how = route->fn(route->ctx, &rq, &ep->reply);
    if (log_lowest <= LOG_DEBUG)
        log_debug(ep->area, "request peer=%s code=%d name=%s opaque=%d answer=%d", c->peer.addr, cmd->code, request_code_name(cmd->code), cmd->opaque,
                  how == HANDLED_NOW ? ep->reply.code : -1);
    if (how == HANDLED_NOW)
        send_frame(c, &rq.ticket, encode_reply, &ep->reply);
    if (ep->reply.body.cap > (size_t)1 << 20) /* one large answer must not stay for ever */
        buf_free(&ep->reply.body);
    return how != HANDLED_WAIT;
}

bool endpoint_frame(struct conn *c, struct slice frame)
{
    struct command cmd;
    struct fault why;
    bool taken = true;
    enum mq_err err = command_decode(frame, &c->ep->arena, &cmd, &why);
    if (err != MQ_OK) {
        char text[256];
        endpoint_malformed(c, fault_text(&why, text, sizeof text));
    } else if (cmd.flag & COMMAND_RESPONSE) {
        answered(c, &cmd);
    } else {
        taken = requested(c, &cmd);
    }
    arena_reset(&c->ep->arena);
    if (taken)
        c->ep->stats.frames_in++;
    else
        conn_wait(c);
    return taken;
}

/* ---- calls ---- */

static void arm_calls(struct endpoint *ep)
{
    struct heap_node *first = heap_first(&ep->calls);
    if (first == NULL)
        loop_timer_stop(&ep->call_timer);
    else if (!heap_has(&ep->call_timer.node) || first->due < ep->call_timer.node.due)
        loop_timer_start(&ep->call_timer, first->due - loop_mono_ms(ep->loop), 0);
}

static void on_call_timer(void *arg)
{
    struct endpoint *ep = arg;
    struct heap_node *first;
    struct fault why;
    fault_set(&why, MQ_ETIMEOUT, 0, "waiting for an answer");
    while ((first = heap_first(&ep->calls)) != NULL && first->due <= loop_mono_ms(ep->loop))
        end_call(ep, CONTAINER_OF(first, struct call, due), MQ_ETIMEOUT, NULL, &why);
    arm_calls(ep);
}

void endpoint_fail_calls(struct endpoint *ep, struct list *calls, enum mq_err err, const struct fault *why)
{
    while (!list_empty(calls))
        end_call(ep, CONTAINER_OF(calls->next, struct call, node), err, NULL, why);
}

enum mq_err conn_call(struct conn *c, const struct command *cmd, int64_t timeout_ms, call_fn *fn, answer_fn *plain_fn, void *arg)
{
    struct endpoint *ep = c->ep;
    struct call *call = mem_zalloc(sizeof *call);
    if (call == NULL)
        return MQ_ENOMEM;
    *call = (struct call){.fn = fn, .plain_fn = plain_fn, .arg = arg};
    do
        call->opaque = ep->next_opaque = ep->next_opaque == INT32_MAX ? 1 : ep->next_opaque + 1;
    while (hashmap_get(&ep->by_opaque, slice_make(&call->opaque, sizeof call->opaque)) != NULL);
    enum mq_err err = MQ_ENOMEM;
    if (!heap_add(&ep->calls, &call->due, loop_mono_ms(ep->loop) + (timeout_ms > 0 ? timeout_ms : 1)))
        goto undo_alloc;
    if (!hashmap_add(&ep->by_opaque, &call->by_opaque, slice_make(&call->opaque, sizeof call->opaque)))
        goto undo_heap;
    struct command numbered = *cmd;
    numbered.opaque = call->opaque;
    err = conn_queue(c, &numbered);
    if (err != MQ_OK)
        goto undo_map;
    list_push_back(&c->calls, &call->node);
    arm_calls(ep);
    return MQ_OK;

undo_map:
    hashmap_remove(&ep->by_opaque, &call->by_opaque);
undo_heap:
    heap_remove(&ep->calls, &call->due);
undo_alloc:
    mem_free(call);
    return err;
}

enum mq_err conn_oneway(struct conn *c, const struct command *cmd)
{
    struct command numbered = *cmd;
    numbered.flag |= COMMAND_ONEWAY;
    numbered.opaque = c->ep->next_opaque = c->ep->next_opaque == INT32_MAX ? 1 : c->ep->next_opaque + 1;
    return conn_queue(c, &numbered);
}

/* ---- outbox ---- */

struct conn *endpoint_conn(struct endpoint *ep, uint64_t conn_id)
{
    if (ep->last != NULL && ep->last->peer.conn_id == conn_id)
        return ep->last;
    struct hash_node *it = hashmap_get(&ep->by_id, slice_make(&conn_id, sizeof conn_id));
    return it ? ep->last = CONTAINER_OF(it, struct conn, by_id) : NULL;
}

static void out_write(void *ctx, const struct ticket *to, frame_fn *fn, const void *arg)
{
    struct endpoint *ep = ctx;
    struct conn *c = endpoint_conn(ep, to->conn_id);
    if (c != NULL)
        send_frame(c, to, fn, arg);
    if (budget_level(ep->budget) >= BUDGET_NO_GUESTS)
        endpoint_relieve(ep);
}

static void out_finish(void *ctx, const struct ticket *to, struct reply *reply) { out_write(ctx, to, encode_reply, reply); }

static bool out_oneway(void *ctx, uint64_t conn_id, const struct command *cmd)
{
    struct conn *c = endpoint_conn(ctx, conn_id);
    return c != NULL && conn_oneway(c, cmd) == MQ_OK;
}

static bool out_call(void *ctx, uint64_t conn_id, const struct command *cmd, int32_t timeout_ms, answer_fn *fn, void *arg)
{
    struct conn *c = endpoint_conn(ctx, conn_id);
    return c != NULL && conn_call(c, cmd, timeout_ms, NULL, fn, arg) == MQ_OK;
}

static void out_close(void *ctx, uint64_t conn_id)
{
    struct conn *c = endpoint_conn(ctx, conn_id);
    if (c != NULL)
        conn_close(c, MQ_ECLOSED, NULL);
}

/* ---- the end of a turn, and idle connections ---- */

static void flush_all(struct endpoint *ep)
{
    LIST_EACH(it, &ep->dirty)
    {
        list_remove(it);
        conn_flush(CONTAINER_OF(it, struct conn, dirty));
    }
}

/* Room is made by those who take most of it: whoever holds at least half of what the largest one does goes, until it is enough. So a server
 * full of slow readers closes some of them, and who has nothing waiting is never closed.   (test: unit/remoting/memory) */
void endpoint_relieve(struct endpoint *ep)
{
    int64_t now = loop_mono_ms(ep->loop);
    flush_all(ep); /* what is merely on its way is no backlog */
    uint64_t used = mem_used(), excess = budget_excess(used, ep->budget->limit), freed = 0;
    if (excess == 0 || (now < ep->relieve_ms && used < ep->relieve_used))
        return;
    while (ep->n_spare > 0) {
        freed += ep->spare[--ep->n_spare].cap;
        buf_free(&ep->spare[ep->n_spare]);
    }
    ep->spare_bytes = 0;
    size_t n_shed = 0;
    while (freed < excess) {
        size_t most = 0;
        LIST_EACH(it, &ep->conns)
        {
            size_t holds = conn_holds(CONTAINER_OF(it, struct conn, node));
            most = holds > most ? holds : most;
        }
        if (most < SHED_LEAST)
            break;
        LIST_EACH(it, &ep->conns)
        {
            struct conn *c = CONTAINER_OF(it, struct conn, node);
            size_t holds = conn_holds(c);
            if (freed < excess && holds >= most / 2) {
                freed += holds;
                n_shed++;
                conn_shed(c);
            }
        }
    }
    if (n_shed == 0) {
        ep->relieve_ms = now + RELIEVE_AGAIN_MS;
        ep->relieve_used = used + SHED_LEAST; /* nobody can hold enough before */
        return;
    }
    mem_trim();
    if (log_ok_now(&ep->shed_logged_ms, 10000))
        log_warn(ep->area, "the largest backlogs are closed connections=%zu bytes=%llu used=%llu limit=%llu", n_shed, (unsigned long long)freed,
                 (unsigned long long)mem_used(), (unsigned long long)ep->budget->limit);
}

static void end_of_turn(void *arg)
{
    struct endpoint *ep = arg;
    flush_all(ep);
    if (budget_level(ep->budget) >= BUDGET_NO_GUESTS)
        endpoint_relieve(ep);
    free_dead(ep);
    if (!list_empty(&ep->later))
        event_active(ep->later_event, EV_TIMEOUT, 1);
}

void endpoint_later(struct conn *c)
{
    if (list_empty(&c->later))
        list_push_back(&c->ep->later, &c->later);
}

static void on_later(evutil_socket_t fd, short what, void *arg)
{
    struct endpoint *ep = arg;
    (void)fd, (void)what;
    struct list now; /* who has more left over waits for the next turn again */
    list_init(&now);
    list_splice(&now, &ep->later);
    while (!list_empty(&now))
        conn_later(CONTAINER_OF(now.next, struct conn, later));
}

/* Who must wait ends it: all wait for the same. So the first always gets what there is, and who got something lets the others go first. */
bool endpoint_resume(struct endpoint *ep)
{
    bool moved = false;
    while (!list_empty(&ep->waiting)) {
        struct conn *c = CONTAINER_OF(ep->waiting.next, struct conn, wait);
        if (!conn_go_on(c))
            break;
        moved = true;
        if (!list_empty(&c->wait))
            break;
    }
    if (moved && !list_empty(&ep->waiting))
        event_active(ep->later_event, EV_TIMEOUT, 1);
    return moved;
}

void endpoint_watch_idle(struct endpoint *ep)
{
    if (!heap_has(&ep->idle_timer.node))
        loop_timer_start(&ep->idle_timer, ep->idle_ms / 4 + 1, 0);
}

/* A byte now and then is not silence, but no frame either: who sends one has as long for it as for being silent.
 * (test: unit/remoting/server) */
static bool drips(const struct conn *c, int64_t now) { return c->in.n > 0 && !c->paused && now - c->part_ms > c->ep->idle_ms; }

/* Nor is it silence when we do not listen. */
static bool is_idle(const struct conn *c, int64_t now) { return list_empty(&c->wait) && (now - c->seen_ms > c->ep->idle_ms || drips(c, now)); }

static void on_idle_timer(void *arg) /* coarse: within a quarter of the time; no timer while nobody is connected */
{
    struct endpoint *ep = arg;
    int64_t now = loop_mono_ms(ep->loop);
    struct buf idle = {0}; /* ids first: closing one may close others through its callbacks */
    LIST_EACH(it, &ep->conns)
    {
        struct conn *c = CONTAINER_OF(it, struct conn, node);
        if (is_idle(c, now))
            buf_put(&idle, &c->peer.conn_id, sizeof c->peer.conn_id);
    }
    for (size_t at = 0; at < idle.n; at += sizeof(uint64_t)) {
        uint64_t id;
        memcpy(&id, idle.p + at, sizeof id);
        struct conn *c = endpoint_conn(ep, id);
        if (c != NULL && drips(c, now))
            endpoint_malformed(c, "a frame was not whole in time");
        else
            out_close(ep, id);
    }
    buf_free(&idle);
    if (!list_empty(&ep->conns))
        endpoint_watch_idle(ep);
}
