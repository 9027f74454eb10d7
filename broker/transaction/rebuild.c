/* rebuild.c - what a start finds in the half queue and the op queue.
 *
 * From the group's offset on, every half message is open, unless an op message names it, or it was put again: of those that say the same
 * first place only the last counts, and none when an op message names any of them. So it does not matter how far behind the offsets are,
 * which are saved every few seconds: a kill makes a start read more, not ask twice.          (test: unit/transaction/transactions)
 * A few thousand op messages that are done with are read, too: the late answer to a question must not end a transaction twice.
 * Apache leaves no first place in what it puts again after a check; its files are read as Apache reads them.
 * Offsets beyond a queue's end are those of a log whose end a power cut took: the queue's own bounds count. */
#include <inttypes.h>
#include "broker/transaction/transactions_internal.h"
#include "common/base/log.h"

enum { READ_MSGS = 256, READ_BYTES = 1 << 20, OPS_BEFORE = 4096 };

typedef bool record_fn(struct transactions *t, const struct message *m); /* false: out of memory */

/* Hands all records of queue 0 from an offset on to fn, reading from the disk on this thread. */
static enum mq_err each_record(struct transactions *t, struct slice topic, int64_t from, record_fn *fn)
{
    struct get_request g = {.topic = topic, .queue_off = from, .max_msgs = READ_MSGS, .max_bytes = READ_BYTES, .may_block = true};
    int64_t end = message_store_max_offset(t->s.store, topic, 0);
    while (g.queue_off < end) {
        struct get_result got;
        struct message m;
        buf_clear(&t->record);
        message_store_get(t->s.store, &g, &t->record, &got);
        if (t->record.failed)
            return MQ_ENOMEM;
        struct slice rest = got.status == GET_FOUND ? buf_view(&t->record) : (struct slice){0};
        for (; rest.n > 0 && message_decode(rest, false, &m) == MQ_OK; rest = slice_from(rest, m.size))
            if (!fn(t, &m))
                return MQ_ENOMEM;
        if (got.next_off <= g.queue_off) {
            log_warn("transaction", "cannot be read, so what lies behind is not known topic=%.*s offset=%" PRId64 " status=%s", SLICE_ARG(topic),
                     g.queue_off, get_status_name(got.status));
            break;
        }
        g.queue_off = got.next_off;
    }
    buf_free(&t->record);
    return MQ_OK;
}

static bool on_half(struct transactions *t, const struct message *m)
{
    struct half h;
    if (!half_read(m, &h))
        return true;
    if (!open_halves_reserve(&t->open))
        return false;
    open_halves_add(&t->open, m->queue_off, h.first_off, m->born_ms, h.immune);
    return true;
}

static bool on_op(struct transactions *t, const struct message *m)
{
    struct slice tag, rest = m->body;
    int64_t half_off, largest = -1;
    if (prop_get(m->properties, PROP_TAGS, &tag) && slice_is(tag, OP_TAG)) {
        while (op_next(&rest, &half_off)) {
            struct open_half *e = open_halves_from(&t->open, half_off);
            bool known = e != NULL && e->half_off == half_off;
            int64_t first = op_first(m->properties);
            ended_halves_add(&t->ended, known ? open_half_first(e) : first >= 0 ? first : half_off);
            if (known)
                e->closed = true; /* open_halves_settle() counts */
            largest = half_off > largest ? half_off : largest;
        }
    }
    if (m->queue_off >= t->ops.done_off)
        op_progress_add(&t->ops, m->queue_off, largest);
    return true;
}

/* Where the group is, within the queue's bounds. *told: what the offsets say; when that is outside, they are corrected soon. */
static int64_t start_of(struct transactions *t, struct slice topic, int64_t *told)
{
    int64_t min = message_store_min_offset(t->s.store, topic, 0), max = message_store_max_offset(t->s.store, topic, 0);
    int64_t off = offsets_query(t->s.offsets, SLICE_LIT(TRANSACTION_GROUP), topic, 0);
    *told = off < 0 ? min : off;
    return off < min ? min : off > max ? max : off;
}

enum mq_err rebuild_run(struct transactions *t, struct fault *why)
{
    const struct slice half = SLICE_LIT(HALF_TOPIC), op = SLICE_LIT(OP_TOPIC);
    const int64_t half_off = start_of(t, half, &t->told.half_off), op_off = start_of(t, op, &t->told.op_off);
    t->half_next = message_store_max_offset(t->s.store, half, 0);
    t->ops.done_off = op_off;
    enum mq_err err = each_record(t, half, half_off, on_half);
    if (err == MQ_OK)
        err = each_record(t, op, op_off > OPS_BEFORE ? op_off - OPS_BEFORE : 0, on_op); /* before op_off: what was ended lately */
    if (err != MQ_OK)
        return fault_set(why, err, 0, "what is open in " HALF_TOPIC);
    open_halves_settle(&t->open);
    if (open_halves_count(&t->open) > 0)
        log_info("transaction", "open half messages found n=%zu from=%" PRId64 " to=%" PRId64 " ops_from=%" PRId64, open_halves_count(&t->open),
                 half_off, t->half_next, op_off);
    return MQ_OK;
}
