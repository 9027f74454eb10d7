/* namesrv.c - wires the parts of a name server: the loop's clock, the listener, the files, the log; decides nothing.
 *
 * KV configuration and settings are written on the core thread: an administrator's request, a few a day, that must be
 * durable before it is answered. A name server has no other thread, and nothing wakes it but peers and the sweep. */
#include "namesrv/namesrv.h"

#include <string.h>

#include "common/base/mem.h"
#include "common/remoting/server.h"
#include "namesrv/kvconfig/text_file.h"
#include "namesrv/processor/processors.h"

struct namesrv_server {
    struct namesrv core;
    struct namesrv_config config;
    struct budget budget; /* memoryLimit */
    struct loop *loop;
    struct server *server;
    struct loop_timer sweep;
    struct buf closing; /* u64s: connections of brokers that expired in this sweep */
};

static int64_t mono_ms(void *ctx) { return loop_mono_ms(((const struct namesrv_server *)ctx)->loop); }

/* ---- what the tables tell ---- */
static bool order_conf(void *ctx, struct slice topic, struct slice *value)
{
    const struct namesrv_server *s = ctx;
    return s->config.order_message_enable && kv_config_get(s->core.kv, SLICE_LIT(KV_ORDER_TOPIC), topic, value);
}

static void broker_event(void *ctx, enum broker_event what, struct slice name, struct slice addr, int64_t id, uint64_t conn_id)
{
    static const char *const words[] = {[BROKER_UP] = "broker registered", [BROKER_UNREGISTERED] = "broker unregistered",
                                        [BROKER_CLOSED] = "broker closed its connection", [BROKER_EXPIRED] = "broker was silent for 120 s",
                                        [BROKER_REPLACED] = "broker replaced by another address"};
    struct namesrv_server *s = ctx;
    enum log_level level = what == BROKER_EXPIRED ? LOG_WARN : LOG_INFO;
    LOG_AT(level, "namesrv", "%s broker=%.*s id=%lld addr=%.*s", words[what], SLICE_ARG(name), (long long)id, SLICE_ARG(addr));
    if (what == BROKER_EXPIRED)
        buf_put(&s->closing, &conn_id, sizeof conn_id); /* not closed from inside the tables */
}

static void on_sweep(void *arg)
{
    struct namesrv_server *s = arg;
    const struct outbox *outbox = server_outbox(s->server);

    routes_sweep(s->core.routes, loop_mono_ms(s->loop));
    for (size_t at = 0; at < s->closing.n; at += sizeof(uint64_t)) {
        uint64_t conn_id;
        memcpy(&conn_id, s->closing.p + at, sizeof conn_id);
        outbox->close(outbox->ctx, conn_id);
    }
    buf_free(&s->closing);
}

static void on_closed(void *ctx, const struct peer *peer) { routes_conn_closed(((struct namesrv_server *)ctx)->core.routes, peer->conn_id); }

/* ---- files ---- */
static enum mq_err save_kv(void *ctx, struct slice json, struct fault *why)
{
    return text_file_replace(((const struct namesrv_server *)ctx)->config.kv_config_path, json, why);
}

static enum mq_err save_config(void *ctx, const struct namesrv_config *config, struct fault *why)
{
    struct buf text = {0};
    (void)ctx;
    namesrv_config_file(config, &text);
    enum mq_err err = text.failed ? fault_set(why, MQ_ENOMEM, 0, "save the configuration") : text_file_replace(config->config_store_path, buf_view(&text), why);
    buf_free(&text);
    return err;
}

static void config_changed(void *ctx)
{
    struct namesrv_server *s = ctx;
    s->budget.limit = budget_limit(s->config.memory_limit);
    log_set_level((enum log_level)s->config.log_level);
}

/* MQ_ENOTFOUND: absent or blank. */
static enum mq_err load_kv_from(struct namesrv_server *s, const char *path, struct fault *why)
{
    struct buf text = {0};
    enum mq_err err = text_file_read(path, &text, why);
    if (err == MQ_OK && slice_trim(buf_view(&text)).n == 0)
        err = MQ_ENOTFOUND;
    if (err == MQ_OK && kv_config_load(s->core.kv, buf_view(&text), why) != MQ_OK) {
        char inner[200];
        memcpy(inner, why->what, sizeof inner);
        err = fault_set(why, MQ_ECORRUPT, 0, "KV configuration %s: %s", path, inner);
    }
    buf_free(&text);
    return err;
}

/* The file, or its backup when the file is absent or damaged. A damaged file without a good backup stops the start: the first
 * change would write over what a person may still repair. */
static enum mq_err load_kv(struct namesrv_server *s, struct fault *why)
{
    struct buf bak = {0};
    struct fault second;
    enum mq_err err = load_kv_from(s, s->config.kv_config_path, why);

    if (err == MQ_OK || err == MQ_EIO)
        return err;
    buf_printf(&bak, "%s.bak", s->config.kv_config_path);
    buf_u8(&bak, 0);
    if (!bak.failed && load_kv_from(s, (const char *)bak.p, &second) == MQ_OK) {
        log_warn("namesrv", "KV configuration taken from its backup file=%s why=%s", (const char *)bak.p, mq_err_words(err));
        err = MQ_OK;
    }
    buf_free(&bak);
    return err == MQ_ENOTFOUND ? MQ_OK : err;
}

/* ---- start and stop ---- */
static enum mq_err listen_on(struct namesrv_server *s, struct fault *why)
{
    struct server_config cfg = {.bind_addr = s->config.bind_address, .ports = {(uint16_t)s->config.listen_port}, .n_ports = 1,
                                .backlog = s->config.backlog, .idle_ms = (int64_t)s->config.idle_seconds * 1000,
                                .budget = &s->budget, .max_connections = (unsigned)s->config.max_connections};
    struct server_events events = {.ctx = s, .closed = on_closed};
    struct request_table table = {.n = 0};

    broker_requests(&s->core, &table);
    route_requests(&s->core, &table);
    kv_requests(&s->core, &table);
    config_requests(&s->core, &table);
    enum mq_err err = server_new(s->loop, &cfg, &events, &s->server, why);
    if (err == MQ_OK && server_route(s->server, table.rows, table.n) != MQ_OK)
        err = fault_set(why, MQ_ENOMEM, 0, "request table");
    return err;
}

enum mq_err namesrv_open(struct loop *l, struct namesrv_config *cfg, struct namesrv_server **out, struct fault *why)
{
    struct namesrv_server *s = mem_zalloc(sizeof *s);
    if (s == NULL)
        return fault_set(why, MQ_ENOMEM, 0, "name server");
    s->loop = l;
    s->config = *cfg; /* given back when something fails */
    s->budget.limit = budget_limit(cfg->memory_limit);
    log_info("namesrv", "memory limit bytes=%llu from=%s", (unsigned long long)s->budget.limit, cfg->memory_limit ? "memoryLimit" : "machine");
    loop_timer_init(&s->sweep, l, on_sweep, s);
    s->core.config = &s->config;
    s->core.shell = (struct namesrv_shell){.ctx = s, .mono_ms = mono_ms, .save_config = save_config, .config_changed = config_changed};
    s->core.routes = routes_new(&(struct routes_config){.ctx = s, .order_conf = order_conf, .event = broker_event, .budget = &s->budget});
    s->core.kv = kv_config_new(save_kv, s);

    enum mq_err err = s->core.routes && s->core.kv ? MQ_OK : fault_set(why, MQ_ENOMEM, 0, "name server");
    if (err == MQ_OK)
        err = load_kv(s, why);
    if (err == MQ_OK)
        err = listen_on(s, why);
    if (err == MQ_OK && !loop_timer_start(&s->sweep, ROUTES_SWEEP_FIRST_MS, ROUTES_SWEEP_MS))
        err = fault_set(why, MQ_ENOMEM, 0, "timer");
    if (err != MQ_OK) {
        s->config = (struct namesrv_config){0};
        namesrv_close(s);
        return err;
    }
    *cfg = (struct namesrv_config){0};
    *out = s;
    return MQ_OK;
}

uint16_t namesrv_port(const struct namesrv_server *s) { return server_port(s->server, 0); }

void namesrv_close(struct namesrv_server *s)
{
    if (s == NULL)
        return;
    loop_timer_stop(&s->sweep);
    server_free(s->server);
    kv_config_free(s->core.kv);
    routes_free(s->core.routes);
    namesrv_config_free(&s->config);
    buf_free(&s->closing);
    mem_free(s);
}
