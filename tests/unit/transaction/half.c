/* half.c - half messages and op messages as bytes, and what becomes of an open one. */
#include <criterion/criterion.h>
#include <inttypes.h>

#include "broker/transaction/half.h"

static struct buf text;
static void end(void) { buf_free(&text); }
TestSuite(half, .fini = end);

static const char *made(void)
{
    buf_u8(&text, 0);
    cr_assert(!text.failed);
    for (uint8_t *p = text.p; *p; p++)
        *p = *p == PROP_SEP_NAME ? '=' : *p == PROP_SEP_PAIR ? ';' : *p;
    return (const char *)text.p;
}
static struct half read_text(const char *properties, int64_t queue_off, bool good)
{
    struct half h;
    const struct message m = {.topic = SLICE_LIT(HALF_TOPIC), .queue_off = queue_off, .properties = slice_str(properties)};
    cr_assert_eq(half_read(&m, &h), good, "%s", properties);
    return h;
}

/* ---- properties ---- */
Test(half, a_message_becomes_a_half_message)
{
    half_text(&text, SLICE_LIT("KEYS\001k\002PGROUP\001g\002TRAN_MSG\001true"), SLICE_LIT("Orders"), 3, SLICE_LIT("other"));
    cr_expect_str_eq(made(), "KEYS=k;PGROUP=g;TRAN_MSG=true;REAL_TOPIC=Orders;REAL_QID=3");
}
Test(half, a_message_without_a_group_gets_its_senders)
{
    half_text(&text, SLICE_LIT(""), SLICE_LIT("Orders"), 0, SLICE_LIT("g"));
    cr_expect_str_eq(made(), "PGROUP=g;REAL_TOPIC=Orders;REAL_QID=0");
}
Test(half, what_only_brokers_write_is_not_taken_from_a_client)
{
    half_text(&text, SLICE_LIT("REAL_TOPIC\001x\002REAL_QID\0019\002TRANSACTION_CHECK_TIMES\00114\002TRAN_PREPARED_QUEUE_OFFSET\0011\002DELAY\0013\002"
                               "a\001b\002PGROUP\001g"), SLICE_LIT("T"), 1, SLICE_LIT("g"));
    cr_expect_str_eq(made(), "a=b;PGROUP=g;REAL_TOPIC=T;REAL_QID=1");
}
Test(half, put_again_it_counts_checks_and_says_where_it_was_first)
{
    half_text_again(&text, SLICE_LIT("a\001b\002REAL_TOPIC\001T\002TRANSACTION_CHECK_TIMES\0011\002TRAN_PREPARED_QUEUE_OFFSET\0017"), 2, 7);
    cr_expect_str_eq(made(), "a=b;REAL_TOPIC=T;TRANSACTION_CHECK_TIMES=2;TRAN_PREPARED_QUEUE_OFFSET=7");
    buf_clear(&text);
    half_text_again(&text, SLICE_LIT("a\001b\002TRANSACTION_CHECK_TIMES\0011"), -1, 7);
    cr_expect_str_eq(made(), "a=b;TRANSACTION_CHECK_TIMES=1;TRAN_PREPARED_QUEUE_OFFSET=7", "moved, not checked");
    text.n = 0;
    half_text_again(&text, SLICE_LIT("a\001b\002TRAN_PREPARED_QUEUE_OFFSET\0017"), 0, -1);
    cr_expect_str_eq(made(), "a=b;TRANSACTION_CHECK_TIMES=0", "of another queue");
}
Test(half, a_record_is_read)
{
    struct half h = read_text("REAL_TOPIC\001T\002REAL_QID\0012\002PGROUP\001g\002UNIQ_KEY\001id\002TRANSACTION_CHECK_TIMES\0014\002"
                              "TRAN_PREPARED_QUEUE_OFFSET\0015\002CHECK_IMMUNITY_TIME_IN_SECONDS\00130", 9, true);
    cr_expect(slice_is(h.real_topic, "T") && h.real_queue_id == 2 && slice_is(h.group, "g") && slice_is(h.uniq_key, "id"));
    cr_expect(h.checked && h.checks == 4 && h.first_off == 5 && h.immune && h.immunity_ms == 30000);
    h = read_text("REAL_TOPIC\001T\002REAL_QID\0010", 9, true);
    cr_expect(!h.checked && !h.immune && h.first_off == 9 && h.group.n == 0 && h.uniq_key.n == 0);
}
Test(half, what_could_not_be_committed_is_no_half_message)
{
    static const char *const bad[] = {"", "REAL_TOPIC\001T", "REAL_QID\0010", "REAL_TOPIC\001T\002REAL_QID\001x", "REAL_TOPIC\001T\002REAL_QID\001-1",
                                      "REAL_TOPIC\001T\002REAL_QID\0019999999999"};
    struct half h;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        read_text(bad[i], 0, false);
    const struct message elsewhere = {.topic = SLICE_LIT("T"), .properties = SLICE_LIT("REAL_TOPIC\001T\002REAL_QID\0010")};
    cr_expect(!half_read(&elsewhere, &h), "of another topic");
}
Test(half, numbers_that_are_none)
{
    struct half h = read_text("REAL_TOPIC\001T\002REAL_QID\0010\002TRANSACTION_CHECK_TIMES\001x\002CHECK_IMMUNITY_TIME_IN_SECONDS\001x\002"
                              "TRAN_PREPARED_QUEUE_OFFSET\001x", 9, true);
    cr_expect(h.checked && h.checks == -1 && h.immune && h.immunity_ms == -1 && h.first_off == 9);
    h = read_text("REAL_TOPIC\001T\002REAL_QID\0010\002CHECK_IMMUNITY_TIME_IN_SECONDS\0019223372036854775807\002TRAN_PREPARED_QUEUE_OFFSET\00110", 9, true);
    cr_expect(h.immunity_ms == INT64_MAX && h.first_off == 9, "a first place behind its own");
}

/* ---- fate ---- */
static const struct half_rules rules = {.timeout_ms = 6000, .reserved_ms = 72 * 3600000, .checks_max = 15};
static enum half_fate fate(const struct half *h, int64_t age_ms)
{
    const int64_t now = 1700000000000;
    return half_decide(h, now - age_ms, &rules, now);
}
Test(half, it_waits_then_it_is_checked)
{
    const struct half h = {0};
    cr_expect_eq(fate(&h, 0), HALF_WAITS);
    cr_expect_eq(fate(&h, 6000), HALF_WAITS);
    cr_expect_eq(fate(&h, 6001), HALF_CHECKED);
    cr_expect_eq(fate(&h, -1), HALF_CHECKED, "a clock that is ahead of ours");
}
Test(half, it_is_given_up)
{
    const struct half often = {.checked = true, .checks = 15}, less = {.checked = true, .checks = 14}, none = {0};
    cr_expect_eq(fate(&often, 10000), HALF_GIVEN_UP);
    cr_expect_eq(fate(&less, 10000), HALF_CHECKED);
    cr_expect_eq(fate(&none, rules.reserved_ms), HALF_CHECKED);
    cr_expect_eq(fate(&none, rules.reserved_ms + 1), HALF_GIVEN_UP, "the log does not keep it");
    cr_expect_eq(half_decide(&none, INT64_MIN, &rules, 1700000000000), HALF_GIVEN_UP);
}
Test(half, immunity)
{
    const struct half h = {.immune = true, .immunity_ms = 30000}, usual = {.immune = true, .immunity_ms = -1};
    cr_expect_eq(fate(&h, 29999), HALF_MOVES);
    cr_expect_eq(fate(&h, 30000), HALF_WAITS);
    cr_expect_eq(fate(&h, 30001), HALF_CHECKED);
    cr_expect_eq(fate(&usual, 5999), HALF_MOVES);
    cr_expect_eq(fate(&usual, 6001), HALF_CHECKED);
}

/* ---- ops ---- */
Test(half, an_op_says_where_its_half_message_was_first)
{
    op_text(&text, 7, 7);
    cr_expect(slice_is(buf_view(&text), "TAGS\001d") && op_first(buf_view(&text)) == -1);
    text.n = 0;
    op_text(&text, 9, 7);
    cr_expect_eq(op_first(buf_view(&text)), 7);
    cr_expect_eq(op_first(SLICE_LIT("TRAN_PREPARED_QUEUE_OFFSET\001x")), -1);
}
static void expect_ops(const char *body, size_t n, const int64_t *want)
{
    struct slice rest = slice_str(body);
    int64_t off;
    size_t i = 0;
    for (; op_next(&rest, &off); i++)
        cr_expect(i < n && off == want[i], "%s: %" PRId64, body, off);
    cr_expect_eq(i, n, "%s", body);
}
Test(half, an_op_names_one_offset_or_as_in_5x_several)
{
    expect_ops("17", 1, (const int64_t[]){17});
    expect_ops("17,18,4", 3, (const int64_t[]){17, 18, 4});
    expect_ops("17,18,", 2, (const int64_t[]){17, 18});
    expect_ops("x,-3,,9223372036854775808,5", 1, (const int64_t[]){5});
    expect_ops("", 0, NULL);
}
