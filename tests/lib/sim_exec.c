/* sim_exec.c - see sim_exec.h. A power cut may fall between run() and done(): the disk has it, the store does not know yet. */
#include "tests/lib/sim_exec.h"

static void submit(void *ctx, enum store_lane lane, struct store_work *w)
{
    struct sim_exec *x = ctx;
    x->submitted++;
    list_push_back(&x->waiting[lane], &w->node);
}

void sim_exec_init(struct sim_exec *x, uint64_t seed)
{
    *x = (struct sim_exec){.store = {.ctx = x, .submit = submit}, .rng = rng_of(seed)};
    for (int i = 0; i < LANES; i++)
        list_init(&x->waiting[i]);
    list_init(&x->finished);
}

static struct list *pick(struct sim_exec *x, enum store_lane lane)
{
    struct list *at = x->waiting[lane].next;
    if (lane == LANE_READ && at->next != &x->waiting[lane] && rng_one_in(&x->rng, 2))
        at = at->next;
    return at;
}

bool sim_exec_run(struct sim_exec *x, enum store_lane lane)
{
    if (list_empty(&x->waiting[lane]))
        return false;
    struct list *at = pick(x, lane);
    struct store_work *w = CONTAINER_OF(at, struct store_work, node);
    list_remove(at);
    x->ran++;
    w->run(w);
    list_push_back(&x->finished, at);
    return true;
}

bool sim_exec_done(struct sim_exec *x)
{
    if (list_empty(&x->finished))
        return false;
    struct store_work *w = CONTAINER_OF(x->finished.next, struct store_work, node);
    list_remove(&w->node);
    x->ended++;
    w->done(w); /* may free it, may submit */
    return true;
}

bool sim_exec_step(struct sim_exec *x)
{
    uint32_t first = rng_below(&x->rng, LANES + 1);
    for (uint32_t i = 0; i <= LANES; i++) {
        uint32_t at = (first + i) % (LANES + 1);
        if (at == LANES ? sim_exec_done(x) : sim_exec_run(x, (enum store_lane)at))
            return true;
    }
    return false;
}

void sim_exec_drain(struct sim_exec *x)
{
    while (sim_exec_step(x))
        ;
}

bool sim_exec_idle(const struct sim_exec *x)
{
    bool idle = list_empty(&x->finished);
    for (int i = 0; i < LANES; i++)
        idle = idle && list_empty(&x->waiting[i]);
    return idle;
}
