/* groups.c - subscription groups and how far they are: 200 201 207 208 303 308 314 317 343 345 352. */
#include <stdio.h>
#include <string.h>

#include "tests/unit/processor/kit.h"

TestSuite(group_admin, .init = kit_start, .fini = kit_end);

static const struct group_config *group(const char *name) { return groups_find(k.c.groups, slice_str(name)); }
static void commit(const char *g, const char *topic, int queue, int64_t off) { offsets_commit(k.c.offsets, slice_str(g), slice_str(topic), queue, off); }
static int64_t committed(const char *g, const char *topic, int queue) { return offsets_query(k.c.offsets, slice_str(g), slice_str(topic), queue); }

Test(group_admin, a_group_is_made_and_changed)
{
    ASSERT_CODE(ASK_BODY(REQ_UPDATE_AND_CREATE_SUBSCRIPTIONGROUP,
                         SLICE_LIT("{\"brokerId\":2,\"consumeBroadcastEnable\":false,\"consumeEnable\":true,\"consumeFromMinEnable\":false,\"groupName\":\"g\","
                                   "\"notifyConsumerIdsChangedEnable\":false,\"retryMaxTimes\":3,\"retryQueueNums\":2,\"whichBrokerWhenConsumeSlowly\":5}")),
                RES_SUCCESS);
    const struct group_config *g = group("g");
    cr_assert(g && g->broker_id == 2 && !g->consume_broadcast_enable && g->consume_enable && !g->consume_from_min_enable);
    cr_expect(!g->notify_ids_changed_enable && g->retry_max_times == 3 && g->retry_queues == 2 && g->which_broker_when_slow == 5);
    ASSERT_CODE(ASK_BODY(REQ_UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, SLICE_LIT("{\"groupName\":\"g\"}")), RES_SUCCESS);
    cr_expect(group("g")->retry_max_times == 16 && group("g")->consume_broadcast_enable, "absent fields have Apache's defaults");
}

Test(group_admin, what_is_no_group_is_refused)
{
    static const char *const bad[] = {"", "[]", "{}", "{\"groupName\":\"\"}", "{\"groupName\":\"a b\"}", "{\"groupName\":\"../x\"}",
                                      "{\"groupName\":\"g\",\"retryQueueNums\":99999999999}", "{\"groupName\":5", "null"};
    size_t n = groups_count(k.c.groups);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const struct answer *a = ASK_BODY(REQ_UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, slice_str(bad[i]));
        EXPECT_CODE(a, RES_SYSTEM_ERROR);
        cr_expect(a->remark[0] != 0, "%s", bad[i]);
    }
    cr_expect_eq(groups_count(k.c.groups), n);
    k.config.broker_role = ROLE_SLAVE;
    const struct answer *a = ASK_BODY(REQ_UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, SLICE_LIT("{\"groupName\":\"g\"}"));
    EXPECT_CODE(a, RES_SYSTEM_ERROR);
    EXPECT_WORDS(a, "from slave broker");
    EXPECT_CODE(ASK(REQ_DELETE_SUBSCRIPTIONGROUP, "groupName", "g"), RES_SYSTEM_ERROR);
}

Test(group_admin, a_deleted_group_keeps_its_offsets_unless_asked)
{
    groups_find_or_create(k.c.groups, SLICE_LIT("g"), k.now_ms);
    groups_find_or_create(k.c.groups, SLICE_LIT("h"), k.now_ms);
    groups_find_or_create(k.c.groups, SLICE_LIT("i"), k.now_ms);
    commit("g", "T", 0, 1), commit("h", "T", 0, 1), commit("i", "T", 0, 1);
    ASSERT_CODE(ASK(REQ_DELETE_SUBSCRIPTIONGROUP, "groupName", "g"), RES_SUCCESS);
    ASSERT_CODE(ASK(REQ_DELETE_SUBSCRIPTIONGROUP, "groupName", "h", "removeOffset", "true"), RES_SUCCESS);
    ASSERT_CODE(ASK(REQ_DELETE_SUBSCRIPTIONGROUP, "groupName", "i", "cleanOffset", "true"), RES_SUCCESS);
    cr_expect(!group("g") && !group("h") && !group("i"));
    cr_expect(committed("g", "T", 0) == 1 && committed("h", "T", 0) == -1 && committed("i", "T", 0) == -1);
    EXPECT_CODE(ASK(REQ_DELETE_SUBSCRIPTIONGROUP, "groupName", "nobody"), RES_SUCCESS);
    EXPECT_CODE(ASK(REQ_DELETE_SUBSCRIPTIONGROUP), RES_SYSTEM_ERROR);
}

Test(group_admin, one_group_and_all_groups_are_told)
{
    const struct answer *a = ASK(REQ_GET_SUBSCRIPTIONGROUP_CONFIG, "group", "TOOLS_CONSUMER");
    ASSERT_CODE(a, RES_SUCCESS);
    EXPECT_TEXT(a->cmd.body, "{\"brokerId\":0,\"consumeBroadcastEnable\":true,\"consumeEnable\":true,\"consumeFromMinEnable\":true,\"groupName\":"
                             "\"TOOLS_CONSUMER\",\"notifyConsumerIdsChangedEnable\":true,\"retryMaxTimes\":16,\"retryQueueNums\":1,"
                             "\"whichBrokerWhenConsumeSlowly\":1}");
    json_t *root = body_json(ASK(REQ_GET_ALL_SUBSCRIPTIONGROUP_CONFIG)), *table = json_object_get(root, "subscriptionGroupTable");
    cr_expect_eq(json_object_size(table), groups_count(k.c.groups));
    cr_expect(json_object_get(table, "CID_ONSAPI_OWNER") && json_object_get(root, "dataVersion"));
    json_decref(root);
}

#define MEMBER(group, topic)                                                                                                            \
    "{\"clientID\":\"c\",\"consumerDataSet\":[{\"groupName\":\"" group "\",\"subscriptionDataSet\":[{\"topic\":\"" topic "\"}]}]}"

Test(group_admin, progress_is_told_by_queue)
{
    kit_topic("T", 2, 6);
    for (int i = 0; i < 3; i++, k.now_ms += 100)
        kit_put("T", 0, "m", NULL);
    commit("g", "T", 0, 2);
    char want[512];
    snprintf(want, sizeof want,
             "{\"consumeTps\":0.0,\"offsetTable\":{{\"brokerName\":\"broker-a\",\"queueId\":0,\"topic\":\"T\"}:{\"brokerOffset\":3,\"consumerOffset\":2,"
             "\"lastTimestamp\":%lld},{\"brokerName\":\"broker-a\",\"queueId\":1,\"topic\":\"T\"}:{\"brokerOffset\":0,\"consumerOffset\":0,"
             "\"lastTimestamp\":0}}}", KIT_T0 * 1000LL + 100);
    EXPECT_TEXT(ASK(REQ_GET_CONSUME_STATS, "consumerGroup", "g")->cmd.body, want);
    EXPECT_TEXT(ASK(REQ_GET_CONSUME_STATS, "consumerGroup", "g", "topic", "T")->cmd.body, want);
    EXPECT_TEXT(ASK(REQ_GET_CONSUME_STATS, "consumerGroup", "g", "topic", "nobody")->cmd.body, "{\"consumeTps\":0.0,\"offsetTable\":{}}");
    EXPECT_TEXT(ASK(REQ_GET_CONSUME_STATS, "consumerGroup", "nobody")->cmd.body, "{\"consumeTps\":0.0,\"offsetTable\":{}}");
    EXPECT_CODE(ASK(REQ_GET_CONSUME_STATS), RES_SYSTEM_ERROR);
    kit_heartbeat(5, MEMBER("g", "other"));
    EXPECT_TEXT(ASK(REQ_GET_CONSUME_STATS, "consumerGroup", "g")->cmd.body, "{\"consumeTps\":0.0,\"offsetTable\":{}}"); /* it has left the topic */
}

Test(group_admin, all_groups_of_a_broker_are_told_at_once)
{
    kit_put("T", 0, "m", NULL);
    groups_find_or_create(k.c.groups, SLICE_LIT("g"), k.now_ms);
    commit("g", "T", 0, 0);
    json_t *root = body_json(ASK(REQ_GET_BROKER_CONSUME_STATS, "isOrder", "false")), *list = json_object_get(root, "consumeStatsList"), *one;
    size_t i, found = 0;
    EXPECT_TEXT(json_str(root, "brokerAddr"), "127.0.0.1:10911");
    cr_expect_eq(json_i64(root, "totalDiff", -1), 1);
    cr_expect_eq(json_array_size(list), groups_count(k.c.groups));
    json_array_foreach(list, i, one)
        found += json_array_size(json_object_get(one, "g"));
    cr_expect_eq(found, 1);
    json_decref(root);
    root = body_json(ASK(REQ_GET_BROKER_CONSUME_STATS, "isOrder", "true"));
    cr_expect_eq(json_i64(root, "totalDiff", -1), 0, "T is not ordered");
    json_decref(root);
}

Test(group_admin, times_of_consumption_are_told_by_queue)
{
    kit_topic("T", 1, 6);
    for (int i = 0; i < 3; i++, k.now_ms += 100)
        kit_put("T", 0, "m", NULL);
    commit("g", "T", 0, 2);
    json_t *root = body_json(ASK(REQ_QUERY_CONSUME_TIME_SPAN, "topic", "T", "group", "g"));
    json_t *one = json_array_get(json_object_get(root, "consumeTimeSpanSet"), 0);
    cr_expect_eq(json_i64(one, "minTimeStamp", -1), KIT_T0 * 1000LL);
    cr_expect_eq(json_i64(one, "maxTimeStamp", -1), KIT_T0 * 1000LL + 200);
    cr_expect_eq(json_i64(one, "consumeTimeStamp", -1), KIT_T0 * 1000LL + 100);
    cr_expect_eq(json_i64(one, "delayTime", -1), 100);
    cr_expect_eq(json_i64(json_object_get(one, "messageQueue"), "queueId", -1), 0);
    json_decref(root);
    EXPECT_CODE(ASK(REQ_QUERY_CONSUME_TIME_SPAN, "topic", "nobody", "group", "g"), RES_TOPIC_NOT_EXIST);
}

Test(group_admin, offsets_are_cloned_for_the_topics_asked_for)
{
    kit_topic("T", 1, 6);
    kit_topic("U", 1, 6);
    commit("g", "T", 0, 5), commit("g", "U", 0, 6), commit("g", "gone", 0, 7);
    ASSERT_CODE(ASK(REQ_CLONE_GROUP_OFFSET, "srcGroup", "g", "destGroup", "h", "topic", "T", "offline", "true"), RES_SUCCESS);
    cr_expect(committed("h", "T", 0) == 5 && committed("h", "U", 0) == -1);
    ASSERT_CODE(ASK(REQ_CLONE_GROUP_OFFSET, "srcGroup", "g", "destGroup", "i"), RES_SUCCESS);
    cr_expect(committed("i", "T", 0) == 5 && committed("i", "U", 0) == 6 && committed("i", "gone", 0) == -1);
    EXPECT_CODE(ASK(REQ_CLONE_GROUP_OFFSET, "srcGroup", "g", "destGroup", "a b"), RES_SYSTEM_ERROR);
    EXPECT_CODE(ASK(REQ_CLONE_GROUP_OFFSET, "srcGroup", "g"), RES_SYSTEM_ERROR);
}

Test(group_admin, the_slowest_group_of_each_queue_is_told)
{
    kit_topic("T", 3, 6);
    commit("slow", "T", 0, 5), commit("quick", "T", 0, 9), commit("quick", "T", 1, 4);
    const struct answer *a = ASK(REQ_QUERY_CORRECTION_OFFSET, "topic", "T", "compareGroup", "other");
    ASSERT_CODE(a, RES_SUCCESS);
    EXPECT_TEXT(a->cmd.body, "{\"correctionOffsets\":{0:5,1:4}}");
    commit("other", "U", 0, 1);
    EXPECT_TEXT(ASK(REQ_QUERY_CORRECTION_OFFSET, "topic", "T", "compareGroup", "slow", "filterGroups", "x,slow")->cmd.body,
                "{\"correctionOffsets\":{0:9223372036854775807,1:4}}");
    cr_expect_eq(committed("slow", "T", 0), 5, "who is left out keeps his offset");
    EXPECT_TEXT(ASK(REQ_QUERY_CORRECTION_OFFSET, "topic", "nobody", "compareGroup", "slow")->cmd.body, "{\"correctionOffsets\":{}}");
    EXPECT_CODE(ASK(REQ_QUERY_CORRECTION_OFFSET, "topic", "T"), RES_SYSTEM_ERROR);
}

Test(group_admin, tools_of_5x_see_a_groups_topics_and_subscription)
{
    commit("g", "T", 0, 5);
    EXPECT_TEXT(ASK(REQ_QUERY_TOPICS_BY_CONSUMER, "group", "g")->cmd.body, "{\"brokerAddr\":\"127.0.0.1:10911\",\"topicList\":[\"T\"]}");
    EXPECT_TEXT(ASK(REQ_QUERY_SUBSCRIPTION_BY_CONSUMER, "group", "g", "topic", "T")->cmd.body, "{\"group\":\"g\",\"topic\":\"T\"}");
    kit_heartbeat(5, "{\"clientID\":\"c\",\"consumerDataSet\":[{\"groupName\":\"g\",\"subscriptionDataSet\":[{\"topic\":\"T\",\"subString\":\"*\","
                     "\"subVersion\":8}]}]}");
    json_t *root = body_json(ASK(REQ_QUERY_SUBSCRIPTION_BY_CONSUMER, "group", "g", "topic", "T"));
    cr_expect_eq(json_i64(json_object_get(root, "subscriptionData"), "subVersion", -1), 8);
    json_decref(root);
    EXPECT_CODE(ASK(REQ_QUERY_TOPICS_BY_CONSUMER), RES_SYSTEM_ERROR);
    EXPECT_CODE(ASK(REQ_QUERY_SUBSCRIPTION_BY_CONSUMER, "topic", "T"), RES_SYSTEM_ERROR);
}
