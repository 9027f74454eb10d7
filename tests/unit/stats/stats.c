/* stats.c - counters by topic and group, and what 28 and 315 say of them. Time is a number here: a sample each ten seconds. */
#include "broker/stats/stats.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/mem.h"

enum { TEN = 10000 };
static const int64_t T0 = 1767225600000; /* 2026-01-01, midnight in UTC */
static struct stats *s;
static int64_t now, wall_off; /* by the clock that never jumps; the wall clock is T0 + now + wall_off */

static void start(void)
{
    setenv("TZ", "UTC", 1);
    tzset();
    now = 7000;
    wall_off = -now;
    cr_assert(stats_new("DefaultCluster", T0, now, &s) == MQ_OK);
}
static void stop(void) { stats_free(s); }
TestSuite(stats, .init = start, .fini = stop);

static void sample(void)
{
    now += TEN;
    stats_sample(s, T0 + now + wall_off, now);
}
static void put(const char *topic, int64_t n, int64_t times) { stats_add(s, STAT_TOPIC_PUT_NUMS, slice_str(topic), (struct slice){0}, n, times); }

static void expect(const char *name, const char *key, const char *want)
{
    struct buf b = {0};
    bool there = stats_encode(s, slice_str(name), slice_str(key), &b);
    cr_expect(there == (want != NULL), "%s %s", name, key);
    cr_expect(want == NULL || slice_is(buf_view(&b), want), "%s %s: %.*s", name, key, SLICE_ARG(buf_view(&b)));
    buf_free(&b);
}

#define ZERO "{\"avgpt\":0.0,\"sum\":0,\"tps\":0.0}"

Test(stats, an_item_shows_zeros_before_its_first_sample_and_what_nobody_counted_does_not_exist)
{
    expect("TOPIC_PUT_NUMS", "t", NULL);
    put("t", 5, 1);
    expect("TOPIC_PUT_NUMS", "t", "{\"statsDay\":" ZERO ",\"statsHour\":" ZERO ",\"statsMinute\":" ZERO "}");
    expect("TOPIC_PUT_NUMS", "u", NULL);
    expect("TOPIC_PUT_SIZE", "t", NULL);
    expect("NO_SUCH_NAME", "t", NULL);
    expect("TOPIC_PUT_NUMS", "", NULL);
}

Test(stats, the_minute_is_newest_minus_oldest_of_seven_samples)
{
    put("t", 100, 1);
    sample(); /* a first sample counts from zero, ten seconds earlier */
    expect("TOPIC_PUT_NUMS", "t", "{\"statsDay\":" ZERO ",\"statsHour\":" ZERO ",\"statsMinute\":{\"avgpt\":100.0,\"sum\":100,\"tps\":10.0}}");
    cr_assert(stats_tps_of_minute(s, STAT_TOPIC_PUT_NUMS, SLICE_LIT("t"), (struct slice){0}) == 10.0);
    for (int i = 0; i < 6; i++) {
        put("t", 60, 2);
        sample();
    }
    /* the sample of zero has left: 60 each in six spans */
    expect("TOPIC_PUT_NUMS", "t", "{\"statsDay\":" ZERO ",\"statsHour\":" ZERO ",\"statsMinute\":{\"avgpt\":30.0,\"sum\":360,\"tps\":6.0}}");
    for (int i = 0; i < 7; i++)
        sample();
    expect("TOPIC_PUT_NUMS", "t", "{\"statsDay\":" ZERO ",\"statsHour\":" ZERO ",\"statsMinute\":" ZERO "}");
    cr_assert(stats_tps_of_minute(s, STAT_TOPIC_PUT_NUMS, SLICE_LIT("none"), (struct slice){0}) == 0);
}

Test(stats, the_hour_is_sampled_each_ten_minutes_and_the_day_each_hour)
{
    put("t", 600, 1);
    for (int i = 0; i < 60; i++)
        sample();
    expect("TOPIC_PUT_NUMS", "t", "{\"statsDay\":" ZERO ",\"statsHour\":{\"avgpt\":600.0,\"sum\":600,\"tps\":1.0},\"statsMinute\":" ZERO "}");
    for (int i = 0; i < 300; i++)
        sample();
    put("t", 3600, 1);
    for (int i = 0; i < 360; i++)
        sample();
    struct buf b = {0};
    cr_assert(stats_encode(s, SLICE_LIT("TOPIC_PUT_NUMS"), SLICE_LIT("t"), &b));
    buf_u8(&b, 0);
    cr_expect(strstr((char *)b.p, "\"statsDay\":{\"avgpt\":2100.0,\"sum\":4200,") != NULL, "%s", (char *)b.p);
    cr_expect(strstr((char *)b.p, "\"statsHour\":{\"avgpt\":3600.0,\"sum\":3600,\"tps\":1.0}") != NULL, "%s", (char *)b.p);
    buf_free(&b);
}

Test(stats, names_and_keys_are_apaches)
{
    struct slice t = SLICE_LIT("t"), g = SLICE_LIT("g"), none = {0};
    stats_add(s, STAT_TOPIC_PUT_SIZE, t, none, 1, 1);
    stats_add(s, STAT_GROUP_GET_NUMS, t, g, 1, 1);
    stats_add(s, STAT_GROUP_GET_SIZE, t, g, 1, 1);
    stats_add(s, STAT_SNDBCK_PUT_NUMS, t, g, 1, 1);
    stats_add(s, STAT_BROKER_PUT_NUMS, none, none, 1, 1);
    stats_add(s, STAT_BROKER_GET_NUMS, none, none, 1, 1);
    const char *there[][2] = {{"TOPIC_PUT_SIZE", "t"}, {"GROUP_GET_NUMS", "t@g"}, {"GROUP_GET_SIZE", "t@g"}, {"SNDBCK_PUT_NUMS", "t@g"},
                              {"BROKER_PUT_NUMS", "DefaultCluster"}, {"BROKER_GET_NUMS", "DefaultCluster"}};
    for (size_t i = 0; i < sizeof there / sizeof *there; i++)
        expect(there[i][0], there[i][1], "{\"statsDay\":" ZERO ",\"statsHour\":" ZERO ",\"statsMinute\":" ZERO "}");
    expect("GROUP_GET_NUMS", "t", NULL);
    expect("BROKER_PUT_NUMS", "t", NULL);
}

Test(stats, a_removed_topic_takes_its_items_along_and_a_removed_group_its_own)
{
    struct slice none = {0};
    put("t", 1, 1);
    put("tt", 1, 1);
    stats_add(s, STAT_GROUP_GET_NUMS, SLICE_LIT("t"), SLICE_LIT("g"), 1, 1);
    stats_add(s, STAT_GROUP_GET_NUMS, SLICE_LIT("tt"), SLICE_LIT("g"), 1, 1);
    stats_add(s, STAT_GROUP_GET_NUMS, SLICE_LIT("tt"), SLICE_LIT("gg"), 1, 1);
    stats_add(s, STAT_BROKER_PUT_NUMS, none, none, 1, 1);
    stats_remove_topic(s, SLICE_LIT("t"));
    struct buf b = {0};
    cr_expect(!stats_encode(s, SLICE_LIT("TOPIC_PUT_NUMS"), SLICE_LIT("t"), &b) && !stats_encode(s, SLICE_LIT("GROUP_GET_NUMS"), SLICE_LIT("t@g"), &b));
    cr_expect(stats_encode(s, SLICE_LIT("TOPIC_PUT_NUMS"), SLICE_LIT("tt"), &b) && stats_encode(s, SLICE_LIT("GROUP_GET_NUMS"), SLICE_LIT("tt@g"), &b));
    stats_remove_group(s, SLICE_LIT("g"));
    cr_expect(!stats_encode(s, SLICE_LIT("GROUP_GET_NUMS"), SLICE_LIT("tt@g"), &b) && stats_encode(s, SLICE_LIT("GROUP_GET_NUMS"), SLICE_LIT("tt@gg"), &b));
    stats_remove_topic(s, SLICE_LIT("DefaultCluster")); /* the broker's own figures are no topic's */
    cr_expect(stats_encode(s, SLICE_LIT("BROKER_PUT_NUMS"), SLICE_LIT("DefaultCluster"), &b));
    stats_add(s, STAT_BROKER_PUT_NUMS, none, none, 1, 1);
    buf_free(&b);
}

Test(stats, a_key_beyond_the_limit_is_not_counted)
{
    char name[600];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    put(name, 1, 1);
    expect("TOPIC_PUT_NUMS", name, NULL);
    name[127] = '\0';
    put(name, 1, 1);
    struct buf b = {0};
    cr_expect(stats_encode(s, SLICE_LIT("TOPIC_PUT_NUMS"), slice_str(name), &b));
    buf_free(&b);
}

static void expect_rate(enum stat_rate r, const char *want)
{
    char text[100];
    stats_rate_text(s, r, text, sizeof text);
    cr_expect_str_eq(text, want);
}

Test(stats, rates_are_numbers_from_the_first_moment_and_cover_10_60_and_600_seconds)
{
    expect_rate(RATE_PUT, "0.0 0.0 0.0");
    stats_count(s, RATE_PUT, 100);
    expect_rate(RATE_PUT, "0.0 0.0 0.0"); /* not sampled yet */
    sample();
    expect_rate(RATE_PUT, "10.0 10.0 10.0");
    sample();
    expect_rate(RATE_PUT, "0.0 5.0 5.0"); /* since the start, while that is shorter */
    for (int i = 0; i < 4; i++)
        sample();
    stats_count(s, RATE_PUT, 600);
    sample();
    expect_rate(RATE_PUT, "60.0 10.0 10.0"); /* 600 in 60 s; 700 in 70 s */
    for (int i = 0; i < 53; i++)
        sample();
    sample();
    expect_rate(RATE_PUT, "0.0 0.0 1.0"); /* the first 100 are older than 600 s */
    expect_rate(RATE_GET_TOTAL, "0.0 0.0 0.0");
    cr_assert(stats_total(s, RATE_PUT) == 700);
}

Test(stats, the_text_is_cut_to_its_room)
{
    char text[6];
    stats_rate_text(s, RATE_PUT, text, sizeof text);
    cr_assert_str_eq(text, "0.0 0");
}

Test(stats, totals_are_remembered_at_midnight)
{
    wall_off = 86400000 - 2 * TEN - now; /* shortly before the next midnight */
    stats_count(s, RATE_PUT, 5);
    sample();
    cr_assert(stats_at_morning(s, RATE_PUT, false) == 0 && stats_at_morning(s, RATE_PUT, true) == 0);
    sample();
    cr_assert(stats_at_morning(s, RATE_PUT, false) == 5 && stats_at_morning(s, RATE_PUT, true) == 0);
    stats_count(s, RATE_PUT, 2);
    sample();
    cr_assert(stats_at_morning(s, RATE_PUT, false) == 5);
    wall_off += 86400000;
    sample();
    cr_assert(stats_at_morning(s, RATE_PUT, false) == 7 && stats_at_morning(s, RATE_PUT, true) == 5);
}

Test(stats, a_clock_that_is_set_does_not_change_rates)
{
    char text[64];
    for (int i = 0; i < 4; i++) {
        put("t", 100, 1);
        stats_count(s, RATE_PUT, 100);
        wall_off += i % 2 ? -3 * 86400000LL : 5 * 3600000LL;
        sample();
    }
    expect("TOPIC_PUT_NUMS", "t",
           "{\"statsDay\":" ZERO ",\"statsHour\":" ZERO ",\"statsMinute\":{\"avgpt\":100.0,\"sum\":400,\"tps\":10.0}}");
    stats_rate_text(s, RATE_PUT, text, sizeof text);
    cr_assert_str_eq(text, "10.0 10.0 10.0");
}

Test(stats, without_memory_a_count_is_lost_and_nothing_else)
{
    struct stats *none = NULL;
    for (uint64_t n = 1; n <= 2; n++) {
        mem_fail_after(n);
        cr_assert(stats_new("c", T0, now, &none) == MQ_ENOMEM && none == NULL);
        mem_fail_after(0);
    }
    for (uint64_t n = 1; n <= 2; n++) {
        mem_fail_after(n);
        put("t", 1, 1);
        mem_fail_after(0);
        expect("TOPIC_PUT_NUMS", "t", NULL);
    }
    put("t", 60, 1);
    mem_fail_after(1);
    for (int i = 0; i < 60; i++) /* no memory for the hour's points */
        sample();
    char text[64];
    stats_rate_text(s, RATE_PUT, text, sizeof text);
    mem_fail_after(0);
    cr_assert_str_eq(text, "0.0 0.0 0.0");
    expect("TOPIC_PUT_NUMS", "t", "{\"statsDay\":" ZERO ",\"statsHour\":" ZERO ",\"statsMinute\":" ZERO "}");
    stats_free(NULL);
}
