/* faults.c - a disk that fails, at each of its operations in turn.
 * After a failed write or sync of the log the store is FAILED for good: it reports nothing as flushed that is not, takes no message,
 * says why in words, and goes on reading. What it had promised before is there when the machine comes back. */
#include <criterion/criterion.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/base/mem.h"
#include "tests/sim/store/sim.h"

struct failure { /* what failed, and what was promised then */
    struct sim *s;
    bool happened, making; /* making: of a file that nothing lies in yet: made again, so it is not fatal */
    enum fake_op op, before;
    char path[96];
    uint64_t written;
};

static void note_failure(void *ctx, const struct fake_step *step)
{
    struct failure *f = ctx;
    enum fake_op before = f->before;
    f->before = step->op;
    if (f->happened || step->result >= 0)
        return;
    f->happened = true;
    f->making = step->op == FAKE_DATASYNC && before == FAKE_SET_SIZE;
    f->op = step->op;
    f->written = sim_promise(f->s, false);
    memcpy(f->path, step->path, sizeof f->path);
}

static bool is_fatal(const struct failure *f)
{
    bool ours = strncmp(f->path, "commitlog/", 10) == 0 || strncmp(f->path, "consumequeue/", 13) == 0;
    return f->happened && !f->making && ours && (f->op == FAKE_PWRITE || f->op == FAKE_DATASYNC);
}

/* A write of a batch that crosses two files may have failed in the second: the first half is not shown now, and may be there after a restart. */
static void reads_go_on(struct sim *s)
{
    uint32_t n[SIM_TOPICS][SIM_QUEUES];
    for (int t = 0; t < SIM_TOPICS; t++)
        for (int k = 0; k < SIM_QUEUES; k++)
            n[t][k] = s->model.queues[t][k].n;
    sim_verify_queues(s, sim_promise(s, false));
    for (int t = 0; t < SIM_TOPICS; t++)
        for (int k = 0; k < SIM_QUEUES; k++)
            s->model.queues[t][k].n = n[t][k];
}

static void after_failure(struct sim *s, const struct failure *f)
{
    sim_turn(s);
    if (!s->broken && f->happened) {
        for (int i = 0; i < 10; i++) { /* time for the failure to be known */
            sim_turn(s);
            sim_tick(s, 600);
            sim_exec_drain(&s->exec);
        }
        bool failed = message_store_failed(s->store);
        if (is_fatal(f) && !failed)
            sim_break(s, "%s of %s failed, but the store is not FAILED", fake_op_name(f->op), f->path);
        if (s->failed_calls != (failed ? 1 : 0))
            sim_break(s, "the listener was told %u times of a failure", s->failed_calls);
        if (failed && sim_put(s, 0, 0, 1) != PUT_FAILED)
            sim_break(s, "a FAILED store takes messages");
        if (failed && (message_store_refusal(s->store) == NULL || message_store_refusal(s->store)[0] == 0))
            sim_break(s, "a FAILED store does not say why");
        if (is_fatal(f) && strncmp(f->path, "commitlog/", 10) == 0 && sim_promise(s, true) > f->written)
            sim_break(s, "%s of %s failed with %" PRIu64 " written, but flushed grew to %" PRIu64, fake_op_name(f->op), f->path, f->written,
                      sim_promise(s, true));
        if (failed && message_store_writable(s->store))
            sim_break(s, "a FAILED store calls itself writable");
    }
    sim_cut(s, CUT_LOSE, 0, 1);
    sim_cut(s, CUT_RANDOM, s->seed, 0);
    if (f->op != FAKE_DATASYNC) /* pages of a failed datasync are in the cache and can't be saved any more: nobody can promise them */
        sim_cut(s, CUT_KILL, 0, 0);
    if (f->op == FAKE_OPEN)
        fake_disk_fail(s->disk, FAKE_OPEN, 0, 0, false); /* reading needs to open */
    if (!s->broken)
        reads_go_on(s);
}

/* One run whose nth operation of a kind fails; false: there were fewer. */
static bool run_with_failure(uint64_t seed, enum fake_op op, uint64_t nth, int err, bool forever)
{
    struct sim s;
    struct failure f = {.s = &s};
    sim_init(&s, seed, &(struct sim_options){.sync_flush = seed % 2});
    fake_disk_hook(s.disk, note_failure, &f);
    if (sim_open(&s)) {
        sim_run(&s, 40);
        fake_disk_fail(s.disk, op, nth, err, forever);
        sim_run(&s, 150);
        after_failure(&s, &f);
        fake_disk_fail(s.disk, op, 0, 0, false);
        uint64_t promise = sim_promise(&s, true);
        sim_close(&s);
        fake_disk_cut(s.disk, CUT_LOSE, 0);
        if (!s.broken && sim_open(&s))
            sim_verify(&s, promise);
    }
    if (s.broken)
        fprintf(stderr, "with the %s number %" PRIu64 " failing (%s), path %s\n", fake_op_name(op), nth, forever ? "and all after it" : "once", f.path);
    sim_must_hold(&s, "failures_are_final");
    sim_fini(&s);
    return f.happened;
}

static void fail_each(uint64_t seed, enum fake_op op, int err, unsigned step)
{
    for (uint64_t nth = 1; nth < 2000; nth += step * SIM_SLOW) /* odd steps: once and for ever take turns */
        if (!run_with_failure(seed, op, nth, err, nth % 2))
            break;
}

static void fail_pwrite(uint64_t seed) { fail_each(seed, FAKE_PWRITE, -EIO, 1); }
static void fail_datasync(uint64_t seed) { fail_each(seed, FAKE_DATASYNC, -EIO, 1); }
static void fail_others(uint64_t seed)
{
    fail_each(seed, FAKE_SET_SIZE, -EIO, 1);
    fail_each(seed, FAKE_SET_SIZE, -ENOSPC, 3);
    fail_each(seed, FAKE_OPEN, -EMFILE, 3);
    fail_each(seed, FAKE_RENAME, -EIO, 1);
    fail_each(seed, FAKE_SYNC_DIR, -EIO, 1);
}

Test(store_faults, a_failed_pwrite_is_final, .timeout = 280) 
{
    sim_each_seed(5001, 2, fail_pwrite);
    sim_each_seed(5009, 1, fail_pwrite); /* found: writing zeros ahead failed, and the store went on */
}
Test(store_faults, a_failed_datasync_is_final, .timeout = 280) 
{
    sim_each_seed(5101, 2, fail_datasync);
    sim_each_seed(40001, 1, fail_datasync); /* found: a consumer was led past messages that the failed sync had dropped */
    sim_each_seed(40003, 1, fail_datasync); /* found: a record of which it had dropped a part was served */
}
Test(store_faults, nothing_promised_is_lost_when_other_calls_fail, .timeout = 280) { sim_each_seed(5201, 1, fail_others); }

/* ---- opening ---- */

static void open_each(uint64_t seed)
{
    struct sim s;
    sim_init(&s, seed, &(struct sim_options){.sync_flush = true});
    if (sim_open(&s)) {
        sim_run(&s, 200);
        uint64_t promise = sim_promise(&s, false);
        struct fake_disk *live = s.disk, *before = fake_disk_clone(live, 1);
        sim_close(&s);
        fake_disk_free(live);
        bool tried = true;
        for (uint64_t nth = 1; tried && !s.broken && nth < 1000; nth++) {
            struct fault why = {0};
            s.disk = fake_disk_clone(before, nth);
            fake_disk_fail(s.disk, FAKE_ANY, nth, -EIO, false);
            enum mq_err err = sim_try_open(&s, &why);
            tried = fake_disk_did_fail(s.disk);
            if (err != MQ_OK && (!tried || why.what[0] == 0))
                sim_break(&s, "opening failed without a failure or without words: %s", mq_err_words(err));
            if (err != MQ_OK && fake_disk_open_files(s.disk) != 0)
                sim_break(&s, "opening failed and left %d files open", fake_disk_open_files(s.disk));
            fake_disk_fail(s.disk, FAKE_ANY, 0, 0, false);
            if (err == MQ_OK)
                sim_close(&s);
            if (!s.broken && sim_open(&s)) {
                sim_verify(&s, promise);
                sim_close(&s);
            }
            fake_disk_free(s.disk);
        }
        s.disk = before;
    }
    sim_must_hold(&s, "a_failed_start_harms_nothing");
    sim_fini(&s);
}
Test(store_faults, a_failed_start_harms_nothing, .timeout = 280) { sim_each_seed(5301, 2, open_each); }

static void starve_each(uint64_t seed)
{
    struct sim s;
    sim_init(&s, seed, &(struct sim_options){.sync_flush = true});
    if (sim_open(&s)) {
        sim_run(&s, 200);
        sim_close(&s);
        enum mq_err err = MQ_ENOMEM;
        for (uint64_t nth = 1; err != MQ_OK && !s.broken && nth < 3000; nth++) {
            struct fault why = {0};
            mem_fail_after(nth);
            err = sim_try_open(&s, &why);
            mem_fail_after(0);
            if (err != MQ_OK && err != MQ_ENOMEM)
                sim_break(&s, "allocation %" PRIu64 " failed, opening says %s: %s", nth, mq_err_words(err), why.what);
            if (err != MQ_OK && fake_disk_open_files(s.disk) != 0)
                sim_break(&s, "opening failed and left %d files open", fake_disk_open_files(s.disk));
        }
        if (!s.broken && s.store) {
            sim_verify(&s, sim_promise(&s, false));
            sim_close(&s);
        }
    }
    sim_must_hold(&s, "no_memory_at_start");
    sim_fini(&s);
}
Test(store_faults, a_start_without_memory_says_so_and_harms_nothing, .timeout = 280) { sim_each_seed(5401, 1, starve_each); }

static void second_open(uint64_t seed)
{
    struct sim s;
    struct message_store *second = NULL;
    struct fault why = {0};
    sim_init(&s, seed, &(struct sim_options){0});
    cr_assert(sim_open(&s), "%s", s.words);
    cr_assert_eq(message_store_open(&s.cfg, fake_disk_io(s.disk), &s.exec.store, &s.listener, s.mono_ms, &second, &why), MQ_EBUSY);
    sim_run(&s, 50);
    sim_close(&s);
    sim_must_hold(&s, "one_broker_per_directory");
    sim_fini(&s);
}
Test(store_faults, a_second_broker_is_refused) { sim_each_seed(5501, 1, second_open); }

/* ---- full disks ---- */

static void wait_for_room(struct sim *s)
{
    for (int i = 0; i < 5; i++) {
        sim_turn(s);
        sim_tick(s, 6000);
        sim_exec_drain(&s->exec);
    }
}

static void full_by_figures(uint64_t seed)
{
    struct sim s;
    sim_init(&s, seed, &(struct sim_options){.sync_flush = seed % 2});
    if (sim_open(&s)) {
        sim_run(&s, 200);
        fake_disk_room(s.disk, 5, 100);
        wait_for_room(&s);
        enum put_status st = sim_put(&s, 1, 1, 1);
        const char *words = message_store_refusal(s.store);
        if (st != PUT_NO_ROOM || message_store_writable(s.store))
            sim_break(&s, "95 %% of the disk are used, a put says %d", (int)st);
        if (words == NULL || strstr(words, "95") == NULL || (strstr(words, "commitlog") == NULL && strstr(words, "consumequeue") == NULL))
            sim_break(&s, "the refusal names no path or no figure: %s", words ? words : "(nothing)");
        if (!s.broken)
            sim_verify(&s, sim_promise(&s, false));
        sim_cut(&s, CUT_RANDOM, seed, 0);
        fake_disk_room(s.disk, 50, 100);
        wait_for_room(&s);
        if (!s.broken)
            sim_go_on(&s);
    }
    sim_must_hold(&s, "a_full_disk_is_refused");
    sim_fini(&s);
}
Test(store_faults, a_full_disk_is_refused_in_words_and_sends_resume_with_room, .timeout = 280) { sim_each_seed(5601, 4, full_by_figures); }

static void full_by_surprise(uint64_t seed)
{
    struct sim s;
    sim_init(&s, seed, &(struct sim_options){.sync_flush = seed % 2});
    if (sim_open(&s)) {
        sim_run(&s, 100);
        uint64_t kept = fake_disk_used(s.disk) + rng_below(&s.rng, 60000);
        fake_disk_room(s.disk, 50, 100); /* what the figures say is wrong: another program was quicker */
        fake_disk_capacity(s.disk, kept);
        for (int i = 0; i < 400 && !s.broken && s.refused < 20; i++)
            sim_act(&s);
        sim_turn(&s); /* what was put is written before it is looked for */
        const char *words = message_store_refusal(s.store);
        if (s.refused > 0 && (words == NULL || words[0] == 0))
            sim_break(&s, "a refusal without words");
        if (!s.broken)
            sim_verify_queues(&s, sim_promise(&s, false));
        bool failed = message_store_failed(s.store);
        fake_disk_capacity(s.disk, 0); /* recovery needs room, too */
        sim_cut(&s, CUT_LOSE, 0, 0);
        wait_for_room(&s);
        if (!s.broken && !failed) /* a full disk that was met while making room is not final */
            sim_go_on(&s);
        sim_cut(&s, CUT_LOSE, 0, 0);
    }
    sim_must_hold(&s, "enospc_loses_nothing");
    if (s.store)
        sim_close(&s);
    sim_fini(&s);
}
Test(store_faults, a_disk_that_is_full_before_its_figures_say_so_loses_nothing, .timeout = 280) { sim_each_seed(5701, 8, full_by_surprise); }
