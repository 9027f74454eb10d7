/* queue_rig.c - see queue_rig.h. */
#include "tests/unit/store/queue_rig.h"

#include <criterion/criterion.h>
#include <string.h>

#include "common/base/log.h"

void qr_new(struct queue_rig *r)
{
    memset(r, 0, sizeof *r);
    log_set_level(LOG_OFF);
    r->disk = fake_disk_new(1);
    fake_disk_writeback(r->disk, 0);
    sim_exec_init(&r->exec, 1);
}

uint64_t qr_open(struct queue_rig *r, bool clean, uint64_t min_phys, uint64_t max_phys)
{
    uint64_t dispatched = 0;
    struct fault why = {0};
    char text[300];
    enum mq_err err = consume_queues_open(fake_disk_io(r->disk), &r->exec.store, QR_FILE, QR_LEAST * CQ_UNIT, &r->t, &why);
    cr_assert_eq(err, MQ_OK, "%s", fault_text(&why, text, sizeof text));
    cr_assert_geq(fake_disk_io(r->disk)->sync_dir(r->disk, "."), 0); /* the store's part: the name of the folder of all queues */
    err = consume_queues_recover(r->t, clean, min_phys, max_phys, &dispatched, &why);
    cr_assert_eq(err, MQ_OK, "%s", fault_text(&why, text, sizeof text));
    return dispatched;
}

void qr_close(struct queue_rig *r)
{
    sim_exec_drain(&r->exec);
    consume_queues_close(r->t);
    r->t = NULL;
}

void qr_cut(struct queue_rig *r, enum fake_cut how, uint64_t arg)
{
    struct fake_disk *after = fake_disk_clone(r->disk, 1);
    fake_disk_cut(after, how, arg);
    if (r->t != NULL)
        qr_close(r);
    fake_disk_free(r->disk);
    r->disk = after;
    fake_disk_writeback(r->disk, 0);
}

void qr_end(struct queue_rig *r)
{
    if (r->t != NULL)
        qr_close(r);
    fake_disk_free(r->disk);
    r->disk = NULL;
}

struct cq_unit qr_unit(int32_t queue_id, int64_t off)
{
    return (struct cq_unit){.phys_off = (off * 4 + queue_id) * QR_RECORD, .size = QR_RECORD, .tags_code = -off * 1000 - queue_id};
}

struct consume_queue *qr_queue(struct queue_rig *r, const char *topic, int32_t id) { return consume_queue_find(r->t, slice_str(topic), id); }

void qr_add(struct queue_rig *r, const char *topic, int32_t id, int64_t from, int64_t to)
{
    struct consume_queue *q = consume_queue_of(r->t, slice_str(topic), id);
    cr_assert(q != NULL);
    for (int64_t i = from; i < to; i++)
        cr_assert_eq(consume_queue_add(r->t, q, i, qr_unit(id, i)), MQ_OK);
}

void qr_on_round(void *arg, enum mq_err err, const struct fault *why)
{
    struct queue_rig *r = arg;
    r->rounds++;
    r->round = err;
    r->why = *why;
}

bool qr_round(struct queue_rig *r, bool thorough)
{
    struct store_work *w = consume_queues_flush_job(r->t, thorough, qr_on_round, r);
    if (w == NULL)
        return false;
    r->exec.store.submit(r->exec.store.ctx, LANE_FLUSH, w);
    sim_exec_drain(&r->exec);
    return true;
}

void qr_expect(struct queue_rig *r, const char *topic, int32_t id, int64_t min, int64_t max)
{
    struct consume_queue *q = qr_queue(r, topic, id);
    struct cq_unit u, many[7];
    cr_assert(q != NULL, "%s/%d is absent", topic, id);
    cr_expect_eq(consume_queue_min(q), min, "%s/%d: min is %lld, not %lld", topic, id, (long long)consume_queue_min(q), (long long)min);
    cr_expect_eq(consume_queue_max(q), max, "%s/%d: max is %lld, not %lld", topic, id, (long long)consume_queue_max(q), (long long)max);
    for (int64_t i = min; i < max; i++) {
        struct cq_unit want = qr_unit(id, i);
        cr_assert_eq(consume_queue_read(r->t, q, i, &u, 1, true, NULL), 1, "%s/%d at %lld", topic, id, (long long)i);
        cr_assert(u.phys_off == want.phys_off && u.size == want.size && u.tags_code == want.tags_code, "%s/%d at %lld: %lld %u %lld", topic, id, (long long)i,
                  (long long)u.phys_off, u.size, (long long)u.tags_code);
    }
    for (int64_t i = min; i < max; i += 7) { /* and in blocks that cross files and buffers */
        int64_t n = consume_queue_read(r->t, q, i, many, 7, true, NULL);
        cr_assert_eq(n, max - i < 7 ? max - i : 7);
        for (int64_t k = 0; k < n; k++)
            cr_assert_eq(many[k].phys_off, qr_unit(id, i + k).phys_off);
    }
    cr_expect_eq(consume_queue_read(r->t, q, max, &u, 1, true, NULL), 0, "nothing behind max");
}
