/* heartbeat.c - fuzz target: a heartbeat's body, and the table of clients that takes it.
 * Oracle: a body that decodes is taken, and taken again it changes nothing; each subscription is written and read as the same; when the
 * connection closes, nobody is left. */
#include "broker/session/heartbeat.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "tests/fuzz/fuzz.h"

static int changes;
static void members_changed(void *ctx, struct consumer_group *g) { (void)ctx, (void)g, changes++; }
static void group_seen(void *ctx, struct slice group, bool unit_mode)
{
    (void)ctx, (void)unit_mode;
    CHECK(group.n > 0 && group.n <= SESSION_GROUP_MAX);
}
static void mismatch(void *ctx, struct consumer_group *g, const char *a, const char *b, const char *topic)
{
    (void)ctx, (void)g;
    CHECK(a && b && topic);
}

static void written_and_read(const struct subscription *s)
{
    struct buf text = {0};
    struct jw w = jw_over(&text, false);
    struct subscription again = {0};
    struct fault why = {0};
    subscription_write(&w, s);
    json_t *o = json_parse(buf_view(&text), &why);
    CHECK(o && subscription_read(o, &again, &why) == MQ_OK);
    CHECK(strcmp(s->topic, again.topic) == 0 && strcmp(s->sub_string, again.sub_string) == 0 && s->version == again.version);
    CHECK(s->n_codes == again.n_codes && s->n_tags == again.n_tags && s->is_tag == again.is_tag && s->class_filter == again.class_filter);
    for (uint32_t i = 0; i < s->n_codes; i++)
        CHECK(s->codes[i] == again.codes[i] && subscription_matches(&again, s->codes[i]));
    json_decref(o);
    buf_free(&text);
    subscription_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const struct session_listener listener = {.members_changed = members_changed, .group_seen = group_seen, .subscription_mismatch = mismatch};
    struct slice body = slice_make(data, n);
    struct heartbeat h;
    struct fault why = {0};
    struct sessions *s = NULL;
    const struct command cmd = {.language = 0, .version = 409};
    const struct peer peer = {.conn_id = 5, .addr = "127.0.0.1:5"};
    log_set_level(LOG_OFF);
    enum mq_err err = heartbeat_decode(body, &h, &why);
    CHECK(sessions_new(&listener, &s) == MQ_OK);
    enum mq_err taken = sessions_heartbeat(s, body, &cmd, &peer, 1000, &why);
    CHECK(err == taken && (err == MQ_OK || why.what[0] != '\0'));
    if (err == MQ_OK) {
        for (size_t i = 0; i < h.n_consumers; i++)
            for (size_t k = 0; k < h.consumers[i].n_subscriptions; k++)
                written_and_read(h.consumers[i].subscriptions[k]);
        for (size_t i = 0; i < h.n_consumers; i++)
            CHECK(sessions_consumer_client(s, h.consumers[i].group, h.client_id) != NULL);
        for (size_t i = 0; i < h.n_producers; i++)
            CHECK(sessions_producers(s, h.producers[i]) != NULL);
        heartbeat_fini(&h);
        changes = 0;
        CHECK(sessions_heartbeat(s, body, &cmd, &peer, 2000, &why) == MQ_OK);
        sessions_conn_closed(s, 5);
    }
    CHECK(sessions_next_consumers(s, NULL) == NULL && sessions_next_producers(s, NULL) == NULL);
    sessions_free(s);
    return 0;
}
