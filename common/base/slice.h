/* slice.h - counted bytes that somebody else owns.
 * Thread: any. A slice is valid as long as what it points into; it is never terminated by NUL. */
#ifndef COMMON_BASE_SLICE_H
#define COMMON_BASE_SLICE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
    const uint8_t *p;
    size_t n;
};

/* For printf: printf("%.*s", SLICE_ARG(s)) */
#define SLICE_ARG(s) (int)(s).n, (const char *)(s).p
#define SLICE_LIT(text) ((struct slice){(const uint8_t *)(text), sizeof(text) - 1})

static inline struct slice slice_make(const void *p, size_t n) { return (struct slice){p, n}; }
static inline struct slice slice_str(const char *s) { return s ? slice_make(s, strlen(s)) : slice_make(NULL, 0); }
static inline bool slice_eq(struct slice a, struct slice b) /* b.n, which is a constant in slice_is(): no call then */
{
    return a.n == b.n && (b.n == 0 || memcmp(a.p, b.p, b.n) == 0);
}
static inline bool slice_is(struct slice a, const char *s) { return slice_eq(a, slice_str(s)); }
static inline struct slice slice_from(struct slice s, size_t at) { return at <= s.n ? slice_make(s.p + at, s.n - at) : slice_make(NULL, 0); }
static inline struct slice slice_head(struct slice s, size_t n) { return slice_make(s.p, n < s.n ? n : s.n); }

bool slice_starts(struct slice s, const char *prefix);
int slice_cmp(struct slice a, struct slice b);          /* byte order, as memcmp */
struct slice slice_trim(struct slice s);                /* without blanks and tabs at both ends */
/* Cuts *s at the first `sep`: returns what is before it, *s becomes what is behind it.
 * False when *s is exhausted (s->p == NULL). An empty piece between two separators is a piece. */
bool slice_cut(struct slice *s, uint8_t sep, struct slice *piece);
bool slice_i64(struct slice s, int64_t *out);           /* whole slice is a decimal number that fits; out untouched else */
bool slice_i32_long(struct slice s, int32_t *out);      /* slice_i32()'s slow half */
static inline bool slice_i32(struct slice s, int32_t *out)
{
    if (s.n != 1 || s.p[0] < '0' || s.p[0] > '9') /* most numbers of a header are one digit */
        return slice_i32_long(s, out);
    *out = s.p[0] - '0';
    return true;
}
static inline bool slice_bool(struct slice s)           /* Java's: only "true" in any case is true */
{
    uint32_t word; /* its bytes without the bit that makes a small letter of a capital one */
    if (s.n != 4)
        return false;
    memcpy(&word, s.p, 4);
    word |= 0x20202020;
    return memcmp(&word, "true", 4) == 0;
}
uint64_t slice_hash(struct slice s);                    /* seeded once per process: not for disk or wire */
char *slice_dup(struct slice s);                        /* NUL-terminated copy, yours; NULL when out of memory */
/* Copies into out[n] with a NUL, cutting what does not fit; returns out. */
char *slice_copy(struct slice s, char *out, size_t n);
#endif
