/* producer_internal.h - the struct behind cmq_producer, shared by producer.c and request.c. */
#ifndef CLIENT_PRODUCER_PRODUCER_INTERNAL_H
#define CLIENT_PRODUCER_PRODUCER_INTERNAL_H
#include <pthread.h>
#include <stdatomic.h>

#include "client/core/client.h"
#include "client/core/message.h"
#include "client/producer/sender.h"
#include "client/producer/trace.h"
#include "common/base/hashmap.h"

struct checks;

struct cmq_producer {
    struct client *client;
    struct sender sender;
    const struct cmq_config *cfg;
    struct checks *checks; /* network thread; NULL: nobody answers brokers' questions about transactions */
    atomic_bool stopping;
    atomic_bool greeted;  /* the brokers know us by a heartbeat: they can push replies */
    pthread_mutex_t lock; /* for `idle`: sender.counts.jobs went to 0; and for `requests` */
    pthread_cond_t idle;
    struct trace *trace;  /* NULL: nobody wants records */
    struct hashmap requests; /* of those who wait for a reply, by correlation id */
};

/* producer.c: any thread but the network's. timeout_ms: at most sendMsgTimeout counts. */
enum cmq_code producer_send_and_wait(struct cmq_producer *p, struct cmq_message *m, const struct cmq_queue *queue, int64_t timeout_ms,
                                     struct cmq_send_result *out, struct cmq_error *err);

/* request.c */
enum cmq_code request_routes(struct cmq_producer *p, struct cmq_error *err); /* what brokers may ask of a producer */
void request_wake_all(struct cmq_producer *p); /* they find the producer stopping */
#endif
