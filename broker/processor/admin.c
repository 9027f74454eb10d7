/* admin.c - see admin.h. */
#include "broker/processor/admin.h"

#include "broker/metadata/groups.h"
#include "common/base/hashmap.h"
#include "common/base/mem.h"
#include "common/protocol/codes.h"
#include "common/protocol/queue_json.h"

enum { ID_WORDS_MAX = 255 }; /* of an id that is none */

bool admin_master_only(const struct broker_context *c, struct reply *out)
{
    if (c->config->broker_role != ROLE_SLAVE)
        return true;
    reply_refuse(out, RES_SYSTEM_ERROR, "Can't modify topic or subscription group from slave broker, please execute it from master broker.");
    return false;
}

bool admin_topic_name(struct slice topic, struct reply *out)
{
    if (name_valid(topic, MESSAGE_TOPIC_MAX))
        return true;
    if (slice_trim(topic).n == 0)
        reply_refuse(out, RES_SYSTEM_ERROR, "The specified topic is blank.");
    else if (name_valid(topic, SIZE_MAX))
        reply_refuse(out, RES_SYSTEM_ERROR, "The specified topic is longer than topic max length %d.", MESSAGE_TOPIC_MAX);
    else
        reply_refuse(out, RES_SYSTEM_ERROR, "The specified topic contains illegal characters, allowing only ^[%%|a-zA-Z0-9_-]+$");
    return false;
}

bool admin_group_name(struct slice group, struct reply *out)
{
    if (name_valid(group, GROUP_NAME_MAX))
        return true;
    reply_refuse(out, RES_SYSTEM_ERROR, "The specified group is blank, longer than %d, or contains illegal characters, allowing only ^[%%|a-zA-Z0-9_-]+$",
                 GROUP_NAME_MAX);
    return false;
}

enum handled admin_bad_field(const struct fields *f, struct reply *out) { return reply_refuse(out, RES_SYSTEM_ERROR, "%s", f->bad); }

bool admin_record(const struct broker_context *c, struct slice id, struct buf *record, struct reply *out)
{
    struct host store;
    int64_t phys_off;
    struct cold_range cold;
    if (message_id_decode(id, &store, &phys_off) && message_store_at(c->store, phys_off, true, record, &cold) == MQ_OK)
        return true;
    reply_refuse(out, RES_SYSTEM_ERROR, "can not find message by the id, %.*s", SLICE_ARG(slice_head(id, ID_WORDS_MAX)));
    return false;
}

void admin_queue(struct jw *w, const struct broker_context *c, struct slice topic, int32_t queue_id)
{
    queue_json(w, slice_str(c->config->broker_name), topic, queue_id);
}

void admin_queue_key(struct jw *w, const struct broker_context *c, struct slice topic, int32_t queue_id)
{
    queue_json_key(w, slice_str(c->config->broker_name), topic, queue_id);
}

const char *admin_language(uint8_t language)
{
#define LANGUAGE_NAME(name, code) [code] = #name,
    static const char *const names[] = {LANGUAGES(LANGUAGE_NAME)};
#undef LANGUAGE_NAME
    return language < sizeof names / sizeof *names && names[language] ? names[language] : "OTHER";
}

void name_set_add(void *set, struct slice name)
{
    struct name_set *s = set;
    if (hashmap_get(&s->map, name))
        return;
    struct hash_node *n = arena_alloc(s->arena, sizeof *n);
    void *copy = arena_dup(s->arena, name.p, name.n);
    if (n == NULL || copy == NULL || !hashmap_add(&s->map, n, slice_make(copy, name.n)))
        s->failed = true;
}

void name_set_fini(struct name_set *s) { hashmap_fini(&s->map); }
