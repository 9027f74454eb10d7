/* consumer_filters.c - the table by group and topic: versions, death and return, and the file in Apache's form. */
#include "broker/filter/consumer_filters.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "tests/unit/metadata/disk.h"

enum { DAY_MS = 86400000 };
static struct consumer_filters *f;
static struct sessions *s;
static int64_t now = 1700000000000;

static void on_heard(void *ctx, const struct consumer_group *g)
{
    (void)ctx;
    consumer_filters_heard(f, g, true, now);
}

static void on_gone(void *ctx, const struct consumer_group *g)
{
    (void)ctx;
    consumer_filters_gone(f, g->node.key, now);
}

static enum mq_err open_filters(struct fault *why)
{
    struct config_file *file;
    const struct consumer_filters_setup setup = {.bloom = bloom_make(20, 64), .keep_ms = DAY_MS};
    cr_assert(config_file_new(&disk_io, &works_exec, "config/consumerFilter.json", &file) == MQ_OK);
    return consumer_filters_open(file, &setup, now, &f, why);
}

static void start(void)
{
    log_set_level(LOG_OFF);
    disk_reset();
    cr_assert(sessions_new(&(struct session_listener){.heard = on_heard, .group_gone = on_gone}, &s) == MQ_OK);
}

static void stop(void)
{
    works_all();
    consumer_filters_close(f);
    sessions_free(s);
    disk_reset();
}
TestSuite(consumer_filters, .init = start, .fini = stop);

/* A member of the group says so: "topic", "type", "expression", version ... */
static void beat(uint64_t conn, const char *group, const char *subscriptions)
{
    char body[4000];
    struct fault why = {0};
    struct peer p = {.conn_id = conn, .addr = "10.0.0.1:1"};
    snprintf(body, sizeof body, "{\"clientID\":\"c%d\",\"consumerDataSet\":[{\"groupName\":\"%s\",\"subscriptionDataSet\":[%s]}],\"producerDataSet\":[]}",
             (int)conn, group, subscriptions);
    const struct command cmd = {.code = 34, .body = slice_str(body)};
    cr_assert(sessions_heartbeat(s, cmd.body, &cmd, &p, now, &why) == MQ_OK, "%s", why.what);
}
#define SUB(topic, type, expression, version) \
    "{\"topic\":\"" topic "\",\"expressionType\":\"" type "\",\"subString\":\"" expression "\",\"subVersion\":" #version "}"

static const struct consumer_filter *get(const char *topic, const char *group) { return consumer_filters_find(f, slice_str(topic), slice_str(group)); }

static bool is_dead(const struct consumer_filter *x) { return x->dead_ms >= x->born_ms; }

static void expect(const char *topic, const char *group, const char *expression, int64_t version, bool dead)
{
    const struct consumer_filter *x = get(topic, group);
    cr_assert(x != NULL, "%s of %s", topic, group);
    cr_expect(slice_is(x->expression, expression) && slice_is(x->topic, topic), "%.*s", SLICE_ARG(x->expression));
    cr_expect(x->client_version == version && is_dead(x) == dead, "version %lld dead %d", (long long)x->client_version, is_dead(x));
}

Test(consumer_filters, come_with_heartbeats_and_only_newer_ones_count)
{
    cr_assert(open_filters(NULL) == MQ_OK);
    beat(1, "G", SUB("T", "SQL92", "a > 5", 10) "," SUB("U", "TAG", "x || y", 10));
    expect("T", "G", "a > 5", 10, false);
    cr_expect(get("U", "G") == NULL && get("T", "H") == NULL && consumer_filters_count(f) == 1);
    cr_expect_eq(sql_evaluate(get("T", "G")->program, SLICE_LIT("a\1" "6\2")), SQL_TRUE);
    beat(2, "G", SUB("T", "SQL92", "a > 7", 9) "," SUB("U", "TAG", "x", 10)); /* a member that started earlier */
    expect("T", "G", "a > 5", 10, false);
    beat(2, "G", SUB("T", "SQL92", "a > 5", 12) "," SUB("U", "TAG", "x", 10));
    expect("T", "G", "a > 5", 12, false);
    beat(2, "G", SUB("T", "SQL92", "a > 8", 13) "," SUB("U", "TAG", "x", 10));
    expect("T", "G", "a > 8", 13, false);
    cr_expect_eq(sql_evaluate(get("T", "G")->program, SLICE_LIT("a\1" "6\2")), SQL_FALSE);
}

Test(consumer_filters, what_does_not_compile_is_forgotten_so_that_its_client_hears_of_it)
{
    cr_assert(open_filters(NULL) == MQ_OK);
    beat(1, "G", SUB("T", "SQL92", "a >", 10));
    cr_expect(get("T", "G") == NULL);
    beat(1, "G", SUB("T", "SQL92", "a > 5", 11));
    expect("T", "G", "a > 5", 11, false);
    beat(1, "G", SUB("T", "SQL92", "a >", 12));
    cr_expect(get("T", "G") == NULL && consumer_filters_count(f) == 0);
    beat(1, "G", SUB("T", "SQL92", "a > 5", 13));
    beat(1, "G", SUB("T", "XPATH", "a > 5", 14)); /* no such type */
    cr_expect(get("T", "G") == NULL);
    beat(1, "G", SUB("T", "SQL92", "", 15)); /* nothing asked for: as if not said */
    cr_expect(get("T", "G") == NULL);
}

Test(consumer_filters, die_with_their_group_or_topic_and_live_again)
{
    cr_assert(open_filters(NULL) == MQ_OK);
    beat(1, "G", SUB("T", "SQL92", "a > 5", 10) "," SUB("U", "SQL92", "b > 5", 10));
    now += 1000;
    beat(1, "G", SUB("T", "SQL92", "a > 5", 10));
    expect("U", "G", "b > 5", 10, true);
    expect("T", "G", "a > 5", 10, false);
    sessions_conn_closed(s, 1);
    expect("T", "G", "a > 5", 10, true);
    beat(2, "G", SUB("T", "SQL92", "a > 5", 10));
    expect("T", "G", "a > 5", 10, false);
    now += DAY_MS - 1;
    consumer_filters_chores(f, now);
    cr_expect(get("U", "G") != NULL);
    now++;
    consumer_filters_chores(f, now);
    cr_expect(get("U", "G") == NULL && get("T", "G") != NULL && consumer_filters_count(f) == 1);
    sessions_conn_closed(s, 2);
    now -= 10 * DAY_MS; /* the clock was wrong */
    consumer_filters_chores(f, now);
    expect("T", "G", "a > 5", 10, true);
}

Test(consumer_filters, no_new_ones_while_memory_is_short)
{
    cr_assert(open_filters(NULL) == MQ_OK);
    beat(1, "G", SUB("T", "SQL92", "a > 5", 10));
    struct consumer_group *g = sessions_consumers(s, SLICE_LIT("G"));
    struct subscription other = {.topic = (char[]){"U"}, .sub_string = (char[]){"b > 5"}, .expression_type = (char[]){"SQL92"}, .version = 3};
    cr_assert(hashmap_add(&g->subscriptions, &other.node, SLICE_LIT("U")));
    consumer_filters_heard(f, g, false, now);
    cr_expect(get("U", "G") == NULL);
    consumer_filters_heard(f, g, true, now);
    expect("U", "G", "b > 5", 3, false);
    hashmap_remove(&g->subscriptions, &other.node);
}

/* What ConsumerFilterManager of 4.9.7 wrote. */
Test(consumer_filters, the_file_of_a_4_9_7_broker_is_read_and_written_back_as_it_was)
{
    char *apache = fixture("tests/fixtures/config/consumerFilter-4.9.7.json"), *alive;
    disk_put("config/consumerFilter.json", apache);
    now = 1795572480000;
    cr_assert(open_filters(NULL) == MQ_OK);
    cr_assert_eq(consumer_filters_count(f), 3);
    expect("T", "G", "a > 5 AND b = 'x'", 1700000000001, true); /* all are dead after a start */
    expect("T", "%H", "c IS NULL", 1700000000002, true);
    expect("U-2", "G", "c IN ('\u00e4','\"q\"')", 3, true);
    cr_expect_eq(get("T", "%H")->dead_ms, 1795572474261);
    cr_expect_eq(get("T", "G")->dead_ms, 1795572474130, "not before it was born");
    beat(1, "G", SUB("T", "SQL92", "a > 5 AND b = 'x'", 1700000000001) "," SUB("U-2", "SQL92", "c IN ('\u00e4','\\\"q\\\"')", 3));
    struct buf ours = {0};
    consumer_filters_encode(f, true, &ours);
    buf_u8(&ours, 0);
    alive = (char *)ours.p;
    cr_expect_str_eq(alive, apache);
    buf_free(&ours);
    free(apache);
}

Test(consumer_filters, are_on_the_disk_after_a_change_and_read_again)
{
    cr_assert(open_filters(NULL) == MQ_OK);
    beat(1, "G", SUB("T", "SQL92", "a > 5", 10));
    works_all();
    consumer_filters_close(f);
    f = NULL;
    now += 60000;
    cr_assert(open_filters(NULL) == MQ_OK);
    expect("T", "G", "a > 5", 10, true);
    cr_expect_eq(get("T", "G")->dead_ms, now - 30000);
    consumer_filters_close(f);
    f = NULL;
    now += DAY_MS + 1;
    cr_assert(open_filters(NULL) == MQ_OK);
    cr_expect_eq(consumer_filters_count(f), 1, "dead since the last start only");
}

Test(consumer_filters, of_a_damaged_file_the_words_tell_and_odd_entries_are_passed_over)
{
    struct fault why = {0};
    disk_put("config/consumerFilter.json", "{\"filterDataByTopic\":{\"T\":{\"groupFilterData\":{\"G\":5}}}}");
    cr_assert(open_filters(&why) == MQ_EMALFORMED);
    cr_expect(strstr(why.what, "G is no filter") != NULL, "%s", why.what);
    disk_put("config/consumerFilter.json", "{}");
    cr_assert(open_filters(&why) == MQ_EMALFORMED);
    disk_put("config/consumerFilter.json",
             "{\"filterDataByTopic\":{\"T\":{\"groupFilterData\":{\"G\":{\"expression\":\"a >\",\"expressionType\":\"SQL92\"},"
             "\"H\":{\"expression\":\"a\",\"expressionType\":\"X\"},\"I\":{\"expression\":\"a > 5\",\"expressionType\":\"SQL92\",\"bornTime\":-5}}}}}");
    cr_assert(open_filters(&why) == MQ_OK);
    cr_expect(consumer_filters_count(f) == 1 && get("T", "I") != NULL);
}

Test(consumer_filters, the_end_of_memory_loses_a_filter_and_nothing_else)
{
    cr_assert(open_filters(NULL) == MQ_OK);
    beat(1, "G", SUB("T", "SQL92", "a > 5", 10));
    struct consumer_group *g = sessions_consumers(s, SLICE_LIT("G"));
    for (uint64_t n = 1; n < 30; n++) {
        struct subscription *sub = CONTAINER_OF(hashmap_get(&g->subscriptions, SLICE_LIT("T")), struct subscription, node);
        char text[] = "a > 500";
        text[4] = (char)('0' + n % 10);
        char *before = sub->sub_string;
        sub->sub_string = text;
        sub->version++;
        mem_fail_after(n);
        consumer_filters_heard(f, g, true, now);
        mem_fail_after(0);
        cr_expect(get("T", "G") == NULL || slice_is(get("T", "G")->expression, text));
        cr_expect_eq(consumer_filters_count(f), get("T", "G") != NULL);
        sub->sub_string = before;
    }
    consumer_filters_heard(f, g, true, now);
    cr_expect(get("T", "G") != NULL);
}
