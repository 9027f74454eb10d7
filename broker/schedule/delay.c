/* delay.c - see delay.h; inventory g.5.
 *
 * What is delivered is the stored record with another topic and queue: DELAY, REAL_TOPIC and REAL_QID stay in it, and consumers see them.
 * A message that comes with REAL_TOPIC of its own is nothing special: only what is stored in the schedule topic is ever restored, and there
 * REAL_TOPIC is ours.  (test: unit/schedule/delay) */
#include "broker/schedule/delay.h"
#include "broker/metadata/topics.h"
#include "common/base/buf.h"

static bool ours(struct slice name) { return slice_is(name, PROP_DELAY) || slice_is(name, PROP_REAL_TOPIC) || slice_is(name, PROP_REAL_QID); }

static uint8_t *put_pair(uint8_t *at, const char *name, struct slice value)
{
    size_t n = strlen(name);
    *at++ = PROP_SEP_PAIR;
    memcpy(at, name, n);
    at += n;
    *at++ = PROP_SEP_NAME;
    if (value.n > 0)
        memcpy(at, value.p, value.n);
    return at + value.n;
}

static uint8_t *put_number(uint8_t *at, const char *name, int32_t value)
{
    uint8_t text[I64_TEXT_MAX];
    return put_pair(at, name, slice_make(text, (size_t)(i64_text(text, value) - text)));
}

bool delay_divert(struct message *m, int32_t level, unsigned levels, struct arena *a)
{
    static const struct slice topic = {(const uint8_t *)SCHEDULE_TOPIC, sizeof SCHEDULE_TOPIC - 1};
    struct slice rest = m->properties, name, value;
    size_t more = sizeof PROP_DELAY + sizeof PROP_REAL_TOPIC + sizeof PROP_REAL_QID + 6 + 2 * I64_TEXT_MAX;
    uint8_t *start = arena_alloc(a, rest.n + more + m->topic.n), *at = start;
    if (start == NULL)
        return false;
    if (level > (int32_t)levels)
        level = levels > 0 ? (int32_t)levels : 1;
    while (prop_next(&rest, &name, &value)) {
        if (ours(name))
            continue;
        if (at > start)
            *at++ = PROP_SEP_PAIR;
        memcpy(at, name.p, name.n + 1 + value.n); /* they lie side by side */
        at += name.n + 1 + value.n;
    }
    at = put_number(at, PROP_DELAY, level);
    at = put_pair(at, PROP_REAL_TOPIC, m->topic);
    at = put_number(at, PROP_REAL_QID, m->queue_id);
    if (*start == PROP_SEP_PAIR) /* there were no others */
        start++;
    m->properties = slice_make(start, (size_t)(at - start));
    m->known = NULL;
    m->topic = topic;
    m->queue_id = level - 1;
    return true;
}

bool delay_restore(const struct message *stored, struct message *out, const char **why)
{
    struct slice topic = {0}, queue;
    int32_t queue_id;
    if (!prop_get(stored->properties, PROP_REAL_TOPIC, &topic) || !prop_get(stored->properties, PROP_REAL_QID, &queue) || !slice_i32(queue, &queue_id) ||
        queue_id < 0) {
        *why = "it names no topic or no queue";
        return false;
    }
    if (topics_is_reserved(topic)) { /* a half message, say: Apache, too, drops what would be delivered there */
        *why = "its topic is one of the broker's own";
        return false;
    }
    *out = *stored;
    out->topic = topic;
    out->queue_id = queue_id;
    out->prepared_off = 0;
    out->known = NULL;
    return true;
}
