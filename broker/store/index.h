/* index.h - messages by key: Apache's index files (inventory e.4), filled behind the log.
 * Thread: core adds entries to a bounded list; files are written by works of LANE_CHORE. A query sees all entries added before it:
 * those in memory and those in files. Only hashes are stored; the reader of the records compares keys.
 * The list holds 128 Ki keys; when it is full, msg_index_add() writes it on the calling thread before it goes on (back-pressure): no key is
 * lost. Works are submitted after the first msg_index_tick() only; until then (recovery) add writes by itself. */
#ifndef BROKER_STORE_INDEX_H
#define BROKER_STORE_INDEX_H
#include <stdbool.h>
#include <stdint.h>
#include "broker/store/checkpoint.h"
#include "broker/store/message_store.h"

struct msg_index;
/* Opens index/ beneath io's root; exec NULL: works run inline. MQ_ECORRUPT: a file's size is not the configuration's.
 * After an unclean stop the last file, and those whose end is newer than what the checkpoint vouches for, keep the entries that prove right; Apache deletes
 * those files (inventory e.4), and the keys with them. */
enum mq_err msg_index_open(const struct store_io *io, const struct store_exec *exec, uint32_t slots, uint32_t entries, bool clean,
                           const struct checkpoint *safe, struct msg_index **out, struct fault *why);
/* Adds the keys of one record: UNIQ_KEY and each token of KEYS. Skips rollback records, and what is there already: records come in
 * the order of their places, and may be given again. */
void msg_index_add(struct msg_index *x, const struct message *record);
void msg_index_add_known(struct msg_index *x, const struct message *record, const struct known_props *props); /* of the record's properties */
/* Bytes of the log whose keys are in files (or need none): for the lag figure and for the start of dispatching. After open: the place of the
 * newest record in files (0: none), from which on records must be added. */
uint64_t msg_index_reached(const struct msg_index *x);
/* Submits a work that writes what waits, when something waits. `tick` from message_store_tick(). */
void msg_index_tick(struct msg_index *x, int64_t mono_ms);
/* Keys cannot be stored any more, for good (logged once): the next start must begin at msg_index_reached(), clean or not. */
bool msg_index_failed(const struct msg_index *x);
/* Places of at most max records, newest file first. May read files (page cache; on the core thread by design: queries are rare). */
/* An entry in a file counts when its second touches [begin_ms, end_ms]. MQ_EIO: a file was passed over (logged); the rest is there.
 * last_ms, last_phys: of the newest entry. */
enum mq_err msg_index_find(struct msg_index *x, struct slice topic, struct slice key, uint32_t max, int64_t begin_ms, int64_t end_ms, int64_t *places,
                           uint32_t *n, int64_t *last_ms, int64_t *last_phys);
int64_t msg_index_synced_ms(const struct msg_index *x); /* store_ms of the newest synced entry: checkpoint field 3 */
int64_t msg_index_synced_place(const struct msg_index *x); /* its record's place; -1: not known */
void msg_index_min_phys(struct msg_index *x, uint64_t min_phys); /* deletes files wholly below, never the last */
/* Forgets what lies at or beyond max_phys, waiting or in files, which may be written to on the calling thread. */
void msg_index_truncate(struct msg_index *x, uint64_t max_phys);
size_t msg_index_memory(const struct msg_index *x);
/* Writes and syncs all on the calling thread, frees. All submitted works must have run. NULL allowed. False: something was not
 * stored, so the stop is not a clean one; what msg_index_synced_ms() said before is. */
bool msg_index_close(struct msg_index *x);
#endif
