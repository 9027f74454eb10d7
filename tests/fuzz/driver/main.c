/* main.c - runs a fuzz target without libFuzzer: every file of its corpus, then seeded mutations of them, for a second or so.
 *
 *   fuzz-NAME [-s SEED] [-n INPUTS] [FILE or FOLDER ...]      default: tests/fuzz/corpus/NAME, seed 1
 * The same seed makes the same inputs. When the target dies, the input that killed it is in fuzz-NAME.crash beside the program:
 * give it as FILE to see it again. It is no substitute for `make fuzz`, which is led by coverage. */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

enum { SEEDS_MAX = 4096, INPUT_MAX = 64 << 10, INPUTS = 50000, BUDGET_MS = 1000 };

static struct buf seeds[SEEDS_MAX];
static int n_seeds;
static uint64_t state = 1;
static char crash_file[4096];
static struct slice current; /* what the target is busy with */

static uint64_t rnd(void) /* splitmix64 */
{
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}
static size_t below(size_t n) { return n ? (size_t)(rnd() % n) : 0; }

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void keep_input(void)
{
    FILE *f = fopen(crash_file, "wb");
    if (f) {
        if (current.n)
            fwrite(current.p, 1, current.n, f);
        fclose(f);
    }
    printf("the input of %zu bytes is in %s\n", current.n, crash_file);
    fflush(stdout);
}
static void on_signal(int sig)
{
    keep_input();
    signal(sig, SIG_DFL);
    raise(sig);
}
/* In a sanitizer build, which ends the process by itself. */
extern void __sanitizer_set_death_callback(void (*fn)(void)) __attribute__((weak));

static void run(const uint8_t *p, size_t n)
{
    uint8_t *exact = malloc(n ? n : 1); /* a sanitizer sees what is read behind it */
    if (exact == NULL)
        return;
    if (n)
        memcpy(exact, p, n);
    current = slice_make(exact, n);
    LLVMFuzzerTestOneInput(exact, n);
    current = slice_make(NULL, 0);
    free(exact);
}

static bool load(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return false;
    if (S_ISDIR(st.st_mode)) {
        struct dirent **all;
        int n = scandir(path, &all, NULL, alphasort);
        for (int i = 0; i < n; i++) {
            char inner[4096];
            snprintf(inner, sizeof inner, "%s/%s", path, all[i]->d_name);
            if (all[i]->d_name[0] != '.')
                load(inner);
            free(all[i]);
        }
        if (n >= 0)
            free(all);
        return n >= 0;
    }
    FILE *f = n_seeds < SEEDS_MAX ? fopen(path, "rb") : NULL;
    if (f == NULL)
        return false;
    struct buf *b = &seeds[n_seeds++];
    uint8_t *at = buf_room(b, INPUT_MAX);
    b->n = at ? fread(at, 1, INPUT_MAX, f) : 0;
    fclose(f);
    return true;
}

static void replace(struct buf *b, size_t at, size_t gone, const void *with, size_t n) /* `with` is not of b */
{
    if (n > gone && buf_room(b, n - gone) == NULL)
        return;
    memmove(b->p + at + n, b->p + at + gone, b->n - at - gone);
    if (n)
        memcpy(b->p + at, with, n);
    b->n = b->n - gone + n;
}

static void mutate(struct buf *b)
{
    static const uint32_t edges[] = {0, 1, 2, 4, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff};
    static const char tokens[][8] = {"\"", "\\", "{", "}", "[", "]", ",", ":", "null", "0", "-1", "\\u0000", "\\ud800", "\x01", "\x02", "%", "@", "||", "=", "\n"};
    uint8_t piece[8];
    uint32_t v = edges[below(sizeof edges / sizeof *edges)];
    size_t at = below(b->n), n = below(b->n - at < 64 ? b->n - at + 1 : 64);
    const struct buf *other = &seeds[below((size_t)n_seeds)];
    size_t from = below(other->n), more = below(other->n - from < 64 ? other->n - from + 1 : 64);
    const char *token = tokens[below(sizeof tokens / sizeof *tokens)];
    switch (below(8)) {
    case 0:
        if (b->n)
            b->p[at] ^= (uint8_t)(1u << below(8));
        break;
    case 1:
        if (b->n)
            b->p[at] = (uint8_t)rnd();
        break;
    case 2: replace(b, at, n, NULL, 0); break;
    case 3: replace(b, at, 0, token, strlen(token)); break;
    case 4: /* a number in big-endian, 1, 2 or 4 bytes */
        piece[0] = (uint8_t)(v >> 24), piece[1] = (uint8_t)(v >> 16), piece[2] = (uint8_t)(v >> 8), piece[3] = (uint8_t)v;
        n = (size_t)1 << below(3);
        if (b->n >= n)
            memcpy(b->p + below(b->n - n + 1), piece + 4 - n, n);
        break;
    case 5:
        if (other->n)
            replace(b, at, below(2) ? n : 0, other->p + from, more);
        break;
    case 6: b->n = below(b->n + 1); break;
    default:
        if (b->n)
            b->p[at] = (uint8_t)token[0];
        break;
    }
}

int main(int argc, char **argv)
{
    const char *slash = strrchr(argv[0], '/'), *name = slash ? slash + 1 : argv[0];
    char folder[4096];
    long inputs = INPUTS;
    int opt;
    snprintf(crash_file, sizeof crash_file, "%s.crash", argv[0]);
    while ((opt = getopt(argc, argv, "s:n:")) != -1) {
        if (opt == '?')
            return 2;
        if (opt == 's')
            state = strtoull(optarg, NULL, 10);
        else
            inputs = strtol(optarg, NULL, 10);
    }
    printf("seed %llu\n", (unsigned long long)state);
    snprintf(folder, sizeof folder, "tests/fuzz/corpus/%s", strncmp(name, "fuzz-", 5) == 0 ? name + 5 : name);
    if (optind == argc && !load(folder))
        printf("no corpus in %s\n", folder);
    for (int i = optind; i < argc; i++)
        if (!load(argv[i])) {
            fprintf(stderr, "cannot read %s: %s\n", argv[i], strerror(errno));
            return 2;
        }
    if (n_seeds == 0)
        n_seeds = 1; /* the empty input */
    signal(SIGABRT, on_signal);
    signal(SIGSEGV, on_signal);
    signal(SIGBUS, on_signal);
    signal(SIGFPE, on_signal);
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(keep_input);

    fflush(stdout);
    for (int i = 0; i < n_seeds; i++)
        run(seeds[i].p, seeds[i].n);
    struct buf b = {0};
    int64_t end = now_ms() + BUDGET_MS;
    long done = 0;
    for (; done < inputs && optind == argc && now_ms() < end; done++) {
        buf_clear(&b);
        buf_slice(&b, buf_view(&seeds[below((size_t)n_seeds)]));
        for (size_t k = 1 + below(6); k > 0; k--)
            mutate(&b);
        run(b.p, b.n);
    }
    buf_free(&b);
    for (int i = 0; i < n_seeds; i++)
        buf_free(&seeds[i]);
    printf("%ld mutations\n%d passed, 0 failed\n", done, n_seeds + (done > 0)); /* the mutations count as one test */
    return 0;
}
