/* buf.c - see buf.h. Capacity doubles, so that n appends cost O(n). */
#include "common/base/buf.h"

#include <stdio.h>

#include "common/base/mem.h"

uint8_t *buf_grow(struct buf *b, size_t more)
{
    if (b->failed)
        return NULL;
    if (more > b->cap - b->n) {
        size_t want = b->n + more;
        if (want < more)
            goto failed;
        size_t cap = b->cap ? b->cap : 256;
        while (cap < want)
            cap = cap > SIZE_MAX / 2 ? want : cap * 2;
        uint8_t *p = mem_realloc(b->p, cap);
        if (p == NULL)
            goto failed;
        b->p = p;
        b->cap = cap;
    }
    return b->p + b->n;

failed:
    b->failed = true;
    return NULL;
}

void buf_slice(struct buf *b, struct slice s) { buf_put(b, s.p, s.n); }

void buf_u16(struct buf *b, uint16_t v)
{
    uint8_t w[2] = {(uint8_t)(v >> 8), (uint8_t)v};
    buf_put(b, w, 2);
}

void buf_u32(struct buf *b, uint32_t v)
{
    v = __builtin_bswap32(v);
    buf_put(b, &v, 4);
}

void buf_u64(struct buf *b, uint64_t v)
{
    v = __builtin_bswap64(v);
    buf_put(b, &v, 8);
}

void buf_i64_text(struct buf *b, int64_t v)
{
    uint8_t *at = buf_room(b, I64_TEXT_MAX);
    if (at != NULL)
        b->n = (size_t)(i64_text(at, v) - b->p);
}

/* How many digits v > 0 has: its bits times log10(2), and one more or not. */
static unsigned digits_of(uint64_t v)
{
    static const uint64_t powers[] = {1u, 10u, 100u, 1000u, 10000u, 100000u, 1000000u, 10000000u, 100000000u, 1000000000u, 10000000000u, 100000000000u,
                                      1000000000000u, 10000000000000u, 100000000000000u, 1000000000000000u, 10000000000000000u, 100000000000000000u,
                                      1000000000000000000u, 10000000000000000000u};
    unsigned about = (unsigned)(64 - __builtin_clzll(v)) * 1233 >> 12;
    return about + (v >= powers[about]);
}

uint8_t *i64_text_long(uint8_t *to, int64_t v)
{
    static const char pairs[] = "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849"
                                "5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    if (v < 0)
        *to++ = '-';
    uint8_t *end = to + digits_of(u), *p = end;
    for (; u >= 100; u /= 100)
        memcpy(p -= 2, pairs + u % 100 * 2, 2);
    if (u >= 10)
        memcpy(p - 2, pairs + u * 2, 2);
    else
        p[-1] = (uint8_t)('0' + u);
    return end;
}

void buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    uint8_t *at = n < 0 ? NULL : buf_room(b, (size_t)n + 1);
    if (at != NULL) {
        vsnprintf((char *)at, (size_t)n + 1, fmt, again);
        b->n += (size_t)n;
    }
    va_end(again);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(b, fmt, ap);
    va_end(ap);
}

void buf_clear(struct buf *b)
{
    b->n = 0;
    b->failed = false;
}

void buf_free(struct buf *b)
{
    mem_free(b->p);
    *b = (struct buf){0};
}
