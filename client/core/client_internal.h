/* client_internal.h - the struct behind client.h, shared by client.c, names.c, route_cache.c and heartbeat.c only. */
#ifndef CLIENT_CORE_CLIENT_INTERNAL_H
#define CLIENT_CORE_CLIENT_INTERNAL_H
#include <pthread.h>
#include <stdatomic.h>

#include "client/core/client.h"
#include "common/base/hashmap.h"

enum { NAMES_MAX = 32, BROKERS_OF_CLIENT_MAX = 4096, TOPICS_OF_CLIENT_MAX = 100000 };

struct client {
    /* ---- fixed from client_new() on ---- */
    struct cmq_config cfg;
    struct client_role role;
    struct loop *loop;
    struct caller *caller;
    char id[320];
    char *names[NAMES_MAX];
    size_t n_names;
    pthread_t thread;
    bool started;
    /* ---- network thread ---- */
    size_t name_at;          /* the name server that answered last */
    struct list asks;        /* of struct ask */
    struct hashmap topics;   /* of struct topic_entry; written by the network thread under `lock` */
    struct hashmap brokers;  /* of struct broker_entry */
    struct loop_timer poll_timer, beat_timer, soon_timer;
    uint64_t beat_round;
    bool leaving;            /* no more heartbeats */
    bool ended;              /* no more calls: the connections are being ended */
    /* ---- any thread ---- */
    pthread_mutex_t lock;    /* `topics` against readers, and the entries' routes */
};

struct broker_entry { /* the newest addresses of a broker */
    struct hash_node node; /* key = name */
    struct route_addr *addrs; /* in the arena */
    size_t n_addrs;
    struct arena arena;
    int64_t avoid_until_ms;  /* monotonic */
    uint64_t beat_round;
    char name[];
};

void route_cache_init(struct client *c);
void route_cache_stop(struct client *c); /* wants under way end with CMQ_ERR_STATE */
void route_cache_fini(struct client *c); /* after the caller's end */
void heartbeat_init(struct client *c);
void heartbeat_soon(struct client *c); /* a broker is new */
/* Calls fn for each broker of a known route once. */
void route_cache_each_broker(struct client *c, void (*fn)(void *arg, struct broker_entry *b), void *arg);
#endif
