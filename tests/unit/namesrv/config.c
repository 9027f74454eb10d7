/* config.c - settings from files, right and wrong. */
#include "namesrv/config.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char path[64];
static void make_file(const char *text)
{
    strcpy(path, "/tmp/namesrv-unit-XXXXXX");
    int fd = mkstemp(path);
    cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}
static void drop_file(void)
{
    if (path[0])
        unlink(path);
}
TestSuite(namesrv_config, .fini = drop_file);

static unsigned strange_line;
static char strange_key[32];
static void unknown(void *arg, const char *file, unsigned line, struct slice key)
{
    (void)arg, (void)file;
    strange_line = line;
    slice_copy(key, strange_key, sizeof strange_key);
}

Test(namesrv_config, without_a_file_it_is_apaches_defaults)
{
    struct namesrv_config c;
    setenv("HOME", "/home/x", 1);
    setenv("ROCKETMQ_HOME", "/opt/mq", 1);
    cr_assert(namesrv_config_load(&c, NULL, NULL, NULL, NULL) == MQ_OK);
    cr_assert(c.listen_port == 9876 && c.idle_seconds == 120 && !c.order_message_enable && c.log_level == LOG_INFO);
    cr_assert_str_eq(c.kv_config_path, "/home/x/namesrv/kvConfig.json");
    cr_assert_str_eq(c.config_store_path, "/home/x/namesrv/namesrv.properties");
    cr_assert_str_eq(c.rocketmq_home, "/opt/mq");
    namesrv_config_free(&c);
}

Test(namesrv_config, a_file_sets_keys_and_is_where_changes_are_kept)
{
    struct namesrv_config c;
    make_file("# comment\n listenPort : 23876 \r\norderMessageEnable=TRUE\nkvConfigPath=/a\\\\b/kv.json\nnoSuchKey=1\n"
              "useEpollNativeSelector=true\n");
    cr_assert(namesrv_config_load(&c, path, unknown, NULL, NULL) == MQ_OK);
    cr_assert(c.listen_port == 23876 && c.order_message_enable);
    cr_assert_str_eq(c.kv_config_path, "/a\\b/kv.json");
    cr_assert_str_eq(c.config_store_path, path);
    cr_assert(strange_line == 5 && strcmp(strange_key, "noSuchKey") == 0);

    struct buf text = {0};
    struct namesrv_config again;
    namesrv_config_file(&c, &text);
    buf_u8(&text, 0);
    unlink(path);
    make_file((const char *)text.p);
    cr_assert(namesrv_config_load(&again, path, NULL, NULL, NULL) == MQ_OK);
    cr_assert_str_eq(again.kv_config_path, "/a\\b/kv.json");
    cr_assert(again.listen_port == 23876 && again.order_message_enable);
    buf_free(&text);
    namesrv_config_free(&c);
    namesrv_config_free(&again);
}

Test(namesrv_config, blanks_and_tabs_around_a_value_survive_the_file)
{
    struct namesrv_config c, again;
    struct buf text = {0};
    make_file("kvConfigPath=\\ \\t/a b\\r\\\\\\ \n");
    cr_assert(namesrv_config_load(&c, path, NULL, NULL, NULL) == MQ_OK);
    cr_assert_str_eq(c.kv_config_path, " \t/a b\r\\ ");
    namesrv_config_file(&c, &text);
    buf_u8(&text, 0);
    unlink(path);
    make_file((const char *)text.p);
    cr_assert(namesrv_config_load(&again, path, NULL, NULL, NULL) == MQ_OK);
    cr_assert_str_eq(again.kv_config_path, c.kv_config_path);
    buf_free(&text);
    namesrv_config_free(&c);
    namesrv_config_free(&again);
}

Test(namesrv_config, a_malformed_value_names_file_line_and_what_is_allowed)
{
    struct namesrv_config c;
    struct fault why;
    make_file("orderMessageEnable=true\n\nlistenPort=99999\n");
    cr_assert(namesrv_config_load(&c, path, NULL, NULL, &why) == MQ_EINVAL);
    cr_assert(strstr(why.what, path) && strstr(why.what, ":3: listenPort=99999: expected a number from 0 to 65535"), "%s", why.what);
    cr_assert(namesrv_config_load(&c, "/nowhere/x.conf", NULL, NULL, &why) == MQ_EIO && strstr(why.what, "/nowhere/x.conf"));
}
