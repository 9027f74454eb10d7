/* sim_exec.h - the store's lanes without threads: a test decides when a work runs and when its done() comes, in an order from a seed.
 * As broker/exec.c: FLUSH and CHORE run their works one after the other, READ in any order; done() comes in the order of finishing, and
 * the next work of a lane may run before the done() of the one before it.
 * Thread: one. */
#ifndef TESTS_LIB_SIM_EXEC_H
#define TESTS_LIB_SIM_EXEC_H
#include <stdbool.h>
#include "broker/store/message_store.h"
#include "tests/lib/rng.h"

struct sim_exec { /* must not move between sim_exec_init() and the last step */
    struct store_exec store;
    struct rng rng;
    struct list waiting[LANES]; /* submitted */
    struct list finished;       /* ran; done() is to come */
    unsigned submitted, ran, ended;
};
void sim_exec_init(struct sim_exec *x, uint64_t seed);
bool sim_exec_run(struct sim_exec *x, enum store_lane lane); /* runs the lane's next work; false: none waits */
bool sim_exec_done(struct sim_exec *x);                      /* the oldest finished work's done(); false: none */
bool sim_exec_step(struct sim_exec *x);                      /* one of the two, by chance; false: nothing to do */
void sim_exec_drain(struct sim_exec *x);                     /* until nothing is left */
bool sim_exec_idle(const struct sim_exec *x);
#endif
