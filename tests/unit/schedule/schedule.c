/* schedule.c - deliveries on a real store on a disk in memory: when, in which order, how often, and what stands in the way. */
#include "broker/schedule/schedule.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "broker/schedule/delay.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "tests/lib/fake_disk.h"
#include "tests/lib/sim_exec.h"

enum { T0 = 1700000000 };
static const int64_t delay_ms[] = {1000, 5000, 3600000};
static struct fake_disk *disk;
static struct sim_exec works;
static struct message_store *store;
static struct schedule *s;
static struct schedule_setup setup;
static int64_t wall, mono;
static uint64_t written;
static unsigned delivered;

/* ---- the rig ---- */
static void on_arrived(void *ctx, const struct arrival *a)
{
    (void)ctx;
    if (s && slice_is(a->topic, SCHEDULE_TOPIC))
        schedule_arrived(s, a->queue_id);
}
static void on_written(void *ctx, uint64_t off) { (void)ctx, written = off; }
static void on_flushed(void *ctx, uint64_t off)
{
    (void)ctx;
    if (s)
        schedule_flushed(s, off);
}
static void on_delivered(void *ctx, struct slice topic, uint32_t bytes)
{
    (void)ctx;
    cr_expect(topic.n > 0 && bytes > 0);
    delivered++;
}

static enum mq_err open_schedule(struct fault *why)
{
    struct config_file *file;
    cr_assert(config_file_new(fake_disk_io(disk), &works.store, "config/delayOffset.json", &file) == MQ_OK);
    setup = (struct schedule_setup){.store = store, .delay_ms = delay_ms, .n_levels = 3, .running = true, .delivered = on_delivered};
    return schedule_open(file, &setup, &s, why);
}

static void open_all(void)
{
    struct fault why = {0};
    const struct store_config cfg = {.commit_log_dir = "commitlog", .commit_log_file_size = 1 << 22, .consume_queue_file_size = 2000, .max_message_size = 20000,
                                     .flush_interval_ms = 500, .flush_queue_interval_ms = 1000, .reserved_ms = 72LL * 3600000, .disk_clean_percent = 75,
                                     .disk_force_percent = 85, .disk_stop_percent = 90, .delay_levels = 3, .delay_level_ms = {1000, 5000, 3600000}};
    const struct store_listener listener = {.arrived = on_arrived, .written = on_written, .flushed = on_flushed};
    s = NULL;
    cr_assert(message_store_open(&cfg, fake_disk_io(disk), &works.store, &listener, mono, &store, &why) == MQ_OK, "%s", why.what);
    cr_assert(open_schedule(&why) == MQ_OK, "%s", why.what);
}

static void close_all(void)
{
    sim_exec_drain(&works);
    bool flushed = message_store_close(store, mono);
    schedule_close(s, flushed);
}

static void start(void)
{
    log_set_level(LOG_OFF);
    disk = fake_disk_new(1);
    fake_disk_writeback(disk, 0);
    fake_disk_room(disk, 60ull << 30, 100ull << 30);
    sim_exec_init(&works, 1);
    wall = T0 * 1000LL;
    mono = 5000;
    open_all();
}
static void stop(void)
{
    close_all();
    fake_disk_free(disk);
}
TestSuite(schedule, .init = start, .fini = stop);

static void write_turn(void)
{
    message_store_turn(store, mono);
    message_store_tick(store, (struct store_now){wall, mono});
}
/* Turns as the loop makes them, until nothing is due at this time. */
static unsigned turns(void)
{
    unsigned n = 0;
    write_turn();
    for (; schedule_due(s) <= mono; n++) {
        cr_assert(n < 5000, "it spins");
        schedule_run(s, wall, mono);
        write_turn();
        sim_exec_drain(&works);
    }
    sim_exec_drain(&works);
    return n;
}
static void pass(int64_t ms)
{
    wall += ms;
    mono += ms;
    turns();
}
static void put_text(const char *topic, int32_t queue_id, int32_t level, const char *body)
{
    struct arena arena = {0};
    struct put_result out;
    struct message m = {.topic = slice_str(topic), .queue_id = queue_id, .body = slice_str(body), .properties = SLICE_LIT("TAGS\1A"), .born_ms = wall};
    cr_assert(level == 0 || delay_divert(&m, level, 3, &arena));
    cr_assert_eq(message_store_put(store, &m, 1, wall, &out), PUT_OK);
    arena_fini(&arena);
}
static void put(int32_t level, int number)
{
    char body[16];
    snprintf(body, sizeof body, "%d", number);
    put_text("T", 0, level, body);
}
static int64_t arrived(void) { return message_store_max_offset(store, SLICE_LIT("T"), 0); }

/* Bodies in T, joined by blanks. */
static const char *bodies(void)
{
    static char text[2000];
    struct buf body = {0};
    struct get_result got;
    struct message m;
    const struct get_request g = {.topic = SLICE_LIT("T"), .max_msgs = 200, .max_bytes = 1 << 20, .may_block = true};
    message_store_get(store, &g, &body, &got);
    text[0] = 0;
    for (struct slice rest = buf_view(&body); rest.n > 0; rest = slice_from(rest, m.size)) {
        cr_assert(message_decode(rest, true, &m) == MQ_OK);
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%.*s", text[0] ? " " : "", SLICE_ARG(m.body));
    }
    buf_free(&body);
    return text;
}

static const char *file_text(void)
{
    static char text[200];
    uint64_t n = 0;
    const uint8_t *p = fake_disk_bytes(disk, "config/delayOffset.json", &n);
    return slice_copy(slice_make(p, p ? (size_t)n : 0), text, sizeof text);
}
static void save(void)
{
    schedule_save(s, written);
    for (int i = 0; i < 10; i++) {
        mono += 500;
        wall += 500;
        write_turn();
        sim_exec_drain(&works);
    }
}

/* ---- when ---- */
Test(schedule, an_idle_broker_is_not_woken)
{
    turns();
    cr_expect_eq(schedule_due(s), INT64_MAX);
}

Test(schedule, a_message_comes_when_it_is_due_and_not_before)
{
    turns();
    put(1, 1);
    pass(0);
    cr_expect_eq(schedule_due(s), mono + 1000);
    pass(999);
    cr_expect_eq(arrived(), 0);
    pass(1);
    cr_expect_eq(arrived(), 1);
    cr_expect_eq(schedule_due(s), INT64_MAX);
    cr_expect_eq(delivered, 1);
}

Test(schedule, levels_do_not_wait_for_each_other)
{
    put(3, 3);
    put(2, 2);
    put(1, 1);
    pass(1000);
    cr_expect_str_eq(bodies(), "1");
    put(1, 4);
    pass(1000);
    pass(3000);
    cr_expect_str_eq(bodies(), "1 4 2");
    cr_expect(schedule_due(s) <= mono + 1000, "a clock that is set forward fires no timer");
    for (int i = 0; i < 3595; i++)
        pass(1000);
    cr_expect_str_eq(bodies(), "1 4 2 3");
    cr_expect_eq(schedule_due(s), INT64_MAX);
}

Test(schedule, what_is_put_while_others_wait_keeps_its_own_time)
{
    put(2, 1);
    pass(2500);
    put(2, 2);
    pass(2500);
    cr_expect_str_eq(bodies(), "1");
    pass(2499);
    cr_expect_eq(arrived(), 1);
    pass(1);
    cr_expect_str_eq(bodies(), "1 2");
}

Test(schedule, a_run_takes_a_share_and_levels_take_turns)
{
    for (int i = 0; i < 300; i++) {
        put(1, i);
        put(2, 1000 + i);
        write_turn();
    }
    wall += 5000;
    mono += 5000;
    schedule_run(s, wall, mono);
    cr_expect_eq(delivered, 64);
    cr_expect(schedule_due(s) <= mono, "the rest is for the next turn");
    write_turn();
    schedule_run(s, wall, mono);
    write_turn();
    schedule_run(s, wall, mono);
    write_turn();
    cr_expect(schedule_offset(s, 1) > 0 && schedule_offset(s, 2) > 0, "each had one of the first three");
    turns();
    cr_expect_eq(arrived(), 600);
}

Test(schedule, large_messages_fill_a_share_too)
{
    static char body[20001];
    memset(body, 'x', 20000);
    for (int i = 0; i < 40; i++)
        put_text("T", 0, 1, body);
    write_turn();
    wall += 1000;
    mono += 1000;
    schedule_run(s, wall, mono);
    cr_expect(delivered > 5 && delivered < 20, "%u", delivered);
    turns();
    cr_expect_eq(delivered, 40);
}

/* ---- clocks ---- */
Test(schedule, a_clock_set_forward_brings_them_within_a_second)
{
    put(3, 1);
    pass(0);
    wall += 3600000;
    mono = schedule_due(s);
    turns();
    cr_expect_str_eq(bodies(), "1");
}

Test(schedule, a_clock_set_back_far_delays_nothing_for_ever)
{
    put(2, 1);
    pass(100);
    wall -= 86400000;
    mono = schedule_due(s);
    turns();
    cr_expect_str_eq(bodies(), "1", "further away than its delay: due");
    put(2, 2);
    pass(4999);
    cr_expect_eq(arrived(), 1);
    pass(1);
    cr_expect_str_eq(bodies(), "1 2");
}

Test(schedule, a_clock_set_back_a_little_brings_nothing_before_its_time)
{
    put(1, 1);
    put(2, 2);
    pass(0);
    wall -= 3000;
    pass(999);
    cr_expect_eq(arrived(), 0);
    pass(1);
    cr_expect_str_eq(bodies(), "1", "what waits already is on time");
    put(2, 3); /* stored at the time at which the store's clock stands: further away than 5 s from the wall's */
    pass(0);
    cr_expect_eq(arrived(), 1);
    pass(6999); /* when the wall's clock has caught up it counts again */
    cr_expect_eq(arrived(), 1);
    pass(1);
    cr_expect_str_eq(bodies(), "1 2 3");
    put(2, 4);
    pass(4999);
    cr_expect_eq(arrived(), 3);
    pass(1);
    cr_expect_eq(arrived(), 4);
}

/* ---- restarts ---- */
Test(schedule, after_a_clean_stop_nothing_comes_twice_and_nothing_is_forgotten)
{
    put(1, 1);
    put(2, 2);
    pass(1000);
    cr_expect_str_eq(bodies(), "1");
    close_all();
    cr_expect_str_eq(file_text(), "{\n\t\"offsetTable\":{1:1\n\t}\n}");
    wall += 100000;
    open_all();
    turns();
    cr_expect_str_eq(bodies(), "1 2");
}

/* Takes the machine away as it is and starts again. */
static void crash(enum fake_cut how)
{
    struct fake_disk *left = fake_disk_clone(disk, 2);
    fake_disk_writeback(left, 0);
    close_all();
    fake_disk_free(disk);
    disk = left;
    fake_disk_cut(disk, how, 0);
    sim_exec_init(&works, 2);
    open_all();
}

Test(schedule, after_a_crash_what_the_file_did_not_say_comes_again)
{
    for (int i = 0; i < 10; i++)
        put(1, i);
    pass(1000);
    save();
    cr_expect_str_eq(file_text(), "{\n\t\"offsetTable\":{1:10\n\t}\n}");
    put(1, 10);
    pass(1000);
    cr_expect_eq(arrived(), 11);
    crash(CUT_KILL);
    turns();
    cr_expect_eq(arrived(), 12);
    cr_expect_str_eq(bodies(), "0 1 2 3 4 5 6 7 8 9 10 10");
}

Test(schedule, after_a_power_cut_the_file_never_says_more_than_the_log_holds)
{
    for (int i = 0; i < 10; i++)
        put(2, i);
    save(); /* stored and flushed, not delivered yet */
    wall += 5000;
    mono += 5000;
    while (schedule_due(s) <= mono) {
        schedule_run(s, wall, mono);
        message_store_turn(store, mono); /* written, never flushed */
    }
    cr_expect_eq(arrived(), 10);
    schedule_save(s, written);
    while (sim_exec_run(&works, LANE_CHORE) || sim_exec_done(&works)) {
    }
    crash(CUT_LOSE);
    turns();
    cr_expect_str_eq(bodies(), "0 1 2 3 4 5 6 7 8 9");
}

Test(schedule, an_offset_beyond_the_queue_or_below_it_is_corrected)
{
    put(1, 1);
    put(2, 2);
    close_all();
    static const char text[] = "{\"offsetTable\":{1:50,2:70,3:9}}";
    fake_disk_damage(disk, "config/delayOffset.json", 0, text, sizeof text - 1);
    open_all();
    turns();
    cr_expect(schedule_offset(s, 1) == 1 && schedule_offset(s, 2) == 1, "the queue's end");
    put(1, 3);
    put(2, 4);
    put(3, 5); /* a queue that was not there when the file said 9 */
    pass(1000);
    pass(4000);
    cr_expect_str_eq(bodies(), "3 4");
    pass(3600000);
    cr_expect_str_eq(bodies(), "3 4 5");
}

/* ---- what stands in the way ---- */
Test(schedule, what_cannot_be_delivered_costs_itself_only)
{
    struct put_result out;
    struct message m = {.topic = SLICE_LIT(SCHEDULE_TOPIC), .queue_id = 0, .body = SLICE_LIT("x"), .properties = SLICE_LIT("DELAY\0011")};
    put(1, 1);
    cr_assert_eq(message_store_put(store, &m, 1, wall, &out), PUT_OK); /* for no topic */
    put_text("a/b", 0, 1, "no folder has such a name");
    put(1, 2);
    pass(1000);
    cr_expect_str_eq(bodies(), "1 2");
    cr_expect_eq(delivered, 2);
}

Test(schedule, a_damaged_record_is_passed_over)
{
    put(1, 1);
    put(1, 2);
    put(1, 3);
    write_turn();
    int64_t second = message_store_phys_of(store, SLICE_LIT(SCHEDULE_TOPIC), 0, 1);
    fake_disk_damage(disk, "commitlog/00000000000000000000", (uint64_t)second + 4, "\0\0\0\0", 4);
    pass(1000);
    cr_expect_str_eq(bodies(), "1 3");
    cr_expect_eq(schedule_due(s), INT64_MAX);
}

Test(schedule, records_that_are_not_in_memory_are_read_by_a_reader)
{
    for (int i = 0; i < 100; i++)
        put(3, i);
    pass(0);
    fake_disk_chill(disk, NULL);
    wall += 3600000;
    mono += 3600000;
    schedule_run(s, wall, mono);
    cr_expect_eq(delivered, 0);
    cr_expect(!sim_exec_idle(&works), "somebody reads");
    schedule_run(s, wall, mono);
    cr_expect_eq(schedule_due(s), INT64_MAX, "until it is read there is nothing to do");
    sim_exec_drain(&works);
    turns();
    cr_expect_eq(arrived(), 100);
}

Test(schedule, a_full_disk_keeps_them_until_there_is_room)
{
    put(1, 1);
    turns();
    fake_disk_room(disk, 1, 100ull << 30);
    for (int i = 0; i < 70; i++) { /* retention looks now and then */
        wall += 1000;
        mono += 1000;
        message_store_tick(store, (struct store_now){wall, mono});
        sim_exec_drain(&works);
        if (i == 65)
            cr_expect(!message_store_writable(store));
    }
    turns();
    cr_expect_eq(arrived(), 0);
    cr_expect(schedule_due(s) > mono && schedule_due(s) < INT64_MAX, "it tries again later");
    fake_disk_room(disk, 60ull << 30, 100ull << 30);
    for (int i = 0; i < 70; i++)
        pass(1000);
    cr_expect_str_eq(bodies(), "1");
}

Test(schedule, a_failed_store_ends_it_and_the_file_says_nothing_of_what_was_not_written)
{
    put(1, 1);
    turns();
    fake_disk_fail(disk, FAKE_PWRITE, 1, -EIO, true);
    pass(1000);
    cr_expect_eq(arrived(), 0);
    pass(1000);
    fake_disk_fail(disk, FAKE_ANY, 0, 0, false);
    close_all();
    cr_expect_str_eq(file_text(), "");
    open_all();
    turns();
    cr_expect_str_eq(bodies(), "1");
}

Test(schedule, a_slave_delivers_nothing_and_its_file_stays)
{
    put(1, 1);
    pass(1000);
    close_all();
    open_all();
    schedule_close(s, false);
    struct config_file *file;
    cr_assert(config_file_new(fake_disk_io(disk), &works.store, "config/delayOffset.json", &file) == MQ_OK);
    setup.running = false;
    setup.store = store;
    cr_assert(schedule_open(file, &setup, &s, NULL) == MQ_OK);
    cr_expect_eq(schedule_due(s), INT64_MAX);
    put(1, 2);
    pass(1000);
    schedule_run(s, wall, mono);
    write_turn();
    cr_expect_str_eq(bodies(), "1");
    cr_expect_eq(schedule_offset(s, 1), 1);
    save();
    cr_expect_str_eq(file_text(), "{\n\t\"offsetTable\":{1:1\n\t}\n}");
}

Test(schedule, a_hundred_thousand_that_wait_cost_no_memory)
{
    for (int i = 0; i < 2000; i++) {
        put(3, i);
        if (i % 100 == 99)
            write_turn();
    }
    turns();
    uint64_t before = mem_used();
    schedule_run(s, wall, mono);
    for (int i = 0; i < 1000; i++)
        schedule_arrived(s, 2);
    turns();
    cr_expect(mem_used() <= before + MEM_SLACK);
    pass(3600000);
    cr_expect_eq(arrived(), 2000);
}

Test(schedule, a_file_that_cannot_be_used_is_an_error_not_a_new_beginning)
{
    schedule_close(s, false);
    s = NULL;
    static const char text[] = "{\"offsetTable\":";
    fake_disk_damage(disk, "config/delayOffset.json", 0, text, sizeof text - 1);
    struct fault why = {0};
    cr_expect_eq(open_schedule(&why), MQ_EMALFORMED);
    cr_expect(why.what[0] != '\0');
}

Test(schedule, without_memory_it_does_not_open)
{
    for (uint64_t n = 1; n < 3; n++) {
        struct config_file *file;
        struct schedule *other = NULL;
        cr_assert(config_file_new(fake_disk_io(disk), &works.store, "config/other.json", &file) == MQ_OK);
        mem_fail_after(n);
        enum mq_err err = schedule_open(file, &setup, &other, NULL);
        mem_fail_after(0);
        cr_expect(err == MQ_ENOMEM && other == NULL, "%" PRIu64, n);
    }
}
