/* mem.c - see mem.h. The failing switch is a relaxed atomic: it costs one load when unused.
 * What is in use is counted per thread, and told to the process in pieces of MEM_SLACK: an atomic for each allocation would be felt.
 * The size is the allocator's own figure, so no header is needed and memory may be freed on another thread than it came from.
 *   I2  mem_used() is off by less than MEM_SLACK for each thread that allocates.  (test: unit/common/budget)
 *   I1  an arena keeps at most one block of ARENA_KEEP bytes across resets.   (test: unit/common/mem) */
#include "common/base/mem.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_FIRST ((size_t)4096)
#define ARENA_KEEP ((size_t)65536)

static _Atomic uint64_t fail_in; /* 0: never; 1: from now on; n: after n - 1 more */

static bool must_fail(void)
{
    uint64_t n = atomic_load_explicit(&fail_in, memory_order_relaxed);
    if (__builtin_expect(n == 0, 1))
        return false;
    if (n == 1)
        return true;
    atomic_store_explicit(&fail_in, n - 1, memory_order_relaxed);
    return false;
}

void mem_fail_after(uint64_t n) { atomic_store_explicit(&fail_in, n, memory_order_relaxed); }

static _Atomic int64_t in_use;
static _Thread_local int64_t not_told;

static inline void count(int64_t bytes)
{
    not_told += bytes;
    if (__builtin_expect((uint64_t)not_told + MEM_SLACK >= 2 * (uint64_t)MEM_SLACK, 0)) { /* outside of -MEM_SLACK .. MEM_SLACK */
        atomic_fetch_add_explicit(&in_use, not_told, memory_order_relaxed);
        not_told = 0;
    }
}

static inline void *counted(void *p)
{
    count((int64_t)malloc_usable_size(p)); /* 0 of NULL */
    return p;
}

uint64_t mem_used(void)
{
    int64_t n = atomic_load_explicit(&in_use, memory_order_relaxed) + not_told;
    return n > 0 ? (uint64_t)n : 0;
}

void mem_trim(void) { malloc_trim(0); }

void *mem_alloc(size_t n) { return must_fail() ? NULL : counted(malloc(n ? n : 1)); }
void *mem_zalloc(size_t n) { return must_fail() ? NULL : counted(calloc(1, n ? n : 1)); }

void *mem_realloc(void *p, size_t n)
{
    int64_t before = (int64_t)malloc_usable_size(p);
    void *q = must_fail() ? NULL : realloc(p, n ? n : 1);
    if (q != NULL)
        count((int64_t)malloc_usable_size(q) - before);
    return q;
}

void mem_free(void *p)
{
    if (p == NULL)
        return;
    count(-(int64_t)malloc_usable_size(p));
    free(p);
}

void *mem_dup(const void *p, size_t n)
{
    void *q = mem_alloc(n);
    if (q != NULL && n > 0)
        memcpy(q, p, n);
    return q;
}

char *mem_strdup(const char *s) { return mem_dup(s, strlen(s) + 1); }

struct arena_block {
    struct arena_block *older;
    size_t size; /* bytes of data[] */
    _Alignas(16) unsigned char data[];
};

static bool arena_grow(struct arena *a, size_t n)
{
    size_t limit = a->limit ? a->limit : ARENA_LIMIT;
    size_t size = a->head ? a->head->size * 2 : ARENA_FIRST;
    if (size > limit)
        size = limit;
    if (size < n)
        size = n;
    if (size > limit - (a->total < limit ? a->total : limit))
        size = n;
    if (n > limit || a->total > limit - n)
        return false;
    struct arena_block *b = mem_alloc(sizeof *b + size);
    if (b == NULL)
        return false;
    *b = (struct arena_block){.older = a->head, .size = size};
    a->head = b;
    a->used = 0;
    a->total += size;
    return true;
}

void *arena_alloc(struct arena *a, size_t n)
{
    if (n > SIZE_MAX - 15)
        return NULL;
    n = (n + 15) & ~(size_t)15;
    if ((a->head == NULL || n > a->head->size - a->used) && !arena_grow(a, n))
        return NULL;
    void *p = a->head->data + a->used;
    a->used += n;
    return p;
}

void *arena_dup(struct arena *a, const void *p, size_t n)
{
    void *q = arena_alloc(a, n);
    if (q != NULL && n > 0)
        memcpy(q, p, n);
    return q;
}

void arena_reset(struct arena *a)
{
    struct arena_block *keep = NULL, *b = a->head;
    while (b != NULL) {
        struct arena_block *older = b->older;
        if (keep == NULL && b->size <= ARENA_KEEP)
            keep = b;
        else
            mem_free(b);
        b = older;
    }
    if (keep != NULL)
        keep->older = NULL;
    a->head = keep;
    a->used = 0;
    a->total = keep ? keep->size : 0;
}

void arena_fini(struct arena *a)
{
    for (struct arena_block *b = a->head; b != NULL;) {
        struct arena_block *older = b->older;
        mem_free(b);
        b = older;
    }
    *a = (struct arena){.limit = a->limit};
}
