/* caller.h - the other direction: connections that we open, requests that we send, answers by opaque.
 * One connection per address, opened by the first call, reopened by the next call after it broke.
 * Requests from the other side (a broker's 40, 220 ...) go to the routes.
 * Thread: the loop's. */
#ifndef COMMON_REMOTING_CALLER_H
#define COMMON_REMOTING_CALLER_H
#include <stddef.h>
#include <stdint.h>
#include "common/base/err.h"
#include "common/loop/loop.h"
#include "common/protocol/reply.h"

struct caller_config {
    int64_t connect_ms;      /* 0 = 3,000 */
    size_t out_max;          /* bytes queued to one address; 0 = 64 MiB; beyond it calls fail with MQ_ELIMIT */
    int64_t idle_ms;         /* 0 = 120,000 */
    size_t frame_max;        /* 0 = FRAME_MAX */
};
struct caller;
/* err MQ_OK: answer is borrowed for the call. Else answer is NULL: MQ_ETIMEOUT, MQ_ECLOSED (broke before the answer),
 * MQ_EIO (no connection; why says), MQ_ELIMIT. Called exactly once per caller_call(), never from inside it. */
typedef void caller_fn(void *arg, enum mq_err err, const struct command *answer, const struct fault *why);

enum mq_err caller_new(struct loop *l, const struct caller_config *cfg, struct caller **out, struct fault *why);
enum mq_err caller_route(struct caller *c, const struct request_route *routes, size_t n);
/* cmd is encoded before the call returns; its opaque is replaced by ours. addr: "host:port", "[v6]:port".
 * MQ_OK: fn will be called. MQ_ENOMEM, MQ_EINVAL (addr), MQ_ECLOSED (inside caller_free()): it never will. */
enum mq_err caller_call(struct caller *c, const char *addr, const struct command *cmd, int64_t timeout_ms, caller_fn *fn, void *arg);
/* MQ_OK: queued for sending. Else the same codes as a call's, at once. */
enum mq_err caller_oneway(struct caller *c, const char *addr, const struct command *cmd);
void caller_close(struct caller *c, const char *addr);           /* its pending calls end with MQ_ECLOSED */
/* Told when an established connection broke or was closed by the peer. */
void caller_on_close(struct caller *c, void (*fn)(void *arg, const char *addr), void *arg);
const struct outbox *caller_outbox(struct caller *c);            /* finishes requests that arrived on our connections */
bool caller_flush(struct caller *c);                             /* writes what is queued without waiting for the turn's end; true: nothing is left */
void caller_free(struct caller *c); /* pending calls end with MQ_ECLOSED first; NULL allowed */
#endif
