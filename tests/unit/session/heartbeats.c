/* heartbeats.c - heartbeats as real clients sent them: recorded frames (tests/fixtures/frames), and forms known from their sources. */
#include <stdlib.h>

#include "common/base/mem.h"
#include "common/protocol/command.h"
#include "help.h"

TestSuite(heartbeats, .init = start, .fini = stop);

static struct buf frame; /* of the last recorded body: it points in here */

static uint8_t hex_of(const char *p)
{
    char pair[3] = {p[0], p[1], '\0'};
    return (uint8_t)strtoul(pair, NULL, 16);
}

/* Sends every recorded heartbeat whose body contains `part`, each from its own connection; how many there were. */
static int replay(const char *name, const char *part)
{
    char path[256], *line = NULL;
    size_t cap = 0;
    int n = 0;
    snprintf(path, sizeof path, "tests/fixtures/frames/%s.txt", name);
    FILE *f = fopen(path, "r");
    struct arena arena = {0};
    cr_assert(f != NULL, "%s is missing (run from the top of the tree)", path);
    while (getline(&line, &cap, f) > 0) {
        if (line[0] != '>')
            continue;
        buf_clear(&frame);
        for (const char *p = line + 2; *p != ' '; p += 2)
            buf_u8(&frame, hex_of(p));
        struct command cmd;
        cr_assert(command_decode(slice_make(frame.p + 4, frame.n - 4), &arena, &cmd, &why) == MQ_OK);
        if (cmd.code == REQ_HEART_BEAT && memmem(cmd.body.p, cmd.body.n, part, strlen(part)) != NULL) {
            n++;
            cr_assert(beat_as((uint64_t)n, cmd.body, 1000, cmd.language, cmd.version) == MQ_OK, "%s: %s", path, why.what);
        }
        arena_reset(&arena);
    }
    free(line);
    fclose(f);
    arena_fini(&arena);
    buf_free(&frame);
    return n;
}

Test(heartbeats, of_a_java_4_9_8_producer)
{
    cr_assert(replay("java-4.9.8", "\"consumerDataSet\":[]") == 2); /* one with a JSON header, one with a binary one */
    struct producer_group *p = sessions_producers(s, SLICE_LIT("CLIENT_INNER_PRODUCER"));
    cr_assert(p != NULL && p->n_clients == 2 && sessions_next_consumers(s, NULL) == NULL);
    struct client *c = sessions_producer_client(s, SLICE_LIT("192.0.2.2@idnvnuwkb7u"));
    cr_assert(c != NULL && c->language == LANGUAGE_JAVA && c->version == 409);
    expect_notes("");
}

Test(heartbeats, of_a_java_4_9_8_pull_consumer)
{
    cr_assert(replay("java-4.9.8", "CONSUME_ACTIVELY") == 1);
    struct consumer_group *g = group_of("G-pullblock-dp3c7jz931");
    cr_assert(g != NULL && g->type == CONSUME_ACTIVELY && g->model == MODEL_CLUSTERING && g->from == FROM_LAST_OFFSET && g->subscriptions.n == 0);
    cr_assert(sessions_consumer_client(s, slice_str(g->name), SLICE_LIT("192.0.2.2@idp3ce3mqrw@STREAM")) != NULL);
    expect_notes("seen G-pullblock-dp3c7jz931 changed G-pullblock-dp3c7jz931:1 ");
}

Test(heartbeats, of_java_5_3_3_with_a_fingerprint)
{
    cr_assert(replay("java-5.3.3", "heartbeatFingerprint") == 2);
    cr_assert(group_of("G-litepullassign-dtebv4zzzj") != NULL);
    cr_assert(sessions_producers(s, SLICE_LIT("CLIENT_INNER_PRODUCER"))->n_clients == 2);
    cr_assert(sessions_producer_client(s, SLICE_LIT("192.0.2.2@idsdh7hfhj4"))->version == 479);
}

Test(heartbeats, of_a_go_producer)
{
    cr_assert(replay("go-2.1.2", "") == 1);
    struct client *c = sessions_producer_client(s, SLICE_LIT("192.0.2.2@go_send_oneway_p3_mwut0rp58z8"));
    cr_assert(c != NULL && c->language == LANGUAGE_GO && c->version == 317);
}

Test(heartbeats, of_a_node_push_consumer_with_tags)
{
    cr_assert(replay("ali-ons-3.12.0", "") == 1);
    struct consumer_group *g = group_of("node_tags_group4_mwut0zu09cl");
    cr_assert(g != NULL && g->type == CONSUME_PASSIVELY && g->from == FROM_FIRST_OFFSET);
    const struct subscription *sub = subscription_in(g->name, "node_tags_topic1_mwut0zu09cl");
    cr_assert(sub != NULL && sub->is_tag && !sub->class_filter && sub->version == 1795531385631);
    cr_assert_str_eq(sub->sub_string, "TagA || TagC");
    cr_assert(subscription_matches(sub, 2598919) && subscription_matches(sub, 2598921) && !subscription_matches(sub, 2598920) && !subscription_matches(sub, 0));
}

/* librocketmq (Q2): ordinals, and sets that are empty are left out. */
Test(heartbeats, with_ordinals_for_the_ways_of_consuming)
{
    cr_assert(beat_as(1, SLICE_LIT("{\"clientID\":\"10.0.0.9@4711#DEFAULT\",\"consumerDataSet\":[{\"consumeFromWhere\":4,\"consumeType\":1,"
                                   "\"groupName\":\"cpp\",\"messageModel\":1,\"subscriptionDataSet\":[{\"codeSet\":[\"2598919\"],\"subString\":\"TagA\","
                                   "\"subVersion\":\"1795531385631\",\"tagsSet\":[\"TagA\"],\"topic\":\"t\"}]}]}\n"),
                      1, LANGUAGE_CPP, 333) == MQ_OK,
              "%s", why.what);
    struct consumer_group *g = group_of("cpp");
    cr_assert(g->type == CONSUME_PASSIVELY && g->model == MODEL_CLUSTERING && g->from == FROM_FIRST_OFFSET);
    const struct subscription *sub = subscription_in("cpp", "t");
    cr_assert(sub->version == 1795531385631 && sub->n_codes == 1 && sub->codes[0] == 2598919 && sub->is_tag);
    cr_assert(beat(2, "{\"clientID\":\"x\",\"consumerDataSet\":[{\"consumeFromWhere\":0,\"consumeType\":0,\"groupName\":\"cpp2\","
                      "\"messageModel\":0}]}",
                   1) == MQ_OK);
    g = group_of("cpp2");
    cr_assert(g->type == CONSUME_ACTIVELY && g->model == MODEL_BROADCASTING && g->from == FROM_LAST_OFFSET);
}

/* Go makes messageModel upper case out of its own "Clustering": both are read. */
Test(heartbeats, with_names_in_any_case)
{
    cr_assert(beat_as(1, SLICE_LIT("{\"clientID\":\"x\",\"producerDataSet\":[],\"consumerDataSet\":[{\"groupName\":\"g\",\"consumeType\":\"CONSUME_PASSIVELY\","
                                   "\"messageModel\":\"BroadCasting\",\"consumeFromWhere\":\"CONSUME_FROM_FIRST_OFFSET\",\"subscriptionDataSet\":[],"
                                   "\"unitMode\":false}]}"),
                      1, LANGUAGE_GO, 317) == MQ_OK);
    cr_assert(group_of("g")->model == MODEL_BROADCASTING);
}

Test(heartbeats, with_null_where_others_say_nothing)
{
    cr_assert(beat(1, "{\"clientID\":\"x\",\"producerDataSet\":null,\"consumerDataSet\":[{\"groupName\":\"g\",\"consumeType\":null,"
                      "\"subscriptionDataSet\":null}]}",
                   1) == MQ_OK);
    cr_assert(group_of("g")->type == CONSUME_PASSIVELY);
}
