/* offsets.c - I5: what a group has consumed, in its file beside the store, never passes the end of a queue, whatever the cut.
 * A consumer commits what it read. With a kill all that was readable is there again. A power cut may take away messages that were
 * written and not yet flushed; so here a consumer commits only what the store called flushed (what a broker owes to one that reads faster
 * is for the broker: it knows both). */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "broker/metadata/offsets.h"
#include "tests/sim/store/model.h"

struct consumer {
    struct sim *s;
    struct config_file *file;
    struct offsets *offsets;
    bool power;
    uint64_t checked;
    int64_t committed[SIM_TOPICS][SIM_QUEUES], asked[SIM_TOPICS][SIM_QUEUES], saved[SIM_TOPICS][SIM_QUEUES]; /* asked: to be saved */
};

static struct offsets *offsets_on(struct fake_disk *d, struct sim_exec *x, struct config_file **file)
{
    struct offsets *o = NULL;
    struct fault why = {0};
    if (config_file_new(fake_disk_io(d), &x->store, "config/consumerOffset.json", file) != MQ_OK || offsets_open(*file, &o, &why) != MQ_OK)
        return NULL;
    return o;
}

static void check_copy(struct consumer *c, enum fake_cut how, uint64_t arg)
{
    struct sim *s = c->s, after = *s;
    struct config_file *file;
    after.store = NULL;
    after.listener.ctx = &after;
    after.disk = fake_disk_clone(s->disk, arg);
    sim_exec_init(&after.exec, arg);
    sim_model_copy(&after.model, &s->model);
    fake_disk_cut(after.disk, how, arg);
    struct offsets *o = offsets_on(after.disk, &after.exec, &file);
    if (o == NULL)
        sim_break(s, "the offsets cannot be loaded after a cut (%s)", fake_cut_name(how));
    if (o != NULL && sim_open(&after)) {
        for (int t = 0; t < SIM_TOPICS; t++)
            for (int k = 0; k < SIM_QUEUES; k++) {
                int64_t max = message_store_max_offset(after.store, slice_str(sim_topics[t]), k);
                int64_t off = offsets_query(o, SLICE_LIT("group"), slice_str(sim_topics[t]), k);
                if (off > max)
                    sim_break(s, "I5: after a cut (%s) the group is at %" PRId64 " of %s/%d, which ends at %" PRId64, fake_cut_name(how), off, sim_topics[t],
                              k, max);
                if (off < c->saved[t][k] && c->saved[t][k] > 0)
                    sim_break(s, "I5: after a cut (%s) the group is at %" PRId64 " of %s/%d, saved was %" PRId64, fake_cut_name(how), off, sim_topics[t], k,
                              c->saved[t][k]);
            }
    }
    if (after.broken)
        sim_break(s, "after a cut (%s): %s", fake_cut_name(how), after.words);
    offsets_close(o);
    sim_fini(&after);
    c->checked++;
}

static void cut_here(void *ctx, const struct fake_step *step)
{
    struct consumer *c = ctx;
    if (c->s->broken)
        return;
    if (!c->power)
        check_copy(c, CUT_KILL, step->number);
    else
        check_copy(c, step->number % 3 == 0 ? CUT_LOSE : CUT_RANDOM, step->number);
}

static void consume(struct consumer *c)
{
    struct sim *s = c->s;
    unsigned t = rng_below(&s->rng, SIM_TOPICS), k = rng_below(&s->rng, SIM_QUEUES);
    struct sim_queue *q = &s->model.queues[t][k];
    uint64_t limit = sim_promise(s, c->power);
    int64_t off = c->committed[t][k];
    while (off < q->n && (uint64_t)q->msgs[off].phys_off + q->msgs[off].size <= limit)
        off++;
    if (off > c->committed[t][k] && sim_read_some(s, t, k, c->committed[t][k], 32, true) < 0)
        sim_break(s, "a consumer cannot read %s/%u at %" PRId64, sim_topics[t], k, c->committed[t][k]);
    c->committed[t][k] = off;
    offsets_commit(c->offsets, SLICE_LIT("group"), slice_str(sim_topics[t]), (int32_t)k, off);
    if (rng_one_in(&s->rng, 3)) {
        offsets_save_if_dirty(c->offsets);
        memcpy(c->asked, c->committed, sizeof c->asked);
    }
}

static void consumed(uint64_t seed)
{
    struct sim s;
    struct consumer c = {.s = &s, .power = seed % 2};
    sim_init(&s, seed, &(struct sim_options){.sync_flush = true});
    if (sim_open(&s)) {
        c.offsets = offsets_on(s.disk, &s.exec, &c.file);
        cr_assert(c.offsets != NULL);
        fake_disk_hook(s.disk, cut_here, &c);
        for (int i = 0; i < 120 && !s.broken; i++) {
            sim_run(&s, 2);
            consume(&c);
            if (!config_file_dirty(c.file))
                memcpy(c.saved, c.asked, sizeof c.saved);
        }
        sim_exec_drain(&s.exec);
        fake_disk_hook(s.disk, NULL, NULL);
        offsets_close(c.offsets);
        sim_close(&s);
    }
    sim_must_hold(&s, "consumer_offsets_stay_within_queues");
    cr_assert_gt(c.checked, 50);
    sim_fini(&s);
}
Test(offsets, never_pass_the_end_of_a_queue_whatever_the_cut, .timeout = 280) { sim_each_seed(7001, 4, consumed); }
