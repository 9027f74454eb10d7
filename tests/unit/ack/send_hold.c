/* send_hold.c - sends that wait for room: copies, in order, bounded, each answered once. */
#include "outbox.h"

#include "broker/ack/send_hold.h"
#include "common/base/mem.h"

static struct send_hold *h;
static int busy_from; /* the store is busy for opaques from here on */
static int32_t later, none;
static char tried[256];

static int on_retry(void *ctx, const struct request *rq, struct reply *out)
{
    size_t n = strlen(tried);
    struct slice topic = {0};
    (void)ctx;
    if (rq->cmd->opaque >= busy_from)
        return SEND_STILL_BUSY;
    command_ext(rq->cmd, "topic", &topic);
    snprintf(tried + n, sizeof tried - n, "%d:%.*s:%.*s:%.*s@%lld ", rq->cmd->opaque, SLICE_ARG(topic), SLICE_ARG(rq->cmd->body), SLICE_ARG(rq->cmd->remark),
             (long long)rq->now_ms);
    cr_assert(arena_alloc(rq->arena, 100) != NULL && rq->ticket.opaque == rq->cmd->opaque);
    cr_assert_str_eq(rq->peer->addr, "10.0.0.1:5");
    reply_int(out, "queueId", rq->cmd->opaque);
    return rq->cmd->opaque == later ? HANDLED_LATER : rq->cmd->opaque == none ? HANDLED_NONE : HANDLED_NOW;
}

static void start_with(size_t sends, size_t bytes)
{
    const struct send_hold_setup setup = {NULL, on_retry, &notes, sends, bytes};
    send_hold_free(h);
    cr_assert(send_hold_new(&setup, &h) == MQ_OK);
}
static void start(void)
{
    later = none = -1;
    start_with(8, 100000);
}
static void stop(void) { send_hold_free(h); }
TestSuite(send_hold, .init = start, .fini = stop);

/* The request's bytes are gone when the call returns. */
static bool hold(int32_t opaque, const char *body, int64_t deadline)
{
    char topic[] = "topic", key[] = "topic", text[64], remark[] = "r";
    snprintf(text, sizeof text, "%s", body);
    struct ext_field ext[2] = {{slice_str(key), slice_str(topic)}, {SLICE_LIT("empty"), SLICE_LIT("")}};
    struct command cmd = {.code = 310, .opaque = opaque, .ext = ext, .n_ext = 2, .body = slice_str(text), .remark = slice_str(remark)};
    struct peer peer = {.conn_id = 9, .addr = "10.0.0.1:5"};
    struct request rq = {.cmd = &cmd, .peer = &peer, .ticket = {.conn_id = 9, .opaque = opaque}};
    bool held = send_hold_add(h, &rq, 0, deadline);
    memset(topic, 'x', sizeof topic - 1);
    memset(key, 'x', sizeof key - 1);
    memset(text, 'x', sizeof text - 1);
    memset(&peer, 'x', sizeof peer);
    remark[0] = 'x';
    return held;
}

Test(send_hold, the_wait_of_the_first_is_known)
{
    cr_assert(send_hold_head_wait(h, 700) == 0);
    cr_assert(hold(1, "a", 1000) && send_hold_head_wait(h, 700) == 700);
    cr_assert(send_hold_deadlines(h, 1000) == INT64_MAX && send_hold_head_wait(h, 1000) == 0);
}

Test(send_hold, held_sends_run_in_order_until_the_store_is_busy_again)
{
    cr_assert(hold(1, "a", 100) && hold(2, "b", 100) && hold(3, "", 100));
    busy_from = 0;
    send_hold_run(h, 7);
    cr_assert(n_left == 0 && send_hold_count(h) == 3);
    busy_from = 3;
    send_hold_run(h, 8);
    cr_assert_str_eq(tried, "1:topic:a:r@8 2:topic:b:r@8 ");
    cr_assert(n_left == 2 && out_of[0].opaque == 1 && out_of[1].opaque == 2 && send_hold_count(h) == 1);
    cr_assert_str_eq(out_of[1].ext, "queueId=2;"); /* nothing of the first one's answer */
    busy_from = 100;
    send_hold_run(h, 9);
    cr_assert(n_left == 3 && send_hold_count(h) == 0);
    send_hold_run(h, 10);
    cr_assert(n_left == 3);
}

Test(send_hold, who_answers_later_or_never_is_not_answered_here)
{
    busy_from = 100;
    later = 1;
    none = 2;
    cr_assert(hold(1, "a", 100) && hold(2, "b", 100) && hold(3, "c", 100));
    send_hold_run(h, 1);
    cr_assert(n_left == 1 && out_of[0].opaque == 3 && send_hold_count(h) == 0);
}

Test(send_hold, late_ones_hear_system_busy_in_words_and_the_next_deadline_is_named)
{
    cr_assert(hold(1, "a", 100) && hold(2, "b", 200));
    cr_assert(send_hold_deadlines(h, 99) == 100 && n_left == 0);
    cr_assert(send_hold_deadlines(h, 100) == 200 && n_left == 1);
    cr_assert(out_of[0].opaque == 1 && out_of[0].code == RES_SYSTEM_BUSY && strstr(out_of[0].remark, "[TIMEOUT_CLEAN_QUEUE]broker busy") == out_of[0].remark);
    cr_assert(send_hold_deadlines(h, 1000) == INT64_MAX && n_left == 2);
}

Test(send_hold, all_can_be_refused_with_words)
{
    cr_assert(hold(1, "a", 100) && hold(2, "b", 200));
    send_hold_refuse(h, RES_SERVICE_NOT_AVAILABLE, "the log failed");
    cr_assert(n_left == 2 && send_hold_count(h) == 0 && out_of[1].code == RES_SERVICE_NOT_AVAILABLE);
    cr_assert_str_eq(out_of[1].remark, "the log failed");
}

Test(send_hold, count_and_bytes_are_bounded_and_room_comes_back)
{
    for (int i = 0; i < 8; i++)
        cr_assert(hold(i, "x", 100));
    cr_assert(!hold(8, "x", 100) && send_hold_count(h) == 8);
    busy_from = 1;
    send_hold_run(h, 1);
    cr_assert(hold(9, "x", 100));
    start_with(1000, 2000);
    int n = 0;
    while (hold(n, "x", 100))
        n++;
    cr_assert(n > 1 && n < 20, "%d held in 2,000 bytes", n);
    busy_from = 1000;
    send_hold_run(h, 1);
    for (int i = 0; i < n; i++)
        cr_assert(hold(i, "x", 100));
    cr_assert(!hold(n, "x", 100));
}

Test(send_hold, without_memory_nothing_is_held)
{
    mem_fail_after(1);
    cr_assert(!hold(1, "a", 100));
    struct send_hold *no = NULL;
    const struct send_hold_setup setup = {NULL, on_retry, &notes, 1, 1};
    cr_assert(send_hold_new(&setup, &no) == MQ_ENOMEM && no == NULL);
    mem_fail_after(0);
    cr_assert(send_hold_count(h) == 0 && send_hold_deadlines(h, INT64_MAX) == INT64_MAX && n_left == 0);
    send_hold_free(NULL);
}
