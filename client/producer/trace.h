/* trace.h - records of what became of messages, sent to the trace topic in Apache's form; for tools that show a message's way.
 * Thread: any, unless a function says otherwise. What cannot be sent is dropped: a trace never delays or fails what it tells of. */
#ifndef CLIENT_PRODUCER_TRACE_H
#define CLIENT_PRODUCER_TRACE_H
#include "client/core/message.h"
#include "client/producer/sender.h"

struct trace;
/* cfg says no: CMQ_OK and *out is NULL, which all functions take for nothing to do. Before the client starts. CMQ_ERR_NO_MEMORY. */
enum cmq_code trace_new(struct client *c, struct trace **out, struct cmq_error *err);
void trace_free(struct trace *t);                         /* after client_stop() */
void trace_finish(struct trace *t, int64_t timeout_ms);   /* sends what is collected and waits for the answers; not the network thread */
void trace_end(struct trace *t);                          /* network thread: nothing is sent any more */

/* A send that was answered. */
void trace_sent(struct trace *t, const char *group, const struct sent *s);
/* Around a callback: the same request_id for both. */
struct trace_consumption {
    const char *group;
    const struct cmq_message *const *m;
    size_t n;
    int64_t begun_ms, cost_ms; /* wall clock; of the whole callback */
    char request_id[64];
};
void trace_consuming(struct trace *t, struct trace_consumption *c); /* fills in begun_ms and request_id */
void trace_consumed(struct trace *t, const struct trace_consumption *c, bool good);
#endif
