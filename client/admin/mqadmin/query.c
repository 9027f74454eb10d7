/* query.c - messages by id, by key, by unique key, by queue and offset; the trace of one. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/admin/mqadmin/peek.h"
#include "client/admin/mqadmin/sends.h"
#include "client/admin/mqadmin/view.h"
#include "client/admin/mqadmin/words.h"
#include "client/core/message.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/protocol/json.h"

/* ---- by id: the id tells the broker and the place in its log ---- */

/* True: *answer and *out are the caller's. */
static bool view_by_id(struct mqadmin *m, const char *id, struct answer *answer, struct view *out)
{
    struct ask q = ask_of(REQ_VIEW_MESSAGE_BY_ID);
    struct host store = {0};
    struct buf addr = {0};
    int64_t phys_off;
    if (!message_id_decode(slice_str(id), &store, &phys_off))
        return fail(m, RES_NO_MESSAGE, "query message by id finished, but no message.");
    words_host(&addr, &store);
    buf_u8(&addr, 0);
    ask_i64(&q, "offset", phys_off);
    bool good = !addr.failed ? ask_ok(m, (const char *)addr.p, &q, answer) : fail(m, -1, "out of memory");
    buf_free(&addr);
    if (!good)
        return false;
    struct slice rest = answer->cmd.body;
    if (view_next(m, &rest, out))
        return true;
    if (m->why.n == 0)
        fail(m, RES_NO_MESSAGE, "query message by id finished, but no message.");
    answer_free(answer);
    return false;
}

/* Has a consumer of the group consume it now, and says what came of it. */
static bool consume_directly(struct mqadmin *m, const char *addr, const char *msg_id)
{
    struct ask q = ask_of(REQ_CONSUME_MESSAGE_DIRECTLY);
    ask_str(&q, "consumerGroup", opt_text(m, 'g'));
    ask_str(&q, "clientId", opt_text(m, 'd'));
    ask_str(&q, "msgId", msg_id);
    q.timeout_ms = ASK_MS * 3;
    json_t *r = ask_json(m, addr, &q);
    if (r != NULL)
        print("ConsumeMessageDirectlyResult [order=%s, autoCommit=%s, consumeResult=%s, remark=%s, spentTimeMills=%" PRId64 "]",
              words_bool(json_flag(r, "order", false)), words_bool(json_flag(r, "autoCommit", true)), words_member(r, "consumeResult"),
              words_member(r, "remark"), json_i64(r, "spentTimeMills", 0));
    json_decref(r);
    return r != NULL;
}

static bool push_again(struct mqadmin *m, const struct view *v, const char *id)
{
    struct buf addr = {0};
    view_store_addr(v, &addr);
    bool good = !addr.failed ? consume_directly(m, (const char *)addr.p, id) : fail(m, -1, "out of memory");
    buf_free(&addr);
    return good;
}

/* The same message once more, with all its properties. */
static bool send_again(struct mqadmin *m, const struct view *v, const char *id)
{
    struct cmq_producer *p = NULL;
    struct cmq_send_result r;
    struct cmq_error err = {0};
    struct slice rest = v->m.properties, name, value;
    char topic[256];
    struct cmq_message *msg = cmq_message_new(slice_copy(v->m.topic, topic, sizeof topic), v->body.p, v->body.n);
    bool good = msg != NULL;
    while (good && prop_next(&rest, &name, &value)) {
        char *n = slice_dup(name), *val = slice_dup(value);
        good = n != NULL && val != NULL && message_prop_set(msg, n, val);
        mem_free(n);
        mem_free(val);
    }
    if (!good) {
        cmq_message_free(msg);
        return fail(m, -1, "out of memory");
    }
    cmq_message_set_flag(msg, v->m.flag);
    print("prepare resend msg. originalMsgId=%s", id);
    good = sends_open(m, "ReSendMsgById", &p);
    if (good && cmq_producer_send(p, msg, &r, &err) == CMQ_OK)
        sends_print_result(topic, &r);
    else if (good)
        good = fail(m, -1, "%s", err.words);
    cmq_producer_free(p);
    cmq_message_free(msg);
    return good;
}

static bool one_by_id(struct mqadmin *m, const char *id)
{
    struct answer answer;
    struct view v;
    if (!view_by_id(m, id, &answer, &v))
        return false;
    bool good = true;
    if (opt_is(m, 'g') && opt_is(m, 'd'))
        good = push_again(m, &v, id);
    else if (!opt_is(m, 's'))
        good = view_details(m, &v, true, 0);
    else if (opt_bool(m, 's', false))
        good = send_again(m, &v, id);
    view_free(&v);
    answer_free(&answer);
    return good;
}

bool query_by_id(struct mqadmin *m)
{
    struct slice rest = slice_str(opt_text(m, 'i')), one;
    bool each_alone = opt_is(m, 's') || (opt_is(m, 'g') && opt_is(m, 'd')); /* then one that fails does not keep the others from it */
    struct cmq_error err = {0};
    if (opt_is(m, 'u') && cmq_config_set(m->cfg, "unitName", opt_text(m, 'u'), &err) != CMQ_OK)
        return fail(m, -1, "%s", err.words);
    while (rest.p != NULL && slice_cut(&rest, ',', &one)) {
        char id[128];
        one = slice_trim(one);
        if (one.n == 0)
            continue;
        if (one_by_id(m, slice_copy(one, id, sizeof id)))
            continue;
        if (!each_alone)
            return false;
        fail_tell(m);
    }
    return true;
}

/* ---- by key: every broker of the topic looks into its index ---- */

struct found {
    struct answer *answers; /* which the views borrow from */
    struct view *at;
    size_t n_answers, n;
};

static void found_free(struct found *f)
{
    for (size_t i = 0; i < f->n; i++)
        view_free(&f->at[i]);
    for (size_t i = 0; i < f->n_answers; i++)
        answer_free(&f->answers[i]);
    mem_free(f->at);
    mem_free(f->answers);
    *f = (struct found){0};
}

/* Brokers find by a hash: is it really this key? */
static bool has_key(const struct view *v, const char *topic, const char *key, bool unique)
{
    struct slice rest = v->known.keys, one;
    if (unique)
        return strcmp(v->msg_id, key) == 0;
    while (rest.n > 0 && rest.p != NULL && slice_cut(&rest, ' ', &one))
        if (slice_is(one, key))
            return slice_is(v->m.topic, topic);
    return false;
}

static bool keep(struct mqadmin *m, struct found *f, const struct answer *answer, const char *topic, const char *key, bool unique)
{
    struct slice rest = answer->cmd.body;
    struct view v;
    while (view_next(m, &rest, &v)) {
        bool wanted = has_key(&v, topic, key, unique);
        if (wanted && unique && f->n > 0) { /* of a message that was sent more than once, the first */
            wanted = v.m.store_ms < f->at[0].m.store_ms;
            if (wanted)
                view_free(&f->at[--f->n]);
        }
        struct view *more = wanted ? mem_realloc(f->at, (f->n + 1) * sizeof *more) : NULL;
        if (more == NULL) {
            view_free(&v);
            if (wanted)
                return fail(m, -1, "out of memory");
            continue;
        }
        f->at = more;
        f->at[f->n++] = v;
    }
    return m->why.n == 0;
}

static bool find(struct mqadmin *m, const char *topic, const char *key, int64_t max, int64_t end_ms, bool unique, struct found *out)
{
    struct route *r = lookup_route(m, topic);
    *out = (struct found){0};
    if (r == NULL)
        return fail(m, RES_TOPIC_NOT_EXIST, "The topic[%s] not matched route info", topic);
    out->answers = mem_alloc((r->n_brokers + 1) * sizeof *out->answers);
    bool good = out->answers != NULL || fail(m, -1, "out of memory");
    for (size_t i = 0; good && i < r->n_brokers; i++) {
        struct ask q = ask_of(REQ_QUERY_MESSAGE);
        const char *addr = lookup_addr(&r->brokers[i]);
        q.timeout_ms = ASK_MS * 3;
        ask_str(&q, "topic", topic);
        ask_str(&q, "key", key);
        ask_i64(&q, "maxNum", max);
        ask_i64(&q, "beginTimestamp", 0);
        ask_i64(&q, "endTimestamp", end_ms);
        ask_bool(&q, "_UNIQUE_KEY_QUERY", unique);
        if (addr == NULL || !ask_ok(m, addr, &q, &out->answers[out->n_answers])) {
            fail_forget(m); /* a broker that has none says so by a refusal */
            continue;
        }
        good = keep(m, out, &out->answers[out->n_answers++], topic, key, unique);
    }
    route_unref(r);
    if (good && out->n == 0)
        good = fail(m, RES_NO_MESSAGE, "query message by key finished, but no message.");
    if (!good)
        found_free(out);
    return good;
}

bool query_by_key(struct mqadmin *m)
{
    struct found f;
    if (!find(m, opt_text(m, 't'), opt_text(m, 'k'), 64, INT64_MAX, false, &f))
        return false;
    print("%-50s %4s %40s\n", "#Message ID", "#QID", "#Offset");
    for (size_t i = 0; i < f.n; i++)
        print("%-50s %4d %40" PRId64 "\n", f.at[i].msg_id, (int)f.at[i].m.queue_id, f.at[i].m.queue_off);
    found_free(&f);
    return true;
}

bool query_by_unique_key(struct mqadmin *m)
{
    struct found f;
    if (!find(m, opt_text(m, 't'), opt_text(m, 'i'), 32, INT64_MAX, true, &f))
        return false;
    bool good = opt_is(m, 'g') && opt_is(m, 'd') ? push_again(m, &f.at[0], f.at[0].offset_id) : view_details(m, &f.at[0], false, 0);
    found_free(&f);
    return good;
}

/* ---- by queue and offset ---- */

bool query_by_offset(struct mqadmin *m)
{
    struct peek_queue at = {.topic = opt_text(m, 't'), .broker = opt_text(m, 'b'), .group = PEEK_TOOLS_GROUP};
    struct peek_answer got;
    int64_t offset;
    if (!opt_i32(m, 'i', 0, &at.id) || !opt_i64(m, 'o', 0, &offset) || !peek_open(m, &at))
        return false;
    bool good = peek_next(m, &at, "*", offset, 1, &got);
    if (good) {
        struct slice rest = got.status == PEEK_FOUND ? got.answer.cmd.body : (struct slice){0};
        struct view v;
        if (peek_view(m, &at, &got, &rest, &v)) {
            view_details(m, &v, true, 0);
            view_free(&v);
        }
        good = m->why.n == 0; /* a queue that has no such message is no failure */
        peek_done(&got);
    }
    peek_close(&at);
    return good;
}

/* ---- queryMsgTraceById ---- */

enum { TRACE_FIELDS = 16, TRACE_LINE_SEP = 2, TRACE_FIELD_SEP = 1 };
/* One line of a trace message: kinds of fields by number. False: another message's, or another kind. */
static bool trace_read(struct slice line, const char *msg_id, struct slice f[TRACE_FIELDS], bool *sub)
{
    size_t n = 0;
    memset(f, 0, TRACE_FIELDS * sizeof *f);
    while (line.p != NULL && n < TRACE_FIELDS && slice_cut(&line, TRACE_FIELD_SEP, &f[n]))
        n++;
    *sub = slice_is(f[0], "SubAfter");
    return (slice_is(f[0], "Pub") && n >= 12 && slice_is(f[5], msg_id)) || (*sub && n >= 6 && slice_is(f[2], msg_id));
}

static void trace_head(const char *group, const char *time)
{
    print("%-10s %-20s %-20s %-20s %-10s %-10s\n", "#Type", group, "#ClientHost", time, "#CostTimes", "#Status");
}

static void trace_row(const struct slice f[TRACE_FIELDS], bool sub, const struct view *v)
{
    struct buf host = {0};
    char time[WORDS_MAX], cost[40];
    int64_t ms = 0;
    struct slice group = sub ? f[8] : f[3], status = sub ? f[4] : f[13].p != NULL ? f[13] : f[12];
    slice_i64(sub ? f[7] : f[1], &ms);
    words_host(&host, &v->m.born);
    struct slice client = buf_view(&host);
    while (client.n > 0 && client.p[client.n - 1] != ':') /* without the port */
        client.n--;
    client.n -= client.n > 0;
    snprintf(cost, sizeof cost, "%.*sms", SLICE_ARG(slice_head(sub ? f[3] : f[10], 20)));
    print("%-10s %-20.*s %-20.*s %-20s %-10s %-10s\n", sub ? "Sub" : "Pub", SLICE_ARG(group.n > 0 ? group : SLICE_LIT("null")), SLICE_ARG(client),
          words_seconds(ms, time), cost, slice_bool(status) ? "success" : "failed");
    buf_free(&host);
}

/* Those of one kind, in the order in which they were stored. */
static void trace_print(const struct found *f, const char *msg_id, bool want_sub)
{
    bool head = false;
    for (size_t i = 0; i < f->n; i++) {
        struct slice rest = f->at[i].body, line, fields[TRACE_FIELDS];
        while (rest.p != NULL && slice_cut(&rest, TRACE_LINE_SEP, &line)) {
            bool sub;
            if (!trace_read(line, msg_id, fields, &sub) || sub != want_sub)
                continue;
            if (!head || !want_sub)
                trace_head(want_sub ? "#ConsumerGroup" : "#ProducerGroup", want_sub ? "#ConsumerTime" : "#SendTime");
            head = true;
            trace_row(fields, sub, &f->at[i]);
            if (!want_sub)
                print("\n");
        }
    }
    if (want_sub && head)
        print("\n");
}

bool query_trace(struct mqadmin *m)
{
    struct found f;
    if (!find(m, opt_or(m, 't', "RMQ_SYS_TRACE_TOPIC"), opt_text(m, 'i'), 64, clock_wall_ms(), false, &f))
        return false;
    trace_print(&f, opt_text(m, 'i'), false);
    trace_print(&f, opt_text(m, 'i'), true);
    found_free(&f);
    return true;
}
