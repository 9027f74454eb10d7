/* send.c - sendMessage, sendMsgStatus, checkMsgSendRT, and the sends of others: see sends.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/admin/mqadmin/sends.h"
#include "client/admin/talk.h"
#include "common/base/clock.h"
#include "common/base/mem.h"

enum { SIZE_MAX_SENT = 16 << 20 };

bool sends_open(struct mqadmin *m, const char *group, struct cmq_producer **out)
{
    struct cmq_error err = {0};
    char own[32];
    snprintf(own, sizeof own, "%lld", (long long)clock_wall_ms());
    if (cmq_config_set(m->cfg, "producerGroup", group ? group : own, &err) == CMQ_OK && cmq_producer_new(m->cfg, out, &err) == CMQ_OK)
        return true;
    return fail(m, -1, "%s", err.words);
}

const char *sends_status(enum cmq_send_status status)
{
    static const char *const names[] = {"SEND_OK", "FLUSH_DISK_TIMEOUT", "FLUSH_SLAVE_TIMEOUT", "SLAVE_NOT_AVAILABLE"};
    return names[status];
}

void sends_print_result(const char *topic, const struct cmq_send_result *r)
{
    print("SendResult [sendStatus=%s, msgId=%s, offsetMsgId=%s, messageQueue=MessageQueue [topic=%s, brokerName=%s, queueId=%d], queueOffset=%lld]",
          sends_status(r->status), r->msg_id, r->offset_msg_id, topic, r->broker_name, (int)r->queue_id, (long long)r->queue_offset);
}

static bool fail_send(struct mqadmin *m, const struct cmq_error *err)
{
    return err->remark[0] && err->server_code >= 0 ? fail(m, err->server_code, "%s", err->remark) : fail(m, -1, "%s", err->words);
}

/* ---- many of the same ---- */

static size_t take_turn(void *arg, const struct cmq_message *msg, const struct cmq_queue *queues, size_t n)
{
    struct sends_turn *t = arg;
    (void)msg;
    const struct cmq_queue *q = &queues[(size_t)t->turn % n];
    snprintf(t->broker, sizeof t->broker, "%s", q->broker_name);
    t->queue_id = q->queue_id;
    return (size_t)(q - queues);
}

void sends_many(struct cmq_producer *p, const char *topic, int64_t size, int64_t amount, struct sends_turn *turn, struct sends_result *out)
{
    size_t n = size < 0 ? 0 : size > SIZE_MAX_SENT ? SIZE_MAX_SENT : (size_t)size;
    char *body = mem_alloc(n + 1);
    *out = (struct sends_result){0};
    if (body != NULL)
        memset(body, 'a', n);
    for (int64_t i = 0; i < amount; i++) {
        struct cmq_send_result r;
        struct cmq_message *msg = body != NULL ? cmq_message_new(topic, body, n) : NULL;
        int64_t begin = clock_mono_ms();
        if (turn != NULL)
            turn->turn = i;
        bool good = msg != NULL;
        if (good && turn != NULL)
            good = cmq_producer_send_selected(p, msg, take_turn, turn, &r, NULL) == CMQ_OK;
        else if (good)
            good = cmq_producer_send(p, msg, &r, NULL) == CMQ_OK;
        int64_t ms = clock_mono_ms() - begin;
        cmq_message_free(msg);
        out->sent += good;
        out->failed += !good;
        out->ms_but_first += i > 0 ? ms : 0;
        if (turn != NULL && turn->each != NULL)
            turn->each(turn, good, ms);
    }
    mem_free(body);
}

/* ---- checkMsgSendRT ---- */

static void print_rt(const struct sends_turn *t, bool good, int64_t ms)
{
    print("%-32s  %-4d  %-20s    %lld\n", t->broker, (int)t->queue_id, good ? "true" : "false", (long long)ms);
}

bool send_check_rt(struct mqadmin *m)
{
    int64_t amount, size;
    struct cmq_producer *p;
    struct sends_turn turn = {.each = print_rt};
    struct sends_result r;
    if (!opt_i64(m, 'a', 100, &amount) || !opt_i64(m, 's', 128, &size) || !sends_open(m, NULL, &p))
        return false;
    print("%-32s  %-4s  %-20s    %s\n", "#Broker Name", "#QID", "#Send Result", "#RT");
    sends_many(p, opt_text(m, 't'), size, amount, &turn, &r);
    print("Avg RT: %.2f\n", amount > 1 ? (double)r.ms_but_first / (double)(amount - 1) : 0.0);
    cmq_producer_free(p);
    return true;
}

/* ---- sendMsgStatus ---- */

static bool status_send(struct mqadmin *m, struct cmq_producer *p, const char *topic, int32_t size, bool say)
{
    static const char piece[] = "hello jodie"; /* what Apache's sends */
    struct buf body = {0};
    struct cmq_send_result r;
    struct cmq_error err;
    for (int32_t i = 0; i < size; i += (int32_t)sizeof piece - 1)
        buf_str(&body, piece);
    struct cmq_message *msg = body.failed ? NULL : cmq_message_new(topic, body.p, body.n);
    buf_free(&body);
    int64_t begin = clock_mono_ms();
    if (msg == NULL)
        return fail(m, -1, "out of memory");
    bool good = cmq_producer_send(p, msg, &r, &err) == CMQ_OK;
    cmq_message_free(msg);
    if (!good)
        return fail_send(m, &err);
    if (say) {
        print("rt=%lldms, SendResult=", (long long)(clock_mono_ms() - begin));
        sends_print_result(topic, &r);
        print("\n");
    }
    return true;
}

bool send_status(struct mqadmin *m)
{
    const char *topic = opt_text(m, 'b'); /* a broker has a topic of its own name */
    int32_t size, count;
    struct cmq_producer *p;
    if (!opt_i32(m, 's', 128, &size) || !opt_i32(m, 'c', 50, &count) || !sends_open(m, "PID_SMSC", &p))
        return false;
    bool good = status_send(m, p, topic, 16, false);
    for (int32_t i = 0; i < count && good; i++)
        good = status_send(m, p, topic, size, true);
    cmq_producer_free(p);
    return good;
}

/* ---- sendMessage ---- */

static struct cmq_message *message_of(struct mqadmin *m)
{
    const char *body = opt_text(m, 'p');
    struct cmq_error err = {0};
    struct cmq_message *msg = cmq_message_new(opt_text(m, 't'), body, strlen(body));
    if (msg == NULL) {
        fail(m, -1, "out of memory");
        return NULL;
    }
    if ((opt_is(m, 'c') && cmq_message_set_tag(msg, opt_text(m, 'c'), &err) != CMQ_OK) ||
        (opt_is(m, 'k') && cmq_message_set_keys(msg, opt_text(m, 'k'), &err) != CMQ_OK)) {
        fail(m, -1, "%s", err.words);
        cmq_message_free(msg);
        return NULL;
    }
    return msg;
}

bool send_message(struct mqadmin *m)
{
    struct cmq_producer *p;
    struct cmq_send_result r;
    struct cmq_error err;
    int32_t queue_id;
    if (opt_is(m, 'i') && !opt_is(m, 'b')) {
        print("Broker name must be set if the queue is chosen!");
        return true;
    }
    if (!opt_i32(m, 'i', -1, &queue_id))
        return false;
    if (opt_bool(m, 'm', false))
        say("mqadmin sendMessage: the message is sent without a trace.");
    struct cmq_message *msg = message_of(m);
    if (msg == NULL || !sends_open(m, NULL, &p)) {
        cmq_message_free(msg);
        return false;
    }
    struct cmq_queue queue = {opt_text(m, 't'), opt_text(m, 'b'), queue_id};
    bool chosen = opt_is(m, 'b') && queue_id >= 0;
    bool good = (chosen ? cmq_producer_send_to(p, msg, &queue, &r, &err) : cmq_producer_send(p, msg, &r, &err)) == CMQ_OK;
    cmq_message_free(msg);
    cmq_producer_free(p);
    if (!good)
        return fail_send(m, &err);
    print("%-32s  %-4s  %-20s    %s\n", "#Broker Name", "#QID", "#Send Result", "#MsgId");
    print("%-32s  %-4d  %-20s    %s\n", r.broker_name, (int)r.queue_id, sends_status(r.status), r.msg_id);
    return true;
}
