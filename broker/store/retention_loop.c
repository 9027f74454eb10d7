/* retention_loop.c - measures the disk, runs the rounds of retention.c, and says what went and why.
 *
 *   look (LANE_CHORE: partitions, ages) -> decide (core) -> host.drop -> unlink (LANE_CHORE), oldest first -> log
 * One work at a time. The log forgets files before they are unlinked, so nobody opens one that is about to go.
 *
 *   I1  a file that could not be unlinked, and those behind it, stay and are tried again in the next round; until they are gone
 *       nothing else goes. Should the process end first, they are still the contiguous start of the log.
 *                                                                   (test: unit/retention loop, a_file_that_stays_is_tried_again)
 *   I2  the disk is measured at least every 10 s, and soon after 64 MiB were written: a writer cannot run far past the stop percentage. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "broker/store/retention.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/owner.h"

enum {
    LOOK_FILES = RETENTION_ROUND_FILES + 1, /* one more than may go: it shows whether the tenth is the last */
    GROWN_INTERVAL_MS = 1000,
    COMPLAIN_MS = 600000
};
static const uint64_t GROWN_BYTES = (uint64_t)64 << 20;

struct doomed { /* a file that the log has forgotten */
    struct retention_file file;
    char path[STORE_PATH_MAX];
};

struct retention {
    struct owner owner;
    struct store_io io;
    const struct store_exec *exec;
    struct retention_host host;
    struct retention_rule rule;
    char dirs[2][STORE_PATH_MAX];  /* log, queues */
    /* ---- as last measured ---- */
    int64_t measured_ms;           /* times of this struct are of the clock that does not jump; look.wall_ms is for ages and the hour */
    uint64_t measured_phys, max_phys;
    uint64_t free_bytes, total_bytes;
    double ratio[2];
    int full;                      /* which of dirs is beyond the stop percentage; -1: none */
    bool blind;                    /* a partition could not be measured */
    /* ---- rounds ---- */
    int64_t round_ms;              /* when the next one is due */
    unsigned manual;               /* rounds left that somebody asked for */
    int64_t complained_ms;
    bool complained;
    enum retention_why why;        /* of the files in `doomed` */
    struct doomed doomed[RETENTION_ROUND_FILES];
    size_t n_doomed;
    /* ---- one work: set before it is submitted, read when it is done ---- */
    bool busy;
    struct store_work work;
    struct look {
        bool round;                /* false: only measure */
        int64_t wall_ms, mono_ms;
        uint64_t room[2][2];       /* free, total */
        int err[2];
        size_t n, total;
        struct doomed files[LOOK_FILES];
    } look;
    size_t unlinked;
    int unlink_err;                /* of doomed[unlinked] */
};

static void submit(struct retention *r, void (*run)(struct store_work *), void (*done)(struct store_work *))
{
    assert(!r->busy);
    r->busy = true;
    r->work.run = run;
    r->work.done = done;
    if (r->exec != NULL) {
        r->exec->submit(r->exec->ctx, LANE_CHORE, &r->work);
        return;
    }
    run(&r->work);
    done(&r->work);
}

/* ---- measuring ---- */

static void look_run(struct store_work *w)
{
    struct retention *r = CONTAINER_OF(w, struct retention, work);
    struct look *l = &r->look;
    for (int i = 0; i < 2; i++)
        l->err[i] = r->io.room(r->io.ctx, r->dirs[i], &l->room[i][0], &l->room[i][1]);
    for (size_t i = 0; i < l->n; i++) {
        struct store_stat st;
        l->files[i].file.modified_ms = r->io.stat(r->io.ctx, l->files[i].path, &st) < 0 ? -1 : st.modified_ms;
    }
}

static unsigned percent_of(double ratio) { return ratio < 0 ? 0 : (unsigned)(ratio * 100 + 0.5); }

static void take_measures(struct retention *r)
{
    const struct look *l = &r->look;
    bool blind = false;
    for (int i = 0; i < 2; i++) {
        r->ratio[i] = l->err[i] < 0 ? -1 : retention_ratio(l->room[i][0], l->room[i][1]);
        if (r->ratio[i] < 0 && !r->blind)
            log_warn("retention", "partition cannot be measured path=%s errno=%d", r->dirs[i], l->err[i] < 0 ? -l->err[i] : 0);
        blind = blind || r->ratio[i] < 0;
    }
    r->blind = blind;
    if (l->err[0] >= 0) {
        r->free_bytes = l->room[0][0];
        r->total_bytes = l->room[0][1];
    }
    int full = retention_full(&r->rule, r->ratio[0], -1) ? 0 : retention_full(&r->rule, -1, r->ratio[1]) ? 1 : -1;
    if (full >= 0 && r->full < 0)
        log_error("retention", "disk is too full, no more messages are taken path=%s used_percent=%u stop_percent=%u", r->dirs[full],
                  percent_of(r->ratio[full]), r->rule.stop_percent);
    else if (full < 0 && r->full >= 0)
        log_info("retention", "disk has room again, messages are taken path=%s used_percent=%u", r->dirs[r->full], percent_of(r->ratio[r->full]));
    r->full = full;
}

/* ---- rounds ---- */

static void unlink_run(struct store_work *w)
{
    struct retention *r = CONTAINER_OF(w, struct retention, work);
    r->unlink_err = 0;
    for (r->unlinked = 0; r->unlinked < r->n_doomed; r->unlinked++) {
        int err = r->io.unlink(r->io.ctx, r->doomed[r->unlinked].path);
        if (err < 0 && err != -ENOENT) {
            r->unlink_err = err;
            return;
        }
    }
}

static void unlink_done(struct store_work *w)
{
    struct retention *r = CONTAINER_OF(w, struct retention, work);
    owner_assert(&r->owner);
    r->busy = false;
    for (size_t i = 0; i < r->unlinked; i++)
        log_info("retention", "log file deleted path=%s reason=%s modified_ms=%" PRId64, r->doomed[i].path, retention_why_name(r->why),
                 r->doomed[i].file.modified_ms);
    if (r->unlinked < r->n_doomed) {
        struct fault why;
        char words[320];
        fault_set(&why, MQ_EIO, -r->unlink_err, "unlink %.150s", r->doomed[r->unlinked].path);
        log_error("retention", "expired log file stays, it is tried again reason=\"%s\"", fault_text(&why, words, sizeof words));
    }
    r->n_doomed -= r->unlinked;
    memmove(r->doomed, r->doomed + r->unlinked, r->n_doomed * sizeof *r->doomed);
}

static void decide(struct retention *r)
{
    const struct look *l = &r->look;
    struct retention_facts facts = {
        .now_ms = l->wall_ms, .hour = retention_hour(l->wall_ms), .log_ratio = r->ratio[0], .queue_ratio = r->ratio[1], .manual = r->manual > 0};
    struct retention_file files[LOOK_FILES];
    for (size_t i = 0; i < l->n; i++)
        files[i] = l->files[i].file;
    if (r->manual > 0)
        r->manual--;
    size_t go = retention_expired(&r->rule, &facts, files, l->n, &r->why);
    if (go > 0) {
        r->n_doomed = go;
        memcpy(r->doomed, l->files, go * sizeof *r->doomed);
        r->host.drop(r->host.ctx, files[go].off);
        submit(r, unlink_run, unlink_done);
        return;
    }
    bool tight = r->why == RETENTION_SPACE || r->why == RETENTION_FORCED;
    if (tight && (!r->complained || l->mono_ms - r->complained_ms >= COMPLAIN_MS)) {
        log_warn("retention", "disk fills up, but no log file may go log_percent=%u queue_percent=%u files=%zu reserved_ms=%" PRId64, percent_of(r->ratio[0]),
                 percent_of(r->ratio[1]), l->total, r->rule.reserved_ms);
        r->complained_ms = l->mono_ms;
    }
    r->complained = tight;
}

static void look_done(struct store_work *w)
{
    struct retention *r = CONTAINER_OF(w, struct retention, work);
    owner_assert(&r->owner);
    r->busy = false;
    take_measures(r);
    if (!r->look.round)
        return;
    if (r->n_doomed > 0)
        submit(r, unlink_run, unlink_done); /* what the last round could not unlink */
    else
        decide(r);
}

static void look(struct retention *r, struct store_now now, bool round)
{
    struct look *l = &r->look;
    l->round = round;
    l->wall_ms = now.wall_ms;
    l->mono_ms = now.mono_ms;
    l->n = l->total = 0;
    r->measured_ms = now.mono_ms;
    r->measured_phys = r->max_phys;
    if (round) {
        struct retention_file files[LOOK_FILES];
        r->round_ms = now.mono_ms + RETENTION_INTERVAL_MS;
        l->total = r->host.files(r->host.ctx, files, LOOK_FILES);
        l->n = l->total < LOOK_FILES ? l->total : LOOK_FILES;
        for (size_t i = 0; i < l->n; i++) {
            l->files[i].file = files[i];
            r->host.path(r->host.ctx, files[i].off, l->files[i].path);
        }
    }
    submit(r, look_run, look_done);
}

/* ---- the outside ---- */

enum mq_err retention_new(const struct retention_config *cfg, const struct store_io *io, const struct store_exec *exec,
                          const struct retention_host *host, int64_t mono_ms, struct retention **out, struct fault *why)
{
    if (strlen(cfg->log_dir) >= STORE_PATH_MAX || strlen(cfg->queue_dir) >= STORE_PATH_MAX)
        return fault_set(why, MQ_EINVAL, 0, "path of a folder is too long");
    struct retention *r = mem_zalloc(sizeof *r);
    if (r == NULL)
        return fault_set(why, MQ_ENOMEM, 0, "retention");
    owner_take(&r->owner);
    r->io = *io;
    r->exec = exec;
    r->host = *host;
    r->rule = cfg->rule;
    strcpy(r->dirs[0], cfg->log_dir);
    strcpy(r->dirs[1], cfg->queue_dir);
    r->full = -1;
    r->measured_ms = mono_ms;
    r->round_ms = mono_ms + RETENTION_FIRST_MS;
    list_init(&r->work.node);
    look_run(&r->work);
    take_measures(r);
    *out = r;
    return MQ_OK;
}

void retention_free(struct retention *r)
{
    assert(r == NULL || !r->busy);
    mem_free(r);
}

int64_t retention_tick(struct retention *r, struct store_now now, uint64_t max_phys)
{
    owner_assert(&r->owner);
    if (r->max_phys == 0) /* the first tick tells where the log was when the disk was measured */
        r->measured_phys = max_phys;
    r->max_phys = max_phys;
    bool grown = max_phys - r->measured_phys >= GROWN_BYTES && max_phys > r->measured_phys;
    int64_t measure_ms = r->measured_ms + (grown ? GROWN_INTERVAL_MS : RETENTION_INTERVAL_MS);
    if (!r->busy && now.mono_ms >= r->round_ms)
        look(r, now, true);
    else if (!r->busy && now.mono_ms >= measure_ms)
        look(r, now, false);
    else if (r->busy)
        return GROWN_INTERVAL_MS;
    else
        return r->round_ms < measure_ms ? r->round_ms - now.mono_ms : measure_ms - now.mono_ms;
    int64_t next = now.mono_ms + RETENTION_INTERVAL_MS;
    return (r->round_ms < next ? r->round_ms : next) - now.mono_ms;
}

void retention_clean_now(struct retention *r, struct store_now now)
{
    owner_assert(&r->owner);
    log_info("retention", "log files are cleaned by request rounds=%d", RETENTION_MANUAL_ROUNDS);
    r->manual = RETENTION_MANUAL_ROUNDS;
    if (r->busy)
        r->round_ms = now.mono_ms;
    else
        look(r, now, true);
}

void retention_disk(const struct retention *r, struct retention_disk *out)
{
    *out = (struct retention_disk){r->free_bytes, r->total_bytes, r->ratio[0], r->ratio[1]};
}

bool retention_writable(const struct retention *r, const char **path, unsigned *percent)
{
    if (r->full < 0)
        return true;
    if (path != NULL)
        *path = r->dirs[r->full];
    if (percent != NULL)
        *percent = percent_of(r->ratio[r->full]);
    return false;
}
