/* buf.h - bytes that grow at their end.
 * Thread: one owner. A zeroed buf is ready. A failed append sets `failed`, which stays: append freely, ask once. */
#ifndef COMMON_BASE_BUF_H
#define COMMON_BASE_BUF_H
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/base/slice.h"

struct buf {
    uint8_t *p;
    size_t n, cap;
    bool failed;
};

uint8_t *buf_grow(struct buf *b, size_t more); /* buf_room()'s slow half */
/* Room for `more` bytes at p + n; NULL (and failed) when out of memory. Does not move n. */
static inline uint8_t *buf_room(struct buf *b, size_t more)
{
    return b->p != NULL && !b->failed && more <= b->cap - b->n ? b->p + b->n : buf_grow(b, more);
}
static inline void buf_put(struct buf *b, const void *p, size_t n)
{
    uint8_t *at = buf_room(b, n);
    if (at == NULL || n == 0)
        return;
    memcpy(at, p, n);
    b->n += n;
}
void buf_slice(struct buf *b, struct slice s);
static inline void buf_str(struct buf *b, const char *s) { buf_put(b, s, strlen(s)); }
static inline void buf_u8(struct buf *b, uint8_t v) { buf_put(b, &v, 1); }
void buf_u16(struct buf *b, uint16_t v); /* big-endian, as all of RocketMQ */
void buf_u32(struct buf *b, uint32_t v);
void buf_u64(struct buf *b, uint64_t v);
void buf_i64_text(struct buf *b, int64_t v); /* decimal */
enum { I64_TEXT_MAX = 20 };
uint8_t *i64_text_long(uint8_t *to, int64_t v); /* i64_text()'s slow half */
static inline uint8_t *i64_text(uint8_t *to, int64_t v) /* decimal, at most I64_TEXT_MAX bytes; returns its end */
{
    if (v < 0 || v > 9)
        return i64_text_long(to, v);
    *to = (uint8_t)('0' + v);
    return to + 1;
}
__attribute__((format(printf, 2, 3))) void buf_printf(struct buf *b, const char *fmt, ...);
__attribute__((format(printf, 2, 0))) void buf_vprintf(struct buf *b, const char *fmt, va_list ap);
void buf_clear(struct buf *b); /* keeps the memory, forgets `failed` */
void buf_free(struct buf *b);  /* leaves it zeroed */
static inline struct slice buf_view(const struct buf *b) { return slice_make(b->p, b->n); }
#endif
