/* sql_parser.c - an expression becomes a program.
 *
 *   or:         and        { OR and }
 *   and:        equality   { AND equality }
 *   equality:   comparison { ("=" | "<>") comparison | IS [NOT] NULL }
 *   comparison: unary      { (">" | ">=" | "<" | "<=") unary | [NOT] BETWEEN unary AND unary | [NOT] IN "(" string { "," string } ")"
 *                          | [NOT] (CONTAINS | STARTSWITH | ENDSWITH) string }
 *   unary:      "+" unary | "-" unary | NOT unary | literal | name | "(" or ")"
 *
 * So NOT binds closest: NOT a = 5 is (NOT a) = 5. What may stand where follows from what an operand is (enum what), by Apache's rules, some of
 * them odd: -5 is no constant to them, so BETWEEN -1 AND -5 is accepted; a property alone is a condition that never holds.
 *   I1  tokens are read only when the grammar has to know them: what stands behind a complete expression is ignored, whatever it is; but the
 *       first token behind it has to be one.                     (test: unit/filter/refusals)
 *   I2  code is relocatable: jumps are relative. BETWEEN uses its value twice and copies its code.
 *   I3  where Apache does not evaluate an operand, its code is jumped over: it might be one that throws. (test: compat/sql)
 * CONTAINS and its kind are words only behind an operand and before a string: everywhere else they are names, as in 4.9.8. There 4.9.8 would
 * take them for ignored text, and the property before them for the condition, which never holds: nobody can rely on that. */
#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include "common/base/buf.h"
#include "common/base/mem.h"
#include "common/filter/java_number.h"
#include "common/filter/sql_internal.h"

enum what { /* Apache's classes of expressions, as far as its rules ask for them */
    PROPERTY,
    CONSTANT,
    CONDITION, /* gives true, false or null */
    NEGATED    /* gives a number or null */
};
struct operand {
    enum what what;
    uint32_t from;          /* its first instruction */
    struct sql_value value; /* of a constant */
};
struct parser {
    struct sql_lexer lexer;
    struct sql_token token;
    bool token_read;
    struct buf steps, consts, lists, names, text; /* text has room for the whole expression from the start: slices of it stay good */
    unsigned depth, stack;
    enum mq_err err;
    struct fault *why;
};

/* ---- failing: the first failure stays ---- */
__attribute__((format(printf, 3, 4))) static void fail(struct parser *p, enum mq_err err, const char *fmt, ...)
{
    char words[150];
    va_list ap;
    if (p->err != MQ_OK)
        return;
    va_start(ap, fmt);
    vsnprintf(words, sizeof words, fmt, ap);
    va_end(ap);
    p->err = fault_set(p->why, err, 0, "%s", words);
}

static struct sql_token *peek(struct parser *p)
{
    if (!p->token_read)
        p->token = sql_next_token(&p->lexer);
    p->token_read = true;
    if (p->token.kind == SQL_BAD)
        fail(p, MQ_EMALFORMED, "at byte %zu: no token begins with '%.*s'", p->token.at, SLICE_ARG(p->token.text));
    return &p->token;
}

static void expected(struct parser *p, const char *what)
{
    const struct sql_token *t = peek(p);
    if (t->kind == SQL_END)
        fail(p, MQ_EMALFORMED, "at the end: %s expected", what);
    else
        fail(p, MQ_EMALFORMED, "at byte %zu: %s expected, not %.*s", t->at, what, SLICE_ARG(slice_head(t->text, 40)));
}

static bool take(struct parser *p, enum sql_kind kind)
{
    if (peek(p)->kind != kind || p->err != MQ_OK)
        return false;
    p->token_read = false;
    return true;
}

static void must_take(struct parser *p, enum sql_kind kind, const char *what)
{
    if (!take(p, kind))
        expected(p, what);
}

/* ---- code ---- */
static uint32_t here(const struct parser *p) { return (uint32_t)(p->steps.n / sizeof(struct sql_step)); }
static struct sql_step *step_at(const struct parser *p, uint32_t i) { return (struct sql_step *)(void *)p->steps.p + i; }

static void emit(struct parser *p, uint32_t op, uint32_t a)
{
    const struct sql_step step = {op, a};
    p->stack += op == SQL_OP_PROPERTY || op == SQL_OP_CONST;
    p->stack -= (op >= SQL_OP_EQ && op <= SQL_OP_LE) || op == SQL_OP_AND || op == SQL_OP_OR;
    if (here(p) >= SQL_STEPS_MAX)
        fail(p, MQ_ELIMIT, "the expression is too long: more than %d steps", SQL_STEPS_MAX);
    if (p->stack > SQL_STACK_MAX)
        fail(p, MQ_ELIMIT, "the expression is nested too deeply: more than %d values at once", SQL_STACK_MAX);
    if (p->err == MQ_OK)
        buf_put(&p->steps, &step, sizeof step);
    if (p->steps.failed)
        fail(p, MQ_ENOMEM, "expression");
}

static uint32_t begin_skip(struct parser *p, uint32_t op)
{
    emit(p, op, 0);
    return here(p) - 1;
}

static void end_skip(struct parser *p, uint32_t at)
{
    if (p->err == MQ_OK)
        step_at(p, at)->a = here(p) - at;
}

static void copy_code(struct parser *p, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to && p->err == MQ_OK; i++) {
        struct sql_step s = *step_at(p, i);
        emit(p, s.op, s.a);
    }
}

static uint32_t add_const(struct parser *p, struct sql_value v)
{
    buf_put(&p->consts, &v, sizeof v);
    if (p->consts.failed)
        fail(p, MQ_ENOMEM, "expression");
    return (uint32_t)(p->consts.n / sizeof v - 1);
}

static struct operand constant(struct parser *p, struct sql_value v)
{
    struct operand o = {.what = CONSTANT, .from = here(p), .value = v};
    emit(p, SQL_OP_CONST, add_const(p, v));
    return o;
}

/* ---- the least parts ---- */
static struct slice keep_text(struct parser *p, struct slice s)
{
    size_t at = p->text.n;
    buf_slice(&p->text, s);
    return slice_make(p->text.p + at, s.n);
}

static struct sql_value string_value(struct parser *p, struct slice quoted)
{
    size_t at = p->text.n;
    for (size_t i = 1; i + 1 < quoted.n; i++) {
        buf_u8(&p->text, quoted.p[i]);
        i += quoted.p[i] == '\''; /* the other one */
    }
    return (struct sql_value){.type = SQL_T_STRING, .s = slice_make(p->text.p + at, p->text.n - at)};
}

static struct sql_value take_string(struct parser *p)
{
    struct sql_token t = *peek(p);
    must_take(p, SQL_STRING, "a string");
    return p->err == MQ_OK ? string_value(p, t.text) : (struct sql_value){.type = SQL_T_NULL};
}

static struct sql_value decimal(struct parser *p, struct sql_token t)
{
    struct slice digits = (t.text.p[t.text.n - 1] | 0x20) == 'l' ? slice_head(t.text, t.text.n - 1) : t.text;
    int64_t v = 0;
    if (!java_number_integer(digits, INT64_MIN, INT64_MAX, &v))
        fail(p, MQ_EMALFORMED, "at byte %zu: %.*s is beyond %lld", t.at, SLICE_ARG(slice_head(t.text, 40)), (long long)INT64_MAX);
    return (struct sql_value){.type = v <= INT32_MAX ? SQL_T_INT : SQL_T_LONG, .i = v};
}

static struct sql_value floating(struct parser *p, struct sql_token t)
{
    double v = 0;
    if (!java_number_double(t.text, &v) || v > DBL_MAX || v <= 0) /* Apache wants Double.MIN_VALUE at least: 0.0 is refused */
        fail(p, MQ_EMALFORMED, "at byte %zu: %.*s is no number above 0 that a double can hold", t.at, SLICE_ARG(slice_head(t.text, 40)));
    return (struct sql_value){.type = SQL_T_DOUBLE, .d = v};
}

static uint32_t name_of(struct parser *p, struct slice text)
{
    struct sql_name *all = (struct sql_name *)(void *)p->names.p;
    uint32_t n = (uint32_t)(p->names.n / sizeof *all);
    for (uint32_t i = 0; i < n; i++)
        if (slice_eq(all[i].text, text))
            return i;
    if (n == SQL_NAMES_MAX)
        fail(p, MQ_ELIMIT, "the expression has more than %d different properties", SQL_NAMES_MAX);
    const struct sql_name name = {.text = keep_text(p, text), .next = -1};
    buf_put(&p->names, &name, sizeof name);
    if (p->names.failed)
        fail(p, MQ_ENOMEM, "expression");
    return n;
}

static struct operand parse_or(struct parser *p);

static struct operand primary(struct parser *p)
{
    struct operand none = {.what = CONSTANT}, o = {.what = PROPERTY, .from = here(p)};
    struct sql_token t = *peek(p);
    if (p->err != MQ_OK)
        return none;
    p->token_read = false;
    switch (t.kind) {
    case SQL_STRING: return constant(p, string_value(p, t.text));
    case SQL_DECIMAL: return constant(p, decimal(p, t));
    case SQL_FLOAT: return constant(p, floating(p, t));
    case SQL_LIT_TRUE:
    case SQL_LIT_FALSE: return constant(p, (struct sql_value){.type = SQL_T_BOOL, .b = t.kind == SQL_LIT_TRUE});
    case SQL_LIT_NULL: return constant(p, (struct sql_value){.type = SQL_T_NULL});
    case SQL_NAME: emit(p, SQL_OP_PROPERTY, name_of(p, t.text)); return o;
    case SQL_OPEN:
        o = parse_or(p);
        must_take(p, SQL_CLOSE, ")");
        return o;
    default:
        p->token_read = true;
        expected(p, "a value");
        return none;
    }
}

/* ---- what may stand where ---- */
static bool is_literal_condition(const struct operand *o) { return o->what == CONSTANT && o->value.type <= SQL_T_BOOL; }

/* The operand just parsed becomes a condition; a property alone is one. */
static struct operand condition(struct parser *p, struct operand o)
{
    if (o.what == PROPERTY)
        emit(p, SQL_OP_CAST, 0);
    else if (o.what != CONDITION && !is_literal_condition(&o))
        fail(p, MQ_EMALFORMED, "before byte %zu: a condition expected, not a value", p->lexer.at);
    o.what = CONDITION;
    return o;
}

static void must_be_ordered(struct parser *p, const struct operand *o) /* for < and its kind */
{
    bool number = o->value.type == SQL_T_INT || o->value.type == SQL_T_LONG || o->value.type == SQL_T_DOUBLE;
    if (o->what == CONDITION || (o->what == CONSTANT && !number))
        fail(p, MQ_EMALFORMED, "before byte %zu: only properties and numbers can be less or greater", p->lexer.at);
}

static void must_be_equated(struct parser *p, const struct operand *left, const struct operand *right)
{
    if ((left->what == CONSTANT && left->value.type == SQL_T_NULL) || (right->what == CONSTANT && right->value.type == SQL_T_NULL))
        fail(p, MQ_EMALFORMED, "before byte %zu: NULL cannot be compared; IS NULL asks for it", p->lexer.at);
    if (is_literal_condition(left) && right->what == CONSTANT && !is_literal_condition(right))
        fail(p, MQ_EMALFORMED, "before byte %zu: TRUE or FALSE cannot be compared with a value", p->lexer.at);
}

/* ---- operators ---- */
static struct operand unary(struct parser *p)
{
    struct operand o = {.what = CONSTANT};
    if (++p->depth > SQL_DEPTH_MAX)
        fail(p, MQ_ELIMIT, "the expression is nested more than %d deep", SQL_DEPTH_MAX);
    if (p->err != MQ_OK)
        return o;
    if (take(p, SQL_PLUS)) {
        o = unary(p);
    } else if (take(p, SQL_MINUS)) {
        o = unary(p);
        emit(p, SQL_OP_NEGATE, 0);
        o.what = NEGATED;
    } else if (take(p, SQL_NOT)) {
        o = condition(p, unary(p));
        emit(p, SQL_OP_NOT, 0);
    } else {
        o = primary(p);
    }
    p->depth--;
    return o;
}

/* Behind the left operand: the right one and the comparison. A null on the left ends it before the right one is looked at. */
static struct operand order(struct parser *p, const struct operand *left, uint32_t op)
{
    uint32_t skip = begin_skip(p, SQL_OP_SKIP_NULL);
    struct operand right = unary(p), o = {.what = CONDITION, .from = left->from};
    must_be_ordered(p, left);
    must_be_ordered(p, &right);
    if (p->err == MQ_OK && here(p) == skip + 2) { /* a property or a constant cannot throw: no need to jump over it */
        *step_at(p, skip) = *step_at(p, skip + 1);
        p->steps.n -= sizeof(struct sql_step);
        emit(p, op, 0);
        return o;
    }
    emit(p, op, 0);
    end_skip(p, skip);
    return o;
}

static struct operand between(struct parser *p, const struct operand *value, bool not)
{
    uint32_t value_end = here(p), skip, bound;
    struct operand low, high, o = {.what = CONDITION, .from = value->from};
    skip = begin_skip(p, SQL_OP_SKIP_NULL);
    low = unary(p);
    must_take(p, SQL_AND, "AND");
    emit(p, not ? SQL_OP_LT : SQL_OP_GE, 0);
    end_skip(p, skip);
    bound = begin_skip(p, not ? SQL_OP_SKIP_TRUE : SQL_OP_SKIP_FALSE);
    copy_code(p, value->from, value_end);
    skip = begin_skip(p, SQL_OP_SKIP_NULL);
    high = unary(p);
    emit(p, not ? SQL_OP_GT : SQL_OP_LE, 0);
    end_skip(p, skip);
    emit(p, not ? SQL_OP_OR : SQL_OP_AND, 0);
    end_skip(p, bound);
    must_be_ordered(p, value);
    must_be_ordered(p, &low);
    must_be_ordered(p, &high);
    if (p->err == MQ_OK && !not && low.what == CONSTANT && high.what == CONSTANT && sql_compare_numbers(&high.value, &low.value) < 0)
        fail(p, MQ_EMALFORMED, "before byte %zu: the lower bound of BETWEEN is above the upper one", p->lexer.at);
    return o;
}

static int by_length_and_bytes(const void *a, const void *b)
{
    const struct sql_value *x = a, *y = b;
    if (x->s.n != y->s.n)
        return x->s.n < y->s.n ? -1 : 1;
    return x->s.n ? memcmp(x->s.p, y->s.p, x->s.n) : 0;
}

static struct operand in_list(struct parser *p, const struct operand *left, bool not)
{
    struct operand o = {.what = CONDITION, .from = left->from};
    must_take(p, SQL_OPEN, "(");
    struct sql_list list = {.from = (uint32_t)(p->consts.n / sizeof(struct sql_value))};
    do {
        add_const(p, take_string(p));
        list.n++;
    } while (take(p, SQL_COMMA));
    must_take(p, SQL_CLOSE, ", or )");
    if (left->what != PROPERTY)
        fail(p, MQ_EMALFORMED, "before byte %zu: IN wants a property on its left", p->lexer.at);
    buf_put(&p->lists, &list, sizeof list);
    if (p->lists.failed)
        fail(p, MQ_ENOMEM, "expression");
    if (p->err != MQ_OK)
        return o;
    qsort((struct sql_value *)(void *)p->consts.p + list.from, list.n, sizeof(struct sql_value), by_length_and_bytes);
    emit(p, not ? SQL_OP_NOT_IN : SQL_OP_IN, (uint32_t)(p->lists.n / sizeof list - 1));
    return o;
}

/* CONTAINS, STARTSWITH or ENDSWITH, if it stands here before a string; 0: it does not. */
static uint32_t substring_op(struct parser *p)
{
    static const char *const words[] = {"CONTAINS", "STARTSWITH", "ENDSWITH"};
    struct slice w = peek(p)->text;
    struct sql_lexer ahead = p->lexer;
    for (uint32_t i = 0; p->err == MQ_OK && p->token.kind == SQL_NAME && i < 3; i++)
        if (w.n == strlen(words[i]) && strncasecmp((const char *)w.p, words[i], w.n) == 0)
            return sql_next_token(&ahead).kind == SQL_STRING ? SQL_OP_CONTAINS + i : 0;
    return 0;
}

static struct operand substring(struct parser *p, const struct operand *left, uint32_t op, bool not)
{
    struct operand o = {.what = CONDITION, .from = left->from};
    p->token_read = false;
    struct sql_value wanted = take_string(p);
    if (wanted.type == SQL_T_STRING && wanted.s.n == 0) { /* Apache does not even look at the left side then: false, and NOT of it, too */
        p->steps.n = left->from * sizeof(struct sql_step);
        p->stack--;
        emit(p, SQL_OP_CONST, add_const(p, (struct sql_value){.type = SQL_T_BOOL}));
        return o;
    }
    emit(p, op + (not ? SQL_OP_NOT_CONTAINS - SQL_OP_CONTAINS : 0), add_const(p, wanted));
    return o;
}

static struct operand negated_comparison(struct parser *p, const struct operand *left)
{
    uint32_t op;
    if (take(p, SQL_BETWEEN))
        return between(p, left, true);
    if (take(p, SQL_IN))
        return in_list(p, left, true);
    if ((op = substring_op(p)) != 0)
        return substring(p, left, op, true);
    expected(p, "BETWEEN or IN");
    return *left;
}

static struct operand comparison(struct parser *p)
{
    struct operand o = unary(p);
    uint32_t op;
    while (p->err == MQ_OK) {
        if (take(p, SQL_GT))
            o = order(p, &o, SQL_OP_GT);
        else if (take(p, SQL_GE))
            o = order(p, &o, SQL_OP_GE);
        else if (take(p, SQL_LT))
            o = order(p, &o, SQL_OP_LT);
        else if (take(p, SQL_LE))
            o = order(p, &o, SQL_OP_LE);
        else if (take(p, SQL_BETWEEN))
            o = between(p, &o, false);
        else if (take(p, SQL_IN))
            o = in_list(p, &o, false);
        else if (take(p, SQL_NOT))
            o = negated_comparison(p, &o);
        else if ((op = substring_op(p)) != 0)
            o = substring(p, &o, op, false);
        else
            break;
    }
    return o;
}

static struct operand equate(struct parser *p, const struct operand *left, bool not)
{
    struct operand right = comparison(p), o = {.what = CONDITION, .from = left->from};
    must_be_equated(p, left, &right);
    emit(p, SQL_OP_EQ, 0);
    if (not)
        emit(p, SQL_OP_NOT, 0);
    return o;
}

static struct operand is_null(struct parser *p, const struct operand *left)
{
    struct operand o = {.what = CONDITION, .from = left->from};
    bool not = take(p, SQL_NOT);
    must_take(p, SQL_LIT_NULL, not ? "NULL" : "NULL or NOT NULL");
    emit(p, SQL_OP_IS_NULL, 0);
    if (not)
        emit(p, SQL_OP_NOT, 0);
    return o;
}

static struct operand equality(struct parser *p)
{
    struct operand o = comparison(p);
    while (p->err == MQ_OK) {
        if (take(p, SQL_EQ))
            o = equate(p, &o, false);
        else if (take(p, SQL_NE))
            o = equate(p, &o, true);
        else if (take(p, SQL_IS))
            o = is_null(p, &o);
        else
            break;
    }
    return o;
}

static struct operand parse_and(struct parser *p)
{
    struct operand o = equality(p);
    while (take(p, SQL_AND)) {
        o = condition(p, o);
        uint32_t skip = begin_skip(p, SQL_OP_SKIP_FALSE);
        condition(p, equality(p));
        emit(p, SQL_OP_AND, 0);
        end_skip(p, skip);
    }
    return o;
}

static struct operand parse_or(struct parser *p)
{
    struct operand o = parse_and(p);
    while (take(p, SQL_OR)) {
        o = condition(p, o);
        uint32_t skip = begin_skip(p, SQL_OP_SKIP_TRUE);
        condition(p, parse_and(p));
        emit(p, SQL_OP_OR, 0);
        end_skip(p, skip);
    }
    return o;
}

/* ---- packing ---- */
static size_t rounded(size_t n) { return (n + 15) & ~(size_t)15; }

static void *put_array(uint8_t **at, const struct buf *from)
{
    void *to = *at;
    if (from->n)
        memcpy(to, from->p, from->n);
    *at += rounded(from->n);
    return to;
}

static struct slice moved(struct slice s, const uint8_t *from, const uint8_t *to) { return slice_make(to + (s.p - from), s.n); }

static struct sql *pack(const struct parser *p)
{
    size_t bytes = rounded(sizeof(struct sql)) + rounded(p->steps.n) + rounded(p->consts.n) + rounded(p->lists.n) + rounded(p->names.n) + p->text.n;
    struct sql *s = mem_alloc(bytes);
    if (s == NULL)
        return NULL;
    uint8_t *at = (uint8_t *)s + rounded(sizeof *s);
    *s = (struct sql){.users = 1, .n_steps = here(p), .n_names = (uint32_t)(p->names.n / sizeof(struct sql_name)), .bytes = bytes};
    s->steps = put_array(&at, &p->steps);
    struct sql_value *consts = put_array(&at, &p->consts);
    s->consts = consts;
    s->lists = put_array(&at, &p->lists);
    struct sql_name *names = put_array(&at, &p->names);
    s->names = names;
    if (p->text.n)
        memcpy(at, p->text.p, p->text.n);
    for (size_t i = 0; i < p->consts.n / sizeof *consts; i++)
        if (consts[i].type == SQL_T_STRING)
            consts[i].s = moved(consts[i].s, p->text.p, at);
    memset(s->buckets, 0xff, sizeof s->buckets);
    for (uint32_t i = 0; i < s->n_names; i++) {
        names[i].text = moved(names[i].text, p->text.p, at);
        int32_t *bucket = &s->buckets[slice_hash(names[i].text) % SQL_BUCKETS];
        names[i].next = *bucket;
        *bucket = (int32_t)i;
        s->hints |= sql_hint(names[i].text);
    }
    return s;
}

enum mq_err sql_compile(struct slice text, struct sql **out, struct fault *why)
{
    struct parser p = {.lexer = {.text = text}, .why = why};
    if (text.n > SQL_TEXT_MAX)
        return fault_set(why, MQ_ELIMIT, 0, "the expression is longer than %d bytes", SQL_TEXT_MAX);
    if (buf_room(&p.text, text.n + 1) == NULL)
        fail(&p, MQ_ENOMEM, "expression");
    condition(&p, parse_or(&p));
    struct sql *s = p.err == MQ_OK ? pack(&p) : NULL;
    if (s != NULL)
        *out = s;
    else
        fail(&p, MQ_ENOMEM, "expression");
    buf_free(&p.steps);
    buf_free(&p.consts);
    buf_free(&p.lists);
    buf_free(&p.names);
    buf_free(&p.text);
    return p.err;
}
