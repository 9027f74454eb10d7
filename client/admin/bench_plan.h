/* bench_plan.h - when which message is due, and which ones were seen.
 * Thread: one at a time. Messages are numbered from 0; times are nanoseconds after the start. Pure. */
#ifndef CLIENT_ADMIN_BENCH_PLAN_H
#define CLIENT_ADMIN_BENCH_PLAN_H
#include <stdbool.h>
#include <stdint.h>

/* Message i at `rate` a second: i/rate seconds, rounded down. rate: 1 to 1,000,000,000. */
int64_t bench_plan_due_ns(uint64_t i, uint64_t rate);
/* How many messages are due before `ns`; the number of the first that is not. */
uint64_t bench_plan_due_count(int64_t ns, uint64_t rate);

struct bench_marks { /* a bit per message */
    uint64_t *bits, n;
};
bool bench_marks_init(struct bench_marks *m, uint64_t n); /* false: out of memory. End with bench_marks_fini() */
void bench_marks_fini(struct bench_marks *m);
/* True: it was marked before. A number of n or more counts as marked. */
bool bench_marks_set(struct bench_marks *m, uint64_t i);
/* How many from `first` on are marked in a and not in b; both have the same n. */
uint64_t bench_marks_missing(const struct bench_marks *a, const struct bench_marks *b, uint64_t first);
#endif
