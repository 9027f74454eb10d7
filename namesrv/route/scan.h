/* scan.h - a bounded walk over JSON text without building anything: for bodies of megabytes of which little is wanted.
 * Forgives what Apache's JSON library forgives: blanks, keys without quotes, numbers in quotes. Sticky as struct rd is:
 * the first thing that does not fit sets `bad`, all later calls do nothing.
 * Thread: any; pure. */
#ifndef NAMESRV_ROUTE_SCAN_H
#define NAMESRV_ROUTE_SCAN_H
#include <stdbool.h>
#include <stdint.h>
#include "common/base/slice.h"

enum { SCAN_DEPTH_MAX = 64 };
struct scan {
    const uint8_t *p, *end, *start;
    bool bad;
};

static inline struct scan scan_over(struct slice text) { return (struct scan){text.p, text.p + text.n, text.p, false}; }
static inline size_t scan_at(const struct scan *s) { return (size_t)(s->p - s->start); } /* for words about a fault */
/* Walks an object: for (scan_open(s, '{'); scan_key(s, &first, &key);) { exactly one of the readers below }
 * `first` starts true. key: what is between the quotes, escapes untouched. False after the closing brace, or when bad. */
void scan_open(struct scan *s, uint8_t bracket);
bool scan_key(struct scan *s, bool *first, struct slice *key);
bool scan_item(struct scan *s, bool *first); /* the same for an array */
/* A value, skipped; what it spans. */
struct slice scan_value(struct scan *s);
/* A string, its escapes untouched; null gives p == NULL. */
struct slice scan_str(struct scan *s);
int64_t scan_i64(struct scan *s, int64_t absent); /* a whole number, in quotes or not; null gives `absent` */
bool scan_end(struct scan *s); /* nothing but blanks is left, and all was well */
/* Resolves the escapes of a string into out[cap]: the bytes written, or false when it does not fit or an escape is wrong. */
bool scan_unescape(struct slice text, uint8_t *out, size_t cap, size_t *n);
#endif
