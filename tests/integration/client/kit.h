/* kit.h - what the tests of this folder share: a cluster, clients, and messages that are counted. */
#ifndef TESTS_INTEGRATION_CLIENT_KIT_H
#define TESTS_INTEGRATION_CLIENT_KIT_H
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/include/cmq.h"
#include "tests/lib/cluster.h"

static inline int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}
static inline void nap_ms(long ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}
/* Waits until `condition` holds, at most so long (sanitizers and busy machines are slow). */
#define AWAIT(seconds, condition)                                   \
    for (int64_t due_ = now_ms() + (seconds) * 1000; !(condition);) { \
        cr_assert(now_ms() < due_, "in %d s: %s", (seconds), #condition); \
        nap_ms(10);                                                 \
    }
#define OK(call) cr_assert((call) == CMQ_OK, "%s: %s %s %s", #call, cmq_code_name(err.code), err.words, err.remark)

struct kit {
    struct cluster *cluster;
    struct cmq_admin *admin;
};
static inline struct cmq_config *config_of(const struct kit *k, const char *group) /* consumers of it begin at the beginning */
{
    struct cmq_config *c = cmq_config_new();
    struct cmq_error err;
    OK(cmq_config_set(c, "namesrvAddr", cluster_names(k->cluster), &err));
    if (group != NULL)
        OK(cmq_config_set(c, "consumerGroup", group, &err));
    OK(cmq_config_set(c, "consumeFromWhere", "CONSUME_FROM_FIRST_OFFSET", &err));
    return c;
}
static inline struct kit kit_start(int brokers)
{
    static const char *const names[] = {"broker-a", "broker-b"};
    struct kit k = {.cluster = cluster_new()};
    struct cmq_error err;
    cr_assert(k.cluster != NULL && cluster_namesrv(k.cluster, "ns"));
    for (int i = 0; i < brokers; i++)
        cr_assert(cluster_broker(k.cluster, names[i], NULL));
    struct cmq_config *c = config_of(&k, NULL);
    OK(cmq_admin_new(c, &k.admin, &err));
    cmq_config_free(c);
    return k;
}
static inline void kit_end(struct kit *k)
{
    cmq_admin_free(k->admin);
    cluster_free(k->cluster);
}
static inline void make_topic(struct kit *k, const char *topic, int queues)
{
    struct cmq_error err;
    struct cmq_topic_config t = {.read_queues = queues, .write_queues = queues};
    OK(cmq_admin_create_topic(k->admin, NULL, topic, &t, &err));
}
static inline struct cmq_producer *producer_of(struct kit *k, const char *key, const char *value)
{
    struct cmq_config *c = config_of(k, NULL);
    struct cmq_producer *p;
    struct cmq_error err;
    if (key != NULL)
        OK(cmq_config_set(c, key, value, &err));
    OK(cmq_producer_new(c, &p, &err));
    cmq_config_free(c);
    return p;
}
static inline struct cmq_message *numbered(const char *topic, int i)
{
    char text[32];
    int n = snprintf(text, sizeof text, "%d", i);
    return cmq_message_new(topic, text, (size_t)n);
}
static inline void send_numbers(struct cmq_producer *p, const char *topic, int from, int to)
{
    struct cmq_error err;
    for (int i = from; i < to; i++) {
        struct cmq_message *m = numbered(topic, i);
        OK(cmq_producer_send(p, m, NULL, &err));
        cmq_message_free(m);
    }
}

/* Numbers that came, each counted. */
enum { NUMBERS = 4096 };
struct seen {
    atomic_int times[NUMBERS], total, calls;
};
static inline int number_in(const struct cmq_message *m)
{
    size_t n;
    char text[32] = "";
    const char *body = cmq_message_body(m, &n);
    memcpy(text, body, n < 31 ? n : 31);
    return atoi(text);
}
static inline void see(struct seen *s, const struct cmq_message *m)
{
    int i = number_in(m);
    if (i >= 0 && i < NUMBERS)
        atomic_fetch_add(&s->times[i], 1);
    atomic_fetch_add(&s->total, 1);
}
static inline enum cmq_consume_result see_all(void *arg, const struct cmq_message *const *m, size_t n)
{
    struct seen *s = arg;
    atomic_fetch_add(&s->calls, 1);
    for (size_t i = 0; i < n; i++)
        see(s, m[i]);
    return CMQ_CONSUME_SUCCESS;
}
static inline void expect_each_once(const struct seen *s, int from, int to)
{
    for (int i = from; i < to; i++)
        cr_expect(atomic_load(&s->times[i]) == 1, "number %d came %d times", i, atomic_load(&s->times[i]));
}
static inline struct cmq_consumer *consumer_of(struct cmq_config *c, const char *topic, cmq_message_fn *fn, void *arg) /* takes c; started */
{
    struct cmq_consumer *x;
    struct cmq_error err;
    OK(cmq_consumer_new(c, &x, &err));
    cmq_config_free(c);
    if (topic != NULL)
        OK(cmq_consumer_subscribe(x, topic, "*", &err));
    if (fn != NULL)
        OK(cmq_consumer_on_message(x, fn, arg, &err));
    OK(cmq_consumer_start(x, &err));
    return x;
}
static inline uint32_t queues_of(struct cmq_consumer *c, const char *topic);
struct queue_count {
    const char *topic;
    uint32_t n;
};
static inline void count_queue(void *arg, const struct cmq_queue *q, int64_t queue_off)
{
    struct queue_count *c = arg;
    c->n += strcmp(q->topic, c->topic) == 0 && queue_off >= 0;
}
static inline uint32_t queues_of(struct cmq_consumer *c, const char *topic) /* that have found their first offset */
{
    struct queue_count count = {.topic = topic};
    cmq_consumer_assignment(c, count_queue, &count);
    return count.n;
}
#endif
