/* broker.c - mqadmin's commands to one broker, or to those of a cluster: its figures, its configuration, its cleaning. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/admin/mqadmin/lookup.h"
#include "client/admin/mqadmin/properties.h"
#include "client/admin/mqadmin/words.h"
#include "common/base/mem.h"
#include "common/protocol/json.h"

/* ---- brokerStatus ---- */

static bool status_print(struct mqadmin *m, const char *addr, bool with_addr)
{
    struct ask q = ask_of(REQ_GET_BROKER_RUNTIME_INFO);
    json_t *root = ask_json(m, addr, &q), *table = json_object_get(root, "table");
    size_t n;
    const char **keys = words_keys(table, &n);
    for (size_t i = 0; i < n; i++) {
        if (with_addr)
            print("%-24s ", addr);
        print("%-32s: %s\n", keys[i], words_member(table, keys[i]));
    }
    mem_free(keys);
    json_decref(root);
    return root != NULL;
}

bool broker_status(struct mqadmin *m)
{
    struct addrs all;
    if (opt_is(m, 'b'))
        return status_print(m, opt_text(m, 'b'), false);
    if (!opt_is(m, 'c'))
        return true;
    if (!addrs_get(m, opt_text(m, 'c'), true, &all))
        return false;
    for (size_t i = 0; i < all.n; i++)
        if (!status_print(m, all.at[i]->addr, true))
            fail_tell(m);
    addrs_free(&all);
    return true;
}

/* ---- getBrokerConfig, updateBrokerConfig ---- */

static bool config_print(struct mqadmin *m, const char *addr)
{
    struct ask q = ask_of(REQ_GET_BROKER_CONFIG);
    struct answer answer;
    if (!ask_ok(m, addr, &q, &answer))
        return false;
    properties_print(answer.cmd.body);
    print("\n");
    answer_free(&answer);
    return true;
}

bool broker_get_config(struct mqadmin *m)
{
    struct addrs all;
    if (opt_is(m, 'b')) {
        print("============%s============\n", opt_text(m, 'b'));
        return config_print(m, opt_text(m, 'b'));
    }
    if (!opt_is(m, 'c'))
        return true;
    bool good = addrs_get(m, opt_text(m, 'c'), true, &all);
    const char *master = "null";
    for (size_t i = 0; good && i < all.n; i++) { /* a master is followed by its slaves */
        if (all.at[i]->id == 0) {
            master = all.at[i]->addr;
            print("============Master: %s============\n", master);
        } else {
            print("============My Master: %s=====Slave: %s============\n", master, all.at[i]->addr);
        }
        good = config_print(m, all.at[i]->addr);
    }
    addrs_free(&all);
    return good;
}

static bool config_update(struct mqadmin *m, const char *addr)
{
    struct ask q = ask_of(REQ_UPDATE_BROKER_CONFIG);
    struct buf body = {0};
    buf_printf(&body, "%s=%s\n", opt_text(m, 'k'), opt_text(m, 'v'));
    q.body = buf_view(&body);
    bool good = ask_ok(m, addr, &q, NULL);
    buf_free(&body);
    if (good)
        print("update broker config success, %s\n", addr);
    return good;
}

bool broker_update_config(struct mqadmin *m)
{
    struct addrs masters;
    if (opt_is(m, 'b'))
        return config_update(m, opt_text(m, 'b'));
    if (!opt_is(m, 'c'))
        return help_print(m->command);
    if (!addrs_get(m, opt_text(m, 'c'), false, &masters))
        return false;
    for (size_t i = 0; i < masters.n; i++)
        if (!config_update(m, masters.at[i]->addr))
            fail_tell(m);
    addrs_free(&masters);
    return true;
}

/* ---- cleanExpiredCQ, cleanUnusedTopic, deleteExpiredCommitLog ---- */

/* One broker, all of a cluster, or all there are. */
static bool clean(struct mqadmin *m, int32_t code)
{
    struct ask q = ask_of(code);
    struct places places = {0};
    const char *cluster = opt_or(m, 'c', "");
    size_t done = 0;
    if (opt_is(m, 'b')) {
        if (!ask_ok(m, opt_text(m, 'b'), &q, NULL))
            return false;
        print("success");
        return true;
    }
    bool good = places_get(m, &places);
    for (size_t i = 0; good && i < places.n; i++)
        if (cluster[0] == '\0' || strcmp(cluster, places.at[i].cluster) == 0) {
            good = ask_ok(m, places.at[i].addr, &q, NULL);
            done++;
        }
    places_free(&places);
    if (good)
        print("%s", done > 0 ? "success" : "false");
    return good;
}

bool broker_clean_queues(struct mqadmin *m) { return clean(m, REQ_CLEAN_EXPIRED_CONSUMEQUEUE); }
bool broker_clean_topics(struct mqadmin *m) { return clean(m, REQ_CLEAN_UNUSED_TOPIC); }
bool broker_delete_log(struct mqadmin *m) { return clean(m, REQ_DELETE_EXPIRED_COMMITLOG); }

/* ---- brokerConsumeStats ---- */

static bool consume_rows(struct mqadmin *m, const char *group, json_t *stats, int64_t least)
{
    struct queue_rows rows = {0};
    bool good = queue_rows_add(m, &rows, json_incref(stats), json_object_get(stats, "offsetTable"));
    queue_rows_sort(&rows);
    for (size_t i = 0; good && i < rows.n; i++) {
        const struct queue_row *row = &rows.at[i];
        int64_t diff = progress_diff(row->value), last = json_i64(row->value, "lastTimestamp", 0);
        char text[WORDS_MAX];
        if (diff < least || last <= 0)
            continue;
        print("%-64.64s  %-64s  %-32.32s  %-4d  %-20lld  %-20lld  %-20lld  %s\n", row->queue.topic, group, row->queue.broker_name,
              (int)row->queue.queue_id, (long long)json_i64(row->value, "brokerOffset", 0), (long long)json_i64(row->value, "consumerOffset", 0),
              (long long)diff, words_seconds(last, text));
    }
    queue_rows_free(&rows);
    return good;
}

bool broker_consume_stats(struct mqadmin *m)
{
    struct ask q = ask_of(REQ_GET_BROKER_CONSUME_STATS);
    int64_t least;
    json_t *groups, *all, *stats;
    const char *group;
    size_t i, k;
    ask_bool(&q, "isOrder", opt_bool(m, 'o', false));
    if (!opt_i64(m, 't', 50000, &q.timeout_ms) || !opt_i64(m, 'l', 0, &least))
        return false;
    json_t *root = ask_json(m, opt_text(m, 'b'), &q);
    if (root == NULL)
        return false;
    print("%-64s  %-64s  %-32s  %-4s  %-20s  %-20s  %-20s  %s\n", "#Topic", "#Group", "#Broker Name", "#QID", "#Broker Offset", "#Consumer Offset", "#Diff",
          "#LastTime");
    bool good = true;
    json_array_foreach(json_object_get(root, "consumeStatsList"), i, groups)
        json_object_foreach(groups, group, all)
            json_array_foreach(all, k, stats)
                good = good && consume_rows(m, group, stats, least);
    if (good)
        print("\nDiff Total: %lld\n", (long long)json_i64(root, "totalDiff", 0));
    json_decref(root);
    return good;
}
