/* pull_message.c - messages out of the store: 11 and 361.
 *
 *            +--> answer
 *   request -+--> nothing there, may wait: a copy is parked  --arrival or deadline--> runs again, answers whatever it finds
 *            `--> bytes are not in memory: a copy waits for a reader thread ---------> runs again, as if it had just come
 *
 * The order of the checks is Apache's (inventory g.1), and they are made anew at each run: a group may have been switched off
 * while its pull was parked.
 *   I1  a pull commits its offset at most once, on its first complete run, and only with its flag.   (test: unit/processor/pull)
 *   I2  what was parked once is never parked again: its answer after waking is final.               (test: unit/processor/pull)
 *   I3  a cold pull is run COLD_TRIES times without blocking, then once with: memory may be so short that what was read is gone
 *       again before its turn comes.
 * When memory is short (budget.h) an answer carries less, so that consumers go on emptying what is full; a pull that would wait is refused with
 * SYSTEM_BUSY: answered with "nothing found" its client would come back at once, again and again.  (test: unit/processor/memory)
 *   I4  pulls that wait take WAITING_MAX bytes in all; beyond that a pull is answered at once, as if its time were over.
 * An expression is compiled once: with its heartbeat (broker/filter), or when the first pull brings it along. A parked pull keeps a reference to it, and
 * an arrival wakes only those whose expression it satisfies; their run, like each run, asks for the filter anew.   (test: unit/processor/sql) */
#include <string.h>
#include "broker/filter/consumer_filters.h"
#include "broker/filter/expressions.h"
#include "broker/metadata/groups.h"
#include "broker/metadata/offsets.h"
#include "broker/metadata/topics.h"
#include "broker/processor/context.h"
#include "broker/processor/pull_message.h"
#include "broker/session/session.h"
#include "broker/stats/stats.h"
#include "broker/store/message_store.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/protocol/codes.h"
#include "common/protocol/json.h"
#include "common/protocol/queue_json.h"

enum {
    SUSPEND_MAX_MS = 110000, /* Go gives a connection up after 120 s without a byte */
    COLD_TRIES = 4,
    WAITING_MAX = 256 << 20,
    PULL_TEXT_MAX = 65536, /* bytes of a subscription's expression */
    TAGS_MAX = 4096,
    SHORT_BYTES = 16 << 10 /* of an answer while memory is short: a message at least */
};

struct wish { /* what a pull is to bring */
    bool all; /* whatever the tag */
    const int32_t *codes;
    uint32_t n;
    struct sql *sql; /* borrowed; a parked one's has a reference. NULL: whatever the properties */
    /* Messages of a retry topic, with filterSupportRetry: judged by what their group wants of the topic that they come from. NULL: not so. */
    const struct consumer_filters *origins;
    struct slice origin_group;
};
struct pull { /* a request's header; a parked one owns what the slices point to: the bytes behind the struct */
    struct ticket to;
    struct slice group, topic, subscription, expression_type;
    int64_t queue_off, commit_off, suspend_ms, sub_version;
    int32_t queue_id, max_msgs, sys_flag;
    bool may_park, may_commit, may_block;
    unsigned cold_tries;
    struct wish wish; /* of a parked one */
    struct broker_context *c; /* of one that outlives its request */
    size_t bytes;             /* the same: of all that it holds */
};
enum outcome { PULL_ANSWER, PULL_PARK, PULL_COLD };
struct run { /* one run of a pull: what the checks found out */
    struct broker_context *c;
    const struct pull *p;
    struct reply *out;
    struct arena *arena;
    int64_t now_ms;
    const struct group_config *group;
    struct wish wish;
    struct cold_range cold;
};

/* ---- tags ---- */
static bool tags_match(void *ctx, int64_t tags_code)
{
    const struct wish *f = ctx;
    for (uint32_t i = 0; i < f->n; i++)
        if (f->codes[i] == (int32_t)tags_code)
            return true;
    return f->all;
}

/* "a || b". False: no tag at all in it, as "||". Blank pieces count for nothing, and nothing matches then, as in Apache. */
static bool tags_parse(struct slice text, struct arena *arena, struct wish *out)
{
    *out = (struct wish){.all = text.n == 0 || slice_is(text, "*")};
    if (out->all)
        return true;
    int32_t *codes = arena_alloc(arena, TAGS_MAX < text.n / 2 + 1 ? TAGS_MAX * sizeof *codes : (text.n / 2 + 1) * sizeof *codes);
    bool any = false;
    size_t from = 0;
    if (codes == NULL)
        return false;
    for (size_t at = 0; at <= text.n; at++) {
        bool end = at == text.n, cut = !end && at + 1 < text.n && text.p[at] == '|' && text.p[at + 1] == '|';
        if (!end && !cut)
            continue;
        struct slice piece = slice_make(text.p + from, at - from), tag = slice_trim(piece);
        any = any || piece.n;
        if (tag.n && out->n < TAGS_MAX)
            codes[out->n++] = java_hash(tag);
        from = at + 2;
        at++;
    }
    out->codes = codes;
    return any;
}

/* ---- expressions ---- */
/* Apache's rule: an expression that throws, or is null, does not match; a retry topic's message of which no filter is known does. */
static bool properties_match(const struct wish *w, struct slice properties)
{
    const struct sql *sql = w->sql;
    struct slice topic;
    if (w->origins != NULL) {
        bool known = prop_get(properties, PROP_RETRY_TOPIC, &topic);
        const struct consumer_filter *f = known ? consumer_filters_find(w->origins, topic, w->origin_group) : NULL;
        sql = f ? f->program : NULL;
    }
    return sql == NULL || sql_evaluate(sql, properties) == SQL_TRUE;
}

static bool record_matches(void *ctx, const struct message *m) { return properties_match(ctx, m->properties); }

static struct slice origin_group(struct slice topic) { return slice_from(topic, sizeof RETRY_PREFIX - 1); }

static bool is_tag_type(struct slice type) { return type.n == 0 || slice_is(type, "TAG"); }

/* ---- the checks; false: out is the answer ---- */
static bool group_check(struct run *r)
{
    const struct pull *p = r->p;
    if (!(r->c->config->broker_permission & PERM_READ)) {
        reply_refuse(r->out, RES_NO_PERMISSION, "the broker[%s] pulling message is forbidden", r->c->config->broker_ip1);
        return false;
    }
    if (context_no_room_for_group(r->c, p->group, r->out))
        return false;
    r->group = groups_find_or_create(r->c->groups, p->group, r->now_ms);
    if (r->group == NULL) {
        reply_refuse(r->out, RES_SUBSCRIPTION_GROUP_NOT_EXIST, "subscription group [%.*s] does not exist", SLICE_ARG(slice_head(p->group, 255)));
        return false;
    }
    if (!r->group->consume_enable) {
        reply_refuse(r->out, RES_NO_PERMISSION, "subscription group no permission, %s", r->group->name);
        return false;
    }
    return true;
}

static bool topic_check(struct run *r)
{
    const struct pull *p = r->p;
    const struct topic_config *t = topics_find(r->c->topics, p->topic);
    if (t == NULL) {
        reply_refuse(r->out, RES_TOPIC_NOT_EXIST, "topic[%.*s] not exist, apply first please!", SLICE_ARG(slice_head(p->topic, 255)));
        return false;
    }
    if (!(t->perm & PERM_READ)) {
        reply_refuse(r->out, RES_NO_PERMISSION, "the topic[%s] pulling message is forbidden", t->name);
        return false;
    }
    if (p->queue_id < 0 || p->queue_id >= t->read_queues) {
        reply_refuse(r->out, RES_SYSTEM_ERROR, "queueId[%d] is illegal, topic:[%s] topicConfig.readQueueNums:[%d]", p->queue_id, t->name, t->read_queues);
        return false;
    }
    return true;
}

static bool may_filter(struct run *r, struct slice type)
{
    if (r->c->config->enable_property_filter)
        return true;
    reply_refuse(r->out, RES_SYSTEM_ERROR, "The broker does not support consumer to filter message by %.*s", SLICE_ARG(slice_head(type, 64)));
    return false;
}

/* Apache lets everything through when such an expression does not compile; nobody can want that. */
static bool own_expression(struct run *r)
{
    const struct pull *p = r->p;
    struct fault why = {0};
    if (p->subscription.n == 0)
        fault_set(&why, MQ_EMALFORMED, 0, "there is no expression");
    else if (!may_filter(r, p->expression_type))
        return false;
    else if (!slice_is(p->expression_type, "SQL92"))
        fault_set(&why, MQ_EINVAL, 0, "expressionType is neither TAG nor SQL92");
    else
        r->wish.sql = expressions_get(r->c->expressions, p->subscription, &why);
    r->wish.all = true;
    if (r->wish.sql == NULL)
        reply_refuse(r->out, RES_SUBSCRIPTION_PARSE_FAILED, "parse the consumer's subscription failed: %s", why.what);
    return r->wish.sql != NULL;
}

static bool own_subscription(struct run *r)
{
    const struct pull *p = r->p;
    if (!is_tag_type(p->expression_type))
        return own_expression(r);
    if (p->sys_flag & PULL_CLASS_FILTER) {
        r->wish.all = true;
        return true;
    }
    if (tags_parse(p->subscription, r->arena, &r->wish))
        return true;
    reply_refuse(r->out, RES_SUBSCRIPTION_PARSE_FAILED, "parse the consumer's subscription failed");
    return false;
}

static bool session_expression(struct run *r, const struct subscription *s)
{
    const struct pull *p = r->p;
    const struct consumer_filter *f = consumer_filters_find(r->c->filters, p->topic, p->group);
    if (f == NULL) {
        reply_refuse(r->out, RES_FILTER_DATA_NOT_EXIST, "The broker's consumer filter data is not exist!Your expression may be wrong!");
        return false;
    }
    if (f->client_version < p->sub_version) {
        reply_refuse(r->out, RES_FILTER_DATA_NOT_LATEST, "the consumer's consumer filter data not latest");
        return false;
    }
    r->wish = (struct wish){.all = true, .sql = f->program};
    return may_filter(r, slice_str(s->expression_type));
}

static bool session_subscription(struct run *r)
{
    const struct pull *p = r->p;
    const struct consumer_group *g = sessions_consumers(r->c->sessions, p->group);
    if (g == NULL) {
        reply_refuse(r->out, RES_SUBSCRIPTION_NOT_EXIST, "the consumer's group info not exist");
        return false;
    }
    if (!r->group->consume_broadcast_enable && g->model == MODEL_BROADCASTING) {
        reply_refuse(r->out, RES_NO_PERMISSION, "the consumer group[%s] can not consume by broadcast way", g->name);
        return false;
    }
    struct hash_node *n = hashmap_get(&g->subscriptions, p->topic);
    const struct subscription *s = n ? CONTAINER_OF(n, struct subscription, node) : NULL;
    if (s == NULL) {
        reply_refuse(r->out, RES_SUBSCRIPTION_NOT_EXIST, "the consumer's subscription not exist");
        return false;
    }
    if (s->version < p->sub_version) {
        reply_refuse(r->out, RES_SUBSCRIPTION_NOT_LATEST, "the consumer's subscription not latest");
        return false;
    }
    if (!s->is_tag)
        return session_expression(r, s);
    r->wish = (struct wish){.all = s->n_codes == 0 || s->class_filter, .codes = s->codes, .n = s->n_codes};
    return true;
}

static bool subscription_check(struct run *r)
{
    if (!(r->p->sys_flag & PULL_SUBSCRIPTION ? own_subscription : session_subscription)(r))
        return false;
    if (r->c->config->filter_support_retry && slice_starts(r->p->topic, RETRY_PREFIX)) {
        r->wish.origins = r->c->filters;
        r->wish.origin_group = origin_group(r->p->topic);
    }
    return true;
}

/* ---- reading ---- */
/* Apache takes a share of the memory for the page cache: what lies further behind the log's end counts as "on disk" and is served
 * in smaller portions. The place of the message need not be known while the whole log is smaller than that share. */
static bool far_behind(struct run *r, int64_t phys_off)
{
    uint64_t share = r->c->memory_bytes / 100 * (uint64_t)r->c->config->in_memory_percent;
    return phys_off >= 0 && r->c->log_end > (uint64_t)phys_off && r->c->log_end - (uint64_t)phys_off > share;
}

static void read_store(struct run *r, struct get_result *got)
{
    const struct broker_config *cfg = r->c->config;
    const struct pull *p = r->p;
    bool far = far_behind(r, 0) && far_behind(r, message_store_phys_of(r->c->store, p->topic, p->queue_id, p->queue_off));
    int32_t count = far ? cfg->max_count_on_disk : cfg->max_count_in_memory;
    struct get_request g = {.topic = p->topic, .queue_id = p->queue_id, .queue_off = p->queue_off, .may_block = p->may_block,
                            .max_bytes = (uint32_t)(far ? cfg->max_bytes_on_disk : cfg->max_bytes_in_memory),
                            .max_msgs = (uint32_t)(p->max_msgs < 1 ? 1 : p->max_msgs < count ? p->max_msgs : count),
                            .match_tags = r->wish.all ? NULL : tags_match,
                            .match_record = r->wish.sql || r->wish.origins ? record_matches : NULL, .match_ctx = &r->wish};
    if (budget_level(r->c->budget) >= BUDGET_NO_WORK && g.max_bytes > SHORT_BYTES)
        g.max_bytes = SHORT_BYTES;
    message_store_get(r->c->store, &g, &r->out->body, got);
}

/* Apache tells whoever monitors that a consumer asked for what is not there: a message to OFFSET_MOVED_EVENT. */
static void offset_moved_event(struct run *r, int64_t new_off)
{
    struct broker_context *c = r->c;
    const struct pull *p = r->p;
    struct buf body = {0}, props = {0};
    struct jw w = jw_over(&body, false);
    jw_object(&w);
    jw_kv_str(&w, "consumerGroup", p->group);
    jw_key(&w, "messageQueue");
    queue_json(&w, slice_str(c->config->broker_name), p->topic, p->queue_id);
    jw_kv_i64(&w, "offsetNew", new_off);
    jw_kv_i64(&w, "offsetRequest", p->queue_off);
    jw_end_object(&w);
    prop_add(&props, PROP_KEYS, p->group);
    prop_add(&props, PROP_TAGS, p->group);
    struct message m = {.topic = SLICE_LIT("OFFSET_MOVED_EVENT"), .born_ms = r->now_ms, .born = c->store_host, .store = c->store_host,
                        .body = buf_view(&body), .properties = buf_view(&props)};
    struct put_result put;
    if (body.failed || props.failed || message_store_put(c->store, &m, 1, r->now_ms, &put) != PUT_OK)
        log_debug("pull", "offset moved event not stored group=%.*s", SLICE_ARG(p->group));
    buf_free(&body);
    buf_free(&props);
}

static int32_t code_of(enum get_status status, const struct pull *p)
{
    switch (status) {
    case GET_FOUND: return RES_SUCCESS;
    case GET_NO_MATCHED_MESSAGE:
    case GET_MESSAGE_WAS_REMOVING: return RES_PULL_RETRY_IMMEDIATELY;
    case GET_NO_MATCHED_LOGIC_QUEUE:
    case GET_NO_MESSAGE_IN_QUEUE: return p->queue_off != 0 ? RES_PULL_OFFSET_MOVED : RES_PULL_NOT_FOUND;
    case GET_OFFSET_FOUND_NULL:
    case GET_OFFSET_OVERFLOW_ONE: return RES_PULL_NOT_FOUND;
    case GET_OFFSET_OVERFLOW_BADLY:
    case GET_OFFSET_TOO_SMALL: return RES_PULL_OFFSET_MOVED;
    case GET_COLD:
    case GET_FAILED: break;
    }
    return RES_SYSTEM_ERROR;
}

static int64_t suggest_broker(struct run *r, const struct get_result *got)
{
    if (!r->c->config->slave_read)
        return 0;
    return far_behind(r, got->last_phys_off) ? r->group->which_broker_when_slow : r->group->broker_id;
}

static void count_found(struct run *r, const struct get_result *got)
{
    struct stats *s = r->c->stats;
    stats_add(s, STAT_GROUP_GET_NUMS, r->p->topic, r->p->group, got->n_msgs, 1);
    stats_add(s, STAT_GROUP_GET_SIZE, r->p->topic, r->p->group, (int64_t)r->out->body.n, 1);
    stats_add(s, STAT_BROKER_GET_NUMS, (struct slice){0}, (struct slice){0}, got->n_msgs, 1);
    stats_count(s, RATE_GET_TRANSFERRED, got->n_msgs);
}

/* A group that reads what the disk must fetch slows everybody down; whoever runs the broker may have said that it shall stop then. */
static void stop_if_slow(struct run *r, const struct get_result *got)
{
    const struct broker_config *cfg = r->c->config;
    uint64_t at = got->last_phys_off < 0 ? r->c->log_end : (uint64_t)got->last_phys_off;
    struct fault why = {0};
    char words[300];
    if (!cfg->disable_slow_consumers || r->c->log_end <= at || r->c->log_end - at <= (uint64_t)cfg->consumer_fall_behind_threshold)
        return;
    struct group_config stopped = *r->group;
    stopped.consume_enable = false;
    log_warn("pull", "group is too far behind and may no longer consume group=%.*s topic=%.*s queue=%d behind=%llu allowed=%lld", SLICE_ARG(r->p->group),
             SLICE_ARG(r->p->topic), r->p->queue_id, (unsigned long long)(r->c->log_end - at), (long long)cfg->consumer_fall_behind_threshold);
    if (groups_put(r->c->groups, &stopped, r->p->group, r->now_ms, &why) == NULL)
        log_error("pull", "the group goes on consuming group=%.*s why=%s", SLICE_ARG(r->p->group), fault_text(&why, words, sizeof words));
}

static void fill_answer(struct run *r, const struct get_result *got)
{
    struct reply *out = r->out;
    out->code = code_of(got->status, r->p);
    buf_str(&out->remark, get_status_name(got->status));
    reply_int(out, "suggestWhichBrokerId", suggest_broker(r, got));
    reply_int(out, "nextBeginOffset", got->next_off);
    reply_int(out, "minOffset", got->min_off);
    reply_int(out, "maxOffset", got->max_off);
    stats_count(r->c->stats, RATE_GET_TOTAL, 1);
    stats_count(r->c->stats, got->status == GET_FOUND ? RATE_GET_FOUND : RATE_GET_MISS, 1);
    if (got->status == GET_FOUND) {
        count_found(r, got);
        stop_if_slow(r, got);
    } else if (out->code == RES_PULL_OFFSET_MOVED) {
        log_info("pull", "offset moved group=%.*s topic=%.*s queue=%d asked=%lld now=%lld why=%s", SLICE_ARG(r->p->group), SLICE_ARG(r->p->topic),
                 r->p->queue_id, (long long)r->p->queue_off, (long long)got->next_off, get_status_name(got->status));
        offset_moved_event(r, got->next_off);
    }
}

static enum outcome pull_run(struct run *r)
{
    const struct pull *p = r->p;
    struct get_result got;
    if (!group_check(r) || !topic_check(r) || !subscription_check(r))
        return PULL_ANSWER;
    read_store(r, &got);
    if (got.status == GET_COLD) {
        r->cold = got.cold;
        return PULL_COLD;
    }
    if (got.status == GET_FAILED) {
        reply_refuse(r->out, RES_SYSTEM_ERROR, "the store could not be read");
        return PULL_ANSWER;
    }
    if (p->may_commit && (p->sys_flag & PULL_COMMIT_OFFSET))
        offsets_commit(r->c->offsets, p->group, p->topic, p->queue_id, p->commit_off);
    if (code_of(got.status, p) == RES_PULL_NOT_FOUND && p->may_park && (p->sys_flag & PULL_SUSPEND) && p->suspend_ms > 0 && !r->c->stopping)
        return context_short_of_memory(r->c, BUDGET_NO_WORK, "a pull that would wait is", r->out) ? PULL_ANSWER : PULL_PARK;
    fill_answer(r, &got);
    return PULL_ANSWER;
}

/* ---- pulls that outlive their request ---- */
static struct slice keep(uint8_t **at, struct slice s)
{
    uint8_t *to = *at;
    if (s.n)
        memcpy(to, s.p, s.n);
    *at += s.n;
    return slice_make(s.p ? to : NULL, s.n);
}

/* A copy with everything it points to, or NULL: no memory, or too many wait. */
static struct pull *pull_keep(struct broker_context *c, const struct pull *p, const struct wish *wish)
{
    size_t codes = wish->n * sizeof *wish->codes;
    size_t bytes = sizeof *p + codes + p->group.n + p->topic.n + p->subscription.n + p->expression_type.n;
    struct pull *k = c->waiting_bytes < WAITING_MAX ? mem_alloc(bytes) : NULL;
    if (k == NULL)
        return NULL;
    uint8_t *at = (uint8_t *)(k + 1);
    *k = *p;
    k->c = c;
    k->bytes = bytes + (wish->sql ? sql_bytes(wish->sql) : 0); /* it may be the last one that has it */
    c->waiting_bytes += k->bytes;
    k->wish = *wish;
    k->wish.codes = (const int32_t *)(const void *)keep(&at, slice_make(wish->codes, codes)).p;
    k->wish.sql = wish->sql ? sql_ref(wish->sql) : NULL;
    k->group = keep(&at, p->group);
    k->topic = keep(&at, p->topic);
    if (wish->origins)
        k->wish.origin_group = origin_group(k->topic);
    k->subscription = keep(&at, p->subscription);
    k->expression_type = keep(&at, p->expression_type);
    return k;
}

static void pull_drop(struct pull *k)
{
    k->c->waiting_bytes -= k->bytes;
    sql_unref(k->wish.sql);
    mem_free(k);
}

static bool park(struct run *r)
{
    struct pull *k = pull_keep(r->c, r->p, &r->wish);
    if (k == NULL)
        return false;
    int64_t hold = r->c->config->long_polling ? k->suspend_ms : r->c->config->short_polling_ms;
    hold = hold < SUSPEND_MAX_MS ? hold : SUSPEND_MAX_MS;
    k->may_park = k->may_commit = false;
    if (longpoll_park(r->c->longpoll, k->topic, k->queue_id, k->queue_off, k->to.conn_id, r->c->mono_ms(r->c->broker) + hold, k) == MQ_OK)
        return true;
    pull_drop(k);
    return false;
}

static void run_again(struct broker_context *c, struct pull *k);

static void on_warm(void *arg)
{
    struct pull *k = arg;
    run_again(k->c, k);
}

static bool wait_warm(struct run *r)
{
    struct pull *k = pull_keep(r->c, r->p, &r->wish);
    if (k == NULL)
        return false;
    k->may_block = ++k->cold_tries >= COLD_TRIES;
    if (message_store_warm(r->c->store, &r->cold, on_warm, k))
        return true;
    pull_drop(k);
    return false;
}

/* Runs a pull; true: out is the answer. What cannot wait is answered as if its time were over, or reads on this thread. */
static bool pull_answers(struct run *r)
{
    enum outcome o = pull_run(r);
    if (o == PULL_ANSWER)
        return true;
    if (o == PULL_PARK ? park(r) : wait_warm(r))
        return false;
    const struct pull *asked = r->p;
    struct pull now = *asked;
    now.may_park = false;
    now.may_block = true;
    now.may_commit = now.may_commit && o == PULL_COLD; /* a pull that was to park has committed */
    r->p = &now;
    if (pull_run(r) != PULL_ANSWER)
        reply_refuse(r->out, RES_SYSTEM_ERROR, "the store could not be read");
    r->p = asked;
    return true;
}

/* Taken: k is freed, or copied anew when it has to wait once more. */
static void run_again(struct broker_context *c, struct pull *k)
{
    struct arena arena = {0};
    struct run r = {.c = c, .p = k, .out = &c->scratch, .arena = &arena, .now_ms = c->now_ms(c->broker)};
    reply_clear(r.out);
    if (pull_answers(&r))
        c->outbox->finish(c->outbox->ctx, &k->to, r.out);
    arena_fini(&arena);
    pull_drop(k);
}

bool pull_message_match(void *ctx, void *pull, int64_t tags_code, struct slice properties)
{
    struct pull *k = pull;
    (void)ctx;
    return (k->wish.all || tags_match(&k->wish, tags_code)) && (properties.p == NULL || properties_match(&k->wish, properties));
}

void pull_message_wake(void *ctx, void *pull, enum longpoll_why why)
{
    (void)why;
    run_again(ctx, pull);
}

void pull_message_drop(void *ctx, void *pull)
{
    (void)ctx;
    pull_drop(pull);
}

/* ---- the request ---- */
static enum handled on_pull(void *ctx, const struct request *rq, struct reply *out)
{
    struct fields f = fields_of(rq->cmd);
    struct pull p = {.to = rq->ticket, .may_park = true, .may_commit = true};
    p.group = field_str(&f, "consumerGroup");
    p.topic = field_str(&f, "topic");
    p.queue_id = field_i32(&f, "queueId");
    p.queue_off = field_i64(&f, "queueOffset");
    p.max_msgs = field_i32(&f, "maxMsgNums");
    p.sys_flag = field_i32_or(&f, "sysFlag", 0);
    p.commit_off = field_i64_or(&f, "commitOffset", 0);
    p.suspend_ms = field_i64_or(&f, "suspendTimeoutMillis", 0);
    p.subscription = field_str_or_none(&f, "subscription");
    p.sub_version = field_i64_or(&f, "subVersion", 0);
    p.expression_type = field_str_or_none(&f, "expressionType");
    if (f.bad[0])
        return (enum handled)reply_refuse(out, RES_SYSTEM_ERROR, "%s", f.bad);
    if (p.subscription.n > PULL_TEXT_MAX || p.expression_type.n > PULL_TEXT_MAX)
        return (enum handled)reply_refuse(out, RES_SUBSCRIPTION_PARSE_FAILED, "the subscription is longer than %d bytes", PULL_TEXT_MAX);
    struct run r = {.c = ctx, .p = &p, .out = out, .arena = rq->arena, .now_ms = rq->now_ms};
    return pull_answers(&r) ? HANDLED_NOW : HANDLED_LATER;
}

void pull_message_routes(struct route_sink *sink, struct broker_context *ctx)
{
    routes_add(sink, REQ_PULL_MESSAGE, on_pull, ctx);
    routes_add(sink, REQ_LITE_PULL_MESSAGE, on_pull, ctx);
}
