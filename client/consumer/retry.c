/* retry.c - messages that shall come again: back to the broker (36), which delivers them to the group's retry topic after a while.
 *
 *   callback says later --> 36 to the message's broker --ok--> consumed here
 *                                `--refused, unreachable--> a copy to the retry topic on any broker --ok--> consumed here
 *                                                                  `--failed--> parked, delivered here again in 5 s
 * How often it comes is the group's to say, as its brokers know it, unless maxReconsumeTimes is set here.
 * A message counts as consumed only when the retry topic holds it: a crash in between delivers it twice, never not at all. */
#include <stdio.h>
#include <string.h>

#include "client/consumer/consumer_internal.h"
#include "client/core/error.h"
#include "common/base/log.h"
#include "common/protocol/codes.h"

enum { AGAIN_MS = 5000, DELAY_FIRST = 3 };

static void sent_back(struct cmq_consumer *c)
{
    pthread_mutex_lock(&c->lock);
    if (--c->sending_back == 0)
        pthread_cond_broadcast(&c->still);
    pthread_mutex_unlock(&c->lock);
}

static void park(struct cmq_consumer *c, struct cmq_message *m)
{
    if (c->orderly) {
        order_return(c, m);
        sent_back(c);
        return;
    }
    m->reconsume_times++; /* nobody else counts this one */
    list_push_back(&c->parked, &m->later);
    if (!c->ended && !atomic_load(&c->stopping))
        loop_timer_start(&c->again_timer, AGAIN_MS, 0);
    sent_back(c);
}

void retry_on_timer(void *arg)
{
    struct cmq_consumer *c = arg;
    struct list gone;
    list_init(&gone);
    pthread_mutex_lock(&c->lock);
    LIST_EACH(it, &c->parked)
    {
        struct cmq_message *m = CONTAINER_OF(it, struct cmq_message, later);
        struct held_queue *q = m->window.queue;
        list_remove(it);
        if (m->window.bytes == SIZE_MAX) { /* the queue is another member's by now */
            list_push_back(&gone, &m->later);
            continue;
        }
        window_put_back(&q->window, m);
        deliver_ready(c, q);
    }
    pthread_mutex_unlock(&c->lock);
    deliver_wake(c);
    LIST_EACH(it, &gone)
    {
        struct cmq_message *m = CONTAINER_OF(it, struct cmq_message, later);
        list_remove(it);
        deliver_done(c, m);
    }
}

/* ---- the second way: a copy to the retry topic ---- */

struct resend {
    struct cmq_consumer *consumer;
    struct cmq_message *m, *copy;
};

static void on_resent(void *arg, const struct cmq_send_result *result, const struct cmq_error *err)
{
    struct resend *r = arg;
    struct cmq_consumer *c = r->consumer;
    if (result != NULL) {
        deliver_done(c, r->m);
        sent_back(c);
    } else {
        log_warn("consumer", "message cannot be sent back topic=%s offset=%lld: %s", r->m->topic, (long long)r->m->queue_off, err->words);
        park(c, r->m);
    }
    cmq_message_free(r->copy);
    mem_free(r);
}

static struct cmq_message *retry_copy(const struct cmq_message *m, int32_t max)
{
    struct cmq_message *copy = cmq_message_copy(m);
    char times[16], most[16], delay[16];
    if (copy == NULL)
        return NULL;
    snprintf(times, sizeof times, "%d", (int)m->reconsume_times + 1);
    snprintf(most, sizeof most, "%d", (int)max);
    snprintf(delay, sizeof delay, "%d", m->later_level > 0 ? (int)m->later_level : DELAY_FIRST + (int)m->reconsume_times);
    message_prop_remove(copy, PROP_TRAN_MSG);
    const char *origin = cmq_message_property(m, "ORIGIN_MESSAGE_ID");
    char id[128];
    snprintf(id, sizeof id, "%s", origin ? origin : cmq_message_id(m));
    bool whole = message_prop_set(copy, PROP_RETRY_TOPIC, m->topic) && message_prop_set(copy, "ORIGIN_MESSAGE_ID", id) &&
                 message_prop_set(copy, "RECONSUME_TIME", times) && (max < 0 || message_prop_set(copy, "MAX_RECONSUME_TIMES", most)) &&
                 message_prop_set(copy, PROP_DELAY, delay);
    if (whole)
        return copy;
    cmq_message_free(copy);
    return NULL;
}

static void resend(struct cmq_consumer *c, struct cmq_message *m)
{
    int32_t max = m->later_level < 0 ? 0 : c->cfg->max_reconsume; /* 0: the broker buries it */
    struct resend *r = mem_alloc(sizeof *r);
    struct cmq_message *copy = r != NULL ? retry_copy(m, max) : NULL;
    struct send_job *j = NULL;
    if (copy != NULL) {
        *r = (struct resend){.consumer = c, .m = m, .copy = copy};
        struct send_order o = {.topic = c->retry_topic,
                               .body = slice_make(copy->body, copy->body_n),
                               .m = copy,
                               .reconsume_times = m->reconsume_times + 1,
                               .max_reconsume = max,
                               .tries = 1 + c->cfg->retry_times,
                               .timeout_ms = c->cfg->send_timeout_ms,
                               .unique_id = "",
                               .done = on_resent,
                               .arg = r};
        j = send_job_new(&c->sender, &o);
    }
    if (j != NULL) {
        send_job_start(j);
        return;
    }
    cmq_message_free(copy);
    mem_free(r);
    park(c, m);
}

/* ---- the first way ---- */

struct send_back {
    struct cmq_consumer *consumer;
    struct cmq_message *m;
};

static void on_answer(void *arg, enum mq_err failed, const struct command *answer, const struct fault *why)
{
    struct send_back *s = arg;
    struct cmq_consumer *c = s->consumer;
    (void)why;
    if (failed == MQ_OK && answer->code == RES_SUCCESS) {
        deliver_done(c, s->m);
        sent_back(c);
    } else if (c->ended) {
        park(c, s->m);
    } else {
        log_info("consumer", "broker did not take a message back topic=%s offset=%lld code=%d", s->m->topic, (long long)s->m->queue_off,
                 failed == MQ_OK ? (int)answer->code : -1);
        resend(c, s->m);
    }
    mem_free(s);
}

static void send_back(struct cmq_consumer *c, struct cmq_message *m)
{
    char addr[ADDR_MAX], off[24], level[16], max[16];
    snprintf(off, sizeof off, "%lld", (long long)m->phys_off);
    snprintf(level, sizeof level, "%d", (int)m->later_level);
    snprintf(max, sizeof max, "%d", (int)c->cfg->max_reconsume);
    const struct ext_field ext[] = {{SLICE_LIT("offset"), slice_str(off)},
                                    {SLICE_LIT("group"), slice_str(c->cfg->consumer_group)},
                                    {SLICE_LIT("delayLevel"), slice_str(level)},
                                    {SLICE_LIT("originMsgId"), slice_str(cmq_message_id(m))},
                                    {SLICE_LIT("originTopic"), slice_str(m->topic)},
                                    {SLICE_LIT("unitMode"), SLICE_LIT("false")},
                                    {SLICE_LIT("maxReconsumeTimes"), slice_str(max)}}; /* the last: left out when nobody set it */
    struct command cmd = client_command(c->client, REQ_CONSUMER_SEND_MSG_BACK, ext, sizeof ext / sizeof *ext - (c->cfg->max_reconsume < 0));
    if (c->ended) {
        park(c, m);
        return;
    }
    struct send_back *s = mem_alloc(sizeof *s);
    if (s != NULL)
        *s = (struct send_back){.consumer = c, .m = m};
    if (s == NULL || !client_broker_addr(c->client, m->broker_name, 0, true, addr) ||
        caller_call(client_caller(c->client), addr, &cmd, c->cfg->api_timeout_ms, on_answer, s) != MQ_OK) {
        mem_free(s);
        resend(c, m);
    }
}

void retry_run(struct loop_msg *msg)
{
    struct cmq_consumer *c = CONTAINER_OF(msg, struct cmq_consumer, retry_msg);
    struct list now;
    list_init(&now);
    atomic_store(&c->retry_posted, false);
    pthread_mutex_lock(&c->lock);
    list_splice(&now, &c->to_send_back);
    pthread_mutex_unlock(&c->lock);
    LIST_EACH(it, &now)
    {
        list_remove(it);
        if (c->orderly) /* the broker counts by the record, which says 0: it would not see that this one is to die */
            resend(c, CONTAINER_OF(it, struct cmq_message, later));
        else
            send_back(c, CONTAINER_OF(it, struct cmq_message, later));
    }
}
