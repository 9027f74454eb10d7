/* namesrv.h - a whole name server on a loop: tables, processors, listener, sweep.
 * Thread: the loop's. */
#ifndef NAMESRV_NAMESRV_H
#define NAMESRV_NAMESRV_H
#include "common/loop/loop.h"
#include "namesrv/config.h"

struct namesrv_server;
/* Loads the KV configuration and listens. MQ_OK: *out is yours, end it with namesrv_close(), and what *cfg held is taken
 * (it is zeroed). Else *cfg stays yours: MQ_EIO (file, address), MQ_ECORRUPT (KV file), MQ_ENOMEM, MQ_EINVAL. */
enum mq_err namesrv_open(struct loop *l, struct namesrv_config *cfg, struct namesrv_server **out, struct fault *why);
uint16_t namesrv_port(const struct namesrv_server *s); /* the real one, when 0 was asked for */
void namesrv_close(struct namesrv_server *s);          /* NULL allowed */
#endif
