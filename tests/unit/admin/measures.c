/* measures.c - what `cmq bench` computes: percentiles, moments, lost messages. Expected values are worked out by hand. */
#include <criterion/criterion.h>
#include <string.h>

#include "client/admin/bench_hist.h"
#include "client/admin/bench_plan.h"

static struct bench_hist h, g;

Test(hist, an_empty_one_says_0)
{
    memset(&h, 0, sizeof h);
    cr_expect_eq(bench_hist_at(&h, 1, 2), 0);
    cr_expect_eq(bench_hist_at(&h, 1, 1), 0);
    bench_hist_add(&h, 7, 0);
    cr_expect_eq(h.n, 0);
    cr_expect_eq(h.max, 0);
}

Test(hist, small_values_are_exact)
{
    memset(&h, 0, sizeof h);
    for (int64_t v = 1; v <= 100; v++)
        bench_hist_add(&h, v, 1);
    cr_expect_eq(bench_hist_at(&h, 50, 100), 50);
    cr_expect_eq(bench_hist_at(&h, 99, 100), 99);
    cr_expect_eq(bench_hist_at(&h, 999, 1000), 100, "999 of 1000 of a hundred is all of them");
    cr_expect_eq(bench_hist_at(&h, 1, 1), 100);
    cr_expect_eq(bench_hist_at(&h, 0, 1), 1, "the least");
}

Test(hist, a_value_is_told_at_most_one_128th_too_large_and_never_too_small)
{
    for (uint64_t v = 1; v < 1ULL << 43; v += v / 3 + 1) {
        memset(&h, 0, sizeof h);
        bench_hist_add(&h, (int64_t)v, 1);
        bench_hist_add(&h, (int64_t)(v * 4), 1); /* so that the largest does not hide it */
        uint64_t told = bench_hist_at(&h, 1, 2);
        cr_assert(told >= v && told - v <= v / 128, "%lu told as %lu", (unsigned long)v, (unsigned long)told);
    }
}

Test(hist, steps_begin_where_128_of_them_make_a_power_of_two)
{
    memset(&h, 0, sizeof h);
    bench_hist_add(&h, 256, 1); /* 256 and 257 share a step, 258 has the next */
    bench_hist_add(&h, 1000000, 1);
    cr_expect_eq(bench_hist_at(&h, 1, 2), 257);
    memset(&h, 0, sizeof h);
    bench_hist_add(&h, 255, 1);
    bench_hist_add(&h, 1000000, 1);
    cr_expect_eq(bench_hist_at(&h, 1, 2), 255);
}

Test(hist, the_largest_is_exact_also_beyond_the_last_step)
{
    memset(&h, 0, sizeof h);
    bench_hist_add(&h, 1234567, 3);
    cr_expect_eq(bench_hist_at(&h, 1, 2), 1234567);
    bench_hist_add(&h, INT64_MAX, 1);
    cr_expect_eq(bench_hist_at(&h, 1, 1), (uint64_t)INT64_MAX);
    cr_expect_eq(h.n, 4);
}

Test(hist, a_clock_that_went_back_counts_as_0)
{
    memset(&h, 0, sizeof h);
    bench_hist_add(&h, -5, 2);
    cr_expect_eq(h.n, 2);
    cr_expect_eq(bench_hist_at(&h, 1, 1), 0);
}

Test(hist, merging_is_adding)
{
    memset(&h, 0, sizeof h);
    memset(&g, 0, sizeof g);
    bench_hist_add(&h, 10, 90);
    bench_hist_add(&g, 100, 10);
    bench_hist_merge(&h, &g);
    cr_expect_eq(h.n, 100);
    cr_expect_eq(h.max, 100);
    cr_expect_eq(bench_hist_at(&h, 90, 100), 10);
    cr_expect_eq(bench_hist_at(&h, 91, 100), 100);
}

Test(plan, messages_are_due_at_even_distances)
{
    cr_expect_eq(bench_plan_due_ns(0, 1000), 0);
    cr_expect_eq(bench_plan_due_ns(1, 1000), 1000000);
    cr_expect_eq(bench_plan_due_ns(1, 3), 333333333);
    cr_expect_eq(bench_plan_due_ns(3, 3), 1000000000);
}

Test(plan, nothing_drifts_in_a_day)
{
    cr_expect_eq(bench_plan_due_ns(3ULL * 86400, 3), 86400LL * 1000000000);
    cr_expect_eq(bench_plan_due_ns(9999999ULL * 86400 + 1, 9999999), 86400LL * 1000000000 + 100);
}

Test(plan, how_many_are_due_is_the_inverse)
{
    static const uint64_t rates[] = {1, 3, 7, 1000, 9999999, 1000000000};
    for (size_t r = 0; r < sizeof rates / sizeof *rates; r++)
        for (uint64_t i = 0; i < 5 * rates[r]; i += rates[r] / 5 + 1) {
            int64_t due = bench_plan_due_ns(i, rates[r]);
            cr_assert_eq(bench_plan_due_count(due, rates[r]), i, "rate %lu, message %lu", (unsigned long)rates[r], (unsigned long)i);
            cr_assert_eq(bench_plan_due_count(due + 1, rates[r]), i + 1);
        }
    cr_expect_eq(bench_plan_due_count(0, 5), 0);
    cr_expect_eq(bench_plan_due_count(-1, 5), 0);
    cr_expect_eq(bench_plan_due_count(1000000000, 5), 5);
}

Test(marks, a_second_mark_is_noticed_and_a_number_out_of_range_harms_nothing)
{
    struct bench_marks m;
    cr_assert(bench_marks_init(&m, 65));
    cr_expect_not(bench_marks_set(&m, 0));
    cr_expect_not(bench_marks_set(&m, 64));
    cr_expect(bench_marks_set(&m, 64));
    cr_expect(bench_marks_set(&m, 65));
    cr_expect(bench_marks_set(&m, UINT64_MAX));
    bench_marks_fini(&m);
}

Test(marks, lost_are_those_acknowledged_and_not_seen_from_the_measurement_on)
{
    struct bench_marks acked, seen;
    cr_assert(bench_marks_init(&acked, 200) && bench_marks_init(&seen, 200));
    for (uint64_t i = 0; i < 200; i++) {
        if (i != 150)
            bench_marks_set(&acked, i);
        if (i != 3 && i != 70 && i != 150 && i != 199)
            bench_marks_set(&seen, i);
    }
    cr_expect_eq(bench_marks_missing(&acked, &seen, 0), 3);
    cr_expect_eq(bench_marks_missing(&acked, &seen, 4), 2);
    cr_expect_eq(bench_marks_missing(&acked, &seen, 70), 2);
    cr_expect_eq(bench_marks_missing(&acked, &seen, 71), 1);
    cr_expect_eq(bench_marks_missing(&acked, &seen, 200), 0);
    bench_marks_fini(&acked);
    bench_marks_fini(&seen);
}
