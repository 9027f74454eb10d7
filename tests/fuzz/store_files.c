/* store_files.c - fuzz target: the files of a store, as they are found at a start: log, queues, index, checkpoint, abort.
 *
 * A store with a dozen messages is made once, closed in order or killed (bit 0 of the first byte). The input damages it: which file (one
 * byte), where (two), how many bytes (one, at most 16; 0: the file is cut there), which.
 * Oracle: opening says yes or says why; then what is handed out are whole records, each pull gets on, a new message is
 * taken, found, and still there after a start in order. */
#include <string.h>

#include "broker/store/message_store.h"
#include "common/base/log.h"
#include "common/protocol/rd.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/fake_disk.h"
#include "tests/lib/sim_exec.h"

enum { T0 = 1700000000, FILES_MAX = 64, PULLS_MAX = 64, QUEUES = 16 };
static const struct store_config config = {.commit_log_dir = "commitlog", .commit_log_file_size = 4096, .consume_queue_file_size = 100,
                                           .max_message_size = 1000, .check_crc_on_recover = true, .index_enable = true, .index_slots = 4,
                                           .index_entries = 8, .flush_interval_ms = 500, .flush_queue_interval_ms = 1000,
                                           .reserved_ms = 72LL * 3600000, .disk_clean_percent = 75, .disk_force_percent = 85, .disk_stop_percent = 90};
static struct fake_disk *whole[2]; /* closed in order, killed */
static struct sim_exec exec;

static enum mq_err open_store(struct fake_disk *d, struct message_store **out, struct fault *why)
{
    static const struct store_listener nobody;
    sim_exec_init(&exec, 1);
    fake_disk_writeback(d, 0);
    fake_disk_room(d, 60ull << 30, 100ull << 30);
    return message_store_open(&config, fake_disk_io(d), &exec.store, &nobody, T0 * 1000LL, out, why);
}

static void settle(struct message_store *s, int64_t now_ms)
{
    for (int i = 0; i < 4; i++) {
        message_store_turn(s, now_ms);
        sim_exec_drain(&exec);
        message_store_tick(s, (struct store_now){now_ms + 2000, now_ms + 2000});
    }
}

static enum put_status put(struct message_store *s, const char *topic, int32_t queue, const char *props, int64_t now_ms, struct put_result *out)
{
    const struct message m = {.topic = slice_str(topic), .queue_id = queue, .body = SLICE_LIT("a body of some length, so that files fill up"),
                              .properties = slice_str(props), .born_ms = now_ms, .store.port = 10911};
    enum put_status status = message_store_put(s, &m, 1, now_ms, out);
    message_store_turn(s, now_ms);
    return status;
}

static void make(void)
{
    struct message_store *s = NULL;
    struct put_result r;
    whole[0] = fake_disk_new(1);
    log_set_level(LOG_OFF);
    CHECK(open_store(whole[0], &s, NULL) == MQ_OK);
    for (int i = 0; i < 40; i++) {
        CHECK(put(s, i % 3 ? "T" : "U", i % 2, i % 2 ? "KEYS\001k1 k2\002TAGS\001a" : "UNIQ_KEY\001u", T0 * 1000LL + i * 1000, &r) == PUT_OK);
        if (i % 8 == 0)
            settle(s, T0 * 1000LL + i * 1000);
    }
    settle(s, T0 * 1000LL + 50000);
    whole[1] = fake_disk_clone(whole[0], 1);
    message_store_close(s, T0 * 1000LL + 60000);
}

/* ---- damage ---- */
struct names {
    char path[FILES_MAX][STORE_PATH_MAX];
    size_t n;
};
static void note(void *ctx, const char *path, uint64_t size)
{
    struct names *all = ctx;
    (void)size;
    if (all->n < FILES_MAX)
        strcpy(all->path[all->n++], path);
}
static int by_name(const void *a, const void *b) { return strcmp(a, b); }

static void damage(struct fake_disk *d, const uint8_t *p, size_t n)
{
    static struct names all;
    const struct store_io *io = fake_disk_io(d);
    all.n = 0;
    fake_disk_each(d, note, &all);
    qsort(all.path, all.n, sizeof *all.path, by_name);
    for (; n >= 4; ) {
        const char *path = all.path[p[0] % all.n];
        uint64_t off = (uint64_t)p[1] << 8 | p[2];
        size_t bytes = p[3] % 17;
        p += 4, n -= 4;
        bytes = bytes < n ? bytes : n;
        if (bytes == 0) {
            int fd = io->open(io->ctx, path, STORE_OPEN_WRITE);
            if (fd >= 0) {
                io->set_size(io->ctx, fd, off, false);
                io->close(io->ctx, fd);
            }
            continue;
        }
        fake_disk_damage(d, path, off, p, bytes);
        p += bytes, n -= bytes;
    }
}

/* ---- looking ---- */
struct queue {
    char topic[128];
    int32_t id;
    int64_t min, max;
};
struct queues {
    struct queue at[QUEUES];
    size_t n;
};
static void note_queue(void *arg, struct slice topic, int32_t queue_id, int64_t min_off, int64_t max_off)
{
    struct queues *q = arg;
    CHECK(0 <= min_off && min_off <= max_off && queue_id >= 0 && topic.n > 0);
    if (q->n == QUEUES || topic.n > 127)
        return;
    slice_copy(topic, q->at[q->n].topic, sizeof q->at[q->n].topic);
    q->at[q->n].id = queue_id;
    q->at[q->n].min = min_off;
    q->at[q->n++].max = max_off;
}

/* Records by their size and magic; how many. What is inside may be damaged: old files are not read at a start, nor is a record when it is
 * handed out. The client's CRC finds it. */
static size_t check_records(struct slice body)
{
    size_t n = 0;
    for (; body.n; n++) {
        struct rd r = rd_slice(body);
        uint32_t size = rd_u32(&r), magic = rd_u32(&r);
        CHECK(!r.bad && size >= MESSAGE_FIXED && size <= body.n && (magic == MESSAGE_MAGIC_V1 || magic == MESSAGE_MAGIC_V2));
        body = slice_from(body, size);
    }
    return n;
}

static void read_queue(struct message_store *s, const struct queue *q)
{
    int64_t at = q->min;
    for (int i = 0; i < PULLS_MAX && at < q->max; i++) {
        struct buf body = {0};
        struct get_result got;
        const struct get_request g = {.topic = slice_str(q->topic), .queue_id = q->id, .queue_off = at, .max_msgs = 5, .max_bytes = 1 << 20,
                                      .may_block = true};
        message_store_get(s, &g, &body, &got);
        CHECK(got.status != GET_COLD && got.min_off <= got.max_off);
        if (got.status == GET_FOUND)
            CHECK(check_records(buf_view(&body)) == got.n_msgs && got.n_msgs > 0 && got.next_off > at);
        else
            CHECK(body.n == 0);
        buf_free(&body);
        (void)message_store_time_of(s, slice_str(q->topic), q->id, at);
        (void)message_store_phys_of(s, slice_str(q->topic), q->id, at);
        if (got.next_off <= at)
            break;
        at = got.next_off;
    }
    (void)message_store_offset_by_time(s, slice_str(q->topic), q->id, T0 * 1000LL + 5000);
}

static void look(struct message_store *s)
{
    static struct queues q;
    static const char *const keys[] = {"k1", "u", "nobody"};
    q.n = 0;
    message_store_each_queue(s, note_queue, &q);
    for (size_t i = 0; i < q.n; i++)
        read_queue(s, &q.at[i]);
    for (int i = 0; i < 3; i++) {
        struct buf body = {0};
        struct query_result found;
        enum mq_err err = message_store_query(s, SLICE_LIT("T"), slice_str(keys[i]), 32, 0, INT64_MAX, &body, &found);
        if (err == MQ_OK)
            CHECK(check_records(buf_view(&body)) == found.n_msgs);
        buf_free(&body);
    }
    struct store_figures f;
    message_store_figures(s, &f);
    CHECK(f.min_phys_off <= f.max_phys_off);
    for (uint64_t at = f.min_phys_off; at < f.max_phys_off && at < f.min_phys_off + 8192; at += 97) {
        struct buf body = {0};
        struct cold_range cold;
        if (message_store_at(s, (int64_t)at, true, &body, &cold) == MQ_OK)
            CHECK(check_records(buf_view(&body)) == 1);
        buf_free(&body);
    }
}

static bool has_new(struct message_store *s, int64_t queue_off)
{
    struct buf body = {0};
    struct get_result got;
    struct message m;
    const struct get_request g = {.topic = SLICE_LIT("new"), .queue_id = 0, .queue_off = queue_off, .max_msgs = 1, .max_bytes = 1 << 20, .may_block = true};
    message_store_get(s, &g, &body, &got);
    bool found = got.status == GET_FOUND && message_decode(buf_view(&body), true, &m) == MQ_OK && slice_is(m.topic, "new") && m.queue_off == queue_off;
    buf_free(&body);
    return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    uint8_t choice;
    struct message_store *s = NULL;
    struct fault why = {0};
    struct put_result r;
    if (whole[0] == NULL)
        make();
    if (!fuzz_choice(&data, &n, &choice))
        return 0;
    struct fake_disk *d = fake_disk_clone(whole[choice & 1], 1);
    damage(d, data, n);
    enum mq_err err = open_store(d, &s, &why);
    if (err != MQ_OK) {
        CHECK(why.what[0] != '\0');
    } else {
        settle(s, T0 * 1000LL + 100000);
        look(s);
        if (put(s, "new", 0, "KEYS\001n", T0 * 1000LL + 100001, &r) == PUT_OK && !message_store_failed(s)) {
            CHECK(has_new(s, r.queue_off));
            settle(s, T0 * 1000LL + 100002);
            message_store_close(s, T0 * 1000LL + 100003);
            err = open_store(d, &s, &why);
            if (err == MQ_OK) {
                settle(s, T0 * 1000LL + 100004);
                CHECK(has_new(s, r.queue_off));
            }
        }
        if (err == MQ_OK) {
            sim_exec_drain(&exec);
            message_store_close(s, T0 * 1000LL + 100005);
        }
    }
    fake_disk_free(d);
    return 0;
}
