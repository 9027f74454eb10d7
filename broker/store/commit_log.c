/* commit_log.c - the append path of the commit log, and reading it.
 *
 * One array of bytes, cut into files named by the offset of their first byte. A record never spans two files: a BLANK record fills what is
 * too short, and the record starts the next file. A turn's records are encoded side by side into one buffer, the batch; a batch
 * that crosses a file's end has a segment per file, and each segment is one pwrite.
 *
 *   I1  flushed <= written <= end, and all only grow.                      (test: sim/store)
 *   I2  bytes below `written` never change: readers take no lock, they acquire `written`.
 *   I3  bytes below `flushed` survive a power cut.                         (test: sim/store)
 *   I4  after a failed write or sync nothing is written any more.          (test: unit/store fail)
 * What is read much is mapped (log_map.c): bounds first, then the mapping, then a call. Before them comes what was written last (`fresh`): a
 * pull that waited reads it in the very turn that wrote it, and it is still in the batch's memory until the next put.  (test: unit/store fresh)
 * Why pwrite and not a shared mapping: docs/decisions/0001-pwrite-not-mmap.md.
 * Memory: the batch is bounded by LOG_BATCH_MAX, what is unflushed by unflushed_max; beyond them a put is told PUT_BUSY. */
#include "broker/store/commit_log.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "broker/store/commit_log_internal.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/protocol/message.h"
#include "common/protocol/rd.h"

uint64_t commit_log_min(const struct commit_log *log) { return log->first; }
uint64_t commit_log_limit(const struct commit_log *log) { return log->first + log->n * log->file_size; }
uint64_t commit_log_file_size(const struct commit_log *log) { return log->file_size; }
uint64_t commit_log_written(const struct commit_log *log) { return atomic_load_explicit(&log->written, memory_order_acquire); }
uint64_t commit_log_flushed(const struct commit_log *log) { return atomic_load_explicit(&log->flushed, memory_order_acquire); }
uint64_t commit_log_sound(const struct commit_log *log) { return log->sync_failed ? commit_log_flushed(log) : commit_log_written(log); }
int64_t commit_log_flushed_ms(const struct commit_log *log) { return log->flushed_ms; }
uint64_t commit_log_flushes(const struct commit_log *log) { return log->flushes; }
const struct fault *commit_log_failed(const struct commit_log *log) { return log->failed.err != MQ_OK ? &log->failed : NULL; }
const struct fault *commit_log_no_room(const struct commit_log *log) { return log->no_room.err != MQ_OK ? &log->no_room : NULL; }
bool commit_log_makes_file(const struct commit_log *log) { return log->want_make && log->no_room.err == MQ_OK; }
size_t commit_log_memory(const struct commit_log *log)
{
    return sizeof *log + log->batch.cap + log->cap * sizeof *log->slots + log->cap_segs * sizeof *log->segs + log->flush.cap_fds * sizeof(int) +
           (log->map.windows != NULL ? LOG_WINDOWS * sizeof *log->map.windows : 0);
}

void commit_log_fail(struct commit_log *log, const struct fault *why)
{
    if (log->failed.err != MQ_OK)
        return;
    log->failed = *why;
    log->events.failed(log->events.ctx, &log->failed);
}

/* ---- the batch ---- */

static bool segment_add(struct commit_log *log, uint64_t off, size_t at, size_t n)
{
    struct log_segment *last = log->n_segs > 0 ? &log->segs[log->n_segs - 1] : NULL;
    if (last != NULL && last->off + last->n == off && log_file_of(log, last->off) == log_file_of(log, off)) {
        last->n += n;
        return true;
    }
    if (log->n_segs == log->cap_segs) {
        size_t cap = log->cap_segs ? 2 * log->cap_segs : 4;
        struct log_segment *p = mem_realloc(log->segs, cap * sizeof *p);
        if (p == NULL)
            return false;
        log->segs = p;
        log->cap_segs = cap;
    }
    log->segs[log->n_segs++] = (struct log_segment){.off = off, .at = at, .n = n};
    return true;
}

/* The file of off is there, or its making is asked for. */
static bool file_ready(struct commit_log *log, uint64_t off, enum put_status *status)
{
    if (log_has_file(log, off))
        return true;
    log->want_make = true;
    *status = log->no_room.err != MQ_OK ? PUT_NO_ROOM : PUT_BUSY;
    return false;
}

uint8_t *commit_log_reserve(struct commit_log *log, size_t bytes, uint64_t *phys_off, size_t *at, enum put_status *status)
{
    owner_assert(&log->owner);
    uint64_t left = log->file_size - log->end % log->file_size;
    if (log->failed.err != MQ_OK) {
        *status = PUT_FAILED;
        return NULL;
    }
    if (bytes + MESSAGE_BLANK_MIN > log->file_size) {
        *status = PUT_TOO_LARGE;
        return NULL;
    }
    bool rolls = bytes + MESSAGE_BLANK_MIN > left;
    if (!file_ready(log, log->end, status) || (rolls && !file_ready(log, log->end + left, status)))
        return NULL;
    *status = PUT_BUSY;
    if (log->batch.n > 0 && log->batch.n + bytes > LOG_BATCH_MAX)
        return NULL;
    if (log->end - commit_log_flushed(log) > log->unflushed_max)
        return NULL;
    if (buf_room(&log->batch, bytes + MESSAGE_BLANK_MIN) == NULL) {
        log->batch.failed = false; /* nothing was lost: the caller is told */
        return NULL;
    }
    log->fresh.n = 0;
    size_t segs = log->n_segs;
    uint64_t end = log->end;
    if (rolls) {
        if (!segment_add(log, end, log->batch.n, MESSAGE_BLANK_MIN))
            return NULL;
        buf_u32(&log->batch, (uint32_t)left);
        buf_u32(&log->batch, MESSAGE_MAGIC_BLANK);
        log->end = end + left; /* a turn that stops here has ended the file, which is harmless */
        segs = log->n_segs;
    }
    if (!segment_add(log, log->end, log->batch.n, bytes)) {
        log->n_segs = segs;
        return NULL;
    }
    *phys_off = log->end;
    *at = log->batch.n;
    log->batch.n += bytes;
    log->end += bytes;
    log->put_since_trim = true;
    return log->batch.p + *at;
}

const uint8_t *commit_log_batch(const struct commit_log *log) { return log->batch.p; }

void commit_log_forget(struct commit_log *log)
{
    bool kept = log->batch.cap <= LOG_BATCH_KEEP;
    if (log->n_segs > 0)
        log->fresh = kept && log->end == commit_log_written(log) ? log->segs[log->n_segs - 1] : (struct log_segment){0};
    log->n_segs = 0;
    if (kept)
        buf_clear(&log->batch);
    else
        buf_free(&log->batch);
}

void commit_log_trim(struct commit_log *log, int64_t mono_ms)
{
    log_map_tick(&log->map, mono_ms);
    if (!log->put_since_trim && log->batch.n == 0) {
        log->fresh.n = 0;
        buf_free(&log->batch);
    }
    log->put_since_trim = false;
}

static enum mq_err segment_write(struct commit_log *log, const struct log_segment *seg)
{
    struct fault why = {0};
    uint64_t file = log_file_of(log, seg->off);
    int fd = log_fd(log, file, true);
    int64_t r = fd < 0 ? fd : log->io.pwrite(log->io.ctx, fd, log->batch.p + seg->at, seg->n, seg->off - file);
    if (r >= 0)
        return MQ_OK;
    fault_set(&why, r == -ENOSPC || r == -EDQUOT ? MQ_EFULL : MQ_EIO, (int)-r, "write %.100s/%020" PRIu64 " offset %" PRIu64, log->dir, file,
              seg->off - file);
    commit_log_fail(log, &why);
    return why.err;
}

enum mq_err commit_log_write(struct commit_log *log, int64_t last_ms)
{
    owner_assert(&log->owner);
    if (log->failed.err != MQ_OK)
        return MQ_EFAILED;
    if (log->end == commit_log_written(log))
        return MQ_OK;
    if (log->sync_flush) {
        pthread_mutex_lock(&log->zero_lock);
        log->core_end = log->end;
        pthread_mutex_unlock(&log->zero_lock);
    }
    for (size_t i = 0; i < log->n_segs; i++) {
        enum mq_err err = segment_write(log, &log->segs[i]);
        if (err != MQ_OK)
            return err;
    }
    log->written_ms = last_ms;
    atomic_store_explicit(&log->written, log->end, memory_order_release);
    return MQ_OK;
}

/* ---- reading ---- */

static bool is_readable(const struct commit_log *log, uint64_t off, size_t n)
{
    uint64_t written = commit_log_written(log);
    return off >= log->first && off <= written && n <= written - off && n <= log->file_size - off % log->file_size;
}

static int64_t read_disk(struct commit_log *log, void *to, size_t n, uint64_t off, bool may_block)
{
    int fd = log_fd(log, off, false);
    if (fd < 0)
        return fd;
    int64_t r = may_block ? log->io.pread(log->io.ctx, fd, to, n, off % log->file_size)
                          : log->io.pread_nowait(log->io.ctx, fd, to, n, off % log->file_size);
    if (r < 0)
        return r;
    return (uint64_t)r < n ? -EIO : r; /* somebody cut the file */
}

static int file_for_reading(void *log, uint64_t off) { return log_fd(log, off, false); }

int64_t commit_log_read(struct commit_log *log, void *to, size_t n, uint64_t off, bool may_block)
{
    owner_assert(&log->owner);
    if (!is_readable(log, off, n))
        return -ENOENT;
    if (off >= log->fresh.off && off - log->fresh.off < log->fresh.n && n <= log->fresh.n - (off - log->fresh.off)) {
        memcpy(to, log->batch.p + log->fresh.at + (off - log->fresh.off), n);
        return (int64_t)n;
    }
    int r = log_map_copy(&log->map, to, n, off, file_for_reading, log);
    if (r == -EAGAIN)
        return read_disk(log, to, n, off, may_block);
    return r < 0 ? r : (int64_t)n;
}

int64_t commit_log_read_raw(struct commit_log *log, void *to, size_t n, uint64_t off)
{
    owner_assert(&log->owner);
    if (!log_has_file(log, off))
        return -ENOENT;
    uint64_t left = log->file_size - off % log->file_size;
    int fd = log_fd(log, off, false);
    if (fd < 0)
        return fd;
    return log->io.pread(log->io.ctx, fd, to, n < left ? n : (size_t)left, off % log->file_size);
}

void commit_log_read_ahead(struct commit_log *log, uint64_t off, uint64_t n)
{
    owner_assert(&log->owner);
    if (log->io.read_ahead == NULL || !log_has_file(log, off))
        return;
    uint64_t left = log->file_size - off % log->file_size;
    int fd = log_fd(log, off, false);
    if (fd >= 0)
        log->io.read_ahead(log->io.ctx, fd, off % log->file_size, n < left ? n : left);
}

int64_t commit_log_data_end(struct commit_log *log, uint64_t off)
{
    owner_assert(&log->owner);
    if (!log_has_file(log, off))
        return -ENOENT;
    int fd = log_fd(log, off, false);
    int64_t end = fd < 0 ? fd : log->io.data_end ? log->io.data_end(log->io.ctx, fd, 0) : INT64_MAX;
    if (end < 0)
        return end;
    return (int64_t)log_file_of(log, off) + (end < (int64_t)log->file_size ? end : (int64_t)log->file_size);
}
