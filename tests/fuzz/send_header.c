/* send_header.c - fuzz target: the header of a send. Bytes: the code's choice, then fields "name 0x01 value 0x02 ...".
 * Oracle: a refusal has words that name a field; what is accepted has a topic and lies within the command. */
#include "broker/processor/send_header.h"
#include "common/protocol/codes.h"
#include "common/protocol/message.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const int32_t codes[] = {REQ_SEND_MESSAGE, REQ_SEND_MESSAGE_V2, REQ_SEND_BATCH_MESSAGE};
    struct ext_field ext[COMMAND_EXT_MAX];
    struct command cmd = {.ext = ext};
    struct send_header h = {0};
    char bad[160] = "";
    uint8_t choice;
    if (!fuzz_choice(&data, &n, &choice))
        return 0;
    cmd.code = codes[choice % 3];
    struct slice whole = slice_make(data, n), rest = whole;
    while (cmd.n_ext < COMMAND_EXT_MAX && prop_next(&rest, &ext[cmd.n_ext].key, &ext[cmd.n_ext].value))
        cmd.n_ext++;
    if (send_header_read(&cmd, &h, bad)) {
        CHECK(h.topic.n > 0 && slice_within(h.topic, whole) && slice_within(h.group, whole) && slice_within(h.default_topic, whole));
        CHECK(slice_within(h.properties, whole));
    } else {
        CHECK(strncmp(bad, "field ", 6) == 0);
    }
    return 0;
}
