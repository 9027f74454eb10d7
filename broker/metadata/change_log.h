/* change_log.h - the changes of a table since its file was last written, a line each: what a request changed is here before it is
 * answered, and the table's file (config_file.h), which is rewritten as a whole, may follow some ms later.
 *
 *   "\n" CRC " " COUNTER " " TIMESTAMP " " {"put":{...}} "\n"    or {"remove":"NAME"}; the CRC (8 hex digits) is of what follows it
 * COUNTER and TIMESTAMP are the table's data version after the change. A change says all of an entry, so it may be applied without those
 * before it. The lines are in two files beside the table's, X.changes1 and X.changes2: one is written, the other holds what the next
 * version of X contains, and is emptied (overwritten with zeros) when that is in place. X names no change that is newer than its own data version, so what a
 * kill or a power cut leaves is applied when it is newer, and ignored when it is not.
 * Two promises: without `sync` a change survives the process's end when append returns (a power cut may take the last moments, as with
 * ASYNC_FLUSH); with it, who waits by change_log_when_synced() hears when it survives a power cut: one sync serves all changes before it.
 * Thread: core, but change_log_empty_other(). All functions take NULL for a table that keeps no changes: then nothing happens. */
#ifndef BROKER_METADATA_CHANGE_LOG_H
#define BROKER_METADATA_CHANGE_LOG_H
#include "broker/metadata/data_version.h"
#include "broker/store/message_store.h" /* store_io, store_exec */
#include "common/base/buf.h"
#include "common/base/list.h"

struct change_log;
/* path: the table's file, "config/topics.json". io and exec are borrowed until change_log_close(). MQ_EINVAL: path too long; MQ_ENOMEM. */
enum mq_err change_log_new(const struct store_io *io, const struct store_exec *exec, const char *path, bool sync, struct change_log **out);

/* Before the first append: hands to `apply` what is newer than *v, oldest first, and moves *v to it. put: an entry's JSON, or NULL: the
 * entry called `removed` goes. Damaged lines, a torn end and what apply calls MQ_EMALFORMED are logged and passed over.
 * *found: there was something, so that the table's file is to be written. Fails: MQ_EIO, MQ_ELIMIT, MQ_ENOMEM; *v is what was applied. */
typedef enum mq_err change_apply_fn(void *ctx, const json_t *put, struct slice removed, struct fault *why);
enum mq_err change_log_replay(struct change_log *l, struct data_version *v, change_apply_fn *apply, void *ctx, bool *found, struct fault *why);

/* v: the version that the table will have. put: the entry's JSON; n == 0: `removed` goes. Else than MQ_OK (*why; logged): nothing was changed. */
enum mq_err change_log_append(struct change_log *l, const struct data_version *v, struct slice put, struct slice removed, struct fault *why);

/* MQ_OK: all that was appended is as safe as it was asked for. MQ_EAGAIN: fn is called once, never from inside this call, when the sync
 * that covers it has ended; *w, yours, lives until then or until change_wait_end(). */
typedef void change_synced_fn(void *arg, enum mq_err err, const struct fault *why); /* err: MQ_OK, or what *why says, borrowed */
struct change_wait {
    struct list node;
    uint64_t change;
    change_synced_fn *fn;
    void *arg;
};
enum mq_err change_log_when_synced(struct change_log *l, struct change_wait *w, change_synced_fn *fn, void *arg);
void change_wait_end(struct change_wait *w); /* fn is not called any more; harmless after it was */

/* ---- for config_file.c ---- */
void change_log_turn_over(struct change_log *l); /* a text of the table was made: appends go to the other file */
/* That text is in place and synced. On the thread that wrote it; no turn_over() meanwhile. A failure leaves lines that nobody applies. */
void change_log_empty_other(struct change_log *l);
void change_log_close(struct change_log *l, bool all_in_table); /* true: the files go, too. Submitted works must have run */
#endif
