/* hashmap.c - maps at their edges: growth with and without memory, removal while walking, keys of any bytes. */
#include "common/base/hashmap.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "common/base/mem.h"

struct item {
    struct hash_node node;
    char name[16];
    int seen;
};

static struct item *items_of(int n)
{
    struct item *all = mem_zalloc((size_t)n * sizeof *all);
    for (int i = 0; i < n; i++)
        snprintf(all[i].name, sizeof all[i].name, "key-%d", i);
    return all;
}

Test(hashmap, an_empty_map_finds_nothing_and_walks_nowhere)
{
    struct hashmap m = {0};
    cr_assert(hashmap_get(&m, SLICE_LIT("x")) == NULL && hashmap_get(&m, (struct slice){0}) == NULL && hashmap_first(&m) == NULL);
    hashmap_fini(&m);
}

Test(hashmap, it_doubles_when_it_is_full)
{
    enum { N = 5000 };
    struct hashmap m = {0};
    struct item *all = items_of(N);
    for (int i = 0; i < N; i++) {
        cr_assert(hashmap_add(&m, &all[i].node, slice_str(all[i].name)));
        cr_assert(m.n == (size_t)i + 1 && m.n <= m.n_slots && (m.n_slots & (m.n_slots - 1)) == 0);
    }
    cr_assert(m.n_slots == 8192);
    size_t longest = 0;
    for (size_t i = 0; i < m.n_slots; i++) {
        size_t n = 0;
        for (struct hash_node *it = m.slots[i]; it != NULL; it = it->next)
            n++;
        longest = n > longest ? n : longest;
    }
    cr_assert(longest < 16, "a chain of %zu", longest); /* names that differ in a digit do not gather */
    hashmap_fini(&m);
    mem_free(all);
}

Test(hashmap, without_memory_a_first_member_is_refused_and_later_ones_make_longer_chains)
{
    enum { N = 200 };
    struct hashmap m = {0};
    struct item *all = items_of(N);
    mem_fail_after(1);
    cr_assert(!hashmap_add(&m, &all[0].node, slice_str(all[0].name)) && m.n == 0 && hashmap_first(&m) == NULL);
    mem_fail_after(0);
    cr_assert(hashmap_add(&m, &all[0].node, slice_str(all[0].name)));
    mem_fail_after(1);
    for (int i = 1; i < N; i++)
        cr_assert(hashmap_add(&m, &all[i].node, slice_str(all[i].name)));
    for (int i = 0; i < N; i++)
        cr_assert(hashmap_get(&m, slice_str(all[i].name)) == &all[i].node);
    cr_assert(m.n_slots == 16);
    mem_fail_after(0);
    hashmap_fini(&m);
    mem_free(all);
}

Test(hashmap, a_walk_may_remove_where_it_stands_once_it_knows_the_next)
{
    enum { N = 300 };
    struct hashmap m = {0};
    struct item *all = items_of(N);
    for (int i = 0; i < N; i++)
        cr_assert(hashmap_add(&m, &all[i].node, slice_str(all[i].name)));
    int walked = 0;
    for (struct hash_node *next, *it = hashmap_first(&m); it != NULL; it = next) {
        struct item *x = CONTAINER_OF(it, struct item, node);
        next = hashmap_next(&m, it);
        x->seen++;
        if (walked++ % 2 == 0)
            hashmap_remove(&m, it);
    }
    for (int i = 0; i < N; i++)
        cr_assert(all[i].seen == 1);
    cr_assert(m.n == N / 2);
    hashmap_fini(&m);
    mem_free(all);
}

Test(hashmap, keys_are_bytes_not_texts)
{
    static const uint8_t bytes[] = {0, 0, 0, 'a', 0};
    struct hashmap m = {0};
    struct hash_node nodes[5] = {0};
    for (size_t n = 0; n < 5; n++) /* prefixes of each other, the empty one among them */
        cr_assert(hashmap_add(&m, &nodes[n], slice_make(bytes, n)));
    for (size_t n = 0; n < 5; n++)
        cr_assert(hashmap_get(&m, slice_make(bytes, n)) == &nodes[n]);
    cr_assert(hashmap_get(&m, slice_make(bytes, 5)) == NULL && hashmap_get(&m, slice_make(NULL, 0)) == &nodes[0]);
    hashmap_fini(&m);
}

Test(hashmap, a_removed_member_can_be_added_again)
{
    struct hashmap m = {0};
    struct hash_node a = {0}, b = {0};
    cr_assert(hashmap_add(&m, &a, SLICE_LIT("k")));
    hashmap_remove(&m, &a);
    cr_assert(hashmap_get(&m, SLICE_LIT("k")) == NULL);
    cr_assert(hashmap_add(&m, &b, SLICE_LIT("k")) && hashmap_add(&m, &a, SLICE_LIT("other")));
    cr_assert(hashmap_get(&m, SLICE_LIT("k")) == &b && m.n == 2);
    hashmap_fini(&m);
}
