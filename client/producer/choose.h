/* choose.h - which queue a message goes to.
 * Thread: any; pure. */
#ifndef CLIENT_PRODUCER_CHOOSE_H
#define CLIENT_PRODUCER_CHOOSE_H
#include <stdbool.h>
#include "client/include/cmq.h"

/* The queues take turns, beginning with number `turn`. Passed over, as long as another is left: queues of the broker that failed last
 * (NULL: none), then queues of brokers that `avoided` names. n == 0 gives 0. */
typedef bool broker_avoided_fn(void *arg, const char *broker_name);
size_t choose_queue(const struct cmq_queue *queues, size_t n, uint32_t turn, const char *failed_broker, broker_avoided_fn *avoided, void *arg);
#endif
