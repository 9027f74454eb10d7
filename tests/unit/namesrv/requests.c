/* requests.c - each request of the name server with its fields, right and wrong. Expected answers are those of Apache's 4.9.7,
 * but for fields that are missing: there Apache answers with a Java exception, or as if the name were "null". */
#include <stdio.h>

#include "common/protocol/message.h"
#include "namesrv/config.h"
#include "namesrv/processor/processors.h"
#include "tests/unit/namesrv/apache.h"
#include "tests/unit/namesrv/help.h"

static struct namesrv ns;
static struct namesrv_config settings;
static struct request_table table;
static struct reply reply;
static struct arena arena;
static int64_t mono;
static bool disk_full;

static int64_t now(void *ctx)
{
    (void)ctx;
    return mono;
}
static enum mq_err save(void *ctx, struct slice json, struct fault *why)
{
    (void)ctx, (void)json;
    return disk_full ? fault_set(why, MQ_EIO, 28, "write kvConfig.json") : MQ_OK;
}
static char saved[8192];
static unsigned changes;
static enum mq_err save_config(void *ctx, const struct namesrv_config *config, struct fault *why)
{
    struct buf b = {0};
    (void)ctx;
    if (disk_full)
        return fault_set(why, MQ_EIO, 28, "write namesrv.properties");
    namesrv_config_file(config, &b);
    cr_assert(!b.failed);
    slice_copy(buf_view(&b), saved, sizeof saved);
    buf_free(&b);
    return MQ_OK;
}
static void config_changed(void *ctx)
{
    (void)ctx;
    changes++;
}
static bool order_of(void *ctx, struct slice topic, struct slice *value)
{
    (void)ctx;
    return settings.order_message_enable && kv_config_get(ns.kv, SLICE_LIT(KV_ORDER_TOPIC), topic, value);
}

static struct budget budget;

static void start(void)
{
    log_set_level(LOG_OFF);
    ns = (struct namesrv){.routes = routes_new(&(struct routes_config){.order_conf = order_of, .budget = &budget}), .kv = kv_config_new(save, NULL), 
                          .config = &settings, .shell = {.mono_ms = now, .save_config = save_config, .config_changed = config_changed}};
    cr_assert(namesrv_config_load(&settings, NULL, NULL, NULL, NULL) == MQ_OK);
    settings.order_message_enable = true;
    broker_requests(&ns, &table);
    route_requests(&ns, &table);
    kv_requests(&ns, &table);
    config_requests(&ns, &table);
}
static void stop(void)
{
    routes_free(ns.routes);
    kv_config_free(ns.kv);
    namesrv_config_free(&settings);
    reply_free(&reply);
    arena_fini(&arena);
}
TestSuite(requests, .init = start, .fini = stop);

/* ext: names and values in turn, ends with NULL */
static int32_t ask_as(int32_t version, uint64_t conn_id, int32_t code, struct slice body, const char *const *ext)
{
    struct ext_field fields[16];
    struct command cmd = {.code = code, .version = version, .body = body, .ext = fields};
    struct peer peer = {.conn_id = conn_id, .addr = "127.0.0.1:4711"};
    struct request rq = {.cmd = &cmd, .peer = &peer, .arena = &arena};
    for (; *ext; ext += 2)
        fields[cmd.n_ext++] = (struct ext_field){slice_str(ext[0]), slice_str(ext[1])};
    reply_clear(&reply);
    arena_reset(&arena);
    for (size_t i = 0; i < table.n; i++)
        if (table.rows[i].code == code) {
            cr_assert(table.rows[i].fn(table.rows[i].ctx, &rq, &reply) == HANDLED_NOW);
            return reply.code;
        }
    cr_assert(false, "code %d is in no table", code);
    return -1;
}
#define ASK_BODY(code, body, ...) ask_as(409, 1, code, body, (const char *const[]){__VA_ARGS__, NULL})
#define ASK(code, ...) ASK_BODY(code, slice_make(NULL, 0), __VA_ARGS__)
#define ASK_BARE(code) ask_as(409, 1, code, slice_make(NULL, 0), (const char *const[]){NULL})

static bool body_is(const char *want) { return slice_is(buf_view(&reply.body), want); }
static bool remark_is(const char *want) { return slice_is(buf_view(&reply.remark), want); }
static bool ext_is(const char *key, const char *want)
{
    for (uint32_t i = 0; i < reply.n_ext; i++)
        if (strcmp(reply.ext[i].key, key) == 0)
            return want && slice_is(slice_make(reply.text.p + reply.ext[i].at, reply.ext[i].n), want);
    return want == NULL;
}

#define BX "brokerName", "bx", "brokerAddr", "1.2.3.4:10911", "clusterName", "C2", "haServerAddr", "1.2.3.4:10912"
#define FT_BODY                                                                                                                              \
    "{\"filterServerList\":[\"1.2.3.4:30000\"],\"topicConfigSerializeWrapper\":{\"dataVersion\":{\"counter\":3,\"timestamp\":77},"           \
    "\"topicConfigTable\":{\"FT\":{\"order\":false,\"perm\":6,\"readQueueNums\":4,\"topicFilterType\":\"SINGLE_TAG\",\"topicName\":\"FT\"," \
    "\"topicSysFlag\":0,\"writeQueueNums\":4}}}}"
#define FT_ROUTE                                                                                                                             \
    "{\"brokerDatas\":[{\"brokerAddrs\":{\"0\":\"1.2.3.4:10911\"},\"brokerName\":\"bx\",\"cluster\":\"C2\"}],"                               \
    "\"filterServerTable\":{\"1.2.3.4:10911\":[\"1.2.3.4:30000\"]},\"queueDatas\":[{\"brokerName\":\"bx\",\"perm\":6,\"readQueueNums\":4,"  \
    "\"topicSynFlag\":0,\"topicSysFlag\":0,\"writeQueueNums\":4}]}"

Test(requests, a_broker_registers_and_its_topic_is_found)
{
    cr_assert(ASK_BODY(REQ_REGISTER_BROKER, SLICE_LIT(FT_BODY), BX, "brokerId", "0", "compressed", "false") == 0);
    cr_assert(reply.n_ext == 0 && reply.body.n == 0, "a master gets no address, and there is no order configuration");
    cr_assert(ASK(REQ_GET_ROUTEINFO_BY_TOPIC, "topic", "FT") == 0 && body_is(FT_ROUTE));
    ask_as(1, 2, REQ_GET_ROUTEINFO_BY_TOPIC, slice_make(NULL, 0), (const char *const[]){"topic", "FT", NULL});
    cr_assert(body_is(FT_ROUTE), "the same for a client of any version");
    cr_assert(ASK(REQ_GET_ROUTEINFO_BY_TOPIC, "topic", "nope") == RES_TOPIC_NOT_EXIST);
    cr_assert(remark_is("No topic route info in name server for the topic: nope\nSee http://rocketmq.apache.org/docs/faq/ for further details."));
    cr_assert(ASK_BARE(REQ_GET_ROUTEINFO_BY_TOPIC) == RES_SYSTEM_ERROR && reply.remark.n > 0);
}

/* What comes again byte for byte is a sign of life and keeps topics and filter servers; what differs anywhere is read. */
Test(requests, the_same_registration_again_keeps_what_is_known)
{
    static const char *const old_queues = "\"writeQueueNums\":4}}}}";
    char body[sizeof FT_BODY];
    memcpy(body, FT_BODY, sizeof FT_BODY);
    for (int i = 0; i < 2; i++) {
        mono = 1000 + i * 100000;
        cr_assert(ASK_BODY(REQ_REGISTER_BROKER, slice_str(body), BX, "brokerId", "0") == 0);
        cr_assert(ASK(REQ_GET_ROUTEINFO_BY_TOPIC, "topic", "FT") == 0 && body_is(FT_ROUTE));
    }
    cr_assert(routes_sweep(ns.routes, 200000) == 0);

    char *queues = strstr(body, old_queues), *counter = strstr(body, "\"counter\":3");
    cr_assert(queues && counter);
    queues[strlen("\"writeQueueNums\":")] = '9';
    cr_assert(ASK_BODY(REQ_REGISTER_BROKER, slice_str(body), BX, "brokerId", "0") == 0);
    cr_assert(ASK(REQ_GET_ROUTEINFO_BY_TOPIC, "topic", "FT") == 0 && body_is(FT_ROUTE), "as Apache: the same version, no topic is read");
    counter[strlen("\"counter\":")] = '4';
    cr_assert(ASK_BODY(REQ_REGISTER_BROKER, slice_str(body), BX, "brokerId", "0") == 0);
    cr_assert(ASK(REQ_GET_ROUTEINFO_BY_TOPIC, "topic", "FT") == 0 && strstr((char *)reply.body.p, "\"writeQueueNums\":9"));
    queues[strlen("\"writeQueueNums\":")] = 'x';
    cr_assert(ASK_BODY(REQ_REGISTER_BROKER, slice_str(body), BX, "brokerId", "0") == RES_SYSTEM_ERROR, "the same version does not excuse a bad body");
}

Test(requests, the_check_sum_of_a_registration_is_verified)
{
    cr_assert(ASK_BODY(REQ_REGISTER_BROKER, SLICE_LIT(APACHE_PLAIN), BX, "brokerId", "0", "bodyCrc32", "1750106708") == 0);
    cr_assert(ASK_BODY(REQ_REGISTER_BROKER, SLICE_LIT(APACHE_PLAIN), BX, "brokerId", "0", "bodyCrc32", "5") == RES_SYSTEM_ERROR);
    cr_assert(remark_is("crc32 not match"));
    cr_assert(ASK_BODY(REQ_REGISTER_BROKER, SLICE_LIT(APACHE_PLAIN), BX, "brokerId", "0", "bodyCrc32", "x") == RES_SYSTEM_ERROR);
}

Test(requests, a_registration_that_is_wrong_changes_nothing)
{
    cr_assert(ASK(REQ_REGISTER_BROKER, BX) == RES_SYSTEM_ERROR && strstr((char *)reply.remark.p, "brokerId"));
    cr_assert(ASK(REQ_REGISTER_BROKER, "brokerAddr", "1.2.3.4:1", "clusterName", "C", "brokerId", "0") == RES_SYSTEM_ERROR);
    cr_assert(ASK_BODY(REQ_REGISTER_BROKER, SLICE_LIT("{bad"), BX, "brokerId", "0") == RES_SYSTEM_ERROR);
    cr_assert(ASK_BODY(REQ_REGISTER_BROKER, SLICE_LIT("xxxx"), BX, "brokerId", "0", "compressed", "true") == RES_SYSTEM_ERROR);
    cr_assert(ASK_BARE(REQ_GET_BROKER_CLUSTER_INFO) == 0 && body_is("{\"brokerAddrTable\":{},\"clusterAddrTable\":{}}"));
}

Test(requests, a_slave_is_told_its_master_and_the_order_configuration)
{
    cr_assert(ASK(REQ_PUT_KV_CONFIG, "namespace", "ORDER_TOPIC_CONFIG", "key", "T1", "value", "broker-a:4") == 0);
    cr_assert(ASK(REQ_REGISTER_BROKER, BX, "brokerId", "0") == 0 && body_is("{\"table\":{\"T1\":\"broker-a:4\"}}"));
    cr_assert(ASK(REQ_REGISTER_BROKER, "brokerName", "bx", "brokerAddr", "1.2.3.4:10921", "clusterName", "C2", "brokerId", "1") == 0);
    cr_assert(ext_is("masterAddr", "1.2.3.4:10911") && ext_is("haServerAddr", "1.2.3.4:10912"));
}

Test(requests, a_broker_before_3_0_11_sends_the_wrapper_alone)
{
    cr_assert(ask_as(38, 1, REQ_REGISTER_BROKER, SLICE_LIT("{\"topicConfigTable\":{\"FT\":{\"topicName\":\"FT\"}}}"),
                     (const char *const[]){BX, "brokerId", "0", NULL}) == 0);
    cr_assert(ASK(REQ_GET_ROUTEINFO_BY_TOPIC, "topic", "FT") == 0);
}

Test(requests, the_data_version_says_whether_a_registration_is_news)
{
#define QUERY "brokerName", "bx", "brokerAddr", "1.2.3.4:10911", "clusterName", "C2", "brokerId", "0"
    mono = 1000;
    ASK_BODY(REQ_REGISTER_BROKER, SLICE_LIT(FT_BODY), BX, "brokerId", "0");
    mono = 100000;
    cr_assert(ASK_BODY(REQ_QUERY_DATA_VERSION, SLICE_LIT("{\"counter\":3,\"timestamp\":77}"), QUERY) == 0);
    cr_assert(ext_is("changed", "false") && body_is("{\"counter\":3,\"timestamp\":77}"));
    cr_assert(routes_sweep(ns.routes, 150000) == 0, "asking with the known version is a sign of life");
    mono = 200000;
    cr_assert(ASK_BODY(REQ_QUERY_DATA_VERSION, SLICE_LIT("{\"counter\":4,\"timestamp\":77}"), QUERY) == 0);
    cr_assert(ext_is("changed", "true") && body_is("{\"counter\":3,\"timestamp\":77}"));
    cr_assert(ASK_BODY(REQ_QUERY_DATA_VERSION, SLICE_LIT("{\"counter\":3,\"timestamp\":77}"), "brokerAddr", "9.9.9.9:1") == 0);
    cr_assert(ext_is("changed", "true") && reply.body.n == 0);
    cr_assert(ASK(REQ_QUERY_DATA_VERSION, QUERY) == RES_SYSTEM_ERROR);
    cr_assert(ASK_BODY(REQ_QUERY_DATA_VERSION, SLICE_LIT("{x"), QUERY) == RES_SYSTEM_ERROR);
    cr_assert(routes_sweep(ns.routes, 220001) == 1, "asking with another version is none");
}

Test(requests, unregistering_takes_the_broker_away)
{
    ASK_BODY(REQ_REGISTER_BROKER, SLICE_LIT(FT_BODY), BX, "brokerId", "0");
    cr_assert(ASK(REQ_UNREGISTER_BROKER, "brokerName", "bx") == RES_SYSTEM_ERROR);
    cr_assert(ASK(REQ_UNREGISTER_BROKER, QUERY) == 0 && ASK(REQ_GET_ROUTEINFO_BY_TOPIC, "topic", "FT") == RES_TOPIC_NOT_EXIST);
    cr_assert(ASK(REQ_UNREGISTER_BROKER, QUERY) == 0, "twice");
}

Test(requests, lists_and_permissions)
{
    ASK_BODY(REQ_REGISTER_BROKER, SLICE_LIT(FT_BODY), BX, "brokerId", "0");
    cr_assert(ASK_BARE(REQ_GET_BROKER_CLUSTER_INFO) == 0);
    cr_assert(body_is("{\"brokerAddrTable\":{\"bx\":{\"brokerAddrs\":{\"0\":\"1.2.3.4:10911\"},\"brokerName\":\"bx\",\"cluster\":\"C2\"}},"
                      "\"clusterAddrTable\":{\"C2\":[\"bx\"]}}"));
    cr_assert(ASK_BARE(REQ_GET_ALL_TOPIC_LIST_FROM_NAMESERVER) == 0 && body_is("{\"topicList\":[\"FT\"]}"));
    cr_assert(ASK(REQ_GET_TOPICS_BY_CLUSTER, "cluster", "C2") == 0 && body_is("{\"topicList\":[\"FT\"]}"));
    cr_assert(ASK(REQ_GET_TOPICS_BY_CLUSTER, "cluster", "x") == 0 && body_is("{\"topicList\":[]}"));
    cr_assert(ASK_BARE(REQ_GET_TOPICS_BY_CLUSTER) == RES_SYSTEM_ERROR);
    cr_assert(ASK_BARE(REQ_GET_SYSTEM_TOPIC_LIST_FROM_NS) == 0 && body_is("{\"brokerAddr\":\"1.2.3.4:10911\",\"topicList\":[\"C2\",\"bx\"]}"));
    cr_assert(ASK_BARE(REQ_GET_UNIT_TOPIC_LIST) == 0 && body_is("{\"topicList\":[]}"));
    cr_assert(ASK_BARE(REQ_GET_HAS_UNIT_SUB_TOPIC_LIST) == 0 && body_is("{\"topicList\":[]}"));
    cr_assert(ASK_BARE(REQ_GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST) == 0 && body_is("{\"topicList\":[]}"));
    cr_assert(ASK(REQ_WIPE_WRITE_PERM_OF_BROKER, "brokerName", "bx") == 0 && ext_is("wipeTopicCount", "1"));
    cr_assert(ASK(REQ_WIPE_WRITE_PERM_OF_BROKER, "brokerName", "x") == 0 && ext_is("wipeTopicCount", "0"));
    cr_assert(ASK(REQ_ADD_WRITE_PERM_OF_BROKER, "brokerName", "bx") == 0 && ext_is("addTopicCount", "1"));
    cr_assert(ASK_BARE(REQ_WIPE_WRITE_PERM_OF_BROKER) == RES_SYSTEM_ERROR && ASK_BARE(REQ_ADD_WRITE_PERM_OF_BROKER) == RES_SYSTEM_ERROR);
}

Test(requests, topics_are_deleted_everywhere_or_in_a_cluster)
{
    ASK_BODY(REQ_REGISTER_BROKER, SLICE_LIT(FT_BODY), BX, "brokerId", "0");
    cr_assert(ASK(REQ_DELETE_TOPIC_IN_NAMESRV, "topic", "FT", "clusterName", "other") == 0 && ASK(REQ_GET_ROUTEINFO_BY_TOPIC, "topic", "FT") == 0);
    cr_assert(ASK(REQ_DELETE_TOPIC_IN_NAMESRV, "topic", "FT", "clusterName", "") == 0);
    cr_assert(ASK(REQ_GET_ROUTEINFO_BY_TOPIC, "topic", "FT") == RES_TOPIC_NOT_EXIST);
    cr_assert(ASK(REQ_DELETE_TOPIC_IN_NAMESRV, "topic", "FT") == 0, "again");
    cr_assert(ASK_BARE(REQ_DELETE_TOPIC_IN_NAMESRV) == RES_SYSTEM_ERROR);
}

Test(requests, kv_pairs)
{
    cr_assert(ASK(REQ_GET_KV_CONFIG, "namespace", "n", "key", "k") == RES_QUERY_NOT_FOUND && remark_is("No config item, Namespace: n Key: k"));
    cr_assert(ASK(REQ_GET_KVLIST_BY_NAMESPACE, "namespace", "n") == RES_QUERY_NOT_FOUND && remark_is("No config item, Namespace: n"));
    cr_assert(ASK(REQ_PUT_KV_CONFIG, "namespace", "n", "value", "v") == RES_SYSTEM_ERROR && remark_is("namespace or key is null"));
    cr_assert(ASK(REQ_PUT_KV_CONFIG, "namespace", "n", "key", "k") == RES_SYSTEM_ERROR && remark_is("field value is missing"));
    cr_assert(ASK(REQ_PUT_KV_CONFIG, "namespace", "n", "key", "k2", "value", "a\"b\xc3\xa9") == 0);
    cr_assert(ASK(REQ_GET_KV_CONFIG, "namespace", "n", "key", "k2") == 0 && ext_is("value", "a\"b\xc3\xa9"));
    cr_assert(ASK(REQ_GET_KVLIST_BY_NAMESPACE, "namespace", "n") == 0 && body_is("{\"table\":{\"k2\":\"a\\\"b\xc3\xa9\"}}"));
    cr_assert(ASK(REQ_DELETE_KV_CONFIG, "namespace", "n", "key", "k") == 0 && ASK(REQ_DELETE_KV_CONFIG, "namespace", "n", "key", "k2") == 0);
    cr_assert(ASK(REQ_GET_KV_CONFIG, "namespace", "n", "key", "k2") == RES_QUERY_NOT_FOUND);
    cr_assert(ASK(REQ_GET_KV_CONFIG, "namespace", "n") == RES_SYSTEM_ERROR && ASK(REQ_DELETE_KV_CONFIG, "key", "n") == RES_SYSTEM_ERROR &&
              ASK_BARE(REQ_GET_KVLIST_BY_NAMESPACE) == RES_SYSTEM_ERROR);
    disk_full = true;
    cr_assert(ASK(REQ_PUT_KV_CONFIG, "namespace", "n", "key", "k", "value", "v") == RES_SYSTEM_ERROR && strstr((char *)reply.remark.p, "kvConfig.json"));
    cr_assert(ASK(REQ_GET_KV_CONFIG, "namespace", "n", "key", "k") == RES_QUERY_NOT_FOUND);
}

Test(requests, an_order_configuration_shows_in_the_route_at_once)
{
    ASK_BODY(REQ_REGISTER_BROKER, SLICE_LIT(FT_BODY), BX, "brokerId", "0");
    ASK(REQ_GET_ROUTEINFO_BY_TOPIC, "topic", "FT");
    ASK(REQ_PUT_KV_CONFIG, "namespace", "ORDER_TOPIC_CONFIG", "key", "FT", "value", "bx:4");
    ASK(REQ_GET_ROUTEINFO_BY_TOPIC, "topic", "FT");
    cr_assert(memmem(reply.body.p, reply.body.n, ",\"orderTopicConf\":\"bx:4\",\"queueDatas\"", 37));
    ASK(REQ_DELETE_KV_CONFIG, "namespace", "ORDER_TOPIC_CONFIG", "key", "FT");
    cr_assert(ASK(REQ_GET_ROUTEINFO_BY_TOPIC, "topic", "FT") == 0 && body_is(FT_ROUTE));
}

Test(requests, code_217_is_a_question_by_value_or_unknown)
{
    ASK(REQ_PUT_KV_CONFIG, "namespace", "PROJECT_CONFIG", "key", "group", "value", "10.0.0.1");
    cr_assert(ASK(REQ_REGISTER_TOPIC_IN_NAMESRV, "namespace", "PROJECT_CONFIG", "key", "10.0.0.1") == 0 && ext_is("value", "group"));
    cr_assert(ASK(REQ_REGISTER_TOPIC_IN_NAMESRV, "namespace", "PROJECT_CONFIG", "key", "10.0.0.9") == RES_QUERY_NOT_FOUND);
    cr_assert(ASK_BODY(REQ_REGISTER_TOPIC_IN_NAMESRV, SLICE_LIT("{}"), "topic", "T") == RES_REQUEST_CODE_NOT_SUPPORTED);
}

Test(requests, the_configuration_is_shown_with_apaches_keys)
{
    static const char *const of_apache[] = {
        "serverSocketBacklog=1024\n", "writeBufferHighWaterMark=0\n", "serverWorkerThreads=8\n", "serverSelectorThreads=3\n",
        "serverChannelMaxIdleTimeSeconds=120\n", "writeBufferLowWaterMark=0\n", "serverSocketRcvBufSize=0\n", "serverAsyncSemaphoreValue=64\n",
        "kvConfigPath=", "configStorePath=", "clusterTest=false\n", "serverSocketSndBufSize=0\n", "serverOnewaySemaphoreValue=256\n",
        "serverCallbackExecutorThreads=0\n", "listenPort=9876\n", "rocketmqHome=", "productEnvName=center\n", "useEpollNativeSelector=false\n",
        "serverPooledByteBufAllocatorEnable=true\n", "configBlackList=configBlackList;configStorePath;kvConfigPath\n"};
    cr_assert(ASK_BARE(REQ_GET_NAMESRV_CONFIG) == 0);
    for (size_t i = 0; i < sizeof of_apache / sizeof *of_apache; i++)
        cr_expect(memmem(reply.body.p, reply.body.n, of_apache[i], strlen(of_apache[i])), "%s", of_apache[i]);
}

static int32_t update(const char *text) { return ask_as(409, 1, REQ_UPDATE_NAMESRV_CONFIG, slice_str(text), (const char *const[]){NULL}); }

Test(requests, a_change_of_configuration_is_all_or_nothing)
{
    cr_assert(update("orderMessageEnable=false\nlogLevel=loud\n") == RES_SYSTEM_ERROR && strstr((char *)reply.remark.p, "debug info warn error off"));
    cr_assert(settings.order_message_enable && changes == 0);
    cr_assert(update("orderMessageEnable=false\nlistenPort=1\n") == RES_NO_PERMISSION && settings.order_message_enable);
    disk_full = true;
    cr_assert(update("orderMessageEnable=false\n") == RES_SYSTEM_ERROR && settings.order_message_enable && changes == 0);
    disk_full = false;
    cr_assert(update("orderMessageEnable=false\nfoo=bar\nserverWorkerThreads=9\n") == 0 && !settings.order_message_enable && changes == 1);
    cr_assert(strstr(saved, "orderMessageEnable=false\n") && strstr(saved, "serverWorkerThreads=9\n") && !strstr(saved, "foo"));
    cr_assert(update("") == 0 && changes == 1);
}

Test(requests, paths_are_on_the_black_list)
{
    static const char *const black[] = {"kvConfigPath=/x\n", "configStorePath=/x\n", "configBlackList=x\n", "rocketmqHome=/x\n",
                                        "orderMessageEnable=false\nkvConfigPath : /x"};
    for (size_t i = 0; i < sizeof black / sizeof *black; i++) {
        cr_expect(update(black[i]) == RES_NO_PERMISSION && remark_is("Can not update config in black list."), "%s", black[i]);
        cr_expect(settings.order_message_enable);
    }
}

Test(requests, an_order_configuration_shows_only_when_it_is_enabled)
{
    ASK_BODY(REQ_REGISTER_BROKER, SLICE_LIT(FT_BODY), BX, "brokerId", "0");
    ASK(REQ_PUT_KV_CONFIG, "namespace", "ORDER_TOPIC_CONFIG", "key", "FT", "value", "bx:4");
    cr_assert(ASK(REQ_GET_ROUTEINFO_BY_TOPIC, "topic", "FT") == 0 && !body_is(FT_ROUTE));
    cr_assert(update("orderMessageEnable=false\n") == 0);
    cr_assert(ASK(REQ_GET_ROUTEINFO_BY_TOPIC, "topic", "FT") == 0 && body_is(FT_ROUTE));
}

Test(requests, without_memory_what_is_new_is_refused_and_what_is_known_goes_on)
{
    static const char more[] = "{\"filterServerList\":[],\"topicConfigSerializeWrapper\":{\"dataVersion\":{\"counter\":4,\"timestamp\":77},"
                               "\"topicConfigTable\":{\"FT\":{\"perm\":4,\"readQueueNums\":4,\"topicName\":\"FT\",\"writeQueueNums\":4},"
                               "\"NEW\":{\"perm\":6,\"readQueueNums\":4,\"topicName\":\"NEW\",\"writeQueueNums\":4}}}}";
    struct routes_stats stats;
    cr_assert(ASK_BODY(REQ_REGISTER_BROKER, SLICE_LIT(FT_BODY), BX, "brokerId", "0") == 0);
    budget.limit = 1;
    cr_expect(ASK_BODY(REQ_REGISTER_BROKER, SLICE_LIT(FT_BODY), BX, "brokerId", "0") == 0, "a known broker with what is known");
    cr_expect(ASK(REQ_GET_ROUTEINFO_BY_TOPIC, "topic", "FT") == 0 && body_is(FT_ROUTE));
    cr_expect(ASK_BODY(REQ_REGISTER_BROKER, SLICE_LIT(FT_BODY), "brokerName", "by", "brokerAddr", "1.2.3.5:10911", "clusterName", "C2", "haServerAddr", "",
                       "brokerId", "0") == RES_SYSTEM_ERROR);
    cr_expect(strstr((char *)reply.remark.p, "memoryLimit reached: ") != NULL);
    cr_expect(ASK_BODY(REQ_REGISTER_BROKER, SLICE_LIT(more), BX, "brokerId", "0") == RES_SYSTEM_ERROR, "a known broker with a new topic");
    cr_expect(ASK(REQ_GET_ROUTEINFO_BY_TOPIC, "topic", "NEW") == RES_TOPIC_NOT_EXIST);
    routes_stats(ns.routes, &stats);
    cr_expect(stats.brokers == 1 && stats.cached <= 1);
    budget.limit = 0;
    cr_expect(ASK_BODY(REQ_REGISTER_BROKER, SLICE_LIT(more), BX, "brokerId", "0") == 0, "and it is not forgotten");
    cr_expect(ASK(REQ_GET_ROUTEINFO_BY_TOPIC, "topic", "NEW") == 0);
}
