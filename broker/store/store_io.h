/* store_io.h - the disk as the store sees it: paths beneath one root directory, whole operations, errors as return values.
 * Two implementations: the real one (store_io_posix.c) and the fake disk of tests/sim, which forgets what was not synced and
 * fails on request. Thread: every operation may be called from any thread; two calls on one file do not overlap in writing.
 * Results: >= 0 is success, < 0 is -errno. Paths are relative, without "..", shorter than STORE_PATH_MAX. */
#ifndef BROKER_STORE_STORE_IO_H
#define BROKER_STORE_STORE_IO_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/base/err.h"

enum { STORE_PATH_MAX = 512 };
enum { STORE_OPEN_READ = 0, STORE_OPEN_WRITE = 1, STORE_OPEN_CREATE = 2, STORE_OPEN_TRUNCATE = 4 }; /* WRITE can read, too */

struct store_stat {
    uint64_t size;
    int64_t modified_ms;
    bool is_dir;
};
typedef void store_list_fn(void *arg, const char *name, bool is_dir);

struct store_io {
    void *ctx;
    int (*open)(void *ctx, const char *path, int flags); /* a descriptor; folders above are made with CREATE */
    void (*close)(void *ctx, int fd);
    int64_t (*pread)(void *ctx, int fd, void *to, size_t n, uint64_t off);        /* bytes; short only at the end of the file */
    int64_t (*pread_nowait)(void *ctx, int fd, void *to, size_t n, uint64_t off); /* -EAGAIN: not all of it is in memory */
    void (*read_ahead)(void *ctx, int fd, uint64_t off, uint64_t n); /* starts reading into the page cache; a hint. May be NULL */
    /* The place >= from from where on are zeros, known without reading: holes; the size when unknown. May be NULL. */
    int64_t (*data_end)(void *ctx, int fd, uint64_t from);
    int64_t (*pwrite)(void *ctx, int fd, const void *from, size_t n, uint64_t off); /* n, or an error: short writes are continued */
    int (*datasync)(void *ctx, int fd);                                             /* waits for the medium */
    int (*sync_all)(void *ctx); /* waits until all files and names beneath the root are on the medium; -ENOSYS: can't say so. May be NULL */
    int (*set_size)(void *ctx, int fd, uint64_t size, bool allocate); /* zeros behind the old end; allocate: with blocks, -ENOSPC */
    void (*write_behind)(void *ctx, int fd, uint64_t off, uint64_t n); /* starts writing back; a hint */
    int (*rename)(void *ctx, const char *from, const char *to);
    int (*unlink)(void *ctx, const char *path);
    int (*rmdir)(void *ctx, const char *path);
    int (*mkdir)(void *ctx, const char *path);                          /* with those above; existing is success */
    int (*sync_dir)(void *ctx, const char *path);                       /* names survive a power cut from now on */
    int (*list)(void *ctx, const char *path, store_list_fn *fn, void *arg); /* in no order; -ENOENT when absent */
    int (*stat)(void *ctx, const char *path, struct store_stat *out);
    /* Windows of a file for reading: all four, or none (NULL). map: off is a multiple of the page size; NULL: not possible. The file may
     * have been closed or unlinked meanwhile, and what is written to it is seen. in_memory: leading bytes of [p, p + n) of a window that
     * are in memory just now. copy: 0; -EIO: the medium failed, or the file was cut. */
    const uint8_t *(*map)(void *ctx, int fd, uint64_t off, size_t n);
    void (*unmap)(void *ctx, const uint8_t *p, size_t n);
    size_t (*in_memory)(void *ctx, const uint8_t *p, size_t n);
    int (*copy)(void *ctx, void *to, const uint8_t *from, size_t n);
    int (*lock)(void *ctx, int fd);                                     /* exclusive, byte 0 length 1; -EAGAIN: held elsewhere */
    int (*room)(void *ctx, const char *path, uint64_t *free_bytes, uint64_t *total_bytes);
};

/* The real disk beneath `root`, which is made when absent. *out is yours, end with store_io_posix_fini(). */
enum mq_err store_io_posix_init(const char *root, struct store_io *out, struct fault *why);
void store_io_posix_fini(struct store_io *io);
#endif
