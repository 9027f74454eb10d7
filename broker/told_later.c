/* told_later.c - the answer to a change of topics or groups leaves when the change is kept.
 *
 *   changed --SYNC_FLUSH: its line is synced (change_log.h)--. both, in any order
 *      `------name servers know it (a topic that was made)----+--> SUCCESS, or why it is not synced
 * Whoever made a topic asks the name servers next, and must not lose its settings. One sync lets many answers go. Both waits are bounded, as
 * a client's patience is: a slow disk is told in words, a slow name server is not waited for. A failed sync is told in words, too; the
 * change stays in memory and goes to the disk with the table's file.
 * With ASYNC_FLUSH the line was written before the change was made: it survives our end, and nothing is waited for but name servers.
 * A topic that a send makes is answered with the send: with SYNC_FLUSH that waits for a sync which comes after that of the topic's line.
 *   I1  each is answered once: `awaited` counts what is to come, and each part comes once.   (test: integration/durability, slow_disk) */
#include <stdio.h>

#include "broker/broker_internal.h"
#include "broker/metadata/groups.h"
#include "common/base/mem.h"
#include "common/protocol/codes.h"

enum { SYNCED_WITHIN_MS = 3000 }; /* clients give up after 3 to 6 s */

struct told_later {
    struct list node;
    struct broker *broker;
    struct ticket to;
    unsigned awaited;
    struct change_wait synced;
    struct loop_timer deadline; /* of synced */
    char not_synced[360];       /* why; empty: it is, or was not to be */
};

static void one_came(struct told_later *t)
{
    struct broker_context *c = &t->broker->core;
    if (--t->awaited > 0)
        return;
    reply_clear(&c->scratch);
    if (t->not_synced[0])
        reply_refuse(&c->scratch, RES_SYSTEM_ERROR, "%s", t->not_synced);
    c->outbox->finish(c->outbox->ctx, &t->to, &c->scratch);
    list_remove(&t->node);
    mem_free(t);
}

static void on_known(void *arg) { one_came(arg); }

static void on_synced(void *arg, enum mq_err err, const struct fault *why)
{
    struct told_later *t = arg;
    char words[300];
    loop_timer_stop(&t->deadline);
    if (err != MQ_OK)
        snprintf(t->not_synced, sizeof t->not_synced, "changed in memory, but not safe on the disk: %s", fault_text(why, words, sizeof words));
    one_came(t);
}

static void on_late(void *arg)
{
    struct told_later *t = arg;
    change_wait_end(&t->synced);
    snprintf(t->not_synced, sizeof t->not_synced, "changed in memory, but not safe on the disk yet: it took more than %d ms", SYNCED_WITHIN_MS);
    one_came(t);
}

/* False: out of memory. */
static bool wait_for_disk(struct told_later *t, struct change_log *changes)
{
    if (change_log_when_synced(changes, &t->synced, on_synced, t) == MQ_OK)
        return true;
    t->awaited++;
    loop_timer_init(&t->deadline, t->broker->loop, on_late, t);
    if (loop_timer_start(&t->deadline, SYNCED_WITHIN_MS, 0))
        return true;
    change_wait_end(&t->synced);
    return false;
}

enum handled broker_answer_when_kept(void *broker, const struct ticket *to, enum kept_what what, struct reply *out)
{
    struct broker *b = broker;
    struct told_later *t = mem_zalloc(sizeof *t);
    bool waits = t != NULL;
    if (waits) {
        t->broker = b;
        t->to = *to;
        waits = wait_for_disk(t, what == KEPT_GROUP ? groups_changes(b->core.groups) : topics_changes(b->core.topics));
    }
    if (!waits) {
        mem_free(t);
        return reply_refuse(out, RES_SYSTEM_ERROR, "changed; out of memory to wait for the disk");
    }
    t->awaited += what == KEPT_TOPIC_MADE && !registrar_is_current(b->registrar, on_known, t);
    if (t->awaited == 0) {
        mem_free(t);
        return HANDLED_NOW;
    }
    list_push_back(&b->unanswered, &t->node);
    return HANDLED_LATER;
}

void broker_drop_unanswered(struct broker *b)
{
    while (!list_empty(&b->unanswered)) {
        struct told_later *t = CONTAINER_OF(b->unanswered.next, struct told_later, node);
        list_remove(&t->node);
        mem_free(t);
    }
}
