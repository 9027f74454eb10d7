/* group.c - updateSubGroup, deleteSubGroup, getConsumerConfig: a consumer group as brokers have it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/admin/mqadmin/lookup.h"
#include "client/admin/mqadmin/words.h"
#include "common/protocol/json.h"
#include "common/protocol/message.h"

struct group_config {
    const char *group;
    bool enabled, from_min, broadcast, notify;
    int32_t retry_queues, retry_max;
    int64_t broker_id, slow_broker_id;
};

static bool config_send(struct mqadmin *m, const char *addr, const struct group_config *c)
{
    struct ask q = ask_of(REQ_UPDATE_AND_CREATE_SUBSCRIPTIONGROUP);
    struct buf body = {0};
    struct jw w = jw_over(&body, false);
    jw_object(&w);
    jw_kv_i64(&w, "brokerId", c->broker_id);
    jw_kv_bool(&w, "consumeBroadcastEnable", c->broadcast);
    jw_kv_bool(&w, "consumeEnable", c->enabled);
    jw_kv_bool(&w, "consumeFromMinEnable", c->from_min);
    jw_kv_str(&w, "groupName", slice_str(c->group));
    jw_kv_bool(&w, "notifyConsumerIdsChangedEnable", c->notify);
    jw_kv_i64(&w, "retryMaxTimes", c->retry_max);
    jw_kv_i64(&w, "retryQueueNums", c->retry_queues);
    jw_kv_i64(&w, "whichBrokerWhenConsumeSlowly", c->slow_broker_id);
    jw_end_object(&w);
    q.body = buf_view(&body);
    bool good = !body.failed ? ask_ok(m, addr, &q, NULL) : fail(m, -1, "out of memory");
    buf_free(&body);
    if (good)
        print("create subscription group to %s success.\n", addr);
    return good;
}

static void config_print(const struct group_config *c)
{
    print("SubscriptionGroupConfig [groupName=%s, consumeEnable=%s, consumeFromMinEnable=%s, consumeBroadcastEnable=%s, retryQueueNums=%d, "
          "retryMaxTimes=%d, brokerId=%" PRId64 ", whichBrokerWhenConsumeSlowly=%" PRId64 ", notifyConsumerIdsChangedEnable=%s]",
          c->group, words_bool(c->enabled), words_bool(c->from_min), words_bool(c->broadcast), (int)c->retry_queues, (int)c->retry_max, c->broker_id,
          c->slow_broker_id, words_bool(c->notify));
}

bool group_update(struct mqadmin *m)
{
    struct addrs masters;
    struct group_config c = {.group = opt_text(m, 'g'),
                             .enabled = opt_bool(m, 's', true),
                             .from_min = opt_bool(m, 'm', false),
                             .broadcast = opt_bool(m, 'd', false),
                             .notify = opt_bool(m, 'a', true)};
    if (!opt_i32(m, 'q', 1, &c.retry_queues) || !opt_i32(m, 'r', 16, &c.retry_max) || !opt_i64(m, 'i', 0, &c.broker_id) ||
        !opt_i64(m, 'w', 1, &c.slow_broker_id))
        return false;
    if (opt_is(m, 'b')) {
        if (!config_send(m, opt_text(m, 'b'), &c))
            return false;
        config_print(&c);
        return true;
    }
    if (!opt_is(m, 'c'))
        return help_print(m->command);
    if (!addrs_get(m, opt_text(m, 'c'), false, &masters))
        return false;
    for (size_t i = 0; i < masters.n; i++)
        if (!config_send(m, masters.at[i]->addr, &c))
            fail_tell(m); /* the others get it */
    addrs_free(&masters);
    config_print(&c);
    return true;
}

/* ---- deleteSubGroup ---- */

static bool delete_on(struct mqadmin *m, const char *addr)
{
    struct ask q = ask_of(REQ_DELETE_SUBSCRIPTIONGROUP);
    ask_str(&q, "groupName", opt_text(m, 'g'));
    ask_bool(&q, "removeOffset", opt_bool(m, 'r', false));
    return ask_ok(m, addr, &q, NULL);
}

bool group_delete(struct mqadmin *m)
{
    const char *group = opt_text(m, 'g'), *cluster = opt_text(m, 'c');
    static const char *const own[] = {RETRY_PREFIX, DLQ_PREFIX};
    struct addrs masters;
    if (opt_is(m, 'b')) {
        if (!delete_on(m, opt_text(m, 'b')))
            return false;
        print("delete subscription group [%s] from broker [%s] success.\n", group, opt_text(m, 'b'));
        return true;
    }
    if (cluster == NULL)
        return help_print(m->command);
    bool good = addrs_get(m, cluster, false, &masters);
    for (size_t i = 0; good && i < masters.n; i++) {
        good = delete_on(m, masters.at[i]->addr);
        if (good)
            print("delete subscription group [%s] from broker [%s] in cluster [%s] success.\n", group, masters.at[i]->addr, cluster);
    }
    addrs_free(&masters);
    for (size_t i = 0; good && i < 2; i++) {
        char topic[300];
        snprintf(topic, sizeof topic, "%s%s", own[i], group);
        if (!topic_delete_one(m, cluster, topic)) {
            fail_tell(m);
            break;
        }
    }
    return good;
}

/* ---- getConsumerConfig ---- */

static void print_field(const json_t *config, const char *name)
{
    const json_t *v = json_object_get(config, name);
    struct buf text = {0};
    if (json_is_string(v))
        buf_str(&text, json_string_value(v));
    else if (v != NULL && !json_is_null(v))
        words_json(&text, v, false);
    print("%-40s=  %.*s\n", name, SLICE_ARG(buf_view(&text)));
    buf_free(&text);
}

bool group_get_config(struct mqadmin *m)
{
    static const char *const fields[] = {"groupName", "consumeEnable", "consumeFromMinEnable", "consumeBroadcastEnable", "retryQueueNums", "retryMaxTimes",
                                         "brokerId", "whichBrokerWhenConsumeSlowly", "notifyConsumerIdsChangedEnable"};
    struct places places;
    bool good = places_get(m, &places);
    for (size_t i = 0; good && i < places.n; i++) {
        struct ask q = ask_of(REQ_GET_ALL_SUBSCRIPTIONGROUP_CONFIG);
        const struct place *p = &places.at[i];
        if (i > 0 && strcmp(places.at[i - 1].broker, p->broker) == 0)
            continue; /* a slave; the first of a name is its master when it has one */
        json_t *root = ask_json(m, p->addr, &q), *config = json_object_get(json_object_get(root, "subscriptionGroupTable"), opt_text(m, 'g'));
        good = root != NULL;
        if (config != NULL) {
            print("=============================%s:%s=============================\n", p->cluster, p->broker);
            for (size_t k = 0; k < sizeof fields / sizeof *fields; k++)
                print_field(config, fields[k]);
        }
        json_decref(root);
    }
    places_free(&places);
    return good;
}
