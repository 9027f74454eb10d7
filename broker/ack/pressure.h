/* pressure.h - whether the disk is so far behind that sends must wait, and how long sends did wait. Pure. Thread: core. */
#ifndef BROKER_ACK_PRESSURE_H
#define BROKER_ACK_PRESSURE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pressure {
    PRESSURE_NONE,
    PRESSURE_STORE,    /* the store takes nothing now: its next file is being made, or queues wait to be written */
    PRESSURE_SYNCS,    /* too many sends wait for a sync */
    PRESSURE_UNFLUSHED /* too many bytes are written and not flushed: soon the kernel would stop our writes, and with them everybody */
};
struct pressure_figures {
    size_t syncs, syncs_max;           /* sends that wait for a sync */
    uint64_t unflushed, unflushed_max; /* bytes of the log */
    bool store_busy;
};
/* From now on. What pressed before goes on until a quarter of its bound is free again, so that it is not for each send anew. */
enum pressure pressure_of(enum pressure before, const struct pressure_figures *f);
const char *pressure_name(enum pressure p);

enum { WAITS_SLOTS = 6, WAITS_SLOT_MS = 10000 };
struct waits { /* zeroed: nobody waited yet */
    int64_t longest_ms;
    struct {
        int64_t at, longest_ms; /* at: mono_ms / WAITS_SLOT_MS */
    } slots[WAITS_SLOTS];
};
void waits_note(struct waits *w, int64_t mono_ms, int64_t waited_ms);
int64_t waits_last_minute(const struct waits *w, int64_t mono_ms); /* the longest that ended within the last 50 to 60 s; 0: none */
#endif
