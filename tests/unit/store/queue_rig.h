/* queue_rig.h - a table of consume queues on the fake disk; each unit's content follows from its queue and offset. */
#ifndef TESTS_UNIT_STORE_QUEUE_RIG_H
#define TESTS_UNIT_STORE_QUEUE_RIG_H
#include "broker/store/consume_queue.h"
#include "tests/lib/fake_disk.h"
#include "tests/lib/sim_exec.h"

enum { QR_PER_FILE = 10, QR_FILE = QR_PER_FILE * CQ_UNIT, QR_RECORD = 100, QR_LEAST = 10 };
struct queue_rig {
    struct fake_disk *disk;
    struct sim_exec exec;
    struct consume_queues *t;
    unsigned rounds;          /* that ended */
    enum mq_err round;        /* how the last one ended */
    struct fault why;
};
void qr_new(struct queue_rig *r);
/* clean, [min, max) of the log as recovery found it; returns how far units reach. */
uint64_t qr_open(struct queue_rig *r, bool clean, uint64_t min_phys, uint64_t max_phys);
void qr_close(struct queue_rig *r);  /* forgets what was not written */
void qr_cut(struct queue_rig *r, enum fake_cut how, uint64_t arg); /* the power goes; the table is forgotten */
void qr_end(struct queue_rig *r);
struct cq_unit qr_unit(int32_t queue_id, int64_t off); /* record `off` of queue `id`: QR_RECORD bytes each, queues interleaved by 4 */
struct consume_queue *qr_queue(struct queue_rig *r, const char *topic, int32_t id); /* NULL when absent */
void qr_add(struct queue_rig *r, const char *topic, int32_t id, int64_t from, int64_t to);
bool qr_round(struct queue_rig *r, bool thorough); /* starts one and runs all works; false: nothing to do */
void qr_on_round(void *arg, enum mq_err err, const struct fault *why); /* arg: the rig, which counts */
void qr_expect(struct queue_rig *r, const char *topic, int32_t id, int64_t min, int64_t max); /* bounds, and every unit of them */
#endif
