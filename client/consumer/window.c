/* window.c - see window.h.
 *   I1  progress never passes a message that is not consumed.         (test: unit/client, window) */
#include "client/consumer/window.h"

void window_init(struct window *w, size_t max_n, size_t max_bytes)
{
    *w = (struct window){.end = -1, .max_n = max_n, .max_bytes = max_bytes};
    list_init(&w->taken);
    list_init(&w->waiting);
}

static void count(struct window *w, const struct window_node *node, bool in)
{
    w->n = in ? w->n + 1 : w->n - 1;
    w->bytes = in ? w->bytes + node->bytes : w->bytes - node->bytes;
}

void window_add(struct window *w, struct cmq_message *m)
{
    m->window.queue_off = m->queue_off;
    m->window.bytes = m->body_n;
    list_push_back(&w->waiting, &m->window.node);
    count(w, &m->window, true);
    if (m->queue_off >= w->end)
        w->end = m->queue_off + 1;
}

struct cmq_message *window_take(struct window *w)
{
    if (list_empty(&w->waiting))
        return NULL;
    struct list *node = w->waiting.next;
    list_remove(node);
    list_push_back(&w->taken, node);
    return CONTAINER_OF(node, struct cmq_message, window.node);
}

void window_put_back(struct window *w, struct cmq_message *m)
{
    if (m->window.bytes == SIZE_MAX) /* the window forgot it */
        return;
    list_remove(&m->window.node);
    struct list *at = &w->waiting;
    while (at->next != &w->waiting && CONTAINER_OF(at->next, struct window_node, node)->queue_off < m->window.queue_off)
        at = at->next;
    list_insert(at, &m->window.node);
}

void window_swap(struct window *w, struct cmq_message *m, struct window_node *place)
{
    (void)w;
    place->queue_off = m->window.queue_off;
    place->bytes = m->window.bytes;
    list_insert(&m->window.node, &place->node);
    list_remove(&m->window.node);
}

void window_done(struct window *w, struct window_node *node)
{
    if (node->bytes == SIZE_MAX) /* the window forgot it */
        return;
    list_remove(&node->node);
    count(w, node, false);
    node->bytes = SIZE_MAX;
}

int64_t window_progress(const struct window *w)
{
    int64_t taken = list_empty(&w->taken) ? INT64_MAX : CONTAINER_OF(w->taken.next, struct window_node, node)->queue_off;
    int64_t waiting = list_empty(&w->waiting) ? INT64_MAX : CONTAINER_OF(w->waiting.next, struct window_node, node)->queue_off;
    int64_t least = taken < waiting ? taken : waiting;
    return least == INT64_MAX ? w->end : least;
}

bool window_full(const struct window *w) { return w->n >= w->max_n || w->bytes >= w->max_bytes; }

void window_reset(struct window *w, int64_t end, struct list *dropped)
{
    LIST_EACH(it, &w->taken)
    {
        CONTAINER_OF(it, struct window_node, node)->bytes = SIZE_MAX;
        list_remove(it);
    }
    list_splice(dropped, &w->waiting);
    w->n = w->bytes = 0;
    w->end = end;
}
