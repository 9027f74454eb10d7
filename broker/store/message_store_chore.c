/* message_store_chore.c - what a store does between turns: flush rounds of the queues, the checkpoint, retention; and how it fails.
 *
 * Order of safety: records are synced, then units, each at its own pace; the checkpoint says for both up to which store time. It is
 * written after what it vouches for, at most once a second, by LANE_CHORE.
 *
 *   I1  a failed write or sync of log or queues is final; the listener hears of it once, and that nothing more will be flushed.
 *                                                                                              (test: unit/store fail)
 *   I2  message_store_tick() asks to be called again as long as something waits that only a clock moves. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "broker/store/message_store_internal.h"
#include "common/base/log.h"

enum { LOOK_AGAIN_MS = 100 }; /* whether a work under way has ended */

/* ---- failures ---- */

void store_fail(struct message_store *s, const struct fault *why)
{
    if (s->failed.err != MQ_OK)
        return;
    s->failed = *why;
    commit_log_fail(s->log, why); /* the queues' failure is the log's, too */
    if (s->listener.failed != NULL)
        s->listener.failed(s->listener.ctx, &s->failed);
    if (s->listener.flushed != NULL)
        s->listener.flushed(s->listener.ctx, commit_log_flushed(s->log));
}

void store_log_failed(void *ctx, const struct fault *why) { store_fail(ctx, why); }

void store_log_moved(void *ctx)
{
    struct message_store *s = ctx;
    if (s->listener.flushed != NULL && !s->inline_works)
        s->listener.flushed(s->listener.ctx, commit_log_flushed(s->log));
}

/* ---- queues ---- */

static void on_round(void *arg, enum mq_err err, const struct fault *why)
{
    struct message_store *s = arg;
    char text[300];
    if (err == MQ_OK && s->rounds.thorough) {
        s->checkpoint.queues_ms = s->rounds.safe_ms;
        s->checkpoint.queues_off = s->rounds.safe_off;
    }
    if (s->rounds.thorough || err == MQ_EFULL)
        s->rounds.owed = err != MQ_OK; /* AGAIN: some queue's files were not at hand, the next round has it */
    if (err == MQ_EFULL && s->queues_full.err == MQ_OK)
        log_error("store", "no room for queues, sends are refused why=%s", fault_text(why, text, sizeof text));
    else if (err != MQ_OK && err != MQ_EFULL && err != MQ_EAGAIN)
        store_fail(s, why);
    if (err != MQ_EFULL && s->queues_full.err != MQ_OK && s->failed.err == MQ_OK)
        log_info("store", "there is room for queues, sends are taken again");
    s->queues_full = err == MQ_EFULL ? *why : (struct fault){0};
}

static struct round_due next_round(const struct message_store *s, int64_t mono_ms)
{
    const struct round_rule rule = {.interval_ms = s->cfg.flush_queue_interval_ms,
                                    .thorough_ms = s->cfg.flush_queue_least_bytes > 0 ? s->cfg.flush_queue_thorough_ms : 0,
                                    .log_file_size = commit_log_file_size(s->log)};
    const struct round_facts facts = {.mono_ms = mono_ms, .began_ms = s->rounds.began_ms, .thorough_ms = s->rounds.thorough_ms,
                                      .dirty = consume_queues_dirty(s->queues), .ripe = consume_queues_ripe(s->queues), .owed = s->rounds.owed,
                                      .safe_off = s->checkpoint.queues_off > 0 ? (uint64_t)s->checkpoint.queues_off : 0,
                                      .end_off = commit_log_written(s->log), .waiting = consume_queues_waiting(s->queues)};
    return round_due(&rule, &facts);
}

void store_flush_queues(struct message_store *s, int64_t mono_ms)
{
    if (s->failed.err != MQ_OK || consume_queues_flushing(s->queues))
        return;
    struct round_due due = next_round(s, mono_ms);
    if (due.in_ms > 0)
        return;
    struct store_work *w = consume_queues_flush_job(s->queues, due.thorough, on_round, s);
    s->rounds.began_ms = mono_ms;
    s->rounds.thorough = due.thorough;
    if (due.thorough) {
        s->rounds.thorough_ms = mono_ms;
        s->rounds.owed = s->rounds.owed || w == NULL;
    }
    if (w == NULL)
        return;
    s->rounds.safe_ms = s->written_ms; /* a batch that is not written yet has no units yet */
    s->rounds.safe_off = (int64_t)commit_log_written(s->log);
    s->exec.submit(s->exec.ctx, LANE_FLUSH, w);
}

/* ---- the checkpoint ---- */

static int64_t earlier(int64_t a, int64_t b) { return a < b ? a : b; }

struct checkpoint store_checkpoint(const struct message_store *s)
{
    struct checkpoint c = s->checkpoint;
    if (commit_log_flushed_ms(s->log) >= 0)
        c.log_ms = commit_log_flushed_ms(s->log);
    if (s->index != NULL && msg_index_synced_ms(s->index) > 0)
        c.index_ms = msg_index_synced_ms(s->index);
    if (s->index != NULL)
        c.index_place = msg_index_synced_place(s->index);
    c.log_off = (int64_t)commit_log_flushed(s->log);
    /* after the clock went back, what is synced is older than what comes */
    c.log_ms = earlier(c.log_ms, s->last_ms);
    c.queues_ms = earlier(c.queues_ms, s->last_ms);
    c.index_ms = earlier(c.index_ms, s->last_ms);
    return c;
}

static bool same(const struct checkpoint *a, const struct checkpoint *b)
{
    return a->log_ms == b->log_ms && a->queues_ms == b->queues_ms && a->index_ms == b->index_ms && a->log_off == b->log_off &&
           a->queues_off == b->queues_off && a->index_place == b->index_place;
}

static void checkpoint_run(struct store_work *w)
{
    struct checkpoint_job *j = CONTAINER_OF(w, struct checkpoint_job, work);
    j->why.err = MQ_OK;
    checkpoint_write(&j->store->io, &j->value, &j->why);
}

static void checkpoint_done(struct store_work *w)
{
    struct checkpoint_job *j = CONTAINER_OF(w, struct checkpoint_job, work);
    char text[300];
    j->busy = false;
    if (j->why.err == MQ_OK)
        j->store->checkpoint_written = j->value;
    else /* an old one is true, too: recovery reads more */
        log_warn("store", "checkpoint not written why=%s", fault_text(&j->why, text, sizeof text));
}

static void write_checkpoint(struct message_store *s, int64_t mono_ms)
{
    struct checkpoint_job *j = &s->checkpoint_job;
    struct checkpoint c = store_checkpoint(s);
    bool early = mono_ms - s->checkpoint_at_ms < CHECKPOINT_EVERY_MS;
    if (j->busy || early || s->failed.err != MQ_OK || same(&c, &s->checkpoint_written))
        return;
    s->checkpoint_at_ms = mono_ms;
    j->value = c;
    j->busy = true;
    s->exec.submit(s->exec.ctx, LANE_CHORE, &j->work);
}

/* ---- retention ---- */

static size_t host_files(void *ctx, struct retention_file *to, size_t max)
{
    const struct message_store *s = ctx;
    uint64_t size = commit_log_file_size(s->log), first = commit_log_min(s->log), safe = commit_log_flushed(s->log);
    uint64_t queues = s->checkpoint.queues_off > 0 ? (uint64_t)s->checkpoint.queues_off : 0;
    safe = safe < queues ? safe : queues; /* a queue that lost its units to a power cut, and the records to us, would count from 0 again */
    safe = safe < first ? first : safe;
    size_t n = (size_t)((safe - first) / size) + 1, there = (size_t)((commit_log_limit(s->log) - first) / size);
    n = n < there ? n : there; /* those wholly safe, and one more, which stays */
    for (size_t i = 0; i < n && i < max; i++)
        to[i] = (struct retention_file){.off = first + i * size, .size = size, .modified_ms = -1};
    return n;
}

static void host_path(void *ctx, uint64_t off, char *path) { commit_log_path(((const struct message_store *)ctx)->log, off, path); }

static void host_drop(void *ctx, uint64_t min_phys)
{
    struct message_store *s = ctx;
    commit_log_drop(s->log, min_phys);
    consume_queues_min_phys(s->queues, min_phys);
    if (s->index != NULL)
        msg_index_min_phys(s->index, min_phys);
}

enum mq_err store_retention_open(struct message_store *s, int64_t mono_ms, struct fault *why)
{
    const struct retention_config cfg = {
        .rule = {.reserved_ms = s->cfg.reserved_ms, .delete_hours = s->cfg.delete_hours, .clean_percent = s->cfg.disk_clean_percent,
                 .force_percent = s->cfg.disk_force_percent, .stop_percent = s->cfg.disk_stop_percent},
        .log_dir = s->cfg.commit_log_dir, .queue_dir = "consumequeue"};
    const struct retention_host host = {.ctx = s, .files = host_files, .path = host_path, .drop = host_drop};
    return retention_new(&cfg, &s->io, &s->exec, &host, mono_ms, &s->retention, why);
}

void message_store_clean_now(struct message_store *s, struct store_now now)
{
    owner_assert(&s->owner);
    retention_clean_now(s->retention, now);
}

/* ---- the tick ---- */

static int64_t left(int64_t since_ms, int64_t interval_ms, int64_t mono_ms)
{
    int64_t ms = since_ms + interval_ms - mono_ms;
    return ms < 0 ? 0 : ms;
}

static int64_t work_left_ms(struct message_store *s, int64_t mono_ms)
{
    int64_t due = commit_log_due(s->log, mono_ms);
    if (s->failed.err != MQ_OK)
        return due;
    int64_t round_ms = next_round(s, mono_ms).in_ms;
    if (consume_queues_flushing(s->queues))
        due = earlier(due, LOOK_AGAIN_MS);
    else if (round_ms < INT64_MAX)
        due = earlier(due, round_ms + 1);
    struct checkpoint c = store_checkpoint(s);
    if (!same(&c, &s->checkpoint_written))
        due = earlier(due, left(s->checkpoint_at_ms, CHECKPOINT_EVERY_MS, mono_ms) + 1);
    if (s->index != NULL && msg_index_reached(s->index) < commit_log_written(s->log))
        due = earlier(due, LOOK_AGAIN_MS);
    return due;
}

int64_t message_store_tick(struct message_store *s, struct store_now now)
{
    owner_assert(&s->owner);
    s->mono_ms = now.mono_ms;
    commit_log_pump(s->log, now.mono_ms);
    commit_log_trim(s->log, now.mono_ms);
    store_flush_queues(s, now.mono_ms);
    if (s->index != NULL && s->failed.err == MQ_OK)
        msg_index_tick(s->index, now.mono_ms);
    write_checkpoint(s, now.mono_ms);
    int64_t retention = retention_tick(s->retention, now, commit_log_written(s->log));
    int64_t due = earlier(retention, work_left_ms(s, now.mono_ms));
    return due < 1 ? 1 : due;
}

void store_checkpoint_init(struct message_store *s)
{
    s->checkpoint_job = (struct checkpoint_job){.store = s, .work = {.run = checkpoint_run, .done = checkpoint_done}};
    list_init(&s->checkpoint_job.work.node);
}
