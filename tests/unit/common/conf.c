/* conf.c - settings files are read as Java reads them, and refused with file, line and what is allowed. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "common/conf/conf.h"

struct sample {
    int32_t port, role;
    int64_t size;
    bool on;
    char *name;
};
static const char *const roles[] = {"ASYNC_MASTER", "SLAVE", NULL};
static const struct conf_key keys[] = {
    {"listenPort", CONF_INT, offsetof(struct sample, port), "10911", 1, 65535, AT_START, "port", NULL},
    {"brokerRole", CONF_ENUM, offsetof(struct sample, role), "ASYNC_MASTER", 0, 0, AT_START, "role", roles},
    {"fileSize", CONF_I64, offsetof(struct sample, size), "1073741824", 1, INT64_MAX, LIVE, "bytes", NULL},
    {"enable", CONF_BOOL, offsetof(struct sample, on), "true", 0, 0, LIVE, "switch", NULL},
    {"name", CONF_STR, offsetof(struct sample, name), "x", 0, 20, LIVE, "name", NULL},
};
static const struct conf_table table = {keys, sizeof keys / sizeof *keys};

static void count(void *arg, const char *file, unsigned line, struct slice key)
{
    (void)file;
    cr_expect(line == 7 && slice_is(key, "unknownKey"));
    ++*(int *)arg;
}

Test(conf, reads_javas_properties)
{
    struct sample s = {0};
    struct fault why = {0};
    int unknown = 0;
    cr_assert(conf_defaults(&table, &s, &why) == MQ_OK && s.port == 10911 && s.on && s.size == 1073741824);
    const char *text = "# comment\n! another\n  listenPort = 10 \r\nbrokerRole:SLAVE\nname a\\u00fcb\\\n   c\nunknownKey=1\nenable=FALSE\n";
    cr_assert(conf_load_text(&table, &s, "f", slice_str(text), count, &unknown, &why) == MQ_OK, "%s", why.what);
    cr_expect(s.port == 10 && s.role == 1 && !s.on && unknown == 1);
    cr_expect(strcmp(s.name, "a\xc3\xbc" "bc") == 0, "%s", s.name);
    struct buf b = {0};
    conf_print(&table, &s, &b);
    cr_expect(slice_is(buf_view(&b), "brokerRole=SLAVE\nenable=false\nfileSize=1073741824\nlistenPort=10\nname=a\xc3\xbc" "bc\n"));
    buf_free(&b);
    conf_free(&table, &s);
}

Test(conf, refuses_with_file_line_and_what_is_allowed)
{
    struct sample s = {0};
    struct fault why = {0};
    conf_defaults(&table, &s, NULL);
    cr_expect(conf_load_text(&table, &s, "b.conf", SLICE_LIT("\nlistenPort=70000"), NULL, NULL, &why) == MQ_EINVAL);
    cr_expect(strcmp(why.what, "b.conf:2: listenPort=70000: expected a number from 1 to 65535") == 0, "%s", why.what);
    cr_expect(conf_set(&table, &s, SLICE_LIT("brokerRole"), SLICE_LIT("MASTER"), &why) == MQ_EINVAL);
    cr_expect(strcmp(why.what, "brokerRole=MASTER: expected one of ASYNC_MASTER SLAVE") == 0, "%s", why.what);
    cr_expect(conf_set(&table, &s, SLICE_LIT("name"), SLICE_LIT("012345678901234567890"), &why) == MQ_EINVAL);
    cr_expect(conf_set(&table, &s, SLICE_LIT("enable"), SLICE_LIT("yes"), &why) == MQ_EINVAL);
    cr_expect(conf_set_live(&table, &s, SLICE_LIT("listenPort"), SLICE_LIT("1"), &why) == MQ_EREFUSED);
    cr_expect(conf_set_live(&table, &s, SLICE_LIT("enable"), SLICE_LIT("false"), &why) == MQ_OK && !s.on);
    cr_expect(conf_set(&table, &s, SLICE_LIT("nope"), SLICE_LIT("1"), &why) == MQ_ENOTFOUND);
    cr_expect(s.port == 10911 && s.role == 0 && strcmp(s.name, "x") == 0);
    cr_expect(conf_load_file(&table, &s, "/nonexistent/file", NULL, NULL, &why) == MQ_EIO);
    conf_free(&table, &s);
}

Test(conf, bytes_may_have_a_unit)
{
    static const struct conf_key one[] = {{"limit", CONF_BYTES, 0, "0", 0, INT64_MAX, LIVE, "bytes", NULL}};
    static const struct conf_table t = {one, 1};
    static const struct { const char *text; int64_t want; } good[] = {{"17", 17}, {"2k", 2048}, {"3M", 3 << 20}, {"4g", (int64_t)4 << 30}, {"0", 0}};
    static const char *const bad[] = {"", "k", "-1", "-1k", "1t", "1kk", "9223372036854775807k", "9007199254740992k"};
    int64_t limit = 5;
    struct fault why;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect(conf_set(&t, &limit, SLICE_LIT("limit"), slice_str(bad[i]), &why) == MQ_EINVAL && limit == 5, "%s", bad[i]);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        cr_expect(conf_set(&t, &limit, SLICE_LIT("limit"), slice_str(good[i].text), &why) == MQ_OK && limit == good[i].want, "%s", good[i].text);
    struct buf out = {0};
    limit = 2048;
    conf_print(&t, &limit, &out);
    cr_expect(slice_is(buf_view(&out), "limit=2048\n"));
    buf_free(&out);
}
