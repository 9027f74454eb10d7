/* rig.h - a store in a temporary folder on the real disk, with works that run when the test says so, and a disk that can be made to fail. */
#ifndef TESTS_UNIT_STORE_RIG_H
#define TESTS_UNIT_STORE_RIG_H
#include <stdint.h>
#include "broker/store/message_store.h"
#include "tests/lib/sim_exec.h"

enum rig_op { RIG_NONE, RIG_PWRITE, RIG_DATASYNC, RIG_SET_SIZE, RIG_PREAD, RIG_OPEN, RIG_OPS };
enum { RIG_T0 = 1000000 }; /* now_ms of the first put */
struct rig {
    char root[64];
    struct store_io disk, io;     /* io: disk, with counting and failing */
    struct sim_exec exec;
    struct store_config cfg;
    struct message_store *store;  /* NULL: closed */
    int64_t now_ms;
    /* failing: the fail_in-th operation of this kind from now on gives fail_err, and all after it */
    enum rig_op fail_op;
    uint64_t fail_in, ops[RIG_OPS];
    int fail_err;
    bool cold;                    /* pread_nowait says -EAGAIN, windows that nothing is in memory */
    bool copy_fails;              /* copying from a window: -EIO */
    int64_t windows;              /* mapped now */
    /* heard */
    struct fault failed;
    unsigned n_failed, n_arrived;
    uint64_t written, flushed;
    struct arrival last;
    char last_topic[128];
};
void rig_new(struct rig *r);            /* a folder, small files, no store yet */
enum mq_err rig_open(struct rig *r, struct fault *why);
void rig_must_open(struct rig *r);
void rig_close(struct rig *r);          /* in order */
void rig_kill(struct rig *r);           /* as if the process had been killed: nothing is written or flushed any more */
void rig_end(struct rig *r);            /* and the folder goes */
void rig_settle(struct rig *r);         /* runs works and ticks until nothing is left to flush */
void rig_path(const struct rig *r, const char *path, char out[256]);
uint8_t *rig_file(const struct rig *r, const char *path, size_t *n); /* yours: free() */
void rig_patch(const struct rig *r, const char *path, uint64_t off, const void *bytes, size_t n);
struct message rig_message(const char *topic, int32_t queue_id, const char *body);
/* Puts one and turns; it must succeed. */
struct put_result rig_put(struct rig *r, const char *topic, int32_t queue_id, const char *body);
#endif
