/* exec.h - the store's lanes over worker threads: one for the flushes, two for cold reads, one for chores.
 * Threads start with their lane's first work. Thread: the loop's. */
#ifndef BROKER_EXEC_H
#define BROKER_EXEC_H
#include "broker/store/message_store.h"
#include "common/loop/loop.h"

struct exec;
enum mq_err exec_new(struct loop *l, struct exec **out, struct fault *why);
const struct store_exec *exec_store(struct exec *x); /* valid until exec_free() */
/* Ends the threads after all submitted works ran and were done; works submitted by those, or later, run on the calling thread
 * in the next exec_drain(). Returns when nothing is left. */
void exec_drain(struct exec *x);
void exec_free(struct exec *x); /* drains; NULL allowed */
#endif
