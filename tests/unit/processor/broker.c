/* broker.c - settings, figures and chores of a broker: 25 26 28 43 45 306 315 321 329 907. */
#include <stdio.h>
#include <string.h>

#include "tests/unit/processor/kit.h"

TestSuite(broker_admin, .init = kit_start, .fini = kit_end);

/* ---- 25 and 26 ---- */
static bool has_line(struct slice text, const char *want)
{
    struct slice line;
    while (slice_cut(&text, '\n', &line))
        if (slice_is(line, want))
            return true;
    return false;
}

Test(broker_admin, settings_are_told_as_lines)
{
    const struct answer *a = ASK(REQ_GET_BROKER_CONFIG);
    ASSERT_CODE(a, RES_SUCCESS);
    cr_expect(has_line(a->cmd.body, "brokerName=broker-a") && has_line(a->cmd.body, "brokerClusterName=DefaultCluster"));
    cr_expect(has_line(a->cmd.body, "flushDiskType=ASYNC_FLUSH") && has_line(a->cmd.body, "brokerPermission=6"));
    EXPECT_TEXT(ext(a, "version"), "{\"counter\":0,\"timestamp\":1700000000000}");
}

Test(broker_admin, live_settings_change_and_the_version_with_them)
{
    k.now_ms += 5;
    ASSERT_CODE(ASK_BODY(REQ_UPDATE_BROKER_CONFIG, SLICE_LIT("# words\nbrokerPermission=4\n\nlongPollingEnable = false\n")), RES_SUCCESS);
    cr_expect(k.config.broker_permission == 4 && !k.config.long_polling);
    EXPECT_TEXT(ext(ASK(REQ_GET_BROKER_CONFIG), "version"), "{\"counter\":1,\"timestamp\":1700000000005}");
    EXPECT_CODE(ASK(REQ_UPDATE_BROKER_CONFIG), RES_SUCCESS);
}

Test(broker_admin, what_may_not_change_is_refused_with_line_and_words)
{
    static const char *const fixed[] = {"storePathRootDir=/tmp/x", "rocketmqHome=/tmp", "brokerName=b", "listenPort=1", "configBlackList=x"};
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
        const struct answer *a = ASK_BODY(REQ_UPDATE_BROKER_CONFIG, slice_str(fixed[i]));
        EXPECT_CODE(a, RES_NO_PERMISSION);
        EXPECT_WORDS(a, "line 1: ");
    }
    const struct answer *a = ASK_BODY(REQ_UPDATE_BROKER_CONFIG, SLICE_LIT("brokerPermission=4\nbrokerPermission=banana\n"));
    EXPECT_CODE(a, RES_SYSTEM_ERROR);
    EXPECT_WORDS(a, "line 2: brokerPermission=banana: expected a number");
    EXPECT_WORDS(a, "(the lines above it are in effect)");
    a = ASK_BODY(REQ_UPDATE_BROKER_CONFIG, SLICE_LIT("noSuchKey=1"));
    EXPECT_CODE(a, RES_SYSTEM_ERROR);
    EXPECT_WORDS(a, "there is no key noSuchKey");
}

/* ---- 28 ---- */
Test(broker_admin, runtime_information_has_every_key_as_text)
{
    static const char *const keys[] = {
        "brokerVersionDesc", "brokerVersion", "msgPutTotalYesterdayMorning", "msgPutTotalTodayMorning", "msgPutTotalTodayNow",
        "msgGetTotalYesterdayMorning", "msgGetTotalTodayMorning", "msgGetTotalTodayNow", "sendThreadPoolQueueSize", "sendThreadPoolQueueCapacity",
        "pullThreadPoolQueueSize", "pullThreadPoolQueueCapacity", "queryThreadPoolQueueSize", "queryThreadPoolQueueCapacity",
        "sendThreadPoolQueueHeadWaitTimeMills", "pullThreadPoolQueueHeadWaitTimeMills", "queryThreadPoolQueueHeadWaitTimeMills",
        "EndTransactionQueueSize", "EndTransactionThreadPoolQueueCapacity", "dispatchBehindBytes", "pageCacheLockTimeMills",
        "earliestMessageTimeStamp", "startAcceptSendRequestTimeStamp", "remainTransientStoreBufferNumbs", "remainHowManyDataToFlush",
        "commitLogDirCapacity", "bootTimestamp", "runtime", "putMessageEntireTimeMax", "putMessageTimesTotal", "putMessageFailedTimes",
        "putMessageSizeTotal", "putMessageDistributeTime", "putMessageAverageSize", "dispatchMaxBuffer", "getMessageEntireTimeMax", "putTps",
        "getFoundTps", "getMissTps", "getTotalTps", "getTransferedTps", "getTransferredTps", "putLatency99", "putLatency999", "commitLogMinOffset",
        "commitLogMaxOffset", "commitLogDiskRatio", "consumeQueueDiskRatio", "transactionsOpen"};
    kit_put("T", 0, "m", NULL);
    kit_pull("T", 0, 0, "*");
    kit_pass(93784000); /* a day, two hours, three minutes, four seconds */
    json_t *root = body_json(ASK(REQ_GET_BROKER_RUNTIME_INFO)), *table = json_object_get(root, "table"), *v;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        cr_expect(json_is_string(json_object_get(table, keys[i])), "%s", keys[i]);
    const char *key;
    json_object_foreach(table, key, v)
        cr_expect(json_is_string(v), "%s", key);
    EXPECT_TEXT(json_str(table, "brokerVersionDesc"), "V4_9_8");
    EXPECT_TEXT(json_str(table, "brokerVersion"), "409");
    EXPECT_TEXT(json_str(table, "msgPutTotalTodayNow"), "1");
    EXPECT_TEXT(json_str(table, "msgGetTotalTodayNow"), "1");
    EXPECT_TEXT(json_str(table, "putMessageTimesTotal"), "1");
    EXPECT_TEXT(json_str(table, "runtime"), "[ 1 days, 2 hours, 3 minutes, 4 seconds ]");
    EXPECT_TEXT(json_str(table, "bootTimestamp"), "1700000000000");
    EXPECT_TEXT(json_str(table, "earliestMessageTimeStamp"), "1700000000000");
    EXPECT_TEXT(json_str(table, "remainHowManyDataToFlush"), "0 B");
    EXPECT_TEXT(json_str(table, "commitLogDirCapacity"), "Total : 100.0 GiB, Free : 60.0 GiB.");
    EXPECT_TEXT(json_str(table, "commitLogMinOffset"), "0");
    cr_expect(json_i64(table, "commitLogMaxOffset", -1) > 0);
    double a, b, c;
    cr_expect_eq(sscanf(json_string_value(json_object_get(table, "putTps")), "%lf %lf %lf", &a, &b, &c), 3);
    json_decref(root);
}

/* ---- the rest ---- */
Test(broker_admin, statistics_are_told_by_name_and_key)
{
    kit_put("T", 0, "m", NULL);
    kit_pull("T", 0, 0, "*");
    static const char *const items[][2] = {{"TOPIC_PUT_NUMS", "T"}, {"TOPIC_PUT_SIZE", "T"}, {"GROUP_GET_NUMS", "T@g"}, {"GROUP_GET_SIZE", "T@g"},
                                           {"BROKER_PUT_NUMS", "DefaultCluster"}, {"BROKER_GET_NUMS", "DefaultCluster"}};
    for (size_t i = 0; i < sizeof items / sizeof *items; i++) {
        const struct answer *a = ASK(REQ_VIEW_BROKER_STATS_DATA, "statsName", items[i][0], "statsKey", items[i][1]);
        ASSERT_CODE(a, RES_SUCCESS);
        json_t *root = body_json(a);
        cr_expect(json_object_get(root, "statsMinute") && json_object_get(root, "statsHour") && json_object_get(root, "statsDay"));
        json_decref(root);
    }
    const struct answer *a = ASK(REQ_VIEW_BROKER_STATS_DATA, "statsName", "TOPIC_PUT_NUMS", "statsKey", "nobody");
    EXPECT_CODE(a, RES_SYSTEM_ERROR);
    cr_expect_str_eq(a->remark, "The stats <TOPIC_PUT_NUMS> <nobody> not exist");
    EXPECT_CODE(ASK(REQ_VIEW_BROKER_STATS_DATA, "statsName", "nonsense", "statsKey", "T"), RES_SYSTEM_ERROR);
}

static int64_t fall(const char *name, const char *key) /* -1: there is no such statistic */
{
    const struct answer *a = ASK(REQ_VIEW_BROKER_STATS_DATA, "statsName", name, "statsKey", key);
    if (a->code != RES_SUCCESS)
        return -1;
    json_t *root = body_json(a);
    int64_t sum = json_i64(json_object_get(root, "statsMinute"), "sum", -2);
    json_decref(root);
    return sum;
}

Test(broker_admin, how_far_a_group_is_behind_is_told_in_bytes_and_ms)
{
    kit_put("T", 1, "one", NULL);
    int64_t first = (int64_t)k.c.log_end;
    kit_pass(700);
    kit_put("T", 1, "two", NULL);
    cr_expect_eq(fall("GROUP_GET_FALL_SIZE", "1@T@g"), -1, "the group was never here");
    offsets_commit(k.c.offsets, SLICE_LIT("g"), SLICE_LIT("T"), 1, 0);
    cr_expect_eq(fall("GROUP_GET_FALL_SIZE", "1@T@g"), (int64_t)k.c.log_end);
    cr_expect_eq(fall("GROUP_GET_FALL_TIME", "1@T@g"), 700);
    offsets_commit(k.c.offsets, SLICE_LIT("g"), SLICE_LIT("T"), 1, 1);
    cr_expect_eq(fall("GROUP_GET_FALL_SIZE", "1@T@g"), (int64_t)k.c.log_end - first);
    cr_expect_eq(fall("GROUP_GET_FALL_TIME", "1@T@g"), 0);
    offsets_commit(k.c.offsets, SLICE_LIT("g"), SLICE_LIT("T"), 1, 2);
    cr_expect_eq(fall("GROUP_GET_FALL_SIZE", "1@T@g"), 0, "it has all");
    static const char *const bad[] = {"1@T", "x@T@g", "@@", "1", "2@T@g", "1@U@g"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_eq(fall("GROUP_GET_FALL_SIZE", bad[i]), -1, "%s", bad[i]);
}

Test(broker_admin, a_slave_is_told_offsets_and_delays)
{
    EXPECT_TEXT(ASK(REQ_GET_ALL_CONSUMER_OFFSET)->cmd.body, "{\"offsetTable\":{}}");
    offsets_commit(k.c.offsets, SLICE_LIT("g"), SLICE_LIT("T"), 2, 5);
    EXPECT_TEXT(ASK(REQ_GET_ALL_CONSUMER_OFFSET)->cmd.body, "{\"offsetTable\":{\"T@g\":{2:5}}}");
    EXPECT_TEXT(ASK(REQ_GET_ALL_DELAY_OFFSET)->cmd.body, "{\"offsetTable\":{}}");
    json_t *root = body_json(ASK(REQ_GET_BROKER_HA_STATUS));
    cr_expect(json_is_true(json_object_get(root, "master")));
    json_decref(root);
}

Test(broker_admin, expired_files_are_cleaned_when_asked)
{
    kit_put("T", 0, "m", NULL);
    EXPECT_CODE(ASK(REQ_DELETE_EXPIRED_COMMITLOG), RES_SUCCESS);
    EXPECT_CODE(ASK(REQ_CLEAN_EXPIRED_CONSUMEQUEUE), RES_SUCCESS);
    EXPECT_CODE(kit_pull("T", 0, 0, "*"), RES_SUCCESS);
}

Test(broker_admin, the_units_of_a_queue_are_shown)
{
    kit_put("T", 0, "m", "TAGS\001a");
    kit_put("T", 0, "n", NULL);
    const struct answer *a = ASK(REQ_QUERY_CONSUME_QUEUE, "topic", "T", "queueId", "0", "index", "0", "count", "10");
    json_t *root = body_json(a), *list = json_object_get(root, "queueData"), *one = json_array_get(list, 0);
    cr_expect(json_i64(root, "maxQueueIndex", -1) == 2 && json_i64(root, "minQueueIndex", -1) == 0 && json_array_size(list) == 2);
    cr_expect(json_i64(one, "physicOffset", -1) == 0 && json_i64(one, "physicSize", -1) > 0 && json_i64(one, "tagsCode", -1) == 97);
    json_decref(root);
    a = ASK(REQ_QUERY_CONSUME_QUEUE, "topic", "T", "queueId", "0", "index", "7", "count", "10");
    EXPECT_CODE(a, RES_SUCCESS);
    EXPECT_WORDS(a, "Index 7 of 0@T is not exist!");
    a = ASK(REQ_QUERY_CONSUME_QUEUE, "topic", "T", "queueId", "9", "index", "0", "count", "10");
    EXPECT_CODE(a, RES_SYSTEM_ERROR);
    EXPECT_WORDS(a, "9@T is not exist!");
    root = body_json(ASK(REQ_QUERY_CONSUME_QUEUE, "topic", "T", "queueId", "0", "index", "0", "count", "1", "consumerGroup", "g"));
    EXPECT_TEXT(json_str(root, "filterData"), "g@T is not online!");
    json_decref(root);
}
