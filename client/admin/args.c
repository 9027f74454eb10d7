/* args.c - from argv to a struct call: which command, its options, the rest.
 *
 * Options may stand anywhere, also before the command (cmq -n host:9876 topic list): a first walk finds the command's words, a second
 * reads the options that the command has. The first walk has to know which options take a value; those before the command are the
 * common ones. "--" ends the options; a lone "-" is a word. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "client/admin/talk.h"
#include "common/base/slice.h"

static const struct opt_row *in_rows(const struct opt_row *row, const char *name, size_t n, char letter)
{
    for (; row->id != OPT_NONE; row++)
        if (name ? strlen(row->name) == n && memcmp(row->name, name, n) == 0 : row->letter == letter && letter != 0)
            return row;
    return NULL;
}

const struct opt_row *args_option(const struct command *c, const char *name, size_t n, char letter)
{
    const struct opt_row *row = c ? in_rows(c->options, name, n, letter) : NULL;
    if (row == NULL && (c == NULL || c->talks))
        row = in_rows(talk_options, name, n, letter);
    if (row == NULL && (c == NULL || c->lists))
        row = in_rows(list_options, name, n, letter);
    return row ? row : in_rows(common_options, name, n, letter);
}

void args_each_option(const struct command *c, void (*fn)(void *arg, const struct opt_row *o), void *arg)
{
    const struct opt_row *const rows[] = {c->options, c->lists ? list_options : NULL, c->talks ? talk_options : NULL, common_options};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (const struct opt_row *o = rows[i]; o && o->id != OPT_NONE; o++)
            fn(arg, o);
}

/* The option that argv[i] is, with its value; *used: how many of argv it takes. NULL: none, and `strange` is set when it looks like one. */
static const struct opt_row *option_at(const struct command *c, int argc, char *const *argv, int i, const char **value, int *used, bool *strange)
{
    const char *a = argv[i];
    const struct opt_row *row;
    const char *eq = NULL;
    *strange = a[0] == '-' && a[1] != 0;
    *used = 1;
    *value = NULL;
    if (!*strange)
        return NULL;
    if (a[1] == '-') {
        eq = strchr(a, '=');
        row = args_option(c, a + 2, eq ? (size_t)(eq - a - 2) : strlen(a + 2), 0);
        if (row && eq)
            *value = eq + 1;
    } else {
        row = args_option(c, NULL, 0, a[1]);
        if (row && a[2])
            *value = a + 2;
    }
    if (row && row->arg && *value == NULL && i + 1 < argc) {
        *value = argv[i + 1];
        *used = 2;
    }
    return row;
}

static bool one_of(const char *words, const char *value)
{
    struct slice rest = slice_str(words), word;
    while (rest.p && slice_cut(&rest, ' ', &word))
        if (slice_is(word, value))
            return true;
    return false;
}

static int usage_error(const struct call *c)
{
    if (c->command)
        say("  Try: cmq help %s", c->command->name);
    else
        say("  Try: cmq help");
    return USAGE;
}

/* Takes one option into the call. -1: fine. */
static int take(struct call *c, const struct opt_row *row, const char *value)
{
    if (row->arg && value == NULL) {
        complain(c, "--%s needs %s: %s", row->name, row->arg, row->help);
        return usage_error(c);
    }
    if (!row->arg && value) {
        complain(c, "--%s takes no value", row->name);
        return usage_error(c);
    }
    /* --from has words and also times: its command looks for itself */
    if (row->choices && row->id != OPT_FROM && !one_of(row->choices, value)) {
        complain(c, "--%s %s: expected one of %s", row->name, value, row->choices);
        return usage_error(c);
    }
    if (c->n_given == (int)(sizeof c->given / sizeof *c->given)) {
        complain(c, "more than %d options", c->n_given);
        return USAGE;
    }
    c->opt[row->id] = value ? value : "";
    c->given[c->n_given].id = row->id;
    c->given[c->n_given++].value = value ? value : "";
    return -1;
}

/* The command's words: the first one or two of argv that are no options. */
static int find_command(int argc, char *const *argv, struct call *out, int word_at[2])
{
    const char *words[2] = {NULL, NULL};
    int n = 0, used;
    word_at[0] = word_at[1] = -1;
    for (int i = 1; i < argc && n < 2; i += used) {
        const char *value;
        bool strange;
        const struct command *so_far = n ? command_find(words[0], NULL) : NULL;
        const struct opt_row *row = option_at(so_far, argc, argv, i, &value, &used, &strange);
        if (strcmp(argv[i], "--") == 0)
            break;
        if (n == 0 && strcmp(argv[i], "--version") == 0) {
            words[n] = "version", word_at[n++] = i;
            break;
        }
        if (strange) {
            if (row == NULL && n == 0) {
                complain(NULL, "%s is not an option", argv[i]);
                return usage_error(out);
            }
            continue;
        }
        words[n] = argv[i];
        word_at[n++] = i;
    }
    if (n == 0) {
        help_overview(false);
        return USAGE;
    }
    out->command = command_find(words[0], NULL);
    if (out->command) {
        word_at[1] = -1;
        return -1;
    }
    out->command = command_find(words[0], words[1]);
    if (out->command)
        return -1;
    const char *near = command_nearest(words[0]);
    bool family = false;
    for (const struct command *c = commands; c->name; c++)
        if (strncmp(c->name, words[0], strlen(words[0])) == 0 && c->name[strlen(words[0])] == ' ')
            family = true;
    if (family && words[1])
        complain(NULL, "%s has no command %s", words[0], words[1]);
    else if (family)
        complain(NULL, "%s needs another word", words[0]);
    else if (near)
        complain(NULL, "there is no command %s. Did you mean %s?", words[0], near);
    else
        complain(NULL, "there is no command %s", words[0]);
    if (family)
        for (const struct command *c = commands; c->name; c++)
            if (strncmp(c->name, words[0], strlen(words[0])) == 0 && c->name[strlen(words[0])] == ' ')
                say("  cmq %s%s%s  %s", c->name, c->args[0] ? " " : "", c->args, c->summary);
    return usage_error(out);
}

int args_parse(int argc, char *const *argv, struct call *out, char **rest)
{
    int word_at[2], n = 0, used;
    bool only_words = false;
    *out = (struct call){0};
    for (int i = 1; i < argc && argc <= 3; i++) /* cmq -h, cmq --help */
        if (argc == 2 && (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0)) {
            help_overview(true);
            return DONE;
        }
    int rc = find_command(argc, argv, out, word_at);
    if (rc != -1)
        return rc;
    for (int i = 1; i < argc; i += used) {
        const char *value;
        bool strange;
        used = 1;
        if (i == word_at[0] || i == word_at[1])
            continue;
        if (!only_words && strcmp(argv[i], "--") == 0) {
            only_words = true;
            continue;
        }
        const struct opt_row *row = only_words ? NULL : option_at(out->command, argc, argv, i, &value, &used, &strange);
        if (row) {
            rc = take(out, row, value);
            if (rc != -1)
                return rc;
        } else if (!only_words && strange) {
            complain(out, "%s is not an option of this command", argv[i]);
            return usage_error(out);
        } else {
            rest[n++] = argv[i];
        }
    }
    out->arg = rest;
    out->n_args = n;
    if (out->opt[OPT_HELP]) {
        help_command(out->command, true);
        return DONE;
    }
    if (n < out->command->min_args) {
        complain(out, "%s", out->command->max_args == 1 ? "something is missing" : "not enough words");
        say("  Usage: cmq %s %s", out->command->name, out->command->args);
        return usage_error(out);
    }
    if (n > out->command->max_args) {
        complain(out, "%s is one word too many%s", rest[out->command->max_args], out->command->run == cmd_send ? " (quote the text)" : "");
        say("  Usage: cmq %s%s%s", out->command->name, out->command->args[0] ? " " : "", out->command->args);
        return usage_error(out);
    }
    return -1;
}

bool call_number(const struct call *c, enum opt id, int64_t low, int64_t high, int64_t absent, int64_t *out)
{
    *out = absent;
    if (c->opt[id] == NULL || (slice_i64(slice_str(c->opt[id]), out) && *out >= low && *out <= high))
        return true;
    const char *name = "?";
    for (const struct opt_row *const *r = (const struct opt_row *const[]){c->command->options, talk_options, NULL}; *r; r++)
        for (const struct opt_row *o = *r; o->id != OPT_NONE; o++)
            if (o->id == id)
                name = o->name;
    complain(c, "--%s %s: expected a number from %lld to %lld", name, c->opt[id], (long long)low, (long long)high);
    return false;
}

bool call_from(const struct call *c, int64_t *out)
{
    const char *from = c->opt[OPT_FROM];
    struct tm tm = {.tm_isdst = -1};
    *out = FROM_LAST;
    if (from == NULL || strcmp(from, "last") == 0)
        return true;
    if (strcmp(from, "first") == 0) {
        *out = FROM_FIRST;
        return true;
    }
    if (slice_i64(slice_str(from), out) && *out >= 0)
        return true;
    static const char *const forms[] = {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d"};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        tm = (struct tm){.tm_isdst = -1};
        const char *end = strptime(from, forms[i], &tm);
        if (end && *end == 0) {
            *out = (int64_t)mktime(&tm) * 1000;
            return true;
        }
    }
    complain(c, "--from %s: expected first, last, a local time as 2026-03-01T12:00:00, or milliseconds since 1970", from);
    return false;
}

const char *call_next(const struct call *c, enum opt id, int *at)
{
    while (*at < c->n_given) {
        int i = (*at)++;
        if (c->given[i].id == id)
            return c->given[i].value;
    }
    return NULL;
}
