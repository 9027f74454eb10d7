/* text_file.h - a small file that is read and replaced as a whole.
 * Thread: any; the calls block on the disk. */
#ifndef NAMESRV_KVCONFIG_TEXT_FILE_H
#define NAMESRV_KVCONFIG_TEXT_FILE_H
#include "common/base/buf.h"
#include "common/base/err.h"

enum { TEXT_FILE_MAX = 64 << 20 }; /* bytes; a larger file is refused */

/* Appends the file's bytes. MQ_ENOTFOUND (absent), MQ_ELIMIT, MQ_EIO, MQ_ENOMEM. */
enum mq_err text_file_read(const char *path, struct buf *out, struct fault *why);

/* Makes `text` the content of path, all or nothing even across a power cut; what was there stays as path.bak. Missing
 * folders are created. MQ_EIO: the old content is still in place. */
enum mq_err text_file_replace(const char *path, struct slice text, struct fault *why);
#endif
