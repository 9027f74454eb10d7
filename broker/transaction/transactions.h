/* transactions.h - the transactions of this broker: half messages in, their ends, and the question to producers who said nothing.
 * Both queues and the group's offsets are as Apache's files have them: a folder can change hands in the middle of a transaction.
 * Thread: core. The store does what may block. Times: now_ms wall clock, which messages are born by; mono_ms for rounds. */
#ifndef BROKER_TRANSACTION_TRANSACTIONS_H
#define BROKER_TRANSACTION_TRANSACTIONS_H
#include "broker/metadata/offsets.h"
#include "broker/metadata/topics.h"
#include "broker/session/session.h"
#include "broker/store/message_store.h"
#include "broker/transaction/half.h"

enum { TRANSACTIONS_OPEN_MAX = 4000000 }; /* half messages; 96 to 192 MB */

struct transactions;
struct transactions_setup { /* pointers borrowed until transactions_free(); settings are read when they count, so they are live */
    struct message_store *store;
    struct offsets *offsets;
    struct topics *topics;
    struct sessions *sessions;
    const struct outbox *outbox;
    const struct host *store_host;
    const int64_t *timeout_ms, *interval_ms, *reserved_hours;
    const int32_t *checks_max;
};
/* Reads what is open from both queues, blocking. MQ_ENOMEM; a queue that cannot be read is logged, and what is behind the place is not known. */
enum mq_err transactions_new(const struct transactions_setup *setup, int64_t mono_ms, struct transactions **out, struct fault *why);
void transactions_free(struct transactions *t); /* NULL allowed; before the store is closed, when its works have run */

/* Puts m, whose topic and queue are the real ones, as a half message. group: the sender's, for a message that names none. As
 * message_store_put(); *out is of the half queue. PUT_BUSY also when too many are open. */
enum put_status transactions_begin(struct transactions *t, const struct message *m, struct slice group, int64_t now_ms, struct put_result *out);

enum transaction_end { END_DONE, END_ENDED_BEFORE, END_NOT_PUT };
/* Ends the transaction of a record: commit puts the message into its own topic, then, with either, an op message says that it is over.
 * h: of half_read(). END_DONE: *end_off is where the log ends with it. END_NOT_PUT: nothing happened, *put says why. */
enum transaction_end transactions_end(struct transactions *t, const struct message *record, const struct half *h, bool commit, int64_t now_ms,
                                      uint64_t *end_off, enum put_status *put);

/* Puts a half message again, as one that was never checked: from GIVEN_UP_TOPIC, or one that is open. END_ENDED_BEFORE also when record is none. */
enum transaction_end transactions_resume(struct transactions *t, const struct message *record, int64_t now_ms, uint64_t *end_off, enum put_status *put);

/* To be called once in each turn, before its puts are written: puts again and asks what is due, a bounded piece at a time. Returns when
 * it wants to be called again: mono_ms or before: at once; INT64_MAX: not before something is put. pressed: sends wait for the disk, so rounds
 * do, too. */
int64_t transactions_run(struct transactions *t, int64_t now_ms, int64_t mono_ms, bool pressed);
bool transactions_settled(const struct transactions *t); /* the offsets say how far both queues are done, and no op message is owed */
size_t transactions_open_count(const struct transactions *t);
#endif
