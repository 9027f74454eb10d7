/* sql_lines.h - lines of tests/compat/sql/Verdicts.java: VERDICT tab EXPRESSION tab PROPERTIES, with %XX for bytes that are no visible ASCII. */
#ifndef TESTS_LIB_SQL_LINES_H
#define TESTS_LIB_SQL_LINES_H
#include <stdlib.h>
#include <string.h>
#include "common/filter/sql.h"

struct sql_line {
    char verdict; /* T, F, N (null), E (exception), R (refused) */
    struct slice expression, properties;
};
static inline struct slice sql_line_text(char *s) /* in place */
{
    char *to = s;
    for (const char *at = s; *at; at++) {
        char hex[3] = {*at == '%' ? at[1] : 0, *at == '%' && at[1] ? at[2] : 0, 0};
        *to++ = hex[1] ? (char)strtol(hex, NULL, 16) : *at;
        at += hex[1] ? 2 : 0;
    }
    return slice_make(s, (size_t)(to - s));
}
/* Takes the line apart, in place; false: it is none. */
static inline bool sql_line_read(char *line, struct sql_line *out)
{
    line[strcspn(line, "\n")] = 0;
    char *expression = strchr(line, '\t'), *properties = expression ? strchr(expression + 1, '\t') : NULL;
    if (properties == NULL || expression != line + 1)
        return false;
    *properties = 0;
    out->verdict = line[0];
    out->expression = sql_line_text(expression + 1);
    out->properties = sql_line_text(properties + 1);
    return true;
}
static inline char sql_line_judged(const struct sql_line *l)
{
    struct sql *s;
    struct fault why = {0};
    if (sql_compile(l->expression, &s, &why) != MQ_OK)
        return why.what[0] ? 'R' : '?'; /* refused without words is no refusal of ours */
    char v = "FTNE"[sql_evaluate(s, l->properties)];
    sql_unref(s);
    return v;
}
#endif
