/* reply_message.c - 324 and 325 carry a reply to the broker, 326 carries it on to who asked. */
#include <stdio.h>
#include <string.h>

#include "tests/unit/processor/kit.h"

TestSuite(reply_message, .init = kit_start, .fini = kit_end);

#define REPLY_TOPIC "DefaultCluster_REPLY_TOPIC"
#define PROPS "UNIQ_KEY\1id\2REPLY_TO_CLIENT\1asker\2CORRELATION_ID\1c-1\2MSG_TYPE\1reply"

static void producer(void)
{
    kit_heartbeat(5, "{\"clientID\":\"asker\",\"consumerDataSet\":[],\"producerDataSet\":[{\"groupName\":\"p\"}]}");
    k.n_calls = 0;
}

static struct answer *reply(const char *topic, const char *queue, const char *properties)
{
    return kit_send(REQ_SEND_REPLY_MESSAGE_V2, 0, SLICE_LIT("answer"),
                    (const char *const[]){"a", "repliers", "b", topic, "c", "TBW102", "d", "4", "e", queue, "f", "1", "g", "77", "h", "3", "j", "2",
                                          "k", "false", "m", "false", "i", properties, NULL});
}

static void take(int32_t code)
{
    const struct command taken = {.code = code};
    k.calls[0].fn(k.calls[0].arg, code < 0 ? NULL : &taken);
    kit_turn();
}

static struct slice pushed(const char *key)
{
    struct slice v = {0};
    cr_assert(command_ext(&k.calls[0].cmd, key, &v), "%s", key);
    return v;
}

static size_t stored(void) { return (size_t)message_store_max_offset(k.c.store, SLICE_LIT(REPLY_TOPIC), 0); }

Test(reply_message, who_asked_gets_the_reply_and_who_replied_hears_so)
{
    producer();
    const struct answer *a = reply(REPLY_TOPIC, "0", PROPS);
    cr_assert(!a->came && k.n_calls == 1);
    const struct call *c = &k.calls[0];
    cr_expect(c->conn_id == 5 && !c->oneway && c->cmd.code == REQ_PUSH_REPLY_MESSAGE_TO_CLIENT && c->cmd.serialize == SERIALIZE_JSON);
    EXPECT_TEXT(c->cmd.body, "answer");
    static const char *const fields[] = {"bornHost", "127.0.0.1:40112", "storeHost", "127.0.0.1:10911", "storeTimestamp", "1700000000000", "producerGroup",
                                         "repliers", "topic", REPLY_TOPIC, "defaultTopic", "TBW102", "defaultTopicQueueNums", "4", "queueId", "0",
                                         "sysFlag", "1", "bornTimestamp", "77", "flag", "3", "reconsumeTimes", "2", "unitMode", "false",
                                         "properties", PROPS "\2PUSH_REPLY_TIME\0011700000000000"};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i += 2) {
        struct slice v = pushed(fields[i]);
        cr_expect(slice_is(v, fields[i + 1]), "%s=%.*s", fields[i], SLICE_ARG(v));
    }
    kit_turn();
    cr_assert(!a->came, "not before who asked has it");
    take(RES_SUCCESS);
    cr_assert(a->came && a->times == 1);
    ASSERT_CODE(a, RES_SUCCESS);
    EXPECT_TEXT(ext(a, "queueOffset"), "0");
    EXPECT_TEXT(ext(a, "queueId"), "0");
    cr_expect_eq(ext(a, "msgId").n, 32, "it was stored, so it has an id");
    EXPECT_TEXT(ext(a, "MSG_REGION"), "DefaultRegion");
    EXPECT_TEXT(ext(a, "TRACE_ON"), "true");
    cr_expect_eq(stored(), 1);
}

Test(reply_message, the_long_spelling_is_the_same)
{
    producer();
    const struct answer *a = kit_send(REQ_SEND_REPLY_MESSAGE, 0, SLICE_LIT("answer"),
                                      (const char *const[]){"producerGroup", "r", "topic", REPLY_TOPIC, "defaultTopic", "TBW102", "defaultTopicQueueNums", "4",
                                                            "queueId", "0", "sysFlag", "0", "bornTimestamp", "1", "flag", "0", "properties", PROPS, NULL});
    cr_assert_eq(k.n_calls, 1);
    take(RES_SUCCESS);
    ASSERT_CODE(a, RES_SUCCESS);
}

Test(reply_message, a_reply_that_is_not_kept_has_no_id)
{
    k.config.store_reply = false;
    producer();
    const struct answer *a = reply(REPLY_TOPIC, "0", PROPS);
    take(RES_SUCCESS);
    ASSERT_CODE(a, RES_SUCCESS);
    EXPECT_TEXT(ext(a, "msgId"), "0");
    EXPECT_TEXT(ext(a, "queueOffset"), "0");
    cr_expect_eq(stored(), 0);
}

Test(reply_message, a_reply_that_did_not_arrive_is_no_success)
{
    producer();
    const struct answer *a = reply(REPLY_TOPIC, "0", PROPS);
    take(-1); /* no answer in time, or its connection closed */
    ASSERT_CODE(a, RES_SYSTEM_ERROR);
    EXPECT_WORDS(a, "push reply message to asker");
    cr_expect(has_ext(a, "msgId") && has_ext(a, "TRACE_ON"), "it is stored all the same");
    k.n_calls = 0;
    a = reply(REPLY_TOPIC, "0", PROPS);
    take(RES_SYSTEM_ERROR);
    ASSERT_CODE(a, RES_SYSTEM_ERROR);
}

Test(reply_message, an_asker_that_is_not_here_is_named)
{
    const struct answer *a = reply(REPLY_TOPIC, "0", PROPS);
    cr_assert(a->came);
    ASSERT_CODE(a, RES_SYSTEM_ERROR);
    EXPECT_WORDS(a, "push reply message fail, channel of <asker> not found.");
    producer();
    a = reply(REPLY_TOPIC, "0", "UNIQ_KEY\1id");
    ASSERT_CODE(a, RES_SYSTEM_ERROR);
    EXPECT_WORDS(a, "reply message properties[REPLY_TO_CLIENT] is null");
    cr_expect_eq(k.n_calls, 0);
}

Test(reply_message, what_cannot_be_a_reply_is_refused)
{
    static char long_one[MESSAGE_PROPERTIES_MAX + 2];
    memset(long_one, 'x', sizeof long_one - 1);
    producer();
    EXPECT_CODE(reply("nowhere", "0", PROPS), RES_TOPIC_NOT_EXIST);
    EXPECT_CODE(reply("SCHEDULE_TOPIC_XXXX", "0", PROPS), RES_NO_PERMISSION);
    EXPECT_CODE(reply(REPLY_TOPIC, "1", PROPS), RES_SYSTEM_ERROR);
    EXPECT_CODE(reply(REPLY_TOPIC, "x", PROPS), RES_SYSTEM_ERROR);
    const struct answer *a = reply(REPLY_TOPIC, "0", long_one);
    EXPECT_CODE(a, RES_MESSAGE_ILLEGAL);
    cr_expect(has_ext(a, "MSG_REGION"));
    k.config.start_accept_send_ms = k.now_ms + 1;
    EXPECT_CODE(reply(REPLY_TOPIC, "0", PROPS), RES_SYSTEM_ERROR);
    cr_expect(k.n_calls == 0 && stored() == 0);
}

Test(reply_message, a_full_disk_keeps_nothing_and_delivers)
{
    producer();
    kit_topic("T", 1, 6);
    fake_disk_fail(k.disk, FAKE_PWRITE, 1, -28, true);
    const struct answer *lost = kit_put("T", 0, "x", NULL);
    cr_expect(lost->code != RES_SUCCESS, "the store has failed");
    const struct answer *a = reply(REPLY_TOPIC, "-1", PROPS);
    cr_assert_eq(k.n_calls, 1);
    take(RES_SUCCESS);
    ASSERT_CODE(a, RES_SUCCESS);
    EXPECT_TEXT(ext(a, "msgId"), "0");
}
