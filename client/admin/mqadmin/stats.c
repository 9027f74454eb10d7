/* stats.c - statsAll: what came into each topic and went out to each group, in the last minute and the last day. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/admin/mqadmin/lookup.h"
#include "client/admin/mqadmin/stats.h"
#include "client/admin/mqadmin/words.h"
#include "common/protocol/json.h"
#include "common/protocol/message.h"

static int64_t longest_sum(const json_t *data)
{
    static const char *const spans[] = {"statsDay", "statsHour", "statsMinute"};
    for (size_t i = 0; i < 3; i++) {
        int64_t sum = json_i64(json_object_get(data, spans[i]), "sum", 0);
        if (sum != 0)
            return sum;
    }
    return 0;
}

bool stats_add(struct mqadmin *m, const char *addr, const char *name, const char *key, struct flow *sum)
{
    struct ask q = ask_of(REQ_VIEW_BROKER_STATS_DATA);
    ask_str(&q, "statsName", name);
    ask_str(&q, "statsKey", key);
    json_t *data = ask_json(m, addr, &q);
    sum->tps += json_number_value(json_object_get(json_object_get(data, "statsMinute"), "tps"));
    sum->day += longest_sum(data);
    json_decref(data);
    return data != NULL;
}

/* Over all masters of the topic; one that has no such figure counts as none. */
static struct flow flow_of(struct mqadmin *m, const struct route *r, const char *name, const char *key)
{
    struct flow sum = {0};
    for (size_t i = 0; i < r->n_brokers; i++) {
        const char *addr = route_master(&r->brokers[i]);
        if (addr != NULL)
            stats_add(m, addr, name, key, &sum);
    }
    fail_forget(m);
    return sum;
}

static int64_t backlog_of(struct mqadmin *m, const char *group, const char *topic)
{
    struct queue_rows rows;
    double tps;
    if (!lookup_progress(m, group, topic, &rows, &tps)) {
        fail_forget(m);
        return 0;
    }
    int64_t sum = progress_total(&rows);
    queue_rows_free(&rows);
    return sum > 0 ? sum : 0;
}

static void print_topic_stats(struct mqadmin *m, const char *topic, bool only_active)
{
    struct names groups = {0};
    struct route *r = lookup_route(m, topic);
    json_t *root = r != NULL ? lookup_groups(m, topic, &groups) : NULL;
    fail_forget(m); /* a topic that is just going has no row */
    if (root == NULL) {
        route_unref(r);
        return;
    }
    struct flow in = flow_of(m, r, "TOPIC_PUT_NUMS", topic);
    for (size_t i = 0; i < groups.n; i++) {
        char key[600];
        snprintf(key, sizeof key, "%s@%s", topic, groups.at[i]);
        struct flow out = flow_of(m, r, "GROUP_GET_NUMS", key);
        int64_t backlog = backlog_of(m, groups.at[i], topic);
        if (!only_active || in.day > 0 || out.day > 0)
            print("%-64.64s  %-64.64s %12" PRId64 " %11.2f %11.2f %14" PRId64 " %14" PRId64 "\n", topic, groups.at[i], backlog, in.tps, out.tps, in.day,
                  out.day);
    }
    if (groups.n == 0 && (!only_active || in.day > 0))
        print("%-64.64s  %-64s %12d %11.2f %11s %14" PRId64 " %14s\n", topic, "", 0, in.tps, "", in.day, "NO_CONSUMER");
    names_free(&groups);
    json_decref(root);
    route_unref(r);
}

bool stats_all(struct mqadmin *m)
{
    const char *only = opt_or(m, 't', "");
    struct names topics;
    json_t *root = lookup_topics(m, &topics);
    if (root == NULL)
        return false;
    print("%-64s  %-64s %12s %11s %11s %14s %14s\n", "#Topic", "#Consumer Group", "#Accumulation", "#InTPS", "#OutTPS", "#InMsg24Hour", "#OutMsg24Hour");
    for (size_t i = 0; i < topics.n; i++) {
        bool of_group = strncmp(topics.at[i], RETRY_PREFIX, strlen(RETRY_PREFIX)) == 0 || strncmp(topics.at[i], DLQ_PREFIX, strlen(DLQ_PREFIX)) == 0;
        if (!of_group && (only[0] == '\0' || strcmp(only, topics.at[i]) == 0))
            print_topic_stats(m, topics.at[i], opt_is(m, 'a'));
    }
    names_free(&topics);
    json_decref(root);
    return true;
}
