/* register_body.c - what a broker tells name servers, against what Apache's broker 4.9.7 told (tests/unit/namesrv/apache.h,
 * recorded) and the forms of docs/protocol.md. */
#include "broker/outward/register_body.h"

#include <zlib.h>

#include "common/base/mem.h"
#include "common/protocol/codes.h"
#include "common/protocol/message.h"
#include "tests/unit/metadata/disk.h"
#include "tests/unit/namesrv/apache.h"

static struct topics *t;
static struct buf body;

static void start_at(int64_t now_ms)
{
    struct config_file *f;
    const struct topics_setup setup = {.cluster_name = "DefaultCluster", .broker_name = "broker-a", .trace_topic = "RMQ_SYS_TRACE_TOPIC", .auto_create = true,
                                       .cluster_topic = true, .broker_topic = true, .default_queues = 8};
    disk_reset();
    cr_assert(config_file_new(&disk_io, &works_exec, "config/topics.json", &f) == MQ_OK);
    cr_assert(topics_open(f, &setup, NULL, now_ms, &t, NULL) == MQ_OK);
}
static void start(void) { start_at(1795531001131); }
static void stop(void)
{
    works_all();
    topics_close(t);
    buf_free(&body);
    disk_reset();
}
TestSuite(broker_register_body, .init = start, .fini = stop);

static struct buf names(const char *const *list)
{
    struct buf b = {0};
    for (; *list; list++)
        buf_put(&b, *list, strlen(*list) + 1);
    return b;
}

/* ---- plain ---- */
Test(broker_register_body, a_plain_body_says_what_apaches_broker_said)
{
    struct fault why;
    register_body(t, NULL, 6, false, &body);
    json_t *ours = json_parse(buf_view(&body), &why), *apache = json_parse(SLICE_LIT(APACHE_PLAIN), &why);
    cr_assert(ours != NULL && apache != NULL);
    json_t *version = json_object_get(json_object_get(ours, "topicConfigSerializeWrapper"), "dataVersion");
    cr_assert(json_is_integer(json_object_get(version, "counter")) && json_is_integer(json_object_get(version, "timestamp")));
    json_object_update(version, json_object_get(json_object_get(apache, "topicConfigSerializeWrapper"), "dataVersion")); /* each start has its own */
    cr_assert(json_equal(ours, apache), "%.*s", SLICE_ARG(buf_view(&body)));
    json_decref(ours);
    json_decref(apache);
}

Test(broker_register_body, its_bytes_are_fastjsons)
{
    const char *const one[] = {"T", NULL};
    char want[500];
    struct buf n = names(one);
    cr_assert(topics_put(t, SLICE_LIT("T"), 4, 5, 6, 1, true, 1795531002000, NULL) != NULL);
    const struct data_version *v = topics_version(t);
    snprintf(want, sizeof want,
             "{\"filterServerList\":[],\"topicConfigSerializeWrapper\":{\"dataVersion\":{\"counter\":%lld,\"timestamp\":1795531002000},"
             "\"topicConfigTable\":{\"T\":{\"order\":true,\"perm\":6,\"readQueueNums\":4,\"topicFilterType\":\"SINGLE_TAG\",\"topicName\":\"T\","
             "\"topicSysFlag\":1,\"writeQueueNums\":5}}}}",
             (long long)v->counter);
    register_body(t, &n, 6, false, &body);
    cr_assert(slice_is(buf_view(&body), want), "%.*s", SLICE_ARG(buf_view(&body)));
    buf_free(&n);
}

Test(broker_register_body, only_named_topics_are_in_it_each_once_and_unknown_ones_are_not)
{
    const char *const some[] = {"TBW102", "TBW102", "gone", "BenchmarkTest", NULL};
    struct buf n = names(some);
    register_body(t, &n, 6, false, &body);
    json_t *o = json_parse(buf_view(&body), NULL);
    json_t *table = json_object_get(json_object_get(o, "topicConfigSerializeWrapper"), "topicConfigTable");
    cr_assert(json_object_size(table) == 2 && json_object_get(table, "TBW102") && json_object_get(table, "BenchmarkTest"));
    json_decref(o);
    n.n = 0; /* an empty list: a version and no topic */
    buf_clear(&body);
    register_body(t, &n, 6, false, &body);
    o = json_parse(buf_view(&body), NULL);
    table = json_object_get(json_object_get(o, "topicConfigSerializeWrapper"), "topicConfigTable");
    cr_assert(json_is_object(table) && json_object_size(table) == 0);
    json_decref(o);
    buf_free(&n);
}

static int64_t perm_in_body(const char *topic, int32_t permission)
{
    const char *const one[] = {topic, NULL};
    struct buf n = names(one);
    buf_clear(&body);
    register_body(t, &n, permission, false, &body);
    json_t *o = json_parse(buf_view(&body), NULL);
    int64_t perm = json_i64(json_object_get(json_object_get(json_object_get(o, "topicConfigSerializeWrapper"), "topicConfigTable"), topic), "perm", -1);
    json_decref(o);
    buf_free(&n);
    return perm;
}

Test(broker_register_body, a_broker_that_may_not_read_or_write_says_so_of_every_topic)
{
    cr_assert(perm_in_body("TBW102", 6) == 7 && perm_in_body("BenchmarkTest", 7) == 6);
    cr_assert(perm_in_body("TBW102", 4) == 4 && perm_in_body("TBW102", 2) == 2 && perm_in_body("TBW102", 0) == 0);
    cr_assert(topics_put(t, SLICE_LIT("readonly"), 4, 4, 4, 0, false, 1, NULL) != NULL);
    cr_assert(perm_in_body("readonly", 6) == 4 && perm_in_body("readonly", 2) == 2); /* 4.x replaces, it does not combine */
}

/* ---- compressed ---- */
static size_t inflated(struct slice packed, uint8_t *out, size_t room)
{
    uLongf n = room;
    cr_assert(uncompress(out, &n, packed.p, packed.n) == Z_OK);
    return n;
}

static uint32_t number_at(const uint8_t *p) { return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]; }

/* "n, DataVersion JSON | count | count x (n, line) | n, filter servers": the lines sorted into text, a newline behind each. */
static void lines_of(const uint8_t *p, size_t n, char *text, char version[200], char filters[50])
{
    size_t at = 0, len = number_at(p);
    char lines[64][100];
    snprintf(version, 200, "%.*s", (int)len, (const char *)p + 4);
    at = 4 + len;
    uint32_t count = number_at(p + at);
    at += 4;
    cr_assert(count < 64);
    for (uint32_t i = 0; i < count; i++) {
        len = number_at(p + at);
        cr_assert(len < 100 && at + 4 + len <= n);
        snprintf(lines[i], sizeof lines[i], "%.*s\n", (int)len, (const char *)p + at + 4);
        at += 4 + len;
    }
    qsort(lines, count, sizeof *lines, (int (*)(const void *, const void *))strcmp);
    text[0] = '\0';
    for (uint32_t i = 0; i < count; i++)
        strcat(text, lines[i]);
    len = number_at(p + at);
    snprintf(filters, 50, "%.*s", (int)len, (const char *)p + at + 4);
    cr_assert(at + 4 + len == n, "%zu bytes are left over", n - at - 4 - len);
}

Test(broker_register_body, a_compressed_body_says_what_apaches_broker_said)
{
    static uint8_t plain[65536], packed[4096];
    char ours[4096], apache[4096], version[200], their_version[200], filters[50], their_filters[50];
    for (size_t i = 0; i < strlen(APACHE_COMPRESSED_HEX) / 2; i++) {
        unsigned v;
        sscanf(APACHE_COMPRESSED_HEX + 2 * i, "%2x", &v);
        packed[i] = (uint8_t)v;
    }
    size_t n = inflated(slice_make(packed, strlen(APACHE_COMPRESSED_HEX) / 2), plain, sizeof plain);
    lines_of(plain, n, apache, their_version, their_filters);
    register_body(t, NULL, 6, true, &body);
    n = inflated(buf_view(&body), plain, sizeof plain);
    lines_of(plain, n, ours, version, filters);
    cr_assert_str_eq(ours, apache);
    cr_assert_str_eq(filters, their_filters);
    cr_assert(strncmp(version, "{\"counter\":", 11) == 0 && strncmp(their_version, "{\"counter\":", 11) == 0, "%s", version);
}

/* ---- headers ---- */
static void expect_fields(const struct register_header *h, const char *want)
{
    char got[400] = "";
    size_t n = 0;
    for (uint32_t i = 0; i < h->n; i++)
        n += (size_t)snprintf(got + n, sizeof got - n, "%.*s=%.*s;", SLICE_ARG(h->ext[i].key), SLICE_ARG(h->ext[i].value));
    cr_assert_str_eq(got, want);
}

Test(broker_register_body, headers_have_apaches_fields_and_the_sum_of_the_body)
{
    const struct register_identity who = {"DefaultCluster", "broker-a", "127.0.0.1:21483", "127.0.0.1:21484", 0};
    struct register_header h;
    register_header(&h, &who, false, SLICE_LIT(APACHE_PLAIN));
    cr_assert(h.n <= REGISTER_EXT_MAX && APACHE_PLAIN_CRC == 1750106708);
    expect_fields(&h, "brokerName=broker-a;brokerAddr=127.0.0.1:21483;clusterName=DefaultCluster;brokerId=0;haServerAddr=127.0.0.1:21484;compressed=false;"
                      "bodyCrc32=1750106708;");
    unregister_header(&h, &who);
    expect_fields(&h, "brokerName=broker-a;brokerAddr=127.0.0.1:21483;clusterName=DefaultCluster;brokerId=0;");
}

Test(broker_register_body, without_memory_it_says_so)
{
    for (int compressed = 0; compressed < 2; compressed++) {
        uint64_t n = 1;
        for (; n < 100; n++) {
            struct buf out = {0};
            mem_fail_after(n);
            register_body(t, NULL, 6, compressed, &out);
            mem_fail_after(0);
            bool failed = out.failed;
            buf_free(&out);
            if (!failed)
                break;
        }
        cr_assert(n > 3 && n < 100);
    }
}
