/* data_version.c - DataVersion to and from JSON. */
#include "broker/metadata/data_version.h"

void data_version_write(struct jw *w, const struct data_version *v)
{
    jw_object(w);
    jw_kv_i64(w, "counter", v->counter);
    jw_kv_i64(w, "timestamp", v->timestamp_ms);
    jw_end_object(w);
}

struct data_version data_version_read(const json_t *object)
{
    return (struct data_version){.timestamp_ms = json_i64(object, "timestamp", 0), .counter = json_i64(object, "counter", 0)};
}
