/* register_body.c - registrations are the name server's heaviest input: every broker repeats all its topics every 30 s, 150
 * bytes each. So the text is walked in place: a first walk finds the parts and checks them, the second, for topics, happens
 * only when the version is news (routes.h). Nothing is allocated but for an inflated body and the filter servers' slices.
 *
 *   I1  What the first walk accepted, the second reads the same way: both are next_member() and next_line().
 *       (test: every_cut_of_a_body_is_refused; fuzz: register_body)
 *   I2  A compressed body is inflated up to a limit, whatever its own lengths claim. (test: a_bomb_is_refused)
 * Nearly all members are spelled the same to the byte; usual_member() compares these with a template and
 * leaves the others to the scanner. (test: unusual_spellings_are_read_as_the_usual_one) */
#include "namesrv/route/register_body.h"

#include <zlib.h>

#include "common/protocol/rd.h"
#include "namesrv/route/scan.h"

static enum mq_err malformed(struct fault *why, const char *what, size_t at)
{
    return fault_set(why, MQ_EMALFORMED, 0, "%s is malformed at byte %zu", what, at);
}

/* ---- data version ---- */
static void scan_version(struct scan *s, struct data_version *out)
{
    struct slice key;
    bool first = true;
    *out = (struct data_version){0};
    for (scan_open(s, '{'); scan_key(s, &first, &key);)
        if (slice_is(key, "counter"))
            out->counter = scan_i64(s, 0);
        else if (slice_is(key, "timestamp"))
            out->timestamp = scan_i64(s, 0);
        else
            scan_value(s);
}

enum mq_err data_version_decode(struct slice json, struct data_version *out, struct fault *why)
{
    struct scan s = scan_over(json);
    struct data_version v;
    scan_version(&s, &v);
    if (!scan_end(&s))
        return malformed(why, "data version", scan_at(&s));
    *out = v;
    return MQ_OK;
}

void data_version_encode(const struct data_version *v, struct buf *out)
{
    buf_str(out, "{\"counter\":");
    buf_i64_text(out, v->counter);
    buf_str(out, ",\"timestamp\":");
    buf_i64_text(out, v->timestamp);
    buf_u8(out, '}');
}

/* ---- topics ---- */
static int32_t scan_i32(struct scan *s, int32_t absent)
{
    int64_t v = scan_i64(s, absent);
    if (v < INT32_MIN || v > INT32_MAX)
        s->bad = true;
    return s->bad ? absent : (int32_t)v;
}

static struct slice plain_name(struct register_topics *w, struct slice raw, struct scan *s)
{
    size_t n;
    if (raw.n == 0 || memchr(raw.p, '\\', raw.n) == NULL)
        return raw;
    if (!scan_unescape(raw, w->name, sizeof w->name, &n))
        s->bad = true;
    return s->bad ? slice_make(NULL, 0) : slice_make(w->name, n);
}

/* ---- a member as Apache's and our brokers write it ---- */
static bool skip_text(struct scan *s, const char *text, size_t n)
{
    if ((size_t)(s->end - s->p) < n || memcmp(s->p, text, n) != 0)
        return false;
    s->p += n;
    return true;
}
#define SKIP(s, literal) skip_text(s, literal, sizeof(literal) - 1)

static bool skip_digits(struct scan *s, int32_t *out) /* up to nine of them: no sign, no overflow */
{
    const uint8_t *from = s->p;
    int32_t v = 0;
    while (s->p < s->end && s->p - from < 9 && *s->p >= '0' && *s->p <= '9')
        v = v * 10 + (*s->p++ - '0');
    *out = v;
    return s->p > from;
}

/* Takes a member that is spelled to the byte as brokers spell it; else false, and next_member() reads it from its start. */
static bool usual_member(struct scan *at, struct slice key, struct topic_queues *out)
{
    struct scan s = *at;
    if (key.n == 0 || memchr(key.p, '\\', key.n) != NULL)
        return false;
    bool usual = SKIP(&s, "{\"order\":false,\"perm\":") && skip_digits(&s, &out->perm) && SKIP(&s, ",\"readQueueNums\":") &&
                 skip_digits(&s, &out->read) && SKIP(&s, ",\"topicFilterType\":\"SINGLE_TAG\",\"topicName\":\"") &&
                 skip_text(&s, (const char *)key.p, key.n) && SKIP(&s, "\",\"topicSysFlag\":") && skip_digits(&s, &out->sys_flag) &&
                 SKIP(&s, ",\"writeQueueNums\":") && skip_digits(&s, &out->write) && SKIP(&s, "}");
    if (usual)
        *at = s;
    return usual;
}

/* One member of topicConfigTable. Absent members are what a TopicConfig of Apache begins with; the name is the one inside. */
static void next_member(struct register_topics *w, struct scan *s, struct slice key, struct slice *name, struct topic_queues *out)
{
    if (key.n <= ROUTES_NAME_MAX && usual_member(s, key, out)) {
        *name = key;
        return;
    }
    struct slice member, raw = key;
    bool first = true;
    *out = (struct topic_queues){.read = 16, .write = 16, .perm = 6};
    for (scan_open(s, '{'); scan_key(s, &first, &member);)
        if (slice_is(member, "topicName")) {
            struct slice inside = scan_str(s);
            raw = inside.p ? inside : key;
        } else if (slice_is(member, "readQueueNums"))
            out->read = scan_i32(s, out->read);
        else if (slice_is(member, "writeQueueNums"))
            out->write = scan_i32(s, out->write);
        else if (slice_is(member, "perm"))
            out->perm = scan_i32(s, out->perm);
        else if (slice_is(member, "topicSysFlag"))
            out->sys_flag = scan_i32(s, out->sys_flag);
        else
            scan_value(s);
    *name = plain_name(w, raw, s);
    if (name->n == 0 || name->n > ROUTES_NAME_MAX)
        s->bad = true;
}

/* "topic read write perm FILTERTYPE", and attributes behind it from 5.x brokers. */
static bool parse_line(struct slice line, struct slice *name, struct topic_queues *out)
{
    struct slice word[5];
    for (int i = 0; i < 5; i++)
        if (!slice_cut(&line, ' ', &word[i]))
            return false;
    *name = word[0];
    *out = (struct topic_queues){0};
    return slice_i32(word[1], &out->read) && slice_i32(word[2], &out->write) && slice_i32(word[3], &out->perm) &&
           name->n > 0 && name->n <= ROUTES_NAME_MAX;
}

static bool topics_next(void *ctx, struct slice *name, struct topic_queues *out)
{
    struct register_topics *w = ctx;
    const struct register_body *b = w->body;

    if (b->topics.n == 0)
        return false;
    const uint8_t *end = b->topics.p + b->topics.n;
    if (b->lines) {
        struct rd r = rd_over(w->p, (size_t)(end - w->p));
        if (w->seen == b->n_lines)
            return false;
        struct slice line = rd_bytes(&r, rd_u32(&r));
        w->seen++;
        w->p = r.p;
        return !r.bad && parse_line(line, name, out);
    }
    struct scan s = scan_over(slice_make(w->p, (size_t)(end - w->p)));
    struct slice key;
    bool first = w->seen++ == 0;
    if (!scan_key(&s, &first, &key))
        return false;
    next_member(w, &s, key, name, out);
    w->p = s.p;
    return !s.bad;
}

struct topic_source register_topics_over(struct register_topics *walk, const struct register_body *b)
{
    walk->body = b;
    walk->p = b->topics.p;
    walk->seen = 0;
    return (struct topic_source){topics_next, walk};
}

/* ---- filter servers ---- */
static enum mq_err filters_decode(struct slice array, struct arena *arena, struct register_body *out, struct fault *why)
{
    struct scan s = scan_over(array);
    bool first = true;
    out->filters_given = !slice_is(array, "null");
    if (!out->filters_given)
        return MQ_OK;
    out->filters = arena_alloc(arena, ROUTES_FILTERS_MAX * sizeof *out->filters);
    if (out->filters == NULL)
        return fault_set(why, MQ_ENOMEM, 0, "filter servers");
    for (scan_open(&s, '['); scan_item(&s, &first);) {
        struct slice raw = scan_str(&s);
        if (s.bad || raw.p == NULL)
            continue;
        if (out->n_filters == ROUTES_FILTERS_MAX)
            return fault_set(why, MQ_ELIMIT, 0, "more than %d filter servers", ROUTES_FILTERS_MAX);
        uint8_t *text = arena_alloc(arena, raw.n + 1);
        size_t n;
        if (text == NULL)
            return fault_set(why, MQ_ENOMEM, 0, "filter servers");
        if (raw.n > ROUTES_NAME_MAX || !scan_unescape(raw, text, raw.n, &n))
            s.bad = true;
        else
            out->filters[out->n_filters++] = slice_make(text, n);
    }
    if (!scan_end(&s))
        return malformed(why, "filterServerList", scan_at(&s));
    return MQ_OK;
}

/* ---- the three forms ---- */
static void scan_wrapper(struct scan *s, struct register_body *out)
{
    struct slice key;
    bool first = true;
    for (scan_open(s, '{'); scan_key(s, &first, &key);)
        if (slice_is(key, "dataVersion")) {
            scan_version(s, &out->version);
        } else if (slice_is(key, "topicConfigTable")) {
            struct register_topics w;
            struct topic_queues q;
            struct slice topic, name;
            bool first_topic = true;
            scan_open(s, '{');
            const uint8_t *from = s->p;
            while (scan_key(s, &first_topic, &topic))
                next_member(&w, s, topic, &name, &q);
            out->topics = s->bad ? slice_make(NULL, 0) : slice_make(from, (size_t)(s->p - from));
        } else {
            scan_value(s);
        }
}

static enum mq_err decode_plain(struct slice body, bool ancient, struct arena *arena, struct register_body *out, struct fault *why)
{
    struct scan s = scan_over(body);
    struct slice key, filters = {0};
    bool first = true;

    if (ancient)
        scan_wrapper(&s, out);
    else
        for (scan_open(&s, '{'); scan_key(&s, &first, &key);)
            if (slice_is(key, "topicConfigSerializeWrapper"))
                scan_wrapper(&s, out);
            else if (slice_is(key, "filterServerList"))
                filters = scan_value(&s);
            else
                scan_value(&s);
    if (!scan_end(&s))
        return malformed(why, "registration", scan_at(&s));
    if (filters.p)
        return filters_decode(filters, arena, out, why);
    out->filters_given = !ancient; /* as Apache: a list that is left out is an empty one */
    return MQ_OK;
}

static enum mq_err inflate_all(struct slice body, struct buf *out, struct fault *why)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)body.p, .avail_in = (uInt)body.n};
    enum mq_err err = MQ_OK;
    int rc;

    if (inflateInit(&z) != Z_OK)
        return fault_set(why, MQ_ENOMEM, 0, "inflate the registration");
    do {
        uint8_t *room = buf_room(out, 32768);
        if (room == NULL) {
            err = fault_set(why, MQ_ENOMEM, 0, "inflate the registration");
            break;
        }
        z.next_out = room;
        z.avail_out = 32768;
        rc = inflate(&z, Z_NO_FLUSH);
        out->n += 32768 - z.avail_out;
        if (rc != Z_OK && rc != Z_STREAM_END)
            err = fault_set(why, MQ_EMALFORMED, 0, "compressed registration does not inflate: %s", z.msg ? z.msg : "it is cut short");
        else if (out->n > REGISTER_INFLATED_MAX)
            err = fault_set(why, MQ_ELIMIT, 0, "compressed registration inflates to more than %d bytes", REGISTER_INFLATED_MAX);
    } while (err == MQ_OK && rc != Z_STREAM_END);
    inflateEnd(&z);
    return err;
}

static enum mq_err decode_compressed(struct slice body, struct arena *arena, struct register_body *out, struct fault *why)
{
    struct register_topics w;
    struct topic_queues q;
    struct slice name;

    enum mq_err err = inflate_all(body, &out->inflated, why);
    if (err != MQ_OK)
        return err;
    struct rd r = rd_slice(buf_view(&out->inflated));
    struct slice version = rd_bytes(&r, rd_u32(&r));
    if (r.bad)
        return malformed(why, "compressed registration", 0);
    if ((err = data_version_decode(version, &out->version, why)) != MQ_OK)
        return err;

    out->lines = true;
    out->n_lines = rd_u32(&r);
    if (out->n_lines > REGISTER_TOPICS_MAX)
        return fault_set(why, MQ_ELIMIT, 0, "registration of more than %d topics", REGISTER_TOPICS_MAX);
    const uint8_t *from = r.p;
    out->topics = slice_make(from, rd_left(&r));
    struct topic_source src = register_topics_over(&w, out);
    for (uint32_t i = 0; i < out->n_lines; i++)
        if (!src.next(src.ctx, &name, &q))
            return malformed(why, "compressed registration", (size_t)(w.p - out->inflated.p));
    out->topics.n = (size_t)(w.p - from);

    r.p = w.p;
    struct slice filters = rd_bytes(&r, rd_u32(&r));
    if (r.bad)
        return malformed(why, "compressed registration", out->inflated.n);
    return filters_decode(filters, arena, out, why);
}

enum mq_err register_body_decode(struct slice body, enum register_form form, struct arena *arena, struct register_body *out,
                                 struct fault *why)
{
    enum mq_err err = MQ_OK;
    *out = (struct register_body){0};
    if (body.n == 0)
        out->filters_given = form != REGISTER_ANCIENT;
    else if (form == REGISTER_COMPRESSED)
        err = decode_compressed(body, arena, out, why);
    else
        err = decode_plain(body, form == REGISTER_ANCIENT, arena, out, why);
    if (err != MQ_OK) {
        register_body_end(out);
        *out = (struct register_body){0};
    }
    return err;
}

/* ---- the version alone ---- */
static bool plain_version(struct slice body, struct data_version *out)
{
    struct scan s = scan_over(body);
    struct slice key;
    bool first = true, inner = true;
    for (scan_open(&s, '{'); scan_key(&s, &first, &key) && !slice_is(key, "topicConfigSerializeWrapper");)
        scan_value(&s);
    scan_open(&s, '{');
    if (!scan_key(&s, &inner, &key) || !slice_is(key, "dataVersion"))
        return false;
    scan_version(&s, out);
    return !s.bad;
}

static bool packed_version(struct slice body, struct data_version *out)
{
    uint8_t head[256];
    z_stream z = {.next_in = (Bytef *)(uintptr_t)body.p, .avail_in = (uInt)body.n, .next_out = head, .avail_out = sizeof head};
    if (inflateInit(&z) != Z_OK)
        return false;
    int rc = inflate(&z, Z_SYNC_FLUSH);
    inflateEnd(&z);
    struct rd r = rd_over(head, sizeof head - z.avail_out);
    struct slice json = rd_bytes(&r, rd_u32(&r));
    return (rc == Z_OK || rc == Z_STREAM_END) && !r.bad && data_version_decode(json, out, NULL) == MQ_OK;
}

bool register_body_version(struct slice body, enum register_form form, struct data_version *out)
{
    return form == REGISTER_PLAIN ? plain_version(body, out) : form == REGISTER_COMPRESSED && packed_version(body, out);
}

void register_body_end(struct register_body *b) { buf_free(&b->inflated); }
