/* message.h - the inside of a cmq_message: made by a producer's user, or received.
 * Thread: one owner at a time. */
#ifndef CLIENT_CORE_MESSAGE_H
#define CLIENT_CORE_MESSAGE_H
#include "client/include/cmq.h"
#include "common/base/buf.h"
#include "common/base/list.h"
#include "common/protocol/message.h"

struct window_node { /* a place in a consumer's window of a queue: see consumer/window.h */
    struct list node;
    int64_t queue_off;
    size_t bytes;
    void *queue; /* struct held_queue */
};
struct cmq_message {
    const char *topic;        /* in `text`, or set by message_set_topic() */
    const uint8_t *body;      /* in `text`, or `inflated` */
    size_t body_n;
    struct buf props;         /* name NUL value NUL ... */
    uint8_t *inflated;        /* yours: a body that came compressed */
    char *topic_again;        /* yours: where a message of a retry topic came from */
    int32_t flag;
    /* received */
    const char *broker_name;  /* in `text` */
    int32_t queue_id, reconsume_times;
    int64_t queue_off, phys_off, born_ms, store_ms;
    char offset_id[MESSAGE_ID_MAX];
    struct window_node window;
    struct list later;        /* while it waits to be sent back */
    int32_t later_level;      /* when it shall come again: a delay level, 0: the broker's choice, < 0: never */
    uint8_t text[];
};

/* A copy of a record as it came in a pull. NULL: out of memory, or a body that does not inflate (*bad). max_inflated bounds it. */
struct cmq_message *message_received(const struct message *record, const char *broker_name, size_t max_inflated, bool *bad);
/* Sets a property of RocketMQ's own, replacing an older value. False: out of memory. */
bool message_prop_set(struct cmq_message *m, const char *name, const char *value);
void message_prop_remove(struct cmq_message *m, const char *name);
void message_props_encode(const struct cmq_message *m, struct buf *out); /* name 1 value 2 ..., without a separator at the end */
bool message_is_reply(const struct cmq_message *m); /* made by cmq_message_new_reply(), or by Java's */
bool prop_name_is_reserved(const char *name);
/* zlib, as Apache's clients make it. False: out of memory, or it did not get smaller (out is then as before). */
bool body_deflate(struct slice body, struct buf *out);
/* MQ_ENOMEM, MQ_EMALFORMED, MQ_ELIMIT. *out is yours. */
enum mq_err body_inflate(struct slice body, size_t max, uint8_t **out, size_t *n);
#endif
