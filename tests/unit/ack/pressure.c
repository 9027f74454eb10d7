/* pressure.c - bounds with a low mark, and a maximum that forgets. */
#include <criterion/criterion.h>
#include <string.h>

#include "broker/ack/pressure.h"

static struct pressure_figures f;
static void start(void) { f = (struct pressure_figures){.syncs_max = 100, .unflushed_max = 1000}; }
TestSuite(pressure, .init = start);

Test(pressure, nothing_presses_below_the_bounds)
{
    cr_expect_eq(pressure_of(PRESSURE_NONE, &f), PRESSURE_NONE);
    f.syncs = 99;
    f.unflushed = 999;
    cr_expect_eq(pressure_of(PRESSURE_NONE, &f), PRESSURE_NONE);
}

Test(pressure, a_bound_that_is_reached_presses_until_a_quarter_is_free)
{
    f.syncs = 100;
    cr_expect_eq(pressure_of(PRESSURE_NONE, &f), PRESSURE_SYNCS);
    f.syncs = 75;
    cr_expect_eq(pressure_of(PRESSURE_SYNCS, &f), PRESSURE_SYNCS);
    cr_expect_eq(pressure_of(PRESSURE_UNFLUSHED, &f), PRESSURE_NONE);
    f.syncs = 74;
    cr_expect_eq(pressure_of(PRESSURE_SYNCS, &f), PRESSURE_NONE);
    f.syncs = 0;
    f.unflushed = 1000;
    cr_expect_eq(pressure_of(PRESSURE_NONE, &f), PRESSURE_UNFLUSHED);
    f.unflushed = 750;
    cr_expect_eq(pressure_of(PRESSURE_UNFLUSHED, &f), PRESSURE_UNFLUSHED);
    f.unflushed = 749;
    cr_expect_eq(pressure_of(PRESSURE_UNFLUSHED, &f), PRESSURE_NONE);
}

Test(pressure, one_reason_may_follow_another)
{
    f.syncs = 100;
    f.unflushed = 1000;
    cr_expect_eq(pressure_of(PRESSURE_STORE, &f), PRESSURE_SYNCS);
    f.syncs = 10;
    cr_expect_eq(pressure_of(PRESSURE_SYNCS, &f), PRESSURE_UNFLUSHED);
    f.store_busy = true;
    cr_expect_eq(pressure_of(PRESSURE_UNFLUSHED, &f), PRESSURE_STORE);
    f.store_busy = false;
    f.unflushed = 10;
    cr_expect_eq(pressure_of(PRESSURE_STORE, &f), PRESSURE_NONE);
}

Test(pressure, the_smallest_bounds_let_something_through)
{
    f = (struct pressure_figures){.syncs_max = 1, .unflushed_max = 1};
    cr_expect_eq(pressure_of(PRESSURE_NONE, &f), PRESSURE_NONE);
    cr_expect_eq(pressure_of(PRESSURE_SYNCS, &f), PRESSURE_NONE);
    f.syncs = 1;
    cr_expect_eq(pressure_of(PRESSURE_NONE, &f), PRESSURE_SYNCS);
}

Test(pressure, each_has_a_name)
{
    cr_expect_str_eq(pressure_name(PRESSURE_NONE), "none");
    cr_expect_str_eq(pressure_name(PRESSURE_STORE), "store");
    cr_expect_str_eq(pressure_name(PRESSURE_SYNCS), "syncs");
    cr_expect_str_eq(pressure_name(PRESSURE_UNFLUSHED), "unflushed");
}

Test(waits, the_longest_stays_and_the_last_minutes_goes)
{
    struct waits w = {0};
    cr_expect(w.longest_ms == 0 && waits_last_minute(&w, 5000) == 0);
    waits_note(&w, 12000, 300);
    waits_note(&w, 13000, 200);
    cr_expect(w.longest_ms == 300 && waits_last_minute(&w, 13000) == 300);
    waits_note(&w, 41000, 100);
    cr_expect(waits_last_minute(&w, 69999) == 300);
    cr_expect(waits_last_minute(&w, 70000) == 100);
    cr_expect(waits_last_minute(&w, 100000) == 0 && w.longest_ms == 300);
    waits_note(&w, 131000, 50); /* the slot of 12000 again */
    cr_expect(waits_last_minute(&w, 131000) == 50);
}
