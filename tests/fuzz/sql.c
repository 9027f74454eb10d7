/* sql.c - fuzz target: an SQL92 expression and the properties it is asked about, apart by the first zero byte.
 * Oracle: what is refused is refused with words; a program gives the same verdict twice, and with TRUE AND or FALSE OR in front. */
#include <string.h>
#include "common/filter/sql.h"
#include "tests/fuzz/fuzz.h"

static bool judged(struct slice expression, struct slice properties, enum sql_verdict *out)
{
    struct sql *s = NULL;
    struct fault why = {0};
    enum mq_err err = sql_compile(expression, &s, &why);
    if (err != MQ_OK) {
        CHECK(s == NULL && why.what[0] != '\0');
        return false;
    }
    *out = sql_evaluate(s, properties);
    CHECK(sql_evaluate(s, properties) == *out);
    sql_unref(s);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const fronts[] = {"TRUE AND ", "FALSE OR "};
    const uint8_t *zero = n ? memchr(data, 0, n) : NULL;
    struct slice expression = slice_make(data, zero ? (size_t)(zero - data) : n), properties = {0};
    enum sql_verdict v, w;
    if (zero)
        properties = slice_from(slice_make(data, n), expression.n + 1);
    if (!judged(expression, properties, &v))
        return 0;
    for (int i = 0; i < 2; i++) {
        struct buf text = {0};
        buf_str(&text, fronts[i]);
        buf_slice(&text, expression);
        if (judged(buf_view(&text), properties, &w)) /* a limit may be reached */
            CHECK(w == v);
        buf_free(&text);
    }
    return 0;
}
