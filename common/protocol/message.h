/* message.h - a message as a record of the commit log, which is also its form on the wire.
 * Layout: docs/store-format.md. Thread: any; pure. Offsets: phys_off bytes in the log, queue_off messages in a queue. */
#ifndef COMMON_PROTOCOL_MESSAGE_H
#define COMMON_PROTOCOL_MESSAGE_H
#include <stdbool.h>
#include <stdint.h>
#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/slice.h"

#define MESSAGE_MAGIC_V1 0xDAA320A7u
#define MESSAGE_MAGIC_V2 0xDAA320ABu
#define MESSAGE_MAGIC_BLANK 0xCBD43194u
enum {
    MESSAGE_TOPIC_MAX = 127,         /* bytes; V1 writes the length as a signed byte */
    MESSAGE_PROPERTIES_MAX = 32767,  /* bytes of the encoded properties */
    MESSAGE_FIXED = 91,              /* bytes of a V1 record without topic, body, properties and IPv6 */
    MESSAGE_BLANK_MIN = 8,           /* bytes kept free at a file's end for the BLANK record */
    PROP_SEP_NAME = 1, PROP_SEP_PAIR = 2
};

struct host { /* an address inside a record */
    uint8_t ip[16];
    uint16_t port;
    bool v6;
};

struct known_props { /* what a store looks for among properties: the last of equal names; n == 0: absent */
    struct slice tags, keys, uniq_key;
};
struct message { /* all slices borrowed */
    uint32_t size;            /* of the whole record; encode: ignored, decode: filled */
    uint32_t body_crc;        /* CRC-32 & 0x7fffffff; encode: ignored (computed) */
    int32_t queue_id, flag, sys_flag, reconsume_times;
    int64_t queue_off, phys_off, born_ms, store_ms, prepared_off;
    struct host born, store;  /* their v6 bits follow sys_flag on decode, set sys_flag on encode */
    struct slice topic, body, properties;
    const struct known_props *known; /* slices of `properties`; NULL: nobody has looked. Not part of the record. */
};

size_t message_size(const struct message *m);                        /* bytes that message_encode() writes */
/* Writes a V1 record at out, which has message_size(m) bytes. The caller has checked topic and property lengths. */
void message_encode(const struct message *m, uint8_t *out);
void message_patch_place(uint8_t *record, int64_t queue_off, int64_t phys_off, int64_t store_ms); /* in an encoded record */
/* Decodes one V1 or V2 record at the start of `bytes`. MQ_EMALFORMED: bad magic, size or inner length; with check_crc also a
 * body whose CRC differs. MQ_ENOTFOUND: a BLANK record (out->size = its length) or a zero magic (out->size = 0): nothing here. */
enum mq_err message_decode(struct slice bytes, bool check_crc, struct message *out);

uint32_t crc32_of(struct slice s);        /* as java.util.zip.CRC32 */
int32_t java_hash(struct slice utf8);     /* String.hashCode() of the text: UTF-16 units, 32-bit overflow */
int64_t tags_code(struct slice tags);     /* 0 for none, else the hash sign-extended */

/* ---- properties: name 0x01 value 0x02 ...; a trailing 0x02 may be absent ---- */
bool prop_next(struct slice *rest, struct slice *name, struct slice *value); /* Java's rules: skips pairs it ignores */
bool prop_get(struct slice props, const char *name, struct slice *value);    /* the last of equal names, as a Java map */
void prop_add(struct buf *out, const char *name, struct slice value);        /* appends, with the separator before it when needed */
/* Copies props without `name`. */
void prop_copy_without(struct buf *out, struct slice props, const char *name);
void prop_known(struct slice props, struct known_props *out); /* in one pass */
#define PROP_KEYS "KEYS"
#define PROP_TAGS "TAGS"
#define PROP_WAIT "WAIT"
#define PROP_DELAY "DELAY"
#define PROP_RETRY_TOPIC "RETRY_TOPIC"
#define PROP_REAL_TOPIC "REAL_TOPIC"
#define PROP_REAL_QID "REAL_QID"
#define PROP_TRAN_MSG "TRAN_MSG"
#define PROP_PGROUP "PGROUP"
#define PROP_UNIQ_KEY "UNIQ_KEY"
#define PROP_CLUSTER "CLUSTER"
#define PROP_MSG_REGION "MSG_REGION"
#define PROP_TRACE_ON "TRACE_ON"

/* ---- ids: upper-case hex of ip, port (4 bytes), phys_off: 32 digits, 56 with IPv6 ---- */
enum { MESSAGE_ID_MAX = 57 };
size_t message_id(const struct host *store, int64_t phys_off, char out[MESSAGE_ID_MAX]); /* its length; a NUL follows */
/* The half that all ids of a broker have in common, its length; and the other half, 16 digits behind it. No NUL. */
size_t message_id_host(const struct host *store, char out[MESSAGE_ID_MAX]);
char *message_id_place(int64_t phys_off, char *at);
bool message_id_decode(struct slice id, struct host *store, int64_t *phys_off);

/* ---- body of a batch send (320): u32 size, u32 magic, u32 crc, i32 flag, u32 n, body, u16 n, properties; repeated ---- */
struct batch_item {
    int32_t flag;
    struct slice body, properties;
};
enum { BATCH_ITEM_MIN = 22 };
enum mq_err batch_next(struct slice *rest, struct batch_item *out); /* MQ_ENOTFOUND at the end, MQ_EMALFORMED, which leaves *rest as it is */
size_t batch_count(struct slice rest); /* how many there are by their sizes alone: at least as many as batch_next() gives */

/* ---- names ---- */
/* Letters, digits, _ - % | and at most `max` bytes, at least one. */
bool name_valid(struct slice name, size_t max);
#define RETRY_PREFIX "%RETRY%"
#define DLQ_PREFIX "%DLQ%"
#endif
