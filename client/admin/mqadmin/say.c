/* say.c - what mqadmin prints: words on standard output, failures on standard error.
 *
 * What Apache prints of a failure is a stack of Java's calls; here a first line has the command's name, and a second what happened: with CODE and
 * DESC, as Apache's, when a server refused. */
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "client/admin/mqadmin/mqadmin.h"
#include "client/admin/out.h"

void print(const char *fmt, ...)
{
    struct buf text = {0};
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    if (isatty(STDOUT_FILENO)) {
        struct buf tame = {0};
        struct slice rest = buf_view(&text), line;
        for (bool first = true; rest.p != NULL && slice_cut(&rest, '\n', &line); first = false) {
            if (!first)
                buf_u8(&tame, '\n');
            out_tame(&tame, line);
        }
        buf_free(&text);
        text = tame;
    }
    fwrite(text.p, 1, text.n, stdout); /* main() looks whether all could be written */
    buf_free(&text);
}

bool fail(struct mqadmin *m, int32_t code, const char *fmt, ...)
{
    va_list ap;
    buf_clear(&m->why);
    m->code = code;
    va_start(ap, fmt);
    buf_vprintf(&m->why, fmt, ap);
    va_end(ap);
    return false;
}

void fail_tell(struct mqadmin *m)
{
    struct buf tame = {0};
    struct slice rest = buf_view(&m->why), line;
    if (m->code >= 0)
        buf_printf(&tame, "  CODE: %d  DESC:", (int)m->code);
    while (rest.p != NULL && slice_cut(&rest, '\n', &line)) {
        buf_str(&tame, tame.n > 0 && tame.p[tame.n - 1] == ':' ? " " : "  ");
        out_tame(&tame, line);
        buf_u8(&tame, '\n');
    }
    fflush(stdout);
    fprintf(stderr, "mqadmin %s: command failed\n%.*s", m->command->name, SLICE_ARG(buf_view(&tame)));
    buf_free(&tame);
    fail_forget(m);
}

void fail_forget(struct mqadmin *m) { buf_clear(&m->why); }

bool help_print(const struct mqadmin_command *c)
{
    struct buf text = {0};
    help_of(&text, c);
    print("%.*s", SLICE_ARG(buf_view(&text)));
    buf_free(&text);
    return true;
}
