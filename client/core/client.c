/* client.c - the instance: its thread, its loop, calls that wait.
 *
 * Each producer, consumer and admin has one of these of its own: nothing is shared between two handles of a program, so that ending
 * one cannot disturb another, and a lock is needed only where a user's thread reads a route.
 *   I1  the loop and all connections are touched by the network thread only; others post.
 *   I2  client_free(): `last` ends what waits; then whatever was posted before still runs, and finds the client ending. */
#include "client/core/client.h"

#include <arpa/inet.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/core/client_internal.h"
#include "client/core/error.h"
#include "client/core/uniq_id.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/protocol/codes.h"

/* ---- the log: a library says nothing unless asked ---- */

static struct {
    cmq_log_fn *fn;
    void *arg;
} user_log;
static pthread_once_t quiet_once = PTHREAD_ONCE_INIT;
static atomic_bool log_chosen;

static void log_forward(void *ctx, enum log_level level, const char *area, const char *text)
{
    (void)ctx;
    if (user_log.fn != NULL)
        user_log.fn(user_log.arg, (int)level, area, text);
}

void cmq_log_set(cmq_log_fn *fn, void *arg, int lowest_level)
{
    atomic_store(&log_chosen, true);
    user_log.fn = fn;
    user_log.arg = arg;
    log_set_sink(log_forward, NULL);
    log_set_level(fn == NULL || lowest_level > LOG_ERROR ? LOG_OFF : lowest_level < LOG_DEBUG ? LOG_DEBUG : (enum log_level)lowest_level);
}

static void be_quiet(void)
{
    if (!atomic_load(&log_chosen))
        log_set_level(LOG_OFF);
}

/* ---- making and ending ---- */

static enum cmq_code take_names(struct client *c, struct cmq_error *err)
{
    struct slice rest = slice_str(c->cfg.namesrv_addr), one;
    while (slice_cut(&rest, ';', &one)) {
        one = slice_trim(one);
        if (one.n == 0)
            continue;
        int32_t port;
        const uint8_t *colon = memrchr(one.p, ':', one.n);
        if (colon == NULL || colon == one.p || one.n > 260 || !slice_i32(slice_from(one, (size_t)(colon + 1 - one.p)), &port) || port < 1 || port > 65535)
            return error_set(err, CMQ_ERR_CONFIG, "namesrvAddr: %.*s is not host:port", (int)(one.n < 80 ? one.n : 80), (const char *)one.p);
        if (c->n_names == NAMES_MAX)
            return error_set(err, CMQ_ERR_CONFIG, "namesrvAddr: more than %d name servers", NAMES_MAX);
        c->names[c->n_names] = slice_dup(one);
        if (c->names[c->n_names] == NULL)
            return error_set(err, CMQ_ERR_NO_MEMORY, "client: out of memory");
        c->n_names++;
    }
    if (c->n_names == 0)
        return error_set(err, CMQ_ERR_CONFIG, "namesrvAddr is empty: say host:port of one name server or more, ; between them");
    c->name_at = (size_t)clock_mono_us() % c->n_names; /* spread over the name servers */
    return CMQ_OK;
}

static void make_id(struct client *c)
{
    char ip[64];
    local_ip(ip);
    if (c->cfg.client_ip[0])
        snprintf(ip, sizeof ip, "%s", c->cfg.client_ip);
    char instance[160];
    snprintf(instance, sizeof instance, "%s", c->cfg.instance_name);
    bool shared = c->role.consumes && c->cfg.model == MODEL_BROADCASTING; /* its offsets' file is found by its id */
    static _Atomic uint32_t made;
    if (strcmp(instance, "DEFAULT") == 0 && !shared)
        snprintf(instance, sizeof instance, "%d#%lld%03u", (int)getpid(), (long long)clock_mono_us(), atomic_fetch_add(&made, 1) % 1000);
    snprintf(c->id, sizeof c->id, "%s@%s%s%s", ip, instance, c->cfg.unit_name[0] ? "@" : "", c->cfg.unit_name);
}

static void client_destroy(struct client *c)
{
    for (size_t i = 0; i < c->n_names; i++)
        mem_free(c->names[i]);
    client_config_fini(&c->cfg);
    pthread_mutex_destroy(&c->lock);
    mem_free(c);
}

enum cmq_code client_new(const struct cmq_config *cfg, const struct client_role *role, struct client **out, struct cmq_error *err)
{
    struct fault why = {0};
    pthread_once(&quiet_once, be_quiet);
    struct client *c = mem_zalloc(sizeof *c);
    if (c == NULL)
        return error_set(err, CMQ_ERR_NO_MEMORY, "client: out of memory");
    pthread_mutex_init(&c->lock, NULL);
    list_init(&c->asks);
    c->role = *role;
    enum cmq_code code = client_config_copy(cfg, &c->cfg, err);
    if (code == CMQ_OK)
        code = take_names(c, err);
    if (code != CMQ_OK)
        goto undo_alloc;
    make_id(c);
    if (loop_new(&c->loop, &why) != MQ_OK) {
        code = error_of_fault(err, &why);
        goto undo_alloc;
    }
    struct caller_config cc = {.out_max = (size_t)c->cfg.async_max_bytes * 2 + ((size_t)64 << 20)};
    if (caller_new(c->loop, &cc, &c->caller, &why) != MQ_OK) {
        code = error_of_fault(err, &why);
        goto undo_loop;
    }
    route_cache_init(c);
    heartbeat_init(c);
    *out = c;
    return CMQ_OK;

undo_loop:
    loop_free(c->loop);
undo_alloc:
    client_destroy(c);
    return code;
}

struct last {
    struct loop_msg msg;
    struct client *client;
    void (*fn)(void *arg);
    void *arg;
};

static void end_parts(struct client *c)
{
    c->ended = true;
    route_cache_stop(c);
    loop_timer_stop(&c->poll_timer);
    loop_timer_stop(&c->beat_timer);
    loop_timer_stop(&c->soon_timer);
    caller_free(c->caller); /* whatever waits for an answer ends here */
}

static void *network_thread(void *arg)
{
    struct client *c = arg;
    pthread_setname_np(pthread_self(), "cmq-network");
    loop_run(c->loop);
    end_parts(c);
    loop_drain_posts(c->loop);
    return NULL;
}

enum cmq_code client_start(struct client *c, struct cmq_error *err)
{
    sigset_t all, before; /* signals are the program's business */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&c->thread, NULL, network_thread, c);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        error_set(err, CMQ_ERR_SYSTEM, "client: a thread cannot be started");
        if (err != NULL)
            err->sys = failed;
        return CMQ_ERR_SYSTEM;
    }
    c->started = true;
    return CMQ_OK;
}

static void run_last(struct loop_msg *m)
{
    struct last *l = CONTAINER_OF(m, struct last, msg);
    l->client->leaving = true;
    if (l->fn != NULL)
        l->fn(l->arg);
    loop_stop(l->client->loop);
}

void client_stop(struct client *c, void (*fn)(void *arg), void *arg)
{
    if (c->started) {
        struct last l = {.msg.fn = run_last, .client = c, .fn = fn, .arg = arg};
        loop_post(c->loop, &l.msg);
        pthread_join(c->thread, NULL);
        loop_own(c->loop); /* nobody else is left */
    } else if (!c->ended) {
        if (fn != NULL)
            fn(arg);
        end_parts(c);
    }
    c->started = false;
}

void client_free(struct client *c, void (*fn)(void *arg), void *arg)
{
    if (c == NULL)
        return;
    client_stop(c, fn, arg);
    route_cache_fini(c);
    loop_free(c->loop);
    client_destroy(c);
}

const struct cmq_config *client_cfg(const struct client *c) { return &c->cfg; }
const char *client_id(const struct client *c) { return c->id; }
struct loop *client_loop(struct client *c) { return c->loop; }
struct caller *client_caller(struct client *c) { return c->caller; }
bool client_is_network_thread(const struct client *c) { return c->started && pthread_equal(c->thread, pthread_self()); }
size_t client_n_names(const struct client *c) { return c->n_names; }
const char *client_name(const struct client *c, size_t i) { return c->names[i]; }

/* ---- waiting for the network thread ---- */

struct run {
    struct loop_msg msg;
    void (*fn)(void *arg);
    void *arg;
    sem_t done;
};

static void sem_wait_all(sem_t *s)
{
    while (sem_wait(s) != 0)
        ;
}

static void run_posted(struct loop_msg *m)
{
    struct run *r = CONTAINER_OF(m, struct run, msg);
    r->fn(r->arg);
    sem_post(&r->done);
}

void client_run(struct client *c, void (*fn)(void *arg), void *arg)
{
    if (!c->started) {
        fn(arg);
        return;
    }
    struct run r = {.msg.fn = run_posted, .fn = fn, .arg = arg};
    sem_init(&r.done, 0, 0);
    loop_post(c->loop, &r.msg);
    sem_wait_all(&r.done);
    sem_destroy(&r.done);
}

struct command client_command(const struct client *c, int32_t code, const struct ext_field *ext, uint32_t n_ext)
{
    return (struct command){.code = code,
                            .version = MQ_VERSION_OURS,
                            .language = LANGUAGE_CPP,
                            .serialize = (enum serialize)c->cfg.serialize,
                            .ext = ext,
                            .n_ext = n_ext};
}

/* ---- calls that wait ---- */

struct wait {
    struct client *client;
    const char *addr, *doing;
    const struct command *cmd;
    int64_t timeout_ms;
    bool any_code;
    struct answer *out;
    struct cmq_error err;
    enum cmq_code code;
    sem_t done;
    struct loop_msg msg;
};

void answer_free(struct answer *a) { arena_fini(&a->arena); }

static bool answer_keep(struct answer *a, const struct command *cmd)
{
    struct buf frame = {0};
    *a = (struct answer){.arena.limit = (size_t)FRAME_MAX * 3};
    command_encode(cmd, &frame);
    void *copy = frame.failed ? NULL : arena_dup(&a->arena, frame.p, frame.n);
    size_t n = frame.n;
    buf_free(&frame);
    if (copy != NULL && command_decode(slice_make((uint8_t *)copy + 4, n - 4), &a->arena, &a->cmd, NULL) == MQ_OK)
        return true;
    answer_free(a);
    return false;
}

static void wait_answer(void *arg, const struct command *answer, const struct cmq_error *err)
{
    struct wait *w = arg;
    if (err != NULL) {
        w->err = *err;
        w->code = err->code;
    /* cppcheck-suppress nullPointer - without an error there is an answer */
    } else if (answer->code != RES_SUCCESS && !w->any_code) {
        w->code = error_of_answer(&w->err, answer, w->doing);
    } else {
        w->code = answer_keep(w->out, answer) ? CMQ_OK : error_set(&w->err, CMQ_ERR_NO_MEMORY, "%s: out of memory", w->doing);
    }
    sem_post(&w->done);
}

static void wait_called(void *arg, enum mq_err failed, const struct command *answer, const struct fault *why)
{
    struct wait *w = arg;
    struct cmq_error err;
    if (failed != MQ_OK)
        error_of_call(&err, failed, why, w->doing);
    wait_answer(arg, answer, failed != MQ_OK ? &err : NULL);
}

static void wait_begin(struct loop_msg *m)
{
    struct wait *w = CONTAINER_OF(m, struct wait, msg);
    struct client *c = w->client;
    if (c->ended || c->leaving) {
        struct cmq_error err;
        error_set(&err, CMQ_ERR_STATE, "%s: stopped", w->doing);
        wait_answer(w, NULL, &err);
        return;
    }
    if (w->addr == NULL) {
        client_ask_names(c, w->cmd, w->timeout_ms, wait_answer, w);
        return;
    }
    enum mq_err failed = caller_call(c->caller, w->addr, w->cmd, w->timeout_ms, wait_called, w);
    if (failed != MQ_OK)
        wait_called(w, failed, NULL, NULL);
}

static enum cmq_code wait_for(struct wait *w, struct cmq_error *err)
{
    w->msg.fn = wait_begin;
    sem_init(&w->done, 0, 0);
    loop_post(w->client->loop, &w->msg);
    sem_wait_all(&w->done);
    sem_destroy(&w->done);
    if (w->code != CMQ_OK && err != NULL)
        *err = w->err;
    return w->code;
}

enum cmq_code client_call_wait(struct client *c, const char *addr, const struct command *cmd, int64_t timeout_ms, const char *doing, struct answer *out,
                               struct cmq_error *err)
{
    struct wait w = {.client = c, .addr = addr, .doing = doing, .cmd = cmd, .timeout_ms = timeout_ms, .out = out};
    return wait_for(&w, err);
}

enum cmq_code client_call_any(struct client *c, const char *addr, const struct command *cmd, int64_t timeout_ms, const char *doing, struct answer *out,
                              struct cmq_error *err)
{
    struct wait w = {.client = c, .addr = addr, .doing = doing, .cmd = cmd, .timeout_ms = timeout_ms, .any_code = true, .out = out};
    return wait_for(&w, err);
}
