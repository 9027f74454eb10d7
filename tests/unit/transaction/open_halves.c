/* open_halves.c - the table of what is open, against a plain one; how far both queues are done; what was ended. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <string.h>

#include "broker/transaction/open_halves.h"
#include "common/base/mem.h"
#include "tests/lib/rng.h"

static struct open_halves t;
static struct op_progress ops;
static struct ended_halves ended;
static void end(void)
{
    mem_fail_after(0);
    open_halves_fini(&t);
    op_progress_fini(&ops);
    ended_halves_fini(&ended);
}
TestSuite(open_halves, .fini = end);

static void add(int64_t off, int64_t first)
{
    cr_assert(open_halves_reserve(&t));
    open_halves_add(&t, off, first, 1000 + off, false);
}
static int64_t least(void)
{
    const struct open_half *h = open_halves_from(&t, 0);
    return h ? h->half_off : -1;
}
static void shut(int64_t off)
{
    struct open_half *h = open_halves_find(&t, off, off);
    cr_assert(h && h->half_off == off, "%" PRId64, off);
    open_halves_close(&t, h);
}

Test(open_halves, the_least_open_one_is_at_hand)
{
    cr_expect_eq(least(), -1);
    for (int64_t i = 10; i < 14; i++)
        add(i, i);
    shut(11);
    cr_expect_eq(least(), 10);
    shut(10);
    cr_expect_eq(least(), 12);
    shut(13);
    shut(12);
    cr_expect_eq(least(), -1);
    cr_expect_eq(open_halves_count(&t), 0);
}

Test(open_halves, a_transaction_is_found_by_any_of_its_places)
{
    add(1, 1), add(2, 2);
    shut(1);
    add(3, 1); /* put again */
    cr_expect_eq(open_halves_find(&t, 3, 1)->half_off, 3, "by the last");
    cr_expect_eq(open_halves_find(&t, 1, 1)->half_off, 3, "by the first");
    shut(3);
    add(4, 1);
    cr_expect_eq(open_halves_find(&t, 3, 1)->half_off, 4, "by one between");
    cr_expect_eq(open_halves_find(&t, 2, 2)->half_off, 2);
    cr_expect_null(open_halves_find(&t, 5, 5));
    shut(2);
    cr_expect_null(open_halves_find(&t, 2, 2));
}

Test(open_halves, as_a_plain_table_says)
{
    enum { N = 5000 };
    static bool open[N];
    struct rng r = rng_of(7);
    int64_t next = 0;
    size_t n = 0;
    for (int step = 0; step < 40000; step++) {
        if (next < N && rng_one_in(&r, 8)) {
            add(next, next);
            open[next++] = true;
            n++;
        } else if (next > 0) {
            int64_t off = (int64_t)rng_below(&r, (uint32_t)next);
            struct open_half *h = open_halves_find(&t, off, off);
            cr_assert_eq(h != NULL, open[off]);
            if (h) {
                cr_assert_eq(h->born_ms, 1000 + off);
                open_halves_close(&t, h);
                open[off] = false;
                n--;
            }
        }
        cr_assert_eq(open_halves_count(&t), n);
        int64_t first = 0;
        while (first < next && !open[first])
            first++;
        if (step % 64 == 0)
            cr_assert_eq(least(), first < next ? first : -1);
    }
}

Test(open_halves, memory_follows_what_is_open)
{
    for (int64_t i = 0; i < 100000; i++) {
        add(i, i);
        if (i >= 100)
            shut(i - 100);
    }
    cr_expect_lt(t.cap, 1000, "%zu places for 100", t.cap);
}

Test(open_halves, without_memory_nothing_is_lost)
{
    int64_t n = 0;
    for (; t.end < t.cap || t.cap == 0; n++)
        add(n, n);
    mem_fail_after(1);
    cr_expect(!open_halves_reserve(&t));
    mem_fail_after(0);
    for (int64_t i = 0; i < n; i++)
        cr_expect_not_null(open_halves_find(&t, i, i));
}

Test(open_halves, a_start_keeps_the_last_place_of_each_transaction)
{
    add(1, 1), add(2, 2), add(3, 3), add(4, 1), add(5, 2), add(6, 1), add(7, 3);
    open_halves_from(&t, 2)->closed = true; /* ended by its first place, although it was put again */
    open_halves_settle(&t);
    cr_expect_eq(open_halves_count(&t), 2);
    cr_expect_eq(least(), 6);
    cr_expect_eq(open_half_first(open_halves_from(&t, 6)), 1);
    cr_expect_eq(open_halves_from(&t, 7)->half_off, 7);
}

/* ---- ops ---- */
Test(open_halves, ops_are_done_when_what_they_name_is)
{
    for (int64_t i = 0; i < 1000; i++)
        op_progress_add(&ops, i, i);
    cr_expect_eq(op_progress_until(&ops, 0), 0);
    int64_t done = op_progress_until(&ops, 500);
    cr_expect(done <= 500 && done > 500 - 65, "%" PRId64, done);
    cr_expect_eq(op_progress_until(&ops, 1000), 1000, "all: to the end");
    op_progress_add(&ops, 1000, 2000);
    op_progress_add(&ops, 1001, 5);
    cr_expect_eq(op_progress_until(&ops, 2000), 1000, "behind one that is not");
    cr_expect_eq(op_progress_until(&ops, 2001), 1002);
}
Test(open_halves, ops_in_any_order_and_without_memory_are_never_done_early)
{
    static int64_t names[20000];
    struct rng r = rng_of(3);
    for (int64_t i = 0; i < 20000; i++) {
        names[i] = i / 2 + (int64_t)rng_below(&r, 700);
        if (i == 9000)
            mem_fail_after(1);
        op_progress_add(&ops, i, names[i]);
        int64_t least_open = i / 3, done = op_progress_until(&ops, least_open);
        for (int64_t k = done > 200 ? done - 200 : 0; k < done; k++)
            cr_assert_lt(names[k], least_open);
    }
    cr_expect_eq(op_progress_until(&ops, INT64_MAX), 20000);
}

/* ---- ended ---- */
Test(open_halves, what_was_ended_lately_is_remembered)
{
    cr_expect(!ended_halves_have(&ended, 0));
    for (int64_t i = 0; i < ENDED_KEPT + 10; i++)
        ended_halves_add(&ended, i);
    cr_expect(!ended_halves_have(&ended, 9) && ended_halves_have(&ended, 10) && ended_halves_have(&ended, ENDED_KEPT + 9));
    cr_expect(!ended_halves_have(&ended, ENDED_KEPT + 10));
}
