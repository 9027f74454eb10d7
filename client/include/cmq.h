/* cmq.h - libcmq: a client of RocketMQ's servers (CometMQ's and Apache's 4.x and 5.x, remoting protocol) for C and C++.
 *
 *     struct cmq_config *cfg = cmq_config_new();
 *     struct cmq_producer *p;
 *     struct cmq_error err;
 *     cmq_config_set(cfg, "namesrvAddr", "127.0.0.1:9876", &err);
 *     cmq_config_set(cfg, "producerGroup", "orders", &err);
 *     if (cmq_producer_new(cfg, &p, &err) != CMQ_OK) { fprintf(stderr, "%s\n", err.words); ... }
 *     struct cmq_message *m = cmq_message_new("Orders", "hello", 5);
 *     struct cmq_send_result r;
 *     if (cmq_producer_send(p, m, &r, &err) == CMQ_OK) printf("%s\n", r.msg_id);
 *
 * Threads   Every function may be called from any thread, unless its comment says otherwise. A cmq_message belongs to one thread at a time.
 *           Each producer, consumer and admin has one network thread of its own; callbacks run where their comment says. A callback may
 *           call anything but the free, stop or blocking functions of the object that called it.
 * Memory    `yours`: you end it with the function named. `borrowed`: good until the call returns (in a callback: until the callback returns).
 *           Endings accept NULL. Handles are opaque; results are plain structs.
 * Errors    Functions that can fail return a cmq_code and fill *err (NULL allowed). Nothing is printed; see cmq_log_set().
 * Processes No signal handlers, no atexit. After fork() the child may only exec or _exit; make handles after the fork.
 * Units     Times are milliseconds, wall-clock ones since 1970; sizes bytes; queue offsets count the messages of a queue. */
#ifndef CMQ_H
#define CMQ_H
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define CMQ_API __attribute__((visibility("default")))
#else
#define CMQ_API
#endif

CMQ_API const char *cmq_version(void); /* "0.1.0"; static */

/* ---- errors ---- */
enum cmq_code {
    CMQ_OK = 0,
    CMQ_ERR_NO_MEMORY,
    CMQ_ERR_CONFIG,       /* a key or value that is not allowed; words name it and what is allowed */
    CMQ_ERR_ARGUMENT,     /* topic, tag, size ... of this call */
    CMQ_ERR_STATE,        /* not started, or stopping */
    CMQ_ERR_UNREACHABLE,  /* no name server or broker could be reached */
    CMQ_ERR_NO_ROUTE,     /* no name server knows the topic, and nothing may create it */
    CMQ_ERR_TIMEOUT,      /* no answer in time: what was sent may or may not have arrived */
    CMQ_ERR_CLOSED,       /* the connection broke before the answer: as CMQ_ERR_TIMEOUT */
    CMQ_ERR_REFUSED,      /* the server said no: server_code and remark tell */
    CMQ_ERR_PROTOCOL,     /* an answer that does not decode */
    CMQ_ERR_FULL,         /* a bound of the configuration is reached; try again later */
    CMQ_ERR_NOT_FOUND,    /* no such topic, queue, offset or message */
    CMQ_ERR_SYSTEM        /* sys is the errno */
};
struct cmq_error {
    enum cmq_code code;
    int32_t server_code; /* RocketMQ's response code, or -1 */
    int sys;             /* errno of the call that failed, or 0 */
    int retriable;       /* 1: the same call may succeed later, or elsewhere */
    int fatal;           /* 1: this object will not work again */
    char words[256];     /* for people: action, object, reason */
    char remark[256];    /* the server's own words, or "" */
};
CMQ_API const char *cmq_code_name(enum cmq_code code); /* "CMQ_ERR_TIMEOUT"; static */

/* ---- log: one callback for the process, default none. Called on any of the library's threads; text is borrowed. level: 0 debug ... 3 error ---- */
typedef void cmq_log_fn(void *arg, int level, const char *area, const char *text);
CMQ_API void cmq_log_set(cmq_log_fn *fn, void *arg, int lowest_level);

/* ---- configuration: key=value, in RocketMQ's names; docs/config.md and cmq(5) list them ---- */
struct cmq_config;
CMQ_API struct cmq_config *cmq_config_new(void); /* yours, end with cmq_config_free(); NULL: out of memory */
CMQ_API void cmq_config_free(struct cmq_config *c);
CMQ_API enum cmq_code cmq_config_set(struct cmq_config *c, const char *key, const char *value, struct cmq_error *err);
CMQ_API enum cmq_code cmq_config_load(struct cmq_config *c, const char *file, struct cmq_error *err); /* a Java properties file */
/* All keys with their values, "key=value\n"; yours, end with cmq_free(). NULL: out of memory. */
CMQ_API char *cmq_config_dump(const struct cmq_config *c);
CMQ_API void cmq_free(void *p); /* what the library allocated for you, where it says so */

/* ---- messages ---- */
struct cmq_message;
/* Copies topic and body. Yours, end with cmq_message_free(); NULL: out of memory, or topic is NULL. */
CMQ_API struct cmq_message *cmq_message_new(const char *topic, const void *body, size_t n);
CMQ_API void cmq_message_free(struct cmq_message *m);
CMQ_API enum cmq_code cmq_message_set_tag(struct cmq_message *m, const char *tag, struct cmq_error *err);
CMQ_API enum cmq_code cmq_message_set_keys(struct cmq_message *m, const char *keys, struct cmq_error *err); /* separated by blanks */
/* A property of the user's. Refused: RocketMQ's own names, empty names or values, the bytes 1 and 2. */
CMQ_API enum cmq_code cmq_message_set_property(struct cmq_message *m, const char *name, const char *value, struct cmq_error *err);
CMQ_API void cmq_message_set_delay_level(struct cmq_message *m, int level); /* 0: none; 1 ... as the broker's messageDelayLevel */
CMQ_API void cmq_message_set_flag(struct cmq_message *m, int32_t flag);     /* a number of the user's */
CMQ_API void cmq_message_set_wait_store(struct cmq_message *m, int wait);   /* 0: the broker does not wait for flush or slaves */

/* Getters. Texts are borrowed from the message; "" when absent. */
CMQ_API const char *cmq_message_topic(const struct cmq_message *m);
CMQ_API const void *cmq_message_body(const struct cmq_message *m, size_t *n); /* inflated when it came compressed */
CMQ_API const char *cmq_message_tag(const struct cmq_message *m);
CMQ_API const char *cmq_message_keys(const struct cmq_message *m);
CMQ_API const char *cmq_message_property(const struct cmq_message *m, const char *name); /* NULL when absent */
/* Calls fn for each property, RocketMQ's own included. */
CMQ_API void cmq_message_properties(const struct cmq_message *m, void (*fn)(void *arg, const char *name, const char *value), void *arg);
CMQ_API int32_t cmq_message_flag(const struct cmq_message *m);
/* Of received messages; zero or "" else. */
CMQ_API const char *cmq_message_id(const struct cmq_message *m);           /* the producer's unique id, else the offset id */
CMQ_API const char *cmq_message_offset_id(const struct cmq_message *m);    /* broker address and place in its log */
CMQ_API const char *cmq_message_broker_name(const struct cmq_message *m);
CMQ_API int32_t cmq_message_queue_id(const struct cmq_message *m);
CMQ_API int64_t cmq_message_queue_offset(const struct cmq_message *m);
CMQ_API int64_t cmq_message_born_ms(const struct cmq_message *m);
CMQ_API int64_t cmq_message_store_ms(const struct cmq_message *m);
CMQ_API int32_t cmq_message_reconsume_times(const struct cmq_message *m);
CMQ_API struct cmq_message *cmq_message_copy(const struct cmq_message *m); /* to keep a borrowed one; yours; NULL: out of memory */

/* ---- queues ---- */
struct cmq_queue { /* texts: borrowed, or in what the function returned */
    const char *topic, *broker_name;
    int32_t queue_id;
};

/* ---- producer ---- */
enum cmq_send_status { CMQ_SEND_OK, CMQ_FLUSH_DISK_TIMEOUT, CMQ_FLUSH_SLAVE_TIMEOUT, CMQ_SLAVE_NOT_AVAILABLE };
struct cmq_send_result {
    enum cmq_send_status status;
    char msg_id[128];        /* unique id, made here; of a batch: of the first message */
    char offset_msg_id[128]; /* made by the broker; of a batch: of the first message */
    char broker_name[128];
    int32_t queue_id;
    int64_t queue_offset;    /* of a batch: of the first message */
};
struct cmq_producer;
/* Makes and starts a producer; cfg is copied. Keys: namesrvAddr, producerGroup, sendMsgTimeout, retryTimesWhenSendFailed, ...
 * No server needs to be up: the first send looks for a route. Yours, end with cmq_producer_free(). */
CMQ_API enum cmq_code cmq_producer_new(const struct cmq_config *cfg, struct cmq_producer **out, struct cmq_error *err);
/* Waits until what was sent is answered, at most timeout_ms, then leaves the brokers. Later sends: CMQ_ERR_STATE. */
CMQ_API void cmq_producer_stop(struct cmq_producer *p, int64_t timeout_ms);
CMQ_API void cmq_producer_free(struct cmq_producer *p); /* stops with 3,000 ms first; not inside a callback */

/* Sends and waits, retrying on other brokers within sendMsgTimeout. CMQ_OK: the broker has it, *out says how safely (all four
 * statuses are CMQ_OK). The message stays yours and gets its unique id. */
CMQ_API enum cmq_code cmq_producer_send(struct cmq_producer *p, struct cmq_message *m, struct cmq_send_result *out, struct cmq_error *err);
/* To one queue, without a retry elsewhere. */
CMQ_API enum cmq_code cmq_producer_send_to(struct cmq_producer *p, struct cmq_message *m, const struct cmq_queue *queue, struct cmq_send_result *out,
                                           struct cmq_error *err);
/* The selector chooses one of the n queues of the topic (sorted by broker name and id) and returns its index; on the calling thread.
 * The same key always gets the same queue with cmq_select_by_hash (arg: a NUL-terminated text). */
typedef size_t cmq_selector_fn(void *arg, const struct cmq_message *m, const struct cmq_queue *queues, size_t n);
CMQ_API size_t cmq_select_by_hash(void *text, const struct cmq_message *m, const struct cmq_queue *queues, size_t n);
CMQ_API enum cmq_code cmq_producer_send_selected(struct cmq_producer *p, struct cmq_message *m, cmq_selector_fn *select, void *arg,
                                                 struct cmq_send_result *out, struct cmq_error *err);
/* n messages of one topic in one request: all or none is stored, side by side in one queue. */
CMQ_API enum cmq_code cmq_producer_send_batch(struct cmq_producer *p, struct cmq_message *const *m, size_t n, struct cmq_send_result *out,
                                              struct cmq_error *err);
/* Called once per accepted message, on the producer's network thread: err == NULL: result is filled. Both are borrowed. */
typedef void cmq_sent_fn(void *arg, const struct cmq_send_result *result, const struct cmq_error *err);
/* CMQ_OK: m is taken and fn will be called. Else m stays yours, and fn is not called. CMQ_ERR_FULL: asyncMaxMessages or asyncMaxBytes wait already. */
CMQ_API enum cmq_code cmq_producer_send_async(struct cmq_producer *p, struct cmq_message *m, cmq_sent_fn *fn, void *arg, struct cmq_error *err);
/* Nothing is answered, so nothing is known. CMQ_OK: handed to the connection. The message stays yours. */
CMQ_API enum cmq_code cmq_producer_send_oneway(struct cmq_producer *p, struct cmq_message *m, struct cmq_error *err);
/* Transactions: consumers see the message when, and only when, the sender's own work is done (its row is in the database, say).
 *   1  cmq_producer_send_in_transaction() stores the message where nobody sees it, calls `local`, which does the work, and tells the broker
 *      what it returned.
 *   2  What the broker did not hear it asks for after a while, this producer or any other of its producerGroup: `check` looks whether the
 *      work was done. A process that died in the middle needs no more than that; so `local` has to leave a trace by which `check` knows. */
enum cmq_transaction_state {
    CMQ_TRANSACTION_COMMIT,   /* consumers get it; at least once: twice is possible after crashes */
    CMQ_TRANSACTION_ROLLBACK, /* nobody gets it */
    CMQ_TRANSACTION_UNKNOWN   /* not known yet: the broker asks again, at most transactionCheckMax times */
};
/* m is borrowed; its cmq_message_id() is the same in local and check. */
typedef enum cmq_transaction_state cmq_transaction_fn(void *arg, const struct cmq_message *m);
/* Once, before the first transaction: who answers the brokers' questions. On a thread of the library's, one at a time. */
CMQ_API enum cmq_code cmq_producer_on_check(struct cmq_producer *p, cmq_transaction_fn *check, void *arg, struct cmq_error *err);
/* Sends as cmq_producer_send(), then calls local on this thread. CMQ_OK: the broker has the message. When out->status is not CMQ_SEND_OK, local was
 * not called, and the transaction is rolled back. Else it was, and what it returned is on its way. A delay level is not sent. */
CMQ_API enum cmq_code cmq_producer_send_in_transaction(struct cmq_producer *p, struct cmq_message *m, cmq_transaction_fn *local, void *arg,
                                                       struct cmq_send_result *out, struct cmq_error *err);

/* ---- request and reply: a message that somebody consumes, and what he says to it ---- */
/* Sends m and waits for the reply of whoever consumes it, at most timeout_ms in all. CMQ_OK: *reply is yours, end with cmq_message_free().
 * CMQ_ERR_TIMEOUT: the request may have been consumed, a reply did not come. m stays yours. Not inside a callback of this producer. */
CMQ_API enum cmq_code cmq_producer_request(struct cmq_producer *p, struct cmq_message *m, int64_t timeout_ms, struct cmq_message **reply,
                                           struct cmq_error *err);
/* The reply to a consumed request: send it as any message, by any producer. The send is CMQ_OK when who asked has got it. Yours, end with
 * cmq_message_free(). NULL: request is none (CMQ_ERR_ARGUMENT), or out of memory. */
CMQ_API struct cmq_message *cmq_message_new_reply(const struct cmq_message *request, const void *body, size_t n, struct cmq_error *err);

struct cmq_producer_stats {
    uint64_t sent, failed, retried, bytes; /* messages; bytes of bodies as sent */
    uint64_t waiting;                      /* messages not answered yet */
};
CMQ_API void cmq_producer_get_stats(struct cmq_producer *p, struct cmq_producer_stats *out);

/* ---- consumer: a member of consumerGroup ---- */
struct cmq_consumer;
enum cmq_consume_result {
    CMQ_CONSUME_SUCCESS,
    CMQ_RECONSUME_LATER,
    CMQ_CONSUME_GIVE_UP,          /* never again: to the group's dead letters */
    CMQ_RECONSUME_AT_LEVEL = 256  /* plus 1 to 255: later, after the time of that level of the broker's messageDelayLevel (in order: as LATER) */
};
/* Messages of one queue, in order, at most consumeMessageBatchMaxSize (default 1). They are borrowed. CMQ_RECONSUME_LATER: the group gets all n
 * again after a while (through its retry topic); broadcasting members do not. */
typedef enum cmq_consume_result cmq_message_fn(void *arg, const struct cmq_message *const *m, size_t n);
/* Makes a consumer, not started; cfg is copied. Keys: namesrvAddr, consumerGroup, messageModel, consumeFromWhere, allocateMessageQueueStrategy,
 * consumeThreads, pullBatchSize ... Yours, end with cmq_consumer_free(). */
CMQ_API enum cmq_code cmq_consumer_new(const struct cmq_config *cfg, struct cmq_consumer **out, struct cmq_error *err);
/* Before or after the start. expression: "*", "a || b" (tags). Clustering: the group's members share the queues of the topic. */
CMQ_API enum cmq_code cmq_consumer_subscribe(struct cmq_consumer *c, const char *topic, const char *expression, struct cmq_error *err);
/* The same by an SQL92 expression over the messages' properties, judged by the broker: price > 9.5 AND colour IN ('red', 'blue'). CMQ_ERR_ARGUMENT: it
 * does not compile, words say where. A broker without enablePropertyFilter=true refuses the pulls: nothing comes, and the log says why. */
CMQ_API enum cmq_code cmq_consumer_subscribe_sql(struct cmq_consumer *c, const char *topic, const char *expression, struct cmq_error *err);
CMQ_API enum cmq_code cmq_consumer_unsubscribe(struct cmq_consumer *c, const char *topic, struct cmq_error *err);
/* How messages are delivered: choose one before the start.
 *   threads   cmq_consumer_on_message(): fn runs on consumeThreads threads of the library, several at once for different messages.
 *   poll      nothing: cmq_consumer_poll() gives them to your thread.
 *   your loop cmq_consumer_on_message() and cmq_consumer_fd(): when the descriptor is readable, cmq_consumer_dispatch() calls fn on your thread. */
CMQ_API enum cmq_code cmq_consumer_on_message(struct cmq_consumer *c, cmq_message_fn *fn, void *arg, struct cmq_error *err);
/* The same two ways, in order: all messages of a queue come one after the other, to one thread of one member of the group; the broker locks its
 * queues for the members. CMQ_RECONSUME_LATER: the queue rests for suspendCurrentQueueTimeMillis, then the same messages come again, before all others
 * behind them; at most maxReconsumeTimes, without end by default. A crash or a lost lock may deliver messages twice, never one before its predecessor. */
CMQ_API enum cmq_code cmq_consumer_on_message_orderly(struct cmq_consumer *c, cmq_message_fn *fn, void *arg, struct cmq_error *err);
CMQ_API enum cmq_code cmq_consumer_start(struct cmq_consumer *c, struct cmq_error *err);
/* The next message, waiting at most timeout_ms. CMQ_OK: *out is yours, end with cmq_message_free(); it counts as consumed with the next poll
 * of this thread's consumer, or with cmq_consumer_commit(). CMQ_ERR_TIMEOUT: none came. One thread at a time. */
CMQ_API enum cmq_code cmq_consumer_poll(struct cmq_consumer *c, int64_t timeout_ms, struct cmq_message **out, struct cmq_error *err);
/* A descriptor that is readable while messages wait. Calling it before the start chooses delivery by your loop. Borrowed; -1: it failed. */
CMQ_API int cmq_consumer_fd(struct cmq_consumer *c);
CMQ_API int cmq_consumer_dispatch(struct cmq_consumer *c, int max_calls); /* runs fn at most max_calls times; how often it did */
/* Finishes what callbacks have begun, commits, leaves the group. Blocks up to timeout_ms. */
CMQ_API void cmq_consumer_stop(struct cmq_consumer *c, int64_t timeout_ms);
CMQ_API void cmq_consumer_free(struct cmq_consumer *c); /* stops with 3,000 ms first; not inside a callback */

/* Without a group's rebalance: queues by hand. assign replaces subscriptions; before or after the start. Offsets begin where the group's are, or
 * where seek says. */
CMQ_API enum cmq_code cmq_consumer_assign(struct cmq_consumer *c, const struct cmq_queue *queues, size_t n, struct cmq_error *err);
CMQ_API enum cmq_code cmq_consumer_seek(struct cmq_consumer *c, const struct cmq_queue *queue, int64_t queue_off, struct cmq_error *err);
/* Tells the brokers now how far consuming has come; waits for their answers. (It happens every 5 s by itself.) */
CMQ_API enum cmq_code cmq_consumer_commit(struct cmq_consumer *c, struct cmq_error *err);
/* The queues that this member has now. fn is called before the function returns; queue is borrowed. queue_off: the next to be delivered. */
CMQ_API void cmq_consumer_assignment(struct cmq_consumer *c, void (*fn)(void *arg, const struct cmq_queue *queue, int64_t queue_off), void *arg);
struct cmq_consumer_stats {
    uint64_t received, consumed, failed, bytes; /* messages; bytes of bodies */
    uint64_t waiting_messages, waiting_bytes;   /* in memory, not consumed yet */
    uint32_t queues;                            /* that this member has */
};
CMQ_API void cmq_consumer_get_stats(struct cmq_consumer *c, struct cmq_consumer_stats *out);

/* ---- administration: what an operator's tool needs; each call blocks, at most timeout (key: mqClientApiTimeout) per server ---- */
struct cmq_admin;
CMQ_API enum cmq_code cmq_admin_new(const struct cmq_config *cfg, struct cmq_admin **out, struct cmq_error *err); /* yours, end with cmq_admin_free() */
CMQ_API void cmq_admin_free(struct cmq_admin *a);
enum { CMQ_PERM_WRITE = 2, CMQ_PERM_READ = 4 };
struct cmq_topic_config { /* zeroed: 8 queues, readable and writable */
    int32_t read_queues, write_queues, perm;
    int ordered;
};
/* On every master of the cluster; cluster NULL: of all clusters. Waits until each name server knows the topic. */
CMQ_API enum cmq_code cmq_admin_create_topic(struct cmq_admin *a, const char *cluster, const char *topic, const struct cmq_topic_config *config,
                                             struct cmq_error *err);
CMQ_API enum cmq_code cmq_admin_delete_topic(struct cmq_admin *a, const char *cluster, const char *topic, struct cmq_error *err);
CMQ_API enum cmq_code cmq_admin_list_topics(struct cmq_admin *a, void (*fn)(void *arg, const char *topic), void *arg, struct cmq_error *err);
struct cmq_route { /* one broker of a topic's route */
    const char *cluster, *broker_name;
    const char *master_addr; /* "" when it has none */
    int32_t read_queues, write_queues, perm, topic_sys_flag;
    int32_t n_slaves;
};
CMQ_API enum cmq_code cmq_admin_topic_route(struct cmq_admin *a, const char *topic, void (*fn)(void *arg, const struct cmq_route *r), void *arg,
                                            struct cmq_error *err);
struct cmq_queue_status {
    struct cmq_queue queue;
    int64_t min_offset, max_offset, last_update_ms; /* last_update_ms: 0 when the queue is empty */
};
CMQ_API enum cmq_code cmq_admin_topic_status(struct cmq_admin *a, const char *topic, void (*fn)(void *arg, const struct cmq_queue_status *s), void *arg,
                                             struct cmq_error *err);
/* Of one queue, asked of its master. */
CMQ_API enum cmq_code cmq_admin_min_offset(struct cmq_admin *a, const struct cmq_queue *queue, int64_t *out, struct cmq_error *err);
CMQ_API enum cmq_code cmq_admin_max_offset(struct cmq_admin *a, const struct cmq_queue *queue, int64_t *out, struct cmq_error *err);
CMQ_API enum cmq_code cmq_admin_offset_by_time(struct cmq_admin *a, const struct cmq_queue *queue, int64_t time_ms, int64_t *out, struct cmq_error *err);
/* A consumer group, as the brokers see it. */
struct cmq_group_member { /* a connection of a member to a broker */
    const char *broker_name, *client_id, *addr, *language;
    int32_t version;      /* RocketMQ's ordinal */
};
struct cmq_group_progress {
    struct cmq_queue queue;
    int64_t offset, max_offset; /* the next to be consumed, the next to be stored */
    int64_t last_ms;            /* when the last consumed message was stored; 0: unknown */
};
struct cmq_group_mismatch { /* two members want different things of a topic, so some of it reaches nobody. CometMQ's brokers tell of it. */
    const char *broker_name, *topic, *client_id, *other_client_id;
};
struct cmq_group_view { /* NULL members allowed; what they are given is borrowed */
    void *arg;
    void (*member)(void *arg, const struct cmq_group_member *m);
    void (*mismatch)(void *arg, const struct cmq_group_mismatch *m);
    void (*progress)(void *arg, const struct cmq_group_progress *p); /* sorted by queue */
};
/* Asks the master of every broker. CMQ_ERR_NOT_FOUND: none has members or offsets of it. */
CMQ_API enum cmq_code cmq_admin_group(struct cmq_admin *a, const char *group, const struct cmq_group_view *view, struct cmq_error *err);
/* Moves a group to where each queue of the topic was at time_ms; or to its first message; or past its last. Members that run are told by their
 * brokers, and go on there some seconds later (Apache's clients after 10); without members the offsets are written. fn (NULL allowed) is called
 * with each queue's new offset, also before a failure. dry_run: nothing happens, fn is told what would. */
enum { CMQ_RESET_LAST = -1, CMQ_RESET_FIRST = -2 };
typedef void cmq_reset_fn(void *arg, const struct cmq_queue *queue, int64_t queue_off);
CMQ_API enum cmq_code cmq_admin_reset_group(struct cmq_admin *a, const char *group, const char *topic, int64_t time_ms, int dry_run, cmq_reset_fn *fn,
                                            void *arg, struct cmq_error *err);
/* A broker of a cluster, as the name server lists them. */
struct cmq_broker {
    const char *cluster, *broker_name, *addr;
    int64_t broker_id; /* 0: master */
};
CMQ_API enum cmq_code cmq_admin_list_brokers(struct cmq_admin *a, void (*fn)(void *arg, const struct cmq_broker *b), void *arg, struct cmq_error *err);

#ifdef __cplusplus
}
#endif
#endif
