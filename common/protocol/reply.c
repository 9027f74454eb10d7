/* reply.c - filling in an answer and writing it in the form of its request. No tree, no allocation beyond the growth of buffers
 * that are kept from answer to answer. */
#include "common/protocol/reply.h"

#include "common/protocol/codes.h"
#include "common/protocol/command_internal.h"
#include "common/protocol/rd.h"

/* Apache's brokers say JAVA, and so do we: some clients compare it with the names they know. */
enum { OUR_LANGUAGE = LANGUAGE_JAVA };

static void ext(struct reply *r, const char *key, size_t at)
{
    if (r->n_ext == REPLY_EXT_MAX) {
        r->text.failed = true;
        return;
    }
    r->ext[r->n_ext].key = key;
    r->ext[r->n_ext].at = (uint32_t)at;
    r->ext[r->n_ext].n = (uint32_t)(r->text.n - at);
    r->n_ext++;
}

void reply_int(struct reply *r, const char *key, int64_t value)
{
    size_t at = r->text.n;
    buf_i64_text(&r->text, value);
    ext(r, key, at);
}

void reply_str(struct reply *r, const char *key, struct slice value)
{
    size_t at = r->text.n;
    buf_slice(&r->text, value);
    ext(r, key, at);
}

void reply_bool(struct reply *r, const char *key, bool value) { reply_str(r, key, value ? SLICE_LIT("true") : SLICE_LIT("false")); }

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

static void encode_binary(const struct reply *r, const struct command *c, struct buf *out)
{
    buf_u16(out, (uint16_t)c->code);
    buf_u8(out, c->language);
    buf_u16(out, (uint16_t)c->version);
    buf_u32(out, (uint32_t)c->opaque);
    buf_u32(out, (uint32_t)c->flag);
    buf_u32(out, (uint32_t)c->remark.n);
    buf_slice(out, c->remark);
    size_t ext_at = out->n;
    buf_u32(out, 0);
    for (uint32_t i = 0; i < r->n_ext; i++) {
        struct slice key = slice_str(r->ext[i].key);
        buf_u16(out, (uint16_t)key.n);
        buf_slice(out, key);
        buf_u32(out, r->ext[i].n);
        buf_put(out, r->text.p + r->ext[i].at, r->ext[i].n);
    }
    if (!out->failed)
        put_u32(out->p + ext_at, (uint32_t)(out->n - ext_at - 4));
}

void reply_encode(const struct reply *r, const struct ticket *to, struct buf *out)
{
    if (to->oneway)
        return;
    struct command c = {.code = r->code, .version = MQ_VERSION_OURS, .opaque = to->opaque, .flag = COMMAND_RESPONSE, .language = OUR_LANGUAGE,
                        .remark = r->remark.n ? buf_view(&r->remark) : slice_make(NULL, 0)};
    struct slice body = buf_view(&r->body);
    if (r->text.failed || r->remark.failed || r->body.failed) { /* out of memory while it was made: say so instead of something false */
        struct reply plain = {.code = RES_SYSTEM_ERROR};
        static const uint8_t words[] = "out of memory";
        plain.remark = (struct buf){.p = (uint8_t *)(uintptr_t)words, .n = sizeof words - 1, .cap = sizeof words};
        reply_encode(&plain, to, out);
        return;
    }
    size_t at = frame_open(out);
    if (to->serialize == SERIALIZE_JSON) {
        command_json_open(out, c.code);
        for (uint32_t i = 0; i < r->n_ext; i++)
            command_json_ext_plain(out, r->ext[i].key, slice_make(r->text.p + r->ext[i].at, r->ext[i].n), i == 0);
        if (r->n_ext > 0)
            buf_u8(out, '}');
        command_json_close(out, &c);
    } else {
        encode_binary(r, &c, out);
    }
    frame_close(out, at, to->serialize, body.n);
    buf_slice(out, body);
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
