/* kv_config.c - namespaces of pairs.
 *
 *   I1  A change that was answered with success is on disk; one that could not be saved has not happened.
 *       (test: a_change_that_cannot_be_saved_has_not_happened) Apache logs the failure and answers success.
 *   I2  A namespace stays when its last pair goes, as with Apache: its list is then an empty table, not "unknown".
 * Changes come from administrators, a few a day: each writes the whole table, there is nothing to gain by more. */
#include "namesrv/kvconfig/kv_config.h"

#include "common/base/hashmap.h"
#include "common/base/mem.h"
#include "common/protocol/json.h"

struct pair {
    struct hash_node node;
    char *value; /* not terminated */
    size_t n;
    char key[];
};
struct space {
    struct hash_node node;
    struct hashmap pairs;
    char name[];
};
struct kv_config {
    struct hashmap spaces;
    size_t bytes; /* of names and values */
    kv_save_fn *save;
    void *ctx;
};

struct kv_config *kv_config_new(kv_save_fn *save, void *ctx)
{
    struct kv_config *kv = mem_zalloc(sizeof *kv);
    if (kv) {
        kv->save = save;
        kv->ctx = ctx;
    }
    return kv;
}

static struct space *space_named(const struct kv_config *kv, struct slice name)
{
    struct hash_node *n = hashmap_get(&kv->spaces, name);
    return n ? CONTAINER_OF(n, struct space, node) : NULL;
}

static struct pair *pair_named(const struct space *s, struct slice key)
{
    struct hash_node *n = s ? hashmap_get(&s->pairs, key) : NULL;
    return n ? CONTAINER_OF(n, struct pair, node) : NULL;
}

static void pair_drop(struct kv_config *kv, struct space *s, struct pair *p)
{
    kv->bytes -= p->node.key.n + p->n;
    hashmap_remove(&s->pairs, &p->node);
    mem_free(p->value);
    mem_free(p);
}

static void space_drop(struct kv_config *kv, struct space *s)
{
    for (struct hash_node *it = hashmap_first(&s->pairs), *next; it; it = next) {
        next = hashmap_next(&s->pairs, it);
        pair_drop(kv, s, CONTAINER_OF(it, struct pair, node));
    }
    kv->bytes -= s->node.key.n;
    hashmap_remove(&kv->spaces, &s->node);
    hashmap_fini(&s->pairs);
    mem_free(s);
}

static void clear(struct kv_config *kv)
{
    for (struct hash_node *it = hashmap_first(&kv->spaces), *next; it; it = next) {
        next = hashmap_next(&kv->spaces, it);
        space_drop(kv, CONTAINER_OF(it, struct space, node));
    }
}

void kv_config_free(struct kv_config *kv)
{
    if (kv == NULL)
        return;
    clear(kv);
    hashmap_fini(&kv->spaces);
    mem_free(kv);
}

static struct space *space_new(struct kv_config *kv, struct slice name)
{
    struct space *s = mem_zalloc(sizeof *s + name.n + 1);
    if (s == NULL)
        return NULL;
    memcpy(s->name, name.p, name.n);
    if (!hashmap_add(&kv->spaces, &s->node, slice_make(s->name, name.n))) {
        mem_free(s);
        return NULL;
    }
    kv->bytes += name.n;
    return s;
}

static struct pair *pair_new(struct kv_config *kv, struct space *s, struct slice key)
{
    struct pair *p = mem_zalloc(sizeof *p + key.n + 1);
    if (p == NULL)
        return NULL;
    memcpy(p->key, key.p, key.n);
    if (!hashmap_add(&s->pairs, &p->node, slice_make(p->key, key.n))) {
        mem_free(p);
        return NULL;
    }
    kv->bytes += key.n;
    return p;
}

/* The value moves in; *old is what was there, with *had telling whether there was any. Nothing changes on failure. */
static enum mq_err set(struct kv_config *kv, struct slice space, struct slice key, struct slice value, struct slice *old, bool *had,
                       struct fault *why)
{
    struct space *s = space_named(kv, space);
    bool new_space = s == NULL;
    struct pair *p = pair_named(s, key);
    char *copy = mem_alloc(value.n + 1);

    *had = p != NULL;
    *old = p ? slice_make(p->value, p->n) : slice_make(NULL, 0);
    if (copy && s == NULL)
        s = space_new(kv, space);
    if (copy && s && p == NULL)
        p = pair_new(kv, s, key);
    if (copy == NULL || s == NULL || p == NULL) {
        if (s && new_space)
            space_drop(kv, s);
        mem_free(copy);
        return fault_set(why, MQ_ENOMEM, 0, "key %.*s", SLICE_ARG(key));
    }
    if (value.n > 0)
        memcpy(copy, value.p, value.n);
    kv->bytes += value.n - p->n;
    p->value = copy;
    p->n = value.n;
    return MQ_OK;
}

static enum mq_err save(struct kv_config *kv, struct fault *why)
{
    struct buf text = {0};
    enum mq_err err = MQ_OK;
    if (kv->save == NULL)
        return MQ_OK;
    kv_config_encode(kv, &text);
    err = text.failed ? fault_set(why, MQ_ENOMEM, 0, "save the KV configuration") : kv->save(kv->ctx, buf_view(&text), why);
    buf_free(&text);
    return err;
}

static enum mq_err check(const struct kv_config *kv, struct slice space, struct slice key, struct slice value, struct fault *why)
{
    if (space.n > KV_NAME_MAX || key.n > KV_NAME_MAX)
        return fault_set(why, MQ_EINVAL, 0, "namespace or key has more than %d bytes", KV_NAME_MAX);
    if (value.n > KV_VALUE_MAX)
        return fault_set(why, MQ_EINVAL, 0, "value has %zu bytes, %d are allowed", value.n, KV_VALUE_MAX);
    if (kv->bytes + space.n + key.n + value.n > KV_TOTAL_MAX)
        return fault_set(why, MQ_ELIMIT, 0, "the KV configuration would have more than %d bytes", KV_TOTAL_MAX);
    return MQ_OK;
}

enum mq_err kv_config_put(struct kv_config *kv, struct slice space, struct slice key, struct slice value, struct fault *why)
{
    struct slice old;
    bool had, new_space = space_named(kv, space) == NULL;
    enum mq_err err = check(kv, space, key, value, why);

    if (err == MQ_OK)
        err = set(kv, space, key, value, &old, &had, why);
    if (err != MQ_OK)
        return err;
    struct space *s = space_named(kv, space);
    struct pair *p = pair_named(s, key);
    if ((err = save(kv, why)) == MQ_OK) {
        mem_free((void *)(uintptr_t)old.p);
    } else if (had) { /* I1 */
        kv->bytes += old.n - p->n;
        mem_free(p->value);
        p->value = (char *)(uintptr_t)old.p;
        p->n = old.n;
    } else if (new_space) {
        space_drop(kv, s);
    } else {
        pair_drop(kv, s, p);
    }
    return err;
}

enum mq_err kv_config_delete(struct kv_config *kv, struct slice space, struct slice key, struct fault *why)
{
    struct space *s = space_named(kv, space);
    struct pair *p = pair_named(s, key);
    if (p == NULL)
        return MQ_OK;
    hashmap_remove(&s->pairs, &p->node); /* cannot fail on its way back: the slots stay */
    enum mq_err err = save(kv, why);
    bool back = hashmap_add(&s->pairs, &p->node, slice_make(p->key, p->node.key.n));
    if (err == MQ_OK && back)
        pair_drop(kv, s, p);
    return err;
}

bool kv_config_get(const struct kv_config *kv, struct slice space, struct slice key, struct slice *value)
{
    const struct pair *p = pair_named(space_named(kv, space), key);
    if (p)
        *value = slice_make(p->value, p->n);
    return p != NULL;
}

static void write_pairs(struct jw *w, const struct space *s)
{
    jw_object(w);
    for (const struct hash_node *it = hashmap_first(&s->pairs); it; it = hashmap_next(&s->pairs, it)) {
        const struct pair *p = CONTAINER_OF(it, const struct pair, node);
        jw_key_slice(w, it->key);
        jw_str(w, slice_make(p->value, p->n));
    }
    jw_end_object(w);
}

bool kv_config_list(const struct kv_config *kv, struct slice space, struct buf *out)
{
    const struct space *s = space_named(kv, space);
    if (s == NULL)
        return false;
    struct jw w = jw_over(out, false);
    jw_object(&w);
    jw_key(&w, "table");
    write_pairs(&w, s);
    jw_end_object(&w);
    return true;
}

bool kv_config_keys_of(const struct kv_config *kv, struct slice space, struct slice value, struct buf *out)
{
    const struct space *s = space_named(kv, space);
    bool found = false;
    if (s == NULL)
        return false;
    for (const struct hash_node *it = hashmap_first(&s->pairs); it; it = hashmap_next(&s->pairs, it)) {
        const struct pair *p = CONTAINER_OF(it, const struct pair, node);
        if (slice_eq(slice_make(p->value, p->n), value)) {
            if (found)
                buf_u8(out, ';');
            buf_slice(out, it->key);
            found = true;
        }
    }
    return found;
}

void kv_config_encode(const struct kv_config *kv, struct buf *out)
{
    struct jw w = jw_over(out, false);
    jw_object(&w);
    jw_key(&w, "configTable");
    jw_object(&w);
    for (const struct hash_node *it = hashmap_first(&kv->spaces); it; it = hashmap_next(&kv->spaces, it)) {
        jw_key_slice(&w, it->key);
        write_pairs(&w, CONTAINER_OF(it, const struct space, node));
    }
    jw_end_object(&w);
    jw_end_object(&w);
}

size_t kv_config_bytes(const struct kv_config *kv) { return kv->bytes; }

/* One namespace of the file. A value that is not text is kept as text when it is a number or a boolean, left out otherwise. */
static enum mq_err load_space(struct kv_config *kv, struct slice space, json_t *table, struct fault *why)
{
    const char *name;
    json_t *value;
    if (space_named(kv, space) == NULL && space_new(kv, space) == NULL)
        return fault_set(why, MQ_ENOMEM, 0, "namespace %.*s", SLICE_ARG(space));
    json_object_foreach(table, name, value) {
        struct slice text = json_str(table, name), old, key = slice_str(name);
        bool had;
        if (text.p == NULL && json_is_boolean(value))
            text = slice_str(json_is_true(value) ? "true" : "false");
        if (text.p == NULL)
            continue;
        enum mq_err err = check(kv, space, key, text, why);
        if (err == MQ_OK)
            err = set(kv, space, key, text, &old, &had, why);
        if (err != MQ_OK)
            return err;
        if (had)
            mem_free((void *)(uintptr_t)old.p);
    }
    return MQ_OK;
}

enum mq_err kv_config_load(struct kv_config *kv, struct slice json, struct fault *why)
{
    enum mq_err err = MQ_OK;
    const char *space;
    json_t *table;

    clear(kv);
    json_t *root = json_parse(json, why);
    if (root == NULL)
        return MQ_EMALFORMED;
    json_t *all = json_object_get(root, "configTable");
    if (!json_is_object(root) || (all && !json_is_object(all) && !json_is_null(all)))
        err = fault_set(why, MQ_EMALFORMED, 0, "configTable is not an object");
    json_object_foreach(all, space, table) {
        if (err == MQ_OK && json_is_object(table))
            err = load_space(kv, slice_str(space), table, why);
    }
    json_decref(root);
    if (err != MQ_OK)
        clear(kv);
    return err;
}
