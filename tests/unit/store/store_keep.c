/* store_keep.c - how long messages stay, and finding them by key, through the store's door. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "broker/store/retention.h"
#include "common/base/clock.h"
#include "tests/unit/store/rig.h"

static struct rig rig;
static const struct slice T = {(const uint8_t *)"t", 1};
static void setup(void)
{
    rig_new(&rig);
    rig.cfg.delete_hours = 0xffffff;
}
static void teardown(void) { rig_end(&rig); }
TestSuite(store_keep, .init = setup, .fini = teardown);

static void put_with_key(int i, const char *keys)
{
    struct message m = rig_message("t", 0, "body");
    struct put_result out;
    char text[64];
    snprintf(text, sizeof text, "UNIQ_KEY\1U%d%s", i, keys);
    m.properties = slice_str(text);
    while (message_store_put(rig.store, &m, 1, rig.now_ms, &out) == PUT_BUSY)
        rig_settle(&rig);
    message_store_turn(rig.store, rig.now_ms);
}

/* Bodies' queue offsets by key, newest first; -1 ends. */
static uint32_t query(const char *key, uint32_t max, int64_t offs[8])
{
    struct buf b = {0};
    struct query_result r;
    struct message m;
    uint32_t n = 0;
    cr_assert_eq(message_store_query(rig.store, T, slice_str(key), max, 0, INT64_MAX, &b, &r), MQ_OK);
    for (struct slice rest = buf_view(&b); rest.n > 0 && message_decode(rest, true, &m) == MQ_OK; rest = slice_from(rest, m.size))
        if (n < 8)
            offs[n++] = m.queue_off;
    cr_expect_eq(n, r.n_msgs < 8 ? r.n_msgs : 8);
    buf_free(&b);
    return n;
}

Test(store_keep, messages_are_found_by_each_of_their_keys_at_once_and_after_any_stop)
{
    int64_t at[8];
    rig_must_open(&rig);
    for (int i = 0; i < 100; i++)
        put_with_key(i, i % 10 ? "" : "\2KEYS\1ten other");
    for (int life = 0; life < 3; life++) {
        cr_assert_eq(query("U57", 10, at), 1, "life %d", life);
        cr_expect_eq(at[0], 57);
        cr_expect_eq(query("ten", 3, at), 3, "life %d", life);
        cr_expect_eq(query("other", 64, at), 8);
        cr_expect_eq(query("te", 10, at), 0);
        cr_expect_eq(query("ten other", 10, at), 0, "keys are tokens");
        if (life == 0)
            rig_kill(&rig);
        else
            rig_close(&rig);
        rig_must_open(&rig);
    }
}

Test(store_keep, a_query_gives_what_it_found_although_a_read_fails)
{
    uint32_t least = 2, n = 0;
    rig_must_open(&rig);
    put_with_key(0, "\2KEYS\1both");
    put_with_key(1, "\2KEYS\1both");
    put_with_key(2, "\2KEYS\1other"); /* so that none of the two is in memory */
    for (uint64_t at = 1; n < 2; at++) { /* this read fails, and all after it */
        struct buf b = {0};
        struct query_result r;
        rig.fail_op = RIG_PREAD;
        rig.fail_in = at;
        rig.fail_err = -EIO;
        enum mq_err err = message_store_query(rig.store, T, SLICE_LIT("both"), 8, 0, INT64_MAX, &b, &r);
        struct message m;
        for (n = 0; b.n > 0 && message_decode(slice_from(buf_view(&b), 0), true, &m) == MQ_OK; n++) {
            cr_assert_eq(m.queue_off, 1 - (int64_t)n);
            memmove(b.p, b.p + m.size, b.n - m.size);
            b.n -= m.size;
        }
        cr_assert(n == r.n_msgs && b.n == 0);
        cr_assert_eq(err, n < 2 ? MQ_EIO : MQ_OK, "read %d", (int)at);
        least = at == 1 ? n : least;
        buf_free(&b);
        cr_assert_lt(at, 20);
    }
    cr_expect_eq(least, 0, "the first read is of the newest");
}

Test(store_keep, expired_files_go_with_their_queue_units_and_the_last_stays)
{
    char full[256];
    rig_must_open(&rig);
    for (int i = 0; i < 300; i++)
        rig_put(&rig, "t", 0, "some body"); /* 101 bytes each: 81 to a file */
    rig_settle(&rig);
    rig.now_ms = clock_wall_ms() + 100LL * 3600000;
    for (int i = 0; i < 20; i++) {
        rig.now_ms += 20000;
        message_store_tick(rig.store, (struct store_now){rig.now_ms, rig.now_ms});
        sim_exec_drain(&rig.exec);
    }
    struct store_figures f;
    message_store_figures(rig.store, &f);
    cr_assert_gt(f.min_phys_off, 0);
    cr_expect_leq(f.min_phys_off, 3 * 8192);
    rig_path(&rig, "commitlog/00000000000000000000", full);
    cr_expect_neq(access(full, F_OK), 0);
    int64_t min = message_store_min_offset(rig.store, T, 0);
    cr_expect_gt(min, 0);
    cr_expect_geq(message_store_phys_of(rig.store, T, 0, min), (int64_t)f.min_phys_off);
    struct get_request g = {.topic = T, .queue_off = 5, .max_msgs = 32, .max_bytes = 1 << 20};
    struct get_result got;
    struct buf b = {0};
    message_store_get(rig.store, &g, &b, &got);
    cr_expect_eq(got.status, GET_OFFSET_TOO_SMALL);
    cr_expect_eq(got.next_off, min);
    g.queue_off = min;
    message_store_get(rig.store, &g, &b, &got);
    cr_expect_eq(got.status, GET_FOUND);
    buf_free(&b);
    cr_expect_eq(rig_put(&rig, "t", 0, "goes on").queue_off, 300);
    rig_close(&rig);
    rig_must_open(&rig);
    cr_expect_eq(message_store_min_offset(rig.store, T, 0), min);
    cr_expect_eq(message_store_max_offset(rig.store, T, 0), 301);
}

/* ---- somebody sets the clock ---- */

static int64_t put_at(int64_t wall_ms, int64_t mono_ms)
{
    struct message m = rig_message("t", 0, "body");
    struct put_result out;
    m.properties = slice_str("UNIQ_KEY\1now");
    cr_assert_eq(message_store_put(rig.store, &m, 1, wall_ms, &out), PUT_OK);
    message_store_turn(rig.store, mono_ms);
    return out.store_ms;
}

Test(store_keep, chores_are_done_in_time_however_the_clock_is_set)
{
    static const int64_t walls[] = {-6 * 3600000LL, -9 * 86400000LL, 6 * 3600000LL, 9 * 86400000LL}, wall = 1700000000000;
    rig.cfg.delete_hours = 0;
    rig_must_open(&rig);
    int64_t mono = RIG_T0, at[8];
    uint32_t n = 0;
    for (size_t i = 0; i < sizeof walls / sizeof *walls; i++) {
        struct store_figures f;
        put_at(wall, mono);
        n++;
        int64_t syncs = (int64_t)rig.ops[RIG_DATASYNC], end = mono + 15000;
        put_at(wall + walls[i], mono); /* the clock was set between the two */
        n++;
        while (mono < end) {
            int64_t wait = message_store_tick(rig.store, (struct store_now){wall + walls[i], mono});
            cr_assert(wait >= 1 && wait <= RETENTION_INTERVAL_MS, "jump %zu: it wants to be called in %d ms", i, (int)wait);
            mono += wait < 100 ? 100 : wait;
            sim_exec_drain(&rig.exec);
        }
        message_store_figures(rig.store, &f);
        cr_expect_eq(message_store_flushed(rig.store), (uint64_t)f.max_phys_off, "jump %zu: the log is synced", i);
        cr_expect_geq((int64_t)rig.ops[RIG_DATASYNC] - syncs, 3, "jump %zu: log, queue and index are synced", i);
        cr_expect_eq(query("now", 32, at), n, "jump %zu", i);
    }
}

Test(store_keep, store_times_follow_a_clock_that_is_set_back_by_much_and_wait_for_one_that_is_set_back_by_little)
{
    const int64_t wall = 1700000000000;
    rig_must_open(&rig);
    cr_expect_eq(put_at(wall, 1000), wall);
    cr_expect_eq(put_at(wall - 300000, 1001), wall, "five minutes: times stand");
    cr_expect_eq(put_at(wall + 5, 1002), wall + 5, "until the clock is there again");
    cr_expect_eq(put_at(wall - 7200000, 1003), wall - 7200000, "two hours: it was wrong before");
    cr_expect_eq(put_at(wall - 7190000, 1004), wall - 7190000);
    rig_settle(&rig);
    static const int64_t times[] = {0, wall - 7200001, wall - 7200000, wall - 7195000, wall, wall + 3, wall + 5, wall + 6, INT64_MAX};
    for (int life = 0; life < 2; life++) { /* times are in no order in the queue: an answer is a place in it, whatever was asked */
        for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
            int64_t off = message_store_offset_by_time(rig.store, T, 0, times[i]);
            cr_expect(off >= 0 && off <= 4, "time %zu: %d", i, (int)off);
        }
        int64_t at[8];
        cr_expect_eq(query("now", 32, at), 5, "life %d", life);
        rig_kill(&rig);
        rig_must_open(&rig);
        cr_expect_eq(message_store_max_offset(rig.store, T, 0), 5, "life %d: nothing is lost", life);
    }
}
