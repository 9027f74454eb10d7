/* cuts.c - power cuts and kills at each step of a workload's disk. SIM_SEED=n replays one seed, SIM_SEEDS=n asks for more of them. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/store/sim.h"

static unsigned files_went; /* runs in which the log's start moved */

static void live_and_cut(uint64_t seed, struct sim_options opt, const char *what)
{
    struct sim s;
    sim_init(&s, seed, &opt);
    sim_cut_at_every_step(&s, 40);
    if (sim_open(&s)) {
        sim_run(&s, 150);
        if (!s.broken && !sim_settle(&s))
            sim_break(&s, "what was written was never flushed");
        if (!s.broken)
            sim_verify(&s, sim_promise(&s, false));
        struct store_figures f;
        message_store_figures(s.store, &f);
        files_went += f.min_phys_off > 0;
        sim_close(&s);
    }
    sim_must_hold(&s, what);
    sim_fini(&s);
}

static void cut_sync(uint64_t seed) { live_and_cut(seed, (struct sim_options){.sync_flush = true, .transactions = true}, "cut_at_every_write"); }
static void cut_async(uint64_t seed) { live_and_cut(seed, (struct sim_options){.transactions = true}, "cut_at_every_write"); }
static void cut_uniform(uint64_t seed) { live_and_cut(seed, (struct sim_options){.sync_flush = seed % 2, .uniform = true}, "old_records_never_come_back"); }
static void cut_jumps(uint64_t seed) { live_and_cut(seed, (struct sim_options){.sync_flush = seed % 2, .clock_jumps = true}, "the_clock_may_go_back"); }

Test(store, cut_at_every_write_with_sync_flush, .timeout = 280) { sim_each_seed(1, 3, cut_sync); }
Test(store, cut_at_every_write_with_async_flush, .timeout = 280) { sim_each_seed(1001, 3, cut_async); }
Test(store, old_records_that_fit_never_come_back, .timeout = 280) { sim_each_seed(2001, 4, cut_uniform); }
Test(store, nothing_is_lost_when_the_clock_goes_back, .timeout = 280)
{
    sim_each_seed(3001, 3, cut_jumps);
    sim_each_seed(5011, 1, cut_jumps);  /* found: recovery began behind messages that were not safe, because they were newer */
    sim_each_seed(20001, 1, cut_jumps); /* found: a torn end taken for damage of what was safe, because it was older */
}

static void cut_expire(uint64_t seed) { live_and_cut(seed, (struct sim_options){.sync_flush = seed % 2, .expire = true}, "old_files_go"); }
Test(store, what_is_young_stays_when_old_files_go, .timeout = 280)
{
    sim_each_seed(3501, 3, cut_expire);
    sim_each_seed(20003, 1, cut_expire); /* found: log files went before their queue units were safe */
    cr_assert(files_went > 0 || getenv("SIM_SEED") != NULL);
}

/* ---- after a kill: ready first, the queues' files later ---- */

static void count_queue_steps(void *ctx, const struct fake_step *step)
{
    unsigned *n = ctx;
    *n += strncmp(step->path, "consumequeue/", 13) == 0 && (step->op == FAKE_PWRITE || step->op == FAKE_DATASYNC);
}

static unsigned left_to_rounds; /* runs in which the recovery left something */

static void kill_and_flush(uint64_t seed)
{
    struct sim s;
    unsigned before = 0, after = 0;
    sim_init(&s, seed, &(struct sim_options){.sync_flush = seed % 2, .transactions = seed % 3 == 0});
    if (sim_open(&s)) {
        sim_run(&s, 150);
        sim_turn(&s);
        struct fake_disk *live = s.disk, *killed = fake_disk_clone(live, seed);
        uint64_t promise = sim_promise(&s, false), durable = sim_promise(&s, true);
        sim_close(&s);
        fake_disk_free(live);
        s.disk = killed;
        fake_disk_cut(killed, CUT_KILL, 0);
        s.durable_off = durable; /* closing in order promised more, on the other disk */
        fake_disk_hook(s.disk, count_queue_steps, &before);
        if (!s.broken && sim_open(&s)) {
            if (before != 0)
                sim_break(&s, "the start wrote to queues %u times", before);
            sim_verify(&s, promise);
            sim_cut_at_every_step(&s, 10); /* of the rounds and checkpoints that follow */
            if (!s.broken && !sim_settle(&s))
                sim_break(&s, "what was recovered was never flushed");
            for (int i = 0; i < 4 && !s.broken; i++) {
                sim_tick(&s, 1500);
                sim_exec_drain(&s.exec);
            }
            fake_disk_hook(s.disk, count_queue_steps, &after);
            if (!s.broken)
                sim_close(&s);
            if (after != 0)
                sim_break(&s, "the rounds left %u writes and syncs to the end", after);
            left_to_rounds += !s.broken;
        }
    }
    sim_must_hold(&s, "ready_before_queues");
    sim_fini(&s);
}

Test(store, a_recovery_is_ready_before_its_queues_are_on_the_disk, .timeout = 280)
{
    sim_each_seed(6001, 4, kill_and_flush);
    cr_assert(left_to_rounds > 0);
}

static void live(uint64_t seed)
{
    struct sim s;
    sim_init(&s, seed, &(struct sim_options){.sync_flush = seed % 2, .transactions = seed % 3 == 0, .expire = seed % 4 == 0});
    if (sim_open(&s)) {
        for (int life = 0; life < 4 && !s.broken; life++) {
            sim_run(&s, 400);
            if (!s.broken && !sim_settle(&s))
                sim_break(&s, "what was written was never flushed");
            if (!s.broken)
                sim_verify(&s, sim_promise(&s, false));
            sim_close(&s);
            if (!s.broken && sim_open(&s))
                sim_verify(&s, sim_promise(&s, false));
        }
    }
    sim_must_hold(&s, "offsets_only_grow");
    sim_fini(&s);
}

Test(store, offsets_only_grow_over_several_lives, .timeout = 280) { sim_each_seed(4001, 20, live); }
