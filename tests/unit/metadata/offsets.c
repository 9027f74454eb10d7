/* offsets.c - the table of consumer offsets and the file that Apache's broker wrote. */
#include "broker/metadata/offsets.h"

#include "common/base/mem.h"
#include "tests/unit/metadata/disk.h"

static struct offsets *o;
static enum mq_err open_offsets(struct fault *why)
{
    struct config_file *f;
    cr_assert(config_file_new(&disk_io, &works_exec, "config/consumerOffset.json", &f) == MQ_OK);
    return offsets_open(f, &o, why);
}
static void start(void)
{
    disk_reset();
    cr_assert(open_offsets(NULL) == MQ_OK);
}
static void stop(void)
{
    works_all();
    offsets_close(o);
    disk_reset();
}
TestSuite(offsets, .init = start, .fini = stop);

static void commit(const char *group, const char *topic, int32_t queue, int64_t off) { offsets_commit(o, slice_str(group), slice_str(topic), queue, off); }
static int64_t query(const char *group, const char *topic, int32_t queue) { return offsets_query(o, slice_str(group), slice_str(topic), queue); }

Test(offsets, what_was_committed_is_found)
{
    commit("g", "t", 0, 5);
    commit("g", "t", 3, 7);
    commit("g", "t", 1, 6);
    cr_assert(query("g", "t", 0) == 5 && query("g", "t", 1) == 6 && query("g", "t", 3) == 7);
    cr_assert(query("g", "t", 2) == -1 && query("g", "t", -1) == -1 && query("h", "t", 0) == -1 && query("g", "tt", 0) == -1);
    commit("g", "t", 0, 2);
    cr_assert(query("g", "t", 0) == 2, "going back is allowed");
    cr_assert(offsets_has(o, SLICE_LIT("g"), SLICE_LIT("t")) && !offsets_has(o, SLICE_LIT("t"), SLICE_LIT("g")));
}

Test(offsets, a_negative_offset_is_none)
{
    commit("g", "t", 0, -1);
    cr_assert(query("g", "t", 0) == -1 && !offsets_has(o, SLICE_LIT("g"), SLICE_LIT("t")));
    commit("g", "t", 0, 4);
    commit("g", "t", 1, 4);
    commit("g", "t", 0, -1);
    cr_assert(query("g", "t", 0) == -1 && query("g", "t", 1) == 4);
}

Test(offsets, hostile_queues_and_names_cost_nothing)
{
    static char name[600];
    memset(name, 'x', sizeof name - 1);
    commit("g", "t", INT32_MAX, 1);
    commit("g", "t", -5, 1);
    commit("g", name, 0, 1);
    commit(name, "t", 0, 1);
    cr_assert(query("g", "t", INT32_MAX) == 1 && query("g", name, 0) == -1 && query(name, "t", 0) == -1 && query("g", "t", -5) == -1);
}

static void expect_file(const char *text)
{
    works_all();
    cr_assert_str_eq(disk_text("config/consumerOffset.json"), text);
}

Test(offsets, the_file_reads_as_apaches_and_is_written_only_after_a_change)
{
    offsets_save_if_dirty(o);
    cr_assert(!works_step(), "nothing changed");
    commit("g1", "T1", 1, 4);
    commit("g1", "T1", 0, 3);
    offsets_save_if_dirty(o);
    expect_file("{\n\t\"offsetTable\":{\n\t\t\"T1@g1\":{0:3,1:4\n\t\t}\n\t}\n}");
    commit("g1", "T1", 0, 3);
    offsets_save_if_dirty(o);
    cr_assert(!works_step(), "nothing changed");
    commit("g1", "T1", 0, 9);
    offsets_close(o);
    expect_file("{\n\t\"offsetTable\":{\n\t\t\"T1@g1\":{0:9,1:4\n\t\t}\n\t}\n}");
    cr_assert(open_offsets(NULL) == MQ_OK);
    cr_assert(query("g1", "T1", 0) == 9 && query("g1", "T1", 1) == 4);
}

Test(offsets, the_file_of_a_4_9_7_broker_is_read)
{
    char *apache = fixture("tests/fixtures/config/consumerOffset-4.9.7.json");
    offsets_close(o);
    disk_put("config/consumerOffset.json", apache);
    cr_assert(open_offsets(NULL) == MQ_OK);
    cr_assert(query("g1", "T1", 0) == 3 && query("g1", "T1", 1) == -1 && query("g2", "T1", 0) == 3);
    free(apache);
}

Test(offsets, quoted_keys_and_other_spellings_are_read)
{
    offsets_close(o);
    disk_put("config/consumerOffset.json",
             "{\"dataVersion\":{},\"offsetTable\":{\"%RETRY%g@g\":{\"0\":5,\"12\":\"6\"},\"lonely\":{0:1}},\"pullOffsetTable\":{}}");
    cr_assert(open_offsets(NULL) == MQ_OK);
    cr_assert(query("g", "%RETRY%g", 0) == 5 && query("g", "%RETRY%g", 12) == 6);
}

Test(offsets, nonsense_is_refused)
{
    static const char *const bad[] = {"{", "{\"offsetTable\":[]}", "{\"offsetTable\":{\"t@g\":5}}", "{\"offsetTable\":{\"t@g\":{\"x\":5}}}",
                                      "{\"offsetTable\":{\"t@g\":{\"0\":\"y\"}}}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        offsets_close(o);
        disk_reset();
        disk_put("config/consumerOffset.json", bad[i]);
        cr_assert(open_offsets(NULL) == MQ_EMALFORMED, "%s", bad[i]);
        o = NULL;
    }
}

static char seen[256];
static void note(void *arg, struct slice name)
{
    (void)arg;
    strncat(seen, (const char *)name.p, name.n);
    strcat(seen, " ");
}
Test(offsets, groups_and_topics_are_found_cloned_and_removed)
{
    commit("g1", "t1", 0, 1);
    commit("g1", "t2", 0, 2);
    commit("g2", "t1", 0, 3);
    commit("g2", "t1", 4, 9);
    seen[0] = 0;
    offsets_groups_of(o, SLICE_LIT("t2"), note, NULL);
    offsets_topics_of(o, SLICE_LIT("g2"), note, NULL);
    cr_assert_str_eq(seen, "g1 t1 ");
    offsets_clone(o, SLICE_LIT("g2"), SLICE_LIT("g3"), SLICE_LIT("t1"));
    offsets_clone(o, SLICE_LIT("g1"), SLICE_LIT("g2"), SLICE_LIT("t1"));
    offsets_clone(o, SLICE_LIT("gx"), SLICE_LIT("g1"), SLICE_LIT("t1"));
    offsets_clone(o, SLICE_LIT("g1"), SLICE_LIT("g1"), SLICE_LIT("t1"));
    cr_assert(query("g3", "t1", 4) == 9 && query("g2", "t1", 0) == 1 && query("g2", "t1", 4) == -1 && query("g1", "t1", 0) == 1);
    offsets_remove_group(o, SLICE_LIT("g1"));
    cr_assert(query("g1", "t1", 0) == -1 && query("g1", "t2", 0) == -1 && query("g3", "t1", 0) == 3);
    offsets_remove_topic(o, SLICE_LIT("t1"));
    cr_assert(query("g3", "t1", 0) == -1 && query("g2", "t1", 0) == -1);
}

Test(offsets, each_allocation_may_fail)
{
    for (uint64_t n = 1; n < 12; n++) {
        mem_fail_after(n);
        for (int q = 0; q < 6; q++)
            commit("gm", "tm", q, 10 + q);
        offsets_clone(o, SLICE_LIT("gm"), SLICE_LIT("gn"), SLICE_LIT("tm"));
        mem_fail_after(0);
        for (int q = 0; q < 6; q++)
            cr_assert(query("gm", "tm", q) == -1 || query("gm", "tm", q) == 10 + q);
        offsets_remove_topic(o, SLICE_LIT("tm"));
    }
}

Test(offsets, a_file_that_names_a_queue_twice_is_read)
{
    offsets_close(o);
    disk_put("config/consumerOffset.json", "{\"offsetTable\":{\"t@g\":{0:1,1:2,2:3,3:4,\"03\":4}}}");
    cr_assert(open_offsets(NULL) == MQ_OK);
    cr_assert(query("g", "t", 0) == 1 && query("g", "t", 3) == 4);
}
