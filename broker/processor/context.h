/* context.h - what processors may use: pointers to the parts, made and owned by broker.c. Processors have no state of their own.
 * Thread: core. */
#ifndef BROKER_PROCESSOR_CONTEXT_H
#define BROKER_PROCESSOR_CONTEXT_H
#include <string.h>
#include "broker/ack/pressure.h"
#include "broker/config.h"
#include "broker/metadata/data_version.h"
#include "broker/metadata/topics.h"
#include "broker/store/message_store.h"
#include "common/base/budget.h"
#include "common/protocol/message.h"
#include "common/protocol/reply.h"

struct connections_waiting {
    uint64_t n, times; /* now; since the start */
    int64_t since_ms;  /* monotonic: of the first; INT64_MAX: none */
};
enum kept_what { /* what the answer to a change waits for */
    KEPT_TOPIC_MADE,    /* its change is as safe as flushDiskType asks for, and the name servers know the topics or had their time */
    KEPT_TOPIC_DELETED, /* its change is as safe as flushDiskType asks for */
    KEPT_GROUP          /* the same */
};
struct broker_context {
    struct broker_config *config;
    struct message_store *store;
    struct topics *topics;
    struct groups *groups;
    struct offsets *offsets;
    struct sessions *sessions;
    struct queue_locks *locks;
    struct consumer_filters *filters;         /* what groups want by expression */
    struct expressions *expressions;          /* what pulls bring along, compiled */
    struct longpoll *longpoll;
    struct ack_queue *acks;
    struct transactions *transactions;
    struct schedule *schedule;
    enum pressure pressure;                   /* of the last turn's end: sends wait while there is one */
    struct waits waits;                       /* of sends: before they were taken, and for a sync */
    struct stats *stats;
    const struct outbox *outbox;
    struct budget *budget;                    /* of the whole process's memory; NULL: none */
    int64_t boot_ms, boot_mono_ms;            /* the start by the wall clock, and by the one that uptime goes by */
    struct data_version config_version;       /* of what 25 changed since the start */
    int64_t (*now_ms)(const void *broker);    /* wall clock of this turn, for what no request started */
    int64_t (*mono_ms)(const void *broker);   /* the clock of deadlines */
    struct connections_waiting (*waiting)(const void *broker); /* those whose send is told HANDLED_WAIT */
    uint64_t log_end;                         /* bytes of the log that are written: the listener keeps it */
    uint64_t unflushed_max;                   /* bytes of the log, see flushDiskFallbehindMax */
    uint64_t memory_bytes;                    /* of this machine: what Apache takes for the size of the page cache */
    uint64_t random;                          /* state of context_random() */
    unsigned cold_ends;                       /* ends of transactions that wait for the disk */
    size_t waiting_bytes;                     /* of pulls, and messages given back, that outlive their request: who adds to it bounds it */
    bool stopping;                            /* nothing parks any more */
    struct reply scratch;                     /* for answers outside of a request's call; clear before use */
    struct host store_host;                   /* brokerIP1:listenPort, what goes into records and message ids */
    const char *addr;                         /* the same as text */
    void *broker;                             /* for the calls below */
    void (*register_now)(void *broker);       /* topics changed: tell the name servers (coalesced) */
    /* What was changed is answered when it is kept. HANDLED_NOW: it is, or `out` says why not. HANDLED_LATER: the answer comes within seconds. */
    enum handled (*answer_when_kept)(void *broker, const struct ticket *to, enum kept_what what, struct reply *out);
    void (*config_text)(void *broker, struct buf *out);   /* 26: key=value lines */
    int (*config_set_live)(void *broker, struct slice key, struct slice value, char why[200]); /* 25: a response code */
};

static inline uint32_t context_random(struct broker_context *c) /* xorshift: spreads, does not surprise */
{
    c->random ^= c->random << 13;
    c->random ^= c->random >> 7;
    c->random ^= c->random << 17;
    return (uint32_t)(c->random >> 16);
}

/* True: memory is so short that what would begin at this level is refused. `out` says so with SYSTEM_BUSY, which clients take for overload: a
 * producer tries another broker, a consumer comes back later. `what` is for the log: "a new topic is". */
bool context_short_of_memory(struct broker_context *c, enum budget_level level, const char *what, struct reply *out);

/* True: the group does not exist, and memory is too short for a new one; `out` says so. */
bool context_no_room_for_group(struct broker_context *c, struct slice group, struct reply *out);

/* SYSTEM_ERROR: a topic or a group is as it was, because the disk or the memory did not take the change. */
enum handled context_not_changed(const struct fault *why, struct reply *out);

/* A message that the store did not take. HANDLED_WAIT: PUT_BUSY, later it may; else out is the answer. Not for PUT_OK. */
enum handled context_refuse_put(struct broker_context *c, enum put_status status, struct reply *out);

/* Where a peer's messages are born: what goes into their records. */
static inline struct host context_born_host(const struct peer *peer)
{
    struct host h = {.port = peer->port, .v6 = peer->v6};
    memcpy(h.ip, peer->ip, sizeof h.ip);
    return h;
}

/* The queue that a send of this topic goes to when it asks for `asked`: < 0 lets us choose. -1: the topic has no such queue. */
int32_t context_pick_queue(struct broker_context *c, const struct topic_config *t, int32_t asked);

/* Each file of this folder adds its rows; broker.c hands them to the server. fn's ctx is the broker_context. */
struct route_sink {
    struct request_route *rows;
    size_t n, cap;
};
void routes_add(struct route_sink *sink, int32_t code, request_fn *fn, struct broker_context *ctx);
void send_message_routes(struct route_sink *sink, struct broker_context *ctx);   /* 10 310 320 */
void end_transaction_routes(struct route_sink *sink, struct broker_context *ctx); /* 37 323 */
void send_back_routes(struct route_sink *sink, struct broker_context *ctx);      /* 36 */
void pull_message_routes(struct route_sink *sink, struct broker_context *ctx);   /* 11 361 */
void client_manage_routes(struct route_sink *sink, struct broker_context *ctx);  /* 34 35 38 46 203 204 328 */
void client_call_routes(struct route_sink *sink, struct broker_context *ctx);    /* 307 309 */
void queue_lock_routes(struct route_sink *sink, struct broker_context *ctx);     /* 41 42 */
void reset_offset_routes(struct route_sink *sink, struct broker_context *ctx);   /* 222 223 */
void reply_message_routes(struct route_sink *sink, struct broker_context *ctx);  /* 324 325 */
void consumer_offset_routes(struct route_sink *sink, struct broker_context *ctx);/* 14 15 */
void queue_offset_routes(struct route_sink *sink, struct broker_context *ctx);   /* 29 30 31 32 */
void query_message_routes(struct route_sink *sink, struct broker_context *ctx);  /* 12 33 */
void topic_admin_routes(struct route_sink *sink, struct broker_context *ctx);    /* 17 21 202 215 300 305 316 351 */
void group_admin_routes(struct route_sink *sink, struct broker_context *ctx);    /* 200 201 207 208 303 308 314 317 343 345 352 */
void broker_admin_routes(struct route_sink *sink, struct broker_context *ctx);   /* 25 26 28 43 45 306 315 321 329 907 */
#endif
