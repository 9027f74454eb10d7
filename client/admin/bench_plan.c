/* bench_plan.c - see bench_plan.h.
 *
 * An open loop never waits for answers: message i is due at its moment whatever became of those before it, and its latency counts from
 * there. A stall of the server is thus seen by every message that was due in it, not only by the one that waited.
 *   I1  due_ns(i) < due_ns(i + rate) = due_ns(i) + 1 s: nothing drifts.       (test: unit/admin, measures.c)
 *   I2  due_count(due_ns(i) + 1) = i + 1 for rates up to one a nanosecond. */
#include "client/admin/bench_plan.h"
#include <stdlib.h>

enum { SECOND = 1000000000 };

int64_t bench_plan_due_ns(uint64_t i, uint64_t rate) { return (int64_t)(i / rate * SECOND + i % rate * SECOND / rate); }

uint64_t bench_plan_due_count(int64_t ns, uint64_t rate)
{
    if (ns <= 0)
        return 0;
    uint64_t s = (uint64_t)ns / SECOND, i = s * rate + (uint64_t)ns % SECOND * rate / SECOND;
    return i + (bench_plan_due_ns(i, rate) < ns);
}

bool bench_marks_init(struct bench_marks *m, uint64_t n)
{
    m->n = n;
    m->bits = calloc(n / 64 + 1, sizeof *m->bits);
    return m->bits != NULL;
}

void bench_marks_fini(struct bench_marks *m)
{
    free(m->bits);
    *m = (struct bench_marks){0};
}

bool bench_marks_set(struct bench_marks *m, uint64_t i)
{
    uint64_t bit = 1ULL << i % 64;
    if (i >= m->n || (m->bits[i / 64] & bit))
        return true;
    m->bits[i / 64] |= bit;
    return false;
}

uint64_t bench_marks_missing(const struct bench_marks *a, const struct bench_marks *b, uint64_t first)
{
    uint64_t n = 0;
    for (uint64_t at = first / 64; a->n > 0 && at <= (a->n - 1) / 64; at++) {
        uint64_t only = a->bits[at] & ~b->bits[at];
        if (at == first / 64)
            only &= ~0ULL << first % 64;
        n += (uint64_t)__builtin_popcountll(only);
    }
    return n;
}
