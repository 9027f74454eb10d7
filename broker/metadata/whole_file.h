/* whole_file.h - small files that are read at once, and names that survive a power cut. Thread: any. */
#ifndef BROKER_METADATA_WHOLE_FILE_H
#define BROKER_METADATA_WHOLE_FILE_H
#include "broker/store/store_io.h"
#include "common/base/buf.h"

enum { WHOLE_FILE_MAX = 256 << 20 }; /* bytes; a larger file is refused */

/* Appends the bytes of a file. MQ_ENOTFOUND: absent or empty. Fails: MQ_ELIMIT (a folder, too large), MQ_EIO, MQ_ENOMEM. */
enum mq_err whole_file_read(const struct store_io *io, const char *path, struct buf *out, struct fault *why);
/* dir and the folders above it, up to the root. */
int whole_file_sync_names(const struct store_io *io, const char *dir);
#endif
