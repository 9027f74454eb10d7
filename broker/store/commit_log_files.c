/* commit_log_files.c - the files of the commit log: names, sizes, descriptors; how a log is opened, and settled after recovery.
 *
 * A file has its full size from birth (Apache refuses to start on another size), with its blocks allocated, so that a full disk is found by
 * whoever makes the next file and not in the middle of a write. Names are 20 digits: the offset of the first byte.
 *
 *   I1  files are contiguous from `first` on; the last one may hold nothing yet.
 *   I2  what lies behind the end of a recovered log is zeros on the medium before a byte is appended: nothing stale is ever taken
 *       for a record, by us or by a Java broker.                             (test: unit/store recovery, sim/store)
 *   I3  a descriptor that a flush holds is not closed: only files wholly below `flushed` are evicted. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/store/commit_log_internal.h"
#include "common/base/log.h"
#include "common/base/mem.h"

void commit_log_path(const struct commit_log *log, uint64_t file_off, char path[STORE_PATH_MAX])
{
    snprintf(path, STORE_PATH_MAX, "%s/%020" PRIu64, log->dir, file_off);
}

static enum mq_err path_fault(struct fault *why, int err, const char *action, const char *path)
{
    enum mq_err code = err == -ENOMEM ? MQ_ENOMEM : err == -ENOSPC || err == -EDQUOT ? MQ_EFULL : MQ_EIO;
    return fault_set(why, code, -err, "%s %.150s", action, path);
}

/* ---- descriptors ---- */

static void slot_close(struct commit_log *log, struct log_slot *s)
{
    if (s->fd < 0)
        return;
    log->io.close(log->io.ctx, s->fd);
    s->fd = -1;
    log->n_open--;
}

static void evict(struct commit_log *log)
{
    size_t safe = log_slot_of(log, commit_log_flushed(log)); /* slots before it are wholly flushed */
    struct log_slot *oldest = NULL;
    for (size_t i = 0; i < safe && i < log->n; i++)
        if (log->slots[i].fd >= 0 && (oldest == NULL || log->slots[i].used < oldest->used))
            oldest = &log->slots[i];
    if (oldest != NULL)
        slot_close(log, oldest);
}

int log_fd(struct commit_log *log, uint64_t off, bool writable)
{
    struct log_slot *s = &log->slots[log_slot_of(log, off)];
    s->used = ++log->clock;
    if (s->fd >= 0 && (s->writable || !writable))
        return s->fd;
    char path[STORE_PATH_MAX];
    commit_log_path(log, log_file_of(log, off), path);
    int fd = log->io.open(log->io.ctx, path, writable ? STORE_OPEN_WRITE : STORE_OPEN_READ);
    if (fd < 0)
        return fd;
    slot_close(log, s);
    if (log->n_open >= LOG_FDS)
        evict(log);
    s->fd = fd;
    s->writable = writable;
    log->n_open++;
    return fd;
}

bool log_slot_add(struct commit_log *log, int fd)
{
    if (log->n == log->cap) {
        size_t cap = log->cap ? 2 * log->cap : 8;
        struct log_slot *p = mem_realloc(log->slots, cap * sizeof *p);
        if (p == NULL)
            return false;
        log->slots = p;
        log->cap = cap;
    }
    log->slots[log->n++] = (struct log_slot){.fd = fd, .writable = fd >= 0, .used = ++log->clock};
    if (fd >= 0)
        log->n_open++;
    return true;
}

int log_make_file(const struct commit_log *log, uint64_t off)
{
    const struct store_io *io = &log->io;
    char path[STORE_PATH_MAX];
    commit_log_path(log, off, path);
    int fd = io->open(io->ctx, path, STORE_OPEN_WRITE | STORE_OPEN_CREATE | STORE_OPEN_TRUNCATE);
    if (fd < 0)
        return fd;
    int r = io->set_size(io->ctx, fd, log->file_size, true);
    if (r >= 0)
        r = io->datasync(io->ctx, fd); /* its size: only the last file may be found too short */
    if (r >= 0)
        r = io->sync_dir(io->ctx, log->dir);
    if (r >= 0)
        return fd;
    io->close(io->ctx, fd);
    io->unlink(io->ctx, path); /* a file of another size would stop the next start */
    return r;
}

void log_room_fault(struct commit_log *log, uint64_t off, int err)
{
    bool told = log->no_room.err != MQ_OK;
    uint64_t free_bytes = 0, total = 0;
    log->io.room(log->io.ctx, log->dir, &free_bytes, &total);
    enum mq_err code = err == -ENOSPC || err == -EDQUOT ? MQ_EFULL : MQ_EIO;
    fault_set(&log->no_room, code, -err, "make %.100s/%020" PRIu64 " of %" PRIu64 " bytes, %" PRIu64 " free", log->dir, off, log->file_size,
              free_bytes);
    char text[300];
    if (!told)
        log_error("store", "next file of the log not made, sends are refused why=%s", fault_text(&log->no_room, text, sizeof text));
}

/* ---- opening ---- */

static void take_name(void *arg, const char *name, bool is_dir)
{
    struct buf *starts = arg;
    int64_t v = -1;
    if (is_dir)
        return;
    if (strlen(name) != 20 || strspn(name, "0123456789") != 20 || !slice_i64(slice_str(name), &v)) {
        log_warn("store", "foreign file among the log's name=%.40s", name);
        return;
    }
    buf_put(starts, &v, sizeof v);
}

static int by_value(const void *a, const void *b)
{
    int64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

static int64_t start_at(const struct buf *starts, size_t i)
{
    int64_t v;
    memcpy(&v, starts->p + i * sizeof v, sizeof v);
    return v;
}

/* A file that is there already gets its full size in any case: without room it has no blocks yet, and the disk's watermark keeps sends off. */
static int make_full(const struct commit_log *log, int fd)
{
    int r = log->io.set_size(log->io.ctx, fd, log->file_size, true);
    if (r != -ENOSPC && r != -EDQUOT)
        return r;
    log_warn("store", "no room for the blocks of the log's last file folder=%s", log->dir);
    return log->io.set_size(log->io.ctx, fd, log->file_size, false);
}

static enum mq_err check_size(const struct commit_log *log, uint64_t off, bool last, struct fault *why)
{
    struct store_stat st;
    char path[STORE_PATH_MAX];
    commit_log_path(log, off, path);
    int r = log->io.stat(log->io.ctx, path, &st);
    if (r < 0)
        return path_fault(why, r, "stat", path);
    if (st.size == log->file_size)
        return MQ_OK;
    if (st.size > log->file_size || !last)
        return fault_set(why, MQ_ECORRUPT, 0, "%.100s has %" PRIu64 " bytes, mappedFileSizeCommitLog says %" PRIu64, path, st.size, log->file_size);
    log_warn("store", "short last file of the log made full path=%s bytes=%" PRIu64 " full=%" PRIu64, path, st.size, log->file_size);
    int fd = log->io.open(log->io.ctx, path, STORE_OPEN_WRITE);
    r = fd < 0 ? fd : make_full(log, fd);
    if (r >= 0)
        r = log->io.datasync(log->io.ctx, fd);
    if (fd >= 0)
        log->io.close(log->io.ctx, fd);
    return r < 0 ? path_fault(why, r, "extend", path) : MQ_OK;
}

/* The names of the folder and of those above it survive a power cut. */
static int sync_above(const struct commit_log *log)
{
    char path[STORE_PATH_MAX];
    snprintf(path, sizeof path, "%s", log->dir);
    for (char *slash; (slash = strrchr(path, '/')) != NULL;) {
        *slash = 0;
        int r = log->io.sync_dir(log->io.ctx, path);
        if (r < 0)
            return r;
    }
    return log->io.sync_dir(log->io.ctx, ".");
}

static enum mq_err open_files(struct commit_log *log, struct buf *starts, struct fault *why)
{
    int r = log->io.list(log->io.ctx, log->dir, take_name, starts);
    if (r == -ENOENT) {
        r = log->io.mkdir(log->io.ctx, log->dir);
        r = r < 0 ? r : sync_above(log);
    }
    if (r < 0)
        return path_fault(why, r, "list", log->dir);
    if (starts->failed)
        return fault_set(why, MQ_ENOMEM, 0, "list %s", log->dir);
    size_t n = starts->n / sizeof(int64_t), from = n;
    if (n > 1)
        qsort(starts->p, n, sizeof(int64_t), by_value);
    for (size_t i = 0; i < n; i++)
        if ((uint64_t)start_at(starts, i) % log->file_size != 0 || start_at(starts, i) > INT64_MAX / 2)
            return fault_set(why, MQ_ECORRUPT, 0, "%.100s/%020" PRId64 ": no multiple of mappedFileSizeCommitLog %" PRIu64, log->dir,
                             start_at(starts, i), log->file_size);
    while (from > 0 && (from == n || start_at(starts, from) - start_at(starts, from - 1) == (int64_t)log->file_size))
        from--;
    if (from > 0)
        log_error("store", "hole in the log: files missing, older ones ignored folder=%s missing=%020" PRIu64 " before=%020" PRId64, log->dir,
                  (uint64_t)start_at(starts, from - 1) + log->file_size, start_at(starts, from));
    log->first = n > 0 ? (uint64_t)start_at(starts, from) : 0;
    if (n > 0) { /* the process that made the newest may have been killed before its name was sure */
        r = log->io.sync_dir(log->io.ctx, log->dir);
        if (r < 0)
            return path_fault(why, r, "sync", log->dir);
    }
    for (size_t i = from; i < n; i++) {
        enum mq_err err = check_size(log, (uint64_t)start_at(starts, i), i + 1 == n, why);
        if (err != MQ_OK)
            return err;
        if (!log_slot_add(log, -1))
            return fault_set(why, MQ_ENOMEM, 0, "list %s", log->dir);
    }
    return MQ_OK;
}

enum mq_err commit_log_open(const struct commit_log_config *cfg, const struct store_io *io, const struct store_exec *exec,
                            const struct commit_log_events *events, struct commit_log **out, struct fault *why)
{
    if (cfg->file_size < 1024 || cfg->file_size > INT32_MAX)
        return fault_set(why, MQ_EINVAL, 0, "mappedFileSizeCommitLog %" PRIu64 ": allowed are 1024 to 2147483647", cfg->file_size);
    struct commit_log *log = mem_zalloc(sizeof *log);
    if (log == NULL)
        return fault_set(why, MQ_ENOMEM, 0, "commit log in %s", cfg->dir);
    if (snprintf(log->dir, sizeof log->dir, "%s", cfg->dir) >= (int)sizeof log->dir) {
        mem_free(log);
        return fault_set(why, MQ_EINVAL, 0, "storePathCommitLog is too long");
    }
    log->io = *io;
    log->exec = exec;
    log->events = *events;
    log->file_size = cfg->file_size;
    log->sync_flush = cfg->sync_flush;
    log->flush_interval_ms = cfg->flush_interval_ms;
    log->unflushed_max = cfg->unflushed_max ? cfg->unflushed_max : LOG_UNFLUSHED_MAX;
    log->flush_early = log->unflushed_max / 4 < LOG_FLUSH_EARLY ? log->unflushed_max / 4 : LOG_FLUSH_EARLY;
    log->written_ms = log->flushed_ms = -1;
    log_map_init(&log->map, &log->io, exec, log->file_size);
    log->flush.log = log;
    list_init(&log->flush.work.node);
    pthread_mutex_init(&log->zero_lock, NULL);
    owner_take(&log->owner);
    struct buf starts = {0};
    enum mq_err err = open_files(log, &starts, why);
    buf_free(&starts);
    if (err != MQ_OK) {
        commit_log_close(log);
        return err;
    }
    *out = log;
    return MQ_OK;
}

void commit_log_close(struct commit_log *log)
{
    if (log == NULL)
        return;
    owner_assert(&log->owner);
    assert(!log->flush.busy);
    for (size_t i = 0; i < log->n; i++)
        slot_close(log, &log->slots[i]);
    pthread_mutex_destroy(&log->zero_lock);
    mem_free(log->slots);
    mem_free(log->segs);
    mem_free(log->flush.fds);
    log_map_fini(&log->map);
    buf_free(&log->batch);
    mem_free(log);
}

/* ---- settling ---- */

static int unlink_behind(struct commit_log *log, uint64_t end, bool *any)
{
    while (log->n > 0 && commit_log_limit(log) - log->file_size > end) {
        char path[STORE_PATH_MAX];
        commit_log_path(log, commit_log_limit(log) - log->file_size, path);
        int r = log->io.unlink(log->io.ctx, path); /* newest first: a cut in between leaves no hole */
        if (r < 0 && r != -ENOENT)
            return r;
        slot_close(log, &log->slots[--log->n]);
        *any = true;
    }
    return 0;
}

/* Zeros behind end, in its file. */
static int zero_behind(struct commit_log *log, uint64_t end)
{
    int fd = log_fd(log, end, true);
    if (fd < 0)
        return fd;
    int r = log->io.set_size(log->io.ctx, fd, end % log->file_size, false);
    return r < 0 ? r : make_full(log, fd);
}

enum mq_err commit_log_settle(struct commit_log *log, uint64_t end, bool dirty, uint64_t sync_from, struct fault *why)
{
    owner_assert(&log->owner);
    assert(end >= log->first && end <= commit_log_limit(log));
    char path[STORE_PATH_MAX];
    bool unlinked = false;
    int r = unlink_behind(log, end, &unlinked);
    if (r >= 0 && unlinked)
        r = log->io.sync_dir(log->io.ctx, log->dir);
    if (r >= 0 && dirty && log_has_file(log, end)) {
        r = zero_behind(log, end);
        if (sync_from > end)
            sync_from = end;
    }
    for (uint64_t at = log_file_of(log, sync_from); r >= 0 && at <= end && log_has_file(log, at); at += log->file_size) {
        r = log_fd(log, at, true);
        if (r >= 0)
            r = log->io.datasync(log->io.ctx, r);
    }
    if (r < 0) {
        commit_log_path(log, log_file_of(log, end), path);
        return path_fault(why, r, "settle the log's end in", path);
    }
    atomic_store(&log->written, end);
    atomic_store(&log->flushed, end);
    log->end = log->hinted = log->core_end = end;
    if (log_has_file(log, end))
        return MQ_OK;
    int fd = log_make_file(log, end);
    if (fd < 0) {
        log_room_fault(log, end, fd);
        log->want_make = true;
        return MQ_OK; /* reads work; sends when there is room */
    }
    if (!log_slot_add(log, fd)) {
        log->io.close(log->io.ctx, fd);
        return fault_set(why, MQ_ENOMEM, 0, "commit log in %s", log->dir);
    }
    return MQ_OK;
}

/* ---- retention ---- */

void commit_log_drop(struct commit_log *log, uint64_t min_phys)
{
    owner_assert(&log->owner);
    size_t gone = 0;
    while (gone + 1 < log->n && log->first + log->file_size <= min_phys && log->first + log->file_size <= commit_log_flushed(log)) {
        slot_close(log, &log->slots[gone++]);
        log->first += log->file_size;
    }
    if (gone == 0)
        return;
    log_map_drop(&log->map, log->first);
    log->n -= gone;
    memmove(log->slots, log->slots + gone, log->n * sizeof *log->slots);
}
