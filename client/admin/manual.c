/* manual.c - cmq man: cmq(1) as roff, from the table. docs/man/cmq.1 is its output; checks/generated.sh fails when that is stale. */
#include <stdio.h>
#include <string.h>
#include "client/admin/mqadmin/mqadmin.h"
#include "client/admin/talk.h"

/* Text with what roff would take for itself escaped; a line never begins with a dot or a quote. */
static void text(const char *s, bool line_start)
{
    for (; *s; s++) {
        if (*s == '\n') {
            fputs(s[1] == '\n' ? "\n.PP\n" : "\n", stdout);
            s += s[1] == '\n';
            line_start = true;
            continue;
        }
        if (line_start && (*s == '.' || *s == '\''))
            fputs("\\&", stdout);
        line_start = false;
        if (*s == '\\')
            fputs("\\e", stdout);
        else if (*s == '-')
            fputs("\\-", stdout);
        else if (*s == '\'')
            fputs("\\(aq", stdout);
        else if (*s == '`')
            fputs("\\(ga", stdout);
        else
            putchar(*s);
    }
}

static void option(void *arg, const struct opt_row *o)
{
    (void)arg;
    fputs(".TP\n", stdout);
    if (o->letter)
        printf("\\fB\\-%c\\fR, ", o->letter);
    fputs("\\fB\\-\\-", stdout);
    text(o->name, false);
    fputs("\\fR", stdout);
    if (o->arg) {
        fputs(" \\fI", stdout);
        text(o->arg, false);
        fputs("\\fR", stdout);
    }
    putchar('\n');
    text(o->help, true);
    if (o->choices && o->id != OPT_FROM) {
        fputs(": ", stdout);
        text(o->choices, false);
    }
    putchar('\n');
}

static void command(const struct command *c)
{
    fputs(".SS ", stdout);
    printf("cmq %s", c->name);
    if (c->args[0]) {
        putchar(' ');
        text(c->args, false);
    }
    putchar('\n');
    text(c->text, true);
    putchar('\n');
    for (const struct opt_row *o = c->options; o->id != OPT_NONE; o++)
        option(NULL, o);
    if (c->example) {
        fputs(".PP\n.nf\n.RS\n", stdout);
        text(c->example, true);
        fputs("\n.RE\n.fi\n", stdout);
    }
}

int cmd_man(const struct call *c)
{
    if (c->n_args > 0 && strcmp(c->arg[0], "mqadmin") != 0) {
        complain(c, "there is no manual page %s here", c->arg[0]);
        return USAGE;
    }
    if (c->n_args > 0) {
        mqadmin_manual();
        return DONE;
    }
    static const char *const codes[][2] = {{"0", "done"},
                                           {"1", "a server refused, or what was named does not exist"},
                                           {"2", "the command line is wrong"},
                                           {"3", "no server could be reached, or none answered in time"},
                                           {"4", "done in part: standard error says what was not"}};
    printf(".\\\" made by `cmq man` from client/admin/commands.c\n.TH CMQ 1 \"\" \"CometMQ %s\" \"CometMQ\"\n", cmq_version());
    fputs(".SH NAME\ncmq \\- command line of CometMQ and Apache RocketMQ servers\n.SH SYNOPSIS\n\\fBcmq\\fR \\fICOMMAND\\fR [\\fIOPTIONS\\fR] ...\n", stdout);
    fputs(".SH DESCRIPTION\nStarts a cluster for development, sends and shows messages, and looks after topics.\n"
          "Data goes to standard output, everything else to standard error. Options may stand before or behind the words.\n"
          ".SH COMMANDS\n", stdout);
    for (const struct command *k = commands; k->name; k++)
        command(k);
    fputs(".SH OPTIONS\nOf commands that print rows:\n", stdout);
    for (const struct opt_row *o = list_options; o->id != OPT_NONE; o++)
        option(NULL, o);
    fputs(".PP\nOf commands that talk to servers:\n", stdout);
    for (const struct opt_row *o = talk_options; o->id != OPT_NONE; o++)
        option(NULL, o);
    fputs(".PP\nOf all:\n", stdout);
    for (const struct opt_row *o = common_options; o->id != OPT_NONE; o++)
        option(NULL, o);
    fputs(".SH EXIT STATUS\n", stdout);
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        printf(".TP\n\\fB%s\\fR\n%s\n", codes[i][0], codes[i][1]);
    fputs(".SH ENVIRONMENT\n.TP\n\\fBNAMESRV_ADDR\\fR\nname servers, as \\-\\-namesrv\n.TP\n\\fBNO_COLOR\\fR\nno colours, also on a terminal\n"
          ".TP\n\\fBTMPDIR\\fR\nwhere \\fBcmq up\\fR makes its temporary folder\n"
          ".SH SEE ALSO\n\\fBmqadmin\\fR(1), \\fBmqnamesrv\\fR(8), \\fBmqbroker\\fR(8), \\fBcmq\\fR(3), \\fBcmq\\fR(5)\n", stdout);
    return DONE;
}
