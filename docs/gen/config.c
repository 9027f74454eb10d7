/* config.c - docs/config.md and the manual pages' tables of keys, from the programs' own tables. Run by `make docs`.
 *     config markdown                 docs/config.md
 *     config man PROGRAM < page.in    the page, its line @KEYS@ replaced by the keys of broker, namesrv or client
 * It links the servers and the library, which never include each other, so it lives outside all of them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "broker/config.h"
#include "client/core/config.h"
#include "common/conf/conf.h"
#include "namesrv/config.h"

static const struct {
    const char *name, *title;
    const struct conf_table *(*table)(void);
} programs[] = {{"broker", "mqbroker", broker_config_table}, {"namesrv", "mqnamesrv", namesrv_config_table}, {"client", "libcmq", client_config_table}};
enum { N_PROGRAMS = sizeof programs / sizeof *programs };

static void put(const struct buf *b)
{
    if (b->failed || fwrite(b->p, 1, b->n, stdout) != b->n)
        exit(EXIT_FAILURE);
}

static int markdown(void)
{
    struct buf out = {0};
    buf_str(&out, "# Settings\n\n<!-- made by `make docs` from the key tables of the programs; do not edit -->\n\n"
                  "A settings file is a Java properties file: `key=value` lines, `#` comments. Unknown keys are a warning that names file and line;\n"
                  "a value that is not allowed is an error that says what is. `mqbroker -c FILE -p` prints what is in force.\n"
                  "Keys that take effect *at once* can be changed while the program runs (request codes 25 and 318, `mqadmin updateBrokerConfig`).\n\n");
    for (size_t i = 0; i < N_PROGRAMS; i++)
        conf_markdown(programs[i].table(), programs[i].title, &out);
    while (out.n > 1 && out.p[out.n - 1] == '\n' && out.p[out.n - 2] == '\n')
        out.n--;
    put(&out);
    buf_free(&out);
    return EXIT_SUCCESS;
}

/* Text with what roff would take for itself escaped. */
static void roff(struct buf *out, const char *s)
{
    if (*s == '.' || *s == '\'')
        buf_str(out, "\\&");
    for (; *s; s++)
        if (*s == '\\')
            buf_str(out, "\\e");
        else if (*s == '-')
            buf_str(out, "\\-");
        else
            buf_u8(out, (uint8_t)*s);
}

static void roff_key(struct buf *out, const struct conf_key *k, bool live_matters)
{
    buf_str(out, ".TP\n\\fB");
    roff(out, k->name);
    buf_str(out, "\\fR");
    if (k->def[0]) {
        buf_str(out, " (");
        roff(out, k->def);
        buf_str(out, ")");
    }
    buf_u8(out, '\n');
    roff(out, k->help);
    if ((k->type == CONF_INT || k->type == CONF_I64 || k->type == CONF_BYTES) && k->high < INT64_MAX)
        buf_printf(out, "; %" PRId64 " to %" PRId64, k->low, k->high);
    for (size_t i = 0; k->type == CONF_ENUM && k->names[i]; i++)
        buf_printf(out, "%s%s", i ? ", " : "; ", k->names[i]);
    buf_str(out, live_matters && k->apply == LIVE ? "; takes effect at once\n" : "\n");
}

static void roff_keys(const struct conf_table *t, struct buf *out)
{
    bool any_live = false;
    size_t ignored = 0;
    for (size_t i = 0; i < t->n; i++)
        any_live = any_live || t->keys[i].apply == LIVE;
    for (size_t i = 0; i < t->n; i++)
        if (t->keys[i].apply == NO_EFFECT)
            ignored++;
        else
            roff_key(out, &t->keys[i], any_live);
    if (ignored)
        buf_printf(out, ".PP\nFurther %zu keys of Apache's are accepted, shown by \\fB\\-p\\fR, and change nothing.\n", ignored);
}

static int man(const char *program)
{
    char line[1024];
    struct buf out = {0};
    const struct conf_table *t = NULL;
    for (size_t i = 0; i < N_PROGRAMS; i++)
        if (strcmp(programs[i].name, program) == 0)
            t = programs[i].table();
    if (t == NULL)
        return EXIT_FAILURE;
    while (fgets(line, sizeof line, stdin))
        if (strcmp(line, "@KEYS@\n") == 0)
            roff_keys(t, &out);
        else
            buf_str(&out, line);
    put(&out);
    buf_free(&out);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "markdown") == 0)
        return markdown();
    if (argc == 3 && strcmp(argv[1], "man") == 0)
        return man(argv[2]);
    fprintf(stderr, "usage: config markdown | config man broker|namesrv|client < page.in\n");
    return 2;
}
