/* topics.c - the table of topics: system topics, automatic ones, versions, and the file that Apache's broker wrote. */
#include "broker/metadata/topics.h"

#include "common/protocol/codes.h"
#include "tests/unit/metadata/disk.h"

static struct topics *t;
static char told[128];
static bool told_found;
static int told_n;
static void changed(void *ctx, const struct topic_config *c)
{
    (void)ctx;
    told_n++;
    strcpy(told, c->name);
    told_found = t && topics_find(t, slice_str(c->name)) != NULL;
}
static const struct topics_listener listener = {.changed = changed};
static struct topics_setup setup;

static enum mq_err open_topics(struct fault *why)
{
    struct config_file *f;
    cr_assert(config_file_new(&disk_io, &works_exec, "config/topics.json", &f) == MQ_OK);
    return topics_open(f, &setup, &listener, 1000, &t, why);
}
static void start(void)
{
    disk_reset();
    t = NULL;
    told_n = 0;
    setup = (struct topics_setup){.cluster_name = "DefaultCluster", .broker_name = "broker-a", .trace_topic = "RMQ_SYS_TRACE_TOPIC", .auto_create = true,
                                  .cluster_topic = true, .broker_topic = true, .default_queues = 8};
}
static void stop(void)
{
    works_all();
    topics_close(t);
    disk_reset();
}
TestSuite(topics, .init = start, .fini = stop);

static void expect(const char *name, int queues, int perm)
{
    const struct topic_config *c = topics_find(t, slice_str(name));
    cr_assert(c != NULL, "%s", name);
    cr_expect(c->read_queues == queues && c->write_queues == queues && c->perm == perm, "%s: %d/%d perm %d", name, c->read_queues, c->write_queues, c->perm);
}

Test(topics, a_first_start_makes_the_system_topics_and_tells_nobody)
{
    cr_assert(open_topics(NULL) == MQ_OK);
    expect("TBW102", 8, 7);
    expect("SELF_TEST_TOPIC", 1, 6);
    expect("BenchmarkTest", 1024, 6);
    expect("DefaultCluster", 16, 7);
    expect("broker-a", 1, 7);
    expect("OFFSET_MOVED_EVENT", 1, 6);
    expect("SCHEDULE_TOPIC_XXXX", 18, 6);
    expect("DefaultCluster_REPLY_TOPIC", 1, 6);
    cr_assert(topics_count(t) == 8 && told_n == 0);
    cr_assert(topics_version(t)->counter == 0 && topics_version(t)->timestamp_ms == 1000);
}

Test(topics, system_topics_follow_the_settings)
{
    setup.auto_create = setup.cluster_topic = setup.broker_topic = false;
    setup.trace_topic_enable = true;
    cr_assert(open_topics(NULL) == MQ_OK);
    cr_assert(topics_find(t, SLICE_LIT("TBW102")) == NULL);
    expect("DefaultCluster", 16, 1);
    expect("broker-a", 1, 1);
    expect("RMQ_SYS_TRACE_TOPIC", 1, 6);
}

Test(topics, settings_that_changed_win_over_the_file)
{
    disk_put("config/topics.json", "{\"dataVersion\":{\"counter\":5,\"timestamp\":7},\"topicConfigTable\":{\"TBW102\":{\"perm\":7,\"readQueueNums\":8,"
                                   "\"writeQueueNums\":8},\"T\":{\"readQueueNums\":3,\"writeQueueNums\":2,\"perm\":4}}}");
    setup.auto_create = false;
    cr_assert(open_topics(NULL) == MQ_OK);
    expect("TBW102", 8, 6);
    struct fault why = {0};
    cr_assert(topics_auto_create(t, SLICE_LIT("x"), SLICE_LIT("TBW102"), 4, false, 2000, &why) == NULL);
    cr_assert(strstr(why.what, "TBW102") != NULL && why.err == MQ_EREFUSED, "%s", why.what);
    cr_assert(topics_find(t, SLICE_LIT("T"))->read_queues == 3 && topics_find(t, SLICE_LIT("T"))->perm == 4);
    cr_assert(topics_version(t)->counter == 6, "name servers must learn of it");
}

Test(topics, the_file_of_a_4_9_7_broker_is_read_and_written_back_as_it_was)
{
    char *apache = fixture("tests/fixtures/config/topics-4.9.7.json");
    disk_put("config/topics.json", apache);
    cr_assert(open_topics(NULL) == MQ_OK);
    cr_assert(topics_version(t)->counter == 2 && topics_version(t)->timestamp_ms == 1795535323219);
    cr_assert(topics_count(t) == 10);
    expect("%RETRY%g1", 1, 6);
    cr_assert(topics_find(t, SLICE_LIT("T1"))->read_queues == 2 && topics_find(t, SLICE_LIT("T1"))->write_queues == 3);
    /* entries come in another order: each line of theirs is one of ours, and the sizes are equal */
    struct buf ours = {0};
    topics_encode(t, true, &ours);
    cr_assert(ours.n == strlen(apache), "%zu bytes, Apache wrote %zu", ours.n, strlen(apache));
    buf_u8(&ours, 0);
    for (char *entry = strstr(apache, "\t\t\""), *end; entry; entry = strstr(end, "\t\t\"")) {
        end = strstr(entry, "\n\t\t}");
        cr_assert(end != NULL);
        if (strncmp(entry, "\t\t\"counter", 10) == 0) {
            end = strstr(entry, "topicConfigTable");
            continue;
        }
        *end = 0;
        cr_expect(strstr((char *)ours.p, entry) != NULL, "%s", entry);
        end++;
    }
    buf_free(&ours);
    free(apache);
}

Test(topics, quoted_numbers_and_missing_fields_are_forgiven)
{
    disk_put("config/topics.json", "{topicConfigTable:{\"T\":{\"topicName\":\"T\",\"readQueueNums\":\"4\",\"attributes\":{}}}}");
    cr_assert(open_topics(NULL) == MQ_OK);
    cr_assert(topics_find(t, SLICE_LIT("T"))->read_queues == 4 && topics_find(t, SLICE_LIT("T"))->write_queues == 16);
}

Test(topics, a_file_and_backup_that_make_no_sense_refuse_the_start)
{
    static const char *const bad[] = {"{", "[]", "{\"topicConfigTable\":{\"T\":1}}", "{\"topicConfigTable\":{\"T\":{\"readQueueNums\":-1}}}",
                                      "{\"topicConfigTable\":{\"\":{}}}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct fault why = {0};
        disk_reset();
        disk_put("config/topics.json", bad[i]);
        cr_assert(open_topics(&why) == MQ_EMALFORMED, "%s", bad[i]);
        cr_assert(strstr(why.what, "config/topics.json") != NULL, "%s", why.what);
    }
    t = NULL;
}

Test(topics, a_change_bumps_the_version_saves_and_tells)
{
    cr_assert(open_topics(NULL) == MQ_OK);
    struct topic_config *c = topics_put(t, SLICE_LIT("T"), 4, 4, 6, 0, false, 2000, NULL);
    cr_assert(c && told_n == 1 && told_found && strcmp(told, "T") == 0);
    cr_assert(topics_version(t)->counter == 1 && topics_version(t)->timestamp_ms == 2000);
    cr_assert(topics_put(t, SLICE_LIT("T"), 8, 8, 2, 0, true, 3000, NULL) == c, "changed in place");
    works_all();
    cr_assert(strstr(disk_text("config/topics.json"), "\"counter\":2"));
    cr_assert(topics_remove(t, SLICE_LIT("T"), 4000, NULL) == MQ_OK && !told_found && told_n == 3);
    cr_assert(topics_remove(t, SLICE_LIT("T"), 4000, NULL) == MQ_ENOTFOUND && topics_version(t)->counter == 3);
    works_all();
    cr_assert(strstr(disk_text("config/topics.json"), "\"T\":") == NULL);
}

Test(topics, automatic_topics_take_the_smaller_number_of_queues)
{
    struct fault why = {0};
    cr_assert(open_topics(NULL) == MQ_OK);
    topics_auto_create(t, SLICE_LIT("few"), SLICE_LIT("TBW102"), 4, false, 2000, &why);
    topics_auto_create(t, SLICE_LIT("many"), SLICE_LIT("TBW102"), 64, true, 2000, &why);
    topics_auto_create(t, SLICE_LIT("none"), SLICE_LIT("TBW102"), 0, false, 2000, &why);
    expect("few", 4, 6);
    expect("many", 8, 6);
    expect("none", 4, 6);
    cr_assert(topics_find(t, SLICE_LIT("many"))->sys_flag == 1 && topics_find(t, SLICE_LIT("few"))->sys_flag == 0);
    cr_assert(topics_auto_create(t, SLICE_LIT("x"), SLICE_LIT("nope"), 4, false, 2000, &why) == NULL && strstr(why.what, "nope"));
    cr_assert(topics_auto_create(t, SLICE_LIT("x"), SLICE_LIT("few"), 4, false, 2000, &why) == NULL, "no inherit bit");
}

Test(topics, system_and_reserved_names_are_known)
{
    cr_assert(open_topics(NULL) == MQ_OK);
    static const char *const system[] = {"TBW102", "RMQ_SYS_TRACE_TOPIC", "DefaultCluster", "broker-a", "DefaultCluster_REPLY_TOPIC", "rmq_sys_x"};
    for (size_t i = 0; i < sizeof system / sizeof *system; i++)
        cr_expect(topics_is_system(t, slice_str(system[i])), "%s", system[i]);
    cr_expect(!topics_is_system(t, SLICE_LIT("TopicTest")));
    cr_expect(topics_is_reserved(SLICE_LIT("SCHEDULE_TOPIC_XXXX")) && !topics_is_reserved(SLICE_LIT("TBW102")));
}

Test(topics, a_thousand_new_topics_cost_a_few_writes)
{
    cr_assert(open_topics(NULL) == MQ_OK);
    char name[16];
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "T%d", i);
        cr_assert(topics_put(t, slice_str(name), 8, 8, 6, 0, false, 2000, NULL));
        if (i % 100 == 99)
            works_step();
    }
    works_all();
    cr_assert(disk.writes <= 12, "%d writes", disk.writes);
    topics_close(t);
    cr_assert(open_topics(NULL) == MQ_OK);
    cr_assert(topics_count(t) == 1008 && topics_version(t)->counter == 1000);
}
