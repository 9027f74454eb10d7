/* recovery.c - reads the log from a safe place on, record by record, until what it finds is none.
 *
 * A record counts when its magic, its size, its own place and (if asked) its body's CRC agree, and behind its body,
 * which is all that the CRC covers, no sector is missing: zeros from a sector's start on, where text must be. (No put takes a property with a zero
 * byte; a Java broker does, so a single one does not count.) The first thing that does not ends the
 * log; commit_log_settle() then makes zeros of all that is behind. Before that we look behind the damage: a torn tail has nothing valid
 * behind it. After a power cut pages that were never synced may be missing in front of others that made it: such records are
 * named in the log and given up, nobody was promised them. But a record that the checkpoint vouches for, behind damage, means that the
 * medium lost what was safe: then the store does not open, because opening would destroy the rest.
 *
 *   I1  nothing in a file is believed: sizes are bounded by the file before they are used.       (test: fuzz/store_files)
 *   I2  a stale record of a former life (left behind the end by a Java broker, which does not clear it) is older than the last valid
 *       one and is not taken for a safe one. When the clock was set back times say nothing: the checkpoint's places do, where it has them.
 *                                                              (test: sim/store nothing_is_lost_when_the_clock_goes_back)
 * Sequential reads that the disk was told of long before, and isa-l's CRC: the disk is the limit, not we (measured: `make bench-recovery`).
 * Behind the end of a log lies up to 1 GiB of blocks that nobody wrote: what the file system knows to be a hole is not read.
 *                                                                                                 (test: integration/size) */
#include "broker/store/recovery.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/protocol/codes.h"
#include "common/protocol/rd.h"

enum {
    READ_SIZE = 256 << 10,    /* a read: what the copy left in the processor's cache is checked there */
    AHEAD = 8 << 20,          /* and how far the disk is before it */
    CLEAN_FILES = 3,
    SECTOR = 512,             /* what a medium writes as one */
    CHECKPOINT_MARGIN_MS = 3000,
    ZEROS_CLEAN = 4 << 20,  /* so many zeros behind the end mean that nothing is there */
    ZEROS_UNCLEAN = 64 << 20
};

/* ---- reading ---- */

enum mq_err log_reader_begin(struct log_reader *r, struct commit_log *log, uint64_t from, uint64_t limit, bool check_crc, struct fault *why)
{
    *r = (struct log_reader){.log = log, .at = from, .limit = limit, .check_crc = check_crc, .cap = READ_SIZE, .buf_off = UINT64_MAX};
    if (r->cap > commit_log_file_size(log))
        r->cap = (size_t)commit_log_file_size(log);
    r->buf = mem_alloc(r->cap);
    return r->buf != NULL ? MQ_OK : fault_set(why, MQ_ENOMEM, 0, "buffer to read the log");
}

void log_reader_end(struct log_reader *r)
{
    mem_free(r->buf);
    r->buf = NULL;
}

static uint64_t file_left(const struct log_reader *r, uint64_t at)
{
    uint64_t size = commit_log_file_size(r->log);
    return size - at % size;
}

/* Finds data_end for the file of `at`, before it is read. 0 or -errno. */
static int64_t know_end(struct log_reader *r, uint64_t at)
{
    uint64_t size = commit_log_file_size(r->log);
    if (r->buf_off != UINT64_MAX && r->buf_off / size == at / size)
        return 0;
    int64_t end = commit_log_data_end(r->log, at);
    if (end < 0)
        return end;
    r->data_end = (uint64_t)end;
    r->buf_off = at;
    r->buf_n = 0;
    return 0;
}

/* Keeps the disk half of AHEAD and more before `at`; not beyond data_end: what was read is no hole any more. */
static void read_ahead(struct log_reader *r, uint64_t at)
{
    uint64_t from = r->ahead > at && r->ahead - at <= AHEAD ? r->ahead : at, to = at + AHEAD;
    to = to < r->data_end ? to : r->data_end;
    to = to < r->limit ? to : r->limit;
    if (from >= to || from - at > AHEAD / 2)
        return;
    commit_log_read_ahead(r->log, from, to - from);
    r->ahead = to;
}

/* n bytes at `at`, which are in its file; NULL: read failed (*why) or no memory. */
static const uint8_t *bytes_at(struct log_reader *r, uint64_t at, size_t n, struct fault *why)
{
    if (at >= r->buf_off && at - r->buf_off <= r->buf_n && n <= r->buf_n - (size_t)(at - r->buf_off))
        return r->buf + (at - r->buf_off);
    if (n > r->cap) {
        uint8_t *p = mem_realloc(r->buf, n);
        if (p == NULL) {
            fault_set(why, MQ_ENOMEM, 0, "record of %zu bytes at %" PRIu64, n, at);
            return NULL;
        }
        r->buf = p;
        r->cap = n;
    }
    int64_t got = know_end(r, at);
    if (got >= 0) {
        size_t want = at >= r->data_end ? 0 : r->data_end - at < r->cap ? (size_t)(r->data_end - at) : r->cap;
        read_ahead(r, at);
        got = commit_log_read_raw(r->log, r->buf, want > n ? want : n, at);
    }
    r->buf_off = at;
    r->buf_n = got > 0 ? (size_t)got : 0;
    if (got >= 0 && (size_t)got >= n)
        return r->buf;
    char path[STORE_PATH_MAX];
    commit_log_path(r->log, at - at % commit_log_file_size(r->log), path);
    fault_set(why, MQ_EIO, got < 0 ? (int)-got : 0, "read %.120s at %" PRIu64, path, at % commit_log_file_size(r->log));
    return NULL;
}

static bool all_zero(const uint8_t *p, size_t n)
{
    return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

enum header { HEADER_RECORD, HEADER_BLANK, HEADER_ZERO, HEADER_BAD };

/* What begins at h, n bytes of it at hand (8 and more), `left` in the file. */
static enum header header_kind(const uint8_t *h, size_t n, uint64_t left, uint64_t at, uint32_t *size)
{
    struct rd r = rd_over(h, n);
    *size = rd_u32(&r);
    uint32_t magic = rd_u32(&r);
    if (magic == 0 && *size == 0)
        return HEADER_ZERO;
    if (magic == MESSAGE_MAGIC_BLANK)
        return *size == left ? HEADER_BLANK : HEADER_BAD;
    if ((magic != MESSAGE_MAGIC_V1 && magic != MESSAGE_MAGIC_V2) || *size < MESSAGE_FIXED || *size > left || n < MESSAGE_FIXED)
        return HEADER_BAD;
    rd_take(&r, 20);
    return rd_u64(&r) == at ? HEADER_RECORD : HEADER_BAD;
}

/* The CRC covers the body only. A sector that did not reach the medium shows as zeros from its start on; behind the body lies text. */
static bool is_torn(const struct log_reader *r, const struct message *m, uint64_t at)
{
    uint64_t end = at + m->size, text = end - m->properties.n - 2 - m->topic.n;
    if (m->properties.n == 0)
        end -= 2; /* their length is zeros by right */
    for (uint64_t s = (text + SECTOR - 1) / SECTOR * SECTOR; s < end; s += SECTOR)
        if (all_zero(r->buf + (s - r->buf_off), end - s < SECTOR ? (size_t)(end - s) : SECTOR))
            return true;
    return memchr(m->topic.p, 0, m->topic.n) != NULL;
}

/* Checks the record at `at`. */
static enum mq_err record_at(struct log_reader *r, uint64_t at, uint32_t size, struct message *out, struct fault *why)
{
    const uint8_t *p = bytes_at(r, at, size, why);
    if (p == NULL)
        return why->err;
    if (message_decode(slice_make(p, size), r->check_crc, out) != MQ_OK || out->queue_id < 0 || out->queue_off < 0 || out->topic.n == 0)
        return MQ_EMALFORMED;
    if (is_torn(r, out, at))
        return MQ_EMALFORMED;
    return MQ_OK;
}

enum mq_err log_reader_next(struct log_reader *r, struct message *out, struct fault *why)
{
    for (;;) {
        if (r->at >= r->limit || r->at >= commit_log_limit(r->log))
            return MQ_ENOTFOUND;
        uint64_t left = file_left(r, r->at);
        size_t head = left < MESSAGE_FIXED ? (size_t)left : MESSAGE_FIXED;
        if (head < MESSAGE_BLANK_MIN)
            return MQ_EMALFORMED;
        const uint8_t *h = bytes_at(r, r->at, head, why);
        if (h == NULL)
            return why->err;
        uint32_t size;
        switch (header_kind(h, head, left, r->at, &size)) {
        case HEADER_ZERO: return MQ_ENOTFOUND;
        case HEADER_BAD: return MQ_EMALFORMED;
        case HEADER_BLANK: r->at += left; continue;
        case HEADER_RECORD: break;
        }
        enum mq_err err = record_at(r, r->at, size, out, why);
        if (err == MQ_OK)
            r->at += size;
        return err;
    }
}

/* ---- where to begin ---- */

/* Store time of the first record of the file, 0: it has none. */
static int64_t first_ms(struct commit_log *log, uint64_t file)
{
    uint8_t h[MESSAGE_FIXED];
    uint32_t size;
    int64_t n = commit_log_read_raw(log, h, sizeof h, file);
    if (n < (int64_t)sizeof h || header_kind(h, sizeof h, commit_log_file_size(log), file, &size) != HEADER_RECORD)
        return 0;
    struct rd r = rd_over(h, sizeof h);
    rd_take(&r, 36);
    size_t host = rd_u32(&r) & SYS_BORN_HOST_V6 ? 20 : 8;
    rd_take(&r, 8 + host);
    return rd_i64(&r);
}

uint64_t recovery_start(struct commit_log *log, bool clean, const struct checkpoint *c)
{
    uint64_t size = commit_log_file_size(log), first = commit_log_min(log), at = commit_log_limit(log);
    if (!clean && c->log_off >= 0 && c->queues_off >= 0 && at > first) {
        uint64_t safe = (uint64_t)(c->log_off < c->queues_off ? c->log_off : c->queues_off);
        safe = safe < first ? first : safe < at ? safe : at - 1;
        return safe - safe % size;
    }
    int64_t safe_ms = (c->log_ms < c->queues_ms ? c->log_ms : c->queues_ms) - CHECKPOINT_MARGIN_MS;
    int with_records = 0;
    while (at > first) {
        at -= size;
        int64_t ms = first_ms(log, at);
        if (ms == 0)
            continue; /* nothing yet, or not a record: never a place to begin */
        with_records++;
        if (clean ? with_records == CLEAN_FILES : ms <= safe_ms)
            return at;
    }
    return first;
}

/* ---- what lies behind the end ---- */

/* By the checkpoint's places, not by its times. */
static bool is_safe_place(const struct checkpoint *safe, uint64_t at) { return safe != NULL && safe->log_off >= 0 && at < (uint64_t)safe->log_off; }

static bool vouched_for(const struct checkpoint *safe, uint64_t at, int64_t ms)
{
    return safe == NULL || (safe->log_off >= 0 ? is_safe_place(safe, at) : ms < safe->log_ms);
}

struct behind {
    bool any;           /* something that is not zero */
    bool record;        /* a valid record that is not older than the last one before the damage */
    uint64_t record_at;
    int64_t record_ms;
};

/* Looks for a record in [at, at + n) of one file, which are in the reader's buffer. */
static bool find_record(struct log_reader *r, uint64_t at, size_t n, int64_t last_ms, const struct checkpoint *safe, struct behind *b)
{
    static const uint8_t magics[2][4] = {{0xDA, 0xA3, 0x20, 0xA7}, {0xDA, 0xA3, 0x20, 0xAB}};
    struct fault ignored;
    for (size_t i = 4; i + 4 <= n; i++) {
        const uint8_t *p = bytes_at(r, at, n, &ignored);
        const uint8_t *hit = p != NULL ? memchr(p + i, 0xDA, n - 3 - i) : NULL;
        if (hit == NULL)
            return false;
        i = (size_t)(hit - p);
        if (memcmp(hit, magics[0], 4) != 0 && memcmp(hit, magics[1], 4) != 0)
            continue;
        uint64_t start = at + i - 4, left = file_left(r, start);
        uint32_t size;
        struct message m;
        if (n - (i - 4) < MESSAGE_FIXED || header_kind(hit - 4, MESSAGE_FIXED, left, start, &size) != HEADER_RECORD)
            continue;
        if (record_at(r, start, size, &m, &ignored) != MQ_OK)
            continue;
        if (m.store_ms < last_ms && !is_safe_place(safe, start))
            continue;
        b->record = true;
        b->record_at = start;
        b->record_ms = m.store_ms;
        return true;
    }
    return false;
}

/* Goes on from `end` over the rest of its file and over later files until so many zeros came in a row, or a record. */
static enum mq_err look_behind(struct log_reader *r, uint64_t end, bool clean, int64_t last_ms, const struct checkpoint *safe, struct behind *b,
                               struct fault *why)
{
    const uint64_t enough = clean ? ZEROS_CLEAN : ZEROS_UNCLEAN, size = commit_log_file_size(r->log);
    uint64_t zeros = 0;
    *b = (struct behind){0};
    for (uint64_t at = end; at < commit_log_limit(r->log);) {
        uint64_t left = file_left(r, at);
        int64_t e = know_end(r, at);
        if (e < 0)
            return fault_set(why, MQ_EIO, (int)-e, "look for the log's end at %" PRIu64, at);
        if (at >= r->data_end) {
            at += left;
            zeros = 0;
            continue;
        }
        size_t n = left < READ_SIZE ? (size_t)left : READ_SIZE;
        if (r->data_end - at < n && r->data_end - at > MESSAGE_FIXED)
            n = (size_t)(r->data_end - at); /* the rest, if anything, is zeros */
        const uint8_t *p = bytes_at(r, at, n, why);
        if (p == NULL)
            return why->err;
        if (all_zero(p, n)) {
            zeros += n;
            at = zeros >= enough ? at - at % size + size : at + n;
            zeros = at % size == 0 ? 0 : zeros;
            continue;
        }
        b->any = true;
        zeros = 0;
        if (find_record(r, at, n, last_ms, safe, b))
            return MQ_OK;
        at += n == left ? n : n - MESSAGE_FIXED; /* a header may lie across */
    }
    return MQ_OK;
}

/* ---- all together ---- */

static enum mq_err judge(struct commit_log *log, const struct behind *b, const struct recovered *rec, const struct checkpoint *safe, bool malformed,
                         struct fault *why)
{
    uint64_t size = commit_log_file_size(log), end_file = rec->end - rec->end % size;
    char path[STORE_PATH_MAX], next[STORE_PATH_MAX];
    commit_log_path(log, end_file, path);
    if (b->record) {
        commit_log_path(log, b->record_at - b->record_at % size, next);
        if (vouched_for(safe, b->record_at, b->record_ms))
            return fault_set(why, MQ_ECORRUPT, 0, "%.80s is damaged at offset %" PRIu64 ", before records that were safe: the next is in %.40s at %" PRIu64,
                             path, rec->end - end_file, strrchr(next, '/') + 1, b->record_at % size);
        log_error("store", "the log ends at damage, never synced records behind it are given up file=%s offset=%" PRIu64 " next_file=%s next_offset=%" PRIu64,
                  path, rec->end - end_file, next, b->record_at % size);
    } else if (malformed || b->any) {
        log_warn("store", "the log's torn end is cut file=%s offset=%" PRIu64, path, rec->end - end_file);
    }
    return MQ_OK;
}

enum mq_err recovery_run(struct commit_log *log, uint64_t from, bool clean, bool check_crc, const struct checkpoint *safe, recovery_fn *fn, void *arg,
                         struct recovered *out, struct fault *why)
{
    struct log_reader r;
    struct message m;
    struct behind b;
    enum mq_err err = log_reader_begin(&r, log, from, UINT64_MAX, check_crc, why), last;
    if (err != MQ_OK)
        return err;
    struct recovered rec = {.end = from, .last_ms = -1};
    while ((last = log_reader_next(&r, &m, why)) == MQ_OK) {
        rec.last_ms = m.store_ms;
        if (fn != NULL && (err = fn(arg, &m, why)) != MQ_OK)
            break;
    }
    if (err == MQ_OK && last != MQ_ENOTFOUND && last != MQ_EMALFORMED)
        err = last;
    rec.end = r.at;
    if (err == MQ_OK)
        err = look_behind(&r, rec.end, clean, rec.last_ms, safe, &b, why);
    if (err == MQ_OK)
        err = judge(log, &b, &rec, safe, last == MQ_EMALFORMED, why);
    log_reader_end(&r);
    rec.dirty = err == MQ_OK && b.any;
    if (err == MQ_OK)
        *out = rec;
    return err;
}
