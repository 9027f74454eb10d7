/* checkpoint.c - see checkpoint.h. Formats: docs/store-format.md.
 *
 * The checkpoint is overwritten in place: its numbers lie in one sector, so that a power cut leaves the old ones or the new ones. Behind Apache's
 * fields are ours: a mark, places in the log, and the three times again. A Java broker moves its times and leaves ours as they were: then
 * they differ, and the places count as unknown.
 *   I1  a number is written only after what it vouches for was synced: old numbers are always true.    (test: sim/store)
 *   I2  the abort file is on the medium before the first byte of a run is, and goes after the last one.  (test: sim/store) */
#include "broker/store/checkpoint.h"

#include <errno.h>
#include <string.h>

#include "common/base/log.h"
#include "common/protocol/rd.h"

#define CHECKPOINT "checkpoint"
#define ABORT "abort"
#define LOCK "lock"
#define MARK UINT64_C(0x636f6d65746d7131) /* "cometmq1" */
enum { APACHES_LEAST = 24, OURS = 128, OURS_END = OURS + 56 };
_Static_assert(OURS_END <= 512, "one sector");

static enum mq_err file_fault(struct fault *why, int64_t err, const char *action, const char *path)
{
    return fault_set(why, err == -ENOSPC || err == -EDQUOT ? MQ_EFULL : MQ_EIO, (int)-err, "%s %s", action, path);
}

void checkpoint_encode(const struct checkpoint *c, uint8_t out[CHECKPOINT_SIZE])
{
    memset(out, 0, CHECKPOINT_SIZE);
    put_u64(out, (uint64_t)c->log_ms);
    put_u64(out + 8, (uint64_t)c->queues_ms);
    put_u64(out + 16, (uint64_t)c->index_ms);
    put_u64(out + OURS, MARK);
    put_u64(out + OURS + 8, (uint64_t)c->log_off);
    put_u64(out + OURS + 16, (uint64_t)c->queues_off);
    put_u64(out + OURS + 24, (uint64_t)c->index_place);
    memcpy(out + OURS + 32, out, 24);
}

struct checkpoint checkpoint_decode(struct slice bytes)
{
    struct rd r = rd_slice(bytes);
    struct checkpoint c = CHECKPOINT_NONE;
    c.log_ms = rd_i64(&r);
    c.queues_ms = rd_i64(&r);
    c.index_ms = rd_i64(&r);
    if (r.bad || c.log_ms < 0 || c.queues_ms < 0 || c.index_ms < 0)
        return CHECKPOINT_NONE;
    rd_take(&r, OURS - 24);
    uint64_t mark = rd_u64(&r);
    int64_t log_off = rd_i64(&r), queues_off = rd_i64(&r), index_place = rd_i64(&r);
    const uint8_t *times = rd_take(&r, 24);
    if (times == NULL || mark != MARK || memcmp(times, bytes.p, 24) != 0 || log_off < -1 || queues_off < -1 || index_place < -1)
        return c;
    c.log_off = log_off;
    c.queues_off = queues_off;
    c.index_place = index_place;
    return c;
}

enum mq_err checkpoint_read(const struct store_io *io, struct checkpoint *out, struct fault *why)
{
    uint8_t raw[OURS_END];
    *out = CHECKPOINT_NONE;
    int fd = io->open(io->ctx, CHECKPOINT, STORE_OPEN_READ);
    if (fd == -ENOENT)
        return MQ_OK;
    if (fd < 0)
        return file_fault(why, fd, "open", CHECKPOINT);
    int64_t n = io->pread(io->ctx, fd, raw, sizeof raw, 0);
    io->close(io->ctx, fd);
    if (n < 0)
        return file_fault(why, n, "read", CHECKPOINT);
    *out = checkpoint_decode(slice_make(raw, (size_t)n));
    if (n < APACHES_LEAST)
        log_warn("store", "checkpoint is too short and counts as absent bytes=%lld", (long long)n);
    return MQ_OK;
}

enum mq_err checkpoint_write(const struct store_io *io, const struct checkpoint *c, struct fault *why)
{
    uint8_t raw[CHECKPOINT_SIZE];
    checkpoint_encode(c, raw);
    int fd = io->open(io->ctx, CHECKPOINT, STORE_OPEN_WRITE | STORE_OPEN_CREATE);
    if (fd < 0)
        return file_fault(why, fd, "open", CHECKPOINT);
    int64_t r = io->pwrite(io->ctx, fd, raw, sizeof raw, 0);
    if (r >= 0)
        r = io->datasync(io->ctx, fd);
    io->close(io->ctx, fd);
    return r < 0 ? file_fault(why, r, "write", CHECKPOINT) : MQ_OK;
}

enum mq_err store_lock(const struct store_io *io, int *out, struct fault *why)
{
    int fd = io->open(io->ctx, LOCK, STORE_OPEN_WRITE | STORE_OPEN_CREATE);
    if (fd < 0)
        return file_fault(why, fd, "open", LOCK);
    int r = io->lock(io->ctx, fd);
    if (r >= 0) {
        int64_t n = io->pwrite(io->ctx, fd, "lock", 4, 0);
        if (n >= 0) {
            *out = fd;
            return MQ_OK;
        }
        r = (int)n;
    }
    io->close(io->ctx, fd);
    if (r == -EAGAIN || r == -EACCES)
        return fault_set(why, MQ_EBUSY, 0, "the store's directory: another broker holds its file " LOCK);
    return file_fault(why, r, "lock", LOCK);
}

enum mq_err abort_present(const struct store_io *io, bool *present, struct fault *why)
{
    struct store_stat st;
    int r = io->stat(io->ctx, ABORT, &st);
    *present = r >= 0;
    return r >= 0 || r == -ENOENT ? MQ_OK : file_fault(why, r, "stat", ABORT);
}

enum mq_err abort_make(const struct store_io *io, struct fault *why)
{
    int r = io->open(io->ctx, ABORT, STORE_OPEN_WRITE | STORE_OPEN_CREATE);
    if (r >= 0) {
        io->close(io->ctx, r);
        r = io->sync_dir(io->ctx, ".");
    }
    return r < 0 ? file_fault(why, r, "make", ABORT) : MQ_OK;
}

enum mq_err abort_remove(const struct store_io *io, struct fault *why)
{
    int r = io->unlink(io->ctx, ABORT);
    if (r >= 0)
        r = io->sync_dir(io->ctx, ".");
    return r < 0 && r != -ENOENT ? file_fault(why, r, "remove", ABORT) : MQ_OK;
}
