/* bloom.c - places that org.apache.rocketmq.filter.util.BloomFilter of 4.9.7 gave for error rate 20 and 32 members. */
#include "broker/filter/bloom.h"
#include <criterion/criterion.h>

Test(bloom, places_are_apaches)
{
    static const struct {
        const char *name;
        uint32_t places[3];
    } rows[] = {{"G#T", {24, 26, 83}}, {"%H#T", {5, 89, 72}}, {"", {0, 0, 0}}, {"a", {94, 99, 7}}, {"abcdefghijklmno", {44, 98, 14}},
                {"abcdefghijklmnop", {105, 86, 76}}, {"abcdefghijklmnopq", {105, 53, 43}}, {"group-\u00e4#topic", {63, 17, 66}},
                {"0123456789012345678901234567890123456789", {7, 56, 8}}};
    const struct bloom b = bloom_make(20, 32);
    uint32_t out[BLOOM_HASHES_MAX];
    cr_assert(b.bits == 112 && b.hashes == 3);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bloom_places(&b, slice_str(rows[i].name), out);
        cr_expect(memcmp(out, rows[i].places, sizeof rows[i].places) == 0, "%s: %u %u %u", rows[i].name, out[0], out[1], out[2]);
    }
    const struct bloom other = bloom_make(20, 64);
    bloom_places(&other, SLICE_LIT("G#T"), out);
    cr_expect(other.bits == 216 && out[0] == 184 && out[1] == 66 && out[2] == 51);
    cr_expect(bloom_make(1, 1).hashes == BLOOM_HASHES_MAX && bloom_make(99, 1).hashes == 1 && bloom_make(99, 1).bits == 8);
}
