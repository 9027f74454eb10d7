/* message.c - records of the commit log: bytes to struct and back; ids, names, hashes. Properties are in properties.c.
 *   I1  message_encode() writes exactly message_size() bytes.                       (test: unit/common/message)
 *   I2  message_decode() reads nothing beyond the record's own size.                (test: fuzz/message) */
#include "common/protocol/message.h"

#include <isa-l/crc.h>

#include "common/protocol/codes.h"
#include "common/protocol/rd.h"

uint32_t crc32_of(struct slice s) { return s.n == 0 ? 0 : crc32_gzip_refl(0, s.p, s.n); }

/* ---- records ---- */

static size_t host_size(const struct host *h) { return h->v6 ? 20 : 8; }

size_t message_size(const struct message *m)
{
    return MESSAGE_FIXED - 16 + host_size(&m->born) + host_size(&m->store) + m->body.n + m->topic.n + m->properties.n;
}

static uint8_t *put_host(uint8_t *at, const struct host *h)
{
    size_t n = h->v6 ? 16 : 4;
    memcpy(at, h->ip, n);
    put_u32(at + n, h->port);
    return at + n + 4;
}

void message_encode(const struct message *m, uint8_t *out)
{
    int32_t sys_flag = m->sys_flag & ~(SYS_BORN_HOST_V6 | SYS_STORE_HOST_V6);
    sys_flag |= (m->born.v6 ? SYS_BORN_HOST_V6 : 0) | (m->store.v6 ? SYS_STORE_HOST_V6 : 0);
    put_u32(out, (uint32_t)message_size(m));
    put_u32(out + 4, MESSAGE_MAGIC_V1);
    put_u32(out + 8, crc32_of(m->body) & 0x7fffffff);
    put_u32(out + 12, (uint32_t)m->queue_id);
    put_u32(out + 16, (uint32_t)m->flag);
    put_u64(out + 20, (uint64_t)m->queue_off);
    put_u64(out + 28, (uint64_t)m->phys_off);
    put_u32(out + 36, (uint32_t)sys_flag);
    put_u64(out + 40, (uint64_t)m->born_ms);
    uint8_t *at = put_host(out + 48, &m->born);
    put_u64(at, (uint64_t)m->store_ms);
    at = put_host(at + 8, &m->store);
    put_u32(at, (uint32_t)m->reconsume_times);
    put_u64(at + 4, (uint64_t)m->prepared_off);
    put_u32(at + 12, (uint32_t)m->body.n);
    at += 16;
    if (m->body.n > 0)
        memcpy(at, m->body.p, m->body.n);
    at += m->body.n;
    *at++ = (uint8_t)m->topic.n;
    at = put_text(at, m->topic.p, m->topic.n);
    put_u16(at, (uint16_t)m->properties.n);
    if (m->properties.n > 0)
        memcpy(at + 2, m->properties.p, m->properties.n);
}

void message_patch_place(uint8_t *record, int64_t queue_off, int64_t phys_off, int64_t store_ms)
{
    put_u64(record + 20, (uint64_t)queue_off);
    put_u64(record + 28, (uint64_t)phys_off);
    bool born_v6 = (record[39] & SYS_BORN_HOST_V6) != 0;
    put_u64(record + (born_v6 ? 68 : 56), (uint64_t)store_ms);
}

static struct host take_host(struct rd *r, bool v6)
{
    struct host h = {.v6 = v6};
    const uint8_t *ip = rd_take(r, v6 ? 16 : 4);
    if (ip != NULL)
        memcpy(h.ip, ip, v6 ? 16 : 4);
    h.port = (uint16_t)rd_u32(r);
    return h;
}

enum mq_err message_decode(struct slice bytes, bool check_crc, struct message *out)
{
    struct rd r = rd_slice(bytes);
    struct message m = {.size = rd_u32(&r)};
    uint32_t magic = rd_u32(&r);
    if (r.bad)
        return MQ_EMALFORMED;
    if (magic == MESSAGE_MAGIC_BLANK || magic == 0) {
        m.size = magic == 0 ? 0 : m.size;
        *out = m;
        return MQ_ENOTFOUND;
    }
    if ((magic != MESSAGE_MAGIC_V1 && magic != MESSAGE_MAGIC_V2) || m.size < MESSAGE_FIXED || m.size > bytes.n)
        return MQ_EMALFORMED;
    r.end = bytes.p + m.size;
    m.body_crc = rd_u32(&r);
    m.queue_id = rd_i32(&r);
    m.flag = rd_i32(&r);
    m.queue_off = rd_i64(&r);
    m.phys_off = rd_i64(&r);
    m.sys_flag = rd_i32(&r);
    m.born_ms = rd_i64(&r);
    m.born = take_host(&r, (m.sys_flag & SYS_BORN_HOST_V6) != 0);
    m.store_ms = rd_i64(&r);
    m.store = take_host(&r, (m.sys_flag & SYS_STORE_HOST_V6) != 0);
    m.reconsume_times = rd_i32(&r);
    m.prepared_off = rd_i64(&r);
    m.body = rd_bytes(&r, rd_u32(&r));
    m.topic = rd_bytes(&r, magic == MESSAGE_MAGIC_V2 ? rd_u16(&r) : rd_u8(&r));
    m.properties = rd_bytes(&r, rd_u16(&r));
    if (!rd_done(&r))
        return MQ_EMALFORMED;
    if (check_crc && m.body.n > 0 && (crc32_of(m.body) & 0x7fffffff) != m.body_crc)
        return MQ_EMALFORMED;
    *out = m;
    return MQ_OK;
}

size_t batch_count(struct slice rest)
{
    size_t n = 0;
    struct rd r = rd_slice(rest);
    for (uint32_t size; (size = rd_u32(&r)) >= BATCH_ITEM_MIN && rd_take(&r, size - 4) != NULL;)
        n++;
    return n;
}

enum mq_err batch_next(struct slice *rest, struct batch_item *out)
{
    if (rest->n == 0)
        return MQ_ENOTFOUND;
    struct rd r = rd_slice(*rest);
    uint32_t size = rd_u32(&r);
    if (r.bad || size < 4 || size > rest->n)
        return MQ_EMALFORMED;
    r.end = rest->p + size;
    rd_take(&r, 8); /* magic and CRC: not used */
    struct batch_item item = {.flag = rd_i32(&r)};
    item.body = rd_bytes(&r, rd_u32(&r));
    item.properties = rd_bytes(&r, rd_u16(&r));
    if (!rd_done(&r))
        return MQ_EMALFORMED;
    *out = item;
    *rest = slice_from(*rest, size);
    return MQ_OK;
}

/* ---- hashes ---- */

int32_t java_hash(struct slice s)
{
    uint32_t h = 0;
    for (size_t i = 0; i < s.n;) {
        uint8_t c = s.p[i];
        if (c < 0x80) {
            h = 31 * h + c;
            i++;
            continue;
        }
        unsigned more = c >= 0xf0 && c < 0xf5 ? 3 : c >= 0xe0 && c < 0xf0 ? 2 : c >= 0xc2 && c < 0xe0 ? 1 : 0;
        uint32_t u = more == 3 ? c & 7u : more == 2 ? c & 15u : c & 31u;
        bool good = more > 0 && s.n - i > more;
        for (unsigned k = 1; good && k <= more; k++) {
            good = (s.p[i + k] & 0xc0) == 0x80;
            u = u << 6 | (s.p[i + k] & 0x3fu);
        }
        if (!good) { /* Java decodes a bad byte as U+FFFD */
            h = 31 * h + 0xfffd;
            i++;
            continue;
        }
        i += more + 1;
        if (u >= 0x10000) {
            u -= 0x10000;
            h = 31 * h + (0xd800 + (u >> 10));
            u = 0xdc00 + (u & 0x3ff);
        }
        h = 31 * h + u;
    }
    return (int32_t)h;
}

int64_t tags_code(struct slice tags) { return tags.n == 0 ? 0 : java_hash(tags); }

/* ---- ids ---- */

/* Eight digits of v, all at once: its nibbles are spread to a byte each, and those above 9 are lifted to the letters. */
static char *put_hex(char *at, uint32_t v)
{
    uint64_t x = (uint64_t)(v >> 16) << 32 | (v & 0xffff);
    x = (x & 0x0000ff000000ff00u) << 8 | (x & 0x000000ff000000ffu);
    x = (x & 0x00f000f000f000f0u) << 4 | (x & 0x000f000f000f000fu);
    uint64_t letters = (x + 0x0606060606060606u) >> 4 & 0x0101010101010101u;
    put_u64((uint8_t *)at, x + 0x3030303030303030u + letters * ('A' - '9' - 1));
    return at + 8;
}

size_t message_id_host(const struct host *store, char out[MESSAGE_ID_MAX])
{
    char *at = out;
    struct rd ip = rd_over(store->ip, store->v6 ? 16 : 4);
    while (!rd_done(&ip))
        at = put_hex(at, rd_u32(&ip));
    at = put_hex(at, store->port);
    return (size_t)(at - out);
}

char *message_id_place(int64_t phys_off, char *at)
{
    at = put_hex(at, (uint32_t)((uint64_t)phys_off >> 32));
    return put_hex(at, (uint32_t)phys_off);
}

size_t message_id(const struct host *store, int64_t phys_off, char out[MESSAGE_ID_MAX])
{
    char *at = message_id_place(phys_off, out + message_id_host(store, out));
    *at = '\0';
    return (size_t)(at - out);
}

static int digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool message_id_decode(struct slice id, struct host *store, int64_t *phys_off)
{
    uint8_t raw[28];
    if (id.n != 32 && id.n != 56)
        return false;
    for (size_t i = 0; i < id.n / 2; i++) {
        int high = digit(id.p[2 * i]), low = digit(id.p[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        raw[i] = (uint8_t)(high << 4 | low);
    }
    struct rd r = rd_over(raw, id.n / 2);
    *store = take_host(&r, id.n == 56);
    *phys_off = rd_i64(&r);
    return true;
}

/* ---- names ---- */

bool name_valid(struct slice name, size_t max)
{
    if (name.n == 0 || name.n > max)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        uint8_t c = name.p[i];
        if (!((c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '_' || c == '-' || c == '%' || c == '|'))
            return false;
    }
    return true;
}
