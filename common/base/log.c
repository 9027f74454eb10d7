/* log.c - see log.h. Lines longer than the buffer are cut: one write per line keeps lines whole across threads. Control characters become
 * question marks: peers' words are in lines, and must not end one or steer a terminal.   (test: unit/common/log) */
#include "common/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"

static const char *const names[] = {"DEBUG", "INFO", "WARN", "ERROR", "OFF"};
enum log_level log_lowest = LOG_INFO;
static log_sink_fn *sink;
static void *sink_ctx;

void log_set_level(enum log_level lowest) { log_lowest = lowest; }

bool log_level_named(const char *name, enum log_level *out)
{
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        if (strcasecmp(name, names[i]) == 0) {
            *out = (enum log_level)i;
            return true;
        }
    return false;
}

void log_set_sink(log_sink_fn *fn, void *ctx)
{
    sink = fn;
    sink_ctx = ctx;
}

bool log_ok_now(int64_t *last_ms, int64_t every_ms)
{
    int64_t now = clock_mono_ms();
    if (*last_ms != 0 && now - *last_ms < every_ms)
        return false;
    *last_ms = now;
    return true;
}

void log_line(enum log_level level, const char *area, const char *fmt, ...)
{
    char line[1024];
    size_t n = 0;
    if (sink == NULL) {
        int64_t now = clock_wall_ms();
        time_t s = (time_t)(now / 1000);
        struct tm tm;
        gmtime_r(&s, &tm);
        n = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &tm);
        n += (size_t)snprintf(line + n, sizeof line - n, ".%03dZ %s %s ", (int)(now % 1000), names[level], area);
    }
    va_list ap;
    va_start(ap, fmt);
    int more = vsnprintf(line + n, sizeof line - n - 1, fmt, ap);
    va_end(ap);
    size_t from = n;
    if (more > 0)
        n = n + (size_t)more < sizeof line - 2 ? n + (size_t)more : sizeof line - 2;
    for (size_t i = from; i < n; i++)
        if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
            line[i] = '?';
    if (sink != NULL) {
        line[n] = '\0';
        sink(sink_ctx, level, area, line);
        return;
    }
    line[n++] = '\n';
    if (write(STDERR_FILENO, line, n) < 0)
        return; /* nowhere left to say so */
}
