/* command.c - fuzz target: a frame behind its length word, with either header. Oracle: command.h. */
#include "tests/fuzz/command.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    command_oracle(slice_make(data, n));
    return 0;
}
