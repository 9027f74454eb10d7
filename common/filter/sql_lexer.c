/* sql_lexer.c - text to tokens: of all tokens that begin here the longest.
 *
 * What is half a token is read as Apache's generated lexer does:
 *   0L, 007       a decimal never goes on behind a leading zero: 0 and a name, 0 0 7
 *   'abc''        no end: the longest string that has one, 'abc', then the quote, which is no token
 *   -- abc        a line's comment needs the line's end: else two signs and a name     (tests: unit/filter/refusals; compat/sql) */
#include <strings.h>
#include "common/filter/sql_internal.h"

static bool is_digit(uint8_t c) { return c >= '0' && c <= '9'; }
static bool is_name(uint8_t c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z' ? true : c == '_' || c == '$'; }

static size_t run_of_digits(struct slice s, size_t at)
{
    size_t n = 0;
    while (at + n < s.n && is_digit(s.p[at + n]))
        n++;
    return n;
}

/* ---- blanks and comments ---- */
static size_t line_comment(struct slice s) /* its length; 0: none */
{
    if (s.n < 2 || s.p[0] != '-' || s.p[1] != '-')
        return 0;
    for (size_t i = 2; i < s.n; i++)
        if (s.p[i] == '\n' || s.p[i] == '\r')
            return i + 1;
    return 0;
}

static size_t block_comment(struct slice s)
{
    if (s.n < 4 || s.p[0] != '/' || s.p[1] != '*')
        return 0;
    for (size_t i = 2; i + 1 < s.n; i++)
        if (s.p[i] == '*' && s.p[i + 1] == '/')
            return i + 2;
    return 0;
}

static struct slice skip(struct sql_lexer *x)
{
    for (;;) {
        struct slice rest = slice_from(x->text, x->at);
        size_t n = rest.n && strchr(" \t\n\r\f", rest.p[0]) && rest.p[0] ? 1 : line_comment(rest);
        if (n == 0)
            n = block_comment(rest);
        if (n == 0)
            return rest;
        x->at += n;
    }
}

/* ---- tokens: each gives its length, 0 when none begins here ---- */
static size_t exponent(struct slice s, size_t at)
{
    if (at >= s.n || (s.p[at] | 0x20) != 'e')
        return 0;
    size_t sign = at + 1 < s.n && (s.p[at + 1] == '+' || s.p[at + 1] == '-');
    size_t digits = run_of_digits(s, at + 1 + sign);
    return digits ? 1 + sign + digits : 0;
}

static size_t number(struct slice s, enum sql_kind *kind)
{
    size_t whole = run_of_digits(s, 0), n = whole;
    *kind = SQL_FLOAT;
    if (n < s.n && s.p[n] == '.') {
        size_t behind = run_of_digits(s, n + 1);
        if (whole == 0 && behind == 0)
            return 0;
        n += 1 + behind;
        return n + exponent(s, n);
    }
    if (whole == 0)
        return 0;
    if (exponent(s, n))
        return n + exponent(s, n);
    *kind = SQL_DECIMAL;
    if (s.p[0] == '0')
        return 1;
    return n + (n < s.n && (s.p[n] | 0x20) == 'l');
}

static size_t string(struct slice s)
{
    size_t end = 0; /* of the longest so far */
    for (size_t i = 1; s.n && s.p[0] == '\'' && i < s.n; i++) {
        if (s.p[i] != '\'')
            continue;
        end = i + 1;
        if (i + 1 == s.n || s.p[i + 1] != '\'')
            return end;
        i++; /* two quotes are one, inside */
    }
    return end;
}

static enum sql_kind word(struct slice w)
{
    static const struct {
        const char *text;
        enum sql_kind kind;
    } words[] = {{"NOT", SQL_NOT}, {"AND", SQL_AND}, {"OR", SQL_OR}, {"BETWEEN", SQL_BETWEEN}, {"IN", SQL_IN}, {"TRUE", SQL_LIT_TRUE},
                 {"FALSE", SQL_LIT_FALSE}, {"NULL", SQL_LIT_NULL}, {"IS", SQL_IS}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (w.n == strlen(words[i].text) && strncasecmp((const char *)w.p, words[i].text, w.n) == 0)
            return words[i].kind;
    return SQL_NAME;
}

static size_t name(struct slice s, enum sql_kind *kind)
{
    size_t n = 0;
    while (n < s.n && (is_name(s.p[n]) || (n > 0 && is_digit(s.p[n]))))
        n++;
    *kind = word(slice_head(s, n));
    return n;
}

static size_t sign(struct slice s, enum sql_kind *kind)
{
    static const struct {
        char text[3];
        enum sql_kind kind;
    } signs[] = {{"<>", SQL_NE}, {"<=", SQL_LE}, {">=", SQL_GE}, {"=", SQL_EQ}, {"<", SQL_LT}, {">", SQL_GT},
                 {"(", SQL_OPEN}, {",", SQL_COMMA}, {")", SQL_CLOSE}, {"+", SQL_PLUS}, {"-", SQL_MINUS}};
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (slice_starts(s, signs[i].text)) {
            *kind = signs[i].kind;
            return strlen(signs[i].text);
        }
    return 0;
}

struct sql_token sql_next_token(struct sql_lexer *x)
{
    struct slice rest = skip(x);
    struct sql_token t = {.kind = SQL_END, .at = x->at};
    size_t n = 0;
    if (rest.n == 0)
        return t;
    if (is_name(rest.p[0]))
        n = name(rest, &t.kind);
    else if (is_digit(rest.p[0]) || rest.p[0] == '.')
        n = number(rest, &t.kind);
    else if (rest.p[0] == '\'')
        n = (t.kind = SQL_STRING, string(rest));
    else
        n = sign(rest, &t.kind);
    if (n == 0)
        t.kind = SQL_BAD;
    t.text = slice_head(rest, n ? n : 1);
    x->at += n;
    return t;
}
