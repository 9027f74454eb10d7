/* command.h - what a command of cmq is, and what its function is given.
 * Thread: main. Texts in a struct call are borrowed from argv; those in the table are static.
 *
 * One table, commands.c, gives dispatch, help, usage errors, completion and the manual page. A command's function returns one of the
 * exit codes below. Standard output carries data (out.h), standard error carries talk (talk.h). */
#ifndef CLIENT_ADMIN_COMMAND_H
#define CLIENT_ADMIN_COMMAND_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    DONE = 0,        /* all of it */
    REFUSED = 1,     /* a server said no, or what was named does not exist */
    USAGE = 2,       /* the command line itself */
    UNREACHABLE = 3, /* no server, or no answer in time */
    PARTIAL = 4      /* some of it */
};

enum opt {
    OPT_NONE,
    OPT_NAMESRV,
    OPT_OUTPUT,
    OPT_TIMEOUT,
    OPT_HELP,
    OPT_VERSION,
    OPT_DIR,
    OPT_GROUPS,
    OPT_NAMESRVS,
    OPT_PORT,
    OPT_SET,
    OPT_TAG,
    OPT_KEYS,
    OPT_PROPERTY,
    OPT_DELAY_LEVEL,
    OPT_QUEUE_BY,
    OPT_TRANSACTION,
    OPT_FROM,
    OPT_COUNT,
    OPT_FILTER,
    OPT_SQL,
    OPT_GROUP,
    OPT_IDLE,
    OPT_ALL,
    OPT_QUEUES,
    OPT_CLUSTER,
    OPT_PERM,
    OPT_ORDERED,
    OPT_DRY_RUN,
    OPT_TOPIC,
    OPT_SIZE,
    OPT_RATE,
    OPT_THREADS,
    OPT_INFLIGHT,
    OPT_BATCH,
    OPT_DURATION,
    OPT_WARMUP,
    OPT_SYNC,
    OPT_POLL,
    OPT_DELETE,
    OPT_N
};

/* A row of a command's options; rows end with OPT_NONE. */
struct opt_row {
    enum opt id;
    char letter;         /* 0: none */
    const char *name;    /* without the dashes */
    const char *arg;     /* what it takes, in capitals; NULL: nothing */
    const char *choices; /* words, separated by blanks; NULL: free */
    const char *help;    /* one line */
};

struct call {
    const struct command *command;
    const char *opt[OPT_N]; /* the last value given, "" of one that takes none, NULL when absent */
    char *const *arg;       /* what is neither command nor option */
    int n_args;
    struct {
        enum opt id;
        const char *value;
    } given[64]; /* in order, for options that may be repeated */
    int n_given;
};

typedef int command_fn(const struct call *c);
struct command {
    const char *name;    /* one or two words: "topic create" */
    const char *args;    /* "TOPIC TEXT"; "" for none */
    const char *summary; /* one line, for the list */
    const char *text;    /* sentences, for help and manual; paragraphs are separated by an empty line */
    const char *example; /* lines; NULL: none */
    const struct opt_row *options;
    bool talks; /* to a name server: -n and --timeout apply */
    bool lists; /* prints rows: -o applies */
    int min_args, max_args;
    command_fn *run;
};

extern const struct command commands[]; /* ends with a row without name */
extern const struct opt_row talk_options[], list_options[], common_options[];

/* ---- args.c ---- */
/* Reads argv[1 ...]. -1: *out tells what to run; else an exit code, and all was said. `rest` has room for argc pointers. */
int args_parse(int argc, char *const *argv, struct call *out, char **rest);
/* The option of this command with that id, name (n bytes) or letter; NULL when it has none. */
const struct opt_row *args_option(const struct command *c, const char *name, size_t n, char letter);
/* Calls fn for every option of the command, its own first. */
void args_each_option(const struct command *c, void (*fn)(void *arg, const struct opt_row *o), void *arg);
/* A number option: *out is the value, or `absent`. False: it is not one from low to high, and that was said. */
bool call_number(const struct call *c, enum opt id, int64_t low, int64_t high, int64_t absent, int64_t *out);
/* --from: first, last (the default), or a time in ms. False: it is none of these, and that was said. */
enum { FROM_LAST = -1, FROM_FIRST = -2 };
bool call_from(const struct call *c, int64_t *out);
/* The values of a repeatable option, one per call; *at starts at 0. NULL after the last. */
const char *call_next(const struct call *c, enum opt id, int *at);

/* ---- help.c, completion.c, manual.c ---- */
void help_overview(bool to_stdout);
void help_command(const struct command *c, bool to_stdout);
const struct command *command_find(const char *first, const char *second); /* second may be NULL; NULL: no such command */
const char *command_nearest(const char *word);                            /* what was probably meant, or NULL */
command_fn cmd_help, cmd_version, cmd_completion, cmd_man;

/* ---- the rest ---- */
command_fn cmd_up, cmd_send, cmd_tail, cmd_topic_list, cmd_topic_create, cmd_topic_delete, cmd_topic_route, cmd_topic_status;
command_fn cmd_group_show, cmd_group_members, cmd_group_reset;
command_fn cmd_bench_send, cmd_bench_consume, cmd_bench_e2e, cmd_mqadmin;
#endif
