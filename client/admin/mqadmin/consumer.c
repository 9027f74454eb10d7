/* consumer.c - consumerProgress, consumerConnection, producerConnection, producer: who is here, and how far groups are. consumerStatus has
 * its own file, running.c. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "client/admin/mqadmin/lookup.h"
#include "client/admin/mqadmin/running.h"
#include "client/admin/mqadmin/words.h"
#include "common/base/mem.h"
#include "common/protocol/json.h"
#include "common/protocol/message.h"

/* ---- consumerProgress of one group ---- */

/* The address of the member that has the queue; NULL: nobody, or it is not known. */
static const char *holder_of(const json_t *holders, const struct cmq_queue *q)
{
    char key[700];
    snprintf(key, sizeof key, "%s %s %d", q->topic, q->broker_name, (int)q->queue_id);
    return json_string_value(json_object_get(holders, key));
}

/* Queue -> address of its member, as far as members tell. Yours. */
static json_t *holders_of(struct mqadmin *m, const char *group)
{
    json_t *holders = json_object(), *consumers = lookup_consumers(m, group, NULL), *one;
    size_t i;
    json_array_foreach(json_object_get(consumers, "connectionSet"), i, one) {
        struct queue_rows rows = {0};
        const char *id = words_member(one, "clientId");
        json_t *info = running_get(m, group, id, false);
        bool told = info != NULL && queue_rows_add(m, &rows, info, json_object_get(info, "mqTable"));
        for (size_t k = 0; k < rows.n; k++) {
            char key[700];
            snprintf(key, sizeof key, "%s %s %d", rows.at[k].queue.topic, rows.at[k].queue.broker_name, (int)rows.at[k].queue.queue_id);
            json_object_set_new(holders, key, json_stringn(id, strcspn(id, "@")));
        }
        queue_rows_free(&rows);
        if (!told)
            break; /* as Apache's: the others are not asked */
    }
    fail_forget(m);
    json_decref(consumers);
    return holders;
}

static void progress_row(const struct queue_row *row, bool with_ip, const json_t *holders)
{
    int64_t last = json_i64(row->value, "lastTimestamp", 0);
    char time[WORDS_MAX];
    print("%-64.64s  %-32.32s  %-4d  %-20" PRId64 "  %-20" PRId64 "  ", row->queue.topic, row->queue.broker_name, (int)row->queue.queue_id,
          json_i64(row->value, "brokerOffset", 0), json_i64(row->value, "consumerOffset", 0));
    if (with_ip) {
        const char *ip = holder_of(holders, &row->queue);
        print("%-20s ", ip ? ip : "N/A");
    }
    print("%-20" PRId64 "  %s\n", progress_diff(row->value), last == 0 ? "N/A" : words_seconds(last, time));
}

static bool progress_of(struct mqadmin *m, const char *group)
{
    struct queue_rows rows;
    double tps;
    bool with_ip = opt_is(m, 's') && strcasecmp(opt_text(m, 's'), "true") == 0;
    if (!lookup_progress(m, group, NULL, &rows, &tps))
        return false;
    json_t *holders = with_ip ? holders_of(m, group) : NULL;
    if (with_ip)
        print("%-64s  %-32s  %-4s  %-20s  %-20s  %-20s %-20s  %s\n", "#Topic", "#Broker Name", "#QID", "#Broker Offset", "#Consumer Offset", "#Client IP",
              "#Diff", "#LastTime");
    else
        print("%-64s  %-32s  %-4s  %-20s  %-20s  %-20s  %s\n", "#Topic", "#Broker Name", "#QID", "#Broker Offset", "#Consumer Offset", "#Diff", "#LastTime");
    for (size_t i = 0; i < rows.n; i++)
        progress_row(&rows.at[i], with_ip, holders);
    print("\nConsume TPS: %.2f\nDiff Total: %" PRId64 "\n", tps, progress_total(&rows));
    json_decref(holders);
    queue_rows_free(&rows);
    return true;
}

/* ---- of all groups ---- */

static int64_t least_version(const json_t *connections)
{
    int64_t least = INT32_MAX;
    json_t *one;
    size_t i;
    json_array_foreach(connections, i, one) {
        int64_t v = json_i64(one, "version", INT32_MAX);
        least = v < least ? v : least;
    }
    return least;
}

static void group_row(struct mqadmin *m, const char *group)
{
    struct queue_rows rows = {0};
    double tps = 0;
    char version[WORDS_MAX];
    if (!lookup_progress(m, group, NULL, &rows, &tps))
        tps = 0; /* it never consumed; the row says so */
    json_t *consumers = lookup_consumers(m, group, NULL);
    const json_t *connections = json_object_get(consumers, "connectionSet");
    bool active = strcmp(words_member(consumers, "consumeType"), "CONSUME_ACTIVELY") == 0, online = json_array_size(connections) > 0;
    bool passive = strcmp(words_member(consumers, "consumeType"), "CONSUME_PASSIVELY") == 0;
    fail_forget(m);
    print("%-64.64s  %-6d  %-24s %-5s  %-14s  %-7d  %" PRId64 "\n", group, (int)json_array_size(connections),
          online ? words_version(least_version(connections), version) : "OFFLINE", !online ? "" : active ? "PULL" : "PUSH",
          online && passive ? words_member(consumers, "messageModel") : "", (int)tps, progress_total(&rows));
    json_decref(consumers);
    queue_rows_free(&rows);
}

bool consumer_progress(struct mqadmin *m)
{
    struct names topics;
    if (opt_is(m, 'g'))
        return progress_of(m, opt_text(m, 'g'));
    print("%-64s  %-6s  %-24s %-5s  %-14s  %-7s  %s\n", "#Group", "#Count", "#Version", "#Type", "#Model", "#TPS", "#Diff Total");
    json_t *root = lookup_topics(m, &topics);
    for (size_t i = 0; i < topics.n; i++)
        if (strncmp(topics.at[i], RETRY_PREFIX, strlen(RETRY_PREFIX)) == 0)
            group_row(m, topics.at[i] + strlen(RETRY_PREFIX));
    names_free(&topics);
    json_decref(root);
    return root != NULL;
}

/* ---- connections ---- */

static void subscriptions_print(const json_t *table)
{
    size_t n;
    const char **topics = words_keys(table, &n);
    print("\nBelow is subscription:\n%-20s %s\n", "#Topic", "#SubExpression");
    for (size_t i = 0; i < n; i++) {
        const json_t *sub = json_object_get(table, topics[i]);
        print("%-20s %s\n", words_member(sub, "topic"), words_member(sub, "subString"));
    }
    print("\n");
    mem_free(topics);
}

bool consumer_connection(struct mqadmin *m)
{
    json_t *one, *consumers = lookup_consumers(m, opt_text(m, 'g'), opt_text(m, 'b'));
    char version[WORDS_MAX];
    size_t i;
    if (consumers == NULL)
        return false;
    print("%-36s %-22s %-10s %s\n", "#ClientId", "#ClientAddr", "#Language", "#Version");
    json_array_foreach(json_object_get(consumers, "connectionSet"), i, one)
        print("%-36s %-22s %-10s %s\n", words_member(one, "clientId"), words_member(one, "clientAddr"), words_member(one, "language"),
              words_version(json_i64(one, "version", 0), version));
    subscriptions_print(json_object_get(consumers, "subscriptionTable"));
    print("ConsumeType: %s\nMessageModel: %s\nConsumeFromWhere: %s\n", words_member(consumers, "consumeType"), words_member(consumers, "messageModel"),
          words_member(consumers, "consumeFromWhere"));
    json_decref(consumers);
    return true;
}

bool producer_connection(struct mqadmin *m)
{
    struct ask q = ask_of(REQ_GET_PRODUCER_CONNECTION_LIST);
    struct route *r = lookup_route(m, opt_text(m, 't'));
    char version[WORDS_MAX];
    json_t *root = NULL, *one;
    size_t i;
    if (r == NULL)
        return false;
    const char *addr = r->n_brokers > 0 ? lookup_addr(&r->brokers[0]) : NULL;
    ask_str(&q, "producerGroup", opt_text(m, 'g'));
    if (addr != NULL)
        root = ask_json(m, addr, &q);
    route_unref(r);
    const json_t *connections = json_object_get(root, "connectionSet");
    bool good = json_array_size(connections) > 0 || m->why.n > 0 || fail(m, -1, "Not found the producer group connection");
    json_array_foreach(connections, i, one)
        print("%04d  %-32s %-22s %-8s %s\n", (int)i + 1, words_member(one, "clientId"), words_member(one, "clientAddr"), words_member(one, "language"),
              words_version(json_i64(one, "version", 0), version));
    json_decref(root);
    return good && m->why.n == 0;
}

bool producer_all(struct mqadmin *m)
{
    struct ask q = ask_of(REQ_GET_ALL_PRODUCER_INFO);
    json_t *root = ask_json(m, opt_text(m, 'b'), &q), *all, *one;
    const char *group;
    size_t i;
    json_object_foreach(json_object_get(root, "data"), group, all) {
        if (json_array_size(all) == 0)
            print("producer group (%s) instances are empty\n", group);
        json_array_foreach(all, i, one)
            print("producer group (%s) instance : clientId=%s,remoteIP=%s, language=%s, version=%" PRId64 ", lastUpdateTimestamp=%" PRId64 "\n", group,
                  words_member(one, "clientId"), words_member(one, "remoteIP"), words_member(one, "language"), json_i64(one, "version", 0),
                  json_i64(one, "lastUpdateTimestamp", 0));
    }
    json_decref(root);
    return root != NULL;
}
