/* view.c - see view.h.
 *
 * The body goes into a file beneath /tmp/rocketmq/msgbodys, where Apache's mqadmin puts it and where operators look for it. The name is the
 * message's id, which a producer chose: a slash in it is not followed. */
#include "client/admin/mqadmin/view.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/admin/mqadmin/words.h"
#include "client/admin/servers.h"
#include "client/core/message.h"
#include "common/base/mem.h"
#include "common/protocol/json.h"

enum { INFLATED_MAX = 256 << 20 };
#define BODIES "/tmp/rocketmq/msgbodys"

bool view_next(struct mqadmin *m, struct slice *rest, struct view *out)
{
    struct view v = {0};
    if (rest->n == 0)
        return false;
    if (message_decode(*rest, false, &v.m) != MQ_OK)
        return fail(m, -1, "a message in the answer does not decode");
    *rest = slice_from(*rest, v.m.size);
    v.body = v.m.body;
    if (v.m.sys_flag & SYS_COMPRESSED) {
        size_t n;
        if (body_inflate(v.m.body, INFLATED_MAX, &v.inflated, &n) != MQ_OK)
            return fail(m, -1, "the body of a message does not inflate");
        v.body = slice_make(v.inflated, n);
    }
    prop_known(v.m.properties, &v.known);
    message_id(&v.m.store, v.m.phys_off, v.offset_id);
    slice_copy(v.known.uniq_key.n > 0 ? v.known.uniq_key : slice_str(v.offset_id), v.msg_id, sizeof v.msg_id);
    *out = v;
    return true;
}

void view_free(struct view *v)
{
    mem_free(v->inflated);
    *v = (struct view){0};
}

void view_store_addr(const struct view *v, struct buf *out)
{
    words_host(out, &v->m.store);
    buf_u8(out, 0);
}

static void put_properties(struct buf *out, const struct view *v)
{
    const struct words_extra pulled[] = {{"MIN_OFFSET", v->min_offset}, {"MAX_OFFSET", v->max_offset}};
    words_properties(out, v->m.properties, pulled, v->broker != NULL ? 2 : 0);
}

static void put_text(struct buf *out, struct slice text) /* Java's null for what is not there */
{
    if (text.n > 0)
        buf_slice(out, text);
    else
        buf_str(out, "null");
}

void view_line(const struct view *v, bool body)
{
    struct buf line = {0};
    struct slice prepared = {0};
    buf_printf(&line, "MSGID: %s MessageExt [brokerName=%s, queueId=%d, storeSize=%u, queueOffset=%" PRId64 ", sysFlag=%d, bornTimestamp=%" PRId64
                      ", bornHost=/",
               v->msg_id, v->broker ? v->broker : "null", (int)v->m.queue_id, (unsigned)v->m.size, v->m.queue_off, (int)v->m.sys_flag, v->m.born_ms);
    words_host(&line, &v->m.born);
    buf_printf(&line, ", storeTimestamp=%" PRId64 ", storeHost=/", v->m.store_ms);
    words_host(&line, &v->m.store);
    buf_printf(&line, ", msgId=%s, commitLogOffset=%" PRId64 ", bodyCRC=%u, reconsumeTimes=%d, preparedTransactionOffset=%" PRId64
                      ", toString()=Message{topic='%.*s', flag=%d, properties=",
               v->offset_id, v->m.phys_off, (unsigned)v->m.body_crc, (int)v->m.reconsume_times, v->m.prepared_off, SLICE_ARG(v->m.topic), (int)v->m.flag);
    put_properties(&line, v);
    buf_str(&line, ", body=");
    words_bytes(&line, v->body);
    prop_get(v->m.properties, PROP_TRAN_MSG, &prepared);
    buf_str(&line, ", transactionId='");
    put_text(&line, slice_bool(prepared) ? v->known.uniq_key : (struct slice){0});
    buf_printf(&line, "'}] BODY: ");
    if (body)
        buf_slice(&line, v->body);
    else
        buf_str(&line, "NOT PRINT BODY");
    print("%.*s\n", SLICE_ARG(buf_view(&line)));
    buf_free(&line);
}

/* ---- the body's file ---- */

static bool body_save(struct mqadmin *m, const struct view *v, int index, char *path, size_t room)
{
    char name[256];
    snprintf(name, sizeof name, "%s", v->msg_id);
    for (char *c = name; *c; c++)
        if (*c == '/' || (c == name && *c == '.'))
            *c = '_';
    int n = snprintf(path, room, BODIES "/%s", name);
    if (index > 0 && n > 0 && (size_t)n < room)
        snprintf(path + n, room - (size_t)n, "_%d", index);
    if (!folder_make(BODIES))
        return fail(m, -1, BODIES ": %s", strerror(errno));
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
    size_t done = 0;
    while (fd >= 0 && done < v->body.n) {
        ssize_t wrote = write(fd, v->body.p + done, v->body.n - done);
        if (wrote < 0)
            break;
        done += (size_t)wrote;
    }
    bool good = fd >= 0 && done == v->body.n;
    int err = errno;
    if (fd >= 0)
        close(fd);
    return good || fail(m, -1, "%s: %s", path, strerror(err));
}

/* ---- what groups did with it ---- */

/* Has the group passed it? That is: its offset in the message's queue, on the broker that has it, is behind it. */
static bool is_passed(struct mqadmin *m, const struct view *v, const char *group, bool *passed)
{
    struct queue_rows rows;
    struct places places;
    struct buf addr = {0};
    double tps;
    *passed = false;
    if (!lookup_progress(m, group, NULL, &rows, &tps))
        return false;
    if (!places_get(m, &places)) {
        queue_rows_free(&rows);
        return false;
    }
    view_store_addr(v, &addr);
    for (size_t i = 0; i < rows.n; i++) {
        const struct queue_row *row = &rows.at[i];
        if (!slice_is(v->m.topic, row->queue.topic) || row->queue.queue_id != v->m.queue_id || json_i64(row->value, "consumerOffset", 0) <= v->m.queue_off)
            continue;
        for (size_t k = 0; k < places.n; k++)
            if (places.at[k].id == 0 && strcmp(places.at[k].broker, row->queue.broker_name) == 0 && !addr.failed &&
                strcmp(places.at[k].addr, (const char *)addr.p) == 0)
                *passed = true;
    }
    buf_free(&addr);
    places_free(&places);
    queue_rows_free(&rows);
    return true;
}

/* Does the group subscribe to the topic without wanting this tag? */
static bool is_filtered(const json_t *consumers, const struct view *v)
{
    char topic[256];
    json_t *tag;
    size_t i;
    slice_copy(v->m.topic, topic, sizeof topic);
    const json_t *sub = json_object_get(json_object_get(consumers, "subscriptionTable"), topic), *tags = json_object_get(sub, "tagsSet");
    if (sub == NULL || json_array_size(tags) == 0)
        return false;
    json_array_foreach(tags, i, tag)
        if (slice_is(v->known.tags, json_string_value(tag)) || strcmp(json_string_value(tag) ? json_string_value(tag) : "", "*") == 0)
            return false;
    return true;
}

static void track(struct mqadmin *m, const struct view *v, const char *group)
{
    const char *type = "UNKNOWN";
    struct buf why = {0};
    bool passed;
    json_t *consumers = lookup_consumers(m, group, NULL);
    if (consumers != NULL && strcmp(words_member(consumers, "consumeType"), "CONSUME_ACTIVELY") == 0)
        type = "PULL";
    else if (consumers != NULL && is_passed(m, v, group, &passed))
        type = !passed ? "NOT_CONSUME_YET" : is_filtered(consumers, v) ? "CONSUMED_BUT_FILTERED" : "CONSUMED";
    else if (m->why.n > 0 && m->code == RES_CONSUMER_NOT_ONLINE)
        type = "NOT_ONLINE";
    if (m->why.n > 0 && m->code >= 0)
        buf_printf(&why, "CODE:%d DESC:%.*s", (int)m->code, SLICE_ARG(buf_view(&m->why)));
    else
        buf_slice(&why, buf_view(&m->why));
    fail_forget(m);
    print("MessageTrack [consumerGroup=%s, trackType=%s, exceptionDesc=%.*s]", group, type, SLICE_ARG(why.n > 0 ? buf_view(&why) : SLICE_LIT("null")));
    buf_free(&why);
    json_decref(consumers);
}

static void tracks(struct mqadmin *m, const struct view *v)
{
    char topic[256];
    struct names groups;
    json_t *root = lookup_groups(m, slice_copy(v->m.topic, topic, sizeof topic), &groups);
    if (root == NULL) {
        fail_tell(m);
        return;
    }
    if (groups.n == 0)
        print("\n\nWARN: No Consumer");
    else
        print("\n\n");
    for (size_t i = 0; i < groups.n; i++)
        track(m, v, groups.at[i]);
    names_free(&groups);
    json_decref(root);
}

bool view_details(struct mqadmin *m, const struct view *v, bool by_id, int index)
{
    char path[512], born[WORDS_MAX], stored[WORDS_MAX];
    struct buf tags = {0}, keys = {0}, born_host = {0}, store_host = {0}, props = {0};
    if (!body_save(m, v, index, path, sizeof path))
        return false;
    put_text(&tags, v->known.tags);
    put_text(&keys, v->known.keys);
    words_host(&born_host, &v->m.born);
    words_host(&store_host, &v->m.store);
    put_properties(&props, v);
    if (by_id)
        print("%-20s %s\n", "OffsetID:", v->offset_id);
    print("%-20s %.*s\n", "Topic:", SLICE_ARG(v->m.topic));
    print("%-20s [%.*s]\n", "Tags:", SLICE_ARG(buf_view(&tags)));
    print("%-20s [%.*s]\n", "Keys:", SLICE_ARG(buf_view(&keys)));
    print("%-20s %d\n", "Queue ID:", (int)v->m.queue_id);
    print("%-20s %" PRId64 "\n", "Queue Offset:", v->m.queue_off);
    print("%-20s %" PRId64 "\n", "CommitLog Offset:", v->m.phys_off);
    print("%-20s %d\n", "Reconsume Times:", (int)v->m.reconsume_times);
    print("%-20s %s\n", "Born Timestamp:", words_time(v->m.born_ms, born));
    print("%-20s %s\n", "Store Timestamp:", words_time(v->m.store_ms, stored));
    print("%-20s %.*s\n", "Born Host:", SLICE_ARG(buf_view(&born_host)));
    print("%-20s %.*s\n", "Store Host:", SLICE_ARG(buf_view(&store_host)));
    print("%-20s %d\n", "System Flag:", (int)v->m.sys_flag);
    print("%-20s %.*s\n", "Properties:", SLICE_ARG(buf_view(&props)));
    print("%-20s %s\n", "Message Body Path:", path);
    buf_free(&tags);
    buf_free(&keys);
    buf_free(&born_host);
    buf_free(&store_host);
    buf_free(&props);
    tracks(m, v);
    return true;
}
