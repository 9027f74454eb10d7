/* queue.c - consume queues: adding, reading, padding, rounds, recovery, expiry, deletion, failures; on the fake disk. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/store/queue_rig.h"

static struct queue_rig rig;
static void setup(void)
{
    qr_new(&rig);
    qr_open(&rig, true, 0, 0);
}
static void teardown(void) { qr_end(&rig); }

/* ---- adding and reading ---- */
TestSuite(queue, .init = setup, .fini = teardown);

Test(queue, units_are_there_at_once_and_after_writing)
{
    qr_add(&rig, "t", 0, 0, 37);
    qr_expect(&rig, "t", 0, 0, 37);
    cr_expect_eq(consume_queues_waiting(rig.t), 37 * CQ_UNIT);
    cr_assert_eq(consume_queues_write(rig.t, NULL), MQ_OK);
    cr_expect_eq(consume_queues_waiting(rig.t), 0);
    qr_expect(&rig, "t", 0, 0, 37);
    qr_add(&rig, "t", 0, 37, 41);
    qr_expect(&rig, "t", 0, 0, 41);
}

Test(queue, files_have_their_full_size_and_apaches_bytes)
{
    static const uint8_t third[] = {0, 0, 0, 0, 0, 0, 3, 0x84, 0, 0, 0, 100, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xf8, 0x2f}; /* 900, 100, -2001 */
    uint64_t n;
    qr_add(&rig, "t", 1, 0, 12);
    cr_assert(qr_round(&rig, true));
    const uint8_t *p = fake_disk_bytes(rig.disk, "consumequeue/t/1/00000000000000000000", &n);
    cr_assert(p != NULL);
    cr_expect_eq(n, QR_FILE);
    cr_expect_arr_eq(p + 2 * CQ_UNIT, third, CQ_UNIT);
    p = fake_disk_bytes(rig.disk, "consumequeue/t/1/00000000000000000200", &n);
    cr_assert(p != NULL);
    cr_expect_eq(n, QR_FILE);
    for (int i = 2 * CQ_UNIT; i < QR_FILE; i++)
        cr_expect_eq(p[i], 0);
}

Test(queue, a_unit_that_is_there_is_not_added_twice)
{
    qr_add(&rig, "t", 0, 0, 5);
    cr_expect_eq(consume_queue_add(rig.t, qr_queue(&rig, "t", 0), 2, qr_unit(9, 9)), MQ_OK);
    qr_expect(&rig, "t", 0, 0, 5);
}

Test(queue, a_queue_that_begins_late_is_padded_from_its_files_start)
{
    static const uint8_t pad[CQ_UNIT] = {0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff};
    uint64_t n;
    qr_add(&rig, "t", 0, 23, 27);
    qr_expect(&rig, "t", 0, 23, 27);
    cr_assert(qr_round(&rig, true));
    const uint8_t *p = fake_disk_bytes(rig.disk, "consumequeue/t/0/00000000000000000400", &n);
    cr_assert(p != NULL);
    for (int i = 0; i < 3; i++)
        cr_expect_arr_eq(p + i * CQ_UNIT, pad, CQ_UNIT);
    cr_expect(fake_disk_bytes(rig.disk, "consumequeue/t/0/00000000000000000000", &n) == NULL);
    uint64_t end = (uint64_t)qr_unit(0, 26).phys_off + QR_RECORD;
    qr_close(&rig);
    cr_expect_eq(qr_open(&rig, true, 0, end), end);
    qr_expect(&rig, "t", 0, 23, 27);
    struct cq_unit u;
    cr_expect_eq(consume_queue_read(rig.t, qr_queue(&rig, "t", 0), 5, &u, 1, true, NULL), -ENOENT);
}

Test(queue, a_gap_is_padded_and_padding_reads_as_it_is)
{
    struct cq_unit u[5];
    qr_add(&rig, "t", 0, 0, 3);
    qr_add(&rig, "t", 0, 5, 6);
    cr_assert_eq(consume_queue_read(rig.t, qr_queue(&rig, "t", 0), 2, u, 5, true, NULL), 4);
    cr_expect_eq(u[1].size, CQ_PAD_SIZE);
    cr_expect_eq(u[2].size, CQ_PAD_SIZE);
    cr_expect_eq(u[3].phys_off, qr_unit(0, 5).phys_off);
    cr_expect_eq(consume_queue_add(rig.t, qr_queue(&rig, "t", 0), 1000, qr_unit(0, 1000)), MQ_ECORRUPT, "that is damage, not a gap");
    cr_expect_eq(consume_queue_max(qr_queue(&rig, "t", 0)), 6);
}

Test(queue, what_can_be_no_unit_is_refused)
{
    struct consume_queue *q = consume_queue_of(rig.t, SLICE_LIT("t"), 0);
    cr_expect_eq(consume_queue_add(rig.t, q, -1, qr_unit(0, 0)), MQ_EINVAL);
    cr_expect_eq(consume_queue_add(rig.t, q, INT64_MAX, qr_unit(0, 0)), MQ_EINVAL);
    cr_expect_eq(consume_queue_add(rig.t, q, 0, (struct cq_unit){.phys_off = -1, .size = 1}), MQ_EINVAL);
    cr_expect_eq(consume_queue_add(rig.t, q, 0, (struct cq_unit){.phys_off = 1, .size = 0}), MQ_EINVAL);
    static const char *const names[] = {"", ".", "..", "a/b"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        cr_expect(consume_queue_of(rig.t, slice_str(names[i]), 0) == NULL, "%s", names[i]);
    cr_expect(consume_queue_of(rig.t, SLICE_LIT("t"), -1) == NULL);
}

Test(queue, counting_runs_ahead_of_what_is_there)
{
    struct consume_queue *q = consume_queue_of(rig.t, SLICE_LIT("t"), 0);
    consume_queue_set_next(q, 3);
    cr_expect_eq(consume_queue_next(q), 3);
    cr_expect_eq(consume_queue_max(q), 0);
    qr_add(&rig, "t", 0, 0, 2);
    cr_expect_eq(consume_queue_next(q), 3);
    consume_queue_set_next(q, 0); /* the turn's write failed */
    cr_expect_eq(consume_queue_next(q), 2);
}

Test(queue, an_idle_queue_costs_little)
{
    enum { N = 10000 };
    size_t before = consume_queues_memory(rig.t);
    for (int i = 0; i < N; i++)
        cr_assert(consume_queue_of(rig.t, SLICE_LIT("t"), i) != NULL);
    cr_expect_leq((consume_queues_memory(rig.t) - before) / N, 200);
    cr_expect_eq(consume_queues_count(rig.t), N);
}

Test(queue, what_is_not_in_memory_is_cold)
{
    struct cq_unit u[3];
    struct cold_range cold = {0};
    qr_add(&rig, "t", 0, 0, 15);
    cr_assert(qr_round(&rig, true));
    fake_disk_chill(rig.disk, NULL);
    cr_expect_eq(consume_queue_read(rig.t, qr_queue(&rig, "t", 0), 12, u, 3, false, &cold), -EAGAIN);
    cr_expect_str_eq(cold.path, "consumequeue/t/0/00000000000000000200");
    cr_expect_eq(cold.off, 2 * CQ_UNIT);
    cr_expect_eq(cold.n, 3 * CQ_UNIT);
    cr_expect_eq(consume_queue_read(rig.t, qr_queue(&rig, "t", 0), 12, u, 3, true, NULL), 3);
    cr_expect_eq(consume_queue_read(rig.t, qr_queue(&rig, "t", 0), 12, u, 3, false, &cold), 3);
}

/* ---- rounds ---- */
TestSuite(queue_flush, .init = setup, .fini = teardown);

Test(queue_flush, a_power_cut_after_a_round_loses_nothing)
{
    for (int id = 0; id < 3; id++)
        qr_add(&rig, "t", id, 0, 25 + id);
    qr_add(&rig, "u", 3, 0, 4);
    cr_assert(qr_round(&rig, true));
    cr_expect_eq(rig.round, MQ_OK);
    cr_expect_eq(rig.rounds, 1);
    qr_cut(&rig, CUT_LOSE, 0);
    uint64_t end = (uint64_t)qr_unit(3, 30).phys_off;
    qr_open(&rig, false, 0, end);
    for (int id = 0; id < 3; id++)
        qr_expect(&rig, "t", id, 0, 25 + id);
    qr_expect(&rig, "u", 3, 0, 4);
}

Test(queue_flush, units_added_during_a_round_are_readable_and_wait_for_the_next)
{
    qr_add(&rig, "t", 0, 0, 25);
    struct store_work *w = consume_queues_flush_job(rig.t, true, NULL, NULL);
    cr_assert(w != NULL);
    cr_expect(consume_queues_flush_job(rig.t, true, NULL, NULL) == NULL, "one round at a time");
    cr_expect(consume_queues_flushing(rig.t));
    qr_add(&rig, "t", 0, 25, 33);
    qr_expect(&rig, "t", 0, 0, 33);
    rig.exec.store.submit(rig.exec.store.ctx, LANE_FLUSH, w);
    cr_assert(sim_exec_run(&rig.exec, LANE_FLUSH));
    qr_expect(&rig, "t", 0, 0, 33);
    sim_exec_drain(&rig.exec);
    cr_expect_not(consume_queues_flushing(rig.t));
    qr_expect(&rig, "t", 0, 0, 33);
    cr_expect_eq(consume_queues_waiting(rig.t), 8 * CQ_UNIT);
    cr_assert(qr_round(&rig, true));
    cr_expect_eq(consume_queues_waiting(rig.t), 0);
    cr_expect_not(qr_round(&rig, true), "nothing is left");
    qr_expect(&rig, "t", 0, 0, 33);
}

Test(queue_flush, a_round_may_choose_the_queues_with_much_to_write)
{
    qr_add(&rig, "t", 0, 0, 30);
    qr_add(&rig, "t", 1, 0, 2);
    cr_assert(qr_round(&rig, false));
    cr_expect_eq(consume_queues_waiting(rig.t), 2 * CQ_UNIT);
    cr_expect(consume_queues_dirty(rig.t) && !consume_queues_ripe(rig.t));
    cr_expect_not(qr_round(&rig, false));
    qr_add(&rig, "t", 1, 2, QR_LEAST - 1);
    cr_expect_not(qr_round(&rig, false));
    qr_add(&rig, "t", 1, QR_LEAST - 1, QR_LEAST);
    cr_assert(qr_round(&rig, false), "now it has enough");
    cr_expect_not(consume_queues_dirty(rig.t));
    qr_add(&rig, "t", 0, 30, 31);
    cr_assert(qr_round(&rig, true));
    cr_expect_not(consume_queues_dirty(rig.t));
}

Test(queue_flush, what_comes_during_a_round_is_no_reason_for_another)
{
    qr_add(&rig, "t", 0, 0, 30);
    struct store_work *w = consume_queues_flush_job(rig.t, false, NULL, NULL);
    cr_assert(w != NULL);
    qr_add(&rig, "t", 0, 30, 31);
    rig.exec.store.submit(rig.exec.store.ctx, LANE_FLUSH, w);
    sim_exec_drain(&rig.exec);
    cr_expect(consume_queues_dirty(rig.t) && !consume_queues_ripe(rig.t));
    cr_assert(qr_round(&rig, true));
    qr_expect(&rig, "t", 0, 0, 31);
}

/* Recovery may begin behind all that a round vouches for. */
Test(queue_flush, a_round_does_not_vouch_for_units_that_came_while_a_search_had_their_queue)
{
    qr_add(&rig, "t", 0, 0, 25);
    cr_assert(qr_round(&rig, true));
    consume_queues_min_phys(rig.t, (uint64_t)qr_unit(0, 12).phys_off); /* its work waits */
    qr_add(&rig, "t", 0, 25, 26);
    qr_add(&rig, "t", 1, 0, 1);
    cr_assert(consume_queues_dirty(rig.t));
    struct store_work *w = consume_queues_flush_job(rig.t, true, qr_on_round, &rig);
    cr_assert(w != NULL);
    rig.exec.store.submit(rig.exec.store.ctx, LANE_FLUSH, w);
    while (sim_exec_run(&rig.exec, LANE_FLUSH) && sim_exec_done(&rig.exec)) {
    }
    cr_expect_eq(rig.rounds, 2);
    cr_expect_eq(rig.round, MQ_EAGAIN);
    sim_exec_drain(&rig.exec);
    cr_assert(qr_round(&rig, true));
    cr_expect_eq(rig.round, MQ_OK);
    qr_expect(&rig, "t", 0, 12, 26);
}

/* ---- at the end: one sync of the file system for many queues ---- */

struct syncs {
    unsigned all, each; /* that succeeded */
};

static void count_syncs(void *ctx, const struct fake_step *step)
{
    struct syncs *n = ctx;
    n->all += step->op == FAKE_SYNC_ALL && step->result >= 0;
    n->each += (step->op == FAKE_DATASYNC || step->op == FAKE_SYNC_DIR) && step->result >= 0;
}

static enum mq_err flush_many(struct syncs *n, int err)
{
    struct fault why = {0};
    for (int id = 0; id < 300; id++)
        qr_add(&rig, "t", id, 0, 12);
    fake_disk_hook(rig.disk, count_syncs, n);
    fake_disk_fail(rig.disk, FAKE_SYNC_ALL, err != 0, err, false);
    enum mq_err r = consume_queues_flush_now(rig.t, &why);
    fake_disk_hook(rig.disk, NULL, NULL);
    return r;
}

static void expect_many_after_a_cut(void)
{
    cr_expect_eq(consume_queues_waiting(rig.t), 0);
    cr_expect_not(consume_queues_dirty(rig.t));
    qr_cut(&rig, CUT_LOSE, 0);
    qr_open(&rig, false, 0, (uint64_t)qr_unit(300, 12).phys_off);
    for (int id = 0; id < 300; id++)
        qr_expect(&rig, "t", id, 0, 12);
}

Test(queue_flush, many_queues_are_safe_after_one_sync_of_the_file_system)
{
    struct syncs n = {0};
    cr_assert_eq(flush_many(&n, 0), MQ_OK);
    cr_expect_eq(n.all, 1);
    cr_expect_eq(n.each, 0);
    expect_many_after_a_cut();
}

Test(queue_flush, where_the_file_system_cannot_say_so_each_queue_is_synced)
{
    struct syncs n = {0};
    cr_assert_eq(flush_many(&n, -ENOSYS), MQ_OK);
    cr_expect_eq(n.all, 0);
    cr_expect_geq(n.each, 600, "each has two files");
    expect_many_after_a_cut();
}

Test(queue_flush, a_failed_sync_of_the_file_system_is_final_whatever_its_errno)
{
    struct syncs n = {0};
    cr_expect_eq(flush_many(&n, -ENOSPC), MQ_EIO);
    cr_expect_eq(n.each, 0, "nothing is synced after a sync that failed");
    cr_expect_eq(consume_queues_flush_now(rig.t, NULL), MQ_EFAILED);
    cr_expect(consume_queues_flush_job(rig.t, true, NULL, NULL) == NULL);
    qr_expect(&rig, "t", 299, 0, 12);
}

Test(queue_flush, many_queues_go_by_slices_so_that_the_log_gets_in_between)
{
    for (int id = 0; id < 100; id++)
        qr_add(&rig, "t", id, 0, 1);
    unsigned before = rig.exec.submitted;
    cr_assert(qr_round(&rig, true));
    cr_expect_eq(rig.exec.submitted - before, 4);
    cr_expect_eq(rig.rounds, 1);
    cr_expect_eq(consume_queues_waiting(rig.t), 0);
}

/* ---- recovery ---- */
TestSuite(queue_recover, .init = setup, .fini = teardown);

Test(queue_recover, a_clean_table_comes_back_as_it_was)
{
    for (int64_t n = 1; n < 45; n += 4) { /* ends anywhere in a file, also exactly at its end */
        qr_end(&rig);
        setup();
        qr_add(&rig, "t", 0, 0, n);
        qr_add(&rig, "t", 2, 0, 1);
        cr_assert_eq(consume_queues_flush_now(rig.t, NULL), MQ_OK);
        uint64_t end = (uint64_t)qr_unit(0, n - 1).phys_off + QR_RECORD;
        qr_close(&rig);
        end = end > 300 ? end : 300;
        qr_open(&rig, true, 0, end);
        qr_expect(&rig, "t", 0, 0, n);
        qr_add(&rig, "t", 0, n, n + 3);
        qr_expect(&rig, "t", 0, 0, n + 3);
    }
}

Test(queue_recover, cut_units_never_come_back)
{
    for (int64_t keep = 0; keep <= 25; keep++) {
        qr_end(&rig);
        setup();
        qr_add(&rig, "t", 0, 0, 25);
        cr_assert(qr_round(&rig, true));
        qr_close(&rig);
        uint64_t max = keep > 0 ? (uint64_t)qr_unit(0, keep - 1).phys_off + QR_RECORD : 0;
        qr_open(&rig, false, 0, max);
        qr_expect(&rig, "t", 0, 0, keep);
        qr_add(&rig, "t", 0, keep, keep + 1);
        cr_assert(qr_round(&rig, true));
        qr_cut(&rig, CUT_LOSE, 0);
        qr_open(&rig, true, 0, 1 << 20);
        qr_expect(&rig, "t", 0, 0, keep + 1);
    }
}

Test(queue_recover, an_end_inside_a_record_cuts_its_unit)
{
    qr_add(&rig, "t", 0, 0, 5);
    cr_assert(qr_round(&rig, true));
    qr_close(&rig);
    uint64_t fourth = (uint64_t)qr_unit(0, 3).phys_off;
    cr_expect_eq(qr_open(&rig, true, 0, fourth + QR_RECORD - 1), (uint64_t)qr_unit(0, 2).phys_off + QR_RECORD);
    qr_expect(&rig, "t", 0, 0, 3);
}

Test(queue_recover, foreign_sizes_stop_the_start_with_words)
{
    struct fault why = {0};
    struct consume_queues *t;
    qr_add(&rig, "t", 0, 0, 15);
    cr_assert(qr_round(&rig, true));
    qr_close(&rig);
    cr_expect_eq(consume_queues_open(fake_disk_io(rig.disk), &rig.exec.store, 2 * QR_FILE, 0, &t, &why), MQ_ECORRUPT);
    cr_expect(strstr(why.what, "consumequeue/t/0") != NULL, "%s", why.what);
    cr_expect_eq(consume_queues_open(fake_disk_io(rig.disk), &rig.exec.store, 30, 0, &t, &why), MQ_EINVAL);
}

Test(queue_recover, truncating_drops_what_lies_beyond_in_memory_and_in_files)
{
    for (int written = 0; written < 3; written++) {
        qr_end(&rig);
        setup();
        qr_add(&rig, "t", 0, 0, 20);
        if (written == 1)
            cr_assert(qr_round(&rig, true));
        qr_add(&rig, "t", 0, 20, 25);
        if (written == 2)
            cr_assert(qr_round(&rig, true));
        cr_assert_eq(consume_queues_truncate(rig.t, (uint64_t)qr_unit(0, 13).phys_off, NULL), MQ_OK);
        qr_expect(&rig, "t", 0, 0, 13);
        qr_add(&rig, "t", 0, 13, 15);
        qr_expect(&rig, "t", 0, 0, 15);
    }
}

/* ---- expiry and deletion ---- */
TestSuite(queue_expire, .init = setup, .fini = teardown);

Test(queue_expire, minima_follow_the_log_and_old_files_go)
{
    uint64_t n;
    qr_add(&rig, "t", 0, 0, 35);
    cr_assert(qr_round(&rig, true));
    qr_add(&rig, "t", 0, 35, 40);
    consume_queues_min_phys(rig.t, (uint64_t)qr_unit(0, 23).phys_off);
    sim_exec_drain(&rig.exec);
    qr_expect(&rig, "t", 0, 23, 40);
    cr_expect(fake_disk_bytes(rig.disk, "consumequeue/t/0/00000000000000000200", &n) == NULL);
    cr_expect(fake_disk_bytes(rig.disk, "consumequeue/t/0/00000000000000000400", &n) != NULL);
    consume_queues_min_phys(rig.t, (uint64_t)qr_unit(0, 38).phys_off);
    sim_exec_drain(&rig.exec);
    qr_expect(&rig, "t", 0, 38, 40);
    consume_queues_min_phys(rig.t, (uint64_t)qr_unit(0, 99).phys_off);
    sim_exec_drain(&rig.exec);
    qr_expect(&rig, "t", 0, 40, 40);
    qr_add(&rig, "t", 0, 40, 42);
    cr_expect_eq(consume_queue_max(qr_queue(&rig, "t", 0)), 42, "counting goes on");
}

Test(queue_expire, a_deleted_topic_made_anew_starts_at_0_and_meets_no_old_unit)
{
    for (int in_round = 0; in_round < 2; in_round++) {
        qr_end(&rig);
        setup();
        qr_add(&rig, "t", 0, 0, 25);
        cr_assert(qr_round(&rig, true));
        qr_add(&rig, "t", 0, 25, 30);
        struct store_work *w = in_round ? consume_queues_flush_job(rig.t, true, NULL, NULL) : NULL;
        consume_queues_delete_topic(rig.t, SLICE_LIT("t"));
        cr_expect(qr_queue(&rig, "t", 0) == NULL);
        qr_add(&rig, "t", 0, 0, 3);
        qr_expect(&rig, "t", 0, 0, 3);
        if (w != NULL)
            rig.exec.store.submit(rig.exec.store.ctx, LANE_FLUSH, w);
        sim_exec_drain(&rig.exec);
        qr_expect(&rig, "t", 0, 0, 3);
        cr_assert(qr_round(&rig, true));
        qr_cut(&rig, CUT_KEEP, 0);
        qr_open(&rig, true, 0, 1 << 20);
        qr_expect(&rig, "t", 0, 0, 3);
    }
}

/* ---- failures ---- */
TestSuite(queue_fail, .init = setup, .fini = teardown);

static void every_failing_call(enum fake_op op)
{
    for (uint64_t nth = 1; nth < 100; nth++) {
        qr_end(&rig);
        setup();
        for (int id = 0; id < 4; id++)
            qr_add(&rig, "t", id, 0, 23);
        fake_disk_fail(rig.disk, op, nth, -EIO, false);
        cr_assert(qr_round(&rig, true));
        bool failed = fake_disk_did_fail(rig.disk);
        fake_disk_fail(rig.disk, op, 0, 0, false);
        cr_expect_eq(rig.round, failed ? MQ_EIO : MQ_OK, "%s %d", fake_op_name(op), (int)nth);
        for (int id = 0; id < 4; id++)
            qr_expect(&rig, "t", id, 0, 23); /* reads go on */
        if (!failed) {
            cr_expect_gt(nth, 1);
            return;
        }
        cr_expect(rig.why.what[0] != 0);
        cr_expect_not(qr_round(&rig, true), "a failure is final");
        cr_expect_eq(consume_queues_write(rig.t, NULL), MQ_EFAILED);
    }
}

Test(queue_fail, every_failing_call_is_told_and_nothing_is_lost)
{
    every_failing_call(FAKE_OPEN);
    every_failing_call(FAKE_PWRITE);
    every_failing_call(FAKE_DATASYNC);
    every_failing_call(FAKE_SET_SIZE);
    every_failing_call(FAKE_SYNC_DIR);
}
