/* kv_config.h - pairs of key and value in namespaces, the only thing a name server keeps across a restart.
 * Thread: core. What comes out is borrowed until the next change. */
#ifndef NAMESRV_KVCONFIG_KV_CONFIG_H
#define NAMESRV_KVCONFIG_KV_CONFIG_H
#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/slice.h"

#define KV_ORDER_TOPIC "ORDER_TOPIC_CONFIG" /* namespace: topic -> "broker:queues;broker:queues" */
enum {
    KV_NAME_MAX = 1024,       /* bytes of a namespace or key */
    KV_VALUE_MAX = 1 << 20,
    KV_TOTAL_MAX = 8 << 20    /* bytes of all names and values together: answers must fit a frame */
};

/* Makes the table's text durable; a change that it refuses is undone. */
typedef enum mq_err kv_save_fn(void *ctx, struct slice json, struct fault *why);

struct kv_config;
struct kv_config *kv_config_new(kv_save_fn *save, void *ctx); /* NULL: out of memory. save NULL: nothing is kept */
void kv_config_free(struct kv_config *kv);                    /* NULL allowed */
/* Takes over what the file says: {"configTable":{"namespace":{"key":"value"}}}. MQ_EMALFORMED, MQ_ELIMIT, MQ_ENOMEM: the
 * table is empty. */
enum mq_err kv_config_load(struct kv_config *kv, struct slice json, struct fault *why);

/* Saved before they return. MQ_EINVAL and MQ_ELIMIT: too long, too many; MQ_ENOMEM; what save says: nothing has changed. */
enum mq_err kv_config_put(struct kv_config *kv, struct slice space, struct slice key, struct slice value, struct fault *why);
enum mq_err kv_config_delete(struct kv_config *kv, struct slice space, struct slice key, struct fault *why); /* absent: MQ_OK */

bool kv_config_get(const struct kv_config *kv, struct slice space, struct slice key, struct slice *value);
/* Appends the KVTable of a namespace, {"table":{...}}; false when there is no such namespace. */
bool kv_config_list(const struct kv_config *kv, struct slice space, struct buf *out);
/* Appends the keys that have this value, with ';' between; false when there is none. */
bool kv_config_keys_of(const struct kv_config *kv, struct slice space, struct slice value, struct buf *out);
void kv_config_encode(const struct kv_config *kv, struct buf *out); /* the file's text */
size_t kv_config_bytes(const struct kv_config *kv);
#endif
