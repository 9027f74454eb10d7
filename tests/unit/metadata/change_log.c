/* change_log.c - changes outlive a kill at once and a power cut as promised; what is torn or damaged takes nothing else with it. */
#include "broker/metadata/change_log.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "broker/metadata/topics.h"
#include "common/base/log.h"
#include "tests/lib/fake_disk.h"
#include "tests/lib/sim_exec.h"

static struct fake_disk *disk;
static struct sim_exec lanes;
static struct change_log *changes;
static struct data_version version; /* of the last append */
static char applied[4096];          /* what a replay said: "+name " and "-name " */

static void start(void)
{
    log_set_level(LOG_OFF);
    disk = fake_disk_new(1);
    fake_disk_writeback(disk, 0);
    sim_exec_init(&lanes, 1);
    version = (struct data_version){.timestamp_ms = 1000};
}
static void open_log(bool sync) { cr_assert(change_log_new(fake_disk_io(disk), &lanes.store, "config/t.json", sync, &changes) == MQ_OK); }
static void close_log(bool all_in_table)
{
    sim_exec_drain(&lanes);
    change_log_close(changes, all_in_table);
    changes = NULL;
}
static void stop(void)
{
    close_log(false);
    fake_disk_free(disk);
}
TestSuite(change_log, .init = start, .fini = stop);

static enum mq_err put(const char *name, struct fault *why)
{
    struct data_version next = version;
    char json[64];
    data_version_next(&next, 1000);
    int n = snprintf(json, sizeof json, "{\"name\":\"%s\"}", name);
    enum mq_err err = change_log_append(changes, &next, slice_make(json, (size_t)n), (struct slice){0}, why);
    if (err == MQ_OK)
        version = next;
    return err;
}
static void removes(const char *name)
{
    data_version_next(&version, 1000);
    cr_assert(change_log_append(changes, &version, (struct slice){0}, slice_str(name), NULL) == MQ_OK);
}
static enum mq_err apply(void *ctx, const json_t *entry, struct slice removed, struct fault *why)
{
    struct slice name = entry ? json_str(entry, "name") : removed;
    (void)ctx;
    if (slice_is(name, "bad"))
        return fault_set(why, MQ_EMALFORMED, 0, "it is bad");
    if (slice_is(name, "huge"))
        return fault_set(why, MQ_ENOMEM, 0, "no memory");
    size_t n = strlen(applied);
    snprintf(applied + n, sizeof applied - n, "%s%.*s ", entry ? "+" : "-", SLICE_ARG(name));
    return MQ_OK;
}
/* A new process reads it; what it says is in `applied`. */
static bool replay_over(struct data_version v)
{
    bool found = false;
    applied[0] = 0;
    if (changes)
        close_log(false);
    open_log(false);
    cr_assert(change_log_replay(changes, &v, apply, NULL, &found, NULL) == MQ_OK);
    return found;
}
static bool replay(void) { return replay_over((struct data_version){0}); }

Test(change_log, what_was_appended_is_found_after_a_kill_in_order_and_nothing_at_a_first_start)
{
    cr_expect(!replay() && applied[0] == 0);
    put("a", NULL);
    removes("a");
    put("b\\\"b", NULL);
    change_log_turn_over(changes);
    put("c", NULL);
    close_log(false);
    fake_disk_cut(disk, CUT_KILL, 0);
    cr_expect(replay());
    cr_expect_str_eq(applied, "+a -a +b\"b +c ");
    replay_over((struct data_version){.counter = 3, .timestamp_ms = 1000});
    cr_expect_str_eq(applied, "+c ", "the table has the others");
    replay_over((struct data_version){.counter = 2, .timestamp_ms = 1001});
    cr_expect_str_eq(applied, "", "somebody else has written the table since");
}

Test(change_log, what_the_table_cannot_take_is_passed_over_but_for_want_of_memory)
{
    bool found;
    struct fault why = {0};
    open_log(false);
    put("a", NULL), put("bad", NULL), put("b", NULL);
    replay();
    cr_expect_str_eq(applied, "+a +b ");
    version.counter = 3;
    put("huge", NULL);
    close_log(false);
    open_log(false);
    struct data_version v = {0};
    cr_expect(change_log_replay(changes, &v, apply, NULL, &found, &why) == MQ_ENOMEM && strcmp(why.what, "no memory") == 0);
}

/* The file as it is; `n` bytes. */
static uint8_t *copy_of(const char *path, uint64_t *n)
{
    const uint8_t *p = fake_disk_bytes(disk, path, n);
    cr_assert(p != NULL);
    while (*n && p[*n - 1] == 0)
        --*n;
    uint8_t *copy = malloc(*n);
    memcpy(copy, p, *n);
    return copy;
}

Test(change_log, torn_at_any_byte_it_keeps_the_lines_before_and_takes_new_ones)
{
    uint64_t n, whole = 0;
    uint64_t ends[4] = {0};
    open_log(false);
    for (int i = 1; i <= 3; i++) {
        put("abc", NULL);
        free(copy_of("config/t.json.changes1", &ends[i]));
    }
    uint8_t *all = copy_of("config/t.json.changes1", &n);
    close_log(true);
    for (uint64_t at = 0; at <= n; at++)
        for (int zeros = 0; zeros < 2; zeros++) { /* the file is shorter, or long and empty there */
            struct fake_disk *old = disk;
            disk = fake_disk_new(1);
            fake_disk_free(old);
            uint8_t nothing[100] = {0};
            fake_disk_damage(disk, "config/t.json.changes1", 0, all, at);
            if (zeros)
                fake_disk_damage(disk, "config/t.json.changes1", at, nothing, sizeof nothing);
            for (whole = 0; whole < 3 && ends[whole + 1] - 1 <= at;) /* the last line's end is not needed */
                whole++;
            replay();
            cr_expect_eq(strlen(applied), whole * 5, "cut at %llu: %s", (unsigned long long)at, applied);
            version.counter = 3;
            cr_assert(put("new", NULL) == MQ_OK);
            replay();
            cr_expect(strlen(applied) == whole * 5 + 5 && strstr(applied, "+new "), "cut at %llu: %s", (unsigned long long)at, applied);
        }
    free(all);
}

Test(change_log, a_damaged_byte_costs_its_line_and_no_other)
{
    uint64_t n;
    open_log(false);
    put("a", NULL), put("b", NULL), put("c", NULL);
    uint8_t *all = copy_of("config/t.json.changes1", &n);
    close_log(false);
    for (uint64_t at = 0; at < n; at++)
        for (int how = 0; how < 3; how++) {
            uint8_t bad = how == 0 ? (uint8_t)(all[at] ^ 0x40) : how == 1 ? 0 : '\n';
            if (bad == all[at])
                continue;
            fake_disk_damage(disk, "config/t.json.changes1", at, &bad, 1);
            replay();
            size_t lines = strlen(applied) / 3;
            cr_expect(lines == 2 || (lines == 3 && all[at] == '\n'), "byte %llu: %s", (unsigned long long)at, applied);
            fake_disk_damage(disk, "config/t.json.changes1", at, &all[at], 1);
        }
    free(all);
}

Test(change_log, an_append_that_fails_leaves_no_trace)
{
    struct fault why = {0};
    static const struct { enum fake_op op; int err; enum mq_err want; const char *words; } cases[] = {
        {FAKE_OPEN, -EMFILE, MQ_EIO, "create config/t.json.changes1"}, {FAKE_PWRITE, -ENOSPC, MQ_EFULL, "write config/t.json.changes1"},
        {FAKE_PWRITE, -EIO, MQ_EIO, "write config/t.json.changes1"}};
    open_log(true);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct change_wait w;
        fake_disk_fail(disk, cases[i].op, 1, cases[i].err, true);
        cr_expect_eq(put("no", &why), cases[i].want);
        cr_expect(strstr(why.what, cases[i].words) != NULL, "%s", why.what);
        cr_expect_eq(change_log_when_synced(changes, &w, NULL, NULL), MQ_OK, "nothing was appended");
        fake_disk_fail(disk, cases[i].op, 0, 0, false);
        cr_expect_eq(put("yes", &why), MQ_OK);
        sim_exec_drain(&lanes);
    }
    replay();
    cr_expect_str_eq(applied, "+yes +yes +yes ");
}

Test(change_log, a_disk_that_is_full_between_two_lines_refuses_the_second)
{
    struct fault why = {0};
    open_log(false);
    fake_disk_capacity(disk, 4096); /* no room for zeros ahead */
    int n = 0;
    while (n < 1000 && put("x", &why) == MQ_OK)
        n++;
    cr_assert(n > 10 && n < 1000 && why.err == MQ_EFULL, "%d", n);
    replay();
    cr_expect_eq(strlen(applied) / 3, (size_t)n);
}

/* ---- syncs ---- */
static int heard[3]; /* times, or minus times for a failure */
static void on_synced(void *arg, enum mq_err err, const struct fault *why)
{
    cr_expect((err == MQ_OK) == (why == NULL));
    *(int *)arg += err == MQ_OK ? 1 : -1;
}

Test(change_log, who_waits_hears_after_the_sync_that_covers_his_change)
{
    struct change_wait w[3];
    memset(heard, 0, sizeof heard);
    open_log(true);
    cr_expect_eq(change_log_when_synced(changes, &w[0], on_synced, &heard[0]), MQ_OK, "nothing was changed");
    for (int i = 0; i < 2; i++) {
        put("a", NULL);
        cr_expect_eq(change_log_when_synced(changes, &w[i], on_synced, &heard[i]), MQ_EAGAIN);
    }
    cr_assert(sim_exec_run(&lanes, LANE_FLUSH) && heard[0] == 0);
    put("b", NULL);
    cr_expect_eq(change_log_when_synced(changes, &w[2], on_synced, &heard[2]), MQ_EAGAIN);
    fake_disk_fail(disk, FAKE_DATASYNC, 1, -EIO, false);
    sim_exec_drain(&lanes);
    cr_expect(heard[0] == 1 && heard[1] == 1 && heard[2] == -1, "%d %d %d", heard[0], heard[1], heard[2]);
    put("c", NULL);
    cr_expect_eq(change_log_when_synced(changes, &w[0], on_synced, &heard[0]), MQ_EAGAIN);
    change_wait_end(&w[0]);
    sim_exec_drain(&lanes);
    cr_expect_eq(heard[0], 1, "it does not want to hear any more");
    cr_expect_eq(change_log_when_synced(changes, &w[0], on_synced, &heard[0]), MQ_OK);
}

Test(change_log, a_name_that_cannot_be_synced_is_a_failure_too)
{
    struct change_wait w;
    memset(heard, 0, sizeof heard);
    open_log(true);
    put("a", NULL);
    fake_disk_fail(disk, FAKE_SYNC_DIR, 1, -EIO, false);
    cr_expect_eq(change_log_when_synced(changes, &w, on_synced, &heard[0]), MQ_EAGAIN);
    sim_exec_drain(&lanes);
    cr_expect_eq(heard[0], -1);
    put("b", NULL);
    cr_expect_eq(change_log_when_synced(changes, &w, on_synced, &heard[1]), MQ_EAGAIN);
    sim_exec_drain(&lanes);
    cr_expect_eq(heard[1], 1);
    close_log(false);
    fake_disk_cut(disk, CUT_LOSE, 0);
    replay();
    cr_expect_str_eq(applied, "+a +b ");
}

/* ---- a table over it: killed or cut at each step of a life ---- */
enum { NAMES = 6, LIFE = 60 };
struct promise { /* of one topic */
    int made, kept; /* queues: in memory; when last promised. 0: absent */
    bool open;      /* changed since the last promise: either may be found, or what was between */
};
static struct promise promises[NAMES];
static struct topics *table;

static enum mq_err open_table(bool sync)
{
    static const struct topics_setup setup = {.cluster_name = "c", .broker_name = "b", .trace_topic = "t", .auto_create = true, .default_queues = 8};
    struct config_file *f = NULL;
    struct fault why = {0};
    cr_assert(config_file_new(fake_disk_io(disk), &lanes.store, "config/topics.json", &f) == MQ_OK);
    cr_assert(config_file_keep_changes(f, sync) == MQ_OK);
    return topics_open(f, &setup, NULL, 1000, &table, &why);
}
static void promised(void *arg, enum mq_err err, const struct fault *why)
{
    struct promise *p = arg;
    (void)why;
    if (err != MQ_OK)
        return;
    p->kept = p->made;
    p->open = false;
}
static struct change_wait promise_waits[LIFE];

/* Changes at random; the disk may stop on the way. */
static void live(uint64_t seed)
{
    struct rng r = rng_of(seed);
    for (int i = 0; i < LIFE; i++) {
        unsigned which = rng_below(&r, NAMES);
        struct promise *p = &promises[which];
        char name[16];
        snprintf(name, sizeof name, "topic%u", which);
        if (p->open)
            sim_exec_drain(&lanes); /* one change of a topic at a time, so that a promise is of its last */
        if (p->open)
            continue; /* its promise failed: the machine is off */
        int queues = rng_one_in(&r, 3) ? 0 : 1 + i;
        enum mq_err err = queues ? (topics_put(table, slice_str(name), queues, queues, 6, 0, false, 1000, NULL) ? MQ_OK : MQ_EIO)
                                 : topics_remove(table, slice_str(name), 1000, NULL);
        if (err != MQ_OK)
            continue;
        p->made = queues;
        p->open = true;
        if (change_log_when_synced(topics_changes(table), &promise_waits[i], promised, p) == MQ_OK)
            promised(p, MQ_OK, NULL);
        for (uint32_t steps = rng_below(&r, 6); steps > 0; steps--)
            sim_exec_step(&lanes);
    }
}

static void expect_promises(const char *when, uint64_t at)
{
    for (unsigned i = 0; i < NAMES; i++) {
        char name[16];
        snprintf(name, sizeof name, "topic%u", i);
        const struct topic_config *c = topics_find(table, slice_str(name));
        int found = c ? c->read_queues : 0;
        cr_expect(found == promises[i].kept || (promises[i].open && found == promises[i].made), "%s at step %llu: %s has %d queues, promised %d", when,
                  (unsigned long long)at, name, found, promises[i].kept);
    }
}

static void lives(bool sync, const enum fake_cut *cuts, size_t n_cuts)
{
    uint64_t last = 0;
    for (uint64_t at = 0; at == 0 || at <= last; at++)
        for (size_t how = 0; how < n_cuts; how++) {
            fake_disk_free(disk);
            disk = fake_disk_new(at + 1);
            sim_exec_init(&lanes, at + 1);
            memset(promises, 0, sizeof promises);
            cr_assert(open_table(sync) == MQ_OK);
            fake_disk_stop_at(disk, at);
            live(7);
            if (at == 0)
                last = fake_disk_steps(disk);
            struct fake_disk *left = fake_disk_clone(disk, 1); /* before the clean-up below, which may promise more */
            struct promise so_far[NAMES];
            memcpy(so_far, promises, sizeof so_far);
            const struct data_version before = *topics_version(table);
            sim_exec_drain(&lanes);
            topics_close(table);
            memcpy(promises, so_far, sizeof so_far);
            fake_disk_free(disk);
            disk = left;
            fake_disk_cut(disk, cuts[how], at);
            cr_assert(open_table(sync) == MQ_OK, "%s at step %llu", fake_cut_name(cuts[how]), (unsigned long long)at);
            cr_expect(topics_version(table)->counter <= before.counter);
            expect_promises(fake_cut_name(cuts[how]), at);
            sim_exec_drain(&lanes); /* the fold */
            topics_close(table);
            struct store_stat st;
            const struct store_io *io = fake_disk_io(disk);
            cr_expect(io->stat(io->ctx, "config/topics.json.changes1", &st) == -ENOENT && io->stat(io->ctx, "config/topics.json.changes2", &st) == -ENOENT);
            cr_assert(open_table(sync) == MQ_OK);
            expect_promises("after the fold", at);
            topics_close(table);
        }
    cr_expect(last > 100, "%llu steps", (unsigned long long)last);
}

Test(change_log, killed_at_any_step_a_table_has_all_that_was_answered)
{
    static const enum fake_cut cuts[] = {CUT_KILL};
    lives(false, cuts, 1);
}

Test(change_log, cut_at_any_step_a_synced_table_has_all_that_was_answered)
{
    static const enum fake_cut cuts[] = {CUT_KILL, CUT_LOSE, CUT_KEEP, CUT_RANDOM, CUT_FIRST, CUT_LAST};
    lives(true, cuts, sizeof cuts / sizeof *cuts);
}

Test(change_log, while_the_table_cannot_be_written_its_changes_stay_through_ends_and_starts)
{
    struct store_stat st;
    const struct store_io *io = fake_disk_io(disk);
    memset(promises, 0, sizeof promises);
    for (int start = 0; start < 4; start++) {
        cr_assert(open_table(false) == MQ_OK);
        expect_promises("start", (uint64_t)start);
        fake_disk_fail(disk, FAKE_RENAME, 1, -EIO, start < 3);
        for (int i = 0; i < 3; i++) {
            char name[16];
            snprintf(name, sizeof name, "topic%d", (start + i) % NAMES);
            cr_assert_not_null(topics_put(table, slice_str(name), 10 * start + i + 1, 10 * start + i + 1, 6, 0, false, 1000, NULL));
            promises[(start + i) % NAMES].kept = 10 * start + i + 1;
            sim_exec_drain(&lanes);
            topics_retry_save(table);
            sim_exec_drain(&lanes);
        }
        topics_close(table);
        cr_expect_eq(io->stat(io->ctx, "config/topics.json", &st), start < 3 ? -ENOENT : 0);
    }
    cr_expect(io->stat(io->ctx, "config/topics.json.changes1", &st) == -ENOENT && io->stat(io->ctx, "config/topics.json.changes2", &st) == -ENOENT);
    cr_assert(open_table(false) == MQ_OK);
    expect_promises("in the table", 4);
    topics_close(table);
}
