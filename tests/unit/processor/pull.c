/* pull.c - 11 and 361: each code with its fields, subscriptions, tags, parking and waking, offsets that come along. */
#include <stdio.h>
#include <string.h>

#include "tests/unit/processor/kit.h"

TestSuite(pull, .init = kit_start, .fini = kit_end);

static const char *const plain[][2] = {{"consumerGroup", "g"}, {"topic", "T"}, {"queueId", "0"}, {"queueOffset", "0"}, {"maxMsgNums", "32"},
                                       {"sysFlag", "4"}, {"commitOffset", "0"}, {"suspendTimeoutMillis", "15000"}, {"subscription", "*"},
                                       {"subVersion", "0"}};

/* The plain pull with some fields changed: name, value (NULL: left out), ... NULL. */
static struct answer *request(int32_t code, const char *const *changes)
{
    const char *fields[64];
    size_t n = 0;
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        const char *value = plain[i][1];
        for (const char *const *c = changes; c[0]; c += 2)
            if (strcmp(c[0], plain[i][0]) == 0)
                value = c[1];
        if (value == NULL)
            continue;
        fields[n++] = plain[i][0];
        fields[n++] = value;
    }
    for (const char *const *c = changes; c[0]; c += 2)
        if (strcmp(c[0], "expressionType") == 0) {
            fields[n++] = c[0];
            fields[n++] = c[1];
        }
    fields[n] = NULL;
    return kit_send(code, 0, (struct slice){0}, fields);
}
static const struct answer *ask(int32_t code, const char *const *changes)
{
    const struct answer *a = request(code, changes);
    kit_turn();
    cr_assert(a->came && a->times == 1);
    return a;
}
#define PULL(...) ask(REQ_PULL_MESSAGE, (const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL, NULL})
#define PULL_PARKED(...) request(REQ_PULL_MESSAGE, (const char *const[]){"sysFlag", "6", __VA_ARGS__ __VA_OPT__(, ) NULL, NULL})

static void expect_place(const struct answer *a, int32_t code, const char *words, int64_t next, int64_t min, int64_t max)
{
    EXPECT_CODE(a, code);
    cr_expect_str_eq(a->remark, words);
    cr_expect_eq(ext_i64(a, "nextBeginOffset"), next, "next %lld", (long long)ext_i64(a, "nextBeginOffset"));
    cr_expect_eq(ext_i64(a, "minOffset"), min, "min %lld", (long long)ext_i64(a, "minOffset"));
    cr_expect_eq(ext_i64(a, "maxOffset"), max, "max %lld", (long long)ext_i64(a, "maxOffset"));
    cr_expect_eq(ext_i64(a, "suggestWhichBrokerId"), 0);
    if (code != RES_SUCCESS)
        cr_expect_eq(a->cmd.body.n, 0);
}
static void fill(int n)
{
    for (int i = 0; i < n; i++) {
        char body[16];
        snprintf(body, sizeof body, "m%d", i);
        ASSERT_CODE(kit_put("T", 0, body, i % 2 ? "TAGS\001odd" : "TAGS\001even"), RES_SUCCESS);
    }
}

/* ---- codes ---- */
Test(pull, what_is_there_is_found)
{
    fill(3);
    const struct answer *a = PULL();
    expect_place(a, RES_SUCCESS, "FOUND", 3, 0, 3);
    struct message m[4];
    cr_assert_eq(kit_records(a, m, 4), 3);
    cr_expect(slice_is(m[0].body, "m0") && slice_is(m[2].body, "m2") && m[2].queue_off == 2);
    a = PULL("queueOffset", "1", "maxMsgNums", "1");
    expect_place(a, RES_SUCCESS, "FOUND", 2, 0, 3);
    cr_assert_eq(kit_records(a, m, 4), 1);
    EXPECT_TEXT(m[0].body, "m1");
}

Test(pull, lite_pull_is_a_pull)
{
    fill(1);
    expect_place(ask(REQ_LITE_PULL_MESSAGE, (const char *const[]){NULL}), RES_SUCCESS, "FOUND", 1, 0, 1);
}

Test(pull, nothing_there_yet_has_four_names)
{
    kit_topic("T", 4, 6);
    expect_place(PULL(), RES_PULL_NOT_FOUND, "NO_MATCHED_LOGIC_QUEUE", 0, 0, 0);
    expect_place(PULL("queueOffset", "5"), RES_PULL_OFFSET_MOVED, "NO_MATCHED_LOGIC_QUEUE", 0, 0, 0);
    fill(2);
    expect_place(PULL("queueOffset", "2"), RES_PULL_NOT_FOUND, "OFFSET_OVERFLOW_ONE", 2, 0, 2);
    expect_place(PULL("queueOffset", "3"), RES_PULL_OFFSET_MOVED, "OFFSET_OVERFLOW_BADLY", 2, 0, 2);
    expect_place(PULL("queueOffset", "-1"), RES_PULL_OFFSET_MOVED, "OFFSET_TOO_SMALL", 0, 0, 2);
    expect_place(PULL("queueOffset", "9223372036854775807"), RES_PULL_OFFSET_MOVED, "OFFSET_OVERFLOW_BADLY", 2, 0, 2);
    expect_place(PULL("queueOffset", "-9223372036854775808"), RES_PULL_OFFSET_MOVED, "OFFSET_TOO_SMALL", 0, 0, 2);
}

Test(pull, an_offset_that_moved_is_an_event_for_monitors)
{
    fill(2);
    EXPECT_CODE(PULL("queueOffset", "7"), RES_PULL_OFFSET_MOVED);
    struct message m[2];
    cr_assert_eq(kit_records(kit_pull("OFFSET_MOVED_EVENT", 0, 0, "*"), m, 2), 1);
    EXPECT_TEXT(m[0].body, "{\"consumerGroup\":\"g\",\"messageQueue\":{\"brokerName\":\"broker-a\",\"queueId\":0,\"topic\":\"T\"},\"offsetNew\":2,"
                           "\"offsetRequest\":7}");
    struct slice tags;
    cr_expect(prop_get(m[0].properties, "TAGS", &tags) && slice_is(tags, "g"));
}

Test(pull, messages_of_other_tags_are_passed_over)
{
    fill(4);
    const struct answer *a = PULL("subscription", "odd || x");
    expect_place(a, RES_SUCCESS, "FOUND", 4, 0, 4);
    struct message m[4];
    cr_assert_eq(kit_records(a, m, 4), 2);
    cr_expect(slice_is(m[0].body, "m1") && slice_is(m[1].body, "m3"));
    expect_place(PULL("subscription", "none"), RES_PULL_RETRY_IMMEDIATELY, "NO_MATCHED_MESSAGE", 4, 0, 4);
    expect_place(PULL("subscription", ""), RES_SUCCESS, "FOUND", 4, 0, 4);
    expect_place(PULL("subscription", NULL), RES_SUCCESS, "FOUND", 4, 0, 4);
}

Test(pull, a_class_filter_at_the_broker_is_everything)
{
    fill(2);
    const struct answer *a = PULL("sysFlag", "12", "subscription", "org.example.Filter");
    cr_assert_eq(kit_records(a, NULL, 0), 2);
}

Test(pull, the_answer_holds_32_messages_and_no_more_bytes_than_allowed)
{
    static char large[40001];
    memset(large, 'x', 40000);
    for (int i = 0; i < 40; i++)
        ASSERT_CODE(kit_put("T", 0, "m", NULL), RES_SUCCESS);
    cr_expect_eq(kit_records(PULL("maxMsgNums", "64"), NULL, 0), 32);
    cr_expect_eq(kit_records(PULL("maxMsgNums", "0"), NULL, 0), 1);
    cr_expect_eq(kit_records(PULL("maxMsgNums", "-5"), NULL, 0), 1);
    for (int i = 0; i < 8; i++)
        ASSERT_CODE(kit_put("L", 0, large, NULL), RES_SUCCESS);
    cr_expect_eq(kit_records(PULL("topic", "L"), NULL, 0), 6, "262,144 bytes hold six of 40,000");
    k.config.max_bytes_in_memory = 10;
    cr_expect_eq(kit_records(PULL("topic", "L"), NULL, 0), 1, "the first always");
}

Test(pull, far_behind_means_smaller_portions_and_perhaps_another_broker)
{
    for (int i = 0; i < 20; i++)
        ASSERT_CODE(kit_put("T", 0, "m", NULL), RES_SUCCESS);
    k.c.memory_bytes = 100; /* 40 of it count */
    const struct answer *a = PULL();
    cr_expect_eq(kit_records(a, NULL, 0), 8);
    cr_expect_eq(ext_i64(a, "suggestWhichBrokerId"), 0, "slaveReadEnable is off");
    k.config.slave_read = true;
    cr_expect_eq(ext_i64(PULL(), "suggestWhichBrokerId"), 1, "whichBrokerWhenConsumeSlowly");
    k.c.memory_bytes = 8ull << 30;
    cr_expect_eq(ext_i64(PULL(), "suggestWhichBrokerId"), 0, "brokerId");
}

Test(pull, a_group_that_is_too_slow_may_be_stopped)
{
    for (int i = 0; i < 20; i++)
        ASSERT_CODE(kit_put("T", 0, "m", NULL), RES_SUCCESS);
    k.config.consumer_fall_behind_threshold = (int64_t)k.c.log_end / 2;
    ASSERT_CODE(PULL("maxMsgNums", "1"), RES_SUCCESS);
    ASSERT_CODE(PULL("maxMsgNums", "1"), RES_SUCCESS); /* off by default */
    k.config.disable_slow_consumers = true;
    ASSERT_CODE(PULL("maxMsgNums", "20"), RES_SUCCESS); /* it has nearly all by now */
    ASSERT_CODE(PULL("maxMsgNums", "20"), RES_SUCCESS);
    ASSERT_CODE(PULL("maxMsgNums", "1"), RES_SUCCESS); /* 19 messages behind: this was the last one */
    const struct answer *a = PULL("maxMsgNums", "1");
    EXPECT_CODE(a, RES_NO_PERMISSION);
    EXPECT_WORDS(a, "subscription group no permission");
}

/* ---- checks ---- */
Test(pull, a_missing_or_malformed_field_is_named)
{
    static const char *const must[] = {"consumerGroup", "topic", "queueId", "queueOffset", "maxMsgNums"};
    fill(1);
    for (size_t i = 0; i < sizeof must / sizeof *must; i++) {
        char words[80];
        snprintf(words, sizeof words, "field %s is missing", must[i]);
        const struct answer *a = PULL(must[i], NULL);
        EXPECT_CODE(a, RES_SYSTEM_ERROR);
        EXPECT_WORDS(a, words);
        if (i < 2)
            continue;
        a = PULL(must[i], "x");
        EXPECT_CODE(a, RES_SYSTEM_ERROR);
        EXPECT_WORDS(a, must[i]);
    }
    EXPECT_CODE(PULL("sysFlag", "x"), RES_SYSTEM_ERROR);
    EXPECT_CODE(PULL("suspendTimeoutMillis", "99999999999999999999"), RES_SYSTEM_ERROR);
}

Test(pull, checks_come_in_apaches_order)
{
    kit_topic("T", 4, 6);
    const struct answer *a = PULL("topic", "nobody", "queueId", "99");
    EXPECT_CODE(a, RES_TOPIC_NOT_EXIST);
    EXPECT_WORDS(a, "topic[nobody] not exist, apply first please!");
    a = PULL("queueId", "4");
    EXPECT_CODE(a, RES_SYSTEM_ERROR);
    EXPECT_WORDS(a, "queueId[4] is illegal");
    EXPECT_CODE(PULL("queueId", "-1"), RES_SYSTEM_ERROR);
    topics_find(k.c.topics, SLICE_LIT("T"))->perm = PERM_WRITE;
    a = PULL("queueId", "4");
    EXPECT_CODE(a, RES_NO_PERMISSION);
    EXPECT_WORDS(a, "the topic[T] pulling message is forbidden");
    groups_find(k.c.groups, SLICE_LIT("g"))->consume_enable = false;
    a = PULL("topic", "nobody");
    EXPECT_CODE(a, RES_NO_PERMISSION);
    EXPECT_WORDS(a, "subscription group no permission, g");
    k.config.broker_permission = PERM_WRITE;
    a = PULL();
    EXPECT_CODE(a, RES_NO_PERMISSION);
    EXPECT_WORDS(a, "the broker[127.0.0.1] pulling message is forbidden");
}

Test(pull, an_unknown_group_is_refused_where_groups_do_not_make_themselves)
{
    kit_start_with("autoCreateSubscriptionGroup=false\n");
    kit_topic("T", 1, 6);
    const struct answer *a = PULL();
    EXPECT_CODE(a, RES_SUBSCRIPTION_GROUP_NOT_EXIST);
    EXPECT_WORDS(a, "subscription group [g] does not exist");
}

Test(pull, a_group_makes_itself)
{
    fill(1);
    cr_expect(groups_find(k.c.groups, SLICE_LIT("newcomer")) == NULL);
    EXPECT_CODE(PULL("consumerGroup", "newcomer"), RES_SUCCESS);
    cr_expect(groups_find(k.c.groups, SLICE_LIT("newcomer")) != NULL);
    EXPECT_CODE(PULL("consumerGroup", "no name"), RES_SUBSCRIPTION_GROUP_NOT_EXIST);
}

Test(pull, an_expression_that_names_no_tag_or_is_no_tag_is_refused)
{
    fill(1);
    EXPECT_CODE(PULL("subscription", "||"), RES_SUBSCRIPTION_PARSE_FAILED);
    const struct answer *a = PULL("subscription", "a > 1", "expressionType", "SQL92");
    EXPECT_CODE(a, RES_SYSTEM_ERROR);
    EXPECT_WORDS(a, "The broker does not support consumer to filter message by SQL92");
}

/* ---- the heartbeat's subscription ---- */
#define HEARTBEAT(model, topic, sub, version)                                                                                          \
    "{\"clientID\":\"c1\",\"consumerDataSet\":[{\"groupName\":\"g\",\"consumeType\":\"CONSUME_PASSIVELY\",\"messageModel\":\"" model        \
    "\",\"consumeFromWhere\":\"CONSUME_FROM_LAST_OFFSET\",\"subscriptionDataSet\":[{\"topic\":\"" topic "\",\"subString\":\"" sub           \
    "\",\"subVersion\":" version ",\"expressionType\":\"TAG\"}]}]}"

Test(pull, without_its_own_subscription_the_heartbeats_counts)
{
    fill(4);
    const struct answer *a = PULL("sysFlag", "0");
    EXPECT_CODE(a, RES_SUBSCRIPTION_NOT_EXIST);
    EXPECT_WORDS(a, "the consumer's group info not exist");
    kit_heartbeat(KIT_CONN, HEARTBEAT("CLUSTERING", "other", "*", "5"));
    a = PULL("sysFlag", "0");
    EXPECT_CODE(a, RES_SUBSCRIPTION_NOT_EXIST);
    EXPECT_WORDS(a, "the consumer's subscription not exist");
    kit_heartbeat(KIT_CONN, HEARTBEAT("CLUSTERING", "T", "odd", "5"));
    a = PULL("sysFlag", "0", "subVersion", "5");
    EXPECT_CODE(a, RES_SUCCESS);
    cr_expect_eq(kit_records(a, NULL, 0), 2);
    a = PULL("sysFlag", "0", "subVersion", "6");
    EXPECT_CODE(a, RES_SUBSCRIPTION_NOT_LATEST);
    EXPECT_WORDS(a, "the consumer's subscription not latest");
    cr_expect_eq(kit_records(PULL("subVersion", "6"), NULL, 0), 4, "with its own subscription the heartbeat is not asked");
}

Test(pull, a_group_may_be_forbidden_to_broadcast)
{
    fill(1);
    kit_heartbeat(KIT_CONN, HEARTBEAT("BROADCASTING", "T", "*", "5"));
    EXPECT_CODE(PULL("sysFlag", "0"), RES_SUCCESS);
    groups_find(k.c.groups, SLICE_LIT("g"))->consume_broadcast_enable = false;
    const struct answer *a = PULL("sysFlag", "0");
    EXPECT_CODE(a, RES_NO_PERMISSION);
    EXPECT_WORDS(a, "can not consume by broadcast way");
    EXPECT_CODE(PULL(), RES_SUCCESS);
}

/* ---- long polling ---- */
Test(pull, a_pull_that_finds_nothing_waits_for_its_queue)
{
    kit_topic("T", 2, 6);
    struct answer *a = PULL_PARKED();
    kit_pass(5000);
    cr_expect(!a->came && longpoll_count(k.c.longpoll) == 1);
    kit_put("T", 1, "elsewhere", NULL);
    cr_expect(!a->came, "another queue");
    kit_put("T", 0, "here", NULL);
    cr_assert(a->came);
    expect_place(a, RES_SUCCESS, "FOUND", 1, 0, 1);
    cr_expect_eq(longpoll_count(k.c.longpoll), 0);
}

Test(pull, a_waiting_pull_is_answered_at_its_time_and_not_before)
{
    fill(2);
    struct answer *a = PULL_PARKED("queueOffset", "2");
    kit_pass(14999);
    cr_expect(!a->came);
    kit_pass(1);
    cr_assert(a->came);
    expect_place(a, RES_PULL_NOT_FOUND, "OFFSET_OVERFLOW_ONE", 2, 0, 2);
    kit_put("T", 0, "later", NULL);
    cr_expect_eq(a->times, 1);
}

Test(pull, other_tags_do_not_wake_it)
{
    kit_topic("T", 1, 6);
    struct answer *a = PULL_PARKED("subscription", "odd");
    kit_put("T", 0, "m", "TAGS\001even");
    cr_expect(!a->came);
    kit_put("T", 0, "n", "TAGS\001odd");
    cr_assert(a->came);
    expect_place(a, RES_SUCCESS, "FOUND", 2, 0, 2);
    cr_expect_eq(kit_records(a, NULL, 0), 1);
}

Test(pull, without_the_flag_or_the_time_it_does_not_wait)
{
    kit_topic("T", 1, 6);
    EXPECT_CODE(PULL(), RES_PULL_NOT_FOUND);
    EXPECT_CODE(PULL("sysFlag", "6", "suspendTimeoutMillis", "0"), RES_PULL_NOT_FOUND);
    EXPECT_CODE(PULL("sysFlag", "6", "suspendTimeoutMillis", "-1"), RES_PULL_NOT_FOUND);
    EXPECT_CODE(PULL("sysFlag", "6", "suspendTimeoutMillis", NULL), RES_PULL_NOT_FOUND);
    k.c.stopping = true;
    EXPECT_CODE(PULL("sysFlag", "6"), RES_PULL_NOT_FOUND);
}

Test(pull, only_not_found_waits)
{
    fill(2);
    EXPECT_CODE(PULL("sysFlag", "6", "queueOffset", "9"), RES_PULL_OFFSET_MOVED);
    EXPECT_CODE(PULL("sysFlag", "6", "subscription", "none"), RES_PULL_RETRY_IMMEDIATELY);
}

Test(pull, with_short_polling_it_waits_a_second)
{
    kit_start_with("longPollingEnable=false\n");
    kit_topic("T", 1, 6);
    struct answer *a = PULL_PARKED();
    kit_pass(999);
    cr_expect(!a->came);
    kit_pass(1);
    cr_assert(a->came);
    EXPECT_CODE(a, RES_PULL_NOT_FOUND);
}

Test(pull, no_client_may_wait_longer_than_its_connection_lives)
{
    kit_topic("T", 1, 6);
    struct answer *a = PULL_PARKED("suspendTimeoutMillis", "9223372036854775807");
    kit_pass(110000);
    cr_assert(a->came);
    EXPECT_CODE(a, RES_PULL_NOT_FOUND);
}

Test(pull, a_closed_connection_takes_its_pulls_along)
{
    kit_topic("T", 1, 6);
    struct answer *a = PULL_PARKED();
    kit_close(KIT_CONN);
    cr_expect_eq(longpoll_count(k.c.longpoll), 0);
    kit_put("T", 0, "m", NULL);
    cr_expect(!a->came);
}

Test(pull, who_waits_hears_that_the_topic_went)
{
    kit_topic("T", 1, 6);
    struct answer *a = PULL_PARKED(), *b = PULL_PARKED("queueOffset", "0");
    cr_assert(topics_remove(k.c.topics, SLICE_LIT("T"), k.now_ms, NULL) == MQ_OK);
    kit_turn();
    cr_assert(a->came && b->came);
    EXPECT_CODE(a, RES_TOPIC_NOT_EXIST);
}

Test(pull, many_may_wait_for_one_queue)
{
    struct answer *all[100];
    kit_topic("T", 1, 6);
    for (int i = 0; i < 100; i++)
        all[i] = PULL_PARKED();
    cr_expect_eq(longpoll_count(k.c.longpoll), 100);
    kit_put("T", 0, "m", NULL);
    for (int i = 0; i < 100; i++)
        cr_assert(all[i]->came && all[i]->code == RES_SUCCESS);
}

Test(pull, when_too_many_wait_the_next_one_is_answered_at_once)
{
    kit_topic("T", 1, 6);
    struct answer *a = PULL_PARKED();
    size_t one = k.c.waiting_bytes;
    cr_expect(!a->came && one > 0);
    k.c.waiting_bytes += 1 << 30;
    const struct answer *b = PULL("sysFlag", "7", "commitOffset", "3");
    expect_place(b, RES_PULL_NOT_FOUND, "NO_MATCHED_LOGIC_QUEUE", 0, 0, 0);
    cr_expect_eq(offsets_query(k.c.offsets, SLICE_LIT("g"), SLICE_LIT("T"), 0), 3);
    k.c.waiting_bytes -= 1 << 30;
    kit_put("T", 0, "m", NULL);
    cr_expect(a->came && k.c.waiting_bytes == 0);
    kit_pass(2000);
    fake_disk_chill(k.disk, NULL);
    k.c.waiting_bytes = 1 << 30;
    struct answer *cold = request(REQ_PULL_MESSAGE, (const char *const[]){NULL});
    cr_assert(cold->came, "it reads here and now");
    EXPECT_CODE(cold, RES_SUCCESS);
}

/* ---- offsets on the way ---- */
static int64_t committed(void) { return offsets_query(k.c.offsets, SLICE_LIT("g"), SLICE_LIT("T"), 0); }

Test(pull, an_offset_is_committed_only_with_its_flag)
{
    fill(3);
    EXPECT_CODE(PULL("sysFlag", "4", "commitOffset", "2"), RES_SUCCESS);
    cr_expect_eq(committed(), -1);
    EXPECT_CODE(PULL("sysFlag", "5", "commitOffset", "2"), RES_SUCCESS);
    cr_expect_eq(committed(), 2);
    EXPECT_CODE(PULL("sysFlag", "5", "commitOffset", "1"), RES_SUCCESS);
    cr_expect_eq(committed(), 1, "going back is allowed");
}

Test(pull, a_waiting_pull_commits_once_and_at_its_beginning)
{
    kit_topic("T", 1, 6);
    struct answer *a = request(REQ_PULL_MESSAGE, (const char *const[]){"sysFlag", "7", "commitOffset", "5", NULL, NULL});
    cr_expect(!a->came && committed() == 5);
    offsets_commit(k.c.offsets, SLICE_LIT("g"), SLICE_LIT("T"), 0, 9);
    kit_put("T", 0, "m", NULL);
    cr_assert(a->came);
    cr_expect_eq(committed(), 9, "waking does not commit again");
}

Test(pull, a_refused_pull_commits_nothing)
{
    kit_topic("T", 1, 2);
    EXPECT_CODE(PULL("sysFlag", "5", "commitOffset", "2"), RES_NO_PERMISSION);
    cr_expect_eq(committed(), -1);
}

/* ---- what is not in memory ---- */
Test(pull, a_cold_read_comes_later_and_blocks_nobody)
{
    fill(3);
    kit_pass(2000); /* all is written and flushed */
    fake_disk_chill(k.disk, NULL);
    struct answer *a = request(REQ_PULL_MESSAGE, (const char *const[]){NULL});
    cr_expect(!a->came, "a reader thread is asked first");
    kit_turn();
    cr_assert(a->came);
    expect_place(a, RES_SUCCESS, "FOUND", 3, 0, 3);
    cr_expect_eq(kit_records(a, NULL, 0), 3);
}

Test(pull, a_read_that_fails_is_an_error_not_an_end)
{
    fill(3);
    kit_pass(2000);
    fake_disk_chill(k.disk, NULL);
    fake_disk_fail(k.disk, FAKE_PREAD, 1, -5, true);
    struct answer *a = request(REQ_PULL_MESSAGE, (const char *const[]){NULL});
    kit_turn();
    fake_disk_fail(k.disk, FAKE_PREAD, 0, 0, false);
    cr_assert(a->came);
    EXPECT_CODE(a, RES_SYSTEM_ERROR);
    EXPECT_WORDS(a, "the store could not be read");
}
