/* processors.c - what all processors of the name server do alike. */
#include "namesrv/processor/processors.h"

#include <assert.h>

#include "common/protocol/codes.h"

void requests_add(struct request_table *t, struct namesrv *ns, int32_t code, request_fn *fn)
{
    assert(t->n < REQUESTS_MAX);
    t->rows[t->n++] = (struct request_route){.code = code, .fn = fn, .ctx = ns};
}

enum handled refuse_fault(struct reply *out, const struct fault *why)
{
    char text[320];
    return reply_refuse(out, RES_SYSTEM_ERROR, "%s", fault_text(why, text, sizeof text));
}

bool refuse_fields(struct reply *out, const struct fields *f)
{
    if (f->bad[0] == 0)
        return false;
    reply_refuse(out, RES_SYSTEM_ERROR, "%s", f->bad);
    return true;
}

enum handled finish_body(struct reply *out)
{
    if (out->body.failed)
        return reply_refuse(out, RES_SYSTEM_ERROR, "out of memory");
    return HANDLED_NOW;
}
