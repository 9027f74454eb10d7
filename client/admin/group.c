/* group.c - cmq group show | members | reset. */
#include "client/admin/out.h"
#include "client/admin/talk.h"

/* ---- show ---- */

struct shown {
    struct out out;
    int64_t behind;
    size_t members;
};

static void count_member(void *arg, const struct cmq_group_member *m)
{
    (void)m;
    ((struct shown *)arg)->members++;
}

static void warn_mismatch(void *arg, const struct cmq_group_mismatch *m)
{
    struct buf raw = {0}, tame = {0}; /* the names come from strangers */
    (void)arg;
    buf_printf(&raw, "The members %s and %s want different things of topic %s (broker %s): some of its messages reach nobody.", m->client_id,
               m->other_client_id, m->topic, m->broker_name);
    out_tame(&tame, buf_view(&raw));
    if (!raw.failed && !tame.failed)
        say("%s%.*s%s", paint(stderr, PAINT_RED), SLICE_ARG(buf_view(&tame)), paint(stderr, PAINT_PLAIN));
    buf_free(&raw);
    buf_free(&tame);
}

static void progress_row(void *arg, const struct cmq_group_progress *p)
{
    struct shown *s = arg;
    out_text(&s->out, p->queue.topic);
    out_text(&s->out, p->queue.broker_name);
    out_i64(&s->out, p->queue.queue_id);
    out_i64(&s->out, p->offset);
    out_i64(&s->out, p->max_offset);
    out_i64(&s->out, p->max_offset - p->offset);
    out_time(&s->out, p->last_ms);
    s->behind += p->max_offset - p->offset;
}

int cmd_group_show(const struct call *c)
{
    static const struct out_column cols[] = {{"topic", "TOPIC", 0, false},         {"brokerName", "BROKER", 0, false}, {"queueId", "QUEUE", 0, true},
                                             {"consumerOffset", "OFFSET", 0, true}, {"brokerOffset", "MAX", 0, true},   {"diff", "BEHIND", 0, true},
                                             {"lastTimestamp", "LAST", 0, false}};
    struct cmq_admin *admin;
    struct cmq_error err = {0};
    struct shown s = {0};
    int rc = session_admin(c, &admin);
    if (rc != DONE)
        return rc;
    const struct cmq_group_view view = {.arg = &s, .member = count_member, .mismatch = warn_mismatch, .progress = progress_row};
    out_begin(&s.out, out_format_of(c), false, cols, sizeof cols / sizeof *cols);
    enum cmq_code code = cmq_admin_group(admin, c->arg[0], &view, &err);
    rc = table_end(c, &s.out, code, &err, NULL);
    if (code == CMQ_OK)
        say("%zu connections of members, %lld messages behind.", s.members, (long long)s.behind);
    cmq_admin_free(admin);
    return rc;
}

/* ---- members ---- */

static void member_row(void *arg, const struct cmq_group_member *m)
{
    struct out *o = arg;
    out_text(o, m->client_id);
    out_text(o, m->addr);
    out_text(o, m->broker_name);
    out_text(o, m->language);
    out_i64(o, m->version);
}

int cmd_group_members(const struct call *c)
{
    static const struct out_column cols[] = {{"clientId", "CLIENT", 0, false}, {"clientAddr", "ADDRESS", 0, false}, {"brokerName", "BROKER", 0, false},
                                             {"language", "LANGUAGE", 0, false}, {"version", "VERSION", 0, true}};
    struct cmq_admin *admin;
    struct cmq_error err = {0};
    struct out o;
    int rc = session_admin(c, &admin);
    if (rc != DONE)
        return rc;
    const struct cmq_group_view view = {.arg = &o, .member = member_row, .mismatch = warn_mismatch};
    out_begin(&o, out_format_of(c), false, cols, sizeof cols / sizeof *cols);
    rc = table_end(c, &o, cmq_admin_group(admin, c->arg[0], &view, &err), &err, NULL);
    cmq_admin_free(admin);
    return rc;
}

/* ---- reset ---- */

static void reset_row(void *arg, const struct cmq_queue *q, int64_t queue_off)
{
    struct out *o = arg;
    out_text(o, q->topic);
    out_text(o, q->broker_name);
    out_i64(o, q->queue_id);
    out_i64(o, queue_off);
}

int cmd_group_reset(const struct call *c)
{
    static const struct out_column cols[] = {{"topic", "TOPIC", 0, false}, {"brokerName", "BROKER", 0, false}, {"queueId", "QUEUE", 0, true},
                                             {"offset", "OFFSET", 0, true}};
    struct cmq_admin *admin;
    struct cmq_error err = {0};
    struct out o;
    int64_t from;
    if (c->opt[OPT_FROM] == NULL) {
        complain(c, "--from is needed: first, last, or a time");
        return USAGE;
    }
    if (!call_from(c, &from))
        return USAGE;
    int rc = session_admin(c, &admin);
    if (rc != DONE)
        return rc;
    out_begin(&o, out_format_of(c), false, cols, sizeof cols / sizeof *cols);
    enum cmq_code code = cmq_admin_reset_group(admin, c->arg[0], c->arg[1], from, c->opt[OPT_DRY_RUN] != NULL, reset_row, &o, &err);
    rc = out_end(&o) ? DONE : REFUSED; /* what happened is shown, also before a failure */
    if (code != CMQ_OK)
        rc = complain_error(c, &err, c->arg[1]);
    else if (c->opt[OPT_DRY_RUN])
        say("Nothing was moved.");
    cmq_admin_free(admin);
    return rc;
}
