/* session.c - who is here: coming, staying, disagreeing, leaving. The heartbeats of real clients are in heartbeats.c. */
#include "help.h"

#include "common/base/mem.h"

TestSuite(session, .init = start, .fini = stop);

#define SUB(topic, sub, version) "{\"classFilterMode\":false,\"codeSet\":[],\"expressionType\":\"TAG\",\"subString\":\"" sub \
                                 "\",\"subVersion\":" version ",\"tagsSet\":[],\"topic\":\"" topic "\"}"

/* ---- coming and staying ---- */
Test(session, a_consumer_that_comes_is_seen_and_its_group_is_told)
{
    cr_assert(beat_consumer(1, "a", "g", SUB("t", "*", "1"), 1000) == MQ_OK);
    expect_notes("seen g changed g:1 ");
    struct client *c = sessions_consumer_client(s, SLICE_LIT("g"), SLICE_LIT("a"));
    cr_assert(c != NULL && c->conn_id == 1 && c->language == LANGUAGE_JAVA && c->version == 409 && c->seen_ms == 1000);
    cr_assert_str_eq(c->addr, "10.0.0.1:40001");
    struct consumer_group *g = group_of("g");
    cr_assert(g->n_clients == 1 && g->type == CONSUME_PASSIVELY && g->model == MODEL_CLUSTERING && g->from == FROM_LAST_OFFSET);
}

Test(session, the_same_heartbeat_again_keeps_it_alive_and_tells_nobody_of_change)
{
    cr_assert(beat_consumer(1, "a", "g", SUB("t", "*", "1"), 1000) == MQ_OK);
    cr_assert(beat_consumer(1, "a", "g", SUB("t", "*", "1"), 31000) == MQ_OK);
    expect_notes("seen g changed g:1 seen g "); /* seen: its retry topic may have been deleted meanwhile */
    cr_assert(sessions_consumer_client(s, SLICE_LIT("g"), SLICE_LIT("a"))->seen_ms == 31000);
}

Test(session, a_second_member_and_a_new_topic_are_told_a_new_version_of_a_topic_is_not)
{
    beat_consumer(1, "a", "g", SUB("t", "*", "1"), 1000);
    notes[0] = '\0';
    beat_consumer(2, "b", "g", SUB("t", "*", "1"), 1001);
    expect_notes("seen g changed g:2 ");
    beat_consumer(1, "a", "g", SUB("t", "*", "2"), 1002);
    expect_notes("seen g ");
    cr_assert(subscription_in("g", "t")->version == 2);
    beat_consumer(1, "a", "g", SUB("t", "*", "2") "," SUB("u", "*", "2"), 1003);
    expect_notes("seen g changed g:2 ");
}

Test(session, an_older_version_of_a_topic_does_not_replace_a_newer_one)
{
    beat_consumer(1, "a", "g", SUB("t", "new", "9"), 1000);
    beat_consumer(1, "a", "g", SUB("t", "old", "8"), 1001);
    cr_assert_str_eq(subscription_in("g", "t")->sub_string, "new");
}

Test(session, topics_that_a_heartbeat_leaves_out_are_gone_at_once)
{
    beat_consumer(1, "a", "g", SUB("t", "*", "1") "," SUB("u", "*", "1"), 1000);
    notes[0] = '\0';
    beat_consumer(1, "a", "g", SUB("u", "*", "1"), 1001);
    expect_notes("seen g changed g:1 ");
    cr_assert(subscription_in("g", "t") == NULL && subscription_in("g", "u") != NULL);
}

Test(session, a_heartbeat_without_subscriptions_of_a_5x_client_leaves_them)
{
    beat_consumer(1, "a", "g", SUB("t", "*", "1"), 1000);
    cr_assert(beat(1, "{\"clientID\":\"a\",\"consumerDataSet\":[{\"groupName\":\"g\",\"consumeType\":\"CONSUME_PASSIVELY\",\"messageModel\":\"CLUSTERING\","
                      "\"consumeFromWhere\":\"CONSUME_FROM_LAST_OFFSET\",\"subscriptionDataSet\":[]}],\"heartbeatFingerprint\":77,\"producerDataSet\":[],"
                      "\"withoutSub\":true}",
                   2000) == MQ_OK);
    cr_assert(subscription_in("g", "t") != NULL);
}

static bool v2(uint64_t conn, const char *without, int64_t now_ms) /* a heartbeat with a fingerprint; whether the client is to say all again */
{
    char body[600];
    bool changed = false;
    snprintf(body, sizeof body,
             "{\"clientID\":\"a\",\"consumerDataSet\":[{\"groupName\":\"g\",\"subscriptionDataSet\":[%s]}],\"heartbeatFingerprint\":77,"
             "\"producerDataSet\":[],\"withoutSub\":%s}",
             strcmp(without, "true") == 0 ? "" : SUB("t", "*", "1"), without);
    cr_assert(beat(conn, body, now_ms) == MQ_OK);
    cr_assert(sessions_fingerprinted(s, conn, &changed));
    return changed;
}

Test(session, who_is_new_without_subscriptions_is_told_to_say_them)
{
    bool changed = false;
    cr_expect(v2(1, "false", 1000), "it came");
    cr_expect(!v2(1, "true", 2000));
    cr_expect(!v2(1, "true", 3000), "the same again");
    sessions_conn_closed(s, 1);
    cr_expect(v2(2, "true", 4000), "it came back on another connection and left them out: nothing is known of them");
    cr_expect(subscription_in("g", "t") == NULL);
    cr_expect(v2(2, "false", 5000), "they are new");
    cr_expect(!v2(2, "true", 6000) && subscription_in("g", "t") != NULL);
    beat_consumer(3, "b", "g", SUB("t", "*", "1"), 7000);
    cr_expect(!sessions_fingerprinted(s, 3, &changed), "a client of 4.x is told nothing of the kind");
    cr_expect(!sessions_fingerprinted(s, 99, &changed));
}

Test(session, unit_mode_is_told)
{
    beat(1, "{\"clientID\":\"a\",\"consumerDataSet\":[{\"groupName\":\"g\",\"unitMode\":true}]}", 1);
    expect_notes("seen g unit changed g:1 ");
    beat(1, "{\"clientID\":\"a\",\"consumerDataSet\":[{\"groupName\":\"g\",\"unitMode\":true}]}", 2);
    expect_notes("seen g unit ");
}

Test(session, one_connection_may_be_in_many_groups_on_both_sides)
{
    cr_assert(beat(1, "{\"clientID\":\"a\",\"consumerDataSet\":[{\"groupName\":\"g1\"},{\"groupName\":\"g2\"}],\"producerDataSet\":[{\"groupName\":\"p1\"},"
                      "{\"groupName\":\"g1\"}]}",
                   1) == MQ_OK);
    size_t consumers = 0, producers = 0;
    for (struct consumer_group *g = sessions_next_consumers(s, NULL); g; g = sessions_next_consumers(s, g))
        consumers++;
    for (struct producer_group *p = sessions_next_producers(s, NULL); p; p = sessions_next_producers(s, p))
        producers++;
    cr_assert(consumers == 2 && producers == 2);
    cr_assert(sessions_producer_client(s, SLICE_LIT("a")) != NULL && sessions_producer_client(s, SLICE_LIT("b")) == NULL);
    sessions_conn_closed(s, 1);
    cr_assert(sessions_next_consumers(s, NULL) == NULL && sessions_next_producers(s, NULL) == NULL);
}

static uint64_t producer_conn(const char *id) /* 0: nobody */
{
    const struct client *c = sessions_producer_client(s, slice_str(id));
    return c ? c->conn_id : 0;
}
#define PRODUCER(id, groups) "{\"clientID\":\"" id "\",\"producerDataSet\":[" groups "]}"

Test(session, a_producer_is_found_by_its_id_on_its_newest_connection)
{
    beat(1, PRODUCER("p", "{\"groupName\":\"g1\"},{\"groupName\":\"g2\"}"), 1);
    cr_expect_eq(producer_conn("p"), 1);
    beat(2, PRODUCER("p", "{\"groupName\":\"g1\"}"), 2); /* it came back; the old connection is not closed yet */
    cr_expect_eq(producer_conn("p"), 2);
    sessions_unregister(s, 2, SLICE_LIT("g1"), (struct slice){0});
    cr_expect_eq(producer_conn("p"), 1, "the older one is found again");
    beat(1, PRODUCER("q", "{\"groupName\":\"g1\"},{\"groupName\":\"g2\"}"), 3); /* another client of the same process */
    cr_expect(producer_conn("q") == 1 && producer_conn("p") == 0);
    sessions_unregister(s, 1, SLICE_LIT("g2"), (struct slice){0});
    cr_expect_eq(producer_conn("q"), 1, "in one group of two");
    sessions_conn_closed(s, 1);
    cr_expect_eq(producer_conn("q"), 0);
}

Test(session, two_connections_with_one_client_id_are_two_members)
{
    beat_consumer(1, "same", "g", SUB("t", "*", "1"), 1);
    beat_consumer(2, "same", "g", SUB("t", "*", "1"), 1);
    cr_assert(group_of("g")->n_clients == 2);
    sessions_conn_closed(s, 1);
    cr_assert(group_of("g")->n_clients == 1 && sessions_consumer_client(s, SLICE_LIT("g"), SLICE_LIT("same"))->conn_id == 2);
}

Test(session, a_connection_that_changes_its_client_id_stays_one_member)
{
    beat_consumer(1, "old", "g", SUB("t", "*", "1"), 1);
    beat_consumer(1, "new", "g", SUB("t", "*", "1"), 2);
    cr_assert(group_of("g")->n_clients == 1 && sessions_consumer_client(s, SLICE_LIT("g"), SLICE_LIT("new")) != NULL);
}

Test(session, the_ways_of_consuming_follow_the_last_heartbeat)
{
    beat_consumer(1, "a", "g", "", 1);
    beat(1, "{\"clientID\":\"a\",\"consumerDataSet\":[{\"groupName\":\"g\",\"consumeType\":\"CONSUME_ACTIVELY\",\"messageModel\":\"BROADCASTING\","
            "\"consumeFromWhere\":\"CONSUME_FROM_TIMESTAMP\"}]}",
         2);
    struct consumer_group *g = group_of("g");
    cr_assert(g->type == CONSUME_ACTIVELY && g->model == MODEL_BROADCASTING && g->from == FROM_TIMESTAMP);
}

/* ---- disagreeing ---- */
Test(session, members_that_want_different_tags_overwrite_each_other_and_are_told_once_a_minute)
{
    beat_consumer(1, "a", "g", SUB("t", "TagA", "1"), 1000);
    notes[0] = '\0';
    beat_consumer(2, "b", "g", SUB("t", "TagB", "2"), 2000);
    expect_notes("mismatch g a b t seen g changed g:2 ");
    cr_assert_str_eq(subscription_in("g", "t")->sub_string, "TagB");
    beat_consumer(1, "a", "g", SUB("t", "TagA", "3"), 3000); /* the same minute: silence */
    expect_notes("seen g ");
    cr_assert_str_eq(subscription_in("g", "t")->sub_string, "TagA");
    beat_consumer(2, "b", "g", SUB("t", "TagB", "4"), 63000);
    expect_notes("mismatch g a b t seen g ");
}

Test(session, members_that_want_different_topics_take_them_from_each_other_with_unchanged_words)
{
    beat_consumer(1, "a", "g", SUB("t", "*", "1"), 1000);
    beat_consumer(2, "b", "g", SUB("u", "*", "1"), 2000);
    cr_assert(subscription_in("g", "t") == NULL && subscription_in("g", "u") != NULL);
    notes[0] = '\0';
    beat_consumer(1, "a", "g", SUB("t", "*", "1"), 31000); /* the same bytes as before: still parsed, because the other one changed the group */
    cr_assert(subscription_in("g", "t") != NULL && subscription_in("g", "u") == NULL);
    cr_assert(strstr(notes, "changed g:2") != NULL);
}

static bool mismatch_is(const char *topic, const char *a, const char *b)
{
    const struct group_mismatch *x = sessions_mismatch(group_of("g"));
    return x && strcmp(x->topic, topic) == 0 && strcmp(x->client_a, a) == 0 && strcmp(x->client_b, b) == 0;
}

Test(session, a_mismatch_is_kept_until_they_agree)
{
    beat_consumer(1, "a", "g", SUB("t", "TagA", "1"), 1000);
    cr_expect(sessions_mismatch(group_of("g")) == NULL);
    beat_consumer(2, "b", "g", SUB("t", "TagB", "2"), 2000);
    cr_expect(mismatch_is("t", "a", "b"));
    beat_consumer(1, "a", "g", SUB("t", "TagA", "1"), 31000); /* it has lost, and still wants something else */
    cr_expect(mismatch_is("t", "a", "b"), "the same two");
    beat_consumer(1, "a", "g", SUB("t", "TagB", "3"), 32000);
    cr_expect(sessions_mismatch(group_of("g")) == NULL);
}

Test(session, a_mismatch_with_an_older_wish_is_seen_and_told_too)
{
    beat_consumer(1, "a", "g", SUB("t", "TagA", "5"), 1000);
    notes[0] = '\0';
    beat_consumer(2, "b", "g", SUB("t", "TagB", "4"), 2000); /* started before a, so a's wish stays */
    cr_expect_str_eq(subscription_in("g", "t")->sub_string, "TagA");
    expect_notes("mismatch g a b t seen g changed g:2 ");
    cr_expect(mismatch_is("t", "a", "b"));
}

Test(session, a_mismatch_goes_with_either_of_the_two)
{
    beat_consumer(1, "a", "g", SUB("t", "TagA", "1"), 1000);
    beat_consumer(2, "b", "g", SUB("t", "TagB", "2"), 2000);
    beat_consumer(3, "c", "g", SUB("t", "TagB", "2"), 2000);
    cr_assert(mismatch_is("t", "a", "b"));
    sessions_conn_closed(s, 2);
    cr_expect(sessions_mismatch(group_of("g")) == NULL);
}

Test(session, nobody_is_told_of_a_mismatch_with_who_left)
{
    beat_consumer(1, "a", "g", SUB("t", "TagA", "1"), 1000);
    beat_consumer(2, "b", "g", SUB("t", "TagA", "1"), 1000);
    sessions_conn_closed(s, 1);
    notes[0] = '\0';
    beat_consumer(2, "b", "g", SUB("t", "TagB", "2"), 2000);
    expect_notes("seen g ");
}

Test(session, equal_wishes_with_other_versions_are_no_mismatch)
{
    beat_consumer(1, "a", "g", SUB("t", "TagA", "1"), 1000);
    notes[0] = '\0';
    beat_consumer(2, "b", "g", SUB("t", "TagA", "2"), 2000);
    expect_notes("seen g changed g:2 ");
}

/* ---- leaving ---- */
Test(session, a_group_without_members_does_not_exist_and_nobody_is_told)
{
    beat_consumer(1, "a", "g", SUB("t", "*", "1"), 1);
    beat_consumer(2, "b", "g", SUB("t", "*", "1"), 1);
    notes[0] = '\0';
    sessions_conn_closed(s, 1);
    expect_notes("changed g:1 ");
    sessions_conn_closed(s, 2);
    expect_notes("");
    cr_assert(group_of("g") == NULL);
    sessions_conn_closed(s, 2);
    sessions_conn_closed(s, 99);
}

Test(session, unregistering_leaves_what_is_named_by_connection_and_nothing_else)
{
    beat(1, "{\"clientID\":\"a\",\"consumerDataSet\":[{\"groupName\":\"g\"}],\"producerDataSet\":[{\"groupName\":\"p\"}]}", 1);
    beat_consumer(2, "a", "g", "", 1);
    notes[0] = '\0';
    sessions_unregister(s, 1, (struct slice){0}, SLICE_LIT("g"));
    expect_notes("changed g:1 ");
    cr_assert(group_of("g")->n_clients == 1 && sessions_producers(s, SLICE_LIT("p"))->n_clients == 1);
    sessions_unregister(s, 1, SLICE_LIT("p"), SLICE_LIT("g")); /* g: no longer in it */
    cr_assert(sessions_producers(s, SLICE_LIT("p")) == NULL && group_of("g")->n_clients == 1);
    sessions_unregister(s, 1, SLICE_LIT("p"), SLICE_LIT("g")); /* unknown by now */
    sessions_unregister(s, 2, SLICE_LIT("never heard of"), SLICE_LIT("nor of this"));
    cr_assert(group_of("g")->n_clients == 1);
}

Test(session, the_same_heartbeat_after_unregistering_brings_it_back)
{
    beat_consumer(1, "a", "g", SUB("t", "*", "1"), 1);
    beat(1, "{\"clientID\":\"a\",\"producerDataSet\":[{\"groupName\":\"p\"}]}", 2); /* keeps the connection known */
    beat_consumer(1, "a", "g", SUB("t", "*", "1"), 3);
    sessions_unregister(s, 1, (struct slice){0}, SLICE_LIT("g"));
    cr_assert(group_of("g") == NULL);
    beat_consumer(1, "a", "g", SUB("t", "*", "1"), 4);
    cr_assert(group_of("g") != NULL && subscription_in("g", "t") != NULL);
}

static uint64_t expired[8];
static int n_expired;
static void on_expired(void *arg, uint64_t conn_id)
{
    (void)arg;
    expired[n_expired++] = conn_id;
}

Test(session, who_is_silent_for_longer_than_the_limit_is_forgotten_and_handed_over)
{
    beat_consumer(1, "a", "g", "", 1000);
    beat_consumer(2, "b", "g", "", 2000);
    beat_consumer(3, "c", "g", "", 3000);
    beat_consumer(1, "a", "g", "", 90000); /* unchanged words count as a sign of life */
    sessions_expire(s, 122000, 120000, on_expired, NULL);
    cr_assert(n_expired == 0);
    notes[0] = '\0';
    sessions_expire(s, 122001, 120000, on_expired, NULL);
    cr_assert(n_expired == 1 && expired[0] == 2);
    expect_notes("changed g:2 ");
    sessions_expire(s, 300000, 120000, on_expired, NULL);
    cr_assert(n_expired == 3 && expired[1] == 3 && expired[2] == 1 && group_of("g") == NULL);
    sessions_expire(s, 900000, 120000, on_expired, NULL);
    cr_assert(n_expired == 3);
}

Test(session, who_is_not_listened_to_is_not_silent)
{
    beat_consumer(1, "a", "g", "", 1000);
    beat_consumer(2, "b", "g", "", 2000);
    sessions_conn_heard(s, 1, 100000);
    sessions_conn_heard(s, 77, 100000); /* no client of any group: a producer that said nothing yet */
    sessions_expire(s, 122001, 120000, on_expired, NULL);
    cr_assert(n_expired == 1 && expired[0] == 2);
    sessions_expire(s, 220001, 120000, on_expired, NULL);
    cr_assert(n_expired == 2 && expired[1] == 1);
}

/* ---- somebody sets the clock ---- */
static int64_t steady_ms;
static int64_t steady(void *ctx) { return (void)ctx, steady_ms; }

Test(session, silence_and_minutes_go_by_the_clock_that_does_not_jump)
{
    const struct session_listener l = {.mono_ms = steady, .subscription_mismatch = note_mismatch};
    const int64_t day_ms = 86400000, wall = 1700000000000;
    stop();
    cr_assert(sessions_new(&l, &s) == MQ_OK);
    steady_ms = 1000;
    beat_consumer(1, "a", "g", SUB("t", "TagA", "1"), wall);
    steady_ms = 2000;
    beat_consumer(2, "b", "g", SUB("t", "TagB", "2"), wall);
    expect_notes("mismatch g a b t ");
    steady_ms = 3000;
    beat_consumer(1, "a", "g", SUB("t", "TagA", "3"), wall + day_ms);
    expect_notes(""); /* a day later, but the same minute */
    steady_ms = 62000;
    beat_consumer(2, "b", "g", SUB("t", "TagB", "4"), wall - day_ms);
    expect_notes("mismatch g a b t "); /* a day earlier, and a minute later */
    sessions_expire(s, 123000, 120000, on_expired, NULL);
    cr_assert(n_expired == 0);
    sessions_expire(s, 123001, 120000, on_expired, NULL);
    cr_assert(n_expired == 1 && expired[0] == 1);
}

/* ---- wrong bodies ---- */
static void refuse(const char *body, enum mq_err err, const char *words)
{
    why = (struct fault){0};
    enum mq_err got = beat(7, body, 1);
    cr_expect(got == err, "%.80s: %d", body, got);
    cr_expect(strstr(why.what, words) != NULL, "%.80s: words are '%s'", body, why.what);
    cr_expect(group_of("g") == NULL && sessions_next_producers(s, NULL) == NULL, "%.80s: something counted", body);
}

Test(session, a_malformed_heartbeat_is_refused_in_words_and_changes_nothing)
{
    refuse("", MQ_EMALFORMED, "");
    refuse("[]", MQ_EMALFORMED, "");
    refuse("{", MQ_EMALFORMED, "");
    refuse("{}", MQ_EMALFORMED, "clientID");
    refuse("{\"clientID\":\"\"}", MQ_EMALFORMED, "clientID");
    refuse("{\"clientID\":\"a\",\"consumerDataSet\":[{\"groupName\":\"g\"},{}]}", MQ_EMALFORMED, "consumerDataSet[1].groupName is missing");
    refuse("{\"clientID\":\"a\",\"consumerDataSet\":[7]}", MQ_EMALFORMED, "consumerDataSet[0]");
    refuse("{\"clientID\":\"a\",\"producerDataSet\":[{\"groupName\":\"p\"},{\"groupName\":\"\"}]}", MQ_EMALFORMED, "producerDataSet[1].groupName");
    refuse("{\"clientID\":\"a\",\"consumerDataSet\":[{\"groupName\":\"g\",\"consumeType\":\"SIDEWAYS\"}]}", MQ_EMALFORMED, "consumeType");
    refuse("{\"clientID\":\"a\",\"consumerDataSet\":[{\"groupName\":\"g\",\"consumeType\":2}]}", MQ_EMALFORMED, "consumeType");
    refuse("{\"clientID\":\"a\",\"consumerDataSet\":[{\"groupName\":\"g\",\"messageModel\":-1}]}", MQ_EMALFORMED, "messageModel");
    refuse("{\"clientID\":\"a\",\"consumerDataSet\":[{\"groupName\":\"g\",\"consumeFromWhere\":6}]}", MQ_EMALFORMED, "consumeFromWhere");
    refuse("{\"clientID\":\"a\",\"consumerDataSet\":[{\"groupName\":\"g\",\"subscriptionDataSet\":7}]}", MQ_EMALFORMED, "subscriptionDataSet");
    refuse("{\"clientID\":\"a\",\"consumerDataSet\":[{\"groupName\":\"g\",\"subscriptionDataSet\":[7]}]}", MQ_EMALFORMED, "subscriptionDataSet[0]");
    refuse("{\"clientID\":\"a\",\"consumerDataSet\":[{\"groupName\":\"g\",\"subscriptionDataSet\":[{\"topic\":\"\"}]}]}", MQ_EMALFORMED, "topic");
    refuse("{\"clientID\":\"a\",\"consumerDataSet\":[{\"groupName\":\"g\",\"subscriptionDataSet\":[{\"topic\":\"t\",\"subString\":\"||\"}]}]}", MQ_EMALFORMED,
           "subString");
    refuse("{\"clientID\":\"a\",\"consumerDataSet\":[{\"groupName\":\"g\",\"subscriptionDataSet\":[{\"topic\":\"t\",\"codeSet\":[\"x\"]}]}]}", MQ_EMALFORMED,
           "codeSet[0]");
    refuse("{\"clientID\":\"a\",\"consumerDataSet\":[{\"groupName\":\"g\",\"subscriptionDataSet\":[{\"topic\":\"t\",\"codeSet\":[2147483648]}]}]}",
           MQ_EMALFORMED, "codeSet[0]");
}

Test(session, names_beyond_their_limits_are_refused)
{
    char body[3000], name[1100];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    snprintf(body, sizeof body, "{\"clientID\":\"%.1025s\"}", name);
    refuse(body, MQ_EMALFORMED, "clientID is too long");
    snprintf(body, sizeof body, "{\"clientID\":\"a\",\"producerDataSet\":[{\"groupName\":\"%.256s\"}]}", name);
    refuse(body, MQ_EMALFORMED, "256 bytes");
    snprintf(body, sizeof body, "{\"clientID\":\"a\",\"consumerDataSet\":[{\"groupName\":\"g\",\"subscriptionDataSet\":[{\"topic\":\"%.256s\"}]}]}", name);
    refuse(body, MQ_EMALFORMED, "topic of a subscription is too long");
    snprintf(body, sizeof body, "{\"clientID\":\"%.1024s\",\"producerDataSet\":[{\"groupName\":\"%.255s\"}]}", name, name);
    cr_assert(beat(7, body, 1) == MQ_OK);
}

Test(session, more_groups_than_the_limit_are_refused)
{
    struct buf b = {0};
    buf_str(&b, "{\"clientID\":\"a\",\"producerDataSet\":[");
    for (int i = 0; i < 4097; i++)
        buf_printf(&b, "%s{\"groupName\":\"p%d\"}", i ? "," : "", i);
    buf_str(&b, "]}");
    cr_assert(beat_as(7, buf_view(&b), 1, LANGUAGE_JAVA, 409) == MQ_ELIMIT && strstr(why.what, "4096"));
    cr_assert(sessions_next_producers(s, NULL) == NULL);
    buf_free(&b);
}

Test(session, each_allocation_of_a_heartbeat_may_fail)
{
    static const char body[] = "{\"clientID\":\"a\",\"consumerDataSet\":[{\"groupName\":\"g\",\"subscriptionDataSet\":[" SUB("t", "TagA || TagB", "1") "," SUB(
        "u", "*", "1") "]}],\"producerDataSet\":[{\"groupName\":\"p\"}]}";
    uint64_t n = 1;
    for (; n < 100; n++) {
        mem_fail_after(n);
        enum mq_err err = beat(n, body, 1);
        mem_fail_after(0);
        if (err == MQ_OK)
            break;
        cr_assert(err == MQ_ENOMEM, "allocation %llu: %d", (unsigned long long)n, err);
        cr_assert(beat(n, body, 2) == MQ_OK, "allocation %llu: it does not recover", (unsigned long long)n);
        cr_assert(group_of("g") != NULL && group_of("g")->n_clients == 1);
        cr_assert(subscription_in("g", "t")->n_codes == 2 && subscription_in("g", "u") != NULL);
        sessions_conn_closed(s, n);
        cr_assert(group_of("g") == NULL && sessions_next_producers(s, NULL) == NULL, "allocation %llu: something is left", (unsigned long long)n);
    }
    cr_assert(n > 10 && n < 100);
}
