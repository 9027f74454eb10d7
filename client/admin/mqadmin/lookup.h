/* lookup.h - what nearly every command has to find out first: the brokers of a cluster, a topic's route, how far a group is.
 * Thread: main. What is yours ends with the function beside it; what fails is kept by fail(). Lists are sorted. */
#ifndef CLIENT_ADMIN_MQADMIN_LOOKUP_H
#define CLIENT_ADMIN_MQADMIN_LOOKUP_H
#include "client/admin/mqadmin/ask.h"

/* ---- brokers ---- */
struct place { /* texts belong to the places */
    const char *cluster, *broker, *addr;
    int64_t id; /* 0: master */
};
struct places {
    json_t *info;
    struct place *at; /* by cluster, broker name, id */
    size_t n;
};
bool places_get(struct mqadmin *m, struct places *out); /* of all clusters; end with places_free() */
void places_free(struct places *p);
bool places_have(const struct places *p, const char *cluster);
const char *places_cluster_of(const struct places *p, const char *broker); /* NULL when unknown */
/* The addresses of a cluster's masters, or of all its brokers. No such cluster: says so as Apache does, and there are none. False: it failed. */
struct addrs {
    struct places places;
    const struct place **at;
    size_t n;
};
bool addrs_get(struct mqadmin *m, const char *cluster, bool slaves, struct addrs *out); /* end with addrs_free() */
void addrs_free(struct addrs *a);

/* ---- routes ---- */
struct route *lookup_route(struct mqadmin *m, const char *topic); /* yours, route_unref(); NULL: it failed */
const char *lookup_addr(const struct route_broker *b);            /* its master, else a slave */

/* ---- names ---- */
struct names { /* of a JSON array; borrowed from it */
    const char **at;
    size_t n;
};
bool names_of(struct mqadmin *m, const json_t *array, struct names *out);
void names_free(struct names *n);
json_t *lookup_topics(struct mqadmin *m, struct names *out);                        /* all topics; end with json_decref() and names_free() */
json_t *lookup_groups(struct mqadmin *m, const char *topic, struct names *out);     /* who consumes it; the same */

/* ---- tables whose keys are queues ---- */
struct queue_row {
    struct cmq_queue queue;
    const json_t *value;
};
struct queue_rows {
    struct queue_row *at; /* by topic, broker name, id, after queue_rows_sort() */
    size_t n;
    struct arena names;
    json_t *keep;         /* the answers, which own the values */
};
/* Adds the rows of `table`, a member of `root`; root is taken. False: it failed. */
bool queue_rows_add(struct mqadmin *m, struct queue_rows *rows, json_t *root, const json_t *table);
void queue_rows_sort(struct queue_rows *rows);
void queue_rows_free(struct queue_rows *rows);
/* How far a group is in the queues it consumes (topic NULL: of all topics): brokerOffset, consumerOffset, lastTimestamp. */
bool lookup_progress(struct mqadmin *m, const char *group, const char *topic, struct queue_rows *out, double *tps);
int64_t progress_diff(const json_t *value);
int64_t progress_total(const struct queue_rows *rows);

/* ---- clients ---- */
/* Who is online; NULL: it failed, 206 when nobody is. addr NULL: asks a broker that has the group's retry topic. Yours. */
json_t *lookup_consumers(struct mqadmin *m, const char *group, const char *addr);
#endif
