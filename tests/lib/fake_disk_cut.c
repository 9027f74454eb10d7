/* fake_disk_cut.c - the end of a process or of the power: which of the bytes, sizes and names that were not synced are left.
 * All that is asked of chance is asked in one order (files, then names), so the same seed leaves the same. */
#include "tests/lib/fake_disk_internal.h"

#include <stdlib.h>
#include <string.h>

const char *fake_cut_name(enum fake_cut how)
{
    static const char *const names[] = {"kill -9", "all lost", "all kept", "by chance", "first sectors kept", "first sectors lost"};
    return names[how];
}

static int by_age(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* The clock's value at which the n-th dirty sector became dirty; UINT64_MAX when there are fewer. */
static uint64_t when_nth(const struct fake_disk *d, uint64_t nth)
{
    uint64_t total = fake_disk_dirty(d), n = 0;
    if (nth > total)
        return UINT64_MAX;
    if (nth == 0)
        return 0;
    uint64_t *ages = fake_must(malloc(total * sizeof *ages));
    for (const struct inode *i = d->inodes; i; i = i->next)
        for (uint64_t s = 0; s < i->cap / FAKE_SECTOR; s++)
            if (i->flags[s] & SECTOR_DIRTY)
                ages[n++] = i->when[s];
    qsort(ages, n, sizeof *ages, by_age);
    uint64_t when = ages[nth - 1];
    free(ages);
    return when;
}

struct survival {
    enum fake_cut how;
    uint64_t limit;
    struct rng rng;
};

static bool survives(struct survival *v, uint64_t when)
{
    switch (v->how) {
    case CUT_RANDOM:
        return rng_one_in(&v->rng, 2);
    case CUT_FIRST:
        return when <= v->limit;
    case CUT_LAST:
        return when > v->limit;
    default:
        return v->how == CUT_KEEP;
    }
}

static void cut_inode(struct inode *i, struct survival *v)
{
    for (uint64_t s = 0; s < i->cap / FAKE_SECTOR; s++)
        if (i->flags[s] & SECTOR_DIRTY && survives(v, i->when[s]))
            fake_write_sector(i, s);
    if (i->resized && survives(v, i->resized))
        fake_settle_size(i);
    i->size = i->safe_size;
    i->resized = 0;
    if (i->cap > 0) {
        memset(i->safe + i->size, 0, i->cap - i->size);
        memcpy(i->seen, i->safe, i->cap);
    }
    for (uint64_t s = 0; s < i->cap / FAKE_SECTOR; s++)
        i->flags[s] = (uint8_t)(i->flags[s] & SECTOR_ALLOCATED);
}

/* By folder, the changes up to some point are left: `gone` marks the others. */
static void cut_names(struct fake_disk *d, struct survival *v)
{
    char dir[STORE_PATH_MAX];
    bool *gone = fake_must(calloc(d->n_changes + 1, sizeof *gone));
    for (size_t i = 0; i < d->n_changes; i++) {
        const struct change *c = &d->changes[i];
        if (!gone[i] && survives(v, c->when)) {
            fake_apply(&d->safe, c);
            continue;
        }
        fake_dir_of(c->to ? c->to : c->from, dir);
        for (size_t k = i; k < d->n_changes; k++) /* what came later in the same folder is lost with it */
            gone[k] = gone[k] || fake_change_is_in(&d->changes[k], dir);
    }
    free(gone);
    fake_drop_changes(d);
    for (bool again = true; again;) { /* what lies in a lost folder is lost */
        again = false;
        for (size_t i = 0; i < d->safe.n && !again; i++) {
            fake_dir_of(d->safe.all[i].path, dir);
            const struct name *above = fake_names_get(&d->safe, dir);
            if (dir[0] && (above == NULL || above->inode != NULL)) {
                fake_names_drop(&d->safe, d->safe.all[i].path);
                again = true;
            }
        }
    }
    fake_names_fini(&d->seen);
    for (size_t i = 0; i < d->safe.n; i++)
        fake_names_set(&d->seen, d->safe.all[i].path, d->safe.all[i].inode);
}

void fake_disk_cut(struct fake_disk *d, enum fake_cut how, uint64_t arg)
{
    for (size_t i = 0; i < d->n_files; i++)
        d->files[i].used = false;
    for (struct inode *i = d->inodes; i; i = i->next)
        i->locked = NULL;
    d->fail_in = d->stop_at = 0;
    if (how == CUT_KILL)
        return;
    struct survival v = {.how = how, .rng = rng_of(arg)};
    v.limit = how == CUT_FIRST || how == CUT_LAST ? when_nth(d, arg) : 0;
    for (struct inode *i = d->inodes; i; i = i->next)
        cut_inode(i, &v);
    cut_names(d, &v);
    d->allocated = 0;
    for (size_t i = 0; i < d->seen.n; i++)
        for (uint64_t s = 0; d->seen.all[i].inode && s < d->seen.all[i].inode->cap / FAKE_SECTOR; s++)
            d->allocated += (d->seen.all[i].inode->flags[s] & SECTOR_ALLOCATED) != 0;
}

uint64_t fake_disk_dirty(const struct fake_disk *d)
{
    uint64_t n = 0;
    for (const struct inode *i = d->inodes; i; i = i->next)
        for (uint64_t s = 0; s < i->cap / FAKE_SECTOR; s++)
            n += i->flags[s] & SECTOR_DIRTY;
    return n;
}
