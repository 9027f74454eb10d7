/* retry.h - what a send to a retry topic (10, 310) and a message given back (36) have in common: whose it is, how often it may come, and where
 * it goes then. Thread: core. */
#ifndef BROKER_PROCESSOR_RETRY_H
#define BROKER_PROCESSOR_RETRY_H
#include "broker/metadata/groups.h"
#include "broker/metadata/topics.h"
#include "broker/processor/context.h"

/* NULL: there is none and none may be made; out refuses. */
const struct group_config *retry_group(struct broker_context *c, struct slice group, int64_t now_ms, struct reply *out);
/* How often the group gets a message again: its own limit, or what the client asked for (< 0: nothing), if it is new enough to know. */
int32_t retry_limit(const struct group_config *g, int32_t client_version, int32_t asked);
/* %RETRY%group, made when absent. NULL: out refuses. */
const struct topic_config *retry_topic(struct broker_context *c, const struct group_config *g, bool unit_mode, int64_t now_ms, struct reply *out);
/* %DLQ%group with its one queue, the same way. */
const struct topic_config *retry_dead_topic(struct broker_context *c, struct slice group, int64_t now_ms, struct reply *out);
#endif
