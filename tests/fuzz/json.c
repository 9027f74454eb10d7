/* json.c - fuzz target: the forgiving JSON reader. Oracle: what jansson takes is taken, too, and is the same; what was read and dumped is
 * read as the same; the name server's scanner takes what jansson takes (within its depth), and stays within the text. */
#include "common/protocol/json.h"
#include "namesrv/route/scan.h"
#include "tests/fuzz/fuzz.h"

static bool deeper(const json_t *v, int depth)
{
    const char *key;
    size_t i;
    const json_t *inner;
    if ((json_is_object(v) || json_is_array(v)) && depth == 0)
        return true;
    json_object_foreach((json_t *)(uintptr_t)v, key, *(json_t **)&inner)
        if (deeper(inner, depth - 1))
            return true;
    json_array_foreach(v, i, inner)
        if (deeper(inner, depth - 1))
            return true;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct slice text = slice_make(data, n);
    struct fault why = {0};
    json_error_t e;
    json_t *strict = json_loadb((const char *)data, n, JSON_ALLOW_NUL, &e), *ours = json_parse(text, &why);
    CHECK(ours || why.what[0] != '\0');
    if (strict && !memchr(data, '\0', n) && !deeper(strict, SCAN_DEPTH_MAX)) { /* jansson passes over bytes of zero */
        struct scan s = scan_over(text);
        struct slice span = scan_value(&s);
        CHECK(scan_end(&s) && slice_within(span, text));
        CHECK(ours && json_equal(strict, ours));
    }
    if (ours) {
        char *dump = json_dumps(ours, JSON_COMPACT);
        json_t *again = dump ? json_parse(slice_str(dump), &why) : NULL;
        CHECK(dump == NULL || (again && json_equal(ours, again)));
        json_decref(again);
        free(dump);
        (void)json_str(ours, "a"), (void)json_i64(ours, "b", 1), (void)json_flag(ours, "c", false);
    }
    struct buf quoted = {0};
    json_quote(&quoted, text); /* whatever bytes: the result is JSON */
    json_t *string = json_loadb((const char *)quoted.p, quoted.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, &e);
    CHECK(json_is_string(string));
    struct buf twice = {0};
    json_quote(&twice, slice_make(json_string_value(string), json_string_length(string)));
    CHECK(slice_eq(buf_view(&quoted), buf_view(&twice)));
    json_decref(string);
    buf_free(&quoted);
    buf_free(&twice);
    json_decref(strict);
    json_decref(ours);
    return 0;
}
