/* log.h - one line per event: time, level, area, a stable phrase, then key=value.
 *     log_warn("ha", "slave lags slave=%s behind_bytes=%" PRIu64, addr, behind);
 * Thread: any; a line is written by one write(2) to standard error or to what log_to() named. No bodies, no secrets;
 * rate-limit with log_ok_now() where a peer can trigger it. */
#ifndef COMMON_BASE_LOG_H
#define COMMON_BASE_LOG_H
#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_OFF };

/* A reader of lines, for libraries: called on the thread that logs; text has no time and no newline. */
typedef void log_sink_fn(void *ctx, enum log_level level, const char *area, const char *text);

void log_set_level(enum log_level lowest);
bool log_level_named(const char *name, enum log_level *out); /* "debug" "info" "warn" "error" "off" */
void log_set_sink(log_sink_fn *sink, void *ctx);             /* NULL: standard error again */
extern enum log_level log_lowest; /* read by the macros below */

/* True at most once in every_ms for this `last` (zero it first): the rate limit of one place. */
bool log_ok_now(int64_t *last_ms, int64_t every_ms);

__attribute__((format(printf, 3, 4))) void log_line(enum log_level level, const char *area, const char *fmt, ...);
#define LOG_AT(level, ...) ((level) >= log_lowest ? log_line(level, __VA_ARGS__) : (void)0)
#define log_debug(...) LOG_AT(LOG_DEBUG, __VA_ARGS__)
#define log_info(...) LOG_AT(LOG_INFO, __VA_ARGS__)
#define log_warn(...) LOG_AT(LOG_WARN, __VA_ARGS__)
#define log_error(...) LOG_AT(LOG_ERROR, __VA_ARGS__)
#endif
