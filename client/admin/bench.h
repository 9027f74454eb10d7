/* bench.h - what the parts of `cmq bench` share: bench.c (options, topic, progress, results), bench_send.c (the senders),
 * bench_read.c (the consumers).
 * Times are nanoseconds of the monotonic clock. A message belongs to the measurement when it was due (open loop) or begun (closed loop)
 * at measure_ns or later. */
#ifndef CLIENT_ADMIN_BENCH_H
#define CLIENT_ADMIN_BENCH_H
#include <pthread.h>
#include <stdatomic.h>
#include "client/admin/bench_hist.h"
#include "client/admin/bench_plan.h"
#include "client/admin/talk.h"

enum { BENCH_CODES = CMQ_ERR_SYSTEM + 1, BENCH_HEAD = 16 }; /* BENCH_HEAD: bytes that name a message of e2e: the run, its number */
struct bench_sender;
struct bench_reader;
struct bench {
    const struct call *c;
    const char *name, *topic, *group;
    int64_t size, rate, threads, inflight, batch, duration_ms, warmup_ms, count, idle_ms;
    bool sync, poll, e2e;
    uint64_t planned; /* open loop: messages in all */
    atomic_bool stop;
    atomic_uint_fast64_t claimed, sent, failed, received; /* of the measurement */
    atomic_uint_fast64_t errors[BENCH_CODES];
    atomic_int_fast64_t last_ns;    /* the last measured answer, or arrival */
    atomic_int running;             /* senders that have not ended */
    pthread_mutex_t lock;           /* for what follows; senders, who begin after the clock was set, read its figures without */
    int64_t start_ns, measure_ns, end_ns;
    uint64_t run;                   /* e2e: the run's name in its messages */
    struct cmq_error first;         /* what went wrong first */
    struct bench_hist hist;         /* e2e, consume: arrivals; send: filled at the end */
    struct bench_marks acked, seen; /* e2e */
    uint64_t duplicates, lost, lost_early;
    uint64_t retried, bytes;
};
int64_t bench_now_ns(void);
void bench_sleep_until(int64_t ns);
void bench_failed(struct bench *b, const struct cmq_error *err, uint64_t n, bool measured); /* any thread */
void bench_last(struct bench *b, int64_t ns);                                              /* any thread */

/* DONE: b->threads senders run; end with bench_send_end(), which waits for all answers. Else an exit code, and all was said. */
int bench_send_begin(struct bench *b, struct bench_sender **out);
void bench_send_mark(struct bench_sender *s, struct bench *b); /* the measurement begins: what was retried until now does not count */
void bench_send_end(struct bench_sender *s, struct bench *b);

/* The same of the consumer. e2e: all queues from their ends, by hand. Else a member of b->group. */
int bench_read_begin(struct bench *b, struct cmq_admin *admin, struct bench_reader **out);
void bench_read_end(struct bench_reader *r, struct bench *b);
#endif
