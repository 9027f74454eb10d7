/* send_header.h - the header of a send, in long names (10) or one-letter names (310, 320), read in one pass.
 * Thread: any; pure. Slices are borrowed from the command. */
#ifndef BROKER_PROCESSOR_SEND_HEADER_H
#define BROKER_PROCESSOR_SEND_HEADER_H
#include "common/protocol/command.h"

struct send_header {
    struct slice group, topic, default_topic, properties; /* properties.p == NULL: none came */
    int64_t born_ms;
    int32_t default_queues; /* <= 0: did not come */
    int32_t queue_id, sys_flag, flag;
    int32_t reconsume_times;     /* 0: did not come */
    int32_t max_reconsume_times; /* -1: did not come */
    bool unit_mode, batch;
};
/* False: bad[] says which field is missing or malformed. What Apache's clients always send is mandatory, but for
 * defaultTopicQueueNums and the group (clients.md Q10). */
bool send_header_read(const struct command *cmd, struct send_header *out, char bad[160]);
#endif
