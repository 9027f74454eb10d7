/* groups.c - subscription groups: system groups, automatic ones, JSON of admins, and the file that Apache's broker wrote. */
#include "broker/metadata/groups.h"

#include "tests/unit/metadata/disk.h"

static struct groups *g;
static enum mq_err open_groups(bool auto_create, struct fault *why)
{
    struct config_file *f;
    cr_assert(config_file_new(&disk_io, &works_exec, "config/subscriptionGroup.json", &f) == MQ_OK);
    return groups_open(f, auto_create, 1000, &g, why);
}
static void start(void)
{
    disk_reset();
    g = NULL;
}
static void stop(void)
{
    works_all();
    groups_close(g);
    disk_reset();
}
TestSuite(groups, .init = start, .fini = stop);

Test(groups, a_first_start_makes_the_system_groups)
{
    static const char *const names[] = {"TOOLS_CONSUMER", "FILTERSRV_CONSUMER", "SELF_TEST_C_GROUP", "CID_ONS-HTTP-PROXY", "CID_ONSAPI_PULL",
                                        "CID_ONSAPI_PERMISSION", "CID_ONSAPI_OWNER"};
    cr_assert(open_groups(true, NULL) == MQ_OK);
    for (size_t i = 0; i < 7; i++)
        cr_expect(groups_find(g, slice_str(names[i])) != NULL, "%s", names[i]);
    cr_assert(groups_count(g) == 7);
}

Test(groups, the_file_of_a_4_9_7_broker_is_read_and_written_back_as_it_was)
{
    char *apache = fixture("tests/fixtures/config/subscriptionGroup-4.9.7.json");
    disk_put("config/subscriptionGroup.json", apache);
    cr_assert(open_groups(true, NULL) == MQ_OK);
    cr_assert(groups_version(g)->counter == 3 && groups_count(g) == 8);
    struct buf ours = {0};
    groups_encode(g, true, &ours);
    cr_assert(ours.n == strlen(apache), "%zu bytes, Apache wrote %zu", ours.n, strlen(apache));
    buf_u8(&ours, 0);
    char *entry = strstr(apache, "\t\t\"g1\""), *end = strstr(entry, "\n\t\t}");
    *end = 0;
    cr_assert(strstr((char *)ours.p, entry) != NULL);
    buf_free(&ours);
    free(apache);
}

Test(groups, a_group_is_made_when_it_is_used_if_that_is_allowed)
{
    cr_assert(open_groups(true, NULL) == MQ_OK);
    struct group_config *c = groups_find_or_create(g, SLICE_LIT("mine"), 2000);
    cr_assert(c && c->consume_enable && c->consume_broadcast_enable && c->notify_ids_changed_enable && c->retry_queues == 1 && c->retry_max_times == 16);
    cr_assert(c->which_broker_when_slow == 1 && c->broker_id == 0);
    cr_assert(groups_find_or_create(g, SLICE_LIT("mine"), 3000) == c && groups_version(g)->counter == 1);
    cr_assert(groups_find_or_create(g, SLICE_LIT("no@such name"), 3000) == NULL);
    cr_assert(groups_find_or_create(g, SLICE_LIT(""), 3000) == NULL);
    works_all();
    groups_close(g);
    cr_assert(open_groups(false, NULL) == MQ_OK);
    cr_assert(groups_find_or_create(g, SLICE_LIT("mine"), 4000) != NULL, "it was saved");
    cr_assert(groups_find_or_create(g, SLICE_LIT("other"), 4000) == NULL);
    cr_assert(groups_find_or_create(g, SLICE_LIT("CID_RMQ_SYS_TRANS"), 4000) != NULL, "the broker's own are made always");
}

Test(groups, an_admins_json_gets_defaults_and_is_checked)
{
    struct slice name;
    struct group_config c;
    char why[160];
    json_t *o = json_parse(SLICE_LIT("{\"groupName\":\"g9\",\"retryMaxTimes\":3,\"consumeEnable\":\"false\",\"groupRetryPolicy\":{\"type\":\"CUSTOMIZED\"}}"), NULL);
    cr_assert(groups_from_json(o, &name, &c, why));
    cr_assert(slice_is(name, "g9") && c.retry_max_times == 3 && !c.consume_enable && c.retry_queues == 1);
    json_decref(o);
    o = json_parse(SLICE_LIT("{\"groupName\":\"g9\",\"retryMaxTimes\":3000000000}"), NULL);
    cr_assert(!groups_from_json(o, &name, &c, why) && strstr(why, "retryMaxTimes"));
    json_decref(o);
    o = json_parse(SLICE_LIT("[1]"), NULL);
    cr_assert(!groups_from_json(o, &name, &c, why));
    json_decref(o);
}

Test(groups, removing_saves)
{
    cr_assert(open_groups(true, NULL) == MQ_OK);
    cr_assert(groups_find_or_create(g, SLICE_LIT("mine"), 2000) != NULL);
    cr_assert(groups_remove(g, SLICE_LIT("mine"), 3000, NULL) == MQ_OK && groups_remove(g, SLICE_LIT("mine"), 3000, NULL) == MQ_ENOTFOUND);
    works_all();
    cr_assert(strstr(disk_text("config/subscriptionGroup.json"), "mine") == NULL);
    cr_assert(strstr(disk_text("config/subscriptionGroup.json"), "TOOLS_CONSUMER") != NULL);
}

Test(groups, nonsense_refuses_the_start)
{
    static const char *const bad[] = {"{", "{\"subscriptionGroupTable\":[]}", "{\"subscriptionGroupTable\":{\"g\":1}}",
                                      "{\"subscriptionGroupTable\":{\"g\":{\"retryQueueNums\":99999999999}}}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        disk_reset();
        disk_put("config/subscriptionGroup.json", bad[i]);
        cr_assert(open_groups(true, NULL) == MQ_EMALFORMED, "%s", bad[i]);
    }
    g = NULL;
}
