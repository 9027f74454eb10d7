/* mqadmin.h - Apache's mqadmin 4.9.8 in our command line: what a command of it is, and what all of them are made of.
 * Thread: main. Texts of options are borrowed from argv.
 *
 * Names, letters, columns and words on standard output are Apache's, for scripts read them. So is the exit code: 1 only when the command
 * line does not fit (the help is printed then); a command that failed says so on standard error and ends with 0. */
#ifndef CLIENT_ADMIN_MQADMIN_MQADMIN_H
#define CLIENT_ADMIN_MQADMIN_MQADMIN_H
#include <stdbool.h>
#include <stdint.h>
#include "client/include/cmq.h"
#include "common/base/buf.h"

struct client;
struct mqadmin;
typedef bool mqadmin_fn(struct mqadmin *m); /* false: fail() has said why */

enum { OPTION_ARG = 1, OPTION_MUST = 2, OPTION_ONE_OF = 4 }; /* takes a value; has to be there; exactly one of those so marked has to */
struct mqadmin_option { /* rows end with letter 0 */
    char letter;
    const char *name; /* without the dashes */
    int kind;
    const char *help;
};
struct mqadmin_command {
    const char *name, *alias; /* alias: NULL for none */
    const char *summary;      /* one line */
    const struct mqadmin_option *options;
    mqadmin_fn *run;
};
extern const struct mqadmin_command mqadmin_commands[]; /* table.c; ends with a row without name */
extern const struct mqadmin_option mqadmin_common[];    /* -h and -n, which all have */

struct mqadmin { /* one command that runs */
    const struct mqadmin_command *command;
    const char *value[128];   /* by letter: trimmed, "" of a flag, NULL when absent */
    struct cmq_config *cfg;   /* with namesrvAddr */
    struct client *client;
    int32_t code;             /* of what failed: the server's, or -1 */
    struct buf why;           /* what failed, in the server's words or ours; empty: nothing */
};

/* The program: argv[1] is a command. Returns the exit code. */
int mqadmin_main(int argc, char **argv);
void mqadmin_manual(void); /* mqadmin(1), as roff, on standard output */

/* ---- options.c: the command line as commons-cli's PosixParser takes it ---- */
/* Fills m->value from argv[0 ... argc - 1]; false when it does not fit the command. Values are trimmed where they are. */
bool options_parse(struct mqadmin *m, int argc, char **argv);
const struct mqadmin_option *options_find(const struct mqadmin_command *c, char letter, const char *name, size_t n); /* by letter, or by name */
static inline const char *opt_text(const struct mqadmin *m, char letter) { return m->value[(unsigned char)letter]; } /* NULL: absent */
static inline bool opt_is(const struct mqadmin *m, char letter) { return m->value[(unsigned char)letter] != NULL; }
const char *opt_or(const struct mqadmin *m, char letter, const char *absent);
bool opt_bool(const struct mqadmin *m, char letter, bool absent);                          /* only "true", in any case, is true */
bool opt_i64(struct mqadmin *m, char letter, int64_t absent, int64_t *out);                /* false: no number, fail() was called */
bool opt_i32(struct mqadmin *m, char letter, int32_t absent, int32_t *out);

/* ---- help.c: help as commons-cli's HelpFormatter prints it ---- */
void help_of(struct buf *out, const struct mqadmin_command *c);
void help_list(struct buf *out);

/* ---- say.c ---- */
/* To standard output. On a terminal control characters, which came from a server, are shown and not obeyed. */
__attribute__((format(printf, 1, 2))) void print(const char *fmt, ...);
/* Keeps what went wrong; returns false. code: a response code, or -1. */
__attribute__((format(printf, 3, 4))) bool fail(struct mqadmin *m, int32_t code, const char *fmt, ...);
void fail_tell(struct mqadmin *m);   /* says it on standard error, and forgets it */
void fail_forget(struct mqadmin *m);
bool help_print(const struct mqadmin_command *c); /* true */

/* ---- the families; table.c says which command is which ---- */
mqadmin_fn topic_list, topic_route, topic_status, topic_cluster_list, topic_update, topic_delete, topic_update_perm, topic_order_conf, topic_allocate;
mqadmin_fn cluster_list, cluster_send_rt;
mqadmin_fn broker_status, broker_get_config, broker_update_config, broker_clean_queues, broker_clean_topics, broker_delete_log, broker_consume_stats;
mqadmin_fn group_update, group_delete, group_get_config;
mqadmin_fn consumer_progress, consumer_status, consumer_connection, producer_connection, producer_all;
mqadmin_fn query_by_id, query_by_key, query_by_unique_key, query_by_offset, query_trace, queue_query;
mqadmin_fn print_topic, print_queue, print_consume;
mqadmin_fn send_message, send_status, send_check_rt;
mqadmin_fn offset_reset, offset_skip, offset_clone;
mqadmin_fn namesrv_get_config, namesrv_update_config, namesrv_put_kv, namesrv_delete_kv, namesrv_wipe_perm, namesrv_add_perm;
mqadmin_fn stats_all, export_configs, export_metadata, export_metrics;
/* deleteTopic's work, which deleteSubGroup does for two topics more. */
bool topic_delete_one(struct mqadmin *m, const char *cluster, const char *topic);
#endif
