/* admin_group.c - a consumer group as the brokers see it: who is in it (203), how far it is (208), and whether its members disagree.
 *
 * Every master is asked, because a group's offsets of a queue are at the queue's broker, and members may not reach all of them. A broker
 * that knows no member says so (206), which is an answer, not a failure; one that has no offset gives an empty table. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/core/admin_internal.h"
#include "client/core/error.h"
#include "common/base/mem.h"
#include "common/protocol/codes.h"

struct looking {
    struct cmq_admin *admin;
    const char *group;
    const struct cmq_group_view *view;
    struct arena arena; /* texts of progress */
    struct cmq_group_progress *progress;
    size_t n_progress, n_members;
};

static const char *text_of(const json_t *o, const char *key) /* "" when absent; borrowed from the JSON */
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}

/* ---- members ---- */

static void show_members(struct looking *l, const char *broker, const json_t *root)
{
    size_t i;
    const json_t *one, *set = json_object_get(root, "connectionSet"), *x = json_object_get(root, "subscriptionMismatch");
    json_array_foreach(set, i, one) {
        const struct cmq_group_member m = {.broker_name = broker, .client_id = text_of(one, "clientId"), .addr = text_of(one, "clientAddr"),
                                           .language = text_of(one, "language"), .version = (int32_t)json_i64(one, "version", 0)};
        l->n_members++;
        if (l->view->member != NULL)
            l->view->member(l->view->arg, &m);
    }
    if (json_is_object(x) && l->view->mismatch != NULL) {
        const struct cmq_group_mismatch m = {.broker_name = broker, .topic = text_of(x, "topic"), .client_id = text_of(x, "clientId"),
                                             .other_client_id = text_of(x, "otherClientId")};
        l->view->mismatch(l->view->arg, &m);
    }
}

static enum cmq_code look_at_members(struct looking *l, const struct cmq_broker *b, struct cmq_error *err)
{
    const struct ext_field ext[] = {{SLICE_LIT("consumerGroup"), slice_str(l->group)}};
    struct command cmd = client_command(l->admin->client, REQ_GET_CONSUMER_CONNECTION_LIST, ext, 1);
    struct cmq_error inner = {0};
    json_t *root;
    enum cmq_code code = admin_ask_json(l->admin, b->addr, &cmd, "members of the group", &root, &inner);
    if (code == CMQ_OK) {
        show_members(l, b->broker_name, root);
        json_decref(root);
        return CMQ_OK;
    }
    if (inner.server_code == RES_CONSUMER_NOT_ONLINE)
        return CMQ_OK;
    if (err != NULL)
        *err = inner;
    return code;
}

/* ---- progress ---- */

static bool keep_progress(struct looking *l, const json_t *q, const json_t *value)
{
    struct slice topic = json_str(q, "topic"), broker = json_str(q, "brokerName");
    char *t = arena_alloc(&l->arena, topic.n + 1), *b = arena_alloc(&l->arena, broker.n + 1);
    if (t == NULL || b == NULL)
        return false;
    l->progress[l->n_progress++] = (struct cmq_group_progress){
        .queue = {slice_copy(topic, t, topic.n + 1), slice_copy(broker, b, broker.n + 1), (int32_t)json_i64(q, "queueId", -1)},
        .offset = json_i64(value, "consumerOffset", 0),
        .max_offset = json_i64(value, "brokerOffset", 0),
        .last_ms = json_i64(value, "lastTimestamp", 0)};
    return true;
}

static bool read_progress(struct looking *l, json_t *table)
{
    const char *key;
    json_t *value;
    struct cmq_group_progress *more = mem_realloc(l->progress, (l->n_progress + json_object_size(table) + 1) * sizeof *more);
    if (more == NULL)
        return false;
    l->progress = more;
    json_object_foreach(table, key, value) { /* keys are queues, as JSON */
        json_t *q = json_parse(slice_str(key), NULL);
        bool kept = q == NULL || keep_progress(l, q, value);
        json_decref(q);
        if (!kept)
            return false;
    }
    return true;
}

static enum cmq_code look_at_progress(struct looking *l, const struct cmq_broker *b, struct cmq_error *err)
{
    const struct ext_field ext[] = {{SLICE_LIT("consumerGroup"), slice_str(l->group)}};
    struct command cmd = client_command(l->admin->client, REQ_GET_CONSUME_STATS, ext, 1);
    json_t *root;
    enum cmq_code code = admin_ask_json(l->admin, b->addr, &cmd, "progress of the group", &root, err);
    if (code != CMQ_OK)
        return code;
    if (!read_progress(l, json_object_get(root, "offsetTable")))
        code = error_set(err, CMQ_ERR_NO_MEMORY, "progress of the group: out of memory");
    json_decref(root);
    return code;
}

static int by_queue(const void *x, const void *y)
{
    return queue_cmp(&((const struct cmq_group_progress *)x)->queue, &((const struct cmq_group_progress *)y)->queue);
}

/* ---- both ---- */

static enum cmq_code look(struct looking *l, struct cmq_error *err)
{
    json_t *info;
    size_t n;
    enum cmq_code code = admin_ask_cluster(l->admin, &info, err);
    if (code != CMQ_OK)
        return code;
    struct cmq_broker *all = admin_brokers_of(info, &n);
    if (all == NULL)
        code = error_set(err, CMQ_ERR_NO_MEMORY, "look at a group: out of memory");
    for (size_t i = 0; code == CMQ_OK && i < n; i++) {
        if (all[i].broker_id != 0)
            continue;
        code = look_at_members(l, &all[i], err);
        if (code == CMQ_OK)
            code = look_at_progress(l, &all[i], err);
    }
    mem_free(all);
    json_decref(info);
    return code;
}

enum cmq_code cmq_admin_group(struct cmq_admin *a, const char *group, const struct cmq_group_view *view, struct cmq_error *err)
{
    if (group == NULL || group[0] == '\0')
        return error_set(err, CMQ_ERR_ARGUMENT, "look at a group: which?");
    struct looking l = {.admin = a, .group = group, .view = view};
    enum cmq_code code = look(&l, err);
    if (code == CMQ_OK && l.n_members == 0 && l.n_progress == 0)
        code = error_set(err, CMQ_ERR_NOT_FOUND, "group %.127s: no broker has members or offsets of it", group);
    if (code == CMQ_OK && l.n_progress > 0)
        qsort(l.progress, l.n_progress, sizeof *l.progress, by_queue);
    for (size_t i = 0; code == CMQ_OK && view->progress != NULL && i < l.n_progress; i++)
        view->progress(view->arg, &l.progress[i]);
    mem_free(l.progress);
    arena_fini(&l.arena);
    return code == CMQ_OK ? error_ok(err) : code;
}
