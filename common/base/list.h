/* list.h - a doubly linked list threaded through its members; the head is a node, too.
 * Thread: one owner. A node is in at most one list; list_init() makes it "in none". */
#ifndef COMMON_BASE_LIST_H
#define COMMON_BASE_LIST_H
#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *prev, *next;
};

/* The struct of type `type` whose member `member` is at ptr. */
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr) - offsetof(type, member)))
/* Visits each node; the body may remove and free `it`. */
#define LIST_EACH(it, head) \
    for (struct list *it = (head)->next, *it##_next = it->next; it != (head); it = it##_next, it##_next = it->next)

static inline void list_init(struct list *l) { l->prev = l->next = l; }
static inline bool list_empty(const struct list *l) { return l->next == l; }
static inline void list_insert(struct list *prev, struct list *node)
{
    node->prev = prev;
    node->next = prev->next;
    prev->next->prev = node;
    prev->next = node;
}
static inline void list_push_back(struct list *head, struct list *node) { list_insert(head->prev, node); }
static inline void list_push_front(struct list *head, struct list *node) { list_insert(head, node); }
static inline void list_remove(struct list *node) /* harmless on a node that is in no list */
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}
/* Moves all of `from` behind the last of `to`; `from` is empty afterwards. */
static inline void list_splice(struct list *to, struct list *from)
{
    if (list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}
#endif
