/* retention_loop.c - rounds over a fake disk and a fake log: when, what, in which order, and what is said. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker/store/retention.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "tests/lib/fake_disk.h"
#include "tests/lib/sim_exec.h"

static const int64_t T0 = 1700000000000; /* 22 h UTC */
enum { MONO0 = 5000, FILE_SIZE = 100, DAY_MS = 24 * 3600 * 1000 };

struct bed {
    struct fake_disk *disk;
    struct sim_exec exec;
    struct retention *r;
    uint64_t min, end;  /* the log's files: [min, end) */
    int drops, errors, warnings, infos, deleted;
    char last[400];
};

static void hear(void *ctx, enum log_level level, const char *area, const char *text)
{
    struct bed *b = ctx;
    (void)area;
    b->errors += level == LOG_ERROR;
    b->warnings += level == LOG_WARN;
    b->deleted += strncmp(text, "log file deleted", 16) == 0;
    snprintf(b->last, sizeof b->last, "%s", text);
}

static size_t host_files(void *ctx, struct retention_file *to, size_t max)
{
    struct bed *b = ctx;
    size_t n = (size_t)((b->end - b->min) / FILE_SIZE);
    for (size_t i = 0; i < n && i < max; i++)
        to[i] = (struct retention_file){b->min + i * FILE_SIZE, FILE_SIZE, 0};
    return n;
}

static void host_path(void *ctx, uint64_t off, char *path)
{
    (void)ctx;
    snprintf(path, STORE_PATH_MAX, "commitlog/%020" PRIu64, off);
}

static void host_drop(void *ctx, uint64_t min_phys)
{
    struct bed *b = ctx;
    char path[STORE_PATH_MAX];
    uint64_t n;
    host_path(b, b->min, path);
    cr_expect(not(zero(ptr, fake_disk_bytes(b->disk, path, &n))), "the log forgets before files go");
    cr_assert(le(u64, min_phys, b->end - FILE_SIZE));
    b->min = min_phys;
    b->drops++;
}

static bool exists(struct bed *b, uint64_t off)
{
    char path[STORE_PATH_MAX];
    uint64_t n;
    host_path(b, off, path);
    return fake_disk_bytes(b->disk, path, &n) != NULL;
}

/* n files, `old` of them four days old; deletion hour `hour`. */
static struct bed *bed_new(int n, int old, int hour)
{
    struct bed *b = calloc(1, sizeof *b);
    setenv("TZ", "UTC", 1);
    tzset();
    cr_assert(not(zero(ptr, b)));
    b->disk = fake_disk_new(1);
    b->end = (uint64_t)n * FILE_SIZE;
    for (int i = 0; i < n; i++) {
        char path[STORE_PATH_MAX];
        fake_disk_clock(b->disk, T0 - (i < old ? 4 * (int64_t)DAY_MS : 0));
        host_path(b, (uint64_t)i * FILE_SIZE, path);
        fake_disk_damage(b->disk, path, 0, "record", 6);
        const struct store_io *io = fake_disk_io(b->disk);
        int fd = io->open(io->ctx, path, STORE_OPEN_WRITE);
        io->pwrite(io->ctx, fd, "record", 6, 0);
        io->close(io->ctx, fd);
    }
    fake_disk_room(b->disk, 500, 1000);
    log_set_sink(hear, b);
    log_set_level(LOG_INFO);
    sim_exec_init(&b->exec, 1);
    const struct retention_config cfg = {
        .rule = {.reserved_ms = 3 * (int64_t)DAY_MS, .delete_hours = 1u << hour, .clean_percent = 75, .force_percent = 85, .stop_percent = 90},
        .log_dir = "commitlog", .queue_dir = "consumequeue"};
    const struct retention_host host = {.ctx = b, .files = host_files, .path = host_path, .drop = host_drop};
    struct fault why;
    const struct store_io *io = fake_disk_io(b->disk);
    io->mkdir(io->ctx, "consumequeue");
    cr_assert(eq(int, retention_new(&cfg, io, &b->exec.store, &host, MONO0, &b->r, &why), MQ_OK));
    return b;
}

static int64_t wall_off; /* somebody set the wall clock by so much */

static struct store_now at(int64_t ms) { return (struct store_now){T0 + wall_off + ms, MONO0 + ms}; }

static int64_t tick(struct bed *b, int64_t ms, uint64_t max_phys)
{
    int64_t next = retention_tick(b->r, at(ms), max_phys);
    sim_exec_drain(&b->exec);
    return next;
}

static void bed_free(struct bed *b)
{
    retention_free(b->r);
    log_set_sink(NULL, NULL);
    fake_disk_free(b->disk);
    free(b);
}

Test(retention_loop, rounds_come_after_a_minute_and_then_every_ten_seconds)
{
    struct bed *b = bed_new(30, 25, 22);
    for (int64_t ms = 0; ms < 60000; ms += 1000) {
        cr_assert(gt(i64, tick(b, ms, 1), 0));
        cr_assert(zero(int, b->drops), "at %d", (int)ms);
    }
    cr_expect(eq(i64, tick(b, 60000, 1), 10000));
    cr_assert(eq(u64, b->min, 10 * FILE_SIZE));
    cr_expect(eq(int, b->deleted, 10));
    cr_expect(not(zero(ptr, strstr(b->last, "path=commitlog/00000000000000000900 reason=hour"))), "%s", b->last);
    cr_expect(not(exists(b, 9 * FILE_SIZE)));
    cr_expect(exists(b, 10 * FILE_SIZE));
    tick(b, 69999, 1);
    cr_expect(eq(u64, b->min, 10 * FILE_SIZE));
    tick(b, 70000, 1);
    tick(b, 80000, 1);
    tick(b, 90000, 1);
    cr_expect(eq(u64, b->min, 25 * FILE_SIZE), "what is not old stays");
    cr_expect(eq(int, b->drops, 3));
    bed_free(b);
}

Test(retention_loop, outside_the_hour_only_a_person_or_the_disk_lets_files_go)
{
    struct bed *b = bed_new(30, 25, 3);
    tick(b, 60000, 1);
    cr_expect(zero(int, b->drops));
    retention_clean_now(b->r, at(61000));
    sim_exec_drain(&b->exec);
    cr_expect(eq(u64, b->min, 10 * FILE_SIZE), "at once");
    cr_expect(not(zero(ptr, strstr(b->last, "reason=manual"))), "%s", b->last);
    for (int i = 1; i < 30; i++) {
        tick(b, 61000 + i * 10000, 1);
        if (i == 2)
            cr_expect(eq(u64, b->min, 25 * FILE_SIZE));
        if (i == 18)
            fake_disk_clock(b->disk, T0);
    }
    int drops = b->drops;
    bed_free(b);
    cr_expect(eq(int, drops, 3));

    b = bed_new(400, 399, 3); /* 20 rounds of 10 */
    retention_clean_now(b->r, at(0));
    sim_exec_drain(&b->exec);
    for (int i = 1; i < 40; i++)
        tick(b, i * 10000, 1);
    cr_expect(eq(int, b->drops, RETENTION_MANUAL_ROUNDS));
    bed_free(b);
}

Test(retention_loop, beyond_the_force_percentage_age_does_not_count_and_beyond_the_stop_nothing_is_taken)
{
    struct bed *b = bed_new(5, 0, 3);
    const char *path = NULL;
    unsigned percent = 0;
    fake_disk_room(b->disk, 200, 1000); /* 80 %: only old files */
    tick(b, 60000, 1);
    cr_expect(zero(int, b->drops));
    cr_expect(eq(int, b->warnings, 1), "%s", b->last);
    tick(b, 70000, 1);
    cr_expect(eq(int, b->warnings, 1), "not every ten seconds");
    fake_disk_room(b->disk, 95, 1000); /* 90.5 %, rounded up: 91 */
    tick(b, 80000, 1);
    cr_expect(eq(u64, b->min, 4 * FILE_SIZE), "all but the last");
    cr_expect(not(zero(ptr, strstr(b->last, "reason=forced"))), "%s", b->last);
    cr_expect(not(retention_writable(b->r, &path, &percent)));
    cr_expect(all(eq(str, (char *)path, "commitlog"), eq(uint, percent, 91)));
    cr_expect(eq(int, b->errors, 1));
    struct retention_disk disk;
    retention_disk(b->r, &disk);
    cr_expect(all(eq(u64, disk.free_bytes, 95), eq(u64, disk.total_bytes, 1000)));
    fake_disk_room(b->disk, 100, 1000); /* 90 */
    tick(b, 90000, 1);
    cr_expect(retention_writable(b->r, NULL, NULL));
    cr_expect(eq(int, b->errors, 1));
    bed_free(b);
}

Test(retention_loop, fast_growth_measures_the_disk_every_second)
{
    struct bed *b = bed_new(2, 0, 3);
    tick(b, 1000, 1000);
    tick(b, 10000, 1000); /* measured */
    fake_disk_room(b->disk, 50, 1000);
    tick(b, 11000, 1000 + (63u << 20));
    cr_expect(retention_writable(b->r, NULL, NULL), "less than 64 MiB");
    cr_expect(eq(i64, tick(b, 10999, 1000 + (64u << 20)), 1));
    cr_expect(retention_writable(b->r, NULL, NULL), "less than a second");
    tick(b, 11000, 1000 + (64u << 20));
    cr_expect(not(retention_writable(b->r, NULL, NULL)));
    bed_free(b);
}

Test(retention_loop, a_file_that_stays_is_tried_again_and_holds_back_others)
{
    struct bed *b = bed_new(30, 25, 22);
    fake_disk_fail(b->disk, FAKE_UNLINK, 4, -EACCES, true);
    tick(b, 60000, 1);
    cr_expect(eq(int, b->drops, 1));
    cr_expect(all(eq(int, b->deleted, 3), eq(int, b->errors, 1)));
    cr_expect(not(zero(ptr, strstr(b->last, "00000000000000000300"))), "%s", b->last);
    cr_expect(not(zero(ptr, strstr(b->last, "Permission denied"))), "%s", b->last);
    for (int i = 3; i < 10; i++)
        cr_expect(exists(b, (uint64_t)i * FILE_SIZE), "%d", i);
    tick(b, 70000, 1);
    cr_expect(eq(int, b->drops, 1), "no more until these are gone");
    fake_disk_fail(b->disk, FAKE_UNLINK, 0, 0, false);
    tick(b, 80000, 1);
    cr_expect(eq(int, b->deleted, 10));
    tick(b, 90000, 1);
    cr_expect(eq(int, b->drops, 2));
    bed_free(b);
}

Test(retention_loop, a_clock_that_is_set_moves_neither_rounds_nor_measures)
{
    static const int64_t jumps[] = {-5 * 3600000, -3 * (int64_t)DAY_MS, 5 * 3600000, 300 * (int64_t)DAY_MS};
    for (size_t i = 0; i < sizeof jumps / sizeof *jumps; i++) {
        wall_off = 0;
        struct bed *b = bed_new(5, 0, 3);
        tick(b, 60000, 1);
        fake_disk_room(b->disk, 50, 1000); /* too full from now on */
        wall_off = jumps[i];
        cr_expect(eq(i64, tick(b, 69000, 1), 1000), "jump %zu: the next round is as far away as before", i);
        cr_expect(retention_writable(b->r, NULL, NULL), "jump %zu", i);
        cr_expect(eq(i64, tick(b, 70000, 1), 10000), "jump %zu", i);
        cr_expect(not(retention_writable(b->r, NULL, NULL)), "jump %zu: the disk was looked at in time", i);
        bed_free(b);
    }
    wall_off = 0;
}

Test(retention_loop, ages_and_hours_go_by_the_wall_clock)
{
    struct bed *b = bed_new(30, 25, 22); /* the hour is now */
    wall_off = -5 * 3600000;
    tick(b, 60000, 1);
    cr_expect(zero(int, b->drops), "17 h: not the hour");
    wall_off = -2 * (int64_t)DAY_MS;
    tick(b, 70000, 1);
    cr_expect(zero(int, b->drops), "the hour, but files are two days old");
    wall_off = 0;
    tick(b, 80000, 1);
    cr_expect(eq(int, b->drops, 1), "set right again");
    bed_free(b);
}

static int no_room(void *ctx, const char *path, uint64_t *free_bytes, uint64_t *total_bytes)
{
    (void)ctx;
    (void)path;
    (void)free_bytes;
    (void)total_bytes;
    return -EACCES;
}

Test(retention_loop, a_partition_that_cannot_be_measured_is_told_once_and_stops_nothing)
{
    struct bed *b = bed_new(3, 3, 3);
    struct store_io io = *fake_disk_io(b->disk);
    io.room = no_room;
    const struct retention_config cfg = {.rule = {.reserved_ms = 1, .clean_percent = 75, .force_percent = 85, .stop_percent = 90},
                                         .log_dir = "commitlog", .queue_dir = "consumequeue"};
    const struct retention_host host = {.ctx = b, .files = host_files, .path = host_path, .drop = host_drop};
    struct retention *r = NULL;
    int warnings = b->warnings;
    cr_assert(eq(int, retention_new(&cfg, &io, NULL, &host, MONO0, &r, NULL), MQ_OK)); /* exec NULL: inline */
    cr_expect(eq(int, b->warnings - warnings, 2));
    for (int i = 0; i < 20; i++)
        retention_tick(r, at(i * 10000), 1);
    cr_expect(eq(int, b->warnings - warnings, 2));
    cr_expect(retention_writable(r, NULL, NULL));
    cr_expect(zero(int, b->drops));
    retention_clean_now(r, at(300000));
    cr_expect(all(eq(int, b->drops, 1), eq(int, b->deleted, 2)), "by hand");
    retention_free(r);
    mem_fail_after(1);
    struct fault why = {0};
    cr_expect(eq(int, retention_new(&cfg, &io, NULL, &host, MONO0, &r, &why), MQ_ENOMEM));
    mem_fail_after(0);
    bed_free(b);
}
