/* topics_file.c - fuzz target: topics.json. Oracle: a file that loads is written, compact and pretty, and loads again as the same topics
 * and version; then opening it changes nothing. */
#include "broker/metadata/topics.h"
#include "tests/fuzz/files.h"

static struct topics *load(void)
{
    static const struct topics_setup setup = {.cluster_name = "c", .broker_name = "b", .trace_topic = "RMQ_SYS_TRACE_TOPIC", .auto_create = true,
                                              .cluster_topic = true, .broker_topic = true, .trace_topic_enable = true, .default_queues = 8};
    struct topics *t = NULL;
    struct fault why = {0};
    enum mq_err err = topics_open(files_config("topics.json"), &setup, NULL, 1000, &t, &why);
    CHECK(err == MQ_OK || why.what[0] != '\0');
    return t;
}

static void equal(const struct topics *a, const struct topics *b)
{
    CHECK(topics_count(a) == topics_count(b));
    CHECK(topics_version(a)->counter == topics_version(b)->counter && topics_version(a)->timestamp_ms == topics_version(b)->timestamp_ms);
    for (const struct topic_config *x = topics_next(a, NULL), *y; x; x = topics_next(a, x)) {
        y = topics_find(b, x->node.key);
        CHECK(y && x->read_queues == y->read_queues && x->write_queues == y->write_queues && x->perm == y->perm);
        CHECK(x->sys_flag == y->sys_flag && x->order == y->order && x->multi_tags == y->multi_tags);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    files_reset();
    files_put("topics.json", slice_make(data, n));
    struct topics *t = load();
    for (int pretty = 0; t && pretty < 2; pretty++) {
        struct buf text = {0};
        topics_encode(t, pretty, &text);
        files_put("topics.json", buf_view(&text));
        struct topics *again = load();
        CHECK(again != NULL);
        equal(t, again);
        topics_close(again);
        CHECK(slice_eq(buf_view(&files_find("topics.json")->bytes), buf_view(&text))); /* nothing had to be written */
        buf_free(&text);
    }
    topics_close(t);
    files_reset();
    return 0;
}
