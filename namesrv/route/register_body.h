/* register_body.h - the body of a broker's registration (103): data version, topics, filter servers.
 *
 *   plain       {"filterServerList":[...],"topicConfigSerializeWrapper":{"dataVersion":{...},"topicConfigTable":{"T":{...}}}}
 *   compressed  zlib of: i32 n, DataVersion as JSON | i32 count, count times: i32 n, "topic read write perm FILTERTYPE ..." |
 *               i32 n, filter servers as a JSON array | what 5.x brokers add, ignored
 *   before 3.0.11: just the topicConfigSerializeWrapper, plain
 * Thread: any; pure. Everything is checked before anything is given out: a body is good as a whole or not at all. */
#ifndef NAMESRV_ROUTE_REGISTER_BODY_H
#define NAMESRV_ROUTE_REGISTER_BODY_H
#include "common/base/mem.h"
#include "namesrv/route/routes.h"

enum register_form { REGISTER_PLAIN, REGISTER_COMPRESSED, REGISTER_ANCIENT };
enum {
    REGISTER_INFLATED_MAX = 64 << 20, /* bytes of a compressed body when inflated */
    REGISTER_TOPICS_MAX = 1000000
};
struct register_body {
    struct data_version version;
    bool filters_given;
    struct slice *filters; /* of the arena */
    size_t n_filters;
    /* private */
    struct slice topics; /* an object's members, or lines with their lengths before them */
    uint32_t n_lines;
    bool lines;
    struct buf inflated;
};

/* body and arena must live as long as *out. MQ_OK: *out is yours, end it with register_body_end(). Else *out is zeroed:
 * MQ_EMALFORMED (why says what and where), MQ_ELIMIT, MQ_ENOMEM. An empty body is a registration without topics. */
enum mq_err register_body_decode(struct slice body, enum register_form form, struct arena *arena, struct register_body *out,
                                 struct fault *why);
void register_body_end(struct register_body *b);
/* The body's version without walking its topics; false when it is not at its usual place, or the body is malformed up to there. */
bool register_body_version(struct slice body, enum register_form form, struct data_version *out);

struct register_topics { /* a walk; zero before register_topics_over() */
    const struct register_body *body;
    const uint8_t *p; /* where it is */
    uint32_t seen;
    uint8_t name[ROUTES_NAME_MAX]; /* a name that had escapes */
};
struct topic_source register_topics_over(struct register_topics *walk, const struct register_body *b);

/* {"counter":n,"timestamp":ms}: both ways. Further members are ignored, missing ones are 0. */
enum mq_err data_version_decode(struct slice json, struct data_version *out, struct fault *why);
void data_version_encode(const struct data_version *v, struct buf *out);
#endif
