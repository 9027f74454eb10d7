/* config_file.c - replacing a file so that at each moment a whole one can be found.
 *
 *   write X.tmp, sync it | rename X to X.bak | rename X.tmp to X | sync the folder
 * A power cut leaves X new, X old, or no X and X.bak old; loading takes the first of X, X.bak that is whole.
 *   I1  after a cut at any step, what is loaded is the text before or after the change.  (test: unit/metadata/config_file)
 *   I2  one write is in flight; changes meanwhile make exactly one more.                 (test: the same)
 *   I3  a failed write is never taken for done: the file stays dirty.                    (test: the same)
 * Why the text is made late: a table of 10,000 topics is a megabyte; while a write is busy, making texts for each change would be
 * work for nobody. */
#include "broker/metadata/config_file.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/mem.h"

struct config_file {
    const struct store_io *io;
    const struct store_exec *exec;
    config_file_text_fn *text;
    config_file_told_fn *told; /* NULL: nobody */
    void *text_ctx, *told_ctx;
    bool dirty, in_flight, failed;
    bool folder_sure; /* the chore's, too: the folder's own name was synced by this process */
    int64_t complained_ms;
    /* ---- the chore's while in_flight ---- */
    struct store_work work;
    struct buf writing;
    enum mq_err result;
    struct fault why;
    /* ---- fixed ---- */
    char path[STORE_PATH_MAX], tmp[STORE_PATH_MAX], bak[STORE_PATH_MAX], dir[STORE_PATH_MAX];
};

enum mq_err config_file_new(const struct store_io *io, const struct store_exec *exec, const char *path, struct config_file **out)
{
    size_t n = strlen(path);
    if (n == 0 || n + sizeof ".tmp" > STORE_PATH_MAX)
        return MQ_EINVAL;
    struct config_file *f = mem_zalloc(sizeof *f);
    if (f == NULL)
        return MQ_ENOMEM;
    f->io = io;
    f->exec = exec;
    memcpy(f->path, path, n + 1);
    memcpy(f->tmp, path, n);
    memcpy(f->tmp + n, ".tmp", sizeof ".tmp");
    memcpy(f->bak, path, n);
    memcpy(f->bak + n, ".bak", sizeof ".bak");
    const char *slash = strrchr(path, '/');
    if (slash)
        memcpy(f->dir, path, (size_t)(slash - path));
    else
        memcpy(f->dir, ".", sizeof ".");
    *out = f;
    return MQ_OK;
}

/* ---- loading ---- */
static enum mq_err read_whole(const struct store_io *io, const char *path, struct buf *out, struct fault *why)
{
    struct store_stat st;
    int rc = io->stat(io->ctx, path, &st);
    if (rc == -ENOENT)
        return MQ_ENOTFOUND;
    if (rc < 0)
        return fault_set(why, MQ_EIO, -rc, "look at %.120s", path);
    if (st.size == 0)
        return MQ_ENOTFOUND; /* as if absent: an Apache broker was killed while writing */
    if (st.is_dir || st.size > CONFIG_FILE_MAX)
        return fault_set(why, MQ_ELIMIT, 0, "%.120s is %s", path, st.is_dir ? "a folder" : "larger than 256 MiB");
    int fd = io->open(io->ctx, path, STORE_OPEN_READ);
    if (fd < 0)
        return fault_set(why, MQ_EIO, -fd, "open %.120s", path);
    uint8_t *to = buf_room(out, (size_t)st.size);
    int64_t got = to ? io->pread(io->ctx, fd, to, (size_t)st.size, 0) : 0;
    io->close(io->ctx, fd);
    if (to == NULL)
        return fault_set(why, MQ_ENOMEM, 0, "read %.120s", path);
    if (got < 0)
        return fault_set(why, MQ_EIO, (int)-got, "read %.120s", path);
    out->n += (size_t)got;
    return MQ_OK;
}

static enum mq_err load_one(struct config_file *f, const char *path, config_file_take_fn *take, void *ctx, struct fault *why)
{
    struct buf text = {0};
    struct fault inner = {0};
    enum mq_err err = read_whole(f->io, path, &text, why);
    if (err == MQ_OK) {
        err = take(ctx, buf_view(&text), &inner);
        if (err != MQ_OK)
            fault_set(why, err, inner.sys, "%.90s: %.100s", path, inner.what);
    }
    buf_free(&text);
    return err;
}

enum mq_err config_file_load(struct config_file *f, config_file_take_fn *take, void *ctx, struct fault *why)
{
    struct fault first = {0};
    char words[300];
    enum mq_err err = load_one(f, f->path, take, ctx, &first);
    if (err == MQ_OK)
        return MQ_OK;
    if (err != MQ_ENOTFOUND)
        log_warn("metadata", "file cannot be used, its backup is tried why=%s", fault_text(&first, words, sizeof words));
    enum mq_err second = load_one(f, f->bak, take, ctx, why);
    if (second == MQ_OK) {
        log_warn("metadata", "loaded from the backup file=%s", f->bak);
        return MQ_OK;
    }
    if (second != MQ_ENOTFOUND || err == MQ_ENOTFOUND)
        return second;
    if (why)
        *why = first;
    return err;
}

/* ---- writing ---- */
static enum mq_err write_tmp(struct config_file *f, struct slice text, struct fault *why)
{
    const struct store_io *io = f->io;
    int fd = io->open(io->ctx, f->tmp, STORE_OPEN_WRITE | STORE_OPEN_CREATE | STORE_OPEN_TRUNCATE);
    if (fd < 0)
        return fault_set(why, fd == -ENOSPC ? MQ_EFULL : MQ_EIO, -fd, "create %.120s", f->tmp);
    int64_t wrote = io->pwrite(io->ctx, fd, text.p, text.n, 0);
    int synced = wrote < 0 ? 0 : io->datasync(io->ctx, fd);
    io->close(io->ctx, fd);
    if (wrote < 0)
        return fault_set(why, wrote == -ENOSPC ? MQ_EFULL : MQ_EIO, (int)-wrote, "write %.120s", f->tmp);
    return synced < 0 ? fault_set(why, MQ_EIO, -synced, "sync %.120s", f->tmp) : MQ_OK;
}

static int sync_above(const struct store_io *io, const char *dir)
{
    char path[STORE_PATH_MAX];
    memcpy(path, dir, strlen(dir) + 1);
    int rc = 0;
    for (char *slash; rc >= 0 && (slash = strrchr(path, '/')) != NULL;) {
        *slash = 0;
        rc = io->sync_dir(io->ctx, path);
    }
    return rc < 0 ? rc : io->sync_dir(io->ctx, ".");
}

static enum mq_err replace(struct config_file *f, struct slice text, struct fault *why)
{
    const struct store_io *io = f->io;
    enum mq_err err = write_tmp(f, text, why);
    if (err != MQ_OK)
        return err;
    int rc = io->rename(io->ctx, f->path, f->bak);
    if (rc < 0 && rc != -ENOENT)
        return fault_set(why, MQ_EIO, -rc, "rename %.120s", f->path);
    rc = io->rename(io->ctx, f->tmp, f->path);
    if (rc < 0)
        return fault_set(why, MQ_EIO, -rc, "rename %.120s", f->tmp);
    rc = io->sync_dir(io->ctx, f->dir);
    if (rc >= 0 && !f->folder_sure) { /* the first write may have made the folder */
        rc = sync_above(io, f->dir);
        f->folder_sure = rc >= 0;
    }
    return rc < 0 ? fault_set(why, MQ_EIO, -rc, "sync folder %.120s", f->dir) : MQ_OK;
}

static void run(struct store_work *w) /* on LANE_CHORE */
{
    struct config_file *f = CONTAINER_OF(w, struct config_file, work);
    f->result = replace(f, buf_view(&f->writing), &f->why);
}

static void take_result(struct config_file *f)
{
    char words[300];
    bool was = f->failed;
    f->failed = f->result != MQ_OK;
    f->dirty = f->dirty || f->failed;
    if (f->failed && (!was || log_ok_now(&f->complained_ms, 60000)))
        log_error("metadata", "file not written, its old content stays file=%s why=%s", f->path, fault_text(&f->why, words, sizeof words));
    else if (was && !f->failed)
        log_info("metadata", "file written again file=%s", f->path);
    if (f->told)
        f->told(f->told_ctx, !f->failed);
}

static bool make_text(struct config_file *f)
{
    buf_clear(&f->writing);
    f->text(f->text_ctx, &f->writing);
    if (!f->writing.failed)
        return true;
    buf_free(&f->writing);
    f->result = fault_set(&f->why, MQ_ENOMEM, 0, "make the text of %.120s", f->path);
    take_result(f);
    return false;
}

static void start(struct config_file *f);
static void done(struct store_work *w)
{
    struct config_file *f = CONTAINER_OF(w, struct config_file, work);
    f->in_flight = false;
    bool changed = f->dirty;
    take_result(f);
    if (changed && !f->failed && !f->in_flight)
        start(f);
    else if (!f->in_flight && f->writing.cap > 1 << 20)
        buf_free(&f->writing);
}

static void start(struct config_file *f)
{
    if (!make_text(f))
        return;
    f->dirty = false;
    f->in_flight = true;
    f->work.run = run;
    f->work.done = done;
    f->exec->submit(f->exec->ctx, LANE_CHORE, &f->work);
}

void config_file_source(struct config_file *f, config_file_text_fn *text, void *ctx)
{
    f->text = text;
    f->text_ctx = ctx;
}

void config_file_tell(struct config_file *f, config_file_told_fn *told, void *ctx)
{
    f->told = told;
    f->told_ctx = ctx;
}

void config_file_changed(struct config_file *f)
{
    f->dirty = true;
    if (!f->in_flight)
        start(f);
}

void config_file_touch(struct config_file *f) { f->dirty = true; }

void config_file_retry(struct config_file *f)
{
    if (f->dirty && !f->in_flight)
        start(f);
}

bool config_file_dirty(const struct config_file *f) { return f->dirty || f->in_flight; }
bool config_file_failed(const struct config_file *f) { return f->failed; }

void config_file_close(struct config_file *f)
{
    if (f == NULL)
        return;
    assert(!f->in_flight);
    f->told = NULL;
    if (f->dirty && f->text && make_text(f)) {
        f->result = replace(f, buf_view(&f->writing), &f->why);
        f->dirty = false;
        take_result(f);
    }
    buf_free(&f->writing);
    mem_free(f);
}
