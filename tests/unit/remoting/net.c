/* net.c - see net.h. */
#include "net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"

struct net net;

static void on_line(void *ctx, enum log_level level, const char *area, const char *text)
{
    (void)ctx, (void)area;
    if (level >= LOG_WARN && net.n_lines < 16)
        snprintf(net.lines[net.n_lines++], sizeof *net.lines, "%s", text);
}

void net_start(const struct server_config *cfg, const struct server_events *events)
{
    struct server_config c = cfg ? *cfg : (struct server_config){0};
    struct fault why;
    c.bind_addr = "127.0.0.1";
    c.n_ports = 1;
    log_set_sink(on_line, NULL);
    if (net.loop == NULL)
        cr_assert(loop_new(&net.loop, &why) == MQ_OK, "%s", why.what);
    cr_assert(server_new(net.loop, &c, events, &net.server, &why) == MQ_OK, "%s", why.what);
    net.port = server_port(net.server, 0);
    cr_assert(net.port != 0);
}

void net_stop(void)
{
    server_free(net.server);
    loop_free(net.loop);
    log_set_sink(NULL, NULL);
    net.server = NULL;
    net.loop = NULL;
}

bool net_logged(const char *part)
{
    int n = 0;
    for (int i = 0; i < net.n_lines; i++)
        n += strstr(net.lines[i], part) != NULL;
    return n == 1;
}

/* ---- running ---- */
struct until {
    net_cond_fn *cond;
    void *arg;
    bool met;
    int64_t end_ms;
};

static void look(void *arg)
{
    struct until *u = arg;
    u->met = u->met || u->cond(u->arg);
    if (u->met || clock_mono_ms() >= u->end_ms)
        loop_stop(net.loop);
}

bool net_until(net_cond_fn *cond, void *arg, int ms)
{
    struct until u = {.cond = cond, .arg = arg, .end_ms = clock_mono_ms() + ms};
    struct loop_timer tick;
    struct loop_hook hook = {.fn = look, .arg = &u};
    loop_timer_init(&tick, net.loop, look, &u);
    cr_assert(loop_timer_start(&tick, 1, 1));
    loop_hook_add(net.loop, TURN_REPLY, &hook);
    loop_run(net.loop);
    loop_hook_remove(&hook);
    loop_timer_stop(&tick);
    return u.met;
}

static bool never(void *arg)
{
    (void)arg;
    return false;
}

void net_run(int ms) { net_until(never, NULL, ms); }

/* ---- peers ---- */
struct peer_end peer_connect(uint16_t port)
{
    struct peer_end p = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    cr_assert(p.fd >= 0 && connect(p.fd, (struct sockaddr *)&to, sizeof to) == 0, "connect: %s", strerror(errno));
    return p;
}

void peer_send(struct peer_end *p, struct slice bytes)
{
    int64_t end = clock_mono_ms() + 20000;
    while (bytes.n > 0) {
        ssize_t n = send(p->fd, bytes.p, bytes.n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) {
            bytes = slice_from(bytes, (size_t)n);
            continue;
        }
        if (n < 0 && errno != EAGAIN)
            return; /* the other side closed: the test will see it */
        cr_assert(clock_mono_ms() < end, "the server does not read");
        net_run(2);
    }
}

bool peer_poll(struct peer_end *p)
{
    while (!p->closed) {
        uint8_t *at = buf_room(&p->in, 65536);
        ssize_t n = recv(p->fd, at, 65536, MSG_DONTWAIT);
        if (n > 0)
            p->in.n += (size_t)n;
        else if (n == 0 || errno != EAGAIN)
            p->closed = true;
        else
            break;
    }
    return true;
}

static bool frame_at(const struct peer_end *p, size_t i, struct slice *out)
{
    size_t at = 0;
    while (p->in.n - at >= 4) {
        const uint8_t *b = p->in.p + at;
        size_t n = (size_t)b[0] << 24 | (size_t)b[1] << 16 | (size_t)b[2] << 8 | b[3];
        if (p->in.n - at - 4 < n)
            break;
        *out = slice_make(b + 4, n);
        if (i-- == 0)
            return true;
        at += 4 + n;
    }
    return false;
}

bool peer_frames(struct peer_end *p, size_t n)
{
    struct slice s;
    peer_poll(p);
    return n == 0 || frame_at(p, n - 1, &s);
}

struct slice peer_frame(const struct peer_end *p, size_t i)
{
    struct slice s = {0};
    cr_assert(frame_at(p, i, &s), "there is no frame %zu", i);
    return s;
}

struct wanted {
    struct peer_end *p;
    size_t n;
};
static bool frames_there(void *arg)
{
    struct wanted *w = arg;
    return peer_frames(w->p, w->n);
}
static bool closed_there(void *arg)
{
    struct peer_end *p = arg;
    peer_poll(p);
    return p->closed;
}

bool peer_wait_frames(struct peer_end *p, size_t n)
{
    struct wanted w = {p, n};
    return net_until(frames_there, &w, 5000);
}

bool peer_wait_closed(struct peer_end *p) { return net_until(closed_there, p, 5000); }

void peer_end(struct peer_end *p)
{
    close(p->fd);
    buf_free(&p->in);
}

/* ---- frames ---- */
void frame_json(struct buf *out, const char *header, const char *body)
{
    buf_u32(out, (uint32_t)(4 + strlen(header) + strlen(body)));
    buf_u32(out, (uint32_t)strlen(header));
    buf_str(out, header);
    buf_str(out, body);
}

void frame_request(struct buf *out, int code, int opaque, int flag, const char *body)
{
    char header[200];
    snprintf(header, sizeof header, "{\"code\":%d,\"flag\":%d,\"language\":\"JAVA\",\"opaque\":%d,\"serializeTypeCurrentRPC\":\"JSON\",\"version\":409}", code,
             flag, opaque);
    frame_json(out, header, body);
}

void frame_binary(struct buf *out, int code, int opaque, int flag, const char *body)
{
    enum { HEADER = 2 + 1 + 2 + 4 + 4 + 4 + 4 };
    buf_u32(out, (uint32_t)(4 + HEADER + strlen(body)));
    buf_u32(out, 1u << 24 | HEADER);
    buf_u16(out, (uint16_t)code);
    buf_u8(out, 0);
    buf_u16(out, 409);
    buf_u32(out, (uint32_t)opaque);
    buf_u32(out, (uint32_t)flag);
    buf_u32(out, 0);
    buf_u32(out, 0);
    buf_str(out, body);
}

bool frame_has(struct slice frame, const char *text) { return memmem(frame.p, frame.n, text, strlen(text)) != NULL; }

int32_t header_number(struct slice frame, const char *name)
{
    char key[64], digits[16];
    snprintf(key, sizeof key, "\"%s\":", name);
    const uint8_t *at = memmem(frame.p, frame.n, key, strlen(key));
    if (at == NULL)
        return INT32_MIN;
    at += strlen(key);
    size_t left = (size_t)(frame.p + frame.n - at);
    return (int32_t)strtol(slice_copy(slice_make(at, left), digits, sizeof digits), NULL, 10);
}
