/* context.c - what all processors need: the words of a refusal for want of memory or disk, and
 * the rows that they add up to one table. How many there are is known when the broker starts, for the first time
 * on a developer's desk: too many is our own bug. */
#include "broker/processor/context.h"
#include <assert.h>
#include "broker/metadata/groups.h"
#include "common/protocol/codes.h"

bool context_short_of_memory(struct broker_context *c, enum budget_level level, const char *what, struct reply *out)
{
    char words[BUDGET_WORDS];
    if (budget_level(c->budget) < level)
        return false;
    reply_refuse(out, RES_SYSTEM_BUSY, "%s refused, %s", what, budget_words(c->budget, words));
    budget_say(c->budget, "broker", what);
    return true;
}

bool context_no_room_for_group(struct broker_context *c, struct slice group, struct reply *out)
{
    return groups_find(c->groups, group) == NULL && context_short_of_memory(c, BUDGET_NO_GROWTH, "a new group is", out);
}

enum handled context_not_changed(const struct fault *why, struct reply *out)
{
    char words[300];
    return reply_refuse(out, RES_SYSTEM_ERROR, "nothing was changed: %s", fault_text(why, words, sizeof words));
}

void routes_add(struct route_sink *sink, int32_t code, request_fn *fn, struct broker_context *ctx)
{
    assert(sink->n < sink->cap);
    sink->rows[sink->n++] = (struct request_route){.code = code, .fn = fn, .ctx = ctx};
}
