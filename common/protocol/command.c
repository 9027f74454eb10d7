/* command.c - commands to frames and back, and the reader of ext fields. The JSON header is in command_json.c.
 *   I1  a decoded command never points outside the frame or the arena.       (test: fuzz/command)
 *   I2  what command_encode() wrote, command_decode() reads as the same.     (test: unit/fixtures) */
#include "common/protocol/command.h"

#include <stdio.h>

#include "common/protocol/codes.h"
#include "common/protocol/command_internal.h"
#include "common/protocol/rd.h"

static enum mq_err binary_decode(struct slice header, struct arena *arena, struct command *out, struct fault *why)
{
    struct rd r = rd_slice(header);
    struct command c = {.serialize = SERIALIZE_BINARY};
    c.code = (int16_t)rd_u16(&r);
    c.language = rd_u8(&r);
    c.version = (int16_t)rd_u16(&r);
    c.opaque = rd_i32(&r);
    c.flag = rd_i32(&r);
    int32_t n = rd_i32(&r);
    if (n > 0)
        c.remark = rd_bytes(&r, (size_t)n);
    n = rd_i32(&r);
    if (r.bad || n < 0)
        return fault_set(why, MQ_EMALFORMED, 0, "binary header of %zu bytes", header.n);
    struct rd ext = rd_slice(rd_bytes(&r, (size_t)n));
    if (!rd_done(&r))
        return fault_set(why, MQ_EMALFORMED, 0, "binary header: %zu bytes of ext fields do not fit", (size_t)n);
    struct ext_field found[COMMAND_EXT_MAX];
    while (rd_left(&ext) > 0) {
        struct slice key = rd_bytes(&ext, rd_u16(&ext));
        int32_t value_n = rd_i32(&ext);
        struct slice value = rd_bytes(&ext, value_n < 0 ? SIZE_MAX : (size_t)value_n);
        if (ext.bad)
            return fault_set(why, MQ_EMALFORMED, 0, "binary header: ext field %u", c.n_ext);
        if (c.n_ext == COMMAND_EXT_MAX)
            return fault_set(why, MQ_ELIMIT, 0, "more than %d ext fields", COMMAND_EXT_MAX);
        found[c.n_ext++] = (struct ext_field){key, value};
    }
    if (c.n_ext > 0 && (c.ext = arena_dup(arena, found, c.n_ext * sizeof *found)) == NULL)
        return fault_set(why, MQ_ENOMEM, 0, "decode header");
    *out = c;
    return MQ_OK;
}

enum mq_err command_decode(struct slice frame, struct arena *arena, struct command *out, struct fault *why)
{
    struct rd r = rd_slice(frame);
    uint32_t mark = rd_u32(&r);
    struct slice header = rd_bytes(&r, mark & 0xffffff);
    struct slice body = rd_rest(&r);
    if (!rd_done(&r))
        return fault_set(why, MQ_EMALFORMED, 0, "header of %u bytes in a frame of %zu", mark & 0xffffff, frame.n);
    enum mq_err err;
    switch (mark >> 24) {
    case SERIALIZE_JSON: err = command_json_decode(header, arena, out, why); break;
    case SERIALIZE_BINARY: err = binary_decode(header, arena, out, why); break;
    default: return fault_set(why, MQ_EMALFORMED, 0, "serialize type %u", mark >> 24);
    }
    if (err == MQ_OK)
        out->body = body;
    return err;
}

size_t frame_open(struct buf *out)
{
    size_t at = out->n;
    if (buf_room(out, 8) != NULL)
        out->n += 8;
    return at;
}

void frame_close(struct buf *out, size_t at, enum serialize s, size_t body_n)
{
    if (out->failed)
        return;
    size_t header_n = out->n - at - 8;
    if (header_n > 0xffffff || body_n > UINT32_MAX - 4 - header_n) {
        out->failed = true;
        return;
    }
    put_u32(out->p + at, (uint32_t)(4 + header_n + body_n));
    put_u32(out->p + at + 4, (uint32_t)s << 24 | (uint32_t)header_n);
}

void command_encode_head(const struct command *c, size_t body_n, struct buf *out)
{
    size_t at = frame_open(out);
    if (c->serialize == SERIALIZE_JSON) {
        command_json_open(out, c->code);
        for (uint32_t i = 0; i < c->n_ext; i++)
            command_json_ext(out, c->ext[i].key, c->ext[i].value, i == 0);
        if (c->n_ext > 0)
            buf_u8(out, '}');
        command_json_close(out, c);
    } else {
        buf_u16(out, (uint16_t)c->code);
        buf_u8(out, c->language);
        buf_u16(out, (uint16_t)c->version);
        buf_u32(out, (uint32_t)c->opaque);
        buf_u32(out, (uint32_t)c->flag);
        buf_u32(out, (uint32_t)c->remark.n);
        buf_slice(out, c->remark);
        size_t ext_at = out->n;
        buf_u32(out, 0);
        for (uint32_t i = 0; i < c->n_ext; i++) {
            buf_u16(out, (uint16_t)c->ext[i].key.n);
            buf_slice(out, c->ext[i].key);
            buf_u32(out, (uint32_t)c->ext[i].value.n);
            buf_slice(out, c->ext[i].value);
        }
        if (!out->failed)
            put_u32(out->p + ext_at, (uint32_t)(out->n - ext_at - 4));
    }
    frame_close(out, at, c->serialize, body_n);
}

struct command command_to_client(int32_t code, const struct ext_field *ext, size_t n_ext)
{
    return (struct command){.code = code, .version = MQ_VERSION_OURS, .language = LANGUAGE_OTHER, .serialize = SERIALIZE_JSON, .ext = ext,
                            .n_ext = (uint32_t)n_ext};
}

void command_encode(const struct command *c, struct buf *out)
{
    command_encode_head(c, c->body.n, out);
    buf_slice(out, c->body);
}

/* ---- ext fields ---- */

bool command_ext(const struct command *c, const char *key, struct slice *value)
{
    size_t n = strlen(key);
    for (uint32_t i = 0; i < c->n_ext; i++)
        if (c->ext[i].key.n == n && memcmp(c->ext[i].key.p, key, n) == 0) {
            *value = c->ext[i].value;
            return true;
        }
    return false;
}

__attribute__((format(printf, 2, 3))) static void bad(struct fields *f, const char *fmt, ...)
{
    if (f->bad[0] != '\0')
        return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(f->bad, sizeof f->bad, fmt, ap);
    va_end(ap);
}

struct slice field_str_or_none(struct fields *f, const char *key)
{
    struct slice v;
    return command_ext(f->cmd, key, &v) ? v : slice_make(NULL, 0);
}

struct slice field_str(struct fields *f, const char *key)
{
    struct slice v = field_str_or_none(f, key);
    if (v.n == 0)
        bad(f, "field %s is missing", key);
    return v;
}

static int64_t number_or(struct fields *f, const char *key, int64_t absent, bool must, int64_t low, int64_t high)
{
    struct slice v = field_str_or_none(f, key);
    int64_t out = absent;
    if (v.n == 0) {
        if (must)
            bad(f, "field %s is missing", key);
    } else if (!slice_i64(v, &out) || out < low || out > high) {
        bad(f, "field %s is not a number in its range: %.*s", key, (int)(v.n < 40 ? v.n : 40), (const char *)v.p);
        out = absent;
    }
    return out;
}

int32_t field_i32(struct fields *f, const char *key) { return (int32_t)number_or(f, key, 0, true, INT32_MIN, INT32_MAX); }
int64_t field_i64(struct fields *f, const char *key) { return number_or(f, key, 0, true, INT64_MIN, INT64_MAX); }
int32_t field_i32_or(struct fields *f, const char *key, int32_t absent) { return (int32_t)number_or(f, key, absent, false, INT32_MIN, INT32_MAX); }
int64_t field_i64_or(struct fields *f, const char *key, int64_t absent) { return number_or(f, key, absent, false, INT64_MIN, INT64_MAX); }

bool field_bool_or(struct fields *f, const char *key, bool absent)
{
    struct slice v = field_str_or_none(f, key);
    return v.n == 0 ? absent : slice_bool(v);
}
