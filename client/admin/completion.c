/* completion.c - cmq completion bash | zsh | fish: a script that knows the table.
 *
 * bash and zsh share one function: zsh reads it through its bashcompinit. The function looks at the words so far, finds the command, and
 * offers its options and the words that an option can take. */
#include <stdio.h>
#include <string.h>
#include "client/admin/mqadmin/mqadmin.h"
#include "client/admin/talk.h"

static void put_option(void *arg, const struct opt_row *o)
{
    (void)arg;
    printf(" --%s", o->name);
}

static void put_choices(void *arg, const struct opt_row *o)
{
    (void)arg;
    if (o->choices)
        printf("        --%s%s%c) words=\"%s\" ;;\n", o->name, o->letter ? "|-" : "", o->letter ? o->letter : ' ', o->choices);
}

/* Is this the first command that begins with its first word? */
static bool first_of_its_word(const struct command *c)
{
    size_t n = strcspn(c->name, " ");
    for (const struct command *k = commands; k < c; k++)
        if (strncmp(k->name, c->name, n) == 0 && (k->name[n] == ' ' || k->name[n] == 0))
            return false;
    return true;
}

static void put_first_words(void)
{
    for (const struct command *c = commands; c->name; c++)
        if (first_of_its_word(c))
            printf("%s%.*s", c == commands ? "" : " ", (int)strcspn(c->name, " "), c->name);
}

static void put_second_words(const char *first, size_t n)
{
    const char *sep = "";
    for (const struct command *c = commands; c->name; c++)
        if (strncmp(c->name, first, n) == 0 && c->name[n] == ' ') {
            printf("%s%s", sep, c->name + n + 1);
            sep = " ";
        }
}

static void bash(void)
{
    printf("_cmq() {\n"
           "    local cur=\"${COMP_WORDS[COMP_CWORD]}\" prev=\"${COMP_WORDS[COMP_CWORD-1]}\" path=\"\" w i words=\"\"\n"
           "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
           "        w=\"${COMP_WORDS[i]}\"\n"
           "        case \"$w\" in -*) continue ;; esac\n"
           "        if [ -z \"$path\" ]; then path=\"$w\"; else path=\"$path $w\"; break; fi\n"
           "    done\n"
           "    case \"$path\" in\n");
    for (const struct command *c = commands; c->name; c++) {
        size_t n = strcspn(c->name, " ");
        if (c->name[n] == ' ' && first_of_its_word(c)) {
            printf("    %.*s) words=\"", (int)n, c->name);
            put_second_words(c->name, n);
            printf("\" ;;\n");
        }
        if (c->name[n] == ' ')
            printf("    \"%s\")\n", c->name);
        else
            printf("    %s|%s\\ *)\n", c->name, c->name);
        printf("        words=\"%s", strcmp(c->name, "completion") == 0 ? "bash zsh fish" : "");
        if (strcmp(c->name, "help") == 0)
            put_first_words();
        for (const struct mqadmin_command *k = mqadmin_commands; strcmp(c->name, "mqadmin") == 0 && k->name; k++)
            printf("%s ", k->name);
        args_each_option(c, put_option, NULL);
        printf("\"\n        case \"$prev\" in\n");
        args_each_option(c, put_choices, NULL);
        printf("        esac ;;\n");
    }
    printf("    \"\") words=\"");
    put_first_words();
    printf("\" ;;\n    esac\n    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\ncomplete -o default -F _cmq cmq\n");
}

static void zsh(void)
{
    printf("#compdef cmq\nautoload -U +X bashcompinit && bashcompinit\n");
    bash();
}

/* Text in fish's single quotes. */
static void fish_text(const char *s)
{
    putchar('\'');
    for (; *s; s++) {
        if (*s == '\'' || *s == '\\')
            putchar('\\');
        putchar(*s);
    }
    putchar('\'');
}

static void fish_option(void *arg, const struct opt_row *o)
{
    const struct command *c = arg;
    size_t n = strcspn(c->name, " ");
    printf("complete -c cmq -n '__fish_seen_subcommand_from %.*s", (int)n, c->name);
    if (c->name[n])
        printf("; and __fish_seen_subcommand_from %s", c->name + n + 1);
    printf("' -l %s", o->name);
    if (o->letter)
        printf(" -s %c", o->letter);
    if (o->arg)
        printf(o->choices ? " -x -a '%s'" : " -r", o->choices ? o->choices : "");
    printf(" -d ");
    fish_text(o->help);
    putchar('\n');
}

static void fish(void)
{
    printf("complete -c cmq -f\n");
    for (const struct command *c = commands; c->name; c++) {
        size_t n = strcspn(c->name, " ");
        if (first_of_its_word(c)) {
            printf("complete -c cmq -n __fish_use_subcommand -a %.*s", (int)n, c->name);
            if (c->name[n] == 0) {
                printf(" -d ");
                fish_text(c->summary);
            }
            putchar('\n');
        }
        if (c->name[n]) {
            printf("complete -c cmq -n '__fish_seen_subcommand_from %.*s; and not __fish_seen_subcommand_from ", (int)n, c->name);
            put_second_words(c->name, n);
            printf("' -a %s -d ", c->name + n + 1);
            fish_text(c->summary);
            putchar('\n');
        }
        args_each_option(c, fish_option, (void *)(uintptr_t)c);
    }
    printf("complete -c cmq -n '__fish_seen_subcommand_from completion' -a 'bash zsh fish'\n");
}

int cmd_completion(const struct call *c)
{
    static const struct {
        const char *shell;
        void (*print)(void);
    } shells[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};
    for (size_t i = 0; i < sizeof shells / sizeof *shells; i++)
        if (strcmp(c->arg[0], shells[i].shell) == 0) {
            shells[i].print();
            return DONE;
        }
    complain(c, "%s: expected bash, zsh or fish", c->arg[0]);
    return USAGE;
}
