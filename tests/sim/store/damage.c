/* damage.c - bytes that rot: flipped bits and garbage in queue files, index, checkpoint, abort, lock, and behind the log's end.
 * The store may refuse to open such a directory (in words, with path), it may find less; it must not crash, not loop, and never give
 * out a record as a message of a queue and offset where it was not put. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/store/model.h"

/* Reads everything of a queue, one offset at a time: what comes must be what was put there. */
static void read_doubtfully(struct sim *s, unsigned t, unsigned k, const char *what)
{
    struct sim_queue *q = &s->model.queues[t][k];
    struct slice topic = slice_str(sim_topics[t]);
    int64_t max = message_store_max_offset(s->store, topic, (int32_t)k);
    for (int64_t off = message_store_min_offset(s->store, topic, (int32_t)k); off < max && off < (int64_t)q->n + 50 && !s->broken;) {
        struct get_request g = {.topic = topic, .queue_id = (int32_t)k, .queue_off = off, .max_msgs = 3, .max_bytes = 1 << 20, .may_block = true};
        struct get_result r;
        struct buf body = {0};
        message_store_get(s->store, &g, &body, &r);
        struct slice rest = buf_view(&body);
        for (uint32_t i = 0; r.status == GET_FOUND && i < r.n_msgs && !s->broken; i++) {
            struct message m;
            if (message_decode(rest, true, &m) != MQ_OK) {
                sim_break(s, "%s: %s/%u offset %" PRId64 ": a damaged record is given out", what, sim_topics[t], k, off);
                break;
            }
            if (m.queue_off < 0 || m.queue_off >= q->n || !sim_message_is(&m, t, k, q->msgs[m.queue_off].id, q->msgs[m.queue_off].body_n) ||
                m.queue_off < off || m.queue_off >= r.next_off)
                sim_break(s, "%s: I3: %s/%u asked at %" PRId64 ": a record of %.*s/%d offset %" PRId64 " was not put there", what, sim_topics[t], k, off,
                          SLICE_ARG(m.topic), m.queue_id, m.queue_off);
            rest = slice_from(rest, m.size);
        }
        buf_free(&body);
        off = r.status == GET_FOUND && r.next_off > off ? r.next_off : off + 1;
    }
}

static void open_doubtfully(struct sim *s, const char *what)
{
    struct fault why = {0};
    s->visible_off = s->durable_off = 0; /* damage may take what was promised */
    enum mq_err err = sim_try_open(s, &why);
    if (err != MQ_OK) {
        if (why.what[0] == 0)
            sim_break(s, "%s: refused without words", what);
        if (fake_disk_open_files(s->disk) != 0)
            sim_break(s, "%s: refused, and left %d files open", what, fake_disk_open_files(s->disk));
        return;
    }
    for (unsigned t = 0; t < SIM_TOPICS; t++)
        for (unsigned k = 0; k < SIM_QUEUES; k++)
            read_doubtfully(s, t, k, what);
    struct buf body = {0};
    struct query_result r;
    message_store_query(s->store, slice_str(sim_topics[0]), SLICE_LIT("all"), 30, 0, INT64_MAX, &body, &r);
    buf_free(&body);
    for (int i = 0; i < 3 && !s->broken; i++) { /* it goes on; a queue that lost its end may give an offset again */
        struct sim_message *made = calloc(1, sizeof *made);
        struct put_result out;
        struct cold_range cold;
        sim_message_make(made, (unsigned)i, (unsigned)i, s->model.next_id + 2000000 + (unsigned)i, 50);
        enum put_status st = message_store_put(s->store, &made->m, 1, s->now_ms, &out);
        sim_turn(s);
        sim_tick(s, 100);
        sim_exec_drain(&s->exec);
        if (st == PUT_OK && message_store_at(s->store, out.phys_off, true, &body, &cold) != MQ_OK && !message_store_failed(s->store))
            sim_break(s, "%s: a new message is not at its place %" PRId64, what, out.phys_off);
        if (st != PUT_OK && st != PUT_FAILED && st != PUT_BUSY)
            sim_break(s, "%s: a put says %d", what, (int)st);
        buf_free(&body);
        free(made);
    }
    sim_close(s);
}

/* ---- choosing where ---- */

struct choice {
    const char *prefix;
    struct rng *rng;
    unsigned seen;
    char path[STORE_PATH_MAX];
    uint64_t size;
};

static void choose(void *ctx, const char *path, uint64_t size)
{
    struct choice *c = ctx;
    if (strncmp(path, c->prefix, strlen(c->prefix)) != 0 || !rng_one_in(c->rng, ++c->seen))
        return;
    snprintf(c->path, sizeof c->path, "%s", path);
    c->size = size;
}

static void damage(struct sim *s, const char *prefix, struct rng *r, char *what, size_t what_n)
{
    struct choice c = {.prefix = prefix, .rng = r};
    uint8_t junk[64];
    fake_disk_each(s->disk, choose, &c);
    if (c.seen == 0)
        snprintf(c.path, sizeof c.path, "%s", prefix[strlen(prefix) - 1] == '/' ? "checkpoint" : prefix);
    uint64_t at = c.size ? rng_below(r, (uint32_t)c.size) : 0, n = rng_between(r, 1, 40), have = 0;
    if (rng_one_in(r, 3))
        at -= at % 20; /* a queue's unit, or an index's entry */
    uint8_t *bytes = fake_disk_bytes(s->disk, c.path, &have);
    memset(junk, 0, sizeof junk);
    if (bytes && at + n <= have && rng_one_in(r, 2)) { /* one bit */
        memcpy(junk, bytes + at, n);
        junk[rng_below(r, (uint32_t)n)] ^= (uint8_t)(1u << rng_below(r, 8));
    } else if (rng_one_in(r, 2)) {
        for (uint64_t i = 0; i < n; i++)
            junk[i] = (uint8_t)rng_next(r);
    } else {
        memset(junk, rng_one_in(r, 2) ? 0 : 0xff, sizeof junk);
    }
    fake_disk_damage(s->disk, c.path, at, junk, n);
    snprintf(what, what_n, "%.120s, %" PRIu64 " bytes at %" PRIu64, c.path, n, at);
}

static struct fake_disk *lived(struct sim *s, uint64_t seed, bool clean)
{
    sim_init(s, seed, &(struct sim_options){.sync_flush = seed % 2});
    cr_assert(sim_open(s), "%s", s->words);
    sim_run(s, 400);
    sim_turn(s);
    struct fake_disk *running = fake_disk_clone(s->disk, seed);
    sim_close(s);
    if (clean) {
        fake_disk_free(running);
        return s->disk;
    }
    fake_disk_free(s->disk);
    return s->disk = running;
}

static void damaged(uint64_t seed)
{
    static const char *const prefixes[] = {"consumequeue/", "consumequeue/", "index/", "checkpoint", "abort", "lock"};
    struct sim s;
    struct fake_disk *before = lived(&s, seed, seed % 2);
    struct rng r = rng_of(seed);
    s.listener.arrived = NULL; /* offsets may be given twice in a damaged queue */
    for (int i = 0; i < 150 && !s.broken; i++) {
        char what[200];
        s.disk = fake_disk_clone(before, seed);
        damage(&s, prefixes[rng_below(&r, 6)], &r, what, sizeof what);
        if (rng_one_in(&r, 4))
            damage(&s, "consumequeue/", &r, what, sizeof what);
        open_doubtfully(&s, what);
        fake_disk_free(s.disk);
    }
    s.disk = before;
    sim_must_hold(&s, "damage_is_survived");
    sim_fini(&s);
}
Test(store_damage, garbage_in_queues_index_and_checkpoint_is_survived, .timeout = 280) { sim_each_seed(6001, 8, damaged); }

/* ---- behind the log's end ---- */

static void log_path(const struct sim *s, uint64_t phys_off, char path[64])
{
    uint64_t file = phys_off - phys_off % s->cfg.commit_log_file_size;
    snprintf(path, 64, "commitlog/%020" PRIu64, file);
}

/* A record that is valid but for its place, or only its beginning, or random bytes: none may be taken for a message. */
static void tail_garbage(uint64_t seed)
{
    struct sim s;
    struct fake_disk *before = lived(&s, seed, seed % 3 == 0);
    struct rng r = rng_of(seed);
    uint64_t end = 0, file_size = s.cfg.commit_log_file_size;
    struct sim_msg some = {0}; /* a copy: what is put later moves the model's */
    for (int t = 0; t < SIM_TOPICS; t++)
        for (int k = 0; k < SIM_QUEUES; k++)
            for (uint32_t i = 0; i < s.model.queues[t][k].n; i++) {
                struct sim_msg *m = &s.model.queues[t][k].msgs[i];
                uint64_t e = (uint64_t)m->phys_off + m->size;
                end = e > end && e <= s.visible_off ? e : end;
                if (some.size == 0 || (e <= s.visible_off && rng_one_in(&r, 10)))
                    some = *m;
            }
    for (int i = 0; i < 60 && !s.broken && some.size > 0 && end % file_size != 0; i++) {
        char path[64], what[100];
        uint64_t n, room = file_size - end % file_size, want = some.size < room ? some.size : room;
        uint8_t *copy = calloc(1, file_size);
        s.disk = fake_disk_clone(before, seed);
        log_path(&s, (uint64_t)some.phys_off, path);
        const uint8_t *from = fake_disk_bytes(s.disk, path, &n);
        cr_assert(from != NULL);
        memcpy(copy, from + (uint64_t)some.phys_off % file_size, want);
        int kind = (int)rng_below(&r, 4);
        if (kind == 1) /* the right place, but a byte of the body is another one: the CRC tells */
            message_patch_place(copy, 3, (int64_t)end, s.now_ms), copy[want > 100 ? 95 : want - 1] ^= 1;
        else if (kind == 2)
            for (uint64_t b = 8; b < want; b++)
                copy[b] = (uint8_t)rng_next(&r);
        else if (kind == 3) /* a size that reaches behind the file */
            memcpy(copy, (uint8_t[]){0x7f, 0xff, 0xff, 0xff}, 4);
        if (kind == 1 && (some.body_n < 12 || want < some.size))
            copy[4] = 0;
        snprintf(what, sizeof what, "garbage of kind %d at %" PRIu64, kind, end);
        log_path(&s, end, path);
        fake_disk_damage(s.disk, path, end % file_size, copy, want);
        free(copy);
        if (sim_open(&s)) {
            sim_verify(&s, end);
            if (!s.broken)
                sim_go_on(&s);
            if (s.store)
                sim_close(&s);
        }
        if (s.broken)
            fprintf(stderr, "%s\n", what);
        fake_disk_free(s.disk);
        if (!s.broken) { /* sim_go_on() put more: they belong to that copy */
            for (int t = 0; t < SIM_TOPICS; t++)
                for (int k = 0; k < SIM_QUEUES; k++)
                    while (s.model.queues[t][k].n > 0 && s.model.queues[t][k].msgs[s.model.queues[t][k].n - 1].phys_off >= (int64_t)end)
                        s.model.queues[t][k].n--;
            s.visible_off = s.durable_off = end;
        }
    }
    s.disk = before;
    sim_must_hold(&s, "old_bytes_are_no_messages");
    sim_fini(&s);
}
Test(store_damage, garbage_behind_the_end_of_the_log_is_no_message, .timeout = 280) { sim_each_seed(6101, 8, tail_garbage); }
