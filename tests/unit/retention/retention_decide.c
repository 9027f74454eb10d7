/* retention_decide.c - Apache's rules of inventory g.14 as tables. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <math.h>
#include <stdlib.h>
#include <time.h>

#include "broker/store/retention.h"

enum { HOUR_MS = 3600 * 1000 };
static const int64_t now = 1700000000000;
static const struct retention_rule rule = {
    .reserved_ms = (int64_t)72 * HOUR_MS, .delete_hours = 1u << 4, .clean_percent = 75, .force_percent = 85, .stop_percent = 90};

/* n files, the newest written now, each an hour younger than the one before it, the oldest `oldest` hours old. */
static size_t decide(int n, int oldest, int hour, double log, double queue, bool manual, enum retention_why *why)
{
    struct retention_file files[32];
    for (int i = 0; i < n; i++)
        files[i] = (struct retention_file){(uint64_t)i * 100, 100, now - (int64_t)(oldest - i) * HOUR_MS};
    struct retention_facts facts = {now, hour, log, queue, manual};
    return retention_expired(&rule, &facts, files, (size_t)n, why);
}

Test(retention_decide, expired_files_go_in_the_hour_or_beyond_the_clean_percentage_or_by_hand)
{
    const struct {
        int n, oldest, hour;
        double log, queue;
        bool manual;
        size_t go;
        enum retention_why why;
    } cases[] = {
        {5, 80, 3, 0.50, 0.50, false, 0, RETENTION_NOTHING},
        {5, 80, 4, 0.50, 0.50, false, 4, RETENTION_HOUR},       /* never the last */
        {5, 73, 4, 0.50, 0.50, false, 2, RETENTION_HOUR},       /* 73 and 72 hours old */
        {5, 72, 4, 0.50, 0.50, false, 1, RETENTION_HOUR},
        {5, 71, 4, 0.50, 0.50, false, 0, RETENTION_HOUR},
        {5, 80, 3, 0.75, 0.75, false, 0, RETENTION_NOTHING},    /* at the percentage is not beyond it */
        {5, 80, 3, 0.76, 0.50, false, 4, RETENTION_SPACE},
        {5, 80, 3, 0.50, 0.76, false, 4, RETENTION_SPACE},
        {5, 71, 3, 0.85, 0.50, false, 0, RETENTION_SPACE},
        {5, 0, 3, 0.86, 0.50, false, 4, RETENTION_FORCED},      /* age does not count */
        {5, 0, 4, 0.50, 0.86, false, 4, RETENTION_FORCED},
        {5, 80, 3, 0.50, 0.50, true, 4, RETENTION_MANUAL},
        {5, 71, 3, 0.50, 0.50, true, 0, RETENTION_MANUAL},
        {5, 80, 4, 0.76, 0.50, true, 4, RETENTION_HOUR},
        {20, 99, 4, 0.50, 0.50, false, 10, RETENTION_HOUR},     /* ten a round */
        {11, 99, 4, 0.50, 0.50, false, 10, RETENTION_HOUR},
        {10, 99, 4, 0.50, 0.50, false, 9, RETENTION_HOUR},
        {1, 99, 4, 0.99, 0.99, true, 0, RETENTION_FORCED},
        {0, 99, 4, 0.99, 0.99, true, 0, RETENTION_FORCED},
        {5, 80, 3, -1, -1, false, 0, RETENTION_NOTHING},        /* not known */
        {5, 80, -1, 0.50, 0.50, false, 0, RETENTION_NOTHING},
        {5, 80, 24, 0.50, 0.50, false, 0, RETENTION_NOTHING},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum retention_why why = RETENTION_NOTHING;
        size_t go = decide(cases[i].n, cases[i].oldest, cases[i].hour, cases[i].log, cases[i].queue, cases[i].manual, &why);
        cr_expect(eq(sz, go, cases[i].go), "case %zu", i);
        cr_expect(eq(int, why, cases[i].why), "case %zu: %s", i, retention_why_name(why));
    }
}

Test(retention_decide, a_young_file_protects_those_behind_it_and_an_unknown_age_is_young)
{
    struct retention_file files[] = {{0, 1, 1}, {1, 1, -1}, {2, 1, 1}, {3, 1, 1}};
    struct retention_facts facts = {now, 4, 0.5, 0.5, false};
    cr_expect(eq(sz, retention_expired(&rule, &facts, files, 4, NULL), 1));
    files[1].modified_ms = now;
    cr_expect(eq(sz, retention_expired(&rule, &facts, files, 4, NULL), 1));
    files[1].modified_ms = INT64_MAX;
    cr_expect(eq(sz, retention_expired(&rule, &facts, files, 4, NULL), 1));
    files[1].modified_ms = 1;
    cr_expect(eq(sz, retention_expired(&rule, &facts, files, 4, NULL), 3));
}

Test(retention_decide, a_force_percentage_below_the_clean_one_allows_nothing_by_itself)
{
    struct retention_rule odd = rule;
    struct retention_file files[] = {{0, 1, now}, {1, 1, now}};
    struct retention_facts facts = {now, 3, 0.90, 0.5, false};
    odd.clean_percent = 95;
    cr_expect(eq(sz, retention_expired(&odd, &facts, files, 2, NULL), 0));
    facts.hour = 4;
    cr_expect(eq(sz, retention_expired(&odd, &facts, files, 2, NULL), 1));
}

Test(retention_decide, the_store_is_full_beyond_the_stop_percentage_of_either_partition)
{
    cr_expect(not(retention_full(&rule, 0.90, 0.90)));
    cr_expect(retention_full(&rule, 0.91, 0.10));
    cr_expect(retention_full(&rule, 0.10, 0.91));
    cr_expect(not(retention_full(&rule, -1, -1)));
}

Test(retention_decide, ratios_are_whole_percents_rounded_up)
{
    const struct {
        uint64_t free, total;
        double ratio;
    } cases[] = {
        {100, 100, 0}, {50, 100, 0.5}, {0, 100, 1}, {499, 1000, 0.51}, {500, 1000, 0.5}, {1, UINT64_MAX, 1}, {UINT64_MAX / 2 + 1, UINT64_MAX, 0.5},
        {999, 1000, 0.01}, {200, 100, 0}, {0, 0, -1}, {5, 0, -1}, {UINT64_MAX, UINT64_MAX, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect(lt(dbl, fabs(retention_ratio(cases[i].free, cases[i].total) - cases[i].ratio), 1e-9), "case %zu", i);
}

Test(retention_decide, the_hour_is_local)
{
    setenv("TZ", "UTC", 1);
    tzset();
    cr_expect(eq(int, retention_hour(1700000000000), 22));
    setenv("TZ", "XYZ-8", 1); /* eight hours east */
    tzset();
    cr_expect(eq(int, retention_hour(1700000000000), 6));
    for (int why = RETENTION_NOTHING; why <= RETENTION_FORCED; why++)
        cr_expect(ne(str, (char *)retention_why_name((enum retention_why)why), "?"));
    cr_expect(eq(str, (char *)retention_why_name((enum retention_why)99), "?"));
}
