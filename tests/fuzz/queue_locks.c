/* queue_locks.c - fuzz target: queueLocks.json, and the body of 41 and 42. Oracle: a file that is taken is written and taken again as the
 * same table; one that is refused leaves nothing behind; a request that reads is granted to a free table whole. */
#include "broker/session/queue_locks.h"
#include "common/base/log.h"
#include "tests/fuzz/fuzz.h"

static const struct queue_locks_setup setup = {.live_ms = LOCK_LIVE_MS};

static struct queue_locks *make(void)
{
    struct queue_locks *l = NULL;
    CHECK(queue_locks_new(&setup, &l) == MQ_OK);
    return l;
}

static void as_file(struct slice text)
{
    struct queue_locks *l = make(), *again = make();
    struct fault why = {0};
    struct buf out = {0};
    if (queue_locks_take(l, text, 1, &why) == MQ_OK) {
        queue_locks_encode(l, &out);
        CHECK(!out.failed && queue_locks_take(again, buf_view(&out), 1, &why) == MQ_OK);
        CHECK(queue_locks_count(l) == queue_locks_count(again));
    } else {
        CHECK(why.what[0] != '\0' && queue_locks_count(l) == 0);
    }
    buf_free(&out);
    queue_locks_free(l);
    queue_locks_free(again);
}

static void as_request(struct slice text)
{
    struct queue_locks *l = make();
    struct fault why = {0};
    struct lock_owner who;
    const json_t *queues, *q;
    char words[160] = "";
    size_t i;
    uint64_t change = 0;
    json_t *root = json_parse(text, &why);
    if (root && lock_request_read(root, &who, &queues, words)) {
        json_array_foreach(queues, i, q) {
            const struct lock_queue queue = lock_queue_of(q);
            CHECK(queue_locks_lock(l, &who, &queue, 1, true, &change));
            const struct lock_owner other = {who.group, SLICE_LIT("another one")};
            CHECK(slice_eq(other.client_id, who.client_id) || !queue_locks_lock(l, &other, &queue, 2, true, &change));
        }
        queue_locks_leave(l, &who);
        CHECK(queue_locks_count(l) == 0);
    } else {
        CHECK(root == NULL || words[0] != '\0');
    }
    json_decref(root);
    queue_locks_free(l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    log_set_level(LOG_OFF);
    as_file(slice_make(data, n));
    as_request(slice_make(data, n));
    return 0;
}
