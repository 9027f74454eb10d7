/* clients.c - 34 35 38 46 203 204 328, and what is passed on to a consumer: 307 309. */
#include <stdio.h>
#include <string.h>

#include "tests/unit/processor/kit.h"

TestSuite(clients, .init = kit_start, .fini = kit_end);

#define CONSUMER(id, group)                                                                                                             \
    "{\"clientID\":\"" id "\",\"consumerDataSet\":[{\"groupName\":\"" group "\",\"consumeType\":\"CONSUME_PASSIVELY\",\"messageModel\":"    \
    "\"CLUSTERING\",\"consumeFromWhere\":\"CONSUME_FROM_FIRST_OFFSET\",\"subscriptionDataSet\":[{\"topic\":\"T\",\"subString\":\"a || b\"," \
    "\"tagsSet\":[\"a\",\"b\"],\"codeSet\":[97,98],\"subVersion\":7,\"expressionType\":\"TAG\"}]}],\"producerDataSet\":[{\"groupName\":\"p\"}]}"

static struct slice text_of(const json_t *o, const char *key) { return json_str(o, key); }

Test(clients, a_heartbeat_makes_members)
{
    kit_heartbeat(5, CONSUMER("c1", "g"));
    kit_heartbeat(6, CONSUMER("c2", "g"));
    const struct answer *a = ASK(REQ_GET_CONSUMER_LIST_BY_GROUP, "consumerGroup", "g");
    ASSERT_CODE(a, RES_SUCCESS);
    EXPECT_TEXT(a->cmd.body, "{\"consumerIdList\":[\"c1\",\"c2\"]}");
}

Test(clients, a_group_without_members_has_no_list)
{
    const struct answer *a = ASK(REQ_GET_CONSUMER_LIST_BY_GROUP, "consumerGroup", "g");
    EXPECT_CODE(a, RES_SYSTEM_ERROR);
    EXPECT_WORDS(a, "no consumer for this group, g");
    EXPECT_CODE(ASK(REQ_GET_CONSUMER_LIST_BY_GROUP), RES_SYSTEM_ERROR);
}

Test(clients, a_malformed_heartbeat_is_refused_with_words)
{
    static const char *const bad[][2] = {{"", "heartbeat"}, {"{", "heartbeat"}, {"[]", "clientID"}, {"{\"clientID\":\"\"}", "clientID"},
                                         {"{\"clientID\":\"c\",\"consumerDataSet\":[{}]}", "groupName"},
                                         {"{\"clientID\":\"c\",\"consumerDataSet\":[{\"groupName\":\"g\",\"messageModel\":\"X\"}]}", "messageModel"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const struct answer *a = ASK_BODY(REQ_HEART_BEAT, slice_str(bad[i][0]));
        EXPECT_CODE(a, RES_SYSTEM_ERROR);
        EXPECT_WORDS(a, bad[i][1]);
    }
    cr_expect(sessions_next_consumers(k.c.sessions, NULL) == NULL);
}

Test(clients, a_5x_client_that_could_save_words_is_told_whether_it_may)
{
    static const char *const without = "{\"clientID\":\"c\",\"consumerDataSet\":[{\"groupName\":\"g\",\"subscriptionDataSet\":[]}],"
                                       "\"heartbeatFingerprint\":5,\"withoutSub\":true}";
    const struct answer *a = ASK_BODY(REQ_HEART_BEAT, slice_str(without));
    ASSERT_CODE(a, RES_SUCCESS);
    EXPECT_TEXT(ext(a, "IS_SUPPORT_HEART_BEAT_V2"), "true");
    EXPECT_TEXT(ext(a, "IS_SUB_CHANGE"), "true");
    cr_expect_eq(a->cmd.body.n, 0);
    EXPECT_TEXT(ext(ASK_BODY(REQ_HEART_BEAT, slice_str(without)), "IS_SUB_CHANGE"), "false");
    a = ASK_BODY(REQ_HEART_BEAT, SLICE_LIT(CONSUMER("c4", "g4")));
    cr_expect(!has_ext(a, "IS_SUPPORT_HEART_BEAT_V2"), "a client of 4.x is told nothing of it");
}

Test(clients, who_leaves_is_gone)
{
    kit_heartbeat(5, CONSUMER("c1", "g"));
    k.conn_id = 5;
    ASSERT_CODE(ASK(REQ_UNREGISTER_CLIENT, "clientID", "c1", "consumerGroup", "g"), RES_SUCCESS);
    cr_expect(!sessions_consumers(k.c.sessions, SLICE_LIT("g")) && sessions_producers(k.c.sessions, SLICE_LIT("p")));
    ASSERT_CODE(ASK(REQ_UNREGISTER_CLIENT, "clientID", "c1", "producerGroup", "p"), RES_SUCCESS);
    cr_expect(!sessions_producers(k.c.sessions, SLICE_LIT("p")));
    EXPECT_CODE(ASK(REQ_UNREGISTER_CLIENT, "clientID", "c1"), RES_SUCCESS);
    EXPECT_CODE(ASK(REQ_UNREGISTER_CLIENT, "consumerGroup", "g"), RES_SYSTEM_ERROR);
}

Test(clients, a_group_and_its_connections_are_shown)
{
    kit_heartbeat(5, CONSUMER("c1", "g"));
    const struct answer *a = ASK(REQ_GET_CONSUMER_CONNECTION_LIST, "consumerGroup", "g");
    ASSERT_CODE(a, RES_SUCCESS);
    json_t *root = body_json(a), *one = json_array_get(json_object_get(root, "connectionSet"), 0);
    EXPECT_TEXT(text_of(one, "clientId"), "c1");
    EXPECT_TEXT(text_of(one, "clientAddr"), "127.0.0.1:40112");
    EXPECT_TEXT(text_of(one, "language"), "JAVA");
    cr_expect_eq(json_i64(one, "version", -1), MQ_VERSION_4_9_8);
    EXPECT_TEXT(text_of(root, "consumeType"), "CONSUME_PASSIVELY");
    EXPECT_TEXT(text_of(root, "messageModel"), "CLUSTERING");
    EXPECT_TEXT(text_of(root, "consumeFromWhere"), "CONSUME_FROM_FIRST_OFFSET");
    json_t *sub = json_object_get(json_object_get(root, "subscriptionTable"), "T");
    EXPECT_TEXT(text_of(sub, "subString"), "a || b");
    cr_expect(json_array_size(json_object_get(sub, "codeSet")) == 2 && json_i64(sub, "subVersion", -1) == 7);
    json_decref(root);
    a = ASK(REQ_GET_CONSUMER_CONNECTION_LIST, "consumerGroup", "nobody");
    EXPECT_CODE(a, RES_CONSUMER_NOT_ONLINE);
    EXPECT_WORDS(a, "the consumer group[nobody] not online");
}

Test(clients, members_that_disagree_are_named)
{
    kit_heartbeat(5, CONSUMER("c1", "g"));
    kit_heartbeat(6, "{\"clientID\":\"c2\",\"consumerDataSet\":[{\"groupName\":\"g\",\"subscriptionDataSet\":[{\"topic\":\"T\",\"subString\":\"c\","
                     "\"subVersion\":8}]}]}");
    json_t *root = body_json(ASK(REQ_GET_CONSUMER_CONNECTION_LIST, "consumerGroup", "g")), *x = json_object_get(root, "subscriptionMismatch");
    EXPECT_TEXT(text_of(x, "topic"), "T");
    EXPECT_TEXT(text_of(x, "clientId"), "c1");
    EXPECT_TEXT(text_of(x, "otherClientId"), "c2");
    json_decref(root);
    kit_close(6);
    root = body_json(ASK(REQ_GET_CONSUMER_CONNECTION_LIST, "consumerGroup", "g"));
    cr_expect(json_object_get(root, "subscriptionMismatch") == NULL);
    json_decref(root);
}

Test(clients, producers_are_shown)
{
    kit_heartbeat(5, CONSUMER("c1", "g"));
    const struct answer *a = ASK(REQ_GET_PRODUCER_CONNECTION_LIST, "producerGroup", "p");
    ASSERT_CODE(a, RES_SUCCESS);
    json_t *root = body_json(a);
    EXPECT_TEXT(text_of(json_array_get(json_object_get(root, "connectionSet"), 0), "clientId"), "c1");
    json_decref(root);
    a = ASK(REQ_GET_PRODUCER_CONNECTION_LIST, "producerGroup", "nobody");
    EXPECT_CODE(a, RES_SYSTEM_ERROR);
    EXPECT_WORDS(a, "the producer group[nobody] not exist");
    root = body_json(ASK(REQ_GET_ALL_PRODUCER_INFO));
    json_t *one = json_array_get(json_object_get(json_object_get(root, "data"), "p"), 0);
    EXPECT_TEXT(text_of(one, "remoteIP"), "/127.0.0.1:40112");
    cr_expect_eq(json_i64(one, "lastUpdateTimestamp", -1), k.now_ms);
    json_decref(root);
}

Test(clients, tags_need_no_check_and_what_we_do_not_know_is_refused)
{
    EXPECT_CODE(ASK_BODY(REQ_CHECK_CLIENT_CONFIG, SLICE_LIT("{\"clientId\":\"c\",\"group\":\"g\",\"subscriptionData\":{\"expressionType\":\"TAG\"}}")),
                RES_SUCCESS);
    EXPECT_CODE(ASK_BODY(REQ_CHECK_CLIENT_CONFIG, SLICE_LIT("{\"clientId\":\"c\"}")), RES_SUCCESS);
    const struct answer *a = ASK_BODY(REQ_CHECK_CLIENT_CONFIG, SLICE_LIT("{\"subscriptionData\":{\"expressionType\":\"SQL92\"}}"));
    EXPECT_CODE(a, RES_SYSTEM_ERROR);
    EXPECT_WORDS(a, "The broker does not support consumer to filter message by SQL92");
    EXPECT_CODE(ASK_BODY(REQ_CHECK_CLIENT_CONFIG, SLICE_LIT("nonsense")), RES_SYSTEM_ERROR);
}

/* ---- passed on ---- */
static struct answer *ask_client(int32_t code, const char *client, const char *msg_id)
{
    return kit_send(code, 0, (struct slice){0}, (const char *const[]){"consumerGroup", "g", "clientId", client, msg_id ? "msgId" : NULL, msg_id, NULL});
}

Test(clients, a_question_goes_on_to_the_client_and_its_answer_comes_back)
{
    kit_heartbeat(5, CONSUMER("c1", "g"));
    struct answer *a = ask_client(REQ_GET_CONSUMER_RUNNING_INFO, "c1", NULL);
    cr_assert(!a->came && k.n_calls == 1 && k.calls[0].conn_id == 5 && k.calls[0].cmd.code == 307);
    cr_expect_eq(k.calls[0].cmd.serialize, SERIALIZE_JSON);
    const struct command reply = {.code = 0, .body = SLICE_LIT("{\"jstack\":\"none\"}")};
    k.calls[0].fn(k.calls[0].arg, &reply);
    cr_assert(a->came);
    EXPECT_CODE(a, RES_SUCCESS);
    EXPECT_TEXT(a->cmd.body, "{\"jstack\":\"none\"}");
}

Test(clients, a_client_that_says_nothing_is_answered_for)
{
    kit_heartbeat(5, CONSUMER("c1", "g"));
    struct answer *a = ask_client(REQ_GET_CONSUMER_RUNNING_INFO, "c1", NULL);
    k.calls[0].fn(k.calls[0].arg, NULL);
    cr_assert(a->came);
    EXPECT_CODE(a, RES_CONSUME_MSG_TIMEOUT);
    a = ask_client(REQ_GET_CONSUMER_RUNNING_INFO, "nobody", NULL);
    cr_assert(a->came);
    EXPECT_CODE(a, RES_SYSTEM_ERROR);
    EXPECT_WORDS(a, "The Consumer <g> <nobody> not online");
}

Test(clients, a_message_goes_along_to_be_consumed_at_once)
{
    struct slice id = ext(kit_put("T", 0, "body", NULL), "msgId");
    char text[64];
    kit_heartbeat(5, CONSUMER("c1", "g"));
    struct answer *a = ask_client(REQ_CONSUME_MESSAGE_DIRECTLY, "c1", slice_copy(id, text, sizeof text));
    struct message m;
    cr_assert(!a->came && k.n_calls == 1 && message_decode(k.calls[0].cmd.body, true, &m) == MQ_OK);
    EXPECT_TEXT(m.body, "body");
    const struct command reply = {.code = 0, .body = SLICE_LIT("{}")};
    k.calls[0].fn(k.calls[0].arg, &reply);
    cr_expect(a->came && a->code == RES_SUCCESS);
    a = ask_client(REQ_CONSUME_MESSAGE_DIRECTLY, "c1", "no id");
    cr_expect(a->came && a->code == RES_SYSTEM_ERROR);
}
