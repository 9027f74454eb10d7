/* broker.c - wires the parts of a broker in order, starts and stops them; decides nothing.
 *
 *   disk -> threads -> store (locks the directory, recovers) -> tables -> server -> what answers through it -> registration
 * The store comes before the tables, because its lock keeps a second broker from writing ours. The server listens before the loop
 * runs: a client that connects early waits in the backlog and is answered in the first turn.
 * Stopping runs in the loop, so that answers leave: no new connections, parked pulls and waiting sends answered, name servers told,
 * acks and answers about tables awaited; then broker_close() writes what is in memory, in the order of the ladder.
 * The two listeners' and the clock's sides of this story are in listeners.c and clock.c.  (test: integration/lifecycle) */
#include "broker/broker.h"
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>
#include "broker/ack/ack_queue.h"
#include "broker/broker_internal.h"
#include "broker/filter/consumer_filters.h"
#include "broker/filter/expressions.h"
#include "broker/metadata/groups.h"
#include "broker/metadata/offsets.h"
#include "broker/processor/pull_message.h"
#include "broker/stats/stats.h"
#include "broker/transaction/transactions.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"

enum { VIP_PORT_DISTANCE = 2, ROUTES_MAX = 96, FORCE_CLEAN_PERCENT = 85, STOP_WRITING_PERCENT = 90, NEVER_PERCENT = 101 };
enum { FAREWELL_MS = 2000, STORE_FILES = 512, CONNECTIONS_MAX = 60000 };

enum { UNFLUSHED_LEAST = 16 << 20, UNFLUSHED_MOST = 256 << 20 };

/* ---- who we are ---- */
static enum mq_err address_of(const char *ip, int32_t port, struct host *out, struct fault *why)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    if (getaddrinfo(ip, NULL, &hints, &found) != 0 || found == NULL)
        return fault_set(why, MQ_EINVAL, 0, "brokerIP1=%.100s is neither an address nor a name of one", ip);
    *out = (struct host){.port = (uint16_t)port, .v6 = found->ai_family == AF_INET6};
    if (out->v6) {
        struct sockaddr_in6 in;
        memcpy(&in, found->ai_addr, sizeof in);
        memcpy(out->ip, &in.sin6_addr, 16);
    } else {
        struct sockaddr_in in;
        memcpy(&in, found->ai_addr, sizeof in);
        memcpy(out->ip, &in.sin_addr, 4);
    }
    freeaddrinfo(found);
    return MQ_OK;
}

static void address_text(const char *ip, int32_t port, char *out, size_t n)
{
    snprintf(out, n, strchr(ip, ':') && *ip != '[' ? "[%s]:%d" : "%s:%d", ip, port);
}

static enum mq_err identity_open(struct broker *b, struct fault *why)
{
    const struct broker_config *c = &b->config;
    b->core.memory_bytes = budget_physical_bytes();
    b->core.boot_ms = clock_wall_ms();
    b->core.boot_mono_ms = clock_mono_ms();
    b->budget.limit = budget_limit(c->memory_limit);
    log_info("broker", "memory limit bytes=%llu from=%s", (unsigned long long)b->budget.limit, c->memory_limit ? "memoryLimit" : "machine");
    if (getrandom(&b->core.random, sizeof b->core.random, 0) != (ssize_t)sizeof b->core.random || b->core.random == 0)
        b->core.random = (uint64_t)clock_mono_us() | 1;
    address_text(c->broker_ip1, c->listen_port, b->addr, sizeof b->addr);
    address_text(c->broker_ip2, c->ha_listen_port, b->ha_addr, sizeof b->ha_addr);
    return address_of(c->broker_ip1, c->listen_port, &b->core.store_host, why);
}

/* ---- the store ---- */
/* Far below the share of the memory at which the kernel stops who writes. */
static uint64_t unflushed_max(const struct broker *b)
{
    uint64_t share = b->core.memory_bytes / 16;
    if (b->config.flush_behind_max > 0)
        return (uint64_t)b->config.flush_behind_max;
    return share < UNFLUSHED_LEAST ? UNFLUSHED_LEAST : share < UNFLUSHED_MOST ? share : UNFLUSHED_MOST;
}

static enum mq_err store_open(struct broker *b, struct fault *why)
{
    const struct broker_config *c = &b->config;
    b->core.unflushed_max = unflushed_max(b);
    struct store_config s = {.commit_log_dir = c->commit_log_path,
                             .commit_log_file_size = (uint64_t)c->commit_log_file_size,
                             .consume_queue_file_size = (uint32_t)c->consume_queue_file_size,
                             .max_message_size = (uint32_t)c->max_message_size,
                             .check_crc_on_recover = c->check_crc_on_recover,
                             .index_enable = c->index_enable,
                             .index_slots = (uint32_t)c->index_slots,
                             .index_entries = (uint32_t)c->index_entries,
                             .flush_interval_ms = c->flush_interval_ms,
                             .flush_queue_interval_ms = c->flush_queue_interval_ms,
                             .flush_queue_least_bytes = (size_t)c->flush_queue_least_pages * 4096,
                             .flush_queue_thorough_ms = c->flush_queue_thorough_ms,
                             .unflushed_max = b->core.unflushed_max,
                             .sync_flush = c->flush_disk == FLUSH_DISK_SYNC,
                             .reserved_ms = c->file_reserved_hours * 3600000,
                             .delete_hours = c->delete_hours,
                             .disk_clean_percent = (unsigned)c->disk_max_used_percent,
                             .disk_force_percent = c->clean_file_forcibly ? FORCE_CLEAN_PERCENT : NEVER_PERCENT,
                             .disk_stop_percent = STOP_WRITING_PERCENT,
                             .delay_levels = c->n_delay_levels};
    _Static_assert((int)BROKER_DELAY_LEVELS_MAX <= (int)STORE_DELAY_LEVELS_MAX, "all levels fit");
    memcpy(s.delay_level_ms, c->delay_level_ms, sizeof c->delay_level_ms);
    const struct store_listener listener = broker_store_listener(b);
    enum mq_err err = store_io_posix_init(c->store_root, &b->io, why);
    if (err == MQ_OK)
        err = exec_new(b->loop, &b->exec, why);
    if (err == MQ_OK)
        err = message_store_open(&s, &b->io, exec_store(b->exec), &listener, b->core.boot_mono_ms, &b->core.store, why);
    if (err != MQ_OK)
        return err;
    struct store_figures f;
    message_store_figures(b->core.store, &f);
    b->core.log_end = f.max_phys_off;
    return MQ_OK;
}

/* ---- the tables ---- */
static enum mq_err table_file(struct broker *b, const char *path, bool keep_changes, struct config_file **out, struct fault *why)
{
    enum mq_err err = config_file_new(&b->io, exec_store(b->exec), path, out);
    if (err == MQ_OK && keep_changes && (err = config_file_keep_changes(*out, b->config.flush_disk == FLUSH_DISK_SYNC)) != MQ_OK)
        config_file_close(*out);
    return err == MQ_OK ? MQ_OK : fault_set(why, err, 0, "%s", path);
}

static enum mq_err filters_open(struct broker *b, struct fault *why)
{
    const struct broker_config *c = &b->config;
    const struct consumer_filters_setup setup = {.bloom = bloom_make(c->bloom_error_percent, c->bloom_members), .keep_ms = c->filter_keep_ms};
    struct config_file *file = NULL;
    enum mq_err err = table_file(b, "config/consumerFilter.json", false, &file, why);
    if (err == MQ_OK)
        err = consumer_filters_open(file, &setup, b->core.boot_ms, &b->core.filters, why);
    if (err == MQ_OK && (b->core.expressions = expressions_new()) == NULL)
        err = fault_set(why, MQ_ENOMEM, 0, "expressions");
    return err;
}

static enum mq_err tables_open(struct broker *b, struct fault *why)
{
    const struct broker_config *c = &b->config;
    const struct topics_setup setup = {.cluster_name = c->cluster_name, .broker_name = c->broker_name, .trace_topic = c->trace_topic,
                                       .auto_create = c->auto_create_topic, .cluster_topic = c->cluster_topic, .broker_topic = c->broker_topic,
                                       .trace_topic_enable = c->trace_topic_enable, .default_queues = c->default_topic_queue_nums};
    const struct topics_listener listener = broker_topics_listener(b);
    struct config_file *file = NULL;
    enum mq_err err = table_file(b, "config/topics.json", true, &file, why);
    if (err == MQ_OK)
        err = topics_open(file, &setup, &listener, b->core.boot_ms, &b->core.topics, why);
    if (err == MQ_OK)
        err = table_file(b, "config/subscriptionGroup.json", true, &file, why);
    if (err == MQ_OK)
        err = groups_open(file, c->auto_create_group, b->core.boot_ms, &b->core.groups, why);
    if (err == MQ_OK)
        err = table_file(b, "config/consumerOffset.json", false, &file, why);
    if (err == MQ_OK)
        err = offsets_open(file, &b->core.offsets, why);
    if (err == MQ_OK)
        err = table_file(b, "config/delayOffset.json", false, &file, why);
    const struct schedule_setup delays = broker_schedule_setup(b);
    if (err == MQ_OK)
        err = schedule_open(file, &delays, &b->core.schedule, why);
    return err == MQ_OK ? filters_open(b, why) : err;
}

/* ---- the network ---- */
static enum mq_err routes_fill(struct broker *b, struct fault *why)
{
    struct request_route rows[ROUTES_MAX];
    struct route_sink sink = {.rows = rows, .cap = ROUTES_MAX};
    send_message_routes(&sink, &b->core);
    end_transaction_routes(&sink, &b->core);
    send_back_routes(&sink, &b->core);
    pull_message_routes(&sink, &b->core);
    client_manage_routes(&sink, &b->core);
    client_call_routes(&sink, &b->core);
    queue_lock_routes(&sink, &b->core);
    reset_offset_routes(&sink, &b->core);
    reply_message_routes(&sink, &b->core);
    consumer_offset_routes(&sink, &b->core);
    queue_offset_routes(&sink, &b->core);
    query_message_routes(&sink, &b->core);
    topic_admin_routes(&sink, &b->core);
    group_admin_routes(&sink, &b->core);
    broker_admin_routes(&sink, &b->core);
    return server_route(b->server, sink.rows, sink.n) == MQ_OK ? MQ_OK : fault_set(why, MQ_ENOMEM, 0, "request table");
}

/* Clients must not take the descriptors that the store needs: a flush that cannot open its file is final. */
static enum mq_err share_files(unsigned *connections, struct fault *why)
{
    long files = sysconf(_SC_OPEN_MAX);
    if (files < 2 * STORE_FILES)
        return fault_set(why, MQ_ELIMIT, 0, "descriptors: %ld are allowed (ulimit -n), at least %d are needed", files, 2 * STORE_FILES);
    *connections = files - STORE_FILES < CONNECTIONS_MAX ? (unsigned)(files - STORE_FILES) : CONNECTIONS_MAX;
    return MQ_OK;
}

static enum mq_err listen_on(struct broker *b, struct fault *why)
{
    const struct broker_config *c = &b->config;
    struct server_config cfg = {.bind_addr = c->bind_address, .n_ports = 2, .backlog = (int)c->backlog, .idle_ms = c->idle_seconds * 1000, .budget = &b->budget,
                                      .ports = {(uint16_t)c->listen_port, (uint16_t)(c->listen_port - VIP_PORT_DISTANCE)}};
    const struct server_events events = broker_server_events(b);
    enum mq_err err = share_files(&cfg.max_connections, why);
    if (err == MQ_OK)
        err = server_new(b->loop, &cfg, &events, &b->server, why);
    if (err != MQ_OK)
        return err;
    b->core.outbox = server_outbox(b->server);
    return routes_fill(b, why);
}

/* What answers later, through the server's outbox. */
static enum mq_err waiters_open(struct broker *b, struct fault *why)
{
    const struct ack_setup acks = {.outbox = b->core.outbox, .store_host = &b->core.store_host, .trace_on = &b->config.trace_on,
                                   .region_id = (const char *const *)&b->config.region_id};
    const struct longpoll_config polls = {.ctx = &b->core, .match = pull_message_match, .wake = pull_message_wake, .drop = pull_message_drop};
    const struct session_listener sessions = broker_session_listener(b);
    enum mq_err err = ack_queue_new(&acks, &b->core.acks);
    if (err == MQ_OK)
        err = longpoll_new(&polls, &b->core.longpoll);
    if (err == MQ_OK)
        err = sessions_new(&sessions, &b->core.sessions);
    return err == MQ_OK ? MQ_OK : fault_set(why, err, 0, "broker");
}

static enum mq_err load_locks(void *ctx, struct slice text, struct fault *why)
{
    struct broker *b = ctx;
    return queue_locks_take(b->core.locks, text, b->core.boot_mono_ms, why);
}

static enum mq_err locks_open(struct broker *b, struct fault *why)
{
    const struct queue_locks_setup setup = broker_locks_setup(b);
    char words[300];
    struct fault unread = {0};
    enum mq_err err = queue_locks_new(&setup, &b->core.locks);
    if (err == MQ_OK)
        err = config_file_new(&b->io, exec_store(b->exec), "config/queueLocks.json", &b->locks_file);
    if (err != MQ_OK)
        return fault_set(why, err, 0, "queue locks");
    broker_locks_wire(b);
    err = config_file_load(b->locks_file, load_locks, b, &unread);
    if (err == MQ_OK || err == MQ_ENOTFOUND)
        return MQ_OK;
    log_warn("broker", "who held queue locks is not known, nobody gets one for %d ms why=%s", LOCK_GONE_MS, fault_text(&unread, words, sizeof words));
    queue_locks_doubt(b->core.locks, b->core.boot_mono_ms);
    return MQ_OK;
}

static enum mq_err transactions_open(struct broker *b, struct fault *why)
{
    const struct broker_config *c = &b->config;
    const struct transactions_setup setup = {.store = b->core.store, .offsets = b->core.offsets, .topics = b->core.topics, .sessions = b->core.sessions,
                                             .outbox = b->core.outbox, .store_host = &b->core.store_host, .timeout_ms = &c->transaction_timeout_ms,
                                             .interval_ms = &c->transaction_interval_ms, .reserved_hours = &c->file_reserved_hours,
                                             .checks_max = &c->transaction_checks_max};
    return transactions_new(&setup, clock_mono_ms(), &b->core.transactions, why);
}

static enum mq_err registrar_open(struct broker *b, struct fault *why)
{
    const struct broker_config *c = &b->config;
    enum mq_err err = caller_new(b->loop, &(struct caller_config){0}, &b->caller, why);
    if (err != MQ_OK)
        return err;
    const struct registrar_setup setup = {.loop = b->loop, .caller = b->caller, .config = c, .topics = b->core.topics,
                                          .who = {.cluster_name = c->cluster_name, .broker_name = c->broker_name, .addr = b->addr,
                                                  .ha_addr = b->ha_addr, .broker_id = c->broker_id}};
    return registrar_new(&setup, &b->registrar, why);
}

/* ---- life ---- */
static enum mq_err open_all(struct broker *b, struct fault *why)
{
    static enum mq_err (*const steps[])(struct broker *, struct fault *) = {identity_open, store_open,   tables_open,
                                                                            listen_on,     waiters_open, locks_open,
                                                                            transactions_open, registrar_open};
    enum mq_err err = stats_new(b->config.cluster_name, clock_wall_ms(), clock_mono_ms(), &b->core.stats);
    if (err != MQ_OK)
        return fault_set(why, err, 0, "statistics");
    for (size_t i = 0; err == MQ_OK && i < sizeof steps / sizeof *steps; i++)
        err = steps[i](b, why);
    if (err == MQ_OK && !broker_clock_start(b))
        err = fault_set(why, MQ_ENOMEM, 0, "timers");
    return err;
}

enum mq_err broker_open(struct loop *l, struct broker_config *cfg, struct broker **out, struct fault *why)
{
    struct broker *b = mem_zalloc(sizeof *b);
    if (b == NULL)
        return fault_set(why, MQ_ENOMEM, 0, "broker");
    b->loop = l;
    b->config = *cfg; /* given back when something fails */
    list_init(&b->unanswered);
    broker_fill_context(b);
    enum mq_err err = open_all(b, why);
    if (err != MQ_OK) {
        broker_close(b);
        return err;
    }
    *cfg = (struct broker_config){0};
    b->owns_config = true;
    registrar_start(b->registrar);
    *out = b;
    return MQ_OK;
}

static void on_farewell(void *arg) { ((struct broker *)arg)->farewell_done = true; } /* at_wake sees it in this turn */

void broker_stop(struct broker *b)
{
    if (b->stopping)
        return;
    struct server_stats stats;
    server_get_stats(b->server, &stats);
    log_info("broker", "broker stops connections=%llu parked_pulls=%zu", (unsigned long long)stats.connections, longpoll_count(b->core.longpoll));
    b->stopping = b->core.stopping = true; /* at_wake answers the parked pulls from now on */
    server_stop_accepting(b->server);
    registrar_stop(b->registrar, FAREWELL_MS, on_farewell, b);
    loop_timer_start(&b->stop_timer, BROKER_STOP_WITHIN_MS, 0);
}

bool broker_failed(const struct broker *b) { return b->failed; }

void broker_close(struct broker *b)
{
    if (b == NULL)
        return;
    struct broker_context *c = &b->core;
    b->stopping = c->stopping = true; /* a disk that fails from now on is just reported */
    broker_clock_stop(b);
    if (b->exec)
        exec_drain(b->exec);
    config_file_close(b->locks_file);
    consumer_filters_close(c->filters);
    c->filters = NULL; /* sessions that end below have nobody to tell */
    offsets_close(c->offsets);
    groups_close(c->groups);
    topics_close(c->topics);
    bool flushed = message_store_close(c->store, clock_mono_ms());
    schedule_close(c->schedule, flushed);
    caller_free(b->caller);
    registrar_free(b->registrar);
    broker_drop_unanswered(b);
    server_free(b->server);
    queue_locks_free(c->locks);
    sessions_free(c->sessions);
    longpoll_free(c->longpoll);
    transactions_free(c->transactions);
    expressions_free(c->expressions);
    ack_queue_free(c->acks);
    stats_free(c->stats);
    exec_free(b->exec);
    if (b->io.ctx)
        store_io_posix_fini(&b->io);
    reply_free(&c->scratch);
    if (b->owns_config)
        broker_config_free(&b->config);
    mem_free(b);
}
