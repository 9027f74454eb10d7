/* message_id.c - fuzz target: the id of a message. Oracle: an id that decodes and is written has the same length, and is the same id but
 * for the case of its digits and ports beyond 65535; garbage leaves no id. */
#include "common/protocol/message.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct host h = {0}, h2 = {0};
    int64_t off, off2;
    char id[MESSAGE_ID_MAX];
    if (!message_id_decode(slice_make(data, n), &h, &off))
        return 0;
    CHECK(n == 32 || n == 56);
    message_id(&h, off, id);
    CHECK(strlen(id) == n && message_id_decode(slice_str(id), &h2, &off2));
    CHECK(off == off2 && h.port == h2.port && h.v6 == h2.v6 && memcmp(h.ip, h2.ip, sizeof h.ip) == 0);
    for (size_t i = 0; i < n; i++) {
        size_t port = n - 24; /* digits of its two high bytes are not kept */
        uint8_t c = data[i] >= 'a' ? (uint8_t)(data[i] - 32) : data[i];
        CHECK(c == (uint8_t)id[i] || (i >= port && i < port + 4));
    }
    return 0;
}
