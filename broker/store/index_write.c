/* index_write.c - the row of index files: loading it, writing behind its last file, opening the next one.
 *
 * Names are the local time of creation and sort as text, so a new name is always greater than the last one: when the clock went back, or two
 * files start in one millisecond, the last name plus one is taken (Apache reads a name only as a number).
 * A file that became full is synced before the next one is written: only the last file of a row can have unsynced bytes.
 *
 * After an unclean stop the last file, and those whose end is newer than the checkpoint, are cut to what can be trusted (index_repair.c).
 * A file of another size than the configuration's stops the start: its slots would be read as entries. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker/store/index_internal.h"
#include "common/base/buf.h"
#include "common/base/log.h"
#include "common/base/mem.h"

enum mq_err index_fault(struct fault *why, int err, const char *action, const char *path)
{
    enum mq_err code = err == -ENOMEM ? MQ_ENOMEM : err == -ENOSPC || err == -EDQUOT ? MQ_EFULL : MQ_EIO;
    return fault_set(why, code, -err, "%s %s", action, path);
}

/* ---- writing ---- */

static void name_file(char *path, const struct index_file *last, int64_t first_ms)
{
    time_t seconds = (time_t)(first_ms / 1000);
    struct tm tm;
    char digits[32] = "0";
    if (localtime_r(&seconds, &tm) != NULL) {
        size_t n = strftime(digits, sizeof digits, "%Y%m%d%H%M%S", &tm);
        snprintf(digits + n, sizeof digits - n, "%03d", (int)(first_ms % 1000));
    }
    uint64_t name = strtoull(digits, NULL, 10), before = last ? strtoull(last->path + sizeof INDEX_DIR, NULL, 10) : 0;
    snprintf(path, INDEX_PATH_MAX, INDEX_DIR "/%0*" PRIu64, INDEX_NAME_DIGITS, name > before ? name : before + 1);
}

void index_writer_close(struct index_writer *w)
{
    if (w->fd >= 0)
        w->io.close(w->io.ctx, w->fd);
    w->fd = -1;
}

/* An empty file counts from the end of the one before it. */
static void header_follow(struct index_header *h, const struct index_header *before)
{
    h->begin_ms = h->end_ms = before->end_ms;
    h->begin_phys = h->end_phys = before->end_phys;
}

/* Makes the next file; the header of an empty one is not written, as it would say nothing. */
static enum mq_err next_file(struct index_writer *w, int64_t first_ms, struct list *made, struct fault *why)
{
    const struct store_io *io = &w->io;
    struct index_file *f = mem_zalloc(sizeof *f);
    if (f == NULL)
        return fault_set(why, MQ_ENOMEM, 0, "next index file");
    name_file(f->path, w->last, first_ms);
    f->now.next = 1;
    if (w->last != NULL)
        header_follow(&f->now, &w->last->now);
    f->seen = f->now;

    int fd = io->open(io->ctx, f->path, STORE_OPEN_WRITE | STORE_OPEN_CREATE | STORE_OPEN_TRUNCATE);
    int r = fd < 0 ? fd : io->set_size(io->ctx, fd, index_file_size(w->geo), false);
    if (r < 0) {
        index_fault(why, r, "make", f->path);
        if (fd >= 0) {
            io->close(io->ctx, fd);
            io->unlink(io->ctx, f->path);
        }
        enum mq_err err = why->err;
        mem_free(f);
        return err;
    }
    index_writer_close(w);
    w->fd = fd;
    w->last = f;
    w->unsynced = true;
    list_push_back(made, &f->node);
    return MQ_OK;
}

enum mq_err index_sync(const struct store_io *io, const char *path, bool *lost, struct fault *why)
{
    int fd = io->open(io->ctx, path, STORE_OPEN_WRITE);
    int r = fd < 0 ? fd : io->datasync(io->ctx, fd);
    if (fd >= 0)
        io->close(io->ctx, fd);
    if (r >= 0)
        r = io->sync_dir(io->ctx, INDEX_DIR);
    *lost = fd >= 0 && r < 0;
    return r < 0 ? index_fault(why, r, "sync", path) : MQ_OK;
}

/* The descriptor for writing to the last file, and room in it. */
static enum mq_err ready(struct index_writer *w, int64_t first_ms, struct list *made, struct fault *why)
{
    if (w->last == NULL)
        return next_file(w, first_ms, made, why);
    if (w->last->now.next >= w->geo.entries) {
        if (w->unsynced) {
            enum mq_err err = index_sync(&w->io, w->last->path, &w->lost, why);
            if (err != MQ_OK)
                return err;
            w->unsynced = false;
        }
        return next_file(w, first_ms, made, why);
    }
    if (w->fd < 0)
        w->fd = w->io.open(w->io.ctx, w->last->path, STORE_OPEN_WRITE);
    return w->fd < 0 ? index_fault(why, w->fd, "open", w->last->path) : MQ_OK;
}

enum mq_err index_writer_add(struct index_writer *w, const struct index_key *keys, uint32_t *at, uint32_t n, struct list *made, struct fault *why)
{
    struct fault own = {0};
    why = why ? why : &own;
    while (*at < n && !w->lost) {
        enum mq_err err = ready(w, keys[*at].ms, made, why);
        if (err != MQ_OK)
            return err;
        uint32_t room = w->geo.entries - w->last->now.next, take = n - *at < room ? n - *at : room;
        int r = index_file_add(&w->io, w->fd, w->geo, &w->last->now, keys + *at, take, w->scratch);
        w->unsynced = true;
        if (r < 0)
            return index_fault(why, r, "write", w->last->path);
        *at += take;
    }
    return *at == n ? MQ_OK : fault_set(why, MQ_EFAILED, 0, "index");
}

/* ---- loading ---- */

struct names { /* of the folder, each with a NUL */
    struct buf text;
    size_t n;
};

static void take_name(void *arg, const char *name, bool is_dir)
{
    struct names *names = arg;
    size_t digits = strspn(name, "0123456789");
    if (is_dir || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return;
    if (name[digits] != 0 || digits != INDEX_NAME_DIGITS) {
        log_warn("index", "file is not one of an index, ignored path=" INDEX_DIR "/%.64s", name);
        return;
    }
    buf_put(&names->text, name, digits + 1);
    names->n++;
}

static int by_name(const void *a, const void *b) { return memcmp(a, b, INDEX_NAME_DIGITS); }

enum mq_err index_cut(const struct store_io *io, struct index_geometry g, struct index_file *f, int64_t max_phys, bool *keep, struct fault *why)
{
    uint32_t had = f->now.next;
    int fd = io->open(io->ctx, f->path, STORE_OPEN_WRITE);
    int r = fd < 0 ? fd : index_file_cut(io, fd, g, &f->now, max_phys);
    if (fd >= 0)
        io->close(io->ctx, fd);
    *keep = true;
    if (r < 0)
        return index_fault(why, r, "cut", f->path);
    if (f->now.next < had)
        log_info("index", "file cut path=%s keys=%" PRIu32 " of=%" PRIu32 " end_phys=%" PRId64, f->path, f->now.next - 1, had - 1, f->now.end_phys);
    if (f->now.next > 1)
        return MQ_OK;
    *keep = false;
    r = io->unlink(io->ctx, f->path);
    return r < 0 ? index_fault(why, r, "unlink", f->path) : MQ_OK;
}

static enum mq_err load_header(const struct store_io *io, struct index_geometry g, struct index_file *f, struct fault *why)
{
    uint8_t head[INDEX_HEADER];
    int fd = io->open(io->ctx, f->path, STORE_OPEN_READ);
    int64_t got = fd < 0 ? fd : io->pread(io->ctx, fd, head, sizeof head, 0);
    if (fd >= 0)
        io->close(io->ctx, fd);
    if (got != (int64_t)sizeof head)
        return index_fault(why, got < 0 ? (int)got : -EIO, "read", f->path);
    f->now = index_header_decode(head, g);
    return MQ_OK;
}

static bool is_newer(const struct index_file *f, const struct checkpoint *safe)
{
    return safe->index_place >= 0 ? f->now.end_phys > safe->index_place : f->now.end_ms > safe->index_ms;
}

/* safe: NULL, all of it. MQ_OK with *keep false: it was made but never sized, or nothing in it can be trusted, and it is gone. */
static enum mq_err load_file(const struct store_io *io, struct index_geometry g, bool doubtful, const struct checkpoint *safe, struct index_file *f,
                             bool *keep, struct fault *why)
{
    struct store_stat st;
    int r = io->stat(io->ctx, f->path, &st);
    if (r < 0)
        return index_fault(why, r, "stat", f->path);
    *keep = false;
    if (st.size == 0) {
        r = io->unlink(io->ctx, f->path);
        return r < 0 ? index_fault(why, r, "unlink", f->path) : MQ_OK;
    }
    if (st.size != index_file_size(g))
        return fault_set(why, MQ_ECORRUPT, 0, "%s has %" PRIu64 " bytes instead of %" PRIu64 " (maxHashSlotNum or maxIndexNum changed?)", f->path, st.size,
                         index_file_size(g));
    enum mq_err err = load_header(io, g, f, why);
    *keep = true;
    return err == MQ_OK && (doubtful || (safe != NULL && is_newer(f, safe))) ? index_cut(io, g, f, INT64_MAX, keep, why) : err;
}

enum mq_err index_load(const struct store_io *io, struct index_geometry g, bool clean, const struct checkpoint *safe, struct list *files, struct fault *why)
{
    struct names names = {{0}, 0};
    enum mq_err err = MQ_OK;
    bool gap = false;
    int r = io->list(io->ctx, INDEX_DIR, take_name, &names);
    if (r == -ENOENT) { /* made here, where waiting for the medium hurts nobody: else the folder of a synced file might be lost */
        r = io->mkdir(io->ctx, INDEX_DIR);
        r = r < 0 ? r : io->sync_dir(io->ctx, ".");
    }
    if (r < 0)
        err = index_fault(why, r, "open", INDEX_DIR);
    else if (names.text.failed)
        err = index_fault(why, -ENOMEM, "list", INDEX_DIR);
    else if (names.n > 1)
        qsort(names.text.p, names.n, INDEX_NAME_DIGITS + 1, by_name);
    for (size_t i = 0; err == MQ_OK && i < names.n; i++) {
        struct index_file *f = mem_zalloc(sizeof *f);
        bool keep = false;
        if (f == NULL) {
            err = fault_set(why, MQ_ENOMEM, 0, "index files");
            break;
        }
        snprintf(f->path, sizeof f->path, INDEX_DIR "/%s", (const char *)names.text.p + i * (INDEX_NAME_DIGITS + 1));
        if (gap) { /* keys come in the order of their places: these are added again, too */
            r = io->unlink(io->ctx, f->path);
            err = r < 0 ? index_fault(why, r, "unlink", f->path) : MQ_OK;
            mem_free(f);
            continue;
        }
        err = load_file(io, g, !clean && i + 1 == names.n, clean ? NULL : safe, f, &keep, why);
        gap = !clean && i + 1 < names.n && (!keep || f->now.next < g.entries);
        if (err == MQ_OK && gap)
            log_warn("index", "file lost its end, it and what follows it are filled again from the log path=%s", f->path);
        if (err != MQ_OK || !keep) {
            mem_free(f);
            continue;
        }
        if (f->now.next == 1 && f->now.end_ms == 0 && !list_empty(files))
            header_follow(&f->now, &CONTAINER_OF(files->prev, struct index_file, node)->now);
        f->seen = f->now;
        list_push_back(files, &f->node);
    }
    buf_free(&names.text);
    return err;
}
