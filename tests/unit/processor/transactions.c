/* transactions.c - half messages, 37, and the check-back: what is stored, what is asked, and what a crash at any point leaves. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "broker/transaction/transactions_internal.h"
#include "tests/lib/rng.h"
#include "tests/unit/processor/kit.h"

enum { INTERVAL_MS = 10000, TIMEOUT_MS = 6000 };

static void start(void)
{
    kit_start_with("transactionCheckInterval=10000\ntransactionCheckMax=3\n");
    kit_topic("T", 4, 6);
}
TestSuite(transactions, .init = start, .fini = kit_end);

/* ---- what is there ---- */
static int64_t max_of(const char *topic) { return message_store_max_offset(k.c.store, slice_str(topic), 0); }
static size_t open_now(void) { return transactions_open_count(k.c.transactions); }
static int64_t told(const char *topic) { return offsets_query(k.c.offsets, SLICE_LIT(TRANSACTION_GROUP), slice_str(topic), 0); }

static struct message record_at(const char *topic, int64_t off)
{
    struct message m[32];
    const struct answer *a = kit_pull(topic, 0, off, "*");
    ASSERT_CODE(a, RES_SUCCESS);
    cr_assert(kit_records(a, m, 32) >= 1);
    cr_assert_eq(m[0].queue_off, off);
    return m[0];
}
static void expect_op_of(int64_t op_off, const char *body, const char *properties)
{
    struct message m[32];
    struct buf bytes = {0};
    const struct get_request g = {.topic = SLICE_LIT(OP_TOPIC), .queue_off = op_off, .max_msgs = 1, .may_block = true};
    struct get_result got;
    message_store_get(k.c.store, &g, &bytes, &got);
    cr_assert(got.status == GET_FOUND && message_decode(buf_view(&bytes), true, &m[0]) == MQ_OK);
    EXPECT_TEXT(m[0].body, body);
    EXPECT_TEXT(m[0].properties, properties);
    cr_expect(m[0].sys_flag == 0 && m[0].queue_id == 0);
    buf_free(&bytes);
}
static void expect_op(int64_t op_off, const char *body) { expect_op_of(op_off, body, "TAGS\001d"); }
static struct slice prop(const struct message *m, const char *name)
{
    struct slice v = {0};
    cr_assert(prop_get(m->properties, name, &v), "%s", name);
    return v;
}

/* ---- requests ---- */
struct sent {
    int64_t half_off, phys_off;
};
#define HALF_PROPERTIES "TRAN_MSG\001true\002PGROUP\001producers\002UNIQ_KEY\001id1"
static struct sent begin_with(const char *body, const char *properties)
{
    const struct answer *a = kit_put("T", 0, body, properties);
    struct host store;
    struct sent s;
    ASSERT_CODE(a, RES_SUCCESS);
    cr_assert(message_id_decode(ext(a, "msgId"), &store, &s.phys_off));
    s.half_off = ext_i64(a, "queueOffset");
    return s;
}
static struct sent begin(void) { return begin_with("body", HALF_PROPERTIES); }

static struct answer *end_send(const char *group, int64_t half_off, int64_t phys_off, const char *decision, int32_t flag)
{
    char half[32], phys[32];
    snprintf(half, sizeof half, "%" PRId64, half_off);
    snprintf(phys, sizeof phys, "%" PRId64, phys_off);
    const char *const fields[] = {"producerGroup", group, "tranStateTableOffset", half, "commitLogOffset", phys, "commitOrRollback", decision,
                                  "fromTransactionCheck", "false", "msgId", "id1", "transactionId", "id1", NULL};
    return kit_send(REQ_END_TRANSACTION, flag, (struct slice){0}, fields);
}
static const struct answer *end_with(struct sent s, const char *decision)
{
    struct answer *a = end_send("producers", s.half_off, s.phys_off, decision, 0);
    kit_turn();
    cr_assert(a->came && a->times == 1);
    return a;
}
static void commit(struct sent s) { EXPECT_CODE(end_with(s, "8"), RES_SUCCESS); }
static void roll_back(struct sent s) { EXPECT_CODE(end_with(s, "12"), RES_SUCCESS); }

static void producer(uint64_t conn_id, const char *group)
{
    char json[200];
    snprintf(json, sizeof json, "{\"clientID\":\"p%" PRIu64 "\",\"producerDataSet\":[{\"groupName\":\"%s\"}],\"consumerDataSet\":[]}", conn_id, group);
    kit_heartbeat(conn_id, json);
}
/* The i-th question, as it came to its producer. */
static struct sent question(size_t i)
{
    struct sent s = {-1, -1};
    struct slice v;
    cr_assert(k.n_calls > i, "%zu questions", k.n_calls);
    cr_assert(k.calls[i].oneway && k.calls[i].cmd.code == REQ_CHECK_TRANSACTION_STATE && k.calls[i].cmd.serialize == SERIALIZE_JSON);
    cr_assert(command_ext(&k.calls[i].cmd, "tranStateTableOffset", &v) && slice_i64(v, &s.half_off));
    cr_assert(command_ext(&k.calls[i].cmd, "commitLogOffset", &v) && slice_i64(v, &s.phys_off));
    return s;
}

/* ---- half messages ---- */
Test(transactions, a_half_message_waits_where_nobody_looks)
{
    ASSERT_CODE(kit_put("T", 2, "plain", NULL), RES_SUCCESS);
    const struct answer *a = kit_put("T", 2, "body", "TAGS\001red\002" HALF_PROPERTIES);
    ASSERT_CODE(a, RES_SUCCESS);
    cr_expect_eq(ext_i64(a, "queueId"), 2, "the one that was asked for");
    cr_expect_eq(ext_i64(a, "queueOffset"), 0, "of the half queue");
    EXPECT_TEXT(ext(a, "transactionId"), "id1");
    cr_expect_eq(message_store_max_offset(k.c.store, SLICE_LIT("T"), 2), 1);
    const struct message m = record_at(HALF_TOPIC, 0);
    EXPECT_TEXT(m.topic, HALF_TOPIC);
    EXPECT_TEXT(m.body, "body");
    EXPECT_TEXT(m.properties, "TAGS\001red\002" HALF_PROPERTIES "\002CLUSTER\001DefaultCluster\002REAL_TOPIC\001T\002REAL_QID\0012");
    cr_expect(m.queue_id == 0 && m.sys_flag == 0 && m.prepared_off == 0);
}

static const struct answer *prepared(const char *sys_flag, const char *queue_id, const char *topic)
{
    return ASK_BODY(REQ_SEND_MESSAGE_V2, SLICE_LIT("body"), "a", "producers", "b", topic, "c", "TBW102", "d", "4", "e", queue_id, "f", sys_flag, "g", "1",
                    "h", "0", "i", "UNIQ_KEY\001id2", "j", "0", "k", "false", "m", "false");
}
Test(transactions, the_prepared_bit_alone_makes_one)
{
    ASSERT_CODE(prepared("4", "0", "T"), RES_SUCCESS);
    const struct message m = record_at(HALF_TOPIC, 0);
    EXPECT_TEXT(prop(&m, "PGROUP"), "producers");
    cr_expect(m.sys_flag == 0 && max_of("T") == 0 && open_now() == 1);
}
Test(transactions, a_half_message_is_checked_as_any_send)
{
    EXPECT_CODE(prepared("4", "4", "T"), RES_SYSTEM_ERROR);
    EXPECT_CODE(prepared("4", "0", HALF_TOPIC), RES_NO_PERMISSION);
    EXPECT_CODE(prepared("12", "0", "T"), RES_NO_PERMISSION);
    static char props[MESSAGE_PROPERTIES_MAX];
    memset(props, 'v', sizeof props);
    memcpy(props, "TRAN_MSG\001true\002a\001", 16);
    props[HALF_PROPERTIES_MAX - 40] = 0;
    EXPECT_CODE(kit_put("T", 0, "body", props), RES_MESSAGE_ILLEGAL);
    cr_expect(max_of(HALF_TOPIC) == 0 && open_now() == 0);
}
Test(transactions, they_can_be_refused)
{
    k.config.reject_transaction = true;
    const struct answer *a = kit_put("T", 0, "body", HALF_PROPERTIES);
    EXPECT_CODE(a, RES_NO_PERMISSION);
    EXPECT_WORDS(a, "the broker[127.0.0.1] sending transaction message is forbidden");
    EXPECT_CODE(kit_put("T", 0, "body", NULL), RES_SUCCESS);
}

/* ---- ends ---- */
Test(transactions, commit)
{
    struct sent s = begin_with("body", "TAGS\001red\002KEYS\001k\002" HALF_PROPERTIES);
    commit(s);
    const struct message m = record_at("T", 0), half = record_at(HALF_TOPIC, 0);
    EXPECT_TEXT(m.body, "body");
    cr_expect(m.sys_flag == SYS_TRAN_COMMIT && m.prepared_off == s.phys_off && m.queue_id == 0);
    cr_expect(m.born_ms == half.born_ms && m.born.port == half.born.port && m.flag == half.flag);
    cr_expect(slice_eq(m.properties, half.properties), "Apache leaves them all: %.*s", SLICE_ARG(m.properties));
    cr_expect_eq(max_of(OP_TOPIC), 1);
    expect_op(0, "0");
    cr_expect_eq(open_now(), 0);
}
Test(transactions, roll_back)
{
    begin();
    roll_back(begin());
    cr_expect(max_of("T") == 0 && max_of(OP_TOPIC) == 1 && open_now() == 1);
    expect_op(0, "1");
}
Test(transactions, oneway_nothing_is_answered)
{
    struct sent s = begin();
    const struct answer *a = end_send("producers", s.half_off, s.phys_off, "8", COMMAND_ONEWAY);
    kit_turn();
    cr_expect(!a->came && max_of("T") == 1);
}
Test(transactions, a_commit_wakes_who_waits_for_it)
{
    struct sent s = begin();
    const char *const pull[] = {"consumerGroup", "g", "topic", "T", "queueId", "0", "queueOffset", "0", "maxMsgNums", "32", "sysFlag", "6", "commitOffset", "0",
                                "suspendTimeoutMillis", "15000", "subscription", "*", "subVersion", "0", "expressionType", "TAG", NULL};
    const struct answer *a = kit_send(REQ_PULL_MESSAGE, 0, (struct slice){0}, pull);
    kit_turn();
    cr_expect(!a->came, "a half message is not there");
    commit(s);
    ASSERT_CODE(a, RES_SUCCESS);
}
static void expect_refused(const struct answer *a, const char *words)
{
    EXPECT_CODE(a, RES_SYSTEM_ERROR);
    EXPECT_WORDS(a, words);
}
Test(transactions, an_end_must_know_what_it_ends)
{
    ASSERT_CODE(kit_put("T", 0, "plain", HALF_PROPERTIES + 14), RES_SUCCESS); /* with PGROUP, without TRAN_MSG */
    struct sent s = begin();
    struct answer *a = end_send("others", s.half_off, s.phys_off, "8", 0);
    kit_turn();
    expect_refused(a, "The producer group wrong");
    expect_refused(end_with((struct sent){s.half_off + 1, s.phys_off}, "8"), "The transaction state table offset wrong");
    expect_refused(end_with((struct sent){0, 0}, "8"), "Find prepared transaction message failed"); /* a record, but no half one */
    expect_refused(end_with((struct sent){0, 3}, "8"), "Find prepared transaction message failed");
    expect_refused(end_with((struct sent){0, 1 << 30}, "8"), "Find prepared transaction message failed");
    expect_refused(end_with((struct sent){0, -1}, "12"), "Find prepared transaction message failed");
    expect_refused(ASK(REQ_END_TRANSACTION, "producerGroup", "producers", "commitOrRollback", "8"), "tranStateTableOffset");
    cr_expect(max_of("T") == 1 && max_of(OP_TOPIC) == 0 && open_now() == 1);
    commit(s);
}
Test(transactions, who_does_not_know_gets_no_answer)
{
    struct sent s = begin();
    const struct answer *a = end_send("producers", s.half_off, s.phys_off, "0", 0), *b = end_send("producers", s.half_off, s.phys_off, "7", 0);
    kit_turn();
    cr_expect(!a->came && !b->came && max_of(OP_TOPIC) == 0 && open_now() == 1);
}
Test(transactions, an_end_counts_once)
{
    struct sent s = begin(), other = begin();
    commit(s);
    expect_refused(end_with(s, "8"), "ended before");
    expect_refused(end_with(s, "12"), "ended before");
    roll_back(other);
    expect_refused(end_with(other, "8"), "ended before");
    cr_expect(max_of("T") == 1 && max_of(OP_TOPIC) == 2);
    kit_restart();
    expect_refused(end_with(s, "8"), "ended before");
    cr_expect_eq(max_of("T"), 1);
}
Test(transactions, a_record_on_the_disk_is_read_first)
{
    struct sent s = begin();
    kit_restart();
    fake_disk_chill(k.disk, NULL);
    const struct answer *a = end_send("producers", s.half_off, s.phys_off, "8", 0), *none = end_send("producers", 0, s.phys_off + 1, "8", 0);
    cr_expect(!a->came, "a thread reads it");
    kit_turn();
    ASSERT_CODE(a, RES_SUCCESS);
    EXPECT_CODE(none, RES_SYSTEM_ERROR);
    cr_expect(max_of("T") == 1 && k.c.cold_ends == 0);
}
Test(transactions, an_end_waits_as_sends_do)
{
    struct sent s = begin();
    k.c.pressure = PRESSURE_STORE;
    const struct answer *a = end_send("producers", s.half_off, s.phys_off, "8", 0);
    cr_expect(!a->came && k.n_waiting == 1);
    kit_turn();
    EXPECT_CODE(a, RES_SUCCESS);
    cr_expect_eq(max_of("T"), 1);
}
Test(transactions, a_failed_log_ends_nothing)
{
    struct sent s = begin();
    fake_disk_fail(k.disk, FAKE_PWRITE, 1, -5, true);
    EXPECT_CODE(end_with(s, "8"), RES_SERVICE_NOT_AVAILABLE);
}

/* The message fits into the log's file, its op message does not, and the next file is not made yet. */
Test(transactions, an_op_message_that_finds_no_room_is_owed)
{
    static char body[60001];
    memset(body, 'b', 60000);
    const struct transactions *t = k.c.transactions;
    struct sent s = begin();
    while (t->n_owed == 0) {
        struct put_result put;
        struct message m = {.topic = SLICE_LIT("fill"), .body = slice_make(body, 60000), .store = k.c.store_host};
        struct store_figures f;
        kit_write_only();
        message_store_figures(k.c.store, &f);
        uint64_t left = (1 << 20) - f.max_phys_off % (1 << 20), need = 8 + 400;
        if (left > need + 60000 + 200) {
            cr_assert(message_store_put(k.c.store, &m, 1, k.now_ms, &put) == PUT_OK);
            continue;
        }
        m.body.n = left - need; /* what is left is enough for the message, not for both */
        cr_assert(message_store_put(k.c.store, &m, 1, k.now_ms, &put) == PUT_OK);
        kit_write_only();
        (void)end_send("producers", s.half_off, s.phys_off, "8", COMMAND_ONEWAY);
        break;
    }
    cr_assert_eq(t->n_owed, 1);
    cr_expect_eq(open_now(), 1, "until it is written");
    struct answer *again = end_send("producers", s.half_off, s.phys_off, "8", 0);
    kit_turn();
    expect_refused(again, "ended before");
    kit_pass(1);
    cr_expect(t->n_owed == 0 && open_now() == 0 && max_of("T") == 1 && max_of(OP_TOPIC) == 1);
    expect_op(0, "0");
}

/* ---- checks ---- */
Test(transactions, a_producer_is_asked_about_what_it_did_not_end)
{
    producer(5, "producers");
    begin();
    kit_pass(TIMEOUT_MS);
    cr_expect_eq(k.n_calls, 0);
    kit_pass(INTERVAL_MS - TIMEOUT_MS);
    cr_assert_eq(k.n_calls, 1);
    cr_expect_eq(k.calls[0].conn_id, 5);
    struct sent q = question(0);
    const struct message half = record_at(HALF_TOPIC, 1);
    cr_expect(q.half_off == 1 && q.phys_off == half.phys_off);
    EXPECT_TEXT(prop(&half, "TRANSACTION_CHECK_TIMES"), "1");
    struct message m;
    struct slice v;
    cr_assert(message_decode(k.calls[0].cmd.body, true, &m) == MQ_OK && m.size == k.calls[0].cmd.body.n);
    EXPECT_TEXT(m.topic, "T");
    EXPECT_TEXT(m.body, "body");
    cr_expect(m.queue_id == 0 && m.queue_off == 1 && m.phys_off == half.phys_off && m.store_ms == half.store_ms && m.born_ms == half.born_ms);
    cr_expect(slice_eq(m.properties, half.properties));
    cr_expect(command_ext(&k.calls[0].cmd, "msgId", &v) && slice_is(v, "id1"));
    cr_expect(command_ext(&k.calls[0].cmd, "transactionId", &v) && slice_is(v, "id1"));
    char id[MESSAGE_ID_MAX];
    message_id(&k.c.store_host, half.phys_off, id);
    cr_expect(command_ext(&k.calls[0].cmd, "offsetMsgId", &v) && slice_is(v, id));
    commit(q);
    expect_op_of(0, "1", "TAGS\001d\002TRAN_PREPARED_QUEUE_OFFSET\0010");
    kit_pass(INTERVAL_MS);
    cr_expect(k.n_calls == 1 && max_of("T") == 1 && open_now() == 0);
}
Test(transactions, any_of_its_places_ends_it_and_only_one)
{
    producer(5, "producers");
    struct sent first = begin();
    kit_pass(INTERVAL_MS);
    kit_pass(INTERVAL_MS);
    struct sent second = question(0), third = question(1);
    commit(first); /* late, but it is the producer's word */
    expect_op_of(0, "2", "TAGS\001d\002TRAN_PREPARED_QUEUE_OFFSET\0010");
    expect_refused(end_with(second, "8"), "ended before");
    expect_refused(end_with(third, "8"), "ended before");
    kit_pass(INTERVAL_MS);
    cr_expect(max_of("T") == 1 && open_now() == 0 && k.n_calls == 2);
}
Test(transactions, the_members_of_a_group_take_turns_and_one_that_is_gone_is_not_asked)
{
    producer(5, "producers"), producer(6, "producers"), producer(7, "others");
    begin();
    kit_pass(INTERVAL_MS), kit_pass(INTERVAL_MS);
    cr_assert_eq(k.n_calls, 2);
    cr_expect_eq(k.calls[0].conn_id + k.calls[1].conn_id, 11);
    kit_close(5);
    kit_pass(INTERVAL_MS);
    cr_expect(k.n_calls == 3 && k.calls[2].conn_id == 6);
    commit(question(2));
}
Test(transactions, given_up_after_so_many_checks_also_when_nobody_is_there)
{
    begin();
    for (int i = 0; i < 3; i++)
        kit_pass(INTERVAL_MS);
    cr_expect(max_of(HALF_TOPIC) == 4 && open_now() == 1);
    kit_pass(INTERVAL_MS);
    cr_expect(max_of(HALF_TOPIC) == 4 && open_now() == 0);
    const struct message m = record_at(GIVEN_UP_TOPIC, 0);
    EXPECT_TEXT(m.body, "body");
    EXPECT_TEXT(prop(&m, "REAL_TOPIC"), "T");
    EXPECT_TEXT(prop(&m, "TRANSACTION_CHECK_TIMES"), "3");
    kit_pass(1000);
    cr_expect_eq(told(HALF_TOPIC), 4);
}
Test(transactions, what_was_given_up_can_still_be_committed)
{
    struct sent s = begin();
    for (int i = 0; i < 4; i++)
        kit_pass(INTERVAL_MS);
    cr_assert_eq(open_now(), 0);
    commit(s);
    cr_expect_eq(max_of("T"), 1);
}
Test(transactions, older_than_the_log_is_kept_it_is_given_up)
{
    begin();
    kit_pass(72 * 3600000LL + 1);
    cr_expect(max_of(HALF_TOPIC) == 1 && max_of(GIVEN_UP_TOPIC) == 1 && open_now() == 0);
}
Test(transactions, immunity_moves_it_and_asks_nobody)
{
    producer(5, "producers");
    struct sent s = begin_with("body", "CHECK_IMMUNITY_TIME_IN_SECONDS\00115\002" HALF_PROPERTIES);
    kit_pass(INTERVAL_MS);
    cr_expect(k.n_calls == 0 && max_of(HALF_TOPIC) == 2);
    const struct message m = record_at(HALF_TOPIC, 1);
    EXPECT_TEXT(prop(&m, "TRAN_PREPARED_QUEUE_OFFSET"), "0");
    struct slice v;
    cr_expect(!prop_get(m.properties, "TRANSACTION_CHECK_TIMES", &v));
    kit_pass(INTERVAL_MS);
    cr_expect_eq(k.n_calls, 1, "after its time");
    commit(s);
    cr_expect(max_of("T") == 1 && open_now() == 0);
}
static const struct answer *resume(int64_t phys_off)
{
    char id[MESSAGE_ID_MAX];
    message_id(&k.c.store_host, phys_off, id);
    return ASK(REQ_RESUME_CHECK_HALF_MESSAGE, "msgId", id);
}
Test(transactions, an_operator_has_one_checked_anew)
{
    struct sent s = begin(), other = begin();
    for (int i = 0; i < 4; i++)
        kit_pass(INTERVAL_MS);
    const struct message m = record_at(GIVEN_UP_TOPIC, 0);
    cr_assert_eq(open_now(), 0);
    EXPECT_CODE(resume(m.phys_off), RES_SUCCESS);
    const struct message again = record_at(HALF_TOPIC, 8);
    EXPECT_TEXT(prop(&again, "TRANSACTION_CHECK_TIMES"), "0");
    cr_expect_eq(open_now(), 1);
    producer(5, "producers");
    kit_pass(INTERVAL_MS);
    commit(question(0));
    expect_refused(end_with(s, "8"), "ended before");
    expect_refused(resume(m.phys_off), "has ended");
    cr_expect(max_of("T") == 1 && open_now() == 0);
    EXPECT_CODE(resume(other.phys_off), RES_SUCCESS);
    EXPECT_CODE(resume(other.phys_off), RES_SUCCESS);
    cr_expect_eq(open_now(), 1, "the same transaction");
    kit_crash(CUT_KILL);
    cr_expect_eq(open_now(), 1);
    commit(other);
    cr_expect_eq(max_of("T"), 2);
}
Test(transactions, only_half_messages_are_resumed)
{
    ASSERT_CODE(kit_put("T", 0, "plain", "REAL_TOPIC\001T\002REAL_QID\0010"), RES_SUCCESS);
    expect_refused(resume(0), "no half message");
    expect_refused(resume(5), "can not find message by the id");
    expect_refused(ASK(REQ_RESUME_CHECK_HALF_MESSAGE, "msgId", "x"), "can not find message by the id");
    expect_refused(ASK(REQ_RESUME_CHECK_HALF_MESSAGE, "topic", "T"), "msgId");
    cr_expect_eq(open_now(), 0);
}
Test(transactions, an_operator_sees_how_many_are_open)
{
    begin(), commit(begin()), begin();
    json_t *info = body_json(ASK(REQ_GET_BROKER_RUNTIME_INFO));
    cr_expect_str_eq(json_string_value(json_object_get(json_object_get(info, "table"), "transactionsOpen")), "2");
    json_decref(info);
}
Test(transactions, settings_are_live)
{
    producer(5, "producers");
    k.config.transaction_interval_ms = 1000;
    k.config.transaction_timeout_ms = 500;
    k.config.transaction_checks_max = 1;
    begin();
    kit_pass(1000);
    cr_expect_eq(k.n_calls, 1);
    kit_pass(1000);
    cr_expect(k.n_calls == 1 && max_of(GIVEN_UP_TOPIC) == 1);
}
Test(transactions, a_round_reads_what_is_on_the_disk_by_a_thread)
{
    producer(5, "producers");
    begin(), begin();
    kit_restart();
    producer(5, "producers");
    fake_disk_chill(k.disk, NULL);
    k.now_ms += INTERVAL_MS;
    k.mono_ms += INTERVAL_MS;
    transactions_run(k.c.transactions, k.now_ms, k.mono_ms, false);
    const struct transactions *t = k.c.transactions;
    cr_expect(t->round.on && t->round.warming && k.n_calls == 0);
    for (int i = 0; i < 4; i++)
        kit_pass(5);
    cr_expect(!t->round.on && k.n_calls == 2);
}
Test(transactions, a_round_waits_while_sends_do)
{
    producer(5, "producers");
    begin();
    k.now_ms += INTERVAL_MS;
    k.mono_ms += INTERVAL_MS;
    transactions_run(k.c.transactions, k.now_ms, k.mono_ms, true);
    cr_expect(k.n_calls == 0 && max_of(HALF_TOPIC) == 1);
    kit_turn();
    cr_expect_eq(k.n_calls, 1);
}
Test(transactions, a_record_that_is_gone_is_not_asked_about_for_ever)
{
    begin(), begin();
    message_store_delete_topic(k.c.store, SLICE_LIT(HALF_TOPIC));
    kit_turn();
    begin();
    cr_expect_eq(open_now(), 1, "the new one, at their place");
    message_store_delete_topic(k.c.store, SLICE_LIT(HALF_TOPIC));
    const struct message m = {.topic = SLICE_LIT(HALF_TOPIC), .properties = SLICE_LIT("REAL_TOPIC\001T"), .store = k.c.store_host};
    struct put_result put;
    cr_assert(message_store_put(k.c.store, &m, 1, k.now_ms, &put) == PUT_OK); /* lies there, but is none */
    kit_turn();
    kit_pass(INTERVAL_MS);
    cr_expect_eq(open_now(), 0);
}
Test(transactions, ten_thousand_open_ones_by_pieces)
{
    struct put_result put;
    const struct message m = {.topic = SLICE_LIT("T"), .body = SLICE_LIT("body"), .properties = SLICE_LIT(HALF_PROPERTIES), .born_ms = k.now_ms,
                              .store = k.c.store_host};
    for (int i = 0; i < 10000; i++) {
        enum put_status status;
        while ((status = transactions_begin(k.c.transactions, &m, SLICE_LIT("producers"), k.now_ms, &put)) == PUT_BUSY)
            kit_turn();
        cr_assert_eq(status, PUT_OK);
    }
    kit_turn();
    cr_expect_eq(open_now(), 10000);
    uint64_t before = mem_used();
    kit_crash(CUT_KILL);
    cr_expect_eq(open_now(), 10000);
    cr_expect_lt(mem_used(), before + (2 << 20));
    k.now_ms += INTERVAL_MS;
    k.mono_ms += INTERVAL_MS;
    int turns = 0;
    for (; max_of(HALF_TOPIC) < 20000 && turns < 1000; turns++) {
        int64_t had = max_of(HALF_TOPIC);
        kit_write_only();
        kit_write_only();
        cr_assert_leq(max_of(HALF_TOPIC) - had, 64);
        k.mono_ms += 5;
        sim_exec_drain(&k.exec);
    }
    kit_turn();
    cr_expect(open_now() == 10000 && max_of(HALF_TOPIC) == 20000 && turns >= 10000 / 64);
    kit_pass(1000);
    cr_expect_eq(told(HALF_TOPIC), 10000);
}

/* ---- crashes ---- */
Test(transactions, a_half_message_survives_and_is_asked_about)
{
    begin();
    kit_crash(CUT_KILL);
    cr_expect_eq(open_now(), 1);
    producer(5, "producers");
    kit_pass(INTERVAL_MS);
    commit(question(0));
    cr_expect_eq(max_of("T"), 1);
}
Test(transactions, an_end_survives)
{
    struct sent s = begin();
    commit(s);
    kit_crash(CUT_KILL);
    cr_expect_eq(open_now(), 0);
    expect_refused(end_with(s, "8"), "ended before");
}
Test(transactions, what_was_put_again_is_one_transaction_after_a_kill)
{
    producer(5, "producers");
    struct sent s = begin(), other = begin();
    kit_pass(INTERVAL_MS);
    cr_assert_eq(k.n_calls, 2);
    offsets_commit(k.c.offsets, SLICE_LIT(TRANSACTION_GROUP), SLICE_LIT(HALF_TOPIC), 0, 0); /* as the file says, which is saved later */
    offsets_save_if_dirty(k.c.offsets);
    commit(question(1));
    kit_turn();
    kit_crash(CUT_KILL);
    cr_expect_eq(open_now(), 1);
    kit_pass(INTERVAL_MS);
    cr_expect_eq(max_of(HALF_TOPIC), 5, "put again once");
    commit(s);
    expect_refused(end_with(other, "8"), "ended before");
    cr_expect(max_of("T") == 2 && open_now() == 0);
}
Test(transactions, a_power_cut_does_not_lose_what_was_to_be_put_again)
{
    begin();
    kit_turn();
    k.now_ms += 1000; /* the half message is on the medium */
    k.mono_ms += 1000;
    kit_turn();
    kit_turn();
    k.now_ms += INTERVAL_MS;
    k.mono_ms += INTERVAL_MS;
    kit_write_only(); /* put again, and written, but not flushed */
    kit_write_only();
    cr_assert_eq(max_of(HALF_TOPIC), 2);
    offsets_save_if_dirty(k.c.offsets);
    cr_expect(told(HALF_TOPIC) <= 0);
    kit_crash(CUT_LOSE);
    cr_expect(max_of(HALF_TOPIC) == 1 && open_now() == 1);
}
Test(transactions, offsets_beyond_the_queues_are_corrected)
{
    offsets_commit(k.c.offsets, SLICE_LIT(TRANSACTION_GROUP), SLICE_LIT(HALF_TOPIC), 0, 50);
    offsets_commit(k.c.offsets, SLICE_LIT(TRANSACTION_GROUP), SLICE_LIT(OP_TOPIC), 0, 50);
    kit_restart();
    begin();
    kit_pass(1000);
    cr_expect(told(HALF_TOPIC) == 0 && told(OP_TOPIC) == 0);
    kit_restart();
    cr_expect_eq(open_now(), 1);
}
Test(transactions, both_queues_are_done_as_far_as_they_can_be)
{
    struct sent a = begin(), b = begin(), c = begin();
    roll_back(b);
    kit_pass(1000);
    cr_expect(told(HALF_TOPIC) <= 0 && told(OP_TOPIC) <= 0);
    commit(a);
    kit_pass(1000);
    cr_expect(told(HALF_TOPIC) == 2 && told(OP_TOPIC) == 2);
    commit(c);
    kit_pass(1000);
    cr_expect(told(HALF_TOPIC) == 3 && told(OP_TOPIC) == 3);
}
Test(transactions, files_of_other_brokers)
{
    /* an op of 5.x names several; a check of Apache's leaves no first place */
    begin(), begin(), begin(), begin();
    const struct message op = {.topic = SLICE_LIT(OP_TOPIC), .body = SLICE_LIT("0,2"), .properties = SLICE_LIT("TAGS\001d"), .store = k.c.store_host};
    const struct message odd = {.topic = SLICE_LIT(OP_TOPIC), .body = SLICE_LIT("1"), .properties = SLICE_LIT("TAGS\001x"), .store = k.c.store_host};
    struct put_result put;
    cr_assert(message_store_put(k.c.store, &op, 1, k.now_ms, &put) == PUT_OK && message_store_put(k.c.store, &odd, 1, k.now_ms, &put) == PUT_OK);
    kit_turn();
    kit_restart();
    cr_expect_eq(open_now(), 2);
    kit_pass(1000);
    cr_expect_eq(told(HALF_TOPIC), 1);
}

/* ---- any sequence of all that ---- */
enum { STEPS = 40 };
/* Every third commits, every third rolls back, the others commit, but say so only when asked. */
static const char *decision_of(int i) { return i % 3 == 1 ? "12" : "8"; }

static void answer_questions(struct rng *r, bool all)
{
    for (size_t i = 0; i < k.n_calls; i++) {
        struct message m;
        int32_t number = -1;
        cr_assert(message_decode(k.calls[i].cmd.body, true, &m) == MQ_OK && slice_i32(m.body, &number));
        struct sent q = question(i);
        if (all || rng_one_in(r, 2))
            end_send("producers", q.half_off, q.phys_off, decision_of(number), COMMAND_ONEWAY);
        buf_free(&k.calls[i].frame);
        arena_fini(&k.calls[i].arena);
    }
    k.n_calls = 0;
    kit_turn();
}

static void count_messages(int *times, int n)
{
    for (int64_t off = 0; off < max_of("T"); off++) {
        struct buf bytes = {0};
        struct message m;
        int32_t number = -1;
        const struct get_request g = {.topic = SLICE_LIT("T"), .queue_off = off, .max_msgs = 1, .max_bytes = 1, .may_block = true};
        struct get_result got;
        message_store_get(k.c.store, &g, &bytes, &got);
        cr_assert(got.status == GET_FOUND && message_decode(buf_view(&bytes), true, &m) == MQ_OK && slice_i32(m.body, &number));
        cr_assert(number >= 0 && number < n);
        times[number]++;
        buf_free(&bytes);
    }
}

/* how: what a crash leaves. Each transaction ends as its producer decided, and only so. */
static void live(uint64_t seed, const char *settings, enum fake_cut how)
{
    struct rng r = rng_of(seed);
    struct sent sent[STEPS];
    bool said[STEPS] = {false}; /* clients say an end once; what is lost is asked about */
    int times[STEPS] = {0}, n = 0;
    kit_start_with(settings);
    kit_topic("T", 1, 6);
    producer(5, "producers");
    for (int step = 0; step < STEPS; step++) {
        char body[16];
        int what = (int)rng_below(&r, 8), i = n > 0 ? (int)rng_below(&r, (uint32_t)n) : 0;
        if (what < 3 || n == 0) {
            snprintf(body, sizeof body, "%d", n);
            sent[n++] = begin_with(body, HALF_PROPERTIES);
        } else if (what < 5 && i % 3 != 2 && !said[i]) {
            said[i] = true;
            end_send("producers", sent[i].half_off, sent[i].phys_off, decision_of(i), COMMAND_ONEWAY);
            kit_turn();
        } else if (what < 7) {
            kit_pass(INTERVAL_MS);
            answer_questions(&r, false);
        } else {
            if (rng_one_in(&r, 4))
                kit_restart();
            else
                kit_crash(how);
            producer(5, "producers");
        }
    }
    for (int round = 0; round < 5 && open_now() > 0; round++) {
        kit_pass(INTERVAL_MS);
        answer_questions(&r, true);
    }
    cr_assert_eq(open_now(), 0, "seed %" PRIu64, seed);
    count_messages(times, n);
    for (int i = 0; i < n; i++)
        cr_assert(times[i] == (i % 3 != 1), "seed %" PRIu64 ": message %d came %d times", seed, i, times[i]);
    kit_end();
}
Test(transactions, kills_at_any_step_neither_lose_nor_double, .timeout = 120)
{
    for (uint64_t seed = 1; seed <= 60; seed++)
        live(seed, "transactionCheckInterval=10000\ntransactionCheckMax=1000\n", CUT_KILL);
}
Test(transactions, power_cuts_at_any_step_neither_lose_nor_double, .timeout = 120)
{
    for (uint64_t seed = 1; seed <= 60; seed++)
        live(seed, "transactionCheckInterval=10000\ntransactionCheckMax=1000\nflushDiskType=SYNC_FLUSH\n", CUT_LOSE);
}
