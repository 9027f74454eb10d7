/* heartbeat.c - decoding the body of a heartbeat.
 *
 * Clients differ (clients.md): Java and Go send names for the three ways of consuming, librocketmq sends their ordinals and leaves
 * empty sets out, Go upper-cases one of them. All of that is read; what is neither name nor ordinal is malformed.
 * Fuzz target: tests/fuzz/heartbeat.c. */
#include "broker/session/heartbeat.h"

#include <string.h>
#include <strings.h>

#include "common/base/mem.h"

const char *const consume_type_names[] = {"CONSUME_ACTIVELY", "CONSUME_PASSIVELY", NULL};
const char *const message_model_names[] = {"BROADCASTING", "CLUSTERING", NULL};
const char *const consume_from_names[] = {"CONSUME_FROM_LAST_OFFSET", "CONSUME_FROM_LAST_OFFSET_AND_FROM_MIN_WHEN_BOOT_FIRST",
                                          "CONSUME_FROM_MIN_OFFSET", "CONSUME_FROM_MAX_OFFSET", "CONSUME_FROM_FIRST_OFFSET",
                                          "CONSUME_FROM_TIMESTAMP", NULL};

/* A name in any case, or an ordinal; `absent` when there is no such member. -1: neither. */
static int choice(const json_t *o, const char *key, const char *const *names, int absent)
{
    const json_t *v = json_object_get(o, key);
    int n = 0;
    while (names[n])
        n++;
    if (v == NULL || json_is_null(v))
        return absent;
    int64_t ordinal = json_i64(o, key, -1);
    if (ordinal >= 0)
        return ordinal < n ? (int)ordinal : -1;
    for (int i = 0; json_is_string(v) && i < n; i++)
        if (strcasecmp(json_string_value(v), names[i]) == 0)
            return i;
    return -1;
}

/* "\u0000" is allowed in JSON; the tables keep names as C strings, and would never find such a one again. */
static bool holds_nul(struct slice s) { return s.n > 0 && memchr(s.p, '\0', s.n) != NULL; }

static enum mq_err group_name(const json_t *o, const char *set, size_t at, struct slice *out, struct fault *why)
{
    *out = json_str(o, "groupName");
    if (out->n == 0)
        return fault_set(why, MQ_EMALFORMED, 0, "%s[%zu].groupName is missing", set, at);
    if (out->n > SESSION_GROUP_MAX)
        return fault_set(why, MQ_EMALFORMED, 0, "%s[%zu].groupName has %zu bytes, allowed are %d", set, at, out->n, SESSION_GROUP_MAX);
    if (holds_nul(*out))
        return fault_set(why, MQ_EMALFORMED, 0, "%s[%zu].groupName holds a zero", set, at);
    return MQ_OK;
}

static enum mq_err subscriptions(const json_t *set, size_t at, struct heartbeat_consumer *c, struct fault *why)
{
    size_t n = json_array_size(set);
    if (set && !json_is_array(set) && !json_is_null(set))
        return fault_set(why, MQ_EMALFORMED, 0, "consumerDataSet[%zu].subscriptionDataSet is no list", at);
    if (n > HEARTBEAT_TOPICS_MAX)
        return fault_set(why, MQ_ELIMIT, 0, "consumerDataSet[%zu].subscriptionDataSet has more than %d topics", at, HEARTBEAT_TOPICS_MAX);
    c->subscriptions = mem_zalloc((n + 1) * sizeof *c->subscriptions);
    if (c->subscriptions == NULL)
        return fault_set(why, MQ_ENOMEM, 0, "heartbeat");
    for (size_t i = 0; i < n; i++) {
        struct fault inner = {0};
        struct subscription *s = mem_zalloc(sizeof *s);
        if (s == NULL)
            return fault_set(why, MQ_ENOMEM, 0, "heartbeat");
        c->subscriptions[c->n_subscriptions++] = s;
        enum mq_err err = subscription_read(json_array_get(set, i), s, &inner);
        if (err != MQ_OK)
            return fault_set(why, err, 0, "consumerDataSet[%zu].subscriptionDataSet[%zu]: %.120s", at, i, inner.what);
    }
    return MQ_OK;
}

static enum mq_err consumer(const json_t *o, size_t at, struct heartbeat_consumer *out, struct fault *why)
{
    enum mq_err err = group_name(o, "consumerDataSet", at, &out->group, why);
    if (err != MQ_OK)
        return err;
    int type = choice(o, "consumeType", consume_type_names, CONSUME_PASSIVELY);
    int model = choice(o, "messageModel", message_model_names, MODEL_CLUSTERING);
    int from = choice(o, "consumeFromWhere", consume_from_names, FROM_LAST_OFFSET);
    if (type < 0 || model < 0 || from < 0)
        return fault_set(why, MQ_EMALFORMED, 0, "consumerDataSet[%zu].%s is unknown", at,
                         type < 0 ? "consumeType" : model < 0 ? "messageModel" : "consumeFromWhere");
    out->type = (enum consume_type)type;
    out->model = (enum message_model)model;
    out->from = (enum consume_from)from;
    out->unit_mode = json_flag(o, "unitMode", false);
    return subscriptions(json_object_get(o, "subscriptionDataSet"), at, out, why);
}

static enum mq_err sets(struct heartbeat *h, struct fault *why)
{
    const json_t *consumers = json_object_get(h->root, "consumerDataSet"), *producers = json_object_get(h->root, "producerDataSet");
    size_t n_consumers = json_array_size(consumers), n_producers = json_array_size(producers);
    if (n_consumers + n_producers > HEARTBEAT_GROUPS_MAX)
        return fault_set(why, MQ_ELIMIT, 0, "more than %d groups", HEARTBEAT_GROUPS_MAX);
    h->consumers = mem_zalloc((n_consumers + 1) * sizeof *h->consumers);
    h->producers = mem_zalloc((n_producers + 1) * sizeof *h->producers);
    if (h->consumers == NULL || h->producers == NULL)
        return fault_set(why, MQ_ENOMEM, 0, "heartbeat");
    enum mq_err err = MQ_OK;
    for (size_t i = 0; err == MQ_OK && i < n_consumers; i++) {
        h->n_consumers = i + 1; /* heartbeat_fini() frees a half one, too */
        err = consumer(json_array_get(consumers, i), i, &h->consumers[i], why);
    }
    for (size_t i = 0; err == MQ_OK && i < n_producers; i++) {
        h->n_producers = i + 1;
        err = group_name(json_array_get(producers, i), "producerDataSet", i, &h->producers[i], why);
    }
    return err;
}

enum mq_err heartbeat_decode(struct slice body, struct heartbeat *out, struct fault *why)
{
    struct heartbeat h = {.root = json_parse(body, why)};
    enum mq_err err = MQ_OK;
    if (h.root == NULL)
        return why && why->err != MQ_OK ? why->err : MQ_EMALFORMED;
    h.client_id = json_str(h.root, "clientID");
    h.without_subscriptions = json_flag(h.root, "withoutSub", false);
    h.fingerprinted = json_i64(h.root, "heartbeatFingerprint", 0) != 0;
    if (h.client_id.n == 0 || h.client_id.n > SESSION_CLIENT_ID_MAX)
        err = fault_set(why, MQ_EMALFORMED, 0, "clientID is %s", h.client_id.n ? "too long" : "missing");
    else if (holds_nul(h.client_id))
        err = fault_set(why, MQ_EMALFORMED, 0, "clientID holds a zero");
    if (err == MQ_OK)
        err = sets(&h, why);
    if (err != MQ_OK) {
        heartbeat_fini(&h);
        return err;
    }
    *out = h;
    return MQ_OK;
}

void heartbeat_fini(struct heartbeat *h)
{
    for (size_t i = 0; i < h->n_consumers; i++) {
        struct heartbeat_consumer *c = &h->consumers[i];
        for (size_t j = 0; j < c->n_subscriptions; j++)
            if (c->subscriptions[j])
                subscription_free(c->subscriptions[j]);
        mem_free(c->subscriptions);
    }
    json_decref(h->root);
    mem_free(h->consumers);
    mem_free(h->producers);
    *h = (struct heartbeat){0};
}
