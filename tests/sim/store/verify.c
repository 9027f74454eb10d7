/* verify.c - reading everything back, and cutting the power on a copy.
 *
 * A cut happens on a clone of the disk, so one run of a workload serves a cut at each of its steps: the store under test goes on as
 * if nothing were, while a second store recovers on the clone. Three things are wanted of it: what was promised is there; what is
 * there was put; and it is a healthy store: it takes new messages, keeps them, closes, opens. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "tests/sim/store/model.h"

static struct get_request request(unsigned topic, unsigned queue, int64_t from, uint32_t max, bool may_block)
{
    return (struct get_request){.topic = slice_str(sim_topics[topic]), .queue_id = (int32_t)queue, .queue_off = from, .max_msgs = max,
                                .max_bytes = 1 << 20, .may_block = may_block};
}

/* Compares the records in `body` with the queue from offset `from` on; returns the offset behind the last. */
static int64_t compare(struct sim *s, unsigned t, unsigned k, int64_t from, struct slice body, uint32_t n)
{
    struct sim_queue *q = &s->model.queues[t][k];
    for (; n > 0; n--, from++) {
        struct message m;
        enum mq_err err = message_decode(body, true, &m);
        if (err != MQ_OK) {
            sim_break(s, "I1: %s/%u offset %" PRId64 ": the record is damaged: %s", sim_topics[t], k, from, mq_err_words(err));
            return from;
        }
        if (from >= q->n || m.queue_off != from || !sim_message_is(&m, t, k, q->msgs[from].id, q->msgs[from].body_n)) {
            sim_break(s, "I3: %s/%u offset %" PRId64 ": a record of %.*s/%d offset %" PRId64 " born %" PRId64 " at %" PRId64 " was not put there",
                      sim_topics[t], k, from, SLICE_ARG(m.topic), m.queue_id, m.queue_off, m.born_ms, m.phys_off);
            return from;
        }
        struct sim_msg *msg = &q->msgs[from];
        if (msg->phys_off >= 0 && (m.phys_off != msg->phys_off || m.size != msg->size || m.store_ms != msg->store_ms)) {
            sim_break(s, "%s/%u offset %" PRId64 ": is at %" PRId64 ", put said %" PRId64, sim_topics[t], k, from, m.phys_off, msg->phys_off);
            return from;
        }
        msg->phys_off = m.phys_off;
        msg->size = m.size;
        msg->store_ms = m.store_ms;
        body = slice_from(body, m.size);
    }
    if (body.n != 0)
        sim_break(s, "%s/%u: %zu bytes behind the last record", sim_topics[t], k, body.n);
    return from;
}

static void warmed(void *arg) { *(bool *)arg = true; }

int64_t sim_read_some(struct sim *s, unsigned t, unsigned k, int64_t from, uint32_t max, bool may_block)
{
    struct get_request g = request(t, k, from, max, may_block);
    struct get_result r;
    struct buf body = {0};
    int64_t next = -1;
    message_store_get(s->store, &g, &body, &r);
    if (r.status == GET_COLD && !may_block) { /* warm it, ask once more */
        static bool done;
        done = false;
        if (message_store_warm(s->store, &r.cold, warmed, &done)) {
            sim_exec_drain(&s->exec);
            if (!done)
                sim_break(s, "warming %s never ended", r.cold.path);
        }
        message_store_get(s->store, &g, &body, &r);
    }
    if (r.status == GET_FOUND) {
        next = compare(s, t, k, from, buf_view(&body), r.n_msgs);
        if (!s->broken && (r.n_msgs == 0 || next != r.next_off))
            sim_break(s, "%s/%u from %" PRId64 ": %u messages, but next is %" PRId64, sim_topics[t], k, from, r.n_msgs, r.next_off);
    } else if (body.n != 0) {
        sim_break(s, "%s/%u from %" PRId64 ": %s with %zu bytes", sim_topics[t], k, from, get_status_name(r.status), body.n);
    }
    if (r.status == GET_FAILED && !fake_disk_did_fail(s->disk))
        sim_break(s, "%s/%u from %" PRId64 ": reading failed", sim_topics[t], k, from);
    buf_free(&body);
    return next;
}

/* ---- all of it ---- */

static void note_gone(struct sim *s)
{
    struct store_figures f;
    message_store_figures(s->store, &f);
    s->gone_off = f.min_phys_off > s->gone_off ? f.min_phys_off : s->gone_off;
}

static void verify_queue(struct sim *s, unsigned t, unsigned k, uint64_t required)
{
    struct sim_queue *q = &s->model.queues[t][k];
    struct slice topic = slice_str(sim_topics[t]);
    int64_t min = message_store_min_offset(s->store, topic, (int32_t)k), max = message_store_max_offset(s->store, topic, (int32_t)k);
    note_gone(s);
    uint32_t must = 0;
    q->min = 0; /* the queue may say so a little later than the log */
    while (q->min < q->n && q->msgs[q->min].phys_off >= 0 && (uint64_t)q->msgs[q->min].phys_off < s->gone_off)
        q->min++;
    while (must < q->n && q->msgs[must].phys_off >= 0 && (uint64_t)q->msgs[must].phys_off + q->msgs[must].size <= required)
        must++;
    if (max < must)
        sim_break(s, "I1: %s/%u ends at %" PRId64 ", %u were acknowledged (the next lay at %" PRId64 " +%u, promise %" PRIu64 ")", sim_topics[t], k, max, must,
                  q->msgs[max < 0 ? 0 : max].phys_off, q->msgs[max < 0 ? 0 : max].size, required);
    if (max > q->n)
        sim_break(s, "I3: %s/%u ends at %" PRId64 ", put were %u", sim_topics[t], k, max, q->n);
    if (min > max || min > q->min || (min != q->min && s->gone_off == 0))
        sim_break(s, "%s/%u begins at %" PRId64 " and ends at %" PRId64 ", expected to begin at %" PRId64, sim_topics[t], k, min, max, q->min);
    for (int64_t off = q->min; off < max && !s->broken;) {
        int64_t next = sim_read_some(s, t, k, off, 7, true);
        if (next <= off && message_store_failed(s->store) && (uint64_t)q->msgs[off].phys_off + q->msgs[off].size > sim_promise(s, true)) {
            max = off; /* a failed sync dropped it: nobody was promised it, and nobody is told that something comes behind */
            break;
        }
        if (next <= off)
            sim_break(s, "I2: %s/%u: nothing readable at %" PRId64 " of [%" PRId64 ", %" PRId64 ")", sim_topics[t], k, off, min, max);
        off = next;
    }
    if (!s->broken) {
        q->n = (uint32_t)max;
        q->arrived = q->n;
    }
}

static void verify_place(struct sim *s, unsigned t, unsigned k, uint32_t at)
{
    struct sim_queue *q = &s->model.queues[t][k];
    struct buf body = {0};
    struct cold_range cold;
    struct slice topic = slice_str(sim_topics[t]);
    enum mq_err err = message_store_at(s->store, q->msgs[at].phys_off, true, &body, &cold);
    if (err != MQ_OK)
        sim_break(s, "I1: %s/%u offset %u is not at its place %" PRId64 ": %s", sim_topics[t], k, at, q->msgs[at].phys_off, mq_err_words(err));
    else
        compare(s, t, k, at, buf_view(&body), 1);
    if (message_store_phys_of(s->store, topic, (int32_t)k, at) != q->msgs[at].phys_off)
        sim_break(s, "%s/%u offset %u: place %" PRId64 ", expected %" PRId64, sim_topics[t], k, at, message_store_phys_of(s->store, topic, (int32_t)k, at),
                  q->msgs[at].phys_off);
    if (message_store_time_of(s->store, topic, (int32_t)k, at) != q->msgs[at].store_ms)
        sim_break(s, "%s/%u offset %u: store time %" PRId64 ", expected %" PRId64, sim_topics[t], k, at, message_store_time_of(s->store, topic, (int32_t)k, at),
                  q->msgs[at].store_ms);
    buf_free(&body);
}

static void verify_key(struct sim *s, unsigned t, unsigned k, uint32_t at)
{
    struct sim_queue *q = &s->model.queues[t][k];
    struct buf body = {0};
    struct query_result r;
    char key[16];
    snprintf(key, sizeof key, "U%08u", q->msgs[at].id);
    enum mq_err err = message_store_query(s->store, slice_str(sim_topics[t]), slice_str(key), 8, 0, INT64_MAX, &body, &r);
    if (err != MQ_OK || r.n_msgs == 0)
        sim_break(s, "I1: %s/%u offset %u at %" PRId64 " is not found by its key %s: %s", sim_topics[t], k, at, q->msgs[at].phys_off, key, mq_err_words(err));
    else if (r.n_msgs > 1)
        sim_break(s, "I3: %u messages have the unique key %s of %s/%u offset %u", r.n_msgs, key, sim_topics[t], k, at);
    else
        compare(s, t, k, at, buf_view(&body), 1);
    buf_free(&body);
}

/* The key that all messages have: the newest of the topic, newest first, none twice. */
static void verify_common_key(struct sim *s, unsigned t)
{
    enum { ASKED = 12 };
    struct buf body = {0};
    struct query_result r = {0};
    uint32_t there = 0;
    for (int k = 0; k < SIM_QUEUES; k++)
        there += s->model.queues[t][k].n - (uint32_t)s->model.queues[t][k].min;
    enum mq_err err = message_store_query(s->store, slice_str(sim_topics[t]), SLICE_LIT("all"), ASKED, 0, INT64_MAX, &body, &r);
    there = there < ASKED ? there : ASKED;
    if (err != MQ_OK || r.n_msgs < there || (r.n_msgs > there && s->gone_off == 0)) {
        sim_break(s, "I1: %u of %u messages of %s are found by a key that all have: %s", r.n_msgs, there, sim_topics[t], mq_err_words(err));
    }
    struct slice rest = buf_view(&body);
    int64_t before = INT64_MAX;
    for (uint32_t i = 0; i < r.n_msgs && !s->broken; i++) {
        struct message m;
        if (message_decode(rest, true, &m) != MQ_OK || sim_topic_of(m.topic) != (int)t || m.queue_id < 0 || m.queue_id >= SIM_QUEUES || m.phys_off >= before) {
            sim_break(s, "a query's answer %u is out of order or damaged", i);
            break;
        }
        compare(s, t, (unsigned)m.queue_id, m.queue_off, slice_head(rest, m.size), 1);
        before = m.phys_off;
        rest = slice_from(rest, m.size);
    }
    buf_free(&body);
}

static void verify_listed(void *arg, struct slice topic, int32_t queue_id, int64_t min_off, int64_t max_off)
{
    struct sim *s = arg;
    int t = sim_topic_of(topic);
    if (t < 0 || queue_id < 0 || queue_id >= SIM_QUEUES)
        sim_break(s, "I3: a queue %.*s/%d that nobody made", SLICE_ARG(topic), queue_id);
    else if (min_off > s->model.queues[t][queue_id].min || max_off != s->model.queues[t][queue_id].n)
        sim_break(s, "%s/%d is listed with [%" PRId64 ", %" PRId64 "), has %u", sim_topics[t], queue_id, min_off, max_off, s->model.queues[t][queue_id].n);
}

void sim_verify_queues(struct sim *s, uint64_t required)
{
    for (unsigned t = 0; t < SIM_TOPICS && !s->broken; t++)
        for (unsigned k = 0; k < SIM_QUEUES && !s->broken; k++)
            verify_queue(s, t, k, required);
}

void sim_verify(struct sim *s, uint64_t required)
{
    struct rng r = rng_of(s->seed + s->cuts);
    struct store_figures f;
    message_store_figures(s->store, &f);
    if (f.max_phys_off < required)
        sim_break(s, "I1: the log ends at %" PRIu64 ", promised was %" PRIu64, f.max_phys_off, required);
    for (unsigned t = 0; t < SIM_TOPICS && !s->broken; t++)
        for (unsigned k = 0; k < SIM_QUEUES && !s->broken; k++) {
            struct sim_queue *q = &s->model.queues[t][k];
            verify_queue(s, t, k, required);
            for (int i = 0; i < 2 && q->n > 0 && !s->broken; i++) {
                uint32_t at = i == 0 ? q->n - 1 : rng_below(&r, q->n);
                if (at < q->min)
                    continue;
                verify_place(s, t, k, at);
                verify_key(s, t, k, at);
            }
            if (!s->broken && q->n > 0 && (uint64_t)q->msgs[q->n - 1].phys_off + q->msgs[q->n - 1].size > f.max_phys_off)
                sim_break(s, "%s/%u has a message behind the log's end %" PRIu64, sim_topics[t], k, f.max_phys_off);
        }
    for (unsigned t = 0; t < SIM_TOPICS && !s->broken; t++)
        verify_common_key(s, t);
    if (!s->broken)
        message_store_each_queue(s->store, verify_listed, s);
}

/* ---- cuts ---- */

void sim_go_on(struct sim *s)
{
    for (int i = 0; i < 8 && !s->broken; i++) {
        enum put_status st = sim_put(s, rng_below(&s->rng, SIM_TOPICS), rng_below(&s->rng, SIM_QUEUES), 1);
        if (st != PUT_OK && st != PUT_BUSY)
            sim_break(s, "a recovered store refuses messages: status %d", (int)st);
        if (rng_one_in(&s->rng, 2))
            sim_turn(s);
        sim_exec_step(&s->exec);
    }
    if (!s->broken && !sim_settle(s))
        sim_break(s, "a recovered store does not flush");
    if (!s->broken)
        sim_verify(s, sim_promise(s, false));
    if (s->broken)
        return;
    sim_close(s);
    uint64_t promise = sim_promise(s, false);
    fake_disk_cut(s->disk, CUT_LOSE, 0); /* closing in order made it all sure */
    if (!s->broken && sim_open(s))
        sim_verify(s, promise);
}

struct nest {
    struct sim *s;
    struct rng rng;
    uint32_t one_in;
};

static void cut_nested(void *ctx, const struct fake_step *step)
{
    struct nest *n = ctx;
    (void)step;
    if (rng_one_in(&n->rng, n->one_in))
        sim_cut(n->s, rng_one_in(&n->rng, 5) ? CUT_KILL : rng_one_in(&n->rng, 4) ? CUT_LOSE : CUT_RANDOM, rng_next(&n->rng), 0);
}

void sim_cut(struct sim *s, enum fake_cut how, uint64_t arg, uint32_t nested)
{
    if (s->broken)
        return;
    if (s->store != NULL)
        note_gone(s);
    struct sim *a = calloc(1, sizeof *a); /* the life after */
    if (a == NULL)
        abort();
    *a = *s;
    s->cuts++;
    a->store = NULL;
    a->rng = rng_of(arg + s->cuts);
    a->disk = fake_disk_clone(s->disk, rng_next(&a->rng));
    a->listener.ctx = a;
    a->failed_calls = 0;
    sim_exec_init(&a->exec, rng_next(&a->rng));
    sim_model_copy(&a->model, &s->model);
    a->model.next_id += 1000000;
    uint64_t required = sim_promise(s, how != CUT_KILL);
    a->durable_off = sim_promise(s, true);
    a->visible_off = required;
    int64_t off_ms = rng_below(&a->rng, 20000);
    a->now_ms += off_ms;
    a->mono_ms += off_ms;
    fake_disk_cut(a->disk, how, arg);

    struct nest nest = {.s = a, .rng = rng_of(arg), .one_in = 1};
    if (nested != 0 && rng_one_in(&a->rng, nested))
        fake_disk_hook(a->disk, cut_nested, &nest);
    if (sim_open(a)) {
        nest.one_in = 6;
        sim_verify(a, required);
        if (!a->broken && (s->cuts % 3 == 0 || nested != 0))
            sim_go_on(a);
    }
    s->cuts = a->cuts + 1;
    if (a->broken && !s->broken) {
        sim_break(s, "cut (%s, arg %" PRIu64 ") after step %" PRIu64 ": %s", fake_cut_name(how), arg, fake_disk_steps(s->disk), a->words);
        char *both = NULL;
        if (asprintf(&both, "%s  ---- the life after the cut:\n%s", s->trace, a->trace) < 0)
            abort();
        free(s->trace);
        s->trace = both;
    }
    fake_disk_hook(a->disk, NULL, NULL);
    sim_fini(a);
    free(a);
}

struct cutter {
    struct sim *s;
    struct rng rng;
    uint32_t nested;
};

static void cut_twice(void *ctx, const struct fake_step *step)
{
    static const enum fake_cut others[] = {CUT_KILL, CUT_LOSE, CUT_KEEP, CUT_FIRST, CUT_LAST};
    struct cutter *c = ctx;
    enum fake_cut how = others[step->number % 5];
    sim_cut(c->s, CUT_RANDOM, rng_next(&c->rng), c->nested);
    uint64_t arg = rng_below(&c->rng, (uint32_t)fake_disk_dirty(c->s->disk) + 1);
    sim_cut(c->s, how, arg, 0);
}

void sim_cut_at_every_step(struct sim *s, uint32_t nested)
{
    static struct cutter c;
    c = (struct cutter){s, rng_of(s->seed + 99), nested};
    fake_disk_hook(s->disk, cut_twice, &c);
}

/* ---- seeds ---- */

void sim_each_seed(uint64_t base, unsigned n, void (*one)(uint64_t seed))
{
    const char *only = getenv("SIM_SEED"), *more = getenv("SIM_SEEDS");
    log_set_level(getenv("SIM_LOG") ? LOG_INFO : LOG_OFF);
    if (only) {
        one(strtoull(only, NULL, 10));
        return;
    }
    n = (n + SIM_SLOW - 1) / SIM_SLOW;
    if (more)
        n = (unsigned)strtoul(more, NULL, 10);
    for (uint64_t seed = base; seed < base + n; seed++)
        one(seed);
}

void sim_must_hold(const struct sim *s, const char *what)
{
    if (s->broken) {
        fprintf(stderr, "%s: broken with SIM_SEED=%" PRIu64 ", after %" PRIu64 " puts and %" PRIu64 " cuts:\n  %s\nthe newest steps of the disk:\n%s", what,
                s->seed, s->puts, s->cuts, s->words, s->trace);
    }
    cr_assert(!s->broken, "%s: SIM_SEED=%" PRIu64 ": %s", what, s->seed, s->words);
}
