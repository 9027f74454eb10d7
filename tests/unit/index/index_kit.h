/* index_kit.h - an index of small files on a fake disk, records for it, and what the log said meanwhile. */
#ifndef TESTS_UNIT_INDEX_KIT_H
#define TESTS_UNIT_INDEX_KIT_H
#include "broker/store/index.h"
#include "tests/lib/fake_disk.h"

enum { T0_S = 1700000000 };
#define T0 ((int64_t)T0_S * 1000)

struct said { /* lines since said_start() */
    int errors, warnings;
    char last[400];
};
void said_start(struct said *s); /* lines go here instead of to standard error, until said_stop() */
void said_stop(void);

/* A record of topic T at `place`, 10 bytes long. uniq, keys: NULL for none. buf[128] holds its properties. */
struct message record_of(char *buf, const char *uniq, const char *keys, int64_t place, int64_t ms);
void add(struct msg_index *x, const char *uniq, const char *keys, int64_t place, int64_t ms);
/* The places as text, newest first: "300 100 ". */
const char *found(struct msg_index *x, const char *key, int64_t begin_ms, int64_t end_ms);
const char *found_any(struct msg_index *x, const char *key); /* at any time */
struct msg_index *open_index(struct fake_disk *d, const struct store_exec *exec, uint32_t slots, uint32_t entries);
struct msg_index *open_after_crash(struct fake_disk *d, uint32_t slots, uint32_t entries, int64_t checkpoint_ms);
/* Names below index/, sorted, each with a blank behind. */
const char *file_names(struct fake_disk *d);
int file_count(struct fake_disk *d);
#endif
