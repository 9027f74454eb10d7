/* change_log.c - appending lines, syncing them in groups, and reading them back after a bad end.
 *
 *   core         append: one pwrite into the page cache
 *   LANE_FLUSH   with `sync`, a work per change: the first syncs all that was appended when it starts, those behind it find it done
 *   LANE_CHORE   empties the file whose changes are in the table's file
 * Why zeros ahead of the lines, and over them instead of a shorter file: a sync over blocks that were written before needs no commit of the
 * file system's journal, which just then is busy with the tables.
 * Why a work per change: the lane keeps order, so the sync of a topic that a send makes ends before the flush that the send waits for.
 * Why not LANE_CHORE: there tables are rewritten, which takes many times as long.
 *   I1  an append that failed is in no file: the next one takes its place.                     (test: unit/metadata/change_log)
 *   I2  each line begins and ends with a line's end, so nothing damaged before or behind it swallows it.       (test: the same)
 *   I3  a file is emptied only after a text of the table that has all its changes was synced.                  (test: the same)
 *   I4  who waits hears MQ_OK only after a successful sync that began after his change was written. A failed one is told to all it should
 *       have covered; the next one vouches for later changes only, which need none before them.                (test: the same) */
#include "broker/metadata/change_log.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/metadata/whole_file.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/protocol/message.h"

enum { CRC_DIGITS = 8, COMPLAIN_MS = 60000, ZEROS = 64 << 10, KEEP_MOST = 1 << 20 }; /* bytes */
static const uint8_t zeros[ZEROS];

struct change_file {
    char path[STORE_PATH_MAX];
    uint64_t end, size;     /* lines end; zeros end, or where they were last known to. Of the file being emptied they are that thread's */
    int fd;                 /* -1: not opened yet */
    _Atomic uint64_t last;  /* the newest change in it; set after fd */
    bool name_sure;         /* LANE_FLUSH's: its name was synced by this process */
};
struct change_log {
    const struct store_io *io;
    const struct store_exec *exec;
    bool sync;
    struct change_file files[2];
    unsigned current;
    struct buf line;
    int64_t complained_ms;
    uint64_t settled;  /* changes whose work has ended */
    struct list waits; /* of struct change_wait, by change */
    _Atomic uint64_t appended; /* changes; written by core */
    /* ---- LANE_FLUSH's ---- */
    uint64_t tried; /* the newest change that a sync was to cover */
    enum mq_err result;
    struct fault why;
    char dir[STORE_PATH_MAX];
};
struct sync_work {
    struct store_work work;
    struct change_log *log;
    uint64_t change;
    enum mq_err result;
    struct fault why;
};

enum mq_err change_log_new(const struct store_io *io, const struct store_exec *exec, const char *path, bool sync, struct change_log **out)
{
    if (strlen(path) + sizeof ".changes1" > STORE_PATH_MAX)
        return MQ_EINVAL;
    struct change_log *l = mem_zalloc(sizeof *l);
    if (l == NULL)
        return MQ_ENOMEM;
    l->io = io;
    l->exec = exec;
    l->sync = sync;
    list_init(&l->waits);
    for (int i = 0; i < 2; i++) {
        snprintf(l->files[i].path, STORE_PATH_MAX, "%s.changes%d", path, i + 1);
        l->files[i].fd = -1;
    }
    const char *slash = strrchr(path, '/');
    slice_copy(slash ? slice_make(path, (size_t)(slash - path)) : SLICE_LIT("."), l->dir, sizeof l->dir);
    *out = l;
    return MQ_OK;
}

static enum mq_err disk_fault(struct fault *why, int64_t err, const char *doing, const char *path)
{
    return fault_set(why, err == -ENOSPC || err == -EDQUOT ? MQ_EFULL : MQ_EIO, (int)-err, "%s %.120s", doing, path);
}

/* ---- reading ---- */
struct change {
    struct data_version version;
    struct slice json;
    unsigned file;
};
struct changes {
    struct buf bytes[2]; /* of the files; what `list` points into */
    struct change *list;
    size_t n, cap;
};

static uint32_t crc_text(struct slice s, bool *good)
{
    uint32_t v = 0;
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        *good = *good && ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'));
        v = v << 4 | (uint32_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return v;
}

static bool line_read(struct slice line, struct change *out)
{
    struct slice digits = slice_head(line, CRC_DIGITS), rest = slice_from(line, CRC_DIGITS + 1), counter, timestamp;
    bool good = rest.n > 0 && line.p[CRC_DIGITS] == ' ';
    uint32_t crc = crc_text(digits, &good);
    if (!good || crc != crc32_of(rest) || !slice_cut(&rest, ' ', &counter) || !slice_cut(&rest, ' ', &timestamp))
        return false;
    out->json = rest;
    return slice_i64(counter, &out->version.counter) && slice_i64(timestamp, &out->version.timestamp_ms);
}

static bool keep(struct changes *all, const struct change *c)
{
    if (all->n == all->cap) {
        size_t cap = all->cap ? 2 * all->cap : 64;
        struct change *p = mem_realloc(all->list, cap * sizeof *p);
        if (p == NULL)
            return false;
        all->list = p;
        all->cap = cap;
    }
    all->list[all->n++] = *c;
    return true;
}

static void say_damage(const char *path, uint64_t at, uint64_t bytes, bool torn)
{
    if (torn)
        log_warn("metadata", "a file of changes ends with a torn line file=%s offset=%llu bytes=%llu", path, (unsigned long long)at, (unsigned long long)bytes);
    else
        log_error("metadata", "a file of changes is damaged, what it said there is lost file=%s offset=%llu bytes=%llu", path, (unsigned long long)at,
                  (unsigned long long)bytes);
}

/* Older: it is in the table's file, or that was written by somebody else since. */
static bool is_newer(const struct data_version *a, const struct data_version *than)
{
    return a->counter > than->counter && a->timestamp_ms >= than->timestamp_ms;
}

static enum mq_err file_read(struct change_log *l, unsigned i, const struct data_version *v, struct changes *all, struct fault *why)
{
    struct change_file *f = &l->files[i];
    enum mq_err err = whole_file_read(l->io, f->path, &all->bytes[i], why);
    if (err != MQ_OK)
        return err == MQ_ENOTFOUND ? MQ_OK : err;
    struct slice rest = buf_view(&all->bytes[i]), line;
    uint64_t bad_at = 0, bad = 0;
    f->size = rest.n;
    while (rest.n && rest.p[rest.n - 1] == 0)
        rest.n--;
    f->end = rest.n;
    for (const uint8_t *begin = rest.p; slice_cut(&rest, '\n', &line);) {
        struct change c = {.file = i};
        if (line.n == 0)
            continue;
        if (!line_read(line, &c)) { /* also what is left of one that was overwritten by zeros */
            bad_at = bad ? bad_at : (uint64_t)(line.p - begin);
            bad += line.n;
            continue;
        }
        if (bad && is_newer(&c.version, v))
            say_damage(f->path, bad_at, bad, false);
        bad = 0;
        if (!keep(all, &c))
            return fault_set(why, MQ_ENOMEM, 0, "read %.120s", f->path);
    }
    if (bad)
        say_damage(f->path, bad_at, bad, true);
    return MQ_OK;
}

static int by_counter(const void *a, const void *b)
{
    const struct change *x = a, *y = b;
    if (x->version.counter != y->version.counter)
        return x->version.counter < y->version.counter ? -1 : 1;
    return x->json.p < y->json.p ? -1 : x->json.p > y->json.p; /* any order that is always the same */
}

static enum mq_err apply_one(const struct change *c, change_apply_fn *apply, void *ctx, struct fault *why)
{
    json_t *root = json_parse(c->json, why);
    const json_t *put = json_object_get(root, "put");
    struct slice removed = json_str(root, "remove");
    enum mq_err err = MQ_EMALFORMED;
    if (json_is_object(put) || removed.n)
        err = apply(ctx, json_is_object(put) ? put : NULL, removed, why);
    else if (root)
        fault_set(why, MQ_EMALFORMED, 0, "neither put nor remove");
    json_decref(root);
    return err;
}

static enum mq_err apply_all(struct change_log *l, const struct changes *all, struct data_version *v, change_apply_fn *apply, void *ctx, struct fault *why)
{
    size_t applied = 0;
    for (size_t i = 0; i < all->n; i++) {
        const struct change *c = &all->list[i];
        struct fault inner = {0};
        char words[300];
        if (!is_newer(&c->version, v))
            continue;
        enum mq_err err = apply_one(c, apply, ctx, &inner);
        if (err == MQ_EMALFORMED) {
            log_error("metadata", "a change cannot be applied file=%s counter=%lld why=%s", l->files[c->file].path, (long long)c->version.counter,
                      fault_text(&inner, words, sizeof words));
            continue;
        }
        if (err != MQ_OK) {
            if (why)
                *why = inner;
            return err;
        }
        *v = c->version;
        applied++;
    }
    if (all->n)
        log_info("metadata", "changes found that were made before the last end file=%s applied=%zu older=%zu", l->files[0].path, applied, all->n - applied);
    return MQ_OK;
}

enum mq_err change_log_replay(struct change_log *l, struct data_version *v, change_apply_fn *apply, void *ctx, bool *found, struct fault *why)
{
    struct changes all = {0};
    *found = false;
    if (l == NULL)
        return MQ_OK;
    enum mq_err err = file_read(l, 0, v, &all, why);
    if (err == MQ_OK)
        err = file_read(l, 1, v, &all, why);
    if (err == MQ_OK) {
        if (all.n) {
            qsort(all.list, all.n, sizeof *all.list, by_counter);
            l->current = all.list[all.n - 1].file;
        }
        err = apply_all(l, &all, v, apply, ctx, why);
    }
    *found = l->files[0].end > 0 || l->files[1].end > 0;
    mem_free(all.list);
    buf_free(&all.bytes[0]);
    buf_free(&all.bytes[1]);
    return err;
}

/* ---- syncing, on LANE_FLUSH ---- */
static void sync_files(struct change_log *l)
{
    uint64_t before = l->tried;
    l->tried = atomic_load_explicit(&l->appended, memory_order_acquire);
    l->result = MQ_OK;
    for (int i = 0; i < 2; i++) {
        struct change_file *f = &l->files[i];
        if (atomic_load_explicit(&f->last, memory_order_acquire) <= before)
            continue;
        int rc = l->io->datasync(l->io->ctx, f->fd);
        if (rc < 0) {
            l->result = disk_fault(&l->why, rc, "sync", f->path);
            continue; /* the other one has its own pages to lose or to keep: it must not be left for a later sync to vouch for */
        }
        if (!f->name_sure && (rc = whole_file_sync_names(l->io, l->dir)) < 0)
            l->result = disk_fault(&l->why, rc, "sync folder", l->dir);
        f->name_sure = rc >= 0;
    }
}

static void sync_run(struct store_work *w)
{
    struct sync_work *s = CONTAINER_OF(w, struct sync_work, work);
    struct change_log *l = s->log;
    if (s->change > l->tried)
        sync_files(l);
    s->result = l->result; /* of the sync that covered it: works run in the order of changes */
    if (s->result != MQ_OK)
        s->why = l->why;
}

static void sync_done(struct store_work *w)
{
    struct sync_work *s = CONTAINER_OF(w, struct sync_work, work);
    struct change_log *l = s->log;
    char words[300];
    l->settled = s->change;
    if (s->result != MQ_OK && log_ok_now(&l->complained_ms, COMPLAIN_MS))
        log_error("metadata", "changes not synced why=%s", fault_text(&s->why, words, sizeof words));
    while (!list_empty(&l->waits)) {
        struct change_wait *wait = CONTAINER_OF(l->waits.next, struct change_wait, node);
        if (wait->change > s->change)
            break;
        list_remove(&wait->node);
        wait->fn(wait->arg, s->result, s->result == MQ_OK ? NULL : &s->why);
    }
    mem_free(s);
}

static void start_sync(struct change_log *l, struct sync_work *s)
{
    s->work.run = sync_run;
    s->work.done = sync_done;
    s->log = l;
    s->change = atomic_load_explicit(&l->appended, memory_order_relaxed);
    l->exec->submit(l->exec->ctx, LANE_FLUSH, &s->work);
}

/* ---- appending ---- */
static bool make_line(struct buf *out, const struct data_version *v, struct slice put, struct slice removed)
{
    static const char hex[] = "0123456789abcdef";
    buf_clear(out);
    buf_str(out, "\n         ");
    size_t from = out->n;
    buf_i64_text(out, v->counter);
    buf_u8(out, ' ');
    buf_i64_text(out, v->timestamp_ms);
    buf_str(out, put.n ? " {\"put\":" : " {\"remove\":");
    if (put.n)
        buf_slice(out, put);
    else
        json_quote(out, removed);
    buf_u8(out, '}');
    if (out->failed)
        return false;
    uint32_t crc = crc32_of(slice_make(out->p + from, out->n - from));
    for (int i = CRC_DIGITS; i > 0; i--, crc >>= 4)
        out->p[i] = (uint8_t)hex[crc & 15];
    buf_u8(out, '\n');
    return !out->failed;
}

static enum mq_err write_line(struct change_log *l, struct fault *why)
{
    struct change_file *f = &l->files[l->current];
    if (f->fd < 0) {
        int fd = l->io->open(l->io->ctx, f->path, STORE_OPEN_WRITE | STORE_OPEN_CREATE);
        if (fd < 0)
            return disk_fault(why, fd, "create", f->path);
        f->fd = fd;
    }
    if (f->end + l->line.n > f->size && l->io->pwrite(l->io->ctx, f->fd, zeros, ZEROS, f->size) > 0)
        f->size += ZEROS; /* else the line itself makes the file longer, or says why it cannot */
    int64_t wrote = l->io->pwrite(l->io->ctx, f->fd, l->line.p, l->line.n, f->end);
    if (wrote < 0)
        return disk_fault(why, wrote, "write", f->path);
    f->end += l->line.n;
    if (f->size < f->end)
        f->size = f->end;
    uint64_t change = atomic_load_explicit(&l->appended, memory_order_relaxed) + 1;
    atomic_store_explicit(&f->last, change, memory_order_release);
    atomic_store_explicit(&l->appended, change, memory_order_release);
    return MQ_OK;
}

enum mq_err change_log_append(struct change_log *l, const struct data_version *v, struct slice put, struct slice removed, struct fault *why)
{
    struct fault inner = {0};
    struct sync_work *s = NULL;
    char words[300];
    if (l == NULL)
        return MQ_OK;
    if (!make_line(&l->line, v, put, removed) || (l->sync && (s = mem_zalloc(sizeof *s)) == NULL))
        return fault_set(why, MQ_ENOMEM, 0, "a change for %.120s", l->files[l->current].path);
    enum mq_err err = write_line(l, &inner);
    if (err == MQ_OK && s)
        start_sync(l, s);
    if (err == MQ_OK)
        return MQ_OK;
    mem_free(s);
    if (log_ok_now(&l->complained_ms, COMPLAIN_MS))
        log_error("metadata", "a change was refused why=%s", fault_text(&inner, words, sizeof words));
    if (why)
        *why = inner;
    return err;
}

enum mq_err change_log_when_synced(struct change_log *l, struct change_wait *w, change_synced_fn *fn, void *arg)
{
    if (l == NULL || !l->sync || l->settled == atomic_load_explicit(&l->appended, memory_order_relaxed))
        return MQ_OK;
    *w = (struct change_wait){.change = atomic_load_explicit(&l->appended, memory_order_relaxed), .fn = fn, .arg = arg};
    list_push_back(&l->waits, &w->node);
    return MQ_EAGAIN;
}

void change_wait_end(struct change_wait *w) { list_remove(&w->node); }

/* ---- when the table's file is written ---- */
void change_log_turn_over(struct change_log *l)
{
    if (l)
        l->current = !l->current; /* what the other still has, because a table could not be written, is in this text, too */
}

void change_log_empty_other(struct change_log *l)
{
    if (l == NULL)
        return;
    struct change_file *f = &l->files[!l->current];
    if (f->end == 0)
        return;
    int fd = f->fd >= 0 ? f->fd : l->io->open(l->io->ctx, f->path, STORE_OPEN_WRITE);
    if (fd < 0)
        return;
    f->fd = fd;
    if (f->size > KEEP_MOST) {
        if (l->io->set_size(l->io->ctx, fd, 0, false) < 0)
            return;
        f->size = 0;
    }
    for (uint64_t at = 0; at < f->size && at < f->end; at += ZEROS)
        if (l->io->pwrite(l->io->ctx, fd, zeros, f->end - at < ZEROS ? (size_t)(f->end - at) : ZEROS, at) < 0)
            return;
    f->end = 0;
}

void change_log_close(struct change_log *l, bool all_in_table)
{
    if (l == NULL)
        return;
    assert(!l->sync || l->settled == atomic_load_explicit(&l->appended, memory_order_relaxed));
    for (int i = 0; i < 2; i++) {
        if (l->files[i].fd >= 0)
            l->io->close(l->io->ctx, l->files[i].fd);
        if (all_in_table)
            l->io->unlink(l->io->ctx, l->files[i].path); /* what is left of one is older than the table's file */
    }
    buf_free(&l->line);
    mem_free(l);
}
