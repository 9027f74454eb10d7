/* half.h - half messages and op messages: their bytes, and what becomes of a half message that nobody ended.
 * A half message lies in HALF_TOPIC until its producer ends the transaction; an op message in OP_TOPIC says that it was ended.
 * Thread: any; pure. Offsets: queue_off counts the messages of queue 0 of HALF_TOPIC. */
#ifndef BROKER_TRANSACTION_HALF_H
#define BROKER_TRANSACTION_HALF_H
#include "common/protocol/message.h"

#define HALF_TOPIC "RMQ_SYS_TRANS_HALF_TOPIC"
#define OP_TOPIC "RMQ_SYS_TRANS_OP_HALF_TOPIC"
#define GIVEN_UP_TOPIC "TRANS_CHECK_MAX_TIME_TOPIC"
#define TRANSACTION_GROUP "CID_RMQ_SYS_TRANS" /* its offsets of both topics say how far the two queues are done */
#define OP_TAG "d"
enum { HALF_PROPERTIES_MAX = MESSAGE_PROPERTIES_MAX - 256 }; /* bytes: so that half_text_again() fits */

struct half { /* what a record says of its transaction; slices of the record */
    struct slice real_topic, group, uniq_key; /* group, uniq_key: n == 0 when absent */
    int32_t real_queue_id;
    bool checked, immune;  /* it has a number of checks; it asked for a time without checks */
    int32_t checks;        /* so many it has had */
    int64_t immunity_ms;   /* when immune; -1: transactionTimeOut */
    int64_t first_off;     /* where it was put first: what a transaction is known by, however often it was put again */
};
/* False: no half message, or one that could not be committed. */
bool half_read(const struct message *m, struct half *out);

/* The properties of a half message: those of the message but for what only brokers write, and where it is to go. DELAY goes, too, as
 * Apache's clients drop it. group: of the request, for a message that names none. */
void half_text(struct buf *out, struct slice properties, struct slice real_topic, int32_t real_queue_id, struct slice group);
/* The properties of the same message put again. checks < 0: it was not a check, their number stays. first_off < 0: not known. */
void half_text_again(struct buf *out, struct slice properties, int32_t checks, int64_t first_off);

/* What is to be done with an open half message. */
enum half_fate {
    HALF_WAITS,   /* too young: nothing */
    HALF_MOVES,   /* immune for a while: put again, so that the queue can be done with */
    HALF_CHECKED, /* put again with one check more, and a producer is asked */
    HALF_GIVEN_UP /* to GIVEN_UP_TOPIC */
};
struct half_rules {
    int64_t timeout_ms, reserved_ms; /* transactionTimeOut, fileReservedTime */
    int32_t checks_max;              /* transactionCheckMax */
};
enum half_fate half_decide(const struct half *h, int64_t born_ms, const struct half_rules *rules, int64_t now_ms);

/* The properties of an op message: its tag, and where its half message was put first, if elsewhere. */
void op_text(struct buf *out, int64_t half_off, int64_t first_off);
int64_t op_first(struct slice properties); /* -1: it does not say */
/* The body of an op message: an offset in decimal, or several with commas as 5.x writes them. False: no more. What is no number is passed over. */
bool op_next(struct slice *rest, int64_t *half_off);
#endif
