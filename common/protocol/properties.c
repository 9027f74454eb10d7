/* properties.c - name 0x01 value 0x02 ..., read by Java's rules: the first 0x01 splits a pair; a pair shorter than three
 * characters, or with an empty name or value, is passed over; the last 0x02 may be absent. */
#include "common/protocol/message.h"

#include "common/base/find2.h"

bool prop_next(struct slice *rest, struct slice *name, struct slice *value)
{
    while (rest->p != NULL) {
        const uint8_t *from = rest->p, *end = from + rest->n, *split = find2(from, end, PROP_SEP_NAME, PROP_SEP_PAIR), *at = split;
        while (at < end && *at != PROP_SEP_PAIR) /* a value may hold the other one */
            at = find2(at + 1, end, PROP_SEP_NAME, PROP_SEP_PAIR);
        *rest = at == end ? slice_make(NULL, 0) : slice_make(at + 1, (size_t)(end - at - 1));
        if (split == at || split == from || split == at - 1)
            continue;
        *name = slice_make(from, (size_t)(split - from));
        *value = slice_make(split + 1, (size_t)(at - split - 1));
        return true;
    }
    return false;
}

static inline void take_value(struct slice pair, const char *name, size_t n, struct slice *value) /* name: with its separator */
{
    if (pair.n > n && memcmp(pair.p, name, n) == 0)
        *value = slice_make(pair.p + n, pair.n - n);
}

/* Of a name that is sought the separator's place is known, so only the ends of pairs are looked for. */
void prop_known(struct slice props, struct known_props *out)
{
    static const char tags[] = {PROP_TAGS "\1"}, keys[] = {PROP_KEYS "\1"}, uniq_key[] = {PROP_UNIQ_KEY "\1"};
    struct slice rest = props;
    *out = (struct known_props){0};
    while (rest.n > 0) {
        const uint8_t *end = rest.p + rest.n, *at = find2(rest.p, end, PROP_SEP_PAIR, PROP_SEP_PAIR);
        struct slice pair = slice_make(rest.p, (size_t)(at - rest.p));
        take_value(pair, tags, sizeof tags - 1, &out->tags);
        take_value(pair, keys, sizeof keys - 1, &out->keys);
        take_value(pair, uniq_key, sizeof uniq_key - 1, &out->uniq_key);
        rest = at == end ? slice_make(NULL, 0) : slice_make(at + 1, (size_t)(end - at - 1));
    }
}
_Static_assert(PROP_SEP_NAME == 1, "written as text above");

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
