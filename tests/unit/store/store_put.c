/* store_put.c - what a put leaves on the disk and in its queue, byte for byte (docs/store-format.md). */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "common/protocol/codes.h"
#include "tests/unit/store/rig.h"

static struct rig rig;
static void setup(void)
{
    rig_new(&rig);
    rig_must_open(&rig);
}
static void teardown(void) { rig_end(&rig); }
TestSuite(store_put, .init = setup, .fini = teardown);

#define LOG0 "commitlog/00000000000000000000"
#define QUEUE0 "consumequeue/t/3/00000000000000000000"

Test(store_put, a_record_has_the_bytes_of_the_format)
{
    /* body "hi": CRC-32 by zlib is 0xd8932aac, with the sign bit cleared 0x58932aac */
    static const uint8_t want[] = {0, 0, 0, 101, 0xDA, 0xA3, 0x20, 0xA7, 0x58, 0x93, 0x2A, 0xAC, 0, 0, 0, 3, 0, 0, 0, 9, /* size magic crc queue flag */
                                   0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,                          /* queue offset, place, sys flag */
                                   0, 0, 0, 0, 0, 0, 0, 7, 10, 0, 0, 1, 0, 0, 4, 0xD2,                                   /* born */
                                   0, 0, 0, 0, 0, 15, 0x42, 0x40, 10, 0, 0, 2, 0, 0, 0x2A, 0x9F,                        /* stored */
                                   0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 'h', 'i', 1, 't', 0, 7,              /* reconsumed prepared body topic */
                                   'T', 'A', 'G', 'S', 1, 'A', 2};
    struct message m = rig_message("t", 3, "hi");
    m.flag = 9;
    m.sys_flag = SYS_COMPRESSED;
    m.reconsume_times = 2;
    m.properties = SLICE_LIT("TAGS\1A\2");
    struct put_result out;
    cr_assert_eq(message_store_put(rig.store, &m, 1, rig.now_ms, &out), PUT_OK);
    cr_expect_eq(out.phys_off, 0);
    cr_expect_eq(out.queue_off, 0);
    cr_expect_eq(out.store_ms, RIG_T0);
    cr_expect_eq(out.size, sizeof want);
    cr_expect_eq(message_store_max_offset(rig.store, SLICE_LIT("t"), 3), 0, "not visible before the turn");
    message_store_turn(rig.store, rig.now_ms);
    cr_expect_eq(message_store_max_offset(rig.store, SLICE_LIT("t"), 3), 1);
    cr_expect_eq(rig.written, sizeof want);
    cr_expect_eq(rig.n_arrived, 1);
    cr_expect_eq(rig.last.tags_code, 'A');
    cr_expect_str_eq(rig.last_topic, "t");
    size_t n;
    uint8_t *file = rig_file(&rig, LOG0, &n);
    cr_expect_eq(n, 8192, "files have their full size");
    cr_expect_arr_eq(file, want, sizeof want);
    cr_expect_eq(file[sizeof want], 0);
    free(file);
}

Test(store_put, a_unit_has_the_bytes_of_the_format)
{
    static const uint8_t want[40] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 94, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 94, 0, 0, 0, 102,
                                     0xff, 0xff, 0xff, 0xff, 0x80, 0, 0, 0}; /* "polygenelubricants".hashCode() is MIN_VALUE */
    rig_put(&rig, "t", 3, "ab");
    struct put_result out;
    struct message tagged = rig_message("t", 3, "");
    tagged.properties = SLICE_LIT("TAGS\1polygenelubricants");
    cr_assert_eq(message_store_put(rig.store, &tagged, 1, rig.now_ms, &out), PUT_OK);
    message_store_turn(rig.store, rig.now_ms);
    rig_settle(&rig);
    size_t n;
    uint8_t *file = rig_file(&rig, QUEUE0, &n);
    cr_expect_eq(n, 2000);
    cr_expect_arr_eq(file, want, 28);
    cr_expect_eq(file[31], out.size);
    cr_expect_arr_eq(file + 32, want + 32, 8);
    free(file);
}

Test(store_put, a_record_that_does_not_fit_goes_to_the_next_file_behind_a_blank)
{
    char body[3001] = {0};
    memset(body, 'x', 3000);
    rig_put(&rig, "t", 0, body); /* 3,092 bytes each: two fit into 8,192, and 2,008 are left */
    struct put_result b = rig_put(&rig, "t", 0, body), c = rig_put(&rig, "t", 0, body);
    cr_assert_eq(b.phys_off, 3092);
    cr_expect_eq(c.phys_off, 8192);
    cr_expect_eq(c.queue_off, 2);
    size_t n;
    uint8_t *file = rig_file(&rig, LOG0, &n);
    static const uint8_t blank[] = {0, 0, 7, 0xD8, 0xCB, 0xD4, 0x31, 0x94, 0, 0, 0, 0};
    cr_expect_arr_eq(file + 6184, blank, sizeof blank);
    free(file);
    file = rig_file(&rig, "commitlog/00000000000000008192", &n);
    cr_expect_eq(n, 8192);
    cr_expect_eq(file[4], 0xDA);
    cr_expect_eq(file[34], 0x20, "its place, 8192");
    free(file);
}

Test(store_put, eight_bytes_stay_free_behind_a_record)
{
    /* left in the file: 8192 - 3092 = 5100. A record of 5,092 leaves exactly 8; one of 5,093 does not. */
    char body[5100] = {0};
    rig.cfg.max_message_size = 6000;
    for (int more = 0; more < 2; more++) {
        rig_end(&rig);
        rig_new(&rig);
        rig.cfg.max_message_size = 6000;
        rig_must_open(&rig);
        memset(body, 'x', sizeof body - 1);
        body[3000] = 0;
        rig_put(&rig, "t", 0, body);
        body[3000] = 'x';
        body[5092 - 92 + more] = 0;
        struct put_result b = rig_put(&rig, "t", 0, body);
        cr_expect_eq(b.phys_off, more ? 8192 : 3092);
        struct put_result c = rig_put(&rig, "t", 0, "c");
        cr_expect_eq(c.phys_off, more ? 8192 + 5093 : 8192, "a file ends with a blank");
    }
}

Test(store_put, a_batch_lies_side_by_side_in_one_file)
{
    char body[3001] = {0};
    memset(body, 'x', 3000);
    rig_put(&rig, "t", 0, body);
    rig_put(&rig, "t", 0, body); /* 2,008 left */
    body[900] = 0;
    struct message m[3];
    struct put_result out[3];
    for (int i = 0; i < 3; i++)
        m[i] = rig_message("t", 0, body); /* 992 each: two would fit, three do not */
    enum put_status st = message_store_put(rig.store, m, 3, rig.now_ms, out);
    if (st == PUT_BUSY) { /* the next file is on its way */
        message_store_turn(rig.store, rig.now_ms);
        sim_exec_drain(&rig.exec);
        st = message_store_put(rig.store, m, 3, rig.now_ms, out);
    }
    cr_assert_eq(st, PUT_OK);
    for (int i = 0; i < 3; i++) {
        cr_expect_eq(out[i].phys_off, 8192 + i * 992);
        cr_expect_eq(out[i].queue_off, 2 + i);
    }
}

Test(store_put, what_is_not_flushed_is_bounded_and_a_quarter_of_the_bound_starts_a_flush)
{
    rig_end(&rig);
    rig_new(&rig);
    rig.cfg.unflushed_max = 4000;
    rig.cfg.flush_interval_ms = 600000;
    rig_must_open(&rig);
    char body[901] = {0};
    memset(body, 'x', 900);
    struct message m = rig_message("t", 0, body); /* 992 in the log */
    struct put_result out;
    enum put_status st = PUT_OK;
    int n = 0;
    cr_assert(message_store_load(rig.store).unflushed == 0 && !message_store_load(rig.store).busy);
    for (; st == PUT_OK && n < 20; n++) {
        st = message_store_put(rig.store, &m, 1, rig.now_ms, &out);
        message_store_turn(rig.store, rig.now_ms);
    }
    cr_expect(st == PUT_BUSY && n == 6, "%d puts", n);
    cr_expect_eq(message_store_load(rig.store).unflushed, 5 * 992);
    sim_exec_drain(&rig.exec); /* two syncs: what a quarter started, and what came behind */
    cr_expect(rig.flushed == 5 * 992 && message_store_load(rig.store).unflushed == 0);
    cr_expect_eq(message_store_put(rig.store, &m, 1, rig.now_ms, &out), PUT_OK);
    message_store_turn(rig.store, rig.now_ms);
}

Test(store_put, a_store_that_makes_its_next_file_says_that_it_is_busy)
{
    char body[3001] = {0};
    memset(body, 'x', 3000);
    struct message m = rig_message("t", 0, body);
    struct put_result out;
    enum put_status st = PUT_OK;
    for (int i = 0; st == PUT_OK && i < 20; i++) {
        cr_expect(!message_store_load(rig.store).busy);
        st = message_store_put(rig.store, &m, 1, rig.now_ms, &out);
        message_store_turn(rig.store, rig.now_ms);
    }
    cr_assert(st == PUT_BUSY && message_store_load(rig.store).busy);
    sim_exec_drain(&rig.exec);
    cr_assert(!message_store_load(rig.store).busy);
    rig.fail_op = RIG_SET_SIZE;
    rig.fail_in = 1;
    rig.fail_err = -28;
    for (st = PUT_OK; st == PUT_OK;) {
        st = message_store_put(rig.store, &m, 1, rig.now_ms, &out);
        message_store_turn(rig.store, rig.now_ms);
    }
    cr_assert(st == PUT_BUSY);
    sim_exec_drain(&rig.exec);
    cr_assert(!message_store_load(rig.store).busy, "who waits shall hear that there is no room");
    cr_assert_eq(message_store_put(rig.store, &m, 1, rig.now_ms, &out), PUT_NO_ROOM);
    rig.fail_op = RIG_NONE;
}

Test(store_put, what_is_too_large_is_refused_and_leaves_nothing)
{
    char body[9000], props[40000];
    memset(body, 'x', sizeof body);
    memset(props, 'x', sizeof props);
    struct put_result out;
    struct message m = rig_message("t", 0, "a");
    m.body = slice_make(body, 4001);
    cr_expect_eq(message_store_put(rig.store, &m, 1, 1, &out), PUT_TOO_LARGE);
    m.body = slice_make(body, 4000);
    m.properties = slice_make(props, 32768);
    cr_expect_eq(message_store_put(rig.store, &m, 1, 1, &out), PUT_TOO_LARGE);
    m.properties = slice_make(props, 8192 - 8 - 92 - 4000 + 1);
    cr_expect_eq(message_store_put(rig.store, &m, 1, 1, &out), PUT_TOO_LARGE, "larger than a file");
    m.properties = slice_make(props, 8192 - 8 - 92 - 4000);
    cr_expect_eq(message_store_put(rig.store, &m, 1, 1, &out), PUT_OK);
    message_store_turn(rig.store, 1);
    cr_expect_eq(out.queue_off, 0);
    cr_expect_eq(out.phys_off, 0);
}

Test(store_put, transaction_records_without_a_unit_have_queue_offset_0)
{
    rig_put(&rig, "t", 0, "a");
    static const int32_t flags[] = {SYS_TRAN_PREPARED, SYS_TRAN_ROLLBACK};
    for (int i = 0; i < 2; i++) {
        struct message m = rig_message("t", 0, "b");
        struct put_result out;
        m.sys_flag = flags[i];
        cr_assert_eq(message_store_put(rig.store, &m, 1, rig.now_ms, &out), PUT_OK);
        message_store_turn(rig.store, rig.now_ms);
        cr_expect_eq(out.queue_off, 0);
        cr_expect_eq(message_store_max_offset(rig.store, SLICE_LIT("t"), 0), 1);
    }
    cr_expect_eq(rig_put(&rig, "t", 0, "c").queue_off, 1);
    cr_expect_eq(rig.n_arrived, 2);
}

Test(store_put, the_schedule_topics_unit_carries_the_due_time)
{
    struct message m = rig_message("SCHEDULE_TOPIC_XXXX", 1, "b");
    struct put_result out;
    m.properties = SLICE_LIT("TAGS\1A\2DELAY\0012");
    cr_assert_eq(message_store_put(rig.store, &m, 1, rig.now_ms, &out), PUT_OK);
    message_store_turn(rig.store, rig.now_ms);
    cr_expect_eq(rig.last.tags_code, RIG_T0 + 5000);
    m.properties = SLICE_LIT("TAGS\1A\2DELAY\0019"); /* beyond the highest level */
    cr_assert_eq(message_store_put(rig.store, &m, 1, rig.now_ms, &out), PUT_OK);
    message_store_turn(rig.store, rig.now_ms);
    cr_expect_eq(rig.last.tags_code, RIG_T0 + 5000);
}

Test(store_put, one_write_per_turn_and_one_sync_for_all_that_was_written)
{
    rig_settle(&rig);
    rig_put(&rig, "t", 0, "warm up"); /* the first after a pause is synced at once */
    sim_exec_drain(&rig.exec);
    uint64_t writes = rig.ops[RIG_PWRITE], flushes;
    struct store_figures f;
    message_store_figures(rig.store, &f);
    flushes = f.flushes;
    for (int turn = 0; turn < 3; turn++) {
        for (int i = 0; i < 10; i++) {
            struct message m = rig_message("t", i, "x");
            struct put_result out;
            cr_assert_eq(message_store_put(rig.store, &m, 1, rig.now_ms, &out), PUT_OK);
        }
        message_store_turn(rig.store, rig.now_ms);
        cr_expect_eq(rig.ops[RIG_PWRITE], ++writes);
    }
    cr_expect_lt(rig.flushed, rig.written);
    rig.now_ms += 500;
    message_store_tick(rig.store, (struct store_now){rig.now_ms, rig.now_ms});
    cr_assert(sim_exec_run(&rig.exec, LANE_FLUSH));
    cr_assert(sim_exec_done(&rig.exec));
    message_store_figures(rig.store, &f);
    cr_expect_eq(f.flushes, flushes + 1);
    cr_expect_eq(rig.flushed, rig.written);
    cr_expect_eq(message_store_flushed(rig.store), rig.written);
}
