/* worker.h - a few threads for what may block; results come back to the loop that asked.
 * Thread: the loop's, but for work->run, which runs on a worker. */
#ifndef COMMON_LOOP_WORKER_H
#define COMMON_LOOP_WORKER_H
#include "common/base/err.h"
#include "common/loop/loop.h"

struct work { /* embed it; a worker owns it between submit and done */
    struct loop_msg msg;
    void (*run)(struct work *w);  /* on a worker: may block, touches only what it was given */
    void (*done)(struct work *w); /* on the loop's thread, afterwards */
};
struct worker_pool;
/* n threads named `name` (shown by ps -L). One thread keeps the order of submissions. Threads start with the first work. */
enum mq_err worker_pool_new(struct loop *l, const char *name, unsigned n, struct worker_pool **out, struct fault *why);
void worker_submit(struct worker_pool *p, struct work *w);
/* Ends after all submitted work ran; their `done`s run inside this call. */
void worker_pool_free(struct worker_pool *p);
#endif
