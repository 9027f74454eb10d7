/* endpoint_internal.h - between conn.c and endpoint.c only. */
#ifndef COMMON_REMOTING_ENDPOINT_INTERNAL_H
#define COMMON_REMOTING_ENDPOINT_INTERNAL_H
#include "common/remoting/endpoint.h"

enum { READ_MAX = 256 * 1024 }; /* bytes of one read */

void conn_free_dead(struct conn *c);
/* A complete frame without its length word. False: it must wait, and so does c now. */
bool endpoint_frame(struct conn *c, struct slice frame);
void endpoint_malformed(struct conn *c, const char *why);         /* counts, logs within a rate, closes */
void endpoint_fail_calls(struct endpoint *ep, struct list *calls, enum mq_err err, const struct fault *why);
void endpoint_watch_idle(struct endpoint *ep);
void endpoint_later(struct conn *c);                              /* conn_later() in the next turn */
void endpoint_relieve(struct endpoint *ep);                       /* short of memory: writes what can be written, then closes who holds most */
void conn_later(struct conn *c);
size_t conn_holds(const struct conn *c);                          /* bytes of its buffers; 0 while it is served: they are in use */
void conn_shed(struct conn *c);                                   /* frees them, and closes it in the next turn */
void conn_wait(struct conn *c);                                   /* no more of it is read or processed until conn_go_on() */
bool conn_go_on(struct conn *c);                                  /* false: it waits again, and nothing was processed */
#endif
