/* fuzz.h - what every fuzz target includes: the entry, and a check that stays in all builds.
 *
 * A target is one file here, with one function; what it checks beyond "no crash" stands in its first lines. The same file is
 * linked with libFuzzer by `make fuzz` and with driver/main.c by `make check`. Its seeds are in corpus/NAME/, at most 30 files of at most
 * 4 KiB. Inputs are exactly `n` bytes on the heap, so that a sanitizer sees the first byte read too many. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/slice.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define CHECK(truth)                                                                  \
    do {                                                                              \
        if (!(truth)) {                                                               \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #truth);     \
            abort();                                                                  \
        }                                                                             \
    } while (0)

/* Takes the first byte as a choice; false when there is none. */
static inline bool fuzz_choice(const uint8_t **data, size_t *n, uint8_t *choice)
{
    if (*n == 0)
        return false;
    *choice = *(*data)++;
    --*n;
    return true;
}
static inline bool slice_within(struct slice s, struct slice whole)
{
    return s.n == 0 || (s.p >= whole.p && s.n <= whole.n && (size_t)(s.p - whole.p) <= whole.n - s.n);
}
#endif
