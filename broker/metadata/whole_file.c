/* whole_file.c - see whole_file.h. */
#include "broker/metadata/whole_file.h"

#include <errno.h>
#include <string.h>

enum mq_err whole_file_read(const struct store_io *io, const char *path, struct buf *out, struct fault *why)
{
    struct store_stat st;
    int rc = io->stat(io->ctx, path, &st);
    if (rc == -ENOENT)
        return MQ_ENOTFOUND;
    if (rc < 0)
        return fault_set(why, MQ_EIO, -rc, "look at %.120s", path);
    if (st.size == 0)
        return MQ_ENOTFOUND; /* as if absent: an Apache broker was killed while writing */
    if (st.is_dir || st.size > WHOLE_FILE_MAX)
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

int whole_file_sync_names(const struct store_io *io, const char *dir)
{
    char path[STORE_PATH_MAX];
    memcpy(path, dir, strlen(dir) + 1);
    int rc = io->sync_dir(io->ctx, path);
    for (char *slash; rc >= 0 && (slash = strrchr(path, '/')) != NULL;) {
        *slash = 0;
        rc = io->sync_dir(io->ctx, path);
    }
    return rc < 0 || strcmp(path, ".") == 0 ? rc : io->sync_dir(io->ctx, ".");
}
