/* conn.c - one connection: bytes in, frames, bytes out.
 *
 *   CONNECTING --writable without error--> OPEN --eof and all frames processed, error, bad frame, bounds--> CLOSED
 *
 * Input is read in large pieces into one buffer of the endpoint; only what is left of an incomplete frame moves to the connection,
 * so an idle connection owns no buffer. Output of a turn is collected and written once, at TURN_REPLY.
 *   I1  a conn is freed at the end of a turn only: whoever holds one inside a turn may look at its state.
 *   I2  all frames that arrived before the end of the stream are processed before the closing is told.  (test: unit/remoting)
 *   I3  in.n <= frame_max + one read; out.n - out_at <= out_max; requests are processed only below HIGH_WATER of it.  (test: integration/bad_peers)
 *   I4  sending never closes inside the call: the core may be half-way through a list of those whom it tells. The connection is
 *       doomed, silent from then on, and closed in the next turn.  (test: unit/remoting)
 * What the budget of frames leaves over waits for the next turn, too: it is asked for at the end of this one, because libevent runs an
 * event that is made active inside a callback before it returns, and a peer that sends on and on would keep timers, posts and answers waiting.
 * A failed write does not close: the peer's last words may still wait in the socket. They are read first.
 * When memory is short (budget.h) the marks of this file move: HIGH_WATER, the size of a read, and at last who holds most is closed.
 * Two things stop the reading. `paused`: the peer does not read what we answer. `wait`: a processor said HANDLED_WAIT, so the request
 * and all behind it stay in `in`, undecoded, and TCP tells the peer to slow down; what the connection has sent keeps its order, and
 * whether it was closed meanwhile is seen when it is read again.   (test: unit/remoting/wait) */
#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/protocol/rd.h"
#include "common/remoting/endpoint.h"
#include "common/remoting/endpoint_internal.h"

enum { HIGH_WATER = 4 << 20, HIGH_WATER_TIGHT = 256 << 10, SPARE_MAX = 4 << 20, TLS_HANDSHAKE = 0x16 };
/* So many connections wait: others are read in small pieces, because each piece may have to be kept. */
enum { MANY_WAIT = 64, READ_SMALL = 16 << 10 };

void peer_from_sockaddr(struct peer *p, const void *sockaddr)
{
    const struct sockaddr *sa = sockaddr;
    char text[INET6_ADDRSTRLEN] = "?";
    if (sa->sa_family == AF_INET) {
        const struct sockaddr_in *in = sockaddr;
        memcpy(p->ip, &in->sin_addr, 4);
        p->port = ntohs(in->sin_port);
        inet_ntop(AF_INET, &in->sin_addr, text, sizeof text);
        snprintf(p->addr, sizeof p->addr, "%s:%u", text, p->port);
    } else if (sa->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = sockaddr;
        p->port = ntohs(in6->sin6_port);
        if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
            memcpy(p->ip, in6->sin6_addr.s6_addr + 12, 4);
            inet_ntop(AF_INET, p->ip, text, sizeof text);
            snprintf(p->addr, sizeof p->addr, "%s:%u", text, p->port);
        } else {
            p->v6 = true;
            memcpy(p->ip, &in6->sin6_addr, 16);
            inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof text);
            snprintf(p->addr, sizeof p->addr, "[%s]:%u", text, p->port);
        }
    }
}

/* Output that waits, from which on no more requests of its reader are processed. */
static size_t high_water(const struct endpoint *ep)
{
    switch (budget_level(ep->budget)) {
    case BUDGET_EASY:
    case BUDGET_GIVE_BACK:
    case BUDGET_NO_GROWTH: return HIGH_WATER;
    case BUDGET_NO_GUESTS: return HIGH_WATER_TIGHT;
    case BUDGET_NO_WORK: break;
    }
    return 0;
}

static void on_readable(evutil_socket_t fd, short what, void *arg);
static void on_writable(evutil_socket_t fd, short what, void *arg);

struct conn *conn_new(struct endpoint *ep, int fd, const struct peer *peer, bool connecting)
{
    struct conn *c = mem_zalloc(sizeof *c);
    if (c == NULL)
        goto undo_fd;
    struct event_base *base = loop_base(ep->loop);
    c->ep = ep;
    c->fd = fd;
    c->state = connecting ? CONN_CONNECTING : CONN_OPEN;
    c->peer = *peer;
    c->peer.conn_id = ++ep->next_id;
    c->seen_ms = loop_mono_ms(ep->loop);
    list_init(&c->dirty);
    list_init(&c->later);
    list_init(&c->wait);
    list_init(&c->calls);
    c->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, c);
    c->writable = event_new(base, fd, EV_WRITE, on_writable, c);
    if (c->readable == NULL || c->writable == NULL || event_add(connecting ? c->writable : c->readable, NULL) != 0)
        goto undo_events;
    if (!hashmap_add(&ep->by_id, &c->by_id, slice_make(&c->peer.conn_id, sizeof c->peer.conn_id)))
        goto undo_events;
    list_push_back(&ep->conns, &c->node);
    ep->stats.connections++;
    endpoint_watch_idle(ep);
    if (!connecting && ep->events.opened != NULL)
        ep->events.opened(ep->events.ctx, &c->peer);
    return c;

undo_events:
    if (c->readable != NULL)
        event_free(c->readable);
    if (c->writable != NULL)
        event_free(c->writable);
    mem_free(c);
undo_fd:
    close(fd);
    return NULL;
}

/* True: it waited. */
static bool stop_waiting(struct conn *c)
{
    if (list_empty(&c->wait))
        return false;
    list_remove(&c->wait);
    c->ep->stats.waiting--;
    return true;
}

void conn_close(struct conn *c, enum mq_err err, const char *why)
{
    if (c->state == CONN_CLOSED)
        return;
    if (why != NULL)
        log_warn(c->ep->area, "connection closed peer=%s reason=%s", c->peer.addr, why);
    bool was_open = c->state == CONN_OPEN;
    c->state = CONN_CLOSED;
    event_del(c->readable);
    event_del(c->writable);
    list_remove(&c->dirty);
    list_remove(&c->later);
    stop_waiting(c);
    list_remove(&c->node);
    list_push_back(&c->ep->dead, &c->node);
    hashmap_remove(&c->ep->by_id, &c->by_id);
    if (c->ep->last == c)
        c->ep->last = NULL;
    c->ep->stats.connections--;
    struct fault fault;
    fault_set(&fault, err, c->sys, "connection to %s", c->peer.addr);
    if (c->ep->gone != NULL)
        c->ep->gone(c->ep->gone_ctx, c, was_open);
    endpoint_fail_calls(c->ep, &c->calls, err, &fault);
    if (was_open && c->ep->events.closed != NULL)
        c->ep->events.closed(c->ep->events.ctx, &c->peer);
}

void conn_free_dead(struct conn *c)
{
    assert(c->state == CONN_CLOSED);
    event_free(c->readable);
    event_free(c->writable);
    close(c->fd);
    buf_free(&c->in);
    buf_free(&c->out);
    mem_free(c);
}

/* ---- output ---- */

struct buf *conn_out(struct conn *c)
{
    if (c->state == CONN_CLOSED || c->doom != MQ_OK)
        return NULL;
    if (c->out.p == NULL && c->ep->n_spare > 0) {
        c->out = c->ep->spare[--c->ep->n_spare];
        c->ep->spare_bytes -= c->out.cap;
        buf_clear(&c->out);
    }
    return &c->out;
}

static void doom(struct conn *c, enum mq_err err, const char *why)
{
    c->doom = err;
    c->doom_why = why;
    event_del(c->readable);
    event_del(c->writable);
    list_remove(&c->dirty);
    stop_waiting(c);
    buf_free(&c->out);
    c->out_at = 0;
    endpoint_later(c);
}

size_t conn_holds(const struct conn *c) { return c->doom != MQ_OK || c->ep->served == c ? 0 : c->in.cap + c->out.cap; }

void conn_shed(struct conn *c)
{
    c->ep->stats.refused++;
    doom(c, MQ_ELIMIT, NULL); /* endpoint_relieve() logs one line for all */
    buf_free(&c->in);
}

static void doom_slow(struct conn *c)
{
    c->ep->stats.refused++;
    doom(c, MQ_ELIMIT, "it reads too slowly: more output waits than the limit");
}

static void mark_dirty(struct conn *c)
{
    if (c->state == CONN_OPEN && list_empty(&c->dirty) && !event_pending(c->writable, EV_WRITE, NULL))
        list_push_back(&c->ep->dirty, &c->dirty);
}

void conn_sent(struct conn *c)
{
    if (c->out.failed)
        doom(c, MQ_ENOMEM, "out of memory for its output");
    else if (c->out.n - c->out_at > c->ep->out_max)
        doom_slow(c);
    else
        mark_dirty(c);
}

enum mq_err conn_queue(struct conn *c, const struct command *cmd)
{
    struct buf *out = conn_out(c);
    if (out == NULL)
        return MQ_ECLOSED;
    size_t before = out->n;
    command_encode(cmd, out);
    if (!out->failed && out->n - c->out_at <= c->ep->out_max) {
        mark_dirty(c);
        return MQ_OK;
    }
    enum mq_err err = out->failed ? MQ_ENOMEM : MQ_ELIMIT;
    out->n = before;
    out->failed = false;
    if (err == MQ_ELIMIT && c->ep->closes_slow)
        doom_slow(c);
    return err;
}

static void out_done(struct conn *c)
{
    struct endpoint *ep = c->ep;
    c->out_at = 0;
    c->out.n = 0;
    if (ep->n_spare < sizeof ep->spare / sizeof *ep->spare && budget_level(ep->budget) == BUDGET_EASY &&
        c->out.cap <= SPARE_MAX - ep->spare_bytes && c->out.p != NULL) {
        ep->spare[ep->n_spare++] = c->out;
        ep->spare_bytes += c->out.cap;
        c->out = (struct buf){0};
    } else {
        buf_free(&c->out);
    }
}

bool conn_flush(struct conn *c)
{
    if (c->state != CONN_OPEN || c->doom != MQ_OK)
        return c->state != CONN_CONNECTING;
    while (c->out_at < c->out.n && !c->mute) {
        ssize_t n = send(c->fd, c->out.p + c->out_at, c->out.n - c->out_at, MSG_NOSIGNAL);
        if (n >= 0) {
            c->out_at += (size_t)n;
            c->ep->stats.bytes_out += (uint64_t)n;
            c->seen_ms = loop_mono_ms(c->ep->loop);
        } else if (errno == EAGAIN) {
            break;
        } else if (errno != EINTR) {
            c->mute = true;
        }
    }
    size_t left = c->mute ? 0 : c->out.n - c->out_at;
    if (left == 0) {
        out_done(c);
    } else {
        if (c->out_at > left) { /* keep the waiting part small: move it to the front now and then */
            memmove(c->out.p, c->out.p + c->out_at, left);
            c->out.n = left;
            c->out_at = 0;
        }
        event_add(c->writable, NULL);
    }
    size_t high = high_water(c->ep);
    if (!c->paused && left > high && c->link == NULL) { /* who calls goes on reading: two that wait for each other never end */
        c->paused = true;
        event_del(c->readable);
    } else if (c->paused && left <= high / 4) {
        c->paused = false;
        if (list_empty(&c->wait)) {
            event_add(c->readable, NULL);
            if (c->in.n > 0)
                endpoint_later(c);
        }
    }
    return left == 0;
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = arg;
    (void)what;
    loop_assert_owner(c->ep->loop);
    if (c->state == CONN_CONNECTING) {
        int failed = 0;
        socklen_t n = sizeof failed;
        if (getsockopt((int)fd, SOL_SOCKET, SO_ERROR, &failed, &n) != 0 || failed != 0) {
            c->sys = failed;
            conn_close(c, MQ_EIO, NULL);
            return;
        }
        c->state = CONN_OPEN;
        c->seen_ms = loop_mono_ms(c->ep->loop);
        event_add(c->readable, NULL);
        if (c->ep->events.opened != NULL)
            c->ep->events.opened(c->ep->events.ctx, &c->peer);
    }
    conn_flush(c);
}

/* ---- input ---- */

/* Processes complete frames of [p, p + n) within the budget, and none for a peer that has enough to read or must wait. Returns the bytes
 * used; *more: a complete frame was left over. */
static size_t take_frames(struct conn *c, const uint8_t *p, size_t n, bool *more)
{
    size_t used = 0;
    unsigned budget = c->ep->frames_per_turn;
    *more = false;
    while (c->state == CONN_OPEN && c->doom == MQ_OK && n - used >= 4) {
        struct rd r = rd_over(p + used, 4);
        uint32_t len = rd_u32(&r);
        if (len < FRAME_MIN || len > c->ep->frame_max) {
            char why[80];
            if (p[used] == TLS_HANDSHAKE)
                snprintf(why, sizeof why, "it began a TLS handshake, and TLS is not built yet");
            else
                snprintf(why, sizeof why, "malformed frame: length %" PRIu32, len);
            endpoint_malformed(c, why);
            return used;
        }
        if (n - used - 4 < len)
            break;
        if (budget-- == 0 || (c->link == NULL && c->out.n - c->out_at > high_water(c->ep))) {
            *more = true;
            break;
        }
        if (!endpoint_frame(c, slice_make(p + used + 4, len))) {
            *more = true;
            break;
        }
        used += 4 + (size_t)len;
    }
    return used;
}

/* Keeps what is left behind the frames that were taken. */
static void keep(struct conn *c, const uint8_t *p, size_t n)
{
    buf_put(&c->in, p, n);
    c->part_ms = loop_mono_ms(c->ep->loop);
    if (c->in.failed)
        conn_close(c, MQ_ENOMEM, "out of memory for its input");
}

static bool take_from_in(struct conn *c)
{
    bool more;
    size_t used = take_frames(c, c->in.p, c->in.n, &more);
    if (used == c->in.n) {
        buf_free(&c->in); /* an idle connection owns no buffer */
    } else if (used > 0) {
        memmove(c->in.p, c->in.p + used, c->in.n - used);
        c->in.n -= used;
        c->part_ms = loop_mono_ms(c->ep->loop);
    }
    return more;
}

static ssize_t fill(struct conn *c, void *to, size_t room)
{
    ssize_t n;
    do
        n = recv(c->fd, to, room, 0);
    while (n < 0 && errno == EINTR);
    if (n > 0) {
        c->seen_ms = loop_mono_ms(c->ep->loop);
        c->ep->stats.bytes_in += (uint64_t)n;
    } else if (n == 0 || errno != EAGAIN) {
        c->eof = true;
    }
    return n;
}

static size_t read_max(const struct endpoint *ep)
{
    return ep->stats.waiting < MANY_WAIT && budget_level(ep->budget) < BUDGET_NO_GUESTS ? READ_MAX : READ_SMALL;
}

/* The rest of a frame whose beginning is in `in`: read straight behind it, no more than doubles what is there. */
static void read_on(struct conn *c)
{
    size_t least = read_max(c->ep) / 4, room = c->in.n < least ? least : c->in.n;
    uint8_t *at = buf_room(&c->in, room);
    if (at == NULL) {
        conn_close(c, MQ_ENOMEM, "out of memory for its input");
        return;
    }
    ssize_t n = fill(c, at, c->in.cap - c->in.n);
    if (n > 0)
        c->in.n += (size_t)n;
}

static bool serve_bytes(struct conn *c)
{
    bool more = false;
    if (c->in.n > 0) {
        more = take_from_in(c);
        c->waited_ms = 0;
        if (!more && !c->eof && c->state == CONN_OPEN && c->in.n > 0) {
            read_on(c);
            if (c->state == CONN_OPEN && c->in.n > 0)
                more = take_from_in(c);
        }
    } else if (!c->eof) {
        ssize_t n = fill(c, c->ep->scratch, read_max(c->ep));
        if (n > 0) {
            size_t used = take_frames(c, c->ep->scratch, (size_t)n, &more);
            if (c->state == CONN_OPEN && c->doom == MQ_OK && used < (size_t)n)
                keep(c, c->ep->scratch + used, (size_t)n - used);
        }
    }
    return more;
}

static void serve(struct conn *c)
{
    struct endpoint *ep = c->ep;
    list_remove(&c->later);
    ep->served = c;
    bool more = serve_bytes(c);
    ep->served = NULL;
    if (budget_level(ep->budget) >= BUDGET_NO_GUESTS)
        endpoint_relieve(ep);
    if (c->state != CONN_OPEN || c->doom != MQ_OK || !list_empty(&c->wait))
        return;
    if (more && event_pending(c->writable, EV_WRITE, NULL))
        conn_flush(c); /* its socket is full, and the mark may have moved: it pauses here or never */
    if (more && c->paused)
        return;
    if (more) {
        endpoint_later(c); /* the rest in the next turn: one peer can't starve the others */
    } else if (c->eof) {
        conn_flush(c); /* a peer may have ended its sending only: what is answered already goes out as far as it fits */
        conn_close(c, MQ_ECLOSED, NULL);
    }
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = arg;
    (void)fd, (void)what;
    loop_assert_owner(c->ep->loop);
    serve(c);
}

void conn_later(struct conn *c)
{
    list_remove(&c->later);
    if (c->doom != MQ_OK)
        conn_close(c, c->doom, c->doom_why);
    else if (!c->paused && list_empty(&c->wait))
        serve(c);
}

void conn_wait(struct conn *c)
{
    c->wait_ms = loop_mono_ms(c->ep->loop);
    event_del(c->readable);
    list_push_back(&c->ep->waiting, &c->wait);
    c->ep->stats.waiting++;
    c->ep->stats.waits++;
}

bool conn_go_on(struct conn *c)
{
    struct endpoint *ep = c->ep;
    int64_t since = c->wait_ms, now = loop_mono_ms(ep->loop);
    uint64_t before = ep->stats.frames_in;
    stop_waiting(c);
    c->seen_ms = c->part_ms = now;
    if (!c->paused) { /* else it has enough to read: conn_flush() goes on with it */
        c->waited_ms = now > since ? now - since : 1;
        serve(c);
        c->waited_ms = 0;
    }
    if (c->state != CONN_OPEN || c->doom != MQ_OK)
        return true;
    if (list_empty(&c->wait)) {
        if (!c->paused)
            event_add(c->readable, NULL);
    } else if (ep->stats.frames_in == before) {
        list_remove(&c->wait);
        list_push_front(&ep->waiting, &c->wait);
        c->wait_ms = since;
        ep->stats.waits--;
        return false;
    }
    if (ep->stats.frames_in != before && ep->events.resumed != NULL)
        ep->events.resumed(ep->events.ctx, &c->peer, now - since);
    return true;
}
