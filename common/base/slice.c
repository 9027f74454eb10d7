/* slice.c - see slice.h. The hash is SipHash-free FNV-1a mixed with a per-process seed: names come from
 * clients, so the seed keeps a peer from aiming at one bucket. */
#include "common/base/slice.h"

#include <sys/random.h>

#include "common/base/mem.h"

bool slice_starts(struct slice s, const char *prefix)
{
    size_t n = strlen(prefix);
    return s.n >= n && memcmp(s.p, prefix, n) == 0;
}

int slice_cmp(struct slice a, struct slice b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;
    return c != 0 ? c : (a.n > b.n) - (a.n < b.n);
}

struct slice slice_trim(struct slice s)
{
    while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
        s = slice_from(s, 1);
    while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t' || s.p[s.n - 1] == '\r'))
        s.n--;
    return s;
}

bool slice_cut(struct slice *s, uint8_t sep, struct slice *piece)
{
    if (s->p == NULL)
        return false;
    const uint8_t *at = s->n ? memchr(s->p, sep, s->n) : NULL;
    if (at == NULL) {
        *piece = *s;
        *s = slice_make(NULL, 0);
    } else {
        *piece = slice_make(s->p, (size_t)(at - s->p));
        *s = slice_make(at + 1, s->n - piece->n - 1);
    }
    return true;
}

/* Eight digits, the first in the lowest byte, become their number; false: one of them is none. */
static bool digits8(uint64_t *text)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    uint64_t v = *text - 0x3030303030303030u;
    if (((v | (v + 0x7676767676767676u)) & 0x8080808080808080u) != 0)
        return false;
    v = v * 10 + (v >> 8); /* pairs, then fours, then all: in every second byte, word, half */
    v = (((v & 0x000000ff000000ffu) * 0x000f424000000064u) + ((v >> 16 & 0x000000ff000000ffu) * 0x0000271000000001u)) >> 32;
    *text = v;
    return true;
#else
    return false;
#endif
}

bool slice_i64(struct slice s, int64_t *out)
{
    size_t i = 0;
    bool minus = s.n > 0 && s.p[0] == '-';
    if (minus || (s.n > 0 && s.p[0] == '+'))
        i = 1;
    if (i == s.n)
        return false;
    int64_t v = 0; /* counts down: the negative range is the larger one */
    size_t safe = i + 18;
    for (uint64_t eight; s.n - i >= 8 && i + 8 <= safe; i += 8) {
        memcpy(&eight, s.p + i, 8);
        if (!digits8(&eight))
            break;
        v = v * 100000000 - (int64_t)eight;
    }
    for (; i < s.n && i < safe; i++) { /* so many digits always fit */
        unsigned digit = (unsigned)s.p[i] - '0';
        if (digit > 9)
            return false;
        v = v * 10 - (int64_t)digit;
    }
    for (; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_sub_overflow(v, s.p[i] - '0', &v))
            return false;
    }
    if (!minus && v == INT64_MIN)
        return false;
    *out = minus ? v : -v;
    return true;
}

bool slice_i32_long(struct slice s, int32_t *out)
{
    int64_t v;
    if (!slice_i64(s, &v) || v < INT32_MIN || v > INT32_MAX)
        return false;
    *out = (int32_t)v;
    return true;
}

uint64_t slice_hash(struct slice s)
{
    static uint64_t seed; /* of two threads that come at once the first sets it; both then read the same */
    if (__builtin_expect(__atomic_load_n(&seed, __ATOMIC_RELAXED) == 0, 0)) {
        uint64_t r = 0;
        if (getrandom(&r, sizeof r, GRND_NONBLOCK) != (ssize_t)sizeof r)
            r = (uint64_t)(uintptr_t)&seed;
        uint64_t none = 0;
        __atomic_compare_exchange_n(&seed, &none, r | 1, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    }
    uint64_t h = __atomic_load_n(&seed, __ATOMIC_RELAXED) ^ 0xcbf29ce484222325u;
    const uint8_t *p = s.p;
    size_t n = s.n;
    for (; n >= 8; n -= 8, p += 8) {
        uint64_t w;
        memcpy(&w, p, 8);
        h = (h ^ w) * 0x9e3779b97f4a7c15u;
        h ^= h >> 29;
    }
    for (; n > 0; n--)
        h = (h ^ *p++) * 0x100000001b3u;
    h ^= h >> 32;
    h *= 0x9e3779b97f4a7c15u;
    return h ^ h >> 29;
}

char *slice_dup(struct slice s)
{
    char *out = mem_alloc(s.n + 1);
    if (out != NULL)
        slice_copy(s, out, s.n + 1);
    return out;
}

char *slice_copy(struct slice s, char *out, size_t n)
{
    if (n == 0)
        return out;
    size_t len = s.n < n - 1 ? s.n : n - 1;
    if (len > 0)
        memcpy(out, s.p, len);
    out[len] = '\0';
    return out;
}
