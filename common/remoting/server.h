/* server.h - listens, reads frames, calls the processor of their code, writes the answers.
 * It is also an outbox: late answers and requests to connected peers go through server_outbox().
 * Thread: the loop's. What a peer can make grow is bounded by server_config; beyond it the peer is closed with one log line. */
#ifndef COMMON_REMOTING_SERVER_H
#define COMMON_REMOTING_SERVER_H
#include <stddef.h>
#include <stdint.h>
#include "common/base/budget.h"
#include "common/base/err.h"
#include "common/loop/loop.h"
#include "common/protocol/reply.h"

enum { SERVER_PORTS_MAX = 4 };
struct server_config {
    const char *bind_addr;            /* "0.0.0.0"; borrowed for the call */
    uint16_t ports[SERVER_PORTS_MAX]; /* 0 = any free one, see server_port() */
    unsigned n_ports;
    int backlog;                      /* 0 = 1024 */
    size_t frame_max;                 /* bytes; 0 = FRAME_MAX */
    size_t out_max;                   /* bytes queued to one peer; 0 = 64 MiB; a slow reader is closed beyond it */
    int64_t idle_ms;                  /* closed when nothing was read or written, or a frame was not whole, for so long; 0 = 120,000 */
    unsigned max_connections;         /* 0 = 60,000; beyond it accepting pauses */
    unsigned frames_per_turn;         /* 0 = 512: share of one connection in one turn */
    struct budget *budget;            /* NULL: none; outlives the server */
};
/* With a budget (budget.h): from BUDGET_NO_GUESTS on accepting pauses, connections are read in small pieces, and those who hold most are
 * closed until there is room; from BUDGET_NO_WORK on who has not read his answers gets no others. */
struct server_events { /* NULL members allowed */
    void *ctx;
    void (*opened)(void *ctx, const struct peer *peer);
    void (*closed)(void *ctx, const struct peer *peer); /* after all frames received before were processed */
    void (*resumed)(void *ctx, const struct peer *peer, int64_t waited_ms); /* a request that had to wait was processed */
};
struct server_stats {
    uint64_t connections, accepted, frames_in, bytes_in, bytes_out, malformed, refused;
    int64_t reply_backlog_bytes;
    uint64_t waiting, waits; /* connections whose next request waits now; how often one began to */
};
struct server;

/* For main(), before anything of libevent's or jansson's is called: what they allocate counts in mem_used(), too. */
void server_count_memory(void);
/* As many connections and files as the system lets this process have: for main(), before it makes a server. */
void server_raise_file_limit(void);
/* Listens at once. Routes are copied. MQ_OK: *out is yours, end with server_free(). Fails: MQ_EIO (why names address and port),
 * MQ_ENOMEM, MQ_EINVAL (bind_addr). */
enum mq_err server_new(struct loop *l, const struct server_config *cfg, const struct server_events *events, struct server **out,
                       struct fault *why);
/* Adds routes; a later row replaces an earlier one of the same code. MQ_ENOMEM. */
enum mq_err server_route(struct server *s, const struct request_route *routes, size_t n);
uint16_t server_port(const struct server *s, unsigned i);  /* the real port of cfg->ports[i] */
const struct outbox *server_outbox(struct server *s);      /* valid until server_free() */
void server_stop_accepting(struct server *s);
/* Tries the connections of HANDLED_WAIT again, in the order in which they began to wait, until one must wait again: its place is the first when it
 * got nowhere, the last else. Call it inside a turn, when what they wait for has moved or a wait is over; never from a processor.
 * True: something was processed, and if somebody still waits, another turn follows at once. */
bool server_resume(struct server *s);
void server_each_waiting(const struct server *s, void (*fn)(void *arg, uint64_t conn_id), void *arg); /* fn closes nobody */
int64_t server_waits_since(const struct server *s); /* monotonic: the first one's beginning; INT64_MAX: nobody waits */
void server_get_stats(const struct server *s, struct server_stats *out);
void server_free(struct server *s); /* writes what is queued as far as the sockets take it, closes all; NULL allowed */
#endif
