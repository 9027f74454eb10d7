/* store_get.c - the statuses and next offsets of inventory g.1, limits, filters, cold reads; by place and by time. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/store/rig.h"

static struct rig rig;
static struct buf body;
static void setup(void)
{
    rig_new(&rig);
    rig_must_open(&rig);
}
static void teardown(void)
{
    buf_free(&body);
    rig_end(&rig);
}
TestSuite(store_get, .init = setup, .fini = teardown);

static struct get_result get(int64_t off, uint32_t max_msgs, uint32_t max_bytes)
{
    struct get_request g = {.topic = SLICE_LIT("t"), .queue_id = 0, .queue_off = off, .max_msgs = max_msgs, .max_bytes = max_bytes};
    struct get_result out;
    buf_clear(&body);
    message_store_get(rig.store, &g, &body, &out);
    return out;
}

/* Bodies found, joined by blanks. */
static const char *bodies(void)
{
    static char text[1100];
    struct slice rest = buf_view(&body);
    struct message m;
    text[0] = 0;
    while (rest.n > 0) {
        cr_assert_eq(message_decode(rest, true, &m), MQ_OK);
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%.*s", text[0] ? " " : "", SLICE_ARG(m.body));
        rest = slice_from(rest, m.size);
    }
    return text;
}

static void put_five(void)
{
    static const char *const names[] = {"a", "b", "c", "d", "e"};
    for (int i = 0; i < 5; i++) {
        struct message m = rig_message("t", 0, names[i]);
        struct put_result out;
        m.properties = i % 2 ? SLICE_LIT("TAGS\1B") : SLICE_LIT("TAGS\1A");
        cr_assert_eq(message_store_put(rig.store, &m, 1, rig.now_ms + 10 * i, &out), PUT_OK);
        message_store_turn(rig.store, rig.now_ms);
    }
}

Test(store_get, one_damaged_record_costs_itself_only)
{
    static const char *const names[] = {"a", "b", "c", "d", "e"};
    int64_t at[5];
    for (int i = 0; i < 5; i++)
        at[i] = rig_put(&rig, "t", 0, names[i]).phys_off;
    rig_settle(&rig);
    rig_patch(&rig, "commitlog/00000000000000000000", (uint64_t)at[2] + 4, "\0\0\0\0", 4);
    struct get_result r = get(0, 32, 1 << 18);
    cr_expect_eq(r.status, GET_FOUND);
    cr_expect_str_eq(bodies(), "a b d e");
    cr_expect_eq(r.n_msgs, 4);
    cr_expect_eq(r.next_off, 5);
    cr_expect_eq(r.last_phys_off, at[4]);
    r = get(2, 1, 1 << 18);
    cr_expect_neq(r.status, GET_FOUND);
    cr_expect_eq(r.next_off, 3, "a consumer gets beyond it");
}

Test(store_get, nothing_from_the_end_on_is_looked_at)
{
    put_five();
    struct get_request g = {.topic = SLICE_LIT("t"), .queue_off = 1, .end_off = 3, .max_msgs = 32, .max_bytes = 1 << 18};
    struct get_result out;
    message_store_get(rig.store, &g, &body, &out);
    cr_expect_str_eq(bodies(), "b c");
    cr_expect_eq(out.next_off, 3);
}

static bool is_one_of(void *ctx, const struct message *m) { return strchr(ctx, m->body.p[0]) != NULL; }
static bool none_and_then_it_is_cold(void *ctx, const struct message *m)
{
    (void)ctx;
    (void)m;
    rig.cold = true;
    return false;
}

static struct get_result get_wanted(int64_t off, uint32_t max_msgs, uint32_t max_bytes, char *wanted)
{
    struct get_request g = {.topic = SLICE_LIT("t"), .queue_off = off, .max_msgs = max_msgs, .max_bytes = max_bytes,
                            .match_record = wanted ? is_one_of : none_and_then_it_is_cold, .match_ctx = wanted};
    struct get_result out;
    buf_clear(&body);
    message_store_get(rig.store, &g, &body, &out);
    return out;
}

Test(store_get, records_that_are_not_wanted_take_no_place)
{
    put_five();
    struct get_result r = get_wanted(0, 2, 1 << 18, (char[]){"bde"});
    cr_expect_str_eq(bodies(), "b d");
    cr_expect(r.status == GET_FOUND && r.n_msgs == 2 && r.next_off == 4, "next %lld", (long long)r.next_off);
    r = get_wanted(0, 32, 1, (char[]){"bde"});
    cr_expect_str_eq(bodies(), "b");
    cr_expect(r.next_off == 2, "next %lld", (long long)r.next_off);
    r = get_wanted(0, 32, 1 << 18, (char[]){"ace"});
    cr_expect_str_eq(bodies(), "a c e");
    cr_expect(r.n_msgs == 3 && r.next_off == 5);
    r = get_wanted(0, 32, 1 << 18, (char[]){"x"});
    cr_expect(r.status == GET_NO_MATCHED_MESSAGE && r.n_msgs == 0 && r.next_off == 5 && body.n == 0);
}

Test(store_get, a_filter_that_meets_cold_records_says_how_far_it_has_come)
{
    put_five();
    rig_settle(&rig);
    rig_close(&rig);
    rig_must_open(&rig);
    struct get_result r = get_wanted(0, 1, 1 << 18, NULL);
    cr_expect(r.status == GET_NO_MATCHED_MESSAGE && r.next_off == 1, "%s next %lld", get_status_name(r.status), (long long)r.next_off);
    r = get_wanted(1, 1, 1 << 18, NULL);
    cr_expect(r.status == GET_COLD && r.cold.n > 0);
}

Test(store_get, tags_codes_are_read_without_records)
{
    struct tags_result r;
    int64_t codes[100];
    message_store_tags(rig.store, SLICE_LIT("t"), 0, 7, false, codes, 100, &r);
    cr_expect(r.status == GET_NO_MATCHED_LOGIC_QUEUE && r.n == 0 && r.next_off == 0);
    put_five();
    message_store_tags(rig.store, SLICE_LIT("t"), 0, 1, false, codes, 100, &r);
    cr_expect(r.status == GET_FOUND && r.n == 4 && codes[0] == 'B' && codes[1] == 'A' && codes[3] == 'A');
    message_store_tags(rig.store, SLICE_LIT("t"), 0, 1, false, codes, 2, &r);
    cr_expect(r.status == GET_FOUND && r.n == 2);
    message_store_tags(rig.store, SLICE_LIT("t"), 0, 5, false, codes, 2, &r);
    cr_expect(r.status == GET_OFFSET_OVERFLOW_ONE && r.n == 0 && r.next_off == 5);
    message_store_tags(rig.store, SLICE_LIT("t"), 0, 50, false, codes, 2, &r);
    cr_expect(r.status == GET_OFFSET_OVERFLOW_BADLY && r.next_off == 5);
    message_store_tags(rig.store, SLICE_LIT("t"), 0, -1, false, codes, 2, &r);
    cr_expect(r.status == GET_OFFSET_TOO_SMALL && r.next_off == 0);
    rig_settle(&rig);
    rig_close(&rig);
    rig_must_open(&rig);
    rig.cold = true;
    message_store_tags(rig.store, SLICE_LIT("t"), 0, 1, false, codes, 2, &r);
    cr_expect(r.status == GET_COLD && r.cold.n > 0 && strstr(r.cold.path, "consumequeue/t/0") != NULL, "%s", r.cold.path);
    message_store_tags(rig.store, SLICE_LIT("t"), 0, 1, true, codes, 2, &r);
    cr_expect(r.status == GET_FOUND && r.n == 2 && codes[0] == 'B');
}

Test(store_get, every_status_has_its_next_offset)
{
    struct get_result r = get(5, 32, 1 << 18);
    cr_expect_eq(r.status, GET_NO_MATCHED_LOGIC_QUEUE);
    cr_expect_eq(r.next_off, 0);
    cr_expect_eq(r.max_off, 0);
    put_five();
    r = get(5, 32, 1 << 18);
    cr_expect_eq(r.status, GET_OFFSET_OVERFLOW_ONE);
    cr_expect_eq(r.next_off, 5);
    r = get(6, 32, 1 << 18);
    cr_expect_eq(r.status, GET_OFFSET_OVERFLOW_BADLY);
    cr_expect_eq(r.next_off, 5);
    r = get(-1, 32, 1 << 18);
    cr_expect_eq(r.status, GET_OFFSET_TOO_SMALL);
    cr_expect_eq(r.next_off, 0);
    r = get(2, 32, 1 << 18);
    cr_expect_eq(r.status, GET_FOUND);
    cr_expect_eq(r.next_off, 5);
    cr_expect_eq(r.n_msgs, 3);
    cr_expect_eq(r.min_off, 0);
    cr_expect_eq(r.max_off, 5);
    cr_expect_str_eq(bodies(), "c d e");
    cr_expect_eq(r.last_phys_off, message_store_phys_of(rig.store, SLICE_LIT("t"), 0, 4));
    cr_expect_str_eq(get_status_name(GET_OFFSET_OVERFLOW_BADLY), "OFFSET_OVERFLOW_BADLY");
}

Test(store_get, a_queue_without_messages_says_so_whatever_the_offset)
{
    struct message m = rig_message("t", 0, "x");
    struct put_result out;
    m.body = slice_make(NULL, 0);
    cr_assert_eq(message_store_put(rig.store, &m, 1, 1, &out), PUT_OK); /* the queue is there, the message not yet */
    struct get_result r = get(7, 32, 1000);
    cr_expect_eq(r.status, GET_NO_MESSAGE_IN_QUEUE);
    cr_expect_eq(r.next_off, 0);
}

Test(store_get, limits_hold_but_the_first_message_always_comes)
{
    put_five();
    uint32_t one = (uint32_t)(message_store_phys_of(rig.store, SLICE_LIT("t"), 0, 1) - message_store_phys_of(rig.store, SLICE_LIT("t"), 0, 0));
    struct get_result r = get(0, 2, 1 << 18);
    cr_expect_str_eq(bodies(), "a b");
    cr_expect_eq(r.next_off, 2);
    r = get(0, 32, 3 * one);
    cr_expect_str_eq(bodies(), "a b c");
    r = get(0, 32, 3 * one - 1);
    cr_expect_str_eq(bodies(), "a b");
    cr_expect_eq(r.next_off, 2);
    r = get(1, 32, 1);
    cr_expect_str_eq(bodies(), "b");
    cr_expect_eq(r.next_off, 2);
}

static bool only(void *ctx, int64_t code) { return code == *(int64_t *)ctx; }
static bool body_is_d(void *ctx, const struct message *m) { return (void)ctx, slice_is(m->body, "d"); }

Test(store_get, filters_see_tags_and_records)
{
    put_five();
    int64_t code = 'B';
    struct get_request g = {.topic = SLICE_LIT("t"), .max_msgs = 32, .max_bytes = 1 << 18, .match_tags = only, .match_ctx = &code};
    struct get_result r;
    message_store_get(rig.store, &g, &body, &r);
    cr_expect_eq(r.status, GET_FOUND);
    cr_expect_str_eq(bodies(), "b d");
    cr_expect_eq(r.next_off, 5);
    buf_clear(&body);
    g.match_record = body_is_d;
    message_store_get(rig.store, &g, &body, &r);
    cr_expect_str_eq(bodies(), "d");
    cr_expect_eq(r.n_msgs, 1);
    buf_clear(&body);
    buf_str(&body, "before");
    code = 'C';
    message_store_get(rig.store, &g, &body, &r);
    cr_expect_eq(r.status, GET_NO_MATCHED_MESSAGE);
    cr_expect_eq(r.next_off, 5);
    cr_expect_eq(body.n, 6, "nothing is appended");
}

Test(store_get, what_is_not_in_memory_is_cold_until_it_was_warmed)
{
    put_five();
    rig.cold = true;
    struct get_result r = get(1, 2, 1 << 18);
    cr_assert_eq(r.status, GET_COLD);
    cr_expect_eq(r.next_off, 1);
    cr_expect_str_eq(r.cold.path, "commitlog/00000000000000000000");
    cr_expect_eq(r.cold.off, (uint64_t)message_store_phys_of(rig.store, SLICE_LIT("t"), 0, 1));
    struct cold_range cold = r.cold;
    cr_expect_eq(message_store_at(rig.store, 0, false, &body, &cold), MQ_EAGAIN);
    cr_expect_eq(message_store_at(rig.store, 0, true, &body, &cold), MQ_OK);
    rig.cold = false;
    r = get(1, 2, 1 << 18);
    cr_expect_eq(r.status, GET_FOUND);
    cr_expect_str_eq(bodies(), "b c");
}

/* ---- what was written last ---- */
static void put_in_one_turn(int n, int32_t queue_id, const char *text)
{
    struct message m = rig_message("t", queue_id, text);
    struct put_result out;
    for (int i = 0; i < n; i++)
        cr_assert_eq(message_store_put(rig.store, &m, 1, rig.now_ms, &out), PUT_OK);
    message_store_turn(rig.store, rig.now_ms);
}

Test(store_get, fresh_what_the_last_turn_wrote_comes_from_memory_and_nothing_else_does)
{
    put_five();
    put_in_one_turn(3, 0, "new");
    rig.cold = true;
    cr_expect_eq(get(5, 32, 1 << 18).n_msgs, 3);
    cr_expect_str_eq(bodies(), "new new new");
    cr_expect_eq(get(6, 1, 1 << 18).n_msgs, 1, "a part of it");
    cr_expect_str_eq(bodies(), "new");
    cr_expect_eq(get(4, 1, 1 << 18).status, GET_COLD, "the one before");
    cr_expect_eq(get(4, 32, 1 << 18).status, GET_COLD, "it and what follows are one read");
    message_store_turn(rig.store, rig.now_ms);
    cr_expect_eq(get(5, 32, 1 << 18).n_msgs, 3, "a turn without a put changes nothing");
    put_in_one_turn(1, 1, "elsewhere");
    cr_expect_eq(get(5, 32, 1 << 18).status, GET_COLD, "what is written later takes its place");
}

Test(store_get, fresh_a_put_that_is_not_written_yet_ends_it)
{
    put_in_one_turn(1, 0, "old");
    struct message m = rig_message("t", 1, "overwrites the memory");
    struct put_result out;
    cr_assert_eq(message_store_put(rig.store, &m, 1, rig.now_ms, &out), PUT_OK);
    cr_expect_eq(get(0, 1, 1 << 18).n_msgs, 1, "from the file");
    cr_expect_str_eq(bodies(), "old");
    rig.cold = true;
    cr_expect_eq(get(0, 1, 1 << 18).status, GET_COLD);
}

Test(store_get, fresh_ends_when_the_batch_gives_its_memory_back)
{
    put_in_one_turn(1, 0, "only");
    rig.cold = true;
    cr_expect_eq(get(0, 1, 1 << 18).n_msgs, 1);
    for (int i = 0; i < 2; i++) /* the first one sees that something was put */
        message_store_tick(rig.store, (struct store_now){rig.now_ms, rig.now_ms});
    cr_expect_eq(get(0, 1, 1 << 18).status, GET_COLD);
    rig.cold = false;
    cr_expect_eq(get(0, 1, 1 << 18).n_msgs, 1);
}

Test(store_get, fresh_is_the_part_in_the_last_file_when_a_turn_crosses_a_files_end)
{
    char text[1001] = {0};
    memset(text, 'x', 1000);
    for (int i = 0; i < 5; i++)
        rig_put(&rig, "t", 0, text);
    rig_settle(&rig); /* the next file of 8 KiB is there now */
    put_in_one_turn(4, 0, text);
    int64_t last = message_store_phys_of(rig.store, SLICE_LIT("t"), 0, 8);
    cr_assert_geq(last, 8192);
    rig.cold = true;
    cr_expect_eq(get(5, 1, 1 << 18).status, GET_COLD);
    struct get_result r = get(8, 1, 1 << 18);
    cr_expect_eq(r.n_msgs, 1);
    cr_expect_eq(r.last_phys_off, last);
    cr_expect_str_eq(bodies(), text);
}

static void count(void *arg) { ++*(int *)arg; }

Test(store_get, warming_calls_back_once)
{
    put_five();
    rig.cold = true;
    struct get_result r = get(0, 2, 1 << 18);
    int called = 0;
    cr_assert(message_store_warm(rig.store, &r.cold, count, &called));
    cr_expect_eq(called, 0);
    sim_exec_drain(&rig.exec);
    cr_expect_eq(called, 1);
    cr_expect_not(rig.cold, "it was read");
}

Test(store_get, runs_end_at_a_file_and_at_another_queues_record)
{
    char big[2001] = {0};
    memset(big, 'x', 2000);
    for (int i = 0; i < 10; i++) {
        big[0] = (char)('a' + i);
        rig_put(&rig, "t", 0, big);
        if (i % 3 == 0)
            rig_put(&rig, "other", 0, "between");
    }
    struct get_result r = get(0, 32, 1 << 20);
    cr_expect_eq(r.n_msgs, 10);
    struct slice rest = buf_view(&body);
    struct message m;
    for (int i = 0; i < 10; i++) {
        cr_assert_eq(message_decode(rest, true, &m), MQ_OK);
        cr_expect_eq(m.body.p[0], 'a' + i);
        cr_expect_eq(m.queue_off, i);
        rest = slice_from(rest, m.size);
    }
    cr_expect_eq(rest.n, 0);
}

Test(store_get, a_place_is_a_record_or_nothing)
{
    put_five();
    int64_t second = message_store_phys_of(rig.store, SLICE_LIT("t"), 0, 1);
    struct cold_range cold;
    cr_expect_eq(message_store_at(rig.store, second, true, &body, &cold), MQ_OK);
    cr_expect_str_eq(bodies(), "b");
    size_t n = body.n;
    static const int64_t wrong[] = {-1, 1, 4, 8191, 8192, 1 << 20, INT64_MAX};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_expect_eq(message_store_at(rig.store, wrong[i], true, &body, &cold), MQ_ENOTFOUND, "place %lld", (long long)wrong[i]);
    cr_expect_eq(body.n, n);
}

Test(store_get, by_time_the_exact_one_or_the_nearer_neighbour)
{
    struct slice t = SLICE_LIT("t");
    cr_expect_eq(message_store_offset_by_time(rig.store, t, 0, RIG_T0), 0);
    put_five(); /* stored at T0, +10, +20, +30, +40 */
    cr_expect_eq(message_store_offset_by_time(rig.store, t, 0, RIG_T0 + 20), 2);
    cr_expect_eq(message_store_offset_by_time(rig.store, t, 0, RIG_T0 + 24), 2);
    cr_expect_eq(message_store_offset_by_time(rig.store, t, 0, RIG_T0 + 25), 2, "of two equally near the earlier");
    cr_expect_eq(message_store_offset_by_time(rig.store, t, 0, RIG_T0 + 26), 3);
    cr_expect_eq(message_store_offset_by_time(rig.store, t, 0, RIG_T0 - 5), 0);
    cr_expect_eq(message_store_offset_by_time(rig.store, t, 0, RIG_T0 + 999), 4, "later than all: the last, not max");
    cr_expect_eq(message_store_time_of(rig.store, t, 0, 3), RIG_T0 + 30);
    cr_expect_eq(message_store_time_of(rig.store, t, 0, 5), -1);
    cr_expect_eq(message_store_time_of(rig.store, t, 1, 0), -1);
    cr_expect_eq(message_store_phys_of(rig.store, t, 0, 5), -1);
}

Test(store_get, a_deleted_topic_is_gone_even_in_its_own_turn)
{
    put_five();
    struct message m = rig_message("t", 0, "f");
    struct put_result out;
    cr_assert_eq(message_store_put(rig.store, &m, 1, 1, &out), PUT_OK);
    message_store_delete_topic(rig.store, SLICE_LIT("t"));
    message_store_turn(rig.store, 1);
    cr_expect_eq(message_store_max_offset(rig.store, SLICE_LIT("t"), 0), 0);
    sim_exec_drain(&rig.exec);
    cr_expect_eq(rig_put(&rig, "t", 0, "new").queue_off, 0);
}
