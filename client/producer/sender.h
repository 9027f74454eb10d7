/* sender.h - a message on its way to a broker: route, queue, request, answer, another try. Used by producers, and by consumers that
 * send a message back.
 * Thread: the client's network thread, unless a function says "any". */
#ifndef CLIENT_PRODUCER_SENDER_H
#define CLIENT_PRODUCER_SENDER_H
#include <stdatomic.h>

#include "client/core/client.h"

struct send_job;
/* Called once: one of result and err is NULL, both borrowed. The job is gone afterwards. */
typedef void send_done_fn(void *arg, const struct cmq_send_result *result, const struct cmq_error *err);

struct send_counts { /* any thread; relaxed */
    _Atomic uint64_t sent, failed, retried, bytes, waiting_messages, waiting_bytes;
    _Atomic uint64_t jobs; /* whose done has not returned yet */
};
struct sent { /* a send that was answered, for who keeps records; all borrowed */
    const char *topic, *addr; /* addr: of the broker's master; "" when it is gone */
    struct slice tags, keys, region;
    const struct cmq_send_result *result;
    size_t body_n;               /* as sent */
    int64_t begun_ms, cost_ms;   /* wall clock; until the answer */
    int kind;                    /* Java's MessageType: 0 plain, 1 half of a transaction, 3 delayed */
    bool trace_on;               /* the broker does not mind records */
};
struct sender { /* yours; zero before init */
    struct client *client;
    const char *group;          /* borrowed for its life */
    struct send_counts counts;
    void (*idle)(void *arg);    /* nothing waits any more; NULL allowed */
    void *arg;
    void (*sent)(void *arg, const struct sent *s); /* network thread; NULL: nobody wants to know */
    void *sent_arg;
    bool ended;                 /* set by the owner's last words: no more tries */
};

enum send_how { SEND_ANSWERED, SEND_ONEWAY };
struct send_order { /* borrowed for send_job_new() unless said otherwise */
    const char *topic;          /* copied */
    struct slice body;          /* borrowed until done, unless copy_body */
    bool copy_body;
    bool batch;
    uint32_t n_messages;        /* for the counts; 0 counts as 1 */
    const struct cmq_message *m; /* properties and flag; NULL: none */
    const struct cmq_queue *queue; /* NULL: any */
    int32_t sys_flag;
    int32_t reconsume_times, max_reconsume; /* max_reconsume < 0: not sent */
    int32_t tries;
    int64_t timeout_ms;
    enum send_how how;
    const char *unique_id;      /* for the result; "" allowed */
    struct cmq_message *owned;  /* freed with the job; NULL allowed */
    send_done_fn *done;
    void *arg;
};
/* NULL: out of memory (owned is still yours). Counts as waiting from here on. Any thread. */
struct send_job *send_job_new(struct sender *s, const struct send_order *o);
void send_job_post(struct send_job *j);  /* any thread */
void send_job_start(struct send_job *j); /* network thread; done may be called from inside */
#endif
