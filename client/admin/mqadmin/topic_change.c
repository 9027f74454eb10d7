/* topic_change.c - making, changing and deleting topics: updateTopic, updateTopicPerm, updateOrderConf, deleteTopic.
 *
 * A topic's order configuration is a pair at the name servers, "broker:queues;broker:queues". A change on one broker leaves what others have there. */
#include <stdio.h>
#include <string.h>

#include "client/admin/mqadmin/lookup.h"
#include "client/admin/mqadmin/words.h"

#define ORDER_CONF "ORDER_TOPIC_CONFIG"

/* ---- updateTopic, updateTopicPerm ---- */

struct topic_config {
    const char *topic;
    int32_t reads, writes, perm, sys_flag;
    bool order;
};

static bool config_send(struct mqadmin *m, const char *addr, const struct topic_config *c)
{
    struct ask q = ask_of(REQ_UPDATE_AND_CREATE_TOPIC);
    ask_str(&q, "topic", c->topic);
    ask_str(&q, "defaultTopic", "TBW102");
    ask_i64(&q, "readQueueNums", c->reads);
    ask_i64(&q, "writeQueueNums", c->writes);
    ask_i64(&q, "perm", c->perm);
    ask_str(&q, "topicFilterType", "SINGLE_TAG");
    ask_i64(&q, "topicSysFlag", c->sys_flag);
    ask_bool(&q, "order", c->order);
    return ask_ok(m, addr, &q, NULL);
}

static void config_print(const struct topic_config *c, const char *end)
{
    char perm[4];
    print("TopicConfig [topicName=%s, readQueueNums=%d, writeQueueNums=%d, perm=%s, topicFilterType=SINGLE_TAG, topicSysFlag=%d, order=%s]%s", c->topic,
          (int)c->reads, (int)c->writes, words_perm(c->perm, perm), (int)c->sys_flag, words_bool(c->order), end);
}

static bool order_conf_put(struct mqadmin *m, const char *topic, const char *conf)
{
    struct ask q = ask_of(REQ_PUT_KV_CONFIG);
    ask_str(&q, "namespace", ORDER_CONF);
    ask_str(&q, "key", topic);
    ask_str(&q, "value", conf);
    return ask_each_name(m, &q);
}

static bool order_conf_get(struct mqadmin *m, const char *topic, struct buf *out)
{
    struct ask q = ask_of(REQ_GET_KV_CONFIG);
    struct answer answer;
    struct slice value;
    ask_str(&q, "namespace", ORDER_CONF);
    ask_str(&q, "key", topic);
    if (!ask_ok(m, NULL, &q, &answer))
        return false;
    if (command_ext(&answer.cmd, "value", &value))
        buf_slice(out, value);
    answer_free(&answer);
    return true;
}

/* One broker's part of a topic's order configuration: what others have there stays. */
static bool order_conf_merge(struct mqadmin *m, const char *topic, const char *broker, const char *part)
{
    struct buf old = {0}, merged = {0};
    struct slice one, rest;
    if (!order_conf_get(m, topic, &old))
        fail_forget(m); /* there is none yet */
    rest = buf_view(&old);
    while (rest.p != NULL && slice_cut(&rest, ';', &one)) {
        struct slice name = one;
        slice_cut(&one, ':', &name);
        if (name.n == 0 || slice_is(name, broker))
            continue;
        buf_printf(&merged, "%s%.*s:%.*s", merged.n ? ";" : "", SLICE_ARG(name), SLICE_ARG(one));
    }
    buf_printf(&merged, "%s%s", merged.n ? ";" : "", part);
    buf_u8(&merged, 0);
    bool good = !merged.failed ? order_conf_put(m, topic, (const char *)merged.p) : fail(m, -1, "out of memory");
    buf_free(&old);
    buf_free(&merged);
    return good;
}

static bool update_on_broker(struct mqadmin *m, const struct topic_config *c)
{
    const char *addr = opt_text(m, 'b'), *broker = NULL;
    struct places places = {0};
    char conf[320];
    if (!config_send(m, addr, c))
        return false;
    if (c->order) {
        if (!places_get(m, &places))
            return false;
        for (size_t i = 0; i < places.n; i++)
            if (strcmp(places.at[i].addr, addr) == 0)
                broker = places.at[i].broker;
        if (broker == NULL) {
            places_free(&places);
            return fail(m, -1, "Make sure the specified clusterName exists or the name server connected to is correct.");
        }
        snprintf(conf, sizeof conf, "%s:%d", broker, (int)c->writes);
        bool good = order_conf_merge(m, c->topic, broker, conf);
        places_free(&places);
        if (!good)
            return false;
        print("set broker orderConf. isOrder=true, orderConf=[%s]", conf);
    }
    print("create topic to %s success.\n", addr);
    config_print(c, "");
    return true;
}

static bool update_in_cluster(struct mqadmin *m, const struct topic_config *c)
{
    struct addrs masters;
    struct buf conf = {0};
    if (!addrs_get(m, opt_text(m, 'c'), false, &masters))
        return false;
    bool good = true;
    for (size_t i = 0; i < masters.n && good; i++) {
        good = config_send(m, masters.at[i]->addr, c);
        if (good)
            print("create topic to %s success.\n", masters.at[i]->addr);
        buf_printf(&conf, "%s%s:%d", i ? ";" : "", masters.at[i]->broker, (int)c->writes);
    }
    buf_u8(&conf, 0);
    if (good && c->order && masters.n > 0) {
        good = !conf.failed ? order_conf_put(m, c->topic, (const char *)conf.p) : fail(m, -1, "out of memory");
        if (good)
            print("set cluster orderConf. isOrder=true, orderConf=[%s]", (const char *)conf.p);
    }
    if (good)
        config_print(c, "");
    buf_free(&conf);
    addrs_free(&masters);
    return good;
}

bool topic_update(struct mqadmin *m)
{
    struct topic_config c = {.topic = opt_text(m, 't'), .order = opt_bool(m, 'o', false)};
    if (!opt_i32(m, 'r', 8, &c.reads) || !opt_i32(m, 'w', 8, &c.writes) || !opt_i32(m, 'p', 6, &c.perm))
        return false;
    c.sys_flag = (opt_bool(m, 'u', false) ? 1 : 0) | (opt_bool(m, 's', false) ? 2 : 0);
    return opt_is(m, 'b') ? update_on_broker(m, &c) : update_in_cluster(m, &c);
}

static const struct route_broker *broker_with_master(const struct route *r, const char *addr)
{
    for (size_t i = 0; i < r->n_brokers; i++) {
        const char *master = route_master(&r->brokers[i]);
        if (master != NULL && strcmp(master, addr) == 0)
            return &r->brokers[i];
    }
    return NULL;
}

static bool perm_on_broker(struct mqadmin *m, const struct route *r, const struct topic_config *c)
{
    const char *addr = opt_text(m, 'b');
    const struct route_broker *b = broker_with_master(r, addr);
    if (b == NULL) {
        print("updateTopicPerm error broker not exit or broker is not master!.\n");
        return true;
    }
    if (b->perm == c->perm) {
        print("new perm equals to the old one!\n");
        return true;
    }
    if (!config_send(m, addr, c))
        return false;
    print("update topic perm from %d to %d in %s success.\n", (int)b->perm, (int)c->perm, addr);
    config_print(c, ".\n");
    return true;
}

static bool perm_in_cluster(struct mqadmin *m, const struct route *r, const struct topic_config *c)
{
    struct addrs masters;
    bool good = addrs_get(m, opt_text(m, 'c'), false, &masters);
    for (size_t i = 0; good && i < masters.n; i++) {
        good = config_send(m, masters.at[i]->addr, c);
        if (good)
            print("update topic perm from %d to %d in %s success.\n", (int)r->brokers[0].perm, (int)c->perm, masters.at[i]->addr);
    }
    addrs_free(&masters);
    return good;
}

bool topic_update_perm(struct mqadmin *m)
{
    struct route *r = lookup_route(m, opt_text(m, 't'));
    bool good = false;
    if (r == NULL)
        return false;
    if (r->n_brokers == 0) {
        route_unref(r);
        return fail(m, -1, "topic %s is on no broker", opt_text(m, 't'));
    }
    const struct route_broker *first = &r->brokers[0];
    struct topic_config c = {.topic = opt_text(m, 't'), .reads = first->read_queues, .writes = first->write_queues, .sys_flag = first->topic_sys_flag};
    if (opt_i32(m, 'p', 0, &c.perm))
        good = opt_is(m, 'b') ? perm_on_broker(m, r, &c) : opt_is(m, 'c') ? perm_in_cluster(m, r, &c) : help_print(m->command);
    route_unref(r);
    return good;
}

/* ---- deleteTopic ---- */

bool topic_delete_one(struct mqadmin *m, const char *cluster, const char *topic)
{
    struct ask in_broker = ask_of(REQ_DELETE_TOPIC_IN_BROKER), in_names = ask_of(REQ_DELETE_TOPIC_IN_NAMESRV);
    struct addrs masters;
    bool good = addrs_get(m, cluster, false, &masters);
    ask_str(&in_broker, "topic", topic);
    for (size_t i = 0; good && i < masters.n; i++)
        good = ask_ok(m, masters.at[i]->addr, &in_broker, NULL);
    addrs_free(&masters);
    if (!good)
        return false;
    print("delete topic [%s] from cluster [%s] success.\n", topic, cluster);
    ask_str(&in_names, "topic", topic);
    ask_str(&in_names, "clusterName", cluster);
    if (!ask_each_name(m, &in_names))
        return false;
    print("delete topic [%s] from NameServer success.\n", topic);
    return true;
}

bool topic_delete(struct mqadmin *m) { return topic_delete_one(m, opt_text(m, 'c'), opt_text(m, 't')); }

/* ---- updateOrderConf ---- */

bool topic_order_conf(struct mqadmin *m)
{
    const char *topic = opt_text(m, 't'), *method = opt_text(m, 'm'), *conf = opt_or(m, 'v', "");
    if (strcmp(method, "get") == 0) {
        struct buf value = {0};
        bool good = order_conf_get(m, topic, &value);
        if (good)
            print("get orderConf success. topic=[%s], orderConf=[%.*s] ", topic, SLICE_ARG(buf_view(&value)));
        buf_free(&value);
        return good;
    }
    if (strcmp(method, "put") == 0) {
        if (conf[0] == '\0')
            return fail(m, -1, "please set orderConf with option -v.");
        if (!order_conf_put(m, topic, conf))
            return false;
        print("update orderConf success. topic=[%s], orderConf=[%s]", topic, conf);
        return true;
    }
    if (strcmp(method, "delete") == 0) {
        struct ask q = ask_of(REQ_DELETE_KV_CONFIG);
        ask_str(&q, "namespace", ORDER_CONF);
        ask_str(&q, "key", topic);
        if (!ask_each_name(m, &q))
            return false;
        print("delete orderConf success. topic=[%s]", topic);
        return true;
    }
    return help_print(m->command);
}
