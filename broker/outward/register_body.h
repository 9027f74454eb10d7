/* register_body.h - what a broker tells a name server about itself: header and body of 103, header of 104 and 322.
 * Thread: any; pure. */
#ifndef BROKER_OUTWARD_REGISTER_BODY_H
#define BROKER_OUTWARD_REGISTER_BODY_H
#include "broker/metadata/topics.h"
#include "common/base/buf.h"
#include "common/protocol/command.h"

struct register_identity { /* strings borrowed */
    const char *cluster_name, *broker_name, *addr, *ha_addr;
    int64_t broker_id;
};
enum { REGISTER_EXT_MAX = 8 };
struct register_header { /* ext fields and the room of their values; stays where it is while a command points into it */
    struct ext_field ext[REGISTER_EXT_MAX];
    uint32_t n;
    char id[24], crc[16];
};
/* names: NUL-terminated topic names one behind the other, NULL: all topics. Names that are no topics any more are left out.
 * permission: of the broker; where it lacks reading or writing it takes the place of each topic's own, as in Apache 4.x.
 * compressed: the deflated frames of inventory e.9 instead of JSON. Failure shows in out->failed. */
void register_body(const struct topics *t, const struct buf *names, int32_t permission, bool compressed, struct buf *out);
void register_header(struct register_header *h, const struct register_identity *who, bool compressed, struct slice body);
void unregister_header(struct register_header *h, const struct register_identity *who); /* 104 and 322 */
#endif
