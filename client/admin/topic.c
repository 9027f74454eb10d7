/* topic.c - cmq topic list | create | delete | route | status. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "client/admin/out.h"
#include "client/admin/talk.h"

/* ---- list ---- */

struct names {
    struct buf text; /* each ended by NUL */
    size_t n;
};

static void keep_name(void *arg, const char *name)
{
    struct names *names = arg;
    buf_put(&names->text, name, strlen(name) + 1);
    names->n++;
}

static void keep_broker(void *arg, const struct cmq_broker *b)
{
    keep_name(arg, b->cluster);
    keep_name(arg, b->broker_name);
}

static bool has_name(const struct names *names, const char *name)
{
    const char *at = (const char *)names->text.p;
    for (size_t i = 0; i < names->n; i++, at += strlen(at) + 1)
        if (strcmp(at, name) == 0)
            return true;
    return false;
}

/* Apache's own topics, and those that brokers make of the cluster's and their own names. */
static const char *kind_of(const char *topic, const struct names *own)
{
    static const char *const system[] = {"TBW102", "SELF_TEST_TOPIC", "BenchmarkTest", "OFFSET_MOVED_EVENT", "SCHEDULE_TOPIC_XXXX", NULL};
    size_t n = strlen(topic);
    if (strncmp(topic, "%RETRY%", 7) == 0)
        return "retry";
    if (strncmp(topic, "%DLQ%", 5) == 0)
        return "dlq";
    for (size_t i = 0; system[i]; i++)
        if (strcmp(topic, system[i]) == 0)
            return "system";
    if (strncmp(topic, "RMQ_SYS_", 8) == 0 || strncmp(topic, "rmq_sys_", 8) == 0 || (n > 12 && strcmp(topic + n - 12, "_REPLY_TOPIC") == 0) ||
        has_name(own, topic))
        return "system";
    return "user";
}

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static int list_rows(const struct call *c, const struct names *topics, const struct names *own)
{
    static const struct out_column cols[] = {{"topic", "TOPIC", 0, false}, {"kind", "KIND", 0, false}};
    const char **sorted = calloc(topics->n + 1, sizeof *sorted);
    struct out o;
    if (sorted == NULL || topics->text.failed || own->text.failed) {
        free(sorted);
        complain(c, "out of memory");
        return REFUSED;
    }
    const char *at = (const char *)topics->text.p;
    for (size_t i = 0; i < topics->n; i++, at += strlen(at) + 1)
        sorted[i] = at;
    qsort(sorted, topics->n, sizeof *sorted, by_text);
    out_begin(&o, out_format_of(c), false, cols, 2);
    for (size_t i = 0; i < topics->n; i++) {
        const char *kind = kind_of(sorted[i], own);
        if ((!c->opt[OPT_ALL] && strcmp(kind, "user") != 0) || (i && strcmp(sorted[i], sorted[i - 1]) == 0))
            continue;
        out_text(&o, sorted[i]);
        out_text(&o, kind);
    }
    free(sorted);
    return out_end(&o) ? DONE : REFUSED;
}

int cmd_topic_list(const struct call *c)
{
    struct cmq_admin *admin;
    struct cmq_error err = {0};
    struct names topics = {0}, own = {0};
    int rc = session_admin(c, &admin);
    if (rc != DONE)
        return rc;
    if (cmq_admin_list_topics(admin, keep_name, &topics, &err) != CMQ_OK || cmq_admin_list_brokers(admin, keep_broker, &own, &err) != CMQ_OK)
        rc = complain_error(c, &err, NULL);
    else
        rc = list_rows(c, &topics, &own);
    cmq_admin_free(admin);
    buf_free(&topics.text);
    buf_free(&own.text);
    return rc;
}

/* ---- create ---- */

int cmd_topic_create(const struct call *c)
{
    struct cmq_admin *admin;
    struct cmq_error err = {0};
    const char *perm = c->opt[OPT_PERM];
    int64_t queues;
    if (!call_number(c, OPT_QUEUES, 1, 65536, 8, &queues))
        return USAGE;
    struct cmq_topic_config config = {.read_queues = (int32_t)queues, .write_queues = (int32_t)queues, .ordered = c->opt[OPT_ORDERED] != NULL};
    config.perm = perm == NULL || strcmp(perm, "rw") == 0 ? CMQ_PERM_READ | CMQ_PERM_WRITE : strcmp(perm, "r") == 0 ? CMQ_PERM_READ : CMQ_PERM_WRITE;
    int rc = session_admin(c, &admin);
    if (rc != DONE)
        return rc;
    if (cmq_admin_create_topic(admin, c->opt[OPT_CLUSTER], c->arg[0], &config, &err) != CMQ_OK)
        rc = complain_error(c, &err, NULL);
    else
        say("%s has %lld queues on each broker now.", c->arg[0], (long long)queues);
    cmq_admin_free(admin);
    return rc;
}

/* ---- delete ---- */

static void tell_where(void *arg, const struct cmq_route *r)
{
    int *brokers = arg;
    say("  would go from broker %s (%s) of cluster %s: %d queues", r->broker_name, r->master_addr[0] ? r->master_addr : "no master", r->cluster,
        r->read_queues > r->write_queues ? r->read_queues : r->write_queues);
    ++*brokers;
}

static void count_messages(void *arg, const struct cmq_queue_status *s)
{
    int64_t *sum = arg;
    *sum += s->max_offset - s->min_offset;
}

static int dry_run(const struct call *c, struct cmq_admin *admin)
{
    struct cmq_error err = {0};
    int brokers = 0;
    int64_t messages = 0;
    if (cmq_admin_topic_route(admin, c->arg[0], tell_where, &brokers, &err) != CMQ_OK ||
        cmq_admin_topic_status(admin, c->arg[0], count_messages, &messages, &err) != CMQ_OK)
        return complain_error(c, &err, NULL);
    say("%s: %lld messages on %d brokers. Nothing was deleted.", c->arg[0], (long long)messages, brokers);
    return DONE;
}

static void nothing(void *arg, const struct cmq_route *r) { (void)arg, (void)r; }

int cmd_topic_delete(const struct call *c)
{
    struct cmq_admin *admin;
    struct cmq_error err = {0};
    int rc = session_admin(c, &admin);
    if (rc != DONE)
        return rc;
    if (c->opt[OPT_DRY_RUN])
        rc = dry_run(c, admin);
    else if (cmq_admin_topic_route(admin, c->arg[0], nothing, NULL, &err) == CMQ_ERR_NO_ROUTE || err.code == CMQ_ERR_NOT_FOUND)
        rc = complain_error(c, &err, NULL); /* brokers delete what they do not have without a word */
    else if (cmq_admin_delete_topic(admin, c->opt[OPT_CLUSTER], c->arg[0], &err) != CMQ_OK)
        rc = complain_error(c, &err, NULL);
    else
        say("%s is deleted.", c->arg[0]);
    cmq_admin_free(admin);
    return rc;
}

/* ---- route ---- */

static void route_row(void *arg, const struct cmq_route *r)
{
    struct out *o = arg;
    out_text(o, r->cluster);
    out_text(o, r->broker_name);
    out_text(o, r->master_addr);
    out_i64(o, r->n_slaves);
    out_i64(o, r->read_queues);
    out_i64(o, r->write_queues);
    out_text(o, (r->perm & CMQ_PERM_READ) && (r->perm & CMQ_PERM_WRITE) ? "rw" : r->perm & CMQ_PERM_READ ? "r" : r->perm & CMQ_PERM_WRITE ? "w" : "none");
}

int cmd_topic_route(const struct call *c)
{
    static const struct out_column cols[] = {{"cluster", "CLUSTER", 0, false},       {"brokerName", "BROKER", 0, false},
                                             {"masterAddr", "MASTER", 0, false},     {"slaves", "SLAVES", 0, true},
                                             {"readQueueNums", "READ", 0, true},     {"writeQueueNums", "WRITE", 0, true},
                                             {"perm", "PERM", 0, false}};
    struct cmq_admin *admin;
    struct cmq_error err = {0};
    struct out o;
    int rc = session_admin(c, &admin);
    if (rc != DONE)
        return rc;
    out_begin(&o, out_format_of(c), false, cols, sizeof cols / sizeof *cols);
    rc = table_end(c, &o, cmq_admin_topic_route(admin, c->arg[0], route_row, &o, &err), &err, c->arg[0]);
    cmq_admin_free(admin);
    return rc;
}

/* ---- status ---- */

static void status_row(void *arg, const struct cmq_queue_status *s)
{
    struct out *o = arg;
    out_text(o, s->queue.broker_name);
    out_i64(o, s->queue.queue_id);
    out_i64(o, s->min_offset);
    out_i64(o, s->max_offset);
    out_i64(o, s->max_offset - s->min_offset);
    out_time(o, s->last_update_ms);
}

int cmd_topic_status(const struct call *c)
{
    static const struct out_column cols[] = {{"brokerName", "BROKER", 0, false}, {"queueId", "QUEUE", 0, true},  {"minOffset", "MIN", 0, true},
                                             {"maxOffset", "MAX", 0, true},      {"messages", "MESSAGES", 0, true}, {"lastUpdateTimestamp", "LAST", 0, false}};
    struct cmq_admin *admin;
    struct cmq_error err = {0};
    struct out o;
    int rc = session_admin(c, &admin);
    if (rc != DONE)
        return rc;
    out_begin(&o, out_format_of(c), false, cols, sizeof cols / sizeof *cols);
    rc = table_end(c, &o, cmq_admin_topic_status(admin, c->arg[0], status_row, &o, &err), &err, c->arg[0]);
    cmq_admin_free(admin);
    return rc;
}
