/* rd.h - one bounded reader over bytes from outside: read straight down, ask once at the end.
 * The first read past the end sets `bad`; from then on every read gives zero and moves nothing. */
#ifndef COMMON_PROTOCOL_RD_H
#define COMMON_PROTOCOL_RD_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/base/slice.h"

struct rd {
    const uint8_t *p, *end;
    bool bad;
};

static inline struct rd rd_over(const void *p, size_t n) { return (struct rd){p, (const uint8_t *)p + n, false}; }
static inline struct rd rd_slice(struct slice s) { return rd_over(s.p, s.n); }
static inline size_t rd_left(const struct rd *r) { return (size_t)(r->end - r->p); }
static inline bool rd_done(const struct rd *r) { return !r->bad && r->p == r->end; } /* all read, nothing missing */

static inline const uint8_t *rd_take(struct rd *r, size_t n) /* n bytes, or NULL */
{
    if (r->bad || n > (size_t)(r->end - r->p)) { /* compares with what is left; p + n could wrap */
        r->bad = true;
        return NULL;
    }
    const uint8_t *at = r->p;
    r->p += n;
    return at;
}
static inline uint8_t rd_u8(struct rd *r)
{
    const uint8_t *b = rd_take(r, 1);
    return b ? b[0] : 0;
}
static inline uint16_t rd_u16(struct rd *r)
{
    const uint8_t *b = rd_take(r, 2);
    return (uint16_t)(b ? b[0] << 8 | b[1] : 0);
}
static inline uint32_t rd_u32(struct rd *r)
{
    const uint8_t *b = rd_take(r, 4);
    return b ? (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3] : 0;
}
static inline uint64_t rd_u64(struct rd *r)
{
    uint64_t high = rd_u32(r);
    return high << 32 | rd_u32(r);
}
static inline int32_t rd_i32(struct rd *r) { return (int32_t)rd_u32(r); }
static inline int64_t rd_i64(struct rd *r) { return (int64_t)rd_u64(r); }
static inline struct slice rd_bytes(struct rd *r, size_t n)
{
    const uint8_t *b = rd_take(r, n);
    return b ? slice_make(b, n) : slice_make(NULL, 0);
}
static inline struct slice rd_rest(struct rd *r) { return rd_bytes(r, rd_left(r)); }

/* Writing in place, big-endian; the caller has the room. */
static inline void put_u16(uint8_t *p, uint16_t v) { p[0] = (uint8_t)(v >> 8), p[1] = (uint8_t)v; }
static inline void put_u32(uint8_t *p, uint32_t v)
{
    v = __builtin_bswap32(v);
    memcpy(p, &v, 4);
}
static inline void put_u64(uint8_t *p, uint64_t v)
{
    v = __builtin_bswap64(v);
    memcpy(p, &v, 8);
}
/* A text that is short as a rule, so that two overlapping words do; returns its end. */
static inline uint8_t *put_text(uint8_t *to, const void *from, size_t n)
{
    const uint8_t *p = from;
    if (n > 32) {
        memcpy(to, p, n);
    } else if (n >= 16) {
        memcpy(to, p, 16);
        memcpy(to + n - 16, p + n - 16, 16);
    } else if (n >= 8) {
        memcpy(to, p, 8);
        memcpy(to + n - 8, p + n - 8, 8);
    } else if (n >= 4) {
        memcpy(to, p, 4);
        memcpy(to + n - 4, p + n - 4, 4);
    } else {
        for (size_t i = 0; i < n; i++)
            to[i] = p[i];
    }
    return to + n;
}
#endif
