/* pressure.c - bounds with a low mark, and a maximum that forgets.
 *   I1  at its bound a figure presses, and then until it is below three quarters of it.   (test: unit/ack/pressure)
 *   I2  a wait is told for a minute, to within a slot. */
#include "broker/ack/pressure.h"

static uint64_t mark(uint64_t max, bool pressed) { return pressed ? max - max / 4 : max; }

enum pressure pressure_of(enum pressure before, const struct pressure_figures *f)
{
    if (f->store_busy)
        return PRESSURE_STORE;
    if (f->syncs > 0 && f->syncs >= mark(f->syncs_max, before == PRESSURE_SYNCS))
        return PRESSURE_SYNCS;
    if (f->unflushed > 0 && f->unflushed >= mark(f->unflushed_max, before == PRESSURE_UNFLUSHED))
        return PRESSURE_UNFLUSHED;
    return PRESSURE_NONE;
}

const char *pressure_name(enum pressure p)
{
    static const char *const names[] = {[PRESSURE_NONE] = "none", [PRESSURE_STORE] = "store", [PRESSURE_SYNCS] = "syncs",
                                        [PRESSURE_UNFLUSHED] = "unflushed"};
    return names[p];
}

void waits_note(struct waits *w, int64_t mono_ms, int64_t waited_ms)
{
    int64_t at = mono_ms / WAITS_SLOT_MS;
    if (waited_ms > w->longest_ms)
        w->longest_ms = waited_ms;
    if (w->slots[at % WAITS_SLOTS].at != at) {
        w->slots[at % WAITS_SLOTS].at = at;
        w->slots[at % WAITS_SLOTS].longest_ms = 0;
    }
    if (waited_ms > w->slots[at % WAITS_SLOTS].longest_ms)
        w->slots[at % WAITS_SLOTS].longest_ms = waited_ms;
}

int64_t waits_last_minute(const struct waits *w, int64_t mono_ms)
{
    int64_t at = mono_ms / WAITS_SLOT_MS, longest_ms = 0;
    for (int i = 0; i < WAITS_SLOTS; i++)
        if (at - w->slots[i].at < WAITS_SLOTS && w->slots[i].longest_ms > longest_ms)
            longest_ms = w->slots[i].longest_ms;
    return longest_ms;
}
