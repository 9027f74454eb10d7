/* round_due.c - see round_due.h.
 *
 *   I1  what only a thorough round would sync wakes nobody before that is due.       (tests: unit/store round_due, integration/lifecycle)
 *   I2  a log file that is full waits an interval at most until its units are safe, so that it can expire.   (test: unit/store round_due)
 *   I3  two rounds begin an interval apart, unless memory runs short; and so they do where a disk has no room. */
#include "broker/store/round_due.h"

static int64_t left(int64_t since_ms, int64_t interval_ms, int64_t mono_ms)
{
    int64_t ms = since_ms + interval_ms - mono_ms;
    return ms < 0 ? 0 : ms;
}

static bool much_behind(const struct round_rule *rule, const struct round_facts *f)
{
    if (f->end_off <= f->safe_off)
        return false;
    return f->end_off - f->safe_off >= ROUND_BEHIND_MAX || f->end_off / rule->log_file_size != f->safe_off / rule->log_file_size;
}

struct round_due round_due(const struct round_rule *rule, const struct round_facts *f)
{
    if (!f->dirty)
        return (struct round_due){INT64_MAX, false};
    if (f->waiting > ROUND_WAITING_EARLY && !f->owed)
        return (struct round_due){0, true};
    int64_t next = left(f->began_ms, rule->interval_ms, f->mono_ms), thorough = left(f->thorough_ms, rule->thorough_ms, f->mono_ms);
    if (thorough < next || f->owed || much_behind(rule, f))
        thorough = next;
    if (f->ripe && next < thorough)
        return (struct round_due){next, false};
    return (struct round_due){thorough, true};
}
