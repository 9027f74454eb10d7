/* decisions.c - what the client decides without asking anybody. Shares of queues are those of Apache's own tests and of a run of its
 * 4.9.8 classes on the same lists. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/consumer/allocate.h"
#include "client/consumer/md5.h"
#include "client/consumer/topic_filter.h"
#include "client/core/error.h"
#include "client/core/uniq_id.h"
#include "client/offset/offsets.h"
#include "client/producer/choose.h"
#include "common/protocol/codes.h"

enum { MANY = 64 };
static struct cmq_queue queues[MANY];
static char names[MANY][32];
static const char *members[MANY];

static void make(size_t n_queues, size_t n_members)
{
    for (size_t i = 0; i < n_queues; i++)
        queues[i] = (struct cmq_queue){"topic", "brokerName", (int32_t)i};
    for (size_t i = 0; i < n_members; i++) {
        snprintf(names[i], sizeof names[i], "CID_PREFIX%zu", i);
        members[i] = names[i];
    }
}

static void expect_share(enum allocate_by how, size_t n_queues, size_t n_members, size_t me, const char *ids)
{
    bool mine[MANY];
    char seen[256] = "";
    make(n_queues, n_members);
    cr_assert(allocate_queues(how, members[me], members, n_members, queues, n_queues, mine));
    for (size_t i = 0; i < n_queues; i++)
        if (mine[i])
            snprintf(seen + strlen(seen), sizeof seen - strlen(seen), "%s%zu", seen[0] ? " " : "", i);
    cr_expect_str_eq(seen, ids, "strategy %d, %zu queues, %zu members, member %zu", (int)how, n_queues, n_members, me);
}

Test(allocate, average_gives_runs_and_the_rest_to_the_first_members)
{
    expect_share(ALLOCATE_AVG, 10, 4, 0, "0 1 2"); /* AllocateMessageQueueAveragelyTest: 3, 3, 2, 2 */
    expect_share(ALLOCATE_AVG, 10, 4, 1, "3 4 5");
    expect_share(ALLOCATE_AVG, 10, 4, 2, "6 7");
    expect_share(ALLOCATE_AVG, 10, 4, 3, "8 9");
    expect_share(ALLOCATE_AVG, 3, 5, 2, "2");
    expect_share(ALLOCATE_AVG, 3, 5, 3, "");
    expect_share(ALLOCATE_AVG, 4, 4, 3, "3");
    expect_share(ALLOCATE_AVG, 0, 2, 1, "");
    expect_share(ALLOCATE_AVG, 8, 1, 0, "0 1 2 3 4 5 6 7");
}

Test(allocate, by_circle_deals_like_cards)
{
    expect_share(ALLOCATE_BY_CIRCLE, 10, 4, 0, "0 4 8"); /* AllocateMessageQueueAveragelyByCircleTest */
    expect_share(ALLOCATE_BY_CIRCLE, 10, 4, 1, "1 5 9");
    expect_share(ALLOCATE_BY_CIRCLE, 10, 4, 2, "2 6");
    expect_share(ALLOCATE_BY_CIRCLE, 10, 4, 3, "3 7");
    expect_share(ALLOCATE_BY_CIRCLE, 2, 4, 3, "");
}

Test(allocate, consistent_hashing_agrees_with_apaches_client)
{
    static const char *const ids[] = {"192.0.2.1@100#1", "192.0.2.1@200#2", "192.0.2.2@100#3"};
    static const int owner[12] = {1, 2, 2, 0, 1, 1, 0, 0, 0, 2, 1, 0}; /* AllocateMessageQueueConsistentHash of 4.9.8 */
    bool mine[12];
    for (int i = 0; i < 12; i++)
        queues[i] = (struct cmq_queue){"topic_test", i < 6 ? "broker-a" : "broker-b", i % 6};
    for (int m = 0; m < 3; m++) {
        cr_assert(allocate_queues(ALLOCATE_CONSISTENT_HASH, ids[m], ids, 3, queues, 12, mine));
        for (int i = 0; i < 12; i++)
            cr_expect(mine[i] == (owner[i] == m), "queue %d, member %d", i, m);
    }
}

Test(allocate, who_is_no_member_gets_nothing)
{
    bool mine[10];
    make(10, 4);
    for (int how = ALLOCATE_AVG; how <= ALLOCATE_CONSISTENT_HASH; how++) {
        memset(mine, true, sizeof mine);
        cr_expect(!allocate_queues((enum allocate_by)how, "another", members, 4, queues, 10, mine));
        for (int i = 0; i < 10; i++)
            cr_expect(!mine[i]);
    }
}

Test(allocate, every_queue_has_exactly_one_owner)
{
    bool mine[MANY];
    for (int how = ALLOCATE_AVG; how <= ALLOCATE_CONSISTENT_HASH; how++)
        for (size_t q = 0; q < 20; q++)
            for (size_t n = 1; n < 20; n++) {
                int owners[MANY] = {0};
                make(q, n);
                for (size_t me = 0; me < n; me++) {
                    cr_assert(allocate_queues((enum allocate_by)how, members[me], members, n, queues, q, mine));
                    for (size_t i = 0; i < q; i++)
                        owners[i] += mine[i];
                }
                for (size_t i = 0; i < q; i++)
                    cr_expect(owners[i] == 1, "strategy %d, queue %zu of %zu, %zu members", how, i, q, n);
            }
}

Test(md5, gives_the_digests_of_rfc_1321)
{
    static const struct {
        const char *text, *digest;
    } known[] = {{"", "d41d8cd98f00b204e9800998ecf8427e"},
                 {"a", "0cc175b9c0f1b6a831c399e269772661"},
                 {"message digest", "f96b697d7cb7938d525a2f31aaf161d0"},
                 {"abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b"},
                 {"12345678901234567890123456789012345678901234567890123456789012345678901234567890", "57edf4a22be3c955ac49da2e2107b67a"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        uint8_t d[16];
        char hex[33];
        md5(slice_str(known[i].text), d);
        for (int j = 0; j < 16; j++)
            snprintf(hex + j * 2, 3, "%02x", d[j]);
        cr_expect_str_eq(hex, known[i].digest, "of %s", known[i].text);
    }
}

static bool is_b(void *arg, const char *broker) { return (void)arg, strcmp(broker, "b") == 0; }

Test(choose, queues_take_turns_around_the_broker_that_failed)
{
    const struct cmq_queue q[] = {{"t", "a", 0}, {"t", "a", 1}, {"t", "b", 0}, {"t", "c", 0}};
    for (uint32_t turn = 0; turn < 8; turn++)
        cr_expect(choose_queue(q, 4, turn, NULL, NULL, NULL) == turn % 4);
    cr_expect(choose_queue(q, 4, 0, "a", NULL, NULL) == 2, "the first that is not of a");
    cr_expect(choose_queue(q, 4, 0, "a", is_b, NULL) == 3, "b is in trouble, too");
    cr_expect(choose_queue(q, 3, 0, "a", is_b, NULL) == 2, "b is better than what just failed");
    cr_expect(choose_queue(q, 2, 1, "a", NULL, NULL) == 1, "the only broker gets another chance");
    cr_expect(choose_queue(q, 4, UINT32_MAX, NULL, NULL, NULL) == UINT32_MAX % 4);
    cr_expect(choose_queue(q, 0, 7, "a", NULL, NULL) == 0);
}

Test(choose, by_hash_is_javas_hash_of_the_text)
{
    char negative[] = "polygenelubricants"; /* its hashCode() is Integer.MIN_VALUE */
    char order[] = "order-1";               /* "order-1".hashCode() == -1207111310 */
    cr_expect(cmq_select_by_hash(negative, NULL, queues, 10) == 8, "|-2147483648 %% 10|");
    cr_expect(cmq_select_by_hash(order, NULL, queues, 4) == cmq_select_by_hash(order, NULL, queues, 4));
    cr_expect(cmq_select_by_hash(order, NULL, queues, 1) == 0);
}

Test(offsets, a_new_group_begins_where_it_is_told)
{
    cr_expect(consume_from(FROM_LAST, false) == BEGIN_MAX);
    cr_expect(consume_from(FROM_FIRST, false) == BEGIN_ZERO);
    cr_expect(consume_from(FROM_TIMESTAMP, false) == BEGIN_BY_TIME);
    for (int where = FROM_LAST; where <= FROM_TIMESTAMP; where++)
        cr_expect(consume_from((enum from_where)where, true) == BEGIN_ZERO, "what waits in a retry topic is never passed over");
}

Test(offsets, a_timestamp_is_local_time_or_half_an_hour_ago)
{
    int64_t at = 0;
    setenv("TZ", "UTC", 1);
    tzset();
    cr_expect(consume_timestamp("20240229123456", 0, &at) && at == 1709210096000);
    cr_expect(consume_timestamp("", 10000000, &at) && at == 10000000 - 1800000);
    static const char *const bad[] = {"2024", "20241301000000", "2024-02-29 1234", "202402291234567", "19000101000000"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect(!consume_timestamp(bad[i], 0, &at), "%s", bad[i]);
}

Test(errors, tell_whether_to_try_again)
{
    static const int32_t again[] = {1, 2, 14, 16, 17, 204, 205, 1500}, never[] = {0, 3, 13, 24, 26, 29};
    for (size_t i = 0; i < sizeof again / sizeof *again; i++)
        cr_expect(send_code_is_retriable(again[i]), "%d", again[i]);
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        cr_expect(!send_code_is_retriable(never[i]), "%d", never[i]);
    cr_expect(code_of_answer(RES_SUCCESS) == CMQ_OK && code_of_answer(RES_TOPIC_NOT_EXIST) == CMQ_ERR_NOT_FOUND);
    cr_expect(code_of_answer(RES_MESSAGE_ILLEGAL) == CMQ_ERR_ARGUMENT && code_of_answer(RES_SYSTEM_BUSY) == CMQ_ERR_REFUSED);

    struct cmq_error err;
    struct command answer = {.code = 2, .remark = SLICE_LIT("[PC_SYNCHRONIZED]broker busy")};
    cr_expect(error_of_answer(&err, &answer, "send") == CMQ_ERR_REFUSED && err.server_code == 2 && err.retriable && !err.fatal);
    cr_expect_str_eq(err.remark, "[PC_SYNCHRONIZED]broker busy");
    cr_expect(error_of_answer(NULL, &answer, "send") == CMQ_ERR_REFUSED);
    cr_expect(error_set(&err, CMQ_ERR_STATE, "stopped") == CMQ_ERR_STATE && err.fatal && !err.retriable && err.server_code == -1);
    cr_expect(error_of_call(&err, MQ_EIO, NULL, "send") == CMQ_ERR_UNREACHABLE && err.retriable);
    cr_expect(error_of_call(&err, MQ_ETIMEOUT, NULL, "send") == CMQ_ERR_TIMEOUT);
    cr_expect_str_eq(cmq_code_name(CMQ_ERR_TIMEOUT), "CMQ_ERR_TIMEOUT");
    cr_expect_str_eq(cmq_code_name((enum cmq_code)99), "CMQ_ERR_?");
}

Test(subscription, tags_are_read_and_matched_as_texts)
{
    struct topic_filter s;
    struct fault why = {0};
    cr_assert(topic_filter_init(&s, "t", " a || b||c d ", 7, &why) == MQ_OK, "%s", why.what);
    cr_expect(s.n_tags == 3 && slice_is(s.tags[0], "a") && slice_is(s.tags[1], "b") && slice_is(s.tags[2], "c d"));
    cr_expect(topic_filter_wants(&s, "b") && !topic_filter_wants(&s, "") && !topic_filter_wants(&s, "ab"));
    struct buf out = {0};
    struct jw w = jw_over(&out, false);
    topic_filter_json(&s, &w);
    cr_expect(slice_is(buf_view(&out), "{\"classFilterMode\":false,\"codeSet\":[97,98,96231],\"expressionType\":\"TAG\",\"subString\":\"a || b||c d\","
                                       "\"subVersion\":7,\"tagsSet\":[\"a\",\"b\",\"c d\"],\"topic\":\"t\"}"),
              "%.*s", SLICE_ARG(buf_view(&out)));
    buf_free(&out);
    topic_filter_fini(&s);
    static const char *const all[] = {NULL, "", "  ", "*"};
    for (size_t i = 0; i < 4; i++) {
        cr_assert(topic_filter_init(&s, "t", all[i], 0, NULL) == MQ_OK);
        cr_expect(s.n_tags == 0 && topic_filter_wants(&s, "x"));
        cr_expect_str_eq(s.expression, "*");
        topic_filter_fini(&s);
    }
    static const char *const bad[] = {"a||", "||a", "a | b", "a || || b", "a|||b"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect(topic_filter_init(&s, "t", bad[i], 0, &why) == MQ_EINVAL, "%s", bad[i]);
}

Test(subscription, an_sql_expression_is_compiled_and_told_as_such)
{
    struct topic_filter s;
    struct fault why = {0};
    cr_assert(topic_filter_init_sql(&s, "t", "a > 5 AND b = 'x'", 7, &why) == MQ_OK, "%s", why.what);
    struct buf out = {0};
    struct jw w = jw_over(&out, false);
    topic_filter_json(&s, &w);
    cr_expect(slice_is(buf_view(&out), "{\"classFilterMode\":false,\"codeSet\":[],\"expressionType\":\"SQL92\",\"subString\":\"a > 5 AND b = 'x'\","
                                       "\"subVersion\":7,\"tagsSet\":[],\"topic\":\"t\"}"),
              "%.*s", SLICE_ARG(buf_view(&out)));
    cr_expect(topic_filter_wants(&s, "any tag"));
    buf_free(&out);
    topic_filter_fini(&s);
    cr_expect(topic_filter_init_sql(&s, "t", "a >", 7, &why) == MQ_EINVAL);
    cr_expect_str_eq(why.what, "SQL92 expression: at the end: a value expected");
    cr_expect(topic_filter_init_sql(&s, "t", NULL, 7, &why) == MQ_EINVAL);
}

Test(uniq_id, has_apaches_layout)
{
    char id[UNIQ_ID_MAX];
    struct uniq_origin o = {.ip = {192, 0, 2, 1}, .pid = 0x1234, .salt = 0x14ae5a2b};
    uniq_id_format(&o, 0x01020304, 0xfffe, id);
    cr_expect_str_eq(id, "C0000201" "1234" "14AE5A2B" "01020304" "FFFE");
    o.v6 = true;
    o.ip[15] = 1;
    uniq_id_format(&o, 1, 2, id);
    cr_expect(strlen(id) == 56);
}

static int by_text(const void *a, const void *b) { return strcmp(a, b); }

Test(uniq_id, two_of_them_are_never_the_same)
{
    enum { N = 50000 };
    char(*ids)[UNIQ_ID_MAX] = malloc((size_t)N * UNIQ_ID_MAX);
    cr_assert(ids != NULL);
    for (int i = 0; i < N; i++)
        uniq_id_next(ids[i]);
    qsort(ids, N, UNIQ_ID_MAX, by_text);
    for (int i = 1; i < N; i++)
        cr_assert(strcmp(ids[i - 1], ids[i]) != 0, "%s twice", ids[i]);
    free(ids);
}
