/* stats.c - counters and their samples.
 *
 * An item's figures of the last minute, hour and day are the difference between its newest and its oldest sample, as with Apache:
 * before its first sample an item shows zeros, and its first sample starts from zero one period earlier.
 *   I1  sampling costs the items that exist, never the requests; counting costs one look-up.     (test: unit/stats)
 *   I2  rates over 10, 60 and 600 s are numbers from the first moment: mqadmin gives up at an empty text.  (test: the same) */
#include "broker/stats/stats.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/base/hashmap.h"
#include "common/base/mem.h"
#include "common/protocol/json.h"

enum { MINUTE_POINTS = 7, HOUR_POINTS = 7, DAY_POINTS = 25, RATE_POINTS = 61 };
enum { SAMPLE_MS = 10000, SAMPLES_PER_HOUR_POINT = 60, SAMPLES_PER_DAY_POINT = 360 };

static const char *const names[STAT_NAMES] = {"TOPIC_PUT_NUMS", "TOPIC_PUT_SIZE", "GROUP_GET_NUMS", "GROUP_GET_SIZE", "SNDBCK_PUT_NUMS",
                                              "BROKER_PUT_NUMS", "BROKER_GET_NUMS", "GROUP_GET_LATENCY"};

struct point {
    int64_t at_ms, value, times;
};
struct history { /* of the hour and the day; made when an item lives that long */
    struct point hour[HOUR_POINTS], day[DAY_POINTS];
    uint32_t n_hour, n_day;
};
struct item {
    struct hash_node node; /* key = name's number, then topic, topic@group or cluster */
    int64_t value, times;
    struct history *history;
    uint32_t n_minute;
    uint32_t topic_n; /* bytes of the topic in text */
    struct point minute[MINUTE_POINTS];
    uint8_t name;
    char text[];
};
struct rate_point {
    int64_t at_ms, total[RATES];
};
struct stats {
    struct hashmap items;
    char *cluster;
    struct item *broker[STAT_NAMES]; /* BROKER_*: found without looking */
    struct item *last[STAT_NAMES];   /* the one counted last: requests of one topic come in a row */
    uint64_t samples;
    int64_t total[RATES];
    struct rate_point rates[RATE_POINTS]; /* the oldest first */
    uint32_t n_rates;
    int morning;
    int64_t today[RATES], yesterday[RATES];
};

static struct item *item_of(struct hash_node *n) { return n ? CONTAINER_OF(n, struct item, node) : NULL; }

/* ---- items ---- */
struct key {
    char text[STATS_KEY_MAX];
};
static struct slice key_of(const struct stats *s, struct key *k, enum stat_name name, struct slice topic, struct slice group)
{
    if (name == STAT_BROKER_PUT_NUMS || name == STAT_BROKER_GET_NUMS)
        topic = slice_str(s->cluster);
    if (topic.n + group.n + 2 > sizeof k->text)
        return (struct slice){0};
    size_t n = 0;
    k->text[n++] = (char)('A' + (int)name);
    if (topic.n)
        memcpy(k->text + n, topic.p, topic.n);
    n += topic.n;
    if (group.n) {
        k->text[n++] = '@';
        memcpy(k->text + n, group.p, group.n);
        n += group.n;
    }
    return slice_make(k->text, n);
}

static struct item *item_make(struct stats *s, enum stat_name name, struct slice key, size_t topic_n)
{
    struct item *it = mem_zalloc(sizeof *it + key.n + 1);
    if (it == NULL)
        return NULL;
    memcpy(it->text, key.p, key.n);
    it->name = (uint8_t)name;
    it->topic_n = (uint32_t)topic_n;
    if (!hashmap_add(&s->items, &it->node, slice_make(it->text, key.n))) {
        mem_free(it);
        return NULL;
    }
    return it;
}

static void item_free(struct item *it)
{
    mem_free(it->history);
    mem_free(it);
}

static bool is_of(const struct item *it, struct slice topic, struct slice group)
{
    size_t n = 1 + topic.n;
    if (it->topic_n != topic.n || it->node.key.n != n + (group.n ? 1 + group.n : 0) || memcmp(it->text + 1, topic.p, topic.n) != 0)
        return false;
    return group.n == 0 || memcmp(it->text + n + 1, group.p, group.n) == 0;
}

void stats_add(struct stats *s, enum stat_name name, struct slice topic, struct slice group, int64_t value, int64_t times)
{
    struct key k;
    struct item *it = s->broker[name];
    if (it == NULL && s->last[name] != NULL && is_of(s->last[name], topic, group))
        it = s->last[name];
    if (it == NULL) {
        struct slice key = key_of(s, &k, name, topic, group);
        if (key.n == 0)
            return;
        it = item_of(hashmap_get(&s->items, key));
        if (it == NULL && (it = item_make(s, name, key, topic.n)) == NULL)
            return;
        if (name == STAT_BROKER_PUT_NUMS || name == STAT_BROKER_GET_NUMS)
            s->broker[name] = it;
        else
            s->last[name] = it;
    }
    it->value += value;
    it->times += times;
}

void stats_put(struct stats *s, struct slice topic, int64_t n, int64_t bytes)
{
    stats_add(s, STAT_TOPIC_PUT_NUMS, topic, (struct slice){0}, n, 1);
    stats_add(s, STAT_TOPIC_PUT_SIZE, topic, (struct slice){0}, bytes, 1);
    stats_add(s, STAT_BROKER_PUT_NUMS, (struct slice){0}, (struct slice){0}, n, 1);
    stats_count(s, RATE_PUT, n);
}

static bool group_is(const struct item *it, struct slice group)
{
    struct slice rest = slice_from(it->node.key, 1 + (size_t)it->topic_n);
    return rest.n == group.n + 1 && slice_eq(slice_from(rest, 1), group);
}

static void remove_where(struct stats *s, bool by_group, struct slice name)
{
    struct hash_node *next;
    for (struct hash_node *n = hashmap_first(&s->items); n; n = next) {
        struct item *it = item_of(n);
        next = hashmap_next(&s->items, n);
        if (s->broker[it->name] == it || !(by_group ? group_is(it, name) : slice_eq(slice_make(it->text + 1, it->topic_n), name)))
            continue;
        hashmap_remove(&s->items, n);
        if (s->last[it->name] == it)
            s->last[it->name] = NULL;
        item_free(it);
    }
}

void stats_remove_topic(struct stats *s, struct slice topic) { remove_where(s, false, topic); }
void stats_remove_group(struct stats *s, struct slice group) { remove_where(s, true, group); }

/* ---- samples ---- */
static uint32_t add_point(struct point *p, uint32_t n, uint32_t max, const struct item *it, int64_t mono_ms, int64_t period_ms)
{
    if (n == 0)
        p[n++] = (struct point){.at_ms = mono_ms - period_ms};
    if (n == max)
        memmove(p, p + 1, --n * sizeof *p);
    p[n++] = (struct point){mono_ms, it->value, it->times};
    return n;
}

static void sample_item(struct item *it, int64_t mono_ms, bool hour, bool day)
{
    it->n_minute = add_point(it->minute, it->n_minute, MINUTE_POINTS, it, mono_ms, SAMPLE_MS);
    if (!hour && !day)
        return;
    if (it->history == NULL && (it->history = mem_zalloc(sizeof *it->history)) == NULL)
        return;
    if (hour)
        it->history->n_hour = add_point(it->history->hour, it->history->n_hour, HOUR_POINTS, it, mono_ms, SAMPLE_MS * SAMPLES_PER_HOUR_POINT);
    if (day)
        it->history->n_day = add_point(it->history->day, it->history->n_day, DAY_POINTS, it, mono_ms, SAMPLE_MS * SAMPLES_PER_DAY_POINT);
}

static int day_of(int64_t wall_ms)
{
    time_t t = (time_t)(wall_ms / 1000);
    struct tm tm;
    return localtime_r(&t, &tm) ? tm.tm_year * 366 + tm.tm_yday : 0;
}

static void add_rates(struct stats *s, int64_t mono_ms)
{
    if (s->n_rates == RATE_POINTS)
        memmove(s->rates, s->rates + 1, --s->n_rates * sizeof *s->rates);
    struct rate_point *p = &s->rates[s->n_rates++];
    p->at_ms = mono_ms;
    memcpy(p->total, s->total, sizeof p->total);
}

void stats_sample(struct stats *s, int64_t wall_ms, int64_t mono_ms)
{
    s->samples++;
    bool hour = s->samples % SAMPLES_PER_HOUR_POINT == 0, day = s->samples % SAMPLES_PER_DAY_POINT == 0;
    for (struct hash_node *n = hashmap_first(&s->items); n; n = hashmap_next(&s->items, n))
        sample_item(item_of(n), mono_ms, hour, day);
    add_rates(s, mono_ms);
    int morning = day_of(wall_ms);
    if (morning != s->morning) {
        s->morning = morning;
        memcpy(s->yesterday, s->today, sizeof s->yesterday);
        memcpy(s->today, s->total, sizeof s->today);
    }
}

static double per_second(int64_t n, int64_t ms) { return ms > 0 ? (double)n * 1000.0 / (double)ms : 0; }

static void write_points(struct jw *w, const char *key, const struct point *p, uint32_t n)
{
    int64_t sum = n ? p[n - 1].value - p[0].value : 0, times = n ? p[n - 1].times - p[0].times : 0;
    jw_key(w, key);
    jw_object(w);
    jw_key(w, "avgpt");
    jw_double(w, times > 0 ? (double)sum / (double)times : 0);
    jw_kv_i64(w, "sum", sum);
    jw_key(w, "tps");
    jw_double(w, n ? per_second(sum, p[n - 1].at_ms - p[0].at_ms) : 0);
    jw_end_object(w);
}

static const struct item *find(const struct stats *s, enum stat_name name, struct slice key)
{
    struct key k;
    if (key.n + 1 > sizeof k.text || key.n == 0)
        return NULL;
    k.text[0] = (char)('A' + (int)name);
    memcpy(k.text + 1, key.p, key.n);
    return item_of(hashmap_get(&s->items, slice_make(k.text, key.n + 1)));
}

bool stats_encode(const struct stats *s, struct slice name, struct slice key, struct buf *out)
{
    int i = 0;
    while (i < STAT_NAMES && !slice_is(name, names[i]))
        i++;
    const struct item *it = i < STAT_NAMES ? find(s, (enum stat_name)i, key) : NULL;
    if (it == NULL)
        return false;
    static const struct history none;
    const struct history *h = it->history ? it->history : &none;
    struct jw w = jw_over(out, false);
    jw_object(&w);
    write_points(&w, "statsDay", h->day, h->n_day);
    write_points(&w, "statsHour", h->hour, h->n_hour);
    write_points(&w, "statsMinute", it->minute, it->n_minute);
    jw_end_object(&w);
    return true;
}

double stats_tps_of_minute(const struct stats *s, enum stat_name name, struct slice topic, struct slice group)
{
    struct key k;
    struct slice key = key_of(s, &k, name, topic, group);
    const struct item *it = key.n ? item_of(hashmap_get(&s->items, key)) : NULL;
    if (it == NULL || it->n_minute == 0)
        return 0;
    const struct point *first = &it->minute[0], *last = &it->minute[it->n_minute - 1];
    return per_second(last->value - first->value, last->at_ms - first->at_ms);
}

/* ---- rates ---- */
void stats_count(struct stats *s, enum stat_rate r, int64_t n) { s->total[r] += n; }
int64_t stats_total(const struct stats *s, enum stat_rate r) { return s->total[r]; }
int64_t stats_at_morning(const struct stats *s, enum stat_rate r, bool yesterday) { return yesterday ? s->yesterday[r] : s->today[r]; }

static double rate(const struct stats *s, enum stat_rate r, uint32_t back)
{
    const struct rate_point *last = &s->rates[s->n_rates - 1];
    const struct rate_point *first = &s->rates[s->n_rates > back ? s->n_rates - 1 - back : 0];
    return per_second(last->total[r] - first->total[r], last->at_ms - first->at_ms);
}

void stats_rate_text(const struct stats *s, enum stat_rate r, char *out, size_t n)
{
    struct buf text = {0};
    static const uint32_t back[] = {1, 6, 60};
    for (int i = 0; i < 3; i++) {
        struct jw w = jw_over(&text, false);
        jw_double(&w, rate(s, r, back[i]));
        if (i < 2)
            buf_u8(&text, ' ');
    }
    slice_copy(text.failed ? SLICE_LIT("0.0 0.0 0.0") : buf_view(&text), out, n);
    buf_free(&text);
}

/* ---- life ---- */
enum mq_err stats_new(const char *cluster_name, int64_t wall_ms, int64_t mono_ms, struct stats **out)
{
    struct stats *s = mem_zalloc(sizeof *s);
    char *cluster = mem_strdup(cluster_name);
    if (s == NULL || cluster == NULL) {
        mem_free(s);
        mem_free(cluster);
        return MQ_ENOMEM;
    }
    s->cluster = cluster;
    s->morning = day_of(wall_ms);
    add_rates(s, mono_ms);
    *out = s;
    return MQ_OK;
}

void stats_free(struct stats *s)
{
    if (s == NULL)
        return;
    struct hash_node *next;
    for (struct hash_node *n = hashmap_first(&s->items); n; n = next) {
        next = hashmap_next(&s->items, n);
        item_free(item_of(n));
    }
    hashmap_fini(&s->items);
    mem_free(s->cluster);
    mem_free(s);
}
