/* message.c - fuzz target: a record of the commit log. Oracle: nothing lies outside the record's own size; what was decoded and
 * written has message_size() bytes, is read as the same with its CRC checked, and is written as the same bytes again. */
#include "common/protocol/message.h"
#include "tests/fuzz/fuzz.h"

static void host_equal(const struct host *a, const struct host *b)
{
    CHECK(a->v6 == b->v6 && a->port == b->port && memcmp(a->ip, b->ip, a->v6 ? 16 : 4) == 0);
}

static void equal(const struct message *a, const struct message *b)
{
    CHECK(a->queue_id == b->queue_id && a->flag == b->flag && a->sys_flag == b->sys_flag && a->reconsume_times == b->reconsume_times);
    CHECK(a->queue_off == b->queue_off && a->phys_off == b->phys_off && a->born_ms == b->born_ms && a->store_ms == b->store_ms);
    CHECK(a->prepared_off == b->prepared_off && slice_eq(a->topic, b->topic) && slice_eq(a->body, b->body) && slice_eq(a->properties, b->properties));
    host_equal(&a->born, &b->born);
    host_equal(&a->store, &b->store);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct message untouched = {.size = 77}, m = untouched, with_crc = untouched, again;
    struct slice bytes = slice_make(data, n);
    enum mq_err err = message_decode(bytes, false, &m), checked = message_decode(bytes, true, &with_crc);
    if (err == MQ_ENOTFOUND) {
        CHECK(checked == err && m.size == with_crc.size);
        return 0;
    }
    if (err != MQ_OK) {
        CHECK(err == MQ_EMALFORMED && checked == MQ_EMALFORMED && m.size == untouched.size);
        return 0;
    }
    struct slice own = slice_head(bytes, m.size);
    CHECK(m.size <= n && slice_within(m.topic, own) && slice_within(m.body, own) && slice_within(m.properties, own));
    CHECK(checked == MQ_OK || checked == MQ_EMALFORMED);
    (void)tags_code(m.properties), (void)name_valid(m.topic, MESSAGE_TOPIC_MAX);
    if (m.topic.n > 255)
        return 0; /* a V2 record; V1 has one byte for this length */
    size_t size = message_size(&m);
    uint8_t *first = malloc(size), *second = malloc(size);
    CHECK(first && second);
    message_encode(&m, first);
    CHECK(message_decode(slice_make(first, size), true, &again) == MQ_OK && again.size == size);
    equal(&m, &again);
    CHECK(message_size(&again) == size);
    message_encode(&again, second);
    CHECK(memcmp(first, second, size) == 0);
    message_patch_place(second, 5, 6, 7);
    CHECK(message_decode(slice_make(second, size), true, &again) == MQ_OK);
    CHECK(again.queue_off == 5 && again.phys_off == 6 && again.store_ms == 7);
    again.queue_off = m.queue_off, again.phys_off = m.phys_off, again.store_ms = m.store_ms;
    equal(&m, &again);
    free(first);
    free(second);
    return 0;
}
