/* data_version.h - Apache's DataVersion: who compares two tables compares these. Thread: core. */
#ifndef BROKER_METADATA_DATA_VERSION_H
#define BROKER_METADATA_DATA_VERSION_H
#include <stdint.h>
#include "common/protocol/json.h"

struct data_version {
    int64_t timestamp_ms; /* of the last change */
    int64_t counter;      /* of changes */
};
/* The time never goes back: what is newer by both is newer (change_log.h), although somebody sets the clock. */
static inline void data_version_next(struct data_version *v, int64_t now_ms)
{
    if (now_ms > v->timestamp_ms)
        v->timestamp_ms = now_ms;
    v->counter++;
}
void data_version_write(struct jw *w, const struct data_version *v); /* {"counter":1,"timestamp":2} */
struct data_version data_version_read(const json_t *object);         /* zero when absent */
#endif
