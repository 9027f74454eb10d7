/* route_cache.c - the routes this client uses, and the brokers they name.
 *
 * A topic's entry begins with the first want, is asked for again every pollNameServerInterval and whenever a send failed, and goes when
 * nobody used it for ten such intervals. What a name server fails to tell leaves the old route in place: servers that just started
 * know nothing yet. One question per topic is under way at a time; all who want the topic wait for it.
 *   I1  a want's fn is called exactly once, unless it is dropped.                          (test: unit/client, integration/client)
 *   I2  readers on other threads see a route whole: entries change under client.lock only. */
#include <semaphore.h>
#include <stdio.h>
#include <string.h>

#include "client/core/client_internal.h"
#include "client/core/error.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/protocol/codes.h"

enum { AVOID_MS = 2000, PROVISIONAL_MS = 500, REFRESH_MIN_MS = 50, UNUSED_POLLS = 10 };

struct topic_entry {
    struct hash_node node; /* key = topic */
    struct client *client;
    struct route *route;   /* NULL: unknown so far; changes under client.lock */
    struct list wants;     /* of struct route_want */
    bool asking, may_create, asking_create;
    int64_t asked_ms;
    _Atomic int64_t used_ms; /* monotonic */
    char topic[];
};

/* ---- brokers ---- */

static struct broker_entry *broker_find(struct client *c, const char *name)
{
    struct hash_node *it = hashmap_get(&c->brokers, slice_str(name));
    return it ? CONTAINER_OF(it, struct broker_entry, node) : NULL;
}

static void broker_learn(struct client *c, const struct route_broker *rb)
{
    struct broker_entry *b = broker_find(c, rb->name);
    if (b == NULL) {
        size_t n = strlen(rb->name) + 1;
        b = c->brokers.n < BROKERS_OF_CLIENT_MAX ? mem_zalloc(sizeof *b + n) : NULL;
        if (b == NULL)
            return;
        memcpy(b->name, rb->name, n);
        if (!hashmap_add(&c->brokers, &b->node, slice_make(b->name, n - 1))) {
            mem_free(b);
            return;
        }
    }
    bool same = b->n_addrs == rb->n_addrs;
    for (size_t i = 0; same && i < rb->n_addrs; i++)
        same = b->addrs[i].broker_id == rb->addrs[i].broker_id && strcmp(b->addrs[i].addr, rb->addrs[i].addr) == 0;
    if (same)
        return;
    arena_reset(&b->arena);
    b->n_addrs = 0;
    b->avoid_until_ms = 0;
    b->addrs = arena_alloc(&b->arena, (rb->n_addrs + 1) * sizeof *b->addrs);
    for (size_t i = 0; b->addrs != NULL && i < rb->n_addrs; i++) {
        char *addr = arena_dup(&b->arena, rb->addrs[i].addr, strlen(rb->addrs[i].addr) + 1);
        if (addr != NULL)
            b->addrs[b->n_addrs++] = (struct route_addr){.broker_id = rb->addrs[i].broker_id, .addr = addr};
    }
    heartbeat_soon(c);
}

bool client_broker_addr(struct client *c, const char *broker_name, int64_t broker_id, bool exactly, char out[ADDR_MAX])
{
    const struct broker_entry *b = broker_find(c, broker_name);
    const char *found = NULL;
    for (size_t i = 0; b != NULL && i < b->n_addrs; i++) {
        if (b->addrs[i].broker_id == (broker_id < 0 ? 0 : broker_id)) {
            found = b->addrs[i].addr;
            break;
        }
        if (!exactly && found == NULL)
            found = b->addrs[i].addr;
    }
    if (found != NULL)
        snprintf(out, ADDR_MAX, "%s", found);
    return found != NULL;
}

void client_broker_failed(struct client *c, const char *broker_name)
{
    struct broker_entry *b = broker_find(c, broker_name);
    if (b != NULL)
        b->avoid_until_ms = clock_mono_ms() + AVOID_MS;
}

bool client_broker_is_avoided(struct client *c, const char *broker_name)
{
    const struct broker_entry *b = broker_find(c, broker_name);
    return b != NULL && b->avoid_until_ms > loop_mono_ms(c->loop);
}

/* ---- topics ---- */

static struct topic_entry *entry_find(struct client *c, const char *topic)
{
    struct hash_node *it = hashmap_get(&c->topics, slice_str(topic));
    return it ? CONTAINER_OF(it, struct topic_entry, node) : NULL;
}

static struct topic_entry *entry_of(struct client *c, const char *topic)
{
    struct topic_entry *e = entry_find(c, topic);
    if (e != NULL || c->topics.n >= TOPICS_OF_CLIENT_MAX)
        return e;
    size_t n = strlen(topic) + 1;
    e = mem_zalloc(sizeof *e + n);
    if (e == NULL)
        return NULL;
    memcpy(e->topic, topic, n);
    e->client = c;
    list_init(&e->wants);
    pthread_mutex_lock(&c->lock);
    bool added = hashmap_add(&c->topics, &e->node, slice_make(e->topic, n - 1));
    pthread_mutex_unlock(&c->lock);
    if (!added) {
        mem_free(e);
        return NULL;
    }
    return e;
}

static void entry_free(struct client *c, struct topic_entry *e)
{
    pthread_mutex_lock(&c->lock);
    hashmap_remove(&c->topics, &e->node);
    pthread_mutex_unlock(&c->lock);
    route_unref(e->route);
    mem_free(e);
}

static void tell(struct topic_entry *e, struct route *r, const struct cmq_error *err)
{
    struct list told; /* a want may want again from inside */
    list_init(&told);
    list_splice(&told, &e->wants);
    while (!list_empty(&told)) {
        struct route_want *w = CONTAINER_OF(told.next, struct route_want, node);
        client_route_drop(w);
        w->fn(w, r, err);
    }
}

static void set_route(struct topic_entry *e, struct route *r)
{
    struct client *c = e->client;
    struct route *old = e->route;
    bool same = old != NULL && old->provisional == r->provisional && slice_eq(old->json, r->json);
    for (size_t i = 0; i < r->n_brokers; i++)
        broker_learn(c, &r->brokers[i]);
    if (same) {
        route_unref(r);
    } else {
        r->turn = (uint32_t)clock_mono_us();
        pthread_mutex_lock(&c->lock);
        e->route = r;
        pthread_mutex_unlock(&c->lock);
        route_unref(old);
    }
    struct route *held = route_ref(e->route);
    tell(e, held, NULL);
    route_unref(held);
    if (!same && c->role.route_changed != NULL && !c->ended)
        c->role.route_changed(c->role.ctx, e->topic);
}

static void failed(struct topic_entry *e, const struct cmq_error *err)
{
    if (e->route == NULL) {
        tell(e, NULL, err);
        return;
    }
    struct route *held = route_ref(e->route); /* the old one serves on */
    tell(e, held, NULL);
    route_unref(held);
}

static void ask(struct topic_entry *e, bool for_create);

static void on_answer(void *arg, const struct command *answer, const struct cmq_error *err)
{
    struct topic_entry *e = arg;
    struct client *c = e->client;
    struct cmq_error made;
    e->asking = false;
    if (err != NULL) {
        failed(e, err);
    } else if (answer->code == RES_SUCCESS && answer->body.n > 0) {
        struct fault why = {0};
        struct route *r = NULL;
        enum mq_err bad = route_parse(e->topic, answer->body, e->asking_create ? c->cfg.default_queues : 0, &r, &why);
        if (bad == MQ_OK) {
            set_route(e, r);
        } else {
            error_of_fault(&made, &why);
            made.code = bad == MQ_ENOMEM ? CMQ_ERR_NO_MEMORY : CMQ_ERR_PROTOCOL;
            failed(e, &made);
        }
    } else if (answer->code == RES_TOPIC_NOT_EXIST && e->may_create && !e->asking_create && (e->route == NULL || e->route->provisional)) {
        ask(e, true);
    } else {
        char doing[200];
        snprintf(doing, sizeof doing, "route of topic %.127s", e->topic);
        error_of_answer(&made, answer, doing);
        if (answer->code == RES_TOPIC_NOT_EXIST) {
            made.code = CMQ_ERR_NO_ROUTE;
            made.retriable = 1;
            snprintf(made.words, sizeof made.words, "no name server knows topic %.127s%s", e->topic,
                     e->asking_create ? ", and no broker creates topics by itself" : "");
        }
        failed(e, &made);
    }
}

static void ask(struct topic_entry *e, bool for_create)
{
    struct client *c = e->client;
    const struct ext_field ext[] = {{SLICE_LIT("topic"), slice_str(for_create ? c->cfg.create_topic_key : e->topic)},
                                    {SLICE_LIT("acceptStandardJsonOnly"), SLICE_LIT("true")}};
    struct command cmd = client_command(c, REQ_GET_ROUTEINFO_BY_TOPIC, ext, 2);
    e->asking = true;
    e->asking_create = for_create;
    e->asked_ms = clock_mono_ms();
    client_ask_names(c, &cmd, (int64_t)c->cfg.api_timeout_ms * (c->n_names > 1 ? 2 : 1), on_answer, e);
}

static void on_want_timer(void *arg)
{
    struct route_want *w = arg;
    struct cmq_error err;
    client_route_drop(w);
    error_set(&err, CMQ_ERR_UNREACHABLE, "no name server answered in time (%s)", w->client->cfg.namesrv_addr);
    w->fn(w, NULL, &err);
}

void client_route_drop(struct route_want *w)
{
    if (!w->pending)
        return;
    w->pending = false;
    list_remove(&w->node);
    loop_timer_stop(&w->timer);
}

static void want_fails(struct route_want *w, enum cmq_code code, const char *words)
{
    struct cmq_error err;
    error_set(&err, code, "%s", words);
    w->fn(w, NULL, &err);
}

void client_route_want(struct client *c, struct route_want *w, const char *topic, bool may_create, int64_t timeout_ms)
{
    loop_assert_owner(c->loop);
    w->client = c;
    if (c->ended) {
        want_fails(w, CMQ_ERR_STATE, "stopped");
        return;
    }
    struct topic_entry *e = entry_of(c, topic);
    if (e == NULL) {
        want_fails(w, c->topics.n >= TOPICS_OF_CLIENT_MAX ? CMQ_ERR_FULL : CMQ_ERR_NO_MEMORY, "route: too many topics, or out of memory");
        return;
    }
    int64_t now = clock_mono_ms();
    atomic_store_explicit(&e->used_ms, now, memory_order_relaxed);
    e->may_create = e->may_create || may_create;
    if (e->route != NULL) {
        if (e->route->provisional && !e->asking && now - e->asked_ms > PROVISIONAL_MS)
            ask(e, false); /* the topic may exist by now */
        struct route *held = route_ref(e->route);
        w->fn(w, held, NULL);
        route_unref(held);
        return;
    }
    w->pending = true;
    list_push_back(&e->wants, &w->node);
    loop_timer_init(&w->timer, c->loop, on_want_timer, w);
    loop_timer_start(&w->timer, timeout_ms, 0);
    if (!e->asking)
        ask(e, false);
}

void client_route_refresh(struct client *c, const char *topic)
{
    struct topic_entry *e = entry_find(c, topic);
    if (e != NULL && !e->asking && !c->ended && clock_mono_ms() - e->asked_ms > REFRESH_MIN_MS)
        ask(e, false);
}

struct route *client_route_cached(struct client *c, const char *topic)
{
    struct route *r = NULL;
    pthread_mutex_lock(&c->lock);
    struct topic_entry *e = entry_find(c, topic);
    if (e != NULL && e->route != NULL) {
        r = route_ref(e->route);
        atomic_store_explicit(&e->used_ms, clock_mono_ms(), memory_order_relaxed);
    }
    pthread_mutex_unlock(&c->lock);
    return r;
}

static void on_poll(void *arg)
{
    struct client *c = arg;
    int64_t now = clock_mono_ms();
    struct hash_node *next;
    for (struct hash_node *it = hashmap_first(&c->topics); it != NULL; it = next) {
        struct topic_entry *e = CONTAINER_OF(it, struct topic_entry, node);
        next = hashmap_next(&c->topics, it);
        if (e->asking || !list_empty(&e->wants))
            continue;
        if (now - atomic_load_explicit(&e->used_ms, memory_order_relaxed) > UNUSED_POLLS * (int64_t)c->cfg.poll_names_ms)
            entry_free(c, e);
        else
            ask(e, false);
    }
}

void route_cache_init(struct client *c)
{
    loop_timer_init(&c->poll_timer, c->loop, on_poll, c);
    loop_timer_start(&c->poll_timer, c->cfg.poll_names_ms, c->cfg.poll_names_ms);
}

void route_cache_stop(struct client *c)
{
    struct cmq_error err;
    error_set(&err, CMQ_ERR_STATE, "stopped");
    for (struct hash_node *it = hashmap_first(&c->topics); it != NULL; it = hashmap_next(&c->topics, it))
        tell(CONTAINER_OF(it, struct topic_entry, node), NULL, &err);
}

void route_cache_fini(struct client *c)
{
    struct hash_node *it;
    while ((it = hashmap_first(&c->topics)) != NULL)
        entry_free(c, CONTAINER_OF(it, struct topic_entry, node));
    hashmap_fini(&c->topics);
    while ((it = hashmap_first(&c->brokers)) != NULL) {
        struct broker_entry *b = CONTAINER_OF(it, struct broker_entry, node);
        hashmap_remove(&c->brokers, it);
        arena_fini(&b->arena);
        mem_free(b);
    }
    hashmap_fini(&c->brokers);
}

void route_cache_each_broker(struct client *c, void (*fn)(void *arg, struct broker_entry *b), void *arg)
{
    uint64_t round = ++c->beat_round;
    for (struct hash_node *it = hashmap_first(&c->topics); it != NULL; it = hashmap_next(&c->topics, it)) {
        const struct route *r = CONTAINER_OF(it, struct topic_entry, node)->route;
        for (size_t i = 0; r != NULL && i < r->n_brokers; i++) {
            struct broker_entry *b = broker_find(c, r->brokers[i].name);
            if (b == NULL || b->beat_round == round)
                continue;
            b->beat_round = round;
            fn(arg, b);
        }
    }
}

/* ---- waiting for a route ---- */


struct route_wait {
    struct loop_msg msg;
    struct route_want want;
    struct client *client;
    const char *topic;
    bool may_create;
    int64_t timeout_ms;
    struct route *route;
    struct cmq_error err;
    sem_t done;
};

static void wait_wanted(struct route_want *want, struct route *r, const struct cmq_error *err)
{
    struct route_wait *w = CONTAINER_OF(want, struct route_wait, want);
    if (r != NULL)
        w->route = route_ref(r);
    else
        w->err = *err;
    sem_post(&w->done);
}

static void wait_begin(struct loop_msg *m)
{
    struct route_wait *w = CONTAINER_OF(m, struct route_wait, msg);
    client_route_want(w->client, &w->want, w->topic, w->may_create, w->timeout_ms);
}

enum cmq_code client_route_wait(struct client *c, const char *topic, bool may_create, int64_t timeout_ms, struct route **out, struct cmq_error *err)
{
    *out = client_route_cached(c, topic);
    if (*out != NULL)
        return CMQ_OK;
    struct route_wait w = {.msg.fn = wait_begin, .want.fn = wait_wanted, .client = c, .topic = topic, .may_create = may_create, .timeout_ms = timeout_ms};
    sem_init(&w.done, 0, 0);
    loop_post(c->loop, &w.msg);
    while (sem_wait(&w.done) != 0)
        ;
    sem_destroy(&w.done);
    *out = w.route;
    if (w.route == NULL && err != NULL)
        *err = w.err;
    return w.route != NULL ? CMQ_OK : w.err.code;
}
