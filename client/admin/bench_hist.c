/* bench_hist.c - see bench_hist.h.
 *
 * Values below 128 have a bucket each. A larger one has its highest bit at e >= 7; the 7 bits below that choose the step. The buckets of
 * a power of two are thus as wide as 2^(e-7), and a percentile is told as the upper end of its bucket.
 * (test: unit/admin, measures.c) */
#include "client/admin/bench_hist.h"

static uint32_t bucket_of(uint64_t v)
{
    if (v < BENCH_HIST_STEPS)
        return (uint32_t)v;
    uint32_t e = 63 - (uint32_t)__builtin_clzll(v);
    if (e >= BENCH_HIST_POWERS)
        return BENCH_HIST_BUCKETS - 1;
    return (e - 6) * BENCH_HIST_STEPS + (uint32_t)(v >> (e - 7)) - BENCH_HIST_STEPS;
}

static uint64_t end_of(uint32_t bucket) /* the largest value in it */
{
    if (bucket < BENCH_HIST_STEPS)
        return bucket;
    uint32_t shift = bucket / BENCH_HIST_STEPS - 1;
    return ((uint64_t)(bucket % BENCH_HIST_STEPS + BENCH_HIST_STEPS + 1) << shift) - 1;
}

void bench_hist_add(struct bench_hist *h, int64_t value, uint64_t times)
{
    uint64_t v = value > 0 ? (uint64_t)value : 0;
    if (times == 0)
        return;
    h->n += times;
    h->max = v > h->max ? v : h->max;
    h->count[bucket_of(v)] += times;
}

void bench_hist_merge(struct bench_hist *into, const struct bench_hist *from)
{
    into->n += from->n;
    into->max = from->max > into->max ? from->max : into->max;
    for (uint32_t i = 0; i < BENCH_HIST_BUCKETS; i++)
        into->count[i] += from->count[i];
}

uint64_t bench_hist_at(const struct bench_hist *h, uint64_t num, uint64_t den)
{
    uint64_t rank = h->n / den * num + (h->n % den * num + den - 1) / den, sum = 0; /* the product alone could overflow */
    rank = rank ? rank : 1;
    for (uint32_t i = 0; i < BENCH_HIST_BUCKETS; i++) {
        sum += h->count[i];
        if (sum >= rank && sum > 0)
            return i + 1 < BENCH_HIST_BUCKETS && end_of(i) < h->max ? end_of(i) : h->max;
    }
    return 0;
}
