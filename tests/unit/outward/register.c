/* register.c - a broker and its name servers: who is told what, and when. The name servers are servers of ours in the same loop that
 * take notes, answer as they are told, or keep silent. */
#include "broker/outward/register.h"

#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/protocol/codes.h"
#include "common/remoting/server.h"
#include "tests/unit/metadata/disk.h"

enum { SERVERS = 2, SEEN_MAX = 32 };
struct seen { /* a request that came */
    int32_t code, version;
    size_t topics;    /* in the body of a 103 */
    char names[200];  /* of these topics, when they are few: "a,b," */
    char fields[300]; /* "brokerName=..;" in the order of coming */
};
struct name_server_double {
    struct server *server;
    struct seen seen[SEEN_MAX];
    int n, code;      /* code: what it answers */
    bool silent;
    const char *changed, *body; /* of its answers to 322 and 103 */
    struct ticket held;
};
static struct loop *l;
static struct caller *caller;
static struct topics *t;
static struct registrar *r;
static struct broker_config cfg;
static struct name_server_double ns[SERVERS];
static char addresses[100];

static void note_topics(struct seen *s, struct slice body)
{
    json_t *root = json_parse(body, NULL), *value;
    const char *key;
    size_t n = 0;
    json_object_foreach(json_object_get(json_object_get(root, "topicConfigSerializeWrapper"), "topicConfigTable"), key, value)
    {
        s->topics++;
        n += n < 150 ? (size_t)snprintf(s->names + n, sizeof s->names - n, "%s,", key) : 0;
    }
    json_decref(root);
}

static enum handled on_request(void *ctx, const struct request *rq, struct reply *out)
{
    struct name_server_double *d = ctx;
    cr_assert(d->n < SEEN_MAX);
    struct seen *s = &d->seen[d->n++];
    *s = (struct seen){.code = rq->cmd->code, .version = rq->cmd->version};
    size_t n = 0;
    for (uint32_t i = 0; i < rq->cmd->n_ext && n < 200; i++)
        n += (size_t)snprintf(s->fields + n, sizeof s->fields - n, "%.*s=%.*s;", SLICE_ARG(rq->cmd->ext[i].key), SLICE_ARG(rq->cmd->ext[i].value));
    if (s->code == REQ_REGISTER_BROKER)
        note_topics(s, rq->cmd->body);
    d->held = rq->ticket;
    if (d->silent)
        return HANDLED_LATER;
    if (d->code)
        return (enum handled)reply_refuse(out, d->code, "refused by the test");
    if (s->code == REQ_QUERY_DATA_VERSION)
        reply_str(out, "changed", slice_str(d->changed));
    if (s->code == REQ_REGISTER_BROKER && d->body)
        buf_str(&out->body, d->body);
    return HANDLED_NOW;
}

static void open_double(struct name_server_double *d, uint16_t port)
{
    const struct request_route routes[] = {
        {REQ_REGISTER_BROKER, on_request, d}, {REQ_UNREGISTER_BROKER, on_request, d}, {REQ_QUERY_DATA_VERSION, on_request, d}};
    const struct server_config sc = {.bind_addr = "127.0.0.1", .ports = {port}, .n_ports = 1};
    struct fault why;
    cr_assert(server_new(l, &sc, NULL, &d->server, &why) == MQ_OK, "%s", why.what);
    cr_assert(server_route(d->server, routes, 3) == MQ_OK);
}

static void on_topic(void *ctx, const struct topic_config *c)
{
    (void)ctx;
    if (r)
        c ? registrar_topic_changed(r, slice_str(c->name)) : registrar_all_changed(r);
}

static void make_registrar(const char *list)
{
    const struct registrar_setup setup = {l, caller, &cfg, t, {"DefaultCluster", "broker-a", "127.0.0.1:10911", "127.0.0.1:10912", 0}};
    struct fault why;
    mem_free(cfg.namesrv_addr);
    cfg.namesrv_addr = mem_strdup(list);
    cr_assert(registrar_new(&setup, &r, &why) == MQ_OK, "%s", why.what);
}

static void start(void)
{
    static const struct topics_listener listener = {.changed = on_topic};
    const struct topics_setup setup = {.cluster_name = "DefaultCluster", .broker_name = "broker-a", .trace_topic = "T", .auto_create = true,
                                       .cluster_topic = true, .broker_topic = true, .default_queues = 8};
    struct config_file *f;
    log_set_level(LOG_OFF);
    disk_reset();
    cr_assert(loop_new(&l, NULL) == MQ_OK && caller_new(l, NULL, &caller, NULL) == MQ_OK);
    cr_assert(config_file_new(&disk_io, &works_exec, "config/topics.json", &f) == MQ_OK && topics_open(f, &setup, &listener, 1000, &t, NULL) == MQ_OK);
    cr_assert(broker_config_load(&cfg, NULL, NULL, NULL) == MQ_OK);
    for (int i = 0; i < SERVERS; i++)
        open_double(&ns[i], 0);
    snprintf(addresses, sizeof addresses, "127.0.0.1:%u; 127.0.0.1:%u;", server_port(ns[0].server, 0), server_port(ns[1].server, 0));
    make_registrar(addresses);
}
static void stop(void)
{
    caller_free(caller);
    registrar_free(r);
    r = NULL;
    for (int i = 0; i < SERVERS; i++)
        server_free(ns[i].server);
    works_all();
    topics_close(t);
    broker_config_free(&cfg);
    loop_free(l);
    disk_reset();
}
TestSuite(registrar, .init = start, .fini = stop);

/* ---- running ---- */
struct wait {
    int *figure, want;
    int64_t end_ms;
};
static void on_look(void *arg)
{
    struct wait *w = arg;
    if (*w->figure >= w->want || clock_mono_ms() >= w->end_ms)
        loop_stop(l);
}
static bool wait_for(int *figure, int want, int ms)
{
    struct wait w = {figure, want, clock_mono_ms() + ms};
    struct loop_timer tick;
    loop_timer_init(&tick, l, on_look, &w);
    cr_assert(loop_timer_start(&tick, 1, 1));
    loop_run(l);
    loop_timer_stop(&tick);
    return *figure >= want;
}
static void run(int ms)
{
    int none = 0;
    wait_for(&none, 1, ms);
}
static void registered(void)
{
    registrar_start(r);
    cr_assert(wait_for(&ns[0].n, 1, 3000) && wait_for(&ns[1].n, 1, 3000));
    run(20);
    cr_assert(registrar_known_at(r) == 2);
}
static void put(const char *name) { cr_assert(topics_put(t, slice_str(name), 4, 4, 6, 0, false, 2000, NULL) != NULL); }

static int n_current;
static void on_current(void *arg)
{
    (void)arg;
    n_current++;
}

/* ---- telling ---- */
Test(registrar, nothing_is_sent_before_the_start_and_then_everything_to_all)
{
    run(30);
    cr_assert(ns[0].n == 0 && registrar_known_at(r) == 0);
    registered();
    for (int i = 0; i < SERVERS; i++) {
        cr_assert(ns[i].n == 1 && ns[i].seen[0].code == REQ_REGISTER_BROKER && ns[i].seen[0].version == 409);
        cr_assert(ns[i].seen[0].topics == topics_count(t));
        static const char first[] = "brokerName=broker-a;brokerAddr=127.0.0.1:10911;clusterName=DefaultCluster;brokerId=0;haServerAddr=127.0.0.1:10912;";
        cr_assert(strncmp(ns[i].seen[0].fields, first, sizeof first - 1) == 0, "%s", ns[i].seen[0].fields);
    }
}

Test(registrar, a_changed_topic_goes_out_alone)
{
    registered();
    put("one");
    cr_assert(wait_for(&ns[0].n, 2, 3000) && wait_for(&ns[1].n, 2, 3000));
    cr_assert_str_eq(ns[0].seen[1].names, "one,");
    cr_assert_str_eq(ns[1].seen[1].names, "one,");
}

Test(registrar, what_changes_while_a_request_is_out_goes_out_together_with_the_next)
{
    registered();
    ns[0].silent = true;
    put("one");
    cr_assert(wait_for(&ns[0].n, 2, 3000));
    put("two");
    put("three");
    put("three");
    run(50);
    cr_assert(ns[0].n == 2); /* one request at a time: an older one must not overtake a newer one */
    ns[0].silent = false;
    struct reply ok = {0};
    const struct outbox *o = server_outbox(ns[0].server);
    o->finish(o->ctx, &ns[0].held, &ok);
    cr_assert(wait_for(&ns[0].n, 3, 3000));
    cr_assert(ns[0].seen[2].topics == 2 && strstr(ns[0].seen[2].names, "two,") && strstr(ns[0].seen[2].names, "three,"));
    reply_free(&ok);
}

Test(registrar, a_removed_topic_makes_a_registration_that_does_not_name_it)
{
    registered();
    put("one");
    cr_assert(wait_for(&ns[0].n, 2, 3000));
    run(20);
    cr_assert(topics_remove(t, SLICE_LIT("one"), 3000, NULL) == MQ_OK);
    cr_assert(wait_for(&ns[0].n, 3, 3000));
    cr_assert(strstr(ns[0].seen[2].names, "one,") == NULL);
}

Test(registrar, a_changed_permission_sends_everything)
{
    registered();
    cfg.broker_permission = 4;
    registrar_all_changed(r);
    cr_assert(wait_for(&ns[0].n, 2, 3000) && ns[0].seen[1].topics == topics_count(t));
}

/* ---- waiting ---- */
Test(registrar, who_waits_is_told_when_all_that_are_up_know)
{
    registered();
    cr_assert(registrar_is_current(r, on_current, NULL) && n_current == 0); /* true: not told */
    ns[0].silent = true;
    put("one");
    cr_assert(!registrar_is_current(r, on_current, NULL));
    cr_assert(wait_for(&ns[0].n, 2, 3000) && wait_for(&ns[1].n, 2, 3000));
    run(30);
    cr_assert(n_current == 0);
    struct reply ok = {0};
    const struct outbox *o = server_outbox(ns[0].server);
    o->finish(o->ctx, &ns[0].held, &ok);
    cr_assert(wait_for(&n_current, 1, 1000));
    run(30);
    cr_assert(n_current == 1 && registrar_is_current(r, on_current, NULL));
    reply_free(&ok);
}

Test(registrar, a_silent_name_server_delays_nobody_for_longer_than_three_seconds)
{
    registered();
    ns[1].silent = true;
    put("one");
    int64_t from = clock_mono_ms();
    cr_assert(!registrar_is_current(r, on_current, NULL));
    cr_assert(wait_for(&n_current, 1, 6000));
    cr_assert(clock_mono_ms() - from >= 2990);
}

Test(registrar, a_name_server_that_is_down_is_not_waited_for)
{
    uint16_t port = server_port(ns[1].server, 0);
    registered();
    server_free(ns[1].server);
    ns[1].server = NULL;
    put("one");
    cr_assert(registrar_is_current(r, on_current, NULL) || wait_for(&n_current, 1, 2000));
    run(100);
    cr_assert(registrar_known_at(r) == 1);
    ns[1].n = 0;
    open_double(&ns[1], port); /* it comes back with empty tables */
    cr_assert(wait_for(&ns[1].n, 1, 3000));
    cr_assert(ns[1].seen[0].topics == topics_count(t));
}

/* ---- failing ---- */
Test(registrar, a_refused_registration_is_tried_again_soon_and_whole)
{
    ns[0].code = RES_SYSTEM_ERROR;
    registrar_start(r);
    cr_assert(wait_for(&ns[0].n, 1, 3000) && wait_for(&ns[1].n, 1, 3000));
    run(20);
    cr_assert(registrar_known_at(r) == 1);
    put("one"); /* goes to the other one only */
    cr_assert(wait_for(&ns[1].n, 2, 1000) && ns[0].n == 1);
    ns[0].code = 0;
    cr_assert(wait_for(&ns[0].n, 2, 3000));
    run(20);
    cr_assert(ns[0].seen[1].topics == topics_count(t) && registrar_known_at(r) == 2);
}

Test(registrar, a_closed_connection_makes_the_next_registration_a_whole_one)
{
    registered();
    const struct outbox *o = server_outbox(ns[0].server);
    o->close(o->ctx, ns[0].held.conn_id);
    cr_assert(wait_for(&ns[0].n, 2, 3000));
    cr_assert(ns[0].seen[1].topics == topics_count(t) && ns[1].n == 1);
}

Test(registrar, a_registration_that_cannot_be_sent_for_want_of_memory_is_sent_later)
{
    registered();
    registrar_all_changed(r);
    cr_assert(wait_for(&ns[0].n, 2, 3000) && wait_for(&ns[1].n, 2, 3000));
    run(20);
    for (uint64_t n = 1; n < 12; n += 2) {
        ns[0].n = ns[1].n = 0;
        mem_fail_after(n);
        registrar_all_changed(r);
        mem_fail_after(0);
        run(20);
        if (ns[0].n == 0 || ns[1].n == 0)
            put("nudge"); /* the next occasion, or the retry */
        cr_assert(wait_for(&ns[0].n, 1, 3000) && wait_for(&ns[1].n, 1, 3000), "allocation %llu: never told again", (unsigned long long)n);
        run(20);
    }
    cr_assert(registrar_known_at(r) == 2);
}

/* ---- by version ---- */
Test(registrar, with_forceRegister_off_the_period_asks_first)
{
    cfg.force_register = false;
    ns[0].changed = "false";
    ns[1].changed = "true";
    registered();
    run(10200); /* the first period */
    cr_assert(ns[0].n == 2 && ns[0].seen[1].code == REQ_QUERY_DATA_VERSION, "%d requests", ns[0].n);
    cr_assert_str_eq(ns[0].seen[1].fields, "brokerName=broker-a;brokerAddr=127.0.0.1:10911;clusterName=DefaultCluster;brokerId=0;");
    cr_assert(ns[1].n == 3 && ns[1].seen[2].code == REQ_REGISTER_BROKER && ns[1].seen[2].topics == topics_count(t));
}

/* ---- order topics ---- */
Test(registrar, topics_that_the_name_server_calls_ordered_become_so)
{
    put("ordered");
    put("plain");
    ns[0].body = "{\"table\":{\"ordered\":\"broker-a:4\"}}";
    registered();
    run(50);
    cr_assert(topics_find(t, SLICE_LIT("ordered"))->order && !topics_find(t, SLICE_LIT("plain"))->order);
    ns[0].body = "{\"table\":{}}";
    registrar_all_changed(r);
    run(50);
    cr_assert(!topics_find(t, SLICE_LIT("ordered"))->order);
    ns[0].body = "{\"table\":[";
    registrar_all_changed(r);
    run(50);
    cr_assert(registrar_known_at(r) == 2); /* words that do not decode change nothing */
}

/* ---- the end ---- */
static int n_stopped;
static void on_stopped(void *arg)
{
    (void)arg;
    n_stopped++;
}

Test(registrar, stopping_unregisters_at_all_and_tells_once)
{
    registered();
    registrar_stop(r, 3000, on_stopped, NULL);
    cr_assert(n_stopped == 0);
    cr_assert(wait_for(&n_stopped, 1, 2000));
    for (int i = 0; i < SERVERS; i++) {
        cr_assert(ns[i].n == 2 && ns[i].seen[1].code == REQ_UNREGISTER_BROKER);
        cr_assert_str_eq(ns[i].seen[1].fields, "brokerName=broker-a;brokerAddr=127.0.0.1:10911;clusterName=DefaultCluster;brokerId=0;");
    }
    put("after the end");
    run(50);
    cr_assert(n_stopped == 1 && ns[0].n == 2);
}

Test(registrar, stopping_waits_no_longer_than_it_was_told_and_ends_those_who_wait)
{
    registered();
    ns[0].silent = true;
    put("one");
    cr_assert(!registrar_is_current(r, on_current, NULL));
    int64_t from = clock_mono_ms();
    registrar_stop(r, 150, on_stopped, NULL);
    cr_assert(n_stopped == 0 && n_current == 1);
    cr_assert(wait_for(&n_stopped, 1, 3000));
    cr_assert(clock_mono_ms() - from >= 150 && clock_mono_ms() - from < 2000);
    run(300);
    cr_assert(n_stopped == 1 && n_current == 1);
}

Test(registrar, stopping_before_the_start_tells_no_name_server)
{
    registrar_stop(r, 3000, on_stopped, NULL);
    cr_assert(n_stopped == 0 && wait_for(&n_stopped, 1, 1000));
    cr_assert(ns[0].n == 0);
}

Test(registrar, without_name_servers_everybody_knows_everything)
{
    registrar_free(r);
    make_registrar("");
    registrar_start(r);
    put("one");
    cr_assert(registrar_is_current(r, on_current, NULL) && registrar_known_at(r) == 0);
    registrar_stop(r, 3000, on_stopped, NULL);
    cr_assert(wait_for(&n_stopped, 1, 1000));
}

Test(registrar, addresses_that_are_none_are_refused_in_words)
{
    const struct registrar_setup setup = {l, caller, &cfg, t, {"c", "b", "1", "2", 0}};
    const char *bad[] = {"10.0.0.1", "10.0.0.1:9876;host", ":9876", "host:", "host:0", "host:65536", "host:x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct registrar *none = NULL;
        struct fault why = {0};
        mem_free(cfg.namesrv_addr);
        cfg.namesrv_addr = mem_strdup(bad[i]);
        cr_expect(registrar_new(&setup, &none, &why) == MQ_EINVAL && none == NULL && strstr(why.what, "is not host:port"), "'%s': %s", bad[i], why.what);
    }
}
