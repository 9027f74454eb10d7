/* kv_config.c - pairs, and the file that keeps them. */
#include "namesrv/kvconfig/kv_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "namesrv/kvconfig/text_file.h"
#include "tests/unit/namesrv/help.h"

static struct {
    struct buf text;
    unsigned saves;
    bool fail;
} disk;

static enum mq_err save(void *ctx, struct slice json, struct fault *why)
{
    (void)ctx;
    if (disk.fail)
        return fault_set(why, MQ_EIO, 28, "write kvConfig.json");
    disk.saves++;
    buf_clear(&disk.text);
    buf_slice(&disk.text, json);
    return MQ_OK;
}

static struct kv_config *kv;
static void start(void) { kv = kv_config_new(save, NULL); }
static void stop(void)
{
    kv_config_free(kv);
    buf_free(&disk.text);
}
TestSuite(kv_config, .init = start, .fini = stop);

static enum mq_err put(const char *space, const char *key, const char *value)
{
    return kv_config_put(kv, slice_str(space), slice_str(key), slice_str(value), NULL);
}
static bool has(const char *space, const char *key, const char *value)
{
    struct slice got;
    bool there = kv_config_get(kv, slice_str(space), slice_str(key), &got);
    return value ? there && slice_is(got, value) : !there;
}

Test(kv_config, the_file_reads_as_apaches)
{
    struct buf b = {0};
    cr_assert(put("ORDER_TOPIC_CONFIG", "T1", "broker-a:4") == MQ_OK);
    EXPECT_BUF(disk.text, "{\"configTable\":{\"ORDER_TOPIC_CONFIG\":{\"T1\":\"broker-a:4\"}}}");
    cr_assert(kv_config_list(kv, SLICE_LIT("ORDER_TOPIC_CONFIG"), &b));
    EXPECT_BUF(b, "{\"table\":{\"T1\":\"broker-a:4\"}}");
    cr_assert(!kv_config_list(kv, SLICE_LIT("n"), &b));
    buf_free(&b);
}

Test(kv_config, pairs_are_put_replaced_and_deleted)
{
    struct buf b = {0};
    cr_assert(put("n", "k", "1") == MQ_OK && put("n", "k", "a\"b") == MQ_OK && put("n", "l", "") == MQ_OK && put("m", "k", "2") == MQ_OK);
    cr_assert(has("n", "k", "a\"b") && has("n", "l", "") && has("m", "k", "2") && has("m", "l", NULL) && has("x", "k", NULL));
    cr_assert(kv_config_delete(kv, SLICE_LIT("n"), SLICE_LIT("k"), NULL) == MQ_OK && has("n", "k", NULL));
    cr_assert(kv_config_delete(kv, SLICE_LIT("n"), SLICE_LIT("k"), NULL) == MQ_OK, "absent");
    cr_assert(kv_config_delete(kv, SLICE_LIT("x"), SLICE_LIT("k"), NULL) == MQ_OK, "no such namespace");
    cr_assert(kv_config_delete(kv, SLICE_LIT("n"), SLICE_LIT("l"), NULL) == MQ_OK);
    cr_assert(kv_config_list(kv, SLICE_LIT("n"), &b), "an empty namespace stays");
    EXPECT_BUF(b, "{\"table\":{}}");
    cr_assert(kv_config_bytes(kv) == 4, "n, and m k 2");
    buf_free(&b);
}

Test(kv_config, keys_are_found_by_their_value)
{
    struct buf b = {0};
    put("PROJECT_CONFIG", "group", "10.0.0.1");
    put("PROJECT_CONFIG", "other", "10.0.0.2");
    cr_assert(kv_config_keys_of(kv, SLICE_LIT("PROJECT_CONFIG"), SLICE_LIT("10.0.0.1"), &b));
    EXPECT_BUF(b, "group");
    buf_clear(&b);
    put("PROJECT_CONFIG", "other", "10.0.0.1");
    cr_assert(kv_config_keys_of(kv, SLICE_LIT("PROJECT_CONFIG"), SLICE_LIT("10.0.0.1"), &b) && b.n == 11);
    cr_assert(!kv_config_keys_of(kv, SLICE_LIT("PROJECT_CONFIG"), SLICE_LIT("x"), &b) && !kv_config_keys_of(kv, SLICE_LIT("x"), SLICE_LIT("x"), &b));
    buf_free(&b);
}

Test(kv_config, a_change_that_cannot_be_saved_has_not_happened)
{
    struct fault why;
    put("n", "k", "old");
    size_t bytes = kv_config_bytes(kv);
    disk.fail = true;
    cr_assert(kv_config_put(kv, SLICE_LIT("n"), SLICE_LIT("k"), SLICE_LIT("new"), &why) == MQ_EIO && why.sys == 28);
    cr_assert(put("n", "l", "new") == MQ_EIO && put("m", "k", "new") == MQ_EIO);
    cr_assert(kv_config_delete(kv, SLICE_LIT("n"), SLICE_LIT("k"), &why) == MQ_EIO);
    cr_assert(has("n", "k", "old") && has("n", "l", NULL) && kv_config_bytes(kv) == bytes);
    struct buf b = {0};
    cr_assert(!kv_config_list(kv, SLICE_LIT("m"), &b));
}

Test(kv_config, memory_that_runs_out_changes_nothing)
{
    put("n", "k", "old");
    size_t bytes = kv_config_bytes(kv);
    for (uint64_t n = 1; n < 100; n++) {
        mem_fail_after(n);
        enum mq_err a = put("n", "k", "old"), b = put("m", "key", "value");
        mem_fail_after(0);
        cr_assert(has("n", "k", "old") && has("m", "key", b == MQ_OK ? "value" : NULL), "allocation %d", (int)n);
        if (a == MQ_OK && b == MQ_OK)
            return;
        cr_assert(kv_config_bytes(kv) == bytes || b == MQ_OK);
    }
    cr_assert(false);
}

Test(kv_config, sizes_are_bounded)
{
    static char big[KV_VALUE_MAX + 2];
    memset(big, 'x', sizeof big - 1);
    cr_assert(put("n", "k", big) == MQ_EINVAL);
    big[KV_VALUE_MAX] = 0;
    cr_assert(put("n", "k", big) == MQ_OK);
    for (int i = 0; i < 6; i++)
        cr_assert(put("n", (char[]){(char)('0' + i), 0}, big) == MQ_OK);
    cr_assert(put("n", "z", big) == MQ_ELIMIT);
    big[KV_NAME_MAX + 1] = 0;
    cr_assert(put(big, "k", "v") == MQ_EINVAL && put("n", big, "v") == MQ_EINVAL);
}

Test(kv_config, every_brace_style_of_the_file_is_read)
{
    static const char *const texts[] = {
        "{\"configTable\":{\"ORDER_TOPIC_CONFIG\":{\"T1\":\"broker-a:4\"},\"n\":{\"7\":\"x\"}}}",
        "{configTable:{ORDER_TOPIC_CONFIG:{T1:\"broker-a:4\"},n:{7:\"x\"}}}",
        "{\n\t\"configTable\":{\n\t\t\"ORDER_TOPIC_CONFIG\":{\n\t\t\t\"T1\":\"broker-a:4\"\n\t\t},\"n\":{7:\"x\"},\"gone\":null}\n}\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct fault why = {0};
        cr_assert(kv_config_load(kv, slice_str(texts[i]), &why) == MQ_OK, "text %zu: %s", i, why.what);
        cr_assert(has("ORDER_TOPIC_CONFIG", "T1", "broker-a:4") && has("n", "7", "x"), "text %zu", i);
    }
    cr_assert(kv_config_load(kv, SLICE_LIT("{}"), NULL) == MQ_OK && kv_config_bytes(kv) == 0);
    cr_assert(disk.saves == 0, "loading writes nothing");
}

Test(kv_config, a_damaged_file_is_refused_and_leaves_an_empty_table)
{
    static const char *const bad[] = {"", "x", "[]", "{\"configTable\":[]}", "{\"configTable\":{\"n\":{\"k\":\"v\"}}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect(kv_config_load(kv, slice_str(bad[i]), NULL) == MQ_EMALFORMED && kv_config_bytes(kv) == 0, "accepted %s", bad[i]);
}

/* ---- text_file ---- */
static char dir[64];
static void make_dir(void)
{
    strcpy(dir, "/tmp/namesrv-unit-XXXXXX");
    cr_assert(mkdtemp(dir));
}
static void drop_dir(void)
{
    char cmd[128];
    snprintf(cmd, sizeof cmd, "rm -rf %s", dir);
    cr_assert(system(cmd) == 0);
}
TestSuite(text_file, .init = make_dir, .fini = drop_dir);

static bool holds(const char *path, const char *want)
{
    struct buf b = {0};
    enum mq_err err = text_file_read(path, &b, NULL);
    bool same = want ? err == MQ_OK && slice_is(buf_view(&b), want) : err == MQ_ENOTFOUND;
    buf_free(&b);
    return same;
}

Test(text_file, a_replaced_file_keeps_the_old_one_beside_it)
{
    char path[128], bak[160], tmp[160];
    snprintf(path, sizeof path, "%s/a/b/kvConfig.json", dir);
    snprintf(bak, sizeof bak, "%s.bak", path);
    snprintf(tmp, sizeof tmp, "%s.tmp", path);
    cr_assert(holds(path, NULL));
    cr_assert(text_file_replace(path, SLICE_LIT("one"), NULL) == MQ_OK && holds(path, "one") && holds(bak, NULL));
    cr_assert(text_file_replace(path, SLICE_LIT("two"), NULL) == MQ_OK && holds(path, "two") && holds(bak, "one"));
    cr_assert(text_file_replace(path, SLICE_LIT(""), NULL) == MQ_OK && holds(path, "") && holds(bak, "two") && holds(tmp, NULL));
}

Test(text_file, what_cannot_be_written_leaves_the_old_text)
{
    char path[128], below[160], tmp[160];
    struct fault why;
    snprintf(path, sizeof path, "%s/file", dir);
    snprintf(below, sizeof below, "%s/file/x", dir);
    snprintf(tmp, sizeof tmp, "%s/file.tmp", dir);
    cr_assert(text_file_replace(path, SLICE_LIT("one"), NULL) == MQ_OK);
    cr_assert(text_file_replace(below, SLICE_LIT("x"), &why) == MQ_EIO && why.sys != 0);
    cr_assert(mkdir(tmp, 0755) == 0); /* something else is where the new text would be written */
    cr_assert(text_file_replace(path, SLICE_LIT("two"), &why) == MQ_EIO && holds(path, "one"));
}
