/* topics.h - the topics of this broker: topics.json. Thread: core. */
#ifndef BROKER_METADATA_TOPICS_H
#define BROKER_METADATA_TOPICS_H
#include "broker/metadata/config_file.h"
#include "broker/metadata/data_version.h"
#include "common/base/hashmap.h"

struct topic_config {
    struct hash_node node; /* key = name */
    int32_t read_queues, write_queues, perm, sys_flag;
    bool order, multi_tags;
    char name[]; /* NUL-terminated */
};
enum { TOPIC_UNIT = 1, TOPIC_UNIT_SUB = 2 }; /* sys_flag: of a unit; of its subscribers */
static inline int32_t topic_queues(const struct topic_config *t) { return t->write_queues > t->read_queues ? t->write_queues : t->read_queues; }
struct topics;
struct topics_listener { /* a topic was made, changed or removed (NULL: many; a removed one is no longer found) */
    void *ctx;
    void (*changed)(void *ctx, const struct topic_config *t);
};
struct topics_setup { /* what system topics depend on; strings borrowed for the call */
    const char *cluster_name, *broker_name, *trace_topic;
    bool auto_create, cluster_topic, broker_topic, trace_topic_enable;
    int32_t default_queues;
};
/* Loads the file and makes the system topics of inventory g.13, which follow the setup, not the file. The listener (NULL: none) is
 * not told of these. file: taken, also on failure. MQ_ENOMEM; MQ_EMALFORMED and others: neither the file nor its backup can be used. */
enum mq_err topics_open(struct config_file *file, const struct topics_setup *setup, const struct topics_listener *listener, int64_t now_ms,
                        struct topics **out, struct fault *why);
void topics_close(struct topics *t); /* saves when dirty; NULL allowed */
struct topic_config *topics_find(const struct topics *t, struct slice name); /* NULL when absent; valid until removed */
/* Makes or replaces; saves (it is in topics_changes() when this returns, in the file soon); bumps the version; tells the listener.
 * NULL: nothing has changed, *why says why: out of memory, or the disk refused it. */
struct topic_config *topics_put(struct topics *t, struct slice name, int32_t read_queues, int32_t write_queues, int32_t perm, int32_t sys_flag, bool order,
                                int64_t now_ms, struct fault *why);
/* The same with all fields of *values but node and name. */
struct topic_config *topics_put_all(struct topics *t, struct slice name, const struct topic_config *values, int64_t now_ms, struct fault *why);
/* On a send to an unknown topic: inventory g.3. NULL: MQ_EREFUSED when default_topic does not allow it, else as topics_put(). wanted_queues <= 0: the
 * sender named no number, Apache's clients' 4 counts. */
struct topic_config *topics_auto_create(struct topics *t, struct slice name, struct slice default_topic, int32_t wanted_queues, bool unit_mode,
                                        int64_t now_ms, struct fault *why);
enum mq_err topics_remove(struct topics *t, struct slice name, int64_t now_ms, struct fault *why); /* MQ_ENOTFOUND: absent; as topics_put() */
bool topics_is_system(const struct topics *t, struct slice name);      /* may not be created or deleted by hand */
bool topics_is_reserved(struct slice name);                            /* may not be sent to by clients (g.3) */
void topics_each_system(const struct topics *t, void (*fn)(void *arg, struct slice name), void *arg);
size_t topics_count(const struct topics *t);
struct topic_config *topics_next(const struct topics *t, const struct topic_config *after); /* NULL: the first; in no order */
const struct data_version *topics_version(const struct topics *t);
struct change_log *topics_changes(struct topics *t);                   /* change_log.h; NULL: it keeps none */
void topics_touch(struct topics *t, int64_t now_ms);                   /* version only: permission of the broker changed */
void topics_retry_save(struct topics *t);                              /* after a failed write; by a timer */
void topics_encode(const struct topics *t, bool pretty, struct buf *out); /* {"dataVersion":{},"topicConfigTable":{}} */
void topic_config_write(struct jw *w, const struct topic_config *c);      /* Apache's TopicConfig */
#endif
