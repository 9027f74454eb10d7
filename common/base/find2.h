/* find2.h - the first of two bytes in a text: where a string or a property ends. Such texts are short, so the end of most is found in one step.
 * Thread: any; pure. */
#ifndef COMMON_BASE_FIND2_H
#define COMMON_BASE_FIND2_H
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { FIND2_STEP = 16 };

#ifdef __SSE2__
static inline unsigned find2_hits(__m128i v, uint8_t a, uint8_t b) /* bit i: byte i is one of them */
{
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8((char)a)), _mm_cmpeq_epi8(v, _mm_set1_epi8((char)b))));
}
#endif

/* In [p, p + FIND2_STEP), all of which can be read; p + FIND2_STEP when there is none. */
static inline const uint8_t *find2_step(const uint8_t *p, uint8_t a, uint8_t b)
{
#ifdef __SSE2__
    return p + __builtin_ctz(find2_hits(_mm_loadu_si128((const __m128i *)(const void *)p), a, b) | 1u << FIND2_STEP);
#else
    const uint8_t *end = p + FIND2_STEP;
    while (p < end && *p != a && *p != b)
        p++;
    return p;
#endif
}

/* In [p, end); end when there is none. */
static inline const uint8_t *find2(const uint8_t *p, const uint8_t *end, uint8_t a, uint8_t b)
{
    for (const uint8_t *at; end - p >= FIND2_STEP; p = at)
        if ((at = find2_step(p, a, b)) != p + FIND2_STEP)
            return at;
#ifdef __SSE2__
    if (end - p >= 8) { /* two words that overlap: the first hit is in the first that has one */
        uint64_t low, high;
        memcpy(&low, p, 8);
        memcpy(&high, end - 8, 8);
        unsigned hits = find2_hits(_mm_set_epi64x((long long)high, (long long)low), a, b);
        if (hits == 0)
            return end;
        int at = __builtin_ctz(hits);
        return at < 8 ? p + at : end - 16 + at;
    }
#endif
    while (p < end && *p != a && *p != b)
        p++;
    return p;
}
#endif
