/* net.h - a server in the test's own loop, and raw sockets that talk to it: what goes over them is written here by hand. */
#ifndef TESTS_UNIT_REMOTING_NET_H
#define TESTS_UNIT_REMOTING_NET_H
#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/loop/loop.h"
#include "common/remoting/server.h"

/* ---- the world of one test ---- */
struct net {
    struct loop *loop;
    struct server *server;
    uint16_t port;
    char lines[16][256]; /* warnings and errors that were logged */
    int n_lines;
};
extern struct net net;
void net_start(const struct server_config *cfg, const struct server_events *events); /* cfg: ports and address are filled in here; NULL: defaults */
void net_stop(void);
bool net_logged(const char *part); /* exactly one line contains it */

typedef bool net_cond_fn(void *arg);
bool net_until(net_cond_fn *cond, void *arg, int ms); /* runs the loop until cond; false: ms went by */
void net_run(int ms);

/* ---- a peer: a plain socket ---- */
struct peer_end {
    int fd;
    struct buf in;
    bool closed; /* by the other side, or reset */
};
struct peer_end peer_connect(uint16_t port);
void peer_send(struct peer_end *p, struct slice bytes); /* all of it, running the loop while the socket is full */
bool peer_poll(struct peer_end *p);                     /* reads what is there */
bool peer_frames(struct peer_end *p, size_t n);         /* polls; are there n whole frames? */
struct slice peer_frame(const struct peer_end *p, size_t i); /* the i-th, without its length word */
bool peer_wait_frames(struct peer_end *p, size_t n);    /* within 5 s */
bool peer_wait_closed(struct peer_end *p);              /* within 5 s */
void peer_end(struct peer_end *p);

/* ---- frames by hand ---- */
void frame_json(struct buf *out, const char *header, const char *body);
void frame_request(struct buf *out, int code, int opaque, int flag, const char *body);
void frame_binary(struct buf *out, int code, int opaque, int flag, const char *body);
/* Reads "name": number in a JSON header (of a frame without length word); INT32_MIN when absent. */
int32_t header_number(struct slice frame, const char *name);
bool frame_has(struct slice frame, const char *text);
#endif
