/* delay.h - a message with DELAY > 0 on its way into SCHEDULE_TOPIC_XXXX and out of it: what Apache 4.9.8 stores in between.
 * Thread: any; pure. */
#ifndef BROKER_SCHEDULE_DELAY_H
#define BROKER_SCHEDULE_DELAY_H
#include "broker/store/message_store.h"
#include "common/base/mem.h"
#include "common/protocol/message.h"

/* m, which is complete, becomes one of the level's queue; a level beyond the last of `levels` becomes the last. level > 0. Its topic, queue
 * and level go into its properties, which lie in the arena then. False: out of memory, m is as it was. */
bool delay_divert(struct message *m, int32_t level, unsigned levels, struct arena *a);

/* What is to be delivered of a stored one: its fields, but topic and queue are the real ones. Slices point where stored's do. False: it
 * names no topic or queue, or one where clients may not send; *why says so. */
bool delay_restore(const struct message *stored, struct message *out, const char **why);
#endif
