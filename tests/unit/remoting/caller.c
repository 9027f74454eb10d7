/* caller.c - calls to peers that answer, are silent, refuse, break, read slowly: each ends exactly once. */
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
#include "common/base/mem.h"
#include "common/remoting/caller.h"

/* ---- the peer: a listening socket of the test ---- */
static int listener = -1;
static char addr[32];
static struct caller *caller;

static uint16_t listen_somewhere(int backlog)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    cr_assert(bind(listener, (struct sockaddr *)&at, n) == 0 && listen(listener, backlog) == 0);
    cr_assert(getsockname(listener, (struct sockaddr *)&at, &n) == 0);
    snprintf(addr, sizeof addr, "127.0.0.1:%u", ntohs(at.sin_port));
    return ntohs(at.sin_port);
}

static bool accepted(void *arg)
{
    struct peer_end *p = arg;
    p->fd = accept(listener, NULL, NULL);
    return p->fd >= 0;
}

static struct peer_end accept_one(void)
{
    struct peer_end p = {.fd = -1};
    cr_assert(net_until(accepted, &p, 5000), "nobody connects");
    return p;
}

static void start_with(const struct caller_config *cfg)
{
    struct fault why;
    net_start(NULL, NULL); /* its loop and log lines; the server itself is asked in one test only */
    listen_somewhere(8);
    cr_assert(caller_new(net.loop, cfg, &caller, &why) == MQ_OK);
}
static void start(void) { start_with(NULL); }

static void stop(void)
{
    caller_free(caller);
    caller = NULL;
    close(listener);
    net_stop();
}

/* ---- a call, and how it ended ---- */
struct asked {
    int n; /* how often it was told */
    enum mq_err err;
    int32_t code;
    int64_t took_ms;
    char words[200], body[32];
    struct asked *again; /* asks again inside the callback */
};
static bool inside; /* a call is being made: nothing may be told meanwhile */

static enum mq_err ask_at(struct asked *a, const char *where, int64_t timeout_ms, struct slice body);
static void on_told(void *arg, enum mq_err err, const struct command *answer, const struct fault *why)
{
    struct asked *a = arg;
    cr_assert(!inside, "told inside caller_call()");
    cr_assert((err == MQ_OK) == (answer != NULL));
    a->n++;
    a->err = err;
    a->took_ms += clock_mono_ms();
    if (answer != NULL) {
        a->code = answer->code;
        slice_copy(answer->body, a->body, sizeof a->body);
    } else {
        cr_assert(why != NULL && why->err == err);
        fault_text(why, a->words, sizeof a->words);
    }
    if (a->again != NULL)
        ask_at(a->again, addr, 1000, (struct slice){0});
}

static enum mq_err ask_at(struct asked *a, const char *where, int64_t timeout_ms, struct slice body)
{
    struct command cmd = {.code = 105, .opaque = 4711, .body = body};
    a->took_ms = -clock_mono_ms();
    inside = true;
    enum mq_err err = caller_call(caller, where, &cmd, timeout_ms, on_told, a);
    inside = false;
    return err;
}
static void ask(struct asked *a, int64_t timeout_ms) { cr_assert(ask_at(a, addr, timeout_ms, (struct slice){0}) == MQ_OK); }

static bool was_told(void *arg) { return ((struct asked *)arg)->n > 0; }
static void wait_told(struct asked *a)
{
    cr_assert(net_until(was_told, a, 8000), "never told");
    net_run(10);
    cr_assert(a->n == 1, "told %d times", a->n);
}

static void answer(struct peer_end *p, size_t frame, int code, const char *body)
{
    struct buf f = {0};
    frame_request(&f, code, header_number(peer_frame(p, frame), "opaque"), 1, body);
    peer_send(p, buf_view(&f));
    buf_free(&f);
}

static int n_broke;
static char broke[64];
static void on_broke(void *arg, const char *where)
{
    (void)arg;
    n_broke++;
    snprintf(broke, sizeof broke, "%s", where);
}

/* ---- answers ---- */
Test(caller, calls_share_a_connection_and_answers_find_their_call_by_opaque)
{
    start();
    struct asked a = {0}, b = {0}, c = {0};
    ask(&a, 5000);
    ask(&b, 5000);
    struct peer_end p = accept_one();
    ask(&c, 5000);
    cr_assert(peer_wait_frames(&p, 3));
    cr_assert(header_number(peer_frame(&p, 0), "code") == 105 && header_number(peer_frame(&p, 0), "flag") == 0);
    int32_t first = header_number(peer_frame(&p, 0), "opaque"), second = header_number(peer_frame(&p, 1), "opaque");
    cr_assert(first != second && second != header_number(peer_frame(&p, 2), "opaque"));
    answer(&p, 2, 17, "third");
    answer(&p, 0, 0, "first");
    answer(&p, 0, 0, "again"); /* an answer that comes twice is told once */
    answer(&p, 1, 0, "second");
    wait_told(&b);
    cr_assert(a.n == 1 && b.n == 1 && c.n == 1 && a.err == MQ_OK && c.code == 17);
    cr_assert_str_eq(a.body, "first");
    cr_assert_str_eq(c.body, "third");
    peer_end(&p);
    stop();
}

Test(caller, it_talks_to_a_server_of_ours)
{
    start();
    struct asked a = {0};
    snprintf(addr, sizeof addr, "127.0.0.1:%u", net.port);
    ask(&a, 5000);
    wait_told(&a);
    cr_assert(a.err == MQ_OK && a.code == 3);
    stop();
}

Test(caller, a_name_is_resolved_first)
{
    start();
    struct asked a = {0};
    char named[32];
    snprintf(named, sizeof named, "localhost%s", strrchr(addr, ':'));
    cr_assert(ask_at(&a, named, 5000, SLICE_LIT("kept")) == MQ_OK);
    struct command cmd = {.code = 34};
    cr_assert(caller_oneway(caller, named, &cmd) == MQ_OK);
    struct peer_end p = {.fd = -1};
    if (!net_until(accepted, &p, 2000)) { /* a host whose localhost is ::1: the call fails in words */
        wait_told(&a);
        cr_assert(a.err == MQ_EIO && strstr(a.words, "localhost"));
    } else {
        cr_assert(peer_wait_frames(&p, 2));
        cr_assert(frame_has(peer_frame(&p, 0), "kept") && header_number(peer_frame(&p, 1), "flag") == 2);
        answer(&p, 0, 0, "named");
        wait_told(&a);
        cr_assert(a.err == MQ_OK);
        peer_end(&p);
    }
    stop();
}

Test(caller, one_ways_go_out_and_expect_nothing)
{
    start();
    struct command cmd = {.code = 15, .body = SLICE_LIT("x")};
    cr_assert(caller_oneway(caller, addr, &cmd) == MQ_OK && cmd.flag == 0);
    struct peer_end p = accept_one();
    cr_assert(peer_wait_frames(&p, 1));
    cr_assert(header_number(peer_frame(&p, 0), "code") == 15 && header_number(peer_frame(&p, 0), "flag") == 2);
    peer_end(&p);
    stop();
}

/* ---- time ---- */
Test(caller, silence_ends_a_call_at_its_deadline_and_the_connection_stays)
{
    start();
    struct asked slow = {0}, fast = {0}, next = {0};
    ask(&slow, 1000);
    ask(&fast, 60);
    struct peer_end p = accept_one();
    wait_told(&fast);
    cr_assert(fast.err == MQ_ETIMEOUT && slow.n == 0, "after %lld ms", (long long)fast.took_ms);
    wait_told(&slow); /* the loop counts from the beginning of its turn, which may be some ms earlier than the call */
    cr_assert(slow.err == MQ_ETIMEOUT && slow.took_ms >= 500, "after %lld ms", (long long)slow.took_ms);
    cr_assert(peer_wait_frames(&p, 2));
    answer(&p, 0, 0, "too late");
    ask(&next, 5000);
    cr_assert(peer_wait_frames(&p, 3));
    answer(&p, 2, 0, "in time");
    wait_told(&next);
    cr_assert(next.err == MQ_OK && slow.n == 1 && n_broke == 0);
    peer_end(&p);
    stop();
}

Test(caller, a_timeout_of_nothing_is_a_timeout)
{
    start();
    struct asked a = {0}, b = {0};
    ask(&a, 0);
    ask(&b, -1000);
    wait_told(&a);
    wait_told(&b);
    cr_assert(a.err == MQ_ETIMEOUT && b.err == MQ_ETIMEOUT);
    stop();
}

Test(caller, a_peer_that_does_not_complete_the_connection_ends_the_call_with_eio)
{
    start_with(&(struct caller_config){.connect_ms = 80});
    close(listener);
    listen_somewhere(0);
    struct peer_end full[4]; /* the backlog is full: later handshakes hang */
    struct asked a = {0};
    for (int i = 0; i < 4; i++) {
        full[i] = (struct peer_end){.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        to.sin_port = htons((uint16_t)strtol(strrchr(addr, ':') + 1, NULL, 10));
        cr_assert(connect(full[i].fd, (struct sockaddr *)&to, sizeof to) == 0 || errno == EINPROGRESS);
    }
    ask(&a, 5000);
    wait_told(&a);
    cr_assert(a.err == MQ_EIO && a.took_ms < 3000 && strstr(a.words, addr), "%d after %lld ms: %s", a.err, (long long)a.took_ms, a.words);
    for (int i = 0; i < 4; i++)
        peer_end(&full[i]);
    stop();
}

Test(caller, a_name_that_nobody_knows_ends_the_call_in_time)
{
    start();
    struct asked a = {0};
    cr_assert(ask_at(&a, "no-such-host.invalid:9876", 400, (struct slice){0}) == MQ_OK);
    wait_told(&a);
    cr_assert((a.err == MQ_EIO || a.err == MQ_ETIMEOUT) && a.took_ms < 2000 && strstr(a.words, "no-such-host.invalid:9876"), "%s", a.words);
    stop();
}

/* ---- breaking ---- */
Test(caller, a_refused_connection_ends_the_call_with_eio_and_words)
{
    start();
    struct asked a = {0}, b = {0};
    caller_on_close(caller, on_broke, NULL);
    close(listener);
    ask(&a, 5000);
    ask(&b, 5000);
    wait_told(&a);
    wait_told(&b);
    cr_assert(a.err == MQ_EIO && b.err == MQ_EIO && strstr(a.words, addr), "%s", a.words);
    cr_assert(a.took_ms < 1000 && n_broke == 0); /* it never stood */
    listener = -1;
    stop();
}

Test(caller, a_callback_that_asks_a_refusing_peer_again_is_told_later_too)
{
    start();
    struct asked chain[4] = {0};
    for (int i = 0; i < 3; i++)
        chain[i].again = &chain[i + 1];
    close(listener);
    ask(&chain[0], 1000);
    wait_told(&chain[3]);
    for (int i = 0; i < 4; i++)
        cr_assert(chain[i].n == 1 && chain[i].err == MQ_EIO);
    listener = -1;
    stop();
}

Test(caller, a_peer_that_closes_ends_all_its_calls_once_and_the_next_call_connects_again)
{
    start();
    struct asked a = {0}, b = {0}, c = {0};
    caller_on_close(caller, on_broke, NULL);
    ask(&a, 5000);
    ask(&b, 5000);
    struct peer_end p = accept_one();
    cr_assert(peer_wait_frames(&p, 2));
    peer_end(&p);
    wait_told(&b);
    cr_assert(a.n == 1 && a.err == MQ_ECLOSED && b.err == MQ_ECLOSED && n_broke == 1);
    cr_assert_str_eq(broke, addr);
    ask(&c, 5000);
    p = accept_one();
    cr_assert(peer_wait_frames(&p, 1));
    answer(&p, 0, 0, "back");
    wait_told(&c);
    cr_assert(c.err == MQ_OK && a.n == 1 && b.n == 1);
    peer_end(&p);
    stop();
}

Test(caller, a_call_made_while_its_peer_closes_goes_over_a_new_connection)
{
    start();
    struct asked a = {0}, b = {0};
    a.again = &b;
    ask(&a, 5000);
    struct peer_end p = accept_one();
    peer_end(&p);
    wait_told(&a);
    p = accept_one();
    cr_assert(peer_wait_frames(&p, 1));
    answer(&p, 0, 0, "second try");
    wait_told(&b);
    cr_assert(a.err == MQ_ECLOSED && b.err == MQ_OK);
    peer_end(&p);
    stop();
}

Test(caller, an_answer_in_front_of_the_close_is_an_answer)
{
    start();
    struct asked a = {0}, b = {0};
    ask(&a, 5000);
    ask(&b, 5000);
    struct peer_end p = accept_one();
    cr_assert(peer_wait_frames(&p, 2));
    answer(&p, 0, 0, "last words");
    peer_end(&p);
    wait_told(&b);
    cr_assert(a.err == MQ_OK && b.err == MQ_ECLOSED);
    stop();
}

Test(caller, bytes_that_are_no_frame_break_the_connection_with_one_line)
{
    start();
    struct asked a = {0};
    ask(&a, 5000);
    struct peer_end p = accept_one();
    peer_send(&p, SLICE_LIT("HTTP/1.1 400 Bad Request\r\n\r\n"));
    wait_told(&a);
    cr_assert(a.err == MQ_EMALFORMED || a.err == MQ_ECLOSED);
    cr_assert(net_logged("malformed frame"));
    peer_end(&p);
    stop();
}

Test(caller, closing_an_address_ends_its_calls_and_no_others)
{
    start();
    struct asked a = {0}, other = {0};
    char second[32];
    ask(&a, 5000);
    struct peer_end p = accept_one();
    snprintf(second, sizeof second, "127.0.0.1:%u", net.port);
    cr_assert(ask_at(&other, second, 5000, (struct slice){0}) == MQ_OK);
    caller_close(caller, "127.0.0.1:1"); /* never heard of */
    caller_close(caller, addr);
    cr_assert(a.n == 1 && a.err == MQ_ECLOSED && other.n == 0);
    wait_told(&other);
    cr_assert(other.err == MQ_OK);
    cr_assert(peer_wait_closed(&p));
    peer_end(&p);
    stop();
}

Test(caller, an_idle_connection_is_closed)
{
    start_with(&(struct caller_config){.idle_ms = 100});
    struct command cmd = {.code = 15};
    caller_on_close(caller, on_broke, NULL);
    cr_assert(caller_oneway(caller, addr, &cmd) == MQ_OK);
    struct peer_end p = accept_one();
    cr_assert(peer_wait_closed(&p) && n_broke == 1);
    peer_end(&p);
    stop();
}

/* ---- bounds ---- */
Test(caller, beyond_the_limit_of_queued_bytes_a_call_ends_with_elimit_and_the_earlier_ones_stay)
{
    start_with(&(struct caller_config){.out_max = 100000});
    struct asked a = {0}, b = {0}, c = {0};
    static uint8_t big[60000];
    cr_assert(ask_at(&a, addr, 5000, slice_make(big, sizeof big)) == MQ_OK);
    cr_assert(ask_at(&b, addr, 5000, slice_make(big, sizeof big)) == MQ_OK); /* does not fit */
    cr_assert(ask_at(&c, addr, 5000, SLICE_LIT("small")) == MQ_OK);
    struct command cmd = {.code = 15, .body = slice_make(big, sizeof big)};
    cr_assert(caller_oneway(caller, addr, &cmd) == MQ_ELIMIT);
    wait_told(&b);
    cr_assert(b.err == MQ_ELIMIT && a.n == 0 && c.n == 0 && strstr(b.words, addr), "%s", b.words);
    struct peer_end p = accept_one();
    cr_assert(peer_wait_frames(&p, 2));
    cr_assert(frame_has(peer_frame(&p, 1), "small"));
    answer(&p, 0, 0, "");
    answer(&p, 1, 0, "");
    wait_told(&a);
    cr_assert(a.err == MQ_OK && c.err == MQ_OK);
    peer_end(&p);
    stop();
}

Test(caller, addresses_that_are_none_are_refused_at_once)
{
    start();
    const char *bad[] = {"", ":", "127.0.0.1", "127.0.0.1:", ":9876", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:x", "127.0.0.1:98765432"};
    struct asked a = {0};
    struct command cmd = {.code = 15};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_expect(ask_at(&a, bad[i], 100, (struct slice){0}) == MQ_EINVAL, "accepted '%s'", bad[i]);
        cr_expect(caller_oneway(caller, bad[i], &cmd) == MQ_EINVAL, "accepted '%s'", bad[i]);
    }
    net_run(20);
    cr_assert(a.n == 0);
    stop();
}

/* ---- from the other side ---- */
static enum handled on_check(void *ctx, const struct request *rq, struct reply *out)
{
    (*(int *)ctx)++;
    buf_slice(&out->body, rq->cmd->body);
    return HANDLED_NOW;
}

Test(caller, requests_of_the_other_side_go_to_the_routes_and_are_answered)
{
    start();
    int seen = 0;
    struct request_route route = {39, on_check, &seen};
    cr_assert(caller_route(caller, &route, 1) == MQ_OK);
    struct asked a = {0};
    ask(&a, 5000);
    struct peer_end p = accept_one();
    cr_assert(peer_wait_frames(&p, 1));
    struct buf f = {0};
    int32_t mine = header_number(peer_frame(&p, 0), "opaque");
    frame_request(&f, 39, mine, 0, "check"); /* a request with the number of our call is no answer to it */
    frame_request(&f, 999, 8, 0, "");
    peer_send(&p, buf_view(&f));
    cr_assert(peer_wait_frames(&p, 3));
    cr_assert(seen == 1 && a.n == 0);
    cr_assert(header_number(peer_frame(&p, 1), "flag") == 1 && header_number(peer_frame(&p, 1), "opaque") == mine && frame_has(peer_frame(&p, 1), "check"));
    cr_assert(header_number(peer_frame(&p, 2), "code") == 3);
    answer(&p, 0, 0, "");
    wait_told(&a);
    buf_free(&f);
    peer_end(&p);
    stop();
}

/* ---- ending ---- */
Test(caller, ending_it_ends_pending_calls_once_and_refuses_new_ones_meanwhile)
{
    start();
    struct asked open = {0}, connecting = {0}, refused = {0}, resolving = {0}, again = {0};
    open.again = &again; /* tries to ask inside caller_free() */
    ask(&open, 5000);
    struct peer_end p = accept_one();
    cr_assert(peer_wait_frames(&p, 1));
    char second[32];
    snprintf(second, sizeof second, "127.0.0.1:%u", net.port);
    cr_assert(ask_at(&connecting, second, 5000, (struct slice){0}) == MQ_OK);
    cr_assert(ask_at(&refused, "127.0.0.1:1", 5000, (struct slice){0}) == MQ_OK);
    char named[32];
    snprintf(named, sizeof named, "localhost%s", strrchr(addr, ':'));
    cr_assert(ask_at(&resolving, named, 5000, (struct slice){0}) == MQ_OK);
    caller_free(caller);
    caller = NULL;
    cr_assert(open.n == 1 && open.err == MQ_ECLOSED);
    cr_assert(connecting.n == 1 && refused.n == 1 && resolving.n == 1 && again.n == 0);
    net_run(30);
    cr_assert(open.n == 1 && connecting.n == 1 && refused.n == 1 && resolving.n == 1 && again.n == 0);
    peer_end(&p);
    stop();
    caller_free(NULL);
}

Test(caller, what_is_queued_can_be_written_before_the_turns_end)
{
    start();
    struct asked a = {0};
    struct command cmd = {.code = 104};
    cr_assert(caller_oneway(caller, addr, &cmd) == MQ_OK);
    cr_assert(!caller_flush(caller)); /* not connected yet */
    struct peer_end p = accept_one();
    cr_assert(peer_wait_frames(&p, 1));
    ask(&a, 5000);
    cr_assert(caller_flush(caller));
    usleep(1000);
    cr_assert(peer_frames(&p, 2)); /* the loop did not run */
    peer_end(&p);
    stop();
}

Test(caller, each_allocation_of_a_call_may_fail_and_it_is_told_once_or_never)
{
    start();
    net_run(2);
    struct command cmd = {.code = 105, .body = SLICE_LIT("body")};
    for (uint64_t n = 1; n < 25; n++) {
        struct caller *c = NULL;
        struct asked a = {0};
        mem_fail_after(n);
        enum mq_err err = caller_new(net.loop, NULL, &c, NULL);
        if (err == MQ_OK)
            err = caller_call(c, addr, &cmd, 50, on_told, &a);
        mem_fail_after(0);
        cr_assert(err == MQ_OK || err == MQ_ENOMEM, "allocation %llu: %d", (unsigned long long)n, err);
        net_run(err == MQ_OK ? 80 : 5);
        cr_assert(a.n == (err == MQ_OK), "allocation %llu: told %d times", (unsigned long long)n, a.n);
        caller_free(c);
        cr_assert(a.n == (err == MQ_OK));
    }
    stop();
}
