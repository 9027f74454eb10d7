/* deliver.c - messages from windows to whoever consumes them: threads of ours, a poll, or the user's own loop.
 *
 * Queues with waiting messages stand in one line; a batch is taken from the first, which goes to the end of the line when more wait, so
 * that no queue starves another. Threads are started when messages wait and none is idle, up to consumeThreads.
 *   I1  `ready` holds exactly the queues whose window has waiting messages.
 *   I2  a message is freed once: by deliver_done(), by the user it was polled by, or with its window.  (test: integration/client, under asan) */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "client/consumer/consumer_internal.h"
#include "client/core/error.h"
#include "common/base/clock.h"
#include "common/base/log.h"

static void *consume_thread(void *arg);

/* ---- the line of queues; all under lock ---- */

static void show(struct cmq_consumer *c) /* the descriptor tells whether messages wait */
{
    bool want = !list_empty(&c->ready);
    if (c->fd < 0 || want == c->fd_set)
        return;
    uint64_t n = 1;
    ssize_t moved = want ? write(c->fd, &n, sizeof n) : read(c->fd, &n, sizeof n);
    if (moved == sizeof n)
        c->fd_set = want;
}

static void start_thread(struct cmq_consumer *c)
{
    if (c->threads == NULL || c->n_threads >= (unsigned)c->cfg->threads || c->threads_end)
        return;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&c->threads[c->n_threads], NULL, consume_thread, c);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed == 0)
        c->n_threads++;
    else
        log_warn("consumer", "thread cannot be started errno=%d", failed);
}

void deliver_ready(struct cmq_consumer *c, struct held_queue *q)
{
    if (list_empty(&q->ready) && window_has_waiting(&q->window) && order_may_deliver(q))
        list_push_back(&c->ready, &q->ready);
    if (c->delivery == BY_THREADS && c->idle == 0)
        start_thread(c);
    show(c);
}

void deliver_wake(struct cmq_consumer *c) { pthread_cond_signal(&c->more); }

void deliver_forget(struct cmq_consumer *c, struct held_queue *q)
{
    list_remove(&q->ready);
    show(c);
}

static bool take(struct cmq_consumer *c, struct batch *b, size_t max)
{
    struct held_queue *q = NULL;
    while (q == NULL && !list_empty(&c->ready) && !atomic_load(&c->stopping)) {
        q = CONTAINER_OF(c->ready.next, struct held_queue, ready);
        list_remove(&q->ready);
        if (!order_may_deliver(q)) /* its lock ran out while it stood in the line; who renews it puts it back */
            q = NULL;
    }
    if (q == NULL) {
        show(c);
        return false;
    }
    b->q = q;
    b->n = 0;
    struct cmq_message *m;
    while (b->n < max && (m = window_take(&q->window)) != NULL)
        b->m[b->n++] = m;
    if (c->orderly)
        q->out = (unsigned)b->n;
    if (window_has_waiting(&q->window) && order_may_deliver(q)) {
        list_push_back(&c->ready, &q->ready);
        if (c->delivery == BY_THREADS && c->idle == 0)
            start_thread(c);
    }
    if (!list_empty(&c->ready))
        pthread_cond_signal(&c->more); /* one wakes the next */
    show(c);
    return true;
}

/* A place in a window is done with. */
static void leave(struct cmq_consumer *c, struct window_node *node)
{
    struct held_queue *q = node->queue;
    if (node->bytes != SIZE_MAX) {
        c->stats.waiting_messages--;
        c->stats.waiting_bytes -= node->bytes;
    }
    window_done(&q->window, node);
    q->consumed_ms = clock_wall_ms();
    order_came_back(q);
    if (q->paused && !window_full(&q->window) && !atomic_exchange(&c->resume_posted, true))
        loop_post(client_loop(c->client), &c->resume_msg);
}

void deliver_done(struct cmq_consumer *c, struct cmq_message *m)
{
    pthread_mutex_lock(&c->lock);
    leave(c, &m->window);
    pthread_mutex_unlock(&c->lock);
    queue_unref(m->window.queue);
    cmq_message_free(m);
}

/* ---- callbacks ---- */

static int32_t level_of(enum cmq_consume_result result)
{
    return result == CMQ_CONSUME_GIVE_UP ? -1 : result > CMQ_RECONSUME_AT_LEVEL ? (int32_t)result - CMQ_RECONSUME_AT_LEVEL : 0;
}

static void finished(struct cmq_consumer *c, struct batch *b, enum cmq_consume_result result)
{
    bool again = result != CMQ_CONSUME_SUCCESS && !c->broadcasting, posts = false;
    size_t n_done = 0;
    pthread_mutex_lock(&c->lock);
    if (c->orderly && again && result != CMQ_CONSUME_GIVE_UP)
        order_again(c, b); /* leaves in b what it did not keep */
    for (size_t i = 0; i < b->n; i++) {
        if (result == CMQ_CONSUME_SUCCESS)
            c->stats.consumed++;
        else
            c->stats.failed++;
        if (again && !(c->orderly && order_is_lost(b->m[i]))) {
            b->m[i]->later_level = level_of(result);
            list_push_back(&c->to_send_back, &b->m[i]->later);
            c->sending_back++;
            posts = true;
        } else {
            leave(c, &b->m[i]->window);
            b->m[n_done++] = b->m[i];
        }
    }
    c->running--;
    if (c->running == 0)
        pthread_cond_broadcast(&c->still);
    pthread_mutex_unlock(&c->lock);
    if (posts && !atomic_exchange(&c->retry_posted, true))
        loop_post(client_loop(c->client), &c->retry_msg);
    for (size_t i = 0; i < n_done; i++) {
        queue_unref(b->m[i]->window.queue);
        cmq_message_free(b->m[i]);
    }
}

/* Under lock, which is given up while the callback runs. False: nothing waits. */
static bool run_one(struct cmq_consumer *c, struct cmq_message **room)
{
    struct batch b = {.m = room};
    if (!take(c, &b, (size_t)c->cfg->consume_batch))
        return false;
    c->running++;
    pthread_mutex_unlock(&c->lock);
    struct trace_consumption told = {.group = c->cfg->consumer_group, .m = (const struct cmq_message *const *)b.m, .n = b.n};
    trace_consuming(c->trace, &told);
    int64_t begun_ms = c->trace != NULL ? clock_mono_ms() : 0;
    enum cmq_consume_result result = c->fn(c->arg, told.m, b.n);
    told.cost_ms = c->trace != NULL ? clock_mono_ms() - begun_ms : 0;
    trace_consumed(c->trace, &told, result == CMQ_CONSUME_SUCCESS);
    finished(c, &b, result);
    pthread_mutex_lock(&c->lock);
    return true;
}

static void *consume_thread(void *arg)
{
    struct cmq_consumer *c = arg;
    pthread_setname_np(pthread_self(), "cmq-consume");
    struct cmq_message **room = mem_alloc((size_t)c->cfg->consume_batch * sizeof *room);
    if (room == NULL) {
        log_error("consumer", "out of memory for a thread");
        return NULL;
    }
    pthread_mutex_lock(&c->lock);
    while (!c->threads_end) {
        if (run_one(c, room))
            continue;
        c->idle++;
        pthread_cond_wait(&c->more, &c->lock);
        c->idle--;
    }
    pthread_mutex_unlock(&c->lock);
    mem_free(room);
    return NULL;
}

void deliver_end_threads(struct cmq_consumer *c)
{
    pthread_mutex_lock(&c->lock);
    c->threads_end = true;
    pthread_cond_broadcast(&c->more);
    unsigned n = c->n_threads;
    pthread_mutex_unlock(&c->lock);
    for (unsigned i = 0; i < n; i++)
        pthread_join(c->threads[i], NULL);
}

int cmq_consumer_dispatch(struct cmq_consumer *c, int max_calls)
{
    int calls = 0;
    if (c->fn == NULL || c->delivery != BY_LOOP || !atomic_load(&c->started))
        return 0;
    struct cmq_message **room = mem_alloc((size_t)c->cfg->consume_batch * sizeof *room);
    if (room == NULL)
        return 0;
    pthread_mutex_lock(&c->lock);
    while (calls < max_calls && run_one(c, room))
        calls++;
    pthread_mutex_unlock(&c->lock);
    mem_free(room);
    return calls;
}

int cmq_consumer_fd(struct cmq_consumer *c)
{
    pthread_mutex_lock(&c->lock);
    if (c->fd < 0)
        c->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    show(c);
    int fd = c->fd;
    pthread_mutex_unlock(&c->lock);
    return fd;
}

/* ---- polls ---- */

void deliver_polled_done(struct cmq_consumer *c) /* under lock */
{
    if (!c->has_polled)
        return;
    c->has_polled = false;
    c->stats.consumed++;
    leave(c, &c->polled);
    queue_unref(c->polled.queue);
}

enum cmq_code cmq_consumer_poll(struct cmq_consumer *c, int64_t timeout_ms, struct cmq_message **out, struct cmq_error *err)
{
    if (!atomic_load(&c->started) || atomic_load(&c->stopping))
        return error_set(err, CMQ_ERR_STATE, "poll: the consumer is %s", atomic_load(&c->started) ? "stopped" : "not started");
    if (c->delivery != BY_POLL) {
        error_set(err, CMQ_ERR_STATE, "poll: messages go to the callback");
        if (err != NULL)
            err->fatal = 0;
        return CMQ_ERR_STATE;
    }
    struct timespec due = clock_deadline(timeout_ms);
    struct cmq_message *m;
    struct batch b = {.m = &m};
    pthread_mutex_lock(&c->lock);
    deliver_polled_done(c);
    int rc = 0;
    bool got;
    while (!(got = take(c, &b, 1)) && rc != ETIMEDOUT && !atomic_load(&c->stopping))
        rc = pthread_cond_timedwait(&c->more, &c->lock, &due);
    if (got) {
        /* cppcheck-suppress uninitvar - take() filled it in, by way of b */
        window_swap(&b.q->window, m, &c->polled);
        c->polled.queue = m->window.queue; /* with its reference */
        m->window.queue = NULL;
        c->has_polled = true;
    }
    pthread_mutex_unlock(&c->lock);
    if (!got)
        return atomic_load(&c->stopping) ? error_set(err, CMQ_ERR_STATE, "poll: the consumer is stopped")
                                         : error_set(err, CMQ_ERR_TIMEOUT, "poll: no message came");
    *out = m;
    return CMQ_OK;
}
