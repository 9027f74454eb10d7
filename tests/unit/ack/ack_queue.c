/* ack_queue.c - answers in waiting: released in order, once, and never before their condition. */
#include "outbox.h"

#include "broker/ack/ack_queue.h"
#include "common/base/mem.h"

static struct ack_queue *q;
static const struct host host = {.ip = {192, 0, 2, 7}, .port = 10911};
static const char *region = "DefaultRegion";
static bool trace_on = true;

static void start(void)
{
    const struct ack_setup setup = {&notes, &host, &region, &trace_on};
    cr_assert(ack_queue_new(&setup, &q) == MQ_OK);
}
static void stop(void) { ack_queue_free(q); }
TestSuite(ack_queue, .init = start, .fini = stop);

static struct ack *add(enum ack_until until, uint64_t end_off, int32_t opaque)
{
    struct ack *a = ack_queue_add(q, until, end_off);
    cr_assert(a != NULL);
    a->to = (struct ticket){.conn_id = 1, .opaque = opaque};
    a->late_code = RES_FLUSH_DISK_TIMEOUT;
    return a;
}

Test(ack_queue, releases_in_order_what_the_figure_covers_and_nothing_else)
{
    add(ACK_WRITTEN, 100, 1);
    add(ACK_WRITTEN, 200, 2);
    add(ACK_WRITTEN, 200, 3);
    add(ACK_WRITTEN, 300, 4);
    ack_queue_reached(q, ACK_WRITTEN, 99);
    cr_assert(n_left == 0 && ack_queue_count(q) == 4);
    ack_queue_reached(q, ACK_WRITTEN, 200);
    cr_assert(n_left == 3 && out_of[0].opaque == 1 && out_of[1].opaque == 2 && out_of[2].opaque == 3 && ack_queue_count(q) == 1);
    ack_queue_reached(q, ACK_WRITTEN, 200);
    ack_queue_reached(q, ACK_WRITTEN, 1000);
    ack_queue_reached(q, ACK_WRITTEN, 2000);
    cr_assert(n_left == 4 && ack_queue_count(q) == 0);
}

Test(ack_queue, written_does_not_release_who_waits_for_the_medium)
{
    add(ACK_FLUSHED, 100, 1);
    add(ACK_WRITTEN, 200, 2);
    ack_queue_reached(q, ACK_WRITTEN, 500);
    cr_assert(n_left == 1 && out_of[0].opaque == 2);
    ack_queue_reached(q, ACK_FLUSHED, 100);
    cr_assert(n_left == 2 && out_of[1].opaque == 1 && out_of[1].code == RES_SUCCESS);
}

Test(ack_queue, an_answer_has_what_clients_read)
{
    struct ack *a = add(ACK_WRITTEN, 100, 1);
    a->queue_id = 3;
    a->queue_off = 77;
    a->phys_off = 0x1122334455;
    ack_queue_reached(q, ACK_WRITTEN, 100);
    /* ip(4) port(4) place(8), upper-case hex: docs/protocol.md */
    cr_assert_str_eq(out_of[0].ext, "msgId=C000020700002A9F0000001122334455;queueId=3;queueOffset=77;MSG_REGION=DefaultRegion;TRACE_ON=true;");
    cr_assert(out_of[0].code == 0 && out_of[0].remark[0] == '\0');
}

Test(ack_queue, a_bare_answer_is_its_code_alone)
{
    struct ack *a = add(ACK_WRITTEN, 100, 1);
    a->bare = true;
    a->phys_off = 5;
    add(ACK_WRITTEN, 100, 2); /* in a place of its own: bare no longer */
    ack_queue_reached(q, ACK_WRITTEN, 100);
    cr_assert_str_eq(out_of[0].ext, "");
    cr_assert(out_of[0].code == RES_SUCCESS && out_of[1].ext[0] != '\0');
}

Test(ack_queue, ids_of_a_batch_and_transaction_ids_of_both_lengths_are_told)
{
    static const char long_id[] = "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789";
    struct ack *a = add(ACK_WRITTEN, 100, 1);
    a->ids = mem_strdup("ID1,ID2");
    memcpy(a->id, "SHORT", 5);
    a->n_id = 5;
    a = add(ACK_WRITTEN, 100, 2);
    a->long_id = mem_strdup(long_id);
    a = add(ACK_WRITTEN, 100, 3); /* uses no id of an earlier waiter in its place */
    region = "eu";
    trace_on = false; /* live keys: what they are when it is answered */
    ack_queue_reached(q, ACK_WRITTEN, 100);
    cr_assert_str_eq(out_of[0].ext, "msgId=ID1,ID2;queueId=0;queueOffset=0;transactionId=SHORT;MSG_REGION=eu;TRACE_ON=false;");
    cr_assert(strstr(out_of[1].ext, long_id) != NULL && strstr(out_of[2].ext, "transactionId") == NULL);
}

Test(ack_queue, a_slaveless_masters_code_is_kept)
{
    struct ack *a = add(ACK_WRITTEN, 100, 1);
    a->ok_code = RES_SLAVE_NOT_AVAILABLE;
    ack_queue_reached(q, ACK_WRITTEN, 100);
    cr_assert(out_of[0].code == RES_SLAVE_NOT_AVAILABLE && strstr(out_of[0].ext, "msgId=") != NULL);
}

Test(ack_queue, late_ones_get_their_code_with_a_whole_header_and_the_next_deadline_is_named)
{
    add(ACK_FLUSHED, 100, 1)->deadline_ms = 5000;
    add(ACK_FLUSHED, 200, 2)->deadline_ms = 6000;
    cr_assert(ack_queue_deadlines(q, 4999) == 5000 && n_left == 0);
    cr_assert(ack_queue_deadlines(q, 5000) == 6000 && n_left == 1);
    cr_assert(out_of[0].opaque == 1 && out_of[0].code == RES_FLUSH_DISK_TIMEOUT && strstr(out_of[0].ext, "queueOffset=0;"));
    ack_queue_reached(q, ACK_FLUSHED, 200); /* the late one is not told again */
    cr_assert(n_left == 2 && out_of[1].opaque == 2 && out_of[1].code == RES_SUCCESS);
    cr_assert(ack_queue_deadlines(q, INT64_MAX) == INT64_MAX);
}

Test(ack_queue, after_a_failure_nobody_hears_success)
{
    add(ACK_FLUSHED, 100, 1);
    add(ACK_FLUSHED, 200, 2);
    add(ACK_WRITTEN, 150, 3);
    add(ACK_WRITTEN, 250, 4)->ids = mem_strdup("freed");
    ack_queue_fail(q, 120, "the log failed: write commitlog/0");
    cr_assert(n_left == 4 && ack_queue_count(q) == 0);
    for (int i = 0; i < 4; i++) {
        bool uncertain = out_of[i].opaque == 1; /* in the file, its fate on the medium unknown */
        cr_expect(out_of[i].code == (uncertain ? RES_FLUSH_DISK_TIMEOUT : RES_SERVICE_NOT_AVAILABLE), "opaque %d: code %d", out_of[i].opaque, out_of[i].code);
        cr_expect(uncertain || strcmp(out_of[i].remark, "the log failed: write commitlog/0") == 0);
    }
    ack_queue_fail(q, 120, "again");
    cr_assert(n_left == 4);
}

Test(ack_queue, a_ring_that_wraps_and_grows_keeps_order)
{
    int32_t in = 0;
    int out = 0;
    for (int round = 0; round < 400; round++) {
        for (int i = 0; i < round % 7 + 1; i++, in++)
            add(ACK_WRITTEN, (uint64_t)in, in);
        n_left = 0;
        ack_queue_reached(q, ACK_WRITTEN, (uint64_t)(in - round / 4 - 2 < 0 ? 0 : in - round / 4 - 2)); /* ever more stay behind */
        for (int i = 0; i < n_left; i++)
            cr_assert(out_of[i].opaque == out++);
    }
    n_left = 0;
    ack_queue_reached(q, ACK_WRITTEN, UINT64_MAX);
    for (int i = 0; i < n_left; i++)
        cr_assert(out_of[i].opaque == out++);
    cr_assert(out == in && ack_queue_count(q) == 0);
}

Test(ack_queue, ending_with_waiters_frees_them_without_an_answer)
{
    add(ACK_WRITTEN, 1, 1)->ids = mem_strdup("one");
    add(ACK_FLUSHED, 1, 2)->long_id = mem_strdup("two");
    ack_queue_free(q);
    cr_assert(n_left == 0);
    ack_queue_free(NULL);
    start();
}

Test(ack_queue, without_memory_there_is_no_place_and_those_who_wait_are_as_before)
{
    mem_fail_after(1);
    cr_assert(ack_queue_add(q, ACK_WRITTEN, 5) == NULL);
    mem_fail_after(0);
    for (int i = 0; i < 64; i++) /* the first ring is full then */
        add(ACK_WRITTEN, 10, i);
    mem_fail_after(1);
    cr_assert(ack_queue_add(q, ACK_WRITTEN, 20) == NULL);
    struct ack_queue *none = NULL;
    const struct ack_setup setup = {&notes, &host, &region, &trace_on};
    cr_assert(ack_queue_new(&setup, &none) == MQ_ENOMEM && none == NULL);
    mem_fail_after(0);
    add(ACK_WRITTEN, 10, 64);
    ack_queue_reached(q, ACK_WRITTEN, 10);
    cr_assert(n_left == 65 && out_of[64].opaque == 64);
}
