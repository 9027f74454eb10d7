/* log_cache.c - see log_cache.h.
 *
 * One ring of bytes, through which everything that is kept passes once: `head` counts for ever, and what was put at position `pos` is there
 * as long as head has not gone beyond pos + ring_n. So nothing is freed one by one, and an entry of the table needs no link to be forgotten: its
 * position tells whether it is still true. The table is in sets of four; the oldest of a set gives way.
 *
 * Two kinds of things are kept:
 *   blocks   whole stretches of the log, when many records of them are wanted: 16 consumers of 16 queues, whose records interleave, then
 *            read the log once instead of sixteen times a record at a time.
 *   pieces   single records, when they were read singly: a second group that consumes the same queue finds them.
 *
 * When is a block read whole? When what was asked of it, record by record, has cost as many calls as reading it whole costs copying. Then
 * the dear way was taken for at most as long as the cheap one would have taken, whatever comes later. Consumers go forward: if the block before
 * earned its reading, the next is read at its second touch already. A block's first touch is never enough: a lonely record reads itself.
 *   I1  what find() returns is what was read at that offset, whole.             (tests: unit/store log_cache; sim/store) */
#include "broker/store/log_cache.h"

#include <assert.h>
#include <string.h>

#include "common/base/mem.h"

enum { WAYS = 4, SETS = 4096, HEATS = 256 };
struct log_cache_slot {
    uint64_t key; /* offset * 2, + 1: a block */
    uint64_t pos; /* in the ring's count */
    uint32_t n;
};

bool log_cache_pays(uint32_t reads, uint32_t reads_before, size_t block_n)
{
    size_t worth = block_n / LOG_CACHE_CALL;
    return reads >= 2 && (reads >= worth || reads_before >= worth);
}

uint64_t log_cache_ring(uint64_t limit)
{
    uint64_t n = LOG_CACHE_RING;
    while (limit > 0 && n > limit / 16 && n > LOG_CACHE_RING_MIN)
        n /= 2;
    return n;
}

void log_cache_init(struct log_cache *c, uint64_t file_size, const struct budget *budget)
{
    *c = (struct log_cache){.block = LOG_CACHE_BLOCK, .budget = budget};
    while (c->block > 0 && file_size % c->block != 0)
        c->block /= 2;
    if (c->block < LOG_CACHE_BLOCK_MIN)
        c->block = 0;
}

/* ---- the ring and its table ---- */

static struct log_cache_slot *set_of(const struct log_cache *c, uint64_t key)
{
    return c->slots + (key * UINT64_C(0x9e3779b97f4a7c15) >> 52) * WAYS;
}
_Static_assert(SETS == 1 << (64 - 52), "the shift above");

static bool is_there(const struct log_cache *c, const struct log_cache_slot *s) { return s->pos + c->ring_n >= c->head; }

static struct log_cache_slot *slot_find(const struct log_cache *c, uint64_t key)
{
    struct log_cache_slot *s = set_of(c, key);
    for (int i = 0; i < WAYS; i++)
        if (s[i].key == key && is_there(c, &s[i]))
            return &s[i];
    return NULL;
}

static const struct log_cache_slot *block_find(const struct log_cache *c, uint64_t off)
{
    return c->ring != NULL && c->block > 0 ? slot_find(c, (off - off % c->block) * 2 + 1) : NULL;
}

const uint8_t *log_cache_find(struct log_cache *c, uint64_t off, size_t n)
{
    if (c->ring == NULL)
        return NULL;
    const struct log_cache_slot *s = block_find(c, off);
    uint64_t in = s != NULL ? off % c->block : 0;
    if (s == NULL || in + n > s->n) { /* the last record of a block lies in two */
        s = slot_find(c, off * 2);
        in = 0;
    }
    if (s == NULL || in + n > s->n)
        return NULL;
    c->used = true;
    return c->ring + (s->pos & (c->ring_n - 1)) + in;
}

static bool has_memory(struct log_cache *c)
{
    if (c->ring != NULL)
        return true;
    if (budget_level(c->budget) >= BUDGET_GIVE_BACK)
        return false;
    c->ring_n = log_cache_ring(c->budget != NULL ? c->budget->limit : 0);
    c->ring = mem_alloc(c->ring_n); /* the system gives pages as they are written */
    c->slots = mem_zalloc(SETS * WAYS * sizeof *c->slots);
    c->head = 2 * c->ring_n; /* zeroed slots are long gone */
    if (c->ring != NULL && c->slots != NULL)
        return true;
    log_cache_fini(c);
    return false;
}

uint8_t *log_cache_room(struct log_cache *c, size_t n)
{
    if (!has_memory(c) || n > c->ring_n / 2)
        return NULL;
    uint64_t at = c->head & (c->ring_n - 1);
    if (at + n > c->ring_n) {
        c->head += c->ring_n - at;
        at = 0;
    }
    c->head += n;
    c->used = true;
    return c->ring + at;
}

static void add(struct log_cache *c, uint64_t key, size_t n)
{
    struct log_cache_slot *s = set_of(c, key), *to = s;
    for (int i = 0; i < WAYS; i++) {
        if (s[i].key == key) {
            to = &s[i];
            break;
        }
        if (s[i].pos < to->pos)
            to = &s[i];
    }
    *to = (struct log_cache_slot){.key = key, .pos = c->head - n, .n = (uint32_t)n};
}

void log_cache_add_piece(struct log_cache *c, uint64_t off, size_t n) { add(c, off * 2, n); }

void log_cache_add_block(struct log_cache *c, uint64_t off)
{
    assert(off % c->block == 0);
    add(c, off * 2 + 1, c->block);
}

/* ---- what is worth keeping ---- */

static uint32_t reads_of(const struct log_cache *c, uint64_t number)
{
    const struct log_cache_heat *h = &c->heat[number % HEATS];
    return h->block == number + 1 ? h->reads : 0;
}

bool log_cache_expect(struct log_cache *c, uint64_t off, size_t n)
{
    if (c->block == 0 || n > LOG_CACHE_PIECE_MAX || (c->heat == NULL && (c->heat = mem_zalloc(HEATS * sizeof *c->heat)) == NULL))
        return false;
    uint64_t number = off / c->block;
    struct log_cache_heat *h = &c->heat[number % HEATS];
    if (h->block != number + 1)
        *h = (struct log_cache_heat){.block = number + 1};
    h->reads++;
    c->used = true;
    return log_cache_pays(h->reads, number > 0 ? reads_of(c, number - 1) : 0, c->block) && block_find(c, off) == NULL &&
           log_cache_find(c, off, n) == NULL;
}

void log_cache_missed(struct log_cache *c, uint64_t off)
{
    struct log_cache_heat *h = c->heat != NULL ? &c->heat[off / c->block % HEATS] : NULL;
    if (h != NULL && h->block == off / c->block + 1)
        h->reads = 0;
}

/* ---- memory ---- */

void log_cache_tick(struct log_cache *c, int64_t mono_ms)
{
    if (c->used)
        c->used_ms = mono_ms;
    if ((!c->used && mono_ms - c->used_ms >= LOG_CACHE_IDLE_MS) || budget_level(c->budget) >= BUDGET_GIVE_BACK)
        log_cache_fini(c);
    c->used = false;
}

size_t log_cache_memory(const struct log_cache *c)
{
    size_t n = c->heat != NULL ? HEATS * sizeof *c->heat : 0;
    return c->ring == NULL ? n : n + c->ring_n + SETS * WAYS * sizeof *c->slots;
}

void log_cache_fini(struct log_cache *c)
{
    mem_free(c->ring);
    mem_free(c->slots);
    mem_free(c->heat);
    *c = (struct log_cache){.block = c->block, .budget = c->budget};
}
