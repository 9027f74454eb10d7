/* sql_internal.h - tokens, and what a program is made of: for sql_lexer.c, sql_parser.c, sql_eval.c. */
#ifndef COMMON_FILTER_SQL_INTERNAL_H
#define COMMON_FILTER_SQL_INTERNAL_H
#include "common/filter/sql.h"

/* ---- tokens ---- */
enum sql_kind {
    SQL_END, SQL_BAD, /* BAD: no token begins so */
    SQL_NOT, SQL_AND, SQL_OR, SQL_BETWEEN, SQL_IN, SQL_LIT_TRUE, SQL_LIT_FALSE, SQL_LIT_NULL, SQL_IS,
    SQL_DECIMAL, SQL_FLOAT, SQL_STRING, SQL_NAME,
    SQL_EQ, SQL_NE, SQL_GT, SQL_GE, SQL_LT, SQL_LE, SQL_OPEN, SQL_COMMA, SQL_CLOSE, SQL_PLUS, SQL_MINUS
};
struct sql_token {
    enum sql_kind kind;
    struct slice text; /* in the expression; a string with its quotes */
    size_t at;
};
struct sql_lexer {
    struct slice text;
    size_t at;
};
struct sql_token sql_next_token(struct sql_lexer *x);

/* ---- programs: instructions for a stack of values ---- */
enum sql_type { SQL_T_NULL, SQL_T_BOOL, SQL_T_INT, SQL_T_LONG, SQL_T_DOUBLE, SQL_T_STRING };
struct sql_value {
    enum sql_type type;
    union {
        bool b;
        int64_t i; /* INT and LONG: Java's Integer and Long, which read text differently */
        double d;
        struct slice s;
    };
};
enum sql_op { /* a: the argument */
    SQL_OP_PROPERTY,                                                     /* pushes property names[a], or null */
    SQL_OP_CONST,                                                        /* pushes consts[a] */
    SQL_OP_NEGATE, SQL_OP_NOT, SQL_OP_CAST, SQL_OP_IS_NULL,              /* the top becomes what follows from it */
    SQL_OP_EQ, SQL_OP_GT, SQL_OP_GE, SQL_OP_LT, SQL_OP_LE,               /* two become one */
    SQL_OP_AND, SQL_OP_OR,                                               /* the same */
    SQL_OP_SKIP_FALSE, SQL_OP_SKIP_TRUE, SQL_OP_SKIP_NULL,               /* goes a instructions on when the top is so */
    SQL_OP_IN, SQL_OP_NOT_IN,                                            /* the top, in lists[a]? */
    SQL_OP_CONTAINS, SQL_OP_STARTS, SQL_OP_ENDS,                         /* the top and consts[a]; a string or false */
    SQL_OP_NOT_CONTAINS, SQL_OP_NOT_STARTS, SQL_OP_NOT_ENDS
};
struct sql_step {
    uint32_t op, a;
};
struct sql_list { /* consts[from, from + n): strings in order of length and bytes */
    uint32_t from, n;
};
struct sql_name {
    struct slice text;
    int32_t next; /* of the same bucket, or -1 */
};
enum { SQL_BUCKETS = 64 };
/* Most properties of a message are not asked for: this bit of `hints` tells them apart without hashing. */
static inline uint64_t sql_hint(struct slice name) { return (uint64_t)1 << ((name.p[0] + name.n) % 64); }
struct sql { /* one allocation: the arrays and the text of names and strings lie behind it */
    uint32_t users;
    uint32_t n_steps, n_names;
    size_t bytes;
    const struct sql_step *steps;
    const struct sql_value *consts;
    const struct sql_list *lists;
    const struct sql_name *names;
    uint64_t hints;
    int32_t buckets[SQL_BUCKETS]; /* by slice_hash(): the first name, or -1 */
};
int sql_compare_numbers(const struct sql_value *a, const struct sql_value *b); /* as Java's compareTo() after widening */
#endif
