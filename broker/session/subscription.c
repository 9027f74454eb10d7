/* subscription.c - what a group wants of a topic: from JSON, to JSON, and the question whether a message is meant.
 *
 * Only hash codes decide (the queue's units hold nothing else); the client compares the strings again. The client's own codes are
 * taken as they came; a client that sends none gets those of its expression. (test: unit/session/subscription) */
#include <string.h>

#include "broker/session/session.h"
#include "common/base/mem.h"
#include "common/protocol/message.h"

static enum mq_err add_code(struct subscription *s, int32_t code)
{
    for (uint32_t i = 0; i < s->n_codes; i++)
        if (s->codes[i] == code)
            return MQ_OK;
    if (s->n_codes >= SESSION_TAGS_MAX)
        return MQ_ELIMIT;
    if ((s->n_codes & (s->n_codes - 1)) == 0) { /* at each power of two the room doubles */
        int32_t *more = mem_realloc(s->codes, (s->n_codes ? s->n_codes * 2 : 1) * sizeof *more);
        if (more == NULL)
            return MQ_ENOMEM;
        s->codes = more;
    }
    s->codes[s->n_codes++] = code;
    return MQ_OK;
}

static enum mq_err add_tag(struct subscription *s, struct slice tag)
{
    for (uint32_t i = 0; i < s->n_tags; i++)
        if (slice_is(tag, s->tags[i]))
            return MQ_OK;
    if (s->n_tags >= SESSION_TAGS_MAX)
        return MQ_ELIMIT;
    if ((s->n_tags & (s->n_tags - 1)) == 0) {
        char **more = mem_realloc(s->tags, (s->n_tags ? s->n_tags * 2 : 1) * sizeof *more);
        if (more == NULL)
            return MQ_ENOMEM;
        s->tags = more;
    }
    char *copy = slice_dup(tag);
    if (copy)
        s->tags[s->n_tags++] = copy;
    return copy ? MQ_OK : MQ_ENOMEM;
}

/* As Java's String.trim(): all that is not above a blank goes. */
static struct slice trim(struct slice s)
{
    while (s.n && s.p[0] <= ' ')
        s = slice_from(s, 1);
    while (s.n && s.p[s.n - 1] <= ' ')
        s.n--;
    return s;
}

static enum mq_err parse_tags(struct slice rest, struct subscription *out)
{
    bool any = false;
    if (rest.n == 0 || slice_is(rest, "*"))
        return MQ_OK;
    for (size_t from = 0, at = 0; at <= rest.n; at++) {
        bool end = at == rest.n, cut = at + 1 < rest.n && rest.p[at] == '|' && rest.p[at + 1] == '|';
        if (!end && !cut)
            continue;
        struct slice piece = slice_make(rest.p + from, at - from), tag = trim(piece);
        enum mq_err err = tag.n ? add_tag(out, tag) : MQ_OK;
        if (err == MQ_OK && tag.n)
            err = add_code(out, java_hash(tag));
        if (err != MQ_OK)
            return err;
        any = any || piece.n > 0;
        from = at + 2;
        at++;
    }
    return any ? MQ_OK : MQ_EMALFORMED;
}

bool subscription_parse_tags(struct slice expression, struct subscription *out) { return parse_tags(expression, out) == MQ_OK; }

void subscription_fini(struct subscription *s)
{
    for (uint32_t i = 0; i < s->n_tags; i++)
        mem_free(s->tags[i]);
    mem_free(s->tags);
    mem_free(s->codes);
    mem_free(s->topic);
    mem_free(s->sub_string);
    mem_free(s->expression_type);
}

void subscription_free(struct subscription *s)
{
    subscription_fini(s);
    mem_free(s);
}

static enum mq_err read_codes(const json_t *set, struct subscription *out, struct fault *why)
{
    size_t i;
    const json_t *v;
    json_array_foreach(set, i, v) {
        int64_t code;
        if (json_is_integer(v))
            code = json_integer_value(v);
        else if (!json_is_string(v) || !slice_i64(slice_str(json_string_value(v)), &code))
            return fault_set(why, MQ_EMALFORMED, 0, "codeSet[%zu] is no number", i);
        if (code < INT32_MIN || code > INT32_MAX)
            return fault_set(why, MQ_EMALFORMED, 0, "codeSet[%zu] is out of range", i);
        enum mq_err err = add_code(out, (int32_t)code);
        if (err != MQ_OK)
            return fault_set(why, err, 0, "codeSet: at most %d codes", SESSION_TAGS_MAX);
    }
    return MQ_OK;
}

static enum mq_err read_tags(const json_t *set, struct subscription *out, struct fault *why)
{
    size_t i;
    const json_t *v;
    json_array_foreach(set, i, v) {
        if (!json_is_string(v))
            return fault_set(why, MQ_EMALFORMED, 0, "tagsSet[%zu] is no string", i);
        enum mq_err err = add_tag(out, slice_make(json_string_value(v), json_string_length(v)));
        if (err != MQ_OK)
            return fault_set(why, err, 0, "tagsSet: at most %d tags", SESSION_TAGS_MAX);
    }
    return MQ_OK;
}

static enum mq_err read_into(const json_t *o, struct subscription *out, struct fault *why)
{
    struct slice topic = json_str(o, "topic"), sub = json_str(o, "subString"), type = json_str(o, "expressionType");
    if (topic.n == 0 || topic.n > SESSION_TOPIC_MAX)
        return fault_set(why, MQ_EMALFORMED, 0, "topic of a subscription is %s", topic.n ? "too long" : "missing");
    if (memchr(topic.p, '\0', topic.n) != NULL)
        return fault_set(why, MQ_EMALFORMED, 0, "topic of a subscription holds a zero");
    out->topic = slice_dup(topic);
    out->sub_string = slice_dup(sub.p ? sub : SLICE_LIT("*"));
    out->expression_type = slice_dup(type.n ? type : SLICE_LIT("TAG"));
    if (!out->topic || !out->sub_string || !out->expression_type)
        return fault_set(why, MQ_ENOMEM, 0, "subscription");
    out->class_filter = json_flag(o, "classFilterMode", false);
    out->is_tag = slice_is(slice_str(out->expression_type), "TAG");
    out->version = json_i64(o, "subVersion", 0);
    enum mq_err err = read_codes(json_object_get(o, "codeSet"), out, why);
    if (err != MQ_OK || !out->is_tag || out->class_filter || out->n_codes)
        return err == MQ_OK ? read_tags(json_object_get(o, "tagsSet"), out, why) : err;
    err = parse_tags(slice_str(out->sub_string), out);
    return err == MQ_OK ? err : fault_set(why, err, 0, "subString of topic %.64s: at least one tag, at most %d", out->topic, SESSION_TAGS_MAX);
}

enum mq_err subscription_read(const json_t *o, struct subscription *out, struct fault *why)
{
    enum mq_err err = json_is_object(o) ? read_into(o, out, why) : fault_set(why, MQ_EMALFORMED, 0, "a subscription is expected");
    if (err != MQ_OK) {
        subscription_fini(out);
        *out = (struct subscription){0};
    }
    return err;
}

bool subscription_matches(const struct subscription *s, int64_t tags_code)
{
    for (uint32_t i = 0; i < s->n_codes; i++)
        if (s->codes[i] == tags_code)
            return true;
    /* An expression of blanks alone has no codes and means nothing. */
    return s->class_filter || (s->n_codes == 0 && (s->sub_string[0] == 0 || strcmp(s->sub_string, "*") == 0));
}

void subscription_write(struct jw *w, const struct subscription *s)
{
    jw_object(w);
    jw_kv_bool(w, "classFilterMode", s->class_filter);
    jw_key(w, "codeSet");
    jw_array(w);
    for (uint32_t i = 0; i < s->n_codes; i++)
        jw_i64(w, s->codes[i]);
    jw_end_array(w);
    jw_kv_str(w, "expressionType", slice_str(s->expression_type));
    jw_kv_str(w, "subString", slice_str(s->sub_string));
    jw_kv_i64(w, "subVersion", s->version);
    jw_key(w, "tagsSet");
    jw_array(w);
    for (uint32_t i = 0; i < s->n_tags; i++)
        jw_str(w, slice_str(s->tags[i]));
    jw_end_array(w);
    jw_kv_str(w, "topic", slice_str(s->topic));
    jw_end_object(w);
}
