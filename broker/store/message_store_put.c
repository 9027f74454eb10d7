/* message_store_put.c - messages into the batch of a turn; at its end one write, then queues, index and listener.
 *
 * A put encodes its records straight into the log's batch and notes where; nothing is allocated per message in steady state. The
 * queue counts on at once (`next`), readers see nothing yet. message_store_turn() writes, and only then adds the units, so that no
 * queue ever points beyond `written`; and a sender hears of its success after that, so max offset never lags an acknowledged send.
 *
 *   I1  out[] of a put is exactly what the record and its unit say.                      (test: unit/store put)
 *   I2  after a failed write no unit is added, and counting goes back.                   (test: unit/store fail)
 * Prepared and rolled-back records of transactions have queue offset 0 and no unit. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "broker/store/message_store_internal.h"
#include "common/base/log.h"
#include "common/base/mem.h"

/* ---- dispatch ---- */

/* In the schedule topic a unit carries the time when the message is due. */
static int64_t due_time(const struct message_store *s, const struct message *m, struct slice delay)
{
    int32_t level;
    if (!slice_i32(delay, &level) || level <= 0)
        return -1;
    if ((uint32_t)level > s->cfg.delay_levels)
        level = (int32_t)s->cfg.delay_levels;
    return m->store_ms + (level > 0 ? s->cfg.delay_level_ms[level - 1] : 1000);
}

static int64_t unit_tags_code(const struct message_store *s, const struct message *m, struct slice tags)
{
    struct slice value;
    if (m->topic.n == sizeof SCHEDULE_TOPIC - 1 && slice_is(m->topic, SCHEDULE_TOPIC) && prop_get(m->properties, PROP_DELAY, &value)) {
        int64_t due = due_time(s, m, value);
        if (due >= 0)
            return due;
    }
    return tags_code(tags);
}

/* A queue's folder can have this name. */
static bool topic_fits(struct slice topic)
{
    if (topic.n == 0 || topic.n > MESSAGE_TOPIC_MAX || slice_is(topic, ".") || slice_is(topic, ".."))
        return false;
    return memchr(topic.p, 0, topic.n) == NULL && memchr(topic.p, '/', topic.n) == NULL;
}

enum mq_err store_dispatch(struct message_store *s, const struct message *m, struct consume_queue *q, bool tell)
{
    if (s->index != NULL && (uint64_t)m->phys_off >= msg_index_reached(s->index))
        msg_index_add_known(s->index, m, m->known);
    if (store_tran_has_no_unit(m->sys_flag))
        return MQ_OK;
    if (q == NULL && (!topic_fits(m->topic) || m->queue_id < 0))
        return MQ_EINVAL;
    if (q == NULL)
        q = consume_queue_of(s->queues, m->topic, m->queue_id);
    if (q == NULL)
        return MQ_ENOMEM;
    struct cq_unit unit = {.phys_off = m->phys_off, .size = m->size, .tags_code = unit_tags_code(s, m, m->known->tags)};
    enum mq_err err = consume_queue_add(s->queues, q, m->queue_off, unit);
    if (err == MQ_OK && tell && s->listener.arrived != NULL) {
        struct arrival a = {.topic = m->topic, .queue_id = m->queue_id, .queue_off = m->queue_off, .tags_code = unit.tags_code,
                            .store_ms = m->store_ms, .properties = m->properties};
        s->listener.arrived(s->listener.ctx, &a);
    }
    return err;
}

/* ---- putting ---- */

static enum put_status refuse(struct message_store *s, enum put_status status)
{
    const char *path = "";
    unsigned percent = 0;
    s->put_failed++;
    if (status == PUT_FAILED) {
        fault_text(&s->failed, s->refusal, sizeof s->refusal);
    } else if (status == PUT_NO_ROOM && !retention_writable(s->retention, &path, &percent)) {
        snprintf(s->refusal, sizeof s->refusal, "disk full: the partition of %s is used to %u percent, allowed are %u", path, percent,
                 s->cfg.disk_stop_percent);
    } else if (status == PUT_NO_ROOM && s->queues_full.err != MQ_OK) {
        fault_text(&s->queues_full, s->refusal, sizeof s->refusal);
    } else if (status == PUT_NO_ROOM && commit_log_no_room(s->log) != NULL) {
        fault_text(commit_log_no_room(s->log), s->refusal, sizeof s->refusal);
    }
    return status;
}

/* Sum of the sizes; 0: one of them is illegal. A zero byte in the properties is what recovery takes for a lost sector. */
static size_t sizes(const struct message_store *s, const struct message *m, size_t n)
{
    size_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        if (m[i].body.n > s->cfg.max_message_size || m[i].properties.n > MESSAGE_PROPERTIES_MAX)
            return 0;
        if (m[i].properties.n > 0 && memchr(m[i].properties.p, 0, m[i].properties.n) != NULL)
            return 0;
        sum += message_size(&m[i]);
    }
    return sum;
}

static struct span span_of(struct slice value, struct slice properties)
{
    return value.n > 0 ? (struct span){(uint16_t)(value.p - properties.p), (uint16_t)value.n} : (struct span){0};
}

/* Remembers where in the batch the record of m is, and what in its properties counts. */
static void pending_add(struct message_store *s, const struct message *m, struct consume_queue *q, size_t at, const struct put_result *put)
{
    struct known_props looked;
    const struct known_props *known = m->known;
    if (known == NULL) {
        prop_known(m->properties, &looked);
        known = &looked;
    }
    s->pending[s->n_pending++] = (struct pending){.q = q, .at = at, .size = put->size, .phys_off = put->phys_off, .queue_off = put->queue_off,
                                                  .store_ms = put->store_ms, .sys_flag = m->sys_flag, .queue_id = m->queue_id,
                                                  .tags = span_of(known->tags, m->properties), .keys = span_of(known->keys, m->properties),
                                                  .uniq_key = span_of(known->uniq_key, m->properties), .topic_n = (uint8_t)m->topic.n,
                                                  .properties_n = (uint16_t)m->properties.n};
}

static bool pending_room(struct message_store *s, size_t n)
{
    if (n <= s->cap_pending - s->n_pending)
        return true;
    size_t cap = s->cap_pending + s->cap_pending / 2 + n + 64;
    struct pending *p = mem_realloc(s->pending, cap * sizeof *p);
    if (p == NULL)
        return false;
    s->pending = p;
    s->cap_pending = cap;
    return true;
}

/* Store times do not go back when the clock does: recovery and the index know by time what was synced. A clock that was wrong by much is
 * believed at once, or delayed messages would wait for it; the checkpoint follows (store_checkpoint()). */
int64_t message_store_time(const struct message_store *s, int64_t wall_ms)
{
    return wall_ms < s->last_ms && s->last_ms - wall_ms <= STORE_CLOCK_BACK_MAX_MS ? s->last_ms : wall_ms;
}

enum put_status message_store_put(struct message_store *s, const struct message *m, size_t n, int64_t now_ms, struct put_result *out)
{
    owner_assert(&s->owner);
    enum put_status status;
    if (s->failed.err != MQ_OK)
        return refuse(s, PUT_FAILED);
    if (!retention_writable(s->retention, NULL, NULL) || s->queues_full.err != MQ_OK)
        return refuse(s, PUT_NO_ROOM);
    size_t bytes = sizes(s, m, n);
    if (bytes == 0 || !topic_fits(m[0].topic) || m[0].queue_id < 0)
        return refuse(s, PUT_TOO_LARGE);
    if (consume_queues_waiting(s->queues) > QUEUES_WAITING_MAX || !pending_room(s, n))
        return PUT_BUSY;
    struct consume_queue *q = consume_queue_of(s->queues, m[0].topic, m[0].queue_id);
    if (q == NULL)
        return PUT_BUSY; /* out of memory; bad names were refused before */
    uint64_t phys_off;
    size_t at;
    uint8_t *to = commit_log_reserve(s->log, bytes, &phys_off, &at, &status);
    if (to == NULL)
        return status == PUT_BUSY ? status : refuse(s, status);
    now_ms = message_store_time(s, now_ms);
    int64_t next = consume_queue_next(q);
    for (size_t i = 0; i < n; i++) {
        bool unit = !store_tran_has_no_unit(m[i].sys_flag);
        size_t size = message_size(&m[i]);
        out[i] = (struct put_result){.phys_off = (int64_t)phys_off, .queue_off = unit ? next++ : 0, .store_ms = now_ms, .size = (uint32_t)size};
        message_encode(&m[i], to);
        message_patch_place(to, out[i].queue_off, out[i].phys_off, now_ms);
        pending_add(s, &m[i], unit ? q : NULL, at, &out[i]);
        to += size;
        at += size;
        phys_off += size;
    }
    consume_queue_set_next(q, next);
    s->last_ms = now_ms;
    s->put_msgs += n;
    s->put_bytes += bytes;
    return PUT_OK;
}

struct store_load message_store_load(const struct message_store *s)
{
    owner_assert(&s->owner);
    if (s->failed.err != MQ_OK)
        return (struct store_load){0};
    return (struct store_load){.unflushed = commit_log_written(s->log) - commit_log_flushed(s->log),
                               .busy = commit_log_makes_file(s->log) || consume_queues_waiting(s->queues) > QUEUES_WAITING_MAX};
}

/* ---- the turn's end ---- */

static void take_back(struct message_store *s)
{
    for (size_t i = 0; i < s->n_pending; i++)
        if (s->pending[i].q != NULL)
            consume_queue_set_next(s->pending[i].q, consume_queue_max(s->pending[i].q));
    s->n_pending = 0;
}

/* What dispatch needs of a record in the batch, without decoding it: topic and properties are its end. */
static struct message pending_record(const struct pending *p, const uint8_t *batch)
{
    const uint8_t *properties = batch + p->at + p->size - p->properties_n;
    return (struct message){.size = p->size, .phys_off = p->phys_off, .queue_off = p->queue_off, .store_ms = p->store_ms, .sys_flag = p->sys_flag,
                            .queue_id = p->queue_id, .topic = slice_make(properties - 2 - p->topic_n, p->topic_n),
                            .properties = slice_make(properties, p->properties_n)};
}

static struct slice value_at(const struct message *m, struct span s)
{
    return s.n > 0 ? slice_make(m->properties.p + s.at, s.n) : (struct slice){0};
}

static void dispatch_pending(struct message_store *s)
{
    const uint8_t *batch = commit_log_batch(s->log);
    for (size_t i = 0; i < s->n_pending && s->failed.err == MQ_OK; i++) {
        const struct pending *p = &s->pending[i];
        struct message m = pending_record(p, batch);
        const struct known_props known = {value_at(&m, p->tags), value_at(&m, p->keys), value_at(&m, p->uniq_key)};
        m.known = &known;
        if (p->q == NULL && !store_tran_has_no_unit(m.sys_flag))
            continue; /* its topic was deleted since */
        enum mq_err err = store_dispatch(s, &m, p->q, true);
        if (err != MQ_OK) {
            struct fault why;
            fault_set(&why, err, 0, "add to queue %" PRId32 " of %.*s offset %" PRId64, m.queue_id, SLICE_ARG(m.topic), m.queue_off);
            store_fail(s, &why);
        }
    }
}

void message_store_turn(struct message_store *s, int64_t mono_ms)
{
    owner_assert(&s->owner);
    s->mono_ms = mono_ms;
    if (s->n_pending > 0) {
        bool good = commit_log_write(s->log, s->last_ms) == MQ_OK;
        if (good) {
            dispatch_pending(s);
            s->written_ms = s->last_ms;
        } else {
            take_back(s);
        }
        s->n_pending = 0;
        commit_log_forget(s->log);
        if (good && s->failed.err == MQ_OK && s->listener.written != NULL)
            s->listener.written(s->listener.ctx, commit_log_written(s->log));
        if (consume_queues_waiting(s->queues) > ROUND_WAITING_EARLY)
            store_flush_queues(s, mono_ms);
    }
    commit_log_pump(s->log, mono_ms);
}

void message_store_delete_topic(struct message_store *s, struct slice topic)
{
    owner_assert(&s->owner);
    const uint8_t *batch = commit_log_batch(s->log);
    for (size_t i = 0; i < s->n_pending; i++) { /* queues that this turn's records point to are about to go */
        struct pending *p = &s->pending[i];
        if (p->q != NULL && slice_eq(pending_record(p, batch).topic, topic))
            p->q = NULL;
    }
    consume_queues_delete_topic(s->queues, topic);
}
