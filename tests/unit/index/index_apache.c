/* index_apache.c - files that a broker of Apache 4.9.7 wrote: ours finds in them what the records say, and writes the same bytes. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/store/index_internal.h"
#include "tests/unit/index/index_kit.h"

enum { SLOTS = 16, ENTRIES = 12, BYTES = INDEX_HEADER + SLOTS * INDEX_SLOT + ENTRIES * INDEX_ENTRY, RECORDS = 40, FILES = 10 };
struct record {
    struct message m;
    char topic[64];
    uint8_t properties[512];
};
static struct {
    struct record records[RECORDS];
    size_t n;
    struct {
        char name[32];
        uint8_t bytes[BYTES];
        size_t n;
    } files[FILES];
    size_t n_files;
} apache;

static size_t unhex(const char *hex, uint8_t *out, size_t max)
{
    size_t n = 0;
    unsigned byte;
    for (; hex[0] && sscanf(hex, "%2x", &byte) == 1; hex += 2) {
        cr_assert(lt(sz, n, max));
        out[n++] = (uint8_t)byte;
    }
    return n;
}

static void take_record(const char *line)
{
    cr_assert(lt(sz, apache.n, RECORDS));
    struct record *r = &apache.records[apache.n++];
    long long place, ms;
    unsigned size;
    int sys_flag;
    char hex[1024];
    cr_assert(eq(int, sscanf(line, "record %lld %u %d %lld %63s %1023s", &place, &size, &sys_flag, &ms, r->topic, hex), 6));
    size_t n = unhex(hex, r->properties, sizeof r->properties);
    r->m = (struct message){.phys_off = place, .size = size, .sys_flag = sys_flag, .store_ms = ms, .topic = slice_str(r->topic),
                            .properties = slice_make(r->properties, n)};
}

static void load(void)
{
    char line[2048];
    FILE *f = fopen("tests/fixtures/index/apache-4.9.7.txt", "r");
    cr_assert(not(zero(ptr, f)), "run from the root of the tree");
    memset(&apache, 0, sizeof apache);
    while (fgets(line, sizeof line, f)) {
        if (line[0] == '#')
            continue;
        if (strncmp(line, "record", 6) == 0) {
            take_record(line);
        } else if (sscanf(line, "index %31s", apache.files[apache.n_files].name) == 1) {
            cr_assert(lt(sz, ++apache.n_files, FILES));
        } else {
            cr_assert(gt(sz, apache.n_files, 0));
            size_t at = apache.files[apache.n_files - 1].n;
            apache.files[apache.n_files - 1].n += unhex(line, apache.files[apache.n_files - 1].bytes + at, BYTES - at);
        }
    }
    fclose(f);
    cr_assert(all(eq(sz, apache.n, 29), eq(sz, apache.n_files, 6)));
}

static bool has(struct msg_index *x, const struct message *m, struct slice key)
{
    int64_t places[64], last_ms, last_phys;
    uint32_t n = 0;
    cr_assert(eq(int, msg_index_find(x, m->topic, key, 64, m->store_ms, m->store_ms, places, &n, &last_ms, &last_phys), MQ_OK));
    cr_expect(all(eq(i64, last_ms, 1795550686355), eq(i64, last_phys, 5756)));
    for (uint32_t i = 0; i < n; i++)
        if (places[i] == m->phys_off)
            return true;
    return false;
}

Test(index_apache, its_files_give_every_key_at_the_time_of_its_record, .init = load)
{
    struct fake_disk *d = fake_disk_new(1);
    for (size_t i = 0; i < apache.n_files; i++) {
        char path[64];
        snprintf(path, sizeof path, "index/%s", apache.files[i].name);
        cr_assert(eq(sz, apache.files[i].n, BYTES));
        fake_disk_damage(d, path, 0, apache.files[i].bytes, BYTES);
    }
    for (int unclean = 0; unclean < 2; unclean++) {
        struct msg_index *x = unclean ? open_after_crash(d, SLOTS, ENTRIES, 0) : open_index(d, NULL, SLOTS, ENTRIES);
        int keys = 0, entries = 0;
        for (size_t i = 0; i < apache.n_files; i++)
            entries += apache.files[i].bytes[39] - 1; /* what Apache's headers count */
        for (size_t i = 0; i < apache.n; i++) {
            const struct message *m = &apache.records[i].m;
            struct slice value, key;
            if (prop_get(m->properties, PROP_UNIQ_KEY, &value))
                keys += has(x, m, value);
            if (prop_get(m->properties, PROP_KEYS, &value))
                while (slice_cut(&value, ' ', &key))
                    keys += key.n > 0 && has(x, m, key);
        }
        cr_expect(all(eq(int, keys, entries), eq(int, entries, 60)));
        cr_expect(eq(u64, msg_index_reached(x), 5756));
        msg_index_close(x);
        for (size_t i = 0; i < apache.n_files; i++) { /* whole files: proving them changed nothing */
            char path[64];
            uint64_t n;
            snprintf(path, sizeof path, "index/%s", apache.files[i].name);
            cr_expect_arr_eq(fake_disk_bytes(d, path, &n), apache.files[i].bytes, BYTES);
        }
    }
    fake_disk_free(d);
}

Test(index_apache, the_same_records_give_the_same_bytes, .init = load)
{
    for (unsigned every = 1; every <= apache.n; every++) { /* so many records a batch */
        struct fake_disk *d = fake_disk_new(1);
        struct msg_index *x = open_index(d, NULL, SLOTS, ENTRIES);
        for (size_t i = 0; i < apache.n; i++) {
            msg_index_add(x, &apache.records[i].m);
            if ((i + 1) % every == 0)
                msg_index_tick(x, apache.records[i].m.store_ms + 1000 * (int64_t)i);
        }
        msg_index_close(x);
        char names[1024], *rest = names, *name;
        snprintf(names, sizeof names, "%s", file_names(d));
        for (size_t i = 0; i < apache.n_files; i++) {
            uint64_t n = 0;
            name = strtok_r(i == 0 ? names : NULL, " ", &rest);
            cr_assert(not(zero(ptr, name)), "%zu files", i);
            const uint8_t *bytes = fake_disk_bytes(d, name, &n);
            cr_assert(eq(u64, n, BYTES));
            for (size_t k = 0; k < BYTES; k++)
                cr_assert(eq(u8, bytes[k], apache.files[i].bytes[k]), "file %zu byte %zu, %u records a batch", i, k, every);
        }
        cr_expect(zero(ptr, strtok_r(NULL, " ", &rest)));
        fake_disk_free(d);
    }
}
