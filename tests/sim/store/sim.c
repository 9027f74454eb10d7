/* sim.c - driving a store from a seed: what a broker does, in any order that a broker may. Judging is in verify.c. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/store/model.h"

void sim_break(struct sim *s, const char *fmt, ...)
{
    if (s->broken)
        return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(s->words, sizeof s->words, fmt, ap);
    va_end(ap);
    s->broken = true;
    size_t n;
    FILE *to = open_memstream(&s->trace, &n);
    fake_disk_trace(s->disk, to, 20);
    fclose(to);
}

/* ---- what the store tells ---- */

static void on_arrived(void *ctx, const struct arrival *a)
{
    struct sim *s = ctx;
    int t = sim_topic_of(a->topic);
    if (t < 0 || a->queue_id < 0 || a->queue_id >= SIM_QUEUES) {
        sim_break(s, "I3: arrival in a foreign queue %.*s/%d", SLICE_ARG(a->topic), a->queue_id);
        return;
    }
    struct sim_queue *q = &s->model.queues[t][a->queue_id];
    if (q->arrived != UINT32_MAX && a->queue_off != q->arrived)
        sim_break(s, "I2: arrival %" PRId64 " in %s/%d, expected %u", a->queue_off, sim_topics[t], a->queue_id, q->arrived);
    else if (a->queue_off < 0 || a->queue_off >= q->n)
        sim_break(s, "I3: arrival %" PRId64 " in %s/%d, put were %u", a->queue_off, sim_topics[t], a->queue_id, q->n);
    else if (q->msgs[a->queue_off].store_ms != a->store_ms)
        sim_break(s, "arrival %" PRId64 " in %s/%d has store time %" PRId64 ", put said %" PRId64, a->queue_off, sim_topics[t], a->queue_id, a->store_ms,
                  q->msgs[a->queue_off].store_ms);
    q->arrived = (uint32_t)a->queue_off + 1;
}

static void on_written(void *ctx, uint64_t off)
{
    struct sim *s = ctx;
    if (off < s->visible_off)
        sim_break(s, "offsets_only_grow: written went from %" PRIu64 " to %" PRIu64, s->visible_off, off);
    s->visible_off = off;
}

static void on_flushed(void *ctx, uint64_t off)
{
    struct sim *s = ctx;
    if (off < s->durable_off || off > s->visible_off)
        sim_break(s, "offsets_only_grow: flushed went from %" PRIu64 " to %" PRIu64 ", written %" PRIu64, s->durable_off, off, s->visible_off);
    s->durable_off = off;
}

static void on_failed(void *ctx, const struct fault *why)
{
    struct sim *s = ctx;
    (void)why;
    s->failed_calls++;
}

uint64_t sim_promise(const struct sim *s, bool power)
{
    uint64_t durable = s->store ? message_store_flushed(s->store) : 0;
    durable = durable > s->durable_off ? durable : s->durable_off;
    return power || durable > s->visible_off ? durable : s->visible_off;
}

/* ---- life ---- */

void sim_init(struct sim *s, uint64_t seed, const struct sim_options *opt)
{
    static const uint32_t log_sizes[] = {4096, 8192, 16384, 32768}, queue_sizes[] = {200, 400, 1000, 4000}, intervals[] = {0, 50, 500};
    memset(s, 0, sizeof *s);
    s->seed = seed;
    s->opt = *opt;
    s->rng = rng_of(seed);
    s->disk = fake_disk_new(rng_next(&s->rng));
    s->now_ms = SIM_START_MS;
    s->mono_ms = 1000;
    fake_disk_clock(s->disk, s->now_ms);
    fake_disk_writeback(s->disk, rng_one_in(&s->rng, 3) ? 0 : rng_between(&s->rng, 3, 30));
    sim_exec_init(&s->exec, rng_next(&s->rng));
    s->listener = (struct store_listener){.ctx = s, .arrived = on_arrived, .written = on_written, .flushed = on_flushed, .failed = on_failed};
    s->cfg = (struct store_config){.commit_log_dir = "commitlog", .commit_log_file_size = log_sizes[rng_below(&s->rng, opt->uniform ? 2 : 4)],
                                   .consume_queue_file_size = queue_sizes[rng_below(&s->rng, 4)], .check_crc_on_recover = true, .index_enable = true,
                                   .index_slots = rng_between(&s->rng, 3, 50), .index_entries = rng_between(&s->rng, 10, 60),
                                   .flush_interval_ms = intervals[rng_below(&s->rng, 3)], .flush_queue_interval_ms = intervals[rng_below(&s->rng, 3)],
                                   .sync_flush = opt->sync_flush, .reserved_ms = (int64_t)72 * 3600 * 1000, .delete_hours = 0, .disk_clean_percent = 75,
                                   .disk_force_percent = 85, .disk_stop_percent = 90};
    if (opt->expire)
        s->cfg.reserved_ms = 3600 * 1000;
    s->cfg.max_message_size = (uint32_t)s->cfg.commit_log_file_size / 3;
    s->cfg.flush_interval_ms = s->cfg.flush_interval_ms ? s->cfg.flush_interval_ms : 10;
    s->cfg.flush_queue_least_bytes = seed % 3 == 1 ? 60 : 0;
    s->cfg.flush_queue_thorough_ms = seed % 3 == 1 ? 5000 : 0;
    s->cfg.flush_queue_interval_ms = s->cfg.flush_queue_interval_ms ? s->cfg.flush_queue_interval_ms : 10;
}

void sim_fini(struct sim *s)
{
    if (s->store)
        sim_close(s);
    sim_model_free(&s->model);
    free(s->trace);
    s->trace = NULL;
    fake_disk_free(s->disk);
    s->disk = NULL;
}

enum mq_err sim_try_open(struct sim *s, struct fault *why)
{
    struct message_store *store = NULL;
    enum mq_err err = message_store_open(&s->cfg, fake_disk_io(s->disk), &s->exec.store, &s->listener, s->mono_ms, &store, why);
    if (err != MQ_OK)
        return err;
    s->store = store;
    for (int t = 0; t < SIM_TOPICS; t++)
        for (int k = 0; k < SIM_QUEUES; k++)
            s->model.queues[t][k].arrived = UINT32_MAX;
    struct store_figures f;
    message_store_figures(store, &f);
    if (f.max_phys_off > s->visible_off)
        s->visible_off = f.max_phys_off;
    if (f.flushed_off > f.max_phys_off)
        sim_break(s, "offsets_only_grow: after opening, flushed %" PRIu64 " is beyond written %" PRIu64, f.flushed_off, f.max_phys_off);
    return MQ_OK;
}

bool sim_open(struct sim *s)
{
    struct fault why = {0};
    char words[300];
    enum mq_err err = sim_try_open(s, &why);
    if (err != MQ_OK)
        sim_break(s, "the store does not open: %s: %s", mq_err_words(err), fault_text(&why, words, sizeof words));
    return err == MQ_OK;
}

void sim_close(struct sim *s)
{
    sim_exec_drain(&s->exec);
    message_store_close(s->store, s->mono_ms);
    s->store = NULL;
    if (!sim_exec_idle(&s->exec))
        sim_break(s, "closing left works behind");
    if (fake_disk_open_files(s->disk) != 0)
        sim_break(s, "closing left %d files open", fake_disk_open_files(s->disk));
}

/* ---- acts ---- */

static uint32_t body_of(struct sim *s, unsigned topic)
{
    if (s->opt.uniform)
        return sim_body_for_record(topic, 512);
    switch (rng_below(&s->rng, 8)) {
    case 0:
        return 0;
    case 1:
        return rng_below(&s->rng, s->cfg.max_message_size);
    case 2:
    case 3:
        return rng_below(&s->rng, 1000);
    default:
        return rng_below(&s->rng, 150);
    }
}

/* A record that the log keeps and no queue shows. */
static void put_hidden(struct sim *s)
{
    static struct sim_message made;
    struct put_result out;
    sim_message_make(&made, 0, 0, s->model.next_id++, rng_below(&s->rng, 100));
    made.m.properties = slice_make(NULL, 0);
    made.m.sys_flag = rng_one_in(&s->rng, 2) ? 0x4 : 0xc;
    if (message_store_put(s->store, &made.m, 1, s->now_ms, &out) == PUT_OK)
        s->hidden++;
}

enum put_status sim_put(struct sim *s, unsigned topic, unsigned queue, unsigned n)
{
    static struct sim_message made[SIM_BATCH];
    struct message m[SIM_BATCH];
    struct put_result out[SIM_BATCH];
    struct sim_queue *q = &s->model.queues[topic][queue];
    uint32_t first = q->n;
    size_t bytes = 0;
    for (unsigned i = 0; i < n; i++) {
        struct sim_msg *msg = sim_model_add(&s->model, topic, queue, body_of(s, topic));
        sim_message_make(&made[i], topic, queue, msg->id, msg->body_n);
        bytes += message_size(&made[i].m);
        m[i] = made[i].m;
    }
    enum put_status status = bytes + MESSAGE_BLANK_MIN > s->cfg.commit_log_file_size ? PUT_TOO_LARGE : message_store_put(s->store, m, n, s->now_ms, out);
    s->puts++;
    if (status != PUT_OK) {
        s->refused += status == PUT_NO_ROOM || status == PUT_FAILED;
        q->n = first;
        return status;
    }
    for (unsigned i = 0; i < n; i++) {
        struct sim_msg *msg = &q->msgs[first + i];
        msg->phys_off = out[i].phys_off;
        msg->size = out[i].size;
        msg->store_ms = out[i].store_ms;
        if (out[i].queue_off != first + i)
            sim_break(s, "I2: put into %s/%u got queue offset %" PRId64 ", expected %u", sim_topics[topic], queue, out[i].queue_off, first + i);
        if (out[i].size != message_size(&m[i]) || out[i].phys_off < (int64_t)s->visible_off)
            sim_break(s, "put into %s/%u: size %u at %" PRId64 ", written is %" PRIu64, sim_topics[topic], queue, out[i].size, out[i].phys_off, s->visible_off);
    }
    return status;
}

void sim_turn(struct sim *s) { message_store_turn(s->store, s->mono_ms); }

void sim_tick(struct sim *s, int64_t pass_ms)
{
    s->now_ms += pass_ms;
    s->mono_ms += pass_ms;
    fake_disk_clock(s->disk, s->now_ms);
    message_store_tick(s->store, (struct store_now){s->now_ms, s->mono_ms});
}

static void act_read(struct sim *s)
{
    unsigned t = rng_below(&s->rng, SIM_TOPICS), k = rng_below(&s->rng, SIM_QUEUES);
    struct sim_queue *q = &s->model.queues[t][k];
    if (rng_one_in(&s->rng, 10))
        fake_disk_chill(s->disk, NULL);
    int64_t from = rng_below(&s->rng, q->n + 2);
    struct store_figures f;
    message_store_figures(s->store, &f);
    while (from < q->n && q->msgs[from].phys_off >= 0 && (uint64_t)q->msgs[from].phys_off < f.min_phys_off)
        from++; /* gone: the answer begins behind it */
    sim_read_some(s, t, k, from, rng_between(&s->rng, 1, 10), false);
}

static void act_put(struct sim *s)
{
    unsigned n = rng_one_in(&s->rng, 6) ? rng_between(&s->rng, 2, SIM_BATCH) : 1;
    if (s->opt.transactions && rng_one_in(&s->rng, 8))
        put_hidden(s);
    else
        sim_put(s, rng_below(&s->rng, SIM_TOPICS), rng_below(&s->rng, SIM_QUEUES), n);
}

static void act_expire(struct sim *s)
{
    sim_tick(s, 2 * 3600 * 1000);
    message_store_clean_now(s->store, (struct store_now){s->now_ms, s->mono_ms});
    for (int i = 0; i < 3; i++) {
        sim_tick(s, 11000);
        sim_exec_step(&s->exec);
    }
}

/* Somebody sets the wall clock: by seconds, hours, days. */
static void jump(struct sim *s)
{
    static const int64_t by_ms[] = {-20000, -20000, -20000, 20000, -5 * 3600000, 5 * 3600000, -4 * 86400000LL, 4 * 86400000LL};
    s->now_ms += by_ms[rng_below(&s->rng, sizeof by_ms / sizeof *by_ms)];
}

static int64_t passing(struct sim *s)
{
    if (s->opt.clock_jumps && rng_one_in(&s->rng, 6))
        jump(s);
    return rng_one_in(&s->rng, 10) ? 7000 : (int64_t)rng_below(&s->rng, 200);
}

void sim_act(struct sim *s)
{
    uint32_t what = rng_below(&s->rng, 100);
    if (s->opt.expire && rng_one_in(&s->rng, 25))
        act_expire(s);
    else if (what < 40)
        act_put(s);
    else if (what < 60)
        sim_turn(s);
    else if (what < 72)
        sim_tick(s, passing(s));
    else if (what < 92)
        sim_exec_step(&s->exec);
    else if (what < 98)
        act_read(s);
    else
        sim_exec_drain(&s->exec);
}

void sim_run(struct sim *s, unsigned acts)
{
    for (unsigned i = 0; i < acts && !s->broken; i++)
        sim_act(s);
}

bool sim_settle(struct sim *s)
{
    for (int i = 0; i < 400; i++) {
        struct store_figures f;
        sim_turn(s);
        sim_tick(s, 50);
        sim_exec_drain(&s->exec);
        message_store_figures(s->store, &f);
        if (sim_exec_idle(&s->exec) && f.flushed_off == f.max_phys_off && i > 1)
            return true;
    }
    return false;
}
