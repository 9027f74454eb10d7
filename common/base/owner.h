/* owner.h - which thread may touch a struct: checked in debug and sanitizer builds, free in release. */
#ifndef COMMON_BASE_OWNER_H
#define COMMON_BASE_OWNER_H
#ifdef MQ_CHECK_OWNER
#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
struct owner {
    pthread_t thread;
    bool set;
};
static inline void owner_take(struct owner *o) /* the calling thread owns it from now on */
{
    o->thread = pthread_self();
    o->set = true;
}
static inline void owner_assert(const struct owner *o) { assert(!o->set || pthread_equal(o->thread, pthread_self())); }
#else
struct owner {
    char unused;
};
static inline void owner_take(struct owner *o) { (void)o; }
static inline void owner_assert(const struct owner *o) { (void)o; }
#endif
#endif
