/* options.c - the command line as commons-cli's PosixParser takes it: -t X, -tX, --topic X, --topic=X, flags in a bunch (-lt X).
 *
 * What stands behind an option that takes a value is its value, unless it is itself an option of the command: so -s -1 is a number. Words that
 * belong to no option are passed over. The last one counts of an option that is given twice. (test: unit/admin, mqadmin_words) */
#include <stdlib.h>
#include <string.h>

#include "client/admin/mqadmin/mqadmin.h"

static const struct mqadmin_option *in_rows(const struct mqadmin_option *row, char letter, const char *name, size_t n)
{
    for (; row->letter; row++)
        if (name ? strlen(row->name) == n && memcmp(row->name, name, n) == 0 : row->letter == letter)
            return row;
    return NULL;
}

const struct mqadmin_option *options_find(const struct mqadmin_command *c, char letter, const char *name, size_t n)
{
    const struct mqadmin_option *row = in_rows(c->options, letter, name, n);
    return row ? row : in_rows(mqadmin_common, letter, name, n);
}

static char *trim(char *text)
{
    while (*text != '\0' && (unsigned char)*text <= ' ')
        text++;
    for (size_t n = strlen(text); n > 0 && (unsigned char)text[n - 1] <= ' ';)
        text[--n] = '\0';
    return text;
}

/* The option that a word begins with; *rest: what is glued to it, NULL for nothing. */
static const struct mqadmin_option *option_of(const struct mqadmin_command *c, char *word, char **rest)
{
    *rest = NULL;
    if (word[0] != '-' || word[1] == '\0')
        return NULL;
    if (word[1] != '-') {
        *rest = word[2] ? word + 2 : NULL;
        return options_find(c, word[1], NULL, 0);
    }
    char *eq = strchr(word, '=');
    if (eq != NULL)
        *rest = eq + 1;
    return options_find(c, 0, word + 2, eq ? (size_t)(eq - word - 2) : strlen(word + 2));
}

static bool one_of_is_given(const struct mqadmin *m)
{
    int wanted = 0, given = 0;
    for (const struct mqadmin_option *o = m->command->options; o->letter; o++) {
        wanted += (o->kind & OPTION_ONE_OF) != 0;
        given += (o->kind & OPTION_ONE_OF) && opt_is(m, o->letter);
    }
    return wanted == 0 || given == 1;
}

bool options_parse(struct mqadmin *m, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        char *rest, *none;
        const struct mqadmin_option *o = option_of(m->command, argv[i], &rest);
        if (strcmp(argv[i], "--") == 0)
            break;
        if (o == NULL && argv[i][0] == '-' && argv[i][1] != '\0')
            return false;
        if (o == NULL)
            continue;
        while (!(o->kind & OPTION_ARG) && rest != NULL) { /* a flag, with other options glued to it */
            m->value[(unsigned char)o->letter] = "";
            o = argv[i][1] == '-' ? NULL : options_find(m->command, rest[0], NULL, 0);
            if (o == NULL)
                return false;
            rest = rest[1] ? rest + 1 : NULL;
        }
        if ((o->kind & OPTION_ARG) && rest == NULL) {
            if (i + 1 == argc || option_of(m->command, argv[i + 1], &none) != NULL)
                return false;
            rest = argv[++i];
        }
        m->value[(unsigned char)o->letter] = rest ? trim(rest) : "";
    }
    for (const struct mqadmin_option *o = m->command->options; o->letter; o++)
        if ((o->kind & OPTION_MUST) && !opt_is(m, o->letter))
            return false;
    return one_of_is_given(m);
}

const char *opt_or(const struct mqadmin *m, char letter, const char *absent) { return opt_is(m, letter) ? opt_text(m, letter) : absent; }
bool opt_bool(const struct mqadmin *m, char letter, bool absent) { return opt_is(m, letter) ? slice_bool(slice_str(opt_text(m, letter))) : absent; }

bool opt_i64(struct mqadmin *m, char letter, int64_t absent, int64_t *out)
{
    *out = absent;
    if (!opt_is(m, letter) || slice_i64(slice_str(opt_text(m, letter)), out))
        return true;
    return fail(m, -1, "For input string: \"%s\"", opt_text(m, letter));
}

bool opt_i32(struct mqadmin *m, char letter, int32_t absent, int32_t *out)
{
    int64_t wide;
    if (!opt_i64(m, letter, absent, &wide))
        return false;
    if (wide < INT32_MIN || wide > INT32_MAX)
        return fail(m, -1, "For input string: \"%s\"", opt_text(m, letter));
    *out = (int32_t)wide;
    return true;
}
