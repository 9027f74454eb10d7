/* log_map.c - windows of the log: when one is made, what is copied from it, when it goes; and a disk that fails under it. */
#include "broker/store/log_map.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/protocol/message.h"
#include "tests/unit/store/rig.h"

enum { KIB = 1024, MIB = 1024 * KIB, FILE_SIZE = 40 * MIB };

static char root[] = "/tmp/mq-log-map.XXXXXX";
static struct store_io disk, io;
static struct log_map map;
static int fd, maps, unmaps, asked, descriptors;
static size_t most; /* so much of a chunk is in memory, at most */
static bool no_map;
static struct rig rig;

static const uint8_t *io_map(void *ctx, int f, uint64_t off, size_t n)
{
    maps += !no_map;
    return no_map ? NULL : disk.map(ctx, f, off, n);
}
static void io_unmap(void *ctx, const uint8_t *p, size_t n)
{
    unmaps++;
    disk.unmap(ctx, p, n);
}
static size_t io_in_memory(void *ctx, const uint8_t *p, size_t n)
{
    asked++;
    size_t have = disk.in_memory(ctx, p, n);
    return have < most ? have : most;
}
static int fd_of(void *ctx, uint64_t off)
{
    (void)ctx, (void)off;
    descriptors++;
    return fd;
}
static uint8_t byte_at(uint64_t off) { return (uint8_t)(off * 7 + off / 4096); }

static void setup(void)
{
    cr_assert(mkdtemp(root) != NULL);
    cr_assert_eq(store_io_posix_init(root, &disk, NULL), MQ_OK);
    io = disk;
    io.map = io_map;
    io.unmap = io_unmap;
    io.in_memory = io_in_memory;
    fd = disk.open(disk.ctx, "f", STORE_OPEN_WRITE | STORE_OPEN_CREATE);
    cr_assert_geq(fd, 0);
    uint8_t *bytes = malloc(FILE_SIZE);
    for (uint64_t i = 0; i < FILE_SIZE; i++)
        bytes[i] = byte_at(i);
    cr_assert_eq(disk.pwrite(disk.ctx, fd, bytes, FILE_SIZE, 0), FILE_SIZE);
    free(bytes);
    most = SIZE_MAX;
    log_map_init(&map, &io, NULL, FILE_SIZE);
}
static void remove_files(void)
{
    char path[64];
    snprintf(path, sizeof path, "%s/f", root);
    unlink(path);
    rmdir(root);
}
static void teardown(void)
{
    mem_fail_after(0);
    log_map_fini(&map);
    cr_expect_eq(maps, unmaps, "every window is unmapped once");
    disk.close(disk.ctx, fd);
    store_io_posix_fini(&disk);
    remove_files();
}
TestSuite(log_map, .init = setup, .fini = teardown);

static int copy(uint64_t off, size_t n)
{
    static uint8_t to[200000];
    memset(to, 0xee, n);
    int r = log_map_copy(&map, to, n, off, fd_of, NULL);
    for (size_t i = 0; r == 0 && i < n; i++)
        cr_assert_eq(to[i], byte_at((off + i) % FILE_SIZE), "byte %zu of %zu at %llu", i, n, (unsigned long long)off);
    return r;
}
static void want(uint64_t off) /* as often as it takes */
{
    for (int i = 1; i < LOG_MAP_READS; i++)
        cr_assert_eq(copy(off, 100), -EAGAIN, "read %d", i);
    cr_assert_eq(copy(off, 100), 0);
}

Test(log_map, a_window_is_made_for_many_reads_and_not_for_few)
{
    want(5 * MIB);
    cr_expect_eq(maps, 1);
    cr_expect_eq(copy(0, 1), 0, "its first byte");
    cr_expect_eq(copy(LOG_WINDOW - 1, 1), 0, "its last");
    cr_expect_eq(copy(LOG_CHUNK - 5, 10), 0, "over two chunks");
    cr_expect_eq(copy(3, 150000), 0, "over three");
    cr_expect_eq(copy(LOG_WINDOW - 5, 10), -EAGAIN, "over its end");
    cr_expect_eq(copy(LOG_WINDOW, 100), -EAGAIN, "another window counts for itself");
    cr_expect_eq(copy(7, 0), -EAGAIN, "nothing");
    cr_expect_eq(descriptors, 1);
}

Test(log_map, the_last_window_of_a_file_ends_with_it_and_the_next_file_has_its_own)
{
    want(FILE_SIZE - 100);
    cr_expect_eq(copy(2 * LOG_WINDOW, 100), 0, "the window that is shorter than others");
    cr_expect_eq(copy(FILE_SIZE - 1, 2), -EAGAIN);
    want((uint64_t)FILE_SIZE + 5);
    cr_expect_eq(maps, 2);
}

Test(log_map, what_is_not_in_memory_is_left_to_a_call)
{
    most = 8192;
    for (int i = 0; i < LOG_MAP_READS; i++)
        cr_assert_eq(copy(8192, 1), -EAGAIN);
    cr_expect_eq(copy(8191, 1), 0);
    cr_expect_eq(copy(8191, 2), -EAGAIN);
    most = 12288;
    cr_expect_eq(copy(8191, 2), 0, "it is asked again when it was not there");
    int before = asked;
    cr_expect_eq(copy(0, 12288), 0);
    cr_expect_eq(asked, before, "and believed when it was");
    log_map_tick(&map, LOG_MAP_ASK_MS);
    most = 0;
    cr_expect_eq(copy(0, 1), -EAGAIN, "for a second");
}

Test(log_map, the_window_that_was_not_used_for_longest_gives_way)
{
    for (uint64_t i = 0; i < LOG_WINDOWS; i++)
        want(i * FILE_SIZE);
    cr_expect_eq(copy(0, 1), 0);
    want((uint64_t)LOG_WINDOWS * FILE_SIZE);
    cr_expect_eq(unmaps, 1);
    cr_expect_eq(log_map_windows(&map), (size_t)LOG_WINDOWS);
    cr_expect_eq(copy(0, 1), 0, "used just before");
    log_map_tick(&map, LOG_MAP_ASK_MS); /* reads count anew */
    cr_expect_eq(copy(FILE_SIZE, 1), -EAGAIN, "the oldest");
}

Test(log_map, a_window_that_gives_way_is_unmapped_by_a_reader_thread)
{
    struct sim_exec exec;
    sim_exec_init(&exec, 1);
    map.exec = &exec.store;
    for (uint64_t i = 0; i <= LOG_WINDOWS; i++)
        want(i * FILE_SIZE);
    cr_expect_eq(unmaps, 0, "not here");
    cr_expect_eq(log_map_windows(&map), (size_t)LOG_WINDOWS);
    log_map_tick(&map, LOG_MAP_ASK_MS); /* reads count anew */
    cr_expect_eq(copy(0, 1), -EAGAIN, "it is gone all the same");
    sim_exec_drain(&exec);
    cr_expect_eq(unmaps, 1);
    log_map_tick(&map, LOG_MAP_IDLE_MS);
    cr_expect_eq(log_map_windows(&map), 0u);
    cr_expect_eq(unmaps, 1);
    sim_exec_drain(&exec);
    cr_expect_eq(unmaps, 1 + LOG_WINDOWS);
    want(0);
    mem_fail_after(1);
    log_map_tick(&map, 3 * LOG_MAP_IDLE_MS);
    mem_fail_after(0);
    cr_expect_eq(unmaps, 2 + LOG_WINDOWS, "without memory for a work it is done at once");
}

Test(log_map, dropped_files_and_idle_windows_are_unmapped)
{
    want(0);
    want(FILE_SIZE);
    log_map_drop(&map, FILE_SIZE);
    cr_expect_eq(unmaps, 1);
    cr_expect_eq(copy(FILE_SIZE, 1), 0);
    log_map_tick(&map, LOG_MAP_IDLE_MS - 1);
    cr_expect_eq(unmaps, 1);
    cr_expect_eq(copy(FILE_SIZE, 1), 0, "a use");
    log_map_tick(&map, 2 * LOG_MAP_IDLE_MS - 2);
    cr_expect_eq(unmaps, 1);
    log_map_tick(&map, 3 * LOG_MAP_IDLE_MS);
    cr_expect_eq(unmaps, 2);
    cr_expect_eq(log_map_windows(&map), 0u);
    want(FILE_SIZE);
}

Test(log_map, without_memory_without_a_mapping_or_without_a_file_there_are_calls)
{
    for (int i = 1; i < LOG_MAP_READS; i++)
        copy(0, 1);
    mem_fail_after(1);
    cr_expect_eq(copy(0, 1), -EAGAIN);
    mem_fail_after(0);
    no_map = true;
    cr_expect_eq(copy(0, 1), -EAGAIN);
    int was = fd;
    no_map = false;
    fd = -EMFILE;
    cr_expect_eq(copy(0, 1), -EAGAIN);
    fd = was;
    cr_expect_eq(maps, 0);
    cr_expect_eq(copy(0, 1), 0);
    io.map = NULL;
    cr_expect_eq(copy(0, 1), -EAGAIN, "a disk that has no windows");
    io.map = io_map;
}

Test(log_map, what_was_cut_off_a_file_is_an_error_and_no_signal)
{
    want(MIB);
    cr_assert_eq(disk.set_size(disk.ctx, fd, MIB, false), 0);
    uint8_t to[8192];
    cr_expect_eq(disk.copy(disk.ctx, to, map.windows[0].p + 2 * MIB, sizeof to), -EIO);
    cr_expect_eq(disk.copy(disk.ctx, to, map.windows[0].p + MIB - 4096, sizeof to), -EIO, "half of it");
    cr_expect_eq(log_map_copy(&map, to, 100, MIB, fd_of, NULL), -EIO, "although it was in memory before");
    cr_expect_eq(copy(MIB - 4096, 4096), 0, "what is left");
}

Test(log_map, a_bus_error_elsewhere_ends_the_process, .signal = SIGBUS)
{
    want(MIB);
    cr_assert_eq(disk.set_size(disk.ctx, fd, MIB, false), 0);
    remove_files();
    cr_log_error("reached with %d", *(const volatile uint8_t *)(map.windows[0].p + 2 * MIB));
}

/* ---- the store with it ---- */

static void store_setup(void)
{
    rig_new(&rig);
    rig.cfg.commit_log_file_size = 16 * KIB;
    rig_must_open(&rig);
}
static void store_teardown(void) { rig_end(&rig); }
TestSuite(log_map_store, .init = store_setup, .fini = store_teardown);

enum { QUEUES = 4, EACH = 40 };
static void put_interleaved(void)
{
    for (int i = 0; i < QUEUES * EACH; i++) {
        char text[301];
        snprintf(text, sizeof text, "%0300d", i);
        rig_put(&rig, "t", i % QUEUES, text);
    }
    rig_settle(&rig);
}

static struct get_result get(int32_t queue_id, int64_t off, struct buf *body)
{
    struct get_request g = {.topic = SLICE_LIT("t"), .queue_id = queue_id, .queue_off = off, .max_msgs = 8, .max_bytes = 1 << 18};
    struct get_result out;
    buf_clear(body);
    message_store_get(rig.store, &g, body, &out);
    return out;
}

/* All of a queue, each body checked. */
static void consume(int32_t queue_id)
{
    struct buf body = {0};
    for (int64_t off = 0; off < EACH;) {
        struct get_result r = get(queue_id, off, &body);
        cr_assert_eq(r.status, GET_FOUND, "queue %d at %lld: %s", queue_id, (long long)off, get_status_name(r.status));
        for (struct slice rest = buf_view(&body); rest.n > 0; off++) {
            struct message m;
            char text[301];
            cr_assert_eq(message_decode(rest, true, &m), MQ_OK);
            snprintf(text, sizeof text, "%0300d", (int)off * QUEUES + queue_id);
            cr_assert(slice_is(m.body, text), "queue %d at %lld", queue_id, (long long)off);
            rest = slice_from(rest, m.size);
        }
        cr_assert_eq(off, r.next_off);
    }
    buf_free(&body);
}

Test(log_map_store, queues_that_interleave_are_read_by_few_calls)
{
    put_interleaved();
    uint64_t before = rig.ops[RIG_PREAD];
    for (int32_t q = 0; q < QUEUES; q++)
        consume(q);
    cr_expect_lt(rig.ops[RIG_PREAD] - before, (uint64_t)QUEUES * EACH / 8 * 2 + 6 * LOG_MAP_READS, "a call for units a pull, and what windows cost");
    before = rig.ops[RIG_PREAD];
    consume(1);
    cr_expect_leq(rig.ops[RIG_PREAD] - before, (uint64_t)EACH / 8 + 1, "units only");
}

Test(log_map_store, what_is_cold_is_warmed_and_what_fails_is_told)
{
    struct buf body = {0};
    put_interleaved();
    for (int i = 0; i < 3; i++)
        consume(0);
    rig.now_ms += 2 * LOG_MAP_ASK_MS;
    message_store_tick(rig.store, (struct store_now){rig.now_ms, rig.now_ms});
    rig.cold = true;
    cr_expect_eq(get(0, 0, &body).status, GET_COLD);
    rig.cold = false;
    cr_expect_eq(get(0, 0, &body).status, GET_FOUND);
    rig.copy_fails = true;
    cr_expect_eq(get(0, 0, &body).status, GET_FAILED);
    rig.copy_fails = false;
    consume(0);
    buf_free(&body);
}

Test(log_map_store, what_retention_took_is_neither_served_nor_held)
{
    struct buf body = {0};
    put_interleaved();
    for (int i = 0; i < 3; i++)
        for (int32_t q = 0; q < QUEUES; q++)
            consume(q);
    int64_t windows = rig.windows;
    cr_assert_gt(windows, 1);
    rig.now_ms = clock_wall_ms() + 100LL * 3600000;
    message_store_clean_now(rig.store, (struct store_now){rig.now_ms, rig.now_ms});
    for (int i = 0; i < 20; i++) {
        rig.now_ms += 20000;
        get(0, EACH - 8, &body); /* so that the rest is not idle */
        message_store_tick(rig.store, (struct store_now){rig.now_ms, rig.now_ms});
        sim_exec_drain(&rig.exec);
    }
    struct store_figures f;
    message_store_figures(rig.store, &f);
    cr_assert_geq(f.min_phys_off, (uint64_t)16 * KIB, "something expired");
    cr_expect_lt(rig.windows, windows);
    cr_expect_eq(get(0, 0, &body).status, GET_OFFSET_TOO_SMALL);
    struct cold_range cold;
    cr_expect_eq(message_store_at(rig.store, 0, true, &body, &cold), MQ_ENOTFOUND);
    rig_close(&rig);
    cr_expect_eq(rig.windows, 0, "a closed store holds none");
    buf_free(&body);
}
