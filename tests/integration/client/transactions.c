/* transactions.c - transactions of libcmq's producers against real brokers: what is decided at once, what is asked about, and what
 * kill -9 of a broker or the end of a producer leaves. */
#include "tests/integration/client/kit.h"

TestSuite(transactions, .timeout = 180);

#define SOON "transactionCheckInterval=500\ntransactionTimeOut=300\n"
#define LATE "transactionCheckInterval=600000\n"

static struct kit start(const char *settings)
{
    struct kit k = kit_start(0);
    cr_assert(cluster_broker(k.cluster, "broker-a", settings));
    make_topic(&k, "T", 2);
    return k;
}

/* Decides by number, and counts what it was asked. */
struct bank {
    enum cmq_transaction_state (*decide)(int number);
    atomic_int calls, times[16384];
    char id[128]; /* of the last message */
};
static enum cmq_transaction_state consult(void *arg, const struct cmq_message *m)
{
    struct bank *b = arg;
    int i = number_in(m);
    snprintf(b->id, sizeof b->id, "%s", cmq_message_id(m));
    if (i >= 0 && i < 16384)
        atomic_fetch_add(&b->times[i], 1);
    atomic_fetch_add(&b->calls, 1);
    return b->decide(i);
}
static enum cmq_transaction_state by_thirds(int i) { return i % 3 == 0 ? CMQ_TRANSACTION_COMMIT : i % 3 == 1 ? CMQ_TRANSACTION_ROLLBACK : CMQ_TRANSACTION_UNKNOWN; }
static enum cmq_transaction_state commits(int i) { return (void)i, CMQ_TRANSACTION_COMMIT; }
static enum cmq_transaction_state rolls_back(int i) { return (void)i, CMQ_TRANSACTION_ROLLBACK; }
static enum cmq_transaction_state does_not_know(int i) { return (void)i, CMQ_TRANSACTION_UNKNOWN; }

static struct cmq_producer *member(struct kit *k, struct bank *checks)
{
    struct cmq_error err;
    struct cmq_config *c = config_of(k, NULL);
    struct cmq_producer *p;
    OK(cmq_config_set(c, "producerGroup", "bank", &err));
    OK(cmq_config_set(c, "heartbeatBrokerInterval", "1000", &err)); /* a broker that was killed knows its producers again before it gives up */
    OK(cmq_producer_new(c, &p, &err));
    cmq_config_free(c);
    if (checks != NULL)
        OK(cmq_producer_on_check(p, consult, checks, &err));
    return p;
}
static void begin(struct cmq_producer *p, struct bank *local, int from, int to)
{
    struct cmq_error err;
    struct cmq_send_result r;
    for (int i = from; i < to; i++) {
        struct cmq_message *m = numbered("T", i);
        OK(cmq_producer_send_in_transaction(p, m, consult, local, &r, &err));
        cr_assert(r.status == CMQ_SEND_OK);
        cr_assert_str_eq(r.msg_id, local->id);
        cmq_message_free(m);
    }
}

Test(transactions, consumers_get_what_was_committed)
{
    struct kit k = start(LATE);
    static struct bank local = {.decide = by_thirds};
    static struct seen seen;
    struct cmq_producer *p = member(&k, NULL);
    struct cmq_consumer *c = consumer_of(config_of(&k, "g"), "T", see_all, &seen);
    begin(p, &local, 0, 30);
    AWAIT(30, atomic_load(&seen.total) == 10);
    nap_ms(300);
    cr_expect(atomic_load(&seen.total) == 10 && atomic_load(&local.calls) == 30);
    for (int i = 0; i < 30; i++)
        cr_expect(atomic_load(&seen.times[i]) == (i % 3 == 0), "number %d came %d times", i, atomic_load(&seen.times[i]));
    cmq_consumer_free(c);
    cmq_producer_free(p);
    kit_end(&k);
}

Test(transactions, what_is_not_known_is_asked_about)
{
    struct kit k = start(SOON);
    static struct bank local = {.decide = does_not_know}, checks = {.decide = by_thirds};
    static struct seen seen;
    struct cmq_producer *p = member(&k, &checks);
    struct cmq_consumer *c = consumer_of(config_of(&k, "g"), "T", see_all, &seen);
    begin(p, &local, 0, 2);
    AWAIT(30, atomic_load(&seen.total) == 1 && atomic_load(&checks.times[1]) == 1);
    cr_expect_eq(atomic_load(&seen.times[0]), 1);
    begin(p, &local, 2, 3); /* stays open: asked again and again, until it is given up */
    AWAIT(30, atomic_load(&checks.times[2]) >= 2);
    cr_expect(atomic_load(&checks.times[0]) == 1 && atomic_load(&checks.times[1]) == 1 && atomic_load(&seen.total) == 1);
    cr_expect_str_eq(checks.id, local.id);
    cmq_consumer_free(c);
    cmq_producer_free(p);
    kit_end(&k);
}

Test(transactions, another_member_of_the_group_answers_for_one_that_is_gone)
{
    struct kit k = start(SOON);
    static struct bank local = {.decide = does_not_know}, checks = {.decide = commits};
    static struct seen seen;
    struct cmq_producer *p = member(&k, NULL);
    begin(p, &local, 0, 5);
    cmq_producer_free(p);
    struct cmq_consumer *c = consumer_of(config_of(&k, "g"), "T", see_all, &seen);
    struct cmq_producer *heir = member(&k, &checks);
    send_numbers(heir, "T", 5, 6); /* now the broker knows it */
    AWAIT(30, atomic_load(&seen.total) == 6);
    expect_each_once(&seen, 0, 6);
    cmq_producer_free(heir);
    cmq_consumer_free(c);
    kit_end(&k);
}

Test(transactions, ten_thousand_open_ones_survive_kill_9)
{
    enum { N = 10000, HERE = 4000 }; /* the consumer counts the first 4,096 one by one */
    struct kit k = start("transactionCheckInterval=1000\ntransactionTimeOut=5000\n");
    static struct bank local = {.decide = does_not_know}, checks = {.decide = commits};
    static struct seen seen;
    struct cmq_producer *p = member(&k, NULL);
    begin(p, &local, 0, N);
    cr_assert(cluster_kill(k.cluster, "broker-a"));
    cmq_producer_free(p);
    cr_assert(cluster_restart(k.cluster, "broker-a"));
    struct cmq_consumer *c = consumer_of(config_of(&k, "g"), "T", see_all, &seen);
    struct cmq_producer *heir = member(&k, &checks);
    send_numbers(heir, "T", N, N + 1); /* now the broker knows it */
    for (int came = 0; came <= N; nap_ms(20)) {
        came = atomic_load(&seen.total);
        cr_assert(came <= atomic_load(&checks.calls) + 1, "nothing half is visible");
    }
    expect_each_once(&seen, 0, HERE);
    cmq_producer_free(heir);
    cmq_consumer_free(c);
    kit_end(&k);
}

/* The broker dies while producers commit: what was committed comes, at least once, and nothing that was rolled back. */
Test(transactions, kill_9_at_any_moment_neither_loses_nor_shows)
{
    enum { ROUNDS = 4, EACH = 300 };
    struct kit k = start(SOON);
    static struct bank local = {.decide = by_thirds}, checks = {.decide = by_thirds};
    static struct seen seen;
    static bool sent[ROUNDS * EACH];
    struct cmq_error err;
    struct cmq_producer *p = member(&k, &checks);
    struct cmq_consumer *c = consumer_of(config_of(&k, "g"), "T", see_all, &seen);
    for (int round = 0; round < ROUNDS; round++) {
        int alive = EACH / 3 + round * 37;
        for (int i = 0; i < EACH; i++) {
            struct cmq_message *m = numbered("T", round * EACH + i);
            if (i == alive)
                cr_assert(cluster_kill(k.cluster, "broker-a") && cluster_restart(k.cluster, "broker-a"));
            sent[round * EACH + i] = cmq_producer_send_in_transaction(p, m, consult, &local, NULL, &err) == CMQ_OK;
            cmq_message_free(m);
        }
    }
    for (int i = 0; i < ROUNDS * EACH; i += 3)
        AWAIT(60, !sent[i] || atomic_load(&seen.times[i]) > 0);
    for (int i = 1; i < ROUNDS * EACH; i += 3)
        cr_expect_eq(atomic_load(&seen.times[i]), 0, "%d was rolled back", i);
    cmq_consumer_free(c);
    cmq_producer_free(p);
    kit_end(&k);
}

static char *file_of(struct kit *k, const char *name) /* without blanks */
{
    char path[300], *to;
    static char text[20000];
    snprintf(path, sizeof path, "%s/broker-a/%s", cluster_dir(k->cluster), name);
    FILE *f = fopen(path, "r");
    cr_assert(f != NULL, "%s", path);
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    to = text;
    for (size_t i = 0; i < n; i++)
        if (strchr(" \t\n", text[i]) == NULL)
            *to++ = text[i];
    *to = '\0';
    return text;
}

Test(transactions, a_clean_stop_says_how_far_both_queues_are_done)
{
    struct kit k = start(LATE);
    static struct bank local = {.decide = commits};
    struct cmq_producer *p = member(&k, NULL);
    begin(p, &local, 0, 7);
    cmq_producer_free(p);
    cr_assert_eq(cluster_stop(k.cluster, "broker-a"), 0);
    const char *offsets = file_of(&k, "config/consumerOffset.json");
    cr_expect(strstr(offsets, "\"RMQ_SYS_TRANS_HALF_TOPIC@CID_RMQ_SYS_TRANS\":{0:7}"), "%s", offsets);
    cr_expect(strstr(offsets, "\"RMQ_SYS_TRANS_OP_HALF_TOPIC@CID_RMQ_SYS_TRANS\":{0:7}"), "%s", offsets);
    kit_end(&k);
}

Test(transactions, wrong_calls)
{
    struct kit k = start(LATE);
    static struct bank local = {.decide = rolls_back};
    struct cmq_error err;
    struct cmq_producer *p = member(&k, &local);
    struct cmq_message *m = numbered("T", 1), *empty = cmq_message_new("T", "", 0);
    cr_expect(cmq_producer_send_in_transaction(p, m, NULL, NULL, NULL, &err) == CMQ_ERR_ARGUMENT);
    cr_expect(cmq_producer_send_in_transaction(p, empty, consult, &local, NULL, &err) == CMQ_ERR_ARGUMENT);
    cr_expect(cmq_producer_on_check(p, NULL, NULL, &err) == CMQ_ERR_ARGUMENT);
    cr_expect(cmq_producer_on_check(p, consult, &local, &err) == CMQ_ERR_STATE && strstr(err.words, "already"), "%s", err.words);
    cr_expect_eq(atomic_load(&local.calls), 0);
    cmq_message_set_delay_level(m, 3);
    OK(cmq_producer_send_in_transaction(p, m, consult, &local, NULL, &err));
    cr_expect_null(cmq_message_property(m, "DELAY"));
    cmq_producer_stop(p, 1000);
    cr_expect(cmq_producer_send_in_transaction(p, m, consult, &local, NULL, &err) == CMQ_ERR_STATE);
    cmq_message_free(m);
    cmq_message_free(empty);
    cmq_producer_free(p);
    kit_end(&k);
}
