/* listeners.c - what the parts tell each other. No part knows another above it: each speaks through a function pointer from here.
 *
 *   store     --written, flushed--> acks       --arrived--> long polling, delays    --flushed--> delays
 *             --failed--> everybody; soon the broker stops
 *   delays    --delivered--> statistics
 *   topics    --changed--> registrar, long polling
 *   sessions  --members changed--> the members (40)         --group seen--> groups, topics        --heard, group gone--> consumer filters
 *   locks     --changed--> their file, which says when it is written
 *   server    --closed--> sessions, long polling        --resumed--> sessions, statistics
 *   25        --a live key changed--> the log's level, registrar
 * Nothing is decided here but who is to hear what. */
#include <stdio.h>
#include <string.h>
#include "broker/ack/ack_queue.h"
#include "broker/broker_internal.h"
#include "broker/filter/consumer_filters.h"
#include "broker/metadata/groups.h"
#include "broker/processor/send_message.h"
#include "broker/stats/stats.h"
#include "common/base/log.h"
#include "common/protocol/codes.h"

enum { TOPIC_NAME_MAX = 255, FAILED_LINGER_MS = 2000 };

/* ---- the store: it may speak before the waiters exist, while a start is being undone ---- */
static void on_arrived(void *ctx, const struct arrival *a)
{
    const struct broker *b = ctx;
    if (b->core.schedule && slice_is(a->topic, SCHEDULE_TOPIC))
        schedule_arrived(b->core.schedule, a->queue_id);
    if (b->core.longpoll)
        longpoll_arrived(b->core.longpoll, a->topic, a->queue_id, a->queue_off, a->tags_code, a->properties);
}

static void on_written(void *ctx, uint64_t written_off)
{
    struct broker *b = ctx;
    b->wrote = true;
    b->core.log_end = written_off;
    if (b->core.acks)
        ack_queue_reached(b->core.acks, ACK_WRITTEN, written_off);
}

static void on_flushed(void *ctx, uint64_t flushed_off)
{
    struct broker *b = ctx;
    if (b->core.acks)
        send_message_flushed(&b->core, flushed_off);
    if (b->core.schedule)
        schedule_flushed(b->core.schedule, flushed_off);
}

static void on_failed(void *ctx, const struct fault *why)
{
    struct broker *b = ctx;
    char text[320], words[400];
    log_error("store", "the store failed and takes no more messages: %s", fault_text(why, text, sizeof text));
    snprintf(words, sizeof words, "service not available now. %s", text);
    b->failed = true;
    if (b->core.acks == NULL)
        return;
    ack_queue_fail(b->core.acks, b->core.log_end, words);
    if (!b->stopping) /* who sends meanwhile hears why; consumers get what they ask for */
        loop_timer_start(&b->failed_timer, FAILED_LINGER_MS, 0);
}

struct store_listener broker_store_listener(struct broker *b)
{
    return (struct store_listener){.ctx = b, .arrived = on_arrived, .written = on_written, .flushed = on_flushed, .failed = on_failed};
}

/* ---- delay levels ---- */
static void on_delivered(void *ctx, struct slice topic, uint32_t bytes)
{
    stats_put(((const struct broker *)ctx)->core.stats, topic, 1, bytes);
}

struct schedule_setup broker_schedule_setup(struct broker *b)
{
    return (struct schedule_setup){.store = b->core.store, .delay_ms = b->config.delay_level_ms, .n_levels = b->config.n_delay_levels,
                                   .running = b->config.broker_role != ROLE_SLAVE, .ctx = b, .delivered = on_delivered};
}

/* ---- topics ---- */
static void on_topic_changed(void *ctx, const struct topic_config *t)
{
    struct broker *b = ctx;
    if (t == NULL) {
        registrar_all_changed(b->registrar);
        return;
    }
    registrar_topic_changed(b->registrar, t->node.key);
    longpoll_group_changed(b->core.longpoll, t->node.key); /* deleted, or no longer readable: who waits shall hear it */
}

struct topics_listener broker_topics_listener(struct broker *b) { return (struct topics_listener){.ctx = b, .changed = on_topic_changed}; }

/* ---- sessions ---- */
static void on_members_changed(void *ctx, struct consumer_group *g)
{
    struct broker *b = ctx;
    const struct group_config *config = groups_find(b->core.groups, g->node.key);
    if (!b->config.notify_consumer_ids_changed || (config && !config->notify_ids_changed_enable))
        return;
    const struct ext_field ext = {SLICE_LIT("consumerGroup"), g->node.key};
    struct command notice = command_to_client(REQ_NOTIFY_CONSUMER_IDS_CHANGED, &ext, 1);
    notice.flag = COMMAND_ONEWAY;
    LIST_EACH (it, &g->clients)
        b->core.outbox->oneway(b->core.outbox->ctx, CONTAINER_OF(it, struct client, node)->conn_id, &notice);
}

static void on_group_seen(void *ctx, struct slice group, bool unit_mode)
{
    struct broker *b = ctx;
    char topic[sizeof RETRY_PREFIX + GROUP_NAME_MAX];
    int64_t now = loop_now_ms(b->loop);
    if (groups_find(b->core.groups, group) == NULL && budget_level(&b->budget) >= BUDGET_NO_GROWTH) {
        budget_say(&b->budget, "session", "a new group is");
        return;
    }
    const struct group_config *g = groups_find_or_create(b->core.groups, group, now);
    int n = snprintf(topic, sizeof topic, "%s%.*s", RETRY_PREFIX, SLICE_ARG(group));
    if (g == NULL || g->retry_queues <= 0 || n > TOPIC_NAME_MAX || topics_find(b->core.topics, slice_str(topic)))
        return;
    topics_put(b->core.topics, slice_str(topic), g->retry_queues, g->retry_queues, PERM_READ | PERM_WRITE, unit_mode ? TOPIC_UNIT_SUB : 0, false, now,
               NULL);
}

static void on_heard(void *ctx, const struct consumer_group *g)
{
    struct broker *b = ctx;
    if (b->core.filters)
        consumer_filters_heard(b->core.filters, g, budget_level(&b->budget) < BUDGET_NO_GROWTH, loop_now_ms(b->loop));
}

static void on_group_gone(void *ctx, const struct consumer_group *g)
{
    struct broker *b = ctx;
    if (b->core.filters)
        consumer_filters_gone(b->core.filters, g->node.key, loop_now_ms(b->loop));
}

static void on_mismatch(void *ctx, struct consumer_group *g, const char *client_a, const char *client_b, const char *topic)
{
    (void)ctx;
    log_warn("session", "members of a group want different things, so some of it reaches nobody group=%s topic=%s client=%s other=%s", g->name, topic,
             client_a, client_b);
}

static int64_t session_clock(void *ctx) { return loop_mono_ms(((const struct broker *)ctx)->loop); }

struct session_listener broker_session_listener(struct broker *b)
{
    return (struct session_listener){.ctx = b, .mono_ms = session_clock, .members_changed = on_members_changed,
                                     .group_seen = on_group_seen, .heard = on_heard, .group_gone = on_group_gone, .subscription_mismatch = on_mismatch};
}

/* ---- queue locks ---- */
static bool is_here(void *ctx, const struct lock_owner *who)
{
    return sessions_consumer_client(((const struct broker *)ctx)->core.sessions, who->group, who->client_id) != NULL;
}

static void on_locks_changed(void *ctx) { config_file_changed(((struct broker *)ctx)->locks_file); }
static void locks_text(void *ctx, struct buf *out) { queue_locks_encode(((struct broker *)ctx)->core.locks, out); }
static void on_locks_written(void *ctx, bool good) { queue_locks_saved(((struct broker *)ctx)->core.locks, good); }

struct queue_locks_setup broker_locks_setup(struct broker *b)
{
    return (struct queue_locks_setup){.live_ms = b->config.lock_live_ms, .outbox = b->core.outbox, .ctx = b, .here = is_here, .changed = on_locks_changed};
}

void broker_locks_wire(struct broker *b)
{
    config_file_source(b->locks_file, locks_text, b);
    config_file_tell(b->locks_file, on_locks_written, b);
}

/* ---- connections ---- */
static void on_closed(void *ctx, const struct peer *peer)
{
    struct broker *b = ctx;
    sessions_conn_closed(b->core.sessions, peer->conn_id);
    longpoll_conn_closed(b->core.longpoll, peer->conn_id);
}

static void on_resumed(void *ctx, const struct peer *peer, int64_t waited_ms)
{
    struct broker *b = ctx;
    waits_note(&b->core.waits, loop_mono_ms(b->loop), waited_ms);
    sessions_conn_heard(b->core.sessions, peer->conn_id, loop_now_ms(b->loop));
}

struct server_events broker_server_events(struct broker *b)
{
    return (struct server_events){.ctx = b, .closed = on_closed, .resumed = on_resumed};
}

/* ---- what processors ask for ---- */
static int64_t now_ms(const void *broker) { return loop_now_ms(((const struct broker *)broker)->loop); }
static int64_t mono_ms(const void *broker) { return loop_mono_ms(((const struct broker *)broker)->loop); }
static struct connections_waiting waiting(const void *broker)
{
    const struct broker *b = broker;
    struct server_stats s;
    server_get_stats(b->server, &s);
    return (struct connections_waiting){.n = s.waiting, .times = s.waits, .since_ms = server_waits_since(b->server)};
}
static void register_now(void *broker) { registrar_all_changed(((struct broker *)broker)->registrar); }
static void config_text(void *broker, struct buf *out) { broker_config_text(&((struct broker *)broker)->config, false, out); }

static int config_set_live(void *broker, struct slice key, struct slice value, char why[200])
{
    struct broker *b = broker;
    struct fault fault = {0};
    enum log_level level;
    switch (broker_config_set_live(&b->config, key, value, &fault)) {
    case MQ_OK:
        break;
    case MQ_EREFUSED:
        snprintf(why, 200, "%s", fault.what);
        return RES_NO_PERMISSION;
    default:
        snprintf(why, 200, "%s", fault.what);
        return RES_SYSTEM_ERROR;
    }
    log_info("config", "changed by request key=%.*s value=%.*s", SLICE_ARG(slice_head(key, 100)), SLICE_ARG(slice_head(value, 200)));
    if (slice_is(key, "logLevel") && log_level_named(b->config.log_level, &level))
        log_set_level(level);
    if (slice_is(key, "memoryLimit"))
        b->budget.limit = budget_limit(b->config.memory_limit);
    if (slice_is(key, "brokerPermission")) {
        topics_touch(b->core.topics, loop_now_ms(b->loop));
        registrar_all_changed(b->registrar);
    }
    return RES_SUCCESS;
}

void broker_fill_context(struct broker *b)
{
    struct broker_context *c = &b->core;
    c->config = &b->config;
    c->budget = &b->budget;
    c->broker = b;
    c->now_ms = now_ms;
    c->mono_ms = mono_ms;
    c->waiting = waiting;
    c->register_now = register_now;
    c->answer_when_kept = broker_answer_when_kept;
    c->config_text = config_text;
    c->config_set_live = config_set_live;
    c->addr = b->addr;
}
