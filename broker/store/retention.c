/* retention.c - which files of the log go: pure functions of the clock, the disk and the files' ages. The loop is retention_loop.c.
 *
 *   I1  the last file never goes, nor one behind a file that stays: the log keeps no holes.  (test: unit/retention decide, ...)
 *   I2  what is not known (a failed stat or statvfs) never lets a file go.
 * As in Apache, the force percentage alone allows nothing: it drops the question of age in a round that hour, clean percentage or a
 * person allowed. With the defaults (75, 85) it implies the clean percentage. */
#include <time.h>

#include "broker/store/retention.h"

const char *retention_why_name(enum retention_why why)
{
    static const char *const names[] = {
        [RETENTION_NOTHING] = "nothing", [RETENTION_HOUR] = "hour", [RETENTION_SPACE] = "space", [RETENTION_MANUAL] = "manual", [RETENTION_FORCED] = "forced",
    };
    return (unsigned)why < sizeof names / sizeof *names ? names[why] : "?";
}

static bool beyond(double ratio, unsigned percent) { return ratio > (double)percent / 100.0; } /* a negative one is not */

static bool either_beyond(double log_ratio, double queue_ratio, unsigned percent)
{
    return beyond(log_ratio, percent) || beyond(queue_ratio, percent);
}

static enum retention_why reason(const struct retention_rule *rule, const struct retention_facts *facts)
{
    bool hour = facts->hour >= 0 && facts->hour < 24 && (rule->delete_hours >> facts->hour & 1) != 0;
    bool space = either_beyond(facts->log_ratio, facts->queue_ratio, rule->clean_percent);
    if (!hour && !space && !facts->manual)
        return RETENTION_NOTHING;
    if (either_beyond(facts->log_ratio, facts->queue_ratio, rule->force_percent))
        return RETENTION_FORCED;
    return hour ? RETENTION_HOUR : space ? RETENTION_SPACE : RETENTION_MANUAL;
}

static bool is_old(const struct retention_file *f, int64_t now_ms, int64_t reserved_ms)
{
    int64_t until;
    return f->modified_ms >= 0 && !__builtin_add_overflow(f->modified_ms, reserved_ms, &until) && now_ms >= until;
}

size_t retention_expired(const struct retention_rule *rule, const struct retention_facts *facts, const struct retention_file *files, size_t n,
                         enum retention_why *why)
{
    enum retention_why because = reason(rule, facts);
    size_t go = 0;
    if (because != RETENTION_NOTHING)
        while (go + 1 < n && go < RETENTION_ROUND_FILES && (because == RETENTION_FORCED || is_old(&files[go], facts->now_ms, rule->reserved_ms)))
            go++;
    if (why != NULL)
        *why = because;
    return go;
}

bool retention_full(const struct retention_rule *rule, double log_ratio, double queue_ratio)
{
    return either_beyond(log_ratio, queue_ratio, rule->stop_percent);
}

double retention_ratio(uint64_t free_bytes, uint64_t total_bytes)
{
    if (total_bytes == 0)
        return -1;
    uint64_t used = free_bytes < total_bytes ? total_bytes - free_bytes : 0;
    while (total_bytes > UINT64_MAX / 100) { /* 164 PiB and more: precision is no question */
        total_bytes >>= 1;
        used >>= 1;
    }
    uint64_t percent = used * 100 / total_bytes + (used * 100 % total_bytes != 0);
    return (double)percent / 100.0;
}

int retention_hour(int64_t now_ms)
{
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm tm;
    return localtime_r(&seconds, &tm) != NULL ? tm.tm_hour : -1;
}
