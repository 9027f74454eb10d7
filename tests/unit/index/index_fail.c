/* index_fail.c - the disk fails, memory is short, the power is cut: told once, nothing crashes, what can be kept is kept. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "broker/store/index_internal.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "tests/lib/rng.h"
#include "tests/lib/sim_exec.h"
#include "tests/unit/index/index_kit.h"

static const struct checkpoint none = {0, 0, 0, -1, -1, -1};

enum { SLOTS = 5, ENTRIES = 8, RECORDS = 20 };

static void quiet(void) { log_set_level(LOG_WARN); }

static void key_name(char *key, int i) { snprintf(key, 8, "k%d", i % 4); }

static void add_record(struct msg_index *x, int i)
{
    char key[8];
    key_name(key, i);
    add(x, key, NULL, 100 * i, T0 + 1000 * i);
}

/* All keys of records below `end` and at or above `from`, at their places, and no others. */
static void expect_all(struct msg_index *x, int from, int end, const char *what, uint64_t nth)
{
    for (int k = 0; k < 4; k++) {
        char want[512] = "", key[8];
        size_t at = 0;
        key_name(key, k);
        for (int i = end - 1; i >= from; i--)
            if (i % 4 == k)
                at += (size_t)snprintf(want + at, sizeof want - at, "%d ", 100 * i);
        cr_assert(eq(str, (char *)found_any(x, key), want), "%s %d of nth %llu", what, k, (unsigned long long)nth);
    }
}

Test(index_fail, every_failing_write_is_told_once_and_made_good, .init = quiet)
{
    const enum fake_op ops[] = {FAKE_PWRITE, FAKE_OPEN, FAKE_SET_SIZE};
    for (size_t o = 0; o < sizeof ops / sizeof *ops; o++) {
        bool hit = true;
        for (uint64_t nth = 1; hit; nth++) {
            struct fake_disk *d = fake_disk_new(nth);
            struct sim_exec exec;
            struct said said;
            sim_exec_init(&exec, nth);
            struct msg_index *x = open_index(d, &exec.store, SLOTS, ENTRIES);
            said_start(&said);
            fake_disk_fail(d, ops[o], nth, -ENOSPC, false);
            for (int i = 0; i < RECORDS; i++) {
                add_record(x, i);
                msg_index_tick(x, T0 + 1000 * i);
                sim_exec_drain(&exec);
            }
            hit = fake_disk_did_fail(d);
            fake_disk_fail(d, ops[o], 0, 0, false);
            said_stop();
            cr_expect(eq(int, said.errors, hit ? 1 : 0), "%s %llu: %s", fake_op_name(ops[o]), (unsigned long long)nth, said.last);
            if (hit)
                cr_expect(not(zero(ptr, strstr(said.last, "No space left"))), "%s", said.last);
            expect_all(x, 0, RECORDS, "in memory and files", nth);
            cr_expect(not(msg_index_failed(x)));
            for (int i = 0; i < 2; i++) { /* the flight again, then what waits */
                msg_index_tick(x, T0 + 100000 + 1000 * i);
                sim_exec_drain(&exec);
            }
            cr_expect(eq(u64, msg_index_reached(x), 100 * (RECORDS - 1) + 10));
            msg_index_close(x);
            x = open_index(d, NULL, SLOTS, ENTRIES);
            expect_all(x, 0, RECORDS, "after a restart", nth);
            msg_index_close(x);
            cr_expect(eq(int, fake_disk_open_files(d), 0));
            fake_disk_free(d);
        }
    }
}

Test(index_fail, a_disk_that_stays_bad_stops_the_index_when_the_list_is_full, .init = quiet, .timeout = 60)
{
    struct fake_disk *d = fake_disk_new(1);
    struct sim_exec exec;
    struct said said;
    sim_exec_init(&exec, 1);
    struct msg_index *x = open_index(d, &exec.store, 1000, 500000);
    for (int i = 0; i < RECORDS; i++)
        add_record(x, i);
    msg_index_tick(x, T0);
    sim_exec_drain(&exec);
    said_start(&said);
    fake_disk_fail(d, FAKE_PWRITE, 1, -EIO, true);
    const int64_t limit = 2 * INDEX_WAITING_MAX + 10;
    for (int64_t i = RECORDS; i < limit; i++) {
        add(x, "z", NULL, 100 * i, T0 + i);
        if (i % 10000 == 0) {
            msg_index_tick(x, T0 + 10 * i);
            sim_exec_drain(&exec);
        }
    }
    said_stop();
    cr_expect(eq(int, said.errors, 2), "cannot be written; then: no more. last: %s", said.last);
    cr_expect(msg_index_failed(x));
    cr_expect(eq(u64, msg_index_reached(x), 100 * RECORDS), "the first key that is in no file");
    expect_all(x, 0, RECORDS, "from files", 0);
    cr_expect(ne(str, (char *)found_any(x, "z"), ""), "from memory");
    said_start(&said);
    msg_index_tick(x, T0 + 1000 * limit);
    sim_exec_drain(&exec);
    msg_index_close(x);
    said_stop();
    cr_expect(zero(int, said.errors), "%s", said.last);
    fake_disk_fail(d, FAKE_PWRITE, 0, 0, false);
    x = open_index(d, NULL, 1000, 500000);
    expect_all(x, 0, RECORDS, "after a restart", 0);
    cr_expect(eq(u64, msg_index_reached(x), 100 * (RECORDS - 1)));
    msg_index_close(x);
    fake_disk_free(d);
}

Test(index_fail, no_key_is_lost_when_works_lag_behind, .init = quiet, .timeout = 60)
{
    struct fake_disk *d = fake_disk_new(1);
    struct sim_exec exec;
    sim_exec_init(&exec, 1);
    struct msg_index *x = open_index(d, &exec.store, 1000, 500000);
    const int64_t n = 3 * INDEX_WAITING_MAX;
    msg_index_tick(x, T0);
    for (int64_t i = 0; i < n; i++) /* no work runs; the full list is written here */
        add(x, i % 10007 == 0 ? "rare" : "z", NULL, i, T0);
    cr_expect(eq(uint, exec.submitted, 1));
    for (int pass = 0; pass < 2; pass++) {
        int64_t places[64], last_ms, last_phys;
        uint32_t got = 0;
        msg_index_find(x, SLICE_LIT("T"), SLICE_LIT("rare"), 64, 0, INT64_MAX, places, &got, &last_ms, &last_phys);
        cr_assert(eq(u32, got, (n - 1) / 10007 + 1));
        for (uint32_t i = 0; i < got; i++)
            cr_assert(eq(i64, places[i], (int64_t)(got - 1 - i) * 10007));
        sim_exec_drain(&exec);
        msg_index_tick(x, T0 + 1000);
        sim_exec_drain(&exec);
    }
    cr_expect(eq(u64, msg_index_reached(x), (uint64_t)n + 9));
    msg_index_close(x);
    fake_disk_free(d);
}

Test(index_fail, a_failed_sync_is_final_and_told_once, .init = quiet)
{
    struct fake_disk *d = fake_disk_new(1);
    struct said said;
    struct msg_index *x = open_index(d, NULL, SLOTS, 100);
    msg_index_tick(x, T0);
    add_record(x, 0);
    msg_index_tick(x, T0 + INDEX_SYNC_MS);
    cr_expect(eq(i64, msg_index_synced_ms(x), T0));
    add_record(x, 1);
    fake_disk_fail(d, FAKE_DATASYNC, 1, -EIO, false);
    said_start(&said);
    msg_index_tick(x, T0 + 2 * INDEX_SYNC_MS);
    add_record(x, 2);
    msg_index_tick(x, T0 + 3 * INDEX_SYNC_MS);
    msg_index_close(x);
    said_stop();
    cr_expect(eq(int, said.errors, 1), "%s", said.last);
    cr_expect(not(zero(ptr, strstr(said.last, "sync index/"))), "%s", said.last);
    fake_disk_free(d);
}

Test(index_fail, a_failed_read_is_told_and_other_files_are_searched, .init = quiet)
{
    struct fake_disk *d = fake_disk_new(1);
    struct said said;
    struct msg_index *x = open_index(d, NULL, SLOTS, 3);
    for (int i = 0; i < 6; i++)
        add(x, "a", NULL, 100 * i, T0 + i);
    msg_index_tick(x, T0);
    int64_t places[64], last_ms, last_phys;
    uint32_t n = 0;
    said_start(&said);
    for (int i = 0; i < 3; i++) {
        fake_disk_fail(d, FAKE_OPEN, 2, -EIO, false);
        cr_expect(eq(int, msg_index_find(x, SLICE_LIT("T"), SLICE_LIT("a"), 64, 0, INT64_MAX, places, &n, &last_ms, &last_phys), MQ_EIO));
        cr_assert(eq(u32, n, 4));
        cr_expect(all(eq(i64, places[1], 400), eq(i64, places[2], 100)));
    }
    said_stop();
    cr_expect(eq(int, said.warnings, 1), "a peer can trigger it: %s", said.last);
    msg_index_close(x);
    fake_disk_free(d);
}

Test(index_fail, every_allocation_may_fail, .init = quiet)
{
    struct fake_disk *d = fake_disk_new(1);
    bool through = false;
    for (uint64_t nth = 1; !through; nth++) {
        struct msg_index *x = NULL;
        struct fault why = {0};
        mem_fail_after(nth);
        enum mq_err err = msg_index_open(fake_disk_io(d), NULL, SLOTS, ENTRIES, true, &none, &x, &why);
        if (err == MQ_OK) {
            struct said said;
            said_start(&said);
            for (int i = 0; i < RECORDS; i++) {
                add_record(x, i);
                msg_index_tick(x, T0 + 10000 * i);
            }
            mem_fail_after(0);
            expect_all(x, 0, RECORDS, "allocation", nth);
            msg_index_tick(x, T0 + 1000000);
            said_stop();
            cr_expect(le(int, said.errors, 1), "%s", said.last);
            expect_all(x, 0, RECORDS, "allocation", nth);
            through = said.errors == 0;
            msg_index_truncate(x, 0);
            msg_index_close(x);
        }
        mem_fail_after(0);
        cr_assert(eq(int, fake_disk_open_files(d), 0));
        cr_assert(lt(u64, nth, 100));
        if (err != MQ_OK)
            cr_expect(eq(int, err, MQ_ENOMEM));
    }
    fake_disk_free(d);
}

Test(index_fail, geometry_and_sizes_are_checked, .init = quiet)
{
    struct fake_disk *d = fake_disk_new(1);
    struct msg_index *x = NULL;
    struct fault why = {0};
    const uint32_t bad[][2] = {{0, 10}, {10, 0}, {10, 1}, {0x80000000u, 10}, {10, 0x80000000u}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect(eq(int, msg_index_open(fake_disk_io(d), NULL, bad[i][0], bad[i][1], true, &none, &x, &why), MQ_EINVAL));
    x = open_index(d, NULL, 10, 10);
    add_record(x, 1);
    msg_index_close(x);
    cr_expect(eq(int, msg_index_open(fake_disk_io(d), NULL, 10, 11, true, &none, &x, &why), MQ_ECORRUPT));
    cr_expect(not(zero(ptr, strstr(why.what, "has 280 bytes instead of 300"))), "%s", why.what);
    struct said said;
    said_start(&said);
    fake_disk_damage(d, "index/readme", 0, "x", 1);
    fake_disk_damage(d, "index/20230000000000000", 0, "", 0);
    x = open_index(d, NULL, 10, 10);
    said_stop();
    cr_expect(eq(int, said.warnings, 1), "what is not ours is left alone: %s", said.last);
    cr_expect(eq(str, (char *)found_any(x, "k1"), "100 "));
    cr_expect(eq(int, file_count(d), 2), "a file that was made but never sized is gone: %s", file_names(d));
    msg_index_close(x);
    fake_disk_free(d);
}

/* ---- unclean stops ---- */

/* Adds records 0.. on a disk that writes back by itself, cuts, opens, adds again from where the index says, looks for all. */
static void crash(uint64_t seed, enum fake_cut how)
{
    struct rng rng = rng_of(seed);
    struct fake_disk *d = fake_disk_new(seed);
    struct sim_exec exec;
    uint32_t entries = rng_one_in(&rng, 2) ? 12 : 200;
    sim_exec_init(&exec, seed);
    struct msg_index *x = open_index(d, &exec.store, 300, entries);
    fake_disk_writeback(d, 3);
    int n = 1 + (int)rng_below(&rng, 60);
    for (int i = 0; i < n; i++) {
        add_record(x, i);
        if (rng_one_in(&rng, 3))
            msg_index_tick(x, T0 + 4000 * i);
        if (rng_one_in(&rng, 3))
            sim_exec_step(&exec);
    }
    int64_t checkpoint = msg_index_synced_ms(x);
    struct fake_disk *after = fake_disk_clone(d, seed);
    fake_disk_cut(after, how, seed);
    sim_exec_drain(&exec);
    msg_index_close(x); /* the dead process: whatever it does now is not on `after` */
    x = open_after_crash(after, 300, entries, checkpoint);
    uint64_t from = msg_index_reached(x);
    cr_assert(le(i64, checkpoint, T0 + (int64_t)from * 10), "what was synced is still there: seed %llu %s", (unsigned long long)seed, fake_cut_name(how));
    for (int i = (int)(from / 100); i < n + 5; i++)
        add_record(x, i);
    for (int pass = 0; pass < 2; pass++) {
        expect_all(x, 0, n + 5, fake_cut_name(how), seed);
        msg_index_tick(x, T0 + 1000000);
    }
    msg_index_close(x);
    fake_disk_free(after);
    fake_disk_free(d);
}

Test(index_fail, after_every_cut_the_index_says_where_to_go_on_and_nothing_is_lost, .init = quiet, .timeout = 120)
{
    for (uint64_t i = 1; i <= 100; i++) {
        crash(i, CUT_KILL);
        crash(i, CUT_LOSE);
        crash(i, CUT_RANDOM);
    }
}

Test(index_fail, a_slot_without_its_entry_does_not_hide_older_ones, .init = quiet)
{
    struct fake_disk *d = fake_disk_new(1);
    struct msg_index *x = open_index(d, NULL, 1, 100);
    msg_index_tick(x, T0);
    for (int i = 0; i < 8; i++)
        add_record(x, i);
    msg_index_close(x);
    char path[64];
    snprintf(path, sizeof path, "%.23s", file_names(d));
    fake_disk_damage(d, path, 40, "\0\0\0\x0b", 4);                                       /* the slot: entry 11 */
    fake_disk_damage(d, path, 40 + 4 + 11 * 20, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20); /* which is not there */
    x = open_after_crash(d, 1, 100, T0 + 100000);
    expect_all(x, 0, 8, "repaired", 0);
    msg_index_close(x);
    fake_disk_free(d);
}

/* A batch whose entries and slots reached the medium, but not its header. */
Test(index_fail, entries_that_no_header_counted_do_not_stand_for_later_ones, .init = quiet)
{
    struct fake_disk *d = fake_disk_new(1);
    struct msg_index *x = open_index(d, NULL, 5, 5000);
    char path[64];
    uint8_t header[40];
    uint64_t n = 0;
    for (int i = 0; i < 8; i++)
        add_record(x, i);
    msg_index_close(x);
    snprintf(path, sizeof path, "%.23s", file_names(d));
    memcpy(header, fake_disk_bytes(d, path, &n), sizeof header);
    x = open_index(d, NULL, 5, 5000);
    for (int i = 8; i < 4000; i++)
        add_record(x, i);
    msg_index_close(x);
    fake_disk_damage(d, path, 0, header, sizeof header);
    x = open_after_crash(d, 5, 5000, T0 + 100000);
    const uint8_t *bytes = fake_disk_bytes(d, path, &n);
    for (uint64_t i = 40 + 5 * 4 + 9 * 20; i < n; i++)
        cr_assert(eq(u8, bytes[i], 0), "byte %d", (int)i);
    expect_all(x, 0, 8, "counted", 0);
    msg_index_close(x);
    fake_disk_free(d);
}

Test(index_fail, a_cut_file_is_as_if_it_had_never_been_longer, .init = quiet)
{
    for (int cut = 1; cut < 20; cut++) {
        struct fake_disk *longer = fake_disk_new(1), *never = fake_disk_new(1);
        struct msg_index *x = open_index(longer, NULL, 5, 100), *y = open_index(never, NULL, 5, 100);
        for (int i = 0; i < 20; i++) {
            add_record(x, i);
            if (i < cut)
                add_record(y, i);
        }
        msg_index_tick(x, T0);
        msg_index_truncate(x, (uint64_t)cut * 100 - 99);
        cr_expect(le(u64, msg_index_reached(x), (uint64_t)cut * 100 - 99));
        msg_index_close(x);
        msg_index_close(y);
        char path[64], other[64];
        snprintf(path, sizeof path, "%.23s", file_names(longer));
        snprintf(other, sizeof other, "%.23s", file_names(never));
        uint64_t n = 0, m = 0;
        const uint8_t *a = fake_disk_bytes(longer, path, &n), *b = fake_disk_bytes(never, other, &m);
        cr_assert(eq(u64, n, m));
        for (uint64_t i = 0; i < n; i++)
            cr_assert(eq(u8, a[i], b[i]), "byte %d, cut %d", (int)i, cut);
        fake_disk_free(longer);
        fake_disk_free(never);
    }
}

Test(index_fail, expired_files_go_by_a_work_and_the_last_never, .init = quiet)
{
    struct fake_disk *d = fake_disk_new(1);
    struct sim_exec exec;
    struct said said;
    sim_exec_init(&exec, 1);
    struct msg_index *x = open_index(d, &exec.store, SLOTS, 3);
    for (int i = 0; i < 8; i++)
        add_record(x, i);
    msg_index_tick(x, T0);
    sim_exec_drain(&exec);
    cr_assert(eq(int, file_count(d), 4));
    msg_index_min_phys(x, 301); /* the first two end at 100 and 300 */
    cr_expect(eq(int, file_count(d), 4));
    fake_disk_fail(d, FAKE_UNLINK, 1, -EIO, false);
    said_start(&said);
    msg_index_tick(x, T0 + 1);
    sim_exec_drain(&exec);
    said_stop();
    cr_expect(eq(int, said.warnings, 1), "%s", said.last);
    cr_expect(eq(int, file_count(d), 3));
    expect_all(x, 4, 8, "expired", 0);
    msg_index_min_phys(x, 1000000);
    msg_index_close(x);
    cr_expect(eq(int, file_count(d), 2), "the last one, and the one that could not be unlinked: %s", file_names(d));
    fake_disk_free(d);
}
