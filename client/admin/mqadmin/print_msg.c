/* print_msg.c - printMsg, printMsgByQueue, consumeMessage: what lies in a topic's queues. Nobody's offsets are touched. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/admin/mqadmin/peek.h"
#include "client/admin/mqadmin/words.h"
#include "common/base/clock.h"
#include "common/base/mem.h"

enum { BATCH = 32 };

/* The first and the last offset: all there is, or what -s/-b and -e cut out of it by time. */
static bool range_of(struct mqadmin *m, const struct peek_queue *q, const char *begin, const char *end, int64_t *min, int64_t *max)
{
    int64_t ms;
    if (!peek_min(m, q, min) || !peek_max(m, q, max))
        return false;
    if (begin != NULL && (words_read_time(begin, &ms) ? !peek_search(m, q, ms, min) : !fail(m, -1, "%s is no time", begin)))
        return false;
    return end == NULL || (words_read_time(end, &ms) ? peek_search(m, q, ms, max) : fail(m, -1, "%s is no time", end));
}

static void queue_name(const struct peek_queue *q, struct buf *out)
{
    buf_printf(out, "MessageQueue [topic=%s, brokerName=%s, queueId=%d]", q->topic, q->broker, (int)q->id);
}

/* ---- printMsg ---- */

static bool print_found(struct mqadmin *m, const struct peek_queue *q, const struct peek_answer *got, const char *expression, bool body)
{
    struct slice rest = got->answer.cmd.body;
    struct view v;
    while (peek_view(m, q, got, &rest, &v)) {
        if (peek_wants(&v, expression))
            view_line(&v, body);
        view_free(&v);
    }
    return m->why.n == 0;
}

static bool print_one_queue(struct mqadmin *m, const struct peek_queue *q, const char *expression, bool body)
{
    struct buf name = {0};
    int64_t min, max;
    bool more = true;
    if (!range_of(m, q, opt_text(m, 'b'), opt_text(m, 'e'), &min, &max))
        return false;
    queue_name(q, &name);
    print("minOffset=%" PRId64 ", maxOffset=%" PRId64 ", %.*s\n", min, max, SLICE_ARG(buf_view(&name)));
    for (int64_t at = min; more && at < max;) {
        struct peek_answer got;
        if (!peek_next(m, q, expression, at, BATCH, &got)) {
            fail_tell(m); /* the other queues are still to be seen */
            break;
        }
        if (got.status == PEEK_FOUND)
            more = print_found(m, q, &got, expression, body);
        else
            print("%.*s %s. status=%s, offset=%" PRId64 "\n", SLICE_ARG(buf_view(&name)),
                  got.status == PEEK_NO_MATCHED_MSG ? "no matched msg" : "print msg finished", peek_status_name(got.status), got.next);
        more = more && (got.status == PEEK_FOUND || got.status == PEEK_NO_MATCHED_MSG);
        at = got.next;
        peek_done(&got);
    }
    print("--------------------------------------------------------\n");
    buf_free(&name);
    return m->why.n == 0;
}

/* Calls fn for each queue of the topic that may be read. */
static bool each_queue(struct mqadmin *m, const char *topic, const char *group, bool (*fn)(struct mqadmin *m, const struct peek_queue *q, void *arg), void *arg)
{
    struct route *r = lookup_route(m, topic);
    bool good = r != NULL;
    for (size_t i = 0; good && i < r->n_read; i++) {
        struct peek_queue q = {.topic = topic, .broker = r->read[i].broker_name, .group = group, .id = r->read[i].queue_id, .route = r};
        const struct route_broker *b = route_broker(r, q.broker);
        q.addr = b != NULL ? lookup_addr(b) : NULL;
        good = q.addr == NULL || fn(m, &q, arg);
    }
    if (good && r->n_read == 0)
        good = fail(m, -1, "Can not find Message Queue for this topic, %s Namesrv return empty", topic);
    route_unref(r);
    return good;
}

static bool print_next_queue(struct mqadmin *m, const struct peek_queue *q, void *arg)
{
    (void)arg;
    return print_one_queue(m, q, opt_or(m, 's', "*"), opt_bool(m, 'd', true));
}

bool print_topic(struct mqadmin *m) { return each_queue(m, opt_text(m, 't'), PEEK_TOOLS_GROUP, print_next_queue, NULL); }

/* ---- printMsgByQueue ---- */

struct tag_count {
    char tag[256];
    int64_t n;
};
struct tag_counts {
    struct tag_count *at;
    size_t n;
};

static bool count_tag(struct mqadmin *m, struct tag_counts *c, struct slice tag)
{
    if (slice_trim(tag).n == 0)
        return true;
    for (size_t i = 0; i < c->n; i++)
        if (slice_is(tag, c->at[i].tag)) {
            c->at[i].n++;
            return true;
        }
    struct tag_count *more = mem_realloc(c->at, (c->n + 1) * sizeof *more);
    if (more == NULL)
        return fail(m, -1, "out of memory");
    c->at = more;
    slice_copy(tag, c->at[c->n].tag, sizeof c->at->tag);
    c->at[c->n++].n = 1;
    return true;
}

static int by_count(const void *x, const void *y)
{
    const struct tag_count *a = x, *b = y;
    return a->n != b->n ? (a->n < b->n) - (a->n > b->n) : strcmp(a->tag, b->tag);
}

static bool count_and_print(struct mqadmin *m, const struct peek_queue *q, const struct peek_answer *got, const char *expression, struct tag_counts *counts)
{
    struct slice rest = got->answer.cmd.body;
    struct view v;
    bool count = opt_bool(m, 'f', false), lines = opt_bool(m, 'p', false), body = opt_bool(m, 'd', false), good = true;
    while (good && peek_view(m, q, got, &rest, &v)) {
        if (peek_wants(&v, expression)) {
            good = !count || count_tag(m, counts, v.known.tags);
            if (lines)
                view_line(&v, body);
        }
        view_free(&v);
    }
    return m->why.n == 0;
}

bool print_queue(struct mqadmin *m)
{
    struct peek_queue q = {.topic = opt_text(m, 't'), .broker = opt_text(m, 'a'), .group = PEEK_TOOLS_GROUP};
    struct tag_counts counts = {0};
    const char *expression = opt_or(m, 's', "*");
    int64_t min = 0, max = 0;
    if (!opt_i32(m, 'i', 0, &q.id) || !peek_open(m, &q))
        return false;
    bool good = range_of(m, &q, opt_text(m, 'b'), opt_text(m, 'e'), &min, &max), more = good;
    for (int64_t at = min; more && at < max;) {
        struct peek_answer got;
        if (!peek_next(m, &q, expression, at, BATCH, &got)) {
            fail_tell(m); /* what was counted is told nevertheless */
            break;
        }
        more = got.status == PEEK_FOUND && count_and_print(m, &q, &got, expression, &counts);
        at = got.next;
        peek_done(&got);
    }
    good = good && m->why.n == 0;
    if (counts.n > 0)
        qsort(counts.at, counts.n, sizeof *counts.at, by_count);
    for (size_t i = 0; good && i < counts.n; i++)
        print("Tag: %-30s Count: %" PRId64 "\n", counts.at[i].tag, counts.at[i].n);
    mem_free(counts.at);
    peek_close(&q);
    return good;
}

/* ---- consumeMessage ---- */

/* From min to max, both included: max is the queue's end, or the last message that is wanted. */
static bool consume_range(struct mqadmin *m, const struct peek_queue *q, int64_t min, int64_t max)
{
    struct buf name = {0};
    bool more = true;
    queue_name(q, &name);
    for (int64_t at = min; more && at <= max;) {
        struct peek_answer got;
        if (!peek_next(m, q, "*", at, max - at + 1, &got)) {
            fail_tell(m);
            break;
        }
        at = got.next;
        if (got.status == PEEK_FOUND) {
            print("Consume ok\n");
            more = print_found(m, q, &got, "*", true);
        } else {
            more = got.status == PEEK_NO_MATCHED_MSG;
            print("%.*s %s. status=%s, offset=%" PRId64 "\n", SLICE_ARG(buf_view(&name)), more ? "no matched msg" : "print msg finished",
                  peek_status_name(got.status), at);
        }
        peek_done(&got);
    }
    buf_free(&name);
    return m->why.n == 0;
}

/* The oldest of each queue, until so many were seen. */
static bool consume_next_queue(struct mqadmin *m, const struct peek_queue *q, void *arg)
{
    int64_t *left = arg, min, max;
    if (*left == 0)
        return true;
    if (!range_of(m, q, opt_text(m, 's'), opt_text(m, 'e'), &min, &max))
        return false;
    if (max - min > *left) {
        print("The older %" PRId64 " message of the %d queue will be provided\n", *left, (int)q->id);
        max = min + *left - 1;
        *left = 0;
    } else {
        *left -= max - min + 1;
    }
    return consume_range(m, q, min, max);
}

static bool consume_queue(struct mqadmin *m, int64_t count)
{
    struct peek_queue q = {.topic = opt_text(m, 't'), .broker = opt_text(m, 'b'), .group = opt_or(m, 'g', PEEK_TOOLS_GROUP)};
    int64_t offset, min, max;
    if (!opt_i32(m, 'i', 0, &q.id) || !opt_i64(m, 'o', 0, &offset) || !peek_open(m, &q))
        return false;
    bool good = range_of(m, &q, opt_text(m, 's'), opt_text(m, 'e'), &min, &max);
    if (good && offset > max) {
        struct buf name = {0};
        queue_name(&q, &name);
        print("%.*s no matched msg, offset=%" PRId64 "\n", SLICE_ARG(buf_view(&name)), offset);
        buf_free(&name);
    } else if (good) {
        min = min > offset ? min : offset;
        if (max - min > count) {
            print("The oldler %" PRId64 " message will be provided\n", count);
            max = min + count - 1;
        }
        good = consume_range(m, &q, min, max);
    }
    peek_close(&q);
    return good;
}

/* What is wrong with the times, in Apache's words; NULL: nothing. */
static const char *times_wrong(struct mqadmin *m)
{
    int64_t begin = 0, end = 0, now = clock_wall_ms();
    if (opt_is(m, 's') && words_read_time(opt_text(m, 's'), &begin) && begin > now)
        return "Please set the beginTimestamp before now!";
    if (opt_is(m, 'e') && words_read_time(opt_text(m, 'e'), &end) && end > now)
        return "Please set the endTimestamp before now!";
    return opt_is(m, 'e') && begin > end ? "Please make sure that the beginTimestamp is less than or equal to the endTimestamp" : NULL;
}

bool print_consume(struct mqadmin *m)
{
    int64_t count;
    if (!opt_i64(m, 'c', 128, &count))
        return false;
    const char *wrong = count <= 0                           ? "Please input a positive messageNumber!"
                        : opt_is(m, 'i') && !opt_is(m, 'b')  ? "Please set the brokerName before queueId!"
                        : opt_is(m, 'o') && !opt_is(m, 'i')  ? "Please set queueId before offset!"
                                                             : times_wrong(m);
    if (wrong != NULL) {
        print("%s", wrong);
        return true;
    }
    return opt_is(m, 'i') ? consume_queue(m, count) : each_queue(m, opt_text(m, 't'), opt_or(m, 'g', PEEK_TOOLS_GROUP), consume_next_queue, &count);
}
