/* peek.c - see peek.h. */
#include "client/admin/mqadmin/peek.h"

#include <string.h>

#include "common/base/clock.h"

const char *peek_status_name(enum peek_status s)
{
    static const char *const names[] = {"FOUND", "NO_NEW_MSG", "NO_MATCHED_MSG", "OFFSET_ILLEGAL"};
    return names[s];
}

bool peek_open(struct mqadmin *m, struct peek_queue *q)
{
    q->route = lookup_route(m, q->topic);
    if (q->route == NULL)
        return false;
    const struct route_broker *b = route_broker(q->route, q->broker);
    q->addr = b != NULL ? lookup_addr(b) : NULL;
    if (q->addr != NULL)
        return true;
    peek_close(q);
    return fail(m, -1, "The broker[%s] not exist", q->broker);
}

void peek_close(struct peek_queue *q)
{
    route_unref(q->route);
    q->route = NULL;
}

bool peek_next(struct mqadmin *m, const struct peek_queue *q, const char *expression, int64_t offset, int64_t max, struct peek_answer *out)
{
    static const struct {
        int32_t code;
        enum peek_status status;
    } statuses[] = {{RES_SUCCESS, PEEK_FOUND}, {RES_PULL_NOT_FOUND, PEEK_NO_NEW_MSG}, {RES_PULL_RETRY_IMMEDIATELY, PEEK_NO_MATCHED_MSG},
                    {RES_PULL_OFFSET_MOVED, PEEK_OFFSET_ILLEGAL}};
    struct ask a = ask_of(REQ_PULL_MESSAGE);
    ask_str(&a, "consumerGroup", q->group);
    ask_str(&a, "topic", q->topic);
    ask_i64(&a, "queueId", q->id);
    ask_i64(&a, "queueOffset", offset);
    ask_i64(&a, "maxMsgNums", max < INT32_MAX ? max : INT32_MAX);
    ask_i64(&a, "sysFlag", PULL_SUBSCRIPTION);
    ask_i64(&a, "commitOffset", 0);
    ask_i64(&a, "suspendTimeoutMillis", 0);
    ask_str(&a, "subscription", expression);
    ask_i64(&a, "subVersion", clock_wall_ms());
    ask_str(&a, "expressionType", "TAG");
    a.timeout_ms = ASK_MS * 2;
    if (!ask_any(m, q->addr, &a, &out->answer))
        return false;
    struct fields f = fields_of(&out->answer.cmd);
    out->next = field_i64_or(&f, "nextBeginOffset", offset);
    out->min = field_i64_or(&f, "minOffset", 0);
    out->max = field_i64_or(&f, "maxOffset", 0);
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        if (statuses[i].code == out->answer.cmd.code) {
            out->status = statuses[i].status;
            return true;
        }
    fail(m, out->answer.cmd.code, "%.*s", SLICE_ARG(out->answer.cmd.remark));
    answer_free(&out->answer);
    return false;
}

void peek_done(struct peek_answer *a) { answer_free(&a->answer); }

bool peek_view(struct mqadmin *m, const struct peek_queue *q, const struct peek_answer *a, struct slice *rest, struct view *out)
{
    if (!view_next(m, rest, out))
        return false;
    out->broker = q->broker;
    out->min_offset = a->min;
    out->max_offset = a->max;
    return true;
}

bool peek_wants(const struct view *v, const char *expression)
{
    struct slice rest = slice_str(expression), one;
    if (rest.n == 0 || strcmp(expression, "*") == 0)
        return true;
    while (rest.p != NULL && slice_cut(&rest, '|', &one)) /* "a || b": the empty piece between the bars is no tag */
        if (slice_trim(one).n > 0 && slice_eq(slice_trim(one), v->known.tags))
            return true;
    return false;
}

static bool offset_of(struct mqadmin *m, const struct peek_queue *q, int32_t code, int64_t time_ms, int64_t *out)
{
    struct ask a = ask_of(code);
    struct answer answer;
    ask_str(&a, "topic", q->topic);
    ask_i64(&a, "queueId", q->id);
    if (code == REQ_SEARCH_OFFSET_BY_TIMESTAMP)
        ask_i64(&a, "timestamp", time_ms);
    if (!ask_ok(m, q->addr, &a, &answer))
        return false;
    struct fields f = fields_of(&answer.cmd);
    *out = field_i64(&f, "offset");
    answer_free(&answer);
    return f.bad[0] == '\0' || fail(m, -1, "%s", f.bad);
}

bool peek_min(struct mqadmin *m, const struct peek_queue *q, int64_t *out) { return offset_of(m, q, REQ_GET_MIN_OFFSET, 0, out); }
bool peek_max(struct mqadmin *m, const struct peek_queue *q, int64_t *out) { return offset_of(m, q, REQ_GET_MAX_OFFSET, 0, out); }
bool peek_search(struct mqadmin *m, const struct peek_queue *q, int64_t time_ms, int64_t *out)
{
    return offset_of(m, q, REQ_SEARCH_OFFSET_BY_TIMESTAMP, time_ms, out);
}
