/* transaction.h - the producer's side of transactions: how one is ended (37), and the thread that answers brokers' questions (39).
 * Thread: as each function says. */
#ifndef CLIENT_PRODUCER_TRANSACTION_H
#define CLIENT_PRODUCER_TRANSACTION_H
#include "client/core/client.h"
#include "common/protocol/reply.h"

struct transaction_place { /* where a half message lies */
    const char *broker_name; /* its broker: whose master it is; NULL: the one at addr. Borrowed for a call. */
    char addr[ADDR_MAX];
    int64_t half_off, phys_off;
};
/* Tells the broker, and hears nothing: what gets lost is asked about later. id: the unique key. Any thread but from inside of client_run(). */
void transaction_end(struct client *c, const struct transaction_place *at, const char *id, enum cmq_transaction_state state, bool from_check);

struct checks;
/* Starts the thread. fn is called on it, one question at a time. Any thread. */
enum cmq_code checks_new(struct client *c, cmq_transaction_fn *fn, void *arg, struct checks **out, struct cmq_error *err);
/* Waits until fn has returned. No checks_ask() may come any more; the client still runs. Any other thread; NULL allowed. */
void checks_free(struct checks *k);
void checks_ask(struct checks *k, const struct request *rq); /* network thread: a question of a broker */
#endif
