/* tail.c - cmq tail: messages as they arrive.
 *
 * Without --group the queues are assigned by hand and the positions asked for beforehand, so that "last" means what it says: a new group
 * on a busy queue starts at 0 as long as Apache's broker has the messages in memory. The group is Apache's own for tools, and offsets
 * stay in this process (BROADCASTING without a folder). Queues that come later are read from their beginning.
 * With --group we are an ordinary member: rebalance, offsets on the brokers; a message counts as consumed once its line is written. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "client/admin/out.h"
#include "client/admin/talk.h"
#include "common/base/clock.h"
#include "common/filter/sql.h"
#include "common/protocol/message.h"

enum { QUEUES_MAX = 65536, LOOK_MS = 3000 };

struct place {
    char broker[128];
    int32_t queue_id;
    int64_t off; /* the next to read; -1: not known yet */
};
struct tail {
    const struct call *c;
    struct cmq_admin *admin;
    struct cmq_consumer *consumer;
    struct place *places;
    size_t n_places, cap;
    bool grew;
    int64_t from_ms; /* a time, FROM_LAST, FROM_FIRST */
    struct out out;
    uint64_t shown;
    struct sql *sql; /* of --sql without --group; else NULL */
    struct buf properties;
};

static volatile sig_atomic_t stop;
static void on_signal(int sig)
{
    (void)sig;
    stop = 1;
}

/* ---- where to begin ---- */

static struct place *place_of(struct tail *t, const char *broker, int32_t queue_id)
{
    for (size_t i = 0; i < t->n_places; i++)
        if (t->places[i].queue_id == queue_id && strcmp(t->places[i].broker, broker) == 0)
            return &t->places[i];
    if (t->n_places == QUEUES_MAX)
        return NULL;
    if (t->n_places == t->cap) {
        size_t cap = t->cap ? t->cap * 2 : 64;
        struct place *more = realloc(t->places, cap * sizeof *more);
        if (more == NULL)
            return NULL;
        t->places = more;
        t->cap = cap;
    }
    struct place *p = &t->places[t->n_places++];
    snprintf(p->broker, sizeof p->broker, "%s", broker);
    p->queue_id = queue_id;
    p->off = -1;
    t->grew = true;
    return p;
}

static void at_status(void *arg, const struct cmq_queue_status *s)
{
    struct tail *t = arg;
    struct place *p = place_of(t, s->queue.broker_name, s->queue.queue_id);
    if (p)
        p->off = t->from_ms == FROM_LAST ? s->max_offset : s->min_offset;
}

static void at_route(void *arg, const struct cmq_route *r)
{
    for (int32_t i = 0; i < r->read_queues && (r->perm & CMQ_PERM_READ); i++)
        place_of(arg, r->broker_name, i);
}

static void at_assignment(void *arg, const struct cmq_queue *q, int64_t queue_off)
{
    struct place *p = place_of(arg, q->broker_name, q->queue_id);
    if (p && queue_off >= 0)
        p->off = queue_off;
}

static enum cmq_code seek_all(struct tail *t, struct cmq_error *err)
{
    enum cmq_code code = CMQ_OK;
    struct cmq_queue *queues = calloc(t->n_places + 1, sizeof *queues);
    if (queues == NULL) {
        snprintf(err->words, sizeof err->words, "out of memory");
        return err->code = CMQ_ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < t->n_places; i++)
        queues[i] = (struct cmq_queue){t->c->arg[0], t->places[i].broker, t->places[i].queue_id};
    code = cmq_consumer_assign(t->consumer, queues, t->n_places, err);
    for (size_t i = 0; i < t->n_places && code == CMQ_OK; i++)
        code = cmq_consumer_seek(t->consumer, &queues[i], t->places[i].off < 0 ? 0 : t->places[i].off, err);
    free(queues);
    t->grew = false;
    return code;
}

/* All queues of the topic, each where we were told to begin. */
static enum cmq_code begin_by_hand(struct tail *t, struct cmq_error *err)
{
    enum cmq_code code = cmq_admin_topic_route(t->admin, t->c->arg[0], at_route, t, err);
    if (code != CMQ_OK)
        return code;
    code = cmq_admin_topic_status(t->admin, t->c->arg[0], at_status, t, err);
    for (size_t i = 0; i < t->n_places && code == CMQ_OK && t->from_ms >= 0; i++) {
        struct cmq_queue q = {t->c->arg[0], t->places[i].broker, t->places[i].queue_id};
        code = cmq_admin_offset_by_time(t->admin, &q, t->from_ms, &t->places[i].off, err);
    }
    return code == CMQ_OK ? seek_all(t, err) : code;
}

/* Queues that were not there when we began are read from their first message. */
static void look_for_more(struct tail *t)
{
    struct cmq_error err = {0};
    if (cmq_admin_topic_route(t->admin, t->c->arg[0], at_route, t, &err) != CMQ_OK || !t->grew)
        return;
    cmq_consumer_assignment(t->consumer, at_assignment, t);
    if (seek_all(t, &err) != CMQ_OK)
        complain_error(t->c, &err, NULL);
}

/* ---- showing ---- */

static const struct out_column cols[] = {
    {"storeTimestamp", "", 0, true}, {"brokerName", "", 0, false}, {"queueId", "", 0, true}, {"queueOffset", "", 0, true}, {"msgId", "", 0, false},
    {"tags", "", 0, false},          {"keys", "", 0, false},       {"reconsumeTimes", "", 0, true}, {"bornTimestamp", "", 0, true}, {"body", "", 0, false}};

static void show_line(const struct cmq_message *m, struct slice body, bool *failed)
{
    struct buf line = {0};
    const char *dim = paint(stdout, PAINT_DIM), *plain = paint(stdout, PAINT_PLAIN);
    time_t s = (time_t)(cmq_message_store_ms(m) / 1000);
    struct tm tm;
    char clock[16] = "";
    if (localtime_r(&s, &tm))
        strftime(clock, sizeof clock, "%H:%M:%S", &tm);
    buf_printf(&line, "%s%s.%03d %s:%d:%" PRId64 "%s ", dim, clock, (int)(cmq_message_store_ms(m) % 1000), cmq_message_broker_name(m),
               (int)cmq_message_queue_id(m), cmq_message_queue_offset(m), plain);
    if (cmq_message_tag(m)[0]) {
        buf_u8(&line, '[');
        out_tame(&line, slice_str(cmq_message_tag(m)));
        buf_str(&line, "] ");
    }
    if (cmq_message_keys(m)[0]) {
        buf_u8(&line, '(');
        out_tame(&line, slice_str(cmq_message_keys(m)));
        buf_str(&line, ") ");
    }
    out_tame(&line, body);
    buf_u8(&line, '\n');
    *failed = line.failed || fwrite(line.p, 1, line.n, stdout) != line.n || fflush(stdout) != 0;
    buf_free(&line);
}

static void show(struct tail *t, const struct cmq_message *m)
{
    struct slice body;
    body.p = cmq_message_body(m, &body.n);
    t->shown++;
    if (t->out.format == OUT_TABLE) {
        show_line(m, body, &t->out.failed);
        return;
    }
    out_time(&t->out, cmq_message_store_ms(m));
    out_text(&t->out, cmq_message_broker_name(m));
    out_i64(&t->out, cmq_message_queue_id(m));
    out_i64(&t->out, cmq_message_queue_offset(m));
    out_text(&t->out, cmq_message_id(m));
    out_text(&t->out, cmq_message_tag(m));
    out_text(&t->out, cmq_message_keys(m));
    out_i64(&t->out, cmq_message_reconsume_times(m));
    out_time(&t->out, cmq_message_born_ms(m));
    out_bytes(&t->out, body);
}

static void add_property(void *arg, const char *name, const char *value) { prop_add(arg, name, slice_str(value)); }

static bool sql_wants(struct tail *t, const struct cmq_message *m)
{
    if (t->sql == NULL)
        return true;
    buf_clear(&t->properties);
    cmq_message_properties(m, add_property, &t->properties);
    return sql_evaluate(t->sql, buf_view(&t->properties)) == SQL_TRUE;
}

/* --filter without a group is done here: "a || b". */
static bool wanted(const struct call *c, const struct cmq_message *m)
{
    struct slice rest = slice_str(c->opt[OPT_FILTER]), piece;
    if (c->opt[OPT_FILTER] == NULL || c->opt[OPT_GROUP])
        return true;
    while (rest.p && slice_cut(&rest, '|', &piece)) {
        piece = slice_trim(piece);
        if (slice_is(piece, "*") || (piece.n && slice_is(piece, cmq_message_tag(m))))
            return true;
    }
    return false;
}

static int follow(struct tail *t, int64_t count, int64_t idle_ms)
{
    int64_t last_ms = clock_mono_ms(), looked_ms = last_ms;
    while (!stop && !t->out.failed && (count == 0 || t->shown < (uint64_t)count)) {
        struct cmq_message *m = NULL;
        struct cmq_error err = {0};
        enum cmq_code code = cmq_consumer_poll(t->consumer, 100, &m, &err);
        int64_t now_ms = clock_mono_ms();
        if (code == CMQ_OK) {
            last_ms = now_ms;
            if (wanted(t->c, m) && sql_wants(t, m))
                show(t, m);
            cmq_message_free(m);
        } else if (code != CMQ_ERR_TIMEOUT) {
            return complain_error(t->c, &err, t->c->arg[0]);
        }
        if (idle_ms && now_ms - last_ms >= idle_ms)
            break;
        if (t->admin && now_ms - looked_ms >= LOOK_MS) {
            looked_ms = now_ms;
            look_for_more(t);
        }
    }
    return DONE;
}

/* ---- beginning and end ---- */

static enum cmq_code set_all(struct tail *t, struct cmq_config *cfg, struct cmq_error *err)
{
    const char *group = t->c->opt[OPT_GROUP];
    const char *from = t->from_ms == FROM_LAST ? "CONSUME_FROM_LAST_OFFSET" : t->from_ms == FROM_FIRST ? "CONSUME_FROM_FIRST_OFFSET" : "CONSUME_FROM_TIMESTAMP";
    char stamp[32] = "";
    time_t s = (time_t)(t->from_ms / 1000);
    struct tm tm;
    if (t->from_ms >= 0 && localtime_r(&s, &tm))
        strftime(stamp, sizeof stamp, "%Y%m%d%H%M%S", &tm);
    const char *const pairs[][2] = {{"consumerGroup", group ? group : "TOOLS_CONSUMER"},
                                    {"messageModel", group ? "CLUSTERING" : "BROADCASTING"},
                                    {"consumeFromWhere", from},
                                    {"consumeTimestamp", stamp}};
    enum cmq_code code = CMQ_OK;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs && code == CMQ_OK; i++)
        code = cmq_config_set(cfg, pairs[i][0], pairs[i][1], err);
    return code;
}

/* What cannot be an expression is told before anybody is asked for anything. */
static int compile(struct tail *t)
{
    const struct call *c = t->c;
    struct fault why = {0};
    if (c->opt[OPT_SQL] == NULL)
        return DONE;
    if (c->opt[OPT_FILTER]) {
        complain(c, "--filter and --sql exclude each other; TAGS is a property in SQL: TAGS = 'new'");
        return USAGE;
    }
    if (sql_compile(slice_str(c->opt[OPT_SQL]), &t->sql, &why) != MQ_OK) {
        complain(c, "--sql %.100s: %s", c->opt[OPT_SQL], why.what);
        return USAGE;
    }
    if (c->opt[OPT_GROUP]) { /* the brokers judge */
        sql_unref(t->sql);
        t->sql = NULL;
    }
    return DONE;
}

static enum cmq_code subscribe(struct tail *t, struct cmq_error *err)
{
    const struct call *c = t->c;
    if (c->opt[OPT_SQL])
        return cmq_consumer_subscribe_sql(t->consumer, c->arg[0], c->opt[OPT_SQL], err);
    return cmq_consumer_subscribe(t->consumer, c->arg[0], c->opt[OPT_FILTER] ? c->opt[OPT_FILTER] : "*", err);
}

static int begin(struct tail *t)
{
    struct cmq_config *cfg;
    struct cmq_error err = {0};
    const struct call *c = t->c;
    const char *topic = c->arg[0];
    int rc = session_config(c, &cfg);
    if (rc != DONE)
        return rc;
    enum cmq_code code = set_all(t, cfg, &err);
    if (code == CMQ_OK)
        code = cmq_consumer_new(cfg, &t->consumer, &err);
    if (code == CMQ_OK && !c->opt[OPT_GROUP])
        code = cmq_admin_new(cfg, &t->admin, &err);
    cmq_config_free(cfg);
    if (code == CMQ_OK)
        code = t->admin ? begin_by_hand(t, &err) : subscribe(t, &err);
    if (code == CMQ_OK)
        code = cmq_consumer_start(t->consumer, &err);
    if (code != CMQ_OK)
        return complain_error(c, &err, topic);
    if (c->opt[OPT_GROUP])
        say("Following %s as a member of group %s; Ctrl-C ends it.", topic, c->opt[OPT_GROUP]);
    else
        say("Following %zu queues of %s; Ctrl-C ends it.", t->n_places, topic);
    return DONE;
}

int cmd_tail(const struct call *c)
{
    struct tail t = {.c = c};
    struct cmq_error err = {0};
    int64_t count, idle_ms;
    if (!call_number(c, OPT_COUNT, 1, INT64_MAX, 0, &count) || !call_number(c, OPT_IDLE, 1, 86400000, 0, &idle_ms) || !call_from(c, &t.from_ms))
        return USAGE;
    if (compile(&t) != DONE)
        return USAGE;
    const struct sigaction act = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    out_begin(&t.out, out_format_of(c), true, cols, sizeof cols / sizeof *cols);
    if (t.out.format == OUT_TABLE)
        buf_clear(&t.out.line); /* lines have no header */
    int rc = begin(&t);
    if (rc == DONE) {
        rc = follow(&t, count, idle_ms);
        if (c->opt[OPT_GROUP] && cmq_consumer_commit(t.consumer, &err) != CMQ_OK && rc == DONE)
            rc = complain_error(c, &err, NULL);
        if (!out_end(&t.out) && rc == DONE)
            rc = REFUSED;
        cmq_consumer_stop(t.consumer, 1000);
    } else {
        out_drop(&t.out);
    }
    cmq_consumer_free(t.consumer);
    cmq_admin_free(t.admin);
    free(t.places);
    sql_unref(t.sql);
    buf_free(&t.properties);
    return rc;
}
