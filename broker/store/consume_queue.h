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

enum { CQ_UNIT = 20 };
struct cq_unit {
    int64_t phys_off;
    uint32_t size;
    int64_t tags_code;
};
struct consume_queues; /* the table of all */
struct consume_queue;  /* one */

/* Scans consumequeue/TOPIC/ID beneath io's root: names and sizes only, so that 100,000 queues open in seconds; a queue's tail is
 * found when it is first needed or by consume_queues_recover(). file_size: bytes, a multiple of 20. */
enum mq_err consume_queues_open(const struct store_io *io, uint32_t file_size, struct consume_queues **out, struct fault *why);
void consume_queues_close(struct consume_queues *t); /* forgets what was not written: write first */

/* After the log was recovered to [min_phys, max_phys): cuts units beyond max_phys, finds each queue's minimum. Returns through
 * *dispatched the phys_off up to which all surviving units reach (records from there on need dispatching again). */
enum mq_err consume_queues_recover(struct consume_queues *t, uint64_t min_phys, uint64_t max_phys, uint64_t *dispatched, struct fault *why);
void consume_queues_truncate(struct consume_queues *t, uint64_t max_phys); /* drops units at or beyond max_phys */
void consume_queues_min_phys(struct consume_queues *t, uint64_t min_phys); /* files below it may go: minima move, whole old files are unlinked */

struct consume_queue *consume_queue_find(struct consume_queues *t, struct slice topic, int32_t queue_id);   /* NULL when absent */
struct consume_queue *consume_queue_of(struct consume_queues *t, struct slice topic, int32_t queue_id);     /* made when absent; NULL: out of memory */
int64_t consume_queue_min(const struct consume_queue *q);
int64_t consume_queue_max(const struct consume_queue *q); /* units that are there */
/* The offset that the next put gets: >= max while a turn's batch is not added yet. The log's put path counts here. */
int64_t consume_queue_next(const struct consume_queue *q);
void consume_queue_set_next(struct consume_queue *q, int64_t queue_off);

/* Adds the unit of queue_off. queue_off < max: already there, nothing happens (dispatching again); queue_off > max: the gap is
 * padded as inventory e.2 says. */
enum mq_err consume_queue_add(struct consume_queues *t, struct consume_queue *q, int64_t queue_off, struct cq_unit unit);
/* Reads up to n units from queue_off on. Count, 0 at the end; -EAGAIN with *cold filled when may_block is false and the bytes are not in
 * memory; else -errno. */
int64_t consume_queue_read(struct consume_queues *t, struct consume_queue *q, int64_t queue_off, struct cq_unit *to, size_t n, bool may_block,
                           struct cold_range *cold);
/* First unit of the next file behind queue_off: what Apache answers to OFFSET_FOUND_NULL. */
int64_t consume_queue_roll_next(const struct consume_queues *t, int64_t queue_off);

/* Units not yet in their files, and files not yet synced. write: pwrite what waits (page cache only). `dirty` bounds memory: the store
 * writes when it exceeds its limit or by interval. A flush job is a work of the flush lane that syncs files written so far. */
size_t consume_queues_waiting(const struct consume_queues *t); /* bytes */
enum mq_err consume_queues_write(struct consume_queues *t, struct fault *why);
/* NULL when nothing is unsynced. run() syncs; done() frees it after telling `fn` the result. */
struct store_work *consume_queues_flush_job(struct consume_queues *t, void (*fn)(void *arg, enum mq_err err, const struct fault *why), void *arg);

void consume_queues_each(struct consume_queues *t, store_queue_fn *fn, void *arg);
void consume_queues_delete_topic(struct consume_queues *t, struct slice topic);
size_t consume_queues_count(const struct consume_queues *t);
size_t consume_queues_memory(const struct consume_queues *t);
#endif
