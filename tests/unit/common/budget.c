/* budget.c - what is in use is counted, on whichever thread; what the limit of the machine is; from which figure on what is refused. */
#include "common/base/budget.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int64_t since(uint64_t before) { return (int64_t)(mem_used() - before); }

Test(budget, what_is_given_counts_until_it_comes_back)
{
    uint64_t before = mem_used();
    void *p = mem_alloc(100000), *z = mem_zalloc(50000);
    cr_assert(p && z);
    cr_expect(since(before) >= 150000 && since(before) < 160000, "%lld", (long long)since(before));
    p = mem_realloc(p, 1000000);
    cr_expect(since(before) >= 1050000 && since(before) < 1070000, "%lld", (long long)since(before));
    p = mem_realloc(p, 10);
    mem_free(z);
    cr_expect(since(before) >= 10 && since(before) < 8192, "%lld", (long long)since(before));
    mem_fail_after(1);
    cr_assert(mem_alloc(100000) == NULL && mem_zalloc(100000) == NULL && mem_realloc(p, 100000) == NULL);
    mem_fail_after(0);
    mem_free(p);
    mem_free(NULL);
    cr_expect_eq(since(before), 0, "what failed, and what was freed, does not count");
}

enum { PIECES = 1000, PIECE = 1000 };
static void *pieces[PIECES];
static void *take(void *arg)
{
    (void)arg;
    for (int i = 0; i < PIECES; i++)
        pieces[i] = mem_alloc(PIECE);
    return NULL;
}
static void *give_back(void *arg)
{
    (void)arg;
    for (int i = 0; i < PIECES; i++)
        mem_free(pieces[i]);
    return NULL;
}

Test(budget, another_thread_counts_within_its_slack)
{
    pthread_t t;
    uint64_t before = mem_used();
    cr_assert(pthread_create(&t, NULL, take, NULL) == 0 && pthread_join(t, NULL) == 0);
    cr_expect(since(before) > PIECES * PIECE - MEM_SLACK && since(before) < PIECES * (PIECE + 64) + MEM_SLACK, "%lld", (long long)since(before));
    cr_assert(pthread_create(&t, NULL, give_back, NULL) == 0 && pthread_join(t, NULL) == 0);
    cr_expect(llabs(since(before)) <= 2 * MEM_SLACK, "%lld", (long long)since(before));
}

Test(budget, levels_and_what_is_too_much)
{
    cr_expect(budget_level(NULL) == BUDGET_EASY && budget_level_of(UINT64_MAX, 0) == BUDGET_EASY && budget_excess(UINT64_MAX, 0) == 0);
    cr_expect(budget_level_of(799, 1000) == BUDGET_EASY && budget_level_of(800, 1000) == BUDGET_GIVE_BACK);
    cr_expect(budget_level_of(899, 1000) == BUDGET_GIVE_BACK && budget_level_of(900, 1000) == BUDGET_NO_GROWTH);
    cr_expect(budget_level_of(949, 1000) == BUDGET_NO_GROWTH && budget_level_of(950, 1000) == BUDGET_NO_GUESTS);
    cr_expect(budget_level_of(999, 1000) == BUDGET_NO_GUESTS && budget_level_of(1000, 1000) == BUDGET_NO_WORK);
    cr_expect(budget_excess(949, 1000) == 0 && budget_excess(950, 1000) == 20 && budget_excess(3000, 1000) == 2070);
    cr_expect(budget_level_of(UINT64_MAX / 2, UINT64_MAX) == BUDGET_EASY && budget_level_of(UINT64_MAX, UINT64_MAX) == BUDGET_NO_WORK);
}

Test(budget, words_say_used_and_limit)
{
    struct budget b = {.limit = 7};
    char words[BUDGET_WORDS];
    cr_expect(strstr(budget_words(&b, words), "memoryLimit reached: ") == words && strstr(words, " of 7 bytes in use") != NULL, "%s", words);
}

static void put_file(const char *root, const char *path, const char *text)
{
    char full[300];
    snprintf(full, sizeof full, "%s", root);
    for (const char *at = path, *end; (end = strchr(at + 1, '/')) != NULL; at = end) {
        snprintf(full, sizeof full, "%s%.*s", root, (int)(end - path), path);
        mkdir(full, 0700);
    }
    snprintf(full, sizeof full, "%s%s", root, path);
    FILE *f = fopen(full, "w");
    cr_assert(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0, "%s", full);
}

Test(budget, the_smallest_limit_of_all_control_groups_counts)
{
    char root[] = "/tmp/mq-budget.XXXXXX", command[100];
    cr_assert(mkdtemp(root) != NULL);
    uint64_t machine = budget_machine_bytes(root);
    cr_expect(machine == (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE), "no control groups: the machine's memory");
    put_file(root, "/proc/self/cgroup", "1:name=systemd:/x\n0::/outer/inner\n");
    put_file(root, "/sys/fs/cgroup/outer/inner/memory.max", "max\n");
    cr_expect(budget_machine_bytes(root) == machine);
    put_file(root, "/sys/fs/cgroup/outer/memory.max", "50000000\n");
    cr_expect(budget_machine_bytes(root) == 50000000, "one above");
    put_file(root, "/sys/fs/cgroup/outer/inner/memory.max", "40000000\n");
    cr_expect(budget_machine_bytes(root) == 40000000, "its own");
    put_file(root, "/sys/fs/cgroup/memory.max", "30000000\n");
    cr_expect(budget_machine_bytes(root) == 30000000, "the root, as a container sees its own");
    put_file(root, "/sys/fs/cgroup/memory/memory.limit_in_bytes", "20000000\n");
    cr_expect(budget_machine_bytes(root) == 20000000, "version 1");
    put_file(root, "/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    cr_expect(budget_machine_bytes(root) == 30000000, "version 1 without a limit");
    snprintf(command, sizeof command, "rm -r %s", root);
    cr_assert(system(command) == 0);
}

Test(budget, a_configured_limit_counts_and_0_is_half_of_the_machine)
{
    cr_expect(budget_limit(1 << 30) == 1 << 30 && budget_limit(1) == BUDGET_LEAST);
    cr_expect(budget_limit(0) == budget_machine_bytes("") / 2 || budget_limit(0) == BUDGET_LEAST);
}
