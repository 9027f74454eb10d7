/* message_store.h - the door of the store: messages go in by batch, come out by queue and offset, by place, by key, by time.
 * Files: those of Apache 4.9.8, byte for byte (docs/store-format.md). Behind the door: commit_log, consume_queue, index, recovery.
 * Thread: core, unless a function says otherwise. The store owns no thread and no clock: it is told the time, and it hands what
 * may block to store_exec. Units: phys_off bytes in the log, queue_off messages in a queue. */
#ifndef BROKER_STORE_MESSAGE_STORE_H
#define BROKER_STORE_MESSAGE_STORE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "broker/store/store_io.h"
#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/list.h"
#include "common/base/slice.h"
#include "common/protocol/message.h"

/* ---- what the store needs from outside ---- */
/* Two clocks: intervals go by mono_ms, which never jumps; wall_ms, which somebody may set, is for what is compared with times on the disk:
 * store times, ages of files, the hour of deletion. */
struct store_now {
    int64_t wall_ms, mono_ms;
};
enum store_lane { LANE_FLUSH, LANE_READ, LANE_CHORE, LANES }; /* FLUSH and CHORE keep order; READ may run several at once */
struct store_work { /* embedded by who submits; the executor links it by `node` */
    struct list node;
    void (*run)(struct store_work *w);  /* on the lane's thread: may block; touches only what it was given */
    void (*done)(struct store_work *w); /* on the core thread afterwards */
};
struct store_exec {
    void *ctx;
    void (*submit)(void *ctx, enum store_lane lane, struct store_work *w);
};
struct arrival { /* one message became readable; topic is borrowed for the call */
    struct slice topic;
    int32_t queue_id;
    int64_t queue_off, tags_code, store_ms;
    struct slice properties; /* borrowed; p == NULL when not at hand */
};
struct store_listener { /* NULL members allowed; called from message_store_turn() or a work's done, never from a put */
    void *ctx;
    void (*arrived)(void *ctx, const struct arrival *a);
    void (*written)(void *ctx, uint64_t written_off);   /* the log grew to here */
    void (*flushed)(void *ctx, uint64_t flushed_off);   /* grew to here, or the log FAILED (see message_store_failed) */
    void (*failed)(void *ctx, const struct fault *why); /* once: no write will succeed any more */
};

#define SCHEDULE_TOPIC "SCHEDULE_TOPIC_XXXX" /* delayed messages: level n in queue n - 1 */
enum {
    STORE_DELAY_LEVELS_MAX = 32,
    STORE_CLOCK_BACK_MAX_MS = 600000 /* a step back of the wall clock that store times do not follow: they stay where they are */
};
struct store_config {
    const char *commit_log_dir;            /* relative to the io's root; borrowed for the open call; "commitlog" */
    uint64_t commit_log_file_size;         /* bytes; 1 GiB */
    uint32_t consume_queue_file_size;      /* bytes, rounded up to a multiple of 20; 6,000,000 */
    uint32_t max_message_size;             /* bytes of a body; 4 MiB */
    bool check_crc_on_recover, index_enable;
    uint32_t index_slots, index_entries;   /* 5,000,000 and 20,000,000 */
    int64_t flush_interval_ms, flush_queue_interval_ms; /* 500, 1,000 */
    /* A round of flush_queue_interval_ms syncs the queues that have at least so many bytes to sync; a thorough one, all. It comes when so much time
     * has passed, and earlier for the reasons in round_due.h. Zeros: every round is thorough. 8,192, 60,000 */
    size_t flush_queue_least_bytes;
    int64_t flush_queue_thorough_ms;
    uint64_t unflushed_max;                /* bytes written and not flushed: beyond it puts are told PUT_BUSY, at a quarter of it a flush starts; 0: 256 MiB */
    bool sync_flush;                       /* flush as soon as something was written (group commit) instead of by interval */
    int64_t reserved_ms;                   /* fileReservedTime */
    uint32_t delete_hours;                 /* bit h set: delete expired files in local hour h */
    unsigned disk_clean_percent, disk_force_percent, disk_stop_percent; /* 75, 85, 90: clean, clean without age, refuse writes */
    unsigned delay_levels;
    int64_t delay_level_ms[STORE_DELAY_LEVELS_MAX]; /* [0] is level 1: the due time goes into SCHEDULE_TOPIC_XXXX's queue units */
};

struct message_store;
/* Locks the directory, recovers, opens. May take as long as the recovery reads. *why names file and offset of damage; damage that
 * recovery repairs is logged. MQ_EBUSY: another broker has it. exec works are submitted only after open returned. */
enum mq_err message_store_open(const struct store_config *cfg, const struct store_io *io, const struct store_exec *exec,
                               const struct store_listener *listener, int64_t mono_ms, struct message_store **out, struct fault *why);
/* Writes and syncs what is there (on the calling thread), removes the abort file when nothing failed, frees. All submitted
 * works must have run. True: all that was ever put survives a power cut. NULL: false. */
bool message_store_close(struct message_store *s, int64_t mono_ms);

/* ---- putting ---- */
enum put_status {
    PUT_OK,
    PUT_TOO_LARGE,       /* body or properties beyond the limit: MESSAGE_ILLEGAL */
    PUT_NO_ROOM,         /* disk full: SERVICE_NOT_AVAILABLE; message_store_refusal() tells path and figure */
    PUT_FAILED,          /* the log FAILED */
    PUT_BUSY             /* back-pressure: too much is unwritten (bytes waiting for a file or the disk) */
};
struct put_result {
    int64_t phys_off, queue_off, store_ms;
    uint32_t size;
};
/* Encodes n messages of one topic and queue, side by side in one file, into the batch of this turn. m[i].topic, queue_id, flag, sys_flag, born_ms,
 * born, store, reconsume_times, prepared_off, body, properties are read; queue_off, phys_off and store_ms are assigned.
 * PUT_OK: out[0..n) is filled; it becomes readable with message_store_turn(). Else nothing was put. */
enum put_status message_store_put(struct message_store *s, const struct message *m, size_t n, int64_t now_ms, struct put_result *out);
int64_t message_store_time(const struct message_store *s, int64_t wall_ms); /* the store time that a put gets now: see STORE_CLOCK_BACK_MAX_MS */
/* Writes the batch of this turn, adds its queue units, tells the listener, submits flushes that are due. Call once per turn. */
void message_store_turn(struct message_store *s, int64_t mono_ms);
/* Periodic chores (flush by interval, checkpoint, retention, next file): call at least every 100 ms while something is dirty;
 * returns the ms until it wants to be called again (INT64_MAX: only after the next put). */
int64_t message_store_tick(struct message_store *s, struct store_now now);
struct store_load { /* how far the disk is behind */
    uint64_t unflushed; /* bytes of the log that are written and not flushed */
    bool busy;          /* a put would be told PUT_BUSY: the next file is being made, or too many units wait to be written */
};
/* Cheap: to be asked once a turn. When the store FAILED there is no load: who puts shall hear of the failure. */
struct store_load message_store_load(const struct message_store *s);
const char *message_store_refusal(const struct message_store *s); /* words for the last PUT_NO_ROOM / PUT_FAILED */

/* ---- reading ---- */
enum get_status {
    GET_FOUND, GET_NO_MATCHED_MESSAGE, GET_MESSAGE_WAS_REMOVING, GET_OFFSET_FOUND_NULL, GET_OFFSET_OVERFLOW_BADLY,
    GET_OFFSET_OVERFLOW_ONE, GET_OFFSET_TOO_SMALL, GET_NO_MATCHED_LOGIC_QUEUE, GET_NO_MESSAGE_IN_QUEUE,
    GET_COLD,  /* the bytes are not in memory: message_store_warm(), then ask again */
    GET_FAILED /* a read failed; logged */
};
const char *get_status_name(enum get_status s); /* Apache's: "FOUND", "NO_MATCHED_MESSAGE", ... */
struct get_request {
    struct slice topic;
    int32_t queue_id;
    int64_t queue_off;
    uint32_t max_msgs;
    uint32_t max_bytes; /* the first message is returned even if it is larger */
    int64_t end_off;    /* queue offset: nothing from there on is looked at; 0: no such bound */
    bool (*match_tags)(void *ctx, int64_t tags_code);                /* NULL: all */
    bool (*match_record)(void *ctx, const struct message *record);   /* NULL: all; asked for those whose tags match */
    void *match_ctx;
    bool may_block; /* true: read from the disk on this thread (start-up, admin, sim) instead of GET_COLD */
};
struct cold_range { /* what GET_COLD wants in memory */
    char path[STORE_PATH_MAX];
    uint64_t off;
    size_t n;
};
struct get_result {
    enum get_status status;
    int64_t next_off, min_off, max_off; /* queue offsets, by the rules of inventory g.1 */
    uint32_t n_msgs;
    int64_t last_phys_off;              /* of the last message returned; -1 */
    struct cold_range cold;             /* GET_COLD only */
};
/* Appends the records to `body` (which may hold bytes already; on anything but GET_FOUND nothing is appended). */
void message_store_get(struct message_store *s, const struct get_request *g, struct buf *body, struct get_result *out);
/* The tags codes of a queue's units from queue_off on, without their records: in SCHEDULE_TOPIC_XXXX they are due times. GET_FOUND: n of
 * them, at least one and at most `room`. Else n is 0, and next_off is where message_store_get() would go on. */
struct tags_result {
    enum get_status status;
    size_t n;
    int64_t next_off;
    struct cold_range cold; /* GET_COLD only */
};
void message_store_tags(struct message_store *s, struct slice topic, int32_t queue_id, int64_t queue_off, bool may_block, int64_t *codes, size_t room,
                        struct tags_result *out);
/* Reads the range on LANE_READ so that it is in the page cache, then calls fn on the core thread. False: out of memory. */
bool message_store_warm(struct message_store *s, const struct cold_range *cold, void (*fn)(void *arg), void *arg);

/* One record by its place. MQ_OK appends it to body; MQ_ENOTFOUND: no record starts there; MQ_EAGAIN: cold (out filled). */
enum mq_err message_store_at(struct message_store *s, int64_t phys_off, bool may_block, struct buf *body, struct cold_range *cold);

/* Queue bounds; a queue that does not exist has 0, 0. max: the offset that the next message will get (visible ones only). */
int64_t message_store_min_offset(struct message_store *s, struct slice topic, int32_t queue_id);
int64_t message_store_max_offset(struct message_store *s, struct slice topic, int32_t queue_id);
/* 4.9.8's rules of inventory g.12 for 29. */
int64_t message_store_offset_by_time(struct message_store *s, struct slice topic, int32_t queue_id, int64_t time_ms);
int64_t message_store_time_of(struct message_store *s, struct slice topic, int32_t queue_id, int64_t queue_off); /* store_ms, -1 when absent */
int64_t message_store_phys_of(struct message_store *s, struct slice topic, int32_t queue_id, int64_t queue_off); /* place, -1 when absent */

/* By key (a token of KEYS, or the UNIQ_KEY), newest first, at most max; records appended to body. Waits for the index to catch up.
 * MQ_EIO: something was passed over that cannot be read (logged); MQ_ENOMEM: it ended early. With both, what was found is there, and counts. */
struct query_result {
    uint32_t n_msgs;
    int64_t index_last_ms, index_last_phys_off;
};
enum mq_err message_store_query(struct message_store *s, struct slice topic, struct slice key, uint32_t max, int64_t begin_ms, int64_t end_ms,
                                struct buf *body, struct query_result *out);

/* ---- housekeeping ---- */
typedef void store_queue_fn(void *arg, struct slice topic, int32_t queue_id, int64_t min_off, int64_t max_off);
void message_store_each_queue(struct message_store *s, store_queue_fn *fn, void *arg);
void message_store_delete_topic(struct message_store *s, struct slice topic); /* its queues and their files; records stay in the log */
void message_store_clean_now(struct message_store *s, struct store_now now); /* 329 and 306: expired files, whatever the hour */

struct store_figures {
    uint64_t min_phys_off, max_phys_off, flushed_off; /* max: written, visible */
    uint64_t dispatch_behind_bytes;                   /* index behind the log */
    uint64_t disk_free, disk_total;
    double log_disk_ratio, queue_disk_ratio;          /* used share of the partition, 0..1 */
    int64_t earliest_store_ms;                        /* of the first record, -1 when empty */
    uint64_t put_msgs, put_bytes, put_failed, get_found, get_missed, get_msgs, flushes;
    size_t queues, memory_bytes;
};
void message_store_figures(struct message_store *s, struct store_figures *out);
uint64_t message_store_flushed(const struct message_store *s); /* bytes that survive a power cut; any thread */
bool message_store_failed(const struct message_store *s);
bool message_store_writable(const struct message_store *s);
#endif
