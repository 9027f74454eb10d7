/* error.c - one table says what each code of ours means for the caller, another what the servers' codes become.
 *
 * `retriable` speaks of the same call made again, later or elsewhere; the library's own retries use it, too. Sends are retried on the
 * codes on which Apache's 5.x client retries: 1, 2, 14, 16, 17, 204, 205 and 1500. Its 4.x client leaves out 2 (busy) and 1500. */
#include "client/core/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/protocol/codes.h"

static const struct {
    const char *name;
    int retriable;
} codes[] = {
    [CMQ_OK] = {"CMQ_OK", 0},
    [CMQ_ERR_NO_MEMORY] = {"CMQ_ERR_NO_MEMORY", 1},
    [CMQ_ERR_CONFIG] = {"CMQ_ERR_CONFIG", 0},
    [CMQ_ERR_ARGUMENT] = {"CMQ_ERR_ARGUMENT", 0},
    [CMQ_ERR_STATE] = {"CMQ_ERR_STATE", 0},
    [CMQ_ERR_UNREACHABLE] = {"CMQ_ERR_UNREACHABLE", 1},
    [CMQ_ERR_NO_ROUTE] = {"CMQ_ERR_NO_ROUTE", 1},
    [CMQ_ERR_TIMEOUT] = {"CMQ_ERR_TIMEOUT", 1},
    [CMQ_ERR_CLOSED] = {"CMQ_ERR_CLOSED", 1},
    [CMQ_ERR_REFUSED] = {"CMQ_ERR_REFUSED", 0},
    [CMQ_ERR_PROTOCOL] = {"CMQ_ERR_PROTOCOL", 0},
    [CMQ_ERR_FULL] = {"CMQ_ERR_FULL", 1},
    [CMQ_ERR_NOT_FOUND] = {"CMQ_ERR_NOT_FOUND", 0},
    [CMQ_ERR_SYSTEM] = {"CMQ_ERR_SYSTEM", 0},
};
enum { N_CODES = sizeof codes / sizeof *codes };

const char *cmq_code_name(enum cmq_code code) { return (unsigned)code < N_CODES ? codes[code].name : "CMQ_ERR_?"; }

const char *cmq_version(void) { return "0.1.0"; }

enum cmq_code error_ok(struct cmq_error *err)
{
    if (err != NULL)
        *err = (struct cmq_error){.code = CMQ_OK, .server_code = -1};
    return CMQ_OK;
}

enum cmq_code error_set(struct cmq_error *err, enum cmq_code code, const char *fmt, ...)
{
    if (err == NULL)
        return code;
    struct cmq_error made = {.code = code, .server_code = -1, .retriable = codes[code].retriable};
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(made.words, sizeof made.words, fmt, ap);
    va_end(ap);
    made.fatal = code == CMQ_ERR_STATE; /* a stopped object stays stopped */
    *err = made; /* last: the arguments may point into *err */
    return code;
}

static enum cmq_code code_of(enum mq_err err)
{
    switch (err) {
    case MQ_ENOMEM: return CMQ_ERR_NO_MEMORY;
    case MQ_EIO: return CMQ_ERR_SYSTEM;
    case MQ_EMALFORMED:
    case MQ_ECORRUPT: return CMQ_ERR_PROTOCOL;
    case MQ_EINVAL: return CMQ_ERR_CONFIG;
    case MQ_ELIMIT: return CMQ_ERR_FULL;
    case MQ_ENOTFOUND: return CMQ_ERR_NOT_FOUND;
    case MQ_ETIMEOUT: return CMQ_ERR_TIMEOUT;
    case MQ_ECLOSED: return CMQ_ERR_CLOSED;
    default: return CMQ_ERR_SYSTEM;
    }
}

enum cmq_code error_of_fault(struct cmq_error *err, const struct fault *why)
{
    enum cmq_code code = code_of(why->err);
    char text[240];
    error_set(err, code, "%s", fault_text(why, text, sizeof text));
    if (err != NULL)
        err->sys = why->sys;
    return code;
}

enum cmq_code error_of_call(struct cmq_error *err, enum mq_err failed, const struct fault *why, const char *doing)
{
    enum cmq_code code = failed == MQ_EIO || failed == MQ_EINVAL ? CMQ_ERR_UNREACHABLE : code_of(failed);
    error_set(err, code, "%s: %s%s%s", doing, why && why->what[0] ? why->what : "", why && why->what[0] ? ": " : "",
              failed == MQ_EIO ? "it cannot be reached" : mq_err_words(failed));
    if (err != NULL)
        err->sys = why != NULL ? why->sys : 0;
    return code;
}

enum cmq_code code_of_answer(int32_t server_code)
{
    switch (server_code) {
    case RES_SUCCESS: return CMQ_OK;
    case RES_TOPIC_NOT_EXIST:
    case RES_QUERY_NOT_FOUND:
    case RES_NO_MESSAGE: return CMQ_ERR_NOT_FOUND;
    case RES_MESSAGE_ILLEGAL:
    case RES_INVALID_PARAMETER: return CMQ_ERR_ARGUMENT;
    default: return CMQ_ERR_REFUSED;
    }
}

bool send_code_is_retriable(int32_t server_code)
{
    switch (server_code) {
    case RES_SYSTEM_ERROR:
    case RES_SYSTEM_BUSY:
    case RES_SERVICE_NOT_AVAILABLE:
    case RES_NO_PERMISSION:
    case RES_TOPIC_NOT_EXIST:
    case RES_NO_BUYER_ID:
    case RES_NOT_IN_CURRENT_UNIT:
    case RES_GO_AWAY: return true;
    default: return false;
    }
}

enum cmq_code error_of_answer(struct cmq_error *err, const struct command *answer, const char *doing)
{
    enum cmq_code code = code_of_answer(answer->code);
    error_set(err, code, "%s: refused with code %d (%s)", doing, (int)answer->code, response_code_name(answer->code));
    if (err != NULL) {
        err->server_code = answer->code;
        err->retriable = send_code_is_retriable(answer->code);
        slice_copy(answer->remark, err->remark, sizeof err->remark);
    }
    return code;
}
