/* clock.c - when what runs: the hooks of a turn, and as few timers as possible.
 *
 *   TURN_STORE   put the delayed messages that are due; check open transactions; write this turn's batch (its listener releases acks and notes
 *                arrivals); let connections whose send waits go on
 *   TURN_WAKE    wake parked pulls of queues that grew; answer what is late; arm the next deadline
 *   store timer  when message_store_tick() wants to be called: it says so itself, and a write brings it forward
 *   deadline     the earliest of all acks, waiting connections, parked pulls, delayed messages and rounds of checks. It is moved only to an
 *                earlier time: when it fires too early, it just arms itself anew, which is cheaper than moving it with each pull that is
 *                answered in time
 *   10 s         silent clients, ended queue locks, statistics, consumer filters of the long gone, tables whose last write failed
 *   5 s          consumer offsets (flushConsumerOffsetInterval)
 *   10 s         how far delay levels are delivered (flushDelayOffsetInterval)
 * With nothing to do that makes less than one wake-up a second.   (test: integration/lifecycle, an idle broker) */
#include "broker/ack/ack_queue.h"
#include "broker/broker_internal.h"
#include "broker/filter/consumer_filters.h"
#include "broker/metadata/groups.h"
#include "broker/metadata/offsets.h"
#include "broker/processor/send_message.h"
#include "broker/stats/stats.h"
#include "broker/transaction/transactions.h"

enum { STORE_SOON_MS = 100, STORE_PAUSE_MS = 10, DELAYS_PAUSE_MS = 10, CHORES_MS = 10000, CLIENT_SILENT_MS = 120000 };

static int64_t after(const struct broker *b, int64_t in_ms)
{
    int64_t now = loop_mono_ms(b->loop);
    return in_ms > INT64_MAX - now ? INT64_MAX : now + in_ms;
}

/* ---- the store ---- */
static void arm_store(struct broker *b, int64_t in_ms)
{
    b->store_due_ms = after(b, in_ms);
    if (b->store_due_ms == INT64_MAX)
        loop_timer_stop(&b->store_timer);
    else
        loop_timer_start(&b->store_timer, in_ms, 0);
}

static void on_store_timer(void *arg)
{
    struct broker *b = arg;
    int64_t in_ms = message_store_tick(b->core.store, (struct store_now){loop_now_ms(b->loop), loop_mono_ms(b->loop)});
    arm_store(b, in_ms < STORE_PAUSE_MS ? STORE_PAUSE_MS : in_ms); /* it says 1 while a worker is busy with what is due */
}

static int64_t patience_ends(const struct broker *b) /* of the connection that waits longest */
{
    int64_t since = server_waits_since(b->server);
    return since == INT64_MAX ? INT64_MAX : since + send_message_patience(&b->core);
}

static bool may_go_on(const struct broker *b)
{
    int64_t ends = patience_ends(b);
    return ends != INT64_MAX && (b->core.pressure == PRESSURE_NONE || b->stopping || ends <= loop_mono_ms(b->loop));
}

static void write_turn(struct broker *b)
{
    message_store_turn(b->core.store, loop_mono_ms(b->loop));
    send_message_press(&b->core);
}

/* Sends and delayed messages take turns: while sends must wait for the disk, so do these, and then they are first. */
static void deliver_due(struct broker *b)
{
    if (!b->stopping && schedule_due(b->core.schedule) <= loop_mono_ms(b->loop))
        schedule_run(b->core.schedule, loop_now_ms(b->loop), loop_mono_ms(b->loop));
}

static int64_t delays_due(const struct broker *b)
{
    int64_t due = schedule_due(b->core.schedule), soon = after(b, DELAYS_PAUSE_MS);
    if (b->stopping)
        return INT64_MAX;
    return b->core.pressure != PRESSURE_NONE && due < soon ? soon : due;
}

static int64_t check_transactions(struct broker *b, bool pressed)
{
    return transactions_run(b->core.transactions, loop_now_ms(b->loop), loop_mono_ms(b->loop), pressed || b->stopping);
}

static void at_store(void *arg)
{
    struct broker *b = arg;
    bool pressed = b->core.pressure != PRESSURE_NONE;
    b->wrote = false;
    b->transactions_due_ms = check_transactions(b, pressed);
    if (!pressed)
        deliver_due(b);
    write_turn(b);
    if (may_go_on(b)) {
        if (pressed)
            deliver_due(b);
        while (may_go_on(b) && server_resume(b->server)) {
        }
        write_turn(b); /* what was just put is answered in this turn */
    }
    if (b->wrote && b->store_due_ms > after(b, STORE_SOON_MS))
        arm_store(b, STORE_SOON_MS);
}

/* ---- deadlines ---- */
static void on_deadline(void *arg) { ((struct broker *)arg)->deadline_due_ms = INT64_MAX; }

static int64_t earlier(int64_t a, int64_t b) { return a < b ? a : b; }

/* Nobody waits for us, and what a stop leaves on the disk is exact. */
static bool may_stop(const struct broker *b)
{
    return b->farewell_done && ack_queue_count(b->core.acks) == 0 && list_empty(&b->unanswered) && patience_ends(b) == INT64_MAX &&
           (b->failed || transactions_settled(b->core.transactions));
}

static void at_wake(void *arg)
{
    struct broker *b = arg;
    int64_t now = loop_mono_ms(b->loop);
    longpoll_run_arrivals(b->core.longpoll);
    int64_t due = longpoll_run_deadlines(b->core.longpoll, b->stopping ? INT64_MAX : now);
    due = earlier(due, send_message_deadlines(&b->core, now));
    due = earlier(due, patience_ends(b));
    due = earlier(due, b->transactions_due_ms);
    due = earlier(due, delays_due(b));
    if (due < b->deadline_due_ms) {
        b->deadline_due_ms = due;
        loop_timer_start(&b->deadline_timer, due > now ? due - now : 0, 0);
    }
    if (b->stopping && may_stop(b))
        loop_stop(b->loop);
}

/* ---- chores ---- */
static void close_silent(void *arg, uint64_t conn_id)
{
    const struct outbox *outbox = ((struct broker *)arg)->core.outbox;
    outbox->close(outbox->ctx, conn_id);
}

static void heard(void *arg, uint64_t conn_id)
{
    struct broker *b = arg;
    sessions_conn_heard(b->core.sessions, conn_id, loop_mono_ms(b->loop));
}

static void on_chores(void *arg)
{
    struct broker *b = arg;
    server_each_waiting(b->server, heard, b); /* nobody is silent to whom we do not listen */
    sessions_expire(b->core.sessions, loop_mono_ms(b->loop), CLIENT_SILENT_MS, close_silent, b);
    stats_sample(b->core.stats, loop_now_ms(b->loop), loop_mono_ms(b->loop));
    topics_retry_save(b->core.topics);
    groups_retry_save(b->core.groups);
    queue_locks_expire(b->core.locks, loop_mono_ms(b->loop));
    config_file_retry(b->locks_file);
    consumer_filters_chores(b->core.filters, loop_now_ms(b->loop));
}

static void on_offsets(void *arg) { offsets_save_if_dirty(((struct broker *)arg)->core.offsets); }
static void on_delays(void *arg)
{
    struct broker *b = arg;
    schedule_save(b->core.schedule, b->core.log_end);
}

static void on_failed_long_enough(void *arg) { broker_stop(arg); }
static void on_stop_late(void *arg) { loop_stop(((struct broker *)arg)->loop); }

bool broker_clock_start(struct broker *b)
{
    b->at_store = (struct loop_hook){.fn = at_store, .arg = b};
    b->at_wake = (struct loop_hook){.fn = at_wake, .arg = b};
    loop_hook_add(b->loop, TURN_STORE, &b->at_store);
    loop_hook_add(b->loop, TURN_WAKE, &b->at_wake);
    loop_timer_init(&b->store_timer, b->loop, on_store_timer, b);
    loop_timer_init(&b->deadline_timer, b->loop, on_deadline, b);
    loop_timer_init(&b->chores_timer, b->loop, on_chores, b);
    loop_timer_init(&b->offsets_timer, b->loop, on_offsets, b);
    loop_timer_init(&b->delays_timer, b->loop, on_delays, b);
    loop_timer_init(&b->stop_timer, b->loop, on_stop_late, b);
    loop_timer_init(&b->failed_timer, b->loop, on_failed_long_enough, b);
    b->deadline_due_ms = INT64_MAX;
    arm_store(b, 0);
    return loop_timer_start(&b->chores_timer, CHORES_MS, CHORES_MS) &&
           loop_timer_start(&b->offsets_timer, b->config.flush_consumer_offset_ms, b->config.flush_consumer_offset_ms) &&
           loop_timer_start(&b->delays_timer, b->config.flush_delay_offset_ms, b->config.flush_delay_offset_ms);
}

void broker_clock_stop(struct broker *b)
{
    loop_hook_remove(&b->at_store);
    loop_hook_remove(&b->at_wake);
    loop_timer_stop(&b->store_timer);
    loop_timer_stop(&b->deadline_timer);
    loop_timer_stop(&b->chores_timer);
    loop_timer_stop(&b->offsets_timer);
    loop_timer_stop(&b->delays_timer);
    loop_timer_stop(&b->stop_timer);
    loop_timer_stop(&b->failed_timer);
}
