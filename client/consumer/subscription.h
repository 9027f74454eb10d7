/* subscription.h - a topic and the tags wanted of it.
 * Thread: one owner; pure. */
#ifndef CLIENT_CONSUMER_SUBSCRIPTION_H
#define CLIENT_CONSUMER_SUBSCRIPTION_H
#include "common/base/err.h"
#include "common/base/slice.h"
#include "common/protocol/json.h"

enum { SUBSCRIPTION_TAGS_MAX = 1024 };
struct subscription {
    char *topic, *expression; /* yours, with the struct */
    int64_t version;          /* ms: a newer one replaces an older */
    struct slice *tags;       /* into expression; none: all messages */
    size_t n_tags;
};
/* "*", "" and NULL mean all; else tags with || between. MQ_ENOMEM, MQ_EINVAL (an empty tag, too many). End with subscription_fini(). */
enum mq_err subscription_init(struct subscription *s, const char *topic, const char *expression, int64_t version, struct fault *why);
void subscription_fini(struct subscription *s);
/* Brokers compare hashes only: the text decides here. */
bool subscription_wants(const struct subscription *s, const char *tag);
void subscription_json(const struct subscription *s, struct jw *w); /* as heartbeats carry it */
#endif
