/* files.h - a few files in memory and an executor that works at once, for the loaders of the broker's JSON files. */
#ifndef TESTS_FUZZ_FILES_H
#define TESTS_FUZZ_FILES_H
#include <errno.h>
#include <string.h>

#include "broker/metadata/config_file.h"
#include "common/base/log.h"
#include "tests/fuzz/fuzz.h"

enum { FILES = 4 };
static struct file {
    char name[STORE_PATH_MAX]; /* empty: free */
    struct buf bytes;
} files[FILES];

static inline struct file *files_find(const char *name)
{
    for (int i = 0; i < FILES; i++)
        if (strcmp(files[i].name, name) == 0)
            return &files[i];
    return NULL;
}
static inline void files_drop(struct file *f)
{
    buf_free(&f->bytes);
    f->name[0] = '\0';
}
static inline void files_reset(void)
{
    for (int i = 0; i < FILES; i++)
        files_drop(&files[i]);
    log_set_level(LOG_OFF);
}
static inline struct file *files_put(const char *name, struct slice text)
{
    struct file *f = files_find(name) ? files_find(name) : files_find("");
    CHECK(f != NULL);
    strcpy(f->name, name);
    buf_clear(&f->bytes);
    buf_slice(&f->bytes, text);
    return f;
}
static inline int files_stat(void *ctx, const char *path, struct store_stat *out)
{
    (void)ctx;
    const struct file *f = files_find(path);
    *out = (struct store_stat){.size = f ? f->bytes.n : 0};
    return f ? 0 : -ENOENT;
}
static inline int files_open(void *ctx, const char *path, int flags)
{
    (void)ctx;
    struct file *f = files_find(path);
    if (f == NULL && !(flags & STORE_OPEN_CREATE))
        return -ENOENT;
    if (f == NULL || flags & STORE_OPEN_TRUNCATE)
        f = files_put(path, (struct slice){0});
    return (int)(f - files);
}
static inline void files_close(void *ctx, int fd) { (void)ctx, (void)fd; }
static inline int64_t files_pread(void *ctx, int fd, void *to, size_t n, uint64_t off)
{
    (void)ctx;
    struct slice from = slice_head(slice_from(buf_view(&files[fd].bytes), off), n);
    if (from.n)
        memcpy(to, from.p, from.n);
    return (int64_t)from.n;
}
static inline int64_t files_pwrite(void *ctx, int fd, const void *from, size_t n, uint64_t off)
{
    (void)ctx;
    struct buf *b = &files[fd].bytes;
    CHECK(off <= b->n);
    size_t over = n < b->n - off ? n : (size_t)(b->n - off); /* bytes that are there already */
    if (over)
        memcpy(b->p + off, from, over);
    buf_put(b, (const uint8_t *)from + over, n - over);
    return (int64_t)n;
}
static inline int files_sync(void *ctx, int fd) { return (void)ctx, (void)fd, 0; }
static inline int files_sync_dir(void *ctx, const char *path) { return (void)ctx, (void)path, 0; }
static inline int files_rename(void *ctx, const char *from, const char *to)
{
    (void)ctx;
    struct file *f = files_find(from), *old = files_find(to);
    if (f == NULL)
        return -ENOENT;
    if (old)
        files_drop(old);
    strcpy(f->name, to);
    return 0;
}
static inline void files_submit(void *ctx, enum store_lane lane, struct store_work *w)
{
    (void)ctx, (void)lane;
    w->run(w);
    w->done(w);
}
static const struct store_io files_io = {.stat = files_stat, .open = files_open, .close = files_close, .pread = files_pread, .pwrite = files_pwrite,
                                         .datasync = files_sync, .sync_dir = files_sync_dir, .rename = files_rename};
static const struct store_exec files_exec = {.submit = files_submit};

static inline struct config_file *files_config(const char *path)
{
    struct config_file *f = NULL;
    CHECK(config_file_new(&files_io, &files_exec, path, &f) == MQ_OK);
    return f;
}
#endif
