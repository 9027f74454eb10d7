/* schedule.c - the heads of the levels' queues, and what is due put where it belongs.
 *
 *   unknown --look at the queue's units--> a due time --it comes--> read, put --> unknown, until the queue's end --arrived--> unknown
 * A unit's tags code is its due time, so the queue alone says what is due; records are read when they are delivered. Levels take turns, and a run
 * ends after a share of messages and bytes, so that sends get their part of each turn.
 *   I1  a message is delivered at least once, in its level's order; delivered again only after an unclean stop.
 *                                                                             (test: unit/schedule, integration/delays)
 *   I2  what can never be delivered costs itself, not its level: it is logged with its place and passed over.      (test: unit/schedule)
 *   I3  never before its time, as far as the clock knows it: see time_now().                                       (test: unit/schedule)
 * Why 1 s is the longest sleep while something waits: a wall clock that is set forward fires no timer. */
#include "broker/schedule/schedule.h"

#include <inttypes.h>

#include "broker/schedule/delay.h"
#include "broker/schedule/delay_offsets.h"
#include "common/base/log.h"
#include "common/base/mem.h"

enum { LOOK = 64, RUN_MESSAGES = 64, RUN_BYTES = 256 << 10, COLD_TRIES = 3, BODY_KEPT = 1 << 20 };
enum { GLANCE_MS = 1000, BUSY_MS = 10, FULL_MS = 1000, FAILED_MS = 10000 };
#define UNKNOWN INT64_MIN /* the head was not looked at */
#define NONE INT64_MAX    /* the queue's end is reached */

struct level {
    struct schedule *schedule;
    int64_t delay_ms;
    int64_t next_off;   /* the first that is not delivered */
    int64_t head_due;   /* of that one; UNKNOWN, NONE */
    int64_t again_mono; /* not before: something refused */
    unsigned cold_tries;
    bool warming;
};
struct schedule {
    struct schedule_setup setup;
    struct delay_offsets *offsets;
    struct level levels[STORE_DELAY_LEVELS_MAX];
    unsigned n, first;      /* first: whose turn it is to be served first */
    int64_t due_mono;
    int64_t wall_base, mono_base; /* time_now() counts from here */
    int64_t complained_ms;
    struct buf body;        /* records as they are read */
};
struct share { /* of one run */
    int64_t now_ms, wall_ms, mono_ms; /* now: see time_now() */
    uint32_t messages, bytes;
};

/* ---- life ---- */
enum mq_err schedule_open(struct config_file *file, const struct schedule_setup *setup, struct schedule **out, struct fault *why)
{
    struct schedule *s = mem_zalloc(sizeof *s);
    if (s == NULL) {
        config_file_close(file);
        return fault_set(why, MQ_ENOMEM, 0, "delay levels");
    }
    enum mq_err err = delay_offsets_open(file, &s->offsets, why);
    if (err != MQ_OK) {
        mem_free(s);
        return err;
    }
    s->setup = *setup;
    s->n = setup->n_levels < STORE_DELAY_LEVELS_MAX ? setup->n_levels : STORE_DELAY_LEVELS_MAX;
    s->due_mono = setup->running ? INT64_MIN : INT64_MAX;
    for (unsigned i = 0; i < s->n; i++) {
        int64_t off = delay_offsets_get(s->offsets, i + 1);
        s->levels[i] = (struct level){.schedule = s, .delay_ms = setup->delay_ms[i], .next_off = off > 0 ? off : 0, .head_due = UNKNOWN,
                                      .again_mono = INT64_MIN};
    }
    *out = s;
    return MQ_OK;
}

static unsigned offsets_now(const struct schedule *s, int64_t out[STORE_DELAY_LEVELS_MAX])
{
    for (unsigned i = 0; i < s->n; i++)
        out[i] = s->levels[i].next_off;
    return s->n;
}

void schedule_close(struct schedule *s, bool all_flushed)
{
    int64_t now[STORE_DELAY_LEVELS_MAX];
    if (s == NULL)
        return;
    if (all_flushed && s->setup.running)
        delay_offsets_settle(s->offsets, now, offsets_now(s, now));
    delay_offsets_close(s->offsets);
    buf_free(&s->body);
    mem_free(s);
}

/* ---- the file ---- */
void schedule_save(struct schedule *s, uint64_t written_off)
{
    int64_t now[STORE_DELAY_LEVELS_MAX];
    if (s->setup.running && !message_store_failed(s->setup.store)) {
        delay_offsets_mark(s->offsets, now, offsets_now(s, now), written_off);
        delay_offsets_flushed(s->offsets, message_store_flushed(s->setup.store));
    }
    delay_offsets_retry_save(s->offsets);
}

void schedule_flushed(struct schedule *s, uint64_t flushed_off) { delay_offsets_flushed(s->offsets, flushed_off); }
void schedule_encode(const struct schedule *s, struct buf *out) { delay_offsets_encode(s->offsets, false, out); }

int64_t schedule_offset(const struct schedule *s, unsigned level)
{
    if (!s->setup.running || level < 1 || level > s->n || s->levels[level - 1].next_off == 0)
        return delay_offsets_get(s->offsets, level);
    return s->levels[level - 1].next_off;
}

/* ---- time ---- */
/* The wall clock; but while it is set back by so little that store times do not follow, the time it would be: else all that is stored until it has
 * caught up would look as if it were due further away than its delay, and what was stored before would wait the step longer. */
static int64_t time_now(struct schedule *s, int64_t wall_ms, int64_t mono_ms)
{
    int64_t held = message_store_time(s->setup.store, wall_ms), expected = s->wall_base + (mono_ms - s->mono_base);
    if (held > wall_ms && expected > held && expected - wall_ms <= STORE_CLOCK_BACK_MAX_MS)
        return expected;
    s->wall_base = held;
    s->mono_base = mono_ms;
    return held;
}

/* A due time further away than the level's delay is of a clock that was wrong: it is due. */
static bool is_due(const struct level *l, int64_t due_ms, int64_t now_ms) { return due_ms <= now_ms || due_ms - now_ms > l->delay_ms; }

/* ---- delivering ---- */
static int32_t queue_of(const struct level *l) { return (int32_t)(l - l->schedule->levels); }

static void pass_over(struct level *l, const struct message *m, const char *why)
{
    if (log_ok_now(&l->schedule->complained_ms, 1000))
        log_error("schedule", "a delayed message cannot be delivered and is passed over level=%d queue_off=%" PRId64 " place=%" PRId64 " why=%s",
                  queue_of(l) + 1, m->queue_off, m->phys_off, why);
}

static void pause_for(struct level *l, int64_t mono_ms, int64_t for_ms) { l->again_mono = for_ms == INT64_MAX ? INT64_MAX : mono_ms + for_ms; }

/* False: not now, and again_mono says when. */
static bool deliver(struct level *l, const struct message *stored, const struct share *left)
{
    struct schedule *s = l->schedule;
    struct message m;
    struct put_result put;
    const char *why = "";
    if (!delay_restore(stored, &m, &why)) {
        pass_over(l, stored, why);
        return true;
    }
    switch (message_store_put(s->setup.store, &m, 1, left->wall_ms, &put)) {
    case PUT_OK:
        if (s->setup.delivered)
            s->setup.delivered(s->setup.ctx, m.topic, put.size);
        return true;
    case PUT_TOO_LARGE:
        pass_over(l, stored, "its topic is none, or it is larger than maxMessageSize");
        return true;
    case PUT_BUSY:
        pause_for(l, left->mono_ms, BUSY_MS);
        return false;
    case PUT_NO_ROOM:
        if (log_ok_now(&s->complained_ms, 60000))
            log_warn("schedule", "delayed messages wait: %s", message_store_refusal(s->setup.store));
        pause_for(l, left->mono_ms, FULL_MS);
        return false;
    case PUT_FAILED:
        break;
    }
    pause_for(l, left->mono_ms, INT64_MAX);
    return false;
}

static bool deliver_all(struct level *l, struct share *left)
{
    struct slice rest = buf_view(&l->schedule->body);
    struct message m;
    while (rest.n > 0 && message_decode(rest, false, &m) == MQ_OK) {
        if (!deliver(l, &m, left))
            return false;
        l->next_off = m.queue_off + 1;
        left->messages -= left->messages > 0;
        left->bytes -= m.size < left->bytes ? m.size : left->bytes;
        rest = slice_from(rest, m.size);
    }
    return true;
}

/* ---- reading ---- */
static void on_warm(void *arg)
{
    struct level *l = arg;
    l->warming = false;
    l->schedule->due_mono = INT64_MIN;
}

static void warm(struct level *l, const struct cold_range *cold, int64_t mono_ms)
{
    l->cold_tries++;
    l->warming = message_store_warm(l->schedule->setup.store, cold, on_warm, l);
    if (!l->warming)
        pause_for(l, mono_ms, BUSY_MS);
}

/* The records of units [next_off, end_off), as many as the share allows. False: the level can do nothing now. */
static bool take_due(struct level *l, int64_t end_off, struct share *left)
{
    struct schedule *s = l->schedule;
    struct get_result got;
    const struct get_request g = {.topic = SLICE_LIT(SCHEDULE_TOPIC), .queue_id = queue_of(l), .queue_off = l->next_off, .end_off = end_off,
                                  .max_msgs = left->messages, .max_bytes = left->bytes, .may_block = l->cold_tries >= COLD_TRIES};
    buf_clear(&s->body);
    message_store_get(s->setup.store, &g, &s->body, &got);
    if (got.status == GET_COLD) {
        warm(l, &got.cold, left->mono_ms);
        return false;
    }
    l->cold_tries = 0;
    if (got.status == GET_FAILED) {
        pause_for(l, left->mono_ms, FAILED_MS);
        return false;
    }
    if (got.status == GET_FOUND && !deliver_all(l, left))
        return false;
    if (got.next_off > l->next_off) /* what is behind the last delivered one was none: the store has said so */
        l->next_off = got.next_off;
    return true;
}

/* Looks at the level's head, and delivers what is due of the units seen. False: nothing more to do for it in this run. */
static bool look(struct level *l, struct share *left)
{
    struct schedule *s = l->schedule;
    int64_t due[LOOK], first = l->next_off;
    struct tags_result got;
    size_t n = 0;
    message_store_tags(s->setup.store, SLICE_LIT(SCHEDULE_TOPIC), queue_of(l), first, l->cold_tries >= COLD_TRIES, due, LOOK, &got);
    switch (got.status) {
    case GET_FOUND:
        break;
    case GET_COLD:
        warm(l, &got.cold, left->mono_ms);
        return false;
    case GET_FAILED:
        pause_for(l, left->mono_ms, FAILED_MS);
        return false;
    default:
        l->head_due = got.next_off != first ? UNKNOWN : NONE;
        if (got.next_off != first)
            log_warn("schedule", "delayed messages are gone level=%d from=%" PRId64 " to=%" PRId64 " why=%s", queue_of(l) + 1, first, got.next_off,
                     get_status_name(got.status));
        l->next_off = got.next_off;
        return l->head_due == UNKNOWN;
    }
    while (n < got.n && is_due(l, due[n], left->now_ms))
        n++;
    bool went = n == 0 || take_due(l, first + (int64_t)n, left);
    size_t head = (size_t)(l->next_off - first);
    l->head_due = head < got.n && due[head] != NONE ? due[head] : UNKNOWN;
    return went && n > 0;
}

static void run_level(struct level *l, struct share *left)
{
    while (left->messages > 0 && left->bytes > 0 && !l->warming && l->again_mono <= left->mono_ms && l->head_due != NONE) {
        if (l->head_due != UNKNOWN && !is_due(l, l->head_due, left->now_ms))
            break;
        if (!look(l, left))
            break;
    }
}

static int64_t level_due(const struct level *l, const struct share *now)
{
    if (l->warming || l->head_due == NONE)
        return INT64_MAX;
    if (l->again_mono > now->mono_ms)
        return l->again_mono;
    if (l->head_due == UNKNOWN || is_due(l, l->head_due, now->now_ms))
        return now->mono_ms;
    int64_t in_ms = l->head_due - now->now_ms;
    return now->mono_ms + (in_ms < GLANCE_MS ? in_ms : GLANCE_MS);
}

void schedule_run(struct schedule *s, int64_t wall_ms, int64_t mono_ms)
{
    if (!s->setup.running)
        return;
    struct share left = {.now_ms = time_now(s, wall_ms, mono_ms), .wall_ms = wall_ms, .mono_ms = mono_ms, .messages = RUN_MESSAGES, .bytes = RUN_BYTES};
    for (unsigned i = 0; i < s->n; i++)
        run_level(&s->levels[(s->first + i) % s->n], &left);
    s->first = s->n > 0 ? (s->first + 1) % s->n : 0;
    s->due_mono = INT64_MAX;
    for (unsigned i = 0; i < s->n; i++) {
        int64_t due = level_due(&s->levels[i], &left);
        s->due_mono = due < s->due_mono ? due : s->due_mono;
    }
    if (s->body.cap > BODY_KEPT)
        buf_free(&s->body);
}

void schedule_arrived(struct schedule *s, int32_t queue_id)
{
    if (!s->setup.running || queue_id < 0 || (unsigned)queue_id >= s->n || s->levels[queue_id].head_due != NONE)
        return;
    s->levels[queue_id].head_due = UNKNOWN;
    s->due_mono = INT64_MIN;
}

int64_t schedule_due(const struct schedule *s) { return s->due_mono; }
