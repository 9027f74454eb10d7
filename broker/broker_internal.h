/* broker_internal.h - the broker's parts in one struct, for the files that wire them: broker.c (order), listeners.c (who is told of
 * what), told_later.c (answers that wait), clock.c (when what runs). Thread: core. */
#ifndef BROKER_BROKER_INTERNAL_H
#define BROKER_BROKER_INTERNAL_H
#include "broker/broker.h"
#include "broker/exec.h"
#include "broker/longpoll/longpoll.h"
#include "broker/metadata/topics.h"
#include "broker/outward/register.h"
#include "broker/processor/context.h"
#include "broker/schedule/schedule.h"
#include "broker/session/queue_locks.h"
#include "broker/session/session.h"
#include "common/remoting/server.h"

struct broker {
    struct broker_context core; /* pointers to the parts, for processors */
    struct broker_config config;
    struct budget budget; /* memoryLimit */
    struct loop *loop;
    struct store_io io;
    struct exec *exec;
    struct server *server;
    struct caller *caller;
    struct registrar *registrar;
    struct config_file *locks_file; /* of core.locks */
    char addr[300], ha_addr[300]; /* brokerIP1:listenPort, brokerIP2:haListenPort */
    struct list unanswered; /* of struct told_later: changes whose answer waits until they are kept */

    /* clock.c */
    struct loop_hook at_store, at_wake;
    struct loop_timer store_timer, deadline_timer, chores_timer, offsets_timer, delays_timer, stop_timer, failed_timer;
    int64_t store_due_ms, deadline_due_ms; /* monotonic; what the timers are armed for */
    int64_t transactions_due_ms;           /* monotonic; of this turn's run */
    bool wrote;                            /* in this turn */

    bool owns_config; /* else it is still the caller's */
    bool stopping, farewell_done, failed;
};

/* listeners.c: what parts tell each other. `ctx` of all of them is the struct broker. */
struct store_listener broker_store_listener(struct broker *b);
struct schedule_setup broker_schedule_setup(struct broker *b);
struct topics_listener broker_topics_listener(struct broker *b);
struct session_listener broker_session_listener(struct broker *b);
struct server_events broker_server_events(struct broker *b);
struct queue_locks_setup broker_locks_setup(struct broker *b);
void broker_locks_wire(struct broker *b); /* to its file */
void broker_fill_context(struct broker *b);   /* the calls that processors may make */

/* told_later.c */
enum handled broker_answer_when_kept(void *broker, const struct ticket *to, enum kept_what what, struct reply *out); /* context.h */
void broker_drop_unanswered(struct broker *b); /* unanswered; the tables and the registrar must have ended */

/* clock.c: the turn, and timers. An idle broker wakes about once a second. */
bool broker_clock_start(struct broker *b); /* false: out of memory */
void broker_clock_stop(struct broker *b);
#endif
