/* sql.h - SQL92 expressions over a message's properties: compiled once, evaluated for each message.
 * The language, its three-valued logic and its errors are those of Apache's filter module of 4.9.8; CONTAINS, STARTSWITH and ENDSWITH are 5.1.3's.
 * Thread: any for compiling; a program is immutable but for its count of users, which belongs to one thread. */
#ifndef COMMON_FILTER_SQL_H
#define COMMON_FILTER_SQL_H
#include "common/base/err.h"
#include "common/base/slice.h"

enum {
    SQL_TEXT_MAX = 65536,  /* bytes of an expression */
    SQL_DEPTH_MAX = 256,   /* brackets and signs within each other */
    SQL_NAMES_MAX = 256,   /* different properties */
    SQL_STEPS_MAX = 16384, /* instructions of a program */
    SQL_STACK_MAX = 512    /* values at once while it runs */
};

struct sql;
/* MQ_OK: *out is yours, end it with sql_unref(). MQ_EMALFORMED: refused as Apache refuses it, why says where and what was expected;
 * MQ_ELIMIT: one of the bounds above; MQ_ENOMEM. Text behind a complete expression is ignored, as by Apache. */
enum mq_err sql_compile(struct slice text, struct sql **out, struct fault *why);
struct sql *sql_ref(struct sql *s);
void sql_unref(struct sql *s); /* NULL allowed */
size_t sql_bytes(const struct sql *s); /* what it takes */

enum sql_verdict {
    SQL_FALSE, SQL_TRUE,
    SQL_NULL, /* unknown: a property is missing */
    SQL_ERROR /* values that cannot be compared: an exception in Apache's */
};
/* properties: as in a record, name 0x01 value 0x02 ...; of equal names the last counts. A message is wanted when this says SQL_TRUE. */
enum sql_verdict sql_evaluate(const struct sql *s, struct slice properties);
#endif
