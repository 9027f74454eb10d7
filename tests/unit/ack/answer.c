/* answer.c - what ack_write() puts into a connection is what the reply that ack_fill() fills in becomes, byte for byte. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "broker/ack/ack_queue.h"
#include "common/base/mem.h"
#include "common/protocol/codes.h"

static const char *region = "DefaultRegion";
static bool trace_on = true;

static struct slice id_of(const struct host *h)
{
    static char text[MESSAGE_ID_MAX];
    return slice_make(text, message_id_host(h, text));
}

static void expect_same(const struct ack *a, const struct host *host, int32_t code)
{
    const struct ack_setup setup = {.store_host = host, .region_id = &region, .trace_on = &trace_on};
    struct buf want = {0}, got = {0};
    struct reply r = {.code = code};
    buf_put(&want, "before", 6);
    buf_put(&got, "before", 6);
    ack_fill(a, &setup, &r);
    reply_encode(&r, &a->to, &want);
    ack_write(a, &setup, id_of(host), code, &got);
    cr_assert(!want.failed && !got.failed);
    cr_assert(got.n == want.n && memcmp(got.p, want.p, want.n) == 0, "%.*s\nis not\n%.*s", (int)got.n, (char *)got.p, (int)want.n, (char *)want.p);
    reply_free(&r);
    buf_free(&want);
    buf_free(&got);
}

static const struct host v4 = {.ip = {192, 0, 2, 7}, .port = 10911}, v6 = {.ip = {0x20, 1, 0xd, 0xb8, [15] = 9}, .port = 65535, .v6 = true};

TestSuite(answer);

Test(answer, a_plain_one_is_what_a_client_of_java_reads)
{
    const struct ack_setup setup = {.store_host = &v4, .region_id = &region, .trace_on = &trace_on};
    struct ack a = {.to = {.opaque = 77, .serialize = SERIALIZE_JSON}, .queue_id = 3, .queue_off = 1234567, .phys_off = 0x1122334455};
    struct buf out = {0};
    static const char want[] = "{\"code\":0,\"extFields\":{\"msgId\":\"C000020700002A9F0000001122334455\",\"queueId\":\"3\",\"queueOffset\":\"1234567\","
                               "\"MSG_REGION\":\"DefaultRegion\",\"TRACE_ON\":\"true\"},\"flag\":1,\"language\":\"JAVA\",\"opaque\":77,"
                               "\"serializeTypeCurrentRPC\":\"JSON\",\"version\":";
    ack_write(&a, &setup, id_of(&v4), RES_SUCCESS, &out);
    cr_assert(out.n > 8 + sizeof want && memcmp(out.p + 8, want, sizeof want - 1) == 0, "%.*s", (int)out.n - 8, (char *)out.p + 8);
    buf_free(&out);
}

Test(answer, any_ids_numbers_and_names_are_written_as_the_reply_would_be)
{
    static const char *const names[] = {"DefaultRegion", "", "eu", "a\"b", "back\\slash", "r\xc3\xa9gion", "a name of thirty-three characters", "tab\there", "\x7f"};
    static const int64_t numbers[] = {0, 1, 9, 10, 99, 100, 12345, 999999999, 1000000000, 0xffffffff, INT64_MAX, -1, -10, INT64_MIN};
    static const char id[ACK_ID_MAX + 1] = "7F00000100002A9F18B4AAC2000000010123456789abcdefghijklmnopqrstuvwxyz\"\\\x01\x80";
    srand(7);
    for (int i = 0; i < 20000; i++) {
        region = names[rand() % 9];
        trace_on = rand() % 2;
        struct ack a = {.queue_id = (int32_t)numbers[rand() % 14], .queue_off = numbers[rand() % 14], .phys_off = numbers[rand() % 14]};
        a.to = (struct ticket){.opaque = (int32_t)numbers[rand() % 14], .serialize = rand() % 2 ? SERIALIZE_JSON : SERIALIZE_BINARY, .oneway = rand() % 50 == 0};
        a.bare = rand() % 20 == 0;
        a.n_id = (uint8_t)(rand() % 3 == 0 ? rand() % (ACK_ID_MAX + 1) : rand() % 2 * 32);
        memcpy(a.id, id, a.n_id);
        a.long_id = rand() % 10 == 0 ? (char *)(uintptr_t)"a long id, or a short one" : NULL;
        a.ids = rand() % 5 == 0 ? (char *)(uintptr_t)"7F00000100002A9F0000000000000000,7F00000100002A9F0000000000000001" : NULL;
        expect_same(&a, rand() % 2 ? &v4 : &v6, (int32_t)numbers[rand() % 14]);
    }
}

Test(answer, the_ids_of_a_giant_batch_go_the_long_way_and_are_the_same)
{
    size_t n = (size_t)2 << 20;
    struct ack a = {.ids = mem_alloc(n + 1)};
    memset(a.ids, 'F', n);
    a.ids[n] = '\0';
    expect_same(&a, &v4, RES_SUCCESS);
    a.to.serialize = SERIALIZE_BINARY;
    expect_same(&a, &v4, RES_SUCCESS);
    mem_free(a.ids);
}

Test(answer, without_memory_the_output_says_so_and_keeps_what_was_there)
{
    const struct ack_setup setup = {.store_host = &v4, .region_id = &region, .trace_on = &trace_on};
    struct ack a = {.queue_id = 1};
    for (int escapes = 0; escapes < 2; escapes++) {
        struct buf out = {0};
        region = escapes ? "a\"b" : "eu";
        buf_put(&out, "before", 6);
        out.cap = 6; /* full */
        mem_fail_after(1);
        ack_write(&a, &setup, id_of(&v4), RES_SUCCESS, &out);
        mem_fail_after(0);
        cr_assert(out.failed && out.n == 6 && memcmp(out.p, "before", 6) == 0);
        buf_free(&out);
    }
}
