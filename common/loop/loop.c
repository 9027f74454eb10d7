/* loop.c - the turn: wait for events, run them, run posts, then the hooks by stage.
 *
 * libevent tells readiness; one libevent timer stands behind the heap of ours, armed for the earliest deadline only, so an idle
 * process sleeps until something is due.
 *   I1  hooks run once per turn, after all ready events and posts, in the order of stages.   (test: unit/loop)
 *   I2  a post made before loop_stop() returns true to its poster runs before loop_run() returns.
 *   I3  a handler sees a clock of after the wait, also when the loop had slept for long.     (test: compat, basic/send-sync) */
#include "common/loop/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"

enum { SIGNALS_MAX = 8 };

struct loop_signal {
    struct event *event;
    void (*fn)(void *arg);
    void *arg;
};
struct loop {
    struct event_base *base;
    struct event *wake, *timer;
    struct heap timers;
    struct list hooks[TURN_STAGES];
    struct loop_signal signals[SIGNALS_MAX];
    size_t n_signals;
    int64_t now_ms, mono_ms, armed_ms; /* armed_ms: deadline of the libevent timer, INT64_MAX when none */
    bool slept;                        /* the clocks are of before the wait: read again when somebody asks */
    struct owner owner;
    int wake_fd;
    /* ---- any thread ---- */
    _Atomic(struct loop_msg *) posted; /* newest first */
    atomic_bool stop;
};

static void read_clocks(struct loop *l)
{
    l->now_ms = clock_wall_ms();
    l->mono_ms = clock_mono_ms();
    l->slept = false;
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    (void)what, (void)arg;
    uint64_t n;
    if (read((int)fd, &n, sizeof n) < 0 && errno != EAGAIN)
        return; /* an eventfd has no other failure; posts are looked at every turn anyway */
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    ((struct loop *)arg)->armed_ms = INT64_MAX;
}

enum mq_err loop_new(struct loop **out, struct fault *why)
{
    struct loop *l = mem_zalloc(sizeof *l);
    if (l == NULL)
        return fault_set(why, MQ_ENOMEM, 0, "event loop");
    for (int i = 0; i < TURN_STAGES; i++)
        list_init(&l->hooks[i]);
    l->armed_ms = INT64_MAX;
    enum mq_err err = MQ_ENOMEM;
    l->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (l->wake_fd < 0) {
        err = fault_set(why, MQ_EIO, errno, "eventfd");
        goto undo_alloc;
    }
    struct event_config *cfg = event_config_new();
    if (cfg != NULL) {
        /* Without the changelist: it would tell the kernel of a closed descriptor only at the next wait, when another thread may have
         * got that number for a file. */
        event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK);
        l->base = event_base_new_with_config(cfg);
        event_config_free(cfg);
    }
    if (l->base == NULL) {
        err = fault_set(why, MQ_ENOMEM, 0, "event base");
        goto undo_fd;
    }
    l->wake = event_new(l->base, l->wake_fd, EV_READ | EV_PERSIST, on_wake, l);
    l->timer = event_new(l->base, -1, 0, on_timer, l);
    if (l->wake == NULL || l->timer == NULL || event_add(l->wake, NULL) != 0) {
        err = fault_set(why, MQ_ENOMEM, 0, "event loop");
        goto undo_base;
    }
    read_clocks(l);
    *out = l;
    return MQ_OK;

undo_base:
    if (l->wake != NULL)
        event_free(l->wake);
    if (l->timer != NULL)
        event_free(l->timer);
    event_base_free(l->base);
undo_fd:
    close(l->wake_fd);
undo_alloc:
    mem_free(l);
    return err;
}

void loop_free(struct loop *l)
{
    if (l == NULL)
        return;
    for (size_t i = 0; i < l->n_signals; i++)
        event_free(l->signals[i].event);
    event_free(l->wake);
    event_free(l->timer);
    event_base_free(l->base);
    close(l->wake_fd);
    heap_fini(&l->timers);
    mem_free(l);
}

static bool run_posts(struct loop *l)
{
    struct loop_msg *m = atomic_exchange_explicit(&l->posted, NULL, memory_order_acquire), *oldest = NULL;
    bool any = m != NULL;
    while (m != NULL) { /* newest first: turn them round */
        struct loop_msg *next = m->next;
        m->next = oldest;
        oldest = m;
        m = next;
    }
    while (oldest != NULL) {
        struct loop_msg *next = oldest->next;
        oldest->fn(oldest); /* may free it */
        oldest = next;
    }
    return any;
}

static void run_timers(struct loop *l)
{
    struct heap_node *first;
    while ((first = heap_first(&l->timers)) != NULL && first->due <= l->mono_ms) {
        struct loop_timer *t = CONTAINER_OF(first, struct loop_timer, node);
        if (t->every_ms > 0)
            heap_move(&l->timers, first, l->mono_ms + t->every_ms);
        else
            heap_remove(&l->timers, first);
        t->fn(t->arg); /* may stop or free t */
    }
}

static void arm(struct loop *l)
{
    struct heap_node *first = heap_first(&l->timers);
    int64_t due = first ? first->due : INT64_MAX;
    if (due == l->armed_ms)
        return;
    l->armed_ms = due;
    if (due == INT64_MAX) {
        event_del(l->timer);
        return;
    }
    int64_t in_ms = due - clock_mono_ms();
    if (in_ms < 0)
        in_ms = 0;
    struct timeval tv = {.tv_sec = in_ms / 1000, .tv_usec = in_ms % 1000 * 1000};
    event_add(l->timer, &tv);
}

static void run_hooks(struct loop *l)
{
    for (int stage = 0; stage < TURN_STAGES; stage++)
        LIST_EACH(it, &l->hooks[stage])
        {
            struct loop_hook *h = CONTAINER_OF(it, struct loop_hook, node);
            h->fn(h->arg);
        }
}

void loop_run(struct loop *l)
{
    loop_own(l);
    read_clocks(l);
    run_posts(l);
    run_hooks(l);
    while (!atomic_load_explicit(&l->stop, memory_order_acquire)) {
        arm(l);
        l->slept = true;
        if (event_base_loop(l->base, EVLOOP_ONCE) < 0)
            break;
        if (l->slept)
            read_clocks(l);
        run_posts(l);
        run_timers(l);
        run_hooks(l);
    }
    while (run_posts(l))
        run_hooks(l);
    atomic_store(&l->stop, false);
}

void loop_stop(struct loop *l)
{
    atomic_store_explicit(&l->stop, true, memory_order_release);
    uint64_t one = 1;
    if (write(l->wake_fd, &one, sizeof one) < 0)
        return; /* full: it is awake already */
}

void loop_drain_posts(struct loop *l)
{
    while (run_posts(l))
        ;
}

/* libevent waits and calls the handlers in one go: the first who asks in a turn makes the loop look at the clock. */
static const struct loop *awake(const struct loop *l)
{
    if (l->slept)
        read_clocks((struct loop *)(uintptr_t)l);
    return l;
}

int64_t loop_now_ms(const struct loop *l) { return awake(l)->now_ms; }
int64_t loop_mono_ms(const struct loop *l) { return awake(l)->mono_ms; }
struct event_base *loop_base(struct loop *l) { return l->base; }
void loop_own(struct loop *l) { owner_take(&l->owner); }
void loop_assert_owner(const struct loop *l) { owner_assert(&l->owner); }

void loop_timer_init(struct loop_timer *t, struct loop *l, loop_timer_fn *fn, void *arg)
{
    *t = (struct loop_timer){.loop = l, .fn = fn, .arg = arg};
}

bool loop_timer_start(struct loop_timer *t, int64_t delay_ms, int64_t every_ms)
{
    owner_assert(&t->loop->owner);
    t->every_ms = every_ms;
    int64_t now = clock_mono_ms();
    int64_t due = delay_ms > INT64_MAX - now ? INT64_MAX - 1 : now + (delay_ms > 0 ? delay_ms : 0);
    if (heap_has(&t->node)) {
        heap_move(&t->loop->timers, &t->node, due);
        return true;
    }
    return heap_add(&t->loop->timers, &t->node, due);
}

void loop_timer_stop(struct loop_timer *t)
{
    if (t->loop != NULL)
        heap_remove(&t->loop->timers, &t->node);
}

void loop_hook_add(struct loop *l, enum turn_stage stage, struct loop_hook *h) { list_push_back(&l->hooks[stage], &h->node); }

void loop_hook_remove(struct loop_hook *h)
{
    if (h->node.next != NULL)
        list_remove(&h->node);
}

void loop_post(struct loop *l, struct loop_msg *m)
{
    struct loop_msg *head = atomic_load_explicit(&l->posted, memory_order_relaxed);
    do
        m->next = head;
    while (!atomic_compare_exchange_weak_explicit(&l->posted, &head, m, memory_order_release, memory_order_relaxed));
    uint64_t one = 1;
    if (head == NULL && write(l->wake_fd, &one, sizeof one) < 0)
        return; /* full: it is awake already */
}

static void on_signal(evutil_socket_t signo, short what, void *arg)
{
    (void)signo, (void)what;
    struct loop_signal *s = arg;
    s->fn(s->arg);
}

enum mq_err loop_on_signal(struct loop *l, int signo, void (*fn)(void *arg), void *arg)
{
    if (l->n_signals == SIGNALS_MAX)
        return MQ_ELIMIT;
    struct loop_signal *s = &l->signals[l->n_signals];
    *s = (struct loop_signal){.fn = fn, .arg = arg};
    s->event = evsignal_new(l->base, signo, on_signal, s);
    if (s->event == NULL)
        return MQ_ENOMEM;
    if (event_add(s->event, NULL) != 0) {
        event_free(s->event);
        return MQ_EIO;
    }
    l->n_signals++;
    return MQ_OK;
}
