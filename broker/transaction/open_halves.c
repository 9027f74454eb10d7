/* open_halves.c - see open_halves.h.
 *
 * Half messages come by offset, so the table is a sorted array: added to at its end, searched by halves, closed in place and squeezed when
 * the closed ones outnumber the open ones. A million open ones are 24 MB, at most twice that.
 *   I1  at[first] is open, or the table is empty: so the least open offset is at hand.        (test: unit/transaction/open_halves)
 * How far the op queue is done follows from that offset. Ops are kept by blocks of 64 with the largest half offset among them, so that
 * what waits behind one old half message costs two bits for each op, not a record. A block counts as done late rather than early.
 *   I2  an op below done_off names no offset at or beyond what op_progress_until() was told last. */
#include "broker/transaction/open_halves.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"

enum { FIRST_CAP = 64, BLOCK_OPS = 64 };

/* ---- the table ---- */
static void squeeze(struct open_halves *t)
{
    size_t n = 0;
    for (size_t i = t->first; i < t->end; i++)
        if (!t->at[i].closed)
            t->at[n++] = t->at[i];
    t->first = t->closed = 0;
    t->end = n;
}

bool open_halves_reserve(struct open_halves *t)
{
    if (t->end < t->cap)
        return true;
    if (t->first + t->closed > t->cap / 2) {
        squeeze(t);
        return true;
    }
    size_t cap = t->cap ? t->cap + t->cap / 2 : FIRST_CAP;
    struct open_half *at = mem_realloc(t->at, cap * sizeof *at);
    if (at == NULL)
        return false;
    t->at = at;
    t->cap = cap;
    return true;
}

void open_halves_add(struct open_halves *t, int64_t half_off, int64_t first_off, int64_t born_ms, bool immune)
{
    int64_t moved = half_off - first_off;
    assert(t->end < t->cap);
    if (t->end > t->first && t->at[t->end - 1].half_off >= half_off)
        t->first = t->end = t->closed = 0;
    if (moved < 0 || moved > UINT32_MAX)
        moved = 0; /* four thousand million later: it is known by its new place only */
    t->at[t->end++] = (struct open_half){.half_off = half_off, .born_ms = born_ms, .moved = (uint32_t)moved, .immune = immune};
}

static size_t place_of(const struct open_halves *t, int64_t half_off) /* of the first at or behind it */
{
    size_t low = t->first, high = t->end;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (t->at[mid].half_off < half_off)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

struct open_half *open_halves_from(const struct open_halves *t, int64_t from)
{
    size_t i = place_of(t, from);
    while (i < t->end && t->at[i].closed)
        i++;
    return i < t->end ? &t->at[i] : NULL;
}

struct open_half *open_halves_find(const struct open_halves *t, int64_t half_off, int64_t first_off)
{
    size_t i = place_of(t, half_off);
    if (i < t->end && t->at[i].half_off == half_off && !t->at[i].closed)
        return &t->at[i];
    for (; i < t->end; i++) /* it was put again, so it is behind */
        if (!t->at[i].closed && t->at[i].moved > 0 && open_half_first(&t->at[i]) == first_off)
            return &t->at[i];
    return NULL;
}

void open_halves_close(struct open_halves *t, struct open_half *h)
{
    h->closed = true;
    t->closed++;
    while (t->first < t->end && t->at[t->first].closed) {
        t->first++;
        t->closed--;
    }
    if (t->first == t->end)
        t->first = t->end = 0;
    else if (t->closed > FIRST_CAP && t->closed > t->end - t->first - t->closed)
        squeeze(t);
}

static int by_transaction(const void *a, const void *b)
{
    const struct open_half *x = a, *y = b;
    int64_t fx = open_half_first(x), fy = open_half_first(y);
    return fx != fy ? (fx > fy) - (fx < fy) : (x->half_off > y->half_off) - (x->half_off < y->half_off);
}
static int by_place(const void *a, const void *b)
{
    const struct open_half *x = a, *y = b;
    return (x->half_off > y->half_off) - (x->half_off < y->half_off);
}

void open_halves_settle(struct open_halves *t)
{
    size_t n = t->end - t->first;
    if (n == 0)
        return;
    struct open_half *at = t->at + t->first;
    qsort(at, n, sizeof *at, by_transaction);
    for (size_t i = 0, next; i < n; i = next) {
        bool ended = false;
        for (next = i; next < n && open_half_first(&at[next]) == open_half_first(&at[i]); next++)
            ended = ended || at[next].closed;
        for (size_t k = i; k < next; k++)
            at[k].closed = ended || k + 1 < next;
    }
    qsort(at, n, sizeof *at, by_place);
    squeeze(t);
}

void open_halves_fini(struct open_halves *t)
{
    mem_free(t->at);
    *t = (struct open_halves){0};
}

/* ---- the op queue ---- */
static bool block_room(struct op_progress *p)
{
    if (p->end < p->cap)
        return true;
    if (p->first > p->cap / 2) {
        memmove(p->blocks, p->blocks + p->first, (p->end - p->first) * sizeof *p->blocks);
        p->end -= p->first;
        p->first = 0;
        return true;
    }
    size_t cap = p->cap ? p->cap + p->cap / 2 : FIRST_CAP;
    struct op_block *blocks = mem_realloc(p->blocks, cap * sizeof *blocks);
    if (blocks == NULL)
        return false;
    p->blocks = blocks;
    p->cap = cap;
    return true;
}

void op_progress_add(struct op_progress *p, int64_t op_off, int64_t half_off)
{
    int64_t begins = p->end > p->first ? p->blocks[p->end - 1].end_off : p->done_off;
    if (p->has_tail && op_off - begins >= BLOCK_OPS && block_room(p)) {
        p->blocks[p->end++] = p->tail;
        p->has_tail = false;
    }
    if (!p->has_tail || p->tail.half_off < half_off)
        p->tail.half_off = half_off;
    p->tail.end_off = op_off + 1;
    p->has_tail = true;
}

int64_t op_progress_until(struct op_progress *p, int64_t half_off)
{
    while (p->first < p->end && p->blocks[p->first].half_off < half_off)
        p->done_off = p->blocks[p->first++].end_off;
    if (p->first < p->end)
        return p->done_off;
    p->first = p->end = 0;
    if (p->has_tail && p->tail.half_off < half_off) {
        p->done_off = p->tail.end_off;
        p->has_tail = false;
    }
    return p->done_off;
}

void op_progress_fini(struct op_progress *p)
{
    mem_free(p->blocks);
    *p = (struct op_progress){0};
}

/* ---- ended ---- */
void ended_halves_add(struct ended_halves *e, int64_t first_off)
{
    if (e->at == NULL) {
        e->at = mem_alloc(ENDED_KEPT * sizeof *e->at);
        if (e->at == NULL)
            return;
        memset(e->at, 0xFF, ENDED_KEPT * sizeof *e->at);
    }
    e->at[(uint64_t)first_off % ENDED_KEPT] = first_off;
}

bool ended_halves_have(const struct ended_halves *e, int64_t first_off)
{
    return e->at != NULL && e->at[(uint64_t)first_off % ENDED_KEPT] == first_off;
}

void ended_halves_fini(struct ended_halves *e)
{
    mem_free(e->at);
    e->at = NULL;
}
