/* locks.c - queue locks between a broker that crashes, a disk that fails, a network that loses and delays, and clients that die, lose their
 * connections, leave and come back. After each event: at most one client believes that it owns a queue. Afterwards, when all is calm,
 * each queue has exactly one.
 *
 * The clients are Apache's: one believes for 30 s after an answer that came within a second, stops at once when an answer does not name a
 * queue that it asked for, and before it gives one back. What one client sends arrives in order. SIM_SEED=n replays one seed, SIM_SEEDS=n
 * asks for more of them. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/session/queue_locks.h"
#include "common/base/log.h"
#include "tests/lib/rng.h"

enum { CLIENTS = 4, QUEUES = 3, POSTS = 128, STEPS = 1500, BELIEVES_MS = 30000, CLIENT_WAITS_MS = 1000, CALM_MS = 300000 };
enum what { LOCK, UNLOCK, LEAVE, ANSWER };

struct post { /* on its way */
    bool used;
    enum what what;
    int client;
    unsigned asked, granted; /* bits of queues */
    int64_t sent_ms, arrives_ms;
    uint64_t number;
};
struct sim {
    struct rng rng;
    uint64_t seed;
    int64_t now_ms, broker_base_ms, back_ms; /* back_ms: when a broker that is down comes back */
    struct queue_locks *locks;               /* NULL: the broker is down */
    struct post posts[POSTS];
    struct {
        bool dead, here;
        int64_t believes_ms[QUEUES], last_arrival_ms;
        int64_t deaf_ms; /* it forgot what it had asked for until then */
    } client[CLIENTS];
    struct buf disk, writing; /* the file; the text that is being written */
    uint64_t posted;
    bool in_flight, dirty, disk_fails, calm;
    int64_t written_ms, expired_ms;
    unsigned crashes, takeovers, failures;
    int owner[QUEUES];
};
static struct sim s;

static int64_t mono(void) { return s.now_ms - s.broker_base_ms; }
static struct lock_owner who(int client)
{
    static const char *const ids[CLIENTS] = {"c0", "c1", "c2", "c3"};
    return (struct lock_owner){SLICE_LIT("g"), slice_str(ids[client])};
}
static struct lock_queue queue(int q) { return (struct lock_queue){SLICE_LIT("T"), q}; }

/* ---- the network ---- */
static void post(enum what what, int client, unsigned asked, unsigned granted, int64_t sent_ms)
{
    int64_t arrives = s.now_ms + (s.calm || !rng_one_in(&s.rng, 5) ? rng_between(&s.rng, 0, 20) : rng_between(&s.rng, 0, 3000));
    if (!s.calm && rng_one_in(&s.rng, 15))
        return; /* lost */
    if (what != ANSWER && arrives < s.client[client].last_arrival_ms)
        arrives = s.client[client].last_arrival_ms;
    if (what != ANSWER)
        s.client[client].last_arrival_ms = arrives;
    for (int i = 0; i < POSTS; i++)
        if (!s.posts[i].used) {
            s.posts[i] = (struct post){true, what, client, asked, granted, sent_ms, arrives, s.posted++};
            return;
        }
}

/* ---- the broker ---- */
static bool here(void *ctx, const struct lock_owner *o)
{
    (void)ctx;
    return s.client[o->client_id.p[1] - '0'].here;
}
static void start_write(void)
{
    s.in_flight = true;
    s.dirty = false;
    buf_clear(&s.writing);
    queue_locks_encode(s.locks, &s.writing);
    s.written_ms = s.now_ms + (rng_one_in(&s.rng, 6) ? rng_between(&s.rng, 0, 4000) : rng_between(&s.rng, 1, 30));
}
static void changed(void *ctx)
{
    (void)ctx;
    s.dirty = true;
    if (!s.in_flight)
        start_write();
}
/* A ticket's opaque is client, asked and granted queues; conn_id is when it was sent. */
static void finish(void *ctx, const struct ticket *to, struct reply *r)
{
    (void)ctx;
    if (r->code == 0)
        post(ANSWER, to->opaque & 15, (unsigned)to->opaque >> 4 & 15, (unsigned)to->opaque >> 8 & 15, (int64_t)to->conn_id);
}
static const struct outbox outbox = {.finish = finish};

static void broker_start(void)
{
    const struct queue_locks_setup setup = {.live_ms = LOCK_LIVE_MS, .outbox = &outbox, .here = here, .changed = changed};
    struct fault why = {0};
    s.broker_base_ms = s.now_ms - rng_between(&s.rng, 0, 1000000);
    cr_assert(queue_locks_new(&setup, &s.locks) == MQ_OK);
    cr_assert(s.disk.n == 0 || queue_locks_take(s.locks, buf_view(&s.disk), mono(), &why) == MQ_OK, "seed %d: %s", (int)s.seed, why.what);
}
static void broker_crash(void)
{
    s.crashes++;
    queue_locks_free(s.locks);
    s.locks = NULL;
    if (s.in_flight && rng_one_in(&s.rng, 2)) { /* the rename happened, and nobody heard of it */
        buf_clear(&s.disk);
        buf_slice(&s.disk, buf_view(&s.writing));
    }
    s.in_flight = s.dirty = false;
    for (int c = 0; c < CLIENTS; c++)
        s.client[c].here = false; /* nobody, until he says hello again */
    for (int i = 0; i < POSTS; i++)
        s.posts[i].used = s.posts[i].used && s.posts[i].what == ANSWER; /* answers may be in the client's kernel already */
    s.back_ms = s.now_ms + (rng_one_in(&s.rng, 2) ? rng_between(&s.rng, 1, 2000) : rng_between(&s.rng, 1, 60000));
}
static void disk_step(void)
{
    if (!s.in_flight || s.now_ms < s.written_ms)
        return;
    bool good = !s.disk_fails;
    s.in_flight = false;
    s.failures += !good;
    if (good) {
        buf_clear(&s.disk);
        buf_slice(&s.disk, buf_view(&s.writing));
    }
    queue_locks_saved(s.locks, good);
    if (!good)
        s.dirty = true; /* tried again by the next change, or the timer */
    else if (s.dirty && !s.in_flight)
        start_write();
}
static void on_lock(const struct post *p)
{
    const struct lock_owner o = who(p->client);
    struct reply out = {0};
    uint64_t change = 0;
    unsigned granted = 0;
    for (int q = 0; q < QUEUES; q++) {
        const struct lock_queue one = queue(q);
        if ((p->asked >> q & 1) && queue_locks_lock(s.locks, &o, &one, mono(), true, &change))
            granted |= 1u << q;
    }
    const struct ticket to = {.conn_id = (uint64_t)p->sent_ms, .opaque = (int32_t)((unsigned)p->client | p->asked << 4 | granted << 8)};
    if (queue_locks_answer(s.locks, change, &to, &out) == HANDLED_NOW)
        finish(NULL, &to, &out);
    reply_free(&out);
}

/* ---- clients ---- */
static void stop_believing(int client, unsigned queues)
{
    for (int q = 0; q < QUEUES; q++)
        if (queues >> q & 1)
            s.client[client].believes_ms[q] = 0;
}
static void on_answer(const struct post *p)
{
    if (s.client[p->client].dead || p->sent_ms <= s.client[p->client].deaf_ms || s.now_ms - p->sent_ms > CLIENT_WAITS_MS)
        return; /* it has given up on this one */
    for (int q = 0; q < QUEUES; q++)
        if (p->granted >> q & 1)
            s.client[p->client].believes_ms[q] = s.now_ms + BELIEVES_MS;
    stop_believing(p->client, p->asked & ~p->granted);
}
static void arrive(struct post *at)
{
    const struct post now = *at, *p = &now; /* its place may be taken by the answer */
    const struct lock_owner o = who(p->client);
    at->used = false;
    if (p->what == ANSWER) {
        on_answer(p);
    } else if (s.locks && p->what == LOCK) {
        on_lock(p);
    } else if (s.locks && p->what == LEAVE) {
        queue_locks_leave(s.locks, &o);
    } else if (s.locks) {
        for (int q = 0; q < QUEUES; q++) {
            const struct lock_queue one = queue(q);
            if (p->asked >> q & 1)
                queue_locks_unlock(s.locks, &o, &one);
        }
    }
}
static void give_back(int client, unsigned queues, enum what what)
{
    stop_believing(client, queues);
    s.client[client].deaf_ms = s.now_ms;
    post(what, client, queues, 0, s.now_ms);
}
static void act(int client)
{
    unsigned queues = rng_below(&s.rng, 1u << QUEUES), all = (1u << QUEUES) - 1;
    if (s.client[client].dead) {
        if (rng_one_in(&s.rng, 20))
            s.client[client].dead = false, s.client[client].here = true;
        return;
    }
    switch (rng_below(&s.rng, 30)) {
    case 0: /* killed: the kernel closes its connection, sooner or later */
        s.client[client].dead = true;
        s.client[client].deaf_ms = s.now_ms;
        s.client[client].here = rng_one_in(&s.rng, 3);
        stop_believing(client, all);
        break;
    case 1: s.client[client].here = false; break; /* its connection breaks; it goes on by another one, and sends heartbeats later */
    case 2:
    case 3: s.client[client].here = true; break;
    case 4: give_back(client, queues, UNLOCK); break;
    case 5: give_back(client, all, LEAVE); break;
    default: post(LOCK, client, rng_one_in(&s.rng, 2) ? all : queues, 0, s.now_ms);
    }
}

/* ---- the world ---- */
static void check(void)
{
    for (int q = 0; q < QUEUES; q++) {
        int believers = 0, last = -1;
        for (int c = 0; c < CLIENTS; c++)
            if (s.client[c].believes_ms[q] > s.now_ms)
                believers++, last = c;
        if (believers > 1) /* an assertion that holds costs a message to the runner, too */
            cr_assert(false, "seed %d: queue %d has %d owners at %lld ms; SIM_SEED=%d replays it", (int)s.seed, q, believers, (long long)s.now_ms,
                      (int)s.seed);
        if (last >= 0 && s.owner[q] != last) {
            s.takeovers += s.owner[q] >= 0;
            s.owner[q] = last;
        }
    }
}
static struct post *next_arrival(void) /* NULL: none is due */
{
    struct post *first = NULL;
    for (int i = 0; i < POSTS; i++) {
        struct post *p = &s.posts[i];
        if (p->used && p->arrives_ms <= s.now_ms &&
            (first == NULL || p->arrives_ms < first->arrives_ms || (p->arrives_ms == first->arrives_ms && p->number < first->number)))
            first = p;
    }
    return first;
}
static void pass(int64_t ms)
{
    for (int64_t end = s.now_ms + ms; s.now_ms < end;) {
        s.now_ms += rng_between(&s.rng, 1, 40);
        if (s.locks == NULL && s.now_ms >= s.back_ms)
            broker_start();
        if (s.locks)
            disk_step();
        for (struct post *p; (p = next_arrival()) != NULL; check())
            arrive(p);
        if (s.locks && s.now_ms - s.expired_ms > 10000) {
            s.expired_ms = s.now_ms;
            queue_locks_expire(s.locks, mono());
            if (s.dirty && !s.in_flight)
                start_write();
        }
        check();
    }
}
static void storm(void)
{
    for (int step = 0; step < STEPS; step++) {
        pass(rng_one_in(&s.rng, 10) ? rng_between(&s.rng, 1000, 20000) : rng_between(&s.rng, 10, 1500));
        act((int)rng_below(&s.rng, CLIENTS));
        if (s.locks && rng_one_in(&s.rng, 60))
            broker_crash();
        if (rng_one_in(&s.rng, 50))
            s.disk_fails = !s.disk_fails && rng_one_in(&s.rng, 2);
    }
}
static void calm(void)
{
    s.calm = true;
    s.disk_fails = false;
    for (int c = 0; c < CLIENTS; c++)
        s.client[c].dead = false, s.client[c].here = true;
    for (int64_t end = s.now_ms + CALM_MS; s.now_ms < end;) {
        pass(5000);
        for (int c = 0; c < CLIENTS; c++)
            post(LOCK, c, (1u << QUEUES) - 1, 0, s.now_ms);
    }
    pass(1000);
    for (int q = 0; q < QUEUES; q++) {
        int believers = 0;
        for (int c = 0; c < CLIENTS; c++)
            believers += s.client[c].believes_ms[q] > s.now_ms;
        cr_assert(believers == 1, "seed %d: in a calm world queue %d has %d owners; SIM_SEED=%d replays it", (int)s.seed, q, believers, (int)s.seed);
    }
}
static unsigned crashes, takeovers, failures;
static void live(uint64_t seed)
{
    s = (struct sim){.rng = rng_of(seed), .seed = seed, .owner = {-1, -1, -1}};
    for (int c = 0; c < CLIENTS; c++)
        s.client[c].here = true;
    broker_start();
    storm();
    calm();
    crashes += s.crashes;
    takeovers += s.takeovers;
    failures += s.failures;
    queue_locks_free(s.locks);
    buf_free(&s.disk);
    buf_free(&s.writing);
}

Test(locks, a_queue_never_has_two_owners, .timeout = 280)
{
    const char *one = getenv("SIM_SEED"), *many = getenv("SIM_SEEDS");
    unsigned n = many ? (unsigned)atoi(many) : 40;
    log_set_level(LOG_OFF);
    if (one) {
        live((uint64_t)atoll(one));
        return;
    }
    for (unsigned i = 0; i < n; i++)
        live(7001 + i);
    cr_assert(crashes > n && takeovers > n && failures > n / 4, "the storm was none: %u crashes, %u take-overs, %u failed writes", crashes, takeovers,
              failures);
}
