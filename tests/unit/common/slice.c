/* slice.c - counted bytes: cutting, comparing, numbers, copies. */
#include "common/base/slice.h"

#include <criterion/criterion.h>

#include "common/base/mem.h"

static bool is(struct slice s, const char *want) { return slice_is(s, want); }

Test(slice, equality_is_of_bytes_and_length)
{
    cr_assert(slice_eq(SLICE_LIT("ab"), SLICE_LIT("ab")) && !slice_eq(SLICE_LIT("ab"), SLICE_LIT("abc")) && !slice_eq(SLICE_LIT("ab"), SLICE_LIT("aB")));
    cr_assert(slice_eq((struct slice){0}, SLICE_LIT("")) && slice_is((struct slice){0}, ""));
    cr_assert(slice_eq(SLICE_LIT("a\0b"), SLICE_LIT("a\0b")) && !slice_eq(SLICE_LIT("a\0b"), SLICE_LIT("a\0c")));
    cr_assert(slice_str(NULL).p == NULL && slice_str(NULL).n == 0);
}

Test(slice, order_is_of_unsigned_bytes_and_prefixes_come_first)
{
    cr_assert(slice_cmp(SLICE_LIT("a"), SLICE_LIT("b")) < 0 && slice_cmp(SLICE_LIT("b"), SLICE_LIT("a")) > 0 && slice_cmp(SLICE_LIT("a"), SLICE_LIT("a")) == 0);
    cr_assert(slice_cmp(SLICE_LIT("a"), SLICE_LIT("ab")) < 0 && slice_cmp(SLICE_LIT("ab"), SLICE_LIT("a")) > 0);
    cr_assert(slice_cmp(SLICE_LIT("\x7f"), SLICE_LIT("\x80")) < 0);
    cr_assert(slice_cmp((struct slice){0}, (struct slice){0}) == 0 && slice_cmp((struct slice){0}, SLICE_LIT("a")) < 0);
}

Test(slice, parts_never_reach_beyond_the_whole)
{
    struct slice s = SLICE_LIT("hello");
    cr_assert(is(slice_from(s, 2), "llo") && is(slice_from(s, 5), "") && slice_from(s, 5).p != NULL);
    cr_assert(slice_from(s, 6).p == NULL && slice_from(s, SIZE_MAX).n == 0);
    cr_assert(is(slice_head(s, 2), "he") && is(slice_head(s, 99), "hello") && is(slice_head(s, 0), ""));
    cr_assert(slice_starts(s, "hel") && slice_starts(s, "") && !slice_starts(s, "hello!") && !slice_starts(SLICE_LIT(""), "h"));
}

Test(slice, trimming_takes_blanks_and_tabs_at_both_ends_only)
{
    cr_assert(is(slice_trim(SLICE_LIT(" \t a b\t \r")), "a b") && is(slice_trim(SLICE_LIT("   ")), "") && is(slice_trim((struct slice){0}), ""));
}

Test(slice, cutting_the_empty_text_gives_one_empty_piece_and_nothing_gives_none)
{
    struct slice s = SLICE_LIT(""), piece = SLICE_LIT("untouched");
    cr_assert(slice_cut(&s, ',', &piece) && piece.n == 0);
    piece = SLICE_LIT("untouched");
    cr_assert(!slice_cut(&s, ',', &piece) && is(piece, "untouched"));
    s = (struct slice){0};
    cr_assert(!slice_cut(&s, ',', &piece) && is(piece, "untouched"));
}

Test(slice, thirty_two_bit_numbers_fit_or_leave_out_alone)
{
    int32_t v = 7;
    cr_assert(slice_i32(SLICE_LIT("-2147483648"), &v) && v == INT32_MIN && slice_i32(SLICE_LIT("+2147483647"), &v) && v == INT32_MAX);
    v = 7;
    cr_assert(!slice_i32(SLICE_LIT("2147483648"), &v) && !slice_i32(SLICE_LIT("-2147483649"), &v) && !slice_i32(SLICE_LIT(""), &v) && v == 7);
    int64_t big;
    cr_assert(slice_i64(SLICE_LIT("-0"), &big) && big == 0 && slice_i64(SLICE_LIT("0000000000000000000000000000007"), &big) && big == 7);
}

Test(slice, true_is_true_in_any_case_and_nothing_else_is)
{
    cr_assert(slice_bool(SLICE_LIT("true")) && slice_bool(SLICE_LIT("TRUE")) && slice_bool(SLICE_LIT("tRuE")));
    cr_assert(!slice_bool(SLICE_LIT("yes")) && !slice_bool(SLICE_LIT("1")) && !slice_bool(SLICE_LIT("true ")) && !slice_bool((struct slice){0}));
}

Test(slice, copies_are_terminated_and_cut_to_their_room)
{
    char out[4] = "xyz";
    cr_assert_str_eq(slice_copy(SLICE_LIT("hello"), out, sizeof out), "hel");
    cr_assert_str_eq(slice_copy((struct slice){0}, out, sizeof out), "");
    out[0] = 'k';
    slice_copy(SLICE_LIT("hello"), out, 0);
    cr_assert(out[0] == 'k');
    char *dup = slice_dup(SLICE_LIT("own"));
    cr_assert_str_eq(dup, "own");
    mem_free(dup);
    mem_fail_after(1);
    cr_assert(slice_dup(SLICE_LIT("own")) == NULL);
    mem_fail_after(0);
}

Test(slice, equal_bytes_have_equal_hashes_wherever_they_lie)
{
    char room[64];
    for (size_t n = 0; n < 24; n++) {
        memset(room, 'h', sizeof room);
        uint64_t first = slice_hash(slice_make(room, n));
        for (size_t at = 1; at < 9; at++) /* any alignment */
            cr_assert(slice_hash(slice_make(room + at, n)) == first);
        cr_assert(slice_hash(slice_make(room, n + 1)) != first);
    }
}
