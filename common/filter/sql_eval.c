/* sql_eval.c - runs a program over a message's properties.
 *
 * A property is a string or missing; constants are Java's Integer, Long, Double, Boolean or String. When types differ, Apache converts the string
 * to the type of the other side, and throws when that fails: 'abc' > 5, 5.5 > 5, TRUE = 'x'. An exception ends the evaluation.
 *   I1  nothing is allocated, and nothing recurses: the program's bounds are those of the run.
 *   I2  properties are looked up in one pass, and only when the program asks for one.   (test: unit/filter/verdicts) */
#include <assert.h>
#include "common/base/mem.h"
#include "common/filter/java_number.h"
#include "common/filter/sql_internal.h"
#include "common/protocol/message.h"

struct run {
    const struct sql *s;
    struct slice properties;
    bool looked;
    struct slice values[SQL_NAMES_MAX]; /* by name; p == NULL: missing */
    struct sql_value stack[SQL_STACK_MAX];
};

/* ---- properties ---- */
static void look(struct run *r)
{
    const struct sql *s = r->s;
    struct slice rest = r->properties, name, value;
    r->looked = true;
    memset(r->values, 0, s->n_names * sizeof *r->values);
    while (prop_next(&rest, &name, &value)) {
        if (!(s->hints & sql_hint(name)))
            continue;
        for (int32_t i = s->buckets[slice_hash(name) % SQL_BUCKETS]; i >= 0; i = s->names[i].next)
            if (slice_eq(s->names[i].text, name)) {
                r->values[i] = value;
                break;
            }
    }
}

static void property(struct run *r, uint32_t i, struct sql_value *out)
{
    if (!r->looked)
        look(r);
    out->type = r->values[i].p ? SQL_T_STRING : SQL_T_NULL;
    out->s = r->values[i];
}

/* ---- comparing ---- */
static bool is_number(enum sql_type t) { return t == SQL_T_INT || t == SQL_T_LONG || t == SQL_T_DOUBLE; }
static double as_double(const struct sql_value *v) { return v->type == SQL_T_DOUBLE ? v->d : (double)v->i; }

static int compare_doubles(double a, double b) /* Double.compareTo(): -0.0 < 0.0, and NaN is above all and equal to itself */
{
    if (a < b || a > b)
        return a < b ? -1 : 1;
    int64_t x, y;
    memcpy(&x, &a, sizeof x);
    memcpy(&y, &b, sizeof y);
    if (a != a || b != b)
        return (a != a) - (b != b);
    return (x > y) - (x < y);
}

int sql_compare_numbers(const struct sql_value *a, const struct sql_value *b)
{
    if (a->type == SQL_T_DOUBLE || b->type == SQL_T_DOUBLE)
        return compare_doubles(as_double(a), as_double(b));
    return (a->i > b->i) - (a->i < b->i);
}

/* Text becomes what `type` is; false: an exception. */
static bool converted(struct slice text, enum sql_type type, struct sql_value *out)
{
    out->type = type;
    if (type == SQL_T_DOUBLE)
        return java_number_double(text, &out->d);
    return type == SQL_T_INT ? java_number_integer(text, INT32_MIN, INT32_MAX, &out->i) : java_number_integer(text, INT64_MIN, INT64_MAX, &out->i);
}

/* Neither is null. False: an exception. What Java cannot compare is "less", as Apache's is. */
static bool compare(const struct sql_value *a, const struct sql_value *b, int *out)
{
    struct sql_value v;
    *out = -1;
    if (is_number(a->type) && is_number(b->type))
        *out = sql_compare_numbers(a, b);
    else if (a->type == SQL_T_STRING && is_number(b->type)) {
        if (!converted(a->s, b->type, &v))
            return false;
        *out = sql_compare_numbers(&v, b);
    } else if (is_number(a->type) && b->type == SQL_T_STRING) {
        if (!converted(b->s, a->type, &v))
            return false;
        *out = sql_compare_numbers(a, &v);
    } else if (a->type == SQL_T_STRING && b->type == SQL_T_STRING)
        *out = slice_cmp(a->s, b->s);
    else if (a->type == SQL_T_BOOL && b->type == SQL_T_BOOL)
        *out = a->b - b->b;
    else if (a->type == SQL_T_STRING && b->type == SQL_T_BOOL)
        *out = slice_bool(a->s) - b->b;
    else if (a->type == SQL_T_BOOL && b->type == SQL_T_STRING)
        return false; /* Apache casts the wrong one of both */
    return true;
}

/* In place: a value that is written in parts and then copied whole makes the processor wait for its own stores. */
static void set_bool(struct sql_value *v, bool b)
{
    v->type = SQL_T_BOOL;
    v->b = b;
}

/* IS NULL is this, too. Two missing properties are equal. */
static bool equal(struct sql_value *a, const struct sql_value *b)
{
    int c;
    if (a->type == SQL_T_NULL && b->type != SQL_T_NULL)
        return true; /* null it stays */
    if (a->type == SQL_T_NULL || b->type == SQL_T_NULL) {
        set_bool(a, a->type == b->type);
        return true;
    }
    if (a->type == SQL_T_STRING && b->type == SQL_T_STRING) {
        set_bool(a, slice_eq(a->s, b->s));
        return true;
    }
    bool good = compare(a, b, &c);
    set_bool(a, c == 0);
    return good;
}

static bool ordered(uint32_t op, struct sql_value *a, const struct sql_value *b)
{
    struct sql_value x, y;
    int c;
    if (a->type == SQL_T_NULL || b->type == SQL_T_NULL) {
        a->type = SQL_T_NULL;
        return true;
    }
    if (a->type == SQL_T_STRING && b->type == SQL_T_STRING) {
        if (!converted(a->s, SQL_T_DOUBLE, &x) || !converted(b->s, SQL_T_DOUBLE, &y))
            return false;
        c = compare_doubles(x.d, y.d);
    } else if (!compare(a, b, &c)) {
        return false;
    }
    set_bool(a, op == SQL_OP_GT ? c > 0 : op == SQL_OP_GE ? c >= 0 : op == SQL_OP_LT ? c < 0 : c <= 0);
    return true;
}

/* ---- the rest ---- */
static void combine(struct sql_value *a, const struct sql_value *b, bool ends) /* a is not `ends`: AND ends with false, OR with true */
{
    if (b->type == SQL_T_BOOL && b->b == ends)
        set_bool(a, ends);
    else if (b->type == SQL_T_NULL)
        a->type = SQL_T_NULL;
}

static void negate(struct sql_value *v)
{
    if (v->type == SQL_T_DOUBLE)
        v->d = -v->d;
    else if (v->type == SQL_T_INT || v->type == SQL_T_LONG)
        v->i = (int64_t)(0 - (uint64_t)v->i);
    else
        v->type = SQL_T_NULL;
}

static void is_in(const struct sql *s, const struct sql_list *list, struct sql_value *v, bool not)
{
    size_t low = list->from, high = low + list->n;
    if (v->type == SQL_T_NULL)
        return;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        struct slice at = s->consts[mid].s;
        int c = at.n != v->s.n ? (at.n < v->s.n ? -1 : 1) : at.n ? memcmp(at.p, v->s.p, at.n) : 0;
        if (c == 0) {
            set_bool(v, !not);
            return;
        }
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    set_bool(v, not);
}

static bool has(uint32_t op, struct slice text, struct slice part)
{
    if (part.n > text.n)
        return false;
    switch (op) {
    case SQL_OP_STARTS: return memcmp(text.p, part.p, part.n) == 0;
    case SQL_OP_ENDS: return memcmp(text.p + text.n - part.n, part.p, part.n) == 0;
    default: return memmem(text.p, text.n, part.p, part.n) != NULL;
    }
}

static void substring(uint32_t op, struct sql_value *v, struct slice part)
{
    bool not = op >= SQL_OP_NOT_CONTAINS;
    uint32_t plain = not ? op - (SQL_OP_NOT_CONTAINS - SQL_OP_CONTAINS) : op;
    set_bool(v, v->type == SQL_T_STRING && has(plain, v->s, part) != not);
}

static bool top_is(const struct sql_value *v, uint32_t op)
{
    return op == SQL_OP_SKIP_NULL ? v->type == SQL_T_NULL : v->type == SQL_T_BOOL && v->b == (op == SQL_OP_SKIP_TRUE);
}

/* One instruction that is neither a push nor a jump; top is its last operand. False: an exception. */
static bool apply(const struct sql *s, struct sql_step step, struct sql_value *top)
{
    switch (step.op) {
    case SQL_OP_NEGATE: negate(top); return true;
    case SQL_OP_NOT:
        if (top->type == SQL_T_BOOL)
            top->b = !top->b;
        return true;
    case SQL_OP_CAST:
        if (top->type != SQL_T_NULL)
            set_bool(top, top->type == SQL_T_BOOL && top->b);
        return true;
    case SQL_OP_IS_NULL: set_bool(top, top->type == SQL_T_NULL); return true;
    case SQL_OP_EQ: return equal(top - 1, top);
    case SQL_OP_GT:
    case SQL_OP_GE:
    case SQL_OP_LT:
    case SQL_OP_LE: return ordered(step.op, top - 1, top);
    case SQL_OP_AND: combine(top - 1, top, false); return true;
    case SQL_OP_OR: combine(top - 1, top, true); return true;
    case SQL_OP_IN:
    case SQL_OP_NOT_IN: is_in(s, &s->lists[step.a], top, step.op == SQL_OP_NOT_IN); return true;
    default: substring(step.op, top, s->consts[step.a].s); return true;
    }
}

enum sql_verdict sql_evaluate(const struct sql *s, struct slice properties)
{
    struct run r;
    struct sql_value *top = r.stack - 1;
    r.s = s;
    r.properties = properties;
    r.looked = false;
    for (uint32_t i = 0; i < s->n_steps; i++) {
        struct sql_step step = s->steps[i];
        switch (step.op) {
        case SQL_OP_PROPERTY: property(&r, step.a, ++top); break;
        case SQL_OP_CONST: *++top = s->consts[step.a]; break;
        case SQL_OP_SKIP_FALSE:
        case SQL_OP_SKIP_TRUE:
        case SQL_OP_SKIP_NULL: i += top_is(top, step.op) ? step.a - 1 : 0; break;
        default:
            if (!apply(s, step, top))
                return SQL_ERROR;
            top -= (step.op >= SQL_OP_EQ && step.op <= SQL_OP_LE) || step.op == SQL_OP_AND || step.op == SQL_OP_OR;
        }
    }
    assert(top == r.stack && top->type <= SQL_T_BOOL);
    return top->type == SQL_T_NULL ? SQL_NULL : top->b ? SQL_TRUE : SQL_FALSE;
}

/* ---- life ---- */
struct sql *sql_ref(struct sql *s)
{
    s->users++;
    return s;
}

void sql_unref(struct sql *s)
{
    if (s != NULL && --s->users == 0)
        mem_free(s);
}

size_t sql_bytes(const struct sql *s) { return s->bytes; }
