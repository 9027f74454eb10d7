/* route.h - where a topic's queues are: a name server's answer, decoded. Immutable and counted, so any thread may hold one.
 * Thread: any; pure, but for `turn`, which is the network thread's. */
#ifndef CLIENT_CORE_ROUTE_H
#define CLIENT_CORE_ROUTE_H
#include <stdatomic.h>
#include "client/include/cmq.h"
#include "common/base/err.h"
#include "common/base/mem.h"
#include "common/base/slice.h"

enum { ROUTE_QUEUES_MAX = 65536, ROUTE_BROKERS_MAX = 4096, ROUTE_ADDRS_MAX = 64 }; /* queues of one topic, of each kind; brokers; addresses of one */
struct route_addr {
    int64_t broker_id; /* 0: master */
    const char *addr;
};
struct route_broker {
    const char *cluster, *name;
    struct route_addr *addrs; /* by id, ascending */
    size_t n_addrs;
    int32_t read_queues, write_queues, perm, topic_sys_flag; /* all 0 when the topic has no queue there */
};
struct route {
    atomic_int refs;
    bool provisional;            /* made from the create-topic key: the topic may not exist yet */
    const char *topic;
    struct route_broker *brokers; /* sorted by name */
    size_t n_brokers;
    struct cmq_queue *write, *read; /* sorted by broker name and id; write ones have a master */
    size_t n_write, n_read;
    struct slice json;           /* what it was made from */
    uint32_t turn;               /* whose turn it is among the write queues */
    struct arena arena;
};
/* MQ_OK: *out is yours, one reference. default_queues > 0: a provisional route with at most so many queues per broker.
 * MQ_EMALFORMED, MQ_ELIMIT, MQ_ENOMEM: *out untouched. */
enum mq_err route_parse(const char *topic, struct slice json, int32_t default_queues, struct route **out, struct fault *why);
struct route *route_ref(struct route *r);
void route_unref(struct route *r); /* NULL allowed */
const struct route_broker *route_broker(const struct route *r, const char *name); /* NULL when absent */
const char *route_master(const struct route_broker *b);                          /* NULL when it has none */
int queue_cmp(const struct cmq_queue *a, const struct cmq_queue *b);             /* by topic, broker name, id */
static inline bool queue_eq(const struct cmq_queue *a, const struct cmq_queue *b) { return queue_cmp(a, b) == 0; }
#endif
