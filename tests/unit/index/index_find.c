/* index_find.c - which keys a record has, what a query sees and when. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#include "broker/store/index_internal.h"
#include "common/base/log.h"
#include "common/protocol/codes.h"
#include "tests/lib/rng.h"
#include "tests/lib/sim_exec.h"
#include "tests/unit/index/index_kit.h"

Test(index_find, a_record_has_its_unique_key_and_each_token_of_keys)
{
    struct fake_disk *d = fake_disk_new(1);
    struct msg_index *x = open_index(d, NULL, 64, 100);
    add(x, "u1", "k1 k2  k3 ", 100, T0);
    add(x, NULL, "k2", 200, T0);
    add(x, "u2", NULL, 300, T0);
    add(x, NULL, NULL, 400, T0);
    for (int in_files = 0; in_files < 2; in_files++) {
        cr_expect(eq(str, (char *)found_any(x, "u1"), "100 "));
        cr_expect(eq(str, (char *)found_any(x, "k1"), "100 "));
        cr_expect(eq(str, (char *)found_any(x, "k2"), "200 100 "));
        cr_expect(eq(str, (char *)found_any(x, "k3"), "100 "));
        cr_expect(eq(str, (char *)found_any(x, "u2"), "300 "));
        cr_expect(eq(str, (char *)found_any(x, ""), ""));
        msg_index_tick(x, T0 + 1000);
    }
    cr_expect(eq(u64, msg_index_reached(x), 410), "a record without keys counts as reached");
    msg_index_close(x);
    fake_disk_free(d);
}

Test(index_find, rollback_records_have_no_keys_others_of_a_transaction_have)
{
    struct fake_disk *d = fake_disk_new(1);
    struct msg_index *x = open_index(d, NULL, 64, 100);
    const int32_t flags[] = {0, SYS_TRAN_PREPARED, SYS_TRAN_COMMIT, SYS_TRAN_ROLLBACK};
    for (int i = 0; i < 4; i++) {
        char buf[128];
        struct message m = record_of(buf, "u", NULL, 100 * (i + 1), T0);
        m.sys_flag = flags[i] | 1;
        msg_index_add(x, &m);
    }
    cr_expect(eq(str, (char *)found_any(x, "u"), "300 200 100 "));
    cr_expect(eq(u64, msg_index_reached(x), 100));
    msg_index_tick(x, T0);
    cr_expect(eq(u64, msg_index_reached(x), 410));
    msg_index_close(x);
    fake_disk_free(d);
}

Test(index_find, the_window_is_exact_in_memory_and_by_touched_seconds_in_files)
{
    struct fake_disk *d = fake_disk_new(1);
    struct msg_index *x = open_index(d, NULL, 64, 100);
    add(x, "a", NULL, 100, T0 + 500);
    add(x, "a", NULL, 200, T0 + 2700); /* 2 s after the first: [T0 + 2500, T0 + 3499] */
    add(x, "a", NULL, 300, T0 + 9000);
    cr_expect(eq(str, (char *)found(x, "a", T0 + 501, T0 + 2699), ""));
    cr_expect(eq(str, (char *)found(x, "a", T0 + 500, T0 + 2700), "200 100 "));
    msg_index_tick(x, T0 + 9000);
    cr_expect(eq(str, (char *)found(x, "a", T0 + 501, T0 + 2499), ""));
    cr_expect(eq(str, (char *)found(x, "a", T0 + 501, T0 + 2500), "200 "));
    cr_expect(eq(str, (char *)found(x, "a", T0 + 3499, T0 + 8499), "200 "));
    cr_expect(eq(str, (char *)found(x, "a", T0 + 3500, T0 + 8499), ""));
    cr_expect(eq(str, (char *)found(x, "a", T0, T0 + 500), "100 "));
    cr_expect(eq(str, (char *)found(x, "a", T0 + 20000, T0 + 30000), ""));
    cr_expect(eq(str, (char *)found(x, "a", INT64_MIN, INT64_MAX), "300 200 100 "));
    msg_index_close(x);
    fake_disk_free(d);
}

Test(index_find, at_most_max_places_and_the_newest_entry_is_told)
{
    struct fake_disk *d = fake_disk_new(1);
    struct msg_index *x = open_index(d, NULL, 64, 4); /* three a file */
    int64_t places[4] = {0}, last_ms = -1, last_phys = -1;
    uint32_t n = 9;
    cr_expect(eq(int, msg_index_find(x, SLICE_LIT("T"), SLICE_LIT("a"), 4, 0, INT64_MAX, places, &n, &last_ms, &last_phys), MQ_OK));
    cr_expect(all(zero(u32, n), zero(i64, last_ms), zero(i64, last_phys)));
    for (int i = 1; i <= 8; i++) {
        add(x, "a", i == 8 ? "a a" : NULL, 100 * i, T0 + i); /* a record that names its key thrice is one place */
        if (i < 8)
            msg_index_tick(x, T0 + i * 1000);
    }
    cr_expect(eq(int, msg_index_find(x, SLICE_LIT("T"), SLICE_LIT("a"), 3, 0, INT64_MAX, places, &n, &last_ms, &last_phys), MQ_OK));
    cr_assert(eq(u32, n, 3));
    cr_expect(all(eq(i64, places[0], 800), eq(i64, places[1], 700), eq(i64, places[2], 600)));
    cr_expect(all(eq(i64, last_ms, T0 + 8), eq(i64, last_phys, 800)));
    msg_index_tick(x, T0 + 20000);
    cr_expect(eq(str, (char *)found_any(x, "a"), "800 700 600 500 400 300 200 100 "));
    cr_expect(eq(int, file_count(d), 4));
    msg_index_close(x);
    fake_disk_free(d);
}

Test(index_find, records_given_again_are_passed_over)
{
    struct fake_disk *d = fake_disk_new(1);
    struct msg_index *x = open_index(d, NULL, 64, 100);
    for (int round = 0; round < 3; round++)
        for (int i = 1; i <= 3; i++)
            add(x, "a", "b", 100 * i, T0);
    cr_expect(eq(str, (char *)found_any(x, "a"), "300 200 100 "));
    msg_index_close(x);
    x = open_index(d, NULL, 64, 100);
    for (int i = 1; i <= 4; i++)
        add(x, "a", "b", 100 * i, T0);
    cr_expect(eq(str, (char *)found_any(x, "b"), "400 300 200 100 "));
    msg_index_close(x);
    uint64_t n;
    const uint8_t *bytes = fake_disk_bytes(d, "index/20231114221320000", &n);
    if (bytes != NULL) /* its name is local time */
        cr_expect(eq(u8, bytes[39], 9), "4 records, 2 keys each");
    fake_disk_free(d);
}

Test(index_find, a_record_that_a_full_file_cut_in_two_is_completed_after_a_restart)
{
    for (int have = 1; have <= 6; have++) { /* so many of its 6 keys reached files of 2 keys each before the end */
        struct fake_disk *d = fake_disk_new(1);
        struct msg_index *x = open_index(d, NULL, 64, 3);
        const char *keys[] = {"k1", "k1 k2", "k1 k2 k3", "k1 k2 k3 k4", "k1 k2 k3 k4 k5"};
        add(x, "a", NULL, 100, T0);
        add(x, "u", have > 1 ? keys[have - 2] : NULL, 200, T0);
        msg_index_close(x);
        x = open_index(d, NULL, 64, 3);
        cr_expect(eq(u64, msg_index_reached(x), 200));
        add(x, "a", NULL, 100, T0);
        add(x, "u", keys[4], 200, T0);
        add(x, "z", NULL, 300, T0);
        msg_index_close(x);
        cr_expect(eq(int, file_count(d), 4), "8 keys; have %d", have);
        x = open_index(d, NULL, 64, 3);
        const char *each[] = {"u", "k1", "k2", "k3", "k4", "k5"};
        for (int i = 0; i < 6; i++)
            cr_expect(eq(str, (char *)found_any(x, each[i]), "200 "), "%s, have %d", each[i], have);
        msg_index_close(x);
        fake_disk_free(d);
    }
}

/* ---- against a list of all keys, in any order of works ---- */

enum { MODEL = 4000 };
struct model {
    struct {
        int64_t place, ms;
        char key;
    } all[MODEL];
    int n;
};

static const char *model_find(const struct model *m, char key)
{
    static char text[2048];
    size_t at = 0;
    int64_t last = -1;
    int taken = 0;
    text[0] = 0;
    for (int i = m->n; i > 0 && taken < 64; i--)
        if (m->all[i - 1].key == key && m->all[i - 1].place != last) {
            last = m->all[i - 1].place;
            at += (size_t)snprintf(text + at, sizeof text - at, "%lld ", (long long)last);
            taken++;
        }
    return text;
}

static void model_add(struct model *m, struct msg_index *x, struct rng *rng, int64_t place, int64_t ms)
{
    char keys[16] = "", uniq[2] = {(char)('a' + rng_below(rng, 5)), 0};
    uint32_t more = rng_below(rng, 4);
    m->all[m->n].place = place;
    m->all[m->n].key = uniq[0];
    m->n++;
    for (uint32_t i = 0; i < more; i++) {
        char c = (char)('a' + rng_below(rng, 20));
        keys[2 * i] = c;
        keys[2 * i + 1] = ' ';
        keys[2 * i + 2] = 0;
        m->all[m->n].place = place;
        m->all[m->n].key = c;
        m->n++;
    }
    add(x, uniq, more ? keys : NULL, place, ms);
}

static void play(uint64_t seed, uint32_t slots, uint32_t entries)
{
    struct rng rng = rng_of(seed);
    static struct model model;
    struct fake_disk *d = fake_disk_new(seed);
    struct sim_exec exec;
    model.n = 0;
    sim_exec_init(&exec, seed);
    struct msg_index *x = open_index(d, &exec.store, slots, entries);
    int64_t place = 0, now = T0;
    for (int step = 0; step < 700 && model.n < MODEL - 4; step++) {
        now += rng_below(&rng, 400);
        switch (rng_below(&rng, 60)) {
        case 0: { /* the log lost its end */
            int64_t max = place - (int64_t)rng_below(&rng, 200);
            max = max < 0 ? 0 : max;
            msg_index_truncate(x, (uint64_t)max);
            while (model.n > 0 && model.all[model.n - 1].place >= max)
                model.n--;
            place = place < max ? place : max;
            cr_assert(le(u64, msg_index_reached(x), (uint64_t)max), "seed %llu", (unsigned long long)seed);
            break;
        }
        case 1: /* a clean restart */
            sim_exec_drain(&exec);
            msg_index_close(x);
            cr_assert(eq(int, fake_disk_open_files(d), 0));
            x = open_index(d, &exec.store, slots, entries);
            break;
        case 2: /* a kill: what was handed to the system is there, the rest is added again */
            sim_exec_drain(&exec);
            msg_index_close(x);
            x = open_after_crash(d, slots, entries, T0);
            sim_exec_init(&exec, seed + (uint64_t)model.n);
            msg_index_close(x);
            x = open_index(d, &exec.store, slots, entries);
            break;
        case 3: case 4: case 5: case 6: case 7:
            msg_index_tick(x, now);
            break;
        case 8: case 9: case 10: case 11: case 12: case 13:
            sim_exec_step(&exec);
            break;
        case 14: case 15: case 16: case 17: {
            char key[2] = {(char)('a' + rng_below(&rng, 22)), 0};
            cr_assert(eq(str, (char *)found_any(x, key), (char *)model_find(&model, key[0])), "seed %llu key %s after %d", (unsigned long long)seed, key,
                      model.n);
            break;
        }
        default:
            model_add(&model, x, &rng, place, now);
            place += 10;
        }
    }
    sim_exec_drain(&exec);
    msg_index_close(x);
    fake_disk_free(d);
}

Test(index_find, a_query_sees_what_was_added_in_any_order_of_works, .timeout = 120)
{
    log_set_level(LOG_ERROR);
    for (uint64_t seed = 1; seed <= 20; seed++) {
        play(seed, 7, 30);
        play(seed, 64, 1000);
    }
}
