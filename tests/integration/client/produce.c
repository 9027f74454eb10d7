/* produce.c - producers against real servers. */
#include "tests/integration/client/kit.h"

TestSuite(produce, .timeout = 120);

Test(produce, a_sync_send_tells_where_the_message_is)
{
    struct kit k = kit_start(1);
    struct cmq_error err;
    struct cmq_send_result r;
    make_topic(&k, "Sync", 2);
    struct cmq_producer *p = producer_of(&k, NULL, NULL);
    for (int i = 0; i < 4; i++) {
        struct cmq_message *m = numbered("Sync", i);
        OK(cmq_message_set_tag(m, "t", &err));
        OK(cmq_producer_send(p, m, &r, &err));
        cr_expect(r.status == CMQ_SEND_OK && r.queue_id >= 0 && r.queue_id < 2);
        cr_expect(r.queue_offset == i / 2, "queues take turns: message %d has offset %d", i, (int)r.queue_offset);
        cr_expect_str_eq(r.broker_name, "broker-a");
        cr_expect(strlen(r.msg_id) >= 32 && strlen(r.offset_msg_id) == 32, "%s %s", r.msg_id, r.offset_msg_id);
        cr_expect_str_eq(r.msg_id, cmq_message_id(m));
        cmq_message_free(m);
    }
    struct cmq_queue q = {"Sync", "broker-a", 1};
    int64_t off = -1;
    OK(cmq_admin_max_offset(k.admin, &q, &off, &err));
    cr_expect(off == 2);
    struct cmq_producer_stats stats;
    cmq_producer_get_stats(p, &stats);
    cr_expect(stats.sent == 4 && stats.failed == 0 && stats.waiting == 0 && stats.bytes == 4);
    cmq_producer_free(p);
    kit_end(&k);
}

Test(produce, an_unknown_topic_is_made_by_the_broker)
{
    struct kit k = kit_start(1);
    struct cmq_error err;
    struct cmq_producer *p = producer_of(&k, NULL, NULL);
    send_numbers(p, "MadeBySending", 0, 10);
    struct cmq_queue q = {"MadeBySending", "broker-a", 0};
    int64_t off = -1;
    AWAIT(10, cmq_admin_max_offset(k.admin, &q, &off, &err) == CMQ_OK);
    cr_expect(off >= 2, "%d", (int)off);
    cmq_producer_free(p);
    kit_end(&k);
}

Test(produce, wrong_messages_are_refused_before_anything_is_sent)
{
    struct kit k = kit_start(1);
    struct cmq_error err;
    struct cmq_producer *p = producer_of(&k, "maxMessageSize", "100");
    static const char body[101] = "x";
    static const struct {
        const char *topic;
        size_t n;
    } bad[] = {{"", 1}, {"a b", 1}, {"T", 0}, {"T", 101}};
    for (size_t i = 0; i < 4; i++) {
        struct cmq_message *m = cmq_message_new(bad[i].topic, body, bad[i].n);
        cr_expect(cmq_producer_send(p, m, NULL, &err) == CMQ_ERR_ARGUMENT && !err.retriable, "%s", err.words);
        cr_expect(cmq_producer_send_async(p, m, NULL, NULL, &err) == CMQ_ERR_ARGUMENT);
        cr_expect(cmq_producer_send_oneway(p, m, &err) == CMQ_ERR_ARGUMENT);
        cmq_message_free(m);
    }
    cmq_producer_free(p);
    kit_end(&k);
}

struct answers {
    atomic_int ok, failed;
    atomic_int last;
};
static void on_sent(void *arg, const struct cmq_send_result *r, const struct cmq_error *e)
{
    struct answers *a = arg;
    if (r == NULL)
        atomic_store(&a->last, (int)e->code);
    atomic_fetch_add(r != NULL ? &a->ok : &a->failed, 1);
}

Test(produce, asynchronous_sends_are_each_answered_once)
{
    enum { N = 20000 };
    struct kit k = kit_start(1);
    struct cmq_error err;
    struct answers a = {0};
    make_topic(&k, "Async", 4);
    struct cmq_producer *p = producer_of(&k, "sendMsgTimeout", "60000");
    for (int i = 0; i < N; i++) {
        struct cmq_message *m = numbered("Async", i);
        enum cmq_code code;
        while ((code = cmq_producer_send_async(p, m, on_sent, &a, &err)) == CMQ_ERR_FULL)
            nap_ms(1);
        cr_assert(code == CMQ_OK, "%s", err.words);
    }
    cmq_producer_stop(p, 30000);
    cr_expect(atomic_load(&a.ok) == N && atomic_load(&a.failed) == 0, "%d ok, %d failed, last %s", atomic_load(&a.ok), atomic_load(&a.failed),
              cmq_code_name((enum cmq_code)atomic_load(&a.last)));
    struct cmq_message *m = numbered("Async", 0);
    cr_expect(cmq_producer_send_async(p, m, on_sent, &a, &err) == CMQ_ERR_STATE && err.fatal);
    cr_expect(cmq_producer_send(p, m, NULL, &err) == CMQ_ERR_STATE);
    cmq_message_free(m);
    cmq_producer_free(p);
    int64_t sum = 0;
    for (int i = 0; i < 4; i++) {
        struct cmq_queue q = {"Async", "broker-a", i};
        int64_t off = 0;
        OK(cmq_admin_max_offset(k.admin, &q, &off, &err));
        sum += off;
    }
    cr_expect(sum == N, "%d", (int)sum);
    kit_end(&k);
}

Test(produce, more_than_may_wait_is_refused)
{
    struct kit k = kit_start(1);
    struct cmq_error err;
    struct answers a = {0};
    make_topic(&k, "Full", 1);
    struct cmq_producer *p = producer_of(&k, "asyncMaxMessages", "10");
    send_numbers(p, "Full", 0, 1);
    cluster_pause(k.cluster, "broker-a");
    int taken = 0;
    for (int i = 0; i < 30; i++) {
        struct cmq_message *m = numbered("Full", i);
        enum cmq_code code = cmq_producer_send_async(p, m, on_sent, &a, &err);
        taken += code == CMQ_OK;
        if (code != CMQ_OK) {
            cr_expect(code == CMQ_ERR_FULL && err.retriable);
            cmq_message_free(m);
        }
    }
    cr_expect(taken == 10);
    cluster_resume(k.cluster, "broker-a");
    cmq_producer_free(p);
    cr_expect(atomic_load(&a.ok) == 10);
    kit_end(&k);
}

Test(produce, more_than_both_sides_can_buffer_still_gets_through)
{
    enum { N = 60000 };
    static const char body[256] = "x";
    struct kit k = kit_start(1);
    struct cmq_error err;
    struct answers a = {0};
    make_topic(&k, "Flood", 4);
    struct cmq_config *c = config_of(&k, NULL);
    struct cmq_producer *p;
    OK(cmq_config_set(c, "asyncMaxMessages", "60000", &err));
    OK(cmq_config_set(c, "sendMsgTimeout", "60000", &err));
    OK(cmq_producer_new(c, &p, &err));
    cmq_config_free(c);
    send_numbers(p, "Flood", 0, 1);
    cluster_pause(k.cluster, "broker-a");
    for (int i = 0; i < N; i++)
        OK(cmq_producer_send_async(p, cmq_message_new("Flood", body, sizeof body), on_sent, &a, &err));
    nap_ms(200);
    cluster_resume(k.cluster, "broker-a");
    cmq_producer_stop(p, 50000);
    cr_expect(atomic_load(&a.ok) == N && atomic_load(&a.failed) == 0, "%d ok, %d failed", atomic_load(&a.ok), atomic_load(&a.failed));
    cmq_producer_free(p);
    kit_end(&k);
}

Test(produce, free_while_sends_wait_calls_each_callback_once)
{
    enum { N = 500 };
    struct kit k = kit_start(1);
    struct cmq_error err;
    struct answers a = {0};
    make_topic(&k, "Freed", 4);
    struct cmq_producer *p = producer_of(&k, "sendMsgTimeout", "60000");
    send_numbers(p, "Freed", 0, 1);
    cluster_pause(k.cluster, "broker-a");
    for (int i = 0; i < N; i++)
        OK(cmq_producer_send_async(p, numbered("Freed", i), on_sent, &a, &err));
    for (int i = 0; i < 10; i++)
        OK(cmq_producer_send_async(p, numbered("NoRouteYet", i), on_sent, &a, &err));
    cmq_producer_free(p); /* waits 3 s in vain */
    cr_expect(atomic_load(&a.ok) + atomic_load(&a.failed) == N + 10 && atomic_load(&a.failed) >= N, "%d ok, %d failed", atomic_load(&a.ok),
              atomic_load(&a.failed));
    kit_end(&k);
}

Test(produce, one_way_sends_arrive)
{
    struct kit k = kit_start(1);
    struct cmq_error err;
    make_topic(&k, "Oneway", 1);
    struct cmq_producer *p = producer_of(&k, NULL, NULL);
    for (int i = 0; i < 100; i++) {
        struct cmq_message *m = numbered("Oneway", i);
        OK(cmq_producer_send_oneway(p, m, &err));
        cmq_message_free(m);
    }
    struct cmq_queue q = {"Oneway", "broker-a", 0};
    int64_t off = 0;
    AWAIT(10, cmq_admin_max_offset(k.admin, &q, &off, &err) == CMQ_OK && off == 100);
    cmq_producer_free(p);
    kit_end(&k);
}

static size_t pick_last(void *arg, const struct cmq_message *m, const struct cmq_queue *q, size_t n)
{
    (void)arg, (void)m;
    for (size_t i = 1; i < n; i++)
        if (strcmp(q[i - 1].broker_name, q[i].broker_name) > 0 || (strcmp(q[i - 1].broker_name, q[i].broker_name) == 0 && q[i - 1].queue_id >= q[i].queue_id))
            return n; /* not sorted */
    return n - 1;
}

Test(produce, a_selector_keeps_the_order_of_one_key)
{
    struct kit k = kit_start(1);
    struct cmq_error err;
    struct cmq_send_result r;
    char key[] = "customer 7";
    make_topic(&k, "Selected", 8);
    struct cmq_producer *p = producer_of(&k, NULL, NULL);
    int32_t queue = -1;
    for (int i = 0; i < 20; i++) {
        struct cmq_message *m = numbered("Selected", i);
        OK(cmq_producer_send_selected(p, m, cmq_select_by_hash, key, &r, &err));
        cr_expect(r.queue_offset == i && (queue < 0 || r.queue_id == queue));
        queue = r.queue_id;
        cmq_message_free(m);
    }
    struct cmq_message *m = numbered("Selected", 0);
    OK(cmq_producer_send_selected(p, m, pick_last, NULL, &r, &err));
    cr_expect(r.queue_id == 7);
    struct cmq_queue to = {"Selected", "broker-a", 2};
    OK(cmq_producer_send_to(p, m, &to, &r, &err));
    cr_expect(r.queue_id == 2);
    to.broker_name = "nobody";
    cr_expect(cmq_producer_send_to(p, m, &to, &r, &err) == CMQ_ERR_UNREACHABLE, "%s", err.words);
    to = (struct cmq_queue){"Another", "broker-a", 2};
    cr_expect(cmq_producer_send_to(p, m, &to, &r, &err) == CMQ_ERR_ARGUMENT);
    cmq_message_free(m);
    cmq_producer_free(p);
    kit_end(&k);
}

Test(produce, a_batch_is_stored_side_by_side)
{
    struct kit k = kit_start(1);
    struct cmq_error err;
    struct cmq_send_result r;
    struct cmq_message *m[10];
    make_topic(&k, "Batch", 2);
    struct cmq_producer *p = producer_of(&k, NULL, NULL);
    for (int i = 0; i < 10; i++)
        m[i] = numbered("Batch", i);
    OK(cmq_producer_send_batch(p, m, 10, &r, &err));
    cr_expect(r.queue_offset == 0);
    cr_expect_str_eq(r.msg_id, cmq_message_id(m[0]));
    struct cmq_queue q = {"Batch", "broker-a", r.queue_id};
    int64_t off = 0;
    OK(cmq_admin_max_offset(k.admin, &q, &off, &err));
    cr_expect(off == 10);
    cmq_message_set_delay_level(m[3], 1);
    cr_expect(cmq_producer_send_batch(p, m, 10, &r, &err) == CMQ_ERR_ARGUMENT);
    cr_expect(cmq_producer_send_batch(p, m, 0, &r, &err) == CMQ_ERR_ARGUMENT);
    for (int i = 0; i < 10; i++)
        cmq_message_free(m[i]);
    cmq_producer_free(p);
    kit_end(&k);
}

static bool file_has(const struct kit *k, const char *file, const char *text)
{
    char path[300], content[8192] = "";
    snprintf(path, sizeof path, "%s/%s", cluster_dir(k->cluster), file);
    FILE *f = fopen(path, "r");
    if (f == NULL)
        return false;
    size_t n = fread(content, 1, sizeof content - 1, f);
    fclose(f);
    return n > 0 && strstr(content, text) != NULL;
}

Test(produce, a_killed_broker_is_got_round)
{
    struct kit k = kit_start(2);
    struct cmq_error err;
    struct cmq_send_result r;
    make_topic(&k, "Failover", 4);
    struct cmq_producer *p = producer_of(&k, "pollNameServerInterval", "1000");
    send_numbers(p, "Failover", 0, 16);
    AWAIT(10, file_has(&k, "broker-b/config/topics.json", "Failover")); /* it is written a moment after the answer */
    cr_assert(cluster_kill(k.cluster, "broker-b"));
    for (int i = 0; i < 100; i++) {
        struct cmq_message *m = numbered("Failover", i);
        OK(cmq_producer_send(p, m, &r, &err));
        cr_expect_str_eq(r.broker_name, "broker-a");
        cmq_message_free(m);
    }
    struct answers a = {0};
    for (int i = 0; i < 100; i++)
        OK(cmq_producer_send_async(p, numbered("Failover", i), on_sent, &a, &err));
    AWAIT(20, atomic_load(&a.ok) == 100);
    struct cmq_producer_stats stats;
    cmq_producer_get_stats(p, &stats);
    cr_expect(stats.failed == 0 && stats.retried >= 1);
    cr_assert(cluster_restart(k.cluster, "broker-b"));
    bool seen_b = false;
    for (int64_t due = now_ms() + 20000; !seen_b && now_ms() < due; nap_ms(20)) {
        struct cmq_message *m = numbered("Failover", 0);
        OK(cmq_producer_send(p, m, &r, &err));
        seen_b = strcmp(r.broker_name, "broker-b") == 0;
        cmq_message_free(m);
    }
    cr_expect(seen_b, "it is used again when it is back");
    cmq_producer_free(p);
    kit_end(&k);
}

Test(produce, unreachable_name_servers_are_told_in_time)
{
    char servers[64];
    struct cmq_config *c = cmq_config_new();
    struct cmq_producer *p;
    struct cmq_error err;
    snprintf(servers, sizeof servers, "127.0.0.1:%u;127.0.0.1:%u", cluster_free_port(), cluster_free_port());
    OK(cmq_config_set(c, "namesrvAddr", servers, &err));
    OK(cmq_config_set(c, "sendMsgTimeout", "1000", &err));
    OK(cmq_producer_new(c, &p, &err));
    struct cmq_message *m = numbered("T", 0);
    int64_t began = now_ms();
    cr_expect(cmq_producer_send(p, m, NULL, &err) == CMQ_ERR_UNREACHABLE && err.retriable && !err.fatal, "%s", err.words);
    cr_expect(cmq_producer_send_oneway(p, m, &err) == CMQ_ERR_UNREACHABLE, "%s", err.words);
    struct answers a = {0};
    OK(cmq_producer_send_async(p, m, on_sent, &a, &err));
    AWAIT(5, atomic_load(&a.failed) == 1);
    cr_expect((enum cmq_code)atomic_load(&a.last) == CMQ_ERR_UNREACHABLE);
    cr_expect(now_ms() - began < 4500, "%d ms", (int)(now_ms() - began));
    cmq_producer_free(p);
    cmq_config_free(c);
}

Test(produce, a_name_server_that_is_down_is_passed_over)
{
    struct kit k = kit_start(1);
    char servers[200];
    make_topic(&k, "Names", 1);
    snprintf(servers, sizeof servers, "127.0.0.1:%u;%s", cluster_free_port(), cluster_names(k.cluster));
    for (int i = 0; i < 4; i++) { /* the first to be asked is drawn at random */
        struct cmq_producer *p = producer_of(&k, "namesrvAddr", servers);
        send_numbers(p, "Names", 0, 1);
        cmq_producer_free(p);
    }
    struct cmq_producer *p = producer_of(&k, NULL, NULL);
    send_numbers(p, "Names", 0, 1);
    cr_assert(cluster_kill(k.cluster, "ns"));
    send_numbers(p, "Names", 0, 10); /* what is known already goes on */
    cmq_producer_free(p);
    kit_end(&k);
}

static void on_sent_blocks(void *arg, const struct cmq_send_result *r, const struct cmq_error *e)
{
    struct cmq_producer *p = arg;
    struct cmq_error err;
    struct cmq_message *m = numbered("Callback", 1);
    (void)r, (void)e;
    cr_expect(cmq_producer_send(p, m, NULL, &err) == CMQ_ERR_STATE && !err.fatal, "it would wait for itself");
    static struct answers none;
    cr_expect(cmq_producer_send_async(p, m, on_sent, &none, &err) == CMQ_OK);
}

Test(produce, a_callback_may_send_but_not_wait)
{
    struct kit k = kit_start(1);
    struct cmq_error err;
    make_topic(&k, "Callback", 1);
    struct cmq_producer *p = producer_of(&k, NULL, NULL);
    OK(cmq_producer_send_async(p, numbered("Callback", 0), on_sent_blocks, p, &err));
    struct cmq_queue q = {"Callback", "broker-a", 0};
    int64_t off = 0;
    AWAIT(10, cmq_admin_max_offset(k.admin, &q, &off, &err) == CMQ_OK && off == 2);
    cmq_producer_free(p);
    kit_end(&k);
}
