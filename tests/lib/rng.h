/* rng.h - numbers from a seed: the same seed, the same numbers, on every machine. Thread: one owner. */
#ifndef TESTS_LIB_RNG_H
#define TESTS_LIB_RNG_H
#include <stdbool.h>
#include <stdint.h>

struct rng {
    uint64_t state;
};
static inline struct rng rng_of(uint64_t seed) { return (struct rng){seed * 0x9e3779b97f4a7c15u + 0x1234567}; }
static inline uint64_t rng_next(struct rng *r) /* splitmix64 */
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}
static inline uint32_t rng_below(struct rng *r, uint32_t n) { return n == 0 ? 0 : (uint32_t)((rng_next(r) >> 32) * n >> 32); }
static inline uint32_t rng_between(struct rng *r, uint32_t lo, uint32_t hi) { return lo + rng_below(r, hi - lo + 1); } /* both included */
static inline bool rng_one_in(struct rng *r, uint32_t n) { return rng_below(r, n) == 0; }
#endif
