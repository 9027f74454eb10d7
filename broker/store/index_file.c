/* index_file.c - one index file: a hash table of fixed size whose chains are entries in the order of adding.
 *
 * header 40 | slots x 4 | entries x 20. A slot holds the number of its newest entry, an entry the number of the one before it in
 * its slot. The file is sparse: only touched bytes are written. Slots of a batch are scattered over 20 MB, so a batch is sorted
 * by chunk of the slot table, and a chunk is read and written once per batch instead of once per key. A chunk is a page; in a large
 * batch, which touches nearly every page, it is 64 KiB (ext4 with large folios pays per call, not per byte).
 *
 *   I1  the order is entries, slots, header: whoever follows a slot finds the entry there, and what the header counts is complete.
 *   I2  a slot may point at or beyond the header's count: a batch that is under way, or one that failed half-way. Such entries are
 *       passed over towards older ones, so that the chain behind them is not lost, and adding the batch again gives the same bytes.
 *                                                            (test: unit/index index_fail, every_failing_write_is_told_once_and_made_good)
 *   I3  links only lead to smaller numbers: a damaged file cannot make a reader run in circles.      (test: fuzz/index_file)
 * Seconds, not milliseconds, are stored: an entry counts as in a window when its second touches the window, so nothing in the window is
 * missed (Apache, which compares the second's start, misses what lies in the window's first second). */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "broker/store/index_internal.h"
#include "common/base/mem.h"
#include "common/protocol/rd.h"

/* ---- hashes ---- */

enum { POW4 = 31 * 31 * 31 * 31 };

/* Java's hash of bytes that are ASCII; *foreign: some are not, and it is nothing. */
static uint32_t hash_on(uint32_t h, struct slice s, bool *foreign)
{
    uint64_t all = 0, v;
    size_t i = 0;
    for (; s.n - i >= 8; i += 8) { /* eight steps as one: a step has to wait for its product */
        memcpy(&v, s.p + i, 8);
        v = le64toh(v);
        all |= v;
        v = (v & 0x00ff00ff00ff00ffu) * 31 + (v >> 8 & 0x00ff00ff00ff00ffu);         /* pairs: at most 8,160 of 65,535 */
        v = (v & 0x0000ffff0000ffffu) * (31 * 31) + (v >> 16 & 0x0000ffff0000ffffu); /* fours: below 2^23 */
        h = (uint32_t)POW4 * POW4 * h + (uint32_t)POW4 * (uint32_t)v + (uint32_t)(v >> 32);
    }
    for (; i < s.n; i++) {
        h = 31 * h + s.p[i];
        all |= s.p[i];
    }
    *foreign = *foreign || (all & 0x8080808080808080u) != 0;
    return h;
}

static __attribute__((noinline)) uint32_t hash_text(struct slice topic, struct slice key)
{
    uint8_t text[64 * 1024];
    topic = slice_head(topic, MESSAGE_PROPERTIES_MAX);
    key = slice_head(key, MESSAGE_PROPERTIES_MAX);
    memcpy(text, topic.p, topic.n);
    text[topic.n] = '#';
    if (key.n > 0)
        memcpy(text + topic.n + 1, key.p, key.n);
    return (uint32_t)java_hash(slice_make(text, topic.n + 1 + key.n));
}

uint32_t index_hash(struct slice topic, struct slice key)
{
    bool foreign = false;
    uint32_t h = hash_on(0, topic, &foreign);
    h = hash_on(31 * h + '#', key, &foreign);
    if (foreign)
        h = hash_text(topic, key);
    if (h == 0x80000000u) /* Math.abs() leaves it negative, and Apache takes 0 instead */
        return 0;
    return h > 0x80000000u ? 0u - h : h;
}

/* ---- header ---- */

void index_header_encode(uint8_t out[INDEX_HEADER], const struct index_header *h)
{
    put_u64(out, (uint64_t)h->begin_ms);
    put_u64(out + 8, (uint64_t)h->end_ms);
    put_u64(out + 16, (uint64_t)h->begin_phys);
    put_u64(out + 24, (uint64_t)h->end_phys);
    put_u32(out + 32, h->slots_used);
    put_u32(out + 36, h->next);
}

struct index_header index_header_decode(const uint8_t in[INDEX_HEADER], struct index_geometry g)
{
    struct rd r = rd_over(in, INDEX_HEADER);
    struct index_header h = {.begin_ms = (int64_t)rd_u64(&r), .end_ms = (int64_t)rd_u64(&r)};
    h.begin_phys = (int64_t)rd_u64(&r);
    h.end_phys = (int64_t)rd_u64(&r);
    h.slots_used = rd_u32(&r);
    h.next = rd_u32(&r);
    if (h.next == 0 || h.next > INT32_MAX) /* a fresh file has zeros there */
        h.next = 1;
    if (h.next > g.entries)
        h.next = g.entries;
    return h;
}

/* Reads all n bytes; what lies behind the end of a cut file reads as zeros. */
static int read_at(const struct store_io *io, int fd, void *to, size_t n, uint64_t off)
{
    int64_t got = io->pread(io->ctx, fd, to, n, off);
    if (got < 0)
        return (int)got;
    memset((uint8_t *)to + got, 0, n - (size_t)got);
    return 0;
}

static int write_at(const struct store_io *io, int fd, const void *from, size_t n, uint64_t off)
{
    int64_t r = io->pwrite(io->ctx, fd, from, n, off);
    return r < 0 ? (int)r : 0;
}

static uint32_t load_u32(const uint8_t *p)
{
    struct rd r = rd_over(p, 4);
    return rd_u32(&r);
}

/* The newest entry older than `base` in the chain that starts at v; 0: none. */
static int skip_unborn(const struct store_io *io, int fd, struct index_geometry g, uint32_t base, uint32_t *v)
{
    while (*v >= base) {
        uint8_t before[4];
        if (*v >= g.entries) {
            *v = 0;
            break;
        }
        int r = read_at(io, fd, before, sizeof before, index_entry_off(g, *v) + 16);
        if (r < 0)
            return r;
        uint32_t next = load_u32(before);
        *v = next < *v ? next : 0;
    }
    return 0;
}

/* ---- adding ---- */

enum { CHUNK_SMALL_BITS = 12, CHUNK_LARGE_BITS = 16, LARGE_BATCH = 8192 };

struct index_scratch { /* of one batch */
    unsigned bits;                       /* log2 of a chunk's bytes */
    uint32_t chunks;                     /* of the slot table */
    uint32_t order[INDEX_WAITING_MAX];   /* keys sorted by chunk, otherwise as they came */
    uint8_t entries[INDEX_WAITING_MAX * INDEX_ENTRY];
    uint8_t chunk[1 << CHUNK_LARGE_BITS];
    uint32_t bucket[];                   /* chunks + 1: where a chunk's keys start in `order` */
};

static uint32_t chunk_of(uint32_t slot, unsigned bits) { return (uint32_t)(index_slot_off(slot) >> bits); }

size_t index_scratch_bytes(struct index_geometry g)
{
    return sizeof(struct index_scratch) + ((size_t)chunk_of(g.slots, CHUNK_SMALL_BITS) + 2) * sizeof(uint32_t);
}

struct index_scratch *index_scratch_new(struct index_geometry g)
{
    return mem_alloc(index_scratch_bytes(g)); /* not zeroed: memory that no batch needs is never touched */
}

static void sort_by_chunk(struct index_scratch *s, struct index_geometry g, const struct index_key *keys, size_t n)
{
    s->bits = n < LARGE_BATCH ? CHUNK_SMALL_BITS : CHUNK_LARGE_BITS;
    s->chunks = chunk_of(g.slots, s->bits) + 1;
    memset(s->bucket, 0, ((size_t)s->chunks + 1) * sizeof *s->bucket);
    for (size_t i = 0; i < n; i++)
        s->bucket[chunk_of(keys[i].hash % g.slots, s->bits) + 1]++;
    for (uint32_t c = 0; c < s->chunks; c++)
        s->bucket[c + 1] += s->bucket[c];
    for (size_t i = 0; i < n; i++)
        s->order[s->bucket[chunk_of(keys[i].hash % g.slots, s->bits)]++] = (uint32_t)i;
    for (uint32_t c = s->chunks; c > 0; c--) /* each start has moved to the next one's */
        s->bucket[c] = s->bucket[c - 1];
    s->bucket[0] = 0;
}

struct span { /* the slots that one chunk's keys touch */
    uint32_t lo, hi;
};

static struct span span_of(struct index_geometry g, const struct index_key *keys, const uint32_t *order, size_t n)
{
    struct span s = {UINT32_MAX, 0};
    for (size_t i = 0; i < n; i++) {
        uint32_t slot = keys[order[i]].hash % g.slots;
        s.lo = slot < s.lo ? slot : s.lo;
        s.hi = slot > s.hi ? slot : s.hi;
    }
    return s;
}

static size_t span_bytes(struct span s) { return ((size_t)(s.hi - s.lo) + 1) * INDEX_SLOT; }

/* Finds what each of one chunk's keys has before it in its slot. */
static int link_chunk(const struct store_io *io, int fd, struct index_geometry g, struct index_header *h, const struct index_key *keys,
                      const uint32_t *order, size_t n, struct index_scratch *scratch)
{
    struct span s = span_of(g, keys, order, n);
    int r = read_at(io, fd, scratch->chunk, span_bytes(s), index_slot_off(s.lo));
    for (size_t i = 0; r == 0 && i < n; i++) {
        uint32_t slot = keys[order[i]].hash % g.slots, number = h->next + order[i];
        uint8_t *at = scratch->chunk + (size_t)(slot - s.lo) * INDEX_SLOT;
        uint32_t v = load_u32(at);
        /* from this batch, or a trace of one that was not finished? */
        bool ours = v >= h->next && v < number && keys[v - h->next].hash % g.slots == slot;
        if (!ours)
            r = skip_unborn(io, fd, g, h->next, &v);
        put_u32(scratch->entries + (size_t)order[i] * INDEX_ENTRY + 16, v);
        put_u32(at, number);
        h->slots_used += v == 0;
    }
    return r;
}

static int write_chunk(const struct store_io *io, int fd, struct index_geometry g, uint32_t first, const struct index_key *keys, const uint32_t *order,
                       size_t n, uint8_t *chunk)
{
    struct span s = span_of(g, keys, order, n);
    int r = s.lo == s.hi ? 0 : read_at(io, fd, chunk, span_bytes(s), index_slot_off(s.lo));
    for (size_t i = 0; i < n; i++)
        put_u32(chunk + (size_t)(keys[order[i]].hash % g.slots - s.lo) * INDEX_SLOT, first + order[i]);
    return r < 0 ? r : write_at(io, fd, chunk, span_bytes(s), index_slot_off(s.lo));
}

static uint32_t seconds_since(const struct index_header *h, int64_t ms)
{
    int64_t diff;
    if (h->begin_ms <= 0 || __builtin_sub_overflow(ms, h->begin_ms, &diff) || diff < 0)
        return 0;
    return diff / 1000 > INT32_MAX ? INT32_MAX : (uint32_t)(diff / 1000);
}

/* The parts of the entries that need no reading, and the header's times and places. */
static void encode_entries(struct index_header *h, const struct index_key *keys, size_t n, uint8_t *entries)
{
    for (size_t i = 0; i < n; i++) {
        uint8_t *e = entries + i * INDEX_ENTRY;
        put_u32(e, keys[i].hash);
        put_u64(e + 4, (uint64_t)keys[i].place);
        put_u32(e + 12, seconds_since(h, keys[i].ms));
        if (h->next + i == 1) { /* after its own seconds: they count from the end of the file before */
            h->begin_ms = keys[i].ms;
            h->begin_phys = keys[i].place;
        }
    }
    h->end_ms = keys[n - 1].ms;
    h->end_phys = keys[n - 1].place;
}

int index_file_add(const struct store_io *io, int fd, struct index_geometry g, struct index_header *h, const struct index_key *keys, size_t n,
                   struct index_scratch *s)
{
    struct index_header next = *h;
    uint8_t head[INDEX_HEADER];
    int r = 0;
    sort_by_chunk(s, g, keys, n);
    encode_entries(&next, keys, n, s->entries);
    for (uint32_t c = 0; r == 0 && c < s->chunks; c++)
        if (s->bucket[c + 1] > s->bucket[c])
            r = link_chunk(io, fd, g, &next, keys, s->order + s->bucket[c], s->bucket[c + 1] - s->bucket[c], s);
    if (r == 0)
        r = write_at(io, fd, s->entries, n * INDEX_ENTRY, index_entry_off(g, h->next));
    for (uint32_t c = 0; r == 0 && c < s->chunks; c++)
        if (s->bucket[c + 1] > s->bucket[c])
            r = write_chunk(io, fd, g, h->next, keys, s->order + s->bucket[c], s->bucket[c + 1] - s->bucket[c], s->chunk);
    next.next += (uint32_t)n;
    index_header_encode(head, &next);
    if (r == 0)
        r = write_at(io, fd, head, sizeof head, 0);
    if (r == 0)
        *h = next;
    return r;
}

/* ---- finding ---- */

bool index_want_take(struct index_want *w, int64_t place)
{
    if (w->n >= w->max)
        return false;
    if (w->n == 0 || w->places[w->n - 1] != place)
        w->places[w->n++] = place;
    return true;
}

struct window { /* entries that were read together: a busy key's entries are neighbours */
    uint32_t from, n;
    uint8_t bytes[8192 / INDEX_ENTRY * INDEX_ENTRY];
};

static int window_at(const struct store_io *io, int fd, struct index_geometry g, struct window *w, uint32_t number, const uint8_t **out)
{
    if (w->n == 0 || number < w->from || number >= w->from + w->n) {
        uint32_t cap = (uint32_t)(sizeof w->bytes / INDEX_ENTRY);
        w->from = number >= cap ? number - cap + 1 : 0; /* it ends with the one wanted: chains lead backwards */
        w->n = number - w->from + 1;
        int r = read_at(io, fd, w->bytes, (size_t)w->n * INDEX_ENTRY, index_entry_off(g, w->from));
        if (r < 0) {
            w->n = 0;
            return r;
        }
    }
    *out = w->bytes + (size_t)(number - w->from) * INDEX_ENTRY;
    return 0;
}

int index_file_find(const struct store_io *io, int fd, struct index_geometry g, const struct index_header *h, struct index_want *w)
{
    uint8_t slot[INDEX_SLOT];
    struct window win = {0, 0, {0}};
    int r = read_at(io, fd, slot, sizeof slot, index_slot_off(w->hash % g.slots));
    uint32_t number = load_u32(slot);
    if (r == 0)
        r = skip_unborn(io, fd, g, h->next, &number);
    while (r == 0 && number > 0) {
        const uint8_t *e;
        r = window_at(io, fd, g, &win, number, &e);
        if (r < 0)
            break;
        struct rd rd = rd_over(e, INDEX_ENTRY);
        uint32_t hash = rd_u32(&rd);
        int64_t place = (int64_t)rd_u64(&rd), first = h->begin_ms, last;
        uint32_t seconds = rd_u32(&rd), before = rd_u32(&rd);
        if (seconds > INT32_MAX)
            break;
        if (number == 1) /* its seconds may count from elsewhere; the header has its time */
            last = first;
        else if (__builtin_add_overflow(first, (int64_t)seconds * 1000, &first) || __builtin_add_overflow(first, 999, &last))
            break;
        if (hash == w->hash && last >= w->begin_ms && first <= w->end_ms && !index_want_take(w, place))
            break;
        if (last < w->begin_ms || before >= number)
            break;
        number = before;
    }
    return r;
}

int index_file_newest(const struct store_io *io, int fd, struct index_geometry g, const struct index_header *h, uint32_t *n)
{
    struct window win = {0, 0, {0}};
    for (*n = 0; *n + 1 < h->next; ++*n) {
        const uint8_t *e;
        int r = window_at(io, fd, g, &win, h->next - 1 - *n, &e);
        if (r < 0)
            return r;
        struct rd rd = rd_over(e + 4, 8);
        if ((int64_t)rd_u64(&rd) != h->end_phys)
            break;
    }
    return 0;
}
