/* command_json.c - the header of a command as JSON: a scanner that reads what clients send, once, without a tree.
 *
 * It accepts JSON objects of any key order and nesting up to a bound; what it does not know it skips. A value of extFields may be a
 * string, a number or a boolean: its text is kept as it came. Strings without escapes point into the frame; the others are
 * decoded into the arena.
 * What all known clients write is compact, so keys and fields are read in one go (plain_key(), plain_fields()); whatever is not as
 * expected is left to the general functions, from the byte on where it begins. Java's clients write all members in the same order:
 * usual_header() knows it, and else it is as if nothing had been read.
 *   I1  nothing beyond `end` is read, whatever the bytes.              (test: fuzz/command)
 *   I2  work is linear in the header's length: nesting is counted, not recursed into.
 *   I3  blanks between tokens, with which only the general functions can do, change nothing.      (test: fuzz/command_json) */
#include "common/protocol/command_internal.h"

#include <assert.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "common/base/find2.h"
#include "common/protocol/codes.h"
#include "common/protocol/json.h"
#include "common/protocol/rd.h"

struct scan {
    const uint8_t *p, *end;
    struct arena *arena;
    uint8_t *text; /* where the next text with escapes goes; NULL: there was none yet */
    struct fault *why;
    bool no_memory;
};

static void blanks(struct scan *s)
{
    while (s->p < s->end && *s->p <= ' ' && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r'))
        s->p++;
}

/* The first quote or backslash, which ends what needs no decoding. */
static inline const uint8_t *plain_end(const uint8_t *p, const uint8_t *end) { return find2(p, end, '"', '\\'); }

static inline bool eat(struct scan *s, uint8_t c)
{
    if (s->p < s->end && *s->p == c) { /* compact JSON, as all known clients write it */
        s->p++;
        return true;
    }
    blanks(s);
    if (s->p == s->end || *s->p != c)
        return false;
    s->p++;
    return true;
}

static inline bool hex4(const uint8_t *p, uint32_t *out)
{
    uint32_t v = 0;
    for (int i = 0; i < 4; i++) {
        uint8_t c = p[i];
        uint32_t d = c >= '0' && c <= '9' ? (uint32_t)(c - '0') : (c | 32) >= 'a' && (c | 32) <= 'f' ? (uint32_t)((c | 32) - 'a' + 10) : 16;
        if (d == 16)
            return false;
        v = v << 4 | d;
    }
    *out = v;
    return true;
}

static size_t utf8(uint32_t u, uint8_t *out)
{
    if (u < 0x80) {
        out[0] = (uint8_t)u;
        return 1;
    }
    if (u < 0x800) {
        out[0] = (uint8_t)(0xc0 | u >> 6);
        out[1] = (uint8_t)(0x80 | (u & 63));
        return 2;
    }
    if (u < 0x10000) {
        out[0] = (uint8_t)(0xe0 | u >> 12);
        out[1] = (uint8_t)(0x80 | (u >> 6 & 63));
        out[2] = (uint8_t)(0x80 | (u & 63));
        return 3;
    }
    out[0] = (uint8_t)(0xf0 | u >> 18);
    out[1] = (uint8_t)(0x80 | (u >> 12 & 63));
    out[2] = (uint8_t)(0x80 | (u >> 6 & 63));
    out[3] = (uint8_t)(0x80 | (u & 63));
    return 4;
}

/* The escape at p, a backslash: its text goes to *to, which moves on. The byte behind it, or NULL. */
static const uint8_t *unescape(const uint8_t *p, const uint8_t *end, uint8_t **to)
{
    uint32_t u, low;
    if (end - p < 2)
        return NULL;
    uint8_t c = p[1];
    p += 2;
    switch (c) {
    case '"': case '\\': case '/': case '\'': break;
    case 'b': c = '\b'; break;
    case 'f': c = '\f'; break;
    case 'n': c = '\n'; break;
    case 'r': c = '\r'; break;
    case 't': c = '\t'; break;
    case 'v': c = '\v'; break;
    case '0': case '1': case '2': case '3': case '4': case '5': case '6': case '7': c = (uint8_t)(c - '0'); break; /* fastjson's */
    case 'u':
        if (end - p < 4 || !hex4(p, &u))
            return NULL;
        p += 4;
        if (u >= 0xd800 && u < 0xdc00 && end - p >= 6 && p[0] == '\\' && p[1] == 'u' && hex4(p + 2, &low) && low >= 0xdc00 && low < 0xe000) {
            u = 0x10000 + ((u - 0xd800) << 10) + (low - 0xdc00);
            p += 6;
        } else if (u >= 0xd800 && u < 0xe000) {
            u = 0xfffd;
        }
        *to += utf8(u, *to);
        return p;
    default: return NULL;
    }
    *(*to)++ = c;
    return p;
}

/* A string from `from` on that has its first escape at `at`. All that is decoded goes into one piece of the arena, as long as what was left of
 * the header when the first escape was met: decoding never makes a text longer. */
static bool escaped_string(struct scan *s, const uint8_t *from, const uint8_t *at, struct slice *out)
{
    if (s->text == NULL && (s->text = arena_alloc(s->arena, (size_t)(s->end - from))) == NULL) {
        s->no_memory = true;
        return false;
    }
    uint8_t *to = s->text;
    for (;;) {
        to = put_text(to, from, (size_t)(at - from));
        if (at == s->end)
            return false;
        if (*at == '"')
            break;
        if (s->end - at > 6 && memcmp(at, "\\u000", 5) == 0 && at[5] >= '0' && at[5] <= '9') { /* what separates properties */
            *to++ = (uint8_t)(at[5] - '0');
            from = at + 6;
        } else if ((from = unescape(at, s->end, &to)) == NULL) {
            return false;
        }
        at = plain_end(from, s->end);
    }
    *out = slice_make(s->text, (size_t)(to - s->text));
    s->text = to;
    s->p = at + 1;
    return true;
}

static inline bool string(struct scan *s, struct slice *out)
{
    if (!eat(s, '"'))
        return false;
    const uint8_t *from = s->p, *at = plain_end(from, s->end);
    if (at == s->end)
        return false;
    if (*at != '"')
        return escaped_string(s, from, at, out);
    *out = slice_make(from, (size_t)(at - from));
    s->p = at + 1;
    return true;
}

static inline bool is_letter(uint8_t c) { return (uint8_t)((c | 32) - 'a') < 26; }

static bool is_word(uint8_t c)
{
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '-' || c == '+' || c == '.';
}

/* Passes over any value. Objects and arrays are counted, not recursed into; strings within are strings. */
static bool skip_value(struct scan *s)
{
    unsigned depth = 0;
    do {
        blanks(s);
        if (s->p == s->end)
            return false;
        uint8_t c = *s->p;
        if (c == '"') {
            struct slice ignored;
            if (!string(s, &ignored))
                return false;
        } else if (c == '{' || c == '[') {
            if (++depth > JSON_DEPTH_MAX)
                return false;
            s->p++;
            continue; /* something must follow before it may end */
        } else if (c == '}' || c == ']') {
            if (depth == 0)
                return false;
            depth--;
            s->p++;
        } else if (c == ',' || c == ':') {
            if (depth == 0)
                return false;
            s->p++;
            continue;
        } else if (is_word(c)) {
            while (s->p < s->end && is_word(*s->p))
                s->p++;
        } else {
            return false;
        }
    } while (depth > 0);
    return true;
}

/* A string, number or boolean as text; null gives out->p == NULL. Others are refused. */
static bool scalar(struct scan *s, struct slice *out)
{
    blanks(s);
    if (s->p == s->end)
        return false;
    if (*s->p == '"') {
        if (!string(s, out))
            return false;
        if (out->p == NULL)
            out->p = s->p;
        return true;
    }
    const uint8_t *from = s->p;
    while (s->p < s->end && is_word(*s->p))
        s->p++;
    *out = slice_make(from, (size_t)(s->p - from));
    if (out->n == 0)
        return false;
    if (slice_is(*out, "null"))
        *out = slice_make(NULL, 0);
    return true;
}

/* "key": without blanks and escapes. False: something else, and nothing was read. */
static inline bool plain_key(struct scan *s, struct slice *key)
{
    const uint8_t *p = s->p, *end = s->end;
    if (p == end || *p != '"')
        return false;
    const uint8_t *k_end = plain_end(++p, end);
    if (end - k_end < 2 || k_end[0] != '"' || k_end[1] != ':')
        return false;
    *key = slice_make(p, (size_t)(k_end - p));
    s->p = k_end + 2;
    return true;
}

/* Fields as nearly all clients write nearly all of theirs: "key":"value", without blanks and escapes, and another one follows. Reads up
 * to `room` of them, stops in front of the first that is something else, or near the header's end, and returns how many there were. */
static inline uint32_t plain_fields(struct scan *s, struct ext_field *to, uint32_t room)
{
    enum { MARGIN = 8 + FIND2_STEP }; /* a key of one letter and the first step of its value can be read unasked */
    const uint8_t *p = s->p, *end = s->end, *last = end - p > MARGIN ? end - MARGIN : p;
    uint32_t n = 0;
    for (; n < room && p < last && *p == '"'; n++) {
        const uint8_t *key = p + 1, *key_end = key + 1;
        if (!is_letter(*key) || memcmp(key_end, "\":\"", 3) != 0) { /* not one of a send's */
            key_end = plain_end(key, end);
            if (end - key_end < MARGIN || memcmp(key_end, "\":\"", 3) != 0)
                break;
        }
        const uint8_t *value = key_end + 3, *value_end = find2_step(value, '"', '\\');
        if (value_end == value + FIND2_STEP && end - (value_end = plain_end(value_end, end)) < 2)
            break;
        if (memcmp(value_end, "\",", 2) != 0)
            break;
        to[n].key = slice_make(key, (size_t)(key_end - key));
        to[n].value = slice_make(value, (size_t)(value_end - value));
        p = value_end + 2;
    }
    s->p = p;
    return n;
}

/* Room for all fields that can be in what is left of the header. */
static struct ext_field *fields_room(struct scan *s)
{
    enum { LEAST = sizeof "\"\":1," - 1 };
    size_t most = (size_t)(s->end - s->p) / LEAST + 1;
    struct ext_field *all = arena_alloc(s->arena, (most < COMMAND_EXT_MAX ? most : COMMAND_EXT_MAX) * sizeof *all);
    s->no_memory = all == NULL;
    return all;
}

/* The members of extFields, and the brace behind them. */
static bool fields(struct scan *s, struct command *out)
{
    struct ext_field *found = NULL;
    uint32_t n = 0;
    if (!eat(s, '}')) {
        if ((found = fields_room(s)) == NULL)
            return false;
        do {
            struct slice key, value;
            n += plain_fields(s, found + n, COMMAND_EXT_MAX - n);
            if (!plain_key(s, &key) && (!string(s, &key) || !eat(s, ':')))
                return false;
            if (!scalar(s, &value))
                return false;
            if (value.p == NULL)
                continue;
            if (n == COMMAND_EXT_MAX) {
                fault_set(s->why, MQ_ELIMIT, 0, "more than %d ext fields", COMMAND_EXT_MAX);
                return false;
            }
            found[n++] = (struct ext_field){key, value};
        } while (eat(s, ','));
        if (!eat(s, '}'))
            return false;
    }
    if (n > 0)
        out->ext = found;
    out->n_ext = n;
    return true;
}

static bool ext_fields(struct scan *s, struct command *out)
{
    struct slice word;
    blanks(s);
    if (s->p < s->end && *s->p == 'n')
        return scalar(s, &word) && word.p == NULL;
    return eat(s, '{') && fields(s, out);
}

static bool number(struct scan *s, int32_t *out)
{
    struct slice text;
    uint32_t v = 0, digit;
    const uint8_t *p = s->p, *end = s->end - p > 9 ? p + 9 : s->end; /* so many digits always fit */
    for (; p < end && (digit = *p - (uint32_t)'0') <= 9; p++)
        v = v * 10 + digit;
    if (p > s->p && p < s->end && (*p == ',' || *p == '}')) {
        *out = (int32_t)v;
        s->p = p;
        return true;
    }
    if (!scalar(s, &text))
        return false;
    if (text.p == NULL) /* null leaves what was there */
        return true;
    return slice_i32(text, out);
}

static uint8_t language_of(struct slice name)
{
#define LANGUAGE_ROW(word, code) {sizeof #word - 1, code, #word},
    static const struct {
        uint8_t n, code;
        const char *name;
    } all[] = {LANGUAGES(LANGUAGE_ROW)};
#undef LANGUAGE_ROW
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (name.n == all[i].n && memcmp(name.p, all[i].name, name.n) == 0)
            return all[i].code;
    return LANGUAGE_OTHER;
}

static bool member(struct scan *s, struct slice key, struct command *out)
{
    struct slice word;
    switch (key.n) {
    case 4:
        if (slice_is(key, "code"))
            return number(s, &out->code);
        if (slice_is(key, "flag"))
            return number(s, &out->flag);
        break;
    case 6:
        if (slice_is(key, "opaque"))
            return number(s, &out->opaque);
        if (slice_is(key, "remark"))
            return scalar(s, &out->remark);
        break;
    case 7:
        if (slice_is(key, "version"))
            return number(s, &out->version);
        break;
    case 8:
        if (slice_is(key, "language")) {
            if (!scalar(s, &word))
                return false;
            if (word.p != NULL)
                out->language = language_of(word);
            return true;
        }
        break;
    case 9:
        if (slice_is(key, "extFields"))
            return ext_fields(s, out);
        break;
    default: break;
    }
    return skip_value(s);
}

/* Takes a text that is expected here as it is. */
#define TAKE(s, text) take(s, text, sizeof(text) - 1)
static inline bool take(struct scan *s, const char *text, size_t n)
{
    if ((size_t)(s->end - s->p) < n || memcmp(s->p, text, n) != 0)
        return false;
    s->p += n;
    return true;
}

/* A request as fastjson writes it for Java's clients, with fields and without a remark. */
static bool usual_header(struct scan *s, struct command *c)
{
    c->language = LANGUAGE_JAVA;
    return TAKE(s, "{\"code\":") && number(s, &c->code) && TAKE(s, ",\"extFields\":{") && fields(s, c) && TAKE(s, ",\"flag\":") && number(s, &c->flag) &&
           TAKE(s, ",\"language\":\"JAVA\",\"opaque\":") && number(s, &c->opaque) &&
           TAKE(s, ",\"serializeTypeCurrentRPC\":\"JSON\",\"version\":") && number(s, &c->version) && TAKE(s, "}") && s->p == s->end;
}

enum mq_err command_json_decode(struct slice header, struct arena *arena, struct command *out, struct fault *why)
{
    struct fault none;
    const struct scan start = {.p = header.p, .end = header.p + header.n, .arena = arena, .why = why != NULL ? why : &none};
    struct scan s = start;
    struct command c = {.serialize = SERIALIZE_JSON};
    if (usual_header(&s, &c)) {
        *out = c;
        return MQ_OK;
    }
    s = start;
    c = (struct command){.language = LANGUAGE_OTHER, .serialize = SERIALIZE_JSON};
    s.why->err = MQ_OK;
    struct slice key = SLICE_LIT("header");

    if (!eat(&s, '{'))
        goto malformed;
    if (!eat(&s, '}')) {
        do {
            if (!plain_key(&s, &key) && (!string(&s, &key) || !eat(&s, ':')))
                goto malformed;
            if (!member(&s, key, &c))
                goto malformed;
        } while (eat(&s, ','));
        key = SLICE_LIT("end");
        if (!eat(&s, '}'))
            goto malformed;
    }
    blanks(&s);
    if (s.p != s.end)
        goto malformed;
    *out = c;
    return MQ_OK;

malformed:
    if (s.no_memory)
        return fault_set(why, MQ_ENOMEM, 0, "decode header");
    if (s.why->err == MQ_ELIMIT)
        return MQ_ELIMIT;
    return fault_set(why, MQ_EMALFORMED, 0, "JSON header, byte %zu, at %.*s", (size_t)(s.p - header.p), (int)(key.n < 40 ? key.n : 40),
                     (const char *)key.p);
}

/* ---- writing ---- */

#ifdef __SSE2__
static inline bool plain16(__m128i v) /* signed comparison: bytes from 0x80 on are below the blank, too */
{
    const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\'), blank = _mm_set1_epi8(0x20);
    return _mm_movemask_epi8(_mm_or_si128(_mm_cmplt_epi8(v, blank), _mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, backslash)))) == 0;
}
#endif

bool json_is_plain(struct slice s)
{
    size_t i = 0;
#ifdef __SSE2__
    uint64_t low, high;
    for (; s.n - i > 16; i += 16)
        if (!plain16(_mm_loadu_si128((const __m128i *)(const void *)(s.p + i))))
            return false;
    if (s.n >= 16) /* what is left overlaps with what was seen, and so do two words of a short one */
        return plain16(_mm_loadu_si128((const __m128i *)(const void *)(s.p + s.n - 16)));
    if (s.n >= 8) {
        memcpy(&low, s.p, 8);
        memcpy(&high, s.p + s.n - 8, 8);
        return plain16(_mm_set_epi64x((long long)high, (long long)low));
    }
#endif
    while (i < s.n && s.p[i] >= 0x20 && s.p[i] != '"' && s.p[i] != '\\' && s.p[i] < 0x80)
        i++;
    return i == s.n;
}

void json_text(struct buf *out, struct slice s)
{
    if (!json_is_plain(s)) {
        json_quote(out, s);
        return;
    }
    uint8_t *at = buf_room(out, s.n + 2);
    if (at == NULL)
        return;
    at[0] = '"';
    if (s.n > 0)
        memcpy(at + 1, s.p, s.n);
    at[s.n + 1] = '"';
    out->n += s.n + 2;
}

static const char *language_name(uint8_t code)
{
#define LANGUAGE_NAME(word, number) [number] = #word,
    static const char *const all[] = {LANGUAGES(LANGUAGE_NAME)};
#undef LANGUAGE_NAME
    return code < sizeof all / sizeof *all ? all[code] : "OTHER";
}

/* Members in fastjson's order: alphabetical. */
void command_json_open(struct buf *out, int32_t code)
{
    buf_put(out, "{\"code\":", 8);
    buf_i64_text(out, code);
}

void command_json_close(struct buf *out, const struct command *c)
{
    buf_put(out, ",\"flag\":", 8);
    buf_i64_text(out, c->flag);
    buf_str(out, ",\"language\":\"");
    buf_str(out, language_name(c->language));
    buf_put(out, "\",\"opaque\":", 11);
    buf_i64_text(out, c->opaque);
    if (c->remark.p != NULL) {
        buf_put(out, ",\"remark\":", 10);
        json_text(out, c->remark);
    }
    buf_str(out, ",\"serializeTypeCurrentRPC\":\"JSON\",\"version\":");
    buf_i64_text(out, c->version);
    buf_u8(out, '}');
}

static void ext_comma(struct buf *out, bool first)
{
    if (first)
        buf_put(out, ",\"extFields\":{", 14);
    else
        buf_u8(out, ',');
}

void command_json_ext(struct buf *out, struct slice key, struct slice value, bool first)
{
    ext_comma(out, first);
    json_text(out, key);
    buf_u8(out, ':');
    json_text(out, value);
}
