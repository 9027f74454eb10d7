/* consumer_internal.h - the struct behind cmq_consumer, shared by the files of this folder.
 *
 *   rebalance.c  which queues are ours --> pull.c  messages into windows --> deliver.c  to callbacks, polls --> progress --> offset/
 *        `--> order.c  where order counts: is it locked for us, is nothing else of it out?  `--> retry.c  what is to come again
 * Fields of the network thread are touched by it only; those under `lock` by any thread that holds it. The lock is never held while a
 * user's function runs or a request is made. */
#ifndef CLIENT_CONSUMER_CONSUMER_INTERNAL_H
#define CLIENT_CONSUMER_CONSUMER_INTERNAL_H
#include <pthread.h>
#include <stdatomic.h>

#include "client/consumer/topic_filter.h"
#include "client/consumer/window.h"
#include "client/core/client.h"
#include "client/offset/local_offsets.h"
#include "client/offset/offsets.h"
#include "client/producer/sender.h"
#include "client/producer/trace.h"

enum { TOPICS_MAX = 10000, SEEKS_MAX = 65536, THREADS_MAX = 1000 };

enum delivery { BY_POLL, BY_THREADS, BY_LOOP };

struct topic_sub { /* network thread */
    struct list node; /* in consumer.topics */
    struct cmq_consumer *consumer;
    struct topic_filter sub;
    struct route_want want;
    bool busy, again;     /* a rebalance is under way; another shall follow */
    bool announced;       /* the brokers have heard of it */
    bool gone;            /* unsubscribed while busy: freed when that ends */
    unsigned misses;      /* how often no name server knew the topic */
};

struct held_queue { /* a queue that is ours */
    struct list node;          /* in consumer.queues; written by the network thread under lock */
    struct list ready;         /* in consumer.ready while messages wait; under lock */
    atomic_int refs;
    struct cmq_consumer *consumer;
    struct cmq_queue queue;    /* texts in `text` */
    /* ---- network thread ---- */
    bool started, pulling;     /* started: the first offset is known */
    uint32_t epoch;            /* answers to requests of an older epoch are forgotten */
    int64_t next_off, broker_id, committed;
    struct loop_timer timer;   /* the next try */
    struct route_want want;
    const struct topic_filter *sub; /* NULL: assigned by hand */
    uint64_t lock_round;       /* the last one that asked for its lock */
    bool was_locked;           /* at least once */
    struct loop_timer suspend_timer;
    /* ---- under lock ---- */
    struct window window;
    bool dropped, paused;      /* paused: the window is full */
    bool sought;               /* its progress is a seek's: report it even if it goes back */
    int64_t pulled_ms, consumed_ms; /* wall clock, for operators: the last answer that brought something; the last message done with */
    unsigned out;              /* messages that a callback has, or that are being sent back; counted where order counts */
    bool locked, leaving;      /* by the broker for us; to be given up when out is 0 */
    bool suspended, suspend_asked; /* nothing is delivered for a while; its timer is to be started */
    int64_t believed_ms;       /* monotonic: how long we may believe in the lock */
    char text[];
};

struct batch { /* what one callback gets */
    struct held_queue *q;
    struct cmq_message **m;
    size_t n;
};

struct seek {
    struct list node;
    struct cmq_queue queue; /* texts in `text` */
    int64_t queue_off;
    char text[];
};

struct cmq_consumer {
    /* ---- fixed from the start on ---- */
    struct client *client;
    const struct cmq_config *cfg;
    char *retry_topic;
    enum delivery delivery;
    cmq_message_fn *fn;
    void *arg;
    bool broadcasting;
    bool orderly;
    struct trace *trace;  /* NULL: nobody wants records */
    /* ---- network thread ---- */
    struct list topics;         /* of struct topic_sub */
    size_t n_topics;
    struct list seeks;          /* of struct seek: for queues that are not here yet */
    size_t n_seeks;
    struct sender sender;       /* for what the broker does not take back */
    struct local_offsets *local; /* broadcasting only */
    struct loop_timer rebalance_timer, soon_timer, persist_timer, again_timer;
    struct list parked;         /* messages that could not be sent back: delivered again */
    int64_t started_ms;         /* wall clock */
    bool by_hand;               /* queues are assigned, not shared out */
    struct loop_timer lock_timer, lock_soon_timer;
    uint64_t lock_round;
    bool ended;
    /* ---- any thread ---- */
    atomic_bool started, stopping, stopped;
    struct loop_msg resume_msg, retry_msg, order_msg;
    atomic_bool resume_posted, retry_posted, order_posted;
    /* ---- under lock ---- */
    pthread_mutex_t lock;
    pthread_cond_t more, still; /* more: messages wait, or the end came; still: running or sending_back went to 0 */
    struct list queues;         /* of struct held_queue */
    struct list ready;          /* of struct held_queue: the first is next */
    struct list to_send_back;   /* of cmq_message.later */
    size_t n_queues;
    unsigned running, idle, sending_back;
    pthread_t *threads;
    unsigned n_threads;
    bool threads_end;
    int fd;                     /* eventfd, -1: nobody asked */
    bool fd_set;
    struct window_node polled;  /* the message of the last poll */
    bool has_polled;
    struct cmq_consumer_stats stats;
};

/* rebalance.c */
void rebalance_begin(struct cmq_consumer *c);
void rebalance_start(struct cmq_consumer *c);
void rebalance_soon(struct cmq_consumer *c, int64_t delay_ms);
void rebalance_end(struct cmq_consumer *c); /* no more timers */
void rebalance_assigned(struct cmq_consumer *c, const struct cmq_queue *queues, size_t n);
struct topic_sub *topic_sub_find(struct cmq_consumer *c, const char *topic);
enum cmq_code topic_sub_add(struct cmq_consumer *c, const char *topic, const char *expression, bool sql, struct cmq_error *err);
void topic_sub_remove(struct cmq_consumer *c, struct topic_sub *t);
bool consumer_heartbeat(void *ctx, struct buf *body);
void consumer_route_changed(void *ctx, const char *topic);

/* pull.c */
struct held_queue *queue_hold(struct cmq_consumer *c, const struct cmq_queue *q, const struct topic_filter *sub); /* NULL: out of memory */
void queue_drop(struct held_queue *q, bool report);
struct held_queue *queue_find(struct cmq_consumer *c, const struct cmq_queue *q); /* network thread, or under lock */
void queue_ref(struct held_queue *q);
void queue_unref(struct held_queue *q);
void queue_seek(struct held_queue *q, int64_t queue_off);
void queue_begin(struct held_queue *q); /* finds the first offset, then pulls */
void pull_next(struct held_queue *q);
void pull_resume(struct loop_msg *m);

void queue_restart(struct held_queue *q); /* forgets all that came of it, and where it began */

/* running_info.c */
bool running_info_routes(struct cmq_consumer *c); /* what an operator may ask: false: out of memory */

/* order.c */
void order_begin(struct cmq_consumer *c);  /* timers */
void order_start(struct cmq_consumer *c);
void order_end(struct cmq_consumer *c);
enum { LOCK_BELIEVED_MS = 30000 }; /* we trust a lock so long after the request that it was granted to, as Apache's clients do */
bool order_needs_locks(const struct cmq_consumer *c);
void order_init_queue(struct held_queue *q);
void order_lock_new(struct cmq_consumer *c); /* asks for the locks of queues that have none */
void order_give_up(struct held_queue *q);    /* in place of queue_drop(): when its callback has ended; then the lock goes, too */
void order_unlock_all(struct cmq_consumer *c); /* before the goodbye: of all queues that no callback has */
bool order_may_deliver(const struct held_queue *q); /* under lock; true where order does not count */
void order_came_back(struct held_queue *q);  /* one of its messages is no longer out; under lock */
void order_again(struct cmq_consumer *c, struct batch *b); /* its callback said later; under lock */
static inline bool order_is_lost(const struct cmq_message *m) { return m->window.bytes == SIZE_MAX; } /* its queue began anew, or is gone */
void order_return(struct cmq_consumer *c, struct cmq_message *m); /* could not be sent back: waits again in its place; takes the lock */
void order_run(struct loop_msg *m);

/* deliver.c */
void deliver_ready(struct cmq_consumer *c, struct held_queue *q); /* messages wait in q; under lock; deliver_wake() afterwards */
void deliver_wake(struct cmq_consumer *c); /* one of those who wait, who wakes the next; not under lock, or who was woken waits again */
void deliver_forget(struct cmq_consumer *c, struct held_queue *q); /* none wait any more; under lock */
void deliver_done(struct cmq_consumer *c, struct cmq_message *m);  /* consumed at last; frees m; takes the lock */
void deliver_polled_done(struct cmq_consumer *c); /* the last poll's message is consumed; under lock */
void deliver_end_threads(struct cmq_consumer *c);
void messages_free(struct list *window_nodes);

/* retry.c */
void retry_run(struct loop_msg *m);
void retry_on_timer(void *arg);

#endif
