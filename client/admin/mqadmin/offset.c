/* offset.c - resetOffsetByTime, skipAccumulatedMessage, cloneGroupOffset.
 *
 * A reset is a broker's work (222), which tells the members; when none is online it refuses with 206, and then the offsets are set from here,
 * queue by queue. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/admin/mqadmin/lookup.h"
#include "client/admin/mqadmin/peek.h"
#include "client/admin/mqadmin/words.h"
#include "common/protocol/json.h"
#include "common/protocol/message.h"

struct reset {
    const char *group, *topic;
    int64_t time_ms; /* -1: the end */
    bool force;      /* also forward */
    bool cplusplus;
};

/* ---- by the brokers ---- */

static bool reset_by_brokers(struct mqadmin *m, const struct reset *r, struct queue_rows *rows)
{
    struct route *route = lookup_route(m, r->topic);
    bool good = route != NULL;
    for (size_t i = 0; good && i < route->n_brokers; i++) {
        struct ask q = ask_of(REQ_INVOKE_BROKER_TO_RESET_OFFSET);
        const char *addr = lookup_addr(&route->brokers[i]);
        if (addr == NULL)
            continue;
        ask_str(&q, "topic", r->topic);
        ask_str(&q, "group", r->group);
        ask_i64(&q, "timestamp", r->time_ms);
        ask_bool(&q, "isForce", r->force);
        q.language = (uint8_t)(r->cplusplus ? LANGUAGE_CPP : LANGUAGE_JAVA); /* in whose form the members are told */
        json_t *root = ask_json(m, addr, &q);
        good = root != NULL && queue_rows_add(m, rows, root, json_object_get(root, "offsetTable"));
    }
    route_unref(route);
    queue_rows_sort(rows);
    return good;
}

static void reset_print(const struct queue_rows *rows)
{
    print("%-40s  %-40s  %-40s\n", "#brokerName", "#queueId", "#offset");
    for (size_t i = 0; i < rows->n; i++)
        print("%-40.32s  %-40d  %-40" PRId64 "\n", rows->at[i].queue.broker_name, (int)rows->at[i].queue.queue_id,
              (int64_t)json_integer_value(rows->at[i].value));
}

/* ---- from here, when nobody of the group is online ---- */

static bool commit(struct mqadmin *m, const char *addr, const char *group, const struct cmq_queue *queue, int64_t offset)
{
    struct ask q = ask_of(REQ_UPDATE_CONSUMER_OFFSET);
    ask_str(&q, "consumerGroup", group);
    ask_str(&q, "topic", queue->topic);
    ask_i64(&q, "queueId", queue->queue_id);
    ask_i64(&q, "commitOffset", offset);
    return ask_ok(m, addr, &q, NULL);
}

static void old_head(void)
{
    print("%-20s  %-20s  %-20s  %-20s  %-20s  %-20s\n", "#brokerName", "#queueId", "#brokerOffset", "#consumerOffset", "#timestampOffset", "#rollbackOffset");
}

/* Rows are collected, and printed only when all went well. */
static bool reset_queue(struct mqadmin *m, const struct reset *r, const char *addr, const struct cmq_queue *queue, int64_t broker_off, int64_t consumer_off,
                        struct buf *out)
{
    struct peek_queue at = {.topic = queue->topic, .broker = queue->broker_name, .id = queue->queue_id, .addr = addr};
    int64_t target, result = consumer_off;
    if (!(r->time_ms == -1 ? peek_max(m, &at, &target) : peek_search(m, &at, r->time_ms, &target)))
        return false;
    if (r->force || target <= consumer_off) {
        if (!commit(m, addr, r->group, queue, target))
            return false;
        result = target;
    }
    buf_printf(out, "%-20.32s  %-20d  %-20" PRId64 "  %-20" PRId64 "  %-20" PRId64 "  %-20" PRId64 "\n", queue->broker_name, (int)queue->queue_id, broker_off,
               consumer_off, target, result);
    return true;
}

/* A group that never consumed the topic: all its queues, as if it stood at their beginnings. */
static bool reset_unconsumed(struct mqadmin *m, const struct reset *r, const char *addr, struct buf *out)
{
    struct ask q = ask_of(REQ_GET_TOPIC_STATS_INFO);
    struct queue_rows rows = {0};
    ask_str(&q, "topic", r->topic);
    json_t *root = ask_json(m, addr, &q);
    bool good = root != NULL && queue_rows_add(m, &rows, root, json_object_get(root, "offsetTable"));
    queue_rows_sort(&rows);
    for (size_t i = 0; good && i < rows.n; i++)
        good = reset_queue(m, r, addr, &rows.at[i].queue, json_i64(rows.at[i].value, "maxOffset", 0), json_i64(rows.at[i].value, "minOffset", 0), out);
    queue_rows_free(&rows);
    return good;
}

static bool reset_on_broker(struct mqadmin *m, const struct reset *r, const char *addr, struct buf *out)
{
    struct ask q = ask_of(REQ_GET_CONSUME_STATS);
    struct queue_rows rows = {0};
    bool consumed = false;
    ask_str(&q, "consumerGroup", r->group);
    json_t *root = ask_json(m, addr, &q);
    bool good = root != NULL && queue_rows_add(m, &rows, root, json_object_get(root, "offsetTable"));
    queue_rows_sort(&rows);
    for (size_t i = 0; good && i < rows.n; i++) {
        if (strcmp(rows.at[i].queue.topic, r->topic) != 0)
            continue;
        consumed = true;
        good = reset_queue(m, r, addr, &rows.at[i].queue, json_i64(rows.at[i].value, "brokerOffset", 0), json_i64(rows.at[i].value, "consumerOffset", 0), out);
    }
    queue_rows_free(&rows);
    return good && (consumed || reset_unconsumed(m, r, addr, out));
}

static bool reset_from_here(struct mqadmin *m, const struct reset *r, struct buf *out)
{
    struct route *route = lookup_route(m, r->topic);
    bool good = route != NULL;
    for (size_t i = 0; good && i < route->n_brokers; i++) {
        const char *addr = lookup_addr(&route->brokers[i]);
        good = addr == NULL || reset_on_broker(m, r, addr, out);
    }
    route_unref(route);
    return good;
}

/* asked: what the command said, for the line above the rows; NULL: there is no such line. */
static bool reset_run(struct mqadmin *m, const struct reset *r, const char *asked)
{
    struct queue_rows rows = {0};
    struct buf old = {0};
    bool good = reset_by_brokers(m, r, &rows);
    if (good) {
        if (asked != NULL)
            print("rollback consumer offset by specified group%s", asked);
        reset_print(&rows);
    } else if (m->code == RES_CONSUMER_NOT_ONLINE) {
        fail_forget(m);
        good = reset_from_here(m, r, &old);
        if (good && asked != NULL)
            print("rollback consumer offset by specified consumerGroup%s", asked);
        if (good) {
            old_head();
            print("%.*s", SLICE_ARG(buf_view(&old)));
        }
    }
    queue_rows_free(&rows);
    buf_free(&old);
    return good;
}

bool offset_reset(struct mqadmin *m)
{
    struct reset r = {.group = opt_text(m, 'g'), .topic = opt_text(m, 't'), .time_ms = -1, .force = opt_bool(m, 'f', true), .cplusplus = opt_is(m, 'c')};
    const char *when = opt_text(m, 's');
    char asked[900];
    if (strcmp(when, "now") != 0 && !words_read_time(when, &r.time_ms))
        return fail(m, -1, "%s is no time: expected now, milliseconds, or yyyy-MM-dd#HH:mm:ss:SSS", when);
    snprintf(asked, sizeof asked, "[%s], topic[%s], force[%s], timestamp(string)[%s], timestamp(long)[%" PRId64 "]\n", r.group, r.topic, words_bool(r.force),
             when, r.time_ms);
    return reset_run(m, &r, asked);
}

bool offset_skip(struct mqadmin *m)
{
    struct reset r = {.group = opt_text(m, 'g'), .topic = opt_text(m, 't'), .time_ms = -1, .force = opt_bool(m, 'f', true)};
    return reset_run(m, &r, NULL);
}

/* ---- cloneGroupOffset ---- */

bool offset_clone(struct mqadmin *m)
{
    struct queue_rows rows;
    double tps;
    if (!lookup_progress(m, opt_text(m, 's'), NULL, &rows, &tps))
        return false;
    struct route *route = lookup_route(m, opt_text(m, 't'));
    bool good = route != NULL;
    for (size_t i = 0; good && i < rows.n; i++) {
        const struct route_broker *b = route_broker(route, rows.at[i].queue.broker_name);
        const char *addr = b != NULL ? lookup_addr(b) : NULL;
        int64_t offset = json_i64(rows.at[i].value, "consumerOffset", -1);
        if (addr != NULL && offset >= 0)
            good = commit(m, addr, opt_text(m, 'd'), &rows.at[i].queue, offset);
    }
    route_unref(route);
    queue_rows_free(&rows);
    if (good)
        print("clone group offset success. srcGroup[%s], destGroup=[%s], topic[%s]", opt_text(m, 's'), opt_text(m, 'd'), opt_text(m, 't'));
    return good;
}
