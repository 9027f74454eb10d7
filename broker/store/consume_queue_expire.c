/* consume_queue_expire.c - minima follow the log, old files and deleted topics go.
 *
 * When the log's oldest file goes, every queue whose oldest unit pointed into it has to search its new minimum: 100,000 searches at
 * worst, so they are works of LANE_CHORE, a slice of queues each. A queue knows the place of its oldest record (min_phys), so
 * that those not concerned are passed over without reading. A slice has two halves: search; then, after the core forgot the
 * old files, unlink.
 *
 * A deleted topic leaves the table at once and is `doomed`: its files go when no other work touches them. A topic of
 * the same name may come back before that; it is `blocked`, collecting units in memory, until the old files are gone.
 *
 *   I1  a file is unlinked only when all its units point below the log's start and a younger file exists.
 *   I2  a unit of a topic made anew never lands in a file of its deleted namesake.   (test: unit/store queue_expire)
 * A file that can't be unlinked is logged and left: the next start finds it again. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "broker/store/consume_queue_internal.h"
#include "common/base/buf.h"
#include "common/base/log.h"
#include "common/base/mem.h"

/* ---- minima ---- */

struct sweep_item {
    struct consume_queue *q;
    int64_t min, written;      /* searched: [min, written) */
    int64_t found, found_phys; /* found == written: none of them */
    int64_t old, old_end;      /* files to unlink: starts from old up to old_end */
    int err;
};
struct cq_sweep {
    struct store_work work;
    struct consume_queues *t;
    uint64_t min_phys;
    size_t n;
    struct sweep_item items[CQ_SLICE];
};

static void sweep_search(struct store_work *w)
{
    struct cq_sweep *s = CONTAINER_OF(w, struct cq_sweep, work);
    for (size_t i = 0; i < s->n; i++) {
        struct sweep_item *it = &s->items[i];
        struct cq_probe p;
        struct cq_unit u;
        cq_probe_begin(&p, s->t, it->q->topic, it->q->id);
        it->found_phys = INT64_MAX;
        it->err = cq_partition(&p, it->min, it->written, cq_test_expired, (int64_t)s->min_phys, &it->found);
        if (it->err == 0 && it->found < it->written && (it->err = cq_probe_at(&p, it->found, &u)) == 0)
            it->found_phys = u.phys_off;
        cq_probe_end(&p);
    }
}

static void sweep_unlink(struct store_work *w)
{
    struct cq_sweep *s = CONTAINER_OF(w, struct cq_sweep, work);
    for (size_t i = 0; i < s->n; i++)
        for (int64_t file = s->items[i].old; file < s->items[i].old_end; file += s->t->per_file) {
            char path[STORE_PATH_MAX];
            cq_path(s->items[i].q->topic, s->items[i].q->id, file * CQ_UNIT, path);
            int r = s->t->io.unlink(s->t->io.ctx, path);
            if (r < 0 && r != -ENOENT)
                log_warn("store", "old queue file stays path=%s errno=%d", path, -r);
        }
}

/* Moves the minimum through units in memory. */
static void min_in_memory(struct consume_queue *q, uint64_t min_phys)
{
    struct cq_unit u;
    q->min_phys = INT64_MAX;
    for (; q->min < q->max && cq_unit_in_memory(q, q->min, &u); q->min++)
        if (!cq_test_expired(u, (int64_t)min_phys)) {
            q->min_phys = u.phys_off;
            return;
        }
}

static void sweep_step(struct cq_sweep *s);

static void sweep_release(struct store_work *w)
{
    struct cq_sweep *s = CONTAINER_OF(w, struct cq_sweep, work);
    for (size_t i = 0; i < s->n; i++)
        cq_work_ended(s->t, s->items[i].q);
    sweep_step(s);
}

static void sweep_found(struct store_work *w)
{
    struct cq_sweep *s = CONTAINER_OF(w, struct cq_sweep, work);
    struct consume_queues *t = s->t;
    bool unlink = false;
    for (size_t i = 0; i < s->n; i++) {
        struct sweep_item *it = &s->items[i];
        struct consume_queue *q = it->q;
        it->old = it->old_end = q->first;
        if (it->err < 0) {
            log_warn("store", "queue's minimum not found topic=%s queue=%" PRId32 " errno=%d", q->topic->name, q->id, -it->err);
            continue;
        }
        q->min = it->found;
        q->min_phys = it->found_phys;
        if (q->min == it->written)
            min_in_memory(q, s->min_phys);
        while (q->files > 1 && q->first + t->per_file <= q->min) {
            q->first += t->per_file;
            q->files--;
        }
        it->old_end = q->first;
        if (it->old_end == it->old)
            continue;
        unlink = true;
        if (q->synced < q->first)
            q->synced = q->first;
        cq_fds_drop(t, q->topic, q, q->first, INT64_MAX);
    }
    if (!unlink) {
        sweep_release(w);
        return;
    }
    w->run = sweep_unlink;
    w->done = sweep_release;
    if (t->exec != NULL) {
        t->exec->submit(t->exec->ctx, LANE_CHORE, w);
    } else {
        sweep_unlink(w);
        sweep_release(w);
    }
}

static void take_slice(struct consume_queues *t, struct cq_sweep *s)
{
    for (s->n = 0; s->n < CQ_SLICE && t->sweep_at < t->n; t->sweep_at++) {
        struct consume_queue *q = t->all[t->sweep_at];
        if ((uint64_t)q->min_phys >= s->min_phys)
            continue;
        if (q->busy) {
            t->sweep_again = true;
        } else if (q->min >= q->written) {
            min_in_memory(q, s->min_phys);
        } else {
            q->busy = true;
            q->topic->works++;
            s->items[s->n++] = (struct sweep_item){.q = q, .min = q->min, .written = q->written};
        }
    }
}

static void sweep_start(struct consume_queues *t)
{
    struct cq_sweep *s = mem_zalloc(sizeof *s);
    t->sweep_again = s == NULL; /* out of memory: with the next round's end */
    if (s == NULL)
        return;
    t->sweeping = true;
    t->sweep_at = 0;
    s->t = t;
    s->min_phys = t->min_phys;
    list_init(&s->work.node);
    sweep_step(s);
}

static void sweep_step(struct cq_sweep *s)
{
    struct consume_queues *t = s->t;
    take_slice(t, s);
    if (s->n > 0) {
        s->work.run = sweep_search;
        s->work.done = sweep_found;
        if (t->exec != NULL) {
            t->exec->submit(t->exec->ctx, LANE_CHORE, &s->work);
        } else {
            sweep_search(&s->work);
            sweep_found(&s->work); /* comes back here: as deep as there are slices */
        }
        return;
    }
    bool again = t->min_phys > s->min_phys || (t->sweep_again && t->flushing == NULL);
    t->sweeping = false;
    mem_free(s);
    if (again)
        sweep_start(t);
}

void cq_sweep_more(struct consume_queues *t)
{
    if (t->sweep_again && !t->sweeping)
        sweep_start(t);
}

void consume_queues_min_phys(struct consume_queues *t, uint64_t min_phys)
{
    owner_assert(&t->owner);
    if (min_phys <= t->min_phys || min_phys > INT64_MAX)
        return;
    t->min_phys = min_phys;
    if (!t->sweeping)
        sweep_start(t);
}

/* ---- deleted topics ---- */

struct doom {
    struct store_work work;
    struct cq_topic *topic; /* nobody else touches it any more */
};

static void take_names(void *arg, const char *name, bool is_dir)
{
    if (!is_dir)
        buf_put(arg, name, strlen(name) + 1);
}

static void unlink_folder(const struct store_io *io, const char *folder)
{
    struct buf names = {0};
    char path[STORE_PATH_MAX];
    int r = io->list(io->ctx, folder, take_names, &names);
    if (names.failed)
        r = -ENOMEM;
    for (size_t at = 0; r >= 0 && at < names.n; at += strlen((const char *)names.p + at) + 1) {
        int n = snprintf(path, sizeof path, "%s/%s", folder, (const char *)names.p + at);
        if (n < 0 || n >= (int)sizeof path)
            continue;
        int gone = io->unlink(io->ctx, path);
        r = gone < 0 && gone != -ENOENT ? gone : r;
    }
    buf_free(&names);
    if (r >= 0)
        r = io->rmdir(io->ctx, folder);
    if (r < 0 && r != -ENOENT)
        log_warn("store", "folder of a deleted topic stays path=%s errno=%d", folder, -r);
}

static void doom_run(struct store_work *w)
{
    struct cq_topic *topic = CONTAINER_OF(w, struct doom, work)->topic;
    const struct store_io *io = &topic->table->io;
    char path[STORE_PATH_MAX];
    for (uint32_t i = 0; i < topic->n; i++) {
        cq_path(topic, topic->queues[i]->id, -1, path);
        unlink_folder(io, path);
    }
    snprintf(path, sizeof path, CQ_DIR "/%s", topic->name);
    int r = io->rmdir(io->ctx, path);
    if (r < 0 && r != -ENOENT)
        log_warn("store", "folder of a deleted topic stays path=%s errno=%d", path, -r);
}

static struct cq_topic *living(struct consume_queues *t, struct slice name)
{
    struct hash_node *node = hashmap_get(&t->topics, name);
    return node != NULL ? CONTAINER_OF(node, struct cq_topic, node) : NULL;
}

static void doom_end(struct cq_topic *topic)
{
    struct cq_topic *heir = living(topic->table, slice_make(topic->name, topic->name_n));
    if (heir != NULL)
        heir->blocked = false;
    list_remove(&topic->doom);
    cq_topic_free(topic);
}

static void doom_done(struct store_work *w)
{
    struct doom *d = CONTAINER_OF(w, struct doom, work);
    doom_end(d->topic);
    mem_free(d);
}

static void doom_start(struct consume_queues *t, struct cq_topic *topic)
{
    bool files = false;
    for (uint32_t i = 0; i < topic->n; i++)
        files = files || topic->queues[i]->files > 0 || topic->queues[i]->flight != NULL;
    struct doom *d = t->exec != NULL && files ? mem_zalloc(sizeof *d) : NULL;
    if (d != NULL) {
        d->topic = topic;
        d->work.run = doom_run;
        d->work.done = doom_done;
        list_init(&d->work.node);
        t->exec->submit(t->exec->ctx, LANE_CHORE, &d->work);
        return;
    }
    struct doom here = {.topic = topic};
    if (files)
        doom_run(&here.work);
    doom_end(topic);
}

bool cq_topic_is_doomed(const struct consume_queues *t, struct slice name)
{
    for (const struct list *it = t->doomed.next; it != &t->doomed; it = it->next) {
        const struct cq_topic *topic = CONTAINER_OF(it, struct cq_topic, doom);
        if (slice_eq(slice_make(topic->name, topic->name_n), name))
            return true;
    }
    return false;
}

void cq_work_ended(struct consume_queues *t, struct consume_queue *q)
{
    struct cq_topic *topic = q->topic;
    q->busy = false;
    topic->works--;
    if (!topic->doomed && (q->tail != NULL || q->flight != NULL || q->synced < q->written))
        cq_mark_dirty(t, q);
    else if (topic->doomed && topic->works == 0)
        doom_start(t, topic);
}

void consume_queues_delete_topic(struct consume_queues *t, struct slice name)
{
    owner_assert(&t->owner);
    struct cq_topic *topic = living(t, name);
    if (topic == NULL)
        return;
    hashmap_remove(&t->topics, &topic->node);
    cq_fds_drop(t, topic, NULL, INT64_MAX, INT64_MAX);
    for (uint32_t i = 0; i < topic->n; i++) {
        struct consume_queue *q = topic->queues[i];
        list_remove(&q->link);
        cq_tail_free(t, q->tail);
        q->tail = NULL;
        t->all[q->at] = t->all[--t->n];
        t->all[q->at]->at = q->at;
    }
    topic->doomed = true;
    list_push_back(&t->doomed, &topic->doom);
    if (topic->works == 0)
        doom_start(t, topic);
}
