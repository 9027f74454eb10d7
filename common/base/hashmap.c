/* hashmap.c - chained buckets, doubled at load 1; see hashmap.h. */
#include "common/base/hashmap.h"

#include <assert.h>

#include "common/base/mem.h"

#define FIRST_SLOTS 16

static struct hash_node **slot_of(const struct hashmap *m, uint64_t hash) { return &m->slots[hash & (m->n_slots - 1)]; }

struct hash_node *hashmap_get(const struct hashmap *m, struct slice key)
{
    if (m->n == 0)
        return NULL;
    uint64_t hash = slice_hash(key);
    for (struct hash_node *it = *slot_of(m, hash); it != NULL; it = it->next)
        if (it->hash == hash && slice_eq(it->key, key))
            return it;
    return NULL;
}

static bool grow(struct hashmap *m)
{
    size_t n_slots = m->n_slots ? m->n_slots * 2 : FIRST_SLOTS;
    struct hash_node **slots = mem_zalloc(n_slots * sizeof *slots);
    if (slots == NULL)
        return m->n_slots > 0; /* longer chains, but it works */
    struct hashmap bigger = {.slots = slots, .n = m->n, .n_slots = n_slots};
    for (size_t i = 0; i < m->n_slots; i++)
        for (struct hash_node *it = m->slots[i], *next; it != NULL; it = next) {
            next = it->next;
            struct hash_node **at = slot_of(&bigger, it->hash);
            it->next = *at;
            *at = it;
        }
    mem_free(m->slots);
    *m = bigger;
    return true;
}

bool hashmap_add(struct hashmap *m, struct hash_node *node, struct slice key)
{
    assert(hashmap_get(m, key) == NULL);
    if (m->n >= m->n_slots && !grow(m))
        return false;
    node->key = key;
    node->hash = slice_hash(key);
    struct hash_node **at = slot_of(m, node->hash);
    node->next = *at;
    *at = node;
    m->n++;
    return true;
}

void hashmap_remove(struct hashmap *m, struct hash_node *node)
{
    struct hash_node **at = slot_of(m, node->hash);
    while (*at != node) {
        assert(*at != NULL);
        at = &(*at)->next;
    }
    *at = node->next;
    node->next = NULL;
    m->n--;
}

static struct hash_node *first_from(const struct hashmap *m, size_t i)
{
    for (; i < m->n_slots; i++)
        if (m->slots[i] != NULL)
            return m->slots[i];
    return NULL;
}

struct hash_node *hashmap_first(const struct hashmap *m) { return first_from(m, 0); }

struct hash_node *hashmap_next(const struct hashmap *m, const struct hash_node *node)
{
    return node->next != NULL ? node->next : first_from(m, (node->hash & (m->n_slots - 1)) + 1);
}

void hashmap_fini(struct hashmap *m)
{
    mem_free(m->slots);
    *m = (struct hashmap){0};
}
