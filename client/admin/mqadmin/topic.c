/* topic.c - which topics there are, where they are, how far their queues go: topicList, topicRoute, topicStatus, topicClusterList, allocateMQ. */
#include <stdio.h>
#include <string.h>

#include "client/admin/mqadmin/lookup.h"
#include "client/admin/mqadmin/words.h"
#include "common/protocol/json.h"
#include "common/protocol/message.h"
#include "common/protocol/queue_json.h"

/* ---- topicList ---- */

static bool is_of_group(const char *topic) { return strncmp(topic, RETRY_PREFIX, 7) == 0 || strncmp(topic, DLQ_PREFIX, 5) == 0; }

static void print_consumers(struct mqadmin *m, const struct places *places, const char *topic)
{
    struct names groups = {0};
    struct route *r = lookup_route(m, topic);
    const char *cluster = r != NULL && r->n_brokers > 0 ? places_cluster_of(places, r->brokers[0].name) : "";
    json_t *root = r != NULL ? lookup_groups(m, topic, &groups) : NULL;
    fail_forget(m); /* what cannot be found out is left empty */
    for (size_t i = 0; i < groups.n || i == 0; i++)
        print("%-20.20s  %-64.64s  %-64.64s\n", cluster ? cluster : "null", topic, i < groups.n ? groups.at[i] : "");
    names_free(&groups);
    json_decref(root);
    route_unref(r);
}

bool topic_list(struct mqadmin *m)
{
    struct places places = {0};
    struct names topics;
    if (opt_is(m, 'c')) {
        if (!places_get(m, &places))
            return false;
        print("%-20s  %-48s  %-48s\n", "#Cluster Name", "#Topic", "#Consumer Group");
    }
    json_t *root = lookup_topics(m, &topics);
    for (size_t i = 0; i < topics.n; i++) {
        if (!opt_is(m, 'c'))
            print("%s\n", topics.at[i]);
        else if (!is_of_group(topics.at[i]))
            print_consumers(m, &places, topics.at[i]);
    }
    names_free(&topics);
    places_free(&places);
    json_decref(root);
    return root != NULL;
}

/* ---- topicRoute ---- */

/* {0:"a:1",1:"b:2"}: the first members stand on the line of the brace, as fastjson writes keys that are numbers. */
static void addrs_json(struct jw *w, const struct route_broker *b)
{
    struct buf text = {0};
    buf_u8(&text, '{');
    for (size_t i = 0; i < b->n_addrs; i++) {
        buf_printf(&text, "%s%lld:", i ? "," : "", (long long)b->addrs[i].broker_id);
        json_quote(&text, slice_str(b->addrs[i].addr));
    }
    buf_str(&text, b->n_addrs > 0 ? "\n\t\t\t}" : "}");
    jw_raw(w, buf_view(&text));
    buf_free(&text);
}

static void route_json(struct buf *out, const struct route *r)
{
    struct jw w = jw_over(out, true);
    json_t *whole = json_parse(r->json, NULL), *filters = json_object_get(whole, "filterServerTable");
    jw_object(&w);
    jw_key(&w, "brokerDatas");
    jw_array(&w);
    for (size_t i = 0; i < r->n_brokers; i++) {
        jw_object(&w);
        jw_key(&w, "brokerAddrs");
        addrs_json(&w, &r->brokers[i]);
        jw_kv_str(&w, "brokerName", slice_str(r->brokers[i].name));
        jw_kv_str(&w, "cluster", slice_str(r->brokers[i].cluster));
        jw_end_object(&w);
    }
    jw_end_array(&w);
    if (filters != NULL) {
        struct buf text = {0};
        words_json(&text, filters, false);
        jw_key(&w, "filterServerTable");
        jw_raw(&w, buf_view(&text));
        buf_free(&text);
    }
    if (json_is_string(json_object_get(whole, "orderTopicConf")))
        jw_kv_str(&w, "orderTopicConf", json_str(whole, "orderTopicConf"));
    jw_key(&w, "queueDatas");
    jw_array(&w);
    for (size_t i = 0; i < r->n_brokers; i++) {
        const struct route_broker *b = &r->brokers[i];
        if (b->read_queues + b->write_queues == 0 && b->perm == 0)
            continue; /* a broker without queues has no row there */
        jw_object(&w);
        jw_kv_str(&w, "brokerName", slice_str(b->name));
        jw_kv_i64(&w, "perm", b->perm);
        jw_kv_i64(&w, "readQueueNums", b->read_queues);
        jw_kv_i64(&w, "topicSysFlag", b->topic_sys_flag);
        jw_kv_i64(&w, "writeQueueNums", b->write_queues);
        jw_end_object(&w);
    }
    jw_end_array(&w);
    jw_end_object(&w);
    json_decref(whole);
}

static void route_table(const struct route *r)
{
    static const char dashes[] = "-------------------------------------------------------------------------------"
                                 "-------------------------------------------------------------------------------"; /* 158 */
    int reads = 0, writes = 0;
    print("%-45s %-32s %-50s %-10s %-11s %-5s\n", "#ClusterName", "#BrokerName", "#BrokerAddrs", "#ReadQueue", "#WriteQueue", "#Perm");
    for (size_t i = 0; i < r->n_brokers; i++) {
        const struct route_broker *b = &r->brokers[i];
        struct buf addrs = {0};
        for (size_t k = 0; k < b->n_addrs; k++)
            buf_printf(&addrs, "%s%lld=%s", k ? ", " : "{", (long long)b->addrs[k].broker_id, b->addrs[k].addr);
        buf_str(&addrs, b->n_addrs > 0 ? "}" : "{}");
        buf_u8(&addrs, 0);
        print("%-45s %-32s %-50s %-10d %-11d %-5d\n", b->cluster, b->name, addrs.failed ? "" : (const char *)addrs.p, (int)b->read_queues,
              (int)b->write_queues, (int)b->perm);
        buf_free(&addrs);
        reads += b->read_queues;
        writes += b->write_queues;
    }
    print("%s\n", dashes);
    print("%-45s %-32d %-50s %-10d %-11d %-5s\n", "Total:", (int)r->n_brokers, "", reads, writes, "");
}

bool topic_route(struct mqadmin *m)
{
    struct route *r = lookup_route(m, opt_text(m, 't'));
    if (r == NULL)
        return false;
    if (opt_is(m, 'l')) {
        route_table(r);
    } else {
        struct buf text = {0};
        route_json(&text, r);
        print("%.*s\n", SLICE_ARG(buf_view(&text)));
        buf_free(&text);
    }
    route_unref(r);
    return true;
}

/* ---- topicStatus ---- */

static bool status_of(struct mqadmin *m, const struct route *r, const char *topic, struct queue_rows *rows)
{
    for (size_t i = 0; i < r->n_brokers; i++) {
        struct ask q = ask_of(REQ_GET_TOPIC_STATS_INFO);
        const char *addr = lookup_addr(&r->brokers[i]);
        ask_str(&q, "topic", topic);
        if (addr == NULL)
            continue;
        json_t *root = ask_json(m, addr, &q);
        if (root == NULL || !queue_rows_add(m, rows, root, json_object_get(root, "offsetTable")))
            return false;
    }
    queue_rows_sort(rows);
    return rows->n > 0 || fail(m, -1, "Not found the topic stats info");
}

bool topic_status(struct mqadmin *m)
{
    struct queue_rows rows = {0};
    struct route *r = lookup_route(m, opt_text(m, 't'));
    bool good = r != NULL && status_of(m, r, opt_text(m, 't'), &rows);
    route_unref(r);
    if (good)
        print("%-32s  %-4s  %-20s  %-20s    %s\n", "#Broker Name", "#QID", "#Min Offset", "#Max Offset", "#Last Updated");
    for (size_t i = 0; good && i < rows.n; i++) {
        const struct queue_row *row = &rows.at[i];
        int64_t last = json_i64(row->value, "lastUpdateTimestamp", 0);
        char text[WORDS_MAX];
        print("%-32.32s  %-4d  %-20lld  %-20lld    %s\n", row->queue.broker_name, (int)row->queue.queue_id, (long long)json_i64(row->value, "minOffset", 0),
              (long long)json_i64(row->value, "maxOffset", 0), last > 0 ? words_time(last, text) : "");
    }
    queue_rows_free(&rows);
    return good;
}

/* ---- topicClusterList ---- */

bool topic_cluster_list(struct mqadmin *m)
{
    struct places places;
    if (!places_get(m, &places))
        return false;
    struct route *r = lookup_route(m, opt_text(m, 't'));
    const char *cluster = r != NULL && r->n_brokers > 0 ? places_cluster_of(&places, r->brokers[0].name) : NULL;
    if (cluster != NULL)
        print("%s\n", cluster);
    places_free(&places);
    route_unref(r);
    return r != NULL;
}

/* ---- allocateMQ ---- */

/* The share of member `at` of `members`: neighbouring queues, the first members one more when it does not come out even. */
static void share_json(struct jw *w, const struct route *r, size_t at, size_t members)
{
    size_t each = r->n_read / members, more = r->n_read % members;
    size_t from = at * each + (at < more ? at : more), n = each + (at < more);
    jw_array(w);
    for (size_t i = from; i < from + n && i < r->n_read; i++)
        queue_json(w, slice_str(r->read[i].broker_name), slice_str(r->topic), r->read[i].queue_id);
    jw_end_array(w);
}

bool topic_allocate(struct mqadmin *m)
{
    struct slice rest = slice_str(opt_text(m, 'i')), one;
    size_t members = 1, at = 0;
    struct buf text = {0};
    struct route *r = lookup_route(m, opt_text(m, 't'));
    if (r == NULL)
        return false;
    for (size_t i = 0; i < rest.n; i++)
        members += rest.p[i] == ',';
    struct jw w = jw_over(&text, false);
    jw_object(&w);
    jw_key(&w, "result");
    jw_object(&w);
    while (rest.p != NULL && slice_cut(&rest, ',', &one)) {
        jw_key_slice(&w, one);
        share_json(&w, r, at++, members);
    }
    jw_end_object(&w);
    jw_end_object(&w);
    print("%.*s\n", SLICE_ARG(buf_view(&text)));
    buf_free(&text);
    route_unref(r);
    return true;
}
