/* recovery.h - where does the log end, and from where are its records told again?
 * Thread: core, before the store takes anything. Offsets: bytes in the log. */
#ifndef BROKER_STORE_RECOVERY_H
#define BROKER_STORE_RECOVERY_H
#include <stdbool.h>
#include <stdint.h>
#include "broker/store/checkpoint.h"
#include "broker/store/commit_log.h"
#include "common/protocol/message.h"

struct log_reader { /* goes through records in the order of the log; zero it, then log_reader_begin() */
    struct commit_log *log;
    uint64_t at, limit;   /* where the next record is expected; nothing is read at or beyond limit */
    bool check_crc;
    uint8_t *buf;         /* bytes [buf_off, buf_off + buf_n) of one file */
    uint64_t buf_off, data_end; /* from data_end on, the file of buf_off holds only zeros */
    uint64_t ahead;       /* up to here the disk was told to read */
    size_t buf_n, cap;
};
enum mq_err log_reader_begin(struct log_reader *r, struct commit_log *log, uint64_t from, uint64_t limit, bool check_crc, struct fault *why);
/* MQ_OK: *out is the record that ends at r->at now; its slices live until the next call. MQ_ENOTFOUND: the log, or limit, ends at r->at.
 * MQ_EMALFORMED: what is at r->at is neither a record nor zeros. Else the disk failed, or memory. */
enum mq_err log_reader_next(struct log_reader *r, struct message *out, struct fault *why);
void log_reader_end(struct log_reader *r);

/* Where checking begins: at the third-last file after a clean stop, else at the file of the last place that is safe by the checkpoint; if that has
 * no places, at the newest file whose first record is safe by its times (less 3 s), or at the first. */
uint64_t recovery_start(struct commit_log *log, bool clean, const struct checkpoint *c);

typedef enum mq_err recovery_fn(void *arg, const struct message *record, struct fault *why);
struct recovered {
    uint64_t end;    /* behind the last valid record */
    bool dirty;      /* something not zero lies behind it */
    int64_t last_ms; /* store time of the last record, -1: none */
};
/* Checks records from `from` on, gives each to fn (NULL allowed), finds the end. Records that lie behind damage are reported; if they were
 * safe by the checkpoint (NULL: all are) the answer is MQ_ECORRUPT, because cutting the log there would lose them: *why names both places. */
enum mq_err recovery_run(struct commit_log *log, uint64_t from, bool clean, bool check_crc, const struct checkpoint *safe, recovery_fn *fn, void *arg,
                         struct recovered *out, struct fault *why);
#endif
