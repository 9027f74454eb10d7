/* request.c - a message and the answer of whoever consumes it.
 *
 *   request --send--> broker --> consumer --reply, code 325--> any broker that knows us --326--> here: by its correlation id to who waits
 * A broker can push to us only after it has had a heartbeat of ours. So the first request, and the first one after a reply stayed out,
 * begins with one to all brokers of known routes, and waits for it.
 *   I1  a request is in the table exactly while its caller waits; a reply is handed over once or dropped.   (test: compat/libcmq, request) */
#include <semaphore.h>
#include <stdio.h>
#include <string.h>

#include "client/core/error.h"
#include "client/core/uniq_id.h"
#include "client/producer/producer_internal.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/protocol/codes.h"

enum { REPLY_INFLATED_MAX = 64 << 20 };
#define PROP_CORRELATION_ID "CORRELATION_ID"
#define PROP_REPLY_TO "REPLY_TO_CLIENT"
#define PROP_TTL "TTL"

struct waiting_request { /* on its caller's stack */
    struct hash_node node; /* key = id; under the producer's lock */
    pthread_cond_t came;
    struct cmq_message *reply; /* NULL: not yet */
    char id[UNIQ_ID_MAX];
};

/* ---- the reply: network thread ---- */

static struct cmq_message *message_of(const struct request *rq, bool *bad)
{
    struct fields f = fields_of(rq->cmd);
    struct message record = {.topic = field_str(&f, "topic"), .properties = field_str_or_none(&f, "properties"), .body = rq->cmd->body,
                             .queue_id = field_i32_or(&f, "queueId", 0), .sys_flag = field_i32_or(&f, "sysFlag", 0), .flag = field_i32_or(&f, "flag", 0),
                             .reconsume_times = field_i32_or(&f, "reconsumeTimes", 0), .born_ms = field_i64_or(&f, "bornTimestamp", 0),
                             .store_ms = field_i64_or(&f, "storeTimestamp", 0)};
    *bad = f.bad[0] != 0;
    struct cmq_message *m = *bad ? NULL : message_received(&record, "", REPLY_INFLATED_MAX, bad);
    if (m != NULL)
        m->offset_id[0] = 0; /* nobody told us where it is stored, if at all */
    return m;
}

static enum handled on_reply(void *ctx, const struct request *rq, struct reply *out)
{
    struct cmq_producer *p = ctx;
    bool bad;
    struct cmq_message *m = message_of(rq, &bad);
    if (m == NULL || bad) {
        cmq_message_free(m);
        return reply_refuse(out, RES_SYSTEM_ERROR, "process reply message fail");
    }
    const char *id = cmq_message_property(m, PROP_CORRELATION_ID);
    pthread_mutex_lock(&p->lock);
    struct hash_node *n = id != NULL ? hashmap_get(&p->requests, slice_str(id)) : NULL;
    struct waiting_request *w = n != NULL ? CONTAINER_OF(n, struct waiting_request, node) : NULL;
    bool wanted = w != NULL && w->reply == NULL;
    if (wanted) {
        w->reply = m;
        pthread_cond_signal(&w->came);
    }
    pthread_mutex_unlock(&p->lock);
    if (!wanted) { /* too late, or a second one: as Apache's clients, we take it all the same */
        log_info("producer", "reply that nobody waits for id=%.64s", id ? id : "");
        cmq_message_free(m);
    }
    return HANDLED_NOW;
}

enum cmq_code request_routes(struct cmq_producer *p, struct cmq_error *err)
{
    const struct request_route routes[] = {{REQ_PUSH_REPLY_MESSAGE_TO_CLIENT, on_reply, p}};
    if (caller_route(client_caller(p->client), routes, 1) == MQ_OK)
        return CMQ_OK;
    return error_set(err, CMQ_ERR_NO_MEMORY, "producer: out of memory");
}

void request_wake_all(struct cmq_producer *p)
{
    pthread_mutex_lock(&p->lock);
    for (struct hash_node *n = hashmap_first(&p->requests); n; n = hashmap_next(&p->requests, n))
        pthread_cond_signal(&CONTAINER_OF(n, struct waiting_request, node)->came);
    pthread_mutex_unlock(&p->lock);
}

/* ---- asking: the user's thread ---- */

struct greeting {
    struct client *client;
    sem_t done;
};
static void on_greeted(void *arg) { sem_post(&((struct greeting *)arg)->done); }
static void run_greeting(void *arg) { client_heartbeat(((struct greeting *)arg)->client, on_greeted, arg); }

/* All brokers of the topic, and those we knew before, know us now. */
static enum cmq_code greet(struct cmq_producer *p, const char *topic, int64_t timeout_ms, struct cmq_error *err)
{
    struct route *r;
    enum cmq_code code = client_route_wait(p->client, topic, true, timeout_ms, &r, err);
    if (code != CMQ_OK)
        return code;
    route_unref(r);
    struct greeting g = {.client = p->client};
    sem_init(&g.done, 0, 0);
    client_run(p->client, run_greeting, &g);
    while (sem_wait(&g.done) != 0)
        ;
    sem_destroy(&g.done);
    atomic_store(&p->greeted, true);
    return CMQ_OK;
}

static void await(struct cmq_producer *p, struct waiting_request *w, int64_t due_ms)
{
    struct timespec due = clock_deadline(due_ms - clock_mono_ms());
    int rc = 0;
    pthread_mutex_lock(&p->lock);
    while (w->reply == NULL && rc == 0 && !atomic_load(&p->stopping))
        rc = pthread_cond_timedwait(&w->came, &p->lock, &due);
    pthread_mutex_unlock(&p->lock);
}

static bool join(struct cmq_producer *p, struct waiting_request *w)
{
    clock_cond_init(&w->came);
    uniq_id_next(w->id);
    pthread_mutex_lock(&p->lock);
    bool added = hashmap_add(&p->requests, &w->node, slice_str(w->id));
    pthread_mutex_unlock(&p->lock);
    if (!added)
        pthread_cond_destroy(&w->came);
    return added;
}

static void part(struct cmq_producer *p, struct waiting_request *w)
{
    pthread_mutex_lock(&p->lock);
    hashmap_remove(&p->requests, &w->node);
    pthread_mutex_unlock(&p->lock);
    pthread_cond_destroy(&w->came);
}

static enum cmq_code ask(struct cmq_producer *p, struct cmq_message *m, struct waiting_request *w, int64_t timeout_ms, struct cmq_error *err)
{
    char ttl[24];
    int64_t due_ms = clock_mono_ms() + timeout_ms;
    snprintf(ttl, sizeof ttl, "%lld", (long long)timeout_ms);
    if (!message_prop_set(m, PROP_CORRELATION_ID, w->id) || !message_prop_set(m, PROP_REPLY_TO, client_id(p->client)) ||
        !message_prop_set(m, PROP_TTL, ttl))
        return error_set(err, CMQ_ERR_NO_MEMORY, "request: out of memory");
    enum cmq_code code = atomic_load(&p->greeted) ? CMQ_OK : greet(p, m->topic, timeout_ms, err);
    if (code == CMQ_OK)
        code = producer_send_and_wait(p, m, NULL, due_ms - clock_mono_ms(), NULL, err);
    if (code != CMQ_OK)
        return code;
    await(p, w, due_ms);
    if (w->reply != NULL)
        return error_ok(err);
    if (atomic_load(&p->stopping))
        return error_set(err, CMQ_ERR_STATE, "request to topic %.127s: the producer is stopped", m->topic);
    atomic_store(&p->greeted, false); /* perhaps a broker lost sight of us */
    return error_set(err, CMQ_ERR_TIMEOUT, "request to topic %.127s: sent, but no reply came within %lld ms", m->topic, (long long)timeout_ms);
}

enum cmq_code cmq_producer_request(struct cmq_producer *p, struct cmq_message *m, int64_t timeout_ms, struct cmq_message **reply, struct cmq_error *err)
{
    struct waiting_request w = {0};
    if (atomic_load(&p->stopping) || client_is_network_thread(p->client))
        return error_set(err, CMQ_ERR_STATE, "request: %s", atomic_load(&p->stopping) ? "the producer is stopped" : "a callback may not wait for a reply");
    if (timeout_ms <= 0 || timeout_ms > INT32_MAX || reply == NULL)
        return error_set(err, CMQ_ERR_ARGUMENT, "request: it needs a timeout of 1 to %d ms, and a place for the reply", INT32_MAX);
    if (!join(p, &w))
        return error_set(err, CMQ_ERR_NO_MEMORY, "request: out of memory");
    enum cmq_code code = ask(p, m, &w, timeout_ms, err);
    part(p, &w);
    if (code == CMQ_OK)
        *reply = w.reply;
    else
        cmq_message_free(w.reply); /* it came just now, too late */
    return code;
}
