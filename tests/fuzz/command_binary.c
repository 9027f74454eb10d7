/* command_binary.c - fuzz target: the binary header of a command. Oracle: command.h. */
#include "tests/fuzz/command.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    command_header_oracle(SERIALIZE_BINARY, data, n);
    return 0;
}
