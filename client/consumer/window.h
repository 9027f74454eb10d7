/* window.h - the messages of one queue that are here: pulled, not consumed yet. What was consumed up to where follows from it.
 *
 *   taken:  given to somebody, in order of offsets      waiting:  not yet, all behind the taken ones
 *   progress = the first of taken, else the first of waiting, else `end` (the next offset to pull)
 * Thread: under the consumer's lock; pure. */
#ifndef CLIENT_CONSUMER_WINDOW_H
#define CLIENT_CONSUMER_WINDOW_H
#include "client/core/message.h"

struct window {
    struct list taken, waiting; /* of struct window_node */
    int64_t end;                /* the offset behind the last pulled; -1: nothing is known yet */
    size_t n, bytes;            /* messages of both lists */
    size_t max_n, max_bytes;
};
void window_init(struct window *w, size_t max_n, size_t max_bytes);
void window_add(struct window *w, struct cmq_message *m); /* m's offset is behind all others; *m is the window's */
struct cmq_message *window_take(struct window *w);        /* the next waiting one, now taken; NULL: none */
void window_put_back(struct window *w, struct cmq_message *m); /* a taken one waits again */
/* m leaves the window for good, but its place counts as taken until window_done(place). */
void window_swap(struct window *w, struct cmq_message *m, struct window_node *place);
void window_done(struct window *w, struct window_node *node); /* a taken one is consumed: it leaves */
int64_t window_progress(const struct window *w);
bool window_full(const struct window *w);
static inline bool window_has_waiting(const struct window *w) { return !list_empty(&w->waiting); }
/* Forgets all: waiting ones go to `dropped`; taken ones no longer count, their window_done() is harmless. */
void window_reset(struct window *w, int64_t end, struct list *dropped);
#endif
