/* session.h - who is here: producers and consumers by group, known by their heartbeats (34), forgotten by 35, by a closed
 * connection, or after 120 s of silence. Thread: core. Pure state: it is told now_ms and tells its listener what to do. */
#ifndef BROKER_SESSION_SESSION_H
#define BROKER_SESSION_SESSION_H
#include "common/base/err.h"
#include "common/base/hashmap.h"
#include "common/base/list.h"
#include "common/protocol/json.h"
#include "common/protocol/reply.h"

enum { SESSION_GROUP_MAX = 255, SESSION_CLIENT_ID_MAX = 1024, SESSION_TOPIC_MAX = 255, SESSION_TAGS_MAX = 4096 }; /* bytes; tags: pieces */

enum consume_type { CONSUME_ACTIVELY, CONSUME_PASSIVELY };                       /* pull, push */
enum message_model { MODEL_BROADCASTING, MODEL_CLUSTERING };
enum consume_from { FROM_LAST_OFFSET, FROM_LAST_AND_MIN_WHEN_BOOT_FIRST, FROM_MIN_OFFSET, FROM_MAX_OFFSET, FROM_FIRST_OFFSET, FROM_TIMESTAMP };
extern const char *const consume_type_names[], *const message_model_names[], *const consume_from_names[]; /* wire spelling, by value */

struct subscription { /* what a group wants of one topic */
    struct hash_node node; /* key = topic */
    bool class_filter, is_tag; /* is_tag: expression_type is TAG (or absent) */
    char *topic, *sub_string, *expression_type; /* yours with the subscription */
    char **tags;
    int32_t *codes;            /* java_hash of each tag; n == 0: everything */
    uint32_t n_tags, n_codes;
    int64_t version;
    int64_t updated_ms;
    uint64_t conn_id; /* who said so */
};
/* "*", "", "a || b": fills tags and codes of a subscription that has none; false: out of memory, too many, or no tag at all ("||"). */
bool subscription_parse_tags(struct slice expression, struct subscription *out);
/* From Apache's SubscriptionData. A subscription without codes gets those of its expression. *out is zeroed memory. MQ_EMALFORMED: why names the field. */
enum mq_err subscription_read(const json_t *o, struct subscription *out, struct fault *why);
void subscription_fini(struct subscription *s); /* frees what its fields hold */
void subscription_free(struct subscription *s); /* and itself */
bool subscription_matches(const struct subscription *s, int64_t tags_code);
void subscription_write(struct jw *w, const struct subscription *s); /* Apache's SubscriptionData */

struct client { /* one member of one group */
    struct list node;
    uint64_t conn_id;
    char *client_id;
    char addr[64];
    uint8_t language;
    int32_t version;
    int64_t seen_ms;
};
struct group_mismatch { /* two members want different things of a topic: some of it reaches nobody */
    uint64_t conn_a, conn_b;
    const char *topic, *client_a, *client_b; /* in `text` */
    char text[];
};
struct consumer_group {
    struct hash_node node; /* key = name */
    struct list clients;   /* of struct client */
    size_t n_clients;
    struct hashmap subscriptions; /* of struct subscription, by topic */
    uint64_t generation;   /* grows when subscriptions or the ways of consuming change */
    int64_t mismatch_ms;   /* when a mismatch was told last */
    struct group_mismatch *mismatch; /* the last one; see sessions_mismatch() */
    enum consume_type type;
    enum message_model model;
    enum consume_from from;
    char name[];
};
struct producer_group {
    struct hash_node node;
    struct list clients;
    size_t n_clients;
    char name[];
};
struct session_listener {
    void *ctx;
    int64_t (*mono_ms)(void *ctx); /* a clock that never jumps, for silence and intervals; NULL: now_ms is one */
    void (*members_changed)(void *ctx, struct consumer_group *g); /* somebody came or left, or topics were added or removed: 40 to all in g */
    void (*group_seen)(void *ctx, struct slice group, bool unit_mode); /* a consumer group's heartbeat: make its config and retry topic */
    void (*heard)(void *ctx, const struct consumer_group *g); /* a heartbeat of the group was read: its subscriptions may be others now */
    void (*group_gone)(void *ctx, const struct consumer_group *g); /* its last member left; g goes after the call */
    /* client_b wants another thing of topic than client_a, which is still here, whoever prevails: at most once a minute and group */
    void (*subscription_mismatch)(void *ctx, struct consumer_group *g, const char *client_a, const char *client_b, const char *topic);
};
struct sessions;
/* l: copied; NULL members allowed. It is called after the change, and must not change the sessions. */
enum mq_err sessions_new(const struct session_listener *l, struct sessions **out);
void sessions_free(struct sessions *s); /* NULL allowed; tells nobody */
/* Body of a heartbeat (JSON HeartbeatData; names or ordinals, Q2). MQ_EMALFORMED with words, and nothing changed; MQ_ENOMEM: part
 * of it may count. A body that this connection sent before is not parsed again while its groups are as it left them. */
enum mq_err sessions_heartbeat(struct sessions *s, struct slice body, const struct command *cmd, const struct peer *peer, int64_t now_ms, struct fault *why);
/* Of this connection's last heartbeat. True: it had a fingerprint (5.x): the client sends its subscriptions once, and no more while we say that
 * nothing changed. *changed: it must send them again, because it was new to a group, or a group got or lost topics by it. */
bool sessions_fingerprinted(const struct sessions *s, uint64_t conn_id, bool *changed);
/* 35: this connection leaves these groups (p == NULL: none). By connection, as Apache: client ids are not unique. */
void sessions_unregister(struct sessions *s, uint64_t conn_id, struct slice producer_group, struct slice consumer_group);
void sessions_conn_closed(struct sessions *s, uint64_t conn_id);
void sessions_conn_heard(struct sessions *s, uint64_t conn_id, int64_t now_ms); /* it was not read for a while: its heartbeats may be behind */
/* Connections without a heartbeat for expire_ms are forgotten and handed to fn (the shell closes them). now_ms: monotonic. */
void sessions_expire(struct sessions *s, int64_t now_ms, int64_t expire_ms, void (*fn)(void *arg, uint64_t conn_id), void *arg);
struct consumer_group *sessions_consumers(const struct sessions *s, struct slice group); /* NULL when nobody is there */
struct producer_group *sessions_producers(const struct sessions *s, struct slice group);
struct consumer_group *sessions_next_consumers(const struct sessions *s, const struct consumer_group *after); /* NULL: the first */
struct producer_group *sessions_next_producers(const struct sessions *s, const struct producer_group *after);
/* The mismatch that was seen last, while both members are here and have not agreed since; else NULL. */
const struct group_mismatch *sessions_mismatch(const struct consumer_group *g);
struct client *sessions_consumer_client(const struct sessions *s, struct slice group, struct slice client_id);
struct client *sessions_producer_client(const struct sessions *s, struct slice client_id); /* in any producer group; who is not there costs a walk over all */
#endif
