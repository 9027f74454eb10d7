/* mem.h - the allocator that counts and that tests can make fail, and the arena of one request.
 * Thread: mem_* any; an arena belongs to one thread. Sizes are bytes. */
#ifndef COMMON_BASE_MEM_H
#define COMMON_BASE_MEM_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void *mem_alloc(size_t n);                /* NULL when out of memory; yours, end with mem_free() */
void *mem_zalloc(size_t n);               /* the same, zeroed */
void *mem_realloc(void *p, size_t n);     /* NULL leaves p as it was */
void *mem_dup(const void *p, size_t n);   /* a copy, yours */
char *mem_strdup(const char *s);          /* a copy, yours */
void mem_free(void *p);                   /* NULL allowed */

/* Bytes that all of the above gave and did not get back, as the allocator rounds them; budget.h says what follows from it. Each
 * other thread may have up to MEM_SLACK more or less. */
enum { MEM_SLACK = 32 << 10 };
uint64_t mem_used(void);
void mem_trim(void); /* what is free goes back to the system as far as it can: costs about 1 ms */

/* Tests: the n-th allocation from now on (1 = the next) and all after it fail; 0 = none fails. */
void mem_fail_after(uint64_t n);

/* An arena hands out memory that is all freed at once. A zeroed arena is ready for use.
 * It grows by blocks up to `limit` bytes (0 = ARENA_LIMIT); beyond it arena_alloc() returns NULL. */
#define ARENA_LIMIT ((size_t)64 << 20)
struct arena_block;
struct arena {
    struct arena_block *head; /* newest block; older ones behind it */
    size_t used, total, limit;
};
void *arena_alloc(struct arena *a, size_t n);             /* 16-byte aligned; lives until reset or fini */
void *arena_dup(struct arena *a, const void *p, size_t n);
void arena_reset(struct arena *a); /* frees all but one block, which is kept for the next request */
void arena_fini(struct arena *a);
#endif
