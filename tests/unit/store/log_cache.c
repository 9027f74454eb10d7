/* log_cache.c - what the read cache of the log keeps, forgets and gives back; when a block is worth reading; and that pulls use it. */
#include "broker/store/log_cache.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "tests/unit/store/rig.h"

enum { KIB = 1024, MIB = 1024 * KIB, BLOCK = LOG_CACHE_BLOCK, WORTH = LOG_CACHE_BLOCK / LOG_CACHE_CALL };

static struct log_cache cache;
static struct rig rig;
static void setup(void) { log_cache_init(&cache, 1024 * MIB, NULL); }
static void teardown(void)
{
    mem_fail_after(0);
    log_cache_fini(&cache);
}
TestSuite(log_cache, .init = setup, .fini = teardown);

static void keep_piece(uint64_t off, size_t n, int mark)
{
    uint8_t *to = log_cache_room(&cache, n);
    cr_assert(to != NULL);
    memset(to, mark, n);
    log_cache_add_piece(&cache, off, n);
}

static void keep_block(uint64_t off, int mark)
{
    uint8_t *to = log_cache_room(&cache, BLOCK);
    cr_assert(to != NULL);
    memset(to, mark, BLOCK);
    to[BLOCK - 1] = 99;
    log_cache_add_block(&cache, off);
}

Test(log_cache, a_block_pays_when_its_single_reads_have_cost_as_much)
{
    cr_expect_not(log_cache_pays(1, 0, BLOCK), "a lonely record");
    cr_expect_not(log_cache_pays(1, 1000, BLOCK), "a lonely record, whatever was before");
    cr_expect_not(log_cache_pays(WORTH - 1, WORTH - 1, BLOCK));
    cr_expect(log_cache_pays(WORTH, 0, BLOCK));
    cr_expect(log_cache_pays(2, WORTH, BLOCK), "consumers go forward");
    cr_expect(log_cache_pays(2, 0, LOG_CACHE_BLOCK_MIN), "a small block costs no more than a call");
}

Test(log_cache, expecting_counts_per_block_and_stops_when_it_is_there)
{
    for (int i = 1; i < WORTH; i++)
        cr_expect_not(log_cache_expect(&cache, 5 * BLOCK + 1000u * (unsigned)i, 900), "read %d", i);
    cr_expect_not(log_cache_expect(&cache, 9 * BLOCK, 900), "another block counts for itself");
    cr_expect(log_cache_expect(&cache, 5 * BLOCK, 900));
    keep_block(5 * BLOCK, 1);
    cr_expect_not(log_cache_expect(&cache, 5 * BLOCK + 77, 900), "it is there");
    cr_expect_not(log_cache_expect(&cache, 6 * BLOCK, 900));
    cr_expect(log_cache_expect(&cache, 6 * BLOCK + 900, 900), "the one before was worth it");
    for (int i = 0; i < 2 * WORTH; i++)
        cr_expect_not(log_cache_expect(&cache, 20 * BLOCK, LOG_CACHE_PIECE_MAX + 1), "large records read themselves");
}

Test(log_cache, finds_what_was_kept_and_nothing_beyond_it)
{
    cr_expect_null(log_cache_find(&cache, 0, 1), "empty");
    keep_piece(70, 500, 7);
    const uint8_t *p = log_cache_find(&cache, 70, 500);
    cr_assert(p != NULL);
    cr_expect(p[0] == 7 && p[499] == 7);
    cr_expect_null(log_cache_find(&cache, 70, 501), "longer than what was read");
    cr_expect_null(log_cache_find(&cache, 71, 10), "a piece is known by its start");
    keep_block(BLOCK, 8);
    p = log_cache_find(&cache, 2 * BLOCK - 10, 10);
    cr_assert(p != NULL);
    cr_expect(p[0] == 8 && p[9] == 99);
    cr_expect_null(log_cache_find(&cache, 2 * BLOCK - 10, 11), "it reaches into the next block");
    keep_piece(2 * BLOCK - 10, 20, 9);
    p = log_cache_find(&cache, 2 * BLOCK - 10, 20);
    cr_assert(p != NULL, "kept for itself");
    cr_expect(p[0] == 9 && p[19] == 9);
}

Test(log_cache, what_the_ring_has_overwritten_is_not_found)
{
    keep_piece(1, 100, 1);
    for (unsigned i = 0; i < LOG_CACHE_RING / BLOCK - 1; i++)
        keep_block((uint64_t)(i + 4) * BLOCK, 2);
    const uint8_t *p = log_cache_find(&cache, 1, 100);
    cr_assert(p != NULL, "still there");
    cr_expect_eq(p[99], 1);
    keep_block((uint64_t)(LOG_CACHE_RING / BLOCK + 3) * BLOCK, 2); /* does not fit behind: starts over the piece */
    cr_expect_null(log_cache_find(&cache, 1, 100));
    cr_expect(log_cache_find(&cache, 4 * BLOCK, 100) == NULL || log_cache_find(&cache, 4 * BLOCK, 100)[0] == 2);
    cr_expect(log_cache_find(&cache, 6 * BLOCK, 100) != NULL);
}

/* Whatever comes in which order: each find gives the bytes that were kept under that offset. */
Test(log_cache, no_find_is_ever_of_other_bytes)
{
    unsigned seed = 1, found = 0;
    for (int i = 0; i < 60000; i++) {
        seed = seed * 1103515245 + 12345;
        uint64_t off = (uint64_t)(seed >> 8 & 0x3fff) * 1200;
        const uint8_t *p = log_cache_find(&cache, off, 1000);
        if (p != NULL) {
            found++;
            cr_assert(p[0] == (uint8_t)(off / 1200) && p[999] == (uint8_t)(off / 1200), "at %llu", (unsigned long long)off);
        } else {
            keep_piece(off, 1000, (int)(off / 1200 & 0xff));
        }
    }
    cr_expect_gt(found, 20000u, "most of 16,384 pieces of 1,000 bytes fit");
}

Test(log_cache, without_memory_nothing_is_kept)
{
    for (uint64_t nth = 1; nth <= 2; nth++) {
        mem_fail_after(nth);
        cr_expect_null(log_cache_room(&cache, 100), "allocation %llu", (unsigned long long)nth);
        mem_fail_after(0);
        cr_expect_eq(log_cache_memory(&cache), 0);
    }
    mem_fail_after(1);
    cr_expect_not(log_cache_expect(&cache, 0, 100));
    mem_fail_after(0);
    cr_expect_null(log_cache_room(&cache, LOG_CACHE_RING), "longer than what is kept of it");
}

Test(log_cache, memory_goes_back_after_a_minute_without_use)
{
    cr_expect_eq(log_cache_memory(&cache), 0);
    log_cache_tick(&cache, 1000);
    keep_piece(1, 100, 1);
    log_cache_tick(&cache, 5000);
    log_cache_tick(&cache, 5000 + LOG_CACHE_IDLE_MS - 1);
    cr_expect(log_cache_find(&cache, 1, 100) != NULL, "a use");
    log_cache_tick(&cache, 6000 + LOG_CACHE_IDLE_MS);
    log_cache_tick(&cache, 5999 + 2 * LOG_CACHE_IDLE_MS);
    cr_expect_geq(log_cache_memory(&cache), (size_t)LOG_CACHE_RING);
    log_cache_tick(&cache, 6000 + 2 * LOG_CACHE_IDLE_MS);
    cr_expect_eq(log_cache_memory(&cache), 0);
    keep_piece(1, 100, 3);
    cr_expect_eq(log_cache_find(&cache, 1, 100)[0], 3, "and it starts again");
}

Test(log_cache, the_budget_says_how_much_is_kept)
{
    cr_expect_eq(log_cache_ring(0), (uint64_t)16 * MIB, "no limit");
    cr_expect_eq(log_cache_ring(UINT64_MAX), (uint64_t)16 * MIB);
    cr_expect_eq(log_cache_ring(256 * MIB), (uint64_t)16 * MIB);
    cr_expect_eq(log_cache_ring(255 * MIB), (uint64_t)8 * MIB);
    cr_expect_eq(log_cache_ring(24 * MIB), (uint64_t)1 * MIB);
    cr_expect_eq(log_cache_ring(1), (uint64_t)1 * MIB, "never less");
}

Test(log_cache, nothing_is_kept_while_memory_is_short)
{
    struct budget budget = {.limit = UINT64_C(64) * MIB};
    log_cache_init(&cache, 1024 * MIB, &budget);
    keep_piece(1, 100, 1);
    cr_expect_leq(log_cache_memory(&cache), (size_t)5 * MIB, "a sixteenth of the limit, and the table");
    log_cache_tick(&cache, 1);
    cr_expect(log_cache_find(&cache, 1, 100) != NULL);
    budget.limit = 1; /* as if everything were used */
    log_cache_tick(&cache, 2);
    cr_expect_eq(log_cache_memory(&cache), 0, "although it was used just now");
    cr_expect_null(log_cache_room(&cache, 100));
    budget.limit = 0;
    keep_piece(1, 100, 2);
    cr_expect_geq(log_cache_memory(&cache), (size_t)16 * MIB, "and as much as there may be now");
}

Test(log_cache, a_block_that_could_not_be_read_is_not_tried_with_each_record)
{
    for (int i = 1; i < WORTH; i++)
        cr_expect_not(log_cache_expect(&cache, 5 * BLOCK, 900));
    cr_assert(log_cache_expect(&cache, 5 * BLOCK, 900));
    log_cache_missed(&cache, 5 * BLOCK + 70000);
    for (int i = 1; i < WORTH; i++)
        cr_expect_not(log_cache_expect(&cache, 5 * BLOCK, 900), "read %d after it", i);
    cr_expect(log_cache_expect(&cache, 5 * BLOCK, 900));
    log_cache_missed(&cache, 9 * BLOCK); /* nobody asked for it */
}

Test(log_cache, blocks_divide_a_file)
{
    log_cache_init(&cache, 3 * 16384, NULL);
    cr_expect_eq(cache.block, 16384u);
    log_cache_init(&cache, 1000, NULL);
    cr_expect_eq(cache.block, 0u);
    for (int i = 0; i < 100; i++)
        cr_expect_not(log_cache_expect(&cache, 10, 100));
}

/* ---- the store with it ---- */

static void store_setup(void)
{
    rig_new(&rig);
    rig.cfg.commit_log_file_size = 16 * KIB;
    rig_must_open(&rig);
}
static void store_teardown(void) { rig_end(&rig); }
TestSuite(log_cache_store, .init = store_setup, .fini = store_teardown);

enum { QUEUES = 4, EACH = 40 };
static void put_interleaved(void)
{
    for (int i = 0; i < QUEUES * EACH; i++) {
        char text[301];
        snprintf(text, sizeof text, "%0300d", i);
        rig_put(&rig, "t", i % QUEUES, text);
    }
    rig_settle(&rig);
}

static struct get_result get(int32_t queue_id, int64_t off, struct buf *body)
{
    struct get_request g = {.topic = SLICE_LIT("t"), .queue_id = queue_id, .queue_off = off, .max_msgs = 8, .max_bytes = 1 << 18};
    struct get_result out;
    buf_clear(body);
    message_store_get(rig.store, &g, body, &out);
    return out;
}

/* All of a queue, each body checked. */
static void consume(int32_t queue_id)
{
    struct buf body = {0};
    for (int64_t off = 0; off < EACH;) {
        struct get_result r = get(queue_id, off, &body);
        cr_assert_eq(r.status, GET_FOUND, "queue %d at %lld: %s", queue_id, (long long)off, get_status_name(r.status));
        for (struct slice rest = buf_view(&body); rest.n > 0; off++) {
            struct message m;
            char text[301];
            cr_assert_eq(message_decode(rest, true, &m), MQ_OK);
            snprintf(text, sizeof text, "%0300d", (int)off * QUEUES + queue_id);
            cr_assert(slice_is(m.body, text), "queue %d at %lld", queue_id, (long long)off);
            rest = slice_from(rest, m.size);
        }
        cr_assert_eq(off, r.next_off);
    }
    buf_free(&body);
}

Test(log_cache_store, queues_that_interleave_are_read_in_blocks_and_once)
{
    put_interleaved();
    uint64_t before = rig.ops[RIG_PREAD];
    for (int32_t q = 0; q < QUEUES; q++)
        consume(q);
    cr_expect_lt(rig.ops[RIG_PREAD] - before, (uint64_t)QUEUES * EACH / 2, "less than half of a call a message, units included");
    before = rig.ops[RIG_PREAD];
    consume(1);
    cr_expect_leq(rig.ops[RIG_PREAD] - before, (uint64_t)EACH / 8 + 1, "units only");
}

Test(log_cache_store, a_read_that_fails_or_is_cold_leaves_nothing_behind)
{
    struct buf body = {0};
    put_interleaved();
    rig.cold = true;
    cr_expect_eq(get(0, 0, &body).status, GET_COLD);
    rig.cold = false;
    rig.fail_op = RIG_PREAD;
    rig.fail_in = 2; /* the units are read first */
    rig.fail_err = -5;
    cr_expect_eq(get(0, 0, &body).status, GET_FAILED);
    rig.fail_op = RIG_NONE;
    consume(0);
    buf_free(&body);
}

Test(log_cache_store, what_retention_took_is_not_served_from_memory)
{
    struct buf body = {0};
    put_interleaved();
    for (int32_t q = 0; q < QUEUES; q++)
        consume(q);
    rig.now_ms = clock_wall_ms() + 100LL * 3600000;
    message_store_clean_now(rig.store, (struct store_now){rig.now_ms, rig.now_ms});
    for (int i = 0; i < 20; i++) {
        rig.now_ms += 20000;
        get(0, EACH - 8, &body); /* the cache stays in use */
        message_store_tick(rig.store, (struct store_now){rig.now_ms, rig.now_ms});
        sim_exec_drain(&rig.exec);
    }
    struct store_figures f;
    message_store_figures(rig.store, &f);
    cr_assert_geq(f.min_phys_off, (uint64_t)16 * KIB, "something expired");
    cr_expect_eq(get(0, 0, &body).status, GET_OFFSET_TOO_SMALL);
    struct cold_range cold;
    cr_expect_eq(message_store_at(rig.store, 0, true, &body, &cold), MQ_ENOTFOUND);
    buf_free(&body);
}
