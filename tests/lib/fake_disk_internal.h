/* fake_disk_internal.h - what fake_disk.c and fake_disk_cut.c share; see fake_disk.h for the contract. */
#ifndef TESTS_LIB_FAKE_DISK_INTERNAL_H
#define TESTS_LIB_FAKE_DISK_INTERNAL_H
#include "tests/lib/fake_disk.h"
#include "tests/lib/rng.h"

enum { SECTOR_DIRTY = 1, SECTOR_ALLOCATED = 2, SECTOR_COLD = 4, FILE_MAX = 1 << 28, TRACE = 64 };

struct inode {
    uint8_t *seen, *safe; /* cap bytes each; zeros behind their sizes */
    uint8_t *flags;       /* of each sector */
    uint64_t *when;       /* it became dirty */
    uint64_t cap, size, safe_size;
    uint64_t resized;     /* when the size changed; 0: safe_size is size */
    int64_t modified_ms;
    const void *locked;   /* by this descriptor */
    struct inode *next, *copy;
};
struct name {
    char *path;
    uint32_t hash;
    struct inode *inode; /* NULL: a folder */
};
struct names {
    struct name *all;
    size_t n, cap;
};
struct change { /* of a name, not sure yet */
    char *from, *to;     /* from: removed (NULL: none); to: made or replaced (NULL: none) */
    struct inode *inode;
    uint64_t when;
};
struct file {
    struct inode *inode;
    bool used, write;
    char path[STORE_PATH_MAX];
};
struct fake_disk {
    struct store_io io;
    struct rng rng;
    struct inode *inodes;
    struct names seen, safe;
    struct change *changes;
    size_t n_changes, cap_changes;
    struct file *files;
    size_t n_files;
    uint64_t clock, steps, stop_at, capacity, allocated, room_free, room_total;
    uint32_t writeback;
    int64_t now_ms;
    bool lie_datasync, lie_sync_dir, did_fail, fail_forever;
    enum fake_op fail_op;
    uint64_t fail_in;
    int fail_err;
    void (*after)(void *ctx, const struct fake_step *s);
    void *after_ctx;
    struct fake_step trace[TRACE];
};

void *fake_must(void *p); /* aborts on NULL */
struct name *fake_names_get(const struct names *t, const char *path); /* NULL: absent */
void fake_names_set(struct names *t, const char *path, struct inode *inode);
void fake_names_drop(struct names *t, const char *path);
void fake_names_fini(struct names *t);
const char *fake_dir_of(const char *path, char *dir); /* the folder into dir[STORE_PATH_MAX]: "" is the root */
void fake_apply(struct names *t, const struct change *c);
bool fake_change_is_in(const struct change *c, const char *dir);
void fake_drop_changes(struct fake_disk *d);
void fake_write_sector(struct inode *i, uint64_t sector); /* to the medium */
void fake_settle_size(struct inode *i);
#endif
