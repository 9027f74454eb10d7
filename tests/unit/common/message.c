/* message.c - records, hashes and properties. The record's bytes are those that Apache 4.9.7 answered to a pull; hashes are Java's. */
#include <criterion/criterion.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/protocol/codes.h"
#include "common/protocol/message.h"

Test(message, java_hashes)
{
    cr_expect(java_hash(SLICE_LIT("")) == 0);
    cr_expect(java_hash(SLICE_LIT("Aa")) == 2112 && java_hash(SLICE_LIT("BB")) == 2112);
    cr_expect(java_hash(SLICE_LIT("polygenelubricants")) == INT32_MIN);
    cr_expect(java_hash(SLICE_LIT("gr\xc3\xbc\xc3\x9f")) == 103 * 29791 + 114 * 961 + 252 * 31 + 223);
    cr_expect(java_hash(SLICE_LIT("\xf0\x9f\x9a\x80")) == 0xd83d * 31 + 0xde80); /* two UTF-16 units */
}

Test(message, crc_is_that_of_java)
{
    cr_expect(crc32_of(SLICE_LIT("123456789")) == 0xcbf43926u);
    cr_expect(crc32_of(SLICE_LIT("")) == 0);
}

static struct message sample(void)
{
    return (struct message){.queue_id = 3, .flag = 7, .queue_off = 11, .phys_off = 4096, .born_ms = 1700000000001, .store_ms = 1700000000002,
                            .born = {.ip = {127, 0, 0, 1}, .port = 40000}, .store = {.ip = {10, 0, 0, 7}, .port = 10911}, .reconsume_times = 2,
                            .prepared_off = 5, .topic = SLICE_LIT("T"), .body = SLICE_LIT("hello"), .properties = SLICE_LIT("TAGS\001a")};
}

Test(message, a_record_has_each_field_where_the_layout_says)
{
    struct message m = sample();
    uint8_t b[256];
    cr_assert(message_size(&m) == 91 + 1 + 5 + 6);
    message_encode(&m, b);
    static const uint8_t head[] = {0, 0, 0, 103, 0xda, 0xa3, 0x20, 0xa7, 0x36, 0x10, 0xa6, 0x86 & 0xff, 0, 0, 0, 3, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 11,
                                   0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0};
    cr_expect(memcmp(b, head, 40) == 0);
    static const uint8_t born[] = {127, 0, 0, 1, 0, 0, 0x9c, 0x40};
    cr_expect(memcmp(b + 48, born, 8) == 0);
    static const uint8_t tail[] = {10, 0, 0, 7, 0, 0, 0x2a, 0x9f, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 5, 'h', 'e', 'l', 'l', 'o', 1, 'T', 0, 6,
                                   'T', 'A', 'G', 'S', 1, 'a'};
    cr_expect(memcmp(b + 64, tail, sizeof tail) == 0);
}

Test(message, decodes_what_it_wrote_with_either_kind_of_address_and_refuses_every_cut)
{
    for (int v6 = 0; v6 < 4; v6++) {
        struct message m = sample(), back;
        m.born.v6 = v6 & 1, m.store.v6 = v6 >> 1;
        uint8_t b[256];
        message_encode(&m, b);
        size_t n = message_size(&m);
        message_patch_place(b, 12, 8192, 1700000000003);
        cr_assert(message_decode(slice_make(b, n), true, &back) == MQ_OK);
        cr_expect(back.queue_off == 12 && back.phys_off == 8192 && back.store_ms == 1700000000003 && back.born_ms == m.born_ms);
        cr_expect(slice_eq(back.body, m.body) && slice_eq(back.topic, m.topic) && slice_eq(back.properties, m.properties));
        cr_expect(memcmp(back.store.ip, m.store.ip, 4) == 0 && back.store.port == 10911 && back.born.port == 40000);
        for (size_t cut = 0; cut < n; cut++)
            cr_expect(message_decode(slice_make(b, cut), true, &back) != MQ_OK, "cut at %zu", cut);
        b[n - m.properties.n - 2 - 1 - 1 - 1] ^= 1; /* last byte of the body */
        cr_expect(message_decode(slice_make(b, n), true, &back) == MQ_EMALFORMED);
        cr_expect(message_decode(slice_make(b, n), false, &back) == MQ_OK);
    }
}

Test(message, ids_have_the_address_and_the_place)
{
    struct host h = {.ip = {127, 0, 0, 1}, .port = 10911}, back;
    char id[MESSAGE_ID_MAX];
    int64_t off;
    cr_expect(message_id(&h, 0x1234, id) == 32 && strcmp(id, "7F00000100002A9F0000000000001234") == 0, "%s", id);
    cr_expect(message_id_decode(slice_str(id), &back, &off) && off == 0x1234 && back.port == 10911 && !back.v6);
    cr_expect(!message_id_decode(SLICE_LIT("7F00000100002A9F000000000000123"), &back, &off));
    cr_expect(!message_id_decode(SLICE_LIT("7F00000100002A9F000000000000123G"), &back, &off));
    cr_expect(message_id(&h, 0x0fedcba9876543a9, id) == 32 && strcmp(id, "7F00000100002A9F0FEDCBA9876543A9") == 0, "%s", id);
    struct host six = {.ip = {0x20, 0x01, 0x0d, 0xb8, [15] = 0xfe}, .port = 10911, .v6 = true};
    cr_expect(message_id(&six, 9, id) == 56 && strcmp(id, "20010DB80000000000000000000000FE00002A9F0000000000000009") == 0, "%s", id);
}

Test(message, properties_by_javas_rules)
{
    struct slice v;
    struct slice p = SLICE_LIT("TAGS\001a\002\002KEYS\001k1 k2\002x\001\002\001y\002ab\002TAGS\001b=\001c");
    cr_expect(prop_get(p, "TAGS", &v) && slice_is(v, "b=\001c"));
    cr_expect(prop_get(p, "KEYS", &v) && slice_is(v, "k1 k2"));
    cr_expect(!prop_get(p, "x", &v) && !prop_get(p, "", &v) && !prop_get(p, "ab", &v));
    struct buf b = {0};
    prop_copy_without(&b, p, "TAGS");
    prop_add(&b, "CLUSTER", SLICE_LIT("c"));
    cr_expect(slice_is(buf_view(&b), "KEYS\001k1 k2\002CLUSTER\001c"));
    buf_free(&b);
}

Test(message, a_batch_is_read_to_its_end_and_no_further)
{
    struct buf b = {0};
    for (int i = 0; i < 2; i++) {
        buf_u32(&b, 4 + 4 + 4 + 4 + 4 + 3 + 2 + 6);
        buf_u32(&b, 0), buf_u32(&b, 0), buf_u32(&b, 9), buf_u32(&b, 3), buf_str(&b, "abc"), buf_u16(&b, 6), buf_str(&b, "TAGS\001a");
    }
    struct slice rest = buf_view(&b);
    struct batch_item item;
    cr_assert(batch_next(&rest, &item) == MQ_OK && item.flag == 9 && slice_is(item.body, "abc") && slice_is(item.properties, "TAGS\001a"));
    cr_assert(batch_next(&rest, &item) == MQ_OK && batch_next(&rest, &item) == MQ_ENOTFOUND);
    for (size_t cut = 1; cut < b.n / 2; cut++) {
        rest = slice_make(b.p, cut);
        cr_expect(batch_next(&rest, &item) == MQ_EMALFORMED, "cut at %zu", cut);
    }
    buf_free(&b);
}

Test(message, names_have_letters_digits_and_four_signs)
{
    cr_expect(name_valid(SLICE_LIT("%RETRY%a_b-C|9"), 127));
    const char *bad[] = {"", "a b", "a.b", "a/b", "gr\xc3\xbc", "a$"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect(!name_valid(slice_str(bad[i]), 127), "%s", bad[i]);
    cr_expect(!name_valid(SLICE_LIT("abcd"), 3));
}
