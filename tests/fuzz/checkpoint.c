/* checkpoint.c - fuzz target: the store's checkpoint file. Oracle: times are never negative, places not below -1; what decodes is
 * written and read as the same. */
#include "broker/store/checkpoint.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static uint8_t page[CHECKPOINT_SIZE];
    struct checkpoint c = checkpoint_decode(slice_make(data, n));
    CHECK(c.log_ms >= 0 && c.queues_ms >= 0 && c.index_ms >= 0);
    CHECK(c.log_off >= -1 && c.queues_off >= -1 && c.index_place >= -1);
    checkpoint_encode(&c, page);
    struct checkpoint again = checkpoint_decode(slice_make(page, sizeof page));
    CHECK(c.log_ms == again.log_ms && c.queues_ms == again.queues_ms && c.index_ms == again.index_ms);
    CHECK(c.log_off == again.log_off && c.queues_off == again.queues_off && c.index_place == again.index_place);
    return 0;
}
