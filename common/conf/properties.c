/* properties.c - java.util.Properties text: comments, continuations, three kinds of separators, escapes.
 * Unlike Java, blanks at a value's end are dropped: a number followed by a blank is still that number. */
#include "common/conf/conf.h"

static bool blank(uint8_t c) { return c == ' ' || c == '\t' || c == '\f'; }

/* One logical line with its continuations, escapes still in it, into out. False at the end of the text. */
static bool logical_line(struct slice *rest, unsigned *line, struct buf *out)
{
    struct slice piece;
    bool more = false, any = false;
    while (slice_cut(rest, '\n', &piece)) {
        ++*line;
        if (piece.n > 0 && piece.p[piece.n - 1] == '\r')
            piece.n--;
        while (piece.n > 0 && blank(piece.p[0]))
            piece = slice_from(piece, 1);
        if (!more && (piece.n == 0 || piece.p[0] == '#' || piece.p[0] == '!'))
            continue;
        size_t slashes = 0;
        while (slashes < piece.n && piece.p[piece.n - 1 - slashes] == '\\')
            slashes++;
        more = slashes % 2 == 1;
        buf_put(out, piece.p, piece.n - more);
        any = true;
        if (!more)
            return true;
    }
    return any;
}

static int hex(uint8_t c) { return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1; }

/* Decodes escapes in place; never grows. */
static size_t decode(uint8_t *p, size_t n)
{
    size_t to = 0;
    for (size_t i = 0; i < n; i++) {
        if (p[i] != '\\' || i + 1 == n) {
            p[to++] = p[i];
            continue;
        }
        uint8_t c = p[++i];
        if (c == 'u' && n - i > 4 && hex(p[i + 1]) >= 0 && hex(p[i + 2]) >= 0 && hex(p[i + 3]) >= 0 && hex(p[i + 4]) >= 0) {
            unsigned u = (unsigned)(hex(p[i + 1]) << 12 | hex(p[i + 2]) << 8 | hex(p[i + 3]) << 4 | hex(p[i + 4]));
            i += 4;
            if (u < 0x80) {
                p[to++] = (uint8_t)u;
            } else if (u < 0x800) {
                p[to++] = (uint8_t)(0xc0 | u >> 6);
                p[to++] = (uint8_t)(0x80 | (u & 63));
            } else {
                p[to++] = (uint8_t)(0xe0 | u >> 12);
                p[to++] = (uint8_t)(0x80 | (u >> 6 & 63));
                p[to++] = (uint8_t)(0x80 | (u & 63));
            }
            continue;
        }
        p[to++] = c == 't' ? '\t' : c == 'n' ? '\n' : c == 'r' ? '\r' : c == 'f' ? '\f' : c;
    }
    return to;
}

static bool escaped(const uint8_t *p, size_t at) /* an odd number of backslashes stands before it */
{
    size_t slashes = 0;
    while (slashes < at && p[at - 1 - slashes] == '\\')
        slashes++;
    return slashes % 2 == 1;
}

bool properties_next(struct slice *rest, unsigned *line, struct buf *scratch, struct slice *key, struct slice *value)
{
    buf_clear(scratch);
    if (!logical_line(rest, line, scratch) || scratch->failed)
        return false;
    uint8_t *p = scratch->p;
    size_t n = scratch->n, i = 0;
    while (i < n && p[i] != '=' && p[i] != ':' && !blank(p[i]))
        i += p[i] == '\\' && i + 1 < n ? 2 : 1;
    size_t key_n = i;
    while (i < n && blank(p[i]))
        i++;
    if (i < n && (p[i] == '=' || p[i] == ':'))
        i++;
    while (i < n && blank(p[i]))
        i++;
    while (n > i && blank(p[n - 1]) && !escaped(p + i, n - 1 - i))
        n--;
    *key = slice_make(p, n > 0 ? decode(p, key_n) : 0);
    *value = slice_make(p + i, decode(p + i, n - i));
    return true;
}
