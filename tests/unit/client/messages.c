/* messages.c - settings, messages and their properties, routes, windows, a broadcasting member's file. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/consumer/window.h"
#include "client/core/config.h"
#include "client/core/message.h"
#include "client/core/route.h"
#include "client/offset/local_offsets.h"
#include "common/base/mem.h"
#include "common/protocol/codes.h"

/* ---- settings ---- */

Test(config, knows_apaches_keys_and_their_defaults)
{
    struct cmq_config *c = cmq_config_new();
    char *text = cmq_config_dump(c);
    static const char *const lines[] = {
        "namesrvAddr=\n", "sendMsgTimeout=3000\n", "retryTimesWhenSendFailed=2\n", "compressMsgBodyOverHowmuch=4096\n", "maxMessageSize=4194304\n",
        "heartbeatBrokerInterval=30000\n", "pollNameServerInterval=30000\n", "persistConsumerOffsetInterval=5000\n", "mqClientApiTimeout=3000\n",
        "consumeFromWhere=CONSUME_FROM_LAST_OFFSET\n", "messageModel=CLUSTERING\n", "allocateMessageQueueStrategy=AVG\n", "pullBatchSize=32\n",
        "consumeMessageBatchMaxSize=1\n", "pullThresholdForQueue=1000\n", "pullThresholdSizeForQueue=100\n", "maxReconsumeTimes=-1\n",
        "defaultTopicQueueNums=4\n", "createTopicKey=TBW102\n", "instanceName=DEFAULT\n"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        cr_expect(strstr(text, lines[i]) != NULL, "%s", lines[i]);
    cmq_free(text);
    cmq_config_free(c);
    cmq_config_free(NULL);
}

Test(config, refuses_what_is_not_allowed_and_says_what_is)
{
    struct cmq_config *c = cmq_config_new();
    struct cmq_error err;
    cr_expect(cmq_config_set(c, "sendMsgTimeout", "soon", &err) == CMQ_ERR_CONFIG && err.code == CMQ_ERR_CONFIG);
    cr_expect(strstr(err.words, "sendMsgTimeout=soon: expected a number from 1 to") != NULL, "%s", err.words);
    cr_expect(cmq_config_set(c, "messageModel", "clustering", &err) == CMQ_ERR_CONFIG && strstr(err.words, "CLUSTERING BROADCASTING") != NULL, "%s", err.words);
    cr_expect(cmq_config_set(c, "noSuchKey", "1", &err) == CMQ_ERR_CONFIG && strstr(err.words, "noSuchKey") != NULL, "%s", err.words);
    cr_expect(cmq_config_set(c, NULL, "1", NULL) == CMQ_ERR_CONFIG);
    cr_expect(cmq_config_set(c, "sendMsgTimeout", "5000", &err) == CMQ_OK && err.code == CMQ_OK && c->send_timeout_ms == 5000);
    cmq_config_free(c);
}

Test(config, a_file_with_an_unknown_key_is_refused_with_its_line)
{
    char path[] = "/tmp/cmq-conf.XXXXXX";
    int fd = mkstemp(path);
    static const char text[] = "namesrvAddr=127.0.0.1:9876\nproducerGrup=x\n";
    cr_assert(write(fd, text, sizeof text - 1) == sizeof text - 1);
    close(fd);
    struct cmq_config *c = cmq_config_new();
    struct cmq_error err;
    cr_expect(cmq_config_load(c, path, &err) == CMQ_ERR_CONFIG && strstr(err.words, ":2: ") && strstr(err.words, "producerGrup"), "%s", err.words);
    cr_expect_str_eq(c->namesrv_addr, "127.0.0.1:9876");
    unlink(path);
    cr_expect(cmq_config_load(c, path, &err) == CMQ_ERR_SYSTEM && err.sys == 2, "%s", err.words);
    cmq_config_free(c);
}

Test(config, a_producer_needs_a_well_formed_list_of_name_servers)
{
    static const char *const bad[] = {"", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:99999", ":9876", "a:1;b"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct cmq_config *c = cmq_config_new();
        struct cmq_producer *p = NULL;
        struct cmq_error err;
        cmq_config_set(c, "namesrvAddr", bad[i], NULL);
        cr_expect(cmq_producer_new(c, &p, &err) == CMQ_ERR_CONFIG && p == NULL, "%s", bad[i]);
        cr_expect(strstr(err.words, "namesrvAddr") != NULL, "%s", err.words);
        cmq_config_free(c);
    }
    cr_expect(cmq_producer_new(NULL, NULL, NULL) == CMQ_ERR_CONFIG);
}

/* ---- properties ---- */

Test(message, properties_have_rules)
{
    struct cmq_message *m = cmq_message_new("T", "x", 1);
    struct cmq_error err;
    static const char *const own[] = {"KEYS", "TAGS", "DELAY", "UNIQ_KEY", "WAIT", "RETRY_TOPIC", "REAL_TOPIC", "__SHARDINGKEY", "1ST_POP_TIME", "CLUSTER",
                                      "__RMQ.TRANSIENT.x", "__transactionId__", "TTL"};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        cr_expect(cmq_message_set_property(m, own[i], "v", &err) == CMQ_ERR_ARGUMENT, "%s", own[i]);
    cr_expect(cmq_message_set_property(m, "", "v", &err) == CMQ_ERR_ARGUMENT);
    cr_expect(cmq_message_set_property(m, "a", "", &err) == CMQ_ERR_ARGUMENT);
    cr_expect(cmq_message_set_property(m, "a", NULL, &err) == CMQ_ERR_ARGUMENT);
    cr_expect(cmq_message_set_property(m, "a\1", "v", &err) == CMQ_ERR_ARGUMENT);
    cr_expect(cmq_message_set_property(m, "a", "v\2", &err) == CMQ_ERR_ARGUMENT);
    cr_expect(cmq_message_set_tag(m, "a||b", &err) == CMQ_ERR_ARGUMENT);
    cr_expect(cmq_message_property(m, "a") == NULL);
    cmq_message_free(m);
}

Test(message, properties_are_encoded_as_apache_does)
{
    struct cmq_message *m = cmq_message_new("T", "x", 1);
    struct buf out = {0};
    message_props_encode(m, &out);
    cr_expect(out.n == 0);
    cr_assert(cmq_message_set_tag(m, "red", NULL) == CMQ_OK && cmq_message_set_keys(m, "k1 k2", NULL) == CMQ_OK);
    cr_assert(cmq_message_set_property(m, "a", "1", NULL) == CMQ_OK && cmq_message_set_property(m, "a", "22", NULL) == CMQ_OK);
    cmq_message_set_delay_level(m, 3);
    cmq_message_set_wait_store(m, 0);
    message_props_encode(m, &out);
    cr_expect(slice_is(buf_view(&out), "TAGS\1red\2KEYS\1k1 k2\2a\1" "22\2DELAY\1" "3\2WAIT\1false"), "%.*s", SLICE_ARG(buf_view(&out)));
    cmq_message_set_delay_level(m, 0);
    cr_expect(cmq_message_property(m, "DELAY") == NULL);
    cr_expect_str_eq(cmq_message_tag(m), "red");
    cr_expect_str_eq(cmq_message_keys(m), "k1 k2");
    cr_expect_str_eq(cmq_message_property(m, "a"), "22");
    struct cmq_message *c = cmq_message_copy(m);
    cr_expect_str_eq(cmq_message_property(c, "WAIT"), "false");
    cr_expect_str_eq(cmq_message_topic(c), "T");
    cmq_message_free(c);
    cmq_message_free(m);
    buf_free(&out);
}

Test(message, what_is_absent_is_empty)
{
    struct cmq_message *m = cmq_message_new("T", NULL, 0);
    size_t n = 1;
    cr_expect(cmq_message_body(m, &n) != NULL && n == 0);
    cr_expect_str_eq(cmq_message_tag(m), "");
    cr_expect_str_eq(cmq_message_id(m), "");
    cr_expect_str_eq(cmq_message_broker_name(m), "");
    cr_expect(cmq_message_new(NULL, "x", 1) == NULL);
    cmq_message_free(m);
    cmq_message_free(NULL);
}

Test(message, a_failed_allocation_leaves_all_as_it_was)
{
    struct cmq_message *m = cmq_message_new("T", "x", 1);
    struct cmq_error err;
    cr_assert(cmq_message_set_property(m, "first", "1", NULL) == CMQ_OK);
    char *large = malloc(30001);
    memset(large, 'y', 30000);
    large[30000] = '\0';
    mem_fail_after(1);
    cr_expect(cmq_message_set_property(m, "large", large, &err) == CMQ_ERR_NO_MEMORY && err.retriable);
    mem_fail_after(0);
    cr_expect(cmq_message_property(m, "large") == NULL);
    cr_expect_str_eq(cmq_message_property(m, "first"), "1");
    cr_expect(cmq_message_set_property(m, "large", large, &err) == CMQ_OK);
    free(large);
    cmq_message_free(m);
}

Test(message, compressed_bodies_are_inflated_within_a_bound)
{
    static char text[100000];
    struct buf packed = {0};
    uint8_t *back = NULL;
    size_t n = 0;
    memset(text, 'a', sizeof text);
    cr_assert(body_deflate(slice_make(text, sizeof text), &packed) && packed.n < 1000);
    cr_assert(body_inflate(buf_view(&packed), sizeof text, &back, &n) == MQ_OK && n == sizeof text && memcmp(back, text, n) == 0);
    mem_free(back);
    cr_expect(body_inflate(buf_view(&packed), 5000, &back, &n) == MQ_ELIMIT);
    cr_expect(body_inflate(slice_head(buf_view(&packed), packed.n - 5), sizeof text, &back, &n) == MQ_EMALFORMED);
    cr_expect(body_inflate(SLICE_LIT("no zlib"), 100, &back, &n) == MQ_EMALFORMED);
    buf_clear(&packed);
    cr_expect(!body_deflate(SLICE_LIT("x"), &packed) && packed.n == 0, "it would grow");
    buf_free(&packed);
}

/* ---- routes ---- */

static const char old_style[] = /* as 4.9.3 and older name servers write it */
    "{\"brokerDatas\":[{\"brokerAddrs\":{1:\"10.0.0.2:10911\",0:\"10.0.0.1:10911\"},\"brokerName\":\"b\",\"cluster\":\"c\"},"
    "{\"brokerAddrs\":{1:\"10.0.0.3:10911\"},\"brokerName\":\"a\",\"cluster\":\"c\"}],\"filterServerTable\":{},\"queueDatas\":["
    "{\"brokerName\":\"b\",\"perm\":6,\"readQueueNums\":3,\"topicSynFlag\":0,\"writeQueueNums\":2},"
    "{\"brokerName\":\"a\",\"perm\":6,\"readQueueNums\":1,\"topicSynFlag\":0,\"writeQueueNums\":4},"
    "{\"brokerName\":\"gone\",\"perm\":6,\"readQueueNums\":1,\"writeQueueNums\":1}]}";
static const char new_style[] = "{\"brokerDatas\":[{\"brokerAddrs\":{\"0\":\"10.0.0.1:10911\"},\"brokerName\":\"b\",\"cluster\":\"c\","
                                "\"enableActingMaster\":false}],\"filterServerTable\":{},"
                                "\"queueDatas\":[{\"brokerName\":\"b\",\"perm\":2,\"readQueueNums\":8,\"topicSysFlag\":0,"
                                "\"writeQueueNums\":8}],\"topicQueueMappingByBroker\":{}}";

Test(route, is_read_in_both_spellings)
{
    struct route *r = NULL;
    struct fault why = {0};
    cr_assert(route_parse("T", slice_str(old_style), 0, &r, &why) == MQ_OK, "%s", why.what);
    cr_expect(r->n_read == 4 && r->n_write == 2, "%zu to read, %zu to write", r->n_read, r->n_write);
    cr_expect_str_eq(r->read[0].broker_name, "a", "sorted by broker");
    cr_expect(r->read[3].queue_id == 2);
    cr_expect_str_eq(r->write[1].broker_name, "b", "a has no master");
    cr_expect_str_eq(route_master(route_broker(r, "b")), "10.0.0.1:10911");
    cr_expect(route_master(route_broker(r, "a")) == NULL && route_broker(r, "gone") == NULL);
    route_unref(r);
    cr_assert(route_parse("T", slice_str(new_style), 0, &r, &why) == MQ_OK, "%s", why.what);
    cr_expect(r->n_read == 0 && r->n_write == 8, "write only");
    route_unref(r);
    cr_assert(route_parse("T", slice_str(new_style), 4, &r, &why) == MQ_OK);
    cr_expect(r->n_write == 4 && r->provisional, "a topic that is to be created begins with few queues");
    route_unref(r);
}

Test(route, of_an_ordered_topic_says_itself_what_may_be_written_to)
{
    char text[1000];
    struct route *r = NULL;
    snprintf(text, sizeof text, "{\"orderTopicConf\":\"b:5;a:9;x:1;b\",%s", old_style + 1);
    cr_assert(route_parse("T", slice_str(text), 0, &r, NULL) == MQ_OK);
    cr_expect(r->n_write == 5, "%zu: five of b; a has no master, x is unknown", r->n_write);
    route_unref(r);
}

Test(route, that_does_not_decode_is_refused)
{
    static const char *const bad[] = {"", "[]", "{", "{\"brokerDatas\":[{\"brokerAddrs\"", "7"};
    struct route *r = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect(route_parse("T", slice_str(bad[i]), 0, &r, NULL) == MQ_EMALFORMED && r == NULL, "%s", bad[i]);
    for (size_t n = 0; n < sizeof old_style - 1; n++)
        cr_expect(route_parse("T", slice_make(old_style, n), 0, &r, NULL) == MQ_EMALFORMED, "cut at %zu", n);
    const char *huge = "{\"brokerDatas\":[{\"brokerAddrs\":{\"0\":\"h:1\"},\"brokerName\":\"b\"},{\"brokerAddrs\":{\"0\":\"h:1\"},\"brokerName\":\"c\"}],"
                       "\"queueDatas\":[{\"brokerName\":\"b\",\"perm\":6,\"readQueueNums\":99999999999,\"writeQueueNums\":-1},"
                       "{\"brokerName\":\"c\",\"perm\":6,\"readQueueNums\":1,\"writeQueueNums\":1}]}";
    cr_expect(route_parse("T", slice_str(huge), 0, &r, NULL) == MQ_ELIMIT, "too many queues");
    const char *odd = "{\"brokerDatas\":[{},5,{\"brokerName\":\"b\",\"brokerAddrs\":{\"x\":\"h:1\",\"1\":7}}],"
                      "\"queueDatas\":[1,{\"brokerName\":\"b\",\"readQueueNums\":1}]}";
    cr_assert(route_parse("T", slice_str(odd), 0, &r, NULL) == MQ_OK);
    cr_expect(r->n_brokers == 1 && r->n_read == 0 && r->n_write == 0);
    route_unref(r);
}

Test(route, every_failed_allocation_is_told)
{
    struct route *r = NULL;
    int failures = 0;
    for (uint64_t n = 1; n < 200; n++) {
        mem_fail_after(n);
        enum mq_err err = route_parse("T", slice_str(old_style), 0, &r, NULL);
        mem_fail_after(0);
        if (err == MQ_OK) {
            route_unref(r);
            break;
        }
        failures++;
        cr_expect(err == MQ_ENOMEM || err == MQ_EMALFORMED, "allocation %d", (int)n);
    }
    cr_expect(failures > 0 && failures < 199);
}

/* ---- windows ---- */

static struct cmq_message *at(int64_t queue_off)
{
    struct cmq_message *m = cmq_message_new("T", "12345", 5);
    m->queue_off = queue_off;
    list_init(&m->window.node);
    return m;
}

Test(window, progress_never_passes_what_is_not_consumed)
{
    struct window w;
    struct list dropped;
    list_init(&dropped);
    window_init(&w, 3, 1000);
    cr_expect(window_progress(&w) == -1, "nothing is known");
    w.end = 10;
    cr_expect(window_progress(&w) == 10);
    struct cmq_message *m[4];
    for (int i = 0; i < 4; i++)
        window_add(&w, m[i] = at(10 + i * 2)); /* filtered ones between them */
    cr_expect(window_progress(&w) == 10 && w.end == 17 && w.n == 4 && w.bytes == 20 && window_full(&w));
    cr_expect(window_take(&w) == m[0] && window_take(&w) == m[1] && window_take(&w) == m[2]);
    window_done(&w, &m[1]->window);
    cr_expect(window_progress(&w) == 10, "the first is not consumed");
    window_done(&w, &m[0]->window);
    cr_expect(window_progress(&w) == 14 && !window_full(&w));
    window_put_back(&w, m[2]);
    cr_expect(window_progress(&w) == 14 && window_take(&w) == m[2], "before those behind it");
    struct window_node place;
    window_swap(&w, m[2], &place);
    cr_expect(window_progress(&w) == 14, "given away, still to be consumed");
    window_done(&w, &place);
    cr_expect(window_progress(&w) == 16);
    cr_expect(window_take(&w) == m[3]);
    window_reset(&w, 5, &dropped);
    cr_expect(window_progress(&w) == 5 && w.n == 0 && w.bytes == 0 && list_empty(&dropped));
    window_done(&w, &m[3]->window);
    cr_expect(window_progress(&w) == 5 && w.n == 0, "what was forgotten does not count");
    for (int i = 0; i < 4; i++)
        cmq_message_free(m[i]);
}

/* ---- a broadcasting member's offsets ---- */

Test(local_offsets, survive_in_apaches_file)
{
    char dir[] = "/tmp/cmq-offsets.XXXXXX", path[200];
    struct local_offsets *l = NULL;
    struct fault why = {0};
    struct cmq_queue a = {"T", "broker-a", 0}, b = {"T", "broker-b", 3};
    cr_assert(mkdtemp(dir) != NULL);
    cr_assert(local_offsets_open(dir, "me", "G", &l, &why) == MQ_OK, "%s", why.what);
    cr_expect(local_offsets_get(l, &a) == -1);
    cr_assert(local_offsets_put(l, &a, 7) && local_offsets_save(l, &why) == MQ_OK, "%s", why.what);
    local_offsets_close(l);
    snprintf(path, sizeof path, "%s/me/G/offsets.json", dir);
    char text[200] = "";
    FILE *f = fopen(path, "r");
    cr_assert(f != NULL && fread(text, 1, sizeof text - 1, f) > 0);
    fclose(f);
    cr_expect_str_eq(text, "{\"offsetTable\":{{\"brokerName\":\"broker-a\",\"queueId\":0,\"topic\":\"T\"}:7}}");
    cr_assert(local_offsets_open(dir, "me", "G", &l, &why) == MQ_OK, "%s", why.what);
    cr_expect(local_offsets_get(l, &a) == 7 && local_offsets_get(l, &b) == -1);
    local_offsets_close(l);
    f = fopen(path, "w");
    fputs("{\"offsetTable\":{{\"brokerName\"", f);
    fclose(f);
    cr_expect(local_offsets_open(dir, "me", "G", &l, &why) == MQ_EMALFORMED && strstr(why.what, "offsets.json"), "%s", why.what);
    unlink(path);
    snprintf(path, sizeof path, "rm -r %s", dir);
    cr_expect(system(path) == 0);
}
