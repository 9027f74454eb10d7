/* mqadmin_words.c - what mqadmin prints and how it reads its command line. Expected texts are what Apache's mqadmin 4.9.8 prints on a JDK 17, or
 * follow from the classes named beside them. */
#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/admin/mqadmin/mqadmin.h"
#include "client/admin/mqadmin/properties.h"
#include "client/admin/mqadmin/words.h"
#include "common/protocol/json.h"

/* ---- what the parts under test want from their program: a table, somebody to complain to, and paper ---- */

static const struct mqadmin_option options[] = {
    {'b', "brokerAddr", OPTION_ARG | OPTION_ONE_OF, "a broker"},
    {'c', "clusterName", OPTION_ARG | OPTION_ONE_OF, "a cluster"},
    {'t', "topic", OPTION_ARG | OPTION_MUST, "the topic"},
    {'l', "list", 0, "a flag"},
    {'s', "timestamp", OPTION_ARG, "a number, of which there is so much to say that all the words of it do not find room on the one line that they have here"},
    {0, NULL, 0, NULL},
};
const struct mqadmin_option mqadmin_common[] = {{'h', "help", 0, "this help"}, {'n', "namesrvAddr", OPTION_ARG, "name servers"}, {0, NULL, 0, NULL}};
const struct mqadmin_command mqadmin_commands[] = {{"someCommand", NULL, "does something", options, NULL}, {NULL, NULL, NULL, NULL, NULL}};

bool fail(struct mqadmin *m, int32_t code, const char *fmt, ...)
{
    (void)fmt;
    m->code = code;
    return false;
}

static struct buf printed;
void print(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&printed, fmt, ap);
    va_end(ap);
}

/* Parses words separated by blanks; they live until the next call. */
static bool parse(struct mqadmin *m, const char *line)
{
    static char text[256];
    char *argv[16];
    int argc = 0;
    *m = (struct mqadmin){.command = mqadmin_commands};
    strcpy(text, line);
    for (char *w = strtok(text, " "); w != NULL; w = strtok(NULL, " "))
        argv[argc++] = w;
    return options_parse(m, argc, argv);
}

Test(mqadmin_options, a_value_stands_behind_its_option_glued_to_it_or_behind_a_sign)
{
    struct mqadmin m;
    static const char *const lines[] = {"-b a:1 -t T", "-ba:1 -tT", "--brokerAddr a:1 --topic T", "--brokerAddr=a:1 --topic=T", "-t Old -b a:1 word -t T"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        cr_assert(parse(&m, lines[i]), "%s", lines[i]);
        cr_expect_str_eq(opt_text(&m, 'b'), "a:1", "%s", lines[i]);
        cr_expect_str_eq(opt_text(&m, 't'), "T", "%s", lines[i]);
        cr_expect_not(opt_is(&m, 'c'));
    }
}

Test(mqadmin_options, flags_go_in_a_bunch_and_the_last_of_it_may_take_a_value)
{
    struct mqadmin m;
    cr_assert(parse(&m, "-lt T -c x"));
    cr_expect(opt_is(&m, 'l'));
    cr_expect_str_eq(opt_text(&m, 't'), "T");
    cr_expect_str_eq(opt_or(&m, 'b', "none"), "none");
}

Test(mqadmin_options, a_value_may_begin_with_a_dash_unless_it_is_an_option)
{
    struct mqadmin m;
    int64_t number;
    cr_assert(parse(&m, "-b a:1 -t T -s -1"));
    cr_assert(opt_i64(&m, 's', 0, &number));
    cr_expect_eq(number, -1);
    cr_expect_not(parse(&m, "-b a:1 -t -l"));
}

Test(mqadmin_options, what_does_not_fit_is_refused)
{
    struct mqadmin m;
    static const char *const lines[] = {"", "-t T", "-b a:1", "-b a:1 -c x -t T", "-b a:1 -t", "-b a:1 -t T -z", "-b a:1 -t T --nope", "-b a:1 -t T -lz", "-b a:1 -t T --list=1"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        cr_expect_not(parse(&m, lines[i]), "<%s>", lines[i]);
}

Test(mqadmin_options, numbers_that_are_none_fail_and_only_true_is_true)
{
    struct mqadmin m;
    int64_t wide;
    int32_t narrow;
    cr_assert(parse(&m, "-b True -t x -s 4294967296"));
    cr_expect(opt_bool(&m, 'b', false));
    cr_expect_not(opt_bool(&m, 't', true));
    cr_expect(opt_bool(&m, 'c', true), "absent");
    cr_expect(opt_i64(&m, 's', 0, &wide) && wide == 4294967296);
    cr_expect_not(opt_i32(&m, 's', 0, &narrow));
    cr_expect_not(opt_i64(&m, 't', 0, &wide));
    cr_expect(opt_i64(&m, 'c', 7, &wide) && wide == 7);
}

Test(mqadmin_help, has_the_form_that_HelpFormatter_gives_it)
{
    static const char expected[] =
        "usage: mqadmin someCommand -b <arg> | -c <arg>  [-h] [-l] [-n <arg>] [-s <arg>] -t <arg>\n"
        " -b,--brokerAddr <arg>    a broker\n"
        " -c,--clusterName <arg>   a cluster\n"
        " -h,--help                this help\n"
        " -l,--list                a flag\n"
        " -n,--namesrvAddr <arg>   name servers\n"
        " -s,--timestamp <arg>     a number, of which there is so much to say that all the words of it do not find room\n"
        "                          on the one line that they have here\n"
        " -t,--topic <arg>         the topic\n";
    struct buf out = {0};
    help_of(&out, mqadmin_commands);
    buf_u8(&out, 0);
    cr_assert_not(out.failed);
    cr_expect_str_eq((const char *)out.p, expected);
    buf_free(&out);
}

Test(mqadmin_words, times_are_local_and_have_their_milliseconds)
{
    char out[WORDS_MAX];
    int64_t ms;
    setenv("TZ", "UTC", 1);
    tzset();
    cr_expect_str_eq(words_time(1767225600007, out), "2026-01-01 00:00:00,007");
    cr_expect_str_eq(words_seconds(1767225600999, out), "2026-01-01 00:00:00");
    cr_expect_str_eq(words_digits(1767225600120, out), "20260101000000120");
    cr_expect(words_read_time("2026-01-01#00:00:00:120", &ms) && ms == 1767225600120);
    cr_expect(words_read_time("42", &ms) && ms == 42);
    cr_expect(words_read_time("-1", &ms) && ms == -1);
    cr_expect_not(words_read_time("2026-01-01", &ms));
    cr_expect_not(words_read_time("2026-01-01#00:00:00:120x", &ms));
    cr_expect_not(words_read_time("yesterday", &ms));
}

Test(mqadmin_words, versions_have_the_names_of_MQVersion)
{
    static const struct {
        int64_t ordinal;
        const char *name;
    } some[] = {{0, "V3_0_0_SNAPSHOT"}, {15, "V3_0_0_FINAL"}, {16, "V3_0_1_SNAPSHOT"}, {45, "V3_0_15"}, {46, "V3_1_0_SNAPSHOT"}, {85, "V3_2_9"},
                {86, "V3_3_1_SNAPSHOT"}, {121, "V3_4_9"}, {211, "V3_9_9"}, {212, "V4_0_0_SNAPSHOT"}, {233, "V4_1_0"}, {401, "V4_9_4"}, {409, "V4_9_8"},
                {412, "V5_0_0_SNAPSHOT"}, {611, "V5_9_9"}, {612, "HIGHER_VERSION"}, {99999, "HIGHER_VERSION"}, {-1, "HIGHER_VERSION"}};
    char out[WORDS_MAX];
    for (size_t i = 0; i < sizeof some / sizeof *some; i++)
        cr_expect_str_eq(words_version(some[i].ordinal, out), some[i].name, "%d", (int)some[i].ordinal);
}

Test(mqadmin_words, permissions_are_three_letters)
{
    char out[4];
    cr_expect_str_eq(words_perm(6, out), "RW-");
    cr_expect_str_eq(words_perm(4, out), "R--");
    cr_expect_str_eq(words_perm(2, out), "-W-");
    cr_expect_str_eq(words_perm(7, out), "RWX");
    cr_expect_str_eq(words_perm(0, out), "---");
}

/* The order is that of a java.util.HashMap with these keys: "a" is 97, in bucket 1 of 16; "q" is 113, in bucket 1 behind it; "b" in bucket 2. */
Test(mqadmin_words, properties_come_in_the_order_of_a_HashMap_and_the_last_of_equal_names_counts)
{
    struct buf out = {0};
    const struct words_extra extra[] = {{"q", 5}};
    words_properties(&out, SLICE_LIT("b\001xx\002a\001yy\002b\001zz\002"), extra, 1);
    buf_u8(&out, 0);
    cr_expect_str_eq((const char *)out.p, "{a=yy, q=5, b=zz}");
    buf_clear(&out);
    words_properties(&out, (struct slice){0}, NULL, 0);
    buf_u8(&out, 0);
    cr_expect_str_eq((const char *)out.p, "{}");
    buf_free(&out);
}

Test(mqadmin_words, bytes_and_hosts_are_written_as_Java_does)
{
    struct buf out = {0};
    struct host v4 = {.ip = {127, 0, 0, 1}, .port = 10911}, v6 = {.ip = {0x20, 1, [15] = 1}, .port = 80, .v6 = true};
    words_bytes(&out, SLICE_LIT("h\303"));
    words_host(&out, &v4);
    words_host(&out, &v6);
    buf_u8(&out, 0);
    cr_expect_str_eq((const char *)out.p, "[104, -61]127.0.0.1:10911[2001:0:0:0:0:0:0:1]:80");
    buf_free(&out);
}

Test(mqadmin_words, json_has_sorted_members_and_leaves_null_out)
{
    struct buf out = {0};
    json_t *v = json_parse(SLICE_LIT("{\"z\":[1,\"x\"],\"a\":true,\"n\":null,\"d\":1.5}"), NULL);
    cr_assert_not_null(v);
    words_json(&out, v, false);
    buf_u8(&out, 0);
    cr_expect_str_eq((const char *)out.p, "{\"a\":true,\"d\":1.5,\"z\":[1,\"x\"]}");
    cr_expect_str_eq(words_member(v, "a"), "null", "no text");
    buf_clear(&out);
    words_json(&out, v, true);
    buf_u8(&out, 0);
    cr_expect_str_eq((const char *)out.p, "{\n\t\"a\":true,\n\t\"d\":1.5,\n\t\"z\":[1,\"x\"]\n}");
    buf_free(&out);
    json_decref(v);
}

/* What java.util.Properties.load() makes of these lines. */
Test(mqadmin_properties, are_read_as_Java_reads_them_and_sorted)
{
    properties_print(SLICE_LIT("# a comment\n! another\nb=2\r\n\n  a : one two \nc d\nempty=\nalone\npath=C\\:\\\\x\\ty=z\n"));
    buf_u8(&printed, 0);
    cr_expect_str_eq((const char *)printed.p, "a                                                 =  one two \n"
                                              "alone                                             =  \n"
                                              "b                                                 =  2\n"
                                              "c                                                 =  d\n"
                                              "empty                                             =  \n"
                                              "path                                              =  C:\\x\ty=z\n");
    buf_free(&printed);
    properties_print((struct slice){0});
    cr_expect_eq(printed.n, 0);
}

Test(mqadmin_properties, a_line_that_ends_in_a_backslash_keeps_it)
{
    json_t *all = properties_read(SLICE_LIT("k=v\\"));
    cr_expect_str_eq(words_member(all, "k"), "v\\");
    json_decref(all);
}
