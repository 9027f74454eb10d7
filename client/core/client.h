/* client.h - what a producer, a consumer and an admin share: one network thread with its loop and its connections, the name servers,
 * the routes, the heartbeats.
 * Thread: the client's own ("network thread") unless a function says "any". Before client_start() the maker's thread counts as it. */
#ifndef CLIENT_CORE_CLIENT_H
#define CLIENT_CORE_CLIENT_H
#include "client/core/config.h"
#include "client/core/route.h"
#include "client/include/cmq.h"
#include "common/base/list.h"
#include "common/loop/loop.h"
#include "common/remoting/caller.h"

struct client;
struct client_role { /* what its owner adds; NULL members allowed */
    void *ctx;
    /* The body of a heartbeat. False: there is nothing to say. */
    bool (*heartbeat)(void *ctx, struct buf *body);
    bool slaves_too;      /* heartbeats and goodbyes go to slaves as well */
    bool produces, consumes; /* whose groups the goodbye names, as cfg has them */
    /* A topic's route is another one than before. */
    void (*route_changed)(void *ctx, const char *topic);
};
/* cfg is copied. CMQ_OK: *out is yours, end with client_free(). CMQ_ERR_CONFIG, CMQ_ERR_NO_MEMORY, CMQ_ERR_SYSTEM. Any thread. */
enum cmq_code client_new(const struct cmq_config *cfg, const struct client_role *role, struct client **out, struct cmq_error *err);
enum cmq_code client_start(struct client *c, struct cmq_error *err); /* the network thread begins; any thread */
/* Runs `last` on the network thread (NULL allowed; it ends whatever waits), ends the thread, frees all. Any other thread; NULL allowed. */
void client_free(struct client *c, void (*last)(void *arg), void *arg);
/* The first half of it: the thread and the connections end, what waited has been told; the client can only be freed then. */
void client_stop(struct client *c, void (*last)(void *arg), void *arg);
const struct cmq_config *client_cfg(const struct client *c); /* any thread */
const char *client_id(const struct client *c);               /* any thread */
struct loop *client_loop(struct client *c);                  /* any thread, for posting */
struct caller *client_caller(struct client *c);
bool client_is_network_thread(const struct client *c);       /* any thread */
/* Calls fn on the network thread and waits until it returned. Any other thread. */
void client_run(struct client *c, void (*fn)(void *arg), void *arg);

/* ---- calls ---- */
/* A request with cfg's serialization, our version and language. */
struct command client_command(const struct client *c, int32_t code, const struct ext_field *ext, uint32_t n_ext);
/* Exactly one of answer and err is NULL; both are borrowed. An answer may carry any code. */
typedef void client_answer_fn(void *arg, const struct command *answer, const struct cmq_error *err);
/* Asks one name server after the other until one answers, within timeout_ms. fn is called once, maybe from inside. cmd is copied. */
void client_ask_names(struct client *c, const struct command *cmd, int64_t timeout_ms, client_answer_fn *fn, void *arg);
size_t client_n_names(const struct client *c); /* any thread */
const char *client_name(const struct client *c, size_t i); /* address of a name server; any thread */

struct answer { /* a copy that outlives the call */
    struct command cmd;
    struct arena arena;
};
void answer_free(struct answer *a);
/* The same two, waiting. addr NULL: the name servers. CMQ_OK: an answer of success, end with answer_free(). Else *err tells (a refusal of
 * the server, too), and there is nothing to free. Any other thread. */
enum cmq_code client_call_wait(struct client *c, const char *addr, const struct command *cmd, int64_t timeout_ms, const char *doing, struct answer *out,
                               struct cmq_error *err);
/* The same, but an answer of any code is CMQ_OK: refusals have fields, too. */
enum cmq_code client_call_any(struct client *c, const char *addr, const struct command *cmd, int64_t timeout_ms, const char *doing, struct answer *out,
                              struct cmq_error *err);

/* ---- routes ---- */
struct route_want { /* yours until fn is called or it is dropped */
    struct list node;
    void (*fn)(struct route_want *w, struct route *r, const struct cmq_error *err); /* one of r and err is NULL; both borrowed */
    struct loop_timer timer;
    struct client *client;
    bool pending;
};
/* Gives the route of topic: at once (fn is called from inside) or when a name server answered, at most timeout_ms later.
 * may_create: an unknown topic gets a provisional route from cfg's createTopicKey. */
void client_route_want(struct client *c, struct route_want *w, const char *topic, bool may_create, int64_t timeout_ms);
void client_route_drop(struct route_want *w);                      /* fn will not be called; harmless when not pending */
void client_route_refresh(struct client *c, const char *topic);    /* asks again soon; the old one stays until then */
struct route *client_route_cached(struct client *c, const char *topic); /* yours: route_unref(); NULL when unknown. Any thread */
/* The same with waiting. CMQ_OK: *out is yours. Any other thread. */
enum cmq_code client_route_wait(struct client *c, const char *topic, bool may_create, int64_t timeout_ms, struct route **out, struct cmq_error *err);
/* The address of a broker, by the newest route that named it. id < 0: the master, else any. Empty when unknown. */
enum { ADDR_MAX = 272 };
bool client_broker_addr(struct client *c, const char *broker_name, int64_t broker_id, bool exactly, char out[ADDR_MAX]);
void client_broker_failed(struct client *c, const char *broker_name); /* avoid it for a while */
bool client_broker_is_avoided(struct client *c, const char *broker_name);

/* ---- heartbeats ---- */
/* To every broker of every known route now; then (NULL allowed) is called when all have answered or failed, maybe from inside. */
void client_heartbeat(struct client *c, void (*then)(void *arg), void *arg);
/* Says goodbye (35) to every broker, then calls `then`. */
void client_leave(struct client *c, void (*then)(void *arg), void *arg);
#endif
