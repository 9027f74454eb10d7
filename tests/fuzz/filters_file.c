/* filters_file.c - fuzz target: consumerFilter.json. Oracle: a file that loads is written, compact and pretty, and loads again as the same filters. */
#include "broker/filter/consumer_filters.h"
#include "tests/fuzz/files.h"

static struct consumer_filters *load(void)
{
    struct consumer_filters *f = NULL;
    struct fault why = {0};
    const struct consumer_filters_setup setup = {.bloom = bloom_make(20, 32), .keep_ms = 1000000};
    enum mq_err err = consumer_filters_open(files_config("consumerFilter.json"), &setup, 1000000000, &f, &why);
    CHECK(err == MQ_OK || why.what[0] != '\0');
    return f;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    files_reset();
    files_put("consumerFilter.json", slice_make(data, n));
    struct consumer_filters *f = load();
    for (int pretty = 0; f && pretty < 2; pretty++) {
        struct buf text = {0}, again = {0};
        consumer_filters_encode(f, pretty, &text);
        files_put("consumerFilter.json", buf_view(&text));
        struct consumer_filters *g = load();
        CHECK(g != NULL && consumer_filters_count(f) == consumer_filters_count(g));
        consumer_filters_encode(g, pretty, &again);
        CHECK(slice_eq(buf_view(&text), buf_view(&again)));
        consumer_filters_close(g);
        buf_free(&text);
        buf_free(&again);
    }
    consumer_filters_close(f);
    files_reset();
    return 0;
}
