/* consumer_filters.c - group -> topic -> expression, and the file, in which it is topic -> group.
 *
 *             heard, newer version
 *   (none) ----------------------> alive --nobody left, or topic no longer wanted--> dead --keep_ms--> (none)
 *                                    ^                                                 |
 *                                    `------------------- heard -----------------------'
 *
 *   I1  who asks for an expression that does not compile has none: pulls are answered FILTER_DATA_NOT_EXIST. (test: unit/filter/consumer_filters)
 *   I2  an older version never replaces a newer one; the same version changes nothing but dead to alive.       (test: the same)
 *   I3  what Apache wrote is read, and what we write Apache reads; all are dead after a start.                 (test: the same, and by hand) */
#include "broker/filter/consumer_filters.h"
#include <stdlib.h>
#include "common/base/log.h"
#include "common/base/mem.h"

enum { SILENT_BEFORE_START_MS = 30000 }; /* Apache's guess at when clients went, after a start */

struct filter_group {
    struct hash_node node; /* key = name */
    struct hashmap topics; /* of struct consumer_filter */
    uint8_t name[];
};
struct consumer_filters {
    struct hashmap groups;
    size_t n;
    struct config_file *file;
    struct consumer_filters_setup setup;
};

static struct filter_group *group_of(struct hash_node *n) { return n ? CONTAINER_OF(n, struct filter_group, node) : NULL; }
static struct consumer_filter *filter_of(struct hash_node *n) { return n ? CONTAINER_OF(n, struct consumer_filter, node) : NULL; }
static bool is_dead(const struct consumer_filter *x) { return x->dead_ms >= x->born_ms; }

/* ---- the table ---- */
static struct consumer_filter *find(const struct consumer_filters *f, struct slice topic, struct slice group)
{
    const struct filter_group *g = group_of(hashmap_get(&f->groups, group));
    return g ? filter_of(hashmap_get(&g->topics, topic)) : NULL;
}

const struct consumer_filter *consumer_filters_find(const struct consumer_filters *f, struct slice topic, struct slice group)
{
    return find(f, topic, group);
}

size_t consumer_filters_count(const struct consumer_filters *f) { return f->n; }

static struct filter_group *group_find_or_make(struct consumer_filters *f, struct slice name)
{
    struct filter_group *g = group_of(hashmap_get(&f->groups, name));
    if (g || (g = mem_zalloc(sizeof *g + name.n)) == NULL)
        return g;
    if (name.n)
        memcpy(g->name, name.p, name.n);
    if (!hashmap_add(&f->groups, &g->node, slice_make(g->name, name.n))) {
        mem_free(g);
        return NULL;
    }
    return g;
}

static void forget_if_empty(struct consumer_filters *f, struct filter_group *g)
{
    if (g == NULL || g->topics.n > 0)
        return;
    hashmap_remove(&f->groups, &g->node);
    hashmap_fini(&g->topics);
    mem_free(g);
}

static void filter_free(struct consumer_filters *f, struct filter_group *g, struct consumer_filter *x)
{
    hashmap_remove(&g->topics, &x->node);
    sql_unref(x->program);
    mem_free(x);
    f->n--;
}

static struct consumer_filter *filter_make(struct consumer_filters *f, struct filter_group *g, struct slice topic, struct slice expression, struct sql *program)
{
    struct consumer_filter *x = mem_zalloc(sizeof *x + topic.n + expression.n);
    if (x == NULL)
        return NULL;
    uint8_t *at = (uint8_t *)(x + 1);
    memcpy(at, topic.p, topic.n);
    memcpy(at + topic.n, expression.p, expression.n);
    x->topic = slice_make(at, topic.n);
    x->expression = slice_make(at + topic.n, expression.n);
    if (!hashmap_add(&g->topics, &x->node, x->topic)) {
        mem_free(x);
        return NULL;
    }
    x->program = program;
    f->n++;
    return x;
}

static void drop(struct consumer_filters *f, struct slice group, struct slice topic)
{
    struct filter_group *g = group_of(hashmap_get(&f->groups, group));
    struct consumer_filter *x = g ? filter_of(hashmap_get(&g->topics, topic)) : NULL;
    if (x)
        filter_free(f, g, x);
    forget_if_empty(f, g);
}

/* Compiles and puts it in the place of an older one; NULL: it cannot be, and there is none afterwards. None of the texts is empty. */
static struct consumer_filter *put(struct consumer_filters *f, struct slice group, struct slice topic, struct slice expression, struct fault *why)
{
    drop(f, group, topic);
    struct filter_group *g = group_find_or_make(f, group);
    struct consumer_filter *x = NULL;
    struct sql *program = NULL;
    enum mq_err err = g ? sql_compile(expression, &program, why) : fault_set(why, MQ_ENOMEM, 0, "consumer filter");
    if (err == MQ_OK && (x = filter_make(f, g, topic, expression, program)) == NULL) {
        sql_unref(program);
        fault_set(why, MQ_ENOMEM, 0, "consumer filter");
    }
    forget_if_empty(f, g);
    return x;
}

/* ---- the file ---- */
static enum mq_err take_one(struct consumer_filters *f, const json_t *o, const char *topic, const char *group, int64_t now_ms, struct fault *why)
{
    struct slice expression = json_str(o, "expression"), type = json_str(o, "expressionType");
    struct fault wrong = {0};
    if (!json_is_object(o) || *topic == 0 || *group == 0)
        return fault_set(why, MQ_EMALFORMED, 0, "filterDataByTopic: %.64s: groupFilterData: %.64s is no filter", topic, group);
    int64_t born = json_i64(o, "bornTime", 1), dead = json_i64(o, "deadTime", 0), away = now_ms - SILENT_BEFORE_START_MS;
    born = born > 0 ? born : 1;
    if (dead <= 0)
        dead = away > born ? away : born;
    if (dead >= born && now_ms - dead >= f->setup.keep_ms)
        return MQ_OK;
    if (expression.n == 0 || !slice_is(type, "SQL92")) {
        log_warn("filter", "a filter of the file is no SQL92 expression: ignored topic=%s group=%s", topic, group);
        return MQ_OK;
    }
    struct consumer_filter *x = put(f, slice_str(group), slice_str(topic), expression, &wrong);
    if (x == NULL && wrong.err == MQ_ENOMEM)
        return fault_set(why, MQ_ENOMEM, 0, "consumer filters");
    if (x == NULL) {
        log_warn("filter", "an expression of the file does not compile: ignored topic=%s group=%s why=%s", topic, group, wrong.what);
        return MQ_OK;
    }
    x->born_ms = born;
    x->dead_ms = dead;
    x->client_version = json_i64(o, "clientVersion", 0);
    return MQ_OK;
}

static void clear(struct consumer_filters *f)
{
    for (struct filter_group *g; (g = group_of(hashmap_first(&f->groups))) != NULL; forget_if_empty(f, g))
        for (struct consumer_filter *x; (x = filter_of(hashmap_first(&g->topics))) != NULL;)
            filter_free(f, g, x);
}

struct loading {
    struct consumer_filters *f;
    int64_t now_ms;
};

static enum mq_err take(void *ctx, struct slice text, struct fault *why)
{
    const struct loading *l = ctx;
    json_t *root = json_parse(text, why), *topics, *of_topic, *one;
    const char *topic, *group;
    if (root == NULL)
        return why && why->err != MQ_OK ? why->err : MQ_EMALFORMED;
    enum mq_err err = MQ_OK;
    topics = json_object_get(root, "filterDataByTopic");
    if (!json_is_object(topics))
        err = fault_set(why, MQ_EMALFORMED, 0, "filterDataByTopic is missing");
    json_object_foreach (topics, topic, of_topic)
        json_object_foreach (json_object_get(of_topic, "groupFilterData"), group, one)
            if (err == MQ_OK)
                err = take_one(l->f, one, topic, group, l->now_ms, why);
    json_decref(root);
    if (err != MQ_OK)
        clear(l->f);
    return err;
}

struct row {
    const struct consumer_filter *filter;
    const struct filter_group *group;
};

static int by_topic_and_group(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    int c = slice_cmp(x->filter->topic, y->filter->topic);
    return c ? c : slice_cmp(x->group->node.key, y->group->node.key);
}

static struct row *rows(const struct consumer_filters *f) /* f->n of them, yours */
{
    struct row *all = mem_alloc((f->n + 1) * sizeof *all);
    size_t n = 0;
    if (all == NULL)
        return NULL;
    for (struct hash_node *g = hashmap_first(&f->groups); g; g = hashmap_next(&f->groups, g))
        for (struct hash_node *x = hashmap_first(&group_of(g)->topics); x; x = hashmap_next(&group_of(g)->topics, x))
            all[n++] = (struct row){.filter = filter_of(x), .group = group_of(g)};
    qsort(all, n, sizeof *all, by_topic_and_group);
    return all;
}

static void write_bloom(const struct consumer_filters *f, const struct row *r, struct jw *w)
{
    const struct bloom *b = &f->setup.bloom;
    struct buf name = {0}, array = {0};
    uint32_t places[BLOOM_HASHES_MAX];
    buf_slice(&name, r->group->node.key);
    buf_u8(&name, '#');
    buf_slice(&name, r->filter->topic);
    bloom_places(b, buf_view(&name), places);
    for (uint32_t i = 0; i < b->hashes; i++) /* on one line, also in the pretty form */
        buf_printf(&array, "%c%u", i ? ',' : '[', places[i]);
    buf_u8(&array, ']');
    jw_key(w, "bloomFilterData");
    jw_object(w);
    jw_kv_i64(w, "bitNum", b->bits);
    jw_key(w, "bitPos");
    jw_raw(w, buf_view(&array));
    jw_end_object(w);
    w->out->failed = w->out->failed || name.failed || array.failed;
    buf_free(&name);
    buf_free(&array);
}

static void write_one(const struct consumer_filters *f, const struct row *r, struct jw *w)
{
    const struct consumer_filter *x = r->filter;
    jw_key_slice(w, r->group->node.key);
    jw_object(w);
    write_bloom(f, r, w);
    jw_kv_i64(w, "bornTime", x->born_ms);
    jw_kv_i64(w, "clientVersion", x->client_version);
    jw_kv_str(w, "consumerGroup", r->group->node.key);
    jw_kv_bool(w, "dead", is_dead(x));
    jw_kv_i64(w, "deadTime", x->dead_ms);
    jw_kv_str(w, "expression", x->expression);
    jw_kv_str(w, "expressionType", SLICE_LIT("SQL92"));
    jw_kv_str(w, "topic", x->topic);
    jw_end_object(w);
}

void consumer_filters_encode(const struct consumer_filters *f, bool pretty, struct buf *out)
{
    struct row *all = rows(f);
    struct jw w = jw_over(out, pretty);
    if (all == NULL) {
        out->failed = true;
        return;
    }
    jw_object(&w);
    jw_key(&w, "filterDataByTopic");
    jw_object(&w);
    for (size_t i = 0, end; i < f->n; i = end) {
        struct slice topic = all[i].filter->topic;
        jw_key_slice(&w, topic);
        jw_object(&w);
        jw_key(&w, "groupFilterData");
        jw_object(&w);
        for (end = i; end < f->n && slice_eq(all[end].filter->topic, topic); end++)
            write_one(f, &all[end], &w);
        jw_end_object(&w);
        jw_kv_str(&w, "topic", topic);
        jw_end_object(&w);
    }
    jw_end_object(&w);
    jw_end_object(&w);
    mem_free(all);
}

static void text(void *ctx, struct buf *out) { consumer_filters_encode(ctx, true, out); }

/* ---- life ---- */
enum mq_err consumer_filters_open(struct config_file *file, const struct consumer_filters_setup *setup, int64_t now_ms, struct consumer_filters **out,
                                  struct fault *why)
{
    struct consumer_filters *f = mem_zalloc(sizeof *f);
    if (f == NULL) {
        config_file_close(file);
        return fault_set(why, MQ_ENOMEM, 0, "consumer filters");
    }
    f->setup = *setup;
    struct loading l = {.f = f, .now_ms = now_ms};
    enum mq_err err = config_file_begin(file, take, &l, text, f, why);
    if (err != MQ_OK) {
        hashmap_fini(&f->groups);
        mem_free(f);
        return err;
    }
    f->file = file;
    *out = f;
    return MQ_OK;
}

void consumer_filters_close(struct consumer_filters *f)
{
    if (f == NULL)
        return;
    config_file_close(f->file);
    clear(f);
    hashmap_fini(&f->groups);
    mem_free(f);
}

/* ---- changes; each tells whether there was one ---- */
static bool die(struct consumer_filter *x, int64_t now_ms)
{
    if (is_dead(x))
        return false;
    x->dead_ms = now_ms > x->born_ms ? now_ms : x->born_ms;
    return true;
}

static bool is_sql(const struct subscription *s) { return strcmp(s->expression_type, "SQL92") == 0; }

static bool replace(struct consumer_filters *f, struct slice group, const struct subscription *s, int64_t now_ms)
{
    struct fault why = {0};
    struct slice topic = slice_str(s->topic);
    struct consumer_filter *x = find(f, topic, group);
    bool had = x != NULL;
    if (is_sql(s)) {
        x = put(f, group, topic, slice_str(s->sub_string), &why);
    } else {
        fault_set(&why, MQ_EINVAL, 0, "no such type");
        drop(f, group, topic);
        x = NULL;
    }
    if (x == NULL) {
        log_warn("filter", "expression refused group=%.*s topic=%s type=%.20s why=%s", SLICE_ARG(group), s->topic, s->expression_type, why.what);
        return had;
    }
    x->born_ms = now_ms;
    x->client_version = s->version;
    log_info("filter", "expression taken over group=%.*s topic=%s version=%lld", SLICE_ARG(group), s->topic, (long long)s->version);
    return true;
}

static bool heard_one(struct consumer_filters *f, struct slice group, const struct subscription *s, bool may_grow, int64_t now_ms)
{
    struct consumer_filter *x = find(f, slice_str(s->topic), group);
    if (x && s->version < x->client_version)
        return false;
    bool was_dead = x && is_dead(x), newer = x && s->version > x->client_version;
    if (x && (!newer || (slice_is(x->expression, s->sub_string) && is_sql(s)))) {
        x->client_version = s->version;
        x->dead_ms = 0;
        return was_dead || newer;
    }
    return (x || may_grow) && replace(f, group, s, now_ms);
}

void consumer_filters_heard(struct consumer_filters *f, const struct consumer_group *g, bool may_grow, int64_t now_ms)
{
    struct slice name = g->node.key;
    bool changed = false;
    for (struct hash_node *n = hashmap_first(&g->subscriptions); n; n = hashmap_next(&g->subscriptions, n)) {
        const struct subscription *s = CONTAINER_OF(n, struct subscription, node);
        if (!s->is_tag && *s->sub_string)
            changed = heard_one(f, name, s, may_grow, now_ms) || changed;
    }
    const struct filter_group *mine = group_of(hashmap_get(&f->groups, name));
    for (struct hash_node *n = mine ? hashmap_first(&mine->topics) : NULL; n; n = hashmap_next(&mine->topics, n))
        if (hashmap_get(&g->subscriptions, n->key) == NULL)
            changed = die(filter_of(n), now_ms) || changed;
    if (changed)
        config_file_changed(f->file);
}

void consumer_filters_gone(struct consumer_filters *f, struct slice group, int64_t now_ms)
{
    const struct filter_group *g = group_of(hashmap_get(&f->groups, group));
    bool changed = false;
    for (struct hash_node *n = g ? hashmap_first(&g->topics) : NULL; n; n = hashmap_next(&g->topics, n))
        changed = die(filter_of(n), now_ms) || changed;
    if (changed)
        config_file_changed(f->file);
}

void consumer_filters_chores(struct consumer_filters *f, int64_t now_ms)
{
    size_t before = f->n;
    for (struct hash_node *next, *n = hashmap_first(&f->groups); n; n = next) {
        struct filter_group *g = group_of(n);
        next = hashmap_next(&f->groups, n);
        for (struct hash_node *after, *m = hashmap_first(&g->topics); m; m = after) {
            struct consumer_filter *x = filter_of(m);
            after = hashmap_next(&g->topics, m);
            if (is_dead(x) && now_ms - x->dead_ms >= f->setup.keep_ms)
                filter_free(f, g, x);
        }
        forget_if_empty(f, g);
    }
    if (f->n != before)
        config_file_changed(f->file);
    config_file_retry(f->file);
}
