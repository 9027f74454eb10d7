/* queue_json.c - see queue_json.h. */
#include "common/protocol/queue_json.h"

void queue_json(struct jw *w, struct slice broker_name, struct slice topic, int32_t queue_id)
{
    jw_object(w);
    jw_kv_str(w, "brokerName", broker_name);
    jw_kv_i64(w, "queueId", queue_id);
    jw_kv_str(w, "topic", topic);
    jw_end_object(w);
}

void queue_json_key(struct jw *w, struct slice broker_name, struct slice topic, int32_t queue_id)
{
    struct buf key = {0};
    struct jw k = jw_over(&key, false);
    queue_json(&k, broker_name, topic, queue_id);
    w->out->failed = w->out->failed || key.failed;
    jw_key_raw(w, buf_view(&key));
    buf_free(&key);
}
