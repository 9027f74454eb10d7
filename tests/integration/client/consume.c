/* consume.c - consumers against real servers. */
#include <poll.h>

#include "tests/integration/client/kit.h"

TestSuite(consume, .timeout = 120);

Test(consume, two_members_share_all_messages_and_one_takes_over_when_the_other_leaves)
{
    enum { N = 400 };
    struct kit k = kit_start(1);
    static struct seen a, b;
    make_topic(&k, "Shared", 8);
    struct cmq_producer *p = producer_of(&k, NULL, NULL);
    struct cmq_consumer *x = consumer_of(config_of(&k, "G"), "Shared", see_all, &a), *y = consumer_of(config_of(&k, "G"), "Shared", see_all, &b);
    AWAIT(20, queues_of(x, "Shared") == 4 && queues_of(y, "Shared") == 4);
    send_numbers(p, "Shared", 0, N);
    AWAIT(20, atomic_load(&a.total) + atomic_load(&b.total) >= N);
    nap_ms(200);
    for (int i = 0; i < N; i++)
        cr_expect(atomic_load(&a.times[i]) + atomic_load(&b.times[i]) == 1, "number %d: %d + %d", i, atomic_load(&a.times[i]), atomic_load(&b.times[i]));
    cr_expect(atomic_load(&a.total) == N / 2 && atomic_load(&b.total) == N / 2, "%d and %d", atomic_load(&a.total), atomic_load(&b.total));
    cmq_consumer_free(y);
    AWAIT(10, queues_of(x, "Shared") == 8);
    send_numbers(p, "Shared", N, N + 100);
    AWAIT(20, atomic_load(&a.total) >= N / 2 + 100);
    nap_ms(200);
    expect_each_once(&a, N, N + 100);
    cr_expect(atomic_load(&a.total) == N / 2 + 100, "nothing comes again: %d", atomic_load(&a.total));
    cmq_consumer_free(x);
    cmq_producer_free(p);
    kit_end(&k);
}

Test(consume, stopping_loses_no_progress)
{
    enum { N = 200 };
    struct kit k = kit_start(1);
    static struct seen s;
    make_topic(&k, "Stops", 4);
    struct cmq_producer *p = producer_of(&k, NULL, NULL);
    send_numbers(p, "Stops", 0, N);
    for (int round = 0; round < 20 && atomic_load(&s.total) < N; round++) {
        int before = atomic_load(&s.total);
        struct cmq_consumer *c = consumer_of(config_of(&k, "G"), "Stops", see_all, &s);
        AWAIT(20, atomic_load(&s.total) > before || atomic_load(&s.total) >= N);
        cmq_consumer_stop(c, 5000);
        int at_stop = atomic_load(&s.total);
        nap_ms(20);
        cr_expect(atomic_load(&s.total) == at_stop, "nothing is delivered after the stop");
        cmq_consumer_free(c);
    }
    struct cmq_consumer *c = consumer_of(config_of(&k, "G"), "Stops", see_all, &s);
    AWAIT(20, queues_of(c, "Stops") == 4);
    nap_ms(500);
    cmq_consumer_free(c);
    cr_expect(atomic_load(&s.total) == N, "%d", atomic_load(&s.total));
    expect_each_once(&s, 0, N);
    cmq_producer_free(p);
    kit_end(&k);
}

Test(consume, batches_hold_messages_of_one_queue_in_order)
{
    enum { N = 300 };
    struct kit k = kit_start(1);
    static struct seen s;
    struct cmq_error err;
    make_topic(&k, "Batches", 3);
    struct cmq_producer *p = producer_of(&k, NULL, NULL);
    send_numbers(p, "Batches", 0, N);
    struct cmq_config *c = config_of(&k, "G");
    OK(cmq_config_set(c, "consumeMessageBatchMaxSize", "16", &err));
    OK(cmq_config_set(c, "consumeThreads", "3", &err));
    OK(cmq_config_set(c, "pullThresholdForQueue", "20", &err)); /* the window fills and empties */
    struct cmq_consumer *x = consumer_of(c, "Batches", see_all, &s);
    AWAIT(20, atomic_load(&s.total) == N);
    cr_expect(atomic_load(&s.calls) < N, "%d calls", atomic_load(&s.calls));
    expect_each_once(&s, 0, N);
    struct cmq_consumer_stats stats;
    AWAIT(10, (cmq_consumer_get_stats(x, &stats), stats.waiting_messages == 0));
    cr_expect(stats.received == N && stats.consumed == N && stats.failed == 0 && stats.waiting_bytes == 0 && stats.queues >= 3);
    cmq_consumer_free(x);
    cmq_producer_free(p);
    kit_end(&k);
}

Test(consume, only_the_tags_asked_for_come)
{
    struct kit k = kit_start(1);
    static struct seen s;
    struct cmq_error err;
    struct cmq_consumer *c;
    static const char *const tags[] = {"red", "green", "blue", "BB", "Aa"}; /* the last two have the same hash */
    make_topic(&k, "Tags", 2);
    struct cmq_producer *p = producer_of(&k, NULL, NULL);
    for (int i = 0; i < 50; i++) {
        struct cmq_message *m = numbered("Tags", i);
        OK(cmq_message_set_tag(m, tags[i % 5], &err));
        OK(cmq_producer_send(p, m, NULL, &err));
        cmq_message_free(m);
    }
    struct cmq_config *cfg = config_of(&k, "G");
    OK(cmq_consumer_new(cfg, &c, &err));
    cmq_config_free(cfg);
    cr_expect(cmq_consumer_subscribe(c, "Tags", "red |", &err) == CMQ_ERR_ARGUMENT);
    OK(cmq_consumer_subscribe(c, "Tags", "red || BB", &err));
    OK(cmq_consumer_on_message(c, see_all, &s, &err));
    OK(cmq_consumer_start(c, &err));
    AWAIT(20, atomic_load(&s.total) == 20);
    nap_ms(200);
    for (int i = 0; i < 50; i++)
        cr_expect(atomic_load(&s.times[i]) == (i % 5 == 0 || i % 5 == 3), "number %d", i);
    cmq_consumer_free(c);
    cmq_producer_free(p);
    kit_end(&k);
}

Test(consume, broadcasting_members_each_get_all_and_find_their_place_again)
{
    enum { N = 60 };
    struct kit k = kit_start(1);
    static struct seen a, b;
    struct cmq_error err;
    char dir[200];
    make_topic(&k, "Broad", 4);
    struct cmq_producer *p = producer_of(&k, NULL, NULL);
    send_numbers(p, "Broad", 0, N);
    snprintf(dir, sizeof dir, "%s/offsets", cluster_dir(k.cluster));
    struct cmq_consumer *x[2];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 2; i++) {
            struct cmq_config *c = config_of(&k, "B");
            OK(cmq_config_set(c, "messageModel", "BROADCASTING", &err));
            OK(cmq_config_set(c, "localOffsetStoreDir", dir, &err));
            OK(cmq_config_set(c, "instanceName", i ? "two" : "one", &err));
            x[i] = consumer_of(c, "Broad", see_all, i ? &b : &a);
        }
        AWAIT(20, atomic_load(&a.total) >= N * (round + 1) && atomic_load(&b.total) >= N * (round + 1));
        nap_ms(100);
        cmq_consumer_free(x[0]);
        cmq_consumer_free(x[1]);
        if (round == 0)
            send_numbers(p, "Broad", N, 2 * N);
    }
    expect_each_once(&a, 0, 2 * N);
    expect_each_once(&b, 0, 2 * N);
    cmq_producer_free(p);
    kit_end(&k);
}

Test(consume, a_polled_message_counts_with_the_next_poll_or_a_commit)
{
    struct kit k = kit_start(1);
    struct cmq_error err;
    struct cmq_message *m;
    make_topic(&k, "Poll", 1);
    struct cmq_producer *p = producer_of(&k, NULL, NULL);
    send_numbers(p, "Poll", 0, 5);
    struct cmq_consumer *c = consumer_of(config_of(&k, "G"), "Poll", NULL, NULL);
    for (int i = 0; i < 3; i++) {
        OK(cmq_consumer_poll(c, 10000, &m, &err));
        cr_expect(number_in(m) == i && cmq_message_queue_offset(m) == i);
        cr_expect_str_eq(cmq_message_topic(m), "Poll");
        cmq_message_free(m);
    }
    cmq_consumer_free(c); /* 0 and 1 are consumed; 2 was only given */
    c = consumer_of(config_of(&k, "G"), "Poll", NULL, NULL);
    OK(cmq_consumer_poll(c, 10000, &m, &err));
    cr_expect(number_in(m) == 2, "%d", number_in(m));
    OK(cmq_consumer_commit(c, &err));
    cmq_message_free(m);
    cmq_consumer_free(c);
    c = consumer_of(config_of(&k, "G"), "Poll", NULL, NULL);
    OK(cmq_consumer_poll(c, 10000, &m, &err));
    cr_expect(number_in(m) == 3, "%d", number_in(m));
    struct cmq_message *last = m;
    OK(cmq_consumer_poll(c, 10000, &m, &err));
    cmq_message_free(m);
    int64_t began = now_ms();
    cr_expect(cmq_consumer_poll(c, 300, &m, &err) == CMQ_ERR_TIMEOUT && now_ms() - began >= 290);
    cmq_consumer_free(c);
    cr_expect(number_in(last) == 3, "a polled message outlives its consumer");
    cmq_message_free(last);
    cmq_producer_free(p);
    kit_end(&k);
}

Test(consume, a_descriptor_tells_when_to_dispatch)
{
    enum { N = 50 };
    struct kit k = kit_start(1);
    static struct seen s;
    struct cmq_error err;
    struct cmq_consumer *c;
    make_topic(&k, "Fd", 2);
    struct cmq_producer *p = producer_of(&k, NULL, NULL);
    struct cmq_config *cfg = config_of(&k, "G");
    OK(cmq_consumer_new(cfg, &c, &err));
    cmq_config_free(cfg);
    OK(cmq_consumer_subscribe(c, "Fd", "*", &err));
    int fd = cmq_consumer_fd(c);
    cr_assert(fd >= 0);
    cr_expect(cmq_consumer_start(c, &err) == CMQ_ERR_ARGUMENT, "without a callback there is nothing to dispatch");
    OK(cmq_consumer_on_message(c, see_all, &s, &err));
    OK(cmq_consumer_start(c, &err));
    struct pollfd pfd = {.fd = fd, .events = POLLIN};
    cr_expect(poll(&pfd, 1, 100) == 0 && cmq_consumer_dispatch(c, 10) == 0);
    send_numbers(p, "Fd", 0, N);
    int64_t due = now_ms() + 20000;
    while (atomic_load(&s.total) < N && now_ms() < due)
        if (poll(&pfd, 1, 1000) == 1)
            cr_expect(cmq_consumer_dispatch(c, 7) <= 7);
    expect_each_once(&s, 0, N);
    cr_expect(poll(&pfd, 1, 0) == 0, "nothing waits");
    cmq_consumer_free(c);
    cmq_producer_free(p);
    kit_end(&k);
}

Test(consume, assigned_queues_begin_where_seek_says)
{
    struct kit k = kit_start(1);
    struct cmq_error err;
    struct cmq_message *m;
    struct cmq_consumer *c;
    make_topic(&k, "Hand", 2);
    struct cmq_producer *p = producer_of(&k, NULL, NULL);
    for (int i = 0; i < 10; i++) {
        struct cmq_queue to = {"Hand", "broker-a", 1};
        m = numbered("Hand", i);
        OK(cmq_producer_send_to(p, m, &to, NULL, &err));
        cmq_message_free(m);
    }
    struct cmq_queue q = {"Hand", "broker-a", 1};
    for (int round = 0; round < 2; round++) {
        struct cmq_config *cfg = config_of(&k, "H");
        OK(cmq_consumer_new(cfg, &c, &err));
        cmq_config_free(cfg);
        OK(cmq_consumer_assign(c, &q, 1, &err));
        if (round == 0)
            OK(cmq_consumer_seek(c, &q, 6, &err));
        OK(cmq_consumer_start(c, &err));
        OK(cmq_consumer_poll(c, 10000, &m, &err));
        cr_expect(number_in(m) == (round ? 4 : 6), "round %d: %d", round, number_in(m));
        cmq_message_free(m);
        if (round == 0) {
            OK(cmq_consumer_seek(c, &q, 3, &err)); /* back, while it runs */
            OK(cmq_consumer_poll(c, 10000, &m, &err));
            cr_expect(number_in(m) == 3, "%d", number_in(m));
            cmq_message_free(m);
            OK(cmq_consumer_commit(c, &err));
            cr_expect(queues_of(c, "Hand") == 1);
        }
        cmq_consumer_free(c);
    }
    cr_expect(cmq_consumer_new(NULL, &c, &err) == CMQ_ERR_CONFIG);
    cmq_producer_free(p);
    kit_end(&k);
}

struct later {
    struct seen seen;
    atomic_int refused, times_seen_by_broker;
    _Atomic(const char *) wrong_topic;
};
static enum cmq_consume_result later_once(void *arg, const struct cmq_message *const *m, size_t n)
{
    struct later *l = arg;
    enum cmq_consume_result result = CMQ_CONSUME_SUCCESS;
    for (size_t i = 0; i < n; i++) {
        see(&l->seen, m[i]);
        if (strcmp(cmq_message_topic(m[i]), "Later") != 0)
            atomic_store(&l->wrong_topic, "a redelivered message has its own topic");
        if (cmq_message_reconsume_times(m[i]) > 0) {
            atomic_fetch_add(&l->times_seen_by_broker, 1);
        } else if (number_in(m[i]) % 2 == 0) {
            atomic_fetch_add(&l->refused, 1);
            result = CMQ_RECONSUME_LATER;
        }
    }
    return result;
}

Test(consume, what_is_refused_comes_again) /* from the retry topic, or after 5 s from here when no broker takes it back */
{
    enum { N = 10 };
    struct cluster *cluster = cluster_new();
    struct kit k = {.cluster = cluster};
    struct cmq_error err;
    static struct later l;
    cr_assert(cluster_namesrv(cluster, "ns") && cluster_broker(cluster, "broker-a", "messageDelayLevel=1s 1s 1s 1s 1s 1s\n"));
    struct cmq_config *c = config_of(&k, NULL);
    OK(cmq_admin_new(c, &k.admin, &err));
    cmq_config_free(c);
    make_topic(&k, "Later", 2);
    struct cmq_producer *p = producer_of(&k, NULL, NULL);
    send_numbers(p, "Later", 0, N);
    struct cmq_consumer *x = consumer_of(config_of(&k, "G"), "Later", later_once, &l);
    AWAIT(20, atomic_load(&l.refused) == N / 2);
    AWAIT(30, atomic_load(&l.times_seen_by_broker) == N / 2);
    for (int i = 0; i < N; i++)
        cr_expect(atomic_load(&l.seen.times[i]) == (i % 2 ? 1 : 2), "number %d came %d times", i, atomic_load(&l.seen.times[i]));
    cr_expect(atomic_load(&l.wrong_topic) == NULL, "%s", atomic_load(&l.wrong_topic));
    struct cmq_consumer_stats stats;
    AWAIT(10, (cmq_consumer_get_stats(x, &stats), stats.waiting_messages == 0));
    cr_expect(stats.failed == N / 2 && stats.consumed == N);
    cmq_consumer_free(x);
    cmq_producer_free(p);
    kit_end(&k);
}

struct verdicts {
    struct seen seen;
    atomic_int again;
};
/* 0: never again; 1: by level 1; 2: whenever the broker likes, which is level 3. */
static enum cmq_consume_result by_number(void *arg, const struct cmq_message *const *m, size_t n)
{
    static const enum cmq_consume_result first[] = {CMQ_CONSUME_GIVE_UP, CMQ_RECONSUME_AT_LEVEL + 1, CMQ_RECONSUME_LATER};
    struct verdicts *v = arg;
    (void)n;
    see(&v->seen, m[0]);
    if (cmq_message_reconsume_times(m[0]) == 0)
        return first[number_in(m[0]) % 3];
    atomic_fetch_add(&v->again, 1);
    return CMQ_CONSUME_SUCCESS;
}

Test(consume, a_callback_says_when_a_message_comes_again_or_that_it_never_shall)
{
    struct cluster *cluster = cluster_new();
    struct kit k = {.cluster = cluster};
    struct cmq_error err;
    static struct verdicts v, ordered;
    static struct seen dead;
    cr_assert(cluster_namesrv(cluster, "ns") && cluster_broker(cluster, "broker-a", "messageDelayLevel=1s 1h 1h 1h\n"));
    struct cmq_config *c = config_of(&k, NULL);
    OK(cmq_admin_new(c, &k.admin, &err));
    cmq_config_free(c);
    make_topic(&k, "Verdict", 1);
    make_topic(&k, "%DLQ%G", 1); /* else its reader would look for it for a while */
    make_topic(&k, "InOrder", 1);
    make_topic(&k, "%DLQ%O", 1);
    struct cmq_producer *p = producer_of(&k, NULL, NULL);
    struct cmq_consumer *d = consumer_of(config_of(&k, "undertaker"), "%DLQ%G", see_all, &dead), *o;
    OK(cmq_consumer_subscribe(d, "%DLQ%O", "*", &err));
    send_numbers(p, "Verdict", 0, 3);
    struct cmq_consumer *x = consumer_of(config_of(&k, "G"), "Verdict", by_number, &v);
    AWAIT(30, atomic_load(&v.again) == 1 && atomic_load(&dead.times[0]) == 1);
    cr_expect(atomic_load(&v.seen.times[0]) == 1 && atomic_load(&v.seen.times[1]) == 2 && atomic_load(&v.seen.times[2]) == 1);

    c = config_of(&k, "O");
    OK(cmq_consumer_new(c, &o, &err));
    cmq_config_free(c);
    OK(cmq_consumer_subscribe(o, "InOrder", "*", &err));
    OK(cmq_consumer_on_message_orderly(o, by_number, &ordered, &err));
    send_numbers(p, "InOrder", 3, 6); /* in order: the first is buried, the others come again at once */
    OK(cmq_consumer_start(o, &err));
    AWAIT(30, atomic_load(&ordered.again) == 2 && atomic_load(&dead.times[3]) == 1);
    cr_expect(atomic_load(&ordered.seen.times[3]) == 1 && atomic_load(&ordered.seen.times[4]) == 2 && atomic_load(&ordered.seen.times[5]) == 2);
    cmq_consumer_free(o);
    cmq_consumer_free(x);
    cmq_consumer_free(d);
    cmq_producer_free(p);
    kit_end(&k);
}

struct away {
    atomic_int first, again;
    atomic_bool gone;
    _Atomic(const char *) wrong;
};
static enum cmq_consume_result later_when_gone(void *arg, const struct cmq_message *const *m, size_t n)
{
    struct away *a = arg;
    (void)n;
    if (cmq_message_reconsume_times(m[0]) == 0) {
        atomic_fetch_add(&a->first, 1);
        while (!atomic_load(&a->gone))
            nap_ms(10);
        return CMQ_RECONSUME_LATER;
    }
    if (strcmp(cmq_message_topic(m[0]), "Away") != 0 || cmq_message_reconsume_times(m[0]) != 1 || cmq_message_property(m[0], "ORIGIN_MESSAGE_ID") == NULL)
        atomic_store(&a->wrong, "it is another message");
    if (strcmp(cmq_message_broker_name(m[0]), "broker-b") != 0)
        atomic_store(&a->wrong, "from another broker");
    atomic_fetch_add(&a->again, 1);
    return CMQ_CONSUME_SUCCESS;
}

Test(consume, what_its_broker_cannot_take_back_comes_again_from_another)
{
    static const char levels[] = "messageDelayLevel=1s 1s 1s 1s 1s 1s\n";
    struct cluster *cluster = cluster_new();
    struct kit k = {.cluster = cluster};
    struct cmq_error err;
    static struct away a;
    cr_assert(cluster_namesrv(cluster, "ns") && cluster_broker(cluster, "broker-a", levels) && cluster_broker(cluster, "broker-b", levels));
    struct cmq_config *c = config_of(&k, NULL);
    OK(cmq_admin_new(c, &k.admin, &err));
    cmq_config_free(c);
    make_topic(&k, "Away", 1);
    struct cmq_producer *p = producer_of(&k, NULL, NULL);
    struct cmq_message *m = numbered("Away", 1);
    const struct cmq_queue to = {.topic = "Away", .broker_name = "broker-a"};
    OK(cmq_producer_send_to(p, m, &to, NULL, &err));
    cmq_message_free(m);
    struct cmq_consumer *x = consumer_of(config_of(&k, "G"), "Away", later_when_gone, &a);
    AWAIT(20, atomic_load(&a.first) == 1);
    AWAIT(60, queues_of(x, "%RETRY%G") == 2); /* it asks for routes every 30 s */
    cr_assert(cluster_kill(cluster, "broker-a"));
    atomic_store(&a.gone, true);
    AWAIT(60, atomic_load(&a.again) == 1);
    cr_expect(atomic_load(&a.wrong) == NULL, "%s", atomic_load(&a.wrong));
    cmq_consumer_free(x);
    cmq_producer_free(p);
    kit_end(&k);
}

Test(consume, a_consumer_outlives_its_broker)
{
    enum { N = 50 };
    struct kit k = kit_start(1);
    static struct seen s;
    make_topic(&k, "Restart", 2);
    struct cmq_producer *p = producer_of(&k, NULL, NULL);
    struct cmq_consumer *c = consumer_of(config_of(&k, "G"), "Restart", see_all, &s);
    send_numbers(p, "Restart", 0, N);
    AWAIT(20, atomic_load(&s.total) == N);
    cr_assert(cluster_kill(k.cluster, "broker-a"));
    nap_ms(300);
    cr_assert(cluster_restart(k.cluster, "broker-a"));
    send_numbers(p, "Restart", N, 2 * N);
    AWAIT(30, atomic_load(&s.total) >= 2 * N);
    for (int i = 0; i < 2 * N; i++)
        cr_expect(atomic_load(&s.times[i]) >= 1, "number %d", i);
    cmq_consumer_free(c);
    cmq_producer_free(p);
    kit_end(&k);
}

Test(consume, without_any_server_a_consumer_starts_and_stops)
{
    char servers[64];
    struct cmq_error err;
    struct cmq_message *m;
    struct cmq_config *cfg = cmq_config_new();
    snprintf(servers, sizeof servers, "127.0.0.1:%u", cluster_free_port());
    OK(cmq_config_set(cfg, "namesrvAddr", servers, &err));
    OK(cmq_config_set(cfg, "consumerGroup", "G", &err));
    struct cmq_consumer *c = consumer_of(cfg, "T", NULL, NULL);
    cr_expect(cmq_consumer_poll(c, 100, &m, &err) == CMQ_ERR_TIMEOUT);
    int64_t began = now_ms();
    cmq_consumer_stop(c, 1000);
    cr_expect(cmq_consumer_poll(c, 100, &m, &err) == CMQ_ERR_STATE);
    cmq_consumer_free(c);
    cr_expect(now_ms() - began < 5000);
}

static enum cmq_consume_result keep_copies(void *arg, const struct cmq_message *const *m, size_t n)
{
    struct cmq_message *copy = cmq_message_copy(m[0]); /* while others take its neighbours */
    (void)n;
    see(arg, copy);
    cr_expect_str_eq(cmq_message_id(copy), cmq_message_id(m[0]));
    cmq_message_free(copy);
    return CMQ_CONSUME_SUCCESS;
}

Test(consume, a_callback_may_keep_a_copy)
{
    enum { N = 500 };
    struct kit k = kit_start(1);
    static struct seen s;
    make_topic(&k, "Copies", 1);
    struct cmq_producer *p = producer_of(&k, NULL, NULL);
    send_numbers(p, "Copies", 0, N);
    struct cmq_consumer *c = consumer_of(config_of(&k, "G"), "Copies", keep_copies, &s);
    AWAIT(20, atomic_load(&s.total) == N);
    expect_each_once(&s, 0, N);
    cmq_consumer_free(c);
    cmq_producer_free(p);
    kit_end(&k);
}
