/* running.c - consumerStatus: what each member of a group tells of its insides.
 *
 * With -i it is printed. Without, each member's goes into a file, TIME/CLIENT below the working folder as Apache's mqadmin has it, and the
 * members are compared: do they subscribe to the same, and does one hang? */
#include "client/admin/mqadmin/running.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/admin/mqadmin/words.h"
#include "client/admin/servers.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/protocol/json.h"
#include "common/protocol/message.h"

enum { SETTLED_MS = 2 * 60 * 1000, HANGS_MS = 60 * 1000 };

json_t *running_get(struct mqadmin *m, const char *group, const char *client_id, bool jstack)
{
    struct ask q = ask_of(REQ_GET_CONSUMER_RUNNING_INFO);
    char retry[300];
    snprintf(retry, sizeof retry, "%s%s", RETRY_PREFIX, group);
    struct route *r = lookup_route(m, retry);
    if (r == NULL)
        return NULL;
    const char *addr = r->n_brokers > 0 ? lookup_addr(&r->brokers[0]) : NULL;
    ask_str(&q, "consumerGroup", group);
    ask_str(&q, "clientId", client_id);
    ask_bool(&q, "jstackEnable", jstack);
    q.timeout_ms = ASK_MS * 3;
    json_t *info = addr != NULL ? ask_json(m, addr, &q) : NULL;
    if (addr == NULL)
        fail(m, -1, "group %s is on no broker", group);
    route_unref(r);
    return info;
}

/* ---- as text ---- */

static void put_value(struct buf *out, const json_t *v)
{
    if (json_is_string(v))
        buf_str(out, json_string_value(v));
    else
        words_json(out, v, false);
}

static void put_properties(struct buf *out, const json_t *info)
{
    const char *name;
    json_t *value;
    buf_str(out, "#Consumer Properties#\n");
    json_object_foreach(json_object_get(info, "properties"), name, value) {
        buf_printf(out, "%-40s: ", name);
        put_value(out, value);
        buf_u8(out, '\n');
    }
}

static void put_subscriptions(struct buf *out, const json_t *info)
{
    json_t *sub;
    size_t i;
    buf_str(out, "\n\n#Consumer Subscription#\n");
    json_array_foreach(json_object_get(info, "subscriptionSet"), i, sub)
        buf_printf(out, "%03d Topic: %-40s ClassFilter: %-8s SubExpression: %s\n", (int)i + 1, words_member(sub, "topic"),
                   words_bool(json_flag(sub, "classFilterMode", false)), words_member(sub, "subString"));
}

static void put_queue(struct buf *out, const json_t *pq)
{
    static const char *const numbers[] = {"commitOffset", "cachedMsgMinOffset", "cachedMsgMaxOffset", "cachedMsgCount", "cachedMsgSizeInMiB",
                                          "transactionMsgMinOffset", "transactionMsgMaxOffset", "transactionMsgCount"};
    char locked[WORDS_MAX], pulled[WORDS_MAX], consumed[WORDS_MAX];
    buf_str(out, "ProcessQueueInfo [");
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        buf_printf(out, "%s=%" PRId64 ", ", numbers[i], json_i64(pq, numbers[i], 0));
    buf_printf(out, "locked=%s, tryUnlockTimes=%" PRId64 ", lastLockTimestamp=%s, droped=%s, lastPullTimestamp=%s, lastConsumeTimestamp=%s]",
               words_bool(json_flag(pq, "locked", false)), json_i64(pq, "tryUnlockTimes", 0), words_digits(json_i64(pq, "lastLockTimestamp", 0), locked),
               words_bool(json_flag(pq, "droped", false)), words_digits(json_i64(pq, "lastPullTimestamp", 0), pulled),
               words_digits(json_i64(pq, "lastConsumeTimestamp", 0), consumed));
}

static void put_queues(struct buf *out, const struct queue_rows *rows)
{
    buf_printf(out, "\n\n#Consumer Offset#\n%-64s  %-32s  %-4s  %-20s\n", "#Topic", "#Broker Name", "#QID", "#Consumer Offset");
    for (size_t i = 0; i < rows->n; i++)
        buf_printf(out, "%-32s  %-32s  %-4d  %-20" PRId64 "\n", rows->at[i].queue.topic, rows->at[i].queue.broker_name, (int)rows->at[i].queue.queue_id,
                   json_i64(rows->at[i].value, "commitOffset", 0));
    buf_printf(out, "\n\n#Consumer MQ Detail#\n%-64s  %-32s  %-4s  %-20s\n", "#Topic", "#Broker Name", "#QID", "#ProcessQueueInfo");
    for (size_t i = 0; i < rows->n; i++) {
        buf_printf(out, "%-64s  %-32s  %-4d  ", rows->at[i].queue.topic, rows->at[i].queue.broker_name, (int)rows->at[i].queue.queue_id);
        put_queue(out, rows->at[i].value);
        buf_u8(out, '\n');
    }
}

static double figure(const json_t *status, const char *key) { return json_number_value(json_object_get(status, key)); }

static void put_rates(struct buf *out, const json_t *info)
{
    const char *topic;
    json_t *s;
    buf_printf(out, "\n\n#Consumer RT&TPS#\n%-64s  %14s %14s %14s %14s %18s %25s\n", "#Topic", "#Pull RT", "#Pull TPS", "#Consume RT", "#ConsumeOK TPS",
               "#ConsumeFailed TPS", "#ConsumeFailedMsgsInHour");
    json_object_foreach(json_object_get(info, "statusTable"), topic, s)
        buf_printf(out, "%-32s  %14.2f %14.2f %14.2f %14.2f %18.2f %25" PRId64 "\n", topic, figure(s, "pullRT"), figure(s, "pullTPS"), figure(s, "consumeRT"),
                   figure(s, "consumeOKTPS"), figure(s, "consumeFailedTPS"), json_i64(s, "consumeFailedMsgs", 0));
}

/* False: out of memory, or a queue that is none. */
static bool put_info(struct mqadmin *m, struct buf *out, json_t *info)
{
    struct queue_rows rows = {0};
    struct slice jstack = json_str(info, "jstack");
    bool good = queue_rows_add(m, &rows, json_incref(info), json_object_get(info, "mqTable"));
    queue_rows_sort(&rows);
    put_properties(out, info);
    put_subscriptions(out, info);
    put_queues(out, &rows);
    put_rates(out, info);
    if (jstack.p != NULL) {
        buf_str(out, "\n\n#Consumer jstack#\n");
        buf_slice(out, jstack);
    }
    queue_rows_free(&rows);
    return good;
}

/* ---- all members, compared ---- */

static bool save(struct mqadmin *m, json_t *info, int64_t now_ms, const char *client_id, char *path, size_t room)
{
    struct buf text = {0};
    char folder[32];
    bool good = put_info(m, &text, info);
    snprintf(folder, sizeof folder, "%" PRId64, now_ms);
    int n = snprintf(path, room, "%s/%s", folder, client_id);
    for (char *c = path + strlen(folder) + 1; n > 0 && *c; c++) /* a client chose its id: no other folder */
        *c = *c == '/' ? '_' : *c;
    FILE *f = good && folder_make(folder) ? fopen(path, "we") : NULL;
    if (f == NULL || fwrite(text.p, 1, text.n, f) != text.n)
        good = good && fail(m, -1, "%s: %s", path, strerror(errno));
    if (f != NULL && fclose(f) != 0)
        good = fail(m, -1, "%s: %s", path, strerror(errno));
    buf_free(&text);
    return good;
}

static bool is_push(const json_t *info) { return strcmp(words_member(json_object_get(info, "properties"), "PROP_CONSUME_TYPE"), "CONSUME_PASSIVELY") == 0; }

static bool subscribes(const json_t *info, const json_t *wanted)
{
    json_t *sub;
    size_t i;
    json_array_foreach(json_object_get(info, "subscriptionSet"), i, sub)
        if (strcmp(words_member(sub, "topic"), words_member(wanted, "topic")) == 0 &&
            strcmp(words_member(sub, "subString"), words_member(wanted, "subString")) == 0)
            return true;
    return false;
}

static bool same_subscriptions(const json_t *a, const json_t *b)
{
    const json_t *of_a = json_object_get(a, "subscriptionSet"), *of_b = json_object_get(b, "subscriptionSet");
    json_t *sub;
    size_t i;
    json_array_foreach(of_a, i, sub)
        if (!subscribes(b, sub))
            return false;
    return json_array_size(of_a) == json_array_size(of_b);
}

/* Members that have just begun may still be on their way to the same: they are not judged. */
static bool all_subscribe_the_same(const json_t *infos, int64_t now_ms)
{
    const json_t *first = json_array_get(infos, 0), *props = json_object_get(first, "properties");
    if (!is_push(first) || now_ms - json_i64(props, "PROP_CONSUMER_START_TIMESTAMP", now_ms) <= SETTLED_MS)
        return true;
    for (size_t i = 1; i < json_array_size(infos); i++)
        if (!same_subscriptions(json_array_get(infos, i - 1), json_array_get(infos, i)))
            return false;
    return json_array_size(json_object_get(json_array_get(infos, json_array_size(infos) - 1), "subscriptionSet")) > 0;
}

static void print_trouble(const char *client_id, const struct queue_row *row, bool ordered, int64_t now_ms)
{
    const json_t *pq = row->value;
    int64_t unlocks = json_i64(pq, "tryUnlockTimes", 0), idle = now_ms - json_i64(pq, "lastConsumeTimestamp", 0);
    char name[700];
    snprintf(name, sizeof name, "%s MessageQueue [topic=%s, brokerName=%s, queueId=%d]", client_id, row->queue.topic, row->queue.broker_name,
             (int)row->queue.queue_id);
    if (ordered && !json_flag(pq, "locked", false))
        print("%s can't lock for a while, %" PRId64 "ms\n", name, now_ms - json_i64(pq, "lastLockTimestamp", 0));
    else if (ordered && json_flag(pq, "droped", false) && unlocks > 0)
        print("%s unlock %" PRId64 " times, still failed\n", name, unlocks);
    else if (!ordered && idle > HANGS_MS && json_i64(pq, "cachedMsgCount", 0) > 0)
        print("%s can't consume for a while, maybe blocked, %" PRId64 "ms\n", name, idle);
}

static void print_troubles(struct mqadmin *m, json_t *info, int64_t now_ms)
{
    struct queue_rows rows = {0};
    bool ordered = json_flag(json_object_get(info, "properties"), "PROP_CONSUMEORDERLY", false);
    if (is_push(info) && queue_rows_add(m, &rows, json_incref(info), json_object_get(info, "mqTable"))) {
        queue_rows_sort(&rows);
        for (size_t i = 0; i < rows.n; i++)
            print_trouble(words_member(info, "clientId"), &rows.at[i], ordered, now_ms);
    }
    queue_rows_free(&rows);
}

static void print_judgement(struct mqadmin *m, const json_t *infos, int64_t now_ms)
{
    json_t *info;
    size_t i;
    if (json_array_size(infos) == 0)
        return;
    if (!all_subscribe_the_same(infos, now_ms)) {
        print("\n\nWARN: Different subscription in the same group of consumer!!!");
        return;
    }
    print("\n\nSame subscription in the same group of consumer");
    print("\n\nRebalance OK\n");
    json_array_foreach((json_t *)(uintptr_t)infos, i, info)
        print_troubles(m, info, now_ms);
}

static void status_of_all(struct mqadmin *m, const char *group, const json_t *connections)
{
    json_t *infos = json_array(), *one;
    int64_t now_ms = clock_wall_ms();
    char version[WORDS_MAX], path[512];
    size_t i;
    int n = 0;
    print("%-10s %-40s %-20s %s\n", "#Index", "#ClientId", "#Version", "#ConsumerRunningInfoFile");
    json_array_foreach((json_t *)(uintptr_t)connections, i, one) {
        const char *id = words_member(one, "clientId");
        json_t *info = running_get(m, group, id, opt_is(m, 's'));
        if (info == NULL || !save(m, info, now_ms, id, path, sizeof path)) {
            fail_tell(m); /* the others are still asked */
            json_decref(info);
            continue;
        }
        json_object_set_new(info, "clientId", json_string(id));
        json_array_append_new(infos, info);
        print("%-10d %-40s %-20s %s\n", ++n, id, words_version(json_i64(one, "version", 0), version), path);
    }
    print_judgement(m, infos, now_ms);
    json_decref(infos);
}

bool consumer_status(struct mqadmin *m)
{
    const char *group = opt_text(m, 'g');
    json_t *consumers = lookup_consumers(m, group, opt_text(m, 'b'));
    if (consumers == NULL)
        return false;
    if (!opt_is(m, 'i')) {
        status_of_all(m, group, json_object_get(consumers, "connectionSet"));
        json_decref(consumers);
        return true;
    }
    json_decref(consumers);
    struct buf text = {0};
    json_t *info = running_get(m, group, opt_text(m, 'i'), opt_is(m, 's'));
    bool good = info != NULL && put_info(m, &text, info);
    if (good)
        print("%.*s", SLICE_ARG(buf_view(&text)));
    buf_free(&text);
    json_decref(info);
    return good;
}
