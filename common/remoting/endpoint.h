/* endpoint.h - what servers and callers share: connections, frames in and out, routes, calls by opaque. Private to remoting.
 * Thread: the loop's. */
#ifndef COMMON_REMOTING_ENDPOINT_H
#define COMMON_REMOTING_ENDPOINT_H
#include "common/base/hashmap.h"
#include "common/base/heap.h"
#include "common/base/list.h"
#include "common/loop/loop.h"
#include "common/protocol/reply.h"
#include "common/remoting/server.h"

struct event;
enum conn_state { CONN_CONNECTING, CONN_OPEN, CONN_CLOSED };
struct conn {
    struct list node;   /* in endpoint.conns, then in endpoint.dead */
    struct list dirty;  /* in endpoint.dirty while there is output to try */
    struct list later;  /* in endpoint.later: its budget left frames over, or it shall be closed */
    struct list wait;   /* in endpoint.waiting: a processor wants its next request later, see HANDLED_WAIT */
    struct list calls;  /* of struct call: waiting for the peer's answer */
    struct hash_node by_id;
    struct endpoint *ep;
    struct event *readable, *writable;
    int fd;
    enum conn_state state;
    bool eof;           /* the peer said all it will say */
    bool mute;          /* writing failed: output is dropped, input still counts */
    bool paused;        /* not reading: too much output waits */
    enum mq_err doom;   /* != MQ_OK: nothing goes in or out any more; it is closed in the next turn ... */
    const char *doom_why; /* ... with these words */
    int sys;            /* errno of what broke it, for the words of its calls */
    struct buf in;      /* bytes of an incomplete frame, or what the budget left over */
    struct buf out;     /* from out_at on: not yet written */
    size_t out_at;
    int64_t seen_ms;    /* monotonic: last read or write that moved something */
    int64_t part_ms;    /* monotonic: since when the frame at the head of `in` is not whole */
    int64_t wait_ms;    /* monotonic: since when it waits */
    int64_t waited_ms;  /* while what waited is processed: how long it did */
    struct peer peer;
    void *link;         /* a caller's: its entry in the table of addresses */
};

typedef void call_fn(void *arg, enum mq_err err, const struct command *answer, const struct fault *why);
struct call { /* a request of ours, waiting */
    struct list node;      /* in conn.calls */
    struct hash_node by_opaque;
    struct heap_node due;
    int32_t opaque;
    call_fn *fn;           /* one of the two */
    answer_fn *plain_fn;
    void *arg;
};

struct endpoint {
    struct loop *loop;
    const char *area; /* for log lines */
    size_t frame_max, out_max;
    int64_t idle_ms;
    unsigned frames_per_turn;
    struct server_events events;
    void (*gone)(void *ctx, struct conn *c, bool was_open); /* a caller's: before the conn is freed */
    void *gone_ctx;

    bool closes_slow; /* a server's: who lets output pile up is closed; a caller refuses the request instead */

    struct list conns, dirty, later, dead;
    struct list waiting;          /* in the order in which they began to wait */
    struct hashmap by_id, by_opaque;
    struct conn *last;            /* the one found last by its id: answers leave in order, many to one peer */
    struct heap calls;
    struct request_route *routes; /* sorted by code */
    size_t n_routes;
    uint64_t next_id;
    int32_t next_opaque;
    struct arena arena;
    struct reply reply;           /* reused from request to request */
    struct buf spare[64];         /* output buffers without an owner */
    unsigned n_spare;
    size_t spare_bytes;           /* their memory */
    struct budget *budget;        /* NULL: none */
    struct conn *served;          /* whose bytes are just processed */
    int64_t relieve_ms;           /* monotonic: the last search found nobody worth closing; not again before, unless so much is used */
    uint64_t relieve_used;
    uint8_t *scratch;             /* what a connection without leftovers reads into */
    struct loop_hook hook;
    struct loop_timer call_timer, idle_timer;
    struct event *later_event; /* made active at the end of a turn that left something for the next one */
    struct outbox outbox;
    struct server_stats stats;
    int64_t malformed_logged_ms, shed_logged_ms;
};

enum mq_err endpoint_init(struct endpoint *ep, struct loop *l, const char *area);
void endpoint_fini(struct endpoint *ep); /* closes all connections; calls end with MQ_ECLOSED */
enum mq_err endpoint_route(struct endpoint *ep, const struct request_route *routes, size_t n);

/* Takes the descriptor. connecting: it becomes open when it is writable without error. NULL: out of memory, fd is closed. */
struct conn *conn_new(struct endpoint *ep, int fd, const struct peer *peer, bool connecting);
bool endpoint_resume(struct endpoint *ep); /* server_resume() */
void conn_close(struct conn *c, enum mq_err err, const char *why); /* freed at the end of the turn; why: logged when not NULL */
struct conn *endpoint_conn(struct endpoint *ep, uint64_t conn_id); /* NULL when gone */
/* Where output goes; it is written at the end of the turn. NULL: closed or closing. */
struct buf *conn_out(struct conn *c);
/* After appending to conn_out(): bounds and marks it. Beyond the bounds it is closed, but not inside this call: who
 * answers or tells many must not meet the closing of one of them half-way. */
void conn_sent(struct conn *c);
enum mq_err conn_queue(struct conn *c, const struct command *cmd); /* a request of ours. MQ_ECLOSED, MQ_ENOMEM, MQ_ELIMIT: nothing was queued */
bool conn_flush(struct conn *c); /* writes now; true: nothing is left */
/* Encodes cmd with an opaque of ours and waits for its answer. MQ_ENOMEM, MQ_ECLOSED, MQ_ELIMIT: nothing was sent, no call back. */
enum mq_err conn_call(struct conn *c, const struct command *cmd, int64_t timeout_ms, call_fn *fn, answer_fn *plain_fn, void *arg);
enum mq_err conn_oneway(struct conn *c, const struct command *cmd);
void peer_from_sockaddr(struct peer *p, const void *sockaddr);
#endif
