/* change_log.c - fuzz target: the files of a table's changes; the first byte says where one ends and the other begins. Oracle: reading never
 * fails, versions of what is applied only grow, and a change that is appended behind anything is found, with all that was found before. */
#include "broker/metadata/change_log.h"
#include "tests/fuzz/files.h"

struct seen {
    struct data_version *version;
    int64_t last;
    size_t n;
    bool mine;
};
static enum mq_err apply(void *ctx, const json_t *put, struct slice removed, struct fault *why)
{
    struct seen *s = ctx;
    (void)why;
    CHECK(put != NULL || removed.n > 0);
    CHECK(put == NULL || json_is_object(put));
    CHECK(s->version->counter >= s->last); /* moved when the one before was applied */
    s->last = s->version->counter;
    s->n++;
    s->mine = slice_is(removed, "mine");
    return MQ_OK;
}

static struct change_log *load(struct data_version *version, struct seen *s)
{
    struct change_log *l = NULL;
    bool found;
    CHECK(change_log_new(&files_io, &files_exec, "t", false, &l) == MQ_OK);
    *s = (struct seen){.version = version};
    CHECK(change_log_replay(l, version, apply, s, &found, NULL) == MQ_OK);
    CHECK(found || s->n == 0);
    return l;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    uint8_t choice;
    struct seen before, after;
    struct data_version version = {0}, again = {0};
    if (!fuzz_choice(&data, &n, &choice))
        return 0;
    size_t first = n * choice / 255;
    files_reset();
    files_put("t.changes1", slice_make(data, first));
    files_put("t.changes2", slice_make(data + first, n - first));
    struct change_log *l = load(&version, &before);
    if (version.counter < INT64_MAX) {
        data_version_next(&version, 1000);
        CHECK(change_log_append(l, &version, (struct slice){0}, SLICE_LIT("mine"), NULL) == MQ_OK);
        change_log_close(l, false);
        l = load(&again, &after);
        CHECK(after.n == before.n + 1 && after.mine && again.counter == version.counter);
    }
    change_log_close(l, false);
    files_reset();
    return 0;
}
