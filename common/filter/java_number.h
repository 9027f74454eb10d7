/* java_number.h - numbers as Java reads them from text: Integer.valueOf(), Long.valueOf(), Double.valueOf(). Thread: any; pure, no allocation.
 * Text is UTF-8; what is no number gives false and leaves *out alone. */
#ifndef COMMON_FILTER_JAVA_NUMBER_H
#define COMMON_FILTER_JAVA_NUMBER_H
#include "common/base/slice.h"

/* A sign, then at least one decimal digit of any script, nothing else, and a value within [least, most]. */
bool java_number_integer(struct slice text, int64_t least, int64_t most, int64_t *out);
/* Blanks around it, a sign, NaN, Infinity, 1.5e3, 0x1.8p1, with f or d behind it. Beyond the range: infinite or zero, as in Java. */
bool java_number_double(struct slice text, double *out);
#endif
