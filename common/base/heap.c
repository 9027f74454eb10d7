/* heap.c - see heap.h.  I1: nodes[i]->at == i + 1 for all members.   (test: unit/common/base) */
#include "common/base/heap.h"

#include "common/base/mem.h"

static void put(struct heap *h, size_t i, struct heap_node *node)
{
    h->nodes[i] = node;
    node->at = i + 1;
}

static void up(struct heap *h, size_t i, struct heap_node *node)
{
    for (; i > 0 && h->nodes[(i - 1) / 2]->due > node->due; i = (i - 1) / 2)
        put(h, i, h->nodes[(i - 1) / 2]);
    put(h, i, node);
}

static void down(struct heap *h, size_t i, struct heap_node *node)
{
    for (;;) {
        size_t kid = 2 * i + 1;
        if (kid >= h->n)
            break;
        if (kid + 1 < h->n && h->nodes[kid + 1]->due < h->nodes[kid]->due)
            kid++;
        if (h->nodes[kid]->due >= node->due)
            break;
        put(h, i, h->nodes[kid]);
        i = kid;
    }
    put(h, i, node);
}

bool heap_add(struct heap *h, struct heap_node *node, int64_t due)
{
    if (h->n == h->cap) {
        size_t cap = h->cap ? h->cap * 2 : 16;
        struct heap_node **nodes = mem_realloc(h->nodes, cap * sizeof *nodes);
        if (nodes == NULL)
            return false;
        h->nodes = nodes;
        h->cap = cap;
    }
    node->due = due;
    up(h, h->n++, node);
    return true;
}

void heap_move(struct heap *h, struct heap_node *node, int64_t due)
{
    bool later = due > node->due;
    node->due = due;
    if (later)
        down(h, node->at - 1, node);
    else
        up(h, node->at - 1, node);
}

void heap_remove(struct heap *h, struct heap_node *node)
{
    if (node->at == 0)
        return;
    size_t i = node->at - 1;
    struct heap_node *last = h->nodes[--h->n];
    node->at = 0;
    if (last == node)
        return;
    if (last->due < node->due)
        up(h, i, last);
    else
        down(h, i, last);
}

void heap_fini(struct heap *h)
{
    mem_free(h->nodes);
    *h = (struct heap){0};
}
