/* config_file.h - a JSON file that is replaced as a whole: X.tmp synced, X kept as X.bak, X.tmp renamed, directory synced.
 * Whoever owns the table says "changed"; the text is asked for when a write starts, on the core thread, and the writing is a work
 * of LANE_CHORE. One write per file is in flight; what changes meanwhile goes out together with the next one, which starts at
 * once. So a thousand changes cost a few writes, and a change is on the disk after at most two of them. A table that must not lose one
 * until then appends it to its change_log.h before.
 * Thread: core. */
#ifndef BROKER_METADATA_CONFIG_FILE_H
#define BROKER_METADATA_CONFIG_FILE_H
#include "broker/metadata/change_log.h"
#include "broker/store/message_store.h" /* store_io, store_exec */
#include "common/base/buf.h"

struct config_file;
/* path: beneath io's root, "config/topics.json". io and exec are borrowed until config_file_close(). */
enum mq_err config_file_new(const struct store_io *io, const struct store_exec *exec, const char *path, struct config_file **out);

/* Hands the text of X to `take`, or that of X.bak when X is absent, empty, unreadable or refused by it (a warning says so).
 * take: all or nothing. MQ_ENOTFOUND: neither exists (a first start). MQ_EMALFORMED and others: what was said of the last one. */
typedef enum mq_err config_file_take_fn(void *ctx, struct slice text, struct fault *why);
enum mq_err config_file_load(struct config_file *f, config_file_take_fn *take, void *ctx, struct fault *why);

/* Before loading: the table keeps its changes in a file of their own; `sync` as in change_log.h. MQ_ENOMEM, MQ_EINVAL. */
enum mq_err config_file_keep_changes(struct config_file *f, bool sync);
struct change_log *config_file_changes(struct config_file *f); /* NULL: it keeps none; the file's */

/* The start of a table that keeps its changes: the file, then what is newer than it. A first start's version gets now_ms. */
struct config_found {
    bool first;   /* there was no file: a first start, which is no failure here */
    bool changes; /* there were changes, so that the file is to be written */
};
enum mq_err config_file_load_changed(struct config_file *f, config_file_take_fn *take, change_apply_fn *apply, void *ctx, struct data_version *v,
                                     int64_t now_ms, struct config_found *out, struct fault *why);

/* Who makes the text, from now on. */
typedef void config_file_text_fn(void *ctx, struct buf *out);
void config_file_source(struct config_file *f, config_file_text_fn *text, void *ctx);
/* The start of a table without changes: loads (a first start is no failure), then the text comes from `text`. On failure f is closed. */
enum mq_err config_file_begin(struct config_file *f, config_file_take_fn *take, void *take_ctx, config_file_text_fn *text, void *text_ctx, struct fault *why);
/* Who is told, after each write: `good`, the text made last is on the disk; else it is not, also when no text could be made. Not by close. */
typedef void config_file_told_fn(void *ctx, bool good);
void config_file_tell(struct config_file *f, config_file_told_fn *told, void *ctx);
void config_file_changed(struct config_file *f);
void config_file_touch(struct config_file *f); /* dirty, but no write starts: for who is about to close */
/* Tries again what failed; nothing when nothing did. For a timer of the owner. */
void config_file_retry(struct config_file *f);
/* A change that is not on the disk yet. After a failed write it stays true, until a retry or the next change succeeds. */
bool config_file_dirty(const struct config_file *f);
bool config_file_failed(const struct config_file *f); /* the last write failed; it was logged */
/* Writes what is dirty, on the calling thread, and frees. Submitted works must have run. NULL allowed. */
void config_file_close(struct config_file *f);
#endif
