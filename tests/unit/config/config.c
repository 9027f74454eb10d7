/* config.c - a broker's settings: Apache's keys and defaults, wrong values in words, what may change while it runs. */
#include "broker/config.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/conf/conf.h"

static struct broker_config c;
static struct fault why;
static char file[64], lines[4][300];
static int n_lines;

static void on_line(void *ctx, enum log_level level, const char *area, const char *text)
{
    (void)ctx, (void)area;
    if (level >= LOG_WARN && n_lines < 4)
        snprintf(lines[n_lines++], sizeof *lines, "%s", text);
}

static void start(void)
{
    strcpy(file, "/tmp/unit-config-XXXXXX");
    close(mkstemp(file));
    setenv("HOME", "/home/someone", 1);
    unsetenv("NAMESRV_ADDR");
    unsetenv("ROCKETMQ_HOME");
    log_set_sink(on_line, NULL);
}
static void stop(void)
{
    unlink(file);
    broker_config_free(&c);
}
TestSuite(config, .init = start, .fini = stop);

static enum mq_err load(const char *text, const char *namesrv)
{
    FILE *f = fopen(file, "w");
    fputs(text, f);
    fclose(f);
    why = (struct fault){0};
    broker_config_free(&c);
    return broker_config_load(&c, file, namesrv, &why);
}
static void loaded(const char *text) { cr_assert(load(text, NULL) == MQ_OK, "%s", why.what); }

/* The value as 26 shows it. */
static const char *shown(const char *key)
{
    static char value[4200];
    struct buf all = {0};
    struct slice rest, line, name;
    value[0] = '\0';
    broker_config_text(&c, false, &all);
    rest = buf_view(&all);
    while (slice_cut(&rest, '\n', &line)) {
        struct slice v = line;
        if (slice_cut(&v, '=', &name) && slice_is(name, key))
            slice_copy(v, value, sizeof value);
    }
    buf_free(&all);
    return value;
}

/* Keys of 4.9.8 and their defaults, but for those that follow the host (below) or its number of cores. */
static const struct {
    const char *key, *value;
} apache[] = {
    {"brokerClusterName", "DefaultCluster"}, {"brokerId", "0"}, {"listenPort", "10911"}, {"brokerPermission", "6"}, {"defaultTopicQueueNums", "8"},
    {"autoCreateTopicEnable", "true"}, {"autoCreateSubscriptionGroup", "true"}, {"clusterTopicEnable", "true"}, {"brokerTopicEnable", "true"},
    {"traceTopicEnable", "false"}, {"msgTraceTopicName", "RMQ_SYS_TRACE_TOPIC"}, {"regionId", "DefaultRegion"}, {"traceOn", "true"},
    {"rejectTransactionMessage", "false"}, {"sendThreadPoolQueueCapacity", "10000"}, {"pullThreadPoolQueueCapacity", "100000"},
    {"longPollingEnable", "true"}, {"shortPollingTimeMills", "1000"}, {"notifyConsumerIdsChangedEnable", "true"}, {"transferMsgByHeap", "true"},
    {"slaveReadEnable", "false"}, {"disableConsumeIfConsumerReadSlowly", "false"}, {"consumerFallbehindThreshold", "17179869184"},
    {"brokerFastFailureEnable", "true"}, {"waitTimeMillsInSendQueue", "200"}, {"waitTimeMillsInPullQueue", "5000"},
    {"waitTimeMillsInHeartbeatQueue", "31000"}, {"waitTimeMillsInTransactionQueue", "3000"}, {"startAcceptSendRequestTimeStamp", "0"},
    {"flushConsumerOffsetInterval", "5000"}, {"flushConsumerOffsetHistoryInterval", "60000"}, {"registerBrokerTimeoutMills", "6000"},
    {"registerNameServerPeriod", "30000"}, {"forceRegister", "true"}, {"compressedRegister", "false"}, {"fetchNamesrvAddrByAddressServer", "false"},
    {"enablePropertyFilter", "false"}, {"enableCalcFilterBitMap", "false"}, {"filterSupportRetry", "false"}, {"expectConsumerNumUseFilter", "32"},
    {"maxErrorRateOfBloomFilter", "20"}, {"filterDataCleanTimeSpan", "86400000"}, {"transactionTimeOut", "6000"}, {"transactionCheckMax", "15"},
    {"transactionCheckInterval", "60000"}, {"aclEnable", "false"}, {"storeReplyMessageEnable", "true"}, {"filterServerNums", "0"},
    {"highSpeedMode", "false"}, {"messageStorePlugIn", ""}, {"enableDetailStat", "true"}, {"autoDeleteUnusedStats", "false"},
    {"configBlackList", "configBlackList;brokerConfigPath"}, {"maxDelayTime", "40"}, {"adminBrokerThreadPoolNums", "16"},
    {"clientManageThreadPoolNums", "32"}, {"consumerManageThreadPoolNums", "32"}, {"putThreadPoolQueueCapacity", "10000"},
    {"replyThreadPoolQueueCapacity", "10000"}, {"queryThreadPoolQueueCapacity", "20000"}, {"clientManagerThreadPoolQueueCapacity", "1000000"},
    {"consumerManagerThreadPoolQueueCapacity", "1000000"}, {"heartbeatThreadPoolQueueCapacity", "50000"},
    {"endTransactionPoolQueueCapacity", "100000"}, {"commercialBaseCount", "1"}, {"isolateLogEnable", "false"}, {"commercialEnable", "true"},
    {"commercialTimerCount", "1"}, {"commercialTransCount", "1"}, {"commercialBigCount", "1"}, {"storePathCommitLog", ""},
    {"readOnlyCommitLogStorePaths", ""}, {"mappedFileSizeCommitLog", "1073741824"}, {"mappedFileSizeConsumeQueue", "6000000"},
    {"enableConsumeQueueExt", "false"}, {"mappedFileSizeConsumeQueueExt", "50331648"}, {"bitMapLengthConsumeQueueExt", "64"},
    {"brokerRole", "ASYNC_MASTER"}, {"flushDiskType", "ASYNC_FLUSH"}, {"syncFlushTimeout", "5000"}, {"slaveTimeout", "3000"},
    {"haListenPort", "10912"}, {"haMasterAddress", ""}, {"haSendHeartbeatInterval", "5000"}, {"haHousekeepingInterval", "20000"},
    {"haTransferBatchSize", "32768"}, {"haSlaveFallbehindMax", "268435456"}, {"offsetCheckInSlave", "false"}, {"flushIntervalCommitLog", "500"},
    {"flushCommitLogTimed", "true"}, {"flushCommitLogLeastPages", "4"}, {"flushCommitLogThoroughInterval", "10000"},
    {"commitIntervalCommitLog", "200"}, {"commitCommitLogLeastPages", "4"}, {"commitCommitLogThoroughInterval", "200"},
    {"flushIntervalConsumeQueue", "1000"}, {"flushConsumeQueueLeastPages", "2"}, {"flushConsumeQueueThoroughInterval", "60000"},
    {"transientStorePoolEnable", "false"}, {"transientStorePoolSize", "5"}, {"useReentrantLockWhenPutMessage", "true"},
    {"maxMessageSize", "4194304"}, {"checkCRCOnRecover", "true"}, {"messageIndexEnable", "true"}, {"messageIndexSafe", "false"},
    {"maxHashSlotNum", "5000000"}, {"maxIndexNum", "20000000"}, {"maxMsgsNumBatch", "64"}, {"defaultQueryMaxNum", "32"},
    {"maxTransferBytesOnMessageInMemory", "262144"}, {"maxTransferCountOnMessageInMemory", "32"}, {"maxTransferBytesOnMessageInDisk", "65536"},
    {"maxTransferCountOnMessageInDisk", "8"}, {"accessMessageInMemoryMaxRatio", "40"},
    {"messageDelayLevel", "1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h"}, {"flushDelayOffsetInterval", "10000"},
    {"osPageCacheBusyTimeOutMills", "1000"}, {"putMsgIndexHightWater", "600000"}, {"cleanResourceInterval", "10000"}, {"deleteWhen", "04"},
    {"fileReservedTime", "72"}, {"diskMaxUsedSpaceRatio", "75"}, {"cleanFileForciblyEnable", "true"}, {"deleteCommitLogFilesInterval", "100"},
    {"deleteConsumeQueueFilesInterval", "100"}, {"destroyMapedFileIntervalForcibly", "120000"}, {"redeleteHangedFileInterval", "120000"},
    {"warmMapedFileEnable", "false"}, {"duplicationEnable", "false"}, {"diskFallRecorded", "true"}, {"enableDLegerCommitLog", "false"},
    {"enableLmq", "false"}, {"enableMultiDispatch", "false"}, {"storePathDLedgerCommitLog", ""}, {"flushLeastPagesWhenWarmMapedFile", "4096"},
    {"debugLockEnable", "false"}, {"fastFailIfNoBufferInStorePool", "false"}, {"dLegerGroup", ""}, {"dLegerPeers", ""}, {"dLegerSelfId", ""},
    {"preferredLeaderId", ""}, {"enableScheduleMessageStats", "true"}, {"maxLmqConsumeQueueNum", "20000"}, {"enableScheduleAsyncDeliver", "false"},
    {"scheduleAsyncDeliverMaxPendingLimit", "2000"}, {"scheduleAsyncDeliverMaxResendNum2Blocked", "3"}, {"serverWorkerThreads", "8"},
    {"serverCallbackExecutorThreads", "0"}, {"serverSelectorThreads", "3"}, {"serverOnewaySemaphoreValue", "256"},
    {"serverAsyncSemaphoreValue", "64"}, {"serverChannelMaxIdleTimeSeconds", "120"}, {"serverSocketSndBufSize", "0"},
    {"serverSocketRcvBufSize", "0"}, {"writeBufferHighWaterMark", "0"}, {"writeBufferLowWaterMark", "0"},
    {"serverPooledByteBufAllocatorEnable", "true"}, {"useEpollNativeSelector", "false"}
};

Test(config, every_key_of_apache_is_known_and_has_its_default)
{
    cr_assert(broker_config_load(&c, NULL, NULL, &why) == MQ_OK);
    for (size_t i = 0; i < sizeof apache / sizeof *apache; i++) {
        cr_expect(conf_find(broker_config_table(), slice_str(apache[i].key)) != NULL, "%s is unknown", apache[i].key);
        cr_expect(strcmp(shown(apache[i].key), apache[i].value) == 0, "%s=%s, not %s", apache[i].key, shown(apache[i].key), apache[i].value);
    }
}

Test(config, a_file_of_all_keys_loads_without_a_warning_and_shows_the_same)
{
    struct buf text = {0}, again = {0};
    cr_assert(broker_config_load(&c, NULL, NULL, &why) == MQ_OK);
    broker_config_text(&c, false, &text);
    buf_u8(&text, '\0');
    loaded((const char *)text.p);
    broker_config_text(&c, false, &again);
    buf_u8(&again, '\0');
    cr_assert(n_lines == 0, "%s", lines[0]);
    cr_assert_str_eq((const char *)again.p, (const char *)text.p);
    buf_free(&text);
    buf_free(&again);
}

/* The sample of Apache's distribution, conf/2m-2s-sync/broker-a.properties. */
Test(config, a_file_of_apaches_is_taken)
{
    loaded("# Licensed to the Apache Software Foundation\n\nbrokerClusterName=DefaultCluster\nbrokerName=broker-a\nbrokerId=0\ndeleteWhen=04\n"
           "fileReservedTime=48\nbrokerRole=SYNC_MASTER\nflushDiskType=ASYNC_FLUSH\n");
    cr_assert_str_eq(c.broker_name, "broker-a");
    cr_assert(c.broker_role == ROLE_SYNC_MASTER && c.flush_disk == FLUSH_DISK_ASYNC && c.file_reserved_hours == 48 && c.delete_hours == 1u << 4);
    cr_assert(n_lines == 0);
}

Test(config, what_is_not_said_follows_the_host)
{
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    loaded("");
    cr_assert_str_eq(c.broker_name, host);
    cr_assert_str_eq(c.store_root, "/home/someone/store");
    cr_assert_str_eq(c.commit_log_path, "commitlog");
    cr_assert(c.broker_ip1[0] && strcmp(c.broker_ip1, c.broker_ip2) == 0);
    cr_assert(c.ha_listen_port == 10912 && c.broker_id == 0);
    setenv("NAMESRV_ADDR", "10.0.0.1:9876", 1);
    loaded("brokerIP1=10.1.1.1\n");
    cr_assert_str_eq(c.namesrv_addr, "10.0.0.1:9876");
    cr_assert_str_eq(c.broker_ip1, "10.1.1.1");
    loaded("namesrvAddr=10.0.0.2:9876;10.0.0.3:9876\n");
    cr_assert_str_eq(c.namesrv_addr, "10.0.0.2:9876;10.0.0.3:9876");
    cr_assert(load("namesrvAddr=10.0.0.2:9876\n", "10.0.0.4:9876") == MQ_OK);
    cr_assert_str_eq(c.namesrv_addr, "10.0.0.4:9876"); /* the command line has the last word */
}

Test(config, masters_have_id_0_and_the_ha_port_follows_as_in_4_9_8)
{
    loaded("brokerId=7\nlistenPort=30911\nhaListenPort=1\n");
    cr_assert(c.broker_id == 0 && c.ha_listen_port == 30912);
}

Test(config, hours_levels_and_paths_are_understood)
{
    loaded("deleteWhen=04;16; 23\nmessageDelayLevel=1s 2m 3h 4d\nstorePathRootDir=/data/store/\nstorePathCommitLog=/data/store/log/\n"
           "diskMaxUsedSpaceRatio=5\n");
    cr_assert(c.delete_hours == (1u << 4 | 1u << 16 | 1u << 23));
    cr_assert(c.n_delay_levels == 4 && c.delay_level_ms[0] == 1000 && c.delay_level_ms[1] == 120000 && c.delay_level_ms[2] == 10800000 &&
              c.delay_level_ms[3] == 345600000);
    cr_assert_str_eq(c.store_root, "/data/store");
    cr_assert_str_eq(c.commit_log_path, "log");
    cr_assert(c.disk_max_used_percent == 10); /* 10 to 95, as Apache bounds it */
    loaded("");
    cr_assert(c.n_delay_levels == 18 && c.delay_level_ms[17] == 7200000);
}

Test(config, java_properties_in_all_their_forms)
{
    loaded("! a comment\n  brokerName : b\\u00e9 \nlistenPort 30911\nregionId=a\\\n   b\nbrokerClusterName=x\\=y\r\nflushDiskType = SYNC_FLUSH  \n");
    cr_assert_str_eq(c.broker_name, "b\xc3\xa9");
    cr_assert_str_eq(c.region_id, "ab");
    cr_assert_str_eq(c.cluster_name, "x=y");
    cr_assert(c.listen_port == 30911 && c.flush_disk == FLUSH_DISK_SYNC);
}

Test(config, unknown_keys_are_a_warning_that_names_them_and_their_line)
{
    loaded("brokerName=b\n\nbrokerNmae=c\n");
    cr_assert(n_lines == 1 && strstr(lines[0], "key=brokerNmae"), "%s", lines[0]);
    char at[80];
    snprintf(at, sizeof at, "%s:3", file);
    cr_assert(strstr(lines[0], at) != NULL, "%s", lines[0]);
    cr_assert_str_eq(c.broker_name, "b");
}

static void refused(const char *text, int line, const char *words)
{
    char at[80];
    enum mq_err err = load(text, NULL);
    snprintf(at, sizeof at, "%s:%d: ", file, line);
    cr_expect(err == MQ_EINVAL, "%s: %d", text, err);
    cr_expect(strncmp(why.what, at, strlen(at)) == 0, "%s: no place in '%s'", text, why.what);
    cr_expect(strstr(why.what, words) != NULL, "%s: '%s' in '%s'?", text, words, why.what);
    cr_expect(c.broker_name == NULL, "%s: something is left", text);
}

Test(config, wrong_values_name_file_line_and_what_is_allowed)
{
    refused("listenPort=x\n", 1, "listenPort=x: expected a number from 3 to 65534");
    refused("\n#\nlistenPort=65535\n", 3, "expected a number from 3 to 65534");
    refused("listenPort=\n", 1, "expected a number");
    refused("brokerName=b\nautoCreateTopicEnable=yes\n", 2, "autoCreateTopicEnable=yes: expected true or false");
    refused("flushDiskType=SYNC\n", 1, "expected one of ASYNC_FLUSH SYNC_FLUSH");
    refused("brokerRole=MASTER\n", 1, "expected one of ASYNC_MASTER SYNC_MASTER SLAVE");
    refused("brokerClusterName=\n", 1, "brokerClusterName=: expected text of 1 to 127 bytes");
    refused("maxMessageSize=99999999999999999999\n", 1, "expected a number from 1 to 16000000");
}

Test(config, values_that_are_wrong_together_name_file_and_line_too)
{
    refused("brokerName=b\ndeleteWhen=24\n", 2, "deleteWhen=24: expected hours from 00 to 23");
    refused("deleteWhen=4,5\n", 1, "expected hours");
    refused("messageDelayLevel=1s 5x\n", 1, "5x");
    refused("messageDelayLevel=1s  5s\n", 1, "separated by one blank");
    refused("messageDelayLevel=s\n", 1, "expected at most");
    refused("messageDelayLevel=9223372036854775807d\n", 1, "expected at most");
    refused("\nlogLevel=loud\n", 2, "logLevel=loud: expected one of debug info warn error off");
    refused("storePathRootDir=/a\nstorePathCommitLog=/b/log\n", 2, "expected one directory beneath storePathRootDir=/a");
    refused("storePathRootDir=/a\nstorePathCommitLog=/a/../b\n", 2, "beneath");
    refused("storePathRootDir=/a\nstorePathCommitLog=/ab\n", 2, "beneath");
    refused("brokerRole=SLAVE\n", 1, "brokerRole=SLAVE");
}

Test(config, a_file_that_cannot_be_read_is_named)
{
    cr_assert(broker_config_load(&c, "/nonexistent/broker.conf", NULL, &why) == MQ_EIO && strstr(why.what, "/nonexistent/broker.conf"));
}

static enum mq_err live(const char *key, const char *value)
{
    why = (struct fault){0};
    return broker_config_set_live(&c, slice_str(key), slice_str(value), &why);
}

Test(config, live_keys_change_and_no_others)
{
    loaded("");
    cr_assert(live("brokerPermission", "4") == MQ_OK && c.broker_permission == 4);
    cr_assert(live("longPollingEnable", "false") == MQ_OK && !c.long_polling);
    cr_assert(live("sendMessageThreadPoolNums", "64") == MQ_OK); /* without effect, but shown */
    cr_assert_str_eq(shown("sendMessageThreadPoolNums"), "64");
    cr_assert(live("brokerPermission", "8") == MQ_EINVAL && c.broker_permission == 4 && strstr(why.what, "0 to 7"));
    cr_assert(live("logLevel", "loud") == MQ_EINVAL && live("logLevel", "debug") == MQ_OK);
    cr_assert(live("noSuchKey", "1") == MQ_ENOTFOUND);
    const char *fixed[] = {"storePathRootDir", "storePathCommitLog", "listenPort", "brokerName", "brokerClusterName", "namesrvAddr", "brokerIP1", "bindAddress",
                           "brokerRole", "flushDiskType"};
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        cr_expect(live(fixed[i], "1") == MQ_EREFUSED, "%s can be changed", fixed[i]);
    const char *black[] = {"configBlackList", "brokerConfigPath", "rocketmqHome"};
    for (size_t i = 0; i < sizeof black / sizeof *black; i++)
        cr_expect(live(black[i], "/etc") == MQ_EREFUSED && strcmp(why.what, "Can not update config in black list.") == 0, "%s: %s", black[i], why.what);
}

Test(config, the_black_list_can_be_longer)
{
    loaded("configBlackList=brokerPermission; traceOn\n");
    cr_assert(live("brokerPermission", "4") == MQ_EREFUSED && live("traceOn", "false") == MQ_EREFUSED && live("configBlackList", "") == MQ_EREFUSED);
    cr_assert(live("longPollingEnable", "false") == MQ_OK);
}

Test(config, the_important_keys_are_apaches)
{
    loaded("brokerName=b\n");
    struct buf text = {0};
    broker_config_text(&c, true, &text);
    buf_u8(&text, '\0');
    cr_assert(strstr((char *)text.p, "brokerName=b\n") && strstr((char *)text.p, "flushDiskType=ASYNC_FLUSH\n") && !strstr((char *)text.p, "logLevel"));
    buf_free(&text);
}

Test(config, each_allocation_may_fail)
{
    uint64_t n = 1;
    for (; n < 2000; n++) {
        mem_fail_after(n);
        enum mq_err err = broker_config_load(&c, NULL, NULL, &why);
        mem_fail_after(0);
        if (err == MQ_OK)
            break;
        cr_assert(err == MQ_ENOMEM && c.broker_name == NULL, "allocation %llu: %d", (unsigned long long)n, err);
    }
    cr_assert(n > 100 && n < 2000);
}
