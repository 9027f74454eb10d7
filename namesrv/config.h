/* config.h - what a name server can be told: Apache's keys of 4.9.8, from a properties file, and while it runs (318).
 * Thread: core after loading. Strings belong to the config. */
#ifndef NAMESRV_CONFIG_H
#define NAMESRV_CONFIG_H
#include "common/base/log.h"
#include "common/conf/conf.h"

enum { NAMESRV_UNUSED_KEYS = 16 };
struct namesrv_config {
    int32_t listen_port; /* 0: any free one */
    char *bind_address;
    int32_t backlog, idle_seconds, max_connections;
    bool order_message_enable, cluster_test;
    int64_t memory_limit; /* bytes; 0: from the machine, see budget.h */
    int32_t log_level; /* enum log_level */
    char *rocketmq_home, *kv_config_path, *config_store_path, *config_black_list;
    char *unused[NAMESRV_UNUSED_KEYS]; /* values as they came */
};

/* Defaults, then the file (NULL: none), then what Apache makes of them: paths default to beneath $HOME/namesrv, a file
 * that was given is also where changes are kept. unknown: told of each key that we do not know (NULL allowed).
 * Fails: MQ_EIO, MQ_EINVAL (why names file, line, and what is allowed), MQ_ENOMEM; then there is nothing to free. */
enum mq_err namesrv_config_load(struct namesrv_config *c, const char *file, conf_unknown_fn *unknown, void *arg, struct fault *why);
void namesrv_config_free(struct namesrv_config *c);

/* A copy of c with the changes of this properties text; keys that we do not know are passed over, as Apache does.
 * MQ_EREFUSED: a key on the black list ("Can not update config in black list.") or one that is read at start only;
 * MQ_EINVAL: a value that is not allowed; MQ_ENOMEM. Then there is nothing to free. */
enum mq_err namesrv_config_changed(const struct namesrv_config *c, struct slice properties, struct namesrv_config *out, struct fault *why);

void namesrv_config_text(const struct namesrv_config *c, struct buf *out); /* key=value lines, sorted: 319 and -p */
void namesrv_config_file(const struct namesrv_config *c, struct buf *out); /* the same with escapes, to be read again */
const struct conf_table *namesrv_config_table(void);                       /* for docs/config.md */
#endif
