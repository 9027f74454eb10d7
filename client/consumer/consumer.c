/* consumer.c - the consumer's public functions: making, starting, stopping; requests of brokers to us (40, 220).
 *
 * Stopping: no new callbacks; those that run end; what they said later to is sent back; progress is reported and answered; then goodbye,
 * upon which the brokers tell the other members. Nothing that was consumed is lost, nothing that was not is skipped.
 *   I1  a message whose callback ended before the stop is not delivered again to the next member, unless the timeout passed. */
#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/consumer/consumer_internal.h"
#include "client/core/error.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/protocol/codes.h"
#include "common/protocol/message.h"

enum { STOP_MS = 3000, ASSIGNED_MAX = 65536 };

/* ---- requests from brokers ---- */

static enum handled on_members_changed(void *ctx, const struct request *rq, struct reply *out)
{
    struct cmq_consumer *c = ctx;
    struct slice group;
    (void)out;
    if (command_ext(rq->cmd, "consumerGroup", &group) && slice_is(group, c->cfg->consumer_group))
        rebalance_soon(c, 0);
    return HANDLED_NOW;
}

static void reset_one(struct cmq_consumer *c, const char *topic, struct slice broker, int64_t queue_id, int64_t queue_off)
{
    char name[256];
    struct cmq_queue q = {.topic = topic, .broker_name = slice_copy(broker, name, sizeof name), .queue_id = (int32_t)queue_id};
    struct held_queue *held = queue_find(c, &q);
    if (held == NULL || queue_off < 0)
        return;
    log_warn("consumer", "offset is reset topic=%s broker=%s queue=%d offset=%lld", topic, name, (int)queue_id, (long long)queue_off);
    queue_seek(held, queue_off);
}

/* 220: offsets from an operator, as a table of queues or, for clients in C, as a list. */
static enum handled on_reset(void *ctx, const struct request *rq, struct reply *out)
{
    struct cmq_consumer *c = ctx;
    struct slice group, topic_s;
    char topic[256];
    (void)out;
    if (!command_ext(rq->cmd, "group", &group) || !slice_is(group, c->cfg->consumer_group) || !command_ext(rq->cmd, "topic", &topic_s))
        return HANDLED_NOW;
    slice_copy(topic_s, topic, sizeof topic);
    json_t *root = json_parse(rq->cmd->body, NULL), *table = json_object_get(root, "offsetTable"), *value;
    if (json_is_array(table)) {
        size_t i;
        json_array_foreach(table, i, value)
            reset_one(c, topic, json_str(value, "brokerName"), json_i64(value, "queueId", -1), json_i64(value, "offset", -1));
    } else {
        const char *key;
        json_object_foreach(table, key, value) {
            json_t *q = json_parse(slice_str(key), NULL);
            reset_one(c, topic, json_str(q, "brokerName"), json_i64(q, "queueId", -1), json_is_integer(value) ? json_integer_value(value) : -1);
            json_decref(q);
        }
    }
    json_decref(root);
    offsets_report(c, NULL, NULL, NULL);
    return HANDLED_NOW;
}

/* ---- making ---- */

static void consumer_destroy(struct cmq_consumer *c)
{
    LIST_EACH(it, &c->seeks)
        mem_free(CONTAINER_OF(it, struct seek, node));
    local_offsets_close(c->local);
    if (c->fd >= 0)
        close(c->fd);
    mem_free(c->retry_topic);
    mem_free(c->threads);
    trace_free(c->trace);
    pthread_mutex_destroy(&c->lock);
    pthread_cond_destroy(&c->more);
    pthread_cond_destroy(&c->still);
    mem_free(c);
}

static void init_fields(struct cmq_consumer *c)
{
    pthread_mutex_init(&c->lock, NULL);
    clock_cond_init(&c->more);
    clock_cond_init(&c->still);
    list_init(&c->topics);
    list_init(&c->seeks);
    list_init(&c->parked);
    list_init(&c->queues);
    list_init(&c->ready);
    list_init(&c->to_send_back);
    list_init(&c->polled.node);
    c->fd = -1;
    c->resume_msg.fn = pull_resume;
    c->retry_msg.fn = retry_run;
    c->order_msg.fn = order_run;
}

static enum cmq_code check_config(const struct cmq_config *cfg, struct cmq_error *err)
{
    int64_t at;
    if (cfg == NULL || !name_valid(slice_str(cfg->consumer_group), 255 - strlen(RETRY_PREFIX)))
        return error_set(err, CMQ_ERR_CONFIG, "consumerGroup=%.80s: expected letters, digits, _ - %% |, 1 to 248 of them", cfg ? cfg->consumer_group : "");
    if (!consume_timestamp(cfg->consume_timestamp, clock_wall_ms(), &at))
        return error_set(err, CMQ_ERR_CONFIG, "consumeTimestamp=%s: expected yyyymmddHHMMSS", cfg->consume_timestamp);
    return CMQ_OK;
}

enum cmq_code cmq_consumer_new(const struct cmq_config *cfg, struct cmq_consumer **out, struct cmq_error *err)
{
    enum cmq_code code = check_config(cfg, err);
    struct cmq_consumer *c = code == CMQ_OK ? mem_zalloc(sizeof *c) : NULL;
    if (c == NULL)
        return code != CMQ_OK ? code : error_set(err, CMQ_ERR_NO_MEMORY, "consumer: out of memory");
    init_fields(c);
    struct client_role role = {.ctx = c, .heartbeat = consumer_heartbeat, .slaves_too = true, .consumes = true, .route_changed = consumer_route_changed};
    code = client_new(cfg, &role, &c->client, err);
    if (code != CMQ_OK)
        goto undo_alloc;
    c->cfg = client_cfg(c->client);
    c->broadcasting = c->cfg->model == MODEL_BROADCASTING;
    c->sender = (struct sender){.client = c->client, .group = c->cfg->consumer_group};
    c->retry_topic = mem_alloc(strlen(RETRY_PREFIX) + strlen(c->cfg->consumer_group) + 1);
    c->threads = mem_alloc((size_t)c->cfg->threads * sizeof *c->threads);
    if (c->retry_topic == NULL || c->threads == NULL) {
        code = error_set(err, CMQ_ERR_NO_MEMORY, "consumer: out of memory");
        goto undo_client;
    }
    strcpy(c->retry_topic, RETRY_PREFIX);
    strcat(c->retry_topic, c->cfg->consumer_group);
    struct fault why = {0};
    if (c->broadcasting && local_offsets_open(c->cfg->offset_dir, client_id(c->client), c->cfg->consumer_group, &c->local, &why) != MQ_OK) {
        code = error_of_fault(err, &why);
        goto undo_client;
    }
    const struct request_route routes[] = {{REQ_NOTIFY_CONSUMER_IDS_CHANGED, on_members_changed, c}, {REQ_RESET_CONSUMER_CLIENT_OFFSET, on_reset, c}};
    if (caller_route(client_caller(c->client), routes, 2) != MQ_OK || !running_info_routes(c)) {
        code = error_set(err, CMQ_ERR_NO_MEMORY, "consumer: out of memory");
        goto undo_client;
    }
    code = trace_new(c->client, &c->trace, err);
    if (code != CMQ_OK)
        goto undo_client;
    rebalance_begin(c);
    *out = c;
    return error_ok(err);

undo_client:
    client_free(c->client, NULL, NULL);
undo_alloc:
    consumer_destroy(c);
    return code;
}

/* ---- before or after the start: on the network thread ---- */

struct change {
    struct cmq_consumer *c;
    const char *topic, *expression;
    bool sql;
    const struct cmq_queue *queues;
    size_t n;
    int64_t queue_off;
    struct cmq_error *err;
    enum cmq_code code;
};

static enum cmq_code change(struct cmq_consumer *c, void (*fn)(void *arg), struct change *ch, struct cmq_error *err)
{
    if (atomic_load(&c->stopping))
        return error_set(err, CMQ_ERR_STATE, "the consumer is stopped");
    ch->c = c;
    ch->err = err;
    if (client_is_network_thread(c->client))
        fn(ch);
    else
        client_run(c->client, fn, ch);
    return ch->code == CMQ_OK ? error_ok(err) : ch->code;
}

static void run_subscribe(void *arg)
{
    struct change *ch = arg;
    struct cmq_consumer *c = ch->c;
    ch->code = topic_sub_add(c, ch->topic, ch->expression, ch->sql, ch->err);
    if (ch->code == CMQ_OK && atomic_load(&c->started))
        client_heartbeat(c->client, NULL, NULL);
}

static enum cmq_code subscribe(struct cmq_consumer *c, const char *topic, const char *expression, bool sql, struct cmq_error *err)
{
    if (topic == NULL || !name_valid(slice_str(topic), MESSAGE_TOPIC_MAX))
        return error_set(err, CMQ_ERR_ARGUMENT, "topic %.80s: expected letters, digits, _ - %% |, 1 to %d of them", topic ? topic : "", MESSAGE_TOPIC_MAX);
    struct change ch = {.topic = topic, .expression = expression, .sql = sql};
    return change(c, run_subscribe, &ch, err);
}

enum cmq_code cmq_consumer_subscribe(struct cmq_consumer *c, const char *topic, const char *expression, struct cmq_error *err)
{
    return subscribe(c, topic, expression, false, err);
}

enum cmq_code cmq_consumer_subscribe_sql(struct cmq_consumer *c, const char *topic, const char *expression, struct cmq_error *err)
{
    return subscribe(c, topic, expression, true, err);
}

static void run_unsubscribe(void *arg)
{
    struct change *ch = arg;
    struct topic_sub *t = topic_sub_find(ch->c, ch->topic);
    if (t == NULL) {
        ch->code = error_set(ch->err, CMQ_ERR_NOT_FOUND, "topic %.80s is not subscribed to", ch->topic);
        return;
    }
    topic_sub_remove(ch->c, t);
    if (atomic_load(&ch->c->started))
        client_heartbeat(ch->c->client, NULL, NULL);
}

enum cmq_code cmq_consumer_unsubscribe(struct cmq_consumer *c, const char *topic, struct cmq_error *err)
{
    struct change ch = {.topic = topic ? topic : ""};
    return change(c, run_unsubscribe, &ch, err);
}

static enum cmq_code check_queue(const struct cmq_queue *q, struct cmq_error *err)
{
    if (q == NULL || q->topic == NULL || q->broker_name == NULL || q->broker_name[0] == '\0' || q->queue_id < 0 ||
        !name_valid(slice_str(q->topic), MESSAGE_TOPIC_MAX))
        return error_set(err, CMQ_ERR_ARGUMENT, "queue: it needs a topic, a broker's name and an id");
    return CMQ_OK;
}

static void run_assign(void *arg)
{
    struct change *ch = arg;
    rebalance_assigned(ch->c, ch->queues, ch->n);
}

enum cmq_code cmq_consumer_assign(struct cmq_consumer *c, const struct cmq_queue *queues, size_t n, struct cmq_error *err)
{
    if (n > ASSIGNED_MAX)
        return error_set(err, CMQ_ERR_ARGUMENT, "assign: more than %d queues", ASSIGNED_MAX);
    for (size_t i = 0; i < n; i++) {
        enum cmq_code code = check_queue(&queues[i], err);
        if (code != CMQ_OK)
            return code;
    }
    struct change ch = {.queues = queues, .n = n};
    return change(c, run_assign, &ch, err);
}

static void run_seek(void *arg)
{
    struct change *ch = arg;
    struct cmq_consumer *c = ch->c;
    const struct cmq_queue *q = ch->queues;
    struct held_queue *held = queue_find(c, q);
    if (held != NULL) {
        queue_seek(held, ch->queue_off);
        return;
    }
    LIST_EACH(it, &c->seeks)
        if (queue_eq(&CONTAINER_OF(it, struct seek, node)->queue, q)) {
            CONTAINER_OF(it, struct seek, node)->queue_off = ch->queue_off;
            return;
        }
    size_t topic_n = strlen(q->topic) + 1, broker_n = strlen(q->broker_name) + 1;
    struct seek *s = c->n_seeks < SEEKS_MAX ? mem_alloc(sizeof *s + topic_n + broker_n) : NULL;
    if (s == NULL) {
        ch->code = error_set(ch->err, c->n_seeks < SEEKS_MAX ? CMQ_ERR_NO_MEMORY : CMQ_ERR_FULL,
                             "seek: out of memory, or too many queues that are not here");
        return;
    }
    s->queue = (struct cmq_queue){memcpy(s->text, q->topic, topic_n), memcpy(s->text + topic_n, q->broker_name, broker_n), q->queue_id};
    s->queue_off = ch->queue_off;
    list_push_back(&c->seeks, &s->node);
    c->n_seeks++;
}

enum cmq_code cmq_consumer_seek(struct cmq_consumer *c, const struct cmq_queue *queue, int64_t queue_off, struct cmq_error *err)
{
    enum cmq_code code = check_queue(queue, err);
    if (code != CMQ_OK)
        return code;
    if (queue_off < 0)
        return error_set(err, CMQ_ERR_ARGUMENT, "seek: offset %lld is negative", (long long)queue_off);
    struct change ch = {.queues = queue, .queue_off = queue_off};
    return change(c, run_seek, &ch, err);
}

static enum cmq_code set_callback(struct cmq_consumer *c, cmq_message_fn *fn, void *arg, bool orderly, struct cmq_error *err)
{
    if (atomic_load(&c->started)) {
        error_set(err, CMQ_ERR_STATE, "the consumer is started already");
        if (err != NULL)
            err->fatal = 0;
        return CMQ_ERR_STATE;
    }
    c->fn = fn;
    c->arg = arg;
    c->orderly = orderly;
    return error_ok(err);
}

enum cmq_code cmq_consumer_on_message(struct cmq_consumer *c, cmq_message_fn *fn, void *arg, struct cmq_error *err)
{
    return set_callback(c, fn, arg, false, err);
}

enum cmq_code cmq_consumer_on_message_orderly(struct cmq_consumer *c, cmq_message_fn *fn, void *arg, struct cmq_error *err)
{
    return set_callback(c, fn, arg, true, err);
}

/* ---- starting ---- */

static void run_start(void *arg)
{
    struct cmq_consumer *c = ((struct change *)arg)->c;
    c->started_ms = clock_wall_ms();
    atomic_store(&c->started, true);
    if (c->by_hand)
        LIST_EACH(it, &c->queues)
            queue_begin(CONTAINER_OF(it, struct held_queue, node));
    rebalance_start(c);
}

enum cmq_code cmq_consumer_start(struct cmq_consumer *c, struct cmq_error *err)
{
    if (atomic_load(&c->started) || atomic_load(&c->stopping))
        return error_set(err, CMQ_ERR_STATE, "start: the consumer is %s", atomic_load(&c->stopping) ? "stopped" : "started already");
    if (c->fd >= 0 && c->fn == NULL)
        return error_set(err, CMQ_ERR_ARGUMENT, "start: cmq_consumer_fd() asks for a callback, see cmq_consumer_on_message()");
    c->delivery = c->fd >= 0 ? BY_LOOP : c->fn != NULL ? BY_THREADS : BY_POLL;
    enum cmq_code code = CMQ_OK;
    if (!c->by_hand && !c->broadcasting && topic_sub_find(c, c->retry_topic) == NULL)
        code = topic_sub_add(c, c->retry_topic, "*", false, err); /* what the group said later to comes back through it */
    if (code == CMQ_OK)
        code = client_start(c->client, err);
    struct change ch = {0};
    return code == CMQ_OK ? change(c, run_start, &ch, err) : code;
}

/* ---- commit, stop, free ---- */

struct commit {
    struct cmq_consumer *c;
    struct cmq_error err;
    sem_t done;
};

static void committed(void *arg, const struct cmq_error *err)
{
    struct commit *m = arg;
    if (err != NULL)
        m->err = *err;
    sem_post(&m->done);
}

static void run_commit(void *arg)
{
    struct commit *m = arg;
    offsets_report(m->c, NULL, committed, m);
}

static enum cmq_code commit(struct cmq_consumer *c, struct cmq_error *err)
{
    struct commit m = {.c = c};
    sem_init(&m.done, 0, 0);
    client_run(c->client, run_commit, &m);
    while (sem_wait(&m.done) != 0)
        ;
    sem_destroy(&m.done);
    if (m.err.code != CMQ_OK && err != NULL)
        *err = m.err;
    return m.err.code == CMQ_OK ? error_ok(err) : m.err.code;
}

enum cmq_code cmq_consumer_commit(struct cmq_consumer *c, struct cmq_error *err)
{
    if (!atomic_load(&c->started) || atomic_load(&c->stopping))
        return error_set(err, CMQ_ERR_STATE, "commit: the consumer is %s", atomic_load(&c->started) ? "stopped" : "not started");
    pthread_mutex_lock(&c->lock);
    deliver_polled_done(c);
    pthread_mutex_unlock(&c->lock);
    return commit(c, err);
}

static void left(void *arg) { sem_post(arg); }
struct leave {
    struct cmq_consumer *c;
    sem_t done;
};
static void run_leave(void *arg)
{
    struct leave *l = arg;
    rebalance_end(l->c);
    order_unlock_all(l->c);
    client_leave(l->c->client, left, &l->done);
}

void cmq_consumer_stop(struct cmq_consumer *c, int64_t timeout_ms)
{
    if (!atomic_load(&c->started) || client_is_network_thread(c->client) || atomic_exchange(&c->stopping, true))
        return;
    struct timespec due = clock_deadline(timeout_ms);
    int rc = 0;
    pthread_mutex_lock(&c->lock);
    pthread_cond_broadcast(&c->more); /* polls return */
    while (c->running + c->sending_back > 0 && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&c->still, &c->lock, &due);
    pthread_mutex_unlock(&c->lock);
    commit(c, NULL);
    trace_finish(c->trace, timeout_ms);
    struct leave l = {.c = c};
    sem_init(&l.done, 0, 0);
    client_run(c->client, run_leave, &l);
    while (sem_wait(&l.done) != 0)
        ;
    sem_destroy(&l.done);
}

static void last_words(void *arg)
{
    struct cmq_consumer *c = arg;
    c->ended = true;
    c->sender.ended = true;
    trace_end(c->trace);
    rebalance_end(c);
}

static void free_later(struct list *all)
{
    LIST_EACH(it, all)
    {
        struct cmq_message *m = CONTAINER_OF(it, struct cmq_message, later);
        list_remove(it);
        list_remove(&m->window.node);
        queue_unref(m->window.queue);
        cmq_message_free(m);
    }
}

void cmq_consumer_free(struct cmq_consumer *c)
{
    if (c == NULL)
        return;
    cmq_consumer_stop(c, STOP_MS);
    atomic_store(&c->stopping, true);
    deliver_end_threads(c);
    client_stop(c->client, last_words, c); /* from here on this thread is alone */
    free_later(&c->to_send_back);
    free_later(&c->parked);
    pthread_mutex_lock(&c->lock);
    if (c->has_polled) {
        list_remove(&c->polled.node);
        queue_unref(c->polled.queue);
    }
    pthread_mutex_unlock(&c->lock);
    while (!list_empty(&c->topics))
        topic_sub_remove(c, CONTAINER_OF(c->topics.next, struct topic_sub, node));
    while (!list_empty(&c->queues))
        queue_drop(CONTAINER_OF(c->queues.next, struct held_queue, node), false);
    client_free(c->client, NULL, NULL);
    consumer_destroy(c);
}

/* ---- looking ---- */

void cmq_consumer_assignment(struct cmq_consumer *c, void (*fn)(void *arg, const struct cmq_queue *queue, int64_t queue_off), void *arg)
{
    struct shown {
        struct held_queue *q;
        int64_t queue_off;
    } *all;
    size_t n = 0;
    pthread_mutex_lock(&c->lock);
    all = mem_alloc((c->n_queues + 1) * sizeof *all);
    LIST_EACH(it, &c->queues)
    {
        struct held_queue *q = CONTAINER_OF(it, struct held_queue, node);
        if (all == NULL)
            break;
        queue_ref(q);
        bool waits = window_has_waiting(&q->window);
        all[n++] = (struct shown){q, waits ? CONTAINER_OF(q->window.waiting.next, struct window_node, node)->queue_off : q->window.end};
    }
    pthread_mutex_unlock(&c->lock);
    for (size_t i = 0; i < n; i++) {
        fn(arg, &all[i].q->queue, all[i].queue_off);
        queue_unref(all[i].q);
    }
    mem_free(all);
}

void cmq_consumer_get_stats(struct cmq_consumer *c, struct cmq_consumer_stats *out)
{
    pthread_mutex_lock(&c->lock);
    *out = c->stats;
    out->queues = (uint32_t)c->n_queues;
    pthread_mutex_unlock(&c->lock);
}
