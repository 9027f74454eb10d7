/* doubts.c - can the simulator see a broken store? A disk that lies about syncs makes a store that loses acknowledged messages: that
 * must be found. So must a byte that changed, a message that nobody put, one that is missing. */
#include <criterion/criterion.h>
#include <string.h>

#include "common/base/log.h"
#include "tests/sim/store/model.h"

static unsigned lives_on_a_liar(bool datasync, bool sync_dir)
{
    unsigned found = 0;
    log_set_level(LOG_OFF);
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct sim s;
        sim_init(&s, seed, &(struct sim_options){.sync_flush = true});
        fake_disk_writeback(s.disk, 0);
        fake_disk_lie(s.disk, datasync, sync_dir);
        if (sim_open(&s)) {
            sim_run(&s, 200);
            sim_settle(&s);
            sim_cut(&s, CUT_LOSE, 0, 0);
            found += s.broken && (strstr(s.words, "I1") != NULL || strstr(s.words, "does not open") != NULL);
            sim_close(&s);
        }
        sim_fini(&s);
    }
    return found;
}

Test(doubts, a_disk_that_lies_about_datasync_is_found_out) { cr_assert_eq(lives_on_a_liar(true, false), 6); }
Test(doubts, a_disk_that_lies_about_names_is_found_out) { cr_assert_eq(lives_on_a_liar(false, true), 6); }
Test(doubts, an_honest_disk_is_not_accused) { cr_assert_eq(lives_on_a_liar(false, false), 0); }

static void settled(struct sim *s)
{
    log_set_level(LOG_OFF);
    sim_init(s, 7, &(struct sim_options){.sync_flush = true});
    cr_assert(sim_open(s), "%s", s->words);
    sim_run(s, 300);
    while (s->model.queues[1][1].n < 3)
        cr_assert_eq(sim_put(s, 1, 1, 1), PUT_OK);
    cr_assert(sim_settle(s));
    sim_verify(s, sim_promise(s, true));
    cr_assert(!s->broken, "%s", s->words);
}

Test(doubts, one_changed_bit_is_found)
{
    struct sim s;
    char path[64];
    settled(&s);
    struct sim_msg *m = &s.model.queues[1][1].msgs[1];
    uint64_t file = s.cfg.commit_log_file_size, at = (uint64_t)m->phys_off % file + m->size - 3, n;
    snprintf(path, sizeof path, "commitlog/%020llu", (unsigned long long)((uint64_t)m->phys_off - (uint64_t)m->phys_off % file));
    uint8_t *bytes = fake_disk_bytes(s.disk, path, &n);
    cr_assert(bytes != NULL && at < n);
    uint8_t flipped = bytes[at] ^ 4;
    fake_disk_damage(s.disk, path, at, &flipped, 1);
    sim_verify_queues(&s, sim_promise(&s, true));
    cr_assert(s.broken);
    sim_close(&s);
    sim_fini(&s);
}

Test(doubts, a_message_that_nobody_put_is_found)
{
    struct sim s;
    settled(&s);
    s.model.queues[1][1].n--;
    sim_verify_queues(&s, 0);
    cr_assert(s.broken && strstr(s.words, "I3") != NULL, "%s", s.words);
    sim_close(&s);
    sim_fini(&s);
}

Test(doubts, a_missing_message_is_found)
{
    struct sim s;
    settled(&s);
    struct sim_msg *m = sim_model_add(&s.model, 1, 1, 5); /* claims: one more was acknowledged */
    m->phys_off = 0;
    m->size = 100;
    sim_verify_queues(&s, sim_promise(&s, true));
    cr_assert(s.broken && strstr(s.words, "I1") != NULL, "%s", s.words);
    sim_close(&s);
    sim_fini(&s);
}

Test(doubts, two_messages_in_the_wrong_order_are_found)
{
    struct sim s;
    settled(&s);
    struct sim_msg *m = s.model.queues[1][1].msgs, first = m[0];
    m[0] = m[1];
    m[1] = first;
    sim_verify_queues(&s, sim_promise(&s, true));
    cr_assert(s.broken);
    sim_close(&s);
    sim_fini(&s);
}
