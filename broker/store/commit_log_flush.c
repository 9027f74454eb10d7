/* commit_log_flush.c - what the log does on LANE_FLUSH: one work at a time, which takes everything that is due when it starts.
 *
 * A work syncs "everything written so far" and posts one figure back: group commit needs no more than that. The same work makes the next
 * file (first, because somebody may wait for it) and starts write-back of what was written since, so that no sync finds half a
 * second's worth of dirty pages at once.
 * With sync_flush it also writes zeros a bounded window ahead of the log's end: a sync over blocks that were written before needs no
 * commit of the file system's journal. Zeros never reach a byte that the core has written or is about to: the core says how far it
 * goes (core_end) under a lock that the flusher holds for one piece at a time.
 *
 *   I1  `flushed` moves only to what was written when the work was submitted, after all its files were synced.
 *   I2  a failed sync is final and is never tried again: the kernel may have dropped the pages; so is a failed write, also one of zeros.
 *                                                           (tests: unit/store fail; sim/store a_failed_pwrite_is_final)
 *   I3  a file that could not be made is no failure: sends are refused until it can.              (test: unit/store fail) */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "broker/store/commit_log_internal.h"
#include "common/base/log.h"
#include "common/base/mem.h"

enum { ZERO_WINDOW = 4 << 20, ZERO_PIECE = 64 << 10 };

/* ---- on the lane's thread ---- */

static void write_zeros(struct log_flush *f)
{
    static const uint8_t zeros[ZERO_PIECE];
    struct commit_log *log = f->log;
    for (uint64_t at = f->zero_from; at < f->zero_to; at += ZERO_PIECE) {
        size_t n = f->zero_to - at < ZERO_PIECE ? (size_t)(f->zero_to - at) : ZERO_PIECE;
        pthread_mutex_lock(&log->zero_lock);
        int64_t r = at >= log->core_end ? log->io.pwrite(log->io.ctx, f->zero_fd, zeros, n, at - f->zero_file) : 0;
        pthread_mutex_unlock(&log->zero_lock);
        if (r == -ENOSPC || r == -EDQUOT)
            return; /* an optimisation only */
        if (r < 0) {
            fault_set(&f->zero_why, MQ_EIO, (int)-r, "write zeros to %.100s/%020" PRIu64 " offset %" PRIu64, log->dir, f->zero_file, at - f->zero_file);
            return;
        }
    }
}

static void sync_files(struct log_flush *f)
{
    const struct commit_log *log = f->log;
    for (size_t i = 0; i < f->n_fds; i++) {
        int r = log->io.datasync(log->io.ctx, f->fds[i]);
        if (r < 0) {
            uint64_t file = log_file_of(log, f->to) - (f->n_fds - 1 - i) * log->file_size;
            fault_set(&f->why, r == -ENOSPC || r == -EDQUOT ? MQ_EFULL : MQ_EIO, -r, "sync %.100s near %020" PRIu64, log->dir, file);
            return;
        }
    }
}

static void flush_run(struct store_work *w)
{
    struct log_flush *f = CONTAINER_OF(w, struct log_flush, work);
    const struct commit_log *log = f->log;
    if (f->make)
        f->made_fd = log_make_file(log, f->make_off);
    if (f->hint_fd >= 0)
        log->io.write_behind(log->io.ctx, f->hint_fd, f->hint_off, f->hint_n);
    if (f->sync)
        sync_files(f);
    if (f->zero_fd >= 0)
        write_zeros(f);
}

/* ---- on the core thread ---- */

static void take_made(struct commit_log *log, struct log_flush *f)
{
    if (f->made_fd < 0) { /* still wanted: ticks try again */
        log->want_make = true;
        log_room_fault(log, f->make_off, f->made_fd);
        return;
    }
    log->want_make = false;
    if (log->no_room.err != MQ_OK)
        log_info("store", "next file of the log made, sends are taken again file=%020" PRIu64, f->make_off);
    log->no_room.err = MQ_OK;
    if (commit_log_limit(log) == f->make_off && log_slot_add(log, f->made_fd))
        return;
    log->io.close(log->io.ctx, f->made_fd); /* out of memory: made again with the next put */
}

static void settle(struct commit_log *log)
{
    struct log_flush *f = &log->flush;
    f->busy = false;
    if (f->make)
        take_made(log, f);
    if (f->zero_fd >= 0)
        log->zeroed = f->zero_to;
    if (f->sync && f->why.err != MQ_OK) {
        log->sync_failed = true;
        commit_log_fail(log, &f->why);
    } else if (f->sync) {
        log->flushes++;
        log->flushed_ms = f->to_ms;
        atomic_store_explicit(&log->flushed, f->to, memory_order_release);
    }
    if (f->zero_why.err != MQ_OK) /* what was synced before is safe all the same */
        commit_log_fail(log, &f->zero_why);
}

static void flush_done(struct store_work *w)
{
    struct log_flush *f = CONTAINER_OF(w, struct log_flush, work);
    struct commit_log *log = f->log;
    owner_assert(&log->owner);
    bool tell = f->sync || f->make;
    settle(log);
    if (tell)
        log->events.moved(log->events.ctx);
    commit_log_pump(log, log->synced_at_ms); /* time is only moved by ticks: what waits for a clock waits for the next */
}

/* Descriptors of all files that hold unflushed bytes. False: out of memory or files; tried again later. */
static bool take_files(struct commit_log *log, struct log_flush *f)
{
    uint64_t flushed = commit_log_flushed(log), written = commit_log_written(log);
    f->n_fds = 0;
    for (uint64_t at = log_file_of(log, flushed); at < written; at += log->file_size) {
        if (f->n_fds == f->cap_fds) {
            size_t cap = f->cap_fds ? 2 * f->cap_fds : 4;
            int *p = mem_realloc(f->fds, cap * sizeof *p);
            if (p == NULL)
                return false;
            f->fds = p;
            f->cap_fds = cap;
        }
        int fd = log_fd(log, at, true);
        if (fd < 0)
            return false;
        f->fds[f->n_fds++] = fd;
    }
    f->to = written;
    f->to_ms = log->written_ms;
    return true;
}

static bool sync_due(const struct commit_log *log, int64_t mono_ms)
{
    uint64_t behind = commit_log_written(log) - commit_log_flushed(log);
    if (behind == 0)
        return false;
    return log->sync_flush || behind >= log->flush_early || mono_ms - log->synced_at_ms >= log->flush_interval_ms;
}

/* The file behind the one being written: wanted when half of that is used, or when somebody waits. */
static bool make_due(const struct commit_log *log, int64_t mono_ms)
{
    bool half = log_file_of(log, log->end) + log->file_size >= commit_log_limit(log) && log->end % log->file_size > log->file_size / 2;
    if (!log->want_make && !half)
        return false;
    return log->no_room.err == MQ_OK || mono_ms >= log->make_retry_ms;
}

static void take_hint(struct commit_log *log, struct log_flush *f)
{
    uint64_t written = commit_log_written(log);
    f->hint_fd = -1;
    if (log_file_of(log, log->hinted) != log_file_of(log, written))
        log->hinted = log_file_of(log, written); /* the rest of the old file waits for its sync */
    if (written - log->hinted < LOG_HINT || !log_has_file(log, written))
        return;
    f->hint_fd = log_fd(log, written, true);
    f->hint_off = log->hinted % log->file_size;
    f->hint_n = written - log->hinted;
    log->hinted = written;
}

static void take_zeros(struct commit_log *log, struct log_flush *f)
{
    uint64_t written = commit_log_written(log), file = log_file_of(log, written);
    f->zero_fd = -1;
    if (!log->sync_flush || !log_has_file(log, written) || log->flushes == 0)
        return;
    if (log->zeroed < written)
        log->zeroed = written;
    if (log->zeroed - written >= ZERO_WINDOW / 2 || log->zeroed >= file + log->file_size)
        return;
    f->zero_file = file;
    f->zero_from = (log->zeroed + 4095) / 4096 * 4096;
    f->zero_to = f->zero_from + ZERO_WINDOW < file + log->file_size ? f->zero_from + ZERO_WINDOW : file + log->file_size;
    if (f->zero_from < f->zero_to)
        f->zero_fd = log_fd(log, written, true);
}

void commit_log_pump(struct commit_log *log, int64_t mono_ms)
{
    struct log_flush *f = &log->flush;
    owner_assert(&log->owner);
    if (f->busy || log->failed.err != MQ_OK)
        return;
    f->sync = sync_due(log, mono_ms) && take_files(log, f);
    f->make = make_due(log, mono_ms);
    take_hint(log, f);
    f->zero_fd = -1;
    if (f->sync)
        take_zeros(log, f);
    if (!f->sync && !f->make && f->hint_fd < 0)
        return;
    if (f->sync)
        log->synced_at_ms = mono_ms;
    if (f->make) {
        f->make_off = commit_log_limit(log);
        log->make_retry_ms = mono_ms + LOG_MAKE_RETRY_MS;
    }
    f->why.err = MQ_OK;
    f->busy = true;
    f->work.run = flush_run;
    f->work.done = flush_done;
    log->exec->submit(log->exec->ctx, LANE_FLUSH, &f->work);
}

int64_t commit_log_due(const struct commit_log *log, int64_t mono_ms)
{
    if (log->failed.err != MQ_OK || log->flush.busy)
        return INT64_MAX;
    int64_t due = INT64_MAX;
    if (commit_log_written(log) > commit_log_flushed(log)) {
        int64_t left = log->synced_at_ms + log->flush_interval_ms - mono_ms;
        due = log->sync_flush || left < 0 ? 0 : left;
    }
    if (log->no_room.err != MQ_OK && due > LOG_MAKE_RETRY_MS)
        due = LOG_MAKE_RETRY_MS;
    return due;
}

enum mq_err commit_log_flush_now(struct commit_log *log)
{
    struct log_flush *f = &log->flush;
    owner_assert(&log->owner);
    assert(!f->busy);
    if (log->failed.err != MQ_OK)
        return MQ_EFAILED;
    if (commit_log_written(log) == commit_log_flushed(log))
        return MQ_OK;
    f->make = false;
    f->hint_fd = f->zero_fd = -1;
    f->why.err = MQ_OK;
    f->sync = take_files(log, f);
    if (!f->sync)
        return MQ_ENOMEM;
    flush_run(&f->work);
    settle(log);
    return f->why.err;
}
