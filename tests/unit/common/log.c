/* log.c - what a line looks like, who gets it, how often. */
#include "common/base/log.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/err.h"

static char got[2000], got_area[20];
static enum log_level got_level;
static int n_got;

static void on_line(void *ctx, enum log_level level, const char *area, const char *text)
{
    n_got++;
    got_level = level;
    snprintf(got, sizeof got, "%s", text);
    snprintf(got_area, sizeof got_area, "%s", area);
    cr_assert(ctx == got);
}

Test(log, a_sink_gets_level_area_and_text_from_the_level_on)
{
    log_set_sink(on_line, got);
    log_set_level(LOG_WARN);
    log_debug("ha", "no");
    log_info("ha", "no");
    cr_assert(n_got == 0);
    log_warn("ha", "slave lags slave=%s behind_bytes=%d", "10.0.0.7:10912", 5);
    cr_assert(n_got == 1 && got_level == LOG_WARN && strcmp(got_area, "ha") == 0);
    cr_assert_str_eq(got, "slave lags slave=10.0.0.7:10912 behind_bytes=5");
    log_error("x", "%s", "e");
    cr_assert(got_level == LOG_ERROR);
    log_set_level(LOG_OFF);
    log_error("x", "no");
    cr_assert(n_got == 2);
}

static int lines_of(const char *path, char *text, size_t n)
{
    int fd = open(path, O_RDONLY), lines = 0;
    ssize_t r = read(fd, text, n - 1);
    close(fd);
    cr_assert(r >= 0);
    text[r] = '\0';
    for (const char *p = text; *p; p++)
        lines += *p == '\n';
    return lines;
}

static void to_file(char path[32])
{
    strcpy(path, "/tmp/unit-log-XXXXXX");
    int fd = mkstemp(path);
    fflush(stderr);
    cr_assert(fd >= 0 && dup2(fd, STDERR_FILENO) == STDERR_FILENO);
    close(fd);
}

Test(log, a_line_has_time_level_area_and_a_newline)
{
    char path[32], text[4000];
    int y, mo, d, h, mi, s, ms, used = 0;
    to_file(path);
    log_info("store", "opened dir=%s", "x");
    cr_assert(lines_of(path, text, sizeof text) == 1);
    cr_assert(sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ%n", &y, &mo, &d, &h, &mi, &s, &ms, &used) == 7 && used == 24, "%s", text);
    cr_assert_str_eq(text + 24, " INFO store opened dir=x\n");
    unlink(path);
}

Test(log, a_line_that_is_too_long_is_cut_and_still_one_line)
{
    char path[32], text[8000], big[3000];
    memset(big, 'b', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    to_file(path);
    log_info("a", "%s", big);
    log_info("a", "next");
    cr_assert(lines_of(path, text, sizeof text) == 2);
    cr_assert(strstr(text, "bbb\n") != NULL && strstr(text, " INFO a next\n") != NULL);
    unlink(path);
}

Test(log, what_a_peer_says_cannot_break_a_line)
{
    char path[32], text[4000];
    to_file(path);
    log_warn("server", "closed reason=%s", "a\nb\x1b[31m\r\tc\x7f");
    cr_assert(lines_of(path, text, sizeof text) == 1, "%s", text);
    cr_assert(strchr(text, '\x1b') == NULL && strchr(text, '\r') == NULL, "%s", text);
    unlink(path);
}

static void *write_lines(void *arg)
{
    for (int i = 0; i < 200; i++)
        log_info("thread", "line of=%s end", (const char *)arg);
    return NULL;
}

Test(log, lines_of_many_threads_stay_whole)
{
    static char text[400000];
    char path[32];
    pthread_t t[4];
    to_file(path);
    for (int i = 0; i < 4; i++)
        cr_assert(pthread_create(&t[i], NULL, write_lines, "abcdefghijklmnopqrstuvwxyz") == 0);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    cr_assert(lines_of(path, text, sizeof text) == 800);
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"))
        cr_assert_str_eq(line + 24, " INFO thread line of=abcdefghijklmnopqrstuvwxyz end");
    unlink(path);
}

Test(log, a_place_that_is_limited_speaks_at_most_once_in_its_time)
{
    int64_t last = 0, other = 0;
    int n = 0;
    int64_t end = clock_mono_ms() + 100;
    while (clock_mono_ms() < end)
        n += log_ok_now(&last, 40);
    cr_assert(n >= 2 && n <= 4, "%d times in 100 ms", n);
    cr_assert(log_ok_now(&other, 60000) && !log_ok_now(&other, 60000)); /* each place for itself */
}

Test(log, levels_have_names_in_any_case)
{
    enum log_level l = LOG_OFF;
    cr_assert(log_level_named("debug", &l) && l == LOG_DEBUG && log_level_named("Warn", &l) && l == LOG_WARN);
    cr_assert(!log_level_named("loud", &l) && !log_level_named("", &l) && l == LOG_WARN);
}

Test(err, a_fault_says_what_failed_why_and_the_systems_words)
{
    struct fault why;
    char text[300], small[12];
    cr_assert(fault_set(&why, MQ_EIO, 2, "open %s", "commitlog/0") == MQ_EIO);
    cr_assert_str_eq(fault_text(&why, text, sizeof text), "open commitlog/0: disk or socket failed (No such file or directory)");
    cr_assert_str_eq(fault_text(&why, small, sizeof small), "open commit");
    cr_assert(fault_set(NULL, MQ_ELIMIT, 0, "nobody asks") == MQ_ELIMIT);
    for (int i = 0; i < MQ_ERR_COUNT; i++)
        cr_assert(mq_err_words((enum mq_err)i)[0] != '\0');
    cr_assert(mq_err_words((enum mq_err)999) != NULL);
}
