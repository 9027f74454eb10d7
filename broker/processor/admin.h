/* admin.h - what the processors of administration share: refusals and JSON pieces in Apache's shape. Thread: core. */
#ifndef BROKER_PROCESSOR_ADMIN_H
#define BROKER_PROCESSOR_ADMIN_H
#include "broker/processor/context.h"
#include "broker/session/session.h"
#include "common/protocol/json.h"

/* A request that only masters take, at a slave: the answer is in out, false. */
bool admin_master_only(const struct broker_context *c, struct reply *out);
/* A topic's name as users may give it; else the answer is in out, false. A group's: the same, GROUP_NAME_MAX bytes. */
bool admin_topic_name(struct slice topic, struct reply *out);
bool admin_group_name(struct slice group, struct reply *out);
enum handled admin_bad_field(const struct fields *f, struct reply *out); /* SYSTEM_ERROR with f->bad */

/* The record of a message id, appended to *record; read on this thread, as operators' requests are rare. Else the answer is in out, false. */
bool admin_record(const struct broker_context *c, struct slice id, struct buf *record, struct reply *out);

/* A queue of this broker, as a value and as a key: common/protocol/queue_json.h. */
void admin_queue(struct jw *w, const struct broker_context *c, struct slice topic, int32_t queue_id);
void admin_queue_key(struct jw *w, const struct broker_context *c, struct slice topic, int32_t queue_id);
const char *admin_language(uint8_t language); /* LanguageCode's name */

/* A set of names, each once. Memory: the request's arena; `failed` when it gave none. */
struct name_set {
    struct arena *arena;
    struct hashmap map;
    bool failed;
};
void name_set_add(void *set, struct slice name); /* void *: fits callbacks */
void name_set_fini(struct name_set *s);
#endif
