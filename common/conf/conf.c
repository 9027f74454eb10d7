/* conf.c - see conf.h. A value is checked before anything is changed: a refused key leaves the config as it was. */
#include "common/conf/conf.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

enum { FILE_MAX = 1 << 20 }; /* bytes of a settings file */

const struct conf_key *conf_find(const struct conf_table *t, struct slice key)
{
    for (size_t i = 0; i < t->n; i++)
        if (slice_is(key, t->keys[i].name))
            return &t->keys[i];
    return NULL;
}

static enum mq_err refuse(const struct conf_key *k, struct slice value, struct fault *why)
{
    struct buf allowed = {0};
    switch (k->type) {
    case CONF_INT:
    case CONF_I64:
    case CONF_BYTES: buf_printf(&allowed, "a number from %" PRId64 " to %" PRId64, k->low, k->high); break;
    case CONF_STR: buf_printf(&allowed, "text of %" PRId64 " to %" PRId64 " bytes", k->low, k->high); break;
    case CONF_BOOL: buf_str(&allowed, "true or false"); break;
    case CONF_ENUM:
        buf_str(&allowed, "one of");
        for (size_t i = 0; k->names[i] != NULL; i++)
            buf_printf(&allowed, " %s", k->names[i]);
        break;
    }
    enum mq_err err = fault_set(why, MQ_EINVAL, 0, "%s=%.*s: expected %.*s", k->name, (int)(value.n < 40 ? value.n : 40), (const char *)value.p,
                                SLICE_ARG(buf_view(&allowed)));
    buf_free(&allowed);
    return err;
}

static bool bytes_i64(struct slice text, int64_t *out)
{
    static const char units[] = "kmg";
    const char *unit = text.n > 1 ? memchr(units, text.p[text.n - 1] | 32, 3) : NULL;
    unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
    if (unit)
        text.n--;
    if (!slice_i64(text, out) || *out > INT64_MAX >> shift || *out < 0)
        return false;
    *out <<= shift;
    return true;
}

static enum mq_err set(const struct conf_key *k, void *cfg, struct slice value, struct fault *why)
{
    void *at = (char *)cfg + k->at;
    int64_t number;
    switch (k->type) {
    case CONF_INT:
    case CONF_I64:
    case CONF_BYTES:
        if (!(k->type == CONF_BYTES ? bytes_i64 : slice_i64)(value, &number) || number < k->low || number > k->high)
            return refuse(k, value, why);
        if (k->type == CONF_INT)
            *(int32_t *)at = (int32_t)number;
        else
            *(int64_t *)at = number;
        return MQ_OK;
    case CONF_BOOL:
        if (!slice_bool(value) && !(value.n == 5 && (value.p[0] | 32) == 'f'))
            return refuse(k, value, why);
        *(bool *)at = slice_bool(value);
        return MQ_OK;
    case CONF_ENUM:
        for (int32_t i = 0; k->names[i] != NULL; i++)
            if (slice_is(value, k->names[i])) {
                *(int32_t *)at = i;
                return MQ_OK;
            }
        return refuse(k, value, why);
    case CONF_STR: break;
    }
    if (k->high > 0 && ((int64_t)value.n < k->low || (int64_t)value.n > k->high))
        return refuse(k, value, why);
    char *copy = slice_dup(value);
    if (copy == NULL)
        return fault_set(why, MQ_ENOMEM, 0, "set %s", k->name);
    mem_free(*(char **)at);
    *(char **)at = copy;
    return MQ_OK;
}

enum mq_err conf_defaults(const struct conf_table *t, void *cfg, struct fault *why)
{
    for (size_t i = 0; i < t->n; i++) {
        enum mq_err err = set(&t->keys[i], cfg, slice_str(t->keys[i].def), why);
        if (err != MQ_OK)
            return err;
    }
    return MQ_OK;
}

void conf_free(const struct conf_table *t, void *cfg)
{
    for (size_t i = 0; i < t->n; i++)
        if (t->keys[i].type == CONF_STR) {
            char **at = (char **)(void *)((char *)cfg + t->keys[i].at);
            mem_free(*at);
            *at = NULL;
        }
}

enum mq_err conf_set(const struct conf_table *t, void *cfg, struct slice key, struct slice value, struct fault *why)
{
    const struct conf_key *k = conf_find(t, key);
    if (k == NULL)
        return fault_set(why, MQ_ENOTFOUND, 0, "there is no key %.*s", (int)(key.n < 80 ? key.n : 80), (const char *)key.p);
    return set(k, cfg, value, why);
}

enum mq_err conf_set_live(const struct conf_table *t, void *cfg, struct slice key, struct slice value, struct fault *why)
{
    const struct conf_key *k = conf_find(t, key);
    if (k != NULL && k->apply == AT_START)
        return fault_set(why, MQ_EREFUSED, 0, "%s is read at start only: change the file and restart", k->name);
    return conf_set(t, cfg, key, value, why);
}

enum mq_err conf_load_text(const struct conf_table *t, void *cfg, const char *name, struct slice text, conf_unknown_fn *unknown, void *arg,
                           struct fault *why)
{
    struct buf scratch = {0};
    struct slice rest = text, key, value;
    unsigned line = 0;
    enum mq_err err = MQ_OK;
    while (err == MQ_OK && properties_next(&rest, &line, &scratch, &key, &value)) {
        struct fault inner = {0};
        err = conf_set(t, cfg, key, value, &inner);
        if (err == MQ_ENOTFOUND) {
            if (unknown != NULL)
                unknown(arg, name, line, key);
            err = MQ_OK;
        } else if (err != MQ_OK) {
            fault_set(why, err, 0, "%s:%u: %s", name, line, inner.what);
        }
    }
    if (err == MQ_OK && scratch.failed)
        err = fault_set(why, MQ_ENOMEM, 0, "read %s", name);
    buf_free(&scratch);
    return err;
}

enum mq_err conf_load_file(const struct conf_table *t, void *cfg, const char *file, conf_unknown_fn *unknown, void *arg, struct fault *why)
{
    FILE *f = fopen(file, "re");
    if (f == NULL)
        return fault_set(why, MQ_EIO, errno, "open %s", file);
    struct buf text = {0};
    uint8_t *at;
    size_t n = 0;
    do {
        at = buf_room(&text, 8192);
        n = at ? fread(at, 1, 8192, f) : 0;
        text.n += n;
    } while (n > 0 && text.n <= FILE_MAX);
    enum mq_err err = MQ_OK;
    if (ferror(f))
        err = fault_set(why, MQ_EIO, errno, "read %s", file);
    else if (text.failed)
        err = fault_set(why, MQ_ENOMEM, 0, "read %s", file);
    else if (text.n > FILE_MAX)
        err = fault_set(why, MQ_ELIMIT, 0, "%s is larger than %d bytes", file, FILE_MAX);
    else
        err = conf_load_text(t, cfg, file, buf_view(&text), unknown, arg, why);
    fclose(f);
    buf_free(&text);
    return err;
}

/* ---- showing ---- */

void conf_value(const struct conf_key *k, const void *cfg, struct buf *out)
{
    const void *at = (const char *)cfg + k->at;
    switch (k->type) {
    case CONF_INT: buf_i64_text(out, *(const int32_t *)at); break;
    case CONF_I64:
    case CONF_BYTES: buf_i64_text(out, *(const int64_t *)at); break;
    case CONF_BOOL: buf_str(out, *(const bool *)at ? "true" : "false"); break;
    case CONF_ENUM: buf_str(out, k->names[*(const int32_t *)at]); break;
    case CONF_STR:
        if (*(char *const *)at != NULL)
            buf_str(out, *(char *const *)at);
        break;
    }
}

static int by_name(const void *a, const void *b)
{
    const struct conf_key *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

void conf_print(const struct conf_table *t, const void *cfg, struct buf *out)
{
    const struct conf_key **sorted = mem_alloc(t->n * sizeof *sorted);
    if (sorted == NULL) {
        out->failed = true;
        return;
    }
    for (size_t i = 0; i < t->n; i++)
        sorted[i] = &t->keys[i];
    qsort(sorted, t->n, sizeof *sorted, by_name);
    for (size_t i = 0; i < t->n; i++) {
        buf_str(out, sorted[i]->name);
        buf_u8(out, '=');
        conf_value(sorted[i], cfg, out);
        buf_u8(out, '\n');
    }
    mem_free(sorted);
}

static void bounds(const struct conf_key *k, struct buf *out)
{
    switch (k->type) {
    case CONF_INT:
    case CONF_I64:
    case CONF_BYTES: buf_printf(out, "%" PRId64 " to %" PRId64, k->low, k->high); break;
    case CONF_BOOL: buf_str(out, "true, false"); break;
    case CONF_STR: buf_str(out, "text"); break;
    case CONF_ENUM:
        for (size_t i = 0; k->names[i] != NULL; i++)
            buf_printf(out, "%s%s", i ? ", " : "", k->names[i]);
        break;
    }
}

void conf_markdown(const struct conf_table *t, const char *title, struct buf *out)
{
    buf_printf(out, "## %s\n\n| key | default | values | takes effect | meaning |\n|---|---|---|---|---|\n", title);
    for (size_t i = 0; i < t->n; i++) {
        const struct conf_key *k = &t->keys[i];
        if (k->apply == NO_EFFECT)
            continue;
        const char *tick = k->def[0] ? "`" : "";
        buf_printf(out, "| `%s` | %s%s%s | ", k->name, tick, k->def, tick);
        bounds(k, out);
        buf_printf(out, " | %s | %s |\n", k->apply == LIVE ? "at once" : "at start", k->help);
    }
    bool any = false;
    for (size_t i = 0; i < t->n; i++)
        if (t->keys[i].apply == NO_EFFECT) {
            buf_printf(out, "%s`%s`", any ? ", " : "\nAccepted for the sake of Apache's files, without effect here: ", t->keys[i].name);
            any = true;
        }
    buf_str(out, any ? ".\n\n" : "\n");
}
