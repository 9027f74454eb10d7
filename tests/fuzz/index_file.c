/* index_file.c - fuzz target: the bytes of an index file. The first byte picks the geometry, the rest is the file.
 * Oracles: finding ends and gives no more than asked for; a file that was cut to what proves right is cut no further by a second time; keys
 * that are added are found. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "broker/store/index_internal.h"
#include "common/base/log.h"
#include "common/base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { SIZE = 4096, NEW = 3 };
struct file {
    uint8_t bytes[SIZE];
};

static int64_t file_read(void *ctx, int fd, void *to, size_t n, uint64_t off)
{
    struct file *f = ctx;
    (void)fd;
    size_t have = off < SIZE ? SIZE - (size_t)off : 0, take = n < have ? n : have;
    if (take > 0)
        memcpy(to, f->bytes + off, take);
    return (int64_t)take;
}

static int64_t file_write(void *ctx, int fd, const void *from, size_t n, uint64_t off)
{
    struct file *f = ctx;
    (void)fd;
    if (off > SIZE || n > SIZE - off)
        abort();
    memcpy(f->bytes + off, from, n);
    return (int64_t)n;
}

static void find_all(const struct store_io *io, struct index_geometry g, const struct index_header *h)
{
    int64_t places[8];
    for (uint32_t hash = 0; hash < 12; hash++) {
        struct index_want w = {hash, hash % 3 == 0 ? INT64_MIN : 1000, hash % 2 == 0 ? INT64_MAX : 100000, places, 8, 0};
        if (index_file_find(io, 0, g, h, &w) != 0 || w.n > 8)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct file f;
    static struct index_scratch *scratch[4];
    static const struct index_geometry shapes[] = {{1, 180}, {5, 100}, {100, 150}, {400, 3}};
    const struct store_io io = {.ctx = &f, .pread = file_read, .pwrite = file_write};
    if (n < 1 + INDEX_HEADER)
        return 0;
    struct index_geometry g = shapes[data[0] & 3];
    struct index_scratch **s = &scratch[data[0] & 3];
    if (*s == NULL)
        *s = index_scratch_new(g);
    memset(&f, 0, sizeof f);
    memcpy(f.bytes, data + 1, n - 1 < SIZE ? n - 1 : SIZE);

    struct index_header h = index_header_decode(f.bytes, g), again;
    uint32_t newest;
    find_all(&io, g, &h);
    if (index_file_newest(&io, 0, g, &h, &newest) != 0 || newest >= h.next)
        abort();
    if (data[0] & 4) {
        if (index_file_cut(&io, 0, g, &h, data[0] & 8 ? 1000 : INT64_MAX) != 0)
            abort();
        again = h;
        if (index_file_cut(&io, 0, g, &again, INT64_MAX) != 0 || memcmp(&again, &h, sizeof h) != 0)
            abort();
        find_all(&io, g, &h);
    }
    if (h.next + NEW <= g.entries && *s != NULL) {
        const struct index_key keys[NEW] = {{1 << 20, 5000, 7}, {1 << 21, 6000, 7}, {1 << 22, 7000, 8}};
        if (index_file_add(&io, 0, g, &h, keys, NEW, *s) != 0)
            abort();
        int64_t places[2];
        struct index_want w = {7, INT64_MIN, INT64_MAX, places, 2, 0};
        if (index_file_find(&io, 0, g, &h, &w) != 0)
            abort();
        if (h.begin_ms < INT64_MAX / 2 && (w.n != 2 || places[0] != 1 << 21 || places[1] != 1 << 20))
            abort();
    }
    return 0;
}
