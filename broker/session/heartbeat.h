/* heartbeat.h - the body of a heartbeat, decoded: bytes to structs, nothing else. Thread: any; pure. */
#ifndef BROKER_SESSION_HEARTBEAT_H
#define BROKER_SESSION_HEARTBEAT_H
#include "broker/session/session.h"

enum { HEARTBEAT_GROUPS_MAX = 4096, HEARTBEAT_TOPICS_MAX = 16384 }; /* of one body; topics: of one group */

struct heartbeat_consumer {
    struct slice group; /* points into the heartbeat's JSON */
    enum consume_type type;
    enum message_model model;
    enum consume_from from;
    bool unit_mode;
    struct subscription **subscriptions; /* each on the heap; who takes one leaves NULL behind */
    size_t n_subscriptions;
};
struct heartbeat {
    json_t *root;
    struct slice client_id;
    bool without_subscriptions; /* a 5.x client that believes its subscriptions are known: they stay as they are */
    bool fingerprinted;         /* it would leave them out, if we said that we can do without */
    struct heartbeat_consumer *consumers;
    size_t n_consumers;
    struct slice *producers;
    size_t n_producers;
};
/* MQ_OK: *out is yours, end it with heartbeat_fini(). MQ_EMALFORMED (why names the field), MQ_ELIMIT, MQ_ENOMEM. */
enum mq_err heartbeat_decode(struct slice body, struct heartbeat *out, struct fault *why);
void heartbeat_fini(struct heartbeat *h);
#endif
