/* help.c - help in the form that commons-cli's HelpFormatter gives it, 110 columns wide; the sentences are ours.
 *
 *     usage: mqadmin topicRoute [-h] [-l] [-n <arg>] -t <arg>
 *      -h,--help                this help
 * Options are sorted by their letters; those of which one has to be there stand together: -b <arg> | -c <arg>.
 * (test: unit/admin, mqadmin_words) */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "client/admin/mqadmin/mqadmin.h"

enum { WIDTH = 110, OPTIONS_MAX = 32 };

/* All options of a command by letter, small before capital letters of the same. */
static size_t sorted(const struct mqadmin_command *c, const struct mqadmin_option *out[OPTIONS_MAX])
{
    const struct mqadmin_option *const rows[] = {c->options, mqadmin_common};
    size_t n = 0;
    for (size_t k = 0; k < 2; k++)
        for (const struct mqadmin_option *o = rows[k]; o->letter && n < OPTIONS_MAX; o++) {
            size_t at = n;
            if (k == 1 && options_find(c, o->letter, NULL, 0) != o)
                continue; /* the command has its own */
            for (; at > 0 && tolower((unsigned char)out[at - 1]->letter) > tolower((unsigned char)o->letter); at--)
                out[at] = out[at - 1];
            out[at] = o;
            n++;
        }
    return n;
}

/* How much of a text goes on a line with that much room: up to its last blank, or all the room when it has none. */
static size_t break_at(struct slice text, size_t room)
{
    size_t at = room;
    if (text.n <= room)
        return text.n;
    while (at > 0 && text.p[at] != ' ')
        at--;
    return at > 0 ? at : room;
}

/* A text in lines; all but the first are indented. */
static void wrapped(struct buf *out, struct slice text, int indent)
{
    int margin = 0;
    do {
        size_t at = break_at(text, (size_t)(WIDTH - margin));
        struct slice line = slice_head(text, at);
        while (line.n > 0 && line.p[line.n - 1] == ' ')
            line.n--;
        buf_printf(out, "%*s%.*s\n", margin, "", SLICE_ARG(line));
        text = slice_trim(slice_from(text, at));
        margin = indent;
    } while (text.n > 0);
}

static void usage_option(struct buf *out, const struct mqadmin_option *o, bool bare)
{
    buf_printf(out, "%s-%c%s%s", bare ? "" : "[", o->letter, o->kind & OPTION_ARG ? " <arg>" : "", bare ? "" : "]");
}

static void usage(struct buf *out, const struct mqadmin_command *c, const struct mqadmin_option *const *all, size_t n)
{
    struct buf line = {0};
    bool group_said = false;
    buf_printf(&line, "usage: mqadmin %s ", c->name);
    for (size_t i = 0; i < n; i++) {
        if (!(all[i]->kind & OPTION_ONE_OF)) {
            usage_option(&line, all[i], (all[i]->kind & OPTION_MUST) != 0);
        } else if (!group_said) {
            const char *between = "";
            for (size_t k = i; k < n; k++)
                if (all[k]->kind & OPTION_ONE_OF) {
                    buf_str(&line, between);
                    usage_option(&line, all[k], true);
                    between = " | ";
                }
            group_said = true;
        }
        if (i + 1 < n)
            buf_u8(&line, ' ');
    }
    wrapped(out, buf_view(&line), 7);
    buf_free(&line);
}

void help_of(struct buf *out, const struct mqadmin_command *c)
{
    const struct mqadmin_option *all[OPTIONS_MAX];
    size_t n = sorted(c, all);
    int widest = 0;
    usage(out, c, all, n);
    for (size_t i = 0; i < n; i++) {
        int width = (int)strlen(all[i]->name) + 6 + (all[i]->kind & OPTION_ARG ? 6 : 0);
        widest = width > widest ? width : widest;
    }
    for (size_t i = 0; i < n; i++) {
        struct buf line = {0};
        buf_printf(&line, " -%c,--%s%s", all[i]->letter, all[i]->name, all[i]->kind & OPTION_ARG ? " <arg>" : "");
        while (line.n < (size_t)widest && !line.failed)
            buf_u8(&line, ' ');
        buf_printf(&line, "   %s", all[i]->help);
        wrapped(out, buf_view(&line), widest + 3);
        buf_free(&line);
    }
}

void help_list(struct buf *out)
{
    buf_str(out, "The most commonly used mqadmin commands are:\n");
    for (const struct mqadmin_command *c = mqadmin_commands; c->name; c++)
        buf_printf(out, "   %-20s %s\n", c->name, c->summary);
    buf_str(out, "\nSee 'mqadmin help <command>' for more information on a specific command.\n");
}
