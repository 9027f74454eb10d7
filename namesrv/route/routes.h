/* routes.h - the tables of a name server: which broker serves which topic, at which addresses, and who is still alive.
 * Thread: core. No socket and no clock: now_ms is whatever the caller counts in milliseconds, as long as it never goes back.
 * Slices given in are borrowed for the call; what comes out is borrowed until the next call that is not const. */
#ifndef NAMESRV_ROUTE_ROUTES_H
#define NAMESRV_ROUTE_ROUTES_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/base/budget.h"
#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/slice.h"

enum {
    ROUTES_MASTER_ID = 0,
    ROUTES_NAME_MAX = 255,            /* bytes of a topic, broker, cluster or address */
    ROUTES_BROKERS_MAX = 65536,       /* broker names */
    ROUTES_ADDRS_MAX = 1024,          /* addresses of one broker name */
    ROUTES_TOPICS_MAX = 1000000,
    ROUTES_QUEUES_MAX = 40000000,     /* pairs of topic and broker */
    ROUTES_FILTERS_MAX = 1024,        /* filter servers of one broker */
    ROUTES_EXPIRE_MS = 120000,        /* a broker that was not heard of for longer is gone */
    ROUTES_SWEEP_FIRST_MS = 5000,
    ROUTES_SWEEP_MS = 10000,
    ROUTES_CACHE_MAX = 16 << 20       /* bytes of encoded answers kept; the least recently asked goes first */
};

struct data_version {
    int64_t timestamp, counter;
};
struct topic_queues { /* of one topic on one broker; permissions and flags as in codes.h */
    int32_t read, write, perm, sys_flag;
};
enum { TOPIC_UNIT = 1, TOPIC_UNIT_SUB = 2 }; /* bits of sys_flag */

/* Topics of a registration, one after the other: false at the end. *name is good until the next call. */
struct topic_source {
    bool (*next)(void *ctx, struct slice *name, struct topic_queues *out); /* NULL: no topics */
    void *ctx;
};
/* Which bytes a registration's body was: equal marks and equal versions mean the same body. form: as the caller likes. */
struct body_mark {
    size_t n; /* 0: none, equals nothing */
    uint32_t crc;
    int form;
};
struct registration {
    struct slice cluster, name, addr, ha_addr; /* ha_addr: p == NULL for none */
    int64_t id;                                /* ROUTES_MASTER_ID, or a slave's */
    uint64_t conn_id;                          /* the connection that said so */
    struct data_version version;
    struct body_mark mark;
    struct topic_source topics;                /* read only when it's a master's and the version is new */
    bool filters_given;                        /* false: leave the filter servers as they are */
    const struct slice *filters;
    size_t n_filters;
};
struct registration_result {
    struct slice master_addr, ha_addr; /* for a slave whose master is known; else p == NULL */
    size_t topics_new, topics_changed;
};

enum broker_event { BROKER_UP, BROKER_UNREGISTERED, BROKER_CLOSED, BROKER_EXPIRED, BROKER_REPLACED };
struct routes_config {
    void *ctx; /* given to both functions; NULL functions allowed */
    /* The order configuration that belongs into a topic's route: false for none. */
    bool (*order_conf)(void *ctx, struct slice topic, struct slice *value);
    /* An address came or went. It must not call back into the tables. */
    void (*event)(void *ctx, enum broker_event what, struct slice name, struct slice addr, int64_t id, uint64_t conn_id);
    /* NULL: none. From BUDGET_NO_GROWTH on what is new is refused, and what is known goes on; from BUDGET_GIVE_BACK on no answers are kept. */
    const struct budget *budget;
};

struct routes;
struct routes *routes_new(const struct routes_config *cfg); /* NULL: out of memory; cfg is copied. End with routes_free() */
void routes_free(struct routes *r);                         /* NULL allowed */

/* ---- brokers ---- */
/* MQ_EINVAL: a name that is empty or too long; MQ_ELIMIT (a bound of above, or memory), MQ_ENOMEM. After a failure among the topics the address is
 * known, its topics are as far as they came, and the next registration reads all topics again. */
enum mq_err routes_register(struct routes *r, const struct registration *reg, int64_t now_ms, struct registration_result *out,
                            struct fault *why);
/* True when this broker last registered this address and id with the same version and mark: nothing of the body is news, and
 * routes_register() may be given no topics and no filter servers. */
bool routes_knows(const struct routes *r, const struct registration *reg);
/* Forgets the address when it belongs to this broker name; false otherwise. */
bool routes_unregister(struct routes *r, struct slice name, struct slice addr);
/* Forgets all addresses that were last registered through this connection; how many. */
size_t routes_conn_closed(struct routes *r, uint64_t conn_id);
/* Forgets what was not heard of for ROUTES_EXPIRE_MS; how many. */
size_t routes_sweep(struct routes *r, int64_t now_ms);
/* The version that this address registered last: false when unknown. */
bool routes_version(const struct routes *r, struct slice addr, struct data_version *out);
/* The address gave a sign of life. */
void routes_heard(struct routes *r, struct slice addr, int64_t now_ms);

/* ---- topics ---- */
/* The encoded TopicRouteData; false when no broker serves the topic, or (out->p == NULL) out of memory. Kept until the
 * topic's route changes. */
bool routes_answer(struct routes *r, struct slice topic, struct slice *out);
void routes_touch(struct routes *r, struct slice topic); /* its answer is stale: what order_conf() says has changed */
void routes_touch_all(struct routes *r);
void routes_delete_topic(struct routes *r, struct slice topic);
void routes_delete_topic_of(struct routes *r, struct slice topic, struct slice cluster); /* only on the cluster's brokers */
/* Takes the write bit from each topic of the broker, or makes each readable and writable; how many topics it serves. */
size_t routes_wipe_write(struct routes *r, struct slice broker);
size_t routes_add_write(struct routes *r, struct slice broker);

/* ---- lists, appended as JSON; names in byte order. Failure shows in out->failed. ---- */
void routes_json_clusters(const struct routes *r, struct buf *out);                      /* ClusterInfo */
void routes_json_topics(const struct routes *r, struct buf *out);                        /* TopicList: all */
void routes_json_topics_of(const struct routes *r, struct slice cluster, struct buf *out);
void routes_json_topics_flagged(const struct routes *r, int32_t mask, int32_t want, struct buf *out); /* sys_flag & mask == want */
void routes_json_system(const struct routes *r, struct buf *out);                        /* clusters, brokers, one address */

struct routes_stats {
    size_t clusters, brokers, addresses, topics, queues, cached, cached_bytes;
    uint64_t encoded; /* answers built since the start */
};
void routes_stats(const struct routes *r, struct routes_stats *out);
#endif
