/* local_offsets.h - a broadcasting member's own offsets: in memory, and in a file when a folder is named.
 * Thread: one owner. */
#ifndef CLIENT_OFFSET_LOCAL_OFFSETS_H
#define CLIENT_OFFSET_LOCAL_OFFSETS_H
#include "client/include/cmq.h"
#include "common/base/err.h"
#include "common/base/slice.h"

struct local_offsets;
/* dir "": memory only. Else dir/client_id/group/offsets.json is read when it exists. MQ_ENOMEM, MQ_EIO, MQ_EMALFORMED. */
enum mq_err local_offsets_open(const char *dir, const char *client_id, const char *group, struct local_offsets **out, struct fault *why);
void local_offsets_close(struct local_offsets *l); /* does not save; NULL allowed */
int64_t local_offsets_get(const struct local_offsets *l, const struct cmq_queue *q); /* -1: none */
bool local_offsets_put(struct local_offsets *l, const struct cmq_queue *q, int64_t queue_off);
enum mq_err local_offsets_save(struct local_offsets *l, struct fault *why); /* nothing to do: MQ_OK */
/* The file's content. Pure, but for *l. */
enum mq_err local_offsets_parse(struct local_offsets *l, struct slice json, struct fault *why);
#endif
