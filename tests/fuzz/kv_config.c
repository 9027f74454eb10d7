/* kv_config.c - fuzz target: the file kvConfig.json. Oracle: what was loaded, written and loaded again is as large as before. */
#include "namesrv/kvconfig/kv_config.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct kv_config *kv = kv_config_new(NULL, NULL);
    struct buf text = {0};
    if (kv && kv_config_load(kv, slice_make(data, n), NULL) == MQ_OK) {
        size_t bytes = kv_config_bytes(kv);
        kv_config_encode(kv, &text);
        if (text.failed || kv_config_load(kv, buf_view(&text), NULL) != MQ_OK || kv_config_bytes(kv) != bytes)
            abort();
    }
    buf_free(&text);
    kv_config_free(kv);
    return 0;
}
