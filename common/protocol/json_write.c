/* json_write.c - JSON as fastjson writes it: compact, or pretty with tabs; keys may be anything. See json.h. */
#include "common/protocol/json.h"

#include <math.h>

struct jw jw_over(struct buf *out, bool pretty) { return (struct jw){.out = out, .pretty = pretty, .first = true}; }

static void line(struct jw *w)
{
    if (!w->pretty)
        return;
    buf_u8(w->out, '\n');
    for (int i = 0; i < w->depth; i++)
        buf_u8(w->out, '\t');
}

static void before(struct jw *w) /* a key, or a value that has none */
{
    if (w->after_key) {
        w->after_key = false;
        return;
    }
    if (!w->first)
        buf_u8(w->out, ',');
    if (w->depth > 0)
        line(w);
    w->first = false;
}

static void open(struct jw *w, uint8_t c)
{
    before(w);
    buf_u8(w->out, c);
    w->depth++;
    w->first = true;
}

static void close(struct jw *w, uint8_t c)
{
    w->depth--;
    if (!w->first)
        line(w);
    buf_u8(w->out, c);
    w->first = false;
}

void jw_object(struct jw *w) { open(w, '{'); }
void jw_end_object(struct jw *w) { close(w, '}'); }
void jw_array(struct jw *w) { open(w, '['); }
void jw_end_array(struct jw *w) { close(w, ']'); }

void jw_key_raw(struct jw *w, struct slice text)
{
    before(w);
    buf_slice(w->out, text);
    buf_u8(w->out, ':');
    w->after_key = true;
}

void jw_key_slice(struct jw *w, struct slice key)
{
    before(w);
    json_quote(w->out, key);
    buf_u8(w->out, ':');
    w->after_key = true;
}

void jw_key(struct jw *w, const char *key) { jw_key_slice(w, slice_str(key)); }

void jw_raw(struct jw *w, struct slice json)
{
    before(w);
    buf_slice(w->out, json);
}

void jw_str(struct jw *w, struct slice value)
{
    before(w);
    if (value.p == NULL)
        buf_str(w->out, "null");
    else
        json_quote(w->out, value);
}

void jw_i64(struct jw *w, int64_t value)
{
    before(w);
    buf_i64_text(w->out, value);
}

void jw_bool(struct jw *w, bool value)
{
    before(w);
    buf_str(w->out, value ? "true" : "false");
}

void jw_double(struct jw *w, double value)
{
    before(w);
    if (!isfinite(value))
        buf_str(w->out, "null");
    else if (value == floor(value) && fabs(value) < 1e7)
        buf_printf(w->out, "%.1f", value);
    else
        buf_printf(w->out, "%.15g", value);
}

void jw_kv_str(struct jw *w, const char *key, struct slice value)
{
    jw_key(w, key);
    jw_str(w, value);
}

void jw_kv_i64(struct jw *w, const char *key, int64_t value)
{
    jw_key(w, key);
    jw_i64(w, value);
}

void jw_kv_bool(struct jw *w, const char *key, bool value)
{
    jw_key(w, key);
    jw_bool(w, value);
}

/* Bytes of the UTF-8 sequence at p, 0 when it is none. */
static size_t sequence(const uint8_t *p, size_t n)
{
    uint8_t c = p[0];
    size_t more = c >= 0xf0 && c < 0xf5 ? 3 : c >= 0xe0 && c < 0xf0 ? 2 : c >= 0xc2 && c < 0xe0 ? 1 : 0;
    if (more == 0 || n <= more)
        return 0;
    for (size_t i = 1; i <= more; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    bool surrogate = c == 0xed && p[1] >= 0xa0, overlong = (c == 0xe0 && p[1] < 0xa0) || (c == 0xf0 && p[1] < 0x90);
    bool beyond = c == 0xf4 && p[1] > 0x8f;
    return surrogate || overlong || beyond ? 0 : more + 1;
}

void json_quote(struct buf *out, struct slice s)
{
    buf_u8(out, '"');
    for (size_t i = 0; i < s.n;) {
        size_t from = i;
        while (i < s.n && s.p[i] >= 0x20 && s.p[i] < 0x7f && s.p[i] != '"' && s.p[i] != '\\')
            i++;
        buf_put(out, s.p + from, i - from);
        if (i == s.n)
            break;
        uint8_t c = s.p[i];
        if (c >= 0x80) {
            size_t n = sequence(s.p + i, s.n - i);
            if (n == 0)
                buf_str(out, "\xef\xbf\xbd");
            else
                buf_put(out, s.p + i, n);
            i += n ? n : 1;
            continue;
        }
        static const char named[] = {['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't', ['"'] = '"', ['\\'] = '\\'};
        if (c < sizeof named && named[c] != 0) {
            buf_u8(out, '\\');
            buf_u8(out, (uint8_t)named[c]);
        } else {
            buf_printf(out, "\\u%04x", c);
        }
        i++;
    }
    buf_u8(out, '"');
}
