/* memory.c - a server whose memory is short: who has a backlog is closed, who has none is served, and nobody new comes in. */
#include "net.h"

#include <string.h>
#include <unistd.h>

#include "common/base/mem.h"

enum { BIG = 13, ECHO = 10, SLOW = 4, MIB = 1 << 20 };
static struct budget budget;
static int handled, closed;

static void on_closed(void *ctx, const struct peer *p)
{
    (void)ctx, (void)p;
    closed++;
}
static enum handled big(void *ctx, const struct request *rq, struct reply *out)
{
    (void)ctx, (void)rq;
    static const uint8_t zeros[65536];
    handled++;
    buf_put(&out->body, zeros, sizeof zeros);
    return HANDLED_NOW;
}
static enum handled echo(void *ctx, const struct request *rq, struct reply *out)
{
    (void)ctx;
    buf_slice(&out->body, rq->cmd->body);
    return HANDLED_NOW;
}
static const struct request_route routes[] = {{BIG, big, NULL}, {ECHO, echo, NULL}};

static void start(void)
{
    budget = (struct budget){0};
    handled = closed = 0;
    net_start(&(struct server_config){.budget = &budget}, &(struct server_events){.closed = on_closed});
    cr_assert(server_route(net.server, routes, 2) == MQ_OK);
}
static void leave_room(uint64_t bytes) { budget.limit = mem_used() + bytes; }
static bool echoes(struct peer_end *p, size_t nth)
{
    struct buf b = {0};
    frame_request(&b, ECHO, (int)nth, 0, "hello");
    peer_send(p, buf_view(&b));
    buf_free(&b);
    return peer_wait_frames(p, nth) && frame_has(peer_frame(p, nth - 1), "hello");
}
static bool is_closed(void *arg) { return closed >= *(int *)arg; }
TestSuite(memory, .init = start, .fini = net_stop);

Test(memory, slow_readers_are_closed_before_anybody_who_reads)
{
    struct peer_end good = peer_connect(net.port), slow[SLOW];
    struct buf ask = {0};
    cr_assert(echoes(&good, 1));
    for (int i = 0; i < 1000; i++)
        frame_request(&ask, BIG, i, 0, "");
    for (int i = 0; i < SLOW; i++)
        slow[i] = peer_connect(net.port);
    net_run(50);
    leave_room(2 * MIB);
    for (int i = 0; i < SLOW; i++) {
        peer_send(&slow[i], buf_view(&ask));
        net_run(20);
        cr_expect(mem_used() < budget.limit + MIB, "%llu of %llu", (unsigned long long)mem_used(), (unsigned long long)budget.limit);
    }
    cr_assert(echoes(&good, 2), "who reads is served");
    budget.limit = mem_used(); /* now those that are left hold too much */
    int one = 1;
    cr_assert(net_until(is_closed, &one, 5000), "a backlog is closed");
    cr_assert(echoes(&good, 3) && !good.closed);
    cr_expect(handled < SLOW * 1000, "nobody got all he asked for into the memory");
    struct server_stats s;
    server_get_stats(net.server, &s);
    cr_expect(s.refused >= 1 && net_logged("the largest backlogs are closed"));
    buf_free(&ask);
    for (int i = 0; i < SLOW; i++)
        peer_end(&slow[i]);
    peer_end(&good);
}

Test(memory, halves_of_large_frames_are_a_backlog_too)
{
    struct peer_end good = peer_connect(net.port), half = peer_connect(net.port);
    static uint8_t part[3 * MIB] = {0, 0x40, 0, 0, 0, 0, 0, 2}; /* 4 MiB are announced */
    cr_assert(echoes(&good, 1));
    leave_room(MIB);
    struct slice rest = slice_make(part, sizeof part);
    for (size_t at = 0; at < rest.n && closed == 0; at += 65536) {
        peer_send(&half, slice_make(part + at, 65536));
        net_run(1);
        cr_expect(mem_used() < budget.limit + 2 * MIB);
    }
    cr_expect(peer_wait_closed(&half));
    cr_assert(echoes(&good, 2));
    peer_end(&half);
    peer_end(&good);
}

Test(memory, accepting_pauses_and_goes_on)
{
    struct peer_end first = peer_connect(net.port);
    cr_assert(echoes(&first, 1));
    budget.limit = mem_used();
    struct peer_end second = peer_connect(net.port); /* the kernel takes it */
    struct buf b = {0};
    frame_request(&b, ECHO, 1, 0, "hello");
    peer_send(&second, buf_view(&b));
    net_run(300);
    cr_expect(!peer_frames(&second, 1), "nobody new");
    cr_assert(echoes(&first, 2), "who was there goes on");
    cr_expect(net_logged("accepting pauses reason=memoryLimit reached: "));
    budget.limit = 0;
    cr_assert(peer_wait_frames(&second, 1), "and who waited gets in");
    buf_free(&b);
    peer_end(&first);
    peer_end(&second);
}
