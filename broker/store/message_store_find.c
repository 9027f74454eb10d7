/* message_store_find.c - records by place, by time and by key; queue bounds; warming what is cold.
 *
 * A place or a size that comes from outside (an id, a queue's file, the index) is an assumption: bytes count as a record only if they carry
 * their own place, a magic and a size that fits (store_record_good).
 *   I1  nothing is appended to body unless it is whole.                             (test: unit/store find)
 * By time: 4.9.8's binary search over store times, with its nearer-neighbour rule (inventory g.12); over the whole queue instead of the one
 * file that its modification time selects, which is the same answer where that selection is right. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "broker/store/message_store_internal.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/protocol/codes.h"
#include "common/protocol/rd.h"

enum { WARM_PIECE = 256 << 10, QUERY_MAX = 64 };

/* ---- by place ---- */

bool store_record_good(const uint8_t *p, size_t n, uint64_t phys_off, uint32_t *size)
{
    struct rd r = rd_over(p, n);
    *size = rd_u32(&r);
    uint32_t magic = rd_u32(&r);
    rd_take(&r, 20);
    uint64_t own = rd_u64(&r);
    return !r.bad && *size >= MESSAGE_FIXED && (magic == MESSAGE_MAGIC_V1 || magic == MESSAGE_MAGIC_V2) && own == phys_off;
}

void store_cold(struct message_store *s, uint64_t phys_off, size_t n, struct cold_range *cold)
{
    uint64_t size = commit_log_file_size(s->log), left = size - phys_off % size, written = commit_log_written(s->log) - phys_off;
    commit_log_path(s->log, phys_off - phys_off % size, cold->path);
    cold->off = phys_off % size;
    cold->n = n;
    if (cold->n > left)
        cold->n = (size_t)left;
    if (cold->n > written)
        cold->n = (size_t)written;
}

static enum mq_err code_of(struct message_store *s, int64_t r, uint64_t phys_off, size_t n, struct cold_range *cold)
{
    if (r >= 0)
        return MQ_OK;
    if (r == -ENOENT)
        return MQ_ENOTFOUND;
    if (r == -EAGAIN && cold != NULL)
        store_cold(s, phys_off, n, cold);
    return r == -EAGAIN ? MQ_EAGAIN : r == -ENOMEM ? MQ_ENOMEM : MQ_EIO;
}

enum mq_err store_read_record(struct message_store *s, int64_t phys_off, uint32_t size, bool may_block, struct buf *body, struct cold_range *cold)
{
    uint8_t h[MESSAGE_FIXED];
    uint32_t found;
    if (phys_off < 0)
        return MQ_ENOTFOUND;
    uint64_t at = (uint64_t)phys_off;
    enum mq_err err = code_of(s, commit_log_read(s->log, h, sizeof h, at, may_block), at, size > sizeof h ? size : sizeof h, cold);
    if (err != MQ_OK)
        return err;
    if (!store_record_good(h, sizeof h, at, &found) || (size != 0 && found != size) || found > commit_log_file_size(s->log))
        return MQ_ENOTFOUND;
    uint8_t *to = buf_room(body, found);
    if (to == NULL)
        return MQ_ENOMEM;
    err = code_of(s, commit_log_read(s->log, to, found, at, may_block), at, found, cold);
    struct message m;
    if (err == MQ_OK && message_decode(slice_make(to, found), false, &m) != MQ_OK)
        err = MQ_ENOTFOUND;
    if (err == MQ_OK)
        body->n += found;
    return err;
}

enum mq_err message_store_at(struct message_store *s, int64_t phys_off, bool may_block, struct buf *body, struct cold_range *cold)
{
    owner_assert(&s->owner);
    return store_read_record(s, phys_off, 0, may_block, body, cold);
}

/* ---- queues ---- */

int64_t message_store_min_offset(struct message_store *s, struct slice topic, int32_t queue_id)
{
    owner_assert(&s->owner);
    const struct consume_queue *q = consume_queue_find(s->queues, topic, queue_id);
    return q != NULL ? consume_queue_min(q) : 0;
}

int64_t message_store_max_offset(struct message_store *s, struct slice topic, int32_t queue_id)
{
    owner_assert(&s->owner);
    const struct consume_queue *q = consume_queue_find(s->queues, topic, queue_id);
    return q != NULL ? consume_queue_max(q) : 0;
}

static bool unit_at(struct message_store *s, struct consume_queue *q, int64_t queue_off, struct cq_unit *out)
{
    return queue_off >= consume_queue_min(q) && queue_off < consume_queue_max(q) &&
           consume_queue_read(s->queues, q, queue_off, out, 1, true, NULL) == 1 && out->size != CQ_PAD_SIZE && out->phys_off >= 0;
}

/* Store time of the record at phys_off, -1: none there. */
static int64_t record_ms(struct message_store *s, int64_t phys_off)
{
    uint8_t h[MESSAGE_FIXED];
    uint32_t size;
    if (commit_log_read(s->log, h, sizeof h, (uint64_t)phys_off, true) < 0 || !store_record_good(h, sizeof h, (uint64_t)phys_off, &size))
        return -1;
    struct rd r = rd_over(h, sizeof h);
    rd_take(&r, 36);
    rd_take(&r, 8 + (rd_u32(&r) & SYS_BORN_HOST_V6 ? 20u : 8u));
    return rd_i64(&r);
}

int64_t message_store_time_of(struct message_store *s, struct slice topic, int32_t queue_id, int64_t queue_off)
{
    owner_assert(&s->owner);
    struct consume_queue *q = consume_queue_find(s->queues, topic, queue_id);
    struct cq_unit u;
    return q != NULL && unit_at(s, q, queue_off, &u) ? record_ms(s, u.phys_off) : -1;
}

int64_t message_store_phys_of(struct message_store *s, struct slice topic, int32_t queue_id, int64_t queue_off)
{
    owner_assert(&s->owner);
    struct consume_queue *q = consume_queue_find(s->queues, topic, queue_id);
    struct cq_unit u;
    return q != NULL && unit_at(s, q, queue_off, &u) ? u.phys_off : -1;
}

int64_t message_store_offset_by_time(struct message_store *s, struct slice topic, int32_t queue_id, int64_t time_ms)
{
    owner_assert(&s->owner);
    struct consume_queue *q = consume_queue_find(s->queues, topic, queue_id);
    if (q == NULL || consume_queue_min(q) >= consume_queue_max(q))
        return 0;
    int64_t low = consume_queue_min(q), high = consume_queue_max(q) - 1, left = -1, right = -1, left_ms = -1, right_ms = -1;
    while (low <= high) {
        int64_t mid = low + (high - low) / 2, ms;
        struct cq_unit u;
        if (!unit_at(s, q, mid, &u) || (uint64_t)u.phys_off < commit_log_min(s->log)) { /* expired, or padding */
            low = mid + 1;
            continue;
        }
        ms = record_ms(s, u.phys_off);
        if (ms < 0)
            return 0;
        if (ms == time_ms)
            return mid;
        if (ms > time_ms) {
            high = mid - 1;
            right = mid;
            right_ms = ms;
        } else {
            low = mid + 1;
            left = mid;
            left_ms = ms;
        }
    }
    if (left < 0)
        return right < 0 ? 0 : right;
    return right >= 0 && time_ms - left_ms > right_ms - time_ms ? right : left;
}

/* ---- by key ---- */

static bool has_key(const struct message *m, struct slice key)
{
    struct slice value, token;
    if (prop_get(m->properties, PROP_UNIQ_KEY, &value) && slice_eq(value, key))
        return true;
    if (!prop_get(m->properties, PROP_KEYS, &value))
        return false;
    while (slice_cut(&value, ' ', &token))
        if (slice_eq(token, key))
            return true;
    return false;
}

enum mq_err message_store_query(struct message_store *s, struct slice topic, struct slice key, uint32_t max, int64_t begin_ms, int64_t end_ms,
                                struct buf *body, struct query_result *out)
{
    owner_assert(&s->owner);
    int64_t places[QUERY_MAX];
    uint32_t n = 0;
    *out = (struct query_result){0};
    if (s->index == NULL)
        return MQ_OK;
    enum mq_err err = msg_index_find(s->index, topic, key, max < QUERY_MAX ? max : QUERY_MAX, begin_ms, end_ms, places, &n, &out->index_last_ms,
                                     &out->index_last_phys_off);
    for (uint32_t i = 0; i < n && err != MQ_ENOMEM; i++) { /* the index holds hashes only, and places that may be gone */
        size_t before = body->n;
        struct message m;
        enum mq_err got = store_read_record(s, places[i], 0, true, body, NULL);
        if (got == MQ_ENOTFOUND)
            continue;
        if (got != MQ_OK) {
            err = got;
            if (log_ok_now(&s->read_log_ms, 10000))
                log_warn("store", "query passes over a record place=%" PRId64 " why=%s", places[i], mq_err_words(got));
            continue;
        }
        if (message_decode(slice_make(body->p + before, body->n - before), false, &m) == MQ_OK && slice_eq(m.topic, topic) && has_key(&m, key))
            out->n_msgs++;
        else
            body->n = before;
    }
    return err;
}

/* ---- warming ---- */

struct warming {
    struct store_work work;
    const struct store_io *io;
    struct cold_range cold;
    void (*fn)(void *arg);
    void *arg;
};

static void warm_run(struct store_work *w)
{
    struct warming *x = CONTAINER_OF(w, struct warming, work);
    const struct store_io *io = x->io;
    uint8_t *scratch = mem_alloc(WARM_PIECE);
    int fd = scratch != NULL ? io->open(io->ctx, x->cold.path, STORE_OPEN_READ) : -1;
    for (size_t done = 0; fd >= 0 && done < x->cold.n;) {
        size_t n = x->cold.n - done < WARM_PIECE ? x->cold.n - done : WARM_PIECE;
        if (io->pread(io->ctx, fd, scratch, n, x->cold.off + done) <= 0)
            break; /* whoever reads it next is told why */
        done += n;
    }
    if (fd >= 0)
        io->close(io->ctx, fd);
    mem_free(scratch);
}

static void warm_done(struct store_work *w)
{
    struct warming *x = CONTAINER_OF(w, struct warming, work);
    x->fn(x->arg);
    mem_free(x);
}

bool message_store_warm(struct message_store *s, const struct cold_range *cold, void (*fn)(void *arg), void *arg)
{
    owner_assert(&s->owner);
    struct warming *x = mem_zalloc(sizeof *x);
    if (x == NULL)
        return false;
    *x = (struct warming){.work = {.run = warm_run, .done = warm_done}, .io = &s->io, .cold = *cold, .fn = fn, .arg = arg};
    list_init(&x->work.node);
    s->exec.submit(s->exec.ctx, LANE_READ, &x->work);
    return true;
}
