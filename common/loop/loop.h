/* loop.h - one event loop per thread, over libevent. A turn: ready events and posts run, then the hooks of the turn in the
 * order of their stages (design.md 3): what events brought in is written, woken, and answered once per connection.
 * Thread: the loop's own, unless a function says "any thread". */
#ifndef COMMON_LOOP_LOOP_H
#define COMMON_LOOP_LOOP_H
#include <stdbool.h>
#include <stdint.h>
#include "common/base/err.h"
#include "common/base/heap.h"
#include "common/base/list.h"
#include "common/base/owner.h"

struct loop;
struct event_base;

enum mq_err loop_new(struct loop **out, struct fault *why); /* yours, end with loop_free() */
void loop_free(struct loop *l);                             /* NULL allowed; not while it runs */
void loop_run(struct loop *l);                              /* until loop_stop(); the calling thread owns the loop */
void loop_stop(struct loop *l);                             /* any thread, also from a signal handler */
int64_t loop_now_ms(const struct loop *l);                  /* wall clock, read once per turn */
int64_t loop_mono_ms(const struct loop *l);                 /* monotonic, read once per turn */
struct event_base *loop_base(struct loop *l);
void loop_own(struct loop *l);                              /* the calling thread owns it from now on (before loop_run) */
void loop_assert_owner(const struct loop *l);

/* ---- timers: one heap, one libevent timer behind it ---- */
typedef void loop_timer_fn(void *arg);
struct loop_timer { /* yours; zero before init */
    struct heap_node node;
    struct loop *loop;
    loop_timer_fn *fn;
    void *arg;
    int64_t every_ms; /* 0: once */
};
void loop_timer_init(struct loop_timer *t, struct loop *l, loop_timer_fn *fn, void *arg);
/* First after delay_ms, then every every_ms (0: just once). Starting a running timer moves it. False: out of memory. */
bool loop_timer_start(struct loop_timer *t, int64_t delay_ms, int64_t every_ms);
void loop_timer_stop(struct loop_timer *t); /* harmless when not running */

/* ---- the end of a turn ---- */
enum turn_stage { TURN_STORE, TURN_WAKE, TURN_REPLY, TURN_STAGES };
struct loop_hook { /* yours; lives until removed */
    struct list node;
    void (*fn)(void *arg);
    void *arg;
};
void loop_hook_add(struct loop *l, enum turn_stage stage, struct loop_hook *h);
void loop_hook_remove(struct loop_hook *h);

/* ---- from other threads ---- */
struct loop_msg { /* embed it in what you hand over; not touched by the poster afterwards */
    struct loop_msg *next;
    void (*fn)(struct loop_msg *m); /* runs on the loop's thread */
};
void loop_post(struct loop *l, struct loop_msg *m); /* any thread; in order of posting */
void loop_drain_posts(struct loop *l);              /* runs what is posted now, outside a turn: while parts are being ended */

/* Calls fn on the loop's thread when the process gets the signal. At most 8 signals. */
enum mq_err loop_on_signal(struct loop *l, int signo, void (*fn)(void *arg), void *arg);
#endif
