/* round_due.h - when the next round over the consume queues begins, and whether it takes all of them: a decision without a disk.
 *
 * Apache's rule: each interval_ms the queues that have enough to sync (consume_queue.h: ripe ones), each thorough_ms all. A thousand queues with a
 * message a second each are a thousand files; so few units wait. Only a thorough round moves the place that the checkpoint vouches for,
 * hence what comes earlier than thorough_ms: a recovery that would have much to read again, a log file that retention may want, memory.
 * Thread: any; pure. */
#ifndef BROKER_STORE_ROUND_DUE_H
#define BROKER_STORE_ROUND_DUE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    ROUND_WAITING_EARLY = 16 << 20, /* bytes of units in memory: a round before its time */
    ROUND_BEHIND_MAX = 256 << 20    /* bytes of the log that a recovery would read to fill queues again */
};
struct round_rule {
    int64_t interval_ms, thorough_ms;
    uint64_t log_file_size;
};
struct round_facts {
    int64_t mono_ms;
    int64_t began_ms, thorough_ms; /* when the last round began, and the last thorough one */
    bool dirty, ripe;              /* some queue has something, or enough, to sync */
    bool owed;                     /* a round had to leave something: no room, files in other hands; or recovery left it to us */
    uint64_t safe_off, end_off;    /* the queues hold all units of records below safe_off; the end of what is written */
    size_t waiting;                /* bytes of units in memory */
};
struct round_due {
    int64_t in_ms; /* 0: now; INT64_MAX: nothing waits but for new units */
    bool thorough;
};
/* New units may make it earlier: ask again when there are some. */
struct round_due round_due(const struct round_rule *rule, const struct round_facts *f);
#endif
