/* retry.c - see retry.h; map 9, inventory g.4. */
#include "broker/processor/retry.h"

#include <stdio.h>

#include "common/protocol/codes.h"

enum { DEAD_QUEUES = 1 };

const struct group_config *retry_group(struct broker_context *c, struct slice group, int64_t now_ms, struct reply *out)
{
    if (context_no_room_for_group(c, group, out))
        return NULL;
    const struct group_config *g = groups_find_or_create(c->groups, group, now_ms);
    if (g == NULL)
        reply_refuse(out, RES_SUBSCRIPTION_GROUP_NOT_EXIST, "subscription group not exist, %.*s", SLICE_ARG(slice_head(group, GROUP_NAME_MAX)));
    return g;
}

int32_t retry_limit(const struct group_config *g, int32_t client_version, int32_t asked)
{
    return asked >= 0 && client_version >= MQ_VERSION_3_4_9 ? asked : g->retry_max_times;
}

static const struct topic_config *have(struct broker_context *c, const char *prefix, struct slice group, int32_t queues, int32_t sys_flag, int64_t now_ms,
                                       struct reply *out)
{
    char name[MESSAGE_TOPIC_MAX + 1];
    int n = snprintf(name, sizeof name, "%s%.*s", prefix, SLICE_ARG(group));
    struct fault why = {0};
    bool fits = n < (int)sizeof name;
    const struct topic_config *t = fits ? topics_find(c->topics, slice_str(name)) : NULL;
    if (t == NULL && context_short_of_memory(c, BUDGET_NO_GROWTH, "a new topic is", out))
        return NULL;
    if (t == NULL && fits)
        t = topics_put(c->topics, slice_str(name), queues, queues, PERM_READ | PERM_WRITE, sys_flag, false, now_ms, &why);
    if (t == NULL && why.err != MQ_OK)
        context_not_changed(&why, out);
    else if (t == NULL)
        reply_refuse(out, RES_SYSTEM_ERROR, "topic[%s%.*s] not exist", prefix, SLICE_ARG(slice_head(group, GROUP_NAME_MAX)));
    return t;
}

const struct topic_config *retry_topic(struct broker_context *c, const struct group_config *g, bool unit_mode, int64_t now_ms, struct reply *out)
{
    return have(c, RETRY_PREFIX, g->node.key, g->retry_queues, unit_mode ? TOPIC_UNIT_SUB : 0, now_ms, out);
}

const struct topic_config *retry_dead_topic(struct broker_context *c, struct slice group, int64_t now_ms, struct reply *out)
{
    return have(c, DLQ_PREFIX, group, DEAD_QUEUES, 0, now_ms, out);
}
