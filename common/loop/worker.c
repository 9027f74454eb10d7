/* worker.c - a queue under one mutex, some threads behind it.
 *   The mutex guards: the queue, idle, started, ending. A work is touched by one side at a time: the queue hands it over.
 *   I1  a work waits only while all n threads run one: a thread that was woken but has not run yet counts for one work, not for
 *       all that come meanwhile.   (test: unit/loop/worker)
 *   I2  what a `done` submits inside worker_pool_free() runs there, too.   (test: the same) */
#include "common/loop/worker.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>

#include "common/base/mem.h"

enum { THREADS_MAX = 16 };

struct worker_pool {
    struct loop *loop;
    char name[12];
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct loop_msg *first, **last; /* waiting works, by msg.next */
    pthread_t threads[THREADS_MAX];
    unsigned n, started, idle, n_waiting;
    bool ending;
};

static void on_done(struct loop_msg *m)
{
    struct work *w = CONTAINER_OF(m, struct work, msg);
    w->done(w);
}

static void *thread_main(void *arg)
{
    struct worker_pool *p = arg;
    pthread_mutex_lock(&p->lock);
    for (;;) {
        while (p->first == NULL && !p->ending) {
            p->idle++;
            pthread_cond_wait(&p->more, &p->lock);
            p->idle--;
        }
        if (p->first == NULL)
            break;
        struct work *w = CONTAINER_OF(p->first, struct work, msg);
        p->first = w->msg.next;
        p->n_waiting--;
        if (p->first == NULL)
            p->last = &p->first;
        pthread_mutex_unlock(&p->lock);
        w->run(w);
        w->msg.fn = on_done;
        loop_post(p->loop, &w->msg); /* w is the loop's from here on */
        pthread_mutex_lock(&p->lock);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

enum mq_err worker_pool_new(struct loop *l, const char *name, unsigned n, struct worker_pool **out, struct fault *why)
{
    if (n == 0 || n > THREADS_MAX)
        return fault_set(why, MQ_EINVAL, 0, "worker pool %s of %u threads", name, n);
    struct worker_pool *p = mem_zalloc(sizeof *p);
    if (p == NULL)
        return fault_set(why, MQ_ENOMEM, 0, "worker pool %s", name);
    p->loop = l;
    p->n = n;
    p->last = &p->first;
    snprintf(p->name, sizeof p->name, "%s", name);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->more, NULL);
    *out = p;
    return MQ_OK;
}

static void start_one(struct worker_pool *p) /* signals stay with the loop's thread */
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&p->threads[p->started], NULL, thread_main, p) == 0) {
        pthread_setname_np(p->threads[p->started], p->name);
        p->started++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void worker_submit(struct worker_pool *p, struct work *w)
{
    w->msg.next = NULL;
    pthread_mutex_lock(&p->lock);
    *p->last = &w->msg;
    p->last = &w->msg.next;
    if (++p->n_waiting > p->idle && p->started < p->n)
        start_one(p);
    bool alone = p->started == 0; /* no thread could be made: run it here, late is better than never */
    if (alone) {
        p->first = NULL;
        p->last = &p->first;
        p->n_waiting = 0;
    }
    pthread_cond_signal(&p->more);
    pthread_mutex_unlock(&p->lock);
    if (alone) {
        w->run(w);
        w->msg.fn = on_done;
        loop_post(p->loop, &w->msg);
    }
}

struct marker {
    struct loop_msg msg;
    bool seen;
};

static void on_marker(struct loop_msg *m) { CONTAINER_OF(m, struct marker, msg)->seen = true; }

void worker_pool_free(struct worker_pool *p)
{
    if (p == NULL)
        return;
    pthread_mutex_lock(&p->lock);
    p->ending = true;
    pthread_cond_broadcast(&p->more);
    pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->started; i++)
        pthread_join(p->threads[i], NULL);
    p->started = p->n = 0; /* from here on worker_submit() runs what it gets */
    struct marker end = {.msg.fn = on_marker}; /* posts keep their order: when it is seen, all dones ran */
    loop_post(p->loop, &end.msg);
    loop_drain_posts(p->loop);
    assert(end.seen);
    pthread_cond_destroy(&p->more);
    pthread_mutex_destroy(&p->lock);
    mem_free(p);
}
