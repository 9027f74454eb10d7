/* delay_offsets.c - see delay_offsets.h; the file's form: inventory e.6.
 *
 *   delivered --mark--> waits for the flush of the log up to there --flushed--> the table, and with it the file
 *   I1  no offset gets into the file before all that it counts as delivered is on the medium.   (test: unit/schedule/delay_offsets)
 *   I2  levels of the file that this broker's table of levels has not stay in it: the table may get longer again. */
#include "broker/schedule/delay_offsets.h"

#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/protocol/json.h"

enum { LEVELS = STORE_DELAY_LEVELS_MAX };

struct delay_offsets {
    struct config_file *file;
    int64_t table[LEVELS]; /* -1: none; [0] is level 1 */
    int64_t marked[LEVELS];
    uint64_t marked_end;
    bool waits;
};

/* ---- the file ---- */
static enum mq_err level_from_json(const char *key, const json_t *v, int64_t table[LEVELS], struct fault *why)
{
    int32_t level;
    int64_t off;
    if (!slice_i32(slice_str(key), &level) || level < 1)
        return fault_set(why, MQ_EMALFORMED, 0, "offsetTable: %.32s is no delay level", key);
    if (json_is_integer(v))
        off = json_integer_value(v);
    else if (!json_is_string(v) || !slice_i64(slice_str(json_string_value(v)), &off))
        return fault_set(why, MQ_EMALFORMED, 0, "offsetTable: level %.32s has no number", key);
    if (off < 0)
        return fault_set(why, MQ_EMALFORMED, 0, "offsetTable: level %.32s is negative", key);
    if (level <= LEVELS) /* no queue of ours belongs to any other */
        table[level - 1] = off;
    return MQ_OK;
}

static enum mq_err take(void *ctx, struct slice text, struct fault *why)
{
    struct delay_offsets *o = ctx;
    json_t *root = json_parse(text, why), *v;
    const char *key;
    if (root == NULL)
        return why && why->err != MQ_OK ? why->err : MQ_EMALFORMED;
    json_t *object = json_object_get(root, "offsetTable");
    int64_t table[LEVELS];
    memset(table, -1, sizeof table);
    enum mq_err err = json_is_object(object) ? MQ_OK : fault_set(why, MQ_EMALFORMED, 0, "offsetTable is missing");
    if (err == MQ_OK) {
        json_object_foreach(object, key, v) {
            err = level_from_json(key, v, table, why);
            if (err != MQ_OK)
                break;
        }
    }
    if (err == MQ_OK)
        memcpy(o->table, table, sizeof table);
    json_decref(root);
    return err;
}

/* fastjson's pretty form breaks no lines before keys that are numbers, only before the closing brace. */
void delay_offsets_encode(const struct delay_offsets *o, bool pretty, struct buf *out)
{
    bool first = true;
    buf_str(out, pretty ? "{\n\t\"offsetTable\":{" : "{\"offsetTable\":{");
    for (int i = 0; i < LEVELS; i++) {
        if (o->table[i] < 0)
            continue;
        if (!first)
            buf_u8(out, ',');
        first = false;
        buf_i64_text(out, i + 1);
        buf_u8(out, ':');
        buf_i64_text(out, o->table[i]);
    }
    buf_str(out, !pretty ? "}}" : first ? "}\n}" : "\n\t}\n}");
}

static void text(void *ctx, struct buf *out) { delay_offsets_encode(ctx, true, out); }

/* ---- life ---- */
enum mq_err delay_offsets_open(struct config_file *file, struct delay_offsets **out, struct fault *why)
{
    struct delay_offsets *o = mem_zalloc(sizeof *o);
    if (o == NULL) {
        config_file_close(file);
        return fault_set(why, MQ_ENOMEM, 0, "delay offsets");
    }
    memset(o->table, -1, sizeof o->table);
    enum mq_err err = config_file_begin(file, take, o, text, o, why);
    if (err != MQ_OK) {
        mem_free(o);
        return err;
    }
    o->file = file;
    *out = o;
    return MQ_OK;
}

void delay_offsets_close(struct delay_offsets *o)
{
    if (o == NULL)
        return;
    config_file_close(o->file);
    mem_free(o);
}

/* ---- use ---- */
int64_t delay_offsets_get(const struct delay_offsets *o, unsigned level) { return level >= 1 && level <= LEVELS ? o->table[level - 1] : -1; }

void delay_offsets_mark(struct delay_offsets *o, const int64_t *now, unsigned n, uint64_t written_off)
{
    bool news = false;
    if (o->waits)
        return;
    memcpy(o->marked, o->table, sizeof o->marked);
    for (unsigned i = 0; i < n && i < LEVELS; i++) {
        int64_t off = now[i] > 0 ? now[i] : o->table[i] >= 0 ? 0 : -1; /* as Apache: who never delivered anything is not there */
        news = news || off != o->table[i];
        o->marked[i] = off;
    }
    o->marked_end = written_off;
    o->waits = news;
}

void delay_offsets_flushed(struct delay_offsets *o, uint64_t flushed_off)
{
    if (!o->waits || flushed_off < o->marked_end)
        return;
    o->waits = false;
    memcpy(o->table, o->marked, sizeof o->table);
    config_file_changed(o->file);
}

void delay_offsets_settle(struct delay_offsets *o, const int64_t *now, unsigned n)
{
    o->waits = false;
    delay_offsets_mark(o, now, n, 0);
    if (!o->waits)
        return;
    o->waits = false;
    memcpy(o->table, o->marked, sizeof o->table);
    config_file_touch(o->file);
}

void delay_offsets_retry_save(struct delay_offsets *o) { config_file_retry(o->file); }
