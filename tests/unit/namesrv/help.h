/* help.h - a name server's core without its shell: a clock that is set, requests made of pairs, answers as text. */
#ifndef TESTS_UNIT_NAMESRV_HELP_H
#define TESTS_UNIT_NAMESRV_HELP_H
#include <criterion/criterion.h>
#include <stdarg.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/protocol/codes.h"
#include "namesrv/route/routes.h"

static inline bool no_topics(void *ctx, struct slice *name, struct topic_queues *out)
{
    (void)ctx, (void)name, (void)out;
    return false;
}

/* A list of topics that a registration reads; `reads` counts how often it was asked. */
struct topic_list {
    const char *const *names; /* ends with NULL */
    struct topic_queues q;
    unsigned at, reads;
};
static inline bool topic_list_next(void *ctx, struct slice *name, struct topic_queues *out)
{
    struct topic_list *l = ctx;
    l->reads++;
    if (l->names[l->at] == NULL)
        return false;
    *name = slice_str(l->names[l->at++]);
    *out = l->q;
    return true;
}

static inline struct registration reg_of(const char *cluster, const char *name, int64_t id, const char *addr, uint64_t conn)
{
    return (struct registration){.cluster = slice_str(cluster), .name = slice_str(name), .addr = slice_str(addr), .id = id,
                                 .conn_id = conn, .topics = {no_topics, NULL}};
}

/* Registers with topics of 4 + 4 queues, permission 6; version = {1, version}. */
static inline struct registration_result put_broker(struct routes *r, struct registration reg, int64_t version, int64_t now_ms,
                                                    const char *const *topics)
{
    struct topic_list l = {.names = topics, .q = {4, 4, 6, 0}};
    struct registration_result out;
    struct fault why = {0};
    reg.version = (struct data_version){1, version};
    if (topics)
        reg.topics = (struct topic_source){topic_list_next, &l};
    cr_assert(routes_register(r, &reg, now_ms, &out, &why) == MQ_OK, "%s", why.what);
    return out;
}

#define TOPICS(...) (const char *const[]){__VA_ARGS__, NULL}

static inline void expect_route(struct routes *r, const char *topic, const char *want, int line)
{
    struct slice got;
    bool there = routes_answer(r, slice_str(topic), &got);
    if (want == NULL)
        cr_assert(!there && got.p == NULL, "line %d: %s has a route: %.*s", line, topic, SLICE_ARG(got));
    else
        cr_assert(there && slice_is(got, want), "line %d: route of %s is %.*s", line, topic, SLICE_ARG(got));
}
#define EXPECT_ROUTE(r, topic, want) expect_route(r, topic, want, __LINE__)
#define EXPECT_BUF(b, want) cr_assert(!(b).failed && slice_is(buf_view(&(b)), want), "got %.*s", SLICE_ARG(buf_view(&(b))))
#endif
