/* words.c - see words.h. (test: unit/admin, mqadmin_words) */
#include "client/admin/mqadmin/words.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/mem.h"
#include "common/protocol/json.h"

/* ---- times ---- */

static struct tm local(int64_t ms, int *rest)
{
    time_t s = (time_t)(ms / 1000);
    struct tm tm = {0};
    *rest = (int)(ms % 1000);
    if (*rest < 0) {
        *rest += 1000;
        s--;
    }
    localtime_r(&s, &tm);
    return tm;
}

const char *words_seconds(int64_t ms, char out[WORDS_MAX])
{
    int rest;
    struct tm tm = local(ms, &rest);
    out[strftime(out, WORDS_MAX, "%Y-%m-%d %H:%M:%S", &tm)] = '\0';
    return out;
}

const char *words_time(int64_t ms, char out[WORDS_MAX])
{
    int rest;
    struct tm tm = local(ms, &rest);
    size_t n = strftime(out, WORDS_MAX - 8, "%Y-%m-%d %H:%M:%S", &tm);
    snprintf(out + n, WORDS_MAX - n, ",%03d", rest);
    return out;
}

const char *words_digits(int64_t ms, char out[WORDS_MAX])
{
    int rest;
    struct tm tm = local(ms, &rest);
    size_t n = strftime(out, WORDS_MAX - 8, "%Y%m%d%H%M%S", &tm);
    snprintf(out + n, WORDS_MAX - n, "%03d", rest);
    return out;
}

bool words_read_time(const char *text, int64_t *ms)
{
    struct tm tm = {.tm_isdst = -1};
    int rest, used = 0;
    if (slice_i64(slice_str(text), ms))
        return true;
    if (sscanf(text, "%4d-%2d-%2d#%2d:%2d:%2d:%3d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &rest, &used) != 7 ||
        text[used] != '\0')
        return false;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    *ms = (int64_t)mktime(&tm) * 1000 + rest;
    return true;
}

/* ---- small things ---- */

const char *words_bool(bool yes) { return yes ? "true" : "false"; }

const char *words_perm(int64_t perm, char out[4])
{
    snprintf(out, 4, "%c%c%c", perm & 4 ? 'R' : '-', perm & 2 ? 'W' : '-', perm & 1 ? 'X' : '-');
    return out;
}

/* Versions of RocketMQ have ordinals in the order in which they were listed: a snapshot, then the version. */
const char *words_version(int64_t version, char out[WORDS_MAX])
{
    static const char *const oldest[] = {"V3_0_0_SNAPSHOT",       "V3_0_0_ALPHA1",         "V3_0_0_BETA1",          "V3_0_0_BETA2",
                                         "V3_0_0_BETA3",          "V3_0_0_BETA4",          "V3_0_0_BETA5",          "V3_0_0_BETA6_SNAPSHOT",
                                         "V3_0_0_BETA6",          "V3_0_0_BETA7_SNAPSHOT", "V3_0_0_BETA7",          "V3_0_0_BETA8_SNAPSHOT",
                                         "V3_0_0_BETA8",          "V3_0_0_BETA9_SNAPSHOT", "V3_0_0_BETA9",          "V3_0_0_FINAL"};
    static const struct {
        int first, major, minor, patch, patches, minors; /* ordinals from `first` on: so many minors, each with patches from `patch` on */
    } series[] = {{16, 3, 0, 1, 15, 1}, {46, 3, 1, 0, 10, 2}, {86, 3, 3, 1, 9, 7}, {212, 4, 0, 0, 10, 10}, {412, 5, 0, 0, 10, 10}};
    if (version >= 0 && version < 16)
        return oldest[version];
    for (size_t i = 0; i < sizeof series / sizeof *series; i++) {
        int64_t at = version - series[i].first, per_minor = series[i].patches * 2;
        if (at < 0 || at >= per_minor * series[i].minors)
            continue;
        snprintf(out, WORDS_MAX, "V%d_%d_%d%s", series[i].major, series[i].minor + (int)(at / per_minor), series[i].patch + (int)(at % per_minor / 2),
                 at % 2 == 0 ? "_SNAPSHOT" : "");
        return out;
    }
    return "HIGHER_VERSION";
}

void words_bytes(struct buf *out, struct slice bytes)
{
    buf_u8(out, '[');
    for (size_t i = 0; i < bytes.n; i++)
        buf_printf(out, "%s%d", i ? ", " : "", (int)(int8_t)bytes.p[i]);
    buf_u8(out, ']');
}

void words_host(struct buf *out, const struct host *h)
{
    char text[INET6_ADDRSTRLEN] = "";
    if (h->v6) { /* Java writes all eight groups */
        buf_u8(out, '[');
        for (int i = 0; i < 16; i += 2)
            buf_printf(out, "%s%x", i ? ":" : "", h->ip[i] << 8 | h->ip[i + 1]);
        buf_printf(out, "]:%d", (int)h->port);
        return;
    }
    inet_ntop(AF_INET, h->ip, text, sizeof text);
    buf_printf(out, "%s:%d", text, (int)h->port);
}

/* ---- a HashMap's order ---- */

struct pair {
    struct slice name, value;
    uint32_t hash;
};

/* Puts as a map does: an equal name keeps its place and gets the new value. */
static void pair_put(struct pair *all, size_t *n, struct slice name, struct slice value)
{
    for (size_t i = 0; i < *n; i++)
        if (slice_eq(all[i].name, name)) {
            all[i].value = value;
            return;
        }
    uint32_t h = (uint32_t)java_hash(name);
    all[(*n)++] = (struct pair){name, value, h ^ h >> 16};
}

/* A HashMap has 16 buckets, twice as many whenever three quarters are used up; within a bucket the order of coming is kept. */
static void pairs_print(struct buf *out, const struct pair *all, size_t n)
{
    size_t buckets = 16;
    const char *between = "";
    while (n > buckets / 4 * 3)
        buckets *= 2;
    buf_u8(out, '{');
    for (size_t b = 0; b < buckets; b++)
        for (size_t i = 0; i < n; i++)
            if ((all[i].hash & (buckets - 1)) == b) {
                buf_printf(out, "%s%.*s=%.*s", between, SLICE_ARG(all[i].name), SLICE_ARG(all[i].value));
                between = ", ";
            }
    buf_u8(out, '}');
}

void words_properties(struct buf *out, struct slice props, const struct words_extra *extra, size_t n_extra)
{
    struct slice rest = props, name, value;
    char digits[4][24];
    size_t room = n_extra, n = 0;
    while (prop_next(&rest, &name, &value))
        room++;
    struct pair *all = mem_alloc((room + 1) * sizeof *all);
    if (all == NULL) {
        out->failed = true;
        return;
    }
    rest = props;
    while (prop_next(&rest, &name, &value))
        pair_put(all, &n, name, value);
    for (size_t i = 0; i < n_extra && i < 4; i++) {
        snprintf(digits[i], sizeof digits[i], "%lld", (long long)extra[i].value);
        pair_put(all, &n, slice_str(extra[i].name), slice_str(digits[i]));
    }
    pairs_print(out, all, n);
    mem_free(all);
}

/* ---- JSON ---- */

static int by_text(const void *x, const void *y) { return strcmp(*(const char *const *)x, *(const char *const *)y); }

const char **words_keys(const json_t *object, size_t *n)
{
    const char **keys = mem_alloc((json_object_size(object) + 1) * sizeof *keys), *key;
    json_t *member;
    *n = 0;
    json_object_foreach((json_t *)(uintptr_t)object, key, member)
        if (keys != NULL)
            keys[(*n)++] = key;
    if (*n > 0)
        qsort(keys, *n, sizeof *keys, by_text);
    return keys;
}

static void json_value(struct jw *w, const json_t *v);

static void json_members(struct jw *w, const json_t *v)
{
    size_t n;
    const char **keys = words_keys(v, &n);
    if (keys == NULL)
        w->out->failed = true;
    for (size_t i = 0; i < n; i++) {
        const json_t *member = json_object_get(v, keys[i]);
        if (json_is_null(member))
            continue; /* fastjson leaves it out */
        jw_key(w, keys[i]);
        json_value(w, member);
    }
    mem_free(keys);
}

static void json_value(struct jw *w, const json_t *v)
{
    if (json_is_object(v)) {
        jw_object(w);
        json_members(w, v);
        jw_end_object(w);
    } else if (json_is_array(v)) {
        struct buf text = {0}; /* sets stay on one line, also in the pretty form */
        struct jw line = jw_over(&text, false);
        jw_array(&line);
        for (size_t i = 0; i < json_array_size(v); i++)
            json_value(&line, json_array_get(v, i));
        jw_end_array(&line);
        jw_raw(w, buf_view(&text));
        buf_free(&text);
    } else if (json_is_string(v)) {
        jw_str(w, slice_make(json_string_value(v), json_string_length(v)));
    } else if (json_is_integer(v)) {
        jw_i64(w, json_integer_value(v));
    } else if (json_is_real(v)) {
        jw_double(w, json_real_value(v));
    } else if (json_is_boolean(v)) {
        jw_bool(w, json_is_true(v));
    } else {
        jw_str(w, (struct slice){0});
    }
}

void words_json(struct buf *out, const json_t *value, bool pretty)
{
    struct jw w = jw_over(out, pretty);
    json_value(&w, value);
}

const char *words_member(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "null";
}
