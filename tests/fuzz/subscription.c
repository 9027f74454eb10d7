/* subscription.c - fuzz target: the expression of a pull or a subscription, "a || b".
 * Oracle: tags have no blanks at their ends and match by their hash; tags joined again are parsed as the same. */
#include "broker/session/session.h"
#include "common/protocol/message.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct slice text = slice_make(data, n);
    struct subscription s = {.is_tag = true}, again = {.is_tag = true};
    struct buf joined = {0};
    if (subscription_parse_tags(text, &s) && (n == 0 || memchr(data, '\0', n) == NULL)) { /* tags are kept as C strings */
        CHECK(s.n_codes <= s.n_tags && s.n_tags <= SESSION_TAGS_MAX);
        for (uint32_t i = 0; i < s.n_tags; i++) {
            struct slice tag = slice_str(s.tags[i]);
            CHECK(subscription_matches(&s, java_hash(tag)) && tag.n > 0 && slice_eq(tag, slice_trim(tag)));
            buf_slice(&joined, tag);
            buf_str(&joined, " || "); /* with blanks: a tag may begin or end with a bar */
        }
        CHECK(subscription_parse_tags(buf_view(&joined), &again) && again.n_tags == s.n_tags && again.n_codes == s.n_codes);
        for (uint32_t i = 0; i < s.n_tags; i++)
            CHECK(strcmp(s.tags[i], again.tags[i]) == 0);
    }
    subscription_fini(&s);
    subscription_fini(&again);
    buf_free(&joined);
    return 0;
}
