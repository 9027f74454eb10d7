/* offsets.c - the table of consumer offsets and its file.
 *
 * One entry for each topic and group, holding the queues that have an offset, sorted by queue. Queues are nearly always 0..n-1, so
 * the place of a queue is looked at before it is searched for. A queue without an offset takes no room: a client that commits for
 * queue 2,000,000,000 costs 16 bytes.
 *   I1  in an entry, queues grow strictly and offsets are >= 0.                      (test: unit/metadata/offsets)
 *   I2  the file is written only when an offset changed since the last time.        (test: the same)
 * ali-ons commits -1 for a queue that it has not consumed from: that is no offset, and no reason to forget the request. */
#include "broker/metadata/offsets.h"

#include <string.h>

#include "common/base/hashmap.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/protocol/json.h"

struct place {
    int64_t commit_off;
    int32_t queue_id;
};
struct entry {
    struct hash_node node; /* key = "topic@group" */
    struct place *places;
    uint32_t n, cap;
    uint32_t topic_n; /* bytes before '@' */
    char key[];
};
struct offsets {
    struct hashmap map; /* of struct entry */
    struct config_file *file;
    bool dirty;
};

static struct entry *entry_of(struct hash_node *n) { return n ? CONTAINER_OF(n, struct entry, node) : NULL; }
static struct slice topic_of(const struct entry *e) { return slice_make(e->key, e->topic_n); }
static struct slice group_of(const struct entry *e) { return slice_from(e->node.key, e->topic_n + 1); }

/* ---- the table ---- */
struct key {
    char text[OFFSETS_KEY_MAX];
    size_t n; /* 0: too long */
};
static struct slice key_of(struct key *k, struct slice topic, struct slice group)
{
    k->n = 0;
    if (topic.n < sizeof k->text && group.n < sizeof k->text - 1 - topic.n) {
        memcpy(k->text, topic.p, topic.n);
        k->text[topic.n] = '@';
        if (group.n)
            memcpy(k->text + topic.n + 1, group.p, group.n);
        k->n = topic.n + 1 + group.n;
    }
    return slice_make(k->text, k->n);
}

static struct entry *find(const struct hashmap *map, struct slice topic, struct slice group)
{
    struct key k;
    struct slice key = key_of(&k, topic, group);
    return key.n ? entry_of(hashmap_get(map, key)) : NULL;
}

static void free_entry(struct entry *e)
{
    mem_free(e->places);
    mem_free(e);
}

static struct entry *find_or_make(struct hashmap *map, struct slice topic, struct slice group)
{
    struct key k;
    struct slice key = key_of(&k, topic, group);
    struct entry *e = key.n ? entry_of(hashmap_get(map, key)) : NULL;
    if (e || key.n == 0)
        return e;
    e = mem_zalloc(sizeof *e + key.n + 1);
    if (e == NULL)
        return NULL;
    memcpy(e->key, key.p, key.n);
    e->topic_n = (uint32_t)topic.n;
    if (!hashmap_add(map, &e->node, slice_make(e->key, key.n))) {
        mem_free(e);
        return NULL;
    }
    return e;
}

/* Where queue_id is, or would be put. */
static uint32_t place_of(const struct entry *e, int32_t queue_id)
{
    uint32_t low = 0, high = e->n;
    if ((uint32_t)queue_id < e->n && e->places[queue_id].queue_id == queue_id)
        return (uint32_t)queue_id;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (e->places[mid].queue_id < queue_id)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static bool room(struct entry *e)
{
    if (e->n < e->cap)
        return true;
    uint32_t cap = e->cap ? e->cap * 2 : 4;
    struct place *more = mem_realloc(e->places, cap * sizeof *more);
    if (more == NULL)
        return false;
    e->places = more;
    e->cap = cap;
    return true;
}

/* True when something changed. */
static bool set(struct entry *e, int32_t queue_id, int64_t commit_off)
{
    uint32_t at = place_of(e, queue_id);
    if (at < e->n && e->places[at].queue_id == queue_id) {
        int64_t old = e->places[at].commit_off;
        if (commit_off < 0) {
            memmove(e->places + at, e->places + at + 1, (e->n - at - 1) * sizeof *e->places);
            e->n--;
        } else {
            e->places[at].commit_off = commit_off;
        }
        if (commit_off < old)
            log_debug("offsets", "offset went back key=%s queue=%d from=%lld to=%lld", e->key, queue_id, (long long)old, (long long)commit_off);
        return commit_off != old;
    }
    if (commit_off < 0 || !room(e))
        return false;
    memmove(e->places + at + 1, e->places + at, (e->n - at) * sizeof *e->places);
    e->places[at] = (struct place){commit_off, queue_id};
    e->n++;
    return true;
}

static void clear(struct hashmap *map)
{
    struct hash_node *next;
    for (struct hash_node *n = hashmap_first(map); n; n = next) {
        next = hashmap_next(map, n);
        free_entry(entry_of(n));
    }
    hashmap_fini(map);
    *map = (struct hashmap){0};
}

/* ---- JSON ---- */
static enum mq_err queues_from_json(const char *name, const json_t *queues, struct entry *e, struct fault *why)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)queues, key, v) {
        int32_t queue_id;
        int64_t off;
        if (!slice_i32(slice_str(key), &queue_id) || queue_id < 0)
            return fault_set(why, MQ_EMALFORMED, 0, "offsetTable: %.64s: %.32s is no queue", name, key);
        if (json_is_integer(v))
            off = json_integer_value(v);
        else if (!json_is_string(v) || !slice_i64(slice_str(json_string_value(v)), &off))
            return fault_set(why, MQ_EMALFORMED, 0, "offsetTable: %.64s: queue %.32s has no number", name, key);
        if (off >= 0 && !room(e))
            return fault_set(why, MQ_ENOMEM, 0, "consumer offsets");
        set(e, queue_id, off);
    }
    return MQ_OK;
}

static enum mq_err table_from_json(const json_t *table, struct hashmap *map, struct fault *why)
{
    const char *name;
    json_t *queues;
    json_object_foreach((json_t *)(uintptr_t)table, name, queues) {
        const char *at = strchr(name, '@'); /* Apache splits there, too; a key without it is nobody's */
        if (!json_is_object(queues))
            return fault_set(why, MQ_EMALFORMED, 0, "offsetTable: %.64s is no map", name);
        if (at == NULL || strlen(name) >= OFFSETS_KEY_MAX)
            continue;
        struct entry *e = find_or_make(map, slice_make(name, (size_t)(at - name)), slice_str(at + 1));
        if (e == NULL)
            return fault_set(why, MQ_ENOMEM, 0, "consumer offsets");
        enum mq_err err = queues_from_json(name, queues, e, why);
        if (err != MQ_OK)
            return err;
    }
    return MQ_OK;
}

static enum mq_err take(void *ctx, struct slice text, struct fault *why)
{
    struct offsets *o = ctx;
    json_t *root = json_parse(text, why);
    if (root == NULL)
        return why && why->err != MQ_OK ? why->err : MQ_EMALFORMED;
    const json_t *table = json_object_get(root, "offsetTable");
    struct hashmap map = {0};
    enum mq_err err = json_is_object(table) ? table_from_json(table, &map, why) : fault_set(why, MQ_EMALFORMED, 0, "offsetTable is missing");
    if (err == MQ_OK) {
        clear(&o->map);
        o->map = map;
    } else {
        clear(&map);
    }
    json_decref(root);
    return err;
}

/* fastjson's pretty form breaks no lines before keys that are numbers, only before the closing brace. */
static void write_entry(struct buf *out, const struct entry *e, bool pretty)
{
    buf_u8(out, '{');
    for (uint32_t i = 0; i < e->n; i++) {
        if (i)
            buf_u8(out, ',');
        buf_i64_text(out, e->places[i].queue_id);
        buf_u8(out, ':');
        buf_i64_text(out, e->places[i].commit_off);
    }
    if (pretty)
        buf_put(out, "\n\t\t", 3);
    buf_u8(out, '}');
}

void offsets_encode(const struct offsets *o, bool pretty, struct buf *out)
{
    struct jw w = jw_over(out, pretty);
    jw_object(&w);
    jw_key(&w, "offsetTable");
    jw_object(&w);
    for (struct hash_node *n = hashmap_first(&o->map); n; n = hashmap_next(&o->map, n)) {
        const struct entry *e = entry_of(n);
        if (e->n == 0)
            continue;
        jw_key_slice(&w, e->node.key);
        w.after_key = false;
        write_entry(out, e, pretty);
    }
    jw_end_object(&w);
    jw_end_object(&w);
}

static void text(void *ctx, struct buf *out) { offsets_encode(ctx, true, out); }

/* ---- life ---- */
enum mq_err offsets_open(struct config_file *file, struct offsets **out, struct fault *why)
{
    struct offsets *o = mem_zalloc(sizeof *o);
    if (o == NULL) {
        config_file_close(file);
        return fault_set(why, MQ_ENOMEM, 0, "consumer offsets");
    }
    enum mq_err err = config_file_begin(file, take, o, text, o, why);
    if (err != MQ_OK) {
        mem_free(o);
        return err;
    }
    o->file = file;
    *out = o;
    return MQ_OK;
}

void offsets_save_if_dirty(struct offsets *o)
{
    if (o->dirty)
        config_file_changed(o->file);
    else
        config_file_retry(o->file);
    o->dirty = false;
}

void offsets_close(struct offsets *o)
{
    if (o == NULL)
        return;
    if (o->dirty)
        config_file_touch(o->file);
    config_file_close(o->file);
    clear(&o->map);
    mem_free(o);
}

/* ---- use ---- */
void offsets_commit(struct offsets *o, struct slice group, struct slice topic, int32_t queue_id, int64_t commit_off)
{
    struct entry *e = queue_id < 0 ? NULL : commit_off < 0 ? find(&o->map, topic, group) : find_or_make(&o->map, topic, group);
    if (e && set(e, queue_id, commit_off))
        o->dirty = true;
}

int64_t offsets_query(const struct offsets *o, struct slice group, struct slice topic, int32_t queue_id)
{
    const struct entry *e = queue_id < 0 ? NULL : find(&o->map, topic, group);
    uint32_t at = e ? place_of(e, queue_id) : 0;
    return e && at < e->n && e->places[at].queue_id == queue_id ? e->places[at].commit_off : -1;
}

bool offsets_has(const struct offsets *o, struct slice group, struct slice topic)
{
    const struct entry *e = find(&o->map, topic, group);
    return e && e->n > 0;
}

static void remove_where(struct offsets *o, bool by_group, struct slice name)
{
    struct hash_node *next;
    for (struct hash_node *n = hashmap_first(&o->map); n; n = next) {
        struct entry *e = entry_of(n);
        next = hashmap_next(&o->map, n);
        if (!slice_eq(by_group ? group_of(e) : topic_of(e), name))
            continue;
        hashmap_remove(&o->map, n);
        free_entry(e);
        o->dirty = true;
    }
}

void offsets_remove_group(struct offsets *o, struct slice group) { remove_where(o, true, group); }
void offsets_remove_topic(struct offsets *o, struct slice topic) { remove_where(o, false, topic); }

void offsets_clone(struct offsets *o, struct slice from_group, struct slice to_group, struct slice topic)
{
    const struct entry *from = find(&o->map, topic, from_group);
    struct entry *to = from ? find_or_make(&o->map, topic, to_group) : NULL;
    if (to == NULL || to == from)
        return;
    to->n = 0;
    for (uint32_t i = 0; i < from->n; i++)
        set(to, from->places[i].queue_id, from->places[i].commit_off);
    o->dirty = true;
}

void offsets_each(const struct offsets *o, offsets_fn *fn, void *arg)
{
    for (struct hash_node *n = hashmap_first(&o->map); n; n = hashmap_next(&o->map, n)) {
        const struct entry *e = entry_of(n);
        for (uint32_t i = 0; i < e->n; i++)
            fn(arg, topic_of(e), group_of(e), e->places[i].queue_id, e->places[i].commit_off);
    }
}

void offsets_groups_of(const struct offsets *o, struct slice topic, void (*fn)(void *arg, struct slice group), void *arg)
{
    for (struct hash_node *n = hashmap_first(&o->map); n; n = hashmap_next(&o->map, n))
        if (entry_of(n)->n && slice_eq(topic_of(entry_of(n)), topic))
            fn(arg, group_of(entry_of(n)));
}

void offsets_topics_of(const struct offsets *o, struct slice group, void (*fn)(void *arg, struct slice topic), void *arg)
{
    for (struct hash_node *n = hashmap_first(&o->map); n; n = hashmap_next(&o->map, n))
        if (entry_of(n)->n && slice_eq(group_of(entry_of(n)), group))
            fn(arg, topic_of(entry_of(n)));
}
