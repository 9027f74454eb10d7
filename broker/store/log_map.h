/* log_map.h - windows of the log's files that are mapped for reading: records are copied without a system call each.
 * Only what lies below `written` is asked for; whether an offset is still (or already) to be served is the caller's to know.
 * Thread: core. Units: bytes; offsets count from the start of the log. */
#ifndef BROKER_STORE_LOG_MAP_H
#define BROKER_STORE_LOG_MAP_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "broker/store/message_store.h"

enum {
    LOG_WINDOW = 16 << 20,     /* bytes of one; a window never spans two files */
    LOG_WINDOWS = 8,           /* so many at once */
    LOG_CHUNK = 64 << 10,      /* whether it is in memory is asked for so much at once ... */
    LOG_CHUNKS = LOG_WINDOW / LOG_CHUNK,
    LOG_MAP_READS = 16,        /* reads of a window, one after the other, from which on it is worth mapping */
    LOG_MAP_COUNTS = 64,       /* windows whose reads are counted */
    LOG_MAP_ASK_MS = 1000,     /* ... and believed for so long */
    LOG_MAP_IDLE_MS = 60000    /* unused for so long: unmapped */
};
struct log_window {
    const uint8_t *p;          /* NULL: free */
    uint64_t off;
    size_t n;
    uint64_t used;             /* log_map.clock when it was */
    int64_t used_ms;
    uint32_t in_memory[LOG_CHUNKS]; /* leading bytes of each chunk that were in memory when asked */
};
struct log_map {
    const struct store_io *io;     /* borrowed */
    const struct store_exec *exec; /* borrowed; where windows are unmapped. NULL: on the core thread */
    uint64_t file_size, clock;
    int64_t now_ms, asked_ms;  /* monotonic, as of the last tick */
    struct log_window *windows; /* LOG_WINDOWS; NULL: none was ever mapped */
    struct {
        uint64_t window;       /* its offset, + 1 */
        uint32_t reads;
    } counts[LOG_MAP_COUNTS];
};

void log_map_init(struct log_map *m, const struct store_io *io, const struct store_exec *exec, uint64_t file_size);
/* Copies n bytes of the log at off. Returns 0; -EAGAIN: not by this way, read them by a call (not worth a window, not in memory, no window to be
 * had); or another -errno: the medium failed. fd_of gives the descriptor of off's file, or -errno; asked when a window is made. */
int log_map_copy(struct log_map *m, void *to, size_t n, uint64_t off, int (*fd_of)(void *ctx, uint64_t off), void *ctx);
/* Unmaps what lies below, at once (what was on its way out may follow): files go away only when nobody holds them. */
void log_map_drop(struct log_map *m, uint64_t below);
void log_map_tick(struct log_map *m, int64_t mono_ms); /* now and then: forgets what was in memory, unmaps what nobody reads */
size_t log_map_windows(const struct log_map *m);       /* mapped now */
void log_map_fini(struct log_map *m); /* what was handed to exec must have run */
#endif
