/* peek.h - pulls of one queue, as a consumer of a group that is no member of it.
 * Thread: main. */
#ifndef CLIENT_ADMIN_MQADMIN_PEEK_H
#define CLIENT_ADMIN_MQADMIN_PEEK_H
#include "client/admin/mqadmin/view.h"

#define PEEK_TOOLS_GROUP "TOOLS_CONSUMER" /* a group that every broker has */
enum peek_status { PEEK_FOUND, PEEK_NO_NEW_MSG, PEEK_NO_MATCHED_MSG, PEEK_OFFSET_ILLEGAL };
const char *peek_status_name(enum peek_status s);
struct peek_queue {
    const char *topic, *broker, *group; /* the caller's */
    int32_t id;
    struct route *route;
    const char *addr; /* in the route */
};
struct peek_answer { /* end with peek_done() */
    enum peek_status status;
    int64_t next, min, max;
    struct answer answer;
};
bool peek_open(struct mqadmin *m, struct peek_queue *q); /* topic, broker, group and id are set; end with peek_close() */
void peek_close(struct peek_queue *q);
bool peek_next(struct mqadmin *m, const struct peek_queue *q, const char *expression, int64_t offset, int64_t max, struct peek_answer *out);
void peek_done(struct peek_answer *a);
/* The next message of an answer. False at the end, or (fail() was called) when it does not decode. */
bool peek_view(struct mqadmin *m, const struct peek_queue *q, const struct peek_answer *a, struct slice *rest, struct view *out);
bool peek_wants(const struct view *v, const char *expression); /* by its tag; brokers choose by the tag's hash only */
/* Offsets of the queue. */
bool peek_min(struct mqadmin *m, const struct peek_queue *q, int64_t *out);
bool peek_max(struct mqadmin *m, const struct peek_queue *q, int64_t *out);
bool peek_search(struct mqadmin *m, const struct peek_queue *q, int64_t time_ms, int64_t *out);
#endif
