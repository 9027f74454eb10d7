/* error.h - from what went wrong inside to the one error object of the public header.
 * Thread: any; pure. */
#ifndef CLIENT_CORE_ERROR_H
#define CLIENT_CORE_ERROR_H
#include "client/include/cmq.h"
#include "common/base/err.h"
#include "common/protocol/command.h"

/* Fills *err (NULL allowed) and returns code: `return error_set(err, CMQ_ERR_ARGUMENT, "topic %s ...", t);` */
__attribute__((format(printf, 3, 4))) enum cmq_code error_set(struct cmq_error *err, enum cmq_code code, const char *fmt, ...);
enum cmq_code error_ok(struct cmq_error *err); /* clears *err; CMQ_OK */
/* A call that ended without an answer; doing: "send to broker-a". */
enum cmq_code error_of_call(struct cmq_error *err, enum mq_err failed, const struct fault *why, const char *doing);
/* An answer whose code is not success. */
enum cmq_code error_of_answer(struct cmq_error *err, const struct command *answer, const char *doing);
/* A fault of our own parts: configuration, memory. */
enum cmq_code error_of_fault(struct cmq_error *err, const struct fault *why);

/* What a response code means for the caller. */
enum cmq_code code_of_answer(int32_t server_code);
/* Would the same send have a chance on another broker? */
bool send_code_is_retriable(int32_t server_code);
#endif
