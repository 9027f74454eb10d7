/* client_offsets.c - fuzz target: the file of a broadcasting member's offsets, and the tags of a subscription. */
#include <string.h>

#include "client/consumer/topic_filter.h"
#include "client/offset/local_offsets.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct local_offsets *l = NULL;
    struct fault why = {0};
    struct cmq_queue q = {"T", "broker-a", 0};
    CHECK(local_offsets_open("", "me", "G", &l, &why) == MQ_OK);
    (void)local_offsets_parse(l, slice_make(data, n), &why);
    CHECK(local_offsets_get(l, &q) >= -1);
    local_offsets_close(l);
    char *text = slice_dup(slice_make(data, n));
    CHECK(text != NULL);
    struct topic_filter t;
    if (topic_filter_init(&t, "T", text, 1, &why) == MQ_OK) {
        struct buf out = {0};
        struct jw w = jw_over(&out, false);
        topic_filter_json(&t, &w);
        for (size_t i = 0; i < t.n_tags; i++) {
            char *tag = slice_dup(t.tags[i]);
            CHECK(tag != NULL && tag[0] != '\0' && topic_filter_wants(&t, tag));
            free(tag);
        }
        buf_free(&out);
        topic_filter_fini(&t);
    }
    free(text);
    return 0;
}
