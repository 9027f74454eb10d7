/* fake_disk.h - a disk in memory that forgets, fails and fills up on request: a struct store_io for tests.
 *
 * Each file has two images, in sectors of 512 bytes: what programs see (the page cache) and what the medium holds. pwrite and
 * set_size change the first; datasync, and now and then the background, carry it to the second. Names are the same: a new, renamed or
 * removed name is sure only after sync_dir of its folder - of each folder above it, too, if that is new.
 * Thread: one. Ownership: a disk is yours from fake_disk_new() or fake_disk_clone() until fake_disk_free(). */
#ifndef TESTS_LIB_FAKE_DISK_H
#define TESTS_LIB_FAKE_DISK_H
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "broker/store/store_io.h"

enum { FAKE_SECTOR = 512 };
struct fake_disk;

struct fake_disk *fake_disk_new(uint64_t seed);
/* Both images, the clock and the room, as they are now; no descriptors, locks, failures or hook. */
struct fake_disk *fake_disk_clone(const struct fake_disk *d, uint64_t seed);
void fake_disk_free(struct fake_disk *d); /* NULL allowed */
const struct store_io *fake_disk_io(struct fake_disk *d); /* valid as long as d */

/* ---- the end of a process or of the power ---- */
enum fake_cut {
    CUT_KILL,   /* kill -9: what programs saw is still there */
    CUT_LOSE,   /* nothing that was not synced is left */
    CUT_KEEP,   /* all of it is left */
    CUT_RANDOM, /* each sector, size and name by chance; names of one folder in the order of their making */
    CUT_FIRST,  /* the first `arg` sectors that were made dirty are left (a write torn at a sector), sizes and names, too */
    CUT_LAST    /* the reverse: the first `arg` are lost, those behind them left */
};
const char *fake_cut_name(enum fake_cut how);
/* Descriptors and locks are gone. arg: a seed (CUT_RANDOM), a count of sectors (CUT_FIRST, CUT_LAST), else ignored. */
void fake_disk_cut(struct fake_disk *d, enum fake_cut how, uint64_t arg);
uint64_t fake_disk_dirty(const struct fake_disk *d); /* sectors that a cut may lose */

/* ---- failures ---- */
enum fake_op {
    FAKE_OPEN, FAKE_PREAD, FAKE_PWRITE, FAKE_DATASYNC, FAKE_SET_SIZE, FAKE_RENAME, FAKE_UNLINK, FAKE_RMDIR, FAKE_MKDIR, FAKE_SYNC_DIR,
    FAKE_WRITE_BEHIND, FAKE_SYNC_ALL, FAKE_ANY
};
const char *fake_op_name(enum fake_op op);
/* The nth operation of this kind from now on (1 = the next) returns err (-EIO) and does nothing; forever: all after it, too. nth 0: no
 * failure any more. A failing datasync leaves its pages clean but not on the medium, as Linux does: the next one succeeds and saves nothing. */
void fake_disk_fail(struct fake_disk *d, enum fake_op op, uint64_t nth, int err, bool forever);
bool fake_disk_did_fail(const struct fake_disk *d); /* a failure was given since fake_disk_fail() */
/* The machine is off after operation number `number` of fake_disk_steps(): everything returns -EIO and does nothing. 0: never. */
void fake_disk_stop_at(struct fake_disk *d, uint64_t number);
void fake_disk_lie(struct fake_disk *d, bool datasync, bool sync_dir); /* these say success and do nothing: to test tests */

/* ---- knobs ---- */
void fake_disk_writeback(struct fake_disk *d, uint32_t one_in);     /* chance per operation that the background writes something; 0: never */
void fake_disk_capacity(struct fake_disk *d, uint64_t bytes);       /* written and allocated sectors; beyond it -ENOSPC; 0: no limit */
void fake_disk_room(struct fake_disk *d, uint64_t free_bytes, uint64_t total_bytes); /* what room() says; total 0: by the capacity */
void fake_disk_clock(struct fake_disk *d, int64_t now_ms);          /* for modified_ms */
void fake_disk_chill(struct fake_disk *d, const char *path);        /* pages leave the cache: pread_nowait is -EAGAIN until pread; NULL: of all files */

/* ---- looking ---- */
struct fake_step { /* one operation that changed something, or was asked to */
    uint64_t number; /* from 1 */
    enum fake_op op;
    char path[96];
    uint64_t off, n;
    int64_t result;
};
uint64_t fake_disk_steps(const struct fake_disk *d);
/* After each such operation. The hook may clone the disk, it must not operate on it. NULL: none. */
void fake_disk_hook(struct fake_disk *d, void (*after)(void *ctx, const struct fake_step *s), void *ctx);
void fake_disk_trace(const struct fake_disk *d, FILE *to, unsigned last); /* the newest steps, oldest first */
int fake_disk_open_files(const struct fake_disk *d);                      /* descriptors that were not closed */
uint64_t fake_disk_used(const struct fake_disk *d);                       /* bytes of allocated sectors */
/* The bytes that programs see; NULL when absent. Valid until the next operation; a test may change them (damage): then the medium has them, too. */
uint8_t *fake_disk_bytes(struct fake_disk *d, const char *path, uint64_t *n);
void fake_disk_damage(struct fake_disk *d, const char *path, uint64_t off, const void *bytes, uint64_t n); /* both images; grows the file */
/* Calls fn for each file, in no order; fn may damage it. */
void fake_disk_each(struct fake_disk *d, void (*fn)(void *ctx, const char *path, uint64_t size), void *ctx);
#endif
