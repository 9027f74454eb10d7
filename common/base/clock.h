/* clock.h - the two clocks. Only the shell asks them; the core is told `now_ms`.
 * Thread: any. */
#ifndef COMMON_BASE_CLOCK_H
#define COMMON_BASE_CLOCK_H
#include <stdint.h>

int64_t clock_wall_ms(void); /* milliseconds since 1970, may jump: for time stamps that leave the process */
int64_t clock_mono_ms(void); /* never goes back: for deadlines and intervals */
int64_t clock_mono_us(void);
#endif
