/* refusals.c - the words of refused expressions, the bounds, and what is ignored. */
#include <criterion/criterion.h>
#include <stdio.h>
#include "common/base/mem.h"
#include "common/filter/sql.h"

static enum mq_err compile(struct slice text, struct fault *why)
{
    struct sql *s = NULL;
    enum mq_err err = sql_compile(text, &s, why);
    cr_expect((err == MQ_OK) == (s != NULL));
    sql_unref(s);
    return err;
}

Test(refusals, say_where_and_what_was_expected)
{
    static const char *const rows[][2] = {
        {"", "at the end: a value expected"}, {"a >", "at the end: a value expected"}, {"a > 5 AND", "at the end: a value expected"},
        {"a = = 5", "at byte 4: a value expected, not ="}, {"(a = 1", "at the end: ) expected"}, {"a IN (1, 2)", "at byte 6: a string expected, not 1"},
        {"a BETWEEN 5 AND 3", "before byte 17: the lower bound of BETWEEN is above the upper one"}, {"a = #", "at byte 4: no token begins with '#'"},
        {"a = NULL", "NULL cannot be compared"}, {"a > 'x'", "only properties and numbers can be less or greater"},
        {"5", "a condition expected, not a value"}, {"5 IN ('x')", "IN wants a property on its left"}, {"TRUE = 'x'", "TRUE or FALSE cannot be compared"},
        {"a IS 5", "at byte 5: NULL or NOT NULL expected, not 5"}, {"a NOT 5", "at byte 6: BETWEEN or IN expected, not 5"},
        {"a > 0.0", "0.0 is no number above 0"}, {"a > 99999999999999999999", "is beyond 9223372036854775807"}, {"a IN ('x'", "at the end: , or ) expected"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fault why = {0};
        cr_expect_eq(compile(slice_str(rows[i][0]), &why), MQ_EMALFORMED, "%s", rows[i][0]);
        cr_expect(strstr(why.what, rows[i][1]) != NULL, "%s: %s", rows[i][0], why.what);
    }
}

static void expect_limit(const char *text, enum mq_err want, const char *words)
{
    struct fault why = {0};
    cr_expect_eq(compile(slice_str(text), &why), want, "%.40s: %s", text, why.what);
    cr_expect(strstr(why.what, words) != NULL, "%.40s: %s", text, why.what);
}

static char *repeated(const char *before, const char *what, int times, const char *behind)
{
    char *s = malloc(strlen(before) + strlen(what) * (size_t)times + strlen(behind) + 1), *at = s + sprintf(s, "%s", before);
    for (int i = 0; i < times; i++)
        at += sprintf(at, "%s", what);
    sprintf(at, "%s", behind);
    return s;
}

Test(refusals, bombs_are_refused_with_words)
{
    static const struct {
        const char *before, *what;
        int good, bad;
        const char *behind, *words;
    } rows[] = {
        {"", "(", SQL_DEPTH_MAX - 1, SQL_DEPTH_MAX, "a = 1", "nested more than 256 deep"},
        {"", "NOT ", SQL_DEPTH_MAX - 1, SQL_DEPTH_MAX, "a", "nested more than 256 deep"},
        {"a > ", "- ", SQL_DEPTH_MAX - 1, SQL_DEPTH_MAX, "5", "nested more than 256 deep"},
        {"a > ", "+ ", SQL_DEPTH_MAX - 1, SQL_DEPTH_MAX, "5", "nested more than 256 deep"},
        {"a = 1", " = a", 8190, 8192, "", "more than 16384 steps"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *close = repeated("", *rows[i].what == '(' ? ")" : "", rows[i].good, "");
        char *behind = malloc(strlen(rows[i].behind) + strlen(close) + 1);
        sprintf(behind, "%s%s", rows[i].behind, close);
        char *good = repeated(rows[i].before, rows[i].what, rows[i].good, behind), *bad = repeated(rows[i].before, rows[i].what, rows[i].bad, behind);
        struct fault why = {0};
        cr_expect_eq(compile(slice_str(good), &why), MQ_OK, "%s: %s", rows[i].what, why.what);
        expect_limit(bad, MQ_ELIMIT, rows[i].words);
        free(close);
        free(behind);
        free(good);
        free(bad);
    }
    char *wide = repeated("", "TRUE OR TRUE AND a = (", 200, "a"), *close = repeated("", ")", 200, ""), *whole = malloc(strlen(wide) + strlen(close) + 1);
    sprintf(whole, "%s%s", wide, close);
    expect_limit(whole, MQ_ELIMIT, "more than 512 values at once");
    free(wide);
    free(close);
    free(whole);
}

Test(refusals, values_that_betweens_use_twice_do_not_explode)
{
    char *s = repeated("", "-(", 40, "a"), *at;
    s = realloc(s, 8000);
    at = s + strlen(s);
    for (int i = 0; i < 40; i++)
        at += sprintf(at, " BETWEEN 1 AND 2)");
    sprintf(at, " IS NULL");
    expect_limit(s, MQ_ELIMIT, "more than 16384 steps");
    free(s);
}

Test(refusals, too_long_a_text_and_too_many_names)
{
    char *s = repeated("a = '", "x", SQL_TEXT_MAX - 6, "'");
    struct fault why = {0};
    cr_expect_eq(compile(slice_str(s), &why), MQ_OK, "%s", why.what);
    free(s);
    s = repeated("a = '", "x", SQL_TEXT_MAX - 5, "'");
    expect_limit(s, MQ_ELIMIT, "longer than 65536 bytes");
    free(s);
    static char names[8000];
    size_t n = 0;
    for (int i = 0; i <= SQL_NAMES_MAX; i++)
        n += (size_t)sprintf(names + n, "%sp%d = 1", i ? " OR " : "", i);
    expect_limit(names, MQ_ELIMIT, "more than 256 different properties");
}

Test(refusals, the_end_of_memory_is_told_at_each_allocation)
{
    const struct slice text = SLICE_LIT("a BETWEEN 1 AND 2 OR b IN ('x', 'it''s') AND c CONTAINS 'y'");
    enum mq_err err = MQ_ENOMEM;
    uint64_t n = 0;
    while (err != MQ_OK && n < 100) {
        struct fault why = {0};
        mem_fail_after(++n);
        err = compile(text, &why);
        mem_fail_after(0);
        cr_assert(err == MQ_OK || (err == MQ_ENOMEM && why.what[0]), "allocation %lu: %d", (unsigned long)n, err);
    }
    cr_assert(err == MQ_OK && n > 4, "%lu allocations", (unsigned long)n);
}
