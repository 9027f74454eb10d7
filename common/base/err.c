/* err.c - words for codes. No invariants: a fault is a plain struct that its caller owns. */
#include "common/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *mq_err_words(enum mq_err err)
{
#define MQ_ERR_WORDS(code, words) words,
    static const char *const all[] = {MQ_ERRORS(MQ_ERR_WORDS)};
#undef MQ_ERR_WORDS
    return (unsigned)err < MQ_ERR_COUNT ? all[err] : "unknown error";
}

enum mq_err fault_set(struct fault *why, enum mq_err err, int sys, const char *fmt, ...)
{
    if (why == NULL)
        return err;
    why->err = err;
    why->sys = sys;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why->what, sizeof why->what, fmt, ap);
    va_end(ap);
    return err;
}

const char *fault_text(const struct fault *why, char *out, unsigned long n)
{
    if (why == NULL)
        snprintf(out, n, "the reason is not known");
    else if (why->sys != 0)
        snprintf(out, n, "%s: %s (%s)", why->what, mq_err_words(why->err), strerror(why->sys));
    else
        snprintf(out, n, "%s: %s", why->what, mq_err_words(why->err));
    return out;
}
