/* reset_offset.c - 222 moves a running group, 223 asks its members where they are. */
#include <stdio.h>
#include <string.h>

#include "tests/unit/processor/kit.h"

TestSuite(reset_offset, .init = kit_start, .fini = kit_end);

#define KEY(id) "{\"brokerName\":\"broker-a\",\"queueId\":" #id ",\"topic\":\"T\"}"

static void consumer(uint64_t conn_id, const char *id, uint8_t language, int32_t version)
{
    char body[512];
    struct command beat = {.code = REQ_HEART_BEAT, .language = language, .version = version, .serialize = k.serialize};
    uint64_t before = k.conn_id;
    snprintf(body, sizeof body, "{\"clientID\":\"%s\",\"consumerDataSet\":[{\"groupName\":\"g\",\"subscriptionDataSet\":[]}],\"producerDataSet\":[]}", id);
    beat.body = slice_str(body);
    k.conn_id = conn_id;
    ASSERT_CODE(kit_send_command(&beat), RES_SUCCESS);
    k.conn_id = before;
}

/* Two queues: 5 messages at T0, 5 more ten seconds later; the group has read them all but the last of queue 1. */
static int64_t old_ms, new_ms;
static void fill(void)
{
    kit_topic("T", 2, 6);
    old_ms = k.now_ms;
    for (int round = 0; round < 2; round++) {
        new_ms = k.now_ms;
        for (int i = 0; i < 10; i++) {
            ASSERT_CODE(kit_put("T", i / 5, "m", NULL), RES_SUCCESS);
            kit_pass(i == 4 ? -4 : 1);
        }
        kit_pass(10000);
    }
    offsets_commit(k.c.offsets, SLICE_LIT("g"), SLICE_LIT("T"), 0, 10);
    offsets_commit(k.c.offsets, SLICE_LIT("g"), SLICE_LIT("T"), 1, 9);
}

static const struct answer *reset(int64_t timestamp, const char *force)
{
    char when[32];
    snprintf(when, sizeof when, "%lld", (long long)timestamp);
    return ASK(REQ_INVOKE_BROKER_TO_RESET_OFFSET, "topic", "T", "group", "g", "timestamp", when, "isForce", force);
}

Test(reset_offset, members_are_told_where_to_go_on)
{
    fill();
    consumer(5, "java", LANGUAGE_JAVA, MQ_VERSION_4_9_8);
    consumer(6, "cpp", LANGUAGE_CPP, 333);
    k.n_calls = 0;
    const struct answer *a = reset(new_ms, "true");
    ASSERT_CODE(a, RES_SUCCESS);
    EXPECT_TEXT(a->cmd.body, "{\"offsetTable\":{" KEY(0) ":5," KEY(1) ":5}}");
    cr_assert_eq(k.n_calls, 2);
    const struct call *java = &k.calls[0], *cpp = &k.calls[1];
    cr_expect(java->conn_id == 5 && cpp->conn_id == 6 && java->oneway && cpp->oneway);
    cr_expect_eq(java->cmd.code, REQ_RESET_CONSUMER_CLIENT_OFFSET);
    cr_expect_eq(java->cmd.serialize, SERIALIZE_JSON);
    EXPECT_TEXT(java->cmd.body, "{\"offsetTable\":{" KEY(0) ":5," KEY(1) ":5}}");
    EXPECT_TEXT(cpp->cmd.body, "{\"offsetTable\":[{\"brokerName\":\"broker-a\",\"offset\":5,\"queueId\":0,\"topic\":\"T\"},"
                               "{\"brokerName\":\"broker-a\",\"offset\":5,\"queueId\":1,\"topic\":\"T\"}]}");
    static const char *const fields[] = {"topic", "T", "group", "g", "isForce", "true"};
    for (int i = 0; i < 6; i += 2) {
        struct slice v = {0};
        cr_assert(command_ext(&java->cmd, fields[i], &v), "%s", fields[i]);
        EXPECT_TEXT(v, fields[i + 1]);
    }
    cr_expect_eq(offsets_query(k.c.offsets, SLICE_LIT("g"), SLICE_LIT("T"), 0), 10, "the members write it themselves");
}

Test(reset_offset, without_force_nobody_jumps_ahead)
{
    fill();
    consumer(5, "java", LANGUAGE_JAVA, MQ_VERSION_4_9_8);
    EXPECT_TEXT(reset(-1, "false")->cmd.body, "{\"offsetTable\":{" KEY(0) ":10," KEY(1) ":9}}");
    EXPECT_TEXT(reset(old_ms, "false")->cmd.body, "{\"offsetTable\":{" KEY(0) ":0," KEY(1) ":0}}");
}

Test(reset_offset, the_end_is_where_a_backlog_is_skipped_to)
{
    fill();
    consumer(5, "java", LANGUAGE_JAVA, MQ_VERSION_4_9_8);
    EXPECT_TEXT(reset(-1, "true")->cmd.body, "{\"offsetTable\":{" KEY(0) ":10," KEY(1) ":10}}");
}

Test(reset_offset, newer_tools_move_one_queue)
{
    fill();
    consumer(5, "java", LANGUAGE_JAVA, MQ_VERSION_4_9_8);
    const struct answer *a = ASK(REQ_INVOKE_BROKER_TO_RESET_OFFSET, "topic", "T", "group", "g", "timestamp", "-1", "isForce", "true", "queueId", "1",
                                 "offset", "3");
    EXPECT_TEXT(a->cmd.body, "{\"offsetTable\":{" KEY(1) ":3}}");
    a = ASK(REQ_INVOKE_BROKER_TO_RESET_OFFSET, "topic", "T", "group", "g", "timestamp", "-1", "isForce", "true", "queueId", "1",
            "offset", "11");
    EXPECT_CODE(a, RES_SYSTEM_ERROR);
    EXPECT_WORDS(a, "beyond the end");
    a = ASK(REQ_INVOKE_BROKER_TO_RESET_OFFSET, "topic", "T", "group", "g", "timestamp", "-1", "queueId", "2");
    EXPECT_CODE(a, RES_SYSTEM_ERROR);
    EXPECT_WORDS(a, "write queues");
}

Test(reset_offset, who_cannot_be_moved_is_named)
{
    kit_topic("T", 2, 6);
    const struct answer *a = reset(-1, "true");
    EXPECT_CODE(a, RES_SYSTEM_ERROR);
    EXPECT_WORDS(a, "THe consumer group <g> not exist");
    fill();
    a = reset(-1, "true");
    EXPECT_CODE(a, RES_CONSUMER_NOT_ONLINE);
    EXPECT_WORDS(a, "Consumer not online, so can not reset offset, Group: g Topic: T Timestamp: -1");
    consumer(5, "java", LANGUAGE_JAVA, MQ_VERSION_4_9_8);
    consumer(6, "stone age", LANGUAGE_JAVA, 27);
    k.n_calls = 0;
    a = reset(-1, "true");
    EXPECT_CODE(a, RES_SYSTEM_ERROR);
    EXPECT_WORDS(a, "does not support this feature");
    cr_expect_eq(k.n_calls, 0, "half a group would be worse than none");
    a = ASK(REQ_INVOKE_BROKER_TO_RESET_OFFSET, "topic", "nowhere", "group", "g", "timestamp", "-1");
    EXPECT_CODE(a, RES_SYSTEM_ERROR);
    EXPECT_WORDS(a, "no topic in this broker. topic=nowhere");
    EXPECT_CODE(ASK(REQ_INVOKE_BROKER_TO_RESET_OFFSET, "topic", "T", "group", "g"), RES_SYSTEM_ERROR);
}

/* ---- 223 ---- */
static void answer_call(const struct call *c, int32_t code, const char *body)
{
    const struct command answer = {.code = code, .body = slice_str(body)};
    c->fn(c->arg, body ? &answer : NULL);
}

Test(reset_offset, all_members_tell_where_they_are)
{
    consumer(5, "one", LANGUAGE_JAVA, MQ_VERSION_4_9_8);
    consumer(6, "two", LANGUAGE_JAVA, MQ_VERSION_4_9_8);
    consumer(8, "three", LANGUAGE_CPP, 333);
    k.n_calls = 0;
    const struct answer *a = kit_send(REQ_INVOKE_BROKER_TO_GET_CONSUMER_STATUS, 0, (struct slice){0},
                                      (const char *const[]){"topic", "T", "group", "g", "clientAddr", "", NULL});
    cr_assert(!a->came && k.n_calls == 3);
    cr_expect_eq(k.calls[0].cmd.code, REQ_GET_CONSUMER_STATUS_FROM_CLIENT);
    answer_call(&k.calls[0], RES_SUCCESS, "{\"consumerTable\":{},\"messageQueueTable\":{" KEY(0) ":7}}");
    answer_call(&k.calls[2], RES_SUCCESS, NULL); /* time is up */
    cr_assert(!a->came);
    answer_call(&k.calls[1], RES_SUCCESS, "{\"messageQueueTable\":{" KEY(1) ":8}}");
    cr_assert(a->came);
    ASSERT_CODE(a, RES_SUCCESS);
    EXPECT_TEXT(a->cmd.body, "{\"consumerTable\":{\"one\":{" KEY(0) ":7},\"two\":{" KEY(1) ":8}},\"messageQueueTable\":{}}");
}

Test(reset_offset, one_member_is_asked_by_name_and_nonsense_is_left_out)
{
    static const char *const nonsense[] = {"{", "[]", "{\"messageQueueTable\":[]}", "{\"messageQueueTable\":7}"};
    consumer(5, "one", LANGUAGE_JAVA, MQ_VERSION_4_9_8);
    consumer(6, "two", LANGUAGE_JAVA, MQ_VERSION_4_9_8);
    for (size_t i = 0; i < sizeof nonsense / sizeof *nonsense; i++) {
        k.n_calls = 0;
        const struct answer *a = kit_send(REQ_INVOKE_BROKER_TO_GET_CONSUMER_STATUS, 0, (struct slice){0},
                                          (const char *const[]){"topic", "T", "group", "g", "clientAddr", "two", NULL});
        cr_assert(k.n_calls == 1 && k.calls[0].conn_id == 6);
        answer_call(&k.calls[0], RES_SUCCESS, nonsense[i]);
        cr_assert(a->came);
        EXPECT_TEXT(a->cmd.body, "{\"consumerTable\":{},\"messageQueueTable\":{}}");
    }
}

Test(reset_offset, without_anybody_to_ask_the_answer_comes_at_once)
{
    const struct answer *a = ASK(REQ_INVOKE_BROKER_TO_GET_CONSUMER_STATUS, "topic", "T", "group", "g");
    EXPECT_CODE(a, RES_SYSTEM_ERROR);
    EXPECT_WORDS(a, "No Any Consumer online in the consumer group: [g]");
    consumer(5, "one", LANGUAGE_JAVA, MQ_VERSION_4_9_8);
    a = ASK(REQ_INVOKE_BROKER_TO_GET_CONSUMER_STATUS, "topic", "T", "group", "g", "clientAddr", "stranger");
    EXPECT_TEXT(a->cmd.body, "{\"consumerTable\":{},\"messageQueueTable\":{}}");
    EXPECT_CODE(ASK(REQ_INVOKE_BROKER_TO_GET_CONSUMER_STATUS, "topic", "T"), RES_SYSTEM_ERROR);
}
