/* heap.h - a binary heap of deadlines, threaded through its members: the earliest is at hand.
 * Thread: one owner. A zeroed heap is ready. Members are yours. */
#ifndef COMMON_BASE_HEAP_H
#define COMMON_BASE_HEAP_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_node {
    int64_t due;   /* in the unit of whoever uses the heap, usually ms */
    size_t at;     /* place in the heap + 1; 0 = in none */
};
struct heap {
    struct heap_node **nodes;
    size_t n, cap;
};

bool heap_add(struct heap *h, struct heap_node *node, int64_t due); /* false: out of memory, nothing changed */
void heap_remove(struct heap *h, struct heap_node *node);           /* harmless on a node in no heap */
void heap_move(struct heap *h, struct heap_node *node, int64_t due); /* node must be in h */
static inline struct heap_node *heap_first(const struct heap *h) { return h->n ? h->nodes[0] : NULL; }
static inline bool heap_has(const struct heap_node *node) { return node->at != 0; }
void heap_fini(struct heap *h);
#endif
