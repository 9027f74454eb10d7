/* sql.c - fuzz target: an SQL92 expression and the properties it is asked about, apart by the first zero byte.
 * Oracle: what is refused is refused with words; a program gives the same verdict twice, and its negation and its copy in brackets agree with it. */
#include <string.h>
#include "common/filter/sql.h"
#include "tests/fuzz/fuzz.h"

static bool judged(struct slice expression, struct slice properties, enum sql_verdict *out)
{
    struct sql *s = NULL;
    struct fault why = {0};
    if (sql_compile(expression, &s, &why) != MQ_OK) {
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
    const uint8_t *zero = n ? memchr(data, 0, n) : NULL;
    struct slice expression = slice_make(data, zero ? (size_t)(zero - data) : n), properties = zero ? slice_from(slice_make(data, n), expression.n + 1) : slice_make(NULL, 0);
    enum sql_verdict v, w;
    if (!judged(expression, properties, &v))
        return 0;
    struct buf text = {0};
    buf_str(&text, "NOT (");
    buf_slice(&text, expression);
    buf_str(&text, ")");
    if (judged(buf_view(&text), properties, &w) && memmem(data, expression.n, "--", 2) == NULL) /* text behind the end would hide the bracket */
        CHECK(v == SQL_NULL || v == SQL_ERROR ? w == v : w == (v == SQL_TRUE ? SQL_FALSE : SQL_TRUE));
    buf_free(&text);
    return 0;
}
