/* config_file.c - a file is replaced whole or not at all, whatever happens on the way. */
#include "tests/unit/metadata/disk.h"

static const char *table = "one";
static int asked;
static void give(void *ctx, struct buf *out)
{
    (void)ctx;
    asked++;
    buf_str(out, table);
}
static char taken[64];
static enum mq_err take(void *ctx, struct slice text, struct fault *why)
{
    (void)ctx;
    if (slice_starts(text, "bad"))
        return fault_set(why, MQ_EMALFORMED, 0, "it is bad");
    slice_copy(text, taken, sizeof taken);
    return MQ_OK;
}
static struct config_file *open_file(void)
{
    struct config_file *f = NULL;
    cr_assert(config_file_new(&disk_io, &works_exec, "config/t.json", &f) == MQ_OK);
    config_file_source(f, give, NULL);
    return f;
}
static struct config_file *file;
static void start(void)
{
    disk_reset();
    table = "one";
    asked = 0;
    taken[0] = 0;
    file = open_file();
}
static void stop(void)
{
    config_file_close(file);
    disk_reset();
}
TestSuite(config_file, .init = start, .fini = stop);

static void save(const char *text)
{
    table = text;
    config_file_changed(file);
    works_all();
}

Test(config_file, a_first_start_finds_nothing) { cr_assert(config_file_load(file, take, NULL, NULL) == MQ_ENOTFOUND); }

static char told[16]; /* + good, - not */
static void hear(void *ctx, bool good)
{
    (void)ctx;
    strcat(told, good ? "+" : "-");
}

Test(config_file, who_listens_hears_how_each_write_went)
{
    told[0] = 0;
    config_file_tell(file, hear, NULL);
    config_file_changed(file);
    config_file_changed(file); /* while the first is under way: one more */
    cr_expect_str_eq(told, "", "not before it is done");
    works_all();
    cr_expect_str_eq(told, "++");
    disk.fail_at = disk.ops + 1;
    save("two");
    cr_expect_str_eq(told, "++-");
    disk.fail_at = 0;
    config_file_retry(file);
    works_all();
    cr_expect_str_eq(told, "++-+");
    config_file_touch(file);
    config_file_close(file);
    cr_expect_str_eq(told, "++-+", "the last one of all is nobody's business");
    file = open_file();
}

static void change_again(void *ctx, bool good)
{
    (void)ctx;
    strcat(told, good ? "+" : "-");
    if (strlen(told) < 4)
        config_file_changed(file);
}

Test(config_file, who_hears_of_a_write_may_make_another_one_due)
{
    told[0] = 0;
    config_file_tell(file, change_again, NULL);
    save("one");
    cr_expect_str_eq(told, "++++");
    cr_expect(!config_file_dirty(file));
}

Test(config_file, what_was_saved_is_loaded_and_the_old_one_is_kept)
{
    save("one");
    save("two");
    cr_assert(config_file_load(file, take, NULL, NULL) == MQ_OK);
    cr_assert_str_eq(taken, "two");
    cr_assert_str_eq(disk_text("config/t.json.bak"), "one");
    cr_assert(!config_file_dirty(file));
}

Test(config_file, changes_during_a_write_make_one_more_write)
{
    for (int i = 0; i < 1000; i++)
        config_file_changed(file);
    cr_assert(asked == 1, "the text was made %d times", asked);
    table = "last";
    works_all();
    cr_assert(asked == 2 && disk.writes == 2);
    cr_assert_str_eq(disk_text("config/t.json"), "last");
}

Test(config_file, an_absent_empty_or_bad_file_gives_way_to_its_backup)
{
    static const char *const contents[] = {NULL, "", "bad one"};
    for (int i = 0; i < 3; i++) {
        disk_reset();
        taken[0] = 0;
        disk_put("config/t.json.bak", "good");
        if (contents[i])
            disk_put("config/t.json", contents[i]);
        cr_assert(config_file_load(file, take, NULL, NULL) == MQ_OK, "case %d", i);
        cr_assert_str_eq(taken, "good", "case %d", i);
    }
}

Test(config_file, two_bad_files_are_an_error_that_names_one)
{
    struct fault why = {0};
    disk_put("config/t.json", "bad");
    cr_assert(config_file_load(file, take, NULL, &why) == MQ_EMALFORMED);
    cr_assert(strstr(why.what, "config/t.json: it is bad"), "%s", why.what);
    disk_put("config/t.json.bak", "bad, too");
    cr_assert(config_file_load(file, take, NULL, &why) == MQ_EMALFORMED);
}

/* I1: a cut at every operation of a replacement, with everything unsynced kept or lost in each combination. */
Test(config_file, after_a_cut_at_any_step_the_old_or_the_new_text_is_loaded)
{
    for (int at = 1; at <= 7; at++)
        for (int kept = 0; kept < 4; kept++) {
            disk_reset();
            save("old-");
            save("old");
            disk.stop_at = disk.ops + at;
            save("new");
            disk_cut(kept & 1, kept & 2);
            taken[0] = 0;
            cr_assert(config_file_load(file, take, NULL, NULL) == MQ_OK, "step %d kept %d", at, kept);
            cr_assert(strcmp(taken, "old") == 0 || strcmp(taken, "new") == 0, "step %d kept %d: %s", at, kept, taken);
            config_file_retry(file);
            works_all();
        }
}

Test(config_file, a_failed_step_keeps_the_file_dirty_until_a_retry_succeeds)
{
    for (int at = 1; at <= 6; at++) {
        disk_reset();
        save("old");
        cr_assert(!config_file_failed(file));
        disk.fail_at = disk.ops + at;
        save("new");
        cr_assert(config_file_failed(file) && config_file_dirty(file), "step %d", at);
        cr_assert(config_file_load(file, take, NULL, NULL) == MQ_OK, "step %d", at);
        disk.fail_at = 0;
        config_file_retry(file);
        works_all();
        cr_assert(!config_file_failed(file) && !config_file_dirty(file), "step %d", at);
        cr_assert_str_eq(disk_text("config/t.json"), "new");
    }
}

Test(config_file, closing_writes_what_was_touched)
{
    config_file_touch(file);
    config_file_close(file);
    cr_assert_str_eq(disk_text("config/t.json"), "one");
    file = NULL;
}
