/* commit_log_internal.h - what the commit_log*.c files share; see commit_log.h for the contract.
 *   commit_log.c        the batch of a turn, writing, reading
 *   commit_log_flush.c  works of LANE_FLUSH: sync, next file, write-behind, blocks ahead
 *   commit_log_files.c  names, sizes, descriptors; opening and settling */
#ifndef BROKER_STORE_COMMIT_LOG_INTERNAL_H
#define BROKER_STORE_COMMIT_LOG_INTERNAL_H
#include "broker/store/commit_log.h"
#include <pthread.h>
#include <stdatomic.h>
#include "broker/store/log_map.h"
#include "common/base/owner.h"

enum {
    LOG_NAME_MAX = 21,
    LOG_FDS = 64,                     /* descriptors of older files kept for reading */
    LOG_BATCH_MAX = 64 << 20,         /* bytes of one turn */
    LOG_BATCH_KEEP = 4 << 20,         /* of the batch's memory, kept between turns */
    LOG_FLUSH_EARLY = 64 << 20,       /* so much unflushed, or a quarter of unflushed_max: sync before the interval is over */
    LOG_UNFLUSHED_MAX = 256 << 20,    /* unflushed_max when nobody says another */
    LOG_HINT = 8 << 20,               /* write-back is started in steps of */
    LOG_MAKE_RETRY_MS = 1000
};
struct log_slot { /* one file */
    int fd;       /* -1: not open */
    bool writable;
    uint64_t used; /* commit_log.clock when it was asked for */
};
struct log_segment { /* a part of the batch: one pwrite */
    uint64_t off;
    size_t at, n;
};
struct log_flush { /* one work; the lane's thread has it while busy */
    struct store_work work;
    struct commit_log *log;
    bool busy, sync;
    uint64_t to;          /* sync: all below is safe afterwards */
    int64_t to_ms;
    int *fds;             /* sync: files with unflushed bytes, oldest first */
    size_t n_fds, cap_fds;
    int hint_fd;          /* -1: none */
    uint64_t hint_off, hint_n;
    bool make;            /* the file at make_off is wanted */
    uint64_t make_off;
    int made_fd;          /* result: >= 0, or -errno */
    int zero_fd;          /* -1: none; else write zeros over [zero_from, zero_to) of the file at zero_file, never below core_end */
    uint64_t zero_file, zero_from, zero_to;
    struct fault why;     /* result of sync */
    struct fault zero_why; /* of writing zeros */
};
struct commit_log {
    /* ---- constant ---- */
    struct store_io io;
    const struct store_exec *exec;
    struct commit_log_events events;
    uint64_t file_size;
    bool sync_flush;
    int64_t flush_interval_ms;
    uint64_t unflushed_max;    /* so much unflushed: no more until the disk has caught up */
    uint64_t flush_early;
    char dir[STORE_PATH_MAX - LOG_NAME_MAX - 1];
    /* ---- core thread ---- */
    struct owner owner;
    uint64_t first;            /* where slots[0] begins; files are contiguous */
    struct log_slot *slots;
    size_t n, cap, n_open;
    uint64_t clock;
    struct buf batch;
    struct log_segment *segs;
    size_t n_segs, cap_segs;
    struct log_segment fresh;  /* the last written one, while its bytes are still in the batch's memory; n 0: they are not */
    uint64_t end;              /* written, and the batch */
    int64_t written_ms, flushed_ms;
    uint64_t hinted;           /* write-back was started below */
    uint64_t flushes;
    int64_t synced_at_ms, make_retry_ms;
    bool want_make;            /* somebody waits for the next file */
    bool put_since_trim;
    bool sync_failed;
    struct fault failed, no_room; /* err MQ_OK: no */
    struct log_map map;        /* of files that are read much */
    struct log_flush flush;
    uint64_t zeroed;           /* blocks are written up to here (0: unknown) */
    /* ---- written by core (release), read by any thread (acquire) ---- */
    _Atomic uint64_t written, flushed;
    /* ---- guarded by zero_lock: the flusher writes zeros at or beyond core_end only ---- */
    pthread_mutex_t zero_lock;
    uint64_t core_end;
};

static inline uint64_t log_file_of(const struct commit_log *log, uint64_t off) { return off - off % log->file_size; }
static inline size_t log_slot_of(const struct commit_log *log, uint64_t off) { return (size_t)((off - log->first) / log->file_size); }
static inline bool log_has_file(const struct commit_log *log, uint64_t off)
{
    return off >= log->first && (off - log->first) / log->file_size < log->n;
}

/* ---- commit_log_files.c ---- */
int log_fd(struct commit_log *log, uint64_t off, bool writable); /* of the file of off, which exists; or -errno */
bool log_slot_add(struct commit_log *log, int fd);               /* a file behind the last; false: out of memory, fd is still yours */
/* Makes the file at off with its full size and a name that survives a power cut. A descriptor for writing, or -errno; any thread. */
int log_make_file(const struct commit_log *log, uint64_t off);
void log_room_fault(struct commit_log *log, uint64_t off, int err);
#endif
