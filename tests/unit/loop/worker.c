/* worker.c - what may block runs elsewhere, and its end is told on the loop's thread. */
#include "help.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/loop/worker.h"

enum { N = 500 };
static struct loop *l;
static pthread_t loop_thread;
static int done_n, wrong_order, wrong_thread;
static atomic_int run_n;

struct job {
    struct work work;
    int n, run_at;
    pthread_t ran_on;
};

static void run_job(struct work *w)
{
    struct job *j = CONTAINER_OF(w, struct job, work);
    j->run_at = atomic_fetch_add(&run_n, 1);
    j->ran_on = pthread_self();
}

static void job_done(struct work *w)
{
    struct job *j = CONTAINER_OF(w, struct job, work);
    wrong_thread += !pthread_equal(pthread_self(), loop_thread) || pthread_equal(j->ran_on, loop_thread);
    wrong_order += j->run_at != j->n || j->n != done_n;
    if (++done_n == N)
        loop_stop(l);
}

static struct worker_pool *pool_of(unsigned n)
{
    struct worker_pool *p = NULL;
    struct fault why;
    loop_thread = pthread_self();
    l = loop_made();
    cr_assert(worker_pool_new(l, "test", n, &p, &why) == MQ_OK, "%s", why.what);
    return p;
}

Test(worker, one_thread_runs_in_the_order_of_submission_and_dones_come_back_in_it)
{
    struct worker_pool *p = pool_of(1);
    static struct job jobs[N];
    for (int i = 0; i < N; i++) {
        jobs[i] = (struct job){.work = {.run = run_job, .done = job_done}, .n = i};
        worker_submit(p, &jobs[i].work);
    }
    loop_run(l);
    cr_assert(done_n == N && wrong_order == 0 && wrong_thread == 0, "%d done, %d out of order, %d elsewhere", done_n, wrong_order, wrong_thread);
    worker_pool_free(p);
    loop_free(l);
}

Test(worker, ending_the_pool_runs_what_was_submitted_and_its_dones)
{
    struct worker_pool *p = pool_of(3);
    static struct job jobs[N];
    for (int i = 0; i < N; i++) {
        jobs[i] = (struct job){.work = {.run = run_job, .done = job_done}, .n = i};
        worker_submit(p, &jobs[i].work);
    }
    worker_pool_free(p);
    cr_assert(done_n == N && wrong_thread == 0);
    worker_pool_free(NULL);
    loop_free(l);
}

Test(worker, a_pool_that_was_never_used_ends)
{
    struct worker_pool *p = pool_of(16);
    worker_pool_free(p);
    loop_free(l);
}

static struct worker_pool *chain_pool;
static struct job chained;
static void chain_done(struct work *w)
{
    (void)w;
    if (done_n++ < 3)
        worker_submit(chain_pool, &chained.work);
}

Test(worker, what_a_done_submits_while_the_pool_ends_runs_too)
{
    struct worker_pool *p = chain_pool = pool_of(2);
    chained = (struct job){.work = {.run = run_job, .done = chain_done}};
    worker_submit(p, &chained.work);
    worker_pool_free(p);
    cr_assert(done_n == 4 && atomic_load(&run_n) == 4, "%d done, %d run", done_n, atomic_load(&run_n));
    loop_free(l);
}

/* Two works that wait for each other: they end only when both run at once. */
static pthread_barrier_t both;
static void run_both(struct work *w)
{
    (void)w;
    pthread_barrier_wait(&both);
}
static void stop_at_two(struct work *w)
{
    (void)w;
    if (++done_n == 2)
        loop_stop(l);
}
static void first_done(struct work *w)
{
    (void)w;
    loop_stop(l);
}

Test(worker, an_idle_thread_that_was_not_woken_yet_does_not_hold_up_a_second_work, .timeout = 20)
{
    struct worker_pool *p = pool_of(2);
    struct job first = {.work = {.run = run_job, .done = first_done}}, a = {.work = {.run = run_both, .done = stop_at_two}}, b = a;
    pthread_barrier_init(&both, NULL, 2);
    worker_submit(p, &first.work);
    loop_run(l);
    usleep(20000); /* the one thread is idle now */
    worker_submit(p, &a.work);
    worker_submit(p, &b.work);
    loop_run(l);
    cr_assert(done_n == 2);
    worker_pool_free(p);
    pthread_barrier_destroy(&both);
    loop_free(l);
}

Test(worker, a_pool_refuses_to_have_no_thread_or_too_many_and_says_when_memory_is_out)
{
    struct worker_pool *p = NULL;
    struct fault why = {0};
    l = loop_made();
    cr_assert(worker_pool_new(l, "none", 0, &p, &why) == MQ_EINVAL && strstr(why.what, "none"));
    cr_assert(worker_pool_new(l, "many", 17, &p, &why) == MQ_EINVAL);
    mem_fail_after(1);
    cr_assert(worker_pool_new(l, "poor", 1, &p, &why) == MQ_ENOMEM && p == NULL);
    mem_fail_after(0);
    loop_free(l);
}
