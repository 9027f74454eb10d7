/* index_bytes.c - Apache's bytes, worked out by hand from inventory e.4: java hashes of "T#a" .. are 81906 .. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker/store/index_internal.h"
#include "tests/unit/index/index_kit.h"

static void use_utc(void)
{
    setenv("TZ", "UTC", 1);
    tzset();
}

static const uint8_t three_keys[] = {
    /* header: first and last ms (T0, T0 + 2999), first and last place, 2 slots used, next entry 4 */
    0, 0, 0x01, 0x8b, 0xcf, 0xe5, 0x68, 0x00, 0, 0, 0x01, 0x8b, 0xcf, 0xe5, 0x73, 0xb7,
    0, 0, 0, 0, 0, 0, 0, 100, 0, 0, 0, 0, 0, 0, 0x01, 0x2c, 0, 0, 0, 2, 0, 0, 0, 4,
    /* 4 slots */
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 3,
    /* entry 0 is never used */
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    /* a: 81906 = 4 * 20476 + 2; place 100, 0 s, none before */
    0, 0x01, 0x3f, 0xf2, 0, 0, 0, 0, 0, 0, 0, 100, 0, 0, 0, 0, 0, 0, 0, 0,
    /* e: 81910, slot 2 again; place 200, 1 s, behind entry 1 */
    0, 0x01, 0x3f, 0xf6, 0, 0, 0, 0, 0, 0, 0, 200, 0, 0, 0, 1, 0, 0, 0, 1,
    /* b: 81907, slot 3; place 300, 2 s */
    0, 0x01, 0x3f, 0xf3, 0, 0, 0, 0, 0, 0, 0x01, 0x2c, 0, 0, 0, 2, 0, 0, 0, 0,
};

static void add_three(struct msg_index *x)
{
    add(x, "a", NULL, 100, T0);
    add(x, "e", NULL, 200, T0 + 1500);
    add(x, "b", NULL, 300, T0 + 2999);
}

Test(index_bytes, three_keys_and_a_collision_give_these_bytes, .init = use_utc)
{
    struct fake_disk *d = fake_disk_new(1);
    struct msg_index *x = open_index(d, NULL, 4, 8);
    uint64_t n = 0;
    add_three(x);
    msg_index_tick(x, T0 + 3007);
    cr_assert(eq(str, (char *)file_names(d), "index/20231114221320000 "));
    msg_index_close(x);
    const uint8_t *bytes = fake_disk_bytes(d, "index/20231114221320000", &n);
    cr_assert(eq(u64, n, 40 + 4 * 4 + 8 * 20));
    cr_expect_arr_eq(bytes, three_keys, sizeof three_keys);
    for (size_t i = sizeof three_keys; i < n; i++)
        cr_assert(zero(u8, bytes[i]), "at %zu", i);
    cr_expect(eq(int, fake_disk_open_files(d), 0));
    fake_disk_free(d);
}

Test(index_bytes, one_by_one_gives_the_same_bytes, .init = use_utc)
{
    struct fake_disk *d = fake_disk_new(1);
    struct msg_index *x = open_index(d, NULL, 4, 8);
    add(x, "a", NULL, 100, T0);
    msg_index_tick(x, T0 + 3007);
    add(x, "e", NULL, 200, T0 + 1500);
    msg_index_tick(x, T0 + 4007);
    add(x, "b", NULL, 300, T0 + 2999);
    msg_index_close(x);
    uint64_t n = 0;
    const uint8_t *bytes = fake_disk_bytes(d, "index/20231114221320000", &n);
    cr_assert(not(zero(ptr, (void *)bytes)));
    cr_expect_arr_eq(bytes, three_keys, sizeof three_keys);
    fake_disk_free(d);
}

Test(index_bytes, files_of_another_hand_are_read, .init = use_utc)
{
    struct fake_disk *d = fake_disk_new(1);
    uint8_t whole[40 + 4 * 4 + 8 * 20] = {0};
    memcpy(whole, three_keys, sizeof three_keys);
    fake_disk_damage(d, "index/20231114221320000", 0, whole, sizeof whole);
    struct msg_index *x = open_index(d, NULL, 4, 8);
    cr_expect(eq(str, (char *)found_any(x, "a"), "100 "));
    cr_expect(eq(str, (char *)found_any(x, "e"), "200 "));
    cr_expect(eq(str, (char *)found_any(x, "b"), "300 "));
    cr_expect(eq(str, (char *)found_any(x, "i"), ""), "slot 2, but another hash");
    cr_expect(eq(u64, msg_index_reached(x), 300));
    cr_expect(eq(i64, msg_index_synced_ms(x), T0 + 2999));
    msg_index_close(x);
    fake_disk_free(d);
}

Test(index_bytes, a_next_file_counts_its_first_key_from_the_end_of_the_one_before, .init = use_utc)
{
    struct fake_disk *d = fake_disk_new(1);
    struct msg_index *x = open_index(d, NULL, 4, 3); /* two keys a file */
    add(x, "a", NULL, 100, T0);
    add(x, "e", NULL, 200, T0 + 1500);
    add(x, "b", NULL, 300, T0 + 9999); /* 8 s after the end of the first file */
    add(x, "f", NULL, 400, T0 + 12000); /* 2 s after b */
    msg_index_tick(x, T0 + 20000);
    msg_index_close(x);
    cr_assert(eq(str, (char *)file_names(d), "index/20231114221320000 index/20231114221329999 "));
    static const uint8_t second[] = {
        0, 0, 0x01, 0x8b, 0xcf, 0xe5, 0x8f, 0x0f, 0, 0, 0x01, 0x8b, 0xcf, 0xe5, 0x96, 0xe0,
        0, 0, 0, 0, 0, 0, 0x01, 0x2c, 0, 0, 0, 0, 0, 0, 0x01, 0x90, 0, 0, 0, 1, 0, 0, 0, 3,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0x01, 0x3f, 0xf3, 0, 0, 0, 0, 0, 0, 0x01, 0x2c, 0, 0, 0, 8, 0, 0, 0, 0,
        0, 0x01, 0x3f, 0xf7, 0, 0, 0, 0, 0, 0, 0x01, 0x90, 0, 0, 0, 2, 0, 0, 0, 1,
    };
    uint64_t n = 0;
    const uint8_t *bytes = fake_disk_bytes(d, "index/20231114221329999", &n);
    cr_assert(eq(u64, n, sizeof second));
    cr_expect_arr_eq(bytes, second, sizeof second);
    x = open_index(d, NULL, 4, 3);
    cr_expect(eq(str, (char *)found(x, "b", T0 + 9999, T0 + 9999), "300 "), "its time is the header's, not 8 s later");
    msg_index_close(x);
    fake_disk_free(d);
}

Test(index_bytes, seconds_are_never_negative_and_names_never_go_back, .init = use_utc)
{
    struct fake_disk *d = fake_disk_new(1);
    struct msg_index *x = open_index(d, NULL, 4, 3);
    add(x, "a", NULL, 100, T0);
    add(x, "e", NULL, 200, T0 - 5000); /* the clock went back */
    add(x, "b", NULL, 300, T0 - 4000);
    msg_index_tick(x, T0 - 4000);
    msg_index_close(x);
    uint64_t n = 0;
    cr_assert(eq(str, (char *)file_names(d), "index/20231114221320000 index/20231114221320001 "));
    const uint8_t *bytes = fake_disk_bytes(d, "index/20231114221320000", &n);
    static const uint8_t zeros[4];
    cr_expect_arr_eq(bytes + 40 + 16 + 2 * 20 + 12, zeros, 4);
    fake_disk_free(d);
}

Test(index_bytes, hashes_are_javas_made_positive)
{
    struct {
        const char *topic, *key;
        uint32_t hash;
    } cases[] = {
        {"T", "a", 81906},
        {"T", "one", 78728631},
        {"TopicTest", "orderId-1", 1212371797},    /* Java: -1212371797 */
        {"TopicTest", "AC1100010001", 507233722},  /* -507233722 */
        {"T\xe4\xb8\xad", "k\xf0\x9f\x98\x80", 584643612}, /* UTF-16 units; -584643612 */
        {"BenchmarkTopicOfTests", "AC110001000118B4AAC2018A4FB00000", 1097451999},
        {"TopicTest", "~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~", 1334150468},
        {"TopicTest", "12345678\xc3\xbc", 1607131446},
        {"T", "jllgvmc", 0},                       /* Integer.MIN_VALUE */
        {"T", "", 2639},                           /* 84 * 31 + 35 */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect(eq(u32, index_hash(slice_str(cases[i].topic), slice_str(cases[i].key)), cases[i].hash), "%s#%s", cases[i].topic, cases[i].key);
}
