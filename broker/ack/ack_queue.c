/* ack_queue.c - two FIFOs of answers in waiting.
 *
 *   I1  within a FIFO end_off never falls: the head is the first that can be released.   (test: unit/ack/ack_queue)
 *   I2  an answer says SUCCESS only after its condition was reported; after a failure none does.
 *   I3  each waiter is answered exactly once.
 * A FIFO is a ring of whole waiters rather than a list of replies: a reply owns three buffers, and moving it here would make
 * every send allocate them anew. The answer is written when it leaves (ack_answer.c). */
#include "broker/ack/ack_queue.h"
#include <assert.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/protocol/codes.h"

enum { RING_FIRST = 64, RING_KEEP = 4096 };

struct ring {
    struct ack *at;
    size_t head, n, cap; /* cap is a power of two, or 0 */
};
struct ack_queue {
    struct ack_setup setup;
    struct ring rings[ACK_CONDITIONS];
    uint64_t last_end[ACK_CONDITIONS];
    char id_text[MESSAGE_ID_MAX];
    struct slice id_host; /* the start of each message id, in id_text */
    struct reply reply;   /* for refusals */
};

static struct ack *ring_at(const struct ring *r, size_t i) { return &r->at[(r->head + i) & (r->cap - 1)]; }

static bool ring_grow(struct ring *r)
{
    size_t cap = r->cap ? r->cap * 2 : RING_FIRST;
    struct ack *at = mem_alloc(cap * sizeof *at);
    if (at == NULL)
        return false;
    for (size_t i = 0; i < r->n; i++)
        at[i] = *ring_at(r, i);
    mem_free(r->at);
    *r = (struct ring){.at = at, .n = r->n, .cap = cap};
    return true;
}

enum mq_err ack_queue_new(const struct ack_setup *setup, struct ack_queue **out)
{
    struct ack_queue *q = mem_zalloc(sizeof *q);
    if (q == NULL)
        return MQ_ENOMEM;
    q->setup = *setup;
    q->id_host = slice_make(q->id_text, message_id_host(setup->store_host, q->id_text));
    *out = q;
    return MQ_OK;
}

static void ack_fini(struct ack *a)
{
    mem_free(a->ids);
    mem_free(a->long_id);
}

void ack_queue_free(struct ack_queue *q)
{
    if (q == NULL)
        return;
    for (int u = 0; u < ACK_CONDITIONS; u++) {
        for (size_t i = 0; i < q->rings[u].n; i++)
            ack_fini(ring_at(&q->rings[u], i));
        mem_free(q->rings[u].at);
    }
    reply_free(&q->reply);
    mem_free(q);
}

struct ack *ack_queue_add(struct ack_queue *q, enum ack_until until, uint64_t end_off)
{
    struct ring *r = &q->rings[until];
    if (r->n == r->cap && !ring_grow(r))
        return NULL;
    assert(end_off >= q->last_end[until]);
    q->last_end[until] = end_off;
    struct ack *a = ring_at(r, r->n++);
    a->end_off = end_off; /* id[] is left as it was: n_id says how much of it counts */
    a->deadline_ms = INT64_MAX;
    a->queue_id = a->ok_code = a->late_code = 0;
    a->queue_off = a->phys_off = 0;
    a->bare = false;
    a->ids = a->long_id = NULL;
    a->n_id = 0;
    return a;
}

static void take_head(struct ring *r)
{
    ack_fini(ring_at(r, 0));
    r->head = (r->head + 1) & (r->cap - 1);
    r->n--;
}

struct answer {
    const struct ack_queue *q;
    const struct ack *a;
    int32_t code;
};

static void write_answer(const void *arg, const struct ticket *to, struct buf *out)
{
    const struct answer *w = arg;
    (void)to;
    ack_write(w->a, &w->q->setup, w->q->id_host, w->code, out);
}

static void answer_head(struct ack_queue *q, struct ring *r, int32_t code)
{
    const struct answer w = {.q = q, .a = ring_at(r, 0), .code = code};
    q->setup.outbox->write(q->setup.outbox->ctx, &w.a->to, write_answer, &w);
    take_head(r);
}

static void refuse_head(struct ack_queue *q, struct ring *r, const char *words)
{
    reply_clear(&q->reply);
    reply_refuse(&q->reply, RES_SERVICE_NOT_AVAILABLE, "%s", words);
    q->setup.outbox->finish(q->setup.outbox->ctx, &ring_at(r, 0)->to, &q->reply);
    take_head(r);
}

/* A burst may have made the ring large: an idle broker does not keep that. */
static void ring_rest(struct ring *r)
{
    if (r->n == 0 && r->cap > RING_KEEP) {
        mem_free(r->at);
        *r = (struct ring){0};
    }
}

size_t ack_queue_reached(struct ack_queue *q, enum ack_until until, uint64_t off)
{
    struct ring *r = &q->rings[until];
    size_t before = r->n;
    while (r->n && ring_at(r, 0)->end_off <= off)
        answer_head(q, r, ring_at(r, 0)->ok_code);
    before -= r->n;
    ring_rest(r);
    return before;
}

size_t ack_queue_syncs(const struct ack_queue *q) { return q->rings[ACK_FLUSHED].n; }

int64_t ack_queue_first_deadline(const struct ack_queue *q)
{
    const struct ring *r = &q->rings[ACK_FLUSHED];
    return r->n ? ring_at(r, 0)->deadline_ms : INT64_MAX;
}

int64_t ack_queue_deadlines(struct ack_queue *q, int64_t mono_ms)
{
    struct ring *r = &q->rings[ACK_FLUSHED];
    while (r->n && ring_at(r, 0)->deadline_ms <= mono_ms)
        answer_head(q, r, ring_at(r, 0)->late_code);
    return ack_queue_first_deadline(q);
}

void ack_queue_fail(struct ack_queue *q, uint64_t written_off, const char *words)
{
    for (int u = 0; u < ACK_CONDITIONS; u++) {
        struct ring *r = &q->rings[u];
        while (u == ACK_FLUSHED && r->n && ring_at(r, 0)->end_off <= written_off)
            answer_head(q, r, ring_at(r, 0)->late_code);
        while (r->n)
            refuse_head(q, r, words);
    }
}

size_t ack_queue_count(const struct ack_queue *q) { return q->rings[ACK_WRITTEN].n + q->rings[ACK_FLUSHED].n; }
