/* topic_filter.c - tag expressions, in which blanks around a tag do not count, and SQL92 expressions, which are compiled only to see that they can be. */
#include "client/consumer/topic_filter.h"

#include "common/base/mem.h"
#include "common/filter/sql.h"
#include "common/protocol/message.h"

static enum mq_err split(struct topic_filter *s, struct fault *why)
{
    struct slice rest = slice_str(s->expression);
    size_t most = 1;
    if (rest.n == 1 && rest.p[0] == '*')
        return MQ_OK;
    for (size_t i = 0; i < rest.n; i++)
        most += rest.p[i] == '|';
    s->tags = mem_alloc(most * sizeof *s->tags);
    if (s->tags == NULL)
        return fault_set(why, MQ_ENOMEM, 0, "subscription");
    while (rest.p != NULL) {
        const uint8_t *bar = rest.n ? memmem(rest.p, rest.n, "||", 2) : NULL;
        struct slice tag = slice_trim(bar ? slice_head(rest, (size_t)(bar - rest.p)) : rest);
        rest = bar ? slice_from(rest, (size_t)(bar - rest.p) + 2) : slice_make(NULL, 0);
        if (tag.n == 0 || memchr(tag.p, '|', tag.n) != NULL)
            return fault_set(why, MQ_EINVAL, 0, "subscription \"%.100s\": expected * or tags with || between", s->expression);
        if (s->n_tags == TOPIC_FILTER_TAGS_MAX)
            return fault_set(why, MQ_EINVAL, 0, "subscription to %.80s: more than %d tags", s->topic, TOPIC_FILTER_TAGS_MAX);
        s->tags[s->n_tags++] = tag;
    }
    return MQ_OK;
}

enum mq_err topic_filter_init(struct topic_filter *s, const char *topic, const char *expression, int64_t version, struct fault *why)
{
    struct slice text = slice_trim(slice_str(expression));
    *s = (struct topic_filter){.topic = mem_strdup(topic), .expression = text.n ? slice_dup(text) : mem_strdup("*"), .version = version};
    enum mq_err err = s->topic != NULL && s->expression != NULL ? split(s, why) : fault_set(why, MQ_ENOMEM, 0, "subscription");
    if (err != MQ_OK)
        topic_filter_fini(s);
    return err;
}

enum mq_err topic_filter_init_sql(struct topic_filter *s, const char *topic, const char *expression, int64_t version, struct fault *why)
{
    struct sql *program;
    struct fault wrong = {0};
    enum mq_err err = sql_compile(slice_str(expression), &program, &wrong);
    if (err != MQ_OK)
        return fault_set(why, err == MQ_ENOMEM ? err : MQ_EINVAL, 0, "SQL92 expression: %.160s", wrong.what);
    sql_unref(program);
    *s = (struct topic_filter){.topic = mem_strdup(topic), .expression = mem_strdup(expression), .version = version, .sql = true};
    if (s->topic != NULL && s->expression != NULL)
        return MQ_OK;
    topic_filter_fini(s);
    return fault_set(why, MQ_ENOMEM, 0, "subscription");
}

const char *topic_filter_type(const struct topic_filter *s) { return s->sql ? "SQL92" : "TAG"; }

void topic_filter_fini(struct topic_filter *s)
{
    mem_free(s->topic);
    mem_free(s->expression);
    mem_free(s->tags);
    *s = (struct topic_filter){0};
}

bool topic_filter_wants(const struct topic_filter *s, const char *tag)
{
    if (s->n_tags == 0)
        return true;
    for (size_t i = 0; i < s->n_tags; i++)
        if (slice_is(s->tags[i], tag))
            return true;
    return false;
}

void topic_filter_json(const struct topic_filter *s, struct jw *w)
{
    jw_object(w);
    jw_kv_bool(w, "classFilterMode", false);
    jw_key(w, "codeSet");
    jw_array(w);
    for (size_t i = 0; i < s->n_tags; i++)
        jw_i64(w, java_hash(s->tags[i]));
    jw_end_array(w);
    jw_kv_str(w, "expressionType", slice_str(topic_filter_type(s)));
    jw_kv_str(w, "subString", slice_str(s->expression));
    jw_kv_i64(w, "subVersion", s->version);
    jw_key(w, "tagsSet");
    jw_array(w);
    for (size_t i = 0; i < s->n_tags; i++)
        jw_str(w, s->tags[i]);
    jw_end_array(w);
    jw_kv_str(w, "topic", slice_str(s->topic));
    jw_end_object(w);
}
