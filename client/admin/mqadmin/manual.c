/* manual.c - `cmq man mqadmin`: mqadmin(1) as roff, from the table. docs/man/mqadmin.1 is its output; checks/generated.sh fails when that is stale. */
#include <stdio.h>

#include "client/admin/mqadmin/mqadmin.h"

static void text(const char *s)
{
    for (; *s; s++) {
        if (*s == '-')
            fputs("\\-", stdout);
        else if (*s == '\'')
            fputs("\\(aq", stdout);
        else
            putchar(*s);
    }
}

static void options(const struct mqadmin_option *o)
{
    for (; o->letter; o++) {
        printf(".TP\n\\fB\\-%c\\fR, \\fB\\-\\-", o->letter);
        text(o->name);
        printf("\\fR%s\n", o->kind & OPTION_ARG ? " \\fIarg\\fR" : "");
        text(o->help);
        fputs(o->kind & OPTION_MUST ? " (has to be there)\n" : o->kind & OPTION_ONE_OF ? " (this or the other one has to be there)\n" : "\n", stdout);
    }
}

void mqadmin_manual(void)
{
    printf(".\\\" made by `cmq man mqadmin` from client/admin/mqadmin/table.c\n.TH MQADMIN 1 \"\" \"CometMQ %s\" \"CometMQ\"\n", cmq_version());
    fputs(".SH NAME\nmqadmin \\- Apache RocketMQ\\(aqs administration commands\n"
          ".SH SYNOPSIS\n\\fBmqadmin\\fR \\fICOMMAND\\fR [\\fIOPTIONS\\fR] ...\n.br\n\\fBcmq mqadmin\\fR \\fICOMMAND\\fR [\\fIOPTIONS\\fR] ...\n"
          ".SH DESCRIPTION\nThe commands of Apache\\(aqs mqadmin 4.9.8, for CometMQ\\(aqs and Apache\\(aqs servers, with its names, options, columns "
          "and words. "
          "Rows that Apache prints in the order of its hash tables are sorted.\n.SH COMMANDS\n",
          stdout);
    for (const struct mqadmin_command *c = mqadmin_commands; c->name; c++) {
        printf(".SS %s\n", c->name);
        text(c->summary);
        putchar('\n');
        options(c->options);
    }
    fputs(".SH OPTIONS\nOf all commands:\n", stdout);
    options(mqadmin_common);
    fputs(".SH EXIT STATUS\n.TP\n\\fB0\\fR\nthe command ran; standard error says it when it failed\n"
          ".TP\n\\fB1\\fR\nthe command line does not fit: the help was printed\n"
          ".SH ENVIRONMENT\n.TP\n\\fBNAMESRV_ADDR\\fR\nname servers, as \\-n\n.SH SEE ALSO\n\\fBcmq\\fR(1), \\fBmqbroker\\fR(8), \\fBmqnamesrv\\fR(8)\n",
          stdout);
}
