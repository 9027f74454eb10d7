/* properties.c - fuzz target: the properties of a message.
 * Oracle: no name or value is empty or holds a separator that ends it; prop_get finds the last of equal names; what prop_add writes is
 * walked as the same pairs; prop_copy_without leaves out exactly that name; prop_known finds what prop_get does. */
#include "common/protocol/message.h"
#include "tests/fuzz/fuzz.h"

static void same_but(struct slice all, struct slice some, struct slice left_out)
{
    struct slice name, value, name2, value2;
    while (prop_next(&all, &name, &value)) {
        if (left_out.p && slice_eq(name, left_out))
            continue;
        CHECK(prop_next(&some, &name2, &value2) && slice_eq(name, name2) && slice_eq(value, value2));
    }
    CHECK(!prop_next(&some, &name2, &value2));
}

static void known_is(struct slice props, const char *name, struct slice value)
{
    struct slice got = {0};
    CHECK(prop_get(props, name, &got) == (value.n > 0) && slice_eq(got, value));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct slice props = slice_make(data, n), rest = props, name, value, last = {0}, found;
    struct buf copy = {0}, without = {0};
    char *one = NULL;
    struct known_props known;
    prop_known(props, &known);
    known_is(props, PROP_TAGS, known.tags);
    known_is(props, PROP_KEYS, known.keys);
    known_is(props, PROP_UNIQ_KEY, known.uniq_key);
    while (prop_next(&rest, &name, &value)) {
        CHECK(slice_within(name, props) && slice_within(value, props) && name.n > 0 && value.n > 0);
        CHECK(!memchr(name.p, PROP_SEP_NAME, name.n) && !memchr(name.p, PROP_SEP_PAIR, name.n) && !memchr(value.p, PROP_SEP_PAIR, value.n));
        if (memchr(name.p, '\0', name.n))
            continue;
        char *text = slice_dup(name);
        CHECK(text && prop_get(props, text, &found) && slice_within(found, props));
        free(one);
        one = text;
        last = value;
    }
    if (one) {
        CHECK(prop_get(props, one, &found) && slice_eq(found, last)); /* no other of this name comes behind it */
        prop_copy_without(&without, props, one);
        CHECK(!prop_get(buf_view(&without), one, &found));
        same_but(props, buf_view(&without), slice_str(one));
    }
    rest = props;
    while (prop_next(&rest, &name, &value)) {
        char *text = slice_dup(name);
        if (!memchr(name.p, '\0', name.n))
            prop_add(&copy, text, value);
        else
            n = 0; /* a C string cannot name it: no comparison */
        free(text);
    }
    if (n)
        same_but(props, buf_view(&copy), (struct slice){0});
    free(one);
    buf_free(&copy);
    buf_free(&without);
    return 0;
}
