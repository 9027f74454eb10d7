/* config_file.h - a JSON file that is replaced as a whole: X.tmp synced, X kept as X.bak, renamed, directory synced.
 * The text is made on the core thread, the writing is a work of LANE_CHORE; one write per file is in flight, the newest text wins.
 * Thread: core. */
#ifndef BROKER_METADATA_CONFIG_FILE_H
#define BROKER_METADATA_CONFIG_FILE_H
#include "broker/store/message_store.h" /* store_io, store_exec */
#include "common/base/buf.h"

struct config_file;
/* path: beneath io's root, "config/topics.json". */
enum mq_err config_file_new(const struct store_io *io, const struct store_exec *exec, const char *path, struct config_file **out);
/* Appends the text of X, or of X.bak when X is absent, empty or refused by `good`. MQ_ENOTFOUND: neither (a first start). */
enum mq_err config_file_load(struct config_file *f, bool (*good)(struct slice text), struct buf *out, struct fault *why);
void config_file_save(struct config_file *f, struct buf *text); /* taken: *text is zeroed. A failure is logged, and kept: */
bool config_file_failed(const struct config_file *f);           /* the last write failed */
void config_file_close(struct config_file *f, struct buf *text); /* writes text (NULL: nothing) on the calling thread, frees */
#endif
