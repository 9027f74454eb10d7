/* config.h - what a broker can be told: Apache's keys of 4.9.8, from a properties file and the command line.
 * Keys that have no effect here (thread pools, mapped-file details) are accepted and shown, and change nothing.
 * Thread: core after loading. Strings are yours with the config; they change only through broker_config_set_live(). */
#ifndef BROKER_CONFIG_H
#define BROKER_CONFIG_H
#include <stdbool.h>
#include <stdint.h>
#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/slice.h"

enum broker_role { ROLE_ASYNC_MASTER, ROLE_SYNC_MASTER, ROLE_SLAVE };
enum flush_disk_type { FLUSH_DISK_ASYNC, FLUSH_DISK_SYNC };

enum { BROKER_DELAY_LEVELS_MAX = 32 };
enum { BROKER_UNUSED_KEYS = 160 }; /* keys of Apache that are accepted, shown, and change nothing */

struct broker_config {
    /* who we are */
    char *cluster_name, *broker_name, *broker_ip1, *broker_ip2, *namesrv_addr, *rocketmq_home;
    char *region_id, *trace_topic;
    int64_t broker_id;
    int32_t broker_role, listen_port, ha_listen_port;
    char *bind_address;

    /* what is allowed and made by itself */
    int32_t broker_permission, default_topic_queue_nums;
    bool auto_create_topic, auto_create_group, cluster_topic, broker_topic, trace_topic_enable, trace_on;
    int64_t transaction_timeout_ms, transaction_interval_ms;
    int32_t transaction_checks_max;
    bool reject_transaction, notify_consumer_ids_changed;
    bool store_reply;
    int64_t lock_live_ms;
    bool enable_property_filter, filter_support_retry;
    int32_t bloom_error_percent, bloom_members;
    int64_t filter_keep_ms;
    int64_t start_accept_send_ms;

    /* pulling */
    bool long_polling, slave_read, offset_check_in_slave;
    bool disable_slow_consumers;
    int64_t consumer_fall_behind_threshold; /* bytes */
    int64_t short_polling_ms;
    int32_t max_bytes_in_memory, max_count_in_memory, max_bytes_on_disk, max_count_on_disk, in_memory_percent;
    int32_t default_query_max, max_msgs_batch;

    /* registering */
    bool force_register, compressed_register;
    int64_t register_period_ms, register_timeout_ms;
    int64_t flush_consumer_offset_ms, flush_delay_offset_ms;

    /* the store; paths as configured */
    char *store_root, *commit_log_dir, *delete_when, *delay_levels;
    int32_t flush_disk;
    int64_t sync_flush_timeout_ms, slave_timeout_ms;
    int64_t commit_log_file_size, consume_queue_file_size;
    int32_t max_message_size;
    bool check_crc_on_recover, index_enable, clean_file_forcibly;
    int64_t index_slots, index_entries;
    int64_t flush_interval_ms, flush_queue_interval_ms, flush_queue_thorough_ms, flush_behind_max;
    int32_t flush_queue_least_pages;
    int64_t file_reserved_hours;
    int32_t disk_max_used_percent;

    /* the shell */
    int64_t idle_seconds, backlog;
    int64_t wait_in_send_queue_ms; /* how long a send may wait before it is refused */
    int32_t send_queue_capacity;   /* sends that wait for a sync; beyond it connections wait */
    int64_t memory_limit; /* bytes; 0: from the machine, see budget.h */
    char *config_black_list;
    char *log_level;

    char *unused[BROKER_UNUSED_KEYS]; /* values as they came */

    /* made of the above by broker_config_load() */
    const char *commit_log_path;      /* commit_log_dir as a path beneath store_root */
    uint32_t delete_hours;            /* bit h: delete_when names hour h */
    unsigned n_delay_levels;
    int64_t delay_level_ms[BROKER_DELAY_LEVELS_MAX]; /* [0] is level 1 */
};

/* Defaults, then the file (NULL: none), then what Apache's mqbroker makes of them: masters have id 0, haListenPort is
 * listenPort + 1, names and addresses default to this host's. namesrv_addr: the command line's -n, NULL: none.
 * Unknown keys are logged; MQ_EINVAL names file, line, and what is allowed. */
enum mq_err broker_config_load(struct broker_config *c, const char *file, const char *namesrv_addr, struct fault *why);
void broker_config_free(struct broker_config *c);
struct conf_table;
const struct conf_table *broker_config_table(void); /* for docs/config.md and the manual page */
/* key=value lines, sorted; important_only: those that Apache marks so. What 26 and -p / -m show. */
void broker_config_text(const struct broker_config *c, bool important_only, struct buf *out);
/* Changes one live key. MQ_ENOTFOUND: no such key; MQ_EREFUSED: fixed at start, or on the black list; MQ_EINVAL: the value; why has words. */
enum mq_err broker_config_set_live(struct broker_config *c, struct slice key, struct slice value, struct fault *why);
#endif
