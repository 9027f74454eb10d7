/* routes_internal.h - the structs behind routes.h, for the files of this folder only.
 *
 *   cluster --> brokers (by name) --> lives (by id; each with its address) <-- conn (all that one connection registered)
 *                      ^ \
 *                      |  `--> topics that have queues there (no order)
 *   topic --> queues (by broker name)
 */
#ifndef NAMESRV_ROUTE_ROUTES_INTERNAL_H
#define NAMESRV_ROUTE_ROUTES_INTERNAL_H
#include "common/base/hashmap.h"
#include "common/base/list.h"
#include "namesrv/route/routes.h"

struct ptrs { /* a growing array of pointers */
    void **p;
    uint32_t n, cap;
};

struct route_cluster {
    struct hash_node node;
    struct ptrs brokers; /* struct route_broker, by name */
    char name[];
};
struct route_broker {
    struct hash_node node;
    struct route_cluster *cluster;
    struct ptrs lives;   /* struct route_live, by id; never empty between two calls */
    struct ptrs topics;  /* struct route_topic, each once */
    uint32_t last_place; /* in the queues of the topic that was looked at last */
    struct buf texts;    /* of json.c; empty: to be made. route_topics_of_stale() empties it */
    size_t data_n;
    char name[];
};
struct route_conn {
    struct hash_node node;
    struct list lives;
    uint64_t id;
};
struct route_live {
    struct hash_node node; /* by address */
    struct list of_conn;
    struct route_conn *conn;
    struct route_broker *broker;
    int64_t id, heard_ms;
    struct data_version version;
    bool version_known;
    struct body_mark mark;
    struct buf ha_addr;
    struct buf filters; /* the JSON array of its filter servers; empty: none */
    char addr[];
};
struct route_queue {
    struct route_broker *broker;
    struct topic_queues q;
};
struct route_topic {
    struct hash_node node;
    struct list lru;            /* in routes.lru while `answer` is there */
    struct route_queue *queues; /* by broker name; never empty between two calls */
    uint32_t n, cap;
    uint8_t *answer;
    size_t answer_n;
    char name[];
};
struct routes {
    struct routes_config cfg;
    struct hashmap clusters, brokers, lives, topics, conns;
    size_t n_queues;
    struct list lru; /* most recently asked first */
    size_t cached, cached_bytes;
    uint64_t encoded;
};

/* MQ_OK, or MQ_ELIMIT with words: memory is too short for something new. */
enum mq_err route_may_grow(const struct routes *r, struct fault *why);

/* ---- ptrs ---- */
bool ptrs_insert(struct ptrs *a, uint32_t at, void *item); /* false: out of memory */
void ptrs_remove(struct ptrs *a, uint32_t at);

/* ---- topics.c ---- */
/* Sets the topic's queues on this broker. MQ_ENOMEM, MQ_ELIMIT. */
enum mq_err route_topics_put(struct routes *r, struct route_broker *b, struct slice topic, const struct topic_queues *q,
                       struct registration_result *out, struct fault *why);
void route_topics_stale(struct routes *r, struct route_topic *t);
void route_topics_of_stale(struct routes *r, struct route_broker *b); /* something of the broker itself has changed */
void route_topics_drop_broker(struct routes *r, struct route_broker *b); /* it serves nothing any more */
void route_topics_free(struct routes *r);

/* ---- json.c ---- */
void route_json_topic(const struct routes *r, const struct route_topic *t, struct buf *out); /* TopicRouteData */
#endif
