/* expressions.c - a table by text, and a list in the order of use.
 *   I1  at most EXPRESSIONS_MAX programs, and EXPRESSIONS_BYTES_MAX bytes but for the newest one.  (test: unit/filter/expressions)
 * A text that does not compile is compiled again when it comes again: that is no faster way to keep a broker busy than any other request. */
#include "broker/filter/expressions.h"
#include "common/base/hashmap.h"
#include "common/base/mem.h"

struct entry {
    struct hash_node node; /* key = text */
    struct list used;
    struct sql *program;
    size_t bytes;
    uint8_t text[];
};
struct expressions {
    struct hashmap map;
    struct list used; /* the longest unused first */
    size_t bytes;
};

struct expressions *expressions_new(void)
{
    struct expressions *e = mem_zalloc(sizeof *e);
    if (e != NULL)
        list_init(&e->used);
    return e;
}

static void forget(struct expressions *e, struct entry *x)
{
    hashmap_remove(&e->map, &x->node);
    list_remove(&x->used);
    e->bytes -= x->bytes;
    sql_unref(x->program);
    mem_free(x);
}

static struct entry *oldest(struct expressions *e) { return CONTAINER_OF(e->used.next, struct entry, used); }

void expressions_free(struct expressions *e)
{
    if (e == NULL)
        return;
    while (!list_empty(&e->used))
        forget(e, oldest(e));
    hashmap_fini(&e->map);
    mem_free(e);
}

static struct entry *add(struct expressions *e, struct slice text, struct sql *program)
{
    struct entry *x = mem_alloc(sizeof *x + text.n);
    if (x == NULL)
        return NULL;
    if (text.n)
        memcpy(x->text, text.p, text.n);
    if (!hashmap_add(&e->map, &x->node, slice_make(x->text, text.n))) {
        mem_free(x);
        return NULL;
    }
    x->program = program;
    x->bytes = sizeof *x + text.n + sql_bytes(program);
    list_push_back(&e->used, &x->used);
    e->bytes += x->bytes;
    return x;
}

struct sql *expressions_get(struct expressions *e, struct slice text, struct fault *why)
{
    struct hash_node *n = hashmap_get(&e->map, text);
    struct sql *program;
    if (n != NULL) {
        struct entry *x = CONTAINER_OF(n, struct entry, node);
        list_remove(&x->used);
        list_push_back(&e->used, &x->used);
        return x->program;
    }
    if (sql_compile(text, &program, why) != MQ_OK)
        return NULL;
    struct entry *x = add(e, text, program);
    if (x == NULL) {
        sql_unref(program);
        fault_set(why, MQ_ENOMEM, 0, "expression");
        return NULL;
    }
    while (oldest(e) != x && (e->map.n > EXPRESSIONS_MAX || e->bytes > EXPRESSIONS_BYTES_MAX))
        forget(e, oldest(e));
    return program;
}

size_t expressions_count(const struct expressions *e) { return e->map.n; }
