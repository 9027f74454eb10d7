/* subscription.c - expressions, their hash codes, and which messages are meant. Hashes are Java's String.hashCode(). */
#include <criterion/criterion.h>
#include <string.h>

#include "broker/session/session.h"
#include "common/base/mem.h"

static struct subscription parsed(const char *expression, bool good)
{
    struct subscription s = {0};
    cr_expect(subscription_parse_tags(slice_str(expression), &s) == good, "'%s'", expression);
    return s;
}

static void expect_tags(const char *expression, const char *joined)
{
    struct subscription s = parsed(expression, true);
    char got[200] = "";
    for (uint32_t i = 0; i < s.n_tags; i++) {
        strcat(got, i ? "," : "");
        strcat(got, s.tags[i]);
    }
    cr_expect_str_eq(got, joined);
    cr_expect(s.n_codes <= s.n_tags && (s.n_codes > 0) == (s.n_tags > 0));
    subscription_fini(&s);
}

Test(subscription, expressions_are_cut_at_double_bars_and_trimmed)
{
    expect_tags("TagA", "TagA");
    expect_tags("a || b", "a,b");
    expect_tags("a||b||c", "a,b,c");
    expect_tags("  a  ||\tb ", "a,b");
    expect_tags("a || || b ||", "a,b");
    expect_tags("a || a", "a");
    expect_tags("a|b", "a|b"); /* one bar is part of a tag */
    expect_tags("a ||| b", "a,| b");
    expect_tags("* || a", "*,a");
    expect_tags("a\n|| \r\nb", "a,b"); /* String.trim() takes all that is not above a blank */
}

Test(subscription, everything_has_no_tags)
{
    const char *all[] = {"", "*"};
    for (int i = 0; i < 2; i++) {
        struct subscription s = parsed(all[i], true);
        cr_assert(s.n_tags == 0 && s.n_codes == 0);
        subscription_fini(&s);
    }
}

Test(subscription, bars_alone_are_no_expression)
{
    const char *bad[] = {"||", "||||"};
    for (int i = 0; i < 2; i++) {
        struct subscription s = parsed(bad[i], false);
        subscription_fini(&s);
    }
}

Test(subscription, codes_are_javas_hashes_of_utf_16)
{
    struct subscription s = parsed("TagA || \xe4\xb8\xad\xe6\x96\x87 || \xf0\x9f\x98\x80 || \xc3\xa9", true);
    const int32_t want[] = {2598919, 646394, 1772899, 233};
    cr_assert(s.n_codes == 4);
    for (int i = 0; i < 4; i++)
        cr_expect(s.codes[i] == want[i], "code %d is %d", i, s.codes[i]);
    subscription_fini(&s);
}

Test(subscription, tags_with_one_hash_count_once_as_code)
{
    struct subscription s = parsed("Aa || BB", true); /* both 2112 */
    cr_assert(s.n_tags == 2 && s.n_codes == 1 && s.codes[0] == 2112);
    subscription_fini(&s);
}

Test(subscription, a_limit_of_tags)
{
    struct buf b = {0};
    for (int i = 0; i < SESSION_TAGS_MAX; i++)
        buf_printf(&b, "%stag%d", i ? "||" : "", i);
    struct subscription s = {0}, more = {0};
    cr_assert(subscription_parse_tags(buf_view(&b), &s) && s.n_tags == SESSION_TAGS_MAX);
    buf_str(&b, "||one more");
    cr_assert(!subscription_parse_tags(buf_view(&b), &more));
    subscription_fini(&s);
    subscription_fini(&more);
    buf_free(&b);
}

static struct subscription read(const char *json, enum mq_err want)
{
    struct subscription s = {0};
    struct fault why = {0};
    json_t *o = json_parse(slice_str(json), &why);
    enum mq_err err = subscription_read(o, &s, &why);
    cr_expect(err == want, "%s: %d %s", json, err, why.what);
    cr_expect(err == MQ_OK || s.topic == NULL, "%s: something is left", json);
    json_decref(o);
    return s;
}

Test(subscription, what_the_client_says_of_its_codes_is_believed)
{
    struct subscription s = read("{\"topic\":\"t\",\"subString\":\"TagA\",\"codeSet\":[42],\"tagsSet\":[\"TagA\"],\"expressionType\":\"TAG\"}", MQ_OK);
    cr_assert(s.n_codes == 1 && subscription_matches(&s, 42) && !subscription_matches(&s, 2598919));
    subscription_fini(&s);
}

Test(subscription, a_client_without_codes_gets_those_of_its_expression)
{
    struct subscription s = read("{\"topic\":\"t\",\"subString\":\"TagA || TagC\"}", MQ_OK);
    cr_assert(s.n_codes == 2 && subscription_matches(&s, 2598919) && subscription_matches(&s, 2598921) && !subscription_matches(&s, 0));
    cr_assert_str_eq(s.expression_type, "TAG");
    subscription_fini(&s);
}

Test(subscription, all_and_class_filters_match_everything_blanks_nothing)
{
    struct subscription all = read("{\"topic\":\"t\",\"subString\":\"*\"}", MQ_OK), none = read("{\"topic\":\"t\",\"subString\":\"   \"}", MQ_OK),
                        absent = read("{\"topic\":\"t\"}", MQ_OK),
                        class = read("{\"topic\":\"t\",\"subString\":\"org.Filter\",\"classFilterMode\":true}", MQ_OK);
    cr_assert(subscription_matches(&all, 0) && subscription_matches(&all, 2598919) && subscription_matches(&absent, 5));
    cr_assert(!subscription_matches(&none, 0) && !subscription_matches(&none, 2598919));
    cr_assert(subscription_matches(&class, 7) && class.n_codes == 0);
    subscription_fini(&all);
    subscription_fini(&none);
    subscription_fini(&absent);
    subscription_fini(&class);
}

Test(subscription, sql_is_kept_as_it_came)
{
    struct subscription s = read("{\"topic\":\"t\",\"subString\":\"a > 5 || b = 'x'\",\"expressionType\":\"SQL92\"}", MQ_OK);
    cr_assert(!s.is_tag && s.n_codes == 0 && s.n_tags == 0);
    cr_assert_str_eq(s.sub_string, "a > 5 || b = 'x'");
    subscription_fini(&s);
}

Test(subscription, wrong_members_are_refused_and_nothing_is_left)
{
    read("[]", MQ_EMALFORMED);
    read("{\"topic\":7,\"tagsSet\":[1]}", MQ_EMALFORMED);
    read("{\"topic\":\"t\",\"subString\":\"a\",\"tagsSet\":[1],\"codeSet\":[1]}", MQ_EMALFORMED);
    read("{\"topic\":\"t\",\"codeSet\":[null]}", MQ_EMALFORMED);
    read("{\"topic\":\"t\",\"codeSet\":[-2147483649]}", MQ_EMALFORMED);
}

Test(subscription, it_is_written_as_fastjson_writes_it)
{
    struct subscription s = read("{\"topic\":\"t\",\"subString\":\"TagA\",\"subVersion\":1795531385631}", MQ_OK);
    struct buf b = {0};
    struct jw w = jw_over(&b, false);
    subscription_write(&w, &s);
    cr_assert(slice_is(buf_view(&b), "{\"classFilterMode\":false,\"codeSet\":[2598919],\"expressionType\":\"TAG\",\"subString\":\"TagA\","
                                     "\"subVersion\":1795531385631,\"tagsSet\":[\"TagA\"],\"topic\":\"t\"}"),
              "%.*s", SLICE_ARG(buf_view(&b)));
    subscription_fini(&s);
    buf_free(&b);
}

Test(subscription, each_allocation_may_fail)
{
    json_t *o = json_parse(SLICE_LIT("{\"topic\":\"t\",\"subString\":\"a || b || c\"}"), NULL);
    uint64_t n = 1;
    for (; n < 40; n++) {
        struct subscription s = {0};
        struct fault why = {0};
        mem_fail_after(n);
        enum mq_err err = subscription_read(o, &s, &why);
        mem_fail_after(0);
        if (err == MQ_OK) {
            cr_assert(s.n_codes == 3);
            subscription_fini(&s);
            break;
        }
        cr_assert(err == MQ_ENOMEM && s.topic == NULL, "allocation %llu: %d %s", (unsigned long long)n, err, why.what);
    }
    cr_assert(n > 5 && n < 40);
    json_decref(o);
}
