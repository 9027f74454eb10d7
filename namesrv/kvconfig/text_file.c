/* text_file.c - replace by rename.
 *
 * Written and synced beside the file, then renamed over it, then the folder is synced: at each moment the path holds either
 * the old or the new text. The backup is a second link to the old file, so that it costs no copy and the old
 * text has a name all the time. (Apache deletes the file before it renames the new one: a crash between leaves neither.)
 * (test: text_file, a_replaced_file_keeps_the_old_one_beside_it) */
#include "namesrv/kvconfig/text_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum mq_err text_file_read(const char *path, struct buf *out, struct fault *why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    enum mq_err err = MQ_OK;

    if (fd < 0)
        return fault_set(why, errno == ENOENT ? MQ_ENOTFOUND : MQ_EIO, errno, "open %s", path);
    if (fstat(fd, &st) != 0)
        err = fault_set(why, MQ_EIO, errno, "stat %s", path);
    else if (st.st_size > TEXT_FILE_MAX)
        err = fault_set(why, MQ_ELIMIT, 0, "%s has %lld bytes, %d are allowed", path, (long long)st.st_size, TEXT_FILE_MAX);
    for (ssize_t got = 1; err == MQ_OK && got > 0;) {
        uint8_t *room = buf_room(out, 65536);
        if (room == NULL) {
            err = fault_set(why, MQ_ENOMEM, 0, "read %s", path);
            break;
        }
        got = read(fd, room, 65536);
        if (got < 0 && errno == EINTR)
            got = 1;
        else if (got < 0)
            err = fault_set(why, MQ_EIO, errno, "read %s", path);
        else
            out->n += (size_t)got;
        if (out->n > TEXT_FILE_MAX)
            err = fault_set(why, MQ_ELIMIT, 0, "%s is larger than %d bytes", path, TEXT_FILE_MAX);
    }
    close(fd);
    return err;
}

/* Creates the folders above path. */
static enum mq_err make_folders(const char *path, struct fault *why)
{
    char dir[PATH_MAX];
    if ((size_t)snprintf(dir, sizeof dir, "%s", path) >= sizeof dir)
        return fault_set(why, MQ_EINVAL, ENAMETOOLONG, "path %.80s...", path);
    for (char *slash = strchr(dir + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        if (mkdir(dir, 0755) != 0 && errno != EEXIST)
            return fault_set(why, MQ_EIO, errno, "create folder %s", dir);
        *slash = '/';
    }
    return MQ_OK;
}

static enum mq_err write_synced(const char *path, struct slice text, struct fault *why)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    enum mq_err err = MQ_OK;

    if (fd < 0)
        return fault_set(why, MQ_EIO, errno, "create %s", path);
    while (text.n > 0 && err == MQ_OK) {
        ssize_t put = write(fd, text.p, text.n);
        if (put >= 0)
            text = slice_from(text, (size_t)put);
        else if (errno != EINTR)
            err = fault_set(why, MQ_EIO, errno, "write %s", path);
    }
    if (err == MQ_OK && fsync(fd) != 0)
        err = fault_set(why, MQ_EIO, errno, "sync %s", path);
    if (close(fd) != 0 && err == MQ_OK)
        err = fault_set(why, MQ_EIO, errno, "close %s", path);
    return err;
}

static enum mq_err sync_folder_of(const char *path, struct fault *why)
{
    char dir[PATH_MAX];
    snprintf(dir, sizeof dir, "%s", path);
    char *slash = strrchr(dir, '/');
    if (slash)
        slash[slash == dir] = 0; /* "/x" is in "/" */
    int fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fault_set(why, MQ_EIO, errno, "open folder %s", dir);
    enum mq_err err = fsync(fd) == 0 ? MQ_OK : fault_set(why, MQ_EIO, errno, "sync folder %s", dir);
    close(fd);
    return err;
}

enum mq_err text_file_replace(const char *path, struct slice text, struct fault *why)
{
    char tmp[PATH_MAX], bak[PATH_MAX];
    enum mq_err err = make_folders(path, why);

    if (err != MQ_OK)
        return err;
    if ((size_t)snprintf(tmp, sizeof tmp, "%s.tmp", path) >= sizeof tmp || (size_t)snprintf(bak, sizeof bak, "%s.bak", path) >= sizeof bak)
        return fault_set(why, MQ_EINVAL, ENAMETOOLONG, "path %.80s...", path);
    if ((err = write_synced(tmp, text, why)) != MQ_OK)
        goto undo;
    if (unlink(bak) != 0 && errno != ENOENT) {
        err = fault_set(why, MQ_EIO, errno, "remove %s", bak);
        goto undo;
    }
    if (link(path, bak) != 0 && errno != ENOENT && errno != EPERM && errno != EOPNOTSUPP) { /* no links there: no backup */
        err = fault_set(why, MQ_EIO, errno, "keep %s", bak);
        goto undo;
    }
    if (rename(tmp, path) != 0) {
        err = fault_set(why, MQ_EIO, errno, "rename %s", tmp);
        goto undo;
    }
    return sync_folder_of(path, why);

undo:
    unlink(tmp);
    return err;
}
