/* reply.c - filling in an answer and writing it in the form of its request. No tree, no allocation beyond the growth of buffers
 * that are kept from answer to answer. */
#include "common/protocol/reply.h"

#include "common/protocol/codes.h"
#include "common/protocol/command_internal.h"
#include "common/protocol/reply_write.h"

static void ext(struct reply *r, struct slice key, size_t at)
{
    if (r->n_ext == REPLY_EXT_MAX) {
        r->text.failed = true;
        return;
    }
    r->ext[r->n_ext].key = (const char *)key.p;
    r->ext[r->n_ext].key_n = (uint32_t)key.n;
    r->ext[r->n_ext].at = (uint32_t)at;
    r->ext[r->n_ext].n = (uint32_t)(r->text.n - at);
    r->n_ext++;
}

void reply_add_int(struct reply *r, struct slice key, int64_t value)
{
    size_t at = r->text.n;
    buf_i64_text(&r->text, value);
    ext(r, key, at);
}

void reply_add(struct reply *r, struct slice key, struct slice value)
{
    size_t at = r->text.n;
    buf_put(&r->text, value.p, value.n);
    ext(r, key, at);
}

int reply_refuse(struct reply *r, int32_t code, const char *fmt, ...)
{
    r->code = code;
    r->n_ext = 0;
    buf_clear(&r->text);
    buf_clear(&r->body);
    buf_clear(&r->remark);
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&r->remark, fmt, ap);
    va_end(ap);
    return HANDLED_NOW;
}

/* ---- writing ---- */

static struct slice key_of(const struct reply *r, uint32_t i) { return slice_make(r->ext[i].key, r->ext[i].key_n); }
static struct slice value_of(const struct reply *r, uint32_t i) { return slice_make(r->text.p + r->ext[i].at, r->ext[i].n); }

/* Bytes of all keys and values. */
static size_t ext_bytes(const struct reply *r)
{
    size_t n = 0;
    for (uint32_t i = 0; i < r->n_ext; i++)
        n += r->ext[i].key_n + r->ext[i].n;
    return n;
}

static void encode_binary(const struct reply *r, int32_t opaque, struct buf *out)
{
    size_t ext_n = ext_bytes(r) + r->n_ext * (size_t)REPLY_BINARY_FIELD;
    uint8_t *at = buf_room(out, REPLY_BINARY_ROOM + r->remark.n + ext_n);
    if (at == NULL)
        return;
    at = put_text(reply_binary_begin(at, r->code, opaque, r->remark.n), r->remark.p, r->remark.n);
    put_u32(at, (uint32_t)ext_n);
    at += 4;
    for (uint32_t i = 0; i < r->n_ext; i++)
        at = reply_binary_value(reply_binary_key(at, r->ext[i].key, r->ext[i].key_n), value_of(r, i));
    out->n = (size_t)(at - out->p);
}

static void encode_plain_json(const struct reply *r, int32_t opaque, struct buf *out)
{
    uint8_t *at = buf_room(out, REPLY_JSON_ROOM + r->remark.n + ext_bytes(r) + r->n_ext * (size_t)REPLY_JSON_FIELD);
    if (at == NULL)
        return;
    at = reply_json_code(at, r->code);
    for (uint32_t i = 0; i < r->n_ext; i++) {
        at = i ? PUT_TEXT(at, ",\"") : PUT_TEXT(at, ",\"extFields\":{\"");
        at = PUT_TEXT(put_text(at, r->ext[i].key, r->ext[i].key_n), "\":\"");
        at = put_text(at, r->text.p + r->ext[i].at, r->ext[i].n);
        *at++ = '"';
    }
    if (r->n_ext > 0)
        *at++ = '}';
    at = reply_json_opaque(at, opaque);
    if (r->remark.n > 0) {
        at = put_text(PUT_TEXT(at, ",\"remark\":\""), r->remark.p, r->remark.n);
        *at++ = '"';
    }
    out->n = (size_t)(reply_json_version(at) - out->p);
}

static void encode_json(const struct reply *r, int32_t opaque, struct buf *out)
{
    /* all values at once: they lie side by side */
    if (json_is_plain(buf_view(&r->text)) && json_is_plain(buf_view(&r->remark))) {
        encode_plain_json(r, opaque, out);
        return;
    }
    const struct command c = {.version = MQ_VERSION_OURS, .opaque = opaque, .flag = COMMAND_RESPONSE, .language = OUR_LANGUAGE,
                              .remark = r->remark.n ? buf_view(&r->remark) : slice_make(NULL, 0)};
    command_json_open(out, r->code);
    for (uint32_t i = 0; i < r->n_ext; i++)
        command_json_ext(out, key_of(r, i), value_of(r, i), i == 0);
    if (r->n_ext > 0)
        buf_u8(out, '}');
    command_json_close(out, &c);
}

void reply_encode(const struct reply *r, const struct ticket *to, struct buf *out)
{
    if (to->oneway)
        return;
    if (r->text.failed || r->remark.failed || r->body.failed) { /* out of memory while it was made: say so instead of something false */
        struct reply plain = {.code = RES_SYSTEM_ERROR};
        static const uint8_t words[] = "out of memory";
        plain.remark = (struct buf){.p = (uint8_t *)(uintptr_t)words, .n = sizeof words - 1, .cap = sizeof words};
        reply_encode(&plain, to, out);
        return;
    }
    size_t at = frame_open(out);
    if (to->serialize == SERIALIZE_JSON)
        encode_json(r, to->opaque, out);
    else
        encode_binary(r, to->opaque, out);
    frame_close(out, at, to->serialize, r->body.n);
    buf_slice(out, buf_view(&r->body));
}

void reply_clear(struct reply *r)
{
    r->code = RES_SUCCESS;
    r->n_ext = 0;
    buf_clear(&r->remark);
    buf_clear(&r->text);
    buf_clear(&r->body);
}

void reply_free(struct reply *r)
{
    buf_free(&r->remark);
    buf_free(&r->text);
    buf_free(&r->body);
    *r = (struct reply){0};
}
