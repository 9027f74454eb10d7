/* outbox.h - an outbox that takes notes of what leaves through it. */
#ifndef TESTS_UNIT_ACK_OUTBOX_H
#define TESTS_UNIT_ACK_OUTBOX_H
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "common/protocol/codes.h"
#include "common/protocol/reply.h"

struct left {
    int32_t opaque, code;
    char ext[300], remark[160]; /* ext: "key=value;" in their order */
};
static struct left out_of[512];
static int n_left;

static inline void note_write(void *ctx, const struct ticket *to, frame_fn *fn, const void *arg)
{
    struct buf frame = {0};
    struct arena arena = {0};
    struct command cmd;
    (void)ctx;
    fn(arg, to, &frame);
    cr_assert(n_left < 512 && !frame.failed);
    cr_assert(command_decode(slice_from(buf_view(&frame), 4), &arena, &cmd, NULL) == MQ_OK);
    struct left *l = &out_of[n_left++];
    *l = (struct left){.opaque = cmd.opaque, .code = cmd.code};
    for (uint32_t i = 0, at = 0; i < cmd.n_ext; i++)
        at += (uint32_t)snprintf(l->ext + at, at < sizeof l->ext ? sizeof l->ext - at : 0, "%.*s=%.*s;", SLICE_ARG(cmd.ext[i].key),
                                 SLICE_ARG(cmd.ext[i].value));
    slice_copy(cmd.remark, l->remark, sizeof l->remark);
    arena_fini(&arena);
    buf_free(&frame);
}
static inline void note_reply(const void *reply, const struct ticket *to, struct buf *out) { reply_encode(reply, to, out); }
static inline void note_finish(void *ctx, const struct ticket *to, struct reply *r) { note_write(ctx, to, note_reply, r); }
static const struct outbox notes = {.finish = note_finish, .write = note_write};
#endif
