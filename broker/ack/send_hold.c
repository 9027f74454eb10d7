/* send_hold.c - a bounded FIFO of copied requests.
 *
 *   I1  while one send is held, later ones queue behind it: a producer's order survives.  (test: unit/ack/send_hold)
 *   I2  count and bytes are bounded; deadlines are in the order of arrival, so only the head can be late. */
#include "broker/ack/send_hold.h"
#include <string.h>
#include "common/base/list.h"
#include "common/base/mem.h"
#include "common/protocol/codes.h"

struct held {
    struct list node;
    struct command cmd; /* its slices point behind this struct */
    struct peer peer;
    struct ticket ticket;
    int64_t since_ms, deadline_ms;
    size_t bytes;
};
struct send_hold {
    struct send_hold_setup s;
    struct list held;
    size_t n, bytes;
    struct reply reply;
    struct arena arena;
};

enum mq_err send_hold_new(const struct send_hold_setup *setup, struct send_hold **out)
{
    struct send_hold *h = mem_zalloc(sizeof *h);
    if (h == NULL)
        return MQ_ENOMEM;
    h->s = *setup;
    list_init(&h->held);
    *out = h;
    return MQ_OK;
}

static void take_off(struct send_hold *h, struct held *w)
{
    list_remove(&w->node);
    h->n--;
    h->bytes -= w->bytes;
    mem_free(w);
}

void send_hold_free(struct send_hold *h)
{
    if (h == NULL)
        return;
    LIST_EACH (it, &h->held)
        take_off(h, CONTAINER_OF(it, struct held, node));
    reply_free(&h->reply);
    arena_fini(&h->arena);
    mem_free(h);
}

static struct slice copy(uint8_t **at, struct slice s)
{
    uint8_t *to = *at;
    if (s.n)
        memcpy(to, s.p, s.n);
    *at += s.n;
    return slice_make(s.p ? to : NULL, s.n);
}

bool send_hold_add(struct send_hold *h, const struct request *rq, int64_t mono_ms, int64_t wait_ms)
{
    const struct command *cmd = rq->cmd;
    size_t text = cmd->remark.n + cmd->body.n;
    for (uint32_t i = 0; i < cmd->n_ext; i++)
        text += cmd->ext[i].key.n + cmd->ext[i].value.n;
    size_t ext = cmd->n_ext * sizeof *cmd->ext, bytes = sizeof(struct held) + ext + text;
    if (h->n >= h->s.max_sends || bytes > h->s.max_bytes - h->bytes)
        return false;
    struct held *w = mem_alloc(bytes);
    if (w == NULL)
        return false;
    struct ext_field *fields = (struct ext_field *)(void *)(w + 1);
    uint8_t *at = (uint8_t *)fields + ext;
    *w = (struct held){.cmd = *cmd, .peer = *rq->peer, .ticket = rq->ticket, .since_ms = mono_ms, .deadline_ms = mono_ms + wait_ms, .bytes = bytes};
    for (uint32_t i = 0; i < cmd->n_ext; i++)
        fields[i] = (struct ext_field){copy(&at, cmd->ext[i].key), copy(&at, cmd->ext[i].value)};
    w->cmd.ext = fields;
    w->cmd.remark = copy(&at, cmd->remark);
    w->cmd.body = copy(&at, cmd->body);
    list_push_back(&h->held, &w->node);
    h->n++;
    h->bytes += bytes;
    return true;
}

void send_hold_run(struct send_hold *h, int64_t now_ms)
{
    while (h->n) {
        struct held *w = CONTAINER_OF(h->held.next, struct held, node);
        struct request rq = {.cmd = &w->cmd, .peer = &w->peer, .ticket = w->ticket, .arena = &h->arena, .now_ms = now_ms};
        reply_clear(&h->reply);
        int handled = h->s.retry(h->s.ctx, &rq, &h->reply);
        arena_reset(&h->arena);
        if (handled == SEND_STILL_BUSY)
            return;
        if (handled == HANDLED_NOW)
            h->s.outbox->finish(h->s.outbox->ctx, &w->ticket, &h->reply);
        take_off(h, w);
    }
}

static void refuse_head(struct send_hold *h, int32_t code, const char *words)
{
    struct held *w = CONTAINER_OF(h->held.next, struct held, node);
    reply_clear(&h->reply);
    reply_refuse(&h->reply, code, "%s", words);
    h->s.outbox->finish(h->s.outbox->ctx, &w->ticket, &h->reply);
    take_off(h, w);
}

int64_t send_hold_deadlines(struct send_hold *h, int64_t mono_ms)
{
    while (h->n && CONTAINER_OF(h->held.next, struct held, node)->deadline_ms <= mono_ms)
        refuse_head(h, RES_SYSTEM_BUSY, "[TIMEOUT_CLEAN_QUEUE]broker busy, start flow control for a while: the disk does not keep up");
    return h->n ? CONTAINER_OF(h->held.next, struct held, node)->deadline_ms : INT64_MAX;
}

void send_hold_refuse(struct send_hold *h, int32_t code, const char *words)
{
    while (h->n)
        refuse_head(h, code, words);
}

size_t send_hold_count(const struct send_hold *h) { return h->n; }

int64_t send_hold_head_wait(const struct send_hold *h, int64_t mono_ms)
{
    return h->n ? mono_ms - CONTAINER_OF(h->held.next, struct held, node)->since_ms : 0;
}
