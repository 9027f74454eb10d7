/* commit_log.h - the append-only log that all topics of a broker share: one array of bytes in files of one size.
 * Thread: core, unless a function says "any thread". Units: offsets and sizes are bytes; an offset counts from the start of the log
 * for ever. Records are opaque here but for the BLANK that ends a file. */
#ifndef BROKER_STORE_COMMIT_LOG_H
#define BROKER_STORE_COMMIT_LOG_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "broker/store/message_store.h"
#include "broker/store/store_io.h"

struct commit_log; /* opaque: commit_log_internal.h */
struct commit_log_config {
    const char *dir;      /* beneath io's root; borrowed for the call of commit_log_open() */
    uint64_t file_size;   /* bytes of one file */
    bool sync_flush;      /* somebody waits for each sync: flush again as long as something is unflushed, keep blocks written ahead */
    int64_t flush_interval_ms;
    uint64_t unflushed_max; /* bytes; 0: 256 MiB */
};
struct commit_log_events { /* called from a flush's end on the core thread */
    void *ctx;
    void (*moved)(void *ctx);                           /* flushed grew, or a file became ready, or there is room again */
    void (*failed)(void *ctx, const struct fault *why); /* once, also from commit_log_write(): no write will succeed any more */
};

/* Lists the folder, which is made when absent; contents are not looked at. A last file that is too short is made full.
 * Older files before a missing one are ignored, with words. io, exec, events are borrowed for the log's life.
 * Fails: MQ_ENOMEM, MQ_EIO, MQ_ECORRUPT (a file of another size than configured). */
enum mq_err commit_log_open(const struct commit_log_config *cfg, const struct store_io *io, const struct store_exec *exec,
                            const struct commit_log_events *events, struct commit_log **out, struct fault *why);
/* After recovery, before any write: the log ends at `end`. Files behind it are unlinked; dirty: what lies behind `end` in its file becomes
 * zeros. Files from sync_from on are synced, so that all below `end` survives a power cut. Makes the file of `end` when there is room. */
enum mq_err commit_log_settle(struct commit_log *log, uint64_t end, bool dirty, uint64_t sync_from, struct fault *why);
/* Forgets what was not written: commit_log_write() and commit_log_flush_now() first. No work may be under way. NULL allowed. */
void commit_log_close(struct commit_log *log);

/* ---- figures ---- */
uint64_t commit_log_min(const struct commit_log *log);       /* start of the oldest file */
uint64_t commit_log_limit(const struct commit_log *log);     /* end of the newest file */
uint64_t commit_log_file_size(const struct commit_log *log);
uint64_t commit_log_written(const struct commit_log *log);   /* visible to readers; any thread */
uint64_t commit_log_flushed(const struct commit_log *log);   /* survives a power cut; any thread */
/* What lies below is what was written. All that is written; after a failed sync what was flushed before, because the kernel may have dropped the rest. */
uint64_t commit_log_sound(const struct commit_log *log);
int64_t commit_log_flushed_ms(const struct commit_log *log); /* last_ms of what is flushed, -1: nothing yet */
uint64_t commit_log_flushes(const struct commit_log *log);
size_t commit_log_memory(const struct commit_log *log);
const struct fault *commit_log_failed(const struct commit_log *log);  /* NULL: it works */
const struct fault *commit_log_no_room(const struct commit_log *log); /* NULL: the next file is there or on its way */
bool commit_log_makes_file(const struct commit_log *log); /* a reserve waits for the next file, and it is on its way */
void commit_log_path(const struct commit_log *log, uint64_t file_off, char path[STORE_PATH_MAX]);

void commit_log_fail(struct commit_log *log, const struct fault *why); /* FAILED from now on, as after a failed write; tells once */

/* ---- appending ---- */
/* Room for `bytes` side by side in one file, behind what this turn holds already; a BLANK goes before it when it does not fit the
 * file. NULL: nothing happened, *status says why. *at: place inside the batch, see commit_log_batch(). */
uint8_t *commit_log_reserve(struct commit_log *log, size_t bytes, uint64_t *phys_off, size_t *at, enum put_status *status);
const uint8_t *commit_log_batch(const struct commit_log *log); /* bytes of this turn; valid until the next reserve, write or forget */
/* Writes the batch; last_ms is the store time of its last record. The batch stays readable until commit_log_forget(). A failure is final. */
enum mq_err commit_log_write(struct commit_log *log, int64_t last_ms);
void commit_log_forget(struct commit_log *log); /* the batch: empties it */
/* Gives the batch's memory back when nothing was put since the last call, unmaps what nobody reads. */
void commit_log_trim(struct commit_log *log, int64_t mono_ms);

/* ---- flushing ---- */
void commit_log_pump(struct commit_log *log, int64_t mono_ms); /* submits a flush when one is due and none is under way */
enum mq_err commit_log_flush_now(struct commit_log *log);     /* on this thread; no work may be under way */
/* ms until commit_log_pump() has something to do; INT64_MAX: after the next write. */
int64_t commit_log_due(const struct commit_log *log, int64_t mono_ms);

/* ---- reading ---- */
/* n bytes of one file below `written`. n, or -ENOENT: not (or no longer) there; -EAGAIN: not in memory (only with !may_block); else -errno. */
int64_t commit_log_read(struct commit_log *log, void *to, size_t n, uint64_t phys_off, bool may_block);
/* The same while recovering: no bound but the file's; short at its end. */
int64_t commit_log_read_raw(struct commit_log *log, void *to, size_t n, uint64_t phys_off);
/* While recovering: the disk may begin to read these bytes, at most to the end of their file. A hint. */
void commit_log_read_ahead(struct commit_log *log, uint64_t phys_off, uint64_t n);
/* While recovering: from where on, in the file of phys_off, there are only zeros (at most the file's end); or -errno. Reading ahead hides holes:
 * ask before a file is read. */
int64_t commit_log_data_end(struct commit_log *log, uint64_t phys_off);

/* ---- retention ---- */
void commit_log_drop(struct commit_log *log, uint64_t min_phys); /* forgets files wholly below; who calls unlinks them */
#endif
