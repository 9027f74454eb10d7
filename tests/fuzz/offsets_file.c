/* offsets_file.c - fuzz target: consumerOffset.json. Oracle: a file that loads holds only queues and offsets >= 0; written, compact and
 * pretty, it loads again as the same; cloning and removing leave what they should. */
#include "broker/metadata/offsets.h"
#include "tests/fuzz/files.h"

static struct offsets *load(void)
{
    struct offsets *o = NULL;
    struct fault why = {0};
    enum mq_err err = offsets_open(files_config("consumerOffset.json"), &o, &why);
    CHECK(err == MQ_OK || why.what[0] != '\0');
    CHECK(err != MQ_ENOMEM);
    return o;
}

static size_t seen;
static void same(void *arg, struct slice topic, struct slice group, int32_t queue_id, int64_t commit_off)
{
    CHECK(queue_id >= 0 && commit_off >= 0 && offsets_query(arg, group, topic, queue_id) == commit_off && offsets_has(arg, group, topic));
    seen++;
}
static size_t count(const struct offsets *o, const struct offsets *in)
{
    seen = 0;
    offsets_each(o, same, (void *)(uintptr_t)in);
    return seen;
}
struct first {
    char topic[OFFSETS_KEY_MAX], group[OFFSETS_KEY_MAX];
    bool found;
};
static void take_first(void *arg, struct slice topic, struct slice group, int32_t queue_id, int64_t commit_off)
{
    struct first *f = arg;
    (void)queue_id, (void)commit_off;
    if (f->found)
        return;
    slice_copy(topic, f->topic, sizeof f->topic);
    slice_copy(group, f->group, sizeof f->group);
    f->found = true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct first f = {.found = false};
    files_reset();
    files_put("consumerOffset.json", slice_make(data, n));
    struct offsets *o = load();
    for (int pretty = 0; o && pretty < 2; pretty++) {
        struct buf text = {0};
        offsets_encode(o, pretty, &text);
        files_put("consumerOffset.json", buf_view(&text));
        struct offsets *again = load();
        CHECK(again && count(o, again) == count(again, o));
        offsets_close(again);
        buf_free(&text);
    }
    if (o) {
        offsets_each(o, take_first, &f);
        if (f.found && strlen(f.topic) + sizeof "@fuzz-copy" <= OFFSETS_KEY_MAX) {
            offsets_clone(o, slice_str(f.group), SLICE_LIT("fuzz-copy"), slice_str(f.topic));
            CHECK(offsets_has(o, SLICE_LIT("fuzz-copy"), slice_str(f.topic)));
            offsets_remove_group(o, slice_str(f.group));
            offsets_remove_topic(o, slice_str(f.topic));
            CHECK(!offsets_has(o, SLICE_LIT("fuzz-copy"), slice_str(f.topic)) && !offsets_has(o, slice_str(f.group), slice_str(f.topic)));
        }
    }
    offsets_close(o); /* writes what changed */
    files_reset();
    return 0;
}
