/* consumer_filters.h - what groups want of topics by SQL92 expression: compiled, kept in consumerFilter.json in Apache's form.
 * Heartbeats bring expressions; a group's are kept for a day after its last member left, so that a restart of clients or of the broker finds them.
 * Thread: core. */
#ifndef BROKER_FILTER_CONSUMER_FILTERS_H
#define BROKER_FILTER_CONSUMER_FILTERS_H
#include "broker/filter/bloom.h"
#include "broker/metadata/config_file.h"
#include "broker/session/session.h"
#include "common/filter/sql.h"

struct consumer_filter {
    struct hash_node node; /* key = topic */
    struct slice topic, expression;
    struct sql *program;
    int64_t born_ms, dead_ms; /* dead when dead_ms >= born_ms */
    int64_t client_version;   /* of the subscription that it comes from */
};
struct consumer_filters_setup {
    struct bloom bloom;
    int64_t keep_ms; /* of dead ones: filterDataCleanTimeSpan */
};
struct consumer_filters;
/* file: taken, also when this fails. A file that cannot be read whole fails the start, as with the other tables; an expression in it that does not
 * compile is passed over: its group sends it again. */
enum mq_err consumer_filters_open(struct config_file *file, const struct consumer_filters_setup *setup, int64_t now_ms, struct consumer_filters **out,
                                  struct fault *why);
void consumer_filters_close(struct consumer_filters *f); /* writes what is dirty; NULL allowed */

/* A group was heard: its expressions of a newer version are taken over, those of topics that it no longer wants are dead. An expression that does not
 * compile removes the old one, so that its client hears of it. may_grow: false when memory is short: no new ones then. */
void consumer_filters_heard(struct consumer_filters *f, const struct consumer_group *g, bool may_grow, int64_t now_ms);
void consumer_filters_gone(struct consumer_filters *f, struct slice group, int64_t now_ms); /* nobody of the group is left */
const struct consumer_filter *consumer_filters_find(const struct consumer_filters *f, struct slice topic, struct slice group); /* NULL: none */
void consumer_filters_chores(struct consumer_filters *f, int64_t now_ms); /* forgets the long dead; writes again what failed */
void consumer_filters_encode(const struct consumer_filters *f, bool pretty, struct buf *out);
size_t consumer_filters_count(const struct consumer_filters *f);
#endif
