/* rebalance.c - which queues are ours.
 *
 * Per topic:  route --> (the brokers know of us) --> members of the group (38) --> allocate --> give up, take over
 * Every 20 s, when a broker says that the members changed (40), when a route or a subscription changed. Broadcasting members take all
 * queues; queues assigned by hand need none of this. Whoever is not among the members yet says hello again and asks a moment later.
 *   I1  a queue is given up before its new owner is asked to take it by anybody: its progress is reported at once.
 *   I2  one rebalance per topic is under way; what comes meanwhile makes another follow. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/consumer/allocate.h"
#include "client/consumer/consumer_internal.h"
#include "client/core/error.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/protocol/codes.h"

enum { REBALANCE_MS = 20000, SOON_MS = 1000, HELLO_MS = 200, MEMBERS_MAX = 100000 };

struct members_call {
    struct topic_sub *topic;
    struct route *route;
};

static void topic_begin(struct topic_sub *t);

struct topic_sub *topic_sub_find(struct cmq_consumer *c, const char *topic)
{
    LIST_EACH(it, &c->topics)
    {
        struct topic_sub *t = CONTAINER_OF(it, struct topic_sub, node);
        if (strcmp(t->sub.topic, topic) == 0)
            return t;
    }
    return NULL;
}

/* ---- one topic ---- */

static void topic_free(struct topic_sub *t)
{
    client_route_drop(&t->want);
    topic_filter_fini(&t->sub);
    mem_free(t);
}

static void topic_end(struct topic_sub *t, int64_t again_ms) /* < 0: the timer will do */
{
    struct cmq_consumer *c = t->consumer;
    t->busy = false;
    if (t->gone) {
        topic_free(t);
        return;
    }
    if (t->again && !c->ended) {
        t->again = false;
        topic_begin(t);
    } else if (again_ms >= 0) {
        rebalance_soon(c, again_ms);
    }
}

static void apply(struct topic_sub *t, const struct route *r, const bool *mine)
{
    struct cmq_consumer *c = t->consumer;
    size_t gained = 0, lost = 0;
    LIST_EACH(it, &c->queues)
    {
        struct held_queue *q = CONTAINER_OF(it, struct held_queue, node);
        if (q->sub != &t->sub)
            continue;
        bool keep = false;
        for (size_t i = 0; i < r->n_read && !keep; i++)
            keep = mine[i] && queue_eq(&r->read[i], &q->queue);
        if (!keep && !q->leaving) {
            order_give_up(q);
            lost++;
        }
    }
    for (size_t i = 0; i < r->n_read; i++)
        if (mine[i] && queue_find(c, &r->read[i]) == NULL)
            gained += queue_hold(c, &r->read[i], &t->sub) != NULL;
    if (gained > 0)
        order_lock_new(c);
    if (gained + lost > 0)
        log_info("consumer", "queues changed topic=%s group=%s gained=%zu lost=%zu", t->sub.topic, c->cfg->consumer_group, gained, lost);
}

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* The ids in the answer to 38, sorted. They belong to the JSON. NULL: out of memory, or none. */
static const char **member_ids(const json_t *root, size_t *n)
{
    json_t *list = json_object_get(root, "consumerIdList"), *one;
    size_t i, all = json_array_size(list);
    const char **ids = all > 0 && all <= MEMBERS_MAX ? mem_alloc(all * sizeof *ids) : NULL;
    *n = 0;
    if (ids == NULL)
        return NULL;
    json_array_foreach(list, i, one)
        if (json_is_string(one))
            ids[(*n)++] = json_string_value(one);
    qsort(ids, *n, sizeof *ids, by_text);
    size_t kept = 0; /* without doubles */
    for (i = 0; i < *n; i++)
        if (kept == 0 || strcmp(ids[kept - 1], ids[i]) != 0)
            ids[kept++] = ids[i];
    *n = kept;
    return ids;
}

static void on_members(void *arg, enum mq_err failed, const struct command *answer, const struct fault *why)
{
    struct members_call *call = arg;
    struct topic_sub *t = call->topic;
    struct cmq_consumer *c = t->consumer;
    struct route *r = call->route;
    int64_t again = SOON_MS;
    char text[240];
    mem_free(call);
    if (t->gone || c->ended || atomic_load(&c->stopping)) {
        again = -1;
    } else if (failed != MQ_OK) {
        log_info("consumer", "members of the group not known topic=%s: %s", t->sub.topic, fault_text(why, text, sizeof text));
        client_route_refresh(c->client, t->sub.topic);
    } else {
        json_t *root = answer->code == RES_SUCCESS ? json_parse(answer->body, NULL) : NULL;
        size_t n = 0;
        const char **ids = member_ids(root, &n);
        bool *mine = mem_zalloc(r->n_read + 1);
        if (ids != NULL && mine != NULL &&
            allocate_queues((enum allocate_by)c->cfg->allocate, client_id(c->client), ids, n, r->read, r->n_read, mine)) {
            apply(t, r, mine);
            again = -1;
        } else {
            t->announced = false; /* that broker does not know us (yet, or any more) */
            again = HELLO_MS;
        }
        mem_free(mine);
        mem_free(ids);
        json_decref(root);
    }
    route_unref(r);
    topic_end(t, again);
}

static void ask_members(struct topic_sub *t)
{
    struct cmq_consumer *c = t->consumer;
    struct route *r = client_route_cached(c->client, t->sub.topic);
    char addr[ADDR_MAX];
    const char *broker = r != NULL && r->n_read > 0 ? r->read[(size_t)clock_mono_us() % r->n_read].broker_name : NULL;
    struct members_call *call = broker != NULL ? mem_alloc(sizeof *call) : NULL;
    if (call == NULL || !client_broker_addr(c->client, broker, -1, false, addr))
        goto undo_alloc;
    *call = (struct members_call){.topic = t, .route = r};
    const struct ext_field ext[] = {{SLICE_LIT("consumerGroup"), slice_str(c->cfg->consumer_group)}};
    struct command cmd = client_command(c->client, REQ_GET_CONSUMER_LIST_BY_GROUP, ext, 1);
    if (caller_call(client_caller(c->client), addr, &cmd, c->cfg->api_timeout_ms, on_members, call) == MQ_OK)
        return;

undo_alloc:
    mem_free(call);
    route_unref(r);
    topic_end(t, SOON_MS);
}

static void on_announced(void *arg)
{
    struct topic_sub *t = arg;
    if (t->gone || t->consumer->ended || atomic_load(&t->consumer->stopping))
        topic_end(t, -1);
    else
        ask_members(t);
}

static void on_route(struct route_want *w, struct route *r, const struct cmq_error *err)
{
    struct topic_sub *t = CONTAINER_OF(w, struct topic_sub, want);
    struct cmq_consumer *c = t->consumer;
    if (t->gone || c->ended || atomic_load(&c->stopping)) {
        topic_end(t, -1);
    } else if (err != NULL) {
        log_info("consumer", "no route topic=%s: %s", t->sub.topic, err->words);
        topic_end(t, SOON_MS << (t->misses < 4 ? t->misses++ : 4)); /* a retry topic appears with the group's first heartbeat */
    } else if (c->broadcasting) {
        bool *all = mem_alloc(r->n_read + 1);
        if (all != NULL) {
            memset(all, true, r->n_read);
            apply(t, r, all);
        }
        mem_free(all);
        if (!t->announced) {
            t->announced = true;
            client_heartbeat(c->client, NULL, NULL);
        }
        topic_end(t, -1);
    } else if (r->n_read == 0) {
        topic_end(t, SOON_MS);
    } else if (!t->announced) {
        t->announced = true;
        client_heartbeat(c->client, on_announced, t);
    } else {
        ask_members(t);
    }
}

static void topic_begin(struct topic_sub *t)
{
    struct cmq_consumer *c = t->consumer;
    if (c->ended || atomic_load(&c->stopping) || !atomic_load(&c->started))
        return;
    if (t->busy) {
        t->again = true;
        return;
    }
    t->busy = true;
    client_route_want(c->client, &t->want, t->sub.topic, false, c->cfg->api_timeout_ms);
}

/* ---- when ---- */

static void rebalance_all(struct cmq_consumer *c)
{
    LIST_EACH(it, &c->topics)
        topic_begin(CONTAINER_OF(it, struct topic_sub, node));
    if (c->by_hand)
        LIST_EACH(it, &c->queues)
            route_unref(client_route_cached(c->client, CONTAINER_OF(it, struct held_queue, node)->queue.topic)); /* keeps it in use */
}

static void on_timer(void *arg) { rebalance_all(arg); }

static void on_persist(void *arg)
{
    struct cmq_consumer *c = arg;
    if (!atomic_load(&c->stopping))
        offsets_report(c, NULL, NULL, NULL);
}

void rebalance_soon(struct cmq_consumer *c, int64_t delay_ms)
{
    if (c->ended || atomic_load(&c->stopping))
        return;
    int64_t due = clock_mono_ms() + delay_ms;
    if (!heap_has(&c->soon_timer.node) || c->soon_timer.node.due > due)
        loop_timer_start(&c->soon_timer, delay_ms, 0);
}

void rebalance_begin(struct cmq_consumer *c)
{
    loop_timer_init(&c->rebalance_timer, client_loop(c->client), on_timer, c);
    loop_timer_init(&c->soon_timer, client_loop(c->client), on_timer, c);
    loop_timer_init(&c->persist_timer, client_loop(c->client), on_persist, c);
    loop_timer_init(&c->again_timer, client_loop(c->client), retry_on_timer, c);
    order_begin(c);
}

void rebalance_end(struct cmq_consumer *c)
{
    loop_timer_stop(&c->rebalance_timer);
    loop_timer_stop(&c->soon_timer);
    loop_timer_stop(&c->persist_timer);
    loop_timer_stop(&c->again_timer);
    order_end(c);
}

void rebalance_start(struct cmq_consumer *c)
{
    loop_timer_start(&c->rebalance_timer, REBALANCE_MS, REBALANCE_MS);
    loop_timer_start(&c->persist_timer, c->cfg->persist_ms, c->cfg->persist_ms);
    order_start(c);
    rebalance_all(c);
}

void consumer_route_changed(void *ctx, const char *topic)
{
    struct cmq_consumer *c = ctx;
    if (topic_sub_find(c, topic) != NULL)
        rebalance_soon(c, 0);
}

/* ---- subscriptions ---- */

enum cmq_code topic_sub_add(struct cmq_consumer *c, const char *topic, const char *expression, bool sql, struct cmq_error *err)
{
    struct fault why = {0};
    struct topic_filter sub;
    if (c->by_hand)
        return error_set(err, CMQ_ERR_ARGUMENT, "subscribe to %.80s: queues are assigned by hand", topic);
    if (c->n_topics >= TOPICS_MAX)
        return error_set(err, CMQ_ERR_FULL, "subscribe to %.80s: more than %d topics", topic, TOPICS_MAX);
    enum mq_err failed = (sql ? topic_filter_init_sql : topic_filter_init)(&sub, topic, expression, clock_wall_ms(), &why);
    if (failed != MQ_OK)
        return failed == MQ_EINVAL ? error_set(err, CMQ_ERR_ARGUMENT, "%s", why.what) : error_of_fault(err, &why);
    struct topic_sub *old = topic_sub_find(c, topic), *t = mem_zalloc(sizeof *t);
    if (t == NULL) {
        topic_filter_fini(&sub);
        return error_set(err, CMQ_ERR_NO_MEMORY, "subscribe: out of memory");
    }
    if (old != NULL)
        topic_sub_remove(c, old); /* another expression: its queues begin anew where the group is */
    *t = (struct topic_sub){.consumer = c, .sub = sub, .want.fn = on_route};
    list_push_back(&c->topics, &t->node);
    c->n_topics++;
    if (atomic_load(&c->started))
        topic_begin(t);
    return CMQ_OK;
}

void topic_sub_remove(struct cmq_consumer *c, struct topic_sub *t)
{
    LIST_EACH(it, &c->queues)
    {
        struct held_queue *q = CONTAINER_OF(it, struct held_queue, node);
        if (q->sub == &t->sub)
            order_give_up(q);
    }
    list_remove(&t->node);
    c->n_topics--;
    bool waits_for_route = t->want.pending;
    t->gone = true;
    if (!t->busy || waits_for_route)
        topic_free(t); /* else when the call under way ends */
}

void rebalance_assigned(struct cmq_consumer *c, const struct cmq_queue *queues, size_t n)
{
    while (!list_empty(&c->topics))
        topic_sub_remove(c, CONTAINER_OF(c->topics.next, struct topic_sub, node));
    c->by_hand = true;
    LIST_EACH(it, &c->queues)
    {
        struct held_queue *q = CONTAINER_OF(it, struct held_queue, node);
        bool keep = false;
        for (size_t i = 0; i < n && !keep; i++)
            keep = queue_eq(&queues[i], &q->queue);
        if (!keep)
            queue_drop(q, true);
    }
    for (size_t i = 0; i < n; i++)
        if (queue_find(c, &queues[i]) == NULL)
            queue_hold(c, &queues[i], NULL);
}

bool consumer_heartbeat(void *ctx, struct buf *body)
{
    struct cmq_consumer *c = ctx;
    static const char *const from[] = {"CONSUME_FROM_LAST_OFFSET", "CONSUME_FROM_FIRST_OFFSET", "CONSUME_FROM_TIMESTAMP"};
    if (list_empty(&c->topics) || atomic_load(&c->stopping))
        return false; /* who takes queues by hand is no member */
    struct jw w = jw_over(body, false);
    jw_object(&w);
    jw_kv_str(&w, "clientID", slice_str(client_id(c->client)));
    jw_key(&w, "consumerDataSet");
    jw_array(&w);
    jw_object(&w);
    jw_kv_str(&w, "consumeFromWhere", slice_str(from[c->cfg->from_where]));
    jw_kv_str(&w, "consumeType", SLICE_LIT("CONSUME_PASSIVELY"));
    jw_kv_str(&w, "groupName", slice_str(c->cfg->consumer_group));
    jw_kv_str(&w, "messageModel", c->broadcasting ? SLICE_LIT("BROADCASTING") : SLICE_LIT("CLUSTERING"));
    jw_key(&w, "subscriptionDataSet");
    jw_array(&w);
    LIST_EACH(it, &c->topics)
        topic_filter_json(&CONTAINER_OF(it, struct topic_sub, node)->sub, &w);
    jw_end_array(&w);
    jw_kv_bool(&w, "unitMode", false);
    jw_end_object(&w);
    jw_end_array(&w);
    jw_key(&w, "producerDataSet");
    jw_array(&w);
    jw_end_array(&w);
    jw_end_object(&w);
    return true;
}
