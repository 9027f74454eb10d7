/* json.c - reading JSON with fastjson's liberties: keys may be bare numbers or words, or whole objects.
 *
 * A pass over the text rewrites such keys as strings and leaves everything else; then jansson parses. The pass knows strings, brackets
 * and what is expected next, nothing more: what is not JSON otherwise, jansson refuses.
 *   I1  linear time and memory, nesting bounded by JSON_DEPTH_MAX; no recursion.      (test: fuzz/json) */
#include "common/protocol/json.h"

#include <ctype.h>

#include "common/base/mem.h"

struct rewrite {
    const uint8_t *p, *end;
    struct buf out;
    uint8_t open[JSON_DEPTH_MAX]; /* '{' or '[' per level */
    unsigned depth;
};

static void blanks(struct rewrite *r)
{
    while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r'))
        r->p++;
}

static bool copy_string(struct rewrite *r, struct buf *to)
{
    const uint8_t *from = r->p++;
    while (r->p < r->end && *r->p != '"')
        r->p += *r->p == '\\' ? 2 : 1;
    if (r->p >= r->end)
        return false;
    r->p++;
    buf_put(to, from, (size_t)(r->p - from));
    return true;
}

/* An object as a key: its compact text, as a string. */
static bool object_key(struct rewrite *r)
{
    struct buf text = {0};
    unsigned depth = 0;
    bool good = true;
    do {
        blanks(r);
        if (r->p == r->end) {
            good = false;
            break;
        }
        uint8_t c = *r->p;
        if (c == '"') {
            good = copy_string(r, &text);
            continue;
        }
        depth += c == '{' || c == '[';
        depth -= c == '}' || c == ']';
        buf_u8(&text, c);
        r->p++;
        good = depth <= JSON_DEPTH_MAX;
    } while (good && depth > 0);
    if (good && !text.failed)
        json_quote(&r->out, buf_view(&text));
    good = good && !text.failed;
    buf_free(&text);
    return good;
}

static bool bare_key(struct rewrite *r)
{
    const uint8_t *from = r->p;
    while (r->p < r->end && (isalnum(*r->p) || *r->p == '_' || *r->p == '-' || *r->p == '.' || *r->p == '$'))
        r->p++;
    if (r->p == from)
        return false;
    json_quote(&r->out, slice_make(from, (size_t)(r->p - from)));
    return true;
}

static bool key(struct rewrite *r)
{
    blanks(r);
    if (r->p == r->end)
        return false;
    if (*r->p == '}')
        return true; /* an empty object, or a comma before the end: jansson decides */
    bool good = *r->p == '"' ? copy_string(r, &r->out) : *r->p == '{' ? object_key(r) : bare_key(r);
    blanks(r);
    return good && r->p < r->end && *r->p == ':';
}

static bool rewrite(struct rewrite *r)
{
    while (blanks(r), r->p < r->end) {
        uint8_t c = *r->p;
        if (c == '"') {
            if (!copy_string(r, &r->out))
                return false;
            continue;
        }
        if (c == '{' || c == '[') {
            if (r->depth == JSON_DEPTH_MAX)
                return false;
            r->open[r->depth++] = c;
        } else if (c == '}' || c == ']') {
            if (r->depth == 0)
                return false;
            r->depth--;
        }
        buf_u8(&r->out, c);
        r->p++;
        if ((c == '{' || c == ',') && r->depth > 0 && r->open[r->depth - 1] == '{' && !key(r))
            return false;
    }
    return true;
}

json_t *json_parse(struct slice text, struct fault *why)
{
    struct rewrite r = {.p = text.p, .end = text.p + text.n};
    json_t *out = NULL;
    if (!rewrite(&r)) {
        fault_set(why, MQ_EMALFORMED, 0, "JSON, byte %zu of %zu", (size_t)(r.p < r.end ? r.p - text.p : (ptrdiff_t)text.n), text.n);
    } else if (r.out.failed) {
        fault_set(why, MQ_ENOMEM, 0, "read JSON of %zu bytes", text.n);
    } else {
        json_error_t e;
        out = json_loadb((const char *)r.out.p, r.out.n, JSON_ALLOW_NUL, &e);
        if (out == NULL)
            fault_set(why, MQ_EMALFORMED, 0, "JSON: %.120s", e.text);
    }
    buf_free(&r.out);
    return out;
}

struct slice json_str(const json_t *object, const char *name)
{
    const json_t *v = json_object_get(object, name);
    return json_is_string(v) ? slice_make(json_string_value(v), json_string_length(v)) : slice_make(NULL, 0);
}

int64_t json_i64(const json_t *object, const char *name, int64_t absent)
{
    const json_t *v = json_object_get(object, name);
    int64_t out = absent;
    if (json_is_integer(v))
        return json_integer_value(v);
    if (json_is_string(v) && slice_i64(slice_make(json_string_value(v), json_string_length(v)), &out))
        return out;
    return absent;
}

bool json_flag(const json_t *object, const char *name, bool absent)
{
    const json_t *v = json_object_get(object, name);
    if (json_is_boolean(v))
        return json_is_true(v);
    if (json_is_string(v))
        return slice_bool(slice_make(json_string_value(v), json_string_length(v)));
    return absent;
}
