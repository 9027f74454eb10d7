/* scan.c - fuzz target: the name server's walk over JSON. The walk reads whatever comes by a fixed pattern: objects as objects, arrays as
 * arrays, the rest as strings or numbers. Oracle: what it gives out lies within the text; once bad, always bad; an unescaped string is
 * never longer than its text; a value that was spanned is spanned as the same when it stands alone. */
#include "namesrv/route/scan.h"
#include "tests/fuzz/fuzz.h"

static void walk(struct scan *s, struct slice whole, int depth)
{
    struct slice key, value;
    uint8_t room[64];
    size_t n;
    bool first = true;
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\n'))
        s->p++;
    if (s->p == s->end || depth > 16) {
        value = scan_value(s);
    } else if (*s->p == '{') {
        scan_open(s, '{');
        while (scan_key(s, &first, &key)) {
            CHECK(slice_within(key, whole));
            walk(s, whole, depth + 1);
        }
        return;
    } else if (*s->p == '[') {
        scan_open(s, '[');
        while (scan_item(s, &first))
            walk(s, whole, depth + 1);
        return;
    } else if (*s->p == '"') {
        value = scan_str(s);
        if (scan_unescape(value, room, sizeof room, &n))
            CHECK(n <= value.n && n <= sizeof room);
    } else if (depth % 2) {
        (void)scan_i64(s, -1);
        return;
    } else {
        value = scan_value(s);
    }
    CHECK(slice_within(value, whole));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct slice whole = slice_make(data, n);
    struct scan s = scan_over(whole);
    walk(&s, whole, 0);
    CHECK(s.p >= data && s.p <= data + n);
    if (s.bad) {
        bool first = false;
        struct slice key;
        CHECK(!scan_key(&s, &first, &key) && !scan_item(&s, &first) && !scan_end(&s));
    }
    s = scan_over(whole);
    struct slice span = scan_value(&s);
    if (!s.bad) {
        struct scan alone = scan_over(span);
        CHECK(slice_within(span, whole) && slice_eq(scan_value(&alone), span) && scan_end(&alone));
    }
    return 0;
}
