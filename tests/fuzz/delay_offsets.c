/* delay_offsets.c - fuzz target: delayOffset.json. Oracle: a file that loads holds only offsets >= 0; written, compact and pretty, it loads
 * again as the same; what is marked is told after its flush, and not before. */
#include "broker/schedule/delay_offsets.h"
#include "tests/fuzz/files.h"

static struct delay_offsets *load(void)
{
    struct delay_offsets *o = NULL;
    struct fault why = {0};
    enum mq_err err = delay_offsets_open(files_config("delayOffset.json"), &o, &why);
    CHECK(err == MQ_OK || why.what[0] != '\0');
    CHECK(err != MQ_ENOMEM);
    return o;
}

static bool same(const struct delay_offsets *a, const struct delay_offsets *b)
{
    for (unsigned level = 0; level <= STORE_DELAY_LEVELS_MAX + 1; level++)
        if (delay_offsets_get(a, level) != delay_offsets_get(b, level) || delay_offsets_get(a, level) < -1)
            return false;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const int64_t now[] = {0, 7};
    files_reset();
    files_put("delayOffset.json", slice_make(data, n));
    struct delay_offsets *o = load();
    for (int pretty = 0; o && pretty < 2; pretty++) {
        struct buf text = {0};
        delay_offsets_encode(o, pretty, &text);
        files_put("delayOffset.json", buf_view(&text));
        struct delay_offsets *again = load();
        CHECK(again && same(o, again));
        delay_offsets_close(again);
        buf_free(&text);
    }
    if (o) {
        int64_t before = delay_offsets_get(o, 2);
        delay_offsets_mark(o, now, 2, 10);
        delay_offsets_flushed(o, 9);
        CHECK(delay_offsets_get(o, 2) == before);
        delay_offsets_flushed(o, 10);
        CHECK(delay_offsets_get(o, 2) == 7 && delay_offsets_get(o, 1) <= 0);
    }
    delay_offsets_close(o);
    files_reset();
    return 0;
}
