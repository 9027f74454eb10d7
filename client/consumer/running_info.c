/* running_info.c - what an operator sees of a consumer from outside: 307, and 221, asked by the broker for a tool of his.
 *
 * The form is Java's ConsumerRunningInfo, so that Apache's mqadmin and dashboard show our members beside theirs. What is not measured is left
 * out: rates by topic are not counted here. A stack trace (jstackEnable) is nothing that a C program has. */
#include <stdio.h>
#include <string.h>

#include "client/consumer/consumer_internal.h"
#include "common/base/clock.h"
#include "common/protocol/codes.h"
#include "common/protocol/queue_json.h"

/* Under lock. */
static void write_queue(struct jw *w, const struct held_queue *q)
{
    int64_t first = window_progress(&q->window);
    int64_t locked_ms = q->locked ? clock_wall_ms() - (clock_mono_ms() - (q->believed_ms - LOCK_BELIEVED_MS)) : 0;
    jw_object(w);
    jw_kv_i64(w, "cachedMsgCount", (int64_t)q->window.n);
    jw_kv_i64(w, "cachedMsgMaxOffset", q->window.n > 0 ? q->window.end - 1 : 0);
    jw_kv_i64(w, "cachedMsgMinOffset", q->window.n > 0 ? first : 0);
    jw_kv_i64(w, "cachedMsgSizeInMiB", (int64_t)(q->window.bytes >> 20));
    jw_kv_i64(w, "commitOffset", q->committed);
    jw_kv_bool(w, "droped", q->dropped || q->leaving);
    jw_kv_i64(w, "lastConsumeTimestamp", q->consumed_ms);
    jw_kv_i64(w, "lastLockTimestamp", locked_ms);
    jw_kv_i64(w, "lastPullTimestamp", q->pulled_ms);
    jw_kv_bool(w, "locked", q->locked);
    jw_kv_i64(w, "transactionMsgCount", q->out);
    jw_kv_i64(w, "transactionMsgMaxOffset", 0);
    jw_kv_i64(w, "transactionMsgMinOffset", 0);
    jw_kv_i64(w, "tryUnlockTimes", 0);
    jw_end_object(w);
}

static void write_properties(struct jw *w, const struct cmq_consumer *c)
{
    char number[24];
    jw_key(w, "properties");
    jw_object(w);
    jw_kv_str(w, "PROP_CLIENT_VERSION", slice_str(cmq_version()));
    jw_kv_str(w, "PROP_CONSUMEORDERLY", c->orderly ? SLICE_LIT("true") : SLICE_LIT("false"));
    snprintf(number, sizeof number, "%lld", (long long)c->started_ms);
    jw_kv_str(w, "PROP_CONSUMER_START_TIMESTAMP", slice_str(number));
    jw_kv_str(w, "PROP_CONSUME_TYPE", SLICE_LIT("CONSUME_PASSIVELY"));
    jw_kv_str(w, "PROP_NAMESERVER_ADDR", slice_str(c->cfg->namesrv_addr));
    snprintf(number, sizeof number, "%d", (int)c->cfg->threads);
    jw_kv_str(w, "PROP_THREADPOOL_CORE_SIZE", slice_str(number));
    jw_end_object(w);
}

static bool is_ours(const struct cmq_consumer *c, const struct request *rq, const char *field, struct reply *out)
{
    struct slice group = {0};
    if (command_ext(rq->cmd, field, &group) && slice_is(group, c->cfg->consumer_group))
        return true;
    reply_refuse(out, RES_SYSTEM_ERROR, "The Consumer Group <%.*s> not exist in this consumer", SLICE_ARG(slice_head(group, 255)));
    return false;
}

static enum handled on_running_info(void *ctx, const struct request *rq, struct reply *out)
{
    struct cmq_consumer *c = ctx;
    if (!is_ours(c, rq, "consumerGroup", out))
        return HANDLED_NOW;
    struct jw w = jw_over(&out->body, false);
    jw_object(&w);
    jw_key(&w, "mqTable");
    jw_object(&w);
    pthread_mutex_lock(&c->lock);
    LIST_EACH(it, &c->queues)
    {
        const struct held_queue *q = CONTAINER_OF(it, struct held_queue, node);
        queue_json_key(&w, slice_str(q->queue.broker_name), slice_str(q->queue.topic), q->queue.queue_id);
        write_queue(&w, q);
    }
    pthread_mutex_unlock(&c->lock);
    jw_end_object(&w);
    write_properties(&w, c);
    jw_key(&w, "statusTable");
    jw_object(&w);
    jw_end_object(&w);
    jw_key(&w, "subscriptionSet");
    jw_array(&w);
    LIST_EACH(it, &c->topics)
        topic_filter_json(&CONTAINER_OF(it, struct topic_sub, node)->sub, &w);
    jw_end_array(&w);
    jw_end_object(&w);
    return HANDLED_NOW;
}

/* 221: where each queue of a topic is. */
static enum handled on_status(void *ctx, const struct request *rq, struct reply *out)
{
    struct cmq_consumer *c = ctx;
    struct slice topic = {0};
    if (!is_ours(c, rq, "group", out))
        return HANDLED_NOW;
    command_ext(rq->cmd, "topic", &topic);
    struct jw w = jw_over(&out->body, false);
    jw_object(&w);
    jw_key(&w, "messageQueueTable");
    jw_object(&w);
    pthread_mutex_lock(&c->lock);
    LIST_EACH(it, &c->queues)
    {
        const struct held_queue *q = CONTAINER_OF(it, struct held_queue, node);
        int64_t at = window_progress(&q->window);
        if (!slice_is(topic, q->queue.topic) || at < 0)
            continue;
        queue_json_key(&w, slice_str(q->queue.broker_name), slice_str(q->queue.topic), q->queue.queue_id);
        jw_i64(&w, at);
    }
    pthread_mutex_unlock(&c->lock);
    jw_end_object(&w);
    jw_end_object(&w);
    return HANDLED_NOW;
}

bool running_info_routes(struct cmq_consumer *c)
{
    const struct request_route routes[] = {{REQ_GET_CONSUMER_RUNNING_INFO, on_running_info, c}, {REQ_GET_CONSUMER_STATUS_FROM_CLIENT, on_status, c}};
    return caller_route(client_caller(c->client), routes, 2) == MQ_OK;
}
