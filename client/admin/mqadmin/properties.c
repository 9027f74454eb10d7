/* properties.c - see properties.h. What java.util.Properties reads: comments, escapes by a backslash, = or : or a blank behind the name. */
#include "client/admin/mqadmin/properties.h"

#include "client/admin/mqadmin/mqadmin.h"
#include "client/admin/mqadmin/words.h"
#include "common/base/mem.h"

static bool is_blank(uint8_t c) { return c == ' ' || c == '\t' || c == '\f'; }

/* A character, or what a backslash and the next one stand for. Returns what was used up. */
static size_t unescape(struct slice s, struct buf *out)
{
    static const char named[] = {['n'] = '\n', ['t'] = '\t', ['r'] = '\r', ['f'] = '\f'};
    if (s.p[0] != '\\' || s.n < 2) {
        buf_u8(out, s.p[0]);
        return 1;
    }
    buf_u8(out, s.p[1] < sizeof named && named[s.p[1]] ? (uint8_t)named[s.p[1]] : s.p[1]);
    return 2;
}

/* One line as "name NUL value NUL". False: it has no pair. */
static bool read_pair(struct slice line, struct buf *out)
{
    while (line.n > 0 && is_blank(line.p[0]))
        line = slice_from(line, 1);
    while (line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    if (line.n == 0 || line.p[0] == '#' || line.p[0] == '!')
        return false;
    while (line.n > 0 && line.p[0] != '=' && line.p[0] != ':' && !is_blank(line.p[0]))
        line = slice_from(line, unescape(line, out));
    buf_u8(out, 0);
    bool sign = false;
    while (line.n > 0 && (is_blank(line.p[0]) || (!sign && (line.p[0] == '=' || line.p[0] == ':')))) {
        sign = sign || !is_blank(line.p[0]);
        line = slice_from(line, 1);
    }
    while (line.n > 0)
        line = slice_from(line, unescape(line, out));
    buf_u8(out, 0);
    return true;
}

json_t *properties_read(struct slice text)
{
    json_t *all = json_object();
    struct slice line;
    while (text.p != NULL && slice_cut(&text, '\n', &line)) {
        struct buf pair = {0};
        if (read_pair(line, &pair) && !pair.failed) {
            const char *name = (const char *)pair.p;
            json_object_set_new(all, name, json_string(name + strlen(name) + 1));
        }
        buf_free(&pair);
    }
    return all;
}

void properties_print(struct slice text)
{
    json_t *all = properties_read(text);
    size_t n;
    const char **names = words_keys(all, &n);
    for (size_t i = 0; i < n; i++)
        print("%-50s=  %s\n", names[i], words_member(all, names[i]));
    mem_free(names);
    json_decref(all);
}
