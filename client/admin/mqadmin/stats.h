/* stats.h - what a broker counted of a topic or a group. Thread: main. */
#ifndef CLIENT_ADMIN_MQADMIN_STATS_H
#define CLIENT_ADMIN_MQADMIN_STATS_H
#include "client/admin/mqadmin/ask.h"

struct flow {
    double tps;  /* of the last minute */
    int64_t day; /* messages of the longest span, up to a day, of which there is a figure */
};
/* Adds a broker's figure. False: it has none, and fail() was called. */
bool stats_add(struct mqadmin *m, const char *addr, const char *name, const char *key, struct flow *sum);
#endif
