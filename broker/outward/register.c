/* register.c - one small state machine per name server.
 *
 *   idle --something to tell, or the period passed--> asking (322) or telling (103) --answer--> idle, or at once again
 *                                                                        `--no answer--> idle, retry soon, with everything
 *   I1  at most one request is out per name server: a Java name server handles requests in parallel, and an older registration
 *       must not overtake a newer one. What changes meanwhile is collected and goes out with the next.
 *   I2  `known` of a name server is the change count up to which it was told and answered SUCCESS.
 *   I3  after a failure or a closed connection the next message is a whole one: the name server may have been restarted with empty tables.
 * Apache sends whole registrations to all and waits up to 6 s for the slowest on the thread of whoever changed a topic; here a
 * change costs the body of the changed topics, and only who asked for it (registrar_is_current) waits. (test: unit/outward/register) */
#include "broker/outward/register.h"
#include <stdio.h>
#include <string.h>
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/protocol/codes.h"

enum {
    RETRY_SOON_MS = 1000, RETRY_LATER_MS = 5000, RETRIES_SOON = 30, /* a cluster that starts together must form quickly */
    NAMES_MAX = 64 * 1024, /* bytes of changed names; beyond it everything is sent */
    CURRENT_WITHIN_MS = 3000,
    PERIOD_MIN_MS = 10000, PERIOD_MAX_MS = 60000, /* Apache's bounds of registerNameServerPeriod */
    FIRST_PERIOD_MS = 10000,
    WARN_EVERY_MS = 60000
};

struct name_server {
    struct registrar *r;
    char *addr;
    bool out;              /* a request is out */
    bool full_due, ask_due; /* ask: forceRegister=false, its data version first */
    struct buf names;      /* changed topics, NUL-terminated */
    uint64_t telling, known; /* change counts */
    unsigned failures;     /* in a row */
    int64_t warned_ms;
    struct loop_timer retry;
};
struct waiter {
    struct list node;
    struct registrar *r;
    uint64_t wants;
    registrar_fn *fn;
    void *arg;
    struct loop_timer deadline;
};
struct registrar {
    struct registrar_setup s;
    uint64_t changes;
    struct loop_timer period;
    struct list waiters;
    bool started, stopping;
    registrar_fn *stopped;
    void *stopped_arg;
    struct loop_timer stop_deadline;
    unsigned farewells; /* unregister requests that are out */
    struct buf whole;   /* the body of a whole registration, while name servers ask for the same */
    struct data_version whole_version;
    int32_t whole_permission;
    size_t n;
    struct name_server servers[NAME_SERVERS_MAX];
};

static void tell(struct name_server *ns);

static bool host_and_port(struct slice addr)
{
    size_t at = addr.n;
    int32_t port;
    while (at > 0 && addr.p[at - 1] != ':')
        at--;
    return at > 1 && slice_i32(slice_from(addr, at), &port) && port > 0 && port < 65536;
}

static enum mq_err addresses_parse(struct registrar *r, const char *list, struct fault *why)
{
    struct slice rest = slice_str(list), piece;
    while (rest.p && slice_cut(&rest, ';', &piece)) {
        piece = slice_trim(piece);
        if (piece.n == 0)
            continue;
        if (!host_and_port(piece))
            return fault_set(why, MQ_EINVAL, 0, "namesrvAddr: %.*s is not host:port", SLICE_ARG(slice_head(piece, 80)));
        if (r->n == NAME_SERVERS_MAX)
            return fault_set(why, MQ_ELIMIT, 0, "namesrvAddr: more than %d name servers", NAME_SERVERS_MAX);
        char *addr = slice_dup(piece);
        if (addr == NULL)
            return fault_set(why, MQ_ENOMEM, 0, "name servers");
        r->servers[r->n++] = (struct name_server){.r = r, .addr = addr};
    }
    return MQ_OK;
}

static void on_retry(void *arg)
{
    struct name_server *ns = arg;
    if (!ns->out)
        tell(ns);
}

static void on_period(void *arg)
{
    struct registrar *r = arg;
    for (size_t i = 0; i < r->n; i++) {
        struct name_server *ns = &r->servers[i];
        if (r->s.config->force_register)
            ns->full_due = true;
        else
            ns->ask_due = true;
        tell(ns);
    }
}

static void on_stop_deadline(void *arg)
{
    struct registrar *r = arg;
    registrar_fn *fn = r->stopped;
    r->stopped = NULL;
    if (fn)
        fn(r->stopped_arg);
}

/* A name server that closed our connection was stopped, or threw us out of its tables: it hears everything again. */
static void on_closed(void *arg, const char *addr)
{
    struct registrar *r = arg;
    for (size_t i = 0; i < r->n && !r->stopping; i++) {
        struct name_server *ns = &r->servers[i];
        if (strcmp(ns->addr, addr) != 0)
            continue;
        ns->full_due = true;
        if (!ns->out && ns->failures == 0)
            loop_timer_start(&ns->retry, RETRY_SOON_MS, 0);
    }
}

enum mq_err registrar_new(const struct registrar_setup *setup, struct registrar **out, struct fault *why)
{
    struct registrar *r = mem_zalloc(sizeof *r);
    if (r == NULL)
        return fault_set(why, MQ_ENOMEM, 0, "name servers");
    r->s = *setup;
    list_init(&r->waiters);
    enum mq_err err = addresses_parse(r, setup->config->namesrv_addr, why);
    if (err != MQ_OK) {
        registrar_free(r);
        return err;
    }
    loop_timer_init(&r->period, r->s.loop, on_period, r);
    loop_timer_init(&r->stop_deadline, r->s.loop, on_stop_deadline, r);
    for (size_t i = 0; i < r->n; i++)
        loop_timer_init(&r->servers[i].retry, r->s.loop, on_retry, &r->servers[i]);
    caller_on_close(r->s.caller, on_closed, r);
    *out = r;
    return MQ_OK;
}

/* ---- who waits for the name servers ---- */
static bool all_know(const struct registrar *r, uint64_t change)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->servers[i].known < change && r->servers[i].failures == 0)
            return false;
    return true;
}

static void waiter_end(struct waiter *w, bool call)
{
    loop_timer_stop(&w->deadline);
    list_remove(&w->node);
    if (call)
        w->fn(w->arg);
    mem_free(w);
}

static void on_waiter_deadline(void *arg) { waiter_end(arg, true); }

static void waiters_look(struct registrar *r)
{
    for (bool again = true; again;) { /* a waiter's fn may end or add others */
        again = false;
        LIST_EACH (it, &r->waiters) {
            struct waiter *w = CONTAINER_OF(it, struct waiter, node);
            if (all_know(r, w->wants)) {
                waiter_end(w, true);
                again = true;
                break;
            }
        }
    }
}

bool registrar_is_current(struct registrar *r, registrar_fn *fn, void *arg)
{
    if (!r->started || r->stopping || all_know(r, r->changes))
        return true;
    struct waiter *w = mem_zalloc(sizeof *w);
    if (w == NULL)
        return true;
    *w = (struct waiter){.r = r, .wants = r->changes, .fn = fn, .arg = arg};
    loop_timer_init(&w->deadline, r->s.loop, on_waiter_deadline, w);
    if (!loop_timer_start(&w->deadline, CURRENT_WITHIN_MS, 0)) {
        mem_free(w);
        return true;
    }
    list_push_back(&r->waiters, &w->node);
    return false;
}

/* ---- answers ---- */
static void failed(struct name_server *ns, const char *what, const char *words)
{
    ns->failures++;
    ns->full_due = true;
    ns->names.n = 0;
    if (ns->failures == 1 || log_ok_now(&ns->warned_ms, WARN_EVERY_MS))
        log_warn("register", "%s failed namesrv=%s failures=%u why=%s", what, ns->addr, ns->failures, words);
    if (!ns->r->stopping)
        loop_timer_start(&ns->retry, ns->failures < RETRIES_SOON ? RETRY_SOON_MS : RETRY_LATER_MS, 0);
    waiters_look(ns->r);
}

/* Topics named in the name server's ORDER_TOPIC_CONFIG are order topics, others are not. Only the first name server that is up is
 * heard: two that differ would make topics change for ever. */
static void order_topics_take(struct name_server *ns, struct slice body)
{
    struct registrar *r = ns->r;
    for (const struct name_server *before = r->servers; before < ns; before++)
        if (before->failures == 0)
            return;
    json_t *root = json_parse(body, NULL);
    json_t *table = json_object_get(root, "table");
    if (json_is_object(table)) {
        struct topic_config *next;
        for (struct topic_config *t = topics_next(r->s.topics, NULL); t; t = next) {
            next = topics_next(r->s.topics, t);
            bool order = json_object_get(table, t->name) != NULL;
            if (order == t->order)
                continue;
            log_info("register", "order topic by the name server's word topic=%s order=%d", t->name, order);
            topics_put(r->s.topics, slice_str(t->name), t->read_queues, t->write_queues, t->perm, t->sys_flag, order, loop_now_ms(r->s.loop), NULL);
        }
    }
    json_decref(root);
}

static void on_told(void *arg, enum mq_err err, const struct command *answer, const struct fault *why)
{
    struct name_server *ns = arg;
    char words[300];
    ns->out = false;
    if (err != MQ_OK) {
        failed(ns, "registration", fault_text(why, words, sizeof words));
        return;
    }
    if (answer->code != RES_SUCCESS) {
        snprintf(words, sizeof words, "code %d %.*s", answer->code, SLICE_ARG(slice_head(answer->remark, 200)));
        failed(ns, "registration", words);
        return;
    }
    if (ns->failures || ns->known == 0)
        log_info("register", "registered namesrv=%s topics=%zu", ns->addr, topics_count(ns->r->s.topics));
    ns->failures = 0;
    ns->known = ns->telling;
    if (answer->body.n)
        order_topics_take(ns, answer->body);
    waiters_look(ns->r);
    tell(ns);
}

static void on_asked(void *arg, enum mq_err err, const struct command *answer, const struct fault *why)
{
    struct name_server *ns = arg;
    char words[300];
    ns->out = false;
    if (err != MQ_OK) {
        failed(ns, "version query", fault_text(why, words, sizeof words));
        return;
    }
    struct slice changed = {0};
    bool same = answer->code == RES_SUCCESS && command_ext(answer, "changed", &changed) && !slice_bool(changed);
    ns->full_due = ns->full_due || !same;
    tell(ns);
}

/* ---- requests ---- */
static struct command request_of(int32_t code, const struct register_header *h, struct slice body)
{
    return (struct command){.code = code, .version = MQ_VERSION_OURS, .language = LANGUAGE_OTHER, .serialize = SERIALIZE_JSON,
                            .ext = h->ext, .n_ext = h->n, .body = body};
}

/* The body of a whole registration is kept while it is the same for the next name server. */
static struct slice whole_body(struct registrar *r)
{
    const struct data_version *v = topics_version(r->s.topics);
    int32_t permission = r->s.config->broker_permission;
    if (r->whole.n == 0 || r->whole_permission != permission || r->whole_version.counter != v->counter ||
        r->whole_version.timestamp_ms != v->timestamp_ms) {
        buf_clear(&r->whole);
        register_body(r->s.topics, NULL, permission, r->s.config->compressed_register, &r->whole);
        r->whole_version = *v;
        r->whole_permission = permission;
        if (r->whole.failed)
            buf_clear(&r->whole);
    }
    return buf_view(&r->whole);
}

static void whole_body_drop(struct registrar *r)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->servers[i].full_due && r->servers[i].failures == 0)
            return;
    buf_free(&r->whole);
}

/* One request to one name server, which is `out` from then on. One that cannot even be made has failed. */
static void send_request(struct name_server *ns, const struct command *cmd, caller_fn *fn, const char *what)
{
    ns->out = true;
    enum mq_err err = caller_call(ns->r->s.caller, ns->addr, cmd, ns->r->s.config->register_timeout_ms, fn, ns);
    if (err == MQ_OK)
        return;
    ns->out = false;
    failed(ns, what, mq_err_words(err));
}

static void send_ask(struct name_server *ns)
{
    struct registrar *r = ns->r;
    struct register_header h;
    struct buf body = {0};
    struct jw w = jw_over(&body, false);
    data_version_write(&w, topics_version(r->s.topics));
    unregister_header(&h, &r->s.who);
    struct command cmd = request_of(REQ_QUERY_DATA_VERSION, &h, buf_view(&body));
    ns->ask_due = false;
    send_request(ns, &cmd, on_asked, "version query");
    buf_free(&body);
}

static void send_registration(struct name_server *ns, struct slice body)
{
    struct registrar *r = ns->r;
    struct register_header h;
    register_header(&h, &r->s.who, r->s.config->compressed_register, body);
    struct command cmd = request_of(REQ_REGISTER_BROKER, &h, body);
    ns->telling = r->changes;
    send_request(ns, &cmd, on_told, "registration");
}

/* Sends what this name server should hear next, unless something is out or it has to wait for its retry. */
static void tell(struct name_server *ns)
{
    struct registrar *r = ns->r;
    if (!r->started || r->stopping || ns->out)
        return;
    if (ns->full_due) {
        struct slice body = whole_body(r);
        ns->full_due = body.n == 0; /* out of memory: at the next occasion */
        ns->ask_due = false;
        ns->names.n = 0;
        if (body.n)
            send_registration(ns, body);
        whole_body_drop(r);
    } else if (ns->names.n) {
        struct buf body = {0};
        register_body(r->s.topics, &ns->names, r->s.config->broker_permission, r->s.config->compressed_register, &body);
        ns->names.n = 0;
        if (body.failed)
            ns->full_due = true;
        else
            send_registration(ns, buf_view(&body));
        buf_free(&body);
    } else if (ns->ask_due) {
        send_ask(ns);
    }
}

void registrar_start(struct registrar *r)
{
    r->started = true;
    r->changes++;
    for (size_t i = 0; i < r->n; i++) {
        r->servers[i].full_due = true;
        tell(&r->servers[i]);
    }
    int64_t period = r->s.config->register_period_ms;
    period = period < PERIOD_MIN_MS ? PERIOD_MIN_MS : period > PERIOD_MAX_MS ? PERIOD_MAX_MS : period;
    if (r->n)
        loop_timer_start(&r->period, FIRST_PERIOD_MS, period);
}

void registrar_topic_changed(struct registrar *r, struct slice name)
{
    r->changes++;
    for (size_t i = 0; i < r->n; i++) {
        struct name_server *ns = &r->servers[i];
        if (!ns->full_due) {
            buf_slice(&ns->names, name);
            buf_u8(&ns->names, 0);
        }
        if (ns->names.failed || ns->names.n > NAMES_MAX) {
            buf_clear(&ns->names);
            ns->full_due = true;
        }
        if (ns->failures == 0)
            tell(ns);
    }
}

void registrar_all_changed(struct registrar *r)
{
    r->changes++;
    for (size_t i = 0; i < r->n; i++) {
        r->servers[i].full_due = true;
        if (r->servers[i].failures == 0)
            tell(&r->servers[i]);
    }
}

size_t registrar_known_at(const struct registrar *r)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++)
        n += r->servers[i].known > 0 && r->servers[i].failures == 0;
    return n;
}

/* ---- the end ---- */
static void on_farewell(void *arg, enum mq_err err, const struct command *answer, const struct fault *why)
{
    struct name_server *ns = arg;
    struct registrar *r = ns->r;
    (void)answer;
    (void)why;
    if (err == MQ_OK)
        log_info("register", "unregistered namesrv=%s", ns->addr);
    if (--r->farewells == 0 && r->stopped)
        loop_timer_start(&r->stop_deadline, 0, 0);
}

void registrar_stop(struct registrar *r, int64_t timeout_ms, registrar_fn *fn, void *arg)
{
    struct register_header h;
    r->stopping = true;
    r->stopped = fn;
    r->stopped_arg = arg;
    loop_timer_stop(&r->period);
    while (!list_empty(&r->waiters))
        waiter_end(CONTAINER_OF(r->waiters.next, struct waiter, node), true);
    for (size_t i = 0; i < r->n; i++) {
        struct name_server *ns = &r->servers[i];
        loop_timer_stop(&ns->retry);
        if (!r->started || (ns->known == 0 && !ns->out))
            continue; /* it never heard of us */
        unregister_header(&h, &r->s.who);
        struct command cmd = request_of(REQ_UNREGISTER_BROKER, &h, (struct slice){0});
        r->farewells += caller_call(r->s.caller, ns->addr, &cmd, timeout_ms, on_farewell, ns) == MQ_OK;
    }
    loop_timer_start(&r->stop_deadline, r->farewells ? timeout_ms : 0, 0);
}

void registrar_free(struct registrar *r)
{
    if (r == NULL)
        return;
    while (!list_empty(&r->waiters))
        waiter_end(CONTAINER_OF(r->waiters.next, struct waiter, node), false);
    if (r->period.loop) {
        loop_timer_stop(&r->period);
        loop_timer_stop(&r->stop_deadline);
    }
    for (size_t i = 0; i < r->n; i++) {
        if (r->servers[i].retry.loop)
            loop_timer_stop(&r->servers[i].retry);
        buf_free(&r->servers[i].names);
        mem_free(r->servers[i].addr);
    }
    buf_free(&r->whole);
    mem_free(r);
}
