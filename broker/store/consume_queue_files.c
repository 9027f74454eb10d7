/* consume_queue_files.c - names, descriptors, searches in files, and how a table comes to life from a directory.
 *
 * Files have their full size from birth, zeros behind the last unit (Apache refuses to start on another size), so where a queue ends is
 * searched: a unit of size 0 is none. Three searches, all of one shape (true, ..., true, false, ...): is a unit there, does its
 * record end within the log, is its record gone. Most queues are small, so the first page of a file is looked at first, then the
 * newest unit, and only then it is halved: a small queue costs open, pread, close.
 *
 *   I1  after recovery every unit of [first, max) points below max_phys, and what lies behind max in the last file is zeros, so that
 *       no unit of a former life can be taken for one of a later life.       (test: unit/store queue_recover, cut_units_never_come_back)
 *   I2  nothing read from a directory or a file is believed: names are 20 digits and multiples of the file size, sizes are
 *       checked, units are compared and never used as addresses here.        (test: fuzz/queue_file)
 * A file of another size: a last file that is too short is the trace of a crash between making and sizing, and is made
 * full; anything else stops the start, as it does in Apache, because the configured size is probably wrong. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/store/consume_queue_internal.h"
#include "common/base/buf.h"
#include "common/base/log.h"
#include "common/base/mem.h"

/* ---- names ---- */

static char *put_decimal(char *out, uint64_t v, int digits) /* digits 0: as many as it takes */
{
    char text[20];
    int n = 0;
    do {
        text[n++] = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    for (; n < digits; digits--)
        *out++ = '0';
    while (n > 0)
        *out++ = text[--n];
    return out;
}

void cq_path(const struct cq_topic *topic, int32_t id, int64_t file_bytes, char *out)
{
    memcpy(out, CQ_DIR "/", sizeof CQ_DIR);
    out += sizeof CQ_DIR;
    memcpy(out, topic->name, topic->name_n);
    out += topic->name_n;
    *out++ = '/';
    out = put_decimal(out, (uint64_t)id, 0);
    if (file_bytes >= 0) {
        *out++ = '/';
        out = put_decimal(out, (uint64_t)file_bytes, 20);
    }
    *out = 0;
}

enum mq_err cq_fault(struct fault *why, int err, const char *action, const char *path)
{
    enum mq_err code = err == -ENOMEM ? MQ_ENOMEM : err == -ENOSPC || err == -EDQUOT ? MQ_EFULL : MQ_EIO;
    return fault_set(why, code, -err, "%s %.150s", action, path);
}

/* ---- descriptors kept for reading: a fixed number, the least recently used goes ---- */

struct kept {
    struct list lru; /* in cq_fds.lru: oldest first; free ones have fd -1 and are oldest */
    struct kept *chain;
    const struct consume_queue *q;
    int64_t file;
    int fd;
};
struct cq_fds {
    struct list lru;
    struct kept *slots[CQ_FDS];
    struct kept kept[CQ_FDS];
};

bool cq_fds_new(struct consume_queues *t)
{
    struct cq_fds *f = t->fds = mem_zalloc(sizeof *f);
    if (f == NULL)
        return false;
    t->memory += sizeof *f;
    list_init(&f->lru);
    for (size_t i = 0; i < CQ_FDS; i++) {
        f->kept[i].fd = -1;
        list_push_back(&f->lru, &f->kept[i].lru);
    }
    return true;
}

static struct kept **slot_of(struct cq_fds *f, const struct consume_queue *q, int64_t file)
{
    uint64_t h = ((uint64_t)(uintptr_t)q >> 4) * 0x9e3779b97f4a7c15u ^ (uint64_t)file * 0xff51afd7ed558ccdu;
    return &f->slots[(h >> 32) % CQ_FDS];
}

static void forget(struct consume_queues *t, struct kept *k)
{
    struct kept **at = slot_of(t->fds, k->q, k->file);
    while (*at != k)
        at = &(*at)->chain;
    *at = k->chain;
    t->io.close(t->io.ctx, k->fd);
    k->fd = -1;
    list_remove(&k->lru);
    list_push_front(&t->fds->lru, &k->lru);
}

int cq_fd(struct consume_queues *t, struct consume_queue *q, int64_t file)
{
    struct cq_fds *f = t->fds;
    struct kept **slot = slot_of(f, q, file);
    for (struct kept *k = *slot; k != NULL; k = k->chain)
        if (k->q == q && k->file == file) {
            list_remove(&k->lru);
            list_push_back(&f->lru, &k->lru);
            return k->fd;
        }
    char path[STORE_PATH_MAX];
    cq_path(q->topic, q->id, file * CQ_UNIT, path);
    int fd = t->io.open(t->io.ctx, path, STORE_OPEN_READ);
    if (fd < 0)
        return fd;
    struct kept *k = CONTAINER_OF(f->lru.next, struct kept, lru);
    if (k->fd >= 0)
        forget(t, k);
    k->q = q;
    k->file = file;
    k->fd = fd;
    k->chain = *slot;
    *slot = k;
    list_remove(&k->lru);
    list_push_back(&f->lru, &k->lru);
    return fd;
}

void cq_fds_drop(struct consume_queues *t, const struct cq_topic *topic, const struct consume_queue *q, int64_t from, int64_t to)
{
    for (size_t i = 0; i < CQ_FDS; i++) {
        struct kept *k = &t->fds->kept[i];
        if (k->fd >= 0 && (q != NULL ? k->q == q : k->q->topic == topic) && (k->file < from || k->file >= to))
            forget(t, k);
    }
}

void cq_fds_free(struct consume_queues *t)
{
    if (t->fds == NULL)
        return;
    for (size_t i = 0; i < CQ_FDS; i++)
        if (t->fds->kept[i].fd >= 0)
            t->io.close(t->io.ctx, t->fds->kept[i].fd);
    mem_free(t->fds);
    t->fds = NULL;
}

/* ---- searching ---- */

void cq_probe_begin(struct cq_probe *p, const struct consume_queues *t, const struct cq_topic *topic, int32_t id)
{
    p->t = t;
    p->topic = topic;
    p->id = id;
    p->fd = -1;
    p->block = -1;
}

void cq_probe_end(struct cq_probe *p)
{
    if (p->fd >= 0)
        p->t->io.close(p->t->io.ctx, p->fd);
    p->fd = -1;
    p->block = -1;
}

int cq_probe_at(struct cq_probe *p, int64_t at, struct cq_unit *out)
{
    const struct store_io *io = &p->t->io;
    int64_t file = cq_file_of(p->t, at);
    if (p->block < 0 || at < p->block || at >= p->block + p->n) {
        if (p->fd < 0 || p->file != file) {
            char path[STORE_PATH_MAX];
            cq_probe_end(p);
            cq_path(p->topic, p->id, file * CQ_UNIT, path);
            p->fd = io->open(io->ctx, path, STORE_OPEN_READ);
            p->file = file;
        }
        if (p->fd < 0)
            return p->fd;
        int64_t block = at - (at - file) % CQ_BLOCK;
        int64_t got = io->pread(io->ctx, p->fd, p->buf, sizeof p->buf, (uint64_t)(block - file) * CQ_UNIT);
        if (got < 0)
            return (int)got;
        memset(p->buf + got, 0, sizeof p->buf - (size_t)got);
        p->block = block;
        p->n = file + p->t->per_file - block < CQ_BLOCK ? file + p->t->per_file - block : CQ_BLOCK;
    }
    *out = cq_decode(p->buf + (size_t)(at - p->block) * CQ_UNIT);
    return 0;
}

/* Asks about unit `at` if it is still in question. */
static int narrow(struct cq_probe *p, int64_t at, int64_t *lo, int64_t *hi, cq_test_fn *test, int64_t arg)
{
    struct cq_unit u;
    if (at < *lo || at >= *hi)
        return 0;
    int r = cq_probe_at(p, at, &u);
    if (r == 0 && test(u, arg))
        *lo = at + 1;
    else if (r == 0)
        *hi = at;
    return r;
}

static bool at_hand(const struct cq_probe *p, int64_t at) { return p->block >= 0 && at >= p->block && at < p->block + p->n; }

int cq_partition(struct cq_probe *p, int64_t lo, int64_t hi, cq_test_fn *test, int64_t arg, int64_t *out)
{
    int64_t first = lo, last = hi - 1;
    int r = 0;
    if (at_hand(p, last))
        r = narrow(p, last, &lo, &hi, test, arg);
    if (r == 0)
        r = narrow(p, first, &lo, &hi, test, arg);
    if (r == 0)
        r = narrow(p, p->block + p->n - 1, &lo, &hi, test, arg); /* the block of `first` is at hand, or all is answered */
    if (r == 0)
        r = narrow(p, last, &lo, &hi, test, arg);
    while (r == 0 && lo < hi)
        r = narrow(p, lo + (hi - lo) / 2, &lo, &hi, test, arg);
    *out = lo;
    return r;
}

static bool test_there(struct cq_unit u, int64_t arg)
{
    (void)arg;
    return cq_unit_is_there(u);
}

static bool test_within(struct cq_unit u, int64_t max_phys)
{
    uint64_t end = (uint64_t)u.phys_off + (cq_unit_is_pad(u) ? 0 : u.size);
    return cq_unit_is_there(u) && end <= (uint64_t)max_phys;
}

bool cq_test_expired(struct cq_unit u, int64_t min_phys) { return u.phys_off < min_phys || (cq_unit_is_pad(u) && u.phys_off == 0); }

/* ---- opening ---- */

struct names { /* of one folder: each with a NUL */
    struct buf text;
    bool want_dirs;
};

static void take_name(void *arg, const char *name, bool is_dir)
{
    struct names *n = arg;
    if (is_dir == n->want_dirs && strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
        buf_put(&n->text, name, strlen(name) + 1);
}

static enum mq_err list_names(const struct store_io *io, const char *path, bool dirs, struct names *out, struct fault *why)
{
    buf_clear(&out->text);
    out->want_dirs = dirs;
    int r = io->list(io->ctx, path, take_name, out);
    if (r < 0 && r != -ENOENT)
        return cq_fault(why, r, "list", path);
    return out->text.failed ? cq_fault(why, -ENOMEM, "list", path) : MQ_OK;
}

static const char *next_name(const struct names *n, size_t *at)
{
    if (*at >= n->text.n)
        return NULL;
    const char *name = (const char *)n->text.p + *at;
    *at += strlen(name) + 1;
    return name;
}

static int by_value(const void *a, const void *b)
{
    int64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

/* Start of a file in bytes, or -1: not a name of ours. */
static int64_t file_start(const char *name)
{
    int64_t v = -1;
    return strlen(name) == 20 && strspn(name, "0123456789") == 20 && slice_i64(slice_str(name), &v) ? v : -1;
}

static enum mq_err check_sizes(struct consume_queues *t, struct consume_queue *q, struct fault *why)
{
    const uint64_t full = (uint64_t)t->per_file * CQ_UNIT;
    char path[STORE_PATH_MAX];
    for (int32_t i = 0; i < q->files; i++) {
        struct store_stat st;
        cq_path(q->topic, q->id, (q->first + i * t->per_file) * CQ_UNIT, path);
        int r = t->io.stat(t->io.ctx, path, &st);
        if (r < 0)
            return cq_fault(why, r, "stat", path);
        if (st.size == full)
            continue;
        if (st.size > full || i < q->files - 1)
            return fault_set(why, MQ_ECORRUPT, 0, "%.120s has %" PRIu64 " bytes, configured are %" PRIu64, path, st.size, full);
        log_warn("store", "short queue file made full path=%s bytes=%" PRIu64, path, st.size);
        int fd = t->io.open(t->io.ctx, path, STORE_OPEN_WRITE);
        r = fd < 0 ? fd : t->io.set_size(t->io.ctx, fd, full, false);
        if (fd >= 0)
            t->io.close(t->io.ctx, fd);
        if (r < 0)
            return cq_fault(why, r, "extend", path);
    }
    return MQ_OK;
}

static enum mq_err open_queue(struct consume_queues *t, struct slice topic, int32_t id, struct names *files, struct buf *starts, struct fault *why)
{
    struct consume_queue *q = cq_make(t, topic, id);
    if (q == NULL)
        return fault_set(why, MQ_ENOMEM, 0, "queue %d of %.*s", id, SLICE_ARG(topic));
    char path[STORE_PATH_MAX];
    cq_path(q->topic, id, -1, path);
    enum mq_err err = list_names(&t->io, path, false, files, why);
    if (err != MQ_OK)
        return err;
    buf_clear(starts);
    const char *name;
    for (size_t at = 0; (name = next_name(files, &at)) != NULL;) {
        int64_t start = file_start(name);
        if (start < 0) {
            log_warn("store", "foreign file among queue files folder=%s name=%.40s", path, name);
            continue;
        }
        if (start % (t->per_file * CQ_UNIT) != 0 || start > INT64_MAX / 4)
            return fault_set(why, MQ_ECORRUPT, 0, "%.120s/%s: not a multiple of the configured %" PRId64 " bytes", path, name, t->per_file * CQ_UNIT);
        buf_put(starts, &start, sizeof start);
    }
    if (starts->failed)
        return cq_fault(why, -ENOMEM, "list", path);
    size_t n = starts->n / sizeof(int64_t);
    int64_t start, before;
    if (n > 1)
        qsort(starts->p, n, sizeof start, by_value);
    for (; n > 0; n--) { /* from the newest back, as far as they are contiguous */
        memcpy(&start, starts->p + (n - 1) * sizeof start, sizeof start);
        q->first = start / CQ_UNIT;
        q->files++;
        if (n == 1)
            break;
        memcpy(&before, starts->p + (n - 2) * sizeof before, sizeof before);
        if (start - before != t->per_file * CQ_UNIT) {
            log_warn("store", "queue files missing folder=%s before=%020" PRId64 " older_files_ignored=%zu", path, start, n - 1);
            break;
        }
    }
    return check_sizes(t, q, why);
}

static enum mq_err open_all(struct consume_queues *t, struct names *topics, struct names *ids, struct names *files, struct buf *starts, struct fault *why)
{
    const char *topic, *id_name;
    enum mq_err err = list_names(&t->io, CQ_DIR, true, topics, why);
    for (size_t at = 0; err == MQ_OK && (topic = next_name(topics, &at)) != NULL;) {
        char path[STORE_PATH_MAX];
        snprintf(path, sizeof path, CQ_DIR "/%s", topic);
        err = list_names(&t->io, path, true, ids, why);
        for (size_t i = 0; err == MQ_OK && (id_name = next_name(ids, &i)) != NULL;) {
            int32_t id;
            if (slice_i32(slice_str(id_name), &id) && id >= 0 && (id_name[0] != '0' || id_name[1] == 0))
                err = open_queue(t, slice_str(topic), id, files, starts, why);
        }
    }
    return err;
}

enum mq_err consume_queues_open(const struct store_io *io, const struct store_exec *exec, uint32_t file_size, size_t least_bytes,
                                struct consume_queues **out, struct fault *why)
{
    if (file_size < CQ_UNIT || file_size % CQ_UNIT != 0)
        return fault_set(why, MQ_EINVAL, 0, "consume queue file size %u: not a multiple of %d", file_size, CQ_UNIT);
    struct consume_queues *t = mem_zalloc(sizeof *t);
    if (t == NULL)
        return fault_set(why, MQ_ENOMEM, 0, "consume queues");
    t->io = *io;
    t->exec = exec;
    t->per_file = file_size / CQ_UNIT;
    t->least = least_bytes;
    t->memory = sizeof *t;
    owner_take(&t->owner);
    list_init(&t->doomed);
    list_init(&t->dirty);
    list_init(&t->ripe);
    list_init(&t->round);
    struct names topics = {0}, ids = {0}, files = {0};
    struct buf starts = {0};
    enum mq_err err = cq_fds_new(t) ? MQ_OK : fault_set(why, MQ_ENOMEM, 0, "consume queues");
    int r = err == MQ_OK ? io->mkdir(io->ctx, CQ_DIR) : 0;
    if (r < 0)
        err = cq_fault(why, r, "make", CQ_DIR);
    if (err == MQ_OK)
        err = open_all(t, &topics, &ids, &files, &starts, why);
    buf_free(&topics.text);
    buf_free(&ids.text);
    buf_free(&files.text);
    buf_free(&starts);
    if (err != MQ_OK) {
        consume_queues_close(t);
        return err;
    }
    *out = t;
    return MQ_OK;
}

/* ---- recovery ---- */

static int unlink_file(struct consume_queues *t, struct consume_queue *q, int64_t file)
{
    char path[STORE_PATH_MAX];
    cq_path(q->topic, q->id, file * CQ_UNIT, path);
    int r = t->io.unlink(t->io.ctx, path);
    q->names = true; /* a file that comes back after a power cut would bring back units of a former life */
    cq_mark_dirty(t, q);
    return r == -ENOENT ? 0 : r;
}

/* Makes zeros of everything from unit `at` on: later files are unlinked, the file of `at` is cut and made full again. Units stay
 * numbered as they are even when none is left: only a queue that is empty and starts at 0 loses its last file. */
static int cut_files(struct consume_queues *t, struct consume_queue *q, int64_t at)
{
    int r = 0;
    int32_t before = q->files;
    cq_fds_drop(t, q->topic, q, q->first, at);
    while (r == 0 && q->files > 0 && cq_last_file(t, q) >= at && (cq_last_file(t, q) > q->first || q->first == 0)) {
        r = unlink_file(t, q, cq_last_file(t, q));
        if (r == 0)
            q->files--;
    }
    char path[STORE_PATH_MAX];
    if (r == 0 && before > q->files && q->files > 0) { /* a short file in the middle would stop the next start: the later ones go first */
        cq_path(q->topic, q->id, -1, path);
        r = t->io.sync_dir(t->io.ctx, path);
    }
    if (r < 0 || q->files == 0 || cq_last_file(t, q) + t->per_file == at)
        return r;
    int64_t file = cq_last_file(t, q);
    cq_path(q->topic, q->id, file * CQ_UNIT, path);
    int fd = t->io.open(t->io.ctx, path, STORE_OPEN_WRITE);
    if (fd < 0)
        return fd;
    r = t->io.set_size(t->io.ctx, fd, (uint64_t)(at - file) * CQ_UNIT, false);
    if (r == 0)
        r = t->io.set_size(t->io.ctx, fd, (uint64_t)t->per_file * CQ_UNIT, false);
    t->io.close(t->io.ctx, fd);
    cq_mark_dirty(t, q); /* the zeros have to outlive a power cut before newer units may count */
    return r;
}

/* Finds where the units end. A last file without any is dropped unless the one before it is full. */
static int find_tail(struct consume_queues *t, struct consume_queue *q, struct cq_probe *p)
{
    for (;;) {
        int64_t last = cq_last_file(t, q);
        int r = cq_partition(p, last, last + t->per_file, test_there, 0, &q->max);
        if (r < 0 || q->max > last || q->files == 1)
            return r;
        struct cq_unit u;
        r = cq_probe_at(p, last - 1, &u);
        if (r < 0 || cq_unit_is_there(u))
            return r;
        r = unlink_file(t, q, last);
        if (r < 0)
            return r;
        q->files--;
    }
}

static int find_min(struct consume_queue *q, struct cq_probe *p, int64_t min_phys)
{
    struct cq_unit u;
    int r = cq_partition(p, q->first, q->max, cq_test_expired, min_phys, &q->min);
    q->min_phys = INT64_MAX;
    if (r == 0 && q->min < q->max) {
        r = cq_probe_at(p, q->min, &u);
        q->min_phys = r == 0 ? u.phys_off : 0;
    }
    return r;
}

static int recover_queue(struct consume_queues *t, struct consume_queue *q, bool clean, uint64_t min_phys, uint64_t max_phys, uint64_t *dispatched)
{
    struct cq_probe p;
    struct cq_unit u;
    int64_t end = 0;
    if (!clean) { /* the last process may have unlinked files and been killed before that was sure */
        q->names = true;
        cq_mark_dirty(t, q);
    }
    if (q->files == 0)
        return 0;
    cq_probe_begin(&p, t, q->topic, q->id);
    int r = find_tail(t, q, &p);
    if (r == 0)
        r = cq_partition(&p, q->first, q->max, test_within, (int64_t)max_phys, &end);
    if (r == 0 && (end < q->max || !clean)) {
        cq_probe_end(&p);
        r = cut_files(t, q, end);
    }
    q->max = q->written = q->synced = q->next = end;
    if (q->files == 0)
        q->first = q->max = q->written = q->synced = q->next = 0;
    if (r == 0 && q->max > q->first) {
        r = cq_probe_at(&p, q->max - 1, &u);
        if (r == 0 && (uint64_t)u.phys_off + (cq_unit_is_pad(u) ? 0 : u.size) > *dispatched)
            *dispatched = (uint64_t)u.phys_off + (cq_unit_is_pad(u) ? 0 : u.size);
    }
    if (r == 0)
        r = find_min(q, &p, (int64_t)min_phys);
    cq_probe_end(&p);
    return r;
}

enum mq_err consume_queues_recover(struct consume_queues *t, bool clean, uint64_t min_phys, uint64_t max_phys, uint64_t *dispatched, struct fault *why)
{
    owner_assert(&t->owner);
    if (max_phys > INT64_MAX || min_phys > max_phys)
        return fault_set(why, MQ_EINVAL, 0, "consume queues: log of %" PRIu64 " to %" PRIu64, min_phys, max_phys);
    *dispatched = 0;
    t->min_phys = min_phys;
    for (uint32_t i = 0; i < t->n; i++) {
        struct consume_queue *q = t->all[i];
        int r = recover_queue(t, q, clean, min_phys, max_phys, dispatched);
        if (r < 0) {
            char path[STORE_PATH_MAX];
            cq_path(q->topic, q->id, -1, path);
            return cq_fault(why, r, "recover", path);
        }
    }
    return MQ_OK;
}

enum mq_err consume_queues_truncate(struct consume_queues *t, uint64_t max_phys, struct fault *why)
{
    owner_assert(&t->owner);
    assert(t->flushing == NULL);
    for (uint32_t i = 0; i < t->n; i++) {
        struct consume_queue *q = t->all[i];
        struct cq_unit u;
        while (q->tail != NULL && q->tail->n > 0 && (!cq_unit_in_memory(q, q->max - 1, &u) || !test_within(u, (int64_t)max_phys))) {
            q->tail->n--;
            q->max--;
            t->waiting -= CQ_UNIT;
        }
        if (q->tail != NULL && q->tail->n == 0) {
            q->max = q->tail->pad_from;
            cq_tail_free(t, q->tail);
            q->tail = NULL;
        }
        int r = 0;
        if (q->tail == NULL && q->files > 0) {
            struct cq_probe p;
            int64_t end = q->written;
            cq_probe_begin(&p, t, q->topic, q->id);
            r = cq_partition(&p, q->first, q->written, test_within, (int64_t)max_phys, &end);
            cq_probe_end(&p);
            if (r == 0 && end < q->written) {
                r = cut_files(t, q, end);
                q->max = q->written = end;
                q->synced = end < q->synced ? end : q->synced;
            }
        }
        if (q->tail == NULL && q->files == 0)
            q->first = q->max = q->written = q->synced = 0;
        q->next = q->max;
        if (q->min >= q->max) {
            q->min = q->max;
            q->min_phys = INT64_MAX;
        }
        if (r < 0) {
            char path[STORE_PATH_MAX];
            cq_path(q->topic, q->id, -1, path);
            return cq_fault(why, r, "cut", path);
        }
    }
    return MQ_OK;
}
