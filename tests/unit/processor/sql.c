/* sql.c - pulls by SQL92 expression: brought along or from the heartbeat, the codes of what is wrong, parking, long scans, retry topics, and 46. */
#include <stdio.h>
#include <string.h>
#include "tests/unit/processor/kit.h"

static void start(void) { kit_start_with("enablePropertyFilter=true\n"); }
TestSuite(sql, .init = start, .fini = kit_end);

static struct answer *pull(const char *topic, const char *off, const char *flags, const char *type, const char *expression, const char *version)
{
    return kit_send(REQ_PULL_MESSAGE, 0, (struct slice){0},
                    (const char *const[]){"consumerGroup", "g", "topic", topic, "queueId", "0", "queueOffset", off, "maxMsgNums", "32", "sysFlag", flags,
                                          "commitOffset", "0", "suspendTimeoutMillis", "15000", "subscription", expression, "subVersion", version,
                                          "expressionType", type, NULL});
}
static struct answer *own(const char *off, const char *expression) { return pull("T", off, "4", "SQL92", expression, "0"); }
static struct answer *parked(const char *expression) { return pull("T", "0", "6", "SQL92", expression, "0"); }
/* As Go sends it: the type is TAG, and the expression stays away; the heartbeat has it. */
static struct answer *by_session(const char *version) { return pull("T", "0", "2", "TAG", "", version); }

static void fill(int n)
{
    for (int i = 0; i < n; i++) {
        char body[16], props[64];
        snprintf(body, sizeof body, "m%d", i);
        snprintf(props, sizeof props, "a\1%d\2b\1%s\2", i, i % 2 ? "odd" : "even");
        ASSERT_CODE(kit_put("T", 0, body, props), RES_SUCCESS);
    }
}

static void expect_bodies(const struct answer *a, const char *want)
{
    struct message m[32];
    char got[400] = "";
    ASSERT_CODE(a, RES_SUCCESS);
    size_t n = kit_records(a, m, 32);
    for (size_t i = 0; i < n; i++)
        snprintf(got + strlen(got), sizeof got - strlen(got), "%.*s ", SLICE_ARG(m[i].body));
    cr_expect_str_eq(got, want);
}

static void beat(const char *topic, const char *type, const char *expression, int version)
{
    char body[1000];
    snprintf(body, sizeof body,
             "{\"clientID\":\"c1\",\"consumerDataSet\":[{\"groupName\":\"g\",\"subscriptionDataSet\":[{\"topic\":\"%s\",\"expressionType\":\"%s\","
             "\"subString\":\"%s\",\"subVersion\":%d}]}],\"producerDataSet\":[]}",
             topic, type, expression, version);
    kit_heartbeat(KIT_CONN, body);
}

/* ---- what comes ---- */
Test(sql, only_messages_that_satisfy_the_expression_come)
{
    fill(8);
    const struct answer *a = own("0", "a > 2 AND b = 'odd'");
    expect_bodies(a, "m3 m5 m7 ");
    cr_expect_eq(ext_i64(a, "nextBeginOffset"), 8);
    expect_bodies(own("0", "a IN ('0', '6')"), "m0 m6 ");
    a = own("2", "a > 100");
    EXPECT_CODE(a, RES_PULL_RETRY_IMMEDIATELY);
    cr_expect_str_eq(a->remark, "NO_MATCHED_MESSAGE");
    cr_expect_eq(ext_i64(a, "nextBeginOffset"), 8);
    EXPECT_CODE(own("0", "none > 5"), RES_PULL_RETRY_IMMEDIATELY); /* null */
    EXPECT_CODE(own("0", "b > 5"), RES_PULL_RETRY_IMMEDIATELY);    /* an exception */
    cr_expect_eq(expressions_count(k.c.expressions), 5);
}

Test(sql, a_heartbeats_expression_counts_when_the_pull_brings_none)
{
    fill(4);
    beat("T", "SQL92", "b = 'odd'", 7);
    expect_bodies(by_session("7"), "m1 m3 ");
    beat("T", "SQL92", "b = 'even'", 8);
    expect_bodies(by_session("8"), "m0 m2 ");
    beat("T", "TAG", "*", 9);
    expect_bodies(by_session("9"), "m0 m1 m2 m3 ");
}

Test(sql, a_selective_filter_moves_on)
{
    struct message m = {.topic = SLICE_LIT("T"), .properties = SLICE_LIT("a\1-1\2"), .born = k.c.store_host, .store = k.c.store_host};
    struct put_result put;
    fill(10);
    for (int i = 0; i < 900; i++)
        cr_assert(message_store_put(k.c.store, &m, 1, k.now_ms, &put) == PUT_OK);
    kit_turn();
    const struct answer *a = own("1", "a = 0");
    EXPECT_CODE(a, RES_PULL_RETRY_IMMEDIATELY);
    cr_expect_eq(ext_i64(a, "nextBeginOffset"), 801, "16,000 bytes of units are looked at");
    a = own("801", "a = 0");
    EXPECT_CODE(a, RES_PULL_RETRY_IMMEDIATELY);
    cr_expect_eq(ext_i64(a, "nextBeginOffset"), 910);
}

/* ---- what is refused ---- */
Test(sql, each_thing_that_is_wrong_has_apaches_code)
{
    fill(2);
    const struct answer *a = own("0", "a >");
    EXPECT_CODE(a, RES_SUBSCRIPTION_PARSE_FAILED);
    EXPECT_WORDS(a, "parse the consumer's subscription failed: at the end: a value expected");
    EXPECT_CODE(own("0", ""), RES_SUBSCRIPTION_PARSE_FAILED);
    EXPECT_CODE(pull("T", "0", "4", "XPATH", "a > 5", "0"), RES_SUBSCRIPTION_PARSE_FAILED);
    EXPECT_CODE(by_session("0"), RES_SUBSCRIPTION_NOT_EXIST);
    beat("T", "SQL92", "a >", 5);
    a = by_session("5");
    EXPECT_CODE(a, RES_FILTER_DATA_NOT_EXIST);
    EXPECT_WORDS(a, "Your expression may be wrong!");
    beat("T", "SQL92", "a > 0", 6);
    expect_bodies(by_session("6"), "m1 ");
    EXPECT_CODE(by_session("7"), RES_SUBSCRIPTION_NOT_LATEST);
    struct hash_node *n = hashmap_get(&sessions_consumers(k.c.sessions, SLICE_LIT("g"))->subscriptions, SLICE_LIT("T"));
    CONTAINER_OF(n, struct subscription, node)->version = 7; /* the session was newer than the filter */
    EXPECT_CODE(by_session("7"), RES_FILTER_DATA_NOT_LATEST);
}

Test(sql, without_enable_property_filter_nothing_is_filtered_by_expression)
{
    kit_start_with(NULL);
    fill(2);
    const struct answer *a = own("0", "a > 0");
    EXPECT_CODE(a, RES_SYSTEM_ERROR);
    EXPECT_WORDS(a, "The broker does not support consumer to filter message by SQL92");
    EXPECT_CODE(own("0", "a >"), RES_SYSTEM_ERROR);
    EXPECT_CODE(own("0", ""), RES_SUBSCRIPTION_PARSE_FAILED);
    beat("T", "SQL92", "a > 0", 6);
    EXPECT_CODE(by_session("6"), RES_SYSTEM_ERROR);
    k.config.enable_property_filter = true;
    expect_bodies(by_session("6"), "m1 ");
}

static const struct answer *check(const char *type, const char *expression)
{
    char body[400];
    snprintf(body, sizeof body, "{\"clientId\":\"c\",\"group\":\"g\",\"subscriptionData\":{\"topic\":\"T\",\"expressionType\":\"%s\",\"subString\":\"%s\"}}",
             type, expression);
    return ASK_BODY(REQ_CHECK_CLIENT_CONFIG, slice_str(body));
}

Test(sql, consumers_ask_before_they_start)
{
    EXPECT_CODE(check("SQL92", "a > 5"), RES_SUCCESS);
    EXPECT_CODE(check("TAG", "||"), RES_SUCCESS);
    const struct answer *a = check("SQL92", "a BETWEEN 5 AND 3");
    EXPECT_CODE(a, RES_SUBSCRIPTION_PARSE_FAILED);
    EXPECT_WORDS(a, "the lower bound of BETWEEN is above the upper one");
    EXPECT_CODE(check("SQL92", ""), RES_SUBSCRIPTION_PARSE_FAILED);
    EXPECT_CODE(check("XPATH", "a > 5"), RES_SUBSCRIPTION_PARSE_FAILED);
}

/* ---- parked ---- */
Test(sql, only_a_message_that_satisfies_it_wakes_a_parked_pull)
{
    kit_topic("T", 1, 6);
    struct answer *a = parked("a > 5");
    kit_put("T", 0, "m0", "a\1" "3\2");
    kit_put("T", 0, "m1", NULL);
    kit_put("T", 0, "m2", "a\1x\2");
    cr_expect(!a->came);
    kit_put("T", 0, "m3", "a\1" "7\2");
    cr_assert(a->came && a->times == 1);
    expect_bodies(a, "m3 ");
    cr_expect_eq(ext_i64(a, "nextBeginOffset"), 4);
}

Test(sql, a_parked_pull_keeps_its_expression_when_others_push_it_out)
{
    kit_topic("T", 1, 6);
    struct answer *a = parked("a > 5"), *b;
    beat("T", "SQL92", "a = 9", 3);
    b = by_session("3");
    for (int i = 0; i <= EXPRESSIONS_MAX; i++) {
        char text[40];
        snprintf(text, sizeof text, "a = %d", i);
        expressions_get(k.c.expressions, slice_str(text), NULL);
    }
    beat("T", "SQL92", "a = 10", 4); /* the old one is gone, and b still parked for it */
    kit_put("T", 0, "m0", "a\1" "7\2");
    cr_expect(a->came && !b->came);
    expect_bodies(a, "m0 ");
    kit_put("T", 0, "m1", "a\1" "9\2");
    cr_assert(b->came);
    EXPECT_CODE(b, RES_PULL_RETRY_IMMEDIATELY); /* its run asks for the filter anew */
    cr_expect_eq(ext_i64(b, "nextBeginOffset"), 2);
}

Test(sql, at_its_deadline_a_parked_pull_learns_how_far_it_may_go)
{
    kit_topic("T", 1, 6);
    struct answer *a = parked("a > 5");
    kit_put("T", 0, "m0", "a\1" "3\2");
    kit_pass(15000);
    cr_assert(a->came);
    EXPECT_CODE(a, RES_PULL_RETRY_IMMEDIATELY);
    cr_expect_eq(ext_i64(a, "nextBeginOffset"), 1);
}

/* ---- retry topics ---- */
static void fill_retry(void)
{
    kit_topic("%RETRY%g", 1, 6);
    beat("T", "SQL92", "a > 5", 3);
    kit_put("%RETRY%g", 0, "m0", "a\1" "3\2RETRY_TOPIC\1T\2");
    kit_put("%RETRY%g", 0, "m1", "a\1" "7\2RETRY_TOPIC\1T\2");
    kit_put("%RETRY%g", 0, "m2", "a\1" "3\2RETRY_TOPIC\1U\2");
    kit_put("%RETRY%g", 0, "m3", "a\1" "3\2");
}
static struct answer *pull_retry(const char *off, const char *flags) { return pull("%RETRY%g", off, flags, "TAG", "*", "0"); }

Test(sql, a_retry_topic_is_not_judged_unless_that_is_wanted)
{
    fill_retry();
    expect_bodies(pull_retry("0", "4"), "m0 m1 m2 m3 ");
    k.config.filter_support_retry = true;
    expect_bodies(pull_retry("0", "4"), "m1 m2 m3 "); /* of which no filter is known, those come */
    struct answer *a = pull_retry("4", "6");
    kit_put("%RETRY%g", 0, "m4", "a\1" "4\2RETRY_TOPIC\1T\2");
    cr_expect(!a->came);
    kit_put("%RETRY%g", 0, "m5", "a\1" "8\2RETRY_TOPIC\1T\2");
    cr_assert(a->came);
    expect_bodies(a, "m5 ");
}
