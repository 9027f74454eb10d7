/* queue_json.h - a queue in JSON, as Apache's MessageQueue: {"brokerName":"b","queueId":0,"topic":"t"}, a value or, as fastjson has it, a key.
 * Thread: any; pure. */
#ifndef COMMON_PROTOCOL_QUEUE_JSON_H
#define COMMON_PROTOCOL_QUEUE_JSON_H
#include "common/protocol/json.h"

void queue_json(struct jw *w, struct slice broker_name, struct slice topic, int32_t queue_id);
/* The key of a map: the object itself, unquoted; Java's admin tools and the fixtures recorded from Apache's servers read exactly that. */
void queue_json_key(struct jw *w, struct slice broker_name, struct slice topic, int32_t queue_id);
#endif
