/* longpoll.c - parked pulls: who wakes them, in which order, and that each is told exactly once. The clock is a number here. */
#include "broker/longpoll/longpoll.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"

struct pull {
    char name;
    int64_t tags;   /* 0: everything */
    int woken, dropped;
    enum longpoll_why why;
    bool parks_again;
    uint64_t closes; /* a connection that goes while it is woken */
};

static struct longpoll *lp;
static char story[128]; /* names in the order of telling: a by arrival, A by deadline, (a) dropped */
static int asked;

static void tell(const char *word) { strncat(story, word, sizeof story - strlen(story) - 1); }

static bool on_match(void *ctx, void *arg, int64_t tags_code, struct slice properties)
{
    struct pull *p = arg;
    (void)ctx, (void)properties;
    asked++;
    return p->tags == 0 || p->tags == tags_code;
}

static enum mq_err park(struct pull *p, const char *topic, int32_t queue, int64_t from, uint64_t conn, int64_t deadline)
{
    return longpoll_park(lp, slice_str(topic), queue, from, conn, deadline, p);
}

static void on_wake(void *ctx, void *arg, enum longpoll_why why)
{
    struct pull *p = arg;
    char word[2] = {why == LONGPOLL_ARRIVAL ? p->name : (char)(p->name - 32), '\0'};
    (void)ctx;
    tell(word);
    p->woken++;
    p->why = why;
    if (p->closes)
        longpoll_conn_closed(lp, p->closes);
    if (p->parks_again)
        cr_assert(park(p, "t", 0, 100, 1, 50000) == MQ_OK);
}

static void on_drop(void *ctx, void *arg)
{
    struct pull *p = arg;
    char word[4] = {'(', p->name, ')', '\0'};
    (void)ctx;
    tell(word);
    p->dropped++;
}

static void start(void)
{
    const struct longpoll_config cfg = {NULL, on_match, on_wake, on_drop};
    cr_assert(longpoll_new(&cfg, &lp) == MQ_OK);
}
static void stop(void) { longpoll_free(lp); }
TestSuite(longpoll, .init = start, .fini = stop);

static void arrive(const char *topic, int32_t queue, int64_t off, int64_t tags) { longpoll_arrived(lp, slice_str(topic), queue, off, tags, SLICE_LIT("")); }
static void expect(const char *want)
{
    cr_expect_str_eq(story, want);
    story[0] = '\0';
}

Test(longpoll, an_arrival_wakes_exactly_its_queue_at_the_end_of_the_turn)
{
    struct pull a = {.name = 'a'}, b = {.name = 'b'}, c = {.name = 'c'}, d = {.name = 'd'};
    park(&a, "t", 0, 5, 1, 1000);
    park(&b, "t", 1, 5, 1, 1000);
    park(&c, "u", 0, 5, 1, 1000);
    park(&d, "t", 0, 5, 2, 1000);
    arrive("t", 0, 5, 0);
    expect(""); /* not inside the store's call */
    longpoll_run_arrivals(lp);
    expect("ad");
    cr_assert(a.why == LONGPOLL_ARRIVAL && longpoll_count(lp) == 2);
    arrive("t", 0, 6, 0);
    longpoll_run_arrivals(lp);
    expect("");
    arrive("t", 1, 5, 0);
    arrive("u", 0, 5, 0);
    longpoll_run_arrivals(lp);
    expect("bc");
    cr_assert(longpoll_count(lp) == 0);
}

Test(longpoll, a_burst_wakes_a_pull_once)
{
    struct pull a = {.name = 'a'};
    park(&a, "t", 0, 0, 1, 1000);
    for (int i = 0; i < 32; i++)
        arrive("t", 0, i, 0);
    cr_assert(asked == 1);
    longpoll_run_arrivals(lp);
    longpoll_run_arrivals(lp);
    expect("a");
    cr_assert(longpoll_run_deadlines(lp, 5000) == INT64_MAX);
    expect("");
}

Test(longpoll, what_lies_below_the_wanted_offset_or_has_other_tags_wakes_nobody)
{
    struct pull a = {.name = 'a'}, b = {.name = 'b', .tags = 42};
    park(&a, "t", 0, 10, 1, 1000);
    park(&b, "t", 0, 0, 1, 1000);
    arrive("t", 0, 9, 41);
    longpoll_run_arrivals(lp);
    expect("");
    arrive("t", 0, 10, 41);
    longpoll_run_arrivals(lp);
    expect("a");
    arrive("t", 0, 11, 42);
    longpoll_run_arrivals(lp);
    expect("b");
}

Test(longpoll, an_arrival_where_nobody_waits_asks_nobody)
{
    struct pull a = {.name = 'a'};
    arrive("t", 0, 0, 0);
    park(&a, "t", 0, 0, 1, 1000);
    arrive("t", 1, 0, 0);
    arrive("tt", 0, 0, 0);
    arrive("", 0, 0, 0);
    cr_assert(asked == 0);
    longpoll_run_arrivals(lp);
    expect("");
}

Test(longpoll, topics_that_share_bytes_with_a_queue_id_are_not_mixed_up)
{
    struct pull a = {.name = 'a'};
    park(&a, "t\1\0\0", 0, 0, 1, 1000); /* "t\1": the rest of the literal is cut */
    arrive("t", 1, 0, 0);
    longpoll_run_arrivals(lp);
    expect("");
}

Test(longpoll, deadlines_wake_in_their_order_and_name_the_next)
{
    struct pull a = {.name = 'a'}, b = {.name = 'b'}, c = {.name = 'c'};
    park(&a, "t", 0, 0, 1, 3000);
    park(&b, "t", 0, 0, 1, 1000);
    park(&c, "u", 0, 0, 1, 2000);
    cr_assert(longpoll_run_deadlines(lp, 999) == 1000);
    expect("");
    cr_assert(longpoll_run_deadlines(lp, 2000) == 3000);
    expect("BC");
    cr_assert(b.why == LONGPOLL_DEADLINE);
    arrive("t", 0, 0, 0);
    longpoll_run_arrivals(lp);
    expect("a");
    cr_assert(longpoll_run_deadlines(lp, 9000) == INT64_MAX && longpoll_count(lp) == 0);
}

Test(longpoll, a_pull_that_is_ready_and_late_is_told_once)
{
    struct pull a = {.name = 'a'};
    park(&a, "t", 0, 0, 1, 1000);
    arrive("t", 0, 0, 0);
    longpoll_run_deadlines(lp, 1000);
    longpoll_run_arrivals(lp);
    expect("A");
}

Test(longpoll, a_woken_pull_may_park_again_and_waits_for_the_next_turn)
{
    struct pull a = {.name = 'a', .parks_again = true};
    park(&a, "t", 0, 0, 1, 1000);
    arrive("t", 0, 0, 0);
    longpoll_run_arrivals(lp);
    longpoll_run_arrivals(lp);
    expect("a");
    cr_assert(longpoll_count(lp) == 1 && longpoll_run_deadlines(lp, 2000) == 50000);
    arrive("t", 0, 100, 0);
    a.parks_again = false;
    longpoll_run_arrivals(lp);
    expect("a");
    cr_assert(longpoll_count(lp) == 0);
}

Test(longpoll, a_closed_connection_drops_its_pulls_ready_or_not_and_no_others)
{
    struct pull a = {.name = 'a'}, b = {.name = 'b'}, c = {.name = 'c'};
    park(&a, "t", 0, 0, 1, 1000);
    park(&b, "u", 0, 0, 1, 1000);
    park(&c, "t", 0, 0, 2, 1000);
    arrive("t", 0, 0, 0);
    longpoll_conn_closed(lp, 1);
    expect("(a)(b)");
    longpoll_run_arrivals(lp);
    expect("c");
    longpoll_conn_closed(lp, 1);
    longpoll_conn_closed(lp, 99);
    expect("");
}

Test(longpoll, a_connection_that_closes_while_another_pull_is_woken_takes_its_ready_ones_along)
{
    struct pull a = {.name = 'a', .closes = 2}, b = {.name = 'b'}, c = {.name = 'c'};
    park(&a, "t", 0, 0, 1, 1000);
    park(&b, "t", 0, 0, 2, 1000);
    park(&c, "t", 0, 0, 3, 1000);
    arrive("t", 0, 0, 0);
    longpoll_run_arrivals(lp);
    expect("a(b)c");
    struct pull d = {.name = 'd', .closes = 2}, e = {.name = 'e'};
    park(&d, "t", 0, 0, 1, 1000);
    park(&e, "t", 0, 0, 2, 1000);
    longpoll_run_deadlines(lp, 1000);
    expect("D(e)");
    cr_assert(longpoll_count(lp) == 0);
}

Test(longpoll, a_changed_topic_wakes_all_of_its_queues)
{
    struct pull a = {.name = 'a', .tags = 42}, b = {.name = 'b'}, c = {.name = 'c'};
    park(&a, "t", 0, 500, 1, 1000);
    park(&b, "t", 7, 500, 1, 1000);
    park(&c, "tt", 0, 500, 1, 1000);
    longpoll_group_changed(lp, SLICE_LIT("t"));
    longpoll_run_arrivals(lp);
    cr_assert(a.woken == 1 && b.woken == 1 && c.woken == 0 && longpoll_count(lp) == 1);
}

Test(longpoll, ending_drops_all_once)
{
    static struct pull p[3] = {{.name = 'a'}, {.name = 'b'}, {.name = 'c'}};
    park(&p[0], "t", 0, 0, 1, 1000);
    park(&p[1], "t", 0, 0, 2, 500);
    park(&p[2], "u", 0, 0, 1, 2000);
    arrive("t", 0, 0, 0);
    longpoll_free(lp);
    expect("(b)(a)(c)");
    longpoll_free(NULL);
    start();
}

Test(longpoll, ten_thousand_pulls_leave_in_any_order)
{
    enum { N = 10000 };
    struct pull *p = mem_zalloc(N * sizeof *p);
    for (int i = 0; i < N; i++) {
        char topic[16];
        snprintf(topic, sizeof topic, "t%d", i % 97);
        cr_assert(longpoll_park(lp, slice_str(topic), i % 5, i % 3, (uint64_t)i % 101, 1000 + (i * 7919) % 5000, &p[i]) == MQ_OK);
    }
    cr_assert(longpoll_count(lp) == N);
    for (int i = 0; i < 97; i++) {
        char topic[16];
        snprintf(topic, sizeof topic, "t%d", i);
        arrive(topic, i % 5, 1, 0);
        if (i % 10 == 0)
            longpoll_conn_closed(lp, (uint64_t)i);
        story[0] = '\0';
        if (i % 3 == 0)
            longpoll_run_arrivals(lp);
        story[0] = '\0';
    }
    for (int64_t now = 0; now < 7000; now += 500) {
        longpoll_run_deadlines(lp, now);
        story[0] = '\0';
    }
    cr_assert(longpoll_count(lp) == 0);
    for (int i = 0; i < N; i++)
        cr_assert(p[i].woken + p[i].dropped == 1, "pull %d: woken %d, dropped %d", i, p[i].woken, p[i].dropped);
    mem_free(p);
}

Test(longpoll, each_allocation_of_parking_may_fail_and_the_pull_stays_the_callers)
{
    uint64_t n = 1;
    for (; n < 12; n++) {
        struct pull a = {.name = 'a'};
        longpoll_free(lp);
        start();
        mem_fail_after(n);
        enum mq_err err = park(&a, "t", 0, 0, 1, 1000);
        mem_fail_after(0);
        cr_assert(longpoll_count(lp) == (err == MQ_OK));
        cr_assert(longpoll_run_deadlines(lp, 0) == (err == MQ_OK ? 1000 : INT64_MAX));
        arrive("t", 0, 0, 0);
        longpoll_run_arrivals(lp);
        longpoll_conn_closed(lp, 1);
        cr_assert(a.woken == (err == MQ_OK) && a.dropped == 0);
        story[0] = '\0';
        if (err == MQ_OK)
            break;
        cr_assert(err == MQ_ENOMEM);
    }
    cr_assert(n > 3 && n < 12);
}
