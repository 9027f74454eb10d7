/* consume_queue_internal.h - what the consume_queue*.c files share; see consume_queue.h for the contract.
 *   consume_queue.c          the table, adding and reading units
 *   consume_queue_files.c    names, descriptors, searching and cutting files, opening and recovery
 *   consume_queue_flush.c    writing and syncing in rounds
 *   consume_queue_expire.c   minima, old files, deleted topics
 * Units of all positions: units of the queue, unless a name says bytes. */
#ifndef BROKER_STORE_CONSUME_QUEUE_INTERNAL_H
#define BROKER_STORE_CONSUME_QUEUE_INTERNAL_H
#include "broker/store/consume_queue.h"
#include "common/base/hashmap.h"
#include "common/base/list.h"
#include "common/base/owner.h"

#define CQ_DIR "consumequeue"
enum {
    CQ_TOPIC_MAX = 255,  /* bytes of a folder's name */
    CQ_FDS = 256,        /* descriptors kept for reading: a system may allow no more than 1,024 in all */
    CQ_SLICE = 32,       /* queues of one work */
    CQ_MANY = 256,       /* dirty queues at the end: one sync of the file system is cheaper than theirs */
    CQ_BLOCK = 204,      /* units read at once when searching: a page */
    CQ_GAP_FILES = 2     /* a gap of more files than this is damage, not padding */
};

struct cq_topic {
    struct hash_node node;       /* in consume_queues.topics, keyed by name, unless doomed */
    struct list doom;            /* in consume_queues.doomed when deleted */
    struct consume_queues *table;
    struct consume_queue **queues; /* sorted by id; usually dense, so that queues[id] is the one */
    uint32_t n, cap;
    uint32_t works;              /* works under way that touch its files */
    bool doomed;                 /* deleted: its files go as soon as no work touches them */
    bool blocked;                /* a deleted topic of this name still has files: nothing of this one may be written yet */
    uint16_t name_n;
    char name[];                 /* with a NUL */
};

/* Units [base, base + n) in their form on disk; [pad_from, base) is padding that is not in its file yet. */
struct cq_tail {
    int64_t pad_from, base;
    uint32_t n, cap;
    uint8_t units[];
};

struct consume_queue {
    struct cq_topic *topic;
    struct list link;              /* in consume_queues.dirty, .ripe or .round, or in none */
    struct cq_tail *tail, *flight; /* waiting; in the hands of a round (read-only until it is done). NULL: none */
    int64_t first;                 /* where the first file starts; files are contiguous */
    int64_t min, max, next;
    int64_t written, synced;       /* in files; of these, safe */
    int64_t min_phys;              /* phys_off of unit `min`; INT64_MAX when min == max */
    uint32_t at;                   /* place in consume_queues.all */
    int32_t id, files;
    bool busy;                     /* a work has its files */
    bool names;                    /* files were unlinked since its folder was synced */
    bool taken;                    /* link is in consume_queues.round */
};

struct cq_fds; /* consume_queue_files.c */
struct cq_round;
struct consume_queues {
    struct store_io io;
    const struct store_exec *exec;
    int64_t per_file; /* units */
    struct owner owner;
    struct hashmap topics;
    struct list doomed;            /* cq_topic.doom */
    struct consume_queue **all;
    uint32_t n, cap;
    struct cq_fds *fds;
    size_t waiting, memory;        /* bytes */
    size_t least;                  /* bytes to sync that make a queue ripe */
    struct list dirty, ripe;       /* queues with something unwritten or unsynced; those with enough of it */
    struct list round;             /* those that the round has not come to */
    struct cq_round *flushing;
    bool failed;                   /* a write or a sync failed: final */
    bool sweeping, sweep_again;    /* minima are being searched; some queue was skipped because it was busy */
    uint32_t sweep_at;
    uint64_t min_phys;
};

/* ---- consume_queue.c ---- */
struct cq_unit cq_decode(const uint8_t *p);
void cq_encode(uint8_t *p, struct cq_unit u);
static inline bool cq_unit_is_pad(struct cq_unit u) { return u.size == CQ_PAD_SIZE; }
static inline bool cq_unit_is_there(struct cq_unit u) { return u.phys_off >= 0 && u.size > 0 && u.size <= CQ_PAD_SIZE; }
struct consume_queue *cq_make(struct consume_queues *t, struct slice topic, int32_t queue_id);
void cq_topic_free(struct cq_topic *topic); /* with its queues */
void cq_tail_free(struct consume_queues *t, struct cq_tail *tail);
bool cq_unit_in_memory(const struct consume_queue *q, int64_t at, struct cq_unit *out);
void cq_mark_dirty(struct consume_queues *t, struct consume_queue *q); /* into the list where it belongs now; no matter if it is in one */

/* ---- consume_queue_files.c ---- */
void cq_path(const struct cq_topic *topic, int32_t id, int64_t file_bytes, char *out); /* out[STORE_PATH_MAX]; negative: the folder */
static inline int64_t cq_file_of(const struct consume_queues *t, int64_t at) { return at - at % t->per_file; }
static inline int64_t cq_last_file(const struct consume_queues *t, const struct consume_queue *q)
{
    return q->first + (q->files - 1) * t->per_file;
}
enum mq_err cq_fault(struct fault *why, int err, const char *action, const char *path); /* err: negative errno */
bool cq_fds_new(struct consume_queues *t);
void cq_fds_free(struct consume_queues *t);
int cq_fd(struct consume_queues *t, struct consume_queue *q, int64_t file);           /* a descriptor, or -errno */
/* Closes kept descriptors of the topic (q NULL) or the queue whose file starts outside [from, to). */
void cq_fds_drop(struct consume_queues *t, const struct cq_topic *topic, const struct consume_queue *q, int64_t from, int64_t to);

struct cq_probe { /* reads single units of a queue's files, for searching; zero it, then end with cq_probe_end() */
    const struct consume_queues *t;
    const struct cq_topic *topic;
    int32_t id;
    int fd;              /* -1: none */
    int64_t file, block; /* of fd; first unit of buf, -1: none */
    int64_t n;           /* units in buf */
    uint8_t buf[CQ_BLOCK * CQ_UNIT];
};
void cq_probe_begin(struct cq_probe *p, const struct consume_queues *t, const struct cq_topic *topic, int32_t id);
int cq_probe_at(struct cq_probe *p, int64_t at, struct cq_unit *out); /* 0 or -errno; beyond the end of a file: zeros */
void cq_probe_end(struct cq_probe *p);
typedef bool cq_test_fn(struct cq_unit u, int64_t arg);
/* The first of [lo, hi) for which test is false (hi when none): test must be true, then false. 0 or -errno. */
int cq_partition(struct cq_probe *p, int64_t lo, int64_t hi, cq_test_fn *test, int64_t arg, int64_t *out);
bool cq_test_expired(struct cq_unit u, int64_t min_phys);

/* ---- consume_queue_expire.c ---- */
void cq_work_ended(struct consume_queues *t, struct consume_queue *q); /* a work lets go of q; a doomed topic may go now */
void cq_sweep_more(struct consume_queues *t);                          /* a round ended: look at queues that were skipped */
bool cq_topic_is_doomed(const struct consume_queues *t, struct slice name);
#endif
