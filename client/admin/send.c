/* send.c - cmq send: one message from the command line, or one per line of standard input.
 *
 * Lines are sent one after the other, so that their order is kept as far as the queues keep it. A line that fails is named and the next
 * one is tried; when no server can be reached at all, the rest is not tried: every line would wait for the whole time-out. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "client/admin/out.h"
#include "client/admin/talk.h"

enum { GIVE_UP = 10 };
static const struct out_column cols[] = {{"msgId", "MESSAGE", 32, false},   {"sendStatus", "STATUS", 7, false}, {"brokerName", "BROKER", 10, false},
                                         {"queueId", "QUEUE", 5, true},     {"queueOffset", "OFFSET", 8, true}, {"offsetMsgId", "OFFSET ID", 0, false}};

struct sender {
    const struct call *c;
    struct cmq_producer *producer;
    struct out out;
    int64_t delay_level;
    enum cmq_transaction_state decision; /* with OPT_TRANSACTION */
    uint64_t sent, failed;
};

static enum cmq_code dress(const struct sender *s, struct cmq_message *m, struct cmq_error *err)
{
    const struct call *c = s->c;
    enum cmq_code code = CMQ_OK;
    const char *pair;
    if (c->opt[OPT_TAG])
        code = cmq_message_set_tag(m, c->opt[OPT_TAG], err);
    if (code == CMQ_OK && c->opt[OPT_KEYS])
        code = cmq_message_set_keys(m, c->opt[OPT_KEYS], err);
    for (int at = 0; code == CMQ_OK && (pair = call_next(c, OPT_PROPERTY, &at)) != NULL;) {
        char name[128];
        size_t n = strcspn(pair, "=");
        snprintf(name, sizeof name, "%.*s", (int)(n < sizeof name ? n : sizeof name - 1), pair);
        code = cmq_message_set_property(m, name, pair[n] ? pair + n + 1 : "", err);
    }
    if (s->delay_level)
        cmq_message_set_delay_level(m, (int)s->delay_level);
    return code;
}

static enum cmq_transaction_state decide(void *arg, const struct cmq_message *m)
{
    (void)m;
    return ((const struct sender *)arg)->decision;
}

/* DONE, or the exit code of what went wrong, which was said. line: 0 when there are none. */
static int send_one(struct sender *s, const char *body, size_t n, uint64_t line)
{
    static const char *const status[] = {"SEND_OK", "FLUSH_DISK_TIMEOUT", "FLUSH_SLAVE_TIMEOUT", "SLAVE_NOT_AVAILABLE"};
    struct cmq_send_result r = {0};
    struct cmq_error err = {0};
    struct cmq_message *m = cmq_message_new(s->c->arg[0], body, n);
    if (m == NULL) {
        complain(s->c, "out of memory");
        return REFUSED;
    }
    enum cmq_code code = dress(s, m, &err);
    if (code == CMQ_OK && s->c->opt[OPT_QUEUE_BY]) {
        char key[256];
        snprintf(key, sizeof key, "%s", s->c->opt[OPT_QUEUE_BY]);
        code = cmq_producer_send_selected(s->producer, m, cmq_select_by_hash, key, &r, &err);
    } else if (code == CMQ_OK && s->c->opt[OPT_TRANSACTION]) {
        code = cmq_producer_send_in_transaction(s->producer, m, decide, s, &r, &err);
    } else if (code == CMQ_OK) {
        code = cmq_producer_send(s->producer, m, &r, &err);
    }
    cmq_message_free(m);
    if (code != CMQ_OK) {
        s->failed++;
        if (line)
            complain(s->c, "line %" PRIu64 " was not sent:", line);
        return complain_error(s->c, &err, s->c->arg[0]);
    }
    s->sent++;
    out_text(&s->out, r.msg_id);
    out_text(&s->out, status[r.status]);
    out_text(&s->out, r.broker_name);
    out_i64(&s->out, r.queue_id);
    out_i64(&s->out, r.queue_offset);
    out_text(&s->out, r.offset_msg_id);
    return DONE;
}

static int send_lines(struct sender *s)
{
    char *text = NULL;
    size_t cap = 0;
    ssize_t n;
    uint64_t line = 0;
    int first = DONE, in_a_row = 0;
    while (!s->out.failed && (n = getline(&text, &cap, stdin)) >= 0) {
        int rc = send_one(s, text, (size_t)n - (n > 0 && text[n - 1] == '\n'), ++line);
        first = first == DONE ? rc : first;
        in_a_row = rc == DONE ? 0 : in_a_row + 1;
        if (rc == UNREACHABLE || in_a_row == GIVE_UP) {
            say("The rest is not tried.");
            break;
        }
    }
    if (ferror(stdin)) {
        complain(s->c, "cannot read standard input: %s", strerror(errno));
        first = REFUSED;
    }
    free(text);
    if (s->failed)
        say("%" PRIu64 " sent, %" PRIu64 " failed.", s->sent, s->failed);
    return first == DONE || s->sent == 0 ? first : PARTIAL;
}

int cmd_send(const struct call *c)
{
    struct sender s = {.c = c};
    struct cmq_config *cfg;
    struct cmq_error err = {0};
    const char *pair;
    if (!call_number(c, OPT_DELAY_LEVEL, 0, 1000, 0, &s.delay_level))
        return USAGE;
    for (int at = 0; (pair = call_next(c, OPT_PROPERTY, &at)) != NULL;)
        if (strchr(pair, '=') == NULL || pair[0] == '=' || strcspn(pair, "=") > 127) {
            complain(c, "--property %s: expected NAME=VALUE", pair);
            return USAGE;
        }
    const char *how = c->opt[OPT_TRANSACTION];
    if (how != NULL && strcmp(how, "commit") != 0 && strcmp(how, "rollback") != 0) {
        complain(c, "--transaction %s: expected commit or rollback", how);
        return USAGE;
    }
    if (how != NULL && (c->opt[OPT_QUEUE_BY] || s.delay_level)) {
        complain(c, "--transaction cannot be combined with --%s", c->opt[OPT_QUEUE_BY] ? "queue-by" : "delay-level");
        return USAGE;
    }
    s.decision = how != NULL && strcmp(how, "rollback") == 0 ? CMQ_TRANSACTION_ROLLBACK : CMQ_TRANSACTION_COMMIT;
    int rc = session_config(c, &cfg);
    if (rc != DONE)
        return rc;
    enum cmq_code code = cmq_config_set(cfg, "producerGroup", "CMQ_SEND", &err);
    if (code == CMQ_OK)
        code = cmq_producer_new(cfg, &s.producer, &err);
    cmq_config_free(cfg);
    if (code != CMQ_OK)
        return complain_error(c, &err, NULL);
    bool lines = strcmp(c->arg[1], "-") == 0;
    out_begin(&s.out, out_format_of(c), lines, cols, sizeof cols / sizeof *cols);
    rc = lines ? send_lines(&s) : send_one(&s, c->arg[1], strlen(c->arg[1]), 0);
    if (s.sent == 0)
        out_drop(&s.out);
    else if (!out_end(&s.out) && rc == DONE)
        rc = REFUSED;
    cmq_producer_stop(s.producer, 1000);
    cmq_producer_free(s.producer);
    return rc;
}
