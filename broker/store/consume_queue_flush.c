/* consume_queue_flush.c - what waits in memory goes to files and to the medium, in rounds.
 *
 * A round takes the list of dirty queues and works through it by slices of CQ_SLICE queues, one work of LANE_FLUSH each, because the
 * log's own syncs share that lane and a sender may wait for one. A slice takes the tails of its queues (they become `flight`),
 * writes all, and only then syncs all: with all blocks allocated before the first sync, one commit of the file system's journal
 * covers the whole slice.
 *
 *   I1  units are written left to right; `written` and `synced` move only when the slice has done what they say.
 *   I2  one work at a time has a queue's files (`busy`); the core reads them meanwhile, below `written` only.
 *   I3  a file has its full size before a unit is written to it, and the names above it are synced after it.
 *                                                    (tests: unit/store queue_flush, a_power_cut_after_a_round_loses_nothing)
 *   I4  after a failed write or sync the table writes no more; flights stay in memory, so reads go on.
 *                                                    (test: unit/store queue_fail, every_failing_call_is_told_and_nothing_is_lost)
 *   I5  a write that finds no room is told as MQ_EFULL and is not final: its flight waits for the next round, ahead of its tail. What
 *       the kernel refused to take it did not lose; a sync that fails is another matter, whatever its errno.
 *                                                    (test: integration/disk_full)
 * Measured (ext4 on a virtual disk): see docs/store-format.md for how long 8,000 fresh queues take. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "broker/store/consume_queue_internal.h"
#include "common/base/mem.h"

struct cq_item { /* one queue in a slice */
    struct consume_queue *q;
    const struct cq_tail *tail; /* NULL: only to be synced */
    int64_t from, end;          /* what is to be safe afterwards; units [from, tail) are in files already */
    int64_t fresh;              /* files from here on have to be made */
    int fd;                     /* of the last file, between writing and syncing */
    bool names;                 /* files were unlinked */
};
struct cq_round {
    struct store_work work;
    struct consume_queues *t;
    void (*fn)(void *arg, enum mq_err err, const struct fault *why);
    void *arg;
    bool skipped; /* a queue whose files are not ours now */
    struct fault why;
    size_t n;
    struct cq_item items[CQ_SLICE];
};

/* ---- on the lane's thread: touches io, immutable names and what the items say ---- */

static int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }

static int64_t write_padding(const struct consume_queues *t, int fd, int64_t file, int64_t from, int64_t to)
{
    uint8_t pads[CQ_BLOCK * CQ_UNIT];
    for (size_t i = 0; i < CQ_BLOCK; i++)
        cq_encode(pads + i * CQ_UNIT, (struct cq_unit){.size = CQ_PAD_SIZE});
    int64_t r = 0;
    while (from < to && r >= 0) {
        int64_t n = min64(to - from, CQ_BLOCK);
        r = t->io.pwrite(t->io.ctx, fd, pads, (size_t)n * CQ_UNIT, (uint64_t)(from - file) * CQ_UNIT);
        from += n;
    }
    return r;
}

/* A failed sync is final: never MQ_EFULL. */
static int sync_fault(struct fault *why, int r, const char *path)
{
    cq_fault(why, r, "sync", path);
    if (why->err == MQ_EFULL)
        why->err = MQ_EIO;
    return r;
}

/* What of the item lies in [file, file + per_file). */
static int64_t write_part(const struct consume_queues *t, const struct cq_item *it, int fd, int64_t file)
{
    const struct cq_tail *tail = it->tail;
    int64_t end = file + t->per_file;
    if (tail == NULL)
        return 0;
    int64_t r = write_padding(t, fd, file, max64(file, tail->pad_from), min64(end, tail->base));
    int64_t from = max64(file, tail->base), to = min64(end, tail->base + tail->n);
    if (r < 0 || from >= to)
        return r;
    return t->io.pwrite(t->io.ctx, fd, tail->units + (size_t)(from - tail->base) * CQ_UNIT, (size_t)(to - from) * CQ_UNIT,
                        (uint64_t)(from - file) * CQ_UNIT);
}

/* Writes the item; the last file stays open in it->fd for item_sync() when sync is set. */
static int item_write(const struct consume_queues *t, struct cq_item *it, bool sync, struct fault *why)
{
    const struct store_io *io = &t->io;
    char path[STORE_PATH_MAX];
    int64_t last = cq_file_of(t, max64(it->end - 1, it->from));
    it->fd = -1;
    for (int64_t file = cq_file_of(t, it->from); file <= last; file += t->per_file) {
        bool make = file >= it->fresh;
        if (make && file >= it->end)
            return 0; /* nothing there, nothing to come */
        cq_path(it->q->topic, it->q->id, file * CQ_UNIT, path);
        int fd = io->open(io->ctx, path, make ? STORE_OPEN_WRITE | STORE_OPEN_CREATE | STORE_OPEN_TRUNCATE : STORE_OPEN_WRITE);
        if (fd < 0)
            return cq_fault(why, fd, make ? "make" : "open", path), fd;
        int64_t r = make ? io->set_size(io->ctx, fd, (uint64_t)t->per_file * CQ_UNIT, false) : 0;
        if (r >= 0)
            r = write_part(t, it, fd, file);
        if (r >= 0 && sync && file == last) {
            it->fd = fd;
            io->write_behind(io->ctx, fd, 0, (uint64_t)t->per_file * CQ_UNIT);
            return 0;
        }
        int synced = r >= 0 && sync ? io->datasync(io->ctx, fd) : 0;
        io->close(io->ctx, fd);
        if (r < 0)
            return cq_fault(why, (int)r, "write", path), (int)r;
        if (synced < 0)
            return sync_fault(why, synced, path);
    }
    return 0;
}

static int item_sync(const struct consume_queues *t, struct cq_item *it, struct fault *why)
{
    if (it->fd < 0)
        return 0;
    int r = t->io.datasync(t->io.ctx, it->fd);
    t->io.close(t->io.ctx, it->fd);
    it->fd = -1;
    if (r < 0) {
        char path[STORE_PATH_MAX];
        cq_path(it->q->topic, it->q->id, cq_file_of(t, max64(it->end - 1, it->from)) * CQ_UNIT, path);
        sync_fault(why, r, path);
    }
    return r;
}

/* Did a file begin, or go, since the last sync? */
static bool began(const struct consume_queues *t, const struct cq_item *it)
{
    return it->names || (it->end > it->from && cq_file_of(t, it->end - 1) >= it->from);
}

/* Names of files and folders that are new; items of one topic lie side by side. */
static int sync_names(const struct consume_queues *t, const struct cq_item *items, size_t n, struct fault *why)
{
    char path[STORE_PATH_MAX];
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        const struct cq_topic *topic = items[i].q->topic;
        if (!began(t, &items[i]))
            continue;
        cq_path(topic, items[i].q->id, -1, path);
        int r = t->io.sync_dir(t->io.ctx, path);
        if (r >= 0 && (i + 1 == n || items[i + 1].q->topic != topic || !began(t, &items[i + 1]))) {
            *strrchr(path, '/') = 0;
            r = t->io.sync_dir(t->io.ctx, path);
        }
        if (r < 0)
            return sync_fault(why, r, path);
        any = true;
    }
    int r = any ? t->io.sync_dir(t->io.ctx, CQ_DIR) : 0;
    return r < 0 ? sync_fault(why, r, CQ_DIR) : 0;
}

static enum mq_err items_flush(const struct consume_queues *t, struct cq_item *items, size_t n, struct fault *why)
{
    int r = 0;
    for (size_t i = 0; i < n; i++)
        items[i].fd = -1;
    for (size_t i = 0; i < n && r >= 0; i++)
        r = item_write(t, &items[i], true, why);
    for (size_t i = 0; i < n && r >= 0; i++)
        r = item_sync(t, &items[i], why);
    if (r >= 0)
        r = sync_names(t, items, n, why);
    for (size_t i = 0; i < n; i++)
        if (items[i].fd >= 0)
            t->io.close(t->io.ctx, items[i].fd);
    return r < 0 ? why->err : MQ_OK;
}

/* ---- on the core thread ---- */

static struct cq_item item_of(struct consume_queues *t, struct consume_queue *q, const struct cq_tail *tail, bool sync)
{
    return (struct cq_item){.q = q, .tail = tail, .from = sync ? q->synced : q->written, .end = tail != NULL ? tail->base + tail->n : q->written,
                            .fresh = q->first + q->files * t->per_file, .fd = -1, .names = q->names};
}

static void item_done(struct consume_queues *t, const struct cq_item *it, bool sync)
{
    struct consume_queue *q = it->q;
    if (it->end > it->fresh)
        q->files = (int32_t)((cq_file_of(t, it->end - 1) - q->first) / t->per_file) + 1;
    q->written = it->end;
    if (sync) {
        q->synced = it->end;
        q->names = false;
    }
}

static void take_list(struct consume_queues *t, struct list *from)
{
    LIST_EACH(it, from)
        CONTAINER_OF(it, struct consume_queue, link)->taken = true;
    list_splice(&t->round, from);
}

/* What the round did not come to waits for the next one. */
static void give_back(struct consume_queues *t)
{
    LIST_EACH(it, &t->round) {
        struct consume_queue *q = CONTAINER_OF(it, struct consume_queue, link);
        q->taken = false;
        cq_mark_dirty(t, q);
    }
}

/* Fills the slice from the round's list. */
static void take_slice(struct consume_queues *t, struct cq_round *r)
{
    r->n = 0;
    while (r->n < CQ_SLICE && !list_empty(&t->round)) {
        struct consume_queue *q = CONTAINER_OF(t->round.next, struct consume_queue, link);
        q->taken = false;
        if (q->busy || q->topic->blocked) {
            r->skipped = true;
            cq_mark_dirty(t, q);
            continue;
        }
        list_remove(&q->link);
        if (q->flight == NULL) { /* else it found no room last time: once more, the tail after it */
            q->flight = q->tail;
            q->tail = NULL;
        }
        q->busy = true;
        q->topic->works++;
        r->items[r->n++] = item_of(t, q, q->flight, true);
    }
}

static void round_run(struct store_work *w)
{
    struct cq_round *r = CONTAINER_OF(w, struct cq_round, work);
    items_flush(r->t, r->items, r->n, &r->why);
}

static void settle_slice(struct consume_queues *t, struct cq_round *r)
{
    for (size_t i = 0; i < r->n; i++) {
        struct consume_queue *q = r->items[i].q;
        if (r->why.err == MQ_OK) {
            item_done(t, &r->items[i], true);
            cq_tail_free(t, q->flight);
            q->flight = NULL;
        }
        cq_work_ended(t, q);
    }
    t->failed = t->failed || (r->why.err != MQ_OK && r->why.err != MQ_EFULL);
}

static void round_done(struct store_work *w)
{
    struct cq_round *r = CONTAINER_OF(w, struct cq_round, work);
    struct consume_queues *t = r->t;
    owner_assert(&t->owner);
    settle_slice(t, r);
    for (;;) {
        r->n = 0;
        if (r->why.err == MQ_OK)
            take_slice(t, r);
        if (r->n == 0)
            break;
        if (t->exec != NULL) {
            t->exec->submit(t->exec->ctx, LANE_FLUSH, &r->work);
            return;
        }
        round_run(w);
        settle_slice(t, r);
    }
    give_back(t);
    t->flushing = NULL;
    cq_sweep_more(t);
    enum mq_err err = r->why.err != MQ_OK ? r->why.err : r->skipped ? MQ_EAGAIN : MQ_OK;
    if (r->fn != NULL)
        r->fn(r->arg, err, &r->why);
    mem_free(r);
}

struct store_work *consume_queues_flush_job(struct consume_queues *t, bool thorough, void (*fn)(void *arg, enum mq_err err, const struct fault *why),
                                            void *arg)
{
    owner_assert(&t->owner);
    if (t->flushing != NULL || t->failed || !(thorough ? consume_queues_dirty(t) : consume_queues_ripe(t)))
        return NULL;
    struct cq_round *r = mem_zalloc(sizeof *r);
    if (r == NULL)
        return NULL;
    take_list(t, &t->ripe);
    if (thorough)
        take_list(t, &t->dirty);
    r->t = t;
    r->fn = fn;
    r->arg = arg;
    r->work.run = round_run;
    r->work.done = round_done;
    list_init(&r->work.node);
    take_slice(t, r);
    if (r->n == 0) {
        mem_free(r);
        return NULL;
    }
    t->flushing = r;
    return &r->work;
}

bool consume_queues_flushing(const struct consume_queues *t) { return t->flushing != NULL; }

static enum mq_err write_list(struct consume_queues *t, struct list *queues, struct fault *why)
{
    LIST_EACH(node, queues) {
        struct consume_queue *q = CONTAINER_OF(node, struct consume_queue, link);
        if (q->busy || q->topic->blocked || q->tail == NULL || q->flight != NULL) /* a flight that found no room goes first, by a round */
            continue;
        struct cq_item it = item_of(t, q, q->tail, false);
        if (item_write(t, &it, false, why) < 0) {
            t->failed = t->failed || why->err != MQ_EFULL;
            return why->err;
        }
        item_done(t, &it, false);
        cq_tail_free(t, q->tail);
        q->tail = NULL;
    }
    return MQ_OK;
}

enum mq_err consume_queues_write(struct consume_queues *t, struct fault *why)
{
    struct fault local = {0};
    owner_assert(&t->owner);
    if (why == NULL)
        why = &local;
    if (t->failed)
        return fault_set(why, MQ_EFAILED, 0, "consume queues");
    struct list *const lists[] = {&t->ripe, &t->dirty, &t->round};
    enum mq_err err = MQ_OK;
    for (size_t i = 0; i < sizeof lists / sizeof *lists && err == MQ_OK; i++)
        err = write_list(t, lists[i], why);
    return err;
}

/* Many queues: all are written, then the file system is synced once, names and all, instead of three syncs for each. What is left in
 * `dirty` goes the usual way: queues that were not at hand, and everything where sync_all does not work. */
static enum mq_err flush_at_once(struct consume_queues *t, struct fault *why)
{
    size_t n = 0;
    LIST_EACH(node, &t->dirty) {
        if (CONTAINER_OF(node, struct consume_queue, link)->flight != NULL)
            return MQ_OK;
        n++;
    }
    if (n < CQ_MANY || t->io.sync_all == NULL)
        return MQ_OK;
    enum mq_err err = consume_queues_write(t, why);
    int r = err == MQ_OK ? t->io.sync_all(t->io.ctx) : 0;
    if (err != MQ_OK || r == -ENOSYS)
        return err;
    if (r < 0) {
        t->failed = true;
        sync_fault(why, r, CQ_DIR);
        return why->err;
    }
    LIST_EACH(node, &t->dirty) {
        struct consume_queue *q = CONTAINER_OF(node, struct consume_queue, link);
        if (q->busy || q->topic->blocked || q->tail != NULL)
            continue;
        q->synced = q->written;
        q->names = false;
        list_remove(node);
    }
    return MQ_OK;
}

enum mq_err consume_queues_flush_now(struct consume_queues *t, struct fault *why)
{
    struct fault local = {0};
    owner_assert(&t->owner);
    assert(t->flushing == NULL);
    if (why == NULL)
        why = &local;
    if (t->failed)
        return fault_set(why, MQ_EFAILED, 0, "consume queues");
    list_splice(&t->dirty, &t->ripe);
    if (flush_at_once(t, why) != MQ_OK)
        return why->err;
    struct cq_round r = {.t = t};
    for (int pass = 0; pass < 2 && r.why.err == MQ_OK; pass++) { /* the second for tails behind flights that had found no room */
        take_list(t, &t->ripe);
        take_list(t, &t->dirty);
        for (take_slice(t, &r); r.n > 0; take_slice(t, &r)) {
            round_run(&r.work);
            settle_slice(t, &r);
            if (r.why.err != MQ_OK)
                break;
        }
    }
    give_back(t);
    *why = r.why;
    return r.why.err;
}
