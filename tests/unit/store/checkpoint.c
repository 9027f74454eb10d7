/* checkpoint.c - the bytes of the checkpoint, and whose places are believed. */
#include "broker/store/checkpoint.h"

#include <criterion/criterion.h>
#include <string.h>

static uint8_t page[CHECKPOINT_SIZE];

static struct checkpoint decode(void) { return checkpoint_decode(slice_make(page, sizeof page)); }

static void encode(void)
{
    const struct checkpoint c = {0x0102, 0x0304, 0x0506, 0x0708, 0x090a, 0x0b0c};
    checkpoint_encode(&c, page);
}

Test(checkpoint, apaches_times_come_first_and_places_where_it_has_nothing)
{
    static const uint8_t times[24] = {0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 3, 4, 0, 0, 0, 0, 0, 0, 5, 6};
    static const uint8_t zeros[CHECKPOINT_SIZE];
    static const uint8_t places[32] = {'c', 'o', 'm', 'e', 't', 'm', 'q', '1', 0, 0, 0, 0, 0, 0, 7, 8, 0, 0, 0, 0, 0, 0, 9, 10, 0, 0, 0, 0, 0, 0, 11, 12};
    encode();
    cr_expect_arr_eq(page, times, 24);
    cr_expect_arr_eq(page + 24, zeros, 104, "5.x keeps two figures there, of which 0 says nothing");
    cr_expect_arr_eq(page + 128, places, 32);
    cr_expect_arr_eq(page + 160, times, 24);
    cr_expect_arr_eq(page + 184, zeros, sizeof page - 184);
    struct checkpoint c = decode();
    cr_expect_eq(c.log_ms, 0x0102);
    cr_expect_eq(c.queues_ms, 0x0304);
    cr_expect_eq(c.index_ms, 0x0506);
    cr_expect_eq(c.log_off, 0x0708);
    cr_expect_eq(c.queues_off, 0x090a);
    cr_expect_eq(c.index_place, 0x0b0c);
}

static void expect_no_places(const struct checkpoint *c, const char *why)
{
    cr_expect_eq(c->log_off, -1, "%s", why);
    cr_expect_eq(c->queues_off, -1, "%s", why);
    cr_expect_eq(c->index_place, -1, "%s", why);
}

Test(checkpoint, places_are_unknown_after_a_java_broker)
{
    encode();
    memset(page + 24, 0, sizeof page - 24);
    struct checkpoint c = decode();
    expect_no_places(&c, "its own file");
    cr_expect_eq(c.log_ms, 0x0102);
    for (size_t i = 7; i < 24; i += 8) {
        encode();
        page[i]++;
        c = decode();
        expect_no_places(&c, "ours, whose times it moved");
        cr_expect_gt(c.log_ms, 0);
    }
    encode();
    for (size_t n = 24; n < 184; n += 8) {
        c = checkpoint_decode(slice_make(page, n));
        expect_no_places(&c, "cut");
        cr_expect_eq(c.log_ms, 0x0102, "cut at %zu", n);
    }
}

Test(checkpoint, nonsense_counts_as_none)
{
    encode();
    page[8] = 0x80;
    struct checkpoint c = decode();
    cr_expect_eq(c.log_ms, 0);
    expect_no_places(&c, "a negative time");
    encode();
    page[144] = 0x80;
    c = decode();
    cr_expect_eq(c.log_ms, 0x0102);
    expect_no_places(&c, "a negative place");
    c = checkpoint_decode(slice_make(page, 23));
    cr_expect_eq(c.log_ms, 0);
    expect_no_places(&c, "short");
}
