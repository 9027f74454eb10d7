/* send_hold.h - sends that the store could not take at once, because too much of it was unwritten: kept as copies, in order, and
 * tried again when the store moves on. Clients of 4.x do not retry SYSTEM_BUSY, so waiting a little is better than refusing.
 * Thread: core. Pure. */
#ifndef BROKER_ACK_SEND_HOLD_H
#define BROKER_ACK_SEND_HOLD_H
#include "common/base/err.h"
#include "common/protocol/reply.h"

enum { SEND_STILL_BUSY = -1 };
/* Runs a send: enum handled, or SEND_STILL_BUSY and nothing happened. */
typedef int send_retry_fn(void *ctx, const struct request *rq, struct reply *out);
struct send_hold_setup {
    void *ctx;
    send_retry_fn *retry;
    const struct outbox *outbox;
    size_t max_sends, max_bytes;
};
struct send_hold;
enum mq_err send_hold_new(const struct send_hold_setup *setup, struct send_hold **out);
void send_hold_free(struct send_hold *h); /* without answers: call send_hold_refuse() first; NULL allowed */
bool send_hold_add(struct send_hold *h, const struct request *rq, int64_t mono_ms, int64_t wait_ms); /* false: full, or out of memory */
void send_hold_run(struct send_hold *h, int64_t now_ms); /* tries those held, in order, until one finds the store busy */
/* Refuses with SYSTEM_BUSY those whose deadline passed; the next deadline, INT64_MAX when none. Deadlines are monotonic. */
int64_t send_hold_deadlines(struct send_hold *h, int64_t mono_ms);
void send_hold_refuse(struct send_hold *h, int32_t code, const char *words); /* all of them */
size_t send_hold_count(const struct send_hold *h);
int64_t send_hold_head_wait(const struct send_hold *h, int64_t mono_ms); /* ms that the first has waited; 0: nobody waits */
#endif
