/* store_reopen.c - stops in order, kills, torn ends, damage, foreign files. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/store/checkpoint.h"
#include "common/base/clock.h"
#include "tests/unit/store/rig.h"

static struct rig rig;
static void setup(void) { rig_new(&rig); }
static void teardown(void) { rig_end(&rig); }
TestSuite(store_reopen, .init = setup, .fini = teardown);

#define LOG0 "commitlog/00000000000000000000"
static const struct slice T = {(const uint8_t *)"t", 1};

static bool there(const char *path)
{
    char full[256];
    rig_path(&rig, path, full);
    return access(full, F_OK) == 0;
}

/* The body of t's queue 0 at off. */
static const char *body_at(int64_t off)
{
    static char text[4001];
    struct get_request g = {.topic = T, .queue_off = off, .max_msgs = 1, .max_bytes = 1, .may_block = true};
    struct get_result out;
    struct buf b = {0};
    struct message m;
    text[0] = 0;
    message_store_get(rig.store, &g, &b, &out);
    if (out.status == GET_FOUND && message_decode(buf_view(&b), true, &m) == MQ_OK && m.queue_off == off)
        slice_copy(m.body, text, sizeof text);
    buf_free(&b);
    return text;
}

static void put_numbers(int from, int to)
{
    char text[16];
    for (int i = from; i < to; i++) {
        snprintf(text, sizeof text, "%d", i);
        cr_assert_eq(rig_put(&rig, "t", 0, text).queue_off, i);
        if (i % 3 == 0)
            rig_put(&rig, "other", i % 2, text);
    }
}

static void expect_numbers(int n)
{
    char text[16];
    cr_expect_eq(message_store_max_offset(rig.store, T, 0), n);
    for (int i = 0; i < n; i++) {
        snprintf(text, sizeof text, "%d", i);
        cr_expect_str_eq(body_at(i), text);
    }
}

Test(store_reopen, after_a_stop_in_order_all_is_there_and_counting_goes_on)
{
    rig_must_open(&rig);
    cr_expect(there("abort"));
    size_t n;
    uint8_t *lock = rig_file(&rig, "lock", &n);
    cr_expect(n == 4 && memcmp(lock, "lock", 4) == 0);
    free(lock);
    put_numbers(0, 300);
    uint64_t end = rig.written;
    rig_close(&rig);
    cr_expect_not(there("abort"));
    uint8_t *c = rig_file(&rig, "checkpoint", &n);
    static const uint8_t t0[8] = {0, 0, 0, 0, 0, 15, 0x42, 0x40};
    cr_expect_eq(n, 4096);
    cr_expect_arr_eq(c, t0, 8);
    cr_expect_arr_eq(c + 8, t0, 8);
    free(c);
    rig_must_open(&rig);
    struct store_figures f;
    message_store_figures(rig.store, &f);
    cr_expect_eq(f.max_phys_off, end);
    cr_expect_eq(f.flushed_off, end);
    cr_expect_eq(f.earliest_store_ms, RIG_T0);
    expect_numbers(300);
    put_numbers(300, 310);
    expect_numbers(310);
}

#define QUEUE0 "consumequeue/t/0/00000000000000000000"
#define OTHER0 "consumequeue/other/0/00000000000000000000"

static int64_t later(int64_t ms) /* when the store wants to be called again */
{
    int64_t due = 0;
    rig.now_ms += ms;
    for (int i = 0; i < 3; i++) {
        due = message_store_tick(rig.store, (struct store_now){rig.now_ms, rig.now_ms});
        sim_exec_drain(&rig.exec);
    }
    return due;
}

static void open_with_few_waiting(void)
{
    rig.cfg.flush_queue_least_bytes = 20 * 5;
    rig.cfg.flush_queue_thorough_ms = 60000;
    rig_must_open(&rig);
}

Test(store_reopen, few_units_wait_for_a_thorough_round)
{
    open_with_few_waiting();
    put_numbers(0, 3);
    later(2000);
    cr_expect_not(there(QUEUE0), "not worth a sync");
    int64_t due = later(2000);
    cr_expect_geq(due, 5000, "and nobody is woken to find that out: %lld", (long long)due); /* retention wants to look before that round */
    put_numbers(3, 6);
    later(2000);
    cr_expect(there(QUEUE0), "six are");
    cr_expect_not(there(OTHER0));
    later(60000);
    cr_expect(there(OTHER0), "it is time");
    put_numbers(6, 7);
    rig_close(&rig);
    rig_must_open(&rig);
    expect_numbers(7);
}

Test(store_reopen, what_a_recovery_left_to_the_rounds_does_not_wait)
{
    open_with_few_waiting();
    put_numbers(0, 3);
    later(2000);
    rig_kill(&rig);
    rig_must_open(&rig);
    expect_numbers(3);
    cr_expect_not(there(QUEUE0));
    later(2000);
    cr_expect(there(QUEUE0) && there(OTHER0));
    put_numbers(3, 5);
    later(2000);
    rig_kill(&rig); /* two units in memory only */
    rig_must_open(&rig);
    expect_numbers(5);
}

/* A file of the log may go when the units of all its records are safe. */
Test(store_reopen, a_full_file_of_the_log_brings_a_thorough_round)
{
    open_with_few_waiting();
    rig_put(&rig, "other", 0, "0");
    later(2000);
    cr_expect_not(there(OTHER0));
    for (int i = 0; rig.written < rig.cfg.commit_log_file_size; i++)
        rig_put(&rig, "t", i % 100, "of a hundred queues, so that none of them has much");
    later(2000);
    cr_expect(there(OTHER0));
    message_store_clean_now(rig.store, (struct store_now){clock_wall_ms() + rig.cfg.reserved_ms + 60000, rig.now_ms}); /* files have the real time */
    sim_exec_drain(&rig.exec);
    cr_expect_not(there(LOG0), "and so it may go");
}

Test(store_reopen, a_killed_process_loses_nothing_that_was_written)
{
    for (int settled = 0; settled < 2; settled++) {
        rig_end(&rig);
        rig_new(&rig);
        rig_must_open(&rig);
        put_numbers(0, 200);
        if (settled)
            rig_settle(&rig);
        rig.now_ms += 10000;
        put_numbers(200, 400);
        rig_kill(&rig);
        cr_assert(there("abort"));
        rig_must_open(&rig);
        expect_numbers(400);
        put_numbers(400, 403);
        rig_close(&rig);
        rig_must_open(&rig);
        expect_numbers(403);
    }
}

Test(store_reopen, a_last_record_torn_at_any_byte_is_cut_and_overwritten)
{
    rig_must_open(&rig);
    put_numbers(0, 3);
    struct put_result last = rig_put(&rig, "t", 0, "last");
    rig_settle(&rig);
    rig_kill(&rig);
    size_t n;
    uint8_t *good = rig_file(&rig, LOG0, &n), *bytes = malloc(n);
    for (uint32_t cut = 0; cut < last.size; cut++) {
        memcpy(bytes, good, n);
        memset(bytes + last.phys_off + cut, 0, last.size - cut);
        rig_patch(&rig, LOG0, 0, bytes, n);
            bool whole = memcmp(bytes, good, n) == 0; /* the end of this record may be zeros itself */
        rig_must_open(&rig);
        cr_assert_eq(message_store_max_offset(rig.store, T, 0), whole ? 4 : 3, "cut at %u", cut);
        struct put_result again = rig_put(&rig, "t", 0, "x");
        cr_assert_eq(again.phys_off, last.phys_off + (whole ? last.size : 0), "cut at %u", cut);
        rig_kill(&rig);
        free(bytes);
        bytes = rig_file(&rig, LOG0, &n);
        for (size_t i = (size_t)again.phys_off + again.size; i < n; i++)
            cr_assert_eq(bytes[i], 0, "cut at %u: stale byte at %zu", cut, i);
    }
    free(good);
    free(bytes);
}

Test(store_reopen, a_flipped_bit_in_the_last_body_is_found_by_its_crc)
{
    rig_must_open(&rig);
    put_numbers(0, 3);
    struct put_result last = rig_put(&rig, "t", 0, "last");
    rig_settle(&rig);
    rig_kill(&rig);
    rig_patch(&rig, LOG0, (uint64_t)last.phys_off + 88, "L", 1);
    rig_must_open(&rig);
    expect_numbers(3);
}

Test(store_reopen, damage_before_records_that_were_safe_stops_the_start_and_is_named)
{
    struct fault why;
    rig_must_open(&rig);
    put_numbers(0, 3);
    struct put_result hit = rig_put(&rig, "t", 0, "3");
    put_numbers(4, 8);
    for (int clean = 0; clean < 2; clean++) {
        rig.now_ms += 10000;
        if (clean)
            rig_put(&rig, "u", 0, "later");
        rig_settle(&rig);
        rig.now_ms += 10000;
        rig_put(&rig, "u", 0, "later");
        rig_settle(&rig);
        if (clean)
            rig_close(&rig);
        else
            rig_kill(&rig);
        rig_patch(&rig, LOG0, (uint64_t)hit.phys_off + 88, "X", 1);
        cr_assert_eq(rig_open(&rig, &why), MQ_ECORRUPT);
        char place[64];
        snprintf(place, sizeof place, "%020d is damaged at offset %lld", 0, (long long)hit.phys_off);
        cr_expect(strstr(why.what, place) != NULL, "%s", why.what);
        rig_patch(&rig, LOG0, (uint64_t)hit.phys_off + 88, "3", 1);
        rig_must_open(&rig);
        expect_numbers(8);
    }
}

Test(store_reopen, records_behind_damage_that_nobody_vouched_for_are_given_up)
{
    rig_must_open(&rig);
    put_numbers(0, 3);
    struct put_result hit = rig_put(&rig, "t", 0, "3");
    rig_put(&rig, "t", 0, "4"); /* in the same ms as all before: the checkpoint vouches for what is older only */
    rig_kill(&rig);
    rig_patch(&rig, LOG0, (uint64_t)hit.phys_off, "\0\0\0\0\0\0\0\0", 8);
    rig_must_open(&rig);
    expect_numbers(3);
    put_numbers(3, 5);
    rig_kill(&rig);
    rig_must_open(&rig);
    expect_numbers(5);
}

Test(store_reopen, queues_that_are_gone_are_filled_again)
{
    char cmd[200];
    rig_must_open(&rig);
    put_numbers(0, 250);
    rig_close(&rig);
    snprintf(cmd, sizeof cmd, "rm -rf %s/consumequeue %s/index", rig.root, rig.root);
    cr_assert_eq(system(cmd), 0);
    rig_must_open(&rig);
    expect_numbers(250);
}

Test(store_reopen, a_queue_that_lost_its_last_units_gets_them_from_the_log)
{
    rig_must_open(&rig);
    put_numbers(0, 50);
    rig_close(&rig);
    static const uint8_t zeros[20 * 5];
    rig_patch(&rig, "consumequeue/t/0/00000000000000000000", 45 * 20, zeros, sizeof zeros);
    rig_patch(&rig, "consumequeue/other/0/00000000000000000000", 0, zeros, sizeof zeros);
    rig_patch(&rig, "abort", 0, "", 0);
    char full[256];
    rig_path(&rig, "checkpoint", full);
    unlink(full);
    rig_must_open(&rig);
    expect_numbers(50);
    cr_expect_eq(message_store_max_offset(rig.store, SLICE_LIT("other"), 0), 9);
}

Test(store_reopen, a_second_store_on_the_directory_is_busy_in_this_process_and_in_another)
{
    struct message_store *second;
    struct fault why;
    rig_must_open(&rig);
    cr_expect_eq(message_store_open(&rig.cfg, &rig.io, &rig.exec.store, NULL, 1, &second, &why), MQ_EBUSY);
    pid_t pid = fork();
    if (pid == 0) {
        struct store_io io;
        int fd = -1;
        bool busy = store_io_posix_init(rig.root, &io, &why) == MQ_OK && store_lock(&io, &fd, &why) == MQ_EBUSY;
        _exit(busy ? 0 : 1);
    }
    int st;
    cr_assert_eq(waitpid(pid, &st, 0), pid);
    cr_expect(WIFEXITED(st) && WEXITSTATUS(st) == 0);
    rig_close(&rig);
    rig_must_open(&rig);
}

Test(store_reopen, files_of_a_wrong_size)
{
    struct fault why;
    char full[256];
    rig_must_open(&rig);
    put_numbers(0, 10);
    rig_close(&rig);
    rig_path(&rig, LOG0, full);
    cr_assert_eq(truncate(full, 8000), 0); /* a last file that is too short is made full */
    rig_must_open(&rig);
    expect_numbers(10);
    rig_close(&rig);
    size_t n;
    free(rig_file(&rig, LOG0, &n));
    cr_expect_eq(n, 8192);
    cr_assert_eq(truncate(full, 9000), 0);
    cr_expect_eq(rig_open(&rig, &why), MQ_ECORRUPT);
    cr_expect(strstr(why.what, "has 9000 bytes") != NULL, "%s", why.what);
    cr_assert_eq(truncate(full, 8192), 0);
    rig.cfg.commit_log_file_size = 4096;
    cr_expect_eq(rig_open(&rig, &why), MQ_ECORRUPT);
    rig.cfg.commit_log_file_size = 8192;
    rig_must_open(&rig);
    put_numbers(10, 250); /* three files and more */
    rig_close(&rig);
    rig_path(&rig, "commitlog/00000000000000008192", full);
    uint8_t *middle = rig_file(&rig, "commitlog/00000000000000008192", &n);
    cr_assert_eq(truncate(full, 8000), 0);
    cr_expect_eq(rig_open(&rig, &why), MQ_ECORRUPT, "only the last may be short");
    rig_patch(&rig, "commitlog/00000000000000008192", 0, middle, n);
    free(middle);
    rig_must_open(&rig);
    expect_numbers(250);
}

Test(store_reopen, stale_records_behind_the_end_are_not_taken_for_new_ones)
{
    /* as a Java broker leaves them: its end is cut in memory only */
    rig_must_open(&rig);
    put_numbers(0, 6);
    rig_close(&rig);
    size_t n;
    uint8_t *old = rig_file(&rig, LOG0, &n);
    struct put_result end;
    rig_must_open(&rig);
    rig.now_ms += 60000;
    end = rig_put(&rig, "t", 0, "a rather longer body, so that records no longer lie where they lay");
    rig_close(&rig);
    uint64_t at = (uint64_t)end.phys_off + end.size + 30;
    uint8_t stale[93];
    memcpy(stale, old, sizeof stale);
    free(old);
    stale[34] = (uint8_t)(at >> 8), stale[35] = (uint8_t)at; /* carries its own place, but is older */
    rig_patch(&rig, LOG0, at, stale, sizeof stale);
    rig_must_open(&rig);
    cr_expect_eq(message_store_max_offset(rig.store, T, 0), 7);
    rig_kill(&rig);
    uint8_t *now = rig_file(&rig, LOG0, &n);
    cr_expect_eq(now[at + 7], 0, "made zeros");
    free(now);
}

Test(store_reopen, an_empty_directory_opens_and_closes)
{
    rig_must_open(&rig);
    rig_close(&rig);
    rig_must_open(&rig);
    rig_kill(&rig);
    rig_must_open(&rig);
    put_numbers(0, 1);
    expect_numbers(1);
}

/* ---- reading ahead ---- */

enum { DATA_END = 1024 };
static struct {
    uint64_t from, to; /* what the disk was told to read, of the first file */
    unsigned calls;
    int fd;
    bool gap;
} ahead;

static void on_read_ahead(void *ctx, int fd, uint64_t off, uint64_t n)
{
    (void)ctx;
    if (ahead.calls > 0 && fd != ahead.fd)
        return;
    ahead.fd = fd;
    ahead.gap = ahead.gap || (ahead.calls > 0 && off != ahead.to);
    ahead.from = ahead.calls++ == 0 ? off : ahead.from;
    ahead.to = off + n;
}
static int64_t data_end_at(void *ctx, int fd, uint64_t from) { return (void)ctx, (void)fd, (void)from, DATA_END; }

Test(store_reopen, a_recovery_tells_the_disk_what_it_will_read_once_and_no_hole)
{
    rig_must_open(&rig);
    for (int i = 0; i < 3; i++)
        rig_put(&rig, "t", 0, "body");
    rig_kill(&rig);
    rig.io.read_ahead = on_read_ahead;
    rig.io.data_end = data_end_at;
    rig_must_open(&rig);
    cr_expect_str_eq(body_at(2), "body");
    cr_expect_eq(ahead.calls, 1, "%u", ahead.calls);
    cr_expect_eq(ahead.from, 0);
    cr_expect_eq(ahead.to, DATA_END, "%lu", (unsigned long)ahead.to);
    rig_kill(&rig);

    /* a file longer than what one hint names: all of it, piece by piece, before the end */
    rig.io.data_end = NULL;
    rig.cfg.commit_log_dir = "large";
    rig.cfg.commit_log_file_size = 24 << 20;
    rig.cfg.max_message_size = 4 << 20;
    rig_must_open(&rig);
    char *body = calloc(1, 3 << 20);
    memset(body, 'x', (3 << 20) - 1);
    for (int i = 0; i < 7; i++)
        rig_put(&rig, "t", 1, body);
    free(body);
    rig_kill(&rig);
    memset(&ahead, 0, sizeof ahead);
    rig_must_open(&rig);
    cr_expect_gt(ahead.calls, 1);
    cr_expect_not(ahead.gap);
    cr_expect_eq(ahead.from, 0);
    cr_expect_eq(ahead.to, 24 << 20, "%lu", (unsigned long)ahead.to);
    rig_close(&rig);
}
