/* codes.c - names of codes, for logs and refusals. Linear look-up: never on a hot path. */
#include "common/protocol/codes.h"

#include <stddef.h>

struct named {
    int32_t code;
    const char *name;
};
#define NAMED(name, code) {code, #name},
static const struct named requests[] = {REQUEST_CODES(NAMED)};
static const struct named responses[] = {RESPONSE_CODES(NAMED)};
#undef NAMED

static const char *name_in(const struct named *all, size_t n, int32_t code)
{
    for (size_t i = 0; i < n; i++)
        if (all[i].code == code)
            return all[i].name;
    return "?";
}

const char *request_code_name(int32_t code) { return name_in(requests, sizeof requests / sizeof *requests, code); }
const char *response_code_name(int32_t code) { return name_in(responses, sizeof responses / sizeof *responses, code); }
