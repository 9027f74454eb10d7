/* java_number.c - the grammar of Java's number parsers.
 *
 * The syntax is checked here, since strtod() takes less and more than Java; the rounding is left to strtod(), which is exact as Java's is. It
 * needs a terminated text, and a property has none and may be long: so the digits are copied, as an integer with an exponent, up to
 * DIGITS_MAX of them. A double's rounding depends on at most 768 digits; of those beyond, it matters only whether all are zero, which one
 * more digit tells.  (tests: unit/filter/numbers; compat/sql, which asks Java) */
#include "common/filter/java_number.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { DIGITS_MAX = 800, EXPONENT_MAX = 100000000 };

/* ---- integers ---- */
/* The zeros of the scripts of the BMP that have decimal digits, as in Java 17. */
static const uint16_t zeros[] = {0x0660, 0x06f0, 0x07c0, 0x0966, 0x09e6, 0x0a66, 0x0ae6, 0x0b66, 0x0be6, 0x0c66, 0x0ce6, 0x0d66, 0x0de6,
                                 0x0e50, 0x0ed0, 0x0f20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0,
                                 0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10};

static int digit_of(uint32_t c)
{
    for (size_t i = 0; i < sizeof zeros / sizeof *zeros; i++)
        if (c >= zeros[i] && c < zeros[i] + 10u)
            return (int)(c - zeros[i]);
    return -1;
}

/* Takes one character of two or three bytes; 0: none stands there. */
static uint32_t take_wide(struct slice *rest)
{
    const uint8_t *p = rest->p;
    uint32_t c = 0;
    size_t n = rest->n >= 2 && (p[0] & 0xe0) == 0xc0 ? 2 : rest->n >= 3 && (p[0] & 0xf0) == 0xe0 ? 3 : 0;
    if (n == 0)
        return 0;
    c = n == 2 ? p[0] & 0x1fu : p[0] & 0x0fu;
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3fu);
    }
    *rest = slice_from(*rest, n);
    return c < (n == 2 ? 0x80u : 0x800u) ? 0 : c;
}

static int take_digit(struct slice *rest)
{
    uint8_t c = rest->p[0];
    if (c >= 0x80)
        return digit_of(take_wide(rest));
    *rest = slice_from(*rest, 1);
    return c >= '0' && c <= '9' ? c - '0' : -1;
}

bool java_number_integer(struct slice text, int64_t least, int64_t most, int64_t *out)
{
    bool minus = text.n && text.p[0] == '-';
    uint64_t value = 0, limit = minus ? (uint64_t)0 - (uint64_t)least : (uint64_t)most;
    if (text.n && (minus || text.p[0] == '+'))
        text = slice_from(text, 1);
    if (text.n == 0)
        return false;
    while (text.n) {
        int digit = take_digit(&text);
        if (digit < 0 || value > (limit - (uint64_t)digit) / 10)
            return false;
        value = value * 10 + (uint64_t)digit;
    }
    *out = minus ? (int64_t)((uint64_t)0 - value) : (int64_t)value;
    return true;
}

/* ---- doubles ---- */
struct digits { /* all digits seen, as an integer times base to the power of scale */
    char text[DIGITS_MAX + 2];
    size_t n;
    int64_t scale;
    bool any, rest; /* a digit was seen; one that is not zero did not fit */
};

static bool is_digit(uint8_t c, bool hex)
{
    return (c >= '0' && c <= '9') || (hex && ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')));
}

static void add_digit(struct digits *d, uint8_t c, bool behind_point)
{
    d->any = true;
    d->scale -= behind_point;
    if (d->n == 0 && c == '0')
        return;
    if (d->n < DIGITS_MAX) {
        d->text[d->n++] = (char)c;
        return;
    }
    d->scale++;
    d->rest = d->rest || c != '0';
}

static struct slice take_digits(struct slice s, bool hex, struct digits *d)
{
    bool point = false;
    for (; s.n && (is_digit(s.p[0], hex) || (s.p[0] == '.' && !point)); s = slice_from(s, 1)) {
        if (s.p[0] == '.')
            point = true;
        else
            add_digit(d, s.p[0], point);
    }
    if (d->rest) {
        d->text[d->n++] = '1';
        d->scale--;
    }
    return s;
}

/* Behind an e or p: a sign, digits. False: there are none. */
static bool take_exponent(struct slice *s, int64_t *out)
{
    bool minus = s->n && s->p[0] == '-', any = false;
    int64_t value = 0;
    if (s->n && (minus || s->p[0] == '+'))
        *s = slice_from(*s, 1);
    for (; s->n && is_digit(s->p[0], false); *s = slice_from(*s, 1)) {
        value = value < EXPONENT_MAX ? value * 10 + (s->p[0] - '0') : value;
        any = true;
    }
    *out = minus ? -value : value;
    return any;
}

static struct slice trim(struct slice s) /* Java's: all that is not above a blank goes */
{
    while (s.n && s.p[0] <= ' ')
        s = slice_from(s, 1);
    while (s.n && s.p[s.n - 1] <= ' ')
        s.n--;
    return s;
}

static double value_of(struct digits *d, bool hex, int64_t exponent)
{
    char text[DIGITS_MAX + 40];
    if (d->n == 0)
        return 0;
    snprintf(text, sizeof text, hex ? "0x%.*sp%lld" : "%.*se%lld", (int)d->n, d->text, (long long)(exponent + d->scale * (hex ? 4 : 1)));
    return strtod(text, NULL);
}

bool java_number_double(struct slice text, double *out)
{
    struct slice s = trim(text);
    bool minus = s.n && s.p[0] == '-';
    if (s.n && (minus || s.p[0] == '+'))
        s = slice_from(s, 1);
    if (slice_is(s, "NaN") || slice_is(s, "Infinity")) {
        *out = s.p[0] == 'N' ? (double)NAN : minus ? (double)-INFINITY : (double)INFINITY;
        return true;
    }
    bool hex = s.n >= 2 && s.p[0] == '0' && (s.p[1] | 0x20) == 'x';
    struct digits d;
    d.n = 0;
    d.scale = 0;
    d.any = d.rest = false;
    int64_t exponent = 0;
    s = take_digits(hex ? slice_from(s, 2) : s, hex, &d);
    if (!d.any)
        return false;
    bool has_exponent = s.n && (s.p[0] | 0x20) == (hex ? 'p' : 'e');
    if (has_exponent) {
        s = slice_from(s, 1);
        if (!take_exponent(&s, &exponent))
            return false;
    } else if (hex) {
        return false;
    }
    if (s.n && ((s.p[0] | 0x20) == 'f' || (s.p[0] | 0x20) == 'd'))
        s = slice_from(s, 1);
    if (s.n)
        return false;
    double value = value_of(&d, hex, exponent);
    *out = minus ? -value : value;
    return true;
}
