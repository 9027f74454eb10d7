/* ack_queue.h - answers to sends that wait until their records are in the log's file, or on its medium: design.md 4.
 * What they wait for only grows and they are born in offset order: one FIFO per condition, its head looked at when the figure
 * grows or the head's deadline passes. No thread sleeps, and a place in the FIFO is the whole cost of waiting: no allocation
 * once the FIFO has its size. Thread: core. Pure. */
#ifndef BROKER_ACK_ACK_QUEUE_H
#define BROKER_ACK_ACK_QUEUE_H
#include "common/base/err.h"
#include "common/protocol/message.h"
#include "common/protocol/reply.h"

enum ack_until { ACK_WRITTEN, ACK_FLUSHED, ACK_CONDITIONS };
enum { ACK_ID_MAX = 72 }; /* bytes of a transaction id that fit into the waiter itself */

struct ack { /* one answer in waiting: filled in by who sends, after ack_queue_add() gave the place */
    struct ticket to;
    uint64_t end_off;      /* bytes of the log that must be written, or flushed */
    int64_t deadline_ms;   /* monotonic; ACK_FLUSHED only: then it is answered with late_code */
    int32_t queue_id, ok_code, late_code; /* ok_code: SUCCESS, or SLAVE_NOT_AVAILABLE of a master that has no slave */
    int64_t queue_off, phys_off;          /* of the (first) message */
    bool bare;             /* the answer is its code alone: not to a send, but to 36 or 37 */
    char *ids;             /* of a batch: message ids, comma-joined; yours until it is answered, made with mem_alloc(); NULL: from phys_off */
    char *long_id;         /* transaction id longer than id[]; made with mem_alloc(), NUL-terminated */
    uint8_t n_id;
    char id[ACK_ID_MAX];   /* transaction id: the message's UNIQ_KEY */
};
struct ack_setup {         /* strings borrowed until ack_queue_free() */
    const struct outbox *outbox;
    const struct host *store_host; /* for message ids; does not change */
    const char *const *region_id;  /* may change: live keys */
    const bool *trace_on;
};
struct ack_queue;
enum mq_err ack_queue_new(const struct ack_setup *setup, struct ack_queue **out);
void ack_queue_free(struct ack_queue *q); /* waiters go without an answer: call ack_queue_fail() first */
/* A zeroed place at the end of the FIFO, NULL when out of memory; fill it before the next call. end_off must not be below the
 * last one's. The answer is complete except for its code. Do not ask for oneway tickets. */
struct ack *ack_queue_add(struct ack_queue *q, enum ack_until until, uint64_t end_off);
size_t ack_queue_reached(struct ack_queue *q, enum ack_until until, uint64_t off); /* written or flushed up to off; how many were answered */
int64_t ack_queue_deadlines(struct ack_queue *q, int64_t mono_ms); /* answers late ones; the next deadline, INT64_MAX when none */
/* The log failed. Who waits for a flush and lies below written_off gets late_code: the record is in the file, its fate unknown.
 * All others get SERVICE_NOT_AVAILABLE with words: nothing of theirs was written. */
void ack_queue_fail(struct ack_queue *q, uint64_t written_off, const char *words);
size_t ack_queue_count(const struct ack_queue *q);
size_t ack_queue_syncs(const struct ack_queue *q);           /* those that wait for a flush ... */
int64_t ack_queue_first_deadline(const struct ack_queue *q); /* ... and the deadline of their first; INT64_MAX: none waits */
/* The answer to a send that went well: its ext fields, none of a bare one, and the same answer as a whole frame. id_host: message_id_host() of setup's host. */
void ack_fill(const struct ack *a, const struct ack_setup *setup, struct reply *out);
void ack_write(const struct ack *a, const struct ack_setup *setup, struct slice id_host, int32_t code, struct buf *out);
#endif
