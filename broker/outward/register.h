/* register.h - keeps the name servers informed: every registerNameServerPeriod, at once when a topic or the permission changed,
 * and a farewell at the stop. Each name server is told for itself: a dead or slow one delays nobody.
 * Thread: core. */
#ifndef BROKER_OUTWARD_REGISTER_H
#define BROKER_OUTWARD_REGISTER_H
#include "broker/config.h"
#include "broker/metadata/topics.h"
#include "broker/outward/register_body.h"
#include "common/loop/loop.h"
#include "common/remoting/caller.h"

enum { NAME_SERVERS_MAX = 64 };
struct registrar_setup { /* all borrowed until registrar_free() */
    struct loop *loop;
    struct caller *caller;
    const struct broker_config *config;
    struct topics *topics;
    struct register_identity who;
};
struct registrar;
typedef void registrar_fn(void *arg);
/* Addresses: config->namesrv_addr, "host:port;host:port"; none is fine, then nobody is told. Nothing is sent yet. */
enum mq_err registrar_new(const struct registrar_setup *setup, struct registrar **out, struct fault *why);
void registrar_start(struct registrar *r);                            /* registers everything now and from then on */
void registrar_topic_changed(struct registrar *r, struct slice name); /* sends just this topic, together with others that change meanwhile */
void registrar_all_changed(struct registrar *r);                      /* sends everything */
/* True: each name server that is up knows all that changed until now. Else fn is called once when they do, or after 3 s, and never
 * from inside this call. Out of memory counts as true. */
bool registrar_is_current(struct registrar *r, registrar_fn *fn, void *arg);
/* Unregisters at the name servers; fn once, when all answered or after timeout_ms, never from inside the call. */
void registrar_stop(struct registrar *r, int64_t timeout_ms, registrar_fn *fn, void *arg);
size_t registrar_known_at(const struct registrar *r); /* name servers whose last answer was good */
/* Waiting fns are not called. Free the caller first: its last answers arrive here. NULL allowed. */
void registrar_free(struct registrar *r);
#endif
