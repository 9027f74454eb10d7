/* transactions.c - half messages in, and their ends.
 *
 *   begin   the half message into the half queue, an entry into the table of open ones
 *   end     [commit: the message into its own topic,] an op message that names the half message, the entry closed
 *   again   rounds.c puts a half message anew and asks a producer: the entry moves to the new place
 * What is in memory only says what the two queues say, so a start reads it from them (rebuild.c), and Apache's broker can go on with the
 * files. Each of the steps is records in one batch of the log, in this order, so a crash between them leaves the transaction open: it is
 * asked about again, which may deliver a message twice, and never loses one that was committed.      (test: integration/transactions)
 *
 *   I1  an open entry's record is in the log, or in this turn's batch.
 *   I2  the offsets that are told pass a half message only when what replaced it (the op message, the record put again) is flushed:
 *       a power cut may lose that, but then the offsets do not know of it.          (test: unit/transaction/transactions)
 *   I3  no half message is committed by two answers: who comes late finds the transaction by where it was put first, or among those
 *       that were ended lately. What is in neither is done as Apache does it, which remembers nothing: committed. */
#include "broker/transaction/transactions_internal.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/protocol/codes.h"

enum { BUSY_MS = 10 };

size_t transactions_open_count(const struct transactions *t) { return open_halves_count(&t->open); }

enum put_status transactions_put(struct transactions *t, const struct message *m, int64_t now_ms, struct put_result *out)
{
    enum put_status status = message_store_put(t->s.store, m, 1, now_ms, out);
    if (status == PUT_OK)
        t->put_end = (uint64_t)out->phys_off + out->size;
    return status;
}

void transactions_have_topic(struct transactions *t, const char *name, int64_t now_ms)
{
    if (topics_find(t->s.topics, slice_str(name)) == NULL)
        topics_put(t->s.topics, slice_str(name), 1, 1, PERM_READ | PERM_WRITE, 0, false, now_ms, NULL);
}

/* ---- begin ---- */
enum put_status transactions_begin(struct transactions *t, const struct message *m, struct slice group, int64_t now_ms, struct put_result *out)
{
    struct message half = *m;
    struct half h;
    if (open_halves_count(&t->open) >= TRANSACTIONS_OPEN_MAX || !open_halves_reserve(&t->open))
        return PUT_BUSY;
    buf_clear(&t->text);
    half_text(&t->text, m->properties, m->topic, m->queue_id, group);
    if (t->text.failed)
        return PUT_BUSY;
    if (t->text.n > HALF_PROPERTIES_MAX)
        return PUT_TOO_LARGE;
    if (!t->half_topic_made) {
        transactions_have_topic(t, HALF_TOPIC, now_ms);
        t->half_topic_made = true;
    }
    half.topic = SLICE_LIT(HALF_TOPIC);
    half.queue_id = 0;
    half.sys_flag &= ~SYS_TRAN_MASK;
    half.properties = buf_view(&t->text);
    half.known = NULL;
    enum put_status status = transactions_put(t, &half, now_ms, out);
    if (status != PUT_OK)
        return status;
    half.queue_off = out->queue_off;
    half_read(&half, &h);
    open_halves_add(&t->open, out->queue_off, out->queue_off, m->born_ms, h.immune);
    t->half_next = out->queue_off + 1;
    return PUT_OK;
}

/* ---- end ---- */
static enum put_status put_op(struct transactions *t, int64_t half_off, int64_t first_off, int64_t now_ms)
{
    uint8_t body[I64_TEXT_MAX];
    struct put_result put;
    buf_clear(&t->text);
    op_text(&t->text, half_off, first_off);
    const struct message op = {.topic = SLICE_LIT(OP_TOPIC), .body = slice_make(body, (size_t)(i64_text(body, half_off) - body)),
                               .properties = buf_view(&t->text), .born_ms = now_ms, .born = *t->s.store_host, .store = *t->s.store_host};
    enum put_status status = t->text.failed ? PUT_BUSY : transactions_put(t, &op, now_ms, &put);
    if (status != PUT_OK)
        return status;
    op_progress_add(&t->ops, put.queue_off, half_off);
    struct open_half *e = open_halves_from(&t->open, half_off);
    if (e != NULL && e->half_off == half_off)
        open_halves_close(&t->open, e);
    return PUT_OK;
}

static bool owed_room(struct transactions *t)
{
    if (t->n_owed < t->cap_owed)
        return true;
    size_t cap = t->cap_owed * 2 + 16;
    struct owed *owed = mem_realloc(t->owed, cap * sizeof *owed);
    if (owed == NULL)
        return false;
    t->owed = owed;
    t->cap_owed = cap;
    return true;
}

static void put_owed(struct transactions *t, int64_t now_ms)
{
    size_t n = 0;
    while (n < t->n_owed && put_op(t, t->owed[n].half_off, t->owed[n].first_off, now_ms) == PUT_OK)
        n++;
    t->n_owed -= n;
    for (size_t i = 0; i < t->n_owed && n > 0; i++)
        t->owed[i] = t->owed[i + n];
}

static enum put_status put_real(struct transactions *t, const struct message *record, const struct half *h, int64_t now_ms)
{
    struct put_result put;
    struct message m = *record; /* properties as they are: Apache leaves even those that are about the half message */
    m.topic = h->real_topic;
    m.queue_id = h->real_queue_id;
    m.sys_flag = (m.sys_flag & ~SYS_TRAN_MASK) | SYS_TRAN_COMMIT;
    m.prepared_off = record->phys_off;
    m.store = *t->s.store_host;
    m.known = NULL;
    return transactions_put(t, &m, now_ms, &put);
}

enum transaction_end transactions_end(struct transactions *t, const struct message *record, const struct half *h, bool commit, int64_t now_ms,
                                      uint64_t *end_off, enum put_status *put)
{
    if (ended_halves_have(&t->ended, h->first_off))
        return END_ENDED_BEFORE;
    *put = owed_room(t) ? PUT_OK : PUT_BUSY;
    if (*put == PUT_OK && commit)
        *put = put_real(t, record, h, now_ms);
    if (*put != PUT_OK)
        return END_NOT_PUT;
    struct open_half *e = open_halves_find(&t->open, record->queue_off, h->first_off);
    int64_t half_off = e != NULL ? e->half_off : record->queue_off;
    *put = put_op(t, half_off, h->first_off, now_ms);
    if (*put != PUT_OK && !commit)
        return END_NOT_PUT;
    if (*put != PUT_OK) {
        if (e != NULL)
            e->ending = true;
        t->owed[t->n_owed++] = (struct owed){half_off, h->first_off};
        *put = PUT_OK;
    }
    ended_halves_add(&t->ended, h->first_off);
    *end_off = t->put_end;
    return END_DONE;
}

/* ---- resume ---- */
enum transaction_end transactions_resume(struct transactions *t, const struct message *record, int64_t now_ms, uint64_t *end_off, enum put_status *put)
{
    bool given_up = slice_is(record->topic, GIVEN_UP_TOPIC);
    struct message m = *record;
    struct put_result again;
    struct half h;
    m.topic = SLICE_LIT(HALF_TOPIC);
    if (given_up)
        m.queue_off = INT64_MAX; /* its own says nothing about the half queue */
    if ((!given_up && !slice_is(record->topic, HALF_TOPIC)) || !half_read(&m, &h))
        return END_ENDED_BEFORE;
    if (h.first_off == INT64_MAX)
        h.first_off = -1;
    else if (ended_halves_have(&t->ended, h.first_off))
        return END_ENDED_BEFORE;
    buf_clear(&t->text);
    half_text_again(&t->text, record->properties, 0, h.first_off);
    *put = open_halves_reserve(&t->open) && !t->text.failed ? PUT_OK : PUT_BUSY;
    if (*put != PUT_OK)
        return END_NOT_PUT;
    m.queue_id = 0;
    m.properties = buf_view(&t->text);
    m.store = *t->s.store_host;
    *put = transactions_put(t, &m, now_ms, &again);
    if (*put != PUT_OK)
        return END_NOT_PUT;
    struct open_half *before = h.first_off >= 0 ? open_halves_find(&t->open, given_up ? h.first_off : record->queue_off, h.first_off) : NULL;
    if (before != NULL)
        open_halves_close(&t->open, before);
    open_halves_add(&t->open, again.queue_off, h.first_off >= 0 ? h.first_off : again.queue_off, m.born_ms, h.immune);
    t->half_next = again.queue_off + 1;
    *end_off = t->put_end;
    return END_DONE;
}

/* ---- progress ---- */
static void tell(struct transactions *t)
{
    const struct slice group = SLICE_LIT(TRANSACTION_GROUP);
    if (t->has_next && message_store_flushed(t->s.store) >= t->next_end) {
        offsets_commit(t->s.offsets, group, SLICE_LIT(HALF_TOPIC), 0, t->next.half_off);
        offsets_commit(t->s.offsets, group, SLICE_LIT(OP_TOPIC), 0, t->next.op_off);
        t->told = t->next;
        t->has_next = false;
    }
    const struct open_half *oldest = open_halves_from(&t->open, 0);
    int64_t half_off = oldest != NULL ? oldest->half_off : t->half_next;
    const struct progress now = {half_off, op_progress_until(&t->ops, half_off)};
    if (t->has_next || (now.half_off == t->told.half_off && now.op_off == t->told.op_off))
        return;
    t->next = now;
    t->next_end = t->put_end;
    t->has_next = true;
}

bool transactions_settled(const struct transactions *t) { return !t->has_next && t->n_owed == 0; }

int64_t transactions_run(struct transactions *t, int64_t now_ms, int64_t mono_ms, bool pressed)
{
    bool busy = pressed;
    if (t->n_owed > 0)
        put_owed(t, now_ms);
    if (!pressed)
        rounds_run(t, now_ms, mono_ms, &busy);
    tell(t);
    int64_t due = open_halves_count(&t->open) > 0 ? t->round.last_ms + *t->s.interval_ms : INT64_MAX;
    if (t->round.on)
        due = t->round.warming ? INT64_MAX : t->round.next_ms > mono_ms ? t->round.next_ms : mono_ms;
    return t->n_owed > 0 || (busy && due <= mono_ms) ? mono_ms + BUSY_MS : due;
}

/* ---- life ---- */
enum mq_err transactions_new(const struct transactions_setup *setup, int64_t mono_ms, struct transactions **out, struct fault *why)
{
    struct transactions *t = mem_zalloc(sizeof *t);
    if (t == NULL)
        return fault_set(why, MQ_ENOMEM, 0, "transactions");
    t->s = *setup;
    t->round.last_ms = mono_ms;
    enum mq_err err = rebuild_run(t, why);
    if (err != MQ_OK) {
        transactions_free(t);
        return err;
    }
    *out = t;
    return MQ_OK;
}

void transactions_free(struct transactions *t)
{
    if (t == NULL)
        return;
    open_halves_fini(&t->open);
    op_progress_fini(&t->ops);
    ended_halves_fini(&t->ended);
    mem_free(t->owed);
    buf_free(&t->record);
    buf_free(&t->text);
    buf_free(&t->frame);
    mem_free(t);
}
