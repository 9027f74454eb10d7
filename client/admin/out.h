/* out.h - rows on standard output: as an aligned table, as JSON, as CSV.
 *     static const struct out_column cols[] = {{"topic", "TOPIC", 0, false}, {"readQueueNums", "READ", 0, true}};
 *     out_begin(&o, format, false, cols, 2); out_text(&o, name); out_i64(&o, 8); return out_end(&o) ? DONE : REFUSED;
 * Thread: one. Rows are held until out_end(); in a stream they go out at once, and JSON is one object a line. */
#ifndef CLIENT_ADMIN_OUT_H
#define CLIENT_ADMIN_OUT_H
#include "client/admin/command.h"
#include "common/base/buf.h"

enum out_format { OUT_TABLE, OUT_JSON, OUT_CSV };
struct out_column {
    const char *name;  /* in JSON and CSV: Apache's spelling where it has one */
    const char *title; /* in tables */
    int width;         /* least width in a stream's table */
    bool number;
};
struct out {
    enum out_format format;
    bool stream, failed;
    const struct out_column *cols;
    size_t n_cols, at; /* at: the next cell of the row */
    size_t n_rows;
    struct buf cells; /* tables: cells, each ended by NUL */
    struct buf line;  /* what was not written yet */
};
enum out_format out_format_of(const struct call *c);
void out_begin(struct out *o, enum out_format format, bool stream, const struct out_column *cols, size_t n);
void out_text(struct out *o, const char *text);
void out_bytes(struct out *o, struct slice text);
void out_i64(struct out *o, int64_t number);
void out_time(struct out *o, int64_t wall_ms); /* JSON: the number; else local time; 0: nothing */
bool out_end(struct out *o);                   /* frees; false: a write failed, and that was said */
void out_drop(struct out *o);                  /* frees, and prints nothing that was not printed yet */
/* Text for a terminal: control characters as \xNN, tabs kept. */
void out_tame(struct buf *to, struct slice text);
#endif
