/* queue_locks.c - one owner a queue, whatever happens: death, silence, restarts, a disk that fails, too many of everything. */
#include "broker/session/queue_locks.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/protocol/codes.h"

static struct queue_locks *l;
static const char *present; /* client ids that are here, each between commas */
static int changes;
static struct {
    int32_t opaque, code;
    char body[64];
} finished[16];
static int n_finished;

static bool here(void *ctx, const struct lock_owner *who)
{
    char id[80];
    (void)ctx;
    snprintf(id, sizeof id, ",%.*s,", SLICE_ARG(who->client_id));
    return strstr(present, id) != NULL;
}
static void changed(void *ctx) { (void)ctx, changes++; }
static void finish(void *ctx, const struct ticket *to, struct reply *r)
{
    (void)ctx;
    cr_assert(n_finished < 16);
    finished[n_finished].opaque = to->opaque;
    finished[n_finished].code = r->code;
    slice_copy(buf_view(&r->body), finished[n_finished++].body, sizeof finished[0].body);
}
static const struct outbox outbox = {.finish = finish};
static const struct queue_locks_setup setup = {.live_ms = LOCK_LIVE_MS, .outbox = &outbox, .here = here, .changed = changed};

static void start(void)
{
    log_set_level(LOG_OFF);
    present = ",a,b,c,";
    changes = n_finished = 0;
    cr_assert(queue_locks_new(&setup, &l) == MQ_OK);
}
static void stop(void) { queue_locks_free(l); }
TestSuite(queue_locks, .init = start, .fini = stop);

static struct lock_owner owner(const char *client) { return (struct lock_owner){SLICE_LIT("g"), slice_str(client)}; }
static bool lock_of(const char *group, const char *client, const char *topic, int queue, int64_t now_ms, uint64_t *change)
{
    const struct lock_owner who = {slice_str(group), slice_str(client)};
    const struct lock_queue q = {slice_str(topic), queue};
    return queue_locks_lock(l, &who, &q, now_ms, true, change);
}
static bool lock(const char *client, int queue, int64_t now_ms)
{
    uint64_t change = 0;
    return lock_of("g", client, "T", queue, now_ms, &change);
}
static void unlock(const char *client, int queue)
{
    const struct lock_owner who = owner(client);
    const struct lock_queue q = {SLICE_LIT("T"), queue};
    queue_locks_unlock(l, &who, &q);
}
static void save(void) /* as a write that went well */
{
    struct buf text = {0};
    queue_locks_encode(l, &text);
    cr_assert(!text.failed);
    buf_free(&text);
    queue_locks_saved(l, true);
}

/* ---- one owner ---- */
Test(queue_locks, a_queue_has_one_owner_of_a_group)
{
    uint64_t change = 0;
    cr_expect(lock("a", 0, 1000));
    cr_expect(!lock("b", 0, 1001));
    cr_expect(lock("a", 0, 1002), "it is his still");
    cr_expect(lock("b", 1, 1003), "another queue");
    cr_expect(lock_of("g", "b", "U", 0, 1003, &change), "another topic");
    cr_expect(lock_of("h", "b", "T", 0, 1003, &change), "another group");
    cr_expect_eq(queue_locks_count(l), 4);
}

Test(queue_locks, only_its_owner_gives_it_back)
{
    lock("a", 0, 1000);
    unlock("b", 0);
    cr_expect(!lock("b", 0, 1001));
    unlock("a", 0);
    cr_expect(lock("b", 0, 1002));
    unlock("a", 7); /* nobody's */
}

Test(queue_locks, who_leaves_the_group_gives_back_all_of_it_and_nothing_of_others)
{
    const struct lock_owner a = owner("a"), nobody = owner("nobody");
    lock("a", 0, 1000);
    lock("a", 1, 1000);
    lock("b", 2, 1000);
    queue_locks_leave(l, &nobody);
    queue_locks_leave(l, &a);
    cr_expect(lock("c", 0, 1001) && lock("c", 1, 1001));
    cr_expect(!lock("c", 2, 1001));
}

/* Apache's clients believe in a lock for 30 s after an answer; nobody else may have it before. */
Test(queue_locks, a_dead_owners_lock_ends_when_he_could_not_believe_in_it_any_more)
{
    lock("a", 0, 1000);
    present = ",b,"; /* a's connection is closed: that proves nothing about a */
    for (int64_t now = 1001; now <= 1000 + LOCK_BELIEVED_MS; now += 500)
        cr_assert(!lock("b", 0, now), "at %lld", (long long)now);
    cr_expect(!lock("b", 0, 1000 + LOCK_GONE_MS));
    cr_expect(lock("b", 0, 1001 + LOCK_GONE_MS));
    cr_expect(!lock("a", 0, 1002 + LOCK_GONE_MS), "he comes back and finds it gone");
}

Test(queue_locks, an_owner_who_lost_his_connection_and_goes_on_renewing_keeps_it)
{
    present = ",b,";
    for (int64_t now = 1000; now < 200000; now += 20000) {
        cr_assert(lock("a", 0, now));
        cr_assert(!lock("b", 0, now + 19999));
    }
}

Test(queue_locks, an_owner_who_is_here_has_a_minute_for_one_message)
{
    lock("a", 0, 1000);
    cr_expect(!lock("b", 0, 1000 + LOCK_LIVE_MS));
    cr_expect(lock("b", 0, 1001 + LOCK_LIVE_MS));
}

Test(queue_locks, what_ended_is_freed_and_what_lives_is_not)
{
    lock("a", 0, 1000);
    lock("b", 1, 1000);
    lock("c", 2, 50000);
    present = ",b,c,";
    queue_locks_expire(l, 1001 + LOCK_GONE_MS);
    cr_expect_eq(queue_locks_count(l), 2, "a's is gone");
    queue_locks_expire(l, 1001 + LOCK_LIVE_MS);
    cr_expect_eq(queue_locks_count(l), 1, "b's, too");
    int before = changes;
    queue_locks_expire(l, 1002 + LOCK_LIVE_MS);
    cr_expect_eq(changes, before, "nothing ended, nothing is written");
}

/* ---- the file ---- */
static enum mq_err restart(const char *damage, int64_t now_ms) /* damage: instead of the text */
{
    struct buf text = {0};
    struct fault why = {0};
    queue_locks_encode(l, &text);
    queue_locks_free(l);
    cr_assert(queue_locks_new(&setup, &l) == MQ_OK);
    enum mq_err err = queue_locks_take(l, damage ? slice_str(damage) : buf_view(&text), now_ms, &why);
    cr_expect(err == MQ_OK || why.what[0]);
    buf_free(&text);
    return err;
}

Test(queue_locks, after_a_restart_the_owners_are_those_of_before)
{
    lock("a", 0, 900000);
    lock("b", 1, 900000);
    present = ",,"; /* nobody has sent a heartbeat yet, and the clock began anew */
    cr_assert(restart(NULL, 100) == MQ_OK);
    cr_expect(!lock("b", 0, 101) && !lock("a", 1, 101) && !lock("c", 0, 100 + LOCK_BELIEVED_MS));
    cr_expect(lock("a", 0, 102), "he goes on at once");
    cr_expect(!lock("c", 1, 100 + LOCK_GONE_MS));
    cr_expect(lock("c", 1, 101 + LOCK_GONE_MS), "b did not come back");
    cr_expect(lock("c", 2, 103), "and what was nobody's is free");
}

Test(queue_locks, strange_names_survive_a_restart)
{
    uint64_t change = 0;
    cr_assert(lock_of("gr\"oup\\", "10.0.0.1@1#\xc3\xa4", "%RETRY%x|y", 2147483647, 1, &change));
    cr_assert(restart(NULL, 1) == MQ_OK);
    cr_expect(!lock_of("gr\"oup\\", "b", "%RETRY%x|y", 2147483647, 2, &change));
    cr_expect(lock_of("gr\"oup\\", "10.0.0.1@1#\xc3\xa4", "%RETRY%x|y", 2147483647, 2, &change));
}

Test(queue_locks, a_damaged_file_is_refused_whole)
{
    static const char *const bad[] = {"", "{", "[]", "{\"lockTable\":{}}", "{\"lockTable\":[{\"clientId\":\"a\",\"mqSet\":[]}]}",
                                      "{\"lockTable\":[{\"clientId\":\"a\",\"consumerGroup\":\"g\",\"mqSet\":[{\"queueId\":0,\"topic\":\"T\"}]},"
                                      "{\"clientId\":\"a\",\"consumerGroup\":\"g\",\"mqSet\":[{\"queueId\":-1,\"topic\":\"T\"}]}]}",
                                      "{\"lockTable\":[{\"clientId\":\"a\",\"consumerGroup\":\"g\",\"mqSet\":[{\"queueId\":0,\"topic\":\"T\"}]},"
                                      "{\"clientId\":\"b\",\"consumerGroup\":\"g\",\"mqSet\":[{\"queueId\":0,\"topic\":\"T\"}]}]}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_expect(restart(bad[i], 1) != MQ_OK, "%s", bad[i]);
        cr_expect_eq(queue_locks_count(l), 0, "%s", bad[i]);
    }
}

Test(queue_locks, while_nobody_knows_the_owners_nobody_becomes_one)
{
    queue_locks_doubt(l, 1000);
    cr_expect(!lock("a", 0, 1000 + LOCK_BELIEVED_MS));
    cr_expect(lock("a", 0, 1000 + LOCK_GONE_MS));
}

/* ---- answers and the disk ---- */
static enum handled ask(const char *client, int queue, int64_t now_ms, int32_t opaque)
{
    struct reply out = {0};
    uint64_t change = 0;
    const struct lock_owner who = owner(client);
    const struct lock_queue q = {SLICE_LIT("T"), queue};
    buf_str(&out.body, queue_locks_lock(l, &who, &q, now_ms, true, &change) ? "yes" : "no");
    enum handled how = queue_locks_answer(l, change, &(struct ticket){.opaque = opaque}, &out);
    reply_free(&out);
    return how;
}

Test(queue_locks, a_new_owner_hears_of_it_when_the_disk_knows_it)
{
    cr_expect_eq(ask("a", 0, 1000, 1), HANDLED_LATER);
    cr_expect_eq(changes, 2, "once for the change, once because no write has it yet");
    struct buf text = {0};
    queue_locks_encode(l, &text); /* a write begins ... */
    buf_free(&text);
    cr_expect_eq(ask("b", 1, 1000, 2), HANDLED_LATER); /* ... and comes too early for this one */
    queue_locks_saved(l, true);
    cr_assert_eq(n_finished, 1);
    cr_expect(finished[0].opaque == 1 && finished[0].code == RES_SUCCESS && strcmp(finished[0].body, "yes") == 0);
    save();
    cr_assert_eq(n_finished, 2);
    cr_expect(finished[1].opaque == 2);
    changes = 0;
    cr_expect_eq(ask("a", 0, 2000, 3), HANDLED_NOW, "a renewal waits for nothing");
    cr_expect_eq(ask("b", 0, 2000, 4), HANDLED_NOW, "nor does a no");
    cr_expect_eq(changes, 0);
}

Test(queue_locks, answers_leave_in_the_order_of_their_changes)
{
    ask("a", 0, 1000, 1);
    ask("b", 1, 1000, 2);
    ask("a", 0, 1000, 3); /* again, before the first answer: its change is the first one */
    save();
    cr_assert_eq(n_finished, 3);
    cr_expect(finished[0].opaque == 1 && finished[1].opaque == 3 && finished[2].opaque == 2);
}

Test(queue_locks, what_cannot_be_written_is_refused_until_it_can)
{
    ask("a", 0, 1000, 1);
    save();
    ask("b", 1, 1000, 2);
    struct buf text = {0};
    queue_locks_encode(l, &text);
    buf_free(&text);
    queue_locks_saved(l, false);
    cr_assert_eq(n_finished, 2);
    cr_expect_eq(finished[1].code, RES_SYSTEM_ERROR);
    cr_expect_eq(ask("a", 0, 2000, 3), HANDLED_NOW, "who is on the disk is renewed");
    changes = 0;
    cr_expect_eq(ask("b", 1, 2000, 4), HANDLED_LATER, "it is his, and is not on the disk yet");
    cr_expect_eq(changes, 1, "it is tried again");
    save();
    cr_expect(n_finished == 3 && finished[2].code == RES_SUCCESS);
}

/* ---- bounds ---- */
Test(queue_locks, there_is_an_end_to_locks_and_old_ones_are_renewed_beyond_it)
{
    uint64_t change = 0;
    for (int i = 0; i < QUEUE_LOCKS_MAX; i++)
        cr_assert(lock("a", i, 1000));
    cr_expect(!lock("a", QUEUE_LOCKS_MAX, 1000) && !lock_of("h", "x", "T", 0, 1000, &change));
    cr_expect(lock("a", 5, 1000));
    unlock("a", 5);
    cr_expect(lock("b", QUEUE_LOCKS_MAX, 1000));
    const struct lock_owner who = owner("c");
    const struct lock_queue mine = {SLICE_LIT("T"), 6}, fresh = {SLICE_LIT("U"), 6};
    unlock("a", 6);
    cr_expect(!queue_locks_lock(l, &who, &fresh, 1000, false, &change), "memory is short");
    cr_expect(queue_locks_lock(l, &who, &mine, 1000, true, &change));
    cr_expect(queue_locks_lock(l, &who, &mine, 1001, false, &change), "a renewal needs none");
}

Test(queue_locks, there_is_an_end_to_answers_that_wait)
{
    for (int i = 0; i < QUEUE_LOCKS_WAITING_MAX; i++)
        cr_assert_eq(ask("a", i, 1000, i + 1), HANDLED_LATER);
    cr_expect_eq(ask("a", QUEUE_LOCKS_WAITING_MAX, 1000, 99), HANDLED_NOW, "refused");
}

Test(queue_locks, without_memory_nothing_is_half_done)
{
    for (uint64_t n = 1;; n++) {
        mem_fail_after(n);
        bool got = lock("a", 0, 1000);
        mem_fail_after(0);
        if (got)
            break;
        cr_assert_eq(queue_locks_count(l), 0, "allocation %d", (int)n);
        cr_assert(n < 10);
    }
    cr_expect(!lock("b", 0, 1000));
}

/* ---- requests ---- */
static bool reads(const char *body, char words[160])
{
    struct fault why = {0};
    struct lock_owner who;
    const json_t *queues;
    json_t *root = json_parse(slice_str(body), &why);
    cr_assert(root);
    words[0] = 0;
    bool good = lock_request_read(root, &who, &queues, words);
    json_decref(root);
    return good;
}

Test(queue_locks, a_request_says_who_and_which_queues)
{
    char words[160], body[2048], name[1200];
    cr_expect(reads("{\"clientId\":\"a\",\"consumerGroup\":\"g\",\"mqSet\":[{\"topic\":\"T\",\"queueId\":3,\"brokerName\":\"b\"}],"
                    "\"onlyThisBroker\":false}", words));
    cr_expect(reads("{\"clientId\":\"a\",\"consumerGroup\":\"g\"}", words), "no queue");
    cr_expect(!reads("{\"consumerGroup\":\"g\",\"mqSet\":[]}", words) && strstr(words, "clientId"));
    cr_expect(!reads("{\"clientId\":\"a\",\"mqSet\":[]}", words) && strstr(words, "consumerGroup"));
    cr_expect(!reads("{\"clientId\":\"a\\u0000\",\"consumerGroup\":\"g\"}", words) && strstr(words, "clientId"));
    cr_expect(!reads("{\"clientId\":\"a\",\"consumerGroup\":\"g\",\"mqSet\":{}}", words) && strstr(words, "mqSet"));
    cr_expect(!reads("{\"clientId\":\"a\",\"consumerGroup\":\"g\",\"mqSet\":[7]}", words) && strstr(words, "topic"));
    cr_expect(!reads("{\"clientId\":\"a\",\"consumerGroup\":\"g\",\"mqSet\":[{\"topic\":\"T\"}]}", words) && strstr(words, "queueId"));
    cr_expect(!reads("{\"clientId\":\"a\",\"consumerGroup\":\"g\",\"mqSet\":[{\"topic\":\"T\",\"queueId\":4294967296}]}", words) && strstr(words, "queueId"));
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = 0;
    snprintf(body, sizeof body, "{\"clientId\":\"%s\",\"consumerGroup\":\"g\"}", name);
    cr_expect(!reads(body, words) && strstr(words, "too long"));
}
