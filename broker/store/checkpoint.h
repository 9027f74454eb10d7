/* checkpoint.h - the three small files beside the log: what was safe when, who is running, how the last one ended.
 * Thread: any; pure but for the io. Times are store times of messages, in ms since 1970. */
#ifndef BROKER_STORE_CHECKPOINT_H
#define BROKER_STORE_CHECKPOINT_H
#include <stdbool.h>
#include <stdint.h>
#include "broker/store/store_io.h"
#include "common/base/slice.h"

enum { CHECKPOINT_SIZE = 4096 };
/* What is safe, in store times as Apache's brokers know them (of the newest synced message, 0: none), and in places of the log as only we do: times
 * do not tell the order of messages when the clock was set back. A place is -1 when it is not known: the file is a Java broker's. */
struct checkpoint {
    int64_t log_ms, queues_ms, index_ms;
    int64_t log_off, queues_off; /* bytes of the log below are synced; units of records below are */
    int64_t index_place;         /* keys of records up to this one are */
};
#define CHECKPOINT_NONE ((struct checkpoint){0, 0, 0, -1, -1, -1})
void checkpoint_encode(const struct checkpoint *c, uint8_t out[CHECKPOINT_SIZE]);
struct checkpoint checkpoint_decode(struct slice bytes); /* short or negative: none, which makes recovery begin at the first file */
/* Absent: CHECKPOINT_NONE. */
enum mq_err checkpoint_read(const struct store_io *io, struct checkpoint *out, struct fault *why);
enum mq_err checkpoint_write(const struct store_io *io, const struct checkpoint *c, struct fault *why); /* and syncs */

/* *fd is yours: closing it gives the directory free. MQ_EBUSY: another broker has it. */
enum mq_err store_lock(const struct store_io *io, int *fd, struct fault *why);

enum mq_err abort_present(const struct store_io *io, bool *present, struct fault *why);
enum mq_err abort_make(const struct store_io *io, struct fault *why);   /* survives a power cut when it returns */
enum mq_err abort_remove(const struct store_io *io, struct fault *why);
#endif
