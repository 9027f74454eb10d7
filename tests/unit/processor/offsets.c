/* offsets.c - 14 and 15, 29 to 32, 12 and 33: how far, since when, and which message. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/processor/kit.h"

TestSuite(queue_offsets, .init = kit_start, .fini = kit_end);

static const struct answer *query(const char *group, const char *topic, const char *queue)
{
    return ASK(REQ_QUERY_CONSUMER_OFFSET, "consumerGroup", group, "topic", topic, "queueId", queue);
}
static const struct answer *commit(const char *group, const char *topic, const char *queue, const char *off)
{
    return ASK(REQ_UPDATE_CONSUMER_OFFSET, "consumerGroup", group, "topic", topic, "queueId", queue, "commitOffset", off);
}
static const struct answer *of_queue(int32_t code, const char *topic, const char *queue) { return ASK(code, "topic", topic, "queueId", queue); }
static void expect_missing(int32_t code, const char *const *fields, const char *field)
{
    char words[80];
    const struct answer *a = kit_ask(code, (struct slice){0}, fields);
    snprintf(words, sizeof words, "field %s is missing", field);
    EXPECT_CODE(a, RES_SYSTEM_ERROR);
    EXPECT_WORDS(a, words);
}

/* ---- 14 and 15 ---- */
Test(queue_offsets, what_was_committed_is_told)
{
    const struct answer *a = commit("g", "T", "3", "12");
    ASSERT_CODE(a, RES_SUCCESS);
    cr_expect(a->cmd.remark.p == NULL && a->cmd.n_ext == 0);
    a = query("g", "T", "3");
    ASSERT_CODE(a, RES_SUCCESS);
    cr_expect_eq(ext_i64(a, "offset"), 12);
    commit("g", "T", "3", "4");
    cr_expect_eq(ext_i64(query("g", "T", "3"), "offset"), 4);
    commit("g", "T", "3", "9223372036854775807");
    cr_expect_eq(ext_i64(query("g", "T", "3"), "offset"), INT64_MAX);
}

Test(queue_offsets, a_new_group_starts_at_0_while_the_first_message_is_at_hand)
{
    cr_expect_eq(ext_i64(query("g", "T", "0"), "offset"), 0);
    ASSERT_CODE(kit_put("T", 0, "m", NULL), RES_SUCCESS);
    cr_expect_eq(ext_i64(query("g", "T", "0"), "offset"), 0);
    k.c.memory_bytes = 10;
    const struct answer *a = query("g", "T", "0");
    EXPECT_CODE(a, RES_QUERY_NOT_FOUND);
    EXPECT_WORDS(a, "Not found, maybe this group consumer boot first");
}

Test(queue_offsets, clients_of_5_can_ask_for_no_zero)
{
    const struct answer *a = ASK(REQ_QUERY_CONSUMER_OFFSET, "consumerGroup", "g", "topic", "T", "queueId", "0", "setZeroIfNotFound", "false");
    EXPECT_CODE(a, RES_QUERY_NOT_FOUND);
}

Test(queue_offsets, minus_one_is_no_offset_and_no_error)
{
    EXPECT_CODE(commit("g", "T", "0", "-1"), RES_SUCCESS);
    cr_expect_eq(offsets_query(k.c.offsets, SLICE_LIT("g"), SLICE_LIT("T"), 0), -1);
}

Test(queue_offsets, missing_fields_are_named)
{
    expect_missing(REQ_QUERY_CONSUMER_OFFSET, (const char *const[]){"topic", "T", "queueId", "0", NULL}, "consumerGroup");
    expect_missing(REQ_QUERY_CONSUMER_OFFSET, (const char *const[]){"consumerGroup", "g", "queueId", "0", NULL}, "topic");
    expect_missing(REQ_QUERY_CONSUMER_OFFSET, (const char *const[]){"consumerGroup", "g", "topic", "T", NULL}, "queueId");
    expect_missing(REQ_UPDATE_CONSUMER_OFFSET, (const char *const[]){"consumerGroup", "g", "topic", "T", "queueId", "0", NULL}, "commitOffset");
    EXPECT_CODE(commit("g", "T", "0", "1.5"), RES_SYSTEM_ERROR);
    EXPECT_CODE(commit("g", "a@b", "0", "1"), RES_SYSTEM_ERROR);
    EXPECT_CODE(commit("g/../x", "T", "0", "1"), RES_SYSTEM_ERROR);
    EXPECT_CODE(commit("g", "T", "-5", "1"), RES_SUCCESS);
    cr_expect_eq(offsets_query(k.c.offsets, SLICE_LIT("g"), SLICE_LIT("T"), -5), -1);
}

/* ---- 29 to 32 ---- */
Test(queue_offsets, a_queue_has_bounds)
{
    for (int i = 0; i < 3; i++, k.now_ms += 10)
        ASSERT_CODE(kit_put("T", 1, "m", NULL), RES_SUCCESS);
    cr_expect_eq(ext_i64(of_queue(REQ_GET_MAX_OFFSET, "T", "1"), "offset"), 3);
    cr_expect_eq(ext_i64(of_queue(REQ_GET_MIN_OFFSET, "T", "1"), "offset"), 0);
    cr_expect_eq(ext_i64(of_queue(REQ_GET_EARLIEST_MSG_STORETIME, "T", "1"), "timestamp"), KIT_T0 * 1000LL);
}

Test(queue_offsets, a_queue_that_nobody_wrote_to_is_empty)
{
    static const char *const ids[] = {"0", "-1", "2147483647", "-2147483648"};
    for (int i = 0; i < 4; i++) {
        cr_expect_eq(ext_i64(of_queue(REQ_GET_MAX_OFFSET, "nobody", ids[i]), "offset"), 0);
        cr_expect_eq(ext_i64(of_queue(REQ_GET_MIN_OFFSET, "nobody", ids[i]), "offset"), 0);
        cr_expect_eq(ext_i64(of_queue(REQ_GET_EARLIEST_MSG_STORETIME, "nobody", ids[i]), "timestamp"), -1);
        const struct answer *a = ASK(REQ_SEARCH_OFFSET_BY_TIMESTAMP, "topic", "nobody", "queueId", ids[i], "timestamp", "5");
        cr_expect_eq(ext_i64(a, "offset"), 0);
    }
    expect_missing(REQ_GET_MAX_OFFSET, (const char *const[]){"topic", "T", NULL}, "queueId");
    expect_missing(REQ_GET_MIN_OFFSET, (const char *const[]){"queueId", "0", NULL}, "topic");
    expect_missing(REQ_GET_EARLIEST_MSG_STORETIME, (const char *const[]){"queueId", "0", NULL}, "topic");
    expect_missing(REQ_SEARCH_OFFSET_BY_TIMESTAMP, (const char *const[]){"topic", "T", "queueId", "0", NULL}, "timestamp");
}

static int64_t at_time(int64_t ms)
{
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)ms);
    const struct answer *a = ASK(REQ_SEARCH_OFFSET_BY_TIMESTAMP, "topic", "T", "queueId", "0", "timestamp", text);
    return ext_i64(a, "offset");
}

Test(queue_offsets, by_time_it_is_the_nearer_message)
{
    int64_t t0 = k.now_ms;
    for (int i = 0; i < 5; i++, k.now_ms += 100)
        ASSERT_CODE(kit_put("T", 0, "m", NULL), RES_SUCCESS);
    cr_expect_eq(at_time(t0 + 200), 2, "exactly");
    cr_expect_eq(at_time(t0 + 220), 2, "the nearer one");
    cr_expect_eq(at_time(t0 + 280), 3, "the nearer one");
    cr_expect_eq(at_time(t0 - 1000), 0, "before everything");
    cr_expect_eq(at_time(t0 + 100000), 4, "after everything: the last, not the next");
    cr_expect_eq(at_time(0), 0);
    cr_expect_eq(at_time(-1), 0);
    cr_expect_eq(at_time(INT64_MAX), 4);
}

/* ---- 12 and 33 ---- */
static const struct answer *by_key(const char *topic, const char *key, const char *max, int64_t begin, int64_t end, const char *unique)
{
    char from[32], to[32];
    snprintf(from, sizeof from, "%lld", (long long)begin);
    snprintf(to, sizeof to, "%lld", (long long)end);
    return ASK(REQ_QUERY_MESSAGE, "topic", topic, "key", key, "maxNum", max, "beginTimestamp", from, "endTimestamp", to, unique ? "_UNIQUE_KEY_QUERY" : NULL,
               unique);
}

Test(queue_offsets, messages_are_found_by_each_of_their_keys)
{
    ASSERT_CODE(kit_put("T", 0, "one", "KEYS\001k1 k2\002UNIQ_KEY\001u1"), RES_SUCCESS);
    ASSERT_CODE(kit_put("T", 1, "two", "KEYS\001k2\002UNIQ_KEY\001u2"), RES_SUCCESS);
    ASSERT_CODE(kit_put("other", 0, "three", "KEYS\001k2"), RES_SUCCESS);
    struct message m[4];
    const struct answer *a = by_key("T", "k2", "32", 0, INT64_MAX, NULL);
    ASSERT_CODE(a, RES_SUCCESS);
    cr_assert_eq(kit_records(a, m, 4), 2);
    cr_expect(slice_is(m[0].body, "two") && slice_is(m[1].body, "one"), "newest first");
    cr_expect(ext_i64(a, "indexLastUpdateTimestamp") == k.now_ms && ext_i64(a, "indexLastUpdatePhyoffset") > 0);
    cr_expect_eq(kit_records(by_key("T", "k2", "1", 0, INT64_MAX, NULL), m, 4), 1);
    a = by_key("T", "u1", "1", 0, INT64_MAX, "true");
    cr_assert_eq(kit_records(a, m, 4), 1);
    EXPECT_TEXT(m[0].body, "one");
}

/* Each read of a query fails in its turn, then all of them. */
Test(queue_offsets, a_query_answers_what_it_can_read_or_says_that_it_cannot)
{
    struct message m[4];
    bool failed = true;
    unsigned partly = 0;
    kit_put("T", 0, "one", "KEYS\001k");
    kit_put("T", 0, "two", "KEYS\001k");
    for (uint64_t i = 1; failed; i++) {
        fake_disk_fail(k.disk, FAKE_PREAD, i, -EIO, false);
        const struct answer *a = by_key("T", "k", "32", 0, INT64_MAX, NULL);
        failed = fake_disk_did_fail(k.disk);
        ASSERT_CODE(a, RES_SUCCESS);
        cr_assert_eq(kit_records(a, m, 4), failed ? 1 : 2, "read %d", (int)i);
        partly += failed;
    }
    cr_expect_geq(partly, 2);
    fake_disk_fail(k.disk, FAKE_PREAD, 1, -EIO, true);
    const struct answer *a = by_key("T", "k", "32", 0, INT64_MAX, NULL);
    EXPECT_CODE(a, RES_SYSTEM_ERROR);
    EXPECT_WORDS(a, "query by key");
}

Test(queue_offsets, a_key_that_is_not_there_is_not_found_with_the_index_place)
{
    kit_put("T", 0, "one", "KEYS\001k1");
    const struct answer *a = by_key("T", "nobody", "32", 0, INT64_MAX, NULL);
    EXPECT_CODE(a, RES_QUERY_NOT_FOUND);
    EXPECT_WORDS(a, "can not find message, maybe time range not correct");
    cr_expect(has_ext(a, "indexLastUpdateTimestamp") && has_ext(a, "indexLastUpdatePhyoffset"));
    EXPECT_CODE(by_key("T", "k1", "32", 0, k.now_ms - 100000, NULL), RES_QUERY_NOT_FOUND);
    EXPECT_CODE(by_key("T", "k1", "0", 0, INT64_MAX, NULL), RES_QUERY_NOT_FOUND);
    EXPECT_CODE(by_key("T", "k1", "-1", 0, INT64_MAX, NULL), RES_QUERY_NOT_FOUND);
    EXPECT_CODE(by_key("T", "k1", "32", INT64_MAX, INT64_MIN, NULL), RES_QUERY_NOT_FOUND);
    expect_missing(REQ_QUERY_MESSAGE, (const char *const[]){"topic", "T", "maxNum", "1", "beginTimestamp", "0", "endTimestamp", "1", NULL}, "key");
}

Test(queue_offsets, a_message_is_found_by_its_place)
{
    kit_put("T", 0, "one", NULL);
    struct slice id = ext(kit_put("T", 0, "two", NULL), "msgId");
    struct host h;
    int64_t at = -1;
    char text[32];
    cr_assert(message_id_decode(id, &h, &at));
    snprintf(text, sizeof text, "%lld", (long long)at);
    struct message m[2];
    const struct answer *a = ASK(REQ_VIEW_MESSAGE_BY_ID, "offset", text);
    ASSERT_CODE(a, RES_SUCCESS);
    cr_assert_eq(kit_records(a, m, 2), 1);
    EXPECT_TEXT(m[0].body, "two");
    cr_expect(m[0].phys_off == at && m[0].queue_off == 1);
}

Test(queue_offsets, a_place_without_a_message_is_an_error_with_the_place)
{
    kit_put("T", 0, "one", NULL);
    static const char *const places[] = {"1", "-1", "999999", "9223372036854775807", "-9223372036854775808"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        const struct answer *a = ASK(REQ_VIEW_MESSAGE_BY_ID, "offset", places[i]);
        EXPECT_CODE(a, RES_SYSTEM_ERROR);
        EXPECT_WORDS(a, "can not find message by the offset, ");
        EXPECT_WORDS(a, places[i]);
    }
    expect_missing(REQ_VIEW_MESSAGE_BY_ID, (const char *const[]){NULL}, "offset");
}

Test(queue_offsets, a_cold_message_comes_later)
{
    kit_put("T", 0, "one", NULL);
    kit_pass(2000);
    fake_disk_chill(k.disk, NULL);
    struct answer *a = kit_send(REQ_VIEW_MESSAGE_BY_ID, 0, (struct slice){0}, (const char *const[]){"offset", "0", NULL});
    cr_expect(!a->came);
    kit_turn();
    cr_assert(a->came);
    struct message m[2];
    cr_assert_eq(kit_records(a, m, 2), 1);
}
