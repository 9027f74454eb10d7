/* send.c - 10, 310 and 320: every check, its code and its words; what is stored; when the answer leaves. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/processor/kit.h"

#include "broker/processor/send_message.h"

TestSuite(send, .init = kit_start, .fini = kit_end);

/* ---- requests ---- */
static const char *const plain[][2] = {{"producerGroup", "producers"}, {"topic", "T"}, {"defaultTopic", "TBW102"}, {"defaultTopicQueueNums", "4"},
                                       {"queueId", "0"}, {"sysFlag", "0"}, {"bornTimestamp", "1700000000001"}, {"flag", "0"},
                                       {"properties", "UNIQ_KEY\001id1"}, {"reconsumeTimes", "0"}, {"unitMode", "false"}, {"batch", "false"}};
static const char letters[] = "abcdefghijkm"; /* of the fields above, in 310 and 320 */

/* The plain request with some fields changed: name, value (NULL: left out), name, value ... NULL. Names are the long ones. */
static struct answer *request(int32_t code, int32_t flag, struct slice body, const char *const *changes)
{
    const char *fields[64];
    static char names[sizeof plain / sizeof *plain][2];
    size_t n = 0;
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        const char *value = plain[i][1];
        for (const char *const *c = changes; c && c[0]; c += 2)
            if (strcmp(c[0], plain[i][0]) == 0)
                value = c[1];
        if (value == NULL)
            continue;
        names[i][0] = letters[i];
        fields[n++] = code == REQ_SEND_MESSAGE ? plain[i][0] : names[i];
        fields[n++] = value;
    }
    for (const char *const *c = changes; c && c[0]; c += 2)
        if (strcmp(c[0], "maxReconsumeTimes") == 0) {
            fields[n++] = code == REQ_SEND_MESSAGE ? c[0] : "l";
            fields[n++] = c[1];
        }
    fields[n] = NULL;
    return kit_send(code, flag, body, fields);
}
static const struct answer *ask(int32_t code, struct slice body, const char *const *changes)
{
    const struct answer *a = request(code, 0, body, changes);
    kit_turn();
    cr_assert(a->came && a->times == 1);
    return a;
}
#define SEND(...) ask(REQ_SEND_MESSAGE_V2, SLICE_LIT("body"), (const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL, NULL})
#define SEND_BY(code, ...) ask(code, SLICE_LIT("body"), (const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL, NULL})

static int64_t max_of(const char *topic, int queue) { return message_store_max_offset(k.c.store, slice_str(topic), queue); }
static void expect_refused(const struct answer *a, int32_t code, const char *words)
{
    EXPECT_CODE(a, code);
    EXPECT_WORDS(a, words);
    EXPECT_TEXT(ext(a, "MSG_REGION"), "DefaultRegion");
    EXPECT_TEXT(ext(a, "TRACE_ON"), "true");
    cr_expect(!has_ext(a, "msgId"));
}
static struct message only_record(const char *topic, int queue)
{
    struct message m[2];
    const struct answer *a = kit_pull(topic, queue, 0, "*");
    ASSERT_CODE(a, RES_SUCCESS);
    cr_assert_eq(kit_records(a, m, 2), 1);
    return m[0];
}

/* ---- what goes well ---- */
Test(send, a_message_is_stored_as_it_came_and_answered_with_all_fields)
{
    const struct answer *a = SEND();
    ASSERT_CODE(a, RES_SUCCESS);
    cr_expect_eq(a->cmd.remark.p, NULL, "success has no remark");
    EXPECT_TEXT(ext(a, "msgId"), "7F00000100002A9F0000000000000000");
    cr_expect_eq(ext_i64(a, "queueId"), 0);
    cr_expect_eq(ext_i64(a, "queueOffset"), 0);
    EXPECT_TEXT(ext(a, "transactionId"), "id1");
    EXPECT_TEXT(ext(a, "MSG_REGION"), "DefaultRegion");
    EXPECT_TEXT(ext(a, "TRACE_ON"), "true");
    struct message m = only_record("T", 0);
    EXPECT_TEXT(m.body, "body");
    EXPECT_TEXT(m.topic, "T");
    EXPECT_TEXT(m.properties, "UNIQ_KEY\001id1\002CLUSTER\001DefaultCluster");
    cr_expect(m.born_ms == 1700000000001 && m.store_ms == k.now_ms && m.born.port == 40112 && m.store.port == 10911 && m.reconsume_times == 0);
}

Test(send, long_and_short_names_mean_the_same)
{
    ASSERT_CODE(SEND_BY(REQ_SEND_MESSAGE, "flag", "5"), RES_SUCCESS);
    ASSERT_CODE(SEND_BY(REQ_SEND_MESSAGE_V2, "flag", "5"), RES_SUCCESS);
    ASSERT_CODE(SEND_BY(REQ_SEND_BATCH_MESSAGE, "flag", "5", "batch", "false"), RES_SUCCESS); /* the flag decides, not the code */
    struct message m[4];
    const struct answer *a = kit_pull("T", 0, 0, "*");
    cr_assert_eq(kit_records(a, m, 4), 3);
    for (int i = 0; i < 3; i++) {
        cr_expect(m[i].flag == 5 && m[i].queue_off == i && slice_is(m[i].body, "body"));
        EXPECT_TEXT(m[i].properties, "UNIQ_KEY\001id1\002CLUSTER\001DefaultCluster");
    }
}

Test(send, a_binary_request_gets_a_binary_answer)
{
    k.serialize = SERIALIZE_BINARY;
    const struct answer *a = SEND();
    ASSERT_CODE(a, RES_SUCCESS);
    cr_expect_eq(a->cmd.serialize, SERIALIZE_BINARY);
    EXPECT_TEXT(ext(a, "transactionId"), "id1");
}

Test(send, wait_is_not_stored_and_cluster_is_ours)
{
    ASSERT_CODE(SEND("properties", "WAIT\001true\002CLUSTER\001theirs\002KEYS\001a b\002"), RES_SUCCESS);
    EXPECT_TEXT(only_record("T", 0).properties, "KEYS\001a b\002CLUSTER\001DefaultCluster");
}

Test(send, without_properties_only_the_cluster_is_stored)
{
    const struct answer *a = SEND("properties", NULL);
    ASSERT_CODE(a, RES_SUCCESS);
    cr_expect(!has_ext(a, "transactionId"));
    EXPECT_TEXT(only_record("T", 0).properties, "CLUSTER\001DefaultCluster");
}

Test(send, an_empty_body_is_a_message)
{
    ASSERT_CODE(ask(REQ_SEND_MESSAGE_V2, (struct slice){0}, NULL), RES_SUCCESS);
    cr_expect_eq(only_record("T", 0).body.n, 0);
}

Test(send, a_compressed_message_keeps_its_flag_and_addresses_are_marked_by_us)
{
    ASSERT_CODE(SEND("sysFlag", "49"), RES_SUCCESS); /* 1 compressed; 16 and 32: IPv6 addresses, which they are not */
    cr_expect_eq(only_record("T", 0).sys_flag, SYS_COMPRESSED);
}

/* ---- fields ---- */
Test(send, a_missing_or_malformed_field_is_named)
{
    static const char *const must[] = {"topic", "queueId", "sysFlag", "bornTimestamp", "flag"};
    for (size_t i = 0; i < sizeof must / sizeof *must; i++) {
        char words[80];
        snprintf(words, sizeof words, "field %s is missing", must[i]);
        expect_refused(SEND(must[i], NULL), RES_SYSTEM_ERROR, words);
        expect_refused(SEND_BY(REQ_SEND_MESSAGE, must[i], NULL), RES_SYSTEM_ERROR, words);
    }
    static const char *const numbers[] = {"queueId", "sysFlag", "bornTimestamp", "flag", "reconsumeTimes", "defaultTopicQueueNums", "maxReconsumeTimes"};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        char words[80];
        snprintf(words, sizeof words, "field %s is not a number: 1x", numbers[i]);
        expect_refused(SEND(numbers[i], "1x"), RES_SYSTEM_ERROR, words);
    }
    expect_refused(SEND("queueId", "99999999999"), RES_SYSTEM_ERROR, "field queueId is not a number");
    cr_expect_eq(max_of("T", 0), 0);
}

Test(send, the_group_and_the_number_of_queues_may_be_absent)
{
    ASSERT_CODE(SEND("producerGroup", NULL, "defaultTopicQueueNums", NULL, "reconsumeTimes", NULL, "unitMode", NULL, "batch", NULL), RES_SUCCESS);
    cr_expect_eq(topics_find(k.c.topics, SLICE_LIT("T"))->write_queues, 8, "the broker's defaultTopicQueueNums");
}

/* ---- topics ---- */
Test(send, an_illegal_topic_is_refused_and_not_made)
{
    char longest[128 + 1];
    memset(longest, 'x', 128);
    longest[128] = 0;
    size_t topics = topics_count(k.c.topics);
    expect_refused(SEND("topic", ""), RES_SYSTEM_ERROR, "The specified topic is blank.");
    expect_refused(SEND("topic", "  "), RES_SYSTEM_ERROR, "The specified topic is blank.");
    expect_refused(SEND("topic", longest), RES_SYSTEM_ERROR, "The specified topic is longer than topic max length.");
    expect_refused(SEND("topic", "a.b"), RES_SYSTEM_ERROR, "contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$");
    expect_refused(SEND("topic", "../../x"), RES_SYSTEM_ERROR, "contains illegal characters");
    expect_refused(SEND("topic", "\xc3\xa9"), RES_SYSTEM_ERROR, "contains illegal characters");
    cr_expect_eq(topics_count(k.c.topics), topics);
    longest[127] = 0;
    EXPECT_CODE(SEND("topic", longest), RES_SUCCESS);
}

Test(send, topics_of_the_system_cannot_be_sent_to)
{
    static const char *const reserved[] = {"SCHEDULE_TOPIC_XXXX", "RMQ_SYS_TRANS_HALF_TOPIC", "RMQ_SYS_TRANS_OP_HALF_TOPIC",
                                           "TRANS_CHECK_MAX_TIME_TOPIC", "SELF_TEST_TOPIC", "OFFSET_MOVED_EVENT"};
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
        expect_refused(SEND("topic", reserved[i]), RES_NO_PERMISSION, "is forbidden");
    EXPECT_CODE(SEND("topic", "TBW102"), RES_SUCCESS);
    EXPECT_CODE(SEND("topic", "BenchmarkTest"), RES_SUCCESS);
}

Test(send, an_unknown_topic_is_made_with_the_smaller_number_of_queues)
{
    unsigned told = k.registered;
    ASSERT_CODE(SEND("topic", "few", "defaultTopicQueueNums", "3", "queueId", "2"), RES_SUCCESS);
    ASSERT_CODE(SEND("topic", "many", "defaultTopicQueueNums", "16", "queueId", "7", "unitMode", "true"), RES_SUCCESS);
    const struct topic_config *few = topics_find(k.c.topics, SLICE_LIT("few")), *many = topics_find(k.c.topics, SLICE_LIT("many"));
    cr_assert(few && few->read_queues == 3 && few->write_queues == 3 && few->perm == 6 && few->sys_flag == 0);
    cr_assert(many && many->write_queues == 8 && many->sys_flag == 1);
    cr_expect(k.registered > told, "name servers are to be told");
}

Test(send, a_topic_is_not_made_from_what_cannot_be_inherited)
{
    kit_topic("plain", 4, 6);
    expect_refused(SEND("topic", "n1", "defaultTopic", "plain"), RES_TOPIC_NOT_EXIST, "topic[n1] not exist, apply first please!");
    expect_refused(SEND("topic", "n2", "defaultTopic", "nobody"), RES_TOPIC_NOT_EXIST, "topic[n2] not exist");
    expect_refused(SEND("topic", "n3", "defaultTopic", NULL), RES_TOPIC_NOT_EXIST, "topic[n3] not exist");
    cr_expect(!topics_find(k.c.topics, SLICE_LIT("n1")));
}

Test(send, nothing_is_made_when_auto_creation_is_off)
{
    kit_start_with("autoCreateTopicEnable=false\n");
    expect_refused(SEND(), RES_TOPIC_NOT_EXIST, "topic[T] not exist, apply first please!");
    kit_topic("T", 1, 6);
    EXPECT_CODE(SEND(), RES_SUCCESS);
}

/* ---- queues and permissions ---- */
Test(send, a_queue_counts_to_the_larger_of_both_numbers)
{
    cr_assert(topics_put(k.c.topics, SLICE_LIT("T"), 4, 2, 6, 0, false, k.now_ms, NULL));
    EXPECT_CODE(SEND("queueId", "3"), RES_SUCCESS);
    expect_refused(SEND("queueId", "4"), RES_SYSTEM_ERROR, "request queueId[4] is illegal");
    cr_expect_eq(max_of("T", 3), 1);
}

Test(send, a_negative_queue_is_any_that_may_be_written)
{
    cr_assert(topics_put(k.c.topics, SLICE_LIT("T"), 8, 3, 6, 0, false, k.now_ms, NULL));
    for (int i = 0; i < 60; i++) {
        const struct answer *a = SEND("queueId", i % 2 ? "-1" : "-2147483648");
        ASSERT_CODE(a, RES_SUCCESS);
        cr_assert(ext_i64(a, "queueId") >= 0 && ext_i64(a, "queueId") < 3);
    }
    cr_expect(max_of("T", 0) > 0 && max_of("T", 1) > 0 && max_of("T", 2) > 0 && max_of("T", 0) + max_of("T", 1) + max_of("T", 2) == 60);
    cr_assert(topics_put(k.c.topics, SLICE_LIT("T"), 8, 0, 6, 0, false, k.now_ms, NULL));
    expect_refused(SEND("queueId", "-1"), RES_SYSTEM_ERROR, "request queueId[-1] is illegal");
}

Test(send, the_write_permission_of_a_topic_is_the_clients_business)
{
    kit_topic("T", 1, 4);
    EXPECT_CODE(SEND(), RES_SUCCESS);
}

Test(send, a_broker_without_write_permission_refuses_only_ordered_topics)
{
    k.config.broker_permission = PERM_READ;
    EXPECT_CODE(SEND(), RES_SUCCESS);
    cr_assert(topics_put(k.c.topics, SLICE_LIT("ordered"), 1, 1, 6, 0, true, k.now_ms, NULL));
    expect_refused(SEND("topic", "ordered"), RES_NO_PERMISSION, "the broker[127.0.0.1] sending message is forbidden");
}

Test(send, nothing_is_taken_before_the_configured_time)
{
    k.config.start_accept_send_ms = k.now_ms + 1;
    expect_refused(SEND(), RES_SYSTEM_ERROR, "broker unable to service, until");
    k.now_ms++;
    EXPECT_CODE(SEND(), RES_SUCCESS);
}

/* ---- sizes ---- */
Test(send, a_body_may_be_as_large_as_the_setting_and_no_byte_larger)
{
    static char large[65537];
    memset(large, 'b', sizeof large);
    EXPECT_CODE(ask(REQ_SEND_MESSAGE_V2, slice_make(large, 65536), NULL), RES_SUCCESS);
    expect_refused(ask(REQ_SEND_MESSAGE_V2, slice_make(large, 65537), NULL), RES_MESSAGE_ILLEGAL, "the message is illegal");
    cr_expect_eq(max_of("T", 0), 1);
}

Test(send, properties_may_take_32767_bytes_with_what_we_add)
{
    static char props[40000];
    const char *ours = "\002CLUSTER\001DefaultCluster";
    size_t room = 32767 - strlen(ours);
    memset(props, 'v', sizeof props);
    memcpy(props, "k\001", 2);
    props[room] = 0;
    EXPECT_CODE(SEND("properties", props), RES_SUCCESS);
    cr_expect_eq(only_record("T", 0).properties.n, 32767);
    props[room] = 'v';
    props[room + 1] = 0;
    expect_refused(SEND("properties", props), RES_MESSAGE_ILLEGAL, "msg properties length");
}

/* ---- not yet ---- */
Test(send, a_rolled_back_message_is_refused)
{
    expect_refused(SEND("sysFlag", "12"), RES_NO_PERMISSION, "sending transaction message is forbidden");
    EXPECT_CODE(SEND("properties", "TRAN_MSG\001false"), RES_SUCCESS);
    cr_expect_eq(max_of("T", 0), 1);
}

/* ---- delay levels ---- */
Test(send, a_delayed_message_waits_in_its_levels_queue_and_comes_when_it_is_due)
{
    const struct answer *a = SEND("properties", "TAGS\001A\002DELAY\0012\002WAIT\001true", "queueId", "3");
    ASSERT_CODE(a, RES_SUCCESS);
    cr_expect(ext_i64(a, "queueId") == 3 && ext_i64(a, "queueOffset") == 0, "the queue that was asked for, the place where it waits");
    cr_expect(max_of("T", 3) == 0 && max_of("SCHEDULE_TOPIC_XXXX", 1) == 1);
    struct message m = only_record("SCHEDULE_TOPIC_XXXX", 1);
    EXPECT_TEXT(m.properties, "TAGS\001A\002CLUSTER\001DefaultCluster\002WAIT\001true\002DELAY\0012\002REAL_TOPIC\001T\002REAL_QID\0013");
    kit_pass(4999);
    cr_expect_eq(max_of("T", 3), 0);
    kit_pass(1);
    cr_assert_eq(max_of("T", 3), 1);
    m = only_record("T", 3);
    EXPECT_TEXT(m.properties, "TAGS\001A\002CLUSTER\001DefaultCluster\002WAIT\001true\002DELAY\0012\002REAL_TOPIC\001T\002REAL_QID\0013");
    cr_expect(slice_is(m.body, "body") && m.born_ms == 1700000000001);
}

Test(send, a_level_beyond_the_last_is_the_last_and_none_below_one_delays)
{
    ASSERT_CODE(SEND("properties", "DELAY\00199"), RES_SUCCESS);
    cr_expect_eq(max_of("SCHEDULE_TOPIC_XXXX", 17), 1);
    EXPECT_CODE(SEND("properties", "DELAY\0010"), RES_SUCCESS);
    EXPECT_CODE(SEND("properties", "DELAY\001-3"), RES_SUCCESS);
    cr_expect_eq(max_of("T", 0), 2);
    expect_refused(SEND("properties", "DELAY\001x"), RES_MESSAGE_ILLEGAL, "DELAY");
    kit_pass(7200000);
    cr_expect_eq(max_of("T", 0), 3);
}

/* ---- retries and dead letters ---- */
Test(send, a_retry_that_was_tried_too_often_goes_to_the_dead_letters)
{
    ASSERT_CODE(SEND("topic", "%RETRY%g", "reconsumeTimes", "2", "maxReconsumeTimes", "3"), RES_SUCCESS);
    cr_expect_eq(max_of("%RETRY%g", 0), 1);
    const struct answer *a = SEND("topic", "%RETRY%g", "reconsumeTimes", "3", "maxReconsumeTimes", "3");
    ASSERT_CODE(a, RES_SUCCESS);
    cr_expect(max_of("%RETRY%g", 0) == 1 && max_of("%DLQ%g", 0) == 1);
    struct message m = only_record("%DLQ%g", 0);
    cr_expect(m.reconsume_times == 3 && slice_is(m.body, "body"));
    cr_expect_eq(topics_find(k.c.topics, SLICE_LIT("%DLQ%g"))->perm, 6);
    ASSERT_CODE(SEND("topic", "%RETRY%g", "reconsumeTimes", "16"), RES_SUCCESS); /* the group's own limit */
    cr_expect_eq(max_of("%DLQ%g", 0), 2);
    ASSERT_CODE(SEND("topic", "%RETRY%g", "reconsumeTimes", "16", "properties", "DELAY\00118"), RES_SUCCESS);
    cr_expect_eq(max_of("%DLQ%g", 0), 3, "the dead do not wait");
    ASSERT_CODE(SEND("topic", "%RETRY%g", "reconsumeTimes", "15", "properties", "DELAY\0011"), RES_SUCCESS);
    kit_pass(1000);
    cr_expect_eq(max_of("%RETRY%g", 0), 2);
}

Test(send, a_retry_of_an_unknown_group_is_refused_where_groups_do_not_make_themselves)
{
    kit_start_with("autoCreateSubscriptionGroup=false\n");
    expect_refused(SEND("topic", "%RETRY%g"), RES_SUBSCRIPTION_GROUP_NOT_EXIST, "subscription group not exist, g");
}

/* What the processor saw while it copied the properties is what a reader of the stored text sees. */
static void expect_unit_and_keys(int64_t queue_off, const char *tags, const char *key)
{
    struct message by_tags[9], by_key[9];
    size_t n = kit_records(kit_pull("T", 0, queue_off, tags), by_tags, 9);
    cr_expect(n >= 1 && by_tags[0].queue_off == queue_off, "tags %s of %" PRId64, tags, queue_off);
    const struct answer *a = ASK(REQ_QUERY_MESSAGE, "topic", "T", "key", key, "maxNum", "9", "beginTimestamp", "0", "endTimestamp", "4000000000000");
    n = kit_records(a, by_key, 9);
    cr_expect(n >= 1 && by_key[0].queue_off == queue_off, "key %s of %" PRId64, key, queue_off);
}

Test(send, units_and_index_follow_the_last_of_equal_properties_wherever_it_stands)
{
    static const struct { const char *properties, *tags, *key; } cases[] = {
        {"TAGS\001t0\002KEYS\001k0", "t0", "k0"},
        {"WAIT\001true\002TAGS\001t1\002KEYS\001k1", "t1", "k1"},              /* the first pair is left out */
        {"KEYS\001k2\002CLUSTER\001x\002\002WAIT\001true\002TAGS\001t2", "t2", "k2"}, /* runs of pairs */
        {"TAGS\001a\002KEYS\001b\002KEYS\001k3\002TAGS\001t3", "t3", "k3"},
        {"UNIQ_KEY\001k4\002\001\002x\002TAGS\001t4\002TAGS\001\002", "t4", "k4"}, /* pairs that are none */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ASSERT_CODE(SEND("properties", cases[i].properties), RES_SUCCESS);
        expect_unit_and_keys((int64_t)i, cases[i].tags, cases[i].key);
    }
}

/* ---- batches ---- */
static void item(struct buf *out, const char *body, const char *props, int32_t flag)
{
    buf_u32(out, (uint32_t)(22 + strlen(body) + strlen(props)));
    buf_u32(out, 0);
    buf_u32(out, 0);
    buf_u32(out, (uint32_t)flag);
    buf_u32(out, (uint32_t)strlen(body));
    buf_str(out, body);
    buf_u16(out, (uint16_t)strlen(props));
    buf_str(out, props);
}
static const struct answer *batch(int32_t code, struct buf *body, const char *const *changes)
{
    const char *all[16] = {"batch", "true"};
    for (int i = 0; changes && changes[i]; i++)
        all[2 + i] = changes[i];
    const struct answer *a = ask(code, buf_view(body), all);
    buf_free(body);
    return a;
}

Test(send, a_batch_is_as_many_messages_side_by_side)
{
    static const int32_t codes[] = {REQ_SEND_BATCH_MESSAGE, REQ_SEND_MESSAGE_V2, REQ_SEND_MESSAGE}; /* C++ sends batches by 310 */
    for (int c = 0; c < 3; c++) {
        struct buf body = {0};
        item(&body, "one", "KEYS\001k1", 1);
        item(&body, "two", "", 2);
        item(&body, "", "UNIQ_KEY\001own", 3);
        const struct answer *a = batch(codes[c], &body, (const char *const[]){"properties", "UNIQ_KEY\001batch\002WAIT\001true", NULL});
        ASSERT_CODE(a, RES_SUCCESS);
        cr_expect_eq(ext_i64(a, "queueOffset"), 3 * c);
        EXPECT_TEXT(ext(a, "transactionId"), "batch");
        struct slice ids = ext(a, "msgId"), id;
        struct message m[12];
        cr_assert_eq(kit_records(kit_pull("T", 0, 3 * c, "*"), m, 12), 3);
        for (int i = 0; i < 3; i++) {
            int64_t at = -1;
            struct host h;
            cr_assert(slice_cut(&ids, ',', &id) && message_id_decode(id, &h, &at));
            cr_expect(at == m[i].phys_off && m[i].queue_off == 3 * c + i && m[i].flag == i + 1);
        }
        cr_expect_eq(ids.p, NULL, "three ids and no more");
        cr_expect(slice_is(m[0].body, "one") && slice_is(m[1].body, "two") && m[2].body.n == 0);
        struct slice v;
        cr_expect(prop_get(m[0].properties, "KEYS", &v) && slice_is(v, "k1"));
        cr_expect(prop_get(m[0].properties, "UNIQ_KEY", &v) && slice_is(v, "batch"));
        cr_expect(prop_get(m[2].properties, "UNIQ_KEY", &v) && slice_is(v, "own"));
        cr_expect(prop_get(m[1].properties, "CLUSTER", &v) && slice_is(v, "DefaultCluster"));
    }
}

Test(send, units_and_index_of_a_batch_follow_its_messages_and_then_itself)
{
    struct buf body = {0};
    item(&body, "one", "TAGS\001a\002KEYS\001k0", 0);
    item(&body, "two", "UNIQ_KEY\001own\002TAGS\001a\002", 0);
    item(&body, "three", "", 0);
    ASSERT_CODE(batch(REQ_SEND_BATCH_MESSAGE, &body, (const char *const[]){"properties", "UNIQ_KEY\001id\002TAGS\001of_batch", NULL}), RES_SUCCESS);
    expect_unit_and_keys(0, "of_batch", "k0"); /* of equal names the last one counts, and the batch's come last */
    expect_unit_and_keys(1, "of_batch", "own");
    expect_unit_and_keys(2, "of_batch", "id");
}

Test(send, a_batch_that_does_not_decode_stores_nothing)
{
    struct buf body = {0};
    item(&body, "one", "", 0);
    buf_str(&body, "rest");
    expect_refused(batch(REQ_SEND_BATCH_MESSAGE, &body, NULL), RES_MESSAGE_ILLEGAL, "the body is not a batch");
    expect_refused(batch(REQ_SEND_BATCH_MESSAGE, &body, NULL), RES_MESSAGE_ILLEGAL, "the body is not a batch"); /* empty */
    cr_expect_eq(max_of("T", 0), 0);
}

Test(send, a_batch_is_not_delayed_not_half_and_not_larger_than_one_message_may_be)
{
    struct buf body = {0};
    item(&body, "one", "", 0);
    expect_refused(batch(REQ_SEND_BATCH_MESSAGE, &body, (const char *const[]){"properties", "DELAY\0011", NULL}), RES_MESSAGE_ILLEGAL, "delayed");
    item(&body, "one", "", 0);
    expect_refused(batch(REQ_SEND_BATCH_MESSAGE, &body, (const char *const[]){"sysFlag", "4", NULL}), RES_MESSAGE_ILLEGAL, "transaction");
    for (int i = 0; i < 3000; i++)
        item(&body, "a body", "", 0);
    expect_refused(batch(REQ_SEND_BATCH_MESSAGE, &body, NULL), RES_MESSAGE_ILLEGAL, "the message is illegal");
    cr_expect_eq(max_of("T", 0), 0);
}

/* ---- when the answer leaves ---- */
Test(send, no_answer_before_the_turn_wrote_the_record)
{
    struct answer *a = request(REQ_SEND_MESSAGE_V2, 0, SLICE_LIT("body"), NULL);
    cr_expect(!a->came && max_of("T", 0) == 0);
    kit_write_only();
    cr_assert(a->came && a->code == RES_SUCCESS);
    cr_expect_eq(max_of("T", 0), 1);
}

Test(send, a_oneway_send_is_stored_and_never_answered)
{
    struct answer *good = request(REQ_SEND_MESSAGE_V2, COMMAND_ONEWAY, SLICE_LIT("body"), NULL);
    struct answer *bad = request(REQ_SEND_MESSAGE_V2, COMMAND_ONEWAY, SLICE_LIT("body"), (const char *const[]){"queueId", "99", NULL});
    kit_pass(10000);
    cr_expect(!good->came && good->times == 0 && !bad->came);
    cr_expect_eq(max_of("T", 0), 1);
    cr_expect_eq(ack_queue_count(k.c.acks), 0);
}

Test(send, with_sync_flush_the_answer_waits_for_the_medium)
{
    kit_start_with("flushDiskType=SYNC_FLUSH\n");
    struct answer *patient = request(REQ_SEND_MESSAGE_V2, 0, SLICE_LIT("body"), NULL);
    struct answer *hasty = request(REQ_SEND_MESSAGE_V2, 0, SLICE_LIT("body"), (const char *const[]){"properties", "WAIT\001false", NULL});
    kit_write_only();
    cr_expect(!patient->came && hasty->came && hasty->code == RES_SUCCESS, "WAIT=false does not wait");
    kit_turn();
    cr_assert(patient->came);
    EXPECT_CODE(patient, RES_SUCCESS);
}

Test(send, a_flush_that_takes_too_long_is_told_with_all_fields)
{
    kit_start_with("flushDiskType=SYNC_FLUSH\nsyncFlushTimeout=5000\n");
    struct answer *a = request(REQ_SEND_MESSAGE_V2, 0, SLICE_LIT("body"), NULL);
    kit_write_only();
    k.mono_ms += 4999;
    send_message_deadlines(&k.c, k.mono_ms);
    cr_expect(!a->came && k.c.waits.longest_ms == 0);
    k.mono_ms += 1;
    send_message_deadlines(&k.c, k.mono_ms);
    cr_assert(a->came);
    EXPECT_CODE(a, RES_FLUSH_DISK_TIMEOUT);
    cr_expect_eq(k.c.waits.longest_ms, 5000);
    EXPECT_TEXT(ext(a, "msgId"), "7F00000100002A9F0000000000000000");
    cr_expect(ext_i64(a, "queueId") == 0 && ext_i64(a, "queueOffset") == 0);
    EXPECT_TEXT(ext(a, "transactionId"), "id1");
    EXPECT_TEXT(ext(a, "MSG_REGION"), "DefaultRegion");
    kit_turn();
    cr_expect_eq(a->times, 1, "the flush that comes later says nothing more");
}

Test(send, a_sync_master_without_a_slave_says_so_with_all_fields)
{
    kit_start_with("brokerRole=SYNC_MASTER\n");
    const struct answer *a = SEND();
    EXPECT_CODE(a, RES_SLAVE_NOT_AVAILABLE);
    EXPECT_TEXT(ext(a, "msgId"), "7F00000100002A9F0000000000000000");
    EXPECT_TEXT(ext(a, "transactionId"), "id1");
    EXPECT_CODE(SEND("properties", "WAIT\001false"), RES_SUCCESS);
    cr_expect_eq(max_of("T", 0), 2);
}

Test(send, a_write_that_fails_is_never_success)
{
    ASSERT_CODE(SEND(), RES_SUCCESS);
    fake_disk_fail(k.disk, FAKE_PWRITE, 1, -EIO, true);
    const struct answer *a = SEND();
    EXPECT_CODE(a, RES_SERVICE_NOT_AVAILABLE);
    const struct answer *later = SEND();
    EXPECT_CODE(later, RES_SERVICE_NOT_AVAILABLE);
    cr_expect(later->remark[0] != 0);
    cr_expect_eq(max_of("T", 0), 1);
    ASSERT_CODE(kit_pull("T", 0, 0, "*"), RES_SUCCESS); /* reads go on */
    fake_disk_fail(k.disk, FAKE_PWRITE, 0, 0, false);
}

Test(send, a_full_disk_is_a_refusal_with_words)
{
    ASSERT_CODE(SEND(), RES_SUCCESS);
    fake_disk_room(k.disk, 5ull << 30, 100ull << 30);
    kit_pass(60000);
    kit_pass(60000);
    const struct answer *a = SEND();
    expect_refused(a, RES_SERVICE_NOT_AVAILABLE, "service not available now. ");
    fake_disk_room(k.disk, 60ull << 30, 100ull << 30);
    kit_pass(60000);
    kit_pass(60000);
    EXPECT_CODE(SEND(), RES_SUCCESS);
}

/* Fills the log while no work runs, so that nobody makes its next file, until a send has to wait. */
static char large[60001];
static struct answer *send_large(const char *topic)
{
    return request(REQ_SEND_MESSAGE_V2, 0, slice_make(large, 60000), (const char *const[]){"topic", topic, NULL});
}
static struct answer *fill_log(void)
{
    memset(large, 'x', 60000);
    for (int i = 0; i < 200; i++) {
        struct answer *a = send_large("T");
        kit_write_only();
        if (!a->came)
            return a;
        ASSERT_CODE(a, RES_SUCCESS);
    }
    cr_assert(false, "the store took everything");
    return NULL;
}

Test(send, a_send_that_finds_no_room_waits_for_it_and_later_ones_behind_it)
{
    struct answer *waiting[4] = {fill_log()};
    int64_t before = max_of("T", 0);
    cr_expect(k.c.pressure == PRESSURE_STORE && k.n_waiting == 1);
    for (int i = 1; i < 4; i++)
        waiting[i] = i == 2 ? request(REQ_SEND_MESSAGE_V2, 0, SLICE_LIT("small"), NULL) : send_large("T");
    ASSERT_CODE(kit_pull("T", 0, 0, "*"), RES_SUCCESS); /* the turns of this one make the file */
    for (int i = 0; i < 4; i++) {
        cr_assert(waiting[i]->came && waiting[i]->times == 1);
        ASSERT_CODE(waiting[i], RES_SUCCESS);
        cr_expect_eq(ext_i64(waiting[i], "queueOffset"), before + i, "in order");
    }
    cr_expect(k.c.pressure == PRESSURE_NONE && k.n_waiting == 0);
}

Test(send, a_send_that_waits_too_long_hears_that_the_broker_is_busy)
{
    struct answer *a = fill_log();
    k.mono_ms += 1999;
    kit_write_only();
    cr_expect(!a->came);
    k.mono_ms += 1;
    kit_write_only();
    cr_assert(a->came);
    expect_refused(a, RES_SYSTEM_BUSY, "[TIMEOUT_CLEAN_QUEUE]broker busy");
    cr_expect_eq(k.c.waits.longest_ms, 2000);
}

Test(send, waitTimeMillsInSendQueue_makes_patience_longer)
{
    kit_start_with("waitTimeMillsInSendQueue=5000\n");
    struct answer *a = fill_log();
    k.mono_ms += 4999;
    kit_write_only();
    cr_expect(!a->came);
    k.mono_ms += 1;
    kit_write_only();
    cr_expect(a->came && a->code == RES_SYSTEM_BUSY);
}

Test(send, a_broker_that_stops_refuses_who_would_have_to_wait)
{
    fill_log();
    k.c.stopping = true;
    struct answer *a = send_large("T");
    cr_assert(a->came);
    expect_refused(a, RES_SERVICE_NOT_AVAILABLE, "service not available now. the broker stops");
}

Test(send, a_waiting_send_that_is_refused_after_all_has_every_field)
{
    fill_log();
    struct answer *a = send_large("later");
    k.config.auto_create_topic = false;
    cr_assert(topics_remove(k.c.topics, SLICE_LIT("TBW102"), k.now_ms, NULL) == MQ_OK);
    kit_turn();
    cr_assert(a->came);
    expect_refused(a, RES_TOPIC_NOT_EXIST, "topic[later] not exist");
}

static int64_t figure(const char *name)
{
    json_t *root = body_json(kit_send(REQ_GET_BROKER_RUNTIME_INFO, 0, (struct slice){0}, NULL));
    int64_t v = json_i64(json_object_get(root, "table"), name, -1);
    json_decref(root);
    return v;
}
static bool pressed_by(const char *reason)
{
    json_t *root = body_json(kit_send(REQ_GET_BROKER_RUNTIME_INFO, 0, (struct slice){0}, NULL));
    bool is = slice_is(json_str(json_object_get(root, "table"), "sendWaitReason"), reason);
    json_decref(root);
    return is;
}

Test(send, too_many_sends_that_wait_for_a_sync_make_others_wait_before_they_are_taken)
{
    kit_start_with("flushDiskType=SYNC_FLUSH\nsendThreadPoolQueueCapacity=4\n");
    struct answer *a[8];
    for (int i = 0; i < 4; i++)
        a[i] = request(REQ_SEND_MESSAGE_V2, 0, SLICE_LIT("x"), NULL);
    kit_write_only(); /* no sync ends */
    for (int i = 4; i < 8; i++)
        a[i] = request(REQ_SEND_MESSAGE_V2, 0, SLICE_LIT("x"), NULL);
    kit_write_only();
    k.now_ms += 700;
    k.mono_ms += 700;
    for (int i = 0; i < 8; i++)
        cr_expect(!a[i]->came);
    cr_expect(max_of("T", 0) == 4 && pressed_by("syncs"));
    cr_expect_eq(figure("sendThreadPoolQueueSize"), 8);
    cr_expect_eq(figure("sendThreadPoolQueueCapacity"), 4);
    cr_expect_eq(figure("sendThreadPoolQueueHeadWaitTimeMills"), 700);
    cr_expect_eq(figure("sendWaitConnections"), 4);
    cr_expect_eq(figure("sendWaitTimes"), 4);
    ASSERT_CODE(kit_pull("T", 0, 0, "*"), RES_SUCCESS);
    kit_turn();
    for (int i = 0; i < 8; i++) {
        cr_assert(a[i]->came);
        ASSERT_CODE(a[i], RES_SUCCESS);
        cr_expect_eq(ext_i64(a[i], "queueOffset"), i);
    }
    cr_expect(figure("sendThreadPoolQueueSize") == 0 && figure("sendThreadPoolQueueHeadWaitTimeMills") == 0 && figure("sendWaitConnections") == 0);
    cr_expect(figure("sendWaitMillsLastMinute") == 700 && figure("sendWaitMillsLongest") == 700 && figure("sendWaitTimes") == 4 && pressed_by("none"));
    k.mono_ms += 70000;
    cr_expect(figure("sendWaitMillsLastMinute") == 0 && figure("sendWaitMillsLongest") == 700);
}

Test(send, too_much_that_is_not_flushed_makes_sends_wait_until_it_is)
{
    memset(large, 'x', 60000);
    k.c.unflushed_max = 200000;
    struct answer *a[6];
    for (int i = 0; i < 6; i++) {
        a[i] = send_large("T");
        kit_write_only(); /* written at once, but nothing is flushed */
    }
    for (int i = 0; i < 6; i++)
        cr_expect(a[i]->came == (i < 4), "send %d", i);
    cr_expect(k.c.pressure == PRESSURE_UNFLUSHED && pressed_by("unflushed") && k.n_waiting == 2);
    kit_pass(500);
    cr_expect(a[4]->came && a[5]->came && a[4]->code == RES_SUCCESS && a[5]->code == RES_SUCCESS && k.c.pressure == PRESSURE_NONE);
}

Test(send, a_log_that_fails_presses_nobody_so_that_who_waits_hears_of_it)
{
    kit_start_with("flushDiskType=SYNC_FLUSH\nsendThreadPoolQueueCapacity=1\n");
    struct answer *first = request(REQ_SEND_MESSAGE_V2, 0, SLICE_LIT("x"), NULL);
    kit_write_only();
    struct answer *second = request(REQ_SEND_MESSAGE_V2, 0, SLICE_LIT("x"), NULL);
    cr_expect(!second->came && k.n_waiting == 1);
    fake_disk_fail(k.disk, FAKE_DATASYNC, 1, -EIO, true);
    kit_turn();
    cr_assert(first->came && second->came);
    EXPECT_CODE(first, RES_FLUSH_DISK_TIMEOUT);
    expect_refused(second, RES_SERVICE_NOT_AVAILABLE, "service not available now. ");
    fake_disk_fail(k.disk, FAKE_DATASYNC, 0, 0, false);
}

Test(send, counts_what_it_stored)
{
    SEND();
    SEND();
    cr_expect_eq(stats_total(k.c.stats, RATE_PUT), 2);
    struct buf text = {0};
    cr_expect(stats_encode(k.c.stats, SLICE_LIT("TOPIC_PUT_NUMS"), SLICE_LIT("T"), &text));
    buf_free(&text);
}
