/* rounds.c - the question to producers who did not end their transaction.
 *
 * Each transactionCheckInterval a round walks over what is open, oldest first. half_decide() says what becomes of each; what is put again
 * lies behind the round's end, so a round comes to one. Apache has to look for what is open by reading both queues; here the table knows it
 * and who is too young, and only records that are due are read.
 * A piece of a round is done each PIECE_MS, so that a million open ones neither keep the others waiting nor flood their producer: some 12,000
 * questions a second, which is more than most can answer. A record that is not in memory is
 * read by a reader thread, and the round waits for it.
 * Rounds yield to sends: while these wait for the disk, nothing is put again.
 * The question goes to one connection of the message's group, to another one each time; that nobody is there counts as a check, too, as in
 * Apache. It may leave before the record is written, but not before the turn's write: the shell sends at the end of a turn. */
#include <inttypes.h>
#include "broker/transaction/transactions_internal.h"
#include "common/base/log.h"
#include "common/protocol/codes.h"

enum { PIECE_MS = 5, PIECE_RECORDS = 64, PIECE_BYTES = 1 << 18, PIECE_LOOKS = 8192, EXT_FIELDS = 5 };

/* ---- asking ---- */
static bool say(struct transactions *t, const struct producer_group *group, const struct command *cmd)
{
    size_t skip = t->whose_turn++ % group->n_clients, i = 0;
    LIST_EACH (it, &group->clients)
        if (i++ >= skip && t->s.outbox->oneway(t->s.outbox->ctx, CONTAINER_OF(it, struct client, node)->conn_id, cmd))
            return true;
    i = 0;
    LIST_EACH (it, &group->clients)
        if (i++ < skip && t->s.outbox->oneway(t->s.outbox->ctx, CONTAINER_OF(it, struct client, node)->conn_id, cmd))
            return true;
    return false;
}

/* again: as it was put. The producer gets the message as its application sent it, with the offsets that its answer must name. */
static void ask(struct transactions *t, const struct half *h, const struct message *again, const struct put_result *put)
{
    const struct producer_group *group = h->group.n > 0 ? sessions_producers(t->s.sessions, h->group) : NULL;
    char id[MESSAGE_ID_MAX];
    uint8_t half_off[I64_TEXT_MAX], phys_off[I64_TEXT_MAX];
    struct ext_field ext[EXT_FIELDS];
    struct message m = *again;
    m.topic = h->real_topic;
    m.queue_id = h->real_queue_id;
    buf_clear(&t->frame);
    uint8_t *at = group != NULL && group->n_clients > 0 ? buf_room(&t->frame, message_size(&m)) : NULL;
    if (at == NULL) {
        t->round.unasked++;
        return;
    }
    message_encode(&m, at);
    message_patch_place(at, put->queue_off, put->phys_off, put->store_ms);
    t->frame.n = message_size(&m);
    struct command cmd = command_to_client(REQ_CHECK_TRANSACTION_STATE, ext, 0);
    cmd.flag = COMMAND_ONEWAY;
    cmd.body = buf_view(&t->frame);
    ext[cmd.n_ext++] = (struct ext_field){SLICE_LIT("tranStateTableOffset"), slice_make(half_off, (size_t)(i64_text(half_off, put->queue_off) - half_off))};
    ext[cmd.n_ext++] = (struct ext_field){SLICE_LIT("commitLogOffset"), slice_make(phys_off, (size_t)(i64_text(phys_off, put->phys_off) - phys_off))};
    ext[cmd.n_ext++] = (struct ext_field){SLICE_LIT("offsetMsgId"), slice_make(id, message_id(t->s.store_host, put->phys_off, id))};
    if (h->uniq_key.n > 0) {
        ext[cmd.n_ext++] = (struct ext_field){SLICE_LIT("msgId"), h->uniq_key};
        ext[cmd.n_ext++] = (struct ext_field){SLICE_LIT("transactionId"), h->uniq_key};
    }
    if (say(t, group, &cmd))
        t->round.asked++;
    else
        t->round.unasked++;
}

/* ---- one open half message ---- */
enum look { LOOK_DONE, LOOK_BUSY, LOOK_COLD, LOOK_STUCK }; /* STUCK: the store takes nothing; the next round tries again */

static enum look look_after(enum put_status status) { return status == PUT_OK ? LOOK_DONE : status == PUT_BUSY ? LOOK_BUSY : LOOK_STUCK; }

static enum look give_up(struct transactions *t, struct open_half *e, const struct message *record, const struct half *h, int64_t now_ms)
{
    struct put_result put;
    struct message m = *record;
    transactions_have_topic(t, GIVEN_UP_TOPIC, now_ms);
    m.topic = SLICE_LIT(GIVEN_UP_TOPIC);
    m.queue_id = 0;
    m.store = *t->s.store_host;
    enum put_status status = transactions_put(t, &m, now_ms, &put);
    if (status != PUT_OK)
        return look_after(status);
    log_warn("transaction", "a half message is given up: moved to %s topic=%.*s group=%.*s key=%.*s checks=%d", GIVEN_UP_TOPIC,
             SLICE_ARG(h->real_topic), SLICE_ARG(slice_head(h->group, SESSION_GROUP_MAX)), SLICE_ARG(slice_head(h->uniq_key, 100)), h->checks);
    t->round.given_up++;
    open_halves_close(&t->open, e);
    return LOOK_DONE;
}

static enum look put_again(struct transactions *t, const struct message *record, const struct half *h, bool check, int64_t now_ms)
{
    struct put_result put;
    struct message m = *record;
    if (!open_halves_reserve(&t->open))
        return LOOK_BUSY;
    struct open_half *e = open_halves_from(&t->open, record->queue_off);
    buf_clear(&t->text);
    half_text_again(&t->text, record->properties, check ? h->checks + 1 : -1, h->first_off);
    if (t->text.failed)
        return LOOK_BUSY;
    m.properties = buf_view(&t->text);
    m.store = *t->s.store_host;
    enum put_status status = transactions_put(t, &m, now_ms, &put);
    if (status == PUT_TOO_LARGE) /* of another broker's making: it cannot be put again */
        return give_up(t, e, record, h, now_ms);
    if (status != PUT_OK)
        return look_after(status);
    open_halves_close(&t->open, e);
    open_halves_add(&t->open, put.queue_off, h->first_off, m.born_ms, h->immune);
    t->half_next = put.queue_off + 1;
    if (check)
        ask(t, h, &m, &put);
    else
        t->round.moved++;
    return LOOK_DONE;
}

static enum look lost(struct transactions *t, struct open_half *e)
{
    t->round.lost++;
    open_halves_close(&t->open, e);
    return LOOK_DONE;
}

static void on_warm(void *arg) { ((struct transactions *)arg)->round.warming = false; }

static enum look look_at(struct transactions *t, struct open_half *e, const struct half_rules *rules, int64_t now_ms)
{
    const struct get_request g = {.topic = SLICE_LIT(HALF_TOPIC), .queue_off = e->half_off, .max_msgs = 1, .max_bytes = 1};
    struct get_result got;
    struct message record;
    struct half h;
    buf_clear(&t->record);
    message_store_get(t->s.store, &g, &t->record, &got);
    if (got.status == GET_COLD) {
        t->round.warming = message_store_warm(t->s.store, &got.cold, on_warm, t);
        return t->round.warming ? LOOK_COLD : LOOK_BUSY;
    }
    if (got.status == GET_FAILED || t->record.failed)
        return LOOK_STUCK;
    if (got.status != GET_FOUND || message_decode(buf_view(&t->record), false, &record) != MQ_OK || record.queue_off != e->half_off ||
        !half_read(&record, &h))
        return lost(t, e);
    switch (half_decide(&h, record.born_ms, rules, now_ms)) {
    case HALF_WAITS: break;
    case HALF_MOVES: return put_again(t, &record, &h, false, now_ms);
    case HALF_CHECKED: return put_again(t, &record, &h, true, now_ms);
    case HALF_GIVEN_UP: return give_up(t, e, &record, &h, now_ms);
    }
    return LOOK_DONE;
}

/* ---- rounds ---- */
static void round_ends(struct transactions *t, int64_t mono_ms)
{
    struct round *r = &t->round;
    if (r->asked + r->unasked + r->given_up + r->lost > 0)
        log_info("transaction", "half messages checked asked=%zu nobody_to_ask=%zu given_up=%zu lost=%zu open=%zu", r->asked, r->unasked, r->given_up,
                 r->lost, open_halves_count(&t->open));
    *r = (struct round){.last_ms = mono_ms};
}

static bool too_young(const struct open_half *e, const struct half_rules *rules, int64_t now_ms)
{
    return !e->immune && e->born_ms <= now_ms && e->born_ms > now_ms - rules->timeout_ms;
}

void rounds_run(struct transactions *t, int64_t now_ms, int64_t mono_ms, bool *busy)
{
    const struct half_rules rules = {.timeout_ms = *t->s.timeout_ms, .reserved_ms = *t->s.reserved_hours * 3600000, .checks_max = *t->s.checks_max};
    struct round *r = &t->round;
    if (!r->on) {
        if (open_halves_count(&t->open) == 0 || mono_ms - r->last_ms < *t->s.interval_ms)
            return;
        r->on = true;
        r->at = 0;
        r->end = message_store_max_offset(t->s.store, SLICE_LIT(HALF_TOPIC), 0); /* what this turn puts is not readable yet */
    }
    if (mono_ms < r->next_ms)
        return;
    uint64_t until = t->put_end + PIECE_BYTES;
    for (unsigned records = 0, looks = 0; !r->warming && records < PIECE_RECORDS && looks < PIECE_LOOKS && t->put_end < until; looks++) {
        struct open_half *e = open_halves_from(&t->open, r->at);
        if (e == NULL || e->half_off >= r->end) {
            round_ends(t, mono_ms);
            return;
        }
        int64_t next = e->half_off + 1;
        if (!e->ending && !too_young(e, &rules, now_ms)) {
            enum look look = look_at(t, e, &rules, now_ms);
            records++;
            *busy = look == LOOK_BUSY;
            if (look == LOOK_DONE)
                r->next_ms = mono_ms + PIECE_MS;
            if (look == LOOK_STUCK)
                round_ends(t, mono_ms);
            if (look != LOOK_DONE)
                return;
        }
        r->at = next;
    }
}
