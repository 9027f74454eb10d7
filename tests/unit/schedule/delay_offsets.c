/* delay_offsets.c - delayOffset.json: Apache's form, and that it never says more than the medium holds. */
#include "broker/schedule/delay_offsets.h"

#include "common/base/log.h"
#include "tests/unit/metadata/disk.h"

#define FILE_NAME "config/delayOffset.json"
static struct delay_offsets *o;

static enum mq_err open_offsets(struct fault *why)
{
    struct config_file *f;
    log_set_level(LOG_OFF);
    cr_assert(config_file_new(&disk_io, &works_exec, FILE_NAME, &f) == MQ_OK);
    return delay_offsets_open(f, &o, why);
}
static void start(void)
{
    disk_reset();
    cr_assert(open_offsets(NULL) == MQ_OK);
}
static void stop(void)
{
    works_all();
    delay_offsets_close(o);
    disk_reset();
}
TestSuite(delay_offsets, .init = start, .fini = stop);

static void load(const char *text)
{
    delay_offsets_close(o);
    o = NULL;
    disk_put(FILE_NAME, text);
    cr_assert(open_offsets(NULL) == MQ_OK);
}
static void mark(int64_t first, int64_t second, int64_t third, uint64_t written_off)
{
    const int64_t now[] = {first, second, third};
    delay_offsets_mark(o, now, 3, written_off);
}

Test(delay_offsets, the_file_is_written_as_apache_writes_it)
{
    mark(3, 0, 12, 100);
    delay_offsets_flushed(o, 100);
    works_all();
    cr_expect_str_eq(disk_text(FILE_NAME), "{\n\t\"offsetTable\":{1:3,3:12\n\t}\n}");
    struct buf text = {0};
    delay_offsets_encode(o, false, &text);
    cr_expect(slice_is(buf_view(&text), "{\"offsetTable\":{1:3,3:12}}"));
    buf_free(&text);
}

Test(delay_offsets, an_empty_table_is_one_too)
{
    struct buf text = {0};
    delay_offsets_encode(o, true, &text);
    cr_expect(slice_is(buf_view(&text), "{\n\t\"offsetTable\":{}\n}"), "%.*s", SLICE_ARG(buf_view(&text)));
    buf_free(&text);
    load("{\n\t\"offsetTable\":{}\n}");
    cr_expect_eq(delay_offsets_get(o, 1), -1);
}

Test(delay_offsets, apaches_file_and_quoted_keys_are_read)
{
    load("{\n\t\"offsetTable\":{1:10,2:0,18:9223372036854775807\n\t}\n}");
    cr_expect(delay_offsets_get(o, 1) == 10 && delay_offsets_get(o, 2) == 0 && delay_offsets_get(o, 3) == -1);
    cr_expect_eq(delay_offsets_get(o, 18), INT64_MAX);
    cr_expect(delay_offsets_get(o, 0) == -1 && delay_offsets_get(o, 1000) == -1);
    load("{\"dataVersion\":{\"counter\":1},\"offsetTable\":{\"4\":5,\"5\":\"6\",\"40\":1}}"); /* 5.x; a level that we cannot have */
    cr_expect(delay_offsets_get(o, 4) == 5 && delay_offsets_get(o, 5) == 6 && delay_offsets_get(o, 1) == -1);
}

Test(delay_offsets, nothing_is_said_before_the_log_is_flushed_that_far)
{
    mark(1, 0, 0, 100);
    delay_offsets_flushed(o, 99);
    works_all();
    cr_expect_str_eq(disk_text(FILE_NAME), "");
    mark(5, 0, 0, 500); /* too early: what is on its way would never arrive */
    delay_offsets_flushed(o, 100);
    works_all();
    cr_expect_eq(delay_offsets_get(o, 1), 1);
    delay_offsets_flushed(o, 10000);
    works_all();
    cr_expect_eq(delay_offsets_get(o, 1), 1);
    mark(5, 0, 0, 10000);
    delay_offsets_flushed(o, 10000);
    works_all();
    cr_expect_str_eq(disk_text(FILE_NAME), "{\n\t\"offsetTable\":{1:5\n\t}\n}");
}

Test(delay_offsets, nothing_is_written_when_nothing_changed)
{
    mark(1, 0, 0, 100);
    delay_offsets_flushed(o, 100);
    works_all();
    int writes = disk.writes;
    for (int i = 0; i < 5; i++) {
        mark(1, 0, 0, 200);
        delay_offsets_flushed(o, 200);
        works_all();
    }
    cr_expect_eq(disk.writes, writes);
}

Test(delay_offsets, levels_that_this_broker_has_not_stay_in_the_file)
{
    load("{\"offsetTable\":{2:4,18:7}}");
    mark(1, 5, 0, 10);
    delay_offsets_flushed(o, 10);
    works_all();
    cr_expect_str_eq(disk_text(FILE_NAME), "{\n\t\"offsetTable\":{1:1,2:5,18:7\n\t}\n}");
}

Test(delay_offsets, who_closes_with_all_flushed_says_how_far_it_is)
{
    mark(1, 0, 0, 100); /* on its way, and overtaken */
    const int64_t now[] = {9, 8};
    delay_offsets_settle(o, now, 2);
    delay_offsets_close(o);
    o = NULL;
    cr_expect_str_eq(disk_text(FILE_NAME), "{\n\t\"offsetTable\":{1:9,2:8\n\t}\n}");
    cr_assert(open_offsets(NULL) == MQ_OK);
    cr_expect(delay_offsets_get(o, 1) == 9 && delay_offsets_get(o, 2) == 8);
    delay_offsets_settle(o, now, 2);
    int writes = disk.writes;
    delay_offsets_close(o);
    o = NULL;
    cr_expect_eq(disk.writes, writes, "nothing new");
}

Test(delay_offsets, a_failed_write_is_tried_again)
{
    mark(1, 0, 0, 100);
    disk.fail_at = disk.ops + 1;
    delay_offsets_flushed(o, 100);
    works_all();
    cr_expect_str_eq(disk_text(FILE_NAME), "");
    delay_offsets_retry_save(o);
    works_all();
    cr_expect_str_eq(disk_text(FILE_NAME), "{\n\t\"offsetTable\":{1:1\n\t}\n}");
}

Test(delay_offsets, what_is_no_table_of_offsets_is_refused_and_the_backup_counts)
{
    static const char *const bad[] = {"{", "[]", "{\"offsetTable\":[]}", "{}", "{\"offsetTable\":{1:true}}", "{\"offsetTable\":{0:1}}",
                                      "{\"offsetTable\":{x:1}}", "{\"offsetTable\":{-1:1}}", "{\"offsetTable\":{1:-1}}", "{\"offsetTable\":{1:\"x\"}}"};
    delay_offsets_close(o);
    o = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct fault why = {0};
        disk_reset();
        disk_put(FILE_NAME, bad[i]);
        cr_expect(open_offsets(&why) == MQ_EMALFORMED, "%s", bad[i]);
    }
    disk_put(FILE_NAME ".bak", "{\"offsetTable\":{1:6}}");
    cr_assert(open_offsets(NULL) == MQ_OK);
    cr_expect_eq(delay_offsets_get(o, 1), 6);
}
