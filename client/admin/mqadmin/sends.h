/* sends.h - what the commands that send share: a producer of our own, and the same message sent many times.
 * Thread: main. */
#ifndef CLIENT_ADMIN_MQADMIN_SENDS_H
#define CLIENT_ADMIN_MQADMIN_SENDS_H
#include "client/admin/mqadmin/mqadmin.h"

/* True: *out is yours, cmq_producer_free(). group NULL: a name that nobody else has. */
bool sends_open(struct mqadmin *m, const char *group, struct cmq_producer **out);
const char *sends_status(enum cmq_send_status status); /* SEND_OK ...; static */
void sends_print_result(const char *topic, const struct cmq_send_result *r); /* as SendResult.toString() */

struct sends_result {
    int64_t sent, failed, ms_but_first; /* ms of all sends but the first, which looks for the route */
};
/* Where a send goes, when the caller wants to say so: queue `turn` modulo their number; the last one's is in `queue`. */
struct sends_turn {
    int64_t turn;
    char broker[256];
    int32_t queue_id;
    void (*each)(const struct sends_turn *t, bool good, int64_t ms);
};
/* Sends `amount` messages of `size` bytes, one after the other. turn NULL: to whatever queue. */
void sends_many(struct cmq_producer *p, const char *topic, int64_t size, int64_t amount, struct sends_turn *turn, struct sends_result *out);
#endif
