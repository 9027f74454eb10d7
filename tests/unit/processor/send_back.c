/* send_back.c - 36: where the copy goes, what it says, and whose records are not given out. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/processor/kit.h"

TestSuite(send_back, .init = kit_start, .fini = kit_end);

static int64_t max_of(const char *topic, int queue) { return message_store_max_offset(k.c.store, slice_str(topic), queue); }

/* Valid until the next call but one. */
static struct message newest(const char *topic, int queue)
{
    static struct buf bodies[2];
    static int turn;
    struct buf *body = &bodies[turn++ % 2];
    struct get_result got;
    struct message m;
    const struct get_request g = {.topic = slice_str(topic), .queue_id = queue, .queue_off = max_of(topic, queue) - 1, .max_msgs = 1, .max_bytes = 1,
                                  .may_block = true};
    buf_clear(body);
    message_store_get(k.c.store, &g, body, &got);
    cr_assert(got.n_msgs == 1 && message_decode(buf_view(body), true, &m) == MQ_OK, "nothing in %s", topic);
    return m;
}

/* Gives back the record at phys_off; fields: more of them, name, value ... NULL. */
static struct answer *back(int64_t phys_off, int32_t flag, const char *const *more)
{
    char at[24];
    const char *fields[20] = {"group", "g", "offset", at, "delayLevel", "0"};
    size_t n = 6;
    snprintf(at, sizeof at, "%" PRId64, phys_off);
    for (; more && more[0]; more += 2) {
        size_t i = 0;
        while (i < n && strcmp(fields[i], more[0]) != 0)
            i += 2;
        fields[i] = more[0];
        fields[i + 1] = more[1];
        n = i == n ? n + 2 : n;
    }
    fields[n] = NULL;
    return kit_send(REQ_CONSUMER_SEND_MSG_BACK, flag, (struct slice){0}, fields);
}
static const struct answer *turned(const struct answer *a)
{
    kit_turn();
    cr_assert(a->came && a->times == 1);
    return a;
}
#define BACK(phys_off, ...) turned(back(phys_off, 0, (const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL, NULL}))

static int64_t put(const char *topic, const char *properties) /* its place */
{
    ASSERT_CODE(kit_put(topic, 1, "body", properties), RES_SUCCESS);
    return newest(topic, 1).phys_off;
}

static void expect_property(const struct message *m, const char *name, const char *want)
{
    struct slice v = {0};
    bool found = prop_get(m->properties, name, &v);
    cr_expect(want ? found && slice_is(v, want) : !found, "%s=%.*s", name, SLICE_ARG(v));
}

Test(send_back, a_message_comes_again_after_ten_seconds_with_all_that_it_had)
{
    int64_t at = put("T", "TAGS\001A\002UNIQ_KEY\001u\002mine\001x");
    const struct answer *a = BACK(at);
    ASSERT_CODE(a, RES_SUCCESS);
    cr_expect_eq(a->cmd.n_ext, 0);
    cr_expect_eq(max_of("SCHEDULE_TOPIC_XXXX", 2), 1); /* level 3 */
    kit_pass(9999);
    cr_expect_eq(max_of("%RETRY%g", 0), 0);
    kit_pass(1);
    cr_assert_eq(max_of("%RETRY%g", 0), 1);
    struct message m = newest("%RETRY%g", 0), old = newest("T", 1);
    cr_expect(slice_is(m.body, "body") && m.reconsume_times == 1 && m.born_ms == old.born_ms && m.sys_flag == old.sys_flag);
    cr_expect(memcmp(m.born.ip, old.born.ip, 4) == 0 && m.born.port == old.born.port && m.store.port == old.store.port);
    char id[MESSAGE_ID_MAX];
    message_id(&k.c.store_host, at, id);
    expect_property(&m, "mine", "x");
    expect_property(&m, PROP_TAGS, "A");
    expect_property(&m, PROP_UNIQ_KEY, "u");
    expect_property(&m, PROP_RETRY_TOPIC, "T");
    expect_property(&m, "ORIGIN_MESSAGE_ID", id);
    expect_property(&m, PROP_WAIT, "false");
    expect_property(&m, PROP_DELAY, "3");
    expect_property(&m, PROP_REAL_TOPIC, "%RETRY%g");
    expect_property(&m, PROP_REAL_QID, "0");
}

Test(send_back, the_second_time_it_waits_longer_and_remembers_where_it_began)
{
    int64_t first = put("T", NULL);
    char id[MESSAGE_ID_MAX];
    message_id(&k.c.store_host, first, id);
    ASSERT_CODE(BACK(first), RES_SUCCESS);
    kit_pass(10000);
    ASSERT_CODE(BACK(newest("%RETRY%g", 0).phys_off, "originTopic", "T"), RES_SUCCESS);
    kit_pass(29999);
    cr_expect_eq(max_of("%RETRY%g", 0), 1);
    kit_pass(1);
    cr_assert_eq(max_of("%RETRY%g", 0), 2);
    struct message m = newest("%RETRY%g", 0);
    cr_expect_eq(m.reconsume_times, 2);
    expect_property(&m, PROP_RETRY_TOPIC, "T");
    expect_property(&m, "ORIGIN_MESSAGE_ID", id);
    expect_property(&m, PROP_DELAY, "4");
}

Test(send_back, the_consumers_own_level_counts_and_a_negative_one_buries)
{
    int64_t at = put("T", NULL);
    ASSERT_CODE(BACK(at, "delayLevel", "1"), RES_SUCCESS);
    kit_pass(1000);
    cr_expect_eq(max_of("%RETRY%g", 0), 1);
    ASSERT_CODE(BACK(at, "delayLevel", "-1"), RES_SUCCESS);
    cr_assert_eq(max_of("%DLQ%g", 0), 1);
    struct message m = newest("%DLQ%g", 0);
    expect_property(&m, PROP_DELAY, "0");
    expect_property(&m, PROP_RETRY_TOPIC, "T");
    cr_expect_eq(topics_find(k.c.topics, SLICE_LIT("%DLQ%g"))->perm, 6);
    ASSERT_CODE(BACK(at, "delayLevel", "99"), RES_SUCCESS);
    cr_expect_eq(max_of("SCHEDULE_TOPIC_XXXX", 17), 1);
}

/* How often a message given back again and again comes, until it is buried. */
static int lives(const char *limit, int32_t version)
{
    int64_t at = put("T", NULL);
    for (int times = 0; times < 50; times++) {
        char place[24];
        snprintf(place, sizeof place, "%" PRId64, at);
        const struct ext_field ext[] = {{SLICE_LIT("group"), SLICE_LIT("g")}, {SLICE_LIT("offset"), slice_str(place)},
                                        {SLICE_LIT("delayLevel"), SLICE_LIT("1")}, {SLICE_LIT("maxReconsumeTimes"), slice_str(limit ? limit : "0")}};
        const struct command cmd = {.code = REQ_CONSUMER_SEND_MSG_BACK, .version = version, .ext = ext, .n_ext = limit ? 4 : 3};
        int64_t dead = max_of("%DLQ%g", 0), again = max_of("%RETRY%g", 0);
        ASSERT_CODE(turned(kit_send_command(&cmd)), RES_SUCCESS);
        kit_pass(1000);
        if (max_of("%DLQ%g", 0) > dead)
            return times;
        cr_assert_eq(max_of("%RETRY%g", 0), again + 1);
        at = newest("%RETRY%g", 0).phys_off;
    }
    return -1;
}

Test(send_back, no_message_comes_for_ever)
{
    cr_expect_eq(lives(NULL, MQ_VERSION_4_9_8), 16);
    cr_expect_eq(lives("2", MQ_VERSION_4_9_8), 2);
    cr_expect_eq(lives("0", MQ_VERSION_4_9_8), 0);
    cr_expect_eq(lives("-1", MQ_VERSION_4_9_8), 16, "none was asked for");
    cr_expect_eq(lives("2", MQ_VERSION_3_4_9 - 1), 16, "a client too old to mean it");
    groups_find_or_create(k.c.groups, SLICE_LIT("g"), k.now_ms)->retry_max_times = 3;
    cr_expect_eq(lives(NULL, MQ_VERSION_4_9_8), 3);
}

Test(send_back, a_group_without_retry_queues_drops_it)
{
    int64_t at = put("T", NULL);
    groups_find_or_create(k.c.groups, SLICE_LIT("g"), k.now_ms)->retry_queues = 0;
    ASSERT_CODE(BACK(at), RES_SUCCESS);
    cr_expect_eq(max_of("SCHEDULE_TOPIC_XXXX", 2), 0);
}

Test(send_back, all_queues_of_the_retry_topic_are_used)
{
    int64_t at = put("T", NULL);
    groups_find_or_create(k.c.groups, SLICE_LIT("g"), k.now_ms)->retry_queues = 3;
    for (int i = 0; i < 40; i++)
        ASSERT_CODE(BACK(at, "delayLevel", "1"), RES_SUCCESS);
    kit_pass(1000);
    cr_expect(max_of("%RETRY%g", 0) > 0 && max_of("%RETRY%g", 1) > 0 && max_of("%RETRY%g", 2) > 0);
    cr_expect_eq(max_of("%RETRY%g", 0) + max_of("%RETRY%g", 1) + max_of("%RETRY%g", 2), 40);
}

Test(send_back, what_is_not_for_consumers_does_not_come_out)
{
    ASSERT_CODE(kit_put("T", 1, "later", "DELAY\0015"), RES_SUCCESS);
    const int64_t delayed = newest("SCHEDULE_TOPIC_XXXX", 4).phys_off;
    EXPECT_WORDS(BACK(delayed), "look message by offset failed");
    static const char *const topics[] = {"RMQ_SYS_TRANS_HALF_TOPIC", "RMQ_SYS_TRANS_OP_HALF_TOPIC", "T"};
    for (int i = 0; i < 3; i++) {
        struct message m = {.topic = slice_str(topics[i]), .body = SLICE_LIT("half"), .store = k.c.store_host, .sys_flag = i == 2 ? SYS_TRAN_PREPARED : 0};
        struct put_result out;
        cr_assert_eq(message_store_put(k.c.store, &m, 1, k.now_ms, &out), PUT_OK);
        kit_turn();
        const struct answer *a = BACK(out.phys_off);
        EXPECT_CODE(a, RES_SYSTEM_ERROR);
        EXPECT_WORDS(a, "look message by offset failed");
    }
    cr_expect_eq(max_of("SCHEDULE_TOPIC_XXXX", 2), 0);
}

Test(send_back, bad_requests_are_refused_in_words)
{
    int64_t at = put("T", NULL);
    EXPECT_WORDS(BACK(at, "group", ""), "field group");
    EXPECT_WORDS(BACK(at, "delayLevel", "x"), "field delayLevel");
    EXPECT_WORDS(BACK(at + 1), "look message by offset failed");
    EXPECT_WORDS(BACK(-1), "look message by offset failed, -1");
    EXPECT_WORDS(BACK(INT64_MAX), "look message by offset failed");
    EXPECT_CODE(BACK(at, "group", "no/group"), RES_SUBSCRIPTION_GROUP_NOT_EXIST);
    static char longest[200];
    memset(longest, 'g', 150);
    EXPECT_WORDS(BACK(at, "group", longest), "not exist"); /* its retry topic's name would be too long */
    topics_find(k.c.topics, SLICE_LIT("%RETRY%g"))->perm = PERM_READ;
    EXPECT_CODE(BACK(at), RES_NO_PERMISSION);
    k.config.broker_permission = PERM_READ;
    EXPECT_CODE(BACK(at), RES_NO_PERMISSION);
    k.config.broker_permission = PERM_READ | PERM_WRITE;
    kit_start_with("autoCreateSubscriptionGroup=false\n");
    EXPECT_CODE(BACK(0), RES_SUBSCRIPTION_GROUP_NOT_EXIST);
}

Test(send_back, no_answer_before_the_copy_is_written_or_with_sync_flush_on_the_medium)
{
    int64_t at = put("T", NULL);
    struct answer *a = back(at, 0, NULL);
    cr_expect(!a->came);
    kit_write_only();
    cr_expect(a->came && a->code == RES_SUCCESS);

    kit_start_with("flushDiskType=SYNC_FLUSH\n");
    at = put("T", NULL);
    a = back(at, 0, NULL);
    kit_write_only();
    cr_expect(!a->came);
    kit_turn();
    cr_expect(a->came && a->code == RES_SUCCESS);
}

Test(send_back, a_copy_that_could_not_be_written_is_refused)
{
    int64_t at = put("T", NULL);
    kit_topic("%RETRY%g", 1, PERM_READ | PERM_WRITE); /* else making it fails first */
    fake_disk_fail(k.disk, FAKE_PWRITE, 1, -EIO, true);
    const struct answer *a = BACK(at);
    EXPECT_CODE(a, RES_SERVICE_NOT_AVAILABLE);
    a = BACK(at);
    EXPECT_CODE(a, RES_SYSTEM_ERROR);
    EXPECT_WORDS(a, "SERVICE_NOT_AVAILABLE");
}

Test(send_back, a_record_that_is_not_in_memory_is_read_by_a_reader)
{
    int64_t at = put("T", NULL);
    fake_disk_chill(k.disk, NULL);
    struct answer *a = back(at, 0, NULL);
    kit_write_only();
    cr_expect(!a->came && !sim_exec_idle(&k.exec));
    turned(a);
    ASSERT_CODE(a, RES_SUCCESS);
    cr_expect_eq(max_of("SCHEDULE_TOPIC_XXXX", 2), 1);
    cr_expect_eq(k.c.waiting_bytes, 0);

    fake_disk_chill(k.disk, NULL);
    k.c.waiting_bytes = SIZE_MAX; /* no more may wait: it reads itself */
    a = back(at, 0, NULL);
    k.c.waiting_bytes = 0;
    ASSERT_CODE(turned(a), RES_SUCCESS);
    cr_expect_eq(max_of("SCHEDULE_TOPIC_XXXX", 2), 2);

    fake_disk_chill(k.disk, NULL);
    a = back(at, 0, NULL);
    k.c.stopping = true;
    EXPECT_CODE(turned(a), RES_SERVICE_NOT_AVAILABLE);
}

Test(send_back, while_the_disk_is_behind_it_waits_as_a_send_does)
{
    int64_t at = put("T", NULL);
    k.c.unflushed_max = 1;
    k.c.pressure = PRESSURE_STORE;
    struct answer *a = back(at, 0, NULL);
    cr_expect(!a->came && k.n_waiting == 1);
    k.c.unflushed_max = 256 << 20;
    ASSERT_CODE(turned(a), RES_SUCCESS);
    cr_expect_eq(k.waits, 1);
}

Test(send_back, it_is_counted_for_the_group_and_nobody_answers_a_oneway)
{
    int64_t at = put("T", NULL);
    ASSERT_CODE(BACK(at), RES_SUCCESS);
    struct answer *a = back(at, COMMAND_ONEWAY, NULL);
    kit_turn();
    cr_expect(!a->came);
    cr_expect_eq(max_of("SCHEDULE_TOPIC_XXXX", 2), 2);
    k.now_ms += 10000;
    k.mono_ms += 10000;
    stats_sample(k.c.stats, k.now_ms, k.mono_ms);
    ASSERT_CODE(ASK(REQ_VIEW_BROKER_STATS_DATA, "statsName", "SNDBCK_PUT_NUMS", "statsKey", "T@g"), RES_SUCCESS);
}
