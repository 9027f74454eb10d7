/* expressions.c - the cache of what pulls bring along. */
#include "broker/filter/expressions.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include "common/base/mem.h"

static struct expressions *e;
static void start(void) { e = expressions_new(); }
static void stop(void) { expressions_free(e); }
TestSuite(expressions, .init = start, .fini = stop);

static struct sql *get(const char *text)
{
    struct fault why = {0};
    struct sql *s = expressions_get(e, slice_str(text), &why);
    cr_assert(s != NULL, "%s: %s", text, why.what);
    return s;
}

static struct sql *get_number(int i)
{
    char text[40];
    snprintf(text, sizeof text, "a = %d", i);
    return get(text);
}

Test(expressions, the_same_text_is_compiled_once)
{
    struct sql *s = get("a > 5");
    cr_expect(get("a > 6") != s && get("a > 5") == s);
    cr_expect_eq(expressions_count(e), 2);
}

Test(expressions, the_longest_unused_goes_and_who_holds_it_keeps_it)
{
    struct sql *kept = sql_ref(get_number(0)), *used = get_number(1);
    for (int i = 2; i < EXPRESSIONS_MAX; i++)
        get_number(i);
    cr_expect(get_number(1) == used);
    get_number(EXPRESSIONS_MAX);
    cr_expect_eq(expressions_count(e), EXPRESSIONS_MAX);
    cr_expect(get_number(1) == used, "it was used again, the first one was not");
    cr_expect_eq(sql_evaluate(kept, SLICE_LIT("a\1" "0\2")), SQL_TRUE);
    sql_unref(kept);
}

Test(expressions, large_ones_are_bounded_by_their_bytes)
{
    static char text[SQL_TEXT_MAX + 1];
    for (int i = 0; i < 200; i++) {
        sprintf(text, "a = '%d%060000d'", i, 0);
        if (i % 20 == 0)
            cr_assert(mem_used() < (uint64_t)EXPRESSIONS_BYTES_MAX + (2 << 20), "%llu bytes", (unsigned long long)mem_used());
        get(text);
    }
    cr_expect(expressions_count(e) > 10 && expressions_count(e) < 200, "%zu", expressions_count(e));
}

Test(expressions, what_does_not_compile_or_fit_is_told)
{
    struct fault why = {0};
    cr_expect(expressions_get(e, SLICE_LIT("a >"), &why) == NULL && why.err == MQ_EMALFORMED && why.what[0]);
    for (uint64_t n = 1; n < 20; n++) {
        mem_fail_after(n);
        struct sql *s = expressions_get(e, SLICE_LIT("a > 5"), &why);
        mem_fail_after(0);
        cr_expect(s != NULL || why.err == MQ_ENOMEM);
        cr_expect_eq(expressions_count(e), s != NULL);
        if (s != NULL)
            return;
    }
    cr_assert(false, "it never fitted");
}
