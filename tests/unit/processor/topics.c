/* topics.c - topics are made, changed, deleted and looked at: 17 21 202 215 300 305 316 351. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/processor/kit.h"

TestSuite(topic_admin, .init = kit_start, .fini = kit_end);

#define CREATE(topic, ...)                                                                                                             \
    ASK(REQ_UPDATE_AND_CREATE_TOPIC, "topic", topic, "defaultTopic", "TBW102", "readQueueNums", "4", "writeQueueNums", "3", "perm", "6",   \
        "topicFilterType", "SINGLE_TAG", "topicSysFlag", "0", "order", "false" __VA_OPT__(, ) __VA_ARGS__)
#define CREATE_WITH(read, write, perm)                                                                                                 \
    ASK(REQ_UPDATE_AND_CREATE_TOPIC, "topic", "T", "defaultTopic", "TBW102", "readQueueNums", read, "writeQueueNums", write, "perm", perm, \
        "topicFilterType", "SINGLE_TAG")
static const struct topic_config *topic(const char *name) { return topics_find(k.c.topics, slice_str(name)); }

Test(topic_admin, a_topic_is_made_and_changed)
{
    int64_t version = topics_version(k.c.topics)->counter;
    unsigned told = k.registered;
    const struct answer *a = CREATE("T");
    ASSERT_CODE(a, RES_SUCCESS);
    cr_expect(a->cmd.remark.p == NULL && a->cmd.body.n == 0);
    cr_assert(topic("T") && topic("T")->read_queues == 4 && topic("T")->write_queues == 3 && topic("T")->perm == 6 && !topic("T")->order);
    ASSERT_CODE(CREATE_WITH("8", "8", "4"), RES_SUCCESS);
    cr_expect(topic("T")->read_queues == 8 && topic("T")->perm == 4);
    cr_expect(topics_version(k.c.topics)->counter == version + 2 && k.registered == told + 2);
}

static bool in_file(const char *path, const char *name) /* as programs see it */
{
    uint64_t n = 0;
    const uint8_t *p = fake_disk_bytes(k.disk, path, &n);
    return p && memmem(p, n, name, strlen(name)) != NULL;
}
static bool in_changes(const char *table, const char *name)
{
    char a[64], b[64];
    snprintf(a, sizeof a, "config/%s.changes1", table);
    snprintf(b, sizeof b, "config/%s.changes2", table);
    return in_file(a, name) || in_file(b, name);
}
static struct answer *ask_without_turn(int32_t code, const char *topic_name)
{
    return kit_send(code, 0, (struct slice){0}, (const char *const[]){"topic", topic_name, "readQueueNums", "1", "writeQueueNums", "1", "perm", "6", NULL});
}

Test(topic_admin, a_change_is_written_before_its_answer_and_in_the_table_a_little_later)
{
    struct answer *a = ask_without_turn(REQ_UPDATE_AND_CREATE_TOPIC, "kept_t");
    cr_expect(a->came && a->code == RES_SUCCESS && in_changes("topics.json", "kept_t") && !in_file("config/topics.json", "kept_t"));
    cr_expect_eq(k.kept, KEPT_TOPIC_MADE);
    kit_turn();
    cr_expect(in_file("config/topics.json", "kept_t") && !in_changes("topics.json", "kept_t"));
    a = ask_without_turn(REQ_DELETE_TOPIC_IN_BROKER, "kept_t");
    cr_expect(a->came && in_changes("topics.json", "{\"remove\":\"kept_t\"}") && k.kept == KEPT_TOPIC_DELETED);
    a = kit_send(REQ_UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, 0, SLICE_LIT("{\"groupName\":\"kept_g\"}"), NULL);
    cr_expect(a->came && in_changes("subscriptionGroup.json", "kept_g") && k.kept == KEPT_GROUP);
    a = kit_send(REQ_DELETE_SUBSCRIPTIONGROUP, 0, (struct slice){0}, (const char *const[]){"groupName", "kept_g", NULL});
    cr_expect(a->came && in_changes("subscriptionGroup.json", "{\"remove\":\"kept_g\"}"));
    kit_put("auto_t", 0, "x", NULL);
    cr_expect(in_file("config/topics.json", "auto_t"));
}

Test(topic_admin, with_sync_flush_a_change_is_answered_when_it_is_synced_and_one_sync_serves_many)
{
    kit_start_with("flushDiskType=SYNC_FLUSH\n");
    struct answer *many[20];
    char name[32];
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "kept_%d_", i);
        many[i] = ask_without_turn(REQ_UPDATE_AND_CREATE_TOPIC, name);
        cr_expect(!many[i]->came && topic(name) && k.kept == KEPT_TOPIC_MADE);
    }
    cr_expect(sim_exec_run(&k.exec, LANE_FLUSH));
    uint64_t steps = fake_disk_steps(k.disk);
    while (sim_exec_run(&k.exec, LANE_FLUSH)) {
    }
    cr_expect_eq(fake_disk_steps(k.disk), steps, "the first sync was for all");
    while (sim_exec_done(&k.exec)) {
    }
    for (int i = 0; i < 20; i++)
        cr_expect(many[i]->times == 1 && many[i]->code == RES_SUCCESS, "%d", i);
    struct answer *a = ask_without_turn(REQ_DELETE_TOPIC_IN_BROKER, "kept_7_");
    cr_expect(!a->came && topic("kept_7_") == NULL && k.kept == KEPT_TOPIC_DELETED);
    kit_turn();
    cr_expect(a->came && a->code == RES_SUCCESS);
    a = kit_send(REQ_UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, 0, SLICE_LIT("{\"groupName\":\"kept_g\"}"), NULL);
    cr_expect(!a->came && k.kept == KEPT_GROUP);
    kit_turn();
    cr_expect(a->came && a->code == RES_SUCCESS);
}

Test(topic_admin, a_failed_sync_is_told_to_who_waits_for_it)
{
    kit_start_with("flushDiskType=SYNC_FLUSH\n");
    fake_disk_fail(k.disk, FAKE_DATASYNC, 1, -EIO, false);
    const struct answer *a = CREATE("T");
    EXPECT_CODE(a, RES_SYSTEM_ERROR);
    EXPECT_WORDS(a, "sync config/topics.json.changes");
    ASSERT_CODE(CREATE("T"), RES_SUCCESS);
}

Test(topic_admin, what_the_disk_does_not_take_is_refused_in_words_and_nothing_changes)
{
    ASSERT_CODE(CREATE_WITH("4", "4", "6"), RES_SUCCESS);
    ASSERT_CODE(ASK_BODY(REQ_UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, SLICE_LIT("{\"groupName\":\"g\",\"retryMaxTimes\":3}")), RES_SUCCESS);
    fake_disk_fail(k.disk, FAKE_PWRITE, 1, -ENOSPC, true);
    struct data_version before = *topics_version(k.c.topics);
    const struct answer *a = CREATE_WITH("9", "9", "6");
    EXPECT_CODE(a, RES_SYSTEM_ERROR);
    EXPECT_WORDS(a, "nothing was changed: write config/topics.json.changes");
    cr_expect_eq(topic("T")->read_queues, 4);
    EXPECT_CODE(CREATE("new"), RES_SYSTEM_ERROR);
    cr_expect_null(topic("new"));
    EXPECT_CODE(ASK(REQ_DELETE_TOPIC_IN_BROKER, "topic", "T"), RES_SYSTEM_ERROR);
    cr_expect_not_null(topic("T"));
    a = kit_send(REQ_SEND_MESSAGE_V2, 0, SLICE_LIT("x"), (const char *const[]){"a", "p", "b", "auto_t", "c", "TBW102", "d", "4", "e", "0", "f", "0", "g",
                                                                               "1", "h", "0", "j", "0", "k", "false", "m", "false", NULL});
    EXPECT_CODE(a, RES_SYSTEM_ERROR);
    EXPECT_WORDS(a, "nothing was changed");
    cr_expect_eq(topics_version(k.c.topics)->counter, before.counter);
    a = kit_send(REQ_UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, 0, SLICE_LIT("{\"groupName\":\"g\"}"), NULL);
    EXPECT_CODE(a, RES_SYSTEM_ERROR);
    a = kit_send(REQ_DELETE_SUBSCRIPTIONGROUP, 0, (struct slice){0}, (const char *const[]){"groupName", "g", NULL});
    EXPECT_CODE(a, RES_SYSTEM_ERROR);
    cr_expect(groups_find(k.c.groups, SLICE_LIT("g")) && groups_find(k.c.groups, SLICE_LIT("g"))->retry_max_times == 3);
    cr_expect_not_null(groups_find_or_create(k.c.groups, SLICE_LIT("reader"), k.now_ms), "consuming goes on");
    fake_disk_fail(k.disk, FAKE_PWRITE, 0, 0, false);
    ASSERT_CODE(CREATE_WITH("9", "9", "6"), RES_SUCCESS);
    cr_expect_eq(topic("T")->read_queues, 9);
}

Test(topic_admin, what_cannot_be_a_topic_is_refused)
{
    char longest[129];
    memset(longest, 'x', 128);
    longest[128] = 0;
    const struct answer *a = CREATE("");
    EXPECT_CODE(a, RES_SYSTEM_ERROR);
    EXPECT_WORDS(a, "The specified topic is blank.");
    a = CREATE("a/b");
    EXPECT_CODE(a, RES_SYSTEM_ERROR);
    EXPECT_WORDS(a, "The specified topic contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$");
    a = CREATE(longest);
    EXPECT_CODE(a, RES_SYSTEM_ERROR);
    EXPECT_WORDS(a, "longer than topic max length");
    static const char *const system[] = {"TBW102", "SCHEDULE_TOPIC_XXXX", "DefaultCluster", "broker-a", "DefaultCluster_REPLY_TOPIC", "rmq_sys_any"};
    for (size_t i = 0; i < sizeof system / sizeof *system; i++) {
        a = CREATE(system[i]);
        EXPECT_CODE(a, RES_SYSTEM_ERROR);
        EXPECT_WORDS(a, "is conflict with system topic.");
    }
}

Test(topic_admin, numbers_out_of_range_are_named_and_change_nothing)
{
    static const char *const bad[][4] = {{"-1", "1", "6", "readQueueNums"}, {"1", "-1", "6", "writeQueueNums"}, {"65537", "1", "6", "readQueueNums"},
                                         {"1", "65537", "6", "writeQueueNums"}, {"1", "1", "8", "perm"}, {"1", "1", "-1", "perm"},
                                         {"x", "1", "6", "readQueueNums"}, {"1", "2147483648", "6", "writeQueueNums"}, {"1", "1", "", "perm"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const struct answer *a = CREATE_WITH(bad[i][0], bad[i][1], bad[i][2]);
        EXPECT_CODE(a, RES_SYSTEM_ERROR);
        EXPECT_WORDS(a, bad[i][3]);
    }
    const struct answer *a = ASK(REQ_UPDATE_AND_CREATE_TOPIC, "topic", "T", "readQueueNums", "1", "writeQueueNums", "1", "perm", "6", "topicFilterType", "X");
    EXPECT_CODE(a, RES_SYSTEM_ERROR);
    EXPECT_WORDS(a, "field topicFilterType is unknown: X");
    cr_expect(!topic("T"));
}

Test(topic_admin, a_slave_changes_no_topics)
{
    k.config.broker_role = ROLE_SLAVE;
    const struct answer *a = CREATE("T");
    EXPECT_CODE(a, RES_SYSTEM_ERROR);
    EXPECT_WORDS(a, "Can't modify topic or subscription group from slave broker");
    EXPECT_CODE(ASK(REQ_DELETE_TOPIC_IN_BROKER, "topic", "T"), RES_SYSTEM_ERROR);
}

Test(topic_admin, a_deleted_topic_leaves_nothing_behind)
{
    ASSERT_CODE(kit_put("T", 0, "m", NULL), RES_SUCCESS);
    offsets_commit(k.c.offsets, SLICE_LIT("g"), SLICE_LIT("T"), 0, 1);
    ASSERT_CODE(ASK(REQ_DELETE_TOPIC_IN_BROKER, "topic", "T"), RES_SUCCESS);
    cr_expect(!topic("T") && !offsets_has(k.c.offsets, SLICE_LIT("g"), SLICE_LIT("T")));
    cr_expect_eq(message_store_max_offset(k.c.store, SLICE_LIT("T"), 0), 0);
    EXPECT_CODE(kit_pull("T", 0, 0, "*"), RES_TOPIC_NOT_EXIST);
    EXPECT_CODE(ASK(REQ_DELETE_TOPIC_IN_BROKER, "topic", "T"), RES_SUCCESS);
    EXPECT_CODE(ASK(REQ_DELETE_TOPIC_IN_BROKER, "topic", "TBW102"), RES_SYSTEM_ERROR);
    EXPECT_CODE(ASK(REQ_DELETE_TOPIC_IN_BROKER), RES_SYSTEM_ERROR);
    ASSERT_CODE(kit_put("T", 0, "again", NULL), RES_SUCCESS);
    struct message m[2];
    cr_assert_eq(kit_records(kit_pull("T", 0, 0, "*"), m, 2), 1);
    cr_expect(slice_is(m[0].body, "again") && m[0].queue_off == 0);
}

Test(topic_admin, queues_of_topics_that_are_not_known_can_be_cleaned)
{
    ASSERT_CODE(kit_put("T", 0, "m", NULL), RES_SUCCESS);
    ASSERT_CODE(kit_put("kept", 0, "m", NULL), RES_SUCCESS);
    topics_remove(k.c.topics, SLICE_LIT("T"), k.now_ms, NULL);
    ASSERT_CODE(ASK(REQ_CLEAN_UNUSED_TOPIC), RES_SUCCESS);
    cr_expect(message_store_max_offset(k.c.store, SLICE_LIT("T"), 0) == 0 && message_store_max_offset(k.c.store, SLICE_LIT("kept"), 0) == 1);
}

Test(topic_admin, one_topic_and_all_topics_are_told)
{
    ASSERT_CODE(CREATE("T"), RES_SUCCESS);
    const struct answer *a = ASK(REQ_GET_TOPIC_CONFIG, "topic", "T");
    ASSERT_CODE(a, RES_SUCCESS);
    EXPECT_TEXT(a->cmd.body, "{\"order\":false,\"perm\":6,\"readQueueNums\":4,\"topicFilterType\":\"SINGLE_TAG\",\"topicName\":\"T\",\"topicSysFlag\":0,"
                             "\"writeQueueNums\":3}");
    EXPECT_CODE(ASK(REQ_GET_TOPIC_CONFIG, "topic", "nobody"), RES_TOPIC_NOT_EXIST);
    json_t *root = body_json(ASK(REQ_GET_ALL_TOPIC_CONFIG));
    json_t *table = json_object_get(root, "topicConfigTable");
    cr_expect_eq(json_object_size(table), topics_count(k.c.topics));
    cr_expect_eq(json_i64(json_object_get(table, "T"), "readQueueNums", -1), 4);
    cr_expect_eq(json_i64(json_object_get(root, "dataVersion"), "counter", -1), topics_version(k.c.topics)->counter);
    json_decref(root);
}

Test(topic_admin, the_offsets_of_a_topic_are_told_by_queue)
{
    ASSERT_CODE(CREATE("T"), RES_SUCCESS);
    kit_put("T", 1, "m", NULL);
    const struct answer *a = ASK(REQ_GET_TOPIC_STATS_INFO, "topic", "T");
    char want[512];
    snprintf(want, sizeof want,
             "{\"offsetTable\":{{\"brokerName\":\"broker-a\",\"queueId\":0,\"topic\":\"T\"}:{\"lastUpdateTimestamp\":0,\"maxOffset\":0,\"minOffset\":0},"
             "{\"brokerName\":\"broker-a\",\"queueId\":1,\"topic\":\"T\"}:{\"lastUpdateTimestamp\":%lld,\"maxOffset\":1,\"minOffset\":0},"
             "{\"brokerName\":\"broker-a\",\"queueId\":2,\"topic\":\"T\"}:{\"lastUpdateTimestamp\":0,\"maxOffset\":0,\"minOffset\":0}}}",
             (long long)k.now_ms);
    ASSERT_CODE(a, RES_SUCCESS);
    EXPECT_TEXT(a->cmd.body, want);
    a = ASK(REQ_GET_TOPIC_STATS_INFO, "topic", "nobody");
    EXPECT_CODE(a, RES_TOPIC_NOT_EXIST);
    EXPECT_WORDS(a, "topic[nobody] not exist");
}

Test(topic_admin, who_consumes_a_topic_is_known_by_heartbeats_and_offsets)
{
    EXPECT_TEXT(ASK(REQ_QUERY_TOPIC_CONSUME_BY_WHO, "topic", "T")->cmd.body, "{\"groupList\":[]}");
    offsets_commit(k.c.offsets, SLICE_LIT("g"), SLICE_LIT("T"), 0, 1);
    EXPECT_TEXT(ASK(REQ_QUERY_TOPIC_CONSUME_BY_WHO, "topic", "T")->cmd.body, "{\"groupList\":[\"g\"]}");
    kit_heartbeat(5, "{\"clientID\":\"c\",\"consumerDataSet\":[{\"groupName\":\"h\",\"subscriptionDataSet\":[{\"topic\":\"T\"}]},"
                     "{\"groupName\":\"g\",\"subscriptionDataSet\":[{\"topic\":\"T\"}]}]}");
    json_t *root = body_json(ASK(REQ_QUERY_TOPIC_CONSUME_BY_WHO, "topic", "T"));
    cr_expect_eq(json_array_size(json_object_get(root, "groupList")), 2);
    json_decref(root);
}

Test(topic_admin, system_topics_are_listed)
{
    json_t *root = body_json(ASK(REQ_GET_SYSTEM_TOPIC_LIST_FROM_BROKER)), *list = json_object_get(root, "topicList"), *v;
    size_t i, found = 0;
    json_array_foreach(list, i, v)
        found += strcmp(json_string_value(v), "TBW102") == 0 || strcmp(json_string_value(v), "DefaultCluster") == 0;
    cr_expect(found == 2 && json_array_size(list) >= 11);
    json_decref(root);
}
