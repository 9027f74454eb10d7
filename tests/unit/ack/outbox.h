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

static inline void note_finish(void *ctx, const struct ticket *to, struct reply *r)
{
    (void)ctx;
    cr_assert(n_left < 512);
    struct left *l = &out_of[n_left++];
    *l = (struct left){.opaque = to->opaque, .code = r->code};
    for (uint32_t i = 0, at = 0; i < r->n_ext; i++)
        at += (uint32_t)snprintf(l->ext + at, at < sizeof l->ext ? sizeof l->ext - at : 0, "%s=%.*s;", r->ext[i].key, (int)r->ext[i].n,
                                 (const char *)r->text.p + r->ext[i].at);
    slice_copy(buf_view(&r->remark), l->remark, sizeof l->remark);
}
static const struct outbox notes = {.finish = note_finish};
#endif
