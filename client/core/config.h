/* config.h - the settings of producers, consumers and admins: one table, Apache's names.
 * Thread: one owner. */
#ifndef CLIENT_CORE_CONFIG_H
#define CLIENT_CORE_CONFIG_H
#include "client/include/cmq.h"
#include "common/conf/conf.h"

enum from_where { FROM_LAST, FROM_FIRST, FROM_TIMESTAMP };
enum message_model { MODEL_CLUSTERING, MODEL_BROADCASTING };
enum allocate_by { ALLOCATE_AVG, ALLOCATE_BY_CIRCLE, ALLOCATE_CONSISTENT_HASH };

struct cmq_config {
    char *namesrv_addr, *client_ip, *instance_name, *unit_name;
    int32_t api_timeout_ms, heartbeat_ms, poll_names_ms;
    int32_t serialize; /* enum serialize */
    char *trace_topic;
    bool enable_trace;
    /* producer */
    char *producer_group, *create_topic_key;
    int32_t send_timeout_ms, retry_times, retry_times_async, compress_over, max_message_size, default_queues;
    int64_t async_max_messages, async_max_bytes;
    /* consumer */
    char *consumer_group, *consume_timestamp, *offset_dir;
    int32_t from_where, model, allocate, threads, pull_batch, consume_batch, threshold_messages, threshold_mib, max_reconsume, persist_ms, suspend_ms;
};
const struct conf_table *client_config_table(void);
/* A copy of cfg (NULL: all defaults) in zeroed *out. CMQ_ERR_NO_MEMORY. End with client_config_fini(). */
enum cmq_code client_config_copy(const struct cmq_config *cfg, struct cmq_config *out, struct cmq_error *err);
void client_config_fini(struct cmq_config *c);
#endif
