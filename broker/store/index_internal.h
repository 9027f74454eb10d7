/* index_internal.h - what index.c (adding, finding), index_file.c (one file's bytes) and index_write.c (the row of files) share.
 * Thread: functions of index_file.c any; those of index_write.c whoever holds msg_index.lock. Results: 0 or a negative errno. */
#ifndef BROKER_STORE_INDEX_INTERNAL_H
#define BROKER_STORE_INDEX_INTERNAL_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "broker/store/index.h"

#define INDEX_DIR "index"
enum {
    INDEX_HEADER = 40,
    INDEX_SLOT = 4,
    INDEX_ENTRY = 20,
    INDEX_PATH_MAX = 32,        /* "index/" and at most 19 digits */
    INDEX_NAME_DIGITS = 17,     /* yyyyMMddHHmmssSSS */
    INDEX_BATCH = 64 * 1024,    /* keys that are handed over at once */
    INDEX_WAITING_MAX = 128 * 1024, /* keys that may wait: 3 MiB */
    INDEX_WRITE_MS = 500,       /* fewer than a batch wait no longer than this */
    INDEX_SYNC_MS = 10000,
    INDEX_RETRY_MS = 5000
};

struct index_geometry {
    uint32_t slots, entries; /* entry 0 is never used */
};
static inline uint64_t index_file_size(struct index_geometry g)
{
    return INDEX_HEADER + (uint64_t)g.slots * INDEX_SLOT + (uint64_t)g.entries * INDEX_ENTRY;
}

static inline uint64_t index_slot_off(uint32_t slot) { return INDEX_HEADER + (uint64_t)slot * INDEX_SLOT; }
static inline uint64_t index_entry_off(struct index_geometry g, uint32_t number)
{
    return INDEX_HEADER + (uint64_t)g.slots * INDEX_SLOT + (uint64_t)number * INDEX_ENTRY;
}

struct index_key { /* what is kept of a key until it is in a file */
    int64_t place, ms;
    uint32_t hash; /* 0..2^31-1 */
};
struct index_header {
    int64_t begin_ms, end_ms, begin_phys, end_phys;
    uint32_t slots_used, next; /* next: number of the next entry, from 1 */
};
struct index_file { /* a node of the row, oldest first */
    struct list node;
    char path[INDEX_PATH_MAX];
    struct index_header now;  /* who holds msg_index.lock */
    struct index_header seen; /* core: what finding goes by; entries from seen.next on are still in memory */
};

/* ---- index_file.c ---- */
uint32_t index_hash(struct slice topic, struct slice key); /* |java hash of "topic#key"|; a text beyond 64 KiB counts as its start */
void index_header_encode(uint8_t out[INDEX_HEADER], const struct index_header *h);
struct index_header index_header_decode(const uint8_t in[INDEX_HEADER], struct index_geometry g); /* next within 1..entries */
struct index_scratch;
struct index_scratch *index_scratch_new(struct index_geometry g); /* NULL: out of memory; yours, end with mem_free() */
size_t index_scratch_bytes(struct index_geometry g);
/* Appends n <= INDEX_WAITING_MAX keys; there must be room (h->next + n <= entries). *h moves only when all was written. May be repeated
 * after a failure. */
int index_file_add(const struct store_io *io, int fd, struct index_geometry g, struct index_header *h, const struct index_key *keys, size_t n,
                   struct index_scratch *scratch);
struct index_want {
    uint32_t hash;
    int64_t begin_ms, end_ms; /* both included */
    int64_t *places;          /* room for max */
    uint32_t max, n;
};
bool index_want_take(struct index_want *w, int64_t place); /* false: no more wanted; the same place twice in a row is one */
int index_file_find(const struct store_io *io, int fd, struct index_geometry g, const struct index_header *h, struct index_want *w);
/* Entries of the newest record: how many at the end have the place h->end_phys. */
int index_file_newest(const struct store_io *io, int fd, struct index_geometry g, const struct index_header *h, uint32_t *n);

/* ---- index_repair.c ---- */
/* Keeps the entries from the start that prove right and whose place is below max_phys; slots and header follow. None left
 * (h->next == 1): the file is good for nothing, its header on disk is unchanged. */
int index_file_cut(const struct store_io *io, int fd, struct index_geometry g, struct index_header *h, int64_t max_phys);

/* ---- index_write.c ---- */
struct index_writer {
    struct store_io io;
    struct index_geometry geo;
    struct index_file *last; /* NULL: none yet */
    int fd;                  /* of last, for writing; -1 */
    bool unsynced;           /* last has something that is not on the medium */
    bool lost;               /* a sync failed: what is on the medium is unknown, nothing more is written */
    struct index_scratch *scratch;
};
/* Writes keys[*at .. n), moving *at by what is in files; files it makes go to the end of `made`. now_ms names new files. */
enum mq_err index_writer_add(struct index_writer *w, const struct index_key *keys, uint32_t *at, uint32_t n, struct list *made,
                             struct fault *why);
void index_writer_close(struct index_writer *w); /* the descriptor only */
/* A file's bytes and its name. On failure, *lost: something may have been dropped; else it may be tried again. */
enum mq_err index_sync(const struct store_io *io, const char *path, bool *lost, struct fault *why);
/* Cuts the file as index_file_cut() does; *keep false: nothing was left of it, and it is unlinked. */
enum mq_err index_cut(const struct store_io *io, struct index_geometry g, struct index_file *f, int64_t max_phys, bool *keep, struct fault *why);
/* Reads the folder: files oldest first to `files`. After an unclean stop the last one, and those whose end is newer than what is safe, are
 * cut to what can be trusted. */
enum mq_err index_load(const struct store_io *io, struct index_geometry g, bool clean, const struct checkpoint *safe, struct list *files, struct fault *why);
enum mq_err index_fault(struct fault *why, int err, const char *action, const char *path);
#endif
