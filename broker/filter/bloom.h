/* bloom.h - the places that a name has in the bloom filters of Apache's brokers. We do not filter by them (enableCalcFilterBitMap is not ours), but
 * an Apache broker that goes on with our files believes a consumer filter only with the places it would have computed. Thread: any; pure. */
#ifndef BROKER_FILTER_BLOOM_H
#define BROKER_FILTER_BLOOM_H
#include "common/base/slice.h"

enum { BLOOM_HASHES_MAX = 7 };
struct bloom {
    uint32_t bits, hashes;
};
struct bloom bloom_make(int32_t error_percent, int32_t members); /* 1 to 99; at least 1 */
void bloom_places(const struct bloom *b, struct slice name, uint32_t out[BLOOM_HASHES_MAX]); /* b->hashes of them */
#endif
