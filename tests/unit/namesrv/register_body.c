/* register_body.c - bodies of registrations, from Apache's brokers and from nobody we trust. */
#include "namesrv/route/register_body.h"

#include <stdio.h>
#include <zlib.h>

#include "common/protocol/message.h"
#include "tests/unit/namesrv/apache.h"
#include "tests/unit/namesrv/help.h"

static struct arena arena;
static void stop(void) { arena_fini(&arena); }
TestSuite(register_body, .fini = stop);

static enum mq_err decode(struct slice s, enum register_form form, struct register_body *out)
{
    struct fault why;
    return register_body_decode(s, form, &arena, out, &why);
}

/* "name read write perm flag;" of each */
static const char *topics_text(const struct register_body *b)
{
    static char text[4096];
    struct register_topics walk;
    struct topic_source src = register_topics_over(&walk, b);
    struct slice name;
    struct topic_queues q;
    size_t n = 0;
    text[0] = 0;
    while (src.next(src.ctx, &name, &q))
        n += (size_t)snprintf(text + n, sizeof text - n, "%.*s %d %d %d %d;", SLICE_ARG(name), q.read, q.write, q.perm, q.sys_flag);
    return text;
}

static struct slice from_hex(const char *hex)
{
    static uint8_t out[4096];
    size_t n = strlen(hex) / 2;
    for (size_t i = 0; i < n; i++) {
        unsigned v;
        sscanf(hex + 2 * i, "%2x", &v);
        out[i] = (uint8_t)v;
    }
    return slice_make(out, n);
}

#define TOPICS_PLAIN \
    "SCHEDULE_TOPIC_XXXX 18 18 6 0;SELF_TEST_TOPIC 1 1 6 0;DefaultCluster 16 16 7 0;DefaultCluster_REPLY_TOPIC 1 1 6 0;" \
    "broker-a 1 1 7 0;TBW102 8 8 7 0;BenchmarkTest 1024 1024 6 0;OFFSET_MOVED_EVENT 1 1 6 0;"
#define TOPICS_COMPRESSED \
    "SCHEDULE_TOPIC_XXXX 18 18 6 0;DefaultCluster_REPLY_TOPIC 1 1 6 0;BenchmarkTest 1024 1024 6 0;OFFSET_MOVED_EVENT 1 1 6 0;" \
    "broker-a 1 1 7 0;TBW102 8 8 7 0;SELF_TEST_TOPIC 1 1 6 0;DefaultCluster 16 16 7 0;"

Test(register_body, a_plain_body_of_an_apache_broker_is_read)
{
    struct register_body b;
    struct slice body = SLICE_LIT(APACHE_PLAIN);
    cr_assert((crc32_of(body) & 0x7fffffff) == APACHE_PLAIN_CRC);
    cr_assert(decode(body, REGISTER_PLAIN, &b) == MQ_OK);
    cr_assert(b.version.timestamp == 1795531001131 && b.version.counter == 0);
    cr_assert(b.filters_given && b.n_filters == 0);
    cr_assert_str_eq(topics_text(&b), TOPICS_PLAIN);
    register_body_end(&b);
}

Test(register_body, a_compressed_body_of_an_apache_broker_is_read)
{
    struct register_body b;
    struct slice body = from_hex(APACHE_COMPRESSED_HEX);
    cr_assert((crc32_of(body) & 0x7fffffff) == APACHE_COMPRESSED_CRC);
    cr_assert(decode(body, REGISTER_COMPRESSED, &b) == MQ_OK);
    cr_assert(b.version.timestamp == APACHE_COMPRESSED_TIMESTAMP && b.version.counter == 0);
    cr_assert(b.filters_given && b.n_filters == 0);
    cr_assert_str_eq(topics_text(&b), TOPICS_COMPRESSED);
    register_body_end(&b);
}

Test(register_body, every_cut_of_a_body_is_refused)
{
    struct register_body b;
    struct slice plain = SLICE_LIT(APACHE_PLAIN);
    for (size_t n = 1; n < plain.n; n++)
        cr_expect(decode(slice_head(plain, n), REGISTER_PLAIN, &b) == MQ_EMALFORMED && b.topics.p == NULL, "cut at %zu", n);
    struct slice packed = from_hex(APACHE_COMPRESSED_HEX);
    for (size_t n = 1; n < packed.n; n++)
        cr_expect(decode(slice_head(packed, n), REGISTER_COMPRESSED, &b) == MQ_EMALFORMED && b.inflated.p == NULL, "cut at %zu", n);
}

static struct slice deflated(const void *p, size_t n)
{
    static uint8_t out[1 << 20];
    uLongf size = sizeof out;
    cr_assert(compress2(out, &size, p, n, 9) == Z_OK);
    return slice_make(out, size);
}

Test(register_body, what_is_wrong_inside_a_compressed_body_is_refused)
{
    struct register_body b;
    struct buf good = {0};
    const char *line = "T 4 4 6 SINGLE_TAG";
    buf_u32(&good, 2), buf_str(&good, "{}");
    buf_u32(&good, 1), buf_u32(&good, (uint32_t)strlen(line)), buf_str(&good, line);
    buf_u32(&good, 2), buf_str(&good, "[]");
    cr_assert(decode(deflated(good.p, good.n), REGISTER_COMPRESSED, &b) == MQ_OK);
    cr_assert_str_eq(topics_text(&b), "T 4 4 6 0;");
    register_body_end(&b);
    for (size_t n = 1; n < good.n; n++)
        cr_expect(decode(deflated(good.p, n), REGISTER_COMPRESSED, &b) == MQ_EMALFORMED, "cut at %zu", n);
    static const struct { size_t at; uint8_t value; } wrong[] = {{0, 0xff}, {3, 99}, {4, 'x'}, {6, 0x7f}, {9, 2}, {10, 0xff}, {15, 'x'}, {14, ' '}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        uint8_t was = good.p[wrong[i].at];
        good.p[wrong[i].at] = wrong[i].value;
        cr_expect(decode(deflated(good.p, good.n), REGISTER_COMPRESSED, &b) != MQ_OK, "byte %zu", wrong[i].at);
        good.p[wrong[i].at] = was;
    }
    buf_str(&good, "what a 5.x broker adds");
    cr_assert(decode(deflated(good.p, good.n), REGISTER_COMPRESSED, &b) == MQ_OK);
    register_body_end(&b);
    buf_free(&good);
}

Test(register_body, a_line_of_a_5x_broker_has_attributes_behind_it)
{
    struct register_body b;
    struct buf text = {0};
    const char *line = "T 4 5 6 SINGLE_TAG {\"a b\":\"c\"}";
    buf_u32(&text, 2), buf_str(&text, "{}");
    buf_u32(&text, 1), buf_u32(&text, (uint32_t)strlen(line)), buf_str(&text, line);
    buf_u32(&text, 4), buf_str(&text, "null");
    cr_assert(decode(deflated(text.p, text.n), REGISTER_COMPRESSED, &b) == MQ_OK);
    cr_assert(!b.filters_given);
    cr_assert_str_eq(topics_text(&b), "T 4 5 6 0;");
    register_body_end(&b);
    buf_free(&text);
}

Test(register_body, a_bomb_is_refused)
{
    struct register_body b;
    uint8_t *zeros = mem_zalloc((size_t)REGISTER_INFLATED_MAX + 100000);
    zeros[3] = 2;
    memcpy(zeros + 4, "{}", 2);
    cr_assert(decode(deflated(zeros, (size_t)REGISTER_INFLATED_MAX + 100000), REGISTER_COMPRESSED, &b) == MQ_ELIMIT);
    mem_free(zeros);
}

Test(register_body, an_empty_body_is_a_registration_without_topics)
{
    struct register_body b;
    cr_assert(decode(slice_make(NULL, 0), REGISTER_PLAIN, &b) == MQ_OK && b.filters_given && b.version.timestamp == 0);
    cr_assert_str_eq(topics_text(&b), "");
    cr_assert(decode(slice_make(NULL, 0), REGISTER_ANCIENT, &b) == MQ_OK && !b.filters_given);
    cr_assert(decode(SLICE_LIT("{}"), REGISTER_PLAIN, &b) == MQ_OK && b.filters_given);
    cr_assert_str_eq(topics_text(&b), "");
}

Test(register_body, what_apaches_json_library_forgives_is_forgiven)
{
    struct register_body b;
    struct slice body = SLICE_LIT(" { topicConfigSerializeWrapper : {\n\t\"topicConfigTable\":{\"K\":{ \"readQueueNums\" : \"3\", unknown:[{},{\"a\":[1,-2.5e3,null]}]},"
                                  "\"a\\u0062\":{\"topicName\":null,\"perm\":7}},\"dataVersion\":{\"timestamp\":5,\"counter\":6,\"stateVersion\":1}},"
                                  "\"filterServerList\":[\"h:1\",null,\"h\\u003a2\"]} ");
    cr_assert(decode(body, REGISTER_PLAIN, &b) == MQ_OK);
    cr_assert_str_eq(topics_text(&b), "K 3 16 6 0;ab 16 16 7 0;");
    cr_assert(b.version.timestamp == 5 && b.version.counter == 6);
    cr_assert(b.n_filters == 2 && slice_is(b.filters[0], "h:1") && slice_is(b.filters[1], "h:2"));
}

/* Each differs from what brokers write in one place: read alike, or refused. */
Test(register_body, unusual_spellings_are_read_as_the_usual_one)
{
#define MEMBER(order, perm, type, name, flag, write, end) \
    "{\"topicConfigSerializeWrapper\":{\"topicConfigTable\":{\"T-1\":{\"order\":" order ",\"perm\":" perm ",\"readQueueNums\":4," \
    "\"topicFilterType\":\"" type "\",\"topicName\":\"" name "\",\"topicSysFlag\":" flag ",\"writeQueueNums\":" write end "}}}"
    static const struct { const char *body, *want; } cases[] = {
        {MEMBER("false", "6", "SINGLE_TAG", "T-1", "1", "5", "}"), "T-1 4 5 6 1;"},
        {MEMBER("true", "6", "SINGLE_TAG", "T-1", "1", "5", "}"), "T-1 4 5 6 1;"},
        {MEMBER("false", "\"6\"", "SINGLE_TAG", "T-1", "1", "5", "}"), "T-1 4 5 6 1;"},
        {MEMBER("false", "6", "MULTI_TAG", "T-1", "1", "5", "}"), "T-1 4 5 6 1;"},
        {MEMBER("false", "6", "SINGLE_TAG", "T-12", "1", "5", "}"), "T-12 4 5 6 1;"},
        {MEMBER("false", "6", "SINGLE_TAG", "T\\u002d1", "1", "5", "}"), "T-1 4 5 6 1;"},
        {MEMBER("false", "6", "SINGLE_TAG", "T-1", "-1", "5", "}"), "T-1 4 5 6 -1;"},
        {MEMBER("false", "6", "SINGLE_TAG", "T-1", "1", "1234567890", "}"), "T-1 4 1234567890 6 1;"},
        {MEMBER("false", "6", "SINGLE_TAG", "T-1", "1", "5", ",\"x\":[]}"), "T-1 4 5 6 1;"},
        {MEMBER("false", "6", "SINGLE_TAG", "T-1", "1", "5", " }"), "T-1 4 5 6 1;"},
        {MEMBER("false", "6", "SINGLE_TAG", "T-1", "1", "9999999999", "}"), NULL},
        {MEMBER("false", "", "SINGLE_TAG", "T-1", "1", "5", "}"), NULL},
        {MEMBER("false", "6", "SINGLE_TAG", "", "1", "5", "}"), NULL},
    };
    struct register_body b;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool good = decode(slice_str(cases[i].body), REGISTER_PLAIN, &b) == MQ_OK;
        cr_expect(good == (cases[i].want != NULL), "case %zu", i);
        cr_expect(!good || strcmp(topics_text(&b), cases[i].want) == 0, "case %zu reads %s", i, topics_text(&b));
    }
}

Test(register_body, the_version_is_read_without_the_topics)
{
    struct data_version v = {0};
    struct slice plain = SLICE_LIT(APACHE_PLAIN), packed = from_hex(APACHE_COMPRESSED_HEX);
    cr_assert(register_body_version(plain, REGISTER_PLAIN, &v) && v.counter == 0 && v.timestamp == 1795531001131);
    cr_assert(register_body_version(packed, REGISTER_COMPRESSED, &v) && v.counter == 0 && v.timestamp == APACHE_COMPRESSED_TIMESTAMP);
    cr_assert(!register_body_version(plain, REGISTER_ANCIENT, &v));
    cr_assert(!register_body_version(plain, REGISTER_COMPRESSED, &v));
    cr_assert(!register_body_version(slice_make(NULL, 0), REGISTER_PLAIN, &v));
    cr_assert(!register_body_version(slice_make(NULL, 0), REGISTER_COMPRESSED, &v));
    cr_assert(!register_body_version(SLICE_LIT("{\"topicConfigSerializeWrapper\":{\"topicConfigTable\":{},\"dataVersion\":{}}}"), REGISTER_PLAIN, &v),
              "not first");
    cr_assert(!register_body_version(SLICE_LIT("{\"topicConfigSerializeWrapper\":{}}"), REGISTER_PLAIN, &v));
    for (size_t n = 0; n < 107; n++) /* its 107th byte ends the version */
        cr_expect(!register_body_version(slice_head(plain, n), REGISTER_PLAIN, &v), "cut at %zu", n);
    for (size_t n = 0; n < 20; n++)
        cr_expect(!register_body_version(slice_head(packed, n), REGISTER_COMPRESSED, &v), "cut at %zu", n);
}

Test(register_body, the_body_of_a_broker_before_3_0_11_is_the_wrapper_alone)
{
    struct register_body b;
    cr_assert(decode(SLICE_LIT("{\"dataVersion\":{\"counter\":2},\"topicConfigTable\":{\"T\":{\"topicName\":\"N\"}}}"), REGISTER_ANCIENT, &b) == MQ_OK);
    cr_assert(!b.filters_given && b.version.counter == 2);
    cr_assert_str_eq(topics_text(&b), "N 16 16 6 0;");
}

Test(register_body, bad_json_is_refused_and_names_the_place)
{
    static const char *const bad[] = {
        "[]", "{", "{\"topicConfigSerializeWrapper\":[]}", "{} x", "{\"filterServerList\":{}}", "{\"filterServerList\":[1]}",
        "{\"topicConfigSerializeWrapper\":{\"topicConfigTable\":{\"\":{}}}}", "{\"topicConfigSerializeWrapper\":{\"topicConfigTable\":{\"T\":{\"perm\":\"x\"}}}}",
        "{\"topicConfigSerializeWrapper\":{\"topicConfigTable\":{\"T\":{\"perm\":4294967296}}}}",
        "{\"topicConfigSerializeWrapper\":{\"topicConfigTable\":{\"T\\ud800\":{}}}}", "{\"x\":[}", "{\"x\":\"", "{\"x\" 1}", "{\"a\":1 \"b\":2}",
        "{\"topicConfigSerializeWrapper\":{\"topicConfigTable\":{\"T\":{}}"};
    struct register_body b;
    struct fault why;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect(register_body_decode(slice_str(bad[i]), REGISTER_PLAIN, &arena, &b, &why) == MQ_EMALFORMED, "accepted %s", bad[i]);
    register_body_decode(SLICE_LIT("{\"x\" 1}"), REGISTER_PLAIN, &arena, &b, &why);
    cr_assert_str_eq(why.what, "registration is malformed at byte 5");

    char deep[600];
    memset(deep, '[', sizeof deep);
    memcpy(deep, "{\"x\":", 5);
    cr_assert(register_body_decode(slice_make(deep, sizeof deep), REGISTER_PLAIN, &arena, &b, &why) == MQ_EMALFORMED);
}

Test(register_body, data_versions_read_and_write_as_apaches)
{
    struct data_version v;
    struct buf b = {0};
    cr_assert(data_version_decode(SLICE_LIT("{\"counter\":3,\"timestamp\":77}"), &v, NULL) == MQ_OK && v.counter == 3 && v.timestamp == 77);
    data_version_encode(&v, &b);
    EXPECT_BUF(b, "{\"counter\":3,\"timestamp\":77}");
    cr_assert(data_version_decode(SLICE_LIT("{x"), &v, NULL) == MQ_EMALFORMED);
    cr_assert(data_version_decode(SLICE_LIT(""), &v, NULL) == MQ_EMALFORMED);
    buf_free(&b);
}
