/* send_message.h - what the wiring needs of the send processor besides its routes. Thread: core. */
#ifndef BROKER_PROCESSOR_SEND_MESSAGE_H
#define BROKER_PROCESSOR_SEND_MESSAGE_H
#include "broker/processor/context.h"

/* A send is told HANDLED_WAIT while c->pressure says so; then its connection is tried again when nothing presses any more, or ... */
int64_t send_message_patience(const struct broker_context *c); /* ... after so many ms: it is refused in words */
/* What a request that must wait is told: HANDLED_WAIT, or HANDLED_NOW when its patience is over. For all that put messages. */
enum handled send_message_must_wait(struct broker_context *c, const struct request *rq, struct reply *out);
void send_message_press(struct broker_context *c);             /* finds out what presses: at the end of each turn's writing */
/* What ends the waits of those who were taken; both note how long they were. */
void send_message_flushed(struct broker_context *c, uint64_t flushed_off);
int64_t send_message_deadlines(struct broker_context *c, int64_t mono_ms); /* the next one; INT64_MAX: none */
#endif
