/* allocate.h - how the members of a group share a topic's queues. All members compute the same from the same lists.
 * Thread: any; pure. */
#ifndef CLIENT_CONSUMER_ALLOCATE_H
#define CLIENT_CONSUMER_ALLOCATE_H
#include <stdbool.h>
#include "client/core/config.h"
#include "client/include/cmq.h"

/* queues: sorted by queue_cmp(); members: sorted by bytes, without doubles. mine[i] says whether queue i is ours (n_queues of them).
 * False: `me` is not among the members, or out of memory; mine is then all false. */
bool allocate_queues(enum allocate_by how, const char *me, const char *const *members, size_t n_members, const struct cmq_queue *queues, size_t n_queues,
                     bool *mine);
#endif
