/* help.h - sessions with a listener that takes notes. */
#ifndef TESTS_UNIT_SESSION_HELP_H
#define TESTS_UNIT_SESSION_HELP_H
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "broker/session/session.h"
#include "common/base/log.h"
#include "common/protocol/codes.h"

static struct sessions *s;
static char notes[4096]; /* "changed g:2 " "seen g " "mismatch g a b t " in the order of telling */
static struct fault why;

static inline void note_changed(void *ctx, struct consumer_group *g)
{
    size_t n = strlen(notes);
    (void)ctx;
    snprintf(notes + n, sizeof notes - n, "changed %s:%zu ", g->name, g->n_clients);
}
static inline void note_seen(void *ctx, struct slice group, bool unit_mode)
{
    size_t n = strlen(notes);
    (void)ctx;
    snprintf(notes + n, sizeof notes - n, "seen %.*s%s ", SLICE_ARG(group), unit_mode ? " unit" : "");
}
static inline void note_mismatch(void *ctx, struct consumer_group *g, const char *a, const char *b, const char *topic)
{
    size_t n = strlen(notes);
    (void)ctx;
    snprintf(notes + n, sizeof notes - n, "mismatch %s %s %s %s ", g->name, a, b, topic);
}

static inline void start(void)
{
    static const struct session_listener l = {.members_changed = note_changed, .group_seen = note_seen, .subscription_mismatch = note_mismatch};
    log_set_level(LOG_OFF);
    cr_assert(sessions_new(&l, &s) == MQ_OK);
}
static inline void stop(void) { sessions_free(s); }

static inline enum mq_err beat_as(uint64_t conn, struct slice body, int64_t now_ms, uint8_t language, int32_t version)
{
    struct peer p = {.conn_id = conn, .port = (uint16_t)(40000 + conn)};
    struct command cmd = {.code = 34, .language = language, .version = version, .body = body};
    snprintf(p.addr, sizeof p.addr, "10.0.0.1:%u", p.port);
    return sessions_heartbeat(s, body, &cmd, &p, now_ms, &why);
}
static inline enum mq_err beat(uint64_t conn, const char *body, int64_t now_ms) { return beat_as(conn, slice_str(body), now_ms, LANGUAGE_JAVA, 409); }

/* A push consumer `client` of `group`, subscriptions as JSON objects. */
static inline enum mq_err beat_consumer(uint64_t conn, const char *client, const char *group, const char *subscriptions, int64_t now_ms)
{
    char body[4096];
    snprintf(body, sizeof body,
             "{\"clientID\":\"%s\",\"consumerDataSet\":[{\"consumeFromWhere\":\"CONSUME_FROM_LAST_OFFSET\",\"consumeType\":\"CONSUME_PASSIVELY\","
             "\"groupName\":\"%s\",\"messageModel\":\"CLUSTERING\",\"subscriptionDataSet\":[%s],\"unitMode\":false}],\"producerDataSet\":[]}",
             client, group, subscriptions);
    return beat(conn, body, now_ms);
}

static inline struct consumer_group *group_of(const char *name) { return sessions_consumers(s, slice_str(name)); }
static inline const struct subscription *subscription_in(const char *group, const char *topic)
{
    struct consumer_group *g = group_of(group);
    struct hash_node *n = g ? hashmap_get(&g->subscriptions, slice_str(topic)) : NULL;
    return n ? CONTAINER_OF(n, struct subscription, node) : NULL;
}
static inline void expect_notes(const char *want)
{
    cr_expect_str_eq(notes, want);
    notes[0] = '\0';
}
#endif
