/* apache.h - bytes recorded from Apache's servers 4.9.7: what its brokers send, what its name server answers.
 * In the answers, broker ids are quoted everywhere and topicSynFlag is added: see namesrv/route/json.c. */
#ifndef TESTS_UNIT_NAMESRV_APACHE_H
#define TESTS_UNIT_NAMESRV_APACHE_H

/* a master's registration, compressed=false */
#define APACHE_PLAIN_CRC 1750106708
#define APACHE_PLAIN \
    "{\"filterServerList\":[],\"topicConfigSerializeWrapper\":{\"dataVersion\":{\"counter\":0,\"timestamp\":1795531" \
    "001131},\"topicConfigTable\":{\"SCHEDULE_TOPIC_XXXX\":{\"order\":false,\"perm\":6,\"readQueueNums\":18,\"topicF" \
    "ilterType\":\"SINGLE_TAG\",\"topicName\":\"SCHEDULE_TOPIC_XXXX\",\"topicSysFlag\":0,\"writeQueueNums\":18},\"SEL" \
    "F_TEST_TOPIC\":{\"order\":false,\"perm\":6,\"readQueueNums\":1,\"topicFilterType\":\"SINGLE_TAG\",\"topicName\":\"" \
    "SELF_TEST_TOPIC\",\"topicSysFlag\":0,\"writeQueueNums\":1},\"DefaultCluster\":{\"order\":false,\"perm\":7,\"read" \
    "QueueNums\":16,\"topicFilterType\":\"SINGLE_TAG\",\"topicName\":\"DefaultCluster\",\"topicSysFlag\":0,\"writeQue" \
    "ueNums\":16},\"DefaultCluster_REPLY_TOPIC\":{\"order\":false,\"perm\":6,\"readQueueNums\":1,\"topicFilterType\"" \
    ":\"SINGLE_TAG\",\"topicName\":\"DefaultCluster_REPLY_TOPIC\",\"topicSysFlag\":0,\"writeQueueNums\":1},\"broker-" \
    "a\":{\"order\":false,\"perm\":7,\"readQueueNums\":1,\"topicFilterType\":\"SINGLE_TAG\",\"topicName\":\"broker-a\",\"" \
    "topicSysFlag\":0,\"writeQueueNums\":1},\"TBW102\":{\"order\":false,\"perm\":7,\"readQueueNums\":8,\"topicFilterT" \
    "ype\":\"SINGLE_TAG\",\"topicName\":\"TBW102\",\"topicSysFlag\":0,\"writeQueueNums\":8},\"BenchmarkTest\":{\"order\"" \
    ":false,\"perm\":6,\"readQueueNums\":1024,\"topicFilterType\":\"SINGLE_TAG\",\"topicName\":\"BenchmarkTest\",\"top" \
    "icSysFlag\":0,\"writeQueueNums\":1024},\"OFFSET_MOVED_EVENT\":{\"order\":false,\"perm\":6,\"readQueueNums\":1,\"" \
    "topicFilterType\":\"SINGLE_TAG\",\"topicName\":\"OFFSET_MOVED_EVENT\",\"topicSysFlag\":0,\"writeQueueNums\":1}}" \
    "}}"

/* its slave's, compressed=true: the same topics, without their sysFlag */
#define APACHE_COMPRESSED_CRC 1395198765
#define APACHE_COMPRESSED_HEX \
    "78da63606050af564ace2fcd2b492d52b232d0512ac9cc4d2d2e49cc2d50b23234b734353536343030b23430af656060e000" \
    "62b560670f5797501fd7f810ff004fe7f808205030b400213385604f3f77908ca33b50a5b64b6a5a62694e89734e6931d0f4" \
    "f820d7009f48882e0543204453aee2949a979c919b58941d02748082a1819109844053a7ecefe616ec1a12efeb1fe6ea12ef" \
    "1ae6ea1782cd38c9a4a2fcecd422dd44b0a439aaa478885338d06c050b204493520876f5718b0f710d0ec1ed5445549f2918" \
    "9a81109a414cd1b1001e5f5961"
#define APACHE_COMPRESSED_TIMESTAMP 1795531002907

#endif
