/* trace.c - see trace.h.
 *
 *   Pub        when a send is answered: who, where to, how long it took        Records end with 0x02, their fields with 0x01. A message of
 *   SubBefore  when a callback begins: who, the how manieth time               the trace topic holds many; its keys are the ids and
 *   SubAfter   when it ends: how long it took, whether it went well            keys of the messages that it tells of.
 *
 * Records are collected into chunks, one message each: a whole one is sent at once, the last one after a second. While too many of these
 * wait for their answers, records are kept, up to KEEP_BYTES, beyond it dropped and counted. Absent fields are the word
 * "null", as in Java, whose tools cut records at their separators and count the pieces.
 * What a broker says about tracing counts: TRACE_ON=false in the answer to a send, or in a message, and nothing is recorded.
 *   I1  the trace topic itself is not traced.                                                         (test: compat/libcmq, trace) */
#include "client/producer/trace.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "client/core/error.h"
#include "client/core/uniq_id.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/protocol/codes.h"

enum { CHUNK_BYTES = 16384, KEEP_BYTES = 1 << 20, KEYS_MAX = 24576, FLUSH_MS = 1000, SENDS_MAX = 16, SEND_MS = 5000, TRIES = 2 };
#define FIELD_END "\1"
#define RECORD_END "\2"

struct chunk { /* what becomes one message */
    struct list node;
    struct buf records, keys;
};
struct trace {
    struct client *client;
    const char *topic;
    struct sender sender;
    struct loop_msg msg;         /* something was collected: to the network thread */
    struct loop_timer timer;     /* network thread */
    /* ---- under lock ---- */
    pthread_mutex_t lock;
    pthread_cond_t idle;         /* no send waits for its answer */
    struct list chunks;          /* records go to the last */
    size_t bytes;                /* of all records */
    uint64_t dropped;
    bool posted, waits;          /* msg is on its way; the timer runs */
};

static void chunk_free(struct chunk *k)
{
    buf_free(&k->records);
    buf_free(&k->keys);
    mem_free(k);
}

/* ---- sending: network thread ---- */

static void on_sent(void *arg, const struct cmq_send_result *result, const struct cmq_error *err)
{
    (void)arg, (void)result;
    if (err != NULL)
        log_info("trace", "records are lost: %s", err->words);
}

static bool send_chunk(struct trace *t, const struct chunk *k)
{
    struct slice keys = buf_view(&k->keys);
    struct cmq_message *m = cmq_message_new(t->topic, k->records.p, k->records.n);
    char id[UNIQ_ID_MAX], *text = m != NULL ? slice_dup(keys) : NULL;
    uniq_id_next(id);
    struct send_job *j = NULL;
    if (text != NULL && (keys.n == 0 || message_prop_set(m, PROP_KEYS, text)) && message_prop_set(m, PROP_UNIQ_KEY, id)) {
        const struct send_order o = {.topic = t->topic, .body = slice_make(m->body, m->body_n), .m = m, .max_reconsume = -1, .tries = TRIES,
                                     .timeout_ms = SEND_MS, .unique_id = "", .owned = m, .done = on_sent};
        j = send_job_new(&t->sender, &o);
    }
    mem_free(text);
    if (j != NULL)
        send_job_start(j);
    else
        cmq_message_free(m);
    return j != NULL;
}

/* The first chunk, which is yours then. NULL: none that may go: whole ones only, unless `all`. */
static struct chunk *take_chunk(struct trace *t, bool all)
{
    struct chunk *k = NULL;
    pthread_mutex_lock(&t->lock);
    if (!list_empty(&t->chunks) && atomic_load(&t->sender.counts.jobs) < SENDS_MAX) {
        k = CONTAINER_OF(t->chunks.next, struct chunk, node);
        if (!all && k->records.n < CHUNK_BYTES)
            k = NULL;
    }
    if (k != NULL) {
        list_remove(&k->node);
        t->bytes -= k->records.n;
    }
    pthread_mutex_unlock(&t->lock);
    return k;
}

static void flush(struct trace *t, bool all)
{
    for (struct chunk *k; (k = take_chunk(t, all)) != NULL; chunk_free(k))
        if (k->records.n > 0 && !send_chunk(t, k))
            log_info("trace", "records are lost: out of memory");
    pthread_mutex_lock(&t->lock);
    uint64_t dropped = t->dropped;
    t->dropped = 0;
    t->waits = !list_empty(&t->chunks) && !t->sender.ended;
    bool waits = t->waits;
    pthread_mutex_unlock(&t->lock);
    if (dropped > 0)
        log_warn("trace", "records dropped: the trace topic's brokers do not keep up, or memory is short records=%llu", (unsigned long long)dropped);
    if (waits && !heap_has(&t->timer.node))
        loop_timer_start(&t->timer, FLUSH_MS, 0);
}

static void on_timer(void *arg) { flush(arg, true); }

static void on_collected(struct loop_msg *m)
{
    struct trace *t = CONTAINER_OF(m, struct trace, msg);
    pthread_mutex_lock(&t->lock);
    t->posted = false;
    pthread_mutex_unlock(&t->lock);
    flush(t, false);
}

/* ---- collecting: all of it under lock ---- */

static void field(struct buf *to, struct slice text, const char *end)
{
    buf_slice(to, text.n > 0 ? text : SLICE_LIT("null"));
    buf_str(to, end);
}

static void number(struct buf *to, int64_t n, const char *end)
{
    buf_i64_text(to, n);
    buf_str(to, end);
}

static void add_key(struct buf *keys, struct slice key)
{
    if (key.n == 0 || keys->n + key.n + 1 > KEYS_MAX)
        return;
    if (keys->n > 0)
        buf_u8(keys, ' ');
    buf_slice(keys, key);
}

struct record { /* being written: at the end of a chunk */
    struct chunk *k;
    size_t from, keys_from;
};

/* k NULL: there is no room; it is counted. */
static struct record record_begin(struct trace *t)
{
    struct chunk *k = list_empty(&t->chunks) ? NULL : CONTAINER_OF(t->chunks.prev, struct chunk, node);
    if (t->bytes >= KEEP_BYTES) {
        k = NULL;
    } else if (k == NULL || k->records.n >= CHUNK_BYTES) {
        k = mem_zalloc(sizeof *k);
        if (k != NULL)
            list_push_back(&t->chunks, &k->node);
    }
    t->dropped += k == NULL;
    return k != NULL ? (struct record){k, k->records.n, k->keys.n} : (struct record){0};
}

static void record_end(struct trace *t, const struct record *r, struct slice id, struct slice keys)
{
    struct chunk *k = r->k;
    add_key(&k->keys, id);
    add_key(&k->keys, keys);
    if (k->records.failed || k->keys.failed) { /* as if it had never been */
        k->records.failed = k->keys.failed = false;
        k->records.n = r->from;
        k->keys.n = r->keys_from;
        t->dropped++;
    }
    t->bytes += k->records.n - r->from;
}

static void unlock(struct trace *t) /* the network thread is told when it has to know */
{
    bool full = t->bytes >= CHUNK_BYTES;
    bool tell = t->bytes > 0 && !t->posted && (full || !t->waits);
    t->posted = t->posted || tell;
    pthread_mutex_unlock(&t->lock);
    if (tell)
        loop_post(client_loop(t->client), &t->msg);
}

void trace_sent(struct trace *t, const char *group, const struct sent *s)
{
    if (t == NULL || !s->trace_on || strcmp(s->topic, t->topic) == 0)
        return;
    pthread_mutex_lock(&t->lock);
    struct record r = record_begin(t);
    if (r.k != NULL) {
        struct buf *to = &r.k->records;
        buf_str(to, "Pub" FIELD_END);
        number(to, s->begun_ms, FIELD_END);
        field(to, s->region, FIELD_END);
        field(to, slice_str(group), FIELD_END);
        field(to, slice_str(s->topic), FIELD_END);
        field(to, slice_str(s->result->msg_id), FIELD_END);
        field(to, s->tags, FIELD_END);
        field(to, s->keys, FIELD_END);
        field(to, slice_str(s->addr), FIELD_END);
        number(to, (int64_t)s->body_n, FIELD_END);
        number(to, s->cost_ms, FIELD_END);
        number(to, s->kind, FIELD_END);
        field(to, slice_str(s->result->offset_msg_id), FIELD_END);
        buf_str(to, s->result->status == CMQ_SEND_OK ? "true" RECORD_END : "false" RECORD_END);
        record_end(t, &r, slice_str(s->result->msg_id), s->keys);
    }
    unlock(t);
}

static bool wants_trace(const struct trace *t, const struct cmq_message *m)
{
    const char *on = cmq_message_property(m, PROP_TRACE_ON);
    return (on == NULL || strcmp(on, "false") != 0) && strcmp(m->topic, t->topic) != 0;
}

static void add_begin(struct buf *to, const struct trace_consumption *c, const struct cmq_message *m)
{
    const char *region = cmq_message_property(m, PROP_MSG_REGION);
    buf_str(to, "SubBefore" FIELD_END);
    number(to, c->begun_ms, FIELD_END);
    field(to, region != NULL ? slice_str(region) : SLICE_LIT("DefaultRegion"), FIELD_END);
    field(to, slice_str(c->group), FIELD_END);
    field(to, slice_str(c->request_id), FIELD_END);
    field(to, slice_str(cmq_message_id(m)), FIELD_END);
    number(to, m->reconsume_times, FIELD_END);
    field(to, slice_str(cmq_message_keys(m)), RECORD_END);
}

enum { CONTEXT_SUCCESS = 0, CONTEXT_FAILED = 4 }; /* Java's ConsumeReturnType */

static void add_end(struct buf *to, const struct trace_consumption *c, const struct cmq_message *m, bool good)
{
    buf_str(to, "SubAfter" FIELD_END);
    field(to, slice_str(c->request_id), FIELD_END);
    field(to, slice_str(cmq_message_id(m)), FIELD_END);
    number(to, c->cost_ms / (int64_t)c->n, FIELD_END);
    buf_str(to, good ? "true" FIELD_END : "false" FIELD_END);
    field(to, slice_str(cmq_message_keys(m)), FIELD_END);
    number(to, good ? CONTEXT_SUCCESS : CONTEXT_FAILED, FIELD_END);
    number(to, c->begun_ms, FIELD_END);
    field(to, slice_str(c->group), RECORD_END);
}

static void tell_of(struct trace *t, const struct trace_consumption *c, bool ended, bool good)
{
    pthread_mutex_lock(&t->lock);
    for (size_t i = 0; i < c->n; i++) {
        const struct cmq_message *m = c->m[i];
        struct record r = wants_trace(t, m) ? record_begin(t) : (struct record){0};
        if (r.k == NULL)
            continue;
        if (ended)
            add_end(&r.k->records, c, m, good);
        else
            add_begin(&r.k->records, c, m);
        record_end(t, &r, slice_str(cmq_message_id(m)), slice_str(cmq_message_keys(m)));
    }
    unlock(t);
}

void trace_consuming(struct trace *t, struct trace_consumption *c)
{
    if (t == NULL)
        return;
    c->begun_ms = clock_wall_ms();
    uniq_id_next(c->request_id);
    tell_of(t, c, false, false);
}

void trace_consumed(struct trace *t, const struct trace_consumption *c, bool good)
{
    if (t != NULL)
        tell_of(t, c, true, good);
}

/* ---- life ---- */

static void on_idle(void *arg)
{
    struct trace *t = arg;
    pthread_mutex_lock(&t->lock);
    pthread_cond_broadcast(&t->idle);
    pthread_mutex_unlock(&t->lock);
}

enum cmq_code trace_new(struct client *c, struct trace **out, struct cmq_error *err)
{
    *out = NULL;
    if (!client_cfg(c)->enable_trace)
        return CMQ_OK;
    struct trace *t = mem_zalloc(sizeof *t);
    if (t == NULL)
        return error_set(err, CMQ_ERR_NO_MEMORY, "trace: out of memory");
    pthread_mutex_init(&t->lock, NULL);
    clock_cond_init(&t->idle);
    t->client = c;
    t->topic = client_cfg(c)->trace_topic;
    t->sender = (struct sender){.client = c, .group = "_INNER_TRACE_PRODUCER", .idle = on_idle, .arg = t};
    t->msg.fn = on_collected;
    list_init(&t->chunks);
    loop_timer_init(&t->timer, client_loop(c), on_timer, t);
    *out = t;
    return CMQ_OK;
}

static void run_flush(void *arg) { flush(arg, true); }

void trace_finish(struct trace *t, int64_t timeout_ms)
{
    if (t == NULL)
        return;
    const struct timespec due = clock_deadline(timeout_ms);
    bool more = true;
    for (int rc = 0; more && rc == 0;) { /* as many at once as may wait */
        client_run(t->client, run_flush, t);
        pthread_mutex_lock(&t->lock);
        while (atomic_load(&t->sender.counts.jobs) > 0 && rc == 0)
            rc = pthread_cond_timedwait(&t->idle, &t->lock, &due);
        more = !list_empty(&t->chunks);
        pthread_mutex_unlock(&t->lock);
    }
}

void trace_end(struct trace *t)
{
    if (t == NULL)
        return;
    t->sender.ended = true;
    loop_timer_stop(&t->timer);
}

void trace_free(struct trace *t)
{
    if (t == NULL)
        return;
    while (!list_empty(&t->chunks)) {
        struct chunk *k = CONTAINER_OF(t->chunks.next, struct chunk, node);
        list_remove(&k->node);
        chunk_free(k);
    }
    pthread_mutex_destroy(&t->lock);
    pthread_cond_destroy(&t->idle);
    mem_free(t);
}
