/* frames.c - requests that Apache's clients sent to Apache's broker, sent to ours: the same code, the same fields.
 *
 * The recordings (tests/fixtures/frames) hold one request of each kind with its answer, in the order in which they were made. A request
 * here finds another broker than it found there: where the code depends on messages and members that are not here, only the fields of
 * equal codes are compared. The topic that a request names is made before it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "tests/unit/processor/kit.h"

TestSuite(frames, .init = kit_start, .fini = kit_end);

static bool ours(int32_t code)
{
    for (size_t i = 0; i < k.n_rows; i++)
        if (k.rows[i].code == code)
            return true;
    return false;
}

static struct slice unhex(const char *hex, size_t n, struct arena *arena)
{
    uint8_t *out = arena_alloc(arena, n / 2 + 1);
    cr_assert(out != NULL);
    for (size_t i = 0; i < n / 2; i++) {
        char pair[3] = {hex[2 * i], hex[2 * i + 1], 0};
        out[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return slice_make(out, n / 2);
}

static struct command decode(const char *line, struct arena *arena)
{
    struct command cmd;
    struct fault why = {0};
    const char *hex = line + 2;
    struct slice frame = unhex(hex, strcspn(hex, " "), arena);
    cr_assert(command_decode(slice_from(frame, 4), arena, &cmd, &why) == MQ_OK, "%s", why.what);
    return cmd;
}

/* The topic of a request must be there, as it was there. */
static void prepare(const struct command *rq)
{
    struct slice topic;
    if (rq->code == REQ_UPDATE_AND_CREATE_TOPIC || rq->code == REQ_DELETE_TOPIC_IN_BROKER || rq->code == REQ_GET_TOPIC_CONFIG)
        return;
    if ((command_ext(rq, "topic", &topic) || command_ext(rq, "b", &topic)) && name_valid(topic, 127) && !topics_find(k.c.topics, topic))
        cr_assert(topics_put(k.c.topics, topic, 8, 8, 6, 0, false, k.now_ms, NULL));
}

static void same_fields(const struct command *want, const struct answer *got, const char *where)
{
    struct slice v;
    for (uint32_t i = 0; i < want->n_ext; i++) {
        char key[64];
        slice_copy(want->ext[i].key, key, sizeof key);
        cr_expect(command_ext(&got->cmd, key, &v), "%s: no field %s", where, key);
    }
    cr_expect_eq(want->body.n > 0, got->cmd.body.n > 0, "%s: body of %zu bytes, there %zu", where, got->cmd.body.n, want->body.n);
}

/* Codes whose answer depends on what is stored and who is there; 351 and 361 are ours, but not Apache 4.9.7's. */
static const int32_t may_differ[] = {REQ_PULL_MESSAGE, REQ_LITE_PULL_MESSAGE, REQ_QUERY_MESSAGE, REQ_VIEW_MESSAGE_BY_ID,
                                     REQ_GET_CONSUMER_LIST_BY_GROUP, REQ_GET_TOPIC_CONFIG};

static void replay(const char *name)
{
    char path[128], *request = NULL, *line = NULL;
    size_t cap = 0, n = 0;
    snprintf(path, sizeof path, "tests/fixtures/frames/%s.txt", name);
    FILE *f = fopen(path, "r");
    cr_assert(f != NULL, "%s is missing (run from the top of the tree)", path);
    while (getline(&line, &cap, f) > 0) {
        if (line[0] == '>') {
            free(request);
            request = strdup(line);
        }
        if (line[0] != '<' || request == NULL)
            continue;
        struct arena arena = {0};
        struct command rq = decode(request, &arena), want = decode(line, &arena);
        bool differs = false;
        for (size_t i = 0; i < sizeof may_differ / sizeof *may_differ; i++)
            differs = differs || may_differ[i] == rq.code;
        if (ours(rq.code) && !(rq.flag & COMMAND_ONEWAY)) {
            char where[200];
            snprintf(where, sizeof where, "%s, request %d (%s)", name, rq.code, request_code_name(rq.code));
            prepare(&rq);
            struct answer *a = kit_send_command(&rq);
            for (int i = 0; i < 3 && !a->came; i++)
                kit_pass(40000); /* a pull that waits */
            cr_assert(a->came, "%s: no answer", where);
            cr_expect_eq(a->cmd.serialize, rq.serialize, "%s", where);
            if (!differs)
                cr_expect_eq(a->code, want.code, "%s: code %d (%s), there %d (%.*s)", where, a->code, a->remark, want.code, SLICE_ARG(want.remark));
            if (a->code == want.code)
                same_fields(&want, a, where);
            n++;
        }
        free(request);
        request = NULL;
        arena_fini(&arena);
    }
    free(request);
    free(line);
    fclose(f);
    cr_expect(n > 5, "%zu requests", n);
}

Test(frames, of_the_java_client_4_9_8) { replay("java-4.9.8"); }
Test(frames, of_the_java_client_5_3_3) { replay("java-5.3.3"); }
Test(frames, of_the_go_client) { replay("go-2.1.2"); }
Test(frames, of_the_node_client) { replay("ali-ons-3.12.0"); }
