/* json.c - fastjson's liberties are read, and its spelling is written. Expected texts are what Apache's servers write. */
#include <criterion/criterion.h>

#include "common/protocol/json.h"

Test(json, keys_may_be_numbers_or_objects)
{
    struct fault why = {0};
    json_t *j = json_parse(SLICE_LIT("{\"offsetTable\":{\"t@g\":{0:12,1:-1}},\"m\":{{\"brokerName\":\"b\",\"queueId\":0,\"topic\":\"t\"}:{\"x\":1}}}"), &why);
    cr_assert(j != NULL, "%s", why.what);
    cr_expect(json_i64(json_object_get(json_object_get(j, "offsetTable"), "t@g"), "1", 0) == -1);
    cr_expect(json_i64(json_object_get(json_object_get(j, "m"), "{\"brokerName\":\"b\",\"queueId\":0,\"topic\":\"t\"}"), "x", 0) == 1);
    json_decref(j);
}

Test(json, what_is_not_json_is_refused_with_words)
{
    const char *bad[] = {"", "{", "{\"a\":}", "{a}", "[1,", "{\"a\":1}}", "{{\"a\":1}", "\"", "{\"a\\", "{,}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct fault why = {0};
        cr_expect(json_parse(slice_str(bad[i]), &why) == NULL, "accepted %s", bad[i]);
        cr_expect(why.err == MQ_EMALFORMED && why.what[0] != 0);
    }
}

Test(json, nesting_has_a_bound)
{
    struct buf b = {0};
    for (int i = 0; i < 100000; i++)
        buf_u8(&b, '[');
    cr_assert(json_parse(buf_view(&b), NULL) == NULL);
    buf_free(&b);
}

Test(json, writes_compact_and_pretty_as_fastjson)
{
    for (int pretty = 0; pretty < 2; pretty++) {
        struct buf b = {0};
        struct jw w = jw_over(&b, pretty);
        jw_object(&w);
        jw_key(&w, "dataVersion");
        jw_object(&w);
        jw_kv_i64(&w, "counter", 1);
        jw_end_object(&w);
        jw_key(&w, "offsetTable");
        jw_object(&w);
        jw_key_raw(&w, SLICE_LIT("0"));
        jw_i64(&w, 5);
        jw_end_object(&w);
        jw_key(&w, "none");
        jw_object(&w);
        jw_end_object(&w);
        jw_end_object(&w);
        const char *want = pretty ? "{\n\t\"dataVersion\":{\n\t\t\"counter\":1\n\t},\n\t\"offsetTable\":{\n\t\t0:5\n\t},\n\t\"none\":{}\n}"
                                  : "{\"dataVersion\":{\"counter\":1},\"offsetTable\":{0:5},\"none\":{}}";
        cr_expect(slice_is(buf_view(&b), want), "%.*s", SLICE_ARG(buf_view(&b)));
        buf_free(&b);
    }
}

Test(json, quotes_controls_and_repairs_bad_utf8)
{
    struct buf b = {0};
    json_quote(&b, slice_make("a\"\\\n\x01\xc3\xbc\xff", 8));
    cr_assert(slice_is(buf_view(&b), "\"a\\\"\\\\\\n\\u0001\xc3\xbc\xef\xbf\xbd\""), "%.*s", SLICE_ARG(buf_view(&b)));
    buf_free(&b);
}
