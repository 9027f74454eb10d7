/* kit.c - see kit.h. */
#include "tests/unit/processor/kit.h"

#include <stdio.h>
#include <string.h>

#include "broker/processor/pull_message.h"
#include "broker/processor/send_message.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/conf/conf.h"

struct kit k;

/* ---- the outbox ---- */
static void keep_frame(struct arena *arena, struct buf *frame, struct command *cmd)
{
    struct fault why = {0};
    cr_assert(!frame->failed && command_decode(slice_from(buf_view(frame), 4), arena, cmd, &why) == MQ_OK, "%s", why.what);
}

static void keep_answer(const struct ticket *to, frame_fn *fn, const void *arg)
{
    cr_assert(to->opaque > 0 && to->opaque < KIT_ANSWERS);
    struct answer *a = &k.answers[to->opaque];
    if (to->oneway)
        return;
    cr_assert_eq(a->times++, 0, "answered twice");
    fn(arg, to, &a->frame);
    keep_frame(&a->arena, &a->frame, &a->cmd);
    cr_assert(a->cmd.flag & COMMAND_RESPONSE);
    cr_assert_eq(a->cmd.opaque, to->opaque);
    a->code = a->cmd.code;
    slice_copy(a->cmd.remark, a->remark, sizeof a->remark);
    a->came = true;
}

static void write_frame(void *ctx, const struct ticket *to, frame_fn *fn, const void *arg)
{
    (void)ctx;
    keep_answer(to, fn, arg);
}

static void encode(const void *reply, const struct ticket *to, struct buf *out) { reply_encode(reply, to, out); }
static void finish(void *ctx, const struct ticket *to, struct reply *reply) { write_frame(ctx, to, encode, reply); }

static struct call *keep_call(uint64_t conn_id, const struct command *cmd)
{
    cr_assert(k.n_calls < KIT_CALLS);
    struct call *c = &k.calls[k.n_calls++];
    *c = (struct call){.conn_id = conn_id};
    command_encode(cmd, &c->frame);
    keep_frame(&c->arena, &c->frame, &c->cmd);
    return c;
}

static bool oneway(void *ctx, uint64_t conn_id, const struct command *cmd)
{
    (void)ctx;
    keep_call(conn_id, cmd)->oneway = true;
    return true;
}

static bool call(void *ctx, uint64_t conn_id, const struct command *cmd, int32_t timeout_ms, answer_fn *fn, void *arg)
{
    (void)ctx, (void)timeout_ms;
    struct call *c = keep_call(conn_id, cmd);
    c->fn = fn;
    c->arg = arg;
    return true;
}

static void close_conn(void *ctx, uint64_t conn_id) { (void)ctx, (void)conn_id; }
static const struct outbox outbox = {.finish = finish, .write = write_frame, .oneway = oneway, .call = call, .close = close_conn};

/* ---- what the wiring does ---- */
static void on_arrived(void *ctx, const struct arrival *a)
{
    (void)ctx;
    if (k.c.schedule && slice_is(a->topic, SCHEDULE_TOPIC))
        schedule_arrived(k.c.schedule, a->queue_id);
    longpoll_arrived(k.c.longpoll, a->topic, a->queue_id, a->queue_off, a->tags_code, a->properties);
}
static void on_written(void *ctx, uint64_t off)
{
    (void)ctx;
    k.c.log_end = off;
    ack_queue_reached(k.c.acks, ACK_WRITTEN, off);
}
static void on_flushed(void *ctx, uint64_t off)
{
    (void)ctx;
    send_message_flushed(&k.c, off);
    if (k.c.schedule)
        schedule_flushed(k.c.schedule, off);
}
static void on_failed(void *ctx, const struct fault *why) { (void)ctx, ack_queue_fail(k.c.acks, k.c.log_end, why->what); }

static void topic_changed(void *ctx, const struct topic_config *t)
{
    (void)ctx;
    k.registered++;
    if (t && k.c.longpoll)
        longpoll_group_changed(k.c.longpoll, t->node.key);
}
static int64_t now_ms(const void *broker) { return (void)broker, k.now_ms; }
static int64_t mono_ms(const void *broker) { return (void)broker, k.mono_ms; }
static struct connections_waiting waiting(const void *broker)
{
    (void)broker;
    return (struct connections_waiting){k.n_waiting, k.waits, k.n_waiting ? k.waiting[0].since_ms : INT64_MAX};
}
static bool is_here(void *ctx, const struct lock_owner *who)
{
    (void)ctx;
    return sessions_consumer_client(k.c.sessions, who->group, who->client_id) != NULL;
}
static void locks_changed(void *ctx) { (void)ctx, config_file_changed(k.locks_file); }
static void locks_text(void *ctx, struct buf *out) { (void)ctx, queue_locks_encode(k.c.locks, out); }
static void locks_written(void *ctx, bool good) { (void)ctx, queue_locks_saved(k.c.locks, good); }
static void register_now(void *broker) { (void)broker, k.registered++; }
static void on_synced(void *arg, enum mq_err err, const struct fault *why)
{
    struct reply out = {0};
    if (err != MQ_OK)
        reply_refuse(&out, RES_SYSTEM_ERROR, "%s", why->what);
    keep_answer(&k.unsynced[(size_t)(uintptr_t)arg].to, encode, &out);
    reply_free(&out);
}
static enum handled answer_when_kept(void *broker, const struct ticket *to, enum kept_what what, struct reply *out)
{
    size_t i = k.n_unsynced;
    (void)broker, (void)out;
    cr_assert(i < KIT_ANSWERS);
    k.unsynced[i].to = *to;
    k.kept = what;
    struct change_log *changes = what == KEPT_GROUP ? groups_changes(k.c.groups) : topics_changes(k.c.topics);
    enum mq_err err = change_log_when_synced(changes, &k.unsynced[i].wait, on_synced, (void *)(uintptr_t)i);
    k.n_unsynced += err == MQ_EAGAIN;
    return err == MQ_EAGAIN ? HANDLED_LATER : HANDLED_NOW;
}
static void config_text(void *broker, struct buf *out) { (void)broker, broker_config_text(&k.config, false, out); }
static int config_set_live(void *broker, struct slice key, struct slice value, char why[200])
{
    struct fault fault = {0};
    enum mq_err err = broker_config_set_live(&k.config, key, value, &fault);
    (void)broker;
    snprintf(why, 200, "%s", fault.what);
    return err == MQ_OK ? RES_SUCCESS : err == MQ_EREFUSED ? RES_NO_PERMISSION : RES_SYSTEM_ERROR;
}

static void transactions_open(void)
{
    const struct transactions_setup setup = {.store = k.c.store, .offsets = k.c.offsets, .topics = k.c.topics, .sessions = k.c.sessions,
                                             .outbox = &outbox, .store_host = &k.c.store_host, .timeout_ms = &k.config.transaction_timeout_ms,
                                             .interval_ms = &k.config.transaction_interval_ms, .reserved_hours = &k.config.file_reserved_hours,
                                             .checks_max = &k.config.transaction_checks_max};
    struct fault why = {0};
    cr_assert(transactions_new(&setup, k.mono_ms, &k.c.transactions, &why) == MQ_OK, "%s", why.what);
}

static void settings_load(const char *settings)
{
    struct fault why = {0};
    cr_assert(broker_config_load(&k.config, NULL, NULL, &why) == MQ_OK, "%s", why.what);
    static const char fixed[] = "brokerIP1=127.0.0.1\nbrokerClusterName=DefaultCluster\nbrokerName=broker-a\nmaxMessageSize=65536\n";
    const char *const all[] = {fixed, settings};
    for (int i = 0; i < 2; i++)
        if (all[i])
            cr_assert(conf_load_text(broker_config_table(), &k.config, "settings", slice_str(all[i]), NULL, NULL, &why) == MQ_OK, "%s", why.what);
}

static struct config_file *table_file(const char *path, bool keep_changes)
{
    struct config_file *f = NULL;
    cr_assert(config_file_new(fake_disk_io(k.disk), &k.exec.store, path, &f) == MQ_OK);
    if (keep_changes)
        cr_assert(config_file_keep_changes(f, k.config.flush_disk == FLUSH_DISK_SYNC) == MQ_OK);
    return f;
}

static void store_open(void)
{
    struct fault why = {0};
    struct store_config cfg = {.commit_log_dir = "commitlog", .commit_log_file_size = 1 << 20, .consume_queue_file_size = 4000,
                               .max_message_size = (uint32_t)k.config.max_message_size, .index_enable = true, .index_slots = 100,
                               .index_entries = 400, .flush_interval_ms = 500, .flush_queue_interval_ms = 1000,
                               .sync_flush = k.config.flush_disk == FLUSH_DISK_SYNC, .reserved_ms = 72LL * 3600000,
                               .disk_clean_percent = 75, .disk_force_percent = 85, .disk_stop_percent = 90,
                               .delay_levels = k.config.n_delay_levels};
    memcpy(cfg.delay_level_ms, k.config.delay_level_ms, sizeof cfg.delay_level_ms);
    const struct store_listener listener = {.arrived = on_arrived, .written = on_written, .flushed = on_flushed, .failed = on_failed};
    fake_disk_room(k.disk, 60ull << 30, 100ull << 30);
    cr_assert(message_store_open(&cfg, fake_disk_io(k.disk), &k.exec.store, &listener, k.mono_ms, &k.c.store, &why) == MQ_OK, "%s", why.what);
}

static void tables_open(void)
{
    const struct topics_setup setup = {.cluster_name = k.config.cluster_name, .broker_name = k.config.broker_name, .trace_topic = k.config.trace_topic,
                                       .auto_create = k.config.auto_create_topic, .cluster_topic = true, .broker_topic = true,
                                       .default_queues = k.config.default_topic_queue_nums};
    const struct topics_listener listener = {.changed = topic_changed};
    struct fault why = {0};
    cr_assert(topics_open(table_file("config/topics.json", true), &setup, &listener, k.now_ms, &k.c.topics, &why) == MQ_OK, "%s", why.what);
    cr_assert(groups_open(table_file("config/subscriptionGroup.json", true), k.config.auto_create_group, k.now_ms, &k.c.groups, &why) == MQ_OK);
    cr_assert(offsets_open(table_file("config/consumerOffset.json", false), &k.c.offsets, &why) == MQ_OK);
    const struct queue_locks_setup locks = {.live_ms = k.config.lock_live_ms, .outbox = &outbox, .here = is_here, .changed = locks_changed};
    cr_assert(queue_locks_new(&locks, &k.c.locks) == MQ_OK);
    k.locks_file = table_file("config/queueLocks.json", false);
    config_file_source(k.locks_file, locks_text, NULL);
    config_file_tell(k.locks_file, locks_written, NULL);
    const struct schedule_setup delays = {.store = k.c.store, .delay_ms = k.config.delay_level_ms, .n_levels = k.config.n_delay_levels, .running = true};
    cr_assert(schedule_open(table_file("config/delayOffset.json", false), &delays, &k.c.schedule, &why) == MQ_OK);
    const struct consumer_filters_setup filters = {.bloom = bloom_make(k.config.bloom_error_percent, k.config.bloom_members),
                                                   .keep_ms = k.config.filter_keep_ms};
    cr_assert(consumer_filters_open(table_file("config/consumerFilter.json", false), &filters, k.now_ms, &k.c.filters, &why) == MQ_OK);
    cr_assert((k.c.expressions = expressions_new()) != NULL);
}

static void on_heard(void *ctx, const struct consumer_group *g)
{
    (void)ctx;
    consumer_filters_heard(k.c.filters, g, true, k.now_ms);
}

static void on_group_gone(void *ctx, const struct consumer_group *g)
{
    (void)ctx;
    consumer_filters_gone(k.c.filters, g->node.key, k.now_ms);
}

static void waiters_open(void)
{
    const struct ack_setup acks = {.outbox = &outbox, .store_host = &k.c.store_host, .trace_on = &k.config.trace_on,
                                   .region_id = (const char *const *)&k.config.region_id};
    const struct longpoll_config polls = {.ctx = &k.c, .match = pull_message_match, .wake = pull_message_wake, .drop = pull_message_drop};
    cr_assert(ack_queue_new(&acks, &k.c.acks) == MQ_OK && longpoll_new(&polls, &k.c.longpoll) == MQ_OK);
    cr_assert(sessions_new(&(struct session_listener){.heard = on_heard, .group_gone = on_group_gone}, &k.c.sessions) == MQ_OK);
    cr_assert(stats_new(k.config.cluster_name, k.now_ms, k.now_ms, &k.c.stats) == MQ_OK);
}

static void parts_open(void)
{
    waiters_open();
    store_open();
    tables_open();
    transactions_open();
}

static void parts_close(void)
{
    sim_exec_drain(&k.exec);
    config_file_close(k.locks_file);
    queue_locks_free(k.c.locks);
    consumer_filters_close(k.c.filters); /* no session ends before sessions_free(), which tells nobody */
    offsets_close(k.c.offsets);
    groups_close(k.c.groups);
    topics_close(k.c.topics);
    bool flushed = message_store_close(k.c.store, k.mono_ms); /* may still tell of arrivals */
    schedule_close(k.c.schedule, flushed);
    k.c.schedule = NULL;
    longpoll_free(k.c.longpoll);
    expressions_free(k.c.expressions);
    transactions_free(k.c.transactions);
    ack_queue_free(k.c.acks);
    sessions_free(k.c.sessions);
    stats_free(k.c.stats);
}

void kit_start_with(const char *settings)
{
    kit_end(); /* the suite's */
    memset(&k, 0, sizeof k);
    log_set_level(LOG_OFF);
    k.now_ms = KIT_T0 * 1000LL;
    k.mono_ms = 1000;
    k.next_opaque = 1;
    k.conn_id = KIT_CONN;
    settings_load(settings);
    k.disk = fake_disk_new(1);
    fake_disk_writeback(k.disk, 0);
    sim_exec_init(&k.exec, 1);
    k.c = (struct broker_context){.config = &k.config, .outbox = &outbox, .boot_ms = k.now_ms, .boot_mono_ms = k.mono_ms, .now_ms = now_ms, .mono_ms = mono_ms,
                                  .waiting = waiting, .unflushed_max = 256 << 20,
                                  .memory_bytes = 8ull << 30, .random = 88172645463325252u, .addr = "127.0.0.1:10911", .broker = &k,
                                  .register_now = register_now, .answer_when_kept = answer_when_kept, .config_text = config_text,
                                  .config_set_live = config_set_live,
                                  .store_host = {.ip = {127, 0, 0, 1}, .port = 10911}};
    parts_open();
    struct route_sink sink = {.rows = k.rows, .cap = sizeof k.rows / sizeof *k.rows};
    send_message_routes(&sink, &k.c);
    end_transaction_routes(&sink, &k.c);
    pull_message_routes(&sink, &k.c);
    client_manage_routes(&sink, &k.c);
    client_call_routes(&sink, &k.c);
    queue_lock_routes(&sink, &k.c);
    reset_offset_routes(&sink, &k.c);
    reply_message_routes(&sink, &k.c);
    consumer_offset_routes(&sink, &k.c);
    queue_offset_routes(&sink, &k.c);
    query_message_routes(&sink, &k.c);
    topic_admin_routes(&sink, &k.c);
    group_admin_routes(&sink, &k.c);
    broker_admin_routes(&sink, &k.c);
    send_back_routes(&sink, &k.c);
    k.n_rows = sink.n;
}

void kit_start(void) { kit_start_with(NULL); }

void kit_end(void)
{
    if (k.disk == NULL)
        return;
    parts_close();
    reply_free(&k.c.scratch);
    for (int i = 0; i < KIT_ANSWERS; i++) {
        buf_free(&k.answers[i].frame);
        arena_fini(&k.answers[i].arena);
    }
    for (size_t i = 0; i < k.n_waiting; i++)
        buf_free(&k.waiting[i].frame);
    for (size_t i = 0; i < k.n_calls; i++) {
        buf_free(&k.calls[i].frame);
        arena_fini(&k.calls[i].arena);
    }
    fake_disk_free(k.disk);
    broker_config_free(&k.config);
    k.disk = NULL;
}

void kit_restart(void)
{
    parts_close();
    parts_open();
}

void kit_crash(enum fake_cut how)
{
    struct fake_disk *left = fake_disk_clone(k.disk, 2);
    fake_disk_writeback(left, 0);
    parts_close(); /* on a disk that nobody will see */
    fake_disk_free(k.disk);
    k.disk = left;
    fake_disk_cut(k.disk, how, 1);
    parts_open();
}

/* ---- requests ---- */
static const struct request_route *route_of(int32_t code)
{
    for (size_t i = 0; i < k.n_rows; i++)
        if (k.rows[i].code == code)
            return &k.rows[i];
    cr_assert(false, "no processor for %d", code);
    return NULL;
}

/* False: it must wait. */
static bool handle(const struct command *cmd, int64_t waited_ms)
{
    struct peer peer = {.conn_id = k.conn_id, .addr = "127.0.0.1:40112", .ip = {127, 0, 0, 1}, .port = 40112};
    struct arena arena = {0};
    struct reply out = {0};
    const struct request rq = {.cmd = cmd, .peer = &peer, .arena = &arena, .now_ms = k.now_ms, .waited_ms = waited_ms,
                               .ticket = {peer.conn_id, cmd->opaque, cmd->serialize, (cmd->flag & COMMAND_ONEWAY) != 0}};
    const struct request_route *route = route_of(cmd->code);
    enum handled how = route->fn(route->ctx, &rq, &out);
    switch (how) {
    case HANDLED_NOW: finish(NULL, &rq.ticket, &out); break;
    case HANDLED_NONE: k.answers[cmd->opaque].times += cmd->flag & COMMAND_ONEWAY ? 0 : 1; break;
    case HANDLED_LATER:
    case HANDLED_WAIT: break;
    default: cr_assert(false, "a processor returned nonsense");
    }
    reply_free(&out);
    arena_fini(&arena);
    return how != HANDLED_WAIT;
}

/* What the connection does: it keeps the frame. */
static void keep_waiting(const struct command *cmd)
{
    cr_assert(k.n_waiting < KIT_WAITING);
    k.waiting[k.n_waiting].since_ms = k.mono_ms;
    buf_clear(&k.waiting[k.n_waiting].frame);
    command_encode(cmd, &k.waiting[k.n_waiting++].frame);
    k.waits++;
}

/* As if each came on a connection of its own. */
static void resume(void)
{
    size_t n = 0;
    for (bool taken = true; n < k.n_waiting; n += taken) {
        struct arena arena = {0};
        struct command cmd;
        keep_frame(&arena, &k.waiting[n].frame, &cmd);
        taken = (k.c.pressure == PRESSURE_NONE || k.mono_ms - k.waiting[n].since_ms >= send_message_patience(&k.c)) &&
                handle(&cmd, k.mono_ms > k.waiting[n].since_ms ? k.mono_ms - k.waiting[n].since_ms : 1);
        arena_fini(&arena);
        if (!taken)
            break;
        waits_note(&k.c.waits, k.mono_ms, k.mono_ms - k.waiting[n].since_ms);
    }
    for (size_t i = 0; i < n; i++)
        buf_free(&k.waiting[i].frame);
    memmove(k.waiting, k.waiting + n, (k.n_waiting - n) * sizeof *k.waiting);
    k.n_waiting -= n;
    memset(k.waiting + k.n_waiting, 0, n * sizeof *k.waiting);
}

static void write_turn(void)
{
    message_store_turn(k.c.store, k.mono_ms);
    send_message_press(&k.c);
}

struct answer *kit_send_command(const struct command *from)
{
    struct command cmd = *from;
    cr_assert(k.next_opaque < KIT_ANSWERS);
    cmd.opaque = k.next_opaque++;
    if (!handle(&cmd, 0))
        keep_waiting(&cmd);
    return &k.answers[cmd.opaque];
}

struct answer *kit_send(int32_t code, int32_t flag, struct slice body, const char *const *fields)
{
    /* Everything goes to the heap and back, and is gone when the processor returns: what it keeps must be a copy. */
    struct ext_field list[32];
    struct command cmd = {.code = code, .flag = flag, .language = LANGUAGE_JAVA, .version = MQ_VERSION_4_9_8, .serialize = k.serialize, .ext = list,
                          .body = body};
    for (; fields && fields[0]; fields += 2) {
        cr_assert(cmd.n_ext < 32);
        list[cmd.n_ext++] = (struct ext_field){slice_str(fields[0]), slice_str(fields[1])};
    }
    struct buf frame = {0};
    struct arena arena = {0};
    struct command decoded;
    command_encode(&cmd, &frame);
    keep_frame(&arena, &frame, &decoded);
    struct answer *a = kit_send_command(&decoded);
    buf_free(&frame);
    arena_fini(&arena);
    return a;
}

void kit_write_only(void)
{
    if (k.c.pressure == PRESSURE_NONE && schedule_due(k.c.schedule) <= k.mono_ms)
        schedule_run(k.c.schedule, k.now_ms, k.mono_ms);
    transactions_run(k.c.transactions, k.now_ms, k.mono_ms, k.c.pressure != PRESSURE_NONE);
    write_turn();
    if (k.n_waiting) {
        resume();
        write_turn();
    }
    longpoll_run_arrivals(k.c.longpoll);
}

void kit_turn(void)
{
    for (int i = 0; i < 4; i++) { /* a work's end may make another turn worth while */
        kit_write_only();
        sim_exec_drain(&k.exec);
        message_store_tick(k.c.store, (struct store_now){k.now_ms, k.mono_ms});
    }
}

void kit_pass(int64_t ms)
{
    k.now_ms += ms;
    k.mono_ms += ms;
    send_message_deadlines(&k.c, k.mono_ms);
    longpoll_run_deadlines(k.c.longpoll, k.mono_ms);
    kit_turn();
}

void kit_close(uint64_t conn_id)
{
    sessions_conn_closed(k.c.sessions, conn_id);
    longpoll_conn_closed(k.c.longpoll, conn_id);
}

const struct answer *kit_ask(int32_t code, struct slice body, const char *const *fields)
{
    const struct answer *a = kit_send(code, 0, body, fields);
    kit_turn();
    cr_assert(a->came && a->times == 1, "request %d has no answer", code);
    return a;
}

void kit_heartbeat(uint64_t conn_id, const char *json)
{
    uint64_t before = k.conn_id;
    k.conn_id = conn_id;
    const struct answer *a = ASK_BODY(REQ_HEART_BEAT, slice_str(json));
    ASSERT_CODE(a, RES_SUCCESS);
    k.conn_id = before;
}

/* ---- answers ---- */
bool has_ext(const struct answer *a, const char *key)
{
    struct slice v;
    return command_ext(&a->cmd, key, &v);
}
struct slice ext(const struct answer *a, const char *key)
{
    struct slice v = {0};
    cr_assert(a->came && command_ext(&a->cmd, key, &v), "no field %s (code %d remark %s)", key, a->code, a->remark);
    return v;
}
int64_t ext_i64(const struct answer *a, const char *key)
{
    int64_t v = 0;
    struct slice text = ext(a, key);
    cr_assert(slice_i64(text, &v), "%s=%.*s", key, SLICE_ARG(text));
    return v;
}
json_t *body_json(const struct answer *a)
{
    struct fault why = {0};
    json_t *root = json_parse(a->cmd.body, &why);
    cr_assert(root != NULL, "code %d remark %s body %.*s: %s", a->code, a->remark, SLICE_ARG(slice_head(a->cmd.body, 300)), why.what);
    return root;
}

/* ---- messages ---- */
const struct answer *kit_put(const char *topic, int queue_id, const char *body, const char *properties)
{
    char queue[16], born[32];
    snprintf(queue, sizeof queue, "%d", queue_id);
    snprintf(born, sizeof born, "%lld", (long long)k.now_ms);
    const char *const fields[] = {"a", "producers", "b", topic, "c", "TBW102", "d", "4", "e", queue, "f", "0", "g", born, "h", "0", "j", "0", "k", "false",
                                  "m", "false", properties ? "i" : NULL, properties, NULL};
    return kit_ask(REQ_SEND_MESSAGE_V2, slice_str(body), fields);
}

const struct answer *kit_pull(const char *topic, int queue_id, int64_t off, const char *expression)
{
    char queue[16], at[32];
    snprintf(queue, sizeof queue, "%d", queue_id);
    snprintf(at, sizeof at, "%lld", (long long)off);
    return ASK(REQ_PULL_MESSAGE, "consumerGroup", "g", "topic", topic, "queueId", queue, "queueOffset", at, "maxMsgNums", "32", "sysFlag", "4",
               "commitOffset", "0", "suspendTimeoutMillis", "15000", "subscription", expression, "subVersion", "0", "expressionType", "TAG");
}

size_t kit_records(const struct answer *a, struct message *out, size_t max)
{
    struct slice rest = a->cmd.body;
    size_t n = 0;
    for (; rest.n; n++) {
        struct message m;
        cr_assert(message_decode(rest, true, &m) == MQ_OK, "record %zu", n);
        if (n < max)
            out[n] = m;
        rest = slice_from(rest, m.size);
    }
    return n;
}

void kit_topic(const char *topic, int queues, int perm)
{
    cr_assert(topics_put(k.c.topics, slice_str(topic), queues, queues, perm, 0, false, k.now_ms, NULL) != NULL);
}
