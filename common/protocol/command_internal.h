/* command_internal.h - the two forms of a header, shared by command.c and reply.c. */
#ifndef COMMON_PROTOCOL_COMMAND_INTERNAL_H
#define COMMON_PROTOCOL_COMMAND_INTERNAL_H
#include "common/protocol/command.h"

/* *out is untouched unless MQ_OK; out->body is left empty. */
enum mq_err command_json_decode(struct slice header, struct arena *arena, struct command *out, struct fault *why);
/* Writing: open, ext fields (the first opens the object; close it with '}'), close. */
void command_json_open(struct buf *out, int32_t code);
void command_json_ext(struct buf *out, struct slice key, struct slice value, bool first);
void command_json_close(struct buf *out, const struct command *c);
void json_text(struct buf *out, struct slice s); /* with quotes */
/* Room for the length words at the frame's start; fills them when the header is written. Returns the place for frame_close(). */
size_t frame_open(struct buf *out);
void frame_close(struct buf *out, size_t at, enum serialize s, size_t body_n);
#endif
