/* ack_answer.c - the answer to a send that went well: as a reply, and as the bytes that reply becomes.
 *
 * A busy broker writes this answer more often than anything else, and all of them are alike but for two ids, two numbers and the opaque.
 * So ack_write() puts the constant parts between them straight into the connection's output; what has something to escape goes the long way.
 *   I1  ack_write() writes what reply_encode() makes of ack_fill()'s reply, byte for byte.      (test: unit/ack/answer) */
#include "broker/ack/ack_queue.h"
#include "common/protocol/reply_write.h"

enum { IDS_MAX = 1 << 20 }; /* a batch with more has an answer whose size must be checked: the long way does */

void ack_fill(const struct ack *a, const struct ack_setup *setup, struct reply *out)
{
    char id[MESSAGE_ID_MAX];
    struct slice ids = slice_str(a->ids);
    if (a->bare)
        return;
    if (a->ids == NULL)
        ids = slice_make(id, message_id(setup->store_host, a->phys_off, id));
    reply_str(out, "msgId", ids);
    reply_int(out, "queueId", a->queue_id);
    reply_int(out, "queueOffset", a->queue_off);
    if (a->long_id)
        reply_str(out, "transactionId", slice_str(a->long_id));
    else if (a->n_id)
        reply_str(out, "transactionId", slice_make(a->id, a->n_id));
    reply_str(out, "MSG_REGION", slice_str(*setup->region_id));
    reply_bool(out, "TRACE_ON", *setup->trace_on);
}

struct texts {
    struct slice ids, transaction, region, trace; /* transaction.p == NULL: none */
};

static uint8_t *put_slice(uint8_t *at, struct slice s) { return put_text(at, s.p, s.n); }

static uint8_t *write_json(uint8_t *at, const struct ack *a, const struct texts *t, int32_t code)
{
    at = put_slice(PUT_TEXT(reply_json_code(at, code), ",\"extFields\":{\"msgId\":\""), t->ids);
    at = i64_text(PUT_TEXT(at, "\",\"queueId\":\""), a->queue_id);
    at = i64_text(PUT_TEXT(at, "\",\"queueOffset\":\""), a->queue_off);
    if (t->transaction.p != NULL)
        at = put_slice(PUT_TEXT(at, "\",\"transactionId\":\""), t->transaction);
    at = put_slice(PUT_TEXT(at, "\",\"MSG_REGION\":\""), t->region);
    at = put_slice(PUT_TEXT(at, "\",\"TRACE_ON\":\""), t->trace);
    return reply_json_version(reply_json_opaque(PUT_TEXT(at, "\"}"), a->to.opaque));
}

#define KEY(at, literal) reply_binary_key(at, literal, sizeof(literal) - 1)

static uint8_t *binary_number(uint8_t *at, int64_t value)
{
    uint8_t *end = i64_text(at + 4, value);
    put_u32(at, (uint32_t)(end - at - 4));
    return end;
}

static uint8_t *write_binary(uint8_t *at, const struct ack *a, const struct texts *t, int32_t code)
{
    uint8_t *ext = reply_binary_begin(at, code, a->to.opaque, 0);
    at = reply_binary_value(KEY(ext + 4, "msgId"), t->ids);
    at = binary_number(KEY(at, "queueId"), a->queue_id);
    at = binary_number(KEY(at, "queueOffset"), a->queue_off);
    if (t->transaction.p != NULL)
        at = reply_binary_value(KEY(at, "transactionId"), t->transaction);
    at = reply_binary_value(KEY(at, "MSG_REGION"), t->region);
    at = reply_binary_value(KEY(at, "TRACE_ON"), t->trace);
    put_u32(ext, (uint32_t)(at - ext - 4));
    return at;
}

static void write_filled(const struct ack *a, const struct ack_setup *setup, int32_t code, struct buf *out)
{
    struct reply r = {.code = code};
    ack_fill(a, setup, &r);
    reply_encode(&r, &a->to, out);
    reply_free(&r);
}

void ack_write(const struct ack *a, const struct ack_setup *setup, struct slice id_host, int32_t code, struct buf *out)
{
    enum { CONSTANT_PARTS = REPLY_FRAME + REPLY_JSON_ROOM + 2 * I64_TEXT_MAX + 160 }; /* keys, and TRACE_ON's value */
    char id[MESSAGE_ID_MAX];
    struct texts t = {.ids = slice_str(a->ids), .region = slice_str(*setup->region_id), .trace = *setup->trace_on ? SLICE_LIT("true") : SLICE_LIT("false")};
    if (a->ids == NULL)
        t.ids = slice_make(id, (size_t)(message_id_place(a->phys_off, (char *)put_text((uint8_t *)id, id_host.p, id_host.n)) - id));
    if (a->long_id)
        t.transaction = slice_str(a->long_id);
    else if (a->n_id)
        t.transaction = slice_make(a->id, a->n_id);
    bool json = a->to.serialize == SERIALIZE_JSON;
    if (a->to.oneway || a->bare || t.ids.n > IDS_MAX || (json && !(json_is_plain(t.transaction) && json_is_plain(t.region)))) {
        write_filled(a, setup, code, out);
        return;
    }
    uint8_t *frame = buf_room(out, CONSTANT_PARTS + t.ids.n + t.transaction.n + t.region.n);
    if (frame == NULL)
        return;
    uint8_t *end = json ? write_json(frame + REPLY_FRAME, a, &t, code) : write_binary(frame + REPLY_FRAME, a, &t, code);
    reply_frame(frame, end, a->to.serialize);
    out->n = (size_t)(end - out->p);
}
