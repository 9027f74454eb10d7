/* round_due.c - when rounds over the queues begin: a table of moments. */
#include <criterion/criterion.h>

#include "broker/store/round_due.h"

#define MIB ((uint64_t)1 << 20)
#define NEVER INT64_MAX
static const struct round_rule rule = {.interval_ms = 1000, .thorough_ms = 60000, .log_file_size = 1024 * MIB};

static void expect(const char *what, struct round_due got, int64_t in_ms, bool thorough)
{
    cr_expect_eq(got.in_ms, in_ms, "%s: in %lld ms", what, (long long)got.in_ms);
    cr_expect(got.in_ms == NEVER || got.thorough == thorough, "%s: thorough %d", what, got.thorough);
}

static const struct round_facts calm = {.mono_ms = 100400, .began_ms = 100000, .thorough_ms = 80000, .dirty = true, .safe_off = 5000 * MIB, .end_off = 5000 * MIB + 77};

Test(round_due, what_waits_decides_when)
{
    struct round_facts f = calm;
    f.dirty = false;
    expect("nothing waits", round_due(&rule, &f), NEVER, false);
    f = calm;
    expect("few units", round_due(&rule, &f), 39600, true);
    f.ripe = true;
    expect("enough in one", round_due(&rule, &f), 600, false);
    f.mono_ms = 101000;
    expect("its time has come", round_due(&rule, &f), 0, false);
    f.mono_ms = 170000;
    expect("both are due", round_due(&rule, &f), 0, true);
    f.ripe = false;
    expect("the thorough one is", round_due(&rule, &f), 0, true);
    f.began_ms = 169900;
    expect("but a round has just been", round_due(&rule, &f), 900, true);
}

Test(round_due, a_thorough_round_comes_early_for_a_reason)
{
    struct round_facts f = calm;
    f.owed = true;
    expect("the last one left something", round_due(&rule, &f), 600, true);
    f = calm;
    f.end_off = f.safe_off + 256 * MIB - 1;
    f.safe_off -= 880 * MIB, f.end_off -= 880 * MIB; /* 4,120 MiB: in the midst of a file */
    expect("a recovery would read less than 256 MiB", round_due(&rule, &f), 39600, true);
    f.end_off++;
    expect("it would read as much", round_due(&rule, &f), 600, true);
    f.ripe = true;
    expect("enough in one, too", round_due(&rule, &f), 600, true);
    f = calm;
    f.safe_off = 5120 * MIB - 1;
    f.end_off = 5120 * MIB;
    expect("a file of the log is full", round_due(&rule, &f), 600, true);
    f.safe_off = f.end_off;
    expect("and its units are safe", round_due(&rule, &f), 39600, true);
}

Test(round_due, memory_does_not_wait_but_for_a_disk_without_room)
{
    struct round_facts f = calm;
    f.waiting = ROUND_WAITING_EARLY;
    expect("as much as may wait", round_due(&rule, &f), 39600, true);
    f.waiting++;
    expect("more", round_due(&rule, &f), 0, true);
    f.owed = true;
    expect("it was tried", round_due(&rule, &f), 600, true);
}

Test(round_due, without_a_thorough_interval_every_round_is_thorough)
{
    const struct round_rule each = {.interval_ms = 1000, .thorough_ms = 0, .log_file_size = 1024 * MIB};
    struct round_facts f = calm;
    f.thorough_ms = f.began_ms;
    f.ripe = true;
    expect("enough in one", round_due(&each, &f), 600, true);
    f.ripe = false;
    expect("few units", round_due(&each, &f), 600, true);
}
