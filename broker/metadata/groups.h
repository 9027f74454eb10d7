/* groups.h - subscription groups: subscriptionGroup.json. Thread: core. */
#ifndef BROKER_METADATA_GROUPS_H
#define BROKER_METADATA_GROUPS_H
#include "broker/metadata/config_file.h"
#include "broker/metadata/data_version.h"
#include "common/base/hashmap.h"

enum { GROUP_NAME_MAX = 255 }; /* bytes */

struct group_config {
    struct hash_node node; /* key = name */
    bool consume_enable, consume_from_min_enable, consume_broadcast_enable, notify_ids_changed_enable;
    int32_t retry_queues, retry_max_times;
    int64_t broker_id, which_broker_when_slow;
    char name[];
};
struct groups;
/* Loads the file and makes the system groups of inventory g.13. auto_create: groups come into being when they are first used.
 * file: taken, also on failure. Fails as topics_open(). */
enum mq_err groups_open(struct config_file *file, bool auto_create, int64_t now_ms, struct groups **out, struct fault *why);
void groups_close(struct groups *g); /* saves when dirty; NULL allowed */
struct group_config *groups_find(const struct groups *g, struct slice name); /* NULL when absent; valid until removed */
/* NULL: absent and auto_create is off (or name invalid). A disk that takes no more does not keep anybody from consuming. */
struct group_config *groups_find_or_create(struct groups *g, struct slice name, int64_t now_ms);
/* Makes or replaces, all but node and name; saves (it is in groups_changes() when this returns, in the file soon).
 * NULL: nothing has changed, *why says why: out of memory, or the disk refused it. */
struct group_config *groups_put(struct groups *g, const struct group_config *values, struct slice name, int64_t now_ms, struct fault *why);
enum mq_err groups_remove(struct groups *g, struct slice name, int64_t now_ms, struct fault *why); /* MQ_ENOTFOUND: absent; as groups_put() */
/* *name points into o. Absent fields get Apache's defaults; false and why: no name, or a value out of range. */
bool groups_from_json(const json_t *o, struct slice *name, struct group_config *out, char why[160]);
struct group_config *groups_next(const struct groups *g, const struct group_config *after); /* NULL: the first; in no order */
size_t groups_count(const struct groups *g);
const struct data_version *groups_version(const struct groups *g);
struct change_log *groups_changes(struct groups *g); /* change_log.h; NULL: it keeps none */
void groups_retry_save(struct groups *g); /* after a failed write; by a timer */
void groups_encode(const struct groups *g, bool pretty, struct buf *out);
void group_config_write(struct jw *w, const struct group_config *c); /* Apache's SubscriptionGroupConfig */
#endif
