/* message.c - messages as users see them.
 *
 * One allocation holds the struct, its topic and its body; properties are pairs of NUL-terminated texts in one growing buffer, so
 * that getters hand out plain C strings without copying. They are few: looking for one walks them. */
#include "client/core/message.h"

#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#include "client/core/error.h"
#include "common/base/mem.h"
#include "common/protocol/codes.h"

enum { TAG_MAX = 32767, LEVEL = 5 };

/* Names that brokers and clients give a meaning to (inventory: g.16). */
static const char *const reserved[] = {
    "1ST_POP_TIME", "ARRIVE_TIME", "BORN_TIMESTAMP", "BUYER_ID", "CHECK_IMMUNITY_TIME_IN_SECONDS", "CLUSTER", "CONSUME_START_TIME", "CORRECTION_FLAG",
    "CORRELATION_ID", "DELAY", "DLQ_ORIGIN_MESSAGE_ID", "DLQ_ORIGIN_TOPIC", "DUP_INFO", "EXTEND_UNIQ_INFO", "INNER_BASE", "INNER_MULTI_DISPATCH",
    "INNER_MULTI_QUEUE_OFFSET", "INNER_NUM", "INSTANCE_ID", "KEYS", "MAX_OFFSET", "MAX_RECONSUME_TIMES", "MIN_OFFSET", "MQ2_FLAG", "MSG_REGION",
    "MSG_TYPE", "ORIGIN_MESSAGE_ID", "PGROUP", "POP_CK", "POP_CK_OFFSET", "PROPERTY_FORWARD_QUEUE_ID", "PUSH_REPLY_TIME", "REAL_QID", "REAL_TOPIC",
    "RECONSUME_TIME", "REDIRECT", "REPLY_TO_CLIENT", "RETRY_TOPIC", "TAGS", "TIMER_DELAY_LEVEL", "TIMER_DELAY_MS", "TIMER_DELAY_SEC", "TIMER_DELIVER_MS",
    "TIMER_DEL_UNIQKEY", "TIMER_DEQUEUE_MS", "TIMER_ENQUEUE_MS", "TIMER_OUT_MS", "TIMER_ROLL_TIMES", "TRACE_CONTEXT", "TRACE_ON",
    "TRANSACTION_CHECK_TIMES", "TRANSFER_FLAG", "TRAN_MSG", "TRAN_PREPARED_QUEUE_OFFSET", "TTL", "UNIQ_KEY", "WAIT", "__BORNHOST", "__CRC32#",
    "__SHARDINGKEY", "__transactionId__"};

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

bool prop_name_is_reserved(const char *name)
{
    return bsearch(&name, reserved, sizeof reserved / sizeof *reserved, sizeof *reserved, by_text) != NULL ||
           strncmp(name, "__RMQ.TRANSIENT.", 16) == 0;
}

struct cmq_message *cmq_message_new(const char *topic, const void *body, size_t n)
{
    if (topic == NULL || n > INT32_MAX)
        return NULL;
    size_t topic_n = strlen(topic) + 1;
    struct cmq_message *m = mem_alloc(sizeof *m + topic_n + n + 1);
    if (m == NULL)
        return NULL;
    *m = (struct cmq_message){.topic = (const char *)m->text, .body = m->text + topic_n, .body_n = n, .broker_name = ""};
    memcpy(m->text, topic, topic_n);
    if (n > 0)
        memcpy(m->text + topic_n, body, n);
    m->text[topic_n + n] = 0;
    return m;
}

/* ---- replies: what the asker put into the request finds its way back ---- */
#define PROP_MSG_TYPE "MSG_TYPE"
static const char *const carried[] = {"CORRELATION_ID", "REPLY_TO_CLIENT", "TTL"}; /* the last one may be absent */

bool message_is_reply(const struct cmq_message *m)
{
    const char *type = cmq_message_property(m, PROP_MSG_TYPE);
    return type != NULL && strcmp(type, "reply") == 0;
}

struct cmq_message *cmq_message_new_reply(const struct cmq_message *request, const void *body, size_t n, struct cmq_error *err)
{
    char topic[MESSAGE_TOPIC_MAX + 1];
    const char *cluster = cmq_message_property(request, PROP_CLUSTER);
    for (int i = 0; i < 2; i++)
        if (cmq_message_property(request, carried[i]) == NULL || cluster == NULL) {
            error_set(err, CMQ_ERR_ARGUMENT, "reply: the message is no request, it has no %s", cluster == NULL ? PROP_CLUSTER : carried[i]);
            return NULL;
        }
    if ((size_t)snprintf(topic, sizeof topic, "%s_REPLY_TOPIC", cluster) >= sizeof topic) {
        error_set(err, CMQ_ERR_ARGUMENT, "reply: the cluster's name is too long");
        return NULL;
    }
    struct cmq_message *m = cmq_message_new(topic, body, n);
    bool whole = m != NULL && message_prop_set(m, PROP_MSG_TYPE, "reply");
    for (size_t i = 0; whole && i < sizeof carried / sizeof *carried; i++) {
        const char *value = cmq_message_property(request, carried[i]);
        whole = value == NULL || message_prop_set(m, carried[i], value);
    }
    if (whole)
        return m;
    cmq_message_free(m);
    error_set(err, CMQ_ERR_NO_MEMORY, "reply: out of memory");
    return NULL;
}

void cmq_message_free(struct cmq_message *m)
{
    if (m == NULL)
        return;
    buf_free(&m->props);
    mem_free(m->inflated);
    mem_free(m->topic_again);
    mem_free(m);
}

struct cmq_message *cmq_message_copy(const struct cmq_message *m)
{
    size_t topic_n = strlen(m->topic) + 1, broker_n = strlen(m->broker_name) + 1;
    struct cmq_message *c = mem_alloc(sizeof *c + topic_n + broker_n + m->body_n + 1);
    if (c == NULL)
        return NULL;
    *c = (struct cmq_message){.body_n = m->body_n, /* not the window's node: other threads change it while its neighbours come and go */
                              .flag = m->flag,
                              .queue_id = m->queue_id,
                              .reconsume_times = m->reconsume_times,
                              .queue_off = m->queue_off,
                              .phys_off = m->phys_off,
                              .born_ms = m->born_ms,
                              .store_ms = m->store_ms};
    memcpy(c->offset_id, m->offset_id, sizeof c->offset_id);
    list_init(&c->window.node);
    list_init(&c->later);
    memcpy(c->text, m->topic, topic_n);
    memcpy(c->text + topic_n, m->broker_name, broker_n);
    memcpy(c->text + topic_n + broker_n, m->body, m->body_n);
    c->text[topic_n + broker_n + m->body_n] = 0;
    c->topic = (const char *)c->text;
    c->broker_name = (const char *)c->text + topic_n;
    c->body = c->text + topic_n + broker_n;
    buf_slice(&c->props, buf_view(&m->props));
    if (!c->props.failed)
        return c;
    cmq_message_free(c);
    return NULL;
}

/* ---- properties ---- */

static char *prop_find(const struct cmq_message *m, const char *name) /* where the pair begins, or NULL */
{
    const char *at = (const char *)m->props.p, *end = at + m->props.n;
    while (at < end) {
        const char *value = at + strlen(at) + 1;
        if (strcmp(at, name) == 0)
            return (char *)(uintptr_t)at;
        at = value + strlen(value) + 1;
    }
    return NULL;
}

const char *cmq_message_property(const struct cmq_message *m, const char *name)
{
    const char *at = prop_find(m, name);
    return at ? at + strlen(at) + 1 : NULL;
}

void message_prop_remove(struct cmq_message *m, const char *name)
{
    char *at = prop_find(m, name);
    if (at == NULL)
        return;
    size_t name_n = strlen(at) + 1, pair_n = name_n + strlen(at + name_n) + 1, before = (size_t)(at - (char *)m->props.p);
    memmove(at, at + pair_n, m->props.n - before - pair_n);
    m->props.n -= pair_n;
}

static bool prop_append(struct buf *b, struct slice name, struct slice value)
{
    uint8_t *at = buf_room(b, name.n + value.n + 2);
    if (at == NULL)
        return false;
    memcpy(at, name.p, name.n);
    at[name.n] = 0;
    memcpy(at + name.n + 1, value.p, value.n);
    at[name.n + 1 + value.n] = 0;
    b->n += name.n + value.n + 2;
    return true;
}

bool message_prop_set(struct cmq_message *m, const char *name, const char *value)
{
    if (m->props.cap == 0 && buf_room(&m->props, 128) == NULL) { /* one allocation for what most messages have */
        m->props.failed = false;
        return false;
    }
    message_prop_remove(m, name);
    if (prop_append(&m->props, slice_str(name), slice_str(value)))
        return true;
    m->props.failed = false; /* it is as before */
    return false;
}

static enum cmq_code set_checked(struct cmq_message *m, const char *name, const char *value, struct cmq_error *err)
{
    if (value == NULL || value[0] == '\0')
        return error_set(err, CMQ_ERR_ARGUMENT, "property %s: an empty value", name);
    if (strpbrk(value, "\1\2") != NULL || strpbrk(name, "\1\2") != NULL)
        return error_set(err, CMQ_ERR_ARGUMENT, "property %s: the bytes 1 and 2 separate properties and cannot be part of one", name);
    if (strlen(name) + strlen(value) > MESSAGE_PROPERTIES_MAX)
        return error_set(err, CMQ_ERR_ARGUMENT, "property %.80s: longer than %d bytes", name, MESSAGE_PROPERTIES_MAX);
    return message_prop_set(m, name, value) ? error_ok(err) : error_set(err, CMQ_ERR_NO_MEMORY, "property %.80s: out of memory", name);
}

enum cmq_code cmq_message_set_property(struct cmq_message *m, const char *name, const char *value, struct cmq_error *err)
{
    if (name == NULL || name[0] == '\0')
        return error_set(err, CMQ_ERR_ARGUMENT, "property: an empty name");
    if (prop_name_is_reserved(name))
        return error_set(err, CMQ_ERR_ARGUMENT, "property %s: a name of RocketMQ's own", name);
    return set_checked(m, name, value, err);
}

enum cmq_code cmq_message_set_tag(struct cmq_message *m, const char *tag, struct cmq_error *err)
{
    if (tag != NULL && strchr(tag, '|') != NULL)
        return error_set(err, CMQ_ERR_ARGUMENT, "tag %.80s: | separates tags in subscriptions", tag);
    return set_checked(m, PROP_TAGS, tag, err);
}

enum cmq_code cmq_message_set_keys(struct cmq_message *m, const char *list, struct cmq_error *err) { return set_checked(m, PROP_KEYS, list, err); }

void cmq_message_set_delay_level(struct cmq_message *m, int level)
{
    char text[16];
    snprintf(text, sizeof text, "%d", level);
    if (level <= 0)
        message_prop_remove(m, PROP_DELAY);
    else
        message_prop_set(m, PROP_DELAY, text);
}

void cmq_message_set_flag(struct cmq_message *m, int32_t flag) { m->flag = flag; }

void cmq_message_set_wait_store(struct cmq_message *m, int wait) { message_prop_set(m, PROP_WAIT, wait ? "true" : "false"); }

void cmq_message_properties(const struct cmq_message *m, void (*fn)(void *arg, const char *name, const char *value), void *arg)
{
    const char *at = (const char *)m->props.p, *end = at + m->props.n;
    while (at < end) {
        const char *value = at + strlen(at) + 1;
        fn(arg, at, value);
        at = value + strlen(value) + 1;
    }
}

void message_props_encode(const struct cmq_message *m, struct buf *out)
{
    if (m->props.n == 0)
        return;
    uint8_t *at = buf_room(out, m->props.n);
    if (at == NULL)
        return;
    memcpy(at, m->props.p, m->props.n);
    uint8_t sep = PROP_SEP_NAME;
    for (uint8_t *p = at, *end = at + m->props.n; p < end; p++) {
        p = memchr(p, 0, (size_t)(end - p)); /* the last byte is a NUL: never absent */
        *p = sep;
        sep = sep == PROP_SEP_NAME ? PROP_SEP_PAIR : PROP_SEP_NAME;
    }
    out->n += m->props.n - 1;
}

/* ---- getters ---- */

static const char *or_empty(const char *s) { return s ? s : ""; }
const char *cmq_message_topic(const struct cmq_message *m) { return m->topic; }
const void *cmq_message_body(const struct cmq_message *m, size_t *n)
{
    if (n != NULL)
        *n = m->body_n;
    return m->body;
}
const char *cmq_message_tag(const struct cmq_message *m) { return or_empty(cmq_message_property(m, PROP_TAGS)); }
const char *cmq_message_keys(const struct cmq_message *m) { return or_empty(cmq_message_property(m, PROP_KEYS)); }
int32_t cmq_message_flag(const struct cmq_message *m) { return m->flag; }
const char *cmq_message_id(const struct cmq_message *m)
{
    const char *unique = cmq_message_property(m, PROP_UNIQ_KEY);
    return unique ? unique : m->offset_id;
}
const char *cmq_message_offset_id(const struct cmq_message *m) { return m->offset_id; }
const char *cmq_message_broker_name(const struct cmq_message *m) { return m->broker_name; }
int32_t cmq_message_queue_id(const struct cmq_message *m) { return m->queue_id; }
int64_t cmq_message_queue_offset(const struct cmq_message *m) { return m->queue_off; }
int64_t cmq_message_born_ms(const struct cmq_message *m) { return m->born_ms; }
int64_t cmq_message_store_ms(const struct cmq_message *m) { return m->store_ms; }
int32_t cmq_message_reconsume_times(const struct cmq_message *m) { return m->reconsume_times; }

/* ---- bodies ---- */

bool body_deflate(struct slice body, struct buf *out)
{
    uLongf n = compressBound((uLong)body.n);
    uint8_t *at = buf_room(out, n);
    if (at == NULL || compress2(at, &n, body.p, (uLong)body.n, LEVEL) != Z_OK || n >= body.n) {
        out->failed = false;
        return false;
    }
    out->n += n;
    return true;
}

enum mq_err body_inflate(struct slice body, size_t max, uint8_t **out, size_t *n)
{
    z_stream z = {0};
    struct buf b = {0};
    if (body.n > UINT32_MAX || inflateInit(&z) != Z_OK)
        return MQ_ENOMEM;
    z.next_in = (Bytef *)(uintptr_t)body.p;
    z.avail_in = (uInt)body.n;
    int rc = Z_OK;
    enum mq_err err = MQ_OK;
    while (rc == Z_OK && err == MQ_OK) {
        size_t room = b.n + 65536 < body.n * 4 ? body.n * 4 - b.n : 65536;
        uint8_t *at = buf_room(&b, room);
        if (at == NULL) {
            err = MQ_ENOMEM;
            break;
        }
        z.next_out = at;
        z.avail_out = (uInt)room;
        rc = inflate(&z, Z_NO_FLUSH);
        b.n += room - z.avail_out;
        if (b.n > max)
            err = MQ_ELIMIT;
    }
    inflateEnd(&z);
    if (err == MQ_OK && rc != Z_STREAM_END)
        err = MQ_EMALFORMED;
    if (err == MQ_OK)
        buf_u8(&b, 0);
    if (err != MQ_OK || b.failed) {
        buf_free(&b);
        return err != MQ_OK ? err : MQ_ENOMEM;
    }
    *out = b.p;
    *n = b.n - 1;
    return MQ_OK;
}

struct cmq_message *message_received(const struct message *record, const char *broker_name, size_t max_inflated, bool *bad)
{
    *bad = false;
    size_t broker_n = strlen(broker_name) + 1;
    bool packed = record->sys_flag & SYS_COMPRESSED;
    size_t body_n = packed ? 0 : record->body.n;
    struct cmq_message *m = mem_alloc(sizeof *m + record->topic.n + 1 + broker_n + body_n + 1);
    if (m == NULL)
        return NULL;
    *m = (struct cmq_message){.flag = record->flag,
                              .queue_id = record->queue_id,
                              .reconsume_times = record->reconsume_times,
                              .queue_off = record->queue_off,
                              .phys_off = record->phys_off,
                              .born_ms = record->born_ms,
                              .store_ms = record->store_ms};
    list_init(&m->window.node);
    list_init(&m->later);
    uint8_t *at = m->text;
    m->topic = (const char *)at;
    memcpy(at, record->topic.p, record->topic.n);
    at[record->topic.n] = 0;
    at += record->topic.n + 1;
    m->broker_name = (const char *)at;
    memcpy(at, broker_name, broker_n);
    at += broker_n;
    m->body = at;
    m->body_n = body_n;
    if (body_n > 0)
        memcpy(at, record->body.p, body_n);
    at[body_n] = 0;
    message_id(&record->store, record->phys_off, m->offset_id);
    if (packed) {
        enum mq_err err = body_inflate(record->body, max_inflated, &m->inflated, &m->body_n);
        *bad = err == MQ_EMALFORMED || err == MQ_ELIMIT;
        m->body = m->inflated;
    }
    struct slice rest = record->properties, name, value;
    bool whole = !packed || m->inflated != NULL;
    if (whole && rest.n > 0)
        whole = buf_room(&m->props, rest.n + 2) != NULL;
    while (whole && prop_next(&rest, &name, &value))
        if (memchr(name.p, 0, name.n) == NULL && memchr(value.p, 0, value.n) == NULL) /* a C string cannot carry it */
            whole = prop_append(&m->props, name, value);
    if (whole)
        return m;
    cmq_message_free(m);
    return NULL;
}
