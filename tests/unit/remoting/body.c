/* body.c - large answers: byte for byte, in order with small ones, and what becomes of the part that the socket does not take. */
#include "net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/mem.h"

enum { FILL = 10, LATE = 11, FILL_SHORT = 12, FILL_RESET = 13, KIB = 1 << 10, MIB = 1 << 20 };
static int handled, closed;
static uint64_t fail_after;
static struct ticket late;
static struct peer_end *to_reset;

static uint8_t byte_at(int opaque, size_t i) { return (uint8_t)((size_t)opaque * 31 + i + i / 251); }

static void fill(struct buf *to, const struct request *rq)
{
    char digits[16];
    size_t n = strtoul(slice_copy(rq->cmd->body, digits, sizeof digits), NULL, 10);
    for (size_t i = 0; i < n; i++)
        buf_u8(to, byte_at(rq->ticket.opaque, i));
    handled++;
}
static enum handled answer(void *ctx, const struct request *rq, struct reply *out)
{
    (void)ctx;
    fill(&out->body, rq);
    return HANDLED_NOW;
}
static enum handled answer_late(void *ctx, const struct request *rq, struct reply *out)
{
    (void)ctx, (void)out;
    late = rq->ticket;
    return HANDLED_LATER;
}
/* From here on memory is short. */
static enum handled answer_short(void *ctx, const struct request *rq, struct reply *out)
{
    (void)ctx;
    fill(&out->body, rq);
    mem_fail_after(fail_after);
    return HANDLED_NOW;
}
/* The peer is gone before its answer. */
static enum handled answer_reset(void *ctx, const struct request *rq, struct reply *out)
{
    (void)ctx;
    fill(&out->body, rq);
    struct linger hard = {.l_onoff = 1};
    setsockopt(to_reset->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    peer_end(to_reset);
    return HANDLED_NOW;
}
static const struct request_route routes[] = {
    {FILL, answer, NULL}, {LATE, answer_late, NULL}, {FILL_SHORT, answer_short, NULL}, {FILL_RESET, answer_reset, NULL}};

static void on_closed(void *ctx, const struct peer *p)
{
    (void)ctx, (void)p;
    closed++;
}
static void start_with(const struct server_config *cfg)
{
    net_start(cfg, &(struct server_events){.closed = on_closed});
    cr_assert(server_route(net.server, routes, sizeof routes / sizeof *routes) == MQ_OK);
}
static struct server_stats stats(void)
{
    struct server_stats s;
    server_get_stats(net.server, &s);
    return s;
}
static void ask(struct buf *to, int code, int opaque, size_t n)
{
    char digits[16];
    snprintf(digits, sizeof digits, "%zu", n);
    frame_request(to, code, opaque, 0, digits);
}
static void send_one(struct peer_end *p, int code, int opaque, size_t n)
{
    struct buf f = {0};
    ask(&f, code, opaque, n);
    peer_send(p, buf_view(&f));
    buf_free(&f);
}
static bool is_whole(const struct peer_end *p, size_t nth, int opaque, size_t n)
{
    struct slice a = peer_frame(p, nth);
    if (a.n < n || header_number(slice_make(a.p, a.n - n), "opaque") != opaque)
        return false;
    const uint8_t *body = a.p + a.n - n;
    for (size_t i = 0; i < n; i++)
        if (body[i] != byte_at(opaque, i))
            return false;
    return n == 0 || body[-1] == '}';
}
static bool closed_once(void *arg)
{
    (void)arg;
    return closed > 0;
}
static bool handled_all(void *arg) { return handled >= *(int *)arg; }
static const size_t sizes[] = {0, 1, 8 * KIB - 1, 8 * KIB, 40 * KIB, 5, 200 * KIB, 64 * KIB, 3, 2 * MIB, 0};
enum { SIZES = sizeof sizes / sizeof *sizes };

Test(body, answers_asked_for_one_by_one_arrive_byte_for_byte)
{
    start_with(NULL);
    struct peer_end p = peer_connect(net.port);
    for (int i = 0; i < SIZES; i++) {
        send_one(&p, FILL, i, sizes[i]);
        cr_assert(peer_wait_frames(&p, (size_t)i + 1) && is_whole(&p, (size_t)i, i, sizes[i]), "answer %d", i);
    }
    cr_expect(stats().bytes_out == p.in.n && stats().reply_backlog_bytes == 0);
    peer_end(&p);
    net_stop();
}

Test(body, large_and_small_answers_to_requests_sent_together_keep_their_order)
{
    start_with(NULL);
    struct peer_end p = peer_connect(net.port);
    struct buf f = {0};
    for (int i = 0; i < 3 * SIZES; i++)
        ask(&f, FILL, i, sizes[i % SIZES]);
    ask(&f, FILL, 3 * SIZES, 40 * KIB); /* nothing behind it, but much in front */
    peer_send(&p, buf_view(&f));
    cr_assert(peer_wait_frames(&p, 3 * SIZES + 1));
    for (int i = 0; i < 3 * SIZES; i++)
        cr_assert(is_whole(&p, (size_t)i, i, sizes[i % SIZES]), "answer %d", i);
    cr_assert(is_whole(&p, 3 * SIZES, 3 * SIZES, 40 * KIB));
    buf_free(&f);
    peer_end(&p);
    net_stop();
}

Test(body, a_large_answer_to_a_oneway_is_not_written)
{
    start_with(NULL);
    struct peer_end p = peer_connect(net.port);
    struct buf f = {0};
    frame_request(&f, FILL, 1, 2, "65536");
    peer_send(&p, buf_view(&f));
    int one = 1;
    cr_assert(net_until(handled_all, &one, 5000));
    send_one(&p, FILL, 2, 10);
    cr_assert(peer_wait_frames(&p, 1) && is_whole(&p, 0, 2, 10));
    buf_free(&f);
    peer_end(&p);
    net_stop();
}

static bool late_is_there(void *arg)
{
    (void)arg;
    return late.conn_id != 0;
}

Test(body, a_large_late_answer_is_borrowed_and_arrives)
{
    start_with(NULL);
    const struct outbox *o = server_outbox(net.server);
    struct peer_end p = peer_connect(net.port);
    send_one(&p, LATE, 7, 0);
    cr_assert(net_until(late_is_there, NULL, 5000));
    struct reply r = {0};
    for (size_t i = 0; i < 300 * KIB; i++)
        buf_u8(&r.body, byte_at(7, i));
    o->finish(o->ctx, &late, &r);
    cr_expect(r.body.n == 300 * KIB && r.body.p[1] == byte_at(7, 1));
    reply_free(&r);
    cr_assert(peer_wait_frames(&p, 1) && is_whole(&p, 0, 7, 300 * KIB));
    peer_end(&p);
    net_stop();
}

/* ---- what the socket does not take ---- */
static struct peer_end connect_small(void)
{
    struct peer_end p = peer_connect(net.port);
    int small = 256 * KIB; /* fixed, so that the kernel takes less of it */
    setsockopt(p.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    net_run(5);
    return p;
}

Test(body, the_rest_waits_counts_and_goes_out_before_later_answers)
{
    enum { LARGE = 15 * MIB };
    start_with(NULL);
    struct peer_end p = connect_small();
    int one = 1;
    send_one(&p, FILL, 1, LARGE);
    cr_assert(net_until(handled_all, &one, 5000));
    net_run(5);
    int64_t waits = stats().reply_backlog_bytes;
    cr_expect(waits > 4 * MIB && waits < LARGE, "%lld", (long long)waits);
    cr_expect(waits + (int64_t)stats().bytes_out > LARGE);
    send_one(&p, FILL, 2, 40 * KIB);
    send_one(&p, FILL, 3, 3);
    net_run(20);
    cr_expect(handled == 1, "so much waits that it is not read");
    cr_assert(peer_wait_frames(&p, 3));
    cr_expect(is_whole(&p, 0, 1, LARGE) && is_whole(&p, 1, 2, 40 * KIB) && is_whole(&p, 2, 3, 3));
    cr_expect(stats().reply_backlog_bytes == 0 && stats().bytes_out == p.in.n);
    peer_end(&p);
    net_stop();
}

Test(body, below_the_mark_later_answers_queue_behind_the_rest)
{
    start_with(NULL);
    struct peer_end p = connect_small();
    int three = 3;
    send_one(&p, FILL, 1, 4 * MIB);
    net_run(5);
    cr_expect(stats().reply_backlog_bytes > 0);
    send_one(&p, FILL, 2, 40 * KIB);
    net_run(5);
    send_one(&p, FILL, 3, 3);
    cr_assert(net_until(handled_all, &three, 5000), "it is read on");
    cr_assert(peer_wait_frames(&p, 3));
    cr_expect(is_whole(&p, 0, 1, 4 * MIB) && is_whole(&p, 1, 2, 40 * KIB) && is_whole(&p, 2, 3, 3));
    peer_end(&p);
    net_stop();
}

Test(body, a_connection_may_close_while_the_rest_waits)
{
    start_with(NULL);
    struct peer_end p = connect_small();
    send_one(&p, FILL, 1, 8 * MIB);
    int one = 1;
    cr_assert(net_until(handled_all, &one, 5000));
    net_run(5);
    cr_expect(stats().reply_backlog_bytes > 0 && closed == 0);
    peer_end(&p);
    struct peer_end other = peer_connect(net.port);
    send_one(&other, FILL, 2, 40 * KIB);
    cr_assert(peer_wait_frames(&other, 1) && is_whole(&other, 0, 2, 40 * KIB));
    cr_assert(net_until(closed_once, NULL, 5000) && stats().connections == 1 && stats().reply_backlog_bytes == 0);
    peer_end(&other);
    net_stop();
}

Test(body, a_peer_that_is_gone_before_its_answer_closes_alone)
{
    start_with(NULL);
    struct peer_end p = peer_connect(net.port), other = peer_connect(net.port);
    to_reset = &p;
    send_one(&p, FILL_RESET, 1, 64 * KIB);
    cr_assert(net_until(closed_once, NULL, 5000));
    cr_expect(stats().bytes_out == 0 && stats().connections == 1 && stats().reply_backlog_bytes == 0);
    send_one(&other, FILL, 2, 40 * KIB);
    cr_assert(peer_wait_frames(&other, 1) && is_whole(&other, 0, 2, 40 * KIB));
    peer_end(&other);
    net_stop();
}

Test(body, a_body_beyond_the_bound_closes_and_one_within_it_arrives)
{
    start_with(&(struct server_config){.out_max = 64 * KIB});
    struct peer_end p = peer_connect(net.port);
    send_one(&p, FILL, 1, 40 * KIB);
    cr_assert(peer_wait_frames(&p, 1) && is_whole(&p, 0, 1, 40 * KIB));
    send_one(&p, FILL, 2, 64 * KIB);
    cr_assert(net_until(closed_once, NULL, 5000) && net_logged("reads too slowly") && stats().refused == 1);
    cr_expect(peer_wait_closed(&p) && stats().reply_backlog_bytes == 0);
    peer_end(&p);
    net_stop();
}

Test(body, without_memory_for_a_body_only_its_connection_is_closed)
{
    start_with(NULL);
    int n_closed = 0, n_whole = 0;
    for (fail_after = 1; fail_after < 4; fail_after++) {
        struct peer_end p = connect_small();
        send_one(&p, FILL_SHORT, (int)fail_after, 8 * MIB);
        handled = 0;
        int one = 1;
        cr_assert(net_until(handled_all, &one, 5000));
        mem_fail_after(0);
        net_run(5);
        bool whole = peer_wait_frames(&p, 1) && is_whole(&p, 0, (int)fail_after, 8 * MIB);
        n_whole += whole;
        n_closed += !whole && p.closed;
        cr_expect(whole != p.closed, "allocation %d", (int)fail_after);
        peer_end(&p);
    }
    cr_expect(n_closed == 2 && n_whole == 1, "%d closed, %d whole", n_closed, n_whole); /* the buffer for its header, and the body */
    cr_expect(stats().reply_backlog_bytes == 0);
    net_stop();
}
