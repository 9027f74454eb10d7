/* broker_admin.c - the broker's settings, figures and chores: 25 26 28 43 45 306 315 321 329 907. */
#include <inttypes.h>
#include <stdio.h>

#include "broker/ack/ack_queue.h"
#include "broker/metadata/offsets.h"
#include "broker/metadata/topics.h"
#include "broker/processor/admin.h"
#include "broker/schedule/schedule.h"
#include "broker/stats/stats.h"
#include "broker/store/message_store.h"
#include "broker/transaction/transactions.h"
#include "common/base/log.h"
#include "common/conf/conf.h"
#include "common/protocol/codes.h"

enum { QUERY_QUEUE_MAX = 32 };

/* ---- settings ---- */
static enum handled set_config(void *ctx, const struct request *rq, struct reply *out)
{
    struct broker_context *c = ctx;
    struct slice rest = rq->cmd->body, key, value;
    struct buf scratch = {0};
    unsigned line = 0, n = 0;
    char why[200] = "";
    int code = RES_SUCCESS;
    while (code == RES_SUCCESS && properties_next(&rest, &line, &scratch, &key, &value)) {
        code = c->config_set_live(c->broker, key, value, why);
        n += code == RES_SUCCESS;
    }
    buf_free(&scratch);
    if (n)
        data_version_next(&c->config_version, rq->now_ms);
    if (code == RES_SUCCESS)
        return HANDLED_NOW;
    return reply_refuse(out, code, "line %u: %s%s", line, why, n ? " (the lines above it are in effect)" : "");
}

static enum handled get_config(void *ctx, const struct request *rq, struct reply *out)
{
    struct broker_context *c = ctx;
    struct buf version = {0};
    struct jw w = jw_over(&version, false);
    (void)rq;
    data_version_write(&w, &c->config_version);
    reply_str(out, "version", buf_view(&version));
    out->text.failed = out->text.failed || version.failed;
    buf_free(&version);
    c->config_text(c->broker, &out->body);
    return HANDLED_NOW;
}

/* ---- figures ---- */
static void kv_i64(struct jw *w, const char *key, int64_t value) /* all values of a KVTable are text */
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, value);
    jw_kv_str(w, key, slice_str(text));
}
static void kv_u64(struct jw *w, const char *key, uint64_t value) { kv_i64(w, key, (int64_t)(value & INT64_MAX)); }
static void kv_double(struct jw *w, const char *key, double value)
{
    struct buf text = {0};
    struct jw inner = jw_over(&text, false);
    jw_double(&inner, value);
    jw_kv_str(w, key, buf_view(&text));
    buf_free(&text);
}
static void kv_rate(struct jw *w, const char *key, const struct stats *s, enum stat_rate r)
{
    char text[128];
    stats_rate_text(s, r, text, sizeof text);
    jw_kv_str(w, key, slice_str(text));
}

static const char *human(uint64_t bytes, char out[32]) /* as Java's humanReadableByteCount(n, false): 512 B, 1.5 KiB */
{
    double v = (double)bytes;
    int exp = 0;
    while (v >= 1024 && exp < 6) {
        v /= 1024;
        exp++;
    }
    if (exp == 0)
        snprintf(out, 32, "%" PRIu64 " B", bytes);
    else
        snprintf(out, 32, "%.1f %ciB", v, "KMGTPE"[exp - 1]);
    return out;
}

static void write_totals(struct jw *w, const struct broker_context *c)
{
    kv_i64(w, "msgPutTotalYesterdayMorning", stats_at_morning(c->stats, RATE_PUT, true));
    kv_i64(w, "msgPutTotalTodayMorning", stats_at_morning(c->stats, RATE_PUT, false));
    kv_i64(w, "msgPutTotalTodayNow", stats_total(c->stats, RATE_PUT));
    kv_i64(w, "msgGetTotalYesterdayMorning", stats_at_morning(c->stats, RATE_GET_TRANSFERRED, true));
    kv_i64(w, "msgGetTotalTodayMorning", stats_at_morning(c->stats, RATE_GET_TRANSFERRED, false));
    kv_i64(w, "msgGetTotalTodayNow", stats_total(c->stats, RATE_GET_TRANSFERRED));
    kv_rate(w, "putTps", c->stats, RATE_PUT);
    kv_rate(w, "getFoundTps", c->stats, RATE_GET_FOUND);
    kv_rate(w, "getMissTps", c->stats, RATE_GET_MISS);
    kv_rate(w, "getTotalTps", c->stats, RATE_GET_TOTAL);
    kv_rate(w, "getTransferedTps", c->stats, RATE_GET_TRANSFERRED); /* 4.x */
    kv_rate(w, "getTransferredTps", c->stats, RATE_GET_TRANSFERRED); /* 5.x */
    kv_u64(w, "transactionsOpen", transactions_open_count(c->transactions));
}

/* Sends wait in two places: taken, for a sync; and not taken yet, unread in their connections, of which only the first one counts. */
static void write_waits(struct jw *w, const struct broker_context *c)
{
    const struct connections_waiting unread = c->waiting(c->broker);
    int64_t now = c->mono_ms(c->broker), deadline = ack_queue_first_deadline(c->acks), since = unread.since_ms;
    if (deadline != INT64_MAX && deadline - c->config->sync_flush_timeout_ms < since)
        since = deadline - c->config->sync_flush_timeout_ms;
    int64_t head_ms = since < now ? now - since : 0, minute_ms = waits_last_minute(&c->waits, now);
    kv_u64(w, "sendThreadPoolQueueSize", ack_queue_syncs(c->acks) + unread.n);
    kv_i64(w, "sendThreadPoolQueueCapacity", c->config->send_queue_capacity);
    kv_i64(w, "sendThreadPoolQueueHeadWaitTimeMills", head_ms);
    kv_u64(w, "sendWaitConnections", unread.n);
    kv_u64(w, "sendWaitTimes", unread.times);
    jw_kv_str(w, "sendWaitReason", slice_str(pressure_name(c->pressure)));
    kv_i64(w, "sendWaitMillsLastMinute", minute_ms > head_ms ? minute_ms : head_ms);
    kv_i64(w, "sendWaitMillsLongest", c->waits.longest_ms > head_ms ? c->waits.longest_ms : head_ms);
}

/* There is one thread and no pool: these figures are always 0, and are here because mqadmin gives up where a key is missing. */
static void write_pools(struct jw *w)
{
    static const char *const always_0[] = {"pullThreadPoolQueueSize", "pullThreadPoolQueueCapacity", "queryThreadPoolQueueSize",
                                           "queryThreadPoolQueueCapacity", "EndTransactionQueueSize", "EndTransactionThreadPoolQueueCapacity",
                                           "pullThreadPoolQueueHeadWaitTimeMills",
                                           "queryThreadPoolQueueHeadWaitTimeMills", "pageCacheLockTimeMills", "putMessageEntireTimeMax",
                                           "getMessageEntireTimeMax", "dispatchMaxBuffer"};
    for (size_t i = 0; i < sizeof always_0 / sizeof *always_0; i++)
        kv_i64(w, always_0[i], 0);
    jw_kv_str(w, "putMessageDistributeTime",
              SLICE_LIT("[<=0ms]:0 [0~10ms]:0 [10~50ms]:0 [50~100ms]:0 [100~200ms]:0 [200~500ms]:0 [500ms~1s]:0 [1~2s]:0 [2~3s]:0 [3~4s]:0 "
                        "[4~5s]:0 [5~10s]:0 [10s~]:0 "));
    jw_kv_str(w, "putLatency99", SLICE_LIT("0.00"));
    jw_kv_str(w, "putLatency999", SLICE_LIT("0.00"));
    kv_i64(w, "remainTransientStoreBufferNumbs", INT32_MAX); /* what Apache says without such a pool */
}

static void write_store(struct jw *w, struct broker_context *c)
{
    struct store_figures f;
    char text[512], a[32], b[32];
    int64_t up = (c->mono_ms(c->broker) - c->boot_mono_ms) / 1000;
    message_store_figures(c->store, &f);
    kv_i64(w, "bootTimestamp", c->boot_ms);
    snprintf(text, sizeof text, "[ %" PRId64 " days, %" PRId64 " hours, %" PRId64 " minutes, %" PRId64 " seconds ]", up / 86400,
             up / 3600 % 24, up / 60 % 60, up % 60);
    jw_kv_str(w, "runtime", slice_str(text));
    kv_u64(w, "putMessageTimesTotal", f.put_msgs);
    kv_u64(w, "putMessageFailedTimes", f.put_failed);
    kv_u64(w, "putMessageSizeTotal", f.put_bytes);
    kv_double(w, "putMessageAverageSize", f.put_msgs ? (double)f.put_bytes / (double)f.put_msgs : 0);
    kv_u64(w, "dispatchBehindBytes", f.dispatch_behind_bytes);
    kv_i64(w, "earliestMessageTimeStamp", f.earliest_store_ms);
    jw_kv_str(w, "remainHowManyDataToFlush", slice_str(human(f.max_phys_off > f.flushed_off ? f.max_phys_off - f.flushed_off : 0, a)));
    snprintf(text, sizeof text, "Total : %s, Free : %s.", human(f.disk_total, a), human(f.disk_free, b));
    jw_kv_str(w, "commitLogDirCapacity", slice_str(text));
    kv_u64(w, "commitLogMinOffset", f.min_phys_off);
    kv_u64(w, "commitLogMaxOffset", f.max_phys_off);
    kv_double(w, "commitLogDiskRatio", f.log_disk_ratio);
    snprintf(text, sizeof text, "commitLogDiskRatio_%.400s/%.64s", c->config->store_root, c->config->commit_log_path);
    kv_double(w, text, f.log_disk_ratio);
    kv_double(w, "consumeQueueDiskRatio", f.queue_disk_ratio);
}

static void write_schedule(struct jw *w, struct broker_context *c)
{
    char key[40], text[48];
    for (unsigned level = 1; level <= c->config->n_delay_levels; level++) {
        int64_t max = message_store_max_offset(c->store, SLICE_LIT(SCHEDULE_TOPIC), (int32_t)level - 1);
        if (max <= 0)
            continue;
        snprintf(key, sizeof key, "scheduleMessageOffset_%u", level);
        int64_t delivered = schedule_offset(c->schedule, level);
        snprintf(text, sizeof text, "%" PRId64 ",%" PRId64, delivered > 0 ? delivered : 0, max);
        jw_kv_str(w, key, slice_str(text));
    }
}

static enum handled runtime_info(void *ctx, const struct request *rq, struct reply *out)
{
    (void)rq;
    struct broker_context *c = ctx;
    struct jw w = jw_over(&out->body, false);
    jw_object(&w);
    jw_key(&w, "table");
    jw_object(&w);
    jw_kv_str(&w, "brokerVersionDesc", SLICE_LIT("V4_9_8"));
    kv_i64(&w, "brokerVersion", MQ_VERSION_OURS);
    kv_i64(&w, "startAcceptSendRequestTimeStamp", c->config->start_accept_send_ms);
    write_totals(&w, c);
    write_waits(&w, c);
    write_pools(&w);
    write_store(&w, c);
    write_schedule(&w, c);
    if (c->budget) {
        kv_u64(&w, "memoryUsed", mem_used());
        kv_u64(&w, "memoryLimit", c->budget->limit);
    }
    jw_end_object(&w);
    jw_end_object(&w);
    return HANDLED_NOW;
}

/* How far a group is behind in a queue, key QUEUE@TOPIC@GROUP: bytes of the log, or ms of age of the next message. Worked out when
 * somebody asks; Apache notes it with each pull and only prints it into a log. */
static bool fall_behind(const struct broker_context *c, struct slice name, struct slice key, int64_t now_ms, struct buf *out)
{
    static const char *const spans[] = {"statsDay", "statsHour", "statsMinute"};
    bool size = slice_is(name, "GROUP_GET_FALL_SIZE");
    struct slice group = key, id, topic;
    int32_t queue_id;
    if (!size && !slice_is(name, "GROUP_GET_FALL_TIME"))
        return false;
    if (!slice_cut(&group, '@', &id) || !slice_cut(&group, '@', &topic) || !slice_i32(id, &queue_id))
        return false;
    int64_t off = offsets_query(c->offsets, group, topic, queue_id), behind = 0;
    if (off < 0)
        return false;
    if (off < message_store_max_offset(c->store, topic, queue_id)) {
        int64_t at = size ? message_store_phys_of(c->store, topic, queue_id, off) : message_store_time_of(c->store, topic, queue_id, off);
        behind = at < 0 ? 0 : size ? (int64_t)c->log_end - at : now_ms - at;
    }
    struct jw w = jw_over(out, false);
    jw_object(&w);
    for (int i = 0; i < 3; i++) {
        jw_key(&w, spans[i]);
        jw_object(&w);
        jw_key(&w, "avgpt");
        jw_double(&w, 0);
        jw_kv_i64(&w, "sum", behind > 0 ? behind : 0);
        jw_key(&w, "tps");
        jw_double(&w, 0);
        jw_end_object(&w);
    }
    jw_end_object(&w);
    return true;
}

static enum handled stats_data(void *ctx, const struct request *rq, struct reply *out)
{
    struct broker_context *c = ctx;
    struct fields f = fields_of(rq->cmd);
    struct slice name = field_str(&f, "statsName"), key = field_str(&f, "statsKey");
    if (f.bad[0])
        return admin_bad_field(&f, out);
    if (!stats_encode(c->stats, name, key, &out->body) && !fall_behind(c, name, key, rq->now_ms, &out->body))
        return reply_refuse(out, RES_SYSTEM_ERROR, "The stats <%.*s> <%.*s> not exist", SLICE_ARG(slice_head(name, 64)), SLICE_ARG(slice_head(key, 512)));
    return HANDLED_NOW;
}

static enum handled ha_status(void *ctx, const struct request *rq, struct reply *out)
{
    struct broker_context *c = ctx;
    struct store_figures f;
    struct jw w = jw_over(&out->body, false);
    (void)rq;
    message_store_figures(c->store, &f);
    jw_object(&w);
    jw_key(&w, "haConnectionInfo");
    jw_array(&w);
    jw_end_array(&w);
    jw_kv_i64(&w, "inSyncSlaveNums", 0);
    jw_kv_bool(&w, "master", c->config->broker_role != ROLE_SLAVE);
    jw_kv_i64(&w, "masterCommitLogMaxOffset", (int64_t)f.max_phys_off);
    jw_end_object(&w);
    return HANDLED_NOW;
}

/* ---- for slaves ---- */
static enum handled all_offsets(void *ctx, const struct request *rq, struct reply *out)
{
    (void)rq;
    offsets_encode(((struct broker_context *)ctx)->offsets, false, &out->body);
    return HANDLED_NOW;
}

static enum handled delay_offsets(void *ctx, const struct request *rq, struct reply *out)
{
    (void)rq;
    schedule_encode(((struct broker_context *)ctx)->schedule, &out->body);
    return HANDLED_NOW;
}

/* ---- chores ---- */
static enum handled clean(void *ctx, const struct request *rq, struct reply *out)
{
    struct broker_context *c = ctx;
    (void)out;
    log_info("admin", "expired files are deleted by request addr=%s", rq->peer->addr);
    message_store_clean_now(c->store, (struct store_now){rq->now_ms, c->mono_ms(c->broker)});
    return HANDLED_NOW;
}

/* ---- the units of a queue, read from the records they point to ---- */
static void write_units(struct jw *w, struct slice records)
{
    struct message m;
    jw_key(w, "queueData");
    jw_array(w);
    while (records.n && message_decode(records, false, &m) == MQ_OK) {
        struct slice tags = {0};
        prop_get(m.properties, PROP_TAGS, &tags);
        jw_object(w);
        jw_kv_bool(w, "eval", false);
        jw_kv_i64(w, "physicOffset", m.phys_off);
        jw_kv_i64(w, "physicSize", (int64_t)m.size);
        jw_kv_i64(w, "tagsCode", tags_code(tags));
        jw_end_object(w);
        records = slice_from(records, m.size);
    }
    jw_end_array(w);
}

static enum handled queue_units(void *ctx, const struct request *rq, struct reply *out)
{
    struct broker_context *c = ctx;
    struct fields f = fields_of(rq->cmd);
    struct slice topic = field_str(&f, "topic"), group = field_str_or_none(&f, "consumerGroup");
    int32_t queue_id = field_i32(&f, "queueId"), count = field_i32(&f, "count");
    int64_t index = field_i64(&f, "index");
    if (f.bad[0])
        return admin_bad_field(&f, out);
    const struct topic_config *t = topics_find(c->topics, topic);
    if (t == NULL || queue_id < 0 || (queue_id >= t->read_queues && queue_id >= t->write_queues))
        return reply_refuse(out, RES_SYSTEM_ERROR, "%d@%.*s is not exist!", queue_id, SLICE_ARG(slice_head(topic, 255)));
    const struct consumer_group *g = group.n ? sessions_consumers(c->sessions, group) : NULL;
    struct hash_node *sub = g ? hashmap_get(&g->subscriptions, topic) : NULL;
    struct buf records = {0};
    struct get_result got;
    const struct get_request get = {.topic = topic, .queue_id = queue_id, .queue_off = index, .max_bytes = 1 << 20, .may_block = true,
                                    .max_msgs = count < 1 ? 1 : count > QUERY_QUEUE_MAX ? QUERY_QUEUE_MAX : (uint32_t)count};
    message_store_get(c->store, &get, &records, &got);
    if (got.status != GET_FOUND)
        buf_printf(&out->remark, "Index %" PRId64 " of %d@%.*s is not exist!", index, queue_id, SLICE_ARG(topic));
    struct jw w = jw_over(&out->body, false);
    jw_object(&w);
    if (group.n && sub == NULL) {
        char words[600];
        snprintf(words, sizeof words, "%.*s@%.*s is not online!", SLICE_ARG(slice_head(group, 255)), SLICE_ARG(topic));
        jw_kv_str(&w, "filterData", slice_str(words));
    }
    jw_kv_i64(&w, "maxQueueIndex", message_store_max_offset(c->store, topic, queue_id));
    jw_kv_i64(&w, "minQueueIndex", message_store_min_offset(c->store, topic, queue_id));
    if (got.status == GET_FOUND)
        write_units(&w, buf_view(&records));
    if (sub) {
        jw_key(&w, "subscriptionData");
        subscription_write(&w, CONTAINER_OF(sub, struct subscription, node));
    }
    jw_end_object(&w);
    out->body.failed = out->body.failed || records.failed;
    buf_free(&records);
    return HANDLED_NOW;
}

void broker_admin_routes(struct route_sink *sink, struct broker_context *c)
{
    if (c->config_version.timestamp_ms == 0)
        c->config_version.timestamp_ms = c->boot_ms;
    routes_add(sink, REQ_UPDATE_BROKER_CONFIG, set_config, c);
    routes_add(sink, REQ_GET_BROKER_CONFIG, get_config, c);
    routes_add(sink, REQ_GET_BROKER_RUNTIME_INFO, runtime_info, c);
    routes_add(sink, REQ_GET_ALL_CONSUMER_OFFSET, all_offsets, c);
    routes_add(sink, REQ_GET_ALL_DELAY_OFFSET, delay_offsets, c);
    routes_add(sink, REQ_CLEAN_EXPIRED_CONSUMEQUEUE, clean, c);
    routes_add(sink, REQ_DELETE_EXPIRED_COMMITLOG, clean, c);
    routes_add(sink, REQ_VIEW_BROKER_STATS_DATA, stats_data, c);
    routes_add(sink, REQ_QUERY_CONSUME_QUEUE, queue_units, c);
    routes_add(sink, REQ_GET_BROKER_HA_STATUS, ha_status, c);
}
