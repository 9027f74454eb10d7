/* index_repair.c - cuts an index file to the entries that can be trusted, and makes its slots fit them.
 *
 * Needed when the log lost its end, and after an unclean stop: pages reach the disk in any order, so a slot may be there without its
 * entry, and then the older entries of the slot cannot be found any more. Apache deletes such a file and loses up to 20,000,000 keys with it.
 * But the slots follow from the entries, and the entries prove themselves: each must name as the one before it what the entries up to
 * it say its slot held, and places must not fall. The first that does not (zeros do not) ends the file; the keys behind it are added again from
 * the log, which keeps what the checkpoint vouches for.
 *
 *   I1  afterwards the file is what adding the kept entries to an empty one gives, but for end_ms, which is known in seconds only.
 *                                                                     (test: unit/index index_fail, a_cut_file_is_as_if_it_had_never_been_longer)
 *   I2  behind the last entry are zeros, also beyond what the header counted: a batch may have reached the medium without its header, and
 *       its entries, complete in themselves, would stand for the keys of those that a later life puts at their places as soon as a header with
 *       a greater count is there and the new entries are not.             (test: unit/index index_fail, entries_that_no_header_counted_...)
 *   I3  a crash in here is harmless: the next start does it again.   (test: the same, after_every_cut_the_index_says_where_to_go_on_...)
 * Costs one read of the entries and 4 bytes a slot of memory while it lasts. */
#include <errno.h>
#include <string.h>

#include "broker/store/index_internal.h"
#include "common/base/mem.h"
#include "common/protocol/rd.h"

enum { BLOCK_ENTRIES = 3276, BLOCK = BLOCK_ENTRIES * INDEX_ENTRY }; /* just below 64 KiB */

struct repair {
    const struct store_io *io;
    int fd;
    struct index_geometry geo;
    uint32_t *slots;
    uint8_t block[BLOCK];
};

static int read_block(struct repair *r, size_t n, uint64_t off)
{
    int64_t got = r->io->pread(r->io->ctx, r->fd, r->block, n, off);
    if (got < 0)
        return (int)got;
    memset(r->block + got, 0, n - (size_t)got);
    return 0;
}

static int write_block(struct repair *r, const void *from, size_t n, uint64_t off)
{
    int64_t w = r->io->pwrite(r->io->ctx, r->fd, from, n, off);
    return w < 0 ? (int)w : 0;
}

/* Takes one entry in, or says that the file ends before it. */
static bool prove(struct repair *r, struct index_header *h, const uint8_t *entry, int64_t max_phys)
{
    struct rd rd = rd_over(entry, INDEX_ENTRY);
    uint32_t hash = rd_u32(&rd);
    int64_t place = rd_i64(&rd), since;
    uint32_t seconds = rd_u32(&rd), before = rd_u32(&rd);
    if (hash == 0 && place == 0) /* never written, rather than the log's first record under a key of hash 0 */
        return false;
    if (hash > INT32_MAX || seconds > INT32_MAX || place < h->end_phys || place >= max_phys || before != r->slots[hash % r->geo.slots])
        return false;
    if (h->next == 1)
        h->begin_phys = place;
    if (h->next == 1 || __builtin_add_overflow(h->begin_ms, (int64_t)seconds * 1000, &since))
        since = h->begin_ms;
    h->end_ms = since;
    h->end_phys = place;
    h->slots_used += before == 0;
    r->slots[hash % r->geo.slots] = h->next++;
    return true;
}

static int prove_all(struct repair *r, const struct index_header *old, struct index_header *h, int64_t max_phys)
{
    while (h->next < old->next) {
        uint32_t n = old->next - h->next < BLOCK_ENTRIES ? old->next - h->next : BLOCK_ENTRIES;
        int err = read_block(r, (size_t)n * INDEX_ENTRY, index_entry_off(r->geo, h->next));
        if (err < 0)
            return err;
        for (uint32_t i = 0; i < n; i++)
            if (!prove(r, h, r->block + (size_t)i * INDEX_ENTRY, max_phys))
                return 0;
    }
    return 0;
}

/* Writes the blocks of the slot table that differ. */
static int write_slots(struct repair *r)
{
    uint32_t per = BLOCK / INDEX_SLOT;
    for (uint32_t at = 0; at < r->geo.slots; at += per) {
        uint32_t n = r->geo.slots - at < per ? r->geo.slots - at : per;
        int err = read_block(r, (size_t)n * INDEX_SLOT, index_slot_off(at));
        bool same = true;
        for (uint32_t i = 0; err == 0 && i < n; i++) {
            struct rd rd = rd_over(r->block + (size_t)i * INDEX_SLOT, INDEX_SLOT);
            same = same && rd_u32(&rd) == r->slots[at + i];
            put_u32(r->block + (size_t)i * INDEX_SLOT, r->slots[at + i]);
        }
        if (err == 0 && !same)
            err = write_block(r, r->block, (size_t)n * INDEX_SLOT, index_slot_off(at));
        if (err < 0)
            return err;
        if (r->geo.slots - at <= per)
            break;
    }
    return 0;
}

static bool all_zero(const uint8_t *p, size_t n) { return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0); }

/* Makes zeros of entry `from` and all behind it. */
static int wipe(struct repair *r, uint32_t from)
{
    uint64_t at = index_entry_off(r->geo, from), size = index_file_size(r->geo);
    int64_t end = r->io->data_end != NULL ? r->io->data_end(r->io->ctx, r->fd, at) : (int64_t)size;
    if (end < 0)
        return (int)end;
    for (uint64_t to = (uint64_t)end < size ? (uint64_t)end : size; at < to;) {
        size_t n = to - at < BLOCK ? (size_t)(to - at) : BLOCK;
        int err = read_block(r, n, at);
        if (err == 0 && !all_zero(r->block, n)) {
            memset(r->block, 0, n);
            err = write_block(r, r->block, n, at);
        }
        if (err < 0)
            return err;
        at += n;
    }
    return 0;
}

int index_file_cut(const struct store_io *io, int fd, struct index_geometry g, struct index_header *h, int64_t max_phys)
{
    struct index_header next = {.begin_ms = h->begin_ms, .next = 1};
    uint8_t head[INDEX_HEADER];
    struct repair *r = mem_alloc(sizeof *r);
    uint32_t *slots = mem_zalloc((size_t)g.slots * sizeof *slots);
    int err = r == NULL || slots == NULL ? -ENOMEM : 0;
    if (err == 0) {
        *r = (struct repair){.io = io, .fd = fd, .geo = g, .slots = slots};
        err = prove_all(r, h, &next, max_phys);
    }
    if (next.next == h->next)
        next.end_ms = h->end_ms; /* whole: keep the milliseconds */
    if (err == 0)
        err = write_slots(r);
    if (err == 0)
        err = wipe(r, next.next);
    index_header_encode(head, &next);
    if (err == 0 && next.next > 1)
        err = write_block(r, head, sizeof head, 0);
    if (err == 0)
        *h = next;
    mem_free(slots);
    mem_free(r);
    return err;
}
