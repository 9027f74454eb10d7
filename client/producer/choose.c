/* choose.c - round robin over the write queues, around brokers in trouble.
 *
 * Two wishes: not the broker that just failed this message, and not one that failed others a moment ago. When both cannot be had, the
 * first counts more; when every queue is of the failed broker, it gets another chance. */
#include "client/producer/choose.h"

#include <string.h>

#include "common/protocol/message.h"

size_t choose_queue(const struct cmq_queue *queues, size_t n, uint32_t turn, const char *failed_broker, broker_avoided_fn *avoided, void *arg)
{
    if (n == 0)
        return 0;
    size_t second = n, first = turn % n;
    for (size_t i = 0; i < n; i++) {
        size_t at = (first + i) % n;
        const char *broker = queues[at].broker_name;
        if (failed_broker != NULL && strcmp(broker, failed_broker) == 0)
            continue;
        if (avoided == NULL || !avoided(arg, broker))
            return at;
        if (second == n)
            second = at;
    }
    return second < n ? second : first;
}

size_t cmq_select_by_hash(void *text, const struct cmq_message *m, const struct cmq_queue *queues, size_t n)
{
    (void)m, (void)queues;
    int64_t hash = java_hash(slice_str(text)); /* as Apache's SelectMessageQueueByHash */
    return n > 0 ? (size_t)((hash < 0 ? -hash : hash) % (int64_t)n) : 0;
}
