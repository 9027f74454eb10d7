/* config_file.c - replacing a file so that at each moment a whole one can be found.
 *
 *   write X.tmp, sync it | rename X to X.bak | rename X.tmp to X | sync the folder
 * A power cut leaves X new, X old, or no X and X.bak old; loading takes the first of X, X.bak that is whole.
 *   I1  after a cut at any step, what is loaded is the text before or after the change.  (test: unit/metadata/config_file)
 *   I2  one write is in flight; changes meanwhile make exactly one more.                 (test: the same)
 *   I3  a failed write is never taken for done: the file stays dirty.                    (test: the same)
 * A change that may not be lost meanwhile is in change_log.h's file before: that goes over to its other file when a text is made, and the
 * one that the text makes needless is emptied when it is in place.                        (test: unit/metadata/change_log)
 * Why the text is made late: a table of 10,000 topics is a megabyte; while a write is busy, making texts for each change would be
 * work for nobody. */
#include "broker/metadata/config_file.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "broker/metadata/whole_file.h"
#include "common/base/log.h"
#include "common/base/mem.h"

struct config_file {
    const struct store_io *io;
    const struct store_exec *exec;
    config_file_text_fn *text;
    config_file_told_fn *told; /* NULL: nobody */
    void *text_ctx, *told_ctx;
    struct change_log *changes; /* NULL: none are kept */
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
static enum mq_err load_one(struct config_file *f, const char *path, config_file_take_fn *take, void *ctx, struct fault *why)
{
    struct buf text = {0};
    struct fault inner = {0};
    enum mq_err err = whole_file_read(f->io, path, &text, why);
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

enum mq_err config_file_load_changed(struct config_file *f, config_file_take_fn *take, change_apply_fn *apply, void *ctx, struct data_version *v,
                                     int64_t now_ms, struct config_found *out, struct fault *why)
{
    enum mq_err err = config_file_load(f, take, ctx, why);
    *out = (struct config_found){.first = err == MQ_ENOTFOUND};
    if (err == MQ_OK || out->first)
        err = change_log_replay(f->changes, v, apply, ctx, &out->changes, why);
    if (out->first && v->counter == 0)
        v->timestamp_ms = now_ms;
    return err;
}

enum mq_err config_file_begin(struct config_file *f, config_file_take_fn *take, void *take_ctx, config_file_text_fn *text, void *text_ctx, struct fault *why)
{
    enum mq_err err = config_file_load(f, take, take_ctx, why);
    if (err != MQ_OK && err != MQ_ENOTFOUND) {
        config_file_close(f);
        return err;
    }
    config_file_source(f, text, text_ctx);
    return MQ_OK;
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
    /* the first write may have made the folder */
    rc = f->folder_sure ? io->sync_dir(io->ctx, f->dir) : whole_file_sync_names(io, f->dir);
    f->folder_sure = f->folder_sure || rc >= 0;
    return rc < 0 ? fault_set(why, MQ_EIO, -rc, "sync folder %.120s", f->dir) : MQ_OK;
}

static void run(struct store_work *w) /* on LANE_CHORE */
{
    struct config_file *f = CONTAINER_OF(w, struct config_file, work);
    f->result = replace(f, buf_view(&f->writing), &f->why);
    if (f->result == MQ_OK)
        change_log_empty_other(f->changes);
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
    if (!f->writing.failed) {
        change_log_turn_over(f->changes); /* to the file of what this text lacks */
        return true;
    }
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

enum mq_err config_file_keep_changes(struct config_file *f, bool sync) { return change_log_new(f->io, f->exec, f->path, sync, &f->changes); }
struct change_log *config_file_changes(struct config_file *f) { return f->changes; }

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
    change_log_close(f->changes, f->text && !f->dirty);
    buf_free(&f->writing);
    mem_free(f);
}
