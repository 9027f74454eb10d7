/* checkpoint.c - fuzz target: the store's checkpoint file. Oracle: times are never negative; what decodes is written and read as the same. */
#include "broker/store/checkpoint.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static uint8_t page[CHECKPOINT_SIZE];
    struct checkpoint c = checkpoint_decode(slice_make(data, n));
    CHECK(c.log_ms >= 0 && c.queues_ms >= 0 && c.index_ms >= 0);
    checkpoint_encode(&c, page);
    struct checkpoint again = checkpoint_decode(slice_make(page, sizeof page));
    CHECK(c.log_ms == again.log_ms && c.queues_ms == again.queues_ms && c.index_ms == again.index_ms);
    return 0;
}
