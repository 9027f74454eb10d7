/* consume_queue.h - all consume queues of a store: 20-byte units {phys_off, size, tags_code} in Apache's files.
 * The newest units of a queue live in memory until they are written in batches; what is older is read from its file through a
 * bounded cache of descriptors. No mapping and no descriptor per queue; an idle queue costs <= 200 bytes.
 * Thread: core, but for the io that consume_queues_flush_job() carries to the flush lane. queue_off counts units. */
#ifndef BROKER_STORE_CONSUME_QUEUE_H
#define BROKER_STORE_CONSUME_QUEUE_H
#include <stdbool.h>
#include <stdint.h>
#include "broker/store/message_store.h"
#include "broker/store/store_io.h"

enum { CQ_UNIT = 20, CQ_PAD_SIZE = 0x7fffffff };
struct cq_unit {
    int64_t phys_off;
    uint32_t size;
    int64_t tags_code;
};
struct consume_queues; /* the table of all */
struct consume_queue;  /* one */

/* Scans consumequeue/TOPIC/ID beneath io's root: names and sizes only, so that 100,000 queues open in seconds; a queue's tail and
 * minimum are found by consume_queues_recover(), which must come before anything else. file_size: bytes, a multiple of 20.
 * exec (borrowed for the table's life): continues flush rounds (LANE_FLUSH) and unlinks files (LANE_CHORE); NULL: all inline.
 * least_bytes: a queue with so many unwritten or unsynced is ripe: worth a sync before a thorough round. */
enum mq_err consume_queues_open(const struct store_io *io, const struct store_exec *exec, uint32_t file_size, size_t least_bytes,
                                struct consume_queues **out, struct fault *why);
/* Forgets what was not written: consume_queues_flush_now() first. All submitted works must have run (a work's done may submit
 * the next one). NULL allowed. */
void consume_queues_close(struct consume_queues *t);

/* After the log was recovered to [min_phys, max_phys): cuts units that end beyond max_phys, finds each queue's tail and minimum.
 * clean: the last process closed the store in order. Then *dispatched is the end of the newest record that a unit points to (0 when
 * there is none): dispatching goes on there. Not clean: queues were written in batches, each at its own pace, and pages may be
 * missing; pass as max_phys the place from which all records will be dispatched again (e.5: what the checkpoint vouches for). What
 * lies behind it becomes zeros, which reach the disk with the next flush round. */
enum mq_err consume_queues_recover(struct consume_queues *t, bool clean, uint64_t min_phys, uint64_t max_phys, uint64_t *dispatched,
                                   struct fault *why);
/* Drops units that end beyond max_phys, from memory and files. Not while a flush round is under way. */
enum mq_err consume_queues_truncate(struct consume_queues *t, uint64_t max_phys, struct fault *why);
/* The log begins at min_phys now: minima move, files wholly below are unlinked. Queues whose minimum is beyond cost nothing; the others
 * are searched on LANE_CHORE in slices, so that minima move a little later (at once when exec is NULL). */
void consume_queues_min_phys(struct consume_queues *t, uint64_t min_phys);

struct consume_queue *consume_queue_find(struct consume_queues *t, struct slice topic, int32_t queue_id);   /* NULL when absent */
struct consume_queue *consume_queue_of(struct consume_queues *t, struct slice topic, int32_t queue_id);     /* made when absent; NULL: out of memory, or a
                                                                                                     name that no folder can have */
int64_t consume_queue_min(const struct consume_queue *q);
int64_t consume_queue_max(const struct consume_queue *q); /* units that are there */
/* The offset that the next put gets: >= max while a turn's batch is not added yet. The log's put path counts here. */
int64_t consume_queue_next(const struct consume_queue *q);
void consume_queue_set_next(struct consume_queue *q, int64_t queue_off);

/* Adds the unit of queue_off. queue_off < max: already there, nothing happens (dispatching again); queue_off > max: the gap is
 * padded as inventory e.2 says. */
enum mq_err consume_queue_add(struct consume_queues *t, struct consume_queue *q, int64_t queue_off, struct cq_unit unit);
/* Reads up to n units from queue_off on. Count, 0 at the end; -EAGAIN with *cold filled when may_block is false and the bytes are not in
 * memory; -ENOENT below the first file; else -errno. Padding reads as it is: size == CQ_PAD_SIZE, no record behind it. */
int64_t consume_queue_read(struct consume_queues *t, struct consume_queue *q, int64_t queue_off, struct cq_unit *to, size_t n, bool may_block,
                           struct cold_range *cold);
/* First unit of the next file behind queue_off: what Apache answers to OFFSET_FOUND_NULL. */
int64_t consume_queue_roll_next(const struct consume_queues *t, int64_t queue_off);

/* Units wait in memory; a flush round writes them and syncs their files on LANE_FLUSH, creating files as needed, a slice of the dirty
 * queues per work so that the log's own syncs get in between. Memory is bounded by starting a round when `waiting` exceeds a limit.
 * What is not written is lost with the process: after an unclean stop it is dispatched again. */
size_t consume_queues_waiting(const struct consume_queues *t); /* bytes of units not yet in their files */
bool consume_queues_dirty(const struct consume_queues *t);     /* a thorough round has something to do: units, cut files, names */
bool consume_queues_ripe(const struct consume_queues *t);      /* and one that is not thorough, too */
/* Starts a round over the ripe queues, or a thorough one over all: submit the returned work to LANE_FLUSH.
 * Its done() submits the next slice to exec or, after the last, calls fn once: MQ_OK means that every unit added before this
 * call (of the queues chosen) survives a power cut; MQ_EAGAIN that it may not, because some queue's files were in other hands.
 * NULL: nothing to do, or not now, or a round is under way, or out of memory. After an error but MQ_EAGAIN and MQ_EFULL the
 * table writes no more: the store is FAILED; reads go on. exec NULL: one work does all. */
struct store_work *consume_queues_flush_job(struct consume_queues *t, bool thorough, void (*fn)(void *arg, enum mq_err err, const struct fault *why),
                                            void *arg);
bool consume_queues_flushing(const struct consume_queues *t); /* a round is under way */
/* pwrite (page cache only), on this thread, of all that waits and is not in a round's hands. */
enum mq_err consume_queues_write(struct consume_queues *t, struct fault *why);
enum mq_err consume_queues_flush_now(struct consume_queues *t, struct fault *why); /* writes and syncs all on this thread; no round may be under way */

void consume_queues_each(struct consume_queues *t, store_queue_fn *fn, void *arg);
/* Its queues are gone at once (pointers to them, too); their files go on LANE_CHORE. The topic may come back meanwhile. */
void consume_queues_delete_topic(struct consume_queues *t, struct slice topic);
size_t consume_queues_count(const struct consume_queues *t);
size_t consume_queues_memory(const struct consume_queues *t);
#endif
