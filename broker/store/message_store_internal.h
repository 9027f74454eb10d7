/* message_store_internal.h - what the message_store*.c files share; see message_store.h for the contract.
 *   message_store.c        opening, recovery's second half, closing, figures
 *   message_store_put.c    the batch of a turn, dispatch
 *   message_store_chore.c  ticks: flush rounds, checkpoint, retention, failures
 *   message_store_get.c    by queue and offset
 *   message_store_find.c   by place, by time, by key; warming */
#ifndef BROKER_STORE_MESSAGE_STORE_INTERNAL_H
#define BROKER_STORE_MESSAGE_STORE_INTERNAL_H
#include "broker/store/checkpoint.h"
#include "broker/store/commit_log.h"
#include "broker/store/consume_queue.h"
#include "broker/store/index.h"
#include "broker/store/message_store.h"
#include "broker/store/retention.h"
#include "broker/store/round_due.h"
#include "common/base/owner.h"

enum {
    QUEUES_WAITING_MAX = 256 << 20,  /* no more puts until a round has ended */
    CATCH_UP_TOLD = 1 << 20,         /* less is not worth a line in the log */
    RECOVER_WAITING = 32 << 20,      /* bytes of units in memory while recovering: written on this thread */
    CHECKPOINT_EVERY_MS = 1000
};
struct span { /* of the bytes of a record's properties */
    uint16_t at, n;
};
struct pending { /* a record of this turn's batch */
    struct consume_queue *q; /* NULL: no unit */
    size_t at;               /* in the batch */
    int64_t phys_off, queue_off, store_ms;
    uint32_t size;
    int32_t sys_flag, queue_id;
    struct span tags, keys, uniq_key; /* what units and index need; n == 0: absent */
    uint16_t properties_n;   /* bytes */
    uint8_t topic_n;
};
struct checkpoint_job {
    struct store_work work;
    struct message_store *store;
    bool busy;
    struct checkpoint value;
    struct fault why;
};
struct message_store {
    struct store_config cfg; /* commit_log_dir is not to be used after open */
    struct store_io io;
    const struct store_exec *outer; /* the caller's */
    struct store_exec exec;         /* ours: runs works inline while opening and closing */
    struct store_listener listener;
    struct owner owner;
    bool inline_works;
    int lock_fd;
    struct commit_log *log;
    struct consume_queues *queues;
    struct msg_index *index; /* NULL: index_enable is off */
    struct retention *retention;
    /* ---- the turn ---- */
    struct pending *pending;
    size_t n_pending, cap_pending;
    int64_t last_ms, written_ms;    /* store time of the newest record, and of the newest that is written */
    int64_t mono_ms;                /* of the latest turn or tick */
    /* ---- chores ---- */
    struct queue_rounds {
        int64_t began_ms, thorough_ms; /* when the last one began, and the last thorough one */
        bool thorough;                 /* the last one */
        bool owed;                     /* see round_due.h */
        int64_t safe_ms, safe_off;     /* what the last thorough one vouches for when it is done */
    } rounds;
    int64_t checkpoint_at_ms;
    struct checkpoint checkpoint, checkpoint_written;
    struct checkpoint_job checkpoint_job;
    struct fault failed;            /* err MQ_OK: no */
    struct fault queues_full;       /* the last round found no room on the disk; err MQ_OK: it did not */
    int64_t read_log_ms;            /* rate limit of words about reads */
    char refusal[300];
    uint64_t put_msgs, put_bytes, put_failed, get_found, get_missed, get_msgs;
};

/* ---- message_store_put.c ---- */
/* Queue unit and index entry of a record that is in the log; q NULL: looked up. tell: the listener hears of it. */
/* m->known is set. */
enum mq_err store_dispatch(struct message_store *s, const struct message *m, struct consume_queue *q, bool tell);
static inline bool store_tran_has_no_unit(int32_t sys_flag)
{
    enum { TRAN_MASK = 0xC, PREPARED = 0x4, ROLLBACK = 0xC };
    return (sys_flag & TRAN_MASK) == PREPARED || (sys_flag & TRAN_MASK) == ROLLBACK;
}

/* ---- message_store_chore.c ---- */
void store_fail(struct message_store *s, const struct fault *why); /* tells once */
void store_log_moved(void *ctx);
void store_log_failed(void *ctx, const struct fault *why);
void store_flush_queues(struct message_store *s, int64_t mono_ms); /* starts a round when one is due and none under way */
struct checkpoint store_checkpoint(const struct message_store *s); /* what is safe now */
void store_checkpoint_init(struct message_store *s);
enum mq_err store_retention_open(struct message_store *s, int64_t mono_ms, struct fault *why);

/* ---- message_store_find.c ---- */
/* Appends the record at phys_off to body and checks that it is one. size 0: not known. MQ_OK, MQ_ENOTFOUND, MQ_EAGAIN (*cold), MQ_EIO. */
enum mq_err store_read_record(struct message_store *s, int64_t phys_off, uint32_t size, bool may_block, struct buf *body, struct cold_range *cold);
bool store_record_good(const uint8_t *p, size_t n, uint64_t phys_off, uint32_t *size); /* header at p, n >= MESSAGE_FIXED bytes at hand */
void store_cold(struct message_store *s, uint64_t phys_off, size_t n, struct cold_range *cold);
#endif
