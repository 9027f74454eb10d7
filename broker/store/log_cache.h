/* log_cache.h - bytes of the log that were read lately and are likely to be asked for again: what saves a pull its system calls.
 * Holds copies of what lies below `written`, which never changes (commit_log.c, I2), so nothing in it is ever wrong. Whether an offset
 * is still (or already) to be served is the caller's to know before it asks.
 * Thread: one owner. Units: bytes; offsets count from the start of the log. */
#ifndef BROKER_STORE_LOG_CACHE_H
#define BROKER_STORE_LOG_CACHE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/base/budget.h"

enum {
    LOG_CACHE_RING = 16 << 20,     /* bytes kept, if the budget is not too small for it */
    LOG_CACHE_RING_MIN = 1 << 20,
    LOG_CACHE_BLOCK = 128 << 10,   /* the most that is read at once */
    LOG_CACHE_BLOCK_MIN = 4 << 10, /* files that smaller blocks would fill only have none */
    LOG_CACHE_PIECE_MAX = 8 << 10, /* longer single reads are not kept: their call is small against their copying */
    LOG_CACHE_CALL = 8 << 10,      /* copying so much costs as much as a call of pread (docs/performance.md, One pull) */
    LOG_CACHE_IDLE_MS = 60000      /* unused for so long: the memory goes back */
};
struct log_cache_slot; /* log_cache.c */
struct log_cache_heat { /* of one block: how many reads were asked of it lately */
    uint64_t block;     /* its number + 1; 0: no block */
    uint32_t reads;
};
struct log_cache {
    size_t block;                 /* bytes, a power of two; 0: the files' size allows none */
    const struct budget *budget;  /* borrowed; NULL: none */
    uint8_t *ring;                /* NULL: nothing was kept yet, or it was given back */
    uint64_t ring_n;              /* its bytes, a power of two */
    struct log_cache_slot *slots;
    struct log_cache_heat *heat;
    uint64_t head;                /* bytes that ever went through the ring */
    bool used;                    /* since the last tick */
    int64_t used_ms;
};

/* Owns nothing yet. A block never spans two files. budget (borrowed for the cache's life, NULL: none): gives the ring its size when it is made,
 * and from BUDGET_GIVE_BACK on nothing is kept. */
void log_cache_init(struct log_cache *c, uint64_t file_size, const struct budget *budget);
uint64_t log_cache_ring(uint64_t limit); /* bytes kept under this limit: a sixteenth of it, within the bounds above; 0: no limit. Pure */
/* n bytes of the log at off, or NULL. Valid until the next log_cache_room(), log_cache_tick() or log_cache_fini(). */
const uint8_t *log_cache_find(struct log_cache *c, uint64_t off, size_t n);
/* Room to read n bytes into; what is oldest goes. NULL: short of memory, or n is too long: read elsewhere. */
uint8_t *log_cache_room(struct log_cache *c, size_t n);
/* What was read to the latest room is the log's [off, off + n): a single read, or a whole block. */
void log_cache_add_piece(struct log_cache *c, uint64_t off, size_t n);
void log_cache_add_block(struct log_cache *c, uint64_t off);
/* The block of off could not be read: what was asked of it counts anew, so that it is not tried with each of its records. */
void log_cache_missed(struct log_cache *c, uint64_t off);

/* Somebody is about to read n bytes at off. True: read their block, [off - off % block, + block), into the cache first. */
bool log_cache_expect(struct log_cache *c, uint64_t off, size_t n);
/* The rule behind it, pure: reads that were asked of this block so far, this one included, and of the block before it. */
bool log_cache_pays(uint32_t reads, uint32_t reads_before, size_t block_n);

/* Now and then: gives the memory back when it was unused for LOG_CACHE_IDLE_MS, or when the budget wants it. */
void log_cache_tick(struct log_cache *c, int64_t mono_ms);
size_t log_cache_memory(const struct log_cache *c);
void log_cache_fini(struct log_cache *c); /* gives the memory back; the cache stays ready */
#endif
