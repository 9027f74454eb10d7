/* verdicts.c - what Apache's evaluator said of 2,000 pairs (4.9.7, seed 42; its filter module is that of 4.9.8), and we must say, too. More of them:
 * tests/compat/run-sql. */
#include <criterion/criterion.h>
#include <stdio.h>
#include "tests/lib/sql_lines.h"

Test(verdicts, are_those_that_apache_gave)
{
    FILE *f = fopen("tests/fixtures/sql/verdicts-4.9.7.txt", "re");
    char *line = NULL;
    size_t cap = 0, n = 0, seen[5] = {0};
    cr_assert(f != NULL);
    while (getline(&line, &cap, f) > 0) {
        struct sql_line l;
        char *whole = strdup(line);
        cr_assert(sql_line_read(line, &l), "%s", whole);
        cr_expect(sql_line_judged(&l) == l.verdict, "we say %c of %s", sql_line_judged(&l), whole);
        seen[strchr("TFNER", l.verdict) - "TFNER"]++;
        n++;
        free(whole);
    }
    cr_assert_eq(n, 2000);
    for (int i = 0; i < 5; i++)
        cr_assert(seen[i] > 50, "%c came %zu times", "TFNER"[i], seen[i]);
    free(line);
    fclose(f);
}

static enum sql_verdict judge(const char *expression, const char *properties)
{
    struct sql *s = NULL;
    struct fault why = {0};
    cr_assert(sql_compile(slice_str(expression), &s, &why) == MQ_OK, "%s: %s", expression, why.what);
    enum sql_verdict v = sql_evaluate(s, slice_str(properties));
    sql_unref(s);
    return v;
}

/* From the source of 5.1.3's expressions; 4.9.8 does not know these words. */
Test(verdicts, contains_and_its_kind_are_those_of_5_1_3)
{
    static const struct {
        const char *expression;
        enum sql_verdict verdict;
    } rows[] = {
        {"a CONTAINS 'ell'", SQL_TRUE}, {"a contains 'hello'", SQL_TRUE}, {"a CONTAINS 'x'", SQL_FALSE}, {"a NOT CONTAINS 'x'", SQL_TRUE},
        {"a NOT CONTAINS 'ell'", SQL_FALSE}, {"a STARTSWITH 'he'", SQL_TRUE}, {"a STARTSWITH 'el'", SQL_FALSE}, {"a NOT STARTSWITH 'el'", SQL_TRUE},
        {"a ENDSWITH 'llo'", SQL_TRUE}, {"a ENDSWITH 'hello!'", SQL_FALSE}, {"a not endswith 'x'", SQL_TRUE},
        {"a CONTAINS ''", SQL_FALSE}, {"a NOT CONTAINS ''", SQL_FALSE}, {"a ENDSWITH '' OR TRUE", SQL_TRUE}, /* an empty search is false */
        {"none CONTAINS 'x'", SQL_FALSE}, {"none NOT CONTAINS 'x'", SQL_FALSE},                             /* a missing property, too: not null */
        {"5 CONTAINS '5'", SQL_FALSE}, {"'5' CONTAINS '5'", SQL_TRUE}, {"(a = 'hello') CONTAINS 't'", SQL_FALSE}, {"NOT a CONTAINS 'x'", SQL_FALSE},
        {"a CONTAINS 'ell' AND b CONTAINS 'w'", SQL_TRUE}, {"(a > 5) CONTAINS ''", SQL_FALSE},
        /* elsewhere they are names, as in 4.9.8 */
        {"contains = 'c'", SQL_TRUE}, {"contains CONTAINS 'c'", SQL_TRUE}, {"a CONTAINS b", SQL_FALSE}, {"a STARTSWITH", SQL_FALSE}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_expect_eq(judge(rows[i].expression, "a\1hello\2b\1world\2contains\1c\2"), rows[i].verdict, "%s", rows[i].expression);
}

Test(verdicts, of_many_properties_each_is_found_and_the_last_of_equal_names_counts)
{
    char expression[8000] = "", properties[8000] = "";
    for (int i = 0; i < SQL_NAMES_MAX; i++) {
        sprintf(expression + strlen(expression), "%sp%d = '%d'", i ? " AND " : "", i, i);
        sprintf(properties + strlen(properties), "p%d\1x\2q%d\1y\2", i, i);
    }
    for (int i = SQL_NAMES_MAX - 1; i >= 0; i--)
        sprintf(properties + strlen(properties), "p%d\1%d\2", i, i);
    cr_expect_eq(judge(expression, properties), SQL_TRUE);
    *strstr(properties, "p77\1" "77") = 'r';
    cr_expect_eq(judge(expression, properties), SQL_FALSE);
}

Test(verdicts, a_long_chain_needs_no_stack)
{
    static char expression[SQL_TEXT_MAX + 1];
    size_t n = (size_t)sprintf(expression, "a = 1");
    while (n + 10 < 30000) /* 5 steps each */
        n += (size_t)sprintf(expression + n, " AND a = 1");
    cr_expect_eq(judge(expression, "a\1" "1\2"), SQL_TRUE);
    cr_expect_eq(judge(expression, ""), SQL_NULL);
    n = (size_t)sprintf(expression, "a IN (''");
    while (n + 12 < sizeof expression)
        n += (size_t)sprintf(expression + n, ",'v%zu'", n);
    sprintf(expression + n, ")");
    cr_expect_eq(judge(expression, "a\1v4006\2"), strstr(expression, "'v4006'") ? SQL_TRUE : SQL_FALSE);
    cr_expect_eq(judge(expression, "a\1v\2"), SQL_FALSE);
}
