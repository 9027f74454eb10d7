/* budget.c - see budget.h. Control groups: version 2 has memory.max in each folder above the process's own, and all of them count;
 * version 1 a file of its own. Where nothing can be read, the machine's memory counts alone.  (test: unit/common/budget) */
#include "common/base/budget.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"

static bool read_line(const char *path, const char *start, char *out, size_t n) /* the first that begins so */
{
    FILE *f = fopen(path, "re");
    bool found = false;
    while (f != NULL && !found && fgets(out, (int)n, f) != NULL)
        found = strncmp(out, start, strlen(start)) == 0;
    if (f != NULL)
        fclose(f);
    out[found ? strcspn(out, "\n") : 0] = 0;
    return found;
}

static uint64_t least(uint64_t known, const char *path)
{
    char text[64];
    uint64_t n = read_line(path, "", text, sizeof text) ? strtoull(text, NULL, 10) : 0; /* "max" is 0 */
    return n > 0 && n < known ? n : known;
}

uint64_t budget_physical_bytes(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0;
}

uint64_t budget_machine_bytes(const char *root)
{
    char path[1200], group[512];
    uint64_t physical = budget_physical_bytes(), n = physical > 0 ? physical : UINT64_MAX;
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    if (read_line(path, "0::/", group, sizeof group)) {
        char *own = group + 3;
        for (char *end; (end = strrchr(own, '/')) != NULL; *end = 0) {
            snprintf(path, sizeof path, "%s/sys/fs/cgroup%s/memory.max", root, own);
            n = least(n, path);
        }
    }
    snprintf(path, sizeof path, "%s/sys/fs/cgroup/memory.max", root);
    n = least(n, path);
    snprintf(path, sizeof path, "%s/sys/fs/cgroup/memory/memory.limit_in_bytes", root);
    return least(n, path);
}

uint64_t budget_limit(int64_t configured)
{
    uint64_t half = configured > 0 ? (uint64_t)configured : budget_machine_bytes("") / 2;
    return half > BUDGET_LEAST ? half : BUDGET_LEAST;
}

const char *budget_words(const struct budget *b, char out[BUDGET_WORDS])
{
    snprintf(out, BUDGET_WORDS, "memoryLimit reached: %" PRIu64 " of %" PRIu64 " bytes in use", mem_used(), b->limit);
    return out;
}

void budget_say(struct budget *b, const char *area, const char *what)
{
    char words[BUDGET_WORDS];
    if (log_ok_now(&b->logged_ms, 10000))
        log_warn(area, "%s refused reason=\"%s\"", what, budget_words(b, words));
}
