/* words.h - how Apache's mqadmin writes times, versions, permissions and what Java's toString() makes of maps and bytes.
 * Thread: any; pure, but for the local time zone. Times are milliseconds since 1970. */
#ifndef CLIENT_ADMIN_MQADMIN_WORDS_H
#define CLIENT_ADMIN_MQADMIN_WORDS_H
#include <jansson.h>
#include "common/base/buf.h"
#include "common/protocol/message.h"

enum { WORDS_MAX = 40 };
const char *words_time(int64_t ms, char out[WORDS_MAX]);    /* 2026-03-01 12:00:00,123 */
const char *words_seconds(int64_t ms, char out[WORDS_MAX]); /* 2026-03-01 12:00:00 */
const char *words_digits(int64_t ms, char out[WORDS_MAX]);  /* 20260301120000123 */
/* A number of milliseconds, or 2026-03-01#12:00:00:123 in local time. False: neither. */
bool words_read_time(const char *text, int64_t *ms);
const char *words_version(int64_t version, char out[WORDS_MAX]); /* an ordinal of MQVersion: V4_9_8 */
const char *words_perm(int64_t perm, char out[4]);               /* RW-, and X for inherited */
const char *words_bool(bool yes);
/* {KEYS=k, TAGS=t}: encoded properties, and two more (NULL names: none), in the order in which a Java HashMap gives them. */
struct words_extra {
    const char *name;
    int64_t value;
};
void words_properties(struct buf *out, struct slice props, const struct words_extra *extra, size_t n_extra);
void words_bytes(struct buf *out, struct slice bytes);        /* [104, -61]: Arrays.toString() */
void words_host(struct buf *out, const struct host *h);       /* 127.0.0.1:10911 */
/* A JSON value as fastjson writes an object: members by name; pretty: a line each, indented by tabs, arrays on one line. */
void words_json(struct buf *out, const json_t *value, bool pretty);
/* The names of an object's members, sorted; *n of them. Yours, mem_free(); borrowed names. NULL and 0: out of memory. */
const char **words_keys(const json_t *object, size_t *n);
/* A text member of an object as Java prints it: "null" when it is not there. */
const char *words_member(const json_t *object, const char *key);
#endif
