/* caller.c - connections that we open, one per address.
 *
 * A link is an address; its connection comes with the first call and goes when it breaks. Calls made while it connects wait in the
 * connection's output. Numeric addresses connect at once; names are resolved on a worker thread first, and the calls wait in the link.
 *   I1  every accepted call ends exactly once, at its deadline at the latest, and never inside caller_call().  (test: unit/remoting)
 * Callbacks may call again: lists of calls that fail are taken off before the first of them is told. */
#include "common/remoting/caller.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/loop/worker.h"
#include "common/protocol/codes.h"
#include "common/remoting/endpoint.h"

enum { CONNECT_MS = 3000, HOST_MAX = 256 };

struct waiting { /* a call for a link that has no connection yet, or that failed before it had one */
    struct list node;
    struct arena arena;
    struct command cmd; /* of one that still may be sent */
    struct loop_timer due;
    enum mq_err err;    /* of one that failed already */
    char addr[HOST_MAX + 8];
    caller_fn *fn;      /* NULL: one-way */
    void *arg;
};
struct link {
    struct hash_node node; /* key = addr */
    struct caller *caller;
    struct conn *conn;     /* NULL: none */
    struct list waiting;   /* of struct waiting, while resolving */
    struct loop_timer connect_timer;
    bool resolving;
    char addr[];
};
struct resolve {
    struct work work;
    struct caller *caller; /* NULL: the caller is gone, drop the result */
    struct resolve *next;
    char addr[HOST_MAX + 8], host[HOST_MAX], port[8];
    struct sockaddr_storage sa;
    socklen_t n;
    int failed;
};
struct caller {
    struct endpoint ep;
    int64_t connect_ms;
    struct hashmap links;
    struct list late;            /* of struct waiting: to be failed at the end of this turn */
    struct loop_timer late_timer;
    struct worker_pool *resolver;
    bool ending;
    void (*closed)(void *arg, const char *addr);
    void *closed_arg;
};

static void waiting_free(struct waiting *w)
{
    list_remove(&w->node);
    loop_timer_stop(&w->due);
    arena_fini(&w->arena);
    mem_free(w);
}

static void fail_one(struct waiting *w, enum mq_err err)
{
    struct fault why;
    fault_set(&why, err, 0, "%s %s", err == MQ_ELIMIT ? "too much waits to be sent to" : "connect to", w->addr);
    caller_fn *fn = w->fn;
    void *arg = w->arg;
    waiting_free(w);
    if (fn != NULL)
        fn(arg, err, NULL, &why);
}

/* err MQ_OK: each fails with its own. */
static void fail_waiting(struct list *all, enum mq_err err)
{
    struct list now;
    list_init(&now);
    list_splice(&now, all);
    while (!list_empty(&now)) {
        struct waiting *w = CONTAINER_OF(now.next, struct waiting, node);
        fail_one(w, err != MQ_OK ? err : w->err);
    }
}

static void on_late(void *arg)
{
    struct caller *c = arg;
    fail_waiting(&c->late, MQ_OK);
}

static void on_waiting_due(void *arg) { fail_one(arg, MQ_ETIMEOUT); }

static void on_connect_timer(void *arg)
{
    struct link *l = arg;
    if (l->conn != NULL && l->conn->state == CONN_CONNECTING) {
        l->conn->sys = ETIMEDOUT;
        conn_close(l->conn, MQ_EIO, NULL);
    }
}

static void on_gone(void *ctx, struct conn *conn, bool was_open)
{
    struct caller *c = ctx;
    struct link *l = conn->link;
    if (l == NULL)
        return;
    l->conn = NULL;
    loop_timer_stop(&l->connect_timer);
    if (was_open && c->closed != NULL)
        c->closed(c->closed_arg, l->addr);
}

enum mq_err caller_new(struct loop *l, const struct caller_config *cfg, struct caller **out, struct fault *why)
{
    struct caller *c = mem_zalloc(sizeof *c);
    if (c == NULL)
        return fault_set(why, MQ_ENOMEM, 0, "caller");
    enum mq_err err = endpoint_init(&c->ep, l, "caller");
    if (err != MQ_OK) {
        mem_free(c);
        return fault_set(why, err, 0, "caller");
    }
    list_init(&c->late);
    loop_timer_init(&c->late_timer, l, on_late, c);
    c->connect_ms = CONNECT_MS;
    if (cfg != NULL) {
        c->connect_ms = cfg->connect_ms ? cfg->connect_ms : c->connect_ms;
        c->ep.out_max = cfg->out_max ? cfg->out_max : c->ep.out_max;
        c->ep.idle_ms = cfg->idle_ms ? cfg->idle_ms : c->ep.idle_ms;
        c->ep.frame_max = cfg->frame_max ? cfg->frame_max : c->ep.frame_max;
    }
    c->ep.gone = on_gone;
    c->ep.gone_ctx = c;
    *out = c;
    return MQ_OK;
}

enum mq_err caller_route(struct caller *c, const struct request_route *routes, size_t n) { return endpoint_route(&c->ep, routes, n); }

static struct link *link_of(struct caller *c, const char *addr, bool make)
{
    size_t n = strlen(addr) + 1;
    struct hash_node *it = hashmap_get(&c->links, slice_make(addr, n - 1));
    if (it != NULL || !make)
        return it ? CONTAINER_OF(it, struct link, node) : NULL;
    struct link *l = mem_zalloc(sizeof *l + n);
    if (l == NULL)
        return NULL;
    memcpy(l->addr, addr, n);
    l->caller = c;
    list_init(&l->waiting);
    loop_timer_init(&l->connect_timer, c->ep.loop, on_connect_timer, l);
    if (!hashmap_add(&c->links, &l->node, slice_make(l->addr, n - 1))) {
        mem_free(l);
        return NULL;
    }
    return l;
}

/* "host:port" or "[v6]:port" */
static bool split(const char *addr, char host[HOST_MAX], char port[8])
{
    const char *colon = strrchr(addr, ':');
    size_t n = colon ? (size_t)(colon - addr) : 0, skip = n > 1 && addr[0] == '[' && addr[n - 1] == ']';
    int32_t number;
    if (n == 0 || n >= HOST_MAX || strlen(colon + 1) >= 8 || !slice_i32(slice_str(colon + 1), &number) || number < 1 || number > 65535)
        return false;
    memcpy(host, addr + skip, n - 2 * skip);
    host[n - 2 * skip] = '\0';
    strcpy(port, colon + 1);
    return true;
}

static int look_up(const char *host, const char *port, int flags, struct sockaddr_storage *sa, socklen_t *n)
{
    struct addrinfo want = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICSERV}, *found = NULL;
    int failed = getaddrinfo(host, port, &want, &found);
    if (failed == 0) {
        memcpy(sa, found->ai_addr, found->ai_addrlen);
        *n = found->ai_addrlen;
        freeaddrinfo(found);
    }
    return failed;
}

static enum mq_err connect_to(struct link *l, const struct sockaddr_storage *sa, socklen_t n)
{
    struct caller *c = l->caller;
    int fd = socket(sa->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    if (fd < 0)
        return MQ_EIO;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(fd, (const struct sockaddr *)sa, n) != 0 && errno != EINPROGRESS) {
        close(fd);
        return MQ_EIO;
    }
    struct peer peer = {0};
    peer_from_sockaddr(&peer, sa);
    l->conn = conn_new(&c->ep, fd, &peer, true);
    if (l->conn == NULL)
        return MQ_ENOMEM;
    l->conn->link = l;
    loop_timer_start(&l->connect_timer, c->connect_ms, 0);
    return MQ_OK;
}

static void on_resolved(struct work *w);
static void run_resolve(struct work *w)
{
    struct resolve *r = CONTAINER_OF(w, struct resolve, work);
    r->failed = look_up(r->host, r->port, 0, &r->sa, &r->n);
}

static enum mq_err begin(struct link *l)
{
    struct sockaddr_storage sa;
    socklen_t n;
    char host[HOST_MAX], port[8];
    if (!split(l->addr, host, port))
        return MQ_EINVAL;
    if (look_up(host, port, AI_NUMERICHOST, &sa, &n) == 0)
        return connect_to(l, &sa, n);
    struct caller *c = l->caller;
    if (c->resolver == NULL && worker_pool_new(c->ep.loop, "resolver", 1, &c->resolver, NULL) != MQ_OK)
        return MQ_ENOMEM;
    struct resolve *r = mem_zalloc(sizeof *r);
    if (r == NULL)
        return MQ_ENOMEM;
    r->work.run = run_resolve;
    r->work.done = on_resolved;
    r->caller = c;
    snprintf(r->addr, sizeof r->addr, "%s", l->addr);
    snprintf(r->host, sizeof r->host, "%s", host);
    snprintf(r->port, sizeof r->port, "%s", port);
    l->resolving = true;
    worker_submit(c->resolver, &r->work);
    return MQ_OK;
}

static void on_resolved(struct work *w)
{
    struct resolve *r = CONTAINER_OF(w, struct resolve, work);
    struct link *l = link_of(r->caller, r->addr, false);
    if (l != NULL) {
        l->resolving = false;
        enum mq_err err = list_empty(&l->waiting) ? MQ_OK : r->failed ? MQ_EIO : connect_to(l, &r->sa, r->n);
        while (err == MQ_OK && !list_empty(&l->waiting)) {
            struct waiting *v = CONTAINER_OF(l->waiting.next, struct waiting, node);
            int64_t left = v->due.node.due - loop_mono_ms(r->caller->ep.loop);
            err = v->fn == NULL ? conn_oneway(l->conn, &v->cmd) : conn_call(l->conn, &v->cmd, left, v->fn, NULL, v->arg);
            if (err == MQ_OK)
                waiting_free(v);
        }
        fail_waiting(&l->waiting, err);
    }
    mem_free(r);
}

static struct waiting *waiting_new(struct link *l, caller_fn *fn, void *arg)
{
    struct waiting *w = mem_zalloc(sizeof *w);
    if (w == NULL)
        return NULL;
    list_init(&w->node);
    loop_timer_init(&w->due, l->caller->ep.loop, on_waiting_due, w);
    snprintf(w->addr, sizeof w->addr, "%s", l->addr);
    w->fn = fn;
    w->arg = arg;
    return w;
}

/* Until the name is resolved: a copy of the command. */
static enum mq_err wait_with(struct link *l, const struct command *cmd, int64_t timeout_ms, caller_fn *fn, void *arg)
{
    struct waiting *w = waiting_new(l, fn, arg);
    if (w == NULL)
        return MQ_ENOMEM;
    struct buf frame = {0};
    command_encode(cmd, &frame);
    void *copy = frame.failed ? NULL : arena_dup(&w->arena, frame.p, frame.n);
    size_t n = frame.n;
    buf_free(&frame);
    if (copy == NULL || command_decode(slice_make((uint8_t *)copy + 4, n - 4), &w->arena, &w->cmd, NULL) != MQ_OK ||
        !loop_timer_start(&w->due, timeout_ms, 0)) {
        waiting_free(w);
        return MQ_ENOMEM;
    }
    list_push_back(&l->waiting, &w->node);
    return MQ_OK;
}

/* It failed already, and is told when the caller's call is over. */
static enum mq_err fail_late(struct link *l, enum mq_err err, caller_fn *fn, void *arg)
{
    struct caller *c = l->caller;
    if (fn == NULL)
        return err;
    struct waiting *w = loop_timer_start(&c->late_timer, 0, 0) ? waiting_new(l, fn, arg) : NULL;
    if (w == NULL)
        return MQ_ENOMEM;
    w->err = err;
    list_push_back(&c->late, &w->node);
    return MQ_OK;
}

static enum mq_err request(struct caller *c, const char *addr, const struct command *cmd, int64_t timeout_ms, caller_fn *fn, void *arg)
{
    char host[HOST_MAX], port[8];
    loop_assert_owner(c->ep.loop);
    if (c->ending)
        return MQ_ECLOSED;
    if (!split(addr, host, port)) /* before a link is made: wrong addresses must not pile up */
        return MQ_EINVAL;
    struct link *l = link_of(c, addr, true);
    if (l == NULL)
        return MQ_ENOMEM;
    enum mq_err err = l->conn != NULL || l->resolving ? MQ_OK : begin(l);
    if (err == MQ_OK && l->resolving)
        return wait_with(l, cmd, timeout_ms, fn, arg);
    if (err == MQ_OK)
        err = fn == NULL ? conn_oneway(l->conn, cmd) : conn_call(l->conn, cmd, timeout_ms, fn, NULL, arg);
    return err == MQ_OK || err == MQ_ENOMEM || err == MQ_EINVAL ? err : fail_late(l, err, fn, arg);
}

enum mq_err caller_call(struct caller *c, const char *addr, const struct command *cmd, int64_t timeout_ms, caller_fn *fn, void *arg)
{
    return request(c, addr, cmd, timeout_ms, fn, arg);
}

enum mq_err caller_oneway(struct caller *c, const char *addr, const struct command *cmd)
{
    struct command oneway = *cmd;
    oneway.flag |= COMMAND_ONEWAY;
    return request(c, addr, &oneway, c->connect_ms, NULL, NULL);
}

void caller_close(struct caller *c, const char *addr)
{
    struct link *l = link_of(c, addr, false);
    if (l == NULL)
        return;
    fail_waiting(&l->waiting, MQ_ECLOSED);
    if (l->conn != NULL)
        conn_close(l->conn, MQ_ECLOSED, NULL);
}

void caller_on_close(struct caller *c, void (*fn)(void *arg, const char *addr), void *arg)
{
    c->closed = fn;
    c->closed_arg = arg;
}

const struct outbox *caller_outbox(struct caller *c) { return &c->ep.outbox; }

bool caller_flush(struct caller *c)
{
    bool all = true;
    LIST_EACH(it, &c->ep.conns)
    {
        struct conn *conn = CONTAINER_OF(it, struct conn, node);
        all = (conn->state == CONN_CONNECTING ? conn->out.n == 0 : conn_flush(conn)) && all;
    }
    return all;
}

void caller_free(struct caller *c)
{
    if (c == NULL)
        return;
    c->ending = true;
    worker_pool_free(c->resolver);
    endpoint_fini(&c->ep);
    loop_timer_stop(&c->late_timer);
    fail_waiting(&c->late, MQ_ECLOSED);
    struct hash_node *next;
    for (struct hash_node *it = hashmap_first(&c->links); it != NULL; it = next) {
        struct link *l = CONTAINER_OF(it, struct link, node);
        next = hashmap_next(&c->links, it);
        fail_waiting(&l->waiting, MQ_ECLOSED);
        loop_timer_stop(&l->connect_timer);
        hashmap_remove(&c->links, it);
        mem_free(l);
    }
    hashmap_fini(&c->links);
    mem_free(c);
}
