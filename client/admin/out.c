/* out.c - see out.h. What came from a server is data, not orders to a terminal: tables never carry control characters. */
#include "client/admin/out.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "client/admin/talk.h"
#include "common/protocol/json.h"

enum out_format out_format_of(const struct call *c)
{
    const char *o = c->opt[OPT_OUTPUT];
    return o == NULL || strcmp(o, "table") == 0 ? OUT_TABLE : strcmp(o, "json") == 0 ? OUT_JSON : OUT_CSV;
}

void out_tame(struct buf *to, struct slice text)
{
    for (size_t i = 0; i < text.n; i++) {
        uint8_t b = text.p[i];
        bool c1 = b == 0xc2 && i + 1 < text.n && text.p[i + 1] >= 0x80 && text.p[i + 1] < 0xa0; /* U+0080 ... U+009F */
        if ((b < 0x20 && b != '\t') || b == 0x7f || c1)
            buf_printf(to, "\\x%02x", b);
        else
            buf_u8(to, b);
        if (c1)
            buf_printf(to, "\\x%02x", text.p[++i]);
    }
}

static void write_out(struct out *o, struct slice text)
{
    if (!o->failed && text.n && fwrite(text.p, 1, text.n, stdout) != text.n)
        o->failed = true;
}

void out_begin(struct out *o, enum out_format format, bool stream, const struct out_column *cols, size_t n)
{
    *o = (struct out){.format = format, .stream = stream, .cols = cols, .n_cols = n};
    if (format == OUT_CSV) {
        for (size_t i = 0; i < n; i++)
            buf_printf(&o->line, "%s%s", i ? "," : "", cols[i].name);
        buf_u8(&o->line, '\n');
    } else if (format == OUT_JSON && !stream) {
        buf_u8(&o->line, '[');
    } else if (format == OUT_TABLE) {
        for (size_t i = 0; i < n && !stream; i++)
            buf_put(&o->cells, cols[i].title, strlen(cols[i].title) + 1);
        for (size_t i = 0; i < n && stream; i++)
            buf_printf(&o->line, "%*s%s", i + 1 == n ? 0 : cols[i].number ? cols[i].width : -cols[i].width, cols[i].title, i + 1 == n ? "\n" : "  ");
    }
}

static void end_row(struct out *o)
{
    o->at = 0;
    o->n_rows++;
    if (o->format == OUT_JSON && !o->stream)
        buf_u8(&o->line, '}');
    else if (o->format == OUT_JSON)
        buf_str(&o->line, "}\n");
    else if (o->format == OUT_CSV || o->stream)
        buf_u8(&o->line, '\n');
    o->failed = o->failed || o->line.failed;
    if (!o->stream)
        return;
    write_out(o, buf_view(&o->line));
    buf_clear(&o->line);
    if (fflush(stdout) != 0)
        o->failed = true;
}

static void csv_cell(struct buf *to, struct slice text)
{
    bool quote = false;
    for (size_t i = 0; i < text.n; i++)
        quote = quote || text.p[i] == ',' || text.p[i] == '"' || text.p[i] == '\n' || text.p[i] == '\r';
    if (!quote) {
        buf_slice(to, text);
        return;
    }
    buf_u8(to, '"');
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '"')
            buf_u8(to, '"');
        buf_u8(to, text.p[i]);
    }
    buf_u8(to, '"');
}

static void cell(struct out *o, struct slice text, bool number)
{
    const struct out_column *col = &o->cols[o->at];
    bool last = o->at + 1 == o->n_cols;
    switch (o->format) {
    case OUT_JSON:
        buf_str(&o->line, o->at ? "," : o->n_rows && !o->stream ? ",\n{" : "{");
        json_quote(&o->line, slice_str(col->name));
        buf_u8(&o->line, ':');
        if (number)
            buf_slice(&o->line, text);
        else
            json_quote(&o->line, text);
        break;
    case OUT_CSV:
        if (o->at)
            buf_u8(&o->line, ',');
        csv_cell(&o->line, text);
        break;
    case OUT_TABLE:
        if (o->stream) {
            struct buf tame = {0};
            out_tame(&tame, text);
            if (last)
                buf_slice(&o->line, buf_view(&tame));
            else
                buf_printf(&o->line, "%*.*s  ", col->number ? col->width : -col->width, SLICE_ARG(buf_view(&tame)));
            buf_free(&tame);
        } else {
            out_tame(&o->cells, text);
            buf_u8(&o->cells, 0);
        }
        break;
    }
    o->at++;
    if (last)
        end_row(o);
}

void out_text(struct out *o, const char *text) { cell(o, slice_str(text ? text : ""), false); }
void out_bytes(struct out *o, struct slice text) { cell(o, text, false); }

void out_i64(struct out *o, int64_t number)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, number);
    cell(o, slice_str(text), true);
}

void out_time(struct out *o, int64_t wall_ms)
{
    char text[40] = "";
    time_t s = (time_t)(wall_ms / 1000);
    struct tm tm;
    if (o->format == OUT_JSON) {
        out_i64(o, wall_ms);
        return;
    }
    if (wall_ms > 0 && localtime_r(&s, &tm)) {
        size_t n = strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm);
        snprintf(text + n, sizeof text - n, ".%03d", (int)(wall_ms % 1000));
    }
    cell(o, slice_str(text), false);
}

/* How many columns a terminal needs: code points, which is right for all but wide and combining ones. */
static size_t columns_of(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += ((uint8_t)*text & 0xc0) != 0x80;
    return n;
}

static void print_table(struct out *o)
{
    size_t width[16] = {0};
    const char *const begin = (const char *)o->cells.p, *at = begin, *end = begin + o->cells.n;
    for (size_t i = 0; at < end; i = (i + 1) % o->n_cols, at += strlen(at) + 1) {
        size_t n = columns_of(at);
        width[i] = n > width[i] ? n : width[i];
    }
    at = begin;
    for (size_t i = 0, row = 0; at < end; at += strlen(at) + 1) {
        size_t pad = width[i] - columns_of(at);
        bool last = i + 1 == o->n_cols, right = o->cols[i].number;
        if (row == 0)
            buf_str(&o->line, paint(stdout, PAINT_BOLD));
        for (size_t k = 0; right && k < pad; k++)
            buf_u8(&o->line, ' ');
        buf_str(&o->line, at);
        for (size_t k = 0; !right && !last && k < pad; k++)
            buf_u8(&o->line, ' ');
        if (row == 0)
            buf_str(&o->line, paint(stdout, PAINT_PLAIN));
        buf_str(&o->line, last ? "\n" : "  ");
        i = last ? 0 : i + 1;
        row += last;
    }
}

bool out_end(struct out *o)
{
    if (o->format == OUT_JSON && !o->stream)
        buf_str(&o->line, "]\n");
    if (o->format == OUT_TABLE && !o->stream && !o->cells.failed)
        print_table(o);
    o->failed = o->failed || o->cells.failed || o->line.failed;
    write_out(o, buf_view(&o->line));
    if (fflush(stdout) != 0)
        o->failed = true;
    out_drop(o);
    if (o->failed)
        complain(NULL, "cannot write to standard output");
    return !o->failed;
}

void out_drop(struct out *o)
{
    buf_free(&o->cells);
    buf_free(&o->line);
}
