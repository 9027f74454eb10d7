/* libcmq.c - libcmq against the servers at argv[1], case by case; names of topics and groups begin with argv[2]. A line per case,
 * then "N passed, N failed, N skipped". Only the public header is used. */
#include <cmq.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *servers, *prefix;
static struct cmq_error err;
static char why[600];
static const char *skipped; /* the reason, when a case cannot be told here */

#define TRY(call)                                                                                                  \
    do {                                                                                                           \
        if ((call) != CMQ_OK) {                                                                                    \
            snprintf(why, sizeof why, "%.100s: %s %.200s %.200s", #call, cmq_code_name(err.code), err.words, err.remark); \
            return 0;                                                                                              \
        }                                                                                                          \
    } while (0)
#define EXPECT(truth)                                                             \
    do {                                                                          \
        if (!(truth)) {                                                           \
            snprintf(why, sizeof why, "line %d: not true: %.300s", __LINE__, #truth); \
            return 0;                                                             \
        }                                                                         \
    } while (0)

static char names[8][160];
static const char *name(int at, const char *what)
{
    snprintf(names[at], sizeof names[at], "%.100s-%.50s", prefix, what);
    return names[at];
}
static void nap(long ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}
static struct cmq_config *config(const char *group)
{
    struct cmq_config *c = cmq_config_new();
    cmq_config_set(c, "namesrvAddr", servers, NULL);
    cmq_config_set(c, "consumeFromWhere", "CONSUME_FROM_FIRST_OFFSET", NULL);
    cmq_config_set(c, "sendMsgTimeout", "10000", NULL);
    if (group != NULL)
        cmq_config_set(c, "consumerGroup", group, NULL);
    return c;
}
static enum cmq_code producer(struct cmq_producer **p)
{
    struct cmq_config *c = config(NULL);
    enum cmq_code code = cmq_producer_new(c, p, &err);
    cmq_config_free(c);
    return code;
}
static enum cmq_code topic(const char *t, int queues)
{
    struct cmq_config *c = config(NULL);
    struct cmq_admin *a = NULL;
    struct cmq_topic_config tc = {.read_queues = queues, .write_queues = queues};
    enum cmq_code code = cmq_admin_new(c, &a, &err);
    if (code == CMQ_OK)
        code = cmq_admin_create_topic(a, NULL, t, &tc, &err);
    cmq_admin_free(a);
    cmq_config_free(c);
    return code;
}
static struct cmq_consumer *consumer(const char *group, const char *t, const char *tags, cmq_message_fn *fn, void *arg)
{
    struct cmq_config *cfg = config(group);
    struct cmq_consumer *c = NULL;
    if (cmq_consumer_new(cfg, &c, &err) != CMQ_OK || cmq_consumer_subscribe(c, t, tags, &err) != CMQ_OK ||
        (fn != NULL && cmq_consumer_on_message(c, fn, arg, &err) != CMQ_OK) || cmq_consumer_start(c, &err) != CMQ_OK) {
        cmq_consumer_free(c);
        c = NULL;
    }
    cmq_config_free(cfg);
    return c;
}

struct seen {
    atomic_int total, again, wrong;
};
static enum cmq_consume_result see(void *arg, const struct cmq_message *const *m, size_t n)
{
    (void)m;
    atomic_fetch_add(&((struct seen *)arg)->total, (int)n);
    return CMQ_CONSUME_SUCCESS;
}
static int await(atomic_int *what, int value, int seconds)
{
    for (int i = 0; i < seconds * 100 && atomic_load(what) < value; i++)
        nap(10);
    return atomic_load(what) == value;
}

/* ---- cases: 1 when all is well ---- */

static int compressed_bodies_come_back_whole(void)
{
    enum { N = 100000 };
    static char body[N];
    struct cmq_producer *p;
    struct cmq_message *m, *got;
    const char *t = name(0, "compressed");
    for (int i = 0; i < N; i++)
        body[i] = (char)('a' + i % 23);
    TRY(topic(t, 1));
    TRY(producer(&p));
    m = cmq_message_new(t, body, N);
    TRY(cmq_message_set_property(m, "colour", "green", &err));
    TRY(cmq_message_set_keys(m, "k1 k2", &err));
    TRY(cmq_producer_send(p, m, NULL, &err));
    struct cmq_producer_stats stats;
    cmq_producer_get_stats(p, &stats);
    EXPECT(stats.bytes < N / 10);
    struct cmq_consumer *c = consumer(name(1, "g-compressed"), t, "*", NULL, NULL);
    EXPECT(c != NULL);
    TRY(cmq_consumer_poll(c, 30000, &got, &err));
    size_t n;
    const void *seen = cmq_message_body(got, &n);
    EXPECT(n == N && memcmp(seen, body, N) == 0);
    EXPECT(strcmp(cmq_message_property(got, "colour"), "green") == 0 && strcmp(cmq_message_keys(got), "k1 k2") == 0);
    EXPECT(strcmp(cmq_message_id(got), cmq_message_id(m)) == 0);
    cmq_message_free(got);
    cmq_message_free(m);
    cmq_consumer_free(c);
    cmq_producer_free(p);
    return 1;
}

static int a_batch_comes_as_its_messages(void)
{
    struct cmq_producer *p;
    struct cmq_message *m[10], *got;
    struct cmq_send_result r;
    const char *t = name(0, "batch");
    TRY(topic(t, 1));
    TRY(producer(&p));
    for (int i = 0; i < 10; i++) {
        m[i] = cmq_message_new(t, "0123456789" + i, 1);
        TRY(cmq_message_set_tag(m[i], i % 2 ? "odd" : "even", &err));
    }
    TRY(cmq_producer_send_batch(p, m, 10, &r, &err));
    EXPECT(r.queue_offset == 0);
    struct cmq_consumer *c = consumer(name(1, "g-batch"), t, "odd", NULL, NULL);
    EXPECT(c != NULL);
    for (int i = 1; i < 10; i += 2) {
        TRY(cmq_consumer_poll(c, 30000, &got, &err));
        EXPECT(cmq_message_queue_offset(got) == i && *(const char *)cmq_message_body(got, NULL) == '0' + i);
        cmq_message_free(got);
    }
    EXPECT(cmq_consumer_poll(c, 500, &got, &err) == CMQ_ERR_TIMEOUT);
    for (int i = 0; i < 10; i++)
        cmq_message_free(m[i]);
    cmq_consumer_free(c);
    cmq_producer_free(p);
    return 1;
}

static enum cmq_code send_row(struct cmq_producer *p, const char *t, int i)
{
    char a[16], body[16];
    snprintf(a, sizeof a, "%d", i);
    snprintf(body, sizeof body, "m%d", i);
    struct cmq_message *m = cmq_message_new(t, body, strlen(body));
    cmq_message_set_property(m, "a", a, NULL);
    cmq_message_set_property(m, "colour", i % 2 ? "red" : "it's", NULL);
    enum cmq_code code = cmq_producer_send(p, m, NULL, &err);
    cmq_message_free(m);
    return code;
}

static int an_sql_expression_chooses(void)
{
    struct cmq_producer *p;
    struct cmq_message *got;
    const char *t = name(0, "sql");
    TRY(topic(t, 1));
    TRY(producer(&p));
    for (int i = 0; i < 10; i++)
        TRY(send_row(p, t, i));
    struct cmq_config *cfg = config(name(1, "g-sql"));
    struct cmq_consumer *c = NULL;
    TRY(cmq_consumer_new(cfg, &c, &err));
    EXPECT(cmq_consumer_subscribe_sql(c, t, "a > 5 AND", &err) == CMQ_ERR_ARGUMENT && strstr(err.words, "a value expected") != NULL);
    TRY(cmq_consumer_subscribe_sql(c, t, "a BETWEEN 3 AND 8 AND colour = 'it''s'", &err));
    TRY(cmq_consumer_start(c, &err));
    for (int i = 4; i <= 8; i += 2) {
        TRY(cmq_consumer_poll(c, 30000, &got, &err));
        EXPECT(cmq_message_queue_offset(got) == i);
        cmq_message_free(got);
    }
    EXPECT(cmq_consumer_poll(c, 500, &got, &err) == CMQ_ERR_TIMEOUT);
    TRY(send_row(p, t, 5)); /* while the pull waits at the broker */
    TRY(send_row(p, t, 6));
    TRY(cmq_consumer_poll(c, 30000, &got, &err));
    EXPECT(cmq_message_queue_offset(got) == 11);
    cmq_message_free(got);
    TRY(cmq_consumer_subscribe_sql(c, t, "colour IN ('red') AND a > 8", &err)); /* another expression from here on */
    TRY(send_row(p, t, 8));
    TRY(send_row(p, t, 9));
    for (;;) { /* the group may be told a few again */
        TRY(cmq_consumer_poll(c, 30000, &got, &err));
        int64_t off = cmq_message_queue_offset(got);
        cmq_message_free(got);
        EXPECT(off == 9 || off == 13);
        if (off == 13)
            break;
    }
    cmq_consumer_free(c);
    cmq_config_free(cfg);
    cmq_producer_free(p);
    return 1;
}

static int two_members_share_and_take_over(void)
{
    enum { N = 100 };
    static struct seen a, b;
    struct cmq_producer *p;
    const char *t = name(0, "shared");
    TRY(topic(t, 4));
    TRY(producer(&p));
    struct cmq_consumer *x = consumer(name(1, "g-shared"), t, "*", see, &a), *y = consumer(names[1], t, "*", see, &b);
    EXPECT(x != NULL && y != NULL);
    struct cmq_consumer_stats s1 = {0}, s2 = {0}; /* with the retry topic's queue one has 3, or both 2 */
    for (int i = 0; i < 3000 && (s1.queues + s2.queues != 5 || s1.queues > 3 || s2.queues > 3); i++) {
        nap(10);
        cmq_consumer_get_stats(x, &s1);
        cmq_consumer_get_stats(y, &s2);
    }
    for (int i = 0; i < N; i++) {
        struct cmq_message *m = cmq_message_new(t, "x", 1);
        TRY(cmq_producer_send(p, m, NULL, &err));
        cmq_message_free(m);
    }
    for (int i = 0; i < 3000 && atomic_load(&a.total) + atomic_load(&b.total) < N; i++)
        nap(10);
    EXPECT(atomic_load(&a.total) + atomic_load(&b.total) == N);
    EXPECT(atomic_load(&a.total) == N / 2);
    cmq_consumer_free(y);
    for (int i = 0; i < 3000 && s1.queues != 5; i++) {
        nap(10);
        cmq_consumer_get_stats(x, &s1);
    }
    for (int i = 0; i < N; i++) {
        struct cmq_message *m = cmq_message_new(t, "x", 1);
        TRY(cmq_producer_send(p, m, NULL, &err));
        cmq_message_free(m);
    }
    EXPECT(await(&a.total, N / 2 + N, 30));
    cmq_consumer_free(x);
    cmq_producer_free(p);
    return 1;
}

static const char *later_topic;
static enum cmq_consume_result later(void *arg, const struct cmq_message *const *m, size_t n)
{
    struct seen *s = arg;
    (void)n;
    if (strcmp(cmq_message_topic(m[0]), later_topic) != 0)
        atomic_fetch_add(&s->wrong, 1);
    if (cmq_message_reconsume_times(m[0]) == 0) {
        atomic_fetch_add(&s->total, 1);
        return CMQ_RECONSUME_LATER;
    }
    atomic_fetch_add(&s->again, 1);
    return CMQ_CONSUME_SUCCESS;
}
static int what_is_refused_comes_again(void)
{
    static struct seen s;
    struct cmq_producer *p;
    later_topic = name(0, "later");
    TRY(topic(later_topic, 2));
    TRY(producer(&p));
    for (int i = 0; i < 4; i++) {
        struct cmq_message *m = cmq_message_new(later_topic, "x", 1);
        TRY(cmq_producer_send(p, m, NULL, &err));
        cmq_message_free(m);
    }
    struct cmq_consumer *c = consumer(name(1, "g-later"), later_topic, "*", later, &s);
    EXPECT(c != NULL);
    EXPECT(await(&s.total, 4, 30));
    EXPECT(await(&s.again, 4, 60));
    nap(500);
    EXPECT(atomic_load(&s.again) == 4 && atomic_load(&s.wrong) == 0);
    cmq_consumer_free(c);
    cmq_producer_free(p);
    return 1;
}

static int a_delay_level_delays(void)
{
    struct cmq_producer *p;
    struct cmq_message *got;
    struct timespec t0, t1;
    const char *t = name(0, "delay");
    TRY(topic(t, 1));
    TRY(producer(&p));
    struct cmq_message *m = cmq_message_new(t, "x", 1);
    cmq_message_set_delay_level(m, 2);
    clock_gettime(CLOCK_MONOTONIC, &t0);
    if (cmq_producer_send(p, m, NULL, &err) == CMQ_ERR_ARGUMENT && err.server_code == 13) {
        skipped = "this server has no delay levels";
        cmq_message_free(m);
        cmq_producer_free(p);
        return 1;
    }
    TRY(err.code);
    struct cmq_consumer *c = consumer(name(1, "g-delay"), t, "*", NULL, NULL);
    EXPECT(c != NULL);
    TRY(cmq_consumer_poll(c, 60000, &got, &err));
    clock_gettime(CLOCK_MONOTONIC, &t1);
    EXPECT((t1.tv_sec - t0.tv_sec) * 1000 + (t1.tv_nsec - t0.tv_nsec) / 1000000 >= 2500); /* level 2 is 3 s in these servers */
    cmq_message_free(got);
    cmq_message_free(m);
    cmq_consumer_free(c);
    cmq_producer_free(p);
    return 1;
}

/* ---- in order ---- */
enum { ORDER_QUEUES = 4 };
struct order { /* of one topic, whoever consumes it */
    const char *topic;
    atomic_int busy[ORDER_QUEUES], next[ORDER_QUEUES], again, two_hands, skips;
};
static enum cmq_consume_result in_order(void *arg, const struct cmq_message *const *m, size_t n)
{
    struct order *o = arg;
    int q = cmq_message_queue_id(m[0]), off = (int)cmq_message_queue_offset(m[0]);
    enum cmq_consume_result result = CMQ_CONSUME_SUCCESS;
    if (n != 1 || strcmp(cmq_message_topic(m[0]), o->topic) != 0 || q >= ORDER_QUEUES)
        return CMQ_CONSUME_SUCCESS;
    if (atomic_fetch_add(&o->busy[q], 1) != 0)
        atomic_fetch_add(&o->two_hands, 1);
    nap(2);
    if (off > atomic_load(&o->next[q]))
        atomic_fetch_add(&o->skips, 1);
    if (off % 10 == 5 && cmq_message_reconsume_times(m[0]) < 2) {
        atomic_fetch_add(&o->again, 1);
        result = CMQ_RECONSUME_LATER;
    } else if (off == atomic_load(&o->next[q])) {
        atomic_fetch_add(&o->next[q], 1);
    }
    atomic_fetch_sub(&o->busy[q], 1);
    return result;
}
static struct cmq_consumer *orderly(const char *group, const char *t, cmq_message_fn *fn, void *arg)
{
    struct cmq_config *cfg = config(group);
    struct cmq_consumer *c = NULL;
    cmq_config_set(cfg, "suspendCurrentQueueTimeMillis", "20", &err);
    cmq_config_set(cfg, "maxReconsumeTimes", "2", &err);
    if (cmq_consumer_new(cfg, &c, &err) != CMQ_OK || cmq_consumer_subscribe(c, t, "*", &err) != CMQ_OK ||
        cmq_consumer_on_message_orderly(c, fn, arg, &err) != CMQ_OK || cmq_consumer_start(c, &err) != CMQ_OK) {
        cmq_consumer_free(c);
        c = NULL;
    }
    cmq_config_free(cfg);
    return c;
}
static enum cmq_code fill(struct cmq_producer *p, const char *t, int n)
{
    for (int i = 0; i < n; i++) {
        struct cmq_queue q = {t, "broker-a", i % ORDER_QUEUES};
        struct cmq_message *m = cmq_message_new(t, "x", 1);
        enum cmq_code code = cmq_producer_send_to(p, m, &q, NULL, &err);
        cmq_message_free(m);
        if (code != CMQ_OK)
            return code;
    }
    return CMQ_OK;
}
static int all_at(struct order *o, int off, int seconds)
{
    int good = 1;
    for (int q = 0; q < ORDER_QUEUES; q++)
        good = good && await(&o->next[q], off, seconds);
    return good;
}
static int a_queue_is_in_one_hand_and_in_order(void)
{
    static struct order o;
    struct cmq_producer *p;
    o.topic = name(0, "order");
    TRY(topic(o.topic, ORDER_QUEUES));
    TRY(producer(&p));
    struct cmq_consumer *x = orderly(name(1, "g-order"), o.topic, in_order, &o);
    EXPECT(x != NULL);
    TRY(fill(p, o.topic, 20 * ORDER_QUEUES));
    EXPECT(all_at(&o, 20, 60));
    EXPECT(atomic_load(&o.again) == 2 * 2 * ORDER_QUEUES); /* 5 and 15, twice each */
    TRY(fill(p, o.topic, 40 * ORDER_QUEUES));
    struct cmq_consumer *y = orderly(names[1], o.topic, in_order, &o); /* joins while the other is at work */
    EXPECT(y != NULL);
    struct cmq_consumer_stats s = {0};
    for (int i = 0; i < 6000 && s.consumed < 10; i++) {
        cmq_consumer_get_stats(y, &s);
        if (i % 100 == 99)
            TRY(fill(p, o.topic, ORDER_QUEUES));
        nap(10);
    }
    EXPECT(s.consumed >= 10);
    cmq_consumer_free(y); /* leaves, and the first takes over */
    int max = atomic_load(&o.next[0]) + 10;
    TRY(fill(p, o.topic, 10 * ORDER_QUEUES));
    for (int q = 0; q < ORDER_QUEUES; q++)
        for (int i = 0; i < 9000 && atomic_load(&o.next[q]) < max; i++)
            nap(10);
    EXPECT(atomic_load(&o.next[0]) >= max && atomic_load(&o.next[1]) >= max && atomic_load(&o.next[2]) >= max && atomic_load(&o.next[3]) >= max);
    EXPECT(atomic_load(&o.two_hands) == 0);
    EXPECT(atomic_load(&o.skips) == 0);
    cmq_consumer_free(x);
    cmq_producer_free(p);
    return 1;
}

static char heard[16];
static atomic_int n_heard;
static enum cmq_consume_result hear(void *arg, const struct cmq_message *const *m, size_t n)
{
    char c = *(const char *)cmq_message_body(m[0], NULL);
    (void)arg, (void)n;
    if (atomic_load(&n_heard) < 15)
        heard[atomic_load(&n_heard)] = c;
    atomic_fetch_add(&n_heard, 1);
    return c == 'b' ? CMQ_RECONSUME_LATER : CMQ_CONSUME_SUCCESS;
}
static int what_fails_too_often_in_order_dies_and_the_next_comes(void)
{
    struct cmq_producer *p;
    struct cmq_config *cfg = config(NULL);
    struct cmq_admin *a;
    char dead[200];
    int64_t off = 0;
    const char *t = name(0, "order-dead"), *group = name(1, "g-order-dead");
    TRY(topic(t, 1));
    TRY(producer(&p));
    struct cmq_consumer *c = orderly(group, t, hear, NULL);
    EXPECT(c != NULL);
    for (int i = 0; i < 3; i++) {
        struct cmq_message *m = cmq_message_new(t, "abc" + i, 1);
        TRY(cmq_producer_send(p, m, NULL, &err));
        cmq_message_free(m);
    }
    EXPECT(await(&n_heard, 5, 60));
    if (strcmp(heard, "abbbc") != 0) {
        snprintf(why, sizeof why, "heard %s", heard);
        return 0;
    }
    TRY(cmq_admin_new(cfg, &a, &err));
    snprintf(dead, sizeof dead, "%%DLQ%%%s", group);
    struct cmq_queue q = {dead, "broker-a", 0};
    for (int i = 0; i < 3000 && off == 0; i++) {
        nap(10);
        if (cmq_admin_max_offset(a, &q, &off, &err) != CMQ_OK)
            off = 0;
    }
    EXPECT(off == 1);
    cmq_admin_free(a);
    cmq_config_free(cfg);
    cmq_consumer_free(c);
    cmq_producer_free(p);
    return 1;
}

/* ---- request and reply ---- */
struct replier {
    struct cmq_producer *p;
    atomic_int heard, sent, failed;
};
static enum cmq_consume_result reply_to(void *arg, const struct cmq_message *const *m, size_t n)
{
    struct replier *r = arg;
    struct cmq_error e;
    char text[100];
    size_t body_n;
    const char *body = cmq_message_body(m[0], &body_n);
    (void)n;
    atomic_fetch_add(&r->heard, 1);
    if (body_n == 4 && memcmp(body, "mute", 4) == 0)
        return CMQ_CONSUME_SUCCESS;
    int text_n = snprintf(text, sizeof text, "re: %.*s", (int)body_n, body);
    struct cmq_message *reply = cmq_message_new_reply(m[0], text, (size_t)text_n, &e);
    int sent = reply != NULL && cmq_message_set_property(reply, "answer", "42", &e) == CMQ_OK && cmq_producer_send(r->p, reply, NULL, &e) == CMQ_OK;
    atomic_fetch_add(sent ? &r->sent : &r->failed, 1);
    cmq_message_free(reply);
    return CMQ_CONSUME_SUCCESS;
}
static int who_asks_gets_the_reply(void)
{
    static struct replier r;
    struct cmq_producer *p;
    struct cmq_message *m, *reply = NULL;
    const char *t = name(0, "request");
    char text[40];
    TRY(topic(t, 1));
    TRY(producer(&p));
    TRY(producer(&r.p));
    struct cmq_consumer *c = consumer(name(1, "g-request"), t, "*", reply_to, &r);
    EXPECT(c != NULL);
    m = cmq_message_new(t, "mute", 4);
    TRY(cmq_producer_send(p, m, NULL, &err));
    EXPECT(await(&r.heard, 1, 30)); /* it is at work */
    EXPECT(cmq_message_new_reply(m, "x", 1, &err) == NULL && err.code == CMQ_ERR_ARGUMENT); /* nobody asked */
    for (int i = 0; i < 5; i++) {
        size_t n;
        int text_n = snprintf(text, sizeof text, "question %d", i);
        struct cmq_message *question = cmq_message_new(t, text, (size_t)text_n);
        TRY(cmq_producer_request(p, question, 20000, &reply, &err));
        const char *body = cmq_message_body(reply, &n);
        EXPECT(n == (size_t)text_n + 4 && memcmp(body, "re: ", 4) == 0 && memcmp(body + 4, text, (size_t)text_n) == 0);
        EXPECT(strcmp(cmq_message_property(reply, "answer"), "42") == 0);
        cmq_message_free(reply);
        cmq_message_free(question);
    }
    reply = NULL;
    EXPECT(cmq_producer_request(p, m, 1000, &reply, &err) == CMQ_ERR_TIMEOUT && reply == NULL);
    EXPECT(await(&r.sent, 5, 20) && atomic_load(&r.failed) == 0);
    cmq_message_free(m);
    cmq_consumer_free(c);
    cmq_producer_free(r.p);
    cmq_producer_stop(p, 1000);
    m = cmq_message_new(t, "late", 4);
    EXPECT(cmq_producer_request(p, m, 1000, &reply, &err) == CMQ_ERR_STATE);
    cmq_message_free(m);
    cmq_producer_free(p);
    return 1;
}

/* ---- trace ---- */
static int pieces(const char *text, size_t n, char sep)
{
    int found = 1;
    for (size_t i = 0; i < n; i++)
        found += text[i] == sep;
    return found;
}
/* Looks through the trace topic for what is told of the message; bits: 1 Pub, 2 SubBefore, 4 SubAfter. */
static int told_of(struct cmq_consumer *c, const char *id, int want, int seconds)
{
    struct cmq_message *m;
    int seen = 0;
    for (int i = 0; i < seconds * 10 && (seen & want) != want; i++) {
        if (cmq_consumer_poll(c, 100, &m, &err) != CMQ_OK)
            continue;
        size_t n;
        const char *at = cmq_message_body(m, &n), *end = at + n;
        int keyed = strstr(cmq_message_keys(m), id) != NULL;
        for (const char *stop; at < end && (stop = memchr(at, 2, (size_t)(end - at))) != NULL; at = stop + 1) {
            size_t len = (size_t)(stop - at);
            if (memmem(at, len, id, strlen(id)) == NULL || !keyed)
                continue;
            seen |= strncmp(at, "Pub\1", 4) == 0 && pieces(at, len, 1) == 14 ? 1 : 0;
            seen |= strncmp(at, "SubBefore\1", 10) == 0 && pieces(at, len, 1) == 8 ? 2 : 0;
            seen |= strncmp(at, "SubAfter\1", 9) == 0 && pieces(at, len, 1) == 9 ? 4 : 0;
        }
        cmq_message_free(m);
    }
    return seen;
}
static int what_becomes_of_a_message_is_told_to_the_trace_topic(void)
{
    static struct seen s;
    struct cmq_config *cfg = config(name(1, "g-traced"));
    struct cmq_producer *p;
    struct cmq_consumer *c, *reader;
    const char *t = name(0, "traced");
    char id[128];
    TRY(topic(t, 1));
    cmq_config_set(cfg, "enableTrace", "true", &err);
    TRY(cmq_producer_new(cfg, &p, &err));
    TRY(cmq_consumer_new(cfg, &c, &err));
    TRY(cmq_consumer_subscribe(c, t, "*", &err));
    TRY(cmq_consumer_on_message(c, see, &s, &err));
    TRY(cmq_consumer_start(c, &err));
    struct cmq_message *m = cmq_message_new(t, "x", 1);
    TRY(cmq_message_set_tag(m, "tag", &err));
    TRY(cmq_message_set_keys(m, "tracekey", &err));
    TRY(cmq_producer_send(p, m, NULL, &err));
    snprintf(id, sizeof id, "%s", cmq_message_id(m));
    EXPECT(await(&s.total, 1, 30));
    cmq_message_free(m);
    cmq_producer_free(p); /* what is collected goes out before they end */
    cmq_consumer_free(c);
    reader = consumer(name(2, "g-trace-reader"), "RMQ_SYS_TRACE_TOPIC", "*", NULL, NULL);
    EXPECT(reader != NULL);
    int seen = told_of(reader, id, 7, 40);
    if (seen != 7) {
        snprintf(why, sizeof why, "seen: %d, expected 1 (Pub) + 2 (SubBefore) + 4 (SubAfter)", seen);
        return 0;
    }
    cmq_consumer_free(reader);
    cmq_config_free(cfg);
    return 1;
}

/* ---- groups ---- */
struct looked {
    const char *topic;
    int members, queues, moved;
    int64_t behind, sum;
};
static void look_member(void *arg, const struct cmq_group_member *m) { ((struct looked *)arg)->members += m->client_id[0] != 0; }
static void look_progress(void *arg, const struct cmq_group_progress *p)
{
    struct looked *l = arg;
    if (strcmp(p->queue.topic, l->topic) != 0)
        return;
    l->queues++;
    l->behind += p->max_offset - p->offset;
}
static void look_moved(void *arg, const struct cmq_queue *q, int64_t queue_off)
{
    struct looked *l = arg;
    l->moved += strcmp(q->topic, l->topic) == 0;
    l->sum += queue_off;
}
static int a_group_is_looked_at_and_moved(void)
{
    static struct seen s;
    struct cmq_config *cfg = config(NULL);
    struct cmq_producer *p;
    struct cmq_admin *a;
    struct cmq_message *got;
    struct looked l = {.topic = name(0, "moved")};
    const char *group = name(1, "g-moved");
    const struct cmq_group_view view = {.arg = &l, .member = look_member, .progress = look_progress};
    TRY(topic(l.topic, 2));
    TRY(producer(&p));
    TRY(cmq_admin_new(cfg, &a, &err));
    EXPECT(cmq_admin_group(a, group, &view, &err) == CMQ_ERR_NOT_FOUND);
    for (int i = 0; i < 10; i++) {
        struct cmq_queue q = {l.topic, "broker-a", i % 2};
        struct cmq_message *m = cmq_message_new(l.topic, "x", 1);
        TRY(cmq_producer_send_to(p, m, &q, NULL, &err));
        cmq_message_free(m);
    }
    struct cmq_consumer *c = consumer(group, l.topic, "*", see, &s);
    EXPECT(c != NULL);
    EXPECT(await(&s.total, 10, 30));
    nap(100); /* until the last callback has returned */
    TRY(cmq_consumer_commit(c, &err));
    TRY(cmq_admin_group(a, group, &view, &err));
    EXPECT(l.members == 1 && l.queues == 2 && l.behind == 0);
    TRY(cmq_admin_reset_group(a, group, l.topic, CMQ_RESET_FIRST, 1, look_moved, &l, &err)); /* says, and does nothing */
    EXPECT(l.moved == 2 && l.sum == 0);
    TRY(cmq_admin_reset_group(a, group, l.topic, CMQ_RESET_FIRST, 0, look_moved, &l, &err)); /* while the member runs */
    EXPECT(l.moved == 4 && l.sum == 0);
    EXPECT(await(&s.total, 20, 60));
    cmq_consumer_free(c);
    TRY(cmq_admin_reset_group(a, group, l.topic, CMQ_RESET_FIRST, 0, look_moved, &l, &err)); /* nobody is there */
    TRY(cmq_admin_reset_group(a, group, l.topic, CMQ_RESET_LAST, 0, look_moved, &l, &err));
    EXPECT(l.moved == 8 && l.sum == 10);
    c = consumer(group, l.topic, "*", NULL, NULL);
    EXPECT(c != NULL && cmq_consumer_poll(c, 2000, &got, &err) == CMQ_ERR_TIMEOUT);
    cmq_consumer_free(c);
    cmq_admin_free(a);
    cmq_config_free(cfg);
    cmq_producer_free(p);
    return 1;
}

static void count_topic(void *arg, const char *t)
{
    *(int *)arg += strncmp(t, names[7], strlen(names[7])) == 0;
}
static void count_status(void *arg, const struct cmq_queue_status *s)
{
    *(int64_t *)arg += s->max_offset - s->min_offset;
}
struct bank {
    atomic_int calls, wrong;
};
static enum cmq_transaction_state verdict(void *arg, const struct cmq_message *m) /* the body's first word */
{
    struct bank *b = arg;
    const char *body = cmq_message_body(m, NULL);
    atomic_fetch_add(&b->calls, 1);
    if (cmq_message_property(m, "UNIQ_KEY") == NULL || strcmp(cmq_message_tag(m), "t") != 0)
        atomic_fetch_add(&b->wrong, 1);
    return strncmp(body, "commit", 6) == 0 ? CMQ_TRANSACTION_COMMIT : strncmp(body, "roll", 4) == 0 ? CMQ_TRANSACTION_ROLLBACK : CMQ_TRANSACTION_UNKNOWN;
}
static enum cmq_transaction_state when_asked(void *arg, const struct cmq_message *m) /* what comes behind "later-" */
{
    struct bank *b = arg;
    atomic_fetch_add(&b->calls, 1);
    const char *body = cmq_message_body(m, NULL);
    if (strncmp(body, "later-", 6) != 0)
        return CMQ_TRANSACTION_UNKNOWN;
    return strncmp(body + 6, "commit", 6) == 0 ? CMQ_TRANSACTION_COMMIT : CMQ_TRANSACTION_ROLLBACK;
}
static int transactions_are_committed_rolled_back_and_asked_about(void)
{
    static const char *const bodies[] = {"commit-1", "rollback-1", "later-commit", "later-rollback", "commit-2"};
    static struct bank local, checks;
    const char *t = name(0, "transactions");
    struct cmq_producer *p;
    struct cmq_message *m;
    struct seen seen = {0};
    TRY(topic(t, 1));
    struct cmq_config *cfg = config(NULL);
    cmq_config_set(cfg, "producerGroup", name(1, "p-transactions"), NULL);
    TRY(cmq_producer_new(cfg, &p, &err));
    cmq_config_free(cfg);
    TRY(cmq_producer_on_check(p, when_asked, &checks, &err));
    struct cmq_consumer *c = consumer(name(2, "g-transactions"), t, "*", see, &seen);
    EXPECT(c != NULL);
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        m = cmq_message_new(t, bodies[i], strlen(bodies[i]));
        TRY(cmq_message_set_tag(m, "t", &err));
        TRY(cmq_producer_send_in_transaction(p, m, verdict, &local, NULL, &err));
        cmq_message_free(m);
    }
    EXPECT(atomic_load(&local.calls) == 5 && atomic_load(&local.wrong) == 0);
    EXPECT(await(&seen.total, 3, 90));
    for (int i = 0; i < 6000 && atomic_load(&checks.calls) < 2; i++)
        nap(10);
    EXPECT(atomic_load(&checks.calls) >= 2);
    nap(500);
    EXPECT(atomic_load(&seen.total) == 3);
    cmq_consumer_free(c);
    cmq_producer_free(p);
    return 1;
}

static int an_operator_sees_what_is_there(void)
{
    struct cmq_config *c = config(NULL);
    struct cmq_admin *a;
    struct cmq_producer *p;
    int topics = 0;
    int64_t messages = 0, off = -1;
    const char *t = name(7, "admin");
    TRY(topic(t, 3));
    TRY(producer(&p));
    for (int i = 0; i < 6; i++) {
        struct cmq_message *m = cmq_message_new(t, "x", 1);
        TRY(cmq_producer_send(p, m, NULL, &err));
        cmq_message_free(m);
    }
    TRY(cmq_admin_new(c, &a, &err));
    TRY(cmq_admin_list_topics(a, count_topic, &topics, &err));
    EXPECT(topics == 1);
    for (int i = 0; i < 500 && messages < 6; i++) { /* Apache's queues follow the log a moment later */
        messages = 0;
        TRY(cmq_admin_topic_status(a, t, count_status, &messages, &err));
        nap(10);
    }
    EXPECT(messages == 6);
    struct cmq_queue q = {t, "broker-a", 1};
    TRY(cmq_admin_max_offset(a, &q, &off, &err));
    EXPECT(off == 2);
    TRY(cmq_admin_min_offset(a, &q, &off, &err));
    EXPECT(off == 0);
    TRY(cmq_admin_offset_by_time(a, &q, 1, &off, &err));
    EXPECT(off == 0);
    TRY(cmq_admin_delete_topic(a, NULL, t, &err));
    EXPECT(cmq_admin_max_offset(a, &q, &off, &err) == CMQ_ERR_NOT_FOUND);
    cmq_admin_free(a);
    cmq_config_free(c);
    cmq_producer_free(p);
    return 1;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*fn)(void);
    } cases[] = {{"compressed_bodies_come_back_whole", compressed_bodies_come_back_whole},
                 {"a_batch_comes_as_its_messages", a_batch_comes_as_its_messages},
                 {"an_sql_expression_chooses", an_sql_expression_chooses},
                 {"two_members_share_and_take_over", two_members_share_and_take_over},
                 {"what_is_refused_comes_again", what_is_refused_comes_again},
                 {"a_delay_level_delays", a_delay_level_delays},
                 {"a_queue_is_in_one_hand_and_in_order", a_queue_is_in_one_hand_and_in_order},
                 {"what_fails_too_often_in_order_dies_and_the_next_comes", what_fails_too_often_in_order_dies_and_the_next_comes},
                 {"transactions_are_committed_rolled_back_and_asked_about", transactions_are_committed_rolled_back_and_asked_about},
                 {"who_asks_gets_the_reply", who_asks_gets_the_reply},
                 {"what_becomes_of_a_message_is_told_to_the_trace_topic", what_becomes_of_a_message_is_told_to_the_trace_topic},
                 {"a_group_is_looked_at_and_moved", a_group_is_looked_at_and_moved},
                 {"an_operator_sees_what_is_there", an_operator_sees_what_is_there}};
    int passed = 0, failed = 0, n_skipped = 0;
    if (argc < 3)
        return 2;
    servers = argv[1];
    prefix = argv[2];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int chosen = argc <= 3;
        for (int j = 3; j < argc; j++)
            chosen = chosen || strcmp(argv[j], cases[i].name) == 0;
        if (!chosen)
            continue;
        skipped = NULL;
        int ok = cases[i].fn();
        if (skipped != NULL) {
            printf("SKIP %s: %s\n", cases[i].name, skipped);
            n_skipped++;
        } else if (ok) {
            printf("PASS %s\n", cases[i].name);
            passed++;
        } else {
            printf("FAIL %s: %s\n", cases[i].name, why);
            failed++;
        }
        fflush(stdout);
    }
    printf("%d passed, %d failed, %d skipped\n", passed, failed, n_skipped);
    return failed > 0;
}
