/* index_threads.c - a real worker writes to a real disk while keys are added and found; for the thread sanitizer above all. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/store/index_internal.h"
#include "common/base/log.h"
#include "tests/unit/index/index_kit.h"

static const struct checkpoint none = {0, 0, 0, -1, -1, -1};

struct lane { /* one worker, works in order */
    struct store_exec store;
    pthread_t thread;
    pthread_mutex_t lock; /* guards the following */
    pthread_cond_t more;
    struct list waiting, finished;
    bool stop;
};

static void submit(void *ctx, enum store_lane which, struct store_work *w)
{
    struct lane *l = ctx;
    (void)which;
    pthread_mutex_lock(&l->lock);
    list_push_back(&l->waiting, &w->node);
    pthread_cond_signal(&l->more);
    pthread_mutex_unlock(&l->lock);
}

static void *work(void *arg)
{
    struct lane *l = arg;
    pthread_mutex_lock(&l->lock);
    for (;;) {
        while (list_empty(&l->waiting) && !l->stop)
            pthread_cond_wait(&l->more, &l->lock);
        if (list_empty(&l->waiting))
            break;
        struct store_work *w = CONTAINER_OF(l->waiting.next, struct store_work, node);
        list_remove(&w->node);
        pthread_mutex_unlock(&l->lock);
        w->run(w);
        pthread_mutex_lock(&l->lock);
        list_push_back(&l->finished, &w->node);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

static bool done(struct lane *l)
{
    struct store_work *w = NULL;
    pthread_mutex_lock(&l->lock);
    if (!list_empty(&l->finished)) {
        w = CONTAINER_OF(l->finished.next, struct store_work, node);
        list_remove(&w->node);
    }
    pthread_mutex_unlock(&l->lock);
    if (w != NULL)
        w->done(w);
    return w != NULL;
}

static void lane_start(struct lane *l)
{
    *l = (struct lane){.store = {.ctx = l, .submit = submit}};
    list_init(&l->waiting);
    list_init(&l->finished);
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->more, NULL);
    cr_assert(zero(int, pthread_create(&l->thread, NULL, work, l)));
}

static void lane_stop(struct lane *l)
{
    do {
        pthread_mutex_lock(&l->lock);
        l->stop = true;
        pthread_cond_signal(&l->more);
        pthread_mutex_unlock(&l->lock);
        pthread_join(l->thread, NULL);
        l->stop = false;
        cr_assert(zero(int, pthread_create(&l->thread, NULL, work, l))); /* done() may submit */
    } while (done(l));
    pthread_mutex_lock(&l->lock);
    l->stop = true;
    pthread_cond_signal(&l->more);
    pthread_mutex_unlock(&l->lock);
    pthread_join(l->thread, NULL);
}

static void expect_found(struct msg_index *x, int64_t i, int64_t end)
{
    char key[16];
    int64_t places[64], last_ms, last_phys;
    uint32_t n = 0;
    snprintf(key, sizeof key, "k%d", (int)(i % 5000));
    cr_assert(eq(int, msg_index_find(x, SLICE_LIT("T"), slice_str(key), 64, 0, INT64_MAX, places, &n, &last_ms, &last_phys), MQ_OK));
    int64_t first = i % 5000, all = first < end ? (end - 1 - first) / 5000 + 1 : 0, newest = first + (all - 1) * 5000;
    cr_assert(eq(u32, n, (uint32_t)(all < 64 ? all : 64)), "%s of %d", key, (int)end);
    for (uint32_t k = 0; k < n; k++)
        cr_assert(eq(i64, places[k], newest - 5000 * (int64_t)k), "%s of %d", key, (int)end);
}

Test(index_threads, adding_finding_and_expiring_while_a_worker_writes, .timeout = 120)
{
    char root[] = "/tmp/unit-index-XXXXXX", command[64];
    struct store_io io;
    struct fault why;
    struct lane lane;
    struct msg_index *x = NULL;
    cr_assert(not(zero(ptr, mkdtemp(root))));
    log_set_level(LOG_WARN);
    cr_assert(eq(int, store_io_posix_init(root, &io, &why), MQ_OK));
    lane_start(&lane);
    cr_assert(eq(int, msg_index_open(&io, &lane.store, 3000, 100000, true, &none, &x, &why), MQ_OK));
    const int64_t n = 300000;
    for (int64_t i = 0; i < n; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", (int)(i % 5000));
        add(x, key, NULL, i, T0 + i);
        if (i % 50 == 0)
            done(&lane);
        if (i % 700 == 0) {
            msg_index_tick(x, T0 + 20 * i);
            expect_found(x, i * 7919, i + 1);
        }
    }
    lane_stop(&lane);
    cr_expect(not(msg_index_failed(x)));
    msg_index_close(x);
    x = NULL;
    cr_assert(eq(int, msg_index_open(&io, NULL, 3000, 100000, false, &none, &x, &why), MQ_OK)); /* all of it proves right */
    cr_expect(eq(u64, msg_index_reached(x), (uint64_t)n - 1));
    for (int64_t i = 0; i < 5000; i += 97)
        expect_found(x, i, n);
    msg_index_close(x);
    store_io_posix_fini(&io);
    snprintf(command, sizeof command, "rm -r %s", root);
    cr_expect(zero(int, system(command)));
}
