/* half.c - see half.h. The rules are Apache's (inventory g.7), in its order:
 *
 *   too many checks, or older than the log is kept   given up
 *   asks for immunity, and is younger than that      put again as it is
 *   younger than transactionTimeOut                  waits
 *   else, also when born in the future               checked
 *
 * A message that is put again gets a new offset in both queue and log, and a late answer may name any of them. So each says where it was
 * put first, in a property of Apache's own (which writes it only when it moves an immune one).   (test: unit/transaction/half) */
#include "broker/transaction/half.h"

#define PROP_CHECK_TIMES "TRANSACTION_CHECK_TIMES"
#define PROP_FIRST_OFF "TRAN_PREPARED_QUEUE_OFFSET"
#define PROP_IMMUNITY "CHECK_IMMUNITY_TIME_IN_SECONDS"

/* What brokers write: from a client it would be a copy of some message's past. */
static bool of_brokers(struct slice name)
{
    return slice_is(name, PROP_CHECK_TIMES) || slice_is(name, PROP_FIRST_OFF) || slice_is(name, PROP_REAL_TOPIC) || slice_is(name, PROP_REAL_QID);
}

static void put_pair(struct buf *out, struct slice name, struct slice value)
{
    if (out->n > 0)
        buf_u8(out, PROP_SEP_PAIR);
    buf_slice(out, name);
    buf_u8(out, PROP_SEP_NAME);
    buf_slice(out, value);
}

static void put_number(struct buf *out, const char *name, int64_t value)
{
    uint8_t text[I64_TEXT_MAX];
    put_pair(out, slice_str(name), slice_make(text, (size_t)(i64_text(text, value) - text)));
}

void half_text(struct buf *out, struct slice properties, struct slice real_topic, int32_t real_queue_id, struct slice group)
{
    struct slice rest = properties, name, value;
    bool has_group = false;
    while (prop_next(&rest, &name, &value)) {
        if (of_brokers(name) || slice_is(name, PROP_DELAY))
            continue;
        has_group = has_group || slice_is(name, PROP_PGROUP);
        put_pair(out, name, value);
    }
    if (!has_group && group.n > 0)
        put_pair(out, SLICE_LIT(PROP_PGROUP), group);
    put_pair(out, SLICE_LIT(PROP_REAL_TOPIC), real_topic);
    put_number(out, PROP_REAL_QID, real_queue_id);
}

void half_text_again(struct buf *out, struct slice properties, int32_t checks, int64_t first_off)
{
    struct slice rest = properties, name, value;
    while (prop_next(&rest, &name, &value))
        if (!slice_is(name, PROP_FIRST_OFF) && (checks < 0 || !slice_is(name, PROP_CHECK_TIMES)))
            put_pair(out, name, value);
    if (checks >= 0)
        put_number(out, PROP_CHECK_TIMES, checks);
    if (first_off >= 0)
        put_number(out, PROP_FIRST_OFF, first_off);
}

static int64_t immunity_ms(struct slice seconds)
{
    int64_t s;
    if (!slice_i64(seconds, &s) || s == -1)
        return -1;
    return s > INT64_MAX / 1000 ? INT64_MAX : s < 0 ? 0 : s * 1000;
}

bool half_read(const struct message *m, struct half *out)
{
    struct slice rest = m->properties, name, value;
    *out = (struct half){.real_queue_id = -1, .first_off = m->queue_off};
    if (!slice_is(m->topic, HALF_TOPIC))
        return false;
    while (prop_next(&rest, &name, &value)) {
        if (slice_is(name, PROP_REAL_TOPIC)) {
            out->real_topic = value;
        } else if (slice_is(name, PROP_REAL_QID)) {
            if (!slice_i32(value, &out->real_queue_id))
                return false;
        } else if (slice_is(name, PROP_PGROUP)) {
            out->group = value;
        } else if (slice_is(name, PROP_UNIQ_KEY)) {
            out->uniq_key = value;
        } else if (slice_is(name, PROP_CHECK_TIMES)) {
            out->checked = true;
            if (!slice_i32(value, &out->checks) || out->checks < 0)
                out->checks = -1; /* the next one is number 0 then */
        } else if (slice_is(name, PROP_IMMUNITY)) {
            out->immune = true;
            out->immunity_ms = immunity_ms(value);
        } else if (slice_is(name, PROP_FIRST_OFF)) {
            int64_t off;
            if (slice_i64(value, &off) && off >= 0 && off < m->queue_off)
                out->first_off = off;
        }
    }
    return out->real_topic.n > 0 && out->real_topic.n <= MESSAGE_TOPIC_MAX && out->real_queue_id >= 0;
}

enum half_fate half_decide(const struct half *h, int64_t born_ms, const struct half_rules *rules, int64_t now_ms)
{
    int64_t age = born_ms < 0 ? INT64_MAX : now_ms - born_ms; /* before 1970: as old as can be */
    int64_t immunity = h->immune && h->immunity_ms >= 0 ? h->immunity_ms : rules->timeout_ms;
    if ((h->checked && h->checks >= rules->checks_max) || age > rules->reserved_ms)
        return HALF_GIVEN_UP;
    if (h->immune && age < immunity)
        return HALF_MOVES;
    return age >= 0 && age <= immunity ? HALF_WAITS : HALF_CHECKED;
}

void op_text(struct buf *out, int64_t half_off, int64_t first_off)
{
    put_pair(out, SLICE_LIT(PROP_TAGS), SLICE_LIT(OP_TAG));
    if (first_off != half_off)
        put_number(out, PROP_FIRST_OFF, first_off);
}

int64_t op_first(struct slice properties)
{
    struct slice value;
    int64_t off;
    return prop_get(properties, PROP_FIRST_OFF, &value) && slice_i64(value, &off) && off >= 0 ? off : -1;
}

bool op_next(struct slice *rest, int64_t *half_off)
{
    struct slice piece;
    while (rest->p != NULL && slice_cut(rest, ',', &piece))
        if (slice_i64(slice_trim(piece), half_off) && *half_off >= 0)
            return true;
    return false;
}
