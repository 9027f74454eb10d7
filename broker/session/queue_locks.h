/* queue_locks.h - who may consume a queue in order: at most one client of a group per queue at any instant.
 * Thread: core. Pure: it is told the (monotonic) time, asks whether a client is here, and says when its text has changed. */
#ifndef BROKER_SESSION_QUEUE_LOCKS_H
#define BROKER_SESSION_QUEUE_LOCKS_H
#include "broker/session/session.h"

enum {
    QUEUE_LOCKS_MAX = 65536,         /* of all groups; beyond it no new ones are given */
    QUEUE_LOCKS_WAITING_MAX = 16384, /* answers that wait for the disk */
    LOCK_LIVE_MS = 60000,            /* without renewal, while its owner is here: Apache's */
    LOCK_BELIEVED_MS = 30000,        /* Apache's clients stop consuming so long after they were last told that a lock is theirs ... */
    LOCK_GONE_MS = 35000             /* ... so it ends after this when its owner is not here; the rest is for what is under way */
};
struct lock_owner {
    struct slice group, client_id;
};
struct lock_queue {
    struct slice topic;
    int32_t queue_id;
};
/* The body of 41 and 42: {"clientId":...,"consumerGroup":...,"mqSet":[{"brokerName":...,"queueId":0,"topic":...}]}. *queues: its mqSet, borrowed.
 * False, and why names the field: something is missing, of another type, or too long; also of one of the queues. */
bool lock_request_read(const json_t *o, struct lock_owner *who, const json_t **queues, char why[160]);
struct lock_queue lock_queue_of(const json_t *queue); /* of an element that lock_request_read() has seen */

struct queue_locks_setup {
    int64_t live_ms; /* LOCK_LIVE_MS, or what the config says */
    const struct outbox *outbox;
    void *ctx;
    bool (*here)(void *ctx, const struct lock_owner *who); /* known by a heartbeat */
    void (*changed)(void *ctx); /* save queue_locks_encode(), then say queue_locks_saved(); it may fail at once */
};
struct queue_locks;
enum mq_err queue_locks_new(const struct queue_locks_setup *setup, struct queue_locks **out);
void queue_locks_free(struct queue_locks *l); /* who waits goes without an answer; NULL allowed */

/* True: it is the client's, from now on or still. may_grow: memory allows for new ones. *change: the number of the change that gave it to him,
 * if that is higher than *change was. */
bool queue_locks_lock(struct queue_locks *l, const struct lock_owner *who, const struct lock_queue *q, int64_t mono_ms, bool may_grow, uint64_t *change);
void queue_locks_unlock(struct queue_locks *l, const struct lock_owner *who, const struct lock_queue *q); /* nothing, unless it is his */
void queue_locks_leave(struct queue_locks *l, const struct lock_owner *who); /* all of his */
void queue_locks_expire(struct queue_locks *l, int64_t mono_ms);             /* frees those that ended; for a timer */
size_t queue_locks_count(const struct queue_locks *l);

/* The answer leaves when all up to `change` is on the disk: HANDLED_NOW, or HANDLED_LATER and it was copied. */
enum handled queue_locks_answer(struct queue_locks *l, uint64_t change, const struct ticket *to, struct reply *out);

/* ---- the file ---- */
void queue_locks_encode(struct queue_locks *l, struct buf *out); /* the text; what is saved next is as of now */
void queue_locks_saved(struct queue_locks *l, bool good);        /* the last text is on the disk; or not: who waits for it is refused */
/* For config_file_load(), into an empty table: all or nothing. The owners have LOCK_GONE_MS from now on to come back. */
enum mq_err queue_locks_take(struct queue_locks *l, struct slice text, int64_t mono_ms, struct fault *why);
/* There was a table, and it cannot be read: for LOCK_GONE_MS nobody gets a lock. */
void queue_locks_doubt(struct queue_locks *l, int64_t mono_ms);
#endif
