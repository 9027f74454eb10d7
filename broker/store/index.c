/* index.c - keys come in, keys are found: the list of waiting keys, the works that carry it to files, and the search.
 *
 * add() stores 24 bytes a key in `waiting`. A batch, or what has waited long enough, becomes `flight` and is written by a work of
 * LANE_CHORE; meanwhile the next ones wait. When `waiting` is full before the work is done, add() writes on the calling thread: it
 * takes the flight from a work that has not begun, or waits for one that is under way. That is back-pressure: memory is bounded and no key
 * is lost.
 * Works are only submitted after the first tick(), because recovery adds keys before anybody runs works; until then add() writes inline.
 *
 *   I1  a key is in files below `seen`, in flight[from..n), or in waiting: exactly one of them.
 *                                      (test: unit/index index_find, a_query_sees_what_was_added_in_any_order_of_works)
 *   I2  the writer and the flight's progress belong to who holds `lock`; a sync happens outside it, on a descriptor of its own.
 *   I3  reached() never passes a key that is not in a file.
 * A failed write is repeated, as writing a batch again gives the same bytes; the keys stay where queries see them. When the list is full
 * and the write fails again, or a sync fails (the kernel may have dropped the pages), the index is FAILED: no more keys, one line in the
 * log, queries go on with what is there; the next start fills the gap from reached().          (tests: unit/index index_fail) */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#include "broker/store/index_internal.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/owner.h"
#include "common/protocol/codes.h"

struct batch {
    struct index_key *keys;
    uint32_t from, n; /* [from, n) are in no file that `files` shows */
};

struct msg_index {
    /* ---- core thread ---- */
    struct owner owner;
    struct store_io io;
    const struct store_exec *exec; /* NULL: works run inline */
    struct index_geometry geo;
    struct list files;             /* oldest first */
    size_t n_files;
    struct batch waiting, flight;  /* flight.keys is read by the work, too */
    int64_t next_place;            /* records that start below have been added */
    uint32_t resume_have;          /* of the record at next_place, so many keys are in files already */
    uint64_t after;                /* end of the newest record added */
    int64_t mono_ms, submitted_ms, sync_tried_ms, retry_ms;
    int64_t synced_ms, synced_place;
    bool ticked, busy, failed, limping; /* limping: the last write failed, it will be repeated */
    struct list condemned;         /* files to be unlinked by the next work */
    int64_t warned_ms;             /* rate limit of failed reads */

    /* ---- who holds `lock`, which guards the following and nothing else ---- */
    pthread_mutex_t lock;
    struct index_writer writer;
    uint32_t at;                   /* flight.keys[from..at) are in files */
    struct list made;              /* files not yet in `files` */

    /* ---- one work: set before it is submitted, read when it is done ---- */
    struct store_work work;
    bool pending;                  /* (lock) nobody has begun with the flight */
    bool want_sync;
    struct list doomed;            /* files to be unlinked */
    char sync_path[INDEX_PATH_MAX];
    int64_t sync_ms;               /* synced_ms after it ... */
    int64_t sync_place;            /* ... and synced_place */
    bool sync_lost;                /* see index_sync() */
    struct fault write_fault, sync_fault;
};

/* ---- opening and closing ---- */

static void free_files(struct list *files)
{
    LIST_EACH(it, files)
    {
        list_remove(it);
        mem_free(CONTAINER_OF(it, struct index_file, node));
    }
}

static struct index_file *last_file(const struct msg_index *x)
{
    return list_empty(&x->files) ? NULL : CONTAINER_OF(x->files.prev, struct index_file, node);
}

/* Where adding goes on: at the newest record in files, of which some keys may be missing. */
static enum mq_err resume(struct msg_index *x, struct fault *why)
{
    struct index_file *last = last_file(x);
    x->writer.last = last;
    x->next_place = last ? last->now.end_phys : 0;
    x->after = (uint64_t)(x->next_place > 0 ? x->next_place : 0);
    x->synced_ms = last ? last->now.end_ms : 0;
    x->synced_place = last ? last->now.end_phys : 0;
    x->resume_have = 0;
    for (struct list *it = x->files.prev; it != &x->files; it = it->prev) {
        struct index_file *f = CONTAINER_OF(it, struct index_file, node);
        uint32_t n = 0;
        if (f->now.next == 1)
            continue;
        int fd = x->io.open(x->io.ctx, f->path, STORE_OPEN_READ);
        int r = fd < 0 ? fd : index_file_newest(&x->io, fd, x->geo, &f->now, &n);
        if (fd >= 0)
            x->io.close(x->io.ctx, fd);
        if (r < 0)
            return index_fault(why, r, "read", f->path);
        x->resume_have += n;
        if (n + 1 < f->now.next)
            break; /* else the record may have begun in the file before */
    }
    return MQ_OK;
}

static void work_run(struct store_work *w);
static void work_done(struct store_work *w);

static void free_all(struct msg_index *x)
{
    index_writer_close(&x->writer);
    free_files(&x->files);
    free_files(&x->made);
    free_files(&x->doomed);
    free_files(&x->condemned);
    mem_free(x->waiting.keys);
    mem_free(x->flight.keys);
    mem_free(x->writer.scratch);
    pthread_mutex_destroy(&x->lock);
    mem_free(x);
}

enum mq_err msg_index_open(const struct store_io *io, const struct store_exec *exec, uint32_t slots, uint32_t entries, bool clean,
                           const struct checkpoint *safe, struct msg_index **out, struct fault *why)
{
    if (slots < 1 || slots > INT32_MAX || entries < 2 || entries > INT32_MAX)
        return fault_set(why, MQ_EINVAL, 0, "index of %" PRIu32 " slots and %" PRIu32 " entries", slots, entries);
    struct msg_index *x = mem_zalloc(sizeof *x);
    if (x == NULL)
        return fault_set(why, MQ_ENOMEM, 0, "index");
    owner_take(&x->owner);
    x->io = *io;
    x->exec = exec;
    x->geo = (struct index_geometry){slots, entries};
    list_init(&x->files);
    list_init(&x->made);
    list_init(&x->doomed);
    list_init(&x->condemned);
    pthread_mutex_init(&x->lock, NULL);
    x->work = (struct store_work){.run = work_run, .done = work_done};
    list_init(&x->work.node);
    x->writer = (struct index_writer){.io = *io, .geo = x->geo, .fd = -1, .scratch = index_scratch_new(x->geo)};
    x->waiting.keys = mem_alloc(INDEX_WAITING_MAX * sizeof(struct index_key));
    x->flight.keys = mem_alloc(INDEX_WAITING_MAX * sizeof(struct index_key));
    enum mq_err err = MQ_OK;
    if (x->writer.scratch == NULL || x->waiting.keys == NULL || x->flight.keys == NULL)
        err = fault_set(why, MQ_ENOMEM, 0, "index");
    if (err == MQ_OK)
        err = index_load(&x->io, x->geo, clean, safe, &x->files, why);
    if (err == MQ_OK)
        err = resume(x, why);
    if (!clean) { /* the process before may have been killed before it synced what is there */
        x->writer.unsynced = true;
        x->synced_ms = x->synced_ms < safe->index_ms ? x->synced_ms : safe->index_ms;
        x->synced_place = x->synced_place < safe->index_place ? x->synced_place : safe->index_place;
    }
    if (err != MQ_OK) {
        free_all(x);
        return err;
    }
    LIST_EACH(it, &x->files)
        x->n_files++;
    *out = x;
    return MQ_OK;
}

/* ---- writing ---- */

/* Under lock, any thread: what the flight holds goes to files. */
static void write_flight(struct msg_index *x, struct fault *why)
{
    x->pending = false;
    *why = (struct fault){.err = MQ_OK};
    index_writer_add(&x->writer, x->flight.keys, &x->at, x->flight.n, &x->made, why);
}

/* Under lock, core: finding goes by what the writer reached. */
static void publish(struct msg_index *x)
{
    struct index_file *f = last_file(x);
    LIST_EACH(it, &x->made)
        x->n_files++;
    struct list *from = f ? &f->node : x->made.next;
    list_splice(&x->files, &x->made);
    if (x->n_files > 0)
        for (struct list *it = from; it != &x->files; it = it->next) {
            struct index_file *each = CONTAINER_OF(it, struct index_file, node);
            each->seen = each->now;
        }
    x->flight.from = x->at;
    if (x->flight.from == x->flight.n)
        x->flight.from = x->flight.n = x->at = 0;
}

/* Core: `waiting` becomes the flight, which must be empty. */
static void take_off(struct msg_index *x)
{
    struct batch b = x->waiting;
    assert(x->flight.n == 0);
    x->waiting = x->flight;
    x->flight = b;
    x->at = 0;
}

static void fail(struct msg_index *x, const struct fault *why)
{
    char words[320];
    if (!x->failed)
        log_error("index", "no more keys are stored until the next start reason=\"%s\" reached=%" PRIu64, fault_text(why, words, sizeof words),
                  msg_index_reached(x));
    x->failed = true;
}

static void note_write(struct msg_index *x, const struct fault *why)
{
    char words[320];
    bool bad = why->err != MQ_OK;
    if (bad && !x->limping)
        log_error("index", "keys wait in memory, they cannot be written reason=\"%s\"", fault_text(why, words, sizeof words));
    else if (!bad && x->limping)
        log_info("index", "keys are written again path=%s", x->writer.last ? x->writer.last->path : "");
    x->limping = bad;
    x->retry_ms = x->mono_ms + INDEX_RETRY_MS;
}

/* Core: on this thread; all that waits goes to files. */
static enum mq_err write_inline(struct msg_index *x, struct fault *why)
{
    pthread_mutex_lock(&x->lock); /* a work that is under way ends first */
    *why = (struct fault){.err = MQ_OK};
    if (x->at < x->flight.n)
        write_flight(x, why);
    x->pending = false;
    publish(x);
    if (why->err == MQ_OK && x->waiting.n > 0) {
        take_off(x);
        write_flight(x, why);
        publish(x);
    }
    pthread_mutex_unlock(&x->lock);
    note_write(x, why);
    return why->err;
}

static void unlink_all(const struct store_io *io, struct list *doomed)
{
    LIST_EACH(it, doomed)
    {
        struct index_file *f = CONTAINER_OF(it, struct index_file, node);
        int r = io->unlink(io->ctx, f->path);
        struct fault why;
        char words[320];
        if (r < 0 && r != -ENOENT) {
            index_fault(&why, r, "unlink", f->path);
            log_warn("index", "file stays reason=\"%s\"", fault_text(&why, words, sizeof words));
        } else {
            log_info("index", "file deleted path=%s end_phys=%" PRId64, f->path, f->now.end_phys);
        }
    }
    free_files(doomed);
}

static void work_run(struct store_work *w)
{
    struct msg_index *x = CONTAINER_OF(w, struct msg_index, work);
    unlink_all(&x->io, &x->doomed);

    bool sync = false;
    pthread_mutex_lock(&x->lock);
    if (x->pending)
        write_flight(x, &x->write_fault);
    if (x->want_sync && x->writer.last != NULL && x->writer.unsynced) {
        sync = true;
        x->writer.unsynced = false; /* what is written from now on is not in this sync */
        memcpy(x->sync_path, x->writer.last->path, sizeof x->sync_path);
        x->sync_ms = x->writer.last->now.end_ms;
        x->sync_place = x->writer.last->now.end_phys;
    }
    pthread_mutex_unlock(&x->lock);
    x->want_sync = sync;
    if (sync)
        index_sync(&x->io, x->sync_path, &x->sync_lost, &x->sync_fault);
}

static void submit(struct msg_index *x);

static bool has_file(const struct msg_index *x, const char *path) /* else it was truncated away meanwhile */
{
    LIST_EACH(it, &x->files)
        if (strcmp(CONTAINER_OF(it, struct index_file, node)->path, path) == 0)
            return true;
    return false;
}

static void sync_failed(struct msg_index *x)
{
    char words[320];
    if (x->sync_lost) {
        fail(x, &x->sync_fault);
        return;
    }
    log_error("index", "file is not synced, it is tried again reason=\"%s\"", fault_text(&x->sync_fault, words, sizeof words));
    pthread_mutex_lock(&x->lock);
    x->writer.unsynced = true;
    pthread_mutex_unlock(&x->lock);
}

static void note_sync(struct msg_index *x)
{
    if (x->sync_ms > x->synced_ms)
        x->synced_ms = x->sync_ms;
    x->synced_place = x->sync_place;
}

static void work_done(struct store_work *w)
{
    struct msg_index *x = CONTAINER_OF(w, struct msg_index, work);
    owner_assert(&x->owner);
    pthread_mutex_lock(&x->lock);
    publish(x);
    bool lost = x->writer.lost;
    pthread_mutex_unlock(&x->lock);
    x->busy = false;
    note_write(x, &x->write_fault);
    if (lost)
        fail(x, &x->write_fault);
    if (x->want_sync && has_file(x, x->sync_path)) {
        if (x->sync_fault.err != MQ_OK)
            sync_failed(x);
        else
            note_sync(x);
    }
    if (x->waiting.n >= INDEX_BATCH && !x->limping)
        submit(x);
}

static void submit(struct msg_index *x)
{
    assert(!x->busy);
    pthread_mutex_lock(&x->lock);
    if (x->flight.n == 0 && !x->failed)
        take_off(x);
    x->pending = x->at < x->flight.n && !x->failed;
    pthread_mutex_unlock(&x->lock);
    list_splice(&x->doomed, &x->condemned);
    x->want_sync = !x->failed && x->mono_ms - x->sync_tried_ms >= INDEX_SYNC_MS;
    if (x->want_sync)
        x->sync_tried_ms = x->mono_ms;
    x->write_fault.err = x->sync_fault.err = MQ_OK;
    x->submitted_ms = x->mono_ms;
    x->busy = true;
    if (x->exec != NULL) {
        x->exec->submit(x->exec->ctx, LANE_CHORE, &x->work);
        return;
    }
    work_run(&x->work);
    work_done(&x->work);
}

static bool unsynced(struct msg_index *x)
{
    pthread_mutex_lock(&x->lock);
    bool yes = x->writer.unsynced;
    pthread_mutex_unlock(&x->lock);
    return yes;
}

void msg_index_tick(struct msg_index *x, int64_t mono_ms)
{
    owner_assert(&x->owner);
    if (!x->ticked)
        x->sync_tried_ms = mono_ms;
    x->ticked = true;
    x->mono_ms = mono_ms;
    if (x->busy)
        return;
    bool write = x->waiting.n > 0 && (x->waiting.n >= INDEX_BATCH || mono_ms - x->submitted_ms >= INDEX_WRITE_MS);
    if (x->limping || x->failed)
        write = x->limping && !x->failed && mono_ms >= x->retry_ms;
    if (write || !list_empty(&x->condemned) || (!x->failed && mono_ms - x->sync_tried_ms >= INDEX_SYNC_MS && unsynced(x)))
        submit(x);
}

bool msg_index_close(struct msg_index *x)
{
    struct fault why = {.err = MQ_OK};
    if (x == NULL)
        return true;
    owner_assert(&x->owner);
    if (!x->failed && (x->waiting.n > 0 || x->flight.n > 0) && write_inline(x, &why) != MQ_OK)
        fail(x, &why);
    if (!x->failed && x->writer.last != NULL && x->writer.unsynced && index_sync(&x->io, x->writer.last->path, &x->sync_lost, &why) != MQ_OK)
        fail(x, &why);
    unlink_all(&x->io, &x->condemned);
    bool safe = !x->failed;
    free_all(x);
    return safe;
}

/* ---- adding ---- */

static void add_key(struct msg_index *x, struct slice topic, struct slice key, const struct message *m)
{
    if (x->resume_have > 0) {
        x->resume_have--;
        return;
    }
    if (x->waiting.n == INDEX_WAITING_MAX) {
        struct fault why;
        if (write_inline(x, &why) != MQ_OK) {
            fail(x, &why);
            return;
        }
    }
    x->waiting.keys[x->waiting.n++] = (struct index_key){m->phys_off, m->store_ms, index_hash(topic, key)};
}

void msg_index_add(struct msg_index *x, const struct message *m)
{
    struct known_props props;
    prop_known(m->properties, &props);
    msg_index_add_known(x, m, &props);
}

void msg_index_add_known(struct msg_index *x, const struct message *m, const struct known_props *props)
{
    owner_assert(&x->owner);
    if (x->failed || m->phys_off < x->next_place)
        return;
    if (m->phys_off > x->next_place)
        x->resume_have = 0;
    if ((m->sys_flag & SYS_TRAN_MASK) != SYS_TRAN_ROLLBACK) {
        struct slice keys = props->keys, key;
        if (props->uniq_key.n > 0)
            add_key(x, m->topic, props->uniq_key, m);
        while (keys.p != NULL && slice_cut(&keys, ' ', &key))
            if (key.n > 0 && !x->failed)
                add_key(x, m->topic, key, m);
    }
    if (x->failed)
        return;
    x->resume_have = 0;
    x->next_place = m->phys_off + 1;
    x->after = (uint64_t)m->phys_off + m->size;
    if (x->waiting.n >= INDEX_BATCH && !x->busy && !x->limping) {
        struct fault why;
        if (x->ticked)
            submit(x);
        else
            write_inline(x, &why);
    }
}

/* Forgets the keys of [from, n) at or beyond max_phys; they are in the order of their places. */
static void cut_batch(struct batch *b, uint32_t from, int64_t max_phys)
{
    while (b->n > from && b->keys[b->n - 1].place >= max_phys)
        b->n--;
}

void msg_index_truncate(struct msg_index *x, uint64_t max_phys)
{
    owner_assert(&x->owner);
    int64_t max = max_phys > INT64_MAX ? INT64_MAX : (int64_t)max_phys;
    cut_batch(&x->waiting, x->waiting.from, max);
    pthread_mutex_lock(&x->lock);
    cut_batch(&x->flight, x->at, max);
    publish(x);
    for (struct index_file *f; (f = last_file(x)) != NULL && f->now.next > 1 && f->now.end_phys >= max;) {
        struct fault why;
        char words[320];
        bool keep;
        index_writer_close(&x->writer);
        if (index_cut(&x->io, x->geo, f, max, &keep, &why) != MQ_OK) { /* places that mean other records now are worse than none */
            log_error("index", "file is deleted and its keys are lost reason=\"%s\"", fault_text(&why, words, sizeof words));
            x->io.unlink(x->io.ctx, f->path);
            keep = false;
        }
        f->seen = f->now;
        x->writer.unsynced = true;
        if (keep)
            break;
        list_remove(&f->node);
        mem_free(f);
        x->n_files--;
        x->writer.last = last_file(x);
    }
    /* Before the log gives these places to other records: entries that came back after a power cut would stand for their keys. */
    struct fault why = {.err = MQ_OK};
    if (x->writer.unsynced && x->writer.last != NULL && index_sync(&x->io, x->writer.last->path, &x->sync_lost, &why) != MQ_OK)
        fail(x, &why);
    else if (x->writer.unsynced && x->writer.last == NULL && x->io.sync_dir(x->io.ctx, INDEX_DIR) < 0)
        fail(x, (fault_set(&why, MQ_EIO, 0, "sync " INDEX_DIR), &why));
    x->writer.unsynced = x->writer.unsynced && why.err != MQ_OK;
    pthread_mutex_unlock(&x->lock);
    x->resume_have = x->next_place < max ? x->resume_have : 0;
    x->next_place = x->next_place < max ? x->next_place : max;
    x->synced_place = x->synced_place < max ? x->synced_place : max;
    x->after = x->after < max_phys ? x->after : max_phys;
}

void msg_index_min_phys(struct msg_index *x, uint64_t min_phys)
{
    owner_assert(&x->owner);
    while (x->n_files > 1) { /* never the last */
        struct index_file *f = CONTAINER_OF(x->files.next, struct index_file, node);
        if (f->seen.end_phys < 0 || (uint64_t)f->seen.end_phys >= min_phys)
            return;
        list_remove(&f->node);
        x->n_files--;
        list_push_back(&x->condemned, &f->node);
    }
}

/* ---- figures ---- */

uint64_t msg_index_reached(const struct msg_index *x)
{
    const struct batch *b = x->flight.n > x->flight.from ? &x->flight : &x->waiting;
    return b->n > b->from ? (uint64_t)b->keys[b->from].place : x->after;
}

int64_t msg_index_synced_ms(const struct msg_index *x) { return x->synced_ms; }
int64_t msg_index_synced_place(const struct msg_index *x) { return x->synced_place; }

bool msg_index_failed(const struct msg_index *x) { return x->failed; }

size_t msg_index_memory(const struct msg_index *x)
{
    return sizeof *x + 2 * INDEX_WAITING_MAX * sizeof(struct index_key) + index_scratch_bytes(x->geo) + x->n_files * sizeof(struct index_file);
}

/* ---- finding ---- */

static bool find_in_batch(const struct batch *b, struct index_want *w)
{
    for (uint32_t i = b->n; i > b->from; i--) {
        const struct index_key *k = &b->keys[i - 1];
        if (k->hash == w->hash && k->ms >= w->begin_ms && k->ms <= w->end_ms && !index_want_take(w, k->place))
            return false;
    }
    return true;
}

static enum mq_err find_in_file(struct msg_index *x, const struct index_file *f, struct index_want *w)
{
    int fd = x->io.open(x->io.ctx, f->path, STORE_OPEN_READ);
    int r = fd < 0 ? fd : index_file_find(&x->io, fd, x->geo, &f->seen, w);
    if (fd >= 0)
        x->io.close(x->io.ctx, fd);
    if (r < 0 && log_ok_now(&x->warned_ms, 10000)) {
        struct fault why;
        char words[320];
        index_fault(&why, r, "read", f->path);
        log_warn("index", "query passes over a file reason=\"%s\"", fault_text(&why, words, sizeof words));
    }
    return r < 0 ? MQ_EIO : MQ_OK;
}

enum mq_err msg_index_find(struct msg_index *x, struct slice topic, struct slice key, uint32_t max, int64_t begin_ms, int64_t end_ms, int64_t *places,
                           uint32_t *n, int64_t *last_ms, int64_t *last_phys)
{
    owner_assert(&x->owner);
    struct index_want w = {index_hash(topic, key), begin_ms, end_ms, places, max, 0};
    const struct index_file *last = last_file(x);
    const struct batch *b = x->waiting.n > x->waiting.from ? &x->waiting : &x->flight;
    enum mq_err err = MQ_OK;
    *last_ms = b->n > b->from ? b->keys[b->n - 1].ms : last ? last->seen.end_ms : 0;
    *last_phys = b->n > b->from ? b->keys[b->n - 1].place : last ? last->seen.end_phys : 0;

    bool more = max > 0 && find_in_batch(&x->waiting, &w) && find_in_batch(&x->flight, &w);
    for (struct list *it = x->files.prev; more && it != &x->files; it = it->prev) {
        const struct index_file *f = CONTAINER_OF(it, struct index_file, node);
        if (f->seen.next > 1 && begin_ms <= f->seen.end_ms && end_ms >= f->seen.begin_ms && find_in_file(x, f, &w) != MQ_OK)
            err = MQ_EIO;
        more = w.n < max && f->seen.begin_ms >= begin_ms;
    }
    *n = w.n;
    return err;
}
