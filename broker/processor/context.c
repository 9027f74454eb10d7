/* context.c - the rows that the processors add up to one table. How many there are is known when the broker starts, for the first time
 * on a developer's desk: too many is our own bug. */
#include "broker/processor/context.h"
#include <assert.h>

void routes_add(struct route_sink *sink, int32_t code, request_fn *fn, struct broker_context *ctx)
{
    assert(sink->n < sink->cap);
    sink->rows[sink->n++] = (struct request_route){.code = code, .fn = fn, .ctx = ctx};
}
