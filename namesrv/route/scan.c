/* scan.c - JSON walked with a cursor. Values that nobody wants are skipped by brackets and quotes alone; what is read
 * is checked to its last character. Nesting is a counter, not recursion, so that depth costs nothing. */
#include "namesrv/route/scan.h"

#include <string.h>

static void blanks(struct scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r'))
        s->p++;
}

static bool take(struct scan *s, uint8_t c)
{
    blanks(s);
    if (s->bad || s->p == s->end || *s->p != c)
        return false;
    s->p++;
    return true;
}

static void must(struct scan *s, uint8_t c)
{
    if (!take(s, c))
        s->bad = true;
}

void scan_open(struct scan *s, uint8_t bracket) { must(s, bracket); }

/* Behind the opening quote; leaves the cursor behind the closing one. */
static struct slice quoted(struct scan *s)
{
    const uint8_t *from = s->p, *quote = s->p < s->end ? memchr(s->p, '"', (size_t)(s->end - s->p)) : NULL;
    if (quote != NULL && memchr(from, '\\', (size_t)(quote - from)) == NULL) { /* nearly always */
        s->p = quote + 1;
        return slice_make(from, (size_t)(quote - from));
    }
    while (s->p < s->end && *s->p != '"') {
        if (*s->p == '\\' && s->end - s->p > 1)
            s->p++;
        s->p++;
    }
    if (s->p == s->end) {
        s->bad = true;
        return slice_make(NULL, 0);
    }
    return slice_make(from, (size_t)(s->p++ - from));
}

static bool bare_char(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '+' || c == '.' || c == '_';
}

static struct slice bare(struct scan *s) /* a number, a word or an unquoted key */
{
    blanks(s);
    const uint8_t *from = s->p;
    while (s->p < s->end && bare_char(*s->p))
        s->p++;
    if (s->p == from)
        s->bad = true;
    return slice_make(from, (size_t)(s->p - from));
}

bool scan_key(struct scan *s, bool *first, struct slice *key)
{
    if (s->bad || take(s, '}'))
        return false;
    if (!*first)
        must(s, ',');
    *first = false;
    *key = take(s, '"') ? quoted(s) : bare(s);
    must(s, ':');
    return !s->bad;
}

bool scan_item(struct scan *s, bool *first)
{
    if (s->bad || take(s, ']'))
        return false;
    if (!*first)
        must(s, ',');
    *first = false;
    return !s->bad;
}

struct slice scan_value(struct scan *s)
{
    uint64_t curly = 0; /* bit i: level i is an object */
    int depth = 0;

    blanks(s);
    const uint8_t *from = s->p;
    do {
        blanks(s);
        if (s->bad || s->p == s->end)
            goto bad;
        uint8_t c = *s->p;
        if (c == '{' || c == '[') {
            if (depth == SCAN_DEPTH_MAX)
                goto bad;
            uint64_t bit = (uint64_t)1 << depth++;
            curly = c == '{' ? curly | bit : curly & ~bit;
            s->p++;
        } else if (c == '}' || c == ']') {
            if (depth == 0 || (curly >> (depth - 1) & 1) != (c == '}'))
                goto bad;
            depth--;
            s->p++;
        } else if (c == '"') {
            s->p++;
            quoted(s);
        } else if (depth > 0 && (c == ',' || c == ':')) {
            s->p++;
        } else {
            bare(s);
        }
    } while (depth > 0 && !s->bad);
    if (!s->bad)
        return slice_make(from, (size_t)(s->p - from));
bad:
    s->bad = true;
    return slice_make(NULL, 0);
}

struct slice scan_str(struct scan *s)
{
    if (take(s, '"'))
        return quoted(s);
    if (!slice_is(bare(s), "null"))
        s->bad = true;
    return slice_make(NULL, 0);
}

int64_t scan_i64(struct scan *s, int64_t absent)
{
    struct slice text = take(s, '"') ? quoted(s) : bare(s);
    int64_t v = absent;
    if (!s->bad && !slice_is(text, "null") && !slice_i64(text, &v))
        s->bad = true;
    return v;
}

bool scan_end(struct scan *s)
{
    blanks(s);
    return !s->bad && s->p == s->end;
}

static int hex4(const uint8_t *p)
{
    int v = 0;
    for (int i = 0; i < 4; i++) {
        int c = p[i], d = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (d < 0)
            return -1;
        v = v * 16 + d;
    }
    return v;
}

static size_t utf8(uint32_t c, uint8_t out[4])
{
    if (c < 0x80)
        return out[0] = (uint8_t)c, 1;
    if (c < 0x800)
        return out[0] = (uint8_t)(0xc0 | c >> 6), out[1] = (uint8_t)(0x80 | (c & 0x3f)), 2;
    if (c < 0x10000)
        return out[0] = (uint8_t)(0xe0 | c >> 12), out[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f)), out[2] = (uint8_t)(0x80 | (c & 0x3f)), 3;
    return out[0] = (uint8_t)(0xf0 | c >> 18), out[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f)),
           out[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f)), out[3] = (uint8_t)(0x80 | (c & 0x3f)), 4;
}

/* One escape at p (behind the backslash): bytes taken, 0 when wrong; what it stands for in out. */
static size_t escape(const uint8_t *p, const uint8_t *end, uint8_t out[4], size_t *n)
{
    static const char from[] = "\"\\/bfnrt'", to[] = "\"\\/\b\f\n\r\t'";
    const char *at = p < end && *p ? strchr(from, *p) : NULL;
    *n = 1;
    if (at)
        return out[0] = (uint8_t)to[at - from], 1;
    if (end - p < 5 || *p != 'u')
        return 0;
    int c = hex4(p + 1);
    if (c < 0 || (c >= 0xdc00 && c < 0xe000))
        return 0;
    if (c < 0xd800 || c >= 0xe000)
        return *n = utf8((uint32_t)c, out), 5;
    int low = end - p >= 11 && p[5] == '\\' && p[6] == 'u' ? hex4(p + 7) : -1;
    if (low < 0xdc00 || low > 0xdfff)
        return 0;
    return *n = utf8(0x10000 + ((uint32_t)(c - 0xd800) << 10) + (uint32_t)(low - 0xdc00), out), 11;
}

bool scan_unescape(struct slice text, uint8_t *out, size_t cap, size_t *n)
{
    const uint8_t *p = text.p, *end = text.p + text.n;
    *n = 0;
    while (p < end) {
        uint8_t c[4] = {*p};
        size_t k = 1;
        if (*p++ == '\\') {
            size_t taken = escape(p, end, c, &k);
            if (taken == 0)
                return false;
            p += taken;
        }
        if (k > cap - *n)
            return false;
        memcpy(out + *n, c, k);
        *n += k;
    }
    return true;
}
