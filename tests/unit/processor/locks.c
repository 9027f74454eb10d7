/* locks.c - the locks of ordered consumption over the wire: 41 42, and what ends them: 35, a closed connection, silence. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/processor/kit.h"

TestSuite(locks, .init = kit_start, .fini = kit_end);

#define QUEUE(id) "{\"brokerName\":\"broker-a\",\"queueId\":" #id ",\"topic\":\"T\"}"
#define WANT(client, queues) SLICE_LIT("{\"clientId\":\"" client "\",\"consumerGroup\":\"g\",\"mqSet\":[" queues "]}")
#define CONSUMER(id) SLICE_LIT("{\"clientID\":\"" id "\",\"consumerDataSet\":[{\"groupName\":\"g\",\"consumeType\":\"CONSUME_PASSIVELY\",\"messageModel\":" \
    "\"CLUSTERING\",\"consumeFromWhere\":\"CONSUME_FROM_FIRST_OFFSET\",\"subscriptionDataSet\":[]}],\"producerDataSet\":[]}")

/* Whether 41 gave what it was asked for. */
static bool lock(struct slice body, const char *given)
{
    char want[512];
    const struct answer *a = ASK_BODY(REQ_LOCK_BATCH_MQ, body);
    ASSERT_CODE(a, RES_SUCCESS);
    snprintf(want, sizeof want, "{\"lockOKMQSet\":[%s]}", given);
    return slice_is(a->cmd.body, want);
}

Test(locks, the_answer_names_the_queues_that_were_given)
{
    cr_expect(lock(WANT("a", QUEUE(0) "," QUEUE(1)), QUEUE(0) "," QUEUE(1)));
    cr_expect(lock(WANT("b", QUEUE(1) "," QUEUE(2)), QUEUE(2)), "1 is another's");
    cr_expect(lock(WANT("b", QUEUE(0)), ""), "none is no error");
    cr_expect(lock(WANT("a", ""), ""));
    cr_expect(lock(SLICE_LIT("{\"clientId\":\"c\",\"consumerGroup\":\"g\",\"mqSet\":[{\"topic\":\"T\",\"queueId\":7,\"brokerName\":\"other\"}]}"),
                   "{\"brokerName\":\"other\",\"queueId\":7,\"topic\":\"T\"}"), "in the asker's words");
}

Test(locks, a_queue_given_back_is_anothers)
{
    cr_assert(lock(WANT("a", QUEUE(0) "," QUEUE(1)), QUEUE(0) "," QUEUE(1)));
    ASSERT_CODE(ASK_BODY(REQ_UNLOCK_BATCH_MQ, WANT("b", QUEUE(0))), RES_SUCCESS);
    cr_expect(lock(WANT("b", QUEUE(0)), ""), "it was not his to give");
    const struct answer *a = ASK_BODY(REQ_UNLOCK_BATCH_MQ, WANT("a", QUEUE(0)));
    ASSERT_CODE(a, RES_SUCCESS);
    cr_expect_eq(a->cmd.body.n, 0);
    cr_expect(lock(WANT("b", QUEUE(0) "," QUEUE(1)), QUEUE(0)));
}

Test(locks, a_oneway_unlock_is_as_good)
{
    cr_assert(lock(WANT("a", QUEUE(0)), QUEUE(0)));
    const struct answer *a = kit_send(REQ_UNLOCK_BATCH_MQ, COMMAND_ONEWAY, WANT("a", QUEUE(0)), NULL);
    cr_expect(!a->came);
    cr_expect(lock(WANT("b", QUEUE(0)), QUEUE(0)));
}

Test(locks, who_leaves_the_group_leaves_its_queues)
{
    kit_heartbeat(5, (const char *)CONSUMER("a").p);
    cr_assert(lock(WANT("a", QUEUE(0)), QUEUE(0)));
    ASSERT_CODE(ASK(REQ_UNREGISTER_CLIENT, "clientID", "a", "producerGroup", "p"), RES_SUCCESS);
    cr_expect(lock(WANT("b", QUEUE(0)), ""), "it left another group");
    ASSERT_CODE(ASK(REQ_UNREGISTER_CLIENT, "clientID", "a", "consumerGroup", "g"), RES_SUCCESS);
    cr_expect(lock(WANT("b", QUEUE(0)), QUEUE(0)));
}

Test(locks, a_closed_connection_shortens_the_wait_and_no_more)
{
    kit_heartbeat(5, (const char *)CONSUMER("a").p);
    kit_heartbeat(6, (const char *)CONSUMER("b").p);
    cr_assert(lock(WANT("a", QUEUE(0)), QUEUE(0)));
    kit_close(5);
    kit_pass(LOCK_BELIEVED_MS);
    cr_expect(lock(WANT("b", QUEUE(0)), ""), "its process may live and believe");
    kit_pass(LOCK_GONE_MS - LOCK_BELIEVED_MS + 1);
    cr_expect(lock(WANT("b", QUEUE(0)), QUEUE(0)));
    kit_pass(LOCK_GONE_MS + 1);
    cr_expect(lock(WANT("a", QUEUE(0)), ""), "b is here: a minute");
    kit_pass(LOCK_LIVE_MS - LOCK_GONE_MS);
    cr_expect(lock(WANT("a", QUEUE(0)), QUEUE(0)));
}

Test(locks, the_answer_waits_for_the_disk_once)
{
    const struct answer *a = kit_send(REQ_LOCK_BATCH_MQ, 0, WANT("a", QUEUE(0)), NULL);
    kit_write_only();
    cr_expect(!a->came);
    kit_turn();
    cr_assert(a->came && a->code == RES_SUCCESS);
    a = kit_send(REQ_LOCK_BATCH_MQ, 0, WANT("a", QUEUE(0)), NULL);
    cr_expect(a->came, "a renewal changes nothing");
}

Test(locks, a_broken_disk_gives_no_new_owner)
{
    cr_assert(lock(WANT("a", QUEUE(0)), QUEUE(0)));
    fake_disk_fail(k.disk, FAKE_RENAME, 1, -EIO, false);
    const struct answer *a = ASK_BODY(REQ_LOCK_BATCH_MQ, WANT("a", QUEUE(1)));
    EXPECT_CODE(a, RES_SYSTEM_ERROR);
    EXPECT_WORDS(a, "disk");
    cr_expect(lock(WANT("a", QUEUE(0)), QUEUE(0)), "old ones are renewed");
    cr_expect(lock(WANT("a", QUEUE(0) "," QUEUE(1)), QUEUE(0) "," QUEUE(1)), "and the disk is well again");
}

Test(locks, memory_that_is_short_gives_no_new_ones)
{
    struct budget budget = {.limit = UINT64_MAX};
    k.c.budget = &budget;
    cr_assert(lock(WANT("a", QUEUE(0)), QUEUE(0)));
    budget.limit = 1;
    cr_expect(lock(WANT("a", QUEUE(0) "," QUEUE(1)), QUEUE(0)));
    k.c.budget = NULL;
}

Test(locks, what_is_no_request_is_refused_and_changes_nothing)
{
    static const char *const bad[] = {"", "[]", "{}", "{\"clientId\":\"a\"}", "{\"clientId\":\"a\",\"consumerGroup\":\"g\",\"mqSet\":[{\"queueId\":0}]}",
                                      "{\"clientId\":\"a\",\"consumerGroup\":\"g\",\"mqSet\":[" QUEUE(0) ",{\"queueId\":\"x\",\"topic\":\"T\"}]}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        EXPECT_CODE(ASK_BODY(REQ_LOCK_BATCH_MQ, slice_str(bad[i])), RES_SYSTEM_ERROR);
        EXPECT_CODE(ASK_BODY(REQ_UNLOCK_BATCH_MQ, slice_str(bad[i])), RES_SYSTEM_ERROR);
    }
    cr_expect_eq(queue_locks_count(k.c.locks), 0);
}
