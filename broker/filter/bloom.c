/* bloom.c - sizes and places as Apache computes them: MurmurHash3 (x64, 128 bits, seed 0), of which the first 64 bits give all places.
 * (test: unit/filter/bloom, with places that Apache's class gave) */
#include "broker/filter/bloom.h"
#include <math.h>

struct bloom bloom_make(int32_t error_percent, int32_t members)
{
    double rate = error_percent / 100.0;
    double bits = ceil(members * (log(1 / rate) / log(2)) * (log(exp(1)) / log(2)));
    return (struct bloom){.bits = (uint32_t)(8 * ceil(bits / 8)), .hashes = (uint32_t)ceil(log(rate) / log(0.5))};
}

static uint64_t rotated(uint64_t x, int by) { return x << by | x >> (64 - by); }
static uint64_t mixed_1(uint64_t k) { return rotated(k * 0x87c37b91114253d5u, 31) * 0x4cf5ad432745937fu; }
static uint64_t mixed_2(uint64_t k) { return rotated(k * 0x4cf5ad432745937fu, 33) * 0x87c37b91114253d5u; }

static uint64_t finished(uint64_t k)
{
    k = (k ^ k >> 33) * 0xff51afd7ed558ccdu;
    k = (k ^ k >> 33) * 0xc4ceb9fe1a85ec53u;
    return k ^ k >> 33;
}

static uint64_t little_endian(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static uint64_t murmur3(struct slice s) /* the first half of the 128 bits */
{
    uint64_t a = 0, b = 0;
    size_t at = 0;
    for (; at + 16 <= s.n; at += 16) {
        a = rotated(a ^ mixed_1(little_endian(s.p + at, 8)), 27) + b;
        a = a * 5 + 0x52dce729;
        b = rotated(b ^ mixed_2(little_endian(s.p + at + 8, 8)), 31) + a;
        b = b * 5 + 0x38495ab5;
    }
    size_t rest = s.n - at;
    if (rest > 8)
        b ^= mixed_2(little_endian(s.p + at + 8, rest - 8));
    if (rest > 0)
        a ^= mixed_1(little_endian(s.p + at, rest < 8 ? rest : 8));
    a ^= s.n;
    b ^= s.n;
    a += b;
    b += a;
    return finished(a) + finished(b);
}

void bloom_places(const struct bloom *b, struct slice name, uint32_t out[BLOOM_HASHES_MAX])
{
    uint64_t hash = murmur3(name);
    for (uint32_t i = 0; i < b->hashes && i < BLOOM_HASHES_MAX; i++) {
        uint32_t place = (uint32_t)hash + (i + 1) * (uint32_t)(hash >> 32);
        out[i] = (place & 0x80000000u ? ~place : place) % b->bits;
    }
}
