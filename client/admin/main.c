/* main.c - cmq: read the command line, run the command. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "client/admin/talk.h"

/* Apache's command line has some 60 commands with columns that scripts read. It is better absent than half there. */
static int mqadmin(void)
{
    say("mqadmin: Apache's spelling of the administration commands comes with a later version.\n"
        "  What cmq has today: `cmq help`. Apache's own mqadmin works against CometMQ's servers for what they serve.");
    return USAGE;
}

int main(int argc, char **argv)
{
    const char *slash = strrchr(argv[0] ? argv[0] : "cmq", '/'), *own = slash ? slash + 1 : argv[0];
    struct call call;
    if ((own && strcmp(own, "mqadmin") == 0) || (argc > 1 && strcmp(argv[1], "mqadmin") == 0))
        return mqadmin();
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is a failed write, which ends the command */
    char **rest = calloc((size_t)argc + 1, sizeof *rest);
    if (rest == NULL)
        return REFUSED;
    int rc = args_parse(argc, argv, &call, rest);
    if (rc == -1)
        rc = call.command->run(&call);
    if (fflush(stdout) != 0 && rc == DONE) {
        complain(&call, "cannot write to standard output");
        rc = REFUSED;
    }
    free(rest);
    return rc;
}
