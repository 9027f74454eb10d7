/* stats.h - what the broker counts: per topic, group, queue; sampled as Apache does (every 10 s, 10 min, 1 h; 7, 7 and 25 points).
 * Names and keys of inventory g.17: TOPIC_PUT_NUMS by topic, GROUP_GET_NUMS by topic@group, BROKER_PUT_NUMS by cluster ... Thread: core.
 * An item comes into being with its first count, and costs about 300 bytes, after ten minutes 1,100. */
#ifndef BROKER_STATS_STATS_H
#define BROKER_STATS_STATS_H
#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/slice.h"

enum stat_name { STAT_TOPIC_PUT_NUMS, STAT_TOPIC_PUT_SIZE, STAT_GROUP_GET_NUMS, STAT_GROUP_GET_SIZE, STAT_SNDBCK_PUT_NUMS, STAT_BROKER_PUT_NUMS,
                 STAT_BROKER_GET_NUMS, STAT_GROUP_GET_LATENCY, STAT_NAMES };
enum { STATS_KEY_MAX = 512 }; /* bytes of a key; what is longer is not counted */
struct stats;
enum mq_err stats_new(const char *cluster_name, int64_t wall_ms, int64_t mono_ms, struct stats **out);
void stats_free(struct stats *s); /* NULL allowed */
/* Cheap enough for every request: one hash look-up. group.n == 0 where the name has none; BROKER_* have neither. */
void stats_add(struct stats *s, enum stat_name name, struct slice topic, struct slice group, int64_t value, int64_t times);
/* n messages of together `bytes` in the log were put into a topic: TOPIC_PUT_NUMS, TOPIC_PUT_SIZE, BROKER_PUT_NUMS and RATE_PUT. */
void stats_put(struct stats *s, struct slice topic, int64_t n, int64_t bytes);
void stats_sample(struct stats *s, int64_t wall_ms, int64_t mono_ms); /* every 10 s; the wall clock tells midnight, rates go by the other */
/* Body of 315, or false when there is no such item. */
bool stats_encode(const struct stats *s, struct slice name, struct slice key, struct buf *out);
double stats_tps_of_minute(const struct stats *s, enum stat_name name, struct slice topic, struct slice group); /* 0 when there is no such item */
void stats_remove_topic(struct stats *s, struct slice topic);
void stats_remove_group(struct stats *s, struct slice group);
/* "a b c": per second over the last 10 s, 60 s, 600 s (or since the start, when that is shorter), of counters sampled by stats_sample(). For 28. */
enum stat_rate { RATE_PUT, RATE_GET_FOUND, RATE_GET_MISS, RATE_GET_TOTAL, RATE_GET_TRANSFERRED, RATES };
void stats_count(struct stats *s, enum stat_rate r, int64_t n);
void stats_rate_text(const struct stats *s, enum stat_rate r, char *out, size_t n);
int64_t stats_total(const struct stats *s, enum stat_rate r);        /* since start */
int64_t stats_at_morning(const struct stats *s, enum stat_rate r, bool yesterday); /* the total at midnight, local time */
#endif
