/* groups_file.c - fuzz target: subscriptionGroup.json. Oracle: a file that loads is written, compact and pretty, and loads again as the same
 * groups and version. */
#include "broker/metadata/groups.h"
#include "tests/fuzz/files.h"

static struct groups *load(void)
{
    struct groups *g = NULL;
    struct fault why = {0};
    enum mq_err err = groups_open(files_config("subscriptionGroup.json"), true, 1000, &g, &why);
    CHECK(err == MQ_OK || why.what[0] != '\0');
    return g;
}

static void equal(const struct groups *a, const struct groups *b)
{
    CHECK(groups_count(a) == groups_count(b));
    CHECK(groups_version(a)->counter == groups_version(b)->counter && groups_version(a)->timestamp_ms == groups_version(b)->timestamp_ms);
    for (const struct group_config *x = groups_next(a, NULL), *y; x; x = groups_next(a, x)) {
        y = groups_find(b, x->node.key);
        CHECK(y && x->consume_enable == y->consume_enable && x->consume_from_min_enable == y->consume_from_min_enable);
        CHECK(x->consume_broadcast_enable == y->consume_broadcast_enable && x->notify_ids_changed_enable == y->notify_ids_changed_enable);
        CHECK(x->retry_queues == y->retry_queues && x->retry_max_times == y->retry_max_times && x->broker_id == y->broker_id);
        CHECK(x->which_broker_when_slow == y->which_broker_when_slow);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    files_reset();
    files_put("subscriptionGroup.json", slice_make(data, n));
    struct groups *g = load();
    for (int pretty = 0; g && pretty < 2; pretty++) {
        struct buf text = {0};
        groups_encode(g, pretty, &text);
        files_put("subscriptionGroup.json", buf_view(&text));
        struct groups *again = load();
        CHECK(again != NULL);
        equal(g, again);
        groups_close(again);
        buf_free(&text);
    }
    groups_close(g);
    files_reset();
    return 0;
}
