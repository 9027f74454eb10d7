/* sqlverdicts.c - do we say of expressions what Apache's evaluator says?
 *
 *   sqlverdicts            reads lines VERDICT tab EXPRESSION tab PROPERTIES, as tests/compat/sql/Verdicts.java prints them; prints each line that
 *                          we judge otherwise, with our verdict before it, and last "N passed, N failed"
 *   sqlverdicts bench      evaluates a > 5 AND b = 'x' over the properties of a usual message on one thread, prints evaluations per second
 * Exit status: 0 when all lines agree, 1 when not, 2 for a line that is none. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "tests/lib/sql_lines.h"

static int judge(void)
{
    char *line = NULL;
    size_t cap = 0, passed = 0, failed = 0;
    while (getline(&line, &cap, stdin) > 0) {
        struct sql_line l;
        char *whole = strdup(line), ours;
        if (!sql_line_read(line, &l)) {
            fprintf(stderr, "sqlverdicts: not VERDICT tab EXPRESSION tab PROPERTIES: %s", whole);
            return 2;
        }
        if ((ours = sql_line_judged(&l)) != l.verdict)
            printf("%c\t%s", ours, whole);
        *(ours == l.verdict ? &passed : &failed) += 1;
        free(whole);
    }
    free(line);
    printf("%zu passed, %zu failed\n", passed, failed);
    return failed != 0 || passed == 0;
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int bench(void)
{
    const struct slice properties = SLICE_LIT("UNIQ_KEY\1" "7F00000100012A139A5524A4F9C40001\2" "WAIT\1true\2TAGS\1order\2KEYS\1order-4711\2a\1" "42\2b\1x\2");
    struct sql *s;
    size_t n = 0, wanted = 0;
    if (sql_compile(SLICE_LIT("a > 5 AND b = 'x'"), &s, NULL) != MQ_OK)
        return 2;
    double from = seconds(), spent = 0;
    do {
        for (int i = 0; i < 100000; i++)
            wanted += sql_evaluate(s, properties) == SQL_TRUE;
        n += 100000;
        spent = seconds() - from;
    } while (spent < 1);
    printf("a > 5 AND b = 'x' over %zu bytes of properties: %.1f million evaluations/s\n", properties.n, (double)n / spent / 1e6);
    sql_unref(s);
    return wanted != n;
}

int main(int argc, char **argv)
{
    if (argc > 2 || (argc == 2 && strcmp(argv[1], "bench") != 0)) {
        fprintf(stderr, "usage: sqlverdicts [bench] < lines\n");
        return 2;
    }
    return argc == 2 ? bench() : judge();
}
