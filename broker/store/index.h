/* index.h - messages by key: Apache's index files (inventory e.4), filled behind the log.
 * Thread: core adds entries to a bounded list; files are written by works of LANE_CHORE. A query sees all entries added before it:
 * those in memory and those in files. Only hashes are stored; the reader of the records compares keys. */
#ifndef BROKER_STORE_INDEX_H
#define BROKER_STORE_INDEX_H
#include <stdint.h>
#include "broker/store/message_store.h"

struct msg_index;
/* Opens index/ beneath io's root. After an unclean stop files whose end is newer than checkpoint_ms are deleted (inventory e.4). */
enum mq_err msg_index_open(const struct store_io *io, const struct store_exec *exec, uint32_t slots, uint32_t entries, bool clean, int64_t checkpoint_ms,
                           struct msg_index **out, struct fault *why);
/* Adds the keys of one record: UNIQ_KEY and each token of KEYS. Skips rollback records. */
void msg_index_add(struct msg_index *x, const struct message *record);
/* Bytes of the log whose keys are in files (or need none): for the lag figure and for the start of dispatching after a crash. */
uint64_t msg_index_reached(const struct msg_index *x);
/* Submits a work that writes what waits, when something waits. `tick` from message_store_tick(). */
void msg_index_tick(struct msg_index *x, int64_t now_ms);
/* Places of at most max records, newest file first. May read files (page cache; on the core thread by design: queries are rare). */
enum mq_err msg_index_find(struct msg_index *x, struct slice topic, struct slice key, uint32_t max, int64_t begin_ms, int64_t end_ms, int64_t *places,
                           uint32_t *n, int64_t *last_ms, int64_t *last_phys);
int64_t msg_index_synced_ms(const struct msg_index *x); /* store_ms of the newest synced entry: checkpoint field 3 */
void msg_index_min_phys(struct msg_index *x, uint64_t min_phys); /* deletes files wholly below */
void msg_index_truncate(struct msg_index *x, uint64_t max_phys); /* forgets what waits at or beyond max_phys */
size_t msg_index_memory(const struct msg_index *x);
/* Writes and syncs all on the calling thread, frees. */
void msg_index_close(struct msg_index *x);
#endif
