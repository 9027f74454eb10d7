/* expressions.h - programs of expressions that pulls bring along (sysFlag bit 4): the same text comes with each pull, and is compiled once.
 * Thread: core. The least recently used are forgotten. */
#ifndef BROKER_FILTER_EXPRESSIONS_H
#define BROKER_FILTER_EXPRESSIONS_H
#include "common/filter/sql.h"

enum { EXPRESSIONS_MAX = 256, EXPRESSIONS_BYTES_MAX = 8 << 20 };

struct expressions;
struct expressions *expressions_new(void); /* NULL: out of memory */
void expressions_free(struct expressions *e); /* NULL allowed */
/* Borrowed until the next call: sql_ref() what shall live longer. NULL: why says what is wrong with the text, or that memory is. */
struct sql *expressions_get(struct expressions *e, struct slice text, struct fault *why);
size_t expressions_count(const struct expressions *e);
#endif
