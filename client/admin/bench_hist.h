/* bench_hist.h - a histogram of times: 128 steps for each power of two, so that a value read from it is at most 1/128 too large.
 * Thread: one at a time. Units: whatever was added, here nanoseconds. Pure. */
#ifndef CLIENT_ADMIN_BENCH_HIST_H
#define CLIENT_ADMIN_BENCH_HIST_H
#include <stdint.h>

enum { BENCH_HIST_STEPS = 128, BENCH_HIST_POWERS = 44, BENCH_HIST_BUCKETS = (BENCH_HIST_POWERS - 6) * BENCH_HIST_STEPS };
struct bench_hist { /* zeroed: empty */
    uint64_t n, max;
    uint64_t count[BENCH_HIST_BUCKETS];
};
/* `times` times the same value; what is over the largest bucket counts there, and `max` stays exact. Negative ones count as 0. */
void bench_hist_add(struct bench_hist *h, int64_t value, uint64_t times);
void bench_hist_merge(struct bench_hist *into, const struct bench_hist *from);
/* The value that at least num/den of all are not above; never more than max. 0 when empty. num <= den. */
uint64_t bench_hist_at(const struct bench_hist *h, uint64_t num, uint64_t den);
#endif
