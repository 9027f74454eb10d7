/* command_json.c - fuzz target: the JSON header of a command. Oracle: command.h, and that blanks between tokens change nothing: with them
 * none of the decoder's quick ways applies, so the general one is held against them. */
#include "tests/fuzz/command.h"

/* A blank in front of everything that separates. Within a string nothing is touched. */
static void spaced(struct slice json, struct buf *out)
{
    bool within = false;
    for (size_t i = 0; i < json.n; i++) {
        uint8_t c = json.p[i];
        if (!within && memchr("{}[],:\"", c, 7) != NULL)
            buf_u8(out, ' ');
        buf_u8(out, c);
        if (within && c == '\\' && i + 1 < json.n)
            buf_u8(out, json.p[++i]);
        else if (c == '"')
            within = !within;
    }
}

static enum mq_err decode(struct slice header, struct arena *arena, struct buf *frame, struct command *out)
{
    struct fault why = {0};
    buf_u32(frame, (uint32_t)header.n);
    buf_slice(frame, header);
    CHECK(!frame->failed);
    return command_decode(buf_view(frame), arena, out, &why);
}

static void blanks_change_nothing(struct slice header)
{
    struct arena arena = {0};
    struct buf blanks = {0}, a_frame = {0}, b_frame = {0};
    struct command a, b;
    spaced(header, &blanks);
    if (blanks.n <= 0xffffff) {
        enum mq_err err = decode(header, &arena, &a_frame, &a);
        CHECK(decode(buf_view(&blanks), &arena, &b_frame, &b) == err);
        if (err == MQ_OK)
            commands_equal(&a, &b);
    }
    arena_fini(&arena);
    buf_free(&blanks);
    buf_free(&a_frame);
    buf_free(&b_frame);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    command_header_oracle(SERIALIZE_JSON, data, n);
    blanks_change_nothing(slice_make(data, n));
    return 0;
}
