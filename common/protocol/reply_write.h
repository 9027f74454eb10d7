/* reply_write.h - the parts of an answer's header that are always the same, written in place: for reply.c, and for who writes a frequent
 * answer without filling in a struct reply first (broker/ack/ack_answer.c).
 * The caller has the room: REPLY_*_ROOM, for each ext field REPLY_*_FIELD and its key and value, and the remark. Each returns the end. */
#ifndef COMMON_PROTOCOL_REPLY_WRITE_H
#define COMMON_PROTOCOL_REPLY_WRITE_H
#include "common/base/buf.h"
#include "common/protocol/codes.h"
#include "common/protocol/command.h"
#include "common/protocol/rd.h"

/* Apache's brokers say JAVA, and so do we: some clients compare it with the names they know. */
enum { OUR_LANGUAGE = LANGUAGE_JAVA };
enum { REPLY_FRAME = 8, REPLY_JSON_ROOM = 128 + 3 * I64_TEXT_MAX, REPLY_JSON_FIELD = 6, REPLY_BINARY_ROOM = 21, REPLY_BINARY_FIELD = 6 };

#define PUT_TEXT(at, literal) put_text(at, literal, sizeof(literal) - 1)

/* Both length words of a frame without a body, whose header is [frame + REPLY_FRAME, end). */
static inline void reply_frame(uint8_t *frame, const uint8_t *end, enum serialize s)
{
    uint32_t header_n = (uint32_t)(end - frame - REPLY_FRAME);
    put_u32(frame, 4 + header_n);
    put_u32(frame + 4, (uint32_t)s << 24 | header_n);
}

/* ---- JSON: members in fastjson's order, alphabetical; between these come ext fields and a remark ---- */
static inline uint8_t *reply_json_code(uint8_t *at, int32_t code) { return i64_text(PUT_TEXT(at, "{\"code\":"), code); }
static inline uint8_t *reply_json_opaque(uint8_t *at, int32_t opaque)
{
    return i64_text(PUT_TEXT(at, ",\"flag\":1,\"language\":\"JAVA\",\"opaque\":"), opaque);
}
static inline uint8_t *reply_json_version(uint8_t *at)
{
    at = PUT_TEXT(at, ",\"serializeTypeCurrentRPC\":\"JSON\",\"version\":");
    const uint8_t digits[] = {'0' + MQ_VERSION_OURS / 100, '0' + MQ_VERSION_OURS / 10 % 10, '0' + MQ_VERSION_OURS % 10, '}'};
    return put_text(at, digits, sizeof digits);
}
_Static_assert(COMMAND_RESPONSE == 1 && (int)OUR_LANGUAGE == (int)LANGUAGE_JAVA, "the text above says so");
_Static_assert(MQ_VERSION_OURS >= 100 && MQ_VERSION_OURS <= 999, "three digits");

/* ---- binary ---- */
static inline uint8_t *reply_binary_begin(uint8_t *at, int32_t code, int32_t opaque, size_t remark_n) /* the remark comes next, then u32 bytes of ext */
{
    put_u16(at, (uint16_t)code);
    at[2] = OUR_LANGUAGE;
    put_u16(at + 3, MQ_VERSION_OURS);
    put_u32(at + 5, (uint32_t)opaque);
    put_u32(at + 9, COMMAND_RESPONSE);
    put_u32(at + 13, (uint32_t)remark_n);
    return at + 17;
}
static inline uint8_t *reply_binary_key(uint8_t *at, const void *key, size_t n) /* u32 bytes of the value, and the value, come next */
{
    put_u16(at, (uint16_t)n);
    return put_text(at + 2, key, n);
}
static inline uint8_t *reply_binary_value(uint8_t *at, struct slice value)
{
    put_u32(at, (uint32_t)value.n);
    return put_text(at + 4, value.p, value.n);
}
#endif
