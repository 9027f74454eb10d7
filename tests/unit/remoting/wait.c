/* wait.c - HANDLED_WAIT: a connection whose request must wait is not read, keeps its order, and goes on when it is told. */
#include "net.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/mem.h"

enum { ASK = 10, NEED = 11 };
static int tokens;             /* requests of NEED that may still be processed */
static bool rude;              /* who waited is refused */
static char order[4096];       /* first letter of the bodies, in the order in which they were processed */
static int n_order, closed, order_at_close, resumed;
static int64_t last_waited, told_waited;

static enum handled need(void *ctx, const struct request *rq, struct reply *out)
{
    (void)ctx;
    last_waited = rq->waited_ms;
    if (rude && rq->waited_ms > 0)
        return (enum handled)reply_refuse(out, 2, "waited");
    if (tokens == 0)
        return HANDLED_WAIT;
    tokens--;
    cr_assert(n_order < (int)sizeof order - 1);
    order[n_order++] = rq->cmd->body.n ? (char)rq->cmd->body.p[0] : '-';
    buf_slice(&out->body, rq->cmd->body);
    return HANDLED_NOW;
}
static enum handled ask(void *ctx, const struct request *rq, struct reply *out)
{
    (void)ctx;
    buf_slice(&out->body, rq->cmd->body);
    return HANDLED_NOW;
}
static const struct request_route routes[] = {{ASK, ask, NULL}, {NEED, need, NULL}};

static void on_closed(void *ctx, const struct peer *p)
{
    (void)ctx, (void)p;
    closed++;
    order_at_close = n_order;
}
static void on_resumed(void *ctx, const struct peer *p, int64_t waited_ms)
{
    (void)ctx, (void)p;
    resumed++;
    told_waited = waited_ms;
}

/* What a broker does: with each turn it looks whether those who wait may go on. */
static bool release;
static struct loop_hook hook;
static void at_store(void *arg)
{
    (void)arg;
    if (release)
        server_resume(net.server);
}

static void start_with(const struct server_config *cfg)
{
    const struct server_events events = {.closed = on_closed, .resumed = on_resumed};
    net_start(cfg, &events);
    cr_assert(server_route(net.server, routes, 2) == MQ_OK);
    hook = (struct loop_hook){.fn = at_store};
    loop_hook_add(net.loop, TURN_STORE, &hook);
}
static void stop(void)
{
    loop_hook_remove(&hook);
    net_stop();
}
static struct server_stats stats(void)
{
    struct server_stats s;
    server_get_stats(net.server, &s);
    return s;
}
static bool n_wait(void *arg) { return stats().waiting == *(uint64_t *)arg; }
static bool wait_waiting(uint64_t n) { return net_until(n_wait, &n, 5000); }
static bool closed_is(void *arg) { return closed >= *(int *)arg; }
static bool wait_told_closed(int n) { return net_until(closed_is, &n, 5000); }

static void ask_for(struct peer_end *p, int code, int from, int n, const char *body)
{
    struct buf f = {0};
    for (int i = 0; i < n; i++)
        frame_request(&f, code, from + i, 0, body);
    peer_send(p, buf_view(&f));
    buf_free(&f);
}
static void expect_opaques(struct peer_end *p, int n)
{
    cr_assert(peer_wait_frames(p, (size_t)n));
    for (int i = 0; i < n; i++)
        cr_assert_eq(header_number(peer_frame(p, (size_t)i), "opaque"), i);
}
static void tell(int n)
{
    tokens = n;
    release = true;
}

Test(wait, what_is_behind_a_request_that_waits_waits_too_and_others_do_not)
{
    start_with(NULL);
    struct peer_end p = peer_connect(net.port), other = peer_connect(net.port);
    tokens = 1;
    ask_for(&p, NEED, 0, 2, "a");
    ask_for(&p, ASK, 2, 1, "b");
    cr_assert(wait_waiting(1));
    ask_for(&p, ASK, 3, 1, "c");
    ask_for(&other, ASK, 0, 1, "d");
    expect_opaques(&other, 1);
    net_run(20);
    cr_assert(peer_frames(&p, 1) && !peer_frames(&p, 2));
    cr_assert(stats().frames_in == 2 && stats().waits == 1 && server_waits_since(net.server) < INT64_MAX);
    tell(1);
    expect_opaques(&p, 4);
    cr_assert(stats().waiting == 0 && server_waits_since(net.server) == INT64_MAX && resumed == 1 && last_waited >= 15 && told_waited >= 15);
    ask_for(&p, ASK, 4, 1, "e"); /* it is read again */
    expect_opaques(&p, 5);
    peer_end(&p);
    peer_end(&other);
    stop();
}

Test(wait, the_peer_feels_it_and_memory_does_not_grow)
{
    start_with(NULL);
    struct peer_end p = peer_connect(net.port);
    static char body[65536];
    memset(body, 'x', sizeof body - 1);
    struct buf f = {0};
    frame_request(&f, NEED, 0, 2, body);
    ask_for(&p, NEED, 0, 1, "x");
    cr_assert(wait_waiting(1));
    size_t sent = 0;
    for (ssize_t n; sent < ((size_t)256 << 20); sent += (size_t)n) {
        n = send(p.fd, f.p, f.n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0)
            break;
        net_run(1);
    }
    cr_assert(sent < ((size_t)256 << 20), "the socket took everything");
    cr_assert(stats().bytes_in < 512 * 1024, "%llu bytes were read", (unsigned long long)stats().bytes_in);
    buf_free(&f);
    peer_end(&p);
    stop();
}

Test(wait, several_go_on_in_the_order_in_which_they_came_and_who_got_something_lets_others_go_first)
{
    start_with(NULL);
    struct peer_end p[3] = {peer_connect(net.port), peer_connect(net.port), peer_connect(net.port)};
    static const char *const names[] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++) {
        ask_for(&p[i], NEED, 0, 4, names[i]);
        cr_assert(wait_waiting((uint64_t)i + 1));
    }
    release = true;
    for (int i = 0; i < 6; i++) { /* two at a time */
        tokens = 2;
        net_run(5);
    }
    cr_assert_str_eq(order, "aabbccaabbcc");
    for (int i = 0; i < 3; i++) {
        expect_opaques(&p[i], 4);
        peer_end(&p[i]);
    }
    cr_assert(stats().waiting == 0);
    stop();
}

Test(wait, who_gets_nothing_keeps_its_place_and_its_beginning)
{
    start_with(NULL);
    struct peer_end a = peer_connect(net.port), b = peer_connect(net.port);
    ask_for(&a, NEED, 0, 1, "a");
    cr_assert(wait_waiting(1));
    int64_t since = server_waits_since(net.server);
    ask_for(&b, NEED, 0, 1, "b");
    cr_assert(wait_waiting(2));
    release = true;
    net_run(10);
    cr_assert(server_waits_since(net.server) == since && stats().waits == 2 && !server_resume(net.server) && resumed == 0);
    tokens = 1;
    expect_opaques(&a, 1);
    cr_assert(stats().waiting == 1);
    tokens = 1;
    expect_opaques(&b, 1);
    peer_end(&a);
    peer_end(&b);
    stop();
}

Test(wait, the_budget_of_a_turn_counts_for_those_who_go_on)
{
    start_with(&(struct server_config){.frames_per_turn = 8});
    struct peer_end p = peer_connect(net.port), other = peer_connect(net.port);
    ask_for(&p, NEED, 0, 100, "a");
    cr_assert(wait_waiting(1));
    ask_for(&other, NEED, 0, 1, "b");
    cr_assert(wait_waiting(2));
    tell(1000);
    expect_opaques(&other, 1);
    cr_assert(strchr(order, 'b') - order <= 8, "%s", order);
    expect_opaques(&p, 100);
    peer_end(&p);
    peer_end(&other);
    stop();
}

Test(wait, all_who_wait_are_served_by_one_word_however_many)
{
    start_with(NULL);
    enum { N = 100 };
    static struct peer_end p[N];
    for (int i = 0; i < N; i++) {
        p[i] = peer_connect(net.port);
        ask_for(&p[i], NEED, 0, 3, "x");
    }
    cr_assert(wait_waiting(N));
    tell(3 * N);
    for (int i = 0; i < N; i++) {
        expect_opaques(&p[i], 3);
        peer_end(&p[i]);
    }
    stop();
}

Test(wait, what_waited_too_long_can_be_refused_with_all_that_came_with_it)
{
    start_with(NULL);
    struct peer_end p = peer_connect(net.port);
    ask_for(&p, NEED, 0, 3, "a");
    cr_assert(wait_waiting(1));
    rude = true;
    release = true;
    cr_assert(peer_wait_frames(&p, 3));
    for (int i = 0; i < 3; i++)
        cr_assert(header_number(peer_frame(&p, (size_t)i), "opaque") == i && header_number(peer_frame(&p, (size_t)i), "code") == 2);
    release = false;
    ask_for(&p, NEED, 3, 1, "b"); /* this one did not wait yet */
    cr_assert(wait_waiting(1));
    peer_end(&p);
    stop();
}

Test(wait, a_peer_that_closes_is_heard_to_its_last_request)
{
    start_with(NULL);
    struct peer_end p = peer_connect(net.port);
    ask_for(&p, NEED, 0, 3, "a");
    cr_assert(wait_waiting(1));
    ask_for(&p, NEED, 3, 2, "b"); /* not read yet */
    peer_end(&p);
    net_run(30);
    cr_assert(closed == 0 && stats().connections == 1);
    tell(5);
    cr_assert(wait_told_closed(1));
    cr_assert_str_eq(order, "aaabb");
    cr_assert(order_at_close == 5 && stats().waiting == 0 && stats().connections == 0);
    stop();
}

Test(wait, a_peer_that_ended_its_sending_gets_its_answers)
{
    start_with(NULL);
    struct peer_end p = peer_connect(net.port);
    ask_for(&p, NEED, 0, 3, "a");
    shutdown(p.fd, SHUT_WR);
    cr_assert(wait_waiting(1));
    tell(3);
    cr_assert(peer_wait_closed(&p) && peer_frames(&p, 3));
    peer_end(&p);
    stop();
}

Test(wait, a_reset_is_noticed_when_it_goes_on)
{
    start_with(NULL);
    struct peer_end p = peer_connect(net.port), other = peer_connect(net.port);
    ask_for(&p, NEED, 0, 1, "a");
    cr_assert(wait_waiting(1));
    ask_for(&other, NEED, 0, 1, "b");
    cr_assert(wait_waiting(2));
    const struct linger hard = {.l_onoff = 1};
    setsockopt(p.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    peer_end(&p);
    tell(2);
    expect_opaques(&other, 1);
    cr_assert(wait_told_closed(1) && stats().connections == 1);
    peer_end(&other);
    stop();
}

Test(wait, a_connection_that_is_closed_from_here_waits_no_more)
{
    start_with(NULL);
    struct peer_end p = peer_connect(net.port), other = peer_connect(net.port);
    const struct outbox *o = server_outbox(net.server);
    ask_for(&p, NEED, 0, 1, "a");
    cr_assert(wait_waiting(1));
    ask_for(&other, NEED, 0, 1, "b");
    cr_assert(wait_waiting(2));
    o->close(o->ctx, 1);
    cr_assert(stats().waiting == 1 && peer_wait_closed(&p));
    tell(2);
    expect_opaques(&other, 1);
    cr_assert_str_eq(order, "b");
    peer_end(&p);
    peer_end(&other);
    stop();
}

Test(wait, waiting_is_no_silence)
{
    start_with(&(struct server_config){.idle_ms = 60});
    struct peer_end p = peer_connect(net.port), silent = peer_connect(net.port);
    ask_for(&p, NEED, 0, 1, "a");
    cr_assert(wait_waiting(1));
    cr_assert(peer_wait_closed(&silent));
    net_run(100);
    cr_assert(stats().connections == 1);
    tell(1);
    expect_opaques(&p, 1);
    release = false;
    cr_assert(peer_wait_closed(&p));
    peer_end(&p);
    peer_end(&silent);
    stop();
}

Test(wait, ending_the_server_ends_those_who_wait)
{
    start_with(NULL);
    struct peer_end p = peer_connect(net.port);
    ask_for(&p, NEED, 0, 2, "a");
    cr_assert(wait_waiting(1));
    stop();
    cr_assert(closed == 1 && n_order == 0);
    peer_end(&p);
}

Test(wait, without_memory_for_what_is_kept_only_its_connection_suffers)
{
    start_with(NULL);
    struct peer_end p = peer_connect(net.port), other = peer_connect(net.port);
    ask_for(&p, ASK, 0, 1, "a");
    expect_opaques(&p, 1);
    ask_for(&p, NEED, 1, 1, "b");
    mem_fail_after(1);
    net_run(20);
    mem_fail_after(0);
    cr_assert(peer_wait_closed(&p) && stats().waiting == 0);
    ask_for(&other, ASK, 0, 1, "c");
    expect_opaques(&other, 1);
    peer_end(&p);
    peer_end(&other);
    stop();
}
