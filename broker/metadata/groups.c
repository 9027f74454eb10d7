/* groups.c - the table of subscription groups and its file.
 *
 *   I1  a pointer to a group stays good until it is removed: changes are made in place.  (test: unit/metadata/groups)
 *   I2  what a 4.9.8 broker wrote is read back as it was; fields of 5.x are ignored.      (test: the same) */
#include "broker/metadata/groups.h"

#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/protocol/message.h"

struct groups {
    struct hashmap map; /* of struct group_config */
    struct data_version version;
    struct config_file *file;
    struct buf entry; /* of the change that is being noted */
    bool auto_create;
};

static const char *const system_groups[] = {"TOOLS_CONSUMER", "FILTERSRV_CONSUMER", "SELF_TEST_C_GROUP", "CID_ONS-HTTP-PROXY",
                                            "CID_ONSAPI_PULL", "CID_ONSAPI_PERMISSION", "CID_ONSAPI_OWNER"};
static const struct group_config defaults = {.consume_enable = true, .consume_from_min_enable = true, .consume_broadcast_enable = true,
                                             .notify_ids_changed_enable = true, .retry_queues = 1, .retry_max_times = 16, .which_broker_when_slow = 1};

static struct group_config *config_of(struct hash_node *n) { return n ? CONTAINER_OF(n, struct group_config, node) : NULL; }

static struct group_config *set(struct hashmap *map, struct slice name, const struct group_config *v)
{
    struct group_config *c = config_of(hashmap_get(map, name));
    if (c == NULL) {
        c = mem_zalloc(sizeof *c + name.n + 1);
        if (c == NULL)
            return NULL;
        if (name.n)
            memcpy(c->name, name.p, name.n);
        if (!hashmap_add(map, &c->node, slice_make(c->name, name.n))) {
            mem_free(c);
            return NULL;
        }
    }
    c->consume_enable = v->consume_enable;
    c->consume_from_min_enable = v->consume_from_min_enable;
    c->consume_broadcast_enable = v->consume_broadcast_enable;
    c->notify_ids_changed_enable = v->notify_ids_changed_enable;
    c->retry_queues = v->retry_queues;
    c->retry_max_times = v->retry_max_times;
    c->broker_id = v->broker_id;
    c->which_broker_when_slow = v->which_broker_when_slow;
    return c;
}

static void drop(struct hashmap *map, struct group_config *c) /* NULL allowed */
{
    if (c)
        hashmap_remove(map, &c->node);
    mem_free(c);
}

static void clear(struct hashmap *map)
{
    struct hash_node *next;
    for (struct hash_node *n = hashmap_first(map); n; n = next) {
        next = hashmap_next(map, n);
        mem_free(config_of(n));
    }
    hashmap_fini(map);
    *map = (struct hashmap){0};
}

/* ---- JSON ---- */
bool groups_from_json(const json_t *o, struct slice *name, struct group_config *out, char why[160])
{
    int64_t queues = json_i64(o, "retryQueueNums", defaults.retry_queues), times = json_i64(o, "retryMaxTimes", defaults.retry_max_times);
    if (!json_is_object(o)) {
        snprintf(why, 160, "a subscription group config is expected");
        return false;
    }
    if (queues < INT32_MIN || queues > INT32_MAX || times < INT32_MIN || times > INT32_MAX) {
        snprintf(why, 160, "field %s is out of range", queues < INT32_MIN || queues > INT32_MAX ? "retryQueueNums" : "retryMaxTimes");
        return false;
    }
    *name = json_str(o, "groupName");
    *out = (struct group_config){
        .consume_enable = json_flag(o, "consumeEnable", true), .consume_from_min_enable = json_flag(o, "consumeFromMinEnable", true),
        .consume_broadcast_enable = json_flag(o, "consumeBroadcastEnable", true),
        .notify_ids_changed_enable = json_flag(o, "notifyConsumerIdsChangedEnable", true), .retry_queues = (int32_t)queues,
        .retry_max_times = (int32_t)times, .broker_id = json_i64(o, "brokerId", 0),
        .which_broker_when_slow = json_i64(o, "whichBrokerWhenConsumeSlowly", 1)};
    return true;
}

static enum mq_err table_from_json(const json_t *table, struct hashmap *map, struct fault *why)
{
    const char *key;
    json_t *o;
    json_object_foreach((json_t *)(uintptr_t)table, key, o) {
        struct group_config values;
        struct slice inner, name = slice_str(key);
        char words[160];
        if (name.n == 0 || name.n > GROUP_NAME_MAX)
            return fault_set(why, MQ_EMALFORMED, 0, "subscriptionGroupTable: a name of %zu bytes", name.n);
        if (!groups_from_json(o, &inner, &values, words))
            return fault_set(why, MQ_EMALFORMED, 0, "subscriptionGroupTable: group %.64s: %.80s", key, words);
        if (set(map, name, &values) == NULL)
            return fault_set(why, MQ_ENOMEM, 0, "subscription groups");
    }
    return MQ_OK;
}

static enum mq_err take(void *ctx, struct slice text, struct fault *why)
{
    struct groups *g = ctx;
    json_t *root = json_parse(text, why);
    if (root == NULL)
        return why && why->err != MQ_OK ? why->err : MQ_EMALFORMED;
    const json_t *table = json_object_get(root, "subscriptionGroupTable");
    struct hashmap map = {0};
    enum mq_err err = json_is_object(table) ? table_from_json(table, &map, why) : fault_set(why, MQ_EMALFORMED, 0, "subscriptionGroupTable is missing");
    if (err == MQ_OK) {
        clear(&g->map);
        g->map = map;
        g->version = data_version_read(json_object_get(root, "dataVersion"));
    } else {
        clear(&map);
    }
    json_decref(root);
    return err;
}

static enum mq_err apply(void *ctx, const json_t *put, struct slice removed, struct fault *why) /* of the file of changes */
{
    struct groups *g = ctx;
    struct group_config values;
    struct slice name = removed;
    char words[160];
    if (put && !groups_from_json(put, &name, &values, words))
        return fault_set(why, MQ_EMALFORMED, 0, "group: %.80s", words);
    if (put && (name.n == 0 || name.n > GROUP_NAME_MAX))
        return fault_set(why, MQ_EMALFORMED, 0, "group: a name of %zu bytes", name.n);
    if (put)
        return set(&g->map, name, &values) ? MQ_OK : fault_set(why, MQ_ENOMEM, 0, "subscription groups");
    drop(&g->map, config_of(hashmap_get(&g->map, name)));
    return MQ_OK;
}

void group_config_write(struct jw *w, const struct group_config *c)
{
    jw_object(w);
    jw_kv_i64(w, "brokerId", c->broker_id);
    jw_kv_bool(w, "consumeBroadcastEnable", c->consume_broadcast_enable);
    jw_kv_bool(w, "consumeEnable", c->consume_enable);
    jw_kv_bool(w, "consumeFromMinEnable", c->consume_from_min_enable);
    jw_kv_str(w, "groupName", c->node.key);
    jw_kv_bool(w, "notifyConsumerIdsChangedEnable", c->notify_ids_changed_enable);
    jw_kv_i64(w, "retryMaxTimes", c->retry_max_times);
    jw_kv_i64(w, "retryQueueNums", c->retry_queues);
    jw_kv_i64(w, "whichBrokerWhenConsumeSlowly", c->which_broker_when_slow);
    jw_end_object(w);
}

void groups_encode(const struct groups *g, bool pretty, struct buf *out)
{
    struct jw w = jw_over(out, pretty);
    jw_object(&w);
    jw_key(&w, "dataVersion");
    data_version_write(&w, &g->version);
    jw_key(&w, "subscriptionGroupTable");
    jw_object(&w);
    for (const struct group_config *c = groups_next(g, NULL); c; c = groups_next(g, c)) {
        jw_key_slice(&w, c->node.key);
        group_config_write(&w, c);
    }
    jw_end_object(&w);
    jw_end_object(&w);
}

static void text(void *ctx, struct buf *out) { groups_encode(ctx, true, out); }

/* ---- life ---- */
static void free_all(struct groups *g)
{
    clear(&g->map);
    buf_free(&g->entry);
    mem_free(g);
}

enum mq_err groups_open(struct config_file *file, bool auto_create, int64_t now_ms, struct groups **out, struct fault *why)
{
    struct groups *g = mem_zalloc(sizeof *g);
    struct config_found found;
    if (g == NULL) {
        config_file_close(file);
        return fault_set(why, MQ_ENOMEM, 0, "subscription groups");
    }
    g->auto_create = auto_create;
    enum mq_err err = config_file_load_changed(file, take, apply, g, &g->version, now_ms, &found, why);
    for (size_t i = 0; err == MQ_OK && i < sizeof system_groups / sizeof *system_groups; i++)
        if (groups_find(g, slice_str(system_groups[i])) == NULL && set(&g->map, slice_str(system_groups[i]), &defaults) == NULL)
            err = fault_set(why, MQ_ENOMEM, 0, "subscription groups");
    if (err != MQ_OK) {
        free_all(g);
        config_file_close(file);
        return err;
    }
    g->file = file;
    config_file_source(file, text, g);
    if (found.changes)
        config_file_changed(file);
    *out = g;
    return MQ_OK;
}

void groups_close(struct groups *g)
{
    if (g == NULL)
        return;
    config_file_close(g->file);
    free_all(g);
}

/* ---- changes ---- */
/* Before anything is said of it: the change, put or removed, in the file of changes. */
static enum mq_err note(struct groups *g, const struct group_config *c, bool put, struct data_version next, struct fault *why)
{
    buf_clear(&g->entry);
    struct jw w = jw_over(&g->entry, false);
    if (put)
        group_config_write(&w, c);
    if (g->entry.failed)
        return fault_set(why, MQ_ENOMEM, 0, "subscription groups");
    return change_log_append(groups_changes(g), &next, buf_view(&g->entry), c->node.key, why);
}

struct group_config *groups_find(const struct groups *g, struct slice name) { return config_of(hashmap_get(&g->map, name)); }

/* must_keep false: what the disk refuses is in memory all the same. */
static struct group_config *make(struct groups *g, const struct group_config *values, struct slice name, int64_t now_ms, bool must_keep, struct fault *why)
{
    struct group_config *old = groups_find(g, name), before = {0};
    struct data_version next = g->version;
    if (old)
        before = *old;
    struct group_config *c = set(&g->map, name, values);
    if (c == NULL) {
        fault_set(why, MQ_ENOMEM, 0, "subscription groups");
        return NULL;
    }
    data_version_next(&next, now_ms);
    if (note(g, c, true, next, why) != MQ_OK && must_keep) {
        if (old)
            set(&g->map, name, &before);
        else
            drop(&g->map, c);
        return NULL;
    }
    log_info("groups", "subscription group %s group=%s consume=%d broadcast=%d retry_queues=%d retry_times=%d", old ? "changed" : "created", c->name,
             c->consume_enable, c->consume_broadcast_enable, c->retry_queues, c->retry_max_times);
    g->version = next;
    config_file_changed(g->file);
    return c;
}

struct group_config *groups_put(struct groups *g, const struct group_config *values, struct slice name, int64_t now_ms, struct fault *why)
{
    return make(g, values, name, now_ms, true, why);
}

struct group_config *groups_find_or_create(struct groups *g, struct slice name, int64_t now_ms)
{
    struct group_config *c = groups_find(g, name);
    if (c)
        return c;
    if (!g->auto_create && !slice_starts(name, "CID_RMQ_SYS_"))
        return NULL;
    return name_valid(name, GROUP_NAME_MAX) ? make(g, &defaults, name, now_ms, false, NULL) : NULL;
}

enum mq_err groups_remove(struct groups *g, struct slice name, int64_t now_ms, struct fault *why)
{
    struct group_config *c = groups_find(g, name);
    struct data_version next = g->version;
    if (c == NULL)
        return fault_set(why, MQ_ENOTFOUND, 0, "group %.*s", SLICE_ARG(slice_head(name, 127)));
    data_version_next(&next, now_ms);
    enum mq_err err = note(g, c, false, next, why);
    if (err != MQ_OK)
        return err;
    hashmap_remove(&g->map, &c->node);
    log_info("groups", "subscription group removed group=%s", c->name);
    mem_free(c);
    g->version = next;
    config_file_changed(g->file);
    return MQ_OK;
}

size_t groups_count(const struct groups *g) { return g->map.n; }

struct group_config *groups_next(const struct groups *g, const struct group_config *after)
{
    return config_of(after ? hashmap_next(&g->map, &after->node) : hashmap_first(&g->map));
}

const struct data_version *groups_version(const struct groups *g) { return &g->version; }

struct change_log *groups_changes(struct groups *g) { return config_file_changes(g->file); }

void groups_retry_save(struct groups *g) { config_file_retry(g->file); }
