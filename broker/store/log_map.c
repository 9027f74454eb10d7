/* log_map.c - see log_map.h.
 *
 * Where the records of many queues interleave, each record is a read of its own, and a call costs as much as copying ten records. So a stretch of
 * the log that is read again and again is mapped, for reading only, and copied from.
 * What usually speaks against a mapping, and what is done about it:
 *   a read may wait for the disk     only what mincore() says is in memory is copied, else it is read by a call that does not wait. The answer
 *                                    is believed for a second: a page that was in memory then is hardly gone; if it is, one read waits.
 *   a failing disk is a signal       store_io.copy() turns it into an error.
 *   it looks like memory             a few windows of fixed size, unmapped when nobody reads them. Their pages are the page cache's, which the
 *                                    kernel takes back when it needs them.
 *   a deleted file keeps its blocks  log_map_drop() comes before the unlinking.
 *   unmapping takes its time         4,096 pages are let go one by one, 0.6 ms a window: a consumer that reads old files at the disk's speed
 *                                    uses up many windows a second. So a reader thread does it; the core goes on.
 * Writing goes by pwrite: both see the same page cache.
 *   I1  what is copied are the bytes of the file at that offset.            (test: unit/store log_map)
 *   I2  a window never reaches beyond its file's end.                       (test: unit/store log_map)
 *   I3  what was mapped is unmapped exactly once, and nobody copies from it afterwards.   (test: unit/store log_map) */
#include "broker/store/log_map.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "common/base/list.h"
#include "common/base/mem.h"

void log_map_init(struct log_map *m, const struct store_io *io, const struct store_exec *exec, uint64_t file_size)
{
    *m = (struct log_map){.io = io, .exec = exec, .file_size = file_size};
}

/* Windows are counted from the start of their file. */
static uint64_t window_start(const struct log_map *m, uint64_t off) { return off - off % m->file_size % LOG_WINDOW; }

static void unmap(struct log_map *m, struct log_window *w)
{
    if (w->p == NULL)
        return;
    m->io->unmap(m->io->ctx, w->p, w->n);
    w->p = NULL;
}

struct unmapping { /* a window on its way out: nobody finds it any more */
    struct store_work work;
    const struct store_io *io;
    const uint8_t *p;
    size_t n;
};

static void unmapping_run(struct store_work *work)
{
    struct unmapping *u = CONTAINER_OF(work, struct unmapping, work);
    u->io->unmap(u->io->ctx, u->p, u->n);
}

static void unmapping_done(struct store_work *work) { mem_free(CONTAINER_OF(work, struct unmapping, work)); }

/* Elsewhere and later; without memory for that, here and now. */
static void unmap_aside(struct log_map *m, struct log_window *w)
{
    struct unmapping *u = m->exec && w->p ? mem_alloc(sizeof *u) : NULL;
    if (u == NULL) {
        unmap(m, w);
        return;
    }
    *u = (struct unmapping){.work = {.run = unmapping_run, .done = unmapping_done}, .io = m->io, .p = w->p, .n = w->n};
    list_init(&u->work.node);
    w->p = NULL;
    m->exec->submit(m->exec->ctx, LANE_READ, &u->work);
}

static struct log_window *find(struct log_map *m, uint64_t start)
{
    for (size_t i = 0; m->windows != NULL && i < LOG_WINDOWS; i++)
        if (m->windows[i].p != NULL && m->windows[i].off == start)
            return &m->windows[i];
    return NULL;
}

/* A lonely read is not worth a window. */
static bool is_wanted(struct log_map *m, uint64_t start)
{
    size_t at = start * UINT64_C(0x9e3779b97f4a7c15) >> 58;
    _Static_assert(LOG_MAP_COUNTS == 1 << (64 - 58), "the shift");
    if (m->counts[at].window != start + 1) {
        m->counts[at].window = start + 1;
        m->counts[at].reads = 0;
    }
    return ++m->counts[at].reads >= LOG_MAP_READS;
}

static struct log_window *make(struct log_map *m, uint64_t start, int fd)
{
    if (m->windows == NULL && (m->windows = mem_zalloc(LOG_WINDOWS * sizeof *m->windows)) == NULL)
        return NULL;
    struct log_window *w = m->windows;
    for (size_t i = 0; i < LOG_WINDOWS && w->p != NULL; i++)
        if (m->windows[i].p == NULL || m->windows[i].used < w->used)
            w = &m->windows[i];
    uint64_t in = start % m->file_size, left = m->file_size - in;
    size_t n = left < LOG_WINDOW ? (size_t)left : LOG_WINDOW;
    const uint8_t *p = m->io->map(m->io->ctx, fd, in, n);
    if (p == NULL)
        return NULL;
    unmap_aside(m, w);
    *w = (struct log_window){.p = p, .off = start, .n = n};
    return w;
}

/* Are [in, in + n) of the window in memory? Asked per chunk, once a second or when the log has grown into it. */
static bool is_in_memory(struct log_map *m, struct log_window *w, size_t in, size_t n)
{
    for (size_t chunk = in / LOG_CHUNK; chunk <= (in + n - 1) / LOG_CHUNK; chunk++) {
        size_t from = chunk * LOG_CHUNK, size = w->n - from < LOG_CHUNK ? w->n - from : LOG_CHUNK;
        size_t need = in + n - from < size ? in + n - from : size;
        if (w->in_memory[chunk] < need)
            w->in_memory[chunk] = (uint32_t)m->io->in_memory(m->io->ctx, w->p + from, size);
        if (w->in_memory[chunk] < need)
            return false;
    }
    return true;
}

int log_map_copy(struct log_map *m, void *to, size_t n, uint64_t off, int (*fd_of)(void *ctx, uint64_t off), void *ctx)
{
    if (m->io->map == NULL || n == 0)
        return -EAGAIN;
    uint64_t start = window_start(m, off);
    struct log_window *w = find(m, start);
    if (w == NULL) {
        if (!is_wanted(m, start))
            return -EAGAIN;
        int fd = fd_of(ctx, off);
        w = fd < 0 ? NULL : make(m, start, fd);
        if (w == NULL)
            return -EAGAIN;
    }
    w->used = ++m->clock;
    w->used_ms = m->now_ms;
    size_t in = (size_t)(off - start);
    if (n > w->n - in || !is_in_memory(m, w, in, n)) /* the first: it goes on in the next window */
        return -EAGAIN;
    return m->io->copy(m->io->ctx, to, w->p + in, n);
}

void log_map_drop(struct log_map *m, uint64_t below)
{
    for (size_t i = 0; m->windows != NULL && i < LOG_WINDOWS; i++)
        if (m->windows[i].off < below)
            unmap(m, &m->windows[i]);
}

void log_map_tick(struct log_map *m, int64_t mono_ms)
{
    m->now_ms = mono_ms;
    if (m->windows == NULL || mono_ms - m->asked_ms < LOG_MAP_ASK_MS)
        return;
    m->asked_ms = mono_ms;
    for (size_t i = 0; i < LOG_WINDOWS; i++) {
        struct log_window *w = &m->windows[i];
        if (w->p == NULL)
            continue;
        memset(w->in_memory, 0, sizeof w->in_memory);
        if (mono_ms - w->used_ms >= LOG_MAP_IDLE_MS)
            unmap_aside(m, w);
    }
    memset(m->counts, 0, sizeof m->counts);
}

size_t log_map_windows(const struct log_map *m)
{
    size_t n = 0;
    for (size_t i = 0; m->windows != NULL && i < LOG_WINDOWS; i++)
        n += m->windows[i].p != NULL;
    return n;
}

void log_map_fini(struct log_map *m)
{
    log_map_drop(m, UINT64_MAX);
    mem_free(m->windows);
    m->windows = NULL;
}
