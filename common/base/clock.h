/* clock.h - the two clocks. Only the shell asks them; the core is told `now_ms`.
 * Thread: any. */
#ifndef COMMON_BASE_CLOCK_H
#define COMMON_BASE_CLOCK_H
#include <pthread.h>
#include <stdint.h>
#include <time.h>

int64_t clock_wall_ms(void); /* milliseconds since 1970, may jump: for time stamps that leave the process */
int64_t clock_mono_ms(void); /* never goes back: for deadlines and intervals */
int64_t clock_mono_us(void);

/* For pthread_cond_timedwait(), by the clock that never goes back. */
void clock_cond_init(pthread_cond_t *c);
struct timespec clock_deadline(int64_t timeout_ms); /* from now on; < 0 counts as 0, more than INT32_MAX as that */
#endif
