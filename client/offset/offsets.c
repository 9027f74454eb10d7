/* offsets.c - the group's progress at the brokers (14, 15), or a broadcasting member's own.
 *
 * Only "not found" (22) means that the group has no offset; any other refusal is tried again later, so that a broker in trouble does not
 * send a group to the queue's end or beginning. Apache's 4.x clients take every refusal for "none", which loses or repeats messages.
 * Progress is reported when it changed, every persistConsumerOffsetInterval and when a queue is given up, and travels with each pull. */
#include "client/offset/offsets.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "client/consumer/consumer_internal.h"
#include "client/core/error.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/protocol/codes.h"

enum { HALF_HOUR_MS = 30 * 60 * 1000 };

/* ---- pure ---- */

enum begin_at consume_from(enum from_where where, bool retry_topic)
{
    if (retry_topic)
        return BEGIN_ZERO;
    switch (where) {
    case FROM_FIRST: return BEGIN_ZERO;
    case FROM_TIMESTAMP: return BEGIN_BY_TIME;
    case FROM_LAST: break;
    }
    return BEGIN_MAX;
}

bool consume_timestamp(const char *text, int64_t now_ms, int64_t *out)
{
    int part[6];
    static const int low[6] = {1970, 1, 1, 0, 0, 0}, high[6] = {9999, 12, 31, 23, 59, 60};
    size_t n = strlen(text);
    if (n == 0) {
        *out = now_ms - HALF_HOUR_MS;
        return true;
    }
    if (n != 14 || strspn(text, "0123456789") != n)
        return false;
    sscanf(text, "%4d%2d%2d%2d%2d%2d", &part[0], &part[1], &part[2], &part[3], &part[4], &part[5]);
    for (int i = 0; i < 6; i++)
        if (part[i] < low[i] || part[i] > high[i])
            return false;
    struct tm tm = {.tm_year = part[0] - 1900, .tm_mon = part[1] - 1, .tm_mday = part[2], .tm_isdst = -1};
    tm.tm_hour = part[3];
    tm.tm_min = part[4];
    tm.tm_sec = part[5];
    *out = (int64_t)mktime(&tm) * 1000;
    return true;
}

/* ---- finding ---- */

struct find {
    struct held_queue *q;
    uint32_t epoch;
    offset_found_fn *fn;
    bool by_rule; /* the group has none: this is the question after it */
};

static void found(struct find *f, int64_t queue_off)
{
    f->fn(f->q, f->epoch, queue_off);
    queue_unref(f->q);
    mem_free(f);
}

static void on_answer(void *arg, enum mq_err failed, const struct command *answer, const struct fault *why);

static void ask(struct find *f, int32_t code, const char *group, int64_t time_ms)
{
    struct cmq_consumer *c = f->q->consumer;
    char addr[ADDR_MAX], id[16], time[24];
    snprintf(id, sizeof id, "%d", (int)f->q->queue.queue_id);
    snprintf(time, sizeof time, "%lld", (long long)time_ms);
    struct ext_field ext[4] = {{SLICE_LIT("topic"), slice_str(f->q->queue.topic)}, {SLICE_LIT("queueId"), slice_str(id)}};
    uint32_t n = 2;
    if (group != NULL)
        ext[n++] = (struct ext_field){SLICE_LIT("consumerGroup"), slice_str(group)};
    if (code == REQ_SEARCH_OFFSET_BY_TIMESTAMP)
        ext[n++] = (struct ext_field){SLICE_LIT("timestamp"), slice_str(time)};
    struct command cmd = client_command(c->client, code, ext, n);
    if (c->ended || !client_broker_addr(c->client, f->q->queue.broker_name, 0, false, addr) ||
        caller_call(client_caller(c->client), addr, &cmd, c->cfg->api_timeout_ms, on_answer, f) != MQ_OK)
        found(f, -1);
}

static void by_rule(struct find *f)
{
    const struct cmq_consumer *c = f->q->consumer;
    int64_t time_ms = 0;
    f->by_rule = true;
    switch (consume_from((enum from_where)c->cfg->from_where, strncmp(f->q->queue.topic, RETRY_PREFIX, strlen(RETRY_PREFIX)) == 0)) {
    case BEGIN_ZERO: found(f, 0); return;
    case BEGIN_MAX: ask(f, REQ_GET_MAX_OFFSET, NULL, 0); return;
    case BEGIN_BY_TIME:
        consume_timestamp(c->cfg->consume_timestamp, clock_wall_ms(), &time_ms);
        ask(f, REQ_SEARCH_OFFSET_BY_TIMESTAMP, NULL, time_ms);
        return;
    }
}

static void on_answer(void *arg, enum mq_err failed, const struct command *answer, const struct fault *why)
{
    struct find *f = arg;
    const struct cmq_queue *q = &f->q->queue;
    char text[240];
    int64_t queue_off = -1;
    if (failed == MQ_OK && answer->code == RES_SUCCESS) {
        struct fields fields = fields_of(answer);
        queue_off = field_i64_or(&fields, "offset", -1);
        if (queue_off < 0 && !f->by_rule) { /* a negative one was committed: some clients say "none" that way */
            by_rule(f);
            return;
        }
    } else if (failed == MQ_OK && answer->code == RES_QUERY_NOT_FOUND && !f->by_rule) {
        by_rule(f);
        return;
    } else if (failed != MQ_OK) {
        log_info("consumer", "no answer about an offset topic=%s broker=%s queue=%d: %s", q->topic, q->broker_name, (int)q->queue_id,
                 fault_text(why, text, sizeof text));
    } else {
        log_warn("consumer", "question about an offset refused topic=%s broker=%s queue=%d code=%d remark=%.*s", q->topic, q->broker_name,
                 (int)q->queue_id, (int)answer->code, SLICE_ARG(answer->remark));
    }
    found(f, queue_off);
}

void offsets_find(struct held_queue *q, offset_found_fn *fn)
{
    struct cmq_consumer *c = q->consumer;
    struct find *f = mem_alloc(sizeof *f);
    if (f == NULL) {
        fn(q, q->epoch, -1);
        return;
    }
    *f = (struct find){.q = q, .epoch = q->epoch, .fn = fn};
    queue_ref(q);
    if (!c->broadcasting) {
        ask(f, REQ_QUERY_CONSUMER_OFFSET, c->cfg->consumer_group, 0);
        return;
    }
    int64_t own = local_offsets_get(c->local, &q->queue);
    if (own >= 0)
        found(f, own);
    else
        by_rule(f);
}

/* ---- reporting ---- */

struct report {
    size_t waiting;
    struct cmq_error err;
    void (*then)(void *arg, const struct cmq_error *err);
    void *arg;
};
struct report_one {
    struct report *all;
    struct held_queue *q;
    int64_t queue_off;
};

static void report_ended(struct report *r)
{
    if (--r->waiting > 0)
        return;
    if (r->then != NULL)
        r->then(r->arg, r->err.code != CMQ_OK ? &r->err : NULL);
    mem_free(r);
}

static void on_reported(void *arg, enum mq_err failed, const struct command *answer, const struct fault *why)
{
    struct report_one *one = arg;
    char doing[300];
    if (failed == MQ_OK && answer->code == RES_SUCCESS) {
        one->q->committed = one->queue_off;
    } else {
        snprintf(doing, sizeof doing, "commit to broker %.127s", one->q->queue.broker_name);
        if (failed != MQ_OK)
            error_of_call(&one->all->err, failed, why, doing);
        else
            error_of_answer(&one->all->err, answer, doing);
        log_info("consumer", "commit failed topic=%s queue=%d: %s %s", one->q->queue.topic, (int)one->q->queue.queue_id, one->all->err.words,
                 one->all->err.remark);
    }
    queue_unref(one->q);
    report_ended(one->all);
    mem_free(one);
}

static void report_queue(struct report *r, struct held_queue *q)
{
    struct cmq_consumer *c = q->consumer;
    pthread_mutex_lock(&c->lock);
    int64_t at = window_progress(&q->window);
    pthread_mutex_unlock(&c->lock);
    if (at < 0 || at == q->committed || !q->started || c->ended)
        return;
    if (c->broadcasting) {
        if (local_offsets_put(c->local, &q->queue, at))
            q->committed = at;
        return;
    }
    char addr[ADDR_MAX], id[16], off[24];
    snprintf(id, sizeof id, "%d", (int)q->queue.queue_id);
    snprintf(off, sizeof off, "%lld", (long long)at);
    const struct ext_field ext[] = {{SLICE_LIT("consumerGroup"), slice_str(c->cfg->consumer_group)},
                                    {SLICE_LIT("topic"), slice_str(q->queue.topic)},
                                    {SLICE_LIT("queueId"), slice_str(id)},
                                    {SLICE_LIT("commitOffset"), slice_str(off)}};
    struct command cmd = client_command(c->client, REQ_UPDATE_CONSUMER_OFFSET, ext, 4);
    struct report_one *one = mem_alloc(sizeof *one);
    if (one == NULL || !client_broker_addr(c->client, q->queue.broker_name, 0, false, addr)) {
        error_set(&r->err, CMQ_ERR_UNREACHABLE, "commit: broker %.127s has no address", q->queue.broker_name);
        mem_free(one);
        return;
    }
    *one = (struct report_one){.all = r, .q = q, .queue_off = at};
    enum mq_err failed = caller_call(client_caller(c->client), addr, &cmd, c->cfg->api_timeout_ms, on_reported, one);
    if (failed != MQ_OK) {
        error_of_call(&r->err, failed, NULL, "commit");
        mem_free(one);
        return;
    }
    queue_ref(q);
    r->waiting++;
}

void offsets_report(struct cmq_consumer *c, struct held_queue *only, void (*then)(void *arg, const struct cmq_error *err), void *arg)
{
    struct report *r = mem_zalloc(sizeof *r);
    if (r == NULL) {
        struct cmq_error err;
        error_set(&err, CMQ_ERR_NO_MEMORY, "commit: out of memory");
        if (then != NULL)
            then(arg, &err);
        return;
    }
    *r = (struct report){.waiting = 1, .then = then, .arg = arg};
    if (only != NULL) {
        report_queue(r, only);
    } else {
        LIST_EACH(it, &c->queues) /* only this thread changes it */
            report_queue(r, CONTAINER_OF(it, struct held_queue, node));
    }
    struct fault why;
    if (c->broadcasting && local_offsets_save(c->local, &why) != MQ_OK) {
        error_of_fault(&r->err, &why);
        log_warn("consumer", "offsets cannot be saved: %s", r->err.words);
    }
    report_ended(r);
}
