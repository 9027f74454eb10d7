/* consume_queue.c - the table of queues; units are added to memory and read from memory or file.
 *
 * A queue is one line of units. From left to right: [first, written) is in files; [written, ...) in `flight` is in the hands of a
 * flush round, which only reads it; the rest, up to max, is in `tail`. Adding touches nothing but `tail`.
 *
 *   I1  first <= min <= max <= next and synced <= written <= max.
 *   I2  a unit of [min, max) can be read at any moment, whichever work is under way.  (tests: unit/store queue_flush)
 *   I3  an idle queue owns no buffer and no descriptor: sizeof(struct consume_queue) and its share of a topic, <= 200 bytes.
 *                                                                       (test: unit/store queue, an_idle_queue_costs_little)
 * Why one growing buffer per queue and not a ring of all units: a flush hands the whole buffer over and forgets it, readers index it
 * without a search, and realloc() of what is large moves pages, not bytes. */
#include "broker/store/consume_queue.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "broker/store/consume_queue_internal.h"
#include "common/base/mem.h"

enum { TAIL_FIRST = 11 }; /* units of a fresh tail: with its head 244 bytes */

static uint32_t get_u32(const uint8_t *p) { return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]; }
static uint64_t get_u64(const uint8_t *p) { return (uint64_t)get_u32(p) << 32 | get_u32(p + 4); }
static void set_u32(uint8_t *p, uint32_t v)
{
    v = __builtin_bswap32(v);
    memcpy(p, &v, sizeof v);
}
static void set_u64(uint8_t *p, uint64_t v)
{
    v = __builtin_bswap64(v);
    memcpy(p, &v, sizeof v);
}

struct cq_unit cq_decode(const uint8_t *p)
{
    return (struct cq_unit){.phys_off = (int64_t)get_u64(p), .size = get_u32(p + 8), .tags_code = (int64_t)get_u64(p + 12)};
}

void cq_encode(uint8_t *p, struct cq_unit u)
{
    set_u64(p, (uint64_t)u.phys_off);
    set_u32(p + 8, u.size);
    set_u64(p + 12, (uint64_t)u.tags_code);
}

/* ---- the table ---- */

static bool name_fits(struct slice topic)
{
    if (topic.n == 0 || topic.n > CQ_TOPIC_MAX || slice_is(topic, ".") || slice_is(topic, ".."))
        return false;
    return memchr(topic.p, '/', topic.n) == NULL && memchr(topic.p, 0, topic.n) == NULL;
}

static struct cq_topic *topic_find(const struct consume_queues *t, struct slice name)
{
    struct hash_node *node = hashmap_get(&t->topics, name);
    return node != NULL ? CONTAINER_OF(node, struct cq_topic, node) : NULL;
}

static struct cq_topic *topic_make(struct consume_queues *t, struct slice name)
{
    if (!name_fits(name))
        return NULL;
    struct cq_topic *topic = mem_zalloc(sizeof *topic + name.n + 1);
    if (topic == NULL)
        return NULL;
    topic->table = t;
    topic->name_n = (uint16_t)name.n;
    memcpy(topic->name, name.p, name.n);
    list_init(&topic->doom);
    topic->blocked = cq_topic_is_doomed(t, name);
    if (!hashmap_add(&t->topics, &topic->node, slice_make(topic->name, name.n))) {
        mem_free(topic);
        return NULL;
    }
    t->memory += sizeof *topic + name.n + 1;
    return topic;
}

void cq_tail_free(struct consume_queues *t, struct cq_tail *tail)
{
    if (tail == NULL)
        return;
    t->memory -= sizeof *tail + (size_t)tail->cap * CQ_UNIT;
    t->waiting -= (size_t)tail->n * CQ_UNIT;
    mem_free(tail);
}

void cq_topic_free(struct cq_topic *topic)
{
    struct consume_queues *t = topic->table;
    for (uint32_t i = 0; i < topic->n; i++) {
        struct consume_queue *q = topic->queues[i];
        cq_tail_free(t, q->tail);
        cq_tail_free(t, q->flight);
        t->memory -= sizeof *q;
        mem_free(q);
    }
    t->memory -= sizeof *topic + topic->name_n + 1u + topic->cap * sizeof *topic->queues;
    mem_free(topic->queues);
    mem_free(topic);
}

/* Place of id among the topic's queues, or where it would be. */
static uint32_t place_of(const struct cq_topic *topic, int32_t id)
{
    if (id >= 0 && (uint32_t)id < topic->n && topic->queues[id]->id == id)
        return (uint32_t)id;
    uint32_t lo = 0, hi = topic->n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (topic->queues[mid]->id < id)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

struct consume_queue *consume_queue_find(struct consume_queues *t, struct slice topic, int32_t queue_id)
{
    owner_assert(&t->owner);
    const struct cq_topic *found = topic_find(t, topic);
    if (found == NULL)
        return NULL;
    uint32_t at = place_of(found, queue_id);
    return at < found->n && found->queues[at]->id == queue_id ? found->queues[at] : NULL;
}

static bool pointers_room(struct consume_queues *t, struct consume_queue ***v, uint32_t n, uint32_t *cap, uint32_t first)
{
    if (n < *cap)
        return true;
    uint32_t more = *cap ? *cap + *cap / 2 + 1 : first;
    struct consume_queue **p = mem_realloc(*v, more * sizeof *p);
    if (p == NULL)
        return false;
    t->memory += (more - *cap) * sizeof *p;
    *v = p;
    *cap = more;
    return true;
}

struct consume_queue *cq_make(struct consume_queues *t, struct slice name, int32_t queue_id)
{
    struct cq_topic *topic = topic_find(t, name);
    if (queue_id < 0 || (topic == NULL && (topic = topic_make(t, name)) == NULL))
        return NULL;
    if (!pointers_room(t, &topic->queues, topic->n, &topic->cap, 4) || !pointers_room(t, &t->all, t->n, &t->cap, 64))
        return NULL; /* a topic without queues may stay: harmless */
    struct consume_queue *q = mem_zalloc(sizeof *q);
    if (q == NULL)
        return NULL;
    q->topic = topic;
    q->id = queue_id;
    q->min_phys = INT64_MAX;
    list_init(&q->link);
    uint32_t at = place_of(topic, queue_id);
    memmove(topic->queues + at + 1, topic->queues + at, (topic->n - at) * sizeof(struct consume_queue *));
    topic->queues[at] = q;
    topic->n++;
    q->at = t->n;
    t->all[t->n++] = q;
    t->memory += sizeof *q;
    return q;
}

struct consume_queue *consume_queue_of(struct consume_queues *t, struct slice topic, int32_t queue_id)
{
    struct consume_queue *q = consume_queue_find(t, topic, queue_id);
    return q != NULL ? q : cq_make(t, topic, queue_id);
}

int64_t consume_queue_min(const struct consume_queue *q) { return q->min; }
int64_t consume_queue_max(const struct consume_queue *q) { return q->max; }
int64_t consume_queue_next(const struct consume_queue *q) { return q->next; }
void consume_queue_set_next(struct consume_queue *q, int64_t queue_off) { q->next = queue_off > q->max ? queue_off : q->max; }
int64_t consume_queue_roll_next(const struct consume_queues *t, int64_t queue_off) { return cq_file_of(t, queue_off) + t->per_file; }
size_t consume_queues_waiting(const struct consume_queues *t) { return t->waiting; }
bool consume_queues_dirty(const struct consume_queues *t) { return !list_empty(&t->dirty) || !list_empty(&t->ripe); }
bool consume_queues_ripe(const struct consume_queues *t) { return !list_empty(&t->ripe); }
size_t consume_queues_count(const struct consume_queues *t) { return t->n; }
size_t consume_queues_memory(const struct consume_queues *t) { return t->memory + t->topics.n_slots * sizeof(void *); }

void consume_queues_each(struct consume_queues *t, store_queue_fn *fn, void *arg)
{
    owner_assert(&t->owner);
    for (uint32_t i = 0; i < t->n; i++) {
        const struct consume_queue *q = t->all[i];
        fn(arg, slice_make(q->topic->name, q->topic->name_n), q->id, q->min, q->max);
    }
}

/* ---- adding ---- */

static bool is_ripe(const struct consume_queues *t, const struct consume_queue *q) { return (uint64_t)(q->max - q->synced) * CQ_UNIT >= t->least; }

void cq_mark_dirty(struct consume_queues *t, struct consume_queue *q)
{
    if (q->taken)
        return;
    list_remove(&q->link);
    list_push_back(is_ripe(t, q) ? &t->ripe : &t->dirty, &q->link);
}

/* Room for `more` units behind the tail, which starts at max when there is none. */
static struct cq_tail *tail_room(struct consume_queues *t, struct consume_queue *q, int64_t more)
{
    struct cq_tail *tail = q->tail;
    uint32_t n = tail != NULL ? tail->n : 0, cap = tail != NULL ? tail->cap : 0;
    if (more <= cap - n)
        return tail;
    if (more > (INT32_MAX / 4 - (int64_t)n))
        return NULL;
    uint32_t want = n + (uint32_t)more, grown = cap + cap / 2;
    if (cap == 0 && want < TAIL_FIRST)
        want = TAIL_FIRST;
    else if (want < grown)
        want = grown;
    struct cq_tail *bigger = mem_realloc(tail, sizeof *tail + (size_t)want * CQ_UNIT);
    if (bigger == NULL)
        return NULL;
    t->memory += tail != NULL ? (size_t)(want - cap) * CQ_UNIT : sizeof *tail + (size_t)want * CQ_UNIT;
    if (tail == NULL)
        *bigger = (struct cq_tail){.pad_from = q->max, .base = q->max};
    bigger->cap = want;
    q->tail = bigger;
    return bigger;
}

static int64_t phys_of_last(struct consume_queues *t, struct consume_queue *q)
{
    struct cq_unit last = {0};
    if (q->max == q->first || consume_queue_read(t, q, q->max - 1, &last, 1, true, NULL) != 1)
        return 0;
    return last.phys_off;
}

/* Makes max == queue_off: in a queue without units by starting in the file of queue_off, with padding from that file's start (Apache's
 * rule); else by units that point to the record before the gap, so that places still ascend. */
static enum mq_err pad_to(struct consume_queues *t, struct consume_queue *q, int64_t queue_off)
{
    int64_t gap = queue_off - q->max;
    if (q->files == 0 && q->tail == NULL && q->flight == NULL) {
        if (tail_room(t, q, 1) == NULL)
            return MQ_ENOMEM;
        q->first = q->written = q->synced = cq_file_of(t, queue_off);
        q->tail->pad_from = q->first;
        q->tail->base = q->min = q->max = queue_off;
        return MQ_OK;
    }
    if (gap > CQ_GAP_FILES * t->per_file)
        return MQ_ECORRUPT;
    struct cq_unit pad = {.phys_off = phys_of_last(t, q), .size = CQ_PAD_SIZE};
    struct cq_tail *tail = tail_room(t, q, gap + 1);
    if (tail == NULL)
        return MQ_ENOMEM;
    if (q->min == q->max)
        q->min = queue_off;
    for (int64_t i = 0; i < gap; i++)
        cq_encode(tail->units + (size_t)(tail->n + i) * CQ_UNIT, pad);
    tail->n += (uint32_t)gap;
    t->waiting += (size_t)gap * CQ_UNIT;
    q->max = queue_off;
    return MQ_OK;
}

enum mq_err consume_queue_add(struct consume_queues *t, struct consume_queue *q, int64_t queue_off, struct cq_unit unit)
{
    owner_assert(&t->owner);
    if (queue_off < 0 || queue_off > INT64_MAX / CQ_UNIT - 4 * t->per_file || unit.phys_off < 0 || unit.size == 0 || unit.size > CQ_PAD_SIZE)
        return MQ_EINVAL;
    if (queue_off < q->max)
        return MQ_OK;
    bool ripe = is_ripe(t, q);
    if (queue_off > q->max) {
        enum mq_err err = pad_to(t, q, queue_off);
        if (err != MQ_OK)
            return err;
    }
    struct cq_tail *tail = tail_room(t, q, 1);
    if (tail == NULL)
        return MQ_ENOMEM;
    cq_encode(tail->units + (size_t)tail->n * CQ_UNIT, unit);
    tail->n++;
    t->waiting += CQ_UNIT;
    if (q->min == q->max)
        q->min_phys = unit.phys_off;
    q->max++;
    if (q->next < q->max)
        q->next = q->max;
    if (list_empty(&q->link) || ripe != is_ripe(t, q))
        cq_mark_dirty(t, q);
    return MQ_OK;
}

/* ---- reading ---- */

static bool tail_has(const struct cq_tail *tail, int64_t at) { return tail != NULL && at >= tail->pad_from && at < tail->base + tail->n; }

bool cq_unit_in_memory(const struct consume_queue *q, int64_t at, struct cq_unit *out)
{
    const struct cq_tail *tail = tail_has(q->flight, at) ? q->flight : tail_has(q->tail, at) ? q->tail : NULL;
    if (tail == NULL)
        return false;
    *out = at < tail->base ? (struct cq_unit){.size = CQ_PAD_SIZE} : cq_decode(tail->units + (size_t)(at - tail->base) * CQ_UNIT);
    return true;
}

/* Units [at, at + n) of one file, at most CQ_BLOCK. */
static int64_t read_file(struct consume_queues *t, struct consume_queue *q, int64_t at, struct cq_unit *to, size_t n, bool may_block,
                         struct cold_range *cold)
{
    uint8_t raw[CQ_BLOCK * CQ_UNIT];
    int64_t file = cq_file_of(t, at);
    uint64_t off = (uint64_t)(at - file) * CQ_UNIT;
    int fd = cq_fd(t, q, file);
    if (fd < 0)
        return fd;
    int64_t got = may_block ? t->io.pread(t->io.ctx, fd, raw, n * CQ_UNIT, off) : t->io.pread_nowait(t->io.ctx, fd, raw, n * CQ_UNIT, off);
    if (got == -EAGAIN && cold != NULL) {
        cq_path(q->topic, q->id, file * CQ_UNIT, cold->path);
        cold->off = off;
        cold->n = n * CQ_UNIT;
    }
    if (got < 0)
        return got;
    if ((uint64_t)got < n * CQ_UNIT)
        return -EIO; /* written < end of the file: somebody cut it */
    for (size_t i = 0; i < n; i++)
        to[i] = cq_decode(raw + i * CQ_UNIT);
    return (int64_t)n;
}

int64_t consume_queue_read(struct consume_queues *t, struct consume_queue *q, int64_t queue_off, struct cq_unit *to, size_t n, bool may_block,
                           struct cold_range *cold)
{
    owner_assert(&t->owner);
    if (queue_off < q->first)
        return -ENOENT;
    size_t got = 0;
    while (got < n && queue_off < q->written) {
        int64_t room = cq_file_of(t, queue_off) + t->per_file - queue_off;
        if (room > q->written - queue_off)
            room = q->written - queue_off;
        if (room > CQ_BLOCK)
            room = CQ_BLOCK;
        size_t want = (uint64_t)room < n - got ? (size_t)room : n - got;
        int64_t r = read_file(t, q, queue_off, to + got, want, may_block, cold);
        if (r < 0)
            return got > 0 ? (int64_t)got : r;
        got += want;
        queue_off += (int64_t)want;
    }
    for (; got < n && queue_off < q->max && cq_unit_in_memory(q, queue_off, &to[got]); got++)
        queue_off++;
    return (int64_t)got;
}

void consume_queues_close(struct consume_queues *t)
{
    if (t == NULL)
        return;
    owner_assert(&t->owner);
    assert(t->flushing == NULL);
    assert(list_empty(&t->doomed) && !t->sweeping);
    for (struct hash_node *node = hashmap_first(&t->topics), *next; node != NULL; node = next) {
        next = hashmap_next(&t->topics, node);
        cq_topic_free(CONTAINER_OF(node, struct cq_topic, node));
    }
    hashmap_fini(&t->topics);
    mem_free(t->all);
    cq_fds_free(t);
    mem_free(t);
}
