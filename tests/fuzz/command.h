/* command.h - what holds for every command that decodes, shared by the targets of its two headers. */
#ifndef TESTS_FUZZ_COMMAND_H
#define TESTS_FUZZ_COMMAND_H
#include "common/protocol/command.h"
#include "tests/fuzz/fuzz.h"

static inline void commands_equal(const struct command *a, const struct command *b)
{
    CHECK(a->code == b->code && a->version == b->version && a->opaque == b->opaque && a->flag == b->flag && a->language == b->language);
    CHECK(a->serialize == b->serialize && a->n_ext == b->n_ext && slice_eq(a->remark, b->remark) && slice_eq(a->body, b->body));
    for (uint32_t i = 0; i < a->n_ext; i++)
        CHECK(slice_eq(a->ext[i].key, b->ext[i].key) && slice_eq(a->ext[i].value, b->ext[i].value));
}

/* Encodes and decodes; the frame's bytes stay in `bytes`. False: too large for a frame, which encode says, too. */
static inline bool command_again(const struct command *c, struct arena *arena, struct buf *bytes, struct command *out)
{
    struct fault why = {0};
    command_encode(c, bytes);
    if (bytes->failed)
        return false;
    struct slice frame = slice_from(buf_view(bytes), 4);
    CHECK(bytes->n >= 8 && ((uint32_t)bytes->p[0] << 24 | (uint32_t)bytes->p[1] << 16 | (uint32_t)bytes->p[2] << 8 | bytes->p[3]) == frame.n);
    CHECK(command_decode(frame, arena, out, &why) == MQ_OK);
    return true;
}

/* Decodes one frame (without its length word). What decodes is written and read again: the numbers and the count of fields are the
 * same, and from the second time on everything is (JSON replaces bytes that are no UTF-8 once). */
static inline void command_oracle(struct slice frame)
{
    struct arena arena = {0};
    struct buf first = {0}, second = {0};
    struct fault why = {0};
    struct command untouched = {.code = 77, .n_ext = 78}, c = untouched, d, e;
    enum mq_err err = command_decode(frame, &arena, &c, &why);
    if (err != MQ_OK) {
        CHECK(err == MQ_EMALFORMED || err == MQ_ELIMIT || err == MQ_ENOMEM);
        CHECK(why.what[0] != '\0' && c.code == untouched.code && c.n_ext == untouched.n_ext);
    } else {
        struct fields f = fields_of(&c);
        CHECK(slice_within(c.body, frame) && c.n_ext <= COMMAND_EXT_MAX);
        (void)field_i32(&f, "a"), (void)field_i64_or(&f, "queueId", 1), (void)field_str(&f, "topic"), (void)field_bool_or(&f, "l", false);
        if (command_again(&c, &arena, &first, &d)) {
            CHECK(c.code == d.code && c.version == d.version && c.opaque == d.opaque && c.flag == d.flag && c.n_ext == d.n_ext);
            CHECK(slice_eq(c.body, d.body));
            if (c.serialize == SERIALIZE_BINARY)
                commands_equal(&c, &d);
            CHECK(command_again(&d, &arena, &second, &e));
            commands_equal(&d, &e);
            CHECK(slice_eq(buf_view(&first), buf_view(&second)));
        }
    }
    buf_free(&first);
    buf_free(&second);
    arena_fini(&arena);
}

/* The same for a header alone: a frame whose lengths are right, with a body of three bytes. */
static inline void command_header_oracle(enum serialize s, const uint8_t *header, size_t n)
{
    uint8_t *frame = n <= 0xffffff ? malloc(n + 7) : NULL;
    if (frame == NULL)
        return;
    frame[0] = (uint8_t)s, frame[1] = (uint8_t)(n >> 16), frame[2] = (uint8_t)(n >> 8), frame[3] = (uint8_t)n;
    if (n)
        memcpy(frame + 4, header, n);
    memcpy(frame + 4 + n, "xyz", 3);
    command_oracle(slice_make(frame, n + 7));
    free(frame);
}
#endif
