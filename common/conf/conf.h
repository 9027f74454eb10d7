/* conf.h - settings: one table per program gives parsing, bounds, words for errors, printing, live change and documentation.
 *     static const struct conf_key keys[] = {
 *         {"listenPort", CONF_INT, offsetof(struct my_config, listen_port), "10911", 1, 65535, AT_START, "TCP port for clients", NULL},
 * Files are Java properties. Thread: one owner. Strings in the config struct belong to it: end with conf_free(). */
#ifndef COMMON_CONF_CONF_H
#define COMMON_CONF_CONF_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/slice.h"

enum conf_type {
    CONF_INT,  /* int32_t */
    CONF_I64,  /* int64_t */
    CONF_BYTES, /* int64_t; 512m and the like may be written: k, m, g are powers of 1024 */
    CONF_BOOL, /* bool; only "true" in any case is true */
    CONF_STR,  /* char *, yours with the struct; never NULL after conf_defaults() */
    CONF_ENUM  /* int32_t: index into names */
};
enum conf_apply {
    AT_START,  /* read when the program starts */
    LIVE,      /* may change while it runs */
    NO_EFFECT  /* a key of Apache's that means nothing here: accepted, shown, ignored */
};
struct conf_key {
    const char *name;
    enum conf_type type;
    size_t at;                /* offset in the config struct */
    const char *def;          /* default, as text */
    int64_t low, high;        /* bounds of the numbers; of the length for CONF_STR (0, 0: none) */
    enum conf_apply apply;
    const char *help;         /* one line; units */
    const char *const *names; /* CONF_ENUM: NULL-terminated, in Apache's spelling */
};
struct conf_table {
    const struct conf_key *keys;
    size_t n;
};

/* Sets every key to its default. cfg is zeroed memory, or an earlier config. MQ_ENOMEM. */
enum mq_err conf_defaults(const struct conf_table *t, void *cfg, struct fault *why);
void conf_free(const struct conf_table *t, void *cfg);
/* Reads a properties file. MQ_EIO (cannot be read), MQ_EINVAL ("broker.conf:12: listenPort=x: expected a number from 1 to 65535"): some
 * keys may be set. unknown: told of each key that the table lacks (NULL allowed). */
typedef void conf_unknown_fn(void *arg, const char *file, unsigned line, struct slice key);
enum mq_err conf_load_file(const struct conf_table *t, void *cfg, const char *file, conf_unknown_fn *unknown, void *arg, struct fault *why);
/* The same from text; `name` stands in the words. */
enum mq_err conf_load_text(const struct conf_table *t, void *cfg, const char *name, struct slice text, conf_unknown_fn *unknown, void *arg,
                           struct fault *why);
/* One key. MQ_ENOTFOUND: no such key; MQ_EINVAL: value not allowed, and nothing changed. */
enum mq_err conf_set(const struct conf_table *t, void *cfg, struct slice key, struct slice value, struct fault *why);
/* The same for a running program: MQ_EREFUSED for keys that are read at start only (NO_EFFECT ones are accepted). */
enum mq_err conf_set_live(const struct conf_table *t, void *cfg, struct slice key, struct slice value, struct fault *why);
const struct conf_key *conf_find(const struct conf_table *t, struct slice key); /* NULL when absent */
void conf_value(const struct conf_key *k, const void *cfg, struct buf *out);    /* as text */
/* key=value lines, sorted by key. */
void conf_print(const struct conf_table *t, const void *cfg, struct buf *out);
/* Rows for docs/config.md, in the table's order: keys that act, then those without effect. */
void conf_markdown(const struct conf_table *t, const char *title, struct buf *out);

/* ---- properties text, for others than tables: 25's body ---- */
/* Next key and value; escapes decoded into `scratch` (cleared per call). False at the end. *line counts from 1. */
bool properties_next(struct slice *rest, unsigned *line, struct buf *scratch, struct slice *key, struct slice *value);
#endif
