/* offsets.h - where a queue's consuming begins, and telling the brokers how far it has come.
 * Thread: the network thread, unless a function is pure. */
#ifndef CLIENT_OFFSET_OFFSETS_H
#define CLIENT_OFFSET_OFFSETS_H
#include "client/core/config.h"
#include "client/include/cmq.h"

struct cmq_consumer;
struct held_queue;

/* ---- pure ---- */
enum begin_at { BEGIN_ZERO, BEGIN_MAX, BEGIN_BY_TIME };
/* Where a group without an offset begins. Retry topics begin at their beginning: what is in them is owed to the group. */
enum begin_at consume_from(enum from_where where, bool retry_topic);
/* yyyymmddHHMMSS in local time; "": 30 minutes before now. False: not a time. */
bool consume_timestamp(const char *text, int64_t now_ms, int64_t *out);

/* The group's offset of q, else by consumeFromWhere. fn is called once, maybe from inside; queue_off < 0: not now, try later. */
typedef void offset_found_fn(struct held_queue *q, uint32_t epoch, int64_t queue_off);
void offsets_find(struct held_queue *q, offset_found_fn *fn);
/* Reports the progress of all queues, or of one that is being given up; then (NULL allowed) is told when all brokers answered. */
void offsets_report(struct cmq_consumer *c, struct held_queue *only, void (*then)(void *arg, const struct cmq_error *err), void *arg);
#endif
