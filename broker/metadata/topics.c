/* topics.c - the table of topics and its file.
 *
 *   I1  the version grows with every change, and is written and read with the table: a name server that knows the version knows
 *       the table.                                                                     (test: unit/metadata/topics)
 *   I2  a pointer to a topic stays good until it is removed: changes are made in place. (test: the same)
 *   I3  a change is in the file of changes before it is in memory: what could not be kept was never there.     (test: the same)
 * System topics are made from the settings at every start and win over the file: a changed defaultTopicQueueNums or
 * autoCreateTopicEnable would otherwise have no effect after the first start.
 * Entries are written by hand instead of by jw_kv_*: with 10,000 topics the text is made while messages wait. */
#include "broker/metadata/topics.h"

#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/protocol/codes.h"

enum { NAME_MAX_BYTES = 255, CLIENTS_DEFAULT_QUEUES = 4, DEFAULT_QUEUES = 16, SCHEDULE_QUEUES = 18, OWN_NAMES = 4 };

/* Apache's set; besides these, the cluster's and the broker's name, the reply topic, and the trace topic when it is on. */
static const char *const system_names[] = {"TBW102", "SCHEDULE_TOPIC_XXXX", "BenchmarkTest", "RMQ_SYS_TRANS_HALF_TOPIC", "RMQ_SYS_TRACE_TOPIC",
                                           "RMQ_SYS_TRANS_OP_HALF_TOPIC", "TRANS_CHECK_MAX_TIME_TOPIC", "SELF_TEST_TOPIC", "OFFSET_MOVED_EVENT"};
#define NAME(text) {(const uint8_t *)text, sizeof text - 1}
static const struct slice reserved_names[] = {NAME("SCHEDULE_TOPIC_XXXX"), NAME("RMQ_SYS_TRANS_HALF_TOPIC"), NAME("RMQ_SYS_TRANS_OP_HALF_TOPIC"),
                                              NAME("TRANS_CHECK_MAX_TIME_TOPIC"), NAME("SELF_TEST_TOPIC"), NAME("OFFSET_MOVED_EVENT")};
enum { SYSTEM_NAMES = sizeof system_names / sizeof *system_names, RESERVED_NAMES = sizeof reserved_names / sizeof *reserved_names };

struct topics {
    struct hashmap map; /* of struct topic_config */
    struct data_version version;
    struct config_file *file;
    struct buf entry; /* of the change that is being noted */
    struct topics_listener listener;
    char *own_names[OWN_NAMES]; /* system topics that are named by the settings; NULL: none */
    bool auto_create;
};

static struct topic_config *config_of(struct hash_node *n) { return n ? CONTAINER_OF(n, struct topic_config, node) : NULL; }

/* ---- the table, without file, version and listener ---- */
static struct topic_config *set(struct hashmap *map, struct slice name, const struct topic_config *values)
{
    struct topic_config *c = config_of(hashmap_get(map, name));
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
    c->read_queues = values->read_queues;
    c->write_queues = values->write_queues;
    c->perm = values->perm;
    c->sys_flag = values->sys_flag;
    c->order = values->order;
    c->multi_tags = values->multi_tags;
    return c;
}

static void drop(struct hashmap *map, struct topic_config *c) /* NULL allowed */
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
static bool from_json(const json_t *o, struct topic_config *out)
{
    struct slice filter = json_str(o, "topicFilterType");
    int64_t read = json_i64(o, "readQueueNums", DEFAULT_QUEUES), write = json_i64(o, "writeQueueNums", DEFAULT_QUEUES);
    int64_t perm = json_i64(o, "perm", PERM_READ | PERM_WRITE), flag = json_i64(o, "topicSysFlag", 0);
    if (read < 0 || read > INT32_MAX || write < 0 || write > INT32_MAX || perm < 0 || perm > 15 || flag < INT32_MIN || flag > INT32_MAX)
        return false;
    *out = (struct topic_config){.read_queues = (int32_t)read, .write_queues = (int32_t)write, .perm = (int32_t)perm, .sys_flag = (int32_t)flag,
                                 .order = json_flag(o, "order", false), .multi_tags = slice_is(filter, "MULTI_TAG")};
    return true;
}

static enum mq_err table_from_json(const json_t *table, struct hashmap *map, struct fault *why)
{
    const char *name;
    json_t *o;
    json_object_foreach((json_t *)(uintptr_t)table, name, o) {
        struct topic_config values;
        struct slice key = slice_str(name);
        if (!json_is_object(o) || key.n == 0 || key.n > NAME_MAX_BYTES || !from_json(o, &values))
            return fault_set(why, MQ_EMALFORMED, 0, "topicConfigTable: topic %.64s is no topic config", name);
        if (set(map, key, &values) == NULL)
            return fault_set(why, MQ_ENOMEM, 0, "topics");
    }
    return MQ_OK;
}

static enum mq_err take(void *ctx, struct slice text, struct fault *why)
{
    struct topics *t = ctx;
    json_t *root = json_parse(text, why);
    if (root == NULL)
        return why && why->err != MQ_OK ? why->err : MQ_EMALFORMED;
    const json_t *table = json_object_get(root, "topicConfigTable");
    struct hashmap map = {0};
    enum mq_err err = json_is_object(table) ? table_from_json(table, &map, why) : fault_set(why, MQ_EMALFORMED, 0, "topicConfigTable is missing");
    if (err == MQ_OK) {
        clear(&t->map);
        t->map = map;
        t->version = data_version_read(json_object_get(root, "dataVersion"));
    } else {
        clear(&map);
    }
    json_decref(root);
    return err;
}

static enum mq_err apply(void *ctx, const json_t *put, struct slice removed, struct fault *why) /* of the file of changes */
{
    struct topics *t = ctx;
    struct slice name = put ? json_str(put, "topicName") : removed;
    struct topic_config values;
    if (put && (name.n == 0 || name.n > NAME_MAX_BYTES || !from_json(put, &values)))
        return fault_set(why, MQ_EMALFORMED, 0, "topic %.*s is no topic config", SLICE_ARG(slice_head(name, 64)));
    if (put)
        return set(&t->map, name, &values) ? MQ_OK : fault_set(why, MQ_ENOMEM, 0, "topics");
    drop(&t->map, config_of(hashmap_get(&t->map, name)));
    return MQ_OK;
}

static void put_bool(struct buf *out, bool v) { v ? buf_put(out, "true", 4) : buf_put(out, "false", 5); }
#define LIT(out, text) buf_put(out, text, sizeof(text) - 1)

static void write_compact(struct buf *out, const struct topic_config *c)
{
    LIT(out, "{\"order\":");
    put_bool(out, c->order);
    LIT(out, ",\"perm\":");
    buf_i64_text(out, c->perm);
    LIT(out, ",\"readQueueNums\":");
    buf_i64_text(out, c->read_queues);
    c->multi_tags ? LIT(out, ",\"topicFilterType\":\"MULTI_TAG\",\"topicName\":") : LIT(out, ",\"topicFilterType\":\"SINGLE_TAG\",\"topicName\":");
    json_quote(out, c->node.key);
    LIT(out, ",\"topicSysFlag\":");
    buf_i64_text(out, c->sys_flag);
    LIT(out, ",\"writeQueueNums\":");
    buf_i64_text(out, c->write_queues);
    LIT(out, "}");
}

static void write_pretty(struct buf *out, const struct topic_config *c)
{
    LIT(out, "{\n\t\t\t\"order\":");
    put_bool(out, c->order);
    LIT(out, ",\n\t\t\t\"perm\":");
    buf_i64_text(out, c->perm);
    LIT(out, ",\n\t\t\t\"readQueueNums\":");
    buf_i64_text(out, c->read_queues);
    c->multi_tags ? LIT(out, ",\n\t\t\t\"topicFilterType\":\"MULTI_TAG\",\n\t\t\t\"topicName\":")
                  : LIT(out, ",\n\t\t\t\"topicFilterType\":\"SINGLE_TAG\",\n\t\t\t\"topicName\":");
    json_quote(out, c->node.key);
    LIT(out, ",\n\t\t\t\"topicSysFlag\":");
    buf_i64_text(out, c->sys_flag);
    LIT(out, ",\n\t\t\t\"writeQueueNums\":");
    buf_i64_text(out, c->write_queues);
    LIT(out, "\n\t\t}");
}

void topic_config_write(struct jw *w, const struct topic_config *c)
{
    jw_raw(w, (struct slice){0}); /* the comma, if one is due */
    write_compact(w->out, c);
}

void topics_encode(const struct topics *t, bool pretty, struct buf *out)
{
    struct jw w = jw_over(out, pretty);
    jw_object(&w);
    jw_key(&w, "dataVersion");
    data_version_write(&w, &t->version);
    jw_key(&w, "topicConfigTable");
    jw_object(&w);
    for (const struct topic_config *c = topics_next(t, NULL); c; c = topics_next(t, c)) {
        jw_key_slice(&w, c->node.key);
        w.after_key = false;
        (pretty ? write_pretty : write_compact)(out, c);
    }
    jw_end_object(&w);
    jw_end_object(&w);
}

static void text(void *ctx, struct buf *out) { topics_encode(ctx, true, out); }

/* ---- system topics ---- */
static bool named_in(struct slice name, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (names[i] && slice_is(name, names[i]))
            return true;
    return false;
}

bool topics_is_system(const struct topics *t, struct slice name)
{
    return slice_starts(name, "rmq_sys_") || named_in(name, system_names, SYSTEM_NAMES) ||
           named_in(name, (const char *const *)t->own_names, OWN_NAMES);
}

bool topics_is_reserved(struct slice name)
{
    for (size_t i = 0; i < RESERVED_NAMES; i++)
        if (slice_eq(name, reserved_names[i]))
            return true;
    return false;
}

void topics_each_system(const struct topics *t, void (*fn)(void *arg, struct slice name), void *arg)
{
    for (size_t i = 0; i < SYSTEM_NAMES; i++)
        fn(arg, slice_str(system_names[i]));
    for (size_t i = 0; i < OWN_NAMES; i++)
        if (t->own_names[i] && !named_in(slice_str(t->own_names[i]), system_names, SYSTEM_NAMES))
            fn(arg, slice_str(t->own_names[i]));
}

/* Makes or corrects one; *changed when it was not so. */
static bool have(struct topics *t, const char *name, int32_t queues, int32_t perm, bool *changed)
{
    const struct topic_config *old = topics_find(t, slice_str(name));
    if (old && old->read_queues == queues && old->write_queues == queues && old->perm == perm)
        return true;
    const struct topic_config values = {.read_queues = queues, .write_queues = queues, .perm = perm, .sys_flag = old ? old->sys_flag : 0,
                                        .order = old && old->order, .multi_tags = old && old->multi_tags};
    *changed = true;
    return set(&t->map, slice_str(name), &values) != NULL;
}

static char *reply_topic(const char *cluster)
{
    size_t n = strlen(cluster);
    char *out = mem_alloc(n + sizeof "_REPLY_TOPIC");
    if (out) {
        memcpy(out, cluster, n);
        memcpy(out + n, "_REPLY_TOPIC", sizeof "_REPLY_TOPIC");
    }
    return out;
}

static bool make_system_topics(struct topics *t, const struct topics_setup *s, bool *changed)
{
    const int32_t rw = PERM_READ | PERM_WRITE;
    const int32_t cluster_perm = s->cluster_topic ? PERM_INHERIT | rw : PERM_INHERIT, broker_perm = s->broker_topic ? PERM_INHERIT | rw : PERM_INHERIT;
    struct topic_config *tbw;
    t->own_names[0] = mem_strdup(s->cluster_name);
    t->own_names[1] = mem_strdup(s->broker_name);
    t->own_names[2] = reply_topic(s->cluster_name);
    if (!t->own_names[0] || !t->own_names[1] || !t->own_names[2])
        return false;
    if (s->trace_topic_enable && (t->own_names[3] = mem_strdup(s->trace_topic)) == NULL)
        return false;
    bool made = have(t, "SELF_TEST_TOPIC", 1, rw, changed) && have(t, "BenchmarkTest", 1024, rw, changed) &&
                have(t, t->own_names[0], DEFAULT_QUEUES, cluster_perm, changed) && have(t, t->own_names[1], 1, broker_perm, changed) &&
                have(t, "OFFSET_MOVED_EVENT", 1, rw, changed) && have(t, "SCHEDULE_TOPIC_XXXX", SCHEDULE_QUEUES, rw, changed) &&
                (!t->own_names[3] || have(t, t->own_names[3], 1, rw, changed)) && have(t, t->own_names[2], 1, rw, changed);
    if (!made)
        return false;
    if (s->auto_create)
        return have(t, "TBW102", s->default_queues, PERM_INHERIT | rw, changed);
    tbw = topics_find(t, SLICE_LIT("TBW102")); /* of a time when it was on: it must not lend its queues any more */
    return tbw == NULL || have(t, "TBW102", tbw->write_queues, rw, changed);
}

/* ---- life ---- */
static void free_all(struct topics *t)
{
    clear(&t->map);
    for (size_t i = 0; i < OWN_NAMES; i++)
        mem_free(t->own_names[i]);
    buf_free(&t->entry);
    mem_free(t);
}

enum mq_err topics_open(struct config_file *file, const struct topics_setup *setup, const struct topics_listener *listener, int64_t now_ms,
                        struct topics **out, struct fault *why)
{
    struct topics *t = mem_zalloc(sizeof *t);
    struct config_found found;
    bool changed = false;
    if (t == NULL) {
        config_file_close(file);
        return fault_set(why, MQ_ENOMEM, 0, "topics");
    }
    t->auto_create = setup->auto_create;
    enum mq_err err = config_file_load_changed(file, take, apply, t, &t->version, now_ms, &found, why);
    if (err == MQ_OK && !make_system_topics(t, setup, &changed))
        err = fault_set(why, MQ_ENOMEM, 0, "topics");
    if (err != MQ_OK) {
        free_all(t);
        config_file_close(file);
        return err;
    }
    t->file = file;
    t->listener = listener ? *listener : (struct topics_listener){0};
    config_file_source(file, text, t);
    if (changed && !found.first)
        data_version_next(&t->version, now_ms);
    if (found.changes || (changed && !found.first))
        config_file_changed(file);
    *out = t;
    return MQ_OK;
}

void topics_close(struct topics *t)
{
    if (t == NULL)
        return;
    config_file_close(t->file);
    free_all(t);
}

/* ---- changes ---- */
/* Before anything is said of it: the change, put or removed, in the file of changes. */
static enum mq_err note(struct topics *t, const struct topic_config *c, bool put, int64_t now_ms, struct fault *why)
{
    struct data_version next = t->version;
    data_version_next(&next, now_ms);
    buf_clear(&t->entry);
    if (put)
        write_compact(&t->entry, c);
    if (t->entry.failed)
        return fault_set(why, MQ_ENOMEM, 0, "topics");
    enum mq_err err = change_log_append(topics_changes(t), &next, buf_view(&t->entry), c->node.key, why);
    if (err == MQ_OK)
        t->version = next;
    return err;
}

static void changed(struct topics *t, const struct topic_config *c)
{
    config_file_changed(t->file);
    if (t->listener.changed)
        t->listener.changed(t->listener.ctx, c);
}

struct topic_config *topics_find(const struct topics *t, struct slice name) { return config_of(hashmap_get(&t->map, name)); }

struct topic_config *topics_put_all(struct topics *t, struct slice name, const struct topic_config *values, int64_t now_ms, struct fault *why)
{
    struct topic_config *old = topics_find(t, name), before = {0};
    if (old)
        before = *old;
    struct topic_config *c = set(&t->map, name, values);
    if (c == NULL) {
        fault_set(why, MQ_ENOMEM, 0, "topics");
        return NULL;
    }
    if (note(t, c, true, now_ms, why) != MQ_OK) {
        if (old)
            set(&t->map, name, &before);
        else
            drop(&t->map, c);
        return NULL;
    }
    log_info("topics", "topic %s topic=%s read=%d write=%d perm=%d", old ? "changed" : "created", c->name, c->read_queues, c->write_queues, c->perm);
    changed(t, c);
    return c;
}

struct topic_config *topics_put(struct topics *t, struct slice name, int32_t read_queues, int32_t write_queues, int32_t perm, int32_t sys_flag, bool order,
                                int64_t now_ms, struct fault *why)
{
    const struct topic_config *old = topics_find(t, name);
    const struct topic_config values = {.read_queues = read_queues, .write_queues = write_queues, .perm = perm, .sys_flag = sys_flag, .order = order,
                                        .multi_tags = old && old->multi_tags};
    return topics_put_all(t, name, &values, now_ms, why);
}

struct topic_config *topics_auto_create(struct topics *t, struct slice name, struct slice default_topic, int32_t wanted_queues, bool unit_mode,
                                        int64_t now_ms, struct fault *why)
{
    const struct topic_config *def = topics_find(t, default_topic);
    if (def == NULL) {
        fault_set(why, MQ_EREFUSED, 0, "the default topic[%.*s] not exist", SLICE_ARG(slice_head(default_topic, 100)));
        return NULL;
    }
    if (!(def->perm & PERM_INHERIT)) {
        fault_set(why, MQ_EREFUSED, 0, "the default topic[%.100s] has no perm [%d]", def->name, def->perm);
        return NULL;
    }
    int32_t wanted = wanted_queues > 0 ? wanted_queues : CLIENTS_DEFAULT_QUEUES;
    int32_t queues = wanted < def->write_queues ? wanted : def->write_queues;
    const struct topic_config values = {.read_queues = queues, .write_queues = queues, .perm = def->perm & ~PERM_INHERIT,
                                        .sys_flag = unit_mode ? TOPIC_UNIT : 0, .multi_tags = def->multi_tags};
    return topics_put_all(t, name, &values, now_ms, why);
}

enum mq_err topics_remove(struct topics *t, struct slice name, int64_t now_ms, struct fault *why)
{
    struct topic_config *c = topics_find(t, name);
    if (c == NULL)
        return fault_set(why, MQ_ENOTFOUND, 0, "topic %.*s", SLICE_ARG(slice_head(name, 127)));
    enum mq_err err = note(t, c, false, now_ms, why);
    if (err != MQ_OK)
        return err;
    hashmap_remove(&t->map, &c->node);
    log_info("topics", "topic removed topic=%s", c->name);
    changed(t, c);
    mem_free(c);
    return MQ_OK;
}

size_t topics_count(const struct topics *t) { return t->map.n; }

struct topic_config *topics_next(const struct topics *t, const struct topic_config *after)
{
    return config_of(after ? hashmap_next(&t->map, &after->node) : hashmap_first(&t->map));
}

const struct data_version *topics_version(const struct topics *t) { return &t->version; }

void topics_touch(struct topics *t, int64_t now_ms)
{
    data_version_next(&t->version, now_ms);
    config_file_changed(t->file);
}

struct change_log *topics_changes(struct topics *t) { return config_file_changes(t->file); }

void topics_retry_save(struct topics *t) { config_file_retry(t->file); }
