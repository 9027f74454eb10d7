/* transactions_internal.h - shared by transactions.c (begin, end), rounds.c (asking) and rebuild.c (what a start finds). */
#ifndef BROKER_TRANSACTION_TRANSACTIONS_INTERNAL_H
#define BROKER_TRANSACTION_TRANSACTIONS_INTERNAL_H
#include "broker/transaction/open_halves.h"
#include "broker/transaction/transactions.h"

struct progress { /* how far both queues are done */
    int64_t half_off, op_off;
};
struct round { /* one walk over what is open */
    bool on, warming;         /* warming: a record is being read from the disk */
    int64_t last_ms;          /* monotonic: when the last one ended */
    int64_t next_ms;          /* monotonic: of the next piece */
    int64_t at, end;          /* half offsets: next to look at; those that come later are the next round's */
    size_t asked, unasked, moved, given_up, lost;
};
struct owed { /* an op message that could not be put yet */
    int64_t half_off, first_off;
};
struct transactions {
    struct transactions_setup s;
    struct open_halves open;
    struct op_progress ops;
    struct ended_halves ended;
    int64_t half_next;        /* offset that the next half message will get */
    struct owed *owed;
    size_t n_owed, cap_owed;
    struct round round;
    size_t whose_turn;        /* of the producers of a group */
    bool half_topic_made;

    uint64_t put_end;         /* bytes of the log: end of the last record put from here */
    struct progress told, next; /* told: in the offsets; next: will be, when next_end is flushed */
    uint64_t next_end;
    bool has_next;

    struct buf record, text, frame; /* used again and again */
};

enum put_status transactions_put(struct transactions *t, const struct message *m, int64_t now_ms, struct put_result *out);
void transactions_have_topic(struct transactions *t, const char *name, int64_t now_ms); /* one queue, readable and writable */
void rounds_run(struct transactions *t, int64_t now_ms, int64_t mono_ms, bool *busy);
enum mq_err rebuild_run(struct transactions *t, struct fault *why);
#endif
