/* budget.h - one limit for the memory of a server, and what is given up when, as it comes near.
 *
 *   80 %   caches give back what they keep
 *   90 %   no growth: nothing begins that stays, such as a topic or a group
 *   95 %   no guests: no new connections; those that are here are read in small pieces, and who holds most is closed, down to 93 %
 *  100 %   no work: sends and waiting pulls are refused in words; what was accepted before is finished
 * So tables can't lock clients out, and clients can't take the room that work needs. Used is mem_used(): what the
 * allocator gave, not what the kernel counts, which adds the program itself (a few MB) and files that are mapped or cached.
 * Thread: level and words any; say() the owner's. */
#ifndef COMMON_BASE_BUDGET_H
#define COMMON_BASE_BUDGET_H
#include <stdbool.h>
#include <stdint.h>
#include "common/base/mem.h"

enum { BUDGET_LEAST = 16 << 20 }; /* bytes: a smaller limit is no use */
enum budget_level { BUDGET_EASY, BUDGET_GIVE_BACK, BUDGET_NO_GROWTH, BUDGET_NO_GUESTS, BUDGET_NO_WORK };
struct budget {
    uint64_t limit;    /* bytes; 0: none */
    int64_t logged_ms; /* of budget_say() */
};

static inline enum budget_level budget_level_of(uint64_t used, uint64_t limit)
{
    if (limit == 0 || used < limit / 10 * 8)
        return BUDGET_EASY;
    if (used >= limit / 20 * 19)
        return used >= limit ? BUDGET_NO_WORK : BUDGET_NO_GUESTS;
    return used >= limit / 10 * 9 ? BUDGET_NO_GROWTH : BUDGET_GIVE_BACK;
}
static inline enum budget_level budget_level(const struct budget *b) { return b == NULL ? BUDGET_EASY : budget_level_of(mem_used(), b->limit); }
/* Bytes to get rid of, so that there is room for a while; 0: there is no need. */
static inline uint64_t budget_excess(uint64_t used, uint64_t limit) { return limit > 0 && used >= limit / 20 * 19 ? used - limit / 100 * 93 : 0; }

/* The limit of a configured value: 0 stands for half of the memory that this process may use. */
uint64_t budget_limit(int64_t configured);
uint64_t budget_physical_bytes(void); /* the machine's memory; 0: not known */
/* The machine's memory, or what the control groups of this process allow, if less. root: "", or a folder that stands for / in tests. */
uint64_t budget_machine_bytes(const char *root);
enum { BUDGET_WORDS = 96 };
const char *budget_words(const struct budget *b, char out[BUDGET_WORDS]); /* "memoryLimit reached: 7 of 8 bytes in use" */
/* Logs, at most once in 10 s, that `what` is refused. */
void budget_say(struct budget *b, const char *area, const char *what);
#endif
