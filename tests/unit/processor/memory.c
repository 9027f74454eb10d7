/* memory.c - a broker whose memory is short: what stays is not begun any more, then no work is; what is there goes on. */
#include "tests/unit/processor/kit.h"

static struct budget budget;
static void no_growth(void) { budget.limit = mem_used() / 92 * 100; }
static void no_work(void) { budget.limit = 1; }
static void plenty(void) { budget.limit = 0; }

static void start(void)
{
    kit_start();
    kit_topic("T", 4, 6);
    plenty();
    k.c.budget = &budget;
    ASSERT_CODE(kit_put("T", 0, "one", NULL), RES_SUCCESS);
    ASSERT_CODE(kit_pull("T", 0, 0, "*"), RES_SUCCESS); /* its group is known now */
}
TestSuite(memory, .init = start, .fini = kit_end);

static void expect_refused(const struct answer *a, const char *what)
{
    EXPECT_CODE(a, RES_SYSTEM_BUSY);
    EXPECT_WORDS(a, what);
    EXPECT_WORDS(a, "memoryLimit reached: ");
}

static const struct answer *create(const char *name)
{
    return ASK(REQ_UPDATE_AND_CREATE_TOPIC, "topic", name, "readQueueNums", "2", "writeQueueNums", "2", "perm", "6", "topicFilterType", "SINGLE_TAG",
               "order", "false");
}

Test(memory, new_topics_and_groups_are_refused_and_known_ones_go_on)
{
    no_growth();
    expect_refused(create("New"), "a new topic is refused");
    expect_refused(kit_put("AlsoNew", 0, "x", NULL), "a new topic is refused");
    cr_expect(topics_find(k.c.topics, SLICE_LIT("New")) == NULL && topics_find(k.c.topics, SLICE_LIT("AlsoNew")) == NULL);
    expect_refused(ASK_BODY(REQ_UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, SLICE_LIT("{\"groupName\":\"newgroup\"}")), "a new group is refused");
    expect_refused(ASK(REQ_GET_SUBSCRIPTIONGROUP_CONFIG, "group", "newgroup"), "a new group is refused");
    expect_refused(kit_put("%RETRY%newgroup", 0, "x", NULL), "refused");
    cr_expect(groups_find(k.c.groups, SLICE_LIT("newgroup")) == NULL);
    EXPECT_CODE(create("T"), RES_SUCCESS);
    EXPECT_CODE(kit_put("T", 0, "two", NULL), RES_SUCCESS);
    EXPECT_CODE(kit_pull("T", 0, 1, "*"), RES_SUCCESS);
    plenty();
    EXPECT_CODE(create("New"), RES_SUCCESS);
    EXPECT_CODE(kit_put("AlsoNew", 0, "x", NULL), RES_SUCCESS);
}

Test(memory, a_pull_of_a_new_group_is_refused)
{
    no_growth();
    const struct answer *a = ASK(REQ_PULL_MESSAGE, "consumerGroup", "another", "topic", "T", "queueId", "0", "queueOffset", "0", "maxMsgNums", "32",
                                 "sysFlag", "4", "commitOffset", "0", "suspendTimeoutMillis", "0", "subscription", "*", "subVersion", "0");
    expect_refused(a, "a new group is refused");
}

Test(memory, sends_are_refused_and_what_is_stored_is_read)
{
    no_work();
    const struct answer *a = kit_put("T", 0, "two", NULL);
    expect_refused(a, "a send is refused");
    EXPECT_TEXT(ext(a, "MSG_REGION"), "DefaultRegion");
    EXPECT_CODE(kit_pull("T", 0, 0, "*"), RES_SUCCESS);
    plenty();
    EXPECT_CODE(kit_put("T", 0, "two", NULL), RES_SUCCESS);
}

Test(memory, an_answer_to_a_pull_carries_less)
{
    static char body[10001];
    struct message m[4];
    memset(body, 'x', sizeof body - 1);
    for (int i = 0; i < 3; i++)
        ASSERT_CODE(kit_put("T", 1, body, NULL), RES_SUCCESS);
    const struct answer *a = kit_pull("T", 1, 0, "*");
    cr_expect_eq(kit_records(a, m, 4), 3);
    no_work();
    a = kit_pull("T", 1, 0, "*");
    ASSERT_CODE(a, RES_SUCCESS);
    cr_expect_eq(kit_records(a, m, 4), 1);
}

static struct answer *waiting_pull(void)
{
    return kit_send(REQ_PULL_MESSAGE, 0, (struct slice){0},
                    (const char *const[]){"consumerGroup", "waiting", "topic", "T", "queueId", "2", "queueOffset", "0", "maxMsgNums", "32", "sysFlag", "6",
                                          "commitOffset", "0", "suspendTimeoutMillis", "15000", "subscription", "*", "subVersion", "0", NULL});
}

Test(memory, a_pull_that_would_wait_is_refused_and_those_that_wait_are_answered)
{
    struct answer *early = waiting_pull();
    cr_assert(!early->came);
    no_work();
    const struct answer *late = waiting_pull();
    cr_assert(late->came);
    expect_refused(late, "a pull that would wait is refused");
    cr_expect(!early->came);
    kit_pass(15001);
    cr_assert(early->came);
    EXPECT_CODE(early, RES_PULL_NOT_FOUND);
}

Test(memory, figures_are_in_the_runtime_information)
{
    budget.limit = 123456789;
    const struct answer *a = ASK(REQ_GET_BROKER_RUNTIME_INFO);
    ASSERT_CODE(a, RES_SUCCESS);
    json_t *root = body_json(a), *table = json_object_get(root, "table");
    cr_expect_str_eq(json_string_value(json_object_get(table, "memoryLimit")), "123456789");
    cr_expect(atoll(json_string_value(json_object_get(table, "memoryUsed"))) > 10000);
    json_decref(root);
}
