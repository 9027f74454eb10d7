/* retention.h - which files of the log are too old, or too many for the disk: decisions as pure functions, and the loop that carries
 * them out. Apache's rules (inventory g.14): every 10 s, in one of delete_hours or beyond the clean percentage or by hand, files whose
 * last write is older than reserved_ms go, oldest first, at most 10 a round, never the last; beyond the force percentage age does
 * not count; beyond the stop percentage the store takes no message.
 * Thread: core. Files and partitions are looked at, and files unlinked, by works of LANE_CHORE. */
#ifndef BROKER_STORE_RETENTION_H
#define BROKER_STORE_RETENTION_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "broker/store/message_store.h"

/* ---- decisions: pure ---- */
enum { RETENTION_ROUND_FILES = 10, RETENTION_MANUAL_ROUNDS = 20, RETENTION_INTERVAL_MS = 10000, RETENTION_FIRST_MS = 60000 };
struct retention_rule {
    int64_t reserved_ms;    /* fileReservedTime */
    uint32_t delete_hours;  /* bit h set: expired files go in local hour h */
    unsigned clean_percent, force_percent, stop_percent;
};
struct retention_file { /* one file of the log */
    uint64_t off, size;     /* first byte, bytes */
    int64_t modified_ms;    /* last write; negative: not known, counts as young */
};
struct retention_facts {
    int64_t now_ms;
    int hour;                       /* local, 0..23 */
    double log_ratio, queue_ratio;  /* used share of the partition, 0..1; negative: not known */
    bool manual;                    /* somebody asked (329, 306) */
};
enum retention_why { RETENTION_NOTHING, RETENTION_HOUR, RETENTION_SPACE, RETENTION_MANUAL, RETENTION_FORCED };
const char *retention_why_name(enum retention_why why);

/* How many of the n files, given oldest first, go now: 0..10, never all. *why: what allowed it (NULL allowed). */
size_t retention_expired(const struct retention_rule *rule, const struct retention_facts *facts, const struct retention_file *files, size_t n,
                         enum retention_why *why);
bool retention_full(const struct retention_rule *rule, double log_ratio, double queue_ratio); /* beyond the stop percentage */
double retention_ratio(uint64_t free_bytes, uint64_t total_bytes); /* used share in whole percents rounded up, as Apache; -1: total is 0 */
int retention_hour(int64_t now_ms);                                /* local hour */

/* ---- the loop ---- */
struct retention_host { /* the log, as this loop needs it; all called on the core thread */
    void *ctx;
    /* Writes up to max files, oldest first, `off` and `size` only; returns how many there are (may be more than max). */
    size_t (*files)(void *ctx, struct retention_file *to, size_t max);
    /* Path of the file that starts at off, into path[STORE_PATH_MAX]. */
    void (*path)(void *ctx, uint64_t off, char *path);
    /* Files below min_phys are about to be unlinked: the log forgets them (descriptors too), tells queues and index. */
    void (*drop)(void *ctx, uint64_t min_phys);
};
struct retention_config {
    struct retention_rule rule;
    const char *log_dir, *queue_dir; /* whose partitions are watched; borrowed for the call; made by their owners beforehand */
};
struct retention;
/* Measures the disk once, on this thread. exec NULL: all is done inline (tests). */
enum mq_err retention_new(const struct retention_config *cfg, const struct store_io *io, const struct store_exec *exec,
                          const struct retention_host *host, int64_t mono_ms, struct retention **out, struct fault *why);
void retention_free(struct retention *r); /* its works must have run; NULL allowed */
/* Starts a round when one is due; measures the disk every 10 s, and once a second while max_phys has grown by >= 64 MiB since.
 * Returns the ms until it wants to be called again. */
int64_t retention_tick(struct retention *r, struct store_now now, uint64_t max_phys);
void retention_clean_now(struct retention *r, struct store_now now); /* a round now, and 19 more by the clock, whatever the hour */

struct retention_disk { /* as last measured */
    uint64_t free_bytes, total_bytes; /* of the log's partition */
    double log_ratio, queue_ratio;    /* -1: not known */
};
void retention_disk(const struct retention *r, struct retention_disk *out);
/* False: the disk is beyond the stop percentage; *path and *percent (NULL allowed) say which and how full. */
bool retention_writable(const struct retention *r, const char **path, unsigned *percent);
#endif
