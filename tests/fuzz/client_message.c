/* client_message.c - fuzz target: a record of a pull's body as users get it: properties as C strings, compressed bodies inflated within
 * a bound. Oracle: getters stay within the message, and what is encoded again holds the same properties. */
#include <string.h>

#include "client/core/message.h"
#include "tests/fuzz/fuzz.h"

enum { INFLATED_MAX = 100000 };

static void count(void *arg, const char *name, const char *value)
{
    CHECK(name[0] != '\0' && value[0] != '\0');
    ++*(size_t *)arg;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct message record;
    bool bad;
    if (message_decode(slice_make(data, n), false, &record) != MQ_OK)
        return 0;
    struct cmq_message *m = message_received(&record, "broker-a", INFLATED_MAX, &bad);
    CHECK(m != NULL || bad);
    if (m == NULL)
        return 0;
    size_t body_n, pairs = 0, again = 0;
    const char *body = cmq_message_body(m, &body_n);
    CHECK(body_n <= INFLATED_MAX + 65536 || body_n == record.body.n);
    CHECK(body[body_n] == '\0'); /* one byte behind the end is ours */
    CHECK(strlen(cmq_message_topic(m)) <= record.topic.n);
    cmq_message_properties(m, count, &pairs);
    struct buf text = {0};
    struct slice rest, name, value;
    message_props_encode(m, &text);
    rest = buf_view(&text);
    while (prop_next(&rest, &name, &value))
        again++;
    CHECK(pairs == again);
    struct cmq_message *copy = cmq_message_copy(m);
    CHECK(copy != NULL && strcmp(cmq_message_id(copy), cmq_message_id(m)) == 0);
    cmq_message_free(copy);
    cmq_message_free(m);
    buf_free(&text);
    return 0;
}
