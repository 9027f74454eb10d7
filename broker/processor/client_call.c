/* client_call.c - requests that an administrator makes to a consumer through its broker: 307 its state, 309 consume this message now.
 *
 * The same code goes on to the client over its own connection, and its answer comes back unread. The administrator's ticket waits
 * meanwhile; a client that says nothing for 10 s, or goes, is answered for.
 * (test: compat, admin/consumer and basic/rebalance) */
#include "broker/processor/admin.h"
#include "broker/store/message_store.h"
#include "common/base/mem.h"
#include "common/protocol/codes.h"

enum { CLIENT_ANSWER_MS = 10000, VERSION_3_1_8_SNAPSHOT = 62, ID_TEXT_MAX = 255 };

struct asked {
    struct broker_context *c;
    struct ticket to;
    char group[SESSION_GROUP_MAX + 1], client_id[ID_TEXT_MAX + 1]; /* for words */
};

static void on_answer(void *arg, const struct command *answer)
{
    struct asked *a = arg;
    struct reply *out = &a->c->scratch;
    reply_clear(out);
    if (answer == NULL) {
        reply_refuse(out, RES_CONSUME_MSG_TIMEOUT, "consumer <%s> <%s> Timeout: no answer within %d ms", a->group, a->client_id, CLIENT_ANSWER_MS);
    } else {
        out->code = answer->code;
        buf_slice(&out->remark, answer->remark);
        buf_slice(&out->body, answer->body);
    }
    a->c->outbox->finish(a->c->outbox->ctx, &a->to, out);
    mem_free(a);
}

static enum handled call_consumer(struct broker_context *c, const struct request *rq, struct slice body, struct reply *out)
{
    struct fields f = fields_of(rq->cmd);
    struct slice group = field_str(&f, "consumerGroup"), id = field_str(&f, "clientId");
    if (f.bad[0])
        return admin_bad_field(&f, out);
    struct slice id_words = slice_head(id, ID_TEXT_MAX), group_words = slice_head(group, SESSION_GROUP_MAX);
    const struct client *client = sessions_consumer_client(c->sessions, group, id);
    if (client == NULL)
        return reply_refuse(out, RES_SYSTEM_ERROR, "The Consumer <%.*s> <%.*s> not online", SLICE_ARG(group_words), SLICE_ARG(id_words));
    if (client->version < VERSION_3_1_8_SNAPSHOT)
        return reply_refuse(out, RES_SYSTEM_ERROR, "The Consumer <%.*s> Version <%d> too low to finish, please upgrade it to V3_1_8_SNAPSHOT",
                            SLICE_ARG(id_words), client->version);
    struct asked *a = mem_alloc(sizeof *a);
    if (a == NULL)
        return reply_refuse(out, RES_SYSTEM_ERROR, "out of memory");
    *a = (struct asked){.c = c, .to = rq->ticket};
    slice_copy(group_words, a->group, sizeof a->group);
    slice_copy(id_words, a->client_id, sizeof a->client_id);
    struct command call = command_to_client(rq->cmd->code, rq->cmd->ext, rq->cmd->n_ext);
    call.body = body;
    if (c->outbox->call(c->outbox->ctx, client->conn_id, &call, CLIENT_ANSWER_MS, on_answer, a))
        return HANDLED_LATER;
    mem_free(a);
    return reply_refuse(out, RES_SYSTEM_ERROR, "invoke consumer <%.*s> <%.*s> Exception: its connection is closing", SLICE_ARG(group_words),
                        SLICE_ARG(id_words));
}

static enum handled running_info(void *ctx, const struct request *rq, struct reply *out) { return call_consumer(ctx, rq, (struct slice){0}, out); }

/* The message goes along as the request's body: the client's application gets it as if it had been pulled. */
static enum handled consume_directly(void *ctx, const struct request *rq, struct reply *out)
{
    struct broker_context *c = ctx;
    struct fields f = fields_of(rq->cmd);
    struct slice id = field_str(&f, "msgId");
    struct buf record = {0};
    if (f.bad[0])
        return admin_bad_field(&f, out);
    enum handled handled = admin_record(c, id, &record, out) ? call_consumer(c, rq, buf_view(&record), out) : HANDLED_NOW;
    buf_free(&record);
    return handled;
}

void client_call_routes(struct route_sink *sink, struct broker_context *ctx)
{
    routes_add(sink, REQ_GET_CONSUMER_RUNNING_INFO, running_info, ctx);
    routes_add(sink, REQ_CONSUME_MESSAGE_DIRECTLY, consume_directly, ctx);
}
