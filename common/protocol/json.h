/* json.h - JSON as fastjson writes it (compact, odd keys) and a reader that forgives what fastjson forgives.
 * Thread: any; pure. Bodies are parsed with jansson; what jansson refuses (unquoted numeric keys, objects as keys) is
 * rewritten first. */
#ifndef COMMON_PROTOCOL_JSON_H
#define COMMON_PROTOCOL_JSON_H
#include <jansson.h>
#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/slice.h"

/* Parses text in which keys may be unquoted numbers ({0:"a"}), bare words, or objects ({{"topic":"t"}:1}): such a key becomes
 * the string of its compact text. NULL when malformed (why says where) or deeper than JSON_DEPTH_MAX. End with json_decref(). */
enum { JSON_DEPTH_MAX = 64 };
json_t *json_parse(struct slice text, struct fault *why);
/* Members, with a default for absent or wrongly typed; strings holding numbers count as numbers and the reverse. */
struct slice json_str(const json_t *object, const char *key);                  /* p == NULL when absent; borrowed */
int64_t json_i64(const json_t *object, const char *key, int64_t absent);
bool json_flag(const json_t *object, const char *key, bool absent);

/* ---- writing: a flat writer that knows only commas; with `pretty` it writes fastjson's tab-indented form ---- */
struct jw {
    struct buf *out;
    bool pretty;
    int depth;
    bool first; /* nothing written yet at this level */
    bool after_key;
};
struct jw jw_over(struct buf *out, bool pretty);
void jw_object(struct jw *w);
void jw_end_object(struct jw *w);
void jw_array(struct jw *w);
void jw_end_array(struct jw *w);
void jw_key(struct jw *w, const char *key);                 /* quoted and escaped */
void jw_key_slice(struct jw *w, struct slice key);
void jw_key_raw(struct jw *w, struct slice text);           /* as it is: 0, or an object's text */
void jw_str(struct jw *w, struct slice value);              /* p == NULL writes null */
void jw_i64(struct jw *w, int64_t value);
void jw_bool(struct jw *w, bool value);
void jw_double(struct jw *w, double value);                 /* as Java's Double.toString for plain values: 0.0, 12.5 */
void jw_raw(struct jw *w, struct slice json);               /* an encoded value */
/* key and value at once */
void jw_kv_str(struct jw *w, const char *key, struct slice value);
void jw_kv_i64(struct jw *w, const char *key, int64_t value);
void jw_kv_bool(struct jw *w, const char *key, bool value);
void json_quote(struct buf *out, struct slice text); /* with the quotes; invalid UTF-8 becomes U+FFFD */
#endif
