/* names.c - asking the name servers: all hold the same, so any that answers will do.
 *
 * The one that answered last is asked first; one that does not answer hands the question on to the next. A name server that hangs may
 * use up only its share of the time, so that the others get their turn. */
#include <stdio.h>
#include <string.h>

#include "client/core/client_internal.h"
#include "client/core/error.h"
#include "common/base/clock.h"
#include "common/base/log.h"

struct ask {
    struct list node; /* in client.asks */
    struct client *client;
    struct command cmd;
    struct arena arena;
    size_t tried, at;
    int64_t due_ms; /* monotonic */
    client_answer_fn *fn;
    void *arg;
    struct cmq_error last;
};

static void ask_end(struct ask *a, const struct command *answer, const struct cmq_error *err)
{
    list_remove(&a->node);
    a->fn(a->arg, answer, err);
    arena_fini(&a->arena);
    mem_free(a);
}

static void try_next(struct ask *a);

static void on_answer(void *arg, enum mq_err failed, const struct command *answer, const struct fault *why)
{
    struct ask *a = arg;
    if (failed == MQ_OK) {
        a->client->name_at = a->at;
        ask_end(a, answer, NULL);
        return;
    }
    error_of_call(&a->last, failed, why, "ask a name server");
    log_info("client", "name server does not answer addr=%s reason=%s", a->client->names[a->at], mq_err_words(failed));
    a->at = (a->at + 1) % a->client->n_names;
    try_next(a);
}

static void try_next(struct ask *a)
{
    struct client *c = a->client;
    while (a->tried < c->n_names && !c->ended) {
        int64_t left = a->due_ms - clock_mono_ms(), share = left / (int64_t)(c->n_names - a->tried);
        if (left <= 0)
            break;
        a->tried++;
        enum mq_err failed = caller_call(c->caller, c->names[a->at], &a->cmd, share > 0 ? share : 1, on_answer, a);
        if (failed == MQ_OK)
            return;
        error_of_call(&a->last, failed, NULL, "ask a name server");
        a->at = (a->at + 1) % c->n_names;
    }
    struct cmq_error err;
    error_set(&err, CMQ_ERR_UNREACHABLE, "no name server answers (%s): %.150s", c->cfg.namesrv_addr, a->last.words);
    err.sys = a->last.sys;
    ask_end(a, NULL, &err);
}

void client_ask_names(struct client *c, const struct command *cmd, int64_t timeout_ms, client_answer_fn *fn, void *arg)
{
    struct ask *a = mem_zalloc(sizeof *a);
    struct buf frame = {0};
    void *copy = NULL;
    if (a != NULL) {
        command_encode(cmd, &frame);
        copy = frame.failed ? NULL : arena_dup(&a->arena, frame.p, frame.n);
    }
    size_t n = frame.n;
    buf_free(&frame);
    if (copy == NULL || command_decode(slice_make((uint8_t *)copy + 4, n - 4), &a->arena, &a->cmd, NULL) != MQ_OK) {
        struct cmq_error err;
        if (a != NULL)
            arena_fini(&a->arena);
        mem_free(a);
        error_set(&err, CMQ_ERR_NO_MEMORY, "ask a name server: out of memory");
        fn(arg, NULL, &err);
        return;
    }
    a->client = c;
    a->at = c->name_at;
    a->due_ms = clock_mono_ms() + timeout_ms;
    a->fn = fn;
    a->arg = arg;
    list_push_back(&c->asks, &a->node);
    try_next(a);
}
