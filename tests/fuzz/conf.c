/* conf.c - fuzz target: properties text, as files and as the bodies of 25 and 318, over the broker's and the name server's keys.
 * Oracle: keys and values never grow beyond the text; text that loads prints, and what was printed with escapes loads as the same; a
 * refused value names file and line, and changes nothing. */
#include "broker/config.h"
#include "common/base/log.h"
#include "common/conf/conf.h"
#include "namesrv/config.h"
#include "tests/fuzz/fuzz.h"

static void walk(struct slice text)
{
    struct slice rest = text, key, value;
    struct buf scratch = {0};
    unsigned line = 0, before = 0;
    while (properties_next(&rest, &line, &scratch, &key, &value)) {
        CHECK(line > before && key.n + value.n <= text.n);
        before = line;
    }
    buf_free(&scratch);
}

static bool plain(const struct buf *b) /* what conf_print() writes can be read again as it is */
{
    for (size_t i = 0; i < b->n; i++)
        if (b->p[i] == '\\' || b->p[i] == '\r' || b->p[i] == '\t' || b->p[i] == '\f')
            return false;
    return true;
}

static void over(const struct conf_table *t, size_t size, struct slice text)
{
    void *a = calloc(1, size), *b = calloc(1, size);
    struct buf first = {0}, second = {0};
    struct fault why = {0};
    CHECK(a && b && conf_defaults(t, a, &why) == MQ_OK && conf_defaults(t, b, &why) == MQ_OK);
    enum mq_err err = conf_load_text(t, a, "file", text, NULL, NULL, &why);
    CHECK(err == MQ_OK || (err == MQ_EINVAL && memcmp(why.what, "file:", 5) == 0));
    conf_print(t, a, &first);
    size_t lines = 0;
    for (size_t i = 0; i < first.n; i++)
        lines += first.p[i] == '\n';
    if (lines == t->n && plain(&first) && conf_load_text(t, b, "printed", buf_view(&first), NULL, NULL, &why) == MQ_OK) {
        conf_print(t, b, &second);
        CHECK(first.n >= second.n); /* blanks before a value are not kept */
    }
    conf_free(t, a);
    conf_free(t, b);
    free(a);
    free(b);
    buf_free(&first);
    buf_free(&second);
}

static void namesrv(struct slice text)
{
    struct namesrv_config c, changed, again;
    struct buf file = {0}, file2 = {0};
    struct fault why = {0};
    CHECK(namesrv_config_load(&c, NULL, NULL, NULL, &why) == MQ_OK);
    if (namesrv_config_changed(&c, text, &changed, &why) == MQ_OK) {
        namesrv_config_file(&changed, &file);
        memset(&again, 0, sizeof again);
        CHECK(conf_defaults(namesrv_config_table(), &again, &why) == MQ_OK);
        CHECK(conf_load_text(namesrv_config_table(), &again, "written", buf_view(&file), NULL, NULL, &why) == MQ_OK);
        namesrv_config_file(&again, &file2);
        CHECK(slice_eq(buf_view(&file), buf_view(&file2)));
        namesrv_config_free(&again);
        namesrv_config_free(&changed);
    } else {
        CHECK(why.what[0] != '\0');
    }
    namesrv_config_free(&c);
    buf_free(&file);
    buf_free(&file2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct slice text = slice_make(data, n);
    log_set_level(LOG_OFF);
    walk(text);
    over(broker_config_table(), sizeof(struct broker_config), text);
    namesrv(text);
    return 0;
}
