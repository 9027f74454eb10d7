/* pull_message.h - what the wiring needs of the pull processor besides its routes: the callbacks of long polling, whose `pull`
 * is what this processor parked. ctx: the broker_context. Thread: core. */
#ifndef BROKER_PROCESSOR_PULL_MESSAGE_H
#define BROKER_PROCESSOR_PULL_MESSAGE_H
#include "broker/longpoll/longpoll.h"

bool pull_message_match(void *ctx, void *pull, int64_t tags_code, struct slice properties);
void pull_message_wake(void *ctx, void *pull, enum longpoll_why why);
void pull_message_drop(void *ctx, void *pull);
#endif
