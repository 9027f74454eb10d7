/* server.c - what a server does with the bytes of its peers, over real sockets. */
#include "net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/protocol/codes.h"

enum { ECHO = 10, LATE = 11, NEVER = 12, BIG = 13, NOTE = 14, CLOSE = 15 };
static int opened, closed, handled, handled_at_close;
static uint64_t last_conn;
static struct ticket late;

static void on_opened(void *ctx, const struct peer *p)
{
    (void)ctx;
    last_conn = p->conn_id;
    opened++;
}
static void on_closed(void *ctx, const struct peer *p)
{
    (void)ctx, (void)p;
    closed++;
    handled_at_close = handled;
}
static const struct server_events events = {.opened = on_opened, .closed = on_closed};

static enum handled echo(void *ctx, const struct request *rq, struct reply *out)
{
    (void)ctx;
    handled++;
    buf_slice(&out->body, rq->cmd->body);
    return HANDLED_NOW;
}
static enum handled answer_late(void *ctx, const struct request *rq, struct reply *out)
{
    (void)ctx, (void)out;
    late = rq->ticket;
    return HANDLED_LATER;
}
static enum handled answer_never(void *ctx, const struct request *rq, struct reply *out)
{
    (void)ctx, (void)rq, (void)out;
    handled++;
    return HANDLED_NONE;
}
static enum handled big(void *ctx, const struct request *rq, struct reply *out)
{
    (void)ctx, (void)rq;
    static const uint8_t zeros[65536];
    handled++;
    buf_put(&out->body, zeros, sizeof zeros);
    return HANDLED_NOW;
}
static enum handled close_itself(void *ctx, const struct request *rq, struct reply *out)
{
    (void)ctx, (void)out;
    const struct outbox *o = server_outbox(net.server);
    handled++;
    o->close(o->ctx, rq->peer->conn_id);
    return HANDLED_NOW;
}
static const struct request_route routes[] = {
    {ECHO, echo, NULL}, {LATE, answer_late, NULL}, {NEVER, answer_never, NULL}, {BIG, big, NULL}, {NOTE, echo, NULL}, {CLOSE, close_itself, NULL}};

static void start_with(const struct server_config *cfg)
{
    net_start(cfg, &events);
    cr_assert(server_route(net.server, routes, sizeof routes / sizeof *routes) == MQ_OK);
}
static void start(void) { start_with(NULL); }

static struct server_stats stats(void)
{
    struct server_stats s;
    server_get_stats(net.server, &s);
    return s;
}

static bool at_least(void *arg) { return handled >= *(int *)arg; }
static bool wait_handled(int n) { return net_until(at_least, &n, 5000); }
static bool closed_at_least(void *arg) { return closed >= *(int *)arg; }
static bool wait_told_closed(int n) { return net_until(closed_at_least, &n, 5000); }
static bool opened_at_least(void *arg) { return opened >= *(int *)arg; }

/* ---- frames ---- */
Test(server, a_frame_that_comes_byte_by_byte_is_answered_once_it_is_whole)
{
    start();
    struct peer_end p = peer_connect(net.port);
    struct buf f = {0};
    frame_request(&f, ECHO, 7, 0, "hello");
    for (size_t i = 0; i < f.n; i++) {
        cr_expect(handled == 0);
        peer_send(&p, slice_make(f.p + i, 1));
        net_run(1);
    }
    cr_assert(peer_wait_frames(&p, 1));
    struct slice a = peer_frame(&p, 0);
    cr_assert(header_number(a, "code") == 0 && header_number(a, "opaque") == 7 && header_number(a, "flag") == 1);
    cr_assert(a.n > 5 && memcmp(a.p + a.n - 5, "hello", 5) == 0 && a.p[0] == 0);
    buf_free(&f);
    peer_end(&p);
    net_stop();
}

Test(server, a_thousand_frames_in_one_write_are_answered_in_order)
{
    start();
    struct peer_end p = peer_connect(net.port);
    struct buf f = {0};
    for (int i = 0; i < 1000; i++)
        frame_request(&f, ECHO, i, 0, "x");
    peer_send(&p, buf_view(&f));
    cr_assert(peer_wait_frames(&p, 1000));
    for (int i = 0; i < 1000; i++)
        cr_assert(header_number(peer_frame(&p, (size_t)i), "opaque") == i);
    cr_assert(stats().frames_in == 1000 && stats().bytes_in == f.n);
    buf_free(&f);
    peer_end(&p);
    net_stop();
}

Test(server, frames_cut_at_every_place_of_a_stream_arrive_whole)
{
    start();
    struct buf two = {0};
    frame_request(&two, ECHO, 1, 0, "ab");
    frame_request(&two, ECHO, 2, 0, "");
    for (size_t cut = 1; cut < two.n; cut += 7) {
        struct peer_end p = peer_connect(net.port);
        peer_send(&p, slice_make(two.p, cut));
        net_run(1);
        peer_send(&p, slice_make(two.p + cut, two.n - cut));
        cr_assert(peer_wait_frames(&p, 2), "cut at %zu", cut);
        cr_assert(header_number(peer_frame(&p, 0), "opaque") == 1 && header_number(peer_frame(&p, 1), "opaque") == 2);
        peer_end(&p);
    }
    buf_free(&two);
    net_stop();
}

Test(server, the_largest_frame_is_taken)
{
    start();
    struct peer_end p = peer_connect(net.port);
    const char *header = "{\"code\":12,\"flag\":2,\"language\":\"GO\",\"opaque\":1,\"version\":317}";
    struct buf f = {0};
    buf_u32(&f, 16777216);
    buf_u32(&f, (uint32_t)strlen(header));
    buf_str(&f, header);
    size_t body = 16777216 - 4 - strlen(header);
    memset(buf_room(&f, body), 'b', body);
    f.n += body;
    peer_send(&p, buf_view(&f));
    cr_assert(wait_handled(1));
    buf_free(&f);
    peer_end(&p);
    net_stop();
}

/* ---- malformed ---- */
static void expect_closed_by(struct slice bytes, const char *words)
{
    start();
    struct peer_end p = peer_connect(net.port), other = peer_connect(net.port);
    peer_send(&p, bytes);
    cr_assert(peer_wait_closed(&p));
    cr_expect(p.in.n == 0);
    cr_expect(net.n_lines == 1 && net_logged(words), "%d lines: %s", net.n_lines, net.lines[0]);
    cr_expect(stats().malformed == 1);
    struct buf f = {0};
    frame_request(&f, ECHO, 9, 0, "");
    peer_send(&other, buf_view(&f)); /* nobody else suffers */
    cr_assert(peer_wait_frames(&other, 1));
    buf_free(&f);
    peer_end(&p);
    peer_end(&other);
    net_stop();
}

Test(server, a_length_of_zero_closes_with_one_line) { expect_closed_by(SLICE_LIT("\0\0\0\0"), "length 0"); }
Test(server, a_length_of_one_closes_with_one_line) { expect_closed_by(SLICE_LIT("\0\0\0\1x"), "length 1"); }
Test(server, a_length_of_three_closes_with_one_line) { expect_closed_by(SLICE_LIT("\0\0\0\3xyz"), "length 3"); }
Test(server, a_length_beyond_16_mib_closes_with_one_line) { expect_closed_by(SLICE_LIT("\1\0\0\1"), "length 16777217"); }
Test(server, a_negative_length_closes_with_one_line) { expect_closed_by(SLICE_LIT("\xff\xff\xff\xff"), "length 4294967295"); }
Test(server, a_header_longer_than_its_frame_closes_with_one_line) { expect_closed_by(SLICE_LIT("\0\0\0\6\0\0\0\3{}"), "closed"); }
Test(server, a_header_that_is_no_json_closes_with_one_line) { expect_closed_by(SLICE_LIT("\0\0\0\7\0\0\0\3abc"), "closed"); }
Test(server, an_unknown_form_closes_with_one_line) { expect_closed_by(SLICE_LIT("\0\0\0\6\2\0\0\2{}"), "closed"); }
Test(server, a_binary_header_that_is_cut_closes_with_one_line) { expect_closed_by(SLICE_LIT("\0\0\0\7\1\0\0\3\0\12\0"), "closed"); }
Test(server, a_tls_handshake_is_refused_in_words) { expect_closed_by(SLICE_LIT("\x16\x03\x01\x02\x00\x01\x00\x01"), "TLS"); }
Test(server, http_is_no_frame_either) { expect_closed_by(SLICE_LIT("GET / HTTP/1.1\r\n\r\n"), "length 1195725856"); }

Test(server, frames_in_front_of_a_malformed_one_are_answered)
{
    start();
    struct peer_end p = peer_connect(net.port);
    struct buf f = {0};
    frame_request(&f, NEVER, 1, 0, "");
    buf_u32(&f, 2);
    peer_send(&p, buf_view(&f));
    cr_assert(peer_wait_closed(&p));
    cr_assert(handled == 1);
    buf_free(&f);
    peer_end(&p);
    net_stop();
}

/* ---- answers ---- */
Test(server, an_unknown_code_gets_3_in_apaches_words)
{
    start();
    struct peer_end p = peer_connect(net.port);
    struct buf f = {0};
    frame_request(&f, 9999, 41, 0, "");
    frame_request(&f, ECHO, 42, 0, "");
    peer_send(&p, buf_view(&f));
    cr_assert(peer_wait_frames(&p, 2));
    cr_assert(header_number(peer_frame(&p, 0), "code") == 3 && header_number(peer_frame(&p, 0), "opaque") == 41);
    cr_assert(frame_has(peer_frame(&p, 0), "\"remark\":\" request type 9999 not supported\""));
    cr_assert(header_number(peer_frame(&p, 1), "code") == 0 && !frame_has(peer_frame(&p, 1), "remark"));
    buf_free(&f);
    peer_end(&p);
    net_stop();
}

Test(server, a_one_way_request_gets_nothing_not_even_when_its_code_is_unknown)
{
    start();
    struct peer_end p = peer_connect(net.port);
    struct buf f = {0};
    frame_request(&f, ECHO, 1, 2, "one-way");
    frame_request(&f, 9999, 2, 2, "one-way");
    frame_request(&f, ECHO, 3, 0, "");
    peer_send(&p, buf_view(&f));
    cr_assert(peer_wait_frames(&p, 1));
    net_run(5);
    cr_assert(handled == 2 && !peer_frames(&p, 2) && header_number(peer_frame(&p, 0), "opaque") == 3);
    buf_free(&f);
    peer_end(&p);
    net_stop();
}

Test(server, answers_come_in_the_form_of_their_request)
{
    start();
    struct peer_end p = peer_connect(net.port);
    struct buf f = {0};
    frame_binary(&f, ECHO, 0x01020304, 0, "bin");
    frame_request(&f, ECHO, 5, 0, "js");
    frame_binary(&f, 9999, 6, 0, "");
    peer_send(&p, buf_view(&f));
    cr_assert(peer_wait_frames(&p, 3));
    /* form 1, header of 21 bytes, code 0, language JAVA, version 409, opaque, flag 1, no remark, no ext */
    static const uint8_t want[] = {1, 0, 0, 21, 0, 0, 0, 0x01, 0x99, 1, 2, 3, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 'b', 'i', 'n'};
    struct slice a = peer_frame(&p, 0);
    cr_assert(a.n == sizeof want && memcmp(a.p, want, sizeof want) == 0);
    cr_assert(peer_frame(&p, 1).p[0] == 0 && header_number(peer_frame(&p, 1), "opaque") == 5);
    a = peer_frame(&p, 2);
    cr_assert(a.p[0] == 1 && a.p[5] == 3 && frame_has(a, " request type 9999 not supported"));
    buf_free(&f);
    peer_end(&p);
    net_stop();
}

Test(server, a_later_row_replaces_an_earlier_one_of_the_same_code)
{
    start();
    const struct request_route other[] = {{ECHO, answer_never, NULL}, {77, echo, NULL}};
    cr_assert(server_route(net.server, other, 2) == MQ_OK);
    struct peer_end p = peer_connect(net.port);
    struct buf f = {0};
    frame_request(&f, ECHO, 1, 0, "");
    frame_request(&f, 77, 2, 0, "");
    peer_send(&p, buf_view(&f));
    cr_assert(peer_wait_frames(&p, 1));
    cr_assert(handled == 2 && header_number(peer_frame(&p, 0), "opaque") == 2);
    buf_free(&f);
    peer_end(&p);
    net_stop();
}

/* ---- late answers, and requests of ours ---- */
static bool late_is_there(void *arg)
{
    (void)arg;
    return late.conn_id != 0;
}

Test(server, a_late_answer_goes_out_and_one_for_a_closed_connection_is_dropped)
{
    start();
    const struct outbox *o = server_outbox(net.server);
    struct peer_end p = peer_connect(net.port);
    struct buf f = {0};
    frame_request(&f, LATE, 31, 0, "");
    peer_send(&p, buf_view(&f));
    cr_assert(net_until(late_is_there, NULL, 5000));
    net_run(5);
    cr_assert(!peer_frames(&p, 1));
    struct reply r = {.code = 19};
    o->finish(o->ctx, &late, &r);
    cr_assert(peer_wait_frames(&p, 1));
    cr_assert(header_number(peer_frame(&p, 0), "code") == 19 && header_number(peer_frame(&p, 0), "opaque") == 31);
    peer_end(&p);
    cr_assert(wait_told_closed(1));
    o->finish(o->ctx, &late, &r); /* nothing happens */
    struct command cmd = {.code = 40};
    cr_assert(!o->oneway(o->ctx, late.conn_id, &cmd));
    cr_assert(!o->call(o->ctx, late.conn_id, &cmd, 100, NULL, NULL));
    reply_free(&r);
    buf_free(&f);
    net_stop();
}

static int n_answers, n_none;
static int32_t answered_code;
static void on_answer(void *arg, const struct command *answer)
{
    (void)arg;
    if (answer == NULL) {
        n_none++;
        return;
    }
    n_answers++;
    answered_code = answer->code;
}
static bool told(void *arg) { return n_answers + n_none >= *(int *)arg; }

Test(server, a_connected_peer_can_be_asked_and_its_silence_ends)
{
    start();
    const struct outbox *o = server_outbox(net.server);
    struct peer_end p = peer_connect(net.port);
    int one = 1, two = 2, three = 3;
    cr_assert(net_until(opened_at_least, &one, 5000));
    struct command cmd = {.code = 220};
    cr_assert(o->call(o->ctx, last_conn, &cmd, 5000, on_answer, NULL));
    cr_assert(o->call(o->ctx, last_conn, &cmd, 20, on_answer, NULL)); /* it will not answer this one */
    cr_assert(o->call(o->ctx, last_conn, &cmd, 60000, on_answer, NULL)); /* nor this one: it closes */
    cmd.code = 40;
    cr_assert(o->oneway(o->ctx, last_conn, &cmd));
    cr_assert(peer_wait_frames(&p, 4));
    cr_assert(header_number(peer_frame(&p, 0), "code") == 220 && header_number(peer_frame(&p, 0), "flag") == 0);
    cr_assert(header_number(peer_frame(&p, 3), "code") == 40 && header_number(peer_frame(&p, 3), "flag") == 2);
    struct buf f = {0};
    frame_request(&f, 206, header_number(peer_frame(&p, 0), "opaque"), 1, "");
    frame_request(&f, 0, 123456, 1, ""); /* an answer that nobody asked for */
    peer_send(&p, buf_view(&f));
    cr_assert(net_until(told, &one, 5000) && n_answers == 1 && answered_code == 206);
    cr_assert(net_until(told, &two, 5000) && n_none == 1);
    peer_end(&p);
    cr_assert(net_until(told, &three, 5000) && n_none == 2);
    net_run(30);
    cr_assert(n_answers == 1 && n_none == 2);
    buf_free(&f);
    net_stop();
}

/* ---- closing ---- */
Test(server, requests_in_front_of_the_close_are_processed_before_it_is_told)
{
    start();
    struct peer_end p = peer_connect(net.port);
    struct buf f = {0};
    for (int i = 0; i < 2000; i++) /* more than one turn's budget */
        frame_request(&f, NEVER, i, 2, "the last offsets of a Go client");
    peer_send(&p, buf_view(&f));
    close(p.fd);
    cr_assert(wait_told_closed(1));
    cr_assert(handled_at_close == 2000, "%d handled", handled_at_close);
    buf_free(&f);
    buf_free(&p.in);
    net_stop();
}

Test(server, a_reset_behind_requests_loses_none_of_them)
{
    start();
    struct peer_end p = peer_connect(net.port);
    struct buf f = {0};
    frame_request(&f, BIG, 1, 0, "");
    frame_request(&f, NEVER, 2, 2, "");
    peer_send(&p, buf_view(&f));
    cr_assert(wait_handled(2)); /* an answer is on its way: closing now makes a reset */
    net_run(5);
    frame_request(&f, NEVER, 3, 2, "");
    close(p.fd);
    cr_assert(wait_told_closed(1));
    cr_assert(handled_at_close == 2);
    buf_free(&f);
    buf_free(&p.in);
    net_stop();
}

Test(server, a_peer_that_ends_only_its_sending_gets_its_answers)
{
    start();
    struct peer_end p = peer_connect(net.port);
    struct buf f = {0};
    for (int i = 0; i < 3; i++)
        frame_request(&f, ECHO, i, 0, "half closed");
    peer_send(&p, buf_view(&f));
    shutdown(p.fd, SHUT_WR);
    cr_assert(peer_wait_closed(&p));
    cr_assert(peer_frames(&p, 3));
    buf_free(&f);
    peer_end(&p);
    net_stop();
}

Test(server, half_a_frame_in_front_of_the_close_is_dropped_in_silence)
{
    start();
    struct peer_end p = peer_connect(net.port);
    peer_send(&p, SLICE_LIT("\0\0\0\x20\0\0"));
    net_run(5);
    peer_end(&p);
    cr_assert(wait_told_closed(1));
    cr_assert(net.n_lines == 0 && stats().malformed == 0 && stats().connections == 0);
    net_stop();
}

Test(server, a_handler_may_close_the_connection_it_serves)
{
    start();
    struct peer_end p = peer_connect(net.port);
    struct buf f = {0};
    frame_request(&f, CLOSE, 1, 0, "");
    frame_request(&f, ECHO, 2, 0, "");
    peer_send(&p, buf_view(&f));
    cr_assert(peer_wait_closed(&p));
    cr_assert(handled == 1 && closed == 1 && p.in.n == 0);
    buf_free(&f);
    peer_end(&p);
    net_stop();
}

Test(server, a_silent_connection_is_closed_and_a_talking_one_stays)
{
    start_with(&(struct server_config){.idle_ms = 100});
    struct peer_end silent = peer_connect(net.port), talking = peer_connect(net.port);
    struct buf f = {0};
    frame_request(&f, ECHO, 1, 0, "");
    for (size_t i = 1; i <= 15; i++) {
        peer_send(&talking, buf_view(&f));
        cr_assert(peer_wait_frames(&talking, i));
        net_run(20);
    }
    peer_poll(&silent);
    cr_assert(silent.closed && !talking.closed && stats().connections == 1);
    cr_assert(net.n_lines == 0); /* no news */
    buf_free(&f);
    peer_end(&silent);
    peer_end(&talking);
    net_stop();
}

Test(server, a_frame_that_drips_is_not_waited_for_longer_than_for_a_silent_peer)
{
    start_with(&(struct server_config){.idle_ms = 100});
    struct peer_end drip = peer_connect(net.port);
    peer_send(&drip, SLICE_LIT("\1\0\0\0"));
    for (int i = 0; i < 100 && !drip.closed; i++) { /* a byte each 20 ms: never silent */
        ssize_t n = send(drip.fd, "\0", 1, MSG_NOSIGNAL);
        (void)n;
        net_run(20);
        peer_poll(&drip);
    }
    cr_assert(drip.closed && stats().connections == 0 && stats().malformed == 1);
    cr_assert(net_logged("a frame was not whole in time"));
    peer_end(&drip);
    net_stop();
}

/* ---- bounds ---- */
Test(server, a_slow_reader_is_closed_beyond_its_limit_and_nobody_else)
{
    start_with(&(struct server_config){.out_max = 1 << 20});
    struct peer_end slow = peer_connect(net.port), other = peer_connect(net.port);
    int small = 4096;
    setsockopt(slow.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    struct buf f = {0}, one = {0};
    for (int i = 0; i < 400; i++)
        frame_request(&f, BIG, i, 0, ""); /* 26 MB of answers */
    peer_send(&slow, buf_view(&f));
    int n = 1;
    cr_assert(net_until(closed_at_least, &n, 5000));
    cr_assert(stats().refused == 1 && net_logged("reads too slowly"));
    cr_assert(handled < 400, "it went on answering");
    frame_request(&one, ECHO, 1, 0, "");
    peer_send(&other, buf_view(&one));
    cr_assert(peer_wait_frames(&other, 1));
    buf_free(&f);
    buf_free(&one);
    peer_end(&slow);
    peer_end(&other);
    net_stop();
}

static int told_in_list;
Test(server, telling_a_slow_reader_never_closes_inside_the_call)
{
    start_with(&(struct server_config){.out_max = 1 << 16});
    const struct outbox *o = server_outbox(net.server);
    struct peer_end p = peer_connect(net.port);
    int one = 1;
    cr_assert(net_until(opened_at_least, &one, 5000));
    uint8_t body[30000] = {0};
    struct command cmd = {.code = 40, .body = slice_make(body, sizeof body)};
    while (o->oneway(o->ctx, last_conn, &cmd) && told_in_list < 100)
        told_in_list++;
    cr_assert(told_in_list == 2, "%d fitted", told_in_list);
    struct reply r = {0};
    o->finish(o->ctx, &(struct ticket){.conn_id = last_conn}, &r);
    cr_assert(closed == 0); /* who tells a list of peers does not meet it */
    cr_assert(peer_wait_closed(&p) && closed == 1 && net_logged("reads too slowly"));
    cr_assert(!o->oneway(o->ctx, last_conn, &cmd));
    reply_free(&r);
    peer_end(&p);
    net_stop();
}

Test(server, a_peer_that_reads_late_gets_everything_and_meanwhile_is_not_read)
{
    start();
    struct peer_end p = peer_connect(net.port);
    struct buf f = {0};
    for (int i = 0; i < 400; i++)
        frame_request(&f, BIG, i, 0, ""); /* 26 MB: above the water mark, below the limit */
    peer_send(&p, buf_view(&f));
    net_run(50);
    for (int i = 400; i < 600; i++) {
        buf_clear(&f);
        frame_request(&f, ECHO, i, 0, "");
        peer_send(&p, buf_view(&f));
    }
    net_run(20);
    cr_assert(handled <= 401 + 511 && stats().reply_backlog_bytes > (4 << 20));
    cr_assert(peer_wait_frames(&p, 600));
    for (int i = 0; i < 600; i++)
        cr_assert(header_number(peer_frame(&p, (size_t)i), "opaque") == i);
    cr_assert(stats().reply_backlog_bytes == 0);
    buf_free(&f);
    peer_end(&p);
    net_stop();
}

static int turns, most, at_turn;
static void count_turn(void *arg)
{
    (void)arg;
    turns++;
    most = handled - at_turn > most ? handled - at_turn : most;
    at_turn = handled;
}

Test(server, a_budget_of_frames_ends_the_turn_so_that_others_get_theirs)
{
    start_with(&(struct server_config){.frames_per_turn = 8});
    struct loop_hook hook = {.fn = count_turn};
    loop_hook_add(net.loop, TURN_STORE, &hook);
    struct peer_end greedy = peer_connect(net.port), modest = peer_connect(net.port);
    struct buf f = {0}, one = {0};
    for (int i = 0; i < 1500; i++)
        frame_request(&f, NEVER, i, 2, "");
    frame_request(&one, ECHO, 1, 0, "");
    peer_send(&greedy, buf_view(&f));
    peer_send(&modest, buf_view(&one));
    cr_assert(peer_wait_frames(&modest, 1));
    cr_assert(handled < 200, "%d frames of the greedy one came first", handled);
    cr_assert(wait_handled(1501));
    cr_assert(most <= 3 * 8, "%d in one turn", most); /* leftovers, what is read behind them, and readiness may meet in one */
    loop_hook_remove(&hook);
    buf_free(&f);
    buf_free(&one);
    peer_end(&greedy);
    peer_end(&modest);
    net_stop();
}

Test(server, beyond_the_limit_of_connections_accepting_pauses_and_goes_on)
{
    start_with(&(struct server_config){.max_connections = 2});
    struct peer_end a = peer_connect(net.port), b = peer_connect(net.port), c = peer_connect(net.port);
    struct buf f = {0};
    frame_request(&f, ECHO, 1, 0, "");
    int two = 2;
    cr_assert(net_until(opened_at_least, &two, 5000));
    peer_send(&c, buf_view(&f));
    net_run(300);
    cr_assert(stats().connections == 2 && !peer_frames(&c, 1) && net_logged("accepting pauses"));
    peer_send(&a, buf_view(&f));
    cr_assert(peer_wait_frames(&a, 1)); /* who is connected goes on */
    peer_end(&b);
    cr_assert(peer_wait_frames(&c, 1));
    cr_assert(stats().accepted == 3);
    buf_free(&f);
    peer_end(&a);
    peer_end(&c);
    net_stop();
}

Test(server, without_descriptors_accepting_pauses_and_goes_on)
{
    start();
    struct peer_end a = peer_connect(net.port), b = peer_connect(net.port);
    struct buf f = {0};
    frame_request(&f, ECHO, 1, 0, "");
    int fd = dup(0), one = 1;
    cr_assert(fd > 0);
    close(fd);
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    struct rlimit low = {.rlim_cur = (rlim_t)fd + 1, .rlim_max = limit.rlim_max}; /* room for one more */
    cr_assert(setrlimit(RLIMIT_NOFILE, &low) == 0);
    cr_assert(net_until(opened_at_least, &one, 5000));
    net_run(50);
    peer_send(&a, buf_view(&f));
    cr_assert(peer_wait_frames(&a, 1) && opened == 1 && net_logged("accepting pauses"));
    cr_assert(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    peer_send(&b, buf_view(&f));
    cr_assert(peer_wait_frames(&b, 1));
    buf_free(&f);
    peer_end(&a);
    peer_end(&b);
    net_stop();
}

Test(server, a_server_that_stops_accepting_serves_who_is_there)
{
    start();
    struct peer_end a = peer_connect(net.port);
    struct buf f = {0};
    int one = 1;
    cr_assert(net_until(opened_at_least, &one, 5000));
    server_stop_accepting(net.server);
    server_stop_accepting(net.server);
    frame_request(&f, ECHO, 1, 0, "");
    peer_send(&a, buf_view(&f));
    cr_assert(peer_wait_frames(&a, 1) && opened == 1);
    buf_free(&f);
    peer_end(&a);
    net_stop();
}

Test(server, ending_it_writes_what_is_queued)
{
    start();
    const struct outbox *o = server_outbox(net.server);
    struct peer_end p = peer_connect(net.port);
    int one = 1;
    cr_assert(net_until(opened_at_least, &one, 5000));
    struct command cmd = {.code = 40};
    cr_assert(o->oneway(o->ctx, last_conn, &cmd));
    net_stop();
    peer_poll(&p);
    cr_assert(p.closed && peer_frames(&p, 1) && closed == 1);
    peer_end(&p);
}

/* ---- starting ---- */
Test(server, an_address_that_is_none_and_a_port_in_use_are_refused_in_words)
{
    start();
    struct server *s = NULL;
    struct fault why = {0};
    struct server_config cfg = {.bind_addr = "localhost", .n_ports = 1};
    cr_assert(server_new(net.loop, &cfg, NULL, &s, &why) == MQ_EINVAL && strstr(why.what, "localhost") && s == NULL);
    cfg = (struct server_config){.bind_addr = "127.0.0.1", .ports = {0, net.port}, .n_ports = 2};
    char port[8];
    snprintf(port, sizeof port, "%u", net.port);
    cr_assert(server_new(net.loop, &cfg, NULL, &s, &why) == MQ_EIO && strstr(why.what, port) && why.sys != 0 && s == NULL);
    net_stop();
}

Test(server, it_listens_on_two_ports_and_on_ipv6)
{
    start();
    struct server *s = NULL;
    struct fault why = {0};
    struct server_config cfg = {.bind_addr = "::1", .n_ports = 2};
    if (server_new(net.loop, &cfg, NULL, &s, &why) == MQ_OK) { /* a host without IPv6 may refuse */
        cr_assert(server_port(s, 0) != 0 && server_port(s, 1) != 0 && server_port(s, 0) != server_port(s, 1) && server_port(s, 2) == 0);
        server_free(s);
    } else {
        cr_assert(why.err == MQ_EIO);
    }
    net_stop();
}

Test(server, each_allocation_of_a_start_may_fail)
{
    start();
    for (uint64_t n = 1; n < 20; n++) {
        struct server *s = NULL;
        struct fault why = {0};
        struct server_config cfg = {.bind_addr = "127.0.0.1", .n_ports = 1};
        mem_fail_after(n);
        enum mq_err err = server_new(net.loop, &cfg, NULL, &s, &why);
        mem_fail_after(0);
        cr_assert(err == MQ_OK || (err == MQ_ENOMEM && s == NULL && why.err == MQ_ENOMEM), "allocation %llu: %d", (unsigned long long)n, err);
        server_free(s);
        if (err == MQ_OK)
            break;
    }
    net_stop();
}

Test(server, each_allocation_of_a_request_may_fail_and_only_its_connection_suffers)
{
    start();
    struct buf f = {0};
    frame_request(&f, ECHO, 1, 0, "some body");
    net_run(2); /* the loop's own heap of timers has its memory then */
    for (uint64_t n = 1; n < 40; n++) {
        struct peer_end p = peer_connect(net.port);
        peer_send(&p, slice_make(f.p, 30)); /* in two pieces: the first is kept */
        mem_fail_after(n);
        net_run(2);
        peer_send(&p, slice_make(f.p + 30, f.n - 30));
        net_run(2);
        mem_fail_after(0);
        net_run(n < 8 ? 250 : 1); /* accepting may have paused */
        peer_poll(&p);
        cr_expect(p.closed || peer_wait_frames(&p, 1), "allocation %llu: neither answered nor closed", (unsigned long long)n);
        peer_end(&p);
    }
    struct peer_end p = peer_connect(net.port);
    peer_send(&p, buf_view(&f));
    cr_assert(peer_wait_frames(&p, 1));
    buf_free(&f);
    peer_end(&p);
    net_stop();
}
