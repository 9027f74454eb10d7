/* producer.c - the producer's public functions: check the call, make a job of it, wait or not.
 *
 * Checking, compressing and encoding of properties happen on the user's thread; the network thread only chooses a queue and writes.
 *   I1  a message is either refused by the call, or its callback runs exactly once.
 *   I2  counts.waiting_* never pass asyncMaxMessages and asyncMaxBytes by more than the messages of callers that ask at the same time. */
#include <semaphore.h>
#include <stdio.h>
#include <string.h>

#include "client/core/error.h"
#include "client/core/uniq_id.h"
#include "client/producer/producer_internal.h"
#include "client/producer/transaction.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/protocol/codes.h"
#include "common/protocol/json.h"

enum { STOP_MS = 3000 };

static bool say_hello(void *ctx, struct buf *body)
{
    struct cmq_producer *p = ctx;
    struct jw w = jw_over(body, false);
    jw_object(&w);
    jw_kv_str(&w, "clientID", slice_str(client_id(p->client)));
    jw_key(&w, "consumerDataSet");
    jw_array(&w);
    jw_end_array(&w);
    jw_key(&w, "producerDataSet");
    jw_array(&w);
    jw_object(&w);
    jw_kv_str(&w, "groupName", slice_str(p->sender.group));
    jw_end_object(&w);
    jw_end_array(&w);
    jw_end_object(&w);
    return true;
}

static void on_idle(void *arg)
{
    struct cmq_producer *p = arg;
    if (!atomic_load(&p->stopping))
        return;
    pthread_mutex_lock(&p->lock);
    pthread_cond_broadcast(&p->idle);
    pthread_mutex_unlock(&p->lock);
}

/* ---- transactions ---- */

static enum handled on_check(void *ctx, const struct request *rq, struct reply *out)
{
    struct cmq_producer *p = ctx;
    (void)out;
    if (p->checks != NULL)
        checks_ask(p->checks, rq);
    return HANDLED_NONE;
}

static void on_answered(void *arg, const struct sent *s)
{
    struct cmq_producer *p = arg;
    trace_sent(p->trace, p->sender.group, s);
}

static void producer_destroy(struct cmq_producer *p)
{
    hashmap_fini(&p->requests);
    trace_free(p->trace);
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->idle);
    mem_free(p);
}

enum cmq_code cmq_producer_new(const struct cmq_config *cfg, struct cmq_producer **out, struct cmq_error *err)
{
    if (cfg != NULL && !name_valid(slice_str(cfg->producer_group), 255))
        return error_set(err, CMQ_ERR_CONFIG, "producerGroup=%.80s: expected letters, digits, _ - %% |, 1 to 255 of them", cfg->producer_group);
    struct cmq_producer *p = mem_zalloc(sizeof *p);
    if (p == NULL)
        return error_set(err, CMQ_ERR_NO_MEMORY, "producer: out of memory");
    pthread_mutex_init(&p->lock, NULL);
    clock_cond_init(&p->idle);
    struct client_role role = {.ctx = p, .heartbeat = say_hello, .produces = true};
    enum cmq_code code = client_new(cfg, &role, &p->client, err);
    if (code != CMQ_OK)
        goto undo_alloc;
    p->cfg = client_cfg(p->client);
    p->sender = (struct sender){.client = p->client, .group = p->cfg->producer_group, .idle = on_idle, .arg = p};
    const struct request_route check = {REQ_CHECK_TRANSACTION_STATE, on_check, p};
    if (caller_route(client_caller(p->client), &check, 1) != MQ_OK) {
        code = error_set(err, CMQ_ERR_NO_MEMORY, "producer: out of memory");
        goto undo_client;
    }
    code = request_routes(p, err);
    if (code == CMQ_OK)
        code = trace_new(p->client, &p->trace, err);
    if (p->trace != NULL) {
        p->sender.sent = on_answered;
        p->sender.sent_arg = p;
    }
    if (code == CMQ_OK)
        code = client_start(p->client, err);
    if (code != CMQ_OK)
        goto undo_client;
    *out = p;
    return error_ok(err);

undo_client:
    client_free(p->client, NULL, NULL);
undo_alloc:
    producer_destroy(p);
    return code;
}

/* ---- stopping ---- */

struct leave {
    struct client *client;
    sem_t done;
};
static void left(void *arg) { sem_post(&((struct leave *)arg)->done); }
static void leave_begin(void *arg) { client_leave(((struct leave *)arg)->client, left, arg); }

void cmq_producer_stop(struct cmq_producer *p, int64_t timeout_ms)
{
    if (atomic_exchange(&p->stopping, true) || client_is_network_thread(p->client))
        return;
    request_wake_all(p);
    struct timespec due = clock_deadline(timeout_ms);
    pthread_mutex_lock(&p->lock);
    int rc = 0;
    while (atomic_load(&p->sender.counts.jobs) > 0 && rc == 0)
        rc = pthread_cond_timedwait(&p->idle, &p->lock, &due);
    pthread_mutex_unlock(&p->lock);
    trace_finish(p->trace, timeout_ms);
    struct leave l = {.client = p->client};
    sem_init(&l.done, 0, 0);
    client_run(p->client, leave_begin, &l);
    while (sem_wait(&l.done) != 0)
        ;
    sem_destroy(&l.done);
}

static void last_words(void *arg)
{
    struct cmq_producer *p = arg;
    p->sender.ended = true;
    trace_end(p->trace);
}

struct checks_swap {
    struct cmq_producer *p;
    struct checks *checks;
};
static void swap_checks(void *arg)
{
    struct checks_swap *s = arg;
    struct checks *before = s->p->checks;
    s->p->checks = s->checks;
    s->checks = before;
}

void cmq_producer_free(struct cmq_producer *p)
{
    if (p == NULL)
        return;
    cmq_producer_stop(p, STOP_MS);
    struct checks_swap none = {.p = p};
    client_run(p->client, swap_checks, &none); /* no question comes any more */
    checks_free(none.checks);
    client_free(p->client, last_words, p);
    producer_destroy(p);
}

/* ---- checks ---- */

static enum cmq_code check_state(struct cmq_producer *p, bool blocks, struct cmq_error *err)
{
    if (atomic_load_explicit(&p->stopping, memory_order_relaxed))
        return error_set(err, CMQ_ERR_STATE, "send: the producer is stopped");
    if (blocks && client_is_network_thread(p->client)) {
        error_set(err, CMQ_ERR_STATE, "send: a callback may not wait for an answer; use cmq_producer_send_async()");
        if (err != NULL)
            err->fatal = 0;
        return CMQ_ERR_STATE;
    }
    return CMQ_OK;
}

static enum cmq_code check_message(const struct cmq_producer *p, const struct cmq_message *m, struct cmq_error *err)
{
    if (!name_valid(slice_str(m->topic), MESSAGE_TOPIC_MAX))
        return error_set(err, CMQ_ERR_ARGUMENT, "topic %.80s: expected letters, digits, _ - %% |, 1 to %d of them", m->topic, MESSAGE_TOPIC_MAX);
    if (m->body_n == 0)
        return error_set(err, CMQ_ERR_ARGUMENT, "message to %.80s: its body is empty", m->topic);
    if (m->body_n > (size_t)p->cfg->max_message_size)
        return error_set(err, CMQ_ERR_ARGUMENT, "message to %.80s: its body of %zu bytes is larger than maxMessageSize=%d", m->topic, m->body_n,
                         (int)p->cfg->max_message_size);
    if (m->props.n > MESSAGE_PROPERTIES_MAX)
        return error_set(err, CMQ_ERR_ARGUMENT, "message to %.80s: its properties are longer than %d bytes", m->topic, MESSAGE_PROPERTIES_MAX);
    return CMQ_OK;
}

static const char *unique_id(struct cmq_message *m) /* NULL: out of memory */
{
    const char *id = cmq_message_property(m, PROP_UNIQ_KEY);
    if (id != NULL)
        return id;
    char made[UNIQ_ID_MAX];
    uniq_id_next(made);
    return message_prop_set(m, PROP_UNIQ_KEY, made) ? cmq_message_property(m, PROP_UNIQ_KEY) : NULL;
}

/* Fills what every kind of send has in common; *packed holds a compressed body, to be freed after the send. */
static enum cmq_code order_of(struct cmq_producer *p, struct cmq_message *m, struct buf *packed, struct send_order *o, struct cmq_error *err)
{
    enum cmq_code code = check_message(p, m, err);
    if (code != CMQ_OK)
        return code;
    *o = (struct send_order){.topic = m->topic, .body = slice_make(m->body, m->body_n), .m = m, .max_reconsume = -1, .timeout_ms = p->cfg->send_timeout_ms};
    o->unique_id = unique_id(m);
    if (o->unique_id == NULL)
        return error_set(err, CMQ_ERR_NO_MEMORY, "send: out of memory");
    if (m->body_n >= (size_t)p->cfg->compress_over && body_deflate(o->body, packed)) {
        o->body = buf_view(packed);
        o->sys_flag = SYS_COMPRESSED;
    }
    return CMQ_OK;
}

/* ---- waiting for one ---- */

struct sync_send {
    struct cmq_send_result *out;
    struct cmq_error err;
    enum cmq_code code;
    sem_t done;
};

static void sync_done(void *arg, const struct cmq_send_result *result, const struct cmq_error *err)
{
    struct sync_send *s = arg;
    if (err != NULL) {
        s->err = *err;
        s->code = err->code;
    } else if (s->out != NULL) {
        *s->out = *result;
    }
    sem_post(&s->done);
}

static enum cmq_code send_and_wait(struct cmq_producer *p, struct send_order *o, struct cmq_send_result *out, struct cmq_error *err)
{
    struct sync_send s = {.out = out, .code = CMQ_OK};
    o->done = sync_done;
    /* cppcheck-suppress autoVariables - this waits until o is done with */
    o->arg = &s;
    struct send_job *j = send_job_new(&p->sender, o);
    if (j == NULL)
        return error_set(err, CMQ_ERR_NO_MEMORY, "send: out of memory");
    sem_init(&s.done, 0, 0);
    send_job_post(j);
    while (sem_wait(&s.done) != 0)
        ;
    sem_destroy(&s.done);
    if (s.code != CMQ_OK) {
        if (err != NULL)
            *err = s.err;
        return s.code;
    }
    return error_ok(err);
}

enum cmq_code producer_send_and_wait(struct cmq_producer *p, struct cmq_message *m, const struct cmq_queue *queue, int64_t timeout_ms,
                                     struct cmq_send_result *out, struct cmq_error *err)
{
    struct buf packed = {0};
    struct send_order o;
    enum cmq_code code = check_state(p, true, err);
    if (code == CMQ_OK)
        code = order_of(p, m, &packed, &o, err);
    if (code == CMQ_OK) {
        o.queue = queue;
        o.timeout_ms = timeout_ms < o.timeout_ms ? timeout_ms : o.timeout_ms;
        o.tries = queue != NULL ? 1 : 1 + p->cfg->retry_times;
        code = send_and_wait(p, &o, out, err);
    }
    buf_free(&packed);
    return code;
}

static enum cmq_code send_one(struct cmq_producer *p, struct cmq_message *m, const struct cmq_queue *queue, struct cmq_send_result *out, struct cmq_error *err)
{
    return producer_send_and_wait(p, m, queue, INT64_MAX, out, err);
}

enum cmq_code cmq_producer_send(struct cmq_producer *p, struct cmq_message *m, struct cmq_send_result *out, struct cmq_error *err)
{
    return send_one(p, m, NULL, out, err);
}

enum cmq_code cmq_producer_send_to(struct cmq_producer *p, struct cmq_message *m, const struct cmq_queue *queue, struct cmq_send_result *out,
                                   struct cmq_error *err)
{
    if (queue == NULL || queue->broker_name == NULL || queue->broker_name[0] == '\0' || queue->queue_id < 0)
        return error_set(err, CMQ_ERR_ARGUMENT, "send to a queue: it needs a broker's name and an id");
    if (queue->topic != NULL && strcmp(queue->topic, m->topic) != 0)
        return error_set(err, CMQ_ERR_ARGUMENT, "send to a queue: the message is for topic %.80s, the queue of %.80s", m->topic, queue->topic);
    return send_one(p, m, queue, out, err);
}

enum cmq_code cmq_producer_send_selected(struct cmq_producer *p, struct cmq_message *m, cmq_selector_fn *select, void *arg, struct cmq_send_result *out,
                                         struct cmq_error *err)
{
    struct route *r;
    enum cmq_code code = check_state(p, true, err);
    if (code == CMQ_OK)
        code = check_message(p, m, err);
    if (code == CMQ_OK)
        code = client_route_wait(p->client, m->topic, true, p->cfg->send_timeout_ms, &r, err);
    if (code != CMQ_OK)
        return code;
    size_t at = r->n_write > 0 ? select(arg, m, r->write, r->n_write) : 0;
    if (r->n_write == 0)
        code = error_set(err, CMQ_ERR_NO_ROUTE, "topic %.80s: no queue of it may be written to", m->topic);
    else if (at >= r->n_write)
        code = error_set(err, CMQ_ERR_ARGUMENT, "the selector chose queue %zu of %zu", at, r->n_write);
    else
        code = send_one(p, m, &r->write[at], out, err);
    route_unref(r);
    return code;
}

/* ---- batches ---- */

static void batch_add(struct buf *body, const struct cmq_message *m, struct buf *props)
{
    buf_clear(props);
    message_props_encode(m, props);
    buf_u32(body, (uint32_t)(4 + 4 + 4 + 4 + 4 + m->body_n + 2 + props->n));
    buf_u32(body, 0); /* magic and checksum are the broker's */
    buf_u32(body, 0);
    buf_u32(body, (uint32_t)m->flag);
    buf_u32(body, (uint32_t)m->body_n);
    buf_put(body, m->body, m->body_n);
    buf_u16(body, (uint16_t)props->n);
    buf_slice(body, buf_view(props));
    body->failed = body->failed || props->failed;
}

static enum cmq_code check_batch(const struct cmq_producer *p, struct cmq_message *const *m, size_t n, struct cmq_error *err)
{
    if (n == 0 || n > INT32_MAX)
        return error_set(err, CMQ_ERR_ARGUMENT, "batch: no message in it");
    enum cmq_code code = CMQ_OK;
    for (size_t i = 0; i < n && code == CMQ_OK; i++) {
        code = check_message(p, m[i], err);
        if (code == CMQ_OK && strcmp(m[i]->topic, m[0]->topic) != 0)
            code = error_set(err, CMQ_ERR_ARGUMENT, "batch: topics %.80s and %.80s in one", m[0]->topic, m[i]->topic);
        if (code == CMQ_OK && cmq_message_property(m[i], PROP_DELAY) != NULL)
            code = error_set(err, CMQ_ERR_ARGUMENT, "batch: message %zu has a delay level, which batches cannot carry", i);
    }
    if (code == CMQ_OK && strncmp(m[0]->topic, RETRY_PREFIX, strlen(RETRY_PREFIX)) == 0)
        code = error_set(err, CMQ_ERR_ARGUMENT, "batch: not to a retry topic");
    return code;
}

enum cmq_code cmq_producer_send_batch(struct cmq_producer *p, struct cmq_message *const *m, size_t n, struct cmq_send_result *out, struct cmq_error *err)
{
    struct buf body = {0}, props = {0};
    enum cmq_code code = check_state(p, true, err);
    if (code == CMQ_OK)
        code = check_batch(p, m, n, err);
    for (size_t i = 0; i < n && code == CMQ_OK; i++) {
        if (unique_id(m[i]) == NULL)
            code = error_set(err, CMQ_ERR_NO_MEMORY, "send: out of memory");
        batch_add(&body, m[i], &props);
        if (code == CMQ_OK && body.n > (size_t)p->cfg->max_message_size)
            code = error_set(err, CMQ_ERR_ARGUMENT, "batch: larger than maxMessageSize=%d", (int)p->cfg->max_message_size);
    }
    if (code == CMQ_OK && body.failed)
        code = error_set(err, CMQ_ERR_NO_MEMORY, "send: out of memory");
    if (code == CMQ_OK) {
        struct send_order o = {.topic = m[0]->topic,
                               .body = buf_view(&body),
                               .batch = true,
                               .n_messages = (uint32_t)n,
                               .max_reconsume = -1,
                               .tries = 1 + p->cfg->retry_times,
                               .timeout_ms = p->cfg->send_timeout_ms,
                               .unique_id = cmq_message_property(m[0], PROP_UNIQ_KEY)};
        code = send_and_wait(p, &o, out, err);
    }
    buf_free(&body);
    buf_free(&props);
    return code;
}

/* ---- not waiting ---- */

struct async_send {
    cmq_sent_fn *fn;
    void *arg;
    struct buf packed;
};

static void async_done(void *arg, const struct cmq_send_result *result, const struct cmq_error *err)
{
    struct async_send *a = arg;
    a->fn(a->arg, result, err);
    buf_free(&a->packed);
    mem_free(a);
}

static bool is_full(const struct cmq_producer *p, size_t more)
{
    uint64_t n = atomic_load_explicit(&p->sender.counts.waiting_messages, memory_order_relaxed);
    uint64_t bytes = atomic_load_explicit(&p->sender.counts.waiting_bytes, memory_order_relaxed);
    return n >= (uint64_t)p->cfg->async_max_messages || (n > 0 && bytes + more > (uint64_t)p->cfg->async_max_bytes);
}

static enum cmq_code full(const struct cmq_producer *p, struct cmq_error *err)
{
    return error_set(err, CMQ_ERR_FULL, "send: asyncMaxMessages=%lld or asyncMaxBytes=%lld wait for their answers already",
                     (long long)p->cfg->async_max_messages, (long long)p->cfg->async_max_bytes);
}

enum cmq_code cmq_producer_send_async(struct cmq_producer *p, struct cmq_message *m, cmq_sent_fn *fn, void *arg, struct cmq_error *err)
{
    struct send_order o;
    enum cmq_code code = check_state(p, false, err);
    if (code != CMQ_OK)
        return code;
    if (is_full(p, m->body_n))
        return full(p, err);
    struct async_send *a = mem_alloc(sizeof *a);
    if (a == NULL)
        return error_set(err, CMQ_ERR_NO_MEMORY, "send: out of memory");
    *a = (struct async_send){.fn = fn, .arg = arg};
    code = order_of(p, m, &a->packed, &o, err);
    if (code != CMQ_OK)
        goto undo_alloc;
    o.tries = 1 + p->cfg->retry_times_async;
    o.owned = m;
    o.done = async_done;
    o.arg = a;
    struct send_job *j = send_job_new(&p->sender, &o);
    if (j == NULL) {
        code = error_set(err, CMQ_ERR_NO_MEMORY, "send: out of memory");
        goto undo_alloc;
    }
    send_job_post(j);
    return CMQ_OK; /* *err is not cleared: this is the fast path */

undo_alloc:
    buf_free(&a->packed);
    mem_free(a);
    return code;
}

static void oneway_done(void *arg, const struct cmq_send_result *result, const struct cmq_error *err) { (void)arg, (void)result, (void)err; }

enum cmq_code cmq_producer_send_oneway(struct cmq_producer *p, struct cmq_message *m, struct cmq_error *err)
{
    struct buf packed = {0};
    struct send_order o;
    enum cmq_code code = check_state(p, false, err);
    if (code == CMQ_OK && is_full(p, m->body_n))
        code = full(p, err);
    if (code == CMQ_OK)
        code = order_of(p, m, &packed, &o, err);
    if (code != CMQ_OK) {
        buf_free(&packed);
        return code;
    }
    o.how = SEND_ONEWAY;
    o.tries = 1;
    struct route *r = client_route_cached(p->client, m->topic);
    if (r == NULL && !client_is_network_thread(p->client)) { /* the first one waits: only then it is known whether there is a way at all */
        code = send_and_wait(p, &o, NULL, err);
    } else {
        o.copy_body = true;
        o.done = oneway_done;
        struct send_job *j = send_job_new(&p->sender, &o);
        if (j != NULL)
            send_job_post(j);
        code = j != NULL ? error_ok(err) : error_set(err, CMQ_ERR_NO_MEMORY, "send: out of memory");
    }
    route_unref(r);
    buf_free(&packed);
    return code;
}

/* ---- transactions: on_check() is above, where routes are made ---- */

enum cmq_code cmq_producer_on_check(struct cmq_producer *p, cmq_transaction_fn *check, void *arg, struct cmq_error *err)
{
    struct checks_swap s = {.p = p};
    enum cmq_code code = check_state(p, true, err);
    if (code == CMQ_OK && check == NULL)
        code = error_set(err, CMQ_ERR_ARGUMENT, "transaction checks: no function");
    if (code == CMQ_OK)
        code = checks_new(p->client, check, arg, &s.checks, err);
    if (code != CMQ_OK)
        return code;
    client_run(p->client, swap_checks, &s);
    if (s.checks == NULL)
        return CMQ_OK;
    client_run(p->client, swap_checks, &s); /* the first one stays */
    checks_free(s.checks);
    error_set(err, CMQ_ERR_STATE, "transaction checks: they have a function already");
    if (err != NULL)
        err->fatal = 0;
    return CMQ_ERR_STATE;
}

enum cmq_code cmq_producer_send_in_transaction(struct cmq_producer *p, struct cmq_message *m, cmq_transaction_fn *local, void *arg, struct cmq_send_result *out,
                                               struct cmq_error *err)
{
    struct cmq_send_result result;
    struct host store;
    if (local == NULL)
        return error_set(err, CMQ_ERR_ARGUMENT, "transaction: no function does its work");
    message_prop_remove(m, PROP_DELAY);
    if (!message_prop_set(m, PROP_TRAN_MSG, "true") || !message_prop_set(m, PROP_PGROUP, p->cfg->producer_group))
        return error_set(err, CMQ_ERR_NO_MEMORY, "transaction: out of memory");
    enum cmq_code code = send_one(p, m, NULL, &result, err);
    if (code != CMQ_OK)
        return code;
    if (out != NULL)
        *out = result;
    struct transaction_place at = {.broker_name = result.broker_name, .half_off = result.queue_offset};
    if (!message_id_decode(slice_str(result.offset_msg_id), &store, &at.phys_off))
        return error_set(err, CMQ_ERR_PROTOCOL, "transaction: message id %.60s of the broker does not decode", result.offset_msg_id);
    enum cmq_transaction_state state = result.status == CMQ_SEND_OK ? local(arg, m) : CMQ_TRANSACTION_ROLLBACK;
    transaction_end(p->client, &at, result.msg_id, state, false);
    return CMQ_OK;
}

void cmq_producer_get_stats(struct cmq_producer *p, struct cmq_producer_stats *out)
{
    const struct send_counts *c = &p->sender.counts;
    *out = (struct cmq_producer_stats){.sent = atomic_load(&c->sent),
                                       .failed = atomic_load(&c->failed),
                                       .retried = atomic_load(&c->retried),
                                       .bytes = atomic_load(&c->bytes),
                                       .waiting = atomic_load(&c->waiting_messages)};
}
