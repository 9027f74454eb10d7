/* bench_read.c - the consumers of `cmq bench`.
 *
 * e2e: the queues are assigned by hand, each from its end, before the first message is sent, as an anonymous reader (Apache's group for
 * tools, offsets in this process): nothing is left on the servers, and what was in the topic before does not count. A message names its
 * run and its number; the moment it was due follows from the number.
 * consume: an ordinary member of a group. The measurement begins with the first message, as a rebalance may come before it. */
#include "client/admin/bench.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { QUEUES_MAX = 65536 };
struct bench_reader {
    struct bench *b;
    struct cmq_consumer *consumer;
    pthread_t thread;
    bool runs;
    atomic_bool ending;
};

/* ---- arrivals ---- */

static void arrived_e2e(struct bench *b, const struct cmq_message *m, int64_t now)
{
    size_t n;
    const uint8_t *body = cmq_message_body(m, &n);
    uint64_t run, number;
    if (n < BENCH_HEAD)
        return;
    memcpy(&run, body, 8);
    memcpy(&number, body + 8, 8);
    if (run != b->run || number >= b->planned)
        return;
    int64_t due_ns = b->start_ns + bench_plan_due_ns(number, (uint64_t)b->rate);
    bool again = bench_marks_set(&b->seen, number);
    if (due_ns < b->measure_ns)
        return;
    if (again) {
        b->duplicates++;
        return;
    }
    bench_hist_add(&b->hist, now - due_ns, 1);
    b->bytes += n;
    atomic_fetch_add_explicit(&b->received, 1, memory_order_relaxed);
    bench_last(b, now);
}

static void arrived_group(struct bench *b, const struct cmq_message *m, int64_t now, int64_t wall_ms)
{
    size_t n;
    cmq_message_body(m, &n);
    if (b->start_ns == 0) {
        b->start_ns = now;
        b->measure_ns = now + b->warmup_ms * 1000000;
        b->end_ns = b->measure_ns + b->duration_ms * 1000000;
    }
    if (now < b->measure_ns || now >= b->end_ns)
        return;
    bench_hist_add(&b->hist, (wall_ms - cmq_message_born_ms(m)) * 1000000, 1);
    b->bytes += n;
    uint64_t before = atomic_fetch_add_explicit(&b->received, 1, memory_order_relaxed);
    bench_last(b, now);
    if (b->count && before + 1 >= (uint64_t)b->count)
        atomic_store(&b->stop, true);
}

static void arrived(struct bench *b, const struct cmq_message *const *m, size_t n)
{
    int64_t now = bench_now_ns();
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    pthread_mutex_lock(&b->lock);
    for (size_t i = 0; i < n; i++)
        if (b->e2e)
            arrived_e2e(b, m[i], now);
        else if (b->count == 0 || atomic_load_explicit(&b->received, memory_order_relaxed) < (uint64_t)b->count)
            arrived_group(b, m[i], now, wall.tv_sec * 1000 + wall.tv_nsec / 1000000);
    pthread_mutex_unlock(&b->lock);
}

static enum cmq_consume_result pushed(void *arg, const struct cmq_message *const *m, size_t n)
{
    arrived(((struct bench_reader *)arg)->b, m, n);
    return CMQ_CONSUME_SUCCESS;
}

static void *poll_on(void *arg)
{
    struct bench_reader *r = arg;
    while (!atomic_load(&r->ending)) {
        struct cmq_message *m = NULL;
        struct cmq_error err = {0};
        enum cmq_code code = cmq_consumer_poll(r->consumer, 50, &m, &err);
        if (code == CMQ_OK)
            arrived(r->b, (const struct cmq_message *const[]){m}, 1);
        else if (code != CMQ_ERR_TIMEOUT)
            break;
        cmq_message_free(m);
    }
    return NULL;
}

/* ---- queues by hand ---- */

struct ends {
    struct {
        char broker[128];
        int32_t queue_id;
        int64_t off;
    } *at;
    size_t n, cap;
    bool failed;
};

static void keep_end(void *arg, const struct cmq_queue_status *s)
{
    struct ends *e = arg;
    if (e->n == e->cap) {
        size_t cap = e->cap ? e->cap * 2 : 64;
        void *more = cap > QUEUES_MAX ? NULL : realloc(e->at, cap * sizeof *e->at);
        if (more == NULL) {
            e->failed = true;
            return;
        }
        e->at = more;
        e->cap = cap;
    }
    snprintf(e->at[e->n].broker, sizeof e->at[e->n].broker, "%s", s->queue.broker_name);
    e->at[e->n].queue_id = s->queue.queue_id;
    e->at[e->n++].off = s->max_offset;
}

static enum cmq_code from_ends(struct bench_reader *r, struct cmq_admin *admin, struct cmq_error *err)
{
    struct ends e = {0};
    const char *topic = r->b->topic;
    enum cmq_code code = cmq_admin_topic_status(admin, topic, keep_end, &e, err);
    struct cmq_queue *q = calloc(e.n + 1, sizeof *q);
    if (code == CMQ_OK && (q == NULL || e.failed)) {
        snprintf(err->words, sizeof err->words, "out of memory, or more than %d queues", QUEUES_MAX);
        code = err->code = CMQ_ERR_NO_MEMORY;
    }
    for (size_t i = 0; q && i < e.n; i++)
        q[i] = (struct cmq_queue){topic, e.at[i].broker, e.at[i].queue_id};
    if (code == CMQ_OK)
        code = cmq_consumer_assign(r->consumer, q, e.n, err);
    for (size_t i = 0; i < e.n && code == CMQ_OK; i++)
        code = cmq_consumer_seek(r->consumer, &q[i], e.at[i].off, err);
    free(q);
    free(e.at);
    return code;
}

/* ---- beginning and end ---- */

static enum cmq_code set_all(const struct bench *b, struct cmq_config *cfg, struct cmq_error *err)
{
    char batch[24];
    snprintf(batch, sizeof batch, "%lld", (long long)b->batch);
    const char *const pairs[][2] = {{"consumerGroup", b->e2e ? "TOOLS_CONSUMER" : b->group},
                                    {"messageModel", b->e2e ? "BROADCASTING" : "CLUSTERING"},
                                    {"consumeFromWhere", b->e2e ? "CONSUME_FROM_LAST_OFFSET" : "CONSUME_FROM_FIRST_OFFSET"},
                                    {"consumeMessageBatchMaxSize", batch}};
    size_t n = sizeof pairs / sizeof *pairs - b->e2e; /* an e2e's batch is the producer's */
    enum cmq_code code = CMQ_OK;
    for (size_t i = 0; i < n && code == CMQ_OK; i++)
        code = cmq_config_set(cfg, pairs[i][0], pairs[i][1], err);
    return code;
}

int bench_read_begin(struct bench *b, struct cmq_admin *admin, struct bench_reader **out)
{
    struct cmq_error err = {0};
    struct cmq_config *cfg;
    int rc = session_config(b->c, &cfg);
    if (rc != DONE)
        return rc;
    struct bench_reader *r = calloc(1, sizeof *r);
    enum cmq_code code = r ? set_all(b, cfg, &err) : (err.code = CMQ_ERR_NO_MEMORY);
    if (code == CMQ_OK)
        code = cmq_consumer_new(cfg, &r->consumer, &err);
    cmq_config_free(cfg);
    if (r)
        r->b = b;
    if (code == CMQ_OK && !b->poll)
        code = cmq_consumer_on_message(r->consumer, pushed, r, &err);
    if (code == CMQ_OK)
        code = b->e2e ? from_ends(r, admin, &err) : cmq_consumer_subscribe(r->consumer, b->topic, "*", &err);
    if (code == CMQ_OK)
        code = cmq_consumer_start(r->consumer, &err);
    if (code == CMQ_OK && b->poll) {
        r->runs = pthread_create(&r->thread, NULL, poll_on, r) == 0;
        if (!r->runs) {
            snprintf(err.words, sizeof err.words, "cannot start a thread");
            code = err.code = CMQ_ERR_SYSTEM;
        }
    }
    if (code == CMQ_OK) {
        *out = r;
        return DONE;
    }
    bench_read_end(r, b);
    return complain_error(b->c, &err, b->topic);
}

void bench_read_end(struct bench_reader *r, struct bench *b)
{
    struct cmq_error err = {0};
    if (r == NULL)
        return;
    atomic_store(&r->ending, true);
    if (r->runs)
        pthread_join(r->thread, NULL);
    if (r->consumer && !b->e2e && b->start_ns)
        cmq_consumer_commit(r->consumer, &err); /* a failure shows in the next run only: it begins earlier */
    if (r->consumer)
        cmq_consumer_stop(r->consumer, 1000);
    cmq_consumer_free(r->consumer);
    free(r);
}
