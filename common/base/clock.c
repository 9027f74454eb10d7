/* clock.c - see clock.h. */
#include "common/base/clock.h"

static int64_t read_us(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t clock_wall_ms(void) { return read_us(CLOCK_REALTIME) / 1000; }
int64_t clock_mono_ms(void) { return read_us(CLOCK_MONOTONIC) / 1000; }
int64_t clock_mono_us(void) { return read_us(CLOCK_MONOTONIC); }

void clock_cond_init(pthread_cond_t *c)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(c, &attr);
    pthread_condattr_destroy(&attr);
}

struct timespec clock_deadline(int64_t timeout_ms)
{
    struct timespec due;
    clock_gettime(CLOCK_MONOTONIC, &due);
    timeout_ms = timeout_ms < 0 ? 0 : timeout_ms > INT32_MAX ? INT32_MAX : timeout_ms;
    int64_t ns = due.tv_nsec + timeout_ms % 1000 * 1000000;
    due.tv_sec += timeout_ms / 1000 + ns / 1000000000;
    due.tv_nsec = ns % 1000000000;
    return due;
}
