/* base.c - slices, buffers, maps and heaps behave at their edges. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>

#include "common/base/buf.h"
#include "common/base/hashmap.h"
#include "common/base/err.h"
#include "common/base/heap.h"
#include "common/base/mem.h"

Test(slice, numbers_are_whole_and_fit)
{
    int64_t v = 7;
    cr_assert(slice_i64(SLICE_LIT("-9223372036854775808"), &v) && v == INT64_MIN);
    cr_assert(slice_i64(SLICE_LIT("9223372036854775807"), &v) && v == INT64_MAX);
    const char *bad[] = {"", "-", "+", "9223372036854775808", "-9223372036854775809", "1x", " 1", "1 ", "0x1"};
    v = 7;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect(!slice_i64(slice_str(bad[i]), &v) && v == 7, "accepted '%s'", bad[i]);
}

Test(slice, cut_gives_empty_pieces_and_ends)
{
    struct slice s = SLICE_LIT("a,,b,"), piece;
    const char *want[] = {"a", "", "b", ""};
    size_t n = 0;
    while (slice_cut(&s, ',', &piece))
        cr_assert(n < 4 && slice_is(piece, want[n++]));
    cr_assert(n == 4);
}

Test(buf, a_failed_append_stays_failed_and_keeps_what_was_there)
{
    struct buf b = {0};
    buf_str(&b, "kept");
    mem_fail_after(1);
    uint8_t big[1000] = {0};
    buf_put(&b, big, sizeof big);
    mem_fail_after(0);
    buf_str(&b, "lost");
    cr_assert(b.failed && slice_is(buf_view(&b), "kept"));
    buf_free(&b);
}

Test(buf, decimal_text_of_the_extremes)
{
    struct buf b = {0};
    buf_i64_text(&b, INT64_MIN);
    buf_u8(&b, ' ');
    buf_i64_text(&b, 0);
    cr_assert(slice_is(buf_view(&b), "-9223372036854775808 0"));
    buf_free(&b);
}

struct item {
    struct hash_node node;
    char name[16];
};

Test(hashmap, finds_all_after_growth_and_none_after_removal)
{
    enum { N = 1000 };
    struct hashmap m = {0};
    struct item *items = mem_zalloc(N * sizeof *items);
    for (int i = 0; i < N; i++) {
        snprintf(items[i].name, sizeof items[i].name, "k%d", i);
        cr_assert(hashmap_add(&m, &items[i].node, slice_str(items[i].name)));
    }
    size_t seen = 0;
    for (struct hash_node *it = hashmap_first(&m); it; it = hashmap_next(&m, it))
        seen++;
    cr_assert(seen == N);
    for (int i = 0; i < N; i++) {
        cr_assert(hashmap_get(&m, slice_str(items[i].name)) == &items[i].node);
        hashmap_remove(&m, &items[i].node);
        cr_assert(hashmap_get(&m, slice_str(items[i].name)) == NULL);
    }
    hashmap_fini(&m);
    mem_free(items);
}

Test(heap, gives_deadlines_in_order_through_moves_and_removals)
{
    enum { N = 200 };
    struct heap h = {0};
    struct heap_node nodes[N] = {0};
    for (int i = 0; i < N; i++)
        cr_assert(heap_add(&h, &nodes[i], (i * 7919) % 1000));
    for (int i = 0; i < N; i += 3)
        heap_move(&h, &nodes[i], 2000 - i);
    for (int i = 1; i < N; i += 3)
        heap_remove(&h, &nodes[i]);
    int64_t last = -1;
    size_t n = 0;
    for (struct heap_node *first; (first = heap_first(&h)) != NULL; n++) {
        cr_assert(first->due >= last);
        last = first->due;
        heap_remove(&h, first);
        cr_assert(!heap_has(first));
    }
    cr_assert(n == N - 67);
    heap_fini(&h);
}

Test(mem, arena_gives_aligned_memory_and_keeps_to_its_limit)
{
    struct arena a = {.limit = 100000};
    for (size_t n = 1; n < 300; n++)
        cr_assert((uintptr_t)arena_alloc(&a, n) % 16 == 0);
    cr_assert(arena_alloc(&a, 200000) == NULL);
    arena_reset(&a);
    cr_assert(a.total <= 65536);
    arena_fini(&a);
}

Test(err, a_fault_is_told_with_its_reason_and_no_fault_is_told_as_such)
{
    struct fault why = {0};
    char text[80];
    cr_assert(fault_set(&why, MQ_EIO, ENOENT, "open %s", "x") == MQ_EIO && fault_set(NULL, MQ_EFULL, 0, "nobody listens") == MQ_EFULL);
    cr_assert_str_eq(fault_text(&why, text, sizeof text), "open x: disk or socket failed (No such file or directory)");
    why.sys = 0;
    cr_assert_str_eq(fault_text(&why, text, sizeof text), "open x: disk or socket failed");
    cr_assert_str_eq(fault_text(&why, text, 7), "open x");
    cr_assert_str_eq(fault_text(NULL, text, sizeof text), "the reason is not known");
}
