/* broker.h - a whole broker on a loop: store, tables, processors, listener, registration.
 * Thread: the loop's. */
#ifndef BROKER_BROKER_H
#define BROKER_BROKER_H
#include "broker/config.h"
#include "common/loop/loop.h"

struct broker;
/* Opens and recovers the store, loads the tables, listens on listenPort and listenPort - 2, and tells the name servers.
 * MQ_OK: *out is yours, end it with broker_close(), and what *cfg held is taken (it is zeroed). Else *cfg stays yours: MQ_EIO (file,
 * address), MQ_EBUSY (another broker has the directory), MQ_ECORRUPT, MQ_EMALFORMED (a table's file), MQ_EINVAL, MQ_ENOMEM. */
enum mq_err broker_open(struct loop *l, struct broker_config *cfg, struct broker **out, struct fault *why);
/* Takes no new connections, answers what waits, unregisters, and ends the loop, within STOP_WITHIN_MS. Harmless when repeated. */
enum { BROKER_STOP_WITHIN_MS = 6000 };
void broker_stop(struct broker *b);
bool broker_failed(const struct broker *b); /* it stopped by itself because the disk failed: the log says what */
void broker_close(struct broker *b);        /* after the loop ended; writes and syncs what is there. NULL allowed */
#endif
