/* fake_disk.c - two images of everything, and what may happen between them.
 *
 *   I1  what datasync and sync_dir confirmed survives every cut.         (test: unit/lib fake_disk, what_was_synced_survives_every_cut)
 *   I2  a cut leaves of each sector the old or the new bytes, never others; of each name the old or the new file.
 *                                                                        (test: the same, a_sector_is_old_or_new)
 *   I3  same seed, same operations: same result.
 * Harder than real file systems in places, on purpose: sectors of one truncation survive one by one, a folder needs its parent's
 * sync. What a store survives here it survives there; the reverse would be worthless.
 * What a cut leaves: fake_disk_cut.c. Files are small in tests, so an image is one block of memory and a clone copies all. */
#include "tests/lib/fake_disk_internal.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void *fake_must(void *p)
{
    if (p == NULL)
        abort();
    return p;
}
static char *copy_text(const char *s) { return s ? fake_must(strdup(s)) : NULL; }
static void copy_path(char *to, size_t cap, const char *path) /* cuts what does not fit */
{
    size_t n = strlen(path);
    n = n < cap ? n : cap - 1;
    memcpy(to, path, n);
    to[n] = 0;
}
static uint64_t sectors_of(uint64_t bytes) { return (bytes + FAKE_SECTOR - 1) / FAKE_SECTOR; }

/* ---- names ---- */

static uint32_t hash_of(const char *s)
{
    uint32_t h = 2166136261u;
    while (*s)
        h = (h ^ (uint8_t)*s++) * 16777619u;
    return h;
}

/* "" and "." are the root; it has no name. */
static const char *plain(const char *path)
{
    while (path[0] == '.' && path[1] == '/')
        path += 2;
    return strcmp(path, ".") == 0 ? "" : path;
}

struct name *fake_names_get(const struct names *t, const char *path)
{
    uint32_t h = hash_of(path);
    for (size_t i = 0; i < t->n; i++)
        if (t->all[i].hash == h && strcmp(t->all[i].path, path) == 0)
            return &t->all[i];
    return NULL;
}

void fake_names_set(struct names *t, const char *path, struct inode *inode)
{
    struct name *at = fake_names_get(t, path);
    if (at == NULL) {
        if (t->n == t->cap)
            t->all = fake_must(realloc(t->all, (t->cap = t->cap * 2 + 16) * sizeof *t->all));
        at = &t->all[t->n++];
        at->path = copy_text(path);
        at->hash = hash_of(path);
    }
    at->inode = inode;
}

void fake_names_drop(struct names *t, const char *path)
{
    struct name *at = fake_names_get(t, path);
    if (at == NULL)
        return;
    free(at->path);
    *at = t->all[--t->n];
}

void fake_names_fini(struct names *t)
{
    for (size_t i = 0; i < t->n; i++)
        free(t->all[i].path);
    free(t->all);
    *t = (struct names){0};
}

/* The folder of a path into dir[STORE_PATH_MAX]: "" is the root. */
const char *fake_dir_of(const char *path, char *dir)
{
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 0;
    memcpy(dir, path, n);
    dir[n] = 0;
    return dir;
}

void fake_apply(struct names *t, const struct change *c)
{
    if (c->from)
        fake_names_drop(t, c->from);
    if (c->to)
        fake_names_set(t, c->to, c->inode);
}

static void change_free(struct change *c)
{
    free(c->from);
    free(c->to);
}

static void change(struct fake_disk *d, const char *from, const char *to, struct inode *inode)
{
    if (d->n_changes == d->cap_changes)
        d->changes = fake_must(realloc(d->changes, (d->cap_changes = d->cap_changes * 2 + 16) * sizeof *d->changes));
    struct change *c = &d->changes[d->n_changes++];
    *c = (struct change){copy_text(from), copy_text(to), inode, ++d->clock};
    fake_apply(&d->seen, c);
}

bool fake_change_is_in(const struct change *c, const char *dir)
{
    char of[STORE_PATH_MAX];
    return (c->to && strcmp(fake_dir_of(c->to, of), dir) == 0) || (c->from && strcmp(fake_dir_of(c->from, of), dir) == 0);
}

/* Makes the changes of one folder sure (dir NULL: all). */
static void commit_names(struct fake_disk *d, const char *dir)
{
    size_t kept = 0;
    for (size_t i = 0; i < d->n_changes; i++) {
        if (dir != NULL && !fake_change_is_in(&d->changes[i], dir)) {
            d->changes[kept++] = d->changes[i];
            continue;
        }
        fake_apply(&d->safe, &d->changes[i]);
        change_free(&d->changes[i]);
    }
    d->n_changes = kept;
}

static bool is_dir(const struct fake_disk *d, const char *path)
{
    const struct name *n = path[0] ? fake_names_get(&d->seen, path) : NULL;
    return path[0] == 0 || (n != NULL && n->inode == NULL);
}

static int make_dirs(struct fake_disk *d, const char *path)
{
    char upto[STORE_PATH_MAX];
    for (size_t i = 1, n = strlen(path); i <= n; i++) {
        if (path[i] != '/' && path[i] != 0)
            continue;
        memcpy(upto, path, i);
        upto[i] = 0;
        struct name *have = fake_names_get(&d->seen, upto);
        if (have != NULL && have->inode != NULL)
            return -ENOTDIR;
        if (have == NULL)
            change(d, NULL, upto, NULL);
    }
    return 0;
}

/* ---- inodes ---- */

static struct inode *inode_new(struct fake_disk *d)
{
    struct inode *i = fake_must(calloc(1, sizeof *i));
    i->next = d->inodes;
    d->inodes = i;
    i->modified_ms = d->now_ms;
    return i;
}

static void inode_free(struct inode *i)
{
    free(i->seen);
    free(i->safe);
    free(i->flags);
    free(i->when);
    free(i);
}

static void inode_room(struct inode *i, uint64_t size)
{
    if (size <= i->cap)
        return;
    assert(size <= FILE_MAX);
    uint64_t cap = sectors_of(size > i->cap * 2 ? size : i->cap * 2) * FAKE_SECTOR, old = i->cap;
    i->seen = fake_must(realloc(i->seen, cap));
    i->safe = fake_must(realloc(i->safe, cap));
    i->flags = fake_must(realloc(i->flags, cap / FAKE_SECTOR));
    i->when = fake_must(realloc(i->when, cap / FAKE_SECTOR * sizeof *i->when));
    memset(i->seen + old, 0, cap - old);
    memset(i->safe + old, 0, cap - old);
    memset(i->flags + old / FAKE_SECTOR, 0, (cap - old) / FAKE_SECTOR);
    memset(i->when + old / FAKE_SECTOR, 0, (cap - old) / FAKE_SECTOR * sizeof *i->when);
    i->cap = cap;
}

static void touch(struct fake_disk *d, struct inode *i, uint64_t sector)
{
    if (!(i->flags[sector] & SECTOR_DIRTY))
        i->when[sector] = ++d->clock;
    i->flags[sector] = (uint8_t)((i->flags[sector] | SECTOR_DIRTY) & ~SECTOR_COLD);
}

/* Blocks for [off, off + n), or -ENOSPC. */
static int allocate(struct fake_disk *d, struct inode *i, uint64_t off, uint64_t n)
{
    uint64_t need = 0;
    for (uint64_t s = off / FAKE_SECTOR; s < sectors_of(off + n); s++)
        need += !(i->flags[s] & SECTOR_ALLOCATED);
    if (d->capacity != 0 && (d->allocated + need) * FAKE_SECTOR > d->capacity)
        return -ENOSPC;
    for (uint64_t s = off / FAKE_SECTOR; s < sectors_of(off + n); s++)
        i->flags[s] |= SECTOR_ALLOCATED;
    d->allocated += need;
    return 0;
}

static void resize(struct fake_disk *d, struct inode *i, uint64_t size)
{
    inode_room(i, size);
    for (uint64_t s = size / FAKE_SECTOR; s < sectors_of(i->size); s++) { /* shrinking: zeros that are not on the medium */
        uint64_t from = s * FAKE_SECTOR < size ? size : s * FAKE_SECTOR;
        memset(i->seen + from, 0, (s + 1) * FAKE_SECTOR - from);
        touch(d, i, s);
        if (s * FAKE_SECTOR >= size && i->flags[s] & SECTOR_ALLOCATED) {
            i->flags[s] = (uint8_t)(i->flags[s] & ~SECTOR_ALLOCATED);
            d->allocated--;
        }
    }
    if (size != i->size || i->resized)
        i->resized = ++d->clock;
    i->size = size;
    i->modified_ms = d->now_ms;
}

void fake_write_sector(struct inode *i, uint64_t s)
{
    memcpy(i->safe + s * FAKE_SECTOR, i->seen + s * FAKE_SECTOR, FAKE_SECTOR);
    i->flags[s] = (uint8_t)(i->flags[s] & ~SECTOR_DIRTY);
}

void fake_settle_size(struct inode *i)
{
    i->safe_size = i->size;
    i->resized = 0;
}

static void sync_inode(struct inode *i)
{
    for (uint64_t s = 0; s < i->cap / FAKE_SECTOR; s++)
        if (i->flags[s] & SECTOR_DIRTY)
            fake_write_sector(i, s);
    fake_settle_size(i);
}

/* ---- steps: counting, failing, telling ---- */

/* 0, or the error that this operation gives. */
static int may(struct fake_disk *d, enum fake_op op)
{
    if (d->stop_at != 0 && d->steps >= d->stop_at)
        return -EIO;
    if (d->fail_in == 0 || (op != d->fail_op && d->fail_op != FAKE_ANY) || (d->fail_op == FAKE_ANY && op == FAKE_PREAD))
        return 0;
    if (d->fail_in > 1) {
        d->fail_in--;
        return 0;
    }
    if (!d->fail_forever)
        d->fail_in = 0;
    d->did_fail = true;
    return d->fail_err;
}

static void background(struct fake_disk *d)
{
    if (d->writeback == 0 || !rng_one_in(&d->rng, d->writeback))
        return;
    if (rng_one_in(&d->rng, 4)) { /* the journal's commit */
        commit_names(d, NULL);
        for (struct inode *i = d->inodes; i; i = i->next)
            fake_settle_size(i);
        return;
    }
    for (struct inode *i = d->inodes; i; i = i->next) {
        if (!rng_one_in(&d->rng, 4))
            continue;
        for (uint64_t s = 0; s < i->cap / FAKE_SECTOR; s++)
            if (i->flags[s] & SECTOR_DIRTY && rng_one_in(&d->rng, 2))
                fake_write_sector(i, s);
    }
}

static int64_t step(struct fake_disk *d, enum fake_op op, const char *path, uint64_t off, uint64_t n, int64_t result)
{
    if (d->stop_at != 0 && d->steps >= d->stop_at)
        return result;
    struct fake_step *s = &d->trace[++d->steps % TRACE];
    s->number = d->steps;
    s->op = op;
    s->off = off;
    s->n = n;
    s->result = result;
    copy_path(s->path, sizeof s->path, path);
    background(d);
    if (d->after)
        d->after(d->after_ctx, s);
    return result;
}

/* ---- operations ---- */

static struct file *file_of(struct fake_disk *d, int fd) { return fd >= 0 && (size_t)fd < d->n_files && d->files[fd].used ? &d->files[fd] : NULL; }

static int new_fd(struct fake_disk *d)
{
    for (size_t i = 0; i < d->n_files; i++)
        if (!d->files[i].used)
            return (int)i;
    size_t n = d->n_files * 2 + 16;
    d->files = fake_must(realloc(d->files, n * sizeof *d->files));
    memset(d->files + d->n_files, 0, (n - d->n_files) * sizeof *d->files);
    int fd = (int)d->n_files;
    d->n_files = n;
    return fd;
}

static int op_open(void *ctx, const char *path, int flags)
{
    struct fake_disk *d = ctx;
    path = plain(path);
    assert(path[0] && path[0] != '/' && strstr(path, "..") == NULL && strlen(path) < STORE_PATH_MAX);
    int err = may(d, FAKE_OPEN);
    if (err)
        return (int)step(d, FAKE_OPEN, path, 0, (uint64_t)flags, err);
    struct name *have = fake_names_get(&d->seen, path);
    if (have != NULL && have->inode == NULL)
        return -EISDIR;
    if (have == NULL && !(flags & STORE_OPEN_CREATE))
        return -ENOENT;
    struct inode *inode = have ? have->inode : inode_new(d);
    bool changed = have == NULL || (flags & STORE_OPEN_TRUNCATE && inode->size > 0);
    if (have == NULL) {
        char dir[STORE_PATH_MAX];
        err = make_dirs(d, fake_dir_of(path, dir));
        if (err)
            return err;
        change(d, NULL, path, inode);
    } else if (flags & STORE_OPEN_TRUNCATE) {
        resize(d, inode, 0);
    }
    int fd = new_fd(d);
    struct file *f = &d->files[fd];
    f->inode = inode;
    f->used = true;
    f->write = (flags & (STORE_OPEN_WRITE | STORE_OPEN_CREATE)) != 0;
    copy_path(f->path, sizeof f->path, path);
    return changed ? (int)step(d, FAKE_OPEN, path, 0, (uint64_t)flags, fd) : fd;
}

static void op_close(void *ctx, int fd)
{
    struct fake_disk *d = ctx;
    struct file *f = file_of(d, fd);
    assert(f != NULL); /* a descriptor closed twice */
    if (f->inode->locked == (void *)(intptr_t)(fd + 1))
        f->inode->locked = NULL;
    f->used = false;
}

static int64_t read_at(struct inode *i, void *to, size_t n, uint64_t off)
{
    size_t got = off >= i->size ? 0 : i->size - off < n ? (size_t)(i->size - off) : n;
    if (got > 0)
        memcpy(to, i->seen + off, got);
    return (int64_t)got;
}

static int64_t op_pread(void *ctx, int fd, void *to, size_t n, uint64_t off)
{
    struct fake_disk *d = ctx;
    struct file *f = file_of(d, fd);
    int err = f == NULL ? -EBADF : may(d, FAKE_PREAD);
    if (err)
        return err;
    int64_t got = read_at(f->inode, to, n, off);
    for (uint64_t s = off / FAKE_SECTOR; got > 0 && s < sectors_of(off + (uint64_t)got); s++)
        f->inode->flags[s] = (uint8_t)(f->inode->flags[s] & ~SECTOR_COLD);
    return got;
}

static int64_t op_pread_nowait(void *ctx, int fd, void *to, size_t n, uint64_t off)
{
    struct fake_disk *d = ctx;
    struct file *f = file_of(d, fd);
    int err = f == NULL ? -EBADF : may(d, FAKE_PREAD);
    if (err)
        return err;
    for (uint64_t s = off / FAKE_SECTOR; s < sectors_of(off + n < f->inode->size ? off + n : f->inode->size); s++)
        if (f->inode->flags[s] & SECTOR_COLD)
            return -EAGAIN;
    return read_at(f->inode, to, n, off);
}

static int64_t op_data_end(void *ctx, int fd, uint64_t from)
{
    struct fake_disk *d = ctx;
    struct file *f = file_of(d, fd);
    int err = f == NULL ? -EBADF : may(d, FAKE_PREAD);
    if (err)
        return err;
    uint64_t end = f->inode->size;
    while (end > from && f->inode->seen[end - 1] == 0)
        end--;
    end = sectors_of(end) * FAKE_SECTOR;
    return (int64_t)(end < f->inode->size ? end : f->inode->size);
}

static int64_t op_pwrite(void *ctx, int fd, const void *from, size_t n, uint64_t off)
{
    struct fake_disk *d = ctx;
    struct file *f = file_of(d, fd);
    if (f == NULL || !f->write)
        return -EBADF;
    struct inode *i = f->inode;
    int64_t r = may(d, FAKE_PWRITE);
    if (r == 0 && off + n > FILE_MAX)
        r = -EFBIG;
    if (r == 0) {
        inode_room(i, off + n);
        r = allocate(d, i, off, n);
    }
    if (r == 0) {
        if (n > 0)
            memcpy(i->seen + off, from, n);
        for (uint64_t s = off / FAKE_SECTOR; n > 0 && s < sectors_of(off + n); s++)
            touch(d, i, s);
        if (off + n > i->size)
            resize(d, i, off + n);
        i->modified_ms = d->now_ms;
        r = (int64_t)n;
    }
    return step(d, FAKE_PWRITE, f->path, off, n, r);
}

static int op_datasync(void *ctx, int fd)
{
    struct fake_disk *d = ctx;
    struct file *f = file_of(d, fd);
    if (f == NULL)
        return -EBADF;
    int err = may(d, FAKE_DATASYNC);
    bool off = d->stop_at != 0 && d->steps >= d->stop_at;
    if (err == 0 && !d->lie_datasync)
        sync_inode(f->inode);
    if (err < 0 && !off)
        for (uint64_t s = 0; s < f->inode->cap / FAKE_SECTOR; s++)
            f->inode->flags[s] = (uint8_t)(f->inode->flags[s] & ~SECTOR_DIRTY);
    return (int)step(d, FAKE_DATASYNC, f->path, 0, 0, err);
}

static int op_sync_all(void *ctx)
{
    struct fake_disk *d = ctx;
    int err = may(d, FAKE_SYNC_ALL);
    for (struct inode *i = d->inodes; i && err == 0 && !d->lie_datasync; i = i->next)
        sync_inode(i);
    if (err == 0 && !d->lie_sync_dir)
        commit_names(d, NULL);
    return (int)step(d, FAKE_SYNC_ALL, "", 0, 0, err);
}

static int op_set_size(void *ctx, int fd, uint64_t size, bool alloc)
{
    struct fake_disk *d = ctx;
    struct file *f = file_of(d, fd);
    if (f == NULL || !f->write)
        return -EBADF;
    int err = may(d, FAKE_SET_SIZE);
    if (err == 0 && size > FILE_MAX)
        err = -EFBIG;
    if (err == 0) {
        uint64_t old = f->inode->size;
        inode_room(f->inode, size);
        if (alloc)
            err = allocate(d, f->inode, 0, size);
        if (err == 0 && size != old)
            resize(d, f->inode, size);
    }
    return (int)step(d, FAKE_SET_SIZE, f->path, size, alloc, err);
}

static void op_write_behind(void *ctx, int fd, uint64_t off, uint64_t n)
{
    struct fake_disk *d = ctx;
    struct file *f = file_of(d, fd);
    assert(f != NULL);
    bool on = d->stop_at == 0 || d->steps < d->stop_at;
    for (uint64_t s = off / FAKE_SECTOR; on && n > 0 && s < sectors_of(off + n) && s < f->inode->cap / FAKE_SECTOR; s++)
        if (f->inode->flags[s] & SECTOR_DIRTY && d->writeback != 0 && rng_one_in(&d->rng, 2))
            fake_write_sector(f->inode, s);
    step(d, FAKE_WRITE_BEHIND, f->path, off, n, 0);
}

static int op_rename(void *ctx, const char *from, const char *to)
{
    struct fake_disk *d = ctx;
    from = plain(from);
    to = plain(to);
    int err = may(d, FAKE_RENAME);
    struct name *have = fake_names_get(&d->seen, from);
    char dir[STORE_PATH_MAX];
    if (err == 0 && have == NULL)
        return -ENOENT;
    if (err == 0 && have->inode == NULL)
        return -EINVAL; /* folders: nobody needs it */
    if (err == 0 && !is_dir(d, fake_dir_of(to, dir)))
        return -ENOENT;
    if (err == 0)
        change(d, from, to, have->inode);
    return (int)step(d, FAKE_RENAME, to, 0, 0, err);
}

static int op_unlink(void *ctx, const char *path)
{
    struct fake_disk *d = ctx;
    path = plain(path);
    int err = may(d, FAKE_UNLINK);
    struct name *have = fake_names_get(&d->seen, path);
    if (err == 0 && have == NULL)
        return -ENOENT;
    if (err == 0 && have->inode == NULL)
        return -EISDIR;
    if (err == 0) {
        for (uint64_t s = 0; s < have->inode->cap / FAKE_SECTOR; s++) { /* blocks are free at once, even if it is open */
            d->allocated -= (have->inode->flags[s] & SECTOR_ALLOCATED) != 0;
            have->inode->flags[s] = (uint8_t)(have->inode->flags[s] & ~SECTOR_ALLOCATED);
        }
        change(d, path, NULL, NULL);
    }
    return (int)step(d, FAKE_UNLINK, path, 0, 0, err);
}

static bool is_beneath(const char *path, const char *dir)
{
    size_t n = strlen(dir);
    return n == 0 || (strncmp(path, dir, n) == 0 && path[n] == '/');
}

static int op_rmdir(void *ctx, const char *path)
{
    struct fake_disk *d = ctx;
    path = plain(path);
    int err = may(d, FAKE_RMDIR);
    struct name *have = fake_names_get(&d->seen, path);
    if (err == 0 && have == NULL)
        return -ENOENT;
    if (err == 0 && have->inode != NULL)
        return -ENOTDIR;
    for (size_t i = 0; err == 0 && i < d->seen.n; i++)
        if (is_beneath(d->seen.all[i].path, path))
            return -ENOTEMPTY;
    if (err == 0)
        change(d, path, NULL, NULL);
    return (int)step(d, FAKE_RMDIR, path, 0, 0, err);
}

static int op_mkdir(void *ctx, const char *path)
{
    struct fake_disk *d = ctx;
    path = plain(path);
    if (path[0] == 0 || (fake_names_get(&d->seen, path) != NULL && is_dir(d, path)))
        return 0;
    int err = may(d, FAKE_MKDIR);
    if (err == 0)
        err = make_dirs(d, path);
    return (int)step(d, FAKE_MKDIR, path, 0, 0, err);
}

static int op_sync_dir(void *ctx, const char *path)
{
    struct fake_disk *d = ctx;
    path = plain(path);
    int err = may(d, FAKE_SYNC_DIR);
    if (err == 0 && !is_dir(d, path))
        return -ENOENT;
    if (err == 0 && !d->lie_sync_dir)
        commit_names(d, path);
    return (int)step(d, FAKE_SYNC_DIR, path, 0, 0, err);
}

static int op_list(void *ctx, const char *path, store_list_fn *fn, void *arg)
{
    struct fake_disk *d = ctx;
    path = plain(path);
    if (!is_dir(d, path))
        return fake_names_get(&d->seen, path) ? -ENOTDIR : -ENOENT;
    size_t skip = path[0] ? strlen(path) + 1 : 0;
    for (size_t i = 0; i < d->seen.n; i++) {
        const struct name *n = &d->seen.all[i];
        if (is_beneath(n->path, path) && strchr(n->path + skip, '/') == NULL)
            fn(arg, n->path + skip, n->inode == NULL);
    }
    return 0;
}

static int op_stat(void *ctx, const char *path, struct store_stat *out)
{
    struct fake_disk *d = ctx;
    path = plain(path);
    const struct name *have = fake_names_get(&d->seen, path);
    if (!is_dir(d, path) && have == NULL)
        return -ENOENT;
    *out = (struct store_stat){.is_dir = is_dir(d, path)};
    if (!out->is_dir) {
        out->size = have->inode->size;
        out->modified_ms = have->inode->modified_ms;
    }
    return 0;
}

static int op_lock(void *ctx, int fd)
{
    struct fake_disk *d = ctx;
    struct file *f = file_of(d, fd);
    if (f == NULL)
        return -EBADF;
    if (f->inode->locked != NULL && f->inode->locked != (void *)(intptr_t)(fd + 1))
        return -EAGAIN;
    f->inode->locked = (void *)(intptr_t)(fd + 1);
    return 0;
}

static int op_room(void *ctx, const char *path, uint64_t *free_bytes, uint64_t *total_bytes)
{
    struct fake_disk *d = ctx;
    (void)path;
    *total_bytes = d->room_total ? d->room_total : d->capacity ? d->capacity : (uint64_t)1 << 40;
    *free_bytes = d->room_total ? d->room_free : *total_bytes - d->allocated * FAKE_SECTOR;
    return 0;
}

/* ---- life ---- */

struct fake_disk *fake_disk_new(uint64_t seed)
{
    struct fake_disk *d = fake_must(calloc(1, sizeof *d));
    d->rng = rng_of(seed);
    d->io = (struct store_io){.ctx = d, .open = op_open, .close = op_close, .pread = op_pread, .pread_nowait = op_pread_nowait,
                              .data_end = op_data_end, .pwrite = op_pwrite, .datasync = op_datasync, .sync_all = op_sync_all,
                              .set_size = op_set_size, .write_behind = op_write_behind, .rename = op_rename,
                              .unlink = op_unlink, .rmdir = op_rmdir, .mkdir = op_mkdir, .sync_dir = op_sync_dir, .list = op_list, .stat = op_stat,
                              .lock = op_lock, .room = op_room};
    return d;
}

static struct inode *inode_copy(struct fake_disk *to, struct inode *from)
{
    if (from == NULL || from->copy != NULL)
        return from ? from->copy : NULL;
    struct inode *i = from->copy = inode_new(to);
    inode_room(i, from->cap);
    if (from->cap > 0) {
        memcpy(i->seen, from->seen, from->cap);
        memcpy(i->safe, from->safe, from->cap);
        memcpy(i->flags, from->flags, from->cap / FAKE_SECTOR);
        memcpy(i->when, from->when, from->cap / FAKE_SECTOR * sizeof *i->when);
    }
    i->size = from->size;
    i->safe_size = from->safe_size;
    i->resized = from->resized;
    i->modified_ms = from->modified_ms;
    return i;
}

static void names_copy(struct fake_disk *to_disk, struct names *to, const struct names *from)
{
    to->cap = to->n = from->n;
    to->all = fake_must(calloc(from->n + 1, sizeof *to->all));
    for (size_t i = 0; i < from->n; i++)
        to->all[i] = (struct name){copy_text(from->all[i].path), from->all[i].hash, inode_copy(to_disk, from->all[i].inode)};
}

struct fake_disk *fake_disk_clone(const struct fake_disk *d, uint64_t seed)
{
    struct fake_disk *c = fake_disk_new(seed);
    for (struct inode *i = d->inodes; i; i = i->next)
        i->copy = NULL;
    names_copy(c, &c->seen, &d->seen);
    names_copy(c, &c->safe, &d->safe);
    c->cap_changes = c->n_changes = d->n_changes;
    c->changes = fake_must(calloc(d->n_changes + 1, sizeof *c->changes));
    for (size_t i = 0; i < d->n_changes; i++) {
        const struct change *from = &d->changes[i];
        c->changes[i] = (struct change){copy_text(from->from), copy_text(from->to), inode_copy(c, from->inode), from->when};
    }
    c->clock = d->clock;
    c->writeback = d->writeback;
    c->capacity = d->capacity;
    c->allocated = d->allocated;
    c->room_free = d->room_free;
    c->room_total = d->room_total;
    c->now_ms = d->now_ms;
    return c;
}

void fake_drop_changes(struct fake_disk *d)
{
    for (size_t i = 0; i < d->n_changes; i++)
        change_free(&d->changes[i]);
    d->n_changes = 0;
}

void fake_disk_free(struct fake_disk *d)
{
    if (d == NULL)
        return;
    fake_names_fini(&d->seen);
    fake_names_fini(&d->safe);
    fake_drop_changes(d);
    free(d->changes);
    for (struct inode *i = d->inodes, *next; i; i = next) {
        next = i->next;
        inode_free(i);
    }
    free(d->files);
    free(d);
}

const struct store_io *fake_disk_io(struct fake_disk *d) { return &d->io; }

/* ---- knobs, looking ---- */

const char *fake_op_name(enum fake_op op)
{
    static const char *const names[] = {"open", "pread", "pwrite", "datasync", "set_size", "rename", "unlink", "rmdir", "mkdir", "sync_dir",
                                        "write_behind", "sync_all", "any"};
    return names[op];
}

void fake_disk_fail(struct fake_disk *d, enum fake_op op, uint64_t nth, int err, bool forever)
{
    assert(nth == 0 || err < 0);
    d->fail_op = op;
    d->fail_in = nth;
    d->fail_err = err;
    d->fail_forever = forever;
    d->did_fail = false;
}
bool fake_disk_did_fail(const struct fake_disk *d) { return d->did_fail; }
void fake_disk_stop_at(struct fake_disk *d, uint64_t number) { d->stop_at = number; }
void fake_disk_lie(struct fake_disk *d, bool datasync, bool sync_dir)
{
    d->lie_datasync = datasync;
    d->lie_sync_dir = sync_dir;
}
void fake_disk_writeback(struct fake_disk *d, uint32_t one_in) { d->writeback = one_in; }
void fake_disk_capacity(struct fake_disk *d, uint64_t bytes) { d->capacity = bytes; }
void fake_disk_room(struct fake_disk *d, uint64_t free_bytes, uint64_t total_bytes)
{
    d->room_free = free_bytes;
    d->room_total = total_bytes;
}
void fake_disk_clock(struct fake_disk *d, int64_t now_ms) { d->now_ms = now_ms; }

void fake_disk_chill(struct fake_disk *d, const char *path)
{
    for (size_t i = 0; i < d->seen.n; i++) {
        struct inode *f = d->seen.all[i].inode;
        if (f == NULL || (path != NULL && strcmp(d->seen.all[i].path, path) != 0))
            continue;
        for (uint64_t s = 0; s < f->cap / FAKE_SECTOR; s++) {
            if (f->flags[s] & SECTOR_DIRTY)
                fake_write_sector(f, s);
            memcpy(f->seen + s * FAKE_SECTOR, f->safe + s * FAKE_SECTOR, FAKE_SECTOR); /* what a failed datasync left behind shows */
            f->flags[s] |= SECTOR_COLD;
        }
    }
}

uint64_t fake_disk_steps(const struct fake_disk *d) { return d->steps; }
void fake_disk_hook(struct fake_disk *d, void (*after)(void *ctx, const struct fake_step *s), void *ctx)
{
    d->after = after;
    d->after_ctx = ctx;
}

void fake_disk_trace(const struct fake_disk *d, FILE *to, unsigned last)
{
    if (last > TRACE - 1)
        last = TRACE - 1;
    for (uint64_t k = d->steps > last ? d->steps - last + 1 : 1; k <= d->steps; k++) {
        const struct fake_step *s = &d->trace[k % TRACE];
        fprintf(to, "  %6" PRIu64 " %-12s %s off=%" PRIu64 " n=%" PRIu64 " -> %" PRId64 "\n", s->number, fake_op_name(s->op), s->path, s->off, s->n, s->result);
    }
}

int fake_disk_open_files(const struct fake_disk *d)
{
    int n = 0;
    for (size_t i = 0; i < d->n_files; i++)
        n += d->files[i].used;
    return n;
}

uint64_t fake_disk_used(const struct fake_disk *d) { return d->allocated * FAKE_SECTOR; }

uint8_t *fake_disk_bytes(struct fake_disk *d, const char *path, uint64_t *n)
{
    struct name *have = fake_names_get(&d->seen, plain(path));
    if (have == NULL || have->inode == NULL)
        return NULL;
    *n = have->inode->size;
    return have->inode->seen;
}

void fake_disk_damage(struct fake_disk *d, const char *path, uint64_t off, const void *bytes, uint64_t n)
{
    struct name *have = fake_names_get(&d->seen, plain(path));
    struct inode *i = have ? have->inode : inode_new(d);
    if (have == NULL) {
        char dir[STORE_PATH_MAX];
        make_dirs(d, fake_dir_of(plain(path), dir));
        change(d, NULL, plain(path), i);
        commit_names(d, NULL);
    }
    inode_room(i, off + n);
    if (n > 0) {
        memcpy(i->seen + off, bytes, n);
        memcpy(i->safe + off, bytes, n);
    }
    if (off + n > i->size)
        i->size = off + n;
    fake_settle_size(i);
}

void fake_disk_each(struct fake_disk *d, void (*fn)(void *ctx, const char *path, uint64_t size), void *ctx)
{
    for (size_t i = 0; i < d->seen.n; i++)
        if (d->seen.all[i].inode != NULL)
            fn(ctx, d->seen.all[i].path, d->seen.all[i].inode->size);
}
