/* server.c - listening sockets in front of an endpoint.
 * Accepting pauses when descriptors, memory or the number of connections run out, and resumes when one is freed or after a moment: clients
 * that are connected go on.   (test: unit/remoting/server) */
#include "common/remoting/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <jansson.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/remoting/endpoint.h"

enum { ACCEPT_AGAIN_MS = 200, ACCEPTS_PER_TURN = 64, BACKLOG = 1024, CONNECTIONS_MAX = 60000 };

struct listener {
    struct server *server;
    struct event *event;
    int fd;
    uint16_t port;
};
struct server {
    struct endpoint ep;
    struct listener listeners[SERVER_PORTS_MAX];
    unsigned n_listeners, max_connections;
    bool paused, stopped;
    struct loop_timer again;
    int64_t pause_logged_ms;
};

static void pause_accepting(struct server *s, const char *why)
{
    if (s->paused)
        return;
    s->paused = true;
    if (log_ok_now(&s->pause_logged_ms, 10000))
        log_warn(s->ep.area, "accepting pauses reason=%s connections=%llu", why, (unsigned long long)s->ep.stats.connections);
    for (unsigned i = 0; i < s->n_listeners; i++)
        event_del(s->listeners[i].event);
    loop_timer_start(&s->again, ACCEPT_AGAIN_MS, 0);
}

static void accept_again(void *arg)
{
    struct server *s = arg;
    if (!s->paused || s->stopped)
        return;
    s->paused = false;
    for (unsigned i = 0; i < s->n_listeners; i++)
        event_add(s->listeners[i].event, NULL);
}

static void on_accept(evutil_socket_t fd, short what, void *arg)
{
    struct listener *l = arg;
    struct server *s = l->server;
    (void)what;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        if (budget_level(s->ep.budget) >= BUDGET_NO_GUESTS) {
            char words[BUDGET_WORDS];
            pause_accepting(s, budget_words(s->ep.budget, words));
            return;
        }
        if (s->ep.stats.connections >= s->max_connections) {
            pause_accepting(s, "the limit of connections is reached");
            return;
        }
        struct sockaddr_storage sa;
        socklen_t n = sizeof sa;
        int got = accept4((int)fd, (struct sockaddr *)&sa, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (got < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
                pause_accepting(s, strerror(errno));
            else if (errno == EINTR || errno == ECONNABORTED)
                continue;
            return;
        }
        int on = 1;
        setsockopt(got, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct peer peer = {0};
        peer_from_sockaddr(&peer, &sa);
        s->ep.stats.accepted++;
        if (conn_new(&s->ep, got, &peer, false) == NULL)
            pause_accepting(s, "out of memory");
    }
}

static enum mq_err listen_on(struct server *s, const struct server_config *cfg, uint16_t port, struct fault *why)
{
    struct sockaddr_storage sa = {0};
    struct sockaddr_in *in = (struct sockaddr_in *)&sa;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&sa;
    socklen_t n;
    if (inet_pton(AF_INET, cfg->bind_addr, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        in->sin_port = htons(port);
        n = sizeof *in;
    } else if (inet_pton(AF_INET6, cfg->bind_addr, &in6->sin6_addr) == 1) {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(port);
        n = sizeof *in6;
    } else {
        return fault_set(why, MQ_EINVAL, 0, "%s is not an address to listen on", cfg->bind_addr);
    }
    int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fault_set(why, MQ_EIO, errno, "socket for %s:%u", cfg->bind_addr, port);
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    socklen_t bound = sizeof sa;
    if (bind(fd, (struct sockaddr *)&sa, n) != 0 || listen(fd, cfg->backlog ? cfg->backlog : BACKLOG) != 0 ||
        getsockname(fd, (struct sockaddr *)&sa, &bound) != 0) {
        enum mq_err err = fault_set(why, MQ_EIO, errno, "listen on %s:%u", cfg->bind_addr, port);
        close(fd);
        return err;
    }
    struct listener *l = &s->listeners[s->n_listeners];
    *l = (struct listener){.server = s, .fd = fd, .port = ntohs(sa.ss_family == AF_INET ? in->sin_port : in6->sin6_port)};
    l->event = event_new(loop_base(s->ep.loop), fd, EV_READ | EV_PERSIST, on_accept, l);
    if (l->event == NULL || event_add(l->event, NULL) != 0) {
        if (l->event != NULL)
            event_free(l->event);
        close(fd);
        return fault_set(why, MQ_ENOMEM, 0, "listen on %s:%u", cfg->bind_addr, port);
    }
    s->n_listeners++;
    return MQ_OK;
}

enum mq_err server_new(struct loop *l, const struct server_config *cfg, const struct server_events *events, struct server **out, struct fault *why)
{
    struct server *s = mem_zalloc(sizeof *s);
    if (s == NULL)
        return fault_set(why, MQ_ENOMEM, 0, "server");
    enum mq_err err = endpoint_init(&s->ep, l, "server");
    if (err != MQ_OK) {
        fault_set(why, err, 0, "server");
        goto undo_alloc;
    }
    loop_timer_init(&s->again, l, accept_again, s);
    s->ep.closes_slow = true;
    s->ep.frame_max = cfg->frame_max ? cfg->frame_max : s->ep.frame_max;
    s->ep.out_max = cfg->out_max ? cfg->out_max : s->ep.out_max;
    s->ep.idle_ms = cfg->idle_ms ? cfg->idle_ms : s->ep.idle_ms;
    s->ep.frames_per_turn = cfg->frames_per_turn ? cfg->frames_per_turn : s->ep.frames_per_turn;
    s->ep.budget = cfg->budget;
    s->max_connections = cfg->max_connections ? cfg->max_connections : CONNECTIONS_MAX;
    if (events != NULL)
        s->ep.events = *events;
    for (unsigned i = 0; i < cfg->n_ports && i < SERVER_PORTS_MAX && err == MQ_OK; i++)
        err = listen_on(s, cfg, cfg->ports[i], why);
    if (err != MQ_OK)
        goto undo_all;
    *out = s;
    return MQ_OK;

undo_all:
    server_free(s);
    return err;
undo_alloc:
    mem_free(s);
    return err;
}

enum mq_err server_route(struct server *s, const struct request_route *routes, size_t n) { return endpoint_route(&s->ep, routes, n); }
uint16_t server_port(const struct server *s, unsigned i) { return i < s->n_listeners ? s->listeners[i].port : 0; }
const struct outbox *server_outbox(struct server *s) { return &s->ep.outbox; }
bool server_resume(struct server *s) { return endpoint_resume(&s->ep); }

void server_each_waiting(const struct server *s, void (*fn)(void *arg, uint64_t conn_id), void *arg)
{
    LIST_EACH (it, &s->ep.waiting)
        fn(arg, CONTAINER_OF(it, const struct conn, wait)->peer.conn_id);
}

int64_t server_waits_since(const struct server *s)
{
    return list_empty(&s->ep.waiting) ? INT64_MAX : CONTAINER_OF(s->ep.waiting.next, const struct conn, wait)->wait_ms;
}

void server_stop_accepting(struct server *s)
{
    if (s->stopped)
        return;
    s->stopped = true;
    loop_timer_stop(&s->again);
    for (unsigned i = 0; i < s->n_listeners; i++) {
        event_free(s->listeners[i].event);
        close(s->listeners[i].fd);
    }
}

void server_get_stats(const struct server *s, struct server_stats *out)
{
    *out = s->ep.stats;
    out->reply_backlog_bytes = 0;
    for (const struct list *it = s->ep.conns.next; it != &s->ep.conns; it = it->next) {
        const struct conn *c = CONTAINER_OF(it, const struct conn, node);
        out->reply_backlog_bytes += (int64_t)(c->out.n - c->out_at);
    }
}

void server_free(struct server *s)
{
    if (s == NULL)
        return;
    server_stop_accepting(s);
    endpoint_fini(&s->ep);
    mem_free(s);
}

void server_count_memory(void)
{
    event_set_mem_functions(mem_alloc, mem_realloc, mem_free);
    json_set_alloc_funcs(mem_alloc, mem_free);
}

void server_raise_file_limit(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
        r.rlim_cur = r.rlim_max;
        setrlimit(RLIMIT_NOFILE, &r);
    }
}
