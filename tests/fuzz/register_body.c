/* register_body.c - fuzz target: a broker's registration in each of its forms, and the tables that take it.
 * First byte: the form; the rest: the body. Oracle: what was accepted is walked to its end, and the route answers are there. */
#include "namesrv/route/register_body.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n == 0)
        return 0;
    struct arena arena = {0};
    struct register_body body;
    struct fault why;
    if (register_body_decode(slice_make(data + 1, n - 1), data[0] % 3, &arena, &body, &why) == MQ_OK) {
        struct register_topics walk;
        struct routes *r = routes_new(&(struct routes_config){0});
        struct registration reg = {.cluster = SLICE_LIT("c"), .name = SLICE_LIT("b"), .addr = SLICE_LIT("h:1"), .version = body.version,
                                   .topics = register_topics_over(&walk, &body), .filters_given = body.filters_given,
                                   .filters = body.filters, .n_filters = body.n_filters};
        struct registration_result out;
        struct slice name, answer;
        struct topic_queues q;
        if (r && routes_register(r, &reg, 0, &out, &why) == MQ_OK) {
            struct topic_source src = register_topics_over(&walk, &body);
            while (src.next(src.ctx, &name, &q))
                if (!routes_answer(r, name, &answer))
                    abort();
        }
        routes_free(r);
        register_body_end(&body);
    }
    arena_fini(&arena);
    return 0;
}
