/* properties.c - name 0x01 value 0x02 ..., read by Java's rules: the first 0x01 splits a pair; a pair shorter than three
 * characters, or with an empty name or value, is passed over; the last 0x02 may be absent. */
#include "common/protocol/message.h"
#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* The first of both separators in [p, end), else end. */
static inline const uint8_t *separator(const uint8_t *p, const uint8_t *end)
{
#ifdef __SSE2__
    const __m128i pair = _mm_set1_epi8(PROP_SEP_PAIR), name = _mm_set1_epi8(PROP_SEP_NAME);
    for (; end - p >= 16; p += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        unsigned hits = (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_cmpeq_epi8(v, pair), _mm_cmpeq_epi8(v, name)));
        if (hits)
            return p + __builtin_ctz(hits);
    }
#endif
    while (p < end && *p != PROP_SEP_PAIR && *p != PROP_SEP_NAME)
        p++;
    return p;
}

bool prop_next(struct slice *rest, struct slice *name, struct slice *value)
{
    while (rest->p != NULL) {
        const uint8_t *from = rest->p, *end = from + rest->n, *split = separator(from, end), *at = split;
        while (at < end && *at != PROP_SEP_PAIR) /* a value may hold the other one */
            at = separator(at + 1, end);
        *rest = at == end ? slice_make(NULL, 0) : slice_make(at + 1, (size_t)(end - at - 1));
        if (split == at || split == from || split == at - 1)
            continue;
        *name = slice_make(from, (size_t)(split - from));
        *value = slice_make(split + 1, (size_t)(at - split - 1));
        return true;
    }
    return false;
}

void prop_known(struct slice props, struct known_props *out)
{
    struct slice rest = props, name, value;
    *out = (struct known_props){0};
    while (prop_next(&rest, &name, &value)) {
        if (name.n == sizeof PROP_TAGS - 1 && memcmp(name.p, PROP_TAGS, sizeof PROP_TAGS - 1) == 0)
            out->tags = value;
        else if (name.n == sizeof PROP_KEYS - 1 && memcmp(name.p, PROP_KEYS, sizeof PROP_KEYS - 1) == 0)
            out->keys = value;
        else if (name.n == sizeof PROP_UNIQ_KEY - 1 && memcmp(name.p, PROP_UNIQ_KEY, sizeof PROP_UNIQ_KEY - 1) == 0)
            out->uniq_key = value;
    }
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
