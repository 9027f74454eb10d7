/* help.c - the list of commands, and what one command takes; both from the table. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "client/admin/talk.h"

const struct command *command_find(const char *first, const char *second)
{
    char name[64];
    if (first == NULL)
        return NULL;
    int n = second ? snprintf(name, sizeof name, "%s %s", first, second) : snprintf(name, sizeof name, "%s", first);
    if (n < 0 || n >= (int)sizeof name)
        return NULL;
    for (const struct command *c = commands; c->name; c++)
        if (strcmp(c->name, name) == 0)
            return c;
    return NULL;
}

/* How many letters to change, add or drop to make b of a. Both are short. */
static size_t distance(const char *a, const char *b)
{
    enum { LONG = 24 };
    size_t row[LONG + 1], na = strlen(a), nb = strlen(b);
    if (na > LONG || nb > LONG)
        return LONG;
    for (size_t j = 0; j <= nb; j++)
        row[j] = j;
    for (size_t i = 1; i <= na; i++) {
        size_t above_left = row[0];
        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            size_t above = row[j], best = above_left + (a[i - 1] != b[j - 1]);
            best = best < above + 1 ? best : above + 1;
            row[j] = best < row[j - 1] + 1 ? best : row[j - 1] + 1;
            above_left = above;
        }
    }
    return row[nb];
}

const char *command_nearest(const char *word)
{
    static char best[32];
    size_t least = 3;
    for (const struct command *c = commands; c->name; c++) {
        char first[32];
        snprintf(first, sizeof first, "%.*s", (int)strcspn(c->name, " "), c->name);
        size_t d = distance(word, first);
        if (d < least) {
            least = d;
            memcpy(best, first, sizeof best);
        }
    }
    return least < 3 ? best : NULL;
}

static void print_option(void *arg, const struct opt_row *o)
{
    FILE *to = arg;
    char left[64];
    char letter[4] = {o->letter ? '-' : ' ', o->letter ? o->letter : ' ', o->letter ? ',' : ' ', 0};
    snprintf(left, sizeof left, "%s --%s%s%s", letter, o->name, o->arg ? " " : "", o->arg ? o->arg : "");
    fprintf(to, "  %-24s %s", left, o->help);
    if (o->choices && o->id != OPT_FROM)
        fprintf(to, ": %s", o->choices);
    fputc('\n', to);
}

void help_overview(bool to_stdout)
{
    FILE *to = to_stdout ? stdout : stderr;
    const char *bold = paint(to, PAINT_BOLD), *plain = paint(to, PAINT_PLAIN);
    fprintf(to, "usage: cmq COMMAND ...\n\n");
    for (const struct command *c = commands; c->name; c++) {
        char usage[64];
        snprintf(usage, sizeof usage, "%s%s%s", c->name, c->args[0] ? " " : "", c->args);
        fprintf(to, "  %s%-22s%s %s\n", bold, usage, plain, c->summary);
    }
    fprintf(to, "\nOptions of commands that talk to servers:\n");
    for (const struct opt_row *o = talk_options; o->id != OPT_NONE; o++)
        print_option(to, o);
    fprintf(to, "\n`cmq help COMMAND` tells more, `man cmq` all. First steps: run `cmq up` in one terminal, `cmq send Test hello` in another.\n"
                "Exit codes: 0 done, 1 refused, 2 usage, 3 unreachable, 4 partly done.\n");
}

/* Words of a paragraph, in lines of at most 100 columns. */
static void print_text(FILE *to, const char *text)
{
    size_t column = 0;
    while (*text) {
        if (*text == '\n') {
            fputc('\n', to);
            column = 0;
            text++;
            continue;
        }
        size_t n = strcspn(text, " \n");
        if (column && column + 1 + n > 100) {
            fputc('\n', to);
            column = 0;
        }
        fprintf(to, "%s%.*s", column ? " " : "", (int)n, text);
        column += n + (column > 0);
        text += n;
        text += *text == ' ';
    }
    fputc('\n', to);
}

void help_command(const struct command *c, bool to_stdout)
{
    FILE *to = to_stdout ? stdout : stderr;
    fprintf(to, "usage: cmq %s%s%s [OPTIONS]\n\n", c->name, c->args[0] ? " " : "", c->args);
    print_text(to, c->text);
    fprintf(to, "\nOptions:\n");
    args_each_option(c, print_option, to);
    if (c->example) {
        fprintf(to, "\nExamples:\n");
        for (const char *line = c->example; *line;) {
            size_t n = strcspn(line, "\n");
            fprintf(to, "  %.*s\n", (int)n, line);
            line += n + (line[n] == '\n');
        }
    }
}

int cmd_help(const struct call *c)
{
    if (c->n_args == 0) {
        help_overview(true);
        return DONE;
    }
    const struct command *found = command_find(c->arg[0], c->n_args > 1 ? c->arg[1] : NULL);
    if (found) {
        help_command(found, true);
        return DONE;
    }
    bool any = false;
    for (const struct command *k = commands; k->name && c->n_args == 1; k++) {
        size_t n = strlen(c->arg[0]);
        if (strncmp(k->name, c->arg[0], n) == 0 && k->name[n] == ' ') {
            if (any)
                putchar('\n');
            help_command(k, true);
            any = true;
        }
    }
    if (any)
        return DONE;
    complain(c, "there is no command %s%s%s", c->arg[0], c->n_args > 1 ? " " : "", c->n_args > 1 ? c->arg[1] : "");
    return USAGE;
}

int cmd_version(const struct call *c)
{
    (void)c;
    printf("cmq %s\n", cmq_version());
    return DONE;
}
