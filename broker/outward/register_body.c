/* register_body.c - the bytes of a registration: inventory a (103, 104, 322) and e.9. (test: unit/outward/register_body) */
#include "broker/outward/register_body.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>
#include "common/protocol/codes.h"
#include "common/protocol/json.h"
#include "common/protocol/message.h"

static int32_t perm_of(const struct topic_config *t, int32_t permission)
{
    bool whole = (permission & PERM_READ) && (permission & PERM_WRITE);
    return whole ? t->perm : permission;
}

typedef void topic_fn(void *arg, const struct topic_config *t);

/* fn for each topic that is meant; a name that comes twice in a row counts once. */
static void each_topic(const struct topics *t, const struct buf *names, topic_fn *fn, void *arg)
{
    if (names == NULL) {
        for (const struct topic_config *c = topics_next(t, NULL); c; c = topics_next(t, c))
            fn(arg, c);
        return;
    }
    const struct topic_config *last = NULL;
    for (size_t at = 0; at < names->n;) {
        struct slice name = slice_str((const char *)names->p + at);
        const struct topic_config *c = topics_find(t, name);
        if (c && c != last)
            fn(arg, c);
        last = c;
        at += name.n + 1;
    }
}

struct json_out {
    struct jw w;
    int32_t permission;
};

static void json_topic(void *arg, const struct topic_config *t)
{
    struct json_out *o = arg;
    struct slice name = slice_str(t->name);
    jw_key_slice(&o->w, name);
    jw_object(&o->w);
    jw_kv_bool(&o->w, "order", t->order);
    jw_kv_i64(&o->w, "perm", perm_of(t, o->permission));
    jw_kv_i64(&o->w, "readQueueNums", t->read_queues);
    jw_kv_str(&o->w, "topicFilterType", t->multi_tags ? SLICE_LIT("MULTI_TAG") : SLICE_LIT("SINGLE_TAG"));
    jw_kv_str(&o->w, "topicName", name);
    jw_kv_i64(&o->w, "topicSysFlag", t->sys_flag);
    jw_kv_i64(&o->w, "writeQueueNums", t->write_queues);
    jw_end_object(&o->w);
}

static void body_json(const struct topics *t, const struct buf *names, int32_t permission, struct buf *out)
{
    struct json_out o = {.w = jw_over(out, false), .permission = permission};
    jw_object(&o.w);
    jw_key(&o.w, "filterServerList");
    jw_array(&o.w);
    jw_end_array(&o.w);
    jw_key(&o.w, "topicConfigSerializeWrapper");
    jw_object(&o.w);
    jw_key(&o.w, "dataVersion");
    data_version_write(&o.w, topics_version(t));
    jw_key(&o.w, "topicConfigTable");
    jw_object(&o.w);
    each_topic(t, names, json_topic, &o);
    jw_end_object(&o.w);
    jw_end_object(&o.w);
    jw_end_object(&o.w);
}

struct plain_out {
    struct buf lines;
    uint32_t n;
    int32_t permission;
};

static void plain_piece(struct buf *out, struct slice s)
{
    buf_u32(out, (uint32_t)s.n);
    buf_slice(out, s);
}

static void plain_topic(void *arg, const struct topic_config *t)
{
    struct plain_out *o = arg;
    char line[MESSAGE_TOPIC_MAX + 64];
    int n = snprintf(line, sizeof line, "%s %d %d %d %s", t->name, t->read_queues, t->write_queues, perm_of(t, o->permission),
                     t->multi_tags ? "MULTI_TAG" : "SINGLE_TAG");
    if (n < 0 || (size_t)n >= sizeof line)
        return;
    plain_piece(&o->lines, slice_make(line, (size_t)n));
    o->n++;
}

static void body_compressed(const struct topics *t, const struct buf *names, int32_t permission, struct buf *out)
{
    struct plain_out o = {.permission = permission};
    struct buf plain = {0}, version = {0};
    struct jw w = jw_over(&version, false);
    data_version_write(&w, topics_version(t));
    each_topic(t, names, plain_topic, &o);
    plain_piece(&plain, buf_view(&version));
    buf_u32(&plain, o.n);
    buf_slice(&plain, buf_view(&o.lines));
    plain_piece(&plain, SLICE_LIT("[]")); /* filter servers */

    uLongf n = compressBound((uLong)plain.n);
    uint8_t *room = buf_room(out, n);
    if (plain.failed || version.failed || o.lines.failed || room == NULL || compress2(room, &n, plain.p, (uLong)plain.n, Z_BEST_COMPRESSION) != Z_OK)
        out->failed = true;
    else
        out->n += n;
    buf_free(&plain);
    buf_free(&version);
    buf_free(&o.lines);
}

void register_body(const struct topics *t, const struct buf *names, int32_t permission, bool compressed, struct buf *out)
{
    (compressed ? body_compressed : body_json)(t, names, permission, out);
}

static void add(struct register_header *h, const char *key, const char *value)
{
    h->ext[h->n++] = (struct ext_field){slice_str(key), slice_str(value)};
}

void unregister_header(struct register_header *h, const struct register_identity *who)
{
    h->n = 0;
    snprintf(h->id, sizeof h->id, "%" PRId64, who->broker_id);
    add(h, "brokerName", who->broker_name);
    add(h, "brokerAddr", who->addr);
    add(h, "clusterName", who->cluster_name);
    add(h, "brokerId", h->id);
}

void register_header(struct register_header *h, const struct register_identity *who, bool compressed, struct slice body)
{
    unregister_header(h, who);
    snprintf(h->crc, sizeof h->crc, "%u", crc32_of(body) & 0x7fffffffu);
    add(h, "haServerAddr", who->ha_addr);
    add(h, "compressed", compressed ? "true" : "false");
    add(h, "bodyCrc32", h->crc);
}
