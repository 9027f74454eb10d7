/* processors.h - what a name server answers: one file per family of request codes, each a table for the server.
 * Processors decode, call the tables, encode; they keep nothing. Thread: core. */
#ifndef NAMESRV_PROCESSOR_PROCESSORS_H
#define NAMESRV_PROCESSOR_PROCESSORS_H
#include "common/protocol/reply.h"
#include "namesrv/kvconfig/kv_config.h"
#include "namesrv/route/routes.h"

struct namesrv_config;
struct namesrv_shell { /* what the core asks of its surroundings */
    void *ctx;
    int64_t (*mono_ms)(void *ctx); /* for signs of life: a wall clock that is set must not expire brokers */
    enum mq_err (*save_config)(void *ctx, const struct namesrv_config *config, struct fault *why); /* durable when it returns */
    void (*config_changed)(void *ctx);
};
struct namesrv { /* what the parts of one name server share; the wiring owns all of it */
    struct routes *routes;
    struct kv_config *kv;
    struct namesrv_config *config;
    struct namesrv_shell shell;
};

enum { REQUESTS_MAX = 32 };
struct request_table {
    struct request_route rows[REQUESTS_MAX];
    size_t n;
};
void requests_add(struct request_table *t, struct namesrv *ns, int32_t code, request_fn *fn);
void broker_requests(struct namesrv *ns, struct request_table *t);  /* 103 104 322 */
void route_requests(struct namesrv *ns, struct request_table *t);   /* 105 106 205 206 216 224 304 311 312 313 327 */
void kv_requests(struct namesrv *ns, struct request_table *t);      /* 100 101 102 217 219 */
void config_requests(struct namesrv *ns, struct request_table *t);  /* 318 319 */

/* The answer to a failure below: SYSTEM_ERROR with the fault's words. */
enum handled refuse_fault(struct reply *out, const struct fault *why);
/* After all fields were read: true when one was missing or malformed, and then out says so. */
bool refuse_fields(struct reply *out, const struct fields *f);
/* After the body was written: HANDLED_NOW, as a refusal when memory ran out. */
enum handled finish_body(struct reply *out);
#endif
