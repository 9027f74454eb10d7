/* send_message.h - what the wiring needs of the send processor besides its routes. Thread: core. */
#ifndef BROKER_PROCESSOR_SEND_MESSAGE_H
#define BROKER_PROCESSOR_SEND_MESSAGE_H
#include "common/protocol/reply.h"

/* Tries a send: enum handled, or SEND_STILL_BUSY. ctx: the broker_context. It is the send_hold's retry function. */
int send_message_try(void *ctx, const struct request *rq, struct reply *out);
#endif
