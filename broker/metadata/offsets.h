/* offsets.h - how far each group has consumed: consumerOffset.json. commit_off counts messages of a queue; -1 = none.
 * Thread: core. */
#ifndef BROKER_METADATA_OFFSETS_H
#define BROKER_METADATA_OFFSETS_H
#include "broker/metadata/config_file.h"

enum { OFFSETS_KEY_MAX = 512 }; /* bytes of "topic@group"; longer ones are not kept */

struct offsets;
/* file: taken, also on failure. Fails as topics_open(). */
enum mq_err offsets_open(struct config_file *file, struct offsets **out, struct fault *why);
void offsets_close(struct offsets *o); /* saves; NULL allowed */
/* A negative offset is none: the queue is forgotten. Going back is allowed (4.9). Ignored: a negative queue, a key too long, no memory. */
void offsets_commit(struct offsets *o, struct slice group, struct slice topic, int32_t queue_id, int64_t commit_off);
int64_t offsets_query(const struct offsets *o, struct slice group, struct slice topic, int32_t queue_id); /* -1 when none */
bool offsets_has(const struct offsets *o, struct slice group, struct slice topic);
void offsets_save_if_dirty(struct offsets *o); /* by the broker's timer: flushConsumerOffsetInterval */
void offsets_remove_group(struct offsets *o, struct slice group);
void offsets_remove_topic(struct offsets *o, struct slice topic);
void offsets_clone(struct offsets *o, struct slice from_group, struct slice to_group, struct slice topic); /* replaces to_group's */
typedef void offsets_fn(void *arg, struct slice topic, struct slice group, int32_t queue_id, int64_t commit_off);
void offsets_each(const struct offsets *o, offsets_fn *fn, void *arg);
/* fn must not change the table. */
void offsets_groups_of(const struct offsets *o, struct slice topic, void (*fn)(void *arg, struct slice group), void *arg);
void offsets_topics_of(const struct offsets *o, struct slice group, void (*fn)(void *arg, struct slice topic), void *arg);
void offsets_encode(const struct offsets *o, bool pretty, struct buf *out); /* {"offsetTable":{"topic@group":{0:123}}} */
#endif
