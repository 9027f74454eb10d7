/* view.h - stored messages as mqadmin shows them.
 * Thread: main. A view borrows the bytes it was made from; its body is inflated when it came compressed. */
#ifndef CLIENT_ADMIN_MQADMIN_VIEW_H
#define CLIENT_ADMIN_MQADMIN_VIEW_H
#include "client/admin/mqadmin/lookup.h"
#include "common/protocol/message.h"

struct view {
    struct message m;
    struct slice body;
    uint8_t *inflated;
    struct known_props known;
    const char *broker;               /* whom it was pulled from; NULL: not pulled */
    int64_t min_offset, max_offset;   /* of its queue, when it was pulled */
    char offset_id[MESSAGE_ID_MAX];
    char msg_id[256];                 /* the producer's unique id, else the offset id */
};
/* The next message of an answer's body. False at the end, or (fail() was called) when the bytes are none. End with view_free(). */
bool view_next(struct mqadmin *m, struct slice *rest, struct view *out);
void view_free(struct view *v);
void view_store_addr(const struct view *v, struct buf *out);          /* 127.0.0.1:10911, with a NUL */
void view_line(const struct view *v, bool body);                      /* one line, with all its properties */
/* Line by line, its body into a file, and what each consumer group did with it. by_id: the offset id comes first. index > 0: ends the file's name. */
bool view_details(struct mqadmin *m, const struct view *v, bool by_id, int index);
#endif
