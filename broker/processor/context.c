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

enum handled context_refuse_put(struct broker_context *c, enum put_status status, struct reply *out)
{
    switch (status) {
    case PUT_TOO_LARGE:
        return reply_refuse(out, RES_MESSAGE_ILLEGAL,
                            "the message is illegal, maybe msg body or properties length not matched. msg body length limit %dB, msg properties length "
                            "limit 32KB.", c->config->max_message_size);
    case PUT_NO_ROOM:
    case PUT_FAILED:
        return reply_refuse(out, RES_SERVICE_NOT_AVAILABLE, "service not available now. %s", message_store_refusal(c->store));
    case PUT_BUSY:
    case PUT_OK:
        break;
    }
    return HANDLED_WAIT;
}

int32_t context_pick_queue(struct broker_context *c, const struct topic_config *t, int32_t asked)
{
    if (asked >= topic_queues(t) || (asked < 0 && t->write_queues <= 0))
        return -1;
    return asked >= 0 ? asked : (int32_t)(context_random(c) % (uint32_t)t->write_queues);
}

void routes_add(struct route_sink *sink, int32_t code, request_fn *fn, struct broker_context *ctx)
{
    assert(sink->n < sink->cap);
    sink->rows[sink->n++] = (struct request_route){.code = code, .fn = fn, .ctx = ctx};
}
