/* loop.c - turns, timers, posts and signals of the event loop. */
#include "help.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "common/base/mem.h"

/* ---- timers ---- */
static char story[64];
static void tell(const char *word) { strncat(story, word, sizeof story - strlen(story) - 1); }
static void on_say(void *arg) { tell(arg); }

Test(loop, timers_run_in_the_order_of_their_deadlines)
{
    struct loop *l = loop_made();
    struct loop_timer t[4];
    static char words[4][2] = {"c", "a", "d", "b"};
    const int64_t delays[] = {30, 5, 40, 15};
    for (int i = 0; i < 4; i++) {
        loop_timer_init(&t[i], l, on_say, words[i]);
        cr_assert(loop_timer_start(&t[i], delays[i], 0));
    }
    run_for(l, 60);
    cr_assert_str_eq(story, "abcd");
    loop_free(l);
}

Test(loop, a_timer_is_never_early_and_a_negative_delay_is_now)
{
    struct loop *l = loop_made();
    struct loop_timer now, later;
    static char a[] = "n", b[] = "l";
    loop_timer_init(&now, l, on_say, a);
    loop_timer_init(&later, l, on_say, b);
    cr_assert(loop_timer_start(&now, -5000, 0) && loop_timer_start(&later, INT64_MAX, 0));
    int64_t from = clock_mono_ms();
    run_for(l, 20);
    cr_assert(clock_mono_ms() - from >= 20);
    cr_assert_str_eq(story, "n");
    loop_timer_stop(&later);
    loop_free(l);
}

Test(loop, starting_a_running_timer_moves_it_both_ways)
{
    struct loop *l = loop_made();
    struct loop_timer a, b;
    static char one[] = "1", two[] = "2";
    loop_timer_init(&a, l, on_say, one);
    loop_timer_init(&b, l, on_say, two);
    cr_assert(loop_timer_start(&a, 5, 0) && loop_timer_start(&b, 60000, 0));
    cr_assert(loop_timer_start(&a, 60000, 0) && loop_timer_start(&b, 5, 0));
    run_for(l, 30);
    cr_assert_str_eq(story, "2");
    loop_timer_stop(&a);
    loop_free(l);
}

struct counted {
    struct loop_timer timer;
    int n, stop_at;
    bool restart;
};
static void on_counted(void *arg)
{
    struct counted *c = arg;
    if (++c->n == c->stop_at)
        loop_timer_stop(&c->timer);
    else if (c->restart)
        loop_timer_start(&c->timer, 1, 0);
}

Test(loop, a_repeating_timer_may_stop_itself_inside_its_callback)
{
    struct loop *l = loop_made();
    struct counted c = {.stop_at = 3};
    loop_timer_init(&c.timer, l, on_counted, &c);
    cr_assert(loop_timer_start(&c.timer, 0, 2));
    run_for(l, 60);
    cr_assert(c.n == 3, "ran %d times", c.n);
    loop_free(l);
}

Test(loop, a_timer_that_runs_once_may_start_itself_again)
{
    struct loop *l = loop_made();
    struct counted c = {.stop_at = 5, .restart = true};
    loop_timer_init(&c.timer, l, on_counted, &c);
    cr_assert(loop_timer_start(&c.timer, 0, 0));
    run_for(l, 80);
    cr_assert(c.n == 5, "ran %d times", c.n);
    loop_free(l);
}

static void on_stop_other(void *arg) { loop_timer_stop(arg); }

Test(loop, a_callback_may_stop_a_timer_that_is_due_in_the_same_turn)
{
    struct loop *l = loop_made();
    struct loop_timer killer, victim;
    static char word[] = "x";
    loop_timer_init(&victim, l, on_say, word);
    loop_timer_init(&killer, l, on_stop_other, &victim);
    cr_assert(loop_timer_start(&killer, 0, 0));
    usleep(3000); /* the victim is due later, but both are late when the loop looks */
    cr_assert(loop_timer_start(&victim, 0, 0));
    usleep(3000);
    run_for(l, 10);
    cr_assert_str_eq(story, "");
    loop_free(l);
}

static void on_free(void *arg)
{
    struct counted *c = arg;
    tell("freed");
    mem_free(c);
}

Test(loop, a_callback_may_free_its_timer)
{
    struct loop *l = loop_made();
    struct counted *c = mem_zalloc(sizeof *c);
    loop_timer_init(&c->timer, l, on_free, c);
    cr_assert(loop_timer_start(&c->timer, 1, 0));
    run_for(l, 20);
    cr_assert_str_eq(story, "freed");
    loop_free(l);
}

Test(loop, stopping_a_timer_that_never_ran_or_was_never_made_is_harmless)
{
    struct loop *l = loop_made();
    struct loop_timer zeroed = {0}, never;
    loop_timer_init(&never, l, on_say, NULL);
    loop_timer_stop(&zeroed);
    loop_timer_stop(&never);
    loop_timer_stop(&never);
    loop_free(l);
}

Test(loop, a_timer_without_memory_says_so_and_does_not_run)
{
    struct loop *l = loop_made();
    struct loop_timer t;
    static char word[] = "x";
    loop_timer_init(&t, l, on_say, word);
    mem_fail_after(1);
    cr_assert(!loop_timer_start(&t, 0, 0));
    mem_fail_after(0);
    run_for(l, 5);
    cr_assert_str_eq(story, "");
    loop_free(l);
}

Test(loop, each_allocation_of_a_new_loop_may_fail)
{
    struct loop *l = NULL;
    struct fault why = {0};
    mem_fail_after(1);
    cr_assert(loop_new(&l, &why) == MQ_ENOMEM && l == NULL && why.err == MQ_ENOMEM);
    mem_fail_after(0);
    loop_free(NULL);
}

/* ---- the stages of a turn ---- */
static void on_stage_store(void *arg) { (void)arg, tell("s"); }
static void on_stage_wake(void *arg) { (void)arg, tell("w"); }
static void on_stage_reply(void *arg)
{
    tell("r");
    loop_stop(arg);
}
static void on_posted(struct loop_msg *m)
{
    (void)m;
    tell("p");
}

Test(loop, a_turn_runs_posts_then_store_then_wake_then_reply_whatever_the_order_of_adding)
{
    struct loop *l = loop_made();
    struct loop_hook reply = {.fn = on_stage_reply, .arg = l}, wake = {.fn = on_stage_wake}, store = {.fn = on_stage_store}, store2 = {.fn = on_stage_store};
    struct loop_msg m = {.fn = on_posted};
    loop_hook_add(l, TURN_REPLY, &reply);
    loop_hook_add(l, TURN_WAKE, &wake);
    loop_hook_add(l, TURN_STORE, &store);
    loop_hook_add(l, TURN_STORE, &store2);
    loop_post(l, &m);
    loop_run(l);
    cr_assert_str_eq(story, "psswr");
    loop_hook_remove(&store);
    loop_hook_remove(&reply);
    loop_hook_remove(&reply); /* twice is harmless */
    story[0] = '\0';
    struct loop_msg again = {.fn = on_posted};
    loop_post(l, &again);
    loop_stop(l);
    loop_run(l);
    cr_assert_str_eq(story, "psw");
    loop_free(l);
}

struct turns {
    struct loop *l;
    int64_t mono;
    int n;
};
static void on_turn_clock(void *arg)
{
    struct turns *t = arg;
    cr_assert(loop_mono_ms(t->l) >= t->mono, "the clock of a turn went back");
    t->mono = loop_mono_ms(t->l);
    t->n++;
}

Test(loop, an_idle_loop_sleeps_until_its_timer)
{
    struct loop *l = loop_made();
    struct turns t = {.l = l};
    struct loop_hook h = {.fn = on_turn_clock, .arg = &t};
    loop_hook_add(l, TURN_REPLY, &h);
    int64_t from = clock_mono_ms();
    run_for(l, 100);
    cr_assert(t.n <= 5, "%d turns in 100 ms of nothing", t.n);
    cr_assert(t.mono >= from + 100 && loop_now_ms(l) > 1600000000000);
    loop_free(l);
}

/* ---- posts ---- */
enum { POSTERS = 4, POSTS = 20000 };
struct numbered {
    struct loop_msg msg;
    int poster, n;
};
struct poster {
    struct loop *l;
    pthread_t thread;
    int me;
};
static int last_of[POSTERS], out_of_order, arrived;
static struct loop *posts_loop;

static void on_numbered(struct loop_msg *m)
{
    struct numbered *p = CONTAINER_OF(m, struct numbered, msg);
    loop_assert_owner(posts_loop);
    out_of_order += p->n != last_of[p->poster] + 1;
    last_of[p->poster] = p->n;
    mem_free(p);
    if (++arrived == POSTERS * POSTS)
        loop_stop(posts_loop);
}

static void *post_many(void *arg)
{
    struct poster *p = arg;
    for (int i = 1; i <= POSTS; i++) {
        struct numbered *m = mem_zalloc(sizeof *m);
        m->msg.fn = on_numbered;
        m->poster = p->me;
        m->n = i;
        loop_post(p->l, &m->msg);
    }
    return NULL;
}

Test(loop, posts_from_many_threads_all_arrive_each_in_its_threads_order)
{
    struct loop *l = posts_loop = loop_made();
    struct poster posters[POSTERS];
    for (int i = 0; i < POSTERS; i++) {
        posters[i] = (struct poster){.l = l, .me = i};
        cr_assert(pthread_create(&posters[i].thread, NULL, post_many, &posters[i]) == 0);
    }
    loop_run(l);
    for (int i = 0; i < POSTERS; i++)
        pthread_join(posters[i].thread, NULL);
    cr_assert(arrived == POSTERS * POSTS && out_of_order == 0, "%d arrived, %d out of order", arrived, out_of_order);
    loop_free(l);
}

static struct loop_msg follow_up = {.fn = on_posted};
static void on_post_more(struct loop_msg *m)
{
    (void)m;
    tell("1");
    loop_post(posts_loop, &follow_up);
}

Test(loop, what_was_posted_before_the_stop_runs_and_what_it_posts_as_well)
{
    struct loop *l = posts_loop = loop_made();
    struct loop_msg m = {.fn = on_post_more};
    loop_post(l, &m);
    loop_stop(l);
    loop_run(l);
    cr_assert_str_eq(story, "1p");
    loop_free(l);
}

Test(loop, posts_can_be_drained_outside_a_turn)
{
    struct loop *l = posts_loop = loop_made();
    struct loop_msg m = {.fn = on_post_more};
    loop_post(l, &m);
    loop_drain_posts(l);
    cr_assert_str_eq(story, "1p");
    loop_free(l);
}

/* ---- signals ---- */
static void on_usr1(void *arg)
{
    tell("u");
    if (arg != NULL)
        loop_stop(arg);
}

static void *raise_soon(void *arg)
{
    usleep(5000);
    kill(getpid(), SIGUSR1);
    return arg;
}

Test(loop, a_signal_is_told_on_the_loops_thread)
{
    struct loop *l = loop_made();
    cr_assert(loop_on_signal(l, SIGUSR1, on_usr1, l) == MQ_OK);
    pthread_t t;
    cr_assert(pthread_create(&t, NULL, raise_soon, NULL) == 0);
    run_for(l, 2000);
    pthread_join(t, NULL);
    cr_assert_str_eq(story, "u");
    loop_free(l);
}

Test(loop, a_ninth_signal_is_refused)
{
    struct loop *l = loop_made();
    const int signals[] = {SIGUSR1, SIGUSR2, SIGHUP, SIGINT, SIGTERM, SIGWINCH, SIGURG, SIGCONT};
    for (int i = 0; i < 8; i++)
        cr_assert(loop_on_signal(l, signals[i], on_usr1, NULL) == MQ_OK);
    cr_assert(loop_on_signal(l, SIGALRM, on_usr1, NULL) == MQ_ELIMIT);
    loop_free(l);
}

static atomic_bool stop_seen;
static void *stop_soon(void *arg)
{
    usleep(5000);
    atomic_store(&stop_seen, true);
    loop_stop(arg);
    return NULL;
}

Test(loop, any_thread_may_stop_it_and_it_can_run_again)
{
    struct loop *l = loop_made();
    for (int i = 0; i < 3; i++) {
        pthread_t t;
        atomic_store(&stop_seen, false);
        cr_assert(pthread_create(&t, NULL, stop_soon, l) == 0);
        loop_run(l);
        cr_assert(atomic_load(&stop_seen));
        pthread_join(t, NULL);
    }
    loop_free(l);
}
