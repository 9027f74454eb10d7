/* routes.c - brokers come, move and go; topics and their answers follow. */
#include "namesrv/route/routes.h"

#include <stdio.h>

#include "tests/unit/namesrv/help.h"

static struct routes *r;
static struct {
    char text[4096];
} events;

static void note(void *ctx, enum broker_event what, struct slice name, struct slice addr, int64_t id, uint64_t conn_id)
{
    static const char *const names[] = {"up", "unregistered", "closed", "expired", "replaced"};
    size_t n = strlen(events.text);
    (void)ctx, (void)name;
    snprintf(events.text + n, sizeof events.text - n, "%s %.*s/%d@%d;", names[what], SLICE_ARG(addr), (int)id, (int)conn_id);
}

static bool order_of(void *ctx, struct slice topic, struct slice *value)
{
    (void)ctx;
    *value = slice_str("broker-a:4");
    return slice_is(topic, "Ordered");
}

static void start(void)
{
    r = routes_new(&(struct routes_config){.order_conf = order_of, .event = note});
    events.text[0] = 0;
}
static void stop(void) { routes_free(r); }
TestSuite(routes, .init = start, .fini = stop);

static struct routes_stats stats(void)
{
    struct routes_stats s;
    routes_stats(r, &s);
    return s;
}

#define QUEUES(perm, flag) \
    "\"queueDatas\":[{\"brokerName\":\"broker-a\",\"perm\":" #perm ",\"readQueueNums\":4,\"topicSynFlag\":" #flag ",\"topicSysFlag\":" #flag ",\"writeQueueNums\":4}]}"
#define DATAS(addrs) "{\"brokerDatas\":[{\"brokerAddrs\":{" addrs "},\"brokerName\":\"broker-a\",\"cluster\":\"DefaultCluster\"}],"
#define MASTER "\"0\":\"127.0.0.1:23911\""
#define SLAVE "\"1\":\"127.0.0.1:23951\""

static struct registration master(uint64_t conn) { return reg_of("DefaultCluster", "broker-a", 0, "127.0.0.1:23911", conn); }
static struct registration slave(uint64_t conn) { return reg_of("DefaultCluster", "broker-a", 1, "127.0.0.1:23951", conn); }

Test(routes, a_pair_is_answered_as_apache_answers)
{
    struct buf b = {0};
    put_broker(r, master(1), 1, 0, TOPICS("T1", "Ordered"));
    put_broker(r, slave(2), 1, 0, TOPICS("not taken from a slave"));
    EXPECT_ROUTE(r, "T1", DATAS(MASTER "," SLAVE) "\"filterServerTable\":{}," QUEUES(6, 0));
    EXPECT_ROUTE(r, "Ordered", DATAS(MASTER "," SLAVE) "\"filterServerTable\":{},\"orderTopicConf\":\"broker-a:4\"," QUEUES(6, 0));
    EXPECT_ROUTE(r, "nope", NULL);
    EXPECT_ROUTE(r, "", NULL);

    routes_json_clusters(r, &b);
    EXPECT_BUF(b, "{\"brokerAddrTable\":{\"broker-a\":{\"brokerAddrs\":{" MASTER "," SLAVE
                  "},\"brokerName\":\"broker-a\",\"cluster\":\"DefaultCluster\"}},\"clusterAddrTable\":{\"DefaultCluster\":[\"broker-a\"]}}");
    buf_clear(&b);
    routes_json_topics(r, &b);
    EXPECT_BUF(b, "{\"topicList\":[\"Ordered\",\"T1\"]}");
    buf_clear(&b);
    routes_json_topics_of(r, SLICE_LIT("DefaultCluster"), &b);
    EXPECT_BUF(b, "{\"topicList\":[\"Ordered\",\"T1\"]}");
    buf_clear(&b);
    routes_json_topics_of(r, SLICE_LIT("x"), &b);
    EXPECT_BUF(b, "{\"topicList\":[]}");
    buf_clear(&b);
    routes_json_system(r, &b);
    EXPECT_BUF(b, "{\"brokerAddr\":\"127.0.0.1:23911\",\"topicList\":[\"DefaultCluster\",\"broker-a\"]}");
    buf_free(&b);
}

Test(routes, an_empty_name_server_answers_empty_lists)
{
    struct buf b = {0};
    routes_json_clusters(r, &b);
    EXPECT_BUF(b, "{\"brokerAddrTable\":{},\"clusterAddrTable\":{}}");
    buf_clear(&b);
    routes_json_system(r, &b);
    EXPECT_BUF(b, "{\"topicList\":[]}");
    buf_free(&b);
}

Test(routes, unit_topics_are_told_by_their_flags)
{
    struct topic_list l = {.names = TOPICS("U"), .q = {2, 3, 6, TOPIC_UNIT | TOPIC_UNIT_SUB}}, s = {.names = TOPICS("S"), .q = {2, 3, 6, TOPIC_UNIT_SUB}};
    struct registration reg = master(1);
    struct registration_result out;
    struct buf b = {0};
    reg.topics = (struct topic_source){topic_list_next, &l};
    cr_assert(routes_register(r, &reg, 0, &out, NULL) == MQ_OK && out.topics_new == 1);
    reg.version.counter = 1;
    reg.topics.ctx = &s;
    cr_assert(routes_register(r, &reg, 0, &out, NULL) == MQ_OK && out.topics_new == 1);
    routes_json_topics_flagged(r, TOPIC_UNIT, TOPIC_UNIT, &b);
    EXPECT_BUF(b, "{\"topicList\":[\"U\"]}");
    buf_clear(&b);
    routes_json_topics_flagged(r, TOPIC_UNIT_SUB, TOPIC_UNIT_SUB, &b);
    EXPECT_BUF(b, "{\"topicList\":[\"S\",\"U\"]}");
    buf_clear(&b);
    routes_json_topics_flagged(r, TOPIC_UNIT | TOPIC_UNIT_SUB, TOPIC_UNIT_SUB, &b);
    EXPECT_BUF(b, "{\"topicList\":[\"S\"]}");
    buf_free(&b);
}

Test(routes, a_slave_learns_its_master)
{
    struct registration m = master(1);
    struct registration_result out = put_broker(r, slave(2), 1, 0, NULL);
    cr_assert(out.master_addr.p == NULL && out.ha_addr.p == NULL);
    m.ha_addr = slice_str("127.0.0.1:23912");
    out = put_broker(r, m, 1, 0, NULL);
    cr_assert(out.master_addr.p == NULL, "a master needs none");
    out = put_broker(r, slave(2), 1, 0, NULL);
    cr_assert(slice_is(out.master_addr, "127.0.0.1:23911") && slice_is(out.ha_addr, "127.0.0.1:23912"));
}

Test(routes, an_unchanged_version_reads_no_topic)
{
    struct topic_list l = {.names = TOPICS("T1"), .q = {4, 4, 6, 0}};
    struct registration reg = master(1);
    struct registration_result out;
    reg.topics = (struct topic_source){topic_list_next, &l};
    reg.version = (struct data_version){7, 3};
    cr_assert(routes_register(r, &reg, 0, &out, NULL) == MQ_OK);
    cr_assert(l.reads == 2 && out.topics_new == 1);
    cr_assert(routes_register(r, &reg, 1, &out, NULL) == MQ_OK);
    cr_assert(l.reads == 2 && out.topics_new == 0);

    l.at = 0;
    reg.version.counter = 4;
    EXPECT_ROUTE(r, "T1", DATAS(MASTER) "\"filterServerTable\":{}," QUEUES(6, 0));
    cr_assert(routes_register(r, &reg, 2, &out, NULL) == MQ_OK);
    cr_assert(l.reads == 4 && out.topics_new == 0 && out.topics_changed == 0);
    cr_assert(stats().cached == 1, "the same queues: the answer is kept");
}

Test(routes, the_last_body_is_known_again)
{
    struct topic_list l = {.names = TOPICS("T1"), .q = {4, 4, 6, 0}};
    struct registration reg = master(1), other;
    struct registration_result out;
    reg.topics = (struct topic_source){topic_list_next, &l};
    reg.version = (struct data_version){7, 3};
    reg.mark = (struct body_mark){100, 0xcafe, 1};
    cr_assert(!routes_knows(r, &reg), "nothing is known");
    cr_assert(routes_register(r, &reg, 0, &out, NULL) == MQ_OK);
    cr_assert(routes_knows(r, &reg));

    other = reg, other.version.counter = 4;
    cr_assert(!routes_knows(r, &other), "another version");
    other = reg, other.version.timestamp = 8;
    cr_assert(!routes_knows(r, &other), "another time");
    other = reg, other.mark.crc = 1;
    cr_assert(!routes_knows(r, &other), "another check sum");
    other = reg, other.mark.n = 99;
    cr_assert(!routes_knows(r, &other), "another length");
    other = reg, other.mark.form = 0;
    cr_assert(!routes_knows(r, &other), "another form");
    other = reg, other.id = 1;
    cr_assert(!routes_knows(r, &other), "another id: a slave that becomes master brings topics");
    other = reg, other.name = SLICE_LIT("broker-b");
    cr_assert(!routes_knows(r, &other), "another name");
    other = reg, other.addr = SLICE_LIT("127.0.0.1:1");
    cr_assert(!routes_knows(r, &other), "another address");

    l.at = 0;
    reg.version.counter = 5;
    reg.mark.n = 0;
    cr_assert(routes_register(r, &reg, 0, &out, NULL) == MQ_OK);
    cr_assert(!routes_knows(r, &reg), "an empty body is never known");
}

Test(routes, a_topic_that_a_registration_leaves_out_stays)
{
    put_broker(r, master(1), 1, 0, TOPICS("T1", "T2"));
    struct registration_result out = put_broker(r, master(1), 2, 0, TOPICS("T3"));
    cr_assert(out.topics_new == 1 && stats().topics == 3);
}

Test(routes, an_answer_is_built_once_until_the_route_changes)
{
    struct registration reg = master(1);
    struct slice filter = SLICE_LIT("127.0.0.1:30000");
    const char *plain = DATAS(MASTER) "\"filterServerTable\":{}," QUEUES(6, 0);
    put_broker(r, reg, 1, 0, TOPICS("T1", "T2"));
    for (int i = 0; i < 3; i++)
        EXPECT_ROUTE(r, "T1", plain);
    cr_assert(stats().encoded == 1);
    put_broker(r, reg, 2, 0, TOPICS("T3"));
    EXPECT_ROUTE(r, "T1", plain);
    cr_assert(stats().encoded == 1, "another topic came");

    reg.filters_given = true;
    reg.filters = &filter;
    reg.n_filters = 1;
    put_broker(r, reg, 2, 0, NULL);
    EXPECT_ROUTE(r, "T1", DATAS(MASTER) "\"filterServerTable\":{\"127.0.0.1:23911\":[\"127.0.0.1:30000\"]}," QUEUES(6, 0));
    put_broker(r, reg, 2, 0, NULL);
    cr_assert(stats().cached == 1 && stats().encoded == 2);
    reg.filters_given = false;
    reg.n_filters = 0;
    put_broker(r, reg, 2, 0, NULL);
    cr_assert(stats().cached == 1, "not said: they stay");
    reg.filters_given = true;
    put_broker(r, reg, 2, 0, NULL);
    EXPECT_ROUTE(r, "T1", plain);

    put_broker(r, slave(2), 1, 0, NULL);
    EXPECT_ROUTE(r, "T1", DATAS(MASTER "," SLAVE) "\"filterServerTable\":{}," QUEUES(6, 0));
    routes_touch(r, SLICE_LIT("T1"));
    cr_assert(stats().cached == 0 && stats().cached_bytes == 0);
}

Test(routes, wiping_and_adding_write_permission_changes_all_topics_of_a_broker)
{
    put_broker(r, master(1), 1, 0, TOPICS("T1", "T2"));
    put_broker(r, reg_of("DefaultCluster", "broker-b", 0, "127.0.0.2:1", 2), 1, 0, TOPICS("T2"));
    EXPECT_ROUTE(r, "T1", DATAS(MASTER) "\"filterServerTable\":{}," QUEUES(6, 0));
    cr_assert(routes_wipe_write(r, SLICE_LIT("broker-a")) == 2);
    EXPECT_ROUTE(r, "T1", DATAS(MASTER) "\"filterServerTable\":{}," QUEUES(4, 0));
    cr_assert(routes_add_write(r, SLICE_LIT("broker-a")) == 2);
    EXPECT_ROUTE(r, "T1", DATAS(MASTER) "\"filterServerTable\":{}," QUEUES(6, 0));
    cr_assert(routes_wipe_write(r, SLICE_LIT("x")) == 0);

    routes_wipe_write(r, SLICE_LIT("broker-a"));
    put_broker(r, master(1), 1, 0, TOPICS("T1"));
    EXPECT_ROUTE(r, "T1", DATAS(MASTER) "\"filterServerTable\":{}," QUEUES(4, 0));
    put_broker(r, master(1), 2, 0, TOPICS("T1"));
    EXPECT_ROUTE(r, "T1", DATAS(MASTER) "\"filterServerTable\":{}," QUEUES(6, 0));
}

Test(routes, the_last_address_takes_the_topics_along)
{
    put_broker(r, master(1), 1, 0, TOPICS("T1", "T2"));
    put_broker(r, slave(2), 1, 0, NULL);
    put_broker(r, reg_of("C2", "broker-b", 0, "127.0.0.2:1", 3), 1, 0, TOPICS("T2"));
    cr_assert(routes_unregister(r, SLICE_LIT("broker-a"), SLICE_LIT("127.0.0.1:23911")));
    EXPECT_ROUTE(r, "T1", DATAS(SLAVE) "\"filterServerTable\":{}," QUEUES(6, 0));
    cr_assert(!routes_unregister(r, SLICE_LIT("broker-a"), SLICE_LIT("127.0.0.1:23911")), "twice");
    cr_assert(!routes_unregister(r, SLICE_LIT("broker-b"), SLICE_LIT("127.0.0.1:23951")), "not its address");
    cr_assert(routes_unregister(r, SLICE_LIT("broker-a"), SLICE_LIT("127.0.0.1:23951")));
    EXPECT_ROUTE(r, "T1", NULL);
    struct routes_stats s = stats();
    cr_assert(s.clusters == 1 && s.brokers == 1 && s.addresses == 1 && s.topics == 1 && s.queues == 1);
    cr_assert_str_eq(events.text, "up 127.0.0.1:23911/0@1;up 127.0.0.1:23951/1@2;up 127.0.0.2:1/0@3;"
                                  "unregistered 127.0.0.1:23911/0@1;unregistered 127.0.0.1:23951/1@2;");
}

Test(routes, an_address_has_one_place)
{
    put_broker(r, master(1), 1, 0, TOPICS("T1"));
    put_broker(r, slave(2), 1, 0, NULL);

    /* the master is gone, its slave becomes master: another id with the same address */
    put_broker(r, reg_of("DefaultCluster", "broker-a", 0, "127.0.0.1:23951", 2), 1, 0, TOPICS("T1", "T2"));
    EXPECT_ROUTE(r, "T2", NULL); /* known version, and the id was taken: as with Apache, no topic is read */
    EXPECT_ROUTE(r, "T1", DATAS("\"0\":\"127.0.0.1:23951\"") "\"filterServerTable\":{}," QUEUES(6, 0));
    cr_assert(stats().addresses == 1, "the old master's address was replaced");

    /* the same address under another name */
    put_broker(r, reg_of("DefaultCluster", "broker-b", 0, "127.0.0.1:23951", 2), 1, 0, NULL);
    cr_assert(stats().brokers == 1 && stats().addresses == 1);
    EXPECT_ROUTE(r, "T1", NULL);
}

Test(routes, a_slave_that_becomes_master_brings_its_topics)
{
    put_broker(r, slave(2), 1, 0, TOPICS("T1"));
    EXPECT_ROUTE(r, "T1", NULL);
    put_broker(r, reg_of("DefaultCluster", "broker-a", 0, "127.0.0.1:23951", 2), 1, 0, TOPICS("T1"));
    EXPECT_ROUTE(r, "T1", DATAS("\"0\":\"127.0.0.1:23951\"") "\"filterServerTable\":{}," QUEUES(6, 0));
}

Test(routes, a_master_moves_its_broker_to_another_cluster)
{
    struct buf b = {0};
    put_broker(r, master(1), 1, 0, TOPICS("T1"));
    put_broker(r, reg_of("Other", "broker-a", 1, "127.0.0.1:23951", 2), 1, 0, NULL);
    routes_json_system(r, &b);
    EXPECT_BUF(b, "{\"brokerAddr\":\"127.0.0.1:23911\",\"topicList\":[\"DefaultCluster\",\"broker-a\"]}");
    put_broker(r, reg_of("Other", "broker-a", 0, "127.0.0.1:23911", 1), 1, 0, NULL);
    buf_clear(&b);
    routes_json_system(r, &b);
    EXPECT_BUF(b, "{\"brokerAddr\":\"127.0.0.1:23911\",\"topicList\":[\"Other\",\"broker-a\"]}");
    buf_free(&b);
}

Test(routes, only_the_last_connection_counts)
{
    put_broker(r, master(1), 1, 0, TOPICS("T1"));
    put_broker(r, master(5), 1, 0, NULL); /* reconnected */
    cr_assert(routes_conn_closed(r, 1) == 0);
    EXPECT_ROUTE(r, "T1", DATAS(MASTER) "\"filterServerTable\":{}," QUEUES(6, 0));
    put_broker(r, slave(5), 1, 0, NULL);
    cr_assert(routes_conn_closed(r, 77) == 0);
    cr_assert(routes_conn_closed(r, 5) == 2, "both that came through it");
    EXPECT_ROUTE(r, "T1", NULL);
    cr_assert(routes_conn_closed(r, 5) == 0);
}

Test(routes, silence_of_more_than_two_minutes_is_the_end)
{
    struct data_version v;
    put_broker(r, master(1), 1, 1000, TOPICS("T1"));
    put_broker(r, slave(2), 4, 1000, NULL);
    cr_assert(routes_sweep(r, 121000) == 0, "exactly 120 s");
    cr_assert(routes_version(r, SLICE_LIT("127.0.0.1:23951"), &v) && v.timestamp == 1 && v.counter == 4);
    routes_heard(r, SLICE_LIT("127.0.0.1:23951"), 60000);
    routes_heard(r, SLICE_LIT("nobody"), 60000);
    cr_assert(routes_sweep(r, 121001) == 1);
    EXPECT_ROUTE(r, "T1", DATAS(SLAVE) "\"filterServerTable\":{}," QUEUES(6, 0));
    cr_assert(!routes_version(r, SLICE_LIT("127.0.0.1:23911"), &v));
    cr_assert(routes_sweep(r, 180001) == 1);
    cr_assert(stats().brokers == 0 && stats().topics == 0);
}

Test(routes, a_deleted_topic_is_gone_until_the_version_changes)
{
    put_broker(r, master(1), 1, 0, TOPICS("T1", "T2"));
    put_broker(r, reg_of("C2", "broker-b", 0, "127.0.0.2:1", 3), 1, 0, TOPICS("T1", "T2"));
    routes_delete_topic_of(r, SLICE_LIT("T1"), SLICE_LIT("C2"));
    EXPECT_ROUTE(r, "T1", DATAS(MASTER) "\"filterServerTable\":{}," QUEUES(6, 0));
    routes_delete_topic_of(r, SLICE_LIT("T1"), SLICE_LIT("C2"));
    routes_delete_topic_of(r, SLICE_LIT("T1"), SLICE_LIT("DefaultCluster"));
    EXPECT_ROUTE(r, "T1", NULL);
    routes_delete_topic(r, SLICE_LIT("T2"));
    routes_delete_topic(r, SLICE_LIT("T2"));
    cr_assert(stats().topics == 0 && stats().queues == 0);
    put_broker(r, master(1), 1, 0, TOPICS("T1"));
    EXPECT_ROUTE(r, "T1", NULL);
    put_broker(r, master(1), 2, 0, TOPICS("T1"));
    EXPECT_ROUTE(r, "T1", DATAS(MASTER) "\"filterServerTable\":{}," QUEUES(6, 0));
}

Test(routes, names_are_bounded)
{
    char name[300];
    struct registration_result out;
    struct fault why;
    memset(name, 'n', sizeof name);
    name[256] = 0;
    struct registration bad[] = {reg_of("", "b", 0, "a:1", 1), reg_of("c", "", 0, "a:1", 1), reg_of("c", "b", 0, "", 1),
                                 reg_of(name, "b", 0, "a:1", 1), reg_of("c", name, 0, "a:1", 1), reg_of("c", "b", 0, name, 1),
                                 reg_of("c", "b\n", 0, "a:1", 1)};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect(routes_register(r, &bad[i], 0, &out, &why) == MQ_EINVAL, "registration %zu", i);
    cr_assert(stats().brokers == 0 && stats().addresses == 0);
    name[255] = 0;
    put_broker(r, reg_of(name, name, 0, name, 1), 1, 0, TOPICS("T"));

    struct topic_list l = {.names = TOPICS("T1", ""), .q = {4, 4, 6, 0}};
    struct registration reg = master(1);
    reg.topics = (struct topic_source){topic_list_next, &l};
    cr_assert(routes_register(r, &reg, 0, &out, &why) == MQ_EINVAL);
    struct data_version v;
    cr_assert(!routes_version(r, SLICE_LIT("127.0.0.1:23911"), &v), "the next registration reads all again");
}

Test(routes, a_broker_has_a_bounded_number_of_addresses)
{
    char addr[32];
    struct registration_result out;
    for (int i = 0; i <= ROUTES_ADDRS_MAX; i++) {
        snprintf(addr, sizeof addr, "h:%d", i);
        struct registration reg = reg_of("c", "b", i, addr, 1);
        cr_assert(routes_register(r, &reg, 0, &out, NULL) == (i < ROUTES_ADDRS_MAX ? MQ_OK : MQ_ELIMIT));
    }
    cr_assert(stats().addresses == ROUTES_ADDRS_MAX);
}

Test(routes, kept_answers_are_bounded)
{
    char name[256], addr[256], tail[240];
    struct slice got;
    memset(tail, 'x', sizeof tail);
    const char *topics[400 + 1];
    char text[400][16];
    for (int i = 0; i < 400; i++)
        topics[i] = (snprintf(text[i], sizeof text[i], "T%d", i), text[i]);
    topics[400] = NULL;
    for (int i = 0; i < 600; i++) { /* an answer of about 600 KB each, 400 of them: more than may be kept */
        snprintf(name, sizeof name, "b%d%.*s", i, (int)sizeof tail, tail);
        snprintf(addr, sizeof addr, "a%d%.*s", i, (int)sizeof tail, tail);
        put_broker(r, reg_of("c", name, 0, addr, 1), 1, 0, topics);
    }
    for (int i = 0; i < 400; i++) {
        cr_assert(routes_answer(r, slice_str(topics[i]), &got) && got.n > 500000);
        cr_assert(routes_answer(r, slice_str("T0"), &got), "asked again and again: it stays");
    }
    struct routes_stats s = stats();
    cr_assert(s.cached_bytes <= ROUTES_CACHE_MAX && s.cached > ROUTES_CACHE_MAX / 700000);
    cr_assert(s.encoded == 400, "T0 was built once");
}

Test(routes, running_out_of_memory_at_any_point_leaves_tables_that_work)
{
    for (uint64_t n = 1; n < 400; n++) {
        struct registration_result out;
        struct topic_list l = {.names = TOPICS("T1", "T2", "T3"), .q = {4, 4, 6, 0}};
        struct slice filter = SLICE_LIT("127.0.0.1:30000"), got;
        struct registration a = master(1), b = reg_of("Other", "broker-a", 0, "127.0.0.1:23951", 2), s = slave(3);
        enum mq_err err[3];
        a.topics = b.topics = (struct topic_source){topic_list_next, &l};
        a.filters_given = true;
        a.filters = &filter;
        a.n_filters = 1;
        a.ha_addr = slice_str("127.0.0.1:23912");
        mem_fail_after(n);
        err[0] = routes_register(r, &s, 0, &out, NULL);
        err[1] = routes_register(r, &a, 0, &out, NULL);
        l.at = 0;
        err[2] = routes_register(r, &b, 0, &out, NULL);
        bool answered = routes_answer(r, SLICE_LIT("T1"), &got);
        mem_fail_after(0);
        bool all = err[0] == MQ_OK && err[1] == MQ_OK && err[2] == MQ_OK && answered;

        l.at = 0;
        b.version.counter = 9;
        cr_assert(routes_register(r, &b, 0, &out, NULL) == MQ_OK && routes_answer(r, SLICE_LIT("T3"), &got), "after failure at %d", (int)n);
        routes_sweep(r, 1000000);
        cr_assert(stats().brokers == 0 && stats().clusters == 0 && stats().queues == 0 && stats().cached_bytes == 0, "at %d", (int)n);
        if (all)
            return;
    }
    cr_assert(false, "allocations do not end");
}
