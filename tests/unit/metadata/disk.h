/* disk.h - a disk in memory for a handful of small files, and an executor that works when it is told to.
 * Names become durable with sync_dir, bytes with datasync; disk_cut() forgets the rest, as a power cut may. The n-th operation from now
 * on can be made to fail, or to be the last one that happens. */
#ifndef TESTS_UNIT_METADATA_DISK_H
#define TESTS_UNIT_METADATA_DISK_H
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/metadata/config_file.h"

enum { DISK_FILES = 32, DISK_INODES = 256 };
struct disk_bytes {
    uint8_t *p;
    size_t n;
};
struct disk_inode {
    struct disk_bytes now, durable;
};
struct disk_name {
    char name[STORE_PATH_MAX]; /* empty: free */
    int inode;
};
static struct disk {
    struct disk_inode inodes[DISK_INODES];
    int n_inodes;
    struct disk_name now[DISK_FILES], durable[DISK_FILES];
    int ops, fail_at, stop_at; /* operations so far; 0: none fails */
    int writes;
} disk;

static inline int disk_op(void) /* 0, or the error of this operation */
{
    disk.ops++;
    if (disk.stop_at && disk.ops >= disk.stop_at)
        return -EIO; /* the machine is off: nothing happens any more */
    return disk.fail_at && disk.ops == disk.fail_at ? -ENOSPC : 0;
}
static inline struct disk_name *disk_find(struct disk_name *names, const char *name)
{
    for (int i = 0; i < DISK_FILES; i++)
        if (strcmp(names[i].name, name) == 0)
            return &names[i];
    return NULL;
}
static inline void disk_set(struct disk_bytes *b, const void *p, size_t n)
{
    uint8_t *copy = malloc(n + 1);
    if (n)
        memcpy(copy, p, n);
    free(b->p);
    *b = (struct disk_bytes){copy, n};
}
static inline int disk_open(void *ctx, const char *path, int flags)
{
    (void)ctx;
    int err = flags & STORE_OPEN_WRITE ? disk_op() : 0;
    if (err)
        return err;
    struct disk_name *d = disk_find(disk.now, path);
    if (d == NULL && !(flags & STORE_OPEN_CREATE))
        return -ENOENT;
    if (d == NULL) {
        d = disk_find(disk.now, "");
        strcpy(d->name, path);
        d->inode = disk.n_inodes++;
    }
    if (flags & STORE_OPEN_TRUNCATE)
        disk_set(&disk.inodes[d->inode].now, "", 0);
    return d->inode;
}
static inline void disk_close(void *ctx, int fd) { (void)ctx, (void)fd; }
static inline int64_t disk_pread(void *ctx, int fd, void *to, size_t n, uint64_t off)
{
    (void)ctx;
    struct disk_bytes *b = &disk.inodes[fd].now;
    size_t got = off >= b->n ? 0 : b->n - off < n ? b->n - off : n;
    memcpy(to, b->p + off, got);
    return (int64_t)got;
}
static inline int64_t disk_pwrite(void *ctx, int fd, const void *from, size_t n, uint64_t off)
{
    (void)ctx;
    int err = disk_op();
    cr_assert(off == 0);
    if (err)
        return err;
    disk.writes++;
    disk_set(&disk.inodes[fd].now, from, n);
    return (int64_t)n;
}
static inline int disk_datasync(void *ctx, int fd)
{
    (void)ctx;
    int err = disk_op();
    if (!err)
        disk_set(&disk.inodes[fd].durable, disk.inodes[fd].now.p, disk.inodes[fd].now.n);
    return err;
}
static inline int disk_rename(void *ctx, const char *from, const char *to)
{
    (void)ctx;
    int err = disk_op();
    struct disk_name *f = disk_find(disk.now, from), *t = disk_find(disk.now, to);
    if (err)
        return err;
    if (f == NULL)
        return -ENOENT;
    if (t)
        t->name[0] = 0;
    strcpy(f->name, to);
    return 0;
}
static inline int disk_sync_dir(void *ctx, const char *path)
{
    (void)ctx;
    int err = disk_op();
    cr_assert(strcmp(path, "config") == 0 || strcmp(path, ".") == 0);
    if (!err && path[0] == 'c')
        memcpy(disk.durable, disk.now, sizeof disk.durable);
    return err;
}
static inline int disk_stat(void *ctx, const char *path, struct store_stat *out)
{
    (void)ctx;
    struct disk_name *d = disk_find(disk.now, path);
    if (d == NULL)
        return -ENOENT;
    *out = (struct store_stat){.size = disk.inodes[d->inode].now.n};
    return 0;
}
static const struct store_io disk_io = {.open = disk_open, .close = disk_close, .pread = disk_pread, .pwrite = disk_pwrite, .datasync = disk_datasync,
                                        .rename = disk_rename, .sync_dir = disk_sync_dir, .stat = disk_stat};

/* What a power cut may leave: names since the last sync_dir kept or lost, bytes that were not synced kept or lost. */
static inline void disk_cut(bool keep_names, bool keep_bytes)
{
    if (!keep_names)
        memcpy(disk.now, disk.durable, sizeof disk.now);
    for (int i = 0; !keep_bytes && i < disk.n_inodes; i++)
        disk_set(&disk.inodes[i].now, disk.inodes[i].durable.p, disk.inodes[i].durable.n);
    disk.stop_at = disk.fail_at = 0;
}
static inline void disk_reset(void)
{
    for (int i = 0; i < disk.n_inodes; i++) {
        free(disk.inodes[i].now.p);
        free(disk.inodes[i].durable.p);
    }
    memset(&disk, 0, sizeof disk);
}
static inline void disk_put(const char *path, const char *text)
{
    int fd = disk_open(NULL, path, STORE_OPEN_WRITE | STORE_OPEN_CREATE);
    disk_pwrite(NULL, fd, text, strlen(text), 0);
    disk_datasync(NULL, fd);
    disk_sync_dir(NULL, "config");
}
static inline const char *disk_text(const char *path) /* "" when absent */
{
    struct disk_name *d = disk_find(disk.now, path);
    if (d == NULL || disk.inodes[d->inode].now.n == 0)
        return "";
    disk.inodes[d->inode].now.p[disk.inodes[d->inode].now.n] = 0;
    return (const char *)disk.inodes[d->inode].now.p;
}
static inline char *fixture(const char *path) /* a file of the tree; yours */
{
    FILE *f = fopen(path, "r");
    cr_assert(f != NULL, "%s is missing (run from the top of the tree)", path);
    char *text = calloc(1, 1 << 16);
    cr_assert(fread(text, 1, (1 << 16) - 1, f) > 0);
    fclose(f);
    return text;
}

/* ---- works ---- */
static struct list works;
static inline void works_submit(void *ctx, enum store_lane lane, struct store_work *w)
{
    (void)ctx;
    cr_assert(lane == LANE_CHORE);
    if (works.next == NULL)
        list_init(&works);
    list_push_back(&works, &w->node);
}
static inline bool works_step(void) /* runs one; false: none was waiting */
{
    if (works.next == NULL || list_empty(&works))
        return false;
    struct store_work *w = CONTAINER_OF(works.next, struct store_work, node);
    list_remove(&w->node);
    w->run(w);
    w->done(w);
    return true;
}
static inline void works_all(void)
{
    while (works_step())
        ;
}
static const struct store_exec works_exec = {.submit = works_submit};
#endif
