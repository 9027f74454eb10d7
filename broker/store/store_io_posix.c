/* store_io_posix.c - the real disk beneath one directory.
 *
 * Every path is opened relative to the root's descriptor, so that a renamed or unmounted directory is noticed and no name from outside
 * can lead elsewhere: a path with "..", an absolute one, or one that is too long is refused before the kernel sees it.
 *
 *   I1  a write returns n or an error: short writes are continued, EINTR is repeated.
 *   I2  pread_nowait() never waits for the medium: what is not wholly in the page cache is -EAGAIN. File systems without RWF_NOWAIT
 *       (EOPNOTSUPP) are read plainly: they are in memory (tmpfs) or there is no better way.
 *   I3  bytes of a window that the medium does not give, or that were cut off its file, are -EIO: the signal that the kernel sends for them
 *       (SIGBUS) ends copy() on the thread that it hits. Outside of copy() it ends the process, as ever.
 * The lock is one of an open file description: it excludes a Java broker's FileChannel.tryLock() and any other process's POSIX lock on the same
 * byte, also a second store of this process, and it doesn't vanish when another descriptor of the file is closed. */
#include "broker/store/store_io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "common/base/mem.h"

enum { DIR_MODE = 0755, FILE_MODE = 0644, SEQUENTIAL = 1 << 20, EXTENTS_MAX = 10000 };
struct disk {
    int root;
};

static int root_of(void *ctx) { return ((struct disk *)ctx)->root; }

/* Relative, short enough, and no ".." between slashes. */
static bool path_good(const char *path)
{
    size_t n = strnlen(path, STORE_PATH_MAX);
    if (n == 0 || n >= STORE_PATH_MAX || path[0] == '/')
        return false;
    for (const char *at = path; (at = strstr(at, "..")) != NULL; at += 2)
        if ((at == path || at[-1] == '/') && (at[2] == 0 || at[2] == '/'))
            return false;
    return true;
}

/* Makes the folders above the last part of the path. */
static int make_parents(int root, const char *path)
{
    char part[STORE_PATH_MAX];
    for (const char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        size_t n = (size_t)(slash - path);
        memcpy(part, path, n);
        part[n] = 0;
        if (mkdirat(root, part, DIR_MODE) < 0 && errno != EEXIST)
            return -errno;
    }
    return 0;
}

static int disk_open(void *ctx, const char *path, int flags)
{
    if (!path_good(path))
        return -EINVAL;
    int how = O_CLOEXEC | (flags & STORE_OPEN_WRITE ? O_RDWR : O_RDONLY) | (flags & STORE_OPEN_CREATE ? O_CREAT : 0) |
              (flags & STORE_OPEN_TRUNCATE ? O_TRUNC : 0);
    for (int tries = 0;; tries++) {
        int fd = openat(root_of(ctx), path, how, FILE_MODE);
        if (fd >= 0)
            return fd;
        if (errno == EINTR)
            continue;
        if (errno != ENOENT || !(flags & STORE_OPEN_CREATE) || tries > 0)
            return -errno;
        int r = make_parents(root_of(ctx), path);
        if (r < 0)
            return r;
    }
}

static void disk_close(void *ctx, int fd)
{
    (void)ctx;
    close(fd); /* errors of earlier writes were asked for by fdatasync; after EINTR the descriptor is gone on Linux */
}

static int64_t disk_pread(void *ctx, int fd, void *to, size_t n, uint64_t off)
{
    size_t done = 0;
    (void)ctx;
    if (n >= SEQUENTIAL) /* whoever reads that much goes on: the disk works while we check what came */
        (void)posix_fadvise(fd, (off_t)(off + n), (off_t)n, POSIX_FADV_WILLNEED);
    while (done < n) {
        ssize_t r = pread(fd, (uint8_t *)to + done, n - done, (off_t)(off + done));
        if (r == 0)
            break;
        if (r > 0)
            done += (size_t)r;
        else if (errno != EINTR)
            return -errno;
    }
    return (int64_t)done;
}

static int64_t disk_pread_nowait(void *ctx, int fd, void *to, size_t n, uint64_t off)
{
    size_t done = 0;
    while (done < n) {
        struct iovec v = {.iov_base = (uint8_t *)to + done, .iov_len = n - done};
        ssize_t r = preadv2(fd, &v, 1, (off_t)(off + done), RWF_NOWAIT);
        if (r == 0)
            break;
        if (r > 0)
            done += (size_t)r;
        else if (errno == EOPNOTSUPP || errno == ENOSYS)
            return disk_pread(ctx, fd, to, n, off);
        else if (errno != EINTR)
            return -errno;
    }
    return (int64_t)done;
}

/* On ext4 and XFS blocks that were allocated ahead and never written are holes, too; pages that are in memory only so far are not. */
static int64_t disk_data_end(void *ctx, int fd, uint64_t from)
{
    struct stat st;
    off_t hole = (off_t)from;
    (void)ctx;
    if (fstat(fd, &st) < 0)
        return -errno;
    for (int extents = 0; extents < EXTENTS_MAX; extents++) {
        off_t data = lseek(fd, hole, SEEK_DATA);
        if (data < 0)
            return errno == ENXIO ? hole : st.st_size;
        hole = lseek(fd, data, SEEK_HOLE);
        if (hole <= data)
            break;
    }
    return st.st_size;
}

static int64_t disk_pwrite(void *ctx, int fd, const void *from, size_t n, uint64_t off)
{
    size_t done = 0;
    (void)ctx;
    while (done < n) {
        ssize_t r = pwrite(fd, (const uint8_t *)from + done, n - done, (off_t)(off + done));
        if (r > 0)
            done += (size_t)r;
        else if (r == 0)
            return -EIO; /* never for files; without progress it would loop */
        else if (errno != EINTR)
            return -errno;
    }
    return (int64_t)n;
}

static int disk_datasync(void *ctx, int fd)
{
    (void)ctx;
    return fdatasync(fd) < 0 ? -errno : 0; /* no repeat on EINTR: the state of the pages is not known then */
}

/* Before Linux 5.8 syncfs() did not tell that writing back had failed. */
static int disk_sync_all(void *ctx)
{
    struct utsname u;
    int major = 0, minor = 0;
    if (uname(&u) < 0 || sscanf(u.release, "%d.%d", &major, &minor) != 2 || major < 5 || (major == 5 && minor < 8))
        return -ENOSYS;
    return syncfs(root_of(ctx)) < 0 ? -errno : 0;
}

static int allocate_blocks(int fd, off_t from, off_t n)
{
    int r;
    do
        r = fallocate(fd, 0, from, n) < 0 ? -errno : 0;
    while (r == -EINTR);
    return r == -EOPNOTSUPP || r == -ENOSYS ? 0 : r; /* such a file system finds out when it writes */
}

static int disk_set_size(void *ctx, int fd, uint64_t size, bool allocate)
{
    struct stat st;
    (void)ctx;
    if (size > INT64_MAX)
        return -EFBIG;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (allocate && (off_t)size > st.st_size) {
        int r = allocate_blocks(fd, st.st_size, (off_t)size - st.st_size);
        if (r < 0)
            return r;
    }
    int r;
    do
        r = ftruncate(fd, (off_t)size) < 0 ? -errno : 0;
    while (r == -EINTR);
    return r;
}

static void disk_read_ahead(void *ctx, int fd, uint64_t off, uint64_t n)
{
    (void)ctx;
    (void)posix_fadvise(fd, (off_t)off, (off_t)n, POSIX_FADV_WILLNEED);
}

static void disk_write_behind(void *ctx, int fd, uint64_t off, uint64_t n)
{
    (void)ctx;
    (void)sync_file_range(fd, (off64_t)off, (off64_t)n, SYNC_FILE_RANGE_WRITE);
}

static int disk_rename(void *ctx, const char *from, const char *to)
{
    if (!path_good(from) || !path_good(to))
        return -EINVAL;
    return renameat(root_of(ctx), from, root_of(ctx), to) < 0 ? -errno : 0;
}

static int disk_unlink(void *ctx, const char *path)
{
    if (!path_good(path))
        return -EINVAL;
    return unlinkat(root_of(ctx), path, 0) < 0 ? -errno : 0;
}

static int disk_rmdir(void *ctx, const char *path)
{
    if (!path_good(path))
        return -EINVAL;
    return unlinkat(root_of(ctx), path, AT_REMOVEDIR) < 0 ? -errno : 0;
}

static int disk_mkdir(void *ctx, const char *path)
{
    if (!path_good(path))
        return -EINVAL;
    int r = make_parents(root_of(ctx), path);
    if (r < 0)
        return r;
    return mkdirat(root_of(ctx), path, DIR_MODE) < 0 && errno != EEXIST ? -errno : 0;
}

static int open_dir(void *ctx, const char *path)
{
    if (!path_good(path))
        return -EINVAL;
    int fd = openat(root_of(ctx), path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static int disk_sync_dir(void *ctx, const char *path)
{
    int fd = open_dir(ctx, path);
    if (fd < 0)
        return fd;
    int r = fsync(fd) < 0 ? -errno : 0;
    close(fd);
    return r == -EINVAL ? 0 : r; /* a file system that can't sync folders */
}

static bool entry_is_dir(int dir, const struct dirent *e)
{
    struct stat st;
    if (e->d_type != DT_UNKNOWN && e->d_type != DT_LNK)
        return e->d_type == DT_DIR;
    return fstatat(dir, e->d_name, &st, 0) == 0 && S_ISDIR(st.st_mode);
}

static int disk_list(void *ctx, const char *path, store_list_fn *fn, void *arg)
{
    int fd = open_dir(ctx, path);
    if (fd < 0)
        return fd;
    DIR *d = fdopendir(fd);
    if (d == NULL) {
        int r = -errno;
        close(fd);
        return r;
    }
    const struct dirent *e;
    while (errno = 0, (e = readdir(d)) != NULL)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            fn(arg, e->d_name, entry_is_dir(dirfd(d), e));
    int r = -errno;
    closedir(d);
    return r;
}

static int disk_stat(void *ctx, const char *path, struct store_stat *out)
{
    struct stat st;
    if (!path_good(path))
        return -EINVAL;
    if (fstatat(root_of(ctx), path, &st, 0) < 0)
        return -errno;
    *out = (struct store_stat){.size = (uint64_t)st.st_size,
                               .modified_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000,
                               .is_dir = S_ISDIR(st.st_mode)};
    return 0;
}

static int disk_lock(void *ctx, int fd)
{
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
    (void)ctx;
    int r = fcntl(fd, F_OFD_SETLK, &l);
    if (r < 0 && errno == EINVAL)
        r = fcntl(fd, F_SETLK, &l);
    if (r == 0)
        return 0;
    return errno == EACCES ? -EAGAIN : -errno;
}

static int disk_room(void *ctx, const char *path, uint64_t *free_bytes, uint64_t *total_bytes)
{
    struct statvfs v;
    int fd = open_dir(ctx, path);
    if (fd < 0)
        return fd;
    int r = fstatvfs(fd, &v) < 0 ? -errno : 0;
    close(fd);
    if (r == 0) {
        *free_bytes = (uint64_t)v.f_bavail * v.f_frsize;
        *total_bytes = (uint64_t)v.f_blocks * v.f_frsize;
    }
    return r;
}

/* ---- windows ---- */
static _Thread_local sigjmp_buf *volatile copying;

static void on_bus_error(int sig)
{
    if (copying != NULL)
        siglongjmp(*copying, 1);
    signal(sig, SIG_DFL); /* the access is repeated and ends the process */
}

static void catch_bus_errors(void)
{
    struct sigaction act = {.sa_handler = on_bus_error, .sa_flags = SA_NODEFER}; /* so that there is no mask to restore */
    sigemptyset(&act.sa_mask);
    sigaction(SIGBUS, &act, NULL);
}

static const uint8_t *disk_map(void *ctx, int fd, uint64_t off, size_t n)
{
    (void)ctx;
    void *p = mmap(NULL, n, PROT_READ, MAP_SHARED, fd, (off_t)off);
    return p == MAP_FAILED ? NULL : p;
}

static void disk_unmap(void *ctx, const uint8_t *p, size_t n)
{
    (void)ctx;
    munmap((void *)(uintptr_t)p, n);
}

static size_t disk_in_memory(void *ctx, const uint8_t *p, size_t n)
{
    unsigned char pages[64];
    size_t done = 0, page = (size_t)sysconf(_SC_PAGESIZE);
    (void)ctx;
    while (done < n) {
        size_t part = n - done < sizeof pages * page ? n - done : sizeof pages * page;
        if (mincore((void *)(uintptr_t)(p + done), part, pages) != 0)
            return done;
        for (size_t i = 0; i * page < part; i++)
            if (!(pages[i] & 1))
                return done + i * page;
        done += part;
    }
    return n;
}

static int disk_copy(void *ctx, void *to, const uint8_t *from, size_t n)
{
    sigjmp_buf here;
    (void)ctx;
    if (sigsetjmp(here, 0) != 0) {
        copying = NULL;
        return -EIO;
    }
    copying = &here;
    atomic_signal_fence(memory_order_seq_cst);
    memcpy(to, from, n);
    atomic_signal_fence(memory_order_seq_cst);
    copying = NULL;
    return 0;
}

/* The root and all folders above it. */
static int make_root(const char *root)
{
    char part[4096];
    size_t n = strnlen(root, sizeof part);
    if (n == 0 || n == sizeof part)
        return -ENAMETOOLONG;
    for (size_t i = 1; i <= n; i++) {
        if (i < n && root[i] != '/')
            continue;
        memcpy(part, root, i);
        part[i] = 0;
        if (mkdir(part, DIR_MODE) < 0 && errno != EEXIST)
            return -errno;
    }
    return 0;
}

enum mq_err store_io_posix_init(const char *root, struct store_io *out, struct fault *why)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    int r = make_root(root);
    if (r < 0)
        return fault_set(why, MQ_EIO, -r, "make folder %.150s", root);
    int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fault_set(why, MQ_EIO, errno, "open folder %.150s", root);
    struct disk *d = mem_zalloc(sizeof *d);
    if (d == NULL) {
        close(fd);
        return fault_set(why, MQ_ENOMEM, 0, "store in %.150s", root);
    }
    pthread_once(&once, catch_bus_errors);
    d->root = fd;
    *out = (struct store_io){.ctx = d, .open = disk_open, .close = disk_close, .pread = disk_pread, .pread_nowait = disk_pread_nowait,
                             .read_ahead = disk_read_ahead, .data_end = disk_data_end, .pwrite = disk_pwrite, .datasync = disk_datasync,
                             .sync_all = disk_sync_all, .set_size = disk_set_size, .write_behind = disk_write_behind, .rename = disk_rename,
                             .unlink = disk_unlink, .rmdir = disk_rmdir, .mkdir = disk_mkdir, .sync_dir = disk_sync_dir, .list = disk_list, .stat = disk_stat,
                             .map = disk_map, .unmap = disk_unmap, .in_memory = disk_in_memory, .copy = disk_copy, .lock = disk_lock, .room = disk_room};
    return MQ_OK;
}

void store_io_posix_fini(struct store_io *io)
{
    if (io->ctx == NULL)
        return;
    close(root_of(io->ctx));
    mem_free(io->ctx);
    io->ctx = NULL;
}
