/* main.c - cmq: read the command line, run the command. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "client/admin/mqadmin/mqadmin.h"
#include "client/admin/talk.h"

/* `cmq mqadmin ...`, and the program under the name of mqadmin, go by Apache's rules for command lines, not by ours. */
static int mqadmin(int argc, char **argv)
{
    int rc = mqadmin_main(argc, argv);
    if (fflush(stdout) == 0)
        return rc;
    complain(NULL, "cannot write to standard output");
    return REFUSED;
}

int cmd_mqadmin(const struct call *c)
{
    char name[] = "mqadmin", *argv[] = {name, NULL};
    (void)c; /* it comes here without more words: main() has taken those */
    return mqadmin(1, argv);
}

int main(int argc, char **argv)
{
    const char *slash = strrchr(argv[0] ? argv[0] : "cmq", '/'), *own = slash ? slash + 1 : argv[0];
    struct call call;
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is a failed write, which ends the command */
    if (own && strcmp(own, "mqadmin") == 0)
        return mqadmin(argc, argv);
    if (argc > 1 && strcmp(argv[1], "mqadmin") == 0)
        return mqadmin(argc - 1, argv + 1);
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
