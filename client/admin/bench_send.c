/* bench_send.c - the senders of `cmq bench`: each is a producer with a thread of ours.
 *
 * Closed loop, asynchronous: `inflight` shots fly; the answer of one fires the next from the producer's network thread, so no thread of ours
 * has to be woken. A shot that failed rests with our thread for some milliseconds: a broker that refuses is not asked in a circle.
 * Closed loop, waiting (--sync, --batch): our thread sends one after the other.
 * Open loop: our thread sleeps until the next shot is due and fires it, whatever became of those before; a full producer delays, and the
 * delay counts in the latency.
 *   I1  every shot that was fired is recorded once, as sent or as failed.      (test: integration/bench.sh, counts add up) */
#include "client/admin/bench.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

enum { REST_NS = 5000000, BATCH_MAX = 1024 };

struct bench_sender { /* an array of b->threads */
    struct bench *b;
    struct cmq_producer *producer;
    pthread_t thread;
    bool runs;
    uint64_t index, retried_before;
    atomic_int_fast64_t flying, resting;
    uint8_t *body;          /* of our thread */
    uint8_t *body_net;      /* of the network thread */
    struct bench_hist hist; /* of the thread that sees answers */
};
struct shot {
    struct bench_sender *s;
    uint64_t first; /* number of its first message, open loop */
    int64_t due_ns;
    uint64_t n;
    bool again; /* its answer fires it again */
};

static void fill(struct bench_sender *s, uint8_t *body, uint64_t number)
{
    if (!s->b->e2e)
        return;
    memcpy(body, &s->b->run, 8);
    memcpy(body + 8, &number, 8);
}

static void record(struct bench_sender *s, const struct shot *t, const struct cmq_error *err)
{
    struct bench *b = s->b;
    bool measured = t->due_ns >= b->measure_ns;
    int64_t now = bench_now_ns();
    if (err) {
        bench_failed(b, err, t->n, measured);
        return;
    }
    for (uint64_t i = 0; b->e2e && i < t->n; i++) {
        pthread_mutex_lock(&b->lock);
        bench_marks_set(&b->acked, t->first + i);
        pthread_mutex_unlock(&b->lock);
    }
    if (!measured)
        return;
    bench_hist_add(&s->hist, now - t->due_ns, t->n);
    atomic_fetch_add_explicit(&b->sent, t->n, memory_order_relaxed);
    if (!b->e2e)
        bench_last(b, now);
}

/* How many of up to n messages may be sent now in a closed loop; 0: the end. */
static uint64_t claim(struct bench *b, int64_t now, uint64_t n)
{
    if (atomic_load_explicit(&b->stop, memory_order_relaxed) || now >= b->end_ns)
        return 0;
    if (b->count == 0 || now < b->measure_ns)
        return n;
    uint64_t had = atomic_fetch_add_explicit(&b->claimed, n, memory_order_relaxed), all = (uint64_t)b->count;
    return had >= all ? 0 : had + n > all ? all - had : n;
}

/* ---- without waiting ---- */

static void answered(void *arg, const struct cmq_send_result *result, const struct cmq_error *err);

static enum cmq_code fire(struct bench_sender *s, struct shot *t, uint8_t *body, struct cmq_error *err)
{
    fill(s, body, t->first);
    struct cmq_message *m = cmq_message_new(s->b->topic, body, (size_t)s->b->size);
    err->code = CMQ_ERR_NO_MEMORY;
    if (m == NULL)
        return CMQ_ERR_NO_MEMORY;
    atomic_fetch_add_explicit(&s->flying, 1, memory_order_relaxed);
    enum cmq_code code = cmq_producer_send_async(s->producer, m, answered, t, err);
    if (code != CMQ_OK) {
        atomic_fetch_sub_explicit(&s->flying, 1, memory_order_relaxed);
        cmq_message_free(m);
    }
    return code;
}

/* Fires a shot of the closed loop, unless that has ended; what cannot be fired now rests. */
static void fire_again(struct bench_sender *s, struct shot *t, uint8_t *body)
{
    struct cmq_error err = {0};
    t->due_ns = bench_now_ns();
    if (claim(s->b, t->due_ns, 1) == 0) {
        free(t);
        return;
    }
    enum cmq_code code = fire(s, t, body, &err);
    if (code == CMQ_OK)
        return;
    if (code != CMQ_ERR_FULL)
        record(s, t, &err);
    else if (s->b->count && t->due_ns >= s->b->measure_ns)
        atomic_fetch_sub(&s->b->claimed, 1);
    atomic_fetch_add(&s->resting, 1);
    free(t);
}

static void answered(void *arg, const struct cmq_send_result *result, const struct cmq_error *err)
{
    struct shot *t = arg;
    struct bench_sender *s = t->s;
    (void)result;
    record(s, t, err);
    if (t->again && !err) {
        fire_again(s, t, s->body_net);
    } else {
        if (t->again)
            atomic_fetch_add(&s->resting, 1);
        free(t);
    }
    atomic_fetch_sub_explicit(&s->flying, 1, memory_order_release);
}

static struct shot *shot_new(struct bench_sender *s)
{
    struct shot *t = calloc(1, sizeof *t);
    if (t == NULL) {
        struct cmq_error err = {.code = CMQ_ERR_NO_MEMORY, .words = "out of memory"};
        bench_failed(s->b, &err, 1, true);
        return NULL;
    }
    t->s = s;
    t->n = 1;
    return t;
}

static void run_closed(struct bench_sender *s)
{
    struct bench *b = s->b;
    atomic_store(&s->resting, b->inflight);
    while (!atomic_load(&b->stop) && (atomic_load(&s->flying) > 0 || atomic_load(&s->resting) > 0)) {
        int64_t rested = atomic_exchange(&s->resting, 0), now = bench_now_ns();
        for (int64_t i = 0; i < rested; i++) {
            struct shot *t = shot_new(s);
            if (t == NULL)
                return;
            t->again = true;
            fire_again(s, t, s->body);
        }
        bench_sleep_until(now + REST_NS);
    }
}

static void run_open(struct bench_sender *s)
{
    struct bench *b = s->b;
    for (uint64_t i = s->index; i < b->planned && !atomic_load(&b->stop); i += (uint64_t)b->threads) {
        struct cmq_error err = {0};
        struct shot *t = shot_new(s);
        enum cmq_code code;
        if (t == NULL)
            return;
        t->first = i;
        t->due_ns = b->start_ns + bench_plan_due_ns(i, (uint64_t)b->rate);
        bench_sleep_until(t->due_ns);
        while ((code = fire(s, t, s->body, &err)) == CMQ_ERR_FULL && !atomic_load(&b->stop))
            bench_sleep_until(bench_now_ns() + REST_NS / 5);
        if (code == CMQ_OK)
            continue;
        if (code != CMQ_ERR_FULL)
            record(s, t, &err);
        free(t);
    }
}

/* ---- waiting ---- */

static void send_waiting(struct bench_sender *s, struct shot *t)
{
    struct cmq_message *m[BATCH_MAX] = {NULL};
    struct cmq_error err = {.code = CMQ_ERR_NO_MEMORY, .words = "out of memory"};
    enum cmq_code code = CMQ_OK;
    for (uint64_t i = 0; i < t->n && code == CMQ_OK; i++) {
        fill(s, s->body, t->first + i);
        m[i] = cmq_message_new(s->b->topic, s->body, (size_t)s->b->size);
        code = m[i] ? CMQ_OK : CMQ_ERR_NO_MEMORY;
    }
    if (code == CMQ_OK && s->b->batch > 1)
        code = cmq_producer_send_batch(s->producer, m, (size_t)t->n, NULL, &err);
    else if (code == CMQ_OK)
        code = cmq_producer_send(s->producer, m[0], NULL, &err);
    record(s, t, code == CMQ_OK ? NULL : &err);
    for (uint64_t i = 0; i < t->n; i++)
        cmq_message_free(m[i]);
    if (code != CMQ_OK)
        bench_sleep_until(bench_now_ns() + REST_NS);
}

static void run_waiting(struct bench_sender *s)
{
    struct bench *b = s->b;
    const uint64_t batch = (uint64_t)b->batch;
    for (uint64_t i = s->index; !atomic_load(&b->stop); i += (uint64_t)b->threads) {
        struct shot t = {.s = s, .first = i * batch};
        if (b->rate) {
            if (t.first >= b->planned)
                return;
            t.n = b->planned - t.first < batch ? b->planned - t.first : batch;
            t.due_ns = b->start_ns + bench_plan_due_ns(t.first + t.n - 1, (uint64_t)b->rate); /* a batch is due with its last message */
            bench_sleep_until(t.due_ns);
        } else {
            t.due_ns = bench_now_ns();
            t.n = claim(b, t.due_ns, batch);
            if (t.n == 0)
                return;
        }
        send_waiting(s, &t);
    }
}

/* ---- beginning and end ---- */

static void *run(void *arg)
{
    struct bench_sender *s = arg;
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL); /* 50 us otherwise, which latencies would show */
    bench_sleep_until(s->b->start_ns);
    if (s->b->sync || s->b->batch > 1)
        run_waiting(s);
    else if (s->b->rate)
        run_open(s);
    else
        run_closed(s);
    while (atomic_load_explicit(&s->flying, memory_order_acquire) > 0) /* each ends with its time-out */
        bench_sleep_until(bench_now_ns() + REST_NS / 5);
    atomic_fetch_sub(&s->b->running, 1);
    return NULL;
}

int bench_send_begin(struct bench *b, struct bench_sender **out)
{
    struct cmq_error err = {0};
    struct cmq_config *cfg;
    int rc = session_config(b->c, &cfg);
    if (rc != DONE)
        return rc;
    struct bench_sender *all = calloc((size_t)b->threads, sizeof *all);
    enum cmq_code code = cmq_config_set(cfg, "producerGroup", "CMQ_BENCH", &err);
    for (int64_t i = 0; all && i < b->threads && code == CMQ_OK; i++) {
        struct bench_sender *s = &all[i];
        s->b = b;
        s->index = (uint64_t)i;
        s->body = malloc((size_t)b->size);
        s->body_net = malloc((size_t)b->size);
        if (s->body == NULL || s->body_net == NULL)
            code = err.code = CMQ_ERR_NO_MEMORY;
        else
            code = cmq_producer_new(cfg, &s->producer, &err);
        for (int64_t k = 0; k < b->size && code == CMQ_OK; k++)
            s->body[k] = s->body_net[k] = (uint8_t)('!' + (uint64_t)k * 7 % 94);
    }
    cmq_config_free(cfg);
    if (all == NULL)
        code = err.code = CMQ_ERR_NO_MEMORY;
    for (int64_t i = 0; i < b->threads && code == CMQ_OK; i++) {
        atomic_fetch_add(&b->running, 1);
        all[i].runs = pthread_create(&all[i].thread, NULL, run, &all[i]) == 0;
        if (!all[i].runs) {
            atomic_fetch_sub(&b->running, 1);
            code = err.code = CMQ_ERR_SYSTEM;
            snprintf(err.words, sizeof err.words, "cannot start a thread");
        }
    }
    if (code == CMQ_OK) {
        *out = all;
        return DONE;
    }
    atomic_store(&b->stop, true);
    bench_send_end(all, b);
    return complain_error(b->c, &err, NULL);
}

void bench_send_mark(struct bench_sender *all, struct bench *b)
{
    struct cmq_producer_stats stats;
    for (int64_t i = 0; i < b->threads; i++) {
        cmq_producer_get_stats(all[i].producer, &stats);
        all[i].retried_before = stats.retried;
    }
}

void bench_send_end(struct bench_sender *all, struct bench *b)
{
    for (int64_t i = 0; all && i < b->threads; i++) {
        struct bench_sender *s = &all[i];
        struct cmq_producer_stats stats = {0};
        if (s->runs)
            pthread_join(s->thread, NULL);
        if (s->producer)
            cmq_producer_get_stats(s->producer, &stats);
        cmq_producer_free(s->producer);
        b->retried += stats.retried - s->retried_before;
        if (!b->e2e)
            bench_hist_merge(&b->hist, &s->hist);
        free(s->body);
        free(s->body_net);
    }
    free(all);
}
