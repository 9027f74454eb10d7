/* tag_filter.h - a topic and the tags wanted of it.
 * Thread: one owner; pure. */
#ifndef CLIENT_CONSUMER_TAG_FILTER_H
#define CLIENT_CONSUMER_TAG_FILTER_H
#include "common/base/err.h"
#include "common/base/slice.h"
#include "common/protocol/json.h"

enum { TAG_FILTER_MAX = 1024 };
struct tag_filter {
    char *topic, *expression; /* yours, with the struct */
    int64_t version;          /* ms: a newer one replaces an older */
    struct slice *tags;       /* into expression; none: all messages */
    size_t n_tags;
};
/* "*", "" and NULL mean all; else tags with || between. MQ_ENOMEM, MQ_EINVAL (an empty tag, too many). End with tag_filter_fini(). */
enum mq_err tag_filter_init(struct tag_filter *s, const char *topic, const char *expression, int64_t version, struct fault *why);
void tag_filter_fini(struct tag_filter *s);
/* Brokers compare hashes only: the text decides here. */
bool tag_filter_wants(const struct tag_filter *s, const char *tag);
void tag_filter_json(const struct tag_filter *s, struct jw *w); /* as heartbeats carry it */
#endif
