/* transaction.c - see transaction.h.
 *
 * The user's answer to a question may take long (it looks into a database), so questions wait for a thread of their own, at most
 * QUESTIONS_MAX of them: a broker asks again about what is dropped. The answer goes to the broker that asked, by the offsets of the
 * question, as the half message was put anew for it.   (test: integration/client, transactions) */
#include "client/producer/transaction.h"
#include <pthread.h>
#include <signal.h>
#include <stdio.h>

#include "client/core/error.h"
#include "client/core/message.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/protocol/codes.h"

enum { QUESTIONS_MAX = 2000, INFLATED_MAX = 64 << 20 };

/* ---- ending ---- */
struct end {
    struct client *client;
    const struct transaction_place *at;
    const char *id;
    int32_t decision;
    bool from_check;
};

static void end_now(void *arg)
{
    const struct end *e = arg;
    char half[24], phys[24], decision[12], addr[ADDR_MAX];
    bool known = true;
    if (e->at->broker_name != NULL)
        known = client_broker_addr(e->client, e->at->broker_name, 0, true, addr);
    else
        snprintf(addr, sizeof addr, "%s", e->at->addr);
    snprintf(half, sizeof half, "%lld", (long long)e->at->half_off);
    snprintf(phys, sizeof phys, "%lld", (long long)e->at->phys_off);
    snprintf(decision, sizeof decision, "%d", (int)e->decision);
    const struct ext_field ext[] = {{SLICE_LIT("producerGroup"), slice_str(client_cfg(e->client)->producer_group)},
                                    {SLICE_LIT("tranStateTableOffset"), slice_str(half)},
                                    {SLICE_LIT("commitLogOffset"), slice_str(phys)},
                                    {SLICE_LIT("commitOrRollback"), slice_str(decision)},
                                    {SLICE_LIT("fromTransactionCheck"), e->from_check ? SLICE_LIT("true") : SLICE_LIT("false")},
                                    {SLICE_LIT("msgId"), slice_str(e->id)},
                                    {SLICE_LIT("transactionId"), slice_str(e->id)}};
    struct command cmd = client_command(e->client, REQ_END_TRANSACTION, ext, sizeof ext / sizeof *ext);
    cmd.flag |= COMMAND_ONEWAY;
    if (!known || caller_oneway(client_caller(e->client), addr, &cmd) != MQ_OK)
        log_info("producer", "the end of a transaction could not be told, so the broker will ask id=%s", e->id);
}

void transaction_end(struct client *c, const struct transaction_place *at, const char *id, enum cmq_transaction_state state, bool from_check)
{
    struct end e = {.client = c, .at = at, .id = id, .from_check = from_check,
                    .decision = state == CMQ_TRANSACTION_COMMIT ? SYS_TRAN_COMMIT : state == CMQ_TRANSACTION_ROLLBACK ? SYS_TRAN_ROLLBACK : 0};
    client_run(c, end_now, &e);
}

/* ---- questions ---- */
struct question {
    struct list node;
    struct transaction_place at;
    struct cmq_message *m;
};
struct checks {
    struct client *client;
    cmq_transaction_fn *fn;
    void *arg;
    pthread_t thread;
    pthread_mutex_t lock; /* what follows */
    pthread_cond_t more;
    struct list questions;
    size_t n;
    bool ending;
};

static void question_free(struct question *q)
{
    cmq_message_free(q->m);
    mem_free(q);
}

static struct question *next(struct checks *k) /* NULL: it is over */
{
    struct question *q = NULL;
    pthread_mutex_lock(&k->lock);
    while (list_empty(&k->questions) && !k->ending)
        pthread_cond_wait(&k->more, &k->lock);
    if (!k->ending) {
        q = CONTAINER_OF(k->questions.next, struct question, node);
        list_remove(&q->node);
        k->n--;
    }
    pthread_mutex_unlock(&k->lock);
    return q;
}

static void *check_thread(void *arg)
{
    struct checks *k = arg;
    struct question *q;
    pthread_setname_np(pthread_self(), "cmq-check");
    while ((q = next(k)) != NULL) {
        enum cmq_transaction_state state = k->fn(k->arg, q->m);
        transaction_end(k->client, &q->at, cmq_message_id(q->m), state, true);
        question_free(q);
    }
    return NULL;
}

enum cmq_code checks_new(struct client *c, cmq_transaction_fn *fn, void *arg, struct checks **out, struct cmq_error *err)
{
    struct checks *k = mem_zalloc(sizeof *k);
    sigset_t all, before; /* signals are the program's business */
    if (k == NULL)
        return error_set(err, CMQ_ERR_NO_MEMORY, "transaction checks: out of memory");
    k->client = c;
    k->fn = fn;
    k->arg = arg;
    list_init(&k->questions);
    pthread_mutex_init(&k->lock, NULL);
    pthread_cond_init(&k->more, NULL);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&k->thread, NULL, check_thread, k);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed == 0) {
        *out = k;
        return error_ok(err);
    }
    pthread_cond_destroy(&k->more);
    pthread_mutex_destroy(&k->lock);
    mem_free(k);
    error_set(err, CMQ_ERR_SYSTEM, "transaction checks: a thread cannot be started");
    if (err != NULL)
        err->sys = failed;
    return CMQ_ERR_SYSTEM;
}

void checks_free(struct checks *k)
{
    if (k == NULL)
        return;
    pthread_mutex_lock(&k->lock);
    k->ending = true;
    pthread_cond_signal(&k->more);
    pthread_mutex_unlock(&k->lock);
    pthread_join(k->thread, NULL);
    while (!list_empty(&k->questions)) {
        struct question *q = CONTAINER_OF(k->questions.next, struct question, node);
        list_remove(&q->node);
        question_free(q);
    }
    pthread_cond_destroy(&k->more);
    pthread_mutex_destroy(&k->lock);
    mem_free(k);
}

/* Of our group, and whole; else NULL. */
static struct question *question_read(const struct checks *k, const struct request *rq)
{
    struct fields f = fields_of(rq->cmd);
    struct question *q = mem_zalloc(sizeof *q);
    struct message record;
    struct slice group;
    bool bad = false;
    if (q == NULL)
        return NULL;
    q->at.half_off = field_i64(&f, "tranStateTableOffset");
    q->at.phys_off = field_i64(&f, "commitLogOffset");
    snprintf(q->at.addr, sizeof q->at.addr, "%s", rq->peer->addr);
    if (f.bad[0] == '\0' && message_decode(rq->cmd->body, false, &record) == MQ_OK && prop_get(record.properties, PROP_PGROUP, &group) &&
        slice_is(group, client_cfg(k->client)->producer_group))
        q->m = message_received(&record, "", INFLATED_MAX, &bad);
    if (q->m != NULL)
        return q;
    log_warn("producer", "a question about a transaction cannot be read broker=%s: %s", rq->peer->addr,
             f.bad[0] ? f.bad : bad ? "its body does not inflate" : "its message");
    mem_free(q);
    return NULL;
}

void checks_ask(struct checks *k, const struct request *rq)
{
    struct question *q = question_read(k, rq);
    if (q == NULL)
        return;
    pthread_mutex_lock(&k->lock);
    bool room = k->n < QUESTIONS_MAX;
    if (room) {
        list_push_back(&k->questions, &q->node);
        k->n++;
        pthread_cond_signal(&k->more);
    }
    pthread_mutex_unlock(&k->lock);
    if (!room)
        question_free(q);
}
