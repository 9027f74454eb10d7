/* store_fail.c - a disk that fails: nothing is confirmed that is not there, and nothing is tried twice. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/store/rig.h"

static struct rig rig;
static void setup(void) { rig_new(&rig); }
static void teardown(void) { rig_end(&rig); }
TestSuite(store_fail, .init = setup, .fini = teardown);

static const struct slice T = {(const uint8_t *)"t", 1};

/* Puts and settles until the store fails; how many messages became visible. */
static int64_t work_until_failed(void)
{
    int64_t acked = 0;
    for (int i = 0; i < 150 && rig.n_failed == 0; i++) {
        struct message m = rig_message("t", 0, "body");
        struct put_result out;
        enum put_status st = message_store_put(rig.store, &m, 1, rig.now_ms, &out);
        if (st == PUT_OK)
            message_store_turn(rig.store, rig.now_ms);
        if (st == PUT_OK && rig.n_failed == 0)
            acked++;
        if (i % 10 == 9) {
            rig.now_ms += 1000;
            message_store_tick(rig.store, (struct store_now){rig.now_ms, rig.now_ms});
            sim_exec_drain(&rig.exec);
        }
        if (st == PUT_BUSY || st == PUT_NO_ROOM) {
            message_store_turn(rig.store, rig.now_ms);
            sim_exec_drain(&rig.exec);
        }
    }
    return acked;
}

static void expect_final(int64_t acked, const char *which, uint64_t nth)
{
    struct message m = rig_message("t", 0, "body");
    struct put_result out;
    sim_exec_drain(&rig.exec); /* what was submitted before */
    uint64_t written = rig.written, flushed = rig.flushed;
    cr_expect(message_store_failed(rig.store));
    cr_expect_not(message_store_writable(rig.store));
    cr_expect_eq(message_store_put(rig.store, &m, 1, rig.now_ms, &out), PUT_FAILED, "%s %d", which, (int)nth);
    cr_expect(strlen(message_store_refusal(rig.store)) > 0);
    uint64_t syncs = rig.ops[RIG_DATASYNC], writes = rig.ops[RIG_PWRITE];
    rig.fail_op = RIG_NONE; /* the disk is well again: that changes nothing */
    rig_settle(&rig);
    message_store_turn(rig.store, rig.now_ms);
    cr_expect_eq(rig.n_failed, 1);
    cr_expect_eq(rig.written, written);
    cr_expect_eq(rig.flushed, flushed);
    cr_expect_eq(rig.ops[RIG_DATASYNC], syncs, "%s %d: synced again", which, (int)nth);
    cr_expect_eq(rig.ops[RIG_PWRITE], writes, "%s %d: wrote again", which, (int)nth);
    cr_expect_geq(message_store_max_offset(rig.store, T, 0), acked);
    struct get_request g = {.topic = T, .max_msgs = 1000, .max_bytes = 1 << 20, .may_block = true};
    struct get_result got;
    struct buf b = {0};
    message_store_get(rig.store, &g, &b, &got);
    if (strncmp(rig.failed.what, "sync commitlog", 14) != 0) {
        cr_expect(acked == 0 || got.n_msgs >= acked, "%s %d: reads go on", which, (int)nth);
    } else { /* up to what was synced; the rest may be gone from the cache */
        cr_expect_lt(got.last_phys_off, (int64_t)flushed, "%s %d", which, (int)nth);
        cr_expect(flushed == 0 || got.n_msgs > 0, "%s %d: reads go on", which, (int)nth);
        g.queue_off = got.status == GET_FOUND ? got.next_off : 0;
        if (flushed < written && g.queue_off < message_store_max_offset(rig.store, T, 0)) {
            message_store_get(rig.store, &g, &b, &got);
            cr_expect_eq(got.status, GET_FAILED, "%s %d: %s", which, (int)nth, get_status_name(got.status));
            cr_expect_eq(got.next_off, g.queue_off, "%s %d: nobody gets beyond it", which, (int)nth);
        }
    }
    buf_free(&b);
}

static void every_failing(enum rig_op op, const char *which, int err)
{
    for (uint64_t nth = 1;; nth++) {
        rig_end(&rig);
        rig_new(&rig);
        rig.cfg.index_enable = false;
        rig_must_open(&rig);
        rig.fail_op = op;
        rig.fail_in = nth;
        rig.fail_err = err;
        int64_t acked = work_until_failed();
        if (rig.n_failed == 0) {
            cr_expect_gt(nth, 5, "%s %d never failed the store", which, (int)nth);
            if (rig.fail_in > 1)
                return; /* there are not so many */
            continue;   /* a checkpoint or a file that is made later: no failure of the store */
        }
        cr_expect_eq(rig.failed.sys, -err, "%s", rig.failed.what);
        expect_final(acked, which, nth);
        rig_close(&rig);
        rig_must_open(&rig);
        cr_expect_geq(message_store_max_offset(rig.store, T, 0), acked, "%s %d: acknowledged messages are there after the restart", which, (int)nth);
    }
}

Test(store_fail, every_failing_write_is_final, .timeout = 120) { every_failing(RIG_PWRITE, "write", -EIO); }
Test(store_fail, every_failing_sync_is_final, .timeout = 120) { every_failing(RIG_DATASYNC, "sync", -EIO); }

Test(store_fail, a_failed_write_takes_the_whole_turn_back)
{
    rig_must_open(&rig);
    rig_put(&rig, "t", 0, "a");
    struct message m = rig_message("t", 0, "b");
    struct put_result out;
    cr_assert_eq(message_store_put(rig.store, &m, 1, rig.now_ms, &out), PUT_OK);
    uint64_t written = rig.written;
    rig.fail_op = RIG_PWRITE;
    rig.fail_in = 1;
    rig.fail_err = -ENOSPC;
    message_store_turn(rig.store, rig.now_ms);
    cr_expect_eq(rig.n_failed, 1);
    cr_expect_eq(rig.failed.err, MQ_EFULL);
    cr_expect(strstr(rig.failed.what, "commitlog/00000000000000000000") != NULL, "%s", rig.failed.what);
    cr_expect_eq(rig.written, written);
    cr_expect_eq(message_store_max_offset(rig.store, T, 0), 1);
    cr_expect_eq(rig.n_arrived, 1);
}

Test(store_fail, a_next_file_that_does_not_fit_is_a_refusal_until_there_is_room)
{
    rig_must_open(&rig);
    rig.fail_op = RIG_SET_SIZE;
    rig.fail_in = 1;
    rig.fail_err = -ENOSPC;
    struct message m = rig_message("t", 0, "some body or other");
    struct put_result out;
    enum put_status st = PUT_OK;
    for (int i = 0; i < 200 && st != PUT_NO_ROOM; i++) {
        st = message_store_put(rig.store, &m, 1, rig.now_ms, &out);
        message_store_turn(rig.store, rig.now_ms);
        sim_exec_drain(&rig.exec);
    }
    cr_assert_eq(st, PUT_NO_ROOM);
    cr_expect(strstr(message_store_refusal(rig.store), "commitlog/00000000000000008192") != NULL, "%s", message_store_refusal(rig.store));
    cr_expect_not(message_store_writable(rig.store));
    cr_expect_not(message_store_failed(rig.store));
    int64_t max = message_store_max_offset(rig.store, T, 0);
    rig.fail_op = RIG_NONE;
    rig_settle(&rig);
    cr_expect(message_store_writable(rig.store), "it is made as soon as there is room");
    cr_expect_eq(rig_put(&rig, "t", 0, "x").queue_off, max);
}

Test(store_fail, a_directory_without_room_opens_for_reading)
{
    rig_must_open(&rig);
    rig_put(&rig, "t", 0, "a");
    rig_close(&rig);
    rig_end(&rig);
    rig_new(&rig);
    rig.fail_op = RIG_SET_SIZE;
    rig.fail_in = 1;
    rig.fail_err = -ENOSPC;
    rig_must_open(&rig);
    struct message m = rig_message("t", 0, "b");
    struct put_result out;
    cr_expect_eq(message_store_put(rig.store, &m, 1, rig.now_ms, &out), PUT_NO_ROOM);
    rig.fail_op = RIG_NONE;
    rig_settle(&rig);
    cr_expect_eq(rig_put(&rig, "t", 0, "x").queue_off, 0);
}

Test(store_fail, a_read_that_fails_is_told_and_nothing_comes)
{
    rig_must_open(&rig);
    rig_put(&rig, "t", 0, "a");
    rig_put(&rig, "later", 0, "so that the first is no longer in memory");
    rig.fail_op = RIG_PREAD;
    rig.fail_in = 1;
    rig.fail_err = -EIO;
    struct get_request g = {.topic = T, .max_msgs = 10, .max_bytes = 1000};
    struct get_result got;
    struct buf b = {0};
    message_store_get(rig.store, &g, &b, &got);
    cr_expect_eq(got.status, GET_FAILED);
    cr_expect_eq(b.n, 0);
    cr_expect_eq(rig.n_failed, 0);
    rig.fail_op = RIG_NONE;
    message_store_get(rig.store, &g, &b, &got);
    cr_expect_eq(got.status, GET_FOUND);
    buf_free(&b);
}

Test(store_fail, with_sync_flush_a_sender_is_told_by_the_figure)
{
    rig.cfg.sync_flush = true;
    rig_must_open(&rig);
    for (int i = 0; i < 3; i++)
        rig_put(&rig, "t", 0, "a");
    cr_expect_lt(rig.flushed, rig.written);
    uint64_t first = rig.written;
    cr_assert(sim_exec_run(&rig.exec, LANE_FLUSH));
    rig_put(&rig, "t", 0, "b"); /* while the first sync is under way */
    cr_assert(sim_exec_done(&rig.exec));
    cr_expect_leq(rig.flushed, first);
    cr_expect_gt(rig.flushed, 0);
    sim_exec_drain(&rig.exec); /* the next sync began by itself */
    cr_expect_eq(rig.flushed, rig.written);
}
