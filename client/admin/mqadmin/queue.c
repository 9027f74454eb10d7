/* queue.c - queryCq: the units of a consume queue, and what a group's filter makes of them. */
#include <inttypes.h>
#include <stdio.h>

#include "client/admin/mqadmin/lookup.h"
#include "client/admin/mqadmin/words.h"
#include "common/protocol/json.h"

#define RULE "======================================\n"

static void print_unit(const json_t *u, int64_t index)
{
    print("idx: %" PRId64 "\nConsumeQueueData{physicOffset=%" PRId64 ", physicSize=%" PRId64 ", tagsCode=%" PRId64
          ", extendDataJson='%s', bitMap='%s', eval=%s, msg='%s'}\n" RULE,
          index, json_i64(u, "physicOffset", 0), json_i64(u, "physicSize", 0), json_i64(u, "tagsCode", 0), words_member(u, "extendDataJson"),
          words_member(u, "bitMap"), words_bool(json_flag(u, "eval", false)), words_member(u, "msg"));
}

static void print_answer(const json_t *root, int64_t index)
{
    const json_t *sub = json_object_get(root, "subscriptionData"), *filter = json_object_get(root, "filterData");
    json_t *unit;
    size_t i;
    if (json_is_object(sub)) {
        struct buf text = {0};
        words_json(&text, sub, true);
        print("Subscription data: \n%.*s\n" RULE, SLICE_ARG(buf_view(&text)));
        buf_free(&text);
    }
    if (json_is_string(filter))
        print("Filter data: \n%s\n" RULE, json_string_value(filter));
    print("Queue data: \nmax: %" PRId64 ", min: %" PRId64 "\n" RULE, json_i64(root, "maxQueueIndex", 0), json_i64(root, "minQueueIndex", 0));
    json_array_foreach(json_object_get(root, "queueData"), i, unit)
        print_unit(unit, index + (int64_t)i);
}

bool queue_query(struct mqadmin *m)
{
    struct ask q = ask_of(REQ_QUERY_CONSUME_QUEUE);
    int32_t queue_id, count;
    int64_t index;
    struct route *r = NULL;
    const char *addr = opt_text(m, 'b');
    if (!opt_i32(m, 'q', 0, &queue_id) || !opt_i64(m, 'i', 0, &index) || !opt_i32(m, 'c', 10, &count))
        return false;
    if (addr == NULL || addr[0] == '\0') {
        r = lookup_route(m, opt_text(m, 't'));
        if (r == NULL)
            return false;
        addr = r->n_brokers > 0 ? route_master(&r->brokers[0]) : NULL;
    }
    ask_str(&q, "topic", opt_text(m, 't'));
    ask_i64(&q, "queueId", queue_id);
    ask_i64(&q, "index", index);
    ask_i64(&q, "count", count);
    ask_str(&q, "consumerGroup", opt_text(m, 'g'));
    json_t *root = addr != NULL ? ask_json(m, addr, &q) : NULL;
    bool good = root != NULL || (addr == NULL ? fail(m, -1, "No topic route data!") : false);
    if (root != NULL)
        print_answer(root, index);
    json_decref(root);
    route_unref(r);
    return good;
}
