/* message_store_get.c - messages of one queue from an offset on.
 *
 * Statuses and the next offset are Apache's (inventory g.1). Units are read in blocks; records that lie side by side in the log, as those
 * of a busy queue do, are read by one call (a run). Nothing waits for the medium unless the caller allows it: what is not in memory ends
 * the answer there, or, if nothing was found before it, becomes GET_COLD with the range that the pull would have read.
 *
 *   I1  what is appended to body are whole records of this queue, with the place, size and magic that their units promise.
 *                                                           (tests: unit/store get; sim/store garbage_in_queues_...)
 *   I2  next_off is behind the last unit that was looked at, so that no message is skipped and none comes twice; one damaged record costs
 *       itself only.                                        (test: unit/store get)
 *       What match_record does not want is read with its neighbours and dropped from the run.   (test: the same)
 *   I3  after a failed sync of the log nothing is served that was never synced: the kernel may have dropped it, and the next start puts other
 *       messages at its offsets, which nobody must believe to have read.    (test: sim/store a_failed_datasync_is_final) */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "broker/store/message_store_internal.h"
#include "common/base/log.h"
#include "common/protocol/codes.h"
#include "common/protocol/rd.h"

enum { UNITS = 64, SCAN_LEAST = 800 }; /* units of one block; units looked at for one filtered pull */

const char *get_status_name(enum get_status st)
{
    static const char *const names[] = {
        [GET_FOUND] = "FOUND", [GET_NO_MATCHED_MESSAGE] = "NO_MATCHED_MESSAGE", [GET_MESSAGE_WAS_REMOVING] = "MESSAGE_WAS_REMOVING",
        [GET_OFFSET_FOUND_NULL] = "OFFSET_FOUND_NULL", [GET_OFFSET_OVERFLOW_BADLY] = "OFFSET_OVERFLOW_BADLY",
        [GET_OFFSET_OVERFLOW_ONE] = "OFFSET_OVERFLOW_ONE", [GET_OFFSET_TOO_SMALL] = "OFFSET_TOO_SMALL",
        [GET_NO_MATCHED_LOGIC_QUEUE] = "NO_MATCHED_LOGIC_QUEUE", [GET_NO_MESSAGE_IN_QUEUE] = "NO_MESSAGE_IN_QUEUE", [GET_COLD] = "COLD",
        [GET_FAILED] = "FAILED"};
    return names[st];
}

struct run { /* records side by side in one file, not read yet */
    int64_t first_off, last_off; /* queue offsets of its first and last */
    uint64_t phys_off;
    size_t n;
    uint32_t units, sizes[UNITS];
};
struct getting {
    struct message_store *s;
    const struct get_request *g;
    struct get_result *out;
    struct buf *body;
    size_t base;       /* of body: nothing was appended yet */
    uint32_t taken;    /* records read or in the run */
    size_t taken_bytes;
    struct run run;
    enum get_status status;
    int64_t next_off;
    bool stop;
};

static bool batch_full(const struct getting *x, uint32_t size)
{
    if (x->taken == 0)
        return false;
    return x->taken >= x->g->max_msgs || x->taken_bytes + size > x->g->max_bytes;
}

static void end_at(struct getting *x, int64_t queue_off, enum get_status otherwise)
{
    x->stop = true;
    x->next_off = queue_off;
    if (x->out->n_msgs == 0)
        x->status = otherwise;
}

static void read_failed(struct getting *x, int64_t err, uint64_t phys_off, int64_t queue_off)
{
    if (log_ok_now(&x->s->read_log_ms, 1000))
        log_error("store", "read failed topic=%.*s queue=%" PRId32 " queue_off=%" PRId64 " place=%" PRIu64 " errno=%d", SLICE_ARG(x->g->topic),
                  x->g->queue_id, queue_off, phys_off, (int)-err);
    end_at(x, queue_off, GET_FAILED);
}

/* The record says itself that it lies in the queue asked for, at `least` or behind, no further than the run. A unit may be damaged and point to
 * another record, which is somebody else's message. (%LMQ% queues of a Java broker point to records of other topics by design.) */
static bool is_ours(const struct getting *x, const uint8_t *p, size_t n, int64_t least, int64_t *off)
{
    struct rd r = rd_over(p, n);
    rd_take(&r, 4);
    uint32_t magic = rd_u32(&r);
    rd_take(&r, 4);
    uint32_t queue_id = rd_u32(&r);
    rd_take(&r, 4);
    *off = rd_i64(&r);
    rd_take(&r, 8);
    uint32_t flags = rd_u32(&r);
    rd_take(&r, 8 + (flags & SYS_BORN_HOST_V6 ? 20u : 8u) + 8 + (flags & SYS_STORE_HOST_V6 ? 20u : 8u) + 12);
    rd_take(&r, rd_u32(&r));
    size_t topic_n = magic == MESSAGE_MAGIC_V1 ? rd_u8(&r) : rd_u16(&r);
    const uint8_t *topic = rd_take(&r, topic_n);
    if (slice_starts(x->g->topic, "%LMQ%"))
        return true;
    return topic != NULL && queue_id == (uint32_t)x->g->queue_id && *off >= least && *off <= x->run.last_off &&
           slice_eq(slice_make(topic, topic_n), x->g->topic);
}

static bool is_wanted(const struct getting *x, struct slice record)
{
    struct message m;
    return x->g->match_record == NULL || (message_decode(record, false, &m) == MQ_OK && x->g->match_record(x->g->match_ctx, &m));
}

/* Counts the records that were read to body[at, ...), and drops what is none or not wanted. */
static void count_run(struct getting *x, size_t at)
{
    const struct run *r = &x->run;
    uint64_t phys_off = r->phys_off;
    size_t to = at;
    int64_t off = r->first_off - 1;
    for (uint32_t i = 0; i < r->units; phys_off += r->sizes[i++]) {
        const uint8_t *p = x->body->p + at + (phys_off - r->phys_off);
        uint32_t n = r->sizes[i], size;
        int64_t before = off;
        if (!store_record_good(p, n, phys_off, &size) || size != n || !is_ours(x, p, n, before + 1, &off)) {
            if (log_ok_now(&x->s->read_log_ms, 1000))
                log_error("store", "a queue points to what is no record of it topic=%.*s queue=%" PRId32 " place=%" PRIu64, SLICE_ARG(x->g->topic),
                          x->g->queue_id, phys_off);
            off = before;
            continue;
        }
        if (!is_wanted(x, slice_make(p, n))) {
            x->taken--;
            x->taken_bytes -= n;
            continue;
        }
        if (x->body->p + to != p)
            memmove(x->body->p + to, p, n);
        to += n;
        x->out->n_msgs++;
        x->out->last_phys_off = (int64_t)phys_off;
    }
    x->body->n = to;
    if (x->out->n_msgs > 0)
        x->status = GET_FOUND;
}

static void read_run(struct getting *x)
{
    struct run *r = &x->run;
    if (r->n == 0 || x->stop)
        return;
    size_t at = x->body->n;
    uint8_t *to = buf_room(x->body, r->n);
    int64_t got = to != NULL ? commit_log_read(x->s->log, to, r->n, r->phys_off, x->g->may_block) : -ENOMEM;
    if (got == -EAGAIN) {
        size_t want = x->g->max_bytes > r->n ? x->g->max_bytes : r->n;
        store_cold(x->s, r->phys_off, want, &x->out->cold);
        /* A filter that has passed over much shall not pass over it again. */
        bool moved = x->g->match_record != NULL && r->first_off > x->g->queue_off;
        end_at(x, r->first_off, moved ? GET_NO_MATCHED_MESSAGE : GET_COLD);
    } else if (got < 0) {
        x->body->failed = false;
        read_failed(x, got, r->phys_off, r->first_off);
    } else {
        x->body->n += r->n;
        count_run(x, at);
    }
    r->n = 0;
    r->units = 0;
}

static void take_unit(struct getting *x, struct cq_unit u, int64_t queue_off)
{
    struct run *r = &x->run;
    uint64_t size = commit_log_file_size(x->s->log), at = (uint64_t)u.phys_off;
    if (r->n > 0 && (r->phys_off + r->n != at || at / size != r->phys_off / size || r->units == UNITS))
        read_run(x);
    if (x->stop)
        return;
    if (r->n == 0) {
        r->first_off = queue_off;
        r->phys_off = at;
    }
    r->last_off = queue_off;
    r->n += u.size;
    r->sizes[r->units++] = u.size;
    x->taken++;
    x->taken_bytes += u.size;
}

/* One unit; false: the answer is full. */
static bool look_at(struct getting *x, struct cq_unit u, int64_t queue_off, uint64_t *skip_below)
{
    const struct commit_log *log = x->s->log;
    uint64_t size = commit_log_file_size(log), at = (uint64_t)u.phys_off;
    if (u.size == CQ_PAD_SIZE || u.phys_off < 0 || at < *skip_below)
        return true;
    if (x->g->match_record != NULL && batch_full(x, u.size))
        read_run(x); /* what of it is not wanted takes no place */
    if (x->stop || batch_full(x, u.size))
        return x->stop;
    if (x->g->match_tags != NULL && !x->g->match_tags(x->g->match_ctx, u.tags_code))
        return true;
    if (at < commit_log_min(log) || at > commit_log_written(log) || u.size > commit_log_written(log) - at || u.size > size - at % size ||
        u.size < MESSAGE_FIXED) {
        if (x->taken == 0)
            x->status = GET_MESSAGE_WAS_REMOVING;
        *skip_below = at - at % size + size;
        return true;
    }
    *skip_below = 0;
    if (at + u.size > commit_log_sound(log)) {
        read_run(x);
        if (!x->stop)
            end_at(x, queue_off, GET_FAILED);
        return true;
    }
    take_unit(x, u, queue_off);
    return true;
}

static void scan(struct getting *x, struct consume_queue *q)
{
    struct cq_unit units[UNITS];
    int64_t at = x->g->queue_off, end = at + (x->g->max_msgs > SCAN_LEAST ? x->g->max_msgs : SCAN_LEAST);
    if (x->g->end_off > 0 && end > x->g->end_off)
        end = x->g->end_off;
    uint64_t skip_below = 0;
    bool full = false;
    x->status = GET_NO_MATCHED_MESSAGE;
    while (at < end && !full && !x->stop) {
        size_t want = end - at < UNITS ? (size_t)(end - at) : UNITS;
        if (x->g->match_tags == NULL && x->g->match_record == NULL && x->g->max_msgs + 1 < want)
            want = x->g->max_msgs + 1; /* one more tells that the batch is full */
        int64_t n = consume_queue_read(x->s->queues, q, at, units, want, x->g->may_block, &x->out->cold);
        if (n <= 0) {
            read_run(x);
            if (x->stop)
                break;
            if (n == -EAGAIN)
                end_at(x, at, GET_COLD);
            else if (n == -ENOENT)
                end_at(x, consume_queue_roll_next(x->s->queues, at), GET_OFFSET_FOUND_NULL);
            else if (n < 0)
                read_failed(x, n, 0, at);
            else if (at == x->g->queue_off)
                end_at(x, consume_queue_roll_next(x->s->queues, at), GET_OFFSET_FOUND_NULL);
            break;
        }
        for (int64_t i = 0; i < n && !full && !x->stop; i++) {
            full = !look_at(x, units[i], at, &skip_below);
            at += !full;
        }
    }
    read_run(x);
    if (!x->stop)
        x->next_off = at;
}

/* GET_FOUND: there is a unit at queue_off. */
static enum get_status place_in(const struct consume_queue *q, int64_t queue_off)
{
    if (q == NULL)
        return GET_NO_MATCHED_LOGIC_QUEUE;
    int64_t max = consume_queue_max(q);
    if (max == 0)
        return GET_NO_MESSAGE_IN_QUEUE;
    if (queue_off < consume_queue_min(q))
        return GET_OFFSET_TOO_SMALL;
    return queue_off < max ? GET_FOUND : queue_off == max ? GET_OFFSET_OVERFLOW_ONE : GET_OFFSET_OVERFLOW_BADLY;
}

static int64_t next_of(const struct consume_queue *q, enum get_status place, int64_t queue_off)
{
    switch (place) {
    case GET_NO_MATCHED_LOGIC_QUEUE:
    case GET_NO_MESSAGE_IN_QUEUE: return 0;
    case GET_OFFSET_TOO_SMALL: return consume_queue_min(q);
    case GET_OFFSET_OVERFLOW_BADLY: return consume_queue_max(q);
    default: return queue_off;
    }
}

static void get(struct getting *x)
{
    const struct get_request *g = x->g;
    struct get_result *out = x->out;
    struct consume_queue *q = consume_queue_find(x->s->queues, g->topic, g->queue_id);
    x->status = place_in(q, g->queue_off);
    x->next_off = next_of(q, x->status, g->queue_off);
    if (q == NULL)
        return;
    out->min_off = consume_queue_min(q);
    out->max_off = consume_queue_max(q);
    if (x->status == GET_FOUND)
        scan(x, q);
}

void message_store_tags(struct message_store *s, struct slice topic, int32_t queue_id, int64_t queue_off, bool may_block, int64_t *codes, size_t room,
                        struct tags_result *out)
{
    owner_assert(&s->owner);
    struct consume_queue *q = consume_queue_find(s->queues, topic, queue_id);
    struct cq_unit units[UNITS];
    out->n = 0;
    out->status = place_in(q, queue_off);
    out->next_off = next_of(q, out->status, queue_off);
    if (out->status != GET_FOUND)
        return;
    int64_t got = consume_queue_read(s->queues, q, queue_off, units, room < UNITS ? room : UNITS, may_block, &out->cold);
    if (got == 0 || got == -ENOENT) {
        out->status = GET_OFFSET_FOUND_NULL;
        out->next_off = consume_queue_roll_next(s->queues, queue_off);
    } else if (got < 0) {
        out->status = got == -EAGAIN ? GET_COLD : GET_FAILED;
    }
    while (got > 0 && out->n < (size_t)got) {
        codes[out->n] = units[out->n].tags_code;
        out->n++;
    }
}

void message_store_get(struct message_store *s, const struct get_request *g, struct buf *body, struct get_result *out)
{
    owner_assert(&s->owner);
    struct getting x = {.s = s, .g = g, .out = out, .body = body, .base = body->n};
    out->min_off = out->max_off = 0;
    out->n_msgs = 0;
    out->last_phys_off = -1;
    get(&x);
    if (x.status != GET_FOUND)
        body->n = x.base;
    out->status = x.status;
    out->next_off = x.next_off;
    s->get_msgs += out->n_msgs;
    *(x.status == GET_FOUND ? &s->get_found : &s->get_missed) += x.status != GET_COLD;
}
