/* config.c - the table of a broker's keys, and what follows from them.
 *
 * All keys of 4.9.8's BrokerConfig, MessageStoreConfig, NettyServerConfig and NettyClientConfig are here. Those in UNUSED_KEYS say how
 * many threads a pool of Apache's has, or how a mapped file is treated: there are no such pools and files here, so they are
 * taken, shown by 26, and change nothing. A key is LIVE when 25 may change it: never a path, a name or a port.
 * (test: unit/config) */
#include "broker/config.h"
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/conf/conf.h"

static const char *const role_names[] = {"ASYNC_MASTER", "SYNC_MASTER", "SLAVE", NULL};
static const char *const flush_names[] = {"ASYNC_FLUSH", "SYNC_FLUSH", NULL};
static const char *const level_names[] = {"debug", "info", "warn", "error", "off", NULL};

#define UNUSED_KEYS(X)                                                                                                              \
    X(accessAclFile, "") X(adminBrokerThreadPoolNums, "16") X(aclEnable, "false") X(autoDeleteUnusedStats, "false")                  \
    X(bitMapLengthConsumeQueueExt, "64") X(brokerFastFailureEnable, "true") X(channelNotActiveInterval, "60000")                     \
    X(cleanResourceInterval, "10000") X(clientAsyncSemaphoreValue, "65535") X(clientCallbackExecutorThreads, "2")                    \
    X(clientChannelMaxIdleTimeSeconds, "120") X(clientCloseSocketIfTimeout, "true") X(clientManageThreadPoolNums, "32")              \
    X(clientManagerThreadPoolQueueCapacity, "1000000") X(clientOnewaySemaphoreValue, "65535")                                        \
    X(clientPooledByteBufAllocatorEnable, "false") X(clientSocketRcvBufSize, "0") X(clientSocketSndBufSize, "0")                     \
    X(clientWorkerThreads, "4") X(commercialBaseCount, "1") X(commercialBigCount, "1") X(commercialEnable, "true")                   \
    X(commercialTimerCount, "1") X(commercialTransCount, "1") X(commitCommitLogLeastPages, "4")                                      \
    X(commitCommitLogThoroughInterval, "200") X(commitIntervalCommitLog, "200") X(connectTimeoutMillis, "3000")                      \
    X(consumerManageThreadPoolNums, "32") X(consumerManagerThreadPoolQueueCapacity, "1000000") X(dLegerGroup, "")                    \
    X(dLegerPeers, "") X(dLegerSelfId, "") X(debugLockEnable, "false") X(deleteCommitLogFilesInterval, "100")                        \
    X(deleteConsumeQueueFilesInterval, "100") X(destroyMapedFileIntervalForcibly, "120000") X(diskFallRecorded, "true")              \
    X(duplicationEnable, "false") X(enableBatchPush, "false") X(enableCalcFilterBitMap, "false")                                     \
    X(enableConsumeQueueExt, "false") X(enableDLegerCommitLog, "false") X(enableDetailStat, "true") X(enableLmq, "false")            \
    X(enableMultiDispatch, "false") X(enableScheduleAsyncDeliver, "false") X(enableScheduleMessageStats, "true")                     \
    X(endTransactionPoolQueueCapacity, "100000") X(endTransactionThreadPoolNums, "16")                                               \
    X(fastFailIfNoBufferInStorePool, "false") X(fetchNamesrvAddrByAddressServer, "false")                                            \
    X(filterServerNums, "0") X(flushCommitLogLeastPages, "4")                                                                        \
    X(flushCommitLogThoroughInterval, "10000") X(flushCommitLogTimed, "true") X(flushConsumerOffsetHistoryInterval, "60000")         \
    X(flushLeastPagesWhenWarmMapedFile, "4096") X(haHousekeepingInterval, "20000")                                                   \
    X(haMasterAddress, "") X(haSendHeartbeatInterval, "5000") X(haSlaveFallbehindMax, "268435456") X(haTransferBatchSize, "32768")   \
    X(heartbeatThreadPoolNums, "2") X(heartbeatThreadPoolQueueCapacity, "50000") X(highSpeedMode, "false")                           \
    X(isolateLogEnable, "false") X(mappedFileSizeConsumeQueueExt, "50331648") X(maxDelayTime, "40")                                  \
    X(maxLmqConsumeQueueNum, "20000") X(messageIndexSafe, "false") X(messageStorePlugIn, "")                                         \
    X(osPageCacheBusyTimeOutMills, "1000") X(preferredLeaderId, "") X(processReplyMessageThreadPoolNums, "20")                       \
    X(pullMessageThreadPoolNums, "20") X(pullThreadPoolQueueCapacity, "100000") X(putMessageFutureThreadPoolNums, "2")               \
    X(putMsgIndexHightWater, "600000") X(putThreadPoolQueueCapacity, "10000") X(queryMessageThreadPoolNums, "10")                    \
    X(queryThreadPoolQueueCapacity, "20000") X(readOnlyCommitLogStorePaths, "") X(redeleteHangedFileInterval, "120000")              \
    X(replyThreadPoolQueueCapacity, "10000") X(rmqAddressServerDomain, "") X(rmqAddressServerSubGroup, "")                           \
    X(scheduleAsyncDeliverMaxPendingLimit, "2000") X(scheduleAsyncDeliverMaxResendNum2Blocked, "3")                                  \
    X(sendMessageThreadPoolNums, "2") X(serverAsyncSemaphoreValue, "64")                                                             \
    X(serverCallbackExecutorThreads, "0") X(serverOnewaySemaphoreValue, "256") X(serverPooledByteBufAllocatorEnable, "true")         \
    X(serverSelectorThreads, "3") X(serverSocketRcvBufSize, "0") X(serverSocketSndBufSize, "0") X(serverWorkerThreads, "8")          \
    X(storePathDLedgerCommitLog, "") X(transferMsgByHeap, "true")                                                                    \
    X(transientStorePoolEnable, "false") X(transientStorePoolSize, "5") X(useEpollNativeSelector, "false")                           \
    X(useReentrantLockWhenPutMessage, "true") X(useTLS, "false")                                                                     \
    X(waitTimeMillsInHeartbeatQueue, "31000") X(waitTimeMillsInPullQueue, "5000") X(waitTimeMillsInTransactionQueue, "3000")         \
    X(warmMapedFileEnable, "false") X(writeBufferHighWaterMark, "0") X(writeBufferLowWaterMark, "0")

#define UNUSED_PLACE(name, value) UNUSED_##name,
enum { UNUSED_KEYS(UNUSED_PLACE) N_UNUSED };
_Static_assert((int)N_UNUSED <= (int)BROKER_UNUSED_KEYS, "struct broker_config has too few places");

#define AT(field) offsetof(struct broker_config, field)
#define UNUSED_ROW(name, value) \
    {#name, CONF_STR, AT(unused) + UNUSED_##name * sizeof(char *), value, 0, 4096, NO_EFFECT, "accepted, without effect", NULL},
#define GIB ((int64_t)1 << 30)

static const struct conf_key keys[] = {
    /* who we are */
    {"brokerClusterName", CONF_STR, AT(cluster_name), "DefaultCluster", 1, 127, AT_START, "cluster; also the name of a system topic", NULL},
    {"brokerName", CONF_STR, AT(broker_name), "", 0, 127, AT_START, "name of the group of a master and its slaves; default: the host's name", NULL},
    {"brokerId", CONF_I64, AT(broker_id), "0", -1, INT64_MAX, AT_START, "0 for a master", NULL},
    {"brokerRole", CONF_ENUM, AT(broker_role), "ASYNC_MASTER", 0, 0, AT_START, "what this broker is in its group", role_names},
    {"brokerIP1", CONF_STR, AT(broker_ip1), "", 0, 255, AT_START, "address that clients are told; default: one of this host's", NULL},
    {"brokerIP2", CONF_STR, AT(broker_ip2), "", 0, 255, AT_START, "address that slaves are told; default: as brokerIP1's", NULL},
    {"listenPort", CONF_INT, AT(listen_port), "10911", 3, 65534, AT_START, "TCP port for clients; listenPort - 2 is served as well", NULL},
    {"haListenPort", CONF_INT, AT(ha_listen_port), "10912", 0, 65535, AT_START, "always listenPort + 1, as in 4.9.8", NULL},
    {"bindAddress", CONF_STR, AT(bind_address), "0.0.0.0", 1, 255, AT_START, "address to listen on", NULL},
    {"namesrvAddr", CONF_STR, AT(namesrv_addr), "", 0, 4096, AT_START, "name servers, host:port;host:port; default: NAMESRV_ADDR of the environment", NULL},
    {"rocketmqHome", CONF_STR, AT(rocketmq_home), "", 0, 4096, AT_START, "shown only; default: ROCKETMQ_HOME of the environment", NULL},
    {"regionId", CONF_STR, AT(region_id), "DefaultRegion", 0, 127, LIVE, "MSG_REGION in answers to sends", NULL},

    /* what is allowed, and made by itself */
    {"brokerPermission", CONF_INT, AT(broker_permission), "6", 0, 7, LIVE, "2 write, 4 read; registered in place of each topic's when one is missing", NULL},
    {"autoCreateTopicEnable", CONF_BOOL, AT(auto_create_topic), "true", 0, 0, AT_START, "a send to an unknown topic makes it", NULL},
    {"autoCreateSubscriptionGroup", CONF_BOOL, AT(auto_create_group), "true", 0, 0, AT_START, "a group comes into being when it is first used", NULL},
    {"defaultTopicQueueNums", CONF_INT, AT(default_topic_queue_nums), "8", 1, 65536, AT_START, "queues of a topic made by itself, at most", NULL},
    {"clusterTopicEnable", CONF_BOOL, AT(cluster_topic), "true", 0, 0, AT_START, "a topic named as the cluster", NULL},
    {"brokerTopicEnable", CONF_BOOL, AT(broker_topic), "true", 0, 0, AT_START, "a topic named as the broker", NULL},
    {"traceTopicEnable", CONF_BOOL, AT(trace_topic_enable), "false", 0, 0, AT_START, "makes the trace topic", NULL},
    {"msgTraceTopicName", CONF_STR, AT(trace_topic), "RMQ_SYS_TRACE_TOPIC", 1, 127, AT_START, "the trace topic's name", NULL},
    {"traceOn", CONF_BOOL, AT(trace_on), "true", 0, 0, LIVE, "TRACE_ON in answers to sends", NULL},
    {"rejectTransactionMessage", CONF_BOOL, AT(reject_transaction), "false", 0, 0, LIVE, "refuses half messages", NULL},
    {"transactionTimeOut", CONF_I64, AT(transaction_timeout_ms), "6000", 0, INT64_MAX / 2, LIVE, "ms; a transaction open for longer is asked about", NULL},
    {"transactionCheckInterval", CONF_I64, AT(transaction_interval_ms), "60000", 1, INT64_MAX / 2, LIVE, "ms between two rounds of asking", NULL},
    {"transactionCheckMax", CONF_INT, AT(transaction_checks_max), "15", 1, 1000000, LIVE, "so often asked, a transaction is given up", NULL},
    {"enablePropertyFilter", CONF_BOOL, AT(enable_property_filter), "false", 0, 0, LIVE, "consumers may ask for messages by SQL92 expression", NULL},
    {"filterSupportRetry", CONF_BOOL, AT(filter_support_retry), "false", 0, 0, LIVE, "messages of a retry topic are judged by the expression, too", NULL},
    {"filterDataCleanTimeSpan", CONF_I64, AT(filter_keep_ms), "86400000", 0, INT64_MAX, AT_START, "ms that a group's expressions outlive its members", NULL},
    {"maxErrorRateOfBloomFilter", CONF_INT, AT(bloom_error_percent), "20", 1, 99, AT_START, "percent; for Apache's sake, in consumerFilter.json", NULL},
    {"expectConsumerNumUseFilter", CONF_INT, AT(bloom_members), "32", 1, 1000000, AT_START, "groups with expressions; the same", NULL},
    {"notifyConsumerIdsChangedEnable", CONF_BOOL, AT(notify_consumer_ids_changed), "true", 0, 0, LIVE, "tells a group at once who came and went", NULL},
    {"rocketmq.broker.rebalance.lockMaxLiveTime", CONF_I64, AT(lock_live_ms), "60000", 1000, 3600000, AT_START,
     "a queue lock that is not renewed ends after this; a system property of Apache's broker", NULL},
    {"storeReplyMessageEnable", CONF_BOOL, AT(store_reply), "true", 0, 0, LIVE, "keeps replies in the reply topic, too", NULL},
    {"startAcceptSendRequestTimeStamp", CONF_I64, AT(start_accept_send_ms), "0", 0, INT64_MAX, LIVE, "sends before it are refused; ms since 1970", NULL},
    {"waitTimeMillsInSendQueue", CONF_I64, AT(wait_in_send_queue_ms), "200", 0, 600000, LIVE, "a send waits so long for its turn, at least 2000", NULL},
    {"sendThreadPoolQueueCapacity", CONF_INT, AT(send_queue_capacity), "10000", 1, 10000000, LIVE,
     "so many sends may wait for a sync; beyond it connections that send are not read", NULL},

    /* pulling */
    {"longPollingEnable", CONF_BOOL, AT(long_polling), "true", 0, 0, LIVE, "holds a pull as long as its client allows", NULL},
    {"shortPollingTimeMills", CONF_I64, AT(short_polling_ms), "1000", 1, 110000, LIVE, "how long it is held else", NULL},
    {"slaveReadEnable", CONF_BOOL, AT(slave_read), "false", 0, 0, LIVE, "sends consumers that are far behind to a slave", NULL},
    {"offsetCheckInSlave", CONF_BOOL, AT(offset_check_in_slave), "false", 0, 0, LIVE, "for slaves", NULL},
    {"disableConsumeIfConsumerReadSlowly", CONF_BOOL, AT(disable_slow_consumers), "false", 0, 0, LIVE,
     "a group that is further behind loses its permission to consume, until an operator gives it back", NULL},
    {"consumerFallbehindThreshold", CONF_I64, AT(consumer_fall_behind_threshold), "17179869184", 0, INT64_MAX, LIVE, "bytes", NULL},
    {"maxTransferBytesOnMessageInMemory", CONF_INT, AT(max_bytes_in_memory), "262144", 1, 8388608, LIVE, "bytes of an answer to a pull", NULL},
    {"maxTransferCountOnMessageInMemory", CONF_INT, AT(max_count_in_memory), "32", 1, 65536, LIVE, "messages of an answer to a pull", NULL},
    {"maxTransferBytesOnMessageInDisk", CONF_INT, AT(max_bytes_on_disk), "65536", 1, 8388608, LIVE, "the same for messages far behind", NULL},
    {"maxTransferCountOnMessageInDisk", CONF_INT, AT(max_count_on_disk), "8", 1, 65536, LIVE, "the same for messages far behind", NULL},
    {"accessMessageInMemoryMaxRatio", CONF_INT, AT(in_memory_percent), "40", 0, 100, LIVE, "share of the memory within which nothing is far behind", NULL},
    {"defaultQueryMaxNum", CONF_INT, AT(default_query_max), "32", 1, 1024, LIVE, "answers to a query by unique key", NULL},
    {"maxMsgsNumBatch", CONF_INT, AT(max_msgs_batch), "64", 1, 1024, LIVE, "answers to a query by key", NULL},
    {"flushConsumerOffsetInterval", CONF_I64, AT(flush_consumer_offset_ms), "5000", 100, 3600000, AT_START, "consumerOffset.json is written so often", NULL},

    /* registering */
    {"forceRegister", CONF_BOOL, AT(force_register), "true", 0, 0, LIVE, "registers anew each time; else when the name server's version is older", NULL},
    {"compressedRegister", CONF_BOOL, AT(compressed_register), "false", 0, 0, LIVE, "deflates the registration", NULL},
    {"registerNameServerPeriod", CONF_I64, AT(register_period_ms), "30000", 0, INT64_MAX, AT_START, "10000 to 60000", NULL},
    {"registerBrokerTimeoutMills", CONF_I64, AT(register_timeout_ms), "6000", 1, 600000, LIVE, "for one name server's answer", NULL},

    /* the store */
    {"storePathRootDir", CONF_STR, AT(store_root), "", 0, 4000, AT_START, "all files; default: $HOME/store", NULL},
    {"storePathCommitLog", CONF_STR, AT(commit_log_dir), "", 0, 4000, AT_START, "beneath storePathRootDir; default: commitlog in it", NULL},
    {"flushDiskType", CONF_ENUM, AT(flush_disk), "ASYNC_FLUSH", 0, 0, AT_START, "acks before or after the disk has it", flush_names},
    {"syncFlushTimeout", CONF_I64, AT(sync_flush_timeout_ms), "5000", 1, 600000, AT_START, "a send waits so long for the disk", NULL},
    {"slaveTimeout", CONF_I64, AT(slave_timeout_ms), "3000", 1, 600000, AT_START, "a send waits so long for a slave", NULL},
    {"mappedFileSizeCommitLog", CONF_I64, AT(commit_log_file_size), "1073741824", 4096, 2 * GIB - 1, AT_START, "bytes of a file of the log", NULL},
    {"mappedFileSizeConsumeQueue", CONF_I64, AT(consume_queue_file_size), "6000000", 20, GIB, AT_START, "bytes of a consume queue's file", NULL},
    {"maxMessageSize", CONF_INT, AT(max_message_size), "4194304", 1, 16000000, AT_START, "bytes of a body", NULL},
    {"checkCRCOnRecover", CONF_BOOL, AT(check_crc_on_recover), "true", 0, 0, AT_START, "recovery checks bodies", NULL},
    {"messageIndexEnable", CONF_BOOL, AT(index_enable), "true", 0, 0, AT_START, "messages can be found by key", NULL},
    {"maxHashSlotNum", CONF_I64, AT(index_slots), "5000000", 1, 500000000, AT_START, "slots of an index file", NULL},
    {"maxIndexNum", CONF_I64, AT(index_entries), "20000000", 1, 500000000, AT_START, "entries of an index file", NULL},
    {"flushIntervalCommitLog", CONF_I64, AT(flush_interval_ms), "500", 1, 600000, AT_START, "the log is flushed so often", NULL},
    {"flushIntervalConsumeQueue", CONF_I64, AT(flush_queue_interval_ms), "1000", 1, 600000, AT_START, "queues with enough to sync are synced", NULL},
    {"flushConsumeQueueLeastPages", CONF_INT, AT(flush_queue_least_pages), "2", 0, 1024, AT_START, "pages of 4 KiB of a queue that are enough", NULL},
    {"flushConsumeQueueThoroughInterval", CONF_I64, AT(flush_queue_thorough_ms), "60000", 0, 600000, AT_START, "all are, or when a log file is full", NULL},
    {"flushDiskFallbehindMax", CONF_I64, AT(flush_behind_max), "0", 0, INT64_MAX, AT_START,
     "bytes of the log not yet flushed; beyond it connections that send are not read; 0: a 16th of the memory, at most 256 MiB", NULL},
    {"fileReservedTime", CONF_I64, AT(file_reserved_hours), "72", 0, 87600, AT_START, "hours that a file of the log is kept", NULL},
    {"deleteWhen", CONF_STR, AT(delete_when), "04", 0, 200, AT_START, "hours in which old files go, 04;16", NULL},
    {"diskMaxUsedSpaceRatio", CONF_INT, AT(disk_max_used_percent), "75", 0, 100, AT_START, "percent used from which old files go at any hour; 10 to 95", NULL},
    {"cleanFileForciblyEnable", CONF_BOOL, AT(clean_file_forcibly), "true", 0, 0, AT_START, "young files go, too, when the disk is nearly full", NULL},
    {"messageDelayLevel", CONF_STR, AT(delay_levels), "1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h", 1, 1000, AT_START, "delay levels", NULL},
    {"flushDelayOffsetInterval", CONF_I64, AT(flush_delay_offset_ms), "10000", 100, 3600000, AT_START, "delayOffset.json is written so often", NULL},

    /* the shell */
    {"serverChannelMaxIdleTimeSeconds", CONF_I64, AT(idle_seconds), "120", 1, 86400, AT_START, "a silent connection is closed", NULL},
    {"serverSocketBacklog", CONF_I64, AT(backlog), "1024", 1, 65535, AT_START, "connections waiting to be accepted", NULL},
    {"configBlackList", CONF_STR, AT(config_black_list), "configBlackList;brokerConfigPath", 0, 4096, AT_START, "keys that 25 refuses, ;-separated", NULL},
    {"memoryLimit", CONF_BYTES, AT(memory_limit), "0", 0, INT64_MAX, LIVE,
     "bytes (512m, 4g) of buffers, queues, caches and tables; at least 16m; 0: half of what this process may use", NULL},
    {"logLevel", CONF_STR, AT(log_level), "info", 1, 10, LIVE, "debug info warn error off", NULL},

    UNUSED_KEYS(UNUSED_ROW)
};
static const struct conf_table table = {keys, sizeof keys / sizeof *keys};

static const char *const important[] = {
    "namesrvAddr", "brokerIP1", "brokerIP2", "brokerName", "brokerClusterName", "brokerId", "brokerPermission", "autoCreateTopicEnable",
    "autoCreateSubscriptionGroup", "msgTraceTopicName", "traceTopicEnable", "rejectTransactionMessage", "storePathRootDir", "storePathCommitLog",
    "flushIntervalCommitLog", "deleteWhen", "diskMaxUsedSpaceRatio", "fileReservedTime", "maxTransferBytesOnMessageInMemory",
    "maxTransferCountOnMessageInMemory", "maxTransferBytesOnMessageInDisk", "maxTransferCountOnMessageInDisk", "accessMessageInMemoryMaxRatio",
    "messageIndexEnable", "maxHashSlotNum", "haListenPort", "brokerRole", "flushDiskType", "syncFlushTimeout", "cleanFileForciblyEnable", NULL};

const struct conf_table *broker_config_table(void) { return &table; }

/* ---- what a host says about itself ---- */
static bool local_address(char out[INET_ADDRSTRLEN])
{
    struct ifaddrs *all = NULL;
    bool found = false;
    strcpy(out, "127.0.0.1");
    if (getifaddrs(&all) != 0)
        return false;
    for (const struct ifaddrs *a = all; a && !found; a = a->ifa_next) {
        if (a->ifa_addr == NULL || a->ifa_addr->sa_family != AF_INET || (a->ifa_flags & IFF_LOOPBACK) || !(a->ifa_flags & IFF_UP))
            continue;
        struct sockaddr_in in;
        memcpy(&in, a->ifa_addr, sizeof in);
        found = inet_ntop(AF_INET, &in.sin_addr, out, INET_ADDRSTRLEN) != NULL;
    }
    freeifaddrs(all);
    return found;
}

/* Replaces an empty string by value. */
static enum mq_err fill(char **at, const char *value, struct fault *why)
{
    if (*at && **at)
        return MQ_OK;
    char *copy = mem_strdup(value);
    if (copy == NULL)
        return fault_set(why, MQ_ENOMEM, 0, "configuration");
    mem_free(*at);
    *at = copy;
    return MQ_OK;
}

static enum mq_err fill_from_host(struct broker_config *c, struct fault *why)
{
    char host[256] = "localhost", ip[INET_ADDRSTRLEN], store[4200];
    const char *home = getenv("HOME"), *mq_home = getenv("ROCKETMQ_HOME"), *namesrv = getenv("NAMESRV_ADDR");
    if (gethostname(host, sizeof host - 1) != 0)
        strcpy(host, "localhost");
    local_address(ip);
    snprintf(store, sizeof store, "%.4000s/store", home ? home : ".");
    const struct { char **at; const char *value; } fills[] = {
        {&c->broker_name, host}, {&c->broker_ip1, ip}, {&c->broker_ip2, ip}, {&c->store_root, store},
        {&c->rocketmq_home, mq_home ? mq_home : ""}, {&c->namesrv_addr, namesrv ? namesrv : ""}};
    for (size_t i = 0; i < sizeof fills / sizeof *fills; i++) {
        enum mq_err err = fill(fills[i].at, fills[i].value, why);
        if (err != MQ_OK)
            return err;
    }
    return MQ_OK;
}

/* ---- what follows from the values ---- */
static enum mq_err place_commit_log(struct broker_config *c, struct fault *why)
{
    size_t n = strlen(c->store_root);
    while (n > 1 && c->store_root[n - 1] == '/')
        c->store_root[--n] = 0;
    if (c->commit_log_dir == NULL || *c->commit_log_dir == 0) {
        c->commit_log_path = "commitlog";
        return MQ_OK;
    }
    const char *dir = c->commit_log_dir;
    bool beneath = strncmp(dir, c->store_root, n) == 0 && dir[n] == '/' && dir[n + 1] && strpbrk(dir, ",:;") == NULL && strstr(dir, "..") == NULL;
    if (!beneath)
        return fault_set(why, MQ_EINVAL, 0, "storePathCommitLog=%.60s: expected one directory beneath storePathRootDir=%.60s", dir, c->store_root);
    c->commit_log_path = dir + n + 1;
    for (char *end = c->commit_log_dir + strlen(dir) - 1; *end == '/'; end--)
        *end = 0;
    return MQ_OK;
}

static enum mq_err parse_hours(struct broker_config *c, struct fault *why)
{
    struct slice rest = slice_str(c->delete_when), piece;
    while (rest.p && slice_cut(&rest, ';', &piece)) {
        int32_t hour;
        piece = slice_trim(piece);
        if (piece.n == 0)
            continue;
        if (!slice_i32(piece, &hour) || hour < 0 || hour > 23)
            return fault_set(why, MQ_EINVAL, 0, "deleteWhen=%.60s: expected hours from 00 to 23, separated by ;", c->delete_when);
        c->delete_hours |= 1u << hour;
    }
    return MQ_OK;
}

static int64_t unit_ms(uint8_t unit)
{
    switch (unit) {
    case 's': return 1000;
    case 'm': return 60000;
    case 'h': return 3600000;
    case 'd': return 86400000;
    default: return 0;
    }
}

static enum mq_err parse_delay_levels(struct broker_config *c, struct fault *why)
{
    struct slice rest = slice_str(c->delay_levels), piece;
    while (rest.p && slice_cut(&rest, ' ', &piece)) {
        int64_t n, unit = piece.n ? unit_ms(piece.p[piece.n - 1]) : 0;
        if (unit == 0 || !slice_i64(slice_head(piece, piece.n - 1), &n) || n < 0 || n > INT64_MAX / unit || c->n_delay_levels == BROKER_DELAY_LEVELS_MAX)
            return fault_set(why, MQ_EINVAL, 0, "messageDelayLevel: %.*s: expected at most %d times with unit s, m, h or d, separated by one blank",
                             SLICE_ARG(slice_head(piece, 40)), BROKER_DELAY_LEVELS_MAX);
        c->delay_level_ms[c->n_delay_levels++] = n * unit;
    }
    return MQ_OK;
}

static bool name_in(const char *const *names, const char *name)
{
    for (; *names; names++)
        if (strcmp(*names, name) == 0)
            return true;
    return false;
}

static enum mq_err derive(struct broker_config *c, struct fault *why)
{
    if (c->broker_role == ROLE_SLAVE)
        return fault_set(why, MQ_EINVAL, 0, "brokerRole=SLAVE: this version has no replication yet; expected ASYNC_MASTER or SYNC_MASTER");
    c->broker_id = 0;
    c->ha_listen_port = c->listen_port + 1;
    c->disk_max_used_percent = c->disk_max_used_percent < 10 ? 10 : c->disk_max_used_percent > 95 ? 95 : c->disk_max_used_percent;
    if (!name_in(level_names, c->log_level))
        return fault_set(why, MQ_EINVAL, 0, "logLevel=%s: expected one of debug info warn error off", c->log_level);
    enum mq_err err = place_commit_log(c, why);
    if (err == MQ_OK)
        err = parse_hours(c, why);
    return err == MQ_OK ? parse_delay_levels(c, why) : err;
}

/* A value that is wrong together with others: the words begin with its key. Adds where the file says it. */
struct place {
    struct slice key;
    unsigned line;
};
static void find_place(struct place *p, const char *file)
{
    struct buf text = {0}, scratch = {0};
    struct slice key, value, rest;
    unsigned line = 0;
    FILE *f = fopen(file, "re");
    uint8_t *at;
    size_t n;
    while (f && (at = buf_room(&text, 4096)) != NULL && (n = fread(at, 1, 4096, f)) > 0)
        text.n += n;
    rest = buf_view(&text);
    while (properties_next(&rest, &line, &scratch, &key, &value))
        if (slice_eq(key, p->key))
            p->line = line;
    buf_free(&text);
    buf_free(&scratch);
    if (f)
        fclose(f);
}

static enum mq_err with_place(const char *file, enum mq_err err, struct fault *why)
{
    if (file == NULL || why == NULL || err != MQ_EINVAL)
        return err;
    struct fault plain = *why;
    struct place p = {.key = slice_make(plain.what, strcspn(plain.what, "=:"))};
    find_place(&p, file);
    return p.line ? fault_set(why, err, 0, "%.60s:%u: %s", file, p.line, plain.what) : err;
}

static void on_unknown(void *arg, const char *file, unsigned line, struct slice key)
{
    (void)arg;
    log_warn("config", "unknown key ignored key=%.*s at=%s:%u", SLICE_ARG(slice_head(key, 100)), file, line);
}

enum mq_err broker_config_load(struct broker_config *c, const char *file, const char *namesrv_addr, struct fault *why)
{
    *c = (struct broker_config){0};
    enum mq_err err = conf_defaults(&table, c, why);
    if (err == MQ_OK && file)
        err = conf_load_file(&table, c, file, on_unknown, NULL, why);
    if (err == MQ_OK && namesrv_addr)
        err = conf_set(&table, c, SLICE_LIT("namesrvAddr"), slice_str(namesrv_addr), why);
    if (err == MQ_OK)
        err = fill_from_host(c, why);
    if (err == MQ_OK)
        err = with_place(file, derive(c, why), why);
    if (err != MQ_OK)
        broker_config_free(c);
    return err;
}

void broker_config_free(struct broker_config *c)
{
    conf_free(&table, c);
    *c = (struct broker_config){0};
}

void broker_config_text(const struct broker_config *c, bool important_only, struct buf *out)
{
    struct buf all = {0};
    conf_print(&table, c, &all);
    struct slice rest = buf_view(&all), line;
    out->failed = out->failed || all.failed;
    while (rest.p && slice_cut(&rest, '\n', &line)) {
        struct slice value = line, key;
        char name[64];
        if (line.n == 0 || !slice_cut(&value, '=', &key))
            continue;
        if (important_only && !name_in(important, slice_copy(key, name, sizeof name)))
            continue;
        buf_slice(out, line);
        buf_u8(out, '\n');
    }
    buf_free(&all);
}

static bool black_listed(const struct broker_config *c, struct slice key)
{
    struct slice rest = slice_str(c->config_black_list), piece;
    while (rest.p && slice_cut(&rest, ';', &piece))
        if (slice_eq(slice_trim(piece), key))
            return true;
    return slice_is(key, "rocketmqHome") || slice_is(key, "configBlackList");
}

enum mq_err broker_config_set_live(struct broker_config *c, struct slice key, struct slice value, struct fault *why)
{
    char level[16];
    if (black_listed(c, key))
        return fault_set(why, MQ_EREFUSED, 0, "Can not update config in black list.");
    if (slice_is(key, "logLevel") && !name_in(level_names, slice_copy(value, level, sizeof level)))
        return fault_set(why, MQ_EINVAL, 0, "logLevel=%s: expected one of debug info warn error off", level);
    return conf_set_live(&table, c, key, value, why);
}
