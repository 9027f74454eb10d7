/* index_kit.c - see index_kit.h. */
#include "tests/unit/index/index_kit.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"

static void hear(void *ctx, enum log_level level, const char *area, const char *text)
{
    struct said *s = ctx;
    (void)area;
    s->errors += level == LOG_ERROR;
    s->warnings += level == LOG_WARN;
    if (level >= LOG_WARN)
        snprintf(s->last, sizeof s->last, "%s", text);
}

void said_start(struct said *s)
{
    *s = (struct said){0, 0, ""};
    log_set_sink(hear, s);
}

void said_stop(void) { log_set_sink(NULL, NULL); }

struct message record_of(char *buf, const char *uniq, const char *keys, int64_t place, int64_t ms)
{
    int n = snprintf(buf, 128, "TAGS\1x\2%s%s%s%s%s%s", uniq ? "UNIQ_KEY\1" : "", uniq ? uniq : "", uniq ? "\2" : "", keys ? "KEYS\1" : "",
                     keys ? keys : "", keys ? "\2" : "");
    return (struct message){
        .size = 10, .topic = SLICE_LIT("T"), .properties = slice_make(buf, (size_t)n), .phys_off = place, .store_ms = ms};
}

void add(struct msg_index *x, const char *uniq, const char *keys, int64_t place, int64_t ms)
{
    char buf[128];
    struct message m = record_of(buf, uniq, keys, place, ms);
    msg_index_add(x, &m);
}

const char *found(struct msg_index *x, const char *key, int64_t begin_ms, int64_t end_ms)
{
    static char text[2048];
    int64_t places[64], last_ms, last_phys;
    uint32_t n = 0;
    size_t at = 0;
    text[0] = 0;
    msg_index_find(x, SLICE_LIT("T"), slice_str(key), 64, begin_ms, end_ms, places, &n, &last_ms, &last_phys);
    for (uint32_t i = 0; i < n; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%" PRId64 " ", places[i]);
    return text;
}

const char *found_any(struct msg_index *x, const char *key) { return found(x, key, 0, INT64_MAX); }

static struct msg_index *open_with(struct fake_disk *d, const struct store_exec *exec, uint32_t slots, uint32_t entries, bool clean, int64_t checkpoint_ms)
{
    struct msg_index *x = NULL;
    struct fault why = {0};
    struct checkpoint safe = CHECKPOINT_NONE; /* as of a Java broker: times only */
    safe.index_ms = checkpoint_ms;
    enum mq_err err = msg_index_open(fake_disk_io(d), exec, slots, entries, clean, &safe, &x, &why);
    cr_assert_eq(err, MQ_OK, "%s", why.what);
    return x;
}

struct msg_index *open_index(struct fake_disk *d, const struct store_exec *exec, uint32_t slots, uint32_t entries)
{
    return open_with(d, exec, slots, entries, true, 0);
}

struct msg_index *open_after_crash(struct fake_disk *d, uint32_t slots, uint32_t entries, int64_t checkpoint_ms)
{
    return open_with(d, NULL, slots, entries, false, checkpoint_ms);
}

static int by_text(const void *a, const void *b) { return strcmp(a, b); }

struct names {
    char all[64][64];
    size_t n;
};

static void take(void *ctx, const char *path, uint64_t size)
{
    struct names *names = ctx;
    (void)size;
    cr_assert(names->n < 64);
    snprintf(names->all[names->n++], 64, "%.63s", path);
}

const char *file_names(struct fake_disk *d)
{
    static char text[64 * 64];
    struct names names = {.n = 0};
    size_t at = 0;
    text[0] = 0;
    fake_disk_each(d, take, &names);
    qsort(names.all, names.n, sizeof names.all[0], by_text);
    for (size_t i = 0; i < names.n; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s ", names.all[i]);
    return text;
}

int file_count(struct fake_disk *d)
{
    struct names names = {.n = 0};
    fake_disk_each(d, take, &names);
    return (int)names.n;
}
