/* message_store.c - opening, recovery, closing; figures.
 *
 * Opening: lock -> log's files -> queues' names -> index -> recovery -> abort file. Recovery after a clean stop checks the log's last files and
 * tells the queues what they lack (usually nothing). After an unclean one it begins at a place that the checkpoint vouches for, cuts
 * all queues there and tells every record from there on again, in one pass over the log: checking and telling are the same reading.
 * The log is synced before the store is open. The queues are not: units and cut files are dirty like any others, the first round after opening
 * has them, and until it has ended the checkpoint lets the next recovery begin where this one did.  (test: sim/store, a_recovery_is_ready_...)
 *
 *   I1  after opening, each queue holds exactly the units of the records in the log, and counting goes on behind them.
 *   I2  nothing is promised on behalf of a former process before it was synced by this one.     (test: sim/store)
 *   I3  the abort file goes only after everything was synced and nothing had failed.            (test: unit/store reopen)
 * Works of queues and index that come up while opening or closing run inline: nobody turns the loop then. */
#include "broker/store/message_store.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "broker/store/message_store_internal.h"
#include "broker/store/recovery.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/protocol/rd.h"

#define INDEX_CATCH_UP_MAX ((uint64_t)8 << 30) /* bytes of the log read again for their keys only */

static void submit(void *ctx, enum store_lane lane, struct store_work *w)
{
    struct message_store *s = ctx;
    if (!s->inline_works) {
        s->outer->submit(s->outer->ctx, lane, w);
        return;
    }
    w->run(w);
    w->done(w);
}

/* ---- recovery ---- */

/* Bounded: what waits in memory goes to the page cache now and then. */
static enum mq_err tell(void *arg, const struct message *m, struct fault *why)
{
    struct message_store *s = arg;
    struct known_props known;
    struct message record = *m;
    prop_known(m->properties, &known);
    record.known = &known;
    enum mq_err err = store_dispatch(s, &record, NULL, false);
    if (err == MQ_ENOMEM)
        return fault_set(why, err, 0, "queue %" PRId32 " of %.*s", m->queue_id, SLICE_ARG(m->topic));
    if (err != MQ_OK)
        log_warn("store", "record without a unit topic=%.*s queue=%" PRId32 " queue_off=%" PRId64 " place=%" PRId64 " why=%s", SLICE_ARG(m->topic),
                 m->queue_id, m->queue_off, m->phys_off, mq_err_words(err));
    err = consume_queues_waiting(s->queues) > RECOVER_WAITING ? consume_queues_write(s->queues, why) : MQ_OK;
    if (err == MQ_EFULL && consume_queues_waiting(s->queues) <= QUEUES_WAITING_MAX)
        err = MQ_OK; /* they stay in memory */
    if (s->index != NULL)
        msg_index_tick(s->index, s->mono_ms);
    return err;
}

/* Keys of the records in [reached, to): the index syncs at its own pace, and files that a power cut may have torn were deleted. What does
 * not decode there is passed over to the next file: keys are a help, not a promise. */
static enum mq_err index_catch_up(struct message_store *s, uint64_t to, struct fault *why)
{
    if (s->index == NULL)
        return MQ_OK;
    uint64_t at = msg_index_reached(s->index), size = commit_log_file_size(s->log);
    at = at < commit_log_min(s->log) ? commit_log_min(s->log) : at;
    if (at < to && to - at > INDEX_CATCH_UP_MAX) { /* a start must end */
        at = to - INDEX_CATCH_UP_MAX;
        at += size - at % size;
        log_warn("store", "older messages stay without keys in the index before=%020" PRIu64, at);
    }
    if (at < to && to - at > CATCH_UP_TOLD)
        log_info("store", "index is filled from the log from=%020" PRIu64 " to=%020" PRIu64, at, to);
    enum mq_err err = MQ_OK;
    while (err == MQ_OK && at < to) {
        struct log_reader r;
        struct message m;
        err = log_reader_begin(&r, s->log, at, to, false, why);
        while (err == MQ_OK && (err = log_reader_next(&r, &m, why)) == MQ_OK)
            msg_index_add(s->index, &m);
        at = r.at - r.at % size + size;
        log_reader_end(&r);
        if (err == MQ_ENOTFOUND || err == MQ_EMALFORMED)
            err = MQ_OK;
    }
    return err;
}

/* After a clean stop: queues end where the log ends, or lack its last records (a Java broker may have left them behind). */
static enum mq_err recover_clean(struct message_store *s, uint64_t from, struct recovered *rec, struct fault *why)
{
    enum mq_err err = recovery_run(s->log, from, true, s->cfg.check_crc_on_recover, NULL, NULL, NULL, rec, why);
    uint64_t told = 0, min = commit_log_min(s->log);
    if (err == MQ_OK)
        err = consume_queues_recover(s->queues, true, min, rec->end, &told, why);
    if (told < min)
        told = min;
    if (err == MQ_OK && told < rec->end)
        err = index_catch_up(s, told, why);
    struct log_reader r = {0};
    if (err == MQ_OK && told < rec->end)
        err = log_reader_begin(&r, s->log, told, rec->end, s->cfg.check_crc_on_recover, why);
    struct message m;
    while (err == MQ_OK && r.buf != NULL && (err = log_reader_next(&r, &m, why)) == MQ_OK)
        err = tell(s, &m, why);
    log_reader_end(&r);
    if (err == MQ_EMALFORMED) {
        char path[STORE_PATH_MAX];
        uint64_t size = commit_log_file_size(s->log);
        commit_log_path(s->log, r.at - r.at % size, path);
        return fault_set(why, MQ_ECORRUPT, 0, "%.120s is damaged at offset %" PRIu64 ", where a queue ends", path, r.at % size);
    }
    return err == MQ_ENOTFOUND ? MQ_OK : err;
}

static enum mq_err recover_unclean(struct message_store *s, uint64_t from, struct recovered *rec, struct fault *why)
{
    uint64_t told = 0;
    enum mq_err err = consume_queues_recover(s->queues, false, commit_log_min(s->log), from, &told, why);
    if (err == MQ_OK) /* in the order of places: first what lies before */
        err = index_catch_up(s, from, why);
    if (err == MQ_OK)
        err = recovery_run(s->log, from, false, true, &s->checkpoint, tell, s, rec, why);
    return err;
}

static enum mq_err recover(struct message_store *s, bool clean, struct fault *why)
{
    uint64_t from = recovery_start(s->log, clean, &s->checkpoint);
    struct recovered rec = {.end = from, .last_ms = -1};
    enum mq_err err = clean ? recover_clean(s, from, &rec, why) : recover_unclean(s, from, &rec, why);
    if (err == MQ_OK && s->index != NULL)
        msg_index_truncate(s->index, rec.end);
    if (err == MQ_OK) /* truncating takes whole files */
        err = index_catch_up(s, rec.end, why);
    if (err == MQ_OK) /* before any round makes queues safe that point into it */
        err = commit_log_settle(s->log, rec.end, rec.dirty, clean ? rec.end : from, why);
    s->last_ms = s->written_ms = rec.last_ms > 0 ? rec.last_ms : s->checkpoint.log_ms;
    s->rounds.owed = consume_queues_dirty(s->queues); /* until it is paid, each recovery begins where this one did */
    if (!clean) /* what follows was told again, and no round has been */
        s->checkpoint.queues_off = (int64_t)from;
    else if (s->checkpoint.queues_off < 0) /* a Java broker's stop: it syncs its queues */
        s->checkpoint.queues_off = consume_queues_dirty(s->queues) ? (int64_t)commit_log_min(s->log) : (int64_t)rec.end;
    if (err == MQ_OK && !clean)
        log_info("store", "recovered after an unclean stop from=%020" PRIu64 " end=%020" PRIu64 " queues=%zu", from, rec.end,
                 consume_queues_count(s->queues));
    return err;
}

/* ---- opening and closing ---- */

static enum mq_err parts_open(struct message_store *s, bool clean, int64_t mono_ms, struct fault *why)
{
    const struct commit_log_config log = {.dir = s->cfg.commit_log_dir, .file_size = s->cfg.commit_log_file_size, .sync_flush = s->cfg.sync_flush,
                                          .flush_interval_ms = s->cfg.flush_interval_ms, .unflushed_max = s->cfg.unflushed_max};
    const struct commit_log_events events = {.ctx = s, .moved = store_log_moved, .failed = store_log_failed};
    uint32_t queue_size = (s->cfg.consume_queue_file_size + CQ_UNIT - 1) / CQ_UNIT * CQ_UNIT;
    enum mq_err err = commit_log_open(&log, &s->io, &s->exec, &events, &s->log, why);
    if (err == MQ_OK)
        err = consume_queues_open(&s->io, &s->exec, queue_size, s->cfg.flush_queue_least_bytes, &s->queues, why);
    if (err == MQ_OK && s->cfg.index_enable)
        err = msg_index_open(&s->io, &s->exec, s->cfg.index_slots, s->cfg.index_entries, clean, &s->checkpoint, &s->index, why);
    if (err == MQ_OK)
        err = recover(s, clean, why);
    if (err == MQ_OK)
        err = store_retention_open(s, mono_ms, why);
    return err;
}

static void parts_free(struct message_store *s)
{
    retention_free(s->retention);
    if (s->index != NULL)
        msg_index_close(s->index);
    consume_queues_close(s->queues);
    commit_log_close(s->log);
    if (s->lock_fd >= 0)
        s->io.close(s->io.ctx, s->lock_fd);
    mem_free(s->pending);
    mem_free(s);
}

enum mq_err message_store_open(const struct store_config *cfg, const struct store_io *io, const struct store_exec *exec,
                               const struct store_listener *listener, int64_t mono_ms, struct message_store **out, struct fault *why)
{
    struct fault local = {0};
    struct message_store *s = mem_zalloc(sizeof *s);
    if (why == NULL)
        why = &local;
    if (s == NULL)
        return fault_set(why, MQ_ENOMEM, 0, "message store");
    s->cfg = *cfg;
    s->io = *io;
    s->outer = exec;
    s->exec = (struct store_exec){.ctx = s, .submit = submit};
    if (listener != NULL)
        s->listener = *listener;
    s->lock_fd = -1;
    s->inline_works = true;
    s->mono_ms = s->rounds.began_ms = s->rounds.thorough_ms = s->checkpoint_at_ms = mono_ms;
    s->last_ms = 0;
    owner_take(&s->owner);
    store_checkpoint_init(s);
    bool unclean = false;
    enum mq_err err = store_lock(io, &s->lock_fd, why);
    if (err == MQ_OK)
        err = abort_present(io, &unclean, why);
    if (err == MQ_OK)
        err = checkpoint_read(io, &s->checkpoint, why);
    s->checkpoint_written = s->checkpoint;
    if (err == MQ_OK)
        err = parts_open(s, !unclean, mono_ms, why);
    if (err == MQ_OK)
        err = abort_make(io, why);
    if (err != MQ_OK) {
        parts_free(s);
        return err;
    }
    s->cfg.commit_log_dir = NULL;
    s->inline_works = false;
    *out = s;
    return MQ_OK;
}

static enum mq_err flush_all(struct message_store *s, struct fault *why)
{
    enum mq_err err = commit_log_flush_now(s->log);
    if (err != MQ_OK)
        return fault_set(why, err, 0, "sync the log");
    err = consume_queues_flush_now(s->queues, why);
    if (err != MQ_OK)
        return err;
    s->checkpoint.queues_ms = s->last_ms;
    s->checkpoint.queues_off = (int64_t)commit_log_written(s->log);
    bool index_safe = true;
    if (s->index != NULL) {
        int64_t synced_ms = msg_index_synced_ms(s->index), synced_place = msg_index_synced_place(s->index);
        index_safe = msg_index_close(s->index); /* writes what waits */
        s->index = NULL;
        s->checkpoint.index_ms = index_safe && s->last_ms > synced_ms ? s->last_ms : synced_ms;
        s->checkpoint.index_place = index_safe ? (int64_t)commit_log_written(s->log) : synced_place;
    }
    struct checkpoint c = store_checkpoint(s);
    err = checkpoint_write(&s->io, &c, why);
    return err != MQ_OK || index_safe ? err : fault_set(why, MQ_EFAILED, 0, "the index");
}

bool message_store_close(struct message_store *s, int64_t mono_ms)
{
    if (s == NULL)
        return false;
    owner_assert(&s->owner);
    s->inline_works = true;
    message_store_turn(s, mono_ms);
    struct fault why = {0};
    char text[300];
    enum mq_err err = s->failed.err != MQ_OK ? s->failed.err : flush_all(s, &why);
    bool flushed = s->failed.err == MQ_OK && commit_log_flushed(s->log) == commit_log_written(s->log);
    if (err == MQ_OK)
        err = abort_remove(&s->io, &why);
    if (err != MQ_OK)
        log_error("store", "closed with the abort file left in place, the next start checks the log why=%s",
                  fault_text(s->failed.err != MQ_OK ? &s->failed : &why, text, sizeof text));
    parts_free(s);
    return flushed;
}

/* ---- figures ---- */

const char *message_store_refusal(const struct message_store *s) { return s->refusal; }
uint64_t message_store_flushed(const struct message_store *s) { return commit_log_flushed(s->log); }
bool message_store_failed(const struct message_store *s) { return s->failed.err != MQ_OK; }
bool message_store_writable(const struct message_store *s)
{
    return s->failed.err == MQ_OK && s->queues_full.err == MQ_OK && commit_log_no_room(s->log) == NULL && retention_writable(s->retention, NULL, NULL);
}

static int64_t earliest_ms(struct message_store *s)
{
    uint8_t h[MESSAGE_FIXED];
    uint64_t at = commit_log_min(s->log);
    uint32_t size;
    if (commit_log_read(s->log, h, sizeof h, at, true) != (int64_t)sizeof h || !store_record_good(h, sizeof h, at, &size))
        return -1;
    struct rd r = rd_over(h, sizeof h);
    rd_take(&r, 36);
    rd_take(&r, 8 + (rd_u32(&r) & 0x10 ? 20u : 8u));
    return rd_i64(&r);
}

void message_store_figures(struct message_store *s, struct store_figures *out)
{
    owner_assert(&s->owner);
    struct retention_disk disk;
    retention_disk(s->retention, &disk);
    uint64_t written = commit_log_written(s->log), reached = s->index != NULL ? msg_index_reached(s->index) : written;
    *out = (struct store_figures){.min_phys_off = commit_log_min(s->log),
                                  .max_phys_off = written,
                                  .flushed_off = commit_log_flushed(s->log),
                                  .dispatch_behind_bytes = reached < written ? written - reached : 0,
                                  .disk_free = disk.free_bytes,
                                  .disk_total = disk.total_bytes,
                                  .log_disk_ratio = disk.log_ratio,
                                  .queue_disk_ratio = disk.queue_ratio,
                                  .earliest_store_ms = earliest_ms(s),
                                  .put_msgs = s->put_msgs,
                                  .put_bytes = s->put_bytes,
                                  .put_failed = s->put_failed,
                                  .get_found = s->get_found,
                                  .get_missed = s->get_missed,
                                  .get_msgs = s->get_msgs,
                                  .flushes = commit_log_flushes(s->log),
                                  .queues = consume_queues_count(s->queues)};
    out->memory_bytes = sizeof *s + commit_log_memory(s->log) + consume_queues_memory(s->queues) + s->cap_pending * sizeof *s->pending +
                        (s->index != NULL ? msg_index_memory(s->index) : 0);
}

void message_store_each_queue(struct message_store *s, store_queue_fn *fn, void *arg)
{
    owner_assert(&s->owner);
    consume_queues_each(s->queues, fn, arg);
}
