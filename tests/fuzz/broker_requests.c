/* broker_requests.c - fuzz target: a few requests of any kind to a whole broker: real tables, sessions, store, acks and long polling, on a
 * disk in memory, wired as broker.c wires them.
 *
 * Input, again and again: what (one byte: an index into the table of processors, or one of the events below), then for a request: flags
 * (one byte: one-way, binary, connection), number of fields (one, at most 15), per field: an index into `names` (one), length (one) and
 * bytes of the value; length (one) and bytes of the body.
 * Oracle: each request is answered exactly once, one-way ones never; answers can be read; names of topics and groups that came into being
 * are valid; when time has passed, nobody waits any more. */
#include <string.h>

#include "broker/ack/ack_queue.h"
#include "broker/filter/consumer_filters.h"
#include "broker/filter/expressions.h"
#include "broker/metadata/groups.h"
#include "broker/metadata/offsets.h"
#include "broker/metadata/topics.h"
#include "broker/processor/context.h"
#include "broker/processor/pull_message.h"
#include "broker/processor/send_message.h"
#include "broker/schedule/schedule.h"
#include "broker/session/queue_locks.h"
#include "broker/session/session.h"
#include "broker/stats/stats.h"
#include "broker/transaction/transactions.h"
#include "broker/store/message_store.h"
#include "common/base/log.h"
#include "common/conf/conf.h"
#include "common/protocol/codes.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/fake_disk.h"
#include "tests/lib/sim_exec.h"

enum { T0 = 1700000000, REQUESTS_MAX = 24, ROWS_MAX = 64, FIELDS_MAX = 15, CALLS_MAX = 64 };
enum { EVENT_TIME = 200, EVENT_CLOSE, EVENT_TURN, EVENT_CLIENT_ANSWERS };

static const char *const names[] = {
    "topic", "consumerGroup", "queueId", "queueOffset", "maxMsgNums", "sysFlag", "commitOffset", "suspendTimeoutMillis", "subscription", "subVersion",
    "expressionType", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "producerGroup", "defaultTopic", "defaultTopicQueueNums",
    "bornTimestamp", "flag", "properties", "reconsumeTimes", "unitMode", "maxReconsumeTimes", "batch", "key", "maxNum", "beginTimestamp",
    "endTimestamp", "offset", "timestamp", "readQueueNums", "writeQueueNums", "perm", "topicFilterType", "topicSysFlag", "groupName", "removeOffset",
    "group", "srcGroup", "destGroup", "offline", "statsName", "statsKey", "clientID", "clientId", "msgId", "index", "count", "isOrder",
    "_UNIQUE_KEY_QUERY", "setZeroIfNotFound", "tranStateTableOffset", "commitLogOffset", "commitOrRollback", "delayLevel"};
enum { NAMES = sizeof names / sizeof *names };

static struct rig {
    struct broker_context c;
    struct broker_config config;
    struct fake_disk *disk;
    struct sim_exec exec;
    struct request_route rows[ROWS_MAX];
    size_t n_rows;
    struct config_file *locks_file;
    int64_t now_ms, mono_ms;
    struct { bool due; unsigned times; } asked[REQUESTS_MAX];
    int n_asked;
    struct { answer_fn *fn; void *arg; } calls[CALLS_MAX];
    size_t n_calls;
} r;

/* ---- the outbox ---- */
static void write_frame(void *ctx, const struct ticket *to, frame_fn *fn, const void *arg)
{
    (void)ctx;
    struct buf frame = {0};
    struct arena arena = {0};
    struct command cmd;
    struct fault why = {0};
    CHECK(to->opaque >= 0 && to->opaque < r.n_asked);
    if (to->oneway)
        return;
    r.asked[to->opaque].times++;
    fn(arg, to, &frame);
    CHECK(!frame.failed && command_decode(slice_from(buf_view(&frame), 4), &arena, &cmd, &why) == MQ_OK);
    CHECK(cmd.opaque == to->opaque && cmd.flag & COMMAND_RESPONSE && cmd.serialize == to->serialize);
    CHECK(cmd.code == RES_SUCCESS || cmd.remark.n > 0 || cmd.code != RES_SYSTEM_ERROR); /* an error says why */
    buf_free(&frame);
    arena_fini(&arena);
}
static void encode(const void *reply, const struct ticket *to, struct buf *out) { reply_encode(reply, to, out); }
static void finish(void *ctx, const struct ticket *to, struct reply *reply) { write_frame(ctx, to, encode, reply); }
static bool oneway(void *ctx, uint64_t conn_id, const struct command *cmd) { return (void)ctx, (void)conn_id, (void)cmd, true; }
static bool call(void *ctx, uint64_t conn_id, const struct command *cmd, int32_t timeout_ms, answer_fn *fn, void *arg)
{
    (void)ctx, (void)conn_id, (void)cmd, (void)timeout_ms;
    if (r.n_calls == CALLS_MAX)
        return false;
    r.calls[r.n_calls].fn = fn;
    r.calls[r.n_calls++].arg = arg;
    return true;
}
static void close_conn(void *ctx, uint64_t conn_id) { (void)ctx, (void)conn_id; }
static const struct outbox outbox = {.finish = finish, .write = write_frame, .oneway = oneway, .call = call, .close = close_conn};

/* ---- the wiring ---- */
static void on_arrived(void *ctx, const struct arrival *a)
{
    (void)ctx;
    if (r.c.schedule && slice_is(a->topic, SCHEDULE_TOPIC))
        schedule_arrived(r.c.schedule, a->queue_id);
    longpoll_arrived(r.c.longpoll, a->topic, a->queue_id, a->queue_off, a->tags_code, a->properties);
}
static void on_written(void *ctx, uint64_t off)
{
    (void)ctx;
    r.c.log_end = off;
    ack_queue_reached(r.c.acks, ACK_WRITTEN, off);
}
static void on_flushed(void *ctx, uint64_t off) { (void)ctx, send_message_flushed(&r.c, off); }
static void topic_changed(void *ctx, const struct topic_config *t)
{
    (void)ctx;
    if (t)
        longpoll_group_changed(r.c.longpoll, t->node.key);
}
static int64_t now_ms(const void *broker) { return (void)broker, r.now_ms; }
static int64_t mono_ms(const void *broker) { return (void)broker, r.mono_ms; }
static struct connections_waiting waiting(const void *broker) { return (void)broker, (struct connections_waiting){.since_ms = INT64_MAX}; }
static bool is_here(void *ctx, const struct lock_owner *who) { return (void)ctx, sessions_consumer_client(r.c.sessions, who->group, who->client_id) != NULL; }
static void locks_changed(void *ctx) { (void)ctx, config_file_changed(r.locks_file); }
static void locks_text(void *ctx, struct buf *out) { (void)ctx, queue_locks_encode(r.c.locks, out); }
static void locks_written(void *ctx, bool good) { (void)ctx, queue_locks_saved(r.c.locks, good); }
static void register_now(void *broker) { (void)broker; }
static void config_text(void *broker, struct buf *out) { (void)broker, broker_config_text(&r.config, false, out); }
static int config_set_live(void *broker, struct slice key, struct slice value, char why[200])
{
    struct fault fault = {0};
    (void)broker;
    enum mq_err err = broker_config_set_live(&r.config, key, value, &fault);
    snprintf(why, 200, "%s", fault.what);
    return err == MQ_OK ? RES_SUCCESS : err == MQ_EREFUSED ? RES_NO_PERMISSION : RES_SYSTEM_ERROR;
}

static struct config_file *file(const char *path)
{
    struct config_file *f = NULL;
    CHECK(config_file_new(fake_disk_io(r.disk), &r.exec.store, path, &f) == MQ_OK);
    return f;
}

static enum handled kept_at_once(void *broker, const struct ticket *to, enum kept_what what, struct reply *out)
{
    (void)broker, (void)to, (void)what, (void)out;
    return HANDLED_NOW;
}

static void on_heard(void *ctx, const struct consumer_group *g)
{
    (void)ctx;
    consumer_filters_heard(r.c.filters, g, true, r.now_ms);
}

static void on_group_gone(void *ctx, const struct consumer_group *g)
{
    (void)ctx;
    consumer_filters_gone(r.c.filters, g->node.key, r.now_ms);
}

static void start(void)
{
    const struct store_config store = {.commit_log_dir = "commitlog", .commit_log_file_size = 16384, .consume_queue_file_size = 400,
                                       .max_message_size = 2000, .index_enable = true, .index_slots = 16, .index_entries = 64, .flush_interval_ms = 500,
                                       .flush_queue_interval_ms = 1000, .reserved_ms = 72LL * 3600000, .disk_clean_percent = 75,
                                       .disk_force_percent = 85, .disk_stop_percent = 90, .delay_levels = 2, .delay_level_ms = {1000, 30000}};
    static const int64_t delay_ms[] = {1000, 30000};
    const struct store_listener listener = {.arrived = on_arrived, .written = on_written, .flushed = on_flushed};
    const struct topics_setup setup = {.cluster_name = "c", .broker_name = "b", .trace_topic = "t", .auto_create = true, .default_queues = 8};
    const struct topics_listener topics = {.changed = topic_changed};
    const struct ack_setup acks = {.outbox = &outbox, .store_host = &r.c.store_host, .trace_on = &r.config.trace_on,
                                   .region_id = (const char *const *)&r.config.region_id};
    const struct longpoll_config polls = {.ctx = &r.c, .match = pull_message_match, .wake = pull_message_wake, .drop = pull_message_drop};
    static struct broker_config once;
    if (once.broker_name == NULL) /* looks the host's name up */
        CHECK(broker_config_load(&once, NULL, NULL, NULL) == MQ_OK);
    memset(&r, 0, sizeof r);
    log_set_level(LOG_OFF);
    CHECK(conf_defaults(broker_config_table(), &r.config, NULL) == MQ_OK);
    r.config.commit_log_path = "commitlog";
    r.config.max_message_size = 2000;
    r.config.n_delay_levels = 2;
    r.config.enable_property_filter = r.config.filter_support_retry = true;
    r.now_ms = T0 * 1000LL;
    r.disk = fake_disk_new(1);
    fake_disk_writeback(r.disk, 0);
    fake_disk_room(r.disk, 60ull << 30, 100ull << 30);
    sim_exec_init(&r.exec, 1);
    r.c = (struct broker_context){.config = &r.config, .outbox = &outbox, .boot_ms = r.now_ms, .now_ms = now_ms, .mono_ms = mono_ms, .answer_when_kept = kept_at_once,
                                  .waiting = waiting, .unflushed_max = 8192,
                                  .memory_bytes = 4096, .random = 88172645463325252u, .addr = "127.0.0.1:10911", .broker = &r,
                                  .register_now = register_now, .config_text = config_text, .config_set_live = config_set_live};
    CHECK(ack_queue_new(&acks, &r.c.acks) == MQ_OK && longpoll_new(&polls, &r.c.longpoll) == MQ_OK);
    CHECK(sessions_new(&(struct session_listener){.heard = on_heard, .group_gone = on_group_gone}, &r.c.sessions) == MQ_OK);
    CHECK(stats_new("c", r.now_ms, r.now_ms, &r.c.stats) == MQ_OK);
    CHECK(message_store_open(&store, fake_disk_io(r.disk), &r.exec.store, &listener, r.mono_ms, &r.c.store, NULL) == MQ_OK);
    CHECK(topics_open(file("topics.json"), &setup, &topics, r.now_ms, &r.c.topics, NULL) == MQ_OK);
    CHECK(groups_open(file("groups.json"), true, r.now_ms, &r.c.groups, NULL) == MQ_OK && offsets_open(file("offsets.json"), &r.c.offsets, NULL) == MQ_OK);
    const struct transactions_setup halves = {.store = r.c.store, .offsets = r.c.offsets, .topics = r.c.topics, .sessions = r.c.sessions, .outbox = &outbox,
                                              .store_host = &r.c.store_host, .timeout_ms = &r.config.transaction_timeout_ms,
                                              .interval_ms = &r.config.transaction_interval_ms, .reserved_hours = &r.config.file_reserved_hours,
                                              .checks_max = &r.config.transaction_checks_max};
    CHECK(transactions_new(&halves, r.mono_ms, &r.c.transactions, NULL) == MQ_OK);
    const struct queue_locks_setup locks = {.live_ms = LOCK_LIVE_MS, .outbox = &outbox, .here = is_here, .changed = locks_changed};
    CHECK(queue_locks_new(&locks, &r.c.locks) == MQ_OK);
    r.locks_file = file("locks.json");
    config_file_source(r.locks_file, locks_text, NULL);
    config_file_tell(r.locks_file, locks_written, NULL);
    const struct schedule_setup delays = {.store = r.c.store, .delay_ms = delay_ms, .n_levels = 2, .running = true};
    CHECK(schedule_open(file("delays.json"), &delays, &r.c.schedule, NULL) == MQ_OK);
    const struct consumer_filters_setup filters = {.bloom = bloom_make(20, 32), .keep_ms = 1000};
    CHECK(consumer_filters_open(file("filters.json"), &filters, r.now_ms, &r.c.filters, NULL) == MQ_OK);
    CHECK((r.c.expressions = expressions_new()) != NULL);
    struct route_sink sink = {.rows = r.rows, .cap = ROWS_MAX};
    send_message_routes(&sink, &r.c);
    pull_message_routes(&sink, &r.c);
    client_manage_routes(&sink, &r.c);
    client_call_routes(&sink, &r.c);
    consumer_offset_routes(&sink, &r.c);
    queue_offset_routes(&sink, &r.c);
    query_message_routes(&sink, &r.c);
    topic_admin_routes(&sink, &r.c);
    group_admin_routes(&sink, &r.c);
    broker_admin_routes(&sink, &r.c);
    end_transaction_routes(&sink, &r.c);
    send_back_routes(&sink, &r.c);
    queue_lock_routes(&sink, &r.c);
    reply_message_routes(&sink, &r.c);
    reset_offset_routes(&sink, &r.c);
    r.n_rows = sink.n;
}

static void end(void)
{
    sim_exec_drain(&r.exec);
    config_file_close(r.locks_file);
    queue_locks_free(r.c.locks);
    consumer_filters_close(r.c.filters);
    offsets_close(r.c.offsets);
    groups_close(r.c.groups);
    topics_close(r.c.topics);
    schedule_close(r.c.schedule, message_store_close(r.c.store, r.mono_ms));
    longpoll_free(r.c.longpoll);
    transactions_free(r.c.transactions);
    expressions_free(r.c.expressions);
    ack_queue_free(r.c.acks);
    sessions_free(r.c.sessions);
    stats_free(r.c.stats);
    reply_free(&r.c.scratch);
    broker_config_free(&r.config);
    fake_disk_free(r.disk);
}

static void turn(void)
{
    if (schedule_due(r.c.schedule) <= r.mono_ms)
        schedule_run(r.c.schedule, r.now_ms, r.mono_ms);
    transactions_run(r.c.transactions, r.now_ms, r.mono_ms, r.c.pressure != PRESSURE_NONE);
    message_store_turn(r.c.store, r.mono_ms);
    send_message_press(&r.c);
    longpoll_run_arrivals(r.c.longpoll);
    sim_exec_drain(&r.exec);
    message_store_tick(r.c.store, (struct store_now){r.now_ms, r.mono_ms});
}

static void pass(int64_t ms)
{
    r.now_ms += ms;
    r.mono_ms += ms;
    send_message_deadlines(&r.c, r.mono_ms);
    longpoll_run_deadlines(r.c.longpoll, r.mono_ms);
    for (int i = 0; i < 3; i++)
        turn();
}

static void clients_answer(const struct command *answer)
{
    for (size_t i = 0; i < r.n_calls; i++)
        r.calls[i].fn(r.calls[i].arg, answer);
    r.n_calls = 0;
}

/* ---- the input ---- */
static struct slice counted(const uint8_t **p, size_t *n)
{
    uint8_t len = 0;
    fuzz_choice(p, n, &len);
    size_t take = len < *n ? len : *n;
    struct slice s = slice_make(*p, take);
    *p += take;
    *n -= take;
    return s;
}

static void request(const struct request_route *route, const uint8_t **p, size_t *n)
{
    struct ext_field ext[FIELDS_MAX];
    uint8_t flags = 0, fields = 0, name;
    fuzz_choice(p, n, &flags);
    fuzz_choice(p, n, &fields);
    struct command cmd = {.code = route->code, .flag = flags & 1 ? COMMAND_ONEWAY : 0, .serialize = flags & 2 ? SERIALIZE_BINARY : SERIALIZE_JSON,
                          .version = MQ_VERSION_4_9_8, .opaque = r.n_asked, .ext = ext};
    while (cmd.n_ext < fields % (FIELDS_MAX + 1) && fuzz_choice(p, n, &name)) {
        ext[cmd.n_ext].key = slice_str(names[name % NAMES]);
        ext[cmd.n_ext++].value = counted(p, n);
    }
    cmd.body = counted(p, n);
    /* As in the server: all of it is gone when the processor returns. */
    struct buf frame = {0};
    struct arena arena = {0};
    struct command decoded;
    struct reply out = {0};
    command_encode(&cmd, &frame);
    CHECK(!frame.failed && command_decode(slice_from(buf_view(&frame), 4), &arena, &decoded, NULL) == MQ_OK);
    struct peer peer = {.conn_id = 1 + (flags >> 2 & 3), .addr = "127.0.0.1:1", .ip = {127, 0, 0, 1}, .port = 1, .v6 = (flags & 16) != 0};
    struct request rq = {.cmd = &decoded, .peer = &peer, .arena = &arena, .now_ms = r.now_ms,
                               .ticket = {peer.conn_id, r.n_asked, decoded.serialize, (flags & 1) != 0}};
    r.asked[r.n_asked++].due = !(flags & 1);
    enum handled how;
    while ((how = route->fn(route->ctx, &rq, &out)) == HANDLED_WAIT) { /* refused at last */
        CHECK(rq.waited_ms < 2000);
        pass(1000);
        rq.waited_ms += 1000;
    }
    switch (how) {
    case HANDLED_NOW: finish(NULL, &rq.ticket, &out); break;
    case HANDLED_LATER: break;
    case HANDLED_NONE:
        CHECK(flags & 1 || route->code == REQ_END_TRANSACTION); /* "I do not know" is the end of it */
        r.asked[decoded.opaque].due = false;
        break;
    default: CHECK(!"a processor returned nonsense");
    }
    reply_free(&out);
    arena_fini(&arena);
    buf_free(&frame);
}

static void connection_closes(uint64_t conn_id)
{
    sessions_conn_closed(r.c.sessions, conn_id);
    longpoll_conn_closed(r.c.longpoll, conn_id); /* who was parked there is never answered */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const struct command client_says = {.code = 0, .body = {(const uint8_t *)"{}", 2}};
    bool closed = false;
    uint8_t what;
    start();
    while (r.n_asked < REQUESTS_MAX && fuzz_choice(&data, &n, &what)) {
        if (what == EVENT_TIME)
            pass(20000);
        else if (what == EVENT_TURN)
            turn();
        else if (what == EVENT_CLIENT_ANSWERS)
            clients_answer(&client_says);
        else if (what == EVENT_CLOSE)
            connection_closes(1), closed = true;
        else
            request(&r.rows[what % r.n_rows], &data, &n);
    }
    turn();
    clients_answer(NULL);
    pass(200000);
    pass(200000);
    CHECK(longpoll_count(r.c.longpoll) == 0 && ack_queue_count(r.c.acks) == 0);
    for (int i = 0; i < r.n_asked; i++)
        CHECK(r.asked[i].due ? r.asked[i].times == 1 || (closed && r.asked[i].times == 0) : r.asked[i].times == 0);
    for (const struct topic_config *t = topics_next(r.c.topics, NULL); t; t = topics_next(r.c.topics, t))
        CHECK(name_valid(t->node.key, MESSAGE_TOPIC_MAX) && t->read_queues >= 0 && t->write_queues >= 0);
    for (const struct group_config *g = groups_next(r.c.groups, NULL); g; g = groups_next(r.c.groups, g))
        CHECK(name_valid(g->node.key, GROUP_NAME_MAX));
    end();
    return 0;
}
