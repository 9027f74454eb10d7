/* admin_reset.c - a consumer group goes on elsewhere: back to a time, to the beginning, or past its backlog.
 *
 *   222 --> members are there: their broker tells each (220); they stop, write the offset, go on
 *     `---> 206: nobody is there: for each queue the offset is asked for (29 30 31) and written (15)
 * A broker answers 1 when the group has no offset of some queue; then, too, it counts whether somebody is there. A group is moved on all
 * masters of the topic or, if one fails, on some: what fn was told of has happened. */
#include <stdio.h>
#include <string.h>

#include "client/core/admin_internal.h"
#include "client/core/error.h"
#include "common/protocol/codes.h"

struct move {
    struct cmq_admin *admin;
    const char *group, *topic;
    int64_t time_ms;
    bool dry_run;
    cmq_reset_fn *fn;
    void *arg;
};

static void told(const struct move *m, const char *broker, int32_t queue_id, int64_t queue_off)
{
    const struct cmq_queue q = {.topic = m->topic, .broker_name = broker, .queue_id = queue_id};
    if (m->fn != NULL)
        m->fn(m->arg, &q, queue_off);
}

/* ---- with members ---- */

static void read_targets(const struct move *m, const char *broker, json_t *table)
{
    const char *key;
    json_t *value;
    json_object_foreach(table, key, value) { /* keys are queues, as JSON */
        json_t *q = json_parse(slice_str(key), NULL);
        if (q != NULL)
            told(m, broker, (int32_t)json_i64(q, "queueId", -1), json_i64(table, key, -1));
        json_decref(q);
    }
}

/* *nobody: no member is known to this broker, and nothing happened. */
static enum cmq_code move_members(const struct move *m, const char *broker, const char *addr, bool *nobody, struct cmq_error *err)
{
    char time[24];
    struct cmq_error inner = {0};
    json_t *root;
    snprintf(time, sizeof time, "%lld", (long long)(m->time_ms == CMQ_RESET_FIRST ? 0 : m->time_ms));
    const struct ext_field ext[] = {{SLICE_LIT("topic"), slice_str(m->topic)},
                                    {SLICE_LIT("group"), slice_str(m->group)},
                                    {SLICE_LIT("timestamp"), slice_str(time)},
                                    {SLICE_LIT("isForce"), SLICE_LIT("true")}};
    struct command cmd = client_command(m->admin->client, REQ_INVOKE_BROKER_TO_RESET_OFFSET, ext, 4);
    enum cmq_code code = admin_ask_json(m->admin, addr, &cmd, "move the group", &root, &inner);
    *nobody = false;
    if (code == CMQ_OK) {
        read_targets(m, broker, json_object_get(root, "offsetTable"));
        json_decref(root);
        return CMQ_OK;
    }
    *nobody = inner.server_code == RES_CONSUMER_NOT_ONLINE;
    if (!*nobody && inner.server_code == RES_SYSTEM_ERROR) { /* for want of an offset, perhaps */
        const struct ext_field who[] = {{SLICE_LIT("consumerGroup"), slice_str(m->group)}};
        struct command ask = client_command(m->admin->client, REQ_GET_CONSUMER_CONNECTION_LIST, who, 1);
        struct cmq_error second = {0};
        if (admin_ask_json(m->admin, addr, &ask, "members of the group", &root, &second) == CMQ_OK)
            json_decref(root);
        *nobody = second.server_code == RES_CONSUMER_NOT_ONLINE;
    }
    if (*nobody)
        return CMQ_OK;
    if (err != NULL)
        *err = inner;
    return code;
}

/* ---- without ---- */

static enum cmq_code target_of(const struct move *m, const char *addr, const char *id, int64_t *out, struct cmq_error *err)
{
    char time[24];
    snprintf(time, sizeof time, "%lld", (long long)m->time_ms);
    const struct ext_field ext[] = {{SLICE_LIT("topic"), slice_str(m->topic)}, {SLICE_LIT("queueId"), slice_str(id)},
                                    {SLICE_LIT("timestamp"), slice_str(time)}};
    int32_t request = m->time_ms == CMQ_RESET_FIRST ? REQ_GET_MIN_OFFSET : m->time_ms == CMQ_RESET_LAST ? REQ_GET_MAX_OFFSET : REQ_SEARCH_OFFSET_BY_TIMESTAMP;
    struct command cmd = client_command(m->admin->client, request, ext, request == REQ_SEARCH_OFFSET_BY_TIMESTAMP ? 3 : 2);
    struct answer answer;
    enum cmq_code code = client_call_wait(m->admin->client, addr, &cmd, m->admin->timeout_ms, "offset of a queue", &answer, err);
    if (code != CMQ_OK)
        return code;
    struct fields f = fields_of(&answer.cmd);
    *out = field_i64(&f, "offset");
    answer_free(&answer);
    return f.bad[0] ? error_set(err, CMQ_ERR_PROTOCOL, "offset of a queue: %s", f.bad) : CMQ_OK;
}

static enum cmq_code write_offset(const struct move *m, const char *addr, const char *id, int64_t queue_off, struct cmq_error *err)
{
    char off[24];
    snprintf(off, sizeof off, "%lld", (long long)queue_off);
    const struct ext_field ext[] = {{SLICE_LIT("consumerGroup"), slice_str(m->group)}, {SLICE_LIT("topic"), slice_str(m->topic)},
                                    {SLICE_LIT("queueId"), slice_str(id)}, {SLICE_LIT("commitOffset"), slice_str(off)}};
    struct command cmd = client_command(m->admin->client, REQ_UPDATE_CONSUMER_OFFSET, ext, 4);
    struct answer answer;
    enum cmq_code code = client_call_wait(m->admin->client, addr, &cmd, m->admin->timeout_ms, "write an offset", &answer, err);
    if (code == CMQ_OK)
        answer_free(&answer);
    return code;
}

static enum cmq_code move_offsets(const struct move *m, const struct route_broker *b, const char *addr, struct cmq_error *err)
{
    enum cmq_code code = CMQ_OK;
    for (int32_t i = 0; code == CMQ_OK && i < b->write_queues; i++) {
        char id[16];
        int64_t off = 0;
        snprintf(id, sizeof id, "%d", (int)i);
        code = target_of(m, addr, id, &off, err);
        if (code == CMQ_OK && !m->dry_run)
            code = write_offset(m, addr, id, off, err);
        if (code == CMQ_OK)
            told(m, b->name, i, off);
    }
    return code;
}

enum cmq_code cmq_admin_reset_group(struct cmq_admin *a, const char *group, const char *topic, int64_t time_ms, int dry_run, cmq_reset_fn *fn, void *arg,
                                    struct cmq_error *err)
{
    if (group == NULL || topic == NULL || group[0] == 0 || topic[0] == 0 || time_ms < CMQ_RESET_FIRST)
        return error_set(err, CMQ_ERR_ARGUMENT, "move a group: it needs a group, a topic, and a time");
    const struct move m = {.admin = a, .group = group, .topic = topic, .time_ms = time_ms, .dry_run = dry_run != 0, .fn = fn, .arg = arg};
    struct route *r;
    enum cmq_code code = admin_fresh_route(a, NULL, topic, &r, err);
    if (code != CMQ_OK)
        return code;
    for (size_t i = 0; code == CMQ_OK && i < r->n_brokers; i++) {
        const struct route_broker *b = &r->brokers[i];
        const char *addr = route_master(b);
        bool nobody = true;
        if (addr == NULL)
            continue;
        if (!m.dry_run)
            code = move_members(&m, b->name, addr, &nobody, err);
        if (code == CMQ_OK && nobody)
            code = move_offsets(&m, b, addr, err);
    }
    route_unref(r);
    return code == CMQ_OK ? error_ok(err) : code;
}
