/* longpoll.h - pulls that found nothing and wait: woken by an arrival on exactly their queue, or by their deadline.
 * A parked pull is the request itself (its frame copied) and its ticket; waking runs it again with suspending forbidden.
 * Thread: core. Pure: arrivals, deadlines and closed connections are told to it; 10,000 parked pulls cost nothing until their queue grows. */
#ifndef BROKER_LONGPOLL_LONGPOLL_H
#define BROKER_LONGPOLL_LONGPOLL_H
#include "common/base/err.h"
#include "common/base/slice.h"
#include "common/protocol/reply.h"

struct longpoll;
/* Runs a parked pull again; `why_woken`: arrival or deadline. It must finish the ticket, or park again (new deadline only after arrival). */
enum longpoll_why { LONGPOLL_ARRIVAL, LONGPOLL_DEADLINE };
typedef void longpoll_wake_fn(void *ctx, void *pull, enum longpoll_why why);
typedef void longpoll_drop_fn(void *ctx, void *pull); /* its connection is gone: free it */
/* Does the arrival interest this pull? Asked before waking; properties.p == NULL: they are not at hand. */
typedef bool longpoll_match_fn(void *ctx, void *pull, int64_t tags_code, struct slice properties);
struct longpoll_config {
    void *ctx;
    longpoll_match_fn *match;
    longpoll_wake_fn *wake;
    longpoll_drop_fn *drop;
};
enum mq_err longpoll_new(const struct longpoll_config *cfg, struct longpoll **out);
void longpoll_free(struct longpoll *lp); /* drops all */
/* Parks `pull` (yours until woken or dropped, then its callback's) for the queue; it wants offset from_off. */
enum mq_err longpoll_park(struct longpoll *lp, struct slice topic, int32_t queue_id, int64_t from_off, uint64_t conn_id, int64_t deadline_ms, void *pull);
/* From the store's listener: remembers the queue as grown. Pulls are woken by longpoll_run_arrivals(), at TURN_WAKE. */
void longpoll_arrived(struct longpoll *lp, struct slice topic, int32_t queue_id, int64_t queue_off, int64_t tags_code, struct slice properties);
void longpoll_run_arrivals(struct longpoll *lp);
/* Wakes those whose deadline passed; returns the next deadline, INT64_MAX when none is parked. Deadlines are monotonic. */
int64_t longpoll_run_deadlines(struct longpoll *lp, int64_t mono_ms);
void longpoll_conn_closed(struct longpoll *lp, uint64_t conn_id);
void longpoll_group_changed(struct longpoll *lp, struct slice topic); /* wakes all of a topic (deleted, permission changed) */
size_t longpoll_count(const struct longpoll *lp);
#endif
