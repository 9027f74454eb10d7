/* tsan_main.c - runs Criterion's tests in thread sanitizer builds.
 *
 * Criterion's own runner maps its arena at a fixed address, which the sanitizer has taken: it dies before the first test. Here each
 * test is a forked child of this program, one after the other; what the macros call on the way is defined here instead of in the library.
 * The last line is Criterion's, so that tests/run reads both. Arguments: parts of suite/name, to run only those. */
#ifdef __SANITIZE_THREAD__
#include <criterion/criterion.h>
#include <criterion/event.h>
#include <criterion/stats.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern struct criterion_test *__start_cr_tst[], *__stop_cr_tst[];
extern struct criterion_suite *__start_cr_sts[] __attribute__((weak)), *__stop_cr_sts[] __attribute__((weak));

static const struct criterion_test *now;
static bool failed;

static void nothing(void) {}

static const struct criterion_test_extra_data *suite_of(const struct criterion_test *t)
{
    for (struct criterion_suite **s = __start_cr_sts; s != NULL && s < __stop_cr_sts; s++)
        if (*s != NULL && strcmp((*s)->name, t->category) == 0)
            return (*s)->data;
    return NULL;
}

void criterion_internal_test_setup(void)
{
    const struct criterion_test_extra_data *suite = suite_of(now);
    (suite != NULL && suite->init != NULL ? suite->init : nothing)();
    (now->data->init != NULL ? now->data->init : nothing)();
}

void criterion_internal_test_main(void (*fn)(void)) { fn(); }

void criterion_internal_test_teardown(void)
{
    const struct criterion_test_extra_data *suite = suite_of(now);
    (now->data->fini != NULL ? now->data->fini : nothing)();
    (suite != NULL && suite->fini != NULL ? suite->fini : nothing)();
}

void criterion_send_assert(struct criterion_assert_stats *a)
{
    if (a->passed)
        return;
    failed = true;
    printf("[----] %s:%u: %s\n", a->file, a->line, a->message ? a->message : "failed");
    fflush(stdout);
}

void cri_asserts_passed_incr(void) {}
void criterion_continue_test(void) {}
void criterion_abort_test(void) { _exit(1); }

static int run_child(const struct criterion_test *t)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        now = t;
        alarm(t->data->timeout > 0 ? 1 + (unsigned)t->data->timeout : 0);
        t->test();
        exit(failed ? 1 : 0); /* the sanitizer makes it 66 when it had something to say */
    }
    int status = -1;
    while (pid > 0 && waitpid(pid, &status, 0) < 0)
        ;
    return status;
}

static bool wanted(const struct criterion_test *t, int n, char **parts)
{
    char name[512];
    snprintf(name, sizeof name, "%s/%s", t->category, t->name);
    for (int i = 0; i < n; i++)
        if (strstr(name, parts[i]) != NULL)
            return true;
    return n == 0;
}

int main(int argc, char **argv)
{
    unsigned tested = 0, failing = 0, crashing = 0;
    for (struct criterion_test **t = __start_cr_tst; t < __stop_cr_tst; t++) {
        if (*t == NULL || (*t)->data->disabled || !wanted(*t, argc - 1, argv + 1))
            continue;
        int status = run_child(*t);
        bool good = (*t)->data->signal ? WIFSIGNALED(status) && WTERMSIG(status) == (*t)->data->signal
                                       : WIFEXITED(status) && WEXITSTATUS(status) == (*t)->data->exit_code;
        tested++;
        failing += !good && WIFEXITED(status);
        crashing += !good && !WIFEXITED(status);
        if (!good)
            printf("[FAIL] %s::%s: %s %d\n", (*t)->category, (*t)->name, WIFEXITED(status) ? "exit" : "signal",
                   WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    }
    printf("[====] Synthesis: Tested: %u | Passing: %u | Failing: %u | Crashing: %u\n", tested, tested - failing - crashing, failing, crashing);
    return failing + crashing > 0;
}
#else
typedef int no_declarations_here; /* other builds use Criterion's main */
#endif
