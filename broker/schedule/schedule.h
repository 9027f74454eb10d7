/* schedule.h - delivers delayed messages: each level of SCHEDULE_TOPIC_XXXX is a queue in the order of due times, so only its head counts.
 * Nothing is kept per message: 100,000 that wait cost what one costs. Thread: core. It owns no clock: it is told the time, and says when it
 * wants to run. Puts go through the store, in the turn in which it runs. */
#ifndef BROKER_SCHEDULE_SCHEDULE_H
#define BROKER_SCHEDULE_SCHEDULE_H
#include "broker/metadata/config_file.h"

struct schedule_setup {
    struct message_store *store; /* borrowed; not used by schedule_close() */
    const int64_t *delay_ms;     /* [0] is level 1; copied */
    unsigned n_levels;
    bool running;                /* false: a slave's, which knows the offsets but delivers nothing */
    void *ctx;
    void (*delivered)(void *ctx, struct slice topic, uint32_t bytes); /* one was put; topic is borrowed */
};
struct schedule;
/* file: delayOffset.json; taken, also on failure. Fails as config_file_load(), but for MQ_ENOTFOUND: a first start. */
enum mq_err schedule_open(struct config_file *file, const struct schedule_setup *setup, struct schedule **out, struct fault *why);
/* all_flushed: what the store wrote survives a power cut, so the file may say how far we really are. Submitted works must have run. */
void schedule_close(struct schedule *s, bool all_flushed); /* NULL allowed */

/* From the store's listener: a message became readable in this queue of SCHEDULE_TOPIC_XXXX. */
void schedule_arrived(struct schedule *s, int32_t queue_id);
/* Puts what is due, at most a turn's share. Call it when schedule_due() has come, before the store's turn ends. */
void schedule_run(struct schedule *s, int64_t wall_ms, int64_t mono_ms);
int64_t schedule_due(const struct schedule *s); /* monotonic ms; INT64_MAX: nothing waits */

/* The file follows in two steps, so that it never says more than the medium holds: by a timer, with the end of what is written; and whenever the
 * log was flushed. */
void schedule_save(struct schedule *s, uint64_t written_off);
void schedule_flushed(struct schedule *s, uint64_t flushed_off);
void schedule_encode(const struct schedule *s, struct buf *out);            /* {"offsetTable":{1:10}}: what the file says; body of 45 */
int64_t schedule_offset(const struct schedule *s, unsigned level); /* messages of the level delivered; -1: none ever */
#endif
