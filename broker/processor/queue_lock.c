/* queue_lock.c - the locks of ordered consumption: 41 asks for queues, 42 gives them back. What a lock is: session/queue_locks.c.
 *
 * The answer to 41 names those that were given, in the asker's words; none is no error. It says "yes" for a whole answer only when the
 * disk knows the owners.                                                    (test: unit/processor/locks; compat, semantics/orderly-*) */
#include "broker/processor/admin.h"
#include "broker/session/queue_locks.h"
#include "common/protocol/codes.h"
#include "common/protocol/queue_json.h"

/* The body, parsed: json_decref() it. NULL: out is the answer. */
static json_t *read_body(const struct request *rq, struct lock_owner *who, const json_t **queues, struct reply *out)
{
    struct fault why = {0};
    char words[160];
    json_t *root = json_parse(rq->cmd->body, &why);
    if (root == NULL) {
        reply_refuse(out, RES_SYSTEM_ERROR, "body: %s", why.what);
        return NULL;
    }
    if (lock_request_read(root, who, queues, words))
        return root;
    reply_refuse(out, RES_SYSTEM_ERROR, "body: %s", words);
    json_decref(root);
    return NULL;
}

static enum handled lock(void *ctx, const struct request *rq, struct reply *out)
{
    struct broker_context *c = ctx;
    struct lock_owner who;
    const json_t *queues, *q;
    uint64_t change = 0;
    size_t i;
    json_t *root = read_body(rq, &who, &queues, out);
    if (root == NULL)
        return HANDLED_NOW;
    bool may_grow = budget_level(c->budget) < BUDGET_NO_GROWTH;
    struct jw w = jw_over(&out->body, false);
    jw_object(&w);
    jw_key(&w, "lockOKMQSet");
    jw_array(&w);
    json_array_foreach(queues, i, q) {
        const struct lock_queue queue = lock_queue_of(q);
        if (queue_locks_lock(c->locks, &who, &queue, c->mono_ms(c->broker), may_grow, &change))
            queue_json(&w, json_str(q, "brokerName"), queue.topic, queue.queue_id);
    }
    jw_end_array(&w);
    jw_end_object(&w);
    json_decref(root);
    return queue_locks_answer(c->locks, change, &rq->ticket, out);
}

static enum handled unlock(void *ctx, const struct request *rq, struct reply *out)
{
    struct broker_context *c = ctx;
    struct lock_owner who;
    const json_t *queues, *q;
    size_t i;
    json_t *root = read_body(rq, &who, &queues, out);
    if (root == NULL)
        return HANDLED_NOW;
    json_array_foreach(queues, i, q) {
        const struct lock_queue queue = lock_queue_of(q);
        queue_locks_unlock(c->locks, &who, &queue);
    }
    json_decref(root);
    return HANDLED_NOW;
}

void queue_lock_routes(struct route_sink *sink, struct broker_context *c)
{
    routes_add(sink, REQ_LOCK_BATCH_MQ, lock, c);
    routes_add(sink, REQ_UNLOCK_BATCH_MQ, unlock, c);
}
