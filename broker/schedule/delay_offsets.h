/* delay_offsets.h - how far each delay level is delivered, as it is on the disk: delayOffset.json. An offset counts messages of the level's
 * queue. What is in the file is always behind what survives a power cut: a message may be delivered twice, never not at all.
 * Thread: core. */
#ifndef BROKER_SCHEDULE_DELAY_OFFSETS_H
#define BROKER_SCHEDULE_DELAY_OFFSETS_H
#include "broker/metadata/config_file.h"

struct delay_offsets;
/* file: taken, also on failure. Fails as config_file_load(), but for MQ_ENOTFOUND: a first start. */
enum mq_err delay_offsets_open(struct config_file *file, struct delay_offsets **out, struct fault *why);
void delay_offsets_close(struct delay_offsets *o); /* saves; NULL allowed */
int64_t delay_offsets_get(const struct delay_offsets *o, unsigned level); /* -1: none; level counts from 1 */
/* now[0 .. n) is how far levels 1 ... n are delivered, by records that lie below written_off in the log. They are for the file as soon as the log
 * is flushed up to there. Ignored while earlier ones wait for that. */
void delay_offsets_mark(struct delay_offsets *o, const int64_t *now, unsigned n, uint64_t written_off);
void delay_offsets_flushed(struct delay_offsets *o, uint64_t flushed_off);
/* The same for who is about to close, when all of the log is flushed: the closing writes it. */
void delay_offsets_settle(struct delay_offsets *o, const int64_t *now, unsigned n);
void delay_offsets_retry_save(struct delay_offsets *o); /* after a failed write; by a timer */
void delay_offsets_encode(const struct delay_offsets *o, bool pretty, struct buf *out); /* {"offsetTable":{1:10}} */
#endif
