/* half.c - fuzz target: the properties of a half message, from a client's to what a start reads, and the body of an op message.
 * Oracle: whatever properties a client sends, the half message says where it is to go and nothing of a past; put again it says its checks
 * and its first place, and the rest stays; an op message names no offset below 0. */
#include "broker/transaction/half.h"
#include "tests/fuzz/fuzz.h"

static struct half read_back(const struct buf *text, int64_t queue_off)
{
    const struct message m = {.topic = SLICE_LIT(HALF_TOPIC), .queue_off = queue_off, .properties = buf_view(text)};
    struct half h;
    CHECK(!text->failed && half_read(&m, &h));
    CHECK(slice_is(h.real_topic, "Orders") && h.real_queue_id == 3 && h.group.n > 0 && slice_within(h.group, m.properties));
    return h;
}

static size_t pairs(struct slice props)
{
    struct slice name, value;
    size_t n = 0;
    while (prop_next(&props, &name, &value))
        n++;
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const struct half_rules rules = {.timeout_ms = 6000, .reserved_ms = 259200000, .checks_max = 15};
    struct slice props = slice_make(data, n), rest = props;
    struct buf text = {0}, again = {0}, moved = {0};
    int64_t off, now = 1700000000000;
    struct half any;
    const struct message raw = {.topic = SLICE_LIT(HALF_TOPIC), .queue_off = 7, .properties = props};
    if (half_read(&raw, &any))
        CHECK(any.real_topic.n > 0 && any.real_queue_id >= 0 && any.first_off >= 0 && any.first_off <= 7 && any.checks >= -1 && any.immunity_ms >= -1);

    half_text(&text, props, SLICE_LIT("Orders"), 3, SLICE_LIT("g"));
    struct half h = read_back(&text, 7);
    CHECK(!h.checked && h.first_off == 7);
    enum half_fate fate = half_decide(&h, now - 6001, &rules, now);
    CHECK(fate == HALF_CHECKED || (h.immune && fate != HALF_GIVEN_UP));

    half_text_again(&again, buf_view(&text), 1, 7);
    struct half h2 = read_back(&again, 9);
    CHECK(h2.checked && h2.checks == 1 && h2.first_off == 7 && h2.immune == h.immune && h2.immunity_ms == h.immunity_ms);
    CHECK(slice_eq(h2.group, h.group) && slice_eq(h2.uniq_key, h.uniq_key));
    half_text_again(&moved, buf_view(&again), -1, 7);
    h2 = read_back(&moved, 12);
    CHECK(h2.checks == 1 && h2.first_off == 7 && pairs(buf_view(&moved)) == pairs(buf_view(&again)));
    CHECK(half_decide(&h2, 0, &rules, now) == HALF_GIVEN_UP);

    while (op_next(&rest, &off))
        CHECK(off >= 0);
    buf_free(&text);
    buf_free(&again);
    buf_free(&moved);
    return 0;
}
