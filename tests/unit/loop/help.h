/* help.h - a loop that runs for a while inside a test. */
#ifndef TESTS_UNIT_LOOP_HELP_H
#define TESTS_UNIT_LOOP_HELP_H
#include <criterion/criterion.h>

#include "common/base/clock.h"
#include "common/loop/loop.h"

static inline struct loop *loop_made(void)
{
    struct loop *l = NULL;
    struct fault why;
    cr_assert(loop_new(&l, &why) == MQ_OK, "%s", why.what);
    return l;
}

static inline void on_run_over(void *arg) { loop_stop(arg); }

static inline void run_for(struct loop *l, int64_t ms)
{
    struct loop_timer end;
    loop_timer_init(&end, l, on_run_over, l);
    cr_assert(loop_timer_start(&end, ms, 0));
    loop_run(l);
    loop_timer_stop(&end);
}
#endif
