/* delay.c - what is stored of a delayed message, byte by byte, and what comes out again. */
#include "broker/schedule/delay.h"

#include <criterion/criterion.h>

static struct arena arena;
static void stop(void) { arena_fini(&arena); }
TestSuite(delay, .fini = stop);

static struct message message(const char *properties)
{
    return (struct message){.topic = SLICE_LIT("T"), .queue_id = 3, .body = SLICE_LIT("b"), .properties = slice_str(properties), .flag = 7, .prepared_off = 9};
}
static void expect_text(struct slice s, const char *want) { cr_expect(slice_is(s, want), "%.*s", SLICE_ARG(s)); }

Test(delay, topic_queue_and_level_go_into_the_properties)
{
    struct message m = message("TAGS\1A\2DELAY\0012\2x\1y");
    const struct known_props known = {0};
    m.known = &known;
    cr_assert(delay_divert(&m, 2, 18, &arena));
    expect_text(m.topic, "SCHEDULE_TOPIC_XXXX");
    expect_text(m.properties, "TAGS\1A\2x\1y\2DELAY\0012\2REAL_TOPIC\1T\2REAL_QID\0013");
    cr_expect(m.queue_id == 1 && m.known == NULL && m.flag == 7);
}

Test(delay, a_level_beyond_the_last_is_the_last)
{
    struct message m = message("DELAY\001100");
    cr_assert(delay_divert(&m, 100, 18, &arena));
    expect_text(m.properties, "DELAY\00118\2REAL_TOPIC\1T\2REAL_QID\0013");
    cr_expect_eq(m.queue_id, 17);
    m = message(NULL);
    cr_assert(delay_divert(&m, 1, 0, &arena));
    expect_text(m.properties, "DELAY\0011\2REAL_TOPIC\1T\2REAL_QID\0013");
    cr_expect_eq(m.queue_id, 0);
}

Test(delay, what_a_sender_calls_real_is_not)
{
    struct message m = message("REAL_TOPIC\1other\2DELAY\0011\2REAL_QID\00177\2DELAY\0012\2");
    cr_assert(delay_divert(&m, 2, 18, &arena));
    expect_text(m.properties, "DELAY\0012\2REAL_TOPIC\1T\2REAL_QID\0013");
}

Test(delay, what_comes_out_is_what_went_in_with_its_way_still_written_on_it)
{
    struct message m = message("TAGS\1A\2DELAY\0012"), out;
    const char *why;
    m.sys_flag = 1;
    m.reconsume_times = 4;
    m.born_ms = 5;
    cr_assert(delay_divert(&m, 2, 18, &arena));
    m.queue_off = 8;
    cr_assert(delay_restore(&m, &out, &why));
    expect_text(out.topic, "T");
    expect_text(out.properties, "TAGS\1A\2DELAY\0012\2REAL_TOPIC\1T\2REAL_QID\0013");
    cr_expect(out.queue_id == 3 && out.sys_flag == 1 && out.reconsume_times == 4 && out.born_ms == 5 && out.flag == 7 && slice_is(out.body, "b"));
    cr_expect_eq(out.prepared_off, 0);
}

Test(delay, what_names_no_place_or_one_of_the_brokers_own_does_not_come_out)
{
    static const char *const bad[] = {"", "REAL_TOPIC\1T", "REAL_QID\0011", "REAL_TOPIC\1T\2REAL_QID\1x", "REAL_TOPIC\1T\2REAL_QID\1-1",
                                      "REAL_TOPIC\1T\2REAL_QID\00199999999999", "REAL_TOPIC\1RMQ_SYS_TRANS_HALF_TOPIC\2REAL_QID\0010",
                                      "REAL_TOPIC\1SCHEDULE_TOPIC_XXXX\2REAL_QID\0010"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct message m = message(bad[i]), out = {.queue_id = -7};
        const char *why = "";
        cr_expect(!delay_restore(&m, &out, &why) && why[0] && out.queue_id == -7, "%zu", i);
    }
}

Test(delay, without_memory_the_message_stays_as_it_was)
{
    struct message m = message("DELAY\0011");
    struct arena small = {.limit = 1};
    cr_expect(!delay_divert(&m, 1, 18, &small));
    expect_text(m.topic, "T");
    expect_text(m.properties, "DELAY\0011");
    arena_fini(&small);
}
