/* ack_queue.h - answers to sends that wait for the disk (and, with replication, for slaves): design.md 4.
 * What they wait for only grows and they are born in offset order: a FIFO, its head looked at when the figure grows or the head's
 * deadline passes. No thread sleeps. Thread: core. Pure. */
#ifndef BROKER_ACK_ACK_QUEUE_H
#define BROKER_ACK_ACK_QUEUE_H
#include "common/base/err.h"
#include "common/protocol/reply.h"

struct ack_queue;
/* finish: the outbox's; a waiter's reply gets code SUCCESS when its condition holds, FLUSH_DISK_TIMEOUT at its deadline or when the log failed. */
enum mq_err ack_queue_new(const struct outbox *outbox, struct ack_queue **out);
void ack_queue_free(struct ack_queue *q); /* waiters are answered FLUSH_DISK_TIMEOUT */
/* Moves *reply (zeroed afterwards) into the queue until the log is flushed up to end_off. end_off must not be below the last one's. */
enum mq_err ack_queue_add(struct ack_queue *q, const struct ticket *to, struct reply *reply, uint64_t end_off, int64_t deadline_ms);
void ack_queue_flushed(struct ack_queue *q, uint64_t flushed_off);
int64_t ack_queue_deadlines(struct ack_queue *q, int64_t now_ms); /* answers late ones; ms until the next, INT64_MAX when none */
void ack_queue_fail(struct ack_queue *q);                         /* the log failed: all get FLUSH_DISK_TIMEOUT */
size_t ack_queue_count(const struct ack_queue *q);
#endif
