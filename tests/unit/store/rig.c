/* rig.c - see rig.h. */
#include "tests/unit/store/rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/log.h"

static bool fails(struct rig *r, enum rig_op op)
{
    r->ops[op]++;
    if (r->fail_op != op || r->fail_in == 0)
        return false;
    if (r->fail_in > 1) {
        r->fail_in--;
        return false;
    }
    return true;
}

static int rig_io_open(void *ctx, const char *path, int flags)
{
    struct rig *r = ctx;
    return fails(r, RIG_OPEN) ? r->fail_err : r->disk.open(r->disk.ctx, path, flags);
}
static void rig_io_close(void *ctx, int fd) { ((struct rig *)ctx)->disk.close(((struct rig *)ctx)->disk.ctx, fd); }
static int64_t rig_io_pread(void *ctx, int fd, void *to, size_t n, uint64_t off)
{
    struct rig *r = ctx;
    r->cold = false;
    return fails(r, RIG_PREAD) ? r->fail_err : r->disk.pread(r->disk.ctx, fd, to, n, off);
}
static int64_t rig_io_pread_nowait(void *ctx, int fd, void *to, size_t n, uint64_t off)
{
    struct rig *r = ctx;
    if (r->cold)
        return -EAGAIN;
    return fails(r, RIG_PREAD) ? r->fail_err : r->disk.pread(r->disk.ctx, fd, to, n, off);
}
static const uint8_t *rig_io_map(void *ctx, int fd, uint64_t off, size_t n)
{
    struct rig *r = ctx;
    const uint8_t *p = r->disk.map(r->disk.ctx, fd, off, n);
    r->windows += p != NULL;
    return p;
}
static void rig_io_unmap(void *ctx, const uint8_t *p, size_t n)
{
    struct rig *r = ctx;
    r->windows--;
    r->disk.unmap(r->disk.ctx, p, n);
}
static size_t rig_io_in_memory(void *ctx, const uint8_t *p, size_t n)
{
    struct rig *r = ctx;
    return r->cold ? 0 : r->disk.in_memory(r->disk.ctx, p, n);
}
static int rig_io_copy(void *ctx, void *to, const uint8_t *from, size_t n)
{
    struct rig *r = ctx;
    return r->copy_fails ? -EIO : r->disk.copy(r->disk.ctx, to, from, n);
}
static int64_t rig_io_pwrite(void *ctx, int fd, const void *from, size_t n, uint64_t off)
{
    struct rig *r = ctx;
    return fails(r, RIG_PWRITE) ? r->fail_err : r->disk.pwrite(r->disk.ctx, fd, from, n, off);
}
static int rig_io_datasync(void *ctx, int fd)
{
    struct rig *r = ctx;
    return fails(r, RIG_DATASYNC) ? r->fail_err : 0; /* the page cache is enough here: tests/sim has power cuts */
    (void)fd;
}
static int rig_io_set_size(void *ctx, int fd, uint64_t size, bool allocate)
{
    struct rig *r = ctx;
    return fails(r, RIG_SET_SIZE) ? r->fail_err : r->disk.set_size(r->disk.ctx, fd, size, allocate);
}
static void rig_io_write_behind(void *ctx, int fd, uint64_t off, uint64_t n) { (void)ctx, (void)fd, (void)off, (void)n; }
static int rig_io_rename(void *ctx, const char *from, const char *to)
{
    struct rig *r = ctx;
    return r->disk.rename(r->disk.ctx, from, to);
}
static int rig_io_unlink(void *ctx, const char *path) { return ((struct rig *)ctx)->disk.unlink(((struct rig *)ctx)->disk.ctx, path); }
static int rig_io_rmdir(void *ctx, const char *path) { return ((struct rig *)ctx)->disk.rmdir(((struct rig *)ctx)->disk.ctx, path); }
static int rig_io_mkdir(void *ctx, const char *path) { return ((struct rig *)ctx)->disk.mkdir(((struct rig *)ctx)->disk.ctx, path); }
static int rig_io_sync_dir(void *ctx, const char *path) { return (void)ctx, (void)path, 0; }
static int rig_io_list(void *ctx, const char *path, store_list_fn *fn, void *arg)
{
    struct rig *r = ctx;
    return r->disk.list(r->disk.ctx, path, fn, arg);
}
static int rig_io_stat(void *ctx, const char *path, struct store_stat *out)
{
    struct rig *r = ctx;
    return r->disk.stat(r->disk.ctx, path, out);
}
static int rig_io_lock(void *ctx, int fd) { return ((struct rig *)ctx)->disk.lock(((struct rig *)ctx)->disk.ctx, fd); }
static int rig_io_room(void *ctx, const char *path, uint64_t *free_bytes, uint64_t *total_bytes)
{
    (void)ctx, (void)path; /* not the machine's: it may be full */
    *free_bytes = (uint64_t)60 << 30;
    *total_bytes = (uint64_t)100 << 30;
    return 0;
}

static void on_arrived(void *ctx, const struct arrival *a)
{
    struct rig *r = ctx;
    r->n_arrived++;
    r->last = *a;
    slice_copy(a->topic, r->last_topic, sizeof r->last_topic);
}
static void on_written(void *ctx, uint64_t off) { ((struct rig *)ctx)->written = off; }
static void on_flushed(void *ctx, uint64_t off) { ((struct rig *)ctx)->flushed = off; }
static void on_failed(void *ctx, const struct fault *why)
{
    struct rig *r = ctx;
    r->failed = *why;
    r->n_failed++;
}

void rig_new(struct rig *r)
{
    struct fault why;
    memset(r, 0, sizeof *r);
    log_set_level(LOG_OFF);
    strcpy(r->root, "/tmp/cometmq-store-XXXXXX");
    cr_assert(mkdtemp(r->root) != NULL);
    cr_assert_eq(store_io_posix_init(r->root, &r->disk, &why), MQ_OK);
    r->io = (struct store_io){.ctx = r, .open = rig_io_open, .close = rig_io_close, .pread = rig_io_pread, .pread_nowait = rig_io_pread_nowait,
                            .map = rig_io_map, .unmap = rig_io_unmap, .in_memory = rig_io_in_memory, .copy = rig_io_copy,
                              .pwrite = rig_io_pwrite, .datasync = rig_io_datasync, .set_size = rig_io_set_size,
                              .write_behind = rig_io_write_behind, .rename = rig_io_rename, .unlink = rig_io_unlink, .rmdir = rig_io_rmdir,
                              .mkdir = rig_io_mkdir, .sync_dir = rig_io_sync_dir, .list = rig_io_list, .stat = rig_io_stat, .lock = rig_io_lock,
                              .room = rig_io_room};
    r->cfg = (struct store_config){.commit_log_dir = "commitlog", .commit_log_file_size = 8192, .consume_queue_file_size = 2000,
                                   .max_message_size = 4000, .check_crc_on_recover = true, .index_enable = true, .index_slots = 64,
                                   .index_entries = 256, .flush_interval_ms = 500, .flush_queue_interval_ms = 1000,
                                   .reserved_ms = 72LL * 3600000, .disk_clean_percent = 75, .disk_force_percent = 85, .disk_stop_percent = 90,
                                   .delay_levels = 2, .delay_level_ms = {1000, 5000}};
    r->now_ms = RIG_T0;
}

enum mq_err rig_open(struct rig *r, struct fault *why)
{
    const struct store_listener l = {.ctx = r, .arrived = on_arrived, .written = on_written, .flushed = on_flushed, .failed = on_failed};
    sim_exec_init(&r->exec, 1);
    *why = (struct fault){0};
    return message_store_open(&r->cfg, &r->io, &r->exec.store, &l, r->now_ms, &r->store, why);
}

void rig_must_open(struct rig *r)
{
    struct fault why;
    char text[300];
    enum mq_err err = rig_open(r, &why);
    cr_assert_eq(err, MQ_OK, "%s", fault_text(&why, text, sizeof text));
}

void rig_close(struct rig *r)
{
    if (r->store == NULL)
        return;
    sim_exec_drain(&r->exec);
    message_store_close(r->store, r->now_ms);
    r->store = NULL;
}

/* The folder as a killed process leaves it: copied while the store is open, put back after it was closed. */
void rig_kill(struct rig *r)
{
    char cmd[512];
    sim_exec_drain(&r->exec);
    snprintf(cmd, sizeof cmd, "rm -rf %s.kill && cp -a --sparse=always %s %s.kill", r->root, r->root, r->root);
    cr_assert_eq(system(cmd), 0);
    r->fail_op = RIG_NONE;
    message_store_close(r->store, r->now_ms);
    r->store = NULL;
    snprintf(cmd, sizeof cmd, "rm -rf %s/* && cp -a --sparse=always %s.kill/. %s/ && rm -rf %s.kill", r->root, r->root, r->root, r->root);
    cr_assert_eq(system(cmd), 0);
}

void rig_end(struct rig *r)
{
    char cmd[256];
    r->fail_op = RIG_NONE;
    rig_close(r);
    store_io_posix_fini(&r->disk);
    snprintf(cmd, sizeof cmd, "rm -rf %s", r->root);
    cr_assert_eq(system(cmd), 0);
}

void rig_settle(struct rig *r)
{
    for (int i = 0; i < 4; i++) {
        sim_exec_drain(&r->exec);
        r->now_ms += 1000;
        message_store_tick(r->store, (struct store_now){r->now_ms, r->now_ms});
    }
    sim_exec_drain(&r->exec);
}

void rig_path(const struct rig *r, const char *path, char out[256]) { snprintf(out, 256, "%s/%s", r->root, path); }

uint8_t *rig_file(const struct rig *r, const char *path, size_t *n)
{
    char full[256];
    struct stat st;
    rig_path(r, path, full);
    FILE *f = fopen(full, "rb");
    cr_assert(f != NULL, "%s", full);
    cr_assert_eq(fstat(fileno(f), &st), 0);
    uint8_t *p = malloc((size_t)st.st_size + 1);
    *n = fread(p, 1, (size_t)st.st_size, f);
    fclose(f);
    return p;
}

void rig_patch(const struct rig *r, const char *path, uint64_t off, const void *bytes, size_t n)
{
    char full[256];
    rig_path(r, path, full);
    FILE *f = fopen(full, access(full, F_OK) == 0 ? "r+b" : "w+b");
    cr_assert(f != NULL, "%s", full);
    cr_assert_eq(fseek(f, (long)off, SEEK_SET), 0);
    cr_assert_eq(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

struct message rig_message(const char *topic, int32_t queue_id, const char *body)
{
    return (struct message){.topic = slice_str(topic), .queue_id = queue_id, .body = slice_str(body), .born_ms = 7,
                            .born = {.ip = {10, 0, 0, 1}, .port = 1234}, .store = {.ip = {10, 0, 0, 2}, .port = 10911}};
}

struct put_result rig_put(struct rig *r, const char *topic, int32_t queue_id, const char *body)
{
    struct message m = rig_message(topic, queue_id, body);
    struct put_result out = {0};
    enum put_status st = message_store_put(r->store, &m, 1, r->now_ms, &out);
    for (int i = 0; st == PUT_BUSY && i < 3; i++) {
        message_store_turn(r->store, r->now_ms);
        sim_exec_drain(&r->exec);
        st = message_store_put(r->store, &m, 1, r->now_ms, &out);
    }
    cr_assert_eq(st, PUT_OK, "put is %d: %s", (int)st, message_store_refusal(r->store));
    message_store_turn(r->store, r->now_ms);
    return out;
}
