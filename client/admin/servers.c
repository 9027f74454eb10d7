/* servers.c - see servers.h.
 *
 * Children are never left behind: they are in their own process groups, so that a Ctrl-C on the terminal reaches only us and the order of
 * stopping is ours; and the kernel sends them SIGTERM when we die without stopping them (PR_SET_PDEATHSIG). */
#include "client/admin/servers.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "client/admin/out.h"
#include "client/admin/talk.h"
#include "common/base/clock.h"

bool server_find(const char *program, char *out, size_t n)
{
    char own[PATH_MAX];
    ssize_t got = readlink("/proc/self/exe", own, sizeof own - 1);
    if (got > 0) {
        own[got] = 0;
        char *slash = strrchr(own, '/');
        int len = snprintf(out, n, "%.*s/%s", (int)(slash - own), own, program);
        if (len > 0 && (size_t)len < n && access(out, X_OK) == 0)
            return true;
    }
    const char *path = getenv("PATH");
    struct slice rest = slice_str(path ? path : "/usr/local/bin:/usr/bin:/bin"), piece;
    while (rest.p && slice_cut(&rest, ':', &piece)) {
        int len = snprintf(out, n, "%.*s/%s", SLICE_ARG(piece), program);
        if (piece.n && len > 0 && (size_t)len < n && access(out, X_OK) == 0)
            return true;
    }
    return false;
}

/* ---- ports ---- */

static struct sockaddr_in loopback(int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return at;
}

bool server_port_free(int port)
{
    struct sockaddr_in at = loopback(port);
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || port < 1 || port > 65535) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    bool free_now = bind(fd, (const struct sockaddr *)&at, sizeof at) == 0 && listen(fd, 1) == 0;
    close(fd);
    return free_now;
}

bool server_listens(int port)
{
    struct sockaddr_in at = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool yes = fd >= 0 && connect(fd, (const struct sockaddr *)&at, sizeof at) == 0;
    if (fd >= 0)
        close(fd);
    return yes;
}

/* ---- life ---- */

static void become(const struct server *s, const char *program, pid_t parent, int log_fd)
{
    sigset_t all;
    sigemptyset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(1); /* we died before the child could ask for the signal */
    int null = open("/dev/null", O_RDONLY);
    if (null >= 0)
        dup2(null, 0);
    dup2(log_fd, 1);
    dup2(log_fd, 2);
    execl(program, program, "-c", s->conf, (char *)NULL);
    dprintf(2, "cannot run %s: %s\n", program, strerror(errno));
    _exit(127);
}

bool server_start(struct server *s, const char *program)
{
    pid_t parent = getpid();
    int log_fd = open(s->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (log_fd < 0)
        return false;
    s->pid = fork();
    if (s->pid == 0)
        become(s, program, parent, log_fd);
    int err = errno;
    close(log_fd);
    s->ended = false;
    if (s->pid < 0) {
        s->pid = 0;
        errno = err;
        return false;
    }
    return true;
}

bool server_reap(struct server *s)
{
    if (s->pid == 0 || waitpid(s->pid, &s->status, WNOHANG) != s->pid)
        return false;
    s->pid = 0;
    s->ended = true;
    return true;
}

static int running(struct server *s, int n)
{
    int left = 0;
    for (int i = 0; i < n; i++) {
        server_reap(&s[i]);
        left += s[i].pid != 0;
    }
    return left;
}

static void signal_all(const struct server *s, int n, int sig)
{
    for (int i = 0; i < n; i++)
        if (s[i].pid)
            kill(s[i].pid, sig);
}

void server_stop_all(struct server *s, int n, int ms)
{
    int64_t until_ms = clock_mono_ms() + ms;
    sigset_t hurry, child;
    sigemptyset(&hurry);
    sigaddset(&hurry, SIGINT);
    sigaddset(&hurry, SIGTERM);
    child = hurry;
    sigaddset(&child, SIGCHLD);
    signal_all(s, n, SIGTERM);
    while (running(s, n)) {
        struct timespec wait = {.tv_nsec = 20 * 1000000};
        int sig = sigtimedwait(&child, NULL, &wait);
        if (sig == SIGINT || sig == SIGTERM || clock_mono_ms() >= until_ms) {
            for (int i = 0; i < n; i++)
                if (s[i].pid)
                    say("%s (pid %d) does not stop: it is killed.", s[i].name, (int)s[i].pid);
            signal_all(s, n, SIGKILL);
            until_ms = INT64_MAX;
        }
    }
}

/* ---- telling ---- */

int64_t server_rss_kib(const struct server *s)
{
    char path[64], line[256];
    int64_t kib = -1;
    snprintf(path, sizeof path, "/proc/%d/status", (int)s->pid);
    FILE *f = s->pid ? fopen(path, "re") : NULL;
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmRSS: %" SCNd64, &kib) == 1)
            break;
    if (f)
        fclose(f);
    return kib;
}

void server_say_end(const struct server *s, int lines)
{
    char text[4096];
    int fd = open(s->log, O_RDONLY | O_CLOEXEC);
    off_t size = fd >= 0 ? lseek(fd, 0, SEEK_END) : 0;
    ssize_t n = fd >= 0 ? pread(fd, text, sizeof text, size > (off_t)sizeof text ? size - (off_t)sizeof text : 0) : 0;
    if (fd >= 0)
        close(fd);
    if (WIFSIGNALED(s->status))
        complain(NULL, "%s was ended by signal %d (%s).", s->name, WTERMSIG(s->status), strsignal(WTERMSIG(s->status)));
    else
        complain(NULL, "%s ended with status %d.", s->name, WEXITSTATUS(s->status));
    if (n <= 0) {
        say("  Its log %s is empty.", s->log);
        return;
    }
    const char *at = text + n - (text[n - 1] == '\n'), *end = at;
    while (at > text && (at[-1] != '\n' || --lines > 0))
        at--;
    struct buf tame = {0};
    struct slice rest = slice_make(at, (size_t)(end - at)), line;
    while (rest.p && slice_cut(&rest, '\n', &line)) {
        buf_str(&tame, "  | ");
        out_tame(&tame, line);
        buf_u8(&tame, '\n');
    }
    say("  The end of its log, %s:\n%.*s", s->log, (int)(tame.n ? tame.n - 1 : 0), tame.p ? (const char *)tame.p : "");
    buf_free(&tame);
}

/* ---- folders ---- */

bool folder_make(const char *path)
{
    char part[PATH_MAX];
    size_t n = strlen(path);
    if (n >= sizeof part) {
        errno = ENAMETOOLONG;
        return false;
    }
    for (size_t i = 1; i <= n; i++)
        if (path[i] == '/' || path[i] == 0) {
            memcpy(part, path, i);
            part[i] = 0;
            if (mkdir(part, 0755) != 0 && errno != EEXIST)
                return false;
        }
    return true;
}

bool folder_lock(const char *path)
{
    char file[PATH_MAX];
    int n = snprintf(file, sizeof file, "%s/cmq-up.lock", path);
    if (n < 0 || n >= (int)sizeof file) {
        errno = ENAMETOOLONG;
        return false;
    }
    int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0644); /* stays open: closing it would unlock */
    return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0;
}

static int drop(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

bool folder_remove(const char *path) { return nftw(path, drop, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) == 0; }
