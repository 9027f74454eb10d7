/* command.h - a remoting command: header fields, ext fields, body; from and to the bytes of a frame.
 *
 *   frame:  u32 length of the rest | u8 serialize type, u24 header length | header | body
 * Thread: any; pure. All slices of a decoded command point into the frame or into the arena given to command_decode(). */
#ifndef COMMON_PROTOCOL_COMMAND_H
#define COMMON_PROTOCOL_COMMAND_H
#include <stdbool.h>
#include <stdint.h>
#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/mem.h"
#include "common/base/slice.h"

enum { FRAME_MAX = 16777216, FRAME_MIN = 4, COMMAND_EXT_MAX = 256 }; /* bytes after the length word; ext fields */
enum serialize { SERIALIZE_JSON = 0, SERIALIZE_BINARY = 1 };

struct ext_field {
    struct slice key, value; /* always text, whatever JSON type it came as; null fields are left out */
};
struct command {
    int32_t code, version, opaque, flag; /* flag: COMMAND_RESPONSE, COMMAND_ONEWAY */
    uint8_t language;                    /* LANGUAGE_*; an unknown name becomes LANGUAGE_OTHER */
    enum serialize serialize;            /* how the header was, or shall be, written */
    struct slice remark;                 /* p == NULL: none */
    const struct ext_field *ext;
    uint32_t n_ext;
    struct slice body;                   /* n == 0: none */
};

/* A request from a server to a client: always in JSON, because some clients cannot read the other one (clients in C++, Node and Erlang). Body and
 * flags are the caller's; ext is borrowed. */
struct command command_to_client(int32_t code, const struct ext_field *ext, size_t n_ext);

/* Decodes what follows the length word. MQ_OK, or MQ_EMALFORMED (why says which field) and *out is untouched;
 * MQ_ENOMEM / MQ_ELIMIT from the arena or COMMAND_EXT_MAX. */
enum mq_err command_decode(struct slice frame, struct arena *arena, struct command *out, struct fault *why);

/* Appends a whole frame, length word and body included, in cmd->serialize. Failure shows in out->failed. */
void command_encode(const struct command *cmd, struct buf *out);
/* The same without the body's bytes, for a body of body_n bytes that the caller sends behind it. */
void command_encode_head(const struct command *cmd, size_t body_n, struct buf *out);

bool json_is_plain(struct slice s); /* nothing in it needs an escape in JSON */

/* ---- reading a request's ext fields ----
 * A `fields` reader collects the first fault, so that a decoder reads straight down and asks once:
 *     struct fields f = fields_of(cmd);
 *     h.topic = field_str(&f, "topic"); h.queue_id = field_i32(&f, "queueId"); h.order = field_bool_or(&f, "order", false);
 *     if (f.bad[0]) -> answer SYSTEM_ERROR with f.bad as remark ("field queueId is missing", "field queueId is not a number: x") */
struct fields {
    const struct command *cmd;
    char bad[160]; /* empty: all is well */
};
static inline struct fields fields_of(const struct command *cmd) { return (struct fields){.cmd = cmd}; }
bool command_ext(const struct command *cmd, const char *key, struct slice *value); /* false when absent */
struct slice field_str(struct fields *f, const char *key);                         /* mandatory, not empty */
struct slice field_str_or_none(struct fields *f, const char *key);                 /* p == NULL when absent */
int32_t field_i32(struct fields *f, const char *key);                              /* mandatory */
int64_t field_i64(struct fields *f, const char *key);
int32_t field_i32_or(struct fields *f, const char *key, int32_t absent);           /* optional; malformed is still a fault */
int64_t field_i64_or(struct fields *f, const char *key, int64_t absent);
bool field_bool_or(struct fields *f, const char *key, bool absent);
#endif
