/* mem.c - arenas within their limit, buffers that fail and stay failed, the allocator that tests make fail. */
#include "common/base/mem.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/heap.h"

/* ---- arena ---- */
Test(arena, what_it_gave_stays_as_it_was_while_it_grows)
{
    struct arena a = {0};
    char *given[500];
    for (int i = 0; i < 500; i++) {
        char text[300];
        memset(text, 'a' + i % 26, sizeof text);
        given[i] = arena_dup(&a, text, 1 + (size_t)i % 300);
        cr_assert(given[i] != NULL);
    }
    for (int i = 0; i < 500; i++)
        for (int j = 0; j < 1 + i % 300; j++)
            cr_assert(given[i][j] == 'a' + i % 26);
    arena_fini(&a);
}

Test(arena, a_limit_is_exact_for_one_piece_and_holds_for_many)
{
    struct arena a = {.limit = 65536};
    cr_assert(arena_alloc(&a, 65536) != NULL);
    cr_assert(arena_alloc(&a, 1) == NULL);
    arena_fini(&a);
    cr_assert(a.limit == 65536);
    cr_assert(arena_alloc(&a, 65537) == NULL && a.total == 0);
    size_t got = 0;
    while (arena_alloc(&a, 1000) != NULL) {
        got += 1000;
        cr_assert(a.total <= a.limit);
    }
    cr_assert(got >= 40000, "only %zu of 65,536 bytes were usable", got);
    arena_fini(&a);
}

Test(arena, sizes_that_would_wrap_are_refused)
{
    struct arena a = {0};
    cr_assert(arena_alloc(&a, SIZE_MAX) == NULL && arena_alloc(&a, SIZE_MAX - 14) == NULL && arena_alloc(&a, SIZE_MAX / 2) == NULL);
    cr_assert(arena_alloc(&a, ARENA_LIMIT + 1) == NULL);
    cr_assert(arena_alloc(&a, 0) != NULL);
    arena_fini(&a);
}

Test(arena, a_reset_keeps_one_small_block_for_the_next_request)
{
    struct arena a = {0};
    for (int i = 0; i < 100; i++)
        cr_assert(arena_alloc(&a, 10000) != NULL);
    arena_reset(&a);
    cr_assert(a.total <= 65536 && a.used == 0 && a.head != NULL);
    mem_fail_after(1);
    cr_assert(arena_alloc(&a, 4000) != NULL); /* without asking for memory */
    mem_fail_after(0);
    arena_fini(&a);
    arena_reset(&a);
    cr_assert(a.total == 0);
    arena_fini(&a);
}

Test(arena, without_memory_it_stays_usable)
{
    struct arena a = {0};
    mem_fail_after(1);
    cr_assert(arena_alloc(&a, 10) == NULL && arena_dup(&a, "x", 1) == NULL);
    mem_fail_after(0);
    cr_assert(arena_alloc(&a, 10) != NULL);
    arena_fini(&a);
}

/* ---- buf ---- */
Test(buf, numbers_are_big_endian)
{
    struct buf b = {0};
    buf_u8(&b, 0xfe);
    buf_u16(&b, 0x0102);
    buf_u32(&b, 0x03040506);
    buf_u64(&b, 0x0708090a0b0c0d0e);
    static const uint8_t want[] = {0xfe, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14};
    cr_assert(slice_eq(buf_view(&b), slice_make(want, sizeof want)));
    buf_free(&b);
    cr_assert(b.p == NULL && b.n == 0 && b.cap == 0);
}

Test(buf, room_that_would_wrap_fails_and_keeps_what_is_there)
{
    struct buf b = {0};
    buf_str(&b, "kept");
    cr_assert(buf_room(&b, SIZE_MAX) == NULL && b.failed);
    cr_assert(slice_is(buf_view(&b), "kept"));
    buf_clear(&b);
    cr_assert(!b.failed && b.n == 0 && b.cap >= 256);
    buf_str(&b, "again");
    cr_assert(slice_is(buf_view(&b), "again"));
    buf_free(&b);
}

Test(buf, room_does_not_move_the_end_and_holds_what_was_asked_for)
{
    struct buf b = {0};
    for (size_t n = 1; n < 3000; n += 7) {
        uint8_t *at = buf_room(&b, n);
        cr_assert(at == b.p + b.n && b.cap - b.n >= n);
        memset(at, 'x', n);
        b.n += n / 3;
    }
    buf_put(&b, NULL, 0);
    buf_free(&b);
}

Test(buf, formatted_text_of_any_length)
{
    struct buf b = {0};
    char want[2100];
    buf_printf(&b, "%s-%d", "a", 7);
    buf_printf(&b, "%*d", 2000, 5);
    buf_printf(&b, "%s", "");
    snprintf(want, sizeof want, "a-7%*d", 2000, 5);
    cr_assert(slice_is(buf_view(&b), want));
    for (uint64_t n = 1; n < 3; n++) {
        struct buf c = {0};
        mem_fail_after(n);
        buf_printf(&c, "%*d", 1000, 1);
        mem_fail_after(0);
        cr_assert(c.failed == (n == 1) && c.n == (n == 1 ? 0 : 1000));
        buf_free(&c);
    }
    buf_free(&b);
}

/* ---- heap ---- */
Test(heap, without_memory_it_refuses_and_is_as_before)
{
    enum { N = 17 }; /* one more than the first room */
    struct heap h = {0};
    struct heap_node nodes[N] = {0};
    mem_fail_after(1);
    cr_assert(!heap_add(&h, &nodes[0], 5) && !heap_has(&nodes[0]) && heap_first(&h) == NULL);
    mem_fail_after(0);
    for (int i = 0; i < N - 1; i++)
        cr_assert(heap_add(&h, &nodes[i], N - i));
    mem_fail_after(1);
    cr_assert(!heap_add(&h, &nodes[N - 1], 0) && !heap_has(&nodes[N - 1]));
    mem_fail_after(0);
    cr_assert(heap_first(&h) == &nodes[N - 2] && h.n == N - 1);
    heap_remove(&h, &nodes[N - 1]); /* in none: harmless */
    cr_assert(h.n == N - 1);
    heap_fini(&h);
}

Test(heap, equal_and_extreme_deadlines)
{
    struct heap h = {0};
    struct heap_node n[4] = {0};
    cr_assert(heap_add(&h, &n[0], INT64_MAX) && heap_add(&h, &n[1], INT64_MIN) && heap_add(&h, &n[2], 0) && heap_add(&h, &n[3], 0));
    cr_assert(heap_first(&h) == &n[1]);
    heap_move(&h, &n[1], INT64_MAX);
    cr_assert(heap_first(&h)->due == 0);
    heap_remove(&h, &n[2]);
    heap_remove(&h, &n[3]);
    cr_assert(heap_first(&h)->due == INT64_MAX && h.n == 2);
    heap_fini(&h);
}

/* ---- the switch ---- */
Test(mem, the_nth_allocation_from_now_on_and_all_after_it_fail)
{
    void *p[3];
    mem_fail_after(3);
    for (int i = 0; i < 2; i++)
        cr_assert((p[i] = mem_alloc(1)) != NULL);
    cr_assert(mem_alloc(1) == NULL && mem_zalloc(1) == NULL && mem_dup("x", 1) == NULL && mem_strdup("x") == NULL);
    cr_assert(mem_realloc(p[0], 100) == NULL); /* p[0] is as it was */
    mem_fail_after(0);
    cr_assert((p[2] = mem_alloc(0)) != NULL);
    for (int i = 0; i < 3; i++)
        mem_free(p[i]);
    mem_free(NULL);
}
