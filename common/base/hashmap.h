/* hashmap.h - a hash table threaded through its members, keyed by bytes that the member holds.
 * Thread: one owner. A zeroed map is ready. Members are yours: the map never allocates or frees them. */
#ifndef COMMON_BASE_HASHMAP_H
#define COMMON_BASE_HASHMAP_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/base/list.h" /* CONTAINER_OF */
#include "common/base/slice.h"

struct hash_node {
    struct hash_node *next;
    uint64_t hash;
    struct slice key; /* borrowed as long as the node is in a map: usually a field of the same struct */
};
struct hashmap {
    struct hash_node **slots;
    size_t n, n_slots; /* a power of two, or 0 */
};

struct hash_node *hashmap_get(const struct hashmap *m, struct slice key); /* NULL when absent */
/* Adds a node whose key is absent (asserted). False when out of memory: the map is as before. */
bool hashmap_add(struct hashmap *m, struct hash_node *node, struct slice key);
void hashmap_remove(struct hashmap *m, struct hash_node *node); /* node must be in m */
/* Iteration in no order: for (n = hashmap_first(m); n; n = hashmap_next(m, n)). The map must not change meanwhile,
 * but for removing the current node after its successor was taken. */
struct hash_node *hashmap_first(const struct hashmap *m);
struct hash_node *hashmap_next(const struct hashmap *m, const struct hash_node *node);
void hashmap_fini(struct hashmap *m); /* frees the slots; members are untouched */
#endif
