/* mqadmin.c - from the command line to the command, and what it leaves: words on standard output, the failure on standard error.
 *
 * Apache's program catches what a command throws, prints it, and ends with 0; only a command line that does not fit ends with 1. Scripts
 * that were written for it look at the words, so the codes are the same here.
 * (test: compat/mqadmin runs both against the same servers and compares) */
#include "client/admin/mqadmin/mqadmin.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "client/core/client.h"

enum { FINE = 0, MISFIT = 1 };

static const struct mqadmin_command *find(const char *name)
{
    for (const struct mqadmin_command *c = mqadmin_commands; c->name; c++)
        if (strcasecmp(c->name, name) == 0 || (c->alias && strcasecmp(c->alias, name) == 0))
            return c;
    return NULL;
}

static const char *name_servers(const struct mqadmin *m)
{
    const char *env = getenv("NAMESRV_ADDR");
    return opt_is(m, 'n') ? opt_text(m, 'n') : env && env[0] ? env : "127.0.0.1:9876";
}

static bool run(struct mqadmin *m)
{
    struct client_role role = {.ctx = m};
    struct cmq_error err = {0};
    m->cfg = cmq_config_new();
    if (m->cfg == NULL)
        return fail(m, -1, "out of memory");
    if (cmq_config_set(m->cfg, "namesrvAddr", name_servers(m), &err) != CMQ_OK || client_new(m->cfg, &role, &m->client, &err) != CMQ_OK ||
        client_start(m->client, &err) != CMQ_OK)
        return fail(m, -1, "%s", err.words);
    return m->command->run(m);
}

static int not_there(const char *name)
{
    print("The sub command %s not exist.\n", name);
    return FINE;
}

static int print_list(void)
{
    struct buf text = {0};
    help_list(&text);
    print("%.*s", SLICE_ARG(buf_view(&text)));
    buf_free(&text);
    return FINE;
}

int mqadmin_main(int argc, char **argv)
{
    struct mqadmin m = {0};
    if (argc < 2)
        return print_list();
    bool help = argc == 3 && strcmp(argv[1], "help") == 0;
    m.command = find(argv[help ? 2 : 1]);
    if (m.command == NULL)
        return not_there(argv[help ? 2 : 1]);
    if (help)
        return help_print(m.command) ? FINE : MISFIT;
    bool fits = options_parse(&m, argc - 2, argv + 2);
    if (!fits || opt_is(&m, 'h')) {
        help_print(m.command);
        return fits ? FINE : MISFIT;
    }
    if (!run(&m))
        fail_tell(&m);
    client_free(m.client, NULL, NULL);
    cmq_config_free(m.cfg);
    buf_free(&m.why);
    return FINE;
}
