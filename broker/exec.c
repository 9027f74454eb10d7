/* exec.c - store works on worker threads.
 *
 * A store_work knows nothing of loops and threads, a worker's `struct work` must be embedded. So each thread of a lane has a
 * carrier that takes one store_work at a time; what finds no idle carrier waits in the lane's list. Nothing is allocated per work.
 *   I1  a lane with one carrier runs its works one after the other, in the order of submission: FLUSH and CHORE rely on it.
 *   I2  done() runs on the loop's thread, in the order in which works finished. */
#include "broker/exec.h"
#include "common/base/mem.h"
#include "common/loop/worker.h"

enum { LANE_THREADS_MAX = 2 };
static const struct { const char *name; unsigned threads; } lanes[LANES] = {
    [LANE_FLUSH] = {"mq-flush", 1}, [LANE_READ] = {"mq-read", 2}, [LANE_CHORE] = {"mq-chore", 1}};

struct carrier {
    struct work work;
    struct lane *lane;
    struct store_work *load; /* NULL: idle */
};
struct lane {
    struct exec *exec;
    struct worker_pool *pool;
    struct list waiting; /* of struct store_work */
    struct carrier carriers[LANE_THREADS_MAX];
    unsigned n;
};
struct exec {
    struct store_exec store;
    struct lane lanes[LANES];
    bool draining; /* no thread is there any more, or soon */
};

static void on_run(struct work *w)
{
    struct carrier *c = CONTAINER_OF(w, struct carrier, work);
    c->load->run(c->load);
}

static void carry_next(struct carrier *c)
{
    if (c->lane->exec->draining || list_empty(&c->lane->waiting))
        return;
    c->load = CONTAINER_OF(c->lane->waiting.next, struct store_work, node);
    list_remove(&c->load->node);
    worker_submit(c->lane->pool, &c->work);
}

static void on_done(struct work *w)
{
    struct carrier *c = CONTAINER_OF(w, struct carrier, work);
    struct store_work *load = c->load;
    c->load = NULL;
    carry_next(c); /* before done(), which may take its time */
    load->done(load); /* may free it, may submit */
}

static void submit(void *ctx, enum store_lane lane, struct store_work *w)
{
    struct exec *x = ctx;
    struct lane *l = &x->lanes[lane];
    list_push_back(&l->waiting, &w->node);
    for (unsigned i = 0; i < l->n; i++) {
        if (l->carriers[i].load == NULL) {
            carry_next(&l->carriers[i]);
            return;
        }
    }
}

enum mq_err exec_new(struct loop *loop, struct exec **out, struct fault *why)
{
    struct exec *x = mem_zalloc(sizeof *x);
    if (x == NULL)
        return fault_set(why, MQ_ENOMEM, 0, "worker threads");
    x->store = (struct store_exec){.ctx = x, .submit = submit};
    for (int i = 0; i < LANES; i++) {
        struct lane *l = &x->lanes[i];
        l->exec = x;
        l->n = lanes[i].threads;
        list_init(&l->waiting);
        for (unsigned k = 0; k < l->n; k++)
            l->carriers[k] = (struct carrier){.work = {.run = on_run, .done = on_done}, .lane = l};
        enum mq_err err = worker_pool_new(loop, lanes[i].name, l->n, &l->pool, why);
        if (err != MQ_OK) {
            exec_free(x);
            return err;
        }
    }
    *out = x;
    return MQ_OK;
}

const struct store_exec *exec_store(struct exec *x) { return &x->store; }

void exec_drain(struct exec *x)
{
    x->draining = true;
    for (int i = 0; i < LANES; i++) {
        if (x->lanes[i].pool)
            worker_pool_free(x->lanes[i].pool);
        x->lanes[i].pool = NULL;
    }
    for (int i = 0; i < LANES; i++) {
        struct list *waiting = &x->lanes[i].waiting;
        while (x->lanes[i].exec && !list_empty(waiting)) {
            struct store_work *w = CONTAINER_OF(waiting->next, struct store_work, node);
            list_remove(&w->node);
            w->run(w);
            w->done(w);
            i = 0; /* it may have submitted to a lane that was empty already */
            waiting = &x->lanes[0].waiting;
        }
    }
}

void exec_free(struct exec *x)
{
    if (x == NULL)
        return;
    exec_drain(x);
    mem_free(x);
}
