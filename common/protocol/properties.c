/* properties.c - name 0x01 value 0x02 ..., read by Java's rules: the first 0x01 splits a pair; a pair shorter than three
 * characters, or with an empty name or value, is passed over; the last 0x02 may be absent. */
#include "common/protocol/message.h"

bool prop_next(struct slice *rest, struct slice *name, struct slice *value)
{
    struct slice pair;
    while (slice_cut(rest, PROP_SEP_PAIR, &pair)) {
        const uint8_t *at = pair.n >= 3 ? memchr(pair.p, PROP_SEP_NAME, pair.n) : NULL;
        if (at == NULL || at == pair.p || at == pair.p + pair.n - 1)
            continue;
        *name = slice_make(pair.p, (size_t)(at - pair.p));
        *value = slice_make(at + 1, pair.n - name->n - 1);
        return true;
    }
    return false;
}

bool prop_get(struct slice props, const char *name, struct slice *value)
{
    struct slice rest = props, key, v;
    size_t n = strlen(name);
    bool found = false;
    while (prop_next(&rest, &key, &v))
        if (key.n == n && memcmp(key.p, name, n) == 0) {
            *value = v;
            found = true;
        }
    return found;
}

void prop_add(struct buf *out, const char *name, struct slice value)
{
    if (out->n > 0 && out->p[out->n - 1] != PROP_SEP_PAIR)
        buf_u8(out, PROP_SEP_PAIR);
    buf_str(out, name);
    buf_u8(out, PROP_SEP_NAME);
    buf_slice(out, value);
}

void prop_copy_without(struct buf *out, struct slice props, const char *name)
{
    struct slice rest = props, key, value;
    size_t n = strlen(name);
    bool first = true;
    while (prop_next(&rest, &key, &value)) {
        if (key.n == n && memcmp(key.p, name, n) == 0)
            continue;
        if (!first)
            buf_u8(out, PROP_SEP_PAIR);
        first = false;
        buf_slice(out, key);
        buf_u8(out, PROP_SEP_NAME);
        buf_slice(out, value);
    }
}
