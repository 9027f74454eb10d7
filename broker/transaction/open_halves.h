/* open_halves.h - which half messages are open, by their offset in the half queue, and how far both queues are done.
 * 24 bytes an open one. Thread: core. Pure. Offsets: half_off counts messages of the half queue, op_off those of the op queue. */
#ifndef BROKER_TRANSACTION_OPEN_HALVES_H
#define BROKER_TRANSACTION_OPEN_HALVES_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- the table ---- */
struct open_half {
    int64_t half_off, born_ms;
    uint32_t moved;      /* half_off less the offset where it was put first */
    bool immune, ending, closed; /* ending: its op message is owed; closed: only its place is left */
};
struct open_halves { /* zeroed: empty */
    struct open_half *at;
    size_t first, end, cap; /* at[first..end), by half_off */
    size_t closed;          /* of these */
};
static inline int64_t open_half_first(const struct open_half *h) { return h->half_off - (int64_t)h->moved; }
static inline size_t open_halves_count(const struct open_halves *t) { return t->end - t->first - t->closed; }
bool open_halves_reserve(struct open_halves *t); /* room for one more; false: out of memory. Entries move. */
/* After open_halves_reserve(). first_off: where it was put first. half_off is beyond all others; if not, the queue was deleted and began
 * anew: then all others are gone. */
void open_halves_add(struct open_halves *t, int64_t half_off, int64_t first_off, int64_t born_ms, bool immune);
/* The first open one at or behind from; NULL: none. Good until the next reserve or close. */
struct open_half *open_halves_from(const struct open_halves *t, int64_t from);
/* The open one of a transaction by the offset of any of its puts and that of its first. Fast when it is the last put; else a walk. */
struct open_half *open_halves_find(const struct open_halves *t, int64_t half_off, int64_t first_off);
void open_halves_close(struct open_halves *t, struct open_half *h);
/* All are there in any order, closed ones among them: of each transaction only the last put stays open, and none when one of them is
 * closed. What a start makes of the records that it finds. */
void open_halves_settle(struct open_halves *t);
void open_halves_fini(struct open_halves *t);

/* ---- how far the op queue is done: to where all ops are of half messages that are done ---- */
struct op_block {
    int64_t end_off, half_off; /* ops below end_off, from the block before on; the largest offset that they name */
};
struct op_progress {
    int64_t done_off;        /* ops below are done */
    struct op_block *blocks; /* full ones: blocks[first..end) */
    size_t first, end, cap;
    struct op_block tail;    /* the one that grows */
    bool has_tail;
};
/* Ops come by offset. half_off: the largest that it names, -1: none. Out of memory makes the figure coarse, never wrong. */
void op_progress_add(struct op_progress *p, int64_t op_off, int64_t half_off);
int64_t op_progress_until(struct op_progress *p, int64_t half_off); /* half messages below are done; the new done_off */
void op_progress_fini(struct op_progress *p);

/* ---- transactions that were ended lately ---- */
enum { ENDED_KEPT = 65536 };
struct ended_halves {
    int64_t *at; /* [first_off % ENDED_KEPT], -1: none */
};
void ended_halves_add(struct ended_halves *e, int64_t first_off); /* without memory they are not remembered */
bool ended_halves_have(const struct ended_halves *e, int64_t first_off);
void ended_halves_fini(struct ended_halves *e);
#endif
