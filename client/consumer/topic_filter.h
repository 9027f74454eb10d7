/* topic_filter.h - a topic and what is wanted of it: tags, or what an SQL92 expression says.
 * Thread: one owner; pure. */
#ifndef CLIENT_CONSUMER_TOPIC_FILTER_H
#define CLIENT_CONSUMER_TOPIC_FILTER_H
#include "common/base/err.h"
#include "common/base/slice.h"
#include "common/protocol/json.h"

enum { TOPIC_FILTER_TAGS_MAX = 1024 };
struct topic_filter {
    char *topic, *expression; /* yours, with the struct */
    int64_t version;          /* ms: a newer one replaces an older */
    bool sql;                 /* the broker judges; nothing is left to do here */
    struct slice *tags;       /* else: into expression; none: all messages */
    size_t n_tags;
};
/* "*", "" and NULL mean all; else tags with || between. MQ_ENOMEM, MQ_EINVAL (an empty tag, too many). End with topic_filter_fini(). */
enum mq_err topic_filter_init(struct topic_filter *s, const char *topic, const char *expression, int64_t version, struct fault *why);
/* The expression must compile (common/filter/sql.h): MQ_EINVAL, why says where it does not. */
enum mq_err topic_filter_init_sql(struct topic_filter *s, const char *topic, const char *expression, int64_t version, struct fault *why);
const char *topic_filter_type(const struct topic_filter *s); /* "TAG" or "SQL92", as brokers are told */
void topic_filter_fini(struct topic_filter *s);
/* Brokers compare hashes only: the text decides here. */
bool topic_filter_wants(const struct topic_filter *s, const char *tag);
void topic_filter_json(const struct topic_filter *s, struct jw *w); /* as heartbeats carry it */
#endif
