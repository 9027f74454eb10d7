/* allocate.c - Apache's three ways to share queues, so that members of either implementation agree.
 *
 *   AVG              each member gets a run of neighbours; the first (queues mod members) members get one more
 *   AVG_BY_CIRCLE    the queues are dealt like cards
 *   CONSISTENT_HASH  ten points per member on a ring (the first 4 bytes of MD5 of "id-i"); a queue belongs to the next point
 * The results in the unit tests are those of Apache's tests. */
#include "client/consumer/allocate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/consumer/md5.h"
#include "common/base/mem.h"

enum { POINTS = 10 };

struct point {
    uint32_t at;
    size_t member;
};

static void average(size_t me, size_t n_members, size_t n_queues, bool *mine)
{
    size_t rest = n_queues % n_members, size = n_queues / n_members;
    size_t begin = me < rest ? me * (size + 1) : me * size + rest, count = me < rest ? size + 1 : size;
    for (size_t i = 0; i < count; i++)
        mine[begin + i] = true;
}

static void circle(size_t me, size_t n_members, size_t n_queues, bool *mine)
{
    for (size_t i = me; i < n_queues; i += n_members)
        mine[i] = true;
}

static uint32_t hash(const char *text)
{
    uint8_t d[16];
    md5(slice_str(text), d);
    return (uint32_t)d[0] << 24 | (uint32_t)d[1] << 16 | (uint32_t)d[2] << 8 | d[3];
}

static int by_place(const void *a, const void *b)
{
    const struct point *x = a, *y = b;
    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    return (x->member < y->member) - (x->member > y->member); /* of equal points the last made counts, as in a Java map */
}

static bool ring(size_t me, const char *const *members, size_t n_members, const struct cmq_queue *queues, size_t n_queues, bool *mine)
{
    size_t n = n_members * POINTS;
    struct point *points = mem_alloc(n * sizeof *points);
    char text[700];
    if (points == NULL)
        return false;
    for (size_t i = 0; i < n; i++) {
        snprintf(text, sizeof text, "%s-%zu", members[i / POINTS], i % POINTS);
        points[i] = (struct point){.at = hash(text), .member = i / POINTS};
    }
    qsort(points, n, sizeof *points, by_place);
    for (size_t i = 0; i < n_queues; i++) {
        snprintf(text, sizeof text, "MessageQueue [topic=%s, brokerName=%s, queueId=%d]", queues[i].topic, queues[i].broker_name, (int)queues[i].queue_id);
        uint32_t at = hash(text);
        size_t low = 0, high = n; /* the first point at or behind it */
        while (low < high) {
            size_t mid = (low + high) / 2;
            if (points[mid].at < at)
                low = mid + 1;
            else
                high = mid;
        }
        mine[i] = points[low == n ? 0 : low].member == me;
    }
    mem_free(points);
    return true;
}

bool allocate_queues(enum allocate_by how, const char *me, const char *const *members, size_t n_members, const struct cmq_queue *queues, size_t n_queues,
                     bool *mine)
{
    size_t at = 0;
    memset(mine, 0, n_queues * sizeof *mine);
    while (at < n_members && strcmp(members[at], me) != 0)
        at++;
    if (at == n_members)
        return false;
    switch (how) {
    case ALLOCATE_AVG: average(at, n_members, n_queues, mine); return true;
    case ALLOCATE_BY_CIRCLE: circle(at, n_members, n_queues, mine); return true;
    case ALLOCATE_CONSISTENT_HASH: return ring(at, members, n_members, queues, n_queues, mine);
    }
    return false;
}
