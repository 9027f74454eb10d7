/* batch.c - fuzz target: the body of a batch send. Oracle: each step goes on, its parts lie within the body, and the items written
 * again by the format's description are read as the same. batch_count() is never below, and right for a good one. */
#include "common/protocol/message.h"
#include "tests/fuzz/fuzz.h"

static void put(struct buf *out, const struct batch_item *i)
{
    buf_u32(out, (uint32_t)(4 + 4 + 4 + 4 + 4 + i->body.n + 2 + i->properties.n));
    buf_u32(out, 0);
    buf_u32(out, 0);
    buf_u32(out, (uint32_t)i->flag);
    buf_u32(out, (uint32_t)i->body.n);
    buf_slice(out, i->body);
    buf_u16(out, (uint16_t)i->properties.n);
    buf_slice(out, i->properties);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct slice whole = slice_make(data, n), rest = whole;
    struct batch_item item, again;
    struct buf out = {0};
    enum mq_err err;
    size_t items = 0;
    for (size_t left = rest.n; (err = batch_next(&rest, &item)) == MQ_OK; left = rest.n, items++) {
        CHECK(rest.n < left && slice_within(item.body, whole) && slice_within(item.properties, whole));
        put(&out, &item);
    }
    CHECK(err == MQ_EMALFORMED || (err == MQ_ENOTFOUND && rest.n == 0));
    CHECK(err == MQ_EMALFORMED ? batch_count(whole) >= items : batch_count(whole) == items);
    struct slice a = whole, b = buf_view(&out);
    for (; items > 0; items--) {
        CHECK(batch_next(&a, &item) == MQ_OK && batch_next(&b, &again) == MQ_OK);
        CHECK(item.flag == again.flag && slice_eq(item.body, again.body) && slice_eq(item.properties, again.properties));
    }
    CHECK(batch_next(&b, &again) == MQ_ENOTFOUND);
    buf_free(&out);
    return 0;
}
