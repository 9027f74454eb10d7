/* sender.c - the life of one send.
 *
 *   start --> route known? --no--> want it --> choose a queue --> request --> answer
 *                                                ^                             |
 *                                                +---- another try, elsewhere -+--> done (exactly once)
 *
 * Everything of a job is one allocation: struct, topic, properties, queue and, where asked for, the body. Posting it costs one exchange,
 * and one wake-up for as many jobs as come while the network thread is awake.
 *   I1  done is called once per job, also when the client ends.      (test: integration/client, free_while_sends_wait)
 *   I2  tries end at the deadline of the whole; an answer that does not come uses up all of it, as nobody knows what became of it. */
#include "client/producer/sender.h"

#include <stdio.h>
#include <string.h>

#include "client/core/error.h"
#include "client/core/message.h"
#include "client/producer/choose.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/protocol/codes.h"

struct send_job {
    struct loop_msg msg;
    struct sender *s;
    struct route_want want;
    struct route *route;            /* of the present try; holds `queue` */
    const struct cmq_queue *queue;  /* of the present try */
    struct cmq_queue fixed;         /* broker_name NULL: any queue */
    const char *topic, *unique_id;
    struct slice body, props;
    struct cmq_message *owned;
    struct cmq_error *last;         /* what the last try said; NULL: nothing, or out of memory */
    int64_t due_ms, born_ms;
    int32_t sys_flag, flag, reconsume_times, max_reconsume, tries;
    uint32_t n_messages;
    bool batch, reply; /* reply: to a request, pushed to who asked */
    enum send_how how;
    send_done_fn *done;
    void *arg;
    char text[];
};

static char *place(char **at, const void *p, size_t n) /* with a NUL behind it */
{
    char *here = *at;
    if (n > 0)
        memcpy(here, p, n);
    here[n] = '\0';
    *at += n + 1;
    return here;
}

static void route_ready(struct route_want *w, struct route *r, const struct cmq_error *err);

struct send_job *send_job_new(struct sender *s, const struct send_order *o)
{
    struct buf props = {0};
    if (o->m != NULL)
        message_props_encode(o->m, &props);
    size_t topic_n = strlen(o->topic), id_n = strlen(o->unique_id), body_n = o->copy_body ? o->body.n : 0;
    size_t broker_n = o->queue ? strlen(o->queue->broker_name) : 0;
    struct send_job *j = props.failed ? NULL : mem_alloc(sizeof *j + topic_n + broker_n + id_n + body_n + props.n + 5);
    if (j == NULL) {
        buf_free(&props);
        return NULL;
    }
    *j = (struct send_job){.s = s,
                           .want.fn = route_ready,
                           .body = o->body,
                           .owned = o->owned,
                           .due_ms = clock_mono_ms() + o->timeout_ms,
                           .born_ms = clock_wall_ms(),
                           .sys_flag = o->sys_flag,
                           .flag = o->m ? o->m->flag : 0,
                           .reconsume_times = o->reconsume_times,
                           .max_reconsume = o->max_reconsume,
                           .tries = o->tries > 0 ? o->tries : 1,
                           .n_messages = o->n_messages ? o->n_messages : 1,
                           .batch = o->batch,
                           .reply = o->m != NULL && message_is_reply(o->m),
                           .how = o->how,
                           .done = o->done,
                           .arg = o->arg};
    char *at = j->text;
    j->topic = place(&at, o->topic, topic_n);
    j->unique_id = place(&at, o->unique_id, id_n);
    j->props = slice_make(place(&at, props.p, props.n), props.n);
    if (o->queue != NULL)
        j->fixed = (struct cmq_queue){.topic = j->topic, .broker_name = place(&at, o->queue->broker_name, broker_n), .queue_id = o->queue->queue_id};
    if (o->copy_body)
        j->body = slice_make(place(&at, o->body.p, body_n), body_n);
    buf_free(&props);
    atomic_fetch_add_explicit(&s->counts.jobs, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&s->counts.waiting_messages, j->n_messages, memory_order_relaxed);
    atomic_fetch_add_explicit(&s->counts.waiting_bytes, j->body.n, memory_order_relaxed);
    return j;
}

static void finish(struct send_job *j, const struct cmq_send_result *result, const struct cmq_error *err)
{
    struct sender *s = j->s;
    if (result != NULL) {
        atomic_fetch_add_explicit(&s->counts.sent, j->n_messages, memory_order_relaxed);
        atomic_fetch_add_explicit(&s->counts.bytes, j->body.n, memory_order_relaxed);
    } else {
        atomic_fetch_add_explicit(&s->counts.failed, j->n_messages, memory_order_relaxed);
    }
    atomic_fetch_sub_explicit(&s->counts.waiting_bytes, j->body.n, memory_order_relaxed);
    atomic_fetch_sub_explicit(&s->counts.waiting_messages, j->n_messages, memory_order_relaxed); /* who is woken finds room */
    j->done(j->arg, result, err); /* may free what j borrowed */
    route_unref(j->route);
    cmq_message_free(j->owned);
    mem_free(j->last);
    mem_free(j);
    if (atomic_fetch_sub_explicit(&s->counts.jobs, 1, memory_order_acq_rel) == 1 && s->idle != NULL)
        s->idle(s->arg);
}

static void finish_with(struct send_job *j, enum cmq_code code, const char *words)
{
    struct cmq_error err;
    error_set(&err, code, "send to topic %.127s: %s", j->topic, words);
    finish(j, NULL, &err);
}

/* ---- one try ---- */

static bool avoided(void *arg, const char *broker_name) { return client_broker_is_avoided(arg, broker_name); }

static struct slice number(char **at, int64_t v)
{
    char digits[20], *p = digits + sizeof digits, *begin = *at;
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    do
        *--p = (char)('0' + u % 10);
    while ((u /= 10) > 0);
    if (v < 0)
        *(*at)++ = '-';
    size_t n = (size_t)(digits + sizeof digits - p);
    memcpy(*at, p, n);
    *at += n;
    return slice_make(begin, (size_t)(*at - begin));
}

#define FIELD(letter, value) ext[n++] = (struct ext_field){SLICE_LIT(letter), value}
static uint32_t header(const struct send_job *j, struct ext_field *ext, char *digits) /* SendMessageRequestHeaderV2 */
{
    const struct cmq_config *cfg = client_cfg(j->s->client);
    uint32_t n = 0;
    FIELD("a", slice_str(j->s->group));
    FIELD("b", slice_str(j->topic));
    FIELD("c", slice_str(cfg->create_topic_key));
    FIELD("d", number(&digits, cfg->default_queues));
    FIELD("e", number(&digits, j->queue->queue_id));
    FIELD("f", number(&digits, j->sys_flag));
    FIELD("g", number(&digits, j->born_ms));
    FIELD("h", number(&digits, j->flag));
    if (j->props.n > 0)
        FIELD("i", j->props);
    FIELD("j", number(&digits, j->reconsume_times));
    FIELD("k", SLICE_LIT("false"));
    if (j->max_reconsume >= 0)
        FIELD("l", number(&digits, j->max_reconsume));
    FIELD("m", j->batch ? SLICE_LIT("true") : SLICE_LIT("false"));
    return n;
}
#undef FIELD

static void try_now(struct send_job *j);

static void remember(struct send_job *j, const struct cmq_error *err)
{
    if (j->last == NULL)
        j->last = mem_alloc(sizeof *j->last);
    if (j->last != NULL)
        *j->last = *err;
}

static void try_again(struct send_job *j, const struct cmq_error *err, bool elsewhere)
{
    struct client *c = j->s->client;
    bool may = elsewhere && !j->s->ended && --j->tries > 0 && j->due_ms > clock_mono_ms();
    if (j->fixed.broker_name == NULL && j->queue != NULL && err->code != CMQ_ERR_REFUSED && err->code != CMQ_ERR_NOT_FOUND)
        client_broker_failed(c, j->queue->broker_name);
    if (elsewhere)
        client_route_refresh(c, j->topic);
    if (!may) {
        finish(j, NULL, err);
        return;
    }
    remember(j, err);
    atomic_fetch_add_explicit(&j->s->counts.retried, j->n_messages, memory_order_relaxed);
    client_route_want(c, &j->want, j->topic, true, j->due_ms - clock_mono_ms());
}

static bool read_result(const struct send_job *j, const struct command *a, struct cmq_send_result *r)
{
    static const struct {
        int32_t code;
        enum cmq_send_status status;
    } kinds[] = {{RES_SUCCESS, CMQ_SEND_OK},
                 {RES_FLUSH_DISK_TIMEOUT, CMQ_FLUSH_DISK_TIMEOUT},
                 {RES_FLUSH_SLAVE_TIMEOUT, CMQ_FLUSH_SLAVE_TIMEOUT},
                 {RES_SLAVE_NOT_AVAILABLE, CMQ_SLAVE_NOT_AVAILABLE}};
    size_t i = 0;
    while (i < 4 && kinds[i].code != a->code)
        i++;
    if (i == 4)
        return false;
    struct fields f = fields_of(a);
    struct slice ids = field_str_or_none(&f, "msgId"), first = ids;
    slice_cut(&ids, ',', &first);
    r->status = kinds[i].status;
    r->queue_id = field_i32_or(&f, "queueId", j->queue->queue_id);
    r->queue_offset = field_i64_or(&f, "queueOffset", -1);
    slice_copy(first, r->offset_msg_id, sizeof r->offset_msg_id);
    snprintf(r->msg_id, sizeof r->msg_id, "%s", j->unique_id[0] ? j->unique_id : r->offset_msg_id);
    snprintf(r->broker_name, sizeof r->broker_name, "%s", j->queue->broker_name);
    return true;
}

static void tell_sent(const struct send_job *j, const struct command *a, const struct cmq_send_result *result)
{
    const struct sender *s = j->s;
    struct slice trace_on = {0}, delay = {0}, half = {0};
    char addr[ADDR_MAX] = "";
    if (s->sent == NULL)
        return;
    struct sent sent = {.topic = j->topic, .addr = addr, .result = result, .body_n = j->body.n, .begun_ms = j->born_ms,
                        .cost_ms = clock_wall_ms() - j->born_ms};
    command_ext(a, "TRACE_ON", &trace_on);
    command_ext(a, "MSG_REGION", &sent.region);
    prop_get(j->props, PROP_TAGS, &sent.tags);
    prop_get(j->props, PROP_KEYS, &sent.keys);
    sent.kind = prop_get(j->props, PROP_TRAN_MSG, &half) ? 1 : prop_get(j->props, PROP_DELAY, &delay) ? 3 : 0;
    sent.trace_on = !slice_is(trace_on, "false");
    client_broker_addr(s->client, j->queue->broker_name, 0, true, addr);
    s->sent(s->sent_arg, &sent);
}

static void on_answer(void *arg, enum mq_err failed, const struct command *answer, const struct fault *why)
{
    struct send_job *j = arg;
    struct cmq_error err;
    struct cmq_send_result result;
    char doing[300];
    if (failed == MQ_OK && read_result(j, answer, &result)) {
        tell_sent(j, answer, &result);
        finish(j, &result, NULL);
        return;
    }
    snprintf(doing, sizeof doing, "send to topic %.127s, broker %.127s", j->topic, j->queue->broker_name);
    if (failed != MQ_OK) {
        error_of_call(&err, failed, why, doing);
        try_again(j, &err, true);
        return;
    }
    error_of_answer(&err, answer, doing);
    try_again(j, &err, send_code_is_retriable(answer->code));
}

static void try_now(struct send_job *j)
{
    struct client *c = j->s->client;
    struct ext_field ext[16] = {0};
    char digits[16 * 21], addr[ADDR_MAX];
    int32_t code = j->batch ? REQ_SEND_BATCH_MESSAGE : j->reply ? REQ_SEND_REPLY_MESSAGE_V2 : REQ_SEND_MESSAGE_V2;
    struct command cmd = client_command(c, code, ext, 0);
    cmd.n_ext = header(j, ext, digits);
    cmd.body = j->body;
    if (!client_broker_addr(c, j->queue->broker_name, 0, true, addr)) {
        struct cmq_error err;
        error_set(&err, CMQ_ERR_UNREACHABLE, "send to topic %.127s: broker %.80s has no master", j->topic, j->queue->broker_name);
        try_again(j, &err, true);
        return;
    }
    int64_t left = j->due_ms - clock_mono_ms();
    enum mq_err failed;
    if (j->how == SEND_ONEWAY) {
        failed = caller_oneway(client_caller(c), addr, &cmd);
        if (failed == MQ_OK) {
            struct cmq_send_result none = {.queue_id = j->queue->queue_id, .queue_offset = -1};
            finish(j, &none, NULL);
            return;
        }
    } else {
        failed = caller_call(client_caller(c), addr, &cmd, left > 0 ? left : 1, on_answer, j);
    }
    if (failed != MQ_OK)
        on_answer(j, failed, NULL, NULL);
}

static void route_ready(struct route_want *w, struct route *r, const struct cmq_error *err)
{
    struct send_job *j = CONTAINER_OF(w, struct send_job, want);
    if (err != NULL) {
        finish(j, NULL, err);
        return;
    }
    if (j->s->ended) {
        finish_with(j, CMQ_ERR_STATE, "stopped");
        return;
    }
    if (j->fixed.broker_name != NULL) {
        j->queue = &j->fixed;
    } else if (r->n_write == 0) {
        finish_with(j, CMQ_ERR_NO_ROUTE, "no queue of it may be written to: no master, or no permission");
        return;
    } else {
        size_t at = choose_queue(r->write, r->n_write, r->turn++, j->last && j->queue ? j->queue->broker_name : NULL, avoided, j->s->client);
        struct route *old = j->route; /* it holds the name of the broker that failed */
        j->route = route_ref(r);
        j->queue = &r->write[at];
        route_unref(old);
    }
    try_now(j);
}

void send_job_start(struct send_job *j)
{
    if (j->s->ended) {
        finish_with(j, CMQ_ERR_STATE, "stopped");
        return;
    }
    int64_t left = j->due_ms - clock_mono_ms();
    client_route_want(j->s->client, &j->want, j->topic, true, left > 0 ? left : 0);
}

static void run_posted(struct loop_msg *m) { send_job_start(CONTAINER_OF(m, struct send_job, msg)); }

void send_job_post(struct send_job *j)
{
    j->msg.fn = run_posted;
    loop_post(client_loop(j->s->client), &j->msg);
}
